//! What protects the API whatever the route: limits of rate, headers, and bodies that mean harm.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use control_api::permission::Role;
use control_api::{ApiRoute, Class, ControlApi, Need, RateLimits, Verb, declared_routes};
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};

const CHANNELS: &str = "/api/v1/channels";
const ONE: RateLimits =
    RateLimits { reads_per_minute: 1, writes_per_minute: 1, sign_ins_per_minute: 1, heartbeats_per_minute: 1 };

async fn limited(limits: RateLimits) -> Plane {
    Plane::start_with(|pool, registry| ControlApi::new(pool, registry).unwrap().with_rate_limits(&limits)).await
}

/// A request of the client at `address`.
async fn ask(plane: &Plane, address: IpAddr, token: Option<&str>, method: &str, path: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.extension(ConnectInfo(SocketAddr::new(address, 40_000)));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    plane.public_raw(request.body(Body::empty()).unwrap()).await
}

fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xc633_6400 + u32::try_from(number).unwrap()))
}

/// The path with something in each parameter.
fn path(route: &ApiRoute) -> String {
    route.path.replace("{name}", "demo").replace("{user}", "nobody").replace("{id}", "x")
}

#[tokio::test]
async fn every_route_has_a_limit_by_address_and_tells_when_to_come_back() {
    let plane = limited(ONE).await;
    for (number, route) in declared_routes().iter().enumerate() {
        let what = format!("{} {}", route.verb.as_str(), route.path);
        let send = async || ask(&plane, address(number), None, route.verb.as_str(), &path(route)).await;
        let first = send().await;
        assert_ne!(first.body["code"], "requests_too_many", "{what}");
        let second = send().await;
        second.is_problem(429, "requests_too_many");
        let wait: u64 = second.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{what}: {wait}");
        let line = format!("headwater_control_limited_total{{by=\"address\",class=\"{}\"}} ", route.class.as_str());
        assert!(!plane.metrics().contains(&format!("{line}0")), "{what}");
    }
}

#[tokio::test]
async fn an_account_has_one_limit_wherever_it_comes_from_and_others_have_their_own() {
    let plane = limited(ONE).await;
    let (ann, bob) = (plane.user("ann", Role::Viewer, None).await, plane.user("bob", Role::Viewer, None).await);
    let second_of_ann = plane.token_of(Some("ann"), Role::Viewer, None).await;
    let me = "/api/v1/me";
    assert_eq!(ask(&plane, address(1), Some(&ann), "GET", me).await.status, 200);
    ask(&plane, address(2), Some(&ann), "GET", me).await.is_problem(429, "requests_too_many");
    ask(&plane, address(3), Some(&second_of_ann), "GET", me).await.is_problem(429, "requests_too_many");
    let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ask(&plane, own, Some(&ann), "GET", me).await.is_problem(429, "requests_too_many");
    assert_eq!(ask(&plane, address(4), Some(&bob), "GET", me).await.status, 200);
    let metrics = plane.metrics();
    assert!(metrics.contains("headwater_control_limited_total{by=\"account\",class=\"read\"} 3"), "{metrics}");
    assert!(metrics.contains("headwater_control_limited_total{by=\"account\",class=\"write\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_limit_is_over_when_its_answer_says() {
    let plane = limited(RateLimits { reads_per_minute: 6, ..RateLimits::USUAL }).await;
    tokio::time::pause(); // not before: the database runs on real time
    let document = async || ask(&plane, address(1), None, "GET", "/api/openapi.json").await;
    for _ in 0..6 {
        assert_eq!(document().await.status, 200);
    }
    let refused = document().await;
    refused.is_problem(429, "requests_too_many");
    assert_eq!(refused.headers["retry-after"], "10");
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    assert_eq!(document().await.status, 200);
    document().await.is_problem(429, "requests_too_many");
}

/// What strangers may write, or have done by a `GET`, counts as what it costs.
#[test]
fn what_anybody_may_set_off_has_a_narrow_class() {
    for route in declared_routes() {
        let what = format!("{} {}", route.verb.as_str(), route.path);
        let wide = [Class::Read, Class::Write].contains(&route.class);
        if route.need == Need::Nothing && route.verb != Verb::Get {
            // Its signature proves a webhook.
            assert!(!wide || route.path == "/api/v1/auth/clerk/webhook", "{what}");
        }
        assert_eq!(route.class == Class::Read, route.verb == Verb::Get && wide, "{what}");
    }
}

#[track_caller]
fn is_protected(what: &str, headers: &HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{what}: {name}");
    }
    assert!(headers.contains_key("cache-control"), "{what}");
    let cors = headers.keys().find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors, None, "{what}");
}

