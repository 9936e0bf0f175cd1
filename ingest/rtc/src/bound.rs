//! Shows the WebRTC crate's watchers (NACK, transport-cc, receiver reports) the source of each track.
//!
//! The crate tells them only of sources that the offer declares. Many publishers declare none
//! (RFC 9143 9.2 needs no `a=ssrc`), and a source may change; here the payload type decides, as it
//! does for the media itself.

use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, RTCPFeedback, RTPHeaderExtension, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use crate::offer::{Offer, Section, TRANSPORT_CC};

/// A watcher of the crate that hears of each track's source at its first packet.
pub(crate) struct Bound<W> {
    watcher: W,
    tracks: Vec<Watched>,
}

struct Watched {
    info: StreamInfo,
    source: Option<u32>,
}

impl<W: Interceptor> Bound<W> {
    pub(crate) fn new(watcher: W, offer: &Offer) -> Self {
        let tracks = offer.sections.iter().map(|section| Watched { info: info(section), source: None });
        Self { watcher, tracks: tracks.collect() }
    }

    fn bind(&mut self, payload: u8, source: u32) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.info.payload_type == payload) else {
            return;
        };
        if track.source == Some(source) {
            return;
        }
        if track.source.replace(source).is_some() {
            self.watcher.unbind_remote_stream(&track.info);
        }
        track.info.ssrc = source;
        self.watcher.bind_remote_stream(&track.info);
    }
}

fn info(section: &Section) -> StreamInfo {
    let nack = RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() };
    let extension = |id| RTPHeaderExtension { uri: TRANSPORT_CC.to_owned(), id: u16::from(id) };
    let transport_cc = section.transport_cc.filter(|_| section.feedback.transport_cc);
    StreamInfo {
        payload_type: section.payload,
        clock_rate: section.format.clock_rate(),
        rtcp_feedback: section.feedback.nack.then_some(nack).into_iter().collect(),
        rtp_header_extensions: transport_cc.map(extension).into_iter().collect(),
        ..StreamInfo::default()
    }
}

impl<W: Interceptor> Protocol<TaggedPacket, TaggedPacket, ()> for Bound<W> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(rtp) = &packet.message.packet {
            self.bind(rtp.header.payload_type, rtp.header.ssrc);
        }
        self.watcher.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.watcher.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.watcher.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.watcher.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.watcher.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.watcher.poll_timeout()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.watcher.close()
    }
}

/// What the crate knows of remote sources is not asked: it is a part of what comes by here.
impl<W: Interceptor> Interceptor for Bound<W> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.watcher.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.watcher.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
