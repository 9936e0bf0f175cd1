"""Reads back what `publishers.clip` put into pictures and sound: flashes, beeps and picture numbers.

    python -m judges.flashes VIDEO.mp4 AUDIO.mp4

prints as JSON how far each flash stands from its beep, and how many pictures of their own there are. Times
are those of the media, in seconds; a skew is positive where the picture is late.
"""

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy

from publishers import clip

from . import continuous_runs, union

# Of the way from the darkest to the brightest picture, and from silence to the loudest sample.
LUMA_LEVEL = 0.5
SOUND_LEVEL = 0.3
# A mark begins behind so much of its absence.
QUIET_S = 0.4
# A flash and a beep that belong together are nearer than this.
PAIR_S = 0.45
# A beep is whole if it is as long as it was made, but for this: AAC smears both ends.
BEEP_TOLERANCE_S = 0.012


@dataclass(frozen=True)
class Beep:
    begin: float
    end: float

    def is_whole(self):
        return abs(self.end - self.begin - clip.MARK_S) <= BEEP_TOLERANCE_S


@dataclass(frozen=True)
class Point:
    """A mark that was seen and heard: when, and by how much the picture is late."""

    at: float
    skew: float


@dataclass(frozen=True)
class Skew:
    """How far flashes stand from their beeps, in seconds, in their order."""

    pairs: list

    def median(self):
        return statistics.median(abs(skew) for skew in self.pairs)

    def most(self):
        return max(abs(skew) for skew in self.pairs)

    def __str__(self):
        return (f"{len(self.pairs)} flashes with beeps, skew median {1_000 * self.median():.1f} ms, "
                f"most {1_000 * self.most():.1f} ms, mean {1_000 * statistics.mean(self.pairs):+.1f} ms")


@dataclass(frozen=True)
class Pictures:
    """Every picture of a rendition: its time, its brightness without the strip, its number."""

    times: list
    lumas: list
    numbers: list

    def flashes(self):
        return _onsets(self.times, self.lumas, _between(self.lumas, LUMA_LEVEL))

    def marks(self, since_mark):
        """When each flash was due: of one whose first pictures are lost, its first that came tells by its number.

        `since_mark` gives the seconds since the flash began for the number of a picture, None for one without flash.
        """
        numbers = dict(zip(self.times, self.numbers))
        late = ((flash, since_mark(numbers[flash])) for flash in self.flashes())
        return [flash - seconds for flash, seconds in late if seconds is not None]

    def distinct(self, period=clip.FRAMES):
        """How many different pictures there are, where the numbers begin anew after `period`."""
        seen, base, last = set(), 0, None
        for number in self.numbers:
            if last is not None and number < last - period / 2:
                base += period
            elif last is not None and number > last + period / 2:
                base -= period
            last = number
            seen.add(base + number)
        return len(seen)


def _between(values, level):
    low, high = min(values), max(values)
    return low + level * (high - low)


def _onsets(times, values, threshold):
    return [begin for begin, _ in _stretches(times, values, threshold)]


def _stretches(times, values, threshold):
    """(begin, end) of times over the threshold; what lies between two of them for less than QUIET_S belongs to them."""
    found, quiet_since, begin = [], None, None
    for time, value in zip(times, values):
        if value > threshold:
            if quiet_since is not None and time - quiet_since >= QUIET_S:
                if begin is not None:
                    found.append((begin, quiet_since))
                begin = time
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time
    if begin is not None:
        found.append((begin, times[-1] if quiet_since is None else quiet_since))
    return found


def of(recording, folder):
    """The pictures of a recording's best rendition, and when its beeps begin. Files go to `folder`."""
    video, audio = files(recording, folder)
    return read_pictures(video), read_beeps(audio)


def files(recording, folder):
    """A recording's best video rendition and its audio, each in one file. It has no DISCONTINUITY."""
    (video, audio), = runs(recording, folder)
    return video, audio


def runs(recording, folder):
    """The same, a pair of files for what lies between two DISCONTINUITYs."""
    audio, = [rendition for rendition in recording.renditions if rendition.name.startswith("audio")]
    videos = [rendition for rendition in recording.renditions if rendition is not audio]
    best = max(videos, key=lambda rendition: int("".join(filter(str.isdigit, rendition.name))))
    return list(zip(_files(recording, best, folder), _files(recording, audio, folder), strict=True))


def _files(recording, rendition, folder):
    paths = []
    for index, run in enumerate(continuous_runs(union(recording, rendition))):
        path = Path(folder) / f"{rendition.name}-whole-{index}.mp4"
        path.write_bytes(run)
        paths.append(path)
    return paths


def read_pictures(path):
    times, lumas, numbers = [], [], []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            luma = frame.to_ndarray(format="gray")
            strip = frame.height - frame.height // clip.STRIP
            times.append(frame.time)
            lumas.append(float(luma[:strip].mean()))
            numbers.append(_number(luma[strip:]))
    return Pictures(times, lumas, numbers)


def _number(strip):
    height, width = strip.shape
    row = strip[height // 3:height - height // 3].mean(axis=0)
    blocks = [row[(2 * bit + 1) * width // (2 * clip.BITS)] for bit in range(clip.BITS)]
    return sum(1 << bit for bit, value in enumerate(blocks) if value > 128)


def read_beeps(path):
    """When beeps begin."""
    return [beep.begin for beep in find_beeps(*read_levels(path))]


def find_beeps(times, levels):
    """The beeps in a sound of which only the loudness is known."""
    return [Beep(*stretch) for stretch in _stretches(times, levels, SOUND_LEVEL * max(levels))]


def read_levels(path):
    """The loudest sample of each millisecond, and when that begins: a wave is silent twice in its period."""
    times, samples = [], []
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            samples.append(numpy.abs(frame.to_ndarray()).max(axis=0))
            times.append(frame.time + numpy.arange(frame.samples) / frame.sample_rate)
    values, times = numpy.concatenate(samples), numpy.concatenate(times)
    block = clip.SAMPLE_RATE // clip.BEEP_HZ
    count = len(values) // block
    return times[:count * block:block].tolist(), values[:count * block].reshape(count, block).max(axis=1).tolist()


def skew(flashes, beeps):
    """Pairs each flash with the beep nearest to it."""
    points = series(flashes, beeps)
    assert points, f"no flash has a beep: {len(flashes)} flashes, {len(beeps)} beeps"
    return Skew([point.skew for point in points])


def series(flashes, beeps):
    """The same for each flash that has a beep, in their order."""
    nearest = ((flash, min(beeps, key=lambda beep: abs(beep - flash))) for flash in flashes) if beeps else ()
    return [Point(flash, flash - beep) for flash, beep in nearest if abs(flash - beep) < PAIR_S]


def main():
    video, audio = sys.argv[1:]
    pictures = read_pictures(video)
    found = skew(pictures.flashes(), read_beeps(audio))
    print(json.dumps({"pictures": pictures.distinct(), "pairs": len(found.pairs), "skew_median_ms": 1_000 * found.median(),
                      "skew_max_ms": 1_000 * found.most()}))


if __name__ == "__main__":
    main()
