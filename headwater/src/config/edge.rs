//! What the configuration says of edges that check viewers' tokens themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Fewer characters could be guessed.
const SECRET_LEAST: usize = 32;
/// Longer is no header that everybody takes.
const SECRET_MOST: usize = 256;

/// Edges in front of this node.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edge {
    /// What an edge sends as `Headwater-Edge-Secret` to be answered at `/private/…`; unset, nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("secret", &self.secret.as_ref().map(|_| "…")).finish()
    }
}

impl Edge {
    /// What is wrong with it, as key and reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let Some(secret) = &self.secret else { return Ok(()) };
        if !(SECRET_LEAST..=SECRET_MOST).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(("edge.secret", "must be 32 to 256 visible ASCII characters"));
        }
        Ok(())
    }
}
