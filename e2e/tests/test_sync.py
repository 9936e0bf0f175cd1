"""Sync of sound and picture, and whole timelines, after what a bad network does to a browser and to OBS.

A quarter of a minute of the cases that tell most; `make test-sync` runs all of them, each for a minute.
"""

import os
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import publishers
from judges import FAULTY_NETWORK, judge, sync
from publishers import clip
from support import browser
from support.faults import Bursts, Delay, Loss
from support.relay import Relay
from watcher import finish, follow

WHOLE = os.environ.get("HEADWATER_SYNC") == "whole"
SECONDS = 60 if WHOLE else 14
SEGMENT_S = 2

# Small against the 100 ms that the server waits for a lost packet: there is time to ask twice and more.
DELAY = Delay(0.005)
BURSTS = Bursts(every_s=10, length_s=0.3, first_s=1)
FAULTS = {"loss-1": Loss(0.01), "loss-5": Loss(0.05), "loss-10": Loss(0.1), "bursts": BURSTS}
# By the design: without loss, and after it.
SKEW_MEDIAN_S, SKEW_MAX_S = 0.040, 0.080
# The beginning, and what follows a burst, are not measured.
SETTLE_S = 5
# A mark that was damaged is not measured; with the most loss half of them are.
POINTS_MIN = SECONDS // 6


@dataclass
class Sent:
    """What a publisher says of its pictures."""

    pictures: int
    since_mark: object
    period: int


class Obs:
    def __init__(self, publisher):
        self.publisher = publisher

    def end(self, watcher):
        recording = finish(watcher, self.publisher)
        return recording, Sent(publishers.said(self.publisher, "ended")["video"], clip.since_mark, clip.FRAMES)


class Chromium:
    def __init__(self, publisher):
        self.publisher = publisher

    def end(self, watcher):
        sent, drawn = self.publisher.sent(), self.publisher.drawn_ms()
        print(f"{len(drawn)} pictures drawn; {sent}")
        recording = finish(watcher, self.publisher)

        def since_mark(number):
            seconds = drawn[number] % 1_000 / 1_000 if number < len(drawn) else 1
            return seconds if seconds < 2 * clip.MARK_S else None

        return recording, Sent(sent["framesEncoded"], since_mark, 2 ** clip.BITS)


@contextmanager
def obs(whip, key, clips):
    with publishers.obs_like(whip, key, clips(keyframe_interval=2 * clip.RATE)) as publisher:
        publishers.wait_event(publisher, "connected")
        yield Obs(publisher)


@contextmanager
def chromium(whip, key, clips):
    with browser.session() as session:
        yield Chromium(session.clock(whip, key))


CASES = [(publisher, faults) for publisher in (chromium, obs) for faults in FAULTS]
TELLING = [(chromium, "loss-5"), (obs, "loss-10")]


@pytest.mark.parametrize(("kind", "faults"), CASES if WHOLE else TELLING,
                         ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_a_bad_network_costs_no_sync_and_leaves_no_holes(server, channel, clips, kind, faults, tmp_path):
    with Relay(server, DELAY) as relay, kind(relay.whip, channel.key, clips) as source:
        watcher = follow(channel, source.publisher, 1)
        relay.begin(FAULTS[faults], DELAY)
        for _ in range(SECONDS // SEGMENT_S):
            follow(channel, source.publisher, 1, watcher)
        recording, sent = source.end(watcher)
    assert relay.dropped > 10
    judge(recording, tmp_path, FAULTY_NETWORK)
    found, timelines = sync.read(recording, tmp_path, sent.since_mark, sent.period), sync.Timelines(recording)
    skew = found.outside(unmeasured(timelines, relay))
    print(f"{found.pictures / sent.pictures:.2%} of {sent.pictures} pictures kept; {skew}; {relay.dropped} datagrams dropped")
    print("skew in ms:", *(f"{point.at:.1f} s: {1_000 * point.skew:+.0f}" for point in found.points), sep="\n  ")
    holes = timelines.holes()
    assert not any(holes.values()), holes
    assert len(skew.pairs) >= POINTS_MIN, f"{found.flashes} flashes, {found.beeps} beeps"
    assert skew.median() <= SKEW_MEDIAN_S and skew.most() <= SKEW_MAX_S, skew


def unmeasured(timelines, relay):
    start = timelines.begin()
    bursts = [fault for fault in relay.faults if isinstance(fault, Bursts)]
    begins = [timelines.media_time(relay.began_wall + at) for each in bursts for at in each.begins(2 * SECONDS)]
    return [sync.Window(start, start + SETTLE_S), *sync.windows(begins, BURSTS.length_s, SETTLE_S)]
