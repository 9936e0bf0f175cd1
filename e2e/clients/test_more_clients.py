"""Clients that few have, or that cost minutes: `make test-clients`. What is not installed is skipped, and said."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import publishers
from judges import judge
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
