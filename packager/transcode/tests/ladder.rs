//! A whole worker, fed with the test broadcast: what comes out, and what it makes of broken input.
#![cfg(feature = "ffmpeg")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::sample::{Sample, Type};
use ffmpeg_next::{decoder, frame};
use packager_transcode::process::{Worker, WorkerCommand, WorkerEnd};
use packager_transcode::wire::{self, Input, Output, Plan};
use packager_transcode::worker::{self, WorkerError};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec, MediaTime};
use support::{
    AUDIO, assert_on_grid, discarded, feed, keys, pattern, pictures, plan, rendition, run, transcode, video,
};

/// The types of the NAL units of an Annex B access unit.
fn nal_types(data: &[u8]) -> Vec<u8> {
    let start = |window: &(usize, &[u8])| window.1[..3] == [0, 0, 1];
    data.windows(4).enumerate().filter(start).map(|(_, window)| window[3] & 0x1f).collect()
}

/// The left channel, with the time of its first sample.
fn samples(units: &[AccessUnit]) -> (MediaTime, Vec<f32>) {
    let codec = decoder::find(ffmpeg::codec::Id::AAC).unwrap();
    // ADTS in place of the AudioSpecificConfig: AAC-LC, 48 kHz, stereo.
    let mut decoder = ffmpeg::codec::Context::new_with_codec(codec).decoder().audio().unwrap();
    let mut left = Vec::new();
    for unit in units {
        let length = u16::try_from(unit.data.len() + 7).unwrap();
        let mut data = vec![
            0xff,
            0xf1,
            0x4c,
            0x80 | (length >> 11) as u8,
            (length >> 3) as u8,
            ((length & 7) << 5) as u8 | 0x1f,
            0xfc,
        ];
        data.extend_from_slice(&unit.data);
        decoder.send_packet(&ffmpeg::Packet::copy(&data)).unwrap();
        let mut block = frame::Audio::empty();
        while decoder.receive_frame(&mut block).is_ok() {
            assert_eq!(block.format(), Sample::F32(Type::Planar));
            left.extend_from_slice(block.plane::<f32>(0));
        }
    }
    (units[0].pts, left)
}

#[test]
fn all_renditions_lie_on_the_grid_with_their_idrs_at_the_same_times() {
    for rate in [FrameRate::THIRTY, FrameRate::new(30_000, 1001)] {
        let messages = transcode(plan(rate), feed(pattern(320, 180, rate), MediaTime::from_millis(3_200)));
        let large = rendition(&messages, 0);
        assert_on_grid(&large, rate, 0);
        assert_on_grid(&rendition(&messages, 1), rate, 0);
        assert_eq!(keys(&large), [0, 30, 60, 90].map(|slot| rate.time_of(slot)));
        assert_eq!(keys(&large), keys(&rendition(&messages, 1)));
        for unit in &large {
            let types = nal_types(&unit.data);
            assert_eq!(types.contains(&7) && types.contains(&8) && types.contains(&5), unit.random_access, "{types:?}");
        }
    }
}

#[test]
fn another_source_rate_is_brought_to_the_grid() {
    for (source, repeated, skipped) in [(FrameRate::new(60, 1), false, true), (FrameRate::new(15, 1), true, false)] {
        let units = feed(pattern(320, 180, source), MediaTime::from_millis(2_500));
        let messages = transcode(plan(FrameRate::THIRTY), units);
        let units = rendition(&messages, 0);
        assert_on_grid(&units, FrameRate::THIRTY, 0);
        assert!((73..=76).contains(&units.len()), "{}", units.len());
        let statistics = statistics(&messages);
        assert_eq!(
            (statistics.pictures_repeated > 25, statistics.pictures_skipped > 25),
            (repeated, skipped),
            "{statistics:?}"
        );
        assert!(statistics.pictures_decoded > 0 && statistics.pictures_encoded > 0 && statistics.busy_us > 0);
    }
}

fn statistics(messages: &[Output]) -> wire::Statistics {
    let last = |message: &Output| match message {
        Output::Statistics(statistics) => Some(*statistics),
        _ => None,
    };
    messages.iter().rev().find_map(last).unwrap()
}

