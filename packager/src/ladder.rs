//! From a channel's wishes to the renditions that are really produced, and what they cost a viewer.

use packager_transcode::wire::{AudioPlan, Coding, Plan, ThumbnailPlan, VideoPlan};
use schema::id::RenditionName;
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize, Rung};
use schema::{MediaTime, TrackKind};

use crate::fmp4::{FRAGMENT_OVERHEAD_BYTES, SAMPLE_OVERHEAD_BYTES};
use crate::timing::{AUDIO_FRAME_SAMPLES, AUDIO_RATE, Timing, Tracks};

/// A source of unknown last size is taken to grow to this, in pixels of its shorter side.
const SHORT_SIDE_UNKNOWN: u32 = 720;
/// Wished bit rates are held within these, in bits per second.
const VIDEO_BITRATE: std::ops::RangeInclusive<u32> = 50_000..=60_000_000;
/// Bit rates of stereo AAC-LC that encoders take, in bits per second.
const AUDIO_BITRATE: std::ops::RangeInclusive<u32> = 32_000..=320_000;
/// The encoder and preset of every rendition, where whoever starts the transcoder names no other.
const ENCODER: &str = "libx264";
const PRESET: &str = "veryfast";
/// Lines of a thumbnail at most: what a channel card or a link preview shows.
const THUMBNAIL_LINES_MAX: u32 = 360;
/// So often a thumbnail is made. Caches keep one for as long, see the origin.
const THUMBNAIL_INTERVAL: MediaTime = MediaTime(5 * MediaTime::PER_SECOND);
/// Fine enough that no blocks are seen; 10 to 60 kB.
const THUMBNAIL_QUALITY: u8 = 4;
/// The peak rate of the rate control above the average, in percent.
const PEAK_PERCENT: u64 = 110;
/// The rate-control buffer, in percent of a target duration. Any window of at least half a target
/// duration then stays under 125 % of the declared figure: (1 + 2 × 0.3) / (1 + 0.3) = 1.23.
const BUFFER_PERCENT: u32 = 30;
/// From this many lines an encoder gets two threads.
const TWO_THREADS_FROM_LINES: u32 = 720;

/// One rendition that is produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Its name, as in URLs.
    pub name: RenditionName,
    /// Its size, bit rates and buffer.
    pub media: Media,
}

/// What a rendition carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// Pictures.
    Video(VideoPlan),
    /// Sound.
    Audio(AudioPlan),
}

impl Rendition {
    /// The size of its pictures; `None` for sound.
    #[must_use]
    pub fn size(&self) -> Option<PictureSize> {
        match &self.media {
            Media::Video(video) => Some(PictureSize { width: video.width, height: video.height }),
            Media::Audio(_) => None,
        }
    }

    /// Video or audio.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        match self.media {
            Media::Video(_) => TrackKind::Video,
            Media::Audio(_) => TrackKind::Audio,
        }
    }
}

/// The size that a ladder is planned for: a publisher may begin small and grow.
///
/// The actual size, or in its shape the last known one (else 720p) if that is larger.
#[must_use]
pub fn source_size(actual: PictureSize, last: Option<PictureSize>) -> PictureSize {
    let short = |size: PictureSize| size.width.min(size.height);
    let floor = last.map_or(SHORT_SIDE_UNKNOWN, short);
    if short(actual) >= floor || short(actual) == 0 {
        return actual;
    }
    if let Some(last) = last.filter(|&last| same_shape(last, actual)) {
        return last;
    }
    let scale = |side: u32| {
        let scaled = u64::from(side) * u64::from(floor) / u64::from(short(actual));
        u32::try_from(scaled).unwrap_or(side)
    };
    PictureSize { width: scale(actual.width), height: scale(actual.height) }
}

/// True if the sides' ratios differ by less than two percent.
fn same_shape(a: PictureSize, b: PictureSize) -> bool {
    let (x, y) = (u64::from(a.width) * u64::from(b.height), u64::from(b.width) * u64::from(a.height));
    x.abs_diff(y) * 50 < x.max(y)
}

