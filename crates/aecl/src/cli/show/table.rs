//! A table: columns as wide as their widest cell, no borders, nothing cut off.

use super::{Page, Tone, inert_line};

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(Tone, String)>) {
        self.rows.push(cells.into_iter().map(|(tone, text)| (tone, inert_line(&text))).collect());
    }

    /// Adds a row without tones.
    pub(crate) fn plain(&mut self, cells: &[&str]) {
        self.row(cells.iter().map(|c| (Tone::Plain, (*c).to_owned())).collect());
    }

    pub(super) fn render(&self, page: &Page) -> String {
        let width = |text: &str| text.chars().count();
        let column = |i: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(i)).map(|(_, text)| width(text));
            cells.chain(self.head.get(i).map(|h| width(h))).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(column).collect();
        let mut out = String::new();
        let mut write = |cells: &mut dyn Iterator<Item = (Tone, &str)>| {
            let mut line = String::new();
            for ((tone, text), wide) in cells.zip(&widths) {
                line.push_str(&page.word(tone, text));
                // Padding stands outside the colour, so that it counts as what it is.
                line.extend(std::iter::repeat_n(' ', wide.saturating_sub(width(text)) + 2));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        };
        write(&mut self.head.iter().map(|h| (Tone::Quiet, h.as_str())));
        for row in &self.rows {
            write(&mut row.iter().map(|(tone, text)| (*tone, text.as_str())));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["what", "why"]);
        table.plain(&["ü", "short"]);
        table.plain(&["longer", "a\nb"]);
        let page = Page { text: String::new(), colour: false, columns: None };
        assert_eq!(table.render(&page), "what    why\nü       short\nlonger  a\\nb\n");
    }
}
