//! Reports of nodes, and what they make visible.

use std::slice::from_ref;

use schema::api::{BroadcastState, NodeCommand};
use schema::ladder::PictureSize;
use schema::{Incarnation, SessionEnd};
use serde_json::{Value, json};

use crate::fixture::Plane;

const LIST: &str = "/api/v1/broadcasts?channel=demo";

#[tokio::test]
async fn a_reported_broadcast_is_live_until_its_end_is_reported() {
    let plane = Plane::start().await;
    let mut live = plane.live("b1").await;
    live.source_size = Some(PictureSize { width: 1280, height: 720 });
    assert!(plane.report("n1", from_ref(&live)).await.commands.is_empty());
    let shown = plane.get("/api/v1/channels/demo").await;
    assert_eq!(shown.body["live"]["broadcast"], "b1");
    assert_eq!(shown.body["live"]["state"], "live");
    assert_eq!(shown.body["live"]["started_at"], "2023-11-14T22:13:20Z");
    assert_eq!(shown.body["live"]["source_size"]["height"], 720);
    let ended = schema::api::BroadcastReport {
        state: BroadcastState::Ended,
        end: Some(SessionEnd::Closed),
        source_size: None,
        degraded: false,
        ..live
    };
    plane.report("n1", from_ref(&ended)).await;
    plane.report("n1", &[ended]).await;
    assert_eq!(plane.get("/api/v1/channels/demo").await.body["live"], Value::Null);
    let list = plane.admin("GET", LIST, Value::Null).await;
    let only = &list.body["broadcasts"][0];
    assert_eq!(only["state"], "ended");
    assert_eq!(only["end_reason"], "closed");
    assert_eq!(only["source_size"], json!({ "width": 1280, "height": 720 }));
    assert!(only["ended_at"].is_string());
}

#[tokio::test]
async fn callers_see_that_a_broadcast_gives_quality_up_as_long_as_it_does() {
    let plane = Plane::start().await;
    let channel = "/api/v1/channels/demo";
    let mut live = plane.live("b1").await;
    for degraded in [false, true, false, true] {
        live.degraded = degraded;
        plane.report("n1", from_ref(&live)).await;
        assert_eq!(plane.admin("GET", channel, Value::Null).await.body["live"]["degraded"], degraded);
        assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["degraded"], degraded);
        assert!(plane.get(channel).await.body["live"].get("degraded").is_none(), "strangers do not");
    }
    (live.state, live.end) = (BroadcastState::Ended, Some(SessionEnd::Closed));
    plane.report("n1", from_ref(&live)).await;
    assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["degraded"], false);
}

#[tokio::test]
async fn callers_see_how_a_publisher_came_in_and_why_it_ended_and_strangers_do_not() {
    let plane = Plane::start().await;
    let channel = "/api/v1/channels/demo";
    let before = plane.admin("GET", channel, Value::Null).await;
    assert_eq!((&before.body["live"], &before.body["last_end"]), (&Value::Null, &Value::Null));
    assert!(before.body.as_object().unwrap().contains_key("last_end"));
    let live = plane.live("b1").await;
    let mut over = plane.live("b0").await;
    over.state = BroadcastState::Ended;
    over.end = Some(SessionEnd::Silent);
    plane.report("n1", &[over, live]).await;
    let inside = plane.admin("GET", channel, Value::Null).await.body;
    assert_eq!(inside["live"]["protocol"], "whip");
    assert_eq!(inside["live"]["credential"], "key");
    assert_eq!((&inside["live"]["role"], &inside["live"]["session"]), (&json!("primary"), &json!("session-b1")));
    assert_eq!(inside["last_end"]["broadcast"], "b0");
    assert_eq!(inside["last_end"]["reason"], "silent");
    assert!(inside["last_end"]["at"].is_string());
    let list = plane.admin("GET", LIST, Value::Null).await.body;
    assert_eq!(list["broadcasts"][0]["credential"], "key");

    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let outside = plane.get(channel).await.body;
    assert_eq!(names(&outside), ["access", "live", "name", "profile", "title"]);
    assert_eq!(names(&outside["live"]), ["broadcast", "source_size", "started_at", "state"]);
    let page = plane.get("/api/v1/channels").await.body;
    assert_eq!(names(&page["channels"][0]), ["access", "live", "name", "profile", "title"]);
    let list = plane.get(LIST).await.body;
    let public = ["channel", "ended_at", "id", "source_size", "started_at", "state"];
    assert_eq!(names(&list["broadcasts"][0]), public);
}

