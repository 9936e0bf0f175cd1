//! Every revision of every playlist, judged by other people's parsers and by the rules of rfc8216bis 6.2.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use packager::broadcast::{BroadcastMetrics, Cause, Outlets, Publisher, Status, Subject};
use packager::ladder;
use packager::live::{LiveBroadcast, Snapshot};
use packager::outage::Outage;
use packager::timing::{Timing, Tracks};
use packager_transcode::wire::{Law, Origin, Output, Turn};
use prometheus::Registry;
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::{HlsLine, Reader};
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};
use schema::{Incarnation, MediaTime, SessionEnd, UnixMicros};
use tokio::sync::{Notify, watch};

const BOTH: Tracks = Tracks { video: true, audio: true };

/// A publisher and all that it published.
struct Run {
    publisher: Option<Publisher>,
    live: Arc<LiveBroadcast>,
    timing: Arc<Timing>,
    listed: Arc<std::sync::Mutex<Vec<Arc<LiveBroadcast>>>>,
    revisions: Vec<Vec<Arc<Snapshot>>>,
    metrics: BroadcastMetrics,
}

impl Run {
    fn new(profile: LatencyProfile, rate: FrameRate, tracks: Tracks, begins: MediaTime) -> Self {
        let size = PictureSize { width: 854, height: 480 };
        let renditions = ladder::renditions(&Ladder::default(), tracks.video.then_some(size), tracks.audio, profile);
        let timing = Arc::new(Timing::new(profile, rate, tracks));
        let metrics = BroadcastMetrics::register(&Registry::new()).unwrap();
        let listed: Arc<std::sync::Mutex<Vec<Arc<LiveBroadcast>>>> = Arc::default();
        let sink = Arc::clone(&listed);
        let subject = Subject {
            broadcast: "b1".parse().unwrap(),
            channel: "demo".parse().unwrap(),
            title: "Demo".into(),
            profile,
            incarnation: Incarnation(7),
            zero: UnixMicros(1_800_000_000_000_000),
            begins,
            msn_start: 100,
            epoch: 0,
            dvr_s: 0,
        };
        let outlets = Outlets {
            listing: Box::new(move |live| sink.lock().unwrap().push(live)),
            status: watch::channel(Status::default()).0,
            metrics: metrics.clone(),
            keyframe: Arc::new(Notify::new()),
            archive: Vec::new(),
            top_codecs: Arc::default(),
        };
        let publisher = Publisher::new(subject, renditions, Arc::clone(&timing), outlets);
        let live = Arc::clone(publisher.live());
        let revisions = live.renditions.iter().map(|_| Vec::new()).collect();
        Self { publisher: Some(publisher), live, timing, listed, revisions, metrics }
    }

    fn feed(&mut self, from: MediaTime, to: MediaTime) {
        let plan = self.publisher.as_ref().unwrap().plan();
        for output in support::outputs(&plan, from, to) {
            self.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
            self.collect();
        }
    }

    /// The same with some renditions behind the others.
    fn feed_late(&mut self, from: MediaTime, to: MediaTime, late: impl Fn(u8) -> MediaTime) {
        let plan = self.publisher.as_ref().unwrap().plan();
        let mut outputs = support::outputs(&plan, from, to);
        outputs.sort_by_key(|output| match output {
            Output::Encoded { rendition, unit } => unit.pts + unit.duration.unwrap() + late(*rendition),
            _ => from,
        });
        for output in outputs {
            self.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
            self.collect();
            self.is_in_step();
        }
    }

    /// No list is more than a part ahead of another, nor in a segment that follows one that another still fills.
    fn is_in_step(&self) {
        let last: Vec<&Arc<Snapshot>> = self.revisions.iter().filter_map(|revisions| revisions.last()).collect();
        if self.listed.lock().unwrap().is_empty() {
            return;
        }
        for one in &last {
            for other in &last {
                let ahead = match one.next_msn.checked_sub(other.next_msn) {
                    Some(0) => i64::from(one.open_parts) - i64::from(other.open_parts),
                    Some(1) => {
                        assert_eq!(one.open_parts, 0, "{} while another fills {}", one.next_msn, other.next_msn);
                        i64::from(one.last_parts) - i64::from(other.open_parts)
                    }
                    _ => 0,
                };
                assert!(
                    ahead <= 1,
                    "{}.{} against {}.{}",
                    one.next_msn,
                    one.open_parts,
                    other.next_msn,
                    other.open_parts
                );
            }
        }
    }

    /// Tells of an outage, in seconds of media time.
    fn mark(&mut self, number: u64, start: i64, end: Option<i64>) {
        let outage = Outage { number, start: seconds(start), end: end.map(seconds) };
        self.publisher.as_mut().unwrap().mark(&[outage], Instant::now());
        self.collect();
        self.ranges_are_the_same();
    }

    /// Any list with date ranges has the same as the others that begin with the same segment (rfc8216bis 6.2.4).
    fn ranges_are_the_same(&self) {
        let newest: Vec<&Arc<Snapshot>> = self.revisions.iter().map(|revisions| revisions.last().unwrap()).collect();
        for other in newest.iter().filter(|other| other.first_msn == newest[0].first_msn) {
            assert_eq!(date_ranges(&text(other)), date_ranges(&text(newest[0])));
        }
    }

    fn turn(&mut self, at: MediaTime, origins: &[(u8, Origin)], law: Option<Law>) {
        let turn = Turn { at, origins: origins.to_vec(), law };
        self.publisher.as_mut().unwrap().handle(Output::Turn(turn), MediaTime::ZERO, Instant::now());
        self.collect();
    }

