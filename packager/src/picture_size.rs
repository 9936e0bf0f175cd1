//! The size of a source's pictures, as its random access points say it. Reads headers and nothing else.

use schema::ladder::PictureSize;
use schema::{AccessUnit, Codec};

use crate::annexb;
use crate::sps::Sps;

/// Larger pictures than this are not believed, in pixels per side.
const SIDE_MAX: u32 = 16_384;

/// The size that a random access point says; `None` if it cannot be read. Of a VP9 picture in several
/// spatial layers it is that of the lowest, which alone is a key frame.
#[must_use]
pub fn of(unit: &AccessUnit) -> Option<PictureSize> {
    let size = match unit.codec {
        Codec::H264 => Sps::parse(annexb::parameter_sets(&unit.data)?.sps.first()?).ok()?.size,
        Codec::Vp8 => vp8(&unit.data)?,
        Codec::Vp9 => vp9(&unit.data)?,
        Codec::Av1 => av1(&unit.data)?,
        Codec::Opus | Codec::Aac => return None,
    };
    let plausible = |side| (1..=SIDE_MAX).contains(&side);
    (plausible(size.width) && plausible(size.height)).then_some(size)
}

/// A key frame's header (RFC 6386 9.1): 14 bits for each side, above them how it is shown.
fn vp8(frame: &[u8]) -> Option<PictureSize> {
    let header: &[u8; 10] = frame.first_chunk()?;
    let side = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]) & 0x3fff);
    let is_key = header[0] & 1 == 0 && header[3..6] == [0x9d, 0x01, 0x2a];
    is_key.then(|| PictureSize { width: side(6), height: side(8) })
}

/// The uncompressed header of a key frame (VP9 bitstream specification 6.2).
fn vp9(frame: &[u8]) -> Option<PictureSize> {
    const SRGB: u32 = 7;
    let mut bits = Bits { rest: frame, used: 0 };
    if bits.take(2)? != 2 {
        return None; // frame_marker
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.take(1)?;
    }
    let [shows_existing, frame_type] = [bits.take(1)?, bits.take(1)?];
    bits.take(2)?; // show_frame, error_resilient_mode
    if shows_existing == 1 || frame_type == 1 || bits.take(24)? != 0x0049_8342 {
        return None;
    }
    if profile >= 2 {
        bits.take(1)?; // ten_or_twelve_bit
    }
    let has_subsampling = profile & 1 == 1;
    match (bits.take(3)?, has_subsampling) {
        (SRGB, true) => bits.take(1)?,
        (SRGB, false) => return None,
        (_, true) => bits.take(4)?, // color_range, subsampling of both axes, a reserved bit
        (_, false) => bits.take(1)?,
    };
    Some(PictureSize { width: bits.take(16)? + 1, height: bits.take(16)? + 1 })
}

/// The first sequence header of a temporal unit (AV1 bitstream specification 5.5).
fn av1(mut unit: &[u8]) -> Option<PictureSize> {
    const SEQUENCE_HEADER: u8 = 1;
    loop {
        let (&header, tail) = unit.split_first()?;
        let tail = tail.get(usize::from(header >> 2 & 1)..)?;
        if header & 0x02 == 0 {
            return None; // without its size
        }
        let (size, tail) = leb128(tail)?;
        let (payload, tail) = tail.split_at_checked(size)?;
        if header >> 3 & 0x0f == SEQUENCE_HEADER {
            return sequence_header(&mut Bits { rest: payload, used: 0 });
        }
        unit = tail;
    }
}

fn sequence_header(bits: &mut Bits<'_>) -> Option<PictureSize> {
    bits.take(4)?; // seq_profile, still_picture
    if bits.take(1)? == 1 {
        bits.take(5)?; // reduced_still_picture_header: one level and no more
    } else {
        let delay_bits = timing(bits)?;
        let has_display_delay = bits.take(1)? == 1;
        for _ in 0..=bits.take(5)? {
            operating_point(bits, delay_bits, has_display_delay)?;
        }
    }
    let (width, height) = (bits.take(4)? + 1, bits.take(4)? + 1);
    Some(PictureSize { width: bits.take(width)? + 1, height: bits.take(height)? + 1 })
}

/// The timing and the decoder model; the length of the latter's delays in bits, if there is one.
fn timing(bits: &mut Bits<'_>) -> Option<Option<u32>> {
    if bits.take(1)? == 0 {
        return Some(None);
    }
    bits.take(32)?; // num_units_in_display_tick
    bits.take(32)?; // time_scale
    if bits.take(1)? == 1 {
        skip_uvlc(bits)?; // num_ticks_per_picture_minus_1
    }
    if bits.take(1)? == 0 {
        return Some(None);
    }
    let delay_bits = bits.take(5)? + 1;
    bits.take(32)?; // num_units_in_decoding_tick
    bits.take(10)?; // the lengths of two times
    Some(Some(delay_bits))
}

fn operating_point(bits: &mut Bits<'_>, delay_bits: Option<u32>, has_display_delay: bool) -> Option<()> {
    bits.take(12)?; // operating_point_idc
    if bits.take(5)? > 7 {
        bits.take(1)?; // seq_tier
    }
    if let Some(length) = delay_bits
        && bits.take(1)? == 1
    {
        bits.take(length)?;
        bits.take(length)?;
        bits.take(1)?;
    }
    if has_display_delay && bits.take(1)? == 1 {
        bits.take(4)?;
    }
    Some(())
}

