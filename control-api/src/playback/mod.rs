//! Who may watch: playback tokens, viewer sessions, and how a right is taken back.
//!
//! A viewer asks once (`start`) and gets a token and the addresses to play from; each `heartbeat` keeps the session and
//! brings a new token before the old one ends. Nodes and edges check tokens without us, so what runs goes on while we or
//! the database are away; what is taken back (`put_out`) goes to them as a list of viewer sessions (`rules`).

pub(crate) mod grants;
pub(crate) mod heartbeat;
mod keys;
mod metrics;
pub(crate) mod put_out;
mod right;
mod rules;
pub(crate) mod start;
mod viewers;
mod writer;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use prometheus::Registry;
use schema::ViewerId;
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::http::problem::ApiError;
use keys::Keys;
use metrics::PlaybackMetrics;
use viewers::Viewers;

pub use grants::{ChannelViewer, ChannelViewerPage};
pub use heartbeat::Beat;
pub(crate) use put_out::channel_of;
pub(crate) use rules::{access_of, rules};
pub use start::Started;
pub(crate) use writer::run as run_writer;

/// How often a viewer tells that it is there, in seconds.
const HEARTBEAT_S: u64 = 30;

/// What the control plane keeps of playback in memory.
#[derive(Debug)]
pub(crate) struct Playback {
    viewers: Viewers,
    keys: Keys,
    metrics: PlaybackMetrics,
}

impl Playback {
    /// Nobody watches yet.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = PlaybackMetrics::register(registry)?;
        Ok(Self { viewers: Viewers::default(), keys: Keys::default(), metrics })
    }
}

/// `{id}` of a path. A text that cannot be an id is no session's.
pub(crate) struct ViewerPath(ViewerId);

impl<S: Send + Sync> FromRequestParts<S> for ViewerPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Segments {
            id: ViewerId,
        }
        let path = Path::<Segments>::from_request_parts(parts, state).await;
        let Path(segments) = path.map_err(|_| ApiError::Unknown("viewer_session"))?;
        Ok(Self(segments.id))
    }
}

#[derive(FromRow)]
struct ChannelRow {
    id: Uuid,
    access: String,
}

/// The wall clock, in seconds since 1970.
fn unix_now() -> u64 {
    u64::try_from(Utc::now().timestamp()).unwrap_or(0)
}

fn instant(unix_s: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds_i64(unix_s), 0).unwrap_or_default()
}

fn seconds_i64(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX)
}

/// Seconds as SQL's `to_timestamp` and intervals take them.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in 53 bits")]
fn seconds(count: u64) -> f64 {
    count as f64
}
