//! Passing a source through: when it begins, what ends it, and what viewers get.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use packager::broadcast::{
    self, BroadcastEnd, BroadcastMetrics, Joining, Opening, Outline, Publishing, Start, Status, Tracks, Word,
};
use packager::ladder::Bandwidth;
use packager::live::LiveBroadcast;
use packager::passthrough::{Break, Passthrough, Terms, Verdict};
use packager::segment::{Cut, Part, Segmenter};
use packager::timing::{TOLERANCE, Timing};
use packager_transcode::wire::{Coding, Law, Profile};
use prometheus::Registry;
use proptest::prelude::*;
use schema::api::{KeyRole, PublishGrant, SecondPublisher};
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize, Rung};
use schema::{AccessUnit, Incarnation, MediaTime, SessionEnd, TrackKind, UnixMicros};
use support::{Life, OpenFeed, OpenPublisher, Script, open_feed, picture, vp8};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SIZE: PictureSize = PictureSize { width: 320, height: 240 };
const LISTED: Option<&str> = Some("avc1.64000d");
const BOTH: Tracks = Tracks { video: true, audio: true };

fn timing(profile: LatencyProfile, rate: FrameRate) -> Arc<Timing> {
    Arc::new(Timing::new(profile, rate, BOTH))
}

fn watch_of(timing: &Arc<Timing>) -> Passthrough {
    let bandwidth = Bandwidth { peak: 1_300_000, average: 1_000_000 };
    Passthrough::new(Terms { timing: Arc::clone(timing), size: SIZE, bandwidth }, MediaTime::ZERO)
}

/// A picture in that slot, of so many bytes.
fn at(rate: FrameRate, slot: i64, key: bool, bytes: usize) -> AccessUnit {
    let unit = picture(rate.time_of(slot), None, key);
    let padding = vec![0x55; bytes.saturating_sub(unit.data.len())];
    AccessUnit { data: [&unit.data[..], &padding].concat().into(), ..unit }
}

/// What is said of pictures of 1 kB in these slots, keyframes at multiples of `gop`: on at which slot, off at which and why.
fn turns(
    watch: &mut Passthrough,
    units: impl IntoIterator<Item = AccessUnit>,
    rate: FrameRate,
) -> Vec<(i64, Option<Break>)> {
    let slot = |time: MediaTime| (0..).find(|&slot| rate.time_of(slot) + TOLERANCE >= time).unwrap();
    let told = units.into_iter().filter_map(|unit| match watch.picture(unit, LISTED) {
        Verdict::On { unit, .. } => Some((slot(unit.pts), None)),
        Verdict::Off { at, why, .. } => Some((slot(at), Some(why))),
        Verdict::Encode(_) | Verdict::Pass(_) => None,
    });
    told.collect()
}

fn steady(rate: FrameRate, slots: std::ops::Range<i64>, gop: i64) -> impl Iterator<Item = AccessUnit> {
    slots.map(move |slot| at(rate, slot, slot % gop == 0, 1_000))
}

#[test]
fn a_steady_source_is_passed_through_from_its_third_keyframe_on_at_every_rate_and_profile() {
    use LatencyProfile::{Classic, Low, Relaxed, Ultra};
    for rate in packager::frame_rate::USUAL {
        for profile in [Ultra, Low, Relaxed, Classic] {
            let timing = timing(profile, rate);
            let gop = timing.segment_slots();
            let told = turns(&mut watch_of(&timing), steady(rate, 0..gop * 6, gop), rate);
            assert_eq!(told, [(gop * 2, None)], "{rate:?} {profile:?}");
            let shorter = turns(&mut watch_of(&timing), steady(rate, 0..gop * 6, (gop / 3).max(1)), rate);
            assert_eq!(shorter, [((gop / 3).max(1) * 2, None)], "{rate:?} {profile:?}");
            let longer = turns(&mut watch_of(&timing), steady(rate, 0..gop * 9, gop + 1), rate);
            assert_eq!(longer, [], "{rate:?} {profile:?}");
        }
    }
}

