//! How an action is undone, as far as the names of its catalogue tell.

use super::Suggestion;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::infer::words;
use aecl_kernel::policy::bundle::Bundle;
use serde_json::{Map, Value, json};

/// Verbs of which the second undoes the first.
#[rustfmt::skip]
const PAIRS: &[(&str, &str)] = &[
    ("activate", "deactivate"), ("add", "remove"), ("archive", "unarchive"), ("assign", "unassign"), ("attach", "detach"),
    ("block", "unblock"), ("close", "reopen"), ("create", "delete"), ("disable", "enable"), ("enable", "disable"),
    ("follow", "unfollow"), ("grant", "revoke"), ("hide", "unhide"), ("install", "uninstall"), ("join", "leave"),
    ("like", "unlike"), ("link", "unlink"), ("lock", "unlock"), ("mount", "unmount"), ("mute", "unmute"), ("pause", "resume"),
    ("pin", "unpin"), ("publish", "unpublish"), ("register", "unregister"), ("reopen", "close"), ("resume", "pause"),
    ("share", "unshare"), ("star", "unstar"), ("start", "stop"), ("subscribe", "unsubscribe"), ("unarchive", "archive"),
    ("unlock", "lock"), ("unmute", "mute"), ("unpin", "pin"), ("unstar", "star"),
];

/// An action of the same server whose name differs by the opposite verb, and that takes nothing but what this one took or
/// has answered. `issues`: whether each answer has an id at a place.
pub(super) fn compensation(
    bundle: &Bundle,
    typed: &TypedAction,
    was_done: impl Fn(&str) -> bool,
    issues: impl Fn(&str) -> bool,
) -> Option<Suggestion> {
    let manifest = &typed.manifest;
    let name = manifest.name.as_str();
    let is_light = manifest.severity() < 3 && manifest.effect.changes_something();
    let is_final = is_light && manifest.compensation.is_none();
    let (server, tool) = name.rsplit_once('.').filter(|_| is_final && typed.manifest.cases.is_empty())?;
    let other = PAIRS.iter().filter(|(verb, _)| words(tool).iter().any(|word| word == verb)).find_map(
        |(verb, back)| {
            let named = format!("{server}.{}", tool.replacen(verb, back, 1));
            bundle.catalogue().find(&named).filter(|it| {
                was_done(&named) && it.manifest.connector == connector_of(manifest, &it.manifest)
            })
        },
    )?;
    let properties =
        |of: &TypedAction| of.manifest.arguments.get("properties").and_then(Value::as_object).cloned();
    let own = properties(typed).unwrap_or_default();
    let theirs = properties(other).unwrap_or_default();
    let required = other.manifest.arguments.get("required").and_then(Value::as_array);
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut arguments = Map::new();
    for argument in theirs.keys() {
        let is_needed = required.contains(&argument.as_str());
        if own.contains_key(argument) {
            arguments.insert(argument.clone(), json!({ "from": "arguments", "at": format!("/{argument}") }));
        } else if is_needed {
            let places = [format!("/{argument}"), "/id".to_owned()];
            let at = places.iter().find(|place| argument.ends_with("id") && issues(place))?;
            arguments.insert(argument.clone(), json!({ "from": "result", "at": at }));
        }
    }
    let told = |(name, from): (&String, &Value)| {
        let text = |key: &str| from.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("`{name}` from its {} ({})", text("from"), text("at"))
    };
    let how: Vec<String> = arguments.iter().map(told).collect();
    let back = other.manifest.name.as_str();
    Some(Suggestion {
        action: name.to_owned(),
        key: "compensation",
        value: json!({ "action": back, "arguments": arguments }),
        loosens: true,
        why: format!(
            "`{back}` is its opposite by name and takes {}; nobody has tried whether it undoes all of it. With it, no call is asked about for being final: in a run that has read no stranger it passes whatever it is",
            how.join(", ")
        ),
    })
}

/// The connector that the other one has if it is a tool of the same server.
fn connector_of(
    own: &aecl_kernel::define::catalogue::ActionManifest,
    other: &aecl_kernel::define::catalogue::ActionManifest,
) -> Value {
    let mut connector = own.connector.clone();
    if let (Some(Value::String(tool)), Some(theirs)) =
        (connector.get_mut("tool"), other.connector.get("tool"))
    {
        *tool = theirs.as_str().unwrap_or_default().to_owned();
    }
    connector
}
