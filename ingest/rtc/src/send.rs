//! The other side: a publisher's connection, for the `publish` command and for tests.
//!
//! One H.264 and one Opus track over a socket of its own. Knows no HTTP and paces nothing: the
//! caller sends each unit when it is due.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{NackResponderBuilder, Registry, SenderReportBuilder, Slot, TwccSenderBuilder};
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;
use rtc::rtp::{Header, Packet};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use schema::{AccessUnit, MediaTime};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use webrtc::media_stream::MediaStreamTrack;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder,
};

use crate::PeerEnd;
use crate::chain::Link;
use crate::offer::TRANSPORT_CC;
use crate::phase::{Phase, PhaseSender, ended, phase, settled};
use crate::runtime::{Network, PeerRuntime};
use crate::tap::KeyframeTap;

const H264: u8 = 96;
const H264_RTX: u8 = 97;
const OPUS: u8 = 111;
/// The longest RTP payload, in bytes: fits tunnels and IPv6 with SRTP's overhead.
const PAYLOAD_MAX: usize = 1_150;
/// [`Sender::close`] waits no longer.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How often [`Sender::ended`] looks whether the other side closed.
const CLOSED_CHECK: Duration = Duration::from_millis(100);

/// Why something could not be sent or set up.
#[derive(Debug, Error)]
pub enum SendError {
    /// The connection is over, or never came up.
    #[error("the connection is over")]
    Ended(PeerEnd),
    /// The WebRTC crate refused: the answer is not one to our offer, or the connection is over.
    #[error("the peer connection refused: {0}")]
    Refused(#[from] webrtc::error::Error),
}

/// A publisher's connection. Dropping it ends it without a word; [`Sender::close`] says goodbye.
pub struct Sender {
    connection: Arc<dyn PeerConnection>,
    video: Outgoing,
    audio: Outgoing,
    payloader: H264Payloader,
    phase: watch::Receiver<Phase>,
    keyframe: Arc<Notify>,
    runtime: Arc<PeerRuntime>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("phase", &*self.phase.borrow()).finish_non_exhaustive()
    }
}

impl Sender {
    /// A connection and its SDP offer: H.264 (packetization-mode 1, with retransmissions) and
    /// Opus, both `sendonly`, without candidates.
    ///
    /// # Errors
    ///
    /// The machine gives no socket.
    pub async fn offer() -> Result<(Self, String), SendError> {
        let (phase, phase_reader) = phase();
        let keyframe = Arc::new(Notify::new());
        let runtime = PeerRuntime::new(Network::Own, phase.clone());
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();
        let builder = PeerConnectionBuilder::new()
            .with_media_engine(media_engine()?)
            .with_setting_engine(settings)
            .with_interceptor_registry(interceptors(Arc::clone(&keyframe)))
            .with_handler(Arc::new(Callbacks(phase)))
            .with_runtime(Arc::clone(&runtime) as Arc<_>)
            .with_udp_addrs(vec!["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"]);
        let connection = Box::pin(builder.build()).await?;
        let sender = Self {
            connection: Arc::new(connection),
            video: Outgoing::new(RtpCodecKind::Video, &h264(), H264),
            audio: Outgoing::new(RtpCodecKind::Audio, &opus(), OPUS),
            payloader: H264Payloader::default(),
            phase: phase_reader,
            keyframe,
            runtime,
        };
        let offer = sender.negotiate().await?;
        Ok((sender, offer))
    }

    async fn negotiate(&self) -> Result<String, SendError> {
        for outgoing in [&self.audio, &self.video] {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Sendonly,
                streams: vec!["headwater".to_owned()],
                send_encodings: Vec::new(),
            };
            let track = Arc::clone(&outgoing.track) as Arc<dyn TrackLocal>;
            self.connection.add_transceiver_from_track(track, Some(init)).await?;
        }
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer.clone()).await?;
        Ok(offer.sdp)
    }

    /// Takes the server's SDP answer.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] if it is none to our offer.
    pub async fn accept_answer(&self, answer: &str) -> Result<(), SendError> {
        let answer = RTCSessionDescription::answer(answer.to_owned())?;
        Ok(self.connection.set_remote_description(answer).await?)
    }

    /// Waits until media can be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the connection did not come up.
    pub async fn connected(&self) -> Result<(), SendError> {
        match settled(&mut self.phase.clone()).await {
            Phase::Ended(end) => Err(SendError::Ended(end)),
            Phase::Connecting | Phase::Connected => Ok(()),
        }
    }

    /// Waits until the connection is over, also when the server closed it. The future borrows nothing.
    pub fn ended(&self) -> impl Future<Output = PeerEnd> + Send + use<> {
        let mut phase = self.phase.clone();
        let connection = Arc::clone(&self.connection);
        async move {
            loop {
                tokio::select! {
                    end = ended(&mut phase) => return end,
                    () = sleep(CLOSED_CHECK) => {
                        if is_closed_by_peer(connection.as_ref()).await {
                            return PeerEnd::Closed;
                        }
                    }
                }
            }
        }
    }

    /// Sends one picture: Annex B in `unit.data`, its `pts` on the 90 kHz clock (RFC 6184).
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn send_video(&mut self, unit: &AccessUnit) -> Result<(), SendError> {
        let payloads = self.payloader.payload(PAYLOAD_MAX, &unit.data)?;
        let last = payloads.len().saturating_sub(1);
        for (index, payload) in payloads.into_iter().enumerate() {
            self.video.send(unit.pts, payload, index == last).await?;
        }
        Ok(())
    }

    /// Sends one Opus packet, its `pts` on the 48 kHz clock (RFC 7587).
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn send_audio(&mut self, unit: &AccessUnit) -> Result<(), SendError> {
        self.audio.send(unit.pts, unit.data.clone(), false).await
    }

    /// Waits until the server asks for a keyframe (PLI or FIR). A request that came while nobody
    /// waited counts. The future borrows nothing.
    pub fn keyframe_requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let keyframe = Arc::clone(&self.keyframe);
        async move { keyframe.notified().await }
    }

    /// Says goodbye by DTLS and ends; at most one second.
    pub async fn close(self) {
        let _ = timeout(CLOSE_LIMIT, self.connection.close()).await;
    }
}

