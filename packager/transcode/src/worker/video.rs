//! The video path up to the encoders: decode once, put pictures on the grid, scale, hand on.
//!
//! Pictures with decoding errors are never shown: from one on, everything up to the next keyframe is dropped.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use bytes::Bytes;
use ffmpeg_next::frame;
use schema::ladder::PictureSize;
use schema::{AccessUnit, MediaTime};

use super::decoder::{Corrupt, Decoder};
use super::encoders::Encoders;
use super::keys::Keys;
use super::outlet::Outlet;
use super::rendition::Job;
use super::scale::{Scaler, Shape};
use super::slate::Slate;
use super::thumbnail::Thumbnails;
use super::{Counters, WorkerError};
use crate::ffi;
use crate::grid::{Grid, Placement};
use crate::wire::{Output, Plan, SLATE_AFTER, Step, VideoPlan};

/// While no keyframe comes, one is asked for so often.
const KEYFRAME_WISH_INTERVAL: MediaTime = MediaTime::SECOND;

/// Whether the decoder has what it needs.
enum Sync {
    /// Nothing can be decoded before a keyframe; when one was last asked for.
    Waiting {
        asked: Option<MediaTime>,
    },
    Running,
}

pub(super) struct Video<'a> {
    /// Opened by the first unit that says its codec.
    decoder: Option<Decoder>,
    sync: Sync,
    grid: Grid,
    plans: Vec<VideoPlan>,
    keys: Keys,
    scaler: Option<Scaler>,
    /// The source's newest picture, and the size that was told of it.
    source: Option<frame::Video>,
    told: Option<PictureSize>,
    /// The newest picture of each rendition that is encoded, to be repeated.
    newest: Vec<frame::Video>,
    /// When it was shown; `None` before the first.
    shown: Option<MediaTime>,
    slate: Slate,
    encoders: Encoders,
    thumbnails: Thumbnails,
    outlet: Outlet,
    counters: &'a Counters,
}

impl<'a> Video<'a> {
    /// The video path of `plan`, with one encoder's queue for each of its video renditions.
    pub(super) fn new(
        plan: &Plan,
        encoders: Vec<SyncSender<Job>>,
        thumbnails: Thumbnails,
        outlet: Outlet,
        counters: &'a Counters,
    ) -> Self {
        Self {
            decoder: None,
            sync: Sync::Waiting { asked: None },
            grid: Grid::new(plan.frame_rate, plan.keyframe_interval, plan.start),
            plans: plan.video.clone(),
            keys: Keys::default(),
            scaler: None,
            source: None,
            told: None,
            newest: Vec::new(),
            shown: None,
            slate: Slate::default(),
            encoders: Encoders::new(plan, encoders),
            thumbnails,
            outlet,
            counters,
        }
    }

    /// A rendition gives up so much from its next IDR on.
    pub(super) fn pace(&mut self, rendition: u8, step: Step) {
        self.encoders.pace(rendition, step);
    }

    /// From the slot at `at` on the largest rendition is not encoded; see [`crate::wire::Input::Pass`].
    pub(super) fn pass(&mut self, at: MediaTime) -> Result<(), WorkerError> {
        self.fill_up_to(at - MediaTime(1))?;
        self.encoders.set_idle(1);
        self.keys.lead();
        self.scale_anew()
    }

    /// From the slot at `at` on all renditions are encoded again; see [`crate::wire::Input::Encode`].
    pub(super) fn encode(&mut self, at: MediaTime) -> Result<(), WorkerError> {
        self.fill_up_to(at - MediaTime(1))?;
        self.grid.begin_at(at);
        self.encoders.set_idle(0);
        self.keys.follow_grid(self.grid.next());
        self.scale_anew()
    }

    /// Takes the next coded picture of the feed.
    pub(super) fn unit(&mut self, unit: &AccessUnit) -> Result<(), WorkerError> {
        if unit.random_access {
            self.keys.keyframe(self.grid.slot_of(unit.pts));
        }
        if matches!(self.sync, Sync::Waiting { .. }) && !unit.random_access {
            self.outlet.discarded("before_keyframe")?;
            return self.ask_for_keyframe(unit.pts);
        }
        let began = Instant::now();
        let decoded = self.decoder(unit)?.decode(unit);
        self.counters.busy(began);
        match decoded {
            Ok(pictures) => pictures.iter().try_for_each(|picture| self.picture(picture)),
            Err(Corrupt) => self.lose(unit.pts),
        }
    }

    /// The decoder for a unit: flushed where decoding begins anew, another one where the codec is another.
    fn decoder(&mut self, unit: &AccessUnit) -> Result<&mut Decoder, WorkerError> {
        let begins = matches!(self.sync, Sync::Waiting { .. });
        self.sync = Sync::Running;
        let kept = self.decoder.take().filter(|decoder| decoder.codec() == unit.codec);
        let decoder = match kept {
            Some(mut decoder) => {
                if begins {
                    decoder.flush();
                }
                decoder
            }
            None => Decoder::open(unit.codec).map_err(WorkerError::OpenDecoder)?,
        };
        Ok(self.decoder.insert(decoder))
    }

