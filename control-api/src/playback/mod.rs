//! Who may watch: playback tokens, viewer sessions, and how a right is taken back.
//!
//! A viewer asks once ([`start`]) and gets a token and the addresses to play from; each heartbeat keeps the session and
//! brings a new token before the old one ends. Nodes and edges check tokens without us, so what runs goes on while we or
//! the database are away; what is taken back goes to them as a list of viewer sessions ([`rules`]).

mod grants;
mod keys;
mod metrics;
mod right;
mod rules;
mod viewers;
mod writer;

use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use chrono::{DateTime, Utc};
use prometheus::Registry;
use schema::api::Access;
use schema::playback::{Claims, TOKEN_LIFE_LONG_S, TOKEN_LIFE_S};
use schema::{ChannelName, ViewerId};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::channels::word;
use crate::http::client::Client;
use crate::http::extract::{ChannelPath, Fields, invalid};
use crate::http::problem::ApiError;
use crate::members;
use crate::permission::Permission;
use crate::principal::{Principal, Who};
use crate::sql;
use keys::Keys;
use metrics::PlaybackMetrics;
use right::{Right, no_right, right, still_right};
use viewers::{End, Heard, Viewers, Watching};

pub(crate) use rules::{access_of, rules};
pub(crate) use writer::run as run_writer;

/// How often a viewer tells that it is there, in seconds.
const HEARTBEAT_S: u64 = 30;
/// The most viewer sessions of one account at a time.
const SESSIONS_PER_ACCOUNT: i64 = 3;

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

/// The routes of playback.
pub(crate) fn routes() -> Router<ControlApi> {
    Router::new()
        .route("/api/v1/playback/{name}", post(start))
        .route("/api/v1/viewer-sessions/{id}/heartbeat", post(heartbeat))
        .route("/api/v1/viewer-sessions/{id}/leave", post(leave))
        .route("/api/v1/viewer-sessions/{id}", axum::routing::delete(leave))
        .route("/api/v1/viewer-sessions/{id}/put-out", post(put_out))
        .route("/api/v1/channels/{name}/viewers", get(grants::list))
        .route("/api/v1/channels/{name}/viewers/{user}", put(grants::grant).delete(grants::take_back))
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

/// What a viewer plays by.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// The id of the viewer session.
    pub viewer_session: ViewerId,
    /// Who may watch the channel.
    pub access: &'static str,
    /// Proves the right to watch; for heartbeats, and in the addresses where the channel needs it.
    pub token: String,
    /// Until when the token is good.
    pub expires_at: DateTime<Utc>,
    /// How often to send a heartbeat, in seconds.
    pub heartbeat_s: u64,
    /// What stands before `/live/…`: nothing, or `/t/` and the token.
    pub base: String,
    /// The multivariant playlist.
    pub playlist: String,
    /// Whether the channel is live, and with what.
    pub state: String,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Serialize)]
pub struct Beat {
    /// `watching`; `put_out` or `not_allowed`, and then nothing plays any more.
    pub state: &'static str,
    /// A new token, when one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Until when it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Whether a player renews its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Player {
    /// By heartbeats, as our own page does.
    #[default]
    Renewing,
    /// Without script: it gets a token for a day.
    Simple,
}

impl Player {
    fn life_s(self) -> u64 {
        match self {
            Self::Renewing => TOKEN_LIFE_S,
            Self::Simple => TOKEN_LIFE_LONG_S,
        }
    }
}

#[derive(FromRow)]
struct ChannelRow {
    id: Uuid,
    access: String,
}

/// `POST /api/v1/playback/{channel}`
async fn start(
    principal: Option<Principal>,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    fields: Option<Fields>,
) -> Result<impl IntoResponse, ApiError> {
    let player = match fields {
        None => Player::default(),
        Some(mut fields) => {
            let player = fields.optional("player")?.unwrap_or_default();
            fields.finish()?;
            player
        }
    };
    let started = begin(&api, principal.as_ref(), name, player).await;
    api.playback().metrics.started(&started);
    Ok((StatusCode::CREATED, Json(started?)))
}

