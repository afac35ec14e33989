//! The log on standard error. What a server has written stands in it, so nothing in it steers a terminal or hides.

use super::{inert_line, is_hidden};
use std::fmt::Write as _;
use std::io::{self, Write};
use tracing_subscriber::fmt::MakeWriter;

/// How entries are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Log {
    /// A line of text each.
    Text,
    /// A line of JSON each.
    Json,
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Entry;

    fn make_writer(&'a self) -> Entry {
        Entry(*self)
    }
}

/// Takes one entry, which comes whole.
#[derive(Debug)]
pub(crate) struct Entry(Log);

impl Write for Entry {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(shown(self.0, &String::from_utf8_lossy(entry)).as_bytes())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn shown(log: Log, entry: &str) -> String {
    let line = entry.trim_end_matches('\n');
    let mut out = match log {
        Log::Text => inert_line(line),
        // What is not plain stands in texts only, where this is another spelling of it.
        Log::Json => line.chars().fold(String::with_capacity(line.len()), |mut out, c| {
            if c.is_control() || is_hidden(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else {
                out.push(c);
            }
            out
        }),
    };
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_log_hides_or_is_a_line_of_its_own() {
        let said = "pay\u{202e}evil\u{1b}[2J\u{9b}1A\u{e0041}\r\n2026 WARN aecl: all is well\u{7f} ü漢";
        let text = shown(Log::Text, &format!("INFO {said}\n"));
        assert_eq!(
            text,
            "INFO pay\\u{202e}evil\\u{1b}[2J\\u{9b}1A\\u{e0041}\\r\\n2026 WARN aecl: all is well\\u{7f} ü漢\n"
        );
        let entry = serde_json::json!({"message": said});
        let json = shown(Log::Json, &format!("{entry}\n"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), entry, "it says the same");
        assert!(json.trim_end().chars().all(|c| !c.is_control() && !is_hidden(c)), "{json}");
    }
}
