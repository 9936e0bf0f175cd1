//! The right to watch a channel that is for members: of who keeps it, and of whom its owner let in.

use axum::http::StatusCode;
use schema::api::Access;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ChannelRow;
use super::viewers::Watching;
use crate::ControlApi;
use crate::channels::word;
use crate::http::problem::ApiError;
use crate::members;
use crate::permission::{Permission, Role};
use crate::principal::{Principal, Who};
use crate::sql;

/// Whether somebody may watch what is for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Yes; until then, if it ends.
    Good { until_s: Option<u64> },
    /// No.
    None,
}

/// Who keeps a channel may watch it, and who was let in by name.
pub(super) async fn right(
    work: &mut PgConnection,
    principal: Option<&Principal>,
    channel: Uuid,
) -> Result<Right, sqlx::Error> {
    if members::may(work, principal, Permission::ChannelInspect, channel).await? {
        return Ok(Right::Good { until_s: None });
    }
    match principal.and_then(Principal::user) {
        Some(user) => right_of_user(work, user, channel).await,
        None => Ok(Right::None),
    }
}

async fn right_of_user(work: &mut PgConnection, user: Uuid, channel: Uuid) -> Result<Right, sqlx::Error> {
    let sql = "select extract(epoch from v.until)::bigint from channel_viewers v join users u on u.id = v.user_id \
               where v.channel_id = $1 and v.user_id = $2 and (v.until is null or v.until > now()) \
                 and u.state = 'active' and u.deleted_at is null";
    let query = sql::query_scalar::<Option<i64>>(sql).bind(channel).bind(user);
    let found = query.fetch_optional(work).await?;
    Ok(match found {
        Some(until) => Right::Good { until_s: until.and_then(|until| u64::try_from(until).ok()) },
        None => Right::None,
    })
}

pub(super) fn no_right(principal: Option<&Principal>) -> ApiError {
    match principal.map(|principal| principal.who) {
        Some(Who::User(_) | Who::Token(_)) => ApiError::Refused {
            status: StatusCode::FORBIDDEN,
            code: "not_a_member",
            title: "this channel is for its members, and this account is none",
        },
        None => ApiError::Refused {
            status: StatusCode::UNAUTHORIZED,
            code: "sign_in_needed",
            title: "this channel is for its members; sign in first",
        },
    }
}

/// Whether a viewer may go on, by what is there now.
pub(super) async fn still_right(api: &ControlApi, watching: &Watching) -> Result<Right, ApiError> {
    let mut work = api.begin().await?;
    let sql = "select id, access from channels where id = $1 and deleted_at is null";
    let row: Option<ChannelRow> = sql::query_as(sql).bind(watching.channel_id).fetch_optional(&mut *work).await?;
    let Some(row) = row else { return Ok(Right::None) };
    if word::<Access>(&row.access) != Access::Members {
        return Ok(Right::Good { until_s: None });
    }
    let Some(user) = watching.user else {
        // Who came by an API token of nobody keeps channels; a session that was taken up again does not tell of it.
        let sql = "select exists (select from api_tokens where id = $1 and revoked_at is null \
                     and coalesce(expires_at > now(), true))";
        let is_good: bool = sql::query_scalar(sql).bind(watching.api_token).fetch_one(&mut *work).await?;
        return Ok(if is_good { Right::Good { until_s: None } } else { Right::None });
    };
    let role: Option<String> =
        sql::query_scalar("select role from users where id = $1 and state = 'active' and deleted_at is null")
            .bind(user)
            .fetch_optional(&mut *work)
            .await?;
    let role = role.as_deref().and_then(Role::of);
    let of_channel = members::role_in(&mut work, row.id, user).await?;
    let keeps = role.is_some_and(|role| {
        Permission::ChannelInspect.is_of(role)
            || of_channel.is_some_and(|role| Permission::ChannelInspect.is_of_member(role))
    });
    match keeps {
        true => Ok(Right::Good { until_s: None }),
        false => Ok(right_of_user(&mut work, user, row.id).await?),
    }
}
