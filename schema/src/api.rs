//! The HTTP API between a node and the control plane, and the error body of every HTTP answer.
//!
//! A node calls; the control plane answers. It never travels on the public port.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /internal/v1/admissions` | [`AdmitRequest`] | 200 [`PublishGrant`]; 401 `key_unknown`, `key_revoked` or `token_expired`; 307 `publish_elsewhere` with `Location`; 403 `publish_forbidden`; 503 |
//! | `POST /internal/v1/reports` | [`NodeReport`] | 200 [`ReportAnswer`] |

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::feed::SessionEnd;
use crate::id::{BroadcastId, ChannelName, Incarnation, SessionId, ViewerId};
use crate::ladder::{Ladder, LatencyProfile, PictureSize};
use crate::playback::PlaybackKey;
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
    /// How long a broadcast outlives its session, in seconds: at most [`PublishGrant::GRACE_S_MAX`].
    #[serde(default = "usual_grace_s")]
    pub grace_s: u32,
    /// What a second publisher does who comes while the first one is on.
    #[serde(default)]
    pub second_publisher: SecondPublisher,
    /// Whether a source that fits is passed through as the top rung.
    #[serde(default = "usual_passthrough")]
    pub passthrough: bool,
    /// What the key is for.
    #[serde(default)]
    pub role: KeyRole,
    /// The picture shown while there is none of the publisher's; `None` means the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slate: Option<Slate>,
    /// How much of the broadcast is kept for rewinding, in seconds: at most [`PublishGrant::DVR_S_MAX`]; 0 is nothing.
    #[serde(default)]
    pub dvr_s: u32,
    /// Who may watch.
    #[serde(default)]
    pub access: Access,
}

impl PublishGrant {
    /// The grace where the channel says nothing, in seconds.
    pub const GRACE_S_USUAL: u32 = 60;
    /// The longest grace, in seconds.
    pub const GRACE_S_MAX: u32 = 600;
    /// The longest DVR window, in seconds: twelve hours.
    pub const DVR_S_MAX: u32 = 43_200;
}

fn usual_passthrough() -> bool {
    true
}

fn usual_grace_s() -> u32 {
    PublishGrant::GRACE_S_USUAL
}

/// Who may watch a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody; it is listed.
    #[default]
    Public,
    /// Everybody who knows its name; it is not listed.
    Unlisted,
    /// Who has the right to, by a playback token alone.
    Members,
}

impl Access {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
            Self::Members => "members",
        }
    }
}

/// What happens when a publisher comes while another one is on the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondPublisher {
    /// The second takes the channel over.
    #[default]
    Replace,
    /// The second is refused.
    Refuse,
}

impl SecondPublisher {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Refuse => "refuse",
        }
    }
}

/// What a stream key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// The session that viewers see.
    #[default]
    Primary,
    /// A session that stands by, and is seen while there is no primary one.
    Backup,
}

impl KeyRole {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

/// The still picture of a channel that is shown while its publisher is gone. In JSON the bytes are
/// base64 (RFC 4648 4). `Debug` does not show them; cloning shares them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slate {
    /// `image/png` or `image/jpeg`.
    pub content_type: String,
    /// The file, at most [`Slate::BYTES_MAX`]. Its header was checked, its picture not decoded.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub data: Bytes,
}

impl Slate {
    /// The largest file, in bytes.
    pub const BYTES_MAX: usize = 512 << 10;
    /// The shortest side, in pixels.
    pub const SIDE_MIN: u32 = 16;
    /// The longest side, in pixels.
    pub const SIDE_MAX: u32 = 4_096;
}

impl fmt::Debug for Slate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slate({}, {} bytes)", self.content_type, self.data.len())
    }
}

fn to_base64<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
}

/// What a node tells every two seconds: everything that runs on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node's name, unique in the cluster.
    pub node: String,
    /// The broadcasts that run or ended since the last report that was answered.
    pub broadcasts: Vec<BroadcastReport>,
    /// The [`PlaybackRules::version`] that it plays by; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback: Option<String>,
}

