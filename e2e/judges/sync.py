"""Sync of sound and picture over a run through a bad network, and holes in the timelines.

All times are those of the media, in seconds, unless said otherwise.
"""

from dataclasses import dataclass
from fractions import Fraction

from checker import timeline

from . import flashes, union

# A capture time by the date of a playlist is so exact.
DATE_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Hole:
    """Where a timeline misses something; an overlap has a negative length."""

    at: float
    length: float


@dataclass(frozen=True)
class Window:
    begin: float
    end: float

    def __contains__(self, time):
        return self.begin <= time < self.end


@dataclass(frozen=True)
class Sync:
    """What a recording says of itself. `points` are those of flashes and of beeps that came whole."""

    points: list
    flashes: int
    beeps: int
    pictures: int

    def outside(self, windows):
        """The skews that are in none of the windows."""
        return flashes.Skew([point.skew for point in self.points if not any(point.at in each for each in windows)])


def read(recording, folder, since_mark, period):
    """Reads a recording; `since_mark` is as in `Pictures.marks`, numbers of pictures begin anew after `period`."""
    video, audio = flashes.files(recording, folder)
    return _read(video, audio, since_mark, period)


def read_runs(recording, folder, since_mark, period):
    """The same of a recording with DISCONTINUITYs: what lies between two of them, each for itself."""
    return [_read(video, audio, since_mark, period) for video, audio in flashes.runs(recording, folder)]


def _read(video, audio, since_mark, period):
    pictures = flashes.read_pictures(video)
    beeps = flashes.find_beeps(*flashes.read_levels(audio))
    whole = [beep.begin for beep in beeps if beep.is_whole()]
    points = flashes.series(pictures.marks(since_mark), whole)
    return Sync(points, len(pictures.flashes()), len(beeps), pictures.distinct(period))


class Timelines:
    """Those of all renditions of a recording, by their fragments."""

    def __init__(self, recording):
        self._renditions = [union(recording, rendition) for rendition in recording.renditions]
        for rendition in self._renditions:
            timeline.check(rendition)

    def holes(self):
        """{name of a rendition: its holes}"""
        return {rendition.name: holes_between(_segments(rendition), rendition.track().timescale)
                for rendition in self._renditions}

    def begin(self):
        """The time of the first picture."""
        first, *_ = _segments(self._renditions[0])
        return first.decode_time / self._renditions[0].track().timescale

    def media_time(self, wall):
        """The media time of what was captured at a time of day, by the dates of the recording."""
        (_, offset), *_ = timeline.date_offsets(self._renditions[0])
        return wall - offset


def _segments(rendition):
    segments = rendition.playlist.complete()
    return [rendition.fragments[segment.uri] for segment in segments if segment.uri in rendition.fragments]


def holes_between(fragments, timescale):
    """Where segments do not follow each other within a frame, by their own times and durations."""
    found = []
    for before, after in zip(fragments, fragments[1:]):
        missing = after.decode_time - before.end()
        if abs(missing) > before.samples[-1].duration:
            found.append(Hole(float(Fraction(before.end(), timescale)), float(Fraction(missing, timescale))))
    return found


def windows(begins, length_s, settle_s):
    """From a little before each fault until so long after it."""
    return [Window(at - DATE_TOLERANCE_S, at + length_s + settle_s) for at in begins]
