"""Looking at processes through /proc. Nothing here ends a process that the tests did not start."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process; `started` tells it from a later one with the same id."""

    id: int
    started: str
    command: tuple

    def alive(self):
        found = read(self.id)
        return found is not None and found.started == self.started

    def signal(self, number):
        """Signals just this process; False if it is gone."""
        if not self.alive():
            return False
        os.kill(self.id, number)
        return True

    def kill(self):
        return self.signal(signal.SIGKILL)


def _stat(process_id):
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces.
    return text.rpartition(")")[2].split()


def read(process_id):
    """The process of that id; None if there is none or it is only a zombie."""
    stat = _stat(process_id)
    if stat is None or stat[0] in "ZX":
        return None
    try:
        command = Path(f"/proc/{process_id}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return None
    return Process(process_id, stat[19], tuple(part.decode(errors="replace") for part in command))


def children(process_id):
    """All living descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(entry)
            if stat is not None:
                parents.setdefault(int(stat[1]), []).append(int(entry))
    found, queue = [], list(parents.get(process_id, []))
    while queue:
        current = queue.pop()
        queue += parents.get(current, [])
        process = read(current)
        if process:
            found.append(process)
    return found
