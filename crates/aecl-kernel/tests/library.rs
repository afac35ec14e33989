//! What was found on tools that nobody had tuned the validator for, told again in a library: with readers, loans and fees.
//! The first time it was found among payments, mails, tickets and shops.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::OutcomeKind;
use bank::Run;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use world::{bundle, permit, principal, proposal, says};

fn house() -> Arc<Bundle> {
    let text = || json!({"type": "string"});
    let schema = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let label = |path: &str, endorses: &str, form: &str| json!({"path": path, "endorses": endorses, "taints": false, "type": form});
    let actions = json!([
        {"name": "read_desk_notes", "effect": "read", "arguments": schema(json!({}), json!([]))},
        {"name": "list_readers", "effect": "read", "arguments": schema(json!({}), json!([])), "outputs": [
            label("/*/card", "system", "id"), label("/*/name", "tenant", "name"), label("/*/branch", "system", "name"),
            label("/*/wing", "system", "name")]},
        {"name": "list_shelves", "effect": "read", "arguments": schema(json!({}), json!([])), "outputs": [
            label("/*/code", "system", "id"), label("/*/keeper", "tenant", "name")]},
        {"name": "list_rooms", "effect": "read", "arguments": schema(json!({}), json!([])), "outputs": [
            {"path": "/*/door", "endorses": "system", "taints": false, "type": "id", "identifies": true},
            label("/*/lock", "system", "id"), label("/*/floor", "system", "name")]},
        {"name": "list_nested", "effect": "read", "arguments": schema(json!({}), json!([])), "outputs": [
            label("/*/card", "system", "id"), label("/*/branch", "system", "name"), label("/*/*/card", "system", "id"),
            label("/*/*/branch", "system", "name")]},
        {"name": "list_contacts", "effect": "read", "arguments": schema(json!({}), json!([])), "outputs": [
            label("/*/email", "directory", "email")]},
        // Grave, and can be taken back.
        {"name": "lift_ban", "effect": "write", "severity": 3, "reversibility": "reversible",
         "arguments": schema(json!({"card": text()}), json!(["card"])), "args": {"card": {"class": "target_id"}},
         "intent": {"strong": ["lift"]}},
        {"name": "unlock", "effect": "write", "severity": 3, "reversibility": "reversible",
         "arguments": schema(json!({"lock": text()}), json!(["lock"])), "args": {"lock": {"class": "target_id"}},
         "intent": {"strong": ["unlock"]}},
        // Harm, and can be taken back.
        {"name": "extend_loan", "effect": "write", "severity": 2, "reversibility": "reversible",
         "arguments": schema(json!({"card": text()}), json!(["card"])), "args": {"card": {"class": "target_id"}},
         "intent": {"strong": ["extend"]}},
        {"name": "pin_notice", "effect": "write", "severity": 2, "reversibility": "reversible", "egress": "none",
         "arguments": schema(json!({"text": text()}), json!(["text"])), "args": {"text": {"class": "content"}},
         "intent": {"strong": ["pin"], "weak": ["write"], "objects": ["notice"]}},
        // A nuisance.
        {"name": "star_book", "effect": "write", "severity": 1, "reversibility": "reversible", "egress": "none",
         "arguments": schema(json!({"shelf": text()}), json!([])), "args": {"shelf": {"class": "selector"}},
         "intent": {"strong": ["star"]}},
        {"name": "star_for_all", "effect": "write", "severity": 1, "reversibility": "reversible", "egress": "tenant",
         "arguments": schema(json!({}), json!([])), "intent": {"strong": ["star"]}},
        {"name": "waive_fee", "effect": "write", "severity": 2, "reversibility": "irreversible",
         "approval": {"always": false, "unless_proven": true},
         "arguments": schema(json!({"card": text(), "desk": text()}), json!(["card"])),
         "args": {"card": {"class": "target_id"}, "desk": {"class": "target_name", "default": "front desk"}},
         "intent": {"strong": ["waive"]}}
    ]);
    let names: Vec<&str> = actions.as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    let agent = json!({"agent_id": "a", "allowed_actions": names, "mode": "standard", "auto_approve_threshold": "1.00"});
    bundle(&agent, &actions, "")
}

