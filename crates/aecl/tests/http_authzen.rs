//! The cases of the AuthZEN 1.0 certification scenario that apply, with its fixture as a policy of ours. What does not
//! apply stands in `docs/reference/http.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

mod common;

use aecl_kernel::policy::problem::Source;
use common::{Reply, Served};
use serde_json::{Value, json};

/// The fixture: who may do what with records. `delete` is soft, or refused.
async fn fixture() -> Served {
    let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
    let policy = |world: &std::path::Path| {
        let action = |name: &str, effect: &str, properties: Value, statement: &str| {
            let mode = if effect == "read" { "read" } else { "write" };
            json!({
                "name": name, "effect": effect, "description": "Of records.", "reversibility": "reversible",
                "arguments": {"type": "object", "properties": properties},
                "output": {"untrusted": false, "private": false},
                "connector": {"kind": "sql", "database": world, "mode": mode, "statement": statement},
            })
        };
        let actions = json!([
            action("read", "read", json!({"method": {"type": "string"}}), "SELECT text FROM notes"),
            action("write", "write", json!({}), "INSERT INTO notes (text) VALUES ('a')"),
            action("delete", "write", json!({"soft": {"type": "boolean"}}), "UPDATE notes SET text = ''"),
        ]);
        let agent = |id: &str, allowed: &[&str]| json!({"agent_id": id, "allowed_actions": allowed, "approvers": ["operators"]});
        let agents = json!([agent("alice", &["read", "write", "delete"]), agent("bob", &["read"])]);
        let rule = "@id(\"soft-only\")\n@reason(\"records are not deleted for good\")\n\
                    forbid(principal, action == Action::\"delete\", resource)\n\
                    unless { context.args has soft && context.args.soft };\n";
        vec![
            source("actions/all.json", actions),
            source("agents/all.json", agents),
            Source { path: "rules/own.cedar".into(), text: rule.into() },
        ]
    };
    let more = json!({
        "public_url": "https://pdp.example.com",
        "authzen": {"subject_types": ["agent", "user"]},
    });
    Served::of(more, policy).await
}

fn subject(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

fn question(who: &str, action: &str) -> Value {
    json!({"subject": subject(who), "action": {"name": action}, "resource": record("record-1")})
}

/// The same with other members, or without those that are null.
fn changed(mut question: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        question[name] = value.clone();
    }
    question.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    question
}

async fn ask(s: &Served, question: &Value) -> Reply {
    s.post(&s.keys.olga, "/access/v1/evaluation", question).await
}

async fn ask_all(s: &Served, questions: &Value) -> Reply {
    s.post(&s.keys.olga, "/access/v1/evaluations", questions).await
}

/// What an answer must look like, and what it says.
fn decision(reply: &Reply) -> bool {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.headers["content-type"], "application/json");
    let body = reply.json();
    assert!(body.get("context").is_none_or(Value::is_object), "{body}");
    body["decision"].as_bool().unwrap_or_else(|| panic!("no decision: {body}"))
}

fn decisions(reply: &Reply) -> Vec<bool> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let answers = body["evaluations"].as_array().unwrap_or_else(|| panic!("{body}"));
    answers.iter().map(|answer| answer["decision"].as_bool().unwrap()).collect()
}

/// 2.2.1 to 2.2.3, 2.2.6 to 2.2.9, 2.3 and 2.6.
#[tokio::test]
async fn authzen_basic_questions_are_answered() {
    let s = fixture().await;
    let delete = |soft: bool| json!({"action": {"name": "delete", "properties": {"soft": soft}}});
    let wide = json!({
        "subject": {"type": "user", "id": "alice", "properties": {"department": "sales", "role": "manager"}},
        "action": {"name": "read", "properties": {"method": "GET"}},
        "resource": {"type": "record", "id": "record-1", "properties": {"status": "active", "owner": "bob"}},
    });
    for (what, question, wanted) in [
        ("a yes", question("alice", "read"), true),
        ("a yes to a change", question("alice", "write"), true),
        ("a yes to another", question("bob", "read"), true),
        ("a no", question("bob", "write"), false),
        (
            "with circumstances",
            changed(
                question("alice", "read"),
                json!({"context": {"time": "2025-06-27T18:03-07:00", "ip": "192.0.2.1"}}),
            ),
            true,
        ),
        ("properties of the action, yes", changed(question("alice", ""), delete(true)), true),
        ("properties of the action, no", changed(question("alice", ""), delete(false)), false),
        ("more properties", wide, true),
        (
            "unknown members",
            changed(question("alice", "read"), json!({"foo": "bar", "future": {"nested": true}})),
            true,
        ),
    ] {
        for turn in 1..=3 {
            assert_eq!(decision(&ask(&s, &question).await), wanted, "{what}, {turn}");
        }
    }
}

