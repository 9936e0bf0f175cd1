"""Date ranges: rfc8216bis 4.4.5.1 (what they say), 6.2.1 (what may happen to them), 6.2.4 (where they stand)."""

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from .finding import Report

# Dates are written in milliseconds.
PRECISION_S = 0.0015


def check(playlist):
    """The date ranges of one revision of a media playlist by themselves."""
    report = Report()
    known = {}
    for line in playlist.date_ranges:
        attributes = line.attributes
        if not report.require("ID" in attributes, "H-092", "a date range without ID", line.number):
            continue
        whole = known.setdefault(attributes["ID"], {})
        report.require("START-DATE" in attributes or "START-DATE" in whole, "H-092",
                       "a first tag without START-DATE", line.number)
        for key, value in attributes.items():
            report.require(whole.setdefault(key, value) == value, "H-092",
                           f"{key} of {attributes['ID']} is {whole[key]!r} and {value!r}", line.number)
    for identifier, whole in known.items():
        _span(identifier, whole, report)
    if known:
        report.require(any(segment.date for segment in playlist.segments), "H-092",
                       "date ranges without EXT-X-PROGRAM-DATE-TIME")
    return report.findings


def _span(identifier, whole, report):
    start, end = (_date(whole.get(key), key, identifier, report) for key in ("START-DATE", "END-DATE"))
    for key in ("DURATION", "PLANNED-DURATION"):
        report.require(_seconds(whole.get(key, "0")) is not None, "H-092",
                       f"{key} of {identifier} is {whole.get(key)!r}")
    report.require(start is None or end is None or end >= start, "H-092", f"{identifier} ends before it starts")
    duration = _seconds(whole.get("DURATION"))
    if start and end and duration is not None:
        off = abs((end - start).total_seconds() - float(duration))
        report.require(off <= PRECISION_S, "H-092", f"END-DATE of {identifier} is {off} s off its DURATION")
    if whole.get("END-ON-NEXT") is not None:
        report.require(whole["END-ON-NEXT"] == "YES" and "CLASS" in whole and not end and duration is None, "H-092",
                       f"END-ON-NEXT of {identifier} stands where it may not")


def _date(text, key, identifier, report):
    if text is None:
        return None
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        report.add("H-092", f"{key} of {identifier} is no date: {text!r}")
        return None
    # SHOULD give a time zone and milliseconds.
    if not report.require(date.tzinfo is not None and "." in text, "H-092", f"{key} of {identifier} is coarse: {text!r}"):
        return None
    return date


def _seconds(text):
    try:
        value = Decimal(text)
    except (InvalidOperation, TypeError):
        return None
    return value if value.is_finite() and value >= 0 else None


def spans(playlist):
    """{ID: (start, end)} as dates; the end is None where it is not known."""
    found = {}
    for line in playlist.date_ranges:
        start, end = found.get(line.attributes.get("ID"), (None, None))
        report = Report()
        start = start or _date(line.attributes.get("START-DATE"), "START-DATE", "", report)
        end = end or _date(line.attributes.get("END-DATE"), "END-DATE", "", report)
        duration = _seconds(line.attributes.get("DURATION"))
        if end is None and start is not None and duration is not None:
            end = start + timedelta(seconds=float(duration))
        found[line.attributes.get("ID")] = (start, end)
    return found


def check_pair(old, new):
    """From one revision to the next: tags are added, and removed only when no listed segment lies in their range."""
    report = Report()
    before, after = ([line.raw for line in playlist.date_ranges] for playlist in (old, new))
    kept = [raw for raw in before if raw in after]
    report.require(after[: len(kept)] == kept, "H-092", f"date ranges changed from {before} to {after}")
    first = next((segment.date for segment in new.segments if segment.date), None)
    for identifier, (_, end) in spans(old).items():
        if identifier in spans(new):
            continue
        report.require(end is not None and first is not None and end <= first, "H-092",
                       f"{identifier} was removed though a listed segment is in it")
    # Appended ones stand behind what was there, and so before the hints.
    for line in new.date_ranges:
        if line.raw not in before:
            report.require(line.attributes.get("ID") not in spans(old) or "END-DATE" in line.attributes
                           or "DURATION" in line.attributes, "H-092", f"says nothing new: {line.raw}")
    return report.findings


def check_reuse(revisions):
    """No ID comes again once it was removed."""
    report = Report()
    gone, present = set(), set()
    for revision in revisions:
        now = set(spans(revision.playlist))
        report.require(not now & gone, "H-092", f"used again: {sorted(now & gone)}")
        gone |= present - now
        present = now
    return report.findings


def check_together(playlists):
    """6.2.4, over the last revisions of all renditions once they have ended."""
    report = Report()
    if not all(playlist.ended for playlist in playlists):
        return report.findings
    sets = [{line.raw for line in playlist.date_ranges} for playlist in playlists]
    for other in sets[1:]:
        report.require(not other or not sets[0] or other == sets[0], "H-092",
                       f"other date ranges: {sorted(other ^ sets[0])}")
    return report.findings
