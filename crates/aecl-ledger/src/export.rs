//! The ledger as plain files, in other people's format (C2SP `tlog-tiles`), so that a stranger can verify it
//! without this program and without the database.
//!
//! ```text
//! checkpoint                    the signed head: the only file that ever changes
//! tile/<level>/…                hashes
//! tile/entries/…                the entries themselves
//! payloads/<commitment>.json    salt, kind and content of what entries commit to; optional
//! ```
//!
//! Exporting again only adds. The head is written last, so what it covers is there.

mod plain;
mod read;

pub use read::Export;
pub(crate) use read::Tiles;

use crate::error::chain;
use crate::payload::PayloadKind;
use crate::store::{Store, StoreError, with_nodes};
use aecl_kernel::base::digest::Digest;
use aecl_proof::tile::write_entries;
use aecl_proof::{Checkpoint, Hash, TilePath};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Errors for which there is no complete export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error("the store cannot be read: {}", chain(.0))]
    Store(#[from] StoreError),
    /// A file could not be written or read.
    #[error("cannot {tried} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The directory holds something else, which must not be overwritten.
    #[error("`{}` {what}; export into an empty directory", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// How it differs.
        what: String,
    },
    /// The store is not what it should be.
    #[error("the store cannot be exported: {0}")]
    Broken(String),
}

/// Progress of an export, in files, or of a verification, in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many are there, or are verified.
    pub done: u64,
    /// How many there are in all.
    pub total: u64,
}

/// Summary of what an export has added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Entries that the directory holds now.
    pub entries: u64,
    /// Entries that it held before.
    pub before: u64,
    /// Files written.
    pub files: u64,
    /// Payloads written.
    pub payloads: u64,
}

/// Writes what is not there yet. With `payloads`, also what entries commit to.
pub fn export(
    store: &mut dyn Store,
    dir: &Path,
    payloads: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Exported, ExportError> {
    let head = store.head()?;
    let signed = head.checkpoint.ok_or_else(|| ExportError::Broken("there is no signed head yet".into()))?;
    let (_, size) = unverified(&signed).map_err(ExportError::Broken)?;
    make_dir(dir)?;
    let before = known(store, dir, &signed)?;
    let changed = || TilePath::changed(before, size);
    let total = changed().count() as u64 + 1;
    let mut exported = Exported { entries: size, before, files: 0, payloads: 0 };
    if payloads {
        exported.payloads = add_payloads(store, dir, size)?;
    }
    for (done, tile) in changed().enumerate() {
        progress(Progress { done: done as u64, total });
        let content = match tile.level() {
            Some(_) => with_nodes(store, |nodes| tile.collect(nodes))?,
            None => write_entries(bundle(store, &tile)?),
        };
        let content = content.map_err(|e| ExportError::Broken(e.to_string()))?;
        exported.files += u64::from(add(dir, &tile.to_string(), &content, true)?);
    }
    // A head that is there already and covers the same is left alone: a witness may have signed it.
    if size != before || !dir.join(HEAD).exists() {
        replace(&dir.join(HEAD), signed.as_bytes())?;
        exported.files += 1;
    }
    progress(Progress { done: total, total });
    Ok(exported)
}

const HEAD: &str = "checkpoint";
const PAYLOADS: &str = "payloads";
/// How many entries have their payloads in the directory.
const THROUGH: &str = "payloads/through";
/// Longest head with all signatures of witnesses, longest tile (256 entries, each behind two bytes of length), and longest
/// payload in its letters.
const HEAD_BYTES_MAX: u64 = 1 << 20;
const TILE_BYTES_MAX: u64 = 256 * (2 + 0xffff);
const PAYLOAD_BYTES_MAX: u64 = 256 << 20;

/// The signed head that is in a directory.
fn read_head(dir: &Path) -> std::io::Result<String> {
    String::from_utf8(plain::read(dir, HEAD, HEAD_BYTES_MAX)?).map_err(std::io::Error::other)
}

/// Entries that the directory has, which must be a beginning of this ledger.
fn known(store: &mut dyn Store, dir: &Path, signed: &str) -> Result<u64, ExportError> {
    let path = dir.join(HEAD);
    let differs = |what: String| ExportError::Differs { path: path.clone(), what };
    let old = match read_head(dir) {
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(ExportError::File { tried: "read", path, source }),
    };
    let (origin, size) = unverified(signed).map_err(ExportError::Broken)?;
    let (old_origin, old_size) = unverified(&old).map_err(differs)?;
    if old_origin != origin {
        return Err(differs(format!("belongs to `{old_origin}`, not to `{origin}`")));
    }
    if old_size > size {
        return Err(differs(format!("covers {old_size} entries, the ledger has {size}")));
    }
    let root = with_nodes(store, |nodes| aecl_proof::root_of(old_size, nodes))?;
    let root = root.map_err(|e| ExportError::Broken(e.to_string()))?;
    let same = Checkpoint::new(origin, old_size, root).is_ok_and(|ours| old.starts_with(&ours.to_string()));
    if same { Ok(old_size) } else { Err(differs("is the head of another history".into())) }
}

/// Origin and size of a head. Only to know what to write: whoever verifies checks the signature.
fn unverified(signed: &str) -> Result<(String, u64), String> {
    let note = aecl_proof::Note::parse(signed).map_err(|e| e.to_string())?;
    let checkpoint: Checkpoint = note.unverified_text().parse().map_err(|e| format!("is no head: {e}"))?;
    Ok((checkpoint.origin().to_owned(), checkpoint.size()))
}

fn bundle(store: &mut dyn Store, tile: &TilePath) -> Result<Vec<Vec<u8>>, ExportError> {
    let first = tile.index() << 8;
    let entries = store.entries(first, usize::from(tile.width()))?;
    if entries.len() != usize::from(tile.width()) {
        return Err(ExportError::Broken(format!("entries from {first} on are missing")));
    }
    Ok(entries.into_iter().map(|(_, bytes)| bytes).collect())
}

/// A payload file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedPayload {
    kind: PayloadKind,
    salt: String,
    content: String,
}

