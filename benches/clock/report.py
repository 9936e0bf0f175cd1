"""Figures with their bars, the machine, and whether a run is worth anything. As the benches in Rust print them."""

import json
import math
import os
import platform
import statistics
import sys
import time
from pathlib import Path

from support.tools import need

# A machine that is busier than this has other things to do.
IDLE_MIN = 0.10


def ticks():
    """The time of all cores so far: idle and all, in USER_HZ (proc_stat(5))."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


class Stretch:
    """A stretch of time, and how idle the machine was in it."""

    def __init__(self):
        self.began = ticks()

    def idle(self):
        """The share of all cores' time that nobody used, 0 to 1."""
        (idle, total), (idle_before, total_before) = ticks(), self.began
        return (idle - idle_before) / max(total - total_before, 1)


def idle_share(seconds=1.0):
    stretch = Stretch()
    time.sleep(seconds)
    return stretch.idle()


def machine():
    import subprocess

    model = [line.split(": ", 1)[1] for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    version = subprocess.run([need("ffmpeg"), "-version"], capture_output=True, text=True, check=True).stdout
    return {"cores": os.cpu_count(), "cpu": model[0] if model else "unknown", "kernel": platform.release(),
            "ffmpeg": version.split()[2]}


def percentile(values, percent):
    """By nearest rank; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def spread(values):
    """How values are spread, None of none."""
    if not values:
        return None
    return {"count": len(values), "min": min(values), "p50": percentile(values, 50), "p95": percentile(values, 95),
            "max": max(values)}


def median(values):
    """Of those that are there; None of none."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def figure(name, value, unit, bar=None, aim=None):
    """One figure; `bar` is the most it may be. One without a value misses its bar."""
    made = {"name": name, "value": value, "unit": unit}
    if bar is not None:
        made |= {"bar": {"at_most": bar}, "aim": aim, "met": value is not None and value <= bar}
    return made


def publish(bench, void, figures, details, folder):
    """JSON to standard output and into the folder, a table to standard error."""
    missed = any(entry.get("met") is False for entry in figures)
    verdict = "void" if void else "missed" if missed else "met"
    report = {"bench": bench, "verdict": verdict, "void": void, "machine": machine(), "figures": figures,
              "details": details}
    text = json.dumps(report, indent=2)
    width = max(len(entry["name"]) for entry in figures)
    print(f"\n{bench}", file=sys.stderr)
    for entry in figures:
        value = "none" if entry["value"] is None else f"{entry['value']:.3f}"
        bar = f"<= {entry['bar']['at_most']}" if "bar" in entry else ""
        note = "  MISSED" if entry.get("met") is False else ""
        print(f"{entry['name']:<{width}} {value:>10} {entry['unit']:<6} {bar}{note}", file=sys.stderr)
    print(f"\n{verdict}", *[f"  {reason}" for reason in void], sep="\n", file=sys.stderr)
    print(text)
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / f"{bench}.json").write_text(text + "\n")
