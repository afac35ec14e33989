//! What came by POST: one JSON-RPC message, read no deeper than its routing needs.

use super::refusal::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The methods whose subject a header repeats, and the member of `params` that holds it.
const NAMED: [(&str, &str); 8] = [
    ("tools/call", "name"),
    ("prompts/get", "name"),
    ("resources/read", "uri"),
    ("resources/subscribe", "uri"),
    ("resources/unsubscribe", "uri"),
    ("tasks/get", "taskId"),
    ("tasks/update", "taskId"),
    ("tasks/cancel", "taskId"),
];

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// One message, in its own bytes.
pub(super) struct Message {
    pub raw: Box<RawValue>,
    pub kind: Kind,
}

/// What kind of message it is.
pub(super) enum Kind {
    /// It wants an answer under this id.
    Request { id: Box<RawValue>, method: String, about: Box<About> },
    /// It wants none.
    Notification { about: Box<About> },
    /// It answers a request of the server.
    Answer,
}

/// What headers may repeat, as the body says it.
#[derive(Default)]
pub(super) struct About {
    /// The version in `_meta`; a value that is no text counts as present and unknown.
    pub version: Option<String>,
    /// Whether `_meta` tells what the client can do.
    pub capabilities: bool,
    /// The tool, prompt, resource or task that it is about.
    pub name: Option<String>,
    /// The arguments, each in its own bytes.
    pub arguments: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Outside<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    // Presence counts: `"id": null` is a malformed request and no notification.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(d: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

impl Message {
    /// Reads a body. Doubled members, batches and what is no JSON-RPC message are refused.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::parse("the body is no UTF-8 text"))?;
        let text = text.trim_ascii();
        if !text.starts_with('{') {
            // Only an object is one message: serde would also fill the members from a list, by position.
            return Err(match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => Refusal::invalid(
                    "the body must be a single JSON-RPC message; batches are not part of this protocol",
                ),
                Err(error) => Refusal::parse(format!("the body is no JSON: {error}")),
            });
        }
        let raw: Box<RawValue> = serde_json::from_str(text)
            .map_err(|error| Refusal::parse(format!("the body is no JSON: {error}")))?;
        let outside: Outside<'_> = serde_json::from_str(raw.get())
            .map_err(|error| Refusal::invalid(format!("the body is no JSON-RPC message: {error}")))?;
        if outside.jsonrpc.as_deref() != Some("2.0") {
            return Err(Refusal::invalid("`jsonrpc` must be \"2.0\""));
        }
        let answers = outside.result.is_some() || outside.error.is_some();
        let kind = match (outside.method, outside.id) {
            (Some(method), Some(id)) if !answers => {
                if !is_id(id) {
                    return Err(Refusal::invalid("`id` must be a text or an integer"));
                }
                let about = About::read(&method, outside.params);
                let (id, method) = (id.to_owned(), method.into_owned());
                Kind::Request { id: id.clone(), method, about: Box::new(about.map_err(|r| r.to(&id))?) }
            }
            (Some(method), None) if !answers => {
                Kind::Notification { about: Box::new(About::read(&method, outside.params)?) }
            }
            (None, Some(_)) if outside.result.is_some() != outside.error.is_some() => Kind::Answer,
            _ => {
                return Err(Refusal::invalid(
                    "the body is neither a request nor a notification nor an answer",
                ));
            }
        };
        Ok(Self { raw, kind })
    }

    /// What its routing needs; an answer has nothing of it.
    pub(super) fn about(&self) -> Option<&About> {
        match &self.kind {
            Kind::Request { about, .. } | Kind::Notification { about, .. } => Some(about),
            Kind::Answer => None,
        }
    }
}

fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    text.starts_with('"') || text.parse::<i128>().is_ok()
}

impl About {
    fn read(method: &str, params: Option<&RawValue>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Meta<'a> {
            #[serde(
                borrow,
                default,
                rename = "io.modelcontextprotocol/protocolVersion",
                deserialize_with = "present"
            )]
            version: Option<&'a RawValue>,
            #[serde(
                borrow,
                default,
                rename = "io.modelcontextprotocol/clientCapabilities",
                deserialize_with = "present"
            )]
            capabilities: Option<&'a RawValue>,
        }
        let Some(params) = params else { return Ok(Self::default()) };
        let members = members(params)?;
        let text = |name: &str| {
            let raw = members.get(name)?;
            serde_json::from_str::<String>(raw.get()).ok()
        };
        let mut about = Self {
            name: named(method).and_then(|(_, member)| text(member)),
            arguments: members.get("arguments").map(|raw| (*raw).to_owned()),
            ..Self::default()
        };
        if let Some(meta) = members.get("_meta").filter(|meta| meta.get().starts_with('{')) {
            let meta: Meta<'_> = serde_json::from_str(meta.get())
                .map_err(|error| Refusal::params(format!("`_meta` is not understood: {error}")))?;
            about.version = meta.version.map(|raw| {
                serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
            });
            about.capabilities = meta.capabilities.is_some_and(|it| it.get().starts_with('{'));
        }
        Ok(about)
    }

    /// What of the pair that every stateless request carries is missing.
    pub(super) fn lacks(&self) -> Vec<&'static str> {
        let mut lacks = Vec::new();
        if self.version.is_none() {
            lacks.push(VERSION);
        }
        if !self.capabilities {
            lacks.push(CAPABILITIES);
        }
        lacks
    }
}

/// Which member of `params` the `Mcp-Name` header of this method repeats.
pub(super) fn named(method: &str) -> Option<(&'static str, &'static str)> {
    NAMED.into_iter().find(|(known, _)| *known == method)
}

/// The members of an object. A doubled name is refused: two readers would each see another one.
pub(super) fn members(raw: &RawValue) -> Result<BTreeMap<String, &RawValue>, Refusal> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = BTreeMap<String, &'de RawValue>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                if let Some(twice) = members.insert(name, value) {
                    return Err(serde::de::Error::custom(format!(
                        "a member is doubled near `{:.40}`",
                        twice.get()
                    )));
                }
            }
            Ok(members)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(raw.get()), Members)
        .map_err(|error| Refusal::params(format!("`params` is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn code(body: &str) -> i64 {
        Message::read(body.as_bytes()).err().map_or(0, |refusal| refusal.code())
    }

    #[test]
    fn what_is_no_single_message_is_refused() {
        for (body, expected) in [
            ("", -32700),
            ("{", -32700),
            ("\u{7}", -32700),
            ("[]", -32600),
            (r#"["2.0",1,"ping"]"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"x","name":"y"}}"#, -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, 0),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 0),
            (r#"{"jsonrpc":"2.0","id":"aecl-1","result":{}}"#, 0),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }

    #[test]
    fn the_bytes_stay_as_they_came() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"n":12345678901234567890123}}}"#;
        let message = Message::read(format!(" {body}\n").as_bytes()).unwrap();
        assert_eq!(message.raw.get(), body);
        let about = message.about().unwrap();
        assert_eq!(about.name.as_deref(), Some("t"));
        assert_eq!(about.lacks(), [VERSION, CAPABILITIES]);
    }
}
