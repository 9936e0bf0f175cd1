"""The multivariant playlist (rfc8216bis 4.4.6), and media playlists against each other (6.2.4)."""

import statistics
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from . import date_ranges, text, timeline
from .finding import Report
from .media import decimal, integer

# H-101: the measured peak of a live stream stays below 125 % of BANDWIDTH, the average below 110 %.
PEAK_MOST = 1.25
AVERAGE_MOST = 1.10
# Dates are written in milliseconds, by every rendition from the same clock.
DATE_TOLERANCE = 0.005


@dataclass
class Variant:
    uri: str
    attributes: dict
    number: int


@dataclass
class Multivariant:
    raw: str
    version: int = 1
    independent: bool = False
    variants: list = field(default_factory=list)
    media: list = field(default_factory=list)

    def playlists(self, url):
        """The absolute URLs of all media playlists, each once."""
        uris = [variant.uri for variant in self.variants]
        uris += [media["URI"] for media in self.media if "URI" in media]
        return list(dict.fromkeys(urljoin(url, uri) for uri in uris))


def parse(raw):
    lines, findings = text.read(raw)
    report = Report(list(findings))
    playlist = Multivariant(lines.raw)
    pending = None
    for line in lines.lines:
        if pending is not None:
            report.require(not line.name, "H-100", "EXT-X-STREAM-INF without a URI line", pending.number)
        if not line.name:
            if report.require(pending is not None, "H-100", "a URI line without EXT-X-STREAM-INF", line.number):
                playlist.variants.append(Variant(line.raw, pending.attributes, pending.number))
        pending = line if line.name == "EXT-X-STREAM-INF" else None
        if line.name == "EXT-X-MEDIA":
            playlist.media.append(line.attributes)
        elif line.name == "EXT-X-VERSION":
            playlist.version = integer(line.value, "H-003", line.name, report, line.number)
        elif line.name == "EXT-X-INDEPENDENT-SEGMENTS":
            playlist.independent = True
    report.require(pending is None, "H-100", "EXT-X-STREAM-INF at the end")
    return playlist, report.findings


def check(raw):
    """Reads and judges the multivariant playlist by itself."""
    playlist, findings = parse(raw)
    report = Report(list(findings))
    report.require(playlist.variants, "H-100", "no variants")
    report.require(playlist.independent, "H-033", "no EXT-X-INDEPENDENT-SEGMENTS")
    groups = {(media.get("TYPE"), media.get("GROUP-ID")) for media in playlist.media}
    for variant in playlist.variants:
        _variant(variant, groups, report)
    captions = {variant.attributes.get("CLOSED-CAPTIONS") for variant in playlist.variants}
    report.require("NONE" not in captions or captions == {"NONE"}, "H-100", "CLOSED-CAPTIONS=NONE on some only")
    uris = [variant.uri for variant in playlist.variants]
    report.require(len(uris) == len(set(uris)), "H-100", "two variants with one URI")
    _media(playlist, report)
    return playlist, report.findings


def _variant(variant, groups, report):
    attributes, where = variant.attributes, variant.uri
    for key in ("BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS"):
        report.require(key in attributes, "H-100", f"no {key}", where)
    peak = integer(attributes.get("BANDWIDTH", "0"), "H-100", "BANDWIDTH", report, where)
    average = integer(attributes.get("AVERAGE-BANDWIDTH", "0"), "H-100", "AVERAGE-BANDWIDTH", report, where)
    report.require(average <= peak, "H-100", "AVERAGE-BANDWIDTH above BANDWIDTH", where)
    codecs = attributes.get("CODECS", "")
    if any(codec.startswith(("avc", "hvc", "hev", "av01")) for codec in codecs.split(",")):
        resolution = attributes.get("RESOLUTION", "")
        report.require(text.RESOLUTION.match(resolution), "H-100", f"RESOLUTION is {resolution!r}", where)
        rate = attributes.get("FRAME-RATE", "")
        decimal(rate, "H-100", "FRAME-RATE", report, where)
        report.require(len(rate.partition(".")[2]) == 3, "H-100", f"FRAME-RATE {rate} has not 3 decimals", where)
    for kind in ("AUDIO", "VIDEO", "SUBTITLES"):
        group = attributes.get(kind)
        report.require(group is None or (kind, group) in groups, "H-103", f"no group {kind} {group!r}", where)


