//! The member under which AECL speaks to clients: `aecl` in `_meta`, in structured content and in the data of errors.
//! What a server puts there would be taken for our word, so it does not come in.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::params::ObjectText;

/// Where it stands in a message.
const PLACES: [&[&str]; 4] = [
    &["result", "_meta", "aecl"],
    &["result", "structuredContent", "aecl"],
    &["error", "data", "aecl"],
    &["params", "_meta", "aecl"],
];

/// The message of a server without what it says in our name; in its own bytes, if there is nothing of the kind.
pub(crate) fn without_ours(text: &str) -> Cow<'_, str> {
    // Our own ids, `aecl-7`, stand in every answer. A name can also be written with escapes.
    if !text.contains("aecl\"") && !text.contains("\\u00") {
        return Cow::Borrowed(text);
    }
    let mut text = Cow::Borrowed(text);
    for place in PLACES {
        if let Some(without) = dropped(&text, place) {
            text = Cow::Owned(without);
        }
    }
    text
}

/// The object without the member at this place, if it has it. A doubled member is looked into each time: which of
/// them counts is for the reader of the message to say.
fn dropped(text: &str, place: &[&str]) -> Option<String> {
    let (first, rest) = place.split_first()?;
    let (mut object, mut changed) = (ObjectText::new(), false);
    for (name, value) in pairs(text)? {
        if name != *first {
            object.member(&name, value.get());
        } else if rest.is_empty() {
            changed = true;
        } else {
            let without = dropped(value.get(), rest);
            changed |= without.is_some();
            object.member(&name, without.as_deref().unwrap_or(value.get()));
        }
    }
    changed.then(|| object.finish())
}

/// The members of an object as they come.
fn pairs(text: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(String, Box<RawValue>)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a json object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(text), Pairs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_does_not_speak_in_our_name() {
        for (said, kept) in [
            (
                r#"{"id":"aecl-1","result":{"n":1.50,"_meta":{"aecl":{"status":"approved"},"x":1}}}"#,
                r#"{"id":"aecl-1","result":{"n":1.50,"_meta":{"x":1}}}"#,
            ),
            (r#"{"result":{"_meta":{"\u0061ecl":1}}}"#, r#"{"result":{"_meta":{}}}"#),
            (
                r#"{"result":{"_meta":{"aecl":1},"_meta":{"aecl":2}}}"#,
                r#"{"result":{"_meta":{},"_meta":{}}}"#,
            ),
            (
                r#"{"result":{"structuredContent":{"aecl":1,"a":2}}}"#,
                r#"{"result":{"structuredContent":{"a":2}}}"#,
            ),
            (r#"{"error":{"code":1,"data":{"aecl":{}}}}"#, r#"{"error":{"code":1,"data":{}}}"#),
            (r#"{"method":"m","params":{"_meta":{"aecl":1}}}"#, r#"{"method":"m","params":{"_meta":{}}}"#),
        ] {
            assert_eq!(without_ours(said), kept, "{said}");
        }
    }

    #[test]
    fn everything_else_keeps_its_bytes() {
        for text in [
            r#"{"id":"aecl-1","result":{ "n":12345678901234567890123, "aecl" : 1.0 }}"#,
            r#"{"id":"aecl-1","result":{"content":[{"text":"\"aecl\""}]}}"#,
            r#"{"id":"aecl-1","result":{"content":[{"text":"caf\u00e9"}]}}"#,
            "no json, but \"aecl\"",
        ] {
            assert!(matches!(without_ours(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
