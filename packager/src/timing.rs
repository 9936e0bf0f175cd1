//! All times of a live window, derived once from the latency profile and the output frame rate.
//!
//! Nothing here ever changes in a playlist's life: players give a stream up whose targets move.
//! Knows no units and no playlists.

use std::ops::Range;

use schema::ladder::{FrameRate, LatencyProfile};
use schema::{Codec, MediaTime, TrackKind};
use serde::{Deserialize, Serialize};

/// A unit that ends this close before an instant reaches it: half the smallest clock tick that
/// anybody rounds to, and far below any frame.
pub const TOLERANCE: MediaTime = MediaTime(MediaTime::PER_SECOND / 10_000);
/// Samples in one AAC frame.
pub const AUDIO_FRAME_SAMPLES: i64 = 1_024;
/// The sample rate of the audio rendition, in Hz.
pub const AUDIO_RATE: u32 = 48_000;
/// A live list holds at least this many segments (authoring rules, 8.11).
const LISTED_SEGMENTS_MIN: i64 = 6;
/// A live list holds at least this much media, in seconds.
const LISTED_SECONDS_MIN: i64 = 30;
/// The first segment of a broadcast has so many parts, if its profile has parts: as many as `PART-HOLD-BACK`. Players show
/// nothing before a whole segment is listed, and with fewer they would begin closer to live than they can stay.
const FIRST_SEGMENT_PARTS: i64 = 3;
/// A low-latency list holds no more segments than this.
pub const LISTED_SEGMENTS_MAX: i64 = 300;
/// The skip boundary of delta updates, in target durations (rfc8216bis 4.4.3.8).
const SKIP_TARGET_DURATIONS: i64 = 6;
/// Where a profile has no parts, a segment is still written in chunks of about this length.
const CHUNK_WITHOUT_PARTS: MediaTime = MediaTime::SECOND;

/// Which kinds of track a broadcast has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracks {
    /// Pictures.
    pub video: bool,
    /// Sound.
    pub audio: bool,
}

impl Tracks {
    /// The kinds of track of these codecs.
    #[must_use]
    pub fn of(codecs: &[Codec]) -> Self {
        let has = |kind| codecs.iter().any(|codec| codec.kind() == kind);
        Self { video: has(TrackKind::Video), audio: has(TrackKind::Audio) }
    }
}

/// The times of a live window. The same for all renditions of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The frame rate of the grid on which everything is cut.
    pub frame_rate: FrameRate,
    /// The length of a segment; IDRs lie at the first picture at or after its multiples.
    pub segment: MediaTime,
    /// Pictures in a part; the last part of a segment may have fewer.
    pub part_frames: i64,
    /// `PART-TARGET`, whole milliseconds; `None` where the profile has no parts.
    pub part_target: Option<MediaTime>,
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_duration_s: u32,
    /// `PART-HOLD-BACK`: three times `part_target` (authoring rules, 14.3).
    pub part_hold_back: Option<MediaTime>,
    /// `HOLD-BACK`: three target durations (rfc8216bis 4.4.3.8).
    pub hold_back: MediaTime,
    /// How many complete segments the live list holds.
    pub listed_segments: usize,
    /// `CAN-SKIP-UNTIL`: six target durations (rfc8216bis 4.4.3.8), where a delta update then skips half of the
    /// list or more; `None` where it would not be worth it, and where the profile has no parts.
    pub skip_until: Option<MediaTime>,
}

/// Where a time lies on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The segment's number, counted from time zero.
    pub segment: i64,
    /// The part's number within the segment's grid.
    pub part: i64,
    /// The next instant at which a part, and perhaps a segment, is cut.
    pub next: MediaTime,
    /// True if a segment begins at `next`.
    pub next_is_segment: bool,
}

