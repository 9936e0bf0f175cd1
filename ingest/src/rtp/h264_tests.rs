use super::*;
use crate::rtp::packetise::{PPS, Packetiser, SPS, annex_b, idr, p_slice, stap_a};
use proptest::prelude::*;

fn collect(depacketiser: &mut Depacketiser, packets: &[Packet]) -> Vec<Unit> {
    let mut units = Vec::new();
    for packet in packets {
        depacketiser.push(packet, &mut units);
    }
    units
}

/// A depacketiser that has given out its first IDR, and the sender of it.
fn running() -> (Depacketiser, Packetiser) {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(65_530));
    let packets = sender.picture(0, &[SPS, PPS, &idr(500)]);
    assert_eq!(collect(&mut depacketiser, &packets).len(), 1);
    (depacketiser, sender)
}

#[test]
fn single_packets_and_fragments_make_one_idr_with_its_sets_in_front() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let (sei, picture) = ([0x06, 5, 1, 0, 0x80], idr(1_000));
    let packets = sender.picture(77, &[&[0x09, 0xf0], SPS, PPS, &sei, &picture]);
    let units = collect(&mut depacketiser, &packets);
    assert_eq!(units.len(), 1);
    assert_eq!(units[0].timestamp, 77);
    assert!(units[0].random_access && !depacketiser.wants_keyframe());
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, &sei, &picture]));
}

#[test]
fn sets_in_a_stap_a_of_the_same_picture_count() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let mut packets = vec![sender.packet(5, false, &stap_a(&[SPS, PPS]))];
    packets.extend(sender.picture(5, &[&idr(300)]));
    let units = collect(&mut depacketiser, &packets);
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, &idr(300)]));
}

#[test]
fn sets_with_a_timestamp_of_their_own_are_put_before_every_idr() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let mut packets = sender.picture(1, &[SPS]);
    packets.extend(sender.picture(2, &[PPS]));
    packets.extend(sender.picture(3, &[&idr(50)]));
    packets.extend(sender.picture(4, &[&idr(60)]));
    let units = collect(&mut depacketiser, &packets);
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, &idr(50)]));
    assert_eq!(units[1].data, annex_b(&[SPS, PPS, &idr(60)]));
    assert!(units.iter().all(|unit| unit.random_access));
}

#[test]
fn sets_whose_packets_have_the_marker_and_the_timestamp_of_their_idr_count() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let packets = [sender.packet(5, true, SPS), sender.packet(5, true, PPS), sender.packet(5, true, &idr(50))];
    let units = collect(&mut depacketiser, &packets);
    assert_eq!(units.len(), 1);
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, &idr(50)]));
}

#[test]
fn an_idr_in_several_slices_and_without_delimiter_is_one_unit() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let mut further = idr(300);
    further[1] = 0x40; // first_mb_in_slice above 0
    let slices: [&[u8]; 5] = [SPS, PPS, &idr(300), &further, &further];
    let units = collect(&mut depacketiser, &sender.picture(1, &slices));
    assert_eq!(units.len(), 1);
    assert_eq!(units[0].data, annex_b(&slices));
}

#[test]
fn single_nal_units_alone_as_in_packetization_mode_0_are_enough() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    sender.payload_max = 1_200;
    let packets = sender.picture(1, &[SPS, PPS, &idr(1_200)]);
    assert_eq!(packets.len(), 3);
    assert!(collect(&mut depacketiser, &packets)[0].random_access);
}

#[test]
fn a_new_resolution_within_the_stream_replaces_the_sets_of_the_same_ids() {
    let (mut depacketiser, mut sender) = running();
    let larger = [0x67, 0x64, 0x00, 0x28, 0x8c, 0x8d, 0x41]; // High, level 4, id 0 again
    let units = collect(&mut depacketiser, &sender.picture(1, &[&larger, PPS, &idr(50)]));
    assert_eq!(units[0].data, annex_b(&[&larger, PPS, &idr(50)]));
    assert!(units[0].random_access);
    let units = collect(&mut depacketiser, &sender.picture(2, &[&idr(50)]));
    assert_eq!(units[0].data, annex_b(&[&larger, PPS, &idr(50)]), "the old ones are gone");
}

#[test]
fn sets_lost_before_others_in_packets_of_their_own_are_not_forgotten() {
    let (mut depacketiser, mut sender) = running();
    depacketiser.gap(); // of a new SPS
    let mut packets = sender.picture(1, &[PPS]);
    packets.extend(sender.picture(2, &[&idr(50)]));
    assert!(collect(&mut depacketiser, &packets).is_empty());
    let whole: Vec<_> = [SPS, PPS, &idr(50)].iter().zip(3..).flat_map(|(nal, at)| sender.picture(at, &[nal])).collect();
    assert_eq!(collect(&mut depacketiser, &whole).len(), 1);
}

