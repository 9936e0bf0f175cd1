//! The picture of a channel, from the file to the grant.

use axum::body::Body;
use axum::http::Request;
use schema::api::{PublishGrant, Slate};
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};

const SLATE: &str = "/api/v1/channels/demo/slate";
const PNG: &[u8] = include_bytes!("pictures/slate.png");
const JPEG: &[u8] = include_bytes!("pictures/slate.jpg");

async fn put(plane: &Plane, content_type: &str, data: impl Into<Body>) -> Answer {
    put_to(plane, SLATE, content_type, data).await
}

async fn put_to(plane: &Plane, path: &str, content_type: &str, data: impl Into<Body>) -> Answer {
    let request = Request::put(path).header("content-type", content_type);
    let request = request.header("authorization", format!("Bearer {}", plane.admin.expose()));
    plane.public(request.body(data.into()).unwrap()).await
}

async fn granted(plane: &Plane) -> Option<Slate> {
    let answer = plane.admit(plane.key.expose()).await;
    serde_json::from_value::<PublishGrant>(answer.body).unwrap().slate
}

/// Whether the channel says that it has one.
async fn told(plane: &Plane) -> Value {
    plane.admin("PATCH", "/api/v1/channels/demo", json!({})).await.body["slate"].clone()
}

/// The head of a picture of that size; nothing follows.
fn png(width: u32, height: u32) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]]
        .concat()
}

/// The same as JPEG: a frame header (SOF0) behind an APP0 segment.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let begin = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08".as_slice();
    [begin, &height.to_be_bytes(), &width.to_be_bytes(), &[3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]].concat()
}

#[tokio::test]
async fn a_picture_comes_back_as_it_was_put_and_reaches_the_next_grant() {
    let plane = Plane::start().await;
    assert_eq!((told(&plane).await, granted(&plane).await), (json!(false), None));
    for (said, content_type, data) in
        [("image/png", "image/png", PNG), ("Image/JPEG; q=1", "image/jpeg", JPEG), ("image/png", "image/png", PNG)]
    {
        let answer = put(&plane, said, data).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let shown = plane.picture(SLATE).await;
        assert_eq!((shown.status.as_u16(), &shown.body[..]), (200, data));
        assert_eq!(shown.headers["content-type"], content_type);
        assert_eq!(shown.headers["x-content-type-options"], "nosniff");
        assert_eq!(shown.headers["cache-control"], "no-store");
        assert_eq!(told(&plane).await, true);
        let slate = granted(&plane).await.unwrap();
        assert_eq!((slate.content_type.as_str(), &slate.data[..]), (content_type, data));
    }
}

#[tokio::test]
async fn a_slate_that_was_removed_is_gone_and_removing_it_again_is_harmless() {
    let plane = Plane::start().await;
    plane.admin("GET", SLATE, Value::Null).await.is_problem(404, "slate_unknown");
    put(&plane, "image/png", PNG).await;
    for _ in 0..2 {
        assert_eq!(plane.admin("DELETE", SLATE, Value::Null).await.status, 204);
        plane.admin("GET", SLATE, Value::Null).await.is_problem(404, "slate_unknown");
        assert_eq!((told(&plane).await, granted(&plane).await), (json!(false), None));
    }
}

#[tokio::test]
async fn other_types_are_415_before_anything_is_read() {
    let plane = Plane::start().await;
    for content_type in ["", "image/gif", "image/svg+xml", "image/pngx", "application/octet-stream", "text/html"] {
        put(&plane, content_type, PNG).await.is_problem(415, "content_type_unsupported");
    }
    let none = plane.send_as(Some(plane.admin.expose()), "PUT", SLATE, PNG).await;
    none.is_problem(415, "content_type_unsupported");
    assert_eq!(told(&plane).await, false);
}

#[tokio::test]
async fn a_file_over_512_kib_is_413_and_one_of_512_kib_is_taken() {
    let plane = Plane::start().await;
    let mut large = PNG.to_vec();
    large.resize(Slate::BYTES_MAX + 1, 0);
    put(&plane, "image/png", large.clone()).await.is_problem(413, "body_too_large");
    assert_eq!(told(&plane).await, false);
    large.pop();
    assert_eq!(put(&plane, "image/png", large.clone()).await.status, 204);
    assert_eq!(granted(&plane).await.unwrap().data, large);
}

#[tokio::test]
async fn what_is_no_such_picture_is_422() {
    let plane = Plane::start().await;
    let almost = [b"\x89PNG".as_slice(), &PNG[4..8], b"xxxxJHDR", &PNG[16..]].concat();
    for (content_type, data) in [
        ("image/png", b"".as_slice()),
        ("image/png", b"<html>"),
        ("image/png", &PNG[..20]),
        ("image/png", &almost),
        ("image/png", JPEG),
        ("image/jpeg", PNG),
        ("image/jpeg", b"GIF89a\x40\0\x40\0\0\0\0"),
        ("image/jpeg", &JPEG[..24]),
        ("image/jpeg", b"\xff\xd8\xff\xe0\0\0\0\0"),
        ("image/jpeg", &[0xff; 1_000]),
        ("image/jpeg", &[b"\xff\xd8\xff".as_slice(), &[0; 1_000]].concat()),
    ] {
        let answer = put(&plane, content_type, data.to_vec()).await;
        answer.is_problem(422, "slate_invalid");
        assert_eq!(answer.body["field"], "slate");
    }
    assert_eq!(told(&plane).await, false);
}

#[tokio::test]
async fn sides_are_16_to_4096_pixels() {
    let plane = Plane::start().await;
    for (width, height, status) in [
        (16, 16, 204),
        (4_096, 4_096, 204),
        (15, 16, 422),
        (16, 15, 422),
        (4_097, 16, 422),
        (16, 4_097, 422),
        (0, 0, 422),
    ] {
        let answer = put(&plane, "image/png", png(width, height)).await;
        assert_eq!(answer.status, status, "{width}x{height} {answer:?}");
        let (width, height) = (width.try_into().unwrap(), height.try_into().unwrap());
        let answer = put(&plane, "image/jpeg", jpeg(width, height)).await;
        assert_eq!(answer.status, status, "{width}x{height} {answer:?}");
    }
    put(&plane, "image/png", png(u32::MAX, u32::MAX)).await.is_problem(422, "slate_invalid");
}

#[tokio::test]
async fn a_channel_that_is_not_there_has_no_slate() {
    let plane = Plane::start().await;
    let path = "/api/v1/channels/none/slate";
    put_to(&plane, path, "image/png", PNG).await.is_problem(404, "channel_unknown");
    for method in ["GET", "DELETE"] {
        plane.admin(method, path, Value::Null).await.is_problem(404, "channel_unknown");
    }
}

#[tokio::test]
async fn a_page_puts_a_slate_by_its_cookie_and_another_site_does_not() {
    let plane = Plane::start().await;
    let cookie = plane.sign_in().await;
    for (site, status) in [("cross-site", 403), ("same-origin", 204)] {
        let request = Request::put(SLATE).header("cookie", &cookie).header("content-type", "image/png");
        let request = request.header("sec-fetch-site", site).body(Body::from(PNG)).unwrap();
        let answer = plane.public(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
