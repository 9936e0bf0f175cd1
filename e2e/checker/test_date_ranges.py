"""Date ranges and delta updates: a sample that breaks each rule."""

import pytest

from . import date_ranges, media, presentation, revisions, updates
from .test_media import GOOD
from .test_revisions import HEAD

START = 'ID="o-1",CLASS="example.outage",START-DATE="2026-01-02T03:04:03.000Z"'
BEGUN = f"#EXT-X-DATERANGE:{START}\n"
OVER = f'#EXT-X-DATERANGE:{START},END-DATE="2026-01-02T03:04:05.500Z"\n'
HINT = "#EXT-X-PRELOAD-HINT"


def with_ranges(*lines):
    return GOOD.replace(HINT, "".join(lines) + HINT)


def rules(raw):
    return {finding.rule for finding in media.check(raw)[1]}


@pytest.mark.parametrize("lines", [
    [BEGUN], [BEGUN, OVER], [OVER],
    [BEGUN, '#EXT-X-DATERANGE:ID="o-1",DURATION=2.5\n'],
    [OVER.replace("END-DATE", "DURATION=2.500,END-DATE")],
])
def test_good_ranges_have_no_finding(lines):
    assert rules(with_ranges(*lines)) == set()


@pytest.mark.parametrize("lines", [
    [BEGUN.replace('ID="o-1",', "")],
    [BEGUN.replace(',START-DATE="2026-01-02T03:04:03.000Z"', "")],
    [BEGUN, OVER.replace("03.000Z", "03.001Z")],
    [BEGUN, OVER.replace("example.outage", "other")],
    [OVER.replace("05.500Z", "02.500Z")],
    [OVER.replace("END-DATE", "DURATION=2.4,END-DATE")],
    [BEGUN.replace("\n", ",DURATION=-1\n")],
    [BEGUN.replace("03.000Z", "03Z")],
    [BEGUN.replace("03.000Z", "03.000")],
    [BEGUN.replace("2026-01-02T", "yesterday ")],
    [OVER.replace(",END-DATE", ",END-ON-NEXT=YES,END-DATE")],
])
def test_bad_ranges_are_found(lines):
    assert rules(with_ranges(*lines)) == {"H-092"}


def test_a_range_needs_dates():
    bare = "".join(line for line in with_ranges(BEGUN).splitlines(True) if "PROGRAM-DATE" not in line)
    assert "H-092" in rules(bare)


def pair(old, new):
    return {finding.rule for finding in revisions.check_pair(media.parse(old)[0], media.parse(new)[0])}


