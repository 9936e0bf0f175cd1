"""Each rule of lists for rewinding, broken once."""

import pytest

from . import media, rewinding

HEAD = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-MAP:URI="init-1-0.mp4"
"""
SEGMENTS = "".join(
    f"#EXT-X-PROGRAM-DATE-TIME:2026-11-27T12:00:{2 * index:02}.000Z\n#EXTINF:2.00000,\nseg-1-{7 + index}.m4s\n"
    for index in range(8)
)
GOOD = HEAD + SEGMENTS


def parsed(text):
    playlist, findings = media.check(text.encode())
    assert not findings, [str(finding) for finding in findings]
    return playlist


def rules(findings):
    return {finding.rule for finding in findings}


def test_a_good_list_has_no_findings():
    playlist = parsed(GOOD)
    assert rewinding.check(playlist) == []
    assert rewinding.check_against(playlist, parsed(GOOD)) == []


@pytest.mark.parametrize(("rule", "old", "new"), [
    ("H-120", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE"),
    ("H-120", "seg-1-14.m4s\n", 'seg-1-14.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-1-15-0.m4s"\n'),
    ("H-120", "seg-1-14.m4s\n", 'seg-1-14.m4s\n#EXT-X-PART:DURATION=0.5,URI="part-1-15-0.m4s"\n'),
    ("H-121", ",CAN-SKIP-UNTIL=12.0", ""),
])
def test_a_broken_list_is_found(rule, old, new):
    playlist, _ = media.parse(GOOD.replace(old, new).encode())
    assert rules(rewinding.check(playlist)) == {rule}


@pytest.mark.parametrize(("rule", "old", "new"), [
    ("H-104", "#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:3"),
    ("H-104", "DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2"),
    ("H-122", "seg-1-9.m4s", "seg-2-9.m4s"),
    ("H-122", "init-1-0", "init-1-1"),
    ("H-122", "2.00000,\nseg-1-9", "1.90000,\nseg-1-9"),
    ("H-122", "12:00:04.000Z", "12:00:04.010Z"),
])
def test_a_list_of_other_segments_than_live_is_found(rule, old, new):
    playlist, _ = media.parse(GOOD.replace(old, new).encode())
    assert rules(rewinding.check_against(playlist, parsed(GOOD))) == {rule}


def test_a_gap_where_live_has_media_is_lawful():
    playlist = parsed(GOOD.replace("#EXTINF:2.00000,\nseg-1-9", "#EXT-X-GAP\n#EXTINF:2.00000,\nseg-1-9"))
    assert rewinding.check_against(playlist, parsed(GOOD)) == []
