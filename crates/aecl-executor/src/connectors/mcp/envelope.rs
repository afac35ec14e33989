//! The outside of a JSON-RPC message. What is inside stays the bytes it was.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::params::members;

/// A message, read no deeper than its envelope. A doubled member is refused by the parser.
#[derive(Deserialize)]
pub struct Envelope<'a> {
    /// The id of a request, or of the request that is answered.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// The method of a request or notification.
    #[serde(borrow, default)]
    pub method: Option<Cow<'a, str>>,
    /// Its parameters.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    /// The result of a response.
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    /// The error of a response.
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads a message. Only an object is one: serde would also fill the members from a list, by position.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii_start();
        text.starts_with('{').then(|| serde_json::from_str(text).ok())?
    }
}

/// A server's answer, in its own bytes.
#[derive(Debug, Clone)]
pub enum RawReply {
    /// The `result` member.
    Result(Box<RawValue>),
    /// The `error` member.
    Error(Box<RawValue>),
}

impl RawReply {
    /// The bytes of the result or error.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        match self {
            Self::Result(raw) | Self::Error(raw) => raw,
        }
    }

    /// The code of an error, when it has one.
    #[must_use]
    pub fn error_code(&self) -> Option<i64> {
        #[derive(Deserialize)]
        struct Code {
            code: i64,
        }
        match self {
            Self::Result(_) => None,
            Self::Error(raw) => serde_json::from_str::<Code>(raw.get()).ok().map(|it| it.code),
        }
    }
}

/// Something that the server says unasked: a request to the client, or a notification.
#[derive(Debug)]
pub struct Inbound {
    /// The whole message.
    pub raw: Box<RawValue>,
    /// The method.
    pub method: String,
    /// The server's own id when it wants an answer; `None` for a notification.
    pub id: Option<Box<RawValue>>,
    /// The number of the request of ours to which it belongs, where the transport tells.
    pub of: Option<u64>,
    /// Counts what the server has said unasked, so that one can wait until it was passed on.
    pub seq: u64,
    /// On which connection it came, so that an answer never goes to a later one.
    pub(crate) generation: u64,
    pub(crate) answered: AtomicBool,
}

/// Where a server says to which subscription something belongs.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

impl Inbound {
    /// The subscription to which it belongs, as the server names it, if it belongs to one.
    #[must_use]
    pub fn subscription(&self) -> Option<Box<RawValue>> {
        let params = Envelope::read(self.raw.get())?.params?;
        let member = |raw: &RawValue, name: &str| {
            let found = members(raw.get()).ok()?.into_iter().find(|(known, _)| known == name)?;
            Some(found.1)
        };
        member(&member(params, "_meta")?, SUBSCRIPTION)
    }

    /// Whether this is the first who notes it: several listen to a shared connection, and one note is enough.
    /// For notifications; a request is taken by who answers it.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.id.is_none() && !self.answered.swap(true, std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether it belongs to the subscription that we asked for under this number.
    pub(crate) fn is_about(&self, number: u64) -> bool {
        self.id.is_none() && self.subscription().is_some_and(|id| our_id(&id) == Some(number))
    }
}

const OUR_IDS: &str = "aecl-";

pub(crate) fn our_id(raw: &RawValue) -> Option<u64> {
    raw.get().strip_prefix('"')?.strip_suffix('"')?.strip_prefix(OUR_IDS)?.parse().ok()
}

pub(crate) fn request(id: u64, method: &str, params: Option<&RawValue>) -> String {
    let method = serde_json::Value::from(method);
    let head = format!(r#"{{"jsonrpc":"2.0","id":"{OUR_IDS}{id}","method":{method}"#);
    finish(head, params)
}

pub(crate) fn notification(method: &str, params: Option<&RawValue>) -> String {
    let method = serde_json::Value::from(method);
    finish(format!(r#"{{"jsonrpc":"2.0","method":{method}"#), params)
}

pub(crate) fn cancelled(id: u64, reason: &str) -> String {
    let reason = serde_json::Value::from(reason);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{OUR_IDS}{id}","reason":{reason}}}}}"#
    )
}

/// The response to the request with this id, as text.
#[must_use]
pub fn response(id: &RawValue, reply: &RawReply) -> String {
    let member = match reply {
        RawReply::Result(_) => "result",
        RawReply::Error(_) => "error",
    };
    format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{}}}"#, id.get(), reply.raw().get())
}

fn finish(mut head: String, params: Option<&RawValue>) -> String {
    if let Some(params) = params {
        head.push_str(r#","params":"#);
        head.push_str(params.get());
    }
    head.push('}');
    head
}

/// One line: a line break inside JSON can only be space between tokens, so a blank means the same.
pub(crate) fn one_line(text: String) -> String {
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn bytes_inside_are_untouched() {
        let text = r#"{"jsonrpc":"2.0","id":"aecl-7","result":{ "n":12345678901234567890123, "x" : 1.0 }}"#;
        let envelope = Envelope::read(text).unwrap();
        assert_eq!(our_id(envelope.id.unwrap()), Some(7));
        assert_eq!(envelope.result.unwrap().get(), r#"{ "n":12345678901234567890123, "x" : 1.0 }"#);
    }

    #[test]
    fn doubled_members_are_no_message() {
        for text in [
            r#"{"id":1,"id":2,"result":{}}"#,
            r#"{"id":1,"result":{},"result":{}}"#,
            "[]",
            r#"["aecl-1"]"#,
            "7",
            "",
            r#"["2.0",1]"#,
            r#"{"id":1,"id":2,"method":"ping"}"#,
        ] {
            assert!(Envelope::read(text).is_none(), "{text}");
        }
    }
}
