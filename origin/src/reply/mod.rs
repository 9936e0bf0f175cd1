//! From what is to be sent to the HTTP response: headers, conditions, ranges, problems.
//!
//! Knows nothing of broadcasts. Lifetimes are public and never `no-store`: a CDN collapses equal
//! requests only for what it may keep, and remembers an error for longer than it should otherwise.

mod conditions;
mod range;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use schema::api::Problem;

pub use self::conditions::accepts_gzip;
pub(crate) use self::conditions::{Conditions, Encoding, Method};
use self::range::Selected;
use crate::body::Body;
use crate::refusal::Refusal;

/// How long caches may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// One second: playlists, states and errors.
    Moment,
    /// Five seconds: thumbnails, of which a new one comes as often.
    Interval,
    /// Fourteen days: the name never comes twice with other bytes.
    Immutable,
}

impl Lifetime {
    fn cache_control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Moment => "max-age=1",
            Self::Interval => "public, max-age=5",
            Self::Immutable => "max-age=1209600, immutable",
        })
    }
}

/// Something to send, before the request's conditions.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) lifetime: Lifetime,
    /// A strong entity tag with its quotes (RFC 9110 8.8.3).
    pub(crate) etag: Option<String>,
    pub(crate) payload: Payload,
}

/// The bytes of some content.
#[derive(Debug)]
pub(crate) enum Payload {
    /// A small body that is always sent whole.
    Plain(Bytes),
    /// A playlist in the encoding that was chosen for this viewer.
    Playlist(Bytes, Encoding),
    /// Media, of which ranges can be had.
    Media { chunks: Arc<[Bytes]>, length: u64 },
}

impl Payload {
    fn length(&self) -> u64 {
        match self {
            Self::Plain(bytes) | Self::Playlist(bytes, _) => bytes.len() as u64,
            Self::Media { length, .. } => *length,
        }
    }
}

/// Names what a script on another site may read, besides the safelisted headers.
const EXPOSED: &str = "Date, Age, Content-Length, Content-Range, ETag";
/// The methods of everything here.
const METHODS: &str = "GET, HEAD, OPTIONS";
/// RFC 9218: playlists before sound, sound before pictures, which have the default urgency of 3 in all renditions.
/// It stands on every one of them (rfc8216bis B.1).
const PRIORITY: HeaderName = HeaderName::from_static("priority");

impl Content {
    /// The response to a request with these conditions.
    pub(crate) fn respond(self, conditions: &Conditions) -> Response<Body> {
        let etag = self.etag.as_deref();
        if etag.is_some_and(|etag| conditions.has(etag)) {
            return self.reply(StatusCode::NOT_MODIFIED, Body::empty());
        }
        let total = self.payload.length();
        let selected = match (&self.payload, conditions.range_of(etag.unwrap_or_default())) {
            (Payload::Media { .. }, Some(range)) => range::select(range, total),
            _ => Selected::Whole,
        };
        let mut response = match selected {
            Selected::Whole => self.reply(StatusCode::OK, self.body(0, total)),
            Selected::Part { first, length } => self.partial(first, length, total),
            Selected::Unsatisfiable => return unsatisfiable(total),
        };
        let length = response.body().remaining();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        if conditions.method == Method::Head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    fn partial(&self, first: u64, length: u64, total: u64) -> Response<Body> {
        let mut response = self.reply(StatusCode::PARTIAL_CONTENT, self.body(first, length));
        let range = format!("bytes {first}-{}/{total}", first + length - 1);
        set(response.headers_mut(), header::CONTENT_RANGE, range);
        response
    }

    fn body(&self, first: u64, length: u64) -> Body {
        match &self.payload {
            Payload::Plain(bytes) | Payload::Playlist(bytes, _) => bytes.clone().into(),
            Payload::Media { chunks, .. } => Body::of_chunks(Arc::clone(chunks), first, length),
        }
    }

    fn reply(&self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = reply(status, self.lifetime, body);
        let headers = response.headers_mut();
        if let Some(etag) = &self.etag {
            set(headers, header::ETAG, etag.clone());
        }
        if status != StatusCode::NOT_MODIFIED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        }
        match &self.payload {
            Payload::Plain(_) => {}
            Payload::Playlist(_, encoding) => describe_playlist(headers, *encoding),
            Payload::Media { .. } => {
                headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
                let is_sound = self.media_type.starts_with("audio/");
                headers.insert(PRIORITY, HeaderValue::from_static(if is_sound { "u=2" } else { "u=3" }));
            }
        }
        response
    }
}

/// RFC 9110 15.5.17. Only GET has ranges, so there is always a body.
fn unsatisfiable(total: u64) -> Response<Body> {
    let mut response = problem(Refusal::RangeUnsatisfiable, Method::Get);
    set(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{total}"));
    response
}

fn describe_playlist(headers: &mut HeaderMap, encoding: Encoding) {
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(PRIORITY, HeaderValue::from_static("u=1"));
    if encoding == Encoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Everything that all answers have: CORS for players on other sites, and a lifetime.
fn reply(status: StatusCode, lifetime: Lifetime, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(10);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.insert(header::CACHE_CONTROL, lifetime.cache_control());
    response
}

/// Lets nobody but the viewer's own cache keep the answer (RFC 9111 5.2.2.7).
pub(crate) fn for_one(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    let lifetime = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or("no-store");
    let lifetime = format!("private, {}", lifetime.trim_start_matches("public, "));
    set(headers, header::CACHE_CONTROL, lifetime);
}

/// Sets a header of our own making; one that HTTP cannot carry is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The answer to `OPTIONS`: everything may be read from everywhere, with any header (such as CMCD's).
pub(crate) fn preflight() -> Response<Body> {
    let mut response = reply(StatusCode::NO_CONTENT, Lifetime::Moment, Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// The answer to a request that is refused.
pub(crate) fn problem(refusal: Refusal, method: Method) -> Response<Body> {
    let json = serde_json::to_vec(&refusal.problem()).unwrap_or_default();
    let length = json.len();
    let body = if method == Method::Head { Body::empty() } else { Bytes::from(json).into() };
    let mut response = reply(refusal.status(), Lifetime::Moment, body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if refusal == Refusal::MethodNotAllowed {
        headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    }
    if let Some(after) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, after.as_secs().into());
    }
    response
}
