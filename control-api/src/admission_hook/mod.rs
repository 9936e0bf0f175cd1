//! The operator's own word in admission: an HTTP service of theirs is asked about each publisher whose key is good.
//!
//! The request is signed as Standard Webhooks has it (<https://www.standardwebhooks.com>, 1.0.0), so that the service can tell
//! ours from anybody's. The service may allow, with another ladder or profile; deny, with a reason; or send the
//! publisher elsewhere. A service that fails is answered for by the configuration. The stream key is never sent.

mod signature;

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Url};
use schema::api::{KeyRole, Protocol, PublishGrant};
use schema::ladder::{Ladder, LatencyProfile};
use schema::{ChannelName, SessionId};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::channels::settings::check_ladder;
use crate::http::problem::ApiError;

pub use signature::{Secret, SecretError};

/// The largest answer, in bytes: a ladder is under 1 kB.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// The most questions at a time; one more is a failure at once.
const AT_ONCE_MAX: usize = 64;
/// The longest reason that is passed on, in characters.
const REASON_CHARS_MAX: usize = 200;
/// The longest address that a publisher is sent to, in bytes.
const LOCATION_BYTES_MAX: usize = 2_048;

/// What happens to publishers while the service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// They are told to come again: nobody publishes whom the service did not see.
    #[default]
    Deny,
    /// They are let in: the key alone decides.
    Allow,
}

/// Where the service is, and how it is asked.
#[derive(Debug, Clone)]
pub struct HookConfig {
    /// `http` or `https`.
    pub url: String,
    /// What requests are signed with.
    pub secret: Secret,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What a failure means.
    pub on_failure: OnFailure,
}

/// Why the service cannot be asked at all.
#[derive(Debug, Error)]
pub enum HookError {
    /// Not the address of an HTTP service. It is not repeated, as it may hold a password.
    #[error("must be an http or https URL")]
    Url,
    /// The HTTP client could not be made.
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The service.
pub struct AdmissionHook {
    http: Client,
    url: Url,
    secret: Secret,
    on_failure: OnFailure,
    places: Semaphore,
}

impl fmt::Debug for AdmissionHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionHook").field("on_failure", &self.on_failure).finish_non_exhaustive()
    }
}

/// What the service is asked: `{"type": "publish.asked", "timestamp": …, "data": {…}}`.
#[derive(Debug, Serialize)]
struct Question<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Publisher<'a>,
}

/// Who would like to publish.
#[derive(Debug, Serialize)]
pub(crate) struct Publisher<'a> {
    /// The channel.
    pub(crate) channel: &'a ChannelName,
    /// The id of the stream key or publish token.
    pub(crate) key_id: &'a str,
    /// What the key is for.
    pub(crate) role: KeyRole,
    /// How it came in.
    pub(crate) protocol: Protocol,
    /// The session that asks.
    pub(crate) session: &'a SessionId,
}

/// What the service answers.
#[derive(Debug, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
enum Answer {
    Allow {
        ladder: Option<Ladder>,
        profile: Option<LatencyProfile>,
    },
    Deny {
        #[serde(default)]
        reason: Option<String>,
    },
    Redirect {
        location: String,
    },
}

/// What follows for the publisher.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may begin, with these in place of the channel's.
    Allowed { ladder: Option<Ladder>, profile: Option<LatencyProfile> },
    /// It may not; the reason is for its eyes.
    Denied { reason: Option<String> },
    /// It is to ask there, an absolute `http` or `https` URL.
    Elsewhere { location: String },
    /// The service failed, and the configuration says that nobody gets in then.
    Unknown,
    /// The service failed, and the configuration says that the key alone decides then.
    Unasked,
}

impl Decision {
    /// Its label in the figures.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed { .. } => "allowed",
            Self::Denied { .. } => "denied",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Unknown => "failed_denied",
            Self::Unasked => "failed_allowed",
        }
    }

    /// All labels.
    pub(crate) const LABELS: [&str; 5] = ["allowed", "denied", "elsewhere", "failed_denied", "failed_allowed"];
}

/// Why there is no answer; for the log.
#[derive(Debug, Error)]
enum Failure {
    #[error("too many questions wait for it")]
    Busy,
    #[error("{}", without_url(.0))]
    Http(#[from] reqwest::Error),
    #[error("it answered {0}")]
    Status(reqwest::StatusCode),
    #[error("its answer is longer than {ANSWER_BYTES_MAX} bytes or broke off")]
    Length,
    #[error("its answer is not one of allow, deny and redirect: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("it sends the publisher to what is no http or https URL")]
    Location,
    #[error("its ladder cannot be: {0}")]
    Ladder(ApiError),
}

/// The whole chain of reasons; the URL may hold a password.
fn without_url(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    while let Some(reason) = source {
        text = format!("{text}: {reason}");
        source = reason.source();
    }
    text
}

impl AdmissionHook {
    /// The service at `config.url`.
    ///
    /// # Errors
    /// See [`HookError`].
    pub fn new(config: HookConfig) -> Result<Self, HookError> {
        let url: Url = config.url.parse().map_err(|_| HookError::Url)?;
        if !is_web(&url) {
            return Err(HookError::Url);
        }
        // Without one a client cannot be made; the binary has chosen already, a test may not have.
        let _chosen_already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = Client::builder().timeout(config.timeout).redirect(Policy::none()).no_proxy().build()?;
        let places = Semaphore::new(AT_ONCE_MAX);
        Ok(Self { http, url, secret: config.secret, on_failure: config.on_failure, places })
    }

