//! A gzip file put together of pieces that were compressed once each (RFC 1951 3.2.3, RFC 1952 2.3): a list of twelve
//! hours changes at its two ends alone, and the middle is not compressed again for each revision.
//!
//! A piece ends at a byte boundary and refers to nothing before it, so pieces can follow each other in one deflate
//! stream. One member holds them all: browsers read no second one.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// RFC 1952 2.3.1: deflate, no name, no time, fastest, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// An empty last block with the fixed codes (RFC 1951 3.2.6).
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Some text, compressed, to be put together with others.
#[derive(Debug)]
pub(super) struct Piece {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Piece {
    /// Compresses `text`.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        let mut deflate = Compress::new(Compression::fast(), false);
        let mut deflated = Vec::with_capacity(text.len() / 4 + 64);
        loop {
            let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            let rest = text.get(taken..).unwrap_or_default();
            deflate
                .compress_vec(rest, &mut deflated, FlushCompress::Full)
                .expect("compressing does not fail without a dictionary");
            let all_is_in = deflate.total_in() == text.len() as u64;
            if all_is_in && deflated.len() < deflated.capacity() {
                break;
            }
            deflated.reserve(deflated.len() / 2 + 64);
        }
        Self { deflated, crc }
    }
}

/// One gzip file of these pieces, in this order.
pub(super) fn file<'a>(pieces: impl Iterator<Item = &'a Piece> + Clone) -> Bytes {
    let length: usize = pieces.clone().map(|piece| piece.deflated.len()).sum();
    let mut out = Vec::with_capacity(HEADER.len() + length + LAST_BLOCK.len() + 8);
    out.extend_from_slice(&HEADER);
    let mut crc = Crc::new();
    for piece in pieces {
        out.extend_from_slice(&piece.deflated);
        crc.combine(&piece.crc);
    }
    out.extend_from_slice(&LAST_BLOCK);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_make_a_gzip_file_of_all_their_text(
            texts in prop::collection::vec(prop::collection::vec(prop::num::u8::ANY, 0..3_000), 0..6), repeat in 1_usize..40,
        ) {
            let texts: Vec<Vec<u8>> = texts.into_iter().map(|text| text.repeat(repeat)).collect();
            let pieces: Vec<Piece> = texts.iter().map(|text| Piece::of(text)).collect();
            let mut read = Vec::new();
            // It checks sum and length.
            GzDecoder::new(&file(pieces.iter())[..]).read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, texts.concat());
        }
    }
}