#[test]
fn what_trembles_lies_on_its_slots_and_what_has_another_rate_is_never_passed_through() {
    let (rate, timing) = (FrameRate::THIRTY, timing(LatencyProfile::Low, FrameRate::THIRTY));
    let tremble = |unit: AccessUnit, index: i64| {
        let late = MediaTime::from_millis(index * 7 % 13 - 6);
        AccessUnit { pts: unit.pts + late, dts: unit.dts + late, ..unit }
    };
    let units: Vec<AccessUnit> = steady(rate, 0..240, 60).zip(0..).map(|(unit, index)| tremble(unit, index)).collect();
    let mut watch = watch_of(&timing);
    let mut passed = 0;
    for (slot, unit) in (0..).zip(units) {
        if let Verdict::Pass(unit) = watch.picture(unit, LISTED) {
            assert_eq!((unit.pts, unit.dts), (rate.time_of(slot), rate.time_of(slot)));
            passed += 1;
        }
    }
    assert_eq!(passed, 119);
    for other in [FrameRate::new(60, 1), FrameRate::new(15, 2), FrameRate::new(10, 1)] {
        assert_eq!(turns(&mut watch_of(&timing), steady(other, 0..400, 20), rate), [], "{other:?}");
    }
}

#[test]
fn groups_of_uneven_length_prove_nothing() {
    let (rate, timing) = (FrameRate::THIRTY, timing(LatencyProfile::Low, FrameRate::THIRTY));
    let keys: Vec<i64> = (0..20).map(|group| group * 39 - group % 2 * 9).collect();
    let units = (0..700).map(|slot| at(rate, slot, keys.contains(&slot), 1_000));
    assert_eq!(turns(&mut watch_of(&timing), units, rate), []);
}

#[test]
fn a_segment_of_whole_groups_ends_with_its_last_picture_and_not_with_the_next_keyframe() {
    let rate = FrameRate::THIRTY;
    let timing = timing(LatencyProfile::Low, rate);
    for (gop, segment) in [(45, 45), (30, 60), (25, 50), (60, 60)] {
        let mut segmenter = Segmenter::new(TrackKind::Video, Arc::clone(&timing), 0, MediaTime::ZERO);
        segmenter.turn(MediaTime::ZERO, Some(Law::Led { gop: u32::try_from(gop).unwrap() }));
        let mut ends = Vec::new();
        for unit in steady(rate, 0..181, gop) {
            if unit.random_access {
                assert!(segmenter.keyframe(unit.dts).is_empty(), "it had ended before");
            }
            let cuts = segmenter.push(&unit);
            ends.extend(cuts.iter().any(|cut| matches!(cut, Cut::SegmentEnd(_))).then_some(unit.dts));
        }
        let expected: Vec<MediaTime> = (1..=180 / segment).map(|end| rate.time_of(end * segment - 1)).collect();
        assert_eq!(ends, expected, "{gop}");
    }
}

#[test]
fn whatever_breaks_a_rule_is_encoded_from_the_next_slot_on() {
    let rate = FrameRate::THIRTY;
    let timing = timing(LatencyProfile::Low, rate);
    let mut cases: Vec<(Break, i64, Vec<AccessUnit>)> = Vec::new();
    let steady = || steady(rate, 0..200, 60).collect::<Vec<_>>();
    let mut two_lost = steady();
    two_lost.drain(150..152);
    cases.push((Break::Gap, 150, two_lost));
    let mut twice = steady();
    twice.insert(151, AccessUnit { pts: twice[150].pts + MediaTime(7), ..twice[150].clone() });
    cases.push((Break::Gap, 151, twice));
    let mut long = steady();
    long[180].random_access = false;
    cases.push((Break::Gop, 180, long));
    let mut heavy = steady();
    heavy.iter_mut().skip(140).for_each(|unit| unit.data = vec![0; 20_000].into());
    cases.push((Break::Bandwidth, 148, heavy));
    let mut other = steady();
    let mut bytes = other[180].data.to_vec();
    bytes[7] ^= 1; // its level
    other[180].data = bytes.into();
    cases.push((Break::Parameters, 180, other));
    let mut vp8s = steady();
    vp8s[150] = vp8(vp8s[150].pts, (320, 240), true);
    cases.push((Break::Parameters, 150, vp8s));
    let mut reordered = steady();
    reordered.swap(150, 151);
    cases.push((Break::Gap, 152, reordered));
    for (why, slot, units) in cases {
        assert_eq!(turns(&mut watch_of(&timing), units, rate), [(120, None), (slot, Some(why))]);
    }
}

