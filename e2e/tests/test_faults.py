"""Things that break while a broadcast runs, and what viewers see of it."""

import json
import random
import signal
import socket
import threading
import time
from collections import Counter

import pytest

import publishers
from judges import judge
from support import browser, web
from support.server import Server
from support.waiting import until
from watcher import finish, follow

END_S = 15
# The limit for a connected and silent publisher is 10 s.
SILENCE_S = 10
# The limit from the revocation of a key to the end of its session is 5 s.
REVOKED_S = 5
# A bound on a busy machine is five times the real one.
SLACK = 5


# The media port


def nonsense(seed):
    """Datagrams of every class that RFC 7983 tells apart by the first byte, and some of none."""
    chance = random.Random(seed)
    while True:
        first = chance.choice([0, 1, 20, 22, 63, 64, 79, 128, 144, 191, 192, 255])
        size = chance.choice([0, 1, 2, 12, 19, 20, 28, 100, 1200, 1500, 9000])
        body = bytearray(chance.randbytes(size))
        if body:
            body[0] = first
        if first in (0, 1) and size >= 20 and chance.random() < 0.5:
            # A STUN header with a right length and cookie, and attributes of noise.
            body[2:8] = (size - 20).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
        yield bytes(body)


class Noise:
    """Sends nonsense to an address until left."""

    PAUSE_S = 0.001

    def __init__(self, address):
        self.address = address
        self.over = threading.Event()
        self.sent = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for datagram in nonsense(1):
                out.sendto(datagram, self.address)
                self.sent += 1
                if self.over.wait(self.PAUSE_S):
                    return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_garbage_on_the_media_port_changes_nothing(server, channel, tmp_path):
    with Noise(server.media_address()) as noise, publishers.ffmpeg(server.whip, channel.key) as publisher:
        watcher = follow(channel, publisher, 4)
        recording = finish(watcher, publisher)
    assert noise.sent > 1_000
    judge(recording, tmp_path)
    assert "panicked" not in server.log()


# The worker


def test_a_killed_worker_is_replaced_and_playback_goes_on(server, tmp_path):
    channel = server.new_channel(passthrough=False)
    with browser.session() as chromium, publishers.headwater(server.whip, channel.key) as publisher:
        watcher = follow(channel, publisher, 2)
        player = chromium.player(channel.page)
        player.wait_live()
        shaka = chromium.shaka(channel.playlist)
        shaka.check_plays_on(2)
        worker, = server.workers()
        assert worker.kill()
        follow(channel, publisher, 3, watcher)
        assert not worker.alive()
        replaced, = server.workers()
        assert replaced.id != worker.id
        stats = player.stats()
        player.wait_time(stats["currentTime"] + 6, milliseconds=40_000)
        after = player.stats()
        assert (after["fatalErrors"], after["attachments"]) == (0, 1), after
        shaka.check_plays_on(4)
        recording = finish(watcher, publisher)
    for rendition in recording.renditions:
        breaks = sum(segment.discontinuity for segment in rendition.last().segments)
        assert breaks == 1, f"{rendition.name} has {breaks} discontinuities"
    judge(recording, tmp_path)


# The publisher


@pytest.mark.light
def test_a_connected_but_silent_publisher_is_ended(server, channel):
    with publishers.aiortc(server.whip, channel.key, "--silent") as publisher:
        publishers.wait_event(publisher, "connected")
        began = time.monotonic()
        ended = publishers.wait_event(publisher, "ended", SILENCE_S * SLACK)
        waited = time.monotonic() - began
    # The session was gone before its goodbye.
    assert ended["status"] == 404, ended
    assert waited > SILENCE_S / 2
    assert "silent" in server.log()
    assert channel.state()["state"] == "offline"


@pytest.mark.light
def test_a_publisher_killed_without_a_goodbye_ends_its_broadcast(server, channel):
    with publishers.ffmpeg(server.whip, channel.key) as publisher:
        channel.wait_playable()
        channel.wait_state("live")
        publisher.kill()
    channel.wait_state("ended", SILENCE_S * SLACK)
    until(lambda: not server.workers(), END_S, "the transcode worker is gone")


