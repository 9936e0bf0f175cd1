use super::*;
use crate::rtp::assembler::tests::{arbitrary_packets, collect, one_lost_packet, packets};
use crate::rtp::packetise::Packetiser;
use crate::rtp::{Counts, Depacketise};
use proptest::prelude::*;

const KEY: u8 = 0x82;
const INTER: u8 = 0x86;

/// A frame of profile 0 with that first byte, `len` bytes long.
fn frame(first: u8, len: usize) -> Vec<u8> {
    let rest = (1..len).map(|index| u8::try_from(index % 251).unwrap());
    std::iter::once(first).chain(rest).collect()
}

/// How a sender fills the descriptor.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Plain,
    NonFlexible,
    Flexible,
}

/// The payloads of the picture's layers, `payload_max` bytes of them in each.
fn payloads(layers: &[&[u8]], payload_max: usize, mode: Mode) -> Vec<Vec<u8>> {
    let inter = layers[0][0] != KEY;
    let layer = |(sid, frame): (u8, &&[u8])| {
        let parts: Vec<&[u8]> = frame.chunks(payload_max).collect();
        let last = parts.len() - 1;
        let payload = |(index, part): (usize, &&[u8])| {
            let position = u8::from(index == 0) << 3 | u8::from(index == last) << 2;
            let structure = u8::from(!inter && sid == 0 && index == 0) << 1;
            let head: Vec<u8> = match mode {
                Mode::Plain => vec![u8::from(inter) << 6 | position],
                Mode::NonFlexible => {
                    let first = 0xa0 | u8::from(inter) << 6 | position | structure;
                    // PictureID of 15 bits, layer indices, TL0PICIDX
                    vec![first, 0x81, 0x23, sid << 1 | u8::from(sid > 0), 9]
                }
                Mode::Flexible => vec![0xb0 | u8::from(inter) << 6 | position | structure, 0x12, sid << 1],
            };
            let references: &[u8] = if matches!(mode, Mode::Flexible) && inter { &[0x03, 0x04] } else { &[] };
            let described = structure != 0 && !matches!(mode, Mode::Plain);
            // one layer of 320 × 180; two pictures in the group, the second with one reference
            let structure: &[u8] = if described { &[0x18, 1, 64, 0, 180, 2, 0x00, 0x24, 1] } else { &[] };
            let head = if described { head } else { [&[head[0] & !2], &head[1..]].concat() };
            [&head, references, structure, part].concat()
        };
        parts.iter().enumerate().map(payload).collect::<Vec<_>>()
    };
    (0..).zip(layers).flat_map(layer).collect()
}

fn running() -> (Depacketiser, Packetiser) {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(65_530));
    let first = packets(&mut sender, 0, &payloads(&[&frame(KEY, 300)], 100, Mode::NonFlexible));
    assert_eq!(collect(&mut depacketiser, &first).len(), 1);
    (depacketiser, sender)
}

#[test]
fn a_key_frame_of_one_layer_comes_out_as_it_is() {
    for mode in [Mode::Plain, Mode::NonFlexible, Mode::Flexible] {
        let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
        let whole = frame(KEY, 450);
        let units = collect(&mut depacketiser, &packets(&mut sender, 77, &payloads(&[&whole], 100, mode)));
        assert_eq!(units.len(), 1, "{mode:?}");
        assert!(units[0].random_access && !depacketiser.wants_keyframe());
        assert_eq!((units[0].timestamp, &units[0].data[..]), (77, &whole[..]));
    }
}

#[test]
fn the_layers_of_one_picture_become_a_superframe_with_its_index() {
    let (mut depacketiser, mut sender) = (Depacketiser::default(), Packetiser::new(7));
    let (low, high) = (frame(KEY, 150), frame(INTER, 0x123));
    for mode in [Mode::NonFlexible, Mode::Flexible] {
        let sent = packets(&mut sender, 1, &payloads(&[&low, &high], 100, mode));
        let units = collect(&mut depacketiser, &sent);
        let index = [0xd9, 150, 0, 0, 0, 0x23, 1, 0, 0, 0xd9];
        assert_eq!(units[0].data, [&low[..], &high, &index].concat(), "{mode:?}");
        assert!(units[0].random_access);
    }
}

#[test]
fn a_picture_whose_marker_is_missing_ends_at_the_next_timestamp_if_its_last_frame_ended() {
    let (mut depacketiser, mut sender) = running();
    for (timestamp, cut, expected) in [(1, 0, vec![1, 2]), (3, 1, vec![])] {
        let mut sent = packets(&mut sender, timestamp, &payloads(&[&frame(INTER, 250)], 100, Mode::Flexible));
        sent.truncate(3 - cut);
        sent[2 - cut].marker = false;
        let mut units = collect(&mut depacketiser, &sent);
        let next = packets(&mut sender, timestamp + 1, &payloads(&[&frame(INTER, 20)], 100, Mode::Flexible));
        units.extend(collect(&mut depacketiser, &next));
        assert_eq!(units.iter().map(|unit| unit.timestamp).collect::<Vec<_>>(), expected);
    }
    assert_eq!(depacketiser.take_counts(), Counts { corrupt: 1, withheld: 1, refused: 0 });
}

