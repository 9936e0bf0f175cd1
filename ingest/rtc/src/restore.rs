//! Gives retransmitted packets their own header back (RFC 4588 4), before anybody else sees them.
//!
//! So the one that asks for lost packets learns that they came, and asks no more.

use rtc::interceptor::{Packet, TaggedPacket};
use rtc::rtp;

use crate::chain::Step;
use crate::offer::Offer;

/// The step that does it.
pub(crate) struct Restore(Vec<Repaired>);

/// A track whose packets may come again.
struct Repaired {
    media: u8,
    repair: u8,
    /// The source of the media: declared, then learned from its packets.
    source: Option<u32>,
}

impl Restore {
    pub(crate) fn new(offer: &Offer) -> Self {
        let repaired = offer.sections.iter().filter_map(|section| {
            Some(Repaired { media: section.payload, repair: section.rtx?, source: section.ssrc })
        });
        Self(repaired.collect())
    }

    /// `None` for a probe, which repeats nothing, and before the source of the media is known.
    fn restored(&mut self, mut packet: rtp::Packet) -> Option<rtp::Packet> {
        let payload_type = packet.header.payload_type;
        if let Some(track) = self.0.iter_mut().find(|track| track.media == payload_type) {
            track.source = Some(packet.header.ssrc);
        } else if let Some(track) = self.0.iter().find(|track| track.repair == payload_type) {
            let (original, _) = packet.payload.split_first_chunk::<2>()?;
            packet.header.sequence_number = u16::from_be_bytes(*original);
            packet.header.payload_type = track.media;
            packet.header.ssrc = track.source?;
            packet.payload = packet.payload.slice(2..);
        }
        Some(packet)
    }
}

impl Step for Restore {
    fn read(&mut self, mut tagged: TaggedPacket) -> Option<TaggedPacket> {
        if let Packet::Rtp(packet) = tagged.message.packet {
            tagged.message.packet = Packet::Rtp(self.restored(packet)?);
        }
        Some(tagged)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use rtc::interceptor::AttributedPacket;
    use rtc::shared::TransportContext;

    const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");

    fn read(step: &mut Restore, payload_type: u8, ssrc: u32, payload: &'static [u8]) -> Option<rtp::Packet> {
        let header =
            rtp::Header { version: 2, payload_type, sequence_number: 500, timestamp: 9, ssrc, ..Default::default() };
        let message = AttributedPacket::new(Packet::Rtp(rtp::Packet { header, payload: Bytes::from_static(payload) }));
        let tagged = TaggedPacket { now: Instant::now(), transport: TransportContext::default(), message };
        match step.read(tagged)?.message.packet {
            Packet::Rtp(packet) => Some(packet),
            _ => None,
        }
    }

    #[test]
    fn a_retransmission_gets_back_its_own_number_and_source_and_a_probe_is_dropped() {
        let mut step = Restore::new(&Offer::parse(CHROMIUM).expect("a good offer"));
        let got = read(&mut step, 108, 1_012_345_678, b"\x01\x02data").expect("a packet");
        let header = &got.header;
        assert_eq!((header.payload_type, header.sequence_number, header.ssrc), (107, 0x0102, 3_012_345_678));
        assert_eq!(&got.payload[..], b"data");
        assert!(read(&mut step, 108, 1_012_345_678, b"\x01").is_none());
    }

    #[test]
    fn an_undeclared_source_is_learned_from_its_media() {
        let text: String = CHROMIUM.lines().filter(|l| !l.starts_with("a=ssrc")).map(|l| format!("{l}\r\n")).collect();
        let mut step = Restore::new(&Offer::parse(&text).expect("a good offer"));
        assert!(read(&mut step, 108, 5, b"\x01\x02data").is_none());
        assert_eq!(read(&mut step, 107, 77, b"media").expect("a packet").header.sequence_number, 500);
        assert_eq!(read(&mut step, 108, 5, b"\x01\x02data").expect("a packet").header.ssrc, 77);
    }
}
