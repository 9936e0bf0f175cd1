//! The HTTP rules of RFC 9725.

use super::fixture::*;
use super::*;

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

fn with_type(content_type: &str) -> Request<Body> {
    let mut request = post(KEY, "audio video");
    let value = content_type.parse().unwrap();
    request.headers_mut().insert(header::CONTENT_TYPE, value);
    request
}

fn with_authorization(value: &str) -> Request<Body> {
    let mut request = post(KEY, "audio video");
    request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
    request
}

fn without(name: header::HeaderName) -> Request<Body> {
    let mut request = post(KEY, "audio video");
    request.headers_mut().remove(name);
    request
}

fn with_body(body: impl Into<Body>) -> Request<Body> {
    let mut request = post(KEY, "");
    *request.body_mut() = body.into();
    request
}

/// RFC 9725 4.2, 5: the session's URL tells nothing and cannot be guessed.
#[tokio::test(start_paused = true)]
async fn a_good_offer_is_answered_with_201_sdp_and_an_absolute_path() {
    let world = World::new();
    let response = world.ask(post(KEY, "audio video")).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/sdp");
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    let id = location.strip_prefix("/whip/sessions/").unwrap();
    assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!id.contains(KEY));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "v=0 answer");
    assert_eq!(world.whip.sessions(), 1);
}

/// RFC 9725 4.2, 4.4
#[tokio::test(start_paused = true)]
async fn every_bad_request_has_its_status_and_code_and_makes_no_session() {
    let cases = [
        (without(header::CONTENT_TYPE), 415, "content_type_unsupported"),
        (with_type("application/json"), 415, "content_type_unsupported"),
        (with_type("application/sdpx"), 415, "content_type_unsupported"),
        (with_body("a".repeat((64 << 10) + 1)), 413, "body_too_large"),
        (without(header::AUTHORIZATION), 401, "key_missing"),
        (with_authorization("Basic abc"), 401, "key_missing"),
        (with_authorization("Bearer"), 401, "key_missing"),
        (with_authorization("Bearer  "), 401, "key_missing"),
        (post("sk_nobody", "audio"), 401, "key_unknown"),
        (post(&"k".repeat(513), "audio"), 401, "key_unknown"),
        (post("sk_revoked", "audio"), 401, "key_revoked"),
        (post("hwp_expired", "audio"), 401, "token_expired"),
        (post("sk_forbidden", "audio"), 403, "publish_forbidden"),
        (post("sk_elsewhere", "audio"), 307, "publish_elsewhere"),
        (post("sk_no_room", "audio"), 503, "no_room"),
        (post("sk_away", "audio"), 503, "admission_unavailable"),
        (post("sk_hangs", "audio"), 503, "admission_unavailable"),
        (post(KEY, ""), 400, "offer_malformed"),
        (post(KEY, "nonsense"), 400, "offer_malformed"),
        (with_body(vec![0xff, 0xfe]), 400, "offer_malformed"),
        (post(KEY, "recvonly"), 422, "offer_unacceptable"),
        (post(KEY, "vp8"), 422, "codec_unsupported"),
        (post(KEY, "broken"), 500, "internal"),
        (post(KEY, "slow"), 503, "answer_timeout"),
        (request(Method::PUT, "/whip"), 405, "method_not_allowed"),
        (request(Method::PATCH, "/whip/sessions/abc"), 405, "method_not_allowed"),
    ];
    let world = World::new();
    for (request, status, code) in cases {
        let response = world.ask(request).await;
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{code}");
        let problem = problem(response).await;
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
        assert!(!problem.title.contains("secret"), "{}", problem.title);
    }
    assert_eq!(world.whip.sessions(), 0);
}

/// RFC 9110 8.3.1, 11.1
#[tokio::test(start_paused = true)]
async fn content_type_parameters_and_case_are_tolerated() {
    let world = World::new();
    for good in ["Application/SDP", "application/sdp; charset=utf-8", " application/sdp ;x"] {
        let status = world.ask(with_type(good)).await.status();
        assert_eq!(status, StatusCode::CREATED, "{good}");
    }
    let status = world.ask(with_authorization("bearer sk_good")).await.status();
    assert_eq!(status, StatusCode::CREATED);
}

/// RFC 9725 5
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_after_5_s() {
    let world = World::new();
    let (_open, half) = http_body_util::channel::Channel::<axum::body::Bytes>::new(1);
    let stalled = Body::new(half);
    let begin = Instant::now();
    let response = world.ask(with_body(stalled)).await;
    assert_eq!(problem(response).await.code, "body_timeout");
    assert_eq!(begin.elapsed(), Duration::from_secs(5));
}

/// RFC 9725 4.5, 4.7
#[tokio::test(start_paused = true)]
async fn a_401_carries_the_challenge_and_a_503_when_to_come_back() {
    let world = World::new();
    let header = async |request, name| {
        let response = world.ask(request).await;
        response.headers()[name].to_str().unwrap().to_owned()
    };
    let challenge = header::WWW_AUTHENTICATE;
    assert_eq!(header(without(header::AUTHORIZATION), &challenge).await, "Bearer");
    let invalid = "Bearer error=\"invalid_token\"";
    assert_eq!(header(post("sk_nobody", "audio"), &challenge).await, invalid);
    assert_eq!(header(post("sk_revoked", "audio"), &challenge).await, invalid);
    assert_eq!(header(post("sk_away", "audio"), &header::RETRY_AFTER).await, "9");
}

