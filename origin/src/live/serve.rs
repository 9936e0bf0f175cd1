//! Waits for what a request asks for, and makes the content of its answer.
//!
//! A wait lives in the viewer's own future: dropping that ends it, and nothing stays behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use packager::live::{LiveBroadcast, LiveRendition, Object, Snapshot, Thumbnail};
use schema::{ChannelName, TrackKind};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::decide::{Decision, ObjectDecision, decide, decide_object};
use super::directive::{Directive, Form};
use super::directory::{Directory, Listed};
use super::route::Place;
use super::state;
use crate::guard::Entry;
use crate::origin::{Held, Origin};
use crate::refusal::Refusal;
use crate::reply::{Conditions, Content, Encoding, Lifetime, Payload};

/// How many target durations a request may wait (rfc8216bis 6.2.5.2).
const WAIT_TARGET_DURATIONS: u64 = 3;
/// How long a request may wait for a channel to be live: shorter than the usual read timeouts of proxies and CDNs (30 s).
const LIVE_WAIT: Duration = Duration::from_secs(20);
/// RFC 8216 10.
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

/// The multivariant playlist, as soon as one part of each rendition exists.
pub(crate) async fn multivariant(origin: &Origin, listed: &Listed, encoding: Encoding) -> Result<Content, Refusal> {
    let broadcast = &listed.broadcast;
    if broadcast.multivariant.get().is_none() {
        first_parts(origin, broadcast).await?;
    }
    let body = match encoding {
        Encoding::Gzip => listed.multivariant_gzip(),
        Encoding::Identity => broadcast.multivariant.get().cloned(),
    };
    let tag = format!("{}-{}", broadcast.id, broadcast.incarnation);
    body.map(|body| playlist_content(body, encoding, &tag)).ok_or(Refusal::ChannelOffline)
}

/// Waits for the multivariant playlist: for the first part of each rendition in turn, then for the
/// revision that finds it set.
async fn first_parts(origin: &Origin, broadcast: &LiveBroadcast) -> Result<(), Refusal> {
    let first = broadcast.renditions.first().ok_or(Refusal::ChannelOffline)?;
    let wait = Wait::begin(origin, target_duration_s(first))?;
    for rendition in &broadcast.renditions {
        let begun = |snapshot: &Snapshot| !snapshot.playlist.is_empty() || snapshot.ended;
        wait.until(rendition, |snapshot| begun(snapshot).then_some(Ok(()))).await?;
    }
    let set = |snapshot: &Arc<Snapshot>| match broadcast.multivariant.get() {
        Some(_) => Some(Ok(())),
        None => snapshot.ended.then_some(Err(Refusal::ChannelOffline)),
    };
    wait.until(first, set).await
}

/// A media playlist, once its directive is fulfilled.
pub(crate) async fn playlist(
    origin: &Origin,
    place: &Place,
    directive: Directive,
    form: Form,
    encoding: Encoding,
) -> Result<Content, Refusal> {
    let settled = |snapshot: &Arc<Snapshot>| match decide(directive, snapshot) {
        Decision::Serve => Some(Ok(Arc::clone(snapshot))),
        Decision::Wait => None,
        Decision::Refuse(reason) => Some(Err(reason.into())),
    };
    let snapshot = settle(origin, place.rendition(), settled).await?;
    let (text, kind) = match (form, &snapshot.delta) {
        (Form::Full, _) | (_, None) => (&snapshot.playlist, ""),
        (Form::Delta, Some(update)) => (&update.segments, "-delta"),
        (Form::DeltaOfDateRanges, Some(update)) => (update.date_ranges(), "-delta2"),
    };
    let body = match encoding {
        Encoding::Gzip => &text.gzip,
        Encoding::Identity => &text.plain,
    };
    // A restarted broadcast counts revisions from 0 again, under a new incarnation.
    let tag = format!("{}-{}{kind}", place.listed.broadcast.incarnation, snapshot.revision);
    Ok(playlist_content(body.clone(), encoding, &tag))
}

/// An init section, part or segment, once complete if it is promised; from disk, if it is kept there alone.
pub(crate) async fn object(
    origin: &Origin,
    place: &Place,
    name: &str,
    conditions: &Conditions,
) -> Result<Content, Refusal> {
    let rendition = place.rendition();
    let etag = format!("\"{name}\"");
    let settled = |snapshot: &Arc<Snapshot>| match decide_object(name, snapshot) {
        ObjectDecision::Serve(object) => Some(Ok(object.clone())),
        ObjectDecision::Wait => None,
        ObjectDecision::NotFound => Some(Err(Refusal::ObjectUnknown)),
    };
    let file = || rendition.dvr.as_ref().and_then(|dvr| dvr.file(name));
    let Object { chunks, length } = match settle(origin, rendition, settled).await {
        Err(Refusal::ObjectUnknown) if let Some(file) = file() => match conditions.wants_body(&etag) {
            true => origin.files().read(file).await?,
            false => Object { chunks: Arc::default(), length: file.length },
        },
        other => other?,
    };
    Ok(Content {
        media_type: media_type(rendition.kind),
        lifetime: Lifetime::Immutable,
        etag: Some(etag),
        payload: Payload::Media { chunks, length },
    })
}

