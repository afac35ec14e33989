//! What clients and servers of MCP say: a message means to another reader of JSON what it means to us, and so does what is
//! written of it; a stream of events is the same however it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp::envelope::{self, Envelope, RawReply};
use mcp::sse::Events;
use mcp::{ours, params};
use serde_json::Value;
use serde_json::value::RawValue;

// The readers are compiled in from their files: the crates around them link TLS, and more.
#[allow(dead_code, reason = "the room itself needs more of them")]
#[path = "../../../crates/aecl-executor/src/connectors/mcp"]
mod mcp {
    pub mod envelope;
    pub mod ours;
    pub mod params;
    pub mod sse;
}

#[allow(dead_code, reason = "the room itself needs more of them")]
#[path = "../../../crates/aecl-mcp/src/http"]
mod http {
    pub mod message;

    /// In the place of one that is an answer over HTTP.
    mod refusal {
        pub struct Refusal;

        impl Refusal {
            pub fn parse(_: impl Into<String>) -> Self {
                Self
            }
            pub fn invalid(_: impl Into<String>) -> Self {
                Self
            }
            pub fn params(_: impl Into<String>) -> Self {
                Self
            }
            pub fn to(self, _: &serde_json::value::RawValue) -> Self {
                self
            }
        }
    }

    pub use laws::is_read_as;

    mod laws {
        use super::message::{Kind, Message, named};
        use crate::mcp::envelope::Envelope;
        use serde_json::Value;

        /// A body that is taken: the older reader and a stranger's find the same in it.
        pub fn is_read_as(body: &[u8], theirs: Option<&Value>) {
            let Ok(message) = Message::read(body) else { return };
            // Of a number without a size and half a sign of UTF-16 some say that they are none.
            let Some(theirs) = theirs else { return };
            let ours = Envelope::read(message.raw.get()).expect("one reader takes what the other refuses");
            let method = theirs.get("method").and_then(Value::as_str);
            assert_eq!(ours.method.as_deref(), method, "two methods");
            assert!(theirs.get("result").is_none() || method.is_none(), "a request that is an answer");
            if let Kind::Request { id, method: routed, .. } = &message.kind {
                assert_eq!(Some(&**routed), method, "it is routed by another method");
                assert_eq!(ours.id.map(|id| id.get()), Some(id.get()), "it is answered under another id");
                let id: Value = serde_json::from_str(id.get()).expect("an id is JSON");
                assert_eq!(theirs.get("id"), Some(&id), "two ids");
            }
            let Some(about) = message.about() else { return };
            let params = theirs.get("params");
            let member = method.and_then(named).map(|(_, member)| member);
            let name = member.and_then(|member| params?.get(member)?.as_str());
            assert_eq!(about.name.as_deref(), name, "it is about something else");
            let arguments: Option<Value> =
                about.arguments.as_ref().map(|raw| serde_json::from_str(raw.get()).expect("JSON"));
            assert_eq!(
                arguments.as_ref(),
                params.and_then(|params| params.get("arguments")),
                "two arguments"
            );
        }
    }
}

/// Deeper than this, nobody compares.
const DEPTH_MAX: usize = 40;

/// The longest event that is taken.
const EVENT_MAX_BYTES: usize = 4_096;

fuzz_target!(|bytes: &[u8]| {
    events(bytes);
    let theirs: Option<Value> = serde_json::from_slice(bytes).ok();
    http::is_read_as(bytes, theirs.as_ref());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let clean = ours::without_ours(text);
    assert_eq!(ours::without_ours(&clean), clean, "something in our name was left");
    if let Some(theirs) = &theirs {
        let theirs = without_ours(theirs);
        let clean: Value = serde_json::from_str(&clean).expect("what was JSON still is");
        if is_shallow(&theirs, DEPTH_MAX) {
            assert_eq!(clean, theirs, "more or less than our names is gone");
        }
    }
    message(text, theirs.as_ref());
    with_meta(text, theirs.as_ref());
});

