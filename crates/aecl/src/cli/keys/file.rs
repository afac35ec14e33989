//! Changes `aecl.yaml` in one step: whole and as meant, or not at all.

use super::Error;
use aecl_gate::config::{Config, Home};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Lets `edit` make a new text and say what it must mean; writes it if it does mean that.
pub(super) fn change(
    home: &Home,
    edit: impl FnOnce(&Config, &str) -> Result<(String, Config), Error>,
) -> Result<Config, Error> {
    let shown = home.config();
    let fail =
        |tried: &str, e: std::io::Error| Error::new(format!("cannot {tried} `{}`: {e}", shown.display()));
    let path = std::fs::canonicalize(&shown)
        .map_err(|e| fail("read", e).hint("`aecl init` writes a first configuration"))?;
    let found = std::fs::metadata(&path).map_err(|e| fail("read", e))?;
    let fresh = path.with_extension("yaml.new");
    // It is there only while somebody edits, so two edits at once do not undo each other.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(found.mode() & 0o777).open(&fresh).map_err(
            |e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => Error::new(format!(
                    "`{}` is there: somebody else changes the configuration",
                    fresh.display()
                ))
                .hint("wait a moment; if nobody does, delete that file"),
                _ => fail("change", e),
            },
        )?;
    let result = write(home, &path, &fresh, &mut file, found.uid(), found.gid(), edit);
    if result.is_err() {
        drop(std::fs::remove_file(&fresh));
    }
    result
}

fn write(
    home: &Home,
    path: &Path,
    fresh: &Path,
    file: &mut File,
    uid: u32,
    gid: u32,
    edit: impl FnOnce(&Config, &str) -> Result<(String, Config), Error>,
) -> Result<Config, Error> {
    let before = home.read()?;
    let io = |e: std::io::Error| Error::new(format!("cannot change `{}`: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(io)?;
    let (text, wanted) = edit(&before, &text)?;
    // The edit is textual, so that comments stay; what it means is checked against what was wanted.
    if Config::parse(&text).as_ref() != Ok(&wanted) {
        return Err(Error::new(format!("`{}` cannot be edited safely; nothing was changed", path.display()))
            .hint("put the entry in by hand; `aecl keys list` shows how the file is read"));
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    // Edited by root, it stays the file of whom it belongs to. Others cannot give files away and need not.
    drop(std::os::unix::fs::fchown(&*file, Some(uid), Some(gid)));
    std::fs::rename(fresh, path).map_err(io)?;
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
    }
    Ok(wanted)
}
