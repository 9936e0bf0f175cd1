//! Rewinding: the lists, the files behind them, and what happens where there are none.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

use std::fs;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Request, Response, StatusCode};
use origin::{Body, Limits, Origin};
use packager::archive::{Archive, DvrStore, End, Sink};
use packager::live::{InitSection, LiveBroadcast, LiveDvr, Object};
use packager::playlist::Finished;
use packager::playlist::dvr::Rules;
use packager::timing::{Timing, Tracks};
use prometheus::Registry;
use schema::MediaTime;
use schema::ladder::{FrameRate, LatencyProfile};
use tokio::task::JoinSet;

use crate::stage::{INCARNATION, Stage, Window, body, broadcast, get, header, problem, text};

const MULTIVARIANT: &str = "/live/demo/dvr.m3u8";
const PLAYLIST: &str = "/live/demo/b1/720p/dvr.m3u8";

/// A broadcast of which the live window has segment 10 alone, and the disk those from 2 on.
struct Scene {
    stage: Stage,
    folder: tempfile::TempDir,
    _live: Arc<LiveBroadcast>,
    _windows: [Window; 2],
    archive: Archive,
    sinks: Vec<Sink>,
    dvr: LiveDvr,
}

impl Scene {
    async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = DvrStore::open(folder.path(), packager::archive::Limits::default(), &Registry::new()).unwrap();
        let timing = Timing::new(LatencyProfile::Low, FrameRate::THIRTY, Tracks { video: true, audio: true });
        let rules =
            Rules { timing: Arc::new(timing), zero: schema::UnixMicros(0), span: MediaTime::from_millis(60_000) };
        let names = ["720p", "audio"].map(|name| name.parse().unwrap());
        let mut archive = store.begin(&"b1".parse().unwrap(), rules, &[&names[0], &names[1]]).unwrap();
        let (sinks, mut dvrs): (Vec<Sink>, Vec<LiveDvr>) =
            archive.tracks().into_iter().map(|track| (track.sink, track.dvr)).unzip();
        let (live, mut windows) = broadcast("demo", "b1");
        let mut live = Arc::into_inner(live).unwrap();
        live.dvr_s = 60;
        for (rendition, dvr) in live.renditions.iter_mut().zip(&dvrs) {
            rendition.dvr = Some(dvr.clone());
        }
        for window in &mut windows {
            window.part();
            window.finish();
            window.part();
        }
        live.multivariant.set("#EXTM3U multivariant\n".into()).unwrap();
        live.dvr_multivariant.set("#EXTM3U multivariant of what was\n".into()).unwrap();
        let live = Arc::new(live);
        let stage = Stage::with_limits(limits);
        stage.directory.list(Arc::clone(&live)).unwrap();
        let dvr = dvrs.swap_remove(0);
        let mut scene = Self { stage, folder, _live: live, _windows: windows, archive, sinks, dvr };
        for msn in 2..11 {
            scene.keep(msn).await;
        }
        scene
    }

    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn keep(&mut self, msn: u64) {
        for sink in &self.sinks {
            sink.send(finished(msn));
        }
        self.dvr.snapshot.wait_for(|list| list.next_msn > msn).await.unwrap();
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        self.send("GET", path, headers).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.stage.origin.handle(request.body(()).unwrap()).await
    }

    fn reads(&self) -> u64 {
        self.stage.metric("headwater_origin_file_reads_total")
    }
}

fn segment(msn: u64) -> String {
    format!("kept {msn}, from part to part")
}

fn finished(msn: u64) -> Finished {
    Finished {
        msn,
        epoch: 0,
        incarnation: INCARNATION,
        init: InitSection { index: 0, object: Object::new([Bytes::from_static(b"kept init")]) },
        start: MediaTime::from_millis(2_000 * i64::try_from(msn).unwrap()),
        duration: MediaTime::from_millis(2_000),
        object: Object::new([Bytes::from(segment(msn))]),
    }
}

fn path(name: &str) -> String {
    format!("/live/demo/b1/720p/{name}")
}