#[test]
fn every_usual_rate_has_a_grid_on_which_each_picture_has_its_place() {
    for (numerator, denominator) in [(24_000, 1_001), (25, 1), (30_000, 1_001), (50, 1), (60_000, 1_001), (60, 1)] {
        let rate = FrameRate::new(numerator, denominator);
        let units = feed(pattern(160, 90, rate), MediaTime::from_millis(2_100));
        let pictures = units.iter().filter(|unit| unit.codec == Codec::H264).count();
        let messages = transcode(plan(rate), units);
        let large = rendition(&messages, 0);
        assert_on_grid(&large, rate, 0);
        assert_eq!(large.len(), pictures, "{rate:?}");
        let first_of =
            |second: i64| (0..).map(|slot| rate.time_of(slot)).find(|at| at.0 >= second * MediaTime::PER_SECOND);
        assert_eq!(keys(&large), [0, 1, 2].map(|second| first_of(second).unwrap()), "{rate:?}");
        let statistics = statistics(&messages);
        assert_eq!((statistics.pictures_repeated, statistics.pictures_skipped), (0, 0), "{rate:?}");
    }
}

#[test]
fn a_picture_a_second_is_held_in_between_and_is_no_outage() {
    let slides = feed(pattern(320, 180, FrameRate::new(1, 1)), MediaTime::from_millis(6_500));
    let mut inputs: Vec<(MediaTime, Input)> = slides.into_iter().map(|unit| (unit.pts, Input::Unit(unit))).collect();
    inputs.extend((1..=130).map(|tick| {
        let now = MediaTime::from_millis(tick * 50);
        (now, Input::Clock { video: now, audio: now })
    }));
    inputs.sort_by_key(|(at, _)| *at);
    let (messages, result) = support::run_inputs(plan(FrameRate::THIRTY), inputs.into_iter().map(|(_, input)| input));
    result.unwrap();
    let large = rendition(&messages, 0);
    assert_on_grid(&large, FrameRate::THIRTY, 0);
    assert!((185..=196).contains(&large.len()), "{}", large.len());
    assert_eq!(statistics(&messages).pictures_slate, 0);
    let white = |picture: &&(MediaTime, (u32, u32), u64)| picture.2 > 220;
    let shown = pictures(&large);
    let flashes = shown.iter().filter(white).count();
    assert!(flashes * 10 > shown.len() * 9, "each of its pictures is a flash, and is held: {flashes}");
}

#[test]
fn a_variable_frame_rate_is_brought_to_the_grid_in_order_and_in_time() {
    let intervals = [12, 70, 33, 20, 100, 8, 45, 33, 61, 17];
    let mut at = 0;
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(2_000));
    units.retain(|unit| unit.codec == Codec::H264);
    for (unit, interval) in units.iter_mut().zip(intervals.into_iter().cycle()) {
        (unit.pts, unit.dts) = (MediaTime::from_millis(at), MediaTime::from_millis(at));
        at += interval;
    }
    let whites = |units: &[AccessUnit], offset: usize| units[offset].pts;
    let second_flash = whites(&units, 30);
    let last = units.last().unwrap().pts;
    let messages = transcode(plan(FrameRate::THIRTY), units);
    let large = rendition(&messages, 0);
    assert_on_grid(&large, FrameRate::THIRTY, 0);
    let end = large.last().unwrap().pts;
    assert!((end - last).abs() <= FrameRate::THIRTY.frame(), "{end:?} against {last:?}");
    let white = |picture: &&(MediaTime, (u32, u32), u64)| picture.2 > 220;
    let flashes: Vec<MediaTime> = pictures(&large).iter().filter(white).map(|picture| picture.0).collect();
    assert!(flashes.iter().any(|flash| (*flash - second_flash).abs() <= FrameRate::THIRTY.frame()), "{flashes:?}");
}

