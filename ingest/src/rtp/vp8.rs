//! The VP8 payload (RFC 7741): packets in order to whole frames.
//!
//! Knows no more of the bitstream than the frame tag and the start of a key frame (RFC 6386 9.1).

use bytes::BytesMut;

use super::Damage;
use super::assembler::{Assembler, Format, Picture, Start, append};

/// The depacketiser of one track.
pub type Depacketiser = Assembler<Frame>;

/// What begins a key frame after its tag (RFC 6386 9.1).
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
/// The frame tag, and with the start code and the two sizes the header of a key frame, in bytes.
const TAG_BYTES: usize = 3;
const KEY_HEADER_BYTES: usize = 10;

/// The frame under collection.
#[derive(Debug, Default)]
pub struct Frame {
    body: BytesMut,
}

impl Format for Frame {
    fn take(&mut self, payload: &[u8]) -> Result<(), Damage> {
        let (begins, part) = descriptor(payload).ok_or(Damage::Corrupt)?;
        if part.is_empty() || begins != self.body.is_empty() {
            return Err(Damage::Corrupt); // a start in the middle, or none at the start
        }
        append(&mut self.body, part)
    }

    fn may_become_keyframe(&self) -> bool {
        self.body.first().is_some_and(|&tag| is_key(tag))
    }

    fn end(&mut self, _: Start) -> Result<Option<Picture>, Damage> {
        let data = std::mem::take(&mut self.body).freeze();
        let random_access = check(&data).ok_or(Damage::Corrupt)?;
        Ok(Some(Picture { random_access, data }))
    }

    fn clear(&mut self) {
        self.body = BytesMut::new();
    }
}

/// The payload descriptor (RFC 7741 4.2): whether a frame begins behind it, and what is behind it.
fn descriptor(payload: &[u8]) -> Option<(bool, &[u8])> {
    let (&first, mut rest) = payload.split_first()?;
    let begins = first & 0x10 != 0 && first & 0x07 == 0; // the start of partition 0
    if first & 0x80 != 0 {
        let (&extension, tail) = rest.split_first()?;
        let has = |bits: u8| usize::from(extension & bits != 0);
        // PictureID of 7 or 15 bits, TL0PICIDX, and one byte for TID, Y and KEYIDX.
        let is_long = has(0x80) == 1 && tail.first()? & 0x80 != 0;
        rest = tail.get(has(0x80) + usize::from(is_long) + has(0x40) + has(0x30)..)?;
    }
    Some((begins, rest))
}

/// Whether the frame is a key frame; `None` if it is no frame, or shorter than it says (RFC 6386 9.1).
fn check(frame: &[u8]) -> Option<bool> {
    let &[first, second, third] = frame.first_chunk()?;
    let key = is_key(first);
    let header = if key { KEY_HEADER_BYTES } else { TAG_BYTES };
    let starts_well = !key || frame.get(TAG_BYTES..)?.starts_with(&START_CODE);
    let first_partition = (u32::from(first) | u32::from(second) << 8 | u32::from(third) << 16) >> 5;
    let behind = frame.len().checked_sub(header)?;
    (starts_well && usize::try_from(first_partition).is_ok_and(|size| size <= behind)).then_some(key)
}

/// The P bit, which says the opposite.
fn is_key(tag: u8) -> bool {
    tag & 1 == 0
}

#[cfg(test)]
#[path = "vp8_tests.rs"]
mod tests;
