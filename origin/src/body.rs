//! The body of an answer: shared chunks, cut to a range without copying.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// The body of an answer. Never pending, never fails, and knows its exact length.
#[derive(Debug, Default)]
pub struct Body {
    source: Source,
    /// Bytes still to come.
    remaining: u64,
}

#[derive(Debug, Default)]
enum Source {
    #[default]
    Empty,
    One(Bytes),
    Chunks {
        chunks: Arc<[Bytes]>,
        next: usize,
        /// Bytes to leave out from the chunk `next` on.
        skip: u64,
    },
}

impl Body {
    /// No bytes at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// `length` bytes of `chunks`, which lie one after the other, from byte `first` on.
    pub(crate) fn of_chunks(chunks: Arc<[Bytes]>, first: u64, length: u64) -> Self {
        Self { source: Source::Chunks { chunks, next: 0, skip: first }, remaining: length }
    }

    /// Bytes still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if self.remaining == 0 {
            return None;
        }
        let mut piece = match &mut self.source {
            Source::Empty => return None,
            Source::One(bytes) => std::mem::take(bytes),
            Source::Chunks { chunks, next, skip } => next_chunk(chunks, next, skip)?,
        };
        piece.truncate(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.remaining -= piece.len() as u64;
        Some(piece)
    }
}

/// The rest of the first chunk from `next` on that `skip` leaves something of.
fn next_chunk(chunks: &[Bytes], next: &mut usize, skip: &mut u64) -> Option<Bytes> {
    loop {
        let chunk = chunks.get(*next)?;
        *next += 1;
        match usize::try_from(*skip) {
            Ok(from) if from < chunk.len() => {
                *skip = 0;
                return Some(chunk.slice(from..));
            }
            _ => *skip -= chunk.len() as u64,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { remaining: bytes.len() as u64, source: Source::One(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(mut body: Body) -> Vec<Bytes> {
        std::iter::from_fn(|| body.next_piece()).collect()
    }

    proptest! {
        #[test]
        fn a_range_of_chunks_is_the_range_of_their_bytes(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6), first in 0_usize..60, length in 0_usize..60,
        ) {
            let whole = chunks.concat();
            let first = first.min(whole.len());
            let length = length.min(whole.len() - first);
            let chunks: Arc<[Bytes]> = chunks.into_iter().map(Bytes::from).collect();
            let body = Body::of_chunks(chunks, first as u64, length as u64);
            prop_assert_eq!(body.remaining(), length as u64);
            prop_assert_eq!(pieces(body).concat(), &whole[first..first + length]);
        }
    }

    #[test]
    fn pieces_share_the_memory_of_their_chunks() {
        let chunk = Bytes::from(vec![7; 100]);
        let sent = pieces(Body::of_chunks(Arc::new([chunk.clone()]), 10, 20));
        assert_eq!(sent[0].as_ptr(), chunk[10..].as_ptr());
    }

    #[test]
    fn a_body_with_fewer_bytes_than_promised_ends_early_and_does_not_hang() {
        assert_eq!(pieces(Body::of_chunks(Arc::new([Bytes::from_static(b"ab")]), 1, 9)).concat(), b"b");
    }
}
