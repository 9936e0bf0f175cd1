use super::*;
use proptest::prelude::*;
use schema::UnixMicros;

const VIDEO: usize = 0;
const AUDIO: usize = 1;
const RATES: [u32; 2] = [90_000, 48_000];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn media_ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// A publisher whose tracks start at random RTP times, and the clock that listens to it.
struct Publisher {
    clock: BroadcastClock,
    begin: Instant,
    starts: [u32; 2],
    /// How much longer the packets of each track travel.
    delays: [Duration; 2],
    ntp_begin: u64,
}

impl Publisher {
    fn new(starts: [u32; 2], delays: [Duration; 2]) -> Self {
        let begin = Instant::now();
        let zero = Zero { instant: begin, wall: UnixMicros(1_000_000) };
        let tracks = [(TrackKind::Video, RATES[0]), (TrackKind::Audio, RATES[1])];
        Self { clock: BroadcastClock::new(zero, &tracks), begin, starts, delays, ntp_begin: 0xEA00_0000_8000_0000 }
    }

    fn rtp(&self, track: usize, at: Duration) -> u32 {
        let ticks = at.as_micros() * u128::from(RATES[track]) / 1_000_000;
        self.starts[track].wrapping_add(u32::try_from(ticks & 0xffff_ffff).unwrap())
    }

    /// The media time of what was captured `at`.
    fn stamp(&mut self, track: usize, at: Duration) -> MediaTime {
        let arrival = self.begin + at + self.delays[track];
        let rtp = self.rtp(track, at);
        self.clock.stamp(track, rtp, arrival).unwrap()
    }

    fn report(&self, track: usize, at: Duration) -> Report {
        let ntp = (at.as_nanos() << 32) / 1_000_000_000;
        Report {
            track,
            ntp: self.ntp_begin.wrapping_add(u64::try_from(ntp).unwrap()),
            rtp: self.rtp(track, at),
            arrival: self.begin + at + ms(20),
        }
    }

    fn send_report(&mut self, track: usize, at: Duration) -> Result<(), Ignored> {
        self.clock.sender_report(self.report(track, at))
    }
}

/// What a run of 20 ms units gives: for every step the times of video and audio of the same moment.
fn run(publisher: &mut Publisher, steps: std::ops::Range<u64>, reports: bool) -> Vec<[MediaTime; 2]> {
    let step = |index: u64| {
        let at = ms(20 * index);
        let times = [publisher.stamp(VIDEO, at), publisher.stamp(AUDIO, at)];
        if reports && index % 50 == 49 {
            publisher.send_report(VIDEO, at).unwrap();
            publisher.send_report(AUDIO, at).unwrap();
        }
        times
    };
    steps.map(step).collect()
}

#[test]
fn the_first_packet_defines_zero_and_later_tracks_start_where_they_arrived() {
    let mut publisher = Publisher::new([7, u32::MAX], [ms(0), ms(30)]);
    assert_eq!(publisher.stamp(VIDEO, ms(0)), MediaTime::ZERO);
    assert_eq!(publisher.stamp(AUDIO, ms(0)), media_ms(30));
    assert_eq!(publisher.stamp(VIDEO, ms(40)), media_ms(40));
    assert_eq!(publisher.clock.zero().wall, UnixMicros(1_000_000));
    assert_eq!(publisher.clock.skew(), None);
}

#[test]
fn without_any_report_time_goes_on_and_the_arrival_offset_stays() {
    let mut publisher = Publisher::new([u32::MAX - 5, 0], [ms(0), ms(100)]);
    let times = run(&mut publisher, 0..500, false);
    assert!(times.iter().all(|[video, audio]| *audio - *video == media_ms(100)));
}

#[test]
fn reports_slew_an_initial_skew_of_80_ms_away_within_20_s() {
    let mut publisher = Publisher::new([1, 2], [ms(80), ms(0)]);
    let times = run(&mut publisher, 0..1_000, true);
    assert_eq!(times[0][VIDEO] - times[0][AUDIO], media_ms(80));
    let [video, audio] = times[999];
    assert!((video - audio).abs() < media_ms(1), "{:?}", video - audio);
    assert!(publisher.clock.skew().unwrap().abs() < media_ms(1));
}

#[test]
fn bad_reports_are_ignored() {
    let mut publisher = Publisher::new([0, 0], [ms(0), ms(0)]);
    assert_eq!(publisher.send_report(VIDEO, ms(0)), Err(Ignored::Early));
    run(&mut publisher, 0..50, false);
    let good = publisher.report(VIDEO, ms(980));
    let bad = [
        (Report { rtp: u32::MAX, ..good }, Ignored::Empty),
        (Report { ntp: 0, ..good }, Ignored::Empty),
        (Report { rtp: good.rtp.wrapping_add(900_000), ..good }, Ignored::Far),
        (Report { track: 9, ..good }, Ignored::Early),
    ];
    for (report, reason) in bad {
        assert_eq!(publisher.clock.sender_report(report), Err(reason));
    }
    assert_eq!(publisher.clock.skew(), None);
}

