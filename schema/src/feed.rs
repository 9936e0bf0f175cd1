//! The seam between ingest and packager: access units out, keyframe requests in.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::time::UnixMicros;
use crate::unit::AccessUnit;

/// Why a publisher's session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The publisher said goodbye (WHIP `DELETE`). A connection that is just closed is [`Self::Lost`].
    Closed,
    /// Connected, but no media came for the silence limit.
    Silent,
    /// The transport failed or was never established.
    Lost,
    /// Another session took the channel over.
    Replaced,
    /// The control plane ordered the end, or nobody reads the feed any more.
    Ended,
    /// The control plane ordered the end because the key, or what stood for it, was revoked.
    KeyRevoked,
    /// This node is shutting down.
    Shutdown,
}

impl SessionEnd {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Closed, Self::Silent, Self::Lost, Self::Replaced, Self::Ended, Self::KeyRevoked, Self::Shutdown];

    /// The word used in logs, metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Ended => "ended",
            Self::KeyRevoked => "key_revoked",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The moment of media time zero, on both of our clocks.
///
/// Feeds are joined by the monotonic one: a host's wall clock may be set meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zero {
    /// On the monotonic clock.
    pub instant: Instant,
    /// On the wall clock.
    pub wall: UnixMicros,
}

/// What a feed yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// The next access unit; `dts` never decreases within a track.
    Unit(AccessUnit),
    /// Nothing follows. Every later poll yields the same end.
    Ended(SessionEnd),
}

/// What ingest hands to the packager: access units on one clock, keyframe requests back.
///
/// The owner of the session fills a bounded queue behind it; when that is full, whole units are
/// dropped up to the next random access point, and counted.
pub trait Feed: Send {
    /// The next event, in the manner of `Future::poll`: registers the waker when pending.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<FeedEvent>;

    /// When media time zero was captured, as well as is known by now: the earliest that the arrival of
    /// any unit allows. It only ever moves back, as a publisher that began late catches up; a playlist's
    /// dates are fixed from one reading of it. `None` before the first unit.
    fn zero(&self) -> Option<Zero>;

    /// Asks the publisher for a keyframe. A wish: some publishers never answer it.
    fn request_keyframe(&mut self);
}

/// Waits for the next event of `feed`. Dropping the future loses nothing.
pub async fn next(feed: &mut dyn Feed) -> FeedEvent {
    poll_fn(|cx| feed.poll_event(cx)).await
}
