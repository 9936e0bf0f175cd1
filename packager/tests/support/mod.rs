//! Made-up encoders, feeds and transcoders.
#![allow(dead_code)] // each test binary uses a part of it

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use packager::broadcast::{Ends, Pending, TranscoderInput, TranscoderOutput, Transcoding, TranscodingError};
use packager_transcode::wire::{Input, Output, PATIENCE, Plan, Step};
use schema::{AccessUnit, Codec, Feed, FeedEvent, MediaTime, SessionEnd, TrackKind, UnixMicros, Zero};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

/// x264, High, 320 × 240.
pub(crate) const SPS: [u8; 24] = [
    0x67, 0x64, 0x00, 0x0D, 0xAC, 0xD9, 0x41, 0x41, 0xFA, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03,
    0x20, 0xF1, 0x42, 0x99, 0x60,
];
const PPS: [u8; 6] = [0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0];
const START: [u8; 4] = [0, 0, 0, 1];

pub(crate) fn picture(pts: MediaTime, duration: Option<MediaTime>, idr: bool) -> AccessUnit {
    let data = if idr {
        [&START[..], &SPS, &START, &PPS, &START, &[0x65, 0x88, 0x84]].concat()
    } else {
        [&START[..], &[0x41, 0x9a, 0x10]].concat()
    };
    AccessUnit { codec: Codec::H264, pts, dts: pts, duration, random_access: idr, data: data.into() }
}

pub(crate) fn sound(codec: Codec, pts: MediaTime, duration: Option<MediaTime>) -> AccessUnit {
    AccessUnit { codec, pts, dts: pts, duration, random_access: true, data: Bytes::from_static(&[1, 2, 3, 4]) }
}

pub(crate) fn aac(index: i64) -> AccessUnit {
    let frame = MediaTime::from_ticks(1024, 48_000);
    sound(Codec::Aac, MediaTime::from_ticks(index * 1024, 48_000), Some(frame))
}

/// A publisher's first `seconds` at 30 pictures a second with Opus of 20 ms, by time.
pub(crate) fn publisher(seconds: i64) -> Vec<AccessUnit> {
    let mut units: Vec<AccessUnit> = (0..seconds * 30)
        .map(|index| picture(MediaTime::from_ticks(index, 30), None, index % 60 == 0))
        .chain((0..seconds * 50).map(|index| sound(Codec::Opus, MediaTime::from_millis(index * 20), None)))
        .collect();
    units.sort_by_key(|unit| unit.pts);
    units
}

/// A VP8 frame; a key frame says its size.
pub(crate) fn vp8(pts: MediaTime, (width, height): (u16, u16), key: bool) -> AccessUnit {
    let ([a, b], [c, d]) = (width.to_le_bytes(), height.to_le_bytes());
    let data = if key { vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, a, b, c, d] } else { vec![0x11, 0, 0] };
    AccessUnit { codec: Codec::Vp8, pts, dts: pts, duration: None, random_access: key, data: data.into() }
}

/// A feed of ready units. Ends with them, or stays silent.
pub(crate) struct ReadyFeed {
    pub(crate) units: VecDeque<AccessUnit>,
    pub(crate) end: Option<SessionEnd>,
    pub(crate) keyframes: Arc<AtomicUsize>,
    zero: Instant,
}

impl ReadyFeed {
    pub(crate) fn new(units: Vec<AccessUnit>, end: Option<SessionEnd>) -> Self {
        Self { units: units.into(), end, keyframes: Arc::default(), zero: Instant::now() }
    }
}

impl Feed for ReadyFeed {
    fn poll_event(&mut self, _cx: &mut Context<'_>) -> Poll<FeedEvent> {
        match (self.units.pop_front(), self.end) {
            (Some(unit), _) => Poll::Ready(FeedEvent::Unit(unit)),
            (None, Some(end)) => Poll::Ready(FeedEvent::Ended(end)),
            (None, None) => Poll::Pending,
        }
    }

    fn zero(&self) -> Option<Zero> {
        Some(Zero { instant: self.zero.into_std(), wall: UnixMicros(1_800_000_000_000_000) })
    }

    fn request_keyframe(&mut self) {
        self.keyframes.fetch_add(1, Ordering::SeqCst);
    }
}

/// A feed whose units come at their time, on tokio's clock.
pub(crate) struct PacedFeed {
    pub(crate) ready: ReadyFeed,
    began: Option<Instant>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl PacedFeed {
    pub(crate) fn new(ready: ReadyFeed) -> Self {
        Self { ready, began: None, wait: None }
    }
}

impl Feed for PacedFeed {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<FeedEvent> {
        let began = *self.began.get_or_insert_with(Instant::now);
        if let Some(unit) = self.ready.units.front() {
            let due = Duration::from_micros(unit.pts.to_micros().unsigned_abs());
            let wait = self.wait.get_or_insert_with(|| Box::pin(sleep_until(began + due)));
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        self.ready.poll_event(cx)
    }

