//! Playback tokens: by what a viewer proves to a node or an edge that a channel may be played.
//!
//! A token is a JWT (RFC 7519) signed by HS256, small enough for a path. It is checked strictly: its header must be, byte
//! for byte, the one that we write for one of our keys, so nothing in a token chooses how it is checked (RFC 8725 3.1).
//! Reads no clock: `now` is an argument. Edges check the same in JavaScript (`configs/edge/`), by the same test vectors.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::id::{ChannelName, PlaybackKeyId, ViewerId};

/// How long a token lasts at least, in seconds: longer than an outage of the control plane that viewers shall not notice.
pub const TOKEN_LIFE_S: u64 = 600;
/// How long a token lasts for a player that cannot renew it, in seconds: a day.
pub const TOKEN_LIFE_LONG_S: u64 = 86_400;
/// The longest token, in bytes. Ours have some 220, and it stands in every path.
pub const TOKEN_BYTES_MAX: usize = 512;
/// The most keys that are valid at a time.
pub const KEYS_MAX: usize = 8;
/// The most viewer sessions that are refused at a time; an entry ends with its last token's life.
pub const DENIED_MAX: usize = 10_000;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The channel that may be played.
    #[serde(rename = "ch")]
    pub channel: ChannelName,
    /// Whose token it is.
    #[serde(rename = "vs")]
    pub viewer: ViewerId,
    /// Until when it is good, in seconds since 1970 (RFC 7519 4.1.4).
    #[serde(rename = "exp")]
    pub expires_s: u64,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is no token of ours, or its signature is wrong. Which of both is nobody's business.
    #[error("the playback token is not valid")]
    Invalid,
    /// It was good once.
    #[error("the playback token has expired; get a new one")]
    Expired,
    /// It is good for another channel.
    #[error("the playback token is for another channel")]
    OtherChannel,
}

/// A key that signs tokens. `Debug` does not show its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybackKey {
    /// Its name in tokens (`kid`).
    pub id: PlaybackKeyId,
    /// At least 256 random bits as text. The bytes of the text are the HMAC's key, so no side needs to decode it.
    pub secret: String,
}

impl fmt::Debug for PlaybackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlaybackKey({}, …)", self.id)
    }
}

/// A key, prepared.
#[derive(Clone)]
struct Prepared {
    key: PlaybackKey,
    /// The encoded header of its tokens.
    header: String,
    mac: Hmac<Sha256>,
}

/// The keys that are valid now, prepared for signing and checking: the first one signs.
#[derive(Clone, Default)]
pub struct PlaybackKeys(Vec<Prepared>);

impl PlaybackKeys {
    /// Prepares at most [`KEYS_MAX`] of `keys`, the newest first.
    #[must_use]
    pub fn new(keys: Vec<PlaybackKey>) -> Self {
        Self(keys.into_iter().take(KEYS_MAX).map(Prepared::new).collect())
    }

    /// The keys as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &PlaybackKey> {
        self.0.iter().map(|prepared| &prepared.key)
    }

    /// True if no token can be good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A token that says `claims`; `None` without a key.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let prepared = self.0.first()?;
        let claims = serde_json::to_vec(claims).ok()?;
        let signed = format!("{}.{}", prepared.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = prepared.mac_of(&signed).finalize().into_bytes();
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What `token` says, if it lets its bearer play `channel` at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn check(&self, token: &str, channel: &ChannelName, now_s: u64) -> Result<Claims, TokenError> {
        let claims = self.read(token)?;
        match () {
            () if claims.expires_s <= now_s => Err(TokenError::Expired),
            () if claims.channel != *channel => Err(TokenError::OtherChannel),
            () => Ok(claims),
        }
    }

    /// What `token` says, if we signed it, be it expired or not.
    ///
    /// # Errors
    /// [`TokenError::Invalid`].
    pub fn read(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Invalid)?;
        let prepared = self.0.iter().find(|prepared| prepared.header == header).ok_or(TokenError::Invalid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Invalid)?;
        prepared.mac_of(signed).verify_slice(&signature).map_err(|_| TokenError::Invalid)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Invalid)?;
        serde_json::from_slice(&claims).map_err(|_| TokenError::Invalid)
    }
}

