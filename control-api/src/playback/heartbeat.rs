//! Viewers tell that they are there, and get a new token before the last one ends; or that they leave.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schema::ViewerId;
use schema::playback::{Claims, TOKEN_LIFE_S};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use super::right::{Right, still_right};
use super::viewers::{End, Heard, Watching};
use super::{ViewerPath, instant, unix_now};
use crate::ControlApi;
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::sql;

/// What a heartbeat is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
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

/// `POST /api/v1/viewer-sessions/{id}/heartbeat`: costs no database but when a token is due.
pub(crate) async fn heartbeat(
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
pub(super) struct SessionRow {
    pub(super) channel_id: Uuid,
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

pub(super) async fn find(work: &mut PgConnection, viewer: &ViewerId) -> Result<Option<SessionRow>, sqlx::Error> {
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
pub(crate) async fn leave(State(api): State<ControlApi>, ViewerPath(viewer): ViewerPath) -> StatusCode {
    api.playback().viewers.end(&viewer, End::Left, Instant::now());
    StatusCode::NO_CONTENT
}
