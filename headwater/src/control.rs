//! The node's way to the control plane: HTTP over a Unix socket, in the words of `schema::api`.

use std::path::Path;
use std::time::Duration;

use ingest::whip::AdmitError;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use schema::api::{ADMISSIONS_PATH, AdmitRequest, NodeReport, Problem, PublishGrant, REPORTS_PATH, ReportAnswer};
use serde::Serialize;
use thiserror::Error;

/// Longer than the control plane's own wait for the database, so that its clear answer arrives.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a publisher is asked to wait where the control plane says nothing better.
const RETRY_AFTER_S: u32 = 2;

/// A client of the control plane. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct ControlClient {
    http: Client,
}

/// Why a report was not answered.
#[derive(Debug, Error)]
pub(crate) enum ReportError {
    /// No answer came.
    #[error("the control plane cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// An error was answered.
    #[error("the control plane answered {0}")]
    Refused(StatusCode),
}

impl ControlClient {
    /// A client that speaks to the control plane behind `socket`.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub(crate) fn over(socket: &Path) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .unix_socket(socket)
            .timeout(ANSWER_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http })
    }

    /// Tells what runs here, and returns what the control plane orders.
    ///
    /// # Errors
    /// See [`ReportError`]; the report may be sent again.
    pub(crate) async fn report(&self, report: &NodeReport) -> Result<ReportAnswer, ReportError> {
        let answer = self.post(REPORTS_PATH, report).await?;
        if !answer.status().is_success() {
            return Err(ReportError::Refused(answer.status()));
        }
        Ok(answer.json().await?)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, reqwest::Error> {
        self.http.post(format!("http://control{path}")).json(body).send().await
    }

    /// Asks whether a key may publish.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub(crate) async fn admit(&self, request: AdmitRequest) -> Result<PublishGrant, AdmitError> {
        let unavailable = |error: reqwest::Error| {
            tracing::warn!(%error, "the control plane cannot be reached");
            AdmitError::Unavailable { retry_after_s: RETRY_AFTER_S }
        };
        let answer = self.post(ADMISSIONS_PATH, &request).await.map_err(unavailable)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(unavailable);
        }
        Err(refusal(answer).await)
    }
}

/// The control plane's refusal in the words of ingest.
async fn refusal(answer: Response) -> AdmitError {
    let status = answer.status();
    let retry_after_s =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(RETRY_AFTER_S);
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let problem = answer.json::<Problem>().await.ok();
    let code = problem.as_ref().map_or("", |problem| problem.code.as_str());
    match status {
        StatusCode::UNAUTHORIZED if code == "key_revoked" => AdmitError::Revoked,
        StatusCode::UNAUTHORIZED if code == "token_expired" => AdmitError::Expired,
        StatusCode::UNAUTHORIZED => AdmitError::Unknown,
        StatusCode::FORBIDDEN => AdmitError::Forbidden { reason: problem.map(|problem| problem.title) },
        StatusCode::TEMPORARY_REDIRECT if let Some(location) = location => AdmitError::Elsewhere { location },
        _ => AdmitError::Unavailable { retry_after_s },
    }
}