    /// Pictures of the publisher in these slots, keyframes where `is_key`, for the first rendition; all other renditions are
    /// encoded of them, the sound `ahead` of the pictures.
    fn feed_passed(&mut self, slots: std::ops::Range<i64>, is_key: impl Fn(i64) -> bool, ahead: MediaTime) {
        let (plan, rate) = (self.publisher.as_ref().unwrap().plan(), self.timing.frame_rate);
        let sounds = plan.audio.iter().flat_map(|audio| {
            let (from, to) = (rate.time_of(slots.start), rate.time_of(slots.end) + ahead);
            let frames = (from.to_ticks(48_000) / 1024)..(to.to_ticks(48_000) / 1024);
            frames.map(|frame| Output::Encoded { rendition: audio.rendition, unit: support::aac(frame) })
        });
        let mut sounds = sounds.collect::<std::collections::VecDeque<_>>();
        for slot in slots {
            let at = rate.time_of(slot);
            let unit = support::picture(at, Some(rate.time_of(slot + 1) - at), is_key(slot));
            let is_due = |output: &mut Output| matches!(output, Output::Encoded { unit, .. } if unit.pts <= at + ahead);
            let publisher = self.publisher.as_mut().unwrap();
            while let Some(sound) = sounds.pop_front_if(is_due) {
                publisher.handle(sound, MediaTime::ZERO, Instant::now());
            }
            publisher.passed(&unit, Instant::now());
            for video in &plan.video[1..] {
                let output = Output::Encoded { rendition: video.rendition, unit: unit.clone() };
                publisher.handle(output, MediaTime::ZERO, Instant::now());
            }
            self.collect();
            self.is_in_step();
        }
    }

    fn restart(&mut self) -> MediaTime {
        let publisher = self.publisher.as_mut().unwrap();
        publisher.restart();
        let start = publisher.plan().start;
        self.collect();
        start
    }

    fn end(&mut self, cause: Cause) -> packager::broadcast::BroadcastEnd {
        let end = self.publisher.take().unwrap().end(cause);
        self.collect();
        end
    }

    fn collect(&mut self) {
        for (rendition, revisions) in self.live.renditions.iter().zip(&mut self.revisions) {
            let snapshot = Arc::clone(&rendition.snapshot.borrow());
            let known = revisions.last().map(|last| last.revision);
            if !snapshot.playlist.is_empty() && known != Some(snapshot.revision) {
                revisions.push(snapshot);
            }
        }
    }

    fn epoch(&self) -> u64 {
        discontinuities(&read(&self.last(0))).last().copied().unwrap()
    }

    fn last(&self, rendition: usize) -> String {
        text(self.revisions[rendition].last().unwrap())
    }
}

fn text(snapshot: &Snapshot) -> String {
    String::from_utf8(snapshot.playlist.plain.to_vec()).unwrap()
}

fn seconds(count: i64) -> MediaTime {
    MediaTime(count * MediaTime::PER_SECOND)
}

const RANGE: &str = "#EXT-X-DATERANGE:";

fn date_ranges(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with(RANGE)).map(str::to_owned).collect()
}

fn without_ranges(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with(RANGE)).map(|line| format!("{line}\n")).collect()
}

