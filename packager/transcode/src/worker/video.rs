//! The video path up to the encoders: decode once, put pictures on the grid, scale, hand on.
//!
//! Pictures with decoding errors are never shown: from one on, everything up to the next keyframe is dropped.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use bytes::Bytes;
use ffmpeg_next::frame;
use schema::{AccessUnit, MediaTime};

use super::decoder::{Corrupt, Decoder};
use super::grid::{Grid, Placement};
use super::outlet::Outlet;
use super::pacing::{self, Pacing, Turnout};
use super::rendition::{Job, Kind};
use super::scale::{Scaler, Shape};
use super::slate::Slate;
use super::thumbnail::Thumbnails;
use super::{Counters, WorkerError};
use crate::ffi;
use crate::wire::{Origin, Output, Plan, SLATE_AFTER, Step, Turn, VideoPlan};

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
    /// When it was shown; `None` before the first.
    shown: Option<MediaTime>,
    slate: Slate,
    encoders: Encoders,
    thumbnails: Thumbnails,
    outlet: Outlet,
    counters: &'a Counters,
}

/// The way to all encoders, the largest rendition's first, and what each leaves out.
struct Encoders {
    rungs: Vec<Encoding>,
    part_frames: u32,
}

struct Encoding {
    rendition: u8,
    queue: SyncSender<Job>,
    pacing: Pacing,
    /// Where the rendition's units come from.
    origin: Origin,
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
        // Nothing stands in for the smallest.
        let is_last = self.plans.last().is_some_and(|last| last.rendition == rendition);
        let step = if is_last { step.min(Step::HalfRate) } else { step };
        if let Some(encoding) = self.encoders.rungs.iter_mut().find(|encoding| encoding.rendition == rendition) {
            encoding.pacing.want(step);
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
        let time = self.grid.time_of(slot);
        if self.shown.is_some_and(|shown| time - shown < SLATE_AFTER) {
            self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            return self.show_newest(slot);
        }
        let slate = self.slate.pictures(&self.plans, &self.outlet)?;
        self.counters.slate.fetch_add(1, Ordering::Relaxed);
        self.encoders.hand_on(slate, slot, &self.grid, &self.outlet)
    }

    /// Makes `picture` the newest one of each rendition.
    fn scale(&mut self, picture: &frame::Video, pts: MediaTime) -> Result<(), WorkerError> {
        self.shown = Some(pts);
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

    fn show_newest(&mut self, slot: i64) -> Result<(), WorkerError> {
        self.encoders.hand_on(&self.newest, slot, &self.grid, &self.outlet)
    }
}

impl Encoders {
    fn new(plan: &Plan, queues: Vec<SyncSender<Job>>) -> Self {
        let encoding = |(video, queue): (&VideoPlan, _)| Encoding {
            rendition: video.rendition,
            queue,
            pacing: Pacing::default(),
            origin: Origin::Own,
        };
        Self { rungs: plan.video.iter().zip(queues).map(encoding).collect(), part_frames: plan.part_frames }
    }

    /// Hands each encoder its picture for `slot`, but those that leave it out.
    fn hand_on(
        &mut self,
        pictures: &[frame::Video],
        slot: i64,
        grid: &Grid,
        outlet: &Outlet,
    ) -> Result<(), WorkerError> {
        let part_frames = self.part_frames;
        let turnouts: Vec<Turnout> =
            self.rungs.iter_mut().map(|encoding| encoding.pacing.turn_out(slot, grid, part_frames)).collect();
        self.turn(slot, grid, outlet)?;
        let kind = if grid.is_key(slot) { Kind::Key } else { Kind::Any };
        for ((picture, encoding), turnout) in pictures.iter().zip(&self.rungs).zip(turnouts) {
            let job = match turnout {
                Turnout::Encode { until } => {
                    let picture = ffi::share(picture).map_err(WorkerError::Scale)?;
                    Job::Picture { picture, slot, until, kind, step: encoding.pacing.step() }
                }
                Turnout::Rest => Job::Rest { slot },
                Turnout::Omit => continue,
            };
            encoding.queue.send(job).map_err(|_| WorkerError::EncoderGone)?;
        }
        Ok(())
    }

    /// Tells, before anything of this slot is encoded, which renditions' units come from elsewhere from here on.
    fn turn(&mut self, slot: i64, grid: &Grid, outlet: &Outlet) -> Result<(), WorkerError> {
        let steps: Vec<(u8, Step)> =
            self.rungs.iter().map(|encoding| (encoding.rendition, encoding.pacing.step())).collect();
        let mut origins = Vec::new();
        for (encoding, origin) in self.rungs.iter_mut().zip(pacing::origins(&steps)) {
            if origin != std::mem::replace(&mut encoding.origin, origin) {
                origins.push((encoding.rendition, origin));
            }
        }
        if origins.is_empty() {
            return Ok(());
        }
        outlet.say(Output::Turn(Turn { at: grid.time_of(slot), origins, law: None }))
    }
}
