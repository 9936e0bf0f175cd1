//! Pages of a listing: a limit, and a cursor that says where the next page begins.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schema::ChannelName;
use serde::Deserialize;

use super::extract::invalid;
use super::problem::ApiError;

/// The longest page.
const LIMIT_MAX: i64 = 100;
/// The page's length where nobody says.
const LIMIT_USUAL: i64 = 50;

/// The query of a listing, as texts, so that a wrong one is our problem to explain.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
    /// Of the listings of broadcasts and of what was done.
    pub(crate) channel: Option<String>,
    /// Of the listing of users, as those that follow.
    pub(crate) role: Option<String>,
    pub(crate) state: Option<String>,
    /// How a handle begins.
    pub(crate) name: Option<String>,
    /// Of the listing of what was done, as those that follow.
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<Self>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|_| ApiError::Body {
            status: StatusCode::BAD_REQUEST,
            code: "query_invalid",
            title: "the query cannot be read".into(),
        })?;
        Ok(query)
    }
}

impl PageQuery {
    /// 1 to 100 entries.
    pub(crate) fn limit(&self) -> Result<i64, ApiError> {
        let Some(text) = &self.limit else {
            return Ok(LIMIT_USUAL);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| invalid("limit", format!("must be 1 to {LIMIT_MAX}")))
    }

    /// The channel that is asked for.
    pub(crate) fn channel_name(&self) -> Result<Option<ChannelName>, ApiError> {
        let parse = |name: &str| name.parse().map_err(|error| invalid("channel", format!("{error}")));
        self.channel.as_deref().map(parse).transpose()
    }

    /// The key after which the page begins, if not at the start.
    pub(crate) fn after(&self) -> Result<Option<String>, ApiError> {
        self.cursor.as_deref().map(decode).transpose()
    }
}

/// Cuts `entries`, of which one more than `limit` was asked for, to the page; and tells the
/// cursor of the next page, if there is one, by the `key` of the last entry.
pub(crate) fn cut<T>(entries: &mut Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(0);
    if entries.len() <= limit {
        return None;
    }
    entries.truncate(limit);
    entries.last().map(|last| hex::encode(key(last)))
}

/// What a wrong cursor is answered.
pub(crate) fn bad_cursor() -> ApiError {
    invalid("cursor", "is not one that this listing gave out".into())
}

fn decode(cursor: &str) -> Result<String, ApiError> {
    let bytes = hex::decode(cursor).map_err(|_| bad_cursor())?;
    let key = String::from_utf8(bytes).map_err(|_| bad_cursor())?;
    match key.contains('\0') {
        true => Err(bad_cursor()),
        false => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_the_last_entry_of_its_page() {
        let mut entries = vec!["a", "b", "c"];
        let cursor = cut(&mut entries, 2, |entry| (*entry).to_owned());
        let query = PageQuery { cursor, ..PageQuery::default() };
        assert_eq!(entries, ["a", "b"]);
        assert_eq!(query.after().unwrap().as_deref(), Some("b"));
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        assert_eq!(cut(&mut vec![1, 2], 2, i32::to_string), None);
    }
}