async fn is_closed_by_peer(connection: &dyn PeerConnection) -> bool {
    for sender in connection.get_senders().await {
        if let Ok(Some(transport)) = sender.transport().await {
            return transport.state().await.ok() == Some(RTCDtlsTransportState::Closed);
        }
    }
    false
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

/// One track on its way out.
struct Outgoing {
    track: Arc<TrackLocalStaticRTP>,
    payload_type: u8,
    ssrc: u32,
    clock_rate: u32,
    sequence: u16,
    /// The RTP timestamp of media time zero: random (RFC 3550 5.1).
    base: u32,
}

impl Outgoing {
    fn new(kind: RtpCodecKind, codec: &RTCRtpCodec, payload_type: u8) -> Self {
        let ssrc = rand::random();
        let rtx = (kind == RtpCodecKind::Video).then(|| RTCRtpRtxParameters { ssrc: rand::random() });
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), rtx, ..Default::default() },
            codec: codec.clone(),
            ..Default::default()
        };
        let name = format!("headwater-{kind}");
        let track = MediaStreamTrack::new("headwater".to_owned(), name.clone(), name, kind, vec![encoding]);
        Self {
            track: Arc::new(TrackLocalStaticRTP::new(track)),
            payload_type,
            ssrc,
            clock_rate: codec.clock_rate,
            sequence: rand::random(),
            base: rand::random(),
        }
    }

    async fn send(&mut self, pts: MediaTime, payload: Bytes, marker: bool) -> Result<(), SendError> {
        let ticks = pts.to_ticks(self.clock_rate).rem_euclid(1 << 32);
        let ticks = u32::try_from(ticks).expect("the rest of a division by 2^32");
        let packet = Packet {
            header: Header {
                version: 2,
                marker,
                payload_type: self.payload_type,
                sequence_number: self.sequence,
                timestamp: self.base.wrapping_add(ticks),
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        Ok(self.track.write_rtp(packet).await?)
    }
}

struct Callbacks(PhaseSender);

impl PeerConnectionEventHandler for Callbacks {
    fn on_connection_state_change<'life0, 'async_trait>(
        &'life0 self,
        state: RTCPeerConnectionState,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        match state {
            RTCPeerConnectionState::Connected => self.0.connected(),
            RTCPeerConnectionState::Failed => self.0.end(PeerEnd::Failed),
            RTCPeerConnectionState::Closed => self.0.end(PeerEnd::Closed),
            _ => {}
        }
        Box::pin(async {})
    }
}

fn interceptors(keyframe: Arc<Notify>) -> Registry {
    Registry::new()
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build())
        .with(Slot::from(14_000), Link::new(KeyframeTap::new(keyframe)))
}

fn media_engine() -> Result<MediaEngine, SendError> {
    let mut engine = MediaEngine::default();
    let codecs = [
        (h264(), H264, RtpCodecKind::Video),
        (rtx(), H264_RTX, RtpCodecKind::Video),
        (opus(), OPUS, RtpCodecKind::Audio),
    ];
    for (rtp_codec, payload_type, kind) in codecs {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
        let extension = RTCRtpHeaderExtensionCapability { uri: TRANSPORT_CC.to_owned() };
        engine.register_header_extension(extension, kind, None)?;
    }
    Ok(engine)
}

fn feedback(kinds: &[(&str, &str)]) -> Vec<RTCPFeedback> {
    let one =
        |(typ, parameter): &(&str, &str)| RTCPFeedback { typ: (*typ).to_owned(), parameter: (*parameter).to_owned() };
    kinds.iter().map(one).collect()
}

fn h264() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "video/H264".to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        rtcp_feedback: feedback(&[("nack", ""), ("nack", "pli"), ("transport-cc", "")]),
    }
}

fn rtx() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("apt={H264}"),
        rtcp_feedback: Vec::new(),
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/opus".to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: feedback(&[("transport-cc", "")]),
    }
}