#[tokio::test]
async fn without_dvr_there_is_nothing_to_rewind_to() {
    let stage = Stage::playing();
    for path in [MULTIVARIANT, PLAYLIST] {
        assert_eq!(problem(stage.get(path).await).await, (StatusCode::NOT_FOUND, "dvr_unknown".to_owned()));
    }
    let state: serde_json::Value = serde_json::from_str(&text(stage.get("/live/demo/state.json").await).await).unwrap();
    assert_eq!(state["dvr"], serde_json::Value::Null);
    let nobody = problem(stage.get("/live/none/dvr.m3u8").await).await;
    assert_eq!(nobody, (StatusCode::NOT_FOUND, "channel_offline".to_owned()));
}

#[tokio::test]
async fn the_lists_are_served_like_live_ones_and_the_state_names_them() {
    let scene = Scene::new().await;
    let state = text(scene.ask("/live/demo/state.json", &[]).await).await;
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["dvr"], serde_json::json!({ "playlist": MULTIVARIANT, "seconds": 60 }));
    for path in [MULTIVARIANT, PLAYLIST] {
        let plain = scene.ask(path, &[]).await;
        let packed = scene.ask(path, &[("accept-encoding", "gzip")]).await;
        for answer in [&plain, &packed] {
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            assert_eq!(header(answer, "content-type"), "application/vnd.apple.mpegurl");
            assert_eq!(header(answer, "cache-control"), "max-age=1");
            assert_eq!(header(answer, "vary"), "Accept-Encoding");
        }
        let tag = header(&packed, "etag").to_owned();
        assert_ne!(tag, header(&plain, "etag"));
        assert_eq!(scene.ask(path, &[("accept-encoding", "gzip"), ("if-none-match", &tag)]).await.status(), 304);
        let mut unpacked = String::new();
        GzDecoder::new(&*body(packed).await).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text(plain).await);
    }
    let list = text(scene.ask(PLAYLIST, &[]).await).await;
    assert!(list.contains("#EXT-X-MEDIA-SEQUENCE:2\n") && list.ends_with("seg-7-10.m4s\n"), "{list}");
    let update = scene.ask(&format!("{PLAYLIST}?_HLS_skip=YES"), &[]).await;
    assert!(header(&update, "etag").ends_with("-delta\""));
    assert!(text(update).await.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n"));
}

#[tokio::test]
async fn a_reload_waits_for_the_next_segment_and_never_for_one_too_far() {
    let mut scene = Scene::new().await;
    for (query, code) in [("_HLS_msn=13", "directive_too_far"), ("_HLS_part=1", "directive_malformed")] {
        let refused = problem(scene.ask(&format!("{PLAYLIST}?{query}"), &[]).await).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, code.to_owned()));
    }
    for known in ["_HLS_msn=0", "_HLS_msn=10", "_HLS_msn=10&_HLS_part=3"] {
        assert_eq!(scene.ask(&format!("{PLAYLIST}?{known}"), &[]).await.status(), 200, "{known}");
    }
    let mut waiting = JoinSet::new();
    waiting.spawn(ask_beside(scene.stage.origin.clone(), format!("{PLAYLIST}?_HLS_msn=11")));
    scene.stage.until_held(1).await;
    scene.keep(11).await;
    assert!(waiting.join_next().await.unwrap().unwrap().contains("seg-7-11.m4s"));
    assert_eq!(scene.stage.held(), 0);
}

