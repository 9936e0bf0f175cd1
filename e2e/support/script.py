"""A Node script of the tests that serves something until its input is closed, and tells about it in lines of JSON."""

import json
import queue
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from . import tools
from .server import ROOT, new_log

LINE_S = 60
END_S = 20


class Script:
    def __init__(self, process, log):
        self.process = process
        self.log = log
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self):
        """The next line of JSON."""
        line = self.lines.get(timeout=LINE_S)
        assert line is not None, f"the script ended with {self.process.wait()}\n{self.log.read_text()}"
        return json.loads(line)


@contextmanager
def running(path, *arguments):
    """Runs e2e/`path`."""
    log = new_log(Path(path).stem)
    command = [tools.node(), ROOT / "e2e" / path, *arguments]
    with log.open("ab") as errors:
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    try:
        yield Script(process, log)
    finally:
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
