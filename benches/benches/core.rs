//! Speed of the pure parts: segmenter, fragment and init writer, playlist, decision, look-up by name.
//!
//! All inputs are made up from a fixed seed, so that two runs measure the same work. Measures no
//! I/O, no FFmpeg and no task.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use origin::live::decide::{Decision, ObjectDecision, decide, decide_object};
use origin::live::directive::Directive;
use packager::codecs::VideoConfig;
use packager::fmp4;
use packager::live::{Name, Snapshot};
use packager::playlist::dvr::{DvrWindow, Kept, KeptInit, Room, Rules};
use packager::playlist::{NewPart, Report, Window};
use packager::segment::{Cut, Part, Segmenter};
use packager::timing::{AUDIO_FRAME_SAMPLES, AUDIO_RATE, LISTED_SEGMENTS_MAX, Timing, Tracks};
use schema::ladder::{FrameRate, LatencyProfile};
use schema::playback::{Claims, PlaybackKey, PlaybackKeys};
use schema::{AccessUnit, Codec, Incarnation, MediaTime, TrackKind, UnixMicros};

const SEED: u64 = 0x4845_4144_5741_5445;
const RATE: FrameRate = FrameRate::THIRTY;
/// Bytes of a picture at 2.5 Mbit/s and 30 pictures a second.
const PICTURE_BYTES: usize = 2_500_000 / 8 / 30;
/// An IDR weighs about as much as five other pictures.
const IDR_WEIGHT: usize = 5;
const PICTURES_A_MINUTE: i64 = 60 * 30;
const INCARNATION: Incarnation = Incarnation(7);
const FIRST_MSN: u64 = 100_000;

/// x264, High, 320 × 240.
const SPS: [u8; 24] = [
    0x67, 0x64, 0x00, 0x0D, 0xAC, 0xD9, 0x41, 0x41, 0xFA, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03,
    0x20, 0xF1, 0x42, 0x99, 0x60,
];
const PPS: [u8; 6] = [0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0];
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Made-up bytes, the same in every run (SplitMix64).
struct Noise(u64);

impl Noise {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Like the payload of a slice: any byte, but never two zeros in a row, which could be a start code.
    fn payload(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            std::iter::from_fn(|| Some(self.word().to_le_bytes())).flatten().take(length).collect();
        for at in 1..bytes.len() {
            if bytes[at - 1] == 0 && bytes[at] == 0 {
                bytes[at] = 3;
            }
        }
        bytes
    }

    fn picture(&mut self, index: i64, timing: &Timing) -> AccessUnit {
        let pts = RATE.time_of(index);
        let idr = pts.0 % timing.segment.0 == 0;
        let mut data = Vec::new();
        if idr {
            data.extend([&START_CODE[..], &SPS, &START_CODE, &PPS].concat());
        }
        data.extend(START_CODE);
        data.push(if idr { 0x65 } else { 0x41 });
        data.extend(self.payload(if idr { PICTURE_BYTES * IDR_WEIGHT } else { PICTURE_BYTES }));
        let duration = Some(RATE.time_of(index + 1) - pts);
        AccessUnit { codec: Codec::H264, pts, dts: pts, duration, random_access: idr, data: data.into() }
    }

    fn sound(&mut self, index: i64) -> AccessUnit {
        let at = |index: i64| MediaTime::from_ticks(index * AUDIO_FRAME_SAMPLES, AUDIO_RATE);
        AccessUnit {
            codec: Codec::Aac,
            pts: at(index),
            dts: at(index),
            duration: Some(at(index + 1) - at(index)),
            random_access: true,
            data: self.payload(341).into(),
        }
    }
}

fn timing() -> Timing {
    Timing::new(LatencyProfile::Low, RATE, Tracks { video: true, audio: true })
}

fn pictures(count: i64) -> Vec<AccessUnit> {
    let mut noise = Noise(SEED);
    let timing = timing();
    (0..count).map(|index| noise.picture(index, &timing)).collect()
}

fn sounds(seconds: i64) -> Vec<AccessUnit> {
    let mut noise = Noise(SEED);
    (0..seconds * i64::from(AUDIO_RATE) / AUDIO_FRAME_SAMPLES).map(|index| noise.sound(index)).collect()
}

fn cuts(kind: TrackKind, timing: &Arc<Timing>, units: &[AccessUnit]) -> Vec<Cut> {
    let mut segmenter = Segmenter::new(kind, Arc::clone(timing), FIRST_MSN, MediaTime::ZERO);
    units.iter().flat_map(|unit| segmenter.push(unit)).collect()
}

