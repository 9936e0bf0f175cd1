//! JSON of tokens and bodies: no name comes twice in one object, at any depth.
//!
//! Two parsers may take different ones of two equal names (RFC 8259 4), so what holds both says nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Deeper values are refused.
const DEPTH_MAX: u8 = 8;

/// The object in `bytes`, if it is one, and strict.
pub(crate) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match value(bytes) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// The value in `bytes`, which must be all that they hold.
///
/// # Errors
/// Why there is none, and where; never what is there, which may be a secret.
pub(crate) fn value(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Strict(value)| value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        At(0).deserialize(deserializer).map(Self)
    }
}

/// A value at this depth.
#[derive(Clone, Copy)]
struct At(u8);

impl At {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.0 >= DEPTH_MAX { Err(E::custom("too deep")) } else { Ok(Self(self.0 + 1)) }
    }
}

impl<'de> DeserializeSeed<'de> for At {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(below)?;
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_in_which_a_name_comes_twice_is_none() {
        assert!(object(br#"{"a":{"b":[1,-1,1.5,null,true,"x"]}}"#).is_some());
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":1,"\u0061":2}"#, "[]", "1", "", "{}{}"] {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(object(format!("{{\"a\":{}{}}}", "[".repeat(9), "]".repeat(9)).as_bytes()).is_none());
    }

    #[test]
    fn values_are_those_that_serde_json_reads_and_errors_quote_nothing() {
        for text in ["null", "18446744073709551615", "1e3", "99999999999999999999", r#"["\ud83d\ude00",{"":{}}]"#] {
            assert_eq!(value(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in [r#"{"hunter2":1,"hunter2":2}"#, r#"{"a":hunter2}"#, r#"["hunter2" "hunter2"]"#, "1e999", "NaN"] {
            let error = value(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
