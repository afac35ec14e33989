//! `aecl gen`: the actions of the catalogue as typed functions of a program.

mod python;
mod shape;
mod typescript;

use super::output::replace;
use super::{Common, Error, Exit, Result, show};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::id::AgentId;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::AgentManifest;
use shape::Shape;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// So much of a description is taken over, in characters.
const LINE_MAX: usize = 300;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl gen python > actions.py
  aecl gen typescript --agent clerk --out src/actions.ts
  aecl gen typescript --agent clerk --check src/actions.ts    # in CI: fails if it is not of this catalogue any more

An action that AECL carries out becomes a function that has it do so, in a run; one that the program carries out itself \
becomes the type of its arguments, and in TypeScript a guard. What is typed is judged all the same.")]
pub struct Args {
    /// For which library.
    #[arg(value_enum)]
    language: Language,
    /// Only the actions that this agent may use.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Write this file instead of printing.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Compare with this file, and fail if it differs.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// `aecl` for Python.
    Python,
    /// `@aecl/sdk` for TypeScript.
    Typescript,
}

/// An action, as a program sees it.
struct Known<'a> {
    name: &'a str,
    description: &'a str,
    arguments: Shape,
    /// Whether AECL carries it out.
    is_executed: bool,
}

/// Runs it.
pub fn run(common: &Common, args: &Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().is_file() {
        let error = Error::new(format!("there is no `{}`", home.config().display()));
        return Err(error.hint("run `aecl init` there first, or name the directory with `--dir`"));
    }
    let bundle = loader::load(&home.policy())?;
    let agent = args.agent.as_deref().map(AgentId::new).transpose()?;
    let manifest = match &agent {
        None => None,
        Some(id) => Some(bundle.agent(id).ok_or_else(|| {
            Error::new(format!("there is no agent `{id}` in the policy"))
                .hint("the manifests are in `policy/agents`; without `--agent` all actions are taken")
        })?),
    };
    let may =
        |name: &str| manifest.is_none_or(|manifest| AgentManifest::lists(&manifest.allowed_actions, name));
    let known: Vec<Known<'_>> = bundle
        .catalogue()
        .iter()
        .filter(|(name, _)| may(name.as_str()))
        .map(|(name, typed)| known(name.as_str(), typed))
        .collect();
    if known.is_empty() {
        return Err(Error::new("there is no action to write").hint("`aecl catalog list` shows what there is"));
    }
    let text = match args.language {
        Language::Python => python::module(&known),
        Language::Typescript => typescript::module(&known),
    };
    if let Some(file) = &args.check {
        return compared(file, &text);
    }
    match &args.out {
        None => {
            show::print(&text);
        }
        Some(file) => {
            replace(file, &text)?;
            eprintln!("{} in `{}`", show::count(known.len(), "action"), file.display());
        }
    }
    Ok(Exit::Done)
}

fn known<'a>(name: &'a str, typed: &'a TypedAction) -> Known<'a> {
    Known {
        name,
        description: &typed.manifest.description,
        arguments: Shape::of(&typed.manifest.arguments),
        is_executed: typed.connector().is_some(),
    }
}

fn compared(file: &Path, text: &str) -> Result {
    let there = fs::read_to_string(file)
        .map_err(|error| Error::new(format!("cannot read `{}`: {error}", file.display())))?;
    if there == text {
        return Ok(Exit::Done);
    }
    Err(Error::new(format!("`{}` is not what the catalogue has now", file.display()))
        .hint("`--out` in the place of `--check` writes it anew"))
}

/// Names that were given: each is given once, and none of those that mean something else.
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn beside(reserved: &[&str]) -> Self {
        Self { taken: reserved.iter().map(|&name| name.to_owned()).collect() }
    }

    /// This name, or one like it that is free.
    fn give(&mut self, wanted: &str) -> String {
        let starts = wanted.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
        let wanted = if starts { wanted.to_owned() } else { format!("Action{wanted}") };
        let mut name = wanted.clone();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        name
    }
}

/// The words of an action's name.
fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Its words as one: `books.close` is `BooksClose`.
fn pascal(name: &str) -> String {
    words(name)
        .iter()
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                .unwrap_or_default()
        })
        .collect()
}

/// Words of a stranger's, on one line, with nothing in them that changes how a line looks.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(LINE_MAX).collect();
    show::inert_line(&line).trim_end().to_owned()
}
