//! What a file was before we changed it, so that it can be again.

use super::back;
use super::change::Change;
use super::entry::Ours;
use super::hooks::Hook;
use crate::cli::Error;
use crate::cli::output::replace;
use aecl_executor::root_dir::read_plain;
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
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

/// What taking back would do, worked out before anything is written.
#[derive(Debug, Default)]
pub(super) struct WayBack {
    /// What would become of the changes.
    pub undone: Undone,
    /// Files that would be changed: their text now, and then. Without the second the file goes.
    pub files: BTreeMap<PathBuf, (String, Option<String>)>,
    /// Where changes are kept, and what would be kept of them.
    kept: Vec<(PathBuf, Option<Change>)>,
    /// Clients of which something is kept.
    pub clients: BTreeSet<String>,
}

/// The way back from what was changed for a client, or for all, the latest first. Of a file that somebody has edited since, only
/// our own entries are taken back, as far as they are as we wrote them.
pub(super) fn way_back(home: &Home, client: Option<&str>) -> Result<WayBack, Error> {
    let mut way = WayBack::default();
    let entries = fs::read_dir(dir(home)).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.sort();
    for path in all.into_iter().rev() {
        let bytes = fs::read(&path).map_err(|e| failed("read", &path, &e))?;
        let change: Change = serde_json::from_slice(&bytes)
            .map_err(|e| Error::new(format!("`{}` is no change that was kept: {e}", path.display())))?;
        if client.is_none_or(|client| client == change.client) {
            way.clients.insert(change.client.clone());
            way.take_back(path, change);
        }
    }
    Ok(way)
}

impl WayBack {
    /// The file as it would be by now.
    fn read(&self, file: &Path) -> std::io::Result<Vec<u8>> {
        match self.files.get(file) {
            Some((_, Some(text))) => Ok(text.clone().into_bytes()),
            Some((_, None)) => Err(std::io::ErrorKind::NotFound.into()),
            None => read_plain(file, super::FILE_MAX_BYTES),
        }
    }

    fn write(&mut self, file: &Path, now: String, then: Option<String>) {
        let planned = self.files.entry(file.to_owned()).or_insert_with(|| (now, None));
        planned.1 = then;
    }

    fn take_back(&mut self, path: PathBuf, change: Change) {
        let now = match self.read(&change.file) {
            Ok(now) => now,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.undone.parts.push((change.file, Vec::new()));
                self.kept.push((path, None));
                return;
            }
            Err(e) => {
                self.undone.left.push((change.file, None, e.to_string()));
                return;
            }
        };
        // A link that came since would have the answer written elsewhere.
        if !change.file.canonicalize().is_ok_and(|real| real == change.file) {
            self.undone.left.push((change.file, None, "a link leads elsewhere since".into()));
            return;
        }
        let is_ours = Digest::of(&now) == change.after;
        let text = match String::from_utf8(now) {
            Ok(text) => text,
            Err(_) => {
                self.undone.left.push((change.file, None, "it is no UTF-8 any more".to_owned()));
                return;
            }
        };
        if is_ours {
            self.write(&change.file, text, change.before);
            self.undone.files.push(change.file);
            self.kept.push((path, None));
            return;
        }
        let back = match back::back(&change, &text) {
            _ if change.entries.is_empty() && change.hooks.is_empty() => {
                Err("it was changed since".to_owned())
            }
            back => back,
        };
        let back = match back {
            Ok(back) => back,
            Err(why) => {
                self.undone.left.push((change.file, None, why));
                return;
            }
        };
        self.write(&change.file, text, Some(back.text));
        let edited = back.edited.into_iter();
        self.undone.left.extend(edited.map(|(name, how)| (change.file.clone(), Some(name), how)));
        self.undone.parts.push((change.file.clone(), back.undone));
        // What of our hooks was edited is somebody's by now, and is named once.
        let rest = Change { entries: back.left, hooks: Vec::new(), ..change };
        self.kept.push((path, (!rest.entries.is_empty()).then_some(rest)));
    }

    /// Goes it. Nothing is written where a file is not as it was looked at.
    pub fn go(self) -> Result<Undone, Error> {
        for (file, (now, _)) in &self.files {
            if !read_plain(file, super::FILE_MAX_BYTES).is_ok_and(|bytes| bytes == now.as_bytes()) {
                let message = format!("`{}` was changed meanwhile; nothing was changed", file.display());
                return Err(Error::new(message).hint("run it again"));
            }
        }
        for (file, (now, then)) in &self.files {
            match then {
                Some(then) if then == now => {}
                Some(then) => replace(file, then)?,
                None => fs::remove_file(file).map_err(|e| failed("remove", file, &e))?,
            }
        }
        for (path, rest) in self.kept {
            fs::remove_file(&path).map_err(|e| failed("remove", &path, &e))?;
            if let Some(rest) = rest {
                let bytes = serde_json::to_vec_pretty(&rest).map_err(|e| Error::new(e.to_string()))?;
                aecl_gate::keys::write_private(&path, &bytes)?;
            }
        }
        Ok(self.undone)
    }
}