/// A minute of one rendition through the segmenter: units in, parts and segment ends out.
fn segmenter(criterion: &mut Criterion) {
    let timing = Arc::new(timing());
    let mut group = criterion.benchmark_group("segment");
    for (kind, units) in [(TrackKind::Video, pictures(PICTURES_A_MINUTE)), (TrackKind::Audio, sounds(60))] {
        group.throughput(Throughput::Elements(units.len() as u64));
        let name = format!("{kind:?} minute").to_lowercase();
        group.bench_function(name, |bencher| {
            bencher.iter_with_large_drop(|| cuts(kind, &timing, &units));
        });
    }
    group.finish();
}

/// The first part of a segment, which begins with an IDR.
fn part_of(kind: TrackKind, units: &[AccessUnit]) -> Part {
    let cuts = cuts(kind, &Arc::new(timing()), units);
    let part = cuts.into_iter().find_map(|cut| if let Cut::Part(part) = cut { Some(part) } else { None });
    part.expect("a second of media has a part")
}

/// A part of ten pictures at 2.5 Mbit/s, one of AAC, and an init section.
fn boxes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fmp4");
    let video = part_of(TrackKind::Video, &pictures(30));
    assert_eq!(video.samples.len(), 10, "a part of the profile `low` has ten pictures");
    let audio = part_of(TrackKind::Audio, &sounds(1));
    for (name, kind, scale, part) in
        [("video part", TrackKind::Video, 90_000, video), ("audio part", TrackKind::Audio, AUDIO_RATE, audio)]
    {
        let bytes = fmp4::fragment(kind, scale, 1, &part, fmp4::Sets::InEntry).expect("a usual part can be written");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| fmp4::fragment(kind, scale, 1, black_box(&part), fmp4::Sets::InEntry))
        });
    }
    let picture = pictures(1).remove(0);
    let config = VideoConfig::of(&picture.data).expect("the first picture has parameter sets");
    group.throughput(Throughput::Elements(1));
    group.bench_function("video init", |bencher| bencher.iter(|| fmp4::video_init(black_box(&config), 90_000)));
    group.finish();
}

/// A window that lists that many segments, has let go of as many more, and grows in the middle of one.
fn full_window(listed: usize) -> Window {
    let timing = Arc::new(Timing { listed_segments: listed, ..timing() });
    let mut window = Window::new(Arc::clone(&timing), INCARNATION, UnixMicros(1_700_000_000_000_000), FIRST_MSN);
    window.set_init(0, Bytes::from_static(b"init"));
    let (mut msn, mut start, mut independent) = (FIRST_MSN, MediaTime::ZERO, true);
    let last = FIRST_MSN + 2 * listed as u64 + 2;
    let middle = MediaTime(timing.segment.0 / 2);
    while msn < last || start.0 % timing.segment.0 != middle.0 {
        let at = timing.position(start);
        let bytes = Bytes::from_static(b"part");
        window.append(NewPart { msn, start, duration: at.next - start, independent, bytes });
        if at.next_is_segment {
            window.complete_segment();
            msn += 1;
        }
        (start, independent) = (at.next, at.next_is_segment);
    }
    window
}

fn listed_in_30_s() -> usize {
    timing().listed_segments
}

fn listed_at_most() -> usize {
    usize::try_from(LISTED_SEGMENTS_MAX).expect("it is a few hundred")
}

/// How far four other renditions are.
fn reports() -> Vec<Report> {
    ["720p", "480p", "360p", "audio"]
        .map(|name| Report {
            name: name.parse().expect("a rendition name"),
            last_msn: FIRST_MSN + 40,
            last_part: Some(2),
        })
        .to_vec()
}

fn snapshot(listed: usize) -> Snapshot {
    full_window(listed).snapshot(&reports(), Instant::now())
}

/// One revision: the playlist written, compressed, and the objects behind it.
fn playlist(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("playlist");
    let (reports, now) = (reports(), Instant::now());
    for (name, listed) in [("revision of 30 s", listed_in_30_s()), ("revision of 300 segments", listed_at_most())] {
        let mut window = full_window(listed);
        group.throughput(Throughput::Bytes(window.snapshot(&reports, now).playlist.plain.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| window.snapshot(black_box(&reports), now)));
    }
    group.finish();
}

/// Segments of two seconds in twelve hours.
const DVR_SEGMENTS: u64 = 21_600;

/// A window of twelve hours, and the number that comes next in it.
fn dvr_window() -> (DvrWindow, u64) {
    let (timing, zero) = (Arc::new(timing()), UnixMicros(1_700_000_000_000_000));
    let mut window = DvrWindow::new(Arc::new(Rules { timing, zero, span: MediaTime(i64::MAX) }));
    window.add_init(KeptInit { incarnation: INCARNATION, index: 0, length: 700 });
    let next = FIRST_MSN + DVR_SEGMENTS;
    (FIRST_MSN..next).for_each(|msn| grow_dvr(&mut window, msn));
    (window, next)
}

