//! Publish tokens of the studio, from their making to the end of what they began.

use std::slice::from_ref;

use schema::SessionEnd;
use schema::api::{BroadcastReport, BroadcastState, NodeCommand};
use serde_json::{Value, json};

use crate::fixture::Plane;

const TOKENS: &str = "/api/v1/channels/demo/publish-tokens";
const CHANNEL: &str = "/api/v1/channels/demo";

async fn token(plane: &Plane) -> String {
    let made = plane.admin("POST", TOKENS, Value::Null).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["token"].as_str().unwrap().to_owned()
}

async fn execute(plane: &Plane, sql: &'static str) {
    sqlx::query(sql).execute(plane.pool()).await.unwrap();
}

/// A live broadcast of the studio, reported once.
async fn live(plane: &Plane) -> BroadcastReport {
    let token = token(plane).await;
    let live = plane.live_by("b1", &token).await;
    assert!(plane.report("n1", from_ref(&live)).await.commands.is_empty());
    live
}

#[tokio::test]
async fn a_token_begins_sessions_on_its_channel_for_a_minute() {
    let plane = Plane::start().await;
    plane.admin("POST", "/api/v1/channels", json!({ "name": "other" })).await;
    let made = plane.admin("POST", TOKENS, json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.body["token"].as_str().unwrap();
    assert!(token.starts_with("hwp_") && token.len() == 44, "{token}");
    let expires_at = made.body["expires_at"].as_str().unwrap();
    let expires_at: chrono::DateTime<chrono::Utc> = expires_at.parse().unwrap();
    let sql = "select extract(epoch from $1 - now())::float8";
    let left: f64 = sqlx::query_scalar(sql).bind(expires_at).fetch_one(plane.pool()).await.unwrap();
    assert!(left > 30.0 && left <= 60.0, "{left}");
    for _ in 0..2 {
        let grant = plane.admit(token).await;
        assert_eq!((grant.status.as_u16(), &grant.body["channel"]), (200, &json!("demo")), "{grant:?}");
        assert_eq!(grant.body["role"], "primary");
    }
    execute(&plane, "update publish_tokens set expires_at = now()").await;
    plane.admit(token).await.is_problem(401, "token_expired");
    plane.admit("hwp_0000000000000000000000000000000000000000").await.is_problem(401, "key_unknown");
    let line = r#"headwater_control_admissions_total{result="token_expired"} 1"#;
    assert!(plane.metrics().contains(line));
}

#[tokio::test]
async fn a_token_is_no_key_and_opens_no_api() {
    let plane = Plane::start().await;
    let token = token(&plane).await;
    let answer = plane.send_as(Some(&token), "GET", "/api/v1/channels/demo/keys", "").await;
    answer.is_problem(401, "token_unknown");
    let keys = plane.admin("GET", "/api/v1/channels/demo/keys", Value::Null).await;
    assert_eq!(keys.body["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tokens_are_made_for_channels_that_exist_and_bodies_that_are_empty() {
    let plane = Plane::start().await;
    let none = plane.admin("POST", "/api/v1/channels/none/publish-tokens", Value::Null).await;
    none.is_problem(404, "channel_unknown");
    plane.admin("POST", TOKENS, json!({ "seconds": 3600 })).await.is_problem(422, "field_unknown");
    plane.send_as(Some(plane.admin.expose()), "POST", TOKENS, "{").await.is_problem(400, "json_invalid");
    plane.admin("GET", TOKENS, Value::Null).await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_channel_holds_32_valid_tokens() {
    let plane = Plane::start().await;
    for _ in 0..32 {
        token(&plane).await;
    }
    let answer = plane.admin("POST", TOKENS, Value::Null).await;
    answer.is_problem(409, "publish_tokens_too_many");
    execute(&plane, "update publish_tokens set expires_at = now() where id = (select id from publish_tokens limit 1)")
        .await;
    token(&plane).await;
}

#[tokio::test]
async fn a_studio_session_goes_on_after_its_token_expired() {
    let plane = Plane::start().await;
    let live = live(&plane).await;
    let shown = plane.admin("GET", CHANNEL, Value::Null).await.body;
    assert_eq!((&shown["live"]["broadcast"], &shown["live"]["credential"]), (&json!("b1"), &json!("studio")));
    execute(&plane, "update publish_tokens set expires_at = now() - interval '3 days'").await;
    token(&plane).await; // removes what nobody needs
    assert!(plane.report("n1", from_ref(&live)).await.commands.is_empty());
    let shown = plane.admin("GET", CHANNEL, Value::Null).await.body;
    assert_eq!(shown["live"]["broadcast"], "b1");
}

#[tokio::test]
async fn a_studio_session_ends_with_the_api_token_of_who_began_it() {
    let plane = Plane::start().await;
    let live = live(&plane).await;
    execute(&plane, "update api_tokens set revoked_at = now()").await;
    for _ in 0..2 {
        let answer = plane.report("n1", from_ref(&live)).await;
        let [NodeCommand::EndSession { session, end, .. }] = answer.commands.as_slice() else {
            panic!("{answer:?}");
        };
        assert_eq!((session.as_str(), *end), ("session-b1", SessionEnd::KeyRevoked));
    }
    let mut over = live;
    over.state = BroadcastState::Ended;
    over.end = Some(SessionEnd::KeyRevoked);
    assert!(plane.report("n1", &[over]).await.commands.is_empty());
}

#[tokio::test]
async fn a_token_of_a_revoked_api_token_or_a_deleted_channel_is_revoked() {
    let plane = Plane::start().await;
    let first = token(&plane).await;
    execute(&plane, "update api_tokens set revoked_at = now()").await;
    plane.admit(&first).await.is_problem(401, "key_revoked");
    execute(&plane, "update api_tokens set revoked_at = null").await;
    let live = live(&plane).await;
    assert_eq!(plane.admin("DELETE", CHANNEL, Value::Null).await.status, 204);
    plane.admit(&first).await.is_problem(401, "key_revoked");
    assert_eq!(plane.report("n1", &[live]).await.commands.len(), 1);
}

#[tokio::test]
async fn tokens_are_removed_a_day_after_they_expired_and_their_broadcasts_stay_the_studio_s() {
    let plane = Plane::start().await;
    let mut over = live(&plane).await;
    over.state = BroadcastState::Ended;
    plane.report("n1", &[over]).await;
    token(&plane).await;
    execute(&plane, "update publish_tokens set expires_at = now() - interval '23 hours'").await;
    token(&plane).await;
    let count = async || {
        let sql = "select count(*) from publish_tokens";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(plane.pool()).await.unwrap()
    };
    assert_eq!(count().await, 3);
    execute(&plane, "update publish_tokens set expires_at = now() - interval '25 hours'").await;
    token(&plane).await;
    assert_eq!(count().await, 1);
    let list = plane.admin("GET", "/api/v1/broadcasts?channel=demo", Value::Null).await.body;
    assert_eq!(list["broadcasts"][0]["credential"], "studio");
}
