//! A change of a bundle's files, in memory: what a line of policy would be if it were written.

use aecl_kernel::base::id::AgentId;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use serde_json::{Map, Value};

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// A key of an entry, or of a file that is one entry; without a value it is taken out.
    Set {
        /// The file, which is written if there is none.
        file: String,
        /// Key and value that name the entry in a file of several.
        entry: Option<(&'static str, String)>,
        /// Members and positions that lead to the place.
        path: Vec<String>,
        /// What is put there.
        value: Option<Value>,
    },
    /// A rule is taken out, by its id.
    Rule(String),
}

/// The entry of this name, with its file.
pub(super) fn entry(sources: &[Source], folder: &str, key: &str, name: &str) -> Option<(String, Value)> {
    sources.iter().filter(|source| source.path.starts_with(folder)).find_map(|source| {
        let items = match serde_json::from_str(&source.text).ok()? {
            Value::Array(items) => items,
            one => vec![one],
        };
        let found = items.into_iter().find(|item| item.get(key).and_then(Value::as_str) == Some(name));
        found.map(|found| (source.path.clone(), found))
    })
}

/// The bundle with these changes, for one agent: the others cost time and say nothing. Its examples are not tried: they
/// say what was meant before.
pub(super) fn apply(bundle: &Bundle, edits: &[Edit], agent: &AgentId) -> Option<Bundle> {
    let mut sources = bundle.sources().to_vec();
    for edit in edits {
        match edit {
            Edit::Set { file, entry, path, value } => {
                if !sources.iter().any(|source| source.path == *file) {
                    sources.push(Source { path: file.clone(), text: Value::Object(Map::new()).to_string() });
                }
                let source = sources.iter_mut().find(|source| source.path == *file)?;
                let mut all: Value = serde_json::from_str(&source.text).ok()?;
                put(named(&mut all, entry.as_ref())?, path, value.as_ref())?;
                source.text = all.to_string();
            }
            Edit::Rule(id) => {
                let file = id.split_once('#')?.0;
                let rules = bundle.policies().own_rules().iter();
                let rest = rules.filter(|(other, _)| *other != id && other.split('#').next() == Some(file));
                let rest: Vec<&str> = rest.map(|(_, rule)| rule.text.as_str()).collect();
                sources.iter_mut().find(|source| source.path == file)?.text = rest.join("\n");
            }
        }
    }
    sources.retain(|source| !source.path.starts_with("examples/") && !source.path.starts_with("properties/"));
    for source in sources.iter_mut().filter(|source| source.path.starts_with("agents/")) {
        if let Ok(Value::Array(mut all)) = serde_json::from_str(&source.text) {
            all.retain(|one| one.get("agent_id").and_then(Value::as_str) == Some(agent.as_str()));
            source.text = Value::Array(all).to_string();
        }
    }
    Bundle::assemble(sources).ok().map(|assembled| assembled.bundle)
}

fn named<'a>(all: &'a mut Value, entry: Option<&(&'static str, String)>) -> Option<&'a mut Value> {
    let Some((key, name)) = entry else { return Some(all) };
    match all {
        Value::Array(items) => {
            items.iter_mut().find(|item| item.get(*key).and_then(Value::as_str) == Some(name))
        }
        one => Some(one),
    }
}

/// Puts a value where a path leads, with the objects that it takes to get there.
fn put(into: &mut Value, path: &[String], value: Option<&Value>) -> Option<()> {
    let (first, rest) = path.split_first()?;
    match (into, rest.is_empty()) {
        (Value::Object(members), true) => {
            match value {
                Some(value) => drop(members.insert(first.clone(), value.clone())),
                None => drop(members.remove(first)),
            }
            Some(())
        }
        (Value::Object(members), false) => {
            let below = members.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            put(below, rest, value)
        }
        (Value::Array(items), false) => put(items.get_mut(first.parse::<usize>().ok()?)?, rest, value),
        _ => None,
    }
}

/// A value as a line of YAML has it, which JSON's readers take, too.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{}: {}", plain(name), flow(value))).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// A text without quotation marks where no reader of YAML takes it for something else.
fn plain(text: &str) -> String {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(letters);
    let other = ["yes", "no", "on", "off", "true", "false", "null", "y", "n"];
    match word && !other.contains(&text.to_ascii_lowercase().as_str()) {
        true => text.to_owned(),
        false => Value::String(text.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_what_people_write() {
        for (value, line) in [
            (json!({"always": false, "unless_proven": true}), "{ always: false, unless_proven: true }"),
            (json!(["web", "on", "12", 12, "a b"]), r#"[web, "on", "12", 12, "a b"]"#),
            (json!({}), "{}"),
        ] {
            assert_eq!(flow(&value), line);
        }
    }

    #[test]
    fn a_place_that_is_not_there_is_made() {
        let mut into = json!({"cases": [{"when": {}}]});
        put(
            &mut into,
            &["cases".into(), "0".into(), "approval".into(), "always".into()],
            Some(&json!(false)),
        );
        assert_eq!(into, json!({"cases": [{"when": {}, "approval": {"always": false}}]}));
        assert!(put(&mut into, &["cases".into(), "7".into(), "x".into()], None).is_none());
    }
}
