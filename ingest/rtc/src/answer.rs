//! Writes SDP: the answer that a publisher gets, and the plain offer that the WebRTC crate sees.
//!
//! Pure. Both are written from the [`Offer`] alone, so that no text of a publisher passes through.

use std::net::SocketAddr;

use schema::TrackKind;

use crate::offer::{DtlsRole, Format, Offer, PacketizationMode, Section, TRANSPORT_CC};

/// What a browser's video begins with, in kbit/s: enough for 1080p from the first picture. Congestion
/// control takes it back within a second where the network has less.
const START_KBPS: u32 = 3_000;
/// What a browser's video may grow to, in kbit/s; where a page sets less, that holds.
const MAX_KBPS: u32 = 6_000;
/// What a browser's sound is coded with, in bit/s: transparent stereo, as it is coded once more.
const OPUS_BPS: u32 = 128_000;

/// How much of ICE an end does (RFC 8445 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ice {
    /// It checks too, and asks for consent to go on.
    Full,
    /// It answers, and checks only the ways on which it was asked: enough where it has public addresses.
    Lite,
}

/// Our end of the transport.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    /// Our ICE user fragment.
    pub(crate) ufrag: &'a str,
    /// Our ICE password.
    pub(crate) password: &'a str,
    /// Our certificate's SHA-256.
    pub(crate) fingerprint: &'a str,
    /// Where we can be reached over UDP, the best first.
    pub(crate) candidates: &'a [SocketAddr],
    /// How much of ICE we do.
    pub(crate) ice: Ice,
    /// A number for the `o=` line (RFC 8866 5.2).
    pub(crate) session: u32,
}

/// The answer: every section `recvonly`, all candidates inside (RFC 9725 4.2, 4.3.2, 4.4).
pub(crate) fn answer(offer: &Offer, local: &Local<'_>) -> String {
    let mut sdp = head(offer, local.session);
    if local.ice == Ice::Lite {
        line(&mut sdp, "a=ice-lite");
    }
    let setup = match offer.role {
        DtlsRole::Client => "active",
        DtlsRole::Server => "passive",
    };
    for (index, section) in offer.sections.iter().enumerate() {
        line(&mut sdp, &media(section));
        line(&mut sdp, "c=IN IP4 0.0.0.0");
        line(&mut sdp, &format!("a=mid:{}", section.mid));
        line(&mut sdp, "a=recvonly");
        line(&mut sdp, "a=rtcp-mux");
        line(&mut sdp, "a=rtcp-mux-only");
        if section.feedback.reduced_size {
            line(&mut sdp, "a=rtcp-rsize");
        }
        line(&mut sdp, &format!("a=ice-ufrag:{}", local.ufrag));
        line(&mut sdp, &format!("a=ice-pwd:{}", local.password));
        line(&mut sdp, &format!("a=fingerprint:sha-256 {}", local.fingerprint));
        line(&mut sdp, &format!("a=setup:{setup}"));
        codec(&mut sdp, section, &answered_parameters(&section.format));
        if index == 0 {
            candidates(&mut sdp, local.candidates);
        }
    }
    sdp
}

/// The offer as the WebRTC crate gets it: the same transport and codecs, without candidates.
///
/// Addresses are learned only from checks that prove to know our password, so that an offer can
/// make us send to nobody.
pub(crate) fn inner_offer(offer: &Offer) -> String {
    let mut sdp = head(offer, 1);
    let setup = match offer.role {
        DtlsRole::Client => "passive",
        DtlsRole::Server => "active",
    };
    for (index, section) in offer.sections.iter().enumerate() {
        line(&mut sdp, &media(section));
        line(&mut sdp, "c=IN IP4 0.0.0.0");
        line(&mut sdp, &format!("a=mid:{}", section.mid));
        line(&mut sdp, "a=sendonly");
        line(&mut sdp, "a=rtcp-mux");
        line(&mut sdp, &format!("a=ice-ufrag:{}", offer.ufrag));
        line(&mut sdp, &format!("a=ice-pwd:{}", offer.password));
        line(&mut sdp, &format!("a=fingerprint:sha-256 {}", offer.fingerprint));
        line(&mut sdp, &format!("a=setup:{setup}"));
        line(&mut sdp, &format!("a=msid:publisher track{}", section.payload));
        codec(&mut sdp, section, inner_parameters(&section.format));
        line(&mut sdp, &format!("a=ssrc:{} cname:publisher", source(offer, index)));
    }
    sdp
}

/// The parameters by which the WebRTC crate knows a codec; what is inside the media is not its business.
pub(crate) fn inner_parameters(format: &Format) -> &'static str {
    match format {
        Format::H264 { .. } => "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        Format::Vp8 | Format::Vp9 { .. } | Format::Av1 { .. } => "",
        Format::Opus => "minptime=10;useinbandfec=1",
    }
}

