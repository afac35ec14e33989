//! What a file was before we changed it, so that it can be again.

use super::back;
use super::change::Change;
use super::entry::Ours;
use super::hooks::Hook;
use crate::cli::Error;
use aecl_executor::root_dir::read_plain;
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Most changes that are kept of one home.
const CHANGES_MAX: usize = 10_000;

/// What became of the changes of a client.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// Files that are as they were.
    pub files: Vec<PathBuf>,
    /// Files that were edited otherwise, with the servers that are as they were.
    pub parts: Vec<(PathBuf, Vec<String>)>,
    /// What stays, and why: in a file, and of which server if not all of it.
    pub left: Vec<(PathBuf, Option<String>, String)>,
}

fn dir(home: &Home) -> PathBuf {
    home.dir().join("clients")
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot {what} `{}`: {error}", path.display()))
}

/// Changes a file as a whole, and remembers what it was.
pub(super) fn change(
    home: &Home,
    client: &str,
    file: &Path,
    before: Option<String>,
    after: &str,
    entries: Vec<Ours>,
    hooks: Vec<Hook>,
) -> Result<PathBuf, Error> {
    aecl_gate::keys::private_dir(&dir(home))?;
    let file = &real(file)?;
    let kept = Change {
        client: client.to_owned(),
        file: file.to_owned(),
        before,
        after: Digest::of(after.as_bytes()),
        entries,
        hooks,
    };
    let bytes = serde_json::to_vec_pretty(&kept).map_err(|e| Error::new(e.to_string()))?;
    let free = (1..=CHANGES_MAX).map(|n| dir(home).join(format!("{n:05}.json"))).find(|path| !path.exists());
    let path =
        free.ok_or_else(|| Error::new(format!("`{}` is full; remove old ones", dir(home).display())))?;
    // Before the change, so that there is none without a way back.
    aecl_gate::keys::write_private(&path, &bytes)?;
    replace(file, after)?;
    Ok(path)
}

/// Where a file is or will be, with no link on the way there.
fn real(file: &Path) -> Result<PathBuf, Error> {
    let fail = |e: std::io::Error| failed("write", file, &e);
    let dir = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(fail)?;
    Ok(dir.canonicalize().map_err(fail)?.join(file.file_name().unwrap_or_default()))
}

/// Takes back what was changed for a client, the latest first. Of a file that somebody has edited since, only our own
/// entries are taken back, as far as they are as we wrote them.
pub(super) fn undo(home: &Home, client: &str) -> Result<Undone, Error> {
    let mut undone = Undone::default();
    let entries = fs::read_dir(dir(home)).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.sort();
    for path in all.into_iter().rev() {
        let bytes = fs::read(&path).map_err(|e| failed("read", &path, &e))?;
        let change: Change = serde_json::from_slice(&bytes)
            .map_err(|e| Error::new(format!("`{}` is no change that was kept: {e}", path.display())))?;
        if change.client == client {
            take_back(&path, change, &mut undone)?;
        }
    }
    Ok(undone)
}

fn take_back(path: &Path, change: Change, undone: &mut Undone) -> Result<(), Error> {
    let forget = || fs::remove_file(path).map_err(|e| failed("remove", path, &e));
    let now = match read_plain(&change.file, super::FILE_MAX_BYTES) {
        Ok(now) => now,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            undone.parts.push((change.file, Vec::new()));
            return forget();
        }
        Err(e) => {
            undone.left.push((change.file, None, e.to_string()));
            return Ok(());
        }
    };
    // A link that came since would have the answer written elsewhere.
    if !change.file.canonicalize().is_ok_and(|real| real == change.file) {
        undone.left.push((change.file, None, "a link leads elsewhere since".into()));
        return Ok(());
    }
    if Digest::of(&now) == change.after {
        match &change.before {
            Some(before) => replace(&change.file, before)?,
            None => fs::remove_file(&change.file).map_err(|e| failed("remove", &change.file, &e))?,
        }
        undone.files.push(change.file);
        return forget();
    }
    let text = String::from_utf8(now).map_err(|_| "it is no UTF-8 any more".to_owned());
    let back = match text.and_then(|text| back::back(&change, &text)) {
        _ if change.entries.is_empty() && change.hooks.is_empty() => Err("it was changed since".to_owned()),
        back => back,
    };
    let back = match back {
        Ok(back) => back,
        Err(why) => {
            undone.left.push((change.file, None, why));
            return Ok(());
        }
    };
    replace(&change.file, &back.text)?;
    let edited = back.edited.into_iter();
    undone.left.extend(edited.map(|(name, how)| (change.file.clone(), Some(name), how)));
    undone.parts.push((change.file.clone(), back.undone));
    forget()?;
    if back.left.is_empty() {
        return Ok(());
    }
    // What of our hooks was edited is somebody's by now, and is named once.
    let rest = Change { entries: back.left, hooks: Vec::new(), ..change };
    let bytes = serde_json::to_vec_pretty(&rest).map_err(|e| Error::new(e.to_string()))?;
    Ok(aecl_gate::keys::write_private(path, &bytes)?)
}

/// The new content appears at once, with the rights that the file had.
fn replace(file: &Path, text: &str) -> Result<(), Error> {
    let fail = |e: &std::io::Error| failed("write", file, e);
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
