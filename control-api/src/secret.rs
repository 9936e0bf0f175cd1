//! Stream keys, publish tokens and API tokens: made here, shown once, kept as hashes.
//!
//! A secret holds at least 160 random bits, so nobody can search for the text behind its hash, and plain
//! SHA-256 is enough. A slow hash guards guessable passwords; here it would only make admission
//! slow, and with a salt the look-up by hash would be impossible.

use std::fmt;

use schema::StreamKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Random bytes after a prefix: 160 bits.
const RANDOM_BYTES: usize = 20;
const STREAM_KEY_PREFIX: &str = "hw_sk_";
const PUBLISH_TOKEN_PREFIX: &str = "hwp_";
const API_TOKEN_PREFIX: &str = "hw_at_";

/// An API token. `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiToken(String);

impl ApiToken {
    /// A new one, `hw_at_` and 40 hexadecimal digits.
    #[must_use]
    pub fn generate() -> Self {
        Self(random(API_TOKEN_PREFIX))
    }

    /// The text, for showing it once. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

/// A new stream key, `hw_sk_` and 40 hexadecimal digits.
#[must_use]
pub fn new_stream_key() -> StreamKey {
    StreamKey::new(random(STREAM_KEY_PREFIX))
}

/// A new publish token, `hwp_` and 40 hexadecimal digits. A publisher sends it in a stream key's place.
#[must_use]
pub(crate) fn new_publish_token() -> StreamKey {
    StreamKey::new(random(PUBLISH_TOKEN_PREFIX))
}

/// Whether a publisher's secret is a publish token rather than a stream key.
#[must_use]
pub(crate) fn is_publish_token(secret: &StreamKey) -> bool {
    secret.expose().starts_with(PUBLISH_TOKEN_PREFIX)
}

/// What is kept of a secret, and what it is looked up by.
#[must_use]
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

fn random(prefix: &str) -> String {
    format!("{prefix}{}", random_hex::<RANDOM_BYTES>())
}

/// `BYTES` random bytes as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0_u8; BYTES];
    rand::fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_have_their_shape() {
        let (a, b) = (new_stream_key(), new_stream_key());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), STREAM_KEY_PREFIX.len() + 40);
        assert!(ApiToken::generate().expose().starts_with("hw_at_"));
    }

    #[test]
    fn debug_output_hides_the_token() {
        let token = ApiToken::generate();
        assert!(!format!("{token:?}").contains(&token.expose()[6..]));
    }
}
