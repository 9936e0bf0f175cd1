//! The media of one session: packets and sender reports in, access units on one clock out.
//!
//! Joins jitter buffer, depacketiser and clock of each track. Reads no clock and knows no
//! connection; whoever owns both drives it.

use std::time::{Duration, Instant};

use schema::{AccessUnit, Codec, MediaTime, TrackKind, UnixMicros, Zero};

use crate::clock::{BroadcastClock, Ignored, Report};
use crate::rtp::order::{JitterBuffer, Ordered};
use crate::rtp::{self, Depacketise, Packet, Unit, opus, order};

/// All tracks of a session.
#[derive(Debug)]
pub struct Media {
    tracks: Vec<Track>,
    /// `None` before the first packet.
    clock: Option<BroadcastClock>,
}

/// One negotiated track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSetup {
    /// How it is coded.
    pub codec: Codec,
    /// Ticks of its RTP timestamp in one second.
    pub clock_rate: u32,
}

/// What happened to one track since the counts were last taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In the jitter buffer, in packets.
    pub order: order::Counts,
    /// In the depacketiser of a video track.
    pub video: rtp::Counts,
    /// Audio packets refused as malformed or too long.
    pub malformed: u64,
}

#[derive(Debug)]
struct Track {
    setup: TrackSetup,
    order: JitterBuffer,
    depacketiser: Depacketiser,
    malformed: u64,
}

#[derive(Debug)]
enum Depacketiser {
    Video(Box<dyn Depacketise>),
    Opus,
    /// Nothing that WebRTC can carry.
    None,
}

impl Media {
    /// For these tracks, named by their place from here on.
    #[must_use]
    pub fn new(tracks: &[TrackSetup]) -> Self {
        Self { tracks: tracks.iter().copied().map(Track::new).collect(), clock: None }
    }

    /// The codecs of all tracks.
    #[must_use]
    pub fn codecs(&self) -> Vec<Codec> {
        self.tracks.iter().map(|track| track.setup.codec).collect()
    }

    /// Takes a packet in; `wall` is the wall clock at its arrival, which the first packet makes the
    /// reading of media time zero. Packets of unknown tracks are ignored.
    pub fn packet(&mut self, track: usize, packet: Packet, now: Instant, wall: UnixMicros) {
        let Some(at) = self.tracks.get_mut(track) else {
            return;
        };
        let arrival = packet.arrival;
        at.order.push(packet, now);
        if self.clock.is_none() {
            let kinds: Vec<_> = self.tracks.iter().map(Track::clock_setup).collect();
            self.clock = Some(BroadcastClock::new(Zero { instant: arrival, wall }, &kinds));
        }
    }

    /// Takes a sender report in, or says why it was ignored.
    pub fn sender_report(&mut self, report: Report) -> Result<(), Ignored> {
        let clock = self.clock.as_mut().ok_or(Ignored::Early)?;
        clock.sender_report(report)
    }

