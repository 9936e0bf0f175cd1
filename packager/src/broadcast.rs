//! One broadcast: looks at the feed's first pictures, plans, and then runs two tasks, feed to
//! transcoder and transcoder to playlists.
//!
//! Two tasks and not one: a task that pushes into a full transcoder which pushes back would wait for
//! itself. Both hand their state back when a worker dies, and a new one goes on with it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use packager_transcode::wire::Coding;
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

use crate::archive::{Archive, DvrStore, End};
use crate::ladder;
use crate::passthrough::Terms;
use crate::playlist::dvr::Rules;
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
    /// Where segments are kept for rewinding, if the grant wants it.
    pub dvr: Option<DvrStore>,
}

/// How a broadcast begins.
pub enum Opening {
    /// With a publisher. Its feed is dropped when the broadcast ends for another reason than its own.
    Publisher {
        /// The publisher.
        joining: Joining,
        /// Which kinds of track it negotiated. Pictures that stay away for the first seconds are not offered; for sound
        /// that does, there is silence until it comes.
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
    /// What the top rung says of its coding: as the source, where that may be passed through.
    #[serde(default)]
    pub coding: Coding,
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
    /// What it takes of the machine.
    pub load: Load,
}

/// What a broadcast takes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Processor time for each second of its media, in thousandths; `None` while it is not known.
    pub millicores: Option<u32>,
    /// Whether it gives quality up so that encoding keeps pace.
    pub is_degraded: bool,
}

impl Load {
    /// Processor time for each second of its media, in cores.
    #[must_use]
    pub fn cores(self) -> Option<f64> {
        self.millicores.map(|millicores| f64::from(millicores) / 1_000.0)
    }
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
            load: Load::default(),
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
        warn!(broadcast = %start.broadcast, seen = ?seen.tracks, negotiated = ?tracks, "a track stays silent");
    }
    let zero = first.feed.zero().unwrap_or_else(|| begun_now(seen.begins));
    let outline = Outline {
        tracks: Tracks { audio: seen.tracks.audio || tracks.audio, ..seen.tracks },
        source: seen.size.map(|size| ladder::source_size(size, grant.last_size)),
        frame_rate: ladder::frame_rate(grant.frame_rate, || seen.frame_rate),
        zero: zero.wall,
        coding: Coding::default(),
    };
    let put_off = Timing::new(grant.profile, outline.frame_rate, outline.tracks).put_off(seen.begins);
    let zero = Zero {
        instant: zero.instant.checked_sub(real(put_off)).unwrap_or(zero.instant),
        wall: zero.wall.plus(-put_off),
    };
    let outline = Outline { coding: coding(&seen, &outline, grant), zero: zero.wall, ..outline };
    let begins = seen.begins + put_off;
    let first = First { publisher: Some(first), units: later(seen.units, put_off), put_off, zero, begins, epoch: 0 };
    begin(start, outline, first, cancel).await
}

/// The same units, so much later.
fn later(units: Vec<AccessUnit>, by: MediaTime) -> Vec<AccessUnit> {
    let moved = |unit: AccessUnit| AccessUnit { pts: unit.pts + by, dts: unit.dts + by, ..unit };
    units.into_iter().map(moved).collect()
}

/// What the top rung says of its coding: the same as a source of its size that encoders can be told to follow.
fn coding(seen: &look::Seen, outline: &Outline, grant: &PublishGrant) -> Coding {
    let renditions = ladder::renditions(&grant.ladder, outline.source, false, grant.profile);
    let top = renditions.first().and_then(ladder::Rendition::size);
    let may_pass = grant.passthrough && top.is_some() && top == seen.size;
    seen.coding.filter(|_| may_pass).unwrap_or_default()
}

