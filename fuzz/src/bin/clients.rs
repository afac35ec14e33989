//! Configurations of MCP clients, with comments and commas too many: only what is meant changes, and what is plain JSON
//! is read as another reader reads it.

#![no_main]

#[path = "../../../crates/aecl/src/cli/wrap/json.rs"]
mod json;

use json::{at, members, read, set, whole, without};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::ops::Range;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let theirs: Option<Value> = serde_json::from_str(text).ok();
    let Ok(place) = whole(text) else {
        assert!(theirs.is_none_or(|theirs| !is_shallow(&theirs, 60)), "plain JSON is not read");
        return;
    };
    if let Some(theirs) = &theirs {
        assert_eq!(read(text, &place).as_ref(), Some(theirs), "two readings");
        for (name, value) in theirs.as_object().into_iter().flatten() {
            let found = at(text, &[name]).expect("it was read").expect("it is there");
            assert_eq!(read(text, &found).as_ref(), Some(value), "two readings of `{name}`");
        }
    }
    if text.get(place.clone()).is_some_and(|text| text.starts_with('{')) {
        changes(text, &place, theirs.as_ref());
    }
});

const NAME: &str = "aecl";

fn changes(text: &str, place: &Range<usize>, theirs: Option<&Value>) {
    let Ok(before) = others(text, place) else { return };
    let value = json!({"command": "aecl", "args": ["mcp", "--", "\"\n"]});
    let changed = set(text, place, NAME, &value).expect("it was read");
    let now = whole(&changed).expect("what was changed is read");
    let found = at(&changed, &[NAME]).expect("it was read").expect("it was put there");
    assert_eq!(read(&changed, &found), Some(value.clone()), "something else was put there: {changed}");
    assert_eq!(others(&changed, &now).as_ref(), Ok(&before), "something else has changed: {changed}");
    if let Some(theirs) = theirs {
        let mut expected = theirs.clone();
        expected.as_object_mut().expect("an object").insert(NAME.to_owned(), value);
        assert_eq!(serde_json::from_str::<Value>(&changed).ok(), Some(expected), "{changed}");
    }
    let without = without(&changed, &now, NAME).expect("it was read");
    let now = whole(&without).expect("what was changed is read");
    assert_eq!(others(&without, &now).as_ref(), Ok(&before), "something else has changed: {without}");
}

/// What is not to change: names, and the text behind them.
fn others(text: &str, place: &Range<usize>) -> Result<Vec<(String, String)>, String> {
    let text_of = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default().to_owned();
    let all = members(text, place)?.into_iter().filter(|member| member.name != NAME);
    Ok(all.map(|member| (member.name, text_of(&member.value))).collect())
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Object(members) => members.values().all(|value| is_shallow(value, below)),
        Value::Array(items) => items.iter().all(|value| is_shallow(value, below)),
        _ => true,
    }
}
