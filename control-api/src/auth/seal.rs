//! Sealing what the database keeps but must not know: AES-256-GCM under a key in a file.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};

const KEY_BYTES: usize = 32;

/// The sealing key. `Debug` does not show it.
pub(crate) struct Seal(RandomizedNonceKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// A key that ends with the process.
    pub(crate) fn ephemeral() -> Self {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key);
        Self::of(&key)
    }

    /// The key in `file` (64 hexadecimal digits), which is made with mode 0600 if it is not there.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds no key.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        let text = match std::fs::File::open(file) {
            Ok(file) => {
                let mut text = String::new();
                file.take(1024).read_to_string(&mut text)?;
                text
            }
            Err(error) if error.kind() == ErrorKind::NotFound => make(file)?,
            Err(error) => return Err(error),
        };
        let bytes = hex::decode(text.trim()).ok();
        let key = bytes.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
        let key = key.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "must hold 64 hexadecimal digits"))?;
        Ok(Self::of(&key))
    }

    fn of(key: &[u8; KEY_BYTES]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the length of the algorithm"))
    }

    /// `text` sealed for `purpose`; the nonce stands before it. It opens for this purpose alone.
    pub(crate) fn seal(&self, purpose: &str, text: &[u8]) -> Vec<u8> {
        let mut body = text.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose), &mut body);
        let nonce = nonce.expect("texts are far shorter than the algorithm's limit");
        [nonce.as_ref().as_slice(), &body].concat()
    }

    /// What was sealed for `purpose`; `None` if it was not, by this key.
    pub(crate) fn open_sealed(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let text = self.0.open_in_place(nonce.into(), Aad::from(purpose), &mut body).ok()?;
        Some(text.to_vec())
    }
}

/// Two processes that start at once agree on one key: the file gets its name with its content.
fn make(file: &Path) -> io::Result<String> {
    let key = crate::secret::random_hex::<KEY_BYTES>();
    let draft = file.with_extension(format!("{}.new", crate::secret::random_hex::<4>()));
    let mut open = std::fs::OpenOptions::new();
    let mut written = open.write(true).create_new(true).mode(0o600).open(&draft)?;
    written.write_all(format!("{key}\n").as_bytes())?;
    written.sync_all()?;
    let named = std::fs::hard_link(&draft, file);
    std::fs::remove_file(&draft)?;
    match named {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::read_to_string(file),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_purpose_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.key");
        let sealed = Seal::open(&file).unwrap().seal("totp", b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let again = Seal::open(&file).unwrap();
        assert_eq!(again.open_sealed("totp", &sealed).unwrap(), b"secret");
        assert_eq!(again.open_sealed("key", &sealed), None);
        assert_eq!(Seal::ephemeral().open_sealed("totp", &sealed), None);
        let mut changed = sealed.clone();
        changed[20] ^= 1;
        assert_eq!(again.open_sealed("totp", &changed), None);
        assert_eq!(again.open_sealed("totp", &sealed[..5]), None);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.key");
        std::fs::write(&file, "short").unwrap();
        assert!(Seal::open(&file).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"short");
    }
}
