//! A server over TLS on a real socket, and clients of another make of HTTP.

use std::fs;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prometheus::Registry;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::testing::Authority;
use super::{Files, Reloader, Tls};
use crate::http::metrics::{Metrics, Port};
use crate::http::server::line::{Line, Watched};
use crate::http::server::pace::{self, Pace};
use crate::http::server::{Limits, Server};

struct Setup {
    folder: tempfile::TempDir,
    authority: Authority,
    files: Files,
    reloader: Reloader,
    registry: Registry,
    address: SocketAddr,
    _server: JoinSet<()>,
}

/// Says over which scheme and version it was asked.
fn say(request: Request<Incoming>) -> std::future::Ready<Response<Body>> {
    let scheme = request.extensions().get::<Scheme>().map_or("none", Scheme::as_str);
    ready(Response::new(Body::from(format!("{scheme} {:?}", request.version()))))
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let files = authority.issue(folder.path(), "live", 2040);
        let registry = Registry::new();
        let hsts = Some(HeaderValue::from_static("max-age=60"));
        let (tls, reloader) = Tls::set_up(files.clone(), hsts, &registry).unwrap();
        let metrics = Metrics::register(Port::Public, &registry).unwrap();
        let limits = Limits { connections: 10, connections_per_address: 10, pace: pace::Limits::USUAL };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits, metrics).await.unwrap().over(Some(tls));
        let address = server.address().unwrap();
        let mut task = JoinSet::new();
        task.spawn(server.run(CancellationToken::new(), say));
        Self { folder, authority, files, reloader, registry, address, _server: task }
    }

    async fn connect(&self, version: &'static SupportedProtocolVersion, alpn: &str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.certificate.clone())).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let socket = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
    }
}

fn certificate(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("https://localhost/").header("host", "localhost").body(Empty::new()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.headers()["strict-transport-security"], "max-age=60");
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn both_protocols_are_spoken_over_both_versions_of_tls() {
    let setup = Setup::new().await;
    for version in [&TLS12, &TLS13] {
        let stream = setup.connect(version, "h2").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut task = JoinSet::new();
        task.spawn(driver);
        let answer = sender.send_request(get()).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_eq!(text(answer).await, "https HTTP/2.0");

        let stream = setup.connect(version, "http/1.1").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut task = JoinSet::new();
        task.spawn(driver);
        assert_eq!(text(sender.send_request(get()).await.unwrap()).await, "https HTTP/1.1");
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_nobody() {
    let mut setup = Setup::new().await;
    let stream = setup.connect(&TLS13, "http/1.1").await;
    let first = certificate(&stream);
    let (mut old, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(driver);
    assert_eq!(text(old.send_request(get()).await.unwrap()).await, "https HTTP/1.1");

    setup.authority.issue(setup.folder.path(), "live", 2041);
    setup.reloader.reload();
    let second = certificate(&setup.connect(&TLS13, "http/1.1").await);
    assert_ne!(first, second);
    assert_eq!(text(old.send_request(get()).await.unwrap()).await, "https HTTP/1.1", "the open connection lives on");

    fs::write(&setup.files.key, "broken").unwrap();
    setup.reloader.reload();
    assert_eq!(certificate(&setup.connect(&TLS13, "http/1.1").await), second);
}

#[tokio::test]
async fn plain_http_on_the_port_of_tls_is_counted_and_closed() {
    let setup = Setup::new().await;
    let mut socket = TcpStream::connect(setup.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset_or_alert = socket.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    let failed =
        setup.registry.gather().into_iter().find(|family| family.name() == "headwater_tls_handshake_failures_total");
    let sum: f64 = failed.unwrap().get_metric().iter().map(|metric| metric.get_counter().get_value()).sum();
    assert_eq!(sum, 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_ends() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let files = Authority::new().issue(folder.path(), "live", 2040);
    let (tls, _reloader) = Tls::set_up(files, None, &registry).unwrap();
    let metrics = Metrics::register(Port::Public, &registry).unwrap();
    let (_silent, server) = duplex(1_024);
    let began = tokio::time::Instant::now();
    let pace = Pace::new(pace::Limits::USUAL, began);
    let watched = Arc::new(Watched::new(pace, crate::http::metrics::Transport::Tls, metrics.clone()));
    assert!(tls.handshake(Line::new(server, watched), &metrics).await.is_none());
    assert_eq!(began.elapsed().as_secs(), 10);
}