def _media(playlist, report):
    names, defaults = set(), set()
    for media in playlist.media:
        kind, group, name = (media.get(key) for key in ("TYPE", "GROUP-ID", "NAME"))
        for key in ("TYPE", "GROUP-ID", "NAME"):
            report.require(key in media, "H-103", f"EXT-X-MEDIA without {key}", name)
        report.require((kind, group, name) not in names, "H-103", f"NAME {name!r} twice in {group!r}")
        names.add((kind, group, name))
        if media.get("DEFAULT") == "YES":
            report.require((kind, group) not in defaults, "H-103", f"two defaults in {group!r}")
            defaults.add((kind, group))
            report.require(media.get("AUTOSELECT", "YES") == "YES", "H-103", "DEFAULT=YES with AUTOSELECT=NO", name)
            report.require("AUTOSELECT" in media, "H-103", "DEFAULT=YES without AUTOSELECT=YES", name)
        if kind == "AUDIO":
            report.require("CHANNELS" in media, "H-103", "audio without CHANNELS", name)
        if kind != "VIDEO":
            report.require("LANGUAGE" in media, "H-103", "no LANGUAGE", name)
        if kind == "CLOSED-CAPTIONS":
            report.require("INSTREAM-ID" in media and "URI" not in media, "H-103", "bad CLOSED-CAPTIONS", name)


# Against each other ------------------------------------------------------------------------------


def check_together(renditions):
    """6.2.4 and B.1, over the last revisions of all renditions (`timeline.Rendition`), already checked."""
    report = Report()
    first = renditions[0]
    for other in renditions[1:]:
        a, b = first.playlist, other.playlist
        report.require(a.target_duration == b.target_duration, "H-104", "other TARGETDURATION", other.name)
        report.require(a.server_control == b.server_control, "H-104", "other EXT-X-SERVER-CONTROL", other.name)
        report.require((a.part_target is None) == (b.part_target is None), "H-059", "parts on some only", other.name)
        _aligned(first, other, report)
    _dates_agree(renditions, report)
    report.merge(date_ranges.check_together([rendition.playlist for rendition in renditions]))
    return report.findings


def _frame(rendition):
    track = rendition.track()
    fragment = next(iter(rendition.fragments.values()), None)
    if not track or not fragment:
        return 0.05
    return fragment.samples[0].duration / track.timescale


def _starts(rendition):
    """[(msn, start in s of media time)] of the complete segments that were fetched."""
    found = []
    for segment in rendition.playlist.complete():
        fragment = rendition.fragments.get(segment.uri)
        track = rendition.tracks.get(segment.map_uri)
        if fragment and track:
            found.append((segment.msn, fragment.decode_time / track.timescale))
    return found


def _aligned(first, other, report):
    """H-105: boundaries at the same instants, audio at the first frame boundary at or after."""
    tolerance = max(_frame(first), _frame(other))
    theirs = [start for _, start in _starts(other)]
    if not theirs:
        return
    for msn, start in _starts(first):
        if not theirs[0] - tolerance <= start <= theirs[-1] + tolerance:
            continue
        distance = min(abs(start - their) for their in theirs)
        report.require(distance <= tolerance, "H-105",
                       f"segment {msn} of {first.name} starts {distance:.3f} s off a boundary", other.name)


def _dates_agree(renditions, report):
    """H-090: the same date at the same media time everywhere."""
    known = [offset for rendition in renditions for _, offset in timeline.date_offsets(rendition)]
    if known:
        # One broadcast without a discontinuity is one straight line.
        whole = all(not s.discontinuity for r in renditions for s in r.playlist.segments)
        report.require(not whole or max(known) - min(known) <= DATE_TOLERANCE, "H-090",
                       f"dates against media time differ by {max(known) - min(known):.4f} s")


