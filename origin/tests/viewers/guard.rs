//! What is for members reaches nobody else, by whichever way they come.

#![allow(clippy::unwrap_used)] // in helpers too: a test ends where something is wrong

use http::{Request, Response, StatusCode};
use origin::{Body, Directory, EDGE_SECRET, Guard, Origin};
use prometheus::Registry;
use schema::ViewerId;
use schema::api::{Access, DeniedViewer, PlaybackRules};
use schema::playback::{Claims, DENIED_MAX, PlaybackKey, PlaybackKeys};

use crate::stage::{self, Stage, body, text};

const NOW_S: u64 = 2_000_000_000;
const SECRET: &str = "an edge's secret of enough characters";

/// Everything of channel `demo` that can be asked for.
const PATHS: [&str; 11] = [
    "/live/demo/index.m3u8",
    "/live/demo/state.json",
    "/live/demo/awaited.json",
    "/live/demo/thumbnail.jpg",
    "/live/demo/dvr.m3u8",
    "/live/demo/b1/720p/index.m3u8",
    "/live/demo/b1/audio/index.m3u8?_HLS_msn=11&_HLS_part=0",
    "/live/demo/b1/720p/dvr.m3u8",
    "/live/demo/b1/720p/seg-7-10.m4s",
    "/live/demo/b1/720p/part-7-11-0.m4s",
    "/live/demo/b1/720p/nothing.m4s",
];

fn key(id: &str) -> PlaybackKey {
    PlaybackKey { id: id.parse().unwrap(), secret: format!("secret of {id}") }
}

fn rules(denied: &[&ViewerId]) -> PlaybackRules {
    let denied = denied.iter().map(|viewer| DeniedViewer { viewer: (*viewer).clone(), until_s: NOW_S + 600 });
    PlaybackRules { version: format!("v{}", denied.len()), keys: vec![key("k2"), key("k1")], denied: denied.collect() }
}

fn viewer() -> ViewerId {
    "0190b7d4c8f17a3e9d2b5c6e7f801234".parse().unwrap()
}

fn token_of(viewer: &ViewerId, channel: &str, expires_s: u64) -> String {
    let claims = Claims { channel: channel.parse().unwrap(), viewer: viewer.clone(), expires_s };
    PlaybackKeys::new(vec![key("k2")]).sign(&claims).unwrap()
}

fn token() -> String {
    token_of(&viewer(), "demo", NOW_S + 600)
}

/// Channel `demo`, for `access`, behind a guard with rules.
fn stage(access: Access) -> (Stage, Guard) {
    let guard = Guard::with_clock(Some(SECRET.to_owned()), || NOW_S);
    guard.set_rules(rules(&[]));
    let stage = Stage::behind(guard.clone()).into_playing();
    stage.directory.set_access(&stage.live.channel, access);
    (stage, guard)
}

async fn problem_code(answer: Response<Body>) -> String {
    let problem: schema::api::Problem = serde_json::from_slice(&body(answer).await).unwrap();
    problem.code
}

async fn refused(stage: &Stage, request: Request<()>) -> (StatusCode, String, String) {
    let path = request.uri().to_string();
    let answer = stage.at_once(request).await;
    let lifetime = answer.headers()["cache-control"].to_str().unwrap().to_owned();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{path}");
    (answer.status(), problem_code(answer).await, lifetime)
}

