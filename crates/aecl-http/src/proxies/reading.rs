//! Reading a request that a proxy asks about: the route says which action it is and where its arguments stand, and what
//! has more than one meaning is none.
//!
//! What is judged has to be what the target will read. So a request is refused where two programs could read it in two
//! ways: a value that stands twice, a path with detours, a body that is not there as a whole, or that is something else than
//! its header says.

use super::words::auth::{AttributeContext, HeaderMap, HttpRequest};
use aecl_kernel::base::json::{Document, Limits};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Header with the token of the run. It goes no further than the proxy.
pub const RUN: &str = "x-aecl-run";
/// What a route calls its action.
const ACTION: &str = "aecl.action";
/// What a route calls the requests that are one.
const REQUEST: &str = "aecl.request";
/// Headers by which a target could take the request for another one.
const OVERRIDES: [&str; 16] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
    "x-original-url",
    "x-original-uri",
    "x-override-url",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-original-host",
    "x-host",
];
/// Headers that may stand there once.
const SINGLE: [&str; 8] = [
    RUN,
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "idempotency-key",
    "host",
    PARTIAL,
];
/// Headers that Envoy itself adds. Any other one of its own is an order of the agent to it, such as to send a request again.
const OF_ENVOY: [&str; 6] = [
    PARTIAL,
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
];
/// Says whether the proxy has sent the whole body along.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// Reasons for which a request is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The request has more than one meaning, or none.
    Request(String),
    /// The configuration of the proxy does not say what it is.
    Route(String),
    /// It bears no run token.
    NoRun,
}

/// A request, read: an action and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The action.
    pub action: String,
    /// Its arguments.
    pub arguments: Arguments,
    /// The token of the run.
    pub run: String,
    /// What the agent says it is the same as.
    pub key: Option<String>,
}

/// Reads what the proxy has sent.
pub fn read(attributes: AttributeContext, limits: &Limits) -> Result<Asked, Unread> {
    let AttributeContext { request, context_extensions: route } = attributes;
    let missing = |what: &str| {
        Unread::Route(format!(
            "the route says no `{what}`; it belongs into `context_extensions` of the route"
        ))
    };
    let action = route.get(ACTION).ok_or_else(|| missing(ACTION))?.clone();
    let pattern = Pattern::of(route.get(REQUEST).ok_or_else(|| missing(REQUEST))?)?;
    let http = request
        .and_then(|request| request.http)
        .ok_or_else(|| Unread::Route("the proxy sent no request".into()))?;
    let headers = Headers::of(&http)?;
    let run = headers.get(RUN).filter(|run| !run.is_empty()).ok_or(Unread::NoRun)?.to_owned();
    let key = headers.get("idempotency-key").map(str::to_owned);
    let mut arguments = Arguments::default();
    pattern.read(&http, &mut arguments)?;
    read_body(http, &headers, limits, &mut arguments)?;
    Ok(Asked { action, arguments, run, key })
}

fn refused<T>(why: impl Into<String>) -> Result<T, Unread> {
    Err(Unread::Request(why.into()))
}

/// Arguments, each of which stands in one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
    members: Map<String, Value>,
    /// Which of them were written as text, wherever they are of another type.
    texts: BTreeSet<String>,
}

impl Arguments {
    /// The arguments as their schema types them: what a path, a query or a form writes as text may be a number, a switch or a
    /// list of one.
    pub fn of_types(mut self, schema: &Value) -> Map<String, Value> {
        for name in &self.texts {
            let declared = schema.pointer("/properties").and_then(|properties| properties.get(name));
            if let (Some(value), Some(declared)) = (self.members.get_mut(name), declared) {
                retype(value, declared);
            }
        }
        self.members
    }

    fn put(&mut self, name: String, value: Value) -> Result<(), Unread> {
        if self.members.contains_key(&name) {
            return refused(format!(
                "`{}` stands in two places of the request; it has to be one value",
                shown(&name)
            ));
        }
        self.members.insert(name, value);
        Ok(())
    }

    fn put_text(&mut self, name: String, value: Value) -> Result<(), Unread> {
        self.texts.insert(name.clone());
        self.put(name, value)
    }

    /// Names and values as forms and queries write them. A name that stands twice is a list.
    fn form(&mut self, text: &str, place: &str) -> Result<(), Unread> {
        let mut found: Vec<(String, Vec<Value>)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return refused(format!(
                    "the {place} has a `;`, which some programs read as an end; write `%3B`"
                ));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let [name, value] = [name, value].map(|part| decoded(&part.replace('+', " "), place));
            let (name, value) = (name?, Value::String(value?));
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => found.push((name, vec![value])),
            }
        }
        for (name, mut values) in found {
            let value = match values.len() {
                1 => values.remove(0),
                _ => Value::Array(values),
            };
            self.put_text(name, value)?;
        }
        Ok(())
    }
}

