//! The rules of private playback as the control plane told them last, in the guard and on disk: so a node that is
//! restarted while the control plane is away knows keys, and who is put out, from its first request on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use origin::Guard;
use schema::api::PlaybackRules;

/// In the data folder; it holds secrets.
const NAME: &str = "playback-rules.json";
/// More than the most keys and viewer sessions that are put out take.
const BYTES_MAX: u64 = 4 << 20;

/// Keeps a guard's rules. Cloning shares the guard.
#[derive(Debug, Clone)]
pub(crate) struct Rulebook {
    guard: Guard,
    path: PathBuf,
}

impl Rulebook {
    /// Gives `guard` the rules in `data`, if there are any; a file that cannot be read is told of and left alone.
    pub(crate) fn open(guard: Guard, data: &Path) -> Self {
        let path = data.join(NAME);
        match read(&path) {
            Ok(Some(rules)) => guard.set_rules(rules),
            Ok(None) => (),
            Err(error) => tracing::warn!(
                path = %path.display(),
                %error,
                "the rules of private playback cannot be read; tokens are refused until the control plane tells them"
            ),
        }
        Self { guard, path }
    }

    /// The version that the guard goes by.
    pub(crate) fn version(&self) -> Option<String> {
        self.guard.version()
    }

    /// Goes by `rules` at once, and keeps them for the next start.
    pub(crate) async fn learn(&self, rules: PlaybackRules) {
        tracing::debug!(version = rules.version, denied = rules.denied.len(), "new rules of private playback");
        self.guard.set_rules(rules.clone());
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &rules)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(path = %self.path.display(), %error, "the rules of private playback were not kept");
        }
    }
}

fn read(path: &Path) -> io::Result<Option<PlaybackRules>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(serde_json::from_str(&text)?))
}

/// Whoever reads sees the old rules or the new ones, never a part.
fn write(path: &Path, rules: &PlaybackRules) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    // One of a run that was killed may have another mode.
    if let Err(error) = fs::remove_file(&draft)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(rules)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use schema::api::DeniedViewer;

    use super::*;

    fn rules(version: &str) -> PlaybackRules {
        let denied = DeniedViewer { viewer: "0123456789abcdef".parse().unwrap(), until_s: 9 };
        PlaybackRules { version: version.to_owned(), keys: Vec::new(), denied: vec![denied] }
    }

    #[tokio::test]
    async fn a_node_that_starts_again_goes_by_what_it_was_told_last_and_nobody_else_reads_it() {
        let data = tempfile::tempdir().unwrap();
        let book = Rulebook::open(Guard::new(None), data.path());
        assert_eq!(book.version(), None);
        fs::write(data.path().join("playback-rules.json.new"), "of a run that was killed").unwrap();
        for version in ["1", "2"] {
            book.learn(rules(version)).await;
            let again = Rulebook::open(Guard::new(None), data.path());
            assert_eq!((again.version().as_deref(), again.guard.denied()), (Some(version), 1));
        }
        let mode = data.path().join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_none_gives_no_rules_until_new_ones_come() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(NAME), "{").unwrap();
        let book = Rulebook::open(Guard::new(None), data.path());
        assert_eq!(book.version(), None);
        book.learn(rules("1")).await;
        assert_eq!(Rulebook::open(Guard::new(None), data.path()).version().as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn a_folder_that_takes_nothing_does_not_keep_rules_from_the_guard() {
        let book = Rulebook::open(Guard::new(None), Path::new("/nowhere"));
        book.learn(rules("1")).await;
        assert_eq!(book.version().as_deref(), Some("1"));
    }
}
