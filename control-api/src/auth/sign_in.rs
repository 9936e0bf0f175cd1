//! Signing in with e-mail address and password, and a code where the user has a second factor.
//!
//! An unknown address, an account without a password and a wrong password are answered alike, and
//! after the same work.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse;
use chrono::Utc;
use sqlx::FromRow;
use uuid::Uuid;

use super::accounts::only_local;
use super::password::Password;
use super::refresh::{self, Tokens};
use super::second_factor;
use super::users::{self, Email};
use crate::ControlApi;
use crate::attempts::TooMany;
use crate::http::client::{Client, Sender};
use crate::http::cookie;
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::principal::Principal;
use crate::secret;
use crate::sql;
use crate::web_sessions::{self, COOKIE_SECONDS, SignedIn};

/// An account as signing in needs it.
#[derive(Debug, FromRow)]
pub(crate) struct Account {
    pub(crate) user_id: Uuid,
    pub(crate) email: Option<String>,
    suspended: bool,
    password_hash: Option<String>,
    /// Sealed; where a second factor counts.
    totp_secret: Option<Vec<u8>>,
    totp_step: i64,
}

macro_rules! account {
    ($where:literal) => {
        concat!(
            "select u.id as user_id, u.email, u.state = 'suspended' as suspended, a.password_hash, \
             case when a.totp_confirmed_at is not null then a.totp_secret end as totp_secret, \
             coalesce(a.totp_step, 0) as totp_step \
             from users u left join local_accounts a on a.user_id = u.id where u.deleted_at is null and ",
            $where
        )
    };
}

/// What is sent to sign in.
struct Credentials {
    email: Email,
    password: Password,
    code: Option<String>,
}

impl Credentials {
    fn of(mut fields: Fields) -> Result<Self, ApiError> {
        let email: String = fields.required("email")?;
        let password = fields.required("password")?;
        let code = fields.optional("code")?;
        fields.finish()?;
        Ok(Self { email: Email::field(&email)?, password, code })
    }
}

/// `POST /api/v1/auth/session`: a browser signs in and gets the cookie of a web session.
pub(crate) async fn session(
    client: Client,
    State(api): State<ControlApi>,
    fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    let user = sign_in(&api, client, fields).await?;
    let mut work = api.begin().await?;
    let secret = web_sessions::open(&mut work, SignedIn::User(user)).await?;
    users::note(&mut work, user, "account.sign_in", client.address).await?;
    work.commit().await?;
    let cookie = cookie::handed(&secret, COOKIE_SECONDS, client.transport);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}

/// `POST /api/v1/auth/tokens`: a program signs in and gets an access token and a refresh token.
pub(crate) async fn tokens(
    client: Client,
    State(api): State<ControlApi>,
    fields: Fields,
) -> Result<Json<Tokens>, ApiError> {
    let user = sign_in(&api, client, fields).await?;
    Ok(Json(refresh::begin(&api, user, client.address).await?))
}

async fn sign_in(api: &ControlApi, client: Client, fields: Fields) -> Result<Uuid, ApiError> {
    let credentials = Credentials::of(fields)?;
    only_local(api)?;
    if client.sender == Sender::OtherPage {
        return Err(ApiError::CrossSite); // it would sign a visitor in as somebody else
    }
    let signed_in = authenticate(api, client, credentials).await;
    let result = match &signed_in {
        Ok(_) => "signed_in",
        Err(ApiError::KeyRefused { code, .. }) => code,
        Err(ApiError::AttemptsTooMany { .. }) => "attempts_too_many",
        Err(ApiError::DatabaseUnavailable | ApiError::Busy { .. }) => "unavailable",
        Err(_) => "error",
    };
    api.metrics().sign_ins.with_label_values(&[result]).inc();
    signed_in
}

