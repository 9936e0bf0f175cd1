"""A machine that is too slow for a ladder: quality is given up, step by step, and taken back; no playlist suffers.

The worker is made slow by stopping it for most of each tenth of a second, more and more until it falls behind.
"""

import re
import signal
import threading
import time

import publishers
from judges import found, union
from support.server import Server
from support.waiting import until
from watcher import finish, follow

PERIOD_S = 0.1
# The shares of time in which the worker may run, tried one after the other.
SHARES = [0.35, 0.2, 0.12, 0.08, 0.05]
SHARE_S = 8
BACK_S = 60
LADDER = {
    "rungs": [{"height": 720, "bitrate": 2_500_000}, {"height": 480, "bitrate": 1_200_000},
              {"height": 360, "bitrate": 700_000}],
    "audio_bitrate": 96_000,
}
# The queue of a feed holds six seconds, those to and from the worker two more.
LAG_MAX_S = 15
# What the test is about: new parts come late while the worker is slow (H-020), a rung at half its rate has a lower mean
# than FRAME-RATE, its largest (H-100), and lower rungs' media, of a lower level and a smaller picture, stand in (H-102).
TOLERATED = {"H-020", "H-100", "H-102"}
SMALLER = re.compile(r"ffprobe: (720p|480p)-\d+\.mp4: h264 (854x480|640x360), said ")


class Slowed:
    """A process that runs for `share` of the time, until left."""

    def __init__(self, process, share):
        self.process, self.share = process, share
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _run(self):
        while not self.over.is_set():
            self.process.signal(signal.SIGSTOP)
            self.over.wait(PERIOD_S * (1 - self.share))
            self.process.signal(signal.SIGCONT)
            self.over.wait(PERIOD_S * self.share)


def degraded(server, **labels):
    return server.metric("headwater_transcoder_degraded_renditions", **labels)


def slow_down(server, worker):
    """Slows the worker more and more, until a rendition has given up its own encoder."""
    seen = set()
    for share in SHARES:
        with Slowed(worker, share):
            end = time.monotonic() + SHARE_S
            while time.monotonic() < end:
                seen |= {step for step in ("preset", "half_rate", "lower_rung") if degraded(server, step=step)}
                if "lower_rung" in seen:
                    return seen
                time.sleep(0.2)
    raise AssertionError(f"with {SHARES[-1]:.0%} of the time the worker has given up {seen} alone")


def test_quality_is_given_up_while_a_worker_is_too_slow_and_taken_back(tmp_path):
    with Server() as server:
        channel = server.new_channel(ladder=LADDER)
        with publishers.headwater(server.whip, channel.key, size="1280x720") as publisher:
            watcher = follow(channel, publisher, 2)
            worker, = server.workers()
            assert "preset" in slow_down(server, worker), "presets come first"
            assert "encoding falls behind" in server.log()
            shown = until(lambda: server.api("GET", f"/channels/{channel.name}")["live"], BACK_S, "the API knows of it")
            assert shown["degraded"]
            lower = degraded(server, step="lower_rung")
            until(lambda: degraded(server, step="lower_rung") < lower, BACK_S, "an encoder is back")
            assert server.metric("headwater_transcoder_paces_total", direction="up") > 0
            assert [process.id for process in server.workers()] == [worker.id], "it is the same worker"
            recording = finish(watcher, publisher)
    breaks = {rendition.name: sum(segment.discontinuity for segment in union(recording, rendition).playlist.segments)
              for rendition in recording.renditions}
    assert len(breaks) == 4 and min(breaks.values()) >= 2 and len(set(breaks.values())) == 1, breaks
    problems = [problem for problem in found(recording, tmp_path, TOLERATED) if not SMALLER.match(problem)]
    assert not problems, problems
    latest = recording.part_latencies()[-1]
    assert latest < LAG_MAX_S, f"a part was listed {latest:.1f} s late"
