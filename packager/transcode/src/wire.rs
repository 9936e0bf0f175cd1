//! The messages between a node and its transcode worker, and their framing.

mod framing;

pub use framing::{
    HEADER_BYTES_MAX, Message, PAYLOAD_BYTES_MAX, ReadError, WriteError, read, read_async, write, write_async,
};

use bytes::Bytes;
use schema::ladder::{FrameRate, PictureSize};
use schema::{AccessUnit, MediaTime};
use serde::{Deserialize, Serialize};

/// How long media may stay away before the output goes on without them.
pub const PATIENCE: MediaTime = MediaTime(MediaTime::PER_SECOND * 3 / 10);
/// How long the last picture is held before the slate is shown.
pub const SLATE_AFTER: MediaTime = MediaTime(MediaTime::PER_SECOND * 3);

/// What a worker is to make of a feed, once for its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the output begins: nothing before this time is put out, and the IDR grid counts from [`MediaTime::ZERO`].
    pub start: MediaTime,
    /// The video renditions, largest first, as index into the broadcast's renditions; empty for an audio-only feed.
    pub video: Vec<VideoPlan>,
    /// The output frame rate of all video renditions; pictures lie at whole multiples of its frame from zero.
    pub frame_rate: FrameRate,
    /// IDRs are forced at the first picture at or after each whole multiple of this.
    pub keyframe_interval: MediaTime,
    /// Pictures in a part, counted from each IDR: at half the frame rate each part still begins with a picture.
    pub part_frames: u32,
    /// The audio rendition; `None` for a video-only feed.
    pub audio: Option<AudioPlan>,
    /// The small pictures of the feed; `None` for none. Without a video rendition there are none either.
    pub thumbnail: Option<ThumbnailPlan>,
    /// The encoder's row in the candidates table, such as `libx264`.
    pub encoder: String,
    /// The encoder's speed preset, such as `veryfast`.
    pub preset: String,
}

/// What a video rendition gives up so that encoding keeps up with the feed; each step includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Step {
    /// Nothing.
    #[default]
    Whole,
    /// A cheaper preset.
    Faster,
    /// The cheapest preset that leaves the parameter sets as they are.
    Fastest,
    /// Every other picture.
    HalfRate,
    /// Its own encoder: the next lower rendition's media stand in its place.
    LowerRung,
}

/// One video rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// Its number among the broadcast's renditions.
    pub rendition: u8,
    /// Columns, even.
    pub width: u32,
    /// Lines, even.
    pub height: u32,
    /// Average bit rate, in bits per second.
    pub bitrate: u32,
    /// The largest bit rate over [`VideoPlan::buffer_ms`], in bits per second.
    pub bitrate_max: u32,
    /// The length of the rate-control buffer, in milliseconds of `bitrate_max`.
    pub buffer_ms: u32,
    /// Encoder threads.
    pub threads: u32,
    /// What the coded pictures say of themselves.
    pub coding: Coding,
}

/// Profile and level of an H.264 stream (ISO/IEC 14496-10 A.2, A.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coding {
    /// The profile.
    pub profile: Profile,
    /// `level_idc`, ten times the level; `None` for the lowest that suffices.
    pub level: Option<u8>,
}

/// The profiles that encoders are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Constrained Baseline.
    Baseline,
    /// Main.
    Main,
    /// High.
    #[default]
    High,
}

impl Profile {
    /// The word that encoders know it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Main => "main",
            Self::High => "high",
        }
    }
}

/// The audio rendition: AAC-LC, 48 kHz, stereo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// Its number among the broadcast's renditions.
    pub rendition: u8,
    /// Bit rate, in bits per second.
    pub bitrate: u32,
}

/// Thumbnails: small JPEGs of the source's newest picture, without black bars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThumbnailPlan {
    /// One is made so often: the first as soon as there is a picture, the second after half of this.
    pub interval: MediaTime,
    /// The most lines. The width follows the picture's shape; nothing is enlarged.
    pub height: u32,
    /// The quantiser of FFmpeg's `mjpeg`, from 2 (finest) to 31.
    pub quality: u8,
}

/// The longest thumbnail, in bytes; a longer one is left out. Far above what 360 lines take.
pub const THUMBNAIL_BYTES_MAX: usize = 512 * 1024;

