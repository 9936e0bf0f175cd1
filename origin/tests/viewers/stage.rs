//! A broadcast that a test publishes step by step, and an origin that lists it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use origin::{Body, Directory, Guard, Limits, Origin};
use packager::live::{
    InitSection, LiveBroadcast, LiveRendition, Name, Object, Objects, Old, SegmentObjects, Snapshot, Update,
};
use prometheus::Registry;
use schema::ladder::LatencyProfile;
use schema::{Incarnation, MediaTime, TrackKind, UnixMicros};
use tokio::sync::watch;

/// The incarnation of every test's broadcast.
pub(crate) const INCARNATION: Incarnation = Incarnation(7);
/// The target duration of every test's playlists, in seconds.
pub(crate) const TARGET_DURATION_S: u32 = 2;

/// The window of one rendition, with the sending end of its `watch`.
#[derive(Debug)]
pub(crate) struct Window {
    sender: watch::Sender<Arc<Snapshot>>,
    name: &'static str,
    first_msn: u64,
    /// The parts of each segment from `first_msn` on; the last one is growing.
    segments: Vec<Vec<Bytes>>,
    ended: bool,
    hint: Option<Name>,
    revision: u64,
}

impl Window {
    fn new(name: &'static str, first_msn: u64) -> Self {
        let hint = Some(Name::Part(INCARNATION, first_msn, 0));
        let (sender, _) = watch::channel(Arc::new(snapshot(first_msn, 0, 0)));
        let window = Self { sender, name, first_msn, segments: vec![Vec::new()], ended: false, hint, revision: 0 };
        window.sender.send_replace(Arc::new(window.render()));
        window
    }

    /// Lists the next part of the growing segment, and nothing else.
    pub(crate) fn part(&mut self) {
        let msn = self.next_msn();
        let open = self.open();
        open.push(Bytes::new());
        let part = open.len() - 1;
        open[part] = format!("[{msn}.{part}]").into();
        self.publish(Some(part + 1));
    }

    /// Completes the growing segment.
    pub(crate) fn finish(&mut self) {
        self.segments.push(Vec::new());
        self.publish(Some(0));
    }

    /// Publishes the end mark.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.publish(None);
    }

    /// Gives up the promised part for another name, as when the segmentation changes.
    pub(crate) fn change_hint(&mut self, hint: Name) {
        self.revision += 1;
        self.hint = Some(hint);
        self.sender.send_replace(Arc::new(self.render()));
    }

    /// How many read or wait; one is the broadcast itself.
    pub(crate) fn readers(&self) -> usize {
        self.sender.receiver_count()
    }

    fn publish(&mut self, hinted_part: Option<usize>) {
        self.revision += 1;
        let msn = self.next_msn();
        self.hint = hinted_part.map(|part| Name::Part(INCARNATION, msn, u32::try_from(part).expect("few parts")));
        self.sender.send_replace(Arc::new(self.render()));
    }

    fn next_msn(&self) -> u64 {
        self.first_msn + self.segments.len() as u64 - 1
    }

    fn open(&mut self) -> &mut Vec<Bytes> {
        self.segments.last_mut().expect("there is always a growing segment")
    }

    fn render(&self) -> Snapshot {
        let parts = |back: usize| self.segments.iter().rev().nth(back).map_or(0, Vec::len);
        let count = |back| u32::try_from(parts(back)).expect("few parts");
        let playlist = if self.segments[0].is_empty() { String::new() } else { self.playlist() };
        Snapshot {
            revision: self.revision,
            playlist: playlist.into(),
            delta: (!self.ended).then(|| {
                let text = format!("#EXTM3U {} update {}\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n", self.name, self.revision);
                Update::new(text, Old::default())
            }),
            first_msn: self.first_msn,
            ended: self.ended,
            hint: self.hint.map(|hint| hint.to_string().into()),
            hinted_init: None,
            objects: self.objects(),
            ..snapshot(self.next_msn(), count(0), count(1))
        }
    }

    fn playlist(&self) -> String {
        let mut text = format!("#EXTM3U {}\n", self.name);
        for (msn, parts) in (self.first_msn..).zip(&self.segments) {
            for part in (0..).take(parts.len()) {
                text.push_str(&format!("{}\n", Name::Part(INCARNATION, msn, part)));
            }
            if msn < self.next_msn() {
                text.push_str(&format!("{}\n", Name::Segment(INCARNATION, msn)));
            }
        }
        text + if self.ended { "#EXT-X-ENDLIST\n" } else { "" }
    }

    fn objects(&self) -> Objects {
        let init = InitSection { index: 0, object: Object::new(vec![Bytes::from_static(b"init")]) };
        let segments = (self.first_msn..).zip(&self.segments).map(|(msn, parts)| {
            Arc::new(SegmentObjects {
                msn,
                parts: parts.iter().map(|part| Object::new(vec![part.clone()])).collect(),
                whole: (msn < self.next_msn()).then(|| Object::new(parts.clone())),
            })
        });
        Objects::new(INCARNATION, vec![init], segments.collect::<Vec<_>>())
    }
}

