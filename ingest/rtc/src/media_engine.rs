//! What the WebRTC crate is told of an offer's codecs.

use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use schema::TrackKind;
use webrtc::peer_connection::MediaEngine;

use crate::answer::inner_parameters;
use crate::offer::{Offer, Section, TRANSPORT_CC};

/// Knows exactly the payload types of the offer.
pub(crate) fn media_engine(offer: &Offer) -> webrtc::error::Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    for section in &offer.sections {
        let kind = match section.kind {
            TrackKind::Video => RtpCodecKind::Video,
            TrackKind::Audio => RtpCodecKind::Audio,
        };
        engine.register_codec(media_codec(section), kind)?;
        if let Some(rtx) = section.rtx {
            engine.register_codec(rtx_codec(section, rtx), kind)?;
        }
        if section.transport_cc.is_some() {
            let extension = RTCRtpHeaderExtensionCapability { uri: TRANSPORT_CC.to_owned() };
            engine.register_header_extension(extension, kind, None)?;
        }
    }
    Ok(engine)
}

fn media_codec(section: &Section) -> RTCRtpCodecParameters {
    let (kind, channels) = match section.kind {
        TrackKind::Video => ("video", 0),
        TrackKind::Audio => ("audio", 2),
    };
    let offered = [
        (section.feedback.nack, "nack", ""),
        (section.feedback.pli, "nack", "pli"),
        (section.feedback.transport_cc, "transport-cc", ""),
    ];
    let feedback =
        |(_, typ, parameter): (bool, &str, &str)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: format!("{kind}/{}", section.format.encoding()),
            clock_rate: section.format.clock_rate(),
            channels,
            sdp_fmtp_line: inner_parameters(&section.format).to_owned(),
            rtcp_feedback: offered.into_iter().filter(|(on, ..)| *on).map(feedback).collect(),
        },
        payload_type: section.payload,
    }
}

fn rtx_codec(section: &Section, payload_type: u8) -> RTCRtpCodecParameters {
    let mime_type = match section.kind {
        TrackKind::Video => "video/rtx",
        TrackKind::Audio => "audio/rtx",
    };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate: section.format.clock_rate(),
            channels: 0,
            sdp_fmtp_line: format!("apt={}", section.payload),
            rtcp_feedback: Vec::new(),
        },
        payload_type,
    }
}
