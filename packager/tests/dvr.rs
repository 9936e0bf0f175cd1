//! DVR windows: what they list, what they owe, what lies on disk, and how a node goes on with them.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use packager::archive::{Archive, DvrStore, End, Limits, Sink, Track};
use packager::live::{InitSection, LiveDvr, Name, Object};
use packager::playlist::Finished;
use packager::playlist::dvr::{DvrSnapshot, DvrWindow, FileName, Kept, KeptInit, LISTED_MIN, Room, Rules};
use packager::timing::{Timing, Tracks};
use prometheus::Registry;
use proptest::prelude::*;
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::{HlsLine, Reader};
use schema::ladder::{FrameRate, LatencyProfile};
use schema::{BroadcastId, Incarnation, MediaTime, UnixMicros};

const SEGMENT: MediaTime = MediaTime(2 * MediaTime::PER_SECOND);
const PIECE: u64 = 1_000;

fn rules(span_s: i64) -> Rules {
    let timing = Timing::new(LatencyProfile::Low, FrameRate::THIRTY, Tracks { video: true, audio: true });
    let span = MediaTime(span_s * MediaTime::PER_SECOND);
    Rules { timing: Arc::new(timing), zero: UnixMicros(1_800_000_000_000_000), span }
}

fn kept(msn: u64) -> Kept {
    Kept {
        msn,
        epoch: 0,
        discontinuities: 0,
        incarnation: Incarnation(1),
        init: 0,
        start: MediaTime(SEGMENT.0 * i64::try_from(msn).unwrap()),
        duration: SEGMENT,
        length: Some(PIECE),
    }
}

fn window(span_s: i64, segments: std::ops::Range<u64>) -> DvrWindow {
    let mut window = DvrWindow::new(Arc::new(rules(span_s)));
    window.add_init(KeptInit { incarnation: Incarnation(1), index: 0, length: 10 });
    for msn in segments {
        assert!(window.append(kept(msn)));
    }
    window
}

fn text(snapshot: &DvrSnapshot) -> String {
    String::from_utf8(snapshot.plain().to_vec()).unwrap()
}

fn unpacked(snapshot: &DvrSnapshot) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&snapshot.gzip()[..]).read_to_string(&mut text).unwrap();
    text
}

fn number(list: &str, tag: &str) -> u64 {
    list.lines().find_map(|line| line.strip_prefix(tag)).unwrap_or_else(|| panic!("{tag} in {list}")).parse().unwrap()
}