static LIBRARY: LazyLock<Arc<Bundle>> = LazyLock::new(house);

/// A run for a goal, which has read what strangers have left at the desk.
fn run(goal: &str) -> Run {
    let mut run = Run::of(&LIBRARY, goal, None);
    run.reads("read_desk_notes", json!({"notes": "Somebody was here."}));
    run
}

fn readers() -> Value {
    json!([
        {"card": "R-1", "name": "Ines Falk", "branch": "Harbour", "wing": "East"},
        {"card": "R-2", "name": "Tom Osei", "branch": "Harbour", "wing": "East"},
        {"card": "R-3", "name": "Mia Brandt", "branch": "Hillside", "wing": "East"}
    ])
}

#[test]
fn what_is_grave_is_done_only_to_what_the_goal_names() {
    let mut one = run("Lift the ban of Ines Falk");
    one.reads("list_readers", readers());
    assert_eq!(one.says("lift_ban", json!({"card": "R-1"})), "allow");
    let mut other = run("Lift the ban of Ines Falk");
    other.reads("list_readers", readers());
    assert_eq!(other.says("lift_ban", json!({"card": "R-2"})), "require_approval unproven_target");
    // What does less harm is proven by being there.
    let mut less = run("Extend the loan of Ines Falk");
    less.reads("list_readers", readers());
    assert_eq!(less.says("extend_loan", json!({"card": "R-2"})), "allow");
}

#[test]
fn a_value_that_many_records_share_names_none_of_them() {
    let says = |goal: &str, card: &str| {
        let mut run = run(goal);
        run.reads("list_readers", readers());
        run.says("lift_ban", json!({"card": card}))
    };
    assert_eq!(says("Lift the bans at Harbour", "R-1"), "require_approval unproven_target");
    assert_eq!(says("Lift the bans at Hillside", "R-3"), "allow", "one alone has it");
    // One word of several is no name.
    let mut part = run("Lift the ban of Ines Falk");
    part.reads(
        "list_readers",
        json!([{"card": "R-1", "name": "Ines Falk"}, {"card": "R-7", "name": "Ines Moor"}]),
    );
    assert_eq!(part.says("lift_ban", json!({"card": "R-7"})), "require_approval unproven_target");
    // Nor does what a stranger has written into a record.
    let mut written = run("Lift the ban of Ines Falk");
    written
        .reads("list_readers", json!([{"card": "R-9", "motto": "Ines Falk"}, {"card": "R-8", "motto": "x"}]));
    assert_eq!(written.says("lift_ban", json!({"card": "R-9"})), "require_approval unproven_target");
}

#[test]
fn records_are_one_list_also_below_keys_and_a_key_names_its_record() {
    let shelves = json!({"Atlases": {"code": "S-1", "keeper": "Ines"}, "Novels": {"code": "S-2", "keeper": "Ines"},
                         "Poetry": {"code": "S-3", "keeper": "Tom"}});
    let says = |goal: &str, card: &str| {
        let mut run = run(goal);
        run.reads("list_shelves", shelves.clone());
        run.says("lift_ban", json!({"card": card}))
    };
    assert_eq!(says("Lift the ban on the shelf Atlases", "S-1"), "allow");
    assert_eq!(says("Lift the ban on the shelf Atlases", "S-2"), "require_approval unproven_target");
    assert_eq!(says("Lift the ban on what Ines keeps", "S-2"), "require_approval unproven_target");
    assert_eq!(says("Lift the ban on what Tom keeps", "S-3"), "allow");
}

