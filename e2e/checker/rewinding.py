"""A list for rewinding: what it must not have, and that it names the same segments as the live list beside it."""

from .finding import Report


def check(playlist):
    """The list by itself, besides `media.check`: whole segments and nothing that is to come."""
    report = Report()
    report.require(not playlist.has_parts() and playlist.part_target is None, "H-120", "parts, or EXT-X-PART-INF")
    report.require(not playlist.hints, "H-120", "a hint")
    report.require(playlist.open() is None, "H-120", "a segment that is not complete")
    report.require("CAN-SKIP-UNTIL" in playlist.server_control, "H-121", "no delta updates of a list so long")
    return report.findings


def check_against(playlist, live):
    """The same number names the same segment in both, as far as both have it. `live` is a MediaPlaylist."""
    report = Report()
    report.require(playlist.target_duration == live.target_duration, "H-104", "other TARGETDURATION than live")
    numbers = _discontinuities(live)
    for msn, number in _discontinuities(playlist).items():
        report.require(numbers.get(msn, number) == number, "H-104", f"other discontinuity number of segment {msn}")
    known = {segment.msn: segment for segment in live.complete()}
    for segment in playlist.complete():
        other = known.get(segment.msn)
        if other is None or segment.gap:
            continue
        for what in ("uri", "map_uri", "duration", "date"):
            ours, theirs = getattr(segment, what), getattr(other, what)
            report.require(ours == theirs, "H-122", f"{what} of segment {segment.msn}: {ours}, live {theirs}")
    return report.findings


def _discontinuities(playlist):
    """{number of a segment: its discontinuity sequence number}."""
    found, number = {}, playlist.discontinuity_sequence
    for segment in playlist.segments:
        number += segment.discontinuities
        found[segment.msn] = number
    return found
