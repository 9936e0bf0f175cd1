//! The innermost interceptor of a connection: takes media and sender reports out of the WebRTC
//! crate as soon as they are decrypted, with the instant at which they came.
//!
//! It sits behind those that watch for losses and arrivals, and before the crate's own queues,
//! which drop without a trace when they are full. Here the queue is ours, and drops are counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::{Notify, mpsc};

use crate::mux::{Counters, count, locked};
use crate::offer::Offer;
use crate::{PeerEvent, RtpPacket, SenderReport};

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Media(usize),
    Retransmission(usize),
}

/// The source that each track has now, as learned from its packets.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Mutex<Option<u32>>>);

impl Sources {
    /// The SSRC of `track`, once known.
    pub(crate) fn get(&self, track: usize) -> Option<u32> {
        self.0.get(track).and_then(|source| *locked(source))
    }
}

/// The interceptor.
pub(crate) struct Tap {
    roles: Vec<(u8, Role)>,
    current: Vec<Option<u32>>,
    sources: Arc<Sources>,
    events: mpsc::Sender<PeerEvent>,
    counters: Arc<Counters>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Tap {
    /// A tap for the tracks of `offer`, in its order.
    pub(crate) fn new(offer: &Offer, events: mpsc::Sender<PeerEvent>, counters: Arc<Counters>) -> (Self, Arc<Sources>) {
        let sections = || offer.sections.iter().enumerate();
        let media = sections().map(|(track, s)| (s.payload, Role::Media(track)));
        let repair = sections().filter_map(|(t, s)| s.rtx.map(|rtx| (rtx, Role::Retransmission(t))));
        let current: Vec<_> = sections().map(|(_, section)| section.ssrc).collect();
        let sources = Arc::new(Sources(current.iter().copied().map(Mutex::new).collect()));
        let tap = Self {
            roles: media.chain(repair).collect(),
            current,
            sources: Arc::clone(&sources),
            events,
            counters,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        };
        (tap, sources)
    }

    fn role(&self, payload: u8) -> Option<Role> {
        self.roles.iter().find(|(own, _)| *own == payload).map(|(_, role)| *role)
    }

    fn push(&self, event: PeerEvent) {
        if self.events.try_send(event).is_err() {
            count(&self.counters.events_dropped);
        }
    }

    fn media(&mut self, packet: rtp::Packet, arrival: Instant) {
        let header = &packet.header;
        let (track, sequence, payload) = match self.role(header.payload_type) {
            None => return,
            Some(Role::Media(track)) => {
                self.learn(track, header.ssrc);
                (track, header.sequence_number, packet.payload)
            }
            Some(Role::Retransmission(track)) => {
                // RFC 4588 4: the original sequence number comes first; a probe has none.
                let Some((original, _)) = packet.payload.split_first_chunk::<2>() else {
                    return;
                };
                (track, u16::from_be_bytes(*original), packet.payload.slice(2..))
            }
        };
        self.push(PeerEvent::Rtp(RtpPacket {
            track,
            sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            arrival,
        }));
    }

    fn learn(&mut self, track: usize, ssrc: u32) {
        if self.current[track] != Some(ssrc) {
            self.current[track] = Some(ssrc);
            *locked(&self.sources.0[track]) = Some(ssrc);
        }
    }

    fn reports(&self, packets: &[Box<dyn rtcp::Packet>], arrival: Instant) {
        let reports = packets.iter().filter_map(|p| p.as_any().downcast_ref::<rtcp::sender_report::SenderReport>());
        for report in reports {
            if let Some(track) = self.current.iter().position(|own| *own == Some(report.ssrc)) {
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

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    /// Media ends here; RTCP goes on to the end of the chain.
    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &tagged.message.packet {
            self.reports(packets, tagged.now);
            self.reads.push_back(tagged);
        } else if let Packet::Rtp(packet) = tagged.message.packet {
            self.media(packet, tagged.now);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// The publishing side's interceptor: hears keyframe requests.
pub(crate) struct KeyframeTap {
    requested: Arc<Notify>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl KeyframeTap {
    /// Tells `requested` of each request.
    pub(crate) fn new(requested: Arc<Notify>) -> Self {
        Self { requested, reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &tagged.message.packet
            && packets
                .iter()
                .any(|packet| packet.as_any().is::<PictureLossIndication>() || packet.as_any().is::<FullIntraRequest>())
        {
            self.requested.notify_one();
        }
        self.reads.push_back(tagged);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for KeyframeTap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
