"""From what was seen to latencies: numbers in pictures, and when the publisher drew them. All pure."""

from dataclasses import dataclass

from judges import flashes

# 2 ** BITS pictures have numbers of their own.
PERIOD = 2 ** flashes.clip.BITS
# What took longer was not read rightly.
LATENCY_MAX_S = 30


@dataclass(frozen=True)
class Latencies:
    """Seconds, of those that could be read."""

    values: list
    unread: int


def drawn_at(drawn_ms, number, seen_ms):
    """When the newest picture of that number, modulo PERIOD, was drawn that was drawn before it was seen."""
    candidates = [time for time in drawn_ms[number::PERIOD] if time <= seen_ms]
    return candidates[-1] if candidates else None


def latencies(drawn_ms, seen):
    """`seen` holds (time of day in ms, number)."""
    found, unread = [], 0
    for seen_ms, number in seen:
        drawn = drawn_at(drawn_ms, number, seen_ms)
        if drawn is None or seen_ms - drawn > LATENCY_MAX_S * 1_000:
            unread += 1
        else:
            found.append((seen_ms - drawn) / 1_000)
    return Latencies(found, unread)


def listed(rendition, pictures, begin, end):
    """(time of day in ms of its listing, number) of each picture listed within a stretch of the time of day."""
    numbers = {round(time, 3): number for time, number in zip(pictures.times, pictures.numbers)}
    return [(at * 1_000, numbers[round(time, 3)]) for time, at in rendition.packets()
            if begin <= at <= end and round(time, 3) in numbers]


def relisted(watched, other, pictures, begin, end):
    """The same for another viewer, who saw the same parts listed at other times."""
    names = {name: at for name, at in other.listed.items() if name in watched.parts}
    moved = type(watched)(watched.url, names, {name: watched.parts[name] for name in names}, watched.init)
    return listed(moved, pictures, begin, end)


def skews(pictures, beeps, drawn_ms, base_ms):
    """Seconds by which each flash is late against its beep, without what the page drew late.

    `base_ms` is a time of day before which no picture of these was seen: it tells which round of numbers it is.
    """
    def since_mark(number):
        drawn = next((time for time in drawn_ms[number::PERIOD] if time >= base_ms), None)
        return None if drawn is None else (drawn % 1_000) / 1_000

    return [point.skew for point in flashes.series(pictures.marks(since_mark), beeps)]