#[test]
fn a_picture_that_is_missing_alone_in_its_part_before_a_segment_is_a_gap() {
    let (rate, timing) = (FrameRate::THIRTY, timing(LatencyProfile::Low, FrameRate::THIRTY));
    // Segments of 31 slots: their last one is a part of its own, and nothing is there to be shown for longer.
    for (lost, told) in [(122, vec![(62, None)]), (123, vec![(62, None), (123, Some(Break::Gap))])] {
        let units = steady(rate, 0..150, 31).filter(|unit| unit.pts != rate.time_of(lost));
        assert_eq!(turns(&mut watch_of(&timing), units, rate), told);
    }
}

#[test]
fn a_proof_is_longer_after_a_break_up_to_a_bound_and_one_lost_picture_is_none() {
    let rate = FrameRate::THIRTY;
    let timing = timing(LatencyProfile::Ultra, rate);
    let mut watch = watch_of(&timing);
    let one_lost = steady(rate, 0..600, 30).filter(|unit| unit.random_access || unit.pts.to_millis() % 700 != 0);
    assert_eq!(turns(&mut watch, one_lost, rate), [(60, None)]);
    let mut first = watch_of(&timing);
    let mut at_slot = 0;
    let mut proofs = Vec::new();
    for _ in 0..6 {
        let units: Vec<_> =
            (0..100).flat_map(|gop| steady(rate, at_slot + gop * 30..at_slot + gop * 30 + 30, 30)).collect();
        let mut keyframes = 0;
        for unit in units {
            keyframes += i64::from(unit.random_access);
            at_slot += 1;
            if matches!(first.picture(unit, LISTED), Verdict::On { .. }) {
                break;
            }
        }
        proofs.push(keyframes);
        first.interrupt().unwrap();
        at_slot = (at_slot / 30 + 1) * 30;
    }
    assert_eq!(proofs, [3, 6, 12, 24, 24, 24]);
}

#[test]
fn what_is_above_the_listed_average_is_not_passed_through_though_its_peak_is_not() {
    let rate = FrameRate::THIRTY;
    let timing = timing(LatencyProfile::Low, rate);
    // 1.0 Mbit/s is listed, 1.3 at most.
    let of = |slots: std::ops::Range<i64>, bytes: usize| slots.map(move |slot| at(rate, slot, slot % 60 == 0, bytes));
    assert_eq!(turns(&mut watch_of(&timing), of(0..2_000, 4_900), rate), []);
    assert_eq!(turns(&mut watch_of(&timing), of(0..2_000, 4_100), rate), [(120, None)]);
    let raised = of(0..300, 4_000).chain(of(300..2_000, 4_900));
    let told = turns(&mut watch_of(&timing), raised, rate);
    assert!(matches!(told[..], [(120, None), (600..1_200, Some(Break::Bandwidth))]), "{told:?}");
}

#[test]
fn nothing_is_passed_through_that_is_listed_otherwise() {
    let (rate, timing) = (FrameRate::THIRTY, timing(LatencyProfile::Low, FrameRate::THIRTY));
    for listed in [None, Some("avc1.64001f"), Some("avc1.42c00d")] {
        let mut watch = watch_of(&timing);
        assert!(steady(rate, 0..300, 60).all(|unit| matches!(watch.picture(unit, listed), Verdict::Encode(_))));
    }
    let terms = Terms {
        timing,
        size: PictureSize { width: 640, height: 480 },
        bandwidth: Bandwidth { peak: 1 << 30, average: 1 << 30 },
    };
    let mut watch = Passthrough::new(terms, MediaTime::ZERO);
    assert!(steady(rate, 0..300, 60).all(|unit| matches!(watch.picture(unit, LISTED), Verdict::Encode(_))));
}

