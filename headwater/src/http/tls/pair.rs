//! A certificate and its key, read from PEM files and checked together.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// The largest file that is read, in bytes; a long chain has some tens of kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The chain, the server's own certificate first: `http.tls.certificate`.
    pub(crate) certificate: PathBuf,
    /// Its private key: `http.tls.key`.
    pub(crate) key: PathBuf,
}

/// A usable certificate.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The chain and what signs with its key.
    pub(crate) certified: Arc<CertifiedKey>,
    /// When it expires.
    expires: ASN1Time,
}

/// Why files hold no usable certificate: one line with the configuration's key, the file and the reason. Nothing
/// of what the files hold.
#[derive(Debug, Error)]
pub(crate) enum PairError {
    /// A file cannot be read.
    #[error("{setting}: {}: {error}", file.display())]
    Unreadable {
        /// The configuration's key.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("{setting}: {}: {reason}", file.display())]
    Unusable {
        /// The configuration's key.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Each is fine, but they do not belong together.
    #[error("http.tls.key: {}: does not belong to the certificate in {}", .0.key.display(), .0.certificate.display())]
    Mismatch(Files),
}

/// One of the two files.
#[derive(Clone, Copy)]
struct Source<'a> {
    setting: &'static str,
    file: &'a Path,
}

impl Pair {
    /// Reads and checks both files. An expired certificate is usable: it is for the caller to say so.
    ///
    /// # Errors
    /// See [`PairError`].
    pub(crate) fn load(files: &Files) -> Result<Self, PairError> {
        let certificate = Source { setting: "http.tls.certificate", file: &files.certificate };
        let key = Source { setting: "http.tls.key", file: &files.key };
        let chain = certificate.chain()?;
        let private = key.private_key()?;
        let expires = certificate.expiry(&chain)?;
        let certified = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => PairError::Mismatch(files.clone()),
            _ => key.unusable("holds a private key of an unknown kind"),
        })?;
        Ok(Self { certified: Arc::new(certified), expires })
    }

    /// When it expires, in seconds since 1970.
    pub(crate) fn expires(&self) -> i64 {
        self.expires.timestamp()
    }

    /// The same for people.
    pub(crate) fn expires_text(&self) -> String {
        self.expires.to_string()
    }

    /// Whether clients refuse it by now.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires < ASN1Time::now()
    }
}

impl Source<'_> {
    fn unusable(self, reason: &'static str) -> PairError {
        PairError::Unusable { setting: self.setting, file: self.file.to_owned(), reason }
    }

    fn read(self) -> Result<Vec<u8>, PairError> {
        let unreadable = |error| PairError::Unreadable { setting: self.setting, file: self.file.to_owned(), error };
        let mut text = Vec::new();
        let file = File::open(self.file).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(self.unusable("is larger than 1 MiB"));
        }
        Ok(text)
    }

    fn chain(self) -> Result<Vec<CertificateDer<'static>>, PairError> {
        let text = self.read()?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|_| self.unusable("is not readable as PEM"))?;
        if chain.is_empty() {
            return Err(self.unusable("holds no certificate in PEM"));
        }
        Ok(chain)
    }

    fn private_key(self) -> Result<PrivateKeyDer<'static>, PairError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| match error {
            pem::Error::NoItemsFound => self.unusable("holds no private key in PEM (an encrypted one cannot be used)"),
            _ => self.unusable("is not readable as PEM"),
        })
    }

    fn expiry(self, chain: &[CertificateDer<'_>]) -> Result<ASN1Time, PairError> {
        let malformed = || self.unusable("holds a malformed certificate");
        let (_, certificate) = parse_x509_certificate(chain.first().ok_or_else(malformed)?).map_err(|_| malformed())?;
        Ok(certificate.validity().not_after)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::Authority;
    use super::*;

    /// The error as it is told, without the folder.
    fn told(files: &Files) -> String {
        let folder = format!("{}/", files.key.parent().unwrap().display());
        let line = Pair::load(files).unwrap_err().to_string().replace(&folder, "");
        assert_eq!(line.lines().count(), 1);
        line
    }

    #[test]
    fn a_pair_is_read_with_its_expiry() {
        let folder = tempfile::tempdir().unwrap();
        let files = Authority::new().issue(folder.path(), "a", 2030);
        let pair = Pair::load(&files).unwrap();
        assert_eq!(pair.expires(), 1_893_456_000, "2030-01-01");
        assert_eq!(pair.certified.cert.len(), 1);
    }

    #[test]
    fn an_expired_certificate_is_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Authority::new().issue(folder.path(), "old", 2001);
        assert_eq!(Pair::load(&files).unwrap().expires(), 978_307_200);
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_with_key_file_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let good = authority.issue(folder.path(), "good", 2030);
        let other = authority.issue(folder.path(), "other", 2030);
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let with_certificate = |certificate| Files { certificate, ..good.clone() };
        let with_key = |key| Files { key, ..good.clone() };
        for (files, expected) in [
            (
                with_certificate(folder.path().join("none.pem")),
                "http.tls.certificate: none.pem: No such file or directory (os error 2)",
            ),
            (
                with_key(folder.path().join("none.pem")),
                "http.tls.key: none.pem: No such file or directory (os error 2)",
            ),
            (with_certificate(write("empty.pem", "")), "http.tls.certificate: empty.pem: holds no certificate in PEM"),
            (with_certificate(good.key.clone()), "http.tls.certificate: good.key: holds no certificate in PEM"),
            (
                with_key(good.certificate.clone()),
                "http.tls.key: good.pem: holds no private key in PEM (an encrypted one cannot be used)",
            ),
            (
                with_certificate(write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n")),
                "http.tls.certificate: cut.pem: is not readable as PEM",
            ),
            (
                with_certificate(write("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
                "http.tls.certificate: odd.pem: holds a malformed certificate",
            ),
            (
                with_key(write("odd.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
                "http.tls.key: odd.key: holds a private key of an unknown kind",
            ),
            (with_key(other.key.clone()), "http.tls.key: other.key: does not belong to the certificate in good.pem"),
            (with_key(write("big.key", &"x".repeat(2 << 20))), "http.tls.key: big.key: is larger than 1 MiB"),
        ] {
            assert_eq!(told(&files), expected);
        }
    }
}