async fn begin(
    api: &ControlApi,
    principal: Option<&Principal>,
    name: ChannelName,
    player: Player,
) -> Result<Started, ApiError> {
    let keys = api.playback().keys.newest(api).await?;
    let mut work = api.begin().await?;
    let sql = "select id, access from channels where name = $1 and deleted_at is null";
    let row: Option<ChannelRow> = sql::query_as(sql).bind(name.as_str()).fetch_optional(&mut *work).await?;
    let ChannelRow { id, access } = row.ok_or(ApiError::Unknown("channel"))?;
    let access: Access = word(&access);
    let right = match access {
        Access::Public | Access::Unlisted => Right::Good { until_s: None },
        Access::Members => right(&mut work, principal, id).await?,
    };
    let Right::Good { until_s } = right else {
        return Err(no_right(principal));
    };
    let user = principal.and_then(Principal::user);
    let viewer = viewers::new_id();
    let now_s = unix_now();
    let token_until_s = until_s.unwrap_or(u64::MAX).min(now_s + player.life_s());
    if let Some(user) = user {
        take_place(&mut work, &viewer, id, user, token_until_s).await?;
        work.commit().await?;
    }
    let claims = Claims { channel: name.clone(), viewer: viewer.clone(), expires_s: token_until_s };
    let token = keys.sign(&claims).ok_or(ApiError::DatabaseUnavailable)?;
    let life_s = player.life_s();
    let mut watching = Watching::new(name.clone(), id, user, token_until_s, life_s, until_s, Instant::now());
    watching.api_token = principal.and_then(|principal| match principal.who {
        Who::Token(id) => Some(id),
        Who::User(_) => None,
    });
    if !api.playback().viewers.add(viewer.clone(), watching) {
        return Err(ApiError::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "viewers_too_many",
            title: "too many viewers are counted here now",
        });
    }
    let base = if access == Access::Members { format!("/t/{token}") } else { String::new() };
    Ok(Started {
        viewer_session: viewer,
        access: access.as_str(),
        expires_at: instant(token_until_s),
        token,
        heartbeat_s: HEARTBEAT_S,
        playlist: format!("{base}/live/{name}/index.m3u8"),
        state: format!("{base}/live/{name}/state.json"),
        base,
    })
}

/// Writes the session of an account at once, if it has a place left: so that no two servers give the last one twice.
async fn take_place(
    work: &mut PgConnection,
    viewer: &ViewerId,
    channel: Uuid,
    user: Uuid,
    token_until_s: u64,
) -> Result<(), ApiError> {
    sql::query("select pg_advisory_xact_lock(hashtextextended('viewer_sessions ' || $1::text, 0))")
        .bind(user)
        .execute(&mut *work)
        .await?;
    let sql = "insert into viewer_sessions (id, channel_id, user_id, token_until) \
               select $1, $2, $3, to_timestamp($4) where (select count(*) from viewer_sessions \
                 where user_id = $3 and ended_at is null and last_seen_at > now() - interval '90 seconds') < $5";
    let query = sql::query(sql).bind(viewer.as_str()).bind(channel).bind(user).bind(seconds(token_until_s));
    let made = query.bind(SESSIONS_PER_ACCOUNT).execute(work).await?;
    match made.rows_affected() {
        0 => Err(ApiError::Conflict {
            code: "viewer_sessions_too_many",
            title: "this account watches in three places already; leave one of them",
        }),
        _ => Ok(()),
    }
}

/// `POST /api/v1/viewer-sessions/{id}/heartbeat`: costs no database but when a token is due.
async fn heartbeat(
    State(api): State<ControlApi>,
    ViewerPath(viewer): ViewerPath,
    fields: Option<Fields>,
) -> Result<Json<Beat>, ApiError> {
    let token: Option<String> = match fields {
        None => None,
        Some(mut fields) => {
            let token = fields.optional("token")?;
            fields.finish()?;
            token
        }
    };
    let (viewers, now) = (&api.playback().viewers, Instant::now());
    api.playback().metrics.heartbeats.inc();
    let mut heard = viewers.heard(&viewer, now, unix_now());
    if heard == Heard::Unknown && remember(&api, &viewer, token.as_deref()).await? {
        heard = viewers.heard(&viewer, now, unix_now());
    }
    match heard {
        Heard::Unknown => Err(ApiError::Unknown("viewer_session")),
        Heard::Ended(end) => Ok(Json(Beat { state: end.told(), token: None, expires_at: None })),
        Heard::Watching => Ok(Json(Beat { state: "watching", token: None, expires_at: None })),
        Heard::TokenDue => renew(&api, viewer).await.map(Json),
    }
}

#[derive(FromRow)]
struct SessionRow {
    channel_id: Uuid,
    channel: String,
    user_id: Option<Uuid>,
    token_until_s: i64,
    end_reason: Option<String>,
}

/// Takes a session up again that a server before us knew. Its token proves that there was one, so that strangers' guesses
/// cost nothing.
async fn remember(api: &ControlApi, viewer: &ViewerId, token: Option<&str>) -> Result<bool, ApiError> {
    let keys = api.playback().keys.newest(api).await?;
    let claims = token.and_then(|token| keys.read(token).ok());
    if claims.is_none_or(|claims| claims.viewer != *viewer) {
        return Ok(false);
    }
    let mut work = api.begin().await?;
    let Some(row) = find(&mut work, viewer).await? else { return Ok(false) };
    let Ok(channel) = row.channel.parse() else { return Ok(false) };
    let until_s = u64::try_from(row.token_until_s).unwrap_or(0);
    let mut watching = Watching::new(channel, row.channel_id, row.user_id, until_s, TOKEN_LIFE_S, None, Instant::now());
    watching.end = row.end_reason.as_deref().and_then(End::lasting);
    Ok(api.playback().viewers.add(viewer.clone(), watching))
}

