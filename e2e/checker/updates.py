"""Delta updates: rfc8216bis 6.2.5.1 and 4.4.5.2 (what they skip), 6.3.7 (what a client makes of them)."""

import re
from decimal import Decimal

from . import media
from .finding import Report

SKIP = re.compile(r'#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)(?:,RECENTLY-REMOVED-DATERANGES="([^"]*)")?\n')
RANGE = "#EXT-X-DATERANGE:"


def is_update(raw):
    return SKIP.search(raw) is not None


def check(update, form):
    """A delta update by itself; `form` is what `_HLS_skip` said, YES or v2."""
    report = Report()
    playlist, _ = media.parse(update)
    skipped = len(SKIP.findall(update))
    if not report.require(skipped == 1, "H-080", f"{skipped} EXT-X-SKIP"):
        return report.findings
    report.require(playlist.version >= 9, "H-080", f"EXT-X-VERSION {playlist.version} with EXT-X-SKIP")
    report.require(not playlist.ended, "H-080", "an update of a playlist that has ended")
    until = Decimal(playlist.server_control.get("CAN-SKIP-UNTIL", "0"))
    report.require(until > 0, "H-080", "EXT-X-SKIP without CAN-SKIP-UNTIL")
    complete = playlist.complete()
    # What is kept is no further from the end than the boundary: the end of the oldest, by the durations behind it.
    behind = sum((segment.duration for segment in complete[1:]), Decimal(0))
    report.require(behind <= until + Decimal("0.001"), "H-080", f"keeps a segment {behind} s from the end")
    if complete:
        further = behind + complete[0].duration
        report.require(further > until, "H-080", f"skips a segment {further} s from the end")
    if form == "v2":
        report.require(playlist.version >= 10, "H-082", f"EXT-X-VERSION {playlist.version}")
        report.require("RECENTLY-REMOVED-DATERANGES" in (playlist.skip or {}), "H-082",
                       "no RECENTLY-REMOVED-DATERANGES")
    return report.findings


def merge(held, update):
    """The texts of a held playlist and of a delta update, merged as a client does; date ranges stand behind the head,
    as they have no place of their own."""
    head, skipped, removed, tail = SKIP.split(update)
    first = _media_sequence(update) - _media_sequence(held)
    merged, init = [head], None
    gone = removed.split("\t") if removed else []
    fresh = ranges(update)
    kept = [line for line in ranges(held) if _identifier(line) not in gone and line not in fresh]
    merged += [f"{line}\n" for line in [*kept, *fresh]]
    for own, lines in lines_of_segments(held)[first:first + int(skipped)]:
        if own != init:
            merged.append(f"{own}\n")
            init = own
        merged += [f"{line}\n" for line in lines]
    return "".join([*merged, without_ranges(tail)])


def lines_of_segments(raw):
    """For each complete segment its EXT-X-MAP, perhaps of an earlier one, and its other lines but date ranges."""
    segments, lines, init, begun = [], [], None, False
    for line in raw.splitlines():
        begun |= line.startswith(("#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DISCONTINUITY\n"))
        if line.startswith("#EXT-X-MAP"):
            init = line
        elif begun and not line.startswith(RANGE):
            lines.append(line)
            if not line.startswith("#"):
                segments.append((init, lines))
                lines = []
    return segments


def ranges(raw):
    return [line for line in raw.splitlines() if line.startswith(RANGE)]


def without_ranges(raw):
    return "".join(f"{line}\n" for line in raw.splitlines() if not line.startswith(RANGE))


def check_merged(merged, full):
    """What a client holds against the same revision in full."""
    report = Report()

    def media_lines(raw):
        return without_ranges(re.sub(r"#EXT-X-VERSION:\d+\n", "", raw))

    report.require(media_lines(merged) == media_lines(full), "H-081", "the merged playlist is not the full one")
    report.require(sorted(ranges(merged)) == sorted(ranges(full)), "H-082",
                   f"date ranges {ranges(merged)} merged, {ranges(full)} in full")
    return report.findings


def _media_sequence(raw):
    return int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", raw)[1])


def _identifier(line):
    return re.search(r'[:,]ID="([^"]*)"', line)[1]
