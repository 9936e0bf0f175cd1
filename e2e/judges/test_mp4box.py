"""mp4box.js finds what is wrong with a file: it is handed good ones, and the same broken once in each way."""

import subprocess
from types import SimpleNamespace

import pytest

from checker import fmp4

from . import read_with_mp4box

CODEC = "avc1.42c00d"
FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof"


def playlist(codecs):
    return SimpleNamespace(variants=[SimpleNamespace(attributes={"CODECS": codecs})])


def made(path, *options):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=4",
               "-c:v", "libx264", "-profile:v", "baseline", "-level", "1.3", "-pix_fmt", "yuv420p", "-g", "25", *options, path]
    subprocess.run([str(part) for part in command], check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return made(tmp_path_factory.mktemp("mp4") / "good.mp4", "-movflags", FRAGMENTED)


def test_a_good_file_has_no_problem(good):
    assert read_with_mp4box([good], playlist(f"mp4a.40.2,{CODEC}")) == []


def test_another_codec_than_promised_is_found(good):
    found, = read_with_mp4box([good], playlist("avc1.640028,mp4a.40.2"))
    assert "codec" in found and CODEC in found


def test_a_file_that_is_not_fragmented_is_found(tmp_path):
    found, = read_with_mp4box([made(tmp_path / "plain.mp4")], playlist(CODEC))
    assert "not fragmented" in found


def test_a_hole_in_the_decode_times_is_found(good, tmp_path):
    data = good.read_bytes()
    moofs = [box for box in fmp4.boxes(data) if box.kind == b"moof"]
    # Without its second fragment, the third does not begin where the first ends.
    holed = tmp_path / "holed.mp4"
    holed.write_bytes(data[: moofs[1].start] + data[moofs[2].start:])
    found, = read_with_mp4box([holed], playlist(CODEC))
    assert "fragment 1 begins at" in found


def test_a_file_without_a_movie_is_found(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"\x00\x00\x00\x08free")
    found, = read_with_mp4box([empty], playlist(CODEC))
    assert "no movie" in found
