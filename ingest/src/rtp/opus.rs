//! The Opus depacketiser (RFC 7587): one packet is one unit.
//!
//! Checks a packet's length and its table of contents, and no more.

use thiserror::Error;

use super::{Packet, Unit};

/// The longest Opus packet taken, in bytes: 120 ms in frames of 20 ms (RFC 6716 3.2.1, 3.2.5).
pub const PACKET_BYTES_MAX: usize = 6 * 1_275 + 14;
/// The longest time in one packet, in samples at 48 kHz: 120 ms (RFC 6716 3.4, R5).
const PACKET_SAMPLES_MAX: u32 = 5_760;

/// Why a packet is not a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpusError {
    /// No payload: a probe, or silence that the publisher does not send (DTX).
    #[error("the packet is empty")]
    Empty,
    /// Longer than [`PACKET_BYTES_MAX`].
    #[error("the packet is too long")]
    TooLong,
    /// Its table of contents is impossible (RFC 6716 3.4).
    #[error("the packet is malformed")]
    Malformed,
}

/// The unit in a packet; decoding can start at any.
pub fn unit(packet: &Packet) -> Result<Unit, OpusError> {
    check(&packet.payload)?;
    Ok(Unit { timestamp: packet.timestamp, arrival: packet.arrival, random_access: true, data: packet.payload.clone() })
}

fn check(payload: &[u8]) -> Result<(), OpusError> {
    let (&toc, rest) = payload.split_first().ok_or(OpusError::Empty)?;
    if payload.len() > PACKET_BYTES_MAX {
        return Err(OpusError::TooLong);
    }
    let frames = match toc & 0x03 {
        0 => 1,
        1 if rest.len() % 2 == 0 => 2,
        2 if !rest.is_empty() => 2,
        3 => u32::from(rest.first().ok_or(OpusError::Malformed)? & 0x3f),
        _ => return Err(OpusError::Malformed),
    };
    let samples = frames * frame_samples(toc);
    let possible = (1..=PACKET_SAMPLES_MAX).contains(&samples);
    possible.then_some(()).ok_or(OpusError::Malformed)
}

/// The length of one frame in samples at 48 kHz (RFC 6716 table 2).
fn frame_samples(toc: u8) -> u32 {
    match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetise::Packetiser;
    use proptest::prelude::*;

    fn of(payload: &[u8]) -> Result<Unit, OpusError> {
        unit(&Packetiser::new(0).packet(7, false, payload))
    }

    #[test]
    fn a_packet_is_one_unit_where_decoding_can_start() {
        let unit = of(&[0xfc, 1, 2, 3]).unwrap();
        assert!(unit.random_access);
        assert_eq!((unit.timestamp, &unit.data[..]), (7, &[0xfc, 1, 2, 3][..]));
    }

    #[test]
    fn silence_of_one_byte_passes_and_an_empty_packet_is_told_apart() {
        assert!(of(&[0xf8]).is_ok());
        assert_eq!(of(&[]), Err(OpusError::Empty));
    }

    #[test]
    fn impossible_packets_are_refused() {
        assert_eq!(of(&vec![0xfc; PACKET_BYTES_MAX + 1]), Err(OpusError::TooLong));
        let odd_halves = [0xfd, 1];
        let no_frames = [0xff, 0];
        let too_many = [0xff, 7];
        for payload in [&odd_halves[..], &no_frames, &too_many, &[0xfe], &[0xff]] {
            assert_eq!(of(payload), Err(OpusError::Malformed), "{payload:?}");
        }
        assert!(of(&[0xff, 6, 0, 0, 0, 0, 0, 0]).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = of(&payload);
        }
    }
}
