//! A publisher and the media port in one process, over the loopback interface.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ingest_rtc::send::Sender;
use ingest_rtc::{Endpoint, EndpointConfig, OfferError, PeerEnd, PeerEvent, Receiver, RtpPacket};
use schema::{AccessUnit, Codec, MediaTime, TrackKind};
use tokio::time::timeout;

/// Nothing here may take longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn endpoint() -> Endpoint {
    let config = EndpointConfig { listen: "127.0.0.1:0".parse().expect("an address"), announce: Vec::new() };
    Endpoint::bind(config).await.expect("a free port")
}

/// As on a machine with a public address.
async fn lite_endpoint(listen: &str, announced: &str) -> Endpoint {
    let announce = vec![announced.parse().expect("an address")];
    let config = EndpointConfig { listen: listen.parse().expect("an address"), announce };
    Endpoint::bind(config).await.expect("a free port")
}

/// A publisher and its reader, both connected. `edit` may change the offer on its way.
async fn pair(endpoint: &Endpoint, edit: fn(String) -> String) -> (Sender, Box<dyn Receiver>, String) {
    let (sender, offer) = Sender::offer().await.expect("an offer");
    let (answer, mut receiver) = endpoint.receive(&edit(offer)).await.expect("an answer");
    sender.accept_answer(&answer).await.expect("accepted");
    let both = async {
        sender.connected().await.expect("connected");
        assert!(matches!(receiver.next_event().await, PeerEvent::Connected));
    };
    timeout(PATIENCE, both).await.expect("connected in time");
    (sender, receiver, answer)
}

fn picture(index: i64) -> AccessUnit {
    let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
    data.extend([0, 0, 0, 1, 0x65]);
    data.extend((0..5_000_u32).map(|byte| u8::try_from(byte % 251 + 1).expect("below 252")));
    unit(Codec::H264, MediaTime::from_ticks(index, 30), data)
}

fn sound(index: i64) -> AccessUnit {
    let byte = u8::try_from(index % 256).expect("a byte");
    unit(Codec::Opus, MediaTime::from_millis(20 * index), vec![0xfc, byte, 1, 2, 3])
}

fn unit(codec: Codec, pts: MediaTime, data: Vec<u8>) -> AccessUnit {
    AccessUnit { codec, pts, dts: pts, duration: None, random_access: true, data: Bytes::from(data) }
}

fn track(receiver: &dyn Receiver, kind: TrackKind) -> usize {
    let found = receiver.tracks().iter().find(|track| track.kind == kind);
    found.expect("negotiated").index
}

async fn next(receiver: &mut Box<dyn Receiver>) -> PeerEvent {
    timeout(PATIENCE, receiver.next_event()).await.expect("an event in time")
}

/// Reads packets of `track` until one has the marker.
async fn marked(receiver: &mut Box<dyn Receiver>, track: usize) -> Vec<RtpPacket> {
    let mut packets = Vec::new();
    loop {
        if let PeerEvent::Rtp(packet) = next(receiver).await
            && packet.track == track
        {
            let last = packet.marker;
            packets.push(packet);
            if last {
                return packets;
            }
        }
    }
}