# The key


@pytest.mark.light
def test_a_key_revoked_while_live_ends_its_broadcast_with_a_reason(server, channel):
    name = f"/channels/{channel.name}"
    with publishers.aiortc(server.whip, channel.key) as publisher:
        publishers.wait_event(publisher, "connected")
        channel.wait_state("live")
        shown = until(lambda: server.api("GET", name)["live"], END_S, "the control plane knows of it")
        assert (shown["protocol"], shown["credential"]) == ("whip", "key")
        server.api("DELETE", f"{name}/keys/{channel.key_id}")
        ended = publishers.wait_event(publisher, "ended", REVOKED_S * SLACK)
        # The server closed the connection, and the session was gone before its goodbye.
        assert (ended["state"], ended["status"]) == ("closed", 404)
    last = until(lambda: server.api("GET", name)["last_end"], REVOKED_S * SLACK, "the end is shown")
    assert (last["broadcast"], last["reason"]) == (shown["broadcast"], "key_revoked")
    assert "last_end" not in web.get(f"{server.url}/api/v1{name}").json()
    channel.wait_state("ended")
    assert server.metric("headwater_ingest_sessions_ended_total", end="key_revoked") >= 1


# The database


class Writers:
    """Write to the control API until left, and remember what was acknowledged."""

    # Together under the limit of one account.
    THREADS, PAUSE_S = 3, 0.1

    def __init__(self, server):
        self.server = server
        self.headers = {"Authorization": f"Bearer {server.first_run()['admin_token']}"}
        self.channel = server.new_channel().name
        self.over = threading.Event()
        self.users = []
        # The numbers of the titles that was acknowledged last, and sent last.
        self.acknowledged, self.sent = 0, 0
        self.statuses = Counter()
        writes = [lambda count, of=of: self.make_user(f"w{of}-{count}") for of in range(self.THREADS - 1)]
        writes.append(self.retitle)
        self.threads = [threading.Thread(target=self.run, args=(write,), daemon=True) for write in writes]

    def run(self, write):
        count = 1
        while not self.over.wait(self.PAUSE_S):
            try:
                self.statuses[write(count)] += 1
            except OSError as error:
                self.statuses[repr(error)] += 1
            count += 1

    def send(self, method, path, body=None):
        url = f"{self.server.url}/api/v1{path}"
        return web.request(method, url, body and json.dumps(body), self.headers, timeout=30)

    def make_user(self, name):
        answer = self.send("POST", "/users", {"name": name})
        if answer.status == 201:
            self.users.append(name)
        return answer.status

    def retitle(self, count):
        self.sent = count
        answer = self.send("PATCH", f"/channels/{self.channel}", {"title": f"title {count}"})
        if answer.status == 200:
            self.acknowledged = count
        return answer.status

    def wait_acknowledged(self):
        """Until each kind of write was acknowledged anew."""
        users, title = len(self.users), self.acknowledged
        until(lambda: len(self.users) > users + self.THREADS and self.acknowledged > title + 1, 60, "writes are kept")

    def check_kept(self):
        """All that was acknowledged is there; after the writers have ended."""
        lost = [name for name in self.users if self.send("GET", f"/users/{name}").status != 200]
        assert not lost, f"{len(lost)} of {len(self.users)}: {lost[:5]}"
        title = self.send("GET", f"/channels/{self.channel}").json()["title"]
        number = int(title.removeprefix("title "))
        assert self.acknowledged <= number <= self.sent, (self.acknowledged, number, self.sent)
        # What the dead database left unanswered was told to come again, if it was not back in time; nothing else went wrong.
        assert {200, 201} <= set(self.statuses) <= {200, 201, 503}, self.statuses
        in_use = "headwater_control_database_connections_in_use"
        until(lambda: self.server.metric(in_use) == 0, END_S, "the pool is free")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_without_a_database_broadcasts_go_on_and_new_publishers_are_told_to_wait(server, channel, tmp_path):
    other = server.new_channel()
    offer = publishers.offer()
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {other.key}"}

    def ask():
        return web.request("POST", server.whip, offer, headers, timeout=30)

    with publishers.headwater(server.whip, channel.key) as publisher:
        watcher = follow(channel, publisher, 2)
        stopped = server.database_processes()
        assert stopped, "no database server among the children"
        try:
            for process in stopped:
                process.signal(signal.SIGSTOP)
            answer = ask()
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            answer.problem()
            follow(channel, publisher, 2, watcher)
        finally:
            for process in stopped:
                process.signal(signal.SIGCONT)
        check_recovery(server, other, ask)

        with Writers(server) as writers:
            writers.wait_acknowledged()
            killed = server.database_processes()[0]
            assert killed.kill()
            until(lambda: not killed.alive(), END_S, "the database server is gone")
            check_recovery(server, other, ask)
            writers.wait_acknowledged()
        writers.check_kept()
        follow(channel, publisher, 2, watcher)
        recording = finish(watcher, publisher)
    judge(recording, tmp_path)