#[test]
fn a_report_that_jumps_is_believed_only_if_the_next_agrees() {
    let mut publisher = Publisher::new([0, 0], [ms(50), ms(0)]);
    run(&mut publisher, 0..100, true);
    let before = publisher.clock.skew();
    let mut jumped = publisher.report(VIDEO, ms(2_000));
    jumped.ntp += 1 << 32;
    assert_eq!(publisher.clock.sender_report(jumped), Err(Ignored::Jump));
    assert_eq!(publisher.clock.skew(), before);
    assert_eq!(publisher.send_report(VIDEO, ms(2_020)), Ok(()));
    let change = publisher.clock.skew().unwrap() - before.unwrap();
    assert!(change.abs() < media_ms(1), "{change:?}");
}

#[test]
fn a_wall_clock_that_was_set_is_followed_without_mixing_old_and_new() {
    let mut publisher = Publisher::new([0, 0], [ms(50), ms(0)]);
    run(&mut publisher, 0..100, true);
    publisher.ntp_begin = publisher.ntp_begin.wrapping_sub(3_600 << 32);
    assert_eq!(publisher.send_report(VIDEO, ms(2_000)), Err(Ignored::Jump));
    assert_eq!(publisher.send_report(VIDEO, ms(2_020)), Ok(()));
    assert_eq!(publisher.clock.skew(), None);
    assert_eq!(publisher.send_report(AUDIO, ms(2_020)), Ok(()));
    let skew = publisher.clock.skew().unwrap();
    assert!((-media_ms(50)..media_ms(0)).contains(&skew), "{skew:?}");
}

#[test]
fn tracks_whose_wall_clocks_are_hours_apart_keep_the_arrival_offset() {
    let mut publisher = Publisher::new([0, 0], [ms(0), ms(10)]);
    run(&mut publisher, 0..50, false);
    assert_eq!(publisher.send_report(AUDIO, ms(980)), Ok(()));
    publisher.ntp_begin += 7_200 << 32;
    assert_eq!(publisher.send_report(VIDEO, ms(980)), Err(Ignored::Apart));
    assert_eq!(publisher.clock.skew(), None);
    let times = run(&mut publisher, 50..500, false);
    assert!(times.iter().all(|[video, audio]| *audio - *video == media_ms(10)));
}

#[test]
fn a_first_report_without_rtp_time_costs_nothing_and_the_next_are_followed() {
    let mut publisher = Publisher::new([1, 2], [ms(80), ms(0)]);
    run(&mut publisher, 0..10, false);
    for track in [VIDEO, AUDIO] {
        let empty = Report { rtp: u32::MAX, ..publisher.report(track, ms(180)) };
        assert_eq!(publisher.clock.sender_report(empty), Err(Ignored::Empty));
    }
    let times = run(&mut publisher, 10..1_000, true);
    let [video, audio] = times[989];
    assert!((video - audio).abs() < media_ms(1), "{:?}", video - audio);
}

#[test]
fn a_first_report_of_nonsense_within_reach_is_outvoted_by_the_next_two() {
    let mut publisher = Publisher::new([1, 2], [ms(80), ms(0)]);
    run(&mut publisher, 0..50, false);
    let good = publisher.report(VIDEO, ms(980));
    let nonsense = Report { rtp: good.rtp.wrapping_add(2 * RATES[VIDEO]), ..good };
    assert_eq!(publisher.clock.sender_report(nonsense), Ok(()));
    assert_eq!(publisher.send_report(VIDEO, ms(1_000)), Err(Ignored::Jump));
    assert_eq!(publisher.send_report(VIDEO, ms(1_020)), Ok(()));
    assert_eq!(publisher.send_report(AUDIO, ms(1_020)), Ok(()));
    let times = run(&mut publisher, 50..1_100, true);
    let [video, audio] = times[1_049];
    assert!((video - audio).abs() < media_ms(1), "{:?}", video - audio);
}

#[test]
fn reports_of_one_track_alone_change_nothing() {
    for track in [VIDEO, AUDIO] {
        let mut publisher = Publisher::new([1, 2], [ms(80), ms(0)]);
        for second in 0..10 {
            let times = run(&mut publisher, second * 50..(second + 1) * 50, false);
            assert!(times.iter().all(|[video, audio]| *video - *audio == media_ms(80)));
            assert_eq!(publisher.send_report(track, ms(1_000 * second + 980)), Ok(()));
        }
        assert_eq!(publisher.clock.skew(), None);
    }
}

