//! The ladder as data: what a channel wishes to offer. What is really produced is planned by the packager.

use serde::{Deserialize, Serialize};

use crate::time::MediaTime;

/// How much latency a channel trades for robustness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatencyProfile {
    /// Parts of about 0.2 s, segments of 1 s.
    Ultra,
    /// Parts of about 1/3 s, segments of 2 s.
    #[default]
    Low,
    /// Parts of about 1 s, segments of 4 s.
    Relaxed,
    /// No parts, segments of 6 s.
    Classic,
}

impl LatencyProfile {
    /// The profile's word in config, API and playlists' state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ultra => "ultra",
            Self::Low => "low",
            Self::Relaxed => "relaxed",
            Self::Classic => "classic",
        }
    }

    /// The wished length of a part; `None` where the profile has no parts.
    #[must_use]
    pub fn part(self) -> Option<MediaTime> {
        match self {
            Self::Ultra => Some(MediaTime::from_millis(200)),
            Self::Low => Some(MediaTime(MediaTime::PER_SECOND / 3)),
            Self::Relaxed => Some(MediaTime::SECOND),
            Self::Classic => None,
        }
    }

    /// The length of a segment, and the grid on which IDRs are forced.
    #[must_use]
    pub fn segment(self) -> MediaTime {
        MediaTime::from_millis(match self {
            Self::Ultra => 1_000,
            Self::Low => 2_000,
            Self::Relaxed => 4_000,
            Self::Classic => 6_000,
        })
    }
}

/// A frame rate as a fraction, in frames per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    /// Frames…
    pub numerator: u32,
    /// …in so many seconds.
    pub denominator: u32,
}

impl FrameRate {
    /// Thirty frames a second, the rate where nothing better is known.
    pub const THIRTY: Self = Self::new(30, 1);

    /// `numerator / denominator` frames per second; both must be above zero.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self { numerator, denominator }
    }

    /// The time of frame number `index` of this rate, exact for every usual rate.
    #[must_use]
    pub fn time_of(self, index: i64) -> MediaTime {
        let product = i128::from(index) * i128::from(MediaTime::PER_SECOND) * i128::from(self.denominator);
        let time = product.div_euclid(i128::from(self.numerator.max(1)));
        MediaTime(i64::try_from(time).unwrap_or(i64::MAX))
    }

    /// The length of one frame.
    #[must_use]
    pub fn frame(self) -> MediaTime {
        self.time_of(1)
    }

    /// Frames per second, for people and playlists.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// One wish in a ladder: a picture height and what it may cost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rung {
    /// The picture's height in lines; the width follows the source's shape.
    pub height: u32,
    /// The wished average video bit rate, in bits per second.
    pub bitrate: u32,
}

/// What a channel wishes to offer, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The video rungs, at most [`Ladder::RUNGS_MAX`].
    pub rungs: Vec<Rung>,
    /// The bit rate of the stereo AAC group, in bits per second.
    pub audio_bitrate: u32,
}

impl Ladder {
    /// More rungs than this are refused: each is an encoder.
    pub const RUNGS_MAX: usize = 8;
}

impl Default for Ladder {
    fn default() -> Self {
        let rung = |height, bitrate| Rung { height, bitrate };
        Self {
            rungs: vec![rung(1080, 4_500_000), rung(720, 2_500_000), rung(480, 1_200_000), rung(360, 700_000)],
            audio_bitrate: 128_000,
        }
    }
}

/// A picture's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PictureSize {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

impl PictureSize {
    /// Pixels in all.
    #[must_use]
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}
