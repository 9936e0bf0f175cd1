//! Local accounts: made by a link, signed in to with a password, and everything that guards them.

use std::collections::HashSet;
use std::future::ready;
use std::net::SocketAddr;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use control_api::auth::Auth;
use control_api::auth::config::{AuthConfig, MailConfig, NewRole, SignUp};
use control_api::auth::mail::{Mail, Mailer, Sending};
use control_api::{ControlApi, auth::Desk};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Answer, Plane};

pub(crate) const EMAIL: &str = "ann@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A control plane whose mails come here.
pub(crate) struct Home {
    pub(crate) plane: Plane,
    mails: mpsc::Receiver<Mail>,
    _dir: TempDir,
    _desk: JoinSet<()>,
}

#[derive(Debug)]
struct Postbox(mpsc::Sender<Mail>);

impl Mailer for Postbox {
    fn send(&self, mail: Mail) -> Sending<'_> {
        self.0.try_send(mail).unwrap();
        Box::pin(ready(Ok(())))
    }
}

impl Home {
    pub(crate) async fn open() -> Self {
        Self::with(AuthConfig { sign_up: SignUp::Open, ..AuthConfig::default() }).await
    }

    async fn with(config: AuthConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sent, mails) = mpsc::channel(16);
        let mut made = None;
        let plane = Plane::start_with(|pool, registry| {
            let auth = Auth::new(&config, &MailConfig::default(), dir.path(), "https://live.example").unwrap();
            let api = ControlApi::with_auth(pool, registry, auth.with_mailer(Box::new(Postbox(sent)))).unwrap();
            made = Some(api.clone());
            api
        })
        .await;
        let api = made.unwrap();
        let desk: Desk = api.auth().take_desk().unwrap();
        assert!(api.auth().take_desk().is_none());
        let mut tasks = JoinSet::new();
        tasks.spawn(desk.run(api, CancellationToken::new()));
        Self { plane, mails, _dir: dir, _desk: tasks }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.plane.send_as(None, "POST", &format!("/api/v1/auth/{path}"), body.to_string()).await
    }

    /// The mail that comes next, and the token of its link.
    pub(crate) async fn mail(&mut self) -> (Mail, String) {
        let mail = self.mails.recv().await.unwrap();
        let (_, rest) = mail.text.split_once("#token=").unwrap();
        let token = rest.split_whitespace().next().unwrap().to_owned();
        (mail, token)
    }

    /// Makes the account of [`EMAIL`].
    pub(crate) async fn account(&mut self) {
        assert_eq!(self.post("sign-up", json!({ "email": EMAIL })).await.status, 202);
        let (_, token) = self.mail().await;
        let made = self.post("sign-up/confirm", json!({ "token": token, "password": PASSWORD })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    async fn sign_in(&self, path: &str, password: &str) -> Answer {
        self.post(path, json!({ "email": EMAIL, "password": password })).await
    }

    pub(crate) async fn cookie(&self) -> String {
        let answer = self.sign_in("session", PASSWORD).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn tokens(&self) -> (String, String) {
        let answer = self.sign_in("tokens", PASSWORD).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        pair(&answer)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("tokens/refresh", json!({ "refresh_token": token })).await
    }

    async fn who(&self, bearer: &str) -> Answer {
        self.plane.send_as(Some(bearer), "GET", "/api/v1/session", "").await
    }

    async fn actions(&self) -> Vec<String> {
        let sql = "select action from audit where action like 'account.%' order by id";
        sqlx::query_scalar(sql).fetch_all(self.plane.pool()).await.unwrap()
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.plane.pool()).await.unwrap();
    }
}

fn pair(answer: &Answer) -> (String, String) {
    let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

#[tokio::test]
async fn an_account_is_made_by_its_link_and_opens_by_its_password() {
    let mut home = Home::open().await;
    assert_eq!(home.post("sign-up", json!({ "email": " Ann@Example.org " })).await.status, 202);
    let (mail, token) = home.mail().await;
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (EMAIL, "Finish your account"));
    assert!(mail.text.contains("https://live.example/verify#token="), "{}", mail.text);
    let confirm = async |body: Value| home.post("sign-up/confirm", body).await;
    confirm(json!({ "token": token, "password": "short" })).await.is_problem(422, "password_invalid");
    confirm(json!({ "token": token, "password": EMAIL })).await.is_problem(422, "password_invalid");
    confirm(json!({ "token": "0".repeat(64), "password": PASSWORD })).await.is_problem(410, "link_over");
    let used_for_another = home.post("password-reset/confirm", json!({ "token": token, "password": PASSWORD })).await;
    used_for_another.is_problem(410, "link_over");
    let made = confirm(json!({ "token": token, "password": PASSWORD, "display_name": "Ann" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    confirm(json!({ "token": token, "password": PASSWORD })).await.is_problem(410, "link_over");

    let cookie = home.cookie().await;
    let shown = home.plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await;
    assert_eq!((shown.status.as_u16(), &shown.body["role"]), (200, &json!("viewer")));
    let (access, _) = home.tokens().await;
    let shown = home.who(&access).await;
    assert_eq!((shown.status.as_u16(), &shown.body["role"]), (200, &json!("viewer")));
    let sql = "select display_name || ' ' || email || ' ' || (password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%')::text \
               from users u join local_accounts a on a.user_id = u.id";
    let kept: String = sqlx::query_scalar(sql).fetch_one(home.plane.pool()).await.unwrap();
    assert_eq!(kept, format!("Ann {EMAIL} true"));
    assert_eq!(home.actions().await, ["account.sign_up", "account.sign_in", "account.sign_in"]);
}

#[tokio::test]
async fn no_answer_tells_whether_an_address_is_known() {
    let mut home = Home::open().await;
    home.account().await;
    let mut answers = HashSet::new();
    for path in ["sign-up", "password-reset"] {
        for email in ["nobody@example.org", EMAIL] {
            let Answer { status, headers, body } = home.post(path, json!({ "email": email })).await;
            answers.insert(format!("{status} {headers:?} {body}"));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // One at a time and in order: nobody gets the link that makes an account, then Ann a new password, twice.
    assert_eq!(home.mail().await.0.to, "nobody@example.org");
    for hint in [true, false] {
        let (mail, _) = home.mail().await;
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), (EMAIL, "Set a new password"));
        assert_eq!(mail.text.contains("which has one"), hint);
    }
    let metrics = home.plane.metrics();
    assert!(metrics.contains(r#"headwater_control_mails_total{result="needless"} 1"#), "{metrics}");
    let wrong = home.sign_in("session", "wrong horse battery").await;
    let nobody = home.post("session", json!({ "email": "nobody@example.org", "password": PASSWORD })).await;
    wrong.is_problem(401, "credentials_wrong");
    assert_eq!(wrong.body, nobody.body);
    assert_eq!(format!("{:?}", wrong.headers), format!("{:?}", nobody.headers));
    home.execute("delete from local_accounts").await;
    assert_eq!(home.sign_in("session", PASSWORD).await.body, nobody.body);
}

#[tokio::test]
async fn one_mailbox_gets_three_mails_in_a_quarter_of_an_hour() {
    let mut home = Home::open().await;
    for _ in 0..5 {
        home.post("sign-up", json!({ "email": EMAIL })).await;
    }
    home.post("sign-up", json!({ "email": "bob@example.org" })).await;
    let mut receivers = Vec::new();
    for _ in 0..4 {
        receivers.push(home.mail().await.0.to);
    }
    assert_eq!(receivers, [EMAIL, EMAIL, EMAIL, "bob@example.org"]);
    home.execute("update mail_tokens set created_at = now() - interval '16 minutes'").await;
    home.post("sign-up", json!({ "email": EMAIL })).await;
    assert_eq!(home.mail().await.0.to, EMAIL);
}

#[tokio::test]
async fn where_sign_up_is_closed_a_user_that_an_admin_made_sets_a_password_by_mail() {
    let mut home = Home::with(AuthConfig { new_role: NewRole::Creator, ..AuthConfig::default() }).await;
    home.post("sign-up", json!({ "email": EMAIL })).await.is_problem(403, "sign_up_closed");
    home.post("sign-up/confirm", json!({ "token": "x", "password": PASSWORD })).await.is_problem(403, "sign_up_closed");
    let ways = home.plane.get("/api/v1/auth").await;
    assert_eq!(ways.body, json!({ "mode": "local", "sign_up": "closed" }));
    home.execute(
        "insert into users (id, name, display_name, email) values (gen_random_uuid(), 'ann', 'Ann', 'ann@example.org')",
    )
    .await;
    home.post("password-reset", json!({ "email": EMAIL })).await;
    let (_, token) = home.mail().await;
    let set = home.post("password-reset/confirm", json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!(set.status, 204, "{set:?}");
    home.cookie().await;
    for path in ["oidc/start", "oidc/callback"] {
        home.plane.get(&format!("/api/v1/auth/{path}")).await.is_problem(404, "provider_none");
    }
    home.post("clerk/webhook", json!({})).await.is_problem(404, "webhook_none");
}

#[tokio::test]
async fn a_new_password_ends_every_sign_in_and_every_other_link() {
    let mut home = Home::open().await;
    home.account().await;
    let (cookie, (access, refresh)) = (home.cookie().await, home.tokens().await);
    home.post("password-reset", json!({ "email": EMAIL })).await;
    home.post("password-reset", json!({ "email": EMAIL })).await;
    let ((_, first), (_, second)) = (home.mail().await, home.mail().await);
    let reset = async |token: &str| {
        home.post("password-reset/confirm", json!({ "token": token, "password": "another horse battery" })).await
    };
    assert_eq!(reset(&first).await.status, 204);
    reset(&first).await.is_problem(410, "link_over");
    reset(&second).await.is_problem(410, "link_over");
    home.plane.browser(&cookie, "GET", "/api/v1/session", Value::Null).await.is_problem(401, "session_expired");
    home.who(&access).await.is_problem(401, "token_unknown");
    home.refresh(&refresh).await.is_problem(401, "refresh_over");
    home.sign_in("session", PASSWORD).await.is_problem(401, "credentials_wrong");
    assert_eq!(home.sign_in("session", "another horse battery").await.status, 204);
}

#[tokio::test]
async fn a_link_is_over_after_its_time() {
    let mut home = Home::open().await;
    home.post("sign-up", json!({ "email": EMAIL })).await;
    let (_, token) = home.mail().await;
    home.execute("update mail_tokens set expires_at = now()").await;
    let late = home.post("sign-up/confirm", json!({ "token": token, "password": PASSWORD })).await;
    late.is_problem(410, "link_over");
}

#[tokio::test]
async fn a_user_changes_the_password_and_stays_signed_in_here_alone() {
    let mut home = Home::open().await;
    home.account().await;
    let (here, there) = (home.cookie().await, home.cookie().await);
    let (access, _) = home.tokens().await;
    let change = async |cookie: &str, current: &str| {
        let body = json!({ "current_password": current, "password": "another horse battery" });
        home.plane.browser(cookie, "PUT", "/api/v1/auth/password", body).await
    };
    change(&here, "wrong horse battery").await.is_problem(401, "credentials_wrong");
    assert_eq!(change(&here, PASSWORD).await.status, 204);
    let show = async |cookie: &str| home.plane.browser(cookie, "GET", "/api/v1/session", Value::Null).await;
    assert_eq!(show(&here).await.status, 200);
    show(&there).await.is_problem(401, "session_expired");
    home.who(&access).await.is_problem(401, "token_unknown");
    let body = json!({ "current_password": PASSWORD, "password": PASSWORD });
    home.plane.admin("PUT", "/api/v1/auth/password", body).await.is_problem(403, "user_needed");
}

/// A try to sign in from an address.
async fn guess(home: &Home, address: &str, email: &str, password: &str) -> Answer {
    let address: SocketAddr = address.parse().unwrap();
    let body = json!({ "email": email, "password": password }).to_string();
    let request = Request::post("/api/v1/auth/session").extension(ConnectInfo(address));
    home.plane.public(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn ten_wrong_passwords_close_the_account_to_all_addresses_for_a_minute_and_no_other() {
    let mut home = Home::open().await;
    home.account().await;
    for host in 1..=10 {
        guess(&home, &format!("192.0.2.{host}:1"), EMAIL, "wrong horse").await.is_problem(401, "credentials_wrong");
    }
    let closed = guess(&home, "192.0.2.99:1", "ANN@example.org", PASSWORD).await;
    closed.is_problem(429, "attempts_too_many");
    assert!(closed.headers.contains_key("retry-after"));
    guess(&home, "192.0.2.99:1", "bob@example.org", PASSWORD).await.is_problem(401, "credentials_wrong");
}

#[tokio::test]
async fn ten_wrong_passwords_close_the_door_for_their_address_whatever_the_account() {
    let home = Home::open().await;
    for number in 1..=10 {
        guess(&home, "192.0.2.1:1", &format!("{number}@example.org"), "wrong horse")
            .await
            .is_problem(401, "credentials_wrong");
    }
    guess(&home, "192.0.2.1:1", EMAIL, PASSWORD).await.is_problem(429, "attempts_too_many");
}

#[tokio::test]
async fn a_suspended_user_is_told_so_only_with_the_right_password() {
    let mut home = Home::open().await;
    home.account().await;
    let (access, refresh) = home.tokens().await;
    home.execute("update users set state = 'suspended'").await;
    home.sign_in("session", "wrong horse battery").await.is_problem(401, "credentials_wrong");
    home.sign_in("session", PASSWORD).await.is_problem(403, "user_suspended");
    home.who(&access).await.is_problem(403, "user_suspended");
    home.refresh(&refresh).await.is_problem(401, "refresh_over");
    home.execute("update users set deleted_at = now()").await;
    home.sign_in("session", PASSWORD).await.is_problem(401, "credentials_wrong");
    home.who(&access).await.is_problem(401, "token_unknown");
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_its_second_use_ends_all_that_followed() {
    let mut home = Home::open().await;
    home.account().await;
    let (_, first) = home.tokens().await;
    let (_, other) = home.tokens().await;
    let second = home.refresh(&first).await;
    assert_eq!((second.status.as_u16(), &second.body["expires_in"]), (200, &json!(600)));
    let (access, second) = pair(&second);
    assert_eq!(home.who(&access).await.status, 200);
    home.refresh(&first).await.is_problem(401, "refresh_reused");
    home.who(&access).await.is_problem(401, "token_unknown");
    home.refresh(&second).await.is_problem(401, "refresh_over");
    assert_eq!(home.refresh(&other).await.status, 200, "another sign-in goes on");
    assert_eq!(home.actions().await.last().unwrap(), "account.refresh_reused");
    let metrics = home.plane.metrics();
    assert!(metrics.contains("headwater_control_refresh_reused_total 1"), "{metrics}");
    for nonsense in ["", "hw_rt_", &access] {
        home.refresh(nonsense).await.is_problem(401, "refresh_over");
    }
}

#[tokio::test]
async fn of_two_refreshes_at_once_with_one_token_the_second_ends_the_sign_in() {
    let mut home = Home::open().await;
    home.account().await;
    let (_, token) = home.tokens().await;
    let (one, two) = tokio::join!(home.refresh(&token), home.refresh(&token));
    let mut codes = [one.status.as_u16(), two.status.as_u16()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 401]);
    let won = if one.status == 200 { one } else { two };
    home.refresh(&pair(&won).1).await.is_problem(401, "refresh_over");
}

#[tokio::test]
async fn a_program_signs_out_and_its_tokens_end() {
    let mut home = Home::open().await;
    home.account().await;
    let (access, refresh) = home.tokens().await;
    for _ in 0..2 {
        let out = home.post("tokens/revoke", json!({ "refresh_token": refresh })).await;
        assert_eq!(out.status, 204);
    }
    home.who(&access).await.is_problem(401, "token_unknown");
    home.refresh(&refresh).await.is_problem(401, "refresh_over");
    home.execute("update refresh_families set expires_at = now()").await;
    let (access, refresh) = home.tokens().await;
    assert_eq!(home.who(&access).await.status, 200);
    home.execute("update refresh_families set expires_at = now()").await;
    home.who(&access).await.is_problem(401, "token_unknown");
    home.refresh(&refresh).await.is_problem(401, "refresh_over");
}

#[tokio::test]
async fn access_tokens_are_verified_by_others_with_the_published_keys() {
    let mut home = Home::open().await;
    home.account().await;
    let (access, _) = home.tokens().await;
    let published = home.plane.get("/.well-known/jwks.json").await;
    assert_eq!(published.headers["cache-control"], "public, max-age=600");
    assert!(!published.body.to_string().contains("\"d\""), "no private half");
    let set: JwkSet = serde_json::from_value(published.body).unwrap();
    let header = jsonwebtoken::decode_header(&access).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("at+jwt")));
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&["https://live.example"]);
    rules.set_issuer(&["https://live.example"]);
    let claims = jsonwebtoken::decode::<Value>(&access, &key, &rules).unwrap().claims;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);

    // The keys in the database are of no use without the key file.
    let sql = "select private_key from signing_keys";
    let sealed: Vec<u8> = sqlx::query_scalar(sql).fetch_one(home.plane.pool()).await.unwrap();
    assert!(
        aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING, &sealed)
            .is_err()
    );
}

#[tokio::test]
async fn forged_access_tokens_are_one_refusal() {
    let mut home = Home::open().await;
    home.account().await;
    let (access, _) = home.tokens().await;
    let (message, signature) = access.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIn0"; // {"alg":"none"}
    let flipped: String = signature.chars().rev().collect();
    for forged in [
        format!("{message}."),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{message}.{flipped}"),
        format!("{header}.{header}.{signature}"),
        format!("{message}.{}", "A".repeat(64 << 10)),
        "..".to_owned(),
    ] {
        home.who(&forged).await.is_problem(401, "token_unknown");
    }
    let metrics = home.plane.metrics();
    assert!(metrics.contains("headwater_control_signed_tokens_refused_total 7"), "{metrics}");
    assert_eq!(home.who(&access).await.status, 200);
}

#[tokio::test]
async fn pages_of_other_sites_sign_nobody_in() {
    let mut home = Home::open().await;
    home.account().await;
    let body = json!({ "email": EMAIL, "password": PASSWORD }).to_string();
    for path in ["session", "tokens"] {
        let request = Request::post(format!("/api/v1/auth/{path}")).header("sec-fetch-site", "cross-site");
        let answer = home.plane.public(request.body(body.clone().into()).unwrap()).await;
        answer.is_problem(403, "cross_site");
    }
}

#[tokio::test]
async fn bodies_are_refused_field_by_field() {
    let home = Home::open().await;
    for path in ["sign-up", "password-reset"] {
        for email in [json!(null), json!(7), json!(""), json!("ann"), json!("ann@example.org\r\nBcc: bob@example.org")]
        {
            home.post(path, json!({ "email": email })).await.is_problem(422, "email_invalid");
        }
        home.post(path, json!({ "email": EMAIL, "role": "admin" })).await.is_problem(422, "field_unknown");
    }
    home.post("session", json!({ "email": EMAIL })).await.is_problem(422, "password_invalid");
    home.post("session", json!({ "email": EMAIL, "password": 7 })).await.is_problem(422, "password_invalid");
    home.post("tokens/refresh", json!({})).await.is_problem(422, "refresh_token_invalid");
    home.post("second-factor", json!({ "password": PASSWORD })).await.is_problem(401, "token_missing");
}

/// The code of a base32 secret now, `steps` of 30 s away; RFC 6238 by the text.
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret.chars().map(|digit| format!("{:05b}", alphabet.find(digit).unwrap())).collect();
    let bytes =
        bits.as_bytes().chunks_exact(8).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes.collect::<Vec<_>>());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let step = i64::try_from(now / 30).unwrap() + steps;
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_works_once() {
    let mut home = Home::open().await;
    home.account().await;
    let cookie = home.cookie().await;
    let call = async |path: &str, body: Value| {
        home.plane.browser(&cookie, "POST", &format!("/api/v1/auth/second-factor{path}"), body).await
    };
    call("", json!({ "password": "wrong horse battery" })).await.is_problem(401, "credentials_wrong");
    call("/confirm", json!({ "code": "123456" })).await.is_problem(404, "second_factor_unknown");
    let begun = call("", json!({ "password": PASSWORD })).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let secret = begun.body["secret"].as_str().unwrap().to_owned();
    assert!(begun.body["uri"].as_str().unwrap().contains(&format!("secret={secret}")));
    assert_eq!(home.sign_in("session", PASSWORD).await.status, 204, "it counts only once it was shown");
    call("/confirm", json!({ "code": code(&secret, 5) })).await.is_problem(401, "code_wrong");
    let confirmed = call("/confirm", json!({ "code": code(&secret, -1) })).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let recovery = confirmed.body["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    call("", json!({ "password": PASSWORD })).await.is_problem(409, "second_factor_exists");

    let sign_in =
        async |code: &str| home.post("session", json!({ "email": EMAIL, "password": PASSWORD, "code": code })).await;
    home.sign_in("session", PASSWORD).await.is_problem(401, "code_needed");
    home.sign_in("session", "wrong horse battery").await.is_problem(401, "credentials_wrong");
    let now = code(&secret, 1);
    assert_eq!(sign_in(&now).await.status, 204);
    sign_in(&now).await.is_problem(401, "code_wrong");
    let spare = recovery[0].as_str().unwrap();
    assert_eq!(sign_in(spare).await.status, 204);
    sign_in(spare).await.is_problem(401, "code_wrong");
    sign_in("").await.is_problem(401, "code_wrong");

    let sql = "select totp_secret from local_accounts";
    let sealed: Vec<u8> = sqlx::query_scalar(sql).fetch_one(home.plane.pool()).await.unwrap();
    assert!(sealed.len() > 40);
    call("/remove", json!({ "password": PASSWORD })).await.is_problem(401, "code_needed");
    let removed = call("/remove", json!({ "password": PASSWORD, "code": recovery[1] })).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    assert_eq!(home.sign_in("session", PASSWORD).await.status, 204);
    let left: i64 =
        sqlx::query_scalar("select count(*) from recovery_codes").fetch_one(home.plane.pool()).await.unwrap();
    assert_eq!(left, 0);
}
