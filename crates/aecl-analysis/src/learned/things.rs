//! Which read of the catalogue tells about the thing that an action acts on.

use super::Suggestion;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::infer::words;
use aecl_kernel::policy::bundle::Bundle;
use serde_json::{Map, Value, json};

/// Verbs of reads that bring one thing.
const BRING: [&str; 5] = ["get", "read", "describe", "retrieve", "show"];
/// As many attributes are proposed, of at least so many.
const ATTRIBUTES_MAX: usize = 16;
const ATTRIBUTES_MIN: usize = 2;

/// A read of the same server that takes one id which this action takes, too, and whose name is of the same thing. `attributes`:
/// what of its answers rules could look at.
pub(super) fn resource(
    bundle: &Bundle,
    typed: &TypedAction,
    attributes: impl Fn(&str) -> Vec<(String, &'static str)>,
) -> Option<Suggestion> {
    let manifest = &typed.manifest;
    let name = manifest.name.as_str();
    let (server, tool) = name.rsplit_once('.')?;
    if !manifest.effect.changes_something() || manifest.resource.is_some() {
        return None;
    }
    let ids: Vec<&str> = typed
        .roles
        .iter()
        .filter(|(_, argument)| matches!(argument.class, Class::TargetId | Class::TargetName))
        .map(|(at, _)| at.trim_start_matches('/'))
        .collect();
    let own = words(tool);
    let found = bundle.catalogue().iter().find_map(|(read, it)| {
        let thing: Vec<String> = words(read.as_str().strip_prefix(server)?.strip_prefix('.')?);
        let (verb, thing) = thing.split_first()?;
        let same = !thing.is_empty() && thing.iter().all(|word| own.contains(word));
        let required = it.manifest.arguments.get("required").and_then(Value::as_array)?;
        let [Value::String(takes)] = required.as_slice() else { return None };
        let given = ids.iter().find(|id| *id == takes || (takes == "id" && id.ends_with("id")))?;
        let is_read = !it.manifest.effect.changes_something() && it.manifest.resource.is_none();
        (is_read && same && BRING.contains(&verb.as_str()))
            .then(|| (read.as_str().to_owned(), thing.to_vec(), takes.clone(), (*given).to_owned()))
    })?;
    let (read, thing, takes, given) = found;
    let mut named = Map::new();
    for (path, kind) in attributes(&read) {
        let attribute = words(&path).join("_");
        if named.len() < ATTRIBUTES_MAX {
            named.insert(attribute, json!({ "at": path, "type": kind, "optional": true }));
        }
    }
    if named.len() < ATTRIBUTES_MIN {
        return None;
    }
    let capital = |word: &String| {
        word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>()
    };
    let told: Vec<String> = named.keys().map(|name| format!("`{name}`")).collect();
    Some(Suggestion {
        action: name.to_owned(),
        key: "resource",
        why: format!(
            "`{read}` brings what `{given}` names, with {}; rules see it as `resource`, at the cost of a look-up for each call",
            told.join(", ")
        ),
        value: json!({
            "type": thing.iter().map(capital).collect::<String>(),
            "read": read,
            "arguments": { takes: { "from": "arguments", "at": format!("/{given}") } },
            "attributes": named,
            "missing": "ask",
        }),
        loosens: false,
    })
}
