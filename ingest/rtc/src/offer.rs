//! Reads a publisher's SDP offer and says what we will take of it.
//!
//! Pure: text in, [`Offer`] or a refusal out. Nothing of the publisher's text goes any further
//! than this module; the WebRTC crate only sees what [`crate::answer`] writes anew.

use schema::TrackKind;

use crate::OfferError;
use crate::sdp::{Block, blocks};

mod codec;

pub(crate) use codec::{Format, PacketizationMode};

/// The header extension by which a sender numbers its packets for congestion control.
pub(crate) const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// One for each kind of track.
const SECTIONS_MAX: usize = 2;
/// There are no more payload types.
const PAYLOADS_MAX: usize = 128;
/// The profiles of RTP over DTLS that we speak (RFC 5764 8, RFC 8834).
const PROTOCOLS: [&str; 3] = ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"];

/// What we take of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The publisher's ICE user fragment.
    pub(crate) ufrag: String,
    /// The publisher's ICE password.
    pub(crate) password: String,
    /// The SHA-256 of the publisher's certificate: hexadecimal bytes in upper case with colons between.
    pub(crate) fingerprint: String,
    /// Who starts DTLS.
    pub(crate) role: DtlsRole,
    /// One or two sections, at most one of each kind, in the order of the offer.
    pub(crate) sections: Vec<Section>,
}

/// Our side of the DTLS handshake (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    /// `setup:active`: we start it, because the publisher offered `passive`.
    Client,
    /// `setup:passive`: the publisher starts it.
    Server,
}

/// One `m=` section with the one coding that we take of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Video or audio.
    pub(crate) kind: TrackKind,
    /// The section's `a=mid`.
    pub(crate) mid: String,
    /// The profile named in the `m=` line.
    pub(crate) protocol: &'static str,
    /// The payload type of the media.
    pub(crate) payload: u8,
    /// The coding behind it.
    pub(crate) format: Format,
    /// The payload type of its retransmissions (RFC 4588).
    pub(crate) rtx: Option<u8>,
    /// What the publisher wants to hear from us.
    pub(crate) feedback: Feedback,
    /// The id of the transport-wide sequence number extension.
    pub(crate) transport_cc: Option<u8>,
    /// The declared source of the media.
    pub(crate) ssrc: Option<u32>,
    /// The declared source of its retransmissions.
    pub(crate) rtx_ssrc: Option<u32>,
}

/// The kinds of RTCP feedback that were offered for a payload type, and `rtcp-rsize`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// Generic NACK (RFC 4585 6.2.1).
    pub(crate) nack: bool,
    /// Picture loss indication (RFC 4585 6.3.1).
    pub(crate) pli: bool,
    /// Transport-wide congestion control.
    pub(crate) transport_cc: bool,
    /// Reduced-size RTCP (RFC 5506).
    pub(crate) reduced_size: bool,
}

impl Offer {
    /// Reads and judges `text` (RFC 9725 4.2 and 4.4).
    ///
    /// # Errors
    ///
    /// [`OfferError::Malformed`] for what is no SDP offer, [`OfferError::Unacceptable`] for one
    /// that no WHIP server takes, [`OfferError::Codec`] where a section has no codec of ours.
    pub(crate) fn parse(text: &str) -> Result<Self, OfferError> {
        let (session, media) = blocks(text).map_err(malformed)?;
        let first = media.first().ok_or_else(|| unacceptable("it has no media section"))?;
        if media.len() > SECTIONS_MAX {
            return Err(unacceptable("it has more than one section of a kind"));
        }
        let sections = media.iter().map(|block| section(&session, block)).collect::<Result<Vec<_>, _>>()?;
        check_together(&session, &sections)?;
        let transport = Scope { session: &session, first };
        Ok(Self {
            ufrag: transport.credential("ice-ufrag", 4)?,
            password: transport.credential("ice-pwd", 22)?,
            fingerprint: transport.fingerprint()?,
            role: transport.role()?,
            sections,
        })
    }
}

fn malformed(why: &str) -> OfferError {
    OfferError::Malformed(why.to_owned())
}

fn unacceptable(why: &str) -> OfferError {
    OfferError::Unacceptable(why.to_owned())
}

