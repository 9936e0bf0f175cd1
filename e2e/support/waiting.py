"""Waiting for real conditions, with a deadline."""

import time

# Conditions are looked at this often.
INTERVAL_S = 0.05


class Late(AssertionError):
    """A condition did not come in time."""


def until(condition, seconds, what):
    """Polls `condition` until it returns something true, and returns that.

    Raises Late after `seconds`. `what` names the condition in the error.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"not within {seconds} s: {what} (last seen: {value!r})")
        time.sleep(INTERVAL_S)


def holds_for(condition, seconds, what):
    """Polls `condition` for `seconds` and fails as soon as it is not true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not hold for {seconds} s: {what}"
        time.sleep(INTERVAL_S)
