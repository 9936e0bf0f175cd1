"""Clients that send or read too slowly, too much, or stop in the middle, on every kind of route and both ports."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from support import web

pytestmark = pytest.mark.light

# Limits of the server, in seconds; an end is waited for five times as long, as the machine may be busy.
HEADER_S = 10
BODY_S = 10
PATIENCE = 5
ROUTES = {
    "multivariant": ("GET", "/live/demo/index.m3u8"),
    "playlist": ("GET", "/live/demo/b/720p/index.m3u8?_HLS_msn=1&_HLS_part=0"),
    "object": ("GET", "/live/demo/b/720p/seg-1-1.m4s"),
    "state": ("GET", "/live/demo/state.json"),
    "whip": ("POST", "/whip"),
    "session": ("DELETE", "/whip/sessions/0"),
    "api": ("POST", "/api/v1/channels"),
    "page": ("GET", "/watch/demo"),
    "asset": ("GET", "/favicon.ico"),
    "metrics": ("GET", "/metrics"),
    "health": ("GET", "/health"),
}


def address(server, route):
    parts = urlsplit(server.ops if route in ("metrics", "health") else server.url)
    return parts.hostname, parts.port


def connect(server, route):
    return socket.create_connection(address(server, route), timeout=PATIENCE * HEADER_S)


def head(server, route, *fields):
    method, path = ROUTES[route]
    kinds = {"whip": "application/sdp", "api": "application/json"}
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields]
    if route in kinds:
        lines.append(f"Content-Type: {kinds[route]}")
    if route == "api":
        lines.append(f"Authorization: Bearer {server.first_run()['admin_token']}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_to_end(connection):
    """All that comes until the server ends the connection. Fails if it does not."""
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except (ConnectionResetError, BrokenPipeError):
        pass
    return received


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def drip(connection, data, seconds):
    """Sends a byte a second until the server ends the connection or answers; how long that took."""
    began = time.monotonic()
    connection.settimeout(1)
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(65_536) is not None:
                break
        except TimeoutError:
            pass
        except OSError:
            break
        assert time.monotonic() - began < seconds, "the server takes bytes without end"
    return time.monotonic() - began


def slow_header(server, route):
    with connect(server, route) as connection:
        drip(connection, head(server, route, "X-Slow: " + "x" * 1_000), PATIENCE * HEADER_S)


def silence(server, route):
    with connect(server, route) as connection:
        assert read_to_end(connection) == b""


def half_header_and_half_open(server, route):
    """The header breaks off, and the client shuts its side."""
    with connect(server, route) as connection:
        connection.sendall(head(server, route)[:-2])
        connection.shutdown(socket.SHUT_WR)
        assert status(read_to_end(connection)) in (None, 400)


def large_header(server, route):
    with connect(server, route) as connection:
        try:
            connection.sendall(head(server, route, "X-Large: " + "x" * 60_000))
        except OSError:
            pass
        assert status(read_to_end(connection)) == 431


def many_fields(server, route):
    with connect(server, route) as connection:
        connection.sendall(head(server, route, *(f"X-{number}: x" for number in range(200))))
        assert status(read_to_end(connection)) == 431


def long_address(server, route):
    method, path = ROUTES[route]
    mark = "&" if "?" in path else "?"
    with connect(server, route) as connection:
        connection.sendall(f"{method} {path}{mark}{'x' * 9_000} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        answer = status(read_to_end(connection))
        # The ops port has no addresses that depend on what is asked.
        assert answer == 414 or route in ("metrics", "health"), answer


def slow_body(server, route):
    with connect(server, route) as connection:
        connection.sendall(head(server, route, "Content-Length: 5000"))
        drip(connection, b"x" * 5_000, PATIENCE * BODY_S)


def large_body(server, route):
    with connect(server, route) as connection:
        try:
            connection.sendall(head(server, route, "Content-Length: 300000"))
            connection.sendall(b"x" * 300_000)
        except OSError:
            pass
        answer = status(read_to_end(connection))
        # A stream key's absence, or a session's, is told before its body is looked at; the ops port reads none.
        assert answer == 413 or route in ("session", "metrics", "health"), answer


ATTACKS = [slow_header, silence, half_header_and_half_open, large_header, many_fields, long_address, slow_body,
           large_body]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_bad_client_is_ended_on_every_route_while_others_are_served(server, attack):
    with ThreadPoolExecutor(len(ROUTES) * 3) as pool:
        ends = [pool.submit(attack, server, route) for route in ROUTES for _ in range(3)]
        while not all(end.done() for end in ends):
            assert web.get(f"{server.url}/live/demo/state.json", timeout=5).status == 200
            assert web.get(f"{server.ops}/health", timeout=5).status == 200
            time.sleep(0.2)
        for end in ends:
            end.result()


def test_all_of_it_was_counted(server):
    for reason in ("header_timeout", "header_too_large", "uri_too_long", "body_too_large", "body_timeout"):
        assert server.metric("headwater_http_limited_total", port="public", reason=reason) > 0, reason
    for reason in ("header_timeout", "header_too_large"):
        assert server.metric("headwater_http_limited_total", port="ops", reason=reason) > 0, reason
    # Ours is the only one left.
    assert server.metric("headwater_http_connections", port="public") <= 1
