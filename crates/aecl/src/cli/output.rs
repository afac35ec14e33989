//! Files that we write for somebody: as a whole, or not at all.

use super::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// The new content appears at once, with the rights that the file had.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Error> {
    let fail = |e: &std::io::Error| Error::new(format!("cannot write `{}`: {e}", file.display()));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".aecl-{}", std::process::id()));
    let new = file.with_file_name(name);
    let written = write_new(&new, file, text).and_then(|()| fs::rename(&new, file));
    written.map_err(|e| {
        drop(fs::remove_file(&new));
        fail(&e)
    })
}

fn write_new(new: &Path, like: &Path, text: &str) -> std::io::Result<()> {
    let mut out = fs::OpenOptions::new().write(true).create_new(true).open(new)?;
    if let Ok(about) = fs::metadata(like) {
        out.set_permissions(about.permissions())?;
    }
    out.write_all(text.as_bytes())?;
    out.sync_all()
}