#[tokio::test(start_paused = true)]
async fn checks_come_in_their_order_and_a_bad_key_reaches_no_endpoint() {
    let world = World::new();
    let mut all_wrong = with_body("a".repeat(1 << 20));
    all_wrong.headers_mut().remove(header::AUTHORIZATION);
    all_wrong.headers_mut().remove(header::CONTENT_TYPE);
    assert_eq!(world.ask(all_wrong).await.status(), 415);
    let mut large = with_body("a".repeat(1 << 20));
    large.headers_mut().remove(header::AUTHORIZATION);
    assert_eq!(world.ask(large).await.status(), 413);
    assert_eq!(world.ask(post("sk_nobody", "nonsense")).await.status(), 401);
    assert_eq!(world.offers(), 0);
}

/// RFC 9725 4.2, 4.6
#[tokio::test(start_paused = true)]
async fn a_preflight_needs_no_key_and_names_what_is_allowed() {
    let world = World::new();
    for (path, method) in [("/whip", "POST"), ("/whip/sessions/abc", "DELETE")] {
        let response = world.ask(request(Method::OPTIONS, path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_lowercase();
        assert_eq!(header("accept-post"), "application/sdp");
        assert!(header("allow").contains(&method.to_lowercase()) && !header("allow").contains("patch"));
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(header("access-control-allow-methods").contains(&method.to_lowercase()));
        for name in ["authorization", "content-type", "if-match"] {
            assert!(header("access-control-allow-headers").contains(name));
        }
        let exposed = header("access-control-expose-headers");
        for name in ["location", "link", "etag", "www-authenticate", "retry-after"] {
            assert!(exposed.contains(name), "{name}");
        }
        assert!(!response.headers().contains_key(header::LINK));
    }
}

/// RFC 9725 4.1
#[tokio::test(start_paused = true)]
async fn get_and_head_succeed_without_content() {
    let world = World::new();
    for method in [Method::GET, Method::HEAD] {
        for path in ["/whip", "/whip/sessions/abc"] {
            let response = world.ask(request(method.clone(), path)).await;
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.is_empty());
        }
    }
}

/// RFC 9110 15.5.6: neither trickle nor restart of ICE (RFC 9725 4.3).
#[tokio::test(start_paused = true)]
async fn a_patch_is_refused_with_the_methods_allowed() {
    let world = World::new();
    let (location, _publisher) = world.publish().await;
    let response = world.ask(request(Method::PATCH, &location)).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = response.headers()[header::ALLOW].to_str().unwrap();
    assert!(allow.contains("DELETE") && !allow.contains("PATCH"));
    assert_eq!(world.whip.sessions(), 1);
}

/// RFC 9725 4.2, 4.3.1, 4.7
#[tokio::test(start_paused = true)]
async fn a_publisher_whose_connection_is_over_may_still_say_goodbye_once() {
    for end in [PeerEnd::Closed, PeerEnd::Failed] {
        let world = World::new();
        let (location, publisher) = world.publish().await;
        publisher.event(PeerEvent::Ended(end)).await;
        pass(1_000).await;
        assert_eq!(world.whip.sessions(), 0);
        let other = world.ask(delete(&location, OTHER_KEY)).await;
        assert_ne!(other.status(), StatusCode::OK);
        for status in [200, 404] {
            assert_eq!(world.ask(delete(&location, KEY)).await.status().as_u16(), status);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delete_ends_the_session_for_its_own_key_only_and_only_once() {
    let world = World::new();
    let (location, publisher) = world.publish().await;
    let no_key = world.ask(request(Method::DELETE, &location)).await;
    assert_eq!(problem(no_key).await.code, "key_missing");
    let other = world.ask(delete(&location, OTHER_KEY)).await;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(other.headers()[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    assert_eq!(world.whip.sessions(), 1);
    let mut good = delete(&location, KEY);
    good.headers_mut().insert(header::IF_MATCH, "\"stale\"".parse().unwrap());
    assert_eq!(world.ask(good).await.status(), StatusCode::OK);
    settle().await;
    assert_eq!(publisher.asked(), [Asked::Closed]);
    assert_eq!(world.ended(SessionEnd::Closed), 1);
    for path in [location.as_str(), "/whip/sessions/abc", "/whip/sessions/ABC..", "/whip/sessions/%ff"] {
        let again = world.ask(delete(path, KEY)).await;
        assert_eq!(problem(again).await.code, "session_unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn delete_takes_what_began_the_session_also_after_it_expired() {
    let world = World::admitting(Limits::default(), 1, Arc::new(Once::default()));
    let (location, publisher) = world.publish().await;
    let late = world.ask(post(KEY, "audio")).await;
    assert_eq!(problem(late).await.code, "token_expired");
    assert_eq!(world.ask(delete(&location, KEY)).await.status(), StatusCode::OK);
    settle().await;
    assert_eq!(publisher.asked(), [Asked::Closed]);
}

/// RFC 9725 4.5
#[tokio::test(start_paused = true)]
async fn one_session_too_many_is_refused_and_room_comes_back() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let world = World::with(limits, 1);
    let (location, _publisher) = world.publish().await;
    let response = world.ask(post(OTHER_KEY, "audio")).await;
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(response).await.code, "sessions_too_many");
    world.ask(delete(&location, KEY)).await;
    settle().await;
    world.publish_as(OTHER_KEY, "audio").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_offer_gives_its_place_back() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let world = World::with(limits, 1);
    for offer in ["nonsense", "slow", "broken"] {
        world.ask(post(KEY, offer)).await;
    }
    world.publish().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_by_code() {
    let world = World::new();
    world.ask(post("sk_nobody", "audio")).await;
    let refused = &world.whip.shared.metrics.refused;
    assert_eq!(refused.with_label_values(&["key_unknown"]).get(), 1);
}

/// RFC 9725 4.6; a line each, as OBS reads only the first of a list.
#[tokio::test(start_paused = true)]
async fn ice_servers_stand_in_the_answer_one_line_each_and_in_no_preflight() {
    let mut world = World::new();
    let stun = IceServer::new("stun:stun.example.net", None, None).unwrap();
    let turn = IceServer::new("turn:turn.example.net", Some("user"), Some("pass")).unwrap();
    world.router = router(world.whip.clone().with_ice_servers(vec![stun, turn]));
    let response = world.ask(post(KEY, "audio video")).await;
    let links: Vec<_> = response.headers().get_all(header::LINK).iter().map(|link| link.to_str().unwrap()).collect();
    assert_eq!(links.len(), 2);
    assert_eq!(links[0], "<stun:stun.example.net>; rel=\"ice-server\"");
    assert!(links[1].starts_with("<turn:turn.example.net>; rel=\"ice-server\"; username=\"user\""));
    let preflight = world.ask(request(Method::OPTIONS, "/whip")).await;
    let refused = world.ask(post("sk_nobody", "audio")).await;
    for response in [preflight, refused] {
        assert!(!response.headers().contains_key(header::LINK));
    }
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let client: std::net::SocketAddr = address.parse().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(client));
    request
}

/// RFC 9725 5
#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_go_on() {
    let requests = RequestRate { burst: 3, interval: Duration::from_secs(2) };
    let world = World::with(Limits { requests, ..Limits::default() }, 4);
    let eve = "198.51.100.9:5000";
    for _ in 0..2 {
        assert_eq!(world.ask(from(eve, post("sk_nobody", "audio"))).await.status(), 401);
    }
    let unknown = delete("/whip/sessions/abc", KEY);
    assert_eq!(world.ask(from(eve, unknown)).await.status(), 404);
    for request in [post(KEY, "audio"), delete("/whip/sessions/abc", KEY), request(Method::PATCH, "/whip/sessions/abc")]
    {
        let response = world.ask(from(eve, request)).await;
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let problem = problem(response).await;
        assert_eq!((problem.status, problem.code.as_str()), (429, "requests_too_many"));
    }
    assert_eq!(world.offers(), 0);
    let harmless = world.ask(from(eve, request(Method::OPTIONS, "/whip"))).await;
    assert_eq!(harmless.status(), StatusCode::OK);
    let other = world.ask(from("198.51.100.10:5000", post(KEY, "audio video"))).await;
    assert_eq!(other.status(), StatusCode::CREATED);
    pass(2_000).await;
    assert_eq!(world.ask(from(eve, post("sk_nobody", "audio"))).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_is_told_when_to_ask_again() {
    let world = World::new();
    let response = world.ask(post("sk_no_room", "audio video")).await;
    assert_eq!(response.headers()[header::RETRY_AFTER], "30");
    assert_eq!((problem(response).await.code.as_str(), world.offers()), ("no_room", 0));
}

/// What admission keeps is given back by every way on which a session can fail, and goes along where it does not.
#[tokio::test(start_paused = true)]
async fn a_place_is_kept_until_the_session_fails_or_its_media_are_handed_over() {
    let kept = Arc::new(());
    let count = || Arc::strong_count(&kept) - 1;
    let mut world = World::admitting(Limits::default(), 4, Arc::new(Keeping(Arc::clone(&kept))));
    let before = count();
    assert_eq!(world.ask(post(KEY, "nonsense")).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(count(), before, "its offer was refused");
    let (_, never_connects) = world.publish_as(KEY, "audio video").await;
    assert_eq!(count(), before + 1);
    pass(16_000).await;
    assert_eq!(count(), before, "it never connected");
    drop(never_connects);
    let (path, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    pass(200).await;
    let arrival = world.arrivals.try_recv().unwrap();
    world.ask(delete(&path, KEY)).await;
    settle().await;
    assert_eq!(count(), before + 1, "it is the node's now");
    drop(arrival);
    assert_eq!(count(), before);
}
