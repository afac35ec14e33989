//! Where the values of a call lead: into a home of AECL (keys, policy, record), around one, or nobody can tell.
//!
//! A tool of somebody else opens what it is given, in its own way and with the rights of the same user. So each value
//! is looked up here in all the ways in which a tool could read it: as a path, as a URI, from each directory that it
//! could be relative to, as a word of a command line. What the file system says counts, not how it is spelled: links,
//! other mounts and other letter cases come out at the same directory, known by its device and number.
//!
//! The work is bounded by [`VALUES_MAX`] and [`WORDS_MAX`], whatever a call brings. Beyond them a call waits for a
//! person; a long text that is no command line is searched for the names of homes instead.

mod keys;
mod leads;
mod numbers;
mod words;

use aecl_kernel::base::evidence::{Evidence, Reach};
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::{Effect, TypedAction};
use aecl_kernel::read::action::Action;
pub use keys::{bytes_without_keys, without_keys};
use leads::Homes;
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The most values of one call that are looked up.
pub const VALUES_MAX: usize = 4_096;
/// The most words in values that are looked up beside them.
pub const WORDS_MAX: usize = 1_024;
/// A value that short is taken apart into all its words, whatever it is for: many tools run what they are given.
const SHORT_MAX: usize = 512;

/// The most directories from which a call's values are looked up.
const BASES_MAX: usize = 16;
/// Longest value that names such a directory, in bytes.
const NAMED_MAX: usize = 4_096;

/// The most of a value that is shown to people.
const SHOWN_MAX: usize = 200;

/// From now on this directory is a home of AECL: no cage of this process shows it, no value may lead there, and its
/// keys are taken out of what comes in and goes out.
pub fn is_ours(dir: &Path) {
    aecl_sandbox::never_show(dir);
    keys::learn(dir);
}

/// From where a call's values are looked up.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Directories to which a path may be relative.
    pub bases: Vec<PathBuf>,
    /// What opens them is in a cage of ours, which shows no home, or on another machine: a directory around a home
    /// gives nothing away there.
    pub apart: bool,
}

/// What the values of an action lead to, worst first; nothing where they lead nowhere near a home. It reads
/// directories, so call it where blocking is allowed.
#[must_use]
pub fn look(action: &Action, places: &Places) -> Option<Evidence> {
    let typed = action.typed.as_deref();
    let mut look = Look::new(places, typed);
    look.start_from(action.arguments.value(), 0);
    look.value(action.arguments.value(), &mut String::new(), 0);
    look.evidence()
}

/// The same for what goes along with a call and is no argument of it.
#[must_use]
pub fn look_at(value: &Value, places: &Places) -> Option<Evidence> {
    let mut look = Look::new(places, None);
    look.start_from(value, 0);
    look.value(value, &mut String::new(), 0);
    look.evidence()
}

/// Deeper than any document that comes in.
const DEPTH_MAX: usize = 256;

struct Look<'a> {
    homes: Homes,
    places: &'a Places,
    /// Directories to which a path may be relative: those of the place, and those that the call names itself.
    bases: Vec<PathBuf>,
    typed: Option<&'a TypedAction>,
    done: HashSet<PathBuf>,
    values: usize,
    words: usize,
    worst: Option<(Reach, String)>,
}

impl<'a> Look<'a> {
    fn new(places: &'a Places, typed: Option<&'a TypedAction>) -> Self {
        let (homes, bases) = (Homes::known(), places.bases.clone());
        Self { homes, places, bases, typed, done: HashSet::new(), values: 0, words: 0, worst: None }
    }

