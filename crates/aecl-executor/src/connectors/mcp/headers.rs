//! Headers of the 2026-07-28 era, which repeat parts of the body so that proxies can route by them.

use base64::Engine as _;
use serde_json::Value;

pub(crate) const VERSION: &str = "mcp-protocol-version";
pub(crate) const SESSION: &str = "mcp-session-id";
pub(crate) const METHOD: &str = "mcp-method";
pub(crate) const NAME: &str = "mcp-name";
const PARAM: &str = "mcp-param-";

/// A value as a header may carry it: plain when it survives, else in the base64 envelope.
pub(crate) fn encoded(value: &str) -> String {
    let edge_blank = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    let plain = value.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if plain && !edge_blank && !(value.starts_with("=?base64?") && value.ends_with("?=")) {
        return value.to_owned();
    }
    format!("=?base64?{}?=", base64::engine::general_purpose::STANDARD.encode(value))
}

/// What the request is about: the tool, prompt, resource or task.
pub(crate) fn name_of(method: &str, params: Option<&str>) -> Option<String> {
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    let params: Value = serde_json::from_str(params?).ok()?;
    Some(params.get(member)?.as_str()?.to_owned())
}

/// The `Mcp-Param-*` headers which a tool's input schema asks for by `x-mcp-header`.
pub(crate) fn of_arguments(input_schema: &Value, arguments: &Value) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    collect(input_schema, arguments, &mut headers);
    headers
}

fn collect(schema: &Value, arguments: &Value, headers: &mut Vec<(String, String)>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let Some(value) = arguments.get(name) else { continue };
        let header = property.get("x-mcp-header").and_then(Value::as_str).filter(|it| !it.is_empty());
        if let (Some(header), Some(text)) = (header, scalar(value)) {
            headers.push((format!("{PARAM}{}", header.to_ascii_lowercase()), encoded(&text)));
        }
        collect(property, value, headers);
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_survive_as_headers() {
        for (value, expected) in [
            ("refund", "refund"),
            ("", ""),
            (" x", "=?base64?IHg=?="),
            ("ü", "=?base64?w7w=?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ] {
            assert_eq!(encoded(value), expected);
        }
    }

    #[test]
    fn annotated_arguments_are_repeated_and_no_others() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"n": {"x-mcp-header": "N"}}},
            "plain": {"type": "string"},
        }});
        let mut headers = of_arguments(&schema, &json!({"region": "eu", "deep": {"n": 3}, "plain": "x"}));
        headers.sort();
        let expected = [("mcp-param-n", "3"), ("mcp-param-region", "eu")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(headers, expected);
        assert_eq!(name_of("tools/call", Some(r#"{"name":"refund"}"#)).as_deref(), Some("refund"));
        assert_eq!(name_of("tools/list", Some("{}")), None);
    }
}
