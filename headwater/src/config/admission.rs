//! What the configuration says of the operator's admission webhook.

use std::time::Duration;

use control_api::{AdmissionHook, HookConfig, HookSecret, OnFailure};
use serde::{Deserialize, Serialize};

/// Waits beyond this would outlast those of the node for the control plane, in milliseconds.
const TIMEOUT_MS_MOST: u64 = 4_000;
const TIMEOUT_MS_LEAST: u64 = 100;

/// The operator's own word about publishers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admission {
    /// Who is asked; unset means nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// What requests are signed with: `whsec_` and base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
    /// How long an answer may take.
    pub(crate) timeout_ms: u64,
    /// What its failure means.
    pub(crate) on_failure: OnFailure,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URLs hold passwords.
        f.debug_struct("Admission").field("url", &self.url.as_ref().map(|_| "…")).finish_non_exhaustive()
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self { url: None, secret: None, timeout_ms: 2_000, on_failure: OnFailure::Deny }
    }
}

impl Admission {
    /// The service, where one is configured.
    ///
    /// # Errors
    /// The key whose value breaks a rule, and why.
    pub(crate) fn hook(&self) -> Result<Option<AdmissionHook>, (&'static str, String)> {
        if !(TIMEOUT_MS_LEAST..=TIMEOUT_MS_MOST).contains(&self.timeout_ms) {
            return Err(("timeout_ms", format!("must be {TIMEOUT_MS_LEAST} to {TIMEOUT_MS_MOST}")));
        }
        let (url, secret) = match (&self.url, &self.secret) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(("url", "is missing beside admission.secret".to_owned())),
            (Some(_), None) => return Err(("secret", "is missing beside admission.url".to_owned())),
            (Some(url), Some(secret)) => (url.clone(), secret),
        };
        let secret: HookSecret = secret.parse().map_err(|error| ("secret", format!("{error}")))?;
        let timeout = Duration::from_millis(self.timeout_ms);
        let config = HookConfig { url, secret, timeout, on_failure: self.on_failure };
        AdmissionHook::new(config).map(Some).map_err(|error| ("url", error.to_string()))
    }
}
