"""Everybody who judges a recorded run: our checker, two parsers of others, mp4box.js, ffprobe and FFmpeg's decoders."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import m3u8

from checker import media, presentation, revisions, timeline
from checker.finding import Report
from support.tools import node

# Three quarters of an hour of media, on a busy machine.
DECODE_S = 900
HERE = Path(__file__).resolve().parent
# A client on a busy machine sees playlists late; what the server does late is judged by its benches.
CADENCE_SLACK = 5


# What a network that fails for a while makes of the order of events: nothing new comes, then much at once,
# and not of all renditions in step.
FAULTY_NETWORK = {"H-020", "H-064"}


def judge(recording, folder, tolerated=frozenset()):
    """Fails with everything that anybody finds wrong with the recording, but for findings of the rules that are
    `tolerated`. Files go to `folder`."""
    problems = found(recording, folder, tolerated)
    assert not problems, _list(problems)


def found(recording, folder, tolerated=frozenset()):
    """What `judge` fails with."""
    problems = list(recording.errors)
    problems += [str(finding) for finding in check(recording) if finding.rule not in tolerated]
    problems += parse_with_m3u8(recording)
    problems += parse_with_hls_parser(recording)
    problems += decode_all(recording, folder)
    return problems


def _list(problems):
    unique = list(dict.fromkeys(problems))
    return f"{len(unique)} problems:\n" + "\n".join(f"  {problem}" for problem in unique[:40])


# Our checker


def check(recording):
    report = Report()
    playlist, findings = presentation.check(recording.multivariant)
    report.merge(findings, "multivariant")
    urls = [rendition.url for rendition in recording.renditions]
    whole = {}
    for rendition in recording.renditions:
        _check_revisions(rendition, urls, report)
        whole[rendition.url] = union(recording, rendition)
        report.merge(timeline.check(whole[rendition.url]), rendition.name)
    report.merge(presentation.check_together(list(whole.values())))
    report.merge(presentation.check_media_against(playlist, recording.url, whole), "multivariant")
    return report.findings


def _check_revisions(rendition, urls, report):
    for seen in rendition.seen:
        _, findings = media.check(seen.playlist.raw)
        report.merge(findings, rendition.name)
        report.merge(presentation.check_reports(rendition.url, seen.playlist, urls), rendition.name)
    history = [revisions.Revision(seen.at, seen.playlist) for seen in rendition.seen]
    report.merge(revisions.check_all(history), rendition.name)
    report.merge(revisions.check_cadence(history, CADENCE_SLACK), rendition.name)


def union(recording, rendition):
    """The rendition with every segment and part that was ever listed, for `checker.timeline`."""
    segments = {}
    for seen in rendition.seen:
        for segment in seen.playlist.segments:
            known = segments.get(segment.msn)
            parts = segment.parts if known is None or len(segment.parts) >= len(known.parts) else known.parts
            segments[segment.msn] = replace(segment, parts=parts)
    playlist = replace(rendition.last(), segments=[segments[msn] for msn in sorted(segments)])
    playlist.media_sequence = min(segments, default=0)
    bodies = {}
    for _, uri in playlist.uris():
        body = recording.body(urljoin(rendition.url, uri))
        if body is not None:
            bodies[uri] = body
    return timeline.Rendition(rendition.name, playlist, bodies)


# Parsers of others


def parse_with_m3u8(recording):
    problems = []
    texts = [(recording.url, recording.multivariant)]
    for rendition in recording.renditions:
        texts += [(rendition.url, seen.playlist.raw) for seen in rendition.seen]
    for url, text in texts:
        try:
            parsed = m3u8.loads(text, uri=url)
        except Exception as error:  # a parser may raise whatever it likes
            problems.append(f"python m3u8: {url}: {error!r}")
            continue
        if not parsed.is_variant and len(parsed.segments) == 0 and not parsed.preload_hint:
            problems.append(f"python m3u8: {url}: saw nothing")
    return problems


def parse_with_hls_parser(recording):
    texts = [{"name": "multivariant", "text": recording.multivariant}]
    for rendition in recording.renditions:
        texts += [{"name": f"{rendition.name} at {seen.playlist.last_position()}", "text": seen.playlist.raw}
                  for seen in rendition.seen]
    result = subprocess.run([node(), HERE / "hls_parser.mjs"], input=json.dumps(texts), capture_output=True,
                            text=True, timeout=60, check=False)
    assert result.returncode == 0, f"hls-parser did not run: {result.stderr}"
    return [f"npm hls-parser: {problem}" for problem in json.loads(result.stdout)]


# FFmpeg


def decode_all(recording, folder):
    problems, files = [], []
    playlist, _ = presentation.parse(recording.multivariant)
    for rendition in recording.renditions:
        whole = union(recording, rendition)
        path = Path(folder) / f"{rendition.name}.mp4"
        for index, run in enumerate(continuous_runs(whole)):
            target = path.with_stem(f"{path.stem}-{index}")
            target.write_bytes(run)
            problems += decode(target)
            problems += probe(target, playlist, recording.url, rendition)
            files.append(target)
    return problems + read_with_mp4box(files, playlist)


def read_with_mp4box(files, playlist):
    """GPAC's reader: codec strings against CODECS, and decode times."""
    said = sorted({codec for v in playlist.variants for codec in v.attributes.get("CODECS", "").split(",")})
    wanted = [{"path": str(path), "codecs": said} for path in files]
    result = subprocess.run([node(), HERE / "mp4box.mjs"], input=json.dumps(wanted), capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, f"mp4box.js did not run: {result.stderr}"
    return [f"npm mp4box: {problem}" for problem in json.loads(result.stdout)]


def continuous_runs(whole):
    """Init section and segments put together, one run for each DISCONTINUITY."""
    runs, map_uri = [], None
    for segment in whole.playlist.complete():
        body = whole.bodies.get(segment.uri)
        if body is None or segment.map_uri not in whole.bodies:
            continue
        if not runs or segment.discontinuity or segment.map_uri != map_uri:
            runs.append([whole.bodies[segment.map_uri]])
            map_uri = segment.map_uri
        runs[-1].append(body)
    return [b"".join(run) for run in runs]


def decode(path):
    """A full decode by the system's FFmpeg; every line on stderr is a problem."""
    result = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "null", "-"],
                            capture_output=True, text=True, timeout=DECODE_S, check=False)
    problems = [f"ffmpeg: {path.name}: {line}" for line in result.stderr.splitlines()[:5]]
    if result.returncode != 0:
        problems.append(f"ffmpeg: {path.name}: exit code {result.returncode}")
    return problems


