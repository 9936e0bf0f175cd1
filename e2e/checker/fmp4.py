"""Init sections, parts and segments: ISO/IEC 14496-12 as rfc8216bis 3.1.2 narrows it.

A small box reader of our own; it reads only what the rules need.
"""

import struct
from dataclasses import dataclass, field

from .finding import Report

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"mvex", b"moof", b"traf", b"edts"}
# 3.1.2: compatible with iso6 or a later one.
BRANDS = {b"iso6", b"iso7", b"iso8", b"iso9", b"isoa", b"isob", b"isoc", b"cmfc", b"cmf2"}
NAL_IDR = 5
VISUAL_ENTRY_HEAD = 78
AUDIO_ENTRY_HEAD = 28


class Malformed(ValueError):
    """The bytes are no boxes."""


@dataclass
class Box:
    kind: bytes
    start: int
    body: bytes
    children: list = field(default_factory=list)

    def find(self, *path):
        """The first box at that path below this one."""
        found = self.all(*path)
        return found[0] if found else None

    def all(self, *path):
        boxes = [self]
        for kind in path:
            boxes = [child for box in boxes for child in box.children if child.kind == kind]
        return boxes


def boxes(data, offset=0):
    """The boxes that `data` holds. `offset` is where it lies in its file."""
    found, position = [], 0
    while position < len(data):
        if len(data) - position < 8:
            raise Malformed(f"{len(data) - position} bytes after the last box")
        size, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, position + 8)[0], 16
        if size < head or position + size > len(data):
            raise Malformed(f"box {kind!r} of {size} bytes at {offset + position} does not fit")
        body = data[position + head : position + size]
        children = boxes(body, offset + position + head) if kind in CONTAINERS else []
        found.append(Box(kind, offset + position, body, children))
        position += size
    return found


@dataclass
class Track:
    """What an init section says of its one track."""

    number: int
    timescale: int
    kind: str
    codec: str
    width: int = 0
    height: int = 0
    channels: int = 0
    sample_rate: int = 0
    nal_length: int = 4
    defaults: tuple = (0, 0, 0)


@dataclass(frozen=True)
class Sample:
    duration: int
    size: int
    sync: bool
    composition: int
    data: bytes


@dataclass
class Fragment:
    """One part, or all fragments of a segment put together. Times in the track's timescale."""

    decode_time: int
    samples: list

    def duration(self):
        return sum(sample.duration for sample in self.samples)

    def end(self):
        return self.decode_time + self.duration()


# Init sections -----------------------------------------------------------------------------------


def check_init(data):
    """H-030, H-037. Returns the track (None if unreadable) and the findings."""
    report = Report()
    try:
        top = boxes(data)
        return _init(top, report), report.findings
    except (Malformed, struct.error, IndexError) as error:
        report.add("H-030", f"cannot be read: {error}")
        return None, report.findings


def _init(top, report):
    kinds = [box.kind for box in top]
    report.require(kinds[:1] == [b"ftyp"], "H-030", f"does not start with ftyp: {kinds}")
    report.require(b"mdat" not in kinds and b"moof" not in kinds, "H-030", f"holds media: {kinds}")
    for box in top:
        if box.kind == b"ftyp":
            brands = {box.body[0:4]} | {box.body[i : i + 4] for i in range(8, len(box.body), 4)}
            report.require(brands & BRANDS, "H-030", f"no brand of iso6 or later: {sorted(brands)}")
    moov = next((box for box in top if box.kind == b"moov"), None)
    if not report.require(moov is not None, "H-030", "no moov"):
        return None
    tracks = moov.all(b"trak")
    report.require(len(tracks) == 1, "H-030", f"{len(tracks)} tracks, not one")
    _zero_durations(moov, report)
    for kind in (b"stts", b"stsc", b"stco", b"co64"):
        for box in moov.all(b"trak", b"mdia", b"minf", b"stbl", kind):
            report.require(box.body[4:8] == bytes(4), "H-030", f"{kind.decode()} has entries")
    for box in moov.all(b"trak", b"mdia", b"minf", b"stbl", b"stsz"):
        report.require(box.body[8:12] == bytes(4), "H-030", "stsz has samples")
    _no_external_data(moov, report)
    report.require(moov.find(b"mvex", b"trex") is not None, "H-030", "no mvex with trex")
    return _track(moov, tracks[0], report) if tracks else None


def _zero_durations(moov, report):
    for name, box in (("mvhd", moov.find(b"mvhd")), ("tkhd", moov.find(b"trak", b"tkhd"))):
        if not report.require(box is not None, "H-030", f"no {name}"):
            continue
        wide = box.body[0] == 1
        if name == "mvhd":
            duration = struct.unpack_from(">Q" if wide else ">I", box.body, 24 if wide else 16)[0]
        else:
            duration = struct.unpack_from(">Q" if wide else ">I", box.body, 28 if wide else 20)[0]
        report.require(duration == 0, "H-030", f"{name} has the duration {duration}")


