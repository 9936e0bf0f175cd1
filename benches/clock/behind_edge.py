"""A crowd and one watch page behind an nginx edge: who stalls, and what the node is asked for."""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import publishers
from support import server as servers

from . import pages, report
from .edge import Edge

# From the first picture on the page until it is measured: the player has caught up then.
SETTLE_S = 12
# Bar: what the node is asked for one object.
REQUESTS_MOST = 2
DIRECTIVES = ("_HLS_msn", "_HLS_part", "_HLS_skip")


def cache_key(uri):
    """One object, as the edge tells them apart."""
    parts = urlsplit(uri)
    query = parse_qs(parts.query)
    return parts.path, *(query.get(name, [""])[0] for name in DIRECTIVES)


def asked_of_node(log):
    """How often the node was asked for each part, init section and blocked playlist; one asked for without a directive is
    another every second."""
    asked = Counter()
    for line in log:
        uri, upstream = line.rstrip("\n").split("\t")
        path, msn, *_ = key = cache_key(uri)
        is_playlist = path.endswith(".m3u8")
        if upstream != "-" and path.startswith("/live/") and not path.endswith(".json") and (msn or not is_playlist):
            asked[key] += len(upstream.split(","))
    return asked


def measure(server, edge, options):
    channel = server.new_channel(options.profile)
    with publishers.headwater(server.whip, channel.key) as publisher, pages.browser() as browser:
        channel.wait_playable()
        page = browser.viewer(f"{edge.url}/watch/{channel.name}")
        page.first_ms()
        idle_before = report.idle_share()
        command = [sys.executable, "-m", "clock.crowd", f"{edge.url}/live/{channel.name}/index.m3u8", str(options.viewers),
                   str(options.seconds)]
        time.sleep(SETTLE_S)
        stalls, skip = page.stats()["stalls"], len(edge.requests())
        stretch = report.Stretch()
        crowd = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        idle = stretch.idle()
        asked = asked_of_node(edge.requests()[skip:])
        publisher.check_running()
        page_stalls = page.stats()["stalls"] - stalls
    behind = crowd.pop("behind_first_s")
    return crowd | {"idle_before": idle_before, "idle": idle, "page_stalls": page_stalls, "asked": len(asked),
                    "asked_most": max(asked.values(), default=0), "asked_twice": sum(1 for n in asked.values() if n > 1),
                    "asked_mean": sum(asked.values()) / max(len(asked), 1), "behind_s": report.spread(behind)}


def figures(runs):
    def most(name):
        return max(run[name] for run in runs)

    return [
        report.figure("stalls of the crowd", sum(run["stalls"] for run in runs), "", 0),
        report.figure("stalls of the watch page", sum(run["page_stalls"] for run in runs), "", 0),
        report.figure("requests that failed", sum(len(run["errors"]) for run in runs), "", 0),
        report.figure("requests of the node for one object, most", most("asked_most"), "", REQUESTS_MOST),
        report.figure("requests of the node for one object, mean", report.median([run["asked_mean"] for run in runs]), ""),
        report.figure("listed behind the first viewer, p50", report.median([run["behind_s"]["p50"] for run in runs]), "s"),
        report.figure("listed behind the first viewer, p95", report.median([run["behind_s"]["p95"] for run in runs]), "s"),
        report.figure("least time that a part came before it was due", min(run["slack_least_s"] for run in runs), "s"),
    ]


def arguments():
    parser = argparse.ArgumentParser(prog="benches/edge", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=50, help="of the crowd; the watch page comes on top")
    parser.add_argument("--seconds", type=float, default=30, help="how long the crowd watches")
    parser.add_argument("--profile", default="low")
    parser.add_argument("--results", default=servers.ROOT / "benches/results", help="where the JSON goes")
    return parser.parse_args()


def main():
    options = arguments()
    with ExitStack() as stack:
        server = stack.enter_context(servers.Server())
        edge = stack.enter_context(Edge(server.url.removeprefix("http://")))
        runs = [measure(server, edge, options) for _ in range(options.runs)]
    void = [f"run {number}: the machine was {run['idle_before']:.0%} idle before and {run['idle']:.0%} while measured"
            for number, run in enumerate(runs, 1) if min(run["idle_before"], run["idle"]) < report.IDLE_MIN]
    report.publish("edge", void, figures(runs), {"runs": runs}, Path(options.results))


if __name__ == "__main__":
    main()
