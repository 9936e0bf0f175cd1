//! Requests that wait, on virtual time where a limit is tested.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Response, StatusCode};
use origin::{Body, Limits};
use packager::live::Name;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::stage::{INCARNATION, Stage, TARGET_DURATION_S, get, header, problem, text};

const NEXT_PART: &str = "/live/demo/b1/720p/index.m3u8?_HLS_msn=11&_HLS_part=1";
const HINTED: &str = "/live/demo/b1/720p/part-7-11-1.m4s";
const LIMIT: Duration = Duration::from_secs(3 * TARGET_DURATION_S as u64);

/// Polls once; for showing that nothing is answered yet.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The answer to `path` after `publish`, before which there must be none.
async fn held_until(stage: &mut Stage, path: &str, publish: impl FnOnce(&mut Stage)) -> Response<Body> {
    let mut answer = pin!(stage.origin.handle(get(path)));
    assert!(poll(&mut answer).is_pending(), "{path} is held");
    assert_eq!(stage.held(), 1);
    publish(stage);
    let response = tokio::time::timeout(Duration::ZERO, answer).await.expect("answered at once");
    assert_eq!(stage.held(), 0);
    response
}

#[tokio::test]
async fn a_reload_is_held_until_its_part_is_listed() {
    let mut stage = Stage::playing();
    let response = held_until(&mut stage, NEXT_PART, |stage| stage.video.part()).await;
    assert_eq!((response.status(), header(&response, "cache-control")), (StatusCode::OK, "max-age=1"));
    assert!(text(response).await.contains("part-7-11-1.m4s"));
}

#[tokio::test]
async fn a_reload_for_a_segment_is_held_over_its_parts() {
    let mut stage = Stage::playing();
    let path = "/live/demo/b1/720p/index.m3u8?_HLS_msn=11";
    let mut answer = pin!(stage.origin.handle(get(path)));
    for _ in 0..3 {
        assert!(poll(&mut answer).is_pending());
        stage.video.part();
    }
    assert!(poll(&mut answer).is_pending());
    stage.video.finish();
    assert!(text(answer.await).await.contains("seg-7-11.m4s"));
}

#[tokio::test]
async fn a_part_that_the_segment_never_gets_becomes_part_0_of_the_next() {
    let mut stage = Stage::playing();
    let mut answer = pin!(stage.origin.handle(get(NEXT_PART)));
    assert!(poll(&mut answer).is_pending());
    stage.video.finish();
    assert!(poll(&mut answer).is_pending());
    stage.video.part();
    assert!(text(answer.await).await.contains("part-7-12-0.m4s"));
}

#[tokio::test]
async fn the_end_releases_every_reload() {
    for query in ["_HLS_msn=11", "_HLS_msn=12", "_HLS_msn=11&_HLS_part=1", "_HLS_msn=12&_HLS_part=0"] {
        let mut stage = Stage::playing();
        let path = format!("/live/demo/b1/720p/index.m3u8?{query}");
        let response = held_until(&mut stage, &path, |stage| stage.video.end()).await;
        assert!(text(response).await.contains("EXT-X-ENDLIST"), "{query}");
    }
}

#[tokio::test]
async fn a_promised_part_is_held_until_it_is_whole() {
    let mut stage = Stage::playing();
    let response = held_until(&mut stage, HINTED, |stage| stage.video.part()).await;
    assert_eq!(header(&response, "cache-control"), "max-age=1209600, immutable");
    assert_eq!(text(response).await, "[11.1]");
}

#[tokio::test]
async fn a_promised_part_that_is_never_made_is_404() {
    let broken: [fn(&mut Stage); 3] = [
        |stage| stage.video.finish(),
        |stage| stage.video.change_hint(Name::Part(INCARNATION, 12, 0)),
        |stage| stage.video.end(),
    ];
    for break_promise in broken {
        let mut stage = Stage::playing();
        let response = held_until(&mut stage, HINTED, break_promise).await;
        assert_eq!(problem(response).await, (StatusCode::NOT_FOUND, "object_unknown".to_owned()));
    }
}

#[tokio::test]
async fn a_window_given_up_answers_its_waiters_with_404() {
    let mut stage = Stage::playing();
    let other = crate::stage::broadcast("other", "b2").1;
    let response = held_until(&mut stage, NEXT_PART, |stage| {
        let [video, _] = other;
        stage.video = video;
    });
    assert_eq!(problem(response.await).await, (StatusCode::NOT_FOUND, "broadcast_unknown".to_owned()));
}

#[tokio::test]
async fn the_multivariant_playlist_is_held_until_each_rendition_has_a_part() {
    let mut stage = Stage::empty();
    let mut answer = pin!(stage.origin.handle(get("/live/demo/index.m3u8")));
    assert!(poll(&mut answer).is_pending());
    stage.video.part();
    assert!(poll(&mut answer).is_pending());
    stage.set_multivariant();
    stage.audio.part();
    assert_eq!(text(answer.await).await, "#EXTM3U multivariant\n");
    assert_eq!(stage.held(), 0);
}

