//! Web sessions: browsers that signed in with an API token and hold a cookie in its place.
//!
//! A session lasts 12 h after its last use, 7 days at most, and never longer than its token.

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, SET_COOKIE};
use axum::response::IntoResponse;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ControlApi;
use crate::api_tokens::{Caller, by_token};
use crate::attempts::TooMany;
use crate::http::client::{Client, Sender};
use crate::http::cookie::{self, SessionCookie, SessionSecret};
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql::{self, Work};

/// How long a browser keeps the cookie, in seconds: 7 days, as long as any session.
const COOKIE_SECONDS: u32 = 7 * 24 * 3600;
/// The most sessions of one API token; the one that ends first gives way.
const SESSIONS_MAX: i64 = 100;

/// When a session used now is over.
macro_rules! over_at {
    ($created_at:literal) => {
        concat!("least(now() + interval '12 hours', ", $created_at, " + interval '7 days')")
    };
}

/// Who is signed in.
#[derive(Debug, Clone, Serialize)]
pub struct WebSession {
    /// What the API token is called.
    pub name: String,
    /// What it may do: `admin` or `read`.
    pub role: String,
}

/// `GET /api/v1/session`
pub(crate) async fn show(caller: Caller) -> Json<WebSession> {
    Json(WebSession { name: caller.name, role: caller.role })
}

/// `POST /api/v1/session`: an API token in, a cookie out.
pub(crate) async fn create(
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    if client.sender == Sender::OtherPage {
        return Err(ApiError::CrossSite); // it would sign a visitor in as somebody else
    }
    let token: String = fields.required("token")?;
    fields.finish()?;
    let signed_in = sign_in(&api, client.address, token.trim()).await;
    let result = match &signed_in {
        Ok(_) => "signed_in",
        Err(ApiError::TokenUnknown) => "token_unknown",
        Err(ApiError::AttemptsTooMany { .. }) => "attempts_too_many",
        Err(ApiError::DatabaseUnavailable) => "unavailable",
        Err(_) => "error",
    };
    api.metrics().sign_ins.with_label_values(&[result]).inc();
    let secret = signed_in?;
    let cookie = cookie::handed(&secret, COOKIE_SECONDS, client.transport);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}

/// `DELETE /api/v1/session`: harmless when repeated, and for who is not signed in.
pub(crate) async fn remove(
    client: Client,
    State(api): State<ControlApi>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let cookie = SessionCookie::of(&headers);
    let proven = client.sender == Sender::OwnPage || cookie == SessionCookie::Absent;
    if client.sender == Sender::OtherPage || !proven {
        return Err(ApiError::CrossSite);
    }
    if let SessionCookie::Present(secret) = cookie {
        let mut work = api.begin().await?;
        let sql = "delete from web_sessions where hash = $1";
        sql::query(sql).bind(secret::hash(secret.expose())).execute(&mut *work).await?;
        work.commit().await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie::cleared(client.transport))]))
}

async fn sign_in(api: &ControlApi, address: Option<IpAddr>, token: &str) -> Result<SessionSecret, ApiError> {
    let begun = api.attempts().begin(address, Instant::now());
    begun.map_err(|TooMany(left)| ApiError::AttemptsTooMany { retry_after_s: left.as_secs() + 1 })?;
    let made = make(api, token).await;
    if !matches!(made, Err(ApiError::TokenUnknown)) {
        api.attempts().forgive(address);
    }
    made
}

async fn make(api: &ControlApi, token: &str) -> Result<SessionSecret, ApiError> {
    let mut work = api.begin().await?;
    let caller = by_token(&mut work, token).await?.ok_or(ApiError::TokenUnknown)?;
    clean_up(&mut work, caller.id).await?;
    let secret = SessionSecret::generate();
    let sql = concat!(
        "insert into web_sessions (id, hash, api_token_id, expires_at) values ($1, $2, $3, ",
        over_at!("now()"),
        ")"
    );
    sql::query(sql)
        .bind(Uuid::now_v7())
        .bind(secret::hash(secret.expose()))
        .bind(caller.id)
        .execute(&mut *work)
        .await?;
    work.commit().await?;
    tracing::info!(token = caller.name, "a browser signed in");
    Ok(secret)
}

/// Removes some expired sessions, and those of this token that leave no place for one more.
async fn clean_up(work: &mut PgConnection, token: Uuid) -> Result<(), sqlx::Error> {
    let sql = "delete from web_sessions where id in (select id from web_sessions \
               where expires_at <= now() order by expires_at limit 100 for update skip locked)";
    sql::query(sql).execute(&mut *work).await?;
    let sql = "delete from web_sessions where id in (select id from web_sessions \
               where api_token_id = $1 order by expires_at desc offset $2 limit 100 for update skip locked)";
    sql::query(sql).bind(token).bind(SESSIONS_MAX - 1).execute(work).await?;
    Ok(())
}

#[derive(FromRow)]
struct SessionRow {
    session: Uuid,
    /// Its end could be at least a minute later.
    is_due: bool,
    #[sqlx(flatten)]
    caller: Caller,
}

/// Who holds the cookie, if its session is not over; its use puts its end off.
pub(crate) async fn caller(api: &ControlApi, cookie: SessionCookie) -> Result<Option<Caller>, sqlx::Error> {
    let SessionCookie::Present(secret) = cookie else {
        return Ok(None);
    };
    let sql = concat!(
        "select s.id as session, t.id, t.name, t.role, s.expires_at < ",
        over_at!("s.created_at"),
        " - interval '1 minute' as is_due \
         from web_sessions s join api_tokens t on t.id = s.api_token_id \
         where s.hash = $1 and s.expires_at > now() and t.revoked_at is null"
    );
    let mut work = api.begin().await?;
    let query = sql::query_as(sql).bind(secret::hash(secret.expose()));
    let Some(found) = query.fetch_optional(&mut *work).await? else {
        return Ok(None);
    };
    let SessionRow { session, is_due, caller } = found;
    if is_due && let Err(error) = put_off(work, session).await {
        // It ends earlier than it might; no reason to turn its holder away.
        tracing::warn!(%error, "the use of a web session was not recorded");
    }
    Ok(Some(caller))
}

/// At most one write a minute for each session, however often it is used.
async fn put_off(mut work: Work, session: Uuid) -> Result<(), sqlx::Error> {
    let sql = concat!("update web_sessions set expires_at = ", over_at!("created_at"), " where id = $1");
    sql::query(sql).bind(session).execute(&mut *work).await?;
    work.commit().await
}
