//! One video rendition: a thread that encodes the pictures it is given, in order.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::{encoder, frame, picture};
use schema::ladder::FrameRate;
use schema::{AccessUnit, Codec};

use super::outlet::Outlet;
use super::{Counters, WorkerError};
use crate::wire::Output;

/// How many pictures may wait for an encoder; when full, the decoder waits.
pub(super) const QUEUE: usize = 4;

/// Whether a picture must be an IDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Any,
}

/// One picture to encode.
pub(super) struct Job {
    pub(super) picture: frame::Video,
    /// Its slot on the output's grid.
    pub(super) slot: i64,
    pub(super) kind: Kind,
}

/// The encoder of one rendition, before and while it runs.
pub(super) struct Rendition<'a> {
    pub(super) number: u8,
    pub(super) frame_rate: FrameRate,
    pub(super) encoder: encoder::video::Encoder,
    pub(super) outlet: Outlet,
    pub(super) counters: &'a Counters,
}

impl Rendition<'_> {
    /// Encodes until `jobs` ends, then flushes.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) -> Result<(), WorkerError> {
        while let Ok(job) = jobs.recv() {
            let began = Instant::now();
            self.send(job)?;
            let units = self.finished_units()?;
            self.counters.busy(began);
            self.put_out(units)?;
        }
        self.encoder.send_eof().map_err(WorkerError::Encode)?;
        let units = self.finished_units()?;
        self.put_out(units)
    }

    fn send(&mut self, job: Job) -> Result<(), WorkerError> {
        let mut picture = job.picture;
        picture.set_pts(Some(job.slot));
        picture.set_kind(match job.kind {
            Kind::Key => picture::Type::I,
            Kind::Any => picture::Type::None,
        });
        self.encoder.send_frame(&picture).map_err(WorkerError::Encode)
    }

    fn finished_units(&mut self) -> Result<Vec<AccessUnit>, WorkerError> {
        let mut units = Vec::new();
        let mut packet = ffmpeg::Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => units.extend(self.unit(&packet)),
                Err(error) if super::is_drained(error) => return Ok(units),
                Err(error) => return Err(WorkerError::Encode(error)),
            }
        }
    }

    fn unit(&self, packet: &ffmpeg::Packet) -> Option<AccessUnit> {
        let slot = packet.pts()?;
        let pts = self.frame_rate.time_of(slot);
        Some(AccessUnit {
            codec: Codec::H264,
            pts,
            dts: pts,
            duration: Some(self.frame_rate.time_of(slot + 1) - pts),
            random_access: packet.is_key(),
            data: bytes::Bytes::copy_from_slice(packet.data()?),
        })
    }

    fn put_out(&self, units: Vec<AccessUnit>) -> Result<(), WorkerError> {
        for unit in units {
            self.counters.encoded.fetch_add(1, Ordering::Relaxed);
            self.outlet.say(Output::Encoded { rendition: self.number, unit })?;
        }
        Ok(())
    }
}
