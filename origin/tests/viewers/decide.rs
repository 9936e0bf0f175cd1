//! rfc8216bis 6.2.5.2 and 6.2.6, clause by clause.

use origin::live::decide::Decision::{Refuse, Serve, Wait};
use origin::live::decide::{Decision, ObjectDecision, Reason, TooFar, decide, decide_object};
use origin::live::directive::{Directive, Malformed};
use packager::live::{Objects, Snapshot, Text};
use proptest::prelude::*;
use schema::MediaTime;

use crate::stage::snapshot;

const TOO_FAR: Decision = Refuse(Reason::TooFar(TooFar::Segment));
const TOO_FAR_PART: Decision = Refuse(Reason::TooFar(TooFar::Part));

fn ask(query: &str, snapshot: &Snapshot) -> Decision {
    decide(Directive::parse(Some(query)), snapshot)
}

fn assert_all(snapshot: &Snapshot, cases: &[(&str, Decision)]) {
    for (query, decision) in cases {
        assert_eq!(ask(query, snapshot), *decision, "{query}");
    }
}

/// Segments up to 11 are complete, 11 with four parts; 12 has two parts. PART-TARGET is 0.5 s.
fn window() -> Snapshot {
    Snapshot { first_msn: 8, ..snapshot(12, 2, 4) }
}

#[test]
fn without_directives_the_playlist_is_served_as_it_is() {
    assert_all(&window(), &[("", Serve), ("other=1", Serve)]);
}

#[test]
fn a_segment_alone_waits_until_it_is_complete() {
    assert_all(&window(), &[("_HLS_msn=11", Serve), ("_HLS_msn=12", Wait)]);
    assert_all(&snapshot(13, 0, 4), &[("_HLS_msn=12", Serve)]);
}

#[test]
fn a_part_waits_until_it_or_a_later_one_is_listed() {
    assert_all(
        &window(),
        &[
            ("_HLS_msn=11&_HLS_part=3", Serve),
            ("_HLS_msn=12&_HLS_part=0", Serve),
            ("_HLS_msn=12&_HLS_part=1", Serve),
            ("_HLS_msn=12&_HLS_part=2", Wait),
            ("_HLS_msn=13&_HLS_part=0", Wait),
        ],
    );
}

#[test]
fn a_part_beyond_a_finished_segment_is_part_0_of_the_next_however_large() {
    let just_finished = snapshot(12, 0, 4);
    for part in ["4", "5", "14", "18446744073709551615"] {
        let query = format!("_HLS_msn=11&_HLS_part={part}");
        assert_eq!(ask(&query, &just_finished), Wait, "{query}");
        assert_eq!(ask(&query, &window()), Serve, "{query}");
        let older = format!("_HLS_msn=10&_HLS_part={part}");
        assert_eq!(ask(&older, &just_finished), Serve, "{older}: part 0 of 11 is listed");
    }
    assert_eq!(ask("_HLS_msn=11&_HLS_part=3", &just_finished), Serve);
}

#[test]
fn a_segment_that_left_the_window_is_served_at_once() {
    assert_all(&window(), &[("_HLS_msn=0", Serve), ("_HLS_msn=7&_HLS_part=3", Serve)]);
}

#[test]
fn more_than_two_segments_ahead_is_refused() {
    assert_all(
        &window(),
        &[
            ("_HLS_msn=13", Wait),
            ("_HLS_msn=14", TOO_FAR),
            ("_HLS_msn=14&_HLS_part=0", TOO_FAR),
            ("_HLS_msn=18446744073709551615", TOO_FAR),
            ("_HLS_msn=18446744073709551615&_HLS_part=18446744073709551615", TOO_FAR),
        ],
    );
}

