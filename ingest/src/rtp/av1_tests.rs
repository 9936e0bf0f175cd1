use super::*;
use crate::rtp::assembler::tests::{arbitrary_packets, collect, one_lost_packet, packets};
use crate::rtp::packetise::Packetiser;
use crate::rtp::{Counts, Depacketise, UNIT_BYTES_MAX};
use proptest::prelude::*;

const KEY: u8 = 0x10;
const INTER: u8 = 0x30;

/// An OBU as publishers send it: without its size.
#[derive(Debug, Clone)]
struct Obu {
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl Obu {
    fn bare(&self) -> Vec<u8> {
        [&self.header[..], &self.payload].concat()
    }

    /// With its size, in an encoding of its own.
    fn sized(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header[0] |= 2;
        let length = self.payload.len();
        let size = match length {
            0..0x80 => vec![length],
            0x80..0x4000 => vec![length & 0x7f | 0x80, length >> 7],
            _ => vec![length & 0x7f | 0x80, length >> 7 & 0x7f | 0x80, length >> 14],
        };
        header.extend(size.into_iter().map(|byte| u8::try_from(byte).unwrap()));
        [&header[..], &self.payload].concat()
    }
}

fn obu(kind: u8, payload: &[u8]) -> Obu {
    Obu { header: vec![kind << 3], payload: payload.to_vec() }
}

fn sequence() -> Obu {
    obu(kind::SEQUENCE_HEADER, &[0x00, 0x00, 0x00, 0x02, 0xaf, 0xff])
}

/// A frame of `len` bytes with that first byte, in the layers of an extension.
fn frame_obu(first: u8, len: usize) -> Obu {
    let payload = (0..len).map(|index| if index == 0 { first } else { u8::try_from(index % 251).unwrap() });
    Obu { header: vec![kind::FRAME << 3 | 0x04, 0x20], payload: payload.collect() }
}

/// How many elements a sender tells in W.
#[derive(Debug, Clone, Copy)]
enum Telling {
    Lengths,
    Count,
}

/// The payloads of a temporal unit, each of at most `payload_max` bytes of OBUs, cut anywhere.
fn payloads(obus: &[Obu], payload_max: usize, telling: Telling) -> Vec<Vec<u8>> {
    let mut packets: Vec<(bool, Vec<Vec<u8>>)> = vec![(false, Vec::new())];
    let mut left = payload_max;
    for obu in obus {
        let mut bare = obu.bare();
        let mut continued = false;
        loop {
            let is_full = left == 0 || packets.last().unwrap().1.len() == 3;
            if is_full {
                packets.push((continued, Vec::new()));
                left = payload_max;
            }
            let rest = bare.split_off(left.min(bare.len()));
            left -= bare.len();
            packets.last_mut().unwrap().1.push(bare);
            if rest.is_empty() {
                break;
            }
            (bare, continued, left) = (rest, true, 0);
        }
    }
    let goes_on: Vec<bool> = packets.iter().skip(1).map(|packet| packet.0).chain([false]).collect();
    let begins_sequence = obus[0].header[0] >> 3 == kind::SEQUENCE_HEADER;
    let mut payloads = Vec::new();
    for (index, ((continues, elements), goes_on)) in packets.iter().zip(goes_on).enumerate() {
        let count = if matches!(telling, Telling::Count) { u8::try_from(elements.len()).unwrap() } else { 0 };
        let new = u8::from(begins_sequence && index == 0) << 3;
        let mut payload = vec![u8::from(*continues) << 7 | u8::from(goes_on) << 6 | count << 4 | new];
        for (number, element) in (1..).zip(elements) {
            if number != count {
                let mut length = BytesMut::new();
                put_leb128(&mut length, element.len());
                payload.extend(length);
            }
            payload.extend(element);
        }
        payloads.push(payload);
    }
    payloads
}

fn running() -> (Depacketiser, Packetiser) {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(65_530));
    let first = packets(&mut sender, 0, &payloads(&[sequence(), frame_obu(KEY, 300)], 100, Telling::Count));
    assert_eq!(collect(&mut depacketiser, &first).len(), 1);
    (depacketiser, sender)
}

