//! One broadcast: looks at the feed's first pictures, plans, and then runs two tasks, feed to
//! transcoder and transcoder to playlists.
//!
//! Two tasks and not one: a task that pushes into a full transcoder which pushes back would wait for
//! itself. Both hand their state back when a worker dies, and a new one goes on with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schema::api::{BroadcastState, PublishGrant};
use schema::ladder::PictureSize;
use schema::{BroadcastId, Feed, Incarnation, MediaTime, SessionEnd, UnixMicros, Zero};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

mod feeding;
mod look;
mod publish;
mod restarts;
mod run;
mod sources;
mod transcoding;

pub use crate::metrics::BroadcastMetrics;
pub use crate::timing::Tracks;
pub use publish::{Flow, Listing, Outlets, Publisher, Retained, Subject};
pub use sources::{Joining, Word};
pub use transcoding::{Ends, Pending, TranscoderInput, TranscoderOutput, Transcoding, TranscodingError, WorkerProcess};

use crate::ladder;
use crate::timing::Timing;
use look::{Looked, Seen};

/// Everything that a broadcast begins with.
pub struct Start {
    /// What the publisher was granted.
    pub grant: PublishGrant,
    /// The broadcast's id, as in URLs.
    pub broadcast: BroadcastId,
    /// Its fencing number; all names of objects carry it.
    pub incarnation: Incarnation,
    /// Which kinds of track were negotiated. One that stays silent for the first seconds is not offered.
    pub tracks: Tracks,
    /// The first publisher's media. Dropped when the broadcast ends for another reason than its own.
    pub feed: Box<dyn Feed>,
    /// Publishers that join later, and orders to end. Closed when the broadcast is over.
    pub words: mpsc::Receiver<Word>,
    /// How a transcode worker is started.
    pub transcoding: Arc<dyn Transcoding>,
    /// The first media sequence number: above every one ever listed under the same URL.
    pub msn_start: u64,
    /// Called once, as soon as one part of each rendition exists. Must not block.
    pub listing: Listing,
    /// Where the broadcast says how it is.
    pub status: watch::Sender<Status>,
    /// What is counted.
    pub metrics: BroadcastMetrics,
}

/// How a broadcast is, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Live or over.
    pub state: BroadcastState,
    /// Why it is over.
    pub end: Option<SessionEnd>,
    /// The largest size that its source has had, once known.
    pub source_size: Option<PictureSize>,
}

impl Default for Status {
    fn default() -> Self {
        Self { state: BroadcastState::Live, end: None, source_size: None }
    }
}

/// Why a broadcast is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its session ended.
    Session(SessionEnd),
    /// It was cancelled: this node shuts down.
    Shutdown,
    /// Its transcoder could not be started or kept alive.
    TranscoderFailed,
}

impl Cause {
    /// The word for reports. A failed transcoder counts as a lost session: the publisher may come back.
    #[must_use]
    pub fn session_end(self) -> SessionEnd {
        match self {
            Self::Session(end) => end,
            Self::Shutdown => SessionEnd::Shutdown,
            Self::TranscoderFailed => SessionEnd::Lost,
        }
    }

    /// A shutting-down node sets no end mark, so that the broadcast can go on.
    fn is_final(self) -> bool {
        self.session_end() != SessionEnd::Shutdown
    }
}

/// How a broadcast ended.
#[derive(Debug)]
pub struct BroadcastEnd {
    /// Why.
    pub cause: Cause,
    /// The lowest media sequence number that was never listed.
    pub next_msn: u64,
    /// What viewers are still owed; `None` if nothing was ever listed. Keep it, by
    /// [`Retained::hold`], until its time is over.
    pub retained: Option<Retained>,
}

