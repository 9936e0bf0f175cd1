//! The API while its database is away: 503 within the timeout, and back by itself.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use control_api::database::ACQUIRE_TIMEOUT;
use control_api::{ControlApi, Database, DatabaseConfig, FirstRunNames, Route, first_run};
use http_body_util::BodyExt;
use nix::sys::signal::Signal;
use prometheus::Registry;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;

use crate::fixture::{folder, pid, signal, start};

fn routers(pool: &PgPool) -> (Router, Router) {
    let api = ControlApi::new(pool.clone(), &Registry::new()).unwrap();
    let public = control_api::public_router(api.clone());
    (public, control_api::internal_router(api))
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, serde_json::from_slice(&bytes).unwrap())
}

fn list() -> Request<Body> {
    Request::get("/api/v1/channels").body(Body::empty()).unwrap()
}

fn admission() -> Request<Body> {
    let body = json!({ "key": "hw_sk_1", "protocol": "whip", "session": "s" });
    let request = Request::post("/internal/v1/admissions");
    request.body(body.to_string().into()).unwrap()
}

fn report() -> Request<Body> {
    let body = json!({ "node": "n", "broadcasts": [] });
    let request = Request::post("/internal/v1/reports");
    request.body(body.to_string().into()).unwrap()
}

fn sign_in() -> Request<Body> {
    let body = json!({ "token": "hw_at_1" }).to_string();
    Request::post("/api/v1/session").body(body.into()).unwrap()
}

fn by_cookie() -> Request<Body> {
    let cookie = format!("headwater_session={}", "0".repeat(64));
    Request::get("/api/v1/session").header("cookie", cookie).body(Body::empty()).unwrap()
}

fn write() -> Request<Body> {
    let request = Request::post("/api/v1/channels").header("authorization", "Bearer hw_at_1");
    request.body("{}".into()).unwrap()
}

async fn is_away(router: &Router, request: Request<Body>) {
    let asked = Instant::now();
    let (status, headers, body) = send(router, request).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["code"], "database_unavailable");
    assert_eq!(headers["retry-after"], "2");
    assert_eq!(headers["content-type"], "application/problem+json");
    let slack = Duration::from_secs(1);
    assert!(asked.elapsed() < ACQUIRE_TIMEOUT + slack, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_stopped_database_is_503_everywhere_and_its_return_is_noticed() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let database = Database::embedded(&server);
    database.migrate().await.unwrap();
    let (public, internal) = routers(database.pool());
    assert_eq!(send(&public, list()).await.0, 200);
    server.stop().await.unwrap();
    tokio::join!(
        is_away(&public, list()),
        is_away(&public, write()),
        is_away(&public, sign_in()),
        is_away(&public, by_cookie()),
        is_away(&internal, admission()),
        is_away(&internal, report()),
    );
    let server = start(&folder).await.unwrap();
    assert_eq!(send(&public, list()).await.0, 200);
    assert_eq!(send(&internal, admission()).await.0, 401);
    assert_eq!(send(&internal, report()).await.0, 200);
    database.close().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_revocation_outlasts_an_outage_and_is_ordered_by_the_first_report_after_it() {
    let (folder, data) = (folder(), tempfile::tempdir().unwrap());
    let server = start(&folder).await.unwrap();
    let database = Database::embedded(&server);
    database.migrate().await.unwrap();
    let made = first_run(database.pool(), data.path(), &FirstRunNames::default()).await.unwrap().unwrap();
    let (public, internal) = routers(database.pool());
    let key = made.stream_key.expose();
    let admission = json!({ "key": key, "protocol": "whip", "session": "s1" }).to_string();
    let admission = Request::post("/internal/v1/admissions").body(admission.into()).unwrap();
    let key_id = send(&internal, admission).await.2["key_id"].as_str().unwrap().to_owned();
    let live = || {
        let broadcast = json!({ "broadcast": "b1", "channel": "demo", "incarnation": 1, "session": "s1",
            "key_id": key_id, "state": "live", "started_at_us": 1_700_000_000_000_000_i64 });
        let body = json!({ "node": "n", "broadcasts": [broadcast] }).to_string();
        Request::post("/internal/v1/reports").body(Body::from(body)).unwrap()
    };
    assert_eq!(send(&internal, live()).await.2["commands"], json!([]));
    let revoke = Request::delete(format!("/api/v1/channels/demo/keys/{key_id}"));
    let revoke = revoke.header("authorization", format!("Bearer {}", made.admin_token.expose()));
    let revoke = public.oneshot(revoke.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(revoke.status(), 204);
    server.stop().await.unwrap();
    is_away(&internal, live()).await;
    let server = start(&folder).await.unwrap();
    let (_, _, answer) = send(&internal, live()).await;
    assert_eq!(answer["commands"][0]["session"], "s1");
    assert_eq!(answer["commands"][0]["end"], "key_revoked");
    database.close().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_database_comes_back_to_the_same_pool() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let database = Database::embedded(&server);
    database.migrate().await.unwrap();
    let (public, _) = routers(database.pool());
    assert_eq!(send(&public, list()).await.0, 200);
    let first = pid(&server);
    signal(first, Signal::SIGKILL);
    let mut ids = server.process_id();
    ids.wait_for(|id| id.is_some_and(|id| id != first)).await.unwrap();
    assert_eq!(send(&public, list()).await.0, 200);
    database.close().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_silent_database_is_503_within_the_acquire_timeout() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let database = Database::embedded(&server);
    database.migrate().await.unwrap();
    let (public, internal) = routers(database.pool());
    signal(pid(&server), Signal::SIGSTOP);
    tokio::join!(is_away(&public, list()), is_away(&internal, admission()));
    signal(pid(&server), Signal::SIGCONT);
    assert_eq!(send(&public, list()).await.0, 200);
    database.close().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn no_request_leaves_a_named_statement_behind_on_either_route() {
    let folder = folder();
    let server = start(&folder).await.unwrap();
    let socket = folder.path().join("postgres/run");
    let host = socket.to_str().unwrap().replace('/', "%2F");
    for route in [Route::Direct, Route::Pooled] {
        let config = DatabaseConfig {
            url: format!("postgres://headwater@{host}/headwater?sslmode=disable"),
            direct_url: None,
            route,
            connections_max: 1,
        };
        let database = Database::connect(&config).unwrap();
        database.migrate().await.unwrap();
        let (public, internal) = routers(database.pool());
        for (router, request, status) in [
            (&public, list(), 200),
            (&public, write(), 401),
            (&public, sign_in(), 401),
            (&public, by_cookie(), 401),
            (&internal, admission(), 401),
            (&internal, report(), 200),
        ] {
            assert_eq!(send(router, request).await.0, status);
        }
        let mut connection = database.pool().acquire().await.unwrap();
        let sql = "select count(*) from pg_prepared_statements where name <> ''";
        let query = sqlx::query_scalar(sql).persistent(false);
        let named: i64 = query.fetch_one(&mut *connection).await.unwrap();
        assert_eq!(named, 0, "{route:?}");
        let limit: String = sqlx::query_scalar("select current_setting('statement_timeout')")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(limit == "5s", route == Route::Direct, "{limit}");
        drop(connection);
        database.close().await;
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_named_without_its_password() {
    let config = DatabaseConfig {
        url: "mysql:/secret@host".to_owned(),
        direct_url: None,
        route: Route::Direct,
        connections_max: 2,
    };
    let error = Database::connect(&config).unwrap_err().to_string();
    assert!(error.contains("database.url") && !error.contains("secret"), "{error}");
    assert!(!format!("{config:?}").contains("secret"));
}