/// Whether the channel is live.
pub(crate) fn state(channel: &ChannelName, current: Option<&Listed>) -> Content {
    Content {
        media_type: "application/json",
        lifetime: Lifetime::Moment,
        etag: None,
        payload: Payload::Plain(state::of(channel, current).to_string().into()),
    }
}

/// The channel's state once it is live, or after [`LIVE_WAIT`] as it is then.
pub(crate) async fn awaited_state(
    origin: &Origin,
    directory: &Directory,
    channel: &ChannelName,
    entry: Entry,
) -> Result<Content, Refusal> {
    // Before the first look, so that no change is missed between both.
    let mut closed = directory.closed();
    let is_live = || directory.current(channel).is_some_and(|broadcast| !broadcast.has_ended());
    if !is_live() {
        let _held = origin.hold_for_broadcast()?;
        let deadline = Instant::now() + LIVE_WAIT;
        while !*closed.borrow_and_update() && !is_live() {
            if !matches!(timeout_at(deadline, closed.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
    }
    let current = directory.current_listed(channel).map(|listed| listed.for_entry(entry)).transpose()?;
    Ok(state(channel, current.as_deref()))
}

/// The newest small picture.
pub(crate) fn thumbnail(broadcast: &LiveBroadcast) -> Result<Content, Refusal> {
    let newest = broadcast.thumbnail.borrow();
    let Thumbnail { jpeg, tag, .. } = newest.as_ref().ok_or(Refusal::ThumbnailUnknown)?;
    Ok(Content {
        media_type: "image/jpeg",
        lifetime: Lifetime::Interval,
        etag: Some(format!("\"{tag}\"")),
        payload: Payload::Plain(jpeg.clone()),
    })
}

/// The media type of init sections, parts and segments alike. `video/iso.segment` would fit a
/// `.m4s` too, but has no twin for audio, and players and caches that go by type know it less.
fn media_type(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video/mp4",
        TrackKind::Audio => "audio/mp4",
    }
}

/// The two encodings are two representations, so their strong tags differ (RFC 9110 8.8.3.3).
pub(super) fn playlist_content(body: Bytes, encoding: Encoding, tag: &str) -> Content {
    let suffix = match encoding {
        Encoding::Identity => "",
        Encoding::Gzip => "-gz",
    };
    Content {
        media_type: PLAYLIST_TYPE,
        lifetime: Lifetime::Moment,
        etag: Some(format!("\"{tag}{suffix}\"")),
        payload: Payload::Playlist(body, encoding),
    }
}

/// What `settled` says of the newest revision of `rendition`, or of the first later one that it says anything of.
async fn settle<T>(
    origin: &Origin,
    rendition: &LiveRendition,
    settled: impl Fn(&Arc<Snapshot>) -> Option<Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let newest = Arc::clone(&rendition.snapshot.borrow());
    match settled(&newest) {
        Some(result) => result,
        None => {
            drop(newest);
            Wait::begin(origin, target_duration_s(rendition))?.until(rendition, settled).await
        }
    }
}

fn target_duration_s(rendition: &LiveRendition) -> u32 {
    rendition.snapshot.borrow().target_duration_s
}

/// A request that is held: its deadline, and its place among all that are.
pub(super) struct Wait<'a> {
    deadline: Instant,
    _held: Held<'a>,
}

impl<'a> Wait<'a> {
    pub(super) fn begin(origin: &'a Origin, target_duration_s: u32) -> Result<Self, Refusal> {
        let limit = Duration::from_secs(WAIT_TARGET_DURATIONS * u64::from(target_duration_s));
        Ok(Self { deadline: Instant::now() + limit, _held: origin.hold()? })
    }

    async fn until<T>(
        &self,
        rendition: &LiveRendition,
        settled: impl Fn(&Arc<Snapshot>) -> Option<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut snapshots = rendition.snapshot.clone();
        loop {
            let newest = Arc::clone(&snapshots.borrow_and_update());
            if let Some(result) = settled(&newest) {
                return result;
            }
            // A waiter must not keep an old window's media in memory.
            drop(newest);
            self.change(&mut snapshots).await?;
        }
    }

    /// Waits for the next revision.
    pub(super) async fn change<T>(&self, snapshots: &mut watch::Receiver<T>) -> Result<(), Refusal> {
        match timeout_at(self.deadline, snapshots.changed()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_dropped)) => Err(Refusal::BroadcastUnknown),
            Err(_elapsed) => Err(Refusal::ReloadTimeout),
        }
    }
}
