"""A playlist as text: rfc8216bis 4.1 (lines), 4.2 (attribute lists), 4.4 (which tag stands where).

Keeps what it reads as written; meaning is given in `media` and `presentation`.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from .finding import Report

# 4.4.3: about the whole media playlist, each at most once.
MEDIA_PLAYLIST_TAGS = {
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-PART-INF",
    "EXT-X-SERVER-CONTROL",
}
# 4.4.4: about one segment.
SEGMENT_TAGS = {
    "EXTINF",
    "EXT-X-BYTERANGE",
    "EXT-X-DISCONTINUITY",
    "EXT-X-KEY",
    "EXT-X-MAP",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXT-X-GAP",
    "EXT-X-BITRATE",
    "EXT-X-PART",
}
# 4.4.5: metadata of a media playlist.
METADATA_TAGS = {
    "EXT-X-DATERANGE",
    "EXT-X-SKIP",
    "EXT-X-PRELOAD-HINT",
    "EXT-X-RENDITION-REPORT",
}
# 4.4.6: multivariant playlists only.
MULTIVARIANT_TAGS = {
    "EXT-X-MEDIA",
    "EXT-X-STREAM-INF",
    "EXT-X-I-FRAME-STREAM-INF",
    "EXT-X-SESSION-DATA",
    "EXT-X-SESSION-KEY",
    "EXT-X-CONTENT-STEERING",
}
# 4.4.1 and 4.4.2: in either, at most once but for EXT-X-DEFINE.
EITHER_ONCE_TAGS = {"EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START"}
KNOWN_TAGS = (
    MEDIA_PLAYLIST_TAGS | SEGMENT_TAGS | METADATA_TAGS | MULTIVARIANT_TAGS | EITHER_ONCE_TAGS | {"EXT-X-DEFINE"}
)
# Tags whose value is an attribute list, with those attributes that are quoted strings.
ATTRIBUTE_TAGS = {
    "EXT-X-PART-INF": set(),
    "EXT-X-SERVER-CONTROL": set(),
    "EXT-X-KEY": {"URI", "KEYFORMAT", "KEYFORMATVERSIONS"},
    "EXT-X-MAP": {"URI", "BYTERANGE"},
    "EXT-X-PART": {"URI", "BYTERANGE"},
    "EXT-X-DATERANGE": {"ID", "CLASS", "START-DATE", "CUE", "END-DATE"},
    "EXT-X-SKIP": {"RECENTLY-REMOVED-DATERANGES"},
    "EXT-X-PRELOAD-HINT": {"URI"},
    "EXT-X-RENDITION-REPORT": {"URI"},
    "EXT-X-START": set(),
    "EXT-X-DEFINE": {"NAME", "VALUE", "IMPORT", "QUERYPARAM"},
    "EXT-X-MEDIA": {
        "URI", "GROUP-ID", "LANGUAGE", "ASSOC-LANGUAGE", "NAME", "STABLE-RENDITION-ID",
        "INSTREAM-ID", "CHARACTERISTICS", "CHANNELS",
    },
    "EXT-X-STREAM-INF": {
        "CODECS", "SUPPLEMENTAL-CODECS", "ALLOWED-CPC", "REQ-VIDEO-LAYOUT", "STABLE-VARIANT-ID",
        "AUDIO", "VIDEO", "SUBTITLES", "PATHWAY-ID",
    },
    "EXT-X-I-FRAME-STREAM-INF": {"URI", "CODECS", "VIDEO", "STABLE-VARIANT-ID", "PATHWAY-ID"},
    "EXT-X-SESSION-DATA": {"DATA-ID", "VALUE", "URI", "LANGUAGE"},
    "EXT-X-SESSION-KEY": {"URI", "KEYFORMAT", "KEYFORMATVERSIONS"},
    "EXT-X-CONTENT-STEERING": {"SERVER-URI", "PATHWAY-ID"},
}
MAY_BE_EMPTY = {("EXT-X-SKIP", "RECENTLY-REMOVED-DATERANGES"), ("EXT-X-DEFINE", "VALUE")}

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)')
DECIMAL_INTEGER = re.compile(r"[0-9]{1,20}\Z")
DECIMAL_FLOAT = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
RESOLUTION = re.compile(r"[0-9]+x[0-9]+\Z")


@dataclass(frozen=True)
class Line:
    """A tag (`name` set) or a URI line (`name` empty), as written."""

    number: int
    raw: str
    name: str = ""
    value: str = ""
    attributes: dict = field(default_factory=dict, hash=False, compare=False)


@dataclass
class Text:
    """All lines that mean something."""

    raw: str
    lines: list

    def all(self, name):
        return [line for line in self.lines if line.name == name]

    def first(self, name):
        return next((line for line in self.lines if line.name == name), None)


def read(raw):
    """Reads bytes or text of a playlist. Returns the text and its findings."""
    report = Report()
    text = _decode(raw, report)
    lines = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        parsed = _line(number, line, report)
        if parsed:
            lines.append(parsed)
    # 4.4.1.1: MUST be the first line.
    first = text.split("\n", 1)[0].rstrip("\r")
    report.require(first == "#EXTM3U", "H-001", f"the first line is {first[:40]!r}, not #EXTM3U", 1)
    playlist = Text(text, lines)
    _check_tags(playlist, report)
    return playlist, report.findings


def _decode(raw, report):
    if isinstance(raw, str):
        raw = raw.encode()
    report.require(not raw.startswith(b"\xef\xbb\xbf"), "H-001", "starts with a byte order mark", 1)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        report.add("H-001", f"is not UTF-8: {error}")
        return raw.decode("utf-8", "replace")
    # 4.1: no control characters but CR and LF; CR only before LF.
    controls = [c for c in text if unicodedata.category(c) == "Cc" and c not in "\r\n"]
    # The one list that is tab separated (4.4.5.2).
    controls = [c for c in controls if c != "\t" or "RECENTLY-REMOVED" not in text]
    report.require(not controls, "H-001", f"holds control characters {controls[:3]!r}")
    report.require("\r" not in text.replace("\r\n", ""), "H-001", "holds a CR without LF")
    report.require(unicodedata.is_normalized("NFC", text), "H-001", "is not in normalization form C")
    report.require(text.endswith("\n"), "H-001", "the last line is not terminated")
    return text


def _line(number, line, report):
    if not line:
        return None
    if line.startswith("#EXT"):
        name, _, value = line[1:].partition(":")
        return _tag(number, line, name, value, report)
    if line.startswith("#"):
        return None
    # 4.1: whitespace MUST NOT be present.
    report.require(not re.search(r"\s", line), "H-001", "a URI line with whitespace", number)
    return Line(number, line)


def _tag(number, line, name, value, report):
    report.require(line == line.rstrip(), "H-001", "whitespace at the end of a line", number)
    report.require(name in KNOWN_TAGS, "H-005", f"{name} is not a tag of rfc8216bis", number)
    attributes = {}
    if name in ATTRIBUTE_TAGS:
        attributes = _attributes(number, name, value, report)
    return Line(number, line, name, value, attributes)


def _attributes(number, name, value, report):
    """4.2. Quoted values keep no quotes."""
    found = {}
    position = 0
    while position < len(value):
        match = ATTRIBUTE.match(value, position)
        if not match:
            report.add("H-004", f"{name}: not an attribute list from {value[position:][:30]!r}", number)
            return found
        key, text, separator = match.groups()
        report.require(key not in found, "H-004", f"{name}: {key} stands twice", number)
        _quotes(number, name, key, text, report)
        found[key] = text[1:-1] if text.startswith('"') else text
        position = match.end()
        if separator == "," and position == len(value):
            report.add("H-004", f"{name}: a comma at the end", number)
    report.require(found, "H-004", f"{name}: an empty attribute list", number)
    return found


def _quotes(number, name, key, text, report):
    quoted = text.startswith('"')
    if quoted and text == '""' and (name, key) not in MAY_BE_EMPTY:
        report.add("H-004", f"{name}: {key} is an empty string", number)
    if key.startswith("X-") or key.startswith("SCTE35"):
        return
    wanted = key in ATTRIBUTE_TAGS[name]
    # CLOSED-CAPTIONS is a quoted string or the enumerated NONE (4.4.6.2).
    if name == "EXT-X-STREAM-INF" and key == "CLOSED-CAPTIONS":
        return
    if name in ("EXT-X-KEY", "EXT-X-SESSION-KEY", "EXT-X-DATERANGE") and key not in ATTRIBUTE_TAGS[name]:
        return
    report.require(quoted == wanted, "H-004", f"{name}: {key} is {'' if quoted else 'not '}quoted", number)


def _check_tags(playlist, report):
    names = {line.name for line in playlist.lines}
    media = names & (MEDIA_PLAYLIST_TAGS | SEGMENT_TAGS | METADATA_TAGS)
    multivariant = names & MULTIVARIANT_TAGS
    # 4.4.6: a playlist with both is invalid.
    report.require(
        not (media and multivariant), "H-005",
        f"tags of both kinds: {sorted(media)[:3]} and {sorted(multivariant)[:3]}",
    )
    for name in MEDIA_PLAYLIST_TAGS:
        lines = playlist.all(name)
        report.require(len(lines) <= 1, "H-006", f"{name} stands {len(lines)} times", name)
    for name in EITHER_ONCE_TAGS:
        lines = playlist.all(name)
        rule = "H-003" if name == "EXT-X-VERSION" else "H-006"
        report.require(len(lines) <= 1, rule, f"{name} stands {len(lines)} times", name)


def is_multivariant(playlist):
    return any(line.name in MULTIVARIANT_TAGS for line in playlist.lines)
