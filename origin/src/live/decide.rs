//! Serve, wait or refuse: the rules of blocking reload (rfc8216bis 6.2.5.2) and of preload hints
//! (6.2.6) as pure functions of what is asked and what there is.
//!
//! A request that waits is decided anew for each revision, and is then never refused: the media
//! only comes nearer to what it asked for.

use packager::live::{Object, Snapshot};
use packager::playlist::dvr::DvrSnapshot;
use schema::MediaTime;
use thiserror::Error;

use super::directive::{Directive, Malformed};

/// What to do about a playlist request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send the playlist as it is.
    Serve,
    /// A later revision can answer it.
    Wait,
    /// It can never be answered.
    Refuse(Reason),
}

/// Why a playlist request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The directives cannot be read: 400.
    Malformed(Malformed),
    /// What they ask for is too far away to wait for: 400.
    TooFar(TooFar),
    /// The broadcast ended before its first part: 404.
    NeverBegan,
}

/// How a directive reaches too far into the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooFar {
    /// Beyond the last segment plus two.
    #[error("_HLS_msn is more than two segments ahead of the playlist")]
    Segment,
    /// Beyond the last part plus the Advance Part Limit.
    #[error("_HLS_part is more than three seconds of parts ahead of the playlist")]
    Part,
}

/// What to do about a request for a playlist of which `snapshot` is the newest revision.
#[must_use]
pub fn decide(directive: Directive, snapshot: &Snapshot) -> Decision {
    let empty = snapshot.playlist.is_empty();
    let decision = match directive {
        _ if snapshot.ended && empty => Decision::Refuse(Reason::NeverBegan),
        _ if snapshot.ended => Decision::Serve,
        Directive::Now => Decision::Serve,
        Directive::Segment { msn } => decide_segment(msn, snapshot.next_msn),
        Directive::Part { msn, part } => decide_part(msn, part, snapshot),
        Directive::Malformed(why) => Decision::Refuse(Reason::Malformed(why)),
    };
    match decision {
        Decision::Serve if empty => Decision::Wait,
        other => other,
    }
}

/// What to do about a request for a list for rewinding, which has whole segments only: a part of one is there when it is.
#[must_use]
pub fn decide_dvr(directive: Directive, snapshot: &DvrSnapshot) -> Decision {
    match directive {
        _ if snapshot.ended && snapshot.is_empty() => Decision::Refuse(Reason::NeverBegan),
        _ if snapshot.ended => Decision::Serve,
        Directive::Malformed(why) => Decision::Refuse(Reason::Malformed(why)),
        // Which number comes first is not known yet.
        _ if snapshot.is_empty() => Decision::Wait,
        Directive::Now => Decision::Serve,
        Directive::Segment { msn } | Directive::Part { msn, .. } => decide_segment(msn, snapshot.next_msn),
    }
}

fn decide_segment(msn: u64, next_msn: u64) -> Decision {
    if msn < next_msn {
        Decision::Serve
    } else if msn - next_msn > 1 {
        Decision::Refuse(Reason::TooFar(TooFar::Segment))
    } else {
        Decision::Wait
    }
}

fn decide_part(msn: u64, part: u64, snapshot: &Snapshot) -> Decision {
    let Some(target) = snapshot.part_target else {
        return decide_segment(msn, snapshot.next_msn);
    };
    let (msn, part) = rolled_over(msn, part, snapshot);
    if msn < snapshot.next_msn {
        return Decision::Serve;
    }
    let listed = if msn == snapshot.next_msn { u64::from(snapshot.open_parts) } else { 0 };
    if part < listed {
        Decision::Serve
    } else if msn - snapshot.next_msn > 1 {
        Decision::Refuse(Reason::TooFar(TooFar::Segment))
    } else if beyond_advance_limit(part - listed, target) {
        Decision::Refuse(Reason::TooFar(TooFar::Part))
    } else {
        Decision::Wait
    }
}

/// A part beyond the end of a finished segment is part 0 of the next. Only the last finished one
/// matters: part 0 of any earlier one's successor is long listed.
fn rolled_over(msn: u64, part: u64, snapshot: &Snapshot) -> (u64, u64) {
    let is_last = msn.checked_add(1) == Some(snapshot.next_msn);
    if is_last && part >= u64::from(snapshot.last_parts) { (snapshot.next_msn, 0) } else { (msn, part) }
}

/// Whether the part that comes after `between` others which are not listed yet is more than the Advance Part Limit
/// behind the last listed one: 3 / PART-TARGET below a second, else three.
fn beyond_advance_limit(between: u64, target: MediaTime) -> bool {
    let ahead = i128::from(between) + 1;
    if target < MediaTime::SECOND {
        ahead * i128::from(target.0) > 3 * i128::from(MediaTime::PER_SECOND)
    } else {
        ahead > 3
    }
}

/// What to do about a request for an init section, part or segment.
#[derive(Debug, Clone, Copy)]
pub enum ObjectDecision<'a> {
    /// Send it.
    Serve(&'a Object),
    /// It is promised, and complete with a later revision (rfc8216bis 6.2.6).
    Wait,
    /// There is none: 404 at once.
    NotFound,
}

/// What to do about a request for the object `name` of a rendition of which `snapshot` is the newest revision.
#[must_use]
pub fn decide_object<'a>(name: &str, snapshot: &'a Snapshot) -> ObjectDecision<'a> {
    if let Some(object) = snapshot.objects.get(name) {
        return ObjectDecision::Serve(object);
    }
    let hints = [&snapshot.hint, &snapshot.hinted_init];
    let promised = !snapshot.ended && hints.iter().any(|hint| hint.as_deref() == Some(name));
    if promised { ObjectDecision::Wait } else { ObjectDecision::NotFound }
}