#[test]
fn audio_is_gapless_from_the_start_whatever_is_missing_or_late() {
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(3_000));
    let gone = |unit: &AccessUnit| unit.pts > MediaTime::from_millis(1_300) && unit.pts < MediaTime::from_millis(1_700);
    units.retain(|unit| unit.codec == Codec::H264 || !gone(unit) && unit.pts > MediaTime::from_millis(100));
    let late = AccessUnit {
        pts: MediaTime::from_millis(400),
        ..units.iter().rfind(|unit| unit.codec == Codec::Opus).unwrap().clone()
    };
    units.push(late);
    let mut plan = plan(FrameRate::THIRTY);
    plan.start = MediaTime::from_millis(40);
    let messages = transcode(plan, units);
    let config = messages.iter().position(|message| matches!(message, Output::AudioConfig { rendition: AUDIO, config } if config.starts_with(&[0x11, 0x90])));
    let first = messages.iter().position(|message| matches!(message, Output::Encoded { rendition: AUDIO, .. }));
    assert!(config.unwrap() < first.unwrap());
    let audio = rendition(&messages, AUDIO);
    let unit = MediaTime::from_ticks(1024, 48_000);
    for (index, audio) in (0..).zip(&audio) {
        assert_eq!(audio.pts, MediaTime::from_millis(40) + MediaTime(index * unit.0));
        assert_eq!(audio.duration, Some(unit));
    }
    let end = audio.last().unwrap().pts + unit;
    assert!(end >= MediaTime::from_millis(3_000) && end < MediaTime::from_millis(3_060), "{end:?}");
    assert_eq!(discarded(&messages, "late"), 1);
    assert_eq!(samples(&audio).1.len(), audio.len() * 1024);
    assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 2);
}

#[test]
fn flash_and_beep_stay_together() {
    flashes_and_beeps(feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(3_500)));
}

#[test]
fn they_stay_together_where_the_publisher_sends_next_to_nothing_during_silence() {
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(3_500));
    let before = units.len();
    // Opus in its discontinuous mode: one unit in 400 ms while nothing is heard.
    units.retain(|unit| {
        let millis = unit.pts.to_millis() % 1_000;
        unit.codec == Codec::H264 || !(120..940).contains(&millis) || (millis / 20) % 20 == 0
    });
    assert!(before - units.len() > 100);
    flashes_and_beeps(units);
}

fn flashes_and_beeps(units: Vec<AccessUnit>) {
    let messages = transcode(plan(FrameRate::THIRTY), units);
    let (start, samples) = samples(&rendition(&messages, AUDIO));
    for number in [0, 1] {
        let white = |picture: &&(MediaTime, (u32, u32), u64)| picture.2 > 220;
        let flashes: Vec<_> =
            pictures(&rendition(&messages, number)).iter().filter(white).map(|picture| picture.0).collect();
        assert_eq!(flashes, [0, 1, 2, 3].map(|second| MediaTime(second * MediaTime::PER_SECOND)), "rendition {number}");
    }
    for second in [1, 2, 3] {
        let around = (second * 48_000 - 9_600 - start.to_ticks(48_000)) as usize;
        let onset = samples[around..around + 19_200].iter().position(|sample| sample.abs() > 0.1).unwrap();
        let late_ms = (onset as f64 - 9_600.0) / 48.0;
        assert!(late_ms.abs() < 2.0, "the beep of second {second} is {late_ms} ms late");
    }
}

#[test]
fn a_truncated_unit_is_discarded_and_the_rest_recovers_at_the_next_keyframe() {
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(2_200));
    let video = |(_, unit): &(usize, &AccessUnit)| unit.codec == Codec::H264;
    // The sixth of 15 pictures in its GOP: nine follow that cannot be shown either.
    let (broken, _) = units.iter().enumerate().filter(video).nth(20).unwrap();
    let half = units[broken].data.len() / 2;
    units[broken].data = units[broken].data.slice(..half);
    let messages = transcode(plan(FrameRate::THIRTY), units);
    assert_eq!(discarded(&messages, "corrupt"), 1);
    assert_eq!(discarded(&messages, "before_keyframe"), 9);
    assert_eq!(messages.iter().filter(|message| **message == Output::KeyframeWanted).count(), 1);
    let large = rendition(&messages, 0);
    assert_on_grid(&large, FrameRate::THIRTY, 0);
    assert_eq!(large.len(), 66, "the hole is filled");
    let pictures = pictures(&large);
    assert!(pictures[30].2 > 220, "the flash after it is there");
}

#[test]
fn a_cut_anywhere_in_a_picture_is_noticed() {
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(400));
    let videos: Vec<_> = units.into_iter().filter(|unit| unit.codec == Codec::H264).collect();
    for tenths in 1..10 {
        let mut units = videos.clone();
        let length = units[8].data.len() * tenths / 10;
        units[8].data = units[8].data.slice(..length);
        let messages = transcode(plan(FrameRate::THIRTY), units);
        assert_eq!(discarded(&messages, "corrupt"), 1, "{length} bytes left");
        assert_eq!(rendition(&messages, 0).len(), 8, "{length} bytes left");
    }
}

