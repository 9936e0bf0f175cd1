//! Takes the built pages (`web/out`) into the binary; without them, a page that says how to build them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let built = Path::new("../web/out");
    println!("cargo:rerun-if-changed=../web/out");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("pages");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    if built.join("index.html").is_file() {
        return copy(built, &target);
    }
    fs::write(
        target.join("index.html"),
        "<!doctype html><title>Headwater</title><p>The pages were not built: run <code>make web</code> and build again.",
    )
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
