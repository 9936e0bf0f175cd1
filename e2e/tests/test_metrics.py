"""What operators watch: every metric that the dashboard and the alerts name is there, and promtool agrees with all."""

import json
import re
import subprocess

import pytest

from support import certificate, web
from support.server import ROOT, Server

pytestmark = pytest.mark.light

DASHBOARD = ROOT / "configs/grafana/headwater.json"
PROMETHEUS = ROOT / "configs/prometheus"
PROMTOOL = ROOT / ".local/bin/promtool"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With a certificate, as some metrics are there only then."""
    files = certificate.in_folder(tmp_path_factory.mktemp("tls"))
    with Server(env=files.settings()) as running:
        yield running


def expressions():
    """(where, expression) of everything that asks for a metric."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    alert = None
    for line in (PROMETHEUS / "alerts.yml").read_text().splitlines():
        alert = line.split(":", 1)[1].strip() if "- alert:" in line else alert
        yield f"alert {alert}", line


def selectors(expression):
    """(metric, label, value) of what an expression asks for by a fixed value."""
    for name, inside in re.findall(r"\b(headwater_[a-z0-9_]+)\{([^}]*)\}", expression):
        yield from ((name, label, value) for label, value in re.findall(r'(\w+)="([^"$]+)"', inside))


def named(expression):
    return set(re.findall(r"\b(?:headwater|process)_[a-z0-9_]+\b", expression))


def scraped(server):
    text = web.get(f"{server.ops}/metrics").text()
    return set(re.findall(r"^([a-z_0-9]+)[{ ]", text, re.M))


def promtool(*arguments, stdin=None):
    result = subprocess.run([PROMTOOL, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_every_metric_of_the_dashboard_and_the_alerts_is_there_from_the_start(server):
    series = scraped(server)
    missing = {(where, name) for where, expression in expressions() for name in named(expression) - series}
    assert not missing, sorted(missing)


def test_every_series_that_they_pick_by_a_label_is_there_from_the_start(server):
    text = web.get(f"{server.ops}/metrics").text()
    missing = {(where, *picked) for where, expression in expressions() for picked in selectors(expression)
               if picked[1] != "job" and not re.search(rf'^{picked[0]}\{{[^}}]*{picked[1]}="{picked[2]}"', text, re.M)}
    assert not missing, sorted(missing)


def test_the_documentation_lists_every_metric(server):
    listed = set(re.findall(r"^\| `(headwater_[a-z0-9_]+)`", (ROOT / "docs/monitoring.md").read_text(), re.M))
    served = set(re.findall(r"^# TYPE (headwater_[a-z0-9_]+) ", web.get(f"{server.ops}/metrics").text(), re.M))
    assert listed == served, sorted(listed ^ served)


def test_the_alerts_are_rules_that_fire_at_their_edges():
    promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_the_metrics_follow_the_naming_rules_of_prometheus(server):
    promtool("check", "metrics", stdin=web.get(f"{server.ops}/metrics").text())


@pytest.mark.parametrize("secret", ["admin_token", "stream_key"])
def test_no_secret_is_in_the_metrics(server, secret):
    assert server.first_run()[secret] not in web.get(f"{server.ops}/metrics").text()
