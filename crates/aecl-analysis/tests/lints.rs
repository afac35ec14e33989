//! What loads and is still doubtful, where a rule names a destination.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_analysis::lint::lint;
use aecl_analysis::load::VettedBundle;
use aecl_kernel::policy::problem::Source;
use serde_json::{Value, json};

fn source(path: &str, text: String) -> Source {
    Source { path: path.into(), text }
}

fn bundle(rule: &str) -> VettedBundle {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": text()});
    let record = |properties: Value| json!({"type": "object", "properties": properties});
    let lines = json!({"type": "array", "items": record(json!({"account": text(), "memo": text()}))});
    let actions = json!([
        {"name": "pay", "effect": "pay", "arguments": record(json!({"to": text(), "memo": text(), "kind": {"enum": ["inside", "outside"], "type": "string"}})),
         "args": {"to": {"class": "dest_account"}, "kind": {"class": "dest_name"}, "memo": {"class": "content"}}},
        {"name": "mail", "effect": "send", "arguments": record(json!({"to": texts(), "cc": text()})),
         "args": {"to": {"class": "dest_email"}, "cc": {"class": "dest_email"}},
         "fields": {"destination": {"value": "/to", "kind": "email"}}},
        {"name": "call", "effect": "send", "arguments": record(json!({"url": text()})),
         "fields": {"destination": {"value": "/url", "kind": "url"}}},
        {"name": "post", "effect": "send", "arguments": record(json!({"channel": text()})),
         "fields": {"destination": {"value": "/channel", "kind": "name", "allowed": ["General", "Sales"]}}},
        {"name": "batch", "effect": "pay", "arguments": record(json!({"lines": lines, "by": record(json!({"account": text()}))})),
         "args": {"/lines/*/account": {"class": "dest_account"}, "/lines/*/memo": {"class": "content"}, "/by/account": {"class": "dest_account"}}},
    ]);
    let agent = json!({"agent_id": "a", "allowed_actions": ["pay", "mail", "call", "post", "batch"]});
    let sources = vec![
        source("actions/all.json", actions.to_string()),
        source("agents/a.json", agent.to_string()),
        source("rules/own.cedar", format!("@id(\"mine\") {rule}")),
    ];
    VettedBundle::load(sources).unwrap_or_else(|problems| panic!("{rule}: {problems:#?}"))
}

/// What is said about a rule for one action.
fn said(action: &str, conditions: &str) -> Vec<String> {
    let rule = format!("forbid(principal, action == Action::\"{action}\", resource) {conditions};");
    let found = lint(&bundle(&rule)).into_iter().filter(|lint| lint.lint == "one_spelling");
    let one = |lint: aecl_analysis::lint::Lint| {
        assert!(lint.warning && lint.path == "rules/own.cedar", "{lint:?}");
        assert!(lint.message.starts_with("`mine` "), "{lint:?}");
        lint.message
    };
    found.map(one).collect()
}

const IBAN: &str = "DE89 3704 0044 0532 0130 00";

