//! Long lines in rows that fit into a terminal, so that none of them begins where another line would.

use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal as _, stdout};

/// The narrowest that is counted with.
pub(crate) const LEAST: usize = 20;

/// How many columns standard output has, if it is a terminal that says so.
pub(crate) fn columns() -> Option<usize> {
    let size = stdout().is_terminal().then(|| tcgetwinsize(stdout()).ok())??;
    (size.ws_col > 0).then(|| usize::from(size.ws_col).max(2 * LEAST))
}

/// A line in rows that are shorter than this, all but the first behind a sign.
pub(crate) fn rows(line: &str, columns: usize, goes_on: &str) -> Vec<String> {
    // Whatever is not plain may take two places, and terminals differ about the last one.
    let width = |c: char| if c.is_ascii() { 1 } else { 2 };
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        if used + width(c) >= columns {
            rows.push(std::mem::replace(&mut row, goes_on.to_owned()));
            used = goes_on.len();
        }
        row.push(c);
        used += width(c);
    }
    rows.push(row);
    rows
}
