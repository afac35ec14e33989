//! The ledger as plain files: where they lie and what is in them (C2SP `tlog-tiles`).
//!
//! A tile is a row of 256 hashes, a bundle the 256 entries under a tile of level 0. Full ones never change;
//! the right edge is served as partial files, which a full one later replaces.

use super::{Hash, Nodes, ProofError};
use std::fmt;

mod path;

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// The longest entry that a bundle can carry.
pub const ENTRY_MAX_BYTES: usize = u16::MAX as usize;

/// Path of a tile or a bundle, relative to the ledger's public root.
///
/// ```
/// use aecl_proof::TilePath;
/// let bundle = TilePath::entries(1_234_067, 8)?;
/// assert_eq!(bundle.to_string(), "tile/entries/x001/x234/067.p/8");
/// assert_eq!("tile/entries/x001/x234/067.p/8".parse(), Ok(bundle));
/// # Ok::<(), aecl_proof::TileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    // `None` is the bundle under a tile of level 0.
    level: Option<u8>,
    index: u64,
    width: u16,
}

/// Errors of what is not a tile, not a bundle, or not the path of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the path of a tile or bundle.
    #[error("`{0}` is not the path of a tile")]
    Path(String),
    /// No tile is that wide or that high up.
    #[error("there is no tile of width {width} at level {level}")]
    Shape {
        /// The level.
        level: u8,
        /// The width.
        width: u16,
    },
    /// The file does not hold what its path says.
    #[error("`{path}` does not hold {width} {of}")]
    Content {
        /// The path.
        path: String,
        /// What it should hold that many of.
        of: &'static str,
        /// How many it should hold.
        width: u16,
    },
    /// The entry does not fit into a bundle.
    #[error("an entry of {0} bytes does not fit into a bundle; {ENTRY_MAX_BYTES} do")]
    EntryTooLong(usize),
    /// A hash that the tile needs is missing.
    #[error(transparent)]
    Missing(#[from] ProofError),
}

impl TilePath {
    /// A tile of hashes at tile level `level` (each is 8 levels of the tree).
    pub fn hashes(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > 63 || !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Shape { level, width });
        }
        Ok(Self { level: Some(level), index, width })
    }

    /// A bundle of entries.
    pub fn entries(index: u64, width: u16) -> Result<Self, TileError> {
        Self::hashes(0, index, width).map(|tile| Self { level: None, ..tile })
    }

    /// The tile level, or `None` for a bundle of entries.
    pub fn level(&self) -> Option<u8> {
        self.level
    }

    /// The index within the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries are in it: 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The files that a tree of `size` leaves has and a tree of `old` leaves has not, partial ones included.
    ///
    /// `changed(0, size)` are all files; bundles come first, then tiles from the leaves upwards.
    pub fn changed(old: u64, size: u64) -> impl Iterator<Item = TilePath> {
        let rows =
            std::iter::once((None, 0)).chain((0..8u8).map(|level| (Some(level), u32::from(level) * 8)));
        rows.flat_map(move |(level, shift)| {
            let (before, now) = (old >> shift, size >> shift);
            // The edge tile of the old tree changes only if something was added to this row.
            let first = if before < now { before >> 8 } else { u64::MAX };
            (first..now.div_ceil(256)).map(move |index| {
                let width = (now - (index << 8)).min(u64::from(TILE_WIDTH)) as u16;
                TilePath { level, index, width }
            })
        })
    }

    /// The content of this tile, looked up in `nodes`. For a bundle: the leaf hashes of its entries.
    pub fn collect(&self, nodes: &impl Nodes) -> Result<Vec<u8>, TileError> {
        let level = self.level.unwrap_or(0).saturating_mul(8);
        let mut bytes = Vec::with_capacity(usize::from(self.width) * 32);
        for offset in 0..u64::from(self.width) {
            let index = self.index.saturating_mul(256).saturating_add(offset);
            let hash = nodes.node(level, index).ok_or(ProofError::MissingNode { level, index })?;
            bytes.extend(hash.0);
        }
        Ok(bytes)
    }

    /// The hashes in a tile file. The length must fit the path.
    pub fn read_hashes(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(self.content("hashes"));
        }
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }

    /// The entries in a bundle file. Their number must fit the path, and nothing may follow them.
    pub fn read_entries<'a>(&self, mut bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
        let mut entries = Vec::with_capacity(usize::from(self.width));
        while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, rest) = rest.split_at_checked(length).ok_or_else(|| self.content("entries"))?;
            entries.push(entry);
            bytes = rest;
        }
        if !bytes.is_empty() || entries.len() != usize::from(self.width) {
            return Err(self.content("entries"));
        }
        Ok(entries)
    }

    fn content(&self, of: &'static str) -> TileError {
        TileError::Content { path: self.to_string(), of, width: self.width }
    }
}

/// The content of a bundle file: each entry behind its length in 16 bits, big-endian.
pub fn write_entries<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(entry.len()))?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(entry);
    }
    Ok(bytes)
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        path::write(self, f)
    }
}

#[cfg(test)]
mod tests;
