//! The audio path: a thread that decodes Opus, makes it gapless, and encodes AAC-LC at 48 kHz stereo.
//!
//! The encoder's priming is taken off the timeline: a unit's time is that of the samples it decodes
//! to, so the first one, which lies 1,024 samples before the first sample, is not put out.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::sample::{Sample, Type};
use ffmpeg_next::{ChannelLayout, decoder, encoder, frame};
use schema::{AccessUnit, Codec, MediaTime};

use super::outlet::Outlet;
use super::timeline::Timeline;
use super::{Counters, WorkerError};
use crate::ffi;
use crate::wire::{AudioPlan, Output};

/// How many jobs may wait; when full, the feed waits. 1.3 s of Opus.
pub(super) const QUEUE: usize = 64;

/// What the thread is told.
pub(super) enum Job {
    /// The next unit.
    Unit(AccessUnit),
    /// Silence up to this time, if nothing else came.
    FillUpTo(MediaTime),
    /// Another publisher's units follow.
    Switch,
}

const RATE: u32 = 48_000;
/// Samples in one AAC unit.
const UNIT: usize = 1024;
/// Media time of one sample: the unit divides 48 kHz without a rest.
const SAMPLE: i64 = MediaTime::PER_SECOND / 48_000;

/// Left and right.
type Planes = [Vec<f32>; 2];

pub(super) struct Audio<'a> {
    rendition: u8,
    start: MediaTime,
    decoder: decoder::Audio,
    encoder: encoder::audio::Encoder,
    timeline: Timeline,
    /// Samples that do not fill a unit yet.
    pending: Planes,
    /// The number of the first sample in `pending`.
    pending_from: i64,
    outlet: Outlet,
    counters: &'a Counters,
}

impl<'a> Audio<'a> {
    pub(super) fn new(
        plan: &AudioPlan,
        start: MediaTime,
        outlet: Outlet,
        counters: &'a Counters,
    ) -> Result<Self, WorkerError> {
        let first = start.0.saturating_add(SAMPLE - 1).div_euclid(SAMPLE);
        Ok(Self {
            rendition: plan.rendition,
            start,
            decoder: open_decoder().map_err(WorkerError::OpenDecoder)?,
            encoder: open_encoder(plan.bitrate).map_err(WorkerError::OpenAudio)?,
            timeline: Timeline::new(first),
            pending: Planes::default(),
            pending_from: first,
            outlet,
            counters,
        })
    }

    /// Works until `jobs` ends, then flushes.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) -> Result<(), WorkerError> {
        self.outlet.say(Output::AudioConfig { rendition: self.rendition, config: ffi::extradata(&self.encoder) })?;
        while let Ok(job) = jobs.recv() {
            let began = Instant::now();
            match job {
                Job::Unit(unit) => self.unit(&unit)?,
                Job::FillUpTo(time) => self.fill_up_to(time)?,
                Job::Switch => self.decoder = open_decoder().map_err(WorkerError::OpenDecoder)?,
            }
            self.counters.busy(began);
        }
        self.flush()
    }

    fn fill_up_to(&mut self, time: MediaTime) -> Result<(), WorkerError> {
        let silence = self.timeline.fill_up_to(time.to_ticks(RATE));
        self.silence(silence)
    }

    fn unit(&mut self, unit: &AccessUnit) -> Result<(), WorkerError> {
        let Some(block) = self.decode(unit) else {
            return self.outlet.discarded("corrupt");
        };
        let length = block[0].len() as u64;
        let at = unit.pts.to_ticks(RATE);
        let placement = self.timeline.place(at, length).map_err(|_| WorkerError::Jump("audio"))?;
        if placement.trim >= length {
            return self.outlet.discarded("late");
        }
        self.silence(placement.silence)?;
        for (pending, samples) in self.pending.iter_mut().zip(&block) {
            let kept = samples.get(index(placement.trim)..).unwrap_or_default();
            stretch(kept, index(placement.length), pending);
        }
        self.encode_whole_units()
    }

    fn decode(&mut self, unit: &AccessUnit) -> Option<Planes> {
        if unit.data.is_empty() {
            return None; // to FFmpeg that is the end of the stream
        }
        let packet = ffmpeg::Packet::copy(&unit.data);
        self.decoder.send_packet(&packet).ok()?;
        let mut planes = Planes::default();
        let mut block = frame::Audio::empty();
        loop {
            match self.decoder.receive_frame(&mut block) {
                Ok(()) => append(&block, &mut planes)?,
                Err(error) if super::is_drained(error) => break,
                Err(_) => return None,
            }
        }
        (!planes[0].is_empty()).then_some(planes)
    }

    /// Appends silence, unit by unit, so that a long gap takes no memory.
    fn silence(&mut self, samples: u64) -> Result<(), WorkerError> {
        let mut left = index(samples);
        while left > 0 {
            let step = left.min(UNIT);
            for pending in &mut self.pending {
                pending.resize(pending.len() + step, 0.0);
            }
            left -= step;
            self.encode_whole_units()?;
        }
        Ok(())
    }

    fn encode_whole_units(&mut self) -> Result<(), WorkerError> {
        let whole = self.pending[0].len() / UNIT * UNIT;
        for from in (0..whole).step_by(UNIT) {
            self.encode(from)?;
        }
        for pending in &mut self.pending {
            pending.drain(..whole);
        }
        self.pending_from += i64::try_from(whole).unwrap_or(0);
        Ok(())
    }

    /// Encodes the unit that begins at `from` within the pending samples.
    fn encode(&mut self, from: usize) -> Result<(), WorkerError> {
        let mut block = frame::Audio::new(Sample::F32(Type::Planar), UNIT, ChannelLayout::STEREO);
        if block.planes() < self.pending.len() {
            return Err(WorkerError::Encode(ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM }));
        }
        for (plane, pending) in self.pending.iter().enumerate() {
            block.plane_mut::<f32>(plane).copy_from_slice(&pending[from..from + UNIT]);
        }
        block.set_rate(RATE);
        block.set_pts(Some(self.pending_from + i64::try_from(from).unwrap_or(0)));
        self.encoder.send_frame(&block).map_err(WorkerError::Encode)?;
        self.put_out()
    }

    /// Fills the last unit up with silence and takes everything out of the encoder.
    fn flush(&mut self) -> Result<(), WorkerError> {
        let rest = self.pending[0].len() % UNIT;
        if rest > 0 {
            self.silence((UNIT - rest) as u64)?;
        }
        self.encoder.send_eof().map_err(WorkerError::Encode)?;
        self.put_out()
    }

    fn put_out(&mut self) -> Result<(), WorkerError> {
        let mut packet = ffmpeg::Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => self.put_out_packet(&packet)?,
                Err(error) if super::is_drained(error) => return Ok(()),
                Err(error) => return Err(WorkerError::Encode(error)),
            }
        }
    }

    fn put_out_packet(&self, packet: &ffmpeg::Packet) -> Result<(), WorkerError> {
        let (Some(pts), Some(data)) = (packet.pts(), packet.data()) else {
            return Ok(());
        };
        let pts = MediaTime::from_ticks(pts, RATE);
        if pts < self.start {
            return Ok(());
        }
        self.outlet.say(Output::Encoded {
            rendition: self.rendition,
            unit: AccessUnit {
                codec: Codec::Aac,
                pts,
                dts: pts,
                duration: Some(MediaTime(SAMPLE * 1024)),
                random_access: true,
                data: Bytes::copy_from_slice(data),
            },
        })
    }
}

