//! One built file and its forms: as it is, and in gzip where that is smaller.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use rust_embed::EmbeddedFile;

/// Below this a smaller answer still fills one packet.
const GZIP_BYTES_MIN: usize = 1_400;

/// A file of the pages.
pub(super) struct Asset {
    plain: Bytes,
    gzip: OnceLock<Option<Bytes>>,
    /// Of its content, without quotes.
    hash: String,
}

/// What of an asset is sent.
pub(super) struct Form {
    pub(super) body: Bytes,
    pub(super) is_gzip: bool,
    pub(super) etag: HeaderValue,
}

impl Asset {
    pub(super) fn new(file: EmbeddedFile) -> Self {
        let hash = file.metadata.sha256_hash().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self { plain: Bytes::from(file.data.into_owned()), gzip: OnceLock::new(), hash }
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The gzip form if it is accepted and smaller; compressed at the first request for it, then kept.
    /// The forms are two representations with a tag each (RFC 9110 8.8.3.3).
    pub(super) fn form(&self, gzip_accepted: bool) -> Form {
        let gzip = if gzip_accepted { self.gzip.get_or_init(|| gzip(&self.plain)).clone() } else { None };
        let is_gzip = gzip.is_some();
        let suffix = if is_gzip { "-gz" } else { "" };
        let etag = HeaderValue::from_str(&format!("\"{}{suffix}\"", self.hash)).expect("hexadecimal digits");
        Form { body: gzip.unwrap_or_else(|| self.plain.clone()), is_gzip, etag }
    }
}

/// Nothing where it would not be smaller, as for pictures.
fn gzip(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < plain.len()).then(|| packed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(plain: Vec<u8>) -> Asset {
        Asset { plain: plain.into(), gzip: OnceLock::new(), hash: "0a".to_owned() }
    }

    #[test]
    fn a_long_text_is_packed_for_who_takes_it_and_for_nobody_else() {
        let asset = asset(b"let it be; ".repeat(1_000));
        let (packed, plain) = (asset.form(true), asset.form(false));
        assert!(packed.is_gzip && !plain.is_gzip);
        assert!(packed.body.len() < plain.body.len() / 10);
        assert_eq!(
            (packed.etag, plain.etag),
            (HeaderValue::from_static("\"0a-gz\""), HeaderValue::from_static("\"0a\""))
        );
        let mut unpacked = flate2::write::GzDecoder::new(Vec::new());
        unpacked.write_all(&packed.body).unwrap();
        assert_eq!(unpacked.finish().unwrap(), asset.plain());
    }

    #[test]
    fn what_would_not_become_smaller_stays_as_it_is() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        for content in [b"short".to_vec(), noise.take(5_000).collect()] {
            let form = asset(content.clone()).form(true);
            assert!(!form.is_gzip);
            assert_eq!(form.body, content);
        }
    }
}