#[test]
fn after_a_gap_everything_is_withheld_until_the_next_key_frame() {
    let (mut depacketiser, mut sender) = running();
    depacketiser.gap();
    let inter = packets(&mut sender, 1, &payloads(&[&frame(INTER, 50)], 100, Mode::NonFlexible));
    assert!(collect(&mut depacketiser, &inter).is_empty());
    assert!(depacketiser.wants_keyframe());
    let key = packets(&mut sender, 2, &payloads(&[&frame(KEY, 250)], 100, Mode::NonFlexible));
    assert!(collect(&mut depacketiser, &key[..1]).is_empty());
    assert!(!depacketiser.wants_keyframe(), "one comes in");
    assert!(collect(&mut depacketiser, &key[1..])[0].random_access);
}

#[test]
fn frames_that_show_others_again_or_are_of_profile_3_are_told_from_key_frames() {
    for (first, key) in [
        (0b1000_0010, Some(true)),
        (0b1000_0110, Some(false)),
        (0b1000_1000, Some(false)), // show_existing_frame
        (0b1001_0010, Some(true)),  // profile 2
        (0b1011_0001, Some(true)),  // profile 3
        (0b1011_0011, Some(false)),
        (0b1011_0100, Some(false)),
        (0b0100_0010, None),
    ] {
        assert_eq!(is_key(&[first]), key, "{first:08b}");
    }
}

#[test]
fn damaged_payloads_drop_their_picture_and_want_a_key_frame() {
    let many: Vec<u8> = vec![0x0c, KEY];
    let cases: [(&str, Vec<Vec<u8>>); 11] = [
        ("a frame without its start", vec![vec![0x04, KEY]]),
        ("a frame that begins twice", vec![vec![0x08, KEY], vec![0x0c, KEY]]),
        ("a frame without its end", vec![vec![0x08, KEY]]),
        ("nine frames", vec![many; 9]),
        ("no frame", vec![vec![0x0c]]),
        ("a picture id that breaks off", vec![vec![0x8c, 0x80]]),
        ("layer indices that break off", vec![vec![0x2c, 0]]),
        ("four references", vec![vec![0x5c, 3, 3, 3, 2, KEY]]),
        ("sizes that break off", vec![vec![0x0e, 0x10, 1, 64, 0]]),
        ("a group that breaks off", vec![vec![0x0e, 0x08, 2, 0x0c, 1, 1]]),
        ("bytes that are no frame", vec![vec![0x0c, 0x00, 7]]),
    ];
    for (name, sent) in cases {
        let (mut depacketiser, mut sender) = running();
        assert!(collect(&mut depacketiser, &packets(&mut sender, 1, &sent)).is_empty(), "{name}");
        assert_eq!(depacketiser.take_counts().corrupt, 1, "{name}");
        assert!(depacketiser.wants_keyframe(), "{name}");
    }
}

fn modes() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Plain, Mode::NonFlexible, Mode::Flexible])
}

/// What a decoder is given for these layers, made another way.
fn superframe(layers: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = layers.concat();
    if layers.len() > 1 {
        let marker = 0b1101_1000 + u8::try_from(layers.len() - 1).unwrap();
        let sizes = layers.iter().flat_map(|layer| u32::try_from(layer.len()).unwrap().to_le_bytes());
        whole.extend(std::iter::once(marker).chain(sizes).chain([marker]).collect::<Vec<_>>());
    }
    whole
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(script in proptest::collection::vec(
        (0_u32..4, any::<bool>(), prop::bool::weighted(0.1), proptest::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        arbitrary_packets::<Superframe>(script);
    }

    #[test]
    fn whole_pictures_come_back_as_they_went_in(
        pictures in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(1_usize..900, 1..4), modes()), 1..20),
        payload_max in 1_usize..1_400,
    ) {
        let (mut depacketiser, mut sender) = running();
        for (time, (key, sizes, mode)) in (1..).zip(pictures) {
            let first = |index| if key && index == 0 { KEY } else { INTER };
            let layers: Vec<_> = sizes.iter().enumerate().map(|(index, &size)| frame(first(index), size)).collect();
            let slices: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
            let units = collect(&mut depacketiser, &packets(&mut sender, time, &payloads(&slices, payload_max, mode)));
            prop_assert_eq!(&units[0].data[..], &superframe(&layers)[..]);
            prop_assert_eq!(units[0].random_access, key);
        }
    }

    #[test]
    fn one_lost_packet_never_lets_a_damaged_picture_through(
        pictures in proptest::collection::vec((prop::bool::weighted(0.3), 1_usize..600, modes()), 2..20),
        lost in any::<prop::sample::Index>(),
    ) {
        let pictures: Vec<_> = pictures.into_iter().map(|(key, len, mode)| {
            let layers = [frame(if key { KEY } else { INTER }, len), frame(INTER, len)];
            (payloads(&[&layers[0], &layers[1]], 100, mode), superframe(&layers))
        }).collect();
        one_lost_packet::<Superframe>(&pictures, lost);
    }
}