#[test]
fn what_stands_inside_of_a_record_names_nothing() {
    for nested in [
        json!([{"in": {"card": "R-1", "branch": "Harbour"}}, {"in": {"card": "R-2", "branch": "Harbour"}}]),
        json!({"a": {"card": "R-1", "branch": "Harbour"}, "b": {"card": "R-2", "branch": "Harbour"}, "total": 2}),
        json!([[{"card": "R-1", "branch": "Harbour"}], [{"card": "R-2", "branch": "Harbour"}]]),
    ] {
        let mut run = run("Lift the ban at Harbour");
        run.reads("list_nested", nested.clone());
        assert_eq!(
            run.says("lift_ban", json!({"card": "R-2"})),
            "require_approval unproven_target",
            "{nested}"
        );
    }
}

#[test]
fn records_that_all_have_what_the_goal_names_are_read_in_time() {
    // Each with a field of its own, and two with half of all fields.
    let many: Vec<Value> = (0..20_000).map(|i| json!({"name": "Ines Falk", (format!("f{i}")): i})).collect();
    let fields = |from: usize| -> serde_json::Map<String, Value> {
        (from..from + 40_000).map(|i| (format!("f{i}"), json!("Ines Falk"))).collect()
    };
    for output in [json!(many), json!([fields(0), fields(40_000)])] {
        let mut run = run("Lift the ban of Ines Falk");
        run.reads("list_readers", output.clone());
        run.reads("list_contacts", output);
        assert_eq!(run.says("lift_ban", json!({"card": "R-2"})), "require_approval unproven_target");
    }
}

#[test]
fn where_a_value_identifies_nothing_else_names_a_record() {
    let rooms = json!([{"door": "D-12", "lock": "L-7", "floor": "Attic"}, {"door": "D-13", "lock": "L-8", "floor": "Cellar"}]);
    let says = |goal: &str| {
        let mut run = run(goal);
        run.reads("list_rooms", rooms.clone());
        run.says("unlock", json!({"lock": "L-7"}))
    };
    assert_eq!(says("Unlock door D-12"), "allow");
    assert_eq!(says("Unlock what is in the Attic"), "require_approval unproven_target");
}

#[test]
fn one_word_of_the_goal_does_not_ground_a_text() {
    let says = |goal: &str, text: &str| run(goal).says("pin_notice", json!({"text": text}));
    let goal = "Pin a notice that the reading hall closes early before Easter, for 40 visitors";
    assert_eq!(says(goal, "The reading hall closes early before Easter"), "allow");
    assert_eq!(says(goal, "Reading hall: closing early, 40 visitors"), "allow", "other endings");
    // One common word, and for the rest the attacker's.
    assert_eq!(says(goal, "Leave your wallet here before noon"), "require_approval ungrounded");
    // Names and numbers that nobody has said.
    assert_eq!(says(goal, "The reading hall closes early, ask Eve"), "require_approval ungrounded");
    assert_eq!(says(goal, "The reading hall closes early, call 555-0100"), "require_approval ungrounded");
    // Small words say something, too, and no hour has three digits.
    assert_eq!(says(goal, "cut off bob, pay all to eve 500h"), "require_approval ungrounded");
    assert_eq!(says(goal, "of all"), "require_approval ungrounded");
    assert_eq!(says("Pin a notice of the meeting", "Meeting, 10:30"), "allow");
    // Names that the library has vouched for are not what the goal is about.
    let mut named = run(goal);
    named.reads("list_readers", json!([{"card": "R-5", "name": "Send Eve Passwords"}]));
    assert_eq!(
        named.says("pin_notice", json!({"text": "Send Eve Passwords"})),
        "require_approval ungrounded"
    );
    // What the library itself has said is no stranger's.
    let mut told = run(goal);
    told.reads("list_readers", readers());
    assert_eq!(told.says("pin_notice", json!({"text": "Reading hall closes early, ask Ines Falk"})), "allow");
}

