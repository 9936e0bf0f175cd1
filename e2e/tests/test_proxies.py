"""The shipped nginx example in front of the server: publishing, the API and a browser's playback all go through it."""

import re
import socket
import subprocess
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

import publishers
from support import browser, certificate, tools, web
from support.server import ROOT, Server
from support.waiting import until

EXAMPLE = ROOT / "configs/nginx-proxy.conf"
# A player that comes in then has enough behind the end of the playlist to choose a rendition.
SEGMENTS = 4
MAIN = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def adapted(text, upstream, port, files):
    """The example with addresses of this machine, and nothing else changed. Fails if it no longer holds them."""
    for old, new in (
        ("127.0.0.1:8080", upstream),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen [::]:80;", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("listen [::]:443 ssl http2;", ""),
        ("/etc/letsencrypt/live/tv.example.com/fullchain.pem", str(files.certificate)),
        ("/etc/letsencrypt/live/tv.example.com/privkey.pem", str(files.key)),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder, server, files):
    """nginx with the example; yields its URL."""
    port = free_port()
    site = adapted(EXAMPLE.read_text(), urlsplit(server.url).netloc, port, files)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, site=site))
    command = [tools.nginx(), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr, checked.stderr
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10, "nginx listens")
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def behind(tmp_path):
    """(server, the proxy's URL, its certificate)."""
    files = certificate.in_folder(tmp_path)
    with Server(env={"HEADWATER_HTTP__TRUSTED_PROXIES": '["127.0.0.1"]'}) as server, \
            nginx(tmp_path, server, files) as url:
        yield server, url, files


def test_publishing_and_playback_go_through_the_nginx_example(behind):
    server, url, files = behind
    channel = server.new_channel()
    trusting = {"SSL_CERT_FILE": str(files.certificate)}
    with browser.session() as chromium, publishers.headwater(f"{url}/whip", channel.key, env=trusting) as publisher:
        name = next(line for line in channel.wait_playable().splitlines() if line and not line.startswith("#"))
        playlist = channel.playlist.rsplit("/", 1)[0] + "/" + name
        until(lambda: web.get(playlist).text().count("#EXTINF") >= SEGMENTS, 40, f"{SEGMENTS} segments")
        player = chromium.player(f"{url}/watch/{channel.name}")
        player.wait_live()
        player.check_plays_on(6)
        protocols = player.page.evaluate("""() => performance.getEntriesByType('resource')
            .filter(entry => entry.name.includes('/live/')).map(entry => entry.nextHopProtocol)""")
        # A request that was given up has none.
        assert set(protocols) - {""} == {"h2"}, protocols
        publisher.stop()
        log = files.certificate.with_name("access.log").read_text()
        assert re.search(r'"DELETE /whip/sessions/\w+ HTTP/[\d.]+" 200 ', log), log
    # Each viewer's reload was held by the server, not polled for.
    assert server.metric("headwater_origin_wait_seconds_count") > 10
    assert server.metric("headwater_http_limited_total", port="public") == 0
