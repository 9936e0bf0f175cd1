//! The VP9 payload (RFC 9628): packets in order to one superframe for each picture.
//!
//! The frames of all spatial layers of a picture are joined, so that a decoder shows the highest. Takes
//! flexible and non-flexible mode. Knows no more of the bitstream than whether a frame is a key frame,
//! and the index of a superframe.

use bytes::{BufMut, BytesMut};

use super::Damage;
use super::assembler::{Assembler, Format, Picture, Start, append};

/// The depacketiser of one track.
pub type Depacketiser = Assembler<Superframe>;

/// The most frames in one superframe (VP9 bitstream specification, annex B).
const FRAMES_MAX: usize = 8;
/// The bytes of each size in the index that is written here, 1 to 4.
const SIZE_BYTES: u8 = 4;
/// The most references that a frame names in flexible mode (RFC 9628 4.2).
const REFERENCES_MAX: usize = 3;

/// The picture under collection.
#[derive(Debug, Default)]
pub struct Superframe {
    body: BytesMut,
    /// The length of each layer's frame in `body`.
    frames: Vec<usize>,
    /// The end of the last frame is still to come.
    open: bool,
}

impl Format for Superframe {
    fn take(&mut self, payload: &[u8]) -> Result<(), Damage> {
        let (descriptor, part) = Descriptor::read(payload).ok_or(Damage::Corrupt)?;
        if part.is_empty() || descriptor.begins == self.open {
            return Err(Damage::Corrupt); // a start within a frame, or none at its start
        }
        if descriptor.begins && self.frames.len() == FRAMES_MAX {
            return Err(Damage::Corrupt);
        }
        append(&mut self.body, part)?;
        match self.frames.last_mut() {
            Some(last) if !descriptor.begins => *last += part.len(),
            _ => self.frames.push(part.len()),
        }
        self.open = !descriptor.ends;
        Ok(())
    }

    fn may_become_keyframe(&self) -> bool {
        is_key(&self.body) == Some(true)
    }

    fn end(&mut self, _: Start) -> Result<Option<Picture>, Damage> {
        let picture = std::mem::take(self);
        let random_access = is_key(&picture.body).filter(|_| !picture.open).ok_or(Damage::Corrupt)?;
        Ok(Some(Picture { random_access, data: picture.joined().freeze() }))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Superframe {
    /// One frame as it is, several with their index behind them (VP9 bitstream specification, annex B).
    fn joined(self) -> BytesMut {
        let (mut body, frames) = (self.body, self.frames);
        let Some(more) = frames.len().checked_sub(1).and_then(|more| u8::try_from(more).ok()).filter(|&more| more > 0)
        else {
            return body;
        };
        let marker = 0xc0 | (SIZE_BYTES - 1) << 3 | more;
        body.put_u8(marker);
        for frame in frames {
            body.put_u32_le(u32::try_from(frame).unwrap_or(u32::MAX)); // below `UNIT_BYTES_MAX`
        }
        body.put_u8(marker);
        body
    }
}

/// What is needed of the payload descriptor (RFC 9628 4.2).
#[derive(Debug, Clone, Copy)]
struct Descriptor {
    /// A layer's frame begins behind it.
    begins: bool,
    /// A layer's frame ends with this packet.
    ends: bool,
}

impl Descriptor {
    /// The descriptor, and what is behind it.
    fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, mut rest) = payload.split_first()?;
        let has = |bit: u8| first & bit != 0;
        let (picture_id, inter, layers, flexible, structure) = (has(0x80), has(0x40), has(0x20), has(0x10), has(0x02));
        if picture_id {
            let is_long = rest.first()? & 0x80 != 0;
            rest = rest.get(1 + usize::from(is_long)..)?;
        }
        if layers {
            rest = rest.get(1 + usize::from(!flexible)..)?; // TL0PICIDX stands in non-flexible mode only
        }
        if flexible && inter {
            rest = behind_references(rest)?;
        }
        if structure {
            rest = behind_structure(rest)?;
        }
        Some((Self { begins: has(0x08), ends: has(0x04) }, rest))
    }
}

/// What is behind the P_DIFFs of flexible mode; the N bit of each says whether another follows.
fn behind_references(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..REFERENCES_MAX {
        let (&reference, tail) = rest.split_first()?;
        rest = tail;
        if reference & 1 == 0 {
            return Some(rest);
        }
    }
    None
}

/// What is behind the scalability structure (RFC 9628 4.2.1).
fn behind_structure(rest: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = rest.split_first()?;
    if first & 0x10 != 0 {
        let layers = usize::from(first >> 5) + 1;
        rest = rest.get(layers * 4..)?; // columns and lines of each
    }
    if first & 0x08 != 0 {
        let (&pictures, tail) = rest.split_first()?;
        rest = tail;
        for _ in 0..pictures {
            let (&picture, tail) = rest.split_first()?;
            rest = tail.get(usize::from(picture >> 2 & 3)..)?;
        }
    }
    Some(rest)
}

/// Whether the frame is a key frame; `None` if it is none (VP9 bitstream specification 6.2).
fn is_key(frame: &[u8]) -> Option<bool> {
    let &first = frame.first()?;
    if first >> 6 != 2 {
        return None; // frame_marker
    }
    // Profile 3 has a reserved bit more before show_existing_frame and frame_type.
    let bits = if first & 0x30 == 0x30 { first << 5 } else { first << 4 };
    let shows_existing = bits & 0x80 != 0;
    Some(!shows_existing && bits & 0x40 == 0)
}

#[cfg(test)]
#[path = "vp9_tests.rs"]
mod tests;