/// A bare snapshot: the segment `next_msn` has `open_parts` parts, the one before `last_parts`.
pub(crate) fn snapshot(next_msn: u64, open_parts: u32, last_parts: u32) -> Snapshot {
    Snapshot {
        revision: 0,
        playlist: "#EXTM3U\n".to_owned().into(),
        delta: None,
        target_duration_s: TARGET_DURATION_S,
        part_target: Some(MediaTime::from_millis(500)),
        first_msn: 0,
        next_msn,
        open_parts,
        last_parts,
        ended: false,
        hint: None,
        hinted_init: None,
        objects: Objects::default(),
        published: Instant::now(),
    }
}

/// A broadcast `id` of `channel` with renditions `720p` and `audio`, whose windows begin at segment 10.
pub(crate) fn broadcast(channel: &str, id: &str) -> (Arc<LiveBroadcast>, [Window; 2]) {
    let windows = [Window::new("720p", 10), Window::new("audio", 10)];
    let rendition = |window: &Window, kind| LiveRendition {
        name: window.name.parse().expect("a good name"),
        kind,
        snapshot: window.sender.subscribe(),
        dvr: None,
    };
    let broadcast = LiveBroadcast {
        id: id.parse().expect("a good id"),
        channel: channel.parse().expect("a good name"),
        title: "A \"demo\"".to_owned(),
        incarnation: INCARNATION,
        profile: LatencyProfile::Low,
        started_at: UnixMicros(1_700_000_000_123_456),
        renditions: vec![rendition(&windows[0], TrackKind::Video), rendition(&windows[1], TrackKind::Audio)],
        multivariant: OnceLock::new(),
        dvr_multivariant: OnceLock::new(),
        dvr_s: 0,
        thumbnail: watch::channel(None).1,
    };
    (Arc::new(broadcast), windows)
}

/// Channel `demo` with broadcast `b1`, and the origin before it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) origin: Origin,
    pub(crate) directory: Directory,
    pub(crate) live: Arc<LiveBroadcast>,
    pub(crate) video: Window,
    pub(crate) audio: Window,
    registry: Registry,
}

impl Stage {
    /// Listed, but without any media.
    pub(crate) fn empty() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::build(limits, Guard::new(None))
    }

    /// The same as empty, behind a guard.
    pub(crate) fn behind(guard: Guard) -> Self {
        Self::build(Limits::default(), guard)
    }

    fn build(limits: Limits, guard: Guard) -> Self {
        let (directory, registry) = (Directory::new(), Registry::new());
        let origin = Origin::guarded(directory.clone(), &registry, limits, guard).expect("a new registry is empty");
        let (live, [video, audio]) = broadcast("demo", "b1");
        directory.list(Arc::clone(&live)).expect("there is room");
        Self { origin, directory, live, video, audio, registry }
    }

    /// Segment 10 is complete with three parts, segment 11 has one part.
    pub(crate) fn playing() -> Self {
        Self::empty().into_playing()
    }

    pub(crate) fn into_playing(mut self) -> Self {
        for window in [&mut self.video, &mut self.audio] {
            window.part();
            window.part();
            window.part();
            window.finish();
            window.part();
        }
        self.set_multivariant();
        self
    }

    pub(crate) fn set_multivariant(&self) {
        self.live.multivariant.set("#EXTM3U multivariant\n".into()).expect("set once");
    }

    /// The answer to a request that must not wait.
    pub(crate) async fn at_once(&self, request: Request<()>) -> Response<Body> {
        let answer = self.origin.handle(request);
        tokio::time::timeout(std::time::Duration::ZERO, answer).await.expect("answered at once")
    }

    /// The same for `GET`.
    pub(crate) async fn get(&self, path: &str) -> Response<Body> {
        self.at_once(get(path)).await
    }

    /// The value of a counter, gauge or histogram's count, all labels together.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value()
                + metric.get_gauge().get_value()
                + f64::from(u32::try_from(metric.get_histogram().get_sample_count()).expect("few samples"))
        };
        let sum: f64 = family.map_or(0.0, |family| family.get_metric().iter().map(value).sum());
        format!("{sum}").parse().expect("a whole number")
    }

    pub(crate) fn held(&self) -> u64 {
        self.metric("headwater_origin_held_requests")
    }

    /// Lets other tasks run until so many requests are held; hangs, and so fails, if they never are.
    pub(crate) async fn until_held(&self, count: u64) {
        while self.held() != count {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("a good request")
}

/// The text of a header; empty if there is none.
pub(crate) fn header<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("our headers are ASCII"))
}

pub(crate) async fn body(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.expect("our bodies do not fail").to_bytes()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(body(response).await.to_vec()).expect("text")
}

/// The status and stable code of a problem, after checking what all problems have in common.
pub(crate) async fn problem(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(header(&response, "cache-control"), "max-age=1");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    let problem: schema::api::Problem = serde_json::from_slice(&body(response).await).expect("a problem");
    assert_eq!(problem.status, status);
    (status, problem.code)
}
