//! The video path up to the encoders: decode once, put pictures on the grid, scale, hand on.
//!
//! Pictures with decoding errors are never shown: from one on, everything up to the next keyframe is dropped.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use ffmpeg_next::frame;
use schema::{AccessUnit, MediaTime};

use super::decoder::{Corrupt, Decoder};
use super::grid::{Grid, Placement};
use super::outlet::Outlet;
use super::rendition::{Job, Kind};
use super::scale::{Scaler, Shape};
use super::thumbnail::Thumbnails;
use super::{Counters, WorkerError};
use crate::ffi;
use crate::wire::{Output, Plan, VideoPlan};

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
    scaler: Option<Scaler>,
    /// The newest picture of each rendition, to be repeated.
    newest: Vec<frame::Video>,
    encoders: Vec<SyncSender<Job>>,
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
            scaler: None,
            newest: Vec::new(),
            encoders,
            thumbnails,
            outlet,
            counters,
        }
    }

    /// Takes the next coded picture of the feed.
    pub(super) fn unit(&mut self, unit: &AccessUnit) -> Result<(), WorkerError> {
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

    /// Repeats the newest picture up to `time`: the feed has gone on without one.
    pub(super) fn fill_up_to(&mut self, time: MediaTime) -> Result<(), WorkerError> {
        if self.newest.is_empty() {
            return Ok(());
        }
        self.grid.fill_up_to(time).try_for_each(|slot| self.repeat(slot))
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
        match self.grid.place(pts) {
            Placement::Begin { slots } => {
                self.scale(picture)?;
                slots.into_iter().try_for_each(|slot| self.hand_on(slot))
            }
            Placement::Show { repeat, slot } => {
                for empty in repeat {
                    self.repeat(empty)?;
                }
                self.scale(picture)?;
                self.hand_on(slot)
            }
            Placement::Hold => self.scale(picture),
            Placement::Skip => {
                self.counters.skipped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Placement::TooFar => Err(WorkerError::Jump("video")),
        }
    }

    fn repeat(&mut self, slot: i64) -> Result<(), WorkerError> {
        self.counters.repeated.fetch_add(1, Ordering::Relaxed);
        self.hand_on(slot)
    }

    /// Makes `picture` the newest one of each rendition.
    fn scale(&mut self, picture: &frame::Video) -> Result<(), WorkerError> {
        let began = Instant::now();
        let shape = Shape::of(picture);
        let before = self.scaler.as_ref().map(Scaler::shape);
        if before.map(|before| before.size) != Some(shape.size) {
            self.outlet.say(Output::SourceSize { width: shape.size.width, height: shape.size.height })?;
        }
        if before != Some(shape) {
            self.scaler = Some(Scaler::new(shape, &self.plans).map_err(WorkerError::Scale)?);
        }
        if let Some(scaler) = &mut self.scaler {
            self.newest = scaler.scale(picture).map_err(WorkerError::Scale)?;
        }
        self.counters.busy(began);
        self.thumbnails.offer(picture);
        Ok(())
    }

    /// Hands the newest picture to every encoder, for `slot`.
    fn hand_on(&self, slot: i64) -> Result<(), WorkerError> {
        let kind = if self.grid.is_key(slot) { Kind::Key } else { Kind::Any };
        for (picture, encoder) in self.newest.iter().zip(&self.encoders) {
            let job = Job { picture: ffi::share(picture).map_err(WorkerError::Scale)?, slot, kind };
            encoder.send(job).map_err(|_| WorkerError::EncoderGone)?;
        }
        Ok(())
    }
}
