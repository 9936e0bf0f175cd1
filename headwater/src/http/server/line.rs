//! A connection's socket, seen: every byte is counted and told to the connection's [`Pace`].
//!
//! It lies below TLS, so that it sees what really moves. When dropped it leaves the socket with its [`Watched`]
//! state, as whoever drove the protocol may have given up with something left to do.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::pace::{Overdue, Pace};
use crate::http::metrics::{Metrics, Open, Protocol, Transport};

/// What a connection is read from and written to.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Lets the system forget what it still wanted to send, as soon as this is dropped.
    fn forget_unsent(&self) {}
}

impl Socket for TcpStream {
    fn forget_unsent(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "a stalled connection cannot be reset");
        }
    }
}

/// What all that works on one connection shares.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    pub(crate) metrics: Metrics,
    transport: Transport,
    state: Mutex<State>,
    /// The socket, once its line is dropped.
    socket: Mutex<Option<S>>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    protocol: Protocol,
    open: Open,
    /// True if a body may be on its way that nobody reads any more.
    unread: bool,
}

impl<S> Watched<S> {
    pub(crate) fn new(pace: Pace, transport: Transport, metrics: Metrics) -> Self {
        let state = State {
            pace,
            protocol: Protocol::Unknown,
            open: metrics.opened(transport, Protocol::Unknown),
            unread: false,
        };
        Self { metrics, transport, state: Mutex::new(state), socket: Mutex::new(None) }
    }

    /// Tells the pace what happened now.
    pub(crate) fn tell(&self, event: impl FnOnce(&mut Pace, Instant)) {
        event(&mut self.state().pace, Instant::now());
    }

    pub(crate) fn deadline(&self) -> Option<(Instant, Overdue)> {
        self.state().pace.deadline()
    }

    /// The connection has shown what it speaks.
    pub(crate) fn speaks(&self, protocol: Protocol) {
        let mut state = self.state();
        if state.protocol != protocol {
            state.protocol = protocol;
            state.open = self.metrics.opened(self.transport, protocol);
            if protocol == Protocol::Http2 {
                state.pace.multiplexed();
            }
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.state().protocol
    }

    /// Notes whether a body may be on its way that nobody reads any more.
    pub(crate) fn set_unread(&self, unread: bool) {
        self.state().unread = unread;
    }

    pub(crate) fn unread(&self) -> bool {
        self.state().unread
    }

    /// The socket, if its line is dropped.
    pub(crate) fn take_socket(&self) -> Option<S> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Held for some instructions only; nothing panics meanwhile.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that tells what it does.
pub(crate) struct Line<S> {
    /// There until this is dropped.
    socket: Option<S>,
    watched: Arc<Watched<S>>,
}

impl<S: Socket> Line<S> {
    pub(crate) fn new(socket: S, watched: Arc<Watched<S>>) -> Self {
        Self { socket: Some(socket), watched }
    }

    fn socket(&mut self) -> Pin<&mut S> {
        Pin::new(self.socket.as_mut().expect("the socket is taken on drop alone"))
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count)) => {
                self.watched.metrics.sent.inc_by(*count as u64);
                self.watched.tell(Pace::wrote);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watched.tell(Pace::blocked),
        }
        written
    }
}

impl<S> Drop for Line<S> {
    fn drop(&mut self) {
        *self.watched.socket.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
    }
}

impl<S: Socket> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.socket().poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.watched.metrics.received.inc_by(count as u64);
            self.watched.tell(Pace::received);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.socket().poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.socket().poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}
