//! The little of STUN (RFC 8489) that says whose connectivity check a datagram is.
//!
//! Pure. What a check means is the WebRTC crate's business.

use rtc::crypto::RTCCrypto;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::Message;

const HEADER: usize = 20;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const USERNAME: u16 = 0x0006;
const USE_CANDIDATE: u16 = 0x0025;

/// What kind of traffic a datagram carries, by its first byte (RFC 7983 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// STUN.
    Stun,
    /// A DTLS alert, which may end the connection.
    DtlsAlert,
    /// Other DTLS.
    Dtls,
    /// SRTP or SRTCP.
    Rtp,
    /// None of them.
    Unknown,
}

/// Sorts a datagram by its first byte.
pub(crate) fn traffic(datagram: &[u8]) -> Traffic {
    match datagram.first() {
        Some(0..=3) => Traffic::Stun,
        Some(21) => Traffic::DtlsAlert,
        Some(20..=63) => Traffic::Dtls,
        Some(128..=191) => Traffic::Rtp,
        _ => Traffic::Unknown,
    }
}

/// Our user fragment in the USERNAME of a binding request: the part before the colon (RFC 8445 7.2.2).
pub(crate) fn request_ufrag(datagram: &[u8]) -> Option<&str> {
    let (header, attributes) = datagram.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != MAGIC || length != attributes.len() {
        return None;
    }
    let value = attribute(attributes, USERNAME)?;
    let (ours, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
    Some(ours)
}

/// True if a binding request nominates the way it came (RFC 8445 7.1.2).
pub(crate) fn nominates(request: &[u8]) -> bool {
    request.get(HEADER..).is_some_and(|attributes| attribute(attributes, USE_CANDIDATE).is_some())
}

/// True if the datagram answers a binding request of ours with success.
pub(crate) fn is_success(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[..2] == BINDING_SUCCESS && datagram[4..8] == MAGIC
}

/// The first attribute of `kind`; each is padded to four bytes (RFC 8489 5).
fn attribute(mut rest: &[u8], kind: u16) -> Option<&[u8]> {
    while let Some((head, tail)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = tail.get(..length)?;
        if u16::from_be_bytes([head[0], head[1]]) == kind {
            return Some(value);
        }
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// True if the message was made by somebody who knows `password` (RFC 8489 14.5).
pub(crate) fn is_authentic(datagram: &[u8], password: &str, crypto: &dyn RTCCrypto) -> bool {
    let mut message = Message::new();
    message.unmarshal_binary(datagram).is_ok()
        && MessageIntegrity::check(&mut message, password.as_bytes(), crypto).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(username: &str) -> Vec<u8> {
        let padded = username.len().next_multiple_of(4);
        let mut datagram = vec![0, 1, 0, u8::try_from(4 + padded).expect("short")];
        datagram.extend(MAGIC);
        datagram.extend([7; 12]);
        datagram.extend([0, 6, 0, u8::try_from(username.len()).expect("short")]);
        datagram.extend(username.as_bytes());
        datagram.resize(HEADER + 4 + padded, 0);
        datagram
    }

    #[test]
    fn the_first_half_of_the_username_is_our_fragment() {
        assert_eq!(request_ufrag(&request("ours:theirs")), Some("ours"));
        assert_eq!(request_ufrag(&request("oursalone")), None);
        let mut response = request("ours:theirs");
        response[0] = 1;
        assert_eq!(request_ufrag(&response), None);
    }

    #[test]
    fn a_check_without_integrity_is_not_authentic() {
        let provider = rtc::crypto::default_provider().expect("compiled in");
        let datagram = request("ours:theirs");
        assert!(!is_authentic(&datagram, "password", provider.crypto()));
    }

    proptest! {
        #[test]
        fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..200), stun in any::<bool>()) {
            if stun && datagram.len() >= HEADER {
                let length = u16::try_from(datagram.len() - HEADER).expect("short").to_be_bytes();
                datagram[..4].copy_from_slice(&[0, 1, length[0], length[1]]);
                datagram[4..8].copy_from_slice(&MAGIC);
            }
            let provider = rtc::crypto::default_provider().expect("compiled in");
            let _ = (traffic(&datagram), request_ufrag(&datagram));
            let _ = is_authentic(&datagram, "password", provider.crypto());
        }
    }
}
