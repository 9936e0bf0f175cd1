"""What is for members: refused to strangers, played by members, taken back at the node and behind the nginx edge."""

import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import pytest

import publishers
from support import browser, tools, web
from support.server import ONE_RUNG, ROOT, Server
from support.waiting import until

pytestmark = pytest.mark.light

SECRET = "an-edge-secret-of-enough-characters"
# The node is told within 5 s, the edge asks within 60 s (here: 1 s); five times as much, for a busy machine.
BITES_S = 25
MEMBERS = 50
# With so many put out the rules have over 8 KiB.
MANY = 200
MAIN = """
load_module {scripts};
daemon off;
user root root;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {edge}
}}
"""


def adapted(node, port, folder):
    """The example with addresses of this machine and rules that are asked for each second."""
    text = (ROOT / "configs/nginx-edge.conf").read_text()
    for old, new in (
        ("server 127.0.0.1:8080;", f"server {node};"),
        ("listen 8081;", f"listen 127.0.0.1:{port};"),
        ("/var/cache/nginx/headwater", str(folder / "cache")),
        ("/etc/nginx/headwater/playback.js", str(ROOT / "configs/edge/playback.js")),
        ("change-me: the node's edge.secret", SECRET),
        ("proxy_cache_valid 200 10s;", "proxy_cache_valid 200 1s;"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def edge_of(server, folder):
    """nginx with the example in front of the node; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    edge = adapted(urlsplit(server.url).netloc, port, folder)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, scripts=tools.nginx_scripts(), edge=edge))
    command = [tools.nginx(), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10, "nginx listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def live():
    """(server, a channel for members that is on air)."""
    with Server(env={"HEADWATER_EDGE__SECRET": SECRET, "HEADWATER_HTTP__TRUSTED_PROXIES": '["127.0.0.1"]'}) as server:
        channel = server.new_channel(ladder=ONE_RUNG, access="members")
        with publishers.headwater(server.whip, channel.key):
            until(lambda: web.get(channel.playlist).status == 403, 40, "the channel is on air, for members")
            yield server, channel


def admitted(server, channel):
    return server.api("POST", f"/playback/{channel.name}")


def names(text):
    """What a playlist names, parts and init sections too."""
    uris = [line for line in text.splitlines() if line and not line.startswith("#")]
    return uris + re.findall(r'#EXT-X-(?:PART|MAP|MEDIA):[^\n]*URI="([^"]+)"', text)


def everything(base, token_path):
    """Each URL below the playlists at `base`, read by who may: playlists and complete objects."""
    multivariant = f"{base}{token_path}/index.m3u8"
    urls = {multivariant}
    lists = until(lambda: names(web.get(multivariant).text()), 20, "the multivariant playlist")
    for name in lists:
        playlist = urljoin(multivariant, name)
        urls.add(playlist)
        text = until(lambda at=playlist: (answer := web.get(at)).status == 200 and "#EXTINF" in answer.text() and answer.text(),
                     30, "a whole segment")
        urls |= {urljoin(playlist, object_name) for object_name in names(text)}
    return urls


def code_of(url, headers=None):
    answer = web.get(url, headers=headers or {})
    return answer.status, answer.problem() if answer.headers.get("content-type", "").startswith("application/problem") else None


def test_a_stranger_gets_nothing_by_any_url_and_a_member_everything(live):
    server, channel = live
    assert server.api("GET", f"/channels/{channel.name}")["access"] == "members"
    assert web.request("POST", f"{server.url}/api/v1/playback/{channel.name}").problem() == "sign_in_needed"
    path, given = f"/live/{channel.name}", admitted(server, channel)
    urls = everything(server.url, given["base"] + path)
    assert len(urls) > 8, urls
    urls |= {f"{server.url}{given['base']}{path}/{name}" for name in ("state.json", "awaited.json")}
    assert {web.get(url).status for url in urls} == {200}
    for url in urls | {f"{server.url}{given['base']}{path}/{name}" for name in ("thumbnail.jpg", "dvr.m3u8")}:
        public = url.replace(given["base"], "")
        assert code_of(public) == (403, "members_only"), public
        assert code_of(public.replace("/live/", "/private/live/")) == (403, "edge_only")
        assert code_of(url.replace(given["token"], given["token"] + "A")) == (403, "token_invalid")
        assert code_of(url.replace(channel.name, "demo", 1)) == (403, "token_other_channel")
        # The very bytes are an edge's too, and may be kept by it.
        if web.get(url).status == 200 and "m4s" in url:
            of_edge = web.get(public.replace("/live/", "/private/live/"), headers={"Headwater-Edge-Secret": SECRET})
            assert of_edge.body == web.get(url).body
            assert of_edge.headers["cache-control"] == "max-age=1209600, immutable"
    page = web.get(channel.page).text()
    assert '"state":"members"' in page and "EXTM3U" not in page


def test_who_is_put_out_is_refused_by_the_node_within_seconds(live):
    server, channel = live
    out, stays = admitted(server, channel), admitted(server, channel)
    for given in (out, stays):
        until(lambda at=given: web.get(server.url + at["playlist"]).status == 200, 20, "it plays")
    server.api("POST", f"/viewer-sessions/{out['viewer_session']}/put-out")
    until(lambda: code_of(server.url + out["playlist"]) == (403, "viewer_put_out"), BITES_S, "the node refuses it")
    assert web.get(server.url + stays["playlist"]).status == 200


def test_fifty_members_behind_the_edge_cost_the_node_one_request_for_each_object(live, tmp_path):
    server, channel = live
    with edge_of(server, tmp_path) as edge:
        members = [admitted(server, channel) for _ in range(MEMBERS)]
        path = f"/live/{channel.name}"
        first = everything(edge, members[0]["base"] + path)
        segments = sorted(url for url in first if "/seg-" in url)[-3:]
        before = server.metric("headwater_origin_requests_total", route="object")
        others = [url.replace(members[0]["token"], member["token"]) for member in members for url in segments]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(web.get, others))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == len(segments)
        assert server.metric("headwater_origin_requests_total", route="object") - before == len(segments)
        # Strangers find no way around it, however they spell the path.
        for url in segments:
            public = url.replace(members[0]["base"], "")
            assert code_of(public) == (403, "members_only")
            assert web.get(public.replace("/live/", "/private/live/")).status == 404
            assert code_of(url.replace(members[0]["token"], "a.b.c")) == (403, "token_invalid")
        assert web.get(f"{edge}/headwater-rules").status == 404
        assert web.get(f"{edge}/private/rules").status == 404
        # And who is put out is, here too.
        out, object_url = members[1], segments[0].replace(members[0]["token"], members[1]["token"])
        assert web.get(object_url).status == 200
        # Many at once: the rules are then longer than nginx's usual buffers.
        for member in members[2:] + [admitted(server, channel) for _ in range(MANY)] + [out]:
            server.api("POST", f"/viewer-sessions/{member['viewer_session']}/put-out")
        until(lambda: code_of(object_url) == (403, "viewer_put_out"), BITES_S, "the edge refuses it")
        assert web.get(segments[0]).status == 200


def test_the_edges_scripts_agree_with_the_node_on_every_token():
    done = subprocess.run([tools.node(), "--test", ROOT / "configs/edge"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_watch_page_says_that_a_channel_is_for_members(live):
    _, channel = live
    with browser.session() as chromium:
        player = chromium.player(channel.page)
        player.page.get_by_text("This channel is for its members").wait_for(timeout=20_000)