fn range_id(line: &str) -> String {
    line.split("ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// A playlist, read as simply as possible.
#[derive(Debug, Default, Clone)]
struct Read_ {
    head: Vec<String>,
    msn: u64,
    discontinuities: u64,
    segments: Vec<Segment>,
    hint: Option<String>,
    hinted_map: Option<String>,
    reports: Vec<String>,
    ranges: Vec<String>,
    ended: bool,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Segment {
    tags: Vec<String>,
    map: Option<String>,
    parts: Vec<String>,
    end: Vec<String>,
}

impl Segment {
    fn seconds(&self) -> f64 {
        let value = |line: &str, key: &str| -> f64 {
            line.split(key).nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
        };
        match self.end.first() {
            Some(inf) => value(inf, "#EXTINF:"),
            None => self.parts.iter().map(|part| value(part, "DURATION=")).sum(),
        }
    }
}

fn uri(line: &str) -> String {
    line.split("URI=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn read(text: &str) -> Read_ {
    let mut read = Read_::default();
    let mut now = Segment::default();
    for line in text.lines() {
        let after = |tag: &str| line.strip_prefix(tag).map(str::to_owned);
        if let Some(msn) = after("#EXT-X-MEDIA-SEQUENCE:") {
            read.msn = msn.parse().unwrap();
        } else if let Some(count) = after("#EXT-X-DISCONTINUITY-SEQUENCE:") {
            read.discontinuities = count.parse().unwrap();
        } else if line == "#EXT-X-DISCONTINUITY" || line == "#EXT-X-GAP" || line.starts_with("#EXT-X-PROGRAM-DATE-TIME")
        {
            now.tags.push(line.to_owned());
        } else if line.starts_with("#EXT-X-MAP") {
            now.map = Some(uri(line));
        } else if line.starts_with("#EXT-X-PART:") {
            now.parts.push(line.to_owned());
        } else if line.starts_with("#EXTINF") {
            now.end.push(line.to_owned());
        } else if line.starts_with("#EXT-X-PRELOAD-HINT:TYPE=MAP") {
            read.hinted_map = Some(uri(line));
        } else if line.starts_with("#EXT-X-PRELOAD-HINT:TYPE=PART") {
            read.hint = Some(uri(line));
        } else if line.starts_with(RANGE) {
            read.ranges.push(line.to_owned());
        } else if line.starts_with("#EXT-X-RENDITION-REPORT") {
            read.reports.push(line.to_owned());
        } else if line == "#EXT-X-ENDLIST" {
            read.ended = true;
        } else if line.starts_with('#') {
            read.head.push(line.to_owned());
        } else {
            now.end.push(line.to_owned());
            read.segments.push(std::mem::take(&mut now));
        }
    }
    if now != Segment::default() {
        read.segments.push(now);
    }
    read
}

/// Only the edits of rfc8216bis 6.2.1 happen between two revisions.
fn only_allowed_edits(old: &Read_, new: &Read_, target: f64) {
    assert_eq!(old.head, new.head);
    assert!(!old.ended, "nothing may follow the end");
    let removed = usize::try_from(new.msn.checked_sub(old.msn).expect("never falls")).unwrap();
    let gone = old.segments[..removed].iter().flat_map(|segment| &segment.tags);
    let gone = gone.filter(|tag| *tag == "#EXT-X-DISCONTINUITY").count() as u64;
    assert_eq!(new.discontinuities, old.discontinuities + gone);
    let kept: Vec<&String> = old.ranges.iter().filter(|line| new.ranges.contains(line)).collect();
    assert!(new.ranges.iter().take(kept.len()).eq(kept), "{:?} became {:?}", old.ranges, new.ranges);
    for (index, (before, after)) in old.segments[removed..].iter().zip(&new.segments).enumerate() {
        assert_eq!(before.tags, after.tags);
        if !before.end.is_empty() {
            assert_eq!(before.end, after.end);
        }
        if after.parts.is_empty() && !before.parts.is_empty() {
            let age: f64 = new.segments[index..].iter().map(Segment::seconds).sum();
            assert!(age > 3.0 * target, "parts left at an age of {age}");
        } else {
            assert_eq!(before.parts, after.parts[..before.parts.len()]);
        }
    }
    assert!(new.segments.len() + removed >= old.segments.len());
    if let (Some(map), Some((segment, _))) = (&old.hinted_map, first_new_part(old, new)) {
        assert_eq!(segment.map.as_ref(), Some(map), "the init section that was hinted");
    }
    if let (Some(hint), Some((segment, part))) = (&old.hint, first_new_part(old, new))
        && !segment.tags.iter().any(|tag| tag == "#EXT-X-DISCONTINUITY")
    {
        assert_eq!(*hint, uri(part));
    }
}

fn first_new_part<'a>(old: &Read_, new: &'a Read_) -> Option<(&'a Segment, &'a String)> {
    let known: Vec<&String> = old.segments.iter().flat_map(|segment| &segment.parts).collect();
    let mut parts = new.segments.iter().flat_map(|segment| segment.parts.iter().map(move |part| (segment, part)));
    parts.find(|(_, part)| !known.contains(part))
}

fn advertised(read: &Read_) -> Vec<String> {
    let of = |segment: &Segment| {
        let mut names: Vec<String> = segment.map.iter().cloned().collect();
        names.extend(segment.parts.iter().map(|part| uri(part)));
        names.extend(segment.end.get(1).cloned());
        names
    };
    read.segments.iter().flat_map(of).collect()
}

fn others_can_read_it(text: &str, version: usize) {
    let options = ParsingOptionsBuilder::new().with_parsing_for_all_tags().build();
    let mut reader = Reader::from_str(text, options);
    while let Some(line) = reader.read_line().unwrap() {
        assert!(!matches!(line, HlsLine::UnknownTag(_) | HlsLine::Comment(_) | HlsLine::Blank), "{line:?}");
    }
    let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
    assert_eq!(parsed.version, Some(version));
}

fn gunzip(bytes: &[u8]) -> String {
    let mut out = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut out).unwrap();
    out
}

/// The lines of each segment, and its init section, which may stand before an earlier one.
fn blocks(text: &str) -> Vec<(String, String)> {
    let (mut blocks, mut block, mut map) = (Vec::new(), String::new(), String::new());
    for line in text.lines() {
        let is_head = block.is_empty() && line.starts_with('#') && !starts_segment(line);
        if line.starts_with("#EXT-X-MAP") {
            map = format!("{line}\n");
        } else if !is_head {
            block.push_str(&format!("{line}\n"));
            if !line.starts_with('#') {
                blocks.push((map.clone(), std::mem::take(&mut block)));
            }
        }
    }
    blocks
}

fn starts_segment(line: &str) -> bool {
    ["#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PART:", "#EXTINF"]
        .iter()
        .any(|tag| line.starts_with(tag))
        && !line.starts_with("#EXT-X-DISCONTINUITY-SEQUENCE")
}

/// What a client makes of the playlist it holds and a delta update (rfc8216bis 6.3.7).
fn merge(old: &str, update: &str) -> String {
    let (head, rest) = update.split_once("#EXT-X-SKIP:SKIPPED-SEGMENTS=").unwrap();
    let (count, tail) = rest.split_once('\n').unwrap();
    let from = usize::try_from(read(update).msn - read(old).msn).unwrap();
    let known = blocks(old);
    let mut merged = head.to_owned();
    let mut map = "";
    for (init, lines) in &known[from..from + count.parse::<usize>().unwrap()] {
        let (before, after) = lines.split_at(lines.find("#EXT-X-PROGRAM-DATE-TIME").unwrap());
        merged.push_str(before);
        if map != init.as_str() {
            merged.push_str(init);
            map = init;
        }
        merged.push_str(after);
    }
    merged + tail
}

/// The date ranges of a client that holds some and gets an update without the old ones (rfc8216bis 6.3.7).
fn merge_ranges(held: Vec<String>, update: &str) -> Vec<String> {
    let removed = update.split("RECENTLY-REMOVED-DATERANGES=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut ranges: Vec<String> =
        held.into_iter().filter(|line| !removed.split('\t').any(|id| id == range_id(line))).collect();
    ranges.extend(date_ranges(update).into_iter().filter(|line| !ranges.contains(line)).collect::<Vec<_>>());
    ranges
}

/// Both forms of a delta update list the same segments.
fn differs_in_ranges_alone(newer: &str, update: &str) {
    let lines = |text: &str| -> Vec<String> {
        let common = |line: &&str| !line.starts_with("#EXT-X-VERSION") && !line.starts_with(RANGE);
        let until_removed = |line: &str| line.split(",RECENTLY-REMOVED").next().unwrap().to_owned();
        text.lines().filter(common).map(until_removed).collect()
    };
    assert_eq!(lines(newer), lines(update));
}

/// Exactly the segments beyond the skip boundary are skipped, and what remains is a playlist.
fn skips_what_is_old(update: &str, full: &Read_, timing: &Timing) {
    let boundary = timing.skip_until.unwrap().as_seconds();
    let count: usize = update.split("SKIPPED-SEGMENTS=").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let complete: Vec<f64> = full.segments.iter().filter(|one| !one.end.is_empty()).map(Segment::seconds).collect();
    let age_of_end = |index: usize| complete[index + 1..].iter().sum::<f64>();
    let beyond = (0..complete.len()).filter(|index| age_of_end(*index) > boundary + 0.000_1).count();
    assert_eq!(count, beyond, "{update}");
    let kept = read(update);
    assert_eq!((kept.msn, kept.discontinuities), (full.msn, full.discontinuities));
    assert_eq!(kept.segments.len(), full.segments.len() - count);
}

/// All rules over all revisions of one rendition.
fn judge(revisions: &[Arc<Snapshot>], timing: &Timing) {
    let target = f64::from(timing.target_duration_s);
    let mut bodies: BTreeMap<String, usize> = BTreeMap::new();
    let mut before: Option<Read_> = None;
    // What a client holds that asks for delta updates alone, and the date ranges of one that skips these too.
    let mut merged = String::new();
    let mut ranges: Vec<String> = Vec::new();
    let version = if timing.skip_until.is_some() { 9 } else { 6 };
    for snapshot in revisions {
        let text = text(snapshot);
        others_can_read_it(&text, version);
        assert_eq!(gunzip(&snapshot.playlist.gzip), text);
        if let Some(delta) = &snapshot.delta {
            let update = String::from_utf8(delta.segments.plain.to_vec()).unwrap();
            others_can_read_it(&update, version);
            assert_eq!(gunzip(&delta.segments.gzip), update);
            skips_what_is_old(&update, &read(&text), timing);
            merged = merge(&merged, &without_ranges(&update));
            assert_eq!(merged, without_ranges(&text));
            assert_eq!(date_ranges(&update), date_ranges(&text));
            let newer = String::from_utf8(delta.date_ranges().plain.to_vec()).unwrap();
            others_can_read_it(&newer, 10);
            ranges = merge_ranges(ranges, &newer);
            assert_eq!(ranges, date_ranges(&text), "{newer}");
            differs_in_ranges_alone(&newer, &update);
        } else {
            merged = without_ranges(&text);
            ranges = date_ranges(&text);
        }
        let read = read(&text);
        let is_gap = |name: &String| text.contains(&format!("#EXT-X-GAP\n#EXTINF:{target:.5},\n{name}\n"));
        for name in advertised(&read).into_iter().filter(|name| !is_gap(name)) {
            let object = snapshot.objects.get(&name).unwrap_or_else(|| panic!("{name} is not there"));
            let body = object.chunks.first().unwrap().as_ptr() as usize;
            assert_eq!(*bodies.entry(name).or_insert(body), body, "other bytes");
        }
        assert_eq!(snapshot.hinted_init.as_deref(), read.hinted_map.as_deref());
        for hint in read.hint.iter().chain(&read.hinted_map) {
            assert!(snapshot.objects.get(hint).is_none());
        }
        numbers_agree(snapshot, &read, timing);
        assert_eq!(read.hint.is_some(), timing.part_target.is_some() && !read.ended);
        assert!(read.segments[0].map.is_some());
        for segment in &read.segments {
            assert!(segment.seconds().round() <= target);
        }
        let complete = read.segments.iter().filter(|segment| !segment.end.is_empty()).count();
        assert!(complete <= timing.listed_segments);
        if let Some(before) = &before {
            only_allowed_edits(before, &read, target);
            assert!(read.msn == before.msn || complete >= 6);
        }
        before = Some(read);
    }
}

fn numbers_agree(snapshot: &Snapshot, read: &Read_, timing: &Timing) {
    let open = read.segments.last().filter(|segment| segment.end.is_empty());
    let complete = read.segments.len() - usize::from(open.is_some());
    assert_eq!(snapshot.first_msn, read.msn);
    assert_eq!(snapshot.next_msn, read.msn + complete as u64);
    assert_eq!(snapshot.open_parts as usize, open.map_or(0, |open| open.parts.len()));
    assert_eq!(snapshot.ended, read.ended);
    assert_eq!(snapshot.hint.as_deref(), read.hint.as_deref());
    assert_eq!(snapshot.part_target, timing.part_target);
    if complete > 0 && timing.part_target.is_some() {
        let last = &read.segments[complete - 1];
        assert_eq!(snapshot.last_parts as usize, last.parts.len());
    }
}

#[test]
fn delta_updates_of_300_revisions_merge_to_the_full_list_discontinuities_among_them() {
    let mut run = Run::new(LatencyProfile::Ultra, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(20));
    for (length, number) in [(7, 0), (3, 1), (11, 2), (60, 3)] {
        let at = run.restart();
        run.feed(at, at + seconds(length));
        let end = (at + seconds(length)).0 / MediaTime::PER_SECOND;
        run.mark(number, end - 2, None);
        run.feed(at + seconds(length), at + seconds(length + 1));
        run.mark(number, end - 2, Some(end + 1));
    }
    run.feed(seconds(105), seconds(150));
    for revisions in &run.revisions {
        judge(revisions, &run.timing);
        let deltas: Vec<_> = revisions.iter().filter_map(|snapshot| snapshot.delta.as_ref()).collect();
        assert!(deltas.len() >= 300, "{}", deltas.len());
        let with_break = |delta: &&&packager::live::Update| {
            delta.segments.plain.windows(21).any(|at| at == b"#EXT-X-DISCONTINUITY\n")
        };
        assert!(deltas.iter().filter(with_break).count() > 50);
    }
}

#[test]
fn an_outage_is_a_date_range_of_all_lists_as_long_as_one_of_its_segments_is_listed() {
    for profile in profiles() {
        let mut run = Run::new(profile, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
        run.feed(MediaTime::ZERO, seconds(19));
        run.mark(0, 18, None);
        run.feed(seconds(19), seconds(26));
        let begun =
            "#EXT-X-DATERANGE:ID=\"outage-7-0\",CLASS=\"headwater.outage\",START-DATE=\"2027-01-15T08:00:18.000Z\"";
        assert_eq!(date_ranges(&run.last(0)), [begun]);
        run.mark(0, 18, Some(26));
        run.mark(0, 18, Some(26));
        let over =
            format!("{},END-DATE=\"2027-01-15T08:00:26.000Z\"", begun.replace(",CLASS=\"headwater.outage\"", ""));
        assert_eq!(date_ranges(&run.last(0)), [begun, &over]);
        for to in 27..140 {
            run.feed(seconds(to - 1), seconds(to));
            run.ranges_are_the_same();
        }
        let updates = || run.revisions[0].iter().filter_map(|snapshot| snapshot.delta.as_ref());
        let newer = |delta: &packager::live::Update| String::from_utf8(delta.date_ranges().plain.to_vec()).unwrap();
        let whole = |delta: &packager::live::Update| String::from_utf8(delta.segments.plain.to_vec()).unwrap();
        if run.timing.skip_until.is_some() {
            assert!(updates().any(|delta| !date_ranges(&newer(delta)).is_empty()), "it is new at first");
            assert!(
                updates().any(|delta| date_ranges(&whole(delta)).len() == 2 && date_ranges(&newer(delta)).is_empty()),
                "both were listed before the skip boundary"
            );
            let removed = updates().filter(|delta| newer(delta).contains("DATERANGES=\"outage-7-0\"")).count();
            assert!(removed > 0 && removed < updates().count() / 2, "for as long as the skip boundary: {removed}");
        }
        let segment = run.timing.segment.0 / MediaTime::PER_SECOND;
        for revisions in &run.revisions {
            judge(revisions, &run.timing);
            let kept = revisions.iter().rev().find(|snapshot| !date_ranges(&text(snapshot)).is_empty()).unwrap();
            let first = i64::try_from(kept.first_msn - 100).unwrap() * segment;
            assert!((26..=26 + 3 * segment).contains(&first), "{profile:?}: dropped with the list at {first} s");
        }
    }
}

#[test]
fn a_date_range_stands_behind_what_was_listed_when_it_came() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(5));
    run.mark(0, 4, None);
    run.feed(seconds(5), seconds(60));
    let parts: Vec<String> =
        run.revisions[0].iter().map(|snapshot| text(snapshot)).filter(|text| text.contains(RANGE)).collect();
    let lines: Vec<&str> = parts[4].lines().collect();
    let at = lines.iter().position(|line| line.starts_with(RANGE)).unwrap();
    assert!(lines[at - 1].contains("part-7-102-2.m4s") && lines[at + 1].contains("part-7-102-3.m4s"), "{}", parts[4]);
    let late = run.last(0);
    let ranges = late.lines().position(|line| line.starts_with(RANGE)).unwrap();
    let media = late.lines().position(|line| line.starts_with("#EXT-X-MAP")).unwrap();
    assert!(ranges < media, "its segment is gone, and it lasts: {late}");
}

#[test]
fn an_outage_that_lasts_is_over_with_its_broadcast_but_not_with_its_node() {
    for (cause, count) in [(Cause::Session(SessionEnd::Lost), 2), (Cause::Shutdown, 1)] {
        let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
        run.feed(MediaTime::ZERO, seconds(9));
        run.mark(0, 7, None);
        run.end(cause);
        run.ranges_are_the_same();
        let ranges = date_ranges(&run.last(0));
        assert_eq!(ranges.len(), count);
        assert_eq!(ranges.last().unwrap().contains("END-DATE=\"2027-01-15T08:00:0"), count == 2, "{ranges:?}");
    }
}

#[test]
fn a_list_that_is_short_or_has_ended_has_no_delta_update() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(12));
    assert!(run.revisions[0].iter().all(|snapshot| snapshot.delta.is_none()));
    run.feed(seconds(12), seconds(22));
    assert!(run.revisions[0].last().unwrap().delta.is_some());
    run.end(Cause::Session(SessionEnd::Closed));
    assert!(run.revisions[0].last().unwrap().delta.is_none());
}

