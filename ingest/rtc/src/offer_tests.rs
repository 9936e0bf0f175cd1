use proptest::prelude::*;

use super::*;

const OBS: &str = include_str!("../tests/offers/obs.sdp");
const FFMPEG: &str = include_str!("../tests/offers/ffmpeg.sdp");
const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");
const AIORTC: &str = include_str!("../tests/offers/aiortc.sdp");
const GSTREAMER: &str = include_str!("../tests/offers/gstreamer.sdp");

fn offer(text: &str) -> Offer {
    Offer::parse(text).expect("a good offer")
}

fn video(offer: &Offer) -> &Section {
    let mut sections = offer.sections.iter();
    sections.find(|section| section.kind == TrackKind::Video).expect("a video section")
}

#[test]
fn obs_puts_its_transport_into_the_session() {
    let offer = offer(OBS);
    assert_eq!((offer.ufrag.as_str(), offer.role), ("wMGd", DtlsRole::Server));
    assert_eq!(offer.sections[0].format, Format::Opus);
    let video = video(&offer);
    assert_eq!((video.payload, video.rtx), (96, None));
    assert_eq!((video.ssrc, video.rtx_ssrc), (Some(1_453_202), None));
    assert!(video.feedback.nack && video.feedback.pli && !video.feedback.transport_cc);
}

#[test]
fn ffmpeg_waits_for_us_to_start_dtls_and_hears_no_pli() {
    let offer = offer(FFMPEG);
    assert_eq!(offer.role, DtlsRole::Client);
    let video = video(&offer);
    assert_eq!((video.payload, video.rtx), (106, Some(105)));
    assert_eq!(video.rtx_ssrc, Some(2_087_654_322));
    assert!(video.feedback.nack && !video.feedback.pli);
}

#[test]
fn chromiums_first_h264_with_packetization_mode_1_is_taken() {
    let offer = offer(CHROMIUM);
    let video = video(&offer);
    assert_eq!((video.payload, video.rtx, video.transport_cc), (107, Some(108), Some(4)));
    assert!(video.feedback.transport_cc);
    let profile = Some("42001f".to_owned());
    let (mode, asymmetry) = (PacketizationMode::NonInterleaved, Some(1));
    assert_eq!(video.format, Format::H264 { mode, profile, asymmetry });
}

#[test]
fn aiortc_and_gstreamer_are_taken_too() {
    assert_eq!(video(&offer(AIORTC)).payload, 99);
    let gstreamer = offer(GSTREAMER);
    assert_eq!(video(&gstreamer).mid, "video1");
}

/// A video section that lists these codings in this order.
fn listing(codings: &[&str]) -> String {
    let (session, rest) = OBS.split_once("m=audio").expect("a section");
    let (_, video) = rest.split_once("m=video").expect("a section");
    let kept: Vec<&str> = video.lines().skip(1).filter(|l| !l.contains("rtpmap") && !l.contains("fmtp")).collect();
    let numbered = || (100..).zip(codings);
    let payloads: Vec<String> = numbered().map(|(payload, _): (u8, _)| payload.to_string()).collect();
    let maps = numbered().map(|(payload, coding)| match coding.split_once(' ') {
        Some((name, parameters)) => format!("a=rtpmap:{payload} {name}/90000\na=fmtp:{payload} {parameters}\n"),
        None => format!("a=rtpmap:{payload} {coding}/90000\n"),
    });
    let session = session.replace("a=group:BUNDLE 0 1\n", "");
    let (payloads, maps) = (payloads.join(" "), maps.collect::<String>());
    format!("{session}m=video 9 UDP/TLS/RTP/SAVPF {payloads}\n{}\n{maps}", kept.join("\n"))
}

const MODE_0: &str = "H264 packetization-mode=0;profile-level-id=42001f";
const MODE_1: &str = "H264 packetization-mode=1;profile-level-id=640c1f";
const HIGH_10: &str = "H264 packetization-mode=1;profile-level-id=6e001f";
const VP9_10_BITS: &str = "VP9 profile-id=2";

