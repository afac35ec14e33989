#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use super::super::words::auth::{HeaderValue, HttpAttributes};
use super::*;
use serde_json::json;

const ROUTE: &str = "POST api.example.com/v1/accounts/{account}/transfers";

/// A request of that route, changed in one way.
fn asked(change: impl FnOnce(&mut AttributeContext, &mut HttpRequest)) -> Result<Value, Unread> {
    let mut http = HttpRequest {
        method: "POST".into(),
        path: "/v1/accounts/acc-7/transfers".into(),
        host: "api.example.com".into(),
        ..HttpRequest::default()
    };
    body(&mut http, r#"{"to":"DE02","amount":12.5}"#);
    for (name, value) in [(RUN, "token"), ("content-type", "application/json"), (PARTIAL, "false")] {
        header(&mut http, name, value);
    }
    let mut attributes = AttributeContext::default();
    attributes.context_extensions.insert(ACTION.into(), "transfer".into());
    attributes.context_extensions.insert(REQUEST.into(), ROUTE.into());
    change(&mut attributes, &mut http);
    attributes.request = Some(HttpAttributes { http: Some(http) });
    let schema = json!({"properties": {
        "amount": {"type": "number"}, "dry": {"type": "boolean"}, "count": {"type": "integer"},
        "tag": {"type": "array", "items": {"type": "integer"}},
    }});
    read(attributes, &Limits::default()).map(|asked| Value::Object(asked.arguments.of_types(&schema)))
}

fn header(http: &mut HttpRequest, name: &str, value: &str) {
    let value = HeaderValue { key: name.into(), value: value.into(), raw_value: Vec::new() };
    http.header_map.get_or_insert_default().headers.push(value);
}

fn without(http: &mut HttpRequest, name: &str) {
    http.header_map.get_or_insert_default().headers.retain(|header| header.key != name);
}

fn set(http: &mut HttpRequest, name: &str, value: &str) {
    without(http, name);
    header(http, name, value);
}

fn body(http: &mut HttpRequest, text: &str) {
    http.raw_body = text.as_bytes().to_vec();
    set(http, "content-length", &text.len().to_string());
}

#[test]
fn a_request_is_an_action_with_arguments() {
    type Change = fn(&mut HttpRequest);
    let cases: [(&str, Change, Value); 10] = [
        ("as it is", |_| {}, json!({"account": "acc-7", "to": "DE02", "amount": 12.5})),
        (
            "a query",
            |http| http.path.push_str("?dry=true&count=3&note=a+b%26c"),
            json!({"account": "acc-7", "to": "DE02", "amount": 12.5, "dry": true, "count": 3, "note": "a b&c"}),
        ),
        (
            "a list in a query, and a list of one",
            |http| http.path.push_str("?x=1&x=2&tag=7"),
            json!({"account": "acc-7", "to": "DE02", "amount": 12.5, "x": ["1", "2"], "tag": [7]}),
        ),
        (
            "what is no number stays text, for the schema to refuse",
            |http| http.path.push_str("?count=0x3&dry=TRUE"),
            json!({"account": "acc-7", "to": "DE02", "amount": 12.5, "count": "0x3", "dry": "TRUE"}),
        ),
        (
            "percent-encoding in a part",
            |http| http.path = "/v1/accounts/a%20b%C3%A9/transfers".into(),
            json!({"account": "a b\u{e9}", "to": "DE02", "amount": 12.5}),
        ),
        (
            "a form",
            |http| {
                set(http, "content-type", "application/x-www-form-urlencoded");
                body(http, "to=DE02&amount=12.50");
            },
            json!({"account": "acc-7", "to": "DE02", "amount": 12.50}),
        ),
        ("a list as the body", |http| body(http, "[1]"), json!({"account": "acc-7", "body": [1]})),
        (
            "UTF-8, said",
            |http| set(http, "content-type", "application/json; charset=\"UTF-8\""),
            json!({"account": "acc-7", "to": "DE02", "amount": 12.5}),
        ),
        (
            "JSON of its own kind",
            |http| set(http, "content-type", "application/merge-patch+json"),
            json!({"account": "acc-7", "to": "DE02", "amount": 12.5}),
        ),
        ("no body, said", |http| body(http, ""), json!({"account": "acc-7"})),
    ];
    for (name, change, arguments) in cases {
        assert_eq!(asked(|_, http| change(http)), Ok(arguments), "{name}");
    }
}

#[test]
fn what_has_more_than_one_meaning_has_none() {
    type Change = fn(&mut HttpRequest);
    let cases: [(&str, Change); 49] = [
        ("another method", |http| http.method = "PUT".into()),
        ("a method in small letters", |http| http.method = "post".into()),
        ("a tunnel", |http| http.method = "CONNECT".into()),
        ("another host", |http| http.host = "evil.example.com".into()),
        ("a host with a port", |http| http.host = "api.example.com:8080".into()),
        ("a host with a dot", |http| http.host = "api.example.com.".into()),
        ("a host with a name before it", |http| http.host = "x@api.example.com".into()),
        ("another path", |http| http.path = "/v1/accounts/acc-7/closings".into()),
        ("a longer path", |http| http.path.push_str("/all")),
        ("a slash at the end", |http| http.path.push('/')),
        ("an empty part", |http| http.path = "/v1/accounts//transfers".into()),
        ("a detour", |http| http.path = "/v1/accounts/../transfers".into()),
        ("a detour, encoded", |http| http.path = "/v1/accounts/%2e%2e/transfers".into()),
        ("a dot", |http| http.path = "/v1/accounts/./transfers".into()),
        ("a slash, encoded", |http| http.path = "/v1/accounts/a%2Fb/transfers".into()),
        ("a backslash", |http| http.path = "/v1/accounts/a%5Cb/transfers".into()),
        ("a part with a parameter", |http| http.path = "/v1/accounts/acc-7;x=1/transfers".into()),
        ("letters of the path, encoded", |http| http.path = "/v1/%61ccounts/acc-7/transfers".into()),
        ("no letters of UTF-8", |http| http.path = "/v1/accounts/%FF/transfers".into()),
        ("what nobody sees", |http| http.path = "/v1/accounts/a%00b/transfers".into()),
        ("half an encoding", |http| http.path = "/v1/accounts/a%2/transfers".into()),
        ("a sign for an encoding", |http| http.path = "/v1/accounts/a%+1/transfers".into()),
        ("a whole address for a path", |http| {
            http.path = "http://api.example.com/v1/accounts/a/transfers".into()
        }),
        ("a fragment", |http| http.path.push_str("?a=1#b")),
        ("a value in path and query", |http| http.path.push_str("?account=acc-8")),
        ("a value in query and body", |http| http.path.push_str("?to=DE03")),
        ("a semicolon in the query", |http| http.path.push_str("?a=1;to=DE03")),
        ("a member twice", |http| body(http, r#"{"to":"DE02","to":"DE03"}"#)),
        ("a member that is the path's", |http| body(http, r#"{"account":"acc-8"}"#)),
        ("no JSON", |http| body(http, "{")),
        ("a mark before the JSON", |http| body(http, "\u{feff}{}")),
        ("another length", |http| set(http, "content-length", "3")),
        ("a length that is none", |http| set(http, "content-length", "+27")),
        ("a part of the body", |http| set(http, PARTIAL, "true")),
        ("a header of the proxy, twice", |http| header(http, PARTIAL, "false")),
        ("two runs", |http| header(http, RUN, "other")),
        ("two types", |http| header(http, "Content-Type", "text/plain")),
        ("another type", |http| set(http, "content-type", "text/xml")),
        ("another alphabet", |http| set(http, "content-type", "application/json; charset=utf-16")),
        ("a compressed body", |http| header(http, "content-encoding", "gzip")),
        ("an order to send it again", |http| header(http, "X-Envoy-Retry-On", "5xx")),
        ("an order to send it elsewhere", |http| header(http, "x-envoy-original-path", "/")),
        ("another method in a header", |http| header(http, "X-HTTP-Method-Override", "DELETE")),
        ("the same with other lines", |http| header(http, "x_http_method_override", "DELETE")),
        ("another path in a header", |http| header(http, "x-original-uri", "/")),
        ("the same in part with other lines", |http| header(http, "x-original_url", "/")),
        ("another host in a header", |http| header(http, "Forwarded", "for=1.2.3.4;Host=evil")),
        ("another type with other lines", |http| header(http, "content_type", "text/plain")),
        ("an order with other lines", |http| header(http, "x_envoy_retry_on", "5xx")),
    ];
    for (name, change) in cases {
        let read = asked(|_, http| change(http));
        assert!(matches!(read, Err(Unread::Request(_))), "{name}: {read:?}");
    }
    let undeclared = asked(|_, http| {
        http.raw_body.clear();
        without(http, "content-length");
    });
    assert!(matches!(undeclared, Err(Unread::Request(_))), "{undeclared:?}");
    let upgraded = asked(|_, http| header(http, "upgrade", "websocket"));
    assert!(matches!(upgraded, Err(Unread::Request(_))), "{upgraded:?}");
}

#[test]
fn a_route_that_says_too_little_is_not_judged() {
    type Change = fn(&mut AttributeContext, &mut HttpRequest);
    let cases: [(&str, Change); 8] = [
        ("no action", |attributes, _| drop(attributes.context_extensions.remove(ACTION))),
        ("no request", |attributes, _| drop(attributes.context_extensions.remove(REQUEST))),
        ("no host", |attributes, _| {
            drop(attributes.context_extensions.insert(REQUEST.into(), "POST /v1".into()))
        }),
        ("no path", |attributes, _| {
            drop(attributes.context_extensions.insert(REQUEST.into(), "POST a.b".into()))
        }),
        ("no name", |attributes, _| {
            drop(attributes.context_extensions.insert(REQUEST.into(), "GET a.b/{}".into()))
        }),
        ("half a name", |attributes, _| {
            drop(attributes.context_extensions.insert(REQUEST.into(), "GET a.b/x{y}".into()));
        }),
        ("joined headers", |_, http| http.header_map = None),
        ("no body sent along", |_, http| without(http, PARTIAL)),
    ];
    for (name, change) in cases {
        let read = asked(change);
        assert!(matches!(read, Err(Unread::Route(_))), "{name}: {read:?}");
    }
    assert_eq!(asked(|_, http| without(http, RUN)), Err(Unread::NoRun));
    assert_eq!(asked(|_, http| set(http, RUN, "")), Err(Unread::NoRun));
}