/// The payloads that an entry commits to.
#[derive(Deserialize)]
struct Commits {
    kind: String,
    arguments: Option<Digest>,
    output: Option<Digest>,
    stated: Option<Digest>,
    sources: Option<Digest>,
    beside: Option<Digest>,
}

impl Commits {
    fn payloads(&self) -> impl Iterator<Item = (PayloadKind, Digest)> {
        self.own().into_iter().chain(self.beside.map(|digest| (PayloadKind::Beside, digest)))
    }

    fn own(&self) -> Option<(PayloadKind, Digest)> {
        let (kind, digest) = match self.kind.as_str() {
            "ruled" => (PayloadKind::Arguments, self.arguments),
            "concluded" => (PayloadKind::Output, self.output),
            "run_opened" => (PayloadKind::Stated, self.stated),
            "bundle_loaded" => (PayloadKind::Bundle, self.sources),
            _ => return None,
        };
        digest.map(|digest| (kind, digest))
    }
}

fn add_payloads(store: &mut dyn Store, dir: &Path, size: u64) -> Result<u64, ExportError> {
    make_dir(&dir.join(PAYLOADS))?;
    let mut position = through(dir)?;
    let mut written = 0;
    while position < size {
        let entries = store.entries(position, 256)?;
        if entries.is_empty() {
            return Err(ExportError::Broken(format!("entry {position} is missing")));
        }
        for (at, bytes) in entries.iter().filter(|(at, _)| *at < size) {
            position = at + 1;
            let commits: Commits = serde_json::from_slice(bytes)
                .map_err(|e| ExportError::Broken(format!("entry {at} cannot be read: {e}")))?;
            for (kind, digest) in commits.payloads() {
                // What is not there was erased, or is not for everybody.
                let Some(row) = store.payload(&Hash(*digest.bytes()))? else { continue };
                let (salt, content) = (STANDARD.encode(row.salt), STANDARD.encode(&row.content));
                let json = serde_json::to_vec(&ExportedPayload { kind, salt, content })
                    .map_err(|e| ExportError::Broken(e.to_string()))?;
                written += u64::from(add(dir, &payload_name(&digest), &json, false)?);
            }
        }
    }
    // Payload files are many and small: they are flushed together, and only then they count as there.
    flush_all(&dir.join(PAYLOADS))?;
    replace(&dir.join(THROUGH), format!("{size}\n").as_bytes())?;
    Ok(written)
}

/// Entries whose payloads are there; none where that cannot be read as a number.
fn through(dir: &Path) -> Result<u64, ExportError> {
    match plain::read(dir, THROUGH, HEAD_BYTES_MAX) {
        Ok(text) => {
            Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(source) => Err(ExportError::File { tried: "read", path: dir.join(THROUGH), source }),
    }
}

fn payload_name(digest: &Digest) -> String {
    format!("{PAYLOADS}/{}.json", digest.hex())
}

/// Creates a file, or finds that it is there with this content. Never overwrites. Gives whether it is new.
fn add(dir: &Path, name: &str, content: &[u8], flush: bool) -> Result<bool, ExportError> {
    let path = &dir.join(name);
    match plain::read(dir, name, PAYLOAD_BYTES_MAX) {
        Ok(found) if found == content => return Ok(false),
        // What was not flushed may be torn after a crash; nobody counts on it yet.
        Ok(_) if !flush => {}
        Ok(_) => {
            let what = "is there already with other content".to_owned();
            return Err(ExportError::Differs { path: path.to_owned(), what });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(ExportError::File { tried: "read", path: path.to_owned(), source }),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        make_dir(parent)?;
    }
    let draft = write_draft(path, content, flush)?;
    let failed =
        |source: std::io::Error| ExportError::File { tried: "create", path: path.to_owned(), source };
    if !flush {
        return fs::rename(&draft, path).map_err(failed).map(|()| true);
    }
    match renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        // A file system without that: another exporter at the same moment writes the same bytes.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(&draft, path).map_err(failed).map(|()| true)
        }
        Err(error) => Err(failed(error.into())),
    }
}

fn replace(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    let draft = write_draft(path, content, true)?;
    let failed = |source| ExportError::File { tried: "replace", path: path.to_owned(), source };
    fs::rename(&draft, path).map_err(failed)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn write_draft(path: &Path, content: &[u8], flush: bool) -> Result<PathBuf, ExportError> {
    let draft = path.with_extension("draft");
    let write = || {
        // What a crash left, or somebody put there, is not written through.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = File::create_new(&draft)?;
        file.write_all(content)?;
        if flush { file.sync_data() } else { Ok(()) }
    };
    match write() {
        Ok(()) => Ok(draft),
        Err(source) => Err(ExportError::File { tried: "write", path: draft, source }),
    }
}

fn make_dir(dir: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(dir).map_err(|source| ExportError::File {
        tried: "create",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(target_os = "linux")]
fn flush_all(dir: &Path) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { tried: "flush", path: dir.to_owned(), source };
    let open = File::open(dir).map_err(failed)?;
    rustix::fs::syncfs(&open).map_err(|e| failed(e.into()))
}

#[cfg(not(target_os = "linux"))]
fn flush_all(dir: &Path) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { tried: "flush", path: dir.to_owned(), source };
    for file in fs::read_dir(dir).map_err(failed)? {
        file.and_then(|file| File::open(file.path())).and_then(|file| file.sync_all()).map_err(failed)?;
    }
    Ok(())
}
