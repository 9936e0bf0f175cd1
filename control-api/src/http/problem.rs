//! Every error of the control API as HTTP: RFC 9457 problems with stable codes.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schema::api::Problem;
use serde::Serialize;
use thiserror::Error;

/// What `Retry-After` says while the database is away, in seconds: a supervisor's restart.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// Why a request was refused. The message is for the client; what only the operator may read is
/// logged, not sent.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// No bearer token (RFC 6750 3.1: no error code then).
    #[error("an API token is needed")]
    TokenMissing,
    /// A bearer token that is unknown or revoked.
    #[error("the API token is not valid")]
    TokenUnknown,
    /// A session cookie that stands for nothing any more.
    #[error("the web session is over; sign in again")]
    SessionExpired,
    /// A browser's cookie, perhaps sent for a page of another site.
    #[error("what changes something by cookie must come from one of our own pages")]
    CrossSite,
    /// Too many wrong tokens from one address.
    #[error("too many wrong tokens from this address; try again in {retry_after_s} s")]
    AttemptsTooMany { retry_after_s: u64 },
    /// More requests of a class than one address or account may send.
    #[error("too many requests; try again in {retry_after_s} s")]
    RequestsTooMany { retry_after_s: u64 },
    /// Somebody who may not do this, by their role or the scopes of their token.
    #[error("the role or the API token may not do this")]
    RoleInsufficient,
    /// A user whom an admin has shut out.
    #[error("this account is suspended")]
    UserSuspended,
    /// The thing does not exist.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// A stream key that was refused at admission.
    #[error("{title}")]
    KeyRefused { code: &'static str, title: &'static str },
    /// A publisher whom the operator's service turned away, with its words.
    #[error("{}", reason.as_deref().unwrap_or("this channel may not publish"))]
    PublishForbidden { reason: Option<String> },
    /// A publisher who is to ask another server.
    #[error("this publisher belongs to another server")]
    PublishElsewhere { location: String },
    /// The operator's admission service failed, and nobody gets in without its word.
    #[error("the admission service does not answer; try again shortly")]
    HookUnavailable,
    /// `If-Match` names a version that is no more (RFC 9110 13.1.1).
    #[error("it was changed meanwhile; ask for it again")]
    VersionChanged,
    /// An `Idempotency-Key` that came with another request before.
    #[error("the Idempotency-Key was used for another request")]
    IdempotencyKeyReused,
    /// Understood, and not granted.
    #[error("{title}")]
    Refused { status: StatusCode, code: &'static str, title: &'static str },
    /// Understood, but in the way of what is there already.
    #[error("{title}")]
    Conflict { code: &'static str, title: &'static str },
    /// The body cannot be read at all.
    #[error("{title}")]
    Body { status: StatusCode, code: &'static str, title: String },
    /// A field whose value is not allowed.
    #[error("{field} {reason}")]
    Invalid { field: &'static str, reason: String },
    /// A field that does not exist.
    #[error("there is no field {0:?}")]
    UnknownField(String),
    /// More work of a costly kind than is done at a time.
    #[error("too much at once; try again in {retry_after_s} s")]
    Busy { retry_after_s: u64 },
    /// The identity provider is away, and what is known of it does not suffice.
    #[error("the identity provider cannot be reached; try again shortly")]
    ProviderUnavailable,
    /// The database is away or did not answer in time.
    #[error("the database is away; try again shortly")]
    DatabaseUnavailable,
    /// Our own mistake, logged where it arose.
    #[error("the request failed inside the server")]
    Internal,
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            tracing::warn!(%error, "the database is away");
            return Self::DatabaseUnavailable;
        }
        tracing::error!(%error, "a database query failed");
        Self::Internal
    }
}

/// True if trying again later may help: no connection, or the server said so.
fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(said) => said.code().is_some_and(|code| is_passing(&code)),
        _ => false,
    }
}