#[tokio::test]
async fn every_answer_is_protected_and_none_is_for_other_origins() {
    let plane = Plane::start().await;
    for route in declared_routes() {
        for method in [route.verb.as_str(), "OPTIONS"] {
            for token in [None, Some(plane.admin.expose())] {
                let what = format!("{method} {} as {}", route.path, token.map_or("stranger", |_| "admin"));
                let mut request = Request::builder().method(method).uri(path(&route));
                request = request.header("origin", "https://evil.example");
                request = request.header("access-control-request-method", route.verb.as_str());
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                let answer = plane.public_raw(request.body(Body::empty()).unwrap()).await;
                is_protected(&what, &answer.headers);
                if method == "OPTIONS" {
                    answer.is_problem(405, "method_not_allowed");
                }
            }
        }
        plane.execute("update channels set deleted_at = null").await;
    }
    is_protected("nowhere", &plane.get("/api/nowhere").await.headers);
    is_protected("internal", &plane.internal("/internal/v1/reports", "{").await.headers);
}

#[tokio::test]
async fn bodies_that_mean_harm_are_refused_clearly() {
    let plane = Plane::start().await;
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let field = |name: &str, value: &str| format!("{{\"name\":\"x\",\"{name}\":{value}}}").into_bytes();
    let huge = "9".repeat(10_000);
    for (told, body, status, code) in [
        ("deep arrays", field("ladder", &nested("[", "]")), 400, "json_invalid"),
        ("deep objects", field("ladder", &nested("{\"a\":", "}")), 400, "json_invalid"),
        ("a name twice", br#"{"name":"x","name":"y"}"#.to_vec(), 400, "json_invalid"),
        ("a name twice, escaped", br#"{"name":"x","n\u0061me":"y"}"#.to_vec(), 400, "json_invalid"),
        ("a name twice, inside", field("ladder", r#"{"rungs":[],"rungs":[]}"#), 400, "json_invalid"),
        ("beyond a float", field("dvr_s", "1e999"), 400, "json_invalid"),
        ("ten thousand digits", field("dvr_s", &huge), 400, "json_invalid"),
        ("beyond 64 bits", field("dvr_s", "18446744073709551616"), 422, "dvr_s_invalid"),
        ("beyond 32 bits", field("grace_s", "4294967296"), 422, "grace_s_invalid"),
        ("below nothing", field("grace_s", "-1"), 422, "grace_s_invalid"),
        ("a fraction", field("grace_s", "1.5"), 422, "grace_s_invalid"),
        ("minus zero", field("frame_rate", "-0"), 422, "frame_rate_invalid"),
        ("not a number", field("grace_s", "NaN"), 400, "json_invalid"),
        ("not UTF-8", b"{\"name\":\"x\",\"title\":\"\xff\xfe\"}".to_vec(), 400, "json_invalid"),
        ("a surrogate in UTF-8", b"{\"name\":\"x\",\"title\":\"\xed\xa0\x80\"}".to_vec(), 400, "json_invalid"),
        ("half a surrogate pair", field("title", r#""\ud800""#), 400, "json_invalid"),
        ("a zero byte", field("title", r#""a\u0000b""#), 422, "title_invalid"),
        ("a byte order mark", b"\xef\xbb\xbf{\"name\":\"x\"}".to_vec(), 400, "json_invalid"),
        ("two values", br#"{"name":"x"}{"name":"y"}"#.to_vec(), 400, "json_invalid"),
        ("a comma too many", br#"{"name":"x",}"#.to_vec(), 400, "json_invalid"),
        ("UTF-16", "{\"name\":\"x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect(), 400, "json_invalid"),
    ] {
        let answer = plane.send_as(Some(plane.admin.expose()), "POST", CHANNELS, body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{told}: {answer:?}");
        assert!(answer.body.to_string().len() < 500, "{told}: {answer:?}");
    }
    plane.get("/api/v1/channels/x").await.is_problem(404, "channel_unknown");
}

#[tokio::test]
async fn a_zero_byte_in_any_field_or_parameter_is_no_fault_of_ours() {
    let plane = Plane::start().await;
    for route in declared_routes() {
        let fields = match route.takes {
            control_api::Takes::Json(fields) => fields,
            _ => &[],
        };
        let body: serde_json::Map<String, Value> =
            fields.iter().map(|field| (field.name.to_owned(), json!("a\0b"))).collect();
        let query: String = route.query.iter().map(|field| format!("{}=a%00b&", field.name)).collect();
        let zero = route.path.replace("{name}", "a%00b").replace("{user}", "a%00b").replace("{id}", "a%00b");
        for path in [path(&route), zero] {
            let request = Request::builder().method(route.verb.as_str()).uri(format!("{path}?{query}"));
            let request = request.header("authorization", format!("Bearer {}", plane.admin.expose()));
            let answer = plane.public_raw(request.body(Value::Object(body.clone()).to_string().into()).unwrap()).await;
            assert!(answer.status.as_u16() < 500, "{} {path}: {answer:?}", route.verb.as_str());
        }
        plane.execute("update channels set deleted_at = null").await;
    }
}
