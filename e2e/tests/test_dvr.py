"""Rewinding: lists of what was, kept on disk over restarts and full disks, and the watch page that goes back in them."""

import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from urllib.parse import urljoin

import pytest

import publishers
from checker import media, presentation, revisions, rewinding
from judges import judge
from support import browser, web
from support.server import ONE_RUNG, Channel, Server, data_folder
from support.studio import look
from support.waiting import until
from watcher import Watcher, finish, follow

# A bound on a busy machine.
SOON_S = 60
# The live list of `ultra` has 30 segments of a second; it is the shortest window, too.
LIVE_SEGMENTS = 30
END_S = 30


def lists(channel):
    """{URL: MediaPlaylist} of all lists for rewinding, each of them lawful by itself."""
    answer = web.get(channel.dvr)
    assert answer.status == 200, answer.body
    multivariant, findings = presentation.check(answer.text())
    assert not findings, findings
    return {url: read(url) for url in multivariant.playlists(channel.dvr)}


def read(url):
    answer = web.get(url)
    assert answer.status == 200, (url, answer.body)
    playlist, findings = media.check(answer.body)
    findings += rewinding.check(playlist)
    assert not findings, [str(finding) for finding in findings]
    return playlist


def wait_segments(channel, publisher, count):
    """Until each list has so many segments."""

    def look():
        publisher.check_running()
        if web.get(channel.dvr).status != 200:
            return None
        found = lists(channel)
        return found if all(len(one.complete()) >= count for one in found.values()) else None

    return until(look, SOON_S, f"{count} segments to rewind to")


def is_servable(found):
    """Everything that is listed can be had; gives how many segments that were, and how many gaps there are."""
    segments = gaps = 0
    for url, playlist in found.items():
        for _, uri in playlist.uris():
            answer = web.get(urljoin(url, uri))
            # What left the list since may be gone.
            if answer.status != 200:
                now = read(url)
                assert uri not in {listed for _, listed in now.uris()}, f"{uri}: {answer.status}, and listed"
        segments += len(playlist.complete())
        gaps += sum(segment.gap for segment in playlist.segments)
    return segments, gaps


def test_a_window_slides_over_the_very_segments_of_the_live_list(server, tmp_path):
    channel = server.new_channel("ultra", ONE_RUNG, dvr_s=40)
    with publishers.headwater(server.whip, channel.key, size="320x180", fps=15) as publisher:
        live = follow(channel, publisher, 1)
        assert channel.state()["dvr"] == {"playlist": f"/live/{channel.name}/dvr.m3u8", "seconds": 40}
        with Watcher(channel.dvr) as watcher:
            until(lambda: publisher.check_running() and watcher.progress() > 48, 2 * SOON_S, "the window slides")
            update = web.get(next(iter(lists(channel))) + "?_HLS_skip=YES").text()
            assert int(re.search(r"SKIPPED-SEGMENTS=(\d+)", update)[1]) >= LIVE_SEGMENTS
            publisher.stop()
            kept = watcher.join(END_S)
        recording = live.join(END_S)
    judge(kept, tmp_path, {"H-064"})
    names = {rendition.name: rendition for rendition in recording.renditions}
    for rendition in kept.renditions:
        last = rendition.last()
        assert last.ended and 40 <= len(last.complete()) <= 42, len(last.complete())
        assert not any(segment.gap for segment in last.segments)
        of_live = [seen.playlist for seen in names[rendition.name].seen]
        for seen in rendition.seen:
            problems = rewinding.check(seen.playlist)
            problems += [finding for one in of_live[::5] for finding in rewinding.check_against(seen.playlist, one)]
            assert not problems, [str(problem) for problem in problems[:5]]
        # The bytes are those that came live.
        for segment in last.complete():
            url = urljoin(rendition.url, segment.uri)
            known = recording.body(url)
            assert known is None or known == web.get(url).body, url
    assert server.metric("headwater_dvr_missed_total") == 0


