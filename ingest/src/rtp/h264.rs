//! The H.264 depacketiser (RFC 6184, packetization modes 0 and 1): packets in order to access units in Annex B.
//!
//! Holds back whatever cannot be decoded: after a loss or a damaged unit nothing leaves before the
//! next IDR that has its parameter sets. Knows no more of the bitstream than NAL unit types, the
//! ids of parameter sets and whether a slice begins its picture.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Counts, Damage, Depacketise, Packet, UNIT_BYTES_MAX, Unit};
use parameter_sets::ParameterSets;

mod parameter_sets;

/// NAL unit types (H.264 table 7-1) and packet types (RFC 6184 5.4).
mod kind {
    pub(super) const SLICE: u8 = 1;
    pub(super) const PARTITION_A: u8 = 2;
    pub(super) const IDR: u8 = 5;
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const DELIMITER: u8 = 9;
    pub(super) const FILLER: u8 = 12;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// The unit under collection.
#[derive(Debug)]
struct Partial {
    timestamp: u32,
    arrival: Instant,
    /// Annex B without parameter sets, delimiters and filler.
    body: BytesMut,
    /// The fragmented NAL unit that is still open, with its header.
    fragment: Option<BytesMut>,
    has_slice: bool,
    has_idr: bool,
    has_sps: bool,
    damaged: bool,
    /// Packets are missing just before it, perhaps of it.
    after_gap: bool,
}

/// The depacketiser of one track.
#[derive(Debug)]
pub struct Depacketiser {
    sets: ParameterSets,
    partial: Option<Partial>,
    /// Nothing leaves before the next random access point.
    waiting: bool,
    /// A gap was told; the next unit to begin may lack its start.
    gap: bool,
    counts: Counts,
}

impl Default for Depacketiser {
    fn default() -> Self {
        Self { sets: ParameterSets::default(), partial: None, waiting: true, gap: false, counts: Counts::default() }
    }
}

impl Depacketiser {
    /// One that waits for its first random access point.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Depacketise for Depacketiser {
    /// A unit ends at its marker, or at the first packet with another timestamp (RFC 6184 5.1).
    fn push(&mut self, packet: &Packet, units: &mut Vec<Unit>) {
        let Some((&header, rest)) = packet.payload.split_first() else {
            return; // a probe
        };
        let other = |partial: &Partial| partial.timestamp != packet.timestamp;
        if self.partial.as_ref().is_some_and(other) {
            self.finish(units);
        }
        let mut partial = match self.partial.take() {
            Some(partial) => partial,
            None => Partial::new(packet, std::mem::take(&mut self.gap)),
        };
        if let Err(damage) = self.take_payload(&mut partial, header, rest, &packet.payload) {
            partial.damage();
            self.counts.refused += u64::from(damage == Damage::Refused);
        }
        self.partial = Some(partial);
        if packet.marker {
            self.finish(units);
        }
    }

    fn gap(&mut self) {
        self.gap = true;
        self.waiting = true;
        if let Some(partial) = &mut self.partial {
            partial.damage();
        }
    }

    fn wants_keyframe(&self) -> bool {
        self.waiting && !self.partial.as_ref().is_some_and(Partial::may_become_keyframe)
    }

    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}

impl Depacketiser {
    fn take_payload(&mut self, partial: &mut Partial, header: u8, rest: &[u8], payload: &Bytes) -> Result<(), Damage> {
        if header & 0x80 != 0 {
            return Err(Damage::Corrupt); // forbidden_zero_bit
        }
        match header & 0x1f {
            1..=kind::LAST_SINGLE => self.take_nal(partial, payload),
            kind::STAP_A => self.take_aggregate(partial, rest),
            kind::FU_A => self.take_fragment(partial, header, rest),
            _ => Err(Damage::Refused),
        }
    }

    /// STAP-A (RFC 6184 5.7.1): NAL units, each behind its 16-bit length.
    fn take_aggregate(&mut self, partial: &mut Partial, mut rest: &[u8]) -> Result<(), Damage> {
        while let Some((size, tail)) = rest.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            let (nal, tail) = tail.split_at_checked(size).ok_or(Damage::Corrupt)?;
            self.take_nal(partial, nal)?;
            rest = tail;
        }
        rest.is_empty().then_some(()).ok_or(Damage::Corrupt)
    }

    /// FU-A (RFC 6184 5.8): one part of a NAL unit.
    fn take_fragment(&mut self, partial: &mut Partial, indicator: u8, rest: &[u8]) -> Result<(), Damage> {
        let (&header, part) = rest.split_first().ok_or(Damage::Corrupt)?;
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if part.is_empty() || starts == partial.fragment.is_some() {
            return Err(Damage::Corrupt); // a part before this one is missing
        }
        let open = partial.fragment.get_or_insert_with(|| {
            let nal_header = indicator & 0xe0 | header & 0x1f;
            BytesMut::from(&[nal_header][..])
        });
        if partial.body.len() + open.len() + part.len() > UNIT_BYTES_MAX {
            return Err(Damage::Corrupt);
        }
        open.extend_from_slice(part);
        match partial.fragment.take() {
            Some(whole) if ends => self.take_nal(partial, &whole),
            open => {
                partial.fragment = open;
                Ok(())
            }
        }
    }

