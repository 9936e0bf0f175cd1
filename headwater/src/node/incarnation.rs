//! The fencing number of broadcasts: grows with every start and survives every kind of end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schema::Incarnation;

/// The counter's file in the data folder; owned by one task.
#[derive(Debug)]
pub(crate) struct Incarnations {
    path: PathBuf,
    last: Incarnation,
}

impl Incarnations {
    /// Opens or begins the counter in `folder`.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold a number: it is never guessed, as a number that
    /// comes twice would give a segment name other bytes.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("incarnation");
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Incarnation).map_err(|_not_a_number| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} does not hold a number", path.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Incarnation(0),
            Err(error) => return Err(error),
        };
        Ok(Self { path, last })
    }

    /// The next number, on disk before it is returned.
    ///
    /// # Errors
    /// It could not be written; the number is not used then.
    pub(crate) fn next(&mut self) -> io::Result<Incarnation> {
        let next = Incarnation(self.last.0 + 1);
        let written = self.path.with_extension("new");
        let mut file = File::create(&written)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        fs::rename(&written, &self.path)?;
        self.last = next;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Incarnations::open(folder.path()).unwrap();
        assert_eq!(first.next().unwrap(), Incarnation(1));
        assert_eq!(first.next().unwrap(), Incarnation(2));
        assert_eq!(Incarnations::open(folder.path()).unwrap().next().unwrap(), Incarnation(3));
    }

    #[test]
    fn a_damaged_counter_is_an_error_and_not_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("incarnation"), "x").unwrap();
        assert!(Incarnations::open(folder.path()).is_err());
    }
}
