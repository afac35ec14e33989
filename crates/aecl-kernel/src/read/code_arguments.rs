//! What runs: an argument that is SQL or a command line is read, and what it would do is a fact for rules,
//! risk and people.
//!
//! **Invariant:** what is not understood is the worst. No reading here loosens a decision.

pub mod shell;
pub mod sql;

use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Argument, Class};
use serde_json::Value;

/// Most values that are read in one action.
const VALUES_MAX: usize = 64;

/// Argument that is code, and what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeArgument {
    /// JSON pointer to it, with `*` where the manifest has one.
    pub at: String,
    /// The manifest says that it runs; otherwise its name suggests it.
    pub declared: bool,
    /// What it would do.
    pub code: ParsedCode,
}

/// Code, understood as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedCode {
    /// SQL.
    Sql(sql::Sql),
    /// A command line.
    Command(shell::CommandLine),
}

impl CodeArgument {
    /// In words, one line for each thing that it would do.
    pub fn words(&self) -> Vec<String> {
        match &self.code {
            ParsedCode::Sql(sql) => sql.words(),
            ParsedCode::Command(line) => line.words(),
        }
    }

    /// Whether it is known to change nothing.
    pub fn only_looks(&self) -> bool {
        match &self.code {
            ParsedCode::Sql(sql) => sql.effect() == sql::SqlEffect::Read,
            ParsedCode::Command(line) => line.simple(),
        }
    }
}

/// Everything among the arguments that runs. They fit the schema.
pub fn find(typed: &TypedAction, arguments: &Value) -> Vec<CodeArgument> {
    let mut out = Vec::new();
    for (pattern, argument) in typed.roles.iter().filter(|(_, a)| is_run(a.class)) {
        let declared =
            typed.manifest.args.keys().any(|name| crate::define::catalogue::pointer_of(name) == pattern);
        // `code` and `script` are guesses; only where programs are run they are good ones.
        if !declared && argument.class == Class::Command && !runs_programs(typed) {
            continue;
        }
        let parsed = |code| CodeArgument { at: pattern.to_owned(), declared, code };
        let mut found = Vec::new();
        values(arguments, &pattern.split('/').skip(1).collect::<Vec<_>>(), &mut found);
        if found.len() > VALUES_MAX {
            out.push(parsed(too_many(argument.class)));
            continue;
        }
        out.extend(found.into_iter().map(|value| parsed(read(pattern, argument, value))));
    }
    out
}

fn is_run(class: Class) -> bool {
    matches!(class, Class::QuerySql | Class::Command)
}

fn runs_programs(typed: &TypedAction) -> bool {
    typed.manifest.effect == crate::define::catalogue::Effect::Execute
}

fn read(pattern: &str, argument: &Argument, value: &Value) -> ParsedCode {
    match (argument.class, value) {
        (Class::QuerySql, Value::String(text)) => ParsedCode::Sql(sql::read(text, argument.dialect)),
        (Class::QuerySql, _) => ParsedCode::Sql(sql::Sql::unread("it is no text")),
        (_, Value::Array(items)) if names_several(pattern) => ParsedCode::Command(shell::read_each(items)),
        _ => ParsedCode::Command(shell::read(value)),
    }
}

/// Whether a list of this name holds several commands, and not one with its words: `commands`, `scripts`.
fn names_several(pattern: &str) -> bool {
    let name = pattern.rsplit('/').next().unwrap_or_default();
    let words = crate::define::catalogue::infer::words(name);
    words
        .iter()
        .any(|word| ["commands", "cmds", "lines", "scripts", "programs", "codes"].contains(&word.as_str()))
}

fn too_many(class: Class) -> ParsedCode {
    let why = format!("there are more than {VALUES_MAX} of them");
    match class {
        Class::QuerySql => ParsedCode::Sql(sql::Sql::unread(why)),
        _ => ParsedCode::Command(shell::CommandLine { commands: Vec::new(), unread: Some(why) }),
    }
}

/// The values at a pointer in which `*` stands for any step; one more than is read at most. What is absent
/// or null does not run.
fn values<'a>(here: &'a Value, steps: &[&str], out: &mut Vec<&'a Value>) {
    if out.len() > VALUES_MAX {
        return;
    }
    let Some((step, rest)) = steps.split_first() else {
        if !here.is_null() {
            out.push(here);
        }
        return;
    };
    match here {
        Value::Object(map) if *step == "*" => map.values().for_each(|v| values(v, rest, out)),
        Value::Array(items) if *step == "*" => items.iter().for_each(|v| values(v, rest, out)),
        Value::Object(map) => {
            if let Some(next) = map.get(&step.replace("~1", "/").replace("~0", "~")) {
                values(next, rest, out);
            }
        }
        Value::Array(items) => {
            if let Some(next) = step.parse().ok().and_then(|i: usize| items.get(i)) {
                values(next, rest, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Text from outside, as a sentence may show it: one line, nothing invisible, at most `longest` characters.
fn plain(text: &str, longest: usize) -> String {
    let shown = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let shown = shown.filter(|c| !c.is_control() && !crate::base::text::is_invisible(*c));
    let mut out: String = shown.take(longest).collect();
    if text.chars().count() > longest {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_a_list_holds_commands_or_words() {
        for name in ["/commands", "/steps/*/scripts", "/shell_commands", "/cmds"] {
            assert!(names_several(name), "{name}");
        }
        for name in ["/command", "/argv", "/args", "/program"] {
            assert!(!names_several(name), "{name}");
        }
    }
}
