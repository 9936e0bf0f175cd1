//! The node: takes each new publisher's feed, starts a broadcast of it and lists it for viewers, or hands it to
//! the broadcast that it left.

pub(crate) mod admission;
mod incarnation;
mod life;
pub(crate) mod reporter;
pub(crate) mod room;
pub(crate) mod rulebook;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use ingest::whip::{Admitted, Arrival, Place};
use origin::Directory;
use packager::archive::DvrStore;
use packager::broadcast::{
    BroadcastMetrics, Joining, Listing, Opening, Publishing, Start, Status, Tracks, Transcoding, Word, WorkerProcess,
};
use packager_transcode::process::WorkerCommand;
use prometheus::Registry;
use schema::api::{Access, BroadcastReport, BroadcastState, KeyRole, Protocol, PublishGrant};
use schema::{BroadcastId, ChannelName, Incarnation, SessionEnd, SessionId, UnixMicros};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::incarnation::Incarnations;
use self::life::Life;
use self::reporter::Reports;
use self::room::Room;
use self::shelf::{Saved, Shelf};
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
    shelf: Shelf,
    dvr: DvrStore,
    /// Broadcasts that an earlier run left, until they are taken up.
    left: Vec<(Saved, Incarnation)>,
    orders: mpsc::Receiver<Order>,
    room: Room,
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
    /// The last session of each role.
    sessions: HashMap<KeyRole, SessionId>,
    words: mpsc::Sender<Word>,
}

impl Node {
    /// A node that lists its broadcasts in `directory` and tells of them in `reports`, of those first that an
    /// earlier run left within their grace.
    ///
    /// # Errors
    /// The data folder cannot be used, this program cannot be found, or the metrics exist already.
    pub(crate) fn new(
        config: &Config,
        directory: Directory,
        reports: Reports,
        orders: mpsc::Receiver<Order>,
        room: Room,
        registry: &Registry,
    ) -> Result<Self, Exit> {
        let folder = config.data.join("node");
        let mut incarnations = Incarnations::open(&folder).map_err(Exit::unavailable)?;
        let shelf = Shelf::open(&folder.join("broadcasts")).map_err(Exit::unavailable)?;
        let mut left = Vec::new();
        for saved in shelf.take(now()).map_err(Exit::unavailable)? {
            let incarnation = incarnations.next().map_err(Exit::unavailable)?;
            reports.begin(Run::again(&saved, incarnation).report(&saved.grant, BroadcastState::Reconnecting));
            left.push((saved, incarnation));
        }
        let dvr = DvrStore::open(&folder.join("dvr"), config.dvr, registry).map_err(Exit::unavailable)?;
        Ok(Self {
            incarnations,
            directory,
            reports,
            metrics: BroadcastMetrics::register(registry).map_err(Exit::software)?,
            transcoding: Arc::new(WorkerProcess {
                command: worker_command(config)?,
                encoder: config.transcode.encoder.clone(),
                preset: config.transcode.preset.clone(),
            }),
            running: HashMap::new(),
            shelf,
            dvr,
            left,
            orders,
            room,
        })
    }

