"""The server under test: one process, its data folder, its addresses, its log."""

import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from . import processes, web
from .waiting import until

ROOT = Path(__file__).resolve().parents[2]
# A first start creates a database.
READY_S = 60
# shutdown.deadline_s, and time for a busy machine.
STOP_S = 20
LOG_TAIL_LINES = 150


# Two rungs that two cores encode beside a publisher and a player.
SMALL_LADDER = {
    "rungs": [{"height": 360, "bitrate": 700_000}, {"height": 180, "bitrate": 250_000}],
    "audio_bitrate": 96_000,
}
ONE_RUNG = {"rungs": [{"height": 180, "bitrate": 250_000}], "audio_bitrate": 96_000}
# A publisher that a test leaves behind is not awaited for long.
GRACE_S = 3
# Logs of this test session, for the report of a failure.
LOGS = []


def binary():
    return Path(os.environ.get("HEADWATER_BIN", ROOT / "target/debug/headwater"))


def environment(extra=None):
    """Ours without any configuration of the server, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    return kept | (extra or {})


def new_log(name):
    """A log file that the report of a failed test shows the end of."""
    handle, path = tempfile.mkstemp(prefix=f"headwater-e2e-{name}-", suffix=".log")
    os.close(handle)
    LOGS.append((name, Path(path)))
    return Path(path)


def data_folder():
    """A new folder that an unprivileged database server can reach. The caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-e2e-"))
    folder.chmod(0o755)
    return folder


def run(*arguments, env=None, timeout=30):
    """Runs the binary to its end."""
    return subprocess.run([binary(), *map(str, arguments)], env=environment(env), capture_output=True, text=True,
                          timeout=timeout, check=False)


@dataclass
class Channel:
    """A channel of a server, and what viewers see of it."""

    server: "Server"
    name: str
    key: str
    key_id: str | None

    @property
    def playlist(self):
        return f"{self.server.url}/live/{self.name}/index.m3u8"

    @property
    def page(self):
        return f"{self.server.url}/watch/{self.name}"

    def state(self):
        """The channel's state document; an unknown channel is offline."""
        answer = web.get(f"{self.server.url}/live/{self.name}/state.json")
        return answer.json() if answer.status == 200 else {"state": "offline"}

    def wait_state(self, wanted, seconds=20):
        return until(lambda: (state := self.state())["state"] == wanted and state, seconds,
                     f"channel {self.name} is {wanted}")

    def wait_playable(self, seconds=30):
        """Until the multivariant playlist is there; returns its text."""
        return until(lambda: (answer := web.get(self.playlist)).status == 200 and answer.text(), seconds,
                     f"{self.playlist} is there")


class Server:
    """Starts at `start`, ends at `stop`. Use as a context manager; the data folder goes with it."""

    def __init__(self, data=None, env=None, arguments=()):
        self.owns_data = data is None
        self.data = Path(data) if data else data_folder()
        self.env = {"HEADWATER_LOG__FILTER": "info"} | (env or {})
        self.arguments = list(arguments)
        self.process = None
        self.ready = None
        self.family = []
        self.log_path = new_log("server")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        log = self.log_path.open("ab")
        command = [binary(), "serve", "--data", self.data]
        for flag in ("--listen", "--media-listen", "--ops-listen"):
            if flag not in self.arguments:
                command += [flag, "127.0.0.1:0"]
        self.process = subprocess.Popen([*map(str, command), *self.arguments], env=environment(self.env),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        log.close()
        self.ready = self._wait_ready()
        return self

    def _wait_ready(self):
        lines = queue.Queue()

        def read():
            for line in self.process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        try:
            line = lines.get(timeout=READY_S)
        except queue.Empty:
            self.kill()
            raise AssertionError(f"the server was not ready within {READY_S} s\n{self.log()}") from None
        assert line is not None, f"the server ended with {self.process.wait()}\n{self.log()}"
        ready = json.loads(line)
        assert ready["event"] == "ready", ready
        return ready

    # Addresses and secrets

    @property
    def url(self):
        return self.ready["http"]

    @property
    def ops(self):
        return self.ready["ops"]

    @property
    def whip(self):
        return f"{self.url}/whip"

    def media_address(self):
        host, _, port = self.ready["media"].rpartition(":")
        return host.strip("[]"), int(port)

    def first_run(self):
        return json.loads((self.data / "first-run.json").read_text())

    def api(self, method, path, body=None):
        """A call of the control API as its administrator; fails on an error."""
        headers = {"Authorization": f"Bearer {self.first_run()['admin_token']}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        answer = web.request(method, f"{self.url}/api/v1{path}", data, headers)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body[:300]!r}"
        return answer.json() if answer.body else None

    def new_channel(self, profile="low", ladder=SMALL_LADDER, grace_s=GRACE_S, passthrough=True):
        """A channel of its own for a test, with a key."""
        name = f"e2e-{secrets.token_hex(4)}"
        self.api("POST", "/channels", {"name": name, "profile": profile, "ladder": ladder, "grace_s": grace_s,
                                       "passthrough": passthrough})
        key = self.api("POST", f"/channels/{name}/keys", {"label": "e2e"})
        return Channel(self, name, key["key"], key["id"])

    def first_channel(self):
        """The one that the first start leaves."""
        first = self.first_run()
        return Channel(self, first["channel"], first["stream_key"], None)

    # What it says

    def metrics(self):
        """{name with labels: value}."""
        found = {}
        for line in web.get(f"{self.ops}/metrics").text().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def metric(self, name, **labels):
        """The sum of the series of that name that have these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            base, _, rest = series.partition("{")
            if base == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
                total += value
        return total

    def children(self):
        return processes.children(self.process.pid)

    def workers(self):
        """The transcode workers."""
        return [child for child in self.children() if any("transcode" in part for part in child.command[1:])]

    def database_processes(self):
        """The embedded database server (the first) and its children."""
        found = [child for child in self.children() if "postgres" in child.command[0]]
        return sorted(found, key=lambda child: not child.command[0].endswith("/postgres"))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self):
        return "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])

    # Its end

    def stop(self, seconds=STOP_S):
        """SIGTERM; returns the exit code. Fails if it takes longer."""
        self.family = self.children()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end within {seconds} s of SIGTERM\n{self.log_tail()}") from None

    def kill(self):
        """SIGKILL to the server alone."""
        self.family = self.children()
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            try:
                self.stop()
            except AssertionError as error:
                print(error)
        # Whatever a failing test left behind was started by us.
        for process in self.family:
            process.kill()
        if self.owns_data:
            shutil.rmtree(self.data, ignore_errors=True)
