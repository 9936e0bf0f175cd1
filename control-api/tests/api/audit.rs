//! What is written down of what was done.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use control_api::permission::{ChannelRole, Role};
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};

const AUDIT: &str = "/api/v1/audit";
const PNG: &[u8] = include_bytes!("pictures/slate.png");

async fn entries(plane: &Plane, query: &str) -> Vec<Value> {
    let page = plane.admin("GET", &format!("{AUDIT}?{query}"), Value::Null).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.body["entries"].as_array().unwrap().clone()
}

/// A change by the admin from a known address.
async fn act(plane: &Plane, method: &str, path: &str, body: Body) -> Answer {
    let address: SocketAddr = "[::ffff:192.0.2.7]:5000".parse().unwrap();
    let request = Request::builder().method(method).uri(path).extension(ConnectInfo(address));
    let request = request.header("authorization", format!("Bearer {}", plane.admin.expose()));
    let request = request.header("content-type", "image/png");
    plane.public(request.body(body).unwrap()).await
}

#[tokio::test]
async fn every_change_of_rights_or_content_is_written_down_once_with_its_address() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", &[live]).await;
    let json = |value: Value| Body::from(value.to_string());
    let make = async |path: &str, body: Value| {
        let made = act(&plane, "POST", path, json(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.body["id"].as_str().unwrap_or_default().to_owned()
    };
    make("/api/v1/users", json!({ "name": "ann" })).await;
    make("/api/v1/channels", json!({ "name": "talk" })).await;
    let key = make("/api/v1/channels/talk/keys", json!({})).await;
    let token = make("/api/v1/me/tokens", json!({ "name": "t" })).await;
    make("/api/v1/channels/talk/publish-tokens", json!({})).await;
    make(&format!("/api/v1/channels/talk/keys/{key}/rotate"), json!({ "overlap_s": 9 })).await;
    for (method, path, body) in [
        ("DELETE", format!("/api/v1/channels/talk/keys/{key}"), Body::empty()),
        ("PATCH", "/api/v1/channels/talk".into(), json(json!({ "title": "T", "dvr_s": 0 }))),
        ("PUT", "/api/v1/channels/talk/slate".into(), PNG.into()),
        ("DELETE", "/api/v1/channels/talk/slate".into(), Body::empty()),
        ("PUT", "/api/v1/channels/talk/members/ann".into(), json(json!({ "role": "editor" }))),
        ("DELETE", "/api/v1/channels/talk/members/ann".into(), Body::empty()),
        ("PATCH", "/api/v1/users/ann".into(), json(json!({ "role": "creator" }))),
        ("DELETE", "/api/v1/users/ann".into(), Body::empty()),
        ("DELETE", format!("/api/v1/me/tokens/{token}"), Body::empty()),
        ("POST", "/api/v1/broadcasts/b1/end".into(), Body::empty()),
        ("DELETE", "/api/v1/channels/talk".into(), Body::empty()),
    ] {
        let answer = act(&plane, method, &path, body).await;
        assert!(answer.status.is_success(), "{method} {path} {answer:?}");
    }
    let all = entries(&plane, "limit=100").await;
    let actions: Vec<&str> = all.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = "user.create channel.create key.create token.create publish_token.create key.rotate key.revoke \
                    channel.update slate.replace slate.remove member.set member.remove user.update user.delete \
                    token.revoke broadcast.end channel.delete";
    assert_eq!(actions.join(" "), expected);
    for entry in &all {
        assert_eq!((&entry["address"], &entry["actor_name"]), (&json!("192.0.2.7"), &json!("first run")), "{entry}");
    }
    let update = &entries(&plane, "action=user.update").await[0];
    assert_eq!(update["details"]["changed"]["role"], json!({ "from": "viewer", "to": "creator" }));
    let update = &entries(&plane, "action=channel.update").await[0];
    assert_eq!((&update["channel"], &update["details"]["fields"]), (&json!("talk"), &json!(["dvr_s", "title"])));
}

#[tokio::test]
async fn what_was_refused_or_failed_leaves_no_line() {
    let plane = Plane::start().await;
    plane.admin("POST", "/api/v1/channels", json!({ "name": "demo" })).await.is_problem(409, "channel_exists");
    plane.admin("PATCH", "/api/v1/channels/none", json!({})).await.is_problem(404, "channel_unknown");
    let ann = plane.user("ann", Role::Viewer, None).await;
    let refused = plane.send_as(Some(&ann), "DELETE", "/api/v1/channels/demo", "").await;
    refused.is_problem(403, "role_insufficient");
    assert_eq!(entries(&plane, "").await.len(), 0);
}

#[tokio::test]
async fn a_change_whose_line_cannot_be_written_does_not_happen() {
    let plane = Plane::start().await;
    plane.execute("alter table audit add constraint full_up check (action <> 'channel.delete') not valid").await;
    let answer = plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    answer.is_problem(500, "internal");
    assert_eq!(plane.get("/api/v1/channels/demo").await.status, 200);
}

#[tokio::test]
async fn lines_are_found_by_actor_action_object_channel_and_time() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, Some(ChannelRole::Owner)).await;
    plane.send_as(Some(&ann), "PATCH", "/api/v1/channels/demo", r#"{"title":"A"}"#).await;
    plane.admin("POST", "/api/v1/channels", json!({ "name": "other" })).await;
    plane.admin("POST", "/api/v1/users", json!({ "name": "bob" })).await;
    let id = entries(&plane, "action=channel.update").await[0]["object_id"].as_str().unwrap().to_owned();
    for (query, count) in [
        ("", 3),
        ("actor=ann", 1),
        ("actor=nobody", 0),
        ("action=user.create", 1),
        (&format!("object={id}"), 1),
        ("channel=other", 1),
        ("channel=demo&actor=ann", 1),
        ("since=2020-01-01T00:00:00Z", 3),
        ("since=2999-01-01T00:00:00Z", 0),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(entries(&plane, query).await.len(), count, "{query}");
    }
    for (query, code) in [
        ("since=yesterday", "since_invalid"),
        ("until=0001-01-01T00:00:00Z", "until_invalid"),
        ("channel=A", "channel_invalid"),
        ("actor=%00", "actor_invalid"),
        ("cursor=6162", "cursor_invalid"),
    ] {
        plane.admin("GET", &format!("{AUDIT}?{query}"), Value::Null).await.is_problem(422, code);
    }
    let own = plane.send_as(Some(&ann), "GET", "/api/v1/channels/demo/audit", "").await.body;
    assert_eq!(own["entries"].as_array().unwrap().len(), 1);
    let first = plane.admin("GET", &format!("{AUDIT}?limit=2"), Value::Null).await.body;
    let second = entries(&plane, &format!("limit=2&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(second[0]["action"], "channel.update");
}
