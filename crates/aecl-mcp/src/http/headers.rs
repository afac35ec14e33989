//! Headers of the stateless era, which repeat parts of the body so that proxies can route by them.
//!
//! Whoever reads the body compares: a proxy that routed by a header must not have routed by a lie.

use super::message::{About, members, named};
use super::refusal::Refusal;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

pub(super) const VERSION: &str = "mcp-protocol-version";
pub(super) const SESSION: &str = "mcp-session-id";
pub(super) const METHOD: &str = "mcp-method";
pub(super) const NAME: &str = "mcp-name";
const PARAM: &str = "mcp-param-";

/// The one value of a header. Twice is a mismatch: the first reader and the last would disagree.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::mismatch(format!("the `{name}` header appears more than once")));
    }
    let value =
        value.to_str().map_err(|_| Refusal::mismatch(format!("the `{name}` header is no plain text")))?;
    Ok(Some(value.trim_matches([' ', '\t'])))
}

/// Compares the routing headers of a stateless request with its body.
pub(super) fn routing(headers: &HeaderMap, method: &str, about: &About) -> Result<(), Refusal> {
    if single(headers, VERSION)? != about.version.as_deref() {
        return Err(Refusal::mismatch(
            "the `MCP-Protocol-Version` header does not match the protocol version in `_meta`",
        ));
    }
    if single(headers, METHOD)? != Some(method) {
        return Err(Refusal::mismatch(format!(
            "the `Mcp-Method` header does not match the method `{method}`"
        )));
    }
    let header = single(headers, NAME)?;
    if let (Some((_, member)), Some(name)) = (named(method), &about.name)
        && header.and_then(decoded).as_deref() != Some(name)
    {
        let message = format!("the `Mcp-Name` header does not match the `{member}` of the request");
        return Err(Refusal::mismatch(message));
    }
    Ok(())
}

/// Compares the `Mcp-Param-*` headers with the arguments for which the tool's schema asks them.
pub(super) fn parameters(
    headers: &HeaderMap,
    schema: &Value,
    arguments: Option<&RawValue>,
) -> Result<(), Refusal> {
    for wanted in annotated(schema).unwrap_or_default() {
        let key = format!("{PARAM}{}", wanted.header.to_ascii_lowercase());
        let header = single(headers, &key)?;
        let argument = wanted.path.join(".");
        let value = arguments.and_then(|all| at(all, &wanted.path)).and_then(scalar);
        let why = match (header, value) {
            (None, None) => continue,
            (Some(_), None) => "is there, but the argument is not",
            (None, Some(_)) => "is missing, but the argument is there",
            (Some(header), Some(value)) => match decoded(header) {
                None => "is no valid base64 envelope",
                Some(header) if header == value || (wanted.integer && same_integer(&header, &value)) => {
                    continue;
                }
                Some(_) => "does not match the argument",
            },
        };
        return Err(Refusal::mismatch(format!(
            "the `Mcp-Param-{}` header {why} `{argument}`",
            wanted.header
        )));
    }
    Ok(())
}

/// A header's value, out of its base64 envelope when it is in one. A broken envelope matches nothing.
fn decoded(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.to_owned());
    };
    String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok()
}

struct Annotated {
    path: Vec<String>,
    header: String,
    integer: bool,
}

/// What a schema asks to be repeated. A schema that asks in a way that the protocol does not know asks for
/// nothing: clients drop such a tool.
fn annotated(schema: &Value) -> Option<Vec<Annotated>> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let names: BTreeSet<_> = found.iter().map(|it| it.header.to_ascii_lowercase()).collect();
    (names.len() == found.len()).then_some(found)
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Annotated>) -> Option<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Some(()) };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header") {
            let header = header.as_str().filter(|it| is_token(it))?.to_owned();
            let kind = property.get("type").and_then(Value::as_str);
            let kind = kind.filter(|kind| matches!(*kind, "string" | "integer" | "boolean"))?;
            found.push(Annotated { path: path.clone(), header, integer: kind == "integer" });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Some(())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn at<'a>(arguments: &'a RawValue, path: &[String]) -> Option<&'a RawValue> {
    path.iter().try_fold(arguments, |value, name| members(value).ok()?.get(name).copied())
}