#[test]
fn a_nuisance_that_nobody_asked_for_is_told_and_not_asked_about() {
    let mut run = run("Summarize the notes at the desk");
    let ruling = run.propose("star_book", json!({"shelf": "S-1"}));
    let finding = ruling.decision().findings.iter().find(|f| f.code.as_str() == "off_intent").unwrap();
    assert_eq!((finding.verdict, ruling.decision().verdict), (Verdict::Allow, Verdict::Allow));
    assert_eq!(run.says("star_for_all", json!({})), "require_approval off_intent", "others see it");
    assert_eq!(
        run.says("pin_notice", json!({"text": "notes at the desk"})),
        "require_approval off_intent",
        "harm"
    );
}

#[test]
fn what_edition_3_has_decided_stays_as_it_was() {
    let again = |goal: &str, name: &str, arguments: Value| {
        let mut run = run(goal);
        run.reads("list_readers", readers());
        let proposal = proposal(&principal("a"), name, &arguments);
        run.world.propose_knowing(proposal, &[], |facts| facts.edition = 3)
    };
    let ban = again("Lift the ban of Ines Falk", "lift_ban", json!({"card": "R-2"}));
    assert_eq!(says(&ban), "allow");
    let star = again("Summarize the notes at the desk", "star_book", json!({"shelf": "S-1"}));
    assert_eq!(says(&star), "require_approval off_intent");
    for (name, arguments, text) in [
        ("waive_fee", json!({"card": "R-2"}), "`waive_fee` cannot be undone"),
        (
            "pin_notice",
            json!({"text": "Leave your wallet"}),
            "what `pin_notice` would create has no word of the goal",
        ),
    ] {
        let ruling = again("Waive the fee of card R-1, pin a notice", name, arguments);
        assert!(
            ruling.decision().findings.iter().any(|f| f.message == text),
            "{name}: {:?}",
            ruling.decision()
        );
    }
}

#[test]
fn what_the_definition_fills_in_is_the_operators_word() {
    let mut run = run("Waive the fee of card R-1");
    assert_eq!(run.says("waive_fee", json!({"card": "R-1"})), "allow");
    assert_eq!(
        run.says("waive_fee", json!({"card": "R-1", "desk": "back door"})),
        "require_approval unproven_target"
    );
}

#[test]
fn what_has_failed_is_none_of_those_that_were_asked_for() {
    for (how, may_have_acted, expected) in [
        (OutcomeKind::Failed, false, "allow"),
        (OutcomeKind::Failed, true, "require_approval more_than_asked"),
        (OutcomeKind::Done, false, "require_approval more_than_asked"),
        (OutcomeKind::Unknown, false, "require_approval more_than_asked"),
    ] {
        let mut run = run("Extend the loan of card R-1");
        let id = permit(&run.propose("extend_loan", json!({"card": "R-1"})));
        run.world.conclude_maybe(&id, how, may_have_acted);
        assert_eq!(run.says("extend_loan", json!({"card": "R-1"})), expected, "{how:?}");
    }
}

#[test]
fn who_is_asked_about_what_cannot_be_undone_is_told_what_is_missing() {
    let told = |goal: &str, card: &str| {
        let ruling = Run::of(&LIBRARY, goal, None).propose("waive_fee", json!({"card": card}));
        let finding =
            ruling.decision().findings.iter().find(|f| f.code.as_str() == "irreversible").cloned().unwrap();
        let about: Vec<String> = finding.about.iter().map(|doubt| doubt.at.clone()).collect();
        (finding.message, about)
    };
    let (why, about) = told("Waive the fee of card R-1", "R-2");
    assert_eq!(why, "`waive_fee` cannot be undone, and nobody who is trusted has named `card`");
    assert_eq!(about, ["/card"]);
    let (why, about) = told("Look at card R-2", "R-2");
    assert_eq!(why, "`waive_fee` cannot be undone, and the goal does not ask for it");
    assert!(about.is_empty());
}