/// A text as the type that is declared for it, where it is written as one; otherwise it stays, and the schema refuses it.
fn retype(value: &mut Value, declared: &Value) {
    let kind = declared.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "array" {
        if !value.is_array() {
            *value = Value::Array(vec![value.take()]);
        }
        if let (Value::Array(items), Some(declared)) = (value, declared.get("items")) {
            items.iter_mut().for_each(|item| retype(item, declared));
        }
        return;
    }
    let Value::String(text) = &*value else { return };
    let read = serde_json::from_str::<Value>(text).ok();
    let fits = |read: &Value| match kind {
        "integer" => read.is_i64() || read.is_u64(),
        "number" => read.is_number(),
        "boolean" => read.is_boolean(),
        _ => false,
    };
    if let Some(read) = read.filter(fits) {
        *value = read;
    }
}

/// The headers, each name in small letters.
struct Headers(Vec<(String, String)>);

impl Headers {
    fn of(http: &HttpRequest) -> Result<Self, Unread> {
        let Some(HeaderMap { headers }) = &http.header_map else {
            let why = "the proxy joins headers of one name, so that nobody sees that there were two; set `encode_raw_headers: true` \
                       in its `ext_authz` filter";
            return Err(Unread::Route(why.into()));
        };
        let mut found: Vec<(String, String)> = Vec::new();
        for header in headers {
            let name = header.key.to_ascii_lowercase();
            let value = match header.raw_value.as_slice() {
                [] => header.value.clone(),
                raw => match std::str::from_utf8(raw) {
                    Ok(text) => text.to_owned(),
                    Err(_) if SINGLE.contains(&name.as_str()) => {
                        return refused(format!("`{name}` is no UTF-8"));
                    }
                    // It is looked at by nobody here.
                    Err(_) => String::new(),
                },
            };
            if SINGLE.contains(&name.as_str()) && found.iter().any(|(known, _)| *known == name) {
                return refused(format!("the header `{name}` stands twice"));
            }
            // Many targets read `_` and `-` in a name alike.
            let read = name.replace('_', "-");
            if read != name && (SINGLE.contains(&read.as_str()) || read.starts_with("x-envoy-")) {
                return refused(format!("the header `{name}` could be read as `{read}`; leave it out"));
            }
            let names_host = read == "forwarded" && value.to_ascii_lowercase().contains("host");
            if OVERRIDES.contains(&read.as_str()) || names_host {
                return refused(format!(
                    "the header `{name}` could make the target read another request; leave it out"
                ));
            }
            if name.starts_with("x-envoy-") && !OF_ENVOY.contains(&name.as_str()) {
                return refused(format!(
                    "the header `{name}` tells the proxy what to do with the request; leave it out"
                ));
            }
            found.push((name, value));
        }
        let headers = Self(found);
        if headers.get("upgrade").is_some() || http.method == "CONNECT" {
            return refused("what follows an upgrade or `CONNECT` is seen by nobody here");
        }
        Ok(headers)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The requests of a route: `POST api.example.com/v1/accounts/{account}/transfers`.
#[derive(Debug, PartialEq, Eq)]
struct Pattern<'a> {
    method: &'a str,
    host: &'a str,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Argument(&'a str),
}

