//! A tiny RTP packetiser for tests: pictures in, packets out, as publishers send them.

use std::time::Instant;

use bytes::Bytes;

use super::Packet;

/// A sequence parameter set with id 0.
pub(crate) const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40];
/// A picture parameter set with id 0.
pub(crate) const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

/// A first slice of an IDR, `len` bytes in all.
pub(crate) fn idr(len: usize) -> Vec<u8> {
    slice(0x65, len)
}

/// A first slice of a P picture, `len` bytes in all.
pub(crate) fn p_slice(len: usize) -> Vec<u8> {
    slice(0x41, len)
}

fn slice(header: u8, len: usize) -> Vec<u8> {
    let mut nal = vec![header, 0x88];
    nal.extend((2..len).map(|index| u8::try_from(index % 251).unwrap()));
    nal
}

/// Annex B of the NAL units.
pub(crate) fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let with_code = |nal: &&[u8]| [&[0, 0, 0, 1], *nal].concat();
    nals.iter().flat_map(with_code).collect()
}

/// One sender of one track.
#[derive(Debug, Clone)]
pub(crate) struct Packetiser {
    pub(crate) sequence: u16,
    pub(crate) now: Instant,
    pub(crate) payload_max: usize,
}

impl Packetiser {
    pub(crate) fn new(sequence: u16) -> Self {
        let now = Instant::now();
        Self { sequence, now, payload_max: 100 }
    }

    /// One packet with this payload.
    pub(crate) fn packet(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Packet {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Packet { sequence, timestamp, marker, payload: Bytes::copy_from_slice(payload), arrival: self.now }
    }

    /// A picture: small NAL units as single packets, large ones in FU-A; the marker on the last packet.
    pub(crate) fn picture(&mut self, timestamp: u32, nals: &[&[u8]]) -> Vec<Packet> {
        let mut packets: Vec<Packet> = nals.iter().flat_map(|nal| self.nal(timestamp, nal)).collect();
        if let Some(last) = packets.last_mut() {
            last.marker = true;
        }
        packets
    }

    fn nal(&mut self, timestamp: u32, nal: &[u8]) -> Vec<Packet> {
        if nal.len() <= self.payload_max {
            return vec![self.packet(timestamp, false, nal)];
        }
        let parts: Vec<&[u8]> = nal[1..].chunks(self.payload_max - 2).collect();
        let last = parts.len() - 1;
        let fragment = |(index, part): (usize, &&[u8])| {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index == last { 0x40 } else { 0 };
            let headers = [nal[0] & 0xe0 | 28, start | end | nal[0] & 0x1f];
            self.packet(timestamp, false, &[&headers, *part].concat())
        };
        parts.iter().enumerate().map(fragment).collect()
    }
}

/// A STAP-A payload of the NAL units.
pub(crate) fn stap_a(nals: &[&[u8]]) -> Vec<u8> {
    let sized = |nal: &&[u8]| {
        let size = u16::try_from(nal.len()).unwrap().to_be_bytes();
        [&size, *nal].concat()
    };
    let mut payload = vec![0x78];
    payload.extend(nals.iter().flat_map(sized));
    payload
}