/// The renditions of a broadcast: video best first, then audio. Never empty where there is a track;
/// `source` is `None` for an audio-only broadcast.
#[must_use]
pub fn renditions(
    ladder: &Ladder,
    source: Option<PictureSize>,
    audio: bool,
    profile: LatencyProfile,
) -> Vec<Rendition> {
    let mut renditions: Vec<Rendition> = source
        .map(|source| rungs(ladder, source))
        .unwrap_or_default()
        .into_iter()
        .zip(0..)
        .map(|((size, bitrate), number)| video(number, size, bitrate, profile))
        .collect();
    if audio {
        let rendition = u8::try_from(renditions.len()).unwrap_or(u8::MAX);
        let bitrate = ladder.audio_bitrate.clamp(*AUDIO_BITRATE.start(), *AUDIO_BITRATE.end());
        renditions.push(Rendition { name: name("audio"), media: Media::Audio(AudioPlan { rendition, bitrate }) });
    }
    renditions
}

/// The top rung says that it is coded so: one CODECS string then holds also while the source is passed through.
pub fn set_coding(renditions: &mut [Rendition], coding: Coding) {
    if let Some(Media::Video(top)) = renditions.first_mut().map(|rendition| &mut rendition.media) {
        top.coding = coding;
    }
}

/// The sizes and bit rates within the source, best first, each height once.
fn rungs(ladder: &Ladder, source: PictureSize) -> Vec<(PictureSize, u32)> {
    let mut wishes: Vec<&Rung> = ladder.rungs.iter().take(Ladder::RUNGS_MAX).collect();
    wishes.sort_by_key(|rung| std::cmp::Reverse((rung.height, rung.bitrate)));
    let mut fitting: Vec<(PictureSize, u32)> = wishes
        .iter()
        .filter(|rung| rung.height >= 2 && rung.height <= source.height)
        .map(|rung| (fit(source, rung.height), rung.bitrate))
        .collect();
    if fitting.is_empty() {
        let bitrate = wishes.last().map_or(1_000_000, |rung| rung.bitrate);
        fitting.push((fit(source, source.height), bitrate));
    }
    fitting.dedup_by_key(|(size, _)| size.height);
    fitting
}

/// The source's shape at that height, in even numbers that do not exceed the source.
fn fit(source: PictureSize, height: u32) -> PictureSize {
    let even = |side: u32| (side & !1).max(2);
    let height = even(height);
    let doubled = u64::from(source.width) * u64::from(height) * 2;
    let nearest = (doubled / u64::from(source.height.max(1))).div_ceil(4) * 2;
    let width = u32::try_from(nearest).unwrap_or(source.width);
    PictureSize { width: even(width.min(source.width)), height }
}

fn video(rendition: u8, size: PictureSize, bitrate: u32, profile: LatencyProfile) -> Rendition {
    let bitrate = bitrate.clamp(*VIDEO_BITRATE.start(), *VIDEO_BITRATE.end());
    let peak = u64::from(bitrate) * PEAK_PERCENT / 100;
    let segment_ms = u32::try_from(profile.segment().to_millis()).unwrap_or(u32::MAX);
    let threads = if size.height >= TWO_THREADS_FROM_LINES { 2 } else { 1 };
    Rendition {
        name: name(&format!("{}p", size.height)),
        media: Media::Video(VideoPlan {
            rendition,
            width: size.width,
            height: size.height,
            bitrate,
            bitrate_max: u32::try_from(peak).unwrap_or(u32::MAX),
            buffer_ms: segment_ms / 100 * BUFFER_PERCENT,
            threads,
            coding: Coding::default(),
        }),
    }
}

fn name(text: &str) -> RenditionName {
    text.parse().expect("digits and lower-case letters are a valid name")
}

