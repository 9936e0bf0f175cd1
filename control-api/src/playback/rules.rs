//! What the answer to a node's report says of playback: who may watch its channels, by which keys tokens are good, and who
//! is put out.

use std::collections::BTreeSet;

use schema::ChannelName;
use schema::api::{ChannelAccess, DeniedViewer, PlaybackRules};
use schema::playback::DENIED_MAX;
use sqlx::{FromRow, PgConnection};

use super::keys;
use crate::ControlApi;
use crate::channels::word;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

#[derive(FromRow)]
struct AccessRow {
    name: String,
    access: String,
}

/// Who may watch the channels of a report.
pub(crate) async fn access_of(
    work: &mut PgConnection,
    channels: BTreeSet<ChannelName>,
) -> Result<Vec<ChannelAccess>, sqlx::Error> {
    if channels.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
    let sql = "select name, access from channels where name = any ($1) and deleted_at is null order by name";
    let rows: Vec<AccessRow> = sql::query_as(sql).bind(names).fetch_all(work).await?;
    let parsed = rows
        .into_iter()
        .filter_map(|row| Some(ChannelAccess { channel: row.name.parse().ok()?, access: word(&row.access) }));
    Ok(parsed.collect())
}

#[derive(FromRow)]
struct DeniedRow {
    viewer_session: String,
    until_s: i64,
}

/// The rules, unless the node has them already.
pub(crate) async fn rules(api: &ControlApi, known: Option<&str>) -> Result<Option<PlaybackRules>, ApiError> {
    api.playback().keys.newest(api).await?; // makes the first one
    let mut work = api.begin().await?;
    let keys = keys::read(&mut work, api).await?;
    let sql = "select version from denied_version";
    let state: i64 = sql::query_scalar(sql).fetch_one(&mut *work).await?;
    let names: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let version = hex::encode(&secret::hash(&format!("{} {state}", names.join(" ")))[..8]);
    if known == Some(version.as_str()) {
        return Ok(None);
    }
    let sql = "select viewer_session, ceil(extract(epoch from until))::bigint as until_s from denied_viewers \
               where until > now() order by until desc limit $1";
    let most = i64::try_from(DENIED_MAX).unwrap_or(i64::MAX);
    let rows: Vec<DeniedRow> = sql::query_as(sql).bind(most).fetch_all(&mut *work).await?;
    let denied = rows.into_iter().filter_map(|row| {
        Some(DeniedViewer { viewer: row.viewer_session.parse().ok()?, until_s: u64::try_from(row.until_s).ok()? })
    });
    Ok(Some(PlaybackRules { version, keys, denied: denied.collect() }))
}
