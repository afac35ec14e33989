//! Which words of a program with its arguments are code that is run, for whoever puts values of others among them.
//!
//! Where it is not sure, a word is code: what takes words as code by mistake asks for another way to write them.

use super::base;
use super::listed::{self, Takes};
use std::collections::BTreeMap;

/// Interpretation of a word by the program that it is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpretation {
    /// A shell reads it as a line, as [`read`](super::read) does.
    Line,
    /// It is a program, or one with its words as a list.
    Program,
    /// It is code in another language, or may change what is run.
    Other,
}

/// Words of a program that are code, and its input, if that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeWords {
    /// By place among the words: the program that runs it, and as what. The program's own word is among them.
    pub words: BTreeMap<usize, (String, Interpretation)>,
    /// The program that runs its input as code.
    pub input: Option<String>,
}

/// What is code there. `open` says which words nobody knows yet.
pub fn code_in(words: &[String], open: impl Fn(&str) -> bool) -> CodeWords {
    let mut reader = Reader { words, open: &open, code: CodeWords::default() };
    reader.program(0);
    reader.code
}

struct Reader<'a> {
    words: &'a [String],
    open: &'a dyn Fn(&str) -> bool,
    code: CodeWords,
}

impl<'a> Reader<'a> {
    fn at(&self, place: usize) -> Option<&'a str> {
        self.words.get(place).map(String::as_str)
    }

    fn is_open(&self, place: usize) -> bool {
        self.at(place).is_some_and(self.open)
    }

    /// Only what nobody knows yet is of interest; what the author wrote is his.
    fn mark(&mut self, place: usize, program: &str, runs: Interpretation) {
        if self.is_open(place) {
            self.code.words.entry(place).or_insert_with(|| (program.to_owned(), runs));
        }
    }

    fn rest(&mut self, from: usize, program: &str) {
        (from..self.words.len()).for_each(|place| self.mark(place, program, Interpretation::Other));
    }

    fn program(&mut self, place: usize) {
        let Some(word) = self.at(place) else { return };
        if self.is_open(place) {
            self.mark(place, word, Interpretation::Program);
            return self.rest(place + 1, word);
        }
        let program = base(word);
        match listed::takes(program) {
            None => self.looker(place, program),
            Some(Takes::Anything) => {
                self.code.input = Some(program.to_owned());
                self.rest(place + 1, program);
            }
            Some(Takes::Orders { behind }) => self.orders(place + 1, program, behind),
            Some(Takes::Code { behind, valued }) => self.interpreter(place + 1, program, behind, valued),
            Some(Takes::Command { valued, operands }) => self.wrapper(place + 1, program, valued, operands),
        }
    }

    /// `find -exec` and its like.
    fn looker(&mut self, place: usize, program: &str) {
        let runs = |word: &String| listed::runs_others_with(program, word);
        if let Some(first) = self.words.iter().skip(place + 1).position(runs) {
            self.rest(place + 1 + first, program);
        }
    }

    fn orders(&mut self, from: usize, program: &str, behind: &[&str]) {
        let mut has_order = false;
        for at in from..self.words.len() {
            let word = self.at(at).unwrap_or_default();
            let is_option = word.starts_with('-');
            let runs = |b: &&str| if b.starts_with('-') { listed::is(word, b) } else { *b == word };
            if behind.iter().any(runs) || !has_order && self.is_open(at) {
                return self.rest(at, program);
            }
            // `git -c NAME=VALUE` is none yet.
            has_order |= !is_option && !word.contains('=');
            if !self.is_open(at) && listed::takes(base(word)).is_some() {
                self.program(at);
            }
        }
    }

    fn interpreter(&mut self, from: usize, program: &str, behind: &[&str], valued: &[&str]) {
        let is_shell = listed::is_shell(program);
        let runs = if is_shell { Interpretation::Line } else { Interpretation::Other };
        let (mut at, mut wanted, mut had) = (from, false, false);
        while let Some(word) = self.at(at) {
            let is_option = word.starts_with(['-', '+']) && word != "-";
            if is_option {
                // What is put together from a value of others may be any option.
                self.mark(at, program, Interpretation::Other);
                let is_code = behind.iter().any(|b| listed::is(word, b));
                let is_attached = is_code && !is_shell && word.starts_with("--") && word.contains('=');
                had |= is_attached;
                wanted |= is_code && !is_attached;
                if is_shell && listed::is(word, "-s") {
                    self.code.input = Some(program.to_owned());
                }
                // `awk -v name={x}` is data; a file or a setting that somebody else names may be code.
                let sets = |next: &str| {
                    word == "-v"
                        && next
                            .split_once('=')
                            .is_some_and(|(name, _)| !(self.open)(name) && !name.contains('{'))
                };
                let has_value = valued.contains(&word)
                    && self.at(at + 1).is_some_and(|next| !(self.open)(next) || sets(next));
                at += usize::from(has_value);
            } else if wanted || !had {
                self.mark(at, program, if wanted { runs } else { Interpretation::Other });
                if INPUT.contains(&word) {
                    self.code.input = Some(program.to_owned());
                }
                // What stands behind a file, a line of a shell or a module of Python are its arguments.
                if !wanted || is_shell || program.starts_with("py") {
                    return;
                }
                (wanted, had) = (false, true);
            } else {
                return;
            }
            at += 1;
        }
        if !had {
            self.code.input = Some(program.to_owned());
        }
    }

    fn wrapper(&mut self, from: usize, program: &str, valued: &[&str], mut operands: usize) {
        let mut at = from;
        while let Some(word) = self.at(at) {
            let sets = word.split_once('=').is_some_and(|(name, _)| !name.contains('{'));
            if word.starts_with('-') {
                self.mark(at, program, Interpretation::Other);
                // `env -S` takes a line.
                if program == "env" && (word.starts_with("-S") || word.starts_with("--s")) {
                    self.rest(at + 1, program);
                }
                at += usize::from(valued.contains(&word) && !self.is_open(at + 1));
            } else if !sets {
                if operands == 0 {
                    break;
                }
                operands -= 1;
                self.mark(at, program, Interpretation::Other);
            }
            at += 1;
        }
        self.program(at);
        // An option that takes a word and is not known here moves the command by one.
        for place in at + 1..self.words.len() {
            let is_known = self.at(place).is_some_and(|word| listed::takes(base(word)).is_some());
            if is_known && !self.is_open(place) {
                self.program(place);
            }
        }
        // Its input becomes words of the command.
        if program == "xargs" {
            self.code.input = Some(program.to_owned());
        }
    }
}

/// Files that are the program's input.
const INPUT: [&str; 4] = ["-", "/dev/fd/0", "/dev/stdin", "/proc/self/fd/0"];
