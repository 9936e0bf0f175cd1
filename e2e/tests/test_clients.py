"""Clients as people use them: the shape of OBS, Firefox, Chromium with each of its codecs, and odd peers."""

import json

import pytest

import publishers
from judges import continuous_runs, flashes, judge, union
from publishers import clip
from support.waiting import until
from watcher import Watcher

END_S = 15

# What the OBS-shaped client is held to, by the design: pictures kept, and skew without loss.
OBS_S = 60
KEPT = 0.98
SKEW_MEDIAN_S, SKEW_MAX_S = 0.040, 0.080


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Makes a clip once for all tests that ask for the same."""
    folder = tmp_path_factory.mktemp("clips")
    return lambda **options: clip.shared(folder, **options)


def reported(publisher, event):
    """The last JSON line of that event in a publisher's output."""
    lines = [json.loads(line) for line in publisher.log().splitlines() if line.startswith("{")]
    return next((line for line in reversed(lines) if line["event"] == event), None)


def whole_file(recording, rendition, folder):
    """All segments of a rendition without a DISCONTINUITY, in one file."""
    run, = continuous_runs(union(recording, rendition))
    path = folder / f"{rendition.name}-whole.mp4"
    path.write_bytes(run)
    return path


def marks(recording, folder):
    """What `clip.py` put into the stream: the pictures of the best rendition, and the beeps."""
    audio, = [rendition for rendition in recording.renditions if rendition.name.startswith("audio")]
    video = max((rendition for rendition in recording.renditions if rendition is not audio),
                key=lambda rendition: int("".join(filter(str.isdigit, rendition.name))))
    pictures = flashes.read_pictures(whole_file(recording, video, folder))
    return pictures, flashes.read_beeps(whole_file(recording, audio, folder))


def check_marks(recording, sent, folder):
    pictures, beeps = marks(recording, folder)
    skew = flashes.skew(pictures.flashes(), beeps)
    kept = pictures.distinct() / sent
    print(f"{kept:.2%} of {sent} pictures kept; {skew}")
    assert kept >= KEPT
    assert skew.median() <= SKEW_MEDIAN_S and skew.most() <= SKEW_MAX_S, skew
    return skew


# OBS


@pytest.mark.parametrize(("keyframe_interval", "seconds"), [(60, OBS_S), (250, OBS_S // 3)], ids=["2s", "auto"])
def test_a_client_in_the_shape_of_obs_keeps_its_pictures_and_its_sync(server, channel, clips, tmp_path,
                                                                      keyframe_interval, seconds):
    recorded = clips(keyframe_interval=keyframe_interval)
    watcher = Watcher(channel.playlist).start()
    with publishers.obs_like(server.whip, channel.key, recorded, seconds) as publisher:
        until(lambda: reported(publisher, "ended"), seconds + END_S, "the client says goodbye")
        ended = reported(publisher, "ended")
        recording = watcher.join(END_S)
    assert (ended["state"], ended["status"]) == ("connected", 200), ended
    judge(recording, tmp_path)
    check_marks(recording, ended["video"], tmp_path)
