//! How far long work is.

use crate::cli::Common;
use std::io::{IsTerminal as _, Stderr, Write};

/// Share of the way, on one line of a terminal; nothing anywhere else.
pub(crate) struct Percent<W: Write = Stderr> {
    terminal: Option<W>,
    told: u64,
}

impl Percent {
    /// Speaks on standard error if somebody looks at it.
    pub(crate) fn new(common: &Common) -> Self {
        let is_seen = std::io::stderr().is_terminal() && !common.json;
        Self { terminal: is_seen.then(std::io::stderr), told: 0 }
    }
}

impl<W: Write> Percent<W> {
    /// Says each hundredth of the way once. Of what is done at once it says nothing.
    pub(crate) fn tell(&mut self, done: u64, total: u64) {
        let now = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        let is_all_at_once = now >= 100 && self.told == 0;
        if let Some(terminal) = self.terminal.as_mut().filter(|_| now > self.told && !is_all_at_once) {
            // Whoever closed standard error does not want to hear it.
            drop(write!(terminal, "\r{now} %").and_then(|()| terminal.flush()));
            self.told = now;
        }
    }
}

impl<W: Write> Drop for Percent<W> {
    /// What is said next has a line of its own.
    fn drop(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| self.told > 0) {
            drop(writeln!(terminal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    fn said(steps: &[u64], total: u64) -> String {
        let mut terminal = Vec::new();
        let mut percent = Percent { terminal: Some(&mut terminal), told: 0 };
        steps.iter().for_each(|done| percent.tell(*done, total));
        drop(percent);
        String::from_utf8(terminal).unwrap()
    }

    #[test]
    fn each_hundredth_is_said_once_and_what_follows_has_its_own_line() {
        assert_eq!(said(&[0, 256, 257, 512, 1_000], 1_000), "\r25 %\r51 %\r100 %\n");
        assert_eq!(said(&[400], 1_000), "\r40 %\n");
        assert_eq!(said(&[29], 29), "");
        assert_eq!(said(&[], 0), "");
    }
}
