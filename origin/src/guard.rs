//! By which way a request comes, and whether it may have what is not for everybody.
//!
//! `/live/…` is for everybody, `/t/{token}/live/…` for the bearer of a playback token, `/private/live/…` for an edge that
//! has checked its viewers' tokens itself and proves to be one by a secret. What lies behind is the same. Asks nobody: it
//! goes by the rules that it was given last.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use schema::api::PlaybackRules;
use schema::playback::{DENIED_MAX, PlaybackKeys, TokenError};
use schema::{ChannelName, ViewerId};
use subtle::ConstantTimeEq;

use crate::refusal::Refusal;

/// The header by which an edge proves to be one.
pub const EDGE_SECRET: HeaderName = HeaderName::from_static("headwater-edge-secret");
/// Where edges read the rules.
pub(crate) const RULES_PATH: &str = "/private/rules";

/// By which way a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    /// Everybody's.
    Public,
    /// By a playback token.
    Token(&'a str),
    /// An edge's.
    Edge,
}

impl<'a> Way<'a> {
    /// The way of a path, and the path below `/live/` that it leads to.
    pub(crate) fn of(path: &'a str) -> Option<(Self, &'a str)> {
        let (way, live) = if let Some(rest) = path.strip_prefix("/t/") {
            let (token, _) = rest.split_once('/')?;
            (Self::Token(token), &rest[token.len()..])
        } else if let Some(live) = path.strip_prefix("/private") {
            (Self::Edge, live)
        } else {
            (Self::Public, path)
        };
        live.starts_with("/live/").then_some((way, live))
    }
}

/// Who a request is let in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Anybody: what is for members is not theirs.
    Anybody,
    /// Somebody who may have everything of the channel.
    Allowed,
}

/// Decides who comes in. Cloning shares.
#[derive(Clone)]
pub struct Guard(Arc<Shared>);

struct Shared {
    rules: ArcSwap<Rules>,
    edge_secret: Option<String>,
    /// Seconds since 1970.
    clock: fn() -> u64,
}

/// The rules, prepared.
#[derive(Default)]
struct Rules {
    version: Option<String>,
    keys: PlaybackKeys,
    denied: HashSet<ViewerId>,
    /// The same for edges, as text.
    text: Bytes,
}

impl Guard {
    /// One that knows no keys yet, so every token is refused; without an edge secret every edge is too.
    #[must_use]
    pub fn new(edge_secret: Option<String>) -> Self {
        Self::with_clock(edge_secret, wall_clock)
    }

    /// The same by another clock, in seconds since 1970.
    #[must_use]
    pub fn with_clock(edge_secret: Option<String>, clock: fn() -> u64) -> Self {
        let edge_secret = edge_secret.filter(|secret| !secret.is_empty());
        Self(Arc::new(Shared { rules: ArcSwap::default(), edge_secret, clock }))
    }

    /// The version of the rules that it goes by; `None` before the first.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.0.rules.load().version.clone()
    }

    /// Goes by `rules` from the next request on.
    pub fn set_rules(&self, rules: PlaybackRules) {
        self.0.rules.store(Arc::new(Rules::from(rules)));
    }

    /// How many viewer sessions are put out.
    #[must_use]
    pub fn denied(&self) -> usize {
        self.0.rules.load().denied.len()
    }

    /// Lets in whoever comes by `way` to `channel`.
    pub(crate) fn admit(&self, way: Way<'_>, channel: &ChannelName, headers: &HeaderMap) -> Result<Entry, Refusal> {
        match way {
            Way::Public => Ok(Entry::Anybody),
            Way::Token(token) => self.check(token, channel).map(|()| Entry::Allowed),
            Way::Edge => self.edge(headers).map(|()| Entry::Allowed),
        }
    }

    fn check(&self, token: &str, channel: &ChannelName) -> Result<(), Refusal> {
        let rules = self.0.rules.load();
        let claims = rules.keys.check(token, channel, (self.0.clock)()).map_err(|error| match error {
            TokenError::Invalid => Refusal::TokenInvalid,
            TokenError::Expired => Refusal::TokenExpired,
            TokenError::OtherChannel => Refusal::TokenOtherChannel,
        })?;
        match rules.denied.contains(&claims.viewer) {
            true => Err(Refusal::PutOut),
            false => Ok(()),
        }
    }

    /// Whether this is an edge: compared in constant time, and only where a secret is configured.
    fn edge(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut lines = headers.get_all(EDGE_SECRET).iter();
        let (sent, more) = (lines.next(), lines.next());
        let is_edge = match (&self.0.edge_secret, sent, more) {
            (Some(secret), Some(sent), None) => bool::from(secret.as_bytes().ct_eq(sent.as_bytes())),
            _ => false,
        };
        if is_edge { Ok(()) } else { Err(Refusal::EdgeOnly) }
    }

    /// What an edge checks tokens by: a line `key {id} {secret}` for each key and `deny {viewer} {until}` for each viewer
    /// session that is put out.
    pub(crate) fn rules_for_edges(&self, headers: &HeaderMap) -> Result<(Bytes, String), Refusal> {
        self.edge(headers)?;
        let rules = self.0.rules.load();
        let version = rules.version.clone().ok_or(Refusal::RulesUnknown)?;
        Ok((rules.text.clone(), version))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl From<PlaybackRules> for Rules {
    fn from(mut rules: PlaybackRules) -> Self {
        rules.denied.truncate(DENIED_MAX);
        let keys = PlaybackKeys::new(rules.keys);
        // Every line has a line end before it and behind it, so that edges can search for whole ones.
        let mut text = String::from("\n");
        for key in keys.iter() {
            text.push_str(&format!("key {} {}\n", key.id, key.secret));
        }
        for denied in &rules.denied {
            text.push_str(&format!("deny {} {}\n", denied.viewer, denied.until_s));
        }
        let denied = rules.denied.into_iter().map(|denied| denied.viewer).collect();
        Self { version: Some(rules.version), keys, denied, text: text.into() }
    }
}

fn wall_clock() -> u64 {
    // Before 1970 nothing is expired, and no token of ours is made.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_told_by_the_beginning_of_its_path() {
        for (path, found) in [
            ("/live/demo/index.m3u8", Some((Way::Public, "/live/demo/index.m3u8"))),
            ("/t/a.b.c/live/demo/x", Some((Way::Token("a.b.c"), "/live/demo/x"))),
            ("/private/live/demo/x", Some((Way::Edge, "/live/demo/x"))),
            ("/t//live/demo/x", Some((Way::Token(""), "/live/demo/x"))),
            ("/t/a/private/live/demo/x", None),
            ("/t/a/t/b/live/demo/x", None),
            ("/private/t/a/live/demo/x", None),
            ("/private/private/live/demo/x", None),
            ("/privatelive/demo/x", None),
            ("/t/live/demo/x", None),
            ("/t/a", None),
            ("/t", None),
            ("/private/rules", None),
            ("/vod/x", None),
            ("", None),
        ] {
            assert_eq!(Way::of(path), found, "{path}");
        }
    }
}
