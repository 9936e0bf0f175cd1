//! Public keys as JWK (RFC 7517), and which algorithm each of them verifies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Value, json};

/// The most keys of one set that are looked at.
const KEYS_MAX: usize = 64;

/// A public key and the one algorithm that it is for: what a token says of itself never chooses how
/// a key is used (RFC 8725 3.1).
#[derive(Debug, Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl VerifyingKey {
    /// A point of P-256, uncompressed (65 bytes), for ES256.
    pub(crate) fn p256(kid: &str, point: &[u8]) -> Self {
        let key = DecodingKey::from_ec_der(point);
        Self { kid: Some(kid.to_owned()), algorithm: Algorithm::ES256, key }
    }

    fn of(jwk: &Jwk) -> Option<Self> {
        if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let (algorithm, name, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let key = DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?);
                (Algorithm::RS256, "RS256", key)
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?);
                (Algorithm::ES256, "ES256", key)
            }
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(jwk.x.as_deref()?)),
            _ => return None,
        };
        if jwk.alg.as_deref().is_some_and(|alg| alg != name) {
            return None;
        }
        Some(Self { kid: jwk.kid.clone(), algorithm, key: key.ok()? })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.key
    }
}

/// The usable keys of a set (RFC 7517 5); `None` if it is no set. Keys that are not understood are left out.
pub(crate) fn set(bytes: &[u8]) -> Option<Vec<VerifyingKey>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(bytes).ok()?;
    let parsed = set.keys.into_iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value(key).ok());
    Some(parsed.filter_map(|jwk: Jwk| VerifyingKey::of(&jwk)).collect())
}

/// The key that a token means; a token without `kid` means the only one there is.
pub(crate) fn find<'a>(keys: &'a [VerifyingKey], kid: Option<&str>) -> Option<&'a VerifyingKey> {
    match (kid, keys) {
        (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// A point of P-256 as a JWK for ES256.
pub(crate) fn p256_jwk(kid: &str, point: &[u8]) -> Option<Value> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Some(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256" }))
}
