//! One broadcast: looks at the feed's first pictures, plans, and then runs two tasks, feed to
//! transcoder and transcoder to playlists.
//!
//! Two tasks and not one: a task that pushes into a full transcoder which pushes back would wait for
//! itself. Both hand their state back when a worker dies, and a new one goes on with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use schema::api::{BroadcastState, PublishGrant};
use schema::ladder::{FrameRate, PictureSize};
use schema::{AccessUnit, BroadcastId, Incarnation, MediaTime, SessionEnd, UnixMicros, Zero};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
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
pub use sources::{Joining, Publishing, Word};
pub use transcoding::{Ends, Pending, TranscoderInput, TranscoderOutput, Transcoding, TranscodingError, WorkerProcess};

use crate::ladder;
use crate::timing::Timing;
use look::Looked;

/// Everything that a broadcast begins with.
pub struct Start {
    /// What the publisher was granted.
    pub grant: PublishGrant,
    /// The broadcast's id, as in URLs.
    pub broadcast: BroadcastId,
    /// Its fencing number; all names of objects carry it.
    pub incarnation: Incarnation,
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

/// How a broadcast begins.
pub enum Opening {
    /// With a publisher. Its feed is dropped when the broadcast ends for another reason than its own.
    Publisher {
        /// The publisher.
        joining: Joining,
        /// Which kinds of track it negotiated. One that stays silent for the first seconds is not offered.
        tracks: Tracks,
    },
    /// As its node left it when it stopped; the publisher is awaited.
    Resumed {
        /// What it is made of.
        outline: Outline,
        /// The discontinuity sequence number of what comes.
        epoch: u64,
    },
}

/// What is fixed with a broadcast's first pictures, for its whole life and that of its URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Which kinds of track it has.
    pub tracks: Tracks,
    /// The size that its ladder is planned for; `None` without pictures.
    pub source: Option<PictureSize>,
    /// The output frame rate.
    pub frame_rate: FrameRate,
    /// When media time zero was captured.
    pub zero: UnixMicros,
}

/// How far a broadcast's playlists have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The lowest media sequence number that was never listed.
    pub next_msn: u64,
    /// The discontinuity sequence number of what is listed last.
    pub epoch: u64,
}

/// How a broadcast is, for reports, and for who goes on with it after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Live, waiting for its publisher, or over.
    pub state: BroadcastState,
    /// Whose media are shown, or were last.
    pub publisher: Option<Publishing>,
    /// Known once its first pictures are.
    pub outline: Option<Outline>,
    /// Known once something is listed.
    pub reached: Option<Reached>,
    /// Why it is over.
    pub end: Option<SessionEnd>,
    /// The largest size that its source has had, once known.
    pub source_size: Option<PictureSize>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: BroadcastState::Live,
            publisher: None,
            outline: None,
            reached: None,
            end: None,
            source_size: None,
        }
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

/// Runs a broadcast until nobody publishes it any more, `cancel` is called or its transcoder fails for good.
///
/// Cancelled, it finishes the open part and sets no end mark; it returns within a few seconds.
pub async fn run(start: Start, opening: Opening, cancel: CancellationToken) -> BroadcastEnd {
    let metrics = start.metrics.clone();
    let status = start.status.clone();
    let (broadcast, channel) = (start.broadcast.clone(), start.grant.channel.clone());
    let _active = Active::begin(metrics);
    info!(%broadcast, %channel, "broadcast begins");
    let end = match opening {
        Opening::Publisher { joining, tracks } => looked_at(start, joining, tracks, cancel).await,
        Opening::Resumed { outline, epoch } => resumed(start, outline, epoch, cancel).await,
    };
    status.send_modify(|status| {
        status.state = BroadcastState::Ended;
        status.end = Some(end.cause.session_end());
    });
    info!(%broadcast, %channel, cause = ?end.cause, "broadcast is over");
    end
}