    /// Appends every access unit that is whole by now, in order within each track; `wait` is the
    /// patience with lost packets.
    pub fn drain(&mut self, now: Instant, wait: Duration, units: &mut Vec<AccessUnit>) {
        let Some(clock) = &mut self.clock else {
            return;
        };
        let mut whole = Vec::new();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            while let Some(ordered) = track.order.pop(now, wait) {
                track.depacketise(ordered, &mut whole);
            }
            let codec = track.setup.codec;
            let stamped = whole.drain(..).filter_map(|unit| {
                let time = clock.stamp(index, unit.timestamp, unit.arrival)?;
                Some(access_unit(codec, time, unit))
            });
            units.extend(stamped);
        }
    }

    /// When [`Media::drain`] must be called next even if no packet comes.
    #[must_use]
    pub fn deadline(&self, wait: Duration) -> Option<Instant> {
        let deadlines = self.tracks.iter().map(|track| track.order.deadline(wait));
        deadlines.flatten().min()
    }

    /// The packets of `track` to ask for again now.
    pub fn missing(&mut self, track: usize, now: Instant, interval: Duration) -> Vec<u16> {
        let track = self.tracks.get_mut(track);
        track.map_or_else(Vec::new, |track| track.order.missing(now, interval))
    }

    /// Whether nothing of the video can be decoded before its next keyframe.
    #[must_use]
    pub fn wants_keyframe(&self) -> bool {
        self.tracks.iter().any(|track| match &track.depacketiser {
            Depacketiser::Video(depacketiser) => depacketiser.wants_keyframe(),
            Depacketiser::Opus | Depacketiser::None => false,
        })
    }

    /// When media time zero was captured; `None` before the first packet.
    #[must_use]
    pub fn zero(&self) -> Option<Zero> {
        self.clock.as_ref().map(BroadcastClock::zero)
    }

    /// The correction between video and audio that is still to be made, where it is known.
    #[must_use]
    pub fn skew(&self) -> Option<MediaTime> {
        self.clock.as_ref().and_then(BroadcastClock::skew)
    }

    /// What happened to each track since the last call.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (TrackKind, Counts)> + '_ {
        let count = |track: &mut Track| (track.setup.codec.kind(), track.take_counts());
        self.tracks.iter_mut().map(count)
    }
}

impl Track {
    fn new(setup: TrackSetup) -> Self {
        let depacketiser = match (rtp::depacketiser(setup.codec), setup.codec) {
            (Some(video), _) => Depacketiser::Video(video),
            (None, Codec::Opus) => Depacketiser::Opus,
            (None, _) => Depacketiser::None,
        };
        Self { setup, order: JitterBuffer::new(), depacketiser, malformed: 0 }
    }

    fn clock_setup(&self) -> (TrackKind, u32) {
        (self.setup.codec.kind(), self.setup.clock_rate)
    }

    fn depacketise(&mut self, ordered: Ordered, units: &mut Vec<Unit>) {
        match (&mut self.depacketiser, ordered) {
            (Depacketiser::Video(video), Ordered::Packet(packet)) => video.push(&packet, units),
            (Depacketiser::Video(video), Ordered::Gap { .. }) => video.gap(),
            (Depacketiser::Opus, Ordered::Packet(packet)) => match opus::unit(&packet) {
                Ok(unit) => units.push(unit),
                Err(opus::OpusError::Empty) => {}
                Err(opus::OpusError::TooLong | opus::OpusError::Malformed) => self.malformed += 1,
            },
            (Depacketiser::Opus, Ordered::Gap { .. }) | (Depacketiser::None, _) => {}
        }
    }

    fn take_counts(&mut self) -> Counts {
        let video = match &mut self.depacketiser {
            Depacketiser::Video(depacketiser) => depacketiser.take_counts(),
            Depacketiser::Opus | Depacketiser::None => rtp::Counts::default(),
        };
        Counts { order: self.order.take_counts(), video, malformed: std::mem::take(&mut self.malformed) }
    }
}