def streams(source):
    """What ffprobe says of a file's or URL's streams."""
    result = subprocess.run(["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(source)],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 and not result.stderr, f"ffprobe {source}: {result.stderr}"
    return json.loads(result.stdout)["streams"]


def probe(path, playlist, url, rendition):
    problems = []
    found = streams(path)
    if len(found) != 1:
        return [f"ffprobe: {path.name}: {len(found)} streams"]
    stream = found[0]
    variant = next((v for v in playlist.variants if urljoin(url, v.uri) == rendition.url), None)
    if stream["codec_type"] == "audio":
        said = (stream["codec_name"], stream["profile"], stream["sample_rate"], stream["channels"])
        if said != ("aac", "LC", "48000", 2):
            problems.append(f"ffprobe: {path.name}: {said}")
    elif variant is not None:
        size = f"{stream['width']}x{stream['height']}"
        if (stream["codec_name"], size) != ("h264", variant.attributes.get("RESOLUTION")):
            problems.append(f"ffprobe: {path.name}: {stream['codec_name']} {size}, said {variant.attributes}")
        if stream.get("has_b_frames") or stream.get("pix_fmt") != "yuv420p":
            problems.append(f"ffprobe: {path.name}: {stream.get('has_b_frames')} B-frames, {stream.get('pix_fmt')}")
    return problems
