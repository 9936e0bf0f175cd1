//! What the depacketisers of VP8, VP9 and AV1 have in common: one picture is collected at a time, and
//! leaves whole or not at all.
//!
//! A picture ends at its marker, or at the first packet with another timestamp. After a loss or damage
//! nothing leaves before the next key frame, as what would follow refers to what is missing. Knows no
//! payload: that is the [`Format`]'s.

use std::fmt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Counts, Damage, Depacketise, Packet, UNIT_BYTES_MAX, Unit};

/// The payload of one codec, and the picture that is collected from it.
pub trait Format: fmt::Debug + Default + Send {
    /// Adds the payload of the picture's next packet, never an empty one.
    ///
    /// # Errors
    /// [`Damage`], after which the picture is given up.
    fn take(&mut self, payload: &[u8]) -> Result<(), Damage>;

    /// Whether what was collected so far begins as key frames do.
    fn may_become_keyframe(&self) -> bool;

    /// Ends the picture and forgets it; `None` if there was nothing to decode in it.
    ///
    /// # Errors
    /// [`Damage`] if its end is missing or it cannot be what it says.
    fn end(&mut self, start: Start) -> Result<Option<Picture>, Damage>;

    /// Forgets the picture, and frees what it held.
    fn clear(&mut self);
}

/// What came before a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The picture before it.
    Follows,
    /// Packets that never came, perhaps of headers that it needs.
    AfterGap,
}

/// One whole picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// True if decoding can start here.
    pub random_access: bool,
    /// The coded bytes, in the shape of [`schema::Codec`].
    pub data: Bytes,
}

/// The picture under collection, as far as no format matters.
#[derive(Debug, Clone, Copy)]
struct Open {
    timestamp: u32,
    arrival: Instant,
    start: Start,
    damaged: bool,
}

/// The depacketiser of one track.
#[derive(Debug)]
pub struct Assembler<F> {
    format: F,
    open: Option<Open>,
    /// Nothing leaves before the next random access point.
    waiting: bool,
    /// A gap was told; the next picture may lack its start.
    gap: bool,
    counts: Counts,
}

impl<F: Format> Default for Assembler<F> {
    /// One that waits for its first random access point.
    fn default() -> Self {
        Self { format: F::default(), open: None, waiting: true, gap: false, counts: Counts::default() }
    }
}

impl<F: Format> Depacketise for Assembler<F> {
    fn push(&mut self, packet: &Packet, units: &mut Vec<Unit>) {
        if packet.payload.is_empty() {
            return; // a probe
        }
        if self.open.is_some_and(|open| open.timestamp != packet.timestamp) {
            self.finish(units);
        }
        let mut open = self.open.take().unwrap_or_else(|| self.begin(packet));
        if !open.damaged
            && let Err(damage) = self.format.take(&packet.payload)
        {
            open.damaged = true;
            self.format.clear();
            self.counts.refused += u64::from(damage == Damage::Refused);
        }
        self.open = Some(open);
        if packet.marker {
            self.finish(units);
        }
    }

    fn gap(&mut self) {
        self.gap = true;
        self.waiting = true;
        if let Some(open) = &mut self.open {
            open.damaged = true;
            self.format.clear();
        }
    }

    fn wants_keyframe(&self) -> bool {
        let comes_in = self.open.is_some_and(|open| !open.damaged) && self.format.may_become_keyframe();
        self.waiting && !comes_in
    }

    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}

impl<F: Format> Assembler<F> {
    fn begin(&mut self, packet: &Packet) -> Open {
        let start = if std::mem::take(&mut self.gap) { Start::AfterGap } else { Start::Follows };
        Open { timestamp: packet.timestamp, arrival: packet.arrival, start, damaged: false }
    }

    /// Ends the picture under collection: gives it out, or drops and counts it.
    fn finish(&mut self, units: &mut Vec<Unit>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let ended = if open.damaged { Err(Damage::Corrupt) } else { self.format.end(open.start) };
        match ended {
            Ok(Some(picture)) => self.give(open, picture, units),
            Ok(None) => {}
            Err(_) => {
                self.counts.corrupt += 1;
                self.waiting = true;
            }
        }
    }

    fn give(&mut self, open: Open, picture: Picture, units: &mut Vec<Unit>) {
        if self.waiting && !picture.random_access {
            self.counts.withheld += 1;
            return;
        }
        self.waiting = false;
        units.push(Unit {
            timestamp: open.timestamp,
            arrival: open.arrival,
            random_access: picture.random_access,
            data: picture.data,
        });
    }
}

/// Appends `part` to `body`, within the longest unit.
pub(super) fn append(body: &mut BytesMut, part: &[u8]) -> Result<(), Damage> {
    if body.len() + part.len() > UNIT_BYTES_MAX {
        return Err(Damage::Corrupt);
    }
    body.extend_from_slice(part);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    //! What holds for every format, as functions for the tests of each.

    use super::*;
    use crate::rtp::packetise::Packetiser;

    /// All units that the packets make.
    pub(crate) fn collect(depacketiser: &mut impl Depacketise, packets: &[Packet]) -> Vec<Unit> {
        let mut units = Vec::new();
        for packet in packets {
            depacketiser.push(packet, &mut units);
        }
        units
    }

    /// Packets of these payloads with the marker on the last.
    pub(crate) fn packets(sender: &mut Packetiser, timestamp: u32, payloads: &[Vec<u8>]) -> Vec<Packet> {
        let last = payloads.len() - 1;
        let packet = |(index, payload): (usize, &Vec<u8>)| sender.packet(timestamp, index == last, payload);
        payloads.iter().enumerate().map(packet).collect()
    }

    /// Feeds packets of (timestamp, marker, gap before, payload); the units begin where decoding can.
    pub(crate) fn arbitrary_packets<F: Format>(script: Vec<(u32, bool, bool, Vec<u8>)>) -> Vec<Unit> {
        let (mut depacketiser, mut sender) = (Assembler::<F>::default(), Packetiser::new(0));
        let mut units = Vec::new();
        for (timestamp, marker, gap, payload) in script {
            if gap {
                depacketiser.gap();
            }
            depacketiser.push(&sender.packet(timestamp, marker, &payload), &mut units);
            let _ = depacketiser.wants_keyframe();
        }
        assert!(units.first().is_none_or(|unit| unit.random_access));
        units
    }

    /// Sends pictures but for packet `lost`; what comes out is whole, and after the loss begins with a key frame.
    pub(crate) fn one_lost_packet<F: Format>(pictures: &[(Vec<Vec<u8>>, Vec<u8>)], lost: prop::Index) {
        let (mut depacketiser, mut sender) = (Assembler::<F>::default(), Packetiser::new(65_500));
        let sent: Vec<Packet> =
            (0..).zip(pictures).flat_map(|(time, (payloads, _))| packets(&mut sender, time, payloads)).collect();
        let lost = lost.index(sent.len());
        let before = collect(&mut depacketiser, &sent[..lost]);
        depacketiser.gap();
        let after = collect(&mut depacketiser, &sent[lost + 1..]);
        assert!(after.first().is_none_or(|unit| unit.random_access));
        for unit in before.iter().chain(&after) {
            let index = usize::try_from(unit.timestamp).unwrap();
            assert_eq!(unit.data, pictures[index].1, "picture {index}");
        }
        assert!(before.len() + after.len() < pictures.len());
    }

    pub(crate) mod prop {
        pub(crate) use proptest::sample::Index;
    }
}
