//! Signatures of webhooks as Svix makes them, and with it Clerk (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).
//!
//! Pure: the time is given.

use std::fmt;

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How old, or how far ahead, a webhook may be, in seconds.
const TOLERANCE_S: i64 = 300;
/// More signatures are not looked at: two keys at a time are usual.
const SIGNATURES_MAX: usize = 16;

/// The key of an endpoint, `whsec_` and base64. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// `None` if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        (key.len() >= 16).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The id of the webhook, if its signature is right and it is neither old nor from the future.
    pub(crate) fn verify<'a>(&self, headers: &'a HeaderMap, body: &[u8], now_s: i64) -> Option<&'a str> {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let id = header("svix-id").filter(|id| !id.is_empty() && id.len() <= 200 && !id.contains('.'))?;
        let timestamp = header("svix-timestamp")?;
        let sent_s: i64 = timestamp.parse().ok()?;
        if sent_s.checked_sub(now_s)?.unsigned_abs() > TOLERANCE_S.unsigned_abs() {
            return None;
        }
        let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let signatures = header("svix-signature")?.split(' ').take(SIGNATURES_MAX);
        let mut right = signatures.filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok());
        right.any(|tag| hmac::verify(&self.0, &message, &tag).is_ok()).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [("svix-id", id), ("svix-timestamp", timestamp), ("svix-signature", signature)] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn verify(id: &str, timestamp: &str, signature: &str, body: &[u8], now: i64) -> bool {
        let secret = Secret::parse(SECRET).unwrap();
        secret.verify(&headers(id, timestamp, signature), body, now).is_some()
    }

    /// The vector of Svix's own documentation.
    #[test]
    fn the_documented_vector_is_right_within_five_minutes() {
        let at = |now| verify(ID, "1614265330", SIGNATURE, BODY, now);
        let sent = 1_614_265_330;
        assert!(at(sent) && at(sent + 300) && at(sent - 300));
        assert!(!at(sent + 301) && !at(sent - 301));
    }

    #[test]
    fn whatever_is_changed_makes_it_wrong() {
        let now = 1_614_265_330;
        let both = format!("v1,AAAA v2,xx {SIGNATURE}");
        assert!(verify(ID, "1614265330", &both, BODY, now));
        assert!(!verify(ID, "1614265330", SIGNATURE, b"{}", now));
        assert!(!verify("msg_2", "1614265330", SIGNATURE, BODY, now));
        assert!(!verify("", "1614265330", SIGNATURE, BODY, now));
        assert!(!verify(ID, "1614265331", SIGNATURE, BODY, now));
        assert!(!verify(ID, "", SIGNATURE, BODY, now));
        assert!(!verify(ID, "9223372036854775807", SIGNATURE, BODY, -5));
        for signature in ["", "v1,", &SIGNATURE[3..], &SIGNATURE.replace("v1,", "v2,"), &SIGNATURE.to_lowercase()] {
            assert!(!verify(ID, "1614265330", signature, BODY, now), "{signature}");
        }
    }

    #[test]
    fn a_secret_is_base64_behind_its_prefix() {
        for bad in ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA"] {
            assert!(Secret::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{:?}", Secret::parse(SECRET)).contains("MfKQ"));
    }
}
