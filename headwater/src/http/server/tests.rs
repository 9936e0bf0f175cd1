//! One connection over a socket in memory, on virtual time.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{self, Builders, Shared};
use super::line::Socket;
use super::pace;
use crate::http::metrics::{Metrics, Port};
use crate::http::proxies::Proxies;
use crate::http::tls::Tls;

impl Socket for DuplexStream {}

/// Larger than every buffer on the way.
const LARGE: usize = 4 << 20;

/// A connection that is served, and what it counts.
struct Served {
    registry: Registry,
    drain: CancellationToken,
    task: JoinSet<()>,
    began: Instant,
}

impl Served {
    fn begin<F, Fut>(tls: Option<Tls>, registry: Registry, handle: F) -> (Self, DuplexStream)
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let metrics = Metrics::register(Port::Public, &registry).unwrap();
        let drain = CancellationToken::new();
        let shared = Shared {
            handle,
            limits: pace::Limits::USUAL,
            metrics,
            proxies: Proxies::default(),
            tls,
            builders: Builders::new(),
            drain: drain.clone(),
        };
        let (client, server) = duplex(16 * 1024);
        let mut task = JoinSet::new();
        task.spawn(connection::serve(server, "192.0.2.1:1".parse().unwrap(), Arc::new(shared)));
        (Self { registry, drain, task, began: Instant::now() }, client)
    }

    fn plain<F, Fut>(handle: F) -> (Self, DuplexStream)
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::begin(None, Registry::new(), handle)
    }

    /// The second in which it ended.
    async fn end(&mut self) -> u64 {
        self.task.join_next().await.unwrap().unwrap();
        self.began.elapsed().as_secs()
    }

    fn metric(&self, line: &str) -> f64 {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let found = text.lines().find_map(|shown| shown.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("no {line} in {text}"))
    }

    fn limited(&self, reason: &str) -> f64 {
        self.metric(&format!("headwater_http_limited_total{{port=\"public\",reason=\"{reason}\"}}"))
    }

    fn open(&self, protocol: &str) -> f64 {
        self.metric(&format!(
            "headwater_http_connections{{port=\"public\",protocol=\"{protocol}\",transport=\"plain\"}}"
        ))
    }
}

fn hello(_: Request<Incoming>) -> impl Future<Output = Response<Body>> {
    ready(Response::new(Body::from("hello")))
}

fn large(_: Request<Incoming>) -> impl Future<Output = Response<Body>> {
    ready(Response::new(Body::from(vec![7; LARGE])))
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Reads until the answer's last byte.
async fn read_hello(client: &mut DuplexStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"hello") {
        assert_ne!(client.read_buf(&mut text).await.unwrap(), 0, "{}", String::from_utf8_lossy(&text));
    }
}