    /// What is to become of `publisher`. Ends with the configured time at the latest.
    pub(crate) async fn decide(&self, publisher: Publisher<'_>) -> Decision {
        let channel = publisher.channel.clone();
        match self.ask(publisher).await {
            Ok(decision) => decision,
            Err(error) => {
                tracing::warn!(%error, %channel, on_failure = ?self.on_failure, "the admission webhook failed");
                match self.on_failure {
                    OnFailure::Deny => Decision::Unknown,
                    OnFailure::Allow => Decision::Unasked,
                }
            }
        }
    }

    async fn ask(&self, data: Publisher<'_>) -> Result<Decision, Failure> {
        let _place = self.places.try_acquire().map_err(|_| Failure::Busy)?;
        let now = chrono::Utc::now();
        let question = Question { kind: "publish.asked", timestamp: now.to_rfc3339(), data };
        let body = serde_json::to_vec(&question)?;
        let id = format!("msg_{}", Uuid::now_v7().simple());
        let signature = self.secret.sign(&id, now.timestamp(), &body);
        let request = self.http.post(self.url.clone()).body(body);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = request.header("webhook-id", id).header("webhook-timestamp", now.timestamp());
        let answer = request.header("webhook-signature", signature).send().await?;
        if !answer.status().is_success() {
            return Err(Failure::Status(answer.status()));
        }
        let body = Limited::new(Body::from(answer), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| Failure::Length)?.to_bytes();
        decision(serde_json::from_slice(&body)?)
    }
}

/// The answer, checked.
fn decision(answer: Answer) -> Result<Decision, Failure> {
    match answer {
        Answer::Allow { ladder, profile } => {
            ladder.as_ref().map_or(Ok(()), check_ladder).map_err(Failure::Ladder)?;
            Ok(Decision::Allowed { ladder, profile })
        }
        Answer::Deny { reason } => {
            let reason = reason.map(|text| text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect());
            Ok(Decision::Denied { reason: reason.filter(|text: &String| !text.is_empty()) })
        }
        Answer::Redirect { location } => {
            let url: Url = location.parse().map_err(|_| Failure::Location)?;
            let fits =
                is_web(&url) && location.len() <= LOCATION_BYTES_MAX && HeaderValue::from_str(url.as_str()).is_ok();
            fits.then(|| Decision::Elsewhere { location: url.into() }).ok_or(Failure::Location)
        }
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// The grant with what the service put in its place.
pub(crate) fn overridden(grant: PublishGrant, ladder: Option<Ladder>, profile: Option<LatencyProfile>) -> PublishGrant {
    let (ladder, profile) = (ladder.unwrap_or(grant.ladder), profile.unwrap_or(grant.profile));
    PublishGrant { ladder, profile, ..grant }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Result<Decision, Failure> {
        decision(serde_json::from_str(body)?)
    }

    #[test]
    fn an_answer_is_one_of_three_and_anything_else_a_failure() {
        let allowed = answered(r#"{"decision":"allow","profile":"ultra","more":1}"#).unwrap();
        assert_eq!(allowed, Decision::Allowed { ladder: None, profile: Some(LatencyProfile::Ultra) });
        let denied = answered(r#"{"decision":"deny","reason":"not\npaid"}"#).unwrap();
        assert_eq!(denied, Decision::Denied { reason: Some("notpaid".to_owned()) });
        assert_eq!(answered(r#"{"decision":"deny"}"#).unwrap(), Decision::Denied { reason: None });
        let elsewhere = answered(r#"{"decision":"redirect","location":"https://b.example/whip"}"#).unwrap();
        assert_eq!(elsewhere, Decision::Elsewhere { location: "https://b.example/whip".to_owned() });
        for wrong in [
            "",
            "true",
            "{}",
            r#"{"decision":"maybe"}"#,
            r#"{"decision":"redirect"}"#,
            r#"{"decision":"redirect","location":"/whip"}"#,
            r#"{"decision":"redirect","location":"file:///etc/passwd"}"#,
            r#"{"decision":"allow","profile":"slow"}"#,
            r#"{"decision":"allow","ladder":{"rungs":[]}}"#,
            r#"{"decision":"allow","ladder":{"rungs":[],"audio_bitrate":128000}}"#,
        ] {
            assert!(answered(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_an_address_of_the_web_can_be_asked() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        for (url, fits) in
            [("https://a.example/x", true), ("http://127.0.0.1:1", true), ("ftp://a", false), ("a", false)]
        {
            let config = HookConfig {
                url: url.to_owned(),
                secret: secret.clone(),
                timeout: Duration::from_secs(1),
                on_failure: OnFailure::Deny,
            };
            assert_eq!(AdmissionHook::new(config).is_ok(), fits, "{url}");
        }
    }
}
