//! The operator's admission webhook: a service of theirs on loopback, and what follows from each of its answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use control_api::{AdmissionHook, ControlApi, HookConfig, OnFailure};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fixture::{Answer, Plane};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the service was asked, and what it says.
#[derive(Clone)]
struct Said {
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    answer: Says,
}

/// What it says.
#[derive(Clone)]
enum Says {
    Json(StatusCode, Value),
    Text(String),
    Nothing,
}

/// The service, as long as it is held.
struct Service {
    url: String,
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    _serving: JoinSet<()>,
}

async fn answer(State(said): State<Said>, headers: HeaderMap, body: Bytes) -> Response {
    said.asked.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
    match said.answer {
        Says::Json(status, body) => (status, axum::Json(body)).into_response(),
        Says::Text(body) => body.into_response(),
        Says::Nothing => std::future::pending().await,
    }
}

impl Service {
    async fn start(answer_: Says) -> Self {
        let asked = Arc::default();
        let said = Said { asked: Arc::clone(&asked), answer: answer_ };
        let router = Router::new().route("/publish", post(answer)).with_state(said);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/publish", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, _serving: serving }
    }

    fn asked(&self) -> Vec<(HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn plane(url: &str, on_failure: OnFailure) -> Plane {
    let timeout = match on_failure {
        OnFailure::Deny => Duration::from_secs(10),
        OnFailure::Allow => Duration::from_millis(100),
    };
    let config = HookConfig { url: url.to_owned(), secret: SECRET.parse().unwrap(), timeout, on_failure };
    Plane::start_with(|pool, registry| {
        let api = ControlApi::new(pool, registry).unwrap();
        api.with_admission_hook(AdmissionHook::new(config).unwrap())
    })
    .await
}

async fn admitted(service: &Service, on_failure: OnFailure) -> Answer {
    let plane = plane(&service.url, on_failure).await;
    plane.admit(plane.key.expose()).await
}

#[tokio::test]
async fn the_service_is_asked_with_a_signature_and_never_told_the_key() {
    let service = Service::start(Says::Json(StatusCode::OK, json!({ "decision": "allow" }))).await;
    let plane = plane(&service.url, OnFailure::Deny).await;
    let answer = plane.admit(plane.key.expose()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let asked = service.asked();
    let [(headers, question)] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert_eq!(question["type"], "publish.asked");
    assert_eq!(question["data"]["channel"], "demo");
    assert_eq!(question["data"]["key_id"], answer.body["key_id"]);
    assert_eq!(question["data"]["role"], "primary");
    assert_eq!(question["data"]["protocol"], "whip");
    assert_eq!(question["data"]["session"], "s1");
    assert!(!question.to_string().contains(plane.key.expose()));
}

#[tokio::test]
async fn a_key_that_is_not_good_is_not_asked_about() {
    let service = Service::start(Says::Json(StatusCode::OK, json!({ "decision": "allow" }))).await;
    let plane = plane(&service.url, OnFailure::Deny).await;
    plane.admit("hw_sk_nobodys").await.is_problem(401, "key_unknown");
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn what_the_service_allows_has_its_ladder_and_profile() {
    let ladder = json!({ "rungs": [{ "height": 240, "bitrate": 300_000 }], "audio_bitrate": 64_000 });
    let says = json!({ "decision": "allow", "ladder": ladder, "profile": "ultra" });
    let answer = admitted(&Service::start(Says::Json(StatusCode::OK, says)).await, OnFailure::Deny).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["ladder"], ladder);
    assert_eq!(answer.body["profile"], "ultra");
}

#[tokio::test]
async fn whom_the_service_turns_away_is_told_why_or_where_else() {
    let says = json!({ "decision": "deny", "reason": "the account is not paid" });
    let service = Service::start(Says::Json(StatusCode::OK, says)).await;
    // Whatever a failure would mean: this is none.
    let answer = admitted(&service, OnFailure::Allow).await;
    answer.is_problem(403, "publish_forbidden");
    assert_eq!(answer.body["title"], "the account is not paid");
    let says = json!({ "decision": "redirect", "location": "https://b.example/whip" });
    let answer = admitted(&Service::start(Says::Json(StatusCode::OK, says)).await, OnFailure::Allow).await;
    answer.is_problem(307, "publish_elsewhere");
    assert_eq!(answer.headers["location"], "https://b.example/whip");
}

#[tokio::test]
async fn a_service_that_fails_is_answered_for_by_the_configuration() {
    let failures = [
        Says::Json(StatusCode::INTERNAL_SERVER_ERROR, json!({ "decision": "allow" })),
        Says::Json(StatusCode::FOUND, json!({ "decision": "allow" })),
        Says::Text("<html>".to_owned()),
        Says::Text(format!(r#"{{"decision":"allow","more":"{}"}}"#, "x".repeat(20_000))),
        Says::Json(StatusCode::OK, json!({ "decision": "allow", "ladder": { "rungs": [], "audio_bitrate": 64_000 } })),
    ];
    for says in failures {
        let service = Service::start(says).await;
        admitted(&service, OnFailure::Deny).await.is_problem(503, "admission_unavailable");
        let answer = admitted(&service, OnFailure::Allow).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(service.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_service_that_is_silent_or_gone_holds_nobody_up() {
    let service = Service::start(Says::Nothing).await;
    let answer = admitted(&service, OnFailure::Allow).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(service.asked().len(), 1);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plane = plane(&format!("http://{gone}/publish"), OnFailure::Deny).await;
    let answer = plane.admit(plane.key.expose()).await;
    answer.is_problem(503, "admission_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    let count = r#"headwater_control_admission_hook_total{result="failed_denied"} 1"#;
    assert!(plane.metrics().contains(count), "{}", plane.metrics());
}
