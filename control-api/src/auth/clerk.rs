//! Clerk's webhooks: who was made, changed and removed there.
//!
//! A session token may come before its user's webhook, or long after it was lost, so neither waits for the
//! other: both find or make the user by issuer and subject.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chrono::Utc;
use serde::Deserialize;

use super::identities::{self, Profile};
use super::users::Email;
use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::sql;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    primary_email_address_id: Option<String>,
    #[serde(default)]
    email_addresses: Vec<Address>,
    /// Milliseconds.
    #[serde(default)]
    updated_at: i64,
}

#[derive(Deserialize)]
struct Address {
    id: String,
    email_address: String,
    #[serde(default)]
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Verification {
    status: String,
}

/// `POST /api/v1/auth/clerk/webhook`
pub(crate) async fn webhook(
    State(api): State<ControlApi>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let auth = api.auth();
    let (Some(secret), Some(provider)) = (&auth.clerk_secret, &auth.provider) else {
        let title = "no webhooks of Clerk are taken here".into();
        return Err(ApiError::Body { status: StatusCode::NOT_FOUND, code: "webhook_none", title });
    };
    let id = secret.verify(&headers, &body, Utc::now().timestamp()).ok_or_else(|| ApiError::Body {
        status: StatusCode::BAD_REQUEST,
        code: "signature_wrong",
        title: "the webhook's signature is wrong, or too old".into(),
    })?;
    let mut work = api.begin().await?;
    let sql = "insert into webhook_deliveries (provider, id) values ('clerk', $1) on conflict do nothing";
    if sql::query(sql).bind(id).execute(&mut *work).await?.rows_affected() == 0 {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sql = "delete from webhook_deliveries where (provider, id) in (select provider, id from webhook_deliveries \
               where received_at < now() - interval '7 days' order by received_at limit 100 for update skip locked)";
    sql::query(sql).execute(&mut *work).await?;
    let event: Option<Event> = serde_json::from_slice(&body).ok();
    let user = event.and_then(|event| Some((event.kind, serde_json::from_value::<User>(event.data).ok()?)));
    let role = auth.config().new_role.as_str();
    match user {
        Some((kind, user)) if kind == "user.created" || kind == "user.updated" => {
            let at_us = user.updated_at.saturating_mul(1_000);
            identities::told(&mut work, role, (provider.issuer(), &user.id), profile(&user), at_us).await?;
        }
        Some((kind, user)) if kind == "user.deleted" => {
            identities::removed(&mut work, provider.issuer(), &user.id).await?;
        }
        // Signed, and nothing of ours; asked for again it would be the same.
        _ => tracing::debug!(id, "a webhook of Clerk says nothing that is used here"),
    }
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn profile(user: &User) -> Profile {
    let names = [&user.first_name, &user.last_name].into_iter().flatten().map(String::as_str);
    let display_name = names.collect::<Vec<_>>().join(" ");
    let is_primary = |address: &&Address| user.primary_email_address_id.as_deref() == Some(&address.id);
    let is_proven = |address: &&Address| address.verification.as_ref().is_some_and(|it| it.status == "verified");
    let email = user.email_addresses.iter().find(is_primary).filter(is_proven);
    Profile {
        name: user.username.clone(),
        display_name: Some(display_name).filter(|name| !name.trim().is_empty()),
        email: email.and_then(|address| Email::parse(&address.email_address)),
    }
}
