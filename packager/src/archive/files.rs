//! The files of one rendition. Each is written under another name and renamed when it is whole, and its name tells its
//! length: neither a killed node nor a full disk leaves one that looks complete and is not.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::playlist::dvr::FileName;

/// What is being written.
const UNFINISHED: &str = "new";

/// The folder of one rendition.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes a file whole, or none.
    ///
    /// # Errors
    /// No room, or a broken disk; what was written of it is removed.
    pub(super) fn write(&self, name: &FileName, chunks: &[Bytes]) -> io::Result<()> {
        let unfinished = self.0.join(UNFINISHED);
        let written = self.create(&unfinished).and_then(|mut file| {
            chunks.iter().try_for_each(|chunk| file.write_all(chunk))?;
            drop(file);
            fs::rename(&unfinished, self.0.join(name.to_string()))
        });
        if written.is_err() {
            // What cannot be removed either is overwritten by the next.
            let _stays = fs::remove_file(&unfinished);
        }
        written
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        match File::create(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.0)?;
                File::create(path)
            }
            other => other,
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// It stays.
    pub(super) fn remove(&self, name: &FileName) -> io::Result<()> {
        match fs::remove_file(self.0.join(name.to_string())) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The whole files of an earlier run. Whatever else lies there is removed.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(super) fn load(&self) -> io::Result<Vec<FileName>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_str().and_then(FileName::parse);
            match name.filter(|name| entry.metadata().is_ok_and(|file| file.is_file() && file.len() == name.length())) {
                Some(name) => found.push(name),
                None => remove_any(&entry.path()),
            }
        }
        Ok(found)
    }
}

/// Removes a file or a folder with all that is in it; what stays is told.
pub(super) fn remove_any(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|entry| entry.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot be removed");
    }
}

/// The number below which nothing is listed any more, in the name of an empty file: moving it on needs no room.
#[derive(Debug)]
pub(super) struct Floor {
    folder: PathBuf,
    at: Option<u64>,
}

const FLOOR: &str = "first-";

impl Floor {
    /// Reads what an earlier run left in a broadcast's folder; the highest, if there are several.
    pub(super) fn load(folder: &Path) -> Self {
        let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let at = names.filter_map(|name| name.to_str()?.strip_prefix(FLOOR)?.parse().ok()).max();
        Self { folder: folder.to_owned(), at }
    }

    pub(super) fn at(&self) -> u64 {
        self.at.unwrap_or(0)
    }

    /// Moves on to `at`, before a list is shown that begins there.
    ///
    /// # Errors
    /// It stays where it was.
    pub(super) fn move_to(&mut self, at: u64) -> io::Result<()> {
        if self.at.is_some_and(|before| before >= at) {
            return Ok(());
        }
        let path = |at: u64| self.folder.join(format!("{FLOOR}{at}"));
        match self.at {
            Some(before) => fs::rename(path(before), path(at)).or_else(|_lost| File::create(path(at)).map(drop))?,
            None => drop(File::create(path(at))?),
        }
        self.at = Some(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use schema::{Incarnation, MediaTime};

    use super::*;
    use crate::playlist::dvr::Kept;

    fn name(msn: u64, length: u64) -> FileName {
        FileName::Segment(Kept {
            msn,
            epoch: 0,
            discontinuities: 0,
            incarnation: Incarnation(1),
            init: 0,
            start: MediaTime::ZERO,
            duration: MediaTime::SECOND,
            length: Some(length),
        })
    }

    #[test]
    fn only_whole_files_are_found_again_and_the_rest_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("b1").join("720p"));
        assert_eq!(folder.load().unwrap(), []);
        folder.write(&name(7, 5), &[Bytes::from_static(b"abc"), Bytes::from_static(b"de")]).unwrap();
        folder.write(&name(8, 5), &[Bytes::from_static(b"short")[..3].to_vec().into()]).unwrap();
        fs::write(folder.0.join(UNFINISHED), "half").unwrap();
        fs::write(folder.0.join("noise"), "").unwrap();
        fs::create_dir(folder.0.join(name(9, 0).to_string())).unwrap();
        assert_eq!(folder.load().unwrap(), [name(7, 5)]);
        assert_eq!(fs::read(folder.0.join(name(7, 5).to_string())).unwrap(), b"abcde");
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
        folder.remove(&name(7, 5)).unwrap();
        folder.remove(&name(7, 5)).unwrap();
        assert_eq!(folder.load().unwrap(), []);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("720p"));
        fs::create_dir(root.path().join("720p")).unwrap();
        // A folder that is not empty stands where the file would.
        fs::create_dir_all(root.path().join("720p").join(name(7, 1).to_string()).join("x")).unwrap();
        assert!(folder.write(&name(7, 1), &[Bytes::from_static(b"a")]).is_err());
        assert!(!folder.0.join(UNFINISHED).exists());
    }

    #[test]
    fn the_floor_never_falls_and_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let mut floor = Floor::load(root.path());
        assert_eq!(floor.at(), 0);
        for (to, at) in [(5, 5), (3, 5), (9, 9)] {
            floor.move_to(to).unwrap();
            assert_eq!((floor.at(), Floor::load(root.path()).at()), (at, at));
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
