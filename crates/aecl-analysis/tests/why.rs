//! What makes an action ask, and the line of policy that would change it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "it reads which codes the checks have, and decides nothing")]

use aecl_analysis::load::VettedBundle;
use aecl_analysis::situation::AssumedSituation;
use aecl_analysis::why::{Inquiry, Why, otherwise, why};
use aecl_kernel::base::code::Code;
use aecl_kernel::base::id::{AgentId, Environment, TenantId, UserId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::labels::Labels;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RULE: &str = r#"@id("late") @reason("nobody pays by hand") @approvers("operators")
forbid (principal, action == Action::"bank.pay", resource) unless { context.approval.granted };
@id("never") @reason("no moon") forbid (principal, action == Action::"moon.land", resource);"#;

fn actions() -> Value {
    let text = || json!({"type": "string"});
    let of = |properties: Value| {
        let required: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    json!([
        {"name": "note.read", "effect": "read", "arguments": of(json!({"id": text()})),
         "connector": {"kind": "http", "url": "https://shop.example/notes/{arguments/id}"}},
        {"name": "page.fetch", "effect": "read", "arguments": of(json!({"url": text()})), "args": {"url": {"class": "dest_url"}}},
        {"name": "bank.pay", "effect": "pay", "reversibility": "reversible", "severity": 3,
         "arguments": of(json!({"to": text(), "sum": {"type": "number"}})),
         "args": {"to": {"class": "dest_account"}, "sum": {"class": "magnitude", "limit": 100}}},
        {"name": "bank.wire", "effect": "pay", "arguments": of(json!({"to": text()})), "args": {"to": {"class": "dest_account"}},
         "intent": {"strong": ["wire"]}},
        {"name": "bank.move", "effect": "pay", "arguments": of(json!({"to": text()})), "args": {"to": {"class": "dest_account"}},
         "intent": {"strong": ["move"]}, "approval": {"always": false, "unless_proven": true}},
        {"name": "mail.send", "effect": "send", "reversibility": "reversible",
         "arguments": of(json!({"to": text(), "body": text()})), "args": {"to": {"class": "dest_email"}, "body": {"class": "content"}}},
        {"name": "page.post", "effect": "send", "reversibility": "reversible", "arguments": of(json!({"words": text()})),
         "args": {"words": {"class": "content"}}},
        {"name": "room.book", "effect": "write", "reversibility": "compensatable", "arguments": of(json!({"room": text()}))},
        {"name": "moon.land", "effect": "write", "reversibility": "reversible", "arguments": of(json!({})), "environments": ["moon"]},
        {"name": "box.open", "effect": "write", "reversibility": "reversible", "approval": {"always": true}, "arguments": of(json!({}))},
        {"name": "box.shut", "effect": "write", "reversibility": "reversible", "arguments": of(json!({}))},
        {"name": "db.run", "effect": "write", "reversibility": "reversible", "egress": "none", "severity": 1,
         "arguments": of(json!({"sql": text()})), "args": {"sql": {"class": "query_sql"}}},
        {"name": "host.run", "effect": "execute", "reversibility": "reversible", "egress": "none", "severity": 1,
         "arguments": of(json!({"line": text()})), "args": {"line": {"class": "command"}}},
        {"name": "key.set", "effect": "write", "reversibility": "reversible", "arguments": of(json!({"password": text()})),
         "args": {"password": {"class": "credential"}}},
        {"name": "file.share", "effect": "write", "reversibility": "reversible", "arguments": of(json!({"what": text(), "about": text()})),
         "args": {"what": {"class": "attachments"}, "about": {"class": "profile"}}},
        {"name": "host.tool", "effect": "delete", "severity": 3, "arguments": of(json!({"op": {"enum": ["a", "b", "c", "d", "list", "start", "wipe"]}, "id": {"type": "string"}})),
         "args": {"id": {"class": "target_id"}, "op": {"class": "selector", "default": "list"}},
         "cases": [{"when": {"op": ["a", "b", "c", "d", "list"]}, "effect": "read"}, {"when": {"op": "start"}, "effect": "write", "severity": 2, "reversibility": "irreversible"}]},
        {"name": "shop.refund", "effect": "write", "reversibility": "reversible", "arguments": of(json!({"order": text()})),
         "resource": {"type": "Order", "read": "note.read", "arguments": {"id": {"from": "arguments", "at": "/order"}},
                      "attributes": {"owner": {"at": "/owner", "type": "text"}}}},
    ])
}

fn bundle() -> VettedBundle {
    let names: Vec<Value> = actions().as_array().unwrap().iter().map(|a| a["name"].clone()).collect();
    let agents = json!([
        {"agent_id": "a", "allowed_actions": names, "blocked_actions": ["box.shut"], "auto_approve_threshold": 1},
        {"agent_id": "low", "allowed_actions": names, "auto_approve_threshold": "0.2"},
        {"agent_id": "strict", "allowed_actions": names, "mode": "strict", "auto_approve_threshold": 1},
        {"agent_id": "planner", "allowed_actions": names, "plans": "approve", "auto_approve_threshold": 1},
        {"agent_id": "poor", "allowed_actions": names, "auto_approve_threshold": 1, "hours": {"from": "03:00", "to": "03:01"},
         "scopes": {"tenants": ["other"], "environments": ["moon"]}, "on_behalf_of": ["ann"], "credential_scope": "x"},
        {"agent_id": "none", "allowed_actions": []},
        {"agent_id": "ruled", "context_rules": {"box.open": "requires_human_approval", "note.read": "requires_human_approval"}},
        {"agent_id": "mute", "allowed_actions": names, "max_questions_per_run": 0, "auto_approve_threshold": 1},
    ]);
    let source = |path: &str, text: String| Source { path: path.into(), text };
    VettedBundle::load(vec![
        source("actions/all.json", actions().to_string()),
        source("agents/all.yaml", agents.to_string()),
        source("rules/own.cedar", RULE.into()),
    ])
    .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn asked(agent: &str, action: &str) -> Inquiry {
    let situation = AssumedSituation {
        agent: AgentId::new(agent).unwrap(),
        action: action.into(),
        arguments: b"{}".to_vec(),
        tenant: TenantId::new("default").unwrap(),
        project: None,
        environment: Environment::new("production").unwrap(),
        user: None,
        labels: Labels::default(),
        goal: None,
        cages: HostIsolation::every(),
        resources: BTreeMap::new(),
        completes: None,
        at: Timestamp(1_767_225_600_000),
    };
    Inquiry { situation, arguments_given: false }
}

/// Every line for this code, with what is left; or what else ends it.
fn lines(found: &[Why], code: &str) -> Vec<String> {
    let reasons = found.iter().flat_map(|why| &why.situations).flat_map(|spoken| {
        spoken.reasons.iter().filter(|r| r.code.as_str() == code).map(|reason| (spoken.situation, reason))
    });
    let told = reasons.map(|(situation, reason)| {
        let lines: Vec<String> = reason
            .lines
            .iter()
            .map(|line| {
                let left: Vec<&str> = line.left.iter().map(|code| code.as_str()).collect();
                format!("{} {}: {} | {}", line.file, line.entry, line.line, left.join(" "))
            })
            .collect();
        let lines = if lines.is_empty() { vec![reason.otherwise.to_owned()] } else { lines };
        format!("{situation}: {}", lines.join(" || "))
    });
    told.collect()
}

#[test]
fn each_reason_has_the_line_that_changes_it() {
    let (bundle, mut wrong) = (bundle(), Vec::new());
    for (agent, action, code, expected) in [
        (
            "a",
            "bank.wire",
            "irreversible",
            "every call: actions/all.json bank.wire: approval: { always: false, unless_proven: true } |  || actions/all.json bank.wire: reversibility: reversible | ",
        ),
        (
            "a",
            "bank.move",
            "irreversible",
            "values that nobody has named: actions/all.json bank.move: args.to: { class: dest_account, known: [VALUE] } |  || actions/ the read that brings it: outputs: [{ path: ..., endorses: directory, taints: false, type: ... }] |  || actions/all.json bank.move: reversibility: reversible |  ## what the goal does not ask for: actions/all.json bank.move: intent: { strong: [WORD, move] } |  || actions/all.json bank.move: reversibility: reversible | ",
        ),
        (
            "a",
            "room.book",
            "uncompensated",
            "every call: actions/all.json room.book: reversibility: reversible | ",
        ),
        (
            "a",
            "box.open",
            "approval_rule",
            "every call: actions/all.json box.open: approval: { always: false } | ",
        ),
        (
            "ruled",
            "note.read",
            "approval_rule",
            "every call: agents/all.yaml ruled: allowed_actions: [..., note.read], and not in `context_rules` | ",
        ),
        ("a", "bank.pay", "approval_rule", "every call: rules/own.cedar late: without this rule | "),
        (
            "a",
            "moon.land",
            "policy_forbids",
            "every call: rules/own.cedar never: without this rule | environment_refused",
        ),
        (
            "a",
            "moon.land",
            "environment_refused",
            "every call: actions/all.json moon.land: environments: [moon, production] | policy_forbids",
        ),
        ("a", "box.shut", "action_blocked", "every call: agents/all.yaml a: blocked_actions: [] | "),
        (
            "none",
            "box.shut",
            "not_allowed",
            "every call: agents/all.yaml none: allowed_actions: [..., box.shut] | ",
        ),
        (
            "low",
            "bank.pay",
            "risk_above_threshold",
            "every call: agents/all.yaml low: auto_approve_threshold: 0.4 | approval_rule || risk.json : production: 0 | approval_rule",
        ),
        (
            "planner",
            "box.shut",
            "plan_not_approved",
            "every call: agents/all.yaml planner: plans: optional | ",
        ),
        (
            "poor",
            "note.read",
            "out_of_hours",
            "every call: agents/all.yaml poor: hours: null | environment_refused out_of_scope",
        ),
        (
            "poor",
            "note.read",
            "out_of_scope",
            "every call: agents/all.yaml poor: scopes.tenants: [other, default] | environment_refused out_of_hours out_of_scope ## every call: a run where it belongs; no person either",
        ),
        (
            "mute",
            "box.open",
            "questions_exhausted",
            "every call: agents/all.yaml mute: max_questions_per_run: 10 | approval_rule",
        ),
        (
            "a",
            "bank.pay",
            "unproven_destination",
            "after a stranger's text: values that nobody has named: actions/all.json bank.pay: args.to: { class: dest_account, known: [VALUE] } | approval_rule unproven_amount || actions/ the read that brings it: outputs: [{ path: ..., endorses: directory, taints: false, type: ... }] | approval_rule unproven_amount",
        ),
        (
            "a",
            "bank.pay",
            "unproven_amount",
            "after a stranger's text: values that nobody has named: actions/all.json bank.pay: args.sum: { class: magnitude, limit: \"100\", known: [VALUE] } | approval_rule unproven_destination || actions/all.json bank.pay: args.sum: { class: magnitude, limit: \"100\", low_value: AMOUNT } | approval_rule unproven_destination || actions/ the read that brings it: outputs: [{ path: ..., endorses: system, taints: false, type: ... }] | approval_rule unproven_destination",
        ),
        (
            "a",
            "bank.pay",
            "amount_above_limit",
            "an amount above its limit: actions/all.json bank.pay: args.sum: { class: magnitude, limit: AMOUNT } | approval_rule",
        ),
        (
            "a",
            "bank.pay",
            "more_than_asked",
            "after a stranger's text: once more than the goal asks: a goal that says how many (\"both\", \"all\", each by name), or a person; that is its purpose",
        ),
        (
            "a",
            "bank.wire",
            "off_intent",
            "after a stranger's text: what the goal does not ask for: actions/all.json bank.wire: intent: { strong: [WORD, wire] } | irreversible",
        ),
        (
            "a",
            "page.fetch",
            "unproven_fetch",
            "after a stranger's text: values that nobody has named: actions/all.json page.fetch: args.url: { class: dest_url, known: [VALUE] } |  || actions/ the read that brings it: outputs: [{ path: ..., endorses: directory, taints: false, type: ... }] | ",
        ),
        (
            "a",
            "page.post",
            "private_to_outside",
            "after private data was read, too: actions/all.json page.post: egress: tenant | ",
        ),
        (
            "a",
            "page.post",
            "ungrounded",
            "after a stranger's text: values that nobody has named: a goal that says what is to be written, or a person; that is its purpose",
        ),
        (
            "a",
            "mail.send",
            "unproven_link",
            "after a stranger's text: values that nobody has named: a goal that has the link or address, or a person; that is its purpose",
        ),
        (
            "a",
            "file.share",
            "unproven_attachment",
            "after a stranger's text: values that nobody has named: actions/all.json file.share: args.what: { class: attachments, known: [VALUE] } | unproven_profile || actions/ the read that brings it: outputs: [{ path: ..., endorses: system, taints: false, type: ... }] | unproven_profile",
        ),
        (
            "a",
            "file.share",
            "unproven_profile",
            "after a stranger's text: values that nobody has named: actions/all.json file.share: args.about: { class: profile, known: [VALUE] } | unproven_attachment",
        ),
        (
            "a",
            "key.set",
            "unproven_credential",
            "after a stranger's text: values that nobody has named: a goal that says it, or a person: nobody vouches for passwords beforehand",
        ),
        (
            "a",
            "db.run",
            "unproven_command",
            "after a stranger's text: values that nobody has named: actions/all.json db.run: args.sql: { class: query_sql, known: [VALUE] } | ",
        ),
        (
            "a",
            "db.run",
            "sql_unread",
            "SQL that is not understood: nothing but a person; that is its purpose",
        ),
        (
            "a",
            "host.run",
            "command_beyond_looking",
            "a command that does more than look: nothing but a person; that is its purpose",
        ),
        (
            "strict",
            "bank.wire",
            "off_intent_unproven",
            "what a stranger's sentence says: actions/all.json bank.wire: intent: { strong: [WORD, wire] } | irreversible told_by_stranger unproven_destination || agents/all.yaml strict: mode: standard | irreversible off_intent unproven_destination",
        ),
        (
            "a",
            "shop.refund",
            "resource_unread",
            "the thing cannot be read: actions/all.json shop.refund: resource.missing: ask | resource_unread",
        ),
    ] {
        let found = why(&bundle, &asked(agent, action)).unwrap();
        let told = lines(&found, code).join(" ## ");
        if told != expected {
            wrong.push(format!("{agent} {action} {code}\n  is   {told}\n  must {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_line_about_a_case_stands_at_the_case() {
    let found = why(&bundle(), &asked("a", "host.tool")).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|why| (why.when.clone(), lines(std::slice::from_ref(why), "irreversible")))
        .collect();
    let start = told.iter().find(|(when, _)| when.as_deref().is_some_and(|w| w.contains("start"))).unwrap();
    assert_eq!(
        start.1,
        [
            "every call: actions/all.json host.tool > cases[1]: approval: { always: false, unless_proven: true } |  || actions/all.json host.tool > cases[1]: reversibility: reversible | "
        ]
    );
    let list = told.iter().find(|(when, _)| when.as_deref().is_some_and(|w| w.contains("list"))).unwrap();
    assert_eq!(list.1, [""; 0], "who looks is not asked");
    let rest = told.iter().find(|(when, _)| when.is_none()).unwrap();
    assert!(
        rest.1[0].contains("host.tool (and its cases that say nothing else): approval"),
        "what no case describes has a sample: {rest:?}"
    );
    let of_start = found.iter().filter(|w| w.when.as_deref().is_some_and(|w| w.contains("start")));
    let unproven: Vec<String> =
        of_start.flat_map(|w| lines(std::slice::from_ref(w), "unproven_target")).collect();
    let line = "cases[1]: args.id: { class: target_id, known: [VALUE] }";
    assert!(unproven.iter().any(|told| told.contains(line)), "{unproven:?}");
}

#[test]
fn a_call_with_a_goal_is_asked_about_as_it_is() {
    let bundle = bundle();
    let of = |arguments: Value, goal: &str, user: Option<&str>| {
        let mut question = asked("a", "mail.send");
        question.arguments_given = true;
        question.situation.arguments = arguments.to_string().into_bytes();
        question.situation.goal = Some(goal.into());
        question.situation.user = user.map(|u| UserId::new(u).unwrap());
        let found = why(&bundle, &question).unwrap();
        let reasons = found.iter().flat_map(|w| &w.situations).flat_map(|s| &s.reasons);
        let told = reasons.map(|r| {
            let lines: Vec<&str> = r.lines.iter().map(|l| l.line.as_str()).collect();
            format!("{}: {}", r.code, lines.join(" || "))
        });
        told.collect::<Vec<_>>()
    };
    let call = json!({"to": "ann@acme.example", "body": "The minutes are done."});
    let said = "Send an e-mail to ann@acme.example that \"The minutes are done.\"";
    assert_eq!(of(call.clone(), said, None), [""; 0]);
    assert_eq!(
        of(call.clone(), "Courier the minutes to Ann: \"The minutes are done.\"", Some("ann")),
        [
            r#"unproven_destination: args.to: { class: dest_email, known: ["ann@acme.example"] } || emails: ["ann@acme.example"] || outputs: [{ path: ..., endorses: directory, taints: false, type: ... }]"#,
            "off_intent: intent: { strong: [courier], weak: [answer, ask, email, forward, inform, let, mail, message, notify, post, publish, reply, respond, send, tell, write], objects: [send] }",
        ]
    );
}

#[test]
fn first_lines_together_let_a_call_pass_or_say_what_is_left() {
    let bundle = bundle();
    let left = |agent: &str, action: &str| {
        let found = why(&bundle, &asked(agent, action)).unwrap();
        found[0].together.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(left("low", "bank.wire"), "");
    assert_eq!(left("low", "box.open"), "");
    assert_eq!(left("poor", "moon.land"), "out_of_scope", "nobody has said for whom");
}

#[test]
fn every_code_of_a_decision_has_a_way_out_or_a_sentence() {
    fn walk(dir: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split("code::").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
                out.insert(name.to_lowercase());
            }
        }
    }
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aecl-kernel/src");
    let mut names = BTreeSet::new();
    walk(&kernel.join("decide"), &mut names);
    for file in ["decide.rs", "read/action.rs"] {
        for rest in std::fs::read_to_string(kernel.join(file)).unwrap().split("code::").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            names.insert(name.to_lowercase());
        }
    }
    let codes: Vec<Code> = names.iter().filter_map(|name| Code::parse(name)).collect();
    assert!(codes.len() > 60, "{codes:?}");
    let silent: Vec<&Code> = codes.iter().filter(|code| otherwise(**code).is_none()).collect();
    assert!(silent.is_empty(), "nothing is said of {silent:?}");
}
