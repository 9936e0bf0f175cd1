//! Secrets are in one answer and one file, and nowhere else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use control_api::{AdmissionHook, ApiRoute, ControlApi, HookConfig, OnFailure, Takes, declared_routes};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::fixture::Plane;
use crate::sign_in::{EMAIL, Home, PASSWORD, code};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Takes what this thread logs from now on, as long as what comes with it is held.
fn listen() -> (Log, impl Sized) {
    let log = Log::default();
    // With one subscriber alone, a place in the code that another test's thread reaches first is
    // taken for one that nobody listens to (tracing-core's registry of call sites).
    let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let listening: DefaultGuard = tracing::subscriber::set_default(subscriber);
    (log, (listening, second))
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn secrets_are_in_no_log_no_metric_no_debug_output_and_no_table() {
    let (log, listening) = listen();
    let plane = Plane::start().await;
    let keys = "/api/v1/channels/demo/keys";
    let made = plane.admin("POST", keys, Value::Null).await;
    let key = made.body["key"].as_str().unwrap();
    plane.admit(key).await;
    plane.admit(plane.key.expose()).await;
    plane.admin("GET", keys, Value::Null).await;
    let cookie = plane.sign_in().await;
    plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await;
    let made = plane.browser(&cookie, "POST", "/api/v1/channels/demo/publish-tokens", Value::Null).await;
    let token = made.body["token"].as_str().unwrap();
    plane.admit(token).await;
    plane.admin("PATCH", "/api/v1/channels/demo", json!({ "access": "members" })).await;
    let started = plane.admin("POST", "/api/v1/playback/demo", Value::Null).await;
    let viewing = started.body["token"].as_str().unwrap();
    let beat = format!("/api/v1/viewer-sessions/{}/heartbeat", started.body["viewer_session"].as_str().unwrap());
    assert_eq!(plane.send_as(None, "POST", &beat, json!({ "token": viewing }).to_string()).await.status, 200);
    drop(listening);

    let logged = log.text();
    assert!(logged.contains("admitted a publisher"), "{logged}");
    let debug = format!("{:?} {:?}", plane.admin, plane.key);
    let places = [logged, plane.metrics(), debug, dump(&plane).await];
    let (_, session) = cookie.split_once('=').unwrap();
    for secret in [key, plane.key.expose(), plane.admin.expose(), token, session, viewing] {
        let random = secret.rsplit('_').next().unwrap();
        let as_bytes = hex::encode(secret);
        for place in &places {
            assert!(!place.contains(random) && !place.contains(&as_bytes));
        }
    }
}

/// Every row of every table, as text.
async fn dump(plane: &Plane) -> String {
    let sql = "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(plane.pool()).await.unwrap();
    assert!(tables.len() >= 6);
    let mut all = String::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(plane.pool()).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    assert!(all.contains("demo"));
    all
}

#[tokio::test]
async fn passwords_links_tokens_and_second_factors_are_in_no_log_no_metric_and_no_table() {
    let (log, listening) = listen();
    let mut home = Home::open().await;
    home.account().await;
    let cookie = home.cookie().await;
    let (access, refresh) = home.tokens().await;
    let renewed = home.refresh(&refresh).await;
    home.post("password-reset", json!({ "email": EMAIL })).await;
    let (_, link) = home.mail().await;
    let plane = &home.plane;
    let second = "/api/v1/auth/second-factor";
    let begun = plane.browser(&cookie, "POST", second, json!({ "password": PASSWORD })).await;
    let shared = begun.body["secret"].as_str().unwrap();
    let shown = json!({ "code": code(shared, 0) });
    let confirmed = plane.browser(&cookie, "POST", &format!("{second}/confirm"), shown).await;
    let made = plane.browser(&cookie, "POST", "/api/v1/me/tokens", json!({ "name": "t" })).await;
    drop(listening);

    let mut secrets = vec![PASSWORD, &access, &refresh, &link, shared, cookie.split_once('=').unwrap().1];
    secrets.extend(["access_token", "refresh_token"].map(|name| renewed.body[name].as_str().unwrap()));
    secrets.extend(confirmed.body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()));
    secrets.push(made.body["token"].as_str().unwrap());
    let logged = log.text();
    assert!(logged.contains("insert into"), "nothing was heard");
    let places = [logged, plane.metrics(), dump(plane).await];
    for secret in secrets {
        for place in &places {
            assert!(!place.contains(secret) && !place.contains(&hex::encode(secret)), "{secret}");
        }
    }
}

