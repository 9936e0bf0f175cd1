//! One video rendition: a thread that encodes the pictures it is given, in order.
//!
//! It changes to a faster encoder and back at an IDR, without a trace in the output but the finer or coarser picture.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{encoder, frame, picture};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec};

use super::outlet::Outlet;
use super::{Counters, WorkerError};
use crate::encoder::{OpenError, Speed, Target};
use crate::wire::{Output, Step, VideoPlan};

/// How many pictures may wait for an encoder; when full, the decoder waits.
pub(super) const QUEUE: usize = 4;

/// Whether a picture must be an IDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Any,
}

/// What an encoder's thread is given.
pub(super) enum Job {
    /// One picture to encode.
    Picture {
        picture: frame::Video,
        /// Its slot on the output's grid.
        slot: i64,
        /// The slot of the next picture.
        until: i64,
        kind: Kind,
        /// What the rendition gives up; it changes with IDRs alone.
        step: Step,
    },
    /// Nothing from this slot on, until the next picture, which is an IDR.
    Rest { slot: i64 },
}

/// What an encoder is opened for.
pub(super) struct Recipe {
    pub(super) video: VideoPlan,
    pub(super) frame_rate: FrameRate,
    /// Its row in the candidates table.
    pub(super) encoder: String,
    pub(super) preset: String,
}

impl Recipe {
    fn open(&self, speed: Speed) -> Result<encoder::video::Encoder, OpenError> {
        let target = Target { video: &self.video, frame_rate: self.frame_rate, preset: &self.preset, speed };
        crate::encoder::open(&self.encoder, &target)
    }
}

/// An open encoder.
struct Encoder {
    codec: encoder::video::Encoder,
    speed: Speed,
}

/// The encoder of one rendition, before and while it runs.
pub(super) struct Rendition<'a> {
    recipe: Recipe,
    /// `None` while the rendition rests.
    encoder: Option<Encoder>,
    /// The parameter sets of the first IDR: those of all later ones.
    parameter_sets: Option<Bytes>,
    /// True once a faster encoder wrote others: from then on there is none.
    keeps_preset: bool,
    step: Step,
    /// Where the picture being encoded ends.
    until: i64,
    outlet: Outlet,
    counters: &'a Counters,
}

impl<'a> Rendition<'a> {
    /// Opens the encoder.
    pub(super) fn new(recipe: Recipe, outlet: Outlet, counters: &'a Counters) -> Result<Self, WorkerError> {
        let speed = Speed::Preset;
        let encoder = Encoder { codec: recipe.open(speed)?, speed };
        Ok(Self {
            recipe,
            encoder: Some(encoder),
            parameter_sets: None,
            keeps_preset: false,
            step: Step::Whole,
            until: 0,
            outlet,
            counters,
        })
    }

