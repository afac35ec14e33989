//! A tool that does several things, by what one argument says: what each of its choices does is a case of the entry.

use super::verbs::{self, Does};
use aecl_kernel::define::catalogue::infer;
use serde_json::{Map, Value, json};

/// A case that looks only may depend on at most so many other arguments to be left out.
const LEFT_OUT_MAX: usize = 8;
/// More choices than this are no list of what a tool does.
const OPTIONS_MAX: usize = 32;

/// Verbs of tools that do what an argument says.
const RUNS: [&str; 6] = ["call", "exec", "execute", "manage", "perform", "run"];

/// The argument by which a caller says what is done.
pub(super) struct Chooser<'a> {
    /// The argument's name.
    pub name: &'a str,
    /// What it may be.
    pub options: Vec<&'a str>,
}

impl<'a> Chooser<'a> {
    /// Looks for it: it is called so, lists what it may be, and at least half of that are verbs.
    pub fn of(schema: &'a Value) -> Option<Self> {
        let arguments = schema.get("properties")?.as_object()?;
        arguments.iter().filter(|(name, _)| verbs::is_called_choice(name)).find_map(|(name, argument)| {
            let options = argument.get("enum")?.as_array()?;
            let options: Vec<&str> = options.iter().map(Value::as_str).collect::<Option<_>>()?;
            let verbs = options.iter().filter(|option| verbs::does(option) != Does::Unknown).count();
            let fits = (1..=OPTIONS_MAX).contains(&options.len()) && verbs > 0 && verbs * 2 >= options.len();
            fits.then_some(Self { name, options })
        })
    }

    /// The cases: what looks only, provided that nothing else is said which makes it a change, and each change by itself, since
    /// a goal asks for it by its own word. `own` is the tool's name: what runs there is what was
    /// chosen; `said` what it says of itself.
    pub fn cases(&self, schema: &Value, own: &str, said: &str) -> Vec<Value> {
        let about = schema.pointer(&format!("/properties/{}/description", self.name)).and_then(Value::as_str);
        let about = about.unwrap_or_default();
        let (reads, changes): (Vec<&str>, Vec<&str>) = self
            .options
            .iter()
            .partition(|option| verbs::does(option) == Does::Read && !is_said_to_change(about, option));
        let mut cases = Vec::new();
        if let Some(left_out) = self.left_out(schema)
            && !reads.is_empty()
        {
            let mut when = Map::from_iter([(self.name.to_owned(), json!(reads))]);
            when.extend(left_out);
            cases.push(json!({ "when": when, "effect": "read", "idempotency": "pure" }));
        }
        let about: Vec<String> =
            verbs::words(own).into_iter().filter(|word| !RUNS.contains(&word.as_str())).collect();
        let about = about.join("_");
        cases.extend(changes.iter().map(|option| {
            let effect = verbs::does(option).changes();
            let name = format!("{option}_{about}");
            let severity = if verbs::is_grave(&name, said) { 3 } else { infer::severity(&name, effect) };
            json!({ "when": { self.name: option }, "effect": effect, "severity": severity })
        }));
        cases
    }

