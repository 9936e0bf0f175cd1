//! What is listed, and for how long.

use std::sync::Arc;

use http::StatusCode;
use origin::{Directory, ListError};
use schema::BroadcastId;
use schema::api::BroadcastState;

use crate::stage::{Stage, broadcast, problem, text};

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