def _no_external_data(moov, report):
    """H-031: media lies in the file itself."""
    for box in moov.all(b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        for entry in boxes(box.body[8:]):
            flags = struct.unpack_from(">I", entry.body)[0] & 0xFFFFFF
            report.require(flags & 1, "H-031", "an external data reference")


def _track(moov, trak, report):
    tkhd, mdhd, hdlr = trak.find(b"tkhd"), trak.find(b"mdia", b"mdhd"), trak.find(b"mdia", b"hdlr")
    number = struct.unpack_from(">I", tkhd.body, 20 if tkhd.body[0] == 1 else 12)[0]
    timescale = struct.unpack_from(">I", mdhd.body, 20 if mdhd.body[0] == 1 else 12)[0]
    entry = boxes(trak.find(b"mdia", b"minf", b"stbl", b"stsd").body[8:])[0]
    trex = moov.find(b"mvex", b"trex")
    defaults = (0, 0, 0)
    if trex:
        owner, _, duration, size, flags = struct.unpack_from(">IIIII", trex.body, 4)
        report.require(owner == number, "H-030", f"trex is of track {owner}, the track is {number}")
        defaults = (duration, size, flags)
    track = Track(number, timescale, hdlr.body[8:12].decode(), "", defaults=defaults)
    if track.kind == "vide":
        _visual(track, entry, report)
    else:
        _audio(track, entry, report)
    return track


def _visual(track, entry, report):
    # avc3 and hev1 carry parameter sets in band.
    report.require(entry.kind in (b"avc1", b"hvc1", b"av01"), "H-037", f"the sample entry is {entry.kind!r}")
    track.width, track.height = struct.unpack_from(">HH", entry.body, 24)
    avcc = next((box for box in boxes(entry.body[VISUAL_ENTRY_HEAD:]) if box.kind == b"avcC"), None)
    if avcc is None:
        report.require(entry.kind != b"avc1", "H-102", "avc1 without avcC")
        return
    profile, constraints, level = avcc.body[1:4]
    track.nal_length = (avcc.body[4] & 3) + 1
    track.codec = f"{entry.kind.decode()}.{profile:02x}{constraints:02x}{level:02x}"
    count = avcc.body[5] & 31
    if report.require(count >= 1, "H-030", "avcC without a sequence parameter set"):
        sps = avcc.body[8 : 8 + struct.unpack_from(">H", avcc.body, 6)[0]]
        report.require(sps[1:4] == avcc.body[1:4], "H-102", "avcC and its SPS name different profiles")
    # Authoring 1.3: High, level 5.2 at most.
    report.require(profile in (66, 77, 100) and level <= 52, "H-038", f"profile {profile}, level {level}")


def _audio(track, entry, report):
    track.channels, _, _, _, rate = struct.unpack_from(">HHHHI", entry.body, 16)
    track.sample_rate = rate >> 16
    esds = next((box for box in boxes(entry.body[AUDIO_ENTRY_HEAD:]) if box.kind == b"esds"), None)
    if esds is None:
        track.codec = entry.kind.decode()
        return
    object_type, config = _descriptors(esds.body[4:])
    audio_object = config[0] >> 3
    if audio_object == 31:
        audio_object = 32 + (((config[0] & 7) << 3) | (config[1] >> 5))
    track.codec = f"{entry.kind.decode()}.{object_type:x}.{audio_object}"


def _descriptors(data):
    """Object type and AudioSpecificConfig of an ES descriptor (ISO/IEC 14496-1 7.2.6)."""
    object_type, config, position = 0, b"", 0
    while position < len(data):
        tag = data[position]
        position += 1
        length = 0
        while True:
            byte = data[position]
            position += 1
            length = (length << 7) | (byte & 127)
            if not byte & 128:
                break
        if tag == 3:
            flags = data[position + 2]
            position += 3 + (2 if flags & 128 else 0) + (2 if flags & 32 else 0)
        elif tag == 4:
            object_type = data[position]
            position += 13
        elif tag == 5:
            config = data[position : position + length]
            position += length
        else:
            position += length
    return object_type, config


# Parts and segments ------------------------------------------------------------------------------


def check_media(data, track):
    """H-030, H-031, and the continuity inside. Returns a Fragment (None if unreadable) and findings."""
    report = Report()
    try:
        return _media(boxes(data), data, track, report), report.findings
    except (Malformed, struct.error, IndexError) as error:
        report.add("H-031", f"cannot be read: {error}")
        return None, report.findings


def _media(top, data, track, report):
    kinds = [box.kind for box in top]
    report.require(b"moov" not in kinds, "H-030", "a moov in a segment")
    report.require(kinds.count(b"moof") == kinds.count(b"mdat") >= 1, "H-031", f"boxes {kinds}")
    whole = None
    for index, box in enumerate(top):
        if box.kind != b"moof":
            continue
        fragment = _fragment(box, data, track, report)
        report.require(kinds[index + 1 : index + 2] == [b"mdat"], "H-031", "no mdat after moof")
        if whole is None:
            whole = fragment
        else:
            report.require(fragment.decode_time == whole.end(), "H-032",
                           f"tfdt is {fragment.decode_time}, expected {whole.end()}")
            whole.samples.extend(fragment.samples)
    return whole


def _fragment(moof, data, track, report):
    trafs = moof.all(b"traf")
    report.require(len(trafs) == 1, "H-030", f"{len(trafs)} track fragments for one track")
    traf = trafs[0]
    defaults = _track_fragment_header(traf, track, report)
    tfdt = traf.find(b"tfdt")
    if not report.require(tfdt is not None, "H-031", "no tfdt"):
        return Fragment(0, [])
    wide = tfdt.body[0] == 1
    decode_time = struct.unpack_from(">Q" if wide else ">I", tfdt.body, 4)[0]
    samples = []
    for trun in traf.all(b"trun"):
        samples.extend(_run(trun, moof.start, data, defaults, report))
    report.require(samples, "H-031", "a fragment without samples")
    return Fragment(decode_time, samples)


def _track_fragment_header(traf, track, report):
    tfhd = traf.find(b"tfhd")
    flags, number = struct.unpack_from(">II", tfhd.body)
    flags &= 0xFFFFFF
    report.require(number == track.number, "H-030", f"traf of track {number}, the map has {track.number}")
    report.require(flags & 0x020000, "H-031", "tfhd without default-base-is-moof")
    report.require(not flags & 1, "H-031", "tfhd with a base data offset")
    position, values = 8 + (4 if flags & 2 else 0), list(track.defaults)
    for bit, slot in ((8, 0), (16, 1), (32, 2)):
        if flags & bit:
            values[slot] = struct.unpack_from(">I", tfhd.body, position)[0]
            position += 4
    return tuple(values)


def _run(trun, base, data, defaults, report):
    flags, count = struct.unpack_from(">II", trun.body)
    signed, flags = flags >> 24, flags & 0xFFFFFF
    position = 8
    if not report.require(flags & 1, "H-031", "trun without a data offset"):
        return []
    offset = base + struct.unpack_from(">i", trun.body, position)[0]
    position += 4
    first_flags = None
    if flags & 4:
        first_flags = struct.unpack_from(">I", trun.body, position)[0]
        position += 4
    samples = []
    for index in range(count):
        values = [defaults[0], defaults[1], defaults[2], 0]
        for bit, slot in ((0x100, 0), (0x200, 1), (0x400, 2), (0x800, 3)):
            if flags & bit:
                code = ">i" if slot == 3 and signed else ">I"
                values[slot] = struct.unpack_from(code, trun.body, position)[0]
                position += 4
        if index == 0 and first_flags is not None:
            values[2] = first_flags
        body = data[offset : offset + values[1]]
        report.require(len(body) == values[1], "H-031", "a sample beyond the end of the data")
        offset += values[1]
        # sample_is_non_sync_sample is bit 16.
        samples.append(Sample(values[0], values[1], not values[2] & 0x10000, values[3], body))
    report.require(all(sample.duration > 0 for sample in samples), "H-032", "a sample without duration")
    return samples


def nal_types(sample, track):
    """The NAL unit types of an H.264 sample."""
    found, position, data = [], 0, sample.data
    while position + track.nal_length <= len(data):
        length = int.from_bytes(data[position : position + track.nal_length], "big")
        position += track.nal_length
        if length and position < len(data):
            found.append(data[position] & 31)
        position += length
    if position != len(data):
        raise Malformed(f"NAL units of {position} bytes in a sample of {len(data)}")
    return found


def starts_with_idr(fragment, track):
    if track.kind != "vide":
        return True
    return NAL_IDR in nal_types(fragment.samples[0], track)


def check_samples(fragment, track):
    """The NAL structure of video samples, and sync flags that say the truth."""
    report = Report()
    if track.kind != "vide" or not track.codec.startswith("avc1"):
        return report.findings
    for index, sample in enumerate(fragment.samples):
        try:
            idr = NAL_IDR in nal_types(sample, track)
        except Malformed as error:
            report.add("H-031", f"sample {index}: {error}")
            continue
        report.require(idr == sample.sync, "H-033", f"sample {index}: IDR is {idr}, its sync flag {sample.sync}")
    return report.findings


def check_parts_against_segment(parts, segment):
    """H-041: the parts carry exactly the samples of their segment."""
    report = Report()
    joined = [sample for part in parts for sample in part.samples]
    report.require(parts[0].decode_time == segment.decode_time, "H-041", "the first part starts at another time")
    report.require(joined == segment.samples, "H-041",
                   f"{len(joined)} samples in parts differ from {len(segment.samples)} of the segment")
    time = segment.decode_time
    for index, part in enumerate(parts):
        report.require(part.decode_time == time, "H-032", f"part {index}: tfdt {part.decode_time}, expected {time}")
        time += part.duration()
    return report.findings
