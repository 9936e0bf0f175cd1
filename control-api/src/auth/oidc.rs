//! Signing in at an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636).
//!
//! What must come back with the browser is sealed in a cookie of a few minutes, so that the code of one
//! browser is of no use to another, and nothing is kept here meanwhile.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::bearer::away;
use super::config::{Mode, OidcConfig};
use super::jwt::{Claims, Rules, Typ, Unverified};
use super::provider::{Discovery, Provider, ProviderError};
use super::{fetch, identities, users};
use crate::ControlApi;
use crate::http::client::{Client, Transport};
use crate::http::cookie;
use crate::http::problem::ApiError;
use crate::secret;
use crate::web_sessions::{self, COOKIE_SECONDS, SignedIn};

const COOKIE_NAME: &str = "headwater_oidc";
const PURPOSE: &str = "oidc sign-in";
/// How long somebody may take at the provider, in seconds.
const LASTS_S: i64 = 600;
/// Where the provider sends the browser back to.
const CALLBACK: &str = "/api/v1/auth/oidc/callback";
/// The longest of what the provider may send back with the browser.
const CODE_MAX: usize = 4_096;

/// What must come back.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    expires_s: i64,
}

/// `?return_to=/studio`
#[derive(Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    return_to: Option<String>,
}

/// `GET /api/v1/auth/oidc/start`: sends the browser to the provider.
pub(crate) async fn start(
    client: Client,
    State(api): State<ControlApi>,
    Query(query): Query<StartQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let (provider, config) = of(&api)?;
    let discovery = provider.discovery().await.ok_or_else(away)?;
    let pending = Pending {
        state: secret::random_hex::<16>(),
        nonce: secret::random_hex::<16>(),
        verifier: secret::random_hex::<32>(),
        return_to: query.return_to.filter(|path| is_own_path(path)).unwrap_or_else(|| "/".to_owned()),
        expires_s: Utc::now().timestamp() + LASTS_S,
    };
    let target = authorization_url(&discovery, config, &callback(&api), &pending).ok_or_else(away)?;
    let text = serde_json::to_vec(&pending).map_err(|_| ApiError::Internal)?;
    let cookie = hex::encode(api.auth().seal().seal(PURPOSE, &text));
    Ok((StatusCode::SEE_OTHER, [(LOCATION, header(&target)?), (SET_COOKIE, line(&cookie, LASTS_S, client.transport)?)]))
}

fn authorization_url(discovery: &Discovery, config: &OidcConfig, callback: &str, pending: &Pending) -> Option<String> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(pending.verifier.as_bytes()));
    let mut url = Url::parse(&discovery.authorization_endpoint).ok()?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", callback)
        .append_pair("scope", &config.scopes.join(" "))
        .append_pair("state", &pending.state)
        .append_pair("nonce", &pending.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    Some(url.into())
}

/// What the provider sends back with the browser (OpenID Connect Core 3.1.2.5, RFC 9207).
#[derive(Deserialize)]
pub(crate) struct CallbackQuery {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// `GET /api/v1/auth/oidc/callback`: the browser comes back; it is signed in.
pub(crate) async fn callback_of_provider(
    client: Client,
    State(api): State<ControlApi>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let (provider, config) = of(&api)?;
    let pending = pending(&api, &headers).ok_or_else(|| failed("the sign-in took too long, or began elsewhere"))?;
    let state = query.state.unwrap_or_default();
    if verify_slices_are_equal(state.as_bytes(), pending.state.as_bytes()).is_err() {
        return Err(failed("the sign-in began elsewhere"));
    }
    if query.iss.is_some_and(|issuer| issuer != provider.issuer()) {
        return Err(failed("another provider answered"));
    }
    if let Some(error) = query.error {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(40).collect();
        tracing::info!(error, "the identity provider refused a sign-in");
        return Err(failed("the provider refused"));
    }
    let code = query.code.filter(|code| code.len() <= CODE_MAX).ok_or_else(|| failed("the provider sent no code"))?;
    let claims = redeem(provider, config, &callback(&api), &pending, &code).await?;
    let subject = claims.text("sub").unwrap_or_default();
    let user = identities::user(&api, provider.issuer(), subject, provider.profile(&claims)).await?;
    let user = user.ok_or_else(|| failed("the account was removed"))?;
    let mut work = api.begin().await?;
    let secret = web_sessions::open(&mut work, SignedIn::User(user)).await?;
    users::note(&mut work, user, "account.sign_in", client.address).await?;
    work.commit().await?;
    api.metrics().sign_ins.with_label_values(&["signed_in"]).inc();
    let location = header(&pending.return_to)?;
    let cookie = cookie::handed(&secret, COOKIE_SECONDS, client.transport);
    let cookies = [(SET_COOKIE, cookie), (SET_COOKIE, line("", 0, client.transport)?)];
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)], AppendHeaders(cookies)))
}

