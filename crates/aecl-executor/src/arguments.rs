//! The arguments of a call, and templates which are filled from them.
//!
//! `{name}` stands for an argument, `{order.id}` for one inside it, `{@idempotency_key}` and
//! `{@action_id}` for facts of the attempt. Numbers keep their text: nothing passes through a float.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::Call;

/// What goes wrong with a template. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("the arguments are no json object: {0}")]
    NotAnObject(serde_json::Error),
    #[error("the template `{0}` has an opening brace without its end")]
    Unclosed(String),
    #[error("the template needs `{0}`, which the arguments do not have; make it required in the schema")]
    Missing(String),
    #[error("`{0}` is a list, an object or null; only text, numbers and true or false fit here")]
    NotScalar(String),
    #[error("`{0}` must be a list of texts, one for each word")]
    NotWords(String),
    #[error(
        "`{0}` would make an empty or dotted path segment, which is another place; refuse it in the schema"
    )]
    PathSegment(String),
    #[error("the template `{0}` has a placeholder in its scheme or host; a destination is never an argument")]
    HostPlaceholder(String),
}

/// The arguments, read once.
pub(crate) struct Arguments<'a> {
    call: &'a Call,
    members: BTreeMap<String, &'a RawValue>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn of(call: &'a Call) -> Result<Self, TemplateError> {
        let members = serde_json::from_slice(&call.arguments).map_err(TemplateError::NotAnObject)?;
        Ok(Self { call, members })
    }

    /// The JSON text at a dotted path.
    pub(crate) fn at(&self, path: &str) -> Option<Cow<'a, str>> {
        match path {
            "@idempotency_key" => return quoted(&self.call.idempotency_key),
            "@action_id" => return quoted(&self.call.action_id),
            _ => {}
        }
        // An argument whose own name has a dot wins over one inside another.
        if let Some(whole) = self.members.get(path) {
            return Some(Cow::Borrowed(whole.get()));
        }
        let (first, rest) = path.split_once('.')?;
        let mut found: &'a RawValue = self.members.get(first)?;
        for step in rest.split('.') {
            let inside: BTreeMap<String, &'a RawValue> = serde_json::from_str(found.get()).ok()?;
            found = inside.get(step)?;
        }
        Some(Cow::Borrowed(found.get()))
    }

    /// The plain text of a scalar argument.
    fn scalar(&self, path: &str) -> Result<String, TemplateError> {
        let raw = self.at(path).ok_or_else(|| TemplateError::Missing(path.to_owned()))?;
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(&raw).map_err(TemplateError::NotAnObject),
            Some(b'{' | b'[' | b'n') | None => Err(TemplateError::NotScalar(path.to_owned())),
            Some(_) => Ok(raw.into_owned()),
        }
    }

    /// A text with its placeholders filled, each value put through `escape`. `{secret:…}` stays as it is.
    pub(crate) fn fill(&self, template: &str, escape: fn(&str) -> String) -> Result<String, TemplateError> {
        let (mut text, mut filled) = (template, String::new());
        while let Some((before, after)) = text.split_once('{') {
            let (name, rest) =
                after.split_once('}').ok_or_else(|| TemplateError::Unclosed(template.to_owned()))?;
            filled.push_str(before);
            if name.starts_with("secret:") {
                filled.push_str(&format!("{{{name}}}"));
            } else {
                filled.push_str(&escape(&self.scalar(name)?));
            }
            text = rest;
        }
        filled.push_str(text);
        Ok(filled)
    }

    /// The words that one word of a template stands for: one, or for `{name...}` one for each item of a list.
    pub(crate) fn words(&self, template: &str) -> Result<Vec<String>, TemplateError> {
        let Some(name) = only_placeholder(template).and_then(|name| name.strip_suffix("...")) else {
            return self.fill(template, str::to_owned).map(|word| vec![word]);
        };
        let raw = self.at(name).ok_or_else(|| TemplateError::Missing(name.to_owned()))?;
        let items: Vec<Value> =
            serde_json::from_str(&raw).map_err(|_| TemplateError::NotWords(name.to_owned()))?;
        let word = |item| match item {
            Value::String(word) => Ok(word),
            _ => Err(TemplateError::NotWords(name.to_owned())),
        };
        items.into_iter().map(word).collect()
    }

    /// A query value; `None` when the template is one placeholder and that argument is absent.
    pub(crate) fn optional(&self, template: &str) -> Result<Option<String>, TemplateError> {
        match only_placeholder(template) {
            Some(name) if self.at(name).is_none_or(|raw| raw == "null") => Ok(None),
            Some(_) | None => self.fill(template, str::to_owned).map(Some),
        }
    }

    /// A URL from its template. Values are percent-encoded and can never change scheme, host or segments.
    pub(crate) fn url(&self, template: &str) -> Result<String, TemplateError> {
        let after_scheme = template.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = template.split_at(after_scheme);
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if scheme.contains('{') || host.contains('{') {
            return Err(TemplateError::HostPlaceholder(template.to_owned()));
        }
        let path = self.fill(path, percent_encoded)?;
        let (only_path, _) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
        let odd = |segment: &str| matches!(segment, "." | "..");
        let empty_inside = only_path.contains("//") || (only_path.ends_with('/') && !template.ends_with('/'));
        if only_path.split('/').any(odd) || empty_inside {
            return Err(TemplateError::PathSegment(template.to_owned()));
        }
        Ok(format!("{scheme}{host}{path}"))
    }

    /// A JSON body from its template: a text that is one placeholder takes the argument as it is.
    pub(crate) fn body(&self, template: &Value) -> Result<String, TemplateError> {
        let mut text = String::new();
        self.write(template, &mut text)?;
        Ok(text)
    }

    fn write(&self, template: &Value, text: &mut String) -> Result<(), TemplateError> {
        match template {
            Value::String(inner) => match only_placeholder(inner) {
                Some(name) => {
                    text.push_str(&self.at(name).ok_or_else(|| TemplateError::Missing(name.to_owned()))?);
                }
                None => text.push_str(&Value::String(self.fill(inner, str::to_owned)?).to_string()),
            },
            Value::Array(items) => {
                text.push('[');
                for (position, item) in items.iter().enumerate() {
                    text.push_str(if position == 0 { "" } else { "," });
                    self.write(item, text)?;
                }
                text.push(']');
            }
            Value::Object(members) => {
                text.push('{');
                for (position, (name, member)) in members.iter().enumerate() {
                    text.push_str(if position == 0 { "" } else { "," });
                    text.push_str(&Value::String(name.clone()).to_string());
                    text.push(':');
                    self.write(member, text)?;
                }
                text.push('}');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&template.to_string()),
        }
        Ok(())
    }
}