    fn zero(&self) -> Option<Zero> {
        self.ready.zero()
    }

    fn request_keyframe(&mut self) {
        self.ready.request_keyframe();
    }
}

/// A feed that a test fills as it goes; its media time zero is when it was made.
pub(crate) struct OpenFeed {
    events: mpsc::Receiver<FeedEvent>,
    ended: Option<SessionEnd>,
    began: Instant,
    pub(crate) keyframes: Arc<AtomicUsize>,
}

/// The publisher of an [`OpenFeed`]. It is lost when this is dropped.
pub(crate) struct OpenPublisher {
    events: mpsc::Sender<FeedEvent>,
    began: Instant,
}

pub(crate) fn open_feed() -> (OpenPublisher, OpenFeed) {
    let (sender, events) = mpsc::channel(64);
    let began = Instant::now();
    (OpenPublisher { events: sender, began }, OpenFeed { events, ended: None, began, keyframes: Arc::default() })
}

impl OpenPublisher {
    /// Publishes for so long on tokio's clock, a keyframe each second from the first picture on.
    pub(crate) async fn publish(&self, length: Duration) {
        self.publish_kinds(length, &[TrackKind::Video, TrackKind::Audio]).await;
    }

    /// The same with these kinds of track alone.
    pub(crate) async fn publish_kinds(&self, length: Duration, kinds: &[TrackKind]) {
        let until = Instant::now() + length;
        for index in 0.. {
            let now = Instant::now();
            if now >= until {
                return;
            }
            let pts = MediaTime::between(self.began.into_std(), now.into_std());
            let sounds = [0, 20].map(|half| sound(Codec::Opus, pts + MediaTime::from_millis(half), None));
            let units = std::iter::once(picture(pts, None, index % 25 == 0)).chain(sounds);
            for unit in units.filter(|unit| kinds.contains(&unit.codec.kind())) {
                let _ = self.events.try_send(FeedEvent::Unit(unit));
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Publishes `count` pictures of 25 a second, with their sound; `make` alters or drops each, by its number.
    pub(crate) async fn pictures(&self, count: i64, make: impl Fn(i64, AccessUnit) -> Option<AccessUnit>) {
        for index in 0..count {
            let pts = MediaTime::between(self.began.into_std(), Instant::now().into_std());
            if let Some(unit) = make(index, picture(pts, None, index % 50 == 0)) {
                let _ = self.events.try_send(FeedEvent::Unit(unit));
            }
            for half in [0, 20] {
                let sound = sound(Codec::Opus, pts + MediaTime::from_millis(half), None);
                let _ = self.events.try_send(FeedEvent::Unit(sound));
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    pub(crate) fn end(&self, end: SessionEnd) {
        let _ = self.events.try_send(FeedEvent::Ended(end));
    }

    /// True once nobody reads the feed any more.
    pub(crate) fn is_dropped(&self) -> bool {
        self.events.is_closed()
    }
}

impl Feed for OpenFeed {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<FeedEvent> {
        if let Some(end) = self.ended {
            return Poll::Ready(FeedEvent::Ended(end));
        }
        let event = ready!(self.events.poll_recv(cx)).unwrap_or(FeedEvent::Ended(SessionEnd::Lost));
        if let FeedEvent::Ended(end) = &event {
            self.ended = Some(*end);
        }
        Poll::Ready(event)
    }

    fn zero(&self) -> Option<Zero> {
        Some(Zero { instant: self.began.into_std(), wall: UnixMicros(1_800_000_000_000_000) })
    }

    fn request_keyframe(&mut self) {
        self.keyframes.fetch_add(1, Ordering::SeqCst);
    }
}

/// How one life of a made-up transcoder goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Life {
    /// Without trouble.
    Well,
    /// It is not even started.
    Refused,
    /// It is gone after so many pictures.
    Dies(usize),
    /// It takes everything and says nothing after so many pictures.
    Hangs(usize),
    /// It shows a slate before the first picture.
    Slate,
    /// It takes so long for each picture, and so long once its first rendition gives something up.
    Slow(Duration, Duration),
    /// It cannot decode one picture after so many, and wants a keyframe.
    Wants(usize),
}

/// Starts made-up transcoders, one life after the other; the last repeats.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    lives: Arc<Mutex<VecDeque<Life>>>,
    pub(crate) plans: Arc<Mutex<Vec<Plan>>>,
}

impl Script {
    pub(crate) fn new(lives: impl IntoIterator<Item = Life>) -> Self {
        Self { lives: Arc::new(Mutex::new(lives.into_iter().collect())), plans: Arc::default() }
    }
}

impl Transcoding for Script {
    fn start(&self, plan: Plan) -> Pending<'_, Result<Ends, TranscodingError>> {
        let mut lives = self.lives.lock().unwrap();
        let life = if lives.len() > 1 { lives.pop_front().unwrap() } else { lives[0] };
        drop(lives);
        self.plans.lock().unwrap().push(plan.clone());
        Box::pin(async move {
            if matches!(life, Life::Refused) {
                return Err(TranscodingError::Start("no such program".into()));
            }
            let (sender, receiver) = mpsc::channel(64);
            let encoder = Encoder::new(plan, life, sender);
            let mut work = JoinSet::new();
            let input: Box<dyn TranscoderInput> = match life {
                Life::Slow(whole, less) => Box::new(SlowInput::begin(encoder, whole, less, &mut work)),
                _ => Box::new(encoder),
            };
            let ends: Ends = (input, Box::new(Out(receiver, work)));
            Ok(ends)
        })
    }
}

/// Puts a picture of each rendition out for each picture of the grid that was fed, and AAC for Opus.
struct Encoder {
    plan: Plan,
    life: Life,
    out: Option<mpsc::Sender<Output>>,
    next_picture: Option<i64>,
    next_sound: i64,
    pictures: usize,
    configured: bool,
    last_segment: Option<i64>,
    /// How many of the largest renditions are not encoded, and where IDRs lie then.
    passed: usize,
    has_wanted: bool,
    keys: Vec<MediaTime>,
}

impl Encoder {
    fn new(plan: Plan, life: Life, out: mpsc::Sender<Output>) -> Self {
        Self {
            next_sound: plan.start.to_ticks(48_000) / 1024,
            plan,
            life,
            out: Some(out),
            next_picture: None,
            pictures: 0,
            configured: false,
            last_segment: None,
            passed: 0,
            has_wanted: false,
            keys: Vec::new(),
        }
    }

    fn video(&mut self, unit: &AccessUnit) -> Vec<Output> {
        let rate = self.plan.frame_rate;
        if self.next_picture.is_none() && !unit.random_access {
            return vec![Output::KeyframeWanted];
        }
        if unit.random_access && self.passed > 0 {
            self.keys.push(unit.pts);
        }
        let from = unit.pts.max(self.plan.start);
        let first = || (0..).find(|&index| rate.time_of(index) >= from).unwrap();
        self.next_picture.get_or_insert_with(first);
        self.pictures_up_to(unit.pts)
    }

    fn fill(&mut self, video: MediaTime, audio: MediaTime) -> Vec<Output> {
        if matches!(self.life, Life::Slate) {
            let start = self.plan.start;
            let rate = self.plan.frame_rate;
            self.next_picture.get_or_insert_with(|| (0..).find(|&index| rate.time_of(index) >= start).unwrap());
        }
        let mut out = if self.next_picture.is_some() { self.pictures_up_to(video) } else { Vec::new() };
        out.extend(self.sound_up_to(audio));
        out
    }

    fn pictures_up_to(&mut self, time: MediaTime) -> Vec<Output> {
        let rate = self.plan.frame_rate;
        let mut out = Vec::new();
        let mut index = self.next_picture.unwrap();
        while rate.time_of(index) <= time {
            let at = rate.time_of(index);
            let segment = at.0.div_euclid(self.plan.keyframe_interval.0);
            let on_grid = self.last_segment != Some(segment) && self.passed == 0;
            let idr = on_grid || self.keys.contains(&at);
            self.last_segment = Some(segment);
            let coded = picture(at, Some(rate.time_of(index + 1) - at), idr);
            out.extend(
                self.plan
                    .video
                    .iter()
                    .skip(self.passed)
                    .map(|video| Output::Encoded { rendition: video.rendition, unit: coded.clone() }),
            );
            index += 1;
            self.pictures += 1;
        }
        self.next_picture = Some(index);
        out
    }

    /// It carries out at once what it is told.
    fn pace(&mut self, rendition: u8, step: Step) -> Output {
        let at = self.next_picture.map_or(self.plan.start, |index| self.plan.frame_rate.time_of(index));
        Output::Paced { rendition, step, at }
    }

    fn pass(&mut self, at: MediaTime) -> Vec<Output> {
        let before = self.pictures_up_to(at - MediaTime(1));
        (self.passed, self.keys) = (1, Vec::new());
        before
    }

    fn encode(&mut self, at: MediaTime) -> Vec<Output> {
        let before = self.pictures_up_to(at - MediaTime(1));
        (self.passed, self.keys) = (0, vec![at]);
        before
    }

    fn audio(&mut self, unit: &AccessUnit) -> Vec<Output> {
        self.sound_up_to(unit.pts)
    }

    fn sound_up_to(&mut self, time: MediaTime) -> Vec<Output> {
        let Some(audio) = &self.plan.audio else {
            return Vec::new();
        };
        let rendition = audio.rendition;
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.configured, true) {
            let config = vec![0x11, 0x90];
            out.push(Output::AudioConfig { rendition, config });
        }
        while aac(self.next_sound).pts <= time {
            let unit = aac(self.next_sound);
            self.next_sound += 1;
            out.push(Output::Encoded { rendition, unit });
        }
        out
    }
}

impl TranscoderInput for Encoder {
    fn send(&mut self, input: Input) -> Pending<'_, Result<(), TranscodingError>> {
        Box::pin(async move {
            let mut outputs = match input {
                Input::Start(_) => panic!("the plan was handed over at the start"),
                Input::Finish => vec![Output::Finished],
                Input::Unit(unit) if unit.codec.kind() == TrackKind::Video => self.video(&unit),
                Input::Unit(unit) => self.audio(&unit),
                Input::Pace { rendition, step } => vec![self.pace(rendition, step)],
                Input::Slate { .. } | Input::Switch => Vec::new(),
                Input::Pass { at } => self.pass(at),
                Input::Encode { at } => self.encode(at),
                Input::Clock { video, audio } => self.fill(video - PATIENCE, audio - PATIENCE),
            };
            match self.life {
                Life::Dies(pictures) if self.pictures >= pictures => self.out = None,
                Life::Wants(pictures)
                    if self.pictures >= pictures && !std::mem::replace(&mut self.has_wanted, true) =>
                {
                    outputs.push(Output::KeyframeWanted);
                }
                Life::Hangs(pictures) if self.pictures >= pictures => return Ok(()),
                _ => {}
            }
            let out = self.out.as_ref().ok_or(TranscodingError::Gone)?;
            for output in outputs {
                out.send(output).await.map_err(|_| TranscodingError::Gone)?;
            }
            Ok(())
        })
    }
}

/// An encoder behind a queue like a worker's, which takes its time.
struct SlowInput(mpsc::Sender<Input>);

impl SlowInput {
    fn begin(mut encoder: Encoder, whole: Duration, less: Duration, work: &mut JoinSet<()>) -> Self {
        let (sender, mut queue) = mpsc::channel(64);
        work.spawn(async move {
            let mut cost = whole;
            while let Some(input) = queue.recv().await {
                match &input {
                    Input::Pace { rendition: 0, step } => cost = if *step == Step::Whole { whole } else { less },
                    Input::Unit(unit) if unit.codec.kind() == TrackKind::Video => tokio::time::sleep(cost).await,
                    _ => {}
                }
                if encoder.send(input).await.is_err() {
                    return;
                }
            }
        });
        Self(sender)
    }
}

impl TranscoderInput for SlowInput {
    fn send(&mut self, input: Input) -> Pending<'_, Result<(), TranscodingError>> {
        Box::pin(async move { self.0.send(input).await.map_err(|_| TranscodingError::Gone) })
    }
}

/// What comes out, and the work behind it, if it is a task.
struct Out(mpsc::Receiver<Output>, JoinSet<()>);

impl TranscoderOutput for Out {
    fn next(&mut self) -> Pending<'_, Option<Output>> {
        Box::pin(self.0.recv())
    }
}

/// What a transcoder puts out for `plan` between two times, in order of time.
pub(crate) fn outputs(plan: &Plan, from: MediaTime, to: MediaTime) -> Vec<Output> {
    let rate = plan.frame_rate;
    let mut timed: Vec<(MediaTime, Output)> = Vec::new();
    let mut last = None;
    for index in (0..).skip_while(|&index| rate.time_of(index) < from) {
        let at = rate.time_of(index);
        if at >= to {
            break;
        }
        let end = rate.time_of(index + 1);
        let segment = at.0.div_euclid(plan.keyframe_interval.0);
        let idr = last.replace(segment) != Some(segment);
        for video in &plan.video {
            let unit = picture(at, Some(end - at), idr);
            timed.push((end, Output::Encoded { rendition: video.rendition, unit }));
        }
    }
    if let Some(audio) = &plan.audio {
        let rendition = audio.rendition;
        timed.push((from, Output::AudioConfig { rendition, config: vec![0x11, 0x90] }));
        let first = from.to_ticks(48_000) / 1024 - 1;
        let last = to.to_ticks(48_000) / 1024;
        timed.extend((first..last).map(|index| (aac(index + 1).pts, Output::Encoded { rendition, unit: aac(index) })));
    }
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, output)| output).collect()
}
