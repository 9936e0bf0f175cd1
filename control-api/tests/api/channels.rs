use serde_json::{Value, json};

use crate::fixture::Plane;

const CHANNELS: &str = "/api/v1/channels";

#[tokio::test]
async fn a_created_channel_is_shown_to_everybody_without_its_settings() {
    let plane = Plane::start().await;
    let made = plane
        .admin("POST", CHANNELS, json!({ "name": "talk", "title": " A talk ", "profile": "ultra", "frame_rate": 50 }))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.headers["location"], "/api/v1/channels/talk");
    assert_eq!(made.body["title"], "A talk");
    assert_eq!(made.body["frame_rate"], 50);
    assert_eq!(made.body["slate"], false);
    let shown = plane.get("/api/v1/channels/talk").await;
    assert_eq!(shown.status, 200);
    assert_eq!(
        shown.body,
        json!({ "name": "talk", "title": "A talk", "profile": "ultra", "access": "public", "live": null })
    );
}

#[tokio::test]
async fn a_channel_without_title_or_profile_gets_its_name_and_low_latency() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", CHANNELS, json!({ "name": "bare" })).await;
    assert_eq!(made.body["title"], "bare");
    assert_eq!(made.body["profile"], "low");
    assert_eq!(made.body["ladder"], Value::Null);
    assert_eq!((&made.body["grace_s"], &made.body["second_publisher"]), (&json!(60), &json!("replace")));
    assert_eq!((&made.body["dvr_s"], &made.body["passthrough"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn a_dvr_window_is_set_kept_and_cleared() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", CHANNELS, json!({ "name": "talk", "dvr_s": 43_200 })).await;
    assert_eq!(made.body["dvr_s"], 43_200, "{made:?}");
    for (change, dvr) in [
        (json!({}), 43_200),
        (json!({ "dvr_s": 600 }), 600),
        (json!({ "grace_s": 5 }), 600),
        (json!({ "dvr_s": 0 }), 0),
        (json!({ "dvr_s": 60 }), 60),
        (json!({ "dvr_s": null }), 0),
    ] {
        let set = plane.admin("PATCH", "/api/v1/channels/talk", change).await;
        assert_eq!(set.body["dvr_s"], dvr, "{set:?}");
    }
    let shown = plane.get("/api/v1/channels/talk").await;
    assert_eq!(shown.body.get("dvr_s"), None, "a setting, which is the owner's alone");
}

#[tokio::test]
async fn passthrough_is_turned_off_and_on_again() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", CHANNELS, json!({ "name": "talk", "passthrough": false })).await;
    assert_eq!(made.body["passthrough"], false);
    for (change, expected) in
        [(json!({}), false), (json!({ "passthrough": null }), true), (json!({ "passthrough": false }), false)]
    {
        let set = plane.admin("PATCH", "/api/v1/channels/talk", change).await;
        assert_eq!(set.body["passthrough"], expected, "{set:?}");
    }
}

#[tokio::test]
async fn grace_and_second_publisher_are_set_kept_and_cleared() {
    let plane = Plane::start().await;
    let body = json!({ "name": "talk", "grace_s": 0, "second_publisher": "refuse" });
    let made = plane.admin("POST", CHANNELS, body).await;
    assert_eq!((&made.body["grace_s"], &made.body["second_publisher"]), (&json!(0), &json!("refuse")));
    let talk = "/api/v1/channels/talk";
    for (change, grace, second) in [
        (json!({}), 0, "refuse"),
        (json!({ "grace_s": 600 }), 600, "refuse"),
        (json!({ "second_publisher": null }), 600, "replace"),
        (json!({ "second_publisher": "refuse" }), 600, "refuse"),
        (json!({ "grace_s": null }), 60, "refuse"),
    ] {
        let set = plane.admin("PATCH", talk, change).await;
        assert_eq!((&set.body["grace_s"], &set.body["second_publisher"]), (&json!(grace), &json!(second)), "{set:?}");
    }
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_again_after_deletion() {
    let plane = Plane::start().await;
    let body = json!({ "name": "demo" });
    let taken = plane.admin("POST", CHANNELS, body.clone()).await;
    taken.is_problem(409, "channel_exists");
    let gone = plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    assert_eq!(gone.status, 204);
    plane.get("/api/v1/channels/demo").await.is_problem(404, "channel_unknown");
    let again = plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    again.is_problem(404, "channel_unknown");
    assert_eq!(plane.admin("POST", CHANNELS, body).await.status, 201);
}

#[tokio::test]
async fn pages_give_every_channel_once_in_the_order_of_names() {
    let plane = Plane::start().await;
    for name in ["b", "a", "d", "c"] {
        let made = plane.admin("POST", CHANNELS, json!({ "name": name })).await;
        assert_eq!(made.status, 201);
    }
    let mut seen = Vec::new();
    let mut path = format!("{CHANNELS}?limit=2");
    loop {
        let page = plane.get(&path).await;
        let channels = page.body["channels"].as_array().unwrap();
        assert!(channels.len() <= 2);
        seen.extend(channels.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("{CHANNELS}?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "demo"]);
}

#[tokio::test]
async fn a_listing_refuses_wild_limits_and_cursors() {
    let plane = Plane::start().await;
    for limit in ["0", "101", "-1", "x", "", "99999999999999999999"] {
        let answer = plane.get(&format!("{CHANNELS}?limit={limit}")).await;
        answer.is_problem(422, "limit_invalid");
        assert_eq!(answer.body["field"], "limit");
    }
    for cursor in ["zz", "00", "ff", "a"] {
        let answer = plane.get(&format!("{CHANNELS}?cursor={cursor}")).await;
        answer.is_problem(422, "cursor_invalid");
    }
    let twice = plane.get(&format!("{CHANNELS}?limit=1&limit=2")).await;
    twice.is_problem(400, "query_invalid");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_clears() {
    let plane = Plane::start().await;
    let ladder = json!({ "rungs": [{ "height": 720, "bitrate": 2_000_000 }], "audio_bitrate": 96_000 });
    let demo = "/api/v1/channels/demo";
    let set = plane.admin("PATCH", demo, json!({ "ladder": ladder, "frame_rate": 25, "profile": "classic" })).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.body["ladder"], ladder);
    assert_eq!(set.body["title"], "Demo");
    let cleared = plane.admin("PATCH", demo, json!({ "ladder": null, "profile": null, "title": "New" })).await;
    assert_eq!(cleared.body["ladder"], Value::Null);
    assert_eq!(cleared.body["frame_rate"], 25);
    assert_eq!(cleared.body["profile"], "low");
    assert_eq!(cleared.body["title"], "New");
    let unknown = plane.admin("PATCH", "/api/v1/channels/none", json!({})).await;
    unknown.is_problem(404, "channel_unknown");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let plane = Plane::start().await;
    let rung = |height: u32, bitrate: u32| json!({ "height": height, "bitrate": bitrate });
    let ladder = |rungs: Vec<Value>| json!({ "rungs": rungs, "audio_bitrate": 128_000 });
    let wrong = [
        ("name", json!(null)),
        ("name", json!("Has Space")),
        ("name", json!("a".repeat(65))),
        ("name", json!(7)),
        ("title", json!("")),
        ("title", json!("  ")),
        ("title", json!("x".repeat(201))),
        ("title", json!("nul\u{0}")),
        ("title", json!(null)),
        ("profile", json!("fast")),
        ("frame_rate", json!(0)),
        ("frame_rate", json!(121)),
        ("frame_rate", json!(-1)),
        ("frame_rate", json!(29.97)),
        ("grace_s", json!(601)),
        ("grace_s", json!(-1)),
        ("grace_s", json!(1.5)),
        ("grace_s", json!("60")),
        ("dvr_s", json!(43_201)),
        ("dvr_s", json!(-1)),
        ("dvr_s", json!(1.5)),
        ("dvr_s", json!("60")),
        ("second_publisher", json!("Refuse")),
        ("second_publisher", json!("")),
        ("second_publisher", json!(1)),
        ("passthrough", json!("yes")),
        ("passthrough", json!(1)),
        ("ladder", json!([])),
        ("ladder", ladder(vec![])),
        ("ladder", ladder(vec![rung(720, 1_000_000); 9])),
        ("ladder", ladder(vec![rung(360, 500_000), rung(720, 900_000)])),
        ("ladder", ladder(vec![rung(721, 900_000)])),
        ("ladder", ladder(vec![rung(720, 1)])),
        ("ladder", ladder(vec![rung(100_000, 900_000)])),
        ("ladder", json!({ "rungs": [rung(720, 900_000)], "audio_bitrate": 1 })),
    ];
    for (field, value) in wrong {
        let mut body = json!({ "name": "x" });
        body[field] = value;
        let answer = plane.admin("POST", CHANNELS, body.clone()).await;
        assert_eq!(answer.body["field"], field, "{body} {answer:?}");
        answer.is_problem(422, &format!("{field}_invalid"));
    }
    let unknown = plane.admin("POST", CHANNELS, json!({ "name": "x", "color": 1 })).await;
    unknown.is_problem(422, "field_unknown");
    assert_eq!(unknown.body["field"], "color");
    let slate = plane.admin("PATCH", "/api/v1/channels/demo", json!({ "slate": true })).await;
    slate.is_problem(422, "field_unknown");
    let rename = plane.admin("PATCH", "/api/v1/channels/demo", json!({ "name": "x" })).await;
    rename.is_problem(422, "field_unknown");
}
