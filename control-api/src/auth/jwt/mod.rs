//! Signed tokens (RFC 7519, RFC 8725): what they must be before anything in them is believed.
//!
//! Pure: keys, rules and the time are given. A token is first taken apart ([`Unverified`]), so that
//! the key that it names can be looked up, then judged ([`Unverified::verify`]).

pub(crate) mod key;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::strict;
use key::VerifyingKey;

/// The longest token that is looked at, in bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far the clock of who signed may be off, in seconds.
pub(crate) const SKEW_S: i64 = 5;

/// Parameters that would have the token itself say how it is to be checked, or that change what is
/// signed (RFC 7515 4.1, RFC 8725 2.2 to 3.10). Nobody who signs for us needs them.
const FORBIDDEN: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "crit", "b64"];

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("the token is too long")]
    TooLong,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's header asks for what is not allowed")]
    Header,
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is of another type")]
    Type,
    #[error("the token is from somebody else")]
    Issuer,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token was made for another application")]
    Party,
    #[error("the token is over")]
    Expired,
    #[error("the token is not valid yet")]
    TooEarly,
    #[error("the token names nobody")]
    Subject,
}

/// What a token must say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// `iss`, exactly.
    pub(crate) issuer: String,
    /// `aud` must hold one of them; empty: it is not looked at.
    pub(crate) audiences: Vec<String>,
    /// `azp` must be one of them; empty: it is not looked at.
    pub(crate) parties: Vec<String>,
    /// What the header may call the token.
    pub(crate) typ: Typ,
}

/// `typ` of a header, so that a token of one use is none of another (RFC 8725 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Typ {
    /// `at+jwt` (RFC 9068 2.1).
    #[default]
    Access,
    /// `JWT`, or nothing.
    Plain,
    /// Either.
    Any,
}

impl Typ {
    fn allows(self, typ: Option<&str>) -> bool {
        let typ = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase());
        match typ.as_deref() {
            Some("at+jwt") => self != Self::Plain,
            None | Some("jwt") => self != Self::Access,
            Some(_) => false,
        }
    }
}

/// A token taken apart; nothing in it is true yet.
pub(crate) struct Unverified<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes `token` apart; what is no token of an allowed kind is refused before any key is touched.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(Refusal::Malformed);
        }
        let header = strict::object(&decode(header)?).ok_or(Refusal::Malformed)?;
        if FORBIDDEN.iter().any(|name| header.contains_key(*name)) {
            return Err(Refusal::Header);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::Malformed),
        };
        let algorithm = match text("alg")?.as_deref() {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => return Err(Refusal::Algorithm),
        };
        Ok(Self { algorithm, kid: text("kid")?, typ: text("typ")?, message, payload, signature })
    }

    /// The key that it says it is signed with.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Its claims, if `key` signed them, and they are what `rules` ask for at `now_s` (Unix seconds).
    pub(crate) fn verify(&self, key: &VerifyingKey, rules: &Rules, now_s: i64) -> Result<Claims, Refusal> {
        if key.algorithm() != self.algorithm {
            return Err(Refusal::Algorithm);
        }
        decode(self.signature)?; // the library would take the same bytes in other letters
        let signed = crypto::verify(self.signature, self.message.as_bytes(), key.decoding(), self.algorithm);
        if !matches!(signed, Ok(true)) {
            return Err(Refusal::Signature);
        }
        if !rules.typ.allows(self.typ.as_deref()) {
            return Err(Refusal::Type);
        }
        let claims = strict::object(&decode(self.payload)?).ok_or(Refusal::Malformed)?;
        Claims(claims).judge(rules, now_s)
    }
}

/// The claims of a token that was verified.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// A claim that is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Any claim.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A time in Unix seconds; a fraction is cut off (RFC 7519 2, NumericDate).
    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => time(value).map(Some).ok_or(Refusal::Malformed),
        }
    }

    /// When it was made, in Unix seconds, where it says so.
    pub(crate) fn issued_at(&self) -> Option<i64> {
        self.time("iat").ok().flatten()
    }

    fn judge(self, rules: &Rules, now_s: i64) -> Result<Self, Refusal> {
        if self.text("iss") != Some(&rules.issuer) {
            return Err(Refusal::Issuer);
        }
        if !rules.audiences.is_empty() && !rules.audiences.iter().any(|wanted| self.is_for(wanted)) {
            return Err(Refusal::Audience);
        }
        if !rules.parties.is_empty() && !rules.parties.iter().any(|party| self.text("azp") == Some(party)) {
            return Err(Refusal::Party);
        }
        if self.time("exp")?.is_none_or(|end| end <= now_s - SKEW_S) {
            return Err(Refusal::Expired);
        }
        let begin = self.time("nbf")?.max(self.time("iat")?);
        if begin.is_some_and(|begin| begin > now_s + SKEW_S) {
            return Err(Refusal::TooEarly);
        }
        if self.text("sub").is_none_or(|subject| subject.len() > 255) {
            return Err(Refusal::Subject);
        }
        Ok(self)
    }

    /// Whether `aud`, a text or a list of texts, holds `wanted`.
    pub(crate) fn is_for(&self, wanted: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        }
    }

    /// How many `aud` names.
    pub(crate) fn audiences(&self) -> usize {
        match self.0.get("aud") {
            Some(Value::String(_)) => 1,
            Some(Value::Array(many)) => many.len(),
            _ => 0,
        }
    }
}

/// Times beyond the year 9999 are nobody's.
const TIME_MAX: f64 = 253_402_300_800.0;

fn time(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return (0..253_402_300_800).contains(&whole).then_some(whole);
    }
    let float = value.as_f64().filter(|time| (0.0..TIME_MAX).contains(time))?;
    #[allow(clippy::cast_possible_truncation, reason = "the range was checked; a fraction is cut off on purpose")]
    let whole = float as i64;
    Some(whole)
}

/// Base64url without padding and without bits left over (RFC 7515 2).
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests;