/// Where the attributes of the one transport are looked for: in the first section, then in the session.
struct Scope<'a> {
    session: &'a Block<'a>,
    first: &'a Block<'a>,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.first.get(name).or_else(|| self.session.get(name))
    }

    /// An ICE credential (RFC 8839 5.4) of `shortest` to 256 visible characters.
    fn credential(&self, name: &str, shortest: usize) -> Result<String, OfferError> {
        let value = self.get(name).ok_or_else(|| malformed(&format!("it has no a={name}")))?;
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if (shortest..=256).contains(&value.len()) && value.bytes().all(visible) {
            Ok(value.to_owned())
        } else {
            Err(malformed(&format!("its a={name} is not valid")))
        }
    }

    /// The first SHA-256 fingerprint (RFC 8122 5), the one kind that the WebRTC crate checks and that
    /// everybody has to send (RFC 8827 6.5); others may stand beside it.
    fn fingerprint(&self) -> Result<String, OfferError> {
        let mut all = self.first.all("fingerprint").chain(self.session.all("fingerprint")).peekable();
        if all.peek().is_none() {
            return Err(malformed("it has no a=fingerprint"));
        }
        all.find_map(fingerprint).ok_or_else(|| malformed("it has no valid sha-256 fingerprint"))
    }

    /// Our role from the publisher's `a=setup` (RFC 8842 5.3; `actpass` where there is none).
    fn role(&self) -> Result<DtlsRole, OfferError> {
        match self.get("setup").unwrap_or("actpass") {
            "actpass" | "active" => Ok(DtlsRole::Server),
            "passive" => Ok(DtlsRole::Client),
            _ => Err(unacceptable("its a=setup starts no connection")),
        }
    }
}

fn fingerprint(value: &str) -> Option<String> {
    let (algorithm, hex) = value.split_once(' ')?;
    let value = hex.trim().to_ascii_uppercase();
    let byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let valid = algorithm.eq_ignore_ascii_case("sha-256") && value.split(':').count() == 32;
    (valid && value.split(':').all(byte)).then_some(value)
}

/// The rules between sections.
fn check_together(session: &Block<'_>, sections: &[Section]) -> Result<(), OfferError> {
    for kind in [TrackKind::Video, TrackKind::Audio] {
        if sections.iter().filter(|s| s.kind == kind).count() > 1 {
            return Err(unacceptable("it has more than one section of a kind"));
        }
    }
    let [first, second] = sections else {
        return Ok(());
    };
    let bundled = session.all("group").any(|group| {
        let mut words = group.split_ascii_whitespace();
        words.next() == Some("BUNDLE")
            && [first, second].iter().all(|section| group.split_ascii_whitespace().any(|w| w == section.mid))
    });
    if !bundled || first.mid == second.mid {
        return Err(unacceptable("its sections are not in one BUNDLE group"));
    }
    let numbers = |s: &Section| [Some(s.payload), s.rtx];
    let sources = |s: &Section| [s.ssrc, s.rtx_ssrc];
    if overlap(numbers(first), numbers(second)) || overlap(sources(first), sources(second)) {
        return Err(unacceptable("two sections share a payload type or an SSRC"));
    }
    Ok(())
}

fn overlap<T: PartialEq>(left: [Option<T>; 2], right: [Option<T>; 2]) -> bool {
    left.iter().flatten().any(|a| right.iter().flatten().any(|b| a == b))
}

/// Reads one `m=` section.
fn section(session: &Block<'_>, block: &Block<'_>) -> Result<Section, OfferError> {
    let line = media_line(block)?;
    check_direction(session, block)?;
    if block.get("rtcp-mux").is_none() && block.get("rtcp-mux-only").is_none() {
        return Err(unacceptable("a section has no a=rtcp-mux"));
    }
    let (payload, format) = codec::choose(block, line.kind, &line.payloads)?;
    let rtx = codec::retransmission(block, &line.payloads, payload);
    let transport_cc = extension(block, TRANSPORT_CC);
    let (ssrc, rtx_ssrc) = sources(block);
    Ok(Section {
        kind: line.kind,
        mid: mid(block)?,
        protocol: line.protocol,
        payload,
        format,
        rtx,
        feedback: feedback(block, payload),
        transport_cc,
        ssrc,
        rtx_ssrc: rtx_ssrc.filter(|_| rtx.is_some()),
    })
}

struct MediaLine {
    kind: TrackKind,
    protocol: &'static str,
    payloads: Vec<u8>,
}

