"""Latency from a clock in the picture, published by a real browser over WHIP and watched in another page of it."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import publishers
from judges import flashes
from support import server as servers

from . import pages, reading, report
from .edge import Edge
from .listing import Watcher

PROFILES = ("ultra", "low")
# From the first picture until the player has caught up.
SETTLE_S = 12
# The pages of new viewers, one after the other.
NEW_VIEWERS = 4
# A broadcast has this much behind it before anybody else joins: whole segments for the judge of the skew.
PATTERN_S = 20
# p50 and p95, bar and aim, in seconds; of one that has none, None.
BARS = {
    ("ultra", "edge"): ((0.55, 0.45), (0.9, 0.7)),
    ("ultra", "glass"): ((1.2, 0.9), (1.3, 1.0)),
    ("low", "glass"): ((1.9, 1.5), (2.1, 1.7)),
}
# Bar and aim, in seconds.
WAITING = {"low": (3.0, 1.5)}
NEW_VIEWER = (1.0, 0.6)
SKEW = (0.040, 0.020)
NAMES = {
    "origin": "capture to listed at the node",
    "edge": "capture to listed at the edge",
    "edge_second": "capture to listed at the edge, second viewer",
    "glass": "glass to glass in hls.js",
}


def measure(profile, server, edge, browser, options):
    """One broadcast: everything that is measured of it, in seconds."""
    channel = server.new_channel(profile)
    viewer = browser.viewer(channel.page)
    viewer.wait_state("offline")
    idle_before = report.idle_share()
    publisher = browser.publisher(server.whip, channel.key)
    waited_s = (viewer.first_ms() - publisher.began_ms()) / 1_000
    path = f"/live/{channel.name}/index.m3u8"
    origin = Watcher(server.url + path, media_of=("video", "audio")).start()
    edges = [Watcher(edge.url + path).start() for _ in range(2)]
    time.sleep(SETTLE_S)
    viewer.take()
    stalls = viewer.stats()["stalls"]
    stretch, begin = report.Stretch(), time.time()
    time.sleep(options.seconds)
    end, idle = time.time(), stretch.idle()
    seen, stats = viewer.take(), viewer.stats()
    new = [first_frame(browser, channel) for _ in range(NEW_VIEWERS)]
    sent, drawn = publisher.sent(), publisher.drawn_ms()
    for watcher in (origin, *edges):
        watcher.stop()
    publisher.stop()
    publisher.close()
    viewer.close()
    taken = {
        "profile": profile, "idle_before": idle_before, "idle": idle, "waited_s": waited_s, "new_viewers_s": new,
        "stalls": stats["stalls"] - stalls, "dropped_frames": stats["droppedFrames"], "sent": sent,
        "errors": [error for watcher in (origin, *edges) for error in watcher.errors],
    }
    return taken | read(origin, edges, seen, drawn, begin, end)


def first_frame(browser, channel):
    """Seconds from the opening of a new viewer's page to its first picture."""
    viewer = browser.viewer(channel.page)
    taken = (viewer.first_ms() - viewer.opened_ms()) / 1_000
    viewer.close()
    return taken


def read(origin, edges, seen, drawn, begin, end):
    """Reads the clock out of what was listed and shown."""
    video = origin.renditions["video"]
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        pictures = flashes.read_pictures(video.write(f"{folder}/video.mp4"))
        beeps = flashes.read_beeps(origin.renditions["audio"].write(f"{folder}/audio.mp4"))
    # Captured at most so long before the watcher began.
    base_ms = (begin - SETTLE_S - 60) * 1_000
    found = {"glass": reading.latencies(drawn, seen)}
    found["origin"] = reading.latencies(drawn, reading.listed(video, pictures, begin, end))
    # Which of both an edge answers first differs from part to part.
    both = [edge.renditions["video"] for edge in edges]
    for name, pick in (("edge", min), ("edge_second", max)):
        times = {part: pick(viewer.listed[part] for viewer in both)
                 for part in video.parts if all(part in viewer.listed for viewer in both)}
        moved = type(video)(video.url, times)
        found[name] = reading.latencies(drawn, reading.relisted(video, moved, pictures, begin, end))
    return {
        "latency_s": {name: report.spread(latency.values) for name, latency in found.items()},
        "unread": {name: latency.unread for name, latency in found.items()},
        "skew_s": report.spread([abs(skew) for skew in reading.skews(pictures, beeps, drawn, base_ms)]),
        "skew_signed_s": report.median(reading.skews(pictures, beeps, drawn, base_ms)),
    }


