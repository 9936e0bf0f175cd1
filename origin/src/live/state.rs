//! `state.json`: whether a channel is live, for pages. Asks nobody, so it answers without a database.

use chrono::{DateTime, SecondsFormat};
use schema::{ChannelName, UnixMicros};
use serde_json::{Value, json};

use super::directory::Listed;
use super::route::{dvr_path, multivariant_path};

/// The state of `channel`, whose current broadcast is `current`.
pub(crate) fn of(channel: &ChannelName, current: Option<&Listed>) -> Value {
    let playlist = multivariant_path(channel);
    let Some(listed) = current else {
        return json!({ "state": "offline", "playlist": playlist });
    };
    let broadcast = &listed.broadcast;
    let ended = broadcast.has_ended();
    json!({
        "state": if ended { "ended" } else { "live" },
        "reconnecting": !ended && listed.is_reconnecting(),
        "broadcast": broadcast.id,
        "title": broadcast.title,
        "profile": broadcast.profile,
        "started_at": rfc3339(broadcast.started_at),
        "playlist": playlist,
        "dvr": (broadcast.dvr_s > 0).then(|| json!({ "playlist": dvr_path(channel), "seconds": broadcast.dvr_s })),
    })
}

/// What everybody is told of a broadcast that is for members: nothing but that.
pub(crate) fn for_members() -> Value {
    json!({ "state": "members" })
}

/// The time as RFC 3339 in UTC, to the millisecond; `None` beyond the calendar.
fn rfc3339(at: UnixMicros) -> Option<String> {
    DateTime::from_timestamp_micros(at.0).map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
}
