"""What a bad network does to packets: pure functions of a seed and the times at which packets come.

A `Line` is one way of a network. It asks each of its faults in turn, the n-th packet getting the n-th piece of
chance of each: the same seed and the same times make the same fates. Times are seconds since the line began.
"""

import random
from dataclasses import dataclass

# The fate of a packet that nothing happens to.
AT_ONCE = (0.0,)
LOST = ()


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet: after how long each of its copies arrives, and from which of its sender's addresses."""

    delays: tuple
    address: int


class Fault:
    """One thing that is wrong with a network."""

    def step(self, chance):
        """A function from a packet's time to its delays, one for each copy; it may remember the packets before."""
        return lambda at: AT_ONCE

    def address(self, at):
        """How often the sender's address has changed by then."""
        return 0


class Line:
    def __init__(self, faults, seed):
        self.faults = tuple(faults)
        self._steps = [fault.step(random.Random(f"{seed}/{index}")) for index, fault in enumerate(self.faults)]

    def take(self, at):
        """The fate of the next packet."""
        delays = AT_ONCE
        for step in self._steps:
            delays = tuple(delay + more for delay in delays for more in step(at + delay))
        return Fate(delays, sum(fault.address(at) for fault in self.faults))


@dataclass(frozen=True)
class Loss(Fault):
    """A share of packets, each by itself."""

    share: float

    def step(self, chance):
        return lambda at: LOST if chance.random() < self.share else AT_ONCE


@dataclass(frozen=True)
class Outage(Fault):
    """Every packet, from the beginning on."""

    def step(self, chance):
        return lambda at: LOST


@dataclass(frozen=True)
class Bursts(Fault):
    """Every packet for `length_s` at `first_s` and each `every_s` after it."""

    every_s: float
    length_s: float
    first_s: float = 0.0

    def step(self, chance):
        return lambda at: LOST if self._within(at) else AT_ONCE

    def _within(self, at):
        return at >= self.first_s and (at - self.first_s) % self.every_s < self.length_s

    def begins(self, until):
        """When the bursts before `until` begin."""
        count = max(0, -int(-(until - self.first_s) // self.every_s))
        return [self.first_s + index * self.every_s for index in range(count)]


@dataclass(frozen=True)
class Delay(Fault):
    """The same for each packet."""

    seconds: float

    def step(self, chance):
        return lambda at: (self.seconds,)


@dataclass(frozen=True)
class Jitter(Fault):
    """Up to `most_s`, another for each packet; none overtakes another, as in a queue."""

    most_s: float

    def step(self, chance):
        last = 0.0

        def delays(at):
            nonlocal last
            last = max(last, at + chance.uniform(0, self.most_s))
            return (last - at,)

        return delays


@dataclass(frozen=True)
class Reorder(Fault):
    """A share of packets comes so much late, behind those sent meanwhile."""

    share: float
    late_s: float

    def step(self, chance):
        return lambda at: (self.late_s,) if chance.random() < self.share else AT_ONCE


@dataclass(frozen=True)
class Duplicates(Fault):
    """A share of packets comes twice, the copy so much later."""

    share: float
    after_s: float = 0.0

    def step(self, chance):
        return lambda at: (0.0, self.after_s) if chance.random() < self.share else AT_ONCE


@dataclass(frozen=True)
class Moves(Fault):
    """The sender comes from another address each `every_s`."""

    every_s: float

    def address(self, at):
        return int(at // self.every_s)
