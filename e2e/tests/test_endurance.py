"""One broadcast through one fault after the other, chosen by chance: it never breaks, and never lies.

Three minutes in every run; `make test-endurance` makes it three quarters of an hour and judges memory too.
"""

import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import publishers
from judges import FAULTY_NETWORK, flashes, judge, sync
from publishers import clip
from support.faults import Bursts, Delay, Loss
from support.relay import Relay
from support.waiting import until
from watcher import finish, follow

pytestmark = pytest.mark.lasting

LENGTH_S = int(os.environ.get("HEADWATER_ENDURANCE_S", "180"))
IS_LONG = LENGTH_S >= 1_800
EVERY_S = 90 if IS_LONG else 30
# The short form takes the faults that tell most, the long one others each time.
SEED = int(os.environ.get("HEADWATER_ENDURANCE_SEED", random.SystemRandom().randrange(10_000) if IS_LONG else 59))
# How long a fault that lasts does so.
OUTAGE_S = 5
DELAY = Delay(0.005)
# A bound on a busy machine is five times the real one.
SLACK = 5
END_S = 15
# By the design, five seconds after each fault.
SKEW_MEDIAN_S, SKEW_MAX_S, SETTLE_S = 0.040, 0.080, 5
MEMORY_SLOPE_KIB_PER_HOUR = 4 * 1024
# Connections to the database, and pipes of a worker that is being replaced.
DESCRIPTORS_MORE = 8
ESTABLISHED = "01"


class Scene:
    """A broadcast of an OBS-shaped client through a relay, and what can happen to it."""

    def __init__(self, server, channel, relay, clip_, stack):
        self.server, self.channel, self.relay, self.clip, self.stack = server, channel, relay, clip_, stack
        self.publisher = None
        self.publish()

    def publish(self):
        """Another publisher comes; one that is there is taken over."""
        self.publisher = self.stack.enter_context(
            publishers.obs_like(self.relay.whip, self.channel.key, self.clip))
        publishers.wait_event(self.publisher, "connected")

    def kill_publisher(self):
        self.publisher.kill()
        time.sleep(OUTAGE_S)  # the fault itself, as in all of these
        self.publish()

    def take_over(self):
        self.publish()

    def kill_worker(self):
        worker, = self.server.workers()
        assert worker.kill()
        until(lambda: not worker.alive(), END_S, "the worker is gone")

    def stop_worker(self):
        worker, = self.server.workers()
        assert worker.signal(signal.SIGSTOP)
        until(lambda: not worker.alive(), END_S, "the node has replaced the worker")

    def cut_network(self):
        with self.relay.outage():
            time.sleep(OUTAGE_S)

    def lose_packets(self):
        self._network(Loss(0.05))

    def lose_bursts(self):
        self._network(Bursts(every_s=2, length_s=0.3, first_s=0))

    def _network(self, fault):
        self.relay.begin(fault, DELAY)
        time.sleep(OUTAGE_S)
        self.relay.begin(DELAY)

    def change_address(self):
        self.relay.move()


FAULTS = [Scene.kill_publisher, Scene.take_over, Scene.kill_worker, Scene.stop_worker, Scene.cut_network,
          Scene.lose_packets, Scene.lose_bursts, Scene.change_address]


def memory_kib(process_id):
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])


def descriptors(process_id):
    """Of all but the TCP connections that clients hold open: those are as many as the clients please."""
    rows = [line.split() for line in Path(f"/proc/{process_id}/net/tcp").read_text().splitlines()[1:]]
    held = {f"socket:[{row[9]}]" for row in rows if row[3] == ESTABLISHED}
    return sum(target not in held for target in links(Path(f"/proc/{process_id}/fd")))


def links(folder):
    for link in folder.iterdir():
        try:
            yield os.readlink(link)
        except FileNotFoundError:  # closed since it was listed
            pass


def slope_per_hour(points):
    """Of the least-squares line through (seconds, value)."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return 3_600 * over / sum((x - mean_x) ** 2 for x, _ in points)


def test_one_broadcast_outlives_one_fault_after_the_other(server, clips, tmp_path):
    print(f"HEADWATER_ENDURANCE_SEED={SEED}")
    chance = random.Random(SEED)
    channel = server.new_channel(grace_s=60)
    happened, samples = [], []
    with Relay(server, DELAY) as relay, ExitStack() as stack:
        scene = Scene(server, channel, relay, clips(keyframe_interval=2 * clip.RATE), stack)
        watcher = follow(channel, scene.publisher, 2)
        broadcast = channel.state()["broadcast"]
        descriptors_before = descriptors(server.process.pid)
        began = time.monotonic()
        due = EVERY_S / 2
        while time.monotonic() - began < LENGTH_S:
            follow(channel, scene.publisher, 1, watcher)
            samples.append((time.monotonic() - began, memory_kib(server.process.pid)))
            if samples[-1][0] < due:
                continue
            due += EVERY_S
            fault = chance.choice(FAULTS)
            at = time.time()
            fault(scene)
            happened.append((fault.__name__, at, time.time()))
            print(f"{at - happened[0][1]:6.1f} s: {fault.__name__}")
            follow(channel, scene.publisher, 2, watcher)
        assert channel.state()["broadcast"] == broadcast
        descriptors_after = descriptors(server.process.pid)
        recording = finish(watcher, scene.publisher)
    judge(recording, tmp_path, FAULTY_NETWORK)
    assert descriptors_after <= descriptors_before + DESCRIPTORS_MORE
    in_sync(recording, tmp_path, happened)
    slope = slope_per_hour([sample for sample in samples if sample[0] > LENGTH_S / 3])
    print(f"memory grew by {slope:.0f} KiB an hour, descriptors from {descriptors_before} to {descriptors_after}")
    if IS_LONG:
        assert slope <= MEMORY_SLOPE_KIB_PER_HOUR


def in_sync(recording, folder, happened):
    timelines = sync.Timelines(recording)
    start = timelines.begin()
    windows = [sync.Window(start, start + SETTLE_S)]
    for _, begin, end in happened:
        windows += sync.windows([timelines.media_time(begin)], end - begin, SETTLE_S)
    runs = sync.read_runs(recording, folder, clip.since_mark, clip.FRAMES)
    skew = flashes.Skew([skew for run in runs for skew in run.outside(windows).pairs])
    print(skew)
    assert len(skew.pairs) >= LENGTH_S / 6
    assert skew.median() <= SKEW_MEDIAN_S and skew.most() <= SKEW_MAX_S, skew
