"""What may change between two revisions of one media playlist: rfc8216bis 6.2.1 and 6.2.2.

Allowed: lines appended; segments removed from the head, in order; parts removed that are older
than three target durations; the two sequence numbers raised to match; hints and rendition reports
replaced; EXT-X-ENDLIST added. Anything else is a finding.
"""

from dataclasses import dataclass
from decimal import Decimal

from . import date_ranges, media
from .finding import Report


@dataclass
class Revision:
    """A playlist as a client got it. `at` is a monotonic time in seconds."""

    at: float
    playlist: media.MediaPlaylist


def check_pair(old, new):
    """The findings of going from `old` to `new`, both MediaPlaylists of one URL."""
    report = Report()
    report.require(_values(old) == _values(new), "H-011" if old.target_duration != new.target_duration else "H-019",
                   f"the head changed from {_values(old)} to {_values(new)}")
    report.require(new.part_target == old.part_target, "H-050", "PART-TARGET changed")
    report.require(new.server_control == old.server_control, "H-052", "EXT-X-SERVER-CONTROL changed")
    if old.ended:
        report.require(new.raw == old.raw, "H-021", "changed after the end")
        return report.findings
    if not report.require(new.media_sequence >= old.media_sequence, "H-013",
                          f"EXT-X-MEDIA-SEQUENCE fell from {old.media_sequence} to {new.media_sequence}"):
        return report.findings
    report.require(new.last_position() >= _kept_position(old, new), "H-018",
                   f"the end went back from {old.last_position()} to {new.last_position()}")
    _removed(old, new, report)
    _kept(old, new, report)
    _hint(old, new, report)
    report.merge(date_ranges.check_pair(old, new))
    return report.findings


def _values(playlist):
    """The tags of the whole playlist that never change."""
    return sorted(playlist.header)


def _kept_position(old, new):
    """The newest position of `old`, counted without parts where `new` may have dropped them."""
    msn, part = old.last_position()
    known = next((segment for segment in new.segments if segment.msn == msn), None)
    if known is not None and known.uri is not None and not known.parts:
        return (msn, -1)
    return (msn, part)


def _removed(old, new, report):
    count = new.media_sequence - old.media_sequence
    gone = old.segments[:count]
    if not report.require(all(segment.uri is not None for segment in gone), "H-018", "an open segment was removed"):
        return
    discontinuities = sum(segment.discontinuities for segment in gone)
    expected = old.discontinuity_sequence + discontinuities
    report.require(new.discontinuity_sequence == expected, "H-014",
                   f"EXT-X-DISCONTINUITY-SEQUENCE is {new.discontinuity_sequence}, expected {expected}")
    if count and not new.ended:
        left = sum((segment.duration for segment in new.complete()), Decimal(0))
        report.require(left >= 3 * new.target_duration, "H-015", f"removal left {left} s")
        report.require(len(new.complete()) >= media.SEGMENTS_LEAST, "H-015",
                       f"removal left {len(new.complete())} segments")


def _kept(old, new, report):
    by_msn = {segment.msn: segment for segment in new.segments}
    for before in old.segments:
        if before.msn < new.media_sequence:
            continue
        after = by_msn.get(before.msn)
        if not report.require(after is not None, "H-018", f"segment {before.msn} vanished"):
            continue
        if before.uri is not None:
            report.require(after.uri == before.uri, "H-008", f"segment {before.msn} changed its URI from "
                           f"{before.uri} to {after.uri}")
            report.require(after.lines == before.lines, "H-019",
                           f"segment {before.msn} changed from {before.lines} to {after.lines}")
        else:
            # It grew, or was finished: what stood there stands there still, in order.
            kept = after.lines[: len(before.lines)] == before.lines
            report.require(kept, "H-019", f"open segment {before.msn} changed from {before.lines} to {after.lines}")
        report.require(after.map_uri == before.map_uri, "H-019", f"segment {before.msn} changed its map")
        _kept_parts(before, after, new, report)


def _kept_parts(before, after, new, report):
    old_parts = [part.raw for part in before.parts]
    new_parts = [part.raw for part in after.parts]
    if new_parts[: len(old_parts)] == old_parts:
        if before.uri is not None:
            report.require(len(new_parts) == len(old_parts), "H-019", f"segment {before.msn} grew after its end")
        return
    # 6.2.2: parts may be taken away only when they are three target durations old.
    behind = sum((segment.length() for segment in new.segments if segment.msn > before.msn), Decimal(0))
    is_tail = not new_parts or old_parts[-len(new_parts):] == new_parts
    if not report.require(is_tail, "H-019", f"parts of segment {before.msn} changed"):
        return
    age = behind + after.length()
    report.require(age > 3 * new.target_duration or new.ended, "H-017",
                   f"parts of segment {before.msn} were removed at an age of {age} s")


def _hint(old, new, report):
    """4.4.5.3: the hinted URI is the one that comes, unless the segmentation changed."""
    hinted = old.part_hint()
    if hinted is None:
        return
    position = old.last_position()
    following = _first_part_after(new, position)
    if following is None:
        return
    segment, part = following
    if segment.discontinuity and part is segment.parts[0]:
        return
    report.require(part.uri == hinted, "H-060", f"hinted {hinted}, then listed {part.uri}")


def _first_part_after(playlist, position):
    for segment in playlist.segments:
        for index, part in enumerate(segment.parts):
            if (segment.msn, index) > position:
                return segment, part
        # A finished segment without listed parts hides what came.
        if segment.msn > position[0] and not segment.parts:
            return None
    return None


def check_all(revisions):
    """Every consecutive pair of a list of Revision."""
    report = Report()
    for old, new in zip(revisions, revisions[1:]):
        where = f"revision at {new.playlist.last_position()}"
        report.merge(check_pair(old.playlist, new.playlist), where)
    report.merge(date_ranges.check_reuse(revisions))
    return report.findings


def check_cadence(revisions, slack=1.0):
    """H-020: a new segment within 1.5 target durations, a new part within one part target.

    `slack` multiplies both bounds, for a client on a busy machine.
    """
    report = Report()
    live = [revision for revision in revisions if not revision.playlist.ended]
    _cadence(live, lambda playlist: playlist.next_msn(), report, "segment",
             lambda playlist: 1.5 * playlist.target_duration * slack)
    if live and live[0].playlist.part_target is not None:
        # A part is late only once it lies a whole part target behind the one before it.
        _cadence(live, lambda playlist: playlist.last_position(), report, "part",
                 lambda playlist: 2 * float(playlist.part_target) * slack)
    return report.findings


def _cadence(revisions, position, report, what, limit):
    last = None
    for revision in revisions:
        now = position(revision.playlist)
        if last is not None and now != last[0]:
            waited = revision.at - last[1]
            allowed = limit(revision.playlist)
            report.require(waited <= allowed, "H-020",
                           f"a {what} came {waited:.2f} s after the last, allowed {allowed:.2f} s", now)
        if last is None or now != last[0]:
            last = (now, revision.at)