/// 2.4 and 2.5, for one question and for several.
#[tokio::test]
async fn authzen_says_400_to_what_is_no_question_and_gives_back_its_id() {
    let s = fixture().await;
    let usual = || question("alice", "read");
    for (what, more) in [
        ("no subject", json!({"subject": null})),
        ("no action", json!({"action": null})),
        ("no resource", json!({"resource": null})),
        ("a subject without type", json!({"subject": {"id": "alice"}})),
        ("a subject without id", json!({"subject": {"type": "user"}})),
        ("an action without name", json!({"action": {}})),
        ("a resource without type", json!({"resource": {"id": "record-1"}})),
        ("a resource without id", json!({"resource": {"type": "record"}})),
        ("a subject that is text", json!({"subject": "alice"})),
        ("a name that is a number", json!({"action": {"name": 123}})),
    ] {
        let body = changed(usual(), more);
        assert_eq!(ask(&s, &body).await.short(), "400 request_invalid", "{what}");
        assert_eq!(ask_all(&s, &body).await.short(), "400 request_invalid", "{what}, beside no others");
    }
    let bearer = format!("Bearer {}", s.keys.olga);
    let body = usual().to_string();
    for path in ["/access/v1/evaluation", "/access/v1/evaluations"] {
        let send = async |kind: &str, id: Option<&str>, body: &str| {
            let mut headers = vec![("authorization", bearer.as_str()), ("content-type", kind)];
            headers.extend(id.map(|id| ("x-request-id", id)));
            s.send("POST", path, &headers, body.as_bytes()).await
        };
        let json = "application/json";
        for (kind, body, short) in [
            ("text/plain", body.as_str(), "400 request_invalid"),
            ("application/xml", &body, "400 request_invalid"),
            (json, "{\"subject\":", "400 json_invalid"),
            (json, "", "400 json_invalid"),
            (json, "[]", "400 request_invalid"),
        ] {
            let reply = send(kind, Some("r-1"), body).await;
            assert_eq!(reply.short(), short, "{kind} {body}");
            assert_eq!(reply.headers["x-request-id"], "r-1", "also with a refusal");
        }
        let long = "r".repeat(128);
        for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "req_1.2:3/4=~", &long] {
            assert_eq!(send(json, Some(id), &body).await.headers["x-request-id"], id);
        }
        let without = send(json, None, &body).await;
        assert_eq!(without.status, 200);
        assert!(without.headers["x-request-id"].len() > 8, "one is made");
    }
    let nobody = s.post("aecl_p_nobody", "/access/v1/evaluation", &usual()).await;
    assert_eq!(nobody.short(), "401 token_invalid");
}

/// 3.2.1, 3.2.2, 3.2.5, 3.2.6, 3.3 and 3.4, and how required members come from beside an item (3.2.7).
#[tokio::test]
async fn authzen_batches_are_answered_in_their_order() {
    let s = fixture().await;
    let items = |items: Value| json!({"evaluations": items});
    let read = || changed(question("alice", "read"), json!({"resource": null}));
    let records = json!([{"resource": record("record-1")}, {"resource": record("record-2")}]);
    for (what, body, wanted) in [
        ("one action on several", changed(read(), items(records)), vec![true, true]),
        (
            "several actions on one",
            changed(
                question("bob", ""),
                json!({"action": null, "evaluations": [{"action": {"name": "read"}}, {"action": {"name": "write"}}]}),
            ),
            vec![true, false],
        ),
        (
            "nothing beside them",
            items(json!([question("alice", "read"), question("bob", "write")])),
            vec![true, false],
        ),
        (
            "circumstances of all and of one",
            changed(
                read(),
                json!({
                    "context": {"time": "2025-06-27T18:03-07:00"},
                    "evaluations": [
                        {"resource": record("record-1")},
                        {"resource": record("record-2"), "context": {"source": "its own"}},
                    ],
                }),
            ),
            vec![true, true],
        ),
        (
            "required members from beside",
            changed(
                question("alice", "write"),
                json!({"resource": {"type": "record"}, "evaluations": [{"resource": {"id": "record-1"}}]}),
            ),
            vec![true],
        ),
        (
            "one that lacks something",
            changed(read(), items(json!([{"resource": record("record-1")}, {}]))),
            vec![true, false],
        ),
        (
            "properties of one action are not those of another",
            changed(
                question("alice", ""),
                json!({
                    "action": {"name": "delete", "properties": {"soft": true}},
                    "evaluations": [{}, {"action": {"name": "delete"}}, {"action": {"properties": {"soft": false}}}],
                }),
            ),
            vec![true, false, false],
        ),
    ] {
        let reply = ask_all(&s, &body).await;
        assert_eq!(decisions(&reply), wanted, "{what}: {}", reply.text);
        assert!(reply.json().get("decision").is_none(), "{what}");
    }
    for one in [question("alice", "read"), changed(question("alice", "read"), items(json!([])))] {
        assert!(decision(&ask_all(&s, &one).await));
    }
}

/// 6: where everything is, under the address that the configuration names. Searches are not announced.
#[tokio::test]
async fn authzen_is_found_where_its_metadata_say() {
    let s = fixture().await;
    let reply = s.get("", "/.well-known/authzen-configuration").await;
    assert_eq!((reply.status, &reply.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    let about = reply.json();
    assert_eq!(
        about,
        json!({
            "policy_decision_point": "https://pdp.example.com",
            "access_evaluation_endpoint": "https://pdp.example.com/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.example.com/access/v1/evaluations",
        })
    );
    for kind in ["subject", "resource", "action"] {
        let path = format!("/access/v1/search/{kind}");
        assert_eq!(s.post(&s.keys.olga, &path, &json!({})).await.status, 404, "{path}");
    }
}