#[tokio::test]
async fn a_multivariant_playlist_set_late_is_found_with_the_next_revision() {
    let mut stage = Stage::empty();
    let mut answer = pin!(stage.origin.handle(get("/live/demo/index.m3u8")));
    stage.video.part();
    stage.audio.part();
    assert!(poll(&mut answer).is_pending());
    stage.set_multivariant();
    stage.video.part();
    assert_eq!(answer.await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_media_playlist_is_held_until_its_first_part() {
    let mut stage = Stage::empty();
    let response = held_until(&mut stage, "/live/demo/b1/720p/index.m3u8", |stage| stage.video.part()).await;
    assert!(text(response).await.contains("part-7-10-0.m4s"));
}

#[tokio::test]
async fn a_broadcast_that_ends_before_its_first_part_is_404() {
    for path in ["/live/demo/index.m3u8", "/live/demo/b1/720p/index.m3u8"] {
        let mut stage = Stage::empty();
        let response = held_until(&mut stage, path, |stage| {
            stage.audio.end();
            stage.video.end();
        });
        assert_eq!(problem(response.await).await, (StatusCode::NOT_FOUND, "channel_offline".to_owned()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_three_target_durations_a_held_request_is_503_and_nothing_stays_behind() {
    for path in [NEXT_PART, HINTED] {
        let stage = Stage::playing();
        let start = Instant::now();
        let response = stage.origin.handle(get(path)).await;
        assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs(), "{path}");
        assert_eq!(problem(response).await, (StatusCode::SERVICE_UNAVAILABLE, "reload_timeout".to_owned()));
        assert_eq!(stage.held(), 0);
        assert_eq!(stage.metric("headwater_origin_wait_seconds"), 1);
    }
    for path in ["/live/demo/index.m3u8", "/live/demo/b1/720p/index.m3u8"] {
        let stage = Stage::empty();
        let start = Instant::now();
        let response = stage.origin.handle(get(path)).await;
        assert_eq!((start.elapsed().as_secs(), response.status().as_u16()), (LIMIT.as_secs(), 503), "{path}");
        assert_eq!(stage.held(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn revisions_that_do_not_help_do_not_extend_the_deadline() {
    let mut stage = Stage::playing();
    let start = Instant::now();
    let mut answer = pin!(stage.origin.handle(get("/live/demo/b1/720p/index.m3u8?_HLS_msn=11")));
    for _ in 0..5 {
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut answer).await.is_err());
        stage.video.part();
    }
    assert_eq!(answer.await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_are_released_by_one_publication() {
    let mut stage = Stage::playing();
    let mut waiters = JoinSet::new();
    for number in 0..1_000 {
        let path = if number % 2 == 0 { NEXT_PART } else { HINTED };
        waiters.spawn(stage.origin.handle(get(path)));
    }
    stage.until_held(1_000).await;
    let published = Instant::now();
    stage.video.part();
    for response in waiters.join_all().await {
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(published.elapsed(), Duration::ZERO, "no timer was needed");
    assert_eq!(stage.held(), 0);
}

#[tokio::test]
async fn a_viewer_that_leaves_frees_its_place() {
    let stage = Stage::playing();
    for path in [NEXT_PART, HINTED] {
        let mut answer = Box::pin(stage.origin.handle(get(path)));
        assert!(poll(&mut answer).is_pending());
        assert_eq!((stage.held(), stage.video.readers()), (1, 2));
        drop(answer);
        assert_eq!((stage.held(), stage.video.readers()), (0, 1));
    }
    assert_eq!(stage.metric("headwater_origin_wait_seconds"), 2);
}

#[tokio::test]
async fn more_waiters_than_the_limit_are_told_to_come_back() {
    let stage = Stage::with_limits(Limits { held_requests_max: 1, ..Limits::default() }).into_playing();
    let mut held = Box::pin(stage.origin.handle(get(NEXT_PART)));
    assert!(poll(&mut held).is_pending());
    let refused = stage.get(HINTED).await;
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(problem(refused).await, (StatusCode::SERVICE_UNAVAILABLE, "too_many_held".to_owned()));
    assert_eq!(stage.metric("headwater_origin_held_refused_total"), 1);
    assert_eq!(stage.get("/live/demo/index.m3u8").await.status(), StatusCode::OK, "nothing else is refused");
    drop(held);
    assert!(poll(&mut Box::pin(stage.origin.handle(get(HINTED)))).is_pending());
}

#[test]
fn a_held_request_is_small() {
    let stage = Stage::playing();
    let bytes = size_of_val(&stage.origin.handle(get(NEXT_PART)));
    assert!(bytes <= 1_024, "{bytes} bytes");
}
