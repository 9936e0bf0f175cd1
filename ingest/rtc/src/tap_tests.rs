use bytes::Bytes;
use rtc::interceptor::AttributedPacket;
use rtc::shared::TransportContext;
use std::sync::atomic::Ordering;

use super::*;

const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");
const VIDEO: usize = 0;
const AUDIO: usize = 1;

fn tap(queue: usize) -> (Tap, Arc<Sources>, mpsc::Receiver<PeerEvent>) {
    let offer = Offer::parse(CHROMIUM).expect("a good offer");
    let (events, reader) = mpsc::channel(queue);
    let (tap, sources) = Tap::new(&offer, events, Arc::default());
    (tap, sources, reader)
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
    let (mut tap, sources, mut reader) = tap(8);
    tap.handle_read(rtp(107, 1, b"video")).expect("never fails");
    tap.handle_read(rtp(111, 2, b"audio")).expect("never fails");
    tap.handle_read(rtp(96, 3, b"not negotiated")).expect("never fails");
    assert_eq!(packet(&mut reader).track, VIDEO);
    assert_eq!(packet(&mut reader).track, AUDIO);
    assert!(reader.try_recv().is_err());
    assert!(tap.poll_read().is_none());
    assert_eq!((sources.get(VIDEO), sources.get(AUDIO), sources.get(9)), (Some(1), Some(2), None));
}

#[test]
fn a_retransmission_gets_back_its_own_number_and_a_probe_is_dropped() {
    let (mut tap, sources, mut reader) = tap(8);
    tap.handle_read(rtp(108, 1_012_345_678, b"\x01\x02data")).expect("never fails");
    tap.handle_read(rtp(108, 1_012_345_678, b"\x01")).expect("never fails");
    let got = packet(&mut reader);
    assert_eq!((got.track, got.sequence, &got.payload[..]), (VIDEO, 0x0102, &b"data"[..]));
    assert!(reader.try_recv().is_err());
    assert_eq!(sources.get(VIDEO), Some(3_012_345_678), "as declared, not that of the repair");
}

#[test]
fn a_sender_report_belongs_to_the_track_with_its_source() {
    let (mut tap, _, mut reader) = tap(8);
    for ssrc in [2_512_345_678, 1_012_345_678, 4] {
        tap.handle_read(report(ssrc)).expect("never fails");
    }
    let Ok(PeerEvent::SenderReport(got)) = reader.try_recv() else {
        panic!("no report");
    };
    assert_eq!((got.track, got.ntp, got.rtp), (AUDIO, 77, 88));
    assert!(reader.try_recv().is_err(), "repair streams and strangers have no clock");
    assert!(tap.poll_read().is_some(), "RTCP goes on");
}

#[test]
fn a_slow_reader_loses_the_newest_and_it_is_counted() {
    let (mut tap, _, mut reader) = tap(1);
    tap.handle_read(rtp(111, 2, b"first")).expect("never fails");
    tap.handle_read(rtp(111, 2, b"second")).expect("never fails");
    assert_eq!(&packet(&mut reader).payload[..], b"first");
    assert_eq!(tap.counters.events_dropped.load(Ordering::Relaxed), 1);
}
