//! The jitter buffer: puts the packets of one track back in order and waits a while for lost ones.
//!
//! Knows sequence numbers only. How long to wait is the caller's; [`wait_limit`] gives the rule.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Packet;

/// More packets than this are never held back: with them the first gap is given up early.
pub const HELD_MAX: usize = 1024;
/// A sequence number further ahead than this is a restart of the sender (RFC 3550 A.1, `MAX_DROPOUT`).
const AHEAD_MAX: i32 = 3_000;
/// A sequence number further behind than this is a restart of the sender too.
const BEHIND_MAX: i32 = 1_024;
/// The most sequence numbers reported missing at once; the rest follows the next time.
const MISSING_MAX: usize = 128;

/// How long to wait for a lost packet: twice the round trip and 20 ms, within 100 to 500 ms.
#[must_use]
pub fn wait_limit(round_trip: Option<Duration>) -> Duration {
    round_trip
        .unwrap_or_default()
        .saturating_mul(2)
        .saturating_add(Duration::from_millis(20))
        .clamp(Duration::from_millis(100), Duration::from_millis(500))
}

/// What leaves the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// The next packet.
    Packet(Packet),
    /// Packets that never came stand between the last packet and the next.
    Gap {
        /// How many are known to be lost; 0 where the sender began anew.
        lost: u64,
    },
}

/// What happened since the counts were last taken, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Came in, of every kind.
    pub received: u64,
    /// Came twice.
    pub duplicated: u64,
    /// Came after they had been given up.
    pub late: u64,
    /// Were given up.
    pub lost: u64,
    /// Had a sequence number far from all others.
    pub stray: u64,
}

/// The place of one sequence number.
#[derive(Debug)]
enum Slot {
    Held(Packet),
    Missing { since: Instant, asked: Option<Instant> },
}

/// The jitter buffer of one track.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    /// The extended sequence number of the first slot; `None` before the first packet.
    next: Option<u64>,
    /// From `next` on; the last one is always held. At most [`AHEAD_MAX`] long.
    slots: VecDeque<Slot>,
    held: usize,
    /// Bit n: the packet n + 1 places before `next` was given out.
    given: u64,
    /// The sequence number that would confirm a restart of the sender.
    restart: Option<u16>,
    /// A restart was confirmed and its gap not yet told.
    restarted: bool,
    counts: Counts,
}

impl JitterBuffer {
    /// An empty buffer; the first packet, whatever its number, is the first in order.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet in. A restart of the sender is believed at its second packet in a row (RFC 3550 A.1).
    pub fn push(&mut self, packet: Packet, now: Instant) {
        self.counts.received += 1;
        let next = *self.next.get_or_insert((1 << 32) | u64::from(packet.sequence));
        let distance = distance(next, packet.sequence);
        if (-BEHIND_MAX..AHEAD_MAX).contains(&distance) {
            self.restart = None;
            match usize::try_from(distance) {
                Ok(index) => self.place(index, packet, now),
                Err(_) => self.count_behind(distance.unsigned_abs() - 1),
            }
        } else if self.restart == Some(packet.sequence) {
            self.begin_anew(packet);
        } else {
            self.restart = Some(packet.sequence.wrapping_add(1));
            self.counts.stray += 1;
        }
    }

    /// The next in order, or a gap once `wait` is over for it; `None` while there is nothing or a wait.
    pub fn pop(&mut self, now: Instant, wait: Duration) -> Option<Ordered> {
        if std::mem::take(&mut self.restarted) {
            return Some(Ordered::Gap { lost: 0 });
        }
        match self.slots.front()? {
            Slot::Held(_) => self.give().map(Ordered::Packet),
            Slot::Missing { since, .. } => {
                let over = now >= *since + wait || self.held > HELD_MAX;
                over.then(|| self.give_up())
            }
        }
    }

    /// When [`JitterBuffer::pop`] will give up the packet it waits for, if it waits.
    #[must_use]
    pub fn deadline(&self, wait: Duration) -> Option<Instant> {
        match self.slots.front()? {
            Slot::Held(_) => None,
            Slot::Missing { since, .. } => Some(*since + wait),
        }
    }

    /// The missing sequence numbers to ask for now: those not asked for within `interval`.
    pub fn missing(&mut self, now: Instant, interval: Duration) -> Vec<u16> {
        if self.held == self.slots.len() {
            return Vec::new();
        }
        let next = self.next.unwrap_or_default();
        let due = |asked: &Option<Instant>| asked.is_none_or(|at| now >= at + interval);
        let mut missing = Vec::new();
        for (sequence, slot) in (next..).zip(&mut self.slots) {
            match slot {
                Slot::Missing { asked, .. } if missing.len() < MISSING_MAX && due(asked) => {
                    *asked = Some(now);
                    missing.push(low_16(sequence));
                }
                Slot::Missing { .. } | Slot::Held(_) => {}
            }
        }
        missing
    }

    /// What happened since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    fn place(&mut self, index: usize, packet: Packet, now: Instant) {
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing { since: now, asked: None });
        }
        let slot = &mut self.slots[index];
        if matches!(slot, Slot::Held(_)) {
            self.counts.duplicated += 1;
        } else {
            *slot = Slot::Held(packet);
            self.held += 1;
        }
    }

    /// Counts a packet that stands `back` places before the last one given out.
    fn count_behind(&mut self, back: u32) {
        let known = self.given.checked_shr(back).unwrap_or(0) & 1 == 1;
        if known {
            self.counts.duplicated += 1;
        } else {
            self.counts.late += 1;
        }
    }

    /// Starts again at `packet`. What is held waits behind a gap that will not close, and goes with it.
    fn begin_anew(&mut self, packet: Packet) {
        self.counts.lost += u64::try_from(self.slots.len()).unwrap_or(0);
        self.slots.clear();
        self.next = Some((1 << 32) | u64::from(packet.sequence));
        self.given = 0;
        self.restart = None;
        self.restarted = true;
        self.slots.push_back(Slot::Held(packet));
        self.held = 1;
    }

    fn give(&mut self) -> Option<Packet> {
        let Some(Slot::Held(packet)) = self.slots.pop_front() else {
            return None;
        };
        self.held -= 1;
        self.advance(1);
        Some(packet)
    }

    /// Gives up the missing packets at the front, all of which were missed at the same moment.
    fn give_up(&mut self) -> Ordered {
        let mut lost = 0;
        while let Some(Slot::Missing { .. }) = self.slots.front() {
            self.slots.pop_front();
            self.advance(0);
            lost += 1;
        }
        self.counts.lost += lost;
        Ordered::Gap { lost }
    }

    fn advance(&mut self, given: u64) {
        self.given = self.given << 1 | given;
        self.next = self.next.map(|next| next + 1);
    }
}

/// How far `sequence` lies ahead of the extended number `next`, on the shorter way round.
fn distance(next: u64, sequence: u16) -> i32 {
    let ahead = sequence.wrapping_sub(low_16(next));
    i32::from(ahead.cast_signed())
}

fn low_16(sequence: u64) -> u16 {
    let [.., high, low] = sequence.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
