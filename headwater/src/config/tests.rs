//! The layers of the configuration, and what is said of bad values.

use super::*;
use std::io::Write;

fn load(toml: &str) -> Result<Config, String> {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    Config::load(Some(file.path()), &Flags::default())
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = load("").unwrap();
    assert_eq!(config.media_listen(), SocketAddr::from(([127, 0, 0, 1], 8189)));
}

#[test]
fn where_any_public_port_will_do_any_other_port_does() {
    let config = load("[http]\nlisten = \"127.0.0.1:0\"").unwrap();
    assert_eq!((config.media_listen().port(), config.ops_listen().port()), (0, 0));
    let config = load("[http]\nlisten = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:7\"").unwrap();
    assert_eq!(config.ops_listen().port(), 7);
}

#[test]
fn ice_servers_are_checked_and_their_passwords_not_shown() {
    let load = |servers: &str| load(&format!("[media]\nice_servers = [{servers}]"));
    let turn = r#"{ url = "stun:a" }, { url = "turn:b", username = "u", credential = "hunter2" }"#;
    let config = load(turn).unwrap();
    assert_eq!(config.media.ice_servers().unwrap().len(), 2);
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let refused = load(r#"{ url = "stun:a" }, { url = "turn:b", credential = "hunter2" }"#).unwrap_err();
    assert!(refused.contains("media.ice_servers: number 2: ") && !refused.contains("hunter2"), "{refused}");
    assert!(load(r#"{ url = "http://a" }"#).is_err());
    assert!(load(&[r#"{ url = "stun:a" }"#; 9].join(", ")).unwrap_err().contains("at most 8"));
}

#[test]
fn the_room_is_a_share_of_the_cores_or_without_a_limit() {
    let room = |toml: &str| load(&format!("[transcode]\n{toml}")).unwrap().transcode.cores_max();
    assert_eq!(room("cores = 4\nload_max_percent = 50"), Some(2.0));
    assert_eq!(room("cores = 0.5\nload_max_percent = 100"), Some(0.5));
    assert_eq!(room("load_max_percent = 0"), None);
    assert!(room("").unwrap() >= 0.9);
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags { listen: Some("127.0.0.1:1".parse().unwrap()), ..Flags::default() };
    assert_eq!(Config::load(None, &flags).unwrap().http.listen.port(), 1);
}

#[test]
fn a_bad_value_is_one_line_with_file_key_and_reason() {
    for (toml, expected) in [
        ("[http]\nlisten = \"nonsense\"", "FILE: http.listen: invalid socket address syntax"),
        ("[http]\nlistne = \"127.0.0.1:1\"", "FILE: http.listne: unknown key"),
        ("[runtime]\nthreads = \"many\"", "FILE: runtime.threads: must be usize"),
        ("[log]\nformat = \"xml\"", "FILE: log.format: must be one of text, json"),
        ("[transcode]\nencoder = \"magic\"", "config: transcode.encoder: is not in the table of encoders"),
        ("[transcode]\npreset = \"rapid\"", "config: transcode.preset: is none that the encoder has"),
        ("[transcode]\ncores = 0", "config: transcode.cores: must be 0.1 to 1024"),
        ("[transcode]\ncores = \"all\"", "FILE: transcode.cores: must be f64"),
        ("[transcode]\nload_max_percent = 5", "config: transcode.load_max_percent: must be 0 (no limit) or 10 to 1000"),
        ("[http.tls]\ncertificate = \"a.pem\"", "config: http.tls.key: is missing beside http.tls.certificate"),
        ("[http.tls]\nkey = \"a.pem\"", "config: http.tls.certificate: is missing beside http.tls.key"),
        ("[http.tls]\ncertificates = \"a.pem\"", "FILE: http.tls.certificates: unknown key"),
        (
            "[http]\nredirect_listen = \"127.0.0.1:80\"",
            "config: http.redirect_listen: needs http.tls.certificate and http.tls.key",
        ),
        (
            "[http]\ntrusted_proxies = [\"10.0.0.0/99\"]",
            "FILE: http.trusted_proxies.0: must be addresses or networks such as 127.0.0.1 or 10.0.0.0/8",
        ),
        ("[dvr]\nbytes_max = 1000", "config: dvr.bytes_max: must be at least 1000000"),
        ("[dvr]\nkeep_after_end_s = 43201", "config: dvr.keep_after_end_s: must be at most 43200"),
        ("[dvr]\nbytes_max = \"much\"", "FILE: dvr.bytes_max: must be u64"),
        ("[dvr]\nfree_bytes_min = -1", "FILE: dvr.free_bytes_min: must be u64"),
        ("[dvr]\nfolder = \"/srv\"", "FILE: dvr.folder: unknown key"),
        ("[admission]\nurl = \"https://a.example\"", "config: admission.secret: is missing beside admission.url"),
        ("[admission]\nsecret = \"whsec_x\"", "config: admission.url: is missing beside admission.secret"),
        (
            "[admission]\nurl = \"https://a.example\"\nsecret = \"hunter2\"",
            "config: admission.secret: must be whsec_ and the base64 of 24 to 64 random bytes",
        ),
        (
            "[admission]\nurl = \"ftp://a.example\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
            "config: admission.url: must be an http or https URL",
        ),
        ("[admission]\ntimeout_ms = 60000", "config: admission.timeout_ms: must be 100 to 4000"),
        ("[admission]\non_failure = \"shrug\"", "FILE: admission.on_failure: must be one of deny, allow"),
        ("[auth]\nmode = \"ldap\"", "FILE: auth.mode: must be one of local, oidc, clerk"),
        ("[auth]\nsignup = \"open\"", "FILE: auth.signup: unknown key"),
        (
            "[auth]\npublic_url = \"https://a.example/x\"",
            "config: auth.public_url: must be an origin such as https://live.example.org, without a path",
        ),
        ("[auth]\nmode = \"oidc\"", "config: auth.oidc.issuer: must be an https URL (http on this machine alone)"),
        ("[auth]\nmode = \"oidc\"\noidc.issuer = \"https://id.example\"", "config: auth.oidc.client_id: is missing"),
        (
            "[auth]\nmode = \"clerk\"\nclerk.issuer = \"https://clerk.example\"",
            "config: auth.clerk.authorized_parties: must hold origins such as https://live.example.org",
        ),
        ("[mail]\nbackend = \"smtp\"", "config: mail.host: is missing"),
        ("[mail]\nfrom = \"nobody\"", "config: mail.from: must be an address such as Headwater <no-reply@example.org>"),
        (
            "[mail]\nbackend = \"smtp\"\nhost = \"mail.example\"\ntls = \"none\"",
            "config: mail.tls: may be none towards this machine alone, and without a password",
        ),
        ("[limits]\nsessions_max = 0", "config: limits.sessions_max: must be at least 1"),
        ("[limits]\napi_reads_per_minute = -1", "FILE: limits.api_reads_per_minute: must be u32"),
    ] {
        let line = load(toml).unwrap_err();
        assert_eq!(line, expected);
        assert_eq!(line.lines().count(), 1);
    }
    assert!(load("not toml").unwrap_err().starts_with("FILE: "));
}

#[test]
fn a_secret_value_never_stands_in_the_error_or_the_debug_output() {
    assert!(!load("[database]\nurl = 5551234").unwrap_err().contains("5551234"));
    let config = load("[database]\nurl = \"postgres://u:hunter2@h/d\"").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let config =
        load("[auth.oidc]\nclient_secret = \"hunter2\"\n[mail]\nusername = \"u\"\npassword = \"hunter2\"").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_edge_secret_is_long_and_not_shown() {
    let load = |secret: &str| load(&format!("[edge]\nsecret = \"{secret}\""));
    let config = load(&"s3cret".repeat(6)).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    for bad in ["", "short", &"a b".repeat(20), &"a".repeat(257)] {
        let refused = load(bad).unwrap_err();
        assert_eq!(refused, "config: edge.secret: must be 32 to 256 visible ASCII characters", "{bad}");
    }
}
