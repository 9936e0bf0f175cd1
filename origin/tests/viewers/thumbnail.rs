//! `thumbnail.jpg`: the newest picture while a window stands.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use origin::{Body, Directory, Origin};
use packager::testing::ScriptedBroadcast;
use prometheus::Registry;
use schema::ladder::LatencyProfile;

use crate::stage::{body, header, problem, text};

const THUMBNAIL: &str = "/live/demo/thumbnail.jpg";

/// Channel `demo` with a broadcast that has media and no picture yet.
struct Scene {
    origin: Origin,
    directory: Directory,
    broadcast: ScriptedBroadcast,
    registry: Registry,
}

impl Scene {
    fn live() -> Self {
        let (directory, registry) = (Directory::new(), Registry::new());
        let origin = Origin::new(directory.clone(), &registry).expect("a new registry is empty");
        let mut broadcast = ScriptedBroadcast::new("demo", LatencyProfile::Low);
        broadcast.part();
        directory.list(Arc::clone(&broadcast.live)).expect("there is room");
        Self { origin, directory, broadcast, registry }
    }

    fn with_picture() -> Self {
        let mut scene = Self::live();
        scene.broadcast.thumbnail("one");
        scene
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = headers
            .iter()
            .fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
        let answer = self.origin.handle(request.uri(path).body(()).expect("a good request"));
        tokio::time::timeout(Duration::ZERO, answer).await.expect("answered at once")
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Method::GET, path, &[]).await
    }
}

#[tokio::test]
async fn the_newest_picture_is_sent_with_its_type_and_lifetime() {
    let mut scene = Scene::with_picture();
    for (picture, path) in [("one", THUMBNAIL), ("the other", "/live/demo/thumbnail.jpg?t=7")] {
        scene.broadcast.thumbnail(picture);
        let response = scene.ask(Method::GET, path, &[("accept-encoding", "gzip"), ("range", "bytes=0-0")]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), "image/jpeg");
        assert_eq!(header(&response, "cache-control"), "public, max-age=5");
        assert_eq!(header(&response, "etag"), format!("\"b1-{picture}\""));
        assert_eq!(header(&response, "content-length"), picture.len().to_string());
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
        assert!(header(&response, "content-encoding").is_empty());
        assert_eq!(text(response).await, picture);
    }
}

#[tokio::test]
async fn head_says_the_same_without_the_picture() {
    let scene = Scene::with_picture();
    let (got, head) = (scene.get(THUMBNAIL).await, scene.ask(Method::HEAD, THUMBNAIL, &[]).await);
    assert_eq!((head.status(), head.headers()), (got.status(), got.headers()));
    assert!(body(head).await.is_empty());
}

#[tokio::test]
async fn who_has_the_newest_is_told_so() {
    let mut scene = Scene::with_picture();
    let tag = header(&scene.get(THUMBNAIL).await, "etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let response = scene.ask(Method::GET, THUMBNAIL, &known).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&response, "cache-control"), "public, max-age=5");
    assert_eq!(header(&response, "etag"), tag);
    assert!(body(response).await.is_empty());
    scene.broadcast.thumbnail("two");
    assert_eq!(scene.ask(Method::GET, THUMBNAIL, &known).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn before_the_first_and_where_nothing_is_live_there_is_none() {
    let scene = Scene::live();
    let missing = |code: &str| (StatusCode::NOT_FOUND, code.to_owned());
    assert_eq!(problem(scene.get(THUMBNAIL).await).await, missing("thumbnail_unknown"));
    assert_eq!(problem(scene.get("/live/other/thumbnail.jpg").await).await, missing("channel_offline"));
}

#[tokio::test]
async fn the_last_picture_stays_as_long_as_the_ended_window() {
    let mut scene = Scene::with_picture();
    scene.broadcast.end();
    assert_eq!(scene.get(THUMBNAIL).await.status(), StatusCode::OK);
    scene.directory.unlist(&ScriptedBroadcast::id());
    assert_eq!(problem(scene.get(THUMBNAIL).await).await.1, "channel_offline");

    let scene = Scene::with_picture();
    drop(scene.broadcast);
    let answer = scene.origin.handle(Request::get(THUMBNAIL).body(()).unwrap()).await;
    assert_eq!(problem(answer).await.1, "channel_offline");
}

#[tokio::test]
async fn its_answers_are_counted_under_a_label_of_their_own() {
    let scene = Scene::with_picture();
    scene.get(THUMBNAIL).await;
    scene.get("/live/other/thumbnail.jpg").await;
    let families = scene.registry.gather();
    let family = families.iter().find(|family| family.name() == "headwater_origin_requests_total").unwrap();
    let counted = family.get_metric().iter().filter(|metric| metric.get_counter().get_value() > 0.0);
    let labels: Vec<Vec<&str>> =
        counted.map(|metric| metric.get_label().iter().map(|label| label.value()).collect()).collect();
    assert_eq!(labels, [["thumbnail", "2xx"], ["thumbnail", "4xx"]]);
}
