//! What handlers take from a request: names in paths, JSON bodies, single fields.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::BodyExt;
use schema::{BroadcastId, ChannelName, UserName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::problem::ApiError;
use crate::strict;

/// The most names of fields that are told.
const NAMES_MAX: usize = 100;

/// `{name}` of a path. A text that cannot be a name is no channel's: 404.
pub(crate) struct ChannelPath(pub(crate) ChannelName);

impl<S: Send + Sync> FromRequestParts<S> for ChannelPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Segments {
            name: ChannelName,
        }
        let path = Path::<Segments>::from_request_parts(parts, state).await;
        let Path(segments) = path.map_err(|_| ApiError::Unknown("channel"))?;
        Ok(Self(segments.name))
    }
}

/// `{id}` of a path, a key's.
pub(crate) struct KeyPath(pub(crate) Uuid);

/// `{id}` of a path, an API token's.
pub(crate) struct TokenPath(pub(crate) Uuid);

/// `{id}` of a path, a broadcast's.
pub(crate) struct BroadcastPath(pub(crate) BroadcastId);

/// `{user}` of a path, a handle.
pub(crate) struct UserPath(pub(crate) UserName);

/// One segment of a path; a text that cannot be one is nobody's: 404.
macro_rules! path_of {
    ($path:ident, $segment:ident: $type:ty, $what:literal) => {
        impl<S: Send + Sync> FromRequestParts<S> for $path {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                #[derive(Deserialize)]
                struct Segments {
                    $segment: $type,
                }
                let path = Path::<Segments>::from_request_parts(parts, state).await;
                let Path(segments) = path.map_err(|_| ApiError::Unknown($what))?;
                Ok(Self(segments.$segment))
            }
        }
    };
}

path_of!(KeyPath, id: Uuid, "key");
path_of!(TokenPath, id: Uuid, "token");
path_of!(BroadcastPath, id: BroadcastId, "broadcast");
path_of!(UserPath, user: UserName, "user");

/// `{name}` and `{user}` of a path.
pub(crate) struct MemberPath {
    pub(crate) name: ChannelName,
    pub(crate) user: UserName,
}

impl<S: Send + Sync> FromRequestParts<S> for MemberPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ChannelPath(name) = ChannelPath::from_request_parts(parts, state).await?;
        let UserPath(user) = UserPath::from_request_parts(parts, state).await?;
        Ok(Self { name, user })
    }
}

/// A JSON body of the internal API, whose two sides are built from the same types.
pub(crate) struct Typed<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Typed<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = bytes_of(request).await?;
        // The error's text is not sent on: it may quote a secret out of the body.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let at = format!("line {}, column {}", error.line(), error.column());
            bad_json(match error.is_data() {
                true => format!("the body is not what this path takes, at {at}"),
                false => format!("the body is not JSON, at {at}"),
            })
        })
    }
}

/// A JSON object of the public API, taken apart field by field so that each error names its own.
pub(crate) struct Fields(Map<String, Value>);

/// A field of a `PATCH` body (RFC 7396): absent leaves the value, `null` clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)),
        }
    }

    /// The value to store, where there is one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        Self::parse(&bytes_of(request).await?)
    }
}

/// For bodies that may be left out.
impl<S: Send + Sync> OptionalFromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        let bytes = bytes_of(request).await?;
        match bytes.is_empty() {
            true => Ok(None),
            false => Self::parse(&bytes).map(Some),
        }
    }
}

impl Fields {
    /// The names of all that is there, for the record.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().take(NAMES_MAX).map(|name| name.chars().take(64).collect()).collect()
    }

    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        match strict::value(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(bad_json("the body is not a JSON object".into())),
            Err(error) if error.is_data() => Err(bad_json(format!("the body cannot be read: {error}"))),
            Err(error) => Err(bad_json(format!("the body is not JSON: {error}"))),
        }
    }

    /// Takes the field `name` out.
    pub(crate) fn patch<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Patch<T>, ApiError> {
        match self.0.remove(name) {
            None => Ok(Patch::Keep),
            Some(Value::Null) => Ok(Patch::Clear),
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Patch::Set(value)),
                Err(error) => Err(invalid(name, without_value(&error))),
            },
        }
    }

    /// Takes the field `name` out; absent and `null` are the same.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, ApiError> {
        match self.patch(name)? {
            Patch::Set(value) => Ok(Some(value)),
            Patch::Keep | Patch::Clear => Ok(None),
        }
    }

    /// Takes the field `name` out, which must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, ApiError> {
        let value = self.optional(name)?;
        value.ok_or_else(|| invalid(name, "is missing".into()))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::UnknownField(name.chars().take(64).collect())),
        }
    }
}

/// What was expected, without what was found: that may be a secret.
fn without_value(error: &serde_json::Error) -> String {
    let error = error.to_string();
    match error.rsplit_once(", expected ") {
        Some((_, expected)) => format!("must be {expected}"),
        None => error,
    }
}

/// A field whose value is not allowed.
pub(crate) fn invalid(field: &'static str, reason: String) -> ApiError {
    ApiError::Invalid { field, reason }
}

/// A text of `least` to `longest` characters without control characters, spaces around it taken off.
pub(crate) fn text(field: &'static str, text: &str, least: usize, longest: usize) -> Result<String, ApiError> {
    let text = text.trim();
    let length = text.chars().count();
    if length < least || length > longest {
        let reason = format!("must have {least} to {longest} characters");
        return Err(invalid(field, reason));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "must not hold control characters".into()));
    }
    Ok(text.to_owned())
}

/// The body, which the guard has bounded already.
async fn bytes_of(request: Request) -> Result<Bytes, ApiError> {
    let read = request.into_body().collect().await;
    let read = read.map_err(|_| bad_json("the body cannot be read".into()))?;
    Ok(read.to_bytes())
}

fn bad_json(title: String) -> ApiError {
    ApiError::Body { status: StatusCode::BAD_REQUEST, code: "json_invalid", title }
}