#[test]
fn a_key_frame_in_fragments_comes_out_with_sizes_and_without_delimiters_and_tile_lists() {
    for telling in [Telling::Lengths, Telling::Count] {
        let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
        let metadata = obu(5, &[1, 2, 3]);
        let unit = [
            obu(kind::TEMPORAL_DELIMITER, &[]),
            sequence(),
            obu(kind::TILE_LIST, &[1]),
            metadata.clone(),
            frame_obu(KEY, 450),
            obu(kind::PADDING, &[0; 20]),
        ];
        let units = collect(&mut depacketiser, &packets(&mut sender, 77, &payloads(&unit, 100, telling)));
        assert_eq!(units.len(), 1, "{telling:?}");
        assert!(units[0].random_access && !depacketiser.wants_keyframe());
        assert_eq!(units[0].timestamp, 77);
        assert_eq!(units[0].data, [sequence(), metadata, frame_obu(KEY, 450)].map(|obu| obu.sized()).concat());
    }
}

#[test]
fn an_obu_that_has_its_size_already_is_taken_as_it_is() {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
    let sized = [sequence(), frame_obu(KEY, 200)].map(|obu| Obu { header: obu.sized(), payload: Vec::new() });
    let units = collect(&mut depacketiser, &packets(&mut sender, 1, &payloads(&sized, 90, Telling::Count)));
    assert_eq!(units[0].data, [sequence(), frame_obu(KEY, 200)].map(|obu| obu.sized()).concat());
}

#[test]
fn a_key_frame_without_a_sequence_header_gets_the_last_one_unless_a_gap_was_before_it() {
    let (mut depacketiser, mut sender) = running();
    let bare = |sender: &mut Packetiser, at| packets(sender, at, &payloads(&[frame_obu(KEY, 60)], 100, Telling::Count));
    let units = collect(&mut depacketiser, &bare(&mut sender, 1));
    assert_eq!(units[0].data, [sequence(), frame_obu(KEY, 60)].map(|obu| obu.sized()).concat());
    assert!(units[0].random_access);
    depacketiser.gap();
    assert!(collect(&mut depacketiser, &bare(&mut sender, 2)).is_empty());
    assert_eq!(collect(&mut depacketiser, &bare(&mut sender, 3)).len(), 1);
}

#[test]
fn only_a_shown_key_frame_is_a_place_to_begin() {
    for (first, key) in [(0x10, true), (0x00, false), (0x30, false), (0x50, false), (0x90, false)] {
        let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
        let unit = [sequence(), frame_obu(first, 20)];
        let units = collect(&mut depacketiser, &packets(&mut sender, 1, &payloads(&unit, 100, Telling::Count)));
        assert_eq!(units.len(), usize::from(key), "{first:02x}");
        assert_eq!(depacketiser.wants_keyframe(), !key);
    }
}

#[test]
fn headers_alone_are_no_unit_and_are_remembered() {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
    let headers = packets(&mut sender, 1, &payloads(&[sequence()], 100, Telling::Count));
    assert!(collect(&mut depacketiser, &headers).is_empty());
    let key = packets(&mut sender, 2, &payloads(&[frame_obu(KEY, 20)], 100, Telling::Count));
    assert!(collect(&mut depacketiser, &key)[0].random_access);
    assert_eq!(depacketiser.take_counts(), Counts::default());
}

#[test]
fn after_a_gap_everything_is_withheld_until_the_next_key_frame() {
    let (mut depacketiser, mut sender) = running();
    let damaged = packets(&mut sender, 1, &payloads(&[frame_obu(INTER, 300)], 100, Telling::Count));
    collect(&mut depacketiser, &damaged[..1]);
    depacketiser.gap();
    assert!(depacketiser.wants_keyframe());
    assert!(collect(&mut depacketiser, &damaged[2..]).is_empty());
    let inter = packets(&mut sender, 2, &payloads(&[frame_obu(INTER, 50)], 100, Telling::Count));
    assert!(collect(&mut depacketiser, &inter).is_empty());
    let key = packets(&mut sender, 3, &payloads(&[sequence(), frame_obu(KEY, 250)], 100, Telling::Count));
    assert!(collect(&mut depacketiser, &key[..1]).is_empty());
    assert!(!depacketiser.wants_keyframe(), "one comes in");
    assert!(collect(&mut depacketiser, &key[1..])[0].random_access);
    assert_eq!(depacketiser.take_counts(), Counts { corrupt: 1, withheld: 1, refused: 0 });
}