def check_recovery(server, channel, ask):
    """New publishers are admitted again, and told to wait until then."""

    def admitted():
        answer = ask()
        assert answer.status in (201, 503), answer
        return answer if answer.status == 201 else None

    answer = until(admitted, 60, "a new publisher is admitted")
    session = server.url + answer.headers["location"]
    assert web.request("DELETE", session, headers={"Authorization": f"Bearer {channel.key}"}).status == 200


# The server


class LastPlaylist:
    """Follows one media playlist by blocking reload and keeps its last text, until the server is gone."""

    def __init__(self, url):
        self.url = url
        self.text = web.get(url).text()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            grown = self.text.count("#EXTINF") + int(self.text.split("#EXT-X-MEDIA-SEQUENCE:")[1].split("\n")[0])
            try:
                answer = web.get(f"{self.url}?_HLS_msn={grown}")
            except OSError:
                return
            if answer.status == 200:
                self.text = answer.text()
            if answer.status != 200 or "#EXT-X-ENDLIST" in self.text:
                return


def first_rendition(channel):
    text = channel.wait_playable()
    name = next(line for line in text.splitlines() if line and not line.startswith("#"))
    return channel.playlist.rsplit("/", 1)[0] + "/" + name


@pytest.mark.light
def test_sigterm_ends_everything_within_the_deadline_and_marks_no_end():
    with Server() as server:
        channel = server.new_channel()
        with publishers.ffmpeg(server.whip, channel.key):
            last = LastPlaylist(first_rendition(channel))
            until(lambda: "#EXTINF" in last.text, 30, "a segment")
            family = server.children()
            assert len(family) >= 2, "expected a worker and a database server"
            assert server.stop() == 0
            last.thread.join(END_S)
        assert "#EXT-X-ENDLIST" not in last.text
        until(lambda: not any(process.alive() for process in family), END_S, "every child is gone")
        assert "panicked" not in server.log()


@pytest.mark.light
def test_a_killed_server_leaves_nothing_that_hinders_the_next_one(tmp_path):
    with Server() as server:
        channel = server.new_channel()
        with publishers.ffmpeg(server.whip, channel.key):
            first_rendition(channel)
            worker, = server.workers()
            server.kill()
        until(lambda: not worker.alive(), END_S, "the orphaned worker is gone")
        with Server(data=server.data) as again:
            assert again.first_run() == server.first_run()
            same = type(channel)(again, channel.name, channel.key, channel.key_id)
            with publishers.ffmpeg(again.whip, same.key) as publisher:
                watcher = follow(same, publisher, 3)
                recording = finish(watcher, publisher)
            judge(recording, tmp_path)
            family = again.children()
            assert again.database_processes() or server.family, "no database server anywhere"
        left = [process for process in (*server.family, *family) if process.alive()]
        assert not left, [process.command for process in left]
