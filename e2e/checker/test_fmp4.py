"""Media rules against fragments that FFmpeg wrote, whole and damaged."""

import subprocess

import pytest

from . import fmp4, media, presentation, timeline


def encode(*arguments):
    command = ["ffmpeg", "-nostdin", "-v", "error", *arguments, "-f", "mp4", "pipe:1"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def split(data):
    """Init section, and one bytes object for each fragment."""
    top = fmp4.boxes(data)
    starts = [box.start for box in top if box.kind == b"moof"]
    end = next((box.start for box in top if box.kind == b"mfra"), len(data))
    return data[: starts[0]], [data[a:b] for a, b in zip(starts, [*starts[1:], end])]


@pytest.fixture(scope="module")
def video():
    return split(encode(
        "-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=4", "-c:v", "libx264", "-preset", "ultrafast",
        "-profile:v", "baseline", "-g", "10", "-bf", "0", "-movflags",
        "+empty_moov+default_base_moof+frag_every_frame", "-brand", "iso6", "-video_track_timescale", "90000",
    ))


@pytest.fixture(scope="module")
def audio():
    return split(encode(
        "-f", "lavfi", "-i", "sine=r=48000:d=1", "-ac", "2", "-c:a", "aac",
        "-movflags", "+empty_moov+default_base_moof+frag_keyframe", "-frag_duration", "500000", "-brand", "iso6",
    ))


def found(result):
    return {finding.rule for finding in result[1]}


def replaced(data, old, new):
    assert data.count(old) >= 1, old
    return data.replace(old, new, 1)


def test_a_good_video_init_says_what_it_holds(video):
    track, findings = fmp4.check_init(video[0])
    assert findings == []
    assert (track.kind, track.width, track.height, track.timescale) == ("vide", 320, 180, 90000)
    assert track.codec.startswith("avc1.42")


def test_a_good_audio_init_says_what_it_holds(audio):
    track, findings = fmp4.check_init(audio[0])
    assert findings == []
    assert (track.codec, track.channels, track.sample_rate) == ("mp4a.40.2", 2, 48000)


def test_damaged_inits_are_found(video):
    init = video[0]
    mvhd = init.index(b"mvhd") + 4
    tkhd = init.index(b"tkhd") + 4
    dref = init.index(b"url ") + 4
    avcc = init.index(b"avcC") + 4
    samples = {
        "no brand": (init.replace(b"iso6", b"mp42"), "H-030"),
        "duration": (init[: mvhd + 16] + b"\0\0\0\1" + init[mvhd + 20 :], "H-030"),
        "track duration": (init[: tkhd + 20] + b"\0\0\0\1" + init[tkhd + 24 :], "H-030"),
        "no mvex": (replaced(init, b"mvex", b"free"), "H-030"),
        "external": (init[:dref] + bytes(4) + init[dref + 4 :], "H-031"),
        "avc3": (replaced(init, b"avc1", b"avc3"), "H-037"),
        "profile": (init[: avcc + 1] + b"\x64" + init[avcc + 2 :], "H-102"),
        "level": (init[: avcc + 3] + b"\x3e" + init[avcc + 4 :], "H-038"),
        "with media": (init + video[1][0], "H-030"),
        "cut": (init[:-3], "H-030"),
        "empty": (b"", "H-030"),
    }
    missed = {name for name, (data, rule) in samples.items() if rule not in found(fmp4.check_init(data))}
    assert not missed


def test_good_fragments_have_no_finding(video, audio):
    for init, fragments in (video, audio):
        track, _ = fmp4.check_init(init)
        whole, findings = fmp4.check_media(b"".join(fragments), track)
        assert findings == []
        assert fmp4.check_samples(whole, track) == []
        assert fmp4.starts_with_idr(whole, track)


def test_damaged_fragments_are_found(video):
    track, _ = fmp4.check_init(video[0])
    part = video[1][0]
    tfhd, trun = part.index(b"tfhd") + 4, part.index(b"trun") + 4
    samples = {
        "no tfdt": (replaced(part, b"tfdt", b"free"), "H-031"),
        "absolute": (part[: tfhd + 1] + b"\0" + part[tfhd + 2 :], "H-031"),
        "other track": (part[: tfhd + 4] + b"\0\0\0\7" + part[tfhd + 8 :], "H-030"),
        "offset beyond": (part[: trun + 8] + b"\0\1\0\0" + part[trun + 12 :], "H-031"),
        "cut": (part[:-1], "H-031"),
        "with moov": (video[0] + part, "H-030"),
        "out of order": (video[1][1] + part, "H-032"),
        "empty": (b"", "H-031"),
    }
    missed = {name for name, (data, rule) in samples.items() if rule not in found(fmp4.check_media(data, track))}
    assert not missed


def test_a_sync_flag_that_lies_is_found(video):
    track, _ = fmp4.check_init(video[0])
    fragment, _ = fmp4.check_media(video[1][1], track)
    assert fmp4.check_samples(fragment, track) == []
    first = fragment.samples[0]
    fragment.samples[0] = fmp4.Sample(first.duration, first.size, True, 0, first.data)
    assert [finding.rule for finding in fmp4.check_samples(fragment, track)] == ["H-033"]


def test_parts_must_hold_the_samples_of_their_segment(video):
    track, _ = fmp4.check_init(video[0])
    read = [fmp4.check_media(data, track)[0] for data in video[1][:4]]
    whole = fmp4.check_media(b"".join(video[1][:4]), track)[0]
    assert fmp4.check_parts_against_segment(read, whole) == []
    rules = {finding.rule for finding in fmp4.check_parts_against_segment(read[:3], whole)}
    assert rules == {"H-041"}
    read[2] = fmp4.Fragment(read[2].decode_time + 1, read[2].samples)
    assert {finding.rule for finding in fmp4.check_parts_against_segment(read, whole)} == {"H-032"}


# Playlist against media ---------------------------------------------------------------------------


def rendition(video, edit=lambda text: text, first=0):
    """Four segments of ten frames in parts of five, as a server would list them."""
    init, frames = video
    bodies = {"init.mp4": init}
    lines = ["#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n"
             "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5\n#EXT-X-PART-INF:PART-TARGET=0.5\n"
             "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI=\"init.mp4\"\n"]
    for msn in range(first, 4):
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:{msn:02}.000Z\n")
        for index in range(2):
            start = msn * 10 + index * 5
            bodies[f"{msn}.{index}.m4s"] = b"".join(frames[start : start + 5])
            independent = ",INDEPENDENT=YES" if index == 0 else ""
            lines.append(f'#EXT-X-PART:DURATION=0.50000,URI="{msn}.{index}.m4s"{independent}\n')
        bodies[f"{msn}.m4s"] = b"".join(frames[msn * 10 : msn * 10 + 10])
        lines.append(f"#EXTINF:1.00000,\n{msn}.m4s\n")
    lines.append('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="4.0.m4s"\n')
    return timeline.Rendition("v", media.parse(edit("".join(lines)))[0], bodies)


def rules_of(subject):
    return {finding.rule for finding in timeline.check(subject)}


def test_a_good_rendition_has_no_finding(video):
    assert timeline.check(rendition(video)) == []


def test_a_playlist_that_does_not_tell_its_media_is_found(video):
    def edits(old, new):
        return lambda text: replaced(text, old, new)

    assert rules_of(rendition(video, edits("EXTINF:1.00000,\n2", "EXTINF:1.10000,\n2"))) == {"H-012"}
    assert rules_of(rendition(video, edits("DURATION=0.50000,URI=\"2.1", "DURATION=0.45000,URI=\"2.1"))) == {"H-051"}
    assert rules_of(rendition(video, edits('1.1.m4s"', '1.1.m4s",INDEPENDENT=YES'))) == {"H-057"}
    assert rules_of(rendition(video, edits('1.0.m4s",INDEPENDENT=YES', '1.0.m4s"'))) == {"H-057"}
    assert "H-030" in rules_of(rendition(video, edits('#EXT-X-MAP:URI="init.mp4"\n', "")))


def test_media_that_jumps_is_found(video):
    subject = rendition(video)
    subject.bodies["2.m4s"], subject.bodies["3.m4s"] = subject.bodies["3.m4s"], subject.bodies["2.m4s"]
    assert {"H-032", "H-041"} <= rules_of(subject)


def test_a_segment_that_starts_within_a_group_of_pictures_is_found(video):
    shifted = (video[0], video[1][5:] + video[1][:5])
    assert "H-033" in rules_of(rendition(shifted))


def test_renditions_must_agree(video):
    def checked(edit=lambda text: text):
        subject = rendition(video, edit)
        timeline.check(subject)
        return subject

    def together(other):
        return {finding.rule for finding in presentation.check_together([checked(), other])}

    assert together(checked()) == set()
    assert together(checked(lambda t: t.replace("TARGETDURATION:1", "TARGETDURATION:2"))) == {"H-104"}
    assert together(checked(lambda t: t.replace("HOLD-BACK=1.5", "HOLD-BACK=1.6"))) == {"H-104"}
    assert together(checked(lambda t: t.replace(".000Z", ".010Z"))) == {"H-090"}
    without = checked()
    without.playlist.part_target = None
    assert together(without) == {"H-059"}
    later = checked()
    for fragment in later.fragments.values():
        fragment.decode_time += 45_000
    assert "H-105" in together(later)


def test_rates_are_measured_over_runs_of_segments(video):
    rates = [(1.0, 1000), (1.0, 3000), (1.0, 1000)]
    assert timeline.average_rate(rates) == pytest.approx(5000 / 3)
    assert timeline.peak_rate(rates, 1) == 3000
    assert timeline.peak_rate(rates, 4) == pytest.approx(2000)
    assert timeline.peak_rate([], 1) == 0.0


MULTIVARIANT = """\
#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",LANGUAGE="und",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=10.000,AUDIO="audio"
v/index.m3u8
"""


def multivariant_rules(text):
    return {finding.rule for finding in presentation.check(text)[1]}


def test_a_good_multivariant_playlist_has_no_finding():
    playlist, findings = presentation.check(MULTIVARIANT)
    assert findings == []
    assert playlist.playlists("http://h/live/c/index.m3u8") == [
        "http://h/live/c/v/index.m3u8", "http://h/live/c/a/index.m3u8"]


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("H-004", 'AUDIO="audio"\n', "AUDIO=audio\n"),
        ("H-005", "#EXT-X-INDEP", "#EXT-X-TARGETDURATION:2\n#EXT-X-INDEP"),
        ("H-033", "#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
        ("H-100", "BANDWIDTH=900000,", ""),
        ("H-100", ",AVERAGE-BANDWIDTH=800000", ""),
        ("H-100", "AVERAGE-BANDWIDTH=800000", "AVERAGE-BANDWIDTH=950000"),
        ("H-100", ',CODECS="avc1.42c00d,mp4a.40.2"', ""),
        ("H-100", ",RESOLUTION=320x180", ""),
        ("H-100", "FRAME-RATE=10.000", "FRAME-RATE=10"),
        ("H-100", "v/index.m3u8\n", ""),
        ("H-103", 'AUDIO="audio"\n', 'AUDIO="other"\n'),
        ("H-103", ',NAME="Audio"', ""),
        ("H-103", ",AUTOSELECT=YES", ",AUTOSELECT=NO"),
        ("H-103", ',CHANNELS="2"', ""),
        ("H-103", ',LANGUAGE="und"', ""),
    ],
)
def test_a_broken_multivariant_playlist_is_found(rule, old, new):
    assert rule in multivariant_rules(replaced(MULTIVARIANT, old, new))