/// Puts FU-A fragments and aggregates together again (RFC 6184 5.7, 5.8).
fn annex_b(packets: &[RtpPacket]) -> Vec<u8> {
    let mut data = Vec::new();
    for packet in packets {
        let payload = &packet.payload;
        match payload[0] & 0x1f {
            24 => {
                let mut rest = &payload[1..];
                while let Some((length, tail)) = rest.split_first_chunk::<2>() {
                    let (nal, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
                    data.extend([0, 0, 0, 1]);
                    data.extend(nal);
                    rest = tail;
                }
            }
            28 => {
                if payload[1] & 0x80 != 0 {
                    data.extend([0, 0, 0, 1, (payload[0] & 0x60) | (payload[1] & 0x1f)]);
                }
                data.extend(&payload[2..]);
            }
            _ => {
                data.extend([0, 0, 0, 1]);
                data.extend(payload);
            }
        }
    }
    data
}

fn as_offered(offer: String) -> String {
    offer
}

async fn media_arrives(endpoint: &Endpoint) {
    let (mut sender, mut receiver, _) = pair(endpoint, as_offered).await;
    let video = track(&*receiver, TrackKind::Video);
    let audio = track(&*receiver, TrackKind::Audio);
    sender.send_video(&picture(0)).await.expect("sent");
    let first = marked(&mut receiver, video).await;
    assert_eq!(annex_b(&first), picture(0).data);
    sender.send_video(&picture(3)).await.expect("sent");
    let second = marked(&mut receiver, video).await;
    let last = first.last().expect("not empty");
    assert_eq!(second[0].timestamp.wrapping_sub(last.timestamp), 9_000);
    assert_eq!(second[0].sequence, last.sequence.wrapping_add(1));
    assert!(second[0].arrival > last.arrival);
    sender.send_audio(&sound(7)).await.expect("sent");
    loop {
        if let PeerEvent::Rtp(packet) = next(&mut receiver).await {
            assert_eq!((packet.track, &packet.payload), (audio, &sound(7).data));
            break;
        }
    }
    timeout(Duration::from_millis(1_500), receiver.close()).await.expect("within a second");
    assert_eq!(timeout(PATIENCE, sender.ended()).await.expect("heard"), PeerEnd::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_arrives_intact_in_its_track_and_a_close_reaches_the_publisher() {
    media_arrives(&endpoint().await).await;
}

#[tokio::test]
async fn one_thread_is_enough_for_both_sides() {
    media_arrives(&endpoint().await).await;
}

#[tokio::test]
async fn sender_reports_of_both_tracks_pair_the_clocks() {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, _) = pair(&endpoint, as_offered).await;
    let mut seen = [None; 2];
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut index = 0;
    let both = async {
        while seen.iter().any(Option::is_none) {
            tokio::select! {
                _ = ticks.tick() => {
                    sender.send_video(&picture(index)).await.expect("sent");
                    sender.send_audio(&sound(index)).await.expect("sent");
                    index += 1;
                }
                event = receiver.next_event() => if let PeerEvent::SenderReport(report) = event {
                    seen[report.track] = Some(report.ntp);
                }
            }
        }
    };
    timeout(PATIENCE, both).await.expect("reports in time");
    let seconds_since_1900 = |ntp: Option<u64>| ntp.expect("seen") >> 32;
    assert!(seconds_since_1900(seen[0]).abs_diff(seconds_since_1900(seen[1])) < 30);
}

#[tokio::test]
async fn a_keyframe_request_reaches_the_publisher() {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, _) = pair(&endpoint, as_offered).await;
    let video = track(&*receiver, TrackKind::Video);
    receiver.request_keyframe(video);
    sender.send_video(&picture(0)).await.expect("sent");
    timeout(PATIENCE, sender.keyframe_requested()).await.expect("heard");
}

/// A connected publisher behind a relay, and its reader. `edit` may change the offer on its way.
async fn relayed(endpoint: &Endpoint, edit: fn(String) -> String) -> (Sender, Box<dyn Receiver>, Relay) {
    let relay = Relay::before(endpoint.local_addr());
    let (sender, offer) = Sender::offer().await.expect("an offer");
    let (answer, mut receiver) = endpoint.receive(&edit(offer)).await.expect("an answer");
    let port = endpoint.local_addr().port().to_string();
    let through = answer.replace(&format!(" {port} typ"), &format!(" {} typ", relay.address.port()));
    sender.accept_answer(&through).await.expect("accepted");
    timeout(PATIENCE, sender.connected()).await.expect("in time").expect("connected");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Connected));
    (sender, receiver, relay)
}

