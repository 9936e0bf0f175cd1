//! Channels: the durable thing a creator owns.

mod settings;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use schema::ChannelName;
use schema::api::{Access, PublishGrant, SecondPublisher};
use schema::ladder::{Ladder, LatencyProfile, PictureSize};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};
use sqlx::types::Json as Jsonb;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::api_tokens::Admin;
use crate::broadcasts::{CameIn, Credential, size};
use crate::http::extract::{ChannelPath, Fields, Patch};
use crate::http::page::{self, PageQuery};
use crate::http::problem::ApiError;
use crate::members;
use crate::permission::Permission;
use crate::principal::Principal;
use crate::reports::node_silent_after;
use crate::sql;
use settings::Settings;

/// A channel as its admin sees it.
#[derive(Debug, Clone, Serialize)]
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
    pub last_size: Option<PictureSize>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A channel as everybody sees it. The last fields are for callers with an API token alone.
#[derive(Debug, Clone, Serialize)]
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
#[derive(Debug, Clone, Serialize)]
pub struct Past {
    /// `null` where none has ended yet.
    pub last_end: Option<LastEnd>,
}

/// The end of a broadcast.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct LastEnd {
    /// Which.
    pub broadcast: String,
    /// When it was reported.
    pub at: DateTime<Utc>,
    /// Why: a word of [`schema::SessionEnd`], or `left_out` if its node just ceased to tell of it.
    pub reason: Option<String>,
}

/// Whether the publisher of a running broadcast is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveState {
    /// Media flows.
    Live,
    /// The publisher is gone and may come back; the broadcast goes on meanwhile.
    Reconnecting,
}

/// The running broadcast of a channel.
#[derive(Debug, Clone, Serialize)]
pub struct LiveBroadcast {
    /// Which.
    pub broadcast: String,
    /// Whether its publisher is there.
    pub state: LiveState,
    /// When its media began.
    pub started_at: DateTime<Utc>,
    /// The size of its source, once known.
    pub source_size: Option<PictureSize>,
    /// How its publisher came in, for callers with an API token.
    #[serde(flatten)]
    pub came_in: Option<CameIn>,
    /// True while it gives quality up because its node's encoding would fall behind; for callers with an API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<bool>,
}

/// A page of channels.
#[derive(Debug, Clone, Serialize)]
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
             slate is not null as slate, dvr_s, access, last_width, last_height, created_at, updated_at"
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

/// `POST /api/v1/channels`
pub(crate) async fn create(
    _: Admin,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    let name: ChannelName = fields.required("name")?;
    let wished = Settings::take(&mut fields)?;
    fields.finish()?;
    let sql = returning_channel!(
        "insert into channels (id, name, title, profile, frame_rate, ladder, grace_s, second_publisher, dvr_s, \
         passthrough, access) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (name) where deleted_at is null do nothing"
    );
    let mut work = api.begin().await?;
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
        .fetch_optional(&mut *work)
        .await?;
    work.commit().await?;
    let row =
        row.ok_or(ApiError::Conflict { code: "channel_exists", title: "there is a channel of this name already" })?;
    let location = [(LOCATION, format!("/api/v1/channels/{name}"))];
    Ok((StatusCode::CREATED, location, Json(Channel::from(row))))
}

/// `PATCH /api/v1/channels/{name}`, a merge patch (RFC 7396). It bites at the next admission.
pub(crate) async fn update(
    _: Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    mut fields: Fields,
) -> Result<Json<Channel>, ApiError> {
    let wished = Settings::take(&mut fields)?;
    fields.finish()?;
    let sql = returning_channel!(
        "update channels set title = coalesce($2, title), profile = coalesce($3, profile), \
         frame_rate = case when $4 then $5 else frame_rate end, ladder = case when $6 then $7 else ladder end, \
         grace_s = coalesce($8, grace_s), second_publisher = coalesce($9, second_publisher), \
         dvr_s = coalesce($10, dvr_s), \
         passthrough = coalesce($11, passthrough), \
         access = coalesce($12, access), \
         updated_at = now() where name = $1 and deleted_at is null"
    );
    let mut work = api.begin().await?;
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
        .bind(wished.access.map(Access::as_str))
        .fetch_optional(&mut *work)
        .await?;
    work.commit().await?;
    row.map(|row| Json(row.into())).ok_or(ApiError::Unknown("channel"))
}

/// `DELETE /api/v1/channels/{name}`: its keys are revoked with it, so a running session is ended
/// at its node's next report.
pub(crate) async fn remove(
    _: Admin,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<StatusCode, ApiError> {
    let sql = "with gone as (update channels set deleted_at = now() \
                 where name = $1 and deleted_at is null returning id), \
               revoked as (update stream_keys k set revoked_at = now() from gone \
                 where k.channel_id = gone.id and k.revoked_at is null) \
               select id from gone";
    let query = sql::query_scalar::<Uuid>(sql).bind(name.as_str());
    let mut work = api.begin().await?;
    let gone = query.fetch_optional(&mut *work).await?;
    work.commit().await?;
    gone.map(|_| StatusCode::NO_CONTENT).ok_or(ApiError::Unknown("channel"))
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