/// RFC 3264 6.1; VP8 first is what browsers list when nobody has chosen.
#[test]
fn the_publishers_order_rules_but_for_vp8_before_h264() {
    let cases: [(&[&str], usize); 13] = [
        (&["VP8"], 0),
        (&["VP9 profile-id=0"], 0),
        (&["AV1 level-idx=5;profile=0;tier=0"], 0),
        (&["AV1", MODE_1, "VP8"], 0),
        (&["VP9", "VP8", MODE_1], 0),
        (&[MODE_1, "VP8"], 0),
        (&["VP8", MODE_0, MODE_1, "AV1"], 2),
        (&["VP8", "VP9", "AV1"], 0),
        (&["H265", "VP8"], 1),
        (&[MODE_0, "VP8"], 0),
        (&[VP9_10_BITS, "VP8"], 1),
        (&[HIGH_10, MODE_0], 1),
        (&["VP8", HIGH_10], 0),
    ];
    for (codings, expected) in cases {
        let offer = offer(&listing(codings));
        assert_eq!(usize::from(video(&offer).payload), 100 + expected, "{codings:?}");
    }
}

#[test]
fn a_rare_profile_is_taken_where_there_is_nothing_else() {
    for coding in [VP9_10_BITS, HIGH_10, "AV1 profile=1"] {
        assert_eq!(video(&offer(&listing(&[coding]))).payload, 100);
    }
}

#[test]
fn hevc_alone_is_refused_by_its_name() {
    let refusal = Offer::parse(&listing(&["H265"])).expect_err("no codec of ours");
    assert!(refusal.to_string().contains("HEVC"), "{refusal}");
}

#[test]
fn packetization_mode_0_is_taken_where_there_is_no_other() {
    let text = OBS.replace("packetization-mode=1;", "");
    let offer = offer(&text);
    let format = &video(&offer).format;
    assert!(matches!(format, Format::H264 { mode: PacketizationMode::Single, .. }));
}

#[test]
fn an_extra_fingerprint_and_an_unknown_one_do_no_harm() {
    let long = vec!["AB"; 64].join(":");
    for other in ["md5 00:11", "sha-256 zz", &format!("sha-512 {long}")] {
        let text = OBS.replace("a=fingerprint", &format!("a=fingerprint:{other}\na=fingerprint"));
        assert_eq!(offer(&text).fingerprint, offer(OBS).fingerprint);
    }
}

/// One section alone needs no BUNDLE group.
#[test]
fn audio_alone_and_video_alone_are_taken() {
    let (session, rest) = OBS.split_once("m=audio").expect("a section");
    let (audio, video) = rest.split_once("m=video").expect("a section");
    let session = session.replace("a=group:BUNDLE 0 1\n", "");
    assert_eq!(offer(&format!("{session}m=audio{audio}")).sections.len(), 1);
    assert_eq!(offer(&format!("{session}m=video{video}")).sections.len(), 1);
}

fn refusal(from: &str, to: &str) -> OfferError {
    assert!(OBS.contains(from), "{from}");
    Offer::parse(&OBS.replace(from, to)).expect_err(&format!("{from} -> {to}"))
}

#[test]
fn what_is_no_offer_is_malformed() {
    let changes = [
        ("v=0", "v=1"),
        ("t=0 0", "nonsense"),
        ("a=ice-ufrag:wMGd\n", ""),
        ("a=ice-ufrag:wMGd", "a=ice-ufrag:w"),
        ("a=ice-ufrag:wMGd", "a=ice-ufrag:w Gd"),
        ("a=ice-pwd:OHt3BLm8Z3oCKz1jFGxVgZ\n", ""),
        ("a=fingerprint:sha-256 ", "a=fingerprint:md5 "),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-384 "),
        ("a=fingerprint:sha-256 01:", "a=fingerprint:sha-256 "),
        ("a=fingerprint:sha-256 01:", "a=fingerprint:sha-256 xy:"),
        ("a=mid:0\n", ""),
        ("a=mid:0", "a=mid:a b"),
        ("m=audio 9", "m=audio x"),
        ("SAVPF 111", "SAVPF 300"),
        ("SAVPF 111", &format!("SAVPF{}", " 1".repeat(129))),
    ];
    for (from, to) in changes {
        let refusal = refusal(from, to);
        assert!(matches!(refusal, OfferError::Malformed(_)), "{from} -> {to}: {refusal}");
    }
    for text in ["", "\r\n", "hello", &"v=0\n".repeat(20_000)] {
        assert!(matches!(Offer::parse(text), Err(OfferError::Malformed(_))));
    }
}

