use super::*;
use crate::rtp::assembler::tests::{arbitrary_packets, collect, one_lost_packet, packets};
use crate::rtp::packetise::Packetiser;
use crate::rtp::{Counts, Depacketise, UNIT_BYTES_MAX};
use proptest::prelude::*;

/// A frame of `len` bytes at least its header long, whose first partition fills it.
fn frame(key: bool, len: usize) -> Vec<u8> {
    let header = if key { KEY_HEADER_BYTES } else { TAG_BYTES };
    let body = len.saturating_sub(header);
    let tag = u32::try_from(body).unwrap() << 5 | 0x10 | u32::from(!key);
    let mut frame = tag.to_le_bytes()[..3].to_vec();
    if key {
        frame.extend([0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]); // 320 × 180
    }
    frame.extend((0..body).map(|index| u8::try_from(index % 251).unwrap()));
    frame
}

/// How much of the descriptor a sender uses.
#[derive(Debug, Clone, Copy)]
enum Words {
    Fewest,
    ShortId,
    LongId,
    Layers,
}

/// The payloads of a frame, `payload_max` bytes of it in each.
fn payloads(frame: &[u8], payload_max: usize, words: Words) -> Vec<Vec<u8>> {
    let extension: &[u8] = match words {
        Words::Fewest => &[],
        Words::ShortId => &[0x80, 0x11],
        Words::LongId => &[0x80, 0x92, 0x34],
        Words::Layers => &[0xf0, 0x92, 0x34, 7, 0x20],
    };
    let payload = |(index, part): (usize, &[u8])| {
        let first = u8::from(index == 0) << 4 | u8::from(!extension.is_empty()) << 7;
        [&[first], extension, part].concat()
    };
    frame.chunks(payload_max).enumerate().map(payload).collect()
}

/// A depacketiser that has given out its first key frame, and the sender of it.
fn running() -> (Depacketiser, Packetiser) {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(65_530));
    let first = packets(&mut sender, 0, &payloads(&frame(true, 300), 100, Words::LongId));
    assert_eq!(collect(&mut depacketiser, &first).len(), 1);
    (depacketiser, sender)
}

#[test]
fn a_key_frame_in_several_packets_comes_out_whole_and_random_access() {
    for words in [Words::Fewest, Words::ShortId, Words::LongId, Words::Layers] {
        let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
        let whole = frame(true, 450);
        let units = collect(&mut depacketiser, &packets(&mut sender, 77, &payloads(&whole, 100, words)));
        assert_eq!(units.len(), 1, "{words:?}");
        assert!(units[0].random_access && !depacketiser.wants_keyframe());
        assert_eq!((units[0].timestamp, &units[0].data[..]), (77, &whole[..]));
    }
}

#[test]
fn other_partitions_may_begin_in_packets_of_their_own() {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
    let whole = frame(true, 60);
    let parts = [[&[0x10][..], &whole[..30]].concat(), [&[0x11][..], &whole[30..]].concat()];
    assert_eq!(collect(&mut depacketiser, &packets(&mut sender, 1, &parts))[0].data, whole);
}

#[test]
fn a_new_timestamp_ends_a_frame_whose_marker_is_missing() {
    let (mut depacketiser, mut sender) = running();
    let mut sent = packets(&mut sender, 1, &payloads(&frame(false, 150), 100, Words::Fewest));
    sent[1].marker = false;
    assert!(collect(&mut depacketiser, &sent).is_empty());
    let next = packets(&mut sender, 2, &payloads(&frame(false, 20), 100, Words::Fewest));
    let stamps: Vec<_> = collect(&mut depacketiser, &next).iter().map(|unit| unit.timestamp).collect();
    assert_eq!(stamps, [1, 2]);
}

#[test]
fn nothing_leaves_before_the_first_key_frame() {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
    let sent = packets(&mut sender, 1, &payloads(&frame(false, 150), 100, Words::LongId));
    assert!(collect(&mut depacketiser, &sent).is_empty());
    assert!(depacketiser.wants_keyframe());
    assert_eq!(depacketiser.take_counts(), Counts { withheld: 1, ..Counts::default() });
}