/// `m=<kind> <port> <protocol> <payload types>` (RFC 8866 5.14).
fn media_line(block: &Block<'_>) -> Result<MediaLine, OfferError> {
    let mut words = block.media.split_ascii_whitespace();
    let kind = match words.next() {
        Some("video") => TrackKind::Video,
        Some("audio") => TrackKind::Audio,
        Some(_) => return Err(unacceptable("it has a section that is neither audio nor video")),
        None => return Err(malformed("an m= line is empty")),
    };
    let port: u16 =
        words.next().and_then(|word| word.parse().ok()).ok_or_else(|| malformed("an m= line has no port"))?;
    if port == 0 && block.get("bundle-only").is_none() {
        return Err(unacceptable("a section is switched off"));
    }
    let offered = words.next().unwrap_or_default();
    let protocol = PROTOCOLS
        .into_iter()
        .find(|protocol| *protocol == offered)
        .ok_or_else(|| unacceptable("a section is not RTP over DTLS"))?;
    let payloads = words
        .map(|word| word.parse().ok().filter(|payload| *payload < 128))
        .take(PAYLOADS_MAX + 1)
        .collect::<Option<Vec<u8>>>()
        .filter(|payloads| payloads.len() <= PAYLOADS_MAX)
        .ok_or_else(|| malformed("an m= line has a bad payload type, or too many"))?;
    Ok(MediaLine { kind, protocol, payloads })
}

/// The publisher must send (RFC 9725 4.2).
fn check_direction(session: &Block<'_>, block: &Block<'_>) -> Result<(), OfferError> {
    let named = ["sendonly", "sendrecv", "recvonly", "inactive"];
    let of = |b: &Block<'_>| named.into_iter().find(|name| b.get(name).is_some());
    match of(block).or_else(|| of(session)) {
        Some("recvonly" | "inactive") => Err(unacceptable("a section does not send")),
        _ => Ok(()),
    }
}

/// A token (RFC 8866 9) of at most 64 bytes.
fn mid(block: &Block<'_>) -> Result<String, OfferError> {
    let mid = block.get("mid").ok_or_else(|| malformed("a section has no a=mid"))?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    if (1..=64).contains(&mid.len()) && mid.bytes().all(token) {
        Ok(mid.to_owned())
    } else {
        Err(malformed("an a=mid is not a token"))
    }
}

/// The id of a header extension that the publisher may send, in the one-byte form (RFC 8285 4.2).
fn extension(block: &Block<'_>, uri: &str) -> Option<u8> {
    block.all("extmap").find_map(|value| {
        let mut words = value.split_ascii_whitespace();
        let (id, direction) = {
            let word = words.next()?;
            word.split_once('/').unwrap_or((word, "sendonly"))
        };
        let sends = !matches!(direction, "recvonly" | "inactive");
        let id: u8 = id.parse().ok()?;
        (sends && words.next() == Some(uri) && (1..=14).contains(&id)).then_some(id)
    })
}

fn feedback(block: &Block<'_>, payload: u8) -> Feedback {
    let mut feedback = Feedback { reduced_size: block.get("rtcp-rsize").is_some(), ..Feedback::default() };
    for value in block.all("rtcp-fb") {
        let mut words = value.split_ascii_whitespace();
        let target = words.next().unwrap_or_default();
        if target != "*" && target.parse() != Ok(payload) {
            continue;
        }
        match (words.next(), words.next()) {
            (Some("nack"), None) => feedback.nack = true,
            (Some("nack"), Some("pli")) => feedback.pli = true,
            (Some("transport-cc"), None) => feedback.transport_cc = true,
            _ => {}
        }
    }
    feedback
}

/// The declared sources: of the first `ssrc-group:FID` (RFC 5576 4.2), else of the first `ssrc`.
fn sources(block: &Block<'_>) -> (Option<u32>, Option<u32>) {
    let pair = block.all("ssrc-group").find_map(|value| {
        let mut words = value.split_ascii_whitespace();
        (words.next() == Some("FID")).then_some(())?;
        let media = words.next()?.parse().ok()?;
        let rtx = words.next()?.parse().ok()?;
        (media != rtx).then_some((media, rtx))
    });
    if let Some((media, rtx)) = pair {
        return (Some(media), Some(rtx));
    }
    let single = block.all("ssrc").find_map(|value| value.split_ascii_whitespace().next()?.parse().ok());
    (single, None)
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