fn skip_uvlc(bits: &mut Bits<'_>) -> Option<()> {
    let mut zeros = 0;
    while bits.take(1)? == 0 {
        zeros += 1;
    }
    if zeros < 32 {
        bits.take(zeros)?;
    }
    Some(())
}

/// The number at the start of `bytes`, and what is behind it (AV1 bitstream specification 4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(end + 1);
    let value = number.iter().rev().fold(0_usize, |value, byte| value << 7 | usize::from(byte & 0x7f));
    Some((value, rest))
}

/// Bits from the highest of the first byte on.
struct Bits<'a> {
    rest: &'a [u8],
    /// Of the first byte of `rest`.
    used: u32,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let &byte = self.rest.first()?;
            value = value << 1 | u32::from(byte >> (7 - self.used) & 1);
            self.used += 1;
            if self.used == 8 {
                (self.rest, self.used) = (&self.rest[1..], 0);
            }
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use schema::MediaTime;

    fn size_of(codec: Codec, data: &[u8]) -> Option<(u32, u32)> {
        let (pts, data) = (MediaTime::ZERO, Bytes::copy_from_slice(data));
        let size = of(&AccessUnit { codec, pts, dts: pts, duration: None, random_access: true, data })?;
        Some((size.width, size.height))
    }

    /// The first bytes that libvpx, libaom, SVT-AV1 and rav1e write for a picture of 854 × 480; SVT-AV1 pads it.
    const WRITTEN: [(Codec, &[u8], u32); 7] = [
        (Codec::Vp8, &[0x30, 0xf3, 0x00, 0x9d, 0x01, 0x2a, 0x56, 0x03, 0xe0, 0x01, 0x00], 854),
        (Codec::Vp9, &[0x82, 0x49, 0x83, 0x42, 0x00, 0x35, 0x50, 0x1d, 0xf6, 0x06], 854),
        // profile 1 (4:4:4), profile 2 (10 bits)
        (Codec::Vp9, &[0xa2, 0x49, 0x83, 0x42, 0x00, 0x06, 0xaa, 0x03, 0xbe, 0xc0, 0xc7], 854),
        (Codec::Vp9, &[0x92, 0x49, 0x83, 0x42, 0x00, 0x1a, 0xa8, 0x0e, 0xfb, 0x03], 854),
        (Codec::Av1, &[0x0a, 0x0b, 0x00, 0x00, 0x00, 0x24, 0xc6, 0xab, 0xdf, 0x36, 0xbe, 0x40, 0x10, 0x32, 0xaf], 854),
        (
            Codec::Av1,
            &[0x12, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x24, 0xc6, 0xab, 0xdf, 0x3e, 0xfe, 0x40, 0x10, 0x32],
            854,
        ),
        (
            Codec::Av1,
            &[0x0a, 0x0e, 0x00, 0x00, 0x00, 0xfa, 0x63, 0x55, 0xef, 0x88, 0x42, 0xa2, 0x04, 0x04, 0x04, 0x28],
            854,
        ),
    ];

    #[test]
    fn the_size_is_read_from_what_encoders_write() {
        for (codec, data, width) in WRITTEN {
            assert_eq!(size_of(codec, data), Some((width, 480)), "{codec:?} {data:02x?}");
        }
    }

    #[test]
    fn a_sequence_header_with_everything_in_it_is_read() {
        // Bits of: profile 0; timing with ticks per picture; a decoder model with delays of 10 bits; display
        // delays; two operating points, the first with tier, model and delay; 1920 × 1080.
        let text = [
            "000",
            "0",
            "0",
            "1",
            &"0".repeat(31),
            "1",
            &"0".repeat(26),
            "111100",
            "1",
            "00101",
            "1",
            "01001",
            &"1".repeat(32),
            "0101001010",
            "1",
            "00001",
            "000000000001",
            "01000",
            "1",
            "1",
            "0000000001",
            "0000000010",
            "0",
            "1",
            "0011",
            "000000000010",
            "00100",
            "0",
            "0",
            "1010",
            "1010",
            "11101111111",
            "10000110111",
            "0000000",
        ]
        .concat();
        let bits: Vec<u8> = text.bytes().map(|bit| bit - b'0').collect();
        let payload: Vec<u8> =
            bits.chunks(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit) << (8 - byte.len())).collect();
        let unit = [&[0x0a, u8::try_from(payload.len()).unwrap()], &payload[..]].concat();
        assert_eq!(size_of(Codec::Av1, &unit), Some((1920, 1080)));
    }

    #[test]
    fn what_is_no_random_access_point_says_no_size() {
        for (codec, data, _) in WRITTEN {
            for end in 0..6 {
                assert_eq!(size_of(codec, &data[..end]), None);
            }
        }
        assert_eq!(size_of(Codec::Vp8, &[0x31, 0xf3, 0, 0x9d, 1, 0x2a, 0x56, 3, 0xe0, 1]), None);
        assert_eq!(size_of(Codec::Vp9, &[0x86, 0x49, 0x83, 0x42, 0, 0x35, 0x50, 0x1d, 0xf6, 6]), None);
        assert_eq!(size_of(Codec::Vp8, &[0x30, 0xf3, 0, 0x9d, 1, 0x2a, 0, 0, 0xe0, 1]), None);
        assert_eq!(size_of(Codec::Opus, &[0xfc]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..60), begins in 0_usize..7) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
                let _ = size_of(codec, &data);
            }
            let (codec, start, _) = WRITTEN[begins];
            let _ = size_of(codec, &[&start[..4], &data].concat());
        }
    }
}