def check_reports(url, playlist, others, part_lead=1):
    """H-064: one report for each other playlist, as fresh as this one. `others` are absolute URLs."""
    report = Report()
    found = {}
    for line in playlist.reports:
        uri = line.get("URI", "")
        report.require(uri and not urlsplit(uri).scheme and not urlsplit(uri).netloc, "H-064",
                       f"the URI {uri!r} is not relative")
        target = urljoin(url, uri)
        report.require(target not in found, "H-064", f"two reports of {uri}")
        found[target] = line
    if playlist.ended and not found:
        return report.findings
    wanted = {other for other in others if other != url}
    report.require(set(found) == wanted, "H-064", f"reports of {sorted(found)}, expected {sorted(wanted)}")
    msn, part = playlist.last_position()
    for target, line in found.items():
        last = int(line.get("LAST-MSN", msn)), int(line.get("LAST-PART", part))
        # Renditions are updated in step within one part: a report may be one part behind or ahead.
        behind = (msn, part - part_lead)
        report.require(last >= behind or (part < part_lead and last[0] == msn - 1), "H-064",
                       f"reports {last} where this one is at {(msn, part)}", target)
    return report.findings


def check_media_against(playlist, url, renditions):
    """H-101 and H-102: the multivariant playlist against media. `renditions` maps absolute URLs to Renditions."""
    report = Report()
    for variant in playlist.variants:
        members = [renditions.get(urljoin(url, variant.uri))]
        group = variant.attributes.get("AUDIO")
        members += [
            renditions.get(urljoin(url, media["URI"]))
            for media in playlist.media
            if media.get("TYPE") == "AUDIO" and media.get("GROUP-ID") == group and "URI" in media
        ]
        members = [member for member in members if member is not None]
        _codecs(variant, members, report)
        _picture(variant, members, report)
        _bandwidth(variant, members, report)
    for media in playlist.media:
        rendition = renditions.get(urljoin(url, media.get("URI", "")))
        track = rendition.track() if rendition else None
        if media.get("TYPE") == "AUDIO" and track:
            report.require(media.get("CHANNELS", "").split("/")[0] == str(track.channels), "H-103",
                           f"CHANNELS {media.get('CHANNELS')}, media has {track.channels}", media.get("NAME"))
    return report.findings


def _codecs(variant, members, report):
    said = sorted(variant.attributes.get("CODECS", "").split(","))
    found = sorted({track.codec for member in members for track in member.tracks.values()})
    report.require(said == found, "H-102", f"CODECS says {said}, the init sections {found}", variant.uri)


def _picture(variant, members, report):
    for member in members:
        track = member.track()
        if not track or track.kind != "vide":
            continue
        size = f"{track.width}x{track.height}"
        report.require(variant.attributes.get("RESOLUTION") == size, "H-100",
                       f"RESOLUTION {variant.attributes.get('RESOLUTION')}, media {size}", variant.uri)
        fragments = list(member.fragments.values())
        if fragments:
            samples = [sample for fragment in fragments for sample in fragment.samples]
            # FRAME-RATE is the highest: where a picture of the source was lost, the one before is shown for longer.
            usual = statistics.median(sample.duration for sample in samples)
            whole = [sample for sample in samples if sample.duration < 1.5 * usual]
            rate = track.timescale * len(whole) / sum(sample.duration for sample in whole)
            report.require(abs(float(variant.attributes.get("FRAME-RATE", 0)) - rate) < 0.05, "H-100",
                           f"FRAME-RATE {variant.attributes.get('FRAME-RATE')}, media {rate:.3f}", variant.uri)


def _bandwidth(variant, members, report):
    rates = [timeline.segment_rates(member) for member in members]
    if not members or not all(rates):
        return
    target = members[0].playlist.target_duration
    peak = sum(timeline.peak_rate(rate, target) for rate in rates)
    average = sum(timeline.average_rate(rate) for rate in rates)
    said_peak = int(variant.attributes.get("BANDWIDTH", 0))
    said_average = int(variant.attributes.get("AVERAGE-BANDWIDTH", 0))
    report.require(peak < PEAK_MOST * said_peak, "H-101", f"peak {peak:.0f}, BANDWIDTH {said_peak}", variant.uri)
    report.require(average < AVERAGE_MOST * said_average, "H-101",
                   f"average {average:.0f}, AVERAGE-BANDWIDTH {said_average}", variant.uri)
