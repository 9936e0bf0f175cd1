"""What stops a start: one clear line and exit code 64 or 69, from `serve` and from `doctor`."""

import os
import shutil
import socket
from contextlib import contextmanager

import pytest

from support.server import Server, data_folder, run

pytestmark = pytest.mark.light

USAGE, UNAVAILABLE = 64, 69
FREE = ["--listen", "127.0.0.1:0", "--media-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
QUIET = {"HEADWATER_LOG__FILTER": "off"}
COMMANDS = ("serve", "doctor")


@pytest.fixture
def data():
    folder = data_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def refused(command, code, *arguments, env=None):
    """Runs it, checks the code and that standard error is one line; returns that line."""
    result = run(command, *arguments, env=QUIET | (env or {}), timeout=60)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert '"event":"ready"' not in result.stdout
    return lines[0]


def listening(flag, address):
    """FREE, with one flag at that address."""
    arguments = list(FREE)
    arguments[arguments.index(flag) + 1] = address
    return arguments


@contextmanager
def taken(kind):
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield f"127.0.0.1:{holder.getsockname()[1]}"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("flag", "kind", "key"), [
    ("--listen", socket.SOCK_STREAM, "http.listen"),
    ("--media-listen", socket.SOCK_DGRAM, "media.listen"),
    ("--ops-listen", socket.SOCK_STREAM, "ops.listen"),
])
def test_a_taken_port_is_named(data, command, flag, kind, key):
    with taken(kind) as address:
        line = refused(command, UNAVAILABLE, "--data", data, *listening(flag, address))
    assert address in line and key in line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("toml", "key"), [
    ('[http]\nlistne = "127.0.0.1:1"', "http.listne"),
    ('[http]\nlisten = "nonsense"', "http.listen"),
    ('[transcode]\nencoder = "magic"', "transcode.encoder"),
    ("[limits]\nsessions_max = 0", "limits.sessions_max"),
    ("this is not toml", "config.toml"),
])
def test_a_bad_config_file_is_named_with_its_key(data, command, toml, key):
    path = data / "config.toml"
    path.write_text(toml)
    assert key in refused(command, USAGE, "--data", data, "--config", path, *FREE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_config_file_and_a_bad_variable_are_named(data, command):
    absent = data / "absent.toml"
    assert str(absent) in refused(command, USAGE, "--data", data, "--config", absent, *FREE)
    line = refused(command, USAGE, "--data", data, *FREE, env={"HEADWATER_RUNTIME__THREADS": "many"})
    assert "runtime.threads" in line.lower()


def test_a_wrong_command_line_is_exit_code_64(data):
    for arguments in (["serve", "--no-such-flag"], ["no-such-command"], ["serve", "--listen", "nonsense"]):
        assert run(*arguments, env=QUIET).returncode == USAGE, arguments


@pytest.mark.parametrize("command", COMMANDS)
def test_a_data_folder_that_is_a_file_is_named(data, command):
    path = data / "file"
    path.write_text("")
    line = refused(command, UNAVAILABLE, "--data", path, *FREE)
    assert str(path) in line and "--data" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_above_the_data_that_the_database_cannot_pass_is_named(data, command):
    if os.geteuid() != 0:
        # Only root starts its database as somebody else; here the folder itself cannot be written.
        data.chmod(0o500)
        try:
            line = refused(command, UNAVAILABLE, "--data", data / "inner", *FREE)
        finally:
            data.chmod(0o755)
    else:
        closed = data / "closed"
        closed.mkdir(mode=0o700)
        line = refused(command, UNAVAILABLE, "--data", closed / "inner", *FREE)
        assert str(closed) in line
    assert "--data" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_database_programs_are_named(data, command):
    empty = data / "empty"
    empty.mkdir()
    line = refused(command, UNAVAILABLE, "--data", data / "data", *FREE,
                   env={"HEADWATER_DATABASE__BIN_DIR": str(empty)})
    assert "initdb" in line or "postgres" in line.lower()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_does_not_answer_is_named_without_its_password(data, command):
    with taken(socket.SOCK_DGRAM) as address:
        port = address.rpartition(":")[2]
        line = refused(command, UNAVAILABLE, "--data", data, *FREE,
                       env={"HEADWATER_DATABASE__URL": f"postgres://u:hunter2@127.0.0.1:{port}/d"})
    assert "hunter2" not in line


def test_the_data_folder_serves_one_server_at_a_time_and_doctor_likes_a_good_setup():
    with Server() as server:
        line = refused("serve", UNAVAILABLE, "--data", server.data, *FREE)
        assert str(server.data) in line
        mode = (server.data / "first-run.json").stat().st_mode & 0o777
        assert mode == 0o600
        assert server.stop() == 0
        result = run("doctor", "--data", server.data, *FREE, env=QUIET)
        assert result.returncode == 0, result.stdout + result.stderr
        lines = result.stdout.splitlines()
        assert lines and all(line.startswith("ok") for line in lines), result.stdout
        written = {path.name for path in server.data.iterdir()}
        assert "first-run.json" in written