fn profiles() -> [LatencyProfile; 4] {
    use LatencyProfile::{Classic, Low, Relaxed, Ultra};
    [Ultra, Low, Relaxed, Classic]
}

#[test]
fn every_revision_keeps_the_rules_in_every_profile() {
    for (profile, rate) in profiles().into_iter().cycle().zip(packager::frame_rate::USUAL) {
        let mut run = Run::new(profile, rate, BOTH, MediaTime::from_millis(300));
        run.feed(MediaTime::from_millis(300), seconds(100));
        run.end(Cause::Session(SessionEnd::Closed));
        assert_eq!(run.listed.lock().unwrap().len(), 1);
        for rendition in 0..3 {
            judge(&run.revisions[rendition], &run.timing);
            assert!(run.last(rendition).ends_with("#EXT-X-ENDLIST\n"));
        }
    }
}

#[test]
fn a_broadcast_of_one_kind_keeps_the_rules_too() {
    for tracks in [Tracks { video: true, audio: false }, Tracks { video: false, audio: true }] {
        let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, tracks, MediaTime::ZERO);
        run.feed(MediaTime::ZERO, seconds(50));
        run.end(Cause::Session(SessionEnd::Closed));
        for revisions in &run.revisions {
            judge(revisions, &run.timing);
        }
        let text = String::from_utf8(run.live.multivariant.get().unwrap().to_vec()).unwrap();
        let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap();
        assert!(parsed.alternatives.is_empty() && parsed.variants.iter().all(|variant| variant.audio.is_none()));
        let codecs = parsed.variants[0].codecs.as_deref();
        assert_eq!(codecs, Some(if tracks.video { "avc1.64000d" } else { "mp4a.40.2" }));
    }
}