#[test]
fn a_rule_that_knows_one_spelling_of_a_destination_is_doubtful() {
    let account = r#"`context.reaches.contains("de89370400440532013000")`"#;
    let negated = r#"`!context.reaches.contains("de89370400440532013000")`"#;
    let several = r#"`context.reaches.containsAny(["7", "de89370400440532013000"])`"#;
    let mailbox = r#"`context.reaches.contains("eveevilexample")`"#;
    for (action, conditions, expected) in [
        ("pay", r#"when { context.args has to && context.args.to == "IBAN" }"#, account),
        ("pay", r#"when { context.args has to && "IBAN" == context["args"]["to"] }"#, account),
        ("pay", r#"unless { context.args has to && context.args.to != "IBAN" }"#, negated),
        ("pay", r#"when { context.args has to && !(context.args.to != "IBAN") }"#, negated),
        (
            "pay",
            r#"when { context.args has to && ["IBAN", "account 7"].contains(context.args.to) }"#,
            several,
        ),
        (
            "pay",
            r#"when { context.args has to && (context.args.to == "IBAN" || context.args.to == "7") }"#,
            several,
        ),
        (
            "pay",
            r#"when { context.args has to && context.args.to == "IBAN" } unless { context.approval.granted }"#,
            account,
        ),
        (
            "pay",
            r#"when { if context.args has to && context.args.to == "IBAN" then false else true }"#,
            account,
        ),
        ("pay", r#"when { context.args has to && (context.args.to == "IBAN") == true }"#, account),
        ("pay", r#"when { context.args has to && [context.args.to].containsAny(["IBAN"]) }"#, account),
        ("pay", r#"when { context.args has to && context.args.to like "IBAN" }"#, account),
        ("mail", r#"when { context.args has to && context.args.to.contains("Eve@evil.example") }"#, mailbox),
        ("mail", r#"when { context.args has to && context.args.to == ["Eve@evil.example"] }"#, mailbox),
        ("mail", r#"when { context.destinations.contains("Eve@evil.example") }"#, mailbox),
        ("mail", r#"when { context.args has cc && context.args.cc == "Eve@evil.example" }"#, mailbox),
        (
            "call",
            r#"when { context.args has url && context.args.url == "https://evil.example/in" }"#,
            r#"`context.reaches.contains("evilexamplein")`"#,
        ),
        (
            "batch",
            r#"when { context.args has by && context.args.by has account && context.args.by.account == "IBAN" }"#,
            account,
        ),
    ] {
        let said = said(action, &conditions.replace("IBAN", IBAN));
        assert_eq!(said.len(), 1, "{conditions}: {said:#?}");
        assert!(said[0].contains(expected), "{conditions}: {}", said[0]);
    }
}

#[test]
fn a_pattern_has_no_one_form_and_the_way_out_is_a_list() {
    let said = said("mail", r#"when { context.args has cc && context.args.cc like "*@evil.example" }"#);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("`context.args.cc`") && said[0].contains("`like`"), "{}", said[0]);
    assert!(said[0].contains("`fields.destination.allowed`"), "{}", said[0]);
}

#[test]
fn where_another_spelling_passes_nothing_there_is_nothing_to_say() {
    for (action, conditions) in [
        // Any other writing is forbidden.
        ("pay", r#"unless { context.args has to && context.args.to == "IBAN" }"#),
        ("pay", r#"when { context.args has to && context.args.to != "IBAN" }"#),
        ("pay", r#"when { context.args has to && !["IBAN"].contains(context.args.to) }"#),
        ("mail", r#"unless { context.args has cc && context.args.cc like "*@acme.example" }"#),
        // No destination, or one that has one writing.
        ("pay", r#"when { context.args has memo && context.args.memo == "IBAN" }"#),
        ("pay", r#"when { context.args has kind && context.args.kind == "outside" }"#),
        ("pay", r#"when { context.args has to && context.args.to == "" }"#),
        ("pay", r#"when { context.environment == "production" }"#),
        ("post", r#"when { context.args has channel && context.args.channel == "Sales" }"#),
        ("call", r#"when { context.destinations.contains("evil.example") }"#),
        // What it should say.
        ("pay", r#"when { context.reaches.contains("de89370400440532013000") }"#),
    ] {
        let said = said(action, &conditions.replace("IBAN", IBAN));
        assert!(said.is_empty(), "{conditions}: {said:#?}");
    }
}

#[test]
fn what_is_looked_for_in_another_form_is_never_found() {
    for conditions in [
        r#"when { context.reaches.contains("IBAN") }"#,
        r#"unless { context.reaches.containsAny(["7", "IBAN"]) }"#,
    ] {
        let said = said("pay", &conditions.replace("IBAN", IBAN));
        assert_eq!(said.len(), 1, "{conditions}: {said:#?}");
        assert!(said[0].contains(r#"write `"de89370400440532013000"`"#), "{}", said[0]);
    }
}

#[test]
fn a_long_rule_for_several_actions_is_one_line() {
    let long = |times: usize| {
        let condition = "context.destinations.contains(\"Eve@evil.example\") || ".repeat(times);
        let rule = format!(
            "forbid(principal, action in [Action::\"pay\", Action::\"mail\"], resource)
             when {{ {condition} context.destinations.contains(\"x\") }};"
        );
        let found = lint(&bundle(&rule)).into_iter().filter(|lint| lint.lint == "one_spelling");
        let said: Vec<String> = found.map(|lint| lint.message).collect();
        assert_eq!(said.len(), 1, "{said:#?}");
        said[0].clone()
    };
    let said = long(90);
    assert!(said.contains(r#"containsAny(["eveevilexample", "x"])"#), "{said}");
    let said = long(900);
    assert!(said.contains("write it as several rules"), "{said}");
}
