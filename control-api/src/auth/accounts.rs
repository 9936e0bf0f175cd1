//! Local accounts: made and given new passwords by links that only the reader of a mailbox has.
//!
//! An account is made when its link is used, and its password is set then: nobody can prepare one
//! for an address that is not theirs. Asking is answered alike for all addresses.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::config::{Mode, SignUp};
use super::desk::{Purpose, Wish};
use super::password::Password;
use super::sign_in;
use super::users::{self, Email, NewUser};
use crate::ControlApi;
use crate::attempts::TooMany;
use crate::http::client::{Client, Sender};
use crate::http::cookie::SessionCookie;
use crate::http::extract::{Fields, text};
use crate::http::problem::ApiError;
use crate::principal::Principal;
use crate::secret;
use crate::sql;

/// What the client may know of the way to sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ways {
    #[schema(value_type = String)]
    mode: Mode,
    #[schema(value_type = String)]
    sign_up: SignUp,
}

/// `GET /api/v1/auth`: how to sign in here.
pub(crate) async fn ways(State(api): State<ControlApi>) -> Json<Ways> {
    let config = api.auth().config();
    let sign_up = if config.mode == Mode::Local { config.sign_up } else { SignUp::Closed };
    Json(Ways { mode: config.mode, sign_up })
}

/// A new user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Made {
    id: Uuid,
}

/// `POST /api/v1/auth/sign-up`: asks for the link that makes an account.
pub(crate) async fn sign_up(
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let email: String = fields.required("email")?;
    fields.finish()?;
    only_local(&api)?;
    if api.auth().config().sign_up == SignUp::Closed {
        return Err(closed());
    }
    let email = Email::field(&email)?;
    ask(&api, client, Wish::SignUp(email))
}

/// `POST /api/v1/auth/password-reset`: asks for the link that sets a new password.
pub(crate) async fn password_reset(
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let email: String = fields.required("email")?;
    fields.finish()?;
    only_local(&api)?;
    let email = Email::field(&email)?;
    ask(&api, client, Wish::PasswordReset(email))
}