impl Timing {
    /// The times of a broadcast of this profile. An audio-only broadcast takes any frame rate as its grid.
    #[must_use]
    pub fn new(profile: LatencyProfile, frame_rate: FrameRate, tracks: Tracks) -> Self {
        let segment = profile.segment();
        let wish = profile.part().unwrap_or(CHUNK_WITHOUT_PARTS);
        let part_frames = part_frames(wish, segment, frame_rate);
        let part_target = profile.part().map(|_| part_target(frame_rate.time_of(part_frames), tracks));
        let seconds = segment.0 / MediaTime::PER_SECOND;
        let listed = (LISTED_SECONDS_MIN + seconds - 1) / seconds;
        let listed = listed.clamp(LISTED_SEGMENTS_MIN, LISTED_SEGMENTS_MAX);
        let skip_until = MediaTime(segment.0 * SKIP_TARGET_DURATIONS);
        let is_worth_it = part_target.is_some() && skip_until.0 * 2 <= listed * segment.0;
        Self {
            frame_rate,
            segment,
            part_frames,
            part_target,
            target_duration_s: u32::try_from(seconds).unwrap_or(1),
            part_hold_back: part_target.map(|target| MediaTime(target.0 * 3)),
            hold_back: MediaTime(segment.0 * 3),
            listed_segments: usize::try_from(listed).unwrap_or(6),
            skip_until: is_worth_it.then_some(skip_until),
        }
    }

    /// Where `time` lies on the grid. Audio that begins between two instants belongs to the earlier one.
    #[must_use]
    pub fn position(&self, time: MediaTime) -> Position {
        let segment = self.segment_at(time);
        self.within(segment, &self.slots_of(segment), time)
    }

    /// Where `time` lies in a segment of these slots, its parts counted from the first of them.
    #[must_use]
    pub fn within(&self, segment: i64, slots: &Range<i64>, time: MediaTime) -> Position {
        let part = (self.slot_at(time) - slots.start).max(0) / self.part_frames;
        let next = (slots.start + (part + 1) * self.part_frames).min(slots.end);
        Position { segment, part, next: self.frame_rate.time_of(next), next_is_segment: next == slots.end }
    }

    /// The slot of the output's frame rate in which `time` lies, within the tolerance.
    #[must_use]
    pub fn slot_at(&self, time: MediaTime) -> i64 {
        self.frame_at(time + TOLERANCE)
    }

    /// The number of the grid's segment in which `time` lies, counted from time zero.
    #[must_use]
    pub fn segment_at(&self, time: MediaTime) -> i64 {
        let segment = (time + TOLERANCE).0.div_euclid(self.segment.0);
        if self.first_frame(segment) > self.slot_at(time) { segment - 1 } else { segment }
    }

    /// The slots of that segment of the grid.
    #[must_use]
    pub fn slots_of(&self, segment: i64) -> Range<i64> {
        self.first_frame(segment)..self.first_frame(segment + 1)
    }

    /// How many slots a segment has at most.
    #[must_use]
    pub fn segment_slots(&self) -> i64 {
        self.first_frame(1)
    }

    /// How many slots a segment has that a source leads whose groups of pictures have `gop` slots: as many whole groups as
    /// fit.
    #[must_use]
    pub fn led_slots(&self, gop: i64) -> i64 {
        let (longest, gop) = (self.segment_slots(), gop.max(1));
        (longest / gop).max(1) * gop
    }

    /// Where an output begins whose first picture comes at `time`: at the picture nearest to it where a
    /// part begins there, else with the next part, so that no part is a splinter.
    #[must_use]
    pub fn beginning(&self, time: MediaTime) -> MediaTime {
        let frame = self.frame_at(time + MediaTime(self.frame_rate.frame().0 / 2)).max(0);
        let nearest = self.frame_rate.time_of(frame);
        let at = self.position(nearest);
        let within_part = (frame - self.first_frame(at.segment)) % self.part_frames;
        if within_part == 0 { nearest } else { at.next }
    }

    /// How much later media whose first come at `time` are put on the grid, so that the segment in which they begin is a short
    /// one: the grid itself is the same for all broadcasts. Nothing where there are no parts.
    #[must_use]
    pub fn put_off(&self, time: MediaTime) -> MediaTime {
        if self.part_target.is_none() {
            return MediaTime::ZERO;
        }
        let segment = self.segment_at(time.max(MediaTime::ZERO));
        let begin = |segment: i64| {
            let slots = self.slots_of(segment);
            let parts = (slots.end - slots.start) / self.part_frames - FIRST_SEGMENT_PARTS;
            self.frame_rate.time_of(slots.start + parts.max(0) * self.part_frames)
        };
        let at = if begin(segment) >= time { begin(segment) } else { begin(segment + 1) };
        at - time
    }

