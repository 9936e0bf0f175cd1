//! Refusals of the port itself, before or instead of any part behind it: problem+json with a stable code.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Response, StatusCode, header};
use schema::api::Problem;

/// An answer that says `title`, and `code` to programs.
pub(crate) fn refuse(status: StatusCode, code: &str, title: &str) -> Response<Body> {
    let problem = Problem::new(status.as_u16(), code, title);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, Problem::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    (status, headers, body).into_response()
}
