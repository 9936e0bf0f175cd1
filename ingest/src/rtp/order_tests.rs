use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const WAIT: Duration = Duration::from_millis(100);

fn packet(sequence: u16, now: Instant) -> Packet {
    Packet { sequence, timestamp: 0, marker: false, payload: Bytes::new(), arrival: now }
}

/// Everything that comes out at `now`: sequence numbers, and `None` for a gap.
fn drain(buffer: &mut JitterBuffer, now: Instant) -> Vec<Option<u16>> {
    std::iter::from_fn(|| buffer.pop(now, WAIT))
        .map(|ordered| match ordered {
            Ordered::Packet(packet) => Some(packet.sequence),
            Ordered::Gap { .. } => None,
        })
        .collect()
}

fn push_all(buffer: &mut JitterBuffer, sequences: &[u16], now: Instant) {
    for &sequence in sequences {
        buffer.push(packet(sequence, now), now);
    }
}

#[test]
fn the_wait_is_twice_the_round_trip_and_20_ms_within_100_to_500_ms() {
    let of = |rtt| wait_limit(Some(Duration::from_millis(rtt))).as_millis();
    assert_eq!(wait_limit(None).as_millis(), 100);
    assert_eq!((of(0), of(50), of(10_000)), (100, 120, 500));
    assert_eq!(wait_limit(Some(Duration::MAX)).as_millis(), 500);
}

#[test]
fn packets_leave_in_order_across_the_sequence_wrap() {
    let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
    push_all(&mut buffer, &[65_534, 0, 65_535, 1], now);
    let out = drain(&mut buffer, now);
    assert_eq!(out, [Some(65_534), Some(65_535), Some(0), Some(1)]);
}

#[test]
fn a_lost_packet_is_waited_for_then_told_as_one_gap() {
    let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
    push_all(&mut buffer, &[7, 10], now);
    assert_eq!(drain(&mut buffer, now), [Some(7)]);
    assert_eq!(buffer.deadline(WAIT), Some(now + WAIT));
    assert_eq!(drain(&mut buffer, now + WAIT / 2), []);
    assert_eq!(drain(&mut buffer, now + WAIT), [None, Some(10)]);
    assert_eq!(buffer.deadline(WAIT), None);
    assert_eq!(buffer.take_counts().lost, 2);
}

#[test]
fn a_retransmission_closes_the_gap() {
    let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
    push_all(&mut buffer, &[1, 3], now);
    let interval = Duration::from_millis(50);
    assert_eq!(buffer.missing(now, interval), [2]);
    assert!(buffer.missing(now + interval / 2, interval).is_empty());
    assert_eq!(buffer.missing(now + interval, interval), [2]);
    push_all(&mut buffer, &[2], now);
    assert_eq!(drain(&mut buffer, now), [Some(1), Some(2), Some(3)]);
    assert!(buffer.missing(now + WAIT, interval).is_empty());
}

#[test]
fn duplicates_and_late_packets_are_dropped_and_counted_apart() {
    let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
    push_all(&mut buffer, &[1, 1, 3, 3], now);
    drain(&mut buffer, now + WAIT);
    push_all(&mut buffer, &[2, 1], now + WAIT);
    assert_eq!(drain(&mut buffer, now + WAIT), []);
    let counts = buffer.take_counts();
    assert_eq!((counts.received, counts.lost), (6, 1));
    assert_eq!((counts.duplicated, counts.late), (3, 1));
    assert_eq!(buffer.take_counts(), Counts::default());
}

#[test]
fn a_full_buffer_gives_the_gap_up_early() {
    let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
    push_all(&mut buffer, &[0], now);
    drain(&mut buffer, now);
    let ahead: Vec<u16> = (2..=1026).collect();
    push_all(&mut buffer, &ahead[..HELD_MAX], now);
    assert_eq!(drain(&mut buffer, now), []);
    push_all(&mut buffer, &ahead[HELD_MAX..], now);
    assert_eq!(drain(&mut buffer, now).len(), 1 + 1025);
}

#[test]
fn a_restart_of_the_sender_is_believed_at_its_second_packet() {
    for start in [30_000_u16, 60_000] {
        let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
        push_all(&mut buffer, &[100, start], now);
        assert_eq!(drain(&mut buffer, now), [Some(100)]);
        push_all(&mut buffer, &[101, start + 100, start + 101], now);
        assert_eq!(drain(&mut buffer, now), [None, Some(start + 101)], "{start}");
        push_all(&mut buffer, &[start + 102], now);
        assert_eq!(drain(&mut buffer, now), [Some(start + 102)]);
    }
}

proptest! {
    #[test]
    fn what_leaves_is_strictly_in_order_and_nothing_is_kept_forever(
        start in any::<u16>(),
        steps in proptest::collection::vec((0_u16..40, 0_u64..80), 1..300),
    ) {
        let (mut buffer, begin) = (JitterBuffer::new(), Instant::now());
        let mut now = begin;
        let mut out = Vec::new();
        for (index, (jitter, pause)) in (0_u16..).zip(steps) {
            now += Duration::from_millis(pause);
            buffer.push(packet(start.wrapping_add(index).wrapping_sub(jitter), now), now);
            out.extend(drain(&mut buffer, now).into_iter().flatten());
        }
        out.extend(drain(&mut buffer, now + WAIT).into_iter().flatten());
        for pair in out.windows(2) {
            prop_assert!(pair[1].wrapping_sub(pair[0]).cast_signed() > 0, "{:?}", pair);
        }
        prop_assert!(buffer.slots.is_empty() && buffer.held == 0);
    }

    #[test]
    fn arbitrary_sequence_numbers_stay_within_the_bounds(
        sequences in proptest::collection::vec(any::<u16>(), 0..200),
    ) {
        let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
        for sequence in sequences {
            buffer.push(packet(sequence, now), now);
            buffer.missing(now, WAIT);
            drain(&mut buffer, now);
            prop_assert!(buffer.slots.len() <= 3_000 && buffer.held <= HELD_MAX);
        }
        let counts = buffer.take_counts();
        prop_assert!(counts.duplicated + counts.late + counts.stray <= counts.received);
    }

    #[test]
    fn shuffled_packets_within_the_wait_lose_nothing(
        start in any::<u16>(),
        order in Just((0_u16..200).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut buffer, now) = (JitterBuffer::new(), Instant::now());
        buffer.push(packet(start, now), now);
        for step in order {
            buffer.push(packet(start.wrapping_add(1).wrapping_add(step), now), now);
        }
        let out: Vec<_> = drain(&mut buffer, now);
        let all: Vec<_> = (0..=200).map(|step| Some(start.wrapping_add(step))).collect();
        prop_assert_eq!(out, all);
    }
}