async fn looked_at(mut start: Start, mut first: Joining, tracks: Tracks, cancel: CancellationToken) -> BroadcastEnd {
    // The transcoder starts during the look, which then costs the viewers no more than itself.
    start.transcoding = start.transcoding.ahead().unwrap_or(start.transcoding);
    let grant = &start.grant;
    let seen = match look::look(first.feed.as_mut(), tracks, grant.frame_rate, &cancel).await {
        Looked::Seen(seen) => seen,
        Looked::Ended(cause) => {
            return BroadcastEnd { cause, next_msn: start.msn_start, retained: None };
        }
    };
    if let Some(size) = seen.size {
        start.status.send_modify(|status| status.source_size = Some(size));
    }
    if seen.tracks != tracks {
        warn!(broadcast = %start.broadcast, seen = ?seen.tracks, negotiated = ?tracks, "a track stays silent and is not offered");
    }
    let zero = first.feed.zero().unwrap_or_else(|| begun_now(seen.begins));
    let outline = Outline {
        tracks: seen.tracks,
        source: seen.size.map(|size| ladder::source_size(size, grant.last_size)),
        frame_rate: ladder::frame_rate(grant.frame_rate, || seen.frame_rate),
        zero: zero.wall,
    };
    let first = First { publisher: Some(first), units: seen.units, zero, begins: seen.begins, epoch: 0 };
    begin(start, outline, first, cancel).await
}

/// Goes on by the clock, with the slate, until the publisher comes back.
async fn resumed(start: Start, outline: Outline, epoch: u64, cancel: CancellationToken) -> BroadcastEnd {
    let now = begun_now(MediaTime::ZERO);
    let begins = MediaTime::from_micros(now.wall.0.saturating_sub(outline.zero.0).max(0));
    let instant = now.instant.checked_sub(real(begins)).unwrap_or(now.instant);
    let zero = Zero { instant, wall: outline.zero };
    let first = First { publisher: None, units: Vec::new(), zero, begins, epoch };
    begin(start, outline, first, cancel).await
}

/// What a broadcast has at its beginning.
struct First {
    publisher: Option<Joining>,
    /// What was taken from its feed already.
    units: Vec<AccessUnit>,
    zero: Zero,
    /// The time of the first media.
    begins: MediaTime,
    epoch: u64,
}

/// Plans from the outline, and runs.
async fn begin(start: Start, outline: Outline, first: First, cancel: CancellationToken) -> BroadcastEnd {
    let grant = start.grant;
    let renditions = ladder::renditions(&grant.ladder, outline.source, outline.tracks.audio, grant.profile);
    let timing = Arc::new(Timing::new(grant.profile, outline.frame_rate, outline.tracks));
    let keyframe = Arc::new(Notify::new());
    let begins = timing.beginning(first.begins);
    start.status.send_modify(|status| status.outline = Some(outline));
    let sessions = sources::Sessions {
        zero: first.zero,
        grace: Duration::from_secs(u64::from(grant.grace_s)),
        words: start.words,
        status: start.status.clone(),
    };
    let publisher = Publisher::new(
        publish::Subject {
            broadcast: start.broadcast,
            channel: grant.channel,
            title: grant.title,
            profile: grant.profile,
            incarnation: start.incarnation,
            zero: first.zero.wall,
            begins,
            msn_start: start.msn_start,
            epoch: first.epoch,
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
    let sources = sources::Sources::new(sessions, first.publisher, &first.units);
    let slate = grant.slate.map(|slate| slate.data);
    let feeding = feeding::Feeding::new(sources, first.units, feeding::Beginning { at: begins, slate, keyframe });
    run::run(publisher, feeding, start.transcoding, cancel).await
}

/// The zero of a feed that does not tell: as if its beginning had been captured just now.
fn begun_now(begins: MediaTime) -> Zero {
    let wall = UnixMicros::from(SystemTime::now()).plus(-begins);
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