fn from_edge(path: &str, secret: &str) -> Request<()> {
    Request::get(path).header(EDGE_SECRET, secret).body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stranger_gets_nothing_of_a_channel_for_members_by_any_url() {
    let (stage, _) = stage(Access::Members);
    for path in PATHS {
        let (status, code, lifetime) = refused(&stage, stage::get(path)).await;
        assert_eq!((status.as_u16(), &*code, &*lifetime), (403, "members_only", "max-age=1"), "{path}");
        let (status, code, _) = refused(&stage, stage::get(&format!("/private{path}"))).await;
        assert_eq!((status.as_u16(), &*code), (403, "edge_only"), "{path}");
        for wrong in ["", "an edge's secret of enough character", "AN EDGE'S SECRET OF ENOUGH CHARACTERS"] {
            let (status, code, _) = refused(&stage, from_edge(&format!("/private{path}"), wrong)).await;
            assert_eq!((status.as_u16(), &*code), (403, "edge_only"), "{path} {wrong}");
        }
        for (token, expected) in [
            ("x".to_owned(), "token_invalid"),
            (format!("{}A", token()), "token_invalid"),
            (token_of(&viewer(), "demo", NOW_S), "token_expired"),
            (token_of(&viewer(), "other", NOW_S + 600), "token_other_channel"),
        ] {
            let (status, code, lifetime) = refused(&stage, stage::get(&format!("/t/{token}{path}"))).await;
            assert_eq!((status.as_u16(), &*code), (403, expected), "{path}");
            assert_eq!(lifetime, "private, max-age=1");
        }
    }
    let (status, code, _) = refused(&stage, stage::get("/private/rules")).await;
    assert_eq!((status.as_u16(), &*code), (403, "edge_only"));
}

#[tokio::test(start_paused = true)]
async fn no_spelling_of_a_path_leads_around_the_guard() {
    let (stage, _) = stage(Access::Members);
    let good = token();
    for path in [
        "/private/../live/demo/index.m3u8".to_owned(),
        "//live/demo/index.m3u8".to_owned(),
        "/live//demo/index.m3u8".to_owned(),
        "/live/./demo/index.m3u8".to_owned(),
        "/live/%64emo/index.m3u8".to_owned(),
        "/live/DEMO/index.m3u8".to_owned(),
        "/live/other/b1/720p/index.m3u8".to_owned(),
        "/private/live/other/b1/720p/index.m3u8".to_owned(),
        format!("/t/{}/live/other/b1/720p/index.m3u8", token_of(&viewer(), "other", NOW_S + 600)),
        format!("/t/{good}/live/demo/../demo/index.m3u8"),
        format!("/t/{good}/private/live/demo/index.m3u8"),
        format!("/t/{good}/t/{good}/live/demo/index.m3u8"),
        format!("/t/{good}//live/demo/index.m3u8"),
        format!("/t/{good}/private/rules"),
    ] {
        let answer = stage.get(&path).await;
        assert!(matches!(answer.status().as_u16(), 403 | 404), "{path}: {}", answer.status());
    }
}

#[tokio::test(start_paused = true)]
async fn members_and_edges_get_the_very_bytes_that_everybody_gets_of_a_public_channel() {
    let (public, members) = (stage(Access::Public).0, stage(Access::Members).0);
    let token = token();
    for path in PATHS {
        let everybody = public.get(path).await;
        let bearer = members.get(&format!("/t/{token}{path}")).await;
        let edge = members.at_once(from_edge(&format!("/private{path}"), SECRET)).await;
        assert_eq!((bearer.status(), edge.status()), (everybody.status(), everybody.status()), "{path}");
        assert_eq!(edge.headers(), everybody.headers(), "{path}");
        let lifetime = bearer.headers()["cache-control"].to_str().unwrap();
        assert!(lifetime.starts_with("private, max-age="), "{lifetime}");
        let (everybody, bearer, edge) = (body(everybody).await, body(bearer).await, body(edge).await);
        assert_eq!((&bearer, &edge), (&everybody, &everybody), "{path}");
        assert!(!String::from_utf8_lossy(&bearer).contains(&token), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unlisted_channel_is_for_everybody_who_knows_its_name() {
    let (stage, _) = stage(Access::Unlisted);
    assert_eq!(stage.get("/live/demo/index.m3u8").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn who_is_put_out_is_refused_at_the_next_request_and_nobody_else() {
    let (stage, guard) = stage(Access::Members);
    let other: ViewerId = "f".repeat(32).parse().unwrap();
    let path = |viewer: &ViewerId| format!("/t/{}/live/demo/index.m3u8", token_of(viewer, "demo", NOW_S + 600));
    assert_eq!(stage.get(&path(&viewer())).await.status(), 200);
    guard.set_rules(rules(&[&viewer()]));
    let (status, code, _) = refused(&stage, stage::get(&path(&viewer()))).await;
    assert_eq!((status.as_u16(), &*code), (403, "viewer_put_out"));
    assert_eq!(stage.get(&path(&other)).await.status(), 200);
    assert_eq!(stage.metric("headwater_origin_kept_out_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_becomes_one_for_members_is_closed_to_strangers_at_once_and_can_be_opened_again() {
    let (stage, _) = stage(Access::Public);
    let channel = &stage.live.channel;
    assert_eq!(stage.get("/live/demo/b1/720p/seg-7-10.m4s").await.status(), 200);
    assert!(stage.directory.current_for_everybody(channel).is_some());
    stage.directory.set_access(channel, Access::Members);
    assert_eq!(stage.get("/live/demo/b1/720p/seg-7-10.m4s").await.status(), 403);
    assert!(stage.directory.current_for_everybody(channel).is_none());
    assert_eq!(stage.directory.state(channel).to_string(), r#"{"state":"members"}"#);
    stage.directory.set_access(&"other".parse().unwrap(), Access::Public);
    assert_eq!(stage.get("/live/demo/b1/720p/seg-7-10.m4s").await.status(), 403);
    stage.directory.set_access(channel, Access::Public);
    assert_eq!(stage.get("/live/demo/b1/720p/seg-7-10.m4s").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_who_waits_for_a_channel_is_told_only_that_it_is_for_members() {
    let directory = Directory::new();
    let origin = Origin::new(directory.clone(), &Registry::new()).unwrap();
    let mut waiting = std::pin::pin!(origin.handle(stage::get("/live/demo/awaited.json")));
    assert!(tokio::time::timeout(std::time::Duration::ZERO, &mut waiting).await.is_err());
    let (live, _windows) = stage::broadcast("demo", "b1");
    directory.list_for(live, Access::Members).unwrap();
    let answer = waiting.await;
    assert_eq!((answer.status().as_u16(), &*problem_code(answer).await), (403, "members_only"));
}

#[tokio::test(start_paused = true)]
async fn edges_read_keys_and_who_is_put_out_line_by_line() {
    let (stage, guard) = stage(Access::Public);
    guard.set_rules(rules(&[&viewer()]));
    let answer = stage.at_once(from_edge("/private/rules", SECRET)).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["etag"]), (200, &"\"v1\"".parse().unwrap()));
    let text = text(answer).await;
    let expected = format!("\nkey k2 secret of k2\nkey k1 secret of k1\ndeny {} {}\n", viewer(), NOW_S + 600);
    assert_eq!(text, expected);
}

#[tokio::test(start_paused = true)]
async fn without_an_edge_secret_and_without_rules_nobody_is_let_in() {
    for secret in [None, Some(String::new())] {
        let guard = Guard::with_clock(secret, || NOW_S);
        let stage = Stage::behind(guard.clone()).into_playing();
        assert_eq!(guard.version(), None);
        let (_, code, _) = refused(&stage, from_edge("/private/live/demo/index.m3u8", "")).await;
        assert_eq!(code, "edge_only");
        let (_, code, _) = refused(&stage, stage::get(&format!("/t/{}/live/demo/index.m3u8", token()))).await;
        assert_eq!(code, "token_invalid");
    }
    let guard = Guard::with_clock(Some(SECRET.to_owned()), || NOW_S);
    let (status, code, _) = refused(&Stage::behind(guard), from_edge("/private/rules", SECRET)).await;
    assert_eq!((status.as_u16(), &*code), (503, "rules_unknown"));
}

#[tokio::test]
async fn the_list_of_who_is_put_out_stays_bounded() {
    let guard = Guard::new(None);
    let many = (0..20_000).map(|number| DeniedViewer { viewer: format!("v{number}").parse().unwrap(), until_s: 0 });
    guard.set_rules(PlaybackRules { denied: many.collect(), ..rules(&[]) });
    assert_eq!(guard.denied(), DENIED_MAX);
}
