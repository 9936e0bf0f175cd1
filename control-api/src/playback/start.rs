//! A viewer asks once, and gets a session with its token and the addresses to play from.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use schema::api::Access;
use schema::playback::{Claims, TOKEN_LIFE_LONG_S, TOKEN_LIFE_S};
use schema::{ChannelName, ViewerId};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::right::{Right, no_right, right};
use super::viewers::{self, Watching};
use super::{ChannelRow, HEARTBEAT_S, instant, seconds, unix_now};
use crate::ControlApi;
use crate::channels::word;
use crate::http::extract::{ChannelPath, Fields};
use crate::http::problem::ApiError;
use crate::principal::{Principal, Who};
use crate::sql;

/// The most viewer sessions of one account at a time.
const SESSIONS_PER_ACCOUNT: i64 = 3;

/// What a viewer plays by.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Started {
    /// The id of the viewer session.
    #[schema(value_type = String)]
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

/// `POST /api/v1/playback/{channel}`
pub(crate) async fn start(
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