    /// Shows something up to `time`, though no picture came.
    pub(super) fn fill_up_to(&mut self, time: MediaTime) -> Result<(), WorkerError> {
        self.grid.fill_up_to(time).try_for_each(|slot| self.repeat(slot))
    }

    /// Another picture is the slate from here on.
    pub(super) fn set_slate(&mut self, file: Bytes) {
        self.slate = Slate::of(file);
    }

    /// Another publisher's units follow: they begin with a keyframe.
    pub(super) fn switch(&mut self) {
        self.sync = Sync::Waiting { asked: None };
    }

    /// Gives a unit up, and everything after it up to the next keyframe.
    fn lose(&mut self, pts: MediaTime) -> Result<(), WorkerError> {
        self.sync = Sync::Waiting { asked: None };
        self.outlet.discarded("corrupt")?;
        self.ask_for_keyframe(pts)
    }

    fn ask_for_keyframe(&mut self, now: MediaTime) -> Result<(), WorkerError> {
        let Sync::Waiting { asked } = &mut self.sync else {
            return Ok(());
        };
        if asked.is_some_and(|asked| now - asked < KEYFRAME_WISH_INTERVAL) {
            return Ok(());
        }
        *asked = Some(now);
        self.outlet.say(Output::KeyframeWanted)
    }

    fn picture(&mut self, picture: &frame::Video) -> Result<(), WorkerError> {
        self.counters.decoded.fetch_add(1, Ordering::Relaxed);
        let Some(pts) = picture.pts().map(MediaTime) else {
            return self.outlet.discarded("unsupported");
        };
        let placement = self.grid.place(pts);
        match placement {
            Placement::Begin { slots } => {
                self.scale(picture, pts)?;
                slots.into_iter().try_for_each(|slot| self.show_newest(slot))
            }
            Placement::Show { repeat, slot } => {
                for empty in repeat {
                    self.repeat(empty)?;
                }
                self.scale(picture, pts)?;
                self.show_newest(slot)
            }
            Placement::Hold => self.scale(picture, pts),
            Placement::Skip => {
                self.counters.skipped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Placement::TooFar => Err(WorkerError::Jump("video")),
        }
    }

    /// Shows the newest picture once more, or the slate where there is none or it is old.
    fn repeat(&mut self, slot: i64) -> Result<(), WorkerError> {
        if self.encoders.idle() == self.plans.len() {
            return Ok(()); // nobody would see it
        }
        let time = self.grid.time_of(slot);
        if self.shown.is_some_and(|shown| time - shown < SLATE_AFTER) {
            self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            return self.show_newest(slot);
        }
        let beat = self.keys.beat(slot, &self.grid);
        let (slate, idle) = (self.slate.pictures(&self.plans, &self.outlet)?, self.encoders.idle());
        self.counters.slate.fetch_add(1, Ordering::Relaxed);
        self.encoders.hand_on(&slate[idle..], beat, time, &self.outlet)
    }

    /// Makes `picture` the newest one of each rendition.
    fn scale(&mut self, picture: &frame::Video, pts: MediaTime) -> Result<(), WorkerError> {
        self.shown = Some(pts);
        let began = Instant::now();
        let shape = Shape::of(picture);
        if self.told.replace(shape.size) != Some(shape.size) {
            self.outlet.say(Output::SourceSize { width: shape.size.width, height: shape.size.height })?;
        }
        let encoded = &self.plans[self.encoders.idle()..];
        if !encoded.is_empty() && self.scaler.as_ref().map(Scaler::shape) != Some(shape) {
            self.scaler = Some(Scaler::new(shape, encoded).map_err(WorkerError::Scale)?);
        }
        if let Some(scaler) = &mut self.scaler {
            self.newest = scaler.scale(picture).map_err(WorkerError::Scale)?;
        }
        self.source = Some(ffi::share(picture).map_err(WorkerError::Scale)?);
        self.counters.busy(began);
        self.thumbnails.offer(picture);
        Ok(())
    }

    /// Other renditions are encoded now: the newest picture is scaled for these.
    fn scale_anew(&mut self) -> Result<(), WorkerError> {
        (self.scaler, self.newest) = (None, Vec::new());
        match (self.source.take(), self.shown) {
            (Some(picture), Some(shown)) => self.scale(&picture, shown),
            _ => Ok(()),
        }
    }

    fn show_newest(&mut self, slot: i64) -> Result<(), WorkerError> {
        let beat = self.keys.beat(slot, &self.grid);
        self.encoders.hand_on(&self.newest, beat, self.grid.time_of(slot), &self.outlet)
    }
}