/// The reference decoder where FFmpeg has it, else FFmpeg's own; both give 48 kHz stereo.
fn open_decoder() -> Result<decoder::Audio, ffmpeg::Error> {
    let codec = decoder::find_by_name("libopus")
        .or_else(|| decoder::find(ffmpeg::codec::Id::OPUS))
        .ok_or(ffmpeg::Error::DecoderNotFound)?;
    let mut options = ffmpeg::Dictionary::new();
    options.set("request_sample_fmt", "flt");
    let context = ffmpeg::codec::Context::new_with_codec(codec);
    context.decoder().open_as_with(codec, options)?.audio()
}

fn open_encoder(bitrate: u32) -> Result<encoder::audio::Encoder, ffmpeg::Error> {
    let codec = encoder::find_by_name("aac").ok_or(ffmpeg::Error::EncoderNotFound)?;
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    context.set_flags(ffmpeg::codec::Flags::GLOBAL_HEADER);
    context.set_time_base((1, 48_000));
    let mut encoder = context.encoder().audio()?;
    encoder.set_rate(48_000);
    encoder.set_format(Sample::F32(Type::Planar));
    encoder.set_channel_layout(ChannelLayout::STEREO);
    encoder.set_bit_rate(usize::try_from(bitrate).unwrap_or(128_000));
    encoder.open()
}

/// Appends a decoded block; `None` if it is not 48 kHz floating point with one or two channels.
fn append(block: &frame::Audio, to: &mut Planes) -> Option<()> {
    if block.rate() != RATE {
        return None;
    }
    let clean = |sample: f32| {
        if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
    };
    let [left, right] = to;
    match (block.format(), block.channels()) {
        (Sample::F32(Type::Packed), 2) => {
            for (l, r) in block.plane::<(f32, f32)>(0) {
                left.push(clean(*l));
                right.push(clean(*r));
            }
        }
        (Sample::F32(Type::Planar), 2) => {
            left.extend(block.plane::<f32>(0).iter().copied().map(clean));
            right.extend(block.plane::<f32>(1).iter().copied().map(clean));
        }
        (Sample::F32(_), 1) => {
            left.extend(block.plane::<f32>(0).iter().copied().map(clean));
            right.extend(block.plane::<f32>(0).iter().copied().map(clean));
        }
        _ => return None,
    }
    Some(())
}

/// Appends `samples` to `to`, made `length` long; a difference is spread over all of them.
fn stretch(samples: &[f32], length: usize, to: &mut Vec<f32>) {
    if samples.len() == length || samples.len() < 2 || length < 2 {
        to.extend_from_slice(&samples[..length.min(samples.len())]);
        return;
    }
    let last = samples.len() - 1;
    for position in 0..length {
        let scaled = position * last;
        let (whole, rest) = (scaled / (length - 1), scaled % (length - 1));
        #[allow(clippy::cast_precision_loss)] // below 2^13
        let share = rest as f32 / (length - 1) as f32;
        let after = samples[(whole + 1).min(last)];
        to.push(samples[whole] + (after - samples[whole]) * share);
    }
}

/// A number of samples that was checked against the longest gap.
fn index(samples: u64) -> usize {
    usize::try_from(samples).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretching_keeps_both_ends_and_the_shape() {
        let ramp: Vec<f32> = (0..960_u16).map(f32::from).collect();
        for length in [956, 960, 964] {
            let mut out = Vec::new();
            stretch(&ramp, length, &mut out);
            assert_eq!((out.len(), out[0], out[length - 1]), (length, 0.0, 959.0));
            assert!(out.windows(2).all(|pair| pair[1] > pair[0]));
        }
    }
}