#[test]
fn sound_whose_reports_are_rare_and_late_is_followed_from_its_first_one() {
    let mut publisher = Publisher::new([1, 2], [ms(60), ms(0)]);
    let mut last = [MediaTime::ZERO; 2];
    for second in 0..25 {
        last = run(&mut publisher, second * 50..(second + 1) * 50, false)[49];
        let at = ms(1_000 * second + 980);
        assert_eq!(publisher.send_report(VIDEO, at), Ok(()));
        if second % 7 == 3 {
            assert_eq!(publisher.send_report(AUDIO, at), Ok(()));
        }
        assert_eq!(publisher.clock.skew().is_some(), second >= 3);
    }
    assert!((last[VIDEO] - last[AUDIO]).abs() < media_ms(1), "{last:?}");
}

#[test]
fn the_skew_that_is_told_shrinks_as_it_is_corrected() {
    let mut publisher = Publisher::new([1, 2], [ms(40), ms(0)]);
    run(&mut publisher, 0..50, true);
    let told = publisher.clock.skew().unwrap();
    assert!((media_ms(-41)..media_ms(-39)).contains(&told), "{told:?}");
    run(&mut publisher, 50..250, false);
    let told = publisher.clock.skew().unwrap();
    assert!((media_ms(-21)..media_ms(-19)).contains(&told), "5 ms in each of 4 s: {told:?}");
}

#[test]
fn reports_across_the_wraps_of_the_rtp_clocks_and_of_the_wall_clock_are_followed() {
    // The clocks wrap within the first two seconds, one after the other; NTP time ends its era at 3 s.
    let starts = [0_u32.wrapping_sub(90_000), 0_u32.wrapping_sub(96_000)];
    let mut publisher = Publisher::new(starts, [ms(80), ms(0)]);
    publisher.ntp_begin = 0_u64.wrapping_sub(3 << 32);
    let times = run(&mut publisher, 0..1_000, true);
    assert!(times.windows(2).all(|pair| pair[0][VIDEO] < pair[1][VIDEO] && pair[0][AUDIO] < pair[1][AUDIO]));
    let [video, audio] = times[999];
    assert!((video - audio).abs() < media_ms(1), "{:?}", video - audio);
}

#[test]
fn a_jump_of_the_rtp_clock_starts_the_track_anew_at_its_arrival() {
    for jump in [1_000_000_000, 3_000_000_000] {
        let mut publisher = Publisher::new([500_000, 0], [ms(0), ms(0)]);
        run(&mut publisher, 0..100, true);
        publisher.starts[VIDEO] = publisher.starts[VIDEO].wrapping_add(jump);
        assert_eq!(publisher.stamp(VIDEO, ms(2_000)), media_ms(2_000), "{jump}");
        assert_eq!(publisher.stamp(VIDEO, ms(2_020)), media_ms(2_020), "{jump}");
    }
}

#[test]
fn a_timestamp_that_goes_back_is_held_at_the_last() {
    let mut publisher = Publisher::new([10, 0], [ms(0), ms(0)]);
    publisher.stamp(VIDEO, ms(0));
    assert_eq!(publisher.stamp(VIDEO, ms(100)), media_ms(100));
    assert_eq!(publisher.stamp(VIDEO, ms(60)), media_ms(100));
    assert_eq!(publisher.stamp(VIDEO, ms(120)), media_ms(120));
}

#[test]
fn time_goes_on_over_two_wraps_of_the_rtp_clock() {
    let mut publisher = Publisher::new([0xffff_fff0, 0xffff_fff0], [ms(0), ms(0)]);
    let mut last = MediaTime::ZERO;
    for index in 0..4_000_u64 {
        let at = Duration::from_secs(30 * index);
        last = publisher.stamp(VIDEO, at);
    }
    assert_eq!(last, media_ms(30_000 * 3_999));
}

