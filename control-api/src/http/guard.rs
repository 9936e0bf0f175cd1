//! Around every handler: the body is bounded in size and time, the answer in time, and both are
//! counted.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::problem::ApiError;
use crate::ControlApi;
use crate::database::{ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT};

/// The largest request body of the public API, in bytes.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// The largest report of a node, in bytes: some thousands of broadcasts.
pub const REPORT_BYTES_MAX: usize = 2 << 20;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long a handler may take: one wait for a connection and one statement. It bites where the
/// database's own limits cannot, as when its host falls silent.
const HANDLER_DEADLINE: Duration = ACQUIRE_TIMEOUT.saturating_add(STATEMENT_TIMEOUT);

/// The guard of the public API.
pub(crate) async fn public(State(api): State<ControlApi>, request: Request, next: Next) -> Response {
    guard(&api, BODY_BYTES_MAX, request, next).await
}

/// The guard of the internal API.
pub(crate) async fn internal(State(api): State<ControlApi>, request: Request, next: Next) -> Response {
    guard(&api, REPORT_BYTES_MAX, request, next).await
}

async fn guard(api: &ControlApi, bytes_max: usize, request: Request, next: Next) -> Response {
    let method = method_label(request.method());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unmatched".to_owned(),
    };
    let mut response = match run(bytes_max, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let status = response.status();
    let labels = [method, route.as_str(), status.as_str()];
    api.metrics().requests.with_label_values(&labels).inc();
    response
}

async fn run(bytes_max: usize, request: Request, next: Next) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let body = timeout(BODY_DEADLINE, read(body, bytes_max)).await;
    let body = body.unwrap_or_else(|_| {
        Err(ApiError::Body {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "body_timeout",
            title: "the body did not arrive in time".into(),
        })
    })?;
    let request = Request::from_parts(head, Body::from(body));
    let answer = timeout(HANDLER_DEADLINE, next.run(request)).await;
    answer.map_err(|_| ApiError::DatabaseUnavailable)
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
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