/// What the worker is told.
#[must_use]
pub fn plan(renditions: &[Rendition], timing: &Timing, start: MediaTime) -> Plan {
    let mut plan = Plan {
        start,
        video: Vec::new(),
        frame_rate: timing.frame_rate,
        keyframe_interval: timing.segment,
        part_frames: u32::try_from(timing.part_frames).unwrap_or(1).max(1),
        audio: None,
        thumbnail: None,
        encoder: ENCODER.into(),
        preset: PRESET.into(),
    };
    for rendition in renditions {
        match &rendition.media {
            Media::Video(video) => plan.video.push(video.clone()),
            Media::Audio(audio) => plan.audio = Some(audio.clone()),
        }
    }
    plan.thumbnail = (!plan.video.is_empty()).then_some(ThumbnailPlan {
        interval: THUMBNAIL_INTERVAL,
        height: THUMBNAIL_LINES_MAX,
        quality: THUMBNAIL_QUALITY,
    });
    plan
}

/// Which kinds of track these renditions have.
#[must_use]
pub fn tracks(renditions: &[Rendition]) -> Tracks {
    let has = |kind| renditions.iter().any(|rendition| rendition.kind() == kind);
    Tracks { video: has(TrackKind::Video), audio: has(TrackKind::Audio) }
}

/// What a rendition costs, in bits per second of what travels, container included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// The peak over a target duration: `BANDWIDTH`.
    pub peak: u64,
    /// The average: `AVERAGE-BANDWIDTH`.
    pub average: u64,
}

impl Bandwidth {
    /// Of both together, as a variant and its audio group are counted (rfc8216bis 4.4.6.2).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { peak: self.peak + other.peak, average: self.average + other.average }
    }
}

/// The bandwidth of one rendition: the encoder's peak rate, its buffer emptied once within a target
/// duration, and the fragments' boxes.
#[must_use]
pub fn bandwidth(media: &Media, timing: &Timing) -> Bandwidth {
    match media {
        Media::Video(video) => {
            let rate = timing.frame_rate;
            let samples = u64::from(rate.numerator).div_ceil(u64::from(rate.denominator.max(1)));
            let boxes = overhead(samples, timing);
            let max = u64::from(video.bitrate_max);
            let segment_ms = u64::from(timing.target_duration_s) * 1000;
            let buffer = max * u64::from(video.buffer_ms) / segment_ms.max(1);
            Bandwidth { peak: max + buffer + boxes, average: u64::from(video.bitrate) + boxes }
        }
        Media::Audio(audio) => {
            let frame = AUDIO_FRAME_SAMPLES.unsigned_abs();
            let boxes = overhead(u64::from(AUDIO_RATE).div_ceil(frame), timing);
            let bitrate = u64::from(audio.bitrate);
            Bandwidth { peak: bitrate + bitrate / 20 + boxes, average: bitrate + boxes }
        }
    }
}

/// Bits per second of boxes, for that many samples per second.
fn overhead(samples_per_second: u64, timing: &Timing) -> u64 {
    let part = timing.frame_rate.time_of(timing.part_frames).0.max(1);
    let parts = u64::try_from((MediaTime::PER_SECOND + part - 1) / part).unwrap_or(1);
    8 * (parts * FRAGMENT_OVERHEAD_BYTES + samples_per_second * SAMPLE_OVERHEAD_BYTES)
}

