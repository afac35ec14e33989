//! The person's terminal, after a program has written to it what it liked.
//!
//! A question is asked where its answer comes from: on the terminal itself, after the state that the program left is
//! undone, what was typed before is thrown away, and with a word in it that nobody could know before.

use crate::cli::show::rows::rows;
use aecl_sandbox::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};

/// Undoes what a program may have left. It moves the cursor nowhere, and what a terminal does not know it passes over.
const RESET: &str = concat!(
    // An unfinished sequence, the terminal of 1978, other characters than UTF-8, other sets of them, a printer.
    "\x18\x1b\\\x1b<\x1b%G\x0f\x1b(B\x1b)B\x1b*B\x1b+B\x1b[4i\x1b[?4i",
    // A link that everything shown would lead to, and output that is kept back.
    "\x1b]8;;\x1b\\\x1b[?2026l",
    // Keys that are told otherwise: on the other screen, and on this one.
    "\x1b[<99u\x1b[=0u\x1b[?1047l\x1b[?47l\x1b[<99u\x1b[=0u\x1b[>4;0m",
    // Margins, colours, a hidden cursor, how lines wrap and keys are read.
    "\x1b[?69l\x1b[!p\x1b[0m\x1b[?25h\x1b[?7h\x1b[?5l\x1b[2l\x1b[4l\x1b[20l\x1b[?1l\x1b[?66l\x1b>",
    // Reports of mouse, focus, pasted text, colours and size.
    "\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l",
    "\x1b[?2004l\x1b[?2031l\x1b[?2048l",
    // What colours mean.
    "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b]117\x1b\\\x1b]119\x1b\\",
);

/// How long nobody may have typed anything before an answer counts.
const QUIET_MS: i64 = 300;

/// How often what was typed too early is thrown away.
const ROUNDS_MAX: usize = 20;

/// Before each row of a line but the first: a sign with which no line begins.
const GOES_ON: &str = "> ";

/// Longest answer.
const ANSWER_MAX: usize = 200;

/// What a program has shown on terminals.
#[derive(Default)]
pub(super) struct Screen {
    stdout: bool,
    stderr: bool,
}

impl Screen {
    /// Takes note that this was written to where our output goes.
    pub(super) fn has_shown(&mut self, stream: Stream, bytes: &[u8]) {
        // Everything that changes a terminal's state begins with one of these.
        if bytes.iter().any(|byte| matches!(byte, 0x1b | 0x0e | 0x0f | 0x80..=0x9f)) {
            match stream {
                Stream::Stdout => self.stdout = true,
                Stream::Stderr => self.stderr = true,
            }
        }
    }

    /// Undoes what it left there.
    pub(super) fn reset(&self) {
        if self.stdout && io::stdout().is_terminal() {
            let mut out = io::stdout().lock();
            drop(out.write_all(RESET.as_bytes()).and_then(|()| out.flush()));
        } else if self.stderr && io::stderr().is_terminal() {
            drop(io::stderr().write_all(RESET.as_bytes()));
        }
    }
}

/// The terminal from which we were started.
pub(super) struct Terminal {
    tty: File,
}

/// What somebody there says.
pub(super) enum Answer {
    Yes,
    No,
    /// Something types all the time.
    Noise,
}