    /// The first picture at or after the beginning of that segment.
    fn first_frame(&self, segment: i64) -> i64 {
        let (product, per_frame) = self.in_frames(i128::from(segment) * i128::from(self.segment.0));
        narrow((product + per_frame - 1).div_euclid(per_frame))
    }

    /// The last picture at or before `time`.
    fn frame_at(&self, time: MediaTime) -> i64 {
        let (product, per_frame) = self.in_frames(i128::from(time.0));
        narrow(product.div_euclid(per_frame))
    }

    /// `time` in frames, as numerator and denominator.
    fn in_frames(&self, time: i128) -> (i128, i128) {
        let rate = self.frame_rate;
        let unit = i128::from(MediaTime::PER_SECOND) * i128::from(rate.denominator.max(1));
        (time * i128::from(rate.numerator.max(1)), unit)
    }
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Pictures in a part: the count nearest to the wish that divides the segment, or at least leaves
/// no splinter (under half a part) at its end.
fn part_frames(wish: MediaTime, segment: MediaTime, rate: FrameRate) -> i64 {
    let frame = rate.frame().0.max(1);
    let nearest = ((wish.0 + frame / 2) / frame).max(1);
    let in_segment = ((segment.0 + frame - 1) / frame).max(1);
    let fits = |count: i64| {
        let rest = in_segment % count;
        rest == 0 || rest * 2 >= count
    };
    (0..=nearest / 4)
        .flat_map(|step| [nearest + step, nearest - step])
        .find(|&count| count >= 1 && fits(count))
        .unwrap_or(nearest)
}

/// The larger of the video part and the audio frames that cover it, rounded up to the millisecond.
fn part_target(video: MediaTime, tracks: Tracks) -> MediaTime {
    let frame = MediaTime::from_ticks(AUDIO_FRAME_SAMPLES, AUDIO_RATE).0;
    let cover = (video.0 + frame - 1) / frame * frame;
    let longest = if tracks.audio { cover } else { video.0 };
    let milli = MediaTime::from_millis(1).0;
    MediaTime((longest + milli - 1) / milli * milli)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: Tracks = Tracks { video: true, audio: true };

    fn usual_rates() -> Vec<FrameRate> {
        crate::frame_rate::USUAL.to_vec()
    }

    fn profiles() -> [LatencyProfile; 4] {
        use LatencyProfile::{Classic, Low, Relaxed, Ultra};
        [Ultra, Low, Relaxed, Classic]
    }

    #[test]
    fn at_30_fps_the_part_targets_are_those_of_the_design() {
        let target = |profile| Timing::new(profile, FrameRate::THIRTY, BOTH).part_target;
        assert_eq!(target(LatencyProfile::Ultra), Some(MediaTime::from_millis(214)));
        assert_eq!(target(LatencyProfile::Low), Some(MediaTime::from_millis(342)));
        assert_eq!(target(LatencyProfile::Relaxed), Some(MediaTime::from_millis(1003)));
        assert_eq!(target(LatencyProfile::Classic), None);
    }

    #[test]
    fn hold_backs_are_three_times_their_targets_and_the_list_is_long_enough() {
        for profile in profiles() {
            for rate in usual_rates() {
                let timing = Timing::new(profile, rate, BOTH);
                assert_eq!(timing.part_hold_back.map(|time| time.0), timing.part_target.map(|time| time.0 * 3));
                assert_eq!(timing.hold_back.0, i64::from(timing.target_duration_s) * 3 * MediaTime::PER_SECOND);
                assert!((6..=300).contains(&timing.listed_segments));
                let listed = i64::try_from(timing.listed_segments).unwrap() * timing.segment.0;
                assert!(listed >= 30 * MediaTime::PER_SECOND);
            }
        }
    }

    #[test]
    fn delta_updates_are_offered_where_they_halve_the_list() {
        let boundary = |profile| Timing::new(profile, FrameRate::THIRTY, BOTH).skip_until.map(MediaTime::to_millis);
        assert_eq!(profiles().map(boundary), [Some(6_000), Some(12_000), None, None]);
    }

    #[test]
    fn an_output_begins_with_a_whole_part() {
        let timing = Timing::new(LatencyProfile::Low, FrameRate::THIRTY, BOTH);
        let beginning = |millis| timing.beginning(MediaTime::from_millis(millis)).to_millis();
        assert_eq!(beginning(0), 0);
        assert_eq!(beginning(-40), 0);
        assert_eq!(beginning(15), 0, "the nearest picture");
        assert_eq!(beginning(105), 333);
        assert_eq!(beginning(330), 333);
        assert_eq!(beginning(1_800), 2_000);
        assert_eq!(beginning(1_950), 2_000);
    }

    #[test]
    fn a_broadcast_begins_with_a_segment_of_three_parts_wherever_its_media_begin() {
        for rate in usual_rates() {
            for profile in [LatencyProfile::Ultra, LatencyProfile::Low, LatencyProfile::Relaxed] {
                let timing = Timing::new(profile, rate, BOTH);
                for begins in [0, 7, 700, 1_999, 2_000, 59_990].map(MediaTime::from_millis) {
                    let put_off = timing.put_off(begins);
                    let first = begins + put_off;
                    assert_eq!(timing.beginning(first), first, "on a part");
                    let slots = timing.slots_of(timing.segment_at(first)).end - timing.slot_at(first);
                    let parts = 3 * timing.part_frames..4 * timing.part_frames;
                    assert!(parts.contains(&slots), "{profile:?} at {rate:?}: {slots} slots");
                    assert!((0..timing.segment.0 * 2).contains(&put_off.0));
                }
            }
            let classic = Timing::new(LatencyProfile::Classic, rate, BOTH);
            assert_eq!(classic.put_off(MediaTime::from_millis(700)), MediaTime::ZERO, "players wait for more than one");
        }
    }

    /// The lengths of all parts that are not the last of their segment, and of all segments, when
    /// frames of `frame` length are cut at the first boundary at or after each instant.
    fn cut(timing: &Timing, frame: impl Fn(i64) -> MediaTime) -> (Vec<MediaTime>, Vec<MediaTime>) {
        let (mut inner, mut segments) = (Vec::new(), Vec::new());
        let mut part_start = frame(0);
        let mut segment_start = None;
        let mut at = timing.position(part_start);
        for index in 1..20_000 {
            let boundary = frame(index);
            if boundary + TOLERANCE < at.next {
                continue;
            }
            if at.next_is_segment {
                if let Some(start) = segment_start {
                    segments.push(boundary - start);
                }
                segment_start = Some(boundary);
            } else if segment_start.is_some() {
                inner.push(boundary - part_start);
            }
            part_start = boundary;
            at = timing.position(boundary);
        }
        (inner, segments)
    }

    proptest! {
        #[test]
        fn whole_frames_always_fill_85_to_100_percent_of_the_part_target(
            profile in prop::sample::select(profiles().to_vec()),
            rate in prop::sample::select(usual_rates()),
            offset in 0_i64..1024,
        ) {
            let timing = Timing::new(profile, rate, BOTH);
            let video = cut(&timing, |index| rate.time_of(index));
            let audio = cut(&timing, |index| MediaTime::from_ticks(index * 1024 + offset, 48_000));
            for (inner, segments) in [video, audio] {
                prop_assert!(!segments.is_empty());
                if let Some(target) = timing.part_target {
                    for part in inner {
                        prop_assert!(part <= target, "{part:?} over {target:?}");
                        prop_assert!(part.0 * 100 >= target.0 * 85, "{part:?} under 85% of {target:?}");
                    }
                }
                for segment in segments {
                    prop_assert!(segment.as_seconds().round() <= f64::from(timing.target_duration_s));
                }
            }
        }

        #[test]
        fn the_next_instant_is_after_the_time_and_its_position_begins_there(
            profile in prop::sample::select(profiles().to_vec()),
            rate in prop::sample::select(usual_rates()),
            millis in 0_i64..1_000_000_000,
        ) {
            let timing = Timing::new(profile, rate, BOTH);
            let time = MediaTime::from_millis(millis);
            let at = timing.position(time);
            prop_assert!(at.next > time);
            let then = timing.position(at.next);
            if at.next_is_segment {
                prop_assert_eq!((then.segment, then.part), (at.segment + 1, 0));
            } else {
                prop_assert_eq!((then.segment, then.part), (at.segment, at.part + 1));
            }
        }
    }
}
