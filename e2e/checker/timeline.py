"""A media playlist against its media: durations, independence, dates, continuity, bit rates."""

from dataclasses import dataclass, field
from fractions import Fraction

from . import fmp4
from .finding import Report

# EXTINF and DURATION are written with five decimals or more.
ROUNDING = Fraction(1, 50_000)


@dataclass
class Rendition:
    """A rendition as a client fetched it. `bodies` maps the URIs of the playlist to bytes."""

    name: str
    playlist: object
    bodies: dict
    tracks: dict = field(default_factory=dict)
    fragments: dict = field(default_factory=dict)

    def track(self):
        return next(iter(self.tracks.values()), None)


def check(rendition):
    """Reads all that the last revision lists and was fetched; H-012, H-032 to H-034, H-041, H-057."""
    report = Report()
    playlist = rendition.playlist
    for segment in playlist.segments:
        _maps(rendition, segment, report)
    position, total = None, Fraction(0)
    for segment in playlist.segments:
        track = rendition.tracks.get(segment.map_uri)
        if segment.gap or track is None:
            position = None
            continue
        position, total = _segment(rendition, segment, track, position, total, report)
    return report.findings


def _maps(rendition, segment, report):
    uri = segment.map_uri
    if not report.require(uri is not None, "H-030", "a segment without EXT-X-MAP", segment.msn):
        return
    if uri in rendition.tracks or uri not in rendition.bodies:
        return
    track, findings = fmp4.check_init(rendition.bodies[uri])
    report.merge(findings, uri)
    if track:
        rendition.tracks[uri] = track


def _read(rendition, uri, track, report):
    if uri not in rendition.bodies:
        return None
    if uri not in rendition.fragments:
        fragment, findings = fmp4.check_media(rendition.bodies[uri], track)
        report.merge(findings, uri)
        if fragment is None or not fragment.samples:
            return None
        report.merge(fmp4.check_samples(fragment, track), uri)
        rendition.fragments[uri] = fragment
    return rendition.fragments[uri]


def _segment(rendition, segment, track, position, total, report):
    """Returns where the next one must begin, and the sum of the rounding errors so far."""
    if segment.discontinuity:
        position, total = None, Fraction(0)
    parts = [_read(rendition, part.uri, track, report) for part in segment.parts if not part.gap]
    for part, fragment in zip(segment.parts, parts):
        if fragment:
            _part(part, fragment, track, report)
    whole = _read(rendition, segment.uri, track, report) if segment.uri else None
    if whole is None:
        return (parts[-1].end() if parts and parts[-1] else None), total
    report.require(fmp4.starts_with_idr(whole, track), "H-033", "does not start with an IDR", segment.uri)
    if position is not None:
        report.require(whole.decode_time == position, "H-032",
                       f"tfdt is {whole.decode_time}, expected {position}", segment.uri)
    seconds = Fraction(whole.duration(), track.timescale)
    total += Fraction(segment.duration) - seconds
    # Authoring 8.1: the sum over any run stays within a frame.
    frame = Fraction(whole.samples[0].duration, track.timescale)
    report.require(abs(total) <= frame, "H-012", f"EXTINFs drift by {float(total):.5f} s", segment.uri)
    report.require(abs(Fraction(segment.duration) - seconds) <= max(ROUNDING, Fraction(1, track.timescale)), "H-012",
                   f"EXTINF {segment.duration}, media {float(seconds):.5f} s", segment.uri)
    if segment.parts and all(parts):
        report.merge(fmp4.check_parts_against_segment(parts, whole), segment.uri)
    return whole.end(), total


def _part(part, fragment, track, report):
    seconds = Fraction(fragment.duration(), track.timescale)
    report.require(abs(Fraction(part.duration) - seconds) <= max(ROUNDING, Fraction(1, track.timescale)), "H-051",
                   f"DURATION {part.duration}, media {float(seconds):.5f} s", part.uri)
    if track.kind == "vide":
        idr = fmp4.starts_with_idr(fragment, track)
        report.require(part.independent == idr, "H-057",
                       f"INDEPENDENT is {part.independent}, starts with an IDR: {idr}", part.uri)


def date_offsets(rendition):
    """For each dated segment: (msn, date - media time) in seconds."""
    found = []
    for segment in rendition.playlist.segments:
        fragment = rendition.fragments.get(segment.uri)
        track = rendition.tracks.get(segment.map_uri)
        if segment.date and fragment and track:
            found.append((segment.msn, segment.date.timestamp() - fragment.decode_time / track.timescale))
    return found


def segment_rates(rendition):
    """[(duration in s, size in bits)] of the complete segments that were fetched."""
    return [
        (float(segment.duration), 8 * len(rendition.bodies[segment.uri]))
        for segment in rendition.playlist.complete()
        if segment.uri in rendition.bodies and not segment.gap
    ]


def peak_rate(rates, target_duration):
    """4.1: the largest rate of a contiguous run of 0.5 to 1.5 target durations (+ 0.5 s)."""
    shortest, longest = 0.5 * target_duration, 1.5 * target_duration + 0.5
    peak = 0.0
    for start in range(len(rates)):
        seconds = bits = 0
        for duration, size in rates[start:]:
            seconds, bits = seconds + duration, bits + size
            if seconds > longest:
                break
            if seconds >= shortest:
                peak = max(peak, bits / seconds)
    return peak


def average_rate(rates):
    seconds = sum(duration for duration, _ in rates)
    return sum(size for _, size in rates) / seconds if seconds else 0.0
