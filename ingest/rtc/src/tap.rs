//! The innermost step of a connection's packets: takes media and sender reports out of the WebRTC
//! crate as soon as they are decrypted, with the instant at which they came.
//!
//! It sits behind those that watch for losses and arrivals, and before the crate's own queues,
//! which drop without a trace when they are full. Here the queue is ours, and drops are counted.

use std::sync::Arc;
use std::time::Instant;

use rtc::interceptor::{Packet, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use tokio::sync::{Notify, mpsc};

use crate::chain::Step;
use crate::desk::{Desk, Wishes};
use crate::mux::{Counters, count};
use crate::offer::Offer;
use crate::{PeerEvent, RtpPacket, SenderReport};

/// The tap.
pub(crate) struct Tap {
    tracks: Vec<TrackTap>,
    desk: Arc<Desk>,
    wishes: Wishes,
    events: mpsc::Sender<PeerEvent>,
    counters: Arc<Counters>,
}

struct TrackTap {
    payload: u8,
    /// The source it has now: declared, then learned from its packets.
    source: Option<u32>,
}

impl Tap {
    /// A tap for the tracks of `offer`, in its order.
    pub(crate) fn new(
        offer: &Offer,
        desk: &Arc<Desk>,
        events: mpsc::Sender<PeerEvent>,
        counters: Arc<Counters>,
    ) -> Self {
        let tracks =
            offer.sections.iter().map(|section| TrackTap { payload: section.payload, source: section.ssrc }).collect();
        Self { tracks, desk: Arc::clone(desk), wishes: Wishes::new(Arc::clone(desk)), events, counters }
    }

    fn push(&self, event: PeerEvent) {
        if self.events.try_send(event).is_err() {
            count(&self.counters.events_dropped);
        }
    }

    fn media(&mut self, packet: rtp::Packet, arrival: Instant) {
        let rtp::Packet { header, payload } = packet;
        let Some(track) = self.tracks.iter().position(|track| track.payload == header.payload_type) else {
            return;
        };
        let (sequence, timestamp) = (header.sequence_number, header.timestamp);
        self.tracks[track].source = Some(header.ssrc);
        self.desk.came(track, sequence, timestamp, payload.len(), arrival);
        let marker = header.marker;
        self.push(PeerEvent::Rtp(RtpPacket { track, sequence, timestamp, marker, payload, arrival }));
    }

    fn reports(&self, packets: &[Box<dyn rtcp::Packet>], arrival: Instant) {
        let reports = packets.iter().filter_map(|p| p.as_any().downcast_ref::<rtcp::sender_report::SenderReport>());
        for report in reports {
            if let Some(track) = self.tracks.iter().position(|track| track.source == Some(report.ssrc)) {
                self.push(PeerEvent::SenderReport(SenderReport {
                    track,
                    ntp: report.ntp_time,
                    rtp: report.rtp_time,
                    arrival,
                }));
            }
        }
    }
}

impl Step for Tap {
    /// Media ends here; RTCP goes on to the end of the chain.
    fn read(&mut self, tagged: TaggedPacket) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &tagged.message.packet {
            self.reports(packets, tagged.now);
            return Some(tagged);
        }
        if let Packet::Rtp(packet) = tagged.message.packet {
            self.media(packet, tagged.now);
        }
        None
    }

    /// The keyframe requests that are wanted and may leave now.
    fn reply(&mut self, now: Instant) -> Vec<Box<dyn rtcp::Packet>> {
        let mut requests: Vec<Box<dyn rtcp::Packet>> = Vec::new();
        for (track, TrackTap { source, .. }) in self.tracks.iter().enumerate() {
            // Before its first packet nothing can be asked of an undeclared source; the wish stays.
            if let Some(media_ssrc) = *source
                && self.wishes.grant(track, now)
            {
                requests.push(Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc }));
            }
        }
        requests
    }
}

/// The publishing side's step: hears keyframe requests.
pub(crate) struct KeyframeTap {
    requested: Arc<Notify>,
}

impl KeyframeTap {
    /// Tells `requested` of each request.
    pub(crate) fn new(requested: Arc<Notify>) -> Self {
        Self { requested }
    }
}

impl Step for KeyframeTap {
    fn read(&mut self, tagged: TaggedPacket) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &tagged.message.packet
            && packets.iter().any(|packet| asks(packet.as_ref()))
        {
            self.requested.notify_one();
        }
        Some(tagged)
    }
}

/// Is it a keyframe request?
fn asks(packet: &dyn rtcp::Packet) -> bool {
    packet.as_any().is::<PictureLossIndication>() || packet.as_any().is::<FullIntraRequest>()
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
