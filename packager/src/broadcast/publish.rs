//! From the transcoder's words to what viewers see: segmenter, fragment, window, snapshot, for each rendition.
//!
//! Waits for nothing: every call takes what it is given and publishes at once.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use packager_transcode::wire::{Origin, Output, Plan, Statistics};
use schema::ladder::{LatencyProfile, PictureSize};
use schema::{BroadcastId, ChannelName, Incarnation, MediaTime, UnixMicros};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

mod outages;
mod pacing;
mod retained;
mod thumbnails;
mod track;
mod turns;
mod units;

use self::pacing::Pacing;
pub(super) use self::pacing::Steps;
pub use self::retained::Retained;
use self::thumbnails::Thumbnails;
use self::track::Track;
use super::{BroadcastEnd, BroadcastMetrics, Cause, Load, Reached, Status, real};
use crate::archive;
use crate::ladder::{self, Rendition};
use crate::live::{LiveBroadcast, LiveRendition};
use crate::outage::Outage;
use crate::playlist::Report;
use crate::playlist::multivariant::{self, Lists};
use crate::timing::{AUDIO_FRAME_SAMPLES, AUDIO_RATE, TOLERANCE, Timing};

/// The longest that sound lies beyond an instant: a frame.
const AUDIO_FRAME: MediaTime = MediaTime(MediaTime::PER_SECOND / AUDIO_RATE as i64 * AUDIO_FRAME_SAMPLES);

/// Called once with a broadcast that can be played.
pub type Listing = Box<dyn FnOnce(Arc<LiveBroadcast>) + Send>;

/// What is published.
#[derive(Debug)]
pub struct Subject {
    /// The broadcast's id.
    pub broadcast: BroadcastId,
    /// Its channel.
    pub channel: ChannelName,
    /// The channel's title.
    pub title: String,
    /// Its latency profile.
    pub profile: LatencyProfile,
    /// Its fencing number.
    pub incarnation: Incarnation,
    /// The capture time of media time zero.
    pub zero: UnixMicros,
    /// Where the output begins.
    pub begins: MediaTime,
    /// The first media sequence number.
    pub msn_start: u64,
    /// The discontinuity sequence number of the first media: above every one ever listed under the same URL.
    pub epoch: u64,
    /// How much is kept for rewinding, in seconds.
    pub dvr_s: u32,
}

/// Where a publisher speaks to.
pub struct Outlets {
    /// Called once the broadcast can be played.
    pub listing: Listing,
    /// How the broadcast is.
    pub status: watch::Sender<Status>,
    /// What is counted.
    pub metrics: BroadcastMetrics,
    /// Told when the decoder needs a keyframe.
    pub keyframe: Arc<Notify>,
    /// Where finished segments are kept, by rendition; empty where none are.
    pub archive: Vec<archive::Track>,
    /// Set to the codec string of the first rendition as soon as it is known; it stands in the multivariant playlist.
    pub top_codecs: Arc<OnceLock<String>>,
}

/// What a transcoder's word means for the task that listens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More will come.
    On,
    /// It has put everything out.
    Finished,
    /// It said that it cannot go on.
    Failed,
    /// It is gone without a word.
    Gone,
    /// It says nothing, though it should.
    Hung,
}

/// Everything that one broadcast publishes.
pub struct Publisher {
    live: Arc<LiveBroadcast>,
    timing: Arc<Timing>,
    plan: Plan,
    tracks: Vec<Track>,
    thumbnails: Thumbnails,
    listing: Option<Listing>,
    status: watch::Sender<Status>,
    metrics: BroadcastMetrics,
    keyframe: Arc<Notify>,
    top_codecs: Arc<OnceLock<String>>,
    statistics: Statistics,
    pacing: Pacing,
    epoch: u64,
    /// The newest outage, if it lasts.
    outage: Option<Outage>,
    /// Where the last turn was, or the beginning.
    last_turn: MediaTime,
    /// True while a source leads the cuts.
    is_led: bool,
    /// What the worker changed meanwhile, by rendition; it waits for the source's next segment.
    deferred: Vec<(u8, Origin)>,
}

impl Publisher {
    /// A publisher of these renditions, nothing published yet.
    #[must_use]
    pub fn new(subject: Subject, renditions: Vec<Rendition>, timing: Arc<Timing>, outlets: Outlets) -> Self {
        let plan = ladder::plan(&renditions, &timing, subject.begins);
        let (epoch, last_turn) = (subject.epoch, subject.begins);
        let pacing = Pacing::new(&subject, &renditions, timing.frame_rate, outlets.metrics.clone());
        let (mut tracks, mut listed): (Vec<Track>, Vec<LiveRendition>) =
            renditions.into_iter().map(|rendition| Track::new(rendition, &timing, &subject)).unzip();
        for ((track, listed), archive) in tracks.iter_mut().zip(&mut listed).zip(outlets.archive) {
            track.archive_to(archive.sink);
            listed.dvr = Some(archive.dvr);
        }
        let (thumbnails, thumbnail) = Thumbnails::new(&subject);
        let live = LiveBroadcast {
            id: subject.broadcast,
            channel: subject.channel,
            title: subject.title,
            incarnation: subject.incarnation,
            profile: subject.profile,
            started_at: subject.zero.plus(subject.begins),
            renditions: listed,
            multivariant: OnceLock::new(),
            dvr_multivariant: OnceLock::new(),
            dvr_s: subject.dvr_s,
            thumbnail,
        };
        Self {
            live: Arc::new(live),
            timing,
            plan,
            tracks,
            thumbnails,
            listing: Some(outlets.listing),
            status: outlets.status,
            metrics: outlets.metrics,
            keyframe: outlets.keyframe,
            top_codecs: outlets.top_codecs,
            statistics: Statistics::default(),
            pacing,
            epoch,
            outage: None,
            last_turn,
            is_led: false,
            deferred: Vec::new(),
        }
    }

