//! Requests with an `Idempotency-Key`.

use axum::http::Request;
use control_api::permission::Role;
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};

async fn post(plane: &Plane, token: &str, key: &str, path: &str, body: Value) -> Answer {
    let request = Request::post(path).header("authorization", format!("Bearer {token}"));
    plane.public(request.header("idempotency-key", key).body(body.to_string().into()).unwrap()).await
}

const CHANNELS: &str = "/api/v1/channels";

#[tokio::test]
async fn a_second_request_is_answered_as_the_first_and_done_once() {
    let plane = Plane::start().await;
    let admin = plane.admin.expose();
    let first = post(&plane, admin, "k1", CHANNELS, json!({ "name": "talk" })).await;
    let second = post(&plane, admin, "k1", CHANNELS, json!({ "name": "talk" })).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201), "{second:?}");
    assert_eq!((&first.body, &first.headers["location"]), (&second.body, &second.headers["location"]));
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    let entries = plane.admin("GET", "/api/v1/audit", Value::Null).await.body;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn twins_at_once_make_one() {
    let plane = Plane::start().await;
    let admin = plane.admin.expose();
    let ask = || post(&plane, admin, "k1", "/api/v1/users", json!({ "name": "ann" }));
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    for answer in [&a, &b, &c] {
        assert_eq!((answer.status.as_u16(), &answer.body), (201, &a.body));
    }
    let replayed = [a, b, c].iter().filter(|answer| answer.headers.contains_key("idempotent-replayed")).count();
    assert_eq!(replayed, 2);
}

#[tokio::test]
async fn a_key_with_another_body_or_path_is_422_and_of_another_caller_a_new_one() {
    let plane = Plane::start().await;
    let admin = plane.admin.expose();
    post(&plane, admin, "k1", CHANNELS, json!({ "name": "talk" })).await;
    for (path, body) in [(CHANNELS, json!({ "name": "other" })), ("/api/v1/users", json!({ "name": "talk" }))] {
        post(&plane, admin, "k1", path, body).await.is_problem(422, "idempotency_key_reused");
    }
    let ann = plane.user("ann", Role::Creator, None).await;
    let own = post(&plane, &ann, "k1", CHANNELS, json!({ "name": "other" })).await;
    assert_eq!(own.status, 201, "{own:?}");
}

#[tokio::test]
async fn what_failed_is_tried_again_and_a_day_later_all_is_new() {
    let plane = Plane::start().await;
    let admin = plane.admin.expose();
    let ask = || post(&plane, admin, "k1", CHANNELS, json!({ "name": "demo" }));
    ask().await.is_problem(409, "channel_exists");
    plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    assert_eq!(ask().await.status, 201);
    plane.execute("update idempotency_keys set created_at = now() - interval '25 hours'").await;
    ask().await.is_problem(409, "channel_exists");
}

#[tokio::test]
async fn a_secret_is_kept_nowhere_and_its_twin_is_told_so() {
    let plane = Plane::start().await;
    let admin = plane.admin.expose();
    for path in ["/api/v1/channels/demo/keys", "/api/v1/me/tokens"] {
        let body = if path.ends_with("keys") { json!({}) } else { json!({ "name": "t" }) };
        let first = post(&plane, admin, path, path, body.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        post(&plane, admin, path, path, body).await.is_problem(409, "secret_told");
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from idempotency_keys where body is not null")
        .fetch_one(plane.pool())
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_key_is_one_short_visible_text() {
    let plane = Plane::start().await;
    for key in ["", &"k".repeat(256)] {
        let answer = post(&plane, plane.admin.expose(), key, CHANNELS, json!({ "name": "x" })).await;
        answer.is_problem(422, "idempotency_key_invalid");
    }
    let longest = post(&plane, plane.admin.expose(), &"k".repeat(255), CHANNELS, json!({ "name": "x" })).await;
    assert_eq!(longest.status, 201);
}
