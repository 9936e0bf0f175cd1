//! Cuts: the same instants for all renditions, never over the target, nothing lost.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

mod support;

use std::sync::Arc;

use packager::segment::{Cut, Discard, Part, Segmenter};
use packager::timing::{TOLERANCE, Timing, Tracks};
use proptest::prelude::*;
use schema::ladder::{FrameRate, LatencyProfile};
use schema::{AccessUnit, MediaTime, TrackKind};
use support::{aac, picture};

const BOTH: Tracks = Tracks { video: true, audio: true };

fn timing(profile: LatencyProfile, rate: FrameRate) -> Arc<Timing> {
    Arc::new(Timing::new(profile, rate, BOTH))
}

/// Pictures on the grid, with IDRs at the first picture of each segment and at `from`.
fn pictures(timing: &Timing, from: i64, to: i64) -> Vec<AccessUnit> {
    let rate = timing.frame_rate;
    let mut last = None;
    (from..to)
        .map(|index| {
            let at = rate.time_of(index);
            let segment = at.0.div_euclid(timing.segment.0);
            let idr = last.replace(segment) != Some(segment);
            picture(at, Some(rate.time_of(index + 1) - at), idr)
        })
        .collect()
}

fn run(segmenter: &mut Segmenter, units: &[AccessUnit]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = units.iter().flat_map(|unit| segmenter.push(unit)).collect();
    cuts.extend(segmenter.finish());
    cuts
}

