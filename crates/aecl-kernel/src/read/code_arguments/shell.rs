//! Which programs a command line would run, and whether they do no more than look.
//!
//! This is no shell. It reads the part of the language in which a word means itself, and lists every command
//! that it sees on the way. A line is *simple* if it is in that part and runs only programs that are known to
//! look and not to change; everything else, above all what a shell would work out first (`$x`, `$(…)`, `*`),
//! is not, and that is the worst. So a gap in this reading costs a question, not an accident.

mod code;
mod lex;
mod listed;

pub use code::{CodeWords, Interpretation, code_in};
use lex::{Lexer, Piece};
use serde_json::Value;
use std::collections::BTreeSet;

/// Longest line that is read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most commands that are listed.
pub const COMMANDS_MAX: usize = 256;
/// Deepest nesting of `$(…)` that is looked into.
const DEPTH_MAX: usize = 8;

/// One command of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program, as written.
    pub program: String,
    /// Its arguments, as far as they mean themselves.
    pub arguments: Vec<String>,
    /// Why it does, or may do, more than look; `None` if it is known to look only.
    pub beyond: Option<String>,
}

/// A command line, understood as far as it can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Every command that was seen, also inside substitutions.
    pub commands: Vec<Command>,
    /// Why the list may be incomplete; `None` if the line runs exactly these commands as they are written.
    pub unread: Option<String>,
}

impl CommandLine {
    /// Whether it runs exactly the listed commands, and each is known to look only.
    pub fn simple(&self) -> bool {
        self.unread.is_none() && !self.commands.is_empty() && self.commands.iter().all(|c| c.beyond.is_none())
    }

    /// The names of its programs, without their folders.
    pub fn programs(&self) -> BTreeSet<String> {
        self.commands.iter().map(|c| base(&c.program).to_owned()).filter(|p| !p.is_empty()).collect()
    }

    /// In words, one line for each command that matters, at most eight.
    pub fn words(&self) -> Vec<String> {
        let mut out: Vec<String> =
            self.unread.iter().map(|why| format!("a command line that was not understood: {why}")).collect();
        out.extend(self.commands.iter().map(Command::words));
        out.dedup();
        let more = out.len().saturating_sub(8);
        out.truncate(8);
        if more > 0 {
            out.push(format!("and {more} more commands"));
        }
        out
    }

    /// Why it is not simple.
    pub fn why(&self) -> String {
        let first = self.commands.iter().find_map(|c| c.beyond.clone());
        self.unread.clone().or(first).unwrap_or_else(|| "there is no command in it".into())
    }
}

impl Command {
    fn words(&self) -> String {
        let all: Vec<&str> =
            std::iter::once(self.program.as_str()).chain(self.arguments.iter().map(String::as_str)).collect();
        let line = super::plain(&all.join(" "), 160);
        match &self.beyond {
            None => format!("looks with `{line}`"),
            Some(_) => format!("runs `{line}`"),
        }
    }
}

