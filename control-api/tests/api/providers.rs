//! Users who come from elsewhere: tokens and webhooks of Clerk, and the code flow of an OpenID provider. The
//! provider is a real server on loopback with keys of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use control_api::ControlApi;
use control_api::auth::Auth;
use control_api::auth::config::{AuthConfig, ClerkConfig, MailConfig, Mode, OidcConfig};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::fixture::{Answer, Plane};

const APP: &str = "https://live.example";
const WEBHOOK_KEY: &[u8] = b"a key of some thirty-two letters";

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// What the provider was asked for, and what it answers.
struct Provider {
    issuer: String,
    key: EcdsaKeyPair,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    issuer: Mutex<String>,
    jwks: Mutex<Value>,
    id_token: Mutex<String>,
    forms: Mutex<Vec<HashMap<String, String>>>,
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let issuer = shared.issuer.lock().unwrap().clone();
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
    }))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.jwks.lock().unwrap().clone())
}

async fn token(State(shared): State<Arc<Shared>>, form: Bytes) -> impl IntoResponse {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&form).into_owned().collect();
    let known = form.get("code").is_some_and(|code| code == "good");
    shared.forms.lock().unwrap().push(form);
    match known {
        true => (StatusCode::OK, Json(json!({ "id_token": *shared.id_token.lock().unwrap() }))),
        false => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))),
    }
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y }] });
        let shared = Arc::new(Shared { issuer: issuer.clone().into(), jwks: keys.into(), ..Shared::default() });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/.well-known/jwks.json", get(jwks))
            .route("/token", post(token))
            .with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { issuer, key, shared, _server: server }
    }

    /// A token with the usual claims and `changes`; null takes one out.
    fn token(&self, changes: Value) -> String {
        let now = now_s();
        let mut claims = json!({ "iss": self.issuer, "sub": "user_1", "azp": APP, "iat": now, "exp": now + 60 });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"one","typ":"JWT"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

struct Home {
    plane: Plane,
    provider: Provider,
    _dir: TempDir,
}

impl Home {
    async fn with(provider: Provider, config: AuthConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plane = Plane::start_with(|pool, registry| {
            let auth = Auth::new(&config, &MailConfig::default(), dir.path(), APP).unwrap();
            ControlApi::with_auth(pool, registry, auth).unwrap()
        })
        .await;
        Self { plane, provider, _dir: dir }
    }

    async fn clerk() -> Self {
        let provider = Provider::start().await;
        let clerk = ClerkConfig {
            issuer: provider.issuer.clone(),
            authorized_parties: vec![APP.to_owned()],
            webhook_secret: Some(format!("whsec_{}", STANDARD.encode(WEBHOOK_KEY)).as_str().into()),
        };
        let config = AuthConfig { mode: Mode::Clerk, clerk, ..AuthConfig::default() };
        config.check().unwrap();
        Self::with(provider, config).await
    }

    async fn oidc() -> Self {
        let provider = Provider::start().await;
        let oidc = OidcConfig {
            issuer: provider.issuer.clone(),
            client_id: "headwater".to_owned(),
            client_secret: Some("hush".into()),
            audiences: vec!["https://api.example".to_owned()],
            ..OidcConfig::default()
        };
        let config = AuthConfig { mode: Mode::Oidc, oidc, ..AuthConfig::default() };
        config.check().unwrap();
        Self::with(provider, config).await
    }

    async fn who(&self, bearer: &str) -> Answer {
        self.plane.send_as(Some(bearer), "GET", "/api/v1/session", "").await
    }

    async fn webhook_at(&self, id: &str, at_s: i64, body: &str) -> Answer {
        let message = format!("{id}.{at_s}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_KEY), message.as_bytes());
        let request = Request::post("/api/v1/auth/clerk/webhook")
            .header("svix-id", id)
            .header("svix-timestamp", at_s.to_string())
            .header("svix-signature", format!("v1,{}", STANDARD.encode(tag.as_ref())));
        self.plane.public(request.body(body.to_owned().into()).unwrap()).await
    }

    async fn webhook(&self, id: &str, kind: &str, user: Value) {
        let body = json!({ "type": kind, "object": "event", "data": user }).to_string();
        let answer = self.webhook_at(id, now_s(), &body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn users(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', name, display_name, email, case when deleted_at is not null then 'deleted' end) \
                   from users order by created_at";
        sqlx::query_scalar(sql).fetch_all(self.plane.pool()).await.unwrap()
    }
}

fn ann(changes: Value) -> Value {
    let mut user = json!({
        "id": "user_1", "username": "ann", "first_name": "Ann", "last_name": "Archer", "updated_at": 1_700_000_000_000_i64,
        "primary_email_address_id": "idn_1",
        "email_addresses": [
            { "id": "idn_0", "email_address": "old@example.org", "verification": { "status": "verified" } },
            { "id": "idn_1", "email_address": "Ann@example.org", "verification": { "status": "verified" } },
        ],
    });
    for (name, value) in changes.as_object().unwrap() {
        user[name] = value.clone();
    }
    user
}

#[tokio::test]
async fn a_session_token_of_clerk_makes_its_user_once_however_many_come_at_once() {
    let home = Home::clerk().await;
    let token = home.provider.token(json!({ "v": 2, "sts": "active" }));
    let all = futures_util::future::join_all((0..8).map(|_| home.who(&token))).await;
    for answer in all {
        assert_eq!((answer.status.as_u16(), &answer.body["role"]), (200, &json!("viewer")), "{answer:?}");
    }
    assert_eq!(home.users().await.len(), 1);
    let cookie = format!("a=b; __session={token}");
    let shown = home.plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await;
    assert_eq!(shown.status, 200);
    // By cookie, what changes something must come from our own page.
    let request = Request::post("/api/v1/channels").header("cookie", &cookie).header("sec-fetch-site", "same-site");
    home.plane.public(request.body("{}".into()).unwrap()).await.is_problem(403, "cross_site");
}

#[tokio::test]
async fn tokens_of_clerk_for_others_are_refused_and_make_nobody() {
    let home = Home::clerk().await;
    for changes in [
        json!({ "azp": null }),
        json!({ "azp": "https://evil.example" }),
        json!({ "iss": "https://clerk.evil.example" }),
        json!({ "exp": now_s() - 6 }),
        json!({ "nbf": now_s() + 60 }),
        json!({ "sts": "pending" }),
        json!({ "sub": "" }),
    ] {
        home.who(&home.provider.token(changes.clone())).await.is_problem(401, "token_unknown");
        let cookie = format!("__session={}", home.provider.token(changes));
        let stale = home.plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await;
        stale.is_problem(401, "session_expired");
        assert_eq!(home.plane.browser(&cookie, "GET", "/api/v1/channels/demo", Value::Null).await.status, 200);
    }
    let stranger = Provider::start().await; // another key under the same name
    let forged = stranger.token(json!({ "iss": home.provider.issuer }));
    home.who(&forged).await.is_problem(401, "token_unknown");
    assert!(home.users().await.is_empty());
    let body = json!({ "email": "ann@example.org", "password": "correct horse battery" }).to_string();
    let closed = home.plane.send_as(None, "POST", "/api/v1/auth/session", body).await;
    closed.is_problem(404, "accounts_elsewhere");
}

#[tokio::test]
async fn while_nothing_is_known_of_the_provider_its_tokens_are_503() {
    let home = Home::clerk().await;
    *home.provider.shared.jwks.lock().unwrap() = json!("broken");
    let answer = home.who(&home.provider.token(json!({}))).await;
    answer.is_problem(503, "provider_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(home.plane.get("/api/v1/channels/demo").await.status, 200);
}

#[tokio::test]
async fn webhooks_of_clerk_make_change_and_remove_a_user() {
    let home = Home::clerk().await;
    home.webhook("msg_1", "user.created", ann(json!({}))).await;
    assert_eq!(home.users().await, ["ann Ann Archer ann@example.org"]);
    let changed = |at: i64, name: &str| ann(json!({ "first_name": name, "updated_at": at }));
    home.webhook("msg_2", "user.updated", changed(1_700_000_002_000, "Anna")).await;
    home.webhook("msg_3", "user.updated", changed(1_700_000_001_000, "Late")).await;
    home.webhook("msg_2", "user.updated", changed(1_700_000_009_000, "Twice")).await;
    assert_eq!(home.users().await, ["ann Anna Archer ann@example.org"]);
    let token = home.provider.token(json!({}));
    assert_eq!(home.who(&token).await.body["name"], "ann");
    home.webhook("msg_4", "user.deleted", json!({ "id": "user_1", "deleted": true })).await;
    home.who(&token).await.is_problem(401, "token_unknown");
    home.webhook("msg_5", "user.updated", changed(1_800_000_000_000, "Back")).await;
    home.who(&token).await.is_problem(401, "token_unknown");
    assert_eq!(home.users().await, ["ann Anna Archer ann@example.org deleted"]);
}

#[tokio::test]
async fn who_was_removed_before_we_saw_them_is_not_made_by_a_token_that_is_still_good() {
    let home = Home::clerk().await;
    home.webhook("msg_1", "user.deleted", json!({ "id": "user_1", "deleted": true })).await;
    home.who(&home.provider.token(json!({}))).await.is_problem(401, "token_unknown");
    home.webhook("msg_2", "user.created", ann(json!({}))).await;
    assert!(home.users().await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_unproven_or_somebody_elses_is_not_taken() {
    let home = Home::clerk().await;
    home.webhook("msg_1", "user.created", ann(json!({}))).await;
    home.webhook("msg_2", "user.created", ann(json!({ "id": "user_2" }))).await;
    let unproven =
        json!([{ "id": "idn_1", "email_address": "x@example.org", "verification": { "status": "unverified" } }]);
    home.webhook(
        "msg_3",
        "user.created",
        ann(json!({ "id": "user_3", "username": "bob", "email_addresses": unproven })),
    )
    .await;
    let users = home.users().await;
    assert_eq!(users[0], "ann Ann Archer ann@example.org");
    assert!(users[1].starts_with("ann-") && users[1].ends_with(" Ann Archer"), "{users:?}");
    assert_eq!(users[2], "bob Ann Archer");
}

#[tokio::test]
async fn webhooks_that_are_old_forged_or_not_understood_change_nothing() {
    let home = Home::clerk().await;
    let body = json!({ "type": "user.created", "data": ann(json!({})) }).to_string();
    for at in [now_s() - 310, now_s() + 310] {
        home.webhook_at("msg_1", at, &body).await.is_problem(400, "signature_wrong");
    }
    let plain = Request::post("/api/v1/auth/clerk/webhook").body(body.into()).unwrap();
    home.plane.public(plain).await.is_problem(400, "signature_wrong");
    for (id, body) in
        [("msg_2", "not json"), ("msg_3", r#"{"type":"session.created","data":{"id":"sess_1"}}"#), ("msg_4", "{}")]
    {
        assert_eq!(home.webhook_at(id, now_s(), body).await.status, 204, "{body}");
    }
    assert!(home.users().await.is_empty());
}

/// Begins a sign-in; gives the cookie and what the provider is asked for.
async fn start(home: &Home, query: &str) -> (String, Url) {
    let answer = home.plane.get(&format!("/api/v1/auth/oidc/start{query}")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let line = answer.headers["set-cookie"].to_str().unwrap();
    assert!(line.contains("; HttpOnly; SameSite=Lax; Path=/api/v1/auth/oidc; Max-Age=600"), "{line}");
    let target = Url::parse(answer.headers["location"].to_str().unwrap()).unwrap();
    (line.split(';').next().unwrap().to_owned(), target)
}

fn asked(target: &Url, name: &str) -> String {
    target.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
}

async fn back(home: &Home, cookie: &str, query: &str) -> Answer {
    let request = Request::get(format!("/api/v1/auth/oidc/callback?{query}")).header("cookie", cookie);
    home.plane.public(request.body("".into()).unwrap()).await
}

#[tokio::test]
async fn a_browser_signs_in_at_the_provider_and_comes_back_as_a_user() {
    let home = Home::oidc().await;
    let (cookie, target) = start(&home, "?return_to=/studio").await;
    assert!(target.as_str().starts_with(&format!("{}/authorize?tenant=1&", home.provider.issuer)));
    assert_eq!(asked(&target, "scope"), "openid email profile");
    assert_eq!(asked(&target, "redirect_uri"), format!("{APP}/api/v1/auth/oidc/callback"));
    let id_token = home.provider.token(json!({
        "aud": "headwater", "azp": null, "nonce": asked(&target, "nonce"), "preferred_username": "Ann.Archer",
        "name": "Ann", "email": "ann@example.org", "email_verified": true,
    }));
    *home.provider.shared.id_token.lock().unwrap() = id_token;
    let query = format!("code=good&state={}&iss={}", asked(&target, "state"), home.provider.issuer);
    let done = back(&home, &cookie, &query).await;
    assert_eq!((done.status.as_u16(), &done.headers["location"]), (303, &"/studio".parse().unwrap()), "{done:?}");
    let lines: Vec<_> = done.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(lines.iter().any(|line| line.starts_with("headwater_oidc=; ") && line.contains("Max-Age=0")), "{lines:?}");
    let session = lines.iter().find(|line| line.starts_with("headwater_session=")).unwrap();
    let session = session.split(';').next().unwrap();
    let shown = home.plane.browser(session, "GET", "/api/v1/session", Value::Null).await;
    assert_eq!(shown.body, json!({ "name": "ann-archer", "role": "viewer" }));
    assert_eq!(home.users().await, ["ann-archer Ann ann@example.org"]);
    let form = home.provider.shared.forms.lock().unwrap().pop().unwrap();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    assert_eq!(challenge, asked(&target, "code_challenge"));
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("headwater", "hush"));
}

#[tokio::test]
async fn what_comes_back_wrong_signs_nobody_in() {
    let home = Home::oidc().await;
    let (cookie, target) = start(&home, "?return_to=//evil.example").await;
    let (other, _) = start(&home, "").await;
    let (state, nonce) = (asked(&target, "state"), asked(&target, "nonce"));
    let good = format!("code=good&state={state}");
    let claims = |changes: Value| {
        let mut claims = json!({ "aud": "headwater", "azp": null, "nonce": nonce });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        home.provider.token(claims)
    };
    let put = |token: String| *home.provider.shared.id_token.lock().unwrap() = token;
    put(claims(json!({})));
    for (cookie, query) in [
        ("", good.as_str()),
        ("headwater_oidc=00", &good),
        (&other, &good),
        (&cookie, "code=good&state=x"),
        (&cookie, "code=good"),
        (&cookie, &format!("state={state}")),
        (&cookie, &format!("code=bad&state={state}")),
        (&cookie, &format!("error=access_denied&state={state}")),
        (&cookie, &format!("{good}&iss=https://evil.example")),
    ] {
        back(&home, cookie, query).await.is_problem(400, "sign_in_failed");
    }
    for changes in [
        json!({ "nonce": "x" }),
        json!({ "nonce": null }),
        json!({ "aud": "other" }),
        json!({ "aud": ["headwater", "other"] }),
        json!({ "azp": "other" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": 0 }),
    ] {
        put(claims(changes.clone()));
        let answer = back(&home, &cookie, &good).await;
        answer.is_problem(400, "sign_in_failed");
        assert!(!answer.headers.contains_key("set-cookie"), "{changes}");
    }
    assert!(home.users().await.is_empty());
    put(claims(json!({ "email": "ann@example.org", "email_verified": "true" })));
    let done = back(&home, &cookie, &good).await;
    assert_eq!((done.status.as_u16(), &done.headers["location"]), (303, &"/".parse().unwrap()), "no foreign page");
    assert!(!home.users().await[0].contains('@'), "an address that is not proven");
}

#[tokio::test]
async fn bearer_tokens_of_the_provider_are_for_our_api_and_id_tokens_are_not() {
    let home = Home::oidc().await;
    let token = |aud: &str| home.provider.token(json!({ "aud": aud, "name": "Ann" }));
    assert_eq!(home.who(&token("https://api.example")).await.status, 200);
    home.who(&token("headwater")).await.is_problem(401, "token_unknown");
    let silent = Home::oidc().await;
    *silent.provider.shared.issuer.lock().unwrap() = "https://other.example".to_owned();
    let answer = silent.who(&silent.provider.token(json!({ "aud": "https://api.example" }))).await;
    answer.is_problem(503, "provider_unavailable");
    silent.plane.get("/api/v1/auth/oidc/start").await.is_problem(503, "provider_unavailable");
}
