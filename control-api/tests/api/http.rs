//! What every path does alike: authentication, bodies, methods, limits.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body::Frame;
use schema::api::Slate;
use serde_json::{Value, json};

use crate::fixture::Plane;

const CHANNELS: &str = "/api/v1/channels";
const KEY: &str = "/api/v1/channels/demo/keys/0190a0a0-0000-7000-8000-000000000000";

const SLATE: &str = "/api/v1/channels/demo/slate";

/// Everything that only an admin may do.
pub(crate) const GUARDED: [(&str, &str); 10] = [
    ("POST", CHANNELS),
    ("PATCH", "/api/v1/channels/demo"),
    ("DELETE", "/api/v1/channels/demo"),
    ("POST", "/api/v1/channels/demo/keys"),
    ("GET", "/api/v1/channels/demo/keys"),
    ("DELETE", KEY),
    ("POST", "/api/v1/channels/demo/publish-tokens"),
    ("GET", SLATE),
    ("PUT", SLATE),
    ("DELETE", SLATE),
];

#[tokio::test]
async fn without_a_token_every_write_and_key_list_is_401_with_a_challenge() {
    let plane = Plane::start().await;
    for (method, path) in GUARDED {
        let answer = plane.send_as(None, method, path, "{").await;
        answer.is_problem(401, "token_missing");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"headwater\"");
    }
}

#[tokio::test]
async fn unknown_and_revoked_tokens_and_stream_keys_are_401() {
    let plane = Plane::start().await;
    for token in ["hw_at_00", "ä", "a b", plane.key.expose()] {
        let answer = plane.send_as(Some(token), "POST", CHANNELS, "{}").await;
        answer.is_problem(401, if token == "ä" { "token_missing" } else { "token_unknown" });
    }
    let revoke = "update api_tokens set revoked_at = now()";
    sqlx::query(revoke).execute(plane.pool()).await.unwrap();
    let answer = plane.admin("POST", CHANNELS, json!({ "name": "x" })).await;
    answer.is_problem(401, "token_unknown");
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn a_token_of_a_lesser_role_is_403() {
    let plane = Plane::start().await;
    let lower = "update api_tokens set role = 'read'";
    sqlx::query(lower).execute(plane.pool()).await.unwrap();
    for (method, path) in GUARDED {
        let answer = plane.admin(method, path, Value::Null).await;
        answer.is_problem(403, "role_insufficient");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_400() {
    let plane = Plane::start().await;
    let deep = "[".repeat(60_000);
    for body in ["", "{", "[]", "7", "\u{feff}{}", "{\"name\":\"\\ud800\"}", deep.as_str()] {
        let body = body.to_owned();
        let answer = plane.send_as(Some(plane.admin.expose()), "POST", CHANNELS, body).await;
        answer.is_problem(400, "json_invalid");
    }
    let answer = plane.send_as(Some(plane.admin.expose()), "POST", CHANNELS, vec![0xff, 0xfe]).await;
    answer.is_problem(400, "json_invalid");
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_with_and_without_a_length() {
    let plane = Plane::start().await;
    let large = vec![b' '; control_api::BODY_BYTES_MAX + 1];
    let answer = plane.send_as(None, "POST", CHANNELS, large.clone()).await;
    answer.is_problem(413, "body_too_large");
    let chunks = Body::new(Unsized(Some(large.into())));
    let answer = plane.send_as(None, "POST", CHANNELS, chunks).await;
    answer.is_problem(413, "body_too_large");
    let mut fits = json!({ "name": "x" }).to_string().into_bytes();
    fits.resize(control_api::BODY_BYTES_MAX, b' ');
    let answer = plane.send_as(Some(plane.admin.expose()), "POST", CHANNELS, fits).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_slate_is_bounded_too_and_of_a_stranger_nothing_is_read() {
    let plane = Plane::start().await;
    plane.send_as(None, "PUT", SLATE, Body::new(Never)).await.is_problem(401, "token_missing");
    let request = |body| {
        let request = Request::put(SLATE).header("content-type", "image/png");
        request.header("authorization", format!("Bearer {}", plane.admin.expose())).body(body).unwrap()
    };
    let large = Unsized(Some(vec![0; Slate::BYTES_MAX + 1].into()));
    plane.public(request(Body::new(large))).await.is_problem(413, "body_too_large");
}

/// A body whose length is not known before it ends.
struct Unsized(Option<Bytes>);

impl http_body::Body for Unsized {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_408() {
    let plane = Plane::start().await;
    tokio::time::pause(); // not before: the database runs on real time
    let body = Body::new(Never);
    let answer = plane.send_as(None, "POST", CHANNELS, body).await;
    answer.is_problem(408, "body_timeout");
}

/// A body that never comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
    let plane = Plane::start().await;
    for path in ["/", "/api/v1", "/api/v1/none", "/internal/v1/reports", "/api/v1/channels/"] {
        plane.get(path).await.is_problem(404, "not_found");
    }
    for path in ["/api/v1/channels/%ff", "/api/v1/channels/..%2f", "/api/v1/channels/A"] {
        plane.get(path).await.is_problem(404, "channel_unknown");
    }
    let answer = plane.admin("PUT", CHANNELS, Value::Null).await;
    answer.is_problem(405, "method_not_allowed");
    let allow = answer.headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let answer = plane.internal("/api/v1/channels", "{}").await;
    answer.is_problem(404, "not_found");
}

#[tokio::test]
async fn requests_are_counted_by_route_never_by_name() {
    let plane = Plane::start().await;
    plane.get("/api/v1/channels/demo").await;
    plane.get("/api/v1/channels/none").await;
    plane.get("/nowhere").await;
    plane.send_as(None, "BREW", CHANNELS, "").await;
    let metrics = plane.metrics();
    for line in [
        r#"headwater_control_requests_total{method="GET",route="/api/v1/channels/{name}",status="200"} 1"#,
        r#"headwater_control_requests_total{method="GET",route="/api/v1/channels/{name}",status="404"} 1"#,
        r#"headwater_control_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"headwater_control_requests_total{method="other",route="/api/v1/channels",status="405"} 1"#,
        "headwater_control_database_connections_in_use ",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn a_schema_that_is_missing_is_a_500_that_tells_nothing() {
    let plane = Plane::start().await;
    sqlx::query("drop table broadcasts").execute(plane.pool()).await.unwrap();
    let answer = plane.get("/api/v1/broadcasts").await;
    answer.is_problem(500, "internal");
    assert!(!answer.body.to_string().contains("broadcasts"), "{answer:?}");
}