async fn authenticate(api: &ControlApi, client: Client, credentials: Credentials) -> Result<Uuid, ApiError> {
    let Credentials { email, password, code } = credentials;
    let tries = Tries::begin(api, client, email.as_str())?;
    let found = async {
        let sql = account!("u.email = $1");
        let mut work = api.begin().await?;
        let account: Option<Account> = sql::query_as(sql).bind(email.as_str()).fetch_optional(&mut *work).await?;
        Ok::<_, ApiError>(account)
    };
    let account = found.await.inspect_err(|_| tries.forgive())?;
    let known = account.as_ref().and_then(|account| account.password_hash.clone());
    let right = api.auth().hasher.verify(password, known).await.inspect_err(|_| tries.forgive())?;
    let account = account.filter(|_| right).ok_or_else(wrong)?;
    if account.suspended {
        return Err(ApiError::UserSuspended);
    }
    check_code(api, &account, code.as_deref()).await.inspect_err(|error| {
        // Asking for the code is no guess; everything else was one.
        if matches!(error, ApiError::KeyRefused { code: "code_needed", .. } | ApiError::DatabaseUnavailable) {
            tries.forgive();
        }
    })?;
    tries.forgive();
    Ok(account.user_id)
}

pub(crate) async fn check_code(api: &ControlApi, account: &Account, code: Option<&str>) -> Result<(), ApiError> {
    let Some(sealed) = &account.totp_secret else { return Ok(()) };
    let code =
        code.ok_or(ApiError::KeyRefused { code: "code_needed", title: "the code of the second factor is needed too" })?;
    let now_s = Utc::now().timestamp();
    second_factor::redeem(api, account.user_id, sealed, account.totp_step, code, now_s).await
}

/// Proves a user's own password again, as before a change that matters.
pub(crate) async fn prove(
    api: &ControlApi,
    client: Client,
    user: Uuid,
    password: Password,
) -> Result<Account, ApiError> {
    let sql = account!("u.id = $1");
    let mut work = api.begin().await?;
    let account: Option<Account> = sql::query_as(sql).bind(user).fetch_optional(&mut *work).await?;
    drop(work);
    let account = account.ok_or_else(wrong)?;
    let tries = Tries::begin(api, client, account.email.as_deref().unwrap_or_default())?;
    let verified = api.auth().hasher.verify(password, account.password_hash.clone()).await;
    if !verified.inspect_err(|_| tries.forgive())? {
        return Err(wrong());
    }
    tries.forgive();
    Ok(account)
}

/// The user who asks, if a person signed in rather than a program with an API token: what an API token may
/// do is its scopes' alone, and an account's secrets are in none of them.
pub(crate) fn in_person(principal: &Principal) -> Result<Uuid, ApiError> {
    match principal.user() {
        Some(user) if principal.token.is_none() && principal.scopes.is_none() => Ok(user),
        _ => Err(ApiError::Body {
            status: StatusCode::FORBIDDEN,
            code: "user_needed",
            title: "only a user who signed in may do this".into(),
        }),
    }
}

/// A try that counts against its address and its account, until it is forgiven.
struct Tries<'a> {
    api: &'a ControlApi,
    client: Client,
    account: Vec<u8>,
}

impl<'a> Tries<'a> {
    fn begin(api: &'a ControlApi, client: Client, account: &str) -> Result<Self, ApiError> {
        let too_many = |TooMany(left): TooMany| ApiError::AttemptsTooMany { retry_after_s: left.as_secs() + 1 };
        let (now, account) = (Instant::now(), secret::hash(account));
        api.attempts().begin(client.address, now).map_err(too_many)?;
        api.auth().by_account.begin_as(account.clone(), now).map_err(too_many)?;
        Ok(Self { api, client, account })
    }

    fn forgive(&self) {
        self.api.attempts().forgive(self.client.address);
        self.api.auth().by_account.forgive_as(&self.account);
    }
}

fn wrong() -> ApiError {
    ApiError::KeyRefused { code: "credentials_wrong", title: "e-mail address or password is wrong" }
}
