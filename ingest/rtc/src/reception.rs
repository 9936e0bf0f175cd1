//! How well a track's packets come: pure arithmetic over sequence numbers and arrivals.

use std::time::{Duration, Instant};

/// A sequence number further ahead than this is a restart of the sender (RFC 3550 A.1, `MAX_DROPOUT`).
const DROPOUT_MAX: u64 = 3_000;
/// So many places behind the newest packet it is still known whether one came.
const WINDOW: u64 = 1_024;
const WORDS: usize = 16;

/// What came of one track since the connection began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrackFigures {
    /// Packets that came, each counted once, those that came again included.
    pub packets: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// Packets that came after a later one: mostly retransmissions that were asked for.
    pub recovered: u64,
    /// Packets that did not come, or not yet.
    pub lost: u64,
    /// Packets that came more than once, and probes of the bandwidth.
    pub duplicated: u64,
    /// How unevenly they come (RFC 3550 6.4.1).
    pub jitter: Duration,
}

/// The reception of one track.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    figures: TrackFigures,
    /// The newest extended sequence number; `None` before the first packet.
    newest: Option<u64>,
    /// Bit n of the ring: the packet with the number n modulo [`WINDOW`] came.
    came: [u64; WORDS],
    /// The number that would confirm a restart of the sender.
    restart: Option<u16>,
    pace: Option<Pace>,
}

/// The newest packet's times, and the jitter so far.
#[derive(Debug)]
struct Pace {
    arrival: Instant,
    timestamp: u32,
    /// In ticks, times 16 (RFC 3550 A.8).
    jitter_16: u64,
}

/// One packet as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) bytes: usize,
    pub(crate) arrival: Instant,
    /// Ticks of the timestamp in one second.
    pub(crate) clock_rate: u32,
}

impl Reception {
    /// The figures so far.
    pub(crate) fn figures(&self) -> TrackFigures {
        self.figures
    }

    /// Takes note of a packet.
    pub(crate) fn take(&mut self, packet: Came) {
        let Some(newest) = self.newest else {
            return self.begin(packet);
        };
        let ahead = u64::from(packet.sequence.wrapping_sub(low_16(newest)));
        let behind = (1 << 16) - ahead;
        if ahead == 0 {
            self.figures.duplicated += 1;
        } else if ahead < DROPOUT_MAX {
            self.advance(newest, ahead);
            self.count(packet);
            self.time(packet);
        } else if behind < WINDOW && behind <= newest {
            self.late(newest - behind, packet);
        } else if self.restart == Some(packet.sequence) {
            self.begin(packet);
        } else {
            self.restart = Some(packet.sequence.wrapping_add(1));
        }
    }

    /// The first packet, of all or after a restart.
    fn begin(&mut self, packet: Came) {
        // One round ahead, so that late packets have numbers too.
        let number = (1 << 16) + u64::from(packet.sequence);
        self.came = [u64::MAX; WORDS];
        self.newest = Some(number);
        self.restart = None;
        self.pace = None;
        self.count(packet);
        self.time(packet);
    }

    fn advance(&mut self, newest: u64, ahead: u64) {
        for number in newest + 1..newest + ahead {
            self.set(number, false);
        }
        self.set(newest + ahead, true);
        self.figures.lost += ahead - 1;
        self.newest = Some(newest + ahead);
    }

    fn late(&mut self, number: u64, packet: Came) {
        if self.has(number) {
            self.figures.duplicated += 1;
            return;
        }
        self.set(number, true);
        self.figures.recovered += 1;
        self.figures.lost = self.figures.lost.saturating_sub(1);
        self.count(packet);
    }

    fn count(&mut self, packet: Came) {
        self.figures.packets += 1;
        self.figures.bytes += u64::try_from(packet.bytes).unwrap_or(u64::MAX);
    }

    /// RFC 3550 A.8; late packets would say more of their retransmission than of the network.
    fn time(&mut self, packet: Came) {
        let jitter_16 = self.pace.as_ref().map_or(0, |pace| pace.next(packet));
        let nanos = u128::from(jitter_16 / 16) * 1_000_000_000 / u128::from(packet.clock_rate.max(1));
        self.figures.jitter = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.pace = Some(Pace { arrival: packet.arrival, timestamp: packet.timestamp, jitter_16 });
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.came[word] & bit != 0
    }

