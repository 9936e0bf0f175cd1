//! The body of an answer on its way out: its request is under way until this is dropped.
//!
//! In HTTP/2 it goes out in small pieces, as the protocol's own window, not the socket, says how fast the client
//! reads: what happens to each piece tells whether it does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::line::{Socket, Watched};
use super::pace::Pace;
use crate::http::metrics::Protocol;

/// The largest piece in HTTP/2, in bytes: what a client must take within the time for a stall.
const PIECE_BYTES_MAX: usize = 32 * 1024;

/// A request under way; it ends when this is dropped.
pub(crate) struct Underway<S>(Arc<Watched<S>>);

impl<S> Underway<S> {
    pub(crate) fn begin(watched: Arc<Watched<S>>) -> Self {
        watched.tell(|pace, _| pace.request_began());
        Self(watched)
    }
}

impl<S> Drop for Underway<S> {
    fn drop(&mut self) {
        self.0.tell(Pace::request_ended);
    }
}

/// The body of an answer.
pub(crate) struct Answer<S> {
    body: Body,
    /// The rest of a frame that is larger than a piece.
    rest: Bytes,
    pieces: bool,
    /// True while a piece waits for the client's window.
    waits: bool,
    underway: Underway<S>,
}

impl<S> Answer<S> {
    pub(crate) fn new(body: Body, underway: Underway<S>) -> Self {
        let pieces = underway.0.protocol() == Protocol::Http2;
        Self { body, rest: Bytes::new(), pieces, waits: false, underway }
    }

    /// The piece handed over last is gone.
    fn taken(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.underway.0.tell(Pace::piece_taken);
        }
    }

    fn hand_over(&mut self, mut data: Bytes) -> Frame<Bytes> {
        if data.len() > PIECE_BYTES_MAX {
            self.rest = data.split_off(PIECE_BYTES_MAX);
        }
        self.waits = true;
        self.underway.0.tell(Pace::piece_handed_over);
        Frame::data(data)
    }
}

impl<S> Drop for Answer<S> {
    fn drop(&mut self) {
        self.taken();
    }
}

impl<S: Socket> http_body::Body for Answer<S> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if !this.pieces {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        this.taken();
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.hand_over(rest))));
        }
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => this.hand_over(data),
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(body.lower() + rest);
        hint
    }
}
