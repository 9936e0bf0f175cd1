//! Keeps one server running until told to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::server::Server;
use super::{Options, StopError};

/// The first pause before a restart, once one restart was not enough.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause between restarts.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A server that ran for so long earns a restart without a pause.
const STEADY: Duration = Duration::from_secs(60);
/// How often the log's size is looked at.
const LOG_CHECK: Duration = Duration::from_secs(60);

/// Runs until `stop`; then ends the server.
pub(super) async fn run(
    mut cluster: Cluster,
    mut server: Server,
    options: Options,
    pid: watch::Sender<Option<i32>>,
    stop: CancellationToken,
) -> Result<(), StopError> {
    let mut pause = Duration::ZERO;
    loop {
        let started = Instant::now();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let stopped = server.stop(options.stop_deadline).await;
                options.metrics.up.set(0);
                return stopped;
            }
            () = watch_over(&cluster, &mut server) => {}
        }
        pid.send_replace(None);
        options.metrics.up.set(0);
        pause = next_pause(pause, started.elapsed());
        tracing::error!(pause_ms = pause.as_millis(), "the database server died; restarting it");
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            started = restart(&mut cluster, &mut pause) => server = started,
        }
        pid.send_replace(Some(server.pid()));
        options.metrics.restarts.inc();
        options.metrics.up.set(1);
    }
}

/// Waits until the server is gone, and keeps its log bounded meanwhile.
async fn watch_over(cluster: &Cluster, server: &mut Server) {
    let mut log_check = interval(LOG_CHECK);
    loop {
        tokio::select! {
            () = server.exited() => return,
            _ = log_check.tick() => cluster.trim_log(),
        }
    }
}

async fn restart(cluster: &mut Cluster, pause: &mut Duration) -> Server {
    loop {
        sleep(*pause).await;
        match cluster.start().await {
            Ok(server) => return server,
            Err(error) => {
                *pause = next_pause(*pause, Duration::ZERO);
                tracing::error!(%error, pause_ms = pause.as_millis(), "the database server does not start");
            }
        }
    }
}

/// Nothing after a steady run; else double the last pause, within bounds.
fn next_pause(last: Duration, ran: Duration) -> Duration {
    match ran >= STEADY {
        true => Duration::ZERO,
        false => (last * 2).clamp(PAUSE_MIN, PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_a_steady_run_forgives() {
        let short = Duration::from_secs(1);
        let mut pause = Duration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..8 {
            pause = next_pause(pause, short);
            seen.push(pause.as_millis());
        }
        assert_eq!(seen, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(next_pause(pause, STEADY), Duration::ZERO);
    }
}
