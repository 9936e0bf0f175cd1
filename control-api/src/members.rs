//! Members of channels: users with a role in one channel.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::permission::{ChannelRole, Permission};
use crate::principal::Principal;
use crate::sql;

/// The role of `user` in the channel, if they are a member.
pub(crate) async fn role_in(
    work: &mut PgConnection,
    channel: Uuid,
    user: Uuid,
) -> Result<Option<ChannelRole>, sqlx::Error> {
    let sql = "select role from channel_members where channel_id = $1 and user_id = $2";
    let query = sql::query_scalar::<String>(sql).bind(channel).bind(user);
    let found = query.fetch_optional(work).await?;
    Ok(found.as_deref().and_then(ChannelRole::of))
}

/// Whether who asks may do it on the channel, by their role or as a member. A stranger may not.
pub(crate) async fn may(
    work: &mut PgConnection,
    principal: Option<&Principal>,
    permission: Permission,
    channel: Uuid,
) -> Result<bool, sqlx::Error> {
    let Some(principal) = principal else {
        return Ok(false);
    };
    let member = match principal.user() {
        Some(user) if !principal.may(permission) => role_in(work, channel, user).await?,
        _ => None,
    };
    Ok(principal.may_on(permission, member))
}
