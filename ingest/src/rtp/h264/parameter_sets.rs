//! The parameter sets a publisher has sent, remembered by their ids.
//!
//! Reads no more of them than the id.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::START_CODE;

/// The longest parameter set, in bytes; real ones have under 100.
const SET_BYTES_MAX: usize = 4 << 10;
/// The highest `seq_parameter_set_id` (H.264 7.4.2.1.1).
const SPS_ID_MAX: u32 = 31;
/// The highest `pic_parameter_set_id` (H.264 7.4.2.2).
const PPS_ID_MAX: u32 = 255;

/// All sets by id, the newest of each.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: BTreeMap<u32, Bytes>,
    pps: BTreeMap<u32, Bytes>,
    /// Some set is new since the last unit that had them in front.
    changed: bool,
}

impl ParameterSets {
    /// Remembers a sequence parameter set; `None` if it is none.
    pub(super) fn remember_sps(&mut self, nal: &[u8]) -> Option<()> {
        // profile_idc, constraint flags and level_idc stand before the id
        let id = exp_golomb(nal.get(4..)?).filter(|&id| id <= SPS_ID_MAX)?;
        remember(&mut self.sps, id, nal, &mut self.changed)
    }

    /// Remembers a picture parameter set; `None` if it is none.
    pub(super) fn remember_pps(&mut self, nal: &[u8]) -> Option<()> {
        let id = exp_golomb(nal.get(1..)?).filter(|&id| id <= PPS_ID_MAX)?;
        remember(&mut self.pps, id, nal, &mut self.changed)
    }

    /// Whether there is one of both kinds.
    pub(super) fn are_known(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// `body` with the sets in front where it is an IDR or some set is new.
    pub(super) fn put_before(&mut self, body: BytesMut, is_idr: bool) -> Bytes {
        if !is_idr && !self.changed {
            return body.freeze();
        }
        self.changed = false;
        let mut data = BytesMut::with_capacity(body.len() + 128);
        for set in self.sps.values().chain(self.pps.values()) {
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(set);
        }
        data.extend_from_slice(&body);
        data.freeze()
    }
}

fn remember(sets: &mut BTreeMap<u32, Bytes>, id: u32, nal: &[u8], changed: &mut bool) -> Option<()> {
    if nal.len() > SET_BYTES_MAX {
        return None;
    }
    if sets.get(&id).is_none_or(|known| known != nal) {
        sets.insert(id, Bytes::copy_from_slice(nal));
        *changed = true;
    }
    Some(())
}

/// The Exp-Golomb code at the start of `bytes`, of at most 17 bits (H.264 9.1).
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let byte = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(0));
    let window = byte(0) << 24 | byte(1) << 16 | byte(2) << 8;
    let zeros = window.leading_zeros();
    let fits = zeros <= 8 && !bytes.is_empty();
    fits.then(|| (window >> (31 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_read_as_the_standard_lists_them() {
        assert_eq!(exp_golomb(&[0b1000_0000]), Some(0));
        assert_eq!(exp_golomb(&[0b0100_0000]), Some(1));
        assert_eq!(exp_golomb(&[0b0110_0000]), Some(2));
        assert_eq!(exp_golomb(&[0b0010_0000]), Some(3));
        assert_eq!(exp_golomb(&[0b0000_0000, 0b1000_0000, 0]), Some(255));
        assert_eq!(exp_golomb(&[0, 0, 0]), None);
        assert_eq!(exp_golomb(&[]), None);
    }
}
