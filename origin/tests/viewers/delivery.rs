//! Headers, conditions, ranges and problems (RFC 9110, CORS), per route.

use std::collections::HashSet;
use std::io::Read;

use flate2::read::GzDecoder;
use http::{Request, Response, StatusCode};
use origin::{Body, Limits};

use crate::stage::{Stage, body, get, header, problem, text};

const MULTIVARIANT: &str = "/live/demo/index.m3u8";
const STATE: &str = "/live/demo/state.json";
const PLAYLIST: &str = "/live/demo/b1/720p/index.m3u8";
const SEGMENT: &str = "/live/demo/b1/720p/seg-7-10.m4s";
const PART: &str = "/live/demo/b1/720p/part-7-11-0.m4s";
const INIT: &str = "/live/demo/b1/720p/init-7-0.mp4";
/// The bytes behind [`SEGMENT`], in three chunks.
const SEGMENT_TEXT: &str = "[10.0][10.1][10.2]";

fn with(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a good request")
}

async fn gunzip(response: Response<Body>) -> String {
    let mut plain = String::new();
    GzDecoder::new(&*body(response).await).read_to_string(&mut plain).expect("gzip");
    plain
}

#[tokio::test]
async fn each_resource_has_its_type_and_lifetime() {
    let stage = Stage::playing();
    let cases = [
        (MULTIVARIANT, "application/vnd.apple.mpegurl", "max-age=1"),
        (PLAYLIST, "application/vnd.apple.mpegurl", "max-age=1"),
        (STATE, "application/json", "max-age=1"),
        (SEGMENT, "video/mp4", "max-age=1209600, immutable"),
        (PART, "video/mp4", "max-age=1209600, immutable"),
        (INIT, "video/mp4", "max-age=1209600, immutable"),
        ("/live/demo/b1/audio/seg-7-10.m4s", "audio/mp4", "max-age=1209600, immutable"),
        ("/live/demo/b1/audio/init-7-0.mp4", "audio/mp4", "max-age=1209600, immutable"),
    ];
    for (path, media_type, lifetime) in cases {
        let response = stage.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), media_type, "{path}");
        assert_eq!(header(&response, "cache-control"), lifetime, "{path}");
        let urgency = match media_type {
            "audio/mp4" => Some("u=2"),
            "video/mp4" => Some("u=3"),
            "application/json" => None,
            _ => Some("u=1"),
        };
        assert_eq!(response.headers().get("priority").map(|value| value.to_str().unwrap()), urgency, "{path}");
        let length: usize = header(&response, "content-length").parse().unwrap();
        assert_eq!(body(response).await.len(), length, "{path}");
    }
}

#[tokio::test]
async fn what_a_playlist_names_can_be_fetched() {
    let stage = Stage::playing();
    for rendition in ["720p", "audio"] {
        let playlist = text(stage.get(&format!("/live/demo/b1/{rendition}/index.m3u8")).await).await;
        let names: Vec<&str> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(names.len(), 5);
        for name in names {
            let object = stage.get(&format!("/live/demo/b1/{rendition}/{name}")).await;
            assert_eq!(object.status(), StatusCode::OK, "{name}");
        }
    }
    assert_eq!(text(stage.get(SEGMENT).await).await, SEGMENT_TEXT);
}

#[tokio::test]
async fn every_answer_may_be_read_from_other_sites() {
    let stage = Stage::playing();
    for path in [MULTIVARIANT, PLAYLIST, STATE, SEGMENT, "/live/none/index.m3u8", "/nothing"] {
        let response = stage.get(path).await;
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "{path}");
        let exposed = header(&response, "access-control-expose-headers");
        assert_eq!(exposed, "Date, Age, Content-Length, Content-Range, ETag", "{path}");
    }
}