    /// Encodes until `jobs` ends, then flushes.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) -> Result<(), WorkerError> {
        while let Ok(job) = jobs.recv() {
            let began = Instant::now();
            let units = match job {
                Job::Picture { mut picture, slot, until, kind, step } => {
                    picture.set_pts(Some(slot));
                    picture.set_kind(match kind {
                        Kind::Key => picture::Type::I,
                        Kind::Any => picture::Type::None,
                    });
                    self.until = until;
                    self.picture(&picture, step, slot)?
                }
                Job::Rest { slot } => self.rest(slot)?,
            };
            self.counters.busy(began);
            self.put_out(units)?;
        }
        let units = self.flush()?;
        self.put_out(units)
    }

    fn picture(&mut self, picture: &frame::Video, step: Step, slot: i64) -> Result<Vec<AccessUnit>, WorkerError> {
        if step != std::mem::replace(&mut self.step, step) {
            self.outlet.say(Output::Paced { rendition: self.recipe.video.rendition, step, at: self.time_of(slot) })?;
        }
        let speed = if self.keeps_preset { Speed::Preset } else { speed_of(step) };
        if let Some(encoder) = &mut self.encoder
            && encoder.speed == speed
        {
            let units = encode(&mut encoder.codec, picture)?;
            return Ok(self.units(units));
        }
        self.change(picture, speed)
    }

    /// Goes on with another encoder from this picture on, if its parameter sets are the same; else as before.
    fn change(&mut self, picture: &frame::Video, speed: Speed) -> Result<Vec<AccessUnit>, WorkerError> {
        let mut codec = self.recipe.open(speed)?;
        let first = encode(&mut codec, picture)?;
        let same = first
            .first()
            .is_some_and(|(data, ..)| self.parameter_sets.as_ref().is_none_or(|known| *known == parameter_sets(data)));
        if same {
            let mut units = self.flush()?;
            units.extend(self.units(first));
            self.encoder = Some(Encoder { codec, speed });
            return Ok(units);
        }
        self.keeps_preset = true;
        self.outlet.say(Output::PresetKept { rendition: self.recipe.video.rendition })?;
        let mut kept = match self.encoder.take() {
            Some(kept) => kept,
            None => Encoder { codec: self.recipe.open(Speed::Preset)?, speed: Speed::Preset },
        };
        let units = encode(&mut kept.codec, picture)?;
        self.encoder = Some(kept);
        Ok(self.units(units))
    }

    fn rest(&mut self, slot: i64) -> Result<Vec<AccessUnit>, WorkerError> {
        let units = self.flush()?;
        self.encoder = None;
        self.step = Step::LowerRung;
        let (rendition, step, at) = (self.recipe.video.rendition, self.step, self.time_of(slot));
        self.outlet.say(Output::Paced { rendition, step, at })?;
        Ok(units)
    }

    /// What the encoder still holds; without look-ahead and reordering that is nothing.
    fn flush(&mut self) -> Result<Vec<AccessUnit>, WorkerError> {
        let Some(encoder) = &mut self.encoder else { return Ok(Vec::new()) };
        encoder.codec.send_eof().map_err(WorkerError::Encode)?;
        let rest = receive(&mut encoder.codec)?;
        Ok(self.units(rest))
    }

    fn units(&mut self, coded: Vec<Coded>) -> Vec<AccessUnit> {
        coded.into_iter().map(|coded| self.unit(coded)).collect()
    }

    fn unit(&mut self, (data, slot, is_key): Coded) -> AccessUnit {
        if is_key && self.parameter_sets.is_none() {
            self.parameter_sets = Some(parameter_sets(&data));
        }
        let pts = self.time_of(slot);
        AccessUnit {
            codec: Codec::H264,
            pts,
            dts: pts,
            duration: Some(self.time_of(self.until.max(slot + 1)) - pts),
            random_access: is_key,
            data,
        }
    }

    fn time_of(&self, slot: i64) -> schema::MediaTime {
        self.recipe.frame_rate.time_of(slot)
    }

    fn put_out(&self, units: Vec<AccessUnit>) -> Result<(), WorkerError> {
        for unit in units {
            self.counters.encoded.fetch_add(1, Ordering::Relaxed);
            self.outlet.say(Output::Encoded { rendition: self.recipe.video.rendition, unit })?;
        }
        Ok(())
    }
}

fn speed_of(step: Step) -> Speed {
    match step {
        Step::Whole => Speed::Preset,
        Step::Faster => Speed::Faster,
        Step::Fastest | Step::HalfRate | Step::LowerRung => Speed::Fastest,
    }
}

/// What an encoder wrote for one picture: its bytes, its slot, and whether it is an IDR.
type Coded = (Bytes, i64, bool);

/// Every backend gives a picture's unit at once.
fn encode(codec: &mut encoder::video::Encoder, picture: &frame::Video) -> Result<Vec<Coded>, WorkerError> {
    codec.send_frame(picture).map_err(WorkerError::Encode)?;
    receive(codec)
}

fn receive(codec: &mut encoder::video::Encoder) -> Result<Vec<Coded>, WorkerError> {
    let mut coded = Vec::new();
    let mut packet = ffmpeg::Packet::empty();
    loop {
        match codec.receive_packet(&mut packet) {
            Ok(()) => {
                let whole = packet.data().zip(packet.pts());
                coded.extend(whole.map(|(data, slot)| (Bytes::copy_from_slice(data), slot, packet.is_key())));
            }
            Err(error) if super::is_drained(error) => return Ok(coded),
            Err(error) => return Err(WorkerError::Encode(error)),
        }
    }
}

/// The parameter sets of an Annex B access unit, one after the other, each behind a start code (ITU-T H.264 B.1).
fn parameter_sets(data: &[u8]) -> Bytes {
    let starts: Vec<usize> =
        data.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    let mut sets = Vec::new();
    for (start, end) in starts.iter().copied().zip(ends) {
        let is_set = data.get(start + 3).is_some_and(|header| matches!(header & 0x1f, 7 | 8));
        if is_set {
            let unit = &data[start..end];
            // A zero byte before the next start code belongs to that.
            let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            sets.extend_from_slice(&unit[..length]);
        }
    }
    sets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_found_whatever_start_codes_are_around() {
        let data = [&[0, 0, 0, 1, 0x67, 1, 2][..], &[0, 0, 1, 0x68, 3], &[0, 0, 0, 1, 0x06, 9], &[0, 0, 1, 0x65, 0x88]]
            .concat();
        assert_eq!(parameter_sets(&data)[..], [0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3]);
        assert!(parameter_sets(&[0, 0, 1]).is_empty());
        assert!(parameter_sets(&[]).is_empty());
    }
}
