//! The words that every crate shares: media time, access units, codecs, ids, ladders, the feed
//! by which ingest and packager meet, and the API between a node and the control plane.
//!
//! Knows no workspace crate, no runtime, no clock, no socket and no file. The SQL migrations
//! beside it (`schema/migrations`) are data; only `control-api` runs them.

pub mod api;
pub mod feed;
pub mod id;
pub mod ladder;
pub mod playback;
pub mod secret;
pub mod subscriber;
pub mod time;
pub mod unit;

pub use feed::{Feed, FeedEvent, SessionEnd, Zero};
pub use id::{BroadcastId, ChannelName, Incarnation, SessionId, UserName, ViewerId};
pub use secret::StreamKey;
pub use subscriber::subscriber;
pub use time::{MediaTime, UnixMicros};
pub use unit::{AccessUnit, Codec, TrackKind};
