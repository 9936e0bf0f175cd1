//! A viewer that stays: follows a rendition by blocking reload and fetches each new part, as players do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use benches::client::{Accept, Connection};
use benches::playlist::Listing;
use http::StatusCode;

/// What all viewers did together.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reloads: AtomicU64,
    pub(crate) parts: AtomicU64,
    /// Reloads that were not answered in time (503); a player asks again.
    pub(crate) timeouts: AtomicU64,
    /// Connections that were opened anew.
    pub(crate) reconnects: AtomicU64,
}

/// A viewer comes back over a new connection after so many reloads: real ones come and go.
const RELOADS_PER_CONNECTION: u64 = 500;

/// Watches until it is dropped.
///
/// # Errors
/// The broadcast ended, or something that was listed could not be fetched.
pub(crate) async fn watch(node: SocketAddr, playlist: String, seen: Arc<Seen>) -> Result<()> {
    let (folder, _) = playlist.rsplit_once('/').context("a path has a folder")?;
    let mut connection = Connection::open(node, None).await?;
    let (mut query, mut newest) = (String::new(), String::new());
    for reload in 1_u64.. {
        if reload % RELOADS_PER_CONNECTION == 0 {
            connection = Connection::open(node, None).await?;
            seen.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        let answer = connection.get(&format!("{playlist}{query}")).await?;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            seen.timeouts.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        ensure!(answer.status == StatusCode::OK, "GET {playlist}{query}: {}", answer.status);
        seen.reloads.fetch_add(1, Ordering::Relaxed);
        let listing = Listing::read(&String::from_utf8_lossy(&answer.body));
        ensure!(!listing.ended, "the broadcast ended");
        for part in listing.parts.iter().skip_while(|part| **part != newest).skip(1) {
            let counted = connection.count(&format!("{folder}/{part}"), Accept::Identity).await?;
            ensure!(counted.status == StatusCode::OK, "GET {part}: {}", counted.status);
            seen.parts.fetch_add(1, Ordering::Relaxed);
        }
        newest = listing.parts.last().cloned().unwrap_or_default();
        query = listing.next_query();
    }
    Ok(())
}
