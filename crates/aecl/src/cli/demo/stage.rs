//! The stage: what the person sees, and what the person types.

use crate::cli::Error;
use crate::cli::show::{self, Page, Tone};
use serde_json::Value;
use std::io::BufRead as _;
use std::path::Path;
use tokio::sync::mpsc::{Receiver, channel};

/// As wide as text gets.
pub(super) const WIDTH: usize = 88;

/// Prints, and listens to the keyboard unless it answers by itself.
pub(super) struct Stage {
    typed: Option<Receiver<String>>,
    quiet: bool,
}

impl Stage {
    /// With a person at the keyboard, or without; quiet when only the JSON at the end is wanted.
    pub(super) fn new(auto: bool, quiet: bool) -> Self {
        let typed = (!auto).then(|| {
            let (tell, typed) = channel(16);
            // A thread: reading a terminal cannot be given up half-way. It ends with the process.
            std::thread::spawn(move || {
                for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                    if tell.blocking_send(line).is_err() {
                        break;
                    }
                }
            });
            typed
        });
        Self { typed, quiet }
    }

    /// Whether it answers by itself.
    pub(super) fn is_auto(&self) -> bool {
        self.typed.is_none()
    }

    /// Whether only the JSON at the end is wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Begins an act.
    pub(super) fn act(&self, number: usize, title: &str) {
        let head = format!("── {number} · {title} ");
        let rule = "─".repeat(WIDTH.saturating_sub(head.chars().count()));
        self.show(|page| {
            page.gap().heading(&format!("{head}{rule}")).gap();
        });
    }

    /// Says something.
    pub(super) fn say(&self, text: &str) {
        self.show(|page| {
            page.line(wrapped(text, 0));
        });
    }

    /// Leaves a line free.
    pub(super) fn gap(&self) {
        self.show(|page| {
            page.gap();
        });
    }

    /// Prints what was put together.
    pub(super) fn show(&self, make: impl FnOnce(&mut Page)) {
        let mut page = Page::new();
        make(&mut page);
        if !self.quiet {
            page.print();
        }
    }

    /// The agent calls a tool.
    pub(super) fn calls(&self, tool: &str, arguments: &Value) {
        self.show(|page| {
            let who = page.word(Tone::Quiet, "agent ▸");
            page.line(format!("  {who} {}", wrapped_from(10, &format!("{tool} {arguments}"), 12)));
        });
    }

    /// What came of it.
    pub(super) fn came(&self, tone: Tone, word: &str, why: &str) {
        self.show(|page| {
            let text = format!("{word:<9} {}", wrapped_from(22, why, 22));
            let (word, rest) = text.trim_end().split_at(word.len());
            page.line(format!("            {}{rest}", page.word(tone, word)));
        });
    }

    /// The next line that the person types; nothing when there is nobody.
    pub(super) async fn typed(&mut self) -> Option<String> {
        self.typed.as_mut()?.recv().await
    }

    /// Waits for the person to have read this far.
    pub(super) async fn turn_over(&mut self) -> Result<(), Error> {
        if self.is_auto() {
            return Ok(());
        }
        show::say("\n(Enter goes on)");
        self.typed().await.map(drop).ok_or_else(|| Error::new("the keyboard is gone"))
    }
}

/// A path as the person would type it from here.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    show::inert_line(&short.display().to_string())
}

/// Breaks text at spaces, so that it stays inside the width; every further line is indented.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    wrapped_from(0, text, indent)
}

/// The same for text that begins in a later column.
pub(super) fn wrapped_from(start: usize, text: &str, indent: usize) -> String {
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let mut column = if i == 0 { start } else { 0 };
        for (n, word) in line.split(' ').enumerate() {
            let wide = word.chars().count();
            if n > 0 && column + 1 + wide > WIDTH {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else if n > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += wide;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_inside_the_width() {
        let text = "word ".repeat(60);
        let shown = wrapped(&text, 4);
        assert!(shown.lines().all(|l| l.chars().count() <= WIDTH), "{shown}");
        assert_eq!(shown.replace("\n    ", " ").replace('\n', " "), text);
        assert_eq!(wrapped("a\nb", 2), "a\nb");
    }
}
