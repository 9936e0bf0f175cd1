//! The H.264 sequence parameter set, as far as a container and a ladder need it (ISO/IEC 14496-10 7.3.2.1.1).

use schema::ladder::PictureSize;
use thiserror::Error;

/// Larger pictures than this are refused, in pixels per side.
const SIDE_MAX: u32 = 16_384;

/// What a sequence parameter set says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, one byte.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u8,
    /// Bits per luma sample.
    pub bit_depth_luma: u8,
    /// Bits per chroma sample.
    pub bit_depth_chroma: u8,
    /// The size of the picture after cropping.
    pub size: PictureSize,
    /// False if pictures may be coded as fields (`frame_mbs_only_flag`).
    pub is_progressive: bool,
    /// True if samples use all values, and not the limited range of video (`video_full_range_flag`, E.2.1).
    pub is_full_range: bool,
}

/// Why a sequence parameter set cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpsError {
    /// It ends too early.
    #[error("the parameter set is cut off")]
    Short,
    /// Not a sequence parameter set at all.
    #[error("not a sequence parameter set")]
    Kind,
    /// A value outside its range.
    #[error("{0} is out of range")]
    Range(&'static str),
}

impl Sps {
    /// Reads a NAL unit of type 7, with its header byte and emulation prevention, without start code.
    ///
    /// # Errors
    /// [`SpsError`] where the bytes are not a sequence parameter set within sane limits.
    pub fn parse(unit: &[u8]) -> Result<Self, SpsError> {
        let (&header, body) = unit.split_first().ok_or(SpsError::Short)?;
        if header & 0x1f != 7 {
            return Err(SpsError::Kind);
        }
        let mut bits = Bits::new(body);
        let profile = bits.byte()?;
        let constraints = bits.byte()?;
        let level = bits.byte()?;
        bits.ue()?; // seq_parameter_set_id
        let format = format(profile, &mut bits)?;
        skip_order_count(&mut bits)?;
        bits.ue()?; // max_num_ref_frames
        bits.bit()?; // gaps_in_frame_num_value_allowed_flag
        let (size, is_progressive) = size(&format, &mut bits)?;
        // What is wrong from here on concerns nobody who only wants the picture's size.
        let is_full_range = is_full_range(&mut bits).unwrap_or(false);
        Ok(Self {
            profile,
            constraints,
            level,
            chroma_format: format.chroma,
            bit_depth_luma: format.luma_bits,
            bit_depth_chroma: format.chroma_bits,
            size,
            is_progressive,
            is_full_range,
        })
    }

    /// True for the profiles whose decoder configuration carries the chroma format and bit depths
    /// (ISO/IEC 14496-15 5.3.3.1.2).
    #[must_use]
    pub fn has_extended_configuration(&self) -> bool {
        !matches!(self.profile, 66 | 77 | 88)
    }
}

struct Format {
    chroma: u8,
    separate_planes: bool,
    luma_bits: u8,
    chroma_bits: u8,
}

fn format(profile: u8, bits: &mut Bits<'_>) -> Result<Format, SpsError> {
    let mut format = Format { chroma: 1, separate_planes: false, luma_bits: 8, chroma_bits: 8 };
    let high = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
    if !high.contains(&profile) {
        return Ok(format);
    }
    format.chroma = bits.small(3, "chroma_format_idc")?;
    if format.chroma == 3 {
        format.separate_planes = bits.bit()?;
    }
    format.luma_bits = 8 + bits.small(6, "bit_depth_luma_minus8")?;
    format.chroma_bits = 8 + bits.small(6, "bit_depth_chroma_minus8")?;
    bits.bit()?; // qpprime_y_zero_transform_bypass_flag
    if bits.bit()? {
        let lists = if format.chroma == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.bit()? {
                skip_scaling_list(if list < 6 { 16 } else { 64 }, bits)?;
            }
        }
    }
    Ok(format)
}

