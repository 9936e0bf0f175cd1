//! The first bytes of a connection: they tell which version of HTTP the client speaks.
//!
//! hyper-util can tell too, but hands hyper those few bytes alone at first, whose read buffer is then grown to twice
//! its size; with thousands of held requests that is most of what they cost.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::http::metrics::Protocol;

/// What every HTTP/2 client sends first (RFC 9113 3.4). No HTTP/1.1 request begins so.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose first bytes are known; they are read again from here.
#[derive(Debug)]
pub(crate) struct Opened<I> {
    io: I,
    ahead: [u8; PREFACE.len()],
    /// Those of `ahead` that came and were not read again.
    begin: usize,
    end: usize,
}

/// Reads until it is clear what the client speaks, at most a preface. A client that ends before speaks HTTP/1.1.
///
/// # Errors
/// The connection failed.
pub(crate) async fn open<I: AsyncRead + Unpin>(io: I) -> io::Result<(Protocol, Opened<I>)> {
    let mut opened = Opened { io, ahead: [0; PREFACE.len()], begin: 0, end: 0 };
    while opened.end < PREFACE.len() {
        let count = opened.io.read(&mut opened.ahead[opened.end..]).await?;
        opened.end += count;
        if count == 0 || !PREFACE.starts_with(&opened.ahead[..opened.end]) {
            return Ok((Protocol::Http1, opened));
        }
    }
    Ok((Protocol::Http2, opened))
}

impl<I: AsyncRead + Unpin> AsyncRead for Opened<I> {
    /// The first bytes and what came after them in one go.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let count = buffer.remaining().min(this.end - this.begin);
        if count == 0 {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        buffer.put_slice(&this.ahead[this.begin..this.begin + count]);
        this.begin += count;
        if buffer.remaining() > 0 {
            // If it fails, the next read fails too.
            let _more = Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Opened<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    /// What a client speaks that sends these two pieces, and what is read after.
    async fn opened(first: &[u8], second: &[u8]) -> (Protocol, Vec<u8>) {
        let (protocol, mut io) = open(first.chain(second)).await.unwrap();
        let mut all = Vec::new();
        io.read_to_end(&mut all).await.unwrap();
        (protocol, all)
    }

    #[tokio::test]
    async fn the_preface_alone_is_http2() {
        let all = [&PREFACE[..], b"\0\0\0\x04\0"].concat();
        for at in [1, 3, 23, 24, all.len()] {
            assert_eq!(opened(&all[..at], &all[at..]).await, (Protocol::Http2, all.clone()));
        }
    }

    #[tokio::test]
    async fn everything_else_is_http1_also_what_ends_early() {
        for bytes in
            [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", b"PUT / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(opened(bytes, b"").await, (Protocol::Http1, bytes.to_vec()));
        }
    }

    #[tokio::test]
    async fn a_request_that_has_come_is_read_in_one_go() {
        let (mut client, server) = tokio::io::duplex(4_096);
        let request = [b"GET /live/demo/index.m3u8 HTTP/1.1\r\n", &[b'a'; 1_000][..]].concat();
        client.write_all(&request).await.unwrap();
        let (_, mut io) = open(server).await.unwrap();
        let mut buffer = vec![0; 8_192];
        assert_eq!(io.read(&mut buffer).await.unwrap(), request.len());
        assert_eq!(buffer[..request.len()], request);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_twice(like in 0..=PREFACE.len(), rest in proptest::collection::vec(any::<u8>(), 0..40), room in 1_usize..50) {
            let sent = [&PREFACE[..like], &rest].concat();
            let read = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let (mut client, server) = tokio::io::duplex(64);
                client.write_all(&sent).await.unwrap();
                drop(client);
                let (_, mut io) = open(server).await.unwrap();
                let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
                loop {
                    match io.read(&mut buffer).await.unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
            });
            prop_assert_eq!(read, sent);
        }
    }
}