/// Loses two packets of a picture, and has them sent again.
async fn a_loss_is_mended(edit: fn(String) -> String) {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, relay) = relayed(&endpoint, edit).await;
    let video = track(&*receiver, TrackKind::Video);
    sender.send_video(&picture(0)).await.expect("sent");
    let first = marked(&mut receiver, video).await;
    relay.drop_next_media.store(2, Ordering::Relaxed);
    sender.send_video(&picture(1)).await.expect("sent");
    let start = first.last().expect("not empty").sequence.wrapping_add(1);
    let count = first.len();
    let mut got = Vec::new();
    while got.len() < count {
        if let PeerEvent::Rtp(packet) = next(&mut receiver).await
            && !packet.payload.is_empty()
            && !got.iter().any(|own: &RtpPacket| own.sequence == packet.sequence)
        {
            got.push(packet);
        }
    }
    got.sort_by_key(|packet| packet.sequence.wrapping_sub(start));
    assert_eq!(annex_b(&got), picture(1).data);
    let figures = receiver.figures().tracks[video];
    let packets = u64::try_from(2 * count).expect("few");
    assert_eq!((figures.packets, figures.lost, figures.recovered), (packets, 0, 2));
}

#[tokio::test]
async fn a_lost_packet_is_asked_for_and_comes_again_under_its_own_number() {
    a_loss_is_mended(as_offered).await;
}

fn without(offer: &str, start: &str) -> String {
    offer.split_inclusive('\n').filter(|line| !line.starts_with(start)).collect()
}

fn without_sources(offer: String) -> String {
    without(&offer, "a=ssrc")
}

/// As from OBS: RFC 4585 alone, the same packet again.
fn without_rtx(offer: String) -> String {
    let offer = without(&without(&offer, "a=rtpmap:97"), "a=fmtp:97").replace("SAVPF 96 97", "SAVPF 96");
    without(&offer, "a=ssrc-group")
}

#[tokio::test]
async fn losses_of_undeclared_sources_are_mended_too() {
    a_loss_is_mended(without_sources).await;
}

#[tokio::test]
async fn a_plain_retransmission_counts_as_the_original() {
    a_loss_is_mended(without_rtx).await;
}

#[tokio::test]
async fn a_recovered_packet_is_not_asked_for_again() {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, relay) = relayed(&endpoint, as_offered).await;
    let video = track(&*receiver, TrackKind::Video);
    sender.send_video(&picture(0)).await.expect("sent");
    marked(&mut receiver, video).await;
    relay.drop_next_media.store(1, Ordering::Relaxed);
    // A second of pictures at their own pace: time enough to be asked for again and again.
    let mut pace = tokio::time::interval(Duration::from_millis(33));
    for index in 1..30 {
        pace.tick().await;
        sender.send_video(&picture(index)).await.expect("sent");
        marked(&mut receiver, video).await;
    }
    let figures = receiver.figures().tracks[video];
    assert_eq!((figures.lost, figures.recovered), (0, 1));
    // A request may have been on its way when the packet came.
    assert!(figures.duplicated <= 1, "{figures:?}");
}

#[tokio::test]
async fn a_keyframe_request_reaches_a_publisher_that_declares_no_sources() {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, _) = pair(&endpoint, without_sources).await;
    let video = track(&*receiver, TrackKind::Video);
    receiver.request_keyframe(video);
    sender.send_video(&picture(0)).await.expect("sent");
    timeout(PATIENCE, sender.keyframe_requested()).await.expect("heard");
}

/// Another port for the same publisher, as after a NAT's rebinding or a change of network (RFC 8445 7.3.1.3).
#[tokio::test]
async fn media_goes_on_from_another_address_of_the_publisher() {
    media_follows(&endpoint().await).await;
}

#[tokio::test]
async fn media_goes_on_from_another_address_under_ice_lite_too() {
    media_follows(&lite_endpoint("127.0.0.1:0", "127.0.0.1").await).await;
}

