//! Browsers that sign in, and what their cookie opens.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Builder;
use axum::http::uri::Scheme;
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};
use crate::http::GUARDED;

const SESSION: &str = "/api/v1/session";
const CHANNELS: &str = "/api/v1/channels";
const GARBAGE: &str = "headwater_session=0000000000000000000000000000000000000000000000000000000000000000";

fn post(plane: &Plane, token: &str) -> (Builder, Body) {
    let token = if token.is_empty() { plane.admin.expose() } else { token };
    (Request::post(SESSION), Body::from(json!({ "token": token }).to_string()))
}

async fn guess(plane: &Plane, address: &str, token: &str) -> Answer {
    let (request, body) = post(plane, token);
    let address: SocketAddr = address.parse().unwrap();
    plane.public(request.extension(ConnectInfo(address)).body(body).unwrap()).await
}

async fn execute(plane: &Plane, sql: &'static str) {
    sqlx::query(sql).execute(plane.pool()).await.unwrap();
}

async fn count(plane: &Plane) -> i64 {
    let sql = "select count(*) from web_sessions";
    sqlx::query_scalar(sql).fetch_one(plane.pool()).await.unwrap()
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_never_see() {
    let plane = Plane::start().await;
    let (request, body) = post(&plane, "");
    let plain = plane.public(request.body(body).unwrap()).await;
    assert_eq!(plain.status, 204, "{plain:?}");
    assert_eq!(plain.body, Value::Null);
    assert_eq!(plain.headers["cache-control"], "no-store");
    let line = plain.headers["set-cookie"].to_str().unwrap();
    let (pair, rest) = line.split_once("; ").unwrap();
    assert_eq!(pair.len(), "headwater_session=".len() + 64);
    assert_eq!(rest, "HttpOnly; SameSite=Strict; Path=/api; Max-Age=604800");
    let (request, body) = post(&plane, "");
    let tls = plane.public(request.extension(Scheme::HTTPS).body(body).unwrap()).await;
    assert!(tls.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    let (request, body) = post(&plane, "");
    let http = plane.public(request.extension(Scheme::HTTP).body(body).unwrap()).await;
    assert!(!http.headers["set-cookie"].to_str().unwrap().contains("Secure"));
}

#[tokio::test]
async fn a_session_tells_who_is_signed_in_until_it_is_left() {
    let plane = Plane::start().await;
    plane.get(SESSION).await.is_problem(401, "token_missing");
    let cookie = plane.sign_in().await;
    let shown = plane.browser(&cookie, "GET", SESSION, Value::Null).await;
    assert_eq!((shown.status.as_u16(), shown.body), (200, json!({ "name": "first run", "role": "admin" })));
    let by_token = plane.admin("GET", SESSION, Value::Null).await;
    assert_eq!(by_token.body["role"], "admin");
    for _ in 0..2 {
        let left = plane.browser(&cookie, "DELETE", SESSION, Value::Null).await;
        assert_eq!(left.status, 204);
        let cleared = "headwater_session=; HttpOnly; SameSite=Strict; Path=/api; Max-Age=0";
        assert_eq!(left.headers["set-cookie"], cleared);
    }
    let over = plane.browser(&cookie, "GET", SESSION, Value::Null).await;
    over.is_problem(401, "session_expired");
    assert_eq!(count(&plane).await, 0);
}

#[tokio::test]
async fn leaving_is_harmless_for_who_never_came() {
    let plane = Plane::start().await;
    assert_eq!(plane.send_as(None, "DELETE", SESSION, "").await.status, 204);
    assert_eq!(plane.admin("DELETE", SESSION, Value::Null).await.status, 204);
    for cookie in [GARBAGE, "headwater_session=x", "headwater_session="] {
        assert_eq!(plane.browser(cookie, "DELETE", SESSION, Value::Null).await.status, 204, "{cookie}");
    }
}

#[tokio::test]
async fn the_cookie_opens_everything_that_a_token_opens() {
    let plane = Plane::start().await;
    let cookie = plane.sign_in().await;
    for (method, path) in GUARDED {
        let answer = plane.browser(&cookie, method, path, json!({ "nonsense": 1 })).await;
        assert!(![401, 403].contains(&answer.status.as_u16()), "{method} {path} {answer:?}");
    }
    let made = plane.browser(&cookie, "POST", CHANNELS, json!({ "name": "talk" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = plane.browser(&cookie, "GET", "/api/v1/channels/talk", Value::Null).await;
    assert!(shown.body.as_object().unwrap().contains_key("last_end"));
}

#[tokio::test]
async fn a_lesser_role_signs_in_and_may_look_only() {
    let plane = Plane::start().await;
    execute(&plane, "update api_tokens set role = 'read'").await;
    let cookie = plane.sign_in().await;
    let shown = plane.browser(&cookie, "GET", SESSION, Value::Null).await;
    assert_eq!(shown.body["role"], "read");
    let made = plane.browser(&cookie, "POST", CHANNELS, json!({ "name": "talk" })).await;
    made.is_problem(403, "role_insufficient");
}

#[tokio::test]
async fn a_cookie_changes_nothing_for_a_page_of_another_site() {
    let plane = Plane::start().await;
    let cookie = plane.sign_in().await;
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, u16); 8] = [
        ("POST", &[], 403),
        ("POST", &[("sec-fetch-site", "cross-site")], 403),
        ("POST", &[("sec-fetch-site", "same-site")], 403),
        ("POST", &[("origin", "https://evil.example"), ("host", "a.example")], 403),
        ("POST", &[("origin", "null"), ("host", "a.example")], 403),
        ("POST", &[("sec-fetch-site", "same-origin")], 422),
        ("POST", &[("origin", "https://a.example"), ("host", "a.example")], 422),
        ("GET", &[("sec-fetch-site", "cross-site")], 200),
    ];
    for (method, headers, status) in cases {
        let mut request = Request::builder().method(method).uri(CHANNELS).header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = plane.public(request.body("{}".into()).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {headers:?} {answer:?}");
        if status == 403 {
            answer.is_problem(403, "cross_site");
        }
    }
    let request = Request::delete(SESSION).header("cookie", &cookie);
    plane.public(request.body(Body::empty()).unwrap()).await.is_problem(403, "cross_site");
    let token = format!("Bearer {}", plane.admin.expose());
    let request = Request::post(CHANNELS).header("cookie", &cookie).header("authorization", token);
    let answer = plane.public(request.body("{}".into()).unwrap()).await;
    answer.is_problem(422, "name_invalid");
}

#[tokio::test]
async fn another_site_cannot_sign_a_visitor_in() {
    let plane = Plane::start().await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let (request, body) = post(&plane, "");
        let request = request.header("host", "a.example").header(name, value);
        plane.public(request.body(body).unwrap()).await.is_problem(403, "cross_site");
    }
    assert_eq!(count(&plane).await, 0);
}

#[tokio::test]
async fn cookies_that_are_not_ours_open_nothing_and_do_not_close_public_pages() {
    let plane = Plane::start().await;
    let good = plane.sign_in().await;
    let long = format!("headwater_session={}", "a".repeat(30_000));
    let quoted = format!("headwater_session=\"{}\"", "a".repeat(62));
    let two = format!("{good}; {GARBAGE}");
    for cookie in ["headwater_session=", "headwater_session=%00'--", GARBAGE, &long, &quoted, &two] {
        let answer = plane.browser(cookie, "POST", CHANNELS, json!({ "name": "x" })).await;
        answer.is_problem(401, "session_expired");
        let public = plane.browser(cookie, "GET", "/api/v1/channels/demo", Value::Null).await;
        assert_eq!(public.status, 200);
        assert!(!public.body.as_object().unwrap().contains_key("last_end"));
    }
    for cookie in ["", "a=b", "headwater_session", ";;;"] {
        let answer = plane.browser(cookie, "POST", CHANNELS, json!({ "name": "x" })).await;
        answer.is_problem(401, "token_missing");
    }
    let twice = plane.browser(&format!("{good}; {good}"), "GET", SESSION, Value::Null).await;
    assert_eq!(twice.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let plane = Plane::start().await;
    let cookie = plane.sign_in().await;
    execute(&plane, "update api_tokens set revoked_at = now()").await;
    let over = plane.browser(&cookie, "GET", SESSION, Value::Null).await;
    over.is_problem(401, "session_expired");
    let (request, body) = post(&plane, "");
    plane.public(request.body(body).unwrap()).await.is_problem(401, "token_unknown");
}

/// Seconds until the one session is over.
async fn left(plane: &Plane) -> f64 {
    let sql = "select extract(epoch from expires_at - now())::float8 from web_sessions";
    sqlx::query_scalar(sql).fetch_one(plane.pool()).await.unwrap()
}

#[tokio::test]
async fn a_session_lasts_12_h_after_its_last_use_and_7_days_at_most() {
    let plane = Plane::start().await;
    let cookie = plane.sign_in().await;
    let use_it = async || plane.browser(&cookie, "GET", SESSION, Value::Null).await.status;
    let hours = |left: f64| (left / 3600.0 * 10.0).round() / 10.0;
    assert_eq!(hours(left(&plane).await), 12.0);
    // Used within the minute: no write.
    execute(&plane, "update web_sessions set expires_at = expires_at - interval '50 seconds'").await;
    use_it().await;
    assert!(left(&plane).await < 43_160.0);
    execute(&plane, "update web_sessions set expires_at = now() + interval '1 hour'").await;
    assert_eq!(use_it().await, 200);
    assert_eq!(hours(left(&plane).await), 12.0);
    execute(&plane, "update web_sessions set created_at = now() - interval '6 days 22 hours'").await;
    use_it().await;
    execute(&plane, "update web_sessions set expires_at = now() + interval '1 hour'").await;
    use_it().await;
    assert_eq!(hours(left(&plane).await), 2.0);
    execute(&plane, "update web_sessions set expires_at = now()").await;
    assert_eq!(use_it().await, 401);
}

#[tokio::test]
async fn a_token_has_100_sessions_and_those_that_end_first_give_way() {
    let plane = Plane::start().await;
    let first = plane.sign_in().await;
    execute(
        &plane,
        "insert into web_sessions (id, hash, api_token_id, created_at, expires_at) \
         select gen_random_uuid(), sha256(n::text::bytea), api_token_id, now(), \
           now() + case when n <= 150 then interval '-1 s' else interval '1 h' end \
         from web_sessions, generate_series(1, 250) n",
    )
    .await;
    let second = plane.sign_in().await;
    assert_eq!(count(&plane).await, 100);
    assert_eq!(plane.browser(&first, "GET", SESSION, Value::Null).await.status, 200);
    let sooner = "update web_sessions set expires_at = now() + interval '1 minute' where hash = $1";
    let hash = control_api::secret::hash(first.split_once('=').unwrap().1);
    sqlx::query(sooner).bind(hash).execute(plane.pool()).await.unwrap();
    plane.sign_in().await;
    assert_eq!(count(&plane).await, 100);
    let gone = plane.browser(&first, "GET", SESSION, Value::Null).await;
    gone.is_problem(401, "session_expired");
    assert_eq!(plane.browser(&second, "GET", SESSION, Value::Null).await.status, 200);
}

#[tokio::test]
async fn bad_sign_ins_are_refused_field_by_field() {
    let plane = Plane::start().await;
    let sign_in = async |body: &str| plane.send_as(None, "POST", SESSION, body.to_owned()).await;
    for body in ["", "{", "[]", "\"x\""] {
        sign_in(body).await.is_problem(400, "json_invalid");
    }
    for body in ["{}", r#"{"token":null}"#, r#"{"token":7}"#, r#"{"token":["x"]}"#] {
        sign_in(body).await.is_problem(422, "token_invalid");
    }
    sign_in(r#"{"token":"x","more":1}"#).await.is_problem(422, "field_unknown");
    for token in ["", " ", "\u{0}", "hw_at_", "hwp_1", plane.key.expose(), &"x".repeat(60_000)] {
        let answer = sign_in(&json!({ "token": token }).to_string()).await;
        answer.is_problem(401, "token_unknown");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    let pasted = json!({ "token": format!(" {}\n", plane.admin.expose()) });
    assert_eq!(sign_in(&pasted.to_string()).await.status, 204);
}

#[tokio::test]
async fn ten_wrong_tokens_within_a_minute_close_the_door_for_their_address_alone() {
    let plane = Plane::start().await;
    for port in 0..10 {
        guess(&plane, &format!("192.0.2.1:{port}"), "wrong").await.is_problem(401, "token_unknown");
    }
    for token in ["wrong", ""] {
        let closed = guess(&plane, "192.0.2.1:99", token).await;
        closed.is_problem(429, "attempts_too_many");
        let seconds: u64 = closed.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    assert_eq!(guess(&plane, "192.0.2.2:1", "").await.status, 204);
    let metrics = plane.metrics();
    for line in [
        r#"headwater_control_sign_ins_total{result="token_unknown"} 10"#,
        r#"headwater_control_sign_ins_total{result="attempts_too_many"} 2"#,
        r#"headwater_control_sign_ins_total{result="signed_in"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn twenty_good_sign_ins_close_no_door() {
    let plane = Plane::start().await;
    for _ in 0..20 {
        assert_eq!(guess(&plane, "192.0.2.1:1", "").await.status, 204);
    }
}
