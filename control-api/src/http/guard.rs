//! Around every handler: the body is bounded in size and time, the answer in time, and both are
//! counted. Large bodies are left to their handlers, which know the caller before they read.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::once::Stamp;
use super::problem::ApiError;
use crate::ControlApi;
use crate::database::{ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT};
use crate::slates;

/// The largest request body of the public API, in bytes; a slate may be larger.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// The largest report of a node, in bytes: some thousands of broadcasts.
pub const REPORT_BYTES_MAX: usize = 2 << 20;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long a handler may take: one wait for a connection and one statement. It bites where the
/// database's own limits cannot, as when its host falls silent.
const HANDLER_DEADLINE: Duration = ACQUIRE_TIMEOUT.saturating_add(STATEMENT_TIMEOUT);

/// Who reads a body.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// We do, up to so many bytes.
    Guard(usize),
    /// The handler does, by [`read`].
    Handler,
}

/// The guard of the public API.
pub(crate) async fn public(State(api): State<ControlApi>, request: Request, next: Next) -> Response {
    let reader = match route(&request) {
        slates::PATH => Reader::Handler,
        _ => Reader::Guard(BODY_BYTES_MAX),
    };
    guard(&api, reader, request, next).await
}

/// The guard of the internal API.
pub(crate) async fn internal(State(api): State<ControlApi>, request: Request, next: Next) -> Response {
    guard(&api, Reader::Guard(REPORT_BYTES_MAX), request, next).await
}

/// The pattern of the path, as a bounded label.
fn route(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str)
}

async fn guard(api: &ControlApi, reader: Reader, request: Request, next: Next) -> Response {
    let method = method_label(request.method());
    let route = route(&request).to_owned();
    let mut response = match run(reader, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    protect(response.headers_mut());
    let status = response.status();
    let labels = [method, route.as_str(), status.as_str()];
    api.metrics().requests.with_label_values(&labels).inc();
    response
}

/// What keeps browsers from taking an answer for anything else, and from keeping or framing it. No answer names an
/// origin that may read it (`Access-Control-Allow-Origin`): other sites ask by their servers.
fn protect(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, nothing);
}

async fn run(reader: Reader, request: Request, next: Next) -> Result<Response, ApiError> {
    let (request, deadline) = match reader {
        Reader::Guard(bytes_max) => {
            let (mut head, body) = request.into_parts();
            let body = read(body, bytes_max).await?;
            if let Some(stamp) = Stamp::of(&head, &body)? {
                head.extensions.insert(stamp);
            }
            (Request::from_parts(head, Body::from(body)), HANDLER_DEADLINE)
        }
        Reader::Handler => (request, BODY_DEADLINE.saturating_add(HANDLER_DEADLINE)),
    };
    let answer = timeout(deadline, next.run(request)).await;
    answer.map_err(|_| ApiError::DatabaseUnavailable)
}

/// The whole body, bounded in size and time.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let read = timeout(BODY_DEADLINE, collect(body, bytes_max)).await;
    read.unwrap_or_else(|_| {
        Err(ApiError::Body {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "body_timeout",
            title: "the body did not arrive in time".into(),
        })
    })
}

async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::Body {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "body_too_large",
            title: format!("the body is larger than {bytes_max} bytes"),
        }),
        Err(_) => Err(ApiError::Body {
            status: StatusCode::BAD_REQUEST,
            code: "body_incomplete",
            title: "the body broke off".into(),
        }),
    }
}

/// Methods as a bounded label: a client may send any word.
fn method_label(method: &axum::http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}