/// The output frame rate: what the channel says, held within 1 to 60, else the source's.
#[must_use]
pub fn frame_rate(wish: Option<u32>, source: impl FnOnce() -> FrameRate) -> FrameRate {
    wish.map_or_else(source, |rate| FrameRate::new(rate.clamp(1, 60), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    fn sizes(source: PictureSize) -> Vec<(String, u32, u32)> {
        renditions(&Ladder::default(), Some(source), false, LatencyProfile::Low)
            .into_iter()
            .map(|rendition| match rendition.media {
                Media::Video(video) => (rendition.name.as_str().to_owned(), video.width, video.height),
                Media::Audio(_) => unreachable!("no audio was asked for"),
            })
            .collect()
    }

    #[test]
    fn a_browser_that_begins_small_gets_the_ladder_of_its_last_size_or_720p() {
        assert_eq!(source_size(size(320, 180), None), size(1280, 720));
        assert_eq!(source_size(size(320, 180), Some(size(1920, 1080))), size(1920, 1080));
        assert_eq!(source_size(size(1920, 1080), Some(size(1280, 720))), size(1920, 1080));
        assert_eq!(source_size(size(180, 320), None), size(720, 1280));
        assert_eq!(source_size(size(320, 240), Some(size(1280, 720))), size(960, 720));
    }

    #[test]
    fn the_ladder_of_720p_has_no_rung_above_it() {
        let expected = [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)];
        let expected = expected.map(|(name, width, height)| (name.to_owned(), width, height));
        assert_eq!(sizes(size(1280, 720)), expected);
    }

    #[test]
    fn a_source_below_every_rung_is_offered_at_its_own_size() {
        assert_eq!(sizes(size(321, 181)), [("180p".to_owned(), 320, 180)]);
        assert_eq!(sizes(size(1, 1)), [("2p".to_owned(), 2, 2)]);
    }

    #[test]
    fn an_audio_only_broadcast_has_one_rendition() {
        let renditions = renditions(&Ladder::default(), None, true, LatencyProfile::Low);
        assert_eq!(renditions.len(), 1);
        assert_eq!(renditions[0].kind(), TrackKind::Audio);
        assert_eq!(tracks(&renditions), Tracks { video: false, audio: true });
    }

    proptest! {
        #[test]
        fn rungs_are_even_never_exceed_the_source_and_have_names_of_their_own(
            width in 2_u32..8_000, height in 2_u32..8_000,
            wishes in prop::collection::vec((0_u32..4_000, 0_u32..100_000_000), 0..12),
        ) {
            let ladder = Ladder {
                rungs: wishes.into_iter().map(|(height, bitrate)| Rung { height, bitrate }).collect(),
                audio_bitrate: 0,
            };
            let planned = renditions(&ladder, Some(size(width, height)), true, LatencyProfile::Ultra);
            let mut names: Vec<_> = planned.iter().map(|rendition| rendition.name.clone()).collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), planned.len());
            prop_assert!(planned.len() >= 2);
            for (index, rendition) in planned.iter().enumerate() {
                match &rendition.media {
                    Media::Video(video) => {
                        prop_assert_eq!(usize::from(video.rendition), index);
                        prop_assert!(video.width % 2 == 0 && video.height % 2 == 0);
                        prop_assert!(video.width <= width.max(2) && video.height <= height.max(2));
                    }
                    Media::Audio(audio) => prop_assert_eq!(usize::from(audio.rendition), index),
                }
            }
        }

        /// The rate control is a leaky bucket: at most `rate × window + buffer` bits leave in a window.
        #[test]
        fn the_declared_bandwidth_holds_over_every_window_that_counts(
            bitrate in 50_000_u32..60_000_000,
            profile in prop::sample::select(vec![LatencyProfile::Ultra, LatencyProfile::Low, LatencyProfile::Relaxed, LatencyProfile::Classic]),
            window_percent in 50_u64..=150,
        ) {
            let both = Tracks { video: true, audio: true };
            let timing = Timing::new(profile, FrameRate::THIRTY, both);
            let Rendition { media, .. } = video(0, size(1280, 720), bitrate, profile);
            let declared = bandwidth(&media, &timing);
            let Media::Video(video) = media else { unreachable!() };
            let window_ms = u64::from(timing.target_duration_s) * 10 * window_percent;
            let bits_ms = u64::from(video.bitrate_max) * (window_ms + u64::from(video.buffer_ms));
            let boxes = declared.average - u64::from(video.bitrate);
            let measured = bits_ms / window_ms + boxes;
            prop_assert!(measured * 100 < declared.peak * 125, "{measured} of {}", declared.peak);
            prop_assert!(declared.average < declared.peak);
        }
    }
}
