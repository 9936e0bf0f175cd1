//! The second factor of local accounts: one-time codes, and recovery codes for when the device is lost.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::Utc;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use super::accounts::only_local;
use super::password::Password;
use super::{sign_in, totp, users};
use crate::ControlApi;
use crate::http::client::Client;
use crate::http::extract::Fields;
use crate::http::problem::ApiError;
use crate::principal::Principal;
use crate::secret;
use crate::sql;

const PURPOSE: &str = "totp";
/// Recovery codes made at a time.
const CODES: usize = 10;

/// A new secret, told this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    secret: String,
    /// For a QR code.
    uri: String,
}

/// Codes that stand in for the device, told this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recovery {
    recovery_codes: Vec<String>,
}

/// `POST /api/v1/auth/second-factor`: makes a secret, which counts once a code of it was shown.
pub(crate) async fn begin(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<impl IntoResponse, ApiError> {
    let password: Password = fields.required("password")?;
    fields.finish()?;
    only_local(&api)?;
    let user = sign_in::in_person(&principal)?;
    sign_in::prove(&api, client, user, password).await?;
    let mut bytes = [0_u8; totp::SECRET_BYTES];
    rand::fill(&mut bytes);
    let sealed = api.auth().seal().seal(PURPOSE, &bytes);
    let mut work = api.begin().await?;
    let sql =
        "update local_accounts set totp_secret = $2, totp_step = 0 where user_id = $1 and totp_confirmed_at is null";
    let made = sql::query(sql).bind(user).bind(sealed).execute(&mut *work).await?;
    if made.rows_affected() == 0 {
        return Err(ApiError::Conflict {
            code: "second_factor_exists",
            title: "there is a second factor; remove it first",
        });
    }
    work.commit().await?;
    let secret = totp::base32(&bytes);
    let uri = format!("otpauth://totp/Headwater:{}?secret={secret}&issuer=Headwater", principal.name);
    Ok((StatusCode::CREATED, Json(Begun { secret, uri })))
}

#[derive(FromRow)]
struct Pending {
    totp_secret: Vec<u8>,
}

/// `POST /api/v1/auth/second-factor/confirm`: a code shows that the app has the secret; from now on it counts.
pub(crate) async fn confirm(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<Json<Recovery>, ApiError> {
    let code: String = fields.required("code")?;
    fields.finish()?;
    only_local(&api)?;
    let user = sign_in::in_person(&principal)?;
    let mut work = api.begin().await?;
    let sql = "select totp_secret from local_accounts \
               where user_id = $1 and totp_secret is not null and totp_confirmed_at is null for update";
    let pending: Option<Pending> = sql::query_as(sql).bind(user).fetch_optional(&mut *work).await?;
    let pending = pending.ok_or(ApiError::Unknown("second_factor"))?;
    let secret = open(&api, &pending.totp_secret)?;
    let step = totp::step(&secret, &code, Utc::now().timestamp(), 0).ok_or_else(wrong)?;
    let sql = "update local_accounts set totp_confirmed_at = now(), totp_step = $2 where user_id = $1";
    sql::query(sql).bind(user).bind(step).execute(&mut *work).await?;
    let recovery_codes = make_codes(&mut work, user).await?;
    users::note(&mut work, user, "account.second_factor_set", client.address).await?;
    work.commit().await?;
    Ok(Json(Recovery { recovery_codes }))
}

async fn make_codes(work: &mut PgConnection, user: Uuid) -> Result<Vec<String>, sqlx::Error> {
    let sql = "delete from recovery_codes where user_id = $1";
    sql::query(sql).bind(user).execute(&mut *work).await?;
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        // 80 random bits, so plain SHA-256 will do, as for our other secrets.
        let code = secret::random_hex::<10>();
        let sql = "insert into recovery_codes (hash, user_id) values ($1, $2)";
        sql::query(sql).bind(secret::hash(&code)).bind(user).execute(&mut *work).await?;
        codes.push(code);
    }
    Ok(codes)
}

/// `POST /api/v1/auth/second-factor/remove` with the password and a code.
pub(crate) async fn remove(
    principal: Principal,
    client: Client,
    State(api): State<ControlApi>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let password: Password = fields.required("password")?;
    let code: Option<String> = fields.optional("code")?;
    fields.finish()?;
    only_local(&api)?;
    let user = sign_in::in_person(&principal)?;
    let account = sign_in::prove(&api, client, user, password).await?;
    sign_in::check_code(&api, &account, code.as_deref()).await?;
    let mut work = api.begin().await?;
    let sql = "update local_accounts set totp_secret = null, totp_confirmed_at = null where user_id = $1";
    sql::query(sql).bind(user).execute(&mut *work).await?;
    sql::query("delete from recovery_codes where user_id = $1").bind(user).execute(&mut *work).await?;
    users::note(&mut work, user, "account.second_factor_removed", client.address).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a code of the app, or a recovery code; each once.
pub(crate) async fn redeem(
    api: &ControlApi,
    user: Uuid,
    sealed: &[u8],
    last_step: i64,
    code: &str,
    now_s: i64,
) -> Result<(), ApiError> {
    let secret = open(api, sealed)?;
    let mut work = api.begin().await?;
    let code = code.trim().replace(['-', ' '], "");
    let taken = match totp::step(&secret, &code, now_s, last_step) {
        // Of two at once with one code, the second finds the step taken.
        Some(step) => {
            let sql = "update local_accounts set totp_step = $2 where user_id = $1 and totp_step < $2";
            sql::query(sql).bind(user).bind(step).execute(&mut *work).await?
        }
        None => {
            let sql = "delete from recovery_codes where user_id = $1 and hash = $2";
            sql::query(sql).bind(user).bind(secret::hash(&code)).execute(&mut *work).await?
        }
    };
    if taken.rows_affected() == 0 {
        return Err(wrong());
    }
    work.commit().await?;
    Ok(())
}

fn open(api: &ControlApi, sealed: &[u8]) -> Result<Vec<u8>, ApiError> {
    api.auth().seal().open_sealed(PURPOSE, sealed).ok_or_else(|| {
        tracing::error!("a second factor cannot be opened: auth.key_file is not the one it was sealed with");
        ApiError::Internal
    })
}

fn wrong() -> ApiError {
    ApiError::KeyRefused { code: "code_wrong", title: "the code is wrong, or was used" }
}