/// Reads an argument: a line for a shell, or a list of a program and its arguments.
pub fn read(value: &Value) -> CommandLine {
    match value {
        Value::String(line) => line_of(line),
        Value::Array(items) => {
            let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            match words {
                Some(words) => list_of(&words),
                None => unread("not all of it is text"),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => unread("it is no text"),
    }
}

/// Reads a list whose items are commands, each by itself: they are all of one line.
pub fn read_each(items: &[Value]) -> CommandLine {
    let mut all = CommandLine::default();
    for item in items {
        let line = read(item);
        all.commands.extend(line.commands);
        all.unread = all.unread.or(line.unread);
        if all.commands.len() > COMMANDS_MAX {
            all.commands.truncate(COMMANDS_MAX);
            note(&mut all, &format!("it has more than {COMMANDS_MAX} commands"));
            break;
        }
    }
    all
}

fn unread(why: &str) -> CommandLine {
    CommandLine { commands: Vec::new(), unread: Some(why.to_owned()) }
}

/// A program with its arguments, which no shell looks at.
fn list_of(words: &[&str]) -> CommandLine {
    if words.iter().map(|w| w.len()).sum::<usize>() > BYTES_MAX {
        return unread("it is too long");
    }
    if words
        .iter()
        .any(|w| w.chars().any(|c| c.is_control() && c != '\n' || crate::base::text::is_invisible(c)))
    {
        return unread("it has control or invisible characters");
    }
    let Some((program, rest)) = words.split_first() else { return unread("there is no command in it") };
    let command = Command {
        program: (*program).to_owned(),
        arguments: rest.iter().map(|w| (*w).to_owned()).collect(),
        beyond: None,
    };
    let mut line = CommandLine::default();
    finish(Some(command), &mut line);
    // `["bash", "-c", "…"]`: what it is given is a line again, and is shown.
    if listed::is_shell(base(program)) {
        for inner in rest.iter().filter(|w| !w.starts_with('-')) {
            line.commands.extend(line_of(inner).commands);
        }
    }
    line.commands.truncate(COMMANDS_MAX);
    line
}

/// A line for a shell, with everything inside it. Takes time linear in at most [`BYTES_MAX`] bytes, for each
/// level of substitution that is looked into.
fn line_of(text: &str) -> CommandLine {
    if text.len() > BYTES_MAX {
        return unread(&format!("it is longer than {} KiB", BYTES_MAX / 1024));
    }
    let mut line = CommandLine::default();
    let mut inside = vec![(text.to_owned(), 0)];
    while let Some((text, depth)) = inside.pop() {
        let mut found = read_one(&text, &mut line);
        if depth < DEPTH_MAX {
            inside.extend(found.drain(..).map(|text| (text, depth + 1)));
        }
        if line.commands.len() > COMMANDS_MAX {
            line.commands.truncate(COMMANDS_MAX);
            note(&mut line, &format!("it has more than {COMMANDS_MAX} commands"));
            break;
        }
    }
    line
}

fn note(line: &mut CommandLine, why: &str) {
    line.unread.get_or_insert_with(|| why.to_owned());
}

/// Adds the commands of one text. Gives the texts inside it that are lines again.
fn read_one(text: &str, line: &mut CommandLine) -> Vec<String> {
    let mut lexer = Lexer::new(text);
    let mut current: Option<Command> = None;
    let mut to: Option<String> = None;
    while let Some(piece) = lexer.next_piece() {
        match piece {
            Piece::Word(word) => {
                if let Some(sign) = to.take() {
                    redirect(&sign, &word, line, &mut current);
                } else if let Some(command) = &mut current {
                    command.arguments.push(word);
                } else if !word_that_begins(&word, line) {
                    current = Some(Command { program: word, ..Command::default() });
                }
            }
            Piece::Redirect(sign) => {
                if to.replace(sign).is_some() {
                    note(line, "a redirection leads nowhere");
                }
            }
            Piece::End => {
                if to.take().is_some() {
                    note(line, "a redirection leads nowhere");
                }
                finish(current.take(), line);
            }
        }
        if line.commands.len() > COMMANDS_MAX {
            break;
        }
    }
    if to.is_some() {
        note(line, "a redirection leads nowhere");
    }
    finish(current, line);
    if let Some(why) = lexer.opaque {
        note(line, &why);
    }
    lexer.inside
}

/// Words that are syntax where a command begins, and variables that are set there.
fn word_that_begins(word: &str, line: &mut CommandLine) -> bool {
    const SYNTAX: [&str; 20] = [
        "!", "[[", "{", "}", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function",
        "if", "select", "then", "time", "until", "while",
    ];
    if SYNTAX.contains(&word) {
        note(line, &format!("`{word}` begins more than a simple command"));
        return true;
    }
    let name = word.split_once('=').map(|(name, _)| name.trim_end_matches('+'));
    let sets = name.is_some_and(|n| {
        !n.is_empty()
            && !n.starts_with(|c: char| c.is_ascii_digit())
            && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '[' || c == ']')
    });
    if sets {
        note(line, "it sets a variable, which can change what a program does");
    }
    sets
}

/// Only what leads nowhere or joins two streams of one command is harmless.
fn redirect(sign: &str, target: &str, line: &mut CommandLine, current: &mut Option<Command>) {
    let joins = matches!(sign, ">&" | "<&") && (target == "-" || target.chars().all(|c| c.is_ascii_digit()));
    let harmless = joins || (target == "/dev/null" && sign != "<>");
    if !harmless {
        let why = if sign.starts_with('<') { "reads from" } else { "writes to" };
        let why = format!("it {why} `{}`", super::plain(target, 80));
        match current {
            Some(command) => drop(command.beyond.get_or_insert(why)),
            None => note(line, &why),
        }
    }
}

fn finish(command: Option<Command>, line: &mut CommandLine) {
    let Some(mut command) = command else { return };
    if command.beyond.is_none() {
        command.beyond = listed::beyond(&command);
    }
    if listed::runs_others(&command) {
        note(line, &format!("`{}` runs what it is given", super::plain(base(&command.program), 40)));
    }
    line.commands.push(command);
}

/// A program without its folder.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests;