#[tokio::test]
async fn a_wrong_token_is_told_so_even_where_none_is_needed() {
    let plane = Plane::start().await;
    for path in ["/api/v1/channels/demo", LIST] {
        let answer = plane.send_as(Some("hw_at_00"), "GET", path, "").await;
        answer.is_problem(401, "token_unknown");
    }
}

#[tokio::test]
async fn the_last_size_reaches_the_next_grant() {
    let plane = Plane::start().await;
    let mut live = plane.live("b1").await;
    for (width, height) in [(320, 180), (1920, 1080)] {
        live.source_size = Some(PictureSize { width, height });
        plane.report("n1", from_ref(&live)).await;
        let grant = plane.admit(plane.key.expose()).await;
        assert_eq!(grant.body["last_size"], json!({ "width": width, "height": height }));
    }
    live.source_size = Some(PictureSize { width: 0, height: u32::MAX });
    plane.report("n1", &[live]).await;
    let grant = plane.admit(plane.key.expose()).await;
    assert_eq!(grant.body["last_size"]["width"], 1920);
}

#[tokio::test]
async fn the_size_of_the_first_seconds_is_not_remembered() {
    let plane = Plane::start().await;
    let mut live = plane.live("b1").await;
    live.started_at_us = chrono::Utc::now().timestamp_micros();
    live.source_size = Some(PictureSize { width: 320, height: 180 });
    plane.report("n1", &[live]).await;
    assert!(plane.admit(plane.key.expose()).await.body["last_size"].is_null());
}

#[tokio::test]
async fn a_revoked_key_ends_its_live_session_at_every_report_until_it_is_over() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    let path = format!("/api/v1/channels/demo/keys/{}", live.key_id);
    assert_eq!(plane.admin("DELETE", &path, Value::Null).await.status, 204);
    for _ in 0..2 {
        let answer = plane.report("n1", from_ref(&live)).await;
        let NodeCommand::EndSession { session, end, .. } = &answer.commands[0];
        assert_eq!((session.as_str(), *end), ("session-b1", SessionEnd::KeyRevoked));
        assert_eq!(answer.commands.len(), 1);
    }
    let mut ended = live;
    ended.state = BroadcastState::Ended;
    ended.end = Some(SessionEnd::KeyRevoked);
    assert!(plane.report("n1", &[ended]).await.commands.is_empty());
    let shown = plane.admin("GET", "/api/v1/channels/demo", Value::Null).await;
    assert_eq!(shown.body["last_end"]["reason"], "key_revoked");
    assert!(plane.metrics().contains("headwater_control_sessions_ended_total 2"));
}

#[tokio::test]
async fn a_deleted_channel_ends_its_live_session() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    assert_eq!(plane.report("n1", &[live]).await.commands.len(), 1);
}

/// What everybody sees of the channel: the running broadcast and its state, and the state in the list.
async fn shown(plane: &Plane) -> (Value, Value, Value) {
    let channel = plane.get("/api/v1/channels/demo").await.body["live"].clone();
    let page = plane.get("/api/v1/channels").await.body["channels"][0]["live"].clone();
    assert_eq!(channel, page);
    let list = plane.get(LIST).await.body["broadcasts"][0]["state"].clone();
    (channel["broadcast"].clone(), channel["state"].clone(), list)
}

#[tokio::test]
async fn a_broadcast_that_waits_for_its_publisher_is_live_and_says_so() {
    let plane = Plane::start().await;
    let mut told = plane.live("b1").await;
    for (state, word) in [
        (BroadcastState::Live, "live"),
        (BroadcastState::Reconnecting, "reconnecting"),
        (BroadcastState::Reconnecting, "reconnecting"),
        (BroadcastState::Live, "live"),
        (BroadcastState::Reconnecting, "reconnecting"),
    ] {
        told.state = state;
        plane.report("n1", from_ref(&told)).await;
        assert_eq!(shown(&plane).await, (json!("b1"), json!(word), json!(word)));
    }
    told.state = BroadcastState::Ended;
    told.end = Some(SessionEnd::Lost);
    plane.report("n1", &[told]).await;
    assert_eq!(shown(&plane).await, (Value::Null, Value::Null, json!("ended")));
    let sql = "select end_reason || ' ' || (ended_at is not null)::text || ' ' || reconnecting::text from broadcasts";
    let row: String = sqlx::query_scalar(sql).fetch_one(plane.pool()).await.unwrap();
    assert_eq!(row, "lost true false");
}

#[tokio::test]
async fn a_broadcast_first_told_of_while_it_waits_is_shown_so() {
    let plane = Plane::start().await;
    let mut told = plane.live("b1").await;
    told.state = BroadcastState::Reconnecting;
    plane.report("n1", &[told]).await;
    assert_eq!(shown(&plane).await, (json!("b1"), json!("reconnecting"), json!("reconnecting")));
}