fn parts(cuts: &[Cut]) -> Vec<&Part> {
    cuts.iter()
        .filter_map(|cut| match cut {
            Cut::Part(part) => Some(part),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn all_renditions_cut_at_the_same_instants_and_lose_nothing(
        profile in prop::sample::select(vec![LatencyProfile::Ultra, LatencyProfile::Low, LatencyProfile::Relaxed, LatencyProfile::Classic]),
        rate in prop::sample::select(packager::frame_rate::USUAL.to_vec()),
        from in 0_i64..200,
        first_msn in 0_u64..1_000,
    ) {
        let timing = timing(profile, rate);
        let begins = rate.time_of(from);
        let video_units = pictures(&timing, from, from + 800);
        let first_sound = begins.to_ticks(48_000) / 1024;
        let audio_units: Vec<AccessUnit> = (first_sound..first_sound + 600).map(aac).collect();
        let mut video = Segmenter::new(TrackKind::Video, Arc::clone(&timing), first_msn, begins);
        let mut audio = Segmenter::new(TrackKind::Audio, Arc::clone(&timing), first_msn, begins);
        let video = run(&mut video, &video_units);
        let audio = run(&mut audio, &audio_units);
        for cuts in [&video, &audio] {
            let parts = parts(cuts);
            let skipped = timing.position(parts[0].start()).segment - timing.position(begins).segment;
            let mut expected = (first_msn + u64::try_from(skipped).unwrap(), 0);
            for (index, part) in parts.iter().enumerate() {
                if part.msn != expected.0 {
                    expected = (expected.0 + 1, 0);
                }
                prop_assert_eq!((part.msn, part.index), expected);
                expected.1 += 1;
                if let Some(target) = timing.part_target {
                    prop_assert!(part.duration() <= target);
                    let last = parts.get(index + 1).is_none_or(|next| next.msn != part.msn);
                    let short = part.duration().0 * 100 < target.0 * 85;
                    prop_assert!(!short || last || part.independent);
                }
                if let Some(next) = parts.get(index + 1) {
                    prop_assert_eq!(part.start() + part.duration(), next.start());
                }
            }
        }
        let samples: usize = parts(&video).iter().map(|part| part.samples.len()).sum();
        prop_assert_eq!(samples, video_units.len());
        // Audio parts begin at the first frame boundary at or after the video part of the same number.
        let frame = MediaTime::from_ticks(1024, 48_000);
        for part in parts(&audio).iter().skip(1) {
            let same = |other: &&&Part| (other.msn, other.index) == (part.msn, part.index);
            // Of the first segment, audio may lack the first part, and count from the second on.
            let whole = part.msn > first_msn;
            if let Some(video) = parts(&video).iter().find(same).filter(|_| whole) {
                let late = part.start() - video.start();
                prop_assert!(late + TOLERANCE >= MediaTime::ZERO && late < frame, "{late:?}");
            }
        }
        for part in parts(&video) {
            prop_assert_eq!(part.independent, part.samples[0].random_access);
            prop_assert!(part.index > 0 || part.independent);
        }
    }

    #[test]
    fn no_order_of_times_makes_a_part_too_long_or_empty(
        steps in prop::collection::vec((-200_i64..2_000, 1_i64..120, any::<bool>()), 1..200),
        video in any::<bool>(),
    ) {
        let timing = timing(LatencyProfile::Low, FrameRate::THIRTY);
        let kind = if video { TrackKind::Video } else { TrackKind::Audio };
        let mut segmenter = Segmenter::new(kind, Arc::clone(&timing), 0, MediaTime::ZERO);
        let mut at = 0;
        let units: Vec<AccessUnit> = steps.into_iter().map(|(step, length, idr)| {
            at += step;
            picture(MediaTime::from_millis(at), Some(MediaTime::from_millis(length)), idr)
        }).collect();
        let cuts = run(&mut segmenter, &units);
        let mut end = MediaTime::ZERO;
        for part in parts(&cuts) {
            prop_assert!(!part.samples.is_empty());
            prop_assert!(part.start() >= end);
            prop_assert!(Some(part.duration()) <= timing.part_target);
            prop_assert!(part.samples.iter().all(|sample| sample.end > sample.start));
            end = part.start() + part.duration();
        }
    }
}

#[test]
fn a_part_is_said_to_be_complete_with_its_last_picture() {
    let timing = timing(LatencyProfile::Low, FrameRate::THIRTY);
    let mut segmenter = Segmenter::new(TrackKind::Video, Arc::clone(&timing), 7, MediaTime::ZERO);
    let cuts: Vec<usize> = pictures(&timing, 0, 60).iter().map(|unit| segmenter.push(unit).len()).collect();
    for (index, count) in cuts.iter().enumerate() {
        let expected = match index {
            59 => 2,
            _ if index % 10 == 9 => 1,
            _ => 0,
        };
        assert_eq!(*count, expected, "picture {index}");
    }
}

#[test]
fn after_a_restart_the_next_segment_begins_with_an_idr() {
    let timing = timing(LatencyProfile::Low, FrameRate::THIRTY);
    let mut segmenter = Segmenter::new(TrackKind::Video, Arc::clone(&timing), 0, MediaTime::ZERO);
    for unit in &pictures(&timing, 0, 65) {
        segmenter.push(unit);
    }
    let cuts = segmenter.close_below(2);
    segmenter.begin_anew(MediaTime::from_millis(3_000), 2);
    assert!(matches!(cuts[..], [Cut::Part(_), Cut::SegmentEnd(1)]));
    let before = picture(MediaTime::from_millis(2_900), None, true);
    assert_eq!(segmenter.push(&before), [Cut::Discarded(Discard::BeforeStart)]);
    let not_idr = picture(MediaTime::from_millis(3_000), None, false);
    assert_eq!(segmenter.push(&not_idr), [Cut::Discarded(Discard::NotRandomAccess)]);
    assert_eq!(segmenter.push(&picture(MediaTime::from_millis(3_100), None, true)), []);
    let cuts = segmenter.finish();
    assert!(matches!(&cuts[0], Cut::Part(part) if (part.msn, part.index, part.independent) == (2, 0, true)));
}

#[test]
fn the_priming_of_an_audio_encoder_is_left_out() {
    let timing = timing(LatencyProfile::Low, FrameRate::THIRTY);
    let mut segmenter = Segmenter::new(TrackKind::Audio, timing, 0, MediaTime::ZERO);
    assert_eq!(segmenter.push(&aac(-1)), [Cut::Discarded(Discard::BeforeStart)]);
    assert_eq!(segmenter.push(&aac(0)), []);
    let cuts = segmenter.finish();
    assert!(matches!(&cuts[0], Cut::Part(part) if part.start() == MediaTime::ZERO));
}

#[test]
fn one_number_means_one_time_also_where_audio_begins_a_segment_later() {
    let timing = timing(LatencyProfile::Ultra, FrameRate::new(60_000, 1_001));
    let begins = timing.frame_rate.time_of(59);
    let mut segmenter = Segmenter::new(TrackKind::Audio, Arc::clone(&timing), 10, begins);
    let cuts = run(&mut segmenter, &(46..60).map(aac).collect::<Vec<_>>());
    assert_eq!(cuts[0], Cut::Discarded(Discard::BeforeStart));
    assert_eq!(parts(&cuts)[0].msn, 11, "the picture at 0.984 s alone is segment 10");
}

#[test]
fn a_rendition_that_alone_reached_the_next_segment_drops_it_at_a_restart() {
    let timing = timing(LatencyProfile::Low, FrameRate::THIRTY);
    let mut video = Segmenter::new(TrackKind::Video, Arc::clone(&timing), 4, MediaTime::ZERO);
    let mut audio = Segmenter::new(TrackKind::Audio, Arc::clone(&timing), 4, MediaTime::ZERO);
    // Two pictures beyond the segment of 2 s; the sound has not come so far.
    let mut shown: Vec<Cut> = pictures(&timing, 0, 62).iter().flat_map(|unit| video.push(unit)).collect();
    for index in 0..90 {
        shown.extend(audio.push(&aac(index)));
    }
    let start = MediaTime::from_millis(2_333);
    let dropped = video.close_below(5);
    let closed = audio.close_below(5);
    video.begin_anew(start, 5);
    assert_eq!(dropped, [], "nothing of segment 5 was put out");
    assert_eq!(closed.last(), Some(&Cut::SegmentEnd(4)));
    for unit in &pictures(&timing, 70, 120) {
        shown.extend(video.push(unit));
    }
    assert_eq!(parts(&shown).last().map(|part| part.msn), Some(5));
}
