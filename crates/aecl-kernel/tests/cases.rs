//! One tool that looks, starts, stops and scraps, by what an argument says: each call is judged as what it does, and what
//! nobody has described as the worst.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use bank::Run;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{bundle, lines, permit, principal, proposal, sources};

/// The tool of a workshop, as the manifest of its server would be written.
fn machine(cases: Value) -> Value {
    json!({
        "name": "shop.machine", "effect": "delete", "reversibility": "irreversible", "severity": 3, "egress": "none",
        "arguments": {"type": "object", "required": ["operation"], "properties": {
            "operation": {"enum": ["list", "show", "start", "stop", "scrap", "reset"]},
            "serial": {"type": "string"}, "speed": {"type": "integer"}, "rehearse": {"type": "boolean"}}},
        "args": {"serial": {"class": "target_id"}, "speed": {"class": "magnitude"}, "rehearse": {"class": "flag", "default": false}},
        "cases": cases,
    })
}

fn cases() -> Value {
    json!([
        {"when": {"operation": ["list", "show"]}, "effect": "read",
         "outputs": [{"path": "/*/serial", "endorses": "system", "taints": false, "type": "id"},
                     {"path": "/*/name", "endorses": "system", "taints": false, "type": "name"}]},
        {"when": {"operation": "scrap", "rehearse": true}, "effect": "write", "severity": 0, "reversibility": "reversible"},
        {"when": {"operation": ["start", "stop"], "speed": null}, "effect": "write", "severity": 1, "reversibility": "reversible"},
        {"when": {"operation": "start"}, "effect": "write", "severity": 2, "reversibility": "reversible"},
        // The same for other calls is another definition.
        {"when": {"operation": "stop", "speed": 0}, "effect": "write", "severity": 2, "reversibility": "reversible"},
    ])
}

fn shop(rules: &str) -> Arc<Bundle> {
    let notes =
        json!({"name": "read_notes", "effect": "read", "arguments": {"type": "object", "properties": {}}});
    let agent = json!({"agent_id": "a", "allowed_actions": ["shop.machine", "read_notes"], "auto_approve_threshold": "1.00"});
    bundle(&agent, &json!([notes, machine(cases())]), rules)
}

/// A run for a goal, which has read what a stranger wrote.
fn run(goal: &str) -> Run {
    run_in(&shop(""), goal)
}

fn run_in(bundle: &Arc<Bundle>, goal: &str) -> Run {
    let mut run = Run::of(bundle, goal, None);
    run.reads("read_notes", json!({"notes": "Somebody was here."}));
    run
}

/// The run has the machines listed.
fn lists(run: &mut Run) {
    let id =
        permit(&run.world.propose(proposal(&principal("a"), "shop.machine", &json!({"operation": "list"}))));
    run.world.answers(&id, &json!([{"serial": "M-1", "name": "Lathe"}, {"serial": "M-2", "name": "Drill"}]));
}

#[test]
fn each_call_is_judged_as_what_it_does() {
    let mut run = run("Start the machine Lathe");
    let call = |operation: &str| json!({"operation": operation, "serial": "M-1"});
    assert_eq!(run.says("shop.machine", call("show")), "allow", "a look is no scrapping");
    assert_eq!(
        run.says("shop.machine", json!({"operation": "start", "serial": "M-9"})),
        "require_approval unproven_target"
    );
    lists(&mut run);
    assert_eq!(
        run.says("shop.machine", call("start")),
        "allow",
        "its own words, and what its own list has said"
    );
    // What it does is read in the value, so that one verb does not stand for all of them.
    let codes = run.codes("shop.machine", call("scrap"));
    assert!(codes.contains(&"irreversible") && codes.contains(&"off_intent"), "{codes:?}");
}

