"""nginx with `configs/nginx-edge.conf` in front of a node, on a loopback port of its own."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support.server import ROOT
from support.tools import need, nginx_scripts
from support.waiting import until

START_S = 10
STOP_S = 10
MAIN = """load_module {scripts};
daemon off;
user root root;
pid {folder}/nginx.pid;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  log_format asked '$request_uri\t$upstream_status';
  access_log {folder}/requests.log asked;
{temporary}
{edge}
}}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _replaced(text, old, new):
    """The configuration with one thing of this run's own; fails where it no longer says so once."""
    assert text.count(old) == 1, f"configs/nginx-edge.conf has {text.count(old)} of {old!r}"
    return text.replace(old, new)


class Edge:
    """A running edge. Use as a context manager."""

    def __init__(self, node):
        """`node` is the address that it caches, HOST:PORT."""
        self.folder = Path(tempfile.mkdtemp(prefix="headwater-bench-edge-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        edge = (ROOT / "configs/nginx-edge.conf").read_text()
        edge = _replaced(edge, "server 127.0.0.1:8080;", f"server {node};")
        edge = _replaced(edge, "listen 8081;", f"listen 127.0.0.1:{self.port};")
        edge = _replaced(edge, "/var/cache/nginx/headwater", str(self.folder / "cache"))
        edge = _replaced(edge, "/etc/nginx/headwater/playback.js", str(ROOT / "configs/edge/playback.js"))
        temporary = "\n".join(f"  {kind}_temp_path {self.folder}/tmp-{kind};" for kind in KINDS)
        self.conf = self.folder / "nginx.conf"
        self.conf.write_text(MAIN.format(folder=self.folder, scripts=nginx_scripts(), temporary=temporary, edge=edge))
        self.log_path = self.folder / "nginx.log"
        self.process = None

    def __enter__(self):
        program = need("nginx", ROOT / ".local/nginx/usr/sbin/nginx", "/usr/sbin/nginx")
        command = [program, "-p", str(self.folder), "-c", str(self.conf), "-e", "stderr"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        until(self._listens, START_S, "the edge listens")
        return self

    def requests(self):
        """What it was asked so far, a line each: address and query, and what the node said, `-` where it was not asked."""
        return (self.folder / "requests.log").read_text().splitlines()

    def _listens(self):
        assert self.process.poll() is None, self.log_path.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(STOP_S)
        shutil.rmtree(self.folder, ignore_errors=True)