/// Is part of every secret below.
const MARK: &str = "5ec2e75ec2e75ec2e75ec2e7";
const MARK_NUMBER: u64 = 5_277_528_752_775_287;

/// The proofs that a request may bring, all but the admin's made up.
fn proofs(plane: &Plane) -> Vec<(&'static str, String)> {
    let cookie = format!("headwater_session={MARK}{}", "0".repeat(64 - MARK.len()));
    vec![
        ("authorization", format!("Bearer {}", plane.admin.expose())),
        ("authorization", format!("Bearer hw_at_{MARK}")),
        ("authorization", format!("Bearer eyJhbGciOiJFUzI1NiJ9.{MARK}.{MARK}")),
        ("authorization", format!("Basic {MARK}")),
        ("cookie", cookie),
        ("cookie", format!("__session=eyJhbGciOiJFUzI1NiJ9.{MARK}.{MARK}")),
    ]
}

/// Bodies of `route`, right and wrong, with a secret in each field that takes one.
fn bodies(route: &ApiRoute, number: usize) -> Vec<String> {
    let Takes::Json(fields) = route.takes else {
        return vec![MARK.to_owned()];
    };
    let object = |secret: Value| {
        let value = |name: &str| match name {
            "token" | "password" | "current_password" | "code" | "refresh_token" => secret.clone(),
            "email" => json!(format!("ann{number}@example.org")),
            _ => json!("x"),
        };
        let fields = fields.iter().map(|field| (field.name.to_owned(), value(field.name)));
        Value::Object(fields.collect()).to_string()
    };
    let whole = object(json!(MARK));
    let cut = whole[..whole.len() - 1].to_owned();
    let twice = format!("{cut},\"{MARK}\":\"{MARK}\",\"{MARK}\":1}}");
    vec![object(json!(MARK_NUMBER)), object(json!({ MARK: MARK })), object(json!([MARK])), whole, cut, twice]
}

#[tokio::test]
async fn no_route_tells_or_logs_a_secret_that_it_was_sent() {
    let (log, listening) = listen();
    let url = format!("http://user:{MARK}@127.0.0.1:1/{MARK}?{MARK}");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
    let hook = HookConfig { url, secret, timeout: Duration::from_secs(2), on_failure: OnFailure::Deny };
    let plane = Plane::start_with(|pool, registry| {
        ControlApi::new(pool, registry).unwrap().with_admission_hook(AdmissionHook::new(hook).unwrap())
    })
    .await;
    let mut refused = 0;
    let mut number = 0;
    for route in declared_routes() {
        let path = route.path.replace("{name}", "demo").replace("{user}", "nobody").replace("{id}", "x");
        for (header, proof) in proofs(&plane) {
            for body in bodies(&route, number) {
                number += 1;
                // An address of its own, so that no limit answers in the route's place.
                let from = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap()), 1));
                let request = Request::builder().method(route.verb.as_str()).uri(format!("{path}?token={MARK}"));
                let request = request.header(header, &proof).header("sec-fetch-site", "same-origin");
                let request = request.header("svix-signature", format!("v1,{MARK}")).extension(ConnectInfo(from));
                let answer = plane.answer(request.body(Body::from(body)).unwrap()).await;
                let (head, body) = answer.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let told = format!("{:?} {}", head.headers, String::from_utf8_lossy(&body));
                refused += usize::from(head.status.is_client_error());
                let what = format!("{} {}: {} {told}", route.verb.as_str(), route.path, head.status);
                assert!(!told.contains(MARK) && !told.contains(&MARK_NUMBER.to_string()), "{what}");
                assert!(!head.status.is_server_error(), "{what}");
            }
        }
        plane.execute("update channels set deleted_at = null").await;
    }
    plane.execute("update stream_keys set revoked_at = null").await;
    plane.admit(&format!("hw_sk_{MARK}")).await.is_problem(401, "key_unknown");
    plane.admit(plane.key.expose()).await.is_problem(503, "admission_unavailable");
    plane
        .internal("/internal/v1/admissions", format!("{{\"key\":[\"{MARK}\"]}}"))
        .await
        .is_problem(400, "json_invalid");
    drop(listening);
    assert!(refused > number / 2, "{refused} of {number}");
    for place in [log.text(), plane.metrics()] {
        let at = place.find(MARK).or(place.find(&MARK_NUMBER.to_string()));
        assert_eq!(at.map(|at| &place[at.saturating_sub(300)..at]), None);
    }
}
