//! Video encoders as rows of a table: who they are, whether this FFmpeg has them, how each is opened.
//!
//! A new encoder is a file beside this one and a row in [`candidates`]. Knows no thread, no queue and no graph.

mod libx264;

use ffmpeg_next as ffmpeg;
use schema::Codec;
use schema::ladder::FrameRate;
use thiserror::Error;

use crate::ffi;
use crate::wire::VideoPlan;

/// Why an encoder could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No row of the table has that name.
    #[error("no encoder is called {0}")]
    Unknown(String),
    /// This FFmpeg was built without it.
    #[error("this FFmpeg has no encoder {0}")]
    Missing(&'static str),
    /// It refuses these settings.
    #[error("{name} cannot encode {width}x{height}: {error}")]
    Refused {
        /// The encoder's name.
        name: &'static str,
        /// Columns.
        width: u32,
        /// Lines.
        height: u32,
        /// FFmpeg's own words.
        error: ffmpeg::Error,
    },
}

/// What an encoder is opened for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Size, bit rate and threads.
    pub video: &'a VideoPlan,
    /// Its time base is the frame of this rate: picture `k` has the time stamp `k`.
    pub frame_rate: FrameRate,
    /// The speed preset, in the encoder's own words.
    pub preset: &'a str,
    /// How much faster than that it has to be.
    pub speed: Speed,
}

/// How fast an encoder is asked to be. The faster ones leave the parameter sets as they are, byte for byte, where they
/// can; whoever changes to one looks at what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As its preset has it.
    Preset,
    /// Faster.
    Faster,
    /// As fast as it can be.
    Fastest,
}

/// One encoder of the table.
///
/// What every backend promises: planar 8-bit 4:2:0, limited range BT.709, in; Annex B with
/// parameter sets before each IDR out; no reordering, no look-ahead, an IDR exactly where a picture
/// of type I is sent, and nowhere else.
pub trait Backend: Sync {
    /// Its name in plans and settings, which is also FFmpeg's.
    fn name(&self) -> &'static str;
    /// What it writes.
    fn codec(&self) -> Codec;
    /// The speed presets that it knows, fastest first.
    fn presets(&self) -> &'static [&'static str];
    /// The settings special to it, as FFmpeg options.
    fn options(&self, target: &Target<'_>) -> Vec<(&'static str, String)>;
}

/// The encoders that Headwater can drive, best first.
#[must_use]
pub fn candidates() -> &'static [&'static dyn Backend] {
    &[&libx264::Libx264]
}

/// One row of [`candidates`], and whether the linked FFmpeg has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderStatus {
    /// Its name in plans and settings.
    pub name: &'static str,
    /// What it writes.
    pub codec: Codec,
    /// Whether the linked FFmpeg has it.
    pub availability: Availability,
}

/// Whether an encoder can be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The linked FFmpeg has it.
    Available,
    /// The linked FFmpeg was built without it.
    Missing,
}

/// What this machine can encode with, best first; for `doctor`.
#[must_use]
pub fn available_encoders() -> Vec<EncoderStatus> {
    ffi::initialise();
    let status = |backend: &&dyn Backend| EncoderStatus {
        name: backend.name(),
        codec: backend.codec(),
        availability: match ffmpeg::encoder::find_by_name(backend.name()) {
            Some(_) => Availability::Available,
            None => Availability::Missing,
        },
    };
    candidates().iter().map(status).collect()
}

/// Opens the encoder called `name`.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open(name: &str, target: &Target<'_>) -> Result<ffmpeg::encoder::video::Encoder, OpenError> {
    ffi::initialise();
    let backend = candidates()
        .iter()
        .find(|backend| backend.name() == name)
        .ok_or_else(|| OpenError::Unknown(name.to_owned()))?;
    let codec = ffmpeg::encoder::find_by_name(backend.name()).ok_or(OpenError::Missing(backend.name()))?;
    open_codec(codec, target, &backend.options(target)).map_err(|error| OpenError::Refused {
        name: backend.name(),
        width: target.video.width,
        height: target.video.height,
        error,
    })
}

fn open_codec(
    codec: ffmpeg::Codec,
    target: &Target<'_>,
    special: &[(&'static str, String)],
) -> Result<ffmpeg::encoder::video::Encoder, ffmpeg::Error> {
    let rate = rational(target.frame_rate)?;
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    context.set_threading(ffmpeg::threading::Config {
        kind: ffmpeg::threading::Type::Slice,
        count: usize::try_from(target.video.threads.max(1)).unwrap_or(1),
        ..ffmpeg::threading::Config::default()
    });
    context.set_time_base(rate.invert());
    context.set_frame_rate(Some(rate));
    let mut encoder = context.encoder().video()?;
    encoder.set_width(target.video.width);
    encoder.set_height(target.video.height);
    encoder.set_format(ffmpeg::format::Pixel::YUV420P);
    encoder.set_aspect_ratio((1, 1));
    encoder.set_colorspace(ffmpeg::color::Space::BT709);
    encoder.set_color_primaries(ffmpeg::color::Primaries::BT709);
    encoder.set_color_transfer_characteristic(ffmpeg::color::TransferCharacteristic::BT709);
    encoder.set_color_range(ffmpeg::color::Range::MPEG);
    let mut options = rate_control(target.video);
    for (key, value) in special {
        options.set(key, value);
    }
    encoder.open_with(options)
}

/// Average and largest bit rate over a buffer: as constant as a live feed wants it.
fn rate_control(video: &VideoPlan) -> ffmpeg::Dictionary<'static> {
    let bitrate_max = video.bitrate_max.max(video.bitrate);
    let buffer_bits = u64::from(bitrate_max) * u64::from(video.buffer_ms) / 1000;
    let mut options = ffmpeg::Dictionary::new();
    options.set("b", &video.bitrate.to_string());
    options.set("maxrate", &bitrate_max.to_string());
    options.set("bufsize", &buffer_bits.min(i32::MAX as u64).to_string());
    options
}

fn rational(rate: FrameRate) -> Result<ffmpeg::Rational, ffmpeg::Error> {
    let part = |value: u32| i32::try_from(value).ok().filter(|value| *value > 0).ok_or(ffmpeg::Error::InvalidData);
    Ok(ffmpeg::Rational(part(rate.numerator)?, part(rate.denominator)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Coding;

    fn video() -> VideoPlan {
        VideoPlan {
            rendition: 0,
            width: 320,
            height: 180,
            bitrate: 300_000,
            bitrate_max: 400_000,
            buffer_ms: 1000,
            threads: 1,
            coding: Coding::default(),
        }
    }

    fn try_open(name: &str, video: &VideoPlan) -> Result<(), OpenError> {
        let target = Target { video, frame_rate: FrameRate::THIRTY, preset: "veryfast", speed: Speed::Preset };
        open(name, &target).map(drop)
    }

    #[test]
    fn libx264_is_there_and_opens() {
        let first = available_encoders().remove(0);
        assert_eq!((first.name, first.availability), ("libx264", Availability::Available));
        try_open("libx264", &video()).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_an_error_in_words() {
        assert!(matches!(try_open("nosuch", &video()), Err(OpenError::Unknown(_))));
        let empty = VideoPlan { width: 0, ..video() };
        let error = try_open("libx264", &empty).unwrap_err().to_string();
        assert!(error.starts_with("libx264 cannot encode 0x180: "), "{error}");
    }
}
