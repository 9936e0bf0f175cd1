//! Stream keys and API tokens: made here, shown once, kept as hashes.
//!
//! A secret holds 160 random bits, so nobody can search for the text behind its hash, and plain
//! SHA-256 is enough. A slow hash guards guessable passwords; here it would only make admission
//! slow, and with a salt the look-up by hash would be impossible.

use std::fmt;

use schema::StreamKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Random bytes in a secret: 160 bits.
const RANDOM_BYTES: usize = 20;
const STREAM_KEY_PREFIX: &str = "hw_sk_";
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

/// What is kept of a secret, and what it is looked up by.
#[must_use]
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

fn random(prefix: &str) -> String {
    let mut bytes = [0_u8; RANDOM_BYTES];
    rand::fill(&mut bytes);
    format!("{prefix}{}", hex::encode(bytes))
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