/// Exchanges the code for an ID token (OpenID Connect Core 3.1.3), and checks it (3.1.3.7).
async fn redeem(
    provider: &Provider,
    config: &OidcConfig,
    callback: &str,
    pending: &Pending,
    code: &str,
) -> Result<Claims, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        id_token: String,
    }
    let discovery = provider.discovery().await.ok_or_else(away)?;
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback),
        ("code_verifier", &pending.verifier),
        ("client_id", &config.client_id),
    ];
    if let Some(secret) = &config.client_secret {
        form.push(("client_secret", secret.expose()));
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = provider.http.post(&discovery.token_endpoint);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = fetch::send(request).await.map_err(|error| {
        tracing::warn!(%error, "the identity provider did not take a code");
        failed("the provider did not take the code")
    })?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| failed("the provider sent no ID token"))?;
    let rules = Rules {
        issuer: provider.issuer().to_owned(),
        audiences: vec![config.client_id.clone()],
        parties: Vec::new(),
        typ: Typ::Plain,
    };
    let refused = |error: ProviderError| match error {
        ProviderError::Away => away(),
        ProviderError::Refused(refusal) => {
            tracing::warn!(%refusal, "an ID token was refused");
            failed("the provider's ID token is not for us")
        }
    };
    let token = Unverified::parse(&answer.id_token).map_err(|refusal| refused(refusal.into()))?;
    let claims = provider.verify(&token, &rules, Utc::now().timestamp()).await.map_err(refused)?;
    // 3.1.3.7, 3 to 5: one of several audiences is not enough, and `azp` is us where it is there.
    let party = claims.text("azp");
    let is_for_us = party.is_none_or(|party| party == config.client_id) && (claims.audiences() == 1 || party.is_some());
    let nonce = claims.text("nonce").unwrap_or_default();
    if !is_for_us || verify_slices_are_equal(nonce.as_bytes(), pending.nonce.as_bytes()).is_err() {
        return Err(failed("the provider's ID token is not for this sign-in"));
    }
    Ok(claims)
}

fn of(api: &ControlApi) -> Result<(&Provider, &OidcConfig), ApiError> {
    let auth = api.auth();
    match (&auth.provider, auth.config().mode) {
        (Some(provider), Mode::Oidc) => Ok((provider, &auth.config().oidc)),
        _ => Err(ApiError::Body {
            status: StatusCode::NOT_FOUND,
            code: "provider_none",
            title: "no OpenID provider is configured; see GET /api/v1/auth".into(),
        }),
    }
}

fn callback(api: &ControlApi) -> String {
    format!("{}{CALLBACK}", api.auth().own_issuer())
}

/// Whether `path` leads to a page of ours and nowhere else, whatever a browser makes of it.
fn is_own_path(path: &str) -> bool {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_plain && path.len() <= 500 && path.starts_with('/') && !path.starts_with("//")
}

fn pending(api: &ControlApi, headers: &HeaderMap) -> Option<Pending> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
    let sealed = hex::decode(values.next()?).ok()?;
    let text = api.auth().seal().open_sealed(PURPOSE, &sealed)?;
    let pending: Pending = serde_json::from_slice(&text).ok()?;
    (pending.expires_s > Utc::now().timestamp()).then_some(pending)
}

/// `Lax`, since the browser comes back from another site.
fn line(value: &str, seconds: i64, transport: Transport) -> Result<HeaderValue, ApiError> {
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    header(&format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Lax; Path=/api/v1/auth/oidc; Max-Age={seconds}{secure}"))
}

fn header(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(text).map_err(|_| ApiError::Internal)
}

fn failed(title: &'static str) -> ApiError {
    ApiError::Body { status: StatusCode::BAD_REQUEST, code: "sign_in_failed", title: title.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_our_own_pages_alone() {
        for good in ["/", "/studio/news?tab=keys#x"] {
            assert!(is_own_path(good), "{good}");
        }
        for bad in ["", "studio", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb: c", "/\t/evil"]
        {
            assert!(!is_own_path(bad), "{bad}");
        }
    }
}