fn line(sdp: &mut String, text: &str) {
    sdp.push_str(text);
    sdp.push_str("\r\n");
}

fn head(offer: &Offer, session: u32) -> String {
    let mids: Vec<&str> = offer.sections.iter().map(|s| s.mid.as_str()).collect();
    let mids = mids.join(" ");
    format!("v=0\r\no=- {session} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n")
}

fn media(section: &Section) -> String {
    let kind = match section.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    };
    let rtx = section.rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
    format!("m={kind} 9 {} {}{rtx}", section.protocol, section.payload)
}

fn codec(sdp: &mut String, section: &Section, parameters: &str) {
    let payload = section.payload;
    let channels = match section.kind {
        TrackKind::Video => "",
        TrackKind::Audio => "/2",
    };
    let (encoding, rate) = (section.format.encoding(), section.format.clock_rate());
    line(sdp, &format!("a=rtpmap:{payload} {encoding}/{rate}{channels}"));
    if !parameters.is_empty() {
        line(sdp, &format!("a=fmtp:{payload} {parameters}"));
    }
    let cc = section.feedback.transport_cc && section.transport_cc.is_some();
    let kinds = [(section.feedback.nack, "nack"), (section.feedback.pli, "nack pli"), (cc, "transport-cc")];
    for (_, kind) in kinds.into_iter().filter(|(offered, _)| *offered) {
        line(sdp, &format!("a=rtcp-fb:{payload} {kind}"));
    }
    if let Some(rtx) = section.rtx {
        line(sdp, &format!("a=rtpmap:{rtx} rtx/{}", section.format.clock_rate()));
        line(sdp, &format!("a=fmtp:{rtx} apt={payload}"));
    }
    if let Some(id) = section.transport_cc.filter(|_| cc) {
        line(sdp, &format!("a=extmap:{id} {TRANSPORT_CC}"));
    }
}

/// What identifies the coding is repeated as offered (RFC 8829 5.3.1).
///
/// Without `stereo=1` browsers send one channel, and without `maxaveragebitrate` 64 kbit/s for two
/// (RFC 7587 6.1). Chromium begins with 300 kbit/s and 320×180 and needs ten seconds to full size
/// unless it is told [`START_KBPS`]; and it begins smaller than the source wherever its own limit for
/// the size is below that, so [`MAX_KBPS`] goes with it. Others ignore both.
fn answered_parameters(format: &Format) -> String {
    match format {
        Format::H264 { mode, profile, asymmetry } => {
            let mode = match mode {
                PacketizationMode::Single => 0,
                PacketizationMode::NonInterleaved => 1,
            };
            video(vec![
                ("level-asymmetry-allowed", asymmetry.map(|value| value.to_string())),
                ("packetization-mode", Some(mode.to_string())),
                ("profile-level-id", profile.clone()),
            ])
        }
        Format::Vp8 => video(Vec::new()),
        Format::Vp9 { profile } => video(vec![("profile-id", profile.map(|value| value.to_string()))]),
        Format::Av1 { profile, level, tier } => video(
            [("level-idx", level), ("profile", profile), ("tier", tier)]
                .map(|(name, value)| (name, value.map(|value| value.to_string())))
                .into(),
        ),
        Format::Opus => {
            format!("minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;maxaveragebitrate={OPUS_BPS}")
        }
    }
}

/// Those parameters that have a value, and the bitrates, as in `a=fmtp`.
fn video(parameters: Vec<(&str, Option<String>)>) -> String {
    let bitrates = [
        ("x-google-start-bitrate", Some(START_KBPS.to_string())),
        ("x-google-max-bitrate", Some(MAX_KBPS.to_string())),
    ];
    let given = parameters.into_iter().chain(bitrates).filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    given.collect::<Vec<_>>().join(";")
}

/// Host candidates of component 1 (RFC 8839 5.1, RFC 8445 5.1.2.1), in falling priority.
fn candidates(sdp: &mut String, addresses: &[SocketAddr]) {
    for (index, address) in (0_u32..).zip(addresses) {
        let priority = (126_u32 << 24) | ((65_535_u32.saturating_sub(index)) << 8) | 255;
        let (ip, port) = (address.ip(), address.port());
        line(sdp, &format!("a=candidate:{} 1 udp {priority} {ip} {port} typ host", index + 1));
    }
    line(sdp, "a=end-of-candidates");
}

/// The source of the section at `index`, or a stand-in: the crate wants one declared where there are
/// two sections, and many publishers declare none. What comes from another is known by its payload
/// type ([`crate::bound`]).
fn source(offer: &Offer, index: usize) -> u32 {
    let declared = |at: usize| offer.sections.get(at).and_then(|section| section.ssrc);
    let is_free = |number: &u32| offer.sections.iter().all(|section| section.ssrc != Some(*number));
    let mut stand_ins = (1..).filter(is_free);
    declared(index).or_else(|| stand_ins.nth(index)).unwrap_or_default()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