impl fmt::Debug for PlaybackKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Prepared {
    fn new(key: PlaybackKey) -> Self {
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#, key.id);
        let mac = Hmac::new_from_slice(key.secret.as_bytes()).expect("HMAC takes keys of any length");
        Self { key, header: URL_SAFE_NO_PAD.encode(header), mac }
    }

    fn mac_of(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(signed.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// The vectors that the edges' scripts are tested by too.
    #[derive(Deserialize)]
    struct Vectors {
        now: u64,
        keys: Vec<PlaybackKey>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        token: String,
        channel: String,
        /// `ok`, or the word of a refusal.
        result: String,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../configs/edge/vectors.json")).unwrap()
    }

    fn word(result: &Result<Claims, TokenError>) -> &'static str {
        match result {
            Ok(_) => "ok",
            Err(TokenError::Invalid) => "invalid",
            Err(TokenError::Expired) => "expired",
            Err(TokenError::OtherChannel) => "other_channel",
        }
    }

    #[test]
    fn every_vector_has_its_result() {
        let Vectors { now, keys, cases } = vectors();
        let keys = PlaybackKeys::new(keys);
        assert!(cases.len() > 20);
        for Case { name, token, channel, result } in cases {
            let channel = channel.parse().unwrap();
            assert_eq!(word(&keys.check(&token, &channel, now)), result, "{name}");
        }
    }

    fn keys() -> PlaybackKeys {
        PlaybackKeys::new(vectors().keys)
    }

    fn claims() -> Claims {
        let viewer = "0190b7d4c8f17a3e9d2b5c6e7f801234".parse().unwrap();
        Claims { channel: "demo".parse().unwrap(), viewer, expires_s: 2_000_000_600 }
    }

    #[test]
    fn a_signed_token_is_good_until_its_end_for_its_channel() {
        let (keys, claims) = (keys(), claims());
        let token = keys.sign(&claims).unwrap();
        assert!(token.len() < 256, "{}", token.len());
        assert_eq!(keys.check(&token, &claims.channel, claims.expires_s - 1), Ok(claims.clone()));
        assert_eq!(keys.check(&token, &claims.channel, claims.expires_s), Err(TokenError::Expired));
        assert_eq!(keys.check(&token, &"other".parse().unwrap(), 0), Err(TokenError::OtherChannel));
        assert_eq!(keys.read(&token), Ok(claims));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let keys = keys();
        let token = keys.sign(&claims()).unwrap();
        for at in 0..token.len() {
            for other in ["A", "B", ".", "/", "="] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, other);
                assert!(changed == token || keys.read(&changed) == Err(TokenError::Invalid), "{changed}");
            }
            assert_eq!(keys.read(&token[..at]), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn without_a_key_nothing_is_signed_and_nothing_is_good() {
        let token = keys().sign(&claims()).unwrap();
        let none = PlaybackKeys::default();
        assert_eq!((none.sign(&claims()), none.read(&token)), (None, Err(TokenError::Invalid)));
        assert!(none.is_empty());
    }

    #[test]
    fn an_old_key_checks_and_the_newest_signs() {
        let [first, second]: [PlaybackKey; 2] = vectors().keys.try_into().unwrap();
        let old = PlaybackKeys::new(vec![second.clone()]).sign(&claims()).unwrap();
        let both = PlaybackKeys::new(vec![first.clone(), second]);
        assert_eq!(both.read(&old), Ok(claims()));
        assert_eq!(both.sign(&claims()), PlaybackKeys::new(vec![first]).sign(&claims()));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let shown = format!("{:?}", keys());
        assert!(shown.contains("PlaybackKey(k2, …)") && !shown.contains(&vectors().keys[0].secret), "{shown}");
    }

    #[test]
    fn the_words_of_access_are_those_of_json() {
        use crate::api::Access;
        for access in [Access::Public, Access::Unlisted, Access::Members] {
            assert_eq!(serde_json::to_value(access).unwrap(), json!(access.as_str()));
        }
    }
}