async fn media_follows(endpoint: &Endpoint) {
    let (mut sender, mut receiver, relay) = relayed(endpoint, as_offered).await;
    let video = track(&*receiver, TrackKind::Video);
    sender.send_audio(&sound(0)).await.expect("sent");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Rtp(_)));
    relay.move_on.notify_one();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let (mut sent, mut heard_from_there) = (0, 0);
    let both_ways = async {
        // A keyframe request has to find the new address.
        let asked = sender.keyframe_requested();
        tokio::pin!(asked);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    sent += 1;
                    sender.send_audio(&sound(sent)).await.expect("sent");
                    sender.send_video(&picture(sent)).await.expect("sent");
                    receiver.request_keyframe(video);
                }
                () = &mut asked, if heard_from_there > 20 => return,
                event = receiver.next_event() => match event {
                    PeerEvent::Rtp(_) => heard_from_there += i32::from(sent > 0),
                    PeerEvent::Ended(end) => panic!("{end:?}"),
                    _ => {}
                },
            }
        }
    };
    timeout(PATIENCE, both_ways).await.expect("media and requests by the new address");
    assert_eq!(endpoint.counters().moves.load(Ordering::Relaxed), 1);
}

/// Passes datagrams on in both directions, but drops as many of the publisher's media as it is told,
/// and goes on from another port when told.
struct Relay {
    address: SocketAddr,
    drop_next_media: std::sync::Arc<AtomicU64>,
    move_on: std::sync::Arc<tokio::sync::Notify>,
    _task: tokio::task::JoinSet<()>,
}

fn relay_socket() -> tokio::net::UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_nonblocking(true).expect("a flag");
    tokio::net::UdpSocket::from_std(socket).expect("in a runtime")
}

impl Relay {
    fn before(server: SocketAddr) -> Self {
        let (front, mut back) = (relay_socket(), relay_socket());
        let address = front.local_addr().expect("bound");
        let drop_next_media = std::sync::Arc::new(AtomicU64::new(0));
        let move_on = std::sync::Arc::new(tokio::sync::Notify::new());
        let left = std::sync::Arc::clone(&drop_next_media);
        let moving = std::sync::Arc::clone(&move_on);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            let (mut up, mut down) = (vec![0; 2_048], vec![0; 2_048]);
            let mut publisher = None;
            loop {
                tokio::select! {
                    Ok((n, from)) = front.recv_from(&mut up) => {
                        publisher = Some(from);
                        let media = (128..192).contains(&up[0]) && up[1] & 0x7f == 96;
                        let one_less = |left: u64| left.checked_sub(1);
                        if !media || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                            let _ = back.send_to(&up[..n], server).await;
                        }
                    }
                    Ok((n, _)) = back.recv_from(&mut down) => if let Some(to) = publisher {
                        let _ = front.send_to(&down[..n], to).await;
                    },
                    () = moving.notified() => back = relay_socket(),
                }
            }
        });
        Self { address, drop_next_media, move_on, _task: task }
    }
}

#[tokio::test]
async fn two_sessions_share_the_port_and_keep_apart() {
    let endpoint = endpoint().await;
    let (mut left, mut left_reader, _) = pair(&endpoint, as_offered).await;
    let (mut right, mut right_reader, _) = pair(&endpoint, as_offered).await;
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 2);
    for round in 0..5 {
        left.send_audio(&sound(round)).await.expect("sent");
        right.send_audio(&sound(100 + round)).await.expect("sent");
        for (reader, expected) in [(&mut left_reader, round), (&mut right_reader, 100 + round)] {
            loop {
                if let PeerEvent::Rtp(packet) = next(reader).await {
                    assert_eq!(packet.payload, sound(expected).data);
                    break;
                }
            }
        }
    }
    left_reader.close().await;
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 1);
    right.send_audio(&sound(200)).await.expect("sent");
    assert!(matches!(next(&mut right_reader).await, PeerEvent::Rtp(_) | PeerEvent::SenderReport(_)));
}

