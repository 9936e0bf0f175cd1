//! A worker that is told to give something up, and to take it back: what comes out stays one stream.
#![cfg(feature = "ffmpeg")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the helpers of tests fail as tests do

mod support;

use packager_transcode::wire::{Input, Origin, Output, Plan, Step, Turn};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec, MediaTime};
use support::{assert_on_grid, feed, keys, pattern, pictures, plan, rendition, run_inputs, video};

/// The parameter sets before each IDR.
fn parameter_sets(units: &[AccessUnit]) -> Vec<Vec<u8>> {
    let sets = |unit: &AccessUnit| {
        let idr = unit.data.windows(4).position(|window| window[..3] == [0, 0, 1] && window[3] & 0x1f == 5).unwrap();
        let of_set = |nal: &&[u8]| nal.first().is_some_and(|header| matches!(header & 0x1f, 7 | 8));
        let before = &unit.data[..idr];
        let starts: Vec<usize> =
            (0..before.len().saturating_sub(2)).filter(|&at| before[at..at + 3] == [0, 0, 1]).collect();
        let nals = starts
            .iter()
            .enumerate()
            .map(|(index, &at)| &before[at + 3..starts.get(index + 1).copied().unwrap_or(before.len())]);
        nals.filter(of_set)
            .flat_map(|nal| nal.iter().copied().rev().skip_while(|&byte| byte == 0).collect::<Vec<_>>())
            .collect()
    };
    units.iter().filter(|unit| unit.random_access).map(sets).collect()
}

/// The test broadcast's pictures, with these orders where they stand, by media time in milliseconds.
fn ordered(end: i64, orders: &[(i64, u8, Step)]) -> Vec<Input> {
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(end));
    let mut orders = orders.iter().copied().peekable();
    let mut inputs = Vec::new();
    for unit in units {
        while let Some((_, rendition, step)) = orders.next_if(|(at, ..)| MediaTime::from_millis(*at) <= unit.pts) {
            inputs.push(Input::Pace { rendition, step });
        }
        inputs.push(Input::Unit(unit));
    }
    inputs
}

fn told(plan: Plan, end: i64, orders: &[(i64, u8, Step)]) -> Vec<Output> {
    let (messages, result) = run_inputs(plan, ordered(end, orders));
    result.unwrap();
    messages
}

fn paced(messages: &[Output], number: u8) -> Vec<(i64, Step)> {
    let of = |message: &Output| match message {
        Output::Paced { rendition, step, at } if *rendition == number => Some((at.to_millis(), *step)),
        _ => None,
    };
    messages.iter().filter_map(of).collect()
}

fn bytes(units: &[AccessUnit]) -> usize {
    units.iter().map(|unit| unit.data.len()).sum()
}

#[test]
fn cheaper_presets_change_at_an_idr_and_leave_the_parameter_sets_byte_for_byte() {
    for (width, height, threads) in [(320, 180, 1), (1280, 720, 2)] {
        let mut plan = plan(FrameRate::THIRTY);
        plan.video = vec![video(0, width, height), video(1, 160, 90)];
        plan.video[0].threads = threads;
        let orders = [(300, 0, Step::Faster), (1_300, 0, Step::Fastest), (2_300, 0, Step::Whole)];
        let messages = told(plan, 4_000, &orders);
        let large = rendition(&messages, 0);
        assert_on_grid(&large, FrameRate::THIRTY, 0);
        assert_eq!(large.len(), 120);
        assert_eq!(keys(&large), [0, 30, 60, 90].map(|slot| FrameRate::THIRTY.time_of(slot)));
        let sets = parameter_sets(&large);
        assert!(sets[0].len() > 20 && sets.iter().all(|other| *other == sets[0]), "{sets:?}");
        assert_eq!(paced(&messages, 0), [(1_000, Step::Faster), (2_000, Step::Fastest), (3_000, Step::Whole)]);
        assert!(paced(&messages, 1).is_empty());
        assert_eq!(pictures(&large).len(), 120, "it decodes through every change");
        assert!(messages.iter().all(|message| !matches!(message, Output::PresetKept { .. })));
    }
}

#[test]
fn a_cheaper_preset_with_other_parameter_sets_is_not_used() {
    let mut plan = plan(FrameRate::THIRTY);
    // Three reference pictures instead of one.
    plan.preset = "medium".to_owned();
    let messages = told(plan, 3_000, &[(300, 0, Step::Faster), (1_300, 0, Step::HalfRate)]);
    let large = rendition(&messages, 0);
    let sets = parameter_sets(&large);
    assert!(sets.len() == 3 && sets.iter().all(|other| *other == sets[0]), "{sets:?}");
    assert_on_grid(&large[..60], FrameRate::THIRTY, 0);
    assert_eq!(large.len(), 75, "half the rate needs no other preset");
    let kept = messages.iter().filter(|message| **message == Output::PresetKept { rendition: 0 }).count();
    assert_eq!(kept, 1, "it is told once");
    assert_eq!(pictures(&large).len(), 75);
}

