//! Names and numbers of channels, broadcasts and sessions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a valid id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not 1 to the longest allowed number of characters.
    #[error("must have 1 to {0} characters")]
    Length(usize),
    /// A character outside the allowed set.
    #[error("may hold only lower-case letters, digits and inner hyphens")]
    Character,
}

/// Checks `text` as a path-safe slug of at most `longest` bytes: `[a-z0-9]`, with single or
/// repeated hyphens between.
fn slug(text: &str, longest: usize) -> Result<Arc<str>, IdError> {
    if text.is_empty() || text.len() > longest {
        return Err(IdError::Length(longest));
    }
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.bytes().all(inner) || text.starts_with('-') || text.ends_with('-') {
        return Err(IdError::Character);
    }
    Ok(text.into())
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident, $longest:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest allowed text, in bytes.
            pub const LONGEST: usize = $longest;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                slug(text, $longest).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug_id! {
    /// The name of a channel, as it stands in URLs: a slug of at most 64 characters.
    ChannelName, 64
}
slug_id! {
    /// The handle of a user, as it stands in URLs: a slug of at most 64 characters.
    UserName, 64
}
slug_id! {
    /// The id of one broadcast, as it stands in URLs: unique over all time and nodes.
    BroadcastId, 40
}
slug_id! {
    /// The id of one publisher session, as it stands in the WHIP session URL: at least 128 random bits (RFC 9725 5).
    SessionId, 64
}
slug_id! {
    /// The id of one viewer session, unguessable: 128 random bits in hexadecimal digits.
    ViewerId, 40
}
slug_id! {
    /// The name of a key that signs playback tokens.
    PlaybackKeyId, 32
}
slug_id! {
    /// The name of one rendition within a broadcast: `720p`, `audio`.
    RenditionName, 32
}

/// The number of a broadcast's start on a node; the fencing number. Grows with every start and
/// never comes twice in one data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_name_is_a_path_safe_slug() {
        for good in ["demo", "a", "a-b", "0", "a--b"] {
            assert!(good.parse::<ChannelName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "..", "ä", "a.m3u8", &"a".repeat(65)] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn json_cannot_smuggle_in_a_bad_name() {
        assert!(serde_json::from_str::<ChannelName>("\"../etc\"").is_err());
        assert_eq!(serde_json::to_string(&"demo".parse::<ChannelName>().unwrap()).unwrap(), "\"demo\"");
    }
}
