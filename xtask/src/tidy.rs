//! `cargo xtask tidy`: rules of the house that no other tool knows. One rule per file.

mod arrows;
mod attacks;
mod codes;
mod fakes;
mod layers;
mod length;
mod links;
mod names;
mod promises;
mod readmes;
mod reasons;
mod words;

use std::path::PathBuf;
use std::process::Command;

use crate::programs::{ask, root};

const HELP: &str = "\
cargo xtask tidy: rules of the house that no other tool knows.

  arrows     the rooms depend on each other as ARCHITECTURE.md says, and on nothing else of ours;
             the kernel has only the guests on its list
  layers     files of a room know what is below them, as ARCHITECTURE.md lists it, and never each other
  reasons    each dependency in the root Cargo.toml has a comment that says why it is there
  length     no Rust file over 1,000 lines (a warning from 400)
  links      relative links and anchors in *.md lead somewhere
  names      no two public types share a name, and the description of one begins with no question; lists of
             what is not so yet may only shrink
  words      nothing names a path of somebody's machine or the host of a package registry
  codes      every error code has its entry in docs/reference/errors.md, and the other way round
  promises   a test that SPECIFICATION.md names is there
  attacks    docs/reference/attacks.md has no gap, and its tests are there
  fakes      what stands in for the world in tests is in no program
  readmes    each room has a short README.md: what it is, what it never does, where to begin

A line that must break `words` says why and carries the words `tidy: allow`.
";

/// The files of the house: all that git tracks or would add.
pub struct House {
    root: PathBuf,
    files: Vec<String>,
}

/// What a rule found. Errors fail the run; notes are only said.
#[derive(Default)]
pub struct Found {
    errors: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl House {
    fn open(root: PathBuf) -> Result<Self, String> {
        let listed =
            ask(Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
        let mut files: Vec<String> =
            listed.split('\0').filter(|name| !name.is_empty()).map(String::from).collect();
        files.retain(|name| root.join(name).is_file());
        files.sort();
        files.dedup();
        if files.is_empty() {
            return Err("git lists no file".into());
        }
        Ok(House { root, files })
    }

    /// Names of the files that end so.
    fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |name| name.ends_with(end))
    }

    /// The text of a file, or `None` when it is absent or no text.
    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(name)).ok()
    }
}

type Rule = fn(&House, &mut Found) -> Result<(), String>;

const RULES: [(&str, Rule); 12] = [
    ("arrows", arrows::check),
    ("layers", layers::check),
    ("reasons", reasons::check),
    ("length", length::check),
    ("links", links::check),
    ("names", names::check),
    ("words", words::check),
    ("codes", codes::check),
    ("fakes", fakes::check),
    ("promises", promises::check),
    ("attacks", attacks::check),
    ("readmes", readmes::check),
];

pub fn run(words: &[String]) -> Result<bool, String> {
    match words {
        [] => {}
        [word] if word == "--help" || word == "-h" => {
            print!("{HELP}");
            return Ok(true);
        }
        _ => return Err("`tidy` takes no words\nhint: `cargo xtask tidy --help`".into()),
    }
    let house = House::open(root())?;
    let mut tidy = true;
    for (name, rule) in RULES {
        let mut found = Found::default();
        rule(&house, &mut found)?;
        for note in &found.notes {
            println!("note {name}: {note}");
        }
        for error in &found.errors {
            println!("FAIL {name}: {error}");
        }
        if found.errors.is_empty() {
            println!("ok   {name}");
        }
        tidy &= found.errors.is_empty();
    }
    Ok(tidy)
}
