//! HTTP towards identity providers, within limits of time and size.
//!
//! The addresses are the operator's own choice, or a document's that the operator's choice gave.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use thiserror::Error;

/// How long a provider may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// The longest answer, in bytes.
const BYTES_MAX: usize = 512 << 10;

/// Why there is no usable answer.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("it did not answer: {0}")]
    Unreachable(reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is too long")]
    TooLong,
    #[error("its answer is not what it should be")]
    Content,
}

/// A client for all of it: no redirects, no proxy of the environment.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Where nobody chose a provider of cryptography for the process, as in tests, it is the only one that is built.
    let _chosen_already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder().timeout(DEADLINE).connect_timeout(CONNECT_DEADLINE);
    builder.redirect(redirect::Policy::none()).no_proxy().build()
}

/// The body at `url`.
pub(crate) async fn get(http: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    send(http.get(url)).await
}

/// The body of the answer to `request`, if that is a success.
pub(crate) async fn send(request: RequestBuilder) -> Result<Vec<u8>, FetchError> {
    let answer = request.send().await.map_err(|error| FetchError::Unreachable(error.without_url()))?;
    if !answer.status().is_success() {
        return Err(FetchError::Status(answer.status()));
    }
    body(answer).await
}

async fn body(mut answer: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| FetchError::Unreachable(error.without_url()))? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
