//! What a session does with its media, and how it ends.

use super::fixture::*;
use super::*;

fn keyframes(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| **asked == Asked::Keyframe(VIDEO)).count()
}

#[tokio::test(start_paused = true)]
async fn a_publisher_is_handed_over_at_its_first_access_unit() {
    let mut world = World::new();
    let (location, mut publisher) = world.publish().await;
    publisher.send_p().await;
    assert!(world.arrivals.try_recv().is_err());
    pass(20).await;
    publisher.send_idr().await;
    publisher.send_audio().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    assert_eq!(location, format!("/whip/sessions/{}", arrival.session));
    assert_eq!(arrival.grant.channel.as_str(), "demo");
    assert_eq!(arrival.tracks, [Codec::Opus, Codec::H264]);
    assert!(arrival.feed.zero().unwrap().wall.0 > 1_600_000_000_000_000);
    let units = units(arrival.feed.as_mut()).await;
    let seen: Vec<_> = units.iter().map(|unit| (unit.codec, unit.random_access, unit.pts.to_millis())).collect();
    assert_eq!(seen, [(Codec::H264, true, 20), (Codec::Opus, true, 20)]);
    assert!(world.arrivals.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn offers_of_one_track_work() {
    let mut world = World::new();
    let (_, mut video) = world.publish_as(KEY, "video").await;
    video.connect().await;
    video.send_idr().await;
    assert_eq!(world.arrivals.try_recv().unwrap().tracks, [Codec::H264]);
    let (_, mut audio) = world.publish_as(OTHER_KEY, "audio").await;
    audio.connect().await;
    audio.send_audio().await;
    assert_eq!(world.arrivals.try_recv().unwrap().tracks, [Codec::Opus]);
    assert_eq!(keyframes(&audio.asked()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_is_asked_for_at_the_start_and_again_until_it_comes() {
    let world = World::new();
    let (_, mut publisher) = world.publish().await;
    publisher.send_p().await;
    publisher.send_p().await;
    assert_eq!(keyframes(&publisher.asked()), 1);
    pass(500).await;
    publisher.send_p().await;
    assert_eq!(keyframes(&publisher.asked()), 1);
    pass(500).await;
    publisher.send_idr().await;
    publisher.send_p().await;
    assert_eq!(keyframes(&publisher.asked()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_packet_is_asked_for_and_after_the_wait_a_keyframe() {
    let mut world = World::new();
    let (_, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    pass(1_000).await;
    publisher.asked();
    let lost = publisher.video.sequence;
    publisher.video.packet(0, true, &p_slice(20));
    publisher.send_p().await;
    assert_eq!(publisher.asked(), [Asked::Packets(VIDEO, vec![lost])]);
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 1);
    pass(100).await;
    let asked = publisher.asked();
    assert_eq!(keyframes(&asked), 1, "{asked:?}");
    publisher.send_p().await;
    assert!(units(arrival.feed.as_mut()).await.is_empty());
    publisher.send_idr().await;
    assert!(units(arrival.feed.as_mut()).await[0].random_access);
    let metrics = &world.whip.shared.metrics;
    assert_eq!(metrics.lost.with_label_values(&["video"]).get(), 1);
    assert_eq!(metrics.retransmission_requests.with_label_values(&["video"]).get(), 1);
    assert_eq!(metrics.units_dropped.with_label_values(&["withheld"]).get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retransmission_within_the_wait_loses_nothing() {
    let mut world = World::new();
    let (_, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    let packets = publisher.video.picture(3_000, &[&p_slice(300)]);
    publisher.send(VIDEO, &[packets[0].clone(), packets[2].clone()]).await;
    pass(40).await;
    publisher.send(VIDEO, &packets[1..]).await;
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 2);
    let metrics = &world.whip.shared.metrics;
    assert_eq!(metrics.duplicated.with_label_values(&["video"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_readers_wish_for_a_keyframe_reaches_the_publisher() {
    let mut world = World::new();
    let (_, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    pass(1_000).await;
    publisher.asked();
    arrival.feed.request_keyframe();
    settle().await;
    assert_eq!(keyframes(&publisher.asked()), 1);
    publisher.send_idr().await;
    pass(1_000).await;
    publisher.send_p().await;
    assert_eq!(keyframes(&publisher.asked()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_to_the_next_keyframe_and_asks_for_it() {
    let queue = QueueLimits { units: 2, bytes: 8 << 20 };
    let mut world = World::with(Limits { queue, ..Limits::default() }, 4);
    let (_, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    pass(1_000).await;
    publisher.asked();
    publisher.send_p().await;
    publisher.send_p().await;
    assert_eq!(keyframes(&publisher.asked()), 1);
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 2);
    publisher.send_p().await;
    publisher.send_idr().await;
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 1);
    let dropped = &world.whip.shared.metrics.units_dropped;
    assert_eq!(dropped.with_label_values(&["full"]).get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_arrivals_queue_delays_a_publisher_and_loses_none() {
    let mut world = World::with(Limits::default(), 1);
    let (_, mut first) = world.publish_as(KEY, "audio").await;
    first.send_audio().await;
    let (_, mut second) = world.publish_as(OTHER_KEY, "audio").await;
    second.send_audio().await;
    assert_eq!(world.arrivals.try_recv().unwrap().grant.channel.as_str(), "demo");
    second.send_audio().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    assert_eq!(arrival.grant.channel.as_str(), "other");
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sender_reports_tell_the_skew_and_bad_ones_are_counted() {
    let world = World::new();
    let (_, mut publisher) = world.publish().await;
    publisher.send_idr().await;
    publisher.send_audio().await;
    let arrival = Instant::now().into_std();
    let ntp = 0xEA00_0000_0000_0000;
    let report = |track, rtp| PeerEvent::SenderReport(SenderReport { track, ntp, rtp, arrival });
    publisher.event(report(AUDIO, u32::MAX)).await;
    publisher.event(report(VIDEO, 0)).await;
    publisher.event(report(AUDIO, 480)).await;
    let metrics = &world.whip.shared.metrics;
    assert_eq!(metrics.reports_ignored.with_label_values(&["empty"]).get(), 1);
    assert_eq!(metrics.av_skew.get_sample_count(), 1);
    assert!((metrics.av_skew.get_sample_sum() - 0.01).abs() < 0.000_1);
}

/// A publisher with media, and its feed.
async fn live(world: &mut World) -> (String, Publisher, Box<dyn Feed>) {
    let (location, mut publisher) = world.publish().await;
    publisher.send_audio().await;
    let feed = world.arrivals.try_recv().unwrap().feed;
    (location, publisher, feed)
}

async fn end_of(feed: &mut dyn Feed) -> Option<SessionEnd> {
    match read(feed).await.pop() {
        Some(FeedEvent::Ended(end)) => Some(end),
        Some(FeedEvent::Unit(_)) | None => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_without_a_goodbye_is_lost() {
    for (peer, wait) in [(PeerEnd::Closed, 1_000), (PeerEnd::Failed, 0)] {
        let mut world = World::new();
        let (_, publisher, mut feed) = live(&mut world).await;
        let before = tokio::time::Instant::now();
        publisher.event(PeerEvent::Ended(peer)).await;
        pass(wait).await;
        assert_eq!(before.elapsed().as_millis(), u128::from(wait));
        assert_eq!(end_of(feed.as_mut()).await, Some(SessionEnd::Lost));
        assert_eq!(publisher.asked().pop(), Some(Asked::Closed));
        assert_eq!((world.whip.sessions(), world.ended(SessionEnd::Lost)), (0, 1));
        assert_eq!(world.whip.shared.metrics.active.get(), 0);
    }
}

/// OBS closes its connection first; a client that gives a dead connection up says goodbye too, and comes back.
#[tokio::test(start_paused = true)]
async fn a_goodbye_counts_after_the_connection_was_closed_but_not_after_silence() {
    for (hangs_up, silence, end) in [
        (false, 0, SessionEnd::Closed),
        (true, 900, SessionEnd::Closed),
        (false, 1_900, SessionEnd::Closed),
        (false, 2_000, SessionEnd::Lost),
    ] {
        let mut world = World::new();
        let (location, publisher, mut feed) = live(&mut world).await;
        if hangs_up {
            publisher.event(PeerEvent::Ended(PeerEnd::Closed)).await;
        }
        pass(silence).await;
        assert_eq!(world.ask(delete(&location, KEY)).await.status(), StatusCode::OK);
        settle().await;
        assert_eq!(end_of(feed.as_mut()).await, Some(end), "{hangs_up} {silence}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_never_used_is_lost_after_15_s() {
    let world = World::new();
    let (_, publisher) = world.publish_as(KEY, "video").await;
    pass(14_900).await;
    assert_eq!(world.whip.sessions(), 1);
    pass(100).await;
    assert_eq!((world.whip.sessions(), world.ended(SessionEnd::Lost)), (0, 1));
    assert_eq!(publisher.asked(), [Asked::Closed]);
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_without_media_are_silence() {
    let mut world = World::new();
    let (_, publisher) = world.publish_as(OTHER_KEY, "video").await;
    pass(14_000).await;
    publisher.connect().await;
    pass(9_900).await;
    assert_eq!(world.whip.sessions(), 1);
    pass(100).await;
    assert_eq!(world.ended(SessionEnd::Silent), 1);

    let (_, mut publisher, mut feed) = live(&mut world).await;
    pass(9_000).await;
    publisher.send_audio().await;
    pass(9_900).await;
    let probe = publisher.video.packet(0, false, &[]);
    publisher.send(VIDEO, &[probe]).await;
    assert_eq!(end_of(feed.as_mut()).await, None);
    pass(100).await;
    assert_eq!(end_of(feed.as_mut()).await, Some(SessionEnd::Silent));
}

#[tokio::test(start_paused = true)]
async fn a_second_session_of_a_channel_takes_over_when_it_has_media_and_not_before() {
    let mut world = World::new();
    let (_, _first, mut old) = live(&mut world).await;
    let (_, mut second) = world.publish_as("sk_second_key_of_demo", "audio video").await;
    second.connect().await;
    second.send_p().await;
    assert_eq!(end_of(old.as_mut()).await, None);
    second.send_idr().await;
    assert_eq!(end_of(old.as_mut()).await, Some(SessionEnd::Replaced));
    assert!(world.arrivals.try_recv().is_ok());
    assert_eq!(world.whip.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_holds_at_most_one_session_without_media() {
    let mut world = World::new();
    let (_, _first, mut old) = live(&mut world).await;
    for _ in 0..3 {
        world.publish_as(KEY, "video").await;
    }
    world.publish_as(OTHER_KEY, "video").await;
    settle().await;
    assert_eq!(world.whip.sessions(), 3);
    assert_eq!(world.ended(SessionEnd::Replaced), 2);
    assert_eq!(end_of(old.as_mut()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_backup_publisher_stands_beside_the_primary() {
    let mut world = World::new();
    let (_, _first, mut primary) = live(&mut world).await;
    let (_, mut second) = world.publish_as("sk_backup", "audio video").await;
    second.send_audio().await;
    assert_eq!(end_of(primary.as_mut()).await, None);
    assert_eq!(world.whip.sessions(), 2);
    let (_, mut third) = world.publish_as("sk_backup", "audio video").await;
    third.send_audio().await;
    assert_eq!(end_of(primary.as_mut()).await, None);
    assert_eq!(world.whip.sessions(), 2, "one backup took the place of the other");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_takes_no_second_publisher_refuses_it_while_media_flow() {
    let mut world = World::new();
    let (_, mut first, mut feed) = live(&mut world).await;
    for _ in 0..5 {
        pass(1_000).await;
        first.send_audio().await;
        let refused = world.ask(post("sk_alone", "audio video")).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        assert_eq!(problem(refused).await.code, "channel_taken");
    }
    pass(3_000).await;
    let (_, mut second) = world.publish_as("sk_alone", "audio video").await;
    second.send_audio().await;
    assert_eq!(end_of(feed.as_mut()).await, Some(SessionEnd::Replaced), "it had stalled");
}

#[tokio::test(start_paused = true)]
async fn the_control_plane_can_end_a_session() {
    let mut world = World::new();
    let (location, _publisher, mut feed) = live(&mut world).await;
    let id: SessionId = location.rsplit('/').next().unwrap().parse().unwrap();
    assert!(world.whip.end_session(&id, SessionEnd::Ended));
    assert!(!world.whip.end_session(&id, SessionEnd::Ended));
    settle().await;
    assert_eq!(end_of(feed.as_mut()).await, Some(SessionEnd::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_ends_the_session() {
    let mut world = World::new();
    let (_, publisher, feed) = live(&mut world).await;
    drop(feed);
    settle().await;
    assert_eq!(world.ended(SessionEnd::Ended), 1);
    assert_eq!(publisher.asked().pop(), Some(Asked::Closed));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_all_waits_for_them_and_refuses_new_ones() {
    let mut world = World::new();
    let (_, publisher, mut feed) = live(&mut world).await;
    world.publish_as(OTHER_KEY, "video").await;
    world.whip.shutdown().await;
    assert_eq!(publisher.asked().pop(), Some(Asked::Closed));
    assert_eq!(end_of(feed.as_mut()).await, Some(SessionEnd::Shutdown));
    assert_eq!((world.whip.sessions(), world.ended(SessionEnd::Shutdown)), (0, 2));
    let response = world.ask(post(KEY, "video")).await;
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(response).await.code, "shutting_down");
}

#[tokio::test(start_paused = true)]
async fn the_connections_figures_are_noted_each_second_and_at_the_end() {
    let world = World::new();
    let (_, mut publisher) = world.publish().await;
    let recovered = |world: &World| {
        ["audio", "video"].map(|kind| world.whip.shared.metrics.recovered.with_label_values(&[kind]).get())
    };
    let figures = |audio, video| {
        let tracks = [audio, video].map(|recovered| TrackFigures { recovered, ..TrackFigures::default() });
        Figures { round_trip: Some(Duration::from_millis(30)), tracks: tracks.to_vec() }
    };
    *publisher.figures.lock().unwrap() = figures(2, 5);
    publisher.send_idr().await;
    *publisher.figures.lock().unwrap() = figures(2, 6);
    pass(999).await;
    publisher.send_p().await;
    assert_eq!(recovered(&world), [0, 0]);
    pass(1).await;
    publisher.send_p().await;
    assert_eq!(recovered(&world), [2, 6]);
    *publisher.figures.lock().unwrap() = figures(3, 6);
    publisher.event(PeerEvent::Ended(PeerEnd::Failed)).await;
    assert_eq!(recovered(&world), [3, 6]);
    assert_eq!(
        world.whip.shared.metrics.round_trip.get_sample_count(),
        world.whip.shared.metrics.jitter.with_label_values(&["video"]).get_sample_count()
    );
}

#[tokio::test(start_paused = true)]
async fn packets_of_unknown_tracks_are_ignored() {
    let mut world = World::new();
    let (_, mut publisher) = world.publish_as(KEY, "audio").await;
    let packet = publisher.video.packet(0, true, &idr(20));
    publisher.send(99, &[packet]).await;
    publisher.send_audio().await;
    let mut arrival = world.arrivals.try_recv().unwrap();
    assert_eq!(units(arrival.feed.as_mut()).await.len(), 1);
}
