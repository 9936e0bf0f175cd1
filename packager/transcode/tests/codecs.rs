//! A whole worker, fed with what browsers send beside H.264: the test broadcast, coded anew.
#![cfg(feature = "ffmpeg")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the helpers of tests fail as tests do

mod support;

use std::collections::VecDeque;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{decoder, encoder, frame, picture};
use packager_transcode::wire::Output;
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec, MediaTime};
use support::{assert_on_grid, discarded, feed, keys, pattern, pictures, plan, rendition, transcode};

const CODECS: [Codec; 3] = [Codec::Vp8, Codec::Vp9, Codec::Av1];

/// The test broadcast up to `end`, its pictures in `codec`, key frames where they were.
fn coded(codec: Codec, (width, height): (u32, u32), end: MediaTime) -> Vec<AccessUnit> {
    let units = feed(pattern(width, height, FrameRate::THIRTY), end);
    let mut decoder = decoder::find_by_name("h264").map(ffmpeg::codec::Context::new_with_codec).unwrap();
    decoder.set_threading(ffmpeg::threading::Config::count(1));
    let mut decoder = decoder.decoder().video().unwrap();
    let mut encoder = open(codec, width, height);
    let recode = |unit: AccessUnit| {
        if unit.codec != Codec::H264 {
            return unit;
        }
        decoder.send_packet(&ffmpeg::Packet::copy(&unit.data)).unwrap();
        let mut picture = frame::Video::empty();
        decoder.receive_frame(&mut picture).unwrap();
        picture.set_pts(Some(unit.pts.0));
        picture.set_kind(if unit.random_access { picture::Type::I } else { picture::Type::None });
        encoder.send_frame(&picture).unwrap();
        let mut packet = ffmpeg::Packet::empty();
        encoder.receive_packet(&mut packet).unwrap();
        assert_eq!(packet.is_key(), unit.random_access);
        let data = packet.data().unwrap();
        // The temporal delimiter of AV1 does not travel over RTP.
        let data = data.strip_prefix(&[0x12, 0x00]).filter(|_| codec == Codec::Av1).unwrap_or(data);
        AccessUnit { codec, data: Bytes::copy_from_slice(data), ..unit }
    };
    units.into_iter().map(recode).collect()
}

/// An encoder of the kind that a browser has: no look-ahead, one picture out for each in.
fn open(codec: Codec, width: u32, height: u32) -> encoder::video::Encoder {
    let (name, wishes): (_, &[(&str, &str)]) = match codec {
        Codec::Vp8 => ("libvpx", &[("deadline", "realtime"), ("cpu-used", "8")]),
        Codec::Vp9 => ("libvpx-vp9", &[("deadline", "realtime"), ("cpu-used", "8")]),
        Codec::Av1 => ("libaom-av1", &[("usage", "realtime"), ("cpu-used", "8")]),
        other => panic!("{other:?} is not coded here"),
    };
    let context = ffmpeg::codec::Context::new_with_codec(encoder::find_by_name(name).unwrap());
    let mut encoder = context.encoder().video().unwrap();
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(ffmpeg::format::Pixel::YUV420P);
    encoder.set_time_base((1, 705_600_000));
    encoder.set_frame_rate(Some((30, 1)));
    encoder.set_bit_rate(800_000);
    encoder.set_gop(9_999);
    let mut options = ffmpeg::Dictionary::new();
    options.set("lag-in-frames", "0");
    for (key, value) in wishes {
        options.set(key, value);
    }
    encoder.open_with(options).unwrap()
}

fn is_picture(unit: &AccessUnit) -> bool {
    unit.codec != Codec::Opus
}

fn sizes(messages: &[Output]) -> Vec<(u32, u32)> {
    let size = |message: &Output| match message {
        Output::SourceSize { width, height } => Some((*width, *height)),
        _ => None,
    };
    messages.iter().filter_map(size).collect()
}

#[test]
fn this_ffmpeg_decodes_every_codec() {
    assert_eq!(packager_transcode::worker::missing_decoders(), []);
}

