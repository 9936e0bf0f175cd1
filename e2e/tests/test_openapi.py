"""The OpenAPI document against the server that publishes it, by Schemathesis: answers are what it says, and no
request of its making is our fault."""

import subprocess
import sys
from pathlib import Path

import pytest

from support import web
from support.server import Server, environment

pytestmark = pytest.mark.light

# Requests of generated bodies for each operation; those at the bounds of types come on top.
EXAMPLES = 4
# A bound on a busy machine; usually a fifth of it.
RUN_S = 300
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]
# It asks more in a minute than anybody should.
UNLIMITED = {
    f"HEADWATER_LIMITS__API_{of}_PER_MINUTE": "0" for of in ("READS", "WRITES", "SIGN_INS", "HEARTBEATS")
}


# Generated names are nobody's: with these it comes further than to 404. What deletes them gets others.
CONFIG = """
[parameters]
"path.name" = "demo"
"path.user" = "ann"

[[operations]]
include-name = "DELETE /api/v1/channels/{name}"
parameters = { "path.name" = "gone" }

[[operations]]
include-name = "DELETE /api/v1/users/{user}"
parameters = { "path.user" = "gone" }
"""


def schemathesis(server, folder):
    """Runs it as an administrator; returns the finished process."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    token = server.first_run()["admin_token"]
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        program, "run", f"{server.url}/api/openapi.json", "--header", f"Authorization: Bearer {token}",
        "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES),
        "--workers", "1", "--seed", "1", "--generation-deterministic", "--no-shrink",
        "--continue-on-failure", "--warnings", "off", "--request-timeout", "20", "--no-color",
    ]
    # It reads its configuration there.
    return subprocess.run([*map(str, command)], cwd=folder, env=environment(), capture_output=True, text=True,
                          timeout=RUN_S, check=False)


def test_every_answer_is_as_the_document_says_and_none_is_a_fault(tmp_path):
    with Server(env=UNLIMITED) as server:
        assert server.first_channel().name == "demo"
        server.api("POST", "/users", {"name": "ann"})
        done = schemathesis(server, tmp_path)
        assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"
        # It has asked for everything but the document, which it has read.
        paths = web.get(f"{server.url}/api/openapi.json").json()["paths"]
        operations = sum("operationId" in operation for path in paths.values() for operation in path.values()) - 1
        assert f"Tested: {operations}\n" in done.stdout, done.stdout
        assert "panicked" not in server.log()
        requests = server.metrics()
        faults = {series: count for series, count in requests.items()
                  if series.startswith("headwater_control_requests_total") and 'status="5' in series and count}
        assert not faults, faults