#[tokio::test]
async fn a_waiting_broadcast_is_lost_with_its_node_and_over_when_left_out() {
    let plane = Plane::start().await;
    let mut told = plane.live("b1").await;
    told.state = BroadcastState::Reconnecting;
    plane.report("n1", &[told]).await;
    let age = "update broadcasts set reported_at = now() - interval '16 seconds'";
    sqlx::query(age).execute(plane.pool()).await.unwrap();
    assert_eq!(shown(&plane).await, (Value::Null, Value::Null, json!("lost")));
    plane.report("n1", &[]).await;
    assert_eq!(shown(&plane).await, (Value::Null, Value::Null, json!("ended")));
    let last = plane.admin("GET", "/api/v1/channels/demo", Value::Null).await;
    assert_eq!(last.body["last_end"]["reason"], "left_out");
    let waits: bool = sqlx::query_scalar("select reconnecting from broadcasts").fetch_one(plane.pool()).await.unwrap();
    assert!(!waits);
}

#[tokio::test]
async fn a_broadcast_whose_publisher_came_back_by_another_key_follows_that_key_and_session() {
    let plane = Plane::start().await;
    let first = plane.live("b1").await;
    plane.report("n1", from_ref(&first)).await;
    let made = plane.admin("POST", "/api/v1/channels/demo/keys", json!({ "role": "backup" })).await;
    let mut second = plane.live_by("b1", made.body["key"].as_str().unwrap()).await;
    second.session = "session-2".parse().unwrap();
    plane.report("n1", from_ref(&second)).await;
    let live = &plane.admin("GET", "/api/v1/channels/demo", Value::Null).await.body["live"];
    let listed = &plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0];
    for seen in [live, listed] {
        assert_eq!((&seen["session"], &seen["role"]), (&json!("session-2"), &json!("backup")), "{seen}");
    }
    let key = |id: &str| format!("/api/v1/channels/demo/keys/{id}");
    assert_eq!(plane.admin("DELETE", &key(&first.key_id), Value::Null).await.status, 204);
    assert!(plane.report("n1", from_ref(&second)).await.commands.is_empty());
    assert_eq!(plane.admin("DELETE", &key(&second.key_id), Value::Null).await.status, 204);
    let answer = plane.report("n1", from_ref(&second)).await;
    let [NodeCommand::EndSession { session, .. }] = answer.commands.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(session.as_str(), "session-2");
}

#[tokio::test]
async fn a_broadcast_that_went_from_a_key_to_the_studio_says_so() {
    let plane = Plane::start().await;
    let first = plane.live("b1").await;
    plane.report("n1", &[first]).await;
    let token = plane.admin("POST", "/api/v1/channels/demo/publish-tokens", Value::Null).await;
    let second = plane.live_by("b1", token.body["token"].as_str().unwrap()).await;
    plane.report("n1", &[second]).await;
    let shown = plane.admin("GET", "/api/v1/channels/demo", Value::Null).await;
    let live = &shown.body["live"];
    assert_eq!(
        (&live["broadcast"], &live["credential"], &live["role"]),
        (&json!("b1"), &json!("studio"), &json!("primary"))
    );
}

#[tokio::test]
async fn a_revoked_key_ends_a_broadcast_that_waits_by_the_session_that_it_lost() {
    let plane = Plane::start().await;
    let mut told = plane.live("b1").await;
    told.state = BroadcastState::Reconnecting;
    plane.report("n1", from_ref(&told)).await;
    let path = format!("/api/v1/channels/demo/keys/{}", told.key_id);
    plane.admin("DELETE", &path, Value::Null).await;
    let answer = plane.report("n1", &[told]).await;
    let [NodeCommand::EndSession { session, end, .. }] = answer.commands.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!((session.as_str(), *end), ("session-b1", SessionEnd::KeyRevoked));
}

#[tokio::test]
async fn a_key_that_the_database_does_not_know_ends_nothing_and_is_counted() {
    let plane = Plane::start().await;
    let mut stranger = plane.live("b1").await;
    stranger.key_id = "0190a0a0-0000-7000-8000-000000000000".to_owned();
    let mut odd = plane.live("b2").await;
    odd.key_id = "\u{0}".to_owned();
    let known = plane.live("b3").await;
    let answer = plane.report("n1", &[stranger, odd, known]).await;
    assert!(answer.commands.is_empty());
    let list = plane.admin("GET", LIST, Value::Null).await;
    assert_eq!(list.body["broadcasts"].as_array().unwrap().len(), 1);
    let line = "headwater_control_reports_unknown_key_total 2";
    assert!(plane.metrics().contains(line));
}

