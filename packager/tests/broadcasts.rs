//! Whole broadcasts on virtual time, over a scripted transcoder.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use packager::broadcast::{
    self, BroadcastEnd, BroadcastMetrics, Cause, Joining, Opening, Outline, Publishing, Start, Status, Tracks, Word,
};
use packager::live::LiveBroadcast;
use packager_transcode::wire::Coding;
use prometheus::Registry;
use schema::api::{BroadcastState, KeyRole, PublishGrant, SecondPublisher};
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};
use schema::{Feed, Incarnation, MediaTime, SessionEnd, TrackKind, UnixMicros};
use support::{Life, OpenFeed, PacedFeed, ReadyFeed, Script, open_feed, publisher, vp8};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const BOTH: Tracks = Tracks { video: true, audio: true };

struct Setup {
    start: Start,
    opening: Opening,
    listed: oneshot::Receiver<Arc<LiveBroadcast>>,
    status: watch::Receiver<Status>,
    metrics: BroadcastMetrics,
    words: mpsc::Sender<Word>,
}

fn setup(feed: impl Feed + 'static, script: &Script) -> Setup {
    let (listing, listed) = oneshot::channel();
    let (sender, status) = watch::channel(Status::default());
    let metrics = BroadcastMetrics::register(&Registry::new()).unwrap();
    let (words, told) = mpsc::channel(2);
    let start = Start {
        grant: PublishGrant {
            channel: "demo".parse().unwrap(),
            key_id: "k1".into(),
            title: "Demo".into(),
            ladder: Ladder::default(),
            profile: LatencyProfile::Low,
            frame_rate: None,
            last_size: None,
            grace_s: 60,
            second_publisher: SecondPublisher::Replace,
            passthrough: true,
            role: KeyRole::Primary,
            slate: None,
            dvr_s: 0,
            access: Default::default(),
        },
        broadcast: "b1".parse().unwrap(),
        incarnation: Incarnation(3),
        dvr: None,
        words: told,
        transcoding: Arc::new(script.clone()),
        msn_start: 40,
        listing: Box::new(move |live| {
            let _ = listing.send(live);
        }),
        status: sender,
        metrics: metrics.clone(),
    };
    let opening = Opening::Publisher { joining: joins(feed, KeyRole::Primary), tracks: BOTH };
    Setup { start, opening, listed, status, metrics, words }
}

impl Setup {
    fn negotiated(&mut self, wanted: Tracks) {
        if let Opening::Publisher { tracks, .. } = &mut self.opening {
            *tracks = wanted;
        }
    }
}

async fn run(start: Start, opening: Opening) -> BroadcastEnd {
    broadcast::run(start, opening, CancellationToken::new()).await
}

fn joins(feed: impl Feed + 'static, role: KeyRole) -> Joining {
    let publishing = Publishing { session: "s1".parse().unwrap(), key_id: "k1".into() };
    Joining { feed: Box::new(feed), role, publishing }
}

fn playlist(live: &LiveBroadcast, name: &str) -> String {
    let rendition = live.renditions.iter().find(|rendition| rendition.name.as_str() == name).unwrap();
    String::from_utf8(rendition.snapshot.borrow().playlist.plain.to_vec()).unwrap()
}

