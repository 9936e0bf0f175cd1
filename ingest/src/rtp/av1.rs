//! The AV1 payload (RTP Payload Format For AV1, v1.0): packets in order to temporal units in the
//! low-overhead format, each OBU with its size.
//!
//! Temporal delimiters, tile lists and padding are left out, and a key frame without a sequence header
//! gets the last one in front. Knows no more of the bitstream than OBU headers and the first bits of
//! sequence and frame headers.

use bytes::{BufMut, Bytes, BytesMut};

use super::Damage;
use super::assembler::{Assembler, Format, Picture, Start, append};

/// The depacketiser of one track.
pub type Depacketiser = Assembler<TemporalUnit>;

/// The longest sequence header, in bytes; real ones have under 30.
const SEQUENCE_BYTES_MAX: usize = 4 << 10;
/// The longest leb128 number, in bytes (AV1 bitstream specification 4.10.5).
const LEB128_BYTES_MAX: usize = 8;

/// OBU types (AV1 bitstream specification 6.2.2).
mod kind {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const TEMPORAL_DELIMITER: u8 = 2;
    pub(super) const FRAME_HEADER: u8 = 3;
    pub(super) const FRAME: u8 = 6;
    pub(super) const TILE_LIST: u8 = 8;
    pub(super) const PADDING: u8 = 15;
}

/// The temporal unit under collection, and the newest sequence header.
#[derive(Debug, Default)]
pub struct TemporalUnit {
    /// Whole OBUs.
    body: BytesMut,
    /// The OBU whose end is still to come.
    fragment: Option<BytesMut>,
    has_sequence: bool,
    /// What the first frame header is, once there is one.
    frame: Option<Frame>,
    /// The last sequence header of all, as an OBU with its size.
    sequence: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// A key frame that is shown.
    Key,
    Other,
}

/// The aggregation header (AV1 RTP 4.4).
struct Aggregation {
    /// Z: the first element continues an OBU.
    continues: bool,
    /// Y: the last element will be continued.
    goes_on: bool,
    /// W: how many elements there are; 0 if each has its length.
    elements: u8,
}

impl Format for TemporalUnit {
    fn take(&mut self, payload: &[u8]) -> Result<(), Damage> {
        let (aggregation, mut rest) = Aggregation::read(payload).ok_or(Damage::Corrupt)?;
        if aggregation.continues != self.fragment.is_some() {
            return Err(Damage::Corrupt); // a part before this one is missing
        }
        let mut number = 0_u8;
        while !rest.is_empty() {
            number = number.saturating_add(1);
            let (element, tail) = aggregation.element(number, rest).ok_or(Damage::Corrupt)?;
            let is_last = tail.is_empty();
            self.take_element(element, is_last && aggregation.goes_on)?;
            rest = tail;
        }
        let complete = number > 0 && (aggregation.elements == 0 || number == aggregation.elements);
        complete.then_some(()).ok_or(Damage::Corrupt)
    }

    fn may_become_keyframe(&self) -> bool {
        let opens = self.fragment.as_ref().and_then(|obu| obu.first());
        let opens_sequence = opens.is_some_and(|&header| kind_of(header) == kind::SEQUENCE_HEADER);
        self.has_sequence || opens_sequence || self.frame == Some(Frame::Key)
    }

    fn end(&mut self, start: Start) -> Result<Option<Picture>, Damage> {
        let (broken, has_sequence, frame) = (self.fragment.is_some(), self.has_sequence, self.frame);
        let body = std::mem::take(&mut self.body);
        self.clear();
        match frame {
            _ if broken => Err(Damage::Corrupt),
            None => Ok(None),
            Some(Frame::Key) if !has_sequence => Ok(Some(Picture {
                // What was lost just before may have been a newer sequence header.
                random_access: start == Start::Follows && !self.sequence.is_empty(),
                data: [&self.sequence[..], &body].concat().into(),
            })),
            Some(frame) => Ok(Some(Picture { random_access: frame == Frame::Key, data: body.freeze() })),
        }
    }

    fn clear(&mut self) {
        *self = Self { sequence: std::mem::take(&mut self.sequence), ..Self::default() };
    }
}

