//! Whether a client knows tasks, and what is said about them to it and to the servers behind.

use super::meta::stated;
use super::negotiated::Negotiated;
use super::wire::{Members, members_of, raw, raw_value};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Under which name the stateless era knows tasks.
pub(super) const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The revision of the older era that knows them.
const SINCE: &str = "2025-11-25";

/// Whether the client of a stateless request says that it knows tasks.
pub(super) fn knows_tasks(meta: &Members) -> bool {
    let said = stated(meta, "clientCapabilities");
    let said = said.and_then(|said| serde_json::from_str::<Value>(said.get()).ok());
    said.is_some_and(|said| said.pointer("/extensions").is_some_and(|all| all.get(EXTENSION).is_some()))
}

/// Whether a client of the older era says in its `initialize` that it knows tasks.
pub(super) fn are_declared(params: &Members) -> bool {
    let said = members_of(params.get("capabilities")).ok();
    said.is_some_and(|said| said.get("tasks").is_some_and(|tasks| tasks.get().starts_with('{')))
}

/// The same capabilities without tasks: those of the servers behind are not relayed, so that no server
/// answers with one.
pub(super) fn without_tasks(capabilities: &RawValue) -> Option<Box<RawValue>> {
    let mut members = members_of(Some(capabilities)).ok()?;
    let mut extensions = members_of(members.get("extensions")).ok()?;
    extensions.take(EXTENSION)?;
    members.set("extensions", extensions.raw());
    Some(members.raw())
}

/// Whether clients of this revision can ask for tasks.
pub(super) fn are_known_in(version: &str) -> bool {
    // Revisions are dates.
    version >= SINCE
}

/// What a server says about itself, with tasks among what it can do.
pub(super) fn announced(hello: &RawValue, way: Negotiated) -> Box<RawValue> {
    let (path, value): (&[&str], _) = match way {
        Negotiated::Legacy => (
            &["capabilities", "tasks"],
            json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}),
        ),
        Negotiated::Modern => (&["capabilities", "extensions", EXTENSION], json!({})),
    };
    put_in(hello, path, &value)
}

/// A tool that may be called as a task. What the server says about that stays.
pub(super) fn offered_as_task(tool: &RawValue) -> Box<RawValue> {
    let said = members_of(Some(tool)).ok();
    let execution = said.as_ref().and_then(|tool| members_of(tool.get("execution")).ok());
    if execution.is_some_and(|execution| execution.get("taskSupport").is_some()) {
        return tool.to_owned();
    }
    put_in(tool, &["execution", "taskSupport"], &json!("optional"))
}

/// The same object with a value at this path; what is no object on the way is left as it is.
pub(super) fn put_in(object: &RawValue, path: &[&str], value: &Value) -> Box<RawValue> {
    let Some((name, rest)) = path.split_first() else { return raw_value(value) };
    let Ok(mut members) = members_of(Some(object)) else { return object.to_owned() };
    let inner = members.get(name).map_or_else(|| raw("{}".into()), ToOwned::to_owned);
    members.set(name, put_in(&inner, rest, value));
    members.raw()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_added_leaves_the_rest_as_it_is() {
        let tool = raw(r#"{"name":"t","strange": 1.50,"execution":{"other":[ ]}}"#.into());
        let told = offered_as_task(&tool);
        assert_eq!(
            told.get(),
            r#"{"name":"t","strange":1.50,"execution":{"other":[ ],"taskSupport":"optional"}}"#
        );
        let never = raw(r#"{"name":"t", "execution":{"taskSupport":"forbidden"}}"#.into());
        assert_eq!(offered_as_task(&never).get(), never.get());
        let hello = raw(r#"{"capabilities":{"tools":{}},"n":12345678901234567890123}"#.into());
        let told = announced(&hello, Negotiated::Modern);
        assert_eq!(
            told.get(),
            r#"{"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"n":12345678901234567890123}"#
        );
    }

    #[test]
    fn servers_behind_do_not_hear_of_tasks() {
        let said =
            raw(r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}},"elicitation":{}}"#.into());
        assert_eq!(without_tasks(&said).unwrap().get(), r#"{"extensions":{"x":{}},"elicitation":{}}"#);
        assert!(without_tasks(&raw(r#"{"extensions":{"x":{}}}"#.into())).is_none());
        assert!(without_tasks(&raw("{}".into())).is_none());
    }
}