    /// What the next transcoder is to do.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }

    /// The broadcast's id.
    #[must_use]
    pub fn id(&self) -> &BroadcastId {
        &self.live.id
    }

    /// The broadcast as viewers see it.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveBroadcast> {
        &self.live
    }

    pub(super) fn metrics(&self) -> BroadcastMetrics {
        self.metrics.clone()
    }

    /// Takes one word of the transcoder, heard at `now`, when media up to `fed` had been given to it.
    pub fn handle(&mut self, output: Output, fed: MediaTime, now: Instant) -> Flow {
        match output {
            Output::AudioConfig { rendition, config } => {
                if let Some(track) = self.tracks.get_mut(usize::from(rendition)) {
                    track.configure(&config);
                }
            }
            Output::Encoded { rendition, unit } => {
                self.encoded(usize::from(rendition), &unit, fed, now);
            }
            Output::Turn(turn) => self.turn_of_worker(turn, now),
            Output::SourceSize { width, height } => self.source_size(PictureSize { width, height }),
            Output::Thumbnail { pts, size, data } => {
                self.thumbnails.show(pts, size, data);
                self.metrics.thumbnails.inc();
            }
            Output::Discarded { reason } => self.metrics.discard(&reason),
            Output::KeyframeWanted => self.keyframe.notify_one(),
            Output::Paced { rendition, step, at } => self.pacing.paced(rendition, step, at, now),
            Output::PresetKept { rendition } => self.pacing.keep_preset(rendition),
            Output::Alive => {}
            Output::Statistics(statistics) => self.count(statistics),
            Output::Finished => return Flow::Finished,
            Output::Failed(error) => {
                warn!(broadcast = %self.live.id, %error, "transcoder gave up");
                return Flow::Failed;
            }
        }
        Flow::On
    }

    /// What each rendition is to give up from now on, if that has changed; `pictures` is the time of the newest
    /// picture that the transcoder was given.
    pub(super) fn pace(&mut self, pictures: MediaTime, now: Instant) -> Option<Steps> {
        let ends = self.tracks.iter().map(Track::end);
        let changed = self.pacing.observe(ends, pictures, now);
        changed.then(|| self.pacing.steps())
    }

    /// What each rendition gives up.
    pub(super) fn steps(&self) -> Steps {
        self.pacing.steps()
    }

    /// Tells of a source that has grown. A browser also shrinks its pictures while its machine or its line
    /// is busy; the next ladder is not planned for that.
    fn source_size(&mut self, size: PictureSize) {
        self.status.send_if_modified(|status| {
            let grown = status.source_size.is_none_or(|known| known.area() < size.area());
            if grown {
                status.source_size = Some(size);
            }
            grown
        });
    }

    fn publish(&mut self, index: usize, now: Instant) {
        let reports: Vec<Report> = self
            .tracks
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != index)
            .filter_map(|(_, track)| track.report())
            .collect();
        self.tracks[index].publish(&reports, now);
    }

    fn publish_all(&mut self, now: Instant) {
        for index in 0..self.tracks.len() {
            self.publish(index, now);
        }
    }

    /// Lists what is ready in all renditions, as far as they keep in step.
    fn list_ready(&mut self, now: Instant) {
        let mut changed = vec![false; self.tracks.len()];
        while let Some(index) = self.in_step() {
            changed[index] |= self.tracks[index].list_next(&self.metrics);
        }
        for (index, _) in changed.iter().enumerate().filter(|&(_, &changed)| changed) {
            self.publish(index, now);
        }
        self.tell_reached();
    }

    fn tell_reached(&self) {
        let next_msn = self.tracks.iter().map(Track::msn_after).max().unwrap_or(0);
        let reached = Some(Reached { next_msn, epoch: self.epoch });
        self.status.send_if_modified(|status| std::mem::replace(&mut status.reached, reached) != reached);
    }

    /// A rendition that may list what it has ready: none is ever more than a part ahead of another
    /// (rfc8216bis B.1), and none begins a segment before all others have ended the one before, so that
    /// one number means one time in all of them whatever happens. One that gets no media holds nobody up.
    fn in_step(&self) -> Option<usize> {
        let end = |track: &Track| track.end().unwrap_or(self.plan.start);
        let lead = self.lead()?;
        let absent_after = self.absent_after();
        let present = self.tracks.iter().filter(|track| lead - end(track) <= absent_after).map(Track::next);
        let (msn, start) = present
            .fold((u64::MAX, MediaTime(i64::MAX)), |(msn, start), next| (msn.min(next.msn), start.min(next.start)));
        let ahead = MediaTime(self.timing.part_target.unwrap_or(self.timing.segment).0 / 2);
        self.tracks.iter().position(|track| {
            let next = track.next();
            next.is_ready && next.msn <= msn && next.start.0 <= start.0.saturating_add(ahead.0)
        })
    }

    /// Lists the broadcast as soon as one part of each rendition exists. All are rendered anew, as the
    /// first revisions could not report the others.
    fn list(&mut self, now: Instant) {
        if self.listing.is_none() || !self.tracks.iter().all(Track::has_media) {
            return;
        }
        let listed: Vec<_> = self.tracks.iter().filter_map(|track| track.listed(&self.timing)).collect();
        let render = |lists| multivariant::render(&self.live.id, &listed, self.timing.frame_rate, lists);
        let text = render(Lists::Live);
        if self.live.dvr_s > 0 {
            self.live.dvr_multivariant.get_or_init(|| render(Lists::Dvr));
        }
        self.publish_all(now);
        if self.live.multivariant.set(text).is_ok()
            && let Some(listing) = self.listing.take()
        {
            debug!(broadcast = %self.live.id, "broadcast is listed");
            listing(Arc::clone(&self.live));
        }
    }

    fn count(&mut self, now: Statistics) {
        let before = std::mem::replace(&mut self.statistics, now);
        let busy = now.busy_us.saturating_sub(before.busy_us);
        let media = now.media - before.media;
        self.metrics.transcoder_busy.inc_by(std::time::Duration::from_micros(busy).as_secs_f64());
        let cpu = now.cpu_us.saturating_sub(before.cpu_us);
        self.metrics.transcoder_cpu.inc_by(std::time::Duration::from_micros(cpu).as_secs_f64());
        self.metrics.transcoder_media.inc_by(media.as_seconds().max(0.0));
        self.tell_load(if cpu > 0 { cpu } else { busy }, media);
        for (what, now, before) in [
            ("decoded", now.pictures_decoded, before.pictures_decoded),
            ("encoded", now.pictures_encoded, before.pictures_encoded),
            ("repeated", now.pictures_repeated, before.pictures_repeated),
            ("skipped", now.pictures_skipped, before.pictures_skipped),
            ("slate", now.pictures_slate, before.pictures_slate),
        ] {
            self.metrics.count_pictures(what, now.saturating_sub(before));
        }
    }

    /// Tells what so much work for so much media makes.
    fn tell_load(&self, work_us: u64, media: MediaTime) {
        let media_ms = u64::try_from(media.to_millis()).unwrap_or(0);
        let millicores = work_us.checked_div(media_ms).and_then(|millicores| u32::try_from(millicores).ok());
        let load = Load { millicores, is_degraded: self.pacing.is_degraded() };
        self.status.send_if_modified(|status| std::mem::replace(&mut status.load, load) != load);
    }

    /// The transcoder died: lists what it had finished, and plans a new one from the next instant of the grid
    /// on. What that one puts out stands behind a discontinuity.
    pub fn restart(&mut self) {
        let now = Instant::now();
        let growing = self.tracks.iter().map(|track| track.next().msn).min().unwrap_or(0);
        for track in &mut self.tracks {
            track.list_up_to(growing, &self.metrics);
        }
        let msn = self.tracks.iter().map(Track::msn_after).max().unwrap_or(0);
        let mut had_media = false;
        for track in &mut self.tracks {
            had_media |= track.close_below(msn, &self.metrics);
        }
        let listed_to = self.tracks.iter().map(Track::listed_to).max().unwrap_or_default();
        // Sound is listed up to a frame beyond an instant; the next part of it begins that much later.
        let start = self.timing.position(listed_to - AUDIO_FRAME - TOLERANCE).next.max(self.plan.start);
        self.epoch += u64::from(had_media);
        for track in &mut self.tracks {
            track.begin_anew(start, msn, self.epoch);
        }
        self.last_turn = start;
        (self.is_led, self.deferred) = (false, Vec::new());
        self.plan.start = start;
        self.statistics = Statistics::default();
        self.pacing.restart(now);
        if had_media {
            self.publish_all(now);
        }
    }

    /// The end: whatever is open is published; with its end mark unless the broadcast may go on.
    #[must_use]
    pub fn end(mut self, cause: Cause) -> BroadcastEnd {
        let now = Instant::now();
        for track in &mut self.tracks {
            track.end_media(cause.is_final(), &self.metrics);
        }
        self.close_outage(cause);
        self.publish_all(now);
        self.list(now);
        let listed = self.listing.is_none();
        let longest = self.tracks.iter().map(Track::retention).max();
        let next_msn = self.tracks.iter().map(Track::msn_after).max();
        let senders = self.tracks.into_iter().map(Track::into_sender).collect();
        let retained = listed.then(|| Retained::new(self.live, real(longest.unwrap_or_default()), senders));
        BroadcastEnd { cause, next_msn: next_msn.unwrap_or(0), retained }
    }
}
