//! Broadcasts that run or ran, as their nodes reported them.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use schema::ChannelName;
use schema::ladder::PictureSize;
use serde::Serialize;
use sqlx::FromRow;

use crate::ControlApi;
use crate::http::extract::invalid;
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::sql;

/// One live run of a channel.
#[derive(Debug, Clone, Serialize)]
pub struct Broadcast {
    /// Its id in URLs.
    pub id: String,
    /// Its channel's name.
    pub channel: String,
    /// `live`; `ended`; or `lost`, if its node fell silent.
    pub state: String,
    /// When its media began, by its node's clock.
    pub started_at: DateTime<Utc>,
    /// When its end was reported.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// The size of its source, once known.
    pub source_size: Option<PictureSize>,
}

/// A page of broadcasts.
#[derive(Debug, Clone, Serialize)]
pub struct BroadcastPage {
    /// Newest first.
    pub broadcasts: Vec<Broadcast>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

#[derive(FromRow)]
struct BroadcastRow {
    id: String,
    channel: String,
    state: String,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    end_reason: Option<String>,
    source_width: Option<i32>,
    source_height: Option<i32>,
}

impl From<BroadcastRow> for Broadcast {
    fn from(row: BroadcastRow) -> Self {
        Self {
            id: row.id,
            channel: row.channel,
            state: row.state,
            started_at: row.started_at,
            ended_at: row.ended_at,
            end_reason: row.end_reason,
            source_size: size(row.source_width, row.source_height),
        }
    }
}

/// `GET /api/v1/broadcasts?channel=`
pub(crate) async fn list(State(api): State<ControlApi>, query: PageQuery) -> Result<Json<BroadcastPage>, ApiError> {
    let channel = channel_of(&query)?;
    let limit = query.limit()?;
    let (before, before_id) = position(&query)?.unzip();
    let sql = "select b.id, c.name as channel, b.started_at, b.ended_at, b.end_reason, \
                 b.source_width, b.source_height, \
                 case when b.state = 'live' and b.reported_at <= now() - interval '15 seconds' \
                   then 'lost' else b.state end as state \
               from broadcasts b join channels c on c.id = b.channel_id \
               where c.deleted_at is null and ($1::text is null or c.name = $1) \
                 and ($2::timestamptz is null or (b.started_at, b.id) < ($2, $3::text)) \
               order by b.started_at desc, b.id desc limit $4";
    let rows: Vec<BroadcastRow> = sql::query_as(sql)
        .bind(channel.as_ref().map(ChannelName::as_str))
        .bind(before)
        .bind(before_id)
        .bind(limit + 1)
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let mut broadcasts = rows.into_iter().map(Broadcast::from).collect();
    let next = page::cut(&mut broadcasts, limit, |last: &Broadcast| {
        format!("{} {}", last.started_at.timestamp_micros(), last.id)
    });
    Ok(Json(BroadcastPage { broadcasts, next }))
}

fn channel_of(query: &PageQuery) -> Result<Option<ChannelName>, ApiError> {
    let parse = |name: &str| name.parse().map_err(|error| invalid("channel", format!("{error}")));
    query.channel.as_deref().map(parse).transpose()
}

/// Start and id of the last broadcast of the page before.
fn position(query: &PageQuery) -> Result<Option<(DateTime<Utc>, String)>, ApiError> {
    let Some(after) = query.after()? else {
        return Ok(None);
    };
    let read = |text: &str| {
        let (micros, id) = text.split_once(' ')?;
        let started_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some((started_at, id.to_owned()))
    };
    read(&after).map(Some).ok_or_else(page::bad_cursor)
}

/// A size as it stands in the database.
pub(crate) fn size(width: Option<i32>, height: Option<i32>) -> Option<PictureSize> {
    let width = u32::try_from(width?).ok()?;
    let height = u32::try_from(height?).ok()?;
    Some(PictureSize { width, height })
}
