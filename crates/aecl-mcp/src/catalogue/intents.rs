//! The words by which a goal would ask for a tool, or for one of its choices: what its name says, and what people say for it.

use super::verbs;
use aecl_kernel::define::catalogue::flow::Intent;
use aecl_kernel::define::catalogue::{Effect, infer};
use serde_json::Value;
use std::collections::BTreeSet;

/// What people say for verbs of tools. Nothing here is graver than what it stands for, and none of it is a word that a goal has for
/// other things: who says "get", "put" or "tell me" asks for no change by it.
#[rustfmt::skip]
const SAID: &[&[&str]] = &[
    &["activate", "enable"],
    &["add", "create", "insert", "make"],
    &["adjust", "change", "edit", "modify", "patch", "set", "update"],
    &["assign", "reassign"],
    &["bounce", "reboot", "reload", "restart"],
    &["buy", "order", "purchase"],
    &["clone", "copy", "duplicate"],
    &["close", "complete", "finish", "resolve"],
    &["comment", "reply", "respond"],
    &["deactivate", "disable"],
    &["decline", "reject"],
    &["decrease", "increase", "resize", "scale"],
    &["delete", "erase", "remove"],
    &["email", "forward", "mail", "message", "notify", "post", "send", "write"],
    &["flag", "label", "mark", "tag"],
    &["halt", "pause", "stop", "suspend"],
    &["launch", "resume", "start"],
    &["restore", "revert", "rollback", "undo"],
    &["move", "transfer"],
    &["update", "upgrade"],
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
    // The catalogue's own guess knows the nouns; its verbs are for those who name tools themselves.
    let mut intent = infer::intent(&ordered.join("_"), effect, profile);
    intent.strong.clear();
    intent.weak = verb.into_iter().map(str::to_owned).collect();
    let said = SAID.iter().filter(|group| verb.is_some_and(|verb| group.contains(&verb)));
    intent.weak.extend(said.flat_map(|group| group.iter().map(|word| (*word).to_owned())));
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
        assert!(asks("Change the crate limit", "depot_set_crate"));
        assert!(asks("Resize bay 4", "depotctl_resize"));
        assert!(asks("Scale the rack", "depotctl_scale"));
        for name in ["depot_delete_crate", "depot_order_crate", "depot_cancel_crate", "depot_archive_crate"] {
            for goal in [
                "Get the crate and weigh it",
                "Drop me a line about the crate",
                "Clear up where the crate is",
                "Call the owner of the crate",
                "Put the crate on the list",
                "Tell me about the crate",
            ] {
                assert!(!asks(goal, name), "{name}: {goal}");
            }
        }
        assert!(asks("Remove the crate", "depot_delete_crate"));
        assert!(!asks("Show me the conveyor", "depotctl_restart_conveyor"));
        assert!(!asks("Stop the conveyor", "depotctl_terminate_conveyor"));
        assert!(!asks("Do not restart the conveyor", "depotctl_restart_conveyor"));
        assert!(!asks("Restart the conveyor", "depotctl_restart_crane"));
    }
}
