"""Networks and publishers that go, come back, or come back as others; and what viewers see of it."""

import time
from contextlib import ExitStack

import publishers
from checker import date_ranges
from judges import FAULTY_NETWORK, flashes, judge
from support.faults import Delay, Loss
from support.relay import Relay
from support.waiting import until
from watcher import Watcher, finish, follow

# A bound on a busy machine is five times the real one.
SLACK = 5
END_S = 15
SILENCE_S = 10


def broadcasts(server, channel):
    """What the control plane knows of the channel's broadcasts, the newest first."""
    return server.api("GET", f"/broadcasts?channel={channel.name}")["broadcasts"]


# The publisher


def test_a_publisher_killed_with_9_is_followed_at_once_by_another_on_its_key(server, channel, tmp_path):
    with publishers.headwater(server.whip, channel.key) as first:
        watcher = follow(channel, first, 2)
        before = server.api("GET", f"/channels/{channel.name}")["live"]
        first.kill()
    # Nobody waits until the silence of the first is noticed.
    began = time.monotonic()
    with publishers.headwater(server.whip, channel.key) as second:
        now = until(lambda: second.check_running()
                    and (now := server.api("GET", f"/channels/{channel.name}")["live"])["session"] != before["session"]
                    and now, SILENCE_S * SLACK, "the broadcast has another session")
        print(f"taken over within {time.monotonic() - began:.1f} s")
        recording = finish(follow(channel, second, 2, watcher), second)
    judge(recording, tmp_path, FAULTY_NETWORK)
    assert now["broadcast"] == before["broadcast"]
    ended = until(lambda: (all_ := broadcasts(server, channel))[0]["end_reason"] and all_, END_S,
                  "the control plane knows of the end")
    assert [one["end_reason"] for one in ended] == ["closed"]


# The network

OUTAGE_S = 5
# Small against the 100 ms that the server waits for a lost packet: there is time to ask twice and more.
DELAY_S = 0.005
# After a burst of such loss, by the design.
SKEW_MAX_S = 0.080


def test_media_go_on_after_an_outage_of_five_seconds(server, channel, tmp_path):
    with Relay(server) as relay, publishers.aiortc(relay.whip, channel.key) as publisher:
        watcher = follow(channel, publisher, 2)
        with relay.outage():
            lost = relay.dropped
            time.sleep(OUTAGE_S)  # the fault itself, not a wait for something
            assert relay.dropped > lost
        recording = finish(follow(channel, publisher, 3, watcher), publisher)
    judge(recording, tmp_path, FAULTY_NETWORK)
    for rendition in recording.renditions:
        (start, end), = date_ranges.spans(rendition.last()).values()
        assert OUTAGE_S - 1 < (end - start).total_seconds() < OUTAGE_S * SLACK, rendition.name


def test_media_go_on_from_another_address_of_the_publisher(server, channel, tmp_path):
    with Relay(server) as relay, publishers.aiortc(relay.whip, channel.key) as publisher:
        watcher = follow(channel, publisher, 2)
        relay.move()
        recording = finish(follow(channel, publisher, 4, watcher), publisher)
        assert publishers.said(publisher, "ended")["status"] == 200
    judge(recording, tmp_path, FAULTY_NETWORK)


# Without PLI a loss that cannot be mended in time costs pictures up to the next keyframe, 2 s. Unless it asked again, the
# server would keep next to none; a busy machine may miss the 100 ms for a loss or two all the same.
SEGMENTS = 6
LOSSES_AND_KEPT = [(0.01, 0.8), (0.05, 0.5)]


def test_loss_costs_no_sync_and_little_loss_no_pictures(server, clips, tmp_path):
    """Each loss on a network of its own, at once."""
    recorded = clips(keyframe_interval=60)
    live, ends = [], []
    with ExitStack() as stack:
        for loss, _ in LOSSES_AND_KEPT:
            channel = server.new_channel()
            relay = stack.enter_context(Relay(server, Delay(DELAY_S)))
            publisher = stack.enter_context(publishers.obs_like(relay.whip, channel.key, recorded))
            # A handshake that loses a packet waits seconds for it.
            publishers.wait_event(publisher, "connected")
            relay.begin(Loss(loss), Delay(DELAY_S))
            live.append((channel, publisher, Watcher(channel.playlist).start(), relay))
        for channel, publisher, watcher, relay in live:
            follow(channel, publisher, max(0, SEGMENTS - watcher.progress()), watcher)
            recording = finish(watcher, publisher)
            ends.append((recording, publishers.said(publisher, "ended")["video"], relay))
    for (loss, kept), (recording, sent, relay) in zip(LOSSES_AND_KEPT, ends):
        print(f"{loss:.0%} lost:")
        check_loss(recording, sent, kept, relay, tmp_path)


def check_loss(recording, sent, kept, relay, folder):
    assert relay.dropped > 10
    judge(recording, folder, FAULTY_NETWORK)
    pictures, beeps = flashes.of(recording, folder)
    skew = flashes.skew(pictures.flashes(), beeps)
    share = pictures.distinct() / sent
    print(f"{share:.2%} of {sent} pictures kept; {skew}; {relay.dropped} datagrams dropped")
    assert share >= kept
    # A mark may itself be lost, and one is then measured from the next picture or sound.
    assert skew.median() <= SKEW_MAX_S, skew
