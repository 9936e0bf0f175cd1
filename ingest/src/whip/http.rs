//! The HTTP side of WHIP (RFC 9725 4): requests in, answers and refusals out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, AUTHORIZATION, CONTENT_TYPE, LINK, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schema::api::{AdmitRequest, Protocol};
use schema::{SessionId, StreamKey};
use tokio::time::{Instant, timeout};

use super::refusal::Refusal;
use super::register::{KeyDigest, Opening, Seat};
use super::session::{self, Start};
use super::{AdmitError, Admitted, Answered, Whip};

/// The longest stream key asked about, in bytes; no real one comes near.
const KEY_BYTES_MAX: usize = 512;
const SDP: &str = "application/sdp";
const ENDPOINT_METHODS: &str = "POST, GET, HEAD, OPTIONS";
const SESSION_METHODS: &str = "DELETE, GET, HEAD, OPTIONS";

/// The routes below `/whip`, on the public port.
pub fn router(whip: Whip) -> Router {
    let endpoint =
        post(publish).get(nothing).options(|| preflight(ENDPOINT_METHODS)).fallback(|| not_allowed(ENDPOINT_METHODS));
    let session =
        delete(end).get(nothing).options(|| preflight(SESSION_METHODS)).fallback(|| not_allowed(SESSION_METHODS));
    Router::new()
        .route("/whip", endpoint)
        .route("/whip/sessions/{id}", session)
        .layer(from_fn_with_state(whip.clone(), limit))
        .layer(map_response(allow_any_origin))
        .with_state(whip)
}

/// What changes something may be asked only so often from one address (RFC 9725 5).
async fn limit(State(whip): State<Whip>, request: Request, next: Next) -> Response {
    let changes = matches!(*request.method(), Method::POST | Method::PATCH | Method::DELETE);
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>().filter(|_| changes);
    let taken = client.map_or(Ok(()), |ConnectInfo(client)| whip.shared.rates.take(client.ip(), Instant::now()));
    match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            refused(&whip, Refusal::TooOften { retry_after_s: seconds }).into_response()
        }
    }
}

/// Counts and logs a refusal on its way out.
fn refused(whip: &Whip, refusal: Refusal) -> Refusal {
    let (_, code) = refusal.status();
    whip.shared.metrics.refused.with_label_values(&[code]).inc();
    tracing::info!(code, reason = %refusal, "publisher refused");
    refusal
}

/// `GET` and `HEAD`: success without content (RFC 9725 4.1).
async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `OPTIONS`: what is accepted, without authorization, as a CORS preflight carries none (RFC 9725 4.2).
async fn preflight(methods: &'static str) -> Response {
    let headers = [
        (ALLOW, methods),
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
        (axum::http::HeaderName::from_static("accept-post"), SDP),
    ];
    (StatusCode::OK, headers).into_response()
}

async fn not_allowed(allow: &'static str) -> Refusal {
    Refusal::Method { allow }
}

/// Every answer may be read by a page of any origin; the key, not the origin, is the protection.
async fn allow_any_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Location, Link, ETag, WWW-Authenticate, Retry-After"),
    );
    response
}

/// `POST /whip`: an offer in, an answer out (RFC 9725 4.2).
async fn publish(State(whip): State<Whip>, request: Request) -> Result<Response, Refusal> {
    open(&whip, request).await.map_err(|refusal| refused(&whip, refusal))
}

/// The checks in their order, the cheapest and least telling first; nothing is made before all pass.
async fn open(whip: &Whip, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    check_content_type(&head.headers)?;
    let body = read_body(whip, body).await?;
    let key = bearer(&head.headers)?;
    let digest = KeyDigest::of(&key);
    let id = random_id();
    let admitted = admit(whip, key, id.clone()).await?;
    let seat = Seat { channel: admitted.grant.channel.clone(), role: admitted.grant.role };
    let place = whip.shared.register.reserve(&seat, admitted.grant.second_publisher)?;
    let (answer, receiver) = answer(whip, &body).await?;
    let opening = Opening { id: id.clone(), seat, key: digest };
    let start = Start { id: id.clone(), admitted, receiver, place, shared: Arc::clone(&whip.shared) };
    whip.shared.register.open(opening, |command| session::run(start, command))?;
    let headers = [(CONTENT_TYPE, SDP.to_owned()), (LOCATION, format!("/whip/sessions/{id}"))];
    let mut response = (StatusCode::CREATED, headers, answer).into_response();
    for server in whip.ice_servers.iter() {
        // A line each: OBS takes only the first of a list.
        response.headers_mut().append(LINK, server.link());
    }
    Ok(response)
}

/// `DELETE` of a session (RFC 9725 4.2). 200, as OBS takes 204 for a failure; `If-Match` is ignored.
async fn end(
    State(whip): State<Whip>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let key = KeyDigest::of(&bearer(&headers)?);
    let Path(id) = id.map_err(|_| Refusal::SessionUnknown)?;
    let id: SessionId = id.parse().map_err(|_| Refusal::SessionUnknown)?;
    whip.shared.register.end_by_key(&id, &key)?;
    Ok(StatusCode::OK)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(CONTENT_TYPE).ok_or(Refusal::ContentType)?;
    let text = value.to_str().map_err(|_| Refusal::ContentType)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_sdp = essence.eq_ignore_ascii_case(SDP);
    is_sdp.then_some(()).ok_or(Refusal::ContentType)
}

async fn read_body(whip: &Whip, body: Body) -> Result<Bytes, Refusal> {
    let limits = &whip.shared.limits;
    let limited = Limited::new(body, limits.offer_bytes).collect();
    match timeout(limits.offer, limited).await {
        Err(_) => Err(Refusal::BodyTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge(limits.offer_bytes)),
        Ok(Err(_)) => Err(Refusal::BodyUnreadable),
    }
}

/// The key in `Authorization: Bearer KEY` (RFC 6750 2.1, RFC 9725 4.7).
fn bearer(headers: &HeaderMap) -> Result<StreamKey, Refusal> {
    let value = headers.get(AUTHORIZATION).ok_or(Refusal::KeyMissing)?;
    let text = value.to_str().map_err(|_| Refusal::KeyMissing)?;
    let (scheme, key) = text.split_once(' ').ok_or(Refusal::KeyMissing)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        return Err(Refusal::KeyMissing);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(AdmitError::Unknown.into());
    }
    Ok(StreamKey::new(key))
}

async fn admit(whip: &Whip, key: StreamKey, session: SessionId) -> Result<Admitted, Refusal> {
    let request = AdmitRequest { key, protocol: Protocol::Whip, session };
    let asked = whip.shared.admission.admit(request);
    match timeout(whip.shared.limits.admission, asked).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(AdmitError::Unavailable { retry_after_s: 2 }.into()),
    }
}

async fn answer(whip: &Whip, body: &[u8]) -> Result<Answered, Refusal> {
    let offer =
        std::str::from_utf8(body).map_err(|_| ingest_rtc::OfferError::Malformed("it is not UTF-8".to_owned()))?;
    let answered = whip.shared.endpoint.answer(offer);
    match timeout(whip.shared.limits.answer, answered).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Refusal::AnswerTimeout),
    }
}

/// 256 random bits, which tell nothing of the key (RFC 9725 5).
fn random_id() -> SessionId {
    let bits: [u8; 32] = rand::random();
    hex::encode(bits).parse().expect("64 hexadecimal digits are a valid id")
}