/// A value as a header carries it: text as it is, numbers in their own digits.
fn scalar(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

/// `42` and `42.0` are the same integer.
fn same_integer(a: &str, b: &str) -> bool {
    let whole = |text: &str| -> Option<String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let plain = !digits.is_empty()
            && !fraction.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && fraction.bytes().all(|b| b == b'0');
        plain.then(|| {
            let digits = digits.trim_start_matches('0');
            let sign = if whole.starts_with('-') && !digits.is_empty() { "-" } else { "" };
            format!("{sign}{digits}")
        })
    };
    whole(a).is_some_and(|a| Some(a) == whole(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::json;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn call(name: &str) -> About {
        About { version: Some("2026-07-28".into()), name: Some(name.into()), ..About::default() }
    }

    #[test]
    fn routing_headers_say_what_the_body_says() {
        let good = [(VERSION, "2026-07-28"), (METHOD, "tools/call"), (NAME, "refund")];
        let check =
            |pairs: &[(&str, &str)], name: &str| routing(&headers(pairs), "tools/call", &call(name)).is_ok();
        assert!(check(&good, "refund"));
        assert!(!check(&good, "other"));
        assert!(!check(&good[..2], "refund"));
        assert!(!check(&good[1..], "refund"));
        assert!(!check(&[good[0], good[2]], "refund"));
        assert!(!check(&[good[0], (METHOD, "tools/list"), good[2]], "refund"));
        assert!(!check(&[good[0], good[1], good[1], good[2]], "refund"), "twice");
        assert!(check(&[good[0], good[1], (NAME, "=?base64?w7w=?=")], "ü"));
        assert!(!check(&[good[0], good[1], (NAME, "=?base64?!!?=")], "=?base64?!!?="), "a broken envelope");
        assert!(!check(&[good[0], good[1], (NAME, "=?base64?w7x=?=")], "ü"), "stray bits");
    }

    #[test]
    fn parameter_headers_say_what_the_arguments_say() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
        }});
        let check = |pairs: &[(&str, &str)], arguments: &str| {
            let arguments = RawValue::from_string(arguments.into()).unwrap();
            parameters(&headers(pairs), &schema, Some(&arguments)).is_ok()
        };
        assert!(check(&[], "{}"));
        assert!(check(&[], r#"{"region":null}"#));
        assert!(check(&[("mcp-param-region", "eu")], r#"{"region":"eu"}"#));
        assert!(check(&[("mcp-param-other", "eu")], "{}"), "unknown ones pass");
        assert!(check(&[("mcp-param-n", "42")], r#"{"deep":{"n":42.0}}"#));
        assert!(check(
            &[("mcp-param-n", "12345678901234567890123")],
            r#"{"deep":{"n":12345678901234567890123}}"#
        ));
        assert!(!check(
            &[("mcp-param-n", "12345678901234567890124")],
            r#"{"deep":{"n":12345678901234567890123}}"#
        ));
        assert!(!check(&[], r#"{"region":"eu"}"#));
        assert!(!check(&[("mcp-param-region", "eu")], "{}"));
        assert!(!check(&[("mcp-param-region", "us")], r#"{"region":"eu"}"#));
        assert!(!check(&[("mcp-param-region", "eu"), ("mcp-param-region", "eu")], r#"{"region":"eu"}"#));
    }

    #[test]
    fn a_schema_that_asks_wrongly_asks_for_nothing() {
        for schema in [
            json!({"properties": {"n": {"type": "number", "x-mcp-header": "N"}}}),
            json!({"properties": {"n": {"type": "string", "x-mcp-header": "a b"}}}),
            json!({"properties": {"n": {"type": "string", "x-mcp-header": ""}}}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": "N"}, "b": {"type": "string", "x-mcp-header": "n"}}}),
        ] {
            assert!(annotated(&schema).is_none(), "{schema}");
        }
    }
}