#[test]
fn at_half_the_rate_each_part_begins_with_a_picture_and_the_others_last_twice_as_long() {
    for (rate, part_frames) in [(FrameRate::THIRTY, 10), (FrameRate::new(25, 1), 5), (FrameRate::new(30_000, 1001), 7)]
    {
        let mut plan = plan(rate);
        plan.part_frames = part_frames;
        let units = feed(pattern(320, 180, rate), MediaTime::from_millis(3_050));
        let order = Input::Pace { rendition: 0, step: Step::HalfRate };
        let back = Input::Pace { rendition: 0, step: Step::Whole };
        let split = units.iter().position(|unit| unit.pts > MediaTime::from_millis(1_500)).unwrap();
        let inputs = std::iter::once(order)
            .chain(units[..split].iter().cloned().map(Input::Unit))
            .chain([back])
            .chain(units[split..].iter().cloned().map(Input::Unit));
        let (messages, result) = run_inputs(plan, inputs);
        result.unwrap();
        let large = rendition(&messages, 0);
        assert_on_grid(&rendition(&messages, 1), rate, 0);
        let mut end = MediaTime::ZERO;
        for unit in &large {
            assert_eq!(unit.pts, end, "no hole and no overlap");
            end = unit.pts + unit.duration.unwrap();
        }
        let per_second = (0..).find(|&slot| rate.time_of(slot) >= MediaTime::SECOND).unwrap();
        let begins: Vec<MediaTime> =
            (0..per_second).step_by(part_frames as usize).map(|slot| rate.time_of(slot)).collect();
        assert!(begins.iter().all(|begin| large.iter().any(|unit| unit.pts == *begin)), "{rate:?}");
        let halved = large.iter().filter(|unit| unit.pts < MediaTime::from_millis(2_000)).count();
        let whole = rendition(&messages, 1).iter().filter(|unit| unit.pts < MediaTime::from_millis(2_000)).count();
        assert!(halved * 10 <= whole * 6 && halved * 2 >= whole, "{rate:?}: {halved} of {whole}");
        assert_eq!(keys(&large), keys(&rendition(&messages, 1)));
        assert_eq!(pictures(&large).len(), large.len());
        assert!(bytes(&large) > 0);
    }
}

#[test]
fn a_rendition_that_rests_ends_at_an_idr_and_begins_again_at_one() {
    let orders = [(300, 0, Step::LowerRung), (2_300, 0, Step::HalfRate)];
    let messages = told(plan(FrameRate::THIRTY), 4_000, &orders);
    let large = rendition(&messages, 0);
    assert_on_grid(&rendition(&messages, 1), FrameRate::THIRTY, 0);
    assert_on_grid(&large[..30], FrameRate::THIRTY, 0);
    let after: Vec<_> = large[30..].to_vec();
    assert_eq!((after.len(), after[0].pts, after[0].random_access), (15, MediaTime::from_millis(3_000), true));
    let sets = parameter_sets(&large);
    assert!(sets.len() == 2 && sets[0] == sets[1], "{sets:?}");
    assert_eq!(paced(&messages, 0), [(1_000, Step::LowerRung), (3_000, Step::HalfRate)]);
    let turns = messages.iter().enumerate().filter_map(|(index, message)| match message {
        Output::Turn(turn) => Some((index, turn.clone())),
        _ => None,
    });
    let turns: Vec<(usize, Turn)> = turns.collect();
    let turn = |at, origin| Turn { at: MediaTime::from_millis(at), origins: vec![(0, origin)], law: None };
    let told: Vec<&Turn> = turns.iter().map(|(_, turn)| turn).collect();
    assert_eq!(told, [&turn(1_000, Origin::Rendition(1)), &turn(3_000, Origin::Own)]);
    for (index, turn) in &turns {
        let early = |message: &Output| matches!(message, Output::Encoded { unit, .. } if unit.codec == Codec::H264 && unit.pts >= turn.at);
        assert!(!messages[..*index].iter().any(early), "a turn is told before any picture of its time");
    }
    let first_rest = messages.iter().position(|message| matches!(message, Output::Paced { .. })).unwrap();
    let last_whole = messages
        .iter()
        .rposition(|message| matches!(message, Output::Encoded { rendition: 0, unit } if unit.pts < MediaTime::SECOND));
    assert!(last_whole.unwrap() < first_rest, "it is told after the last picture and before the next");
}

#[test]
fn what_is_told_of_no_rendition_or_before_the_first_picture_does_no_harm() {
    let orders = [(0, 7, Step::LowerRung), (0, 0, Step::HalfRate)];
    let messages = told(plan(FrameRate::THIRTY), 2_000, &orders);
    assert_eq!(rendition(&messages, 0).len(), 30);
    assert_eq!(rendition(&messages, 1).len(), 60);
    assert_eq!(paced(&messages, 0), [(0, Step::HalfRate)]);
    assert!(messages.iter().all(|message| !matches!(message, Output::Discarded { .. })));
    let heard = |message: &Output| matches!(message, Output::Encoded { unit, .. } if unit.codec == Codec::Aac);
    assert!(messages.iter().any(heard));
}