    fn set(&mut self, number: u64, came: bool) {
        let (word, bit) = place(number);
        if came {
            self.came[word] |= bit;
        } else {
            self.came[word] &= !bit;
        }
    }
}

impl Pace {
    fn next(&self, packet: Came) -> u64 {
        let apart = packet.arrival.saturating_duration_since(self.arrival);
        let apart = apart.as_nanos() * u128::from(packet.clock_rate) / 1_000_000_000;
        let meant = u128::from(packet.timestamp.wrapping_sub(self.timestamp));
        // A timestamp that goes back, or leaps by minutes, is no matter of the network.
        let difference = apart.abs_diff(meant).min(u128::from(packet.clock_rate));
        let difference = u64::try_from(difference).unwrap_or_default();
        (self.jitter_16 + difference).saturating_sub((self.jitter_16 + 8) >> 4)
    }
}

fn place(number: u64) -> (usize, u64) {
    let index = number % WINDOW;
    (usize::try_from(index / 64).unwrap_or_default(), 1 << (index % 64))
}

fn low_16(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn took(sequences: &[u16]) -> TrackFigures {
        let mut reception = Reception::default();
        let arrival = Instant::now();
        for &sequence in sequences {
            reception.take(Came { sequence, timestamp: 0, bytes: 10, arrival, clock_rate: 90_000 });
        }
        reception.figures()
    }

    #[test]
    fn a_gap_is_lost_until_it_is_filled_and_then_recovered() {
        let figures = took(&[65_534, 65_535, 2, 3]);
        assert_eq!((figures.packets, figures.bytes, figures.lost, figures.recovered), (4, 40, 2, 0));
        let figures = took(&[65_534, 65_535, 2, 3, 1, 1, 0]);
        assert_eq!((figures.packets, figures.lost, figures.recovered, figures.duplicated), (6, 0, 2, 1));
    }

    #[test]
    fn what_came_before_the_first_packet_is_neither_lost_nor_recovered() {
        let figures = took(&[100, 99, 98, 101]);
        assert_eq!((figures.packets, figures.lost, figures.recovered), (2, 0, 0));
    }

    #[test]
    fn one_stray_number_changes_nothing_and_two_in_a_row_are_a_restart() {
        assert_eq!(took(&[1, 2, 40_000, 3]).lost, 0);
        let figures = took(&[1, 2, 40_000, 40_001, 40_003]);
        assert_eq!((figures.packets, figures.lost), (4, 1));
    }

    #[test]
    fn even_arrivals_have_no_jitter_and_uneven_ones_do() {
        let start = Instant::now();
        let jitter = |late_ms: u64| {
            let mut reception = Reception::default();
            for index in 0..200_u16 {
                let late = if index % 2 == 0 { 0 } else { late_ms };
                let arrival = start + Duration::from_millis(20 * u64::from(index) + late);
                let timestamp = 960 * u32::from(index);
                reception.take(Came { sequence: index, timestamp, bytes: 1, arrival, clock_rate: 48_000 });
            }
            reception.figures().jitter
        };
        assert_eq!(jitter(0), Duration::ZERO);
        assert!(jitter(8).abs_diff(Duration::from_millis(8)) < Duration::from_millis(1));
    }

    proptest! {
        #[test]
        fn each_packet_is_counted_once_whatever_the_order(
            start in any::<u16>(),
            order in Just((0..300_u16).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut all = vec![start.wrapping_sub(1)];
            all.extend(order.iter().map(|n| start.wrapping_add(*n)));
            let figures = took(&all);
            prop_assert_eq!((figures.packets, figures.lost, figures.duplicated), (301, 0, 0));
        }

        #[test]
        fn no_sequence_panics(sequences in proptest::collection::vec(any::<u16>(), 0..300)) {
            let figures = took(&sequences);
            prop_assert!(figures.packets <= 300);
        }
    }
}
