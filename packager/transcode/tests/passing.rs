//! A worker whose largest rendition is passed through for a while.
#![cfg(feature = "ffmpeg")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the helpers of tests fail as tests do

mod support;

use packager_transcode::wire::{Coding, Input, Output, Plan, Profile};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec, MediaTime};
use support::{AUDIO, assert_on_grid, discarded, feed, keys, pattern, pictures, plan, rendition, run_inputs, video};

const RATE: FrameRate = FrameRate::THIRTY;

fn slot(number: i64) -> MediaTime {
    RATE.time_of(number)
}

/// The test broadcast, its keyframes every 15 slots, passed through in `passed`; `drop` leaves pictures out.
fn through(plan: Plan, passed: std::ops::Range<i64>, drop: impl Fn(&AccessUnit) -> bool) -> Vec<Output> {
    let units = feed(pattern(320, 180, RATE), slot(120));
    let mut inputs = Vec::new();
    let (mut on, mut off) = (false, false);
    for unit in units {
        if unit.codec == Codec::H264 && unit.pts >= slot(passed.start) && !std::mem::replace(&mut on, true) {
            inputs.push(Input::Pass { at: slot(passed.start) });
        }
        if unit.codec == Codec::H264 && unit.pts >= slot(passed.end) && !std::mem::replace(&mut off, true) {
            inputs.push(Input::Encode { at: slot(passed.end) });
        }
        if !drop(&unit) {
            inputs.push(Input::Unit(unit));
        }
    }
    let (messages, result) = run_inputs(plan, inputs);
    result.unwrap();
    assert_eq!(discarded(&messages, "corrupt"), 0);
    messages
}

#[test]
fn the_largest_is_not_encoded_and_the_others_have_their_idrs_where_the_source_has_its_keyframes() {
    let messages = through(plan(RATE), 45..100, |_| false);
    let (top, other) = (rendition(&messages, 0), rendition(&messages, 1));
    assert_on_grid(&other, RATE, 0);
    assert_eq!(other.len(), 120);
    assert_eq!(keys(&other), [0, 30, 45, 60, 75, 90, 100].map(slot));
    assert_on_grid(&top[..45], RATE, 0);
    assert_on_grid(&top[45..], RATE, 100);
    assert_eq!((top.len(), keys(&top)), (65, vec![slot(0), slot(30), slot(100)]));
    assert!(!rendition(&messages, AUDIO).is_empty());
    assert_eq!(pictures(&top).len(), 65, "all can be decoded");
    assert_eq!(pictures(&other).len(), 120);
}

#[test]
fn a_picture_that_is_missing_is_repeated_up_to_the_turn() {
    let missing = [44, 50, 99].map(slot);
    let messages = through(plan(RATE), 45..100, |unit| unit.codec == Codec::H264 && missing.contains(&unit.pts));
    let (top, other) = (rendition(&messages, 0), rendition(&messages, 1));
    assert_on_grid(&other, RATE, 0);
    assert_eq!((top.len(), other.len()), (65, 120));
    assert_eq!(keys(&other), [0, 30, 45, 60, 75, 90, 100].map(slot));
}

#[test]
fn a_single_rendition_goes_on_from_the_pictures_since_the_last_keyframe() {
    let plan = || Plan { video: vec![video(0, 320, 180)], ..plan(RATE) };
    // While it is passed through it gets one keyframe; then what came since the last one, at once.
    let units: Vec<AccessUnit> =
        feed(pattern(320, 180, RATE), slot(120)).into_iter().filter(|unit| unit.codec == Codec::H264).collect();
    let mut inputs: Vec<Input> = units[..45].iter().cloned().map(Input::Unit).collect();
    inputs.push(Input::Pass { at: slot(45) });
    inputs.push(Input::Unit(units[45].clone()));
    inputs.push(Input::Encode { at: slot(100) });
    inputs.extend(units[90..].iter().cloned().map(Input::Unit));
    let (messages, result) = run_inputs(plan(), inputs);
    result.unwrap();
    let top = rendition(&messages, 0);
    assert_on_grid(&top[..45], RATE, 0);
    assert_on_grid(&top[45..], RATE, 100);
    assert_eq!((top.len(), keys(&top)), (65, vec![slot(0), slot(30), slot(100)]));
    assert_eq!((discarded(&messages, "corrupt"), discarded(&messages, "before_keyframe")), (0, 0));
    // The first picture after the turn is the source's hundredth, and not one of the past.
    let (shown, sent) = (pictures(&top), pictures(&units));
    let luma =
        |pictures: &[(MediaTime, (u32, u32), u64)], at: i64| pictures.iter().find(|one| one.0 == slot(at)).unwrap().2;
    assert!(luma(&shown, 100).abs_diff(luma(&sent, 100)) <= 1, "{} {}", luma(&shown, 100), luma(&sent, 100));
}

#[test]
fn an_encoder_writes_the_profile_and_level_that_it_is_given() {
    for (profile, bytes) in [(Profile::Baseline, [66, 0xc0]), (Profile::Main, [77, 0x40]), (Profile::High, [100, 0])] {
        let mut top = video(0, 320, 180);
        top.coding = Coding { profile, level: Some(31) };
        let plan = Plan { video: vec![top], audio: None, ..plan(RATE) };
        let units = feed(pattern(320, 180, RATE), slot(10)).into_iter().filter(|unit| unit.codec == Codec::H264);
        let (messages, result) = run_inputs(plan, units.map(Input::Unit));
        result.unwrap();
        let first = &rendition(&messages, 0)[0];
        let at = first.data.windows(4).position(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 7).unwrap();
        assert_eq!(first.data[at + 4..at + 7], [bytes[0], bytes[1], 31]);
    }
}