fn grow_dvr(window: &mut DvrWindow, msn: u64) {
    let duration = timing().segment;
    let start = MediaTime(duration.0 * i64::try_from(msn).expect("few segments"));
    let kept = Kept {
        msn,
        epoch: 0,
        discontinuities: 0,
        incarnation: INCARNATION,
        init: 0,
        start,
        duration,
        length: Some(600_000),
    };
    assert!(window.append(kept));
}

/// One revision of a list for rewinding of twelve hours: what the writer does for each segment, and what the first viewer
/// of the revision has done for all.
fn dvr(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dvr of 21,600 segments");
    let (mut window, mut msn) = dvr_window();
    let mut next = || {
        grow_dvr(&mut window, msn);
        window.remove_below(msn - DVR_SEGMENTS + 1);
        let _files = window.release(Room::Short);
        msn += 1;
        window.snapshot()
    };
    group.bench_function("revision", |bencher| bencher.iter(&mut next));
    let per_iteration = BatchSize::PerIteration;
    let list = next();
    let update = list.delta().map_or(0, |delta| delta.gzip.len());
    // Sizes stand in the names.
    let names = [("list", list.plain().len()), ("gzip", list.gzip().len()), ("update in gzip", update)];
    let [plain, gzip, update] = names.map(|(what, bytes)| format!("{what}, {bytes} bytes"));
    group
        .bench_function(plain, |bencher| bencher.iter_batched_ref(&mut next, |list| list.plain().len(), per_iteration));
    group.bench_function(gzip, |bencher| bencher.iter_batched_ref(&mut next, |list| list.gzip().len(), per_iteration));
    group.bench_function(update, |bencher| {
        bencher.iter_batched_ref(&mut next, |list| list.delta().map(|delta| delta.gzip.len()), per_iteration);
    });
    group.finish();
}

/// What to do about one request for a playlist.
fn decisions(criterion: &mut Criterion) {
    let snapshot = snapshot(listed_in_30_s());
    let (msn, part) = (snapshot.next_msn, u64::from(snapshot.open_parts));
    let mut group = criterion.benchmark_group("decide");
    for (name, directive, expected) in [
        ("serve now", Directive::Now, Some(Decision::Serve)),
        ("serve a part", Directive::Part { msn, part: part - 1 }, Some(Decision::Serve)),
        ("wait for a part", Directive::Part { msn, part }, Some(Decision::Wait)),
        ("refuse", Directive::Segment { msn: msn + 9 }, None),
    ] {
        let decision = decide(directive, &snapshot);
        assert!(expected.map_or(matches!(decision, Decision::Refuse(_)), |expected| decision == expected), "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| decide(black_box(directive), black_box(&snapshot))));
    }
    let query = format!("_HLS_msn={msn}&_HLS_part={part}");
    group.bench_function("read a directive", |bencher| bencher.iter(|| Directive::parse(Some(black_box(&query)))));
    group.finish();
}

/// An object by its name, in the longest window.
fn objects(criterion: &mut Criterion) {
    let snapshot = snapshot(listed_at_most());
    let (first, next) = (snapshot.first_msn, snapshot.next_msn);
    let mut group = criterion.benchmark_group("object");
    for (name, wanted, known) in [
        ("newest part", Name::Part(INCARNATION, next, 0), true),
        ("oldest listed segment", Name::Segment(INCARNATION, first), true),
        ("init", Name::Init(INCARNATION, 0), true),
        ("unknown", Name::Part(INCARNATION, next + 5, 0), false),
    ] {
        let wanted = wanted.to_string();
        assert_eq!(snapshot.objects.get(&wanted).is_some(), known, "{wanted}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| matches!(decide_object(black_box(&wanted), &snapshot), ObjectDecision::Serve(_)));
        });
    }
    group.finish();
}

/// A viewer's token, as the origin checks it with every request of what is for members.
fn tokens(criterion: &mut Criterion) {
    let key = |id: &str| PlaybackKey { id: id.parse().expect("a key's id"), secret: "s".repeat(43) };
    let keys = PlaybackKeys::new(vec![key("k2"), key("k1")]);
    let viewer = "0190b7d4c8f17a3e9d2b5c6e7f801234".parse().expect("a viewer's id");
    let claims = Claims { channel: "demo".parse().expect("a name"), viewer, expires_s: 600 };
    let token = keys.sign(&claims).expect("there is a key");
    assert_eq!(keys.check(&token, &claims.channel, 0).as_ref(), Ok(&claims));
    let mut group = criterion.benchmark_group("token");
    group.bench_function("check", |bencher| {
        bencher.iter(|| keys.check(black_box(&token), &claims.channel, 0).is_ok());
    });
    group.bench_function("sign", |bencher| bencher.iter(|| keys.sign(black_box(&claims))));
    group.finish();
}

/// Short, so that all of it takes half a minute.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .without_plots()
}

criterion_group! {
    name = core;
    config = settings();
    targets = segmenter, boxes, playlist, dvr, decisions, objects, tokens
}
criterion_main!(core);
