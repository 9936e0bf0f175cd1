//! The check of a route's limit and need, before its handler runs and whatever that handler is.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use schema::{ChannelName, ViewerId};
use sqlx::FromRow;
use uuid::Uuid;

use super::client::Client;
use super::limit::{self, Class};
use super::problem::ApiError;
use super::routes::Need;
use crate::ControlApi;
use crate::permission::{ChannelRole, Permission};
use crate::playback;
use crate::principal::{Principal, resolve};
use crate::sql;

/// Lets who may do it pass, with their [`Principal`] among the request's extensions.
pub(crate) async fn check(
    State((api, need, class)): State<(ControlApi, Need, Class)>,
    client: Client,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    limit::count_address(&api, class, client.address)?;
    if need == Need::Nothing {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let principal = resolve(&api, &parts).await?;
    limit::count_account(&api, class, principal.who)?;
    if !is_met(&api, need, &principal, &mut parts).await? {
        return Err(ApiError::RoleInsufficient);
    }
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn is_met(api: &ControlApi, need: Need, principal: &Principal, parts: &mut Parts) -> Result<bool, ApiError> {
    let Some(permission) = need.permission() else {
        return Ok(true);
    };
    if principal.may(permission) {
        return Ok(true);
    }
    let by_channel = matches!(need, Need::OnChannel(_) | Need::OnBroadcast(_) | Need::OnViewerSession(_));
    match principal.user() {
        Some(user) if by_channel => is_member_that_may(api, need, permission, user, principal, parts).await,
        _ => Ok(false),
    }
}

async fn is_member_that_may(
    api: &ControlApi,
    need: Need,
    permission: Permission,
    user: Uuid,
    principal: &Principal,
    parts: &mut Parts,
) -> Result<bool, ApiError> {
    let unknown = match need {
        Need::OnBroadcast(_) => "broadcast",
        Need::OnViewerSession(_) => "viewer_session",
        _ => "channel",
    };
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, api).await;
    let Path(params) = path.map_err(|_| ApiError::Unknown(unknown))?;
    let key = if unknown == "channel" { "name" } else { "id" };
    let found = match params.get(key) {
        Some(value) => find(api, need, value, user).await?,
        None => None,
    };
    let found = found.ok_or(ApiError::Unknown(unknown))?;
    let member = found.role.as_deref().and_then(ChannelRole::of);
    Ok(principal.may_on(permission, member))
}

/// A channel that exists, and the role of who asks in it.
#[derive(FromRow)]
struct MemberRow {
    role: Option<String>,
}

async fn find(api: &ControlApi, need: Need, value: &str, user: Uuid) -> Result<Option<MemberRow>, ApiError> {
    if matches!(need, Need::OnViewerSession(_)) {
        return find_by_viewer(api, value, user).await;
    }
    let sql = match need {
        Need::OnBroadcast(_) => {
            "select m.role from broadcasts b join channels c on c.id = b.channel_id \
             left join channel_members m on m.channel_id = c.id and m.user_id = $2 \
             where b.id = $1 and c.deleted_at is null"
        }
        _ if value.parse::<ChannelName>().is_err() => return Ok(None),
        _ => {
            "select m.role from channels c left join channel_members m on m.channel_id = c.id and m.user_id = $2 \
             where c.name = $1 and c.deleted_at is null"
        }
    };
    if value.contains('\0') {
        return Ok(None);
    }
    let mut work = api.begin().await?;
    Ok(sql::query_as(sql).bind(value).bind(user).fetch_optional(&mut *work).await?)
}

async fn find_by_viewer(api: &ControlApi, value: &str, user: Uuid) -> Result<Option<MemberRow>, ApiError> {
    let Ok(viewer) = value.parse::<ViewerId>() else { return Ok(None) };
    let mut work = api.begin().await?;
    let Some(channel) = playback::channel_of(api, &mut work, &viewer).await? else { return Ok(None) };
    let sql = "select m.role from channels c left join channel_members m on m.channel_id = c.id and m.user_id = $2 \
               where c.id = $1 and c.deleted_at is null";
    Ok(sql::query_as(sql).bind(channel).bind(user).fetch_optional(&mut *work).await?)
}
