//! Tells the control plane what runs here, every two seconds and when a broadcast begins or ends,
//! and carries out what it orders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ingest::whip::Whip;
use origin::Directory;
use schema::BroadcastId;
use schema::api::{
    BroadcastReport, BroadcastState, ChannelAccess, NodeCommand, NodeReport, REPORT_INTERVAL_MS, ReportAnswer,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Order;
use super::rulebook::Rulebook;
use crate::control::ControlClient;

/// The most ended broadcasts remembered while the control plane is away; older ones are left out.
const ENDED_MAX: usize = 1_000;
/// How long news wait for more of them, so that many at once make one report.
const NEWS_GATHERED: Duration = Duration::from_millis(100);

/// What the next report says. Cloning is cheap; no lock is held across an await.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports {
    known: Arc<Mutex<HashMap<BroadcastId, BroadcastReport>>>,
    /// Rings when a broadcast began, ended, lost its publisher or got another.
    news: Arc<Notify>,
}

impl Reports {
    /// Adds a broadcast that begins.
    pub(crate) fn begin(&self, report: BroadcastReport) {
        self.lock().insert(report.broadcast.clone(), report);
        self.news.notify_one();
    }

    /// Changes a broadcast that is known.
    pub(crate) fn update(&self, broadcast: &BroadcastId, change: impl FnOnce(&mut BroadcastReport)) {
        let mut known = self.lock();
        let Some(report) = known.get_mut(broadcast) else {
            return;
        };
        let before = (report.state, report.session.clone());
        change(report);
        if before == (report.state, report.session.clone()) {
            return;
        }
        if known.values().filter(|report| report.state == BroadcastState::Ended).count() > ENDED_MAX {
            tracing::warn!(%broadcast, "too many unreported ends: this one is left out");
            known.remove(broadcast);
        }
        self.news.notify_one();
    }

    fn all(&self) -> Vec<BroadcastReport> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BroadcastId, BroadcastReport>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a broadcast began, ended, lost its publisher or got another.
    async fn news(&self) {
        self.news.notified().await;
        sleep(NEWS_GATHERED).await;
    }

    /// Forgets the ended broadcasts that an answered report held.
    fn answered(&self, told: &[BroadcastReport]) {
        let mut reports = self.lock();
        for report in told.iter().filter(|report| report.state == BroadcastState::Ended) {
            reports.remove(&report.broadcast);
        }
    }
}

/// Reports until `cancel`, and once more then. News that come too late for one are in the next.
pub(crate) async fn run(
    node: String,
    control: ControlClient,
    reports: Reports,
    hands: Hands,
    cancel: CancellationToken,
) {
    let mut ticks = interval(Duration::from_millis(REPORT_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reachable = true;
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = reports.news() => false,
            () = cancel.cancelled() => true,
        };
        reachable = report(&node, &control, &reports, &hands, reachable).await;
        if last {
            return;
        }
    }
}

/// One report. Returns whether it was answered; the change is logged, not each failure.
async fn report(node: &str, control: &ControlClient, reports: &Reports, hands: &Hands, reachable: bool) -> bool {
    let broadcasts = reports.all();
    let report = NodeReport { node: node.to_owned(), broadcasts, playback: hands.rules.version() };
    match control.report(&report).await {
        Ok(answer) => {
            reports.answered(&report.broadcasts);
            hands.carry_out(answer).await;
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

/// Who can be told something by the answer to a report.
pub(crate) struct Hands {
    /// The sessions that are open.
    pub(crate) whip: Whip,
    /// The broadcasts whose session is not.
    pub(crate) orders: mpsc::Sender<Order>,
    /// What viewers can reach.
    pub(crate) directory: Directory,
    /// Who keeps what is for members.
    pub(crate) rules: Rulebook,
}

impl Hands {
    async fn carry_out(&self, answer: ReportAnswer) {
        for ChannelAccess { channel, access } in answer.access {
            self.directory.set_access(&channel, access);
        }
        for command in answer.commands {
            self.obey(command);
        }
        if let Some(rules) = answer.playback {
            self.rules.learn(rules).await;
        }
    }

    fn obey(&self, command: NodeCommand) {
        match command {
            NodeCommand::EndSession { session, end, reason } => {
                tracing::info!(%session, %end, reason, "the control plane ends a session");
                if !self.whip.end_session(&session, end) {
                    // Where the queue is full, the next report has the order again.
                    let _ = self.orders.try_send(Order { session, end });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::api::Protocol;
    use schema::{Incarnation, SessionEnd};
    use tokio::time::{Instant, timeout};

    use super::*;

    fn report(number: usize) -> BroadcastReport {
        BroadcastReport {
            broadcast: format!("b{number}").parse().unwrap(),
            channel: "demo".parse().unwrap(),
            incarnation: Incarnation(1),
            session: "s".parse().unwrap(),
            protocol: Protocol::Whip,
            key_id: "k".to_owned(),
            state: BroadcastState::Live,
            started_at_us: 0,
            end: None,
            source_size: None,
            degraded: false,
        }
    }

    fn end(reports: &Reports, number: usize) {
        reports.update(&report(number).broadcast, |report| {
            report.state = BroadcastState::Ended;
            report.end = Some(SessionEnd::KeyRevoked);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_state_and_session_are_told_at_once_and_together_and_others_wait() {
        let reports = Reports::default();
        let began = Instant::now();
        reports.begin(report(1));
        reports.begin(report(2));
        end(&reports, 1);
        reports.news().await;
        assert_eq!(began.elapsed(), NEWS_GATHERED);
        reports.update(&report(2).broadcast, |report| report.session = "t".parse().unwrap());
        timeout(Duration::from_secs(1), reports.news()).await.unwrap();
        reports.update(&report(2).broadcast, |report| report.source_size = None);
        end(&reports, 1);
        assert!(timeout(Duration::from_secs(60), reports.news()).await.is_err());
    }

    #[test]
    fn an_end_is_told_until_it_is_answered() {
        let reports = Reports::default();
        reports.begin(report(1));
        let told = reports.all();
        end(&reports, 1);
        reports.answered(&told);
        let told = reports.all();
        assert_eq!((told.len(), told[0].end), (1, Some(SessionEnd::KeyRevoked)));
        reports.answered(&told);
        assert!(reports.all().is_empty());
    }

    #[test]
    fn ends_are_remembered_up_to_a_limit_and_live_broadcasts_always() {
        let reports = Reports::default();
        for number in 0..ENDED_MAX + 5 {
            reports.begin(report(number));
            end(&reports, number);
        }
        reports.begin(report(9_999));
        assert_eq!(reports.all().len(), ENDED_MAX + 1);
    }
}