#[test]
fn the_level_fits_the_size_and_the_frame_rate() {
    let level = |width, height, rate| {
        let mut plan = plan(rate);
        (plan.video, plan.audio) = (vec![video(0, width, height)], None);
        let units = feed(pattern(320, 180, rate), MediaTime::from_millis(50));
        let unit = rendition(&transcode(plan, units), 0).remove(0);
        let sps = unit.data.windows(4).position(|window| window == [0, 0, 1, 0x67]).unwrap() + 4;
        (unit.data[sps], unit.data[sps + 2])
    };
    // High, at the lowest level of ITU-T H.264 table A-1 that has the macroblocks per second.
    assert_eq!(level(640, 360, FrameRate::THIRTY), (100, 30));
    assert_eq!(level(1280, 720, FrameRate::THIRTY), (100, 31));
    assert_eq!(level(1920, 1080, FrameRate::THIRTY), (100, 40));
    assert_eq!(level(1920, 1080, FrameRate::new(60, 1)), (100, 42));
}

#[test]
fn a_feed_that_starts_within_a_gop_shows_its_first_keyframe_from_the_start_on() {
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(1_800));
    units.retain(|unit| unit.codec == Codec::H264);
    let messages = transcode(plan(FrameRate::THIRTY), units.split_off(3));
    assert_eq!(discarded(&messages, "before_keyframe"), 12);
    let large = rendition(&messages, 0);
    assert_on_grid(&large, FrameRate::THIRTY, 0);
    assert_eq!(keys(&large), [0, 30].map(|slot| FrameRate::THIRTY.time_of(slot)));
}

#[test]
fn a_change_of_resolution_leaves_the_output_as_it_was() {
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND);
    let second = feed(pattern(240, 240, FrameRate::THIRTY), MediaTime::from_millis(2_000));
    units.extend(second.into_iter().filter(|unit| unit.pts >= MediaTime::SECOND));
    let messages = transcode(plan(FrameRate::THIRTY), units);
    let size = |message: &Output| match message {
        Output::SourceSize { width, height } => Some((*width, *height)),
        _ => None,
    };
    let sizes: Vec<_> = messages.iter().filter_map(size).collect();
    assert_eq!(sizes, [(320, 180), (240, 240)]);
    for (number, expected) in [(0, (320, 180)), (1, (160, 90))] {
        let units = rendition(&messages, number);
        assert_on_grid(&units, FrameRate::THIRTY, 0);
        let pictures = pictures(&units);
        assert_eq!(pictures.len(), 60);
        assert!(pictures.iter().all(|picture| picture.1 == expected));
    }
}

/// The clock's word every 50 ms from `from` to `to`, in milliseconds, for a feed that brings nothing.
fn clock(from: i64, to: i64) -> impl Iterator<Item = Input> {
    let at = |millis| Input::Clock { video: MediaTime::from_millis(millis), audio: MediaTime::from_millis(millis) };
    (from..=to).step_by(50).map(at)
}

/// A publisher's second, that many milliseconds late on the broadcast's clock.
fn second_at(millis: i64) -> impl Iterator<Item = Input> {
    let late = move |mut unit: AccessUnit| {
        unit.pts += MediaTime::from_millis(millis);
        unit.dts = unit.pts;
        Input::Unit(unit)
    };
    feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND).into_iter().map(late)
}

#[test]
fn without_a_publisher_the_picture_is_held_then_the_slate_is_shown_and_the_next_publisher_goes_on() {
    let inputs = second_at(0).chain(clock(1_000, 6_000)).chain([Input::Switch]).chain(second_at(6_000));
    let (messages, result) = support::run_inputs(plan(FrameRate::THIRTY), inputs);
    result.unwrap();
    let large = rendition(&messages, 0);
    assert_on_grid(&large, FrameRate::THIRTY, 0);
    assert_eq!(large.len(), 210);
    assert_eq!(keys(&large).len(), 7, "the grid of keyframes goes on");
    let luma: Vec<u64> = pictures(&large).iter().map(|picture| picture.2).collect();
    let is_slate = |slot: usize| luma[slot] < 40;
    assert!(!(0..118).any(is_slate), "{luma:?}");
    assert!((120..180).all(is_slate), "{luma:?}");
    assert!(!(180..210).any(is_slate), "{luma:?}");
    let audio = rendition(&messages, AUDIO);
    let unit = MediaTime::from_ticks(1024, 48_000);
    assert!((0..).zip(&audio).all(|(index, audio)| audio.pts == MediaTime(index * unit.0)));
    let samples = samples(&audio).1;
    let loud = |from: usize| samples[from..from + 24_000].iter().any(|sample| sample.abs() > 0.05);
    assert_eq!([0, 120_000, 240_000, 288_000].map(loud), [true, false, false, true]);
}

