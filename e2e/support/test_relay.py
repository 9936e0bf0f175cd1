"""The relay's sockets, between two of our own in the places of publisher and server."""

import socket
from contextlib import contextmanager

from .faults import Delay, Duplicates, Loss, Moves
from .relay import Relay
from .waiting import until

# Loopback answers in no time; what never comes is waited for so long.
TIMEOUT_S = 5


class Ends:
    """A publisher's socket and a server's."""

    def __init__(self):
        self.publisher, self.server = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for end in (self.publisher, self.server):
            end.bind(("127.0.0.1", 0))
            end.settimeout(TIMEOUT_S)

    def media_address(self):
        return self.server.getsockname()

    def close(self):
        self.publisher.close()
        self.server.close()


@contextmanager
def relayed(*faults):
    ends = Ends()
    try:
        with Relay(ends, *faults) as relay:
            yield relay, ends
    finally:
        ends.close()


def up(relay, ends, text):
    """Sends to the server; returns the address that it comes from there."""
    ends.publisher.sendto(text, relay.address)
    data, sender = ends.server.recvfrom(100)
    assert data == text
    return sender


def test_both_ways_pass():
    with relayed() as (relay, ends):
        sender = up(relay, ends, b"hello")
        ends.server.sendto(b"and back", sender)
        assert ends.publisher.recvfrom(100) == (b"and back", relay.address)
        assert relay.passed == {"up": 1, "down": 1} and relay.dropped == 0


def test_a_lost_datagram_never_comes_and_is_counted():
    with relayed(Loss(1)) as (relay, ends):
        ends.publisher.sendto(b"lost", relay.address)
        until(lambda: relay.dropped, TIMEOUT_S, "the datagram is taken")
        relay.begin()
        up(relay, ends, b"comes")


def test_a_copy_comes_twice_and_later_by_its_delay():
    with relayed(Delay(0.05), Duplicates(1, after_s=0.05)) as (relay, ends):
        up(relay, ends, b"twice")
        assert relay.elapsed() >= 0.05
        assert ends.server.recvfrom(100)[0] == b"twice"
        assert relay.elapsed() >= 0.1


def test_an_outage_leaves_the_faults_that_were_there_before():
    with relayed(Duplicates(1)) as (relay, ends):
        with relay.outage():
            assert [type(fault).__name__ for fault in relay.faults] == ["Outage"]
        assert relay.faults == (Duplicates(1),)


def test_a_move_changes_the_address_that_the_server_sees_and_the_way_back_goes_on():
    with relayed() as (relay, ends):
        before = up(relay, ends, b"first")
        relay.move()
        after = up(relay, ends, b"second")
        assert before != after
        ends.server.sendto(b"back", after)
        assert ends.publisher.recvfrom(100)[0] == b"back"


def test_moves_of_a_line_are_made_by_the_packet_that_comes_after_them():
    with relayed(Moves(every_s=0.01)) as (relay, ends):
        first = up(relay, ends, b"0")
        until(lambda: up(relay, ends, b"again") != first, TIMEOUT_S, "another address")
        assert relay.moves >= 1