#[tokio::test]
async fn garbage_on_the_port_changes_nothing_and_is_counted() {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, answer) = pair(&endpoint, as_offered).await;
    let ufrag = answer.lines().find_map(|l| l.strip_prefix("a=ice-ufrag:")).expect("in the answer");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let before = endpoint.counters().unmatched.load(Ordering::Relaxed);
    let mut forged = vec![0, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    forged.extend([0, 6, 0, 20]);
    forged.extend(format!("{ufrag}:abc").as_bytes());
    let garbage: [&[u8]; 6] = [&[], b"GET / HTTP/1.1", &[0x80, 96, 0, 1], &[22, 254, 253, 0], &[255; 1_400], &forged];
    for datagram in garbage {
        stranger.send_to(datagram, endpoint.local_addr()).expect("sent");
    }
    sender.send_audio(&sound(1)).await.expect("sent");
    loop {
        if let PeerEvent::Rtp(packet) = next(&mut receiver).await {
            assert_eq!(packet.payload, sound(1).data);
            break;
        }
    }
    assert_eq!(endpoint.counters().unmatched.load(Ordering::Relaxed) - before, 6);
}

#[tokio::test]
async fn a_publisher_that_closes_ends_its_reader_and_leaves_nothing_behind() {
    a_close_is_noticed(as_offered).await;
}

#[tokio::test]
async fn a_publisher_of_undeclared_sources_that_closes_ends_its_reader_too() {
    a_close_is_noticed(without_sources).await;
}

async fn a_close_is_noticed(edit: fn(String) -> String) {
    let endpoint = endpoint().await;
    let (mut sender, mut receiver, _) = pair(&endpoint, edit).await;
    sender.send_audio(&sound(0)).await.expect("sent");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Rtp(_)));
    sender.close().await;
    let end = async {
        loop {
            if let PeerEvent::Ended(end) = receiver.next_event().await {
                return end;
            }
        }
    };
    let end = timeout(Duration::from_secs(3), end).await.expect("noticed long before ICE does");
    assert_eq!(end, PeerEnd::Closed);
    assert!(matches!(next(&mut receiver).await, PeerEvent::Ended(PeerEnd::Closed)));
    receiver.close().await;
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn dropping_the_reader_closes_the_connection() {
    let endpoint = endpoint().await;
    let (sender, receiver, _) = pair(&endpoint, as_offered).await;
    drop(receiver);
    assert_eq!(timeout(PATIENCE, sender.ended()).await.expect("heard"), PeerEnd::Closed);
}

#[tokio::test]
async fn a_passive_offer_is_answered_active_and_connects() {
    let endpoint = endpoint().await;
    let passive = |offer: String| offer.replace("a=setup:actpass", "a=setup:passive");
    let (mut sender, mut receiver, answer) = pair(&endpoint, passive).await;
    assert!(answer.contains("a=setup:active"));
    sender.send_audio(&sound(0)).await.expect("sent");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Rtp(_)));
}

#[tokio::test]
async fn a_port_for_both_ip_versions_takes_publishers_of_both() {
    for announced in ["127.0.0.1", "::1"] {
        let endpoint = lite_endpoint("[::]:0", announced).await;
        let (mut sender, mut receiver, _) = pair(&endpoint, as_offered).await;
        sender.send_audio(&sound(0)).await.expect("sent");
        assert!(matches!(next(&mut receiver).await, PeerEvent::Rtp(_)), "{announced}");
    }
}

#[tokio::test]
async fn the_round_trip_time_becomes_known() {
    round_trip_is_measured(&endpoint().await).await;
}

#[tokio::test]
async fn the_round_trip_time_becomes_known_under_ice_lite_too() {
    round_trip_is_measured(&lite_endpoint("127.0.0.1:0", "127.0.0.1").await).await;
}

