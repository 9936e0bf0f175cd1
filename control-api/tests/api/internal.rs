//! The Unix socket of the internal API.

use std::os::unix::fs::PermissionsExt;

use control_api::{ControlApi, bind_internal, serve_internal};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::fixture::Plane;

#[tokio::test]
async fn nodes_are_answered_on_a_private_socket_until_the_end() {
    let plane = Plane::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(bind_internal(&path).unwrap());
    let listener = bind_internal(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let api = ControlApi::new(plane.pool().clone(), &Registry::new()).unwrap();
    let cancel = CancellationToken::new();
    let client = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let body = r#"{"node":"n1","broadcasts":[]}"#;
        let head = "POST /internal/v1/reports HTTP/1.1\r\nhost: x\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        cancel.cancel();
        String::from_utf8(answer[..length].to_vec()).unwrap()
    };
    let (served, answer) = tokio::join!(serve_internal(listener, api, cancel.clone()), client);
    served.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