    /// The other arguments that would make a change of what looks only, as they are where they do not.
    fn left_out(&self, schema: &Value) -> Option<Map<String, Value>> {
        let arguments = schema.get("properties")?.as_object()?;
        let mut out = Map::new();
        for (name, argument) in arguments.iter().filter(|(name, _)| *name != self.name) {
            // What it refers to stands in the schema.
            let mut alone = schema.clone();
            let only = Map::from_iter([(name.clone(), argument.clone())]);
            if let Value::Object(members) = &mut alone {
                members.retain(|key, _| ["$defs", "definitions"].contains(&key.as_str()));
                members.insert("properties".into(), Value::Object(only));
            }
            if is_open(argument) || verbs::argument_changes(&alone).is_some() {
                let is_switch = argument.get("type").and_then(Value::as_str) == Some("boolean");
                out.insert(name.clone(), if is_switch { json!([null, false]) } else { Value::Null });
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let is_needed = required.filter_map(Value::as_str).any(|name| out.contains_key(name));
        (out.len() <= LEFT_OUT_MAX && !is_needed).then_some(out)
    }
}

/// Whether nobody says what an argument is made of: an object may hold another order.
fn is_open(argument: &Value) -> bool {
    let kind = argument.get("type").and_then(Value::as_str);
    let is_listed = argument.get("enum").or_else(|| argument.get("const")).is_some();
    match kind {
        Some("object") => argument.get("properties").is_none(),
        Some("array") => argument.get("items").is_none_or(is_open),
        Some(_) => false,
        None => !is_listed,
    }
}

/// Whether what is said of the choices names a change in the same breath as this one.
fn is_said_to_change(about: &str, option: &str) -> bool {
    let clauses = about.split([',', ';', '.', '\n', '(', ')', '|']);
    let says = |clause: &&str| {
        let said = verbs::words(clause);
        let is_option = |word: &String| verbs::words(option).contains(word);
        said.iter().any(is_option) && said.iter().any(|word| !is_option(word) && verbs::is_change(word))
    };
    clauses.into_iter().any(|clause| says(&clause))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn cases(schema: &Value) -> Vec<Value> {
        Chooser::of(schema).map(|chooser| chooser.cases(schema, "manage_thing", "")).unwrap_or_default()
    }

    #[test]
    fn what_looks_only_is_a_case_and_each_change_another() {
        let schema = json!({"type": "object", "properties": {
            "operation": {"type": "string", "enum": ["list", "get_stats", "rename", "remove"]},
            "name": {"type": "string"}}});
        let cases = cases(&schema);
        assert_eq!(cases[0]["when"], json!({"operation": ["list", "get_stats"]}));
        assert_eq!(cases[0]["effect"], "read");
        assert_eq!(cases[1], json!({"when": {"operation": "rename"}, "effect": "write", "severity": 2}));
        assert_eq!(cases[2], json!({"when": {"operation": "remove"}, "effect": "delete", "severity": 2}));
        assert_eq!(cases.len(), 3);
    }

    #[test]
    fn what_would_change_something_beside_a_look_is_left_out_of_it() {
        let schema = json!({"type": "object", "properties": {
            "action": {"type": "string", "enum": ["status", "start"]},
            "delete_after": {"type": "boolean"}, "script": {"type": "string"}, "name": {"type": "string"}}});
        let when = json!({"action": ["status"], "delete_after": [null, false], "script": null});
        assert_eq!(cases(&schema)[0]["when"], when);
        // Where it has to be said, nothing looks only.
        let mut needed = schema;
        needed["required"] = json!(["action", "script"]);
        assert_eq!(cases(&needed), [json!({"when": {"action": "start"}, "effect": "write", "severity": 2})]);
    }

    #[test]
    fn a_look_takes_nothing_that_could_be_another_order() {
        let about = "list lists them and removes the stale ones, get gets one";
        let schema = json!({"type": "object", "properties": {
            "operation": {"type": "string", "enum": ["list", "get"], "description": about},
            "params": {"type": "object"}, "args": {"type": "array", "items": {"type": "string"}}, "any": {},
            "output_path": {"type": "string"}, "columns": {"type": "array", "items": {"type": "string"}}}});
        let when =
            json!({"operation": ["get"], "params": null, "args": null, "any": null, "output_path": null});
        assert_eq!(cases(&schema)[0]["when"], when);
    }

    #[test]
    fn what_is_no_list_of_doings_has_no_cases() {
        for schema in [
            json!({"properties": {"method": {"enum": ["btree", "hash", "gin"]}}}),
            json!({"properties": {"state": {"enum": ["open", "closed", "all"]}}}),
            json!({"properties": {"mode": {"enum": ["fast", "slow"]}}}),
            json!({"properties": {"visibility": {"enum": ["show", "hide"]}}}),
            json!({"properties": {"operation": {"type": "string"}}}),
            json!({"properties": {"operation": {"enum": ["list", 3]}}}),
            json!({"properties": {"operation": {"enum": []}}}),
            json!({"type": "object"}),
        ] {
            assert_eq!(cases(&schema), [] as [Value; 0], "{schema}");
        }
    }

    #[test]
    fn a_look_by_name_that_says_another_thing_is_none() {
        let schema = json!({"properties": {"command": {"enum": ["get_and_clear", "check_out", "history"]}}});
        assert_eq!(cases(&schema)[0]["when"], json!({"command": ["history"]}));
    }
}
