//! The origin behind a real HTTP/1.1 connection.

use std::convert::Infallible;

use http::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use origin::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;

use crate::stage::Stage;

/// A client's end of a connection to the stage's origin; the server's end runs in `tasks`.
fn connect(stage: &Stage, tasks: &mut JoinSet<()>) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let origin = stage.origin.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let answer = origin.handle(request);
        async { Ok::<Response<Body>, Infallible>(answer.await) }
    });
    tasks.spawn(async move {
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        // The client may leave at any time, which is an error to the connection only.
        let _left = connection.await;
    });
    client
}

/// Everything the server sends to one request on a connection of its own.
async fn exchange(stage: &Stage, request: &str) -> String {
    let mut tasks = JoinSet::new();
    let mut client = connect(stage, &mut tasks);
    client.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("the server answers and closes");
    tasks.join_all().await;
    answer.to_ascii_lowercase()
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_segment_arrives_with_its_length_and_the_date() {
    let stage = Stage::playing();
    let answer = exchange(&stage, &request("GET /live/demo/b1/720p/seg-7-10.m4s")).await;
    assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-length: 18\r\n") && answer.contains("\r\ndate: "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n[10.0][10.1][10.2]"), "{answer}");
}

#[tokio::test]
async fn head_sends_the_length_and_no_body() {
    let stage = Stage::playing();
    let answer = exchange(&stage, &request("HEAD /live/demo/b1/720p/seg-7-10.m4s")).await;
    assert!(answer.contains("\r\ncontent-length: 18\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_absolute_target_and_dots_are_safe() {
    let stage = Stage::playing();
    let absolute = exchange(&stage, &request("GET http://elsewhere/live/demo/index.m3u8")).await;
    assert!(absolute.starts_with("http/1.1 200 ok\r\n"), "{absolute}");
    for line in ["GET /live/demo/../../etc/passwd", "GET /live/%2e%2e/x/index.m3u8", "OPTIONS *"] {
        let answer = exchange(&stage, &request(line)).await;
        let expected = if line.starts_with("OPTIONS") { "204" } else { "404" };
        assert!(answer.starts_with(&format!("http/1.1 {expected}")), "{line}: {answer}");
    }
}

#[tokio::test]
async fn no_byte_is_sent_before_the_part_is_whole() {
    let mut stage = Stage::playing();
    let mut tasks = JoinSet::new();
    let mut client = connect(&stage, &mut tasks);
    client.write_all(request("GET /live/demo/b1/720p/part-7-11-1.m4s").as_bytes()).await.unwrap();
    stage.until_held(1).await;
    let mut early = [0; 1];
    let reading = tokio::time::timeout(std::time::Duration::ZERO, client.read(&mut early)).await;
    assert!(reading.is_err(), "nothing has come");
    stage.video.part();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n[11.1]"), "{answer}");
    tasks.join_all().await;
}

#[tokio::test]
async fn a_connection_that_closes_frees_its_waiter() {
    let stage = Stage::playing();
    let mut tasks = JoinSet::new();
    let mut client = connect(&stage, &mut tasks);
    client.write_all(request("GET /live/demo/b1/720p/index.m3u8?_HLS_msn=11").as_bytes()).await.unwrap();
    stage.until_held(1).await;
    drop(client);
    tasks.join_all().await;
    assert_eq!(stage.held(), 0);
}