fn access_unit(codec: Codec, time: MediaTime, unit: Unit) -> AccessUnit {
    AccessUnit { codec, pts: time, dts: time, duration: None, random_access: unit.random_access, data: unit.data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetise::{PPS, Packetiser, SPS, idr, p_slice};
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_millis(60);
    const WALL: UnixMicros = UnixMicros(5);
    const SETUPS: [TrackSetup; 2] =
        [TrackSetup { codec: Codec::H264, clock_rate: 90_000 }, TrackSetup { codec: Codec::Opus, clock_rate: 48_000 }];

    #[test]
    fn tracks_come_out_on_one_clock_and_video_from_its_first_idr() {
        let mut media = Media::new(&SETUPS);
        let mut video = Packetiser::new(1);
        let mut audio = Packetiser::new(2);
        audio.now = video.now;
        let start = video.now;
        media.packet(0, video.picture(1_000, &[&p_slice(9)]).remove(0), start, WALL);
        let now = start + Duration::from_millis(20);
        (video.now, audio.now) = (now, now);
        for packet in video.picture(2_800, &[SPS, PPS, &idr(300)]) {
            media.packet(0, packet, now, UnixMicros(9));
        }
        media.packet(1, audio.packet(77, false, &[0xfc, 1]), now, UnixMicros(9));
        let mut units = Vec::new();
        media.drain(now, WAIT, &mut units);
        let seen: Vec<_> = units.iter().map(|unit| (unit.codec, unit.pts)).collect();
        let at = MediaTime::from_millis(20);
        assert_eq!(seen, [(Codec::H264, at), (Codec::Opus, at)]);
        assert_eq!(media.zero(), Some(Zero { instant: start, wall: WALL }));
        let (_, counts) = media.take_counts().next().unwrap();
        assert_eq!((counts.order.received, counts.video.withheld), (4 + 3, 1));
    }

    #[test]
    fn every_video_codec_has_a_depacketiser_and_survives_both_wraps() {
        let key: [(Codec, &[u8]); 3] = [
            (Codec::Vp8, &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xb4, 0]),
            (Codec::Vp9, &[0x0c, 0x82, 0x49, 0x83, 0x42]),
            (Codec::Av1, &[0x28, 3, 0x08, 0x00, 0x00, 0x30, 0x10]),
        ];
        for (codec, payload) in key {
            let mut media = Media::new(&[TrackSetup { codec, clock_rate: 90_000 }]);
            let mut sender = Packetiser::new(u16::MAX - 1);
            let start = sender.now;
            let mut units = Vec::new();
            for index in 0..4_u32 {
                sender.now = start + Duration::from_millis(100) * index;
                let timestamp = 0_u32.wrapping_sub(18_000).wrapping_add(9_000 * index);
                media.packet(0, sender.packet(timestamp, true, payload), sender.now, WALL);
                media.drain(sender.now, WAIT, &mut units);
            }
            let times: Vec<_> = units.iter().map(|unit| (unit.codec, unit.random_access, unit.pts)).collect();
            let expected = [0, 100, 200, 300].map(|millis| (codec, true, MediaTime::from_millis(millis)));
            assert_eq!(times, expected);
            assert!(!media.wants_keyframe());
        }
    }

    #[test]
    fn a_lost_packet_of_any_video_codec_wants_a_keyframe_and_is_counted() {
        for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
            let mut media = Media::new(&[TrackSetup { codec, clock_rate: 90_000 }]);
            let mut sender = Packetiser::new(7);
            for sequence in [7, 9] {
                sender.sequence = sequence;
                media.packet(0, sender.packet(1, true, &[0xff, 0xff]), sender.now, WALL);
            }
            let mut units = Vec::new();
            media.drain(sender.now + WAIT, WAIT, &mut units);
            assert!(units.is_empty() && media.wants_keyframe(), "{codec:?}");
            let (_, counts) = media.take_counts().next().unwrap();
            assert_eq!((counts.order.lost, counts.video.corrupt), (1, 2), "{codec:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_packets_never_panic_and_times_never_go_back(
            packets in proptest::collection::vec(
                (0_usize..3, any::<u16>(), any::<u32>(), any::<bool>(),
                 proptest::collection::vec(any::<u8>(), 0..20), 0_u64..200), 0..100),
        ) {
            let mut media = Media::new(&SETUPS);
            let mut now = Instant::now();
            let mut units = Vec::new();
            for (track, sequence, timestamp, marker, payload, pause) in packets {
                now += Duration::from_millis(pause);
                let sequence = sequence % 64;
                let payload = payload.into();
                let packet = Packet { sequence, timestamp, marker, payload, arrival: now };
                media.packet(track, packet, now, WALL);
                media.drain(now, WAIT, &mut units);
            }
            for codec in [Codec::H264, Codec::Opus] {
                let times: Vec<_> = units.iter().filter(|unit| unit.codec == codec).map(|unit| unit.dts).collect();
                prop_assert!(times.is_sorted());
            }
        }
    }
}