fn ask(api: &ControlApi, client: Client, wish: Wish) -> Result<StatusCode, ApiError> {
    let asked = api.auth().asks.begin(client.address, Instant::now());
    asked.map_err(|TooMany(left)| ApiError::AttemptsTooMany { retry_after_s: left.as_secs() + 1 })?;
    api.auth().wishes.try_send(wish).map_err(|_| {
        api.metrics().mails.with_label_values(&["dropped"]).inc();
        ApiError::Busy { retry_after_s: 60 }
    })?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /api/v1/auth/sign-up/confirm`: makes the account.
pub(crate) async fn confirm_sign_up(
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    let display_name = fields.optional::<String>("display_name")?;
    let link = Link::of(fields)?;
    only_local(&api)?;
    if api.auth().config().sign_up == SignUp::Closed {
        return Err(closed());
    }
    let display_name = display_name.map(|name| text("display_name", &name, 1, 100)).transpose()?;
    let (token, email, hash) = redeem(&api, client, link, Purpose::SignUp).await?;
    let mut work = api.begin().await?;
    take(&mut work, &token, Purpose::SignUp).await?;
    if users::by_email(&mut work, &email).await?.is_some() {
        return Err(ApiError::Conflict { code: "email_taken", title: "there is an account with this address" });
    }
    let new = NewUser { name: None, display_name, email: Some(email), role: api.auth().config().new_role.as_str() };
    let id = users::create(&mut work, new).await?;
    set_password(&mut work, id, &hash).await?;
    users::note(&mut work, id, "account.sign_up", client.address).await?;
    work.commit().await?;
    Ok((StatusCode::CREATED, Json(Made { id })))
}

/// `POST /api/v1/auth/password-reset/confirm`: sets the password, and signs the user out everywhere.
pub(crate) async fn confirm_password_reset(
    client: Client,
    State(api): State<ControlApi>,
    fields: Fields,
) -> Result<StatusCode, ApiError> {
    let link = Link::of(fields)?;
    only_local(&api)?;
    let (token, email, hash) = redeem(&api, client, link, Purpose::PasswordReset).await?;
    let mut work = api.begin().await?;
    take(&mut work, &token, Purpose::PasswordReset).await?;
    let user = users::by_email(&mut work, &email).await?.ok_or_else(link_over)?;
    set_password(&mut work, user, &hash).await?;
    users::sign_out(&mut work, user, None).await?;
    // Other links to the same mailbox are over too.
    sql::query("delete from mail_tokens where email = $1").bind(email.as_str()).execute(&mut *work).await?;
    users::note(&mut work, user, "account.password_reset", client.address).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /api/v1/auth/password`: a user changes their password; other sign-ins of theirs end.
pub(crate) async fn change_password(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let current: Password = fields.required("current_password")?;
    let new: Password = fields.required("password")?;
    fields.finish()?;
    only_local(&api)?;
    let user = sign_in::in_person(&principal)?;
    let account = sign_in::prove(&api, client, user, current).await?;
    new.check_new(account.email.as_deref().unwrap_or_default())?;
    let hash = api.auth().hasher.hash(new).await?;
    let mut work = api.begin().await?;
    set_password(&mut work, user, &hash).await?;
    let kept = match SessionCookie::of(&headers) {
        SessionCookie::Present(secret) => Some(secret::hash(secret.expose())),
        _ => None,
    };
    users::sign_out(&mut work, user, kept.as_deref()).await?;
    users::note(&mut work, user, "account.password_change", client.address).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token of a link, and the password to be set with it.
struct Link {
    token: String,
    password: Password,
}

impl Link {
    fn of(mut fields: Fields) -> Result<Self, ApiError> {
        let (token, password) = (fields.required("token")?, fields.required("password")?);
        fields.finish()?;
        Ok(Self { token, password })
    }
}

/// Checks the link and the new password, and hashes it; the link is taken only with the change itself.
async fn redeem(
    api: &ControlApi,
    client: Client,
    Link { token, password }: Link,
    purpose: Purpose,
) -> Result<(String, Email, String), ApiError> {
    if client.sender == Sender::OtherPage {
        return Err(ApiError::CrossSite);
    }
    let begun = api.attempts().begin(client.address, Instant::now());
    begun.map_err(|TooMany(left)| ApiError::AttemptsTooMany { retry_after_s: left.as_secs() + 1 })?;
    let mut work = api.begin().await?;
    let sql = "select email from mail_tokens where hash = $1 and purpose = $2 and expires_at > now()";
    let query = sql::query_scalar(sql).bind(secret::hash(&token)).bind(purpose.as_str());
    let email: Option<String> = query.fetch_optional(&mut *work).await?;
    drop(work);
    let email = email.as_deref().and_then(Email::parse).ok_or_else(link_over)?;
    api.attempts().forgive(client.address);
    password.check_new(email.as_str())?;
    let hash = api.auth().hasher.hash(password).await?;
    Ok((token, email, hash))
}

/// Takes the link; of two at once one finds it gone.
async fn take(work: &mut PgConnection, token: &str, purpose: Purpose) -> Result<(), ApiError> {
    let sql = "delete from mail_tokens where hash = $1 and purpose = $2 and expires_at > now()";
    let taken = sql::query(sql).bind(secret::hash(token)).bind(purpose.as_str()).execute(work).await?;
    if taken.rows_affected() == 1 { Ok(()) } else { Err(link_over()) }
}

async fn set_password(work: &mut PgConnection, user: Uuid, hash: &str) -> Result<(), sqlx::Error> {
    let sql = "insert into local_accounts (user_id, password_hash) values ($1, $2) \
               on conflict (user_id) do update set password_hash = excluded.password_hash, password_changed_at = now()";
    sql::query(sql).bind(user).bind(hash).execute(work).await?;
    Ok(())
}

/// Refuses where somebody else keeps the accounts.
pub(crate) fn only_local(api: &ControlApi) -> Result<(), ApiError> {
    match api.auth().config().mode {
        Mode::Local => Ok(()),
        Mode::Oidc | Mode::Clerk => Err(ApiError::Body {
            status: StatusCode::NOT_FOUND,
            code: "accounts_elsewhere",
            title: "accounts are kept by another provider; see GET /api/v1/auth".into(),
        }),
    }
}

fn closed() -> ApiError {
    let title = "accounts are made by an admin here".into();
    ApiError::Body { status: StatusCode::FORBIDDEN, code: "sign_up_closed", title }
}

fn link_over() -> ApiError {
    let title = "the link was used, is over, or never was; ask for another".into();
    ApiError::Body { status: StatusCode::GONE, code: "link_over", title }
}
