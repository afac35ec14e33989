//! JSON-RPC messages, written from raw pieces, and what is refused in them.

use aecl_executor::connectors::mcp::{self, ObjectText, RawReply, members};
use aecl_kernel::base::json::{Document, Limits};
use serde_json::Value;
use serde_json::value::RawValue;

/// No JSON-RPC request.
pub(crate) const INVALID_REQUEST: i64 = -32600;
/// A method that is not relayed.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters that have no single meaning, or name nothing that there is.
pub(crate) const INVALID_PARAMS: i64 = -32602;
/// We could not do our work.
pub(crate) const INTERNAL_ERROR: i64 = -32603;
/// Not carried out, where the method has no result that could say so.
pub(crate) const NOT_CARRIED_OUT: i64 = -32001;
/// The server behind does not speak this revision.
pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;

/// A JSON-RPC error, before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl Refusal {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same with our stable code, under which the reference explains it.
    pub(crate) fn coded(code: i64, ours: &str, message: impl Into<String>) -> Self {
        let data = Some(serde_json::json!({ "aecl": { "code": ours } }));
        Self { code, message: message.into(), data }
    }

    pub(crate) fn reply(self) -> RawReply {
        let mut error = serde_json::json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(error)) = (self.data, error.as_object_mut()) {
            error.insert("data".into(), data);
        }
        RawReply::Error(raw_value(&error))
    }
}

impl From<aecl_gate::GateError> for Refusal {
    fn from(error: aecl_gate::GateError) -> Self {
        tracing::error!(%error, "a client's request could not be taken through the gate");
        let message = format!("{error}; nothing was executed");
        Self::coded(INTERNAL_ERROR, error.code().as_str(), message)
    }
}

impl From<aecl_executor::connectors::mcp::UpstreamError> for Refusal {
    fn from(error: aecl_executor::connectors::mcp::UpstreamError) -> Self {
        Self::coded(INTERNAL_ERROR, error.code(), error.to_string())
    }
}

/// Text of ours, which is JSON because we wrote it.
pub(crate) fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

pub(crate) fn raw_value(value: &Value) -> Box<RawValue> {
    raw(value.to_string())
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The response to the request with this id.
pub(crate) fn response(id: &RawValue, reply: &RawReply) -> Box<RawValue> {
    raw(mcp::response(id, reply))
}

/// A request or, without an id, a notification.
pub(crate) fn asking(id: Option<&str>, method: &str, params: Option<&RawValue>) -> Box<RawValue> {
    let mut object = ObjectText::new();
    object.member("jsonrpc", "\"2.0\"");
    if let Some(id) = id {
        object.member("id", &quoted(id));
    }
    object.member("method", &quoted(method));
    if let Some(params) = params {
        object.member("params", params.get());
    }
    raw(object.finish())
}

/// The members of `params`; none if there are no params.
///
/// The error says what is wrong: no object, or a doubled member.
pub(crate) fn members_of(params: Option<&RawValue>) -> Result<Members, String> {
    let found = params.map(|params| members(params.get())).transpose();
    found.map(|members| Members(members.unwrap_or_default())).map_err(|error| error.to_string())
}

/// The members of an object in their order, each in its own bytes.
#[derive(Debug, Default)]
pub(crate) struct Members(pub Vec<(String, Box<RawValue>)>);

impl Members {
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Puts a member in the place of the one with this name, or at the end.
    pub(crate) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn raw(&self) -> Box<RawValue> {
        let mut object = ObjectText::new();
        for (name, value) in &self.0 {
            object.member(name, value.get());
        }
        raw(object.finish())
    }
}

/// Reads raw JSON through the I-JSON gate.
pub(crate) fn document(raw: &RawValue) -> Result<Document, aecl_kernel::base::json::JsonError> {
    Document::parse(raw.get().as_bytes(), &Limits { bytes_max: usize::MAX, ..Limits::default() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn members_keep_their_bytes() {
        let params = raw(r#"{"a": 1.50, "b":12345678901234567890123}"#.into());
        let mut members = members_of(Some(&params)).unwrap();
        members.set("a", raw("2".into()));
        members.set("c", raw("[ ]".into()));
        assert_eq!(members.raw().get(), r#"{"a":2,"b":12345678901234567890123,"c":[ ]}"#);
        assert!(members_of(Some(&raw(r#"{"a":1,"a":2}"#.into()))).is_err());
        assert!(members_of(Some(&raw("[1]".into()))).is_err());
        assert!(members_of(None).unwrap().0.is_empty());
    }
}