impl TemporalUnit {
    /// One element: an OBU, or a part of one.
    fn take_element(&mut self, element: &[u8], goes_on: bool) -> Result<(), Damage> {
        let held = self.fragment.as_ref().map_or(0, BytesMut::len);
        if self.body.len() + held + element.len() > super::UNIT_BYTES_MAX {
            return Err(Damage::Corrupt);
        }
        if self.fragment.is_none() && !goes_on {
            return self.take_obu(element);
        }
        let mut obu = self.fragment.take().unwrap_or_default();
        obu.extend_from_slice(element);
        if goes_on {
            self.fragment = Some(obu);
            return Ok(());
        }
        self.take_obu(&obu)
    }

    /// One whole OBU, with or without its size (AV1 RTP 4.5).
    fn take_obu(&mut self, obu: &[u8]) -> Result<(), Damage> {
        let (header, payload) = split_obu(obu).ok_or(Damage::Corrupt)?;
        let kind = kind_of(header[0]);
        if matches!(kind, kind::TEMPORAL_DELIMITER | kind::TILE_LIST | kind::PADDING) {
            return Ok(());
        }
        let sized = with_size(header, payload);
        if kind == kind::SEQUENCE_HEADER {
            self.remember(&sized)?;
        }
        if matches!(kind, kind::FRAME | kind::FRAME_HEADER) {
            let frame = frame(payload).ok_or(Damage::Corrupt)?;
            self.frame.get_or_insert(frame);
        }
        append(&mut self.body, &sized)
    }

    fn remember(&mut self, sequence: &[u8]) -> Result<(), Damage> {
        if sequence.len() > SEQUENCE_BYTES_MAX {
            return Err(Damage::Corrupt);
        }
        self.has_sequence = true;
        if self.sequence != sequence {
            self.sequence = Bytes::copy_from_slice(sequence);
        }
        Ok(())
    }
}

impl Aggregation {
    /// The header, and what is behind it.
    fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (&header, rest) = payload.split_first()?;
        let (continues, begins_sequence) = (header & 0x80 != 0, header & 0x08 != 0);
        let aggregation = Self { continues, goes_on: header & 0x40 != 0, elements: header >> 4 & 3 };
        // N: a new coded video sequence begins, and with it no fragment.
        (!(continues && begins_sequence)).then_some((aggregation, rest))
    }

    /// Element `number`, counted from 1, and what is behind it; the last of a known number has no length.
    fn element<'a>(&self, number: u8, rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (element, tail) = if self.elements == number {
            (rest, &rest[rest.len()..])
        } else {
            let (length, tail) = leb128(rest)?;
            tail.split_at_checked(length)?
        };
        (!element.is_empty()).then_some((element, tail))
    }
}

fn kind_of(header: u8) -> u8 {
    header >> 3 & 0x0f
}

/// The header of an OBU without its size, and its payload (AV1 bitstream specification 5.3).
fn split_obu(obu: &[u8]) -> Option<(&[u8], &[u8])> {
    let &first = obu.first()?;
    let forbidden = first & 0x80 != 0;
    let header = 1 + usize::from(first & 0x04 != 0);
    let (header, mut payload) = obu.split_at_checked(header)?;
    if first & 0x02 != 0 {
        let (size, tail) = leb128(payload)?;
        payload = (tail.len() == size).then_some(tail)?;
    }
    (!forbidden).then_some((header, payload))
}

/// The OBU with its size.
fn with_size(header: &[u8], payload: &[u8]) -> BytesMut {
    let mut obu = BytesMut::with_capacity(header.len() + LEB128_BYTES_MAX + payload.len());
    obu.put_u8(header[0] | 0x02);
    obu.put_slice(&header[1..]);
    put_leb128(&mut obu, payload.len());
    obu.put_slice(payload);
    obu
}

/// What a frame header says in its first bits (AV1 bitstream specification 5.9.2). Those of
/// `reduced_still_picture_header` are missing from a still picture, which no publisher sends.
fn frame(payload: &[u8]) -> Option<Frame> {
    let &first = payload.first()?;
    let (shows_existing, frame_type, shown) = (first & 0x80 != 0, first >> 5 & 3, first & 0x10 != 0);
    let key = !shows_existing && frame_type == 0 && shown;
    Some(if key { Frame::Key } else { Frame::Other })
}

/// The number at the start of `bytes`, and what is behind it (AV1 bitstream specification 4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(LEB128_BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

fn put_leb128(into: &mut BytesMut, mut value: usize) {
    while value > 0x7f {
        into.put_u8(0x80 | u8::try_from(value & 0x7f).unwrap_or(0)); // seven bits
        value >>= 7;
    }
    into.put_u8(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
#[path = "av1_tests.rs"]
mod tests;
