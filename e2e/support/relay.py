"""A small network between one publisher and the server, that can be bad in ways the test chooses.

Publishers are given the relay's `whip`. It passes their requests on, takes their candidates out of the offer
and puts its own in the place of the server's in the answer, so that all media go through its UDP socket: like
a NAT, each address of the publisher has a socket of its own towards the server.
"""

import heapq
import http.server
import itertools
import os
import re
import selectors
import socket
import threading
import time
from contextlib import contextmanager

from . import web
from .faults import Line, Outage

# Of networks that are not told theirs. Each says its own, and a failed test shows it.
SEED = int(os.environ.get("HEADWATER_NETWORK_SEED", "1"))
DATAGRAM_BYTES = 65_536
# How often the thread looks whether it is to end.
TURN_S = 0.05
CANDIDATES = re.compile(r"^a=(candidate|end-of-candidates).*\r?\n", re.MULTILINE)
# These belong to one connection, or are written by the proxy itself.
HOP_HEADERS = {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}


def own_address():
    """The machine's address towards others; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))
        return out.getsockname()[0]


class Relay:
    """`faults` are those of both ways, from the first packet on; `begin` gives it others. Chance comes from `seed`.

    `host` is where publishers find it. Wherever that is, it takes datagrams of this machine only.
    """

    def __init__(self, server, *faults, seed=None, host="127.0.0.1"):
        self.server = server
        self.seed = SEED if seed is None else seed
        self.passed = {"up": 0, "down": 0}
        self.dropped = 0
        self.moves = 0
        self._upstream = server.media_address()
        self._host = host
        self._front = _udp(host)
        self._ours = {"127.0.0.1", own_address()}
        self._backs = {}
        self._queue = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._http = _proxy(self)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._run, self._http.serve_forever)]
        self.begin(*faults)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._http.server_close()
        self._selector.close()
        for out in (self._front, *self._backs.values()):
            out.close()

    @property
    def whip(self):
        return f"http://127.0.0.1:{self._http.server_address[1]}/whip"

    @property
    def address(self):
        """Where publishers send their media."""
        return self._front.getsockname()

    def begin(self, *faults):
        """Has these faults in the place of all others; their time and their chance begin now."""
        with self._lock:
            self._began, self.began_wall = time.monotonic(), time.time()
            self.faults = faults
            self._lines = {way: Line(faults, f"{self.seed}/{way}") for way in self.passed}
            self._address = 0
        print(f"network with seed {self.seed}: {', '.join(map(str, faults)) or 'no faults'}")

    def elapsed(self):
        """Seconds since its faults began."""
        return time.monotonic() - self._began

    @contextmanager
    def outage(self):
        """Drops everything for as long as it lasts."""
        faults = self.faults
        self.begin(Outage())
        try:
            yield
        finally:
            self.begin(*faults)

    def move(self):
        """The publisher comes from other ports from now on, as when a NAT forgets it or it changes its network."""
        with self._lock:
            self._move()

    def _move(self):
        for client, old in list(self._backs.items()):
            self._selector.unregister(old)
            old.close()
            self._open(client)
        self.moves += 1

    # Candidates

    def rewrite_offer(self, sdp):
        return CANDIDATES.sub("", sdp)

    def rewrite_answer(self, sdp):
        """One candidate, ours, in the first section; the others are bundled with it."""
        host, port = self.address
        ours = f"a=candidate:1 1 UDP 2130706431 {host} {port} typ host\r\na=end-of-candidates\r\n"
        head, *sections = re.split(r"(?m)^(?=m=)", CANDIDATES.sub("", sdp))
        return "".join([head, *(section + (ours if index == 0 else "") for index, section in enumerate(sections))])

    # Datagrams

    def _run(self):
        while not self._over.is_set():
            with self._lock:
                self._send_due()
                wait = self._queue[0][0] - time.monotonic() if self._queue else TURN_S
            # `move` closes sockets between turns; what it closed is not read any more.
            for key, _ in self._selector.select(min(max(wait, 0), TURN_S)):
                with self._lock:
                    self._take(key.fileobj, key.data)

    def _take(self, source, client):
        try:
            data, sender = source.recvfrom(DATAGRAM_BYTES)
        except OSError:
            return
        if client is None and sender[0] not in self._ours:
            return
        way = "up" if client is None else "down"
        now = time.monotonic()
        fate = self._lines[way].take(now - self._began)
        if fate.address > self._address and way == "up":
            self._address = fate.address
            self._move()
        self.dropped += not fate.delays
        ends = (sender, self._upstream) if client is None else (None, client)
        for delay in fate.delays:
            heapq.heappush(self._queue, (now + delay, next(self._order), (way, *ends), data))
        self._send_due()

    def _send_due(self):
        while self._queue and self._queue[0][0] <= time.monotonic():
            _, _, (direction, client, target), data = heapq.heappop(self._queue)
            out = self._front if client is None else self._backs.get(client) or self._open(client)
            self.passed[direction] += 1
            try:
                out.sendto(data, target)
            except OSError:
                self.dropped += 1

    def _open(self, client):
        # Firefox takes no response that tells it a loopback address as its own.
        back = _udp(self._host)
        self._backs[client] = back
        self._selector.register(back, selectors.EVENT_READ, client)
        return back


def _udp(host):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind((host, 0))
    out.setblocking(False)
    return out


def _proxy(relay):
    class Proxy(http.server.BaseHTTPRequestHandler):
        def _pass(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.command == "POST":
                body = relay.rewrite_offer(body.decode()).encode()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
            answer = web.request(self.command, relay.server.url + self.path, body, headers)
            text = answer.body
            if answer.status == 201:
                text = relay.rewrite_answer(text.decode()).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_DELETE = do_OPTIONS = do_PATCH = do_GET = _pass

        def log_message(self, *_):
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
