//! Channels: the durable thing a creator owns.

pub(crate) mod settings;
mod shape;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use schema::ChannelName;
use schema::api::{Access, PublishGrant, SecondPublisher};
use schema::ladder::{Ladder, LatencyProfile};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::json;
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::broadcasts::{CameIn, Credential, size};
use crate::http::extract::{ChannelPath, Fields, Patch};
use crate::http::once::Once;
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::http::version::{IfMatch, etag};
use crate::members;
use crate::permission::Permission;
use crate::principal::Principal;
use crate::reports::node_silent_after;
use crate::sql;
use settings::Settings;
pub use shape::{Channel, LastEnd, LiveBroadcast, LiveState, Past, PublicChannel};

/// The most channels that a user may own.
const OWNED_MAX: i64 = 100;

/// A page of channels.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChannelPage {
    /// In the order of their names.
    pub channels: Vec<PublicChannel>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

#[derive(FromRow)]
struct ChannelRow {
    name: String,
    title: String,
    profile: String,
    frame_rate: Option<i32>,
    ladder: Option<Jsonb<Ladder>>,
    grace_s: i32,
    second_publisher: String,
    passthrough: bool,
    slate: bool,
    dvr_s: i32,
    access: String,
    last_width: Option<i32>,
    last_height: Option<i32>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    id: Uuid,
    version: i64,
}

