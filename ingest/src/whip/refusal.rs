//! Why a request is refused, and the answer that says so (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest_rtc::OfferError;
use schema::api::Problem;
use thiserror::Error;

use super::AdmitError;

/// Everything a WHIP request can be refused for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the content type must be application/sdp")]
    ContentType,
    #[error("the offer is longer than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the offer did not come in time")]
    BodyTimeout,
    #[error("the body could not be read")]
    BodyUnreadable,
    #[error("a stream key is needed: Authorization: Bearer KEY")]
    KeyMissing,
    #[error("the key is not that of this session")]
    KeyOther,
    #[error(transparent)]
    Admission(#[from] AdmitError),
    #[error(transparent)]
    Offer(#[from] OfferError),
    #[error("another publisher is on this channel, which takes no second one")]
    ChannelTaken,
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error("the server has no room for another session")]
    TooManySessions,
    #[error("this address asks too often")]
    TooOften { retry_after_s: u32 },
    #[error("the server did not answer the offer in time")]
    AnswerTimeout,
    #[error("there is no such session")]
    SessionUnknown,
    #[error("the method is not allowed here")]
    Method { allow: &'static str },
}

/// How long a refused client should wait where nothing better is known, in seconds.
const RETRY_AFTER_S: u32 = 5;

impl Refusal {
    /// The status and the stable code.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::ContentType => (S::UNSUPPORTED_MEDIA_TYPE, "content_type_unsupported"),
            Self::BodyTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyUnreadable => (S::BAD_REQUEST, "body_unreadable"),
            Self::KeyMissing => (S::UNAUTHORIZED, "key_missing"),
            Self::KeyOther => (S::UNAUTHORIZED, "key_other"),
            Self::Admission(AdmitError::Unknown) => (S::UNAUTHORIZED, "key_unknown"),
            Self::Admission(AdmitError::Revoked) => (S::UNAUTHORIZED, "key_revoked"),
            Self::Admission(AdmitError::Expired) => (S::UNAUTHORIZED, "token_expired"),
            Self::Admission(AdmitError::Forbidden { .. }) => (S::FORBIDDEN, "publish_forbidden"),
            // A publisher follows it with the same request (RFC 9725 4.5).
            Self::Admission(AdmitError::Elsewhere { .. }) => (S::TEMPORARY_REDIRECT, "publish_elsewhere"),
            Self::Admission(AdmitError::NoRoom { .. }) => (S::SERVICE_UNAVAILABLE, "no_room"),
            Self::Admission(AdmitError::Unavailable { .. }) => (S::SERVICE_UNAVAILABLE, "admission_unavailable"),
            Self::Offer(OfferError::Malformed(_)) => (S::BAD_REQUEST, "offer_malformed"),
            Self::Offer(OfferError::Unacceptable(_)) => (S::UNPROCESSABLE_ENTITY, "offer_unacceptable"),
            Self::Offer(OfferError::Codec(_)) => (S::UNPROCESSABLE_ENTITY, "codec_unsupported"),
            Self::Offer(OfferError::Internal(_)) => (S::INTERNAL_SERVER_ERROR, "internal"),
            Self::ChannelTaken => (S::CONFLICT, "channel_taken"),
            Self::ShuttingDown => (S::SERVICE_UNAVAILABLE, "shutting_down"),
            Self::TooManySessions => (S::SERVICE_UNAVAILABLE, "sessions_too_many"),
            Self::TooOften { .. } => (S::TOO_MANY_REQUESTS, "requests_too_many"),
            Self::AnswerTimeout => (S::SERVICE_UNAVAILABLE, "answer_timeout"),
            Self::SessionUnknown => (S::NOT_FOUND, "session_unknown"),
            Self::Method { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
        }
    }

    /// What is said to the client: never the inner words of our own failure.
    fn title(&self) -> String {
        match self {
            Self::Offer(OfferError::Internal(_)) => "the server failed".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The header that goes with the status: the challenge, the wait, or the methods allowed.
    fn header(&self, status: StatusCode) -> Option<(header::HeaderName, HeaderValue)> {
        match (self, status) {
            (Self::KeyMissing, _) => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            (_, StatusCode::UNAUTHORIZED) => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
            }
            (
                Self::Admission(AdmitError::Unavailable { retry_after_s } | AdmitError::NoRoom { retry_after_s })
                | Self::TooOften { retry_after_s },
                _,
            ) => Some((header::RETRY_AFTER, HeaderValue::from(*retry_after_s))),
            (_, StatusCode::SERVICE_UNAVAILABLE) => Some((header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S))),
            (Self::Admission(AdmitError::Elsewhere { location }), _) => {
                Some((header::LOCATION, HeaderValue::try_from(location).ok()?))
            }
            (Self::Method { allow }, _) => Some((header::ALLOW, HeaderValue::from_static(allow))),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let problem = Problem::new(status.as_u16(), code, self.title());
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
        if let Some((name, value)) = self.header(status) {
            headers.insert(name, value);
        }
        response
    }
}