proptest! {
    #[test]
    fn time_never_goes_back_never_steps_and_converges(
        starts in any::<[u32; 2]>(),
        video_delay in 0_u64..200,
        audio_delay in 0_u64..200,
    ) {
        let mut publisher = Publisher::new(starts, [ms(video_delay), ms(audio_delay)]);
        let times = run(&mut publisher, 0..2_200, true);
        for pair in times.windows(2) {
            let video = pair[1][VIDEO] - pair[0][VIDEO];
            let most = MediaTime(media_ms(20).0 * SLEW_PER_MILLE / 1_000 + 20_000);
            prop_assert!((video - media_ms(20)).abs() <= most, "{:?}", video);
            prop_assert!((pair[1][AUDIO] - pair[0][AUDIO] - media_ms(20)).abs() < media_ms(1));
        }
        let [video, audio] = times[2_199];
        prop_assert!((video - audio).abs() < media_ms(1), "{:?}", video - audio);
    }

    #[test]
    fn arbitrary_stamps_and_reports_never_panic_nor_go_back(
        events in proptest::collection::vec(
            (any::<bool>(), 0_usize..3, prop_oneof![any::<u32>(), 0_u32..300_000], any::<u64>(), 0_u64..30_000), 0..100),
    ) {
        let mut publisher = Publisher::new([0, 0], [ms(0), ms(0)]);
        let mut last = [MediaTime(i64::MIN); 3];
        for (is_report, track, rtp, ntp, at) in events {
            let arrival = publisher.begin + ms(at);
            if is_report {
                let _ = publisher.clock.sender_report(Report { track, ntp, rtp, arrival });
            } else if let Some(time) = publisher.clock.stamp(track, rtp, arrival) {
                prop_assert!(time >= last[track]);
                last[track] = time;
            }
        }
    }
}

#[test]
fn a_publisher_that_began_late_and_catches_up_moves_zero_back_and_never_forward() {
    let start = Instant::now();
    let wall = UnixMicros(1_000_000_000);
    let mut clock = BroadcastClock::new(Zero { instant: start, wall }, &[(TrackKind::Video, 90_000)]);
    // 30 frames a second that came late: the first at once, the next ones 10 ms sooner each than their time says.
    let mut last = clock.zero().wall;
    for frame in 0..20_u32 {
        let arrival = start + Duration::from_millis(u64::from(frame) * 23);
        clock.stamp(0, frame * 3_000, arrival).unwrap();
        assert!(clock.zero().wall <= last);
        last = clock.zero().wall;
    }
    let moved = wall.0 - last.0;
    assert!((196_000..=197_000).contains(&moved), "19 frames of 10.33 ms each, moved {moved} us");
    clock.stamp(0, 20 * 3_000, start + Duration::from_secs(2)).unwrap();
    assert_eq!(clock.zero().wall, last, "a late unit changes nothing");
}

/// Sound of 20 ms for hours, whose clock is so many millionths fast, over a network that delays by up to 30 ms.
fn hours_of_drift(ppm: i64, hours: u64) -> Vec<(MediaTime, MediaTime)> {
    let start = Instant::now();
    let zero = Zero { instant: start, wall: UnixMicros(0) };
    let mut clock = BroadcastClock::new(zero, &[(TrackKind::Audio, 48_000)]);
    let mut noise = 1_u64;
    (0..hours * 180_000)
        .map(|index| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let captured = i64::try_from(index * 20_000).unwrap() * 1_000_000 / (1_000_000 + ppm);
            let travels = 5_000 + i64::try_from(noise >> 33).unwrap() % 30_000;
            let arrival = start + Duration::from_micros((captured + travels).unsigned_abs());
            let rtp = u32::try_from((index * 960) & 0xffff_ffff).unwrap();
            (clock.stamp(0, rtp, arrival).unwrap(), MediaTime::from_micros(captured))
        })
        .collect()
}

#[test]
fn a_publishers_clock_that_is_fast_or_slow_is_followed_for_hours_without_a_step() {
    for ppm in [-200, 0, 200] {
        let times = hours_of_drift(ppm, 1);
        let off: Vec<i64> = times.iter().map(|(told, captured)| (*told - *captured).to_millis()).collect();
        let (least, most) = (off.iter().min().unwrap(), off.iter().max().unwrap());
        assert!(most - least <= 45, "{ppm} ppm: {least} to {most} ms");
        let step = media_ms(20).0 * drift::RATE_PER_MILLE / 1_000 + 2;
        let uneven = times.windows(2).map(|pair| ((pair[1].0 - pair[0].0).0 - media_ms(20).0).abs()).max();
        // What passes between two arrivals is up to 50 ms.
        assert!(uneven.unwrap() <= step * 3, "{ppm} ppm: a step of {uneven:?}");
    }
}

#[test]
fn an_outage_and_a_longer_way_are_no_step() {
    let mut publisher = Publisher::new([0, 0], [ms(0), ms(0)]);
    let mut before = run(&mut publisher, 0..500, true).pop().unwrap();
    publisher.delays = [ms(300), ms(300)];
    for times in run(&mut publisher, 1_000..10_000, true) {
        assert_eq!(times[0], times[1]);
        let step = times[0] - before[0];
        assert!(before[0] < media_ms(10_000) || (step - media_ms(20)).abs() <= media_ms(1), "{step:?}");
        before = times;
    }
    let late = media_ms(9_999 * 20 + 300) - before[0];
    assert!(late.abs() <= media_ms(10), "the longer way was taken in by and by: {late:?}");
}