/// Runs a broadcast until its session ends, `cancel` is called or its transcoder fails for good.
///
/// Cancelled, it finishes the open part and sets no end mark; it returns within a few seconds.
pub async fn run(start: Start, cancel: CancellationToken) -> BroadcastEnd {
    let metrics = start.metrics.clone();
    let status = start.status.clone();
    let (broadcast, channel) = (start.broadcast.clone(), start.grant.channel.clone());
    let _active = Active::begin(metrics);
    info!(%broadcast, %channel, "broadcast begins");
    let end = looked_at(start, cancel).await;
    status.send_modify(|status| {
        status.state = BroadcastState::Ended;
        status.end = Some(end.cause.session_end());
    });
    info!(%broadcast, %channel, cause = ?end.cause, "broadcast is over");
    end
}

async fn looked_at(mut start: Start, cancel: CancellationToken) -> BroadcastEnd {
    let wish = start.grant.frame_rate;
    let seen = match look::look(start.feed.as_mut(), start.tracks, wish, &cancel).await {
        Looked::Seen(seen) => seen,
        Looked::Ended(cause) => {
            return BroadcastEnd { cause, next_msn: start.msn_start, retained: None };
        }
    };
    if let Some(size) = seen.size {
        start.status.send_modify(|status| status.source_size = Some(size));
    }
    if seen.tracks != start.tracks {
        warn!(broadcast = %start.broadcast, seen = ?seen.tracks, negotiated = ?start.tracks, "a track stays silent and is not offered");
    }
    begin(start, seen, cancel).await
}

/// Plans from what was seen, and runs.
async fn begin(start: Start, seen: Seen, cancel: CancellationToken) -> BroadcastEnd {
    let grant = &start.grant;
    let source = seen.size.map(|size| ladder::source_size(size, grant.last_size));
    let renditions = ladder::renditions(&grant.ladder, source, seen.tracks.audio, grant.profile);
    let rate = ladder::frame_rate(grant.frame_rate, || seen.frame_rate);
    let timing = Arc::new(Timing::new(grant.profile, rate, seen.tracks));
    let keyframe = Arc::new(tokio::sync::Notify::new());
    let zero = start.feed.zero().unwrap_or_else(|| begun_now(seen.begins));
    let begins = timing.beginning(seen.begins);
    let slate = grant.slate.as_ref().map(|slate| slate.data.clone());
    let sessions = sources::Sessions {
        zero,
        grace: Duration::from_secs(u64::from(grant.grace_s)),
        words: start.words,
        status: start.status.clone(),
    };
    let publisher = Publisher::new(
        publish::Subject {
            broadcast: start.broadcast,
            channel: grant.channel.clone(),
            title: grant.title.clone(),
            profile: grant.profile,
            incarnation: start.incarnation,
            zero: zero.wall,
            begins,
            msn_start: start.msn_start,
        },
        renditions,
        timing,
        publish::Outlets {
            listing: start.listing,
            status: start.status,
            metrics: start.metrics,
            keyframe: Arc::clone(&keyframe),
        },
    );
    let first = Joining { feed: start.feed, role: start.grant.role };
    let sources = sources::Sources::new(sessions, first, &seen.units);
    let feeding = feeding::Feeding::new(sources, seen.units, feeding::Beginning { at: begins, slate, keyframe });
    run::run(publisher, feeding, start.transcoding, cancel).await
}

/// The zero of a feed that does not tell: as if its beginning had been captured just now.
fn begun_now(begins: MediaTime) -> Zero {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall = UnixMicros(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)).plus(-begins);
    let now = Instant::now().into_std();
    Zero { instant: now.checked_sub(real(begins)).unwrap_or(now), wall }
}

/// Counts a running broadcast, also when its future is dropped.
struct Active(BroadcastMetrics);

impl Active {
    fn begin(metrics: BroadcastMetrics) -> Self {
        metrics.broadcasts_active.inc();
        Self(metrics)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.broadcasts_active.dec();
    }
}

/// Media time as a span of real time.
fn real(time: MediaTime) -> Duration {
    Duration::from_micros(time.to_micros().max(0).unsigned_abs())
}
