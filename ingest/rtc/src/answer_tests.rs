use super::*;

const OBS: &str = include_str!("../tests/offers/obs.sdp");
const FFMPEG: &str = include_str!("../tests/offers/ffmpeg.sdp");
const CHROMIUM: &str = include_str!("../tests/offers/chromium.sdp");

fn answered(text: &str) -> String {
    answered_by(text, Ice::Full)
}

fn answered_by(text: &str, ice: Ice) -> String {
    let candidates = ["203.0.113.7:8189", "[2001:db8::7]:8189"];
    let candidates = candidates.map(|address| address.parse().expect("an address"));
    let local = Local {
        ufrag: "ourufrag",
        password: "ourpassword",
        fingerprint: "AA:BB",
        candidates: &candidates,
        ice,
        session: 7,
    };
    answer(&Offer::parse(text).expect("a good offer"), &local)
}

#[test]
fn every_section_receives_only_and_names_rtcp_mux_only() {
    let answer = answered(OBS);
    let sections: Vec<&str> = answer.split("m=").skip(1).collect();
    assert_eq!(sections.len(), 2);
    for section in sections {
        let needed = [
            "a=recvonly\r\n",
            "a=rtcp-mux\r\n",
            "a=rtcp-mux-only\r\n",
            "a=setup:passive\r\n",
            "a=ice-ufrag:ourufrag\r\n",
            "a=fingerprint:sha-256 AA:BB\r\n",
        ];
        for line in needed {
            assert!(section.contains(line), "{line} in {section}");
        }
    }
    assert!(answer.contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn the_first_candidate_is_udp_of_component_1_with_the_announced_address() {
    let answer = answered(OBS);
    let candidates: Vec<&str> = answer.lines().filter(|l| l.starts_with("a=candidate")).collect();
    assert_eq!(
        candidates,
        [
            "a=candidate:1 1 udp 2130706431 203.0.113.7 8189 typ host",
            "a=candidate:2 1 udp 2130706175 2001:db8::7 8189 typ host",
        ]
    );
    assert!(answer.contains("a=end-of-candidates\r\n"));
}

#[test]
fn sections_keep_the_order_and_the_payload_types_of_the_offer() {
    let media = |text: &str| -> Vec<String> {
        let answer = answered(text);
        answer.lines().filter(|l| l.starts_with("m=")).map(str::to_owned).collect()
    };
    let profile = "UDP/TLS/RTP/SAVPF";
    assert_eq!(media(CHROMIUM), [format!("m=video 9 {profile} 107 108"), format!("m=audio 9 {profile} 111")]);
    assert_eq!(media(FFMPEG), [format!("m=audio 9 {profile} 111"), format!("m=video 9 {profile} 106 105")]);
}

#[test]
fn opus_is_answered_in_stereo_and_h264_with_its_own_profile() {
    let answer = answered(FFMPEG);
    assert!(
        answer.contains("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;maxaveragebitrate=128000\r\n")
    );
    let video = "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f;";
    assert!(answer.contains(video));
    assert!(answer.contains("a=setup:active\r\n"));
}

/// RFC 7741 6.1, RFC 9628 6.1, RTP Payload Format for AV1 7.2: a receiver's profile is that of the offer.
#[test]
fn other_codecs_are_answered_with_the_parameters_that_identify_them() {
    let of = |coding: &str, parameters: &str| {
        let text = OBS.replace("H264/90000", &format!("{coding}/90000"));
        let fmtp = text.lines().find(|l| l.starts_with("a=fmtp:96")).expect("in the offer").to_owned();
        answered(&text.replace(&fmtp, &format!("a=fmtp:96 {parameters}")))
    };
    assert!(of("VP8", "max-fr=30").contains("a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google"));
    assert!(of("VP9", "profile-id=2;x=1").contains("a=rtpmap:96 VP9/90000\r\na=fmtp:96 profile-id=2;x-google"));
    let av1 = of("AV1", "level-idx=8; profile=0;tier=0");
    assert!(av1.contains("a=rtpmap:96 AV1/90000\r\na=fmtp:96 level-idx=8;profile=0;tier=0;x-google"));
}

#[test]
fn every_video_codec_is_told_what_to_begin_with() {
    for coding in ["H264", "VP8", "VP9", "AV1"] {
        let answer = answered(&OBS.replace("H264/90000", &format!("{coding}/90000")));
        let fmtp = answer.lines().find(|line| line.starts_with("a=fmtp:96")).expect("parameters");
        assert!(fmtp.ends_with("x-google-start-bitrate=3000;x-google-max-bitrate=6000"), "{fmtp}");
    }
}

#[test]
fn only_offered_feedback_is_answered() {
    let ffmpeg = answered(FFMPEG);
    assert!(ffmpeg.contains("a=rtcp-fb:106 nack\r\n"));
    assert!(!ffmpeg.contains("nack pli") && !ffmpeg.contains("transport-cc"));
    let chromium = answered(CHROMIUM);
    for line in ["a=rtcp-fb:107 nack pli\r\n", "a=rtcp-fb:107 transport-cc\r\n", "a=extmap:4 "] {
        assert!(chromium.contains(line), "{line}");
    }
}

#[test]
fn the_inner_offer_holds_no_address_and_no_text_of_the_publisher() {
    let inner = inner_offer(&Offer::parse(CHROMIUM).expect("a good offer"));
    for absent in ["candidate", "192.0.2.7", ".local", "VP8", "cname:Tq9", "msid:4f3f"] {
        assert!(!inner.contains(absent), "{absent}");
    }
}

/// The WebRTC crate refuses two sections without sources.
#[test]
fn the_inner_offer_declares_two_sources_where_the_publisher_declares_one_or_none() {
    let lines = |text: &str| text.lines().filter(|l| !l.starts_with("a=ssrc:145")).collect::<Vec<_>>().join("\n");
    for text in [lines(OBS), lines(OBS) + "\na=ssrc:1 cname:x"] {
        let again = Offer::parse(&inner_offer(&Offer::parse(&text).expect("a good offer"))).expect("our own text");
        let sources: Vec<_> = again.sections.iter().map(|section| section.ssrc).collect();
        assert!(sources.iter().all(Option::is_some) && sources[0] != sources[1], "{sources:?}");
    }
}

/// RFC 8839 5.3: for the whole session.
#[test]
fn ice_lite_is_said_before_all_sections_or_not_at_all() {
    let answer = answered_by(OBS, Ice::Lite);
    let (session, sections) = answer.split_once("m=").expect("a section");
    assert!(session.contains("a=ice-lite\r\n") && !sections.contains("ice-lite"));
    assert!(!answered(OBS).contains("ice-lite"));
}
