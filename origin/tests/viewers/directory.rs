//! What is listed, and for how long.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use origin::{Body, Directory, Limits, ListError};
use schema::BroadcastId;
use schema::api::BroadcastState;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::stage::{Stage, broadcast, get, problem, text};

#[test]
fn a_new_broadcast_replaces_the_old_one_which_stays_reachable_by_id_while_its_senders_live() {
    let directory = Directory::new();
    let (first, first_windows) = broadcast("demo", "b1");
    let (second, second_windows) = broadcast("demo", "b2");
    directory.list(Arc::clone(&first)).unwrap();
    directory.list(second).unwrap();
    assert_eq!(directory.current(&first.channel).unwrap().id.as_str(), "b2");
    assert!(directory.broadcast(&first.id).is_some());

    drop(first_windows);
    assert!(directory.broadcast(&first.id).is_none());
    drop(second_windows);
    assert!(directory.current(&first.channel).is_none());
}

#[test]
fn a_broadcast_whose_senders_are_gone_is_freed_at_the_next_occasion() {
    let (other, _other_windows) = broadcast("other", "b9");
    type Occasion<'a> = (&'a str, &'a dyn Fn(&Directory, &BroadcastId));
    let occasions: [Occasion<'_>; 4] = [
        ("sweep", &|directory, _| directory.sweep()),
        ("look-up", &|directory, id| assert!(directory.broadcast(id).is_none())),
        ("list", &|directory, _| directory.list(Arc::clone(&other)).unwrap()),
        ("unlist", &|directory, id| directory.unlist(id)),
    ];
    for (name, happen) in occasions {
        let directory = Directory::new();
        let (live, windows) = broadcast("demo", "b1");
        directory.list(Arc::clone(&live)).unwrap();
        drop(windows);
        assert_eq!(Arc::strong_count(&live), 2);
        happen(&directory, &live.id);
        assert_eq!(Arc::strong_count(&live), 1, "after {name}");
    }
}

#[test]
fn unlisting_takes_only_the_named_broadcast_from_its_channel() {
    let directory = Directory::new();
    let (first, _first_windows) = broadcast("demo", "b1");
    let (second, _second_windows) = broadcast("demo", "b2");
    directory.list(Arc::clone(&first)).unwrap();
    directory.list(Arc::clone(&second)).unwrap();
    directory.unlist(&first.id);
    assert_eq!(directory.current(&first.channel).unwrap().id, second.id);
    directory.unlist(&second.id);
    assert!(directory.current(&first.channel).is_none());
    assert!(directory.broadcast(&second.id).is_some(), "its viewers may finish");
}

#[test]
fn more_broadcasts_than_the_limit_are_refused_and_change_nothing() {
    let directory = Directory::new();
    let mut windows = Vec::new();
    for number in 0..Directory::BROADCASTS_MAX {
        let (live, held) = broadcast("demo", &format!("b{number}"));
        directory.list(live).unwrap();
        windows.push(held);
    }
    let (one_more, _windows) = broadcast("more", "more");
    assert_eq!(directory.list(Arc::clone(&one_more)), Err(ListError::Full(Directory::BROADCASTS_MAX)));
    assert!(directory.current(&one_more.channel).is_none());
    windows.pop();
    assert_eq!(directory.list(one_more), Ok(()));
}

#[tokio::test]
async fn a_broadcast_that_waits_for_its_publisher_is_live_and_says_so() {
    let mut stage = Stage::playing();
    let id = stage.live.id.clone();
    for (state, reconnecting) in [
        (BroadcastState::Live, false),
        (BroadcastState::Reconnecting, true),
        (BroadcastState::Live, false),
        (BroadcastState::Reconnecting, true),
    ] {
        stage.directory.set_state(&id, state);
        let told: serde_json::Value =
            serde_json::from_str(&text(stage.get("/live/demo/state.json").await).await).unwrap();
        assert_eq!((&told["state"], &told["reconnecting"]), (&"live".into(), &reconnecting.into()));
    }
    stage.video.end();
    stage.audio.end();
    let told: serde_json::Value = serde_json::from_str(&text(stage.get("/live/demo/state.json").await).await).unwrap();
    assert_eq!((&told["state"], &told["reconnecting"]), (&"ended".into(), &false.into()));
    stage.directory.set_state(&"none".parse().unwrap(), BroadcastState::Reconnecting);
}

