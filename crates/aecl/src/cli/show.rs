//! How commands speak: lines, quotes and tables that read well without colour, in a pipe and on a narrow
//! terminal. Everything that came from outside is made inert here before a terminal sees it.

use super::Common;
use super::place::How;
pub(crate) use aecl_mcp::text::is_hidden;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

mod decision;
mod json;
mod log;
mod percent;
pub(crate) mod rows;
mod table;

pub(crate) use decision::people;
pub(crate) use json::Field;
pub(crate) use log::Log as LogWriter;
pub(crate) use percent::Percent;
pub(crate) use table::Table;

/// What a word means, so that it can be coloured where colour is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Good.
    Good,
    /// Look here.
    Mind,
    /// Bad.
    Bad,
    /// Matters.
    Strong,
    /// Matters less.
    Quiet,
    /// As it is.
    Plain,
}

/// Text for standard output, put together before it is printed.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colour: bool,
    /// How wide the terminal is, if there is one.
    columns: Option<usize>,
}

impl Page {
    /// An empty page for standard output.
    pub(crate) fn new() -> Self {
        Self { text: String::new(), colour: wants_colour(), columns: rows::columns() }
    }

    /// A word in this tone.
    pub(crate) fn word(&self, tone: Tone, text: &str) -> String {
        let text = inert(text);
        let code = match tone {
            Tone::Good => "32",
            Tone::Mind => "33",
            Tone::Bad => "31",
            Tone::Strong => "1",
            Tone::Quiet => "2",
            Tone::Plain => return text,
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }

    /// A line that is ours, or was made of [`Page::word`]s.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
        self
    }

    /// A line in one tone.
    pub(crate) fn toned(&mut self, tone: Tone, text: &str) -> &mut Self {
        let word = self.word(tone, text);
        self.line(word)
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) -> &mut Self {
        self.line("")
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) -> &mut Self {
        for (i, row) in self.rows(text, 4).iter().enumerate() {
            let word = self.word(Tone::Strong, row);
            self.line(if i == 0 { word } else { format!("    {word}") });
        }
        self
    }

    /// A name and what it is, in a column. Text of several lines goes on below itself.
    pub(crate) fn field(&mut self, name: &str, text: &str) -> &mut Self {
        let text = inert(text);
        let mut lines = text.lines();
        let _ = writeln!(self.text, "  {name:<13} {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(self.text, "  {:<13} {line}", "");
        }
        self
    }

    /// The same with text that may hold a stranger's words: no row of it stands where a name would.
    pub(crate) fn prose(&mut self, name: &str, text: &str) -> &mut Self {
        let text = inert(text);
        let rows: Vec<String> = text.lines().flat_map(|line| self.rows(line, 16)).collect();
        self.field(name, &rows.join("\n"))
    }

    /// What a server says of its tool, as the API tells it: under the server's name, and marked as its words.
    pub(crate) fn server_says(&mut self, words: Option<&Value>) -> &mut Self {
        let Some(words) = words.filter(|words| !words.is_null()) else { return self };
        let server = inert_line(&words.text("/server"));
        self.field("does", &format!("the server `{server}` says, and nobody has checked it:"));
        self.quote(&words.text("/text"));
        if let Some(n) = words.pointer("/left_out").and_then(Value::as_u64) {
            self.field("", &format!("{n} more characters of it are left out here"));
        }
        self
    }

    /// An item of a list. Text of several lines goes on below itself.
    pub(crate) fn item(&mut self, text: &str) -> &mut Self {
        let text = inert(text);
        for (i, line) in text.lines().enumerate() {
            let _ = writeln!(self.text, "  {} {line}", if i == 0 { '-' } else { ' ' });
        }
        self
    }

    /// Somebody else's text: every line is marked, nothing in it can move the cursor or hide.
    pub(crate) fn quote(&mut self, text: &str) -> &mut Self {
        for line in inert(text).split('\n') {
            self.quoted_line(Tone::Plain, line);
        }
        self
    }

    /// One line of somebody else's text. What does not fit into the terminal goes on behind a mark of its own.
    pub(crate) fn quoted_line(&mut self, tone: Tone, line: &str) -> &mut Self {
        for (i, row) in self.rows(&inert_line(line), 4).iter().enumerate() {
            let word = self.word(tone, row);
            self.line(format!("  │{}{word}", if i == 0 { ' ' } else { '>' }));
        }
        self
    }