fn names(live: &LiveBroadcast) -> Vec<&str> {
    live.renditions.iter().map(|rendition| rendition.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_listed_played_and_ended_in_all_renditions() {
    let script = Script::new([Life::Well]);
    let mut setup = setup(ReadyFeed::new(publisher(20), Some(SessionEnd::Closed)), &script);
    let end = run(setup.start, setup.opening).await;
    let live = setup.listed.try_recv().unwrap();
    assert_eq!(end.cause, Cause::Session(SessionEnd::Closed));
    assert_eq!(names(&live), ["720p", "480p", "360p", "audio"], "a source of 240 lines may grow to 720");
    for name in names(&live) {
        let text = playlist(&live, name);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:40\n"), "{text}");
        assert!(text.contains("seg-3-49.m4s\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    }
    assert!(live.multivariant.get().is_some());
    assert_eq!(end.next_msn, 50);
    let status = setup.status.borrow().clone();
    assert_eq!((status.state, status.end), (BroadcastState::Ended, Some(SessionEnd::Closed)));
    assert_eq!(status.source_size, Some(PictureSize { width: 320, height: 240 }));
    assert_eq!(setup.metrics.broadcasts_active.get(), 0);
    assert_eq!(setup.metrics.segments.with_label_values(&["audio"]).get(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_window_of_an_ended_broadcast_stays_for_its_retention_and_then_goes() {
    let script = Script::new([Life::Well]);
    let mut setup = setup(ReadyFeed::new(publisher(20), Some(SessionEnd::Closed)), &script);
    let end = run(setup.start, setup.opening).await;
    let live = setup.listed.try_recv().unwrap();
    let retained = end.retained.unwrap();
    assert!(retained.retention() >= Duration::from_secs(22), "{:?}", retained.retention());
    let mut snapshot = live.renditions[0].snapshot.clone();
    assert!(snapshot.borrow_and_update().ended);
    let began = Instant::now();
    retained.hold(CancellationToken::new()).await;
    assert!(began.elapsed() >= Duration::from_secs(22));
    assert!(snapshot.changed().await.is_err(), "the sender is gone");
}

#[tokio::test(start_paused = true)]
async fn a_dead_worker_costs_a_discontinuity_and_a_keyframe_is_asked_for() {
    let script = Script::new([Life::Dies(150), Life::Well]);
    let feed = ReadyFeed::new(publisher(30), Some(SessionEnd::Closed));
    let keyframes = Arc::clone(&feed.keyframes);
    let mut setup = setup(feed, &script);
    let end = run(setup.start, setup.opening).await;
    let live = setup.listed.try_recv().unwrap();
    assert_eq!(end.cause, Cause::Session(SessionEnd::Closed));
    for rendition in &live.renditions {
        let text = playlist(&live, rendition.name.as_str());
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
        assert!(text.contains("init-3-0.mp4") && text.contains("init-3-1.mp4"));
    }
    assert!(keyframes.load(Ordering::SeqCst) >= 1);
    assert_eq!(setup.metrics.transcoder_restarts.get(), 1);
    let plans = script.plans.lock().unwrap();
    assert_eq!(plans[0].video, plans[1].video);
    assert!(plans[1].start > plans[0].start);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_is_replaced() {
    let script = Script::new([Life::Hangs(60), Life::Well]);
    let feed = PacedFeed::new(ReadyFeed::new(publisher(30), None));
    let mut setup = setup(feed, &script);
    let cancel = CancellationToken::new();
    let running = broadcast::run(setup.start, setup.opening, cancel.clone());
    let (end, ()) = tokio::join!(running, async {
        sleep(Duration::from_secs(20)).await;
        cancel.cancel();
    });
    assert_eq!(end.cause, Cause::Shutdown);
    assert_eq!(setup.metrics.transcoder_restarts.get(), 1);
    assert!(setup.listed.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_be_kept_alive_ends_the_broadcast_after_five_restarts() {
    let script = Script::new([Life::Refused]);
    let setup = setup(ReadyFeed::new(publisher(5), None), &script);
    let began = Instant::now();
    let end = run(setup.start, setup.opening).await;
    assert_eq!(end.cause, Cause::TranscoderFailed);
    assert_eq!(script.plans.lock().unwrap().len(), 6);
    assert!(began.elapsed() >= Duration::from_millis(3_750));
    assert!(end.retained.is_none(), "nothing was ever listed");
    assert_eq!(setup.metrics.transcoder_failures.get(), 1);
    assert_eq!(setup.status.borrow().state, BroadcastState::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_the_open_part_and_sets_no_end_mark() {
    let script = Script::new([Life::Well]);
    let mut setup = setup(ReadyFeed::new(publisher(9), None), &script);
    let cancel = CancellationToken::new();
    let (end, live) = tokio::join!(broadcast::run(setup.start, setup.opening, cancel.clone()), async {
        let live = (&mut setup.listed).await.unwrap();
        let mut newest = live.renditions[0].snapshot.clone();
        newest.wait_for(|snapshot| snapshot.next_msn == 44 && snapshot.open_parts >= 2).await.unwrap();
        cancel.cancel();
        live
    });
    assert_eq!(end.cause, Cause::Shutdown);
    for rendition in &live.renditions {
        let text = playlist(&live, rendition.name.as_str());
        assert!(!text.contains("#EXT-X-ENDLIST"), "{text}");
    }
    assert_eq!(end.next_msn, 45);
}

#[tokio::test(start_paused = true)]
async fn sound_that_comes_late_is_silence_until_then() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Well]));
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    publisher.publish_kinds(Duration::from_secs(5), &[TrackKind::Video]).await;
    let live = (&mut setup.listed).await.unwrap();
    assert_eq!(names(&live).last(), Some(&"audio"));
    publisher.publish(Duration::from_secs(6)).await;
    publisher.end(SessionEnd::Closed);
    let end = running.join_next().await.unwrap().unwrap();
    is_seamless(&live);
    assert_eq!(end.next_msn, 46, "11 s");
    assert!(!playlist(&live, "audio").contains("#EXT-X-GAP"));
}

#[tokio::test(start_paused = true)]
async fn pictures_that_come_after_sound_was_listed_alone_are_left_out() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Well]));
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    publisher.publish_kinds(Duration::from_secs(6), &[TrackKind::Audio]).await;
    let live = (&mut setup.listed).await.unwrap();
    publisher.publish(Duration::from_secs(5)).await;
    publisher.end(SessionEnd::Closed);
    running.join_next().await.unwrap().unwrap();
    assert_eq!(names(&live), ["audio"]);
    let multivariant = String::from_utf8(live.multivariant.get().unwrap().to_vec()).unwrap();
    assert!(!multivariant.contains("avc1") && !multivariant.contains("AUDIO="), "{multivariant}");
    is_seamless(&live);
}

#[tokio::test(start_paused = true)]
async fn a_track_that_is_lost_and_comes_back_leaves_the_lists_seamless_and_missing_pictures_are_marked() {
    for (kept, ranges) in [(TrackKind::Audio, 2), (TrackKind::Video, 0)] {
        let (publisher, feed) = open_feed();
        let mut setup = setup(feed, &Script::new([Life::Well]));
        let mut running = JoinSet::new();
        running.spawn(run(setup.start, setup.opening));
        publisher.publish(Duration::from_secs(6)).await;
        publisher.publish_kinds(Duration::from_secs(9), &[kept]).await;
        publisher.publish(Duration::from_secs(6)).await;
        publisher.end(SessionEnd::Closed);
        let end = running.join_next().await.unwrap().unwrap();
        let live = setup.listed.try_recv().unwrap();
        is_seamless(&live);
        assert_eq!(end.next_msn, 51, "21 s");
        assert_eq!(outages(&live).len(), ranges);
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_that_are_lost_for_good_are_missing_until_the_end_and_sound_goes_on() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Well]));
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    publisher.publish(Duration::from_secs(6)).await;
    publisher.publish_kinds(Duration::from_secs(14), &[TrackKind::Audio]).await;
    publisher.end(SessionEnd::Closed);
    running.join_next().await.unwrap().unwrap();
    let live = setup.listed.try_recv().unwrap();
    is_seamless(&live);
    let outages = outages(&live);
    assert_eq!((outages.len(), outages[1].0), (2, 6_000));
    assert!((19_600..=20_100).contains(&outages[1].1.unwrap()), "where the list ends: {outages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_begins_at_180_lines_gets_a_ladder_of_720() {
    let script = Script::new([Life::Well]);
    let picture = |index: i64| vp8(MediaTime::from_ticks(index, 30), (320, 180), index % 60 == 0);
    let feed = ReadyFeed::new((0..300).map(picture).collect(), Some(SessionEnd::Closed));
    let mut setup = setup(feed, &script);
    setup.negotiated(Tracks { video: true, audio: false });
    run(setup.start, setup.opening).await;
    let live = setup.listed.try_recv().unwrap();
    assert_eq!(names(&live), ["720p", "480p", "360p"]);
    assert_eq!(setup.status.borrow().source_size, Some(PictureSize { width: 320, height: 180 }));
}

#[tokio::test(start_paused = true)]
async fn the_largest_of_the_first_key_frames_counts_and_a_known_size_is_not_exceeded() {
    let script = Script::new([Life::Well]);
    // Unevenly timed, so that the look goes on to the second key frame.
    let at = |index: i64| MediaTime::from_millis(index * 33 + index % 2 * 5);
    let size = |index| if index < 12 { (640, 360) } else { (1920, 1080) };
    let picture = |index: i64| vp8(at(index), size(index), index % 12 == 0);
    let feed = ReadyFeed::new((0..300).map(picture).collect(), Some(SessionEnd::Closed));
    let mut setup = setup(feed, &script);
    setup.negotiated(Tracks { video: true, audio: false });
    setup.start.grant.last_size = Some(PictureSize { width: 640, height: 360 });
    run(setup.start, setup.opening).await;
    assert_eq!(names(&setup.listed.try_recv().unwrap())[0], "1080p");
}

#[tokio::test(start_paused = true)]
async fn sound_alone_is_listed_and_played() {
    let script = Script::new([Life::Well]);
    let sounds: Vec<_> = publisher(10).into_iter().filter(|unit| unit.codec == schema::Codec::Opus).collect();
    for tracks in [Tracks { video: false, audio: true }, BOTH] {
        let feed = PacedFeed::new(ReadyFeed::new(sounds.clone(), Some(SessionEnd::Closed)));
        let mut setup = setup(feed, &script);
        setup.negotiated(tracks);
        let end = run(setup.start, setup.opening).await;
        let live = setup.listed.try_recv().unwrap();
        assert_eq!(names(&live), ["audio"]);
        let text = playlist(&live, "audio");
        assert!(text.contains("seg-3-43.m4s\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
        assert!(live.multivariant.get().is_some());
        assert_eq!(setup.status.borrow().source_size, None);
        assert_eq!(end.next_msn, 45);
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_alone_are_listed_and_played() {
    let script = Script::new([Life::Well]);
    let pictures: Vec<_> = publisher(10).into_iter().filter(|unit| unit.codec == schema::Codec::H264).collect();
    let feed = PacedFeed::new(ReadyFeed::new(pictures, Some(SessionEnd::Closed)));
    let mut setup = setup(feed, &script);
    setup.negotiated(Tracks { video: true, audio: false });
    let end = run(setup.start, setup.opening).await;
    let live = setup.listed.try_recv().unwrap();
    assert_eq!(names(&live), ["720p", "480p", "360p"]);
    for name in names(&live) {
        let text = playlist(&live, name);
        assert!(text.contains("seg-3-44.m4s\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    }
    assert_eq!(end.next_msn, 45);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_media_ends_without_a_listing() {
    let script = Script::new([Life::Well]);
    let mut setup = setup(ReadyFeed::new(Vec::new(), Some(SessionEnd::Silent)), &script);
    let end = run(setup.start, setup.opening).await;
    assert_eq!((end.cause, end.next_msn), (Cause::Session(SessionEnd::Silent), 40));
    assert!(end.retained.is_none() && setup.listed.try_recv().is_err());
    assert!(script.plans.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_no_keyframe_comes_it_is_asked_for_twice_a_second() {
    let script = Script::new([Life::Well]);
    let mut units = publisher(1);
    units.retain(|unit| !(unit.codec == schema::Codec::H264 && unit.random_access));
    let feed = ReadyFeed::new(units, None);
    let keyframes = Arc::clone(&feed.keyframes);
    let mut setup = setup(feed, &script);
    let cancel = CancellationToken::new();
    let (_, ()) = tokio::join!(broadcast::run(setup.start, setup.opening, cancel.clone()), async {
        sleep(Duration::from_millis(2_050)).await;
        let asked = keyframes.load(Ordering::SeqCst);
        assert!((4..=6).contains(&asked), "{asked}");
        cancel.cancel();
    });
    assert!(setup.listed.try_recv().is_err());
}

fn joining(feed: OpenFeed, role: KeyRole) -> Word {
    Word::Join(joins(feed, role))
}

/// The date ranges in all lists, which are the same: from when to when, in milliseconds of the broadcast.
fn outages(live: &LiveBroadcast) -> Vec<(i64, Option<i64>)> {
    let in_list = |name: &str| -> Vec<(i64, Option<i64>)> {
        let text = playlist(live, name);
        let date = |line: &str, key: &str| {
            let text = line.split(&format!("{key}=\"")).nth(1)?.split('"').next()?;
            Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis() - 1_800_000_000_000)
        };
        let lines = text.lines().filter(|line| line.starts_with("#EXT-X-DATERANGE:"));
        lines.map(|line| (date(line, "START-DATE").unwrap(), date(line, "END-DATE"))).collect()
    };
    let first = in_list(names(live)[0]);
    assert!(names(live).iter().all(|name| in_list(name) == first));
    first
}

/// The dates of all listed segments and parts follow each other without a jump, and nothing begins anew.
fn is_seamless(live: &LiveBroadcast) {
    for rendition in &live.renditions {
        let text = playlist(live, rendition.name.as_str());
        assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
        let dates: Vec<i64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"))
            .map(|date| chrono::DateTime::parse_from_rfc3339(date).unwrap().timestamp_millis())
            .collect();
        assert!(dates.windows(2).all(|pair| (1_975..=2_025).contains(&(pair[1] - pair[0]))), "{text}");
        assert!(dates.len() > 3, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_lost_and_comes_back_goes_on_in_the_same_playlist() {
    let (first, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Well]));
    let mut status = setup.status.clone();
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    first.publish(Duration::from_secs(6)).await;
    let live = setup.listed.try_recv().unwrap();
    let lost = Instant::now();
    drop(first);
    status.wait_for(|status| status.state == BroadcastState::Reconnecting).await.unwrap();
    let after = lost.elapsed().as_millis();
    assert!((2_950..=3_100).contains(&after), "{after}");
    sleep(Duration::from_secs(17)).await;
    let (second, feed) = open_feed();
    let keyframes = Arc::clone(&feed.keyframes);
    assert!(setup.words.send(joining(feed, KeyRole::Primary)).await.is_ok());
    second.publish(Duration::from_secs(6)).await;
    assert_eq!(status.borrow().state, BroadcastState::Live);
    assert_eq!(keyframes.load(Ordering::SeqCst), 0, "it begins with one");
    second.end(SessionEnd::Closed);
    let end = running.join_next().await.unwrap().unwrap();
    assert_eq!(end.cause, Cause::Session(SessionEnd::Closed));
    is_seamless(&live);
    assert_eq!(end.next_msn, 40 + 16, "32 s of output");
    assert_eq!(outages(&live), [(6_000, None), (6_000, Some(26_000))]);
    assert!(setup.words.is_closed(), "the next publisher begins another broadcast");
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_the_broadcast_ends_and_a_goodbye_or_an_order_ends_it_at_once() {
    for (end, order, seconds) in [
        (SessionEnd::Lost, None, 60),
        (SessionEnd::Silent, None, 60),
        (SessionEnd::Closed, None, 0),
        (SessionEnd::KeyRevoked, None, 0),
        (SessionEnd::Lost, Some(SessionEnd::KeyRevoked), 0),
    ] {
        let (publisher, feed) = open_feed();
        let mut setup = setup(feed, &Script::new([Life::Well]));
        let mut running = JoinSet::new();
        running.spawn(run(setup.start, setup.opening));
        publisher.publish(Duration::from_secs(6)).await;
        let live = setup.listed.try_recv().unwrap();
        let left = Instant::now();
        publisher.end(end);
        if let Some(order) = order {
            assert!(setup.words.send(Word::End(order)).await.is_ok());
        }
        let over = running.join_next().await.unwrap().unwrap();
        let took = left.elapsed();
        assert_eq!(over.cause, Cause::Session(order.unwrap_or(end)));
        assert!((seconds..=seconds + 1).contains(&took.as_secs()), "{end}: {took:?}");
        assert!(playlist(&live, "audio").ends_with("#EXT-X-ENDLIST\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_publisher_takes_the_place_of_the_first_without_any_grace() {
    let (first, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Well]));
    setup.start.grant.grace_s = 0;
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    first.publish(Duration::from_secs(6)).await;
    let (second, feed) = open_feed();
    first.end(SessionEnd::Replaced);
    sleep(Duration::from_millis(40)).await;
    assert!(setup.words.send(joining(feed, KeyRole::Primary)).await.is_ok());
    second.publish(Duration::from_millis(3_900)).await;
    assert!(first.is_dropped());
    second.end(SessionEnd::Closed);
    let end = running.join_next().await.unwrap().unwrap();
    assert_eq!(end.next_msn, 45);
    is_seamless(&setup.listed.try_recv().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_backup_stands_in_for_a_primary_that_stalls_and_gives_back_when_it_is_well_again() {
    let (primary, feed) = open_feed();
    let asked = Arc::clone(&feed.keyframes);
    let setup = setup(feed, &Script::new([Life::Well]));
    let mut listed = setup.listed;
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, setup.opening));
    let (backup, backup_feed) = open_feed();
    let backup_asked = Arc::clone(&backup_feed.keyframes);
    let began = Instant::now();
    let switches = |primary: &Arc<std::sync::atomic::AtomicUsize>| primary.load(Ordering::SeqCst);
    tokio::join!(
        async {
            primary.publish(Duration::from_secs(8)).await;
            sleep(Duration::from_secs(7)).await;
            primary.publish(Duration::from_secs(15)).await;
        },
        async {
            sleep(Duration::from_secs(4)).await;
            assert!(setup.words.send(joining(backup_feed, KeyRole::Backup)).await.is_ok());
            backup.publish(Duration::from_secs(26)).await;
        },
        async {
            // A publisher is asked for a keyframe when it is switched to.
            while switches(&backup_asked) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
            let taken = began.elapsed().as_millis();
            assert!((9_950..=10_150).contains(&taken), "2 s after the last picture: {taken}");
            while switches(&asked) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
            let given = began.elapsed().as_millis();
            assert!((24_950..=25_150).contains(&given), "after 10 s of good media: {given}");
        },
    );
    assert_eq!((switches(&asked), switches(&backup_asked)), (1, 1));
    assert!(!backup.is_dropped(), "it stays ready");
    primary.end(SessionEnd::Closed);
    backup.end(SessionEnd::Closed);
    running.join_next().await.unwrap().unwrap();
    is_seamless(&listed.try_recv().unwrap());
}

fn hour_ago() -> UnixMicros {
    UnixMicros::from(std::time::SystemTime::now()).plus(MediaTime(-3_600 * MediaTime::PER_SECOND))
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_its_node_left_goes_on_above_what_was_listed_and_awaits_its_publisher() {
    let (publisher, feed) = open_feed();
    let mut setup = setup(feed, &Script::new([Life::Slate]));
    let Opening::Publisher { joining: first, .. } = setup.opening else { unreachable!() };
    let outline = Outline {
        tracks: BOTH,
        source: Some(PictureSize { width: 640, height: 360 }),
        frame_rate: FrameRate::THIRTY,
        zero: hour_ago(),
        coding: Coding::default(),
    };
    let mut running = JoinSet::new();
    running.spawn(run(setup.start, Opening::Resumed { outline: outline.clone(), epoch: 4 }));
    let live = (&mut setup.listed).await.unwrap();
    assert_eq!(names(&live), ["360p", "audio"]);
    assert_eq!(setup.status.borrow().state, BroadcastState::Reconnecting);
    sleep(Duration::from_secs(9)).await;
    assert!(setup.words.send(Word::Join(first)).await.is_ok());
    publisher.publish(Duration::from_secs(6)).await;
    assert_eq!(setup.status.borrow().state, BroadcastState::Live);
    let status = setup.status.borrow().clone();
    assert_eq!(status.outline, Some(outline));
    let text = playlist(&live, "360p");
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:40\n#EXT-X-DISCONTINUITY-SEQUENCE:4\n"), "{text}");
    publisher.end(SessionEnd::Closed);
    let end = running.join_next().await.unwrap().unwrap();
    let reached = setup.status.borrow().reached.unwrap();
    assert_eq!((reached.epoch, reached.next_msn), (4, end.next_msn));
    is_seamless(&live);
    assert_eq!(outages(&live).len(), 2, "from the beginning until the publisher came");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_its_node_left_ends_after_the_grace_or_by_an_order() {
    for (order, seconds) in [(None, 60), (Some(SessionEnd::KeyRevoked), 5)] {
        let (_publisher, feed) = open_feed();
        let setup = setup(feed, &Script::new([Life::Slate]));
        let outline = Outline {
            tracks: BOTH,
            source: Some(PictureSize { width: 640, height: 360 }),
            frame_rate: FrameRate::THIRTY,
            zero: hour_ago(),
            coding: Coding::default(),
        };
        let began = Instant::now();
        let mut running = JoinSet::new();
        running.spawn(run(setup.start, Opening::Resumed { outline, epoch: 1 }));
        sleep(Duration::from_secs(5)).await;
        if let Some(order) = order {
            assert!(setup.words.send(Word::End(order)).await.is_ok());
        }
        let end = running.join_next().await.unwrap().unwrap();
        assert_eq!(end.cause, Cause::Session(order.unwrap_or(SessionEnd::Lost)));
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_falls_behind_is_told_to_do_less_and_catches_up() {
    let ms = Duration::from_millis;
    let run_at = async |whole, less| {
        let script = Script::new([Life::Slow(ms(whole), ms(less))]);
        let feed = PacedFeed::new(ReadyFeed::new(publisher(20), Some(SessionEnd::Closed)));
        let setup = setup(feed, &script);
        let began = Instant::now();
        let end = run(setup.start, setup.opening).await;
        assert_eq!((end.next_msn, setup.metrics.transcoder_restarts.get()), (50, 0));
        let count = |direction| setup.metrics.paces.with_label_values(&[direction]).get();
        let shown = setup.metrics.degraded.with_label_values(&["720p", "preset"]).get();
        assert_eq!(shown, 0, "what has ended gives nothing up");
        (count("down"), began.elapsed())
    };
    let (downs, took) = run_at(20, 20).await;
    assert_eq!(
        (downs, took < Duration::from_millis(20_200)),
        (0, true),
        "one that is quick enough is left alone: {took:?}"
    );
    // A picture every 33 ms.
    let (downs, took) = run_at(45, 15).await;
    assert!(downs == 1 && took < Duration::from_millis(20_500), "{downs} {took:?}");
    let (downs, took) = run_at(45, 45).await;
    assert!(downs >= 2 && took > Duration::from_secs(26), "{downs} {took:?}");
}