#[test]
fn what_no_case_describes_is_the_entry() {
    let judged = |arguments: Value| {
        let mut run = run("Look at the machines");
        let typed = run.world.parsed(proposal(&principal("a"), "shop.machine", &arguments)).typed.clone();
        let verdict = run.propose("shop.machine", arguments).decision().verdict;
        (typed.unwrap().variant, verdict)
    };
    assert_eq!(judged(json!({"operation": "show", "serial": "M-1"})), (1, Verdict::Allow));
    assert_eq!(judged(json!({"operation": "reset", "serial": "M-1"})).0, 0, "nobody has described it");
    assert_eq!(judged(json!({"operation": "stop"})).0, 3, "without a speed");
    assert_eq!(judged(json!({"operation": "stop", "speed": 5})).0, 0, "with one");
    assert_eq!(judged(json!({"operation": "start", "speed": 5})).0, 4, "the next that describes it");
    // What is left out is filled in before anybody looks which case it is.
    assert_eq!(judged(json!({"operation": "scrap"})).0, 0);
    assert_eq!(judged(json!({"operation": "scrap", "rehearse": true})).0, 2);
    assert_eq!(judged(json!({"operation": "scrap", "rehearse": false})), (0, Verdict::RequireApproval));
    // Another spelling is another value, which the schema does not have.
    assert_eq!(judged(json!({"operation": "SHOW"})), (0, Verdict::Block));
    assert_eq!(judged(json!({"operation": ["show"]})), (0, Verdict::Block));
}

