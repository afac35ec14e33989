//! Rules about the thing that an action is about, in a shop that rents out bicycles: what is declared of a rental is what its
//! own system says, and what is not known never allows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

use aecl_analysis::load::VettedBundle;
use aecl_analysis::situation::AssumedSituation;
use aecl_kernel::base::id::{AgentId, Environment, TenantId, UserId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::resource::AttributeDeclaration;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::resource::attributes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const RULES: &str = r#"
@reason("a rental belongs to the customer who asks")
forbid (principal, action, resource is Rental)
unless { context has user && resource.owner == context.user };

@reason("only a rental that has not begun is called off")
forbid (principal, action == Action::"rental.cancel", resource)
unless { resource.status == "booked" };

@reason("called off within a day of the booking")
forbid (principal, action == Action::"rental.cancel", resource)
when { resource.booked_age_s > 86400 };

@reason("no more is paid back than was paid")
forbid (principal, action == Action::"rental.refund", resource)
unless { context.amount.lessThanOrEqual(resource.paid) };

@reason("it is paid back to a card of the customer")
forbid (principal, action == Action::"rental.refund", resource)
unless { context.related.customer.cards.contains(context.args.card) };

@reason("only bicycles of the rental are given back")
forbid (principal, action == Action::"rental.return", resource)
unless { resource.bikes.containsAll(context.args.bikes) };

@reason("much money needs a person")
forbid (principal, action == Action::"rental.refund", resource)
when { context.amount.greaterThan(decimal("100.0")) }
unless { context.approval.granted };
"#;

fn catalogue() -> Value {
    let schema = |properties: Value| {
        let required: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    let connector = json!({"kind": "mcp", "server": "shop", "tool": "any"});
    let rental = |more: Value| {
        let mut declared = json!({
            "type": "Rental", "read": "rental.get", "arguments": {"id": {"from": "arguments", "at": "/rental"}},
            "attributes": {
                "owner": {"at": "/customer_id", "type": "text"},
                "status": {"at": "/status", "type": "text"},
                "booked": {"at": "/booked_at", "type": "time"},
                "paid": {"at": "/payments/*/eur", "type": "decimal", "take": "sum"},
                "bikes": {"at": "/bikes/*/id", "type": "set of text"},
                "note": {"at": "/note", "type": "text", "optional": true},
            },
        });
        declared.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        declared
    };
    let customer = json!([{"name": "customer", "read": "customer.get",
        "arguments": {"id": {"from": "resource", "at": "/owner"}},
        "attributes": {"cards": {"at": "/cards", "type": "set of text", "take": "names"}}}]);
    json!([
        {"name": "rental.get", "effect": "read", "arguments": schema(json!({"id": {"type": "string"}})), "connector": connector},
        {"name": "customer.get", "effect": "read", "arguments": schema(json!({"id": {"type": "string"}})), "connector": connector},
        {"name": "rental.cancel", "effect": "write", "reversibility": "reversible", "connector": connector,
         "arguments": schema(json!({"rental": {"type": "string"}})), "resource": rental(json!({}))},
        {"name": "rental.return", "effect": "write", "reversibility": "reversible", "connector": connector,
         "arguments": schema(json!({"rental": {"type": "string"}, "bikes": {"type": "array", "items": {"type": "string"}}})),
         "resource": rental(json!({"missing": "ask"}))},
        {"name": "rental.refund", "effect": "pay", "reversibility": "reversible", "connector": connector, "severity": 1,
         "arguments": schema(json!({"rental": {"type": "string"}, "card": {"type": "string"}, "eur": {"type": "number", "multipleOf": 0.01}})),
         "fields": {"amount": {"value": "/eur", "unit": "EUR"}}, "resource": rental(json!({"related": customer}))},
    ])
}

fn sources(actions: &Value, rules: &str) -> Vec<Source> {
    let agent = json!({"agent_id": "desk", "allowed_actions": ["rental.cancel", "rental.return", "rental.refund"],
                       "auto_approve_threshold": "1.00"});
    let source = |path: &str, text: String| Source { path: path.into(), text };
    vec![
        source("actions/all.json", actions.to_string()),
        source("agents/desk.json", agent.to_string()),
        source("rules/desk.cedar", rules.to_owned()),
    ]
}

/// What is decided about a call on a rental, in the test's words.
fn decided(action: &str, arguments: Value, resources: Value) -> String {
    let bundle = VettedBundle::load(sources(&catalogue(), RULES)).unwrap_or_else(|p| panic!("{p:#?}"));
    let resources: BTreeMap<String, Map<String, Value>> = serde_json::from_value(resources).unwrap();
    let situation = AssumedSituation {
        agent: AgentId::new("desk").unwrap(),
        action: action.into(),
        arguments: arguments.to_string().into_bytes(),
        tenant: TenantId::new("default").unwrap(),
        project: None,
        environment: Environment::new("production").unwrap(),
        user: Some(UserId::new("c7").unwrap()),
        labels: Labels::default(),
        goal: None,
        cages: HostIsolation::every(),
        resources,
        completes: None,
        at: Timestamp::parse("2026-03-02T12:00:00Z").unwrap(),
    };
    let (_, ruling) = situation.rule(&bundle).unwrap();
    let decision = ruling.decision();
    let code = decision.headline.map_or("", |code| code.as_str());
    format!("{} {code}", decision.verdict.name()).trim_end().to_owned()
}

/// A rental that everything may be done to, with some of it otherwise.
fn rental(change: Value) -> Value {
    let mut all = json!({"owner": "c7", "status": "booked", "booked": "2026-03-02T09:00:00Z", "paid": "80.00", "bikes": ["b1", "b2"]});
    for (name, value) in change.as_object().unwrap() {
        all[name] = value.clone();
    }
    json!({"resource": all})
}

#[test]
fn rules_see_what_the_thing_is_like() {
    let cancel = |change: Value| decided("rental.cancel", json!({"rental": "r1"}), rental(change));
    for (change, decision) in [
        (json!({}), "allow"),
        (json!({"note": "left-handed"}), "allow"),
        (json!({"owner": "c8"}), "block policy_forbids"),
        (json!({"status": "out"}), "block policy_forbids"),
        // A day and a second ago.
        (json!({"booked": "2026-03-01T11:59:59Z"}), "block policy_forbids"),
        (json!({"booked": "2026-03-01T12:00:00Z"}), "allow"),
        // The same moment in another zone, and as seconds.
        (json!({"booked": "2026-03-01T13:00:00+01:00"}), "allow"),
        (json!({"booked": 1_772_366_399}), "block policy_forbids"),
    ] {
        assert_eq!(cancel(change.clone()), decision, "{change}");
    }
    let give_back =
        |bikes: Value| decided("rental.return", json!({"rental": "r1", "bikes": bikes}), rental(json!({})));
    assert_eq!(give_back(json!(["b2"])), "allow");
    assert_eq!(give_back(json!(["b2", "b3"])), "block policy_forbids");
}

#[test]
fn rules_compare_a_call_with_several_things() {
    let refund = |eur: f64, card: &str, cards: Value| {
        let mut resources = rental(json!({}));
        resources["customer"] = json!({"cards": cards});
        decided("rental.refund", json!({"rental": "r1", "card": card, "eur": eur}), resources)
    };
    assert_eq!(refund(80.0, "visa", json!(["visa", "gift"])), "allow");
    assert_eq!(refund(80.01, "visa", json!(["visa", "gift"])), "block policy_forbids");
    assert_eq!(refund(10.0, "other", json!(["visa", "gift"])), "block policy_forbids");
    assert_eq!(refund(10.0, "visa", json!([])), "block policy_forbids");
}

#[test]
fn what_is_not_known_of_a_thing_never_allows() {
    let cancel = |resources: Value| decided("rental.cancel", json!({"rental": "r1"}), resources);
    // Nobody has looked, a value is missing, is of another type, or is none that was declared.
    assert_eq!(cancel(json!({})), "block resource_unread");
    assert_eq!(cancel(rental(json!({"status": null}))), "block resource_incomplete");
    assert_eq!(cancel(rental(json!({"paid": "much"}))), "block resource_incomplete");
    assert_eq!(cancel(rental(json!({"bikes": "b1"}))), "block resource_incomplete");
    assert_eq!(cancel(rental(json!({"colour": "red"}))), "block resource_incomplete");
    // Where a person looks instead, what is known still forbids.
    let give_back =
        |resources: Value| decided("rental.return", json!({"rental": "r1", "bikes": ["b1"]}), resources);
    assert_eq!(give_back(rental(json!({"bikes": null}))), "require_approval resource_incomplete");
    assert_eq!(give_back(rental(json!({"bikes": null, "owner": "c8"}))), "block policy_forbids");
    // The thing itself is known, and what is related to it is not.
    let refund =
        decided("rental.refund", json!({"rental": "r1", "card": "visa", "eur": 1}), rental(json!({})));
    assert_eq!(refund, "block resource_unread");
}

#[test]
fn what_a_system_answers_becomes_attributes() {
    let answer = json!({
        "id": 17, "sure": true, "price": 12.5, "when": "2026-03-02", "at": "2026-03-02T09:00:00", "none": null, "ms": 1_772_409_600_000_i64, "ms": 1_772_409_600_000_i64,
        "uneven": [{"id": "a", "n": 5}, {"id": null}], "holes": ["a", null],
        "cards": {"gift": {"left": 5}, "visa": {"left": 70.25, "state": "ok"}},
        "items": [{"id": "a", "n": 2}, {"id": "b", "n": 3}, {"id": "a", "n": 4}], "empty": [],
        "flights": [{"on": "2026-03-05"}, {"on": "2026-03-04"}],
    });
    let arguments =
        json!({"card": "visa", "ids": ["gift", "visa"], "odd": "nobody's", "all": ["visa", "nobody's"]});
    let read = |declared: Value| {
        let declared: AttributeDeclaration = serde_json::from_value(declared).unwrap();
        let (read, wrong) = attributes(&[("x".to_owned(), declared)].into(), &answer, &arguments);
        read.get("x")
            .cloned()
            .unwrap_or_else(|| wrong.get("x").map_or(json!("absent"), |why| json!({"wrong": why})))
    };
    for (declared, value) in [
        (json!({"at": "/id", "type": "text"}), json!("17")),
        (json!({"at": "/id", "type": "long"}), json!(17)),
        (json!({"at": "/id", "type": "bool"}), json!({"wrong": "`/id` has a number, which is no bool"})),
        (json!({"at": "/sure", "type": "bool"}), json!(true)),
        (json!({"at": "/ms", "type": "time"}), json!({"wrong": "`/ms` has a number, which is no time"})),
        (json!({"at": "/price", "type": "decimal"}), json!("12.5")),
        (
            json!({"at": "/price", "type": "long"}),
            json!({"wrong": "`/price` has a number, which is no long"}),
        ),
        (json!({"at": "/when", "type": "time"}), json!(1_772_409_600)),
        (json!({"at": "/at", "type": "time"}), json!(1_772_442_000)),
        (json!({"at": "/at", "type": "time", "zone": "-05:00"}), json!(1_772_460_000)),
        (json!({"at": "/none", "type": "text"}), json!({"wrong": "there is nothing at `/none`"})),
        (json!({"at": "/none", "type": "text", "optional": true}), json!("absent")),
        (json!({"at": "/items/*/id", "type": "set of text"}), json!(["a", "b"])),
        (json!({"at": "/items/*/n", "type": "set of long"}), json!([2, 3, 4])),
        (json!({"at": "/items/*/n", "type": "long", "take": "sum"}), json!(9)),
        (json!({"at": "/items", "type": "long", "take": "count"}), json!(3)),
        (json!({"at": "/empty", "type": "long", "take": "count"}), json!(0)),
        (json!({"at": "/empty/*/id", "type": "set of text"}), json!([])),
        (json!({"at": "/missing/*/id", "type": "set of text", "optional": true}), json!("absent")),
        (json!({"at": "/items/*/id", "type": "text"}), json!({"wrong": "`/items/*/id` leads to 3 values"})),
        // A rule about all of them must not go quiet because one of them lacks what it is about.
        (
            json!({"at": "/missing/*/id", "type": "set of text"}),
            json!({"wrong": "there is nothing at `/missing/*/id`"}),
        ),
        (
            json!({"at": "/missing/*/n", "type": "decimal", "take": "sum"}),
            json!({"wrong": "there is nothing at `/missing/*/n`"}),
        ),
        (
            json!({"at": "/missing/*", "type": "long", "take": "count"}),
            json!({"wrong": "there is nothing at `/missing/*`"}),
        ),
        (
            json!({"at": "/uneven/*/n", "type": "decimal", "take": "sum"}),
            json!({"wrong": "not every entry has something at `/uneven/*/n`"}),
        ),
        (
            json!({"at": "/uneven/*/id", "type": "set of text"}),
            json!({"wrong": "not every entry has something at `/uneven/*/id`"}),
        ),
        (
            json!({"at": "/uneven/*/n", "type": "long", "take": "most"}),
            json!({"wrong": "not every entry has something at `/uneven/*/n`"}),
        ),
        (json!({"at": "/uneven/*/n", "type": "decimal", "take": "sum", "optional": true}), json!("5")),
        (
            json!({"at": "/holes/*", "type": "set of text"}),
            json!({"wrong": "not every entry has something at `/holes/*`"}),
        ),
        (
            json!({"at": "/cards/{ids}/state", "type": "set of text"}),
            json!({"wrong": "not every entry has something at `/cards/{ids}/state`"}),
        ),
        (
            json!({"at": "/items/01/id", "type": "text"}),
            json!({"wrong": "there is nothing at `/items/01/id`"}),
        ),
        (json!({"at": "/items/1/id", "type": "text"}), json!("b")),
        (json!({"at": "/cards", "type": "set of text", "take": "names"}), json!(["gift", "visa"])),
        (json!({"at": "/flights/*/on", "type": "time", "take": "least"}), json!(1_772_582_400)),
        (json!({"at": "/flights/*/on", "type": "time", "take": "most"}), json!(1_772_668_800)),
        (json!({"at": "/cards/{card}/left", "type": "decimal"}), json!("70.25")),
        (json!({"at": "/cards/{ids}/left", "type": "decimal", "take": "sum"}), json!("75.25")),
        (
            json!({"at": "/cards/{odd}/left", "type": "decimal", "optional": true}),
            json!({"wrong": "there is no `nobody's`"}),
        ),
        (
            json!({"at": "/cards/{all}/left", "type": "decimal", "take": "sum"}),
            json!({"wrong": "there is no `nobody's`"}),
        ),
    ] {
        assert_eq!(read(declared.clone()), value, "{declared}");
    }
}

#[test]
fn a_resource_that_could_never_be_read_does_not_load() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut actions = catalogue();
        change(&mut actions[4]["resource"]);
        let problems = VettedBundle::load(sources(&actions, "")).map(drop).unwrap_err();
        problems.iter().find(|p| p.fatal).unwrap().message.clone()
    };
    for (said, change) in [
        (
            "is not in the catalogue; did you mean `rental.get`",
            (&|r: &mut Value| r["read"] = json!("rental.gat")) as &dyn Fn(&mut Value),
        ),
        ("may change something", &|r| r["read"] = json!("rental.cancel")),
        ("takes no argument `ids`", &|r| r["arguments"] = json!({"ids": "1"})),
        ("needs `id`", &|r| r["arguments"] = json!({})),
        ("points to `/rentel`", &|r| r["arguments"]["id"]["at"] = json!("/rentel")),
        ("is no name of a type", &|r| r["type"] = json!("Resource")),
        ("one type has one meaning", &|r| r["attributes"]["status"]["type"] = json!("long")),
        ("is the age of `booked` already", &|r| {
            r["attributes"]["booked_age_s"] = json!({"at": "/x", "type": "long"})
        }),
        ("what `take` says", &|r| r["attributes"]["paid"]["take"] = json!("names")),
        ("`cache_s` is 100000", &|r| r["cache_s"] = json!(100_000)),
        ("not looked up before it", &|r| r["related"][0]["arguments"]["id"]["from"] = json!("nobody")),
        ("which `resource` does not have; did you mean `owner`", &|r| {
            r["related"][0]["arguments"]["id"]["at"] = json!("/ownr")
        }),
        ("`attributes` has 0", &|r| r["attributes"] = json!({})),
        ("unknown field `chache_s`", &|r| r["chache_s"] = json!(1)),
    ] {
        let message = with(change);
        assert!(message.contains(said), "{said}: {message}");
    }
    // A typo in a rule, and a rule about things of all kinds that does not ask which.
    for rule in [r#"resource.statsu == "x""#, r#"resource.status == 1"#, r#"resource.note == "x""#] {
        let rules =
            format!("forbid (principal, action == Action::\"rental.cancel\", resource) when {{ {rule} }};");
        assert!(VettedBundle::load(sources(&catalogue(), &rules)).is_err(), "{rule}");
    }
}
