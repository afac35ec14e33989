//! Functions of a program of the operator's as catalogue entries. No server defines them, so nothing is pinned: the program
//! is the operator's own, and a person runs the import.

use super::definition::{Annotations, Definition};
use super::desk::{Desk, name_of};
use super::disk::CatalogueError;
use super::files::{Imported, guessed};
use aecl_gate::config::Home;
use aecl_kernel::define::catalogue::Idempotency;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A function, as the library of its language describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The action's name.
    pub name: String,
    /// What it does, in the words of its author.
    #[serde(default)]
    pub description: String,
    /// JSON schema of its arguments.
    pub arguments: Value,
    /// By what it is carried out, if not by the process of the agent.
    #[serde(default)]
    pub connector: Option<Value>,
    /// Whether it can be found out what became of a call.
    #[serde(default)]
    pub idempotency: Option<Idempotency>,
}

impl Function {
    fn definition(&self) -> Result<Definition, String> {
        defined(&self.name, &self.description, &self.arguments)
    }

    /// The members of its entry that its program knows.
    fn carried(&self) -> Map<String, Value> {
        let known = [("connector", json!(self.connector)), ("idempotency", json!(self.idempotency))];
        known
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.into(), value))
            .collect()
    }
}

fn defined(name: &str, description: &str, arguments: &Value) -> Result<Definition, String> {
    Definition::of_pinned(json!({ "name": name, "description": description, "inputSchema": arguments }))
}

/// Takes functions into `policy/actions/FILE.json`: new ones with what their names suggest, known ones with the arguments that
/// they have now. What people have written about those stays.
///
/// # Errors
/// When files cannot be read or written, or the policy does not load as it is.
pub fn import_functions(home: &Home, file: &str, functions: &[Function]) -> Result<Imported, CatalogueError> {
    let desk = Desk::of(home, file)?;
    let mut report = Imported::default();
    let mut entries = desk.entries.clone();
    for function in functions {
        match taken(&desk, &mut entries, function) {
            Ok(Some((true, entry))) => {
                report.guessed.insert(function.name.clone(), guessed(&entry));
                report.added.push(function.name.clone());
            }
            Ok(Some((false, _))) => report.changed.push(function.name.clone()),
            Ok(None) => {}
            Err(why) => report.refused.push((function.name.clone(), why)),
        }
    }
    if entries != desk.entries {
        desk.write(&entries)?;
    }
    Ok(report)
}

/// Takes one function into the entries, which load with it or stay as they are. Gives its entry, and whether it is new, if it is
/// not there as it is already.
fn taken(
    desk: &Desk<'_>,
    entries: &mut Vec<Value>,
    function: &Function,
) -> Result<Option<(bool, Value)>, String> {
    let definition = function.definition()?;
    let place = entries.iter().position(|entry| name_of(entry) == function.name);
    let mut carried = function.carried();
    if place.and_then(|at| entries.get(at)).is_some_and(|entry| entry.get("connector").is_some()) {
        // By what it is carried out, and within which limits, is a person's choice by now.
        carried.remove("connector");
    }
    let fresh = definition.entry_of_function(carried)?;
    let entry = match place.and_then(|at| entries.get(at)).and_then(Value::as_object) {
        Some(before) => {
            let text = |key: &str| before.get(key).and_then(Value::as_str).unwrap_or_default();
            let arguments = before.get("arguments").cloned().unwrap_or_default();
            let guessed = defined(&function.name, text("description"), &arguments)
                .and_then(|it| it.entry_of_function(function.carried()));
            let reads = definition.reads("", Annotations::OnlyStricter);
            Definition::over(fresh, reads, before, guessed.ok().as_ref())?
        }
        None if desk.bundle.catalogue().find(&function.name).is_some() => {
            return Err(format!("another file of the policy has an action `{}`", function.name));
        }
        None => fresh,
    };
    let mut after = entries.clone();
    match place.and_then(|at| after.get_mut(at)) {
        Some(place) if *place == entry => return Ok(None),
        Some(place) => *place = entry.clone(),
        None => after.push(entry.clone()),
    }
    desk.compile(&after)?;
    *entries = after;
    Ok(Some((place.is_none(), entry)))
}