/// The state of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastState {
    /// Media flows.
    Live,
    /// Its publisher is gone and may come back within the grace; the slate is shown.
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
    /// The publisher's session that is on; while reconnecting, the last one. It may change over a
    /// broadcast's life, and protocol and key with it.
    pub session: SessionId,
    /// How the publisher came in.
    #[serde(default)]
    pub protocol: Protocol,
    /// The `key_id` of its grant.
    pub key_id: String,
    /// Live, waiting for its publisher, or over.
    pub state: BroadcastState,
    /// When its media began, in microseconds since 1970.
    pub started_at_us: i64,
    /// Why it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SessionEnd>,
    /// The size of its source, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<PictureSize>,
    /// Whether it gives quality up now because encoding would fall behind.
    #[serde(default)]
    pub degraded: bool,
}

/// What the control plane answers to a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// Orders to the node, each carried out at most once and harmless when repeated.
    pub commands: Vec<NodeCommand>,
    /// Who may watch the channels of the report.
    #[serde(default)]
    pub access: Vec<ChannelAccess>,
    /// The rules of private playback, if they are not those that the node plays by already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback: Option<PlaybackRules>,
}

/// Who may watch one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAccess {
    /// Which channel.
    pub channel: ChannelName,
    /// Who may watch it.
    pub access: Access,
}

/// What a node checks viewers' tokens by. It keeps them until it is told others, however long the control plane is away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybackRules {
    /// Changes whenever anything here does.
    pub version: String,
    /// The keys that are valid, the one that signs first: at most [`crate::playback::KEYS_MAX`].
    pub keys: Vec<PlaybackKey>,
    /// The viewer sessions that are put out: at most [`crate::playback::DENIED_MAX`].
    pub denied: Vec<DeniedViewer>,
}

/// A viewer session that is put out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedViewer {
    /// Which.
    pub viewer: ViewerId,
    /// Until when a token of it may be good, in seconds since 1970; after that nobody need remember it.
    pub until_s: u64,
}

/// An order to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum NodeCommand {
    /// End this publisher session now, and its broadcast with it; also where the session is gone
    /// and the broadcast still waits for its publisher.
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn grant() -> PublishGrant {
        PublishGrant {
            channel: "demo".parse().unwrap(),
            key_id: "k1".to_owned(),
            title: "Demo".to_owned(),
            ladder: Ladder::default(),
            profile: LatencyProfile::Low,
            frame_rate: None,
            last_size: None,
            grace_s: 5,
            second_publisher: SecondPublisher::Refuse,
            passthrough: false,
            role: KeyRole::Backup,
            slate: Some(Slate { content_type: "image/png".to_owned(), data: Bytes::from_static(b"\x89PNG") }),
            dvr_s: 3_600,
            access: Access::Members,
        }
    }

    #[test]
    fn a_grant_comes_back_from_json_as_it_was() {
        let sent = serde_json::to_value(grant()).unwrap();
        assert_eq!(sent["slate"]["data"], "iVBORw==");
        assert_eq!((&sent["second_publisher"], &sent["role"]), (&json!("refuse"), &json!("backup")));
        assert_eq!(serde_json::from_value::<PublishGrant>(sent).unwrap(), grant());
    }

    #[test]
    fn a_grant_of_an_older_control_plane_has_the_usual_settings() {
        let mut sent = serde_json::to_value(grant()).unwrap();
        for new in ["grace_s", "second_publisher", "passthrough", "role", "slate", "dvr_s", "access"] {
            sent.as_object_mut().unwrap().remove(new).unwrap();
        }
        let read: PublishGrant = serde_json::from_value(sent).unwrap();
        assert_eq!((read.grace_s, read.slate, read.dvr_s, read.passthrough), (60, None, 0, true));
        assert_eq!((read.second_publisher, read.role), (SecondPublisher::Replace, KeyRole::Primary));
        assert_eq!(read.access, Access::Public);
    }

    #[test]
    fn a_slate_that_is_no_base64_is_refused() {
        let mut sent = serde_json::to_value(grant()).unwrap();
        sent["slate"]["data"] = json!("iVBORw=");
        assert!(serde_json::from_value::<PublishGrant>(sent).is_err());
    }

    #[test]
    fn debug_output_hides_the_picture() {
        assert!(format!("{:?}", grant()).contains("Slate(image/png, 4 bytes)"), "{:?}", grant());
    }

    #[test]
    fn the_words_of_the_api_are_those_of_json() {
        for word in [SecondPublisher::Replace, SecondPublisher::Refuse] {
            assert_eq!(serde_json::to_value(word).unwrap(), Value::from(word.as_str()));
        }
        for word in [KeyRole::Primary, KeyRole::Backup] {
            assert_eq!(serde_json::to_value(word).unwrap(), Value::from(word.as_str()));
        }
    }
}