#[test]
fn after_a_restart_all_renditions_go_on_behind_a_discontinuity_and_a_new_map() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(5));
    let start = run.restart();
    assert_eq!(start, seconds(5), "nothing is lost, and nothing shown twice");
    run.feed(start, seconds(90));
    run.end(Cause::Session(SessionEnd::Closed));
    for revisions in &run.revisions {
        judge(revisions, &run.timing);
        let with = |snapshot: &&Arc<Snapshot>| text(snapshot).contains("#EXT-X-DISCONTINUITY\n");
        let during = read(&text(revisions.iter().find(with).unwrap()));
        let segment = during.segments.iter().find(|segment| segment.tags.len() == 2).unwrap();
        assert_eq!(segment.map.as_deref(), Some("init-7-1.mp4"));
        assert_eq!(during.discontinuities, 0);
        let hinted = revisions.iter().filter_map(|snapshot| snapshot.hinted_init.as_deref());
        assert_eq!(hinted.collect::<Vec<_>>(), ["init-7-1.mp4"], "in the one revision before its part");
        let last = read(&text(revisions.last().unwrap()));
        assert_eq!(last.discontinuities, 1, "it left the list and was counted");
    }
}

const LED: Option<Law> = Some(Law::Led { gop: 60 });

/// The discontinuity sequence number of each segment of a list.
fn discontinuities(read: &Read_) -> Vec<u64> {
    let mut count = read.discontinuities;
    let breaks = |segment: &Segment| segment.tags.iter().filter(|tag| *tag == "#EXT-X-DISCONTINUITY").count() as u64;
    let counted = read.segments.iter().map(|segment| {
        count += breaks(segment);
        count
    });
    counted.collect()
}