    /// Takes publishers until `cancel`, then lets every broadcast finish its open part.
    pub(crate) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, cancel: CancellationToken) {
        let mut broadcasts = JoinSet::new();
        let (dvr, known) = (self.dvr.clone(), self.left_ids());
        // New broadcasts have ids that none before had.
        broadcasts.spawn_blocking(move || dvr.sweep(&known));
        for (saved, incarnation) in std::mem::take(&mut self.left) {
            self.resume(saved, incarnation, &mut broadcasts, &cancel);
        }
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
        let Arrival { grant, place, session, tracks, feed } = arrival;
        let publishing = Publishing { session: session.clone(), key_id: grant.key_id.clone() };
        match running.words.try_send(Word::Join(Joining { feed, role: grant.role, publishing })) {
            Ok(()) => {
                running.sessions.insert(grant.role, session);
                None
            }
            // It has just ended: a new one begins.
            Err(TrySendError::Closed(Word::Join(Joining { feed, .. }))) => {
                Some(Arrival { grant, place, session, tracks, feed })
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
        let has_left = |running: &&Running| running.sessions.values().any(|session| *session == order.session);
        if let Some(running) = self.running.values().find(has_left) {
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
        let Arrival { grant, place, session, tracks, feed } = arrival;
        let run = Run {
            id: new_broadcast_id(),
            incarnation,
            publisher: Publishing { session, key_id: grant.key_id.clone() },
            started: feed.zero().map_or_else(now, |zero| zero.wall),
            msn_start: 0,
        };
        let joining = Joining { feed, role: grant.role, publishing: run.publisher.clone() };
        let opening = Opening::Publisher { joining, tracks: Tracks::of(&tracks) };
        self.reports.begin(run.report(&grant, BroadcastState::Live));
        self.start(run, Admitted { grant, place }, opening, broadcasts, cancel);
    }

    /// Takes up a broadcast that an earlier run of this node left.
    fn resume(
        &mut self,
        saved: Saved,
        incarnation: Incarnation,
        broadcasts: &mut JoinSet<()>,
        cancel: &CancellationToken,
    ) {
        tracing::info!(broadcast = %saved.broadcast, channel = %saved.grant.channel, "takes up a broadcast that was left");
        let run = Run::again(&saved, incarnation);
        let opening = Opening::Resumed { outline: saved.outline, epoch: saved.epoch + 1 };
        let place: Place = Box::new(self.room.take_any(&saved.grant));
        let admitted = Admitted { grant: saved.grant, place: Some(place) };
        self.start(run, admitted, opening, broadcasts, cancel);
    }

    /// The broadcasts that are taken up.
    fn left_ids(&self) -> Vec<BroadcastId> {
        self.left.iter().map(|(saved, _)| saved.broadcast.clone()).collect()
    }

    fn start(
        &mut self,
        run: Run,
        admitted: Admitted,
        opening: Opening,
        broadcasts: &mut JoinSet<()>,
        cancel: &CancellationToken,
    ) {
        let Admitted { grant, place } = admitted;
        let access = grant.access;
        let (status, told) = watch::channel(Status::default());
        let (words, waiting) = mpsc::channel(WORDS_MAX);
        let sessions = HashMap::from([(grant.role, run.publisher.session.clone())]);
        self.running.insert(grant.channel.clone(), Running { sessions, words });
        let life = Life {
            id: run.id.clone(),
            grant: grant.clone(),
            publisher: run.publisher,
            told: told.clone(),
            reports: self.reports.clone(),
            directory: self.directory.clone(),
            shelf: self.shelf.clone(),
            room: self.room.clone(),
            place,
            dvr: self.dvr.clone(),
        };
        let start = Start {
            grant,
            broadcast: run.id,
            incarnation: run.incarnation,
            words: waiting,
            transcoding: Arc::clone(&self.transcoding),
            msn_start: run.msn_start,
            listing: listing(self.directory.clone(), told.clone(), access),
            status,
            metrics: self.metrics.clone(),
            dvr: Some(self.dvr.clone()),
        };
        broadcasts.spawn(life.run(start, opening, cancel.clone()));
    }
}

/// What tells one run of a broadcast from another.
struct Run {
    id: BroadcastId,
    incarnation: Incarnation,
    publisher: Publishing,
    started: UnixMicros,
    msn_start: u64,
}

impl Run {
    fn again(saved: &Saved, incarnation: Incarnation) -> Self {
        Self {
            id: saved.broadcast.clone(),
            incarnation,
            publisher: saved.publisher.clone(),
            started: saved.outline.zero,
            msn_start: saved.next_msn,
        }
    }

    fn report(&self, grant: &PublishGrant, state: BroadcastState) -> BroadcastReport {
        BroadcastReport {
            broadcast: self.id.clone(),
            channel: grant.channel.clone(),
            incarnation: self.incarnation,
            session: self.publisher.session.clone(),
            protocol: Protocol::Whip,
            key_id: self.publisher.key_id.clone(),
            state,
            started_at_us: self.started.0,
            end: None,
            source_size: None,
            degraded: false,
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a broadcast's task did not end cleanly; the others go on");
    }
}

/// Makes a broadcast its channel's current one as soon as it can be played, for whoever may watch it.
fn listing(directory: Directory, told: watch::Receiver<Status>, access: Access) -> Listing {
    Box::new(move |live| {
        let (channel, broadcast) = (live.channel.clone(), live.id.clone());
        match directory.list_for(live, access) {
            Ok(()) => {
                tracing::info!(%channel, %broadcast, "on air");
                directory.set_state(&broadcast, told.borrow().state);
            }
            Err(error) => tracing::error!(%channel, %broadcast, %error, "cannot be listed for viewers"),
        }
    })
}

/// The wall clock.
fn now() -> UnixMicros {
    SystemTime::now().into()
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
