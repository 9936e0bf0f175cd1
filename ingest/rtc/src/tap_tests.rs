use bytes::Bytes;
use rtc::interceptor::AttributedPacket;
use rtc::shared::TransportContext;
use std::sync::atomic::Ordering;

use super::*;

const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");
const VIDEO: usize = 0;
const AUDIO: usize = 1;

fn tap(queue: usize) -> (Tap, Arc<Desk>, mpsc::Receiver<PeerEvent>) {
    let offer = Offer::parse(CHROMIUM).expect("a good offer");
    let (events, reader) = mpsc::channel(queue);
    let desk = Desk::new(&offer);
    (Tap::new(&offer, &desk, events, Arc::default()), desk, reader)
}

fn tagged(packet: Packet) -> TaggedPacket {
    TaggedPacket { now: Instant::now(), transport: TransportContext::default(), message: AttributedPacket::new(packet) }
}

fn rtp(payload_type: u8, ssrc: u32, payload: &'static [u8]) -> TaggedPacket {
    let header =
        rtp::Header { version: 2, payload_type, sequence_number: 500, timestamp: 9, ssrc, ..Default::default() };
    let payload = Bytes::from_static(payload);
    tagged(Packet::Rtp(rtp::Packet { header, payload }))
}

fn report(ssrc: u32) -> TaggedPacket {
    let report = rtcp::sender_report::SenderReport { ssrc, ntp_time: 77, rtp_time: 88, ..Default::default() };
    tagged(Packet::Rtcp(vec![Box::new(report)]))
}

fn packet(reader: &mut mpsc::Receiver<PeerEvent>) -> RtpPacket {
    match reader.try_recv() {
        Ok(PeerEvent::Rtp(packet)) => packet,
        other => panic!("no packet: {other:?}"),
    }
}

#[test]
fn the_payload_type_says_the_track_and_media_goes_no_further() {
    let (mut tap, desk, mut reader) = tap(8);
    for (payload_type, ssrc) in [(107, 1), (111, 2), (96, 3)] {
        assert!(tap.read(rtp(payload_type, ssrc, b"media")).is_none());
    }
    assert_eq!(packet(&mut reader).track, VIDEO);
    assert_eq!(packet(&mut reader).track, AUDIO);
    assert!(reader.try_recv().is_err());
    let figures = desk.figures();
    assert_eq!(figures.tracks.iter().map(|track| (track.packets, track.bytes)).collect::<Vec<_>>(), [(1, 5), (1, 5)]);
}

#[test]
fn a_wished_keyframe_is_asked_of_the_tracks_own_source() {
    let (mut tap, desk, _reader) = tap(8);
    desk.want_keyframe(VIDEO);
    let now = Instant::now();
    let requests = tap.reply(now);
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    let request = request.as_any().downcast_ref::<PictureLossIndication>().expect("a PLI");
    assert_eq!(request.media_ssrc, 3_012_345_678, "as declared");
    assert!(tap.reply(now).is_empty());
}

#[test]
fn a_sender_report_belongs_to_the_track_with_its_source() {
    let (mut tap, _, mut reader) = tap(8);
    for ssrc in [2_512_345_678, 1_012_345_678, 4] {
        assert!(tap.read(report(ssrc)).is_some(), "RTCP goes on");
    }
    let Ok(PeerEvent::SenderReport(got)) = reader.try_recv() else {
        panic!("no report");
    };
    assert_eq!((got.track, got.ntp, got.rtp), (AUDIO, 77, 88));
    assert!(reader.try_recv().is_err(), "repair streams and strangers have no clock");
}

#[test]
fn a_slow_reader_loses_the_newest_and_it_is_counted() {
    let (mut tap, _, mut reader) = tap(1);
    tap.read(rtp(111, 2, b"first"));
    tap.read(rtp(111, 2, b"second"));
    assert_eq!(&packet(&mut reader).payload[..], b"first");
    assert_eq!(tap.counters.events_dropped.load(Ordering::Relaxed), 1);
}
