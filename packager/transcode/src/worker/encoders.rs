//! The way to all encoders of pictures, and which of them have nothing to do.

use std::sync::mpsc::SyncSender;

use ffmpeg_next::frame;
use schema::MediaTime;

use super::WorkerError;
use super::keys::Beat;
use super::outlet::Outlet;
use super::pacing::{self, Pacing, Turnout};
use super::rendition::{Job, Kind};
use crate::ffi;
use crate::wire::{Origin, Output, Plan, Step, Turn, VideoPlan};

/// The way to all encoders, the largest rendition's first, and what each leaves out.
pub(super) struct Encoders {
    rungs: Vec<Encoding>,
    part_frames: u32,
    /// How many of the largest renditions are passed through, and not encoded.
    idle: usize,
}

struct Encoding {
    rendition: u8,
    queue: SyncSender<Job>,
    pacing: Pacing,
    /// Where the rendition's units come from.
    origin: Origin,
}

impl Encoders {
    /// One queue for each video rendition of `plan`, in its order.
    pub(super) fn new(plan: &Plan, queues: Vec<SyncSender<Job>>) -> Self {
        let encoding = |(video, queue): (&VideoPlan, _)| Encoding {
            rendition: video.rendition,
            queue,
            pacing: Pacing::default(),
            origin: Origin::Own,
        };
        let rungs = plan.video.iter().zip(queues).map(encoding).collect();
        Self { rungs, part_frames: plan.part_frames, idle: 0 }
    }

    /// A rendition gives up so much from its next IDR on.
    pub(super) fn pace(&mut self, rendition: u8, step: Step) {
        // Nothing stands in for the smallest.
        let is_last = self.rungs.last().is_some_and(|last| last.rendition == rendition);
        let step = if is_last { step.min(Step::HalfRate) } else { step };
        if let Some(encoding) = self.rungs.iter_mut().find(|encoding| encoding.rendition == rendition) {
            encoding.pacing.want(step);
        }
    }

    /// So many of the largest are passed through from here on. Whoever tells that tells, too, where their units come
    /// from: what they gave up before is forgotten.
    pub(super) fn set_idle(&mut self, idle: usize) {
        let changed = idle.max(self.idle).min(self.rungs.len());
        for encoding in &mut self.rungs[..changed] {
            encoding.pacing.wake();
            encoding.origin = Origin::Own;
        }
        self.idle = idle.min(self.rungs.len());
    }

    /// How many of the largest are passed through.
    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    /// Hands each encoder its picture for the slot of `beat`, at `time`, but those that leave it out. There is a picture for
    /// each that is not idle.
    pub(super) fn hand_on(
        &mut self,
        pictures: &[frame::Video],
        beat: Beat,
        time: MediaTime,
        outlet: &Outlet,
    ) -> Result<(), WorkerError> {
        let (slot, part_frames) = (beat.slot, self.part_frames);
        let encoded = self.rungs[self.idle..].iter_mut();
        let turnouts: Vec<Turnout> = encoded.map(|encoding| encoding.pacing.turn_out(beat, part_frames)).collect();
        self.turn(time, outlet)?;
        let kind = if beat.is_key { Kind::Key } else { Kind::Any };
        for ((picture, encoding), turnout) in pictures.iter().zip(&self.rungs[self.idle..]).zip(turnouts) {
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

    /// Tells, before anything from `at` on is encoded, which renditions' units come from elsewhere from there on.
    fn turn(&mut self, at: MediaTime, outlet: &Outlet) -> Result<(), WorkerError> {
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
        outlet.say(Output::Turn(Turn { at, origins, law: None }))
    }
}