async fn find(work: &mut PgConnection, viewer: &ViewerId) -> Result<Option<SessionRow>, sqlx::Error> {
    let sql = "select s.channel_id, c.name as channel, s.user_id, extract(epoch from s.token_until)::bigint \
               as token_until_s, s.end_reason from viewer_sessions s join channels c on c.id = s.channel_id \
               where s.id = $1 and c.deleted_at is null";
    sql::query_as(sql).bind(viewer.as_str()).fetch_optional(work).await
}

/// A new token for whoever may still watch. While the database is away, what was known last counts.
async fn renew(api: &ControlApi, viewer: ViewerId) -> Result<Beat, ApiError> {
    let viewers = &api.playback().viewers;
    let Some(watching) = viewers.get(&viewer) else { return Err(ApiError::Unknown("viewer_session")) };
    let right = match still_right(api, &watching).await {
        Err(ApiError::DatabaseUnavailable) => Right::Good { until_s: watching.right_until_s },
        right => right?,
    };
    let now_s = unix_now();
    let Right::Good { until_s } = right else {
        viewers.end(&viewer, End::NotAllowed, Instant::now());
        return Ok(Beat { state: End::NotAllowed.told(), token: None, expires_at: None });
    };
    let token_until_s = until_s.unwrap_or(u64::MAX).min(now_s + watching.life_s);
    let keys = api.playback().keys.newest(api).await?;
    let claims = Claims { channel: watching.channel, viewer: viewer.clone(), expires_s: token_until_s };
    let token = keys.sign(&claims).ok_or(ApiError::DatabaseUnavailable)?;
    viewers.renewed(&viewer, token_until_s, until_s);
    Ok(Beat { state: "watching", token: Some(token), expires_at: Some(instant(token_until_s)) })
}

/// `DELETE /api/v1/viewer-sessions/{id}`, or `POST …/leave` as browsers send it when a page goes. Harmless when repeated.
async fn leave(State(api): State<ControlApi>, ViewerPath(viewer): ViewerPath) -> StatusCode {
    api.playback().viewers.end(&viewer, End::Left, Instant::now());
    StatusCode::NO_CONTENT
}

/// `POST /api/v1/viewer-sessions/{id}/put-out`: nodes refuse its tokens within seconds, edges within a minute.
async fn put_out(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    ViewerPath(viewer): ViewerPath,
) -> Result<StatusCode, ApiError> {
    let known = api.playback().viewers.get(&viewer);
    let mut work = api.begin().await?;
    let channel = match &known {
        Some(watching) => watching.channel_id,
        None => find(&mut work, &viewer).await?.ok_or(ApiError::Unknown("viewer_session"))?.channel_id,
    };
    if !members::may(&mut work, Some(&principal), Permission::BroadcastEnd, channel).await? {
        return Err(ApiError::RoleInsufficient);
    }
    let life_s = known.as_ref().map_or(TOKEN_LIFE_LONG_S, |watching| watching.life_s);
    let sql = "with ended as (update viewer_sessions set ended_at = coalesce(ended_at, now()), end_reason = 'put_out' \
                 where id = $1) \
               insert into denied_viewers (viewer_session, until) values ($1, now() + $2 * interval '1 second') \
               on conflict (viewer_session) do nothing";
    sql::query(sql).bind(viewer.as_str()).bind(seconds(life_s)).execute(&mut *work).await?;
    let done = Done { action: "viewer.put_out", object: ("viewer_session", viewer.as_str()), channel };
    record(&mut work, &principal, &client, &done).await?;
    work.commit().await?;
    api.playback().viewers.end(&viewer, End::PutOut, Instant::now());
    tracing::info!(%viewer, by = principal.name, "a viewer session was put out");
    Ok(StatusCode::NO_CONTENT)
}

/// What was done, for the audit.
struct Done<'a> {
    action: &'a str,
    object: (&'a str, &'a str),
    channel: Uuid,
}

/// Writes down what was done, in the transaction that does it.
async fn record(
    work: &mut PgConnection,
    principal: &Principal,
    client: &Client,
    done: &Done<'_>,
) -> Result<(), sqlx::Error> {
    let (kind, actor) = match principal.who {
        Who::User(id) => ("user", id),
        Who::Token(id) => ("token", id),
    };
    let sql = "insert into audit (actor_kind, actor, action, object_kind, object_id, channel_id, address) \
               values ($1, $2, $3, $4, $5, $6, $7::inet)";
    sql::query(sql)
        .bind(kind)
        .bind(actor.to_string())
        .bind(done.action)
        .bind(done.object.0)
        .bind(done.object.1)
        .bind(done.channel)
        .bind(client.address.map(|address| address.to_string()))
        .execute(work)
        .await?;
    Ok(())
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

/// A time in the future, as a field of a body says it.
fn future(field: &'static str, until: DateTime<Utc>) -> Result<DateTime<Utc>, ApiError> {
    match until > Utc::now() {
        true => Ok(until),
        false => Err(invalid(field, "must be in the future".into())),
    }
}
