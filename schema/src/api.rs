//! The HTTP API between a node and the control plane, and the error body of every HTTP answer.
//!
//! A node calls; the control plane answers. It never travels on the public port.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /internal/v1/admissions` | [`AdmitRequest`] | 200 [`PublishGrant`]; 401 `key_unknown`, `key_revoked` or `token_expired`; 403; 503 |
//! | `POST /internal/v1/reports` | [`NodeReport`] | 200 [`ReportAnswer`] |

use serde::{Deserialize, Serialize};

use crate::feed::SessionEnd;
use crate::id::{BroadcastId, ChannelName, Incarnation, SessionId};
use crate::ladder::{Ladder, LatencyProfile, PictureSize};
use crate::secret::StreamKey;

/// Where a node asks for admission.
pub const ADMISSIONS_PATH: &str = "/internal/v1/admissions";
/// Where a node reports.
pub const REPORTS_PATH: &str = "/internal/v1/reports";
/// How often a node reports, in milliseconds.
pub const REPORT_INTERVAL_MS: u64 = 2_000;

/// How a publisher came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// WebRTC by RFC 9725.
    #[default]
    Whip,
}

impl Protocol {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whip => "whip",
        }
    }
}

/// May this key publish?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdmitRequest {
    /// The key, or the studio's publish token, as the publisher sent it.
    pub key: StreamKey,
    /// How it came in.
    pub protocol: Protocol,
    /// The session that asks.
    pub session: SessionId,
}

/// What the check allowed. A node keeps it for the broadcast's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishGrant {
    /// The channel that the key belongs to.
    pub channel: ChannelName,
    /// The id (never the secret) of the key or publish token, by which a revocation finds its
    /// sessions.
    pub key_id: String,
    /// The channel's title, for pages.
    pub title: String,
    /// The channel's ladder.
    pub ladder: Ladder,
    /// The channel's latency profile.
    pub profile: LatencyProfile,
    /// The channel's frame rate; `None` means that of the source.
    pub frame_rate: Option<u32>,
    /// The size of the channel's last source, where one is known.
    pub last_size: Option<PictureSize>,
    /// How long a broadcast outlives its last session, in seconds; 0 to 600.
    #[serde(default = "grace_default")]
    pub grace_s: u32,
    /// Which of the channel's publishers this is.
    #[serde(default)]
    pub role: KeyRole,
}

/// What a node tells every two seconds: everything that runs on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node's name, unique in the cluster.
    pub node: String,
    /// The broadcasts that run or ended since the last report that was answered.
    pub broadcasts: Vec<BroadcastReport>,
}

/// How long a broadcast outlives its last session unless the channel says otherwise, in seconds.
pub const GRACE_DEFAULT_S: u32 = 60;

fn grace_default() -> u32 {
    GRACE_DEFAULT_S
}

/// Which of a channel's two publishers a key is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// The one that is shown while it is well.
    #[default]
    Primary,
    /// The one that stands in for it.
    Backup,
}

impl KeyRole {
    /// The word used in logs and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

/// The state of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastState {
    /// Media flows.
    Live,
    /// Its publisher is away and may come back; the slate is shown.
    Reconnecting,
    /// Over; the playlist has its end mark.
    Ended,
}

/// One broadcast in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastReport {
    /// Which.
    pub broadcast: BroadcastId,
    /// Its channel.
    pub channel: ChannelName,
    /// Its fencing number on this node.
    pub incarnation: Incarnation,
    /// The publisher's session.
    pub session: SessionId,
    /// How the publisher came in.
    #[serde(default)]
    pub protocol: Protocol,
    /// The `key_id` of its grant.
    pub key_id: String,
    /// Live or over.
    pub state: BroadcastState,
    /// When its media began, in microseconds since 1970.
    pub started_at_us: i64,
    /// Why it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SessionEnd>,
    /// The size of its source, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<PictureSize>,
}

/// What the control plane answers to a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// Orders to the node, each carried out at most once and harmless when repeated.
    pub commands: Vec<NodeCommand>,
}

/// An order to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum NodeCommand {
    /// End this publisher session now.
    EndSession {
        /// Which.
        session: SessionId,
        /// What the session, and with it the broadcast, ends for.
        #[serde(default = "ended_by_order")]
        end: SessionEnd,
        /// Said to the operator, in the log.
        reason: String,
    },
}

/// What a control plane meant that gave no end.
fn ended_by_order() -> SessionEnd {
    SessionEnd::Ended
}

/// The body of every HTTP error: RFC 9457 problem details with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status, repeated.
    pub status: u16,
    /// A stable word for programs, such as `key_unknown`.
    pub code: String,
    /// One sentence for people: what is wrong.
    pub title: String,
    /// What to do about it, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// The media type of a problem body (RFC 9457 3).
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// A problem with a stable `code` and a sentence for people.
    #[must_use]
    pub fn new(status: u16, code: &str, title: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), title: title.into(), detail: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