#[test]
fn after_a_gap_everything_is_withheld_until_the_next_key_frame() {
    let (mut depacketiser, mut sender) = running();
    let damaged = packets(&mut sender, 1, &payloads(&frame(false, 300), 100, Words::LongId));
    collect(&mut depacketiser, &damaged[..1]);
    depacketiser.gap();
    assert!(depacketiser.wants_keyframe());
    assert!(collect(&mut depacketiser, &damaged[2..]).is_empty());
    let next = packets(&mut sender, 2, &payloads(&frame(false, 50), 100, Words::LongId));
    assert!(collect(&mut depacketiser, &next).is_empty());
    let good = packets(&mut sender, 3, &payloads(&frame(true, 250), 100, Words::LongId));
    assert!(collect(&mut depacketiser, &good[..1]).is_empty());
    assert!(!depacketiser.wants_keyframe(), "one comes in");
    assert!(collect(&mut depacketiser, &good[1..])[0].random_access);
    assert_eq!(depacketiser.take_counts(), Counts { corrupt: 1, withheld: 1, refused: 0 });
}

#[test]
fn damaged_payloads_drop_their_frame_and_want_a_key_frame() {
    let mut no_start_code = frame(true, 40);
    no_start_code[4] = 0;
    let cases: [(&str, Vec<u8>); 9] = [
        ("a frame without its start", [&[0x00][..], &frame(true, 40)].concat()),
        ("a start in partition 1", [&[0x11][..], &frame(true, 40)].concat()),
        ("a descriptor that breaks off", vec![0x90]),
        ("a picture id that breaks off", vec![0x90, 0x80]),
        ("a long picture id that breaks off", vec![0x90, 0x80, 0x80]),
        ("a layer index that breaks off", vec![0x90, 0x60, 1]),
        ("a descriptor without a frame", vec![0x10]),
        ("a key frame without its start code", [&[0x10][..], &no_start_code].concat()),
        ("a frame shorter than its first partition", [&[0x10][..], &frame(false, 40)[..30]].concat()),
    ];
    for (name, payload) in cases {
        let (mut depacketiser, mut sender) = running();
        assert!(collect(&mut depacketiser, &packets(&mut sender, 1, &[payload])).is_empty(), "{name}");
        assert_eq!(depacketiser.take_counts().corrupt, 1, "{name}");
        assert!(depacketiser.wants_keyframe(), "{name}");
    }
}

#[test]
fn an_empty_payload_is_a_probe_and_changes_nothing() {
    let (mut depacketiser, mut sender) = running();
    assert!(collect(&mut depacketiser, &[sender.packet(0, false, &[])]).is_empty());
    assert!(!depacketiser.wants_keyframe());
}

#[test]
fn a_frame_beyond_the_longest_is_dropped() {
    let (mut depacketiser, mut sender) = running();
    let part = [&[0x00][..], &[0; 60_000]].concat();
    let mut parts = payloads(&frame(true, 100), 200, Words::Fewest);
    parts.extend(vec![part; UNIT_BYTES_MAX / 60_000 + 1]);
    assert!(collect(&mut depacketiser, &packets(&mut sender, 1, &parts)).is_empty());
    assert_eq!(depacketiser.take_counts().corrupt, 1);
}

fn words() -> impl Strategy<Value = Words> {
    prop::sample::select(vec![Words::Fewest, Words::ShortId, Words::LongId, Words::Layers])
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(script in proptest::collection::vec(
        (0_u32..4, any::<bool>(), prop::bool::weighted(0.1), proptest::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        arbitrary_packets::<Frame>(script);
    }

    #[test]
    fn whole_frames_come_back_as_they_went_in(
        frames in proptest::collection::vec((any::<bool>(), 11_usize..2_000, words()), 1..20),
        payload_max in 1_usize..1_400,
    ) {
        let (mut depacketiser, mut sender) = running();
        for (time, (key, len, words)) in (1..).zip(frames) {
            let whole = frame(key, len);
            let units = collect(&mut depacketiser, &packets(&mut sender, time, &payloads(&whole, payload_max, words)));
            prop_assert_eq!(&units[0].data[..], &whole[..]);
            prop_assert_eq!(units[0].random_access, key);
        }
    }

    #[test]
    fn one_lost_packet_never_lets_a_damaged_frame_through(
        frames in proptest::collection::vec((prop::bool::weighted(0.3), 11_usize..600, words()), 2..20),
        lost in any::<prop::sample::Index>(),
    ) {
        let pictures: Vec<_> = frames.into_iter().map(|(key, len, words)| {
            let whole = frame(key, len);
            (payloads(&whole, 100, words), whole)
        }).collect();
        one_lost_packet::<Frame>(&pictures, lost);
    }
}
