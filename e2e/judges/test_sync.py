"""The judge of sync, on pictures, sounds and fragments made up here."""

import pytest

from checker.fmp4 import Fragment, Sample
from publishers import clip

from .flashes import Beep, Pictures, Point, find_beeps, series, skew
from .sync import Hole, Sync, Window, holes_between, windows

RATE = clip.RATE
SECONDS = 5


def pictures(numbers, late=0.0):
    """The pictures of those numbers, each at its time and `late`; white for the first tenth of each second."""
    times = [number / RATE + late for number in numbers]
    lumas = [235.0 if number % RATE < 3 else 60.0 for number in numbers]
    return Pictures(times, lumas, [number % clip.FRAMES for number in numbers])


def sound(cut=(), length=SECONDS):
    """Levels of each millisecond: a beep at each whole second; silence from each `cut` for 20 ms."""
    times = [ms / 1_000 for ms in range(1_000 * length)]
    silent = [any(0 <= ms - 1_000 * begin < 20 for begin in cut) for ms in range(1_000 * length)]
    levels = [0.0 if quiet or ms % 1_000 >= 100 else 0.5 for ms, quiet in enumerate(silent)]
    return times, levels


def whole(beeps):
    return [beep.begin for beep in beeps if beep.is_whole()]


def fragment(begin, *durations):
    return Fragment(begin, [Sample(duration, 1, True, 0, b"x") for duration in durations])


def test_flashes_on_their_beeps_have_no_skew():
    points = series(pictures(range(SECONDS * RATE)).marks(clip.since_mark), whole(find_beeps(*sound())))
    assert points == [Point(second, pytest.approx(0)) for second in (1, 2, 3, 4)]


def test_a_late_picture_has_a_positive_skew():
    found = skew(pictures(range(SECONDS * RATE), late=0.05).flashes(), [1, 2, 3, 4])
    assert found.pairs == pytest.approx([0.05] * 4) and found.median() == pytest.approx(0.05)


def test_a_flash_whose_first_picture_is_lost_is_measured_by_the_next():
    shown = [number for number in range(SECONDS * RATE) if number != 60]
    assert pictures(shown).flashes()[1] == pytest.approx(2 + 1 / RATE)
    assert pictures(shown).marks(clip.since_mark) == pytest.approx([1, 2, 3, 4])


def test_a_flash_with_a_number_of_another_picture_is_not_measured():
    seen = pictures(range(SECONDS * RATE))
    misread = Pictures(seen.times, seen.lumas, [77 if number == 60 else number for number in seen.numbers])
    assert misread.marks(clip.since_mark) == pytest.approx([1, 3, 4])


@pytest.mark.parametrize("lost", [2.0, 2.08])
def test_a_beep_without_its_begin_or_its_end_is_not_whole(lost):
    beeps = find_beeps(*sound(cut=[lost]))
    assert len(beeps) == 4
    assert whole(beeps) == [1, 3, 4]


def test_a_beep_with_a_hole_in_it_is_one_and_measured_by_both_its_ends():
    assert find_beeps(*sound(cut=[2.04]))[1] == Beep(2.0, 2.1)
    assert whole(find_beeps(*sound(cut=[2.04]))) == [1, 2, 3, 4]


def test_a_beep_to_the_very_end_ends_there():
    times, levels = sound()
    last = find_beeps(times[:4_050], levels[:4_050])[-1]
    assert last == Beep(4.0, 4.049)
    assert not last.is_whole()


def test_a_flash_without_a_beep_near_it_is_no_point():
    assert series([1.0, 2.0, 3.0], [1.01, 3.46]) == [Point(1.0, pytest.approx(-0.01))]
    assert series([1.0], []) == []
    with pytest.raises(AssertionError):
        skew([1.0], [1.5])


def test_skews_within_windows_are_left_out():
    sync = Sync([Point(at, at / 100) for at in range(12)], 12, 12, 360)
    assert windows([2, 8], length_s=0.3, settle_s=2) == [Window(1.9, 4.3), Window(7.9, 10.3)]
    kept = sync.outside(windows([2, 8], length_s=0.3, settle_s=2))
    assert [round(100 * skew) for skew in kept.pairs] == [0, 1, 5, 6, 7, 11]


def test_fragments_that_follow_each_other_have_no_holes():
    assert holes_between([fragment(0, 10, 10), fragment(20, 10), fragment(30, 10)], 1_000) == []


def test_a_frame_off_is_no_hole_yet_and_more_is():
    assert holes_between([fragment(0, 10, 10), fragment(30, 10), fragment(35, 10)], 1_000) == []
    assert holes_between([fragment(0, 10, 10), fragment(31, 10)], 1_000) == [Hole(0.02, 0.011)]


def test_an_overlap_is_a_hole_of_negative_length():
    assert holes_between([fragment(0, 10, 10), fragment(9, 10)], 1_000) == [Hole(0.02, -0.011)]
