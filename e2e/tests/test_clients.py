"""Clients as people use them: the shape of OBS, Firefox, Chromium with each of its codecs, and odd peers."""

import json
import subprocess
from contextlib import ExitStack

import pytest

import publishers
from judges import flashes, judge
from support import browser, tools
from support.relay import Relay, own_address
from watcher import Watcher, finish, follow

END_S = 15

# What the OBS-shaped client is held to, by the design: pictures kept, and skew without loss.
OBS_S = 30
KEPT = 0.98
SKEW_MEDIAN_S, SKEW_MAX_S = 0.040, 0.080


def check_marks(recording, sent, folder):
    pictures, beeps = flashes.of(recording, folder)
    skew = flashes.skew(pictures.flashes(), beeps)
    kept = pictures.distinct() / sent
    print(f"{kept:.2%} of {sent} pictures kept; {skew}")
    assert kept >= KEPT
    assert skew.median() <= SKEW_MEDIAN_S and skew.most() <= SKEW_MAX_S, skew
    return skew


# OBS


def test_a_client_in_the_shape_of_obs_keeps_its_pictures_and_its_sync(server, clips, tmp_path):
    """With keyframes each 2 s, and beside it with those that x264 makes by itself."""
    ends = []
    with ExitStack() as stack:
        for keyframe_interval in (60, 250):
            channel = server.new_channel()
            watcher = Watcher(channel.playlist).start()
            recorded = clips(keyframe_interval=keyframe_interval)
            publisher = publishers.obs_like(server.whip, channel.key, recorded, OBS_S)
            ends.append((watcher, stack.enter_context(publisher)))
        for watcher, publisher in ends:
            ended = publishers.wait_event(publisher, "ended", OBS_S + END_S)
            assert (ended["state"], ended["status"]) == ("connected", 200), ended
            recording = watcher.join(END_S)
            judge(recording, tmp_path)
            check_marks(recording, ended["video"], tmp_path)


# Odd peers

SEGMENTS = 4
# A classic player begins three target durations behind the end, so all of this is there.
PLAY_S = 4


def record(channel, publisher, segments=SEGMENTS):
    return finish(follow(channel, publisher, segments), publisher)


def record_all(live, segments=SEGMENTS, meanwhile=None):
    """The same for several channels and publishers at once; `meanwhile` runs once all that is there."""
    watchers = [Watcher(channel.playlist).start() for channel, _ in live]
    for watcher, (channel, publisher) in zip(watchers, live):
        follow(channel, publisher, segments - watcher.progress(), watcher)
    if meanwhile:
        meanwhile()
    return [finish(watcher, publisher) for watcher, (_, publisher) in zip(watchers, live)]


def test_a_publisher_of_one_kind_alone_has_a_broadcast_of_it(server, tmp_path):
    """And FFmpeg plays it."""
    with ExitStack() as stack:
        live = []
        for kind in ("audio", "video"):
            channel = server.new_channel()
            live.append((channel, stack.enter_context(publishers.aiortc(server.whip, channel.key, "--tracks", kind))))
        recordings = record_all(live, meanwhile=lambda: [decode(channel.playlist, PLAY_S) for channel, _ in live])
    for kind, recording, renditions in zip(("audio", "video"), recordings, (1, 2)):
        judge(recording, tmp_path)
        names = [rendition.name for rendition in recording.renditions]
        assert len(names) == renditions, names
        assert all(name.startswith("audio") == (kind == "audio") for name in names), names


def decode(playlist, seconds):
    """Every FFmpeg plays so much of it without a word."""
    for ffmpeg in (tools.need("ffmpeg"), tools.whip_ffmpeg()):
        command = [ffmpeg, "-nostdin", "-v", "error", "-i", playlist, "-map", "0", "-t", str(seconds), "-f", "null", "-"]
        played = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (played.returncode, played.stderr) == (0, ""), command


def test_two_videos_are_refused_whole(server, channel):
    with publishers.aiortc(server.whip, channel.key, "--tracks", "audio,video,video") as publisher:
        refused = publishers.wait_event(publisher, "refused")
    assert refused["status"] == 422, refused
    assert json.loads(refused["body"])["code"], refused


def test_a_peer_with_another_certificate_than_it_offered_is_never_live(server, channel):
    with publishers.aiortc(server.whip, channel.key, "--wrong-fingerprint") as publisher:
        assert publishers.wait_event(publisher, "ended")["state"] == "failed"
    assert channel.state()["state"] == "offline"
    with publishers.headwater(server.whip, channel.key):
        channel.wait_playable()


def test_bad_sender_reports_cost_no_sync(server, tmp_path):
    kinds = ("none", "first-invalid")
    with ExitStack() as stack:
        live = []
        for reports in kinds:
            channel = server.new_channel(passthrough=False)
            publisher = stack.enter_context(publishers.aiortc(server.whip, channel.key, "--reports", reports))
            live.append((channel, publisher))
        recordings = record_all(live, 6)
    for reports, recording in zip(kinds, recordings):
        judge(recording, tmp_path)
        pictures, beeps = flashes.of(recording, tmp_path)
        skew = flashes.skew(pictures.flashes(), beeps)
        print(reports, skew)
        assert skew.median() <= SKEW_MEDIAN_S and skew.most() <= SKEW_MAX_S, (reports, skew)


# Browsers

# A browser starts, and gets its devices.
START_S = 60


def test_chromium_publishes_in_each_of_its_codecs(server, tmp_path):
    """H.264 has tests of its own."""
    with browser.session() as chromium, ExitStack() as stack:
        live = []
        for codec in ("VP8", "VP9", "AV1"):
            channel = server.new_channel()
            publisher = stack.enter_context(chromium.publisher(server.whip, channel.key, codec=codec))
            live.append((channel, publisher))
        recordings = record_all(live)
    for recording in recordings:
        # Three encoders in one browser start slowly: the sound may be parts ahead of the first pictures.
        judge(recording, tmp_path, {"H-064"})


def test_firefox_publishes(server, channel, tmp_path):
    # Firefox gathers no loopback candidate, and pairs a loopback address with none of its others.
    with Relay(server, host=own_address()) as relay, publishers.firefox(relay.whip, channel.key) as publisher:
        publishers.wait_event(publisher, "connected", START_S)
        recording = record(channel, publisher)
        ended = publishers.said(publisher, "ended")
    assert (ended["state"], ended["codec"], ended["status"]) == ("connected", "video/VP8", 200), ended
    judge(recording, tmp_path)
