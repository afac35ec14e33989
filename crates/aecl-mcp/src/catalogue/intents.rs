//! The words by which a goal would ask for a tool, or for one of its choices: what its name says, and what people say for it.

use super::verbs;
use aecl_kernel::define::catalogue::flow::Intent;
use aecl_kernel::define::catalogue::{Effect, infer};
use serde_json::Value;
use std::collections::BTreeSet;

/// What people say for verbs of tools, beside what the catalogue itself knows. Nothing here is graver than what it stands for:
/// who says "stop" means no end for good.
#[rustfmt::skip]
const SAID: &[(&[&str], &[&str])] = &[
    (&["apply", "install", "deploy"], &["add", "apply", "create", "deploy", "install", "put", "roll", "set"]),
    (&["approve", "accept", "confirm"], &["accept", "approve", "confirm", "sign"]),
    (&["archive"], &["away", "file", "move", "put", "tidy"]),
    (&["assign", "reassign"], &["assign", "delegate", "give", "hand", "make", "pass", "put", "reassign", "set"]),
    (&["buy", "order", "purchase"], &["buy", "get", "order", "purchase"]),
    (&["cancel"], &["call", "cancel", "drop"]),
    (&["close", "complete", "finish", "resolve"], &["close", "complete", "finish", "resolve", "settle"]),
    (&["comment", "reply", "respond"], &["add", "answer", "comment", "leave", "note", "reply", "respond", "say", "tell", "write"]),
    (&["copy", "duplicate", "clone"], &["clone", "copy", "duplicate"]),
    (&["create", "add", "insert"], &["build", "file", "introduce", "log", "note", "open", "prepare", "record", "start"]),
    (&["deactivate", "disable"], &["deactivate", "disable"]),
    (&["delete", "remove", "uninstall"], &["get", "kill", "retire", "throw", "uninstall", "wipe"]),
    (&["download"], &["download", "fetch", "get", "save", "store"]),
    (&["draft"], &["compose", "draft", "prepare", "put", "write"]),
    (&["enable", "activate"], &["activate", "enable"]),
    (&["label", "tag", "mark", "flag"], &["categorize", "flag", "label", "mark", "put", "set", "tag"]),
    (&["merge"], &["land", "merge"]),
    (&["move"], &["bring", "file", "put", "relocate", "shift", "take", "transfer"]),
    (&["patch", "update", "edit", "modify", "change", "set"], &[
        "bring", "bump", "enter", "give", "lower", "make", "mark", "patch", "put", "raise", "reduce", "switch", "turn",
    ]),
    (&["reject", "decline"], &["decline", "deny", "refuse", "reject"]),
    (&["rename"], &["call", "name", "rename"]),
    (&["reopen"], &["open", "reopen"]),
    (&["restart", "reboot", "reload"], &["bounce", "cycle", "reboot", "recycle", "reload", "restart"]),
    (&["resume", "start", "launch"], &["begin", "continue", "launch", "resume", "start"]),
    (&["scale", "resize"], &["bring", "decrease", "grow", "increase", "lower", "raise", "reduce", "resize", "scale", "shrink"]),
    (&["schedule", "book", "reserve"], &["get", "invite", "move", "set"]),
    (&["stop", "halt", "pause", "suspend"], &["halt", "pause", "shut", "stop", "suspend"]),
    (&["toggle"], &["flip", "switch", "toggle", "turn"]),
    (&["undo", "revert", "rollback", "restore"], &["back", "bring", "restore", "revert", "roll", "rollback", "undo"]),
    (&["upgrade"], &["bring", "bump", "move", "update", "upgrade"]),
    (&["upload"], &["add", "attach", "put", "save", "store", "upload"]),
];
/// Arguments that say of which kind the thing is.
const KINDS: [&str; 6] = ["category", "entity", "kind", "object", "resource", "type"];

/// The words for a name: of a tool without its server's, or of a choice before it. `schema` is of its arguments.
pub(super) fn intent(name: &str, effect: Effect, profile: bool, schema: &Value) -> Intent {
    let words = verbs::words(name);
    let verb = verbs::first_verb(&words);
    // What stands before the verb is how the server calls itself.
    let at = words.iter().position(|word| Some(word.as_str()) == verb).unwrap_or_default();
    let rest = words.get(at..).filter(|rest| rest.len() > 1).unwrap_or(&words);
    let ordered: Vec<&str> =
        verb.into_iter().chain(rest.iter().map(String::as_str).filter(|word| Some(*word) != verb)).collect();
    let mut intent = infer::intent(&ordered.join("_"), effect, profile);
    let said = SAID.iter().filter(|(verbs, _)| verb.is_some_and(|verb| verbs.contains(&verb)));
    intent.weak.extend(said.flat_map(|(_, said)| said.iter().map(|word| (*word).to_owned())));
    intent.objects.extend(kinds(schema));
    intent
}

/// The kinds of things that an argument lists.
fn kinds(schema: &Value) -> BTreeSet<String> {
    let arguments = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let of_kind = arguments
        .filter(|(name, _)| verbs::words(name).last().is_some_and(|last| KINDS.contains(&last.as_str())));
    let options = of_kind.filter_map(|(_, argument)| argument.get("enum")?.as_array()).flatten();
    options.filter_map(Value::as_str).flat_map(verbs::words).filter(|word| word.len() > 2).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use aecl_kernel::provenance::goal::{IntentMatch, ParsedGoal};
    use serde_json::json;

    fn asks(goal: &str, name: &str) -> bool {
        let schema = json!({"properties": {"shelfType": {"enum": ["bay", "pallet_rack"]}}});
        ParsedGoal::of(goal).asks(&intent(name, Effect::Write, false, &schema), false) != IntentMatch::No
    }

    #[test]
    fn a_goal_asks_by_the_verb_behind_the_name_of_the_server() {
        assert!(asks("Restart the conveyor please", "depotctl_restart_conveyor"));
        assert!(asks("Bounce the conveyor", "depotctl-restart-conveyor"));
        assert!(asks("Put the crate on hold and lower the crate limit", "depot_set_crate"));
        assert!(asks("Resize bay 4", "depotctl_resize"));
        assert!(asks("Scale the rack", "depotctl_scale"));
        assert!(!asks("Show me the conveyor", "depotctl_restart_conveyor"));
        assert!(!asks("Stop the conveyor", "depotctl_terminate_conveyor"));
        assert!(!asks("Do not restart the conveyor", "depotctl_restart_conveyor"));
        assert!(!asks("Restart the conveyor", "depotctl_restart_crane"));
    }
}
