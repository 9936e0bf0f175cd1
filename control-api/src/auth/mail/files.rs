//! Mails as files, for who has no mail server: only who can read the data folder reads them.

use std::path::{Path, PathBuf};

use chrono::Utc;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::{Mail, MailError, Mailer, Sending};
use crate::secret;

/// The most files kept; the oldest go first.
const FILES_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    from: String,
}

impl Files {
    pub(super) fn new(folder: PathBuf, from: &str) -> Self {
        Self { folder, from: from.to_owned() }
    }

    async fn write(&self, mail: Mail) -> Result<(), MailError> {
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700).create(&self.folder).await?;
        make_room(&self.folder).await?;
        let now = Utc::now();
        let name = format!("{}-{}.eml", now.format("%Y%m%dT%H%M%S%.6fZ"), secret::random_hex::<4>());
        let Mail { to, subject, text } = mail;
        let date = now.to_rfc2822();
        let text = format!(
            "Date: {date}\nFrom: {}\nTo: {to}\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{text}",
            self.from
        );
        let draft = self.folder.join(format!("{name}.new"));
        let mut open = fs::OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(&draft).await?;
        file.write_all(text.as_bytes()).await?;
        file.flush().await?;
        let path = self.folder.join(name);
        fs::rename(&draft, &path).await?;
        tracing::info!(file = %path.display(), "a mail was written to a file: no mail server is configured");
        Ok(())
    }
}

impl Mailer for Files {
    fn send(&self, mail: Mail) -> Sending<'_> {
        Box::pin(self.write(mail))
    }
}

/// Names begin with the time, so their order is that of the mails.
async fn make_room(folder: &Path) -> Result<(), MailError> {
    let mut names = Vec::new();
    let mut entries = fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        names.push(entry.file_name());
    }
    if names.len() >= FILES_MAX {
        names.sort();
        for name in names.iter().take(names.len() + 1 - FILES_MAX) {
            fs::remove_file(folder.join(name)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_mail_is_a_file_that_its_owner_alone_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().join("mail"), "Headwater <no-reply@localhost>");
        let mail = Mail { to: "ann@example.org".into(), subject: "Hello".into(), text: "A link\n".into() };
        files.send(mail.clone()).await.unwrap();
        files.send(mail.clone()).await.unwrap();
        let written: Vec<_> = std::fs::read_dir(dir.path().join("mail")).unwrap().map(|file| file.unwrap()).collect();
        assert_eq!(written.len(), 2);
        assert_eq!(written[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(written[0].path()).unwrap();
        assert!(text.contains("To: ann@example.org\nSubject: Hello\n") && text.ends_with("\n\nA link\n"), "{text}");
        assert!(!format!("{mail:?}").contains("link"));
    }

    #[tokio::test]
    async fn the_folder_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..FILES_MAX + 5 {
            std::fs::write(dir.path().join(format!("{number:05}.eml")), "").unwrap();
        }
        let files = Files::new(dir.path().to_owned(), "x@localhost");
        files.send(Mail { to: "a@b.c".into(), subject: String::new(), text: String::new() }).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), FILES_MAX);
        assert!(!dir.path().join("00005.eml").exists() && dir.path().join("00006.eml").exists());
    }
}