#[test]
fn a_new_timestamp_ends_a_unit_whose_marker_is_missing() {
    let (mut depacketiser, mut sender) = running();
    let mut packets = sender.picture(1, &[&p_slice(50), &p_slice(50)]);
    packets[1].marker = false;
    assert!(collect(&mut depacketiser, &packets).is_empty());
    let next = sender.picture(2, &[&p_slice(20)]);
    let stamps: Vec<_> =
        collect(&mut depacketiser, &next).iter().map(|unit| (unit.timestamp, unit.random_access)).collect();
    assert_eq!(stamps, [(1, false), (2, false)]);
}

#[test]
fn nothing_leaves_before_the_first_idr_with_its_sets() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let mut packets = sender.picture(1, &[&p_slice(50)]);
    packets.extend(sender.picture(2, &[&idr(50)]));
    packets.extend(sender.picture(3, &[SPS, &idr(50)]));
    assert!(collect(&mut depacketiser, &packets).is_empty());
    assert!(depacketiser.wants_keyframe());
    assert_eq!(depacketiser.take_counts().withheld, 3);
}

#[test]
fn after_a_lost_fragment_everything_is_withheld_until_the_next_idr() {
    let (mut depacketiser, mut sender) = running();
    let damaged = sender.picture(1, &[&p_slice(500)]);
    assert!(collect(&mut depacketiser, &damaged[..2]).is_empty());
    depacketiser.gap();
    assert!(depacketiser.wants_keyframe());
    assert!(collect(&mut depacketiser, &damaged[3..]).is_empty());
    let next = sender.picture(2, &[&p_slice(50)]);
    assert!(collect(&mut depacketiser, &next).is_empty());
    let good = sender.picture(3, &[SPS, PPS, &idr(50)]);
    assert!(collect(&mut depacketiser, &good)[0].random_access);
    let counts = depacketiser.take_counts();
    assert_eq!((counts.corrupt, counts.withheld), (1, 1));
    assert!(!depacketiser.wants_keyframe());
}

#[test]
fn an_idr_whose_first_packets_are_lost_does_not_pass_as_whole() {
    let (mut depacketiser, mut sender) = running();
    let mut second_slice = idr(50);
    second_slice[1] = 0x40;
    let packets = sender.picture(1, &[SPS, PPS, &idr(50), &second_slice]);
    depacketiser.gap();
    assert!(collect(&mut depacketiser, &packets[3..]).is_empty());
    let fragmented = sender.picture(2, &[&idr(500)]);
    assert!(collect(&mut depacketiser, &fragmented[1..]).is_empty());
    assert_eq!(depacketiser.take_counts().corrupt, 2);
}

#[test]
fn an_idr_just_after_a_gap_is_not_trusted_with_old_sets() {
    let (mut depacketiser, mut sender) = running();
    depacketiser.gap();
    let bare = sender.picture(1, &[&idr(50)]);
    assert!(collect(&mut depacketiser, &bare).is_empty());
    let next = sender.picture(2, &[&idr(50)]);
    assert_eq!(collect(&mut depacketiser, &next).len(), 1);
}

#[test]
fn changed_sets_reach_the_picture_that_follows_even_if_it_is_no_idr() {
    let (mut depacketiser, mut sender) = running();
    let other = [0x68, 0x4e, 0x3c, 0x80]; // id 1
    let units = collect(&mut depacketiser, &sender.picture(1, &[&other, &p_slice(50)]));
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, &other, &p_slice(50)]));
    assert!(!units[0].random_access);
    let units = collect(&mut depacketiser, &sender.picture(2, &[PPS, &p_slice(50)]));
    assert_eq!(units[0].data, annex_b(&[&p_slice(50)]));
}

#[test]
fn damaged_payloads_drop_their_unit_and_want_a_keyframe() {
    let long_stap = [0x78, 0, 9, 0x41];
    let cases: [(&str, &[u8]); 9] = [
        ("forbidden bit", &[0xc1, 0x88]),
        ("nal without payload", &[0x41]),
        ("stap-a with a zero length", &[0x78, 0, 0]),
        ("stap-a longer than its packet", &long_stap),
        ("stap-a with a rest", &[0x78, 0, 2, 0x41, 0x88, 7]),
        ("nested stap-a", &[0x78, 0, 2, 0x78, 0x88]),
        ("fu-a without header", &[0x7c]),
        ("fu-a without part", &[0x7c, 0x81]),
        ("fu-a that goes on with nothing", &[0x7c, 0x01, 9]),
    ];
    for (name, payload) in cases {
        let (mut depacketiser, mut sender) = running();
        let packet = sender.packet(1, true, payload);
        assert!(collect(&mut depacketiser, &[packet]).is_empty(), "{name}");
        assert_eq!(depacketiser.take_counts().corrupt, 1, "{name}");
        assert!(depacketiser.wants_keyframe(), "{name}");
    }
}