#[test]
fn what_a_whip_server_must_not_take_is_unacceptable() {
    let changes = [
        ("a=mid:1\na=sendonly", "a=mid:1\na=recvonly"),
        ("a=mid:1\na=sendonly", "a=mid:1\na=inactive"),
        ("m=audio", "m=video"),
        ("m=audio", "m=application"),
        ("m=audio 9", "m=audio 0"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("a=mid:1", "a=mid:0"),
        ("a=rtcp-mux\n", ""),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96"),
        ("1453202", "1453201"),
    ];
    for (from, to) in changes {
        let refusal = match (from, to) {
            ("m=audio", "m=video") => {
                let (session, rest) = OBS.split_once("m=audio").expect("a section");
                let (_, video) = rest.split_once("m=video").expect("a section");
                let second = video.replace("a=mid:1", "a=mid:0").replace("145", "245");
                let text = format!("{session}m=video{video}m=video{second}");
                Offer::parse(&text).expect_err("two video sections")
            }
            _ => refusal(from, to),
        };
        assert!(matches!(refusal, OfferError::Unacceptable(_)), "{from} -> {to}: {refusal}");
    }
    let (session, _) = OBS.split_once("m=").expect("a section");
    assert!(matches!(Offer::parse(session), Err(OfferError::Unacceptable(_))));
}

#[test]
fn a_section_without_a_codec_of_ours_is_refused_as_such() {
    let changes = [
        ("H264/90000", "H263/90000"),
        ("packetization-mode=1", "packetization-mode=2"),
        ("OPUS/48000/2", "PCMU/8000"),
        ("a=rtpmap:96", "a=rtpmap:97"),
    ];
    for (from, to) in changes {
        let refusal = refusal(from, to);
        assert!(matches!(refusal, OfferError::Codec(_)), "{from} -> {to}: {refusal}");
    }
}

/// Two good offers, cut into lines and put together anew, with some lines damaged.
fn mutated() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = [OBS, FFMPEG, CHROMIUM].iter().flat_map(|text| text.lines()).collect();
    let line = prop_oneof![
        8 => proptest::sample::select(lines.clone()).prop_map(str::to_owned),
        1 => (proptest::sample::select(lines), any::<proptest::sample::Index>(), "\\PC{0,4}")
            .prop_map(|(line, at, noise)| {
                let at = at.index(line.len() + 1);
                format!("{}{noise}{}", &line[..at], &line[at..])
            }),
    ];
    proptest::collection::vec(line, 0..60).prop_map(|lines| format!("v=0\n{}", lines.join("\r\n")))
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,400}") {
        let _ = Offer::parse(&text);
    }

    #[test]
    fn no_mutated_offer_panics_and_what_passes_is_written_as_good_sdp(text in mutated()) {
        if let Ok(offer) = Offer::parse(&text) {
            let again = Offer::parse(&crate::answer::inner_offer(&offer)).expect("our own text");
            prop_assert_eq!(again.sections.len(), offer.sections.len());
        }
    }

    #[test]
    fn a_good_offer_with_one_damaged_place_does_not_panic(at in any::<proptest::sample::Index>(), noise in "\\PC{0,3}") {
        let at = at.index(CHROMIUM.len());
        if let Ok(offer) = Offer::parse(&format!("{}{noise}{}", &CHROMIUM[..at], &CHROMIUM[at + 1..])) {
            prop_assert!(Offer::parse(&crate::answer::inner_offer(&offer)).is_ok());
        }
    }
}