#[test]
fn every_codec_becomes_the_same_ladder_with_no_picture_late() {
    for codec in CODECS {
        let messages = transcode(plan(FrameRate::THIRTY), coded(codec, (320, 180), MediaTime::from_millis(2_100)));
        assert_eq!(discarded(&messages, "unsupported") + discarded(&messages, "corrupt"), 0, "{codec:?}");
        for number in [0, 1] {
            let units = rendition(&messages, number);
            assert_on_grid(&units, FrameRate::THIRTY, 0);
            assert_eq!(units.len(), 63, "{codec:?}");
            assert_eq!(keys(&units), [0, 30, 60].map(|slot| FrameRate::THIRTY.time_of(slot)), "{codec:?}");
            let white = |picture: &&(MediaTime, (u32, u32), u64)| picture.2 > 200;
            let flashes: Vec<_> = pictures(&units).iter().filter(white).map(|picture| picture.0).collect();
            assert_eq!(flashes, [0, 1, 2].map(|second| MediaTime(second * MediaTime::PER_SECOND)), "{codec:?}");
        }
    }
}

#[test]
fn a_source_of_odd_size_becomes_the_same_ladder() {
    for codec in CODECS {
        for (width, height) in [(321, 181), (1, 1), (333, 64)] {
            if codec == Codec::Av1 && width == 1 {
                continue; // libaom codes nothing so small
            }
            let mut encoder = open(codec, width, height);
            let coded = |slot: i64| {
                let mut picture = frame::Video::new(ffmpeg::format::Pixel::YUV420P, width, height);
                (0..3).for_each(|plane| picture.data_mut(plane).fill(if plane == 0 { 150 } else { 128 }));
                let pts = FrameRate::THIRTY.time_of(slot);
                picture.set_pts(Some(pts.0));
                picture.set_kind(if slot == 0 { picture::Type::I } else { picture::Type::None });
                encoder.send_frame(&picture).unwrap();
                let mut packet = ffmpeg::Packet::empty();
                encoder.receive_packet(&mut packet).unwrap();
                let data = Bytes::copy_from_slice(packet.data().unwrap());
                AccessUnit { codec, pts, dts: pts, duration: None, random_access: slot == 0, data }
            };
            let messages = transcode(plan(FrameRate::THIRTY), (0..10).map(coded).collect::<Vec<_>>());
            assert_eq!(sizes(&messages), [(width, height)], "{codec:?}");
            let units = rendition(&messages, 0);
            assert_on_grid(&units, FrameRate::THIRTY, 0);
            let pictures = pictures(&units);
            assert_eq!(pictures.len(), 10, "{codec:?}");
            assert!(pictures.iter().all(|picture| picture.1 == (320, 180) && picture.2 > 20), "{codec:?} {pictures:?}");
        }
    }
}

#[test]
fn a_picture_comes_out_of_the_decoder_for_each_that_goes_in() {
    for codec in CODECS {
        let mut units = coded(codec, (320, 180), MediaTime::from_millis(300));
        units.retain(is_picture);
        for length in 1..units.len() {
            let messages = transcode(plan(FrameRate::THIRTY), units[..length].to_vec());
            assert_eq!(rendition(&messages, 0).len(), length, "{codec:?}");
        }
    }
}

#[test]
fn a_change_of_resolution_leaves_the_output_as_it_was() {
    for codec in CODECS {
        let mut units = coded(codec, (160, 90), MediaTime::SECOND);
        let second = coded(codec, (320, 180), MediaTime::from_millis(2_000));
        units.extend(second.into_iter().filter(|unit| unit.pts >= MediaTime::SECOND));
        let messages = transcode(plan(FrameRate::THIRTY), units);
        assert_eq!(sizes(&messages), [(160, 90), (320, 180)], "{codec:?}");
        let pictures = pictures(&rendition(&messages, 0));
        assert_eq!(pictures.len(), 60, "{codec:?}");
        assert!(pictures.iter().all(|picture| picture.1 == (320, 180)));
    }
}

/// 30 pictures of 432 × 240 and 10 of 324 × 180 after one key frame: libvpx resizes by itself at
/// 10 pictures and 3 kbit in a second (`vpxenc --rt --resize-allowed=1 --end-usage=cbr`).
const RESIZED: &[u8] = include_bytes!("data/resize.vp9.ivf");

fn resized() -> Vec<AccessUnit> {
    let mut rest = &RESIZED[32..];
    let mut units = Vec::new();
    let mut times = (0..).map(|index| MediaTime::from_millis(100 * index));
    while let Some((header, tail)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes(*header.first_chunk().unwrap()) as usize;
        let pts = times.next().unwrap();
        let data = Bytes::from_static(&tail[..length]);
        units.push(AccessUnit {
            codec: Codec::Vp9,
            pts,
            dts: pts,
            duration: None,
            random_access: units.is_empty(),
            data,
        });
        rest = &tail[length..];
    }
    units
}

