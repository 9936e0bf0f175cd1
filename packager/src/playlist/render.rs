//! Writes a media playlist (rfc8216bis 4.4). Durations have five decimals, so that their sum stays
//! within a frame of the media over any window.
//!
//! `EXT-X-VERSION` is 6, what `EXT-X-MAP` needs and nothing more (rfc8216bis 8): the low-latency tags
//! need no version of their own. It is 9 where delta updates are offered, which need it, and then in the
//! full playlist too: merged with a delta update it is the next full playlist, byte for byte.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use schema::{MediaTime, UnixMicros};

use super::{Report, Segment, Window};
use crate::live::Name;

const VERSION: u32 = 6;
const VERSION_WITH_DELTA_UPDATES: u32 = 9;

/// What stands after the last segment.
pub(super) struct Tail<'a> {
    /// How far the other renditions are.
    pub(super) reports: &'a [Report],
    /// The part that comes next.
    pub(super) hint: Option<&'a str>,
    /// The init section that it will need, where that is another.
    pub(super) hinted_init: Option<&'a str>,
}

/// Renders `window`, which has media.
pub(super) fn full(window: &Window, tail: &Tail<'_>) -> String {
    render(window, 0, tail)
}

/// The same as a delta update, if there is anything to skip. A list that has ended is never updated.
pub(super) fn delta(window: &Window, tail: &Tail<'_>) -> Option<String> {
    let skipped = if window.ended { 0 } else { skipped(window) };
    (skipped > 0).then(|| render(window, skipped, tail))
}

/// How many of the oldest segments a delta update skips: those that end further from the end of the last one than
/// the skip boundary (rfc8216bis 6.2.5.1), by their durations, as clients count.
fn skipped(window: &Window) -> usize {
    let Some(boundary) = window.timing.skip_until else { return 0 };
    let mut after = MediaTime::ZERO;
    let newest_first = window.segments.iter().rev();
    let kept = newest_first.take_while(|segment| {
        let is_near = after <= boundary;
        after += segment.duration;
        is_near
    });
    window.segments.len() - kept.count()
}

fn render(window: &Window, skipped: usize, tail: &Tail<'_>) -> String {
    let mut out = String::with_capacity(8 * 1024);
    write_all(&mut out, window, skipped, tail).expect("writing to a string does not fail");
    out
}

fn write_all(out: &mut String, window: &Window, skipped: usize, tail: &Tail<'_>) -> std::fmt::Result {
    header(out, window)?;
    if skipped > 0 {
        writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
    }
    let open = window.open.as_ref().filter(|_| window.lists_parts());
    let parts_from = parts_from(window, open);
    // What stands before a skipped segment goes with it.
    let mut init = skipped.checked_sub(1).and_then(|last| window.segments.get(last)).map(|segment| segment.init);
    for segment in window.segments.iter().skip(skipped).chain(open) {
        opening(out, window, segment, init)?;
        init = Some(segment.init);
        if window.lists_parts() && segment.msn >= parts_from {
            parts(out, window, segment)?;
        }
        if segment.is_gap {
            writeln!(out, "#EXT-X-GAP")?;
        }
        if segment.is_gap || segment.objects.whole.is_some() {
            let name = Name::Segment(window.incarnation, segment.msn);
            writeln!(out, "#EXTINF:{:.5},\n{name}", segment.duration.as_seconds())?;
        }
    }
    finish(out, tail)?;
    if window.ended {
        writeln!(out, "#EXT-X-ENDLIST")?;
    }
    Ok(())
}

/// The hints, that of an init section first, as players may keep the last alone (rfc8216bis 4.4.5.3, B.1), and
/// the reports.
fn finish(out: &mut String, tail: &Tail<'_>) -> std::fmt::Result {
    for (kind, name) in [("MAP", tail.hinted_init), ("PART", tail.hint)] {
        if let Some(name) = name {
            writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE={kind},URI=\"{name}\"")?;
        }
    }
    for report in tail.reports {
        let Report { name, last_msn, .. } = report;
        write!(out, "#EXT-X-RENDITION-REPORT:URI=\"../{name}/index.m3u8\",LAST-MSN={last_msn}")?;
        if let Some(part) = report.last_part {
            write!(out, ",LAST-PART={part}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What never changes, and the two counters.
fn header(out: &mut String, window: &Window) -> std::fmt::Result {
    let timing = &window.timing;
    let version = if timing.skip_until.is_some() { VERSION_WITH_DELTA_UPDATES } else { VERSION };
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}")?;
    writeln!(out, "#EXT-X-TARGETDURATION:{}", timing.target_duration_s)?;
    write!(out, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES")?;
    if let Some(boundary) = timing.skip_until {
        write!(out, ",CAN-SKIP-UNTIL={:.1}", boundary.as_seconds())?;
    }
    if let Some(hold_back) = timing.part_hold_back {
        write!(out, ",PART-HOLD-BACK={:.3}", hold_back.as_seconds())?;
    }
    writeln!(out, ",HOLD-BACK={:.1}", timing.hold_back.as_seconds())?;
    if let Some(target) = timing.part_target {
        writeln!(out, "#EXT-X-PART-INF:PART-TARGET={:.3}", target.as_seconds())?;
    }
    let first = window.segments.front().or(window.open.as_ref());
    let first_msn = first.map_or(window.next_msn, |first| first.msn);
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first_msn}")?;
    let before = first.map_or(0, |first| first.epoch - first.discontinuities);
    writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{before}")
}

/// The first segment whose parts are listed. Those of segments that begin more than three target
/// durations of listed media before the end are not (rfc8216bis 6.2.2). A segment lists all of its
/// parts or none: players count them.
fn parts_from(window: &Window, open: Option<&Segment>) -> u64 {
    let limit = MediaTime(window.timing.segment.0 * 3);
    let mut age = MediaTime::ZERO;
    let newest_first = open.into_iter().chain(window.segments.iter().rev());
    newest_first
        .take_while(|segment| {
            age += segment.duration;
            age <= limit
        })
        .last()
        .map_or(window.next_msn, |segment| segment.msn)
}

/// The tags that stand before the first part of a segment (rfc8216bis 4.4.4.9).
fn opening(out: &mut String, window: &Window, segment: &Segment, init: Option<u32>) -> std::fmt::Result {
    for _ in 0..segment.discontinuities {
        writeln!(out, "#EXT-X-DISCONTINUITY")?;
    }
    if init != Some(segment.init) {
        let name = Name::Init(window.incarnation, segment.init);
        writeln!(out, "#EXT-X-MAP:URI=\"{name}\"")?;
    }
    let date = date_time(window.zero.plus(segment.start));
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{date}")
}

fn parts(out: &mut String, window: &Window, segment: &Segment) -> std::fmt::Result {
    for (part, index) in segment.parts.iter().zip(0..) {
        let name = Name::Part(window.incarnation, segment.msn, index);
        let duration = part.duration.as_seconds();
        write!(out, "#EXT-X-PART:DURATION={duration:.5},URI=\"{name}\"")?;
        let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
        writeln!(out, "{independent}")?;
    }
    Ok(())
}

/// ISO 8601 in UTC, with milliseconds.
pub(super) fn date_time(time: UnixMicros) -> String {
    DateTime::from_timestamp_micros(time.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