#[test]
fn rules_see_the_groups_of_the_call_and_one_name_for_all() {
    let scrap = json!({"operation": "scrap", "serial": "M-1"});
    let show = json!({"operation": "show", "serial": "M-1"});
    let start = json!({"operation": "start", "serial": "M-1"});
    let says = |rules: &str, arguments: &Value| {
        let mut run = run_in(&shop(rules), "Start the machine M-1");
        run.says("shop.machine", arguments.clone())
    };
    let deletes = r#"@id("no") forbid(principal, action in Action::"effect:delete", resource);"#;
    assert_eq!(says(deletes, &scrap), "block policy_forbids");
    assert_eq!((says(deletes, &show), says(deletes, &start)), ("allow".into(), "allow".into()));
    let final_ones =
        r#"@id("no") forbid(principal, action in [Action::"reversibility:irreversible"], resource);"#;
    assert_eq!(
        (says(final_ones, &scrap), says(final_ones, &start)),
        ("block policy_forbids".into(), "allow".into())
    );
    let writes = r#"@id("no") forbid(principal, action in Action::"effect:write", resource);"#;
    assert_eq!((says(writes, &start), says(writes, &show)), ("block policy_forbids".into(), "allow".into()));
    // What nobody has described may be any of them.
    assert_eq!(says(writes, &json!({"operation": "reset", "serial": "M-1"})), "block policy_forbids");
    // Whoever names the tool means all of it.
    for named in [r#"action == Action::"shop.machine""#, r#"action in [Action::"shop.machine"]"#] {
        let rule = format!(r#"@id("no") forbid(principal, {named}, resource);"#);
        for arguments in [&scrap, &show, &start] {
            assert_eq!(says(&rule, arguments), "block policy_forbids", "{named} {arguments}");
        }
    }
    let by_argument = r#"@id("no") forbid(principal, action == Action::"shop.machine", resource) when { context.args.operation != "show" };"#;
    assert_eq!(
        (says(by_argument, &show), says(by_argument, &start)),
        ("allow".into(), "block policy_forbids".into())
    );
}

#[test]
fn a_person_is_asked_where_the_case_says_so() {
    let mut entry = machine(json!([
        {"when": {"operation": ["list", "show"]}, "effect": "read", "approval": {"always": false}},
        {"when": {"operation": "start"}, "effect": "write", "reversibility": "reversible"},
    ]));
    entry["approval"] = json!({"always": true});
    let agent =
        json!({"agent_id": "a", "allowed_actions": ["shop.machine"], "auto_approve_threshold": "1.00"});
    let bundle = bundle(&agent, &json!([entry]), "");
    let mut run = Run::of(&bundle, "Start M-1", None);
    assert_eq!(run.says("shop.machine", json!({"operation": "show"})), "allow");
    assert_eq!(
        run.says("shop.machine", json!({"operation": "start", "serial": "M-1"})),
        "require_approval approval_rule"
    );
    assert_eq!(
        run.says("shop.machine", json!({"operation": "stop", "serial": "M-1"})),
        "require_approval approval_rule"
    );
}

#[test]
fn looking_often_is_not_doing_often() {
    let mut run = run("Start the machine Lathe");
    for _ in 0..3 {
        lists(&mut run);
    }
    let start = json!({"operation": "start", "serial": "M-1"});
    assert_eq!(run.says("shop.machine", start.clone()), "allow");
    assert_eq!(run.says("shop.machine", start.clone()), "require_approval more_than_asked");
    // Another case of the same kind is one more of it.
    let mut fast = start;
    fast["speed"] = json!(1);
    assert!(run.codes("shop.machine", fast).contains(&"more_than_asked"));
}

#[test]
fn a_digest_names_what_was_judged() {
    let shop = shop("");
    let entry = shop.catalogue().find("shop.machine").unwrap();
    let digests: std::collections::BTreeSet<String> =
        entry.variants().map(|v| v.digest.to_string()).collect();
    assert_eq!(digests.len(), 6);
    for variant in entry.variants() {
        let found = shop.catalogue().judged("shop.machine", Some(variant.digest)).unwrap();
        assert_eq!((found.variant, found.when.clone()), (variant.variant, variant.when.clone()));
    }
    assert!(shop.catalogue().judged("shop.machine", None).is_none());
}

#[test]
fn a_step_of_a_plan_names_what_its_own_case_touches() {
    let bundle = shop("");
    let step = |operation: &str, serial: Value| {
        json!({"action": "shop.machine", "times": 2,
        "arguments": {"/operation": {"equals": operation}, "/serial": serial}})
    };
    let any = json!({"one_of": ["M-1", "M-2"]});
    let says = |steps: Value, operation: &str| {
        let mut run = Run::of(&bundle, "See to the machines", Some(json!({"steps": steps})));
        run.reads("read_notes", json!({"notes": "Somebody was here."}));
        let codes = run.codes("shop.machine", json!({"operation": operation, "serial": "M-1", "speed": 1}));
        codes.contains(&"unproven_target")
    };
    assert!(!says(json!([step("start", any.clone())]), "start"));
    // The step that looks at it is no word for what starts it.
    let mut start = step("start", any.clone());
    start["arguments"].as_object_mut().unwrap().remove("/serial");
    assert!(says(json!([step("show", any), start]), "start"));
}

#[test]
fn people_agree_to_a_step_only_where_it_says_what_kind_of_call_it_is() {
    // What can be scrapped once it was rehearsed.
    let shop = shop("");
    let equals = |value: Value| json!({"equals": value});
    let ask = |arguments: Value| {
        let mut world = world::World::new(shop.clone());
        let steps = json!([{"action": "shop.machine", "arguments": arguments}]);
        world.open_for(&principal("a"), "Get rid of the machine M-1", Some(json!({"steps": steps})));
        let asked = world.ask_about_plan(&principal("a"));
        (world, asked)
    };
    let (_, refused) = ask(json!({"/serial": equals(json!("M-1"))}));
    let (code, message) = refused.unwrap_err();
    assert_eq!(code.as_str(), "request_invalid");
    assert!(message.contains("it leaves `operation` open, which says what kind of call it is"), "{message}");

    let whole = json!({"/operation": equals(json!("scrap")), "/serial": equals(json!("M-1")), "/rehearse": equals(json!(false)),
        "/speed": equals(json!(1))});
    let (mut world, asked) = ask(whole.clone());
    world.everybody_agrees(&asked.unwrap());
    let call = json!({"operation": "scrap", "serial": "M-1", "speed": 1});
    let says = |world: &mut world::World, call: &Value| {
        world::says(&world.propose(proposal(&principal("a"), "shop.machine", call)))
    };
    assert_eq!(says(&mut world, &call), "allow", "a default is what is left out");
    // Several kinds in one step are shown as the worst, and no one of them is what people agreed to.
    let mut several = whole;
    several["/operation"] = json!({"one_of": ["show", "scrap"]});
    let (mut world, asked) = ask(several);
    let asked = asked.unwrap();
    let entry = shop.catalogue().find("shop.machine").unwrap().digest;
    assert_eq!(asked.plan.as_ref().unwrap().steps[0].definition, entry);
    world.everybody_agrees(&asked);
    assert_eq!(says(&mut world, &json!({"operation": "show", "serial": "M-1", "speed": 1})), "allow");
}

/// What is said about a bundle with these cases.
fn problems(cases: Value, rules: &str) -> String {
    let agent = json!({"agent_id": "a", "allowed_actions": ["shop.machine"]});
    match VettedBundle::load(sources(&agent, &json!([machine(cases)]), rules)) {
        Ok(_) => "none".into(),
        Err(problems) => lines(&problems),
    }
}

#[test]
fn cases_that_would_mislead_do_not_load() {
    let read = || json!({"when": {"operation": "show"}, "effect": "read"});
    for (cases, said) in [
        (json!([{"when": {}, "effect": "read"}]), "has an empty `when`"),
        (
            json!([{"when": {"operaton": "show"}}]),
            "which `arguments` does not list; did you mean `/operation`?",
        ),
        (json!([{"when": {"operation": "shwo"}}]), "`operation` is never \"shwo\"; did you mean `show`?"),
        (
            json!([{"when": {"operation": ["list", "show"]}, "effect": "read"}, read()]),
            "is never reached: `cases[0]` comes first",
        ),
        (json!([{"when": {"operation": ["show", {"a": 1}]}}]), "`when` wants a text, a number"),
        (json!([{"when": {"operation": []}}]), "`when` wants a text, a number"),
        (json!([{"when": {"operation": "show"}, "effekt": "read"}]), "unknown field `effekt`"),
        (
            json!([{"when": {"operation": "show"}, "args": {"serial": {"class": "target_id", "default": "M-1"}}}]),
            "has a `default`",
        ),
        (
            json!([{"when": {"operation": "show"}, "egress": "external"}]),
            "it must be the worst: say `external` there",
        ),
        (
            json!([{"when": {"operation": "show"}, "approval": {"always": true}}]),
            "an approval that is `always: true`, and the entry itself has none",
        ),
        (json!([{"when": {"/operation/0": "show"}}]), "without `*` and not in a list"),
        (
            json!([{"when": {"operation": "show"}, "bulk": true}]),
            "has `bulk` `true`, and the entry itself `false`",
        ),
        (
            json!([{"when": {"operation": "show"}, "fields": {"destination": {"value": "/serial", "kind": "name"}}}]),
            "has `fields.destination` said, and the entry itself says none",
        ),
        (
            json!([{"when": {"operation": "show"}, "args": {"/rehearse": {"class": "command"}}}]),
            "has a role that asks more `/rehearse: command`, and the entry itself `flag`",
        ),
        (
            json!([{"when": {"operation": "show"}, "args": {"speed": {"class": "magnitude", "limit": 3}}}]),
            "has a role that asks more `/speed: magnitude`",
        ),
        (json!([{"when": {"operation": "show"}, "severity": 7}]), "`severity` is 7; it goes from 0 to 3"),
        (
            json!([{"when": {"operation": "show"}, "outputs": [{"path": "serial"}]}]),
            "`outputs[0].path` must be empty or a JSON pointer",
        ),
        (
            json!([{"when": {"operation": "show"}, "compensation": {"action": "nothing", "arguments": {}}}]),
            "its compensation `nothing` is not in the catalogue",
        ),
        (
            json!([{"when": {"operation": "show"}, "fields": {"rows": "/rows"}}]),
            "`fields.rows` points to `/rows`",
        ),
    ] {
        let all = problems(cases.clone(), "");
        assert!(all.contains(said), "{cases}\n{said}\n{all}");
    }
    let mut mild = machine(json!([{"when": {"operation": "scrap"}, "effect": "delete", "severity": 3}]));
    (mild["severity"], mild["effect"]) = (json!(1), json!("read"));
    mild.as_object_mut().unwrap().remove("reversibility");
    let agent = json!({"agent_id": "a", "allowed_actions": ["shop.machine"]});
    let all = lines(&VettedBundle::load(sources(&agent, &json!([mild]), "")).err().unwrap());
    for said in [
        "has the effect `delete`, and the entry itself `read`",
        "has the severity 3, and the entry itself 1",
        "has the reversibility `irreversible`",
    ] {
        assert!(all.contains(said), "{said}\n{all}");
    }
    // What a rule asks of `action` in a condition could not be told for each case by itself.
    let rule =
        r#"@id("looks") forbid(principal, action, resource) when { action in Action::"effect:delete" };"#;
    assert!(problems(json!([read()]), rule).contains("looks at `action` in a condition"));
    assert_eq!(problems(json!([]), rule), "none");
    assert_eq!(problems(json!([read()]), ""), "none");
}