def pattern_skew(server):
    """The skew that the server adds: of `headwater publish`, which makes flashes and beeps on one clock."""
    channel = server.new_channel("low")
    with publishers.headwater(server.whip, channel.key) as publisher:
        channel.wait_playable()
        watcher = Watcher(channel.playlist, media_of=("video", "audio")).start()
        time.sleep(PATTERN_S)
        publisher.check_running()
        watcher.stop()
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        pictures = flashes.read_pictures(watcher.renditions["video"].write(f"{folder}/video.mp4"))
        beeps = flashes.read_beeps(watcher.renditions["audio"].write(f"{folder}/audio.mp4"))
    return report.spread([abs(skew) for skew in flashes.skew(pictures.flashes(), beeps).pairs])


def figures(runs, pattern):
    found = []
    for profile in PROFILES:
        of = [run for run in runs if run["profile"] == profile]
        for name, words in NAMES.items():
            for index, percent in enumerate(("p50", "p95")):
                bar, aim = BARS.get((profile, name), ((None, None),) * 2)[index]
                value = report.median([(run["latency_s"][name] or {}).get(percent) for run in of])
                found.append(report.figure(f"{profile}: {words}, {percent}", value, "s", bar, aim))
        waited = report.median([run["waited_s"] for run in of])
        found.append(report.figure(f"{profile}: publish to first frame of who waits", waited, "s",
                                   *WAITING.get(profile, (None, None))))
        new = report.spread([value for run in of for value in run["new_viewers_s"]])
        found.append(report.figure(f"{profile}: first frame of a new viewer, p50", new["p50"], "s"))
        found.append(report.figure(f"{profile}: first frame of a new viewer, p95", new["p95"], "s", *NEW_VIEWER))
        skew = report.median([(run["skew_s"] or {}).get("p95") for run in of])
        found.append(report.figure(f"{profile}: A/V skew with the browser's own, p95", skew, "s", *SKEW))
        found.append(report.figure(f"{profile}: stalls in all runs", sum(run["stalls"] for run in of), "", 0))
    found.append(report.figure("A/V skew of the test pattern, p95", pattern["p95"], "s", *SKEW))
    return found


def void(runs):
    busy = [(number, run) for number, run in enumerate(runs, 1)
            if min(run["idle_before"], run["idle"]) < report.IDLE_MIN]
    return [f"run {number} ({run['profile']}): the machine was {run['idle_before']:.0%} idle before and "
            f"{run['idle']:.0%} while measured" for number, run in busy]


def arguments():
    parser = argparse.ArgumentParser(prog="benches/latency", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="broadcasts of each profile; medians count")
    parser.add_argument("--seconds", type=float, default=30, help="how long each is measured")
    parser.add_argument("--results", default=servers.ROOT / "benches/results", help="where the JSON goes")
    return parser.parse_args()


def main():
    options = arguments()
    runs = []
    with ExitStack() as stack:
        server = stack.enter_context(servers.Server())
        edge = stack.enter_context(Edge(server.url.removeprefix("http://")))
        pattern = pattern_skew(server)
        for number in range(1, options.runs + 1):
            for profile in PROFILES:
                # A browser of its own: pages of earlier runs leave nothing behind.
                with pages.browser() as browser:
                    runs.append(measure(profile, server, edge, browser, options))
                print(f"run {number}, {profile}: {summary(runs[-1])}", file=sys.stderr)
    report.publish("latency", void(runs), figures(runs, pattern), {"runs": runs, "pattern_skew_s": pattern},
                   Path(options.results))


def summary(run):
    parts = [f"{name} {spread['p50']:.2f}/{spread['p95']:.2f} s" if spread else f"{name} unread"
             for name, spread in run["latency_s"].items()]
    return ", ".join([*parts, f"waited {run['waited_s']:.2f} s", f"{run['stalls']} stalls", f"{run['idle']:.0%} idle"])


if __name__ == "__main__":
    main()
