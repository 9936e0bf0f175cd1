"""Bad input at the public port: refused at once with a stable code, and nothing else changes."""

import json
import re

import pytest

import publishers
from support import web
from support.waiting import until

pytestmark = pytest.mark.light

SDP = {"Content-Type": "application/sdp"}


def post(url, body, key=None, **headers):
    sent = SDP | headers
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    return web.request("POST", url, body, {name.replace("_", "-"): value for name, value in sent.items()})


@pytest.fixture(scope="module")
def offer():
    return publishers.offer()


# Keys


@pytest.mark.parametrize("key", [None, "", "wrong", "x" * 4_000])
def test_a_missing_or_wrong_key_is_401_with_a_challenge(server, offer, key):
    answer = post(server.whip, offer, key)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    answer.problem()


def test_a_revoked_key_is_401_and_a_new_one_works(server, channel, offer):
    server.api("DELETE", f"/channels/{channel.name}/keys/{channel.key_id}")
    answer = post(server.whip, offer, channel.key)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.problem() == "key_revoked"
    fresh = server.api("POST", f"/channels/{channel.name}/keys", {"label": "second"})["key"]
    answer = post(server.whip, offer, fresh)
    assert answer.status == 201
    session = server.url + answer.headers["location"]
    assert delete(session, fresh) == 200
    assert delete(session, fresh) == 404


def delete(session, key):
    return web.request("DELETE", session, headers={"Authorization": f"Bearer {key}"}).status


def test_a_key_stands_nowhere_in_log_and_metrics(server, channel, offer):
    assert post(server.whip, offer, channel.key).status == 201
    assert post(server.whip, offer, "wrong-but-secret-key").status == 401
    for text in (server.log(), web.get(f"{server.ops}/metrics").text()):
        assert channel.key not in text
        assert "wrong-but-secret-key" not in text
        assert server.first_run()["admin_token"] not in text


# Offers


def without(offer, kind):
    sections = re.split(r"(?m)^(?=m=)", offer)
    return "".join(section for section in sections if not section.startswith(f"m={kind}"))


def test_another_content_type_is_415(server, channel, offer):
    for kind in ("text/plain", "application/json", "application/trickle-ice-sdpfrag", ""):
        answer = post(server.whip, offer, channel.key, Content_Type=kind)
        assert answer.status == 415, kind
        answer.problem()


def test_parameters_and_case_of_the_content_type_are_tolerated(server, channel, offer):
    answer = post(server.whip, offer, channel.key, Content_Type="Application/SDP; charset=utf-8")
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["location"].startswith("/")
    assert delete(server.url + answer.headers["location"], channel.key) == 200


@pytest.mark.parametrize(
    "body",
    ["", "hello", "v=0\r\n", "\0" * 100, "v=0\r\nm=video", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "\xff\xfe" * 50,
     "v=0\r\n" + "a=x\r\n" * 5_000],
    ids=["empty", "text", "version", "zeros", "cut", "headless", "latin", "many-lines"],
)
def test_malformed_sdp_is_a_clear_4xx(server, channel, body):
    answer = post(server.whip, body.encode("latin-1"), channel.key)
    assert answer.status in (400, 422)
    answer.problem()


def test_an_offer_without_media_is_refused(server, channel, offer):
    answer = post(server.whip, offer.split("m=")[0], channel.key)
    assert answer.status in (400, 422)
    answer.problem()


def test_an_offer_of_an_unsupported_codec_alone_is_refused_whole(server, channel):
    answer = post(server.whip, publishers.offer(video="VP8").replace("VP8/90000", "H263/90000"), channel.key)
    assert answer.status in (400, 422)
    answer.problem()


def test_an_offer_to_receive_is_refused(server, channel, offer):
    answer = post(server.whip, offer.replace("a=sendonly", "a=recvonly"), channel.key)
    assert answer.status in (400, 422)
    answer.problem()


def test_an_offer_cut_at_any_line_is_never_a_5xx(server, channel, offer):
    lines = offer.splitlines(keepends=True)
    for count in range(0, len(lines), 7):
        answer = post(server.whip, "".join(lines[:count]), channel.key)
        assert answer.status < 500, count
        if answer.status == 201:
            assert delete(server.url + answer.headers["location"], channel.key) == 200


def test_a_body_over_64_kib_is_413(server, channel, offer):
    answer = post(server.whip, offer + "a=x-padding\r\n" * 6_000, channel.key)
    assert answer.status == 413
    answer.problem()


# Sessions and methods


def test_an_unknown_session_is_404(server, channel):
    url = f"{server.whip}/sessions/{'0' * 32}"
    assert delete(url, channel.key) == 404
    answer = web.request("PATCH", url, "", {"Content-Type": "application/trickle-ice-sdpfrag",
                                            "Authorization": f"Bearer {channel.key}"})
    assert answer.status in (404, 405)


def test_a_stranger_cannot_end_a_session(server, channel, offer):
    answer = post(server.whip, offer, channel.key)
    session = server.url + answer.headers["location"]
    assert channel.key not in session
    other = server.new_channel()
    assert delete(session, other.key) in (401, 403, 404)
    assert web.request("DELETE", session).status == 401
    assert delete(session, channel.key) == 200