#[test]
fn what_comes_late_but_within_patience_is_shown_and_nothing_is_made_up() {
    let units: Vec<Input> = second_at(0).collect();
    let clocked = units.into_iter().flat_map(|unit| {
        let Input::Unit(unit) = unit else { unreachable!() };
        let now = unit.pts + MediaTime::from_millis(299);
        [Input::Clock { video: now, audio: now }, Input::Unit(unit)]
    });
    let (messages, result) = support::run_inputs(plan(FrameRate::THIRTY), clocked);
    result.unwrap();
    assert_eq!(rendition(&messages, 0).len(), 30);
    assert_eq!(discarded(&messages, "late"), 0);
    assert_eq!(messages.iter().filter(|message| matches!(message, Output::Discarded { .. })).count(), 0);
}

/// A grey of that brightness as a file of that kind, made by FFmpeg's encoder.
fn grey(codec: ffmpeg::codec::Id, format: ffmpeg::format::Pixel, value: u8) -> Bytes {
    let codec = ffmpeg::encoder::find(codec).unwrap();
    let mut context = ffmpeg::codec::Context::new_with_codec(codec).encoder().video().unwrap();
    context.set_width(64);
    context.set_height(64);
    context.set_format(format);
    context.set_time_base((1, 25));
    let mut encoder = context.open().unwrap();
    let mut picture = frame::Video::new(format, 64, 64);
    (0..picture.planes()).for_each(|plane| picture.data_mut(plane).fill(if plane == 0 { value } else { 128 }));
    picture.set_pts(Some(0));
    encoder.send_frame(&picture).unwrap();
    encoder.send_eof().unwrap();
    let mut packet = ffmpeg::Packet::empty();
    encoder.receive_packet(&mut packet).unwrap();
    Bytes::copy_from_slice(packet.data().unwrap())
}

#[test]
fn a_channels_own_slate_is_shown_and_ours_where_it_cannot_be() {
    use ffmpeg::codec::Id;
    use ffmpeg::format::Pixel;
    let jpeg = grey(Id::MJPEG, Pixel::YUVJ420P, 200);
    let png = grey(Id::PNG, Pixel::GRAY8, 200);
    let broken = Bytes::copy_from_slice(&png[..40]);
    for (file, is_shown) in [(jpeg, true), (png, true), (broken, false), (Bytes::from_static(b"no picture"), false)] {
        let inputs = std::iter::once(Input::Slate { data: file }).chain(clock(0, 700));
        let (messages, result) = support::run_inputs(plan(FrameRate::THIRTY), inputs);
        result.unwrap();
        let luma: Vec<u64> = pictures(&rendition(&messages, 0)).iter().map(|picture| picture.2).collect();
        // The slate is square: its bars are black.
        assert!(luma.iter().all(|&luma| (luma > 80) == is_shown), "{luma:?}");
        assert_eq!(discarded(&messages, "slate"), usize::from(!is_shown) * luma.len().min(1));
    }
}

#[test]
fn a_broadcast_without_any_picture_shows_the_slate_from_its_start() {
    let (messages, result) = support::run_inputs(plan(FrameRate::THIRTY), clock(0, 1_300));
    result.unwrap();
    let small = rendition(&messages, 1);
    assert_on_grid(&small, FrameRate::THIRTY, 0);
    assert_eq!(small.len(), 31);
    assert!(small[0].random_access);
}

#[test]
fn units_of_nonsense_are_counted_and_nothing_more() {
    let nonsense = |codec, data: &'static [u8]| AccessUnit {
        codec,
        pts: MediaTime::ZERO,
        dts: MediaTime::ZERO,
        duration: None,
        random_access: true,
        data: Bytes::from_static(data),
    };
    let bad = [
        b"".as_slice(),
        b"\0\0\0\x01",
        b"\0\0\x01\x67\xff\xff",
        b"\0\0\x01\x65\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff",
    ];
    let bad =
        bad.into_iter().flat_map(|data| [Codec::H264, Codec::Opus, Codec::Aac].map(|codec| nonsense(codec, data)));
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND);
    let messages = transcode(plan(FrameRate::THIRTY), bad.chain(units));
    assert_eq!(discarded(&messages, "unsupported"), 5);
    assert!(discarded(&messages, "corrupt") >= 5);
    assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
}

