//! The node: takes each new publisher's feed, starts a broadcast of it and lists it for viewers, or hands it to
//! the broadcast that it left.

mod incarnation;
pub(crate) mod reporter;

use std::collections::HashMap;
use std::sync::Arc;

use ingest::whip::Arrival;
use origin::Directory;
use packager::broadcast::{
    self, BroadcastEnd, BroadcastMetrics, Joining, Listing, Start, Status, Tracks, Transcoding, Word, WorkerProcess,
};
use packager_transcode::process::WorkerCommand;
use prometheus::Registry;
use schema::api::{BroadcastReport, BroadcastState, Protocol};
use schema::{BroadcastId, ChannelName, Codec, Incarnation, SessionEnd, SessionId, TrackKind};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::incarnation::Incarnations;
use self::reporter::Reports;
use crate::config::{Config, TranscodeMode};
use crate::exit::Exit;

/// How many publishers and orders may wait for a broadcast.
const WORDS_MAX: usize = 4;

/// Everything that a broadcast is started with. One task owns it.
pub(crate) struct Node {
    incarnations: Incarnations,
    directory: Directory,
    reports: Reports,
    metrics: BroadcastMetrics,
    transcoding: Arc<dyn Transcoding>,
    running: HashMap<ChannelName, Running>,
    orders: mpsc::Receiver<Order>,
}

/// An order to end a session that is not open any more: its broadcast may still wait for it.
pub(crate) struct Order {
    /// The last session of the broadcast.
    pub(crate) session: SessionId,
    /// Why.
    pub(crate) end: SessionEnd,
}

/// A broadcast that publishers can join.
struct Running {
    broadcast: BroadcastId,
    /// Its last session.
    session: SessionId,
    words: mpsc::Sender<Word>,
}

impl Node {
    /// A node that lists its broadcasts in `directory` and tells of them in `reports`.
    ///
    /// # Errors
    /// The data folder's counter cannot be read, this program cannot be found, or the metrics exist already.
    pub(crate) fn new(
        config: &Config,
        directory: Directory,
        reports: Reports,
        orders: mpsc::Receiver<Order>,
        registry: &Registry,
    ) -> Result<Self, Exit> {
        Ok(Self {
            incarnations: Incarnations::open(&config.data.join("node")).map_err(Exit::unavailable)?,
            directory,
            reports,
            metrics: BroadcastMetrics::register(registry).map_err(Exit::software)?,
            transcoding: Arc::new(WorkerProcess(worker_command(config)?)),
            running: HashMap::new(),
            orders,
        })
    }

    /// Takes publishers until `cancel`, then lets every broadcast finish its open part.
    pub(crate) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, cancel: CancellationToken) {
        let mut broadcasts = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(arrival) = arrivals.recv() => {
                    if let Some(arrival) = self.join(arrival) {
                        self.take(arrival, &mut broadcasts, &cancel);
                    }
                }
                Some(order) = self.orders.recv() => self.obey(&order),
                Some(ended) = broadcasts.join_next() => {
                    log_panic(ended);
                    self.directory.sweep();
                }
            }
        }
        while let Some(ended) = broadcasts.join_next().await {
            log_panic(ended);
        }
    }

    /// Hands a publisher to the broadcast of its channel that runs or waits for it; gives it back if there is none.
    fn join(&mut self, arrival: Arrival) -> Option<Arrival> {
        self.running.retain(|_, running| !running.words.is_closed());
        let Some(running) = self.running.get_mut(&arrival.grant.channel) else {
            return Some(arrival);
        };
        let Arrival { grant, session, tracks, feed } = arrival;
        match running.words.try_send(Word::Join(Joining { feed, role: grant.role })) {
            Ok(()) => {
                self.reports.update(&running.broadcast, |report| {
                    report.session = session.clone();
                    report.key_id.clone_from(&grant.key_id);
                    report.protocol = Protocol::Whip;
                });
                running.session = session;
                None
            }
            // It has just ended: a new one begins.
            Err(TrySendError::Closed(Word::Join(Joining { feed, .. }))) => {
                Some(Arrival { grant, session, tracks, feed })
            }
            // Too many at once; the feed is dropped, which ends the session.
            Err(_) => {
                tracing::warn!(%session, "too many publishers join at once; one is turned away");
                None
            }
        }
    }

    /// Ends the broadcast that waits for that session.
    fn obey(&self, order: &Order) {
        if let Some(running) = self.running.values().find(|running| running.session == order.session) {
            // Where its queue is full, its publisher is there, and the next report has the order again.
            let _ = running.words.try_send(Word::End(order.end));
        }
    }

    /// Starts a broadcast of a new publisher's feed. Where that fails, the feed is dropped, which ends the session.
    fn take(&mut self, arrival: Arrival, broadcasts: &mut JoinSet<()>, cancel: &CancellationToken) {
        let incarnation = match self.incarnations.next() {
            Ok(incarnation) => incarnation,
            Err(error) => {
                tracing::error!(%error, channel = %arrival.grant.channel, "no incarnation number; the publisher is turned away");
                return;
            }
        };
        let id = new_broadcast_id();
        let (status, told) = watch::channel(Status::default());
        let (words, waiting) = mpsc::channel(WORDS_MAX);
        let running = Running { broadcast: id.clone(), session: arrival.session.clone(), words };
        self.running.insert(arrival.grant.channel.clone(), running);
        let report = first_report(&arrival, &id, incarnation);
        self.reports.begin(report);
        let start = Start {
            tracks: tracks(&arrival.tracks),
            grant: arrival.grant,
            broadcast: id.clone(),
            incarnation,
            feed: arrival.feed,
            words: waiting,
            transcoding: Arc::clone(&self.transcoding),
            msn_start: 0,
            listing: listing(self.directory.clone()),
            status,
            metrics: self.metrics.clone(),
        };
        let life = Life { id, told, reports: self.reports.clone(), directory: self.directory.clone() };
        broadcasts.spawn(life.run(start, cancel.clone()));
    }
}

