//! One page of a list, as a server gave it and as a client gets it.

use super::negotiated::Negotiated;
use super::wire::{INTERNAL_ERROR, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::LISTED_MAX;
use serde_json::value::RawValue;

/// Member of a list's result in which the items stand.
pub(super) fn key(method: &str) -> &'static str {
    match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        _ => "resourceTemplates",
    }
}

/// The items of a page, each in its own bytes.
pub(super) fn items<'a>(result: &'a RawValue, key: &str) -> Result<Vec<&'a RawValue>, Refusal> {
    let garbage =
        |why: String| Refusal::new(INTERNAL_ERROR, format!("the server's list cannot be read: {why}"));
    let mut found: std::collections::HashMap<String, &RawValue> =
        serde_json::from_str(result.get()).map_err(|error| garbage(error.to_string()))?;
    let list = found.remove(key).ok_or_else(|| garbage(format!("it has no `{key}`")))?;
    let listed: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|error| garbage(error.to_string()))?;
    match listed.len() <= LISTED_MAX {
        true => Ok(listed),
        false => Err(garbage(format!("more than {LISTED_MAX} `{key}` in a page"))),
    }
}

/// Where a list goes on, if it does.
pub(super) fn next_cursor(result: &RawValue) -> Option<Box<RawValue>> {
    members_of(Some(result)).ok()?.take("nextCursor").filter(|cursor| cursor.get() != "null")
}

/// The members of a list's items that clients are shown. Icons and `_meta` are not among them, nor what no revision
/// knows.
pub(super) fn members_shown(method: &str) -> &'static [&'static str] {
    match method {
        "prompts/list" => &["name", "title", "description", "arguments"],
        _ => &["uri", "uriTemplate", "name", "title", "description", "mimeType", "size", "annotations"],
    }
}

/// The members of a list that clients are shown, beside its items.
const PAGE: [&str; 4] = ["nextCursor", "resultType", "ttlMs", "cacheScope"];

/// The result with these items in the place of its own.
pub(super) fn replaced(
    result: &RawValue,
    key: &str,
    kept: &[Box<RawValue>],
) -> Result<Box<RawValue>, Refusal> {
    let mut members = members_of(Some(result)).map_err(|why| Refusal::new(INTERNAL_ERROR, why))?;
    members.0.retain(|(name, _)| name == key || PAGE.contains(&name.as_str()));
    let list: Vec<&str> = kept.iter().map(|item| item.get()).collect();
    members.set(key, raw(format!("[{}]", list.join(","))));
    Ok(members.raw())
}

/// What an agent may see differs from agent to agent, so no list may be kept for others.
pub(super) fn with_privacy(result: Box<RawValue>, way: Negotiated) -> Box<RawValue> {
    match (way, members_of(Some(&result))) {
        (Negotiated::Modern, Ok(mut members)) => {
            if members.get("resultType").is_none() {
                members.set("resultType", raw(quoted("complete")));
            }
            members.set("ttlMs", raw("0".into()));
            members.set("cacheScope", raw(quoted("private")));
            members.raw()
        }
        _ => result,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_page_without_measure_is_refused() {
        let page = |count: usize| raw(format!(r#"{{"prompts":[{}]}}"#, vec!["{}"; count].join(",")));
        assert_eq!(items(&page(LISTED_MAX), "prompts").unwrap().len(), LISTED_MAX);
        assert!(items(&page(LISTED_MAX + 1), "prompts").is_err());
    }
}