def test_a_range_may_be_added_and_ended_and_leaves_with_its_last_segment():
    assert pair(GOOD, with_ranges(BEGUN)) == set()
    assert pair(with_ranges(BEGUN), with_ranges(BEGUN, OVER)) == set()
    early = BEGUN.replace("03.000Z", "00.000Z"), OVER.replace("03.000Z", "00.000Z").replace("05.500Z", "01.000Z")
    gone = GOOD.replace("SEQUENCE:0\n#EXT-X-D", "SEQUENCE:1\n#EXT-X-D").replace(
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:00.000Z\n#EXTINF:2.00000,\ni1-0.m4s\n", "")
    found = date_ranges.check_pair(media.parse(with_ranges(*early))[0], media.parse(gone)[0])
    assert found == []


def test_a_range_that_is_left_out_changed_or_repeated_is_found():
    assert pair(with_ranges(BEGUN), GOOD) == {"H-092"}
    assert pair(with_ranges(BEGUN, OVER), GOOD) == {"H-092"}
    assert pair(with_ranges(BEGUN), with_ranges(OVER)) == set(), "the first tag may go, the range stays"
    assert pair(with_ranges(BEGUN, OVER), with_ranges(OVER, BEGUN)) == {"H-092"}
    assert pair(with_ranges(BEGUN), with_ranges(BEGUN, BEGUN.replace("\n", ",CUE=\"PRE\"\n"))) == {"H-092"}


def test_an_id_that_comes_again_is_found():
    seen = [revisions.Revision(0, media.parse(raw)[0]) for raw in (with_ranges(BEGUN), GOOD, with_ranges(BEGUN))]
    assert [finding.rule for finding in date_ranges.check_reuse(seen)] == ["H-092"]
    assert date_ranges.check_reuse(seen[:2]) == []


def test_other_ranges_in_another_rendition_are_found_once_all_have_ended():
    one, same, other = (media.parse(raw)[0] for raw in (with_ranges(BEGUN), with_ranges(BEGUN), with_ranges(OVER)))
    assert date_ranges.check_together([one, other]) == []
    for playlist in (one, same, other):
        playlist.ended = True
    assert date_ranges.check_together([one, same]) == []
    assert [finding.rule for finding in date_ranges.check_together([one, other])] == ["H-092"]
    assert presentation.date_ranges is date_ranges


# Delta updates

CONTROL = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES,PART-HOLD-BACK=3.0\n"


def playlist(first, last, skipped=0, form="YES", lines=()):
    head = HEAD.format(first=first, discontinuities=0).replace("VERSION:6", "VERSION:10" if form == "v2" else "VERSION:9")
    head = "\n".join(CONTROL.strip() if "SERVER-CONTROL" in line else line for line in head.splitlines()) + "\n"
    if skipped:
        head = head.replace('#EXT-X-MAP:URI="init.mp4"\n', "")
        tag = f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"
        head += tag + (',RECENTLY-REMOVED-DATERANGES=""\n' if form == "v2" else "\n")
    segments = [f"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:{msn // 30:02}:{msn % 30 * 2:02}.000Z\n#EXTINF:2.00000,\n{msn}.m4s\n"
                for msn in range(first + skipped, last + 1)]
    if not skipped:
        return head + "".join(lines) + "".join(segments)
    return head + "".join(lines) + "".join(segments)


def update_rules(raw, form="YES"):
    return {finding.rule for finding in updates.check(raw, form)}


def test_a_good_update_has_no_finding_and_merges_to_the_full_playlist():
    held, full = playlist(0, 19), playlist(1, 20)
    for form in ("YES", "v2"):
        update = playlist(1, 20, 13, form)
        assert updates.is_update(update) and not updates.is_update(full)
        assert update_rules(update, form) == set()
        merged = updates.merge(held, update)
        assert updates.check_merged(merged, full) == []


def test_an_update_that_skips_too_much_or_too_little_is_found():
    assert update_rules(playlist(1, 20, 12)) == {"H-080"}
    assert update_rules(playlist(1, 20, 14)) == {"H-080"}
    assert update_rules(playlist(1, 20, 13).replace("VERSION:9", "VERSION:8")) == {"H-080"}
    assert update_rules(playlist(1, 20, 13) + "#EXT-X-ENDLIST\n") == {"H-080"}
    assert update_rules(playlist(1, 20, 13).replace("CAN-SKIP-UNTIL=12.0,", "")) == {"H-080"}
    assert update_rules(playlist(1, 20)) == {"H-080"}


def test_an_update_of_date_ranges_that_does_not_say_so_is_found():
    update = playlist(1, 20, 13, "v2")
    assert update_rules(update.replace("VERSION:10", "VERSION:9"), "v2") == {"H-082"}
    assert update_rules(update.replace(',RECENTLY-REMOVED-DATERANGES=""', ""), "v2") == {"H-082"}


def test_a_merge_that_is_not_the_full_playlist_is_found():
    held, full = playlist(0, 19, lines=[BEGUN]), playlist(1, 20, lines=[BEGUN])

    def found(update, held=held, full=full):
        return {finding.rule for finding in updates.check_merged(updates.merge(held, update), full)}

    assert found(playlist(1, 20, 13, "v2")) == set(), "a client keeps the ranges that it has"
    assert found(playlist(1, 20, 13, lines=[BEGUN])) == set()
    assert found(playlist(1, 20, 13).replace("18.m4s", "x.m4s")) == {"H-081"}
    assert found(playlist(1, 20, 13, "v2").replace('RANGES=""', 'RANGES="o-1"')) == {"H-082"}
    assert found(playlist(1, 20, 13, "v2"), full=playlist(1, 20)) == {"H-082"}
