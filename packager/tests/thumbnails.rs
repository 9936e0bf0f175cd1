//! What viewers see of a transcoder's thumbnails.

#![allow(clippy::unwrap_used)] // a test fails by panicking, helpers included

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use packager::broadcast::{BroadcastMetrics, Cause, Outlets, Publisher, Status, Subject, Tracks};
use packager::ladder;
use packager::timing::Timing;
use packager_transcode::wire::Output;
use prometheus::Registry;
use schema::ladder::{FrameRate, Ladder, LatencyProfile, PictureSize};
use schema::{Incarnation, MediaTime, SessionEnd, UnixMicros};
use tokio::sync::watch;

fn publisher(tracks: Tracks) -> (Publisher, BroadcastMetrics) {
    let profile = LatencyProfile::Low;
    let size = tracks.video.then_some(PictureSize { width: 1280, height: 720 });
    let renditions = ladder::renditions(&Ladder::default(), size, tracks.audio, profile);
    let timing = Arc::new(Timing::new(profile, FrameRate::THIRTY, tracks));
    let metrics = BroadcastMetrics::register(&Registry::new()).unwrap();
    let subject = Subject {
        broadcast: "b1".parse().unwrap(),
        channel: "demo".parse().unwrap(),
        title: "Demo".into(),
        profile,
        incarnation: Incarnation(3),
        zero: UnixMicros(1_000_000),
        begins: MediaTime::ZERO,
        msn_start: 40,
        epoch: 0,
        dvr_s: 0,
    };
    let outlets = Outlets {
        listing: Box::new(|_| {}),
        status: watch::channel(Status::default()).0,
        metrics: metrics.clone(),
        keyframe: Arc::default(),
        archive: Vec::new(),
        top_codecs: Arc::default(),
    };
    (Publisher::new(subject, renditions, timing, outlets), metrics)
}

fn second(number: i64) -> MediaTime {
    MediaTime(number * MediaTime::PER_SECOND)
}

#[test]
fn the_newest_alone_is_shown_each_under_a_tag_of_its_own() {
    let (mut publisher, metrics) = publisher(Tracks { video: true, audio: true });
    let live = Arc::clone(publisher.live());
    let shown = || live.thumbnail.borrow().clone();
    assert_eq!(shown(), None);
    let size = PictureSize { width: 640, height: 360 };
    let mut tags = Vec::new();
    for (at, text) in [(0, "first"), (5, "second"), (6, "after a restart")] {
        if at == 6 {
            publisher.restart();
            assert_eq!(shown().unwrap().jpeg, "second", "it stays meanwhile");
        }
        publisher.handle(Output::Thumbnail { pts: second(at), size, data: text.into() }, second(at), Instant::now());
        let thumbnail = shown().unwrap();
        assert_eq!((thumbnail.jpeg, thumbnail.size), (Bytes::from(text), size));
        assert_eq!(thumbnail.captured_at, UnixMicros(1_000_000 * (at + 1)));
        tags.push(thumbnail.tag);
    }
    assert_eq!(tags, ["b1-3-0", "b1-3-1", "b1-3-2"]);
    assert_eq!(metrics.thumbnails.get(), 3);
    drop(publisher.end(Cause::Session(SessionEnd::Closed)));
    assert_eq!(shown().unwrap().jpeg, "after a restart", "the last one stays");
}

#[test]
fn they_are_asked_for_where_there_are_pictures() {
    let wish = |video| publisher(Tracks { video, audio: true }).0.plan().thumbnail;
    assert_eq!(wish(true).map(|wish| (wish.interval, wish.height)), Some((second(5), 360)));
    assert_eq!(wish(false), None);
}

#[test]
fn one_that_is_left_out_has_a_reason_of_its_own() {
    let (mut publisher, metrics) = publisher(Tracks { video: true, audio: true });
    publisher.handle(Output::Discarded { reason: "thumbnail".into() }, MediaTime::ZERO, Instant::now());
    assert_eq!(metrics.discarded.with_label_values(&["thumbnail"]).get(), 1);
}
