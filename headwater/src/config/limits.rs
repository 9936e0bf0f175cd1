//! What the configuration says of bounds.

use control_api::RateLimits;
use serde::{Deserialize, Serialize};

/// Values that cannot be meant, and would only exhaust the machine.
const CONNECTIONS_MOST: usize = 1_000_000;

/// Bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The most publisher sessions at a time.
    pub(crate) sessions_max: usize,
    /// The most connections on the public port at a time.
    pub(crate) connections_max: usize,
    /// The most of them from one IPv4 address or IPv6 /64; trusted proxies and this machine may have any number.
    pub(crate) connections_per_address: usize,
    /// The most requests of the control API that change nothing, in a minute: from one IPv4 address or IPv6 /64, and
    /// of one account; 0 is any number, and so for the three below.
    pub(crate) api_reads_per_minute: u32,
    /// The most that change something.
    pub(crate) api_writes_per_minute: u32,
    /// The most that sign somebody in or send mail.
    pub(crate) api_sign_ins_per_minute: u32,
    /// The most that programs send by themselves, over and over.
    pub(crate) api_heartbeats_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let usual = RateLimits::USUAL;
        Self {
            sessions_max: 100,
            connections_max: 50_000,
            connections_per_address: 1_000,
            api_reads_per_minute: usual.reads_per_minute,
            api_writes_per_minute: usual.writes_per_minute,
            api_sign_ins_per_minute: usual.sign_ins_per_minute,
            api_heartbeats_per_minute: usual.heartbeats_per_minute,
        }
    }
}

impl Limits {
    /// How often one address and one account may ask the control API.
    pub(crate) fn api(&self) -> RateLimits {
        RateLimits {
            reads_per_minute: self.api_reads_per_minute,
            writes_per_minute: self.api_writes_per_minute,
            sign_ins_per_minute: self.api_sign_ins_per_minute,
            heartbeats_per_minute: self.api_heartbeats_per_minute,
        }
    }

    /// Rules beyond types.
    ///
    /// # Errors
    /// The key whose value breaks one, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.sessions_max == 0 {
            return Err(("sessions_max", "must be at least 1"));
        }
        if self.connections_max == 0 || self.connections_max > CONNECTIONS_MOST {
            return Err(("connections_max", "must be 1 to 1000000"));
        }
        if self.connections_per_address == 0 {
            return Err(("connections_per_address", "must be at least 1"));
        }
        Ok(())
    }
}
