//! A worker that is run to its end, and what is looked at in its output.
#![allow(dead_code)] // each test binary uses a part of it

use ffmpeg_next as ffmpeg;
use ffmpeg_next::{decoder, frame};
use packager_transcode::pattern::{Pattern, PatternConfig};
use packager_transcode::wire::{self, AudioPlan, Coding, Input, Output, Plan, VideoPlan};
use packager_transcode::worker::{self, WorkerError};
use schema::ladder::FrameRate;
use schema::{AccessUnit, MediaTime};

pub(crate) const AUDIO: u8 = 9;

pub(crate) fn pattern(width: u32, height: u32, frame_rate: FrameRate) -> Pattern {
    Pattern::new(PatternConfig {
        width,
        height,
        frame_rate,
        video_bitrate: 1_000_000,
        keyframe_interval: MediaTime::from_millis(500),
    })
    .unwrap()
}

/// The units of a test broadcast up to `end`.
pub(crate) fn feed(mut pattern: Pattern, end: MediaTime) -> Vec<AccessUnit> {
    std::iter::repeat_with(|| pattern.next().unwrap()).take_while(|unit| unit.pts < end).collect()
}

pub(crate) fn video(rendition: u8, width: u32, height: u32) -> VideoPlan {
    VideoPlan {
        rendition,
        width,
        height,
        bitrate: 500_000,
        bitrate_max: 600_000,
        buffer_ms: 1000,
        threads: 1,
        coding: Coding::default(),
    }
}

pub(crate) fn plan(frame_rate: FrameRate) -> Plan {
    Plan {
        start: MediaTime::ZERO,
        video: vec![video(0, 320, 180), video(1, 160, 90)],
        frame_rate,
        keyframe_interval: MediaTime::SECOND,
        part_frames: 10,
        audio: Some(AudioPlan { rendition: AUDIO, bitrate: 128_000 }),
        thumbnail: None,
        encoder: "libx264".to_owned(),
        preset: "veryfast".to_owned(),
    }
}

pub(crate) fn run(plan: Plan, units: impl IntoIterator<Item = AccessUnit>) -> (Vec<Output>, Result<(), WorkerError>) {
    run_inputs(plan, units.into_iter().map(Input::Unit))
}

pub(crate) fn run_inputs(
    plan: Plan,
    inputs: impl IntoIterator<Item = Input>,
) -> (Vec<Output>, Result<(), WorkerError>) {
    let mut input = Vec::new();
    for message in std::iter::once(Input::Start(plan)).chain(inputs).chain([Input::Finish]) {
        wire::write(&mut input, &message).unwrap();
    }
    let mut output = Vec::new();
    let result = worker::run(input.as_slice(), &mut output);
    let mut output = output.as_slice();
    let messages = std::iter::from_fn(|| wire::read(&mut output).unwrap()).collect();
    (messages, result)
}

/// Runs a worker that must end well.
pub(crate) fn transcode(plan: Plan, units: impl IntoIterator<Item = AccessUnit>) -> Vec<Output> {
    let (messages, result) = run(plan, units);
    result.unwrap();
    assert_eq!(messages.last(), Some(&Output::Finished));
    messages
}

pub(crate) fn rendition(messages: &[Output], number: u8) -> Vec<AccessUnit> {
    let of = |message: &Output| match message {
        Output::Encoded { rendition, unit } if *rendition == number => Some(unit.clone()),
        _ => None,
    };
    messages.iter().filter_map(of).collect()
}

pub(crate) fn discarded(messages: &[Output], reason: &str) -> usize {
    let is = |message: &&Output| matches!(message, Output::Discarded { reason: r } if r == reason);
    messages.iter().filter(is).count()
}

pub(crate) fn keys(units: &[AccessUnit]) -> Vec<MediaTime> {
    let key = |unit: &&AccessUnit| unit.random_access;
    units.iter().filter(key).map(|unit| unit.pts).collect()
}

/// Every unit at its own slot, none missing, with the slot's length.
pub(crate) fn assert_on_grid(units: &[AccessUnit], rate: FrameRate, from: i64) {
    assert!(!units.is_empty());
    for (slot, unit) in (from..).zip(units) {
        assert_eq!((unit.pts, unit.dts), (rate.time_of(slot), rate.time_of(slot)));
        assert_eq!(unit.duration, Some(rate.time_of(slot + 1) - rate.time_of(slot)));
    }
}

fn h264_decoder() -> decoder::Video {
    let codec = decoder::find(ffmpeg::codec::Id::H264).unwrap();
    let context = ffmpeg::codec::Context::new_with_codec(codec);
    context.decoder().video().unwrap()
}

/// Time, size and mean luma of each decoded picture.
pub(crate) fn pictures(units: &[AccessUnit]) -> Vec<(MediaTime, (u32, u32), u64)> {
    let mut decoder = h264_decoder();
    let mut pictures = Vec::new();
    for unit in units {
        let mut packet = ffmpeg::Packet::copy(&unit.data);
        packet.set_pts(Some(unit.pts.0));
        decoder.send_packet(&packet).unwrap();
        let mut picture = frame::Video::empty();
        while decoder.receive_frame(&mut picture).is_ok() {
            let size = (picture.width(), picture.height());
            let rows = picture.data(0).chunks(picture.stride(0));
            let luma = rows.map(|row| row[..picture.width() as usize].iter().map(|y| u64::from(*y)).sum::<u64>());
            let mean = luma.sum::<u64>() / u64::from(size.0 * size.1);
            pictures.push((MediaTime(picture.pts().unwrap()), size, mean));
        }
    }
    assert_eq!(pictures.len(), units.len(), "every unit gives its picture at once");
    pictures
}
