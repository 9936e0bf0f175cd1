"""Fixtures: one server for each module of tests, one channel for each test, logs on failure."""

import pytest

from publishers import clip
from support import server as servers

# Lines of each log that a failure shows.
LINES = 80


def pytest_sessionstart(session):
    # Tests of the tests' own tools need none.
    tools = ("checker", "judges", "support")
    wants_server = not all(any(tool in str(argument) for tool in tools) for argument in session.config.args)
    if wants_server and not servers.binary().is_file():
        pytest.exit(f"{servers.binary()} does not exist: run cargo build, or set HEADWATER_BIN", returncode=69)


def pytest_collection_modifyitems(items):
    # The tools' own tests start no server.
    for item in items:
        if item.path.parent.name != "tests" and item.path.parent.name != "clients":
            item.add_marker(pytest.mark.light)


@pytest.fixture(scope="module")
def server():
    """A server with its own data folder and database, shared by the tests of a module."""
    with servers.Server() as running:
        yield running


@pytest.fixture
def channel(server):
    """A channel that nobody else uses, with a small ladder."""
    return server.new_channel()


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Makes a clip with flashes and beeps, once for all tests that ask for the same."""
    folder = tmp_path_factory.mktemp("clips")
    return lambda **options: clip.shared(folder, **options)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if report.failed:
        for name, path in servers.LOGS:
            if path.exists():
                tail = path.read_text(errors="replace").splitlines()[-LINES:]
                report.sections.append((f"log of {name} ({path})", "\n".join(tail)))
    return report


@pytest.fixture(autouse=True)
def _logs_of_publishers_belong_to_one_test():
    yield
    forget_logs(lambda name: name != "server")


def pytest_sessionfinish():
    forget_logs(lambda name: True)


def forget_logs(which):
    """Removes those logs; a failure has them in its report."""
    for name, path in [entry for entry in servers.LOGS if which(entry[0])]:
        path.unlink(missing_ok=True)
        servers.LOGS.remove((name, path))