def test_a_channel_without_it_has_nothing_to_rewind_to(server, channel):
    with publishers.headwater(server.whip, channel.key) as publisher:
        channel.wait_playable()
        publisher.check_running()
        assert channel.state()["dvr"] is None
        answer = web.get(channel.dvr)
        assert (answer.status, answer.problem()) == (404, "dvr_unknown")


@pytest.mark.parametrize("stop", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_a_restarted_node_keeps_the_window(stop):
    with Server() as server:
        channel = server.new_channel("ultra", ONE_RUNG, grace_s=60, dvr_s=600)
        with publishers.headwater(server.whip, channel.key, size="320x180", fps=15) as publisher:
            before = wait_segments(channel, publisher, 8)
            # An aborted write, and what a broadcast left that nobody knows.
            folder = next(path for path in (server.data / "node/dvr").iterdir())
            (folder / "180p/new").write_text("half")
            (folder.parent / "unknown/180p").mkdir(parents=True)
            stop(server)
        with Server(data=server.data) as again:
            channel = Channel(again, channel.name, channel.key, channel.key_id)
            channel.wait_state("live")
            with publishers.headwater(again.whip, channel.key, size="320x180", fps=15) as publisher:
                until(lambda: publisher.check_running() and not channel.state()["reconnecting"], SOON_S, "it is live")
                after = wait_segments(channel, publisher, 8 + 4)
                after = wait_segments(channel, publisher, max(len(one.complete()) for one in after.values()) + 3)
                for (url, old), new in zip(before.items(), after.values()):
                    assert new.media_sequence == old.media_sequence, "everything that was written is there"
                    assert sum(segment.discontinuities for segment in new.segments) == 1
                    assert new.discontinuity_sequence == old.discontinuity_sequence == 0
                    findings = revisions.check_pair(old, new)
                    assert not findings, (url, [str(finding) for finding in findings])
                    assert not any(segment.gap for segment in new.complete()[-3:])
                segments, gaps = is_servable(after)
                print(f"{segments} segments, {gaps} gaps")
                # What was before the restart is in no memory any more.
                reads = again.metric("headwater_origin_file_reads_total", result="done")
                assert reads >= sum(len(one.complete()) for one in before.values()), reads
                assert not (folder / "180p/new").exists() and not (folder.parent / "unknown").exists()
                publisher.stop()
            until(lambda: all(one.ended for one in lists(channel).values()), SOON_S, "the lists have their end mark")
        with Server(data=server.data) as last:
            until(lambda: not any((last.data / "node/dvr").iterdir()), SOON_S, "what is over is removed")


@contextmanager
def small_disk(folder, size):
    """A file system of so many bytes at `folder`. Needs root, as CI has."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "headwater-e2e", folder],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.fail(f"this test mounts a small tmpfs, which is not allowed here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Takes all that is free."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2
    return path


def test_a_full_disk_costs_the_window_and_never_the_broadcast():
    with ExitStack() as stack:
        data = data_folder()
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        disk = stack.enter_context(small_disk(data / "node/dvr", 4 << 20))
        with Server(data=data, env={"HEADWATER_DVR__FREE_BYTES_MIN": "0"}) as server:
            channel = server.new_channel("ultra", ONE_RUNG, dvr_s=600)
            missed = lambda: server.metric("headwater_dvr_missed_total")
            written = lambda: server.metric("headwater_dvr_written_total")
            with publishers.headwater(server.whip, channel.key, size="320x180", fps=15) as publisher:
                live = follow(channel, publisher, 1)
                wait_segments(channel, publisher, 10)
                assert missed() == 0
                filler = fill(disk)
                until(lambda: publisher.check_running() and missed() >= 4, SOON_S, "there is no room")
                seen = live.progress()
                segments, gaps = is_servable(lists(channel))
                assert 0 < gaps < segments
                until(lambda: live.progress() > seen + 3, SOON_S, "live goes on")
                assert server.metric("headwater_dvr_shortened_total") > 0
                filler.unlink()
                before = written()
                until(lambda: publisher.check_running() and written() >= before + 12, SOON_S, "it is kept again")
                found = lists(channel)
                segments, gaps = is_servable(found)
                print(f"{segments} segments, {gaps} gaps")
                for playlist in found.values():
                    assert not any(segment.gap for segment in playlist.complete()[-3:])
                recording = finish(live, publisher)
            assert not recording.errors, recording.errors
            # Once when it began, and not for each segment.
            assert server.log().count("the DVR window gets gaps") == 1, server.log_tail()


# The watch page


@pytest.fixture(scope="module")
def chromium():
    with browser.session() as running:
        yield running


def wait(page, condition, what, milliseconds=40_000):
    """Until a condition on `stats` holds in the page."""
    try:
        page.wait_for_function(f"() => {{ const stats = window.headwater.stats(); return {condition}; }}",
                               timeout=milliseconds, polling=200)
    except browser.TimeoutError as error:
        raise AssertionError(f"not {what}: {page.evaluate('window.headwater.stats()')}") from error


def plays(player, seconds=3):
    """The picture moves on."""
    player.wait_time(player.stats()["currentTime"] + seconds, milliseconds=40_000)


def test_a_viewer_goes_back_and_returns_to_live(server, chromium):
    channel = server.new_channel("ultra", dvr_s=600)
    with publishers.headwater(server.whip, channel.key) as publisher:
        player = chromium.player(channel.page)
        page = player.page
        player.wait_live()
        slider = page.get_by_role("slider", name="Position in the broadcast")
        frame = page.locator("video").bounding_box()
        wait(page, "stats.reach > 25", "half a minute to go back")
        assert slider.get_attribute("aria-valuetext") == "Live"
        assert page.locator("video").bounding_box() == frame, "nothing jumped"
        slider.focus()
        look(page, "watch-dvr-live")

        for _ in range(2):
            slider.press("ArrowLeft")
        wait(page, "stats.rewound && stats.state === 'live' && stats.behindLive > 7 && stats.behindLive < 16", "10 s back")
        plays(player)
        stats = player.stats()
        assert stats["rewound"] and 7 < stats["behindLive"] < 16, stats
        assert any(url.endswith("/dvr.m3u8") for url in player.requests)
        assert re.fullmatch(r"\d+ s behind live", slider.get_attribute("aria-valuetext"))
        look(page, "watch-dvr-rewound")

        since = len(player.requests)
        page.get_by_role("button", name="Jump to live").click()
        wait(page, "!stats.rewound && stats.state === 'live' && stats.currentTime > 1 && stats.latency !== null"
             " && stats.latency < 10.5", "live")
        plays(player)
        assert any("_HLS_part=" in url for url in player.requests[since:]), "in low latency"
        until(lambda: slider.get_attribute("aria-valuetext") == "Live", 10, "the position is said to be live")

        # Keys of the page: the oldest, a step, and live again.
        page.locator("body").click(position={"x": 5, "y": 5})
        page.keyboard.press("Home")
        wait(page, "stats.rewound && stats.state === 'live' && stats.behindLive > stats.reach - 12", "at the oldest")
        plays(player)
        behind = player.stats()["behindLive"]
        page.keyboard.press("ArrowRight")
        wait(page, f"stats.behindLive < {behind} - 3", "a step on")
        page.keyboard.press("End")
        wait(page, "!stats.rewound && stats.state === 'live'", "live")
        assert player.stats()["fatalErrors"] == 0, player.stats()
        assert not [error for error in player.errors if error.startswith("exception")], player.errors

        # Who is back in the broadcast when it ends sees it to its end.
        page.keyboard.press("Home")
        wait(page, "stats.rewound && stats.state === 'live' && stats.behindLive > 10", "back again")
        publisher.stop()
        channel.wait_state("ended")
        plays(player, 4)
        assert player.stats()["state"] == "live", "it is not over yet"
        slider.focus()
        for _ in range(40):
            slider.press("ArrowRight")
        player.wait_phase("ended")
        look(page, "watch-dvr-ended")
