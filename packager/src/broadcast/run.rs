//! Owns both tasks of a broadcast, and starts the transcoder again when it dies.

use std::sync::Arc;
use std::time::Duration;

use packager_transcode::wire::Output;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::feeding::{Fed, Feeding, Offered, Shown, Sides, Stops};
use super::publish::{Flow, Publisher, Steps};
use super::restarts::Restarts;
use super::transcoding::{Ends, TranscoderOutput, Transcoding};
use super::{BroadcastEnd, Cause};
use crate::live::LiveBroadcast;

/// A transcoder that says nothing at all for so long, after it said that it is alive, has stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// A transcoder that puts nothing out for so long, though it is fed, hangs.
const HANG: Duration = Duration::from_secs(5);
/// How many pictures that are passed through may wait to be published; when full, feeding waits.
const SHOWN_QUEUE: usize = 64;
/// How long a transcoder may take to finish.
const FINISH: Duration = Duration::from_secs(3);

/// How one transcoder's life ended.
struct Life {
    publisher: Box<Publisher>,
    feeding: Box<Feeding>,
    fed: Fed,
    flow: Flow,
}

/// Runs until the feed ends, `cancel` is called or the transcoder dies too often.
pub(super) async fn run(
    publisher: Publisher,
    feeding: Feeding,
    transcoding: Arc<dyn Transcoding>,
    cancel: CancellationToken,
) -> BroadcastEnd {
    let (mut publisher, mut feeding) = (Box::new(publisher), Box::new(feeding));
    let mut restarts = Restarts::default();
    loop {
        match transcoding.start(publisher.plan()).await {
            Ok(ends) => {
                let (metrics, seen) = (publisher.metrics(), Arc::clone(publisher.live()));
                let Some(life) = live(publisher, feeding, ends, &cancel).await else {
                    metrics.transcoder_failures.inc();
                    return lost(&seen);
                };
                (publisher, feeding) = (life.publisher, life.feeding);
                if let Some(cause) = cause(life.fed) {
                    return publisher.end(cause);
                }
                warn!(broadcast = %publisher.id(), flow = ?life.flow, "transcoder died");
            }
            Err(error) => warn!(broadcast = %publisher.id(), %error, "transcoder did not start"),
        }
        let Some(delay) = restarts.next(Instant::now()) else {
            error!(broadcast = %publisher.id(), "transcoder died too often; the broadcast ends");
            publisher.metrics().transcoder_failures.inc();
            return publisher.end(Cause::TranscoderFailed);
        };
        tokio::select! {
            () = cancel.cancelled() => return publisher.end(Cause::Shutdown),
            () = sleep(delay) => {}
        }
        publisher.metrics().transcoder_restarts.inc();
        publisher.restart();
        feeding.restart(publisher.plan().start);
    }
}

/// Why the broadcast is over, if it is.
fn cause(fed: Fed) -> Option<Cause> {
    match fed {
        Fed::Ended(end) => Some(Cause::Session(end)),
        Fed::Cancelled => Some(Cause::Shutdown),
        Fed::Gone => None,
    }
}

/// One of our tasks panicked, and took what it owned with it; what it had listed is known.
fn lost(live: &LiveBroadcast) -> BroadcastEnd {
    let after = live.renditions.iter().map(|rendition| {
        let snapshot = rendition.snapshot.borrow();
        snapshot.next_msn + u64::from(snapshot.open_parts > 0)
    });
    BroadcastEnd { cause: Cause::TranscoderFailed, next_msn: after.max().unwrap_or(0), retained: None }
}

enum Done {
    Feeding(Box<Feeding>, Fed),
    Publishing(Box<Publisher>, Flow),
}