#[tokio::test]
async fn a_live_broadcast_that_its_node_leaves_out_is_over_and_comes_back_when_told_again() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    plane.report("n2", &[]).await;
    assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["state"], "live");
    plane.report("n1", &[]).await;
    let over = plane.admin("GET", LIST, Value::Null).await;
    assert_eq!(over.body["broadcasts"][0]["end_reason"], "left_out");
    plane.report("n1", &[live]).await;
    let back = plane.admin("GET", LIST, Value::Null).await;
    assert_eq!(back.body["broadcasts"][0]["state"], "live");
    assert_eq!(back.body["broadcasts"][0]["ended_at"], Value::Null);
}

#[tokio::test]
async fn an_older_incarnation_changes_nothing_and_a_higher_one_takes_over() {
    let plane = Plane::start().await;
    let mut live = plane.live("b1").await;
    live.incarnation = Incarnation(5);
    plane.report("n1", from_ref(&live)).await;
    let mut stale = live.clone();
    stale.incarnation = Incarnation(4);
    stale.state = BroadcastState::Ended;
    plane.report("n2", &[stale]).await;
    assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["state"], "live");
    live.incarnation = Incarnation(6);
    plane.report("n2", from_ref(&live)).await;
    live.incarnation = Incarnation(5);
    live.state = BroadcastState::Ended;
    plane.report("n1", &[live]).await;
    assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["state"], "live");
}

#[tokio::test]
async fn what_its_node_ended_stays_ended() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    let mut ended = live.clone();
    ended.state = BroadcastState::Ended;
    ended.end = Some(SessionEnd::Lost);
    plane.report("n1", &[live.clone(), ended]).await;
    plane.report("n1", &[live]).await;
    let list = plane.admin("GET", LIST, Value::Null).await;
    assert_eq!(list.body["broadcasts"][0]["end_reason"], "lost");
}

#[tokio::test]
async fn a_broadcast_of_a_silent_node_is_not_shown_as_live() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", &[live]).await;
    let age = "update broadcasts set reported_at = now() - interval '16 seconds'";
    sqlx::query(age).execute(plane.pool()).await.unwrap();
    assert_eq!(plane.get("/api/v1/channels/demo").await.body["live"], Value::Null);
    assert_eq!(plane.admin("GET", LIST, Value::Null).await.body["broadcasts"][0]["state"], "lost");
}

#[tokio::test]
async fn pages_give_every_broadcast_once_newest_first() {
    let plane = Plane::start().await;
    let mut reports = Vec::new();
    for (id, second) in [("b1", 1), ("b2", 3), ("b3", 2), ("b4", 2)] {
        let mut live = plane.live(id).await;
        live.started_at_us += second * 1_000_000;
        reports.push(live);
    }
    plane.report("n1", &reports).await;
    let mut seen = Vec::new();
    let mut path = format!("{LIST}&limit=1");
    loop {
        let page = plane.get(&path).await;
        seen.push(page.body["broadcasts"][0]["id"].as_str().unwrap().to_owned());
        match page.body["next"].as_str() {
            Some(next) => path = format!("{LIST}&limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["b2", "b4", "b3", "b1"]);
    let other = plane.get("/api/v1/broadcasts?channel=other").await;
    assert_eq!(other.body["broadcasts"], json!([]));
    assert_eq!(plane.get("/api/v1/broadcasts").await.status, 200);
    plane.get("/api/v1/broadcasts?channel=A").await.is_problem(422, "channel_invalid");
    plane.get("/api/v1/broadcasts?cursor=6162").await.is_problem(422, "cursor_invalid");
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    let mut far = live.clone();
    far.started_at_us = i64::MAX;
    let mut large = live.clone();
    large.incarnation = Incarnation(u64::MAX);
    for report in [far, large] {
        let body = json!({ "node": "n1", "broadcasts": [report] }).to_string();
        let answer = plane.internal("/internal/v1/reports", body).await;
        answer.is_problem(422, "broadcasts_invalid");
    }
    let body = json!({ "node": "", "broadcasts": [] }).to_string();
    let answer = plane.internal("/internal/v1/reports", body).await;
    answer.is_problem(422, "node_invalid");
    let many = json!({ "node": "n", "broadcasts": vec![live; 4097] }).to_string();
    let answer = plane.internal("/internal/v1/reports", many).await;
    answer.is_problem(422, "broadcasts_invalid");
}