/// One broadcast from its start until viewers are owed nothing more.
struct Life {
    id: BroadcastId,
    told: watch::Receiver<Status>,
    reports: Reports,
    directory: Directory,
}

impl Life {
    async fn run(mut self, start: Start, cancel: CancellationToken) {
        let work = broadcast::run(start, cancel.clone());
        tokio::pin!(work);
        let end = loop {
            tokio::select! {
                end = &mut work => break end,
                Ok(()) = self.told.changed() => self.report(),
            }
        };
        self.report();
        self.retain(end, cancel).await;
    }

    /// What the next report says is what the broadcast last said.
    fn report(&mut self) {
        let status = self.told.borrow_and_update().clone();
        self.directory.set_state(&self.id, status.state);
        self.reports.update(&self.id, |report| {
            report.state = status.state;
            report.end = status.end;
            report.source_size = status.source_size;
        });
    }

    /// Keeps an ended window for as long as viewers are owed it (rfc8216bis 6.2.2), then takes it from the list.
    async fn retain(self, end: BroadcastEnd, cancel: CancellationToken) {
        if let Some(retained) = end.retained {
            retained.hold(cancel).await;
        }
        self.directory.unlist(&self.id);
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a broadcast's task did not end cleanly; the others go on");
    }
}

/// Makes a broadcast its channel's current one as soon as it can be played.
fn listing(directory: Directory) -> Listing {
    Box::new(move |live| {
        let (channel, broadcast) = (live.channel.clone(), live.id.clone());
        match directory.list(live) {
            Ok(()) => tracing::info!(%channel, %broadcast, "on air"),
            Err(error) => tracing::error!(%channel, %broadcast, %error, "cannot be listed for viewers"),
        }
    })
}

fn first_report(arrival: &Arrival, id: &BroadcastId, incarnation: Incarnation) -> BroadcastReport {
    BroadcastReport {
        broadcast: id.clone(),
        channel: arrival.grant.channel.clone(),
        incarnation,
        session: arrival.session.clone(),
        protocol: Protocol::Whip,
        key_id: arrival.grant.key_id.clone(),
        state: BroadcastState::Live,
        started_at_us: arrival.feed.zero().map_or(0, |zero| zero.wall.0),
        end: None,
        source_size: None,
    }
}

fn tracks(codecs: &[Codec]) -> Tracks {
    let has = |kind| codecs.iter().any(|codec| codec.kind() == kind);
    Tracks { video: has(TrackKind::Video), audio: has(TrackKind::Audio) }
}

/// Unique over all time and nodes, and sorted by time.
fn new_broadcast_id() -> BroadcastId {
    let id = uuid::Uuid::now_v7().simple().to_string();
    id.parse().expect("32 hexadecimal digits are a slug")
}

/// This same binary, told to be a worker; or threads of this process.
fn worker_command(config: &Config) -> Result<WorkerCommand, Exit> {
    match config.transcode.mode {
        TranscodeMode::InProcess => Ok(WorkerCommand::InProcess),
        TranscodeMode::Process => Ok(WorkerCommand::Process {
            program: std::env::current_exe().map_err(Exit::software)?,
            arguments: vec!["transcode".into()],
            environment: Vec::new(),
        }),
    }
}