fn quoted<'a>(text: &str) -> Option<Cow<'a, str>> {
    Some(Cow::Owned(Value::String(text.to_owned()).to_string()))
}

fn only_placeholder(template: &str) -> Option<&str> {
    let name = template.strip_prefix('{')?.strip_suffix('}')?;
    (!name.contains(['{', '}']) && !name.starts_with("secret:")).then_some(name)
}

/// Everything but letters, digits and `-_.~` becomes `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::fake::call;

    fn url(template: &str, arguments: &str) -> String {
        let call = call("t", arguments);
        let arguments = Arguments::of(&call).unwrap();
        arguments.url(template).unwrap_or_else(|error| format!("! {error}"))
    }

    #[test]
    fn a_value_cannot_leave_its_segment() {
        let check = |id: &str, expected: &str| {
            let arguments = serde_json::json!({ "id": id }).to_string();
            let got = url("https://api.x/v1/orders/{id}/refunds", &arguments);
            assert!(got.contains(expected), "{id}: {got}");
        };
        check("4711", "https://api.x/v1/orders/4711/refunds");
        check("a/../b?c#d", "/orders/a%2F..%2Fb%3Fc%23d/refunds");
        check("%2e%2e", "/orders/%252e%252e/refunds");
        check("ü\r\n", "/orders/%C3%BC%0D%0A/refunds");
        check("..", "! ");
        check(".", "! ");
        check("", "! ");
    }

    #[test]
    fn a_host_is_never_an_argument() {
        for template in ["https://{h}/x", "{s}://a/x", "https://a.{h}/", "https://a:{p}/"] {
            assert!(
                url(template, r#"{"h":"evil","s":"http","p":1}"#).contains("scheme or host"),
                "{template}"
            );
        }
    }

    #[test]
    fn numbers_keep_their_text_and_nothing_is_invented() {
        let call = call("t", r#"{"big":12345678901234567890123,"o":{"id":7},"list":[1,2],"s":"a\"b"}"#);
        let arguments = Arguments::of(&call).unwrap();
        let body = serde_json::json!({"n":"{big}","l":"{list}","t":"x {o.id} {s}","k":"{@idempotency_key}"});
        let text = arguments.body(&body).unwrap();
        assert!(text.contains(r#""n":12345678901234567890123"#), "{text}");
        assert!(text.contains(r#""l":[1,2]"#) && text.contains(r#""t":"x 7 a\"b""#), "{text}");
        assert!(matches!(arguments.body(&serde_json::json!("{nope}")), Err(TemplateError::Missing(_))));
        assert!(matches!(arguments.fill("{list}", str::to_owned), Err(TemplateError::NotScalar(_))));
        assert_eq!(arguments.optional("{nope}").unwrap(), None);
    }
}
