"""Every way in: DTLS stacks, IP versions, ICE-lite, browsers' first picture, and those who never come."""

import http.client
import json
import sys
from urllib.parse import urlsplit

import pytest

import publishers
from publishers import HERE, Publisher
from support import browser, web
from support.server import Server
from support.waiting import until

pytestmark = pytest.mark.light

SDP = {"Content-Type": "application/sdp"}
CONNECT_S = 30


def dtls_peer(whip, key, *options):
    return Publisher("dtls-peer", [sys.executable, HERE / "dtls_peer.py", whip, *options], {"STREAM_KEY": key})


def agreed(whip, key, *options):
    """What a peer with these options agrees on with the server."""
    with dtls_peer(whip, key, *options) as peer:
        assert peer.wait(CONNECT_S) == 0, peer.log()
        line, = [line for line in peer.log().splitlines() if line.startswith("{")]
        found = json.loads(line)
        assert found["event"] == "connected", peer.log()
        return found


# RFC 8827 6.5


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("certificate", ["rsa", "p256", "p384"])
def test_a_peer_of_each_certificate_connects_in_both_roles(server, channel, certificate, role):
    found = agreed(server.whip, channel.key, "--certificate", certificate, "--role", role)
    # Who is the server brings the key.
    kind = "RSA" if (certificate, role) == ("rsa", "server") else "ECDSA"
    assert found["suite"].startswith(f"ECDHE-{kind}-"), found


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("group,name", [("X25519", "x25519"), ("P-384", "secp384r1"), ("P-256", "secp256r1")])
def test_each_curve_is_agreed_on_in_both_roles(server, channel, group, name, role):
    # P-256 stands for the certificate of the server, which has to be on a curve that the peer names.
    found = agreed(server.whip, channel.key, "--groups", f"{group}:P-256" if group != "P-256" else group,
                   "--role", role)
    assert found["group"] == name, found


@pytest.mark.parametrize("role", ["passive", "active"])
def test_ffmpeg_with_gnutls_publishes_with_its_certificate_on_p224(server, channel, role):
    script = HERE / "pyav_publisher.py"
    with Publisher("pyav", [sys.executable, script, server.whip, role], {"STREAM_KEY": channel.key}) as publisher:
        assert publisher.wait(CONNECT_S) == 0, publisher.log()


# Addresses


def test_ipv6_alone_is_enough():
    with Server(arguments=["--media-listen", "[::1]:0"]) as server, browser.session() as session:
        channel = server.new_channel()
        found = agreed(server.whip, channel.key)
        assert " ::1 " in found["answer"], found["answer"]
        with session.publisher(server.whip, channel.key) as publisher:
            assert publisher.stop() == 200


ICE_SERVERS = '[{url="stun:stun.example.net"},{url="turn:turn.example.net",username="u",credential="turn-secret"}]'


def test_announced_addresses_mean_ice_lite_and_every_client_copes():
    offer = publishers.offer()
    env = {"HEADWATER_MEDIA__ANNOUNCE": '["127.0.0.1"]', "HEADWATER_MEDIA__ICE_SERVERS": ICE_SERVERS}
    with Server(env=env) as server, browser.session() as session:
        channel = server.new_channel()
        found = agreed(server.whip, channel.key)
        assert "a=ice-lite\r\n" in found["answer"]
        for role in ("passive", "active"):
            with publishers.ffmpeg(server.whip, channel.key, role) as publisher:
                channel.wait_state("live")
                publisher.stop()
            channel.wait_state("ended")
        with session.publisher(server.whip, channel.key) as publisher:
            channel.wait_state("live")
            assert publisher.stop() == 200
        check_links(server, channel, offer)
        assert "turn-secret" not in server.log()


def check_links(server, channel, offer):
    """RFC 9725 4.6: one line each."""
    parts = urlsplit(server.whip)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=web.TIMEOUT_S)
    connection.request("POST", parts.path, offer, SDP | {"Authorization": f"Bearer {channel.key}"})
    answer = connection.getresponse()
    assert answer.status == 201
    links = answer.headers.get_all("Link")
    connection.close()
    assert links == ['<stun:stun.example.net>; rel="ice-server"',
                     '<turn:turn.example.net>; rel="ice-server"; username="u"; credential="turn-secret"; '
                     'credential-type="password"']


# A browser's beginning


def test_chromium_begins_at_full_size_and_sends_stereo(server, channel):
    with browser.session() as session, session.publisher(server.whip, channel.key) as publisher:
        stats = """async () => {
          const found = {};
          (await publisher.peer.getStats()).forEach((entry) => {
            if (entry.type === 'outbound-rtp' && entry.kind === 'video') found.height = entry.frameHeight;
            if (entry.type === 'outbound-rtp' && entry.kind === 'audio') found.audio = entry.targetBitrate;
          });
          return found;
        }"""
        first = until(lambda: (found := publisher.page.evaluate(stats)).get("height") and found, CONNECT_S, "a picture")
        # Without a start bitrate it is 180 lines of 360, and 64 kbit/s.
        assert first["height"] == 360, first
        assert first["audio"] == 128_000, first
        publisher.stop()


# Those who never come


def post(server, key, offer):
    return web.request("POST", server.whip, offer, SDP | {"Authorization": f"Bearer {key}"})


def test_fifty_sessions_opened_and_left_are_freed_and_a_later_publisher_gets_in():
    with Server(env={"HEADWATER_LIMITS__SESSIONS_MAX": "60"}) as server:
        channels = [server.new_channel() for _ in range(25)]
        offer = publishers.offer()
        for channel in channels * 2:
            assert post(server, channel.key, offer).status == 201
        with publishers.aiortc(server.whip, channels[0].key) as publisher:
            channels[0].wait_state("live")
            publisher.stop()
        until(lambda: server.metric("headwater_media_port_open_peers") == 0, CONNECT_S, "all peers are freed")
        until(lambda: server.metric("headwater_ingest_sessions_active") == 0, CONNECT_S, "all sessions are freed")
        assert server.metric("headwater_ingest_sessions_ended_total", end="lost") >= 24


def test_one_session_too_many_is_503_with_a_time_to_come_back():
    with Server(env={"HEADWATER_LIMITS__SESSIONS_MAX": "1"}) as server:
        first, second = server.new_channel(), server.new_channel()
        with publishers.aiortc(server.whip, first.key) as publisher:
            first.wait_state("live")
            answer = post(server, second.key, publishers.offer())
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
            assert answer.problem() == "sessions_too_many"
            publisher.check_running()
            publisher.stop()
        until(lambda: post(server, second.key, publishers.offer()).status == 201, CONNECT_S, "room comes back")