def test_get_on_the_endpoint_is_2xx_without_content(server):
    answer = web.get(server.whip)
    assert answer.status in (200, 204)
    assert answer.body == b""


def test_a_preflight_passes_without_a_key_and_exposes_what_scripts_need(server, channel, offer):
    answer = web.request("OPTIONS", server.whip, headers={
        "Origin": "http://studio.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type"})
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] in ("*", "http://studio.example")
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "content-type" in allowed
    posted = post(server.whip, offer, channel.key, Origin="http://studio.example")
    exposed = posted.headers["access-control-expose-headers"].lower()
    assert "location" in exposed
    delete(server.url + posted.headers["location"], channel.key)


@pytest.mark.parametrize("path", ["/nothing", "/live", "/live/no-such-channel/index.m3u8", "/live/../etc/passwd",
                                  "/live/%2e%2e/index.m3u8", "/api/v1/nothing", "/live/UPPER/index.m3u8"])
def test_an_unknown_path_is_404(server, path):
    assert web.get(server.url + path).status in (400, 404)


def test_the_operations_are_not_on_the_public_port(server):
    for path in ("/metrics", "/health", "/ready", "/internal/v1/admissions", "/internal/v1/reports"):
        assert web.get(server.url + path).status == 404, path
        assert web.request("POST", server.url + path).status in (404, 405)
        with_body = web.request("POST", server.url + path, "{}", {"Content-Type": "application/json"})
        assert with_body.status == 413  # nothing behind this path could take one
    assert web.get(f"{server.ops}/health").status == 200
    assert web.get(f"{server.ops}/ready").status == 200
    assert "headwater_" in web.get(f"{server.ops}/metrics").text()


def test_the_api_asks_for_its_token(server):
    body = json.dumps({"name": "stolen"})
    kind = {"Content-Type": "application/json"}
    for headers in (kind, kind | {"Authorization": "Bearer wrong"}):
        answer = web.request("POST", f"{server.url}/api/v1/channels", body, headers)
        assert answer.status == 401
        answer.problem()


# Directives of players, on a running broadcast


@pytest.fixture(scope="module")
def live(server):
    """The URL of a media playlist that grows, and nothing else runs on its channel."""
    channel = server.new_channel()
    with publishers.headwater(server.whip, channel.key) as publisher:
        text = channel.wait_playable()
        name = next(line for line in text.splitlines() if line and not line.startswith("#"))
        url = channel.playlist.rsplit("/", 1)[0] + "/" + name
        until(lambda: publisher.check_running() and "#EXTINF" in web.get(url).text(), 30, "a segment")
        yield url


@pytest.mark.parametrize("query", ["_HLS_part=0", "_HLS_msn=x", "_HLS_msn=-1", "_HLS_msn=18446744073709551616",
                                   "_HLS_msn=1&_HLS_part=x", "_HLS_msn=100000", "_HLS_msn=100000&_HLS_part=0"])
def test_a_directive_that_cannot_be_met_is_400_at_once(live, query):
    answer = web.get(f"{live}?{query}", timeout=5)
    assert answer.status == 400
    answer.problem()
    assert "no-store" not in answer.headers.get("cache-control", "")


def test_a_segment_of_the_past_is_answered_at_once_with_the_whole_playlist(live):
    for query in ("_HLS_msn=0", "_HLS_msn=0&_HLS_part=0", "_HLS_msn=0&_HLS_part=100"):
        answer = web.get(f"{live}?{query}", timeout=10)
        assert answer.status == 200, query
        assert answer.body.startswith(b"#EXTM3U\n")


def test_unknown_directives_are_harmless(live):
    assert web.get(f"{live}?_HLS_future=1").status == 200
    assert web.get(f"{live}?_HLS_skip=YES").status == 200
    multivariant = live.rsplit("/", 3)[0] + "/index.m3u8"
    assert web.get(f"{multivariant}?_HLS_msn=1&_HLS_part=2").status == 200


def test_media_that_was_never_hinted_is_404_at_once(live):
    folder = live.rsplit("/", 1)[0]
    for name in ("nothing.m4s", "9-99.m4s", "init.txt", "..%2f..%2fetc%2fpasswd", "%00.m4s"):
        answer = web.get(f"{folder}/{name}", timeout=5)
        assert answer.status in (400, 404), name


def test_media_can_be_asked_for_by_range_and_by_head(live):
    folder = live.rsplit("/", 1)[0]
    lines = web.get(live).text().splitlines()
    name = next(line for line in lines if line and not line.startswith("#"))
    whole = web.get(f"{folder}/{name}")
    assert whole.status == 200
    head = web.request("HEAD", f"{folder}/{name}")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    part = web.get(f"{folder}/{name}", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.body)}"
    beyond = web.get(f"{folder}/{name}", headers={"Range": "bytes=99999999-"})
    assert beyond.status == 416
    assert whole.headers["access-control-allow-origin"] == "*"
    assert "immutable" in whole.headers["cache-control"]


def test_an_unchanged_object_is_304(live):
    folder = live.rsplit("/", 1)[0]
    name = next(line for line in web.get(live).text().splitlines() if line and not line.startswith("#"))
    first = web.get(f"{folder}/{name}")
    again = web.get(f"{folder}/{name}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