    /// Takes in the directories that a call names: where a command is to be run, its other values may be relative to.
    fn start_from(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => self.start_at(text),
            Value::Array(items) if depth < DEPTH_MAX => {
                items.iter().for_each(|item| self.start_from(item, depth + 1));
            }
            Value::Object(members) if depth < DEPTH_MAX => {
                members.values().for_each(|member| self.start_from(member, depth + 1));
            }
            _ => {}
        }
    }

    fn start_at(&mut self, text: &str) {
        let path = Path::new(text.trim());
        let named = path.is_absolute() && text.len() <= NAMED_MAX && !self.bases.iter().any(|b| b == path);
        if !named || !path.is_dir() {
            return;
        }
        if self.bases.len() >= BASES_MAX {
            let said = format!("it names more directories than are looked up from ({BASES_MAX})");
            return self.note(Reach::Unseen, said);
        }
        self.bases.push(path.to_owned());
    }

    fn evidence(self) -> Option<Evidence> {
        self.worst.map(|(reach, said)| Evidence::reaches(reach, said))
    }

    fn value(&mut self, value: &Value, pointer: &mut String, depth: usize) {
        if depth > DEPTH_MAX || matches!(self.worst, Some((Reach::Into, _))) {
            return;
        }
        match value {
            Value::String(text) => self.text(text, pointer),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&index.to_string(), item, pointer, depth);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    // A name may be a path, too: files are handed over as a map from path to content.
                    self.text(name, pointer);
                    self.below(name, member, pointer, depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn below(&mut self, name: &str, value: &Value, pointer: &mut String, depth: usize) {
        let before = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        self.value(value, pointer, depth + 1);
        pointer.truncate(before);
    }

    fn text(&mut self, text: &str, pointer: &str) {
        let class = self.typed.and_then(|typed| typed.roles.of_pointer(pointer)).map(|a| a.class);
        let runs = class == Some(Class::Command)
            || self.typed.is_some_and(|typed| typed.manifest.effect == Effect::Execute);
        self.values += 1;
        if self.values > VALUES_MAX {
            let said =
                format!("it has more values than are looked up ({VALUES_MAX}), and each may be a path");
            return self.note(Reach::Unseen, said);
        }
        self.path(text, text, class, true);
        // What is written is no command line; as a whole it may be a path.
        if class == Some(Class::Content) && !runs {
            return;
        }
        let (found, whole) = words::of(text, runs || text.len() <= SHORT_MAX);
        for word in found {
            self.words += 1;
            if self.words > WORDS_MAX {
                return self.too_much(text, runs);
            }
            self.path(&word, text, class, runs);
        }
        if !whole {
            self.too_much(text, runs);
        }
    }

    /// More than is looked up word by word.
    fn too_much(&mut self, text: &str, runs: bool) {
        if let Some(home) = self.homes.named_in(text) {
            return self.note(Reach::Into, format!("it names `{home}`, which is AECL's own"));
        }
        if runs {
            self.note(
                Reach::Unseen,
                format!("it has more words than are looked up ({WORDS_MAX}), and each may be a path"),
            );
        }
    }

    /// `alone`: it is a value or a word of a command line, not just a word of a text.
    fn path(&mut self, word: &str, of: &str, class: Option<Class>, alone: bool) {
        for spelled in words::spellings(word) {
            let fixed = words::fixed(&spelled);
            let bases: &[PathBuf] = if fixed.is_absolute() { &[] } else { &self.bases };
            let mut full: Vec<PathBuf> = bases.iter().map(|base| base.join(&fixed)).collect();
            if fixed.is_absolute() {
                full.extend(from_own_directory(&fixed, &self.bases));
                full.push(fixed.clone());
            }
            for path in full {
                self.one(path, of, class, alone);
            }
        }
    }

    fn one(&mut self, path: PathBuf, of: &str, class: Option<Class>, alone: bool) {
        let plain = words::normal(&path);
        for path in [path, plain] {
            if !self.done.insert(path.clone()) {
                continue;
            }
            match self.homes.reach(&path) {
                None => {}
                Some((Reach::Around | Reach::Unseen, _)) if self.places.apart || !alone => {}
                Some((Reach::Into, home)) => {
                    let home = home.display();
                    self.note(Reach::Into, format!("`{}` leads to `{home}`, which is AECL's own", shown(of)));
                }
                Some((Reach::Around, home)) => {
                    // A single `/` is a path where one is expected, and often just a character elsewhere.
                    let is_bare = path.parent().is_none() && !may_be_a_path(class);
                    if !is_bare {
                        let home = home.display();
                        self.note(
                            Reach::Around,
                            format!("`{}` is a directory that AECL's own `{home}` lies in", shown(of)),
                        );
                    }
                }
                Some((Reach::Unseen, _)) => self.note(
                    Reach::Unseen,
                    format!(
                        "`{}` means something else to each program; nobody can look where it leads",
                        shown(of)
                    ),
                ),
            }
        }
    }

    fn note(&mut self, reach: Reach, said: String) {
        if self.worst.as_ref().is_none_or(|(worst, _)| reach > *worst) {
            self.worst = Some((reach, said));
        }
    }
}

/// Another program's own directory is where it was started.
fn from_own_directory(path: &Path, bases: &[PathBuf]) -> Vec<PathBuf> {
    let Some(rest) = path.strip_prefix("/proc").ok() else { return Vec::new() };
    let mut parts = rest.components();
    let (Some(_), Some(what)) = (parts.next(), parts.next()) else { return Vec::new() };
    match what.as_os_str().to_str() {
        Some("cwd") => bases.iter().map(|base| base.join(parts.as_path())).collect(),
        Some("root") => vec![Path::new("/").join(parts.as_path())],
        _ => Vec::new(),
    }
}

fn may_be_a_path(class: Option<Class>) -> bool {
    match class {
        None
        | Some(Class::TargetPath | Class::Selector | Class::Command | Class::Attachments | Class::DestUrl) => {
            true
        }
        Some(_) => false,
    }
}

fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