#[tokio::test]
async fn a_preflight_allows_reading_with_any_header() {
    let stage = Stage::playing();
    for path in [PLAYLIST, SEGMENT, "/live/none/index.m3u8"] {
        let response = stage.at_once(Request::options(path).body(()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
        assert_eq!(header(&response, "access-control-allow-methods"), "GET, HEAD, OPTIONS");
        assert_eq!(header(&response, "access-control-allow-headers"), "*");
        assert_eq!(header(&response, "access-control-max-age"), "86400");
        assert!(body(response).await.is_empty());
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_allowed() {
    let stage = Stage::playing();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let response = stage.at_once(Request::builder().method(method).uri(PLAYLIST).body(()).unwrap()).await;
        assert_eq!(header(&response, "allow"), "GET, HEAD, OPTIONS");
        assert_eq!(problem(response).await, (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed".to_owned()));
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let stage = Stage::playing();
    for path in [MULTIVARIANT, PLAYLIST, STATE, SEGMENT, INIT, "/live/demo/b1/720p/seg-7-99.m4s", "/nothing"] {
        let got = stage.get(path).await;
        let head = stage.at_once(Request::head(path).body(()).unwrap()).await;
        assert_eq!(head.status(), got.status(), "{path}");
        assert_eq!(head.headers(), got.headers(), "{path}");
        assert!(body(head).await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn playlists_come_in_gzip_where_accepted_and_vary_by_it_always() {
    let stage = Stage::playing();
    for path in [MULTIVARIANT, PLAYLIST] {
        let plain = stage.get(path).await;
        let packed = stage.at_once(with(path, &[("accept-encoding", "gzip, deflate, br")])).await;
        for response in [&plain, &packed] {
            assert_eq!(header(response, "vary"), "Accept-Encoding", "{path}");
            assert_eq!(header(response, "priority"), "u=1", "{path}");
        }
        assert_eq!(header(&plain, "content-encoding"), "");
        assert_eq!(header(&packed, "content-encoding"), "gzip");
        assert_ne!(header(&plain, "etag"), header(&packed, "etag"));
        assert_eq!(gunzip(packed).await, text(plain).await);
    }
}

#[tokio::test]
async fn media_is_never_gzipped_and_does_not_vary() {
    let stage = Stage::playing();
    let response = stage.at_once(with(SEGMENT, &[("accept-encoding", "gzip")])).await;
    assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), ("", ""));
    assert_eq!(text(response).await, SEGMENT_TEXT);
}

#[tokio::test]
async fn a_viewer_that_has_the_representation_gets_304() {
    let stage = Stage::playing();
    for path in [MULTIVARIANT, PLAYLIST, SEGMENT, INIT] {
        let first = stage.get(path).await;
        let tag = header(&first, "etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{path}: strong tag {tag}");
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = stage.at_once(with(path, &[("if-none-match", &tags)])).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} {tags}");
            for name in ["etag", "cache-control", "vary", "access-control-allow-origin"] {
                assert_eq!(header(&again, name), header(&first, name), "{path} {name}");
            }
            assert!(body(again).await.is_empty());
        }
        let packed = stage.at_once(with(path, &[("if-none-match", "\"x\"")])).await;
        assert_eq!(packed.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn the_tag_of_one_encoding_does_not_stand_for_the_other() {
    let stage = Stage::playing();
    let tag = header(&stage.get(PLAYLIST).await, "etag").to_owned();
    let packed = stage.at_once(with(PLAYLIST, &[("if-none-match", &tag), ("accept-encoding", "gzip")])).await;
    assert_eq!(packed.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_revision_has_a_new_tag() {
    let mut stage = Stage::playing();
    let before = header(&stage.get(PLAYLIST).await, "etag").to_owned();
    stage.video.part();
    assert_ne!(header(&stage.get(PLAYLIST).await, "etag"), before);
}

#[tokio::test]
async fn a_delta_update_is_sent_to_who_asks_while_there_is_one() {
    let mut stage = Stage::playing();
    let full = stage.get(PLAYLIST).await;
    let mut tags = HashSet::from([header(&full, "etag").to_owned()]);
    let full = text(full).await;
    for query in ["_HLS_skip=YES", "_HLS_msn=10&_HLS_skip=v2"] {
        let path = format!("{PLAYLIST}?{query}");
        let update = stage.get(&path).await;
        assert_eq!(header(&update, "cache-control"), "max-age=1");
        let tag = header(&update, "etag").to_owned();
        let update = text(update).await;
        assert!(update.contains("update") && update != full, "{update}");
        assert_eq!(update.contains("RECENTLY-REMOVED-DATERANGES"), query.contains("v2"), "{update}");
        assert!(tags.insert(tag), "one of its own for each form");
        assert_eq!(gunzip(stage.at_once(with(&path, &[("accept-encoding", "gzip")])).await).await, update);
    }
    assert_eq!(text(stage.get(&format!("{PLAYLIST}?_HLS_skip=all")).await).await, full);
    stage.video.end();
    assert!(text(stage.get(&format!("{PLAYLIST}?_HLS_skip=YES")).await).await.contains("#EXT-X-ENDLIST"));
}

#[tokio::test]
async fn a_range_runs_over_chunks() {
    let stage = Stage::playing();
    let cases = [
        ("bytes=0-5", "[10.0]", "bytes 0-5/18"),
        ("bytes=4-13", "0][10.1][1", "bytes 4-13/18"),
        ("bytes=6-", "[10.1][10.2]", "bytes 6-17/18"),
        ("bytes=-3", ".2]", "bytes 15-17/18"),
        ("bytes=12-9007199254740991", "[10.2]", "bytes 12-17/18"),
    ];
    for (range, expected, content_range) in cases {
        let response = stage.at_once(with(SEGMENT, &[("range", range)])).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(header(&response, "content-range"), content_range);
        assert_eq!(header(&response, "content-length"), expected.len().to_string());
        assert_eq!(header(&response, "accept-ranges"), "bytes");
        assert_eq!(header(&response, "cache-control"), "max-age=1209600, immutable");
        assert_eq!(text(response).await, expected, "{range}");
    }
}

#[tokio::test]
async fn several_or_unreadable_ranges_get_the_whole() {
    let stage = Stage::playing();
    for range in ["bytes=0-1,4-5", "bytes=5-1", "lines=1-2", "bytes=x"] {
        let response = stage.at_once(with(SEGMENT, &[("range", range)])).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(text(response).await, SEGMENT_TEXT, "{range}");
    }
}

#[tokio::test]
async fn a_range_with_nothing_in_it_is_416() {
    let stage = Stage::playing();
    for range in ["bytes=18-", "bytes=99-100", "bytes=-0"] {
        let response = stage.at_once(with(SEGMENT, &[("range", range)])).await;
        assert_eq!(header(&response, "content-range"), "bytes */18");
        assert_eq!(problem(response).await, (StatusCode::RANGE_NOT_SATISFIABLE, "range_unsatisfiable".to_owned()));
    }
}

#[tokio::test]
async fn a_range_bound_to_another_representation_gets_the_whole() {
    let stage = Stage::playing();
    let tag = header(&stage.get(SEGMENT).await, "etag").to_owned();
    let cases = [
        (tag.as_str(), StatusCode::PARTIAL_CONTENT),
        ("\"other\"", StatusCode::OK),
        ("Wed, 21 Oct 2015 07:28:00 GMT", StatusCode::OK),
    ];
    for (bound, status) in cases {
        let response = stage.at_once(with(SEGMENT, &[("range", "bytes=0-1"), ("if-range", bound)])).await;
        assert_eq!(response.status(), status, "{bound}");
    }
}

#[tokio::test]
async fn playlists_and_head_ignore_ranges() {
    let stage = Stage::playing();
    assert_eq!(stage.at_once(with(PLAYLIST, &[("range", "bytes=0-1")])).await.status(), StatusCode::OK);
    let head = Request::head(SEGMENT).header("range", "bytes=0-1").body(()).unwrap();
    let head = stage.at_once(head).await;
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, "18"));
}

#[tokio::test]
async fn what_does_not_exist_is_404_with_a_code() {
    let stage = Stage::playing();
    let cases = [
        ("/live/other/index.m3u8", "channel_offline"),
        ("/live/demo/b2/720p/index.m3u8", "broadcast_unknown"),
        ("/live/other/b1/720p/index.m3u8", "broadcast_unknown"),
        ("/live/demo/b1/1080p/index.m3u8", "rendition_unknown"),
        ("/live/demo/b1/720p/seg-7-11.m4s", "object_unknown"),
        ("/live/demo/b1/720p/seg-6-10.m4s", "object_unknown"),
        ("/live/demo/b1/720p/part-7-11-2.m4s", "object_unknown"),
        ("/live/demo/b1/720p/part-7-12-0.m4s", "object_unknown"),
        ("/live/demo/b1/720p/..", "object_unknown"),
        ("/live/demo/b1/720p/%2e%2e%2fseg-7-10.m4s", "object_unknown"),
        ("/live/demo/b1/720p/seg%2D7-10.m4s", "object_unknown"),
        ("/live/demo/../demo/index.m3u8", "not_found"),
        ("/live/demo%00/index.m3u8", "not_found"),
        ("/whip", "not_found"),
    ];
    for (path, code) in cases {
        assert_eq!(problem(stage.get(path).await).await, (StatusCode::NOT_FOUND, code.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn directives_that_cannot_be_met_are_400_but_harmless_elsewhere() {
    let mut stage = Stage::playing();
    let cases = [
        ("_HLS_msn=99", "directive_too_far"),
        ("_HLS_msn=11&_HLS_part=99", "directive_too_far"),
        ("_HLS_part=1", "directive_malformed"),
        ("_HLS_msn=x", "directive_malformed"),
    ];
    for (query, code) in cases {
        let refused = stage.get(&format!("{PLAYLIST}?{query}")).await;
        assert_eq!(problem(refused).await, (StatusCode::BAD_REQUEST, code.to_owned()), "{query}");
        for path in [MULTIVARIANT, STATE, SEGMENT] {
            assert_eq!(stage.get(&format!("{path}?{query}")).await.status(), StatusCode::OK, "{path}?{query}");
        }
    }
    stage.video.end();
    for (query, _) in cases {
        assert_eq!(stage.get(&format!("{PLAYLIST}?{query}")).await.status(), StatusCode::OK, "ended: {query}");
    }
}

#[tokio::test]
async fn a_uri_beyond_the_limit_is_414() {
    let stage = Stage::with_limits(Limits { uri_bytes_max: 64, ..Limits::default() }).into_playing();
    let fitting = format!("{MULTIVARIANT}?{}", "x".repeat(64 - MULTIVARIANT.len() - 1));
    assert_eq!(stage.get(&fitting).await.status(), StatusCode::OK);
    let refused = stage.get(&(fitting + "x")).await;
    assert_eq!(problem(refused).await, (StatusCode::URI_TOO_LONG, "uri_too_long".to_owned()));
}

#[tokio::test]
async fn answers_and_their_bytes_are_counted() {
    let stage = Stage::playing();
    let _answers = (stage.at_once(get(SEGMENT)).await, stage.at_once(get("/live/none/index.m3u8")).await);
    let _head = stage.at_once(Request::head(SEGMENT).body(()).unwrap()).await;
    assert_eq!(stage.metric("headwater_origin_requests_total"), 3);
    let problem_bytes = 18 + stage.get("/live/none/index.m3u8").await.body().remaining();
    assert_eq!(stage.metric("headwater_origin_body_bytes_total"), 2 * problem_bytes - 18);
}
