"""Between two revisions only the listed edits are allowed."""

import pytest

from . import media, revisions
from .test_media import GOOD

HEAD = """\
#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:{first}
#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}
#EXT-X-MAP:URI="init.mp4"
"""
# Segments whose parts are further than this from the end list none.
PARTS_KEPT = 3


def window(first, last, parts, discontinuities=0, broken_at=None, ended=False):
    """Segments `first` to `last` whole, and `parts` parts of the next."""
    lines = [HEAD.format(first=first, discontinuities=discontinuities)]
    for msn in range(first, last + 2):
        if msn == broken_at:
            lines.append("#EXT-X-DISCONTINUITY\n")
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:{msn // 30:02}:{msn % 30 * 2:02}.000Z\n")
        count = parts if msn > last else 2
        if msn > last - PARTS_KEPT:
            lines += [part(msn, index) for index in range(count)]
        if msn <= last:
            lines.append(f"#EXTINF:2.00000,\n{msn}.m4s\n")
    if ended:
        return "".join(lines) + "#EXT-X-ENDLIST\n"
    return "".join(lines) + f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{last + 1}.{parts}.m4s"\n'


def part(msn, index):
    independent = ",INDEPENDENT=YES" if index == 0 else ""
    return f'#EXT-X-PART:DURATION=1.00000,URI="{msn}.{index}.m4s"{independent}\n'


def pair(old, new):
    return {finding.rule for finding in revisions.check_pair(media.parse(old)[0], media.parse(new)[0])}


def test_the_windows_used_here_are_good_by_themselves():
    for sample in [window(0, 5, 1), window(3, 12, 0), window(3, 12, 1, 1, 7)]:
        found = [f for f in media.check(sample)[1] if "unfinished" not in f.message]
        assert found == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (window(0, 5, 0), window(0, 5, 1)),
        (window(0, 5, 1), window(0, 6, 0)),
        (window(0, 5, 1), window(0, 8, 1)),
        (window(0, 8, 1), window(1, 8, 1)),
        (window(0, 8, 1), window(2, 9, 0)),
        (window(0, 8, 1, 0, 1), window(2, 9, 0, 1)),
        (window(0, 8, 1, 0, 4), window(2, 9, 0, 0, 4)),
        (window(0, 5, 1), window(0, 5, 1)),
        (GOOD, GOOD.replace("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"i1-3.2.m4s\"\n",
                            "#EXTINF:0.96000,\ni1-3.m4s\n#EXT-X-ENDLIST\n")),
    ],
)
def test_allowed_edits_pass(old, new):
    assert pair(old, new) == set()


def test_a_changed_hint_is_allowed_only_behind_a_discontinuity():
    old = window(0, 5, 1)
    new = window(0, 6, 1).replace("#EXT-X-PART:DURATION=1.00000,URI=\"6.1.m4s\"\n", "").replace(
        "#EXTINF:2.00000,\n6.m4s", "#EXTINF:1.00000,\n6.m4s")
    assert pair(old, new) == {"H-060"}
    broken = new.replace("#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:00:14", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:00:14")
    assert pair(old, broken) == set()


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("H-008", window(0, 5, 0), window(0, 5, 1).replace("4.m4s\n#EXT-X-PROG", "four.m4s\n#EXT-X-PROG")),
        ("H-011", window(0, 5, 0), window(0, 5, 1).replace("TARGETDURATION:2", "TARGETDURATION:3")),
        ("H-013", window(2, 9, 0), window(1, 9, 0)),
        ("H-014", window(0, 8, 1, 0, 1), window(2, 9, 0, 0)),
        ("H-014", window(0, 8, 1, 0, 4), window(2, 9, 0, 1, 4)),
        ("H-015", window(0, 8, 1), window(6, 8, 1)),
        ("H-015", window(0, 8, 1), window(7, 8, 1)),
        ("H-017", window(0, 5, 1), window(0, 5, 1).replace(part(4, 0), "")),
        ("H-018", window(0, 6, 1), window(0, 6, 0)),
        ("H-018", window(0, 6, 1), window(0, 5, 1)),
        ("H-019", window(0, 5, 0), window(0, 5, 1).replace("EXTINF:2.00000,\n3", "EXTINF:1.99999,\n3")),
        ("H-019", window(0, 5, 0), window(0, 5, 1).replace("03:00:06.000Z", "03:00:06.001Z")),
        ("H-019", window(0, 5, 0), window(0, 5, 1, broken_at=3)),
        ("H-019", window(0, 5, 0), window(0, 5, 1).replace("init.mp4", "other.mp4")),
        ("H-019", window(0, 5, 0), window(0, 5, 1).replace(part(4, 1), part(4, 1) + part(4, 2))),
        ("H-019", window(0, 5, 0), window(0, 5, 1).replace("VERSION:6", "VERSION:7")),
        ("H-019", window(0, 5, 1), window(0, 5, 2).replace("URI=\"6.0.m4s\"", "URI=\"6.9.m4s\"")),
        ("H-021", window(0, 5, 0, ended=True), window(0, 6, 0)),
        ("H-050", window(0, 5, 0), window(0, 5, 1).replace("PART-TARGET=1.0", "PART-TARGET=1.1")),
        ("H-052", window(0, 5, 0), window(0, 5, 1).replace("PART-HOLD-BACK=3.0", "PART-HOLD-BACK=3.1")),
        ("H-060", window(0, 5, 0).replace('HINT:TYPE=PART,URI="6.0.m4s"', 'HINT:TYPE=PART,URI="x.m4s"'), window(0, 5, 1)),
    ],
)
def test_other_edits_are_found(rule, old, new):
    assert rule in pair(old, new)


def test_each_discontinuity_of_a_removed_segment_counts():
    double = window(0, 8, 1, 0, 1).replace("#EXT-X-DISCONTINUITY\n", "#EXT-X-DISCONTINUITY\n" * 2)
    assert pair(double, window(2, 9, 0, 2)) == set()
    assert pair(double, window(2, 9, 0, 1)) == {"H-014"}


def test_a_late_segment_and_a_late_part_are_found():
    def seen(*times):
        samples = [window(0, 5, 0), window(0, 5, 1), window(0, 6, 0)]
        return [revisions.Revision(at, media.parse(sample)[0]) for at, sample in zip(times, samples)]

    assert revisions.check_cadence(seen(0.0, 1.0, 2.0)) == []
    late = revisions.check_cadence(seen(0.0, 2.5, 3.6))
    assert [finding.rule for finding in late] == ["H-020", "H-020"]
    assert revisions.check_cadence(seen(0.0, 2.5, 3.6), slack=5) == []