fn skip_scaling_list(length: u32, bits: &mut Bits<'_>) -> Result<(), SpsError> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..length {
        if next != 0 {
            next = (last + bits.se()? + 256).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

fn skip_order_count(bits: &mut Bits<'_>) -> Result<(), SpsError> {
    bits.ue()?; // log2_max_frame_num_minus4
    match bits.ue()? {
        0 => {
            bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            let cycle = bits.ue()?;
            if cycle > 255 {
                return Err(SpsError::Range("num_ref_frames_in_pic_order_cnt_cycle"));
            }
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        2 => {}
        _ => return Err(SpsError::Range("pic_order_cnt_type")),
    }
    Ok(())
}

fn size(format: &Format, bits: &mut Bits<'_>) -> Result<(PictureSize, bool), SpsError> {
    let columns = bits.ue()?.checked_add(1);
    let rows = bits.ue()?.checked_add(1);
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?; // mb_adaptive_frame_field_flag
    }
    bits.bit()?; // direct_8x8_inference_flag
    let field = if frames_only { 1 } else { 2 };
    let width = pixels(columns, 16, "pic_width_in_mbs_minus1")?;
    let height = pixels(rows, 16 * field, "pic_height_in_map_units_minus1")?;
    let mut crop = [0_u32; 4];
    if bits.bit()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let (unit_x, unit_y) = match format.chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let unit_x = if format.separate_planes { 1 } else { unit_x };
    let [left, right, top, bottom] = crop.map(u64::from);
    let size = PictureSize {
        width: cropped(width, (left + right) * unit_x)?,
        height: cropped(height, (top + bottom) * unit_y * u64::from(field))?,
    };
    Ok((size, frames_only))
}

/// What the usability information says of it (E.1.1), if there is any.
fn is_full_range(bits: &mut Bits<'_>) -> Result<bool, SpsError> {
    /// `Extended_SAR` of `aspect_ratio_idc` (table E-1).
    const EXTENDED_SHAPE: u8 = 255;
    if !bits.bit()? {
        return Ok(false); // vui_parameters_present_flag
    }
    if bits.bit()? && bits.byte()? == EXTENDED_SHAPE {
        bits.bits(32)?; // sar_width, sar_height
    }
    if bits.bit()? {
        bits.bit()?; // overscan_appropriate_flag
    }
    if !bits.bit()? {
        return Ok(false); // video_signal_type_present_flag
    }
    bits.bits(3)?; // video_format
    bits.bit()
}

fn pixels(blocks: Option<u32>, each: u32, what: &'static str) -> Result<u32, SpsError> {
    blocks.and_then(|blocks| blocks.checked_mul(each)).filter(|&pixels| pixels <= SIDE_MAX).ok_or(SpsError::Range(what))
}

fn cropped(side: u32, crop: u64) -> Result<u32, SpsError> {
    u32::try_from(crop)
        .ok()
        .and_then(|crop| side.checked_sub(crop))
        .filter(|&side| side > 0)
        .ok_or(SpsError::Range("frame_crop"))
}

/// A reader of bits that leaves emulation prevention bytes out.
struct Bits<'a> {
    data: &'a [u8],
    byte: usize,
    bit: u32,
    zeros: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, byte: 0, bit: 0, zeros: 0 }
    }

    fn bit(&mut self) -> Result<bool, SpsError> {
        if self.bit == 0 && self.zeros >= 2 && self.data.get(self.byte) == Some(&3) {
            self.byte += 1;
            self.zeros = 0;
        }
        let byte = *self.data.get(self.byte).ok_or(SpsError::Short)?;
        let set = byte >> (7 - self.bit) & 1 == 1;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.byte += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        Ok(set)
    }

    fn bits(&mut self, count: u32) -> Result<u32, SpsError> {
        (0..count).try_fold(0, |value, _| Ok(value << 1 | u32::from(self.bit()?)))
    }

    fn byte(&mut self) -> Result<u8, SpsError> {
        u8::try_from(self.bits(8)?).map_err(|_| SpsError::Range("byte"))
    }

    /// `ue(v)` (9.1).
    fn ue(&mut self) -> Result<u32, SpsError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(SpsError::Range("Exp-Golomb code"));
            }
        }
        let rest = u64::from(self.bits(zeros)?);
        let value = (1_u64 << zeros) - 1 + rest;
        u32::try_from(value).map_err(|_| SpsError::Range("Exp-Golomb code"))
    }

    /// `se(v)` (9.1.1).
    fn se(&mut self) -> Result<i64, SpsError> {
        let code = i64::from(self.ue()?);
        let half = (code + 1) / 2;
        Ok(if code % 2 == 0 { -half } else { half })
    }

    fn small(&mut self, max: u32, what: &'static str) -> Result<u8, SpsError> {
        let value = self.ue()?;
        if value > max {
            return Err(SpsError::Range(what));
        }
        u8::try_from(value).map_err(|_| SpsError::Range(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// x264, High, 320 × 240.
    const HIGH: [u8; 24] = [
        0x67, 0x64, 0x00, 0x0D, 0xAC, 0xD9, 0x41, 0x41, 0xFA, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03,
        0x03, 0x20, 0xF1, 0x42, 0x99, 0x60,
    ];

    #[test]
    fn a_known_parameter_set_is_read() {
        let sps = Sps::parse(&HIGH).unwrap();
        assert_eq!((sps.profile, sps.constraints, sps.level), (100, 0, 13));
        assert_eq!((sps.chroma_format, sps.bit_depth_luma), (1, 8));
        assert_eq!(sps.size, PictureSize { width: 320, height: 240 });
        assert!(sps.has_extended_configuration());
        assert_eq!((sps.is_progressive, sps.is_full_range), (true, false));
    }

    #[test]
    fn the_range_of_samples_stands_behind_the_shape_and_overscan() {
        let read = |text: &str| {
            let mut bytes = vec![0_u8; text.len().div_ceil(8)];
            for (at, bit) in text.bytes().enumerate() {
                bytes[at / 8] |= (bit - b'0') << (7 - at % 8);
            }
            is_full_range(&mut Bits::new(&bytes))
        };
        assert_eq!(read("0"), Ok(false), "no usability information");
        assert_eq!(read("1000"), Ok(false), "no signal type");
        assert_eq!(read("10011011"), Ok(true));
        assert_eq!(read("10011010"), Ok(false));
        assert_eq!(read("11000000011011011"), Ok(true), "a shape of the table, and overscan");
        let shape = "0000000000000001".repeat(2);
        assert_eq!(read(&format!("1111111111{shape}011011")), Ok(true), "a shape of its own");
        assert_eq!(read("11"), Err(SpsError::Short));
    }

    #[test]
    fn a_cut_off_or_foreign_unit_is_an_error() {
        assert_eq!(Sps::parse(&[]), Err(SpsError::Short));
        assert_eq!(Sps::parse(&HIGH[..6]), Err(SpsError::Short));
        assert_eq!(Sps::parse(&[0x68, 1, 2, 3]), Err(SpsError::Kind));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut data: Vec<u8>, flip in 0_usize..24, bit in 0_u8..8) {
            let _ = Sps::parse(&data);
            data.insert(0, 0x67);
            let _ = Sps::parse(&data);
            let mut near = HIGH;
            near[flip] ^= 1 << bit;
            if let Ok(sps) = Sps::parse(&near) {
                prop_assert!(sps.size.width > 0 && sps.size.height <= SIDE_MAX);
            }
        }
    }
}
