//! Broadcasts that run or ran, as their nodes reported them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schema::ChannelName;
use schema::ladder::PictureSize;
use serde::Serialize;
use serde_json::json;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::http::extract::BroadcastPath;
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::permission::{ChannelRole, Permission};
use crate::principal::Principal;
use crate::reports::node_silent_after;
use crate::sql;

/// What a publisher was admitted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// A stream key.
    Key,
    /// A publish token of the studio.
    Studio,
}

impl Credential {
    /// By whether the broadcast has a stream key.
    pub(crate) fn of(by_key: bool) -> Self {
        if by_key { Self::Key } else { Self::Studio }
    }
}

/// How a publisher came in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CameIn {
    /// `whip`.
    pub protocol: String,
    /// By a key or from the studio.
    pub credential: Credential,
    /// `primary` or `backup`, as the key is.
    pub role: String,
    /// The session that is on; while reconnecting and after the end, the last one.
    pub session: String,
}

/// What only callers with an API token are told of a broadcast.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Inside {
    /// How its publisher came in.
    #[serde(flatten)]
    pub came_in: CameIn,
    /// Why it ended: a word of [`schema::SessionEnd`], or `left_out` if its node just ceased to
    /// tell of it.
    pub end_reason: Option<String>,
    /// True while it gives quality up because its node's encoding would fall behind.
    pub degraded: bool,
}

/// One live run of a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Broadcast {
    /// Its id in URLs.
    pub id: String,
    /// Its channel's name.
    pub channel: String,
    /// `live`; `reconnecting`, while its publisher is gone and may come back; `ended`; or `lost`, if its
    /// node fell silent.
    pub state: String,
    /// When its media began, by its node's clock.
    pub started_at: DateTime<Utc>,
    /// When its end was reported.
    pub ended_at: Option<DateTime<Utc>>,
    /// The size of its source, once known.
    #[schema(value_type = Option<Object>)]
    pub source_size: Option<PictureSize>,
    /// More, for callers with an API token.
    #[serde(flatten)]
    pub inside: Option<Inside>,
}

/// A page of broadcasts.
#[derive(Debug, Clone, Serialize, ToSchema)]
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
    protocol: String,
    by_key: bool,
    role: String,
    session: String,
    degraded: bool,
    member: Option<String>,
}

impl BroadcastRow {
    /// A broadcast as everybody sees it; with its inside for those who may.
    fn seen_by(self, principal: Option<&Principal>) -> Broadcast {
        let member = self.member.as_deref().and_then(ChannelRole::of);
        let with_inside = principal.is_some_and(|one| one.may_on(Permission::ChannelInspect, member));
        let credential = Credential::of(self.by_key);
        let came_in = CameIn { protocol: self.protocol, credential, role: self.role, session: self.session };
        let inside = Inside { came_in, end_reason: self.end_reason, degraded: self.degraded };
        Broadcast {
            id: self.id,
            channel: self.channel,
            state: self.state,
            started_at: self.started_at,
            ended_at: self.ended_at,
            source_size: size(self.source_width, self.source_height),
            inside: with_inside.then_some(inside),
        }
    }
}

/// `GET /api/v1/broadcasts?channel=`
pub(crate) async fn list(
    principal: Option<Principal>,
    State(api): State<ControlApi>,
    query: PageQuery,
) -> Result<Json<BroadcastPage>, ApiError> {
    let channel = query.channel_name()?;
    let limit = query.limit()?;
    let (before, before_id) = position(&query)?.unzip();
    let sql = concat!(
        "select b.id, c.name as channel, b.started_at, b.ended_at, b.end_reason, \
                 b.source_width, b.source_height, b.protocol, b.key_id is not null as by_key, b.session, b.degraded, \
                 coalesce(k.role, 'primary') as role, m.role as member, \
                 case when b.state = 'live' and b.reported_at <= now() - ",
        node_silent_after!(),
        " then 'lost' when b.state = 'live' and b.reconnecting then 'reconnecting' else b.state end as state \
               from broadcasts b join channels c on c.id = b.channel_id left join stream_keys k on k.id = b.key_id \
                 left join channel_members m on m.channel_id = c.id and m.user_id = $5 \
               where c.deleted_at is null and ($1::text is null or c.name = $1) \
                 and ($1::text is not null or c.access <> 'unlisted' or m.user_id is not null or $6) \
                 and ($2::timestamptz is null or (b.started_at, b.id) < ($2, $3::text)) \
               order by b.started_at desc, b.id desc limit $4"
    );
    let rows: Vec<BroadcastRow> = sql::query_as(sql)
        .bind(channel.as_ref().map(ChannelName::as_str))
        .bind(before)
        .bind(before_id)
        .bind(limit + 1)
        .bind(principal.as_ref().and_then(Principal::user))
        .bind(principal.as_ref().is_some_and(|principal| principal.may(Permission::ChannelInspect)))
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let mut broadcasts = rows.into_iter().map(|row| row.seen_by(principal.as_ref())).collect();
    let next = page::cut(&mut broadcasts, limit, |last: &Broadcast| {
        format!("{} {}", last.started_at.timestamp_micros(), last.id)
    });
    Ok(Json(BroadcastPage { broadcasts, next }))
}

/// `POST /api/v1/broadcasts/{id}/end`: ended by its node within its next reports. Harmless when repeated.
pub(crate) async fn end(
    actor: Actor,
    State(api): State<ControlApi>,
    BroadcastPath(id): BroadcastPath,
) -> Result<StatusCode, ApiError> {
    let mut work = api.begin().await?;
    let sql = "select b.state = 'live', b.end_ordered_at is not null, b.channel_id, c.name from broadcasts b \
               join channels c on c.id = b.channel_id where b.id = $1 and c.deleted_at is null for update of b";
    let found: Option<(bool, bool, Uuid, String)> =
        sql::query_as(sql).bind(id.as_str()).fetch_optional(&mut *work).await?;
    let (live, ordered, channel, name) = found.ok_or(ApiError::Unknown("broadcast"))?;
    if !live {
        return Err(ApiError::Conflict { code: "broadcast_over", title: "the broadcast is over already" });
    }
    if !ordered {
        let sql = "update broadcasts set end_ordered_at = now() where id = $1";
        sql::query(sql).bind(id.as_str()).execute(&mut *work).await?;
        let (id, details) = (id.to_string(), json!({ "channel": name }));
        let deed = Deed { action: "broadcast.end", kind: "broadcast", id, channel: Some(channel), details };
        actor.note(&mut work, deed).await?;
        work.commit().await?;
    }
    Ok(StatusCode::ACCEPTED)
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