/// The init section of each segment of a list.
fn maps(read: &Read_) -> Vec<String> {
    let mut map = String::new();
    let of = |segment: &Segment| {
        if let Some(named) = &segment.map {
            map.clone_from(named);
        }
        map.clone()
    };
    read.segments.iter().map(of).collect()
}

#[test]
fn a_turn_ends_the_segment_in_all_lists_and_maps_anew_only_what_comes_from_elsewhere() {
    let ahead = MediaTime::from_millis(150);
    for (on, off) in [(135, 342), (130, 310), (120, 300), (121, 301), (179, 479)] {
        let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
        let at = |slot: i64| FrameRate::THIRTY.time_of(slot);
        run.feed(MediaTime::ZERO, at(on));
        run.turn(at(on), &[(0, Origin::Source)], LED);
        run.feed_passed(on..off, |slot| (slot - on) % 60 == 0, ahead);
        run.turn(at(off), &[(0, Origin::Own)], Some(Law::Grid));
        run.feed(at(off), at(off) + seconds(5));
        run.end(Cause::Session(SessionEnd::Closed));
        run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
        assert_eq!((run.metrics.holes.get(), run.epoch()), (0, 2));
        let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
        let breaks = discontinuities(&lists[0]);
        assert!(lists.iter().all(|list| discontinuities(list) == breaks), "the same in all lists");
        assert_eq!(dates(&run.last(0)), dates(&run.last(1)));
        let maps: Vec<Vec<String>> = lists.iter().map(maps).collect();
        let expected: Vec<String> = breaks.iter().map(|count| format!("init-7-{count}.mp4")).collect();
        assert_eq!(maps[0], expected);
        assert!(maps[1..].iter().flatten().all(|map| map == "init-7-0.mp4"), "{maps:?}");
        // The segments between the turns begin at the source's keyframes.
        let passed: Vec<f64> = lists[0]
            .segments
            .iter()
            .zip(&breaks)
            .filter(|(_, count)| **count == 1)
            .map(|(one, _)| one.seconds())
            .collect();
        assert!(passed[..passed.len() - 1].iter().all(|length| *length == 2.0), "{passed:?}");
        assert_eq!(i64::try_from(passed.len()).unwrap(), (off - on + 59) / 60);
    }
}

#[test]
fn a_turn_of_the_worker_waits_for_the_next_segment_of_the_source_that_leads() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(4));
    run.turn(seconds(4), &[(0, Origin::Source)], LED);
    run.feed_passed(120..200, |slot| slot % 60 == 0, MediaTime::ZERO);
    run.turn(seconds(6), &[(1, Origin::Rendition(1))], None);
    run.feed_passed(200..420, |slot| slot % 60 == 0, MediaTime::ZERO);
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list) == [0, 0, 1, 1, 2, 2, 2]), "{lists:?}");
    assert_eq!(maps(&lists[0])[2..], ["init-7-1.mp4"; 5]);
    assert_eq!(maps(&lists[1])[3..5], ["init-7-0.mp4", "init-7-1.mp4"]);
}