#[tokio::test]
async fn the_state_of_a_channel_is_live_then_ended_then_offline() {
    let mut stage = Stage::playing();
    let state = stage.get("/live/demo/state.json").await;
    let json: serde_json::Value = serde_json::from_str(&text(state).await).unwrap();
    let expected = serde_json::json!({
        "state": "live", "reconnecting": false, "broadcast": "b1", "title": "A \"demo\"", "profile": "low",
        "started_at": "2023-11-14T22:13:20.123Z", "playlist": "/live/demo/index.m3u8", "dvr": null,
    });
    assert_eq!(json, expected);

    stage.video.end();
    assert!(text(stage.get("/live/demo/state.json").await).await.contains(r#""state":"live""#), "audio goes on");
    stage.audio.end();
    assert!(text(stage.get("/live/demo/state.json").await).await.contains(r#""state":"ended""#));
    stage.directory.unlist(&stage.live.id);
    for channel in ["demo", "never-heard-of"] {
        let state = stage.get(&format!("/live/{channel}/state.json")).await;
        assert_eq!(state.status(), StatusCode::OK);
        assert!(text(state).await.contains(r#""state":"offline""#), "{channel}");
    }
    let bad_name = stage.get("/live/Demo/state.json").await;
    assert_eq!(problem(bad_name).await, (StatusCode::NOT_FOUND, "not_found".to_owned()));
}

const AWAITED: &str = "/live/demo/awaited.json";

/// What an answer says: the state and the broadcast.
async fn told(response: Response<Body>) -> (String, String) {
    assert_eq!(response.status(), StatusCode::OK);
    let json: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
    let word = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    (word("state"), word("broadcast"))
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_channel_hears_as_soon_as_it_is_listed() {
    let stage = Stage::empty();
    let (other, _windows) = broadcast("other", "b9");
    let (live, _its_windows) = broadcast("awaited", "b8");
    let began = Instant::now();
    let mut waiter = JoinSet::new();
    waiter.spawn(stage.origin.handle(get("/live/awaited/awaited.json")));
    stage.until_held(1).await;
    stage.directory.list(other).unwrap();
    tokio::task::yield_now().await;
    assert!(waiter.try_join_next().is_none(), "another channel's broadcast is none of its");
    stage.directory.list(live).unwrap();
    assert_eq!(told(waiter.join_next().await.unwrap().unwrap()).await, ("live".into(), "b8".into()));
    assert_eq!((began.elapsed(), stage.held()), (Duration::ZERO, 0));
    assert_eq!(stage.metric("headwater_origin_wait_seconds"), 0, "it says nothing of how media come");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_channel_that_is_live_or_longer_than_proxies_do() {
    let mut stage = Stage::playing();
    let began = Instant::now();
    assert_eq!(told(stage.get(AWAITED).await).await, ("live".into(), "b1".into()));
    assert_eq!(began.elapsed(), Duration::ZERO);
    stage.video.end();
    stage.audio.end();
    assert_eq!(told(stage.origin.handle(get(AWAITED)).await).await, ("ended".into(), "b1".into()));
    assert_eq!(began.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_closed_directory_lets_nobody_wait() {
    let stage = Stage::empty();
    let mut waiter = JoinSet::new();
    waiter.spawn(stage.origin.handle(get("/live/nobody/awaited.json")));
    stage.until_held(1).await;
    let began = Instant::now();
    stage.directory.close();
    assert_eq!(told(waiter.join_next().await.unwrap().unwrap()).await.0, "offline");
    assert_eq!(told(stage.origin.handle(get("/live/nobody/awaited.json")).await).await.0, "offline");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn who_waits_for_a_channel_takes_one_of_the_places_of_those_who_wait() {
    let stage = Stage::with_limits(Limits { held_requests_max: 1, ..Limits::default() });
    let mut waiter = JoinSet::new();
    waiter.spawn(stage.origin.handle(get("/live/nobody/awaited.json")));
    stage.until_held(1).await;
    let refused = stage.origin.handle(get("/live/nobody/awaited.json")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    waiter.abort_all();
    assert!(waiter.join_next().await.unwrap().unwrap_err().is_cancelled());
    stage.until_held(0).await;
}
