"""Publishers that vanish, come back, or come back as others; workers that stop; a node that is restarted.
Viewers see one broadcast all the time."""

import signal
import time
from contextlib import ExitStack

import pytest

import publishers
from judges import FAULTY_NETWORK, judge
from support import browser
from support.server import ONE_RUNG, Channel, Server
from support.waiting import until
from watcher import finish, follow

# How long a publisher stays away.
AWAY_S = 5
# After so long without a picture the slate is shown.
SLATE_AFTER_S = 3
# A bound on a busy machine is five times the real one.
SLACK = 5
END_S = 15
# What a worker's death may cost its broadcast.
WORKER_GAP_S = 2
# How long the primary must be well before it gets its broadcast back.
STEADY_S = 10


def broadcasts(server, channel):
    return server.api("GET", f"/broadcasts?channel={channel.name}")["broadcasts"]


def live(server, channel):
    return server.api("GET", f"/channels/{channel.name}")["live"]


def is_one_broadcast(recording):
    """One playlist from the first media to the last, without a break, and dates that go on: nothing is passed through."""
    for rendition in recording.renditions:
        assert rendition.last().discontinuity_sequence == 0, rendition.name
        for seen in rendition.seen:
            assert not any(segment.discontinuity for segment in seen.playlist.segments), rendition.name


def takes_over(server, channel, publisher):
    """Waits until another session than now is the broadcast's."""
    before = live(server, channel)["session"]
    until(lambda: publisher.check_running() and live(server, channel)["session"] != before, END_S * SLACK,
          "another session is shown")


def slate_seconds(server, fps=30):
    return server.metric("headwater_transcoder_pictures_total", picture="slate") / fps


def test_a_publisher_killed_again_and_again_costs_viewers_a_slate_and_nothing_else(server, tmp_path):
    channel = server.new_channel(grace_s=60, passthrough=False)
    kills = 6
    slate_before = slate_seconds(server)
    with browser.session() as chromium, ExitStack() as stack:
        publisher = stack.enter_context(publishers.headwater(server.whip, channel.key))
        watcher = follow(channel, publisher, 2)
        player = chromium.player(channel.page)
        player.wait_live()
        first = channel.state()["broadcast"]
        for _ in range(kills):
            seen = watcher.progress()
            publisher.kill()
            until(lambda: channel.state()["reconnecting"], AWAY_S * SLACK, "the page is told that it is away")
            until(lambda: live(server, channel)["state"] == "reconnecting", AWAY_S * SLACK, "so is the control plane")
            # The outage itself, not a wait for something: from the last media on, 3 s are over.
            time.sleep(AWAY_S - SLATE_AFTER_S)
            publisher = stack.enter_context(publishers.headwater(server.whip, channel.key))
            until(lambda: publisher.check_running() and not channel.state()["reconnecting"], END_S * SLACK,
                  "it is live again")
            until(lambda: publisher.check_running() and watcher.progress() > seen + 2, END_S * SLACK, "it goes on")
        stats = player.stats()
        player.wait_time(stats["currentTime"] + 3, milliseconds=40_000)
        after = player.stats()
        assert (after["fatalErrors"], after["attachments"]) == (0, 1), after
        assert channel.state()["broadcast"] == first
        recording = finish(watcher, publisher)
    judge(recording, tmp_path, FAULTY_NETWORK)
    is_one_broadcast(recording)
    assert [one["id"] for one in broadcasts(server, channel)] == [first]
    shown = slate_seconds(server) - slate_before
    # A publisher of ours needs a second or two to be back.
    print(f"{shown:.1f} s of slate in {kills} outages of {AWAY_S} s and more")
    assert shown > kills * (AWAY_S - SLATE_AFTER_S - 1), shown


@pytest.mark.light
def test_another_kind_of_publisher_takes_the_broadcast_over(server, clips, tmp_path):
    channel = server.new_channel(passthrough=False)
    clip = clips()
    with publishers.headwater(server.whip, channel.key) as first:
        watcher = follow(channel, first, 2)
        broadcast = channel.state()["broadcast"]
        with publishers.aiortc(server.whip, channel.key, "--video", "VP8") as second:
            takes_over(server, channel, second)
            follow(channel, second, 2, watcher)
            with publishers.obs_like(server.whip, channel.key, clip) as third:
                takes_over(server, channel, third)
                recording = finish(follow(channel, third, 2, watcher), third)
    judge(recording, tmp_path, FAULTY_NETWORK)
    is_one_broadcast(recording)
    assert [one["id"] for one in broadcasts(server, channel)] == [broadcast]