async fn round_trip_is_measured(endpoint: &Endpoint) {
    let (mut sender, mut receiver, _) = pair(endpoint, as_offered).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let known = async {
        while receiver.round_trip().is_none() {
            tokio::select! {
                _ = ticks.tick() => sender.send_audio(&sound(0)).await.expect("sent"),
                _ = receiver.next_event() => {}
            }
        }
    };
    timeout(PATIENCE, known).await.expect("measured");
    assert!(receiver.round_trip().expect("known") < Duration::from_secs(1));
}

#[tokio::test]
async fn an_offer_that_nobody_follows_ends_as_failed_and_is_forgotten() {
    let endpoint = endpoint().await;
    let (_sender, offer) = Sender::offer().await.expect("an offer");
    let (_, mut receiver) = endpoint.receive(&offer).await.expect("an answer");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Ended(PeerEnd::Failed)));
    receiver.close().await;
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 0);
}

/// Fifty who ask and never come: RFC 9725 5 warns of them.
#[tokio::test]
async fn fifty_answers_that_nobody_uses_are_all_freed_and_counted() {
    let endpoint = endpoint().await;
    let mut receivers = Vec::new();
    for _ in 0..50 {
        let (_, receiver) = endpoint.receive(include_str!("offers/obs.sdp")).await.expect("an answer");
        receivers.push(receiver);
    }
    let counters = endpoint.counters();
    assert_eq!(counters.open_peers.load(Ordering::Relaxed), 50);
    for mut receiver in receivers {
        assert!(matches!(next(&mut receiver).await, PeerEvent::Ended(PeerEnd::Failed)));
        receiver.close().await;
    }
    assert_eq!(counters.open_peers.load(Ordering::Relaxed), 0);
    let (mut sender, mut receiver, _) = pair(&endpoint, as_offered).await;
    sender.send_audio(&sound(0)).await.expect("sent");
    assert!(matches!(next(&mut receiver).await, PeerEvent::Rtp(_)));
}

#[tokio::test]
async fn the_offers_of_real_publishers_are_answered() {
    let endpoint = endpoint().await;
    let offers = [
        include_str!("offers/obs.sdp"),
        include_str!("offers/ffmpeg.sdp"),
        include_str!("offers/chromium.sdp"),
        include_str!("offers/aiortc.sdp"),
        include_str!("offers/gstreamer.sdp"),
    ];
    let port = endpoint.local_addr().port();
    for offer in offers {
        let (answer, receiver) = endpoint.receive(offer).await.expect("an answer");
        let candidate = format!("udp 2130706431 127.0.0.1 {port} typ host");
        assert!(answer.contains(&candidate), "{answer}");
        assert_eq!(receiver.tracks().len(), 2);
        receiver.close().await;
    }
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn each_video_codec_of_browsers_is_negotiated() {
    let endpoint = endpoint().await;
    for (name, codec) in [("VP8", Codec::Vp8), ("VP9", Codec::Vp9), ("AV1", Codec::Av1)] {
        let offer = include_str!("offers/obs.sdp").replace("H264", name);
        let (answer, receiver) = endpoint.receive(&offer).await.expect(name);
        assert!(answer.contains(&format!("a=rtpmap:96 {name}/90000\r\n")), "{answer}");
        let video = receiver.tracks().iter().find(|track| track.kind == TrackKind::Video).expect("negotiated");
        assert_eq!((video.codec, video.clock_rate), (codec, 90_000));
    }
}

#[tokio::test]
async fn a_refused_offer_leaves_nothing_behind() {
    let endpoint = endpoint().await;
    let offer = include_str!("offers/obs.sdp").replace("H264", "H265");
    let refusal = endpoint.receive(&offer).await.err();
    assert!(matches!(refusal, Some(OfferError::Codec(_))));
    assert_eq!(endpoint.counters().open_peers.load(Ordering::Relaxed), 0);
}
