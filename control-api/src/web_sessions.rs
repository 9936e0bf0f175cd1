//! Web sessions: browsers that signed in, with an API token or as a user, and hold a cookie in its place.
//!
//! A session lasts 12 h after its last use, 7 days at most, and never longer than its token or user.

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
use crate::attempts::TooMany;
use crate::http::client::{Client, Sender};
use crate::http::cookie::{self, SessionCookie, SessionSecret};
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::permission::Role;
use crate::principal::{self, HolderRow, Principal, find_token, holder};
use crate::secret;
use crate::sql::{self, Work};

/// How long a browser keeps the cookie, in seconds: 7 days, as long as any session.
const COOKIE_SECONDS: u32 = 7 * 24 * 3600;
/// The most sessions of one API token or user; the one that ends first gives way.
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
    /// What the API token is called, or the user's handle.
    pub name: String,
    /// The user's role; of a token without a user `admin` or `read`.
    pub role: Role,
}

/// `GET /api/v1/session`
pub(crate) async fn show(principal: Principal) -> Json<WebSession> {
    Json(WebSession { name: principal.name, role: principal.role })
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
    let found = find_token(&mut work, token).await?.ok_or(ApiError::TokenUnknown)?;
    let principal = Principal::try_from(found)?;
    let token = principal.token.ok_or(ApiError::TokenUnknown)?;
    let secret = open(&mut work, SignedIn::Token(token)).await?;
    work.commit().await?;
    tracing::info!(name = principal.name, "a browser signed in");
    Ok(secret)
}

/// By what a browser signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignedIn {
    /// An API token.
    Token(Uuid),
    /// A proof of being this user.
    #[allow(dead_code, reason = "for accounts with a proof of their own")]
    User(Uuid),
}

impl SignedIn {
    fn token(self) -> Option<Uuid> {
        match self {
            Self::Token(id) => Some(id),
            Self::User(_) => None,
        }
    }

    fn user(self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(id),
            Self::Token(_) => None,
        }
    }
}

/// Opens a session; its secret is for the browser's cookie.
pub(crate) async fn open(work: &mut PgConnection, by: SignedIn) -> Result<SessionSecret, sqlx::Error> {
    clean_up(work, by).await?;
    let secret = SessionSecret::generate();
    let sql = concat!(
        "insert into web_sessions (id, hash, api_token_id, user_id, expires_at) values ($1, $2, $3, $4, ",
        over_at!("now()"),
        ")"
    );
    sql::query(sql)
        .bind(Uuid::now_v7())
        .bind(secret::hash(secret.expose()))
        .bind(by.token())
        .bind(by.user())
        .execute(work)
        .await?;
    Ok(secret)
}

/// Removes some expired sessions, and those of the same token or user that leave no place for one more.
async fn clean_up(work: &mut PgConnection, by: SignedIn) -> Result<(), sqlx::Error> {
    let sql = "delete from web_sessions where id in (select id from web_sessions \
               where expires_at <= now() order by expires_at limit 100 for update skip locked)";
    sql::query(sql).execute(&mut *work).await?;
    let sql = "delete from web_sessions where id in (select id from web_sessions \
               where api_token_id = $1 or user_id = $2 \
               order by expires_at desc offset $3 limit 100 for update skip locked)";
    sql::query(sql).bind(by.token()).bind(by.user()).bind(SESSIONS_MAX - 1).execute(work).await?;
    Ok(())
}

#[derive(FromRow)]
struct SessionRow {
    session: Uuid,
    /// Its end could be at least a minute later.
    is_due: bool,
    #[sqlx(flatten)]
    holder: HolderRow,
}

/// Who holds the cookie, if its session is not over; its use puts its end off.
pub(crate) async fn holder(api: &ControlApi, cookie: SessionCookie) -> Result<Option<Principal>, ApiError> {
    let SessionCookie::Present(secret) = cookie else {
        return Ok(None);
    };
    let sql = concat!(
        "select s.id as session, s.expires_at < ",
        over_at!("s.created_at"),
        " - interval '1 minute' as is_due, h.* from web_sessions s cross join lateral (",
        holder!(
            "s.created_at",
            "from (select) one left join api_tokens t on t.id = s.api_token_id \
             left join users u on u.id = coalesce(s.user_id, t.user_id) where true"
        ),
        ") h where s.hash = $1 and s.expires_at > now()"
    );
    let mut work = api.begin().await?;
    let query = sql::query_as(sql).bind(secret::hash(secret.expose()));
    let Some(SessionRow { session, is_due, holder }) = query.fetch_optional(&mut *work).await? else {
        return Ok(None);
    };
    if is_due && let Err(error) = put_off(&mut work, session).await {
        // It ends earlier than it might; no reason to turn its holder away.
        tracing::warn!(%error, "the use of a web session was not recorded");
        return Principal::try_from(holder).map(Some);
    }
    principal::admit(work, holder, is_due).await.map(Some)
}

/// At most one write a minute for each session, however often it is used.
async fn put_off(work: &mut Work, session: Uuid) -> Result<(), sqlx::Error> {
    let sql = concat!("update web_sessions set expires_at = ", over_at!("created_at"), " where id = $1");
    sql::query(sql).bind(session).execute(&mut **work).await?;
    Ok(())
}
