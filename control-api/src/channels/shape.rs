//! Channels as they are told: to everybody, and to who may change them. Knows no database.

use chrono::{DateTime, Utc};
use schema::ladder::{Ladder, PictureSize};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::broadcasts::CameIn;

/// A channel as who may change it sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Channel {
    /// Its name in URLs.
    pub name: String,
    /// Its title, for people.
    pub title: String,
    /// How much latency it trades for robustness.
    pub profile: String,
    /// Frames per second; `null` means those of the source.
    pub frame_rate: Option<i32>,
    /// Its ladder; `null` means the usual one.
    #[schema(value_type = Option<Object>)]
    pub ladder: Option<Ladder>,
    /// How long a broadcast outlives its session, in seconds.
    pub grace_s: i32,
    /// `replace` or `refuse`.
    pub second_publisher: String,
    /// Whether a source that fits is passed through as the top rung.
    pub passthrough: bool,
    /// Whether it has a slate of its own.
    pub slate: bool,
    /// How much of its running broadcast is kept for rewinding, in seconds; 0 is nothing.
    pub dvr_s: i32,
    /// Who may watch: `public`, `unlisted` or `members`.
    pub access: String,
    /// The size of its last source.
    #[schema(value_type = Option<Object>)]
    pub last_size: Option<PictureSize>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A channel as everybody sees it. The last fields are for callers with an API token alone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicChannel {
    /// Its name in URLs.
    pub name: String,
    /// Its title, for people.
    pub title: String,
    /// How much latency it trades for robustness.
    pub profile: String,
    /// Who may watch: `public`, `unlisted` or `members`.
    pub access: String,
    /// What runs on it now.
    pub live: Option<LiveBroadcast>,
    /// How its last broadcast ended, which may be before the one that runs.
    #[serde(flatten)]
    pub past: Option<Past>,
}

/// What went before on a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Past {
    /// `null` where none has ended yet.
    pub last_end: Option<LastEnd>,
}

/// The end of a broadcast.
#[derive(Debug, Clone, Serialize, ToSchema, FromRow)]
pub struct LastEnd {
    /// Which.
    pub broadcast: String,
    /// When it was reported.
    pub at: DateTime<Utc>,
    /// Why: a word of [`schema::SessionEnd`], or `left_out` if its node just ceased to tell of it.
    pub reason: Option<String>,
}

/// Whether the publisher of a running broadcast is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LiveState {
    /// Media flows.
    Live,
    /// The publisher is gone and may come back; the broadcast goes on meanwhile.
    Reconnecting,
}

/// The running broadcast of a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LiveBroadcast {
    /// Which.
    pub broadcast: String,
    /// Whether its publisher is there.
    pub state: LiveState,
    /// When its media began.
    pub started_at: DateTime<Utc>,
    /// The size of its source, once known.
    #[schema(value_type = Option<Object>)]
    pub source_size: Option<PictureSize>,
    /// How its publisher came in, for callers with an API token.
    #[serde(flatten)]
    pub came_in: Option<CameIn>,
    /// True while it gives quality up because its node's encoding would fall behind; for callers with an API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<bool>,
}
