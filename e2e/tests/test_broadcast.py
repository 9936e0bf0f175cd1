"""Every publisher, judged by everybody: publish, follow all renditions, end, and look at what came."""

import statistics
from contextlib import ExitStack

import pytest

import publishers
from judges import judge
from support import browser
from support.server import Server
from support.waiting import until
from watcher import Watcher

# Complete segments of 2 s that a run has: parts are taken off the list and fetched again within it.
SEGMENTS = 6
RUN_S = 60
# A goodbye reaches the playlist at once; the machine may be busy.
END_S = 15
# Capture to listed: five times the bar of 0.9 s.
LATENCY_S = 4.5
# A part can be listed when its last picture has come, one picture before the part's end.
PICTURE_S = 0.05
# FFmpeg's first packets leave a second late, and it sends faster than real time until it has made up
# for that: by the dates that its first second gave, later parts come early.
FFMPEG_LATE_S = 1.2

PROCESSES = {
    "headwater-publish": publishers.headwater,
    "ffmpeg-passive": lambda whip, key: publishers.ffmpeg(whip, key, "passive"),
    "ffmpeg-active": lambda whip, key: publishers.ffmpeg(whip, key, "active"),
    "aiortc": publishers.aiortc,
}


def record(channel, publisher, watcher=None):
    """Watches until enough is there, ends the publisher, and returns the ended recording."""
    watcher = watcher or Watcher(channel.playlist).start()
    until(lambda: publisher.check_running() and watcher.progress() >= SEGMENTS, RUN_S,
          f"{SEGMENTS} segments of each rendition")
    publisher.stop()
    recording = watcher.join(END_S)
    assert all(rendition.last().ended for rendition in recording.renditions), "EXT-X-ENDLIST is missing"
    return recording


def check_ladder(recording):
    names = sorted(rendition.name for rendition in recording.renditions)
    assert len(names) == 3, f"expected two rungs and the audio, found {names}"


def check_latency(recording, early=PICTURE_S):
    ages = recording.part_latencies()
    middle = statistics.median(ages)
    print(f"capture to listed: median {middle:.2f} s, most {ages[-1]:.2f} s, {len(ages)} parts")
    assert -early < middle < LATENCY_S


@pytest.mark.parametrize("names", [("headwater-publish", "aiortc"), ("ffmpeg-passive", "ffmpeg-active")], ids="+".join)
def test_broadcasts_of_two_publishers_at_once_satisfy_every_judge(server, names, tmp_path):
    live = []
    with ExitStack() as stack:
        for name in names:
            channel = server.new_channel()
            publisher = stack.enter_context(PROCESSES[name](server.whip, channel.key))
            live.append((channel, publisher, Watcher(channel.playlist).start()))
        recordings = [record(*one) for one in live]
    for name, recording, (channel, *_) in zip(names, recordings, live):
        judge(recording, tmp_path)
        check_ladder(recording)
        check_latency(recording, FFMPEG_LATE_S if name.startswith("ffmpeg") else PICTURE_S)
        channel.wait_state("ended")
    until(lambda: not server.workers(), END_S, "the transcode workers are gone")


def test_a_broadcast_on_a_current_thread_runtime_satisfies_every_judge(tmp_path):
    """A call that blocks anywhere would hold everything up."""
    with Server(env={"HEADWATER_RUNTIME__THREADS": "1"}) as single:
        channel = single.new_channel()
        with publishers.ffmpeg(single.whip, channel.key) as publisher:
            recording = record(channel, publisher)
        judge(recording, tmp_path)
        check_ladder(recording)
        check_latency(recording, FFMPEG_LATE_S)


def test_chromium_publishes_its_camera_and_chromium_plays_it(server, channel, tmp_path):
    with browser.session() as chromium:
        with chromium.publisher(server.whip, channel.key) as publisher:
            watcher = Watcher(channel.playlist).start()
            player = chromium.player(channel.page)
            player.wait_live()
            player.check_plays_on(8)
            until(lambda: watcher.progress() >= SEGMENTS, RUN_S, f"{SEGMENTS} segments of each rendition")
            assert publisher.stop() == 200
        recording = watcher.join(END_S)
        player.wait_phase("ended")
    judge(recording, tmp_path)
    check_ladder(recording)
    check_latency(recording)
