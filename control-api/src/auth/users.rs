//! Users as identity needs them: found by address, made when somebody comes for the first time.

use std::net::IpAddr;

use schema::ChannelName;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::{self, Deed};
use crate::http::extract::invalid;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The longest address (RFC 5321 4.5.3.1.3, less the brackets).
const EMAIL_MAX: usize = 254;

/// An e-mail address in lower case: two spellings of one are one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    /// `None` if mail cannot be sent there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let is_address = text.len() <= EMAIL_MAX && text.parse::<lettre::Address>().is_ok();
        // A domain without a dot is a machine of one's own; quotes and brackets are nobody's real address.
        let is_usual = text.is_ascii() && !text.contains(['"', '[', '(', ' ']);
        (is_address && is_usual).then_some(Self(text))
    }

    /// The same, as the field of a request.
    pub(crate) fn field(text: &str) -> Result<Self, ApiError> {
        Self::parse(text).ok_or_else(|| invalid("email", "must be an e-mail address".into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody who comes for the first time.
#[derive(Debug)]
pub(crate) struct NewUser {
    /// The handle they wish for; another is found where it is taken, or none.
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
    /// Proven to be theirs.
    pub(crate) email: Option<Email>,
    pub(crate) role: &'static str,
}

/// Makes the user's row. Nobody has the address yet.
pub(crate) async fn create(work: &mut PgConnection, new: NewUser) -> Result<Uuid, ApiError> {
    let id = Uuid::now_v7();
    let wished = new.name.as_deref().and_then(handle);
    let made_up = format!("user-{}", secret::random_hex::<6>());
    let taken = "select exists (select from users where name = $1 and deleted_at is null)";
    let name = match wished {
        Some(wished) if !sql::query_scalar(taken).bind(&wished).fetch_one(&mut *work).await? => wished,
        Some(wished) => format!("{}-{}", wished.get(..40).unwrap_or(&wished), secret::random_hex::<3>()),
        None => made_up,
    };
    let display_name = new.display_name.as_deref().and_then(display_name).unwrap_or_else(|| name.clone());
    let sql = "insert into users (id, name, display_name, email, role) values ($1, $2, $3, $4, $5)";
    sql::query(sql)
        .bind(id)
        .bind(&name)
        .bind(display_name)
        .bind(new.email.as_ref().map(Email::as_str))
        .bind(new.role)
        .execute(work)
        .await?;
    Ok(id)
}

/// A handle of what somebody calls themselves: what may not stand in one becomes a hyphen.
fn handle(text: &str) -> Option<String> {
    let local = text.split('@').next().unwrap_or_default().to_lowercase();
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let text: String = local.chars().take(60).map(plain).collect();
    let text = text.trim_matches('-').to_owned();
    text.parse::<ChannelName>().ok().map(|_| text)
}

/// How people call somebody: no control characters, and not too long.
pub(crate) fn display_name(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|character| !character.is_control()).take(100).collect();
    (!text.is_empty()).then_some(text)
}

/// The user who has the address.
pub(crate) async fn by_email(work: &mut PgConnection, email: &Email) -> Result<Option<Uuid>, sqlx::Error> {
    let sql = "select id from users where email = $1 and deleted_at is null";
    sql::query_scalar(sql).bind(email.as_str()).fetch_optional(work).await
}

/// Ends everything that somebody is signed in with, except the web session `kept`.
pub(crate) async fn sign_out(work: &mut PgConnection, user: Uuid, kept: Option<&[u8]>) -> Result<(), sqlx::Error> {
    let sql = "delete from web_sessions where user_id = $1 and ($2::bytea is null or hash <> $2)";
    sql::query(sql).bind(user).bind(kept).execute(&mut *work).await?;
    let sql = "update refresh_families set revoked_at = now() where user_id = $1 and revoked_at is null";
    sql::query(sql).bind(user).execute(work).await?;
    Ok(())
}

/// Notes in the audit what a user did, or what was done for them, with their account.
pub(crate) async fn note(
    work: &mut PgConnection,
    user: Uuid,
    action: &'static str,
    address: Option<IpAddr>,
) -> Result<(), sqlx::Error> {
    note_more(work, user, action, address, json!({})).await
}

/// The same with details.
pub(crate) async fn note_more(
    work: &mut PgConnection,
    user: Uuid,
    action: &'static str,
    address: Option<IpAddr>,
    details: Value,
) -> Result<(), sqlx::Error> {
    let id = user.to_string();
    let deed = Deed { action, kind: "user", id: id.clone(), channel: None, details };
    audit::write(work, "user", &id, address, deed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_an_address_are_one() {
        assert_eq!(Email::parse(" Ann@Example.ORG "), Email::parse("ann@example.org"));
        for bad in
            ["", "ann", "ann@", "@example.org", "a b@c.d", "ann@example.org\r\nBcc: x@y.z", "\"a\"@b.c", "a@[::1]"]
        {
            assert_eq!(Email::parse(bad), None, "{bad}");
        }
        assert_eq!(Email::parse(&format!("{}@example.org", "a".repeat(250))), None);
    }

    #[test]
    fn a_handle_is_made_of_what_somebody_calls_themselves() {
        for (text, expected) in
            [("Ann.Archer", Some("ann-archer")), ("ann@example.org", Some("ann")), ("—", None), ("", None)]
        {
            assert_eq!(handle(text).as_deref(), expected, "{text}");
        }
        assert!(handle(&"x".repeat(500)).is_some());
        assert_eq!(display_name(" A\u{0}nn\n").as_deref(), Some("Ann"));
    }
}