impl From<ChannelRow> for Channel {
    fn from(row: ChannelRow) -> Self {
        Self {
            name: row.name,
            title: row.title,
            profile: row.profile,
            frame_rate: row.frame_rate,
            ladder: row.ladder.map(|ladder| ladder.0),
            grace_s: row.grace_s,
            second_publisher: row.second_publisher,
            passthrough: row.passthrough,
            slate: row.slate,
            dvr_s: row.dvr_s,
            access: row.access,
            last_size: size(row.last_width, row.last_height),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(FromRow)]
struct PublicRow {
    id: Uuid,
    name: String,
    title: String,
    profile: String,
    access: String,
    live_broadcast: Option<String>,
    live_started_at: Option<DateTime<Utc>>,
    reconnecting: Option<bool>,
    source_width: Option<i32>,
    source_height: Option<i32>,
    protocol: Option<String>,
    by_key: bool,
    role: String,
    session: Option<String>,
    degraded: Option<bool>,
}

impl PublicRow {
    fn came_in(&self) -> Option<CameIn> {
        let (protocol, session) = self.protocol.clone().zip(self.session.clone())?;
        Some(CameIn { protocol, credential: Credential::of(self.by_key), role: self.role.clone(), session })
    }
}

impl From<PublicRow> for PublicChannel {
    fn from(row: PublicRow) -> Self {
        let source_size = size(row.source_width, row.source_height);
        let state = if row.reconnecting == Some(true) { LiveState::Reconnecting } else { LiveState::Live };
        let live = row.live_broadcast.zip(row.live_started_at);
        let live = live.map(|(broadcast, started_at)| LiveBroadcast {
            broadcast,
            state,
            started_at,
            source_size,
            came_in: None,
            degraded: None,
        });
        Self { name: row.name, title: row.title, profile: row.profile, access: row.access, live, past: None }
    }
}

/// Channels with the broadcast that runs on each.
macro_rules! public_channels {
    ($tail:literal) => {
        concat!(
            "select c.id, c.name, c.title, c.profile, c.access, b.id as live_broadcast, b.started_at as live_started_at, \
             b.reconnecting, b.source_width, b.source_height, b.protocol, b.session, b.degraded, \
             b.key_id is not null as by_key, coalesce(k.role, 'primary') as role \
             from channels c left join lateral ( \
               select * from broadcasts b where b.channel_id = c.id and b.state = 'live' \
               and b.reported_at > now() - ",
            node_silent_after!(),
            " order by b.started_at desc limit 1) b on true left join stream_keys k on k.id = b.key_id \
             where c.deleted_at is null and ",
            $tail
        )
    };
}

/// A statement that gives a channel as its admin sees it; not its slate, which may be large.
macro_rules! returning_channel {
    ($statement:literal) => {
        concat!(
            $statement,
            " returning name, title, profile, frame_rate, ladder, grace_s, second_publisher, passthrough, \
             slate is not null as slate, dvr_s, access, last_width, last_height, created_at, updated_at, id, version"
        )
    };
}

/// `GET /api/v1/channels`: those that are not listed, for who keeps them alone.
pub(crate) async fn list(
    principal: Option<Principal>,
    State(api): State<ControlApi>,
    query: PageQuery,
) -> Result<Json<ChannelPage>, ApiError> {
    let limit = query.limit()?;
    let sees_all = principal.as_ref().is_some_and(|principal| principal.may(Permission::ChannelInspect));
    let sql = public_channels!(
        "(c.access <> 'unlisted' or $3 or exists (select from channel_members m \
           where m.channel_id = c.id and m.user_id = $4)) \
         and ($1::text is null or c.name > $1) order by c.name limit $2"
    );
    let rows: Vec<PublicRow> = sql::query_as(sql)
        .bind(query.after()?)
        .bind(limit + 1)
        .bind(sees_all)
        .bind(principal.as_ref().and_then(Principal::user))
        .fetch_all(&mut *api.begin().await?)
        .await?;
    let mut channels = rows.into_iter().map(PublicChannel::from).collect();
    let next = page::cut(&mut channels, limit, |channel| channel.name.clone());
    Ok(Json(ChannelPage { channels, next }))
}

/// `GET /api/v1/channels/{name}`
pub(crate) async fn show(
    principal: Option<Principal>,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<Json<PublicChannel>, ApiError> {
    let mut work = api.begin().await?;
    let query = sql::query_as(public_channels!("c.name = $1")).bind(name.as_str());
    let row: Option<PublicRow> = query.fetch_optional(&mut *work).await?;
    let row = row.ok_or(ApiError::Unknown("channel"))?;
    let (id, came_in, degraded) = (row.id, row.came_in(), row.degraded);
    let mut channel = PublicChannel::from(row);
    if members::may(&mut work, principal.as_ref(), Permission::ChannelInspect, id).await? {
        channel.past = Some(Past { last_end: last_end(&mut work, &name).await? });
        if let Some(live) = &mut channel.live {
            live.came_in = came_in;
            live.degraded = degraded;
        }
    }
    Ok(Json(channel))
}

async fn last_end(work: &mut PgConnection, name: &ChannelName) -> Result<Option<LastEnd>, sqlx::Error> {
    let sql = "select b.id as broadcast, b.ended_at as at, b.end_reason as reason \
               from broadcasts b join channels c on c.id = b.channel_id \
               where c.name = $1 and c.deleted_at is null and b.state = 'ended' \
               order by b.ended_at desc limit 1";
    sql::query_as(sql).bind(name.as_str()).fetch_optional(work).await
}

/// `GET /api/v1/channels/{name}/settings`
pub(crate) async fn settings(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<Response, ApiError> {
    let sql = "select name, title, profile, frame_rate, ladder, grace_s, second_publisher, passthrough, \
                 slate is not null as slate, dvr_s, access, last_width, last_height, created_at, updated_at, id, version \
               from channels where name = $1 and deleted_at is null";
    let query = sql::query_as(sql).bind(name.as_str());
    let row: Option<ChannelRow> = query.fetch_optional(&mut *api.begin().await?).await?;
    let row = row.ok_or(ApiError::Unknown("channel"))?;
    Ok((etag(row.version), Json(Channel::from(row))).into_response())
}

/// `POST /api/v1/channels`: who makes one owns it.
pub(crate) async fn create(
    actor: Actor,
    once: Once,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name: ChannelName = fields.required("name")?;
    let wished = Settings::take(&mut fields)?;
    fields.finish()?;
    let mut work = api.begin().await?;
    if let Some(told) = once.begin(&mut work).await? {
        return Ok(told);
    }
    let row = insert(&mut work, &name, wished).await?;
    if let Some(user) = actor.principal.user() {
        has_room(&mut work, user).await?;
        members::own(&mut work, row.id, user).await?;
    }
    actor.note(&mut work, deed("channel.create", row.id, json!({ "name": name.as_str() }))).await?;
    let location = format!("/api/v1/channels/{name}");
    let version = row.version;
    let mut answer = once.created(&mut work, Some(location), &Channel::from(row)).await?;
    work.commit().await?;
    answer.headers_mut().extend(etag(version));
    Ok(answer)
}

/// Admins make channels for others.
async fn has_room(work: &mut PgConnection, user: Uuid) -> Result<(), ApiError> {
    let sql = "select count(*) < $2 from channel_members m join channels c on c.id = m.channel_id \
               where m.user_id = $1 and m.role = 'owner' and c.deleted_at is null";
    match sql::query_scalar(sql).bind(user).bind(OWNED_MAX).fetch_one(work).await? {
        true => Ok(()),
        false => Err(ApiError::Conflict { code: "channels_too_many", title: "this user owns 100 channels already" }),
    }
}

async fn insert(work: &mut PgConnection, name: &ChannelName, wished: Settings) -> Result<ChannelRow, ApiError> {
    let sql = returning_channel!(
        "insert into channels (id, name, title, profile, frame_rate, ladder, grace_s, second_publisher, dvr_s, \
         passthrough, access) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (name) where deleted_at is null do nothing"
    );
    let row: Option<ChannelRow> = sql::query_as(sql)
        .bind(Uuid::now_v7())
        .bind(name.as_str())
        .bind(wished.title.unwrap_or_else(|| name.to_string()))
        .bind(wished.profile.unwrap_or_default().as_str())
        .bind(wished.frame_rate.value())
        .bind(wished.ladder.value().map(Jsonb))
        .bind(wished.grace_s.unwrap_or(PublishGrant::GRACE_S_USUAL.cast_signed()))
        .bind(wished.second_publisher.unwrap_or_default().as_str())
        .bind(wished.dvr_s.unwrap_or(0))
        .bind(wished.passthrough.unwrap_or(true))
        .bind(wished.access.unwrap_or_default().as_str())
        .fetch_optional(work)
        .await?;
    row.ok_or(ApiError::Conflict { code: "channel_exists", title: "there is a channel of this name already" })
}

/// `PATCH /api/v1/channels/{name}`, a merge patch (RFC 7396). It bites at the next admission.
pub(crate) async fn update(
    actor: Actor,
    if_match: IfMatch,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let names = fields.names();
    let wished = Settings::take(&mut fields)?;
    fields.finish()?;
    let mut work = api.begin().await?;
    let row = change(&mut work, &name, &if_match, wished).await?;
    let details = json!({ "name": name.as_str(), "fields": names });
    actor.note(&mut work, deed("channel.update", row.id, details)).await?;
    work.commit().await?;
    Ok((etag(row.version), Json(Channel::from(row))).into_response())
}

fn deed(action: &'static str, channel: Uuid, details: serde_json::Value) -> Deed {
    Deed { action, kind: "channel", id: channel.to_string(), channel: Some(channel), details }
}

async fn change(
    work: &mut PgConnection,
    name: &ChannelName,
    if_match: &IfMatch,
    wished: Settings,
) -> Result<ChannelRow, ApiError> {
    let sql = returning_channel!(
        "update channels set title = coalesce($2, title), profile = coalesce($3, profile), \
         frame_rate = case when $4 then $5 else frame_rate end, ladder = case when $6 then $7 else ladder end, \
         grace_s = coalesce($8, grace_s), second_publisher = coalesce($9, second_publisher), \
         dvr_s = coalesce($10, dvr_s), \
         passthrough = coalesce($11, passthrough), \
         access = coalesce($13, access), \
         updated_at = now(), version = version + 1 \
         where name = $1 and deleted_at is null and ($12::bigint[] is null or version = any($12))"
    );
    let row: Option<ChannelRow> = sql::query_as(sql)
        .bind(name.as_str())
        .bind(wished.title)
        .bind(wished.profile.map(LatencyProfile::as_str))
        .bind(wished.frame_rate != Patch::Keep)
        .bind(wished.frame_rate.value())
        .bind(wished.ladder != Patch::Keep)
        .bind(wished.ladder.value().map(Jsonb))
        .bind(wished.grace_s)
        .bind(wished.second_publisher.map(SecondPublisher::as_str))
        .bind(wished.dvr_s)
        .bind(wished.passthrough)
        .bind(if_match.versions())
        .bind(wished.access.map(Access::as_str))
        .fetch_optional(&mut *work)
        .await?;
    match row {
        Some(row) => Ok(row),
        // It is not there, or in another version.
        None => channel_id(work, name).await.and(Err(ApiError::VersionChanged)),
    }
}

/// `DELETE /api/v1/channels/{name}`: its keys are revoked with it, so a running session is ended
/// at its node's next report.
pub(crate) async fn remove(
    actor: Actor,
    if_match: IfMatch,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<StatusCode, ApiError> {
    let sql = "with gone as (update channels set deleted_at = now() \
                 where name = $1 and deleted_at is null and ($2::bigint[] is null or version = any($2)) \
                 returning id), \
               revoked as (update stream_keys k set revoked_at = now() from gone \
                 where k.channel_id = gone.id and k.revoked_at is null) \
               select id from gone";
    let query = sql::query_scalar::<Uuid>(sql).bind(name.as_str()).bind(if_match.versions());
    let mut work = api.begin().await?;
    let Some(gone) = query.fetch_optional(&mut *work).await? else {
        return channel_id(&mut work, &name).await.and(Err(ApiError::VersionChanged));
    };
    actor.note(&mut work, deed("channel.delete", gone, json!({ "name": name.as_str() }))).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of the channel that has this name now.
pub(crate) async fn channel_id(work: &mut PgConnection, name: &ChannelName) -> Result<Uuid, ApiError> {
    let sql = "select id from channels where name = $1 and deleted_at is null";
    let query = sql::query_scalar(sql).bind(name.as_str());
    let found = query.fetch_optional(work).await?;
    found.ok_or(ApiError::Unknown("channel"))
}

/// One of several words as it stands in the database, whose check allows no other.
pub(crate) fn word<T: DeserializeOwned + Default>(word: &str) -> T {
    let words = StrDeserializer::<ValueError>::new(word);
    T::deserialize(words).unwrap_or_default()
}
