//! H.264 as a byte stream with start codes (ISO/IEC 14496-10 Annex B). Knows no slices.

use bytes::{BufMut, Bytes, BytesMut};

/// NAL unit types that this crate looks at (ISO/IEC 14496-10 table 7-1).
mod kind {
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const DELIMITER: u8 = 9;
    pub(super) const FILLER: u8 = 12;
}

/// More parameter sets than this in one unit are ignored.
const PARAMETER_SETS_MAX: usize = 16;

/// The NAL units of a byte stream, without start codes, zero padding and empty units.
pub fn units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(data).map_or(&[][..], |(_, after)| &data[after..]);
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (unit, next) = match start_code(rest) {
                Some((begin, after)) => (&rest[..begin], &rest[after..]),
                None => (rest, &[][..]),
            };
            rest = next;
            let unit = without_trailing_zeros(unit);
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    })
}

/// Where the next three-byte start code begins and ends; zeros before it belong to nobody.
fn start_code(data: &[u8]) -> Option<(usize, usize)> {
    let begin = data.windows(3).position(|bytes| bytes == [0, 0, 1])?;
    Some((begin, begin + 3))
}

fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &unit[..end]
}

/// The parameter sets of a stream, each without start code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    /// Sequence parameter sets; at least one.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets; at least one.
    pub pps: Vec<Bytes>,
}

/// The parameter sets inside an access unit, if it has at least one of each.
#[must_use]
pub fn parameter_sets(data: &[u8]) -> Option<ParameterSets> {
    let of = |wanted: u8| -> Vec<Bytes> {
        let mut found: Vec<Bytes> = Vec::new();
        for unit in units(data).filter(|unit| unit[0] & 0x1f == wanted) {
            if found.len() < PARAMETER_SETS_MAX && !found.iter().any(|known| known == unit) {
                found.push(Bytes::copy_from_slice(unit));
            }
        }
        found
    };
    let sets = ParameterSets { sps: of(kind::SPS), pps: of(kind::PPS) };
    (!sets.sps.is_empty() && !sets.pps.is_empty()).then_some(sets)
}

/// The access unit with a length of four bytes before each NAL unit (ISO/IEC 14496-15 5.3), without
/// what belongs into the sample entry or nowhere: parameter sets, delimiters, filler.
#[must_use]
pub fn to_length_prefixed(data: &[u8]) -> Bytes {
    prefixed(data, |kind| !matches!(kind, kind::SPS | kind::PPS))
}

/// The same with its parameter sets.
#[must_use]
pub fn to_length_prefixed_with_sets(data: &[u8]) -> Bytes {
    prefixed(data, |_| true)
}

fn prefixed(data: &[u8], keeps: impl Fn(u8) -> bool) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 16);
    for unit in units(data) {
        let kind = unit[0] & 0x1f;
        if matches!(kind, kind::DELIMITER | kind::FILLER) || !keeps(kind) {
            continue;
        }
        let Ok(length) = u32::try_from(unit.len()) else {
            continue;
        };
        out.put_u32(length);
        out.put_slice(unit);
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_lengths_of_start_code_and_zero_padding_are_understood() {
        let stream =
            [&[0, 0, 0, 1, 9, 0x10][..], &[0, 0, 1, 0x67, 1, 2], &[0, 0, 0, 1, 0x68, 3], &[0, 0, 1, 0x65, 4, 5, 0, 0]]
                .concat();
        let found: Vec<&[u8]> = units(&stream).collect();
        assert_eq!(found, [&[9, 0x10][..], &[0x67, 1, 2], &[0x68, 3], &[0x65, 4, 5]]);
        let sets = parameter_sets(&stream).unwrap();
        assert_eq!((&sets.sps[0][..], &sets.pps[0][..]), (&[0x67, 1, 2][..], &[0x68, 3][..]));
        assert_eq!(&to_length_prefixed(&stream)[..], [0, 0, 0, 3, 0x65, 4, 5]);
        let whole = [&[0, 0, 0, 3, 0x67, 1, 2][..], &[0, 0, 0, 2, 0x68, 3], &[0, 0, 0, 3, 0x65, 4, 5]].concat();
        assert_eq!(&to_length_prefixed_with_sets(&stream)[..], whole);
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_lengths_always_add_up(data: Vec<u8>) {
            let _ = parameter_sets(&data);
            let mut rest = &to_length_prefixed(&data)[..];
            while !rest.is_empty() {
                let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
                prop_assert!(length > 0);
                rest = &rest[4 + length..];
            }
        }
    }
}