#[test]
fn a_change_of_resolution_without_a_key_frame_leaves_the_output_as_it_was() {
    let units = resized();
    assert_eq!(units.len(), 40);
    let messages = transcode(plan(FrameRate::new(10, 1)), units);
    assert_eq!(sizes(&messages), [(432, 240), (324, 180)]);
    assert_eq!(discarded(&messages, "corrupt"), 0);
    let pictures = pictures(&rendition(&messages, 0));
    assert_eq!(pictures.len(), 40);
    assert!(pictures.iter().all(|picture| picture.1 == (320, 180)));
}

#[test]
fn the_highest_layer_of_a_superframe_is_shown() {
    let mut units = coded(Codec::Vp9, (320, 180), MediaTime::from_millis(100));
    units.retain(is_picture);
    let low = &coded(Codec::Vp9, (160, 90), MediaTime::from_millis(20))[0].data;
    let high = &units[0].data;
    let lengths = [low, high].map(|layer| (layer.len() as u32).to_le_bytes());
    units[0].data = [&low[..], high, &[0xd9], &lengths[0], &lengths[1], &[0xd9]].concat().into();
    let messages = transcode(plan(FrameRate::THIRTY), units);
    assert_eq!(sizes(&messages), [(320, 180)]);
    assert_eq!(rendition(&messages, 0).len(), 3);
    assert_eq!(discarded(&messages, "corrupt"), 0);
}

#[test]
fn a_feed_that_starts_within_a_group_of_pictures_asks_for_a_key_frame() {
    for codec in CODECS {
        let mut units = coded(codec, (320, 180), MediaTime::SECOND);
        units.retain(is_picture);
        let messages = transcode(plan(FrameRate::THIRTY), units.split_off(3));
        assert_eq!(discarded(&messages, "before_keyframe"), 12, "{codec:?}");
        assert!(messages.contains(&Output::KeyframeWanted), "{codec:?}");
        assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
    }
}

#[test]
fn a_unit_that_breaks_off_is_discarded_and_the_rest_recovers_at_the_next_key_frame() {
    for codec in CODECS {
        let mut units = coded(codec, (320, 180), MediaTime::SECOND);
        units.retain(is_picture);
        let broken = &mut units[5].data;
        *broken = broken.slice(..2);
        let messages = transcode(plan(FrameRate::THIRTY), units);
        assert_eq!(discarded(&messages, "corrupt"), 1, "{codec:?}");
        assert_eq!(discarded(&messages, "before_keyframe"), 9, "{codec:?}");
        assert!(messages.contains(&Output::KeyframeWanted), "{codec:?}");
        let large = rendition(&messages, 0);
        assert_on_grid(&large, FrameRate::THIRTY, 0);
        assert_eq!(large.len(), 30, "{codec:?}: the hole is filled");
    }
}

#[test]
fn units_of_nonsense_are_counted_and_nothing_more() {
    for codec in CODECS {
        let nonsense = |data: &'static [u8]| AccessUnit {
            codec,
            pts: MediaTime::ZERO,
            dts: MediaTime::ZERO,
            duration: None,
            random_access: true,
            data: Bytes::from_static(data),
        };
        let bad =
            [b"".as_slice(), b"\0", b"\x82\x49\x83\x42\xff\xff\xff", b"\x0a\xff\xff\xff", b"\xff\xff\xff\xff\xff"];
        let units = coded(codec, (320, 180), MediaTime::from_millis(600));
        let messages = transcode(plan(FrameRate::THIRTY), bad.map(nonsense).into_iter().chain(units));
        assert!(discarded(&messages, "corrupt") >= 4, "{codec:?}: {}", discarded(&messages, "corrupt"));
        assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
    }
}

#[test]
fn a_publisher_that_comes_back_with_another_codec_goes_on_at_its_key_frame() {
    let mut units = VecDeque::new();
    for (index, codec) in (0..).zip([Codec::Vp8, Codec::Av1, Codec::Vp9]) {
        let from = MediaTime::from_millis(500 * index);
        let part = coded(codec, (320, 180), from + MediaTime::from_millis(500));
        units.extend(part.into_iter().filter(|unit| unit.pts >= from));
    }
    let messages = transcode(plan(FrameRate::THIRTY), units);
    assert_eq!(discarded(&messages, "corrupt") + discarded(&messages, "before_keyframe"), 0);
    assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
}
