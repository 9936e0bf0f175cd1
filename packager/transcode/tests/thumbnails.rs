//! Thumbnails of a whole worker: when they come, what they show, and that they cost the ladder nothing.
#![cfg(feature = "ffmpeg")]
#![allow(clippy::unwrap_used)] // the helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::color::Range;
use ffmpeg_next::{decoder, frame};
use packager_transcode::wire::{Output, Plan, THUMBNAIL_BYTES_MAX, ThumbnailPlan};
use schema::ladder::{FrameRate, PictureSize};
use schema::{AccessUnit, Codec, MediaTime};
use support::{assert_on_grid, discarded, feed, pattern, plan, rendition, transcode};

fn with_thumbnails(interval_ms: i64, height: u32, quality: u8) -> Plan {
    let thumbnail = ThumbnailPlan { interval: MediaTime::from_millis(interval_ms), height, quality };
    Plan { thumbnail: Some(thumbnail), ..plan(FrameRate::THIRTY) }
}

fn thumbnails(messages: &[Output]) -> Vec<(MediaTime, PictureSize, Bytes)> {
    let thumbnail = |message: &Output| match message {
        Output::Thumbnail { pts, size, data } => Some((*pts, *size, data.clone())),
        _ => None,
    };
    messages.iter().filter_map(thumbnail).collect()
}

fn decoded(codec: ffmpeg::codec::Id, data: &[&[u8]]) -> Vec<frame::Video> {
    let codec = decoder::find(codec).unwrap();
    let mut decoder = ffmpeg::codec::Context::new_with_codec(codec).decoder().video().unwrap();
    let mut pictures = Vec::new();
    for data in data {
        decoder.send_packet(&ffmpeg::Packet::copy(data)).unwrap();
        let mut picture = frame::Video::empty();
        while decoder.receive_frame(&mut picture).is_ok() {
            pictures.push(std::mem::replace(&mut picture, frame::Video::empty()));
        }
    }
    pictures
}

fn of_jpeg(data: &[u8]) -> frame::Video {
    decoded(ffmpeg::codec::Id::MJPEG, &[data]).remove(0)
}

/// Mean Y, Cb and Cr of a 4:2:0 picture.
fn means(picture: &frame::Video) -> [f64; 3] {
    [0, 1, 2].map(|plane| {
        let (width, height) = (picture.plane_width(plane), picture.plane_height(plane));
        let rows = picture.data(plane).chunks(picture.stride(plane)).take(height as usize);
        let sum: u64 = rows.flat_map(|row| &row[..width as usize]).map(|&value| u64::from(value)).sum();
        sum as f64 / f64::from(width * height)
    })
}

/// Red, green and blue of a mean, from 0 to 1, for a matrix with these weights of red and blue.
fn rgb([y, cb, cr]: [f64; 3], full_range: bool, (red, blue): (f64, f64)) -> [f64; 3] {
    let (y, scale) = if full_range { (y / 255.0, 255.0) } else { ((y - 16.0) / 219.0, 224.0) };
    let (cb, cr) = ((cb - 128.0) / scale, (cr - 128.0) / scale);
    let (r, b) = (y + 2.0 * (1.0 - red) * cr, y + 2.0 * (1.0 - blue) * cb);
    [r, (y - red * r - blue * b) / (1.0 - red - blue), b]
}

const BT709: (f64, f64) = (0.2126, 0.0722);
const BT601: (f64, f64) = (0.299, 0.114);

/// The colour of a thumbnail as everybody shows it.
fn colour_of_jpeg(picture: &frame::Video) -> [f64; 3] {
    rgb(means(picture), true, BT601)
}

fn assert_close(found: [f64; 3], expected: [f64; 3]) {
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.015);
    assert!(close, "{found:?} is not {expected:?}");
}

#[test]
fn one_comes_with_the_first_picture_one_soon_after_and_then_one_each_interval() {
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(3_400));
    let messages = transcode(with_thumbnails(1_000, 90, 5), units);
    let found = thumbnails(&messages);
    assert_eq!(found[0].0, MediaTime::ZERO);
    let expected = [0, 500, 1_500, 2_500].map(MediaTime::from_millis);
    assert!(found.iter().all(|(pts, ..)| expected.contains(pts)), "{found:?}");
    // This feed is much faster than time, so some may be left out.
    assert_eq!(found.len() + discarded(&messages, "thumbnail"), 4);
    for (_, size, data) in &found {
        assert_eq!(*size, PictureSize { width: 160, height: 90 });
        let picture = of_jpeg(data);
        assert_eq!((picture.width(), picture.height()), (160, 90));
        assert!(data.starts_with(&[0xff, 0xd8]) && data.ends_with(&[0xff, 0xd9]) && data.len() < 20_000);
    }
    assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
}

#[test]
fn without_a_wish_for_them_there_are_none() {
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(300));
    assert!(thumbnails(&transcode(plan(FrameRate::THIRTY), units)).is_empty());
}

#[test]
fn sound_alone_has_none() {
    let mut plan = with_thumbnails(1_000, 360, 5);
    plan.video = Vec::new();
    let mut units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::SECOND);
    units.retain(|unit| unit.codec == Codec::Opus);
    assert!(thumbnails(&transcode(plan, units)).is_empty());
}

#[test]
fn a_small_source_is_not_enlarged_and_gets_no_bars() {
    for (width, height) in [(320, 180), (240, 240)] {
        let units = feed(pattern(width, height, FrameRate::THIRTY), MediaTime::from_millis(200));
        let (_, size, data) = thumbnails(&transcode(with_thumbnails(1_000, 360, 5), units)).remove(0);
        let picture = of_jpeg(&data);
        assert_eq!(size, PictureSize { width, height });
        assert_eq!((picture.width(), picture.height()), (width, height));
    }
}

