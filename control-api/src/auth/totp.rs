//! One-time codes from an authenticator app: RFC 6238 with SHA-1, six digits and 30 seconds, which all apps know.
//!
//! Pure: the time is given.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

/// How long a code counts, in seconds.
const STEP_S: i64 = 30;
/// A code of the step before or after counts too: clocks differ.
const STEPS_OFF: i64 = 1;
/// Of a new secret: 160 bits (RFC 4226 4).
pub(crate) const SECRET_BYTES: usize = 20;

/// The step whose code is `code` at `now_s` (Unix seconds), if it is after the step `last`.
pub(crate) fn step(secret: &[u8], code: &str, now_s: i64, last: i64) -> Option<i64> {
    let now = now_s.div_euclid(STEP_S);
    // All are compared, so that the time this takes tells nothing.
    let matching = (now - STEPS_OFF..=now + STEPS_OFF).filter(|step| {
        let right = digits(secret, *step);
        verify_slices_are_equal(right.as_bytes(), code.as_bytes()).is_ok()
    });
    matching.fold(None, |found, step| if step > last { Some(step) } else { found })
}

/// RFC 4226 5.3 with the step as counter.
fn digits(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let number = tag.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
    let number = u32::from_be_bytes(number) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Base32 without padding (RFC 4648 6), as apps take secrets.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (now, code) in vectors {
            assert_eq!(step(SECRET, code, now, 0), Some(now / 30), "{now}");
        }
    }

    #[test]
    fn a_code_counts_a_step_early_and_late_and_once() {
        let step_of = |now, last| step(SECRET, "287082", now, last);
        assert_eq!(
            [-1, 0, 59, 60, 89, 90].map(|now| step_of(now, 0).is_some()),
            [false, true, true, true, true, false]
        );
        assert_eq!(step_of(59, 1), None);
        for wrong in ["287083", "28708", "", "2870820", "２８７０８２"] {
            assert_eq!(step(SECRET, wrong, 59, 0), None, "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648_section_10() {
        for (text, coded) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(text.as_bytes()), coded);
        }
    }
}