@pytest.mark.light
def test_a_backup_publisher_stands_in_and_gives_back(server, tmp_path):
    channel = server.new_channel(grace_s=60, passthrough=False)
    backup_key = server.api("POST", f"/channels/{channel.name}/keys", {"label": "backup", "role": "backup"})["key"]
    role = lambda: live(server, channel)["role"]
    with publishers.headwater(server.whip, channel.key) as primary, ExitStack() as stack:
        watcher = follow(channel, primary, 2)
        backup = stack.enter_context(publishers.aiortc(server.whip, backup_key))
        publishers.wait_event(backup, "connected")
        follow(channel, backup, 1, watcher)
        assert role() == "primary"
        began = time.monotonic()
        primary.kill()
        until(lambda: role() == "backup", END_S * SLACK, "the backup is shown")
        print(f"the backup stood in within {time.monotonic() - began:.1f} s")
        assert not channel.state()["reconnecting"]
        again = stack.enter_context(publishers.headwater(server.whip, channel.key))
        began = time.monotonic()
        until(lambda: again.check_running() and role() == "primary", STEADY_S * SLACK, "the primary is shown again")
        assert time.monotonic() - began > STEADY_S / 2, "not before it was well for a while"
        backup.stop()
        recording = finish(follow(channel, again, 2, watcher), again)
    judge(recording, tmp_path, FAULTY_NETWORK)
    is_one_broadcast(recording)


@pytest.mark.light
def test_a_channel_can_refuse_a_second_publisher(server, channel):
    server.api("PATCH", f"/channels/{channel.name}", {"second_publisher": "refuse"})
    with publishers.aiortc(server.whip, channel.key) as first:
        publishers.wait_event(first, "connected")
        channel.wait_state("live")
        with publishers.aiortc(server.whip, channel.key) as second:
            refused = publishers.wait_event(second, "refused")
        assert refused["status"] == 409
        assert first.check_running()


def longest_pause(recording, since):
    """The longest time between two revisions of a rendition after `since`."""
    pauses = []
    for rendition in recording.renditions:
        at = [since, *(seen.at for seen in rendition.seen if seen.at > since)]
        pauses += [after - before for before, after in zip(at, at[1:])]
    return max(pauses)


def test_a_worker_that_stops_or_dies_costs_its_broadcast_a_moment_and_the_others_nothing(server, tmp_path):
    channels = [server.new_channel(ladder=ONE_RUNG, passthrough=False) for _ in range(3)]
    with ExitStack() as stack:
        known, running, watchers, workers = set(), [], [], []
        for channel in channels:
            publisher = stack.enter_context(
                publishers.headwater(server.whip, channel.key, size="320x180", fps=15))
            running.append(publisher)
            watchers.append(follow(channel, publisher, 2))
            workers += [worker for worker in server.workers() if worker.id not in known]
            known = {worker.id for worker in workers}
        since = time.monotonic()
        assert workers[0].signal(signal.SIGSTOP)
        assert workers[1].kill()
        for channel, publisher, watcher in zip(channels, running, watchers):
            follow(channel, publisher, 3, watcher)
        recordings = [finish(watcher, publisher) for watcher, publisher in zip(watchers, running)]
    pauses = [longest_pause(recording, since) for recording in recordings]
    print("longest pauses: stopped {:.2f} s, killed {:.2f} s, the other {:.2f} s".format(*pauses))
    assert max(pauses[:2]) < WORKER_GAP_S * SLACK
    assert pauses[2] < pauses[0]
    for index, recording in enumerate(recordings):
        judge(recording, tmp_path, FAULTY_NETWORK)
        breaks = sum(segment.discontinuity for segment in recording.renditions[0].last().segments)
        assert breaks == (index < 2), f"{breaks} discontinuities"
    assert not workers[0].alive() and not workers[1].alive()


@pytest.mark.light
@pytest.mark.parametrize("stop", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_a_restarted_node_takes_its_broadcasts_up_again(stop, tmp_path):
    with Server() as server:
        channel = server.new_channel(grace_s=60, passthrough=False)
        with publishers.headwater(server.whip, channel.key) as publisher:
            watcher = follow(channel, publisher, 2)
            broadcast = channel.state()["broadcast"]
            stop(server)
        before = {rendition.name: rendition.last() for rendition in watcher.stop().renditions}
        with Server(data=server.data) as again:
            channel = Channel(again, channel.name, channel.key, channel.key_id)
            state = channel.wait_state("live")
            assert (state["broadcast"], state["reconnecting"]) == (broadcast, True)
            with publishers.headwater(again.whip, channel.key) as publisher:
                until(lambda: publisher.check_running() and not channel.state()["reconnecting"], END_S * SLACK,
                      "it is live again")
                after = finish(follow(channel, publisher, 2), publisher)
            assert [one["id"] for one in broadcasts(again, channel)] == [broadcast]
    judge(after, tmp_path)
    for rendition in after.renditions:
        old, new = before[rendition.name], rendition.seen[0].playlist
        assert new.media_sequence >= old.next_msn(), "no number comes twice"
        assert new.discontinuity_sequence == old.discontinuity_sequence + 1
        assert (new.target_duration, new.part_target) == (old.target_duration, old.part_target)
