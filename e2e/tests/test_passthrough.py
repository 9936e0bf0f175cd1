"""A source that fits is passed through: viewers get the bytes that were sent, through loss and back, behind turns."""

import time

import publishers
from judges import FAULTY_NETWORK, judge, union
from support import browser
from support.relay import Relay
from support.server import ONE_RUNG
from support.waiting import until
from watcher import finish, follow

# Of the shape of the small ladder's top rung, and of the single one.
WHOLE = {"width": 640, "height": 360, "bitrate": "600k"}
SINGLE = {"width": 320, "height": 180, "bitrate": "200k"}
# Three keyframes of 2 s prove it; after the first break it takes six.
PROOF_S = 4
LONGER_PROOF_S = 12
OUTAGE_S = 2
# A bound on a busy machine is five times the real one.
SLACK = 5
SLICES = {1, 5}


def active(server):
    return server.metric("headwater_passthrough_active")


def turns(server, **labels):
    return server.metric("headwater_passthrough_turns_total", **labels)


def nals(data):
    """The slices of a sample or several, each NAL unit behind its length in 4 bytes."""
    found, at = [], 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        found.append(bytes(data[at + 4:at + 4 + length]))
        at += 4 + length
    return [nal for nal in found if nal and nal[0] & 0x1f in SLICES]


def sent_slices(clip):
    """{slice: numbers of the pictures that are it} of a clip whose frames have start codes; pictures may be alike."""
    bytes_, numbers, at, number = clip.video_frames.read_bytes(), {}, 0, 0
    while at < len(bytes_):
        length = int.from_bytes(bytes_[at:at + 4], "big")
        frame = bytes_[at + 4:at + 4 + length]
        for nal in frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1"):
            if nal and nal[0] & 0x1f in SLICES:
                numbers.setdefault(nal.rstrip(b"\0"), set()).add(number)
        at, number = at + 4 + length, number + 1
    return numbers, number


def boxes(data):
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        yield data[at + 4:at + 8], data[at + 8:at + size]
        at += size


def passed_segments(recording, name, clip):
    """For each complete segment of a rendition: which of the clip's pictures may be each of its slices, none for any other."""
    numbers, count = sent_slices(clip)
    whole = union(recording, next(one for one in recording.renditions if one.name == name))
    found = []
    for segment in whole.playlist.complete():
        body = whole.bodies[segment.uri]
        slices = [nal for kind, content in boxes(body) if kind == b"mdat" for nal in nals(content)]
        found.append([numbers.get(nal.rstrip(b"\0"), set()) for nal in slices])
    return found, count


def check_bytes(recording, name, clip, least):
    """Each segment is passed through as a whole or not at all, its pictures in the order in which they were sent."""
    segments, count = passed_segments(recording, name, clip)
    passed = 0
    for slices in segments:
        if not slices[0]:
            continue  # its IDR is of our encoder, which may write the same as OBS where nothing moves
        now = slices[0]
        for index, after in enumerate(slices):
            # One picture may be lost.
            now = after & {(number + step) % count for number in now for step in (1, 2)} if index else after
            assert now, f"slice {index} of {len(slices)} is none that was sent then: {slices}"
        passed += 1
    print(f"{passed} of {len(segments)} segments of {name} are as they were sent")
    assert passed >= least, segments


def wait_passing(server, publisher, seconds):
    until(lambda: publisher.check_running() and active(server) == 1, seconds * SLACK, "the source is passed through")


def test_viewers_get_what_obs_sends_through_loss_and_back_without_a_reload(server, clips, tmp_path):
    recorded, channel = clips(**WHOLE), server.new_channel()
    with browser.session() as chromium, Relay(server) as relay:
        with publishers.obs_like(relay.whip, channel.key, recorded) as publisher:
            watcher = follow(channel, publisher, 1)
            player = chromium.player(channel.page)
            player.wait_live()
            wait_passing(server, publisher, PROOF_S)
            follow(channel, publisher, 4, watcher)
            off = turns(server, direction="off")
            with relay.outage():
                time.sleep(OUTAGE_S)  # the fault itself, not a wait for something
            until(lambda: publisher.check_running() and turns(server, direction="off") > off, OUTAGE_S * SLACK,
                  "all is encoded again")
            wait_passing(server, publisher, LONGER_PROOF_S)
            follow(channel, publisher, 3, watcher)
            stats = player.stats()
            player.wait_time(stats["currentTime"] + 3, milliseconds=40_000)
            after = player.stats()
            assert (after["fatalErrors"], after["attachments"]) == (0, 1), after
            recording = finish(watcher, publisher)
    judge(recording, tmp_path, FAULTY_NETWORK)
    check_bytes(recording, "360p", recorded, 5)
    breaks = {rendition.name: sum(segment.discontinuity for segment in union(recording, rendition).playlist.segments)
              for rendition in recording.renditions}
    assert set(breaks.values()) == {3}, breaks


def test_a_single_rung_is_passed_through_and_its_worker_rests(server, clips, tmp_path):
    recorded, channel = clips(**SINGLE), server.new_channel(ladder=ONE_RUNG)
    with publishers.obs_like(server.whip, channel.key, recorded) as publisher:
        watcher = follow(channel, publisher, 1)
        wait_passing(server, publisher, PROOF_S)
        before = server.metric("headwater_transcoder_pictures_total", picture="encoded")
        follow(channel, publisher, 4, watcher)
        encoded = server.metric("headwater_transcoder_pictures_total", picture="encoded") - before
        recording = finish(watcher, publisher)
    judge(recording, tmp_path)
    check_bytes(recording, "180p", recorded, 4)
    assert encoded < 60, f"{encoded} pictures were encoded all the same"
