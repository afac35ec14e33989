//! An export as a store that can only be read, so that whatever reads a store reads an export, too.

use super::{
    ExportedPayload, HEAD, PAYLOAD_BYTES_MAX, PAYLOADS, TILE_BYTES_MAX, payload_name, plain, read_head,
};
use crate::store::{Batch, FoundBy, Head, PayloadRow, Store, StoreError};
use aecl_kernel::base::digest::Digest;
use aecl_proof::tile::TILE_WIDTH;
use aecl_proof::{Hash, Node, TilePath};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An export in a directory. It has no facts, and finds entries of a run or action by reading all of them.
#[derive(Debug, Clone)]
pub struct Export {
    dir: PathBuf,
    size: u64,
    signed: String,
}

/// A bundle file: the position of its first entry, its bytes, and where the entries lie in it.
pub(crate) type BundleFile = (u64, Vec<u8>, Vec<Range<usize>>);

impl Export {
    /// Opens an export. Nothing of it is verified yet, only its size is known.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let signed = read_head(dir).map_err(|source| io(&dir.join(HEAD), source))?;
        let (_, size) = super::unverified(&signed)
            .map_err(|what| StoreError::Corrupt { what: format!("`{HEAD}` {what}") })?;
        Ok(Self { dir: dir.to_owned(), size, signed })
    }

    pub(crate) fn tiles(&self) -> Tiles {
        Tiles { dir: self.dir.clone() }
    }

    pub(crate) fn has_payloads(&self) -> bool {
        // Of a link or a file it is said what is wrong when the first one is read.
        self.dir.join(PAYLOADS).symlink_metadata().is_ok()
    }

    /// Entries that lie beyond the head, in words.
    pub(crate) fn beyond(&self) -> Result<Option<String>, StoreError> {
        let (index, width) = (self.size >> 8, self.size & 0xff);
        let is_there = |width| -> Result<bool, StoreError> {
            Ok(self.dir.join(path(index, width)?.to_string()).symlink_metadata().is_ok())
        };
        let mut more = is_there(TILE_WIDTH)?;
        for wider in width + 1..u64::from(TILE_WIDTH) {
            more |= is_there(wider as u16)?;
        }
        Ok(more.then(|| {
            "entries lie beyond the head: an export was interrupted, or an older head was put back".into()
        }))
    }

    /// The bundle file with this entry.
    pub(crate) fn file(&self, position: u64) -> Result<BundleFile, StoreError> {
        let index = position >> 8;
        let first = index << 8;
        let width = (self.size - first).min(u64::from(TILE_WIDTH)) as u16;
        let tile = path(index, width)?;
        let name = tile.to_string();
        let bytes = plain::read(&self.dir, &name, TILE_BYTES_MAX);
        let bytes = bytes.map_err(|source| io(&self.dir.join(name), source))?;
        let entries = tile.read_entries(&bytes).map_err(|e| StoreError::Corrupt { what: e.to_string() })?;
        let mut end = 0;
        let place = |entry: &&[u8]| {
            // Each stands behind its length in two bytes.
            let start = end + 2;
            end = start + entry.len();
            start..end
        };
        let places = entries.iter().map(place).collect();
        Ok((first, bytes, places))
    }

    /// The entries of one bundle file, from `from` on.
    fn bundle(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let (first, bytes, places) = self.file(from)?;
        let entries = (first..).zip(places).filter(|(at, _)| *at >= from).take(limit);
        Ok(entries.map(|(at, place)| (at, bytes.get(place).unwrap_or_default().to_vec())).collect())
    }

    /// Entries from a position on that are wanted, at most `limit`.
    fn find(
        &self,
        from: u64,
        limit: usize,
        wanted: impl Fn(&Found) -> bool,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        let mut position = from;
        while position < self.size && found.len() < limit {
            for (at, bytes) in self.bundle(position, usize::from(TILE_WIDTH))? {
                let read: Found = serde_json::from_slice(&bytes)
                    .map_err(|e| StoreError::Corrupt { what: format!("entry {at} cannot be read: {e}") })?;
                if wanted(&read) {
                    found.push((at, bytes));
                }
                position = at + 1;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

#[derive(serde::Deserialize)]
struct Found {
    run: Option<String>,
    action: Option<String>,
}

fn path(index: u64, width: u16) -> Result<TilePath, StoreError> {
    TilePath::entries(index, width).map_err(|e| StoreError::Corrupt { what: e.to_string() })
}

fn io(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { tried: format!("read `{}`", path.display()), source }
}

impl Store for Export {
    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(Head { size: self.size, checkpoint: Some(self.signed.clone()) })
    }

    fn load(&mut self, _keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Err(StoreError::NotHere("facts"))
    }

    fn scan(
        &mut self,
        _prefix: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Err(StoreError::NotHere("facts"))
    }

    fn commit(&mut self, _batch: &Batch) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut entries = Vec::new();
        let mut position = from;
        while position < self.size && entries.len() < limit {
            let more = self.bundle(position, limit - entries.len())?;
            position += more.len() as u64;
            entries.extend(more);
        }
        Ok(entries)
    }

    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        self.find(from, limit, |entry| entry.run.as_deref() == Some(run))
    }

    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.find(0, usize::MAX, |entry| entry.action.as_deref() == Some(action))
    }

    fn found_by(&mut self, _from: u64, _limit: usize) -> Result<Vec<FoundBy>, StoreError> {
        Err(StoreError::NotHere("index"))
    }

    fn find_by(&mut self, _entries: &[FoundBy]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn renew_nodes(&mut self, _nodes: &[Node]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn broken(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        let name = payload_name(&Digest::from_bytes(commitment.0));
        let path = self.dir.join(&name);
        let json = match plain::read(&self.dir, &name, PAYLOAD_BYTES_MAX) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io(&path, source)),
        };
        let corrupt = |why: String| StoreError::Corrupt { what: format!("`{}`: {why}", path.display()) };
        let payload: ExportedPayload = serde_json::from_slice(&json).map_err(|e| corrupt(e.to_string()))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|e| corrupt(e.to_string()));
        let salt =
            decode(&payload.salt)?.try_into().map_err(|_| corrupt("the salt has not 32 bytes".into()))?;
        let content = decode(&payload.content)?;
        // Whoever asks compares with the commitment for the kind that the entry implies; a file that says
        // another kind contradicts itself.
        if crate::payload::commitment(&salt, payload.kind, &content).bytes() != commitment.as_bytes() {
            return Err(StoreError::OtherContent { path });
        }
        Ok(Some(PayloadRow { commitment: *commitment, salt, content, subject: String::new() }))
    }

    fn payloads_beyond(&mut self, _known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError> {
        Err(StoreError::NotHere("list of payloads"))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        // Tiles hold each eighth level; the others are computed from the one below.
        if !level.is_multiple_of(8) {
            let (left, right) = (self.node(level - 1, index * 2)?, self.node(level - 1, index * 2 + 1)?);
            return Ok(left.zip(right).map(|(left, right)| aecl_proof::node_hash(&left, &right)));
        }
        let count = self.size.checked_shr(u32::from(level)).unwrap_or(0);
        if index >= count {
            return Ok(None);
        }
        let width = (count - (index >> 8 << 8)).min(u64::from(TILE_WIDTH)) as u16;
        let corrupt = |what: String| StoreError::Corrupt { what };
        let tile = TilePath::hashes(level / 8, index >> 8, width).map_err(|e| corrupt(e.to_string()))?;
        let hashes = self.tiles().hashes(&tile).map_err(corrupt)?;
        Ok(hashes.get((index & 0xff) as usize).copied())
    }

    fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError> {
        self.reader()
    }
}

/// The hash tiles of an export.
#[derive(Debug, Clone)]
pub(crate) struct Tiles {
    dir: PathBuf,
}

impl Tiles {
    pub(crate) fn hashes(&self, tile: &TilePath) -> Result<Vec<Hash>, String> {
        let bytes = plain::read(&self.dir, &tile.to_string(), TILE_BYTES_MAX);
        let bytes = bytes.map_err(|e| format!("`{tile}` cannot be read: {e}"))?;
        tile.read_hashes(&bytes).map_err(|e| e.to_string())
    }
}
