"""One revision of a live media playlist: its model, and the rules that it must meet by itself."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

from . import date_ranges, text
from .finding import Report

# FFmpeg refuses other endings of the path ("not in allowed_segment_extensions").
EXTENSIONS = (".m4s", ".mp4", ".ts", ".aac", ".vtt")
# 4.4.4.9: a part has at least 85 % of the part target.
PART_FLOOR = Decimal("0.85")
# Authoring 8.11: a live list keeps at least six segments once it begins to drop any.
SEGMENTS_LEAST = 6


@dataclass(frozen=True)
class Part:
    uri: str
    duration: Decimal
    independent: bool
    gap: bool
    raw: str
    number: int


@dataclass
class Segment:
    """A segment; `uri` is None for the one that still grows (parts only)."""

    msn: int
    uri: str | None = None
    duration: Decimal | None = None
    map_uri: str | None = None
    date: datetime | None = None
    discontinuities: int = 0
    gap: bool = False
    parts: list = field(default_factory=list)
    # Every line of it as written but parts and map, for byte-wise comparison.
    lines: list = field(default_factory=list)

    @property
    def discontinuity(self):
        return self.discontinuities > 0

    def length(self):
        if self.duration is not None:
            return self.duration
        return sum((part.duration for part in self.parts), Decimal(0))


@dataclass
class MediaPlaylist:
    raw: str
    segments: list = field(default_factory=list)
    version: int = 1
    target_duration: int = 0
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    has_discontinuity_sequence: bool = False
    part_target: Decimal | None = None
    server_control: dict = field(default_factory=dict)
    hints: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    date_ranges: list = field(default_factory=list)
    skip: dict | None = None
    independent: bool = False
    ended: bool = False
    header: list = field(default_factory=list)

    def complete(self):
        return [segment for segment in self.segments if segment.uri is not None]

    def open(self):
        last = self.segments[-1] if self.segments else None
        return last if last is not None and last.uri is None else None

    def next_msn(self):
        """The number of the segment that grows or comes next."""
        return self.media_sequence + len(self.complete())

    def last_position(self):
        """(msn, part) of the newest part; (msn, -1) where a segment has no listed part."""
        if not self.segments:
            return (self.media_sequence - 1, -1)
        last = self.segments[-1]
        return (last.msn, len(last.parts) - 1)

    def has_parts(self):
        return any(segment.parts for segment in self.segments)

    def part_hint(self):
        return next((hint["URI"] for hint in self.hints if hint.get("TYPE") == "PART" and "URI" in hint), None)

    def uris(self):
        """Everything that is advertised and not only hinted: maps, parts, segments."""
        for segment in self.segments:
            if segment.map_uri:
                yield "map", segment.map_uri
            if not segment.gap:
                yield from (("part", part.uri) for part in segment.parts if not part.gap)
                if segment.uri:
                    yield "segment", segment.uri


def decimal(value, rule, what, report, where=""):
    if not text.DECIMAL_FLOAT.match(value or ""):
        report.add(rule, f"{what} is not a decimal number: {value!r}", where)
        return Decimal(0)
    return Decimal(value)


def integer(value, rule, what, report, where=""):
    if not text.DECIMAL_INTEGER.match(value or ""):
        report.add(rule, f"{what} is not a decimal integer: {value!r}", where)
        return 0
    return int(value)


def parse(raw):
    """The playlist and the findings of reading it."""
    lines, findings = text.read(raw)
    report = Report(list(findings))
    playlist = MediaPlaylist(lines.raw)
    _Reader(playlist, report).run(lines.lines)
    return playlist, report.findings


class _Reader:
    """Walks the lines once; `segment` is the one being described."""

    def __init__(self, playlist, report):
        self.playlist = playlist
        self.report = report
        self.map_uri = None
        self.segment = None
        self.seen_segment = False
        self.tail = False

    def run(self, lines):
        for line in lines:
            if not line.name:
                self.uri(line)
            elif line.name in text.SEGMENT_TAGS:
                self.segment_tag(line)
            else:
                self.playlist_tag(line)
        if self.segment and (self.segment.parts or self.segment.lines):
            self.close(None)

    def current(self):
        if self.segment is None:
            msn = self.playlist.media_sequence + len(self.playlist.segments)
            self.segment = Segment(msn, map_uri=self.map_uri)
            self.seen_segment = True
        return self.segment

    def close(self, uri):
        segment = self.current()
        segment.uri = uri
        segment.map_uri = self.map_uri
        self.playlist.segments.append(segment)
        self.segment = None

    def uri(self, line):
        segment = self.current()
        self.report.require(segment.duration is not None, "H-010", "a segment without EXTINF", line.number)
        segment.duration = segment.duration if segment.duration is not None else Decimal(0)
        segment.lines.append(line.raw)
        self.close(line.raw)

    def segment_tag(self, line):
        segment = self.current()
        name = line.name
        # 4.4.4.9: these stand before the first EXT-X-PART of the segment.
        if name in ("EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME"):
            self.report.require(not segment.parts, "H-058", f"{name} stands after a part of its segment", line.number)
        if name == "EXT-X-PART":
            self.part(segment, line)
        elif name == "EXT-X-MAP":
            self.report.require("URI" in line.attributes, "H-030", "EXT-X-MAP without URI", line.number)
            self.map_uri = line.attributes.get("URI")
        else:
            segment.lines.append(line.raw)
            self.property(segment, line)

    def property(self, segment, line):
        if line.name == "EXTINF":
            value = line.value.partition(",")[0]
            self.report.require("," in line.value, "H-012", "EXTINF without a comma", line.number)
            segment.duration = decimal(value, "H-012", "EXTINF", self.report, line.number)
        elif line.name == "EXT-X-PROGRAM-DATE-TIME":
            segment.date = self.date(line)
        elif line.name == "EXT-X-DISCONTINUITY":
            segment.discontinuities += 1
        elif line.name == "EXT-X-GAP":
            segment.gap = True

    def date(self, line):
        try:
            date = datetime.fromisoformat(line.value)
        except ValueError:
            self.report.add("H-090", f"not a date: {line.value!r}", line.number)
            return None
        # 4.4.4.6: SHOULD give a time zone and milliseconds.
        precise = "." in line.value and len(line.value.split(".")[1].rstrip("Z").split("+")[0].split("-")[0]) >= 3
        self.report.require(date.tzinfo is not None, "H-090", "a date without time zone", line.number)
        self.report.require(precise, "H-090", "a date coarser than a millisecond", line.number)
        return date if date.tzinfo is not None else None

    def part(self, segment, line):
        attributes = line.attributes
        for key in ("URI", "DURATION"):
            self.report.require(key in attributes, "H-051", f"EXT-X-PART without {key}", line.number)
        for key in ("INDEPENDENT", "GAP"):
            self.report.require(attributes.get(key, "YES") == "YES", "H-004", f"{key} is not YES", line.number)
        duration = decimal(attributes.get("DURATION"), "H-051", "DURATION", self.report, line.number)
        segment.parts.append(
            Part(attributes.get("URI", ""), duration, "INDEPENDENT" in attributes, "GAP" in attributes,
                 line.raw, line.number)
        )

    def playlist_tag(self, line):
        playlist, report, name = self.playlist, self.report, line.name
        if name == "EXT-X-PRELOAD-HINT":
            playlist.hints.append(line.attributes)
        elif name == "EXT-X-DATERANGE":
            playlist.date_ranges.append(line)
        elif name == "EXT-X-SKIP":
            playlist.skip = line.attributes
        elif name == "EXT-X-RENDITION-REPORT":
            playlist.reports.append(line.attributes)
        elif name == "EXT-X-ENDLIST":
            playlist.ended = True
        elif name == "EXT-X-MEDIA-SEQUENCE":
            report.require(not self.seen_segment, "H-013", "EXT-X-MEDIA-SEQUENCE after a segment", line.number)
            playlist.media_sequence = integer(line.value, "H-013", name, report, line.number)
        elif name == "EXT-X-DISCONTINUITY-SEQUENCE":
            report.require(not self.seen_segment, "H-014", f"{name} after a segment", line.number)
            playlist.has_discontinuity_sequence = True
            playlist.discontinuity_sequence = integer(line.value, "H-014", name, report, line.number)
        else:
            self.header_tag(line)

    def header_tag(self, line):
        playlist, report, name = self.playlist, self.report, line.name
        if name != "EXTM3U":
            playlist.header.append(line.raw)
        if name == "EXT-X-VERSION":
            playlist.version = integer(line.value, "H-003", name, report, line.number)
        elif name == "EXT-X-TARGETDURATION":
            playlist.target_duration = integer(line.value, "H-010", name, report, line.number)
        elif name == "EXT-X-PART-INF":
            value = line.attributes.get("PART-TARGET")
            playlist.part_target = decimal(value, "H-050", "PART-TARGET", report, line.number)
        elif name == "EXT-X-SERVER-CONTROL":
            playlist.server_control = line.attributes
        elif name == "EXT-X-INDEPENDENT-SEGMENTS":
            playlist.independent = True
        elif name == "EXT-X-PLAYLIST-TYPE":
            report.add("H-025", "EXT-X-PLAYLIST-TYPE on a live playlist", line.number)


def check(raw):
    """Reads and judges one revision. Returns the playlist and all findings."""
    playlist, findings = parse(raw)
    report = Report(list(findings))
    _version(playlist, report)
    _durations(playlist, report)
    _names(playlist, report)
    _dates(playlist, report)
    report.merge(date_ranges.check(playlist))
    _server_control(playlist, report)
    if playlist.part_target is not None or playlist.has_parts():
        _parts(playlist, report)
        _stale_parts(playlist, report)
    _hints(playlist, report)
    _window(playlist, report)
    return playlist, report.findings


def _version(playlist, report):
    """8 and 6.2.1."""
    needed = 1
    if any("." in line for segment in playlist.segments for line in segment.lines if line.startswith("#EXTINF")):
        needed = 3
    if any(segment.map_uri for segment in playlist.segments):
        needed = 6
    report.require(playlist.version >= needed, "H-003", f"EXT-X-VERSION {playlist.version} where {needed} is needed")
    # An Apple client wants 9 beside CAN-SKIP-UNTIL; else no more than needed.
    allowed = 9 if "CAN-SKIP-UNTIL" in playlist.server_control else needed
    if playlist.segments:
        report.require(playlist.version <= allowed, "H-003",
                       f"EXT-X-VERSION {playlist.version} where {needed} is enough")


def _durations(playlist, report):
    target = playlist.target_duration
    report.require(target >= 1, "H-010", "no EXT-X-TARGETDURATION of 1 or more")
    for segment in playlist.complete():
        seconds = int(segment.duration.quantize(Decimal(1), rounding="ROUND_HALF_UP"))
        report.require(seconds <= target, "H-010",
                       f"EXTINF {segment.duration} exceeds TARGETDURATION {target}", segment.uri)
        digits = -segment.duration.as_tuple().exponent
        # 4.4.4.1 with Authoring 8.1: sums stay within a frame.
        report.require(digits >= 5 or segment.duration == segment.duration.to_integral_value(), "H-012",
                       f"EXTINF {segment.duration} has fewer than 5 decimals", segment.uri)
        if segment.parts and segment.parts[0].number:
            total = sum(part.duration for part in segment.parts)
            report.require(abs(total - segment.duration) <= Decimal("0.001"), "H-041",
                           f"parts last {total}, EXTINF says {segment.duration}", segment.uri)


def _names(playlist, report):
    seen = {}
    for kind, uri in playlist.uris():
        path = urlsplit(uri).path
        report.require(path.endswith(EXTENSIONS), "H-009", f"a path that FFmpeg refuses: {uri}", uri)
        if kind == "map":
            continue
        report.require(uri not in seen, "H-008", f"{uri} stands for two things", uri)
        seen[uri] = kind


def _dates(playlist, report):
    if not playlist.segments:
        return
    report.require(any(segment.date for segment in playlist.segments), "H-090", "no EXT-X-PROGRAM-DATE-TIME")
    expected = None
    for segment in playlist.segments:
        if segment.discontinuity:
            report.require(segment.date, "H-090", "a DISCONTINUITY without EXT-X-PROGRAM-DATE-TIME", segment.msn)
            expected = None
        if segment.date:
            now = Decimal(str(segment.date.timestamp()))
            # 6.2.1: dates may overlap by less than a second; ours are one clock, so far less.
            if expected is not None and abs(now - expected) > Decimal("0.1"):
                report.add("H-091", f"the date jumps by {now - expected} s", segment.msn)
            expected = now
        if expected is not None:
            expected += segment.length()


def _server_control(playlist, report):
    """4.4.3.8, Authoring 14.3."""
    control, target = playlist.server_control, playlist.target_duration
    if playlist.part_target is not None:
        report.require(control.get("CAN-BLOCK-RELOAD") == "YES", "H-054", "parts without CAN-BLOCK-RELOAD=YES")
        hold = control.get("PART-HOLD-BACK")
        if report.require(hold is not None, "H-052", "PART-INF without PART-HOLD-BACK"):
            value = decimal(hold, "H-052", "PART-HOLD-BACK", report)
            report.require(value >= 3 * playlist.part_target, "H-052",
                           f"PART-HOLD-BACK {hold} is below three times PART-TARGET {playlist.part_target}")
    if "HOLD-BACK" in control:
        value = decimal(control["HOLD-BACK"], "H-053", "HOLD-BACK", report)
        report.require(value >= 3 * target, "H-053", f"HOLD-BACK {value} is below three times {target}")
    if "CAN-SKIP-UNTIL" in control:
        value = decimal(control["CAN-SKIP-UNTIL"], "H-055", "CAN-SKIP-UNTIL", report)
        report.require(value >= 6 * target, "H-055", f"CAN-SKIP-UNTIL {value} is below six times {target}")
    if "CAN-SKIP-DATERANGES" in control:
        report.require("CAN-SKIP-UNTIL" in control, "H-056", "CAN-SKIP-DATERANGES without CAN-SKIP-UNTIL")
        report.require(control["CAN-SKIP-DATERANGES"] == "YES", "H-056", "CAN-SKIP-DATERANGES is not YES")


def _parts(playlist, report):
    """4.4.4.9."""
    target = playlist.part_target
    if not report.require(target is not None and target > 0, "H-050", "parts without EXT-X-PART-INF"):
        return
    for segment in playlist.segments:
        for index, part in enumerate(segment.parts):
            following = segment.parts[index + 1] if index + 1 < len(segment.parts) else None
            _part(segment, part, following, target, report)


def _part(segment, part, following, target, report):
    report.require(part.duration > 0, "H-051", "a part without length", part.uri)
    # The upper bound has no exemption.
    report.require(part.duration <= target, "H-051",
                   f"a part of {part.duration} exceeds PART-TARGET {target}", part.uri)
    last = following is None
    exempt = part.independent or part.gap or last or following.gap
    report.require(exempt or part.duration >= target * PART_FLOOR, "H-051",
                   f"a part of {part.duration} is below 85 % of PART-TARGET {target}", part.uri)


def _stale_parts(playlist, report):
    """6.2.2: parts further than three target durations from the end are not listed."""
    behind = Decimal(0)
    limit = 3 * playlist.target_duration
    without = False
    for segment in reversed(playlist.segments):
        if segment.parts:
            report.require(behind <= limit, "H-017", f"parts {behind} s from the end", segment.msn)
            report.require(not without, "H-066", "parts of an older segment, but none of a newer", segment.msn)
        without = without or (segment.uri is not None and not segment.parts and not segment.gap)
        behind += segment.length()
    near = [segment for segment in playlist.segments[-2:] if segment.uri and not segment.parts and not segment.gap]
    report.require(not near or not playlist.has_parts() or playlist.ended, "H-066",
                   "the newest segments have no parts")


def _hints(playlist, report):
    """4.4.5.3 and B.1."""
    kinds = [hint.get("TYPE") for hint in playlist.hints]
    report.require(len(kinds) == len(set(kinds)), "H-060", f"hints twice: {kinds}")
    for hint in playlist.hints:
        report.require(hint.get("TYPE") in ("PART", "MAP"), "H-060", f"a hint of type {hint.get('TYPE')}")
        report.require("URI" in hint, "H-060", "a hint without URI")
    if playlist.ended:
        report.require(not playlist.hints, "H-021", "a hint after the end")
        return
    if playlist.part_target is not None:
        report.require("PART" in kinds, "H-060", "no hint of the next part")
    listed = {uri for _, uri in playlist.uris()}
    report.require(playlist.part_hint() not in listed, "H-060", "hints a part that is listed")


def _window(playlist, report):
    complete = playlist.complete()
    # Authoring 8.17.
    if any(segment.discontinuity for segment in playlist.segments):
        report.require(playlist.has_discontinuity_sequence, "H-014",
                       "a DISCONTINUITY without EXT-X-DISCONTINUITY-SEQUENCE")
    if playlist.ended:
        report.require(playlist.open() is None, "H-021", "an unfinished segment after the end")
    if playlist.media_sequence == 0 or playlist.ended or not complete:
        return
    total = sum(segment.duration for segment in complete)
    # 6.2.2: removal leaves three target durations; Authoring 8.11: six segments.
    # A sequence that starts above zero has not removed anything; `revisions` knows.
    if len(complete) >= SEGMENTS_LEAST:
        report.require(total >= 3 * playlist.target_duration, "H-015", f"only {total} s are listed")


__all__ = ["MediaPlaylist", "Part", "Segment", "check", "parse"]
