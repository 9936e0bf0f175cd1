//! What a ladder costs to make, in cores: processor seconds for each second of media.
//!
//! Measured on one machine, so a guess on any other; whoever decides by it corrects it by what running workers take.
//! Pure arithmetic.

use packager_transcode::wire::{Step, VideoPlan};
use schema::ladder::{FrameRate, PictureSize};

use crate::ladder::{Media, Rendition};

/// Decoding H.264, and reading its pictures for the first scaling, in seconds for each pixel of the source.
const DECODE: f64 = 3.7e-9;
/// Scaling to a rung, in seconds for each of its pixels.
const SCALE: f64 = 1.5e-9;
/// Encoding with x264's `veryfast` as it is used here, in seconds for each pixel.
const ENCODE: f64 = 8.0e-9;
/// Opus to AAC, in cores.
const SOUND: f64 = 0.012;

/// What a rung at that step takes of what its encoder takes without giving anything up.
#[must_use]
pub fn share(step: Step) -> f64 {
    match step {
        Step::Whole => 1.0,
        Step::Faster => 0.65,
        Step::Fastest => 0.42,
        Step::HalfRate => 0.23,
        Step::LowerRung => 0.0,
    }
}

/// The encoder of one rung, in cores, where it gives nothing up.
#[must_use]
pub fn encoder(video: &VideoPlan, frame_rate: FrameRate) -> f64 {
    pixels(PictureSize { width: video.width, height: video.height }, frame_rate) * ENCODE
}

/// Everything that a worker does besides encoding video, in cores.
#[must_use]
pub fn besides(renditions: &[Rendition], source: Option<PictureSize>, frame_rate: FrameRate) -> f64 {
    let decoded = source.map_or(0.0, |source| pixels(source, frame_rate) * DECODE);
    let others = renditions.iter().map(|rendition| match &rendition.media {
        Media::Video(video) => pixels(PictureSize { width: video.width, height: video.height }, frame_rate) * SCALE,
        Media::Audio(_) => SOUND,
    });
    decoded + others.sum::<f64>()
}

/// A whole ladder, in cores, made from pictures of the size `source`.
#[must_use]
pub fn ladder(renditions: &[Rendition], source: Option<PictureSize>, frame_rate: FrameRate) -> f64 {
    let encoders = renditions.iter().map(|rendition| match &rendition.media {
        Media::Video(video) => encoder(video, frame_rate),
        Media::Audio(_) => 0.0,
    });
    encoders.sum::<f64>() + besides(renditions, source, frame_rate)
}

/// Pixels a second.
fn pixels(size: PictureSize, frame_rate: FrameRate) -> f64 {
    f64::from(size.width) * f64::from(size.height) * frame_rate.as_f64()
}

#[cfg(test)]
mod tests {
    use schema::ladder::{Ladder, LatencyProfile};

    use super::*;
    use crate::ladder::renditions;

    fn cores(source: Option<(u32, u32)>, frame_rate: u32, audio: bool) -> f64 {
        let source = source.map(|(width, height)| PictureSize { width, height });
        let planned = renditions(&Ladder::default(), source, audio, LatencyProfile::Low);
        ladder(&planned, source, FrameRate::new(frame_rate, 1))
    }

    #[test]
    fn a_ladder_costs_what_its_pixels_do() {
        let table = [
            (Some((1280, 720)), 30, true, 0.55),
            (Some((1280, 720)), 60, true, 1.08),
            (Some((1920, 1080)), 30, true, 1.28),
            (Some((640, 360)), 30, false, 0.091),
            (None, 30, true, 0.012),
            (None, 30, false, 0.0),
        ];
        for (source, frame_rate, audio, expected) in table {
            let cores = cores(source, frame_rate, audio);
            assert!((cores - expected).abs() <= expected * 0.05, "{source:?} at {frame_rate}: {cores}");
        }
    }

    #[test]
    fn each_step_costs_less_than_the_one_before() {
        let steps = [Step::Whole, Step::Faster, Step::Fastest, Step::HalfRate, Step::LowerRung];
        assert!(steps.windows(2).all(|pair| share(pair[0]) > share(pair[1])));
    }
}