#[test]
fn packet_types_that_are_never_negotiated_are_refused_and_counted() {
    for kind in [0_u8, 25, 26, 27, 29, 30, 31] {
        let (mut depacketiser, mut sender) = running();
        let packet = sender.packet(1, true, &[0x60 | kind, 0, 0, 0, 0]);
        assert!(collect(&mut depacketiser, &[packet]).is_empty(), "{kind}");
        assert_eq!(depacketiser.take_counts().refused, 1, "{kind}");
    }
}

#[test]
fn no_keyframe_is_wanted_while_one_comes_in() {
    let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(9));
    let packets = sender.picture(1, &[SPS, PPS, &idr(500)]);
    assert!(depacketiser.wants_keyframe());
    collect(&mut depacketiser, &packets[..4]);
    assert!(!depacketiser.wants_keyframe());
    depacketiser.gap();
    assert!(depacketiser.wants_keyframe());
}

#[test]
fn an_empty_payload_is_a_probe_and_changes_nothing() {
    let (mut depacketiser, mut sender) = running();
    let probe = sender.packet(0, false, &[]);
    assert!(collect(&mut depacketiser, &[probe]).is_empty());
    assert!(!depacketiser.wants_keyframe());
}

#[test]
fn a_unit_beyond_the_longest_is_dropped() {
    let (mut depacketiser, mut sender) = running();
    sender.payload_max = 60_000;
    let fragmented = sender.picture(1, &[&p_slice(UNIT_BYTES_MAX + 1)]);
    assert!(collect(&mut depacketiser, &fragmented).is_empty());
    let slice = p_slice(50_000);
    let many: Vec<&[u8]> = vec![&slice; UNIT_BYTES_MAX / 50_000 + 1];
    let sliced = sender.picture(2, &many);
    assert!(collect(&mut depacketiser, &sliced).is_empty());
    assert_eq!(depacketiser.take_counts().corrupt, 2);
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic_and_begin_with_a_random_access_point(
        packets in proptest::collection::vec(
            (0_u32..4, any::<bool>(), any::<bool>(),
             proptest::collection::vec(any::<u8>(), 0..40)), 0..60),
    ) {
        let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(0));
        let mut units = Vec::new();
        for (timestamp, marker, gap, payload) in packets {
            if gap {
                depacketiser.gap();
            }
            depacketiser.push(&sender.packet(timestamp, marker, &payload), &mut units);
        }
        prop_assert!(units.first().is_none_or(|unit| unit.random_access));
    }

    #[test]
    fn whole_pictures_come_back_as_they_went_in(
        sizes in proptest::collection::vec(2_usize..2_000, 1..20),
        payload_max in 3_usize..1_400,
    ) {
        let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(65_000));
        sender.payload_max = payload_max.max(8);
        for (time, size) in (0..).zip(sizes) {
            let picture = idr(size);
            let packets = sender.picture(time, &[SPS, PPS, &picture]);
            let units = collect(&mut depacketiser, &packets);
            prop_assert_eq!(&units[0].data[..], &annex_b(&[SPS, PPS, &picture])[..]);
        }
    }

    #[test]
    fn one_lost_packet_never_lets_a_damaged_picture_through(
        sizes in proptest::collection::vec(2_usize..600, 2..20),
        lost in any::<prop::sample::Index>(),
    ) {
        let (mut depacketiser, mut sender) = (Depacketiser::new(), Packetiser::new(0));
        let whole: Vec<_> = sizes.iter().map(|&size| annex_b(&[SPS, PPS, &idr(size)])).collect();
        let packets: Vec<_> = (0..).zip(&sizes)
            .flat_map(|(time, &size)| sender.picture(time, &[SPS, PPS, &idr(size)]))
            .collect();
        let lost = lost.index(packets.len());
        let mut units = collect(&mut depacketiser, &packets[..lost]);
        depacketiser.gap();
        for packet in &packets[lost + 1..] {
            depacketiser.push(packet, &mut units);
        }
        for unit in units {
            let index = usize::try_from(unit.timestamp).unwrap();
            prop_assert_eq!(&unit.data[..], &whole[index][..]);
        }
    }
}
