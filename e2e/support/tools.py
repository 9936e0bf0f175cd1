"""Where the programs of others are. A missing one fails the test that needs it, and says what to run."""

import os
import shutil
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from .server import ROOT


class Missing(AssertionError):
    """A tool is not installed."""


def need(name, *places):
    for place in (*places, name):
        found = shutil.which(str(place))
        if found:
            return found
    raise Missing(f"{name} is not installed; run scripts/setup --tests")


def node():
    return need("node", ROOT / ".local/bin/node")


def node_package(name):
    """The folder of an npm package of the tests."""
    folder = ROOT / "e2e/node_modules" / name
    if not folder.is_dir():
        raise Missing(f"the npm package {name} is not installed; run scripts/setup --tests")
    return folder


def nginx():
    return need("nginx", ROOT / ".local/nginx/usr/sbin/nginx", "/usr/sbin/nginx")


def squawk():
    return need("squawk", ROOT / ".local/venv/bin/squawk")


def pgbouncer():
    """The command, and the environment that it needs."""
    folder = ROOT / ".local/pgbouncer/usr"
    command = need("pgbouncer", folder / "sbin/pgbouncer", "/usr/sbin/pgbouncer")
    return command, {"LD_LIBRARY_PATH": ":".join(map(str, folder.glob("lib/*-linux-gnu")))}


def nginx_scripts():
    """nginx's script module."""
    name = "usr/lib/nginx/modules/ngx_http_js_module.so"
    for place in (ROOT / ".local/nginx" / name, Path("/") / name):
        if place.is_file():
            return place
    raise Missing("nginx's script module is not installed; run scripts/setup --tests")


def chromium():
    return need("chromium")


def firefox():
    return need("firefox-esr")


@cache
def whip_ffmpeg():
    """An FFmpeg that has the WHIP muxer."""
    return imageio_ffmpeg.get_ffmpeg_exe()


def streamlink():
    return need("streamlink", ROOT / ".local/venv/bin/streamlink")


def newest_gstreamer(seconds):
    """gst-launch-1.0 of the folder that `scripts/gstreamer` makes, ended after so many seconds."""
    folder = ROOT / ".local/sid"
    if not (folder / ".headwater-complete").exists():
        raise Missing("the newest GStreamer is not installed; run scripts/gstreamer (as root: it is entered by chroot)")
    root = [] if os.geteuid() == 0 else [need("sudo"), "-n"]
    return [*root, need("chroot", "/usr/sbin/chroot"), str(folder), "timeout", "--signal=INT", str(seconds), "gst-launch-1.0"]


def vlc_command(home):
    """VLC without a window; it refuses to run as root, so it runs as nobody then."""
    vlc = need("cvlc")
    if os.geteuid() != 0:
        return [vlc]
    setpriv = need("setpriv")
    return [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={home}", vlc]