#[test]
fn its_colours_are_those_of_the_source() {
    let plan = || with_thumbnails(10_000, 360, 2);
    let units = feed(pattern(320, 180, FrameRate::THIRTY), MediaTime::from_millis(700));
    let found = thumbnails(&transcode(plan(), units.clone()));
    assert_close(colour_of_jpeg(&of_jpeg(&found[0].2)), [1.0; 3]);

    // The pattern says what its colours are: limited-range BT.709. A keyframe comes at half a second.
    let later: Vec<_> = units.into_iter().filter(|unit| unit.pts >= MediaTime::from_millis(500)).collect();
    let (pts, _, data) = thumbnails(&transcode(plan(), later.clone())).remove(0);
    let first = later.iter().find(|unit| unit.codec == Codec::H264).unwrap();
    let source = decoded(ffmpeg::codec::Id::H264, &[&first.data]).remove(0);
    assert_eq!(pts, first.pts);
    assert_close(colour_of_jpeg(&of_jpeg(&data)), rgb(means(&source), false, BT709));
}

#[test]
fn its_colours_are_those_that_the_ladder_takes_the_source_for() {
    // Red in BT.601, which VP8 means, and in BT.709, which stands for no word about it.
    for (codec, range, red) in [
        (Codec::Vp8, Range::MPEG, [81, 90, 240]),
        (Codec::H264, Range::Unspecified, [63, 102, 240]),
        (Codec::H264, Range::MPEG, [63, 102, 240]),
        (Codec::H264, Range::JPEG, [54, 99, 255]),
    ] {
        let mut plan = with_thumbnails(1_000, 360, 2);
        plan.video.truncate(1);
        plan.audio = None;
        let messages = transcode(plan, squares((codec, range), 1, 128, |plane, _, _| red[plane]));
        assert_close(colour_of_jpeg(&of_jpeg(&thumbnails(&messages)[0].2)), [1.0, 0.0, 0.0]);
    }
}

/// Square pictures from the value of each plane, column and line.
fn squares(
    (codec, range): (Codec, Range),
    count: i64,
    size: u32,
    value: impl Fn(usize, u32, u32) -> u8,
) -> Vec<AccessUnit> {
    let vp8 = [("b", "80M"), ("deadline", "realtime"), ("lag-in-frames", "0"), ("qmin", "0"), ("qmax", "1")];
    let h264 = [("qp", "1"), ("preset", "ultrafast"), ("tune", "zerolatency")];
    let (name, special) = if codec == Codec::Vp8 { ("libvpx", &vp8[..]) } else { ("libx264", &h264[..]) };
    let found = ffmpeg::encoder::find_by_name(name).unwrap();
    let mut context = ffmpeg::codec::Context::new_with_codec(found);
    context.set_time_base((1, 30));
    let mut encoder = context.encoder().video().unwrap();
    encoder.set_width(size);
    encoder.set_height(size);
    encoder.set_format(ffmpeg::format::Pixel::YUV420P);
    encoder.set_color_range(range);
    let mut options = ffmpeg::Dictionary::new();
    special.iter().for_each(|(key, value)| options.set(key, value));
    let mut encoder = encoder.open_with(options).unwrap();
    let mut units = Vec::new();
    for index in 0..count {
        let mut picture = frame::Video::new(ffmpeg::format::Pixel::YUV420P, size, size);
        for plane in 0..3 {
            let stride = u32::try_from(picture.stride(plane)).unwrap();
            let bytes = (0_u32..).zip(picture.data_mut(plane));
            bytes.for_each(|(at, byte)| *byte = value(plane, at % stride, at / stride));
        }
        picture.set_pts(Some(index));
        encoder.send_frame(&picture).unwrap();
        let mut packet = ffmpeg::Packet::empty();
        encoder.receive_packet(&mut packet).unwrap();
        let pts = FrameRate::THIRTY.time_of(index);
        units.push(AccessUnit {
            codec,
            pts,
            dts: pts,
            duration: None,
            random_access: packet.is_key(),
            data: Bytes::copy_from_slice(packet.data().unwrap()),
        });
    }
    units
}

#[test]
fn one_that_is_too_long_is_left_out_and_counted() {
    let noise = |_, x: u32, y: u32| {
        let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d);
        (mixed >> 24).to_le_bytes()[0]
    };
    let mut plan = with_thumbnails(1_000, 1_024, 2);
    plan.video.truncate(1);
    plan.audio = None;
    let messages = transcode(plan, squares((Codec::Vp8, Range::MPEG), 3, 1_024, noise));
    assert_eq!((thumbnails(&messages).len(), discarded(&messages, "thumbnail")), (0, 1), "{THUMBNAIL_BYTES_MAX}");
    assert_on_grid(&rendition(&messages, 0), FrameRate::THIRTY, 0);
}

#[test]
fn when_more_are_wished_for_than_can_be_made_the_ladder_goes_on_without_them() {
    let units = feed(pattern(1280, 720, FrameRate::THIRTY), MediaTime::SECOND);
    let mut plan = with_thumbnails(1, 720, 2);
    (plan.video, plan.audio) = (vec![support::video(0, 32, 18)], None);
    let messages = transcode(plan, units.into_iter().filter(|unit| unit.codec == Codec::H264));
    let (made, left_out) = (thumbnails(&messages).len(), discarded(&messages, "thumbnail"));
    assert_eq!(made + left_out, 30, "{made} made");
    assert!(made > 0);
    let ladder = rendition(&messages, 0);
    assert_on_grid(&ladder, FrameRate::THIRTY, 0);
    assert_eq!(ladder.len(), 30);
}
