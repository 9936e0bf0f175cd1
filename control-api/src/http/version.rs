//! Versions of things that people change: `ETag` and `If-Match` (RFC 9110 8.8.3 and 13.1.1).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{ETAG, HeaderName, IF_MATCH};
use axum::http::request::Parts;

/// The versions that a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Whichever there is.
    Any,
    /// One of these. Tags that we never gave are among none.
    Versions(Vec<i64>),
}

impl IfMatch {
    /// For SQL: null is any.
    pub(crate) fn versions(&self) -> Option<&[i64]> {
        match self {
            Self::Any => None,
            Self::Versions(versions) => Some(versions),
        }
    }

    fn of(lines: &[&[u8]]) -> Self {
        let tags = || lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        match lines.is_empty() || tags().any(|tag| tag == b"*") {
            true => Self::Any,
            false => Self::Versions(tags().filter_map(version).collect()),
        }
    }
}

fn version(tag: &[u8]) -> Option<i64> {
    let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines: Vec<&[u8]> = parts.headers.get_all(IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
        Ok(Self::of(&lines))
    }
}

/// The header that tells a version.
pub(crate) fn etag(version: i64) -> [(HeaderName, HeaderValue); 1] {
    let tag = format!("\"{version}\"");
    [(ETAG, HeaderValue::try_from(tag).expect("digits between quotes are visible ASCII"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_strongly_and_foreign_ones_match_nothing() {
        assert_eq!(IfMatch::of(&[]), IfMatch::Any);
        assert_eq!(IfMatch::of(&[b" * "]), IfMatch::Any);
        assert_eq!(IfMatch::of(&[b"\"7\", \"8\"", b"\"9\""]), IfMatch::Versions(vec![7, 8, 9]));
        for foreign in ["W/\"7\"", "7", "\"x\"", "\"\"", "\"", "", "\"99999999999999999999\""] {
            assert_eq!(IfMatch::of(&[foreign.as_bytes()]), IfMatch::Versions(vec![]), "{foreign}");
        }
    }
}