def test_the_multivariant_playlist_must_tell_its_media(video, audio):
    sound = timeline.Rendition("a", media.parse(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI=\"init.mp4\"\n"
        "#EXTINF:1.00000,\na.m4s\n")[0], {"init.mp4": audio[0], "a.m4s": b"".join(audio[1])})
    picture = rendition(video)
    timeline.check(picture)
    timeline.check(sound)
    base = "http://h/index.m3u8"
    members = {"http://h/v/index.m3u8": picture, "http://h/a/index.m3u8": sound}
    good = MULTIVARIANT.replace("avc1.42c00d", picture.track().codec)

    def against(text):
        playlist, _ = presentation.parse(text)
        return {finding.rule for finding in presentation.check_media_against(playlist, base, members)}

    assert against(good) == set()
    assert against(good.replace("avc1.42", "avc1.64")) == {"H-102"}
    assert against(good.replace(",mp4a.40.2", "")) == {"H-102"}
    assert against(good.replace("320x180", "640x360")) == {"H-100"}
    assert against(good.replace("RATE=10.000", "RATE=30.000")) == {"H-100"}
    assert against(good.replace('CHANNELS="2"', 'CHANNELS="1"')) == {"H-103"}
    rates = timeline.segment_rates(picture)
    low = int(timeline.peak_rate(rates, 1) / 2)
    assert "H-101" in against(good.replace("BANDWIDTH=900000", f"BANDWIDTH={low}"))
    assert "H-101" in against(good.replace("AVERAGE-BANDWIDTH=800000", f"AVERAGE-BANDWIDTH={low // 2}"))


def test_rendition_reports_name_every_other_playlist_and_are_fresh():
    url = "http://h/c/v/index.m3u8"
    others = [url, "http://h/c/audio/index.m3u8"]

    def reports(line):
        text = rendition_text(line)
        return {finding.rule for finding in presentation.check_reports(url, media.parse(text)[0], others)}

    assert reports('URI="../audio/index.m3u8",LAST-MSN=3,LAST-PART=1') == set()
    assert reports('URI="../audio/index.m3u8",LAST-MSN=3,LAST-PART=0') == set()
    assert reports('URI="../audio/index.m3u8"') == set()
    assert reports('URI="../audio/index.m3u8",LAST-MSN=1,LAST-PART=1') == {"H-064"}
    assert reports('URI="../sound/index.m3u8",LAST-MSN=3,LAST-PART=1') == {"H-064"}
    assert reports('URI="http://h/c/audio/index.m3u8",LAST-MSN=3,LAST-PART=1') == {"H-064"}


def rendition_text(report):
    from .test_media import GOOD

    lines = [line for line in GOOD.splitlines() if "RENDITION-REPORT" not in line]
    return "\n".join([*lines, f"#EXT-X-RENDITION-REPORT:{report}", ""])
