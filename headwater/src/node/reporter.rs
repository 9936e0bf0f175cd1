//! Tells the control plane every two seconds what runs here, and carries out what it orders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingest::whip::Whip;
use schema::BroadcastId;
use schema::api::{BroadcastReport, BroadcastState, NodeCommand, NodeReport, REPORT_INTERVAL_MS};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::control::ControlClient;

/// The most ended broadcasts remembered while the control plane is away; older ones are left out.
const ENDED_MAX: usize = 1_000;

/// What the next report says. Cloning is cheap; no lock is held across an await.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<HashMap<BroadcastId, BroadcastReport>>>);

impl Reports {
    /// Adds or changes a broadcast.
    pub(crate) fn set(&self, report: BroadcastReport) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if report.state == BroadcastState::Ended && reports.len() >= ENDED_MAX {
            tracing::warn!(broadcast = %report.broadcast, "too many unreported broadcasts: this end is not reported");
            reports.remove(&report.broadcast);
            return;
        }
        reports.insert(report.broadcast.clone(), report);
    }

    /// Changes a broadcast that is known.
    pub(crate) fn update(&self, broadcast: &BroadcastId, change: impl FnOnce(&mut BroadcastReport)) {
        if let Some(report) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(broadcast) {
            change(report);
        }
    }

    fn all(&self) -> Vec<BroadcastReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets the ended broadcasts that an answered report held.
    fn answered(&self, told: &[BroadcastReport]) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for report in told.iter().filter(|report| report.state == BroadcastState::Ended) {
            reports.remove(&report.broadcast);
        }
    }
}

/// Reports until `cancel`, and once more then.
pub(crate) async fn run(node: String, control: ControlClient, reports: Reports, whip: Whip, cancel: CancellationToken) {
    let mut ticks = interval(Duration::from_millis(REPORT_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reachable = true;
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = cancel.cancelled() => true,
        };
        reachable = report(&node, &control, &reports, &whip, reachable).await;
        if last {
            return;
        }
    }
}

/// One report. Returns whether it was answered; the change is logged, not each failure.
async fn report(node: &str, control: &ControlClient, reports: &Reports, whip: &Whip, reachable: bool) -> bool {
    let broadcasts = reports.all();
    let report = NodeReport { node: node.to_owned(), broadcasts };
    match control.report(&report).await {
        Ok(answer) => {
            reports.answered(&report.broadcasts);
            for command in answer.commands {
                obey(command, whip);
            }
            if !reachable {
                tracing::info!("the control plane answers reports again");
            }
            true
        }
        Err(error) => {
            if reachable {
                tracing::warn!(%error, "a report was not answered; broadcasts go on");
            }
            false
        }
    }
}

fn obey(command: NodeCommand, whip: &Whip) {
    match command {
        NodeCommand::EndSession { session, end, reason } => {
            tracing::info!(%session, %end, reason, "the control plane ends a session");
            whip.end_session(&session, end);
        }
    }
}