    /// A line in rows, each of which fits into the terminal behind so many columns.
    fn rows(&self, line: &str, before: usize) -> Vec<String> {
        match self.columns {
            Some(columns) => rows::rows(line, columns.saturating_sub(before).max(rows::LEAST), ""),
            None => vec![line.to_owned()],
        }
    }

    /// A JSON value, untruncated, as somebody else's text.
    pub(crate) fn json(&mut self, value: &Value) -> &mut Self {
        self.quote(&pretty(value))
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) -> &mut Self {
        let text = table.render(self);
        self.text.push_str(&text);
        self
    }

    /// The text so far.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Prints it. Gives whether anybody reads on.
    pub(crate) fn print(&self) -> bool {
        print(&self.text)
    }
}

/// Prints text to standard output. Gives whether anybody reads on: `aecl log tail | head` is no failure.
pub(crate) fn print(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Prints a value as JSON on lines of its own.
pub(crate) fn print_json(value: &Value) -> bool {
    print(&format!("{}\n", pretty(value)))
}

/// Prints a value as one line of JSON, for streams.
pub(crate) fn print_json_line(value: &Value) -> bool {
    print(&format!("{value}\n"))
}

/// Says something to the person, on standard error.
pub(crate) fn say(text: &str) {
    // Whoever closed standard error does not want to hear it.
    drop(writeln!(std::io::stderr().lock(), "{}", inert(text)));
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// Whether standard output takes colour: a terminal that can, and a person who has not said no.
fn wants_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    std::io::stdout().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Text that a terminal only shows: control characters, escapes and what is invisible or turns the reading
/// direction are written out. Line breaks stay.
pub(crate) fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            '\t' => out.push_str("    "),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_hidden(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The same on one line.
pub(crate) fn inert_line(text: &str) -> String {
    inert(text).replace('\n', "\\n")
}

/// How this program is called on the same directory, for commands that the person can copy.
pub(crate) fn aecl(common: &Common) -> String {
    match common.how {
        How::Named => inert_line(&format!("aecl --dir {}", common.dir.display())),
        How::OfProject | How::Unnamed | How::Nowhere => "aecl".into(),
    }
}

/// A number of seconds in words.
pub(crate) fn duration(seconds: u64) -> String {
    let (value, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{value} {unit}{}", if value == 1 { "" } else { "s" })
}

/// `1 thing`, `2 things`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    let many = thing.strip_suffix('y').filter(|s| !s.ends_with(['a', 'e', 'o', 'u']));
    match (n, many) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        (_, None) => format!("{n} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_only_shown() {
        for (from, to) in [
            ("plain ü 漢", "plain ü 漢"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\rb", "a\\rb"),
            ("pay\u{202e}evil", "pay\\u{202e}evil"),
            ("a\u{200b}b\u{e0041}", "a\\u{200b}b\\u{e0041}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("two\nlines", "two\nlines"),
            ("a\u{2800}b\u{e123}\u{f0000}", "a\\u{2800}b\\u{e123}\\u{f0000}"),
        ] {
            assert_eq!(inert(from), to);
        }
        assert_eq!(inert_line("two\nlines"), "two\\nlines");
    }

    #[test]
    fn quotes_mark_every_line() {
        let mut page = Page { text: String::new(), colour: false, columns: None };
        page.quote("one\n\u{1b}[31mtwo");
        assert_eq!(page.text, "  │ one\n  │ \\u{1b}[31mtwo\n");
    }

    #[test]
    fn no_row_of_a_strangers_text_stands_where_ours_would() {
        let mut page = Page { text: String::new(), colour: false, columns: Some(40) };
        let padded = format!("harmless{}undo          Can be undone.", " ".repeat(31));
        page.quote(&padded).prose("to", &padded).heading(&padded);
        for line in page.text.lines() {
            let is_first = line.starts_with("  to            harmless") || line.starts_with("harmless");
            assert!(is_first || line.starts_with("  │") || line.starts_with("    "), "{}", page.text);
            assert!(line.chars().count() < 40, "{line}");
        }
        assert!(page.text.contains("\n  │>"), "{}", page.text);
    }

    #[test]
    fn amounts_of_things_read_well() {
        assert_eq!(
            (count(1, "entry"), count(2, "entry"), count(3, "key")),
            ("1 entry".into(), "2 entries".into(), "3 keys".into())
        );
        assert_eq!(
            (duration(60), duration(3600), duration(7200)),
            ("60 seconds".into(), "60 minutes".into(), "2 hours".into())
        );
    }
}