#[test]
fn a_source_waits_for_the_last_pictures_of_the_encoder_that_it_stands_in_for() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    let plan = run.publisher.as_ref().unwrap().plan();
    let mut late = Vec::new();
    for output in support::outputs(&plan, MediaTime::ZERO, seconds(4)) {
        if matches!(&output, Output::Encoded { rendition: 0, unit } if unit.pts >= MediaTime::from_millis(3_600)) {
            late.push(output);
        } else {
            run.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
            run.collect();
        }
    }
    run.turn(seconds(4), &[(0, Origin::Source)], LED);
    run.feed_passed(120..140, |slot| slot % 60 == 0, MediaTime::ZERO);
    for output in late {
        run.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
        run.collect();
        run.is_in_step();
    }
    run.feed_passed(140..400, |slot| slot % 60 == 0, MediaTime::ZERO);
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    assert_eq!((run.metrics.holes.get(), run.metrics.discarded.with_label_values(&["other"]).get()), (0, 0));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list)[..4] == [0, 0, 1, 1]), "{lists:?}");
    assert_eq!(dates(&run.last(0)), dates(&run.last(1)));
}

#[test]
fn another_renditions_media_in_its_place_bring_their_init_section_and_go_again() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(4));
    run.turn(seconds(4), &[(0, Origin::Rendition(1))], None);
    let plan = run.publisher.as_ref().unwrap().plan();
    for output in support::outputs(&plan, seconds(4), seconds(10)) {
        if !matches!(&output, Output::Encoded { rendition: 0, .. }) {
            run.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
            run.collect();
        }
    }
    run.turn(seconds(10), &[(0, Origin::Own)], None);
    run.feed(seconds(10), seconds(16));
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list) == [0, 0, 1, 1, 1, 2, 2, 2]), "{lists:?}");
    let numbers: Vec<String> = [0, 0, 1, 1, 1, 2, 2, 2].map(|map| format!("init-7-{map}.mp4")).into();
    assert_eq!(maps(&lists[0]), numbers);
    assert_eq!((run.metrics.holes.get(), run.metrics.discarded.with_label_values(&["other"]).get()), (0, 0));
    assert_eq!(dates(&run.last(0)), dates(&run.last(2)));
}

#[test]
fn sound_has_a_frame_in_a_segment_that_is_shorter_than_one() {
    let rate = FrameRate::new(60, 1);
    let mut run = Run::new(LatencyProfile::Ultra, rate, BOTH, MediaTime::ZERO);
    // No frame begins within the one picture after the seventh second.
    let at = rate.time_of(421);
    run.feed(MediaTime::ZERO, at);
    run.turn(at, &[], None);
    run.feed(at, seconds(12));
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list) == discontinuities(&lists[0])), "{lists:?}");
    assert_eq!(dates(&run.last(0)), dates(&run.last(2)));
    assert!(!run.last(2).contains("EXT-X-GAP"), "{}", run.last(2));
    assert!((lists[2].segments[7].seconds() - 1_024.0 / 48_000.0).abs() < 0.000_1, "{lists:?}");
}

#[test]
fn a_turn_whose_segment_waits_to_be_listed_is_bound_to_its_number() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(4));
    run.turn(seconds(4), &[(0, Origin::Own)], None);
    // The second rendition lags behind by more than a segment.
    let late = |rendition: u8| MediaTime::from_millis(if rendition == 1 { 1_900 } else { 0 });
    run.feed_late(seconds(4), seconds(12), late);
    run.turn(seconds(12), &[], None);
    run.feed_late(seconds(12), seconds(20), late);
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list) == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]), "{lists:?}");
    assert_eq!(maps(&lists[0])[..3], ["init-7-0.mp4", "init-7-0.mp4", "init-7-1.mp4"]);
}

#[test]
fn a_restart_while_a_source_is_passed_through_goes_back_to_the_grid_and_to_its_own_encoders() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(4));
    run.turn(seconds(4), &[(0, Origin::Source)], LED);
    run.feed_passed(120..265, |slot| slot % 60 == 0, MediaTime::from_millis(90));
    let start = run.restart();
    assert!((seconds(8)..=seconds(9)).contains(&start), "{start:?}");
    run.feed(start, seconds(16));
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
    let lists: Vec<Read_> = (0..3).map(|rendition| read(&run.last(rendition))).collect();
    assert!(lists.iter().all(|list| discontinuities(list).last() == Some(&2)), "{lists:?}");
    assert_eq!(dates(&run.last(0)), dates(&run.last(2)));
}

#[test]
fn a_rendition_that_had_nothing_before_the_restart_has_the_same_discontinuity_sequence() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    let plan = run.publisher.as_ref().unwrap().plan();
    for output in support::outputs(&plan, MediaTime::ZERO, seconds(1)) {
        if matches!(&output, Output::Encoded { rendition: 0, .. }) {
            run.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
        }
    }
    assert!(run.listed.lock().unwrap().is_empty(), "not all renditions have a part");
    let start = run.restart();
    run.feed(start, seconds(6));
    assert_eq!(run.listed.lock().unwrap().len(), 1);
    let numbers = |rendition: usize| {
        let read = read(&run.last(rendition));
        let tags = read.segments.iter().flat_map(|segment| &segment.tags);
        read.discontinuities + tags.filter(|tag| *tag == "#EXT-X-DISCONTINUITY").count() as u64
    };
    assert_eq!((numbers(0), numbers(1), numbers(2)), (1, 1, 1));
}