/// Both tasks over one transcoder, until both are done; `None` if one panicked.
async fn live(
    publisher: Box<Publisher>,
    feeding: Box<Feeding>,
    (input, output): Ends,
    cancel: &CancellationToken,
) -> Option<Life> {
    let gone = CancellationToken::new();
    let hurry = CancellationToken::new();
    let stops = Stops { cancel: cancel.clone(), gone: gone.clone() };
    let fed = feeding.fed();
    let (pace, steps) = watch::channel(publisher.steps());
    let mut tasks = JoinSet::new();
    let (shown, to_show) = mpsc::channel(SHOWN_QUEUE);
    let sides = Sides { input, shown };
    tasks.spawn(async move {
        let (feeding, fed) = feeding.run(sides, steps, stops).await;
        Done::Feeding(feeding, fed)
    });
    tasks.spawn(publishing(publisher, Heard { output, to_show }, fed, pace, hurry.clone()));
    let (mut fed_side, mut published_side) = (None, None);
    let mut deadline = None;
    while fed_side.is_none() || published_side.is_none() {
        tokio::select! {
            done = tasks.join_next() => match done? {
                Ok(Done::Feeding(feeding, fed)) => {
                    fed_side = Some((feeding, fed));
                    deadline = Some(Instant::now() + FINISH);
                }
                Ok(Done::Publishing(publisher, flow)) => {
                    published_side = Some((publisher, flow));
                    gone.cancel();
                }
                Err(panic) => {
                    error!(%panic, "a task of a broadcast failed");
                    return None;
                }
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                hurry.cancel();
                deadline = None;
            }
        }
    }
    let ((feeding, fed), (publisher, flow)) = (fed_side?, published_side?);
    Some(Life { publisher, feeding, fed, flow })
}

/// What the second task hears.
struct Heard {
    output: Box<dyn TranscoderOutput>,
    /// What is passed through.
    to_show: mpsc::Receiver<Shown>,
}

/// The second task: from the transcoder into the playlists. What is passed through comes first: the transcoder
/// speaks of it later.
async fn publishing(
    mut publisher: Box<Publisher>,
    mut heard: Heard,
    fed: Arc<Offered>,
    pace: watch::Sender<Steps>,
    hurry: CancellationToken,
) -> Done {
    let mut pulse = Pulse::new(&fed);
    let mut outages = fed.outages();
    let flow = loop {
        let next: Option<Output> = tokio::select! {
            biased;
            Some(shown) = heard.to_show.recv() => {
                match shown {
                    Shown::Turn(turn) => publisher.turn(&turn, std::time::Instant::now()),
                    Shown::Picture(unit) => publisher.passed(&unit, std::time::Instant::now()),
                }
                continue;
            }
            next = timeout_at(pulse.deadline(), heard.output.next()) => match next {
                Ok(next) => next,
                Err(_) if pulse.is_hung(&fed) => break Flow::Hung,
                Err(_) => {
                    pulse.heard = Instant::now();
                    continue;
                }
            },
            () = hurry.cancelled() => break Flow::Hung,
        };
        let Some(next) = next else { break Flow::Gone };
        if pulse.beat(&next, &fed) {
            break Flow::Hung;
        }
        let known = outages.has_changed().unwrap_or(false).then(|| outages.borrow_and_update().clone());
        if let Some(known) = known {
            publisher.mark(&known, std::time::Instant::now());
        }
        match publisher.handle(next, fed.newest(), std::time::Instant::now()) {
            Flow::On => {}
            flow => break flow,
        }
        if let Some(steps) = publisher.pace(fed.pictures(), Instant::now().into_std()) {
            pace.send_replace(steps);
        }
    };
    Done::Publishing(publisher, flow)
}

/// Whether a transcoder is still well.
struct Pulse {
    /// True once it said that it is alive: it says so again and again, or its process has stopped.
    says_so: bool,
    /// When it last said anything, or was found to be silent rightly.
    heard: Instant,
    /// When it last put anything else out, and how much it had been fed by then.
    worked: Instant,
    fed: u64,
}

impl Pulse {
    fn new(fed: &Offered) -> Self {
        let now = Instant::now();
        Self { says_so: false, heard: now, worked: now, fed: fed.inputs() }
    }

    /// Until when to wait for its next word.
    fn deadline(&self) -> Instant {
        self.heard + if self.says_so { STOPPED } else { HANG }
    }

    /// It was silent for as long as it is waited for.
    fn is_hung(&self, fed: &Offered) -> bool {
        self.says_so || self.has_stalled(fed)
    }

    /// It said something; true if it is alive but works no more.
    fn beat(&mut self, output: &Output, fed: &Offered) -> bool {
        self.heard = Instant::now();
        if matches!(output, Output::Alive) {
            self.says_so = true;
            return self.has_stalled(fed);
        }
        (self.worked, self.fed) = (Instant::now(), fed.inputs());
        false
    }

    fn has_stalled(&self, fed: &Offered) -> bool {
        self.worked.elapsed() >= HANG && fed.inputs() > self.fed
    }
}