impl Terminal {
    /// Opens it, if there is one.
    pub(super) fn open() -> Option<Self> {
        let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
        Some(Self { tty })
    }

    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.tty, "{line}")
    }

    /// Shows it page by page, and asks whether to keep it. A yes is a word that stands in the question.
    pub(super) fn ask(
        &mut self,
        summary: &[String],
        special: &[String],
        short: &str,
        lines: &[String],
    ) -> io::Result<Answer> {
        self.tty.write_all(RESET.as_bytes())?;
        self.say("")?;
        let (columns, _) = self.size();
        for row in summary.iter().chain(special).flat_map(|line| rows(line, columns, GOES_ON)) {
            self.say(&row)?;
        }
        let all: Vec<String> = lines.iter().flat_map(|line| rows(line, columns, GOES_ON)).collect();
        let mut shown = 0;
        let mut page = None;
        loop {
            let (_, height) = self.size();
            for row in all.iter().skip(shown).take(page.unwrap_or(height.saturating_sub(4).max(10))) {
                self.say(row)?;
                shown += 1;
            }
            let left = all.len().saturating_sub(shown);
            let word = word()?;
            let more = match left {
                0 => String::new(),
                left => format!("`more` for the next of {left} lines, `all` for all of them, "),
            };
            let question = format!(
                "{short}. Keep them? Type `{word}` to keep all, {more}anything else to keep nothing: "
            );
            let Some(answer) = self.answer(&question)? else { return Ok(Answer::Noise) };
            match answer.trim() {
                said if said == word => return Ok(Answer::Yes),
                "more" if left > 0 => {}
                "all" if left > 0 => page = Some(usize::MAX),
                _ => return Ok(Answer::No),
            }
        }
    }

    fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(&self.tty).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((100, 24), |size| (usize::from(size.ws_col).max(40), usize::from(size.ws_row)))
    }

    /// Asks, and reads one line that was typed after the question was there to be read.
    fn answer(&mut self, question: &str) -> io::Result<Option<String>> {
        write!(self.tty, "{question}")?;
        self.tty.flush()?;
        let mut rounds = 0;
        while self.is_typed_on()? {
            rounds += 1;
            if rounds > ROUNDS_MAX {
                self.say("")?;
                return Ok(None);
            }
            if rounds == 1 {
                write!(self.tty, "\n(what was typed before the question was thrown away)\n{question}")?;
            }
        }
        let (mut line, mut byte) = (Vec::new(), [0; 1]);
        while line.len() < ANSWER_MAX {
            match self.tty.read(&mut byte) {
                Ok(0) => break,
                Ok(_) if byte == *b"\n" => break,
                Ok(_) => line.extend_from_slice(&byte),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        // What is longer is no answer, and none to the next question.
        tcflush(&self.tty, QueueSelector::IFlush)?;
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// Throws away what was typed, and says whether more comes at once. Each key counts, not only whole lines.
    fn is_typed_on(&self) -> io::Result<bool> {
        let before = tcgetattr(&self.tty)?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        let _back = Back { tty: &self.tty, before };
        // Both throw away what is there, whole lines and begun ones.
        tcsetattr(&self.tty, OptionalActions::Flush, &keys)?;
        tcflush(&self.tty, QueueSelector::IFlush)?;
        let quiet = Timespec { tv_sec: 0, tv_nsec: QUIET_MS * 1_000_000 };
        let mut fds = [PollFd::new(&self.tty, PollFlags::IN)];
        let is_typed = loop {
            match poll(&mut fds, Some(&quiet)) {
                Ok(count) => break count > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        };
        if is_typed {
            tcflush(&self.tty, QueueSelector::IFlush)?;
        }
        Ok(is_typed)
    }
}

/// Puts the terminal's settings back.
struct Back<'a> {
    tty: &'a File,
    before: Termios,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        drop(tcsetattr(self.tty, OptionalActions::Now, &self.before).map_err(io::Error::from));
    }
}

/// A word that nobody knows before it is shown, and that is easy to type.
fn word() -> io::Result<String> {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aeou";
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(format!("no random numbers: {e}")))?;
    let letters = random.iter().enumerate().filter_map(|(at, byte)| {
        let from: &[u8] = if at % 2 == 0 { CONSONANTS } else { VOWELS };
        from.get(usize::from(*byte) % from.len()).copied().map(char::from)
    });
    Ok(letters.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_in_rows_and_nothing_of_it_is_missing() {
        let hidden = format!("+x = 1{};import os", " ".repeat(3_000));
        for line in [hidden.as_str(), "short", "", &"\u{6f22}".repeat(100)] {
            let rows = rows(line, 80, GOES_ON);
            let whole: String = rows
                .iter()
                .enumerate()
                .map(|(n, row)| if n == 0 { row } else { row.strip_prefix("> ").unwrap() })
                .collect();
            assert_eq!(whole, line);
            let width = |row: &String| row.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
            assert!(rows.iter().all(|row| width(row) < 80), "{rows:?}");
        }
    }

    #[test]
    fn a_word_cannot_be_typed_ahead() {
        let words: std::collections::BTreeSet<_> = (0..50).map(|_| word().unwrap()).collect();
        assert!(words.len() > 40 && words.iter().all(|word| word.len() == 6), "{words:?}");
    }
}
