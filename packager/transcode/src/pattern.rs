//! A test broadcast: what a publisher would send, made here.
//!
//! The picture is FFmpeg's `testsrc2`, which shows a running clock; at each whole second it is white
//! for one frame, and a beep of 40 ms starts, so that the two can be compared at the other end.
//! Pacing is the caller's.

use std::collections::VecDeque;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::sample::{Sample, Type};
use ffmpeg_next::{ChannelLayout, encoder, frame, picture};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec, MediaTime};
use thiserror::Error;

use crate::encoder::{OpenError, Speed, Target};
use crate::ffi;
use crate::wire::{Coding, Profile, VideoPlan};

/// What the broadcast looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternConfig {
    /// Columns, even.
    pub width: u32,
    /// Lines, even.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: FrameRate,
    /// Bits per second.
    pub video_bitrate: u32,
    /// An IDR comes at the first picture at or after each whole multiple of this.
    pub keyframe_interval: MediaTime,
}

/// Why a test broadcast cannot be made.
#[derive(Debug, Error)]
pub enum PatternError {
    /// The video encoder cannot be opened.
    #[error(transparent)]
    Video(#[from] OpenError),
    /// FFmpeg failed.
    #[error("{0}: {1}")]
    Ffmpeg(&'static str, ffmpeg::Error),
}

/// Samples in one Opus unit of 20 ms.
const BLOCK: usize = 960;
const RATE: i64 = 48_000;
const BEEP_SAMPLES: i64 = RATE * 40 / 1000;
const BEEP_HERTZ: i64 = 1000;

/// An endless test broadcast from media time zero: H.264 (Constrained Baseline) and Opus (48 kHz stereo).
pub struct Pattern {
    config: PatternConfig,
    graph: ffmpeg::filter::Graph,
    white: frame::Video,
    video: encoder::video::Encoder,
    audio: encoder::audio::Encoder,
    /// How far ahead the Opus encoder must be fed for its delay to be undone, in samples.
    audio_delay: i64,
    pictures: i64,
    blocks: i64,
    keyframe: Keyframe,
    ready: VecDeque<AccessUnit>,
}

/// Whether somebody asked for a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyframe {
    Wanted,
    OnSchedule,
}

impl Pattern {
    /// A test broadcast at its beginning.
    ///
    /// # Errors
    /// [`PatternError`], such as for a size that the encoder refuses.
    pub fn new(config: PatternConfig) -> Result<Self, PatternError> {
        ffi::initialise();
        let audio = open_audio().map_err(|error| PatternError::Ffmpeg("libopus", error))?;
        Ok(Self {
            video: open_video(&config)?,
            graph: source(&config).map_err(|error| PatternError::Ffmpeg("testsrc2", error))?,
            white: white(config.width, config.height),
            audio_delay: ffi::initial_padding(&audio),
            audio,
            config,
            pictures: 0,
            blocks: 0,
            keyframe: Keyframe::OnSchedule,
            ready: VecDeque::new(),
        })
    }

    /// The next access unit of either track, in order of time. It never ends.
    ///
    /// # Errors
    /// [`PatternError::Ffmpeg`] if an encoder fails.
    #[allow(clippy::should_implement_trait)] // it fails, and never ends
    pub fn next(&mut self) -> Result<AccessUnit, PatternError> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Ok(unit);
            }
            if self.picture_time(self.pictures) <= block_time(self.blocks) {
                self.make_picture().map_err(|error| PatternError::Ffmpeg("video", error))?;
            } else {
                self.make_block().map_err(|error| PatternError::Ffmpeg("audio", error))?;
            }
        }
    }

    /// Makes the next picture an IDR, as a publisher does that is asked for a keyframe.
    pub fn force_keyframe(&mut self) {
        self.keyframe = Keyframe::Wanted;
    }

    fn picture_time(&self, index: i64) -> MediaTime {
        self.config.frame_rate.time_of(index)
    }

    /// Whether picture `index` is the first at or after a multiple of `interval`.
    fn is_first_after(&self, index: i64, interval: MediaTime) -> bool {
        let time = self.picture_time(index).0;
        self.picture_time(index - 1).0 < time - time.rem_euclid(interval.0.max(1))
    }

    fn make_picture(&mut self) -> Result<(), ffmpeg::Error> {
        let index = self.pictures;
        let mut picture = frame::Video::empty();
        let mut sink = self.graph.get("sink").ok_or(ffmpeg::Error::FilterNotFound)?;
        sink.sink().frame(&mut picture)?;
        if self.is_first_after(index, MediaTime::SECOND) {
            picture = ffi::share(&self.white)?;
        }
        let wanted = self.keyframe == Keyframe::Wanted;
        let key = wanted || self.is_first_after(index, self.config.keyframe_interval);
        picture.set_pts(Some(index));
        picture.set_kind(if key { picture::Type::I } else { picture::Type::None });
        self.video.send_frame(&picture)?;
        self.keyframe = Keyframe::OnSchedule;
        self.pictures += 1;
        let mut packet = ffmpeg::Packet::empty();
        while self.video.receive_packet(&mut packet).is_ok() {
            let pts = self.picture_time(packet.pts().unwrap_or(index));
            let end = self.picture_time(packet.pts().unwrap_or(index) + 1);
            self.ready.extend(unit(&packet, Codec::H264, pts, end));
        }
        Ok(())
    }

    fn make_block(&mut self) -> Result<(), ffmpeg::Error> {
        let layout = ChannelLayout::STEREO;
        let mut block = frame::Audio::new(Sample::F32(Type::Packed), BLOCK, layout);
        let first = self.blocks * 960 + self.audio_delay;
        for (sample, index) in block.plane_mut::<(f32, f32)>(0).iter_mut().zip(first..) {
            let value = beep(index);
            *sample = (value, value);
        }
        block.set_rate(48_000);
        block.set_pts(Some(first));
        self.audio.send_frame(&block)?;
        let mut packet = ffmpeg::Packet::empty();
        while self.audio.receive_packet(&mut packet).is_ok() {
            let pts = block_time(self.blocks);
            let end = block_time(self.blocks + 1);
            self.ready.extend(unit(&packet, Codec::Opus, pts, end));
        }
        self.blocks += 1;
        Ok(())
    }
}