/// The classes and codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html> that
/// pass by themselves, or tell of a database that does not serve us at all.
fn is_passing(code: &str) -> bool {
    const CLASSES: [&str; 5] = [
        "08", // connection exception
        "28", // our role or password is refused
        "40", // deadlock, serialisation failure
        "53", // out of connections, memory or disk
        "57", // shutting down, starting up, statement timeout
    ];
    const CODES: [&str; 2] = [
        "25006", // read only: a standby
        "3D000", // our database does not exist (yet)
    ];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

/// A [`Problem`] with the field that is wrong, an extension member (RFC 9457 3.2).
#[derive(Serialize)]
struct FieldProblem {
    #[serde(flatten)]
    problem: Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TokenMissing | Self::TokenUnknown | Self::SessionExpired | Self::KeyRefused { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::RoleInsufficient | Self::UserSuspended | Self::CrossSite | Self::PublishForbidden { .. } => {
                StatusCode::FORBIDDEN
            }
            Self::PublishElsewhere { .. } => StatusCode::TEMPORARY_REDIRECT,
            Self::AttemptsTooMany { .. } | Self::RequestsTooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::VersionChanged => StatusCode::PRECONDITION_FAILED,
            Self::Body { status, .. } | Self::Refused { status, .. } => *status,
            Self::Invalid { .. } | Self::UnknownField(_) | Self::IdempotencyKeyReused => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Busy { .. } | Self::ProviderUnavailable | Self::DatabaseUnavailable | Self::HookUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> String {
        match self {
            Self::TokenMissing => "token_missing".into(),
            Self::TokenUnknown => "token_unknown".into(),
            Self::SessionExpired => "session_expired".into(),
            Self::CrossSite => "cross_site".into(),
            Self::AttemptsTooMany { .. } => "attempts_too_many".into(),
            Self::RequestsTooMany { .. } => "requests_too_many".into(),
            Self::RoleInsufficient => "role_insufficient".into(),
            Self::PublishForbidden { .. } => "publish_forbidden".into(),
            Self::PublishElsewhere { .. } => "publish_elsewhere".into(),
            Self::HookUnavailable => "admission_unavailable".into(),
            Self::UserSuspended => "user_suspended".into(),
            Self::VersionChanged => "version_changed".into(),
            Self::IdempotencyKeyReused => "idempotency_key_reused".into(),
            Self::Unknown(what) => format!("{what}_unknown"),
            Self::KeyRefused { code, .. }
            | Self::Conflict { code, .. }
            | Self::Body { code, .. }
            | Self::Refused { code, .. } => (*code).into(),
            Self::Invalid { field, .. } => format!("{field}_invalid"),
            Self::UnknownField(_) => "field_unknown".into(),
            Self::Busy { .. } => "busy".into(),
            Self::ProviderUnavailable => "provider_unavailable".into(),
            Self::DatabaseUnavailable => "database_unavailable".into(),
            Self::Internal => "internal".into(),
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Invalid { field, .. } => Some((*field).to_owned()),
            Self::UnknownField(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// RFC 6750 3 and 3.1.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::TokenMissing | Self::SessionExpired => Some(r#"Bearer realm="headwater""#),
            Self::TokenUnknown | Self::KeyRefused { .. } => Some(r#"Bearer realm="headwater", error="invalid_token""#),
            Self::RoleInsufficient => Some(r#"Bearer realm="headwater", error="insufficient_scope""#),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = FieldProblem {
            problem: Problem::new(status.as_u16(), &self.code(), self.to_string()),
            field: self.field(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        match self {
            Self::DatabaseUnavailable | Self::ProviderUnavailable | Self::HookUnavailable => {
                drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS));
            }
            Self::PublishElsewhere { location } => {
                // It was checked to be one where it was read.
                if let Ok(location) = HeaderValue::try_from(location) {
                    headers.insert(LOCATION, location);
                }
            }
            Self::AttemptsTooMany { retry_after_s }
            | Self::RequestsTooMany { retry_after_s }
            | Self::Busy { retry_after_s } => {
                drop(headers.insert(RETRY_AFTER, retry_after_s.into()));
            }
            _ => {}
        }
        response
    }
}

/// The answer to a path that does not exist.
pub(crate) async fn not_found() -> ApiError {
    ApiError::Body { status: StatusCode::NOT_FOUND, code: "not_found", title: "there is nothing at this path".into() }
}

/// The answer to a method that a path does not know; axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::Body {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        title: "this path does not know the method".into(),
    }
}