    /// One whole NAL unit, header included.
    fn take_nal(&mut self, partial: &mut Partial, nal: &[u8]) -> Result<(), Damage> {
        let (&header, rest) = nal.split_first().ok_or(Damage::Corrupt)?;
        if partial.fragment.is_some() || header & 0x80 != 0 || rest.is_empty() && needs_rest(header) {
            return Err(Damage::Corrupt);
        }
        match header & 0x1f {
            kind::SPS => {
                partial.has_sps = true;
                self.sets.remember_sps(nal).ok_or(Damage::Corrupt)
            }
            kind::PPS => self.sets.remember_pps(nal).ok_or(Damage::Corrupt),
            kind::DELIMITER | kind::FILLER => Ok(()),
            1..=kind::LAST_SINGLE => partial.append(nal),
            _ => Err(Damage::Corrupt), // packet types may not nest
        }
    }

    /// Ends the unit under collection: gives it out, or drops and counts it.
    fn finish(&mut self, units: &mut Vec<Unit>) {
        let Some(partial) = self.partial.take() else {
            return;
        };
        if partial.damaged || partial.fragment.is_some() {
            self.counts.corrupt += 1;
            self.waiting = true;
        } else if partial.has_slice {
            self.give(partial, units);
        } else {
            // Parameter sets only, and they are remembered; what was lost before them still is.
            self.gap |= partial.after_gap && !partial.has_sps;
        }
    }

    fn give(&mut self, partial: Partial, units: &mut Vec<Unit>) {
        // A gap just before an IDR without its own sets may have swallowed newer ones.
        let current = partial.has_sps || !partial.after_gap;
        let random_access = partial.has_idr && current && self.sets.are_known();
        if self.waiting && !random_access {
            self.counts.withheld += 1;
            return;
        }
        self.waiting = false;
        units.push(Unit {
            timestamp: partial.timestamp,
            arrival: partial.arrival,
            random_access,
            data: self.sets.put_before(partial.body, partial.has_idr),
        });
    }
}

impl Partial {
    fn new(packet: &Packet, after_gap: bool) -> Self {
        Self {
            timestamp: packet.timestamp,
            arrival: packet.arrival,
            body: BytesMut::new(),
            fragment: None,
            has_slice: false,
            has_idr: false,
            has_sps: false,
            damaged: false,
            after_gap,
        }
    }

    /// Whether it is whole so far and begins as keyframes do: with parameter sets or an IDR slice.
    fn may_become_keyframe(&self) -> bool {
        let open = self.fragment.as_ref().and_then(|nal| nal.first());
        let open_idr = open.is_some_and(|header| header & 0x1f == kind::IDR);
        !self.damaged && (self.has_sps || self.has_idr || open_idr)
    }

    /// Marks the unit as lost and frees what it held.
    fn damage(&mut self) {
        self.damaged = true;
        self.body = BytesMut::new();
        self.fragment = None;
    }

    fn append(&mut self, nal: &[u8]) -> Result<(), Damage> {
        let kind = nal[0] & 0x1f;
        if (kind::SLICE..=kind::IDR).contains(&kind) {
            if !self.has_slice && !begins_picture(nal) {
                return Err(Damage::Corrupt); // its first slice is missing
            }
            self.has_slice = true;
            self.has_idr |= kind == kind::IDR;
        }
        if self.damaged {
            return Ok(());
        }
        if self.body.len() + nal.len() + START_CODE.len() > UNIT_BYTES_MAX {
            return Err(Damage::Corrupt);
        }
        self.body.extend_from_slice(&START_CODE);
        self.body.extend_from_slice(nal);
        Ok(())
    }
}

/// The Annex B start code.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Whether a NAL unit of this header must have a payload: all but the ends of sequence and stream.
fn needs_rest(header: u8) -> bool {
    !matches!(header & 0x1f, 10 | 11)
}

/// Whether a slice is the first of its picture: `first_mb_in_slice`, an Exp-Golomb code, is 0, one set bit.
fn begins_picture(nal: &[u8]) -> bool {
    let starts_with_header = matches!(nal[0] & 0x1f, kind::SLICE | kind::PARTITION_A | kind::IDR);
    starts_with_header && nal.get(1).is_some_and(|byte| byte & 0x80 != 0)
}

#[cfg(test)]
#[path = "h264_tests.rs"]
mod tests;