#[test]
fn renditions_that_lag_keep_the_others_in_step_and_lose_nothing() {
    for profile in [LatencyProfile::Ultra, LatencyProfile::Low, LatencyProfile::Classic] {
        for lags in [[0, 0, 1_400], [900, 0, 300], [0, 1_900, 40], [1_333, 1_000, 0]] {
            let mut run = Run::new(profile, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
            let late = |rendition: u8| MediaTime::from_millis(lags[usize::from(rendition)]);
            run.feed_late(MediaTime::ZERO, seconds(31), late);
            let start = run.restart();
            run.feed_late(start, seconds(60), late);
            run.end(Cause::Session(SessionEnd::Closed));
            let dated: Vec<Vec<(u64, String)>> = (0..3).map(|rendition| dates(&run.last(rendition))).collect();
            assert_eq!(dated[0], dated[1]);
            assert_eq!(dated[0], dated[2], "one number means one time");
            assert_eq!(run.metrics.holes.get(), 0);
            run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
        }
    }
}

/// The number of each listed segment and its date, to the tenth of a second.
fn dates(text: &str) -> Vec<(u64, String)> {
    let read = read(text);
    let date = |segment: &Segment| {
        let tag = segment.tags.iter().find(|tag| tag.starts_with("#EXT-X-PROGRAM-DATE-TIME")).unwrap();
        tag.rsplit_once('.').unwrap().0.to_owned() + &tag.rsplit_once('.').unwrap().1[..1]
    };
    (read.msn..).zip(read.segments.iter().map(date)).collect()
}

#[test]
fn a_rendition_without_media_holds_nobody_up_for_long() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(4));
    let plan = run.publisher.as_ref().unwrap().plan();
    let audio = plan.audio.as_ref().unwrap().rendition;
    for output in support::outputs(&plan, seconds(4), seconds(10)) {
        if !matches!(&output, Output::Encoded { rendition, .. } if *rendition == audio) {
            run.publisher.as_mut().unwrap().handle(output, MediaTime::ZERO, Instant::now());
            run.collect();
        }
    }
    let msn = |rendition: usize| run.revisions[rendition].last().unwrap().next_msn;
    assert_eq!((msn(0), msn(1), msn(2)), (105, 105, 101), "the sound of the second segment lacks its last samples");
    let start = run.restart();
    run.feed(start, seconds(20));
    let last = run.last(2);
    let missing: Vec<&str> = last.lines().skip_while(|line| *line != "#EXT-X-GAP").take(3).collect();
    assert_eq!(missing, ["#EXT-X-GAP", "#EXTINF:2.00000,", "seg-7-102.m4s"], "{last}");
    assert!(run.revisions[2].last().unwrap().objects.get("seg-7-103.m4s").is_none());
    assert!(run.revisions[2].last().unwrap().objects.get("seg-7-106.m4s").is_some());
    assert_eq!(dates(&run.last(0)).last(), dates(&last).last());
    run.revisions.iter().for_each(|revisions| judge(revisions, &run.timing));
}

#[test]
fn removed_segments_stay_for_their_duration_and_the_longest_playlist_and_then_go() {
    let mut run = Run::new(LatencyProfile::Ultra, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(200));
    for revisions in &run.revisions {
        let mut removed: Option<usize> = None;
        let mut forgotten = None;
        for (index, snapshot) in revisions.iter().enumerate() {
            if snapshot.first_msn > 100 {
                removed.get_or_insert(index);
            }
            if removed.is_some() && snapshot.objects.get("seg-7-100.m4s").is_none() {
                forgotten = Some(index);
                break;
            }
        }
        let (removed, forgotten) = (&revisions[removed.unwrap()], &revisions[forgotten.unwrap()]);
        let kept = forgotten.next_msn - removed.next_msn;
        let longest = run.timing.listed_segments as u64;
        assert!((longest + 1..=longest + 4).contains(&kept), "{kept} s");
        assert!(removed.objects.get("part-7-100-0.m4s").is_some());
    }
}

#[test]
fn a_node_that_shuts_down_finishes_the_open_part_and_sets_no_end_mark() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, MediaTime::from_millis(4_500));
    let before = run.revisions[0].last().unwrap().open_parts;
    let end = run.end(Cause::Shutdown);
    judge(&run.revisions[0], &run.timing);
    let last = run.revisions[0].last().unwrap();
    assert_eq!((last.open_parts, last.ended), (before + 1, false));
    assert_eq!(end.next_msn, 103);
}

#[test]
fn the_multivariant_playlist_names_what_the_sample_entries_say() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::new(30_000, 1_001), BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(1));
    let text = String::from_utf8(run.live.multivariant.get().unwrap().to_vec()).unwrap();
    let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap();
    assert!(parsed.independent_segments);
    assert_eq!(parsed.variants.len(), 2);
    let first = &parsed.variants[0];
    assert_eq!(first.uri, "b1/480p/index.m3u8");
    assert_eq!(first.codecs.as_deref(), Some("avc1.64000d,mp4a.40.2"));
    assert!(text.contains("FRAME-RATE=29.970"));
    assert!(text.contains("CLOSED-CAPTIONS=NONE"));
    assert!(first.average_bandwidth.unwrap() < first.bandwidth);
    let audio = &parsed.alternatives[0];
    assert_eq!(first.audio.as_deref(), Some(audio.group_id.as_str()));
    assert_eq!(audio.uri.as_deref(), Some("b1/audio/index.m3u8"));
    assert_eq!((audio.channels.as_deref(), audio.language.as_deref()), (Some("2"), Some("und")));
    assert!(audio.default && audio.autoselect);
}

#[test]
fn each_list_reports_every_other_rendition_as_soon_as_it_is_listed() {
    let mut run = Run::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH, MediaTime::ZERO);
    run.feed(MediaTime::ZERO, seconds(3));
    for revisions in &run.revisions {
        let reports = read(&text(revisions.last().unwrap())).reports;
        assert_eq!(reports.len(), 2);
        assert!(reports.iter().all(|report| report.contains(",LAST-MSN=101,LAST-PART=")), "{reports:?}");
    }
    assert_eq!(run.metrics.parts.with_label_values(&["video"]).get(), 18);
}