#[test]
fn damaged_payloads_drop_their_unit_and_want_a_key_frame() {
    let cases: [(&str, Vec<u8>); 13] = [
        ("no element", vec![0x10]),
        ("a fragment whose start is missing", vec![0x90, 0x30, KEY]),
        ("a fragment at the start of a sequence", vec![0x98, 0x30, KEY]),
        ("a fragment whose end is missing", vec![0x50, 0x30, KEY]),
        ("fewer elements than told", vec![0x20, 2, 0x30, KEY]),
        ("an element of no bytes", vec![0x00, 0, 2, 0x30, KEY]),
        ("an element longer than its packet", vec![0x00, 3, 0x30, KEY]),
        ("a length without an end", [&[0x00][..], &[0x80; 9]].concat()),
        ("a length beyond 32 bits", vec![0x00, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("the forbidden bit", vec![0x10, 0xb0, KEY]),
        ("an extension that is missing", vec![0x10, 0x34]),
        ("a size that does not fit", vec![0x10, 0x32, 2, KEY]),
        ("a frame without its header", vec![0x10, 0x30]),
    ];
    for (name, payload) in cases {
        let (mut depacketiser, mut sender) = running();
        assert!(collect(&mut depacketiser, &packets(&mut sender, 1, &[payload])).is_empty(), "{name}");
        assert_eq!(depacketiser.take_counts().corrupt, 1, "{name}");
        assert!(depacketiser.wants_keyframe(), "{name}");
    }
}

#[test]
fn a_unit_beyond_the_longest_is_dropped() {
    let (mut depacketiser, mut sender) = running();
    let long = payloads(&[sequence(), frame_obu(KEY, UNIT_BYTES_MAX)], 60_000, Telling::Count);
    assert!(collect(&mut depacketiser, &packets(&mut sender, 1, &long)).is_empty());
    assert_eq!(depacketiser.take_counts().corrupt, 1);
}

fn tellings() -> impl Strategy<Value = Telling> {
    prop::sample::select(vec![Telling::Lengths, Telling::Count])
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(script in proptest::collection::vec(
        (0_u32..4, any::<bool>(), prop::bool::weighted(0.1), proptest::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        arbitrary_packets::<TemporalUnit>(script);
    }

    #[test]
    fn leb128_numbers_come_back(value in any::<u32>(), rest in proptest::collection::vec(any::<u8>(), 0..4)) {
        let value = usize::try_from(value).unwrap();
        let mut bytes = BytesMut::new();
        put_leb128(&mut bytes, value);
        bytes.extend_from_slice(&rest);
        prop_assert_eq!(leb128(&bytes), Some((value, &rest[..])));
    }

    #[test]
    fn whole_units_come_back_as_they_went_in(
        units in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(1_usize..700, 1..5), tellings()), 1..20),
        payload_max in 1_usize..1_400,
    ) {
        let (mut depacketiser, mut sender) = running();
        for (time, (key, sizes, telling)) in (1..).zip(units) {
            let mut obus: Vec<_> = key.then(sequence).into_iter().collect();
            let first = |index| if key && index == 0 { KEY } else { INTER };
            obus.extend(sizes.iter().enumerate().map(|(index, &size)| frame_obu(first(index), size)));
            let sent = packets(&mut sender, time, &payloads(&obus, payload_max, telling));
            let units = collect(&mut depacketiser, &sent);
            let whole: Vec<u8> = obus.iter().flat_map(Obu::sized).collect();
            prop_assert_eq!(&units[0].data[..], &whole[..]);
            prop_assert_eq!(units[0].random_access, key);
        }
    }

    #[test]
    fn one_lost_packet_never_lets_a_damaged_unit_through(
        units in proptest::collection::vec((prop::bool::weighted(0.3), 1_usize..600, tellings()), 2..20),
        lost in any::<prop::sample::Index>(),
    ) {
        let pictures: Vec<_> = units.into_iter().map(|(key, len, telling)| {
            let mut obus: Vec<_> = key.then(sequence).into_iter().collect();
            obus.push(frame_obu(if key { KEY } else { INTER }, len));
            (payloads(&obus, 100, telling), obus.iter().flat_map(Obu::sized).collect())
        }).collect();
        one_lost_packet::<TemporalUnit>(&pictures, lost);
    }
}
