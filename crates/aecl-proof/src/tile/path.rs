//! `tile/<L>/<N>[.p/<W>]`: the text form of a tile's place.
//!
//! `N` is cut into groups of three digits so that no directory gets more than a thousand names, and all groups
//! but the last begin with `x` so that no name is both a file and a directory.

use super::{TILE_WIDTH, TileError, TilePath};
use std::fmt;
use std::str::FromStr;

pub(super) fn write(path: &TilePath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match path.level {
        Some(level) => write!(f, "tile/{level}/")?,
        None => write!(f, "tile/entries/")?,
    }
    let digits = path.index.to_string();
    let digits = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
    for (at, digit) in digits.chars().enumerate() {
        if at % 3 == 0 && at > 0 {
            write!(f, "/")?;
        }
        if at % 3 == 0 && at + 3 < digits.len() {
            write!(f, "x")?;
        }
        write!(f, "{digit}")?;
    }
    if path.width < TILE_WIDTH { write!(f, ".p/{}", path.width) } else { Ok(()) }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, TileError> {
        // Read generously, then insist that the text is what we would have written.
        read(text).filter(|path| path.to_string() == text).ok_or_else(|| TileError::Path(text.to_owned()))
    }
}

fn read(text: &str) -> Option<TilePath> {
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| *width < TILE_WIDTH)?),
        None => (rest, TILE_WIDTH),
    };
    let index = index.replace(['x', '/'], "").parse().ok()?;
    match level {
        "entries" => TilePath::entries(index, width).ok(),
        _ => TilePath::hashes(level.parse().ok()?, index, width).ok(),
    }
}
