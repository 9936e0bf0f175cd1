"""Debian's PgBouncer in transaction mode between the server and its database."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import publishers
from support import tools
from support.server import Server, data_folder, environment
from support.waiting import until

pytestmark = pytest.mark.light

# Fewer than the server's own connections, so that its transactions really share them.
SERVER_CONNECTIONS = 3
REQUESTS, AT_ONCE = 120, 12
START_S = 20
INI = """
[databases]
* = host={folder} port={port} user=headwater
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
admin_users = admin
logfile = {own}/log
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pooler:
    """PgBouncer in front of the database of `server`."""

    def __init__(self, server, folder):
        pid_file = (server.data / "postgres/data/postmaster.pid").read_text().splitlines()
        self.socket, self.port, self.listen = pid_file[4], pid_file[3], free_port()
        self.folder = folder
        self.owner = os.stat(server.data / "postgres/data")
        self.process = None
        ini = folder / "pgbouncer.ini"
        ini.write_text(INI.format(folder=self.socket, port=self.port, listen=self.listen, own=folder,
                                  connections=SERVER_CONNECTIONS))
        os.chown(folder, self.owner.st_uid, self.owner.st_gid)

    def start(self):
        command, more = tools.pgbouncer()
        # The database's folder is its user's alone.
        as_owner = dict(user=self.owner.st_uid, group=self.owner.st_gid, extra_groups=[]) if os.geteuid() == 0 else {}
        self.process = subprocess.Popen([command, "-q", self.folder / "pgbouncer.ini"], env=environment(more),
                                        stdin=subprocess.DEVNULL, **as_owner)
        until(self._answers, START_S, "PgBouncer listens")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.listen)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def show(self, what):
        """The rows of a table of its own."""
        url = f"postgres://admin@127.0.0.1:{self.listen}/pgbouncer"
        said = subprocess.run(["psql", "-X", "-A", "-F", "\t", "-P", "footer=off", "-c", f"show {what}", url],
                              capture_output=True, text=True, check=True)
        names, *rows = [line.split("\t") for line in said.stdout.splitlines()]
        return [dict(zip(names, row)) for row in rows]

    def direct(self, database):
        return f"postgres://headwater@localhost:{self.port}/{database}?host={self.socket}"

    def through(self, database):
        return f"postgres://headwater@127.0.0.1:{self.listen}/{database}"


@contextmanager
def pooled():
    """A server behind a pooler; yields both."""
    folder = data_folder()
    with Server() as keeper:
        pooler = Pooler(keeper, folder)
        create = ["psql", "-X", "-q", "-c", "create database pooled", pooler.direct("postgres")]
        subprocess.run(create, check=True)
        pooler.start()
        try:
            env = {"HEADWATER_DATABASE__URL": pooler.through("pooled"), "HEADWATER_DATABASE__POOLED": "true",
                   "HEADWATER_DATABASE__DIRECT_URL": pooler.direct("pooled")}
            with Server(env=env) as server:
                yield server, pooler
        finally:
            pooler.stop()


def test_everything_goes_through_a_transaction_mode_pooler_and_comes_back_with_it():
    with pooled() as (server, pooler):
        channel = server.new_channel()

        def work(number):
            if number % 4:
                return server.api("GET", f"/channels/{channel.name}")["title"]
            return server.api("PATCH", f"/channels/{channel.name}", {"title": f"Title {number}"})["title"]

        with ThreadPoolExecutor(AT_ONCE) as threads:
            titles = list(threads.map(work, range(REQUESTS)))
        assert titles[0] == "Title 0"
        with publishers.headwater(server.whip, channel.key) as publisher:
            channel.wait_playable()
            until(lambda: publisher.check_running() and server.api("GET", f"/channels/{channel.name}")["live"], START_S,
                  "the control plane shows the broadcast")
            pooler.stop()
            pooler.start()
            # The broadcast went on, and reports come through again.
            until(lambda: publisher.check_running() and answers(server, channel), START_S, "the API answers again")
        stats, = [row for row in pooler.show("pools") if row["database"] == "pooled"]
        assert int(stats["sv_active"]) + int(stats["sv_idle"]) + int(stats["sv_used"]) <= SERVER_CONNECTIONS, stats
        assert "prepared statement" not in server.log()


def answers(server, channel):
    try:
        return server.api("GET", f"/channels/{channel.name}")["live"]
    except AssertionError:
        return None