/// Node to worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The first message, once.
    Start(Plan),
    /// The next access unit of the feed.
    Unit(AccessUnit),
    /// The picture to show while there is none of a publisher's; the worker's own if this cannot be decoded.
    Slate {
        /// A PNG or JPEG file; it travels as the payload.
        #[serde(skip)]
        data: Bytes,
    },
    /// Another publisher's media follow: what was not decoded yet of the one before never will be.
    Switch,
    /// By the clock, the media that a feed would bring now have these times. What stays away for
    /// [`PATIENCE`] is made up: the picture is held, and replaced by the slate after [`SLATE_AFTER`]; sound is silence.
    Clock {
        /// Of pictures.
        video: MediaTime,
        /// Of sound.
        audio: MediaTime,
    },
    /// From its next IDR on, a video rendition gives up so much; the same again changes nothing.
    Pace {
        /// The rendition's number.
        rendition: u8,
        /// How much.
        step: Step,
    },
    /// From the slot at `at` on the largest rendition is not encoded, and the others have their IDRs where the source has its
    /// keyframes; the first is the next unit, in that slot. Where there is no other, pictures may be left out.
    Pass {
        /// The slot's time.
        at: MediaTime,
    },
    /// From the slot at `at` on all renditions are encoded again, and begin with an IDR there. Pictures of earlier slots
    /// that follow are decoded and not shown.
    Encode {
        /// The slot's time.
        at: MediaTime,
    },
    /// Nothing follows: flush the encoders, say [`Output::Finished`] and exit.
    Finish,
}

/// Where the units of a video rendition come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From the encoder of its own number.
    Own,
    /// From the publisher, as they came.
    Source,
    /// From the encoder of another rendition, of that number. That encoder must run.
    Rendition(u8),
}

/// Where segments begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Law {
    /// At the first slot at or after each whole multiple of [`Plan::keyframe_interval`].
    Grid,
    /// At keyframes of the source: at the last one that leaves no segment too long, if no group of pictures is
    /// longer than this.
    Led {
        /// The longest group of pictures, in slots.
        gop: u32,
    },
}

/// A change of regime at one instant: all renditions end their segment there, and go on behind a discontinuity.
///
/// It must be said before any video unit at or after `at`, and every encoder must begin with an IDR there. One of a worker
/// that comes while a source leads waits until that begins a segment: the worker's encoders have their IDRs there too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The first slot of what is new.
    pub at: MediaTime,
    /// The renditions whose units come from elsewhere now, by number. Each gets a new init section; the others keep theirs.
    pub origins: Vec<(u8, Origin)>,
    /// The law of cuts from there on; `None` if it stays.
    pub law: Option<Law>,
}

/// Worker to node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The audio encoder is open: its AudioSpecificConfig (ISO/IEC 14496-3 1.6). Comes before the first audio unit.
    AudioConfig {
        /// The rendition's number.
        rendition: u8,
        /// The bytes.
        config: Vec<u8>,
    },
    /// One coded unit of a rendition; `duration` is always known, video is Annex B with SPS and PPS before each IDR.
    Encoded {
        /// The rendition's number.
        rendition: u8,
        /// The unit.
        unit: AccessUnit,
    },
    /// What is encoded changes. Comes before any unit of the new.
    Turn(Turn),
    /// The source's picture size became known or changed.
    SourceSize {
        /// Columns.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// An input unit could not be decoded and was dropped; the picture goes on at the next keyframe.
    Discarded {
        /// A bounded word: `corrupt`, `before_keyframe`, `late`, `unsupported`; `slate` for a slate, `thumbnail` for a thumbnail that was
        /// left out, which costs no unit.
        reason: String,
    },
    /// A thumbnail of the source.
    Thumbnail {
        /// The picture's time.
        pts: MediaTime,
        /// The thumbnail's size, in square pixels.
        size: PictureSize,
        /// The JPEG file, [`THUMBNAIL_BYTES_MAX`] at most.
        #[serde(skip)]
        data: Bytes,
    },
    /// A video rendition gives up so much from this time on, as it was told by [`Input::Pace`].
    Paced {
        /// The rendition's number.
        rendition: u8,
        /// How much.
        step: Step,
        /// The time of its first picture of this step; with [`Step::LowerRung`] of the first that it leaves out.
        at: MediaTime,
    },
    /// A video rendition keeps its preset whatever it is told, as a cheaper one would change its parameter sets.
    PresetKept {
        /// The rendition's number.
        rendition: u8,
    },
    /// The decoder needs a keyframe to go on.
    KeyframeWanted,
    /// A few times a second, whatever the codecs do: the worker's process runs.
    Alive,
    /// Every two seconds of media: how fast the encoders are.
    Statistics(Statistics),
    /// Everything is flushed; the worker exits.
    Finished,
    /// The worker cannot go on, in one line; it exits.
    Failed(String),
}

/// Counters of a worker since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Input pictures decoded.
    pub pictures_decoded: u64,
    /// Output pictures encoded, over all renditions.
    pub pictures_encoded: u64,
    /// Output pictures that repeat an earlier one to hold the frame rate.
    pub pictures_repeated: u64,
    /// Input pictures left out to hold the frame rate.
    pub pictures_skipped: u64,
    /// Output pictures that show the slate.
    pub pictures_slate: u64,
    /// Time spent working, in microseconds.
    pub busy_us: u64,
    /// Processor time of the worker's process, in microseconds; zero for a worker that is a thread.
    pub cpu_us: u64,
    /// Media time worked through.
    pub media: MediaTime,
}