impl<'a> Pattern<'a> {
    fn of(text: &'a str) -> Result<Self, Unread> {
        let wrong = || {
            Unread::Route(format!(
                "`{REQUEST}` is `{text}`; write a method, a host and a path, such as \
                 `POST api.example.com/v1/accounts/{{account}}/transfers`"
            ))
        };
        let (method, rest) = text.split_once(' ').ok_or_else(wrong)?;
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || host.is_empty() {
            return Err(wrong());
        }
        let parts =
            path.split('/').map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                Some("") => Err(wrong()),
                Some(name) => Ok(Part::Argument(name)),
                None if part.contains(['{', '}', '?', '#', '%']) => Err(wrong()),
                None => Ok(Part::Text(part)),
            });
        Ok(Self { method, host, parts: parts.collect::<Result<_, _>>()? })
    }

    /// What of the request line are arguments, if it is one of this route.
    fn read(&self, http: &HttpRequest, arguments: &mut Arguments) -> Result<(), Unread> {
        let other = |what: &str, is: &str, asked: &str| {
            refused(format!("the {what} is `{}`; this route is for `{is}`", shown(asked)))
        };
        if http.method != self.method {
            return other("method", self.method, &http.method);
        }
        if !http.host.eq_ignore_ascii_case(self.host) {
            return other("host", self.host, &http.host);
        }
        let (path, query) = match http.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (http.path.as_str(), None),
        };
        let Some(path) = path.strip_prefix('/').filter(|_| !http.path.contains('#')) else {
            return refused("the path does not begin with `/`, or has a `#`");
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() != self.parts.len() {
            return other("path", &self.path(), &http.path);
        }
        for (part, wanted) in parts.into_iter().zip(&self.parts) {
            match wanted {
                Part::Text(text) if *text == part => {}
                Part::Text(_) => return other("path", &self.path(), &http.path),
                Part::Argument(name) => {
                    let value = decoded(part, "path")?;
                    let detour = value.is_empty() || value == "." || value == "..";
                    if detour || part.contains(';') || value.contains(['/', '\\']) {
                        return refused(format!(
                            "`{}` in the path may be read as more than one part",
                            shown(part)
                        ));
                    }
                    arguments.put_text((*name).to_owned(), Value::String(value))?;
                }
            }
        }
        arguments.form(query.unwrap_or_default(), "query")
    }

    fn path(&self) -> String {
        let part = |part: &Part<'_>| match part {
            Part::Text(text) => format!("/{text}"),
            Part::Argument(name) => format!("/{{{name}}}"),
        };
        self.parts.iter().map(part).collect()
    }
}

/// What of the body are arguments: the members of an object, or of a form; anything else is `body`.
fn read_body(
    http: HttpRequest,
    headers: &Headers,
    limits: &Limits,
    arguments: &mut Arguments,
) -> Result<(), Unread> {
    match headers.get(PARTIAL) {
        Some("false") => {}
        Some(_) => {
            return refused(
                "the body is longer than the proxy sends along, so the rest of it would be unjudged",
            );
        }
        None => {
            let why = "the proxy does not send the body along; set `with_request_body` in its `ext_authz` filter, with \
                       `allow_partial_message: false` and `pack_as_bytes: true`";
            return Err(Unread::Route(why.into()));
        }
    }
    let body = match (http.raw_body.is_empty(), http.body.is_empty()) {
        (false, true) => http.raw_body,
        (_, false) => http.body.into_bytes(),
        (true, true) => Vec::new(),
    };
    if headers.get("content-length").is_some_and(|length| length != body.len().to_string()) {
        return refused("`content-length` is not the length of the body");
    }
    if body.is_empty() {
        let bodiless = matches!(http.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS");
        if headers.get("transfer-encoding").is_some()
            || !(bodiless || headers.get("content-length").is_some())
        {
            return refused("there is no body, and no `content-length` that says so");
        }
        return Ok(());
    }
    if headers.get("content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return refused("the body is compressed, so nobody here can read it; send it as it is");
    }
    let kind = headers.get("content-type").unwrap_or_default();
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let parameters = parameters.trim().replace('"', "");
    if !parameters.is_empty() && !parameters.eq_ignore_ascii_case("charset=utf-8") {
        return refused(format!(
            "`{}` behind `content-type` is not understood; the body has to be UTF-8",
            shown(&parameters)
        ));
    }
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" {
        let text = std::str::from_utf8(&body).map_err(|_| Unread::Request("the body is no UTF-8".into()))?;
        return arguments.form(text, "body");
    }
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
        return refused(format!(
            "the body is `{}`; `application/json` and `application/x-www-form-urlencoded` can be judged",
            shown(&kind)
        ));
    }
    match Document::read(&body, limits) {
        Ok(Value::Object(members)) => {
            members.into_iter().try_for_each(|(name, value)| arguments.put(name, value))
        }
        Ok(value) => arguments.put("body".into(), value),
        Err(error) => refused(format!("{} at byte {} of the body", error.message, error.offset)),
    }
}

/// Percent-encoding taken off, once.
fn decoded(part: &str, place: &str) -> Result<String, Unread> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|d| d.and_then(|d| char::from(d).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            return refused(format!("the {place} has a `%` without two digits behind it"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        Ok(_) => refused(format!("the {place} has control characters")),
        Err(_) => refused(format!("the {place} is no UTF-8")),
    }
}

/// What an agent sent, for a message: not long, and without what nobody sees.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
