"""Delta updates of a running broadcast: what a client holds that asks for nothing else."""

import re
from urllib.parse import urlencode

import pytest

import publishers
from checker import media, updates
from checker.updates import lines_of_segments
from support import web

pytestmark = pytest.mark.light

# Half a minute of list; updates begin once more than the skip boundary of six seconds is listed.
REVISIONS = 60


def media_sequence(text):
    return int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)[1])


def next_part(text):
    """The directives that ask for what the playlist promises."""
    _, msn, part = re.search(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-(\d+)-(\d+)-(\d+)', text).groups()
    return {"_HLS_msn": msn, "_HLS_part": part}


def fetch(url, **query):
    answer = web.get(f"{url}?{urlencode(query)}" if query else url)
    assert answer.status == 200, answer.text()
    return answer


def get(url, **query):
    return fetch(url, **query).text()


def test_a_client_that_asks_for_updates_alone_holds_the_full_playlist(server):
    channel = server.new_channel("ultra")
    with publishers.headwater(server.whip, channel.key) as publisher:
        channel.wait_playable()
        rendition = next(line for line in get(channel.playlist).splitlines() if line.endswith("360p/index.m3u8"))
        url = channel.playlist.rsplit("/", 1)[0] + "/" + rendition
        held, count = get(url), 0
        assert "CAN-SKIP-UNTIL=6.0,CAN-SKIP-DATERANGES=YES" in held
        while count < REVISIONS:
            publisher.check_running()
            answer = get(url, _HLS_skip="YES", **next_part(held))
            if updates.is_update(answer):
                count += 1
                assert updates.check(answer, "YES") == []
                held = updates.merge(held, answer)
            else:
                held = answer
            check_playlist(held)
        # The same revision in full, or a later one: then what both list of complete segments is the same.
        full = get(url)
        known = dict(by_name(held))
        common = [(name, lines) for name, lines in by_name(full) if name in known]
        assert len(common) > 15
        assert all(without_parts(known[name]) == without_parts(lines) for name, lines in common)


def check_playlist(text):
    playlist, findings = media.check(text.encode())
    assert playlist.segments and not findings, findings


def by_name(text):
    return [(lines[-1], lines) for _, lines in lines_of_segments(text)]


def without_parts(lines):
    return [line for line in lines if not line.startswith("#EXT-X-PART:")]


def test_an_update_is_a_representation_of_its_own_and_every_other_value_gets_the_whole(server, channel):
    with publishers.headwater(server.whip, channel.key):
        channel.wait_playable()
        rendition = next(line for line in get(channel.playlist).splitlines() if line.endswith("360p/index.m3u8"))
        url = channel.playlist.rsplit("/", 1)[0] + "/" + rendition
        # In `low` the boundary is 12 s.
        text = get(url, _HLS_msn=media_sequence(get(url)) + 1)
        while len(lines_of_segments(text)) < 8:
            text = get(url, **next_part(text))
        update = fetch(url, _HLS_skip="v2")
        assert updates.check(update.text(), "v2") == [] and update.headers["cache-control"] == "max-age=1"
        assert "-delta" in update.headers["etag"]
        for value in ("", "yes", "NO", "v3"):
            assert not updates.is_update(get(url, _HLS_skip=value)), value
