//! Streams of events: who hears of what, from where on, and when they end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use common::Served;
use serde_json::{Value, json};
use std::time::Duration;

/// A stream that somebody reads.
struct Heard {
    response: reqwest::Response,
    text: String,
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    id: u64,
    data: Value,
}

impl Heard {
    async fn of(s: &Served, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = s.http.get(format!("http://{}{path}", s.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut heard = Self { response, text: String::new() };
        // It has begun to listen when it says so, or has something to tell.
        heard.more().await;
        heard
    }

    async fn with(s: &Served, key: &str, topics: &str, headers: &[(&str, &str)]) -> Self {
        let bearer = format!("Bearer {key}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        Self::of(s, &format!("/v1/events?topics={topics}"), &all).await
    }

    /// Reads on. False at the end.
    async fn more(&mut self) -> bool {
        match self.response.chunk().await.unwrap_or(None) {
            Some(chunk) => {
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
                true
            }
            None => false,
        }
    }

    /// The next event; none if the stream has ended. Signs of life are none.
    async fn next(&mut self) -> Option<Event> {
        let heard = tokio::time::timeout(Duration::from_secs(20), self.event()).await;
        heard.expect("nothing is told, and it does not end")
    }

    async fn event(&mut self) -> Option<Event> {
        loop {
            while let Some((one, rest)) = self.text.split_once("\n\n") {
                let of = |name: &str| {
                    one.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned())
                };
                let event = of("event:").map(|name| Event {
                    name,
                    id: of("id:").unwrap().parse().unwrap(),
                    data: serde_json::from_str(&of("data:").unwrap()).unwrap(),
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

async fn size(s: &Served) -> u64 {
    s.gate.ledger().head().await.unwrap().size
}

async fn asked(s: &Served, token: &str, amount: &str) -> String {
    let told = s.transfer(token, amount, json!({})).await.json();
    told["approval"]["id"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

async fn answer(s: &Served, key: &str, id: &str, word: &str) {
    let view = s.get(key, &format!("/v1/approvals/{id}")).await.json()["view"].clone();
    let reply = s.post(key, &format!("/v1/approvals/{id}/{word}"), &json!({"view": view})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn whoever_is_asked_hears_of_it_and_nobody_else() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let mut finn = Heard::with(&s, &s.keys.finn, "inbox", &[]).await;
    let mut olga = Heard::with(&s, &s.keys.olga, "inbox", &[]).await;
    let id = asked(&s, &token, "10").await;
    for heard in [&mut finn, &mut olga] {
        let event = heard.next().await.unwrap();
        assert_eq!(
            (event.name.as_str(), &event.data),
            ("inbox", &json!({})),
            "it says where to look, not what is there"
        );
        assert_eq!(event.id, size(&s).await - 1);
    }
    answer(&s, &s.keys.fay, &id, "approve").await;
    assert!(finn.next().await.is_some(), "the answer of somebody else");

    // What asks operators alone is not told to finance: the next thing that it hears of is what asks finance.
    let before = size(&s).await;
    let opened = s.post(&s.keys.orchestrator, "/v1/runs", &for_operators()).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let mid = size(&s).await;
    assert!(mid > before);
    let _ = asked(&s, &token, "11").await;
    loop {
        let event = finn.next().await.unwrap();
        if event.id >= before {
            assert!(event.id >= mid, "{event:?}: what asks operators is none of theirs");
            break;
        }
    }
}

#[tokio::test]
async fn a_request_is_followed_to_what_comes_of_it() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (id, other) = (asked(&s, &token, "10").await, asked(&s, &token, "20").await);
    let mut heard = Heard::with(&s, &s.keys.finn, &format!("approval:{id}"), &[]).await;
    answer(&s, &s.keys.fay, &other, "reject").await;
    let before = size(&s).await;
    answer(&s, &s.keys.fay, &id, "approve").await;
    let event = heard.next().await.unwrap();
    assert_eq!(event.data, json!({"approval": id}));
    assert!(event.id >= before, "the other request is none of its business");
    assert_eq!(s.transfer(&token, "10", json!({})).await.json()["state"], "done");
    // The call was ruled again, begun and ended; how many events tell so is a matter of time.
    let last = size(&s).await - 1;
    while heard.next().await.unwrap().id < last {}
}

#[tokio::test]
async fn who_was_away_is_told_that_there_is_something_to_look_at() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let seen = size(&s).await;
    let _ = asked(&s, &token, "10").await;
    let now = size(&s).await;
    for headers in [vec![("last-event-id", (seen - 1).to_string())], vec![]] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let topics = if headers.is_empty() { format!("inbox&since={seen}") } else { "inbox".to_owned() };
        let mut heard = Heard::with(&s, &s.keys.finn, &topics, &headers).await;
        assert_eq!(heard.next().await.unwrap().id, now - 1);
    }
    let mut heard = Heard::with(&s, &s.keys.finn, &format!("inbox&since={now}"), &[]).await;
    let _ = asked(&s, &token, "11").await;
    assert!(heard.next().await.unwrap().id > now, "who has seen everything is told of what comes");
}

#[tokio::test]
async fn a_stream_is_refused_with_a_way_out() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let ask = async |key: &str, query: &str| s.get(key, &format!("/v1/events{query}")).await.short();
    assert_eq!(s.send("GET", "/v1/events?topics=inbox", &[], b"").await.short(), "401 token_invalid");
    assert_eq!(ask(&token, "?topics=inbox").await, "403 forbidden", "agents hear of their own calls");
    assert_eq!(ask(&s.keys.orchestrator, "?topics=inbox").await, "403 forbidden");
    for query in [
        "",
        "?topics=",
        "?topics=runs",
        "?topics=approval:",
        "?topics=inbox&x=1",
        "?topics=inbox&since=-1",
        "?topics=inbox,inbox,inbox,inbox,inbox,inbox,inbox,inbox,inbox",
    ] {
        assert_eq!(ask(&s.keys.finn, query).await, "400 request_invalid", "{query}");
    }
    assert_eq!(ask(&s.keys.finn, "?topics=approval:apr_none").await, "404 approval_unknown");
    assert_eq!(
        s.send("GET", "/events?topics=inbox", &[("host", &own(&s))], b"").await.short(),
        "401 token_invalid"
    );
    // What asks operators is not there for finance.
    let plan = s.post(&s.keys.orchestrator, "/v1/runs", &for_operators()).await.json();
    let theirs = plan["plan_approval"]["id"].as_str().unwrap();
    assert_eq!(ask(&s.keys.finn, &format!("?topics=approval:{theirs}")).await, "404 approval_unknown");

    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Heard::with(&s, &s.keys.finn, "inbox", &[]).await);
    }
    assert_eq!(ask(&s.keys.finn, "?topics=inbox").await, "429 overloaded");
    let mut others = Heard::with(&s, &s.keys.fay, "inbox", &[]).await;
    let metrics = s.get(&s.keys.olga, "/metrics").await.text;
    assert!(metrics.contains("aecl_event_streams 9"), "{metrics}");
    drop(streams);
    // A stream that nobody reads any more is noticed when there is something to say.
    for n in 0..200 {
        let _ = asked(&s, &token, &format!("1{n}")).await;
        assert!(others.next().await.is_some());
        let metrics = s.get(&s.keys.olga, "/metrics").await.text;
        if metrics.contains("aecl_event_streams 1\n") {
            return;
        }
    }
    panic!("streams that were left keep their places");
}

/// A run whose plan asks operators.
fn for_operators() -> Value {
    json!({"agent": "reader", "goal": "Read.", "approve_plan": true,
        "plan": {"steps": [{"action": "mail.read", "arguments": {"/id": {"equals": "m1"}}}]}})
}

fn own(s: &Served) -> String {
    format!("aecl.localhost:{}", s.address.port())
}

async fn login(s: &Served, key: &str) -> (String, String) {
    let host = own(s);
    let origin = format!("http://{host}");
    let form = [("content-type", "application/x-www-form-urlencoded"), ("origin", &origin)];
    let reply = s.send("POST", "/login", &form, format!("key={key}").as_bytes()).await;
    let cookie = reply.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = s.send("GET", "/approvals", &[("cookie", &cookie)], b"").await.text;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (cookie, csrf)
}

#[tokio::test]
async fn a_page_is_told_until_its_login_ends() {
    let s = Served::start().await;
    let (_, token) = s.run("payer").await;
    let (cookie, csrf) = login(&s, &s.keys.finn).await;
    let host = own(&s);
    let with = [("host", host.as_str()), ("cookie", cookie.as_str())];
    let mut heard = Heard::of(&s, "/events?topics=inbox", &with).await;
    let _ = asked(&s, &token, "10").await;
    assert!(heard.next().await.is_some());
    let page = s.send("GET", "/approvals", &with, b"").await.text;
    let at = page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(at.parse::<u64>().unwrap(), size(&s).await, "the page says how much it has seen");

    let origin = format!("http://{host}");
    let form =
        [("content-type", "application/x-www-form-urlencoded"), ("origin", &origin), ("cookie", &cookie)];
    let left = s.send("POST", "/logout", &form, format!("csrf={csrf}").as_bytes()).await;
    assert_eq!(left.status, 303, "{}", left.text);
    assert_eq!(heard.next().await, None, "and the stream ends with it");
    let (cookie, _) = login(&s, &s.keys.finn).await;
    let mut heard = Heard::of(&s, "/events?topics=inbox", &[("host", &host), ("cookie", &cookie)]).await;
    s.closing.cancel();
    assert_eq!(heard.next().await, None, "a server that goes down ends its streams");
}
