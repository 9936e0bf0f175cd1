"""Clients that few have, or that cost minutes: `make test-clients`. A publisher that is not installed is skipped, and
said; the player that `scripts/gstreamer` installs is never."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import publishers
from judges import judge
from support import tools
from watcher import finish, follow

SEGMENTS = 4
# Where a build of gst-plugin-webrtc was left, see the README.
GST_PLUGINS = os.environ.get("HEADWATER_GST_PLUGINS", "")


@pytest.mark.parametrize("role", ["passive", "active"])
def test_the_ffmpeg_8_of_pyav_publishes(server, channel, tmp_path, role):
    with publishers.pyav(server.whip, channel.key, role) as publisher:
        publishers.wait_event(publisher, "connected")
        recording = finish(follow(channel, publisher, SEGMENTS), publisher)
    judge(recording, tmp_path)


def gstreamer():
    """The command, if it has whipclientsink."""
    launch, inspect = shutil.which("gst-launch-1.0"), shutil.which("gst-inspect-1.0")
    if not launch or not inspect:
        pytest.skip("gst-launch-1.0 is not installed")
    environment = os.environ | ({"GST_PLUGIN_PATH": GST_PLUGINS} if GST_PLUGINS else {})
    found = subprocess.run([inspect, "whipclientsink"], env=environment, capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip("GStreamer has no whipclientsink; build the crate gst-plugin-webrtc and name its folder in "
                    "HEADWATER_GST_PLUGINS")
    return Path(launch)


def test_gstreamer_publishes(server, channel, tmp_path):
    with publishers.gstreamer(gstreamer(), GST_PLUGINS, server.whip, channel.key) as publisher:
        recording = finish(follow(channel, publisher, SEGMENTS), publisher)
    judge(recording, tmp_path)


# GStreamer as a player

PLAY_S = 12
# 30 pictures a second; it begins some seconds late, and a busy machine may drop some.
PICTURES_LEAST = 120


def test_the_newest_gstreamer_plays_by_blocking_reloads_and_parts(server, channel):
    """hlsdemux2 of 1.28 and later. The server has no other viewer, so what it counts is what this one asked for."""
    with publishers.headwater(server.whip, channel.key) as publisher:
        channel.wait_playable()
        held = server.metric("headwater_origin_wait_seconds_count")
        command = [*tools.newest_gstreamer(PLAY_S), "-v", "playbin3", f"uri={channel.playlist}",
                   "video-sink=fakesink name=pictures sync=true silent=false",
                   "audio-sink=fakesink name=sounds sync=true silent=false"]
        played = subprocess.run(command, capture_output=True, text=True, timeout=PLAY_S * 5, check=False)
        publisher.check_running()
        held = server.metric("headwater_origin_wait_seconds_count") - held
    said = played.stdout + played.stderr
    assert "ERROR" not in said, said[-3_000:]
    pictures, sounds = (said.count(f"GstFakeSink:{name}: last-message = chain") for name in ("pictures", "sounds"))
    print(f"{pictures} pictures, {sounds} sounds, {held:.0f} reloads and parts that were held")
    assert pictures >= PICTURES_LEAST and sounds > 0, said[-3_000:]
    # Three parts a second in each of two playlists, and their hints.
    assert held >= PLAY_S, held
