//! The tree, grown again from the bytes of the entries.

use super::AuditFinding;
use crate::export::Tiles;
use aecl_proof::tile::TILE_WIDTH;
use aecl_proof::{Frontier, Hash, Node, TilePath};

/// The tree over the leaves so far.
pub(super) struct Growing {
    size: u64,
    tree: Frontier,
    rows: Option<Rows>,
    // The size of the kept head, and the root at it.
    kept: (Option<u64>, Option<Hash>),
    complete: Vec<Node>,
}

/// What came out.
pub(super) struct Grown {
    /// The tree over all entries.
    pub(super) tree: Frontier,
    /// The root at the size of the kept head.
    pub(super) kept: Option<Hash>,
}

impl Growing {
    /// Becomes a tree of `size` leaves, that is compared with the tiles if there are any.
    pub(super) fn new(size: u64, kept: Option<u64>, tiles: Option<Tiles>) -> Self {
        let tree = Frontier::new();
        let root = (kept == Some(0)).then(|| tree.root());
        let rows = tiles.map(|tiles| Rows { tiles, size, open: Vec::new() });
        Self { size, tree, rows, kept: (kept, root), complete: Vec::new() }
    }

    pub(super) fn add(&mut self, leaves: impl IntoIterator<Item = Hash>) -> Result<(), AuditFinding> {
        for leaf in leaves {
            self.tree.append(leaf, &mut self.complete);
            if let Some(rows) = &mut self.rows {
                self.complete.drain(..).try_for_each(|(level, _, hash)| rows.add(level, hash))?;
            }
            self.complete.clear();
            if self.kept.0 == Some(self.tree.size()) {
                self.kept.1 = Some(self.tree.root());
            }
        }
        match &mut self.rows {
            Some(rows) if self.tree.size() == self.size => rows.end(),
            _ => Ok(()),
        }
    }

    pub(super) fn grown(self) -> Grown {
        Grown { tree: self.tree, kept: self.kept.1 }
    }
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
