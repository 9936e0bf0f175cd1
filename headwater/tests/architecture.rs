//! Rules of the repository that the compiler does not know: who may depend on whom, and one stack each.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// The lines of `[section]` in a TOML file, up to the next section.
fn section(text: &str, name: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| line.trim() != format!("[{name}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .map(str::to_owned)
        .collect()
}

fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    section(&manifest, "dependencies")
        .iter()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_depend_only_in_the_documented_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("schema", &[][..]),
        ("ingest/rtc", &["schema"]),
        ("ingest", &["schema", "ingest-rtc"]),
        ("packager/transcode", &["schema"]),
        ("packager", &["schema", "packager-transcode"]),
        ("origin", &["schema", "packager", "ingest-rtc"]),
        ("control-api", &["schema"]),
    ]);
    let ours: BTreeSet<&str> = BTreeSet::from([
        "schema",
        "ingest-rtc",
        "ingest",
        "packager-transcode",
        "packager",
        "origin",
        "control-api",
        "headwater",
    ]);
    for (folder, may) in allowed {
        for dependency in dependencies(folder).iter().filter(|name| ours.contains(name.as_str())) {
            assert!(may.contains(&dependency.as_str()), "{folder} must not depend on {dependency}");
        }
    }
}

#[test]
fn schema_knows_no_runtime_and_only_one_crate_each_names_ffmpeg_and_webrtc() {
    for runtime in ["tokio", "tokio-util", "hyper", "axum", "sqlx", "futures-util"] {
        assert!(!dependencies("schema").contains(runtime), "schema must not depend on {runtime}");
    }
    for folder in ["schema", "ingest", "ingest/rtc", "packager", "origin", "control-api", "headwater"] {
        assert!(!dependencies(folder).contains("ffmpeg-next"), "{folder} must not name FFmpeg");
    }
    for folder in ["schema", "ingest", "packager", "packager/transcode", "origin", "control-api", "headwater"] {
        let named = dependencies(folder);
        assert!(!named.contains("webrtc") && !named.contains("rtc"), "{folder} must not name WebRTC");
    }
}

#[test]
fn the_lock_file_holds_one_tls_stack_and_one_crypto_provider() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let field = |block: &str, key: &str| {
        block.lines().find_map(|line| line.strip_prefix(&format!("{key} = \""))?.strip_suffix('"').map(str::to_owned))
    };
    let packages: Vec<(String, String)> =
        lock.split("[[package]]").filter_map(|block| Some((field(block, "name")?, field(block, "version")?))).collect();
    assert!(packages.len() > 100, "the lock file was not understood");
    for (name, version) in packages {
        let banned = match name.as_str() {
            "openssl-sys" | "openssl" | "native-tls" => true,
            "rustls" => !version.starts_with("0.23."),
            "hyper" => !version.starts_with("1."),
            "h2" => version.starts_with("0.3."),
            _ => false,
        };
        assert!(!banned, "{name} {version} is banned: see deny.toml");
    }
}

/// The lock file also names crates behind features that nobody turns on, `ring` among them; what is
/// really built is cargo's to tell.
#[test]
fn the_second_crypto_provider_is_never_built() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let built = String::from_utf8_lossy(&tree.stdout);
    let builds = |name: &str| built.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(builds("aws-lc-rs"), "the tree was not understood");
    assert!(!builds("ring"), "ring is built: see `cargo tree -i ring`");
}
