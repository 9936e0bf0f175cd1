//! As many requests as a few connections get answered: each asks for the next as soon as it has one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::client::{Accept, Connection};
use tokio::task::JoinSet;

/// What is asked for, in turn.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    pub(crate) paths: Arc<[String]>,
    pub(crate) accept: Accept,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) wall_s: f64,
}

/// Connections that are open.
pub(crate) struct Load(Vec<Connection>);

impl Load {
    pub(crate) async fn open(to: SocketAddr, connections: usize) -> Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(to, None).await?);
        }
        Ok(Self(open))
    }

    /// Runs for so long.
    ///
    /// # Errors
    /// An answer is not 200: then what is measured is not what is meant.
    pub(crate) async fn run(self, targets: &Targets, length: Duration) -> Result<Done> {
        let began = Instant::now();
        let mut runs = JoinSet::new();
        for (start, connection) in self.0.into_iter().enumerate() {
            runs.spawn(ask(connection, targets.clone(), start, began + length));
        }
        let (mut requests, mut bytes) = (0, 0);
        while let Some(run) = runs.join_next().await {
            let (asked, read) = run??;
            (requests, bytes) = (requests + asked, bytes + read);
        }
        Ok(Done { requests, bytes, wall_s: began.elapsed().as_secs_f64() })
    }
}

async fn ask(mut connection: Connection, targets: Targets, start: usize, end: Instant) -> Result<(u64, u64)> {
    let (mut requests, mut bytes) = (0, 0);
    for path in targets.paths.iter().cycle().skip(start) {
        if Instant::now() >= end {
            break;
        }
        let counted = connection.count(path, targets.accept).await?;
        ensure!(counted.status == 200 && counted.bytes > 0, "GET {path}: {}, {} bytes", counted.status, counted.bytes);
        (requests, bytes) = (requests + 1, bytes + counted.bytes);
    }
    Ok((requests, bytes))
}