fn parts(cuts: &[Cut]) -> Vec<&Part> {
    cuts.iter().filter_map(|cut| if let Cut::Part(part) = cut { Some(part) } else { None }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_is_passed_through_is_lawful_whatever_comes(
        profile in prop::sample::select(vec![LatencyProfile::Ultra, LatencyProfile::Low, LatencyProfile::Relaxed, LatencyProfile::Classic]),
        rate in prop::sample::select(packager::frame_rate::USUAL.to_vec()),
        gop in 5_i64..130,
        first in 0_i64..100,
        faults in prop::collection::vec((0_usize..1_500, 0_u8..4), 0..20),
    ) {
        let timing = timing(profile, rate);
        let mut watch = watch_of(&timing);
        let mut units: Vec<Option<AccessUnit>> = (first..first + 1_500).map(|slot| Some(at(rate, slot, (slot - first) % gop == 0, 200))).collect();
        for (index, fault) in faults {
            match fault {
                0 => units[index] = None,
                1 => units[index] = Some(at(rate, first + i64::try_from(index).unwrap(), true, 200)),
                2 => units[index..(index + 2).min(1_500)].fill(None),
                _ => {
                    let slot = first + i64::try_from(index).unwrap();
                    let late = MediaTime(rate.frame().0 / 5);
                    let unit = at(rate, slot, units[index].as_ref().is_some_and(|unit| unit.random_access), 200);
                    units[index] = Some(AccessUnit { pts: unit.pts + late, dts: unit.dts + late, ..unit });
                }
            }
        }
        let mut segmenter: Option<Segmenter> = None;
        let mut cuts: Vec<Cut> = Vec::new();
        for unit in units.into_iter().flatten() {
            let (unit, on) = match watch.picture(unit, LISTED) {
                Verdict::On { gop, unit } => (unit, Some(gop)),
                Verdict::Pass(unit) => (unit, None),
                Verdict::Off { at, .. } => {
                    let segmenter = segmenter.as_mut().unwrap();
                    cuts.extend(segmenter.turn(at, Some(Law::Grid)).1);
                    prop_assert_eq!(segmenter.end(), Some(at));
                    cuts.extend(segmenter.finish());
                    continue;
                }
                Verdict::Encode(_) => continue,
            };
            if let Some(gop) = on {
                let mut fresh = Segmenter::new(TrackKind::Video, Arc::clone(&timing), 0, unit.dts);
                cuts.extend(fresh.turn(unit.dts, Some(Law::Led { gop })).1);
                prop_assert!(check(&cuts, &timing).is_ok(), "{:?}", check(&cuts, &timing));
                cuts.clear();
                segmenter = Some(fresh);
            }
            let segmenter = segmenter.as_mut().unwrap();
            if unit.random_access {
                cuts.extend(segmenter.keyframe(unit.dts));
            }
            cuts.extend(segmenter.push(&unit));
        }
        prop_assert!(check(&cuts, &timing).is_ok(), "{:?}", check(&cuts, &timing));
    }
}

/// One stretch that was passed through: no hole, nothing left out, lawful parts, segments that begin with an IDR.
fn check(cuts: &[Cut], timing: &Timing) -> Result<(), String> {
    if let Some(bad) = cuts.iter().find(|cut| matches!(cut, Cut::Hole(_) | Cut::Discarded(_))) {
        return Err(format!("{bad:?}"));
    }
    let parts = parts(cuts);
    for (index, part) in parts.iter().enumerate() {
        let next = parts.get(index + 1);
        if timing.part_target.is_some_and(|target| part.duration() > target) {
            return Err(format!("a part of {:?}", part.duration()));
        }
        let is_last = next.is_none_or(|next| next.msn != part.msn);
        let is_short = timing.part_target.is_some_and(|target| part.duration().0 * 100 < target.0 * 85);
        if is_short && !is_last && !part.independent {
            return Err(format!("a short part of {:?} in {}", part.duration(), part.msn));
        }
        if next.is_some_and(|next| part.start() + part.duration() != next.start()) {
            return Err(format!("decode times jump after {:?}", part.start()));
        }
        if part.index == 0 && !part.samples[0].random_access {
            return Err(format!("segment {} begins without an IDR", part.msn));
        }
        let shown: Vec<MediaTime> = part.samples.iter().map(|sample| sample.start + sample.shown_after).collect();
        if shown.windows(2).any(|pair| pair[0] >= pair[1])
            || part.samples.iter().any(|sample| sample.end <= sample.start)
        {
            return Err("pictures out of order".into());
        }
    }
    for pair in parts.windows(2).filter(|pair| pair[0].msn != pair[1].msn) {
        let length: i64 = parts.iter().filter(|part| part.msn == pair[0].msn).map(|part| part.duration().0).sum();
        if MediaTime(length).as_seconds().round() > f64::from(timing.target_duration_s) {
            return Err(format!("a segment of {:?}", MediaTime(length)));
        }
    }
    Ok(())
}

struct Setup {
    start: Start,
    listed: oneshot::Receiver<Arc<LiveBroadcast>>,
    metrics: BroadcastMetrics,
    words: mpsc::Sender<Word>,
}

fn setup(script: &Script, rungs: &[u32]) -> Setup {
    let (listing, listed) = oneshot::channel();
    let metrics = BroadcastMetrics::register(&Registry::new()).unwrap();
    let (words, told) = mpsc::channel(2);
    let rungs = rungs.iter().map(|&height| Rung { height, bitrate: 1_000_000 }).collect();
    let start = Start {
        grant: PublishGrant {
            channel: "demo".parse().unwrap(),
            key_id: "k1".into(),
            title: "Demo".into(),
            ladder: Ladder { rungs, audio_bitrate: 128_000 },
            profile: LatencyProfile::Low,
            frame_rate: None,
            last_size: Some(SIZE),
            grace_s: 60,
            second_publisher: SecondPublisher::Replace,
            passthrough: true,
            role: KeyRole::Primary,
            slate: None,
            dvr_s: 0,
            access: Default::default(),
        },
        broadcast: "b1".parse().unwrap(),
        incarnation: Incarnation(3),
        words: told,
        transcoding: Arc::new(script.clone()),
        msn_start: 40,
        listing: Box::new(move |live| {
            let _ = listing.send(live);
        }),
        status: watch::channel(Status::default()).0,
        metrics: metrics.clone(),
        dvr: None,
    };
    Setup { start, listed, metrics, words }
}

fn joins(feed: OpenFeed, role: KeyRole) -> Joining {
    let publishing = Publishing { session: "s1".parse().unwrap(), key_id: "k1".into() };
    Joining { feed: Box::new(feed), role, publishing }
}

fn begin(start: Start, feed: OpenFeed) -> JoinSet<BroadcastEnd> {
    let opening = Opening::Publisher { joining: joins(feed, KeyRole::Primary), tracks: BOTH };
    let mut running = JoinSet::new();
    running.spawn(broadcast::run(start, opening, CancellationToken::new()));
    running
}

fn playlist(live: &LiveBroadcast, name: &str) -> String {
    let rendition = live.renditions.iter().find(|rendition| rendition.name.as_str() == name).unwrap();
    String::from_utf8(rendition.snapshot.borrow().playlist.plain.to_vec()).unwrap()
}

/// For each segment: how many discontinuities lie before it, its init section and its length in milliseconds.
fn segments(live: &LiveBroadcast, name: &str) -> Vec<(u64, String, i64)> {
    let (mut count, mut map, mut all) = (0, String::new(), Vec::new());
    for line in playlist(live, name).lines() {
        count += u64::from(line == "#EXT-X-DISCONTINUITY");
        if let Some(named) = line.strip_prefix("#EXT-X-MAP:URI=") {
            map = named.trim_matches('"').to_owned();
        }
        if let Some(length) = line.strip_prefix("#EXTINF:") {
            let digits: i64 = length.trim_end_matches(',').replace('.', "").parse().unwrap();
            all.push((count, map.clone(), digits / 100));
        }
    }
    all
}

fn off(metrics: &BroadcastMetrics, why: Break) -> u64 {
    metrics.passed_turns.with_label_values(&["off", why.as_str()]).get()
}

fn as_it_is(_: i64, unit: AccessUnit) -> Option<AccessUnit> {
    Some(unit)
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fits_leads_the_cuts_and_its_bytes_are_listed() {
    for rungs in [&[240][..], &[240, 120]] {
        let (publisher, feed) = open_feed();
        let mut setup = setup(&Script::new([Life::Well]), rungs);
        let mut running = begin(setup.start, feed);
        let marked = |index: i64, unit: AccessUnit| {
            let mark = [&unit.data[..], &[0x77, 0x66, 0x55], &index.to_be_bytes()[6..]].concat();
            Some(AccessUnit { data: mark.into(), ..unit })
        };
        publisher.pictures(300, marked).await;
        let live = setup.listed.try_recv().unwrap();
        assert_eq!(setup.metrics.passed_active.get(), 1);
        publisher.end(SessionEnd::Closed);
        running.join_next().await.unwrap().unwrap();
        assert_eq!(setup.metrics.passed_active.get(), 0);
        let top = segments(&live, "240p");
        let of = |count: u64| format!("init-3-{count}.mp4");
        assert_eq!(top[0], (0, of(0), 2_000));
        assert_eq!(top.last().unwrap(), &(1, of(1), 2_000), "{top:?}");
        in_step(&live);
        for other in live.renditions.iter().skip(1) {
            let name = other.name.as_str();
            assert!(segments(&live, name).iter().all(|(_, map, _)| *map == of(0)), "{name}");
        }
        // The marks of all pictures since the third keyframe, each once and in order.
        let bytes: Vec<u8> = (40..46)
            .flat_map(|msn| {
                let snapshot = live.renditions[0].snapshot.borrow().clone();
                let whole = snapshot.objects.get(&format!("seg-3-{msn}.m4s")).cloned();
                whole.map(|object| object.chunks.concat()).unwrap_or_default()
            })
            .collect();
        let marks: Vec<i64> = bytes
            .windows(5)
            .filter(|at| at[..3] == [0x77, 0x66, 0x55])
            .map(|at| i64::from(at[3]) << 8 | i64::from(at[4]))
            .collect();
        assert_eq!(marks, (100..300).collect::<Vec<_>>());
        assert_eq!(setup.metrics.holes.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_ends_it_behind_a_discontinuity_and_it_begins_again() {
    type Fault = fn(i64, AccessUnit) -> Option<AccessUnit>;
    let faults: [(Break, Fault); 4] = [
        (Break::Gap, |index, unit| (!(210..214).contains(&index)).then_some(unit)),
        (Break::Gop, |index, unit| Some(AccessUnit { random_access: unit.random_access && index != 200, ..unit })),
        (Break::Bandwidth, |index, unit| {
            let bytes = if (210..260).contains(&index) { 20_000 } else { 0 };
            let padding = Bytes::from(vec![0x55; bytes]);
            Some(AccessUnit { data: [unit.data, padding].concat().into(), ..unit })
        }),
        (Break::Parameters, |index, unit| {
            let mut data = unit.data.to_vec();
            if index == 200 {
                data[7] ^= 1;
            }
            Some(AccessUnit { data: data.into(), ..unit })
        }),
    ];
    for (why, fault) in faults {
        for rungs in [&[240][..], &[240, 120]] {
            let (publisher, feed) = open_feed();
            let mut setup = setup(&Script::new([Life::Well]), rungs);
            let mut running = begin(setup.start, feed);
            publisher.pictures(800, fault).await;
            let live = setup.listed.try_recv().unwrap();
            assert_eq!(off(&setup.metrics, why), 1, "{why:?}");
            assert_eq!(setup.metrics.passed_active.get(), 1, "{why:?}");
            publisher.end(SessionEnd::Closed);
            running.join_next().await.unwrap().unwrap();
            assert_eq!(segments(&live, "240p").last().unwrap().0, 3 - hidden(&live), "{why:?}");
            in_step(&live);
            assert_eq!(setup.metrics.holes.get(), 0);
        }
    }
}

/// How many discontinuities have left the list.
fn hidden(live: &LiveBroadcast) -> u64 {
    let text = playlist(live, "240p");
    let line = text.lines().find_map(|line| line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:")).unwrap();
    line.parse().unwrap()
}

/// All lists have the same segments, as long within two frames of sound, and the same discontinuities.
fn in_step(live: &LiveBroadcast) {
    in_step_within(live, 43);
}

fn in_step_within(live: &LiveBroadcast, millis: i64) {
    let top = segments(live, "240p");
    for rendition in live.renditions.iter().skip(1) {
        let other = segments(live, rendition.name.as_str());
        assert_eq!(top.len(), other.len());
        for (one, other) in top.iter().zip(&other) {
            assert_eq!(one.0, other.0);
            assert!((one.2 - other.2).abs() <= millis, "{one:?} {other:?}");
        }
        assert_eq!(hidden(live), {
            let text = playlist(live, rendition.name.as_str());
            text.lines()
                .find_map(|line| line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:"))
                .unwrap()
                .parse::<u64>()
                .unwrap()
        });
    }
}

async fn passing(script: &Script, rungs: &[u32]) -> (OpenPublisher, Setup2) {
    let (publisher, feed) = open_feed();
    let Setup { start, mut listed, metrics, words } = setup(script, rungs);
    let running = begin(start, feed);
    publisher.pictures(260, as_it_is).await;
    let live = listed.try_recv().unwrap();
    assert_eq!(metrics.passed_active.get(), 1);
    (publisher, Setup2 { running, live, metrics, words })
}

struct Setup2 {
    running: JoinSet<BroadcastEnd>,
    live: Arc<LiveBroadcast>,
    metrics: BroadcastMetrics,
    words: mpsc::Sender<Word>,
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_stalls_or_is_taken_over_is_encoded_and_the_list_goes_on() {
    for rungs in [&[240][..], &[240, 120]] {
        let (publisher, mut run) = passing(&Script::new([Life::Well]), rungs).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!((run.metrics.passed_active.get(), off(&run.metrics, Break::Stalled)), (0, 1));
        publisher.pictures(500, as_it_is).await;
        assert_eq!(run.metrics.passed_active.get(), 1);
        let (second, feed) = open_feed();
        assert!(run.words.send(Word::Join(joins(feed, KeyRole::Primary))).await.is_ok());
        second.pictures(100, as_it_is).await;
        assert_eq!((run.metrics.passed_active.get(), off(&run.metrics, Break::Switched)), (0, 1));
        second.end(SessionEnd::Closed);
        run.running.join_next().await.unwrap().unwrap();
        in_step(&run.live);
        assert_eq!(run.metrics.holes.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_while_a_source_is_passed_through_is_replaced_by_one_that_encodes_all() {
    for rungs in [&[240][..], &[240, 120]] {
        let (publisher, mut run) = passing(&Script::new([Life::Dies(300), Life::Well]), rungs).await;
        publisher.pictures(400, as_it_is).await;
        assert_eq!((run.metrics.transcoder_restarts.get(), off(&run.metrics, Break::Restarted)), (1, 1));
        assert_eq!(run.metrics.passed_active.get(), 1, "and then it is passed through again");
        publisher.end(SessionEnd::Closed);
        run.running.join_next().await.unwrap().unwrap();
        // Of its last segment each list has what it had come to, within a part.
        in_step_within(&run.live, 342);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_worker_cannot_decode_is_not_passed_through_any_more() {
    let (publisher, mut run) = passing(&Script::new([Life::Wants(300)]), &[240, 120]).await;
    publisher.pictures(60, as_it_is).await;
    assert_eq!((run.metrics.passed_active.get(), off(&run.metrics, Break::Corrupt)), (0, 1));
    publisher.end(SessionEnd::Closed);
    run.running.join_next().await.unwrap().unwrap();
    in_step(&run.live);
}

#[tokio::test(start_paused = true)]
async fn the_backup_publisher_is_encoded_when_it_stands_in_and_passed_through_when_it_is_proved() {
    let (publisher, mut run) = passing(&Script::new([Life::Well]), &[240, 120]).await;
    let (backup, feed) = open_feed();
    assert!(run.words.send(Word::Join(joins(feed, KeyRole::Backup))).await.is_ok());
    // The primary brings nothing any more: its pictures stall first, and then the other is shown.
    backup.pictures(400, as_it_is).await;
    assert_eq!((off(&run.metrics, Break::Stalled), run.metrics.passed_active.get()), (1, 1));
    drop(publisher);
    backup.end(SessionEnd::Closed);
    run.running.join_next().await.unwrap().unwrap();
    in_step(&run.live);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_its_node_left_passes_its_publisher_through_again() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(&Script::new([Life::Slate]), &[240, 120]);
    let zero = UnixMicros::from(std::time::SystemTime::now()).plus(MediaTime(-600 * MediaTime::PER_SECOND));
    let outline = Outline {
        tracks: BOTH,
        source: Some(SIZE),
        frame_rate: FrameRate::new(25, 1),
        zero,
        coding: Coding { profile: Profile::High, level: Some(13) },
    };
    let mut running = JoinSet::new();
    let opening = Opening::Resumed { outline, epoch: 4 };
    running.spawn(broadcast::run(setup.start, opening, CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(setup.words.send(Word::Join(joins(feed, KeyRole::Primary))).await.is_ok());
    publisher.pictures(400, as_it_is).await;
    assert_eq!(setup.metrics.passed_active.get(), 1);
    publisher.end(SessionEnd::Closed);
    running.join_next().await.unwrap().unwrap();
    let live = setup.listed.try_recv().unwrap();
    in_step(&live);
    assert_eq!(setup.metrics.holes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_may_say_no() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(&Script::new([Life::Well]), &[240]);
    setup.start.grant.passthrough = false;
    let mut running = begin(setup.start, feed);
    publisher.pictures(400, as_it_is).await;
    publisher.end(SessionEnd::Closed);
    running.join_next().await.unwrap().unwrap();
    let live = setup.listed.try_recv().unwrap();
    assert!(!playlist(&live, "240p").contains("#EXT-X-DISCONTINUITY\n"));
    assert_eq!(setup.metrics.passed_turns.with_label_values(&["on", "fit"]).get(), 0);
}