async fn read_all(client: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    client.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends_however_far_it_came_with_its_first_header() {
    for said in [&b""[..], b"G", b"GET / HTTP/1.1\r\nHost: h\r\n", b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (mut served, mut client) = Served::plain(hello);
        client.write_all(said).await.unwrap();
        assert_eq!(served.end().await, 10, "{said:?}");
        assert_eq!(served.limited("header_timeout"), 1.0);
        assert_eq!(served.open("unknown"), 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_drips_ends_in_time_all_the_same() {
    let (mut served, mut client) = Served::plain(hello);
    let mut drip = JoinSet::new();
    drip.spawn(async move {
        let _gone = client.write_all(b"GET / HTTP/1.1\r\n").await;
        while client.write_all(b"X-A: b\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(served.end().await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_a_cdn_and_then_closed_without_complaint() {
    let (mut served, mut client) = Served::plain(hello);
    for _ in 0..2 {
        sleep(Duration::from_secs(5)).await;
        client.write_all(GET).await.unwrap();
        read_hello(&mut client).await;
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(served.open("h1"), 1.0);
    assert_eq!(served.end().await, 135);
    assert_eq!(served.limited("header_timeout") + served.limited("close_timeout"), 0.0);
    assert_eq!(served.open("h1"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_later_header_has_as_little_time_as_the_first() {
    let (mut served, mut client) = Served::plain(hello);
    client.write_all(GET).await.unwrap();
    read_hello(&mut client).await;
    sleep(Duration::from_secs(30)).await;
    client.write_all(b"GET").await.unwrap();
    assert_eq!(served.end().await, 40);
    assert_eq!(served.limited("header_timeout"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_held_request_is_never_ended() {
    let (served, mut client) = Served::plain(|request| async move {
        sleep(Duration::from_secs(600)).await;
        hello(request).await
    });
    client.write_all(GET).await.unwrap();
    read_hello(&mut client).await;
    assert_eq!(served.began.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_dropped() {
    let (mut served, mut client) = Served::plain(large);
    client.write_all(GET).await.unwrap();
    assert_eq!(served.end().await, 30);
    assert_eq!(served.limited("write_stalled"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    let (mut served, mut client) = Served::plain(large);
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut piece = vec![0; 40_000];
    let mut total = 0;
    loop {
        sleep(Duration::from_secs(2)).await;
        match client.read(&mut piece).await.unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert!(total > LARGE);
    assert!(served.end().await > 100, "the test must take longer than every limit");
    assert_eq!(served.limited("write_stalled"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_header_too_large_or_of_too_many_fields_is_431() {
    let large = format!("GET / HTTP/1.1\r\nX-A: {}\r\n\r\n", "b".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(101));
    for header in [large, many] {
        let (mut served, client) = Served::plain(hello);
        let (mut reader, mut writer) = tokio::io::split(client);
        let mut send = JoinSet::new();
        send.spawn(async move { writer.write_all(header.as_bytes()).await });
        let mut answer = vec![0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 431");
        assert!(served.end().await <= 3);
        assert_eq!(served.limited("header_too_large"), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_arrives_though_the_body_was_never_read() {
    let (mut served, mut client) = Served::plain(|_| {
        ready(Response::builder().status(StatusCode::PAYLOAD_TOO_LARGE).body(Body::from("no")).unwrap())
    });
    client.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
    let mut rest = vec![b'x'; 100_000];
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut send = JoinSet::new();
    send.spawn(async move { writer.write_all(&std::mem::take(&mut rest)).await.map(|()| writer) });
    let mut text = Vec::new();
    reader.read_to_end(&mut text).await.unwrap();
    assert!(text.starts_with(b"HTTP/1.1 413") && text.ends_with(b"no"));
    let sent = send.join_next().await.unwrap().unwrap();
    assert!(sent.is_ok(), "the connection was cut while the client was sending");
    assert!(served.end().await <= 2);
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_idle_connections_end_and_answers_are_finished() {
    let (mut served, mut client) = Served::plain(|request| async move {
        sleep(Duration::from_secs(7)).await;
        hello(request).await
    });
    let (mut idle, mut other) = Served::plain(hello);
    other.write_all(GET).await.unwrap();
    read_hello(&mut other).await;
    client.write_all(GET).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    idle.drain.cancel();
    served.drain.cancel();
    assert_eq!(idle.end().await, 1);
    assert!(read_all(&mut client).await.ends_with("hello"));
    assert_eq!(served.end().await, 7);
}

/// An HTTP/2 client whose streams have a window of `window` bytes.
async fn http2_client(client: DuplexStream, window: u32) -> (http2::SendRequest<Empty<Bytes>>, JoinSet<()>) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(TokioIo::new(client)).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _whatever_end = connection.await;
    });
    (sender, task)
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("http://h/").body(Empty::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_that_only_answers_pings_is_asked_to_end() {
    let (mut served, client) = Served::plain(hello);
    let (mut sender, _task) = http2_client(client, 65_535).await;
    let answer = sender.send_request(get()).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(served.open("h2"), 1.0);
    assert_eq!(served.end().await, 65);
    assert_eq!(served.limited("close_timeout"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_opens_no_window_is_dropped() {
    for window in [0, 100_000] {
        let (mut served, client) = Served::plain(large);
        let (mut sender, _task) = http2_client(client, window).await;
        let answer = sender.send_request(get()).await.unwrap();
        assert_eq!(served.end().await, 30, "{window}");
        assert_eq!(served.limited("write_stalled"), 1.0);
        assert!(answer.into_body().collect().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_reads_slowly_gets_everything() {
    let (served, client) = Served::plain(large);
    let (mut sender, _task) = http2_client(client, 65_535).await;
    let mut body = sender.send_request(get()).await.unwrap().into_body();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let count = frame.unwrap().into_data().unwrap().len();
        total += count;
        // 20 kB a second.
        sleep(Duration::from_micros(50 * count as u64)).await;
    }
    assert_eq!(total, LARGE);
    assert!(served.began.elapsed().as_secs() > 100, "the test must take longer than every limit");
}

/// One HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET http://h/`, in HPACK.
const GET_FIELDS: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 0x01, b'h'];

/// Sends the same kind of thing again and again, reading what comes back; the second in which the server had
/// enough, if it had before all was sent.
async fn flood(times: u32, frames: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Option<u64> {
    let (mut served, client) = Served::plain(|_| std::future::pending::<Response<Body>>());
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut client = JoinSet::new();
    client.spawn(async move {
        let mut sink = Vec::new();
        let _cut = reader.read_to_end(&mut sink).await;
    });
    client.spawn(async move {
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
        writer.write_all(&hello).await.unwrap();
        for number in 0..times {
            if writer.write_all(&frames(number)).await.is_err() {
                return;
            }
        }
        sleep(Duration::from_secs(600)).await;
    });
    let ended = tokio::time::timeout(Duration::from_secs(5), served.task.join_next()).await.is_ok();
    ended.then(|| served.began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_opens_and_resets_streams_without_end_is_cut_off() {
    let open_and_reset = |number: u32| {
        let stream = 2 * number + 1;
        [frame(1, 5, stream, &GET_FIELDS), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    assert!(flood(20_000, open_and_reset).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_http2_header_of_continuations_without_end_is_cut_off() {
    let begin_or_continue = |number: u32| match number {
        0 => frame(1, 1, 1, &GET_FIELDS),
        _ => frame(9, 0, 1, &[]),
    };
    assert!(flood(20_000, begin_or_continue).await.is_some());
}
