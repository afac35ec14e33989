//! The tree, grown again from the bytes of the entries.

use super::AuditFinding;
use crate::export::Tiles;
use aecl_proof::tile::TILE_WIDTH;
use aecl_proof::{Frontier, Hash, TilePath, leaf_hash};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Entries with their positions, as they lie in the ledger.
pub(super) enum Chunk {
    /// Rows of a store.
    Rows(Vec<(u64, Vec<u8>)>),
    /// A file of an export: the position of its first entry, its bytes, and where the entries lie in it.
    File(u64, Vec<u8>, Vec<Range<usize>>),
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::File(_, _, places) => places.len(),
        }
    }

    pub(super) fn entry(&self, nth: usize) -> Option<(u64, &[u8])> {
        match self {
            Self::Rows(rows) => rows.get(nth).map(|(at, bytes)| (*at, bytes.as_slice())),
            Self::File(first, bytes, places) => {
                Some((first + nth as u64, bytes.get(places.get(nth)?.clone())?))
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.len()).map_while(|nth| self.entry(nth))
    }
}

/// What came out.
pub(super) struct Grown {
    /// The tree over all entries.
    pub(super) tree: Frontier,
    /// The root at the size of the kept head.
    pub(super) kept: Option<Hash>,
}

/// Grows the tree of `size` leaves, and compares it with the tiles if there are any.
pub(super) fn grow(
    chunks: &Receiver<Arc<Chunk>>,
    size: u64,
    kept: Option<u64>,
    tiles: Option<Tiles>,
) -> Result<Grown, AuditFinding> {
    let mut tree = Frontier::new();
    let mut rows = tiles.map(|tiles| Rows { tiles, size, open: Vec::new() });
    let mut root_then = (kept == Some(0)).then(|| tree.root());
    let mut complete = Vec::new();
    for chunk in chunks {
        for (_, bytes) in chunk.iter() {
            tree.append(leaf_hash(bytes), &mut complete);
            if let Some(rows) = &mut rows {
                complete.drain(..).try_for_each(|(level, _, hash)| rows.add(level, hash))?;
            }
            complete.clear();
            if kept == Some(tree.size()) {
                root_then = Some(tree.root());
            }
        }
    }
    if let Some(mut rows) = rows.filter(|_| tree.size() == size) {
        rows.end()?;
    }
    Ok(Grown { tree, kept: root_then })
}

/// The tiles of each level, compared as they fill up.
struct Rows {
    tiles: Tiles,
    size: u64,
    // For each tile level: the index of its open tile, and the hashes in it.
    open: Vec<(u64, Vec<Hash>)>,
}

impl Rows {
    fn add(&mut self, level: u8, hash: Hash) -> Result<(), AuditFinding> {
        if !level.is_multiple_of(8) {
            return Ok(());
        }
        let row = usize::from(level / 8);
        if self.open.len() <= row {
            self.open.resize(row + 1, (0, Vec::new()));
        }
        let Some((_, hashes)) = self.open.get_mut(row) else { return Ok(()) };
        hashes.push(hash);
        if hashes.len() == usize::from(TILE_WIDTH) { self.close(row) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), AuditFinding> {
        (0..self.open.len()).try_for_each(|row| self.close(row))
    }

    fn close(&mut self, row: usize) -> Result<(), AuditFinding> {
        let Some((index, hashes)) = self.open.get_mut(row).filter(|(_, hashes)| !hashes.is_empty()) else {
            return Ok(());
        };
        let (level, width) = (row as u8, hashes.len() as u16);
        let path = TilePath::hashes(level, *index, width);
        let path = path.map_err(|error| AuditFinding::proof(None, error.to_string()))?;
        // An entry that is wrong shows at the first leaf; a wrong node higher up has no position.
        let first = *index << 8;
        let stored = self.tiles.hashes(&path).map_err(|what| AuditFinding::proof(None, what))?;
        if let Some(at) = stored.iter().zip(hashes.iter()).position(|(stored, grown)| stored != grown) {
            let position = (row == 0).then_some(first + at as u64).filter(|at| *at < self.size);
            return Err(AuditFinding::proof(position, format!("its hash is not the one in `{path}`")));
        }
        (*index, _) = (*index + 1, hashes.clear());
        Ok(())
    }
}