fn message(text: &str, theirs: Option<&Value>) {
    let (Some(said), Some(theirs)) = (Envelope::read(text), theirs) else { return };
    assert_eq!(said.method.as_deref(), theirs.get("method").and_then(Value::as_str), "two methods");
    for (name, raw) in
        [("id", said.id), ("params", said.params), ("result", said.result), ("error", said.error)]
    {
        let theirs = theirs.get(name).filter(|value| !value.is_null());
        assert_eq!(raw.map(value).as_ref(), theirs, "two readings of `{name}`");
    }
    let written = [
        said.method.as_deref().map(|method| envelope::request(7, method, said.params)),
        said.method.as_deref().map(|method| envelope::notification(method, said.params)),
        said.id
            .zip(said.result)
            .map(|(id, result)| envelope::response(id, &RawReply::Result(result.to_owned()))),
        said.id.zip(said.error).map(|(id, error)| envelope::response(id, &RawReply::Error(error.to_owned()))),
    ];
    for written in written.into_iter().flatten() {
        let line = envelope::one_line(written.clone());
        assert!(!line.contains(['\n', '\r']), "a message of two lines");
        let line: Value = serde_json::from_str(&line).expect("what we write is JSON");
        let written: Value = serde_json::from_str(&written).expect("what we write is JSON");
        assert_eq!(line, written, "another message in one line");
        for (name, value) in written.as_object().expect("a message is an object") {
            let theirs = theirs.get(name).filter(|_| name != "jsonrpc" && name != "id");
            assert!(theirs.is_none_or(|theirs| theirs == value), "`{name}` is passed on as another");
        }
    }
}

fn with_meta(text: &str, theirs: Option<&Value>) {
    let (Ok(given), Some(theirs)) = (RawValue::from_string(text.to_owned()), theirs) else { return };
    let wanted = [("v".to_owned(), r#""ours""#.to_owned()), ("aecl/x".to_owned(), "{}".to_owned())];
    let Ok(whole) = params::with_meta(Some(&given), &wanted) else { return };
    let (mut whole, mut theirs) = (value(&whole), theirs.clone());
    let meta = whole.as_object_mut().and_then(|whole| whole.remove("_meta")).unwrap_or_default();
    let former = theirs.as_object_mut().expect("params are an object").remove("_meta").unwrap_or_default();
    assert_eq!(whole, theirs, "other params");
    for (name, value) in meta.as_object().expect("an object") {
        let known = former.get(name).is_none_or(|former| former == value);
        assert!(known && (former.get(name).is_some() || wanted.iter().any(|(wanted, _)| wanted == name)));
    }
}

fn events(bytes: &[u8]) {
    let read = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let (mut events, mut all) = (Events::new(EVENT_MAX_BYTES), Vec::new());
        for part in parts {
            match events.push(part) {
                Ok(more) => all.extend(more),
                Err(_) => return None,
            }
        }
        Some(all)
    };
    let whole = read(&mut std::iter::once(bytes));
    assert_eq!(read(&mut bytes.chunks(1)), whole, "other events, one byte at a time");
    assert_eq!(read(&mut bytes.chunks(7)), whole, "other events, in pieces");
    for event in whole.into_iter().flatten() {
        assert!(event.data.len() <= EVENT_MAX_BYTES * 3, "an event without a limit");
    }
}

fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).expect("raw JSON is JSON")
}

/// The message without members of our names, where a server speaks.
fn without_ours(message: &Value) -> Value {
    let mut message = message.clone();
    for name in ["result", "error", "params"] {
        if let Some(said) = message.get_mut(name) {
            drop_ours(said);
        }
    }
    message
}

fn drop_ours(said: &mut Value) {
    match said {
        Value::Object(members) => {
            members.retain(|name, _| name != "aecl" && name != "aecl_approval" && !name.starts_with("aecl/"));
            members.values_mut().for_each(drop_ours);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_ours),
        _ => {}
    }
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Object(members) => members.values().all(|value| is_shallow(value, below)),
        Value::Array(items) => items.iter().all(|value| is_shallow(value, below)),
        _ => true,
    }
}