#[test]
fn a_plan_that_cannot_be_carried_out_fails_in_one_line() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = plan(FrameRate::THIRTY);
        change(&mut plan);
        let (messages, result) = run(plan, []);
        let said = result.unwrap_err().to_string();
        assert_eq!(messages.last(), Some(&Output::Failed(said.clone())));
        said
    };
    assert_eq!(refused(|plan| plan.encoder = "nosuch".to_owned()), "no encoder is called nosuch");
    assert!(refused(|plan| plan.video[1].width = 0).contains("cannot encode 0x90"));
    assert!(refused(|plan| plan.frame_rate = FrameRate::new(0, 1)).contains("frame rate is zero"));
    assert!(refused(|plan| (plan.video, plan.audio) = (Vec::new(), None)).contains("no rendition"));
    assert!(refused(|plan| plan.preset = "no such preset".to_owned()).contains("cannot encode"));
}

#[test]
fn input_that_is_no_message_fails() {
    let mut output = Vec::new();
    let result = worker::run(b"\0\0\0\x01\xff\0\0\0\0".as_slice(), &mut output);
    assert!(matches!(result, Err(WorkerError::Input(_))));
    let message: Option<Output> = wire::read(&mut output.as_slice()).unwrap();
    assert!(matches!(message, Some(Output::Failed(_))));
}

#[test]
fn a_time_jump_of_more_than_a_minute_fails_the_worker() {
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(100));
    let far = AccessUnit {
        pts: MediaTime::from_millis(100_000),
        ..units.iter().rfind(|unit| unit.codec == Codec::Opus).unwrap().clone()
    };
    let (messages, result) = run(plan(FrameRate::THIRTY), units.into_iter().chain([far]));
    assert!(matches!(result, Err(WorkerError::Jump("audio"))), "{result:?}");
    assert!(matches!(messages.last(), Some(Output::Failed(_))));
}

#[test]
fn a_node_that_no_longer_reads_ends_the_worker() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut input = Vec::new();
    wire::write(&mut input, &Input::Start(plan(FrameRate::THIRTY))).unwrap();
    for unit in feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND) {
        wire::write(&mut input, &Input::Unit(unit)).unwrap();
    }
    assert!(worker::run(input.as_slice(), Closed).is_err());
}

#[tokio::test]
async fn a_worker_in_process_takes_a_broadcast_and_ends_when_told() {
    let worker = Worker::start(&WorkerCommand::InProcess, plan(FrameRate::THIRTY)).unwrap();
    let (input, mut output) = worker.split();
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND);
    let feeding = async move {
        for unit in units {
            input.send(Input::Unit(unit)).await.unwrap();
        }
        input.send(Input::Finish).await.unwrap();
    };
    let hearing = async {
        let mut messages = Vec::new();
        while let Some(message) = output.next().await {
            messages.push(message);
        }
        messages
    };
    let (messages, ()) = tokio::join!(hearing, feeding);
    assert_eq!(messages.last(), Some(&Output::Finished));
    assert_eq!(rendition(&messages, 0).len(), 30);
    assert_eq!(output.ended().await, WorkerEnd::Exited);
}

#[tokio::test]
async fn a_worker_in_process_that_is_killed_is_noticed() {
    let worker = Worker::start(&WorkerCommand::InProcess, plan(FrameRate::THIRTY)).unwrap();
    let (input, mut output) = worker.split();
    let unit = pattern(320, 180, FrameRate::THIRTY).next().unwrap();
    input.send(Input::Unit(unit)).await.unwrap();
    output.kill();
    while output.next().await.is_some() {}
    assert_eq!(output.ended().await, WorkerEnd::Killed);
}

#[test]
fn the_pattern_makes_a_keyframe_when_asked() {
    let mut pattern = pattern(320, 180, FrameRate::THIRTY);
    let mut key_of = |wanted: usize| {
        (0..).find_map(|_| {
            if wanted == 1 {
                pattern.force_keyframe();
            }
            Some(pattern.next().unwrap()).filter(|unit| unit.codec == Codec::H264)
        })
    };
    assert!(key_of(0).unwrap().random_access);
    assert!(!key_of(0).unwrap().random_access);
    assert!(key_of(1).unwrap().random_access);
    assert!(!key_of(0).unwrap().random_access);
}