#[test]
fn a_part_beyond_the_advance_part_limit_is_refused() {
    // 3 s / 0.5 s = 6 parts beyond part 1 of segment 12.
    assert_all(
        &window(),
        &[
            ("_HLS_msn=12&_HLS_part=7", Wait),
            ("_HLS_msn=12&_HLS_part=8", TOO_FAR_PART),
            ("_HLS_msn=13&_HLS_part=5", Wait),
            ("_HLS_msn=13&_HLS_part=6", TOO_FAR_PART),
        ],
    );
    let of = |millis| Snapshot { part_target: Some(MediaTime::from_millis(millis)), ..window() };
    // 3 / 0.342 = 8.8; from one second on the limit is three.
    assert_all(&of(342), &[("_HLS_msn=12&_HLS_part=9", Wait), ("_HLS_msn=12&_HLS_part=10", TOO_FAR_PART)]);
    for long in [1_000, 1_500] {
        assert_all(&of(long), &[("_HLS_msn=12&_HLS_part=4", Wait), ("_HLS_msn=12&_HLS_part=5", TOO_FAR_PART)]);
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (query, why) in [
        ("_HLS_part=0", Malformed::PartWithoutMsn),
        ("_HLS_msn=x", Malformed::Number),
        ("_HLS_msn=-1", Malformed::Number),
        ("_HLS_msn=12&_HLS_part=-1", Malformed::Number),
        ("_HLS_msn=18446744073709551616", Malformed::Number),
    ] {
        assert_eq!(ask(query, &window()), Refuse(Reason::Malformed(why)), "{query}");
    }
}

#[test]
fn after_the_end_all_directives_are_ignored() {
    let ended = Snapshot { ended: true, ..window() };
    for query in ["", "_HLS_msn=12", "_HLS_msn=999", "_HLS_msn=12&_HLS_part=99", "_HLS_part=1", "_HLS_msn=x"] {
        assert_eq!(ask(query, &ended), Serve, "{query}");
    }
}

#[test]
fn skip_and_unknown_directives_are_harmless() {
    for extra in ["_HLS_skip=YES", "_HLS_skip=v2", "_HLS_skip=x", "_HLS_x=-1", "_HLS_"] {
        assert_all(&window(), &[(extra, Serve)]);
        assert_eq!(ask(&format!("{extra}&_HLS_msn=12&_HLS_part=2"), &window()), Wait, "{extra}");
    }
}

#[test]
fn part_0_of_a_future_segment_never_hangs() {
    // hls.js without lowLatencyMode asks so.
    assert_all(
        &window(),
        &[
            ("_HLS_msn=13&_HLS_part=0", Wait),
            ("_HLS_msn=14&_HLS_part=0", TOO_FAR),
            ("_HLS_msn=99&_HLS_part=0", TOO_FAR),
        ],
    );
}

#[test]
fn without_parts_a_part_means_its_segment() {
    let classic = Snapshot { part_target: None, ..snapshot(12, 0, 0) };
    assert_all(
        &classic,
        &[("_HLS_msn=11&_HLS_part=0", Serve), ("_HLS_msn=12&_HLS_part=9", Wait), ("_HLS_msn=14&_HLS_part=0", TOO_FAR)],
    );
}

#[test]
fn before_the_first_part_everything_waits_that_may() {
    // A window after a restart: numbers go on, nothing is listed yet.
    let empty = Snapshot { playlist: Text::default(), ..snapshot(12, 0, 0) };
    assert_all(
        &empty,
        &[("", Wait), ("_HLS_msn=3", Wait), ("_HLS_msn=12&_HLS_part=0", Wait), ("_HLS_msn=14", TOO_FAR)],
    );
    let never_began = Snapshot { ended: true, ..empty };
    assert_eq!(ask("", &never_began), Refuse(Reason::NeverBegan));
}

#[test]
fn an_object_is_served_awaited_if_promised_or_unknown_at_once() {
    let named = |name: &str, snapshot: &Snapshot| match decide_object(name, snapshot) {
        ObjectDecision::Serve(_) => "serve",
        ObjectDecision::Wait => "wait",
        ObjectDecision::NotFound => "none",
    };
    let hinting = Snapshot { hint: Some("part-7-12-2.m4s".into()), objects: Objects::default(), ..window() };
    assert_eq!(named("part-7-12-2.m4s", &hinting), "wait");
    for unknown in ["part-7-12-3.m4s", "seg-7-12.m4s", "", "..", "index.m3u8"] {
        assert_eq!(named(unknown, &hinting), "none", "{unknown}");
    }
    let another = Snapshot { hinted_init: Some("init-7-1.mp4".into()), ..hinting.clone() };
    assert_eq!((named("init-7-1.mp4", &another), named("init-7-1.mp4", &hinting)), ("wait", "none"));
    assert_eq!(named("part-7-12-2.m4s", &Snapshot { ended: true, ..hinting }), "none");
}

prop_compose! {
    fn any_directive(next_msn: u64)(near in 0_u64..6, far: u64, part_near in 0_u64..20, part_far: u64, kind in 0..8) -> Directive {
        let msn = next_msn.saturating_sub(2).saturating_add(near);
        match kind {
            0 => Directive::Now,
            1 => Directive::Segment { msn: far },
            2 => Directive::Part { msn: far, part: part_far },
            3 => Directive::Malformed(Malformed::Number),
            4 => Directive::Segment { msn },
            5 => Directive::Part { msn, part: part_far },
            _ => Directive::Part { msn, part: part_near },
        }
    }
}

prop_compose! {
    fn any_snapshot(next_msn: u64)(
        open_parts in 0_u32..12, last_parts in 0_u32..12, first_back in 0_u64..9, target: Option<i64>, sane in 1_i64..3_000, insane: bool,
        empty: bool, ended in prop::bool::weighted(0.1),
    ) -> Snapshot {
        let target = target.map(|odd| if insane { MediaTime(odd) } else { MediaTime::from_millis(sane) });
        Snapshot {
            playlist: if empty { Text::default() } else { "#EXTM3U".to_owned().into() },
            part_target: target,
            first_msn: next_msn.saturating_sub(first_back),
            ended,
            ..snapshot(next_msn, open_parts, last_parts)
        }
    }
}

fn any_case() -> impl Strategy<Value = (Directive, Snapshot)> {
    prop_oneof![Just(0_u64), 0_u64..1_000, any::<u64>(), Just(u64::MAX)]
        .prop_flat_map(|next_msn| (any_directive(next_msn), any_snapshot(next_msn)))
}

/// The next revision: another part, or after `parts` of them the next segment.
fn grown(mut snapshot: Snapshot, parts: u32) -> Snapshot {
    snapshot.playlist = "#EXTM3U".to_owned().into();
    if snapshot.open_parts < parts {
        snapshot.open_parts += 1;
        return snapshot;
    }
    snapshot.last_parts = snapshot.open_parts;
    snapshot.open_parts = 0;
    snapshot.next_msn += 1;
    snapshot
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_directive_and_no_snapshot_panics(case in any_case(), name in ".{0,30}") {
        let (directive, snapshot) = case;
        let _decision = decide(directive, &snapshot);
        let _decision = decide_object(&name, &snapshot);
    }

    #[test]
    fn whatever_waits_is_served_within_three_segments_and_never_refused(case in any_case(), parts in 1_u32..12) {
        let (directive, mut snapshot) = case;
        prop_assume!(snapshot.next_msn < u64::MAX - 3 && decide(directive, &snapshot) == Wait);
        let last = snapshot.next_msn + 3;
        while decide(directive, &snapshot) == Wait && snapshot.next_msn < last {
            let ended = Snapshot { ended: true, playlist: "#EXTM3U".to_owned().into(), ..snapshot.clone() };
            prop_assert_eq!(decide(directive, &ended), Serve);
            snapshot = grown(snapshot, parts);
        }
        prop_assert_eq!(decide(directive, &snapshot), Serve);
    }

    #[test]
    fn what_is_served_once_is_served_ever_after(case in any_case(), parts in 1_u32..12) {
        let (directive, snapshot) = case;
        prop_assume!(snapshot.next_msn < u64::MAX && decide(directive, &snapshot) == Serve);
        prop_assert_eq!(decide(directive, &grown(snapshot, parts)), Serve);
    }
}
