//! The steps that a connection's packets pass inside the WebRTC crate.
//!
//! The crate wants a queue, a clock and eight functions of each; ours mostly look at a packet and
//! pass it on. [`Link`] is what they have in common.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

/// One step.
pub(crate) trait Step: Send + Sync {
    /// A packet on its way in. What is given back goes on.
    fn read(&mut self, packet: TaggedPacket) -> Option<TaggedPacket>;

    /// RTCP that is to be sent, now that a packet was read at `now`.
    fn reply(&mut self, now: Instant) -> Vec<Box<dyn rtcp::Packet>> {
        let _ = now;
        Vec::new()
    }
}

/// A step in the crate's chain. Its own RTCP leaves with the next packet that comes in, as the crate
/// asks for it only then; while a publisher sends media, that is a matter of milliseconds.
pub(crate) struct Link<S> {
    step: S,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl<S: Step> Link<S> {
    pub(crate) fn new(step: S) -> Self {
        Self { step, reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

impl<S: Step> Protocol<TaggedPacket, TaggedPacket, ()> for Link<S> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let now = packet.now;
        self.reads.extend(self.step.read(packet));
        let reply = self.step.reply(now);
        if !reply.is_empty() {
            let message = AttributedPacket::new(Packet::Rtcp(reply));
            self.writes.push_back(TaggedPacket { now, transport: TransportContext::default(), message });
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl<S: Step> Interceptor for Link<S> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