/// Goes on by the clock, with the slate, until the publisher comes back.
async fn resumed(start: Start, outline: Outline, epoch: u64, cancel: CancellationToken) -> BroadcastEnd {
    let now = begun_now(MediaTime::ZERO);
    let begins = MediaTime::from_micros(now.wall.0.saturating_sub(outline.zero.0).max(0));
    let instant = now.instant.checked_sub(real(begins)).unwrap_or(now.instant);
    let zero = Zero { instant, wall: outline.zero };
    let first = First { publisher: None, units: Vec::new(), put_off: MediaTime::ZERO, zero, begins, epoch };
    begin(start, outline, first, cancel).await
}

/// What a broadcast has at its beginning.
struct First {
    publisher: Option<Joining>,
    /// What was taken from its feed already, on the broadcast's clock.
    units: Vec<AccessUnit>,
    /// From the feed's clock to the broadcast's.
    put_off: MediaTime,
    zero: Zero,
    /// The time of the first media.
    begins: MediaTime,
    epoch: u64,
}

/// Plans from the outline, and runs.
async fn begin(start: Start, outline: Outline, first: First, cancel: CancellationToken) -> BroadcastEnd {
    let (grant, transcoding) = (start.grant, start.transcoding);
    let mut renditions = ladder::renditions(&grant.ladder, outline.source, outline.tracks.audio, grant.profile);
    ladder::set_coding(&mut renditions, outline.coding);
    let timing = Arc::new(Timing::new(grant.profile, outline.frame_rate, outline.tracks));
    let mut archive = start.dvr.filter(|_| grant.dvr_s > 0).and_then(|store| {
        let span = MediaTime(i64::from(grant.dvr_s) * MediaTime::PER_SECOND);
        let names: Vec<_> = renditions.iter().map(|rendition| &rendition.name).collect();
        store.begin(&start.broadcast, Rules { timing: Arc::clone(&timing), zero: first.zero.wall, span }, &names)
    });
    let keyframe = Arc::new(Notify::new());
    let begins = timing.beginning(first.begins);
    let frame = outline.tracks.video.then(|| timing.frame_rate.frame());
    let listed: Arc<OnceLock<String>> = Arc::default();
    let passage = grant.passthrough.then(|| passage(&renditions, &timing, &listed, &start.metrics)).flatten();
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
            dvr_s: archive.as_ref().map_or(0, |_| grant.dvr_s),
        },
        renditions,
        timing,
        publish::Outlets {
            listing: start.listing,
            status: start.status,
            metrics: start.metrics,
            keyframe: Arc::clone(&keyframe),
            archive: archive.as_mut().map(Archive::tracks).unwrap_or_default(),
            top_codecs: listed,
        },
    );
    let opener = first.publisher.map(|joining| sources::Opener { joining, offset: first.put_off });
    let sources = sources::Sources::new(sessions, opener, &first.units);
    let slate = grant.slate.map(|slate| slate.data);
    let beginning = feeding::Beginning { at: begins, frame, slate, keyframe, passage };
    let feeding = feeding::Feeding::new(sources, first.units, beginning);
    let mut end = run::run(publisher, feeding, transcoding, cancel).await;
    if let Some(archive) = archive {
        let kept = archive.end(if end.cause.is_final() { End::Final } else { End::Left }).await;
        end.retained = end.retained.map(|retained| retained.with_dvr(kept));
    }
    end
}

/// How the top rung may be passed through; `None` without pictures.
fn passage(
    renditions: &[ladder::Rendition],
    timing: &Arc<Timing>,
    listed: &Arc<OnceLock<String>>,
    metrics: &BroadcastMetrics,
) -> Option<feeding::Passage> {
    let plan = ladder::plan(renditions, timing, MediaTime::ZERO);
    let top = renditions.first()?;
    let terms =
        Terms { timing: Arc::clone(timing), size: top.size()?, bandwidth: ladder::bandwidth(&top.media, timing) };
    let decode_every = plan.thumbnail.filter(|_| plan.video.len() == 1).map(|thumbnail| thumbnail.interval);
    Some(feeding::Passage { terms, listed: Arc::clone(listed), decode_every, metrics: metrics.clone() })
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