/// The lines of each segment by its number, and what stands before the first.
fn segments(list: &str) -> (String, BTreeMap<u64, String>) {
    let first = number(list, "#EXT-X-MEDIA-SEQUENCE:");
    let skipped = list.lines().find_map(|line| line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS="));
    let mut msn = first + skipped.map_or(0, |skipped| skipped.parse::<u64>().unwrap());
    let (mut header, mut found, mut lines) = (String::new(), BTreeMap::new(), String::new());
    let of_segments = ["#EXT-X-DISCONTINUITY\n", "#EXT-X-MAP", "#EXT-X-PROGRAM", "#EXT-X-GAP", "#EXTINF"];
    for line in list.lines().map(|line| format!("{line}\n")) {
        if line.starts_with("#EXT-X-SKIP") {
            continue;
        }
        let is_of_segment = !line.starts_with('#') || of_segments.iter().any(|tag| line.starts_with(tag));
        if !is_of_segment {
            header.push_str(&line);
            continue;
        }
        lines.push_str(&line);
        if !line.starts_with('#') {
            found.insert(msn, std::mem::take(&mut lines));
            msn += 1;
        }
    }
    assert_eq!(lines, "");
    (header, found)
}

/// What a client makes of the list before and a delta update (rfc8216bis 6.3.7).
fn merged(before: &str, delta: &str) -> String {
    let (mut out, newest) = segments(delta);
    let (_, known) = segments(before);
    let first = number(delta, "#EXT-X-MEDIA-SEQUENCE:");
    let mut map = None;
    for lines in known.range(..=first).map(|(_, lines)| lines) {
        map = lines.lines().find(|line| line.starts_with("#EXT-X-MAP")).or(map);
    }
    let all: Vec<&String> =
        known.range(first..*newest.keys().next().unwrap()).map(|(_, lines)| lines).chain(newest.values()).collect();
    if !all[0].contains("#EXT-X-MAP") {
        out.push_str(&format!("{}\n", map.unwrap()));
    }
    out + &all.into_iter().cloned().collect::<String>()
}

fn is_read_by_others(list: &str) {
    let mut reader = Reader::from_str(list, ParsingOptionsBuilder::new().with_parsing_for_all_tags().build());
    while let Some(line) = reader.read_line().unwrap() {
        assert!(!matches!(line, HlsLine::UnknownTag(_)), "{line:?}");
    }
    let (rest, read) = m3u8_rs::parse_media_playlist(list.as_bytes()).unwrap();
    assert_eq!(rest, b"");
    assert_eq!(read.segments.len(), list.lines().filter(|line| line.starts_with("#EXTINF")).count());
    assert_eq!(read.end_list, list.ends_with("#EXT-X-ENDLIST\n"));
}

/// What holds of every list.
fn is_lawful(list: &str) {
    is_read_by_others(list);
    assert!(!list.contains("#EXT-X-PART") && !list.contains("PRELOAD") && !list.contains("PLAYLIST-TYPE"), "{list}");
    let target = number(list, "#EXT-X-TARGETDURATION:");
    for duration in list.lines().filter_map(|line| line.strip_prefix("#EXTINF:")) {
        let duration: f64 = duration.trim_end_matches(',').parse().unwrap();
        assert!(duration.round() <= target as f64, "{duration}");
    }
    let (_, found) = segments(list);
    if let Some(first) = found.values().next() {
        assert!(first.contains("#EXT-X-MAP"), "{first}");
    }
}

/// Between two revisions only lawful edits happened (rfc8216bis 6.2.1).
fn follows(before: &str, after: &str) {
    let (old, new) = (segments(before).1, segments(after).1);
    assert!(new.keys().next() >= old.keys().next() && new.keys().last() >= old.keys().last());
    let (mut sequence_before, mut sequence_after) =
        (number(before, "#EXT-X-DISCONTINUITY-SEQUENCE:"), number(after, "#EXT-X-DISCONTINUITY-SEQUENCE:"));
    assert!(sequence_after >= sequence_before);
    let numbered = |list: &BTreeMap<u64, String>, sequence: &mut u64| -> BTreeMap<u64, u64> {
        let count = |lines: &str| lines.matches("#EXT-X-DISCONTINUITY\n").count() as u64;
        list.iter()
            .map(|(msn, lines)| {
                (*msn, {
                    *sequence += count(lines);
                    *sequence
                })
            })
            .collect()
    };
    let was = numbered(&old, &mut sequence_before);
    for (msn, sequence) in numbered(&new, &mut sequence_after) {
        assert!(was.get(&msn).is_none_or(|was| *was == sequence), "{msn}");
    }
    let without_map = |lines: &str| lines.lines().filter(|line| !line.starts_with("#EXT-X-MAP")).collect::<String>();
    for (msn, lines) in &new {
        assert!(old.get(msn).is_none_or(|was| without_map(was) == without_map(lines)), "{msn}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Segment { hole: u64, gap: bool, anew: bool },
    Trim,
    Shorten,
    Release(Room),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_u64..40, any::<bool>(), 0_u8..9).prop_map(|(hole, gap, anew)| Step::Segment {
            hole: hole.saturating_sub(36),
            gap: gap && anew == 1,
            anew: anew == 0,
        }),
        2 => Just(Step::Trim),
        1 => Just(Step::Shorten),
        1 => prop_oneof![Just(Room::Enough), Just(Room::Short)].prop_map(Step::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_revision_is_lawful_and_a_delta_update_makes_it_of_the_one_before(steps in prop::collection::vec(step(), 1..400)) {
        let mut window = DvrWindow::new(Arc::new(rules(200)));
        let (mut msn, mut at, mut init, mut epoch) = (1_000, MediaTime::from_millis(700), 0, 0);
        let mut before: Option<String> = None;
        let mut freed: Vec<FileName> = Vec::new();
        window.add_init(KeptInit { incarnation: Incarnation(1), index: 0, length: 10 });
        for step in steps {
            match step {
                Step::Segment { hole, gap, anew } => {
                    if anew {
                        (init, epoch) = (init + 1, epoch + 1);
                        window.add_init(KeptInit { incarnation: Incarnation(1), index: init, length: 10 });
                        at += MediaTime::from_millis(300);
                    }
                    (msn, at) = (msn + hole, at + MediaTime(SEGMENT.0 * i64::try_from(hole).unwrap()));
                    let length = (!gap).then_some(PIECE);
                    let listed = window.append(Kept { msn, epoch, init, start: at, length, ..kept(0) });
                    prop_assert!(listed);
                    (msn, at) = (msn + 1, at + SEGMENT);
                }
                Step::Trim => window.remove_below(window.first_within_span()),
                Step::Shorten => if let Some(first) = window.first_if_shorter() { window.remove_below(first) },
                Step::Release(room) => freed.extend(window.release(room)),
            }
            let snapshot = window.snapshot();
            if snapshot.is_empty() { continue; }
            let list = text(&snapshot);
            is_lawful(&list);
            prop_assert_eq!(&unpacked(&snapshot), &list);
            if let Some(before) = &before {
                follows(before, &list);
                if let Some(delta) = snapshot.delta() {
                    let delta = String::from_utf8(delta.plain.to_vec()).unwrap();
                    is_read_by_others(&delta);
                    prop_assert_eq!(&merged(before, &delta), &list);
                }
            }
            for one in snapshot.segments() {
                let file = snapshot.file(&Name::Segment(one.incarnation, one.msn).to_string());
                prop_assert_eq!(file, one.length.map(|_| FileName::Segment(*one)));
                let init = snapshot.file(&Name::Init(one.incarnation, one.init).to_string());
                prop_assert!(init.is_some_and(|init| !freed.contains(&init)));
                prop_assert!(!freed.contains(&FileName::Segment(*one)));
            }
            before = Some(list);
        }
    }
}

#[test]
fn the_window_is_as_long_as_it_should_be_and_never_shorter_than_the_live_list() {
    for (span, listed) in [(60, 30), (61, 31), (3_600, 1_800), (1, 15)] {
        let mut window = window(span, 0..2_000);
        window.remove_below(window.first_within_span());
        assert_eq!(window.next() - window.first(), listed, "{span}");
    }
}

#[test]
fn a_removed_segment_stays_for_what_it_is_owed_and_goes_then() {
    let mut window = window(60, 0..30);
    window.append(kept(30));
    window.remove_below(window.first_within_span());
    assert_eq!((window.first(), window.bytes()), (1, 31 * PIECE + 10));
    assert_eq!(window.release(Room::Enough), []);
    assert!(window.view().file("seg-1-0.m4s").is_some(), "removed, and still owed");
    let gone_at = (31..40).find(|&msn| {
        window.append(kept(msn));
        window.remove_below(window.first_within_span());
        window.release(Room::Enough).contains(&FileName::Segment(kept(0)))
    });
    // It came at 2 s; its duration, the longest list that had it (62 s) and a segment more make 68 s: the end of 33.
    assert_eq!(gone_at, Some(33));
    assert_eq!(window.view().file("seg-1-0.m4s"), None);
}

#[test]
fn where_room_is_short_what_is_owed_goes_once_no_player_can_know_it_any_more() {
    let mut window = window(600, 0..300);
    window.remove_below(200);
    assert_eq!(window.release(Room::Enough), []);
    assert_eq!(window.release(Room::Short), []);
    for msn in 300..303 {
        assert_eq!(window.release(Room::Short), []);
        window.append(kept(msn));
    }
    assert_eq!(window.release(Room::Short).len(), 200);
    assert_eq!(window.bytes(), 103 * PIECE + 10);
}

#[test]
fn a_list_is_never_shortened_below_what_players_need() {
    let mut window = window(600, 0..10);
    while let Some(first) = window.first_if_shorter() {
        window.remove_below(first);
    }
    assert_eq!(window.next() - window.first(), LISTED_MIN);
}

#[test]
fn an_ended_list_has_its_end_mark_and_no_updates() {
    let mut window = window(600, 0..100);
    // Seven end within the boundary of 12 s, the last of them just so.
    let update = window.view().delta().unwrap().plain.clone();
    assert!(String::from_utf8_lossy(&update).contains("SKIPPED-SEGMENTS=93\n"));
    window.end_list();
    let snapshot = window.snapshot();
    assert!(text(&snapshot).ends_with("#EXT-X-ENDLIST\n") && snapshot.delta().is_none() && snapshot.ended);
    assert_eq!(unpacked(&snapshot), text(&snapshot));
    assert!(!window.append(kept(100)), "nothing follows");
}

#[test]
fn what_cannot_be_ours_is_never_listed() {
    let mut window = window(600, 5..6);
    for bad in [
        kept(5),
        Kept { msn: u64::MAX, ..kept(6) },
        kept(7_000_000),
        Kept { duration: MediaTime(0), ..kept(6) },
        Kept { duration: MediaTime(i64::MAX), ..kept(6) },
        Kept { start: MediaTime(i64::MAX), ..kept(6) },
        Kept { start: MediaTime(-1), ..kept(6) },
        Kept { discontinuities: 1, ..kept(6) },
    ] {
        assert!(!window.append(bad), "{bad:?}");
    }
    assert!(window.append(kept(6)));
}

/// A store in a folder of its own, with one broadcast of two renditions.
struct Stage {
    folder: tempfile::TempDir,
    store: DvrStore,
    registry: Registry,
}

struct Running {
    archive: Archive,
    sinks: Vec<Sink>,
    dvrs: Vec<LiveDvr>,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let store = DvrStore::open(&folder.path().join("dvr"), limits, &registry).unwrap();
        Self { folder, store, registry }
    }

    fn id() -> BroadcastId {
        "b1".parse().unwrap()
    }

    fn begin(&self, span_s: i64) -> Running {
        let names = ["720p", "audio"].map(|name| name.parse().unwrap());
        let mut archive = self.store.begin(&Self::id(), rules(span_s), &[&names[0], &names[1]]).unwrap();
        let (sinks, dvrs) = archive.tracks().into_iter().map(|Track { sink, dvr }| (sink, dvr)).unzip();
        Running { archive, sinks, dvrs }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("dvr/b1")
    }

    /// Of all counters and gauges of that name.
    fn metric(&self, name: &str) -> f64 {
        let family = self.registry.gather().into_iter().find(|family| family.name() == name).unwrap();
        let value = |one: &prometheus::proto::Metric| one.get_counter().get_value() + one.get_gauge().get_value();
        family.get_metric().iter().map(value).sum()
    }

    fn bytes_on_disk(&self) -> u64 {
        let sizes = |folder: &Path| -> u64 {
            fs::read_dir(folder).map_or(0, |files| files.map(|file| file.unwrap().metadata().unwrap().len()).sum())
        };
        ["720p", "audio"].iter().map(|name| sizes(&self.path().join(name))).sum()
    }
}

fn body(msn: u64) -> Bytes {
    Bytes::from(format!("segment {msn} ").repeat(100)[..1_000].to_owned())
}

fn finished(incarnation: u64, msn: u64, epoch: u64, start_s: i64) -> Finished {
    Finished {
        msn,
        epoch,
        incarnation: Incarnation(incarnation),
        init: InitSection { index: 0, object: Object::new([Bytes::from(format!("init {incarnation}"))]) },
        start: MediaTime(start_s * MediaTime::PER_SECOND),
        duration: SEGMENT,
        object: Object::new([body(msn).slice(..500), body(msn).slice(500..)]),
    }
}

impl Running {
    fn send(&self, finished: &Finished) {
        for sink in &self.sinks {
            sink.send(finished.clone());
        }
    }

    /// Sends one and waits until both lists have it; then everything listed must be there.
    async fn keep(&mut self, one: Finished) {
        self.send(&one);
        for dvr in &mut self.dvrs {
            dvr.snapshot.wait_for(|list| list.next_msn > one.msn).await.unwrap();
            is_servable(dvr);
        }
    }

    async fn end(self, end: End) -> Vec<LiveDvr> {
        drop(self.sinks);
        self.archive.end(end).await.unwrap();
        self.dvrs
    }
}

/// What is listed can be had, whole.
fn is_servable(dvr: &LiveDvr) {
    let list = Arc::clone(&dvr.snapshot.borrow());
    is_lawful(&text(&list));
    for kept in list.segments() {
        let file = dvr.file(&Name::Segment(kept.incarnation, kept.msn).to_string());
        assert_eq!(file.is_some(), kept.length.is_some());
        let Some(file) = file else { continue };
        match fs::read(&file.path) {
            Ok(bytes) => assert_eq!(bytes, body(kept.msn)),
            // It left the list while it was looked at.
            Err(_) => assert!(kept.msn < dvr.snapshot.borrow().first_msn, "{file:?} is listed"),
        }
    }
}

#[tokio::test]
async fn what_is_kept_is_listed_and_lies_on_disk_and_is_taken_up_after_a_restart() {
    let stage = Stage::new(Limits::default());
    let mut first = stage.begin(60);
    for msn in 0..40 {
        first.keep(finished(1, msn, 0, 2 * i64::try_from(msn).unwrap())).await;
    }
    let before: Vec<String> = first.dvrs.iter().map(|dvr| text(&dvr.snapshot.borrow())).collect();
    assert!(before[0].contains("MEDIA-SEQUENCE:10\n"), "{}", before[0]);
    first.end(End::Left).await;

    // What a killed node leaves.
    let folder = stage.path().join("720p");
    fs::write(folder.join("new"), "half a segment").unwrap();
    fs::write(folder.join("seg-40-0-0-1-0-100-1411200000-1000"), "cut off").unwrap();

    let mut again = stage.begin(60);
    for (dvr, before) in again.dvrs.iter_mut().zip(&before) {
        dvr.snapshot.wait_for(|list| !list.is_empty()).await.unwrap();
        assert_eq!(&text(&dvr.snapshot.borrow()), before, "nothing is lost, and nothing comes back");
    }
    // Numbers in reserve, and time without media.
    again.keep(finished(2, 43, 1, 95)).await;
    let list = text(&again.dvrs[0].snapshot.borrow());
    follows(&before[0], &list);
    assert_eq!(list.matches("#EXT-X-GAP").count(), 3, "{list}");
    assert_eq!(list.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(again.dvrs[0].file("seg-1-40.m4s"), None);
    assert!(again.dvrs[0].file("init-1-0.mp4").is_some() && again.dvrs[0].file("init-2-0.mp4").is_some());
    again.end(End::Left).await;
    stage.store.remove(&Stage::id()).await;
    assert!(!stage.path().exists());
}

#[tokio::test]
async fn what_has_ended_stays_listed_with_its_end_mark_until_it_is_removed() {
    let stage = Stage::new(Limits::default());
    let mut running = stage.begin(60);
    for msn in 0..8 {
        running.keep(finished(1, msn, 0, 2 * i64::try_from(msn).unwrap())).await;
    }
    drop(running.sinks);
    let ended = running.archive.end(End::Final).await.unwrap();
    let list = text(&running.dvrs[0].snapshot.borrow());
    assert!(list.ends_with("#EXT-X-ENDLIST\n"), "{list}");
    is_servable(&running.dvrs[0]);
    running.dvrs[0].snapshot.mark_unchanged();
    drop(ended);
    assert!(running.dvrs[0].snapshot.changed().await.is_err(), "nobody shows it any more");
}

#[tokio::test]
async fn leftovers_go_and_what_is_known_stays() {
    let stage = Stage::new(Limits::default());
    let mut running = stage.begin(60);
    running.keep(finished(1, 0, 0, 0)).await;
    let other = stage.path().with_file_name("b0");
    fs::create_dir_all(other.join("720p")).unwrap();
    fs::write(other.join("720p/seg-1"), "x").unwrap();
    fs::write(stage.path().with_file_name("noise"), "x").unwrap();
    stage.store.sweep(&[Stage::id()]);
    assert_eq!(fs::read_dir(stage.folder.path().join("dvr")).unwrap().count(), 1);
    is_servable(&running.dvrs[0]);
    running.end(End::Left).await;
    stage.store.sweep(&[]);
    assert!(!stage.path().exists());
}

#[tokio::test]
async fn a_limit_shortens_the_window_and_is_never_exceeded() {
    let limits = Limits { bytes_max: 60 * PIECE, free_bytes_min: 0, keep_after_end_s: 0 };
    let stage = Stage::new(limits);
    let mut running = stage.begin(600);
    for msn in 0..120 {
        running.keep(finished(1, msn, 0, 2 * i64::try_from(msn).unwrap())).await;
        assert!(stage.bytes_on_disk() <= limits.bytes_max);
    }
    let list = Arc::clone(&running.dvrs[0].snapshot.borrow());
    assert!((15..26).contains(&list.segments().count()), "{}", text(&list));
    assert_eq!(text(&list).matches("#EXT-X-GAP").count(), 0);
    assert_eq!(stage.metric("headwater_dvr_missed_total"), 0.0);
    assert!(stage.metric("headwater_dvr_shortened_total") >= 180.0);
    assert_eq!(stage.metric("headwater_dvr_written_total"), 240.0);
    assert_eq!(stage.metric("headwater_dvr_bytes"), stage.bytes_on_disk() as f64);
    let before = text(&list);
    running.end(End::Left).await;
    let mut again = stage.begin(600);
    again.dvrs[0].snapshot.wait_for(|list| !list.is_empty()).await.unwrap();
    assert_eq!(text(&again.dvrs[0].snapshot.borrow()), before, "what left the list does not come back");
}

#[tokio::test]
async fn without_any_room_nothing_is_listed_and_nothing_written() {
    let stage = Stage::new(Limits { bytes_max: u64::MAX, free_bytes_min: u64::MAX / 2, keep_after_end_s: 0 });
    let running = stage.begin(60);
    for msn in 0..20 {
        running.send(&finished(1, msn, 0, 2 * i64::try_from(msn).unwrap()));
    }
    let dvrs = running.end(End::Left).await;
    assert!(dvrs[0].snapshot.borrow().is_empty(), "no init section could stand before a gap");
    assert_eq!((stage.metric("headwater_dvr_missed_total"), stage.bytes_on_disk()), (40.0, 0));
}

#[tokio::test]
async fn a_disk_that_fails_costs_gaps_until_it_works_again() {
    let stage = Stage::new(Limits::default());
    let mut running = stage.begin(60);
    for msn in 0..30 {
        let folder = stage.path().join("720p");
        match msn {
            10 => {
                fs::rename(&folder, stage.path().join("away")).unwrap();
                fs::write(&folder, "no folder").unwrap();
            }
            15 => {
                fs::remove_file(&folder).unwrap();
                fs::rename(stage.path().join("away"), &folder).unwrap();
            }
            _ => {}
        }
        let one = finished(1, msn, 0, 2 * i64::try_from(msn).unwrap());
        running.send(&one);
        for dvr in &mut running.dvrs {
            dvr.snapshot.wait_for(|list| list.next_msn > one.msn).await.unwrap();
        }
    }
    let gaps = |dvr: &LiveDvr| text(&dvr.snapshot.borrow()).matches("#EXT-X-GAP").count();
    assert_eq!((gaps(&running.dvrs[0]), gaps(&running.dvrs[1])), (5, 0));
    running.dvrs.iter().for_each(is_servable);
    assert_eq!(stage.metric("headwater_dvr_missed_total"), 5.0);
}

#[tokio::test]
async fn what_was_listed_as_a_gap_is_one_again_after_a_restart() {
    let stage = Stage::new(Limits { bytes_max: 200 * PIECE, free_bytes_min: 0, keep_after_end_s: 0 });
    let mut running = stage.begin(600);
    let large = Bytes::from(vec![7; 300_000]);
    for msn in 0..12 {
        let mut one = finished(1, msn, 0, 2 * i64::try_from(msn).unwrap());
        if msn > 7 {
            one.object = Object::new([large.clone()]);
        }
        running.send(&one);
        running.dvrs[0].snapshot.wait_for(|list| list.next_msn > msn).await.unwrap();
    }
    let dvrs = running.end(End::Left).await;
    let before = text(&dvrs[0].snapshot.borrow());
    assert_eq!(before.matches("#EXT-X-GAP").count(), 4, "{before}");
    let mut again = stage.begin(600);
    again.dvrs[0].snapshot.wait_for(|list| !list.is_empty()).await.unwrap();
    assert_eq!(text(&again.dvrs[0].snapshot.borrow()), before);
}