fn block_time(index: i64) -> MediaTime {
    MediaTime::from_millis(index * 20)
}

/// Sample number `index` of the sound: a beep at each whole second, silence otherwise.
fn beep(index: i64) -> f32 {
    let within = index.rem_euclid(RATE);
    if within >= BEEP_SAMPLES {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss)] // below 2^24
    let phase = (within * BEEP_HERTZ % RATE) as f32 / RATE as f32;
    0.5 * (phase * std::f32::consts::TAU).sin()
}

fn unit(packet: &ffmpeg::Packet, codec: Codec, pts: MediaTime, end: MediaTime) -> Option<AccessUnit> {
    Some(AccessUnit {
        codec,
        pts,
        dts: pts,
        duration: Some(end - pts),
        random_access: codec == Codec::Opus || packet.is_key(),
        data: Bytes::copy_from_slice(packet.data()?),
    })
}

fn open_video(config: &PatternConfig) -> Result<encoder::video::Encoder, OpenError> {
    let video = VideoPlan {
        rendition: 0,
        width: config.width,
        height: config.height,
        bitrate: config.video_bitrate,
        bitrate_max: config.video_bitrate,
        buffer_ms: 500,
        threads: 1,
        coding: Coding { profile: Profile::Baseline, level: None },
    };
    let target = Target { video: &video, frame_rate: config.frame_rate, preset: "ultrafast", speed: Speed::Preset };
    crate::encoder::open("libx264", &target)
}

fn open_audio() -> Result<encoder::audio::Encoder, ffmpeg::Error> {
    let codec = encoder::find_by_name("libopus").ok_or(ffmpeg::Error::EncoderNotFound)?;
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    context.set_time_base((1, 48_000));
    let mut encoder = context.encoder().audio()?;
    encoder.set_rate(48_000);
    encoder.set_format(Sample::F32(Type::Packed));
    encoder.set_channel_layout(ChannelLayout::STEREO);
    encoder.set_bit_rate(96_000);
    let mut options = ffmpeg::Dictionary::new();
    options.set("frame_duration", "20");
    encoder.open_with(options)
}

fn source(config: &PatternConfig) -> Result<ffmpeg::filter::Graph, ffmpeg::Error> {
    let sink = ffmpeg::filter::find("buffersink").ok_or(ffmpeg::Error::FilterNotFound)?;
    let mut graph = ffmpeg::filter::Graph::new();
    graph.add(&sink, "sink", "")?;
    let text = format!(
        "testsrc2=size={}x{}:rate={}/{},format=yuv420p[sink]",
        config.width, config.height, config.frame_rate.numerator, config.frame_rate.denominator
    );
    graph.input("sink", 0)?.parse(&text)?;
    graph.validate()?;
    Ok(graph)
}

fn white(width: u32, height: u32) -> frame::Video {
    let mut picture = frame::Video::new(Pixel::YUV420P, width, height);
    for plane in 0..picture.planes() {
        picture.data_mut(plane).fill(if plane == 0 { 235 } else { 128 });
    }
    picture
}