#[tokio::test]
async fn what_left_memory_comes_from_disk_with_ranges_and_conditions() {
    let scene = Scene::new().await;
    let whole = scene.ask(&path("seg-7-3.m4s"), &[]).await;
    assert_eq!((whole.status(), scene.reads()), (StatusCode::OK, 1));
    assert_eq!(header(&whole, "cache-control"), "max-age=1209600, immutable");
    assert_eq!((header(&whole, "content-type"), header(&whole, "etag")), ("video/mp4", "\"seg-7-3.m4s\""));
    assert_eq!(text(whole).await, segment(3));
    let part = scene.ask(&path("seg-7-3.m4s"), &[("range", "bytes=5-8")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), format!("bytes 5-8/{}", segment(3).len()));
    assert_eq!(text(part).await, segment(3)[5..9]);
    let beyond = scene.ask(&path("seg-7-3.m4s"), &[("range", "bytes=1000-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let reads = scene.reads();
    let head = scene.send("HEAD", &path("seg-7-3.m4s"), &[]).await;
    assert_eq!(header(&head, "content-length"), segment(3).len().to_string());
    assert!(body(head).await.is_empty());
    let known = scene.ask(&path("seg-7-3.m4s"), &[("if-none-match", "\"seg-7-3.m4s\"")]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(scene.reads(), reads, "nothing is read for an answer without a body");
}

#[tokio::test]
async fn what_is_in_memory_comes_from_there() {
    let scene = Scene::new().await;
    assert_eq!(text(scene.ask(&path("seg-7-10.m4s"), &[]).await).await, "[10.0]");
    assert_eq!(text(scene.ask(&path("init-7-0.mp4"), &[]).await).await, "init");
    assert_eq!(scene.reads(), 0);
}

#[tokio::test]
async fn what_is_not_kept_is_unknown_whatever_it_is_called() {
    let scene = Scene::new().await;
    for name in [
        "seg-7-1.m4s",
        "seg-6-3.m4s",
        "seg-7-99.m4s",
        "init-7-1.mp4",
        "part-7-3-0.m4s",
        "seg-3-0-0-7-0-4233600000-1411200000-27",
        "..%2faudio%2fseg-7-3.m4s",
        "first-2",
        "new",
    ] {
        let unknown = problem(scene.ask(&path(name), &[]).await).await;
        assert_eq!(unknown, (StatusCode::NOT_FOUND, "object_unknown".to_owned()), "{name}");
    }
    assert_eq!(scene.reads(), 0);
}

#[tokio::test]
async fn a_file_that_is_gone_or_damaged_is_an_error_and_never_other_bytes() {
    let scene = Scene::new().await;
    let folder = scene.folder.path().join("b1/720p");
    let file = |msn: u64| {
        let of = |name: &str| name.starts_with(&format!("seg-{msn}-"));
        let mut files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        files.find(|entry| of(entry.file_name().to_str().unwrap())).unwrap().path()
    };
    fs::remove_file(file(3)).unwrap();
    fs::write(file(4), "cut").unwrap();
    let gone = problem(scene.ask(&path("seg-7-3.m4s"), &[]).await).await;
    assert_eq!(gone, (StatusCode::NOT_FOUND, "object_unknown".to_owned()));
    let damaged = problem(scene.ask(&path("seg-7-4.m4s"), &[]).await).await;
    assert_eq!(damaged, (StatusCode::SERVICE_UNAVAILABLE, "file_unreadable".to_owned()));
    assert_eq!(scene.ask(&path("seg-7-5.m4s"), &[]).await.status(), 200);
}

#[tokio::test]
async fn a_viewer_who_does_not_read_holds_memory_and_others_are_told_to_come_back() {
    let limits = Limits { file_bytes_max: 2 << 10, ..Limits::default() };
    let scene = Scene::with(limits).await;
    let held = [scene.ask(&path("seg-7-3.m4s"), &[]).await, scene.ask(&path("seg-7-4.m4s"), &[]).await];
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let refused = scene.ask(&path("seg-7-5.m4s"), &[]).await;
    assert_eq!((header(&refused, "retry-after"), began.elapsed().as_secs()), ("1", 3));
    assert_eq!(problem(refused).await, (StatusCode::SERVICE_UNAVAILABLE, "too_many_reads".to_owned()));
    tokio::time::resume();
    drop(held);
    assert_eq!(text(scene.ask(&path("seg-7-5.m4s"), &[]).await).await, segment(5));
}

#[tokio::test]
async fn a_list_that_has_ended_ignores_directives() {
    let scene = Scene::new().await;
    drop(scene.sinks);
    let _shown = scene.archive.end(End::Final).await.unwrap();
    let answer = scene.stage.origin.handle(get(&format!("{PLAYLIST}?_HLS_msn=999&_HLS_skip=YES"))).await;
    let list = text(answer).await;
    assert!(list.ends_with("#EXT-X-ENDLIST\n") && list.contains("MEDIA-SEQUENCE:2\n"), "{list}");
    assert_eq!(scene.stage.held(), 0);
}

/// The text of a playlist, asked for beside the test.
async fn ask_beside(origin: Origin, path: String) -> String {
    text(origin.handle(get(&path)).await).await
}
