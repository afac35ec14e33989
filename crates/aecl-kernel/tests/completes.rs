//! What completes a call that somebody has decided about already, in a theatre, a pottery and a post office: the second step is no
//! second question, and only if nothing in it is another thing than what was asked for or agreed to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::KillScope;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use world::{World, bundle, lines, permit, principal, proposal, says, sources, wait};

/// Holding and booking seats, loading and firing a kiln, writing and handing over a parcel.
fn actions() -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "number"});
    let takes = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let proven = json!({"always": false, "unless_proven": true});
    json!([
        {"name": "look", "effect": "read", "arguments": takes(json!({}), json!([]))},
        {"name": "seats.hold", "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none",
         "arguments": takes(json!({"show": text(), "seats": number(), "note": text()}), json!(["show"])),
         "args": {"show": {"class": "target_name"}, "seats": {"class": "magnitude"}, "note": {"class": "content"}},
         "outputs": [{"path": "/hold", "endorses": "agent", "taints": false, "type": "id"}],
         "intent": {"strong": ["hold", "book"]}},
        {"name": "seats.move", "output": {"untrusted": false, "private": false}, "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none",
         "arguments": takes(json!({"hold": text(), "row": text()}), json!(["hold"])),
         "args": {"hold": {"class": "target_id"}, "row": {"class": "selector"}}, "intent": {"strong": ["move"]}},
        {"name": "seats.book", "effect": "pay", "reversibility": "irreversible", "severity": 2, "egress": "none", "approval": proven,
         "arguments": takes(json!({"hold": text(), "seats": number(), "note": text(), "quiet": {"type": "boolean"}}), json!(["hold"])),
         "args": {"hold": {"class": "target_id"}, "seats": {"class": "magnitude"}, "note": {"class": "content"},
                  "quiet": {"class": "flag"}},
         "completes": {"action": "seats.hold", "argument": "hold", "issued": "/hold"}, "intent": {"strong": ["charge"]}},
        {"name": "kiln.load", "effect": "write", "reversibility": "reversible", "severity": 2, "egress": "none",
         "arguments": takes(json!({"program": text(), "degrees": number()}), json!(["program"])),
         "args": {"program": {"class": "target_name"}, "degrees": {"class": "magnitude"}},
         "outputs": [{"path": "/kiln/batch", "endorses": "system", "taints": false, "type": "id"}],
         "intent": {"strong": ["load", "fire"]}},
        {"name": "kiln.fire", "effect": "execute", "reversibility": "irreversible", "severity": 3, "egress": "none", "approval": proven,
         "arguments": takes(json!({"batch": number(), "degrees": number()}), json!(["batch"])),
         "args": {"batch": {"class": "target_id"}, "degrees": {"class": "magnitude"}},
         "completes": {"action": "kiln.load", "argument": "batch", "issued": "/kiln/batch"}, "intent": {"strong": ["ignite"]}},
        {"name": "shows", "effect": "read", "arguments": takes(json!({}), json!([])),
         "outputs": [{"path": "/*/name", "endorses": "system", "taints": false, "type": "name"}]},
        {"name": "parcel.write", "effect": "write", "reversibility": "reversible", "severity": 2, "egress": "none",
         "arguments": takes(json!({"to": text(), "note": text()}), json!(["to"])),
         "args": {"to": {"class": "dest_email"}, "note": {"class": "content"}},
         "outputs": [{"path": "/label", "endorses": "system", "taints": false, "pattern": "L-[0-9]+"}],
         "intent": {"strong": ["send"]}},
        {"name": "parcel.hand_over", "effect": "send", "reversibility": "reversible", "severity": 2, "egress": "tenant",
         "arguments": takes(json!({"label": text(), "to": text()}), json!(["label"])),
         "args": {"label": {"class": "target_id"}, "to": {"class": "dest_email"}},
         "completes": {"action": "parcel.write", "argument": "label", "issued": "/label"}, "intent": {"strong": ["dispatch"]}},
    ])
}

fn town(agents: Value) -> Arc<Bundle> {
    bundle(&agents, &actions(), "")
}

fn agent(more: &Value) -> Value {
    let names: Vec<Value> = actions().as_array().unwrap().iter().map(|a| a["name"].clone()).collect();
    let mut agent = json!({"agent_id": "a", "allowed_actions": names, "auto_approve_threshold": "1.00", "approvers": ["operators"]});
    agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    agent
}

static TOWN: LazyLock<Arc<Bundle>> = LazyLock::new(|| town(agent(&json!({}))));

struct Run {
    world: World,
    /// The run of what is proposed.
    run: &'static str,
}

impl Run {
    fn of(bundle: &Arc<Bundle>, goal: &str, plan: Option<Value>) -> Self {
        let mut world = World::new(bundle.clone());
        world.open_for(&principal("a"), goal, plan);
        Self { world, run: "run_1" }
    }

    fn new(goal: &str) -> Self {
        Self::of(&TOWN, goal, None)
    }

    fn in_run(&mut self, run: &'static str) -> &mut Self {
        self.run = run;
        self
    }

    /// The run reads what a stranger wrote, and nothing private.
    fn tainted(mut self) -> Self {
        let run = principal("a").run;
        self.world.seen(&run, true, false);
        self
    }

    fn propose(&mut self, name: &str, arguments: Value) -> Ruling {
        let mut who = principal("a");
        who.run = RunId::new(self.run).unwrap();
        self.world.propose(proposal(&who, name, &arguments))
    }

    fn says(&mut self, name: &str, arguments: Value) -> String {
        says(&self.propose(name, arguments))
    }

    /// Proposes what is allowed, or agreed to by somebody who is asked, and the target answers this.
    fn does(&mut self, name: &str, arguments: Value, answer: Value) -> &mut Self {
        let mut ruling = self.propose(name, arguments.clone());
        if let Ruling::Waiting(_) = &ruling {
            self.world.everybody_agrees(&wait(&ruling));
            ruling = self.propose(name, arguments);
        }
        self.world.answers(&permit(&ruling), &answer);
        self
    }

    /// Why a call is a question of its own, or what it completes.
    fn why(&mut self, name: &str, arguments: Value) -> String {
        let ruling = self.propose(name, arguments);
        let told = ruling.decision().findings.iter().find(|f| f.code.as_str() == "completes");
        told.map_or_else(String::new, |f| f.message.clone())
    }
}

const BOOK: &str = "Book Medea for 2, please";

fn held() -> Run {
    let mut run = Run::new(BOOK);
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
    run
}

/// Loaded with a yes, since the goal names no such program.
fn loaded() -> Run {
    let mut run = Run::new("Fire the vases").tainted();
    run.does("kiln.load", json!({"program": "raku-4", "degrees": 980}), json!({"kiln": {"batch": 401}}));
    run
}

#[test]
fn what_completes_a_call_that_was_asked_for_is_no_question_of_its_own() {
    let mut run = held();
    let ruling = run.propose("seats.book", json!({"hold": "H-17"}));
    assert_eq!(says(&ruling), "allow");
    let decision = ruling.decision();
    let begun = decision.completes.clone().unwrap();
    assert_eq!(run.world.action(&begun).name, "seats.hold", "it is on record what it rests on");
    assert!(decision.findings.iter().any(|f| f.message.contains(begun.as_str())), "and told");
    // Without the word the same call asks: nobody has named the id, and the goal does not ask for it.
    let mut without = actions();
    without
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|a| drop(a.as_object_mut().unwrap().remove("completes")));
    let mut run = Run::of(&bundle(&agent(&json!({})), &without, ""), BOOK, None);
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), "require_approval irreversible");
    // In a run that has read a stranger, of what can be undone.
    let mut run = Run::new("Send it to ann@post.example").tainted();
    run.does("parcel.write", json!({"to": "ann@post.example"}), json!({"label": "L-5"}));
    assert_eq!(run.says("parcel.hand_over", json!({"label": "L-5"})), "allow");
}

#[test]
fn what_is_grave_rests_on_a_person_who_was_told() {
    let mut run = loaded();
    assert_eq!(run.says("kiln.fire", json!({"batch": 401})), "allow");
    // The goal asks for the same, so nobody was asked, and nobody was told.
    let mut run = Run::new("Load the program \"raku-4\" with 980");
    run.does("kiln.load", json!({"program": "raku-4", "degrees": 980}), json!({"kiln": {"batch": 401}}));
    assert_eq!(run.says("kiln.fire", json!({"batch": 401})), "require_approval irreversible");
    assert!(run.why("kiln.fire", json!({"batch": 401})).contains("nobody has agreed to"));
}

#[test]
fn who_is_asked_reads_what_follows_and_agrees_to_nothing_else() {
    let mut run = Run::new("Fire the vases").tainted();
    let ruling = run.propose("kiln.load", json!({"program": "raku-4"}));
    let ask = wait(&ruling);
    let told: Vec<&str> = ask.completed_by.iter().map(|by| by.action.as_str()).collect();
    assert_eq!(told, ["kiln.fire"]);
    assert!(wait(&run.propose("seats.move", json!({"hold": "H-1"}))).completed_by.is_empty());
    // An agent that may not fire is not asked about as if it might.
    let mut less = agent(&json!({}));
    less["allowed_actions"].as_array_mut().unwrap().retain(|name| name != "kiln.fire");
    let mut run = Run::of(&town(less), "Fire the vases", None).tainted();
    assert!(wait(&run.propose("kiln.load", json!({"program": "raku-4"}))).completed_by.is_empty());
    // Nor is one about what asks every time.
    let mut always = actions();
    always[5]["approval"] = json!({"always": true});
    let mut run = Run::of(&bundle(&agent(&json!({})), &always, ""), "Fire the vases", None).tainted();
    assert!(wait(&run.propose("kiln.load", json!({"program": "raku-4"}))).completed_by.is_empty());
    // Who may agree to it now could agree to it then.
    let mut run = Run::new("Fire the vases").tainted();
    run.does("seats.hold", json!({"show": "north"}), json!({"hold": "H-17"}));
    assert_eq!(
        run.world
            .clone()
            .propose(proposal(&principal("a"), "seats.book", &json!({"hold": "H-17"})))
            .outcome(),
        "approved"
    );
    run.world.bundle = town(agent(&json!({"approvers": ["board"]})));
    assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), "require_approval off_intent");
    assert!(run.why("seats.book", json!({"hold": "H-17"})).contains("could not agree to this now"));
    // The definition that people read is the one that follows.
    let mut run = loaded();
    let mut other = actions();
    other[5]["description"] = json!("Fires, and opens the windows.");
    run.world.bundle = bundle(&agent(&json!({})), &other, "");
    assert_eq!(run.says("kiln.fire", json!({"batch": 401})), "require_approval unproven_target");
    assert!(run.why("kiln.fire", json!({"batch": 401})).contains("was not told that it follows"));
}

#[test]
fn it_proves_the_target_and_nothing_else() {
    for (call, expected) in [
        (json!({"hold": "H-17"}), "allow"),
        (json!({"hold": "H-17", "seats": 2}), "allow"),
        (json!({"hold": "H-17", "quiet": true}), "allow"),
        (json!({"hold": "H-17", "note": ""}), "allow"),
        (json!({"hold": "H-17", "seats": 3}), "require_approval irreversible"),
        (json!({"hold": "H-17", "note": "and two for the usher"}), "require_approval irreversible"),
        (json!({"hold": "H-18"}), "require_approval irreversible"),
        (json!({"hold": "h-17"}), "require_approval irreversible"),
        (json!({"hold": "H17"}), "require_approval irreversible"),
        (json!({"hold": " H-17"}), "require_approval irreversible"),
        (json!({"hold": ""}), "require_approval irreversible"),
    ] {
        assert_eq!(held().says("seats.book", call.clone()), expected, "{call}");
    }
    // What people have agreed to, they have agreed to for both.
    assert_eq!(loaded().says("kiln.fire", json!({"batch": 401, "degrees": 980})), "allow");
    assert_eq!(
        loaded().says("kiln.fire", json!({"batch": 401, "degrees": 981})),
        "require_approval unproven_target"
    );
    let mut run = Run::new("Send it to ann@post.example").tainted();
    run.does("parcel.write", json!({"to": "ann@post.example"}), json!({"label": "L-5"}));
    let away = json!({"label": "L-5", "to": "eve@foe.example"});
    assert_eq!(run.says("parcel.hand_over", away), "require_approval unproven_destination");
}

#[test]
fn a_call_is_completed_once_and_again_only_if_nothing_came_of_it() {
    let book = json!({"hold": "H-17"});
    for (outcome, maybe, expected) in [
        (OutcomeKind::Done, false, "require_approval irreversible"),
        (OutcomeKind::Unknown, false, "require_approval irreversible"),
        (OutcomeKind::Failed, true, "require_approval irreversible"),
        (OutcomeKind::Failed, false, "allow"),
    ] {
        let mut run = held();
        let first = permit(&run.propose("seats.book", book.clone()));
        assert_eq!(
            run.says("seats.book", book.clone()),
            "require_approval being_completed",
            "at the same time"
        );
        run.world.conclude_maybe(&first, outcome, maybe);
        assert_eq!(run.says("seats.book", book.clone()), expected, "{outcome:?}");
    }
}

#[test]
fn only_what_was_done_and_left_as_it_was_is_completed() {
    let book = json!({"hold": "H-17"});
    let asks = "require_approval irreversible";
    // Not known to be done.
    for outcome in [OutcomeKind::Failed, OutcomeKind::Unknown] {
        let mut run = held();
        let other = permit(&run.propose("seats.hold", json!({"show": "Medea"})));
        run.world.conclude(&other, outcome);
        assert_eq!(run.says("seats.book", json!({"hold": "H-18"})), asks);
    }
    // Changed in between, by whatever carries the id, however it is written.
    for (name, call) in [
        ("seats.move", json!({"hold": "H-17", "row": "9"})),
        ("seats.move", json!({"hold": "h17"})),
        ("seats.move", json!({"hold": "/holds/H-17/row"})),
        ("seats.move", json!({"hold": "x", "row": "https://seats.example/holds?id=H%2D17"})),
        ("seats.hold", json!({"show": "Medea", "note": "H-17"})),
    ] {
        let mut run = held();
        run.does(name, call.clone(), json!({}));
        assert_eq!(run.says("seats.book", book.clone()), asks, "{name} {call}");
    }
    // What is refused, waits, or only looks has changed nothing.
    let mut run = held();
    run.does("look", json!({}), json!({"hold": "H-17"}));
    let _ = run.propose("seats.move", json!({"hold": 17}));
    assert_eq!(run.says("seats.book", book.clone()), "allow");
    // The id of another hold is another hold.
    let mut run = held();
    run.does("seats.hold", json!({"show": "Medea"}), json!({"hold": "H-2"}));
    assert_eq!(run.says("seats.book", book.clone()), "allow");
    // Two calls that have issued the same.
    let mut run = held();
    run.does("seats.hold", json!({"show": "Medea"}), json!({"hold": "H-17"}));
    assert_eq!(run.says("seats.book", book.clone()), asks);
    assert!(run.why("seats.book", book).contains("several"));
}

#[test]
fn only_what_is_issued_by_what_begins_is_completed() {
    let asks = "require_approval irreversible";
    let mut run = Run::new(BOOK);
    run.does("parcel.write", json!({"to": "Medea"}), json!({"hold": 17, "label": "L-17"}));
    assert_eq!(run.says("seats.book", json!({"hold": "L-17"})), asks, "by another action");
    // An echo of what it was given.
    run.does("seats.hold", json!({"show": "Medea", "note": "H-5"}), json!({"hold": "H-5"}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-5"})), asks);
    // Too wide to be an id, and nothing at all.
    for odd in
        [json!({"hold": "H 17 or whatever stands here"}), json!({"hold": null}), json!({}), json!(["H-17"])]
    {
        let mut run = Run::new(BOOK);
        run.does("seats.hold", json!({"show": "Medea"}), odd);
        for id in ["H-17", "H 17 or whatever stands here"] {
            let said = run.says("seats.book", json!({ "hold": id }));
            assert!(said.starts_with("require_approval"), "{said}");
        }
    }
    let mut run = Run::new("Send it to ann@post.example").tainted();
    run.does("parcel.write", json!({"to": "ann@post.example"}), json!({"label": "X-5"}));
    assert_eq!(run.says("parcel.hand_over", json!({"label": "X-5"})), "require_approval unproven_target");
}

#[test]
fn what_nobody_has_asked_for_begins_nothing() {
    let asks = "require_approval irreversible";
    for goal in [
        "Look at the programme",
        "Move the seats for Medea",
        "Book the best one for 2",
        "Buche Medea für 2, bitte",
    ] {
        let mut run = Run::new(goal);
        run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
        assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), asks, "{goal}");
    }
    // One was asked for, and this is the second.
    let mut run = held();
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-18"}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-18"})), asks);
    // A no is nobody's yes.
    let mut run = Run::new("Fire the vases").tainted();
    let ask = wait(&run.propose("kiln.load", json!({"program": "raku-4"})));
    run.world.answer(&ask.approval, "bob", &["operators"], false).unwrap();
    assert_eq!(run.says("kiln.fire", json!({"batch": 401})), "require_approval unproven_target");
}

/// What begins is looked at as if it were what comes of it.
#[test]
fn what_begins_is_as_grave_as_what_completes_it() {
    let mut run = Run::new("Book a play for 2");
    run.does("shows", json!({}), json!([{"name": "Medea"}, {"name": "Lear"}]));
    run.does("look", json!({}), json!("Take Lear."));
    run.does("seats.hold", json!({"show": "Lear", "seats": 2}), json!({"hold": "H-17"}));
    assert_eq!(run.world.run(&principal("a").run).questions, 0, "holding it is no question");
    assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), "require_approval off_intent");
    // What stays here may hold a link, and what is handed over may not.
    for (note, expected) in [
        ("Handle with care", "allow"),
        ("See https://foe.example/?d=c2VjcmV0", "require_approval off_intent"),
    ] {
        let mut run = Run::new("Send it to ann@post.example, and handle with care").tainted();
        run.does("parcel.write", json!({"to": "ann@post.example", "note": note}), json!({"label": "L-5"}));
        assert_eq!(run.world.run(&principal("a").run).questions, 0, "writing it is no question");
        assert_eq!(run.says("parcel.hand_over", json!({"label": "L-5"})), expected, "{note}");
    }
}

#[test]
fn it_is_of_this_run_and_of_no_relative() {
    let mut child = principal("a");
    child.run = RunId::new("run_2").unwrap();
    let asks = "require_approval irreversible";
    let mut run = held();
    run.world.open_child(&child, &[principal("a").run]);
    assert_eq!(run.in_run("run_2").says("seats.book", json!({"hold": "H-17"})), asks, "a parent's");
    assert!(run.why("seats.book", json!({"hold": "H-17"})).contains("in another run"));
    assert_eq!(run.in_run("run_1").says("seats.book", json!({"hold": "H-17"})), "allow");
    // A child that changes it.
    let mut run = held();
    run.world.open_child(&child, &[principal("a").run]);
    run.in_run("run_2").does("seats.move", json!({"hold": "H-17"}), json!({}));
    assert_eq!(run.in_run("run_1").says("seats.book", json!({"hold": "H-17"})), asks);
    // A parent, or another child of it, that changes what a child has begun.
    for by in ["run_1", "run_3"] {
        let mut other = child.clone();
        other.run = RunId::new("run_3").unwrap();
        let mut run = Run::new(BOOK);
        run.world.open_child(&child, &[principal("a").run]);
        run.world.open_child(&other, &[principal("a").run]);
        run.in_run("run_2").does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
        assert_eq!(
            run.world.clone().propose(proposal(&child, "seats.book", &json!({"hold": "H-17"}))).outcome(),
            "approved"
        );
        run.in_run(by).does("seats.move", json!({"hold": "H-17"}), json!({}));
        assert_eq!(run.in_run("run_2").says("seats.book", json!({"hold": "H-17"})), asks, "{by}");
    }
    // Another run of the same agent.
    let mut run = held();
    let mut apart = principal("a");
    apart.run = RunId::new("run_9").unwrap();
    run.world.open_for(&apart, BOOK, None);
    assert_eq!(run.in_run("run_9").says("seats.book", json!({"hold": "H-17"})), asks);
}

#[test]
fn a_change_that_carries_more_than_is_looked_for_ends_what_was_begun() {
    let many: Vec<String> = (0..600).map(|n| format!("row-{n}")).collect();
    let mut run = held();
    run.does("seats.move", json!({"hold": "x", "row": many.join(" ")}), json!({}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), "require_approval irreversible");
    assert!(run.why("seats.book", json!({"hold": "H-17"})).contains("too many values"));
}

#[test]
fn nothing_is_changed_while_it_is_being_completed() {
    let mut run = held();
    let first = permit(&run.propose("seats.book", json!({"hold": "H-17"})));
    assert_eq!(run.says("seats.move", json!({"hold": "H-17"})), "require_approval being_completed");
    assert_eq!(run.says("seats.move", json!({"hold": "H-18"})), "allow");
    run.world.conclude(&first, OutcomeKind::Done);
    assert_eq!(run.says("seats.move", json!({"hold": "H-17"})), "allow", "that is another matter");
}

#[test]
fn it_answers_no_other_question() {
    let book = json!({"hold": "H-17"});
    let hold = json!({"show": "Medea", "seats": 2});
    // A person is always asked; the risk is too high; there is nothing left; it is stopped.
    let mut always = actions();
    always[3]["approval"] = json!({"always": true});
    let mut final_ = actions();
    final_[3]["approval"] = json!({"always": false});
    let rule = |rule: &str| bundle(&agent(&json!({})), &actions(), rule);
    for (town, expected) in [
        (bundle(&agent(&json!({})), &always, ""), "require_approval approval_rule"),
        (bundle(&agent(&json!({})), &final_, ""), "require_approval irreversible"),
        (
            town(agent(&json!({"budgets": [{"unit": "calls", "limit": "1", "per": "run", "of": "run"}]}))),
            "block budget_exceeded",
        ),
        (town(agent(&json!({"auto_approve_threshold": "0.00"}))), "require_approval risk_above_threshold"),
        (
            rule("@id(\"no\") forbid (principal, action == Action::\"seats.book\", resource);"),
            "block policy_forbids",
        ),
    ] {
        let mut run = Run::of(&town, BOOK, None);
        run.does("seats.hold", hold.clone(), json!({"hold": "H-17"}));
        assert_eq!(run.says("seats.book", book.clone()), expected);
    }
    let mut run = held();
    run.world.kill(KillScope::Run(principal("a").run));
    assert_eq!(run.says("seats.book", book.clone()), "block killed");
    // Private data that would leave.
    let mut run = Run::new("Send it to ann@post.example").tainted();
    run.does("parcel.write", json!({"to": "ann@post.example"}), json!({"label": "L-5"}));
    let mut outside = actions();
    outside[8]["egress"] = json!("external");
    run.world.bundle = bundle(&agent(&json!({})), &outside, "");
    run.world.seen(&principal("a").run, true, true);
    assert_eq!(run.says("parcel.hand_over", json!({"label": "L-5", "to": "ann@post.example"})), "allow");
    assert_eq!(run.says("parcel.hand_over", json!({"label": "L-5"})), "require_approval being_completed");
}

#[test]
fn a_plan_is_a_contract_about_both_steps() {
    let step = |name: &str, arguments: Value| json!({"action": name, "arguments": arguments});
    let holds = step("seats.hold", json!({"/show": {"equals": "Medea"}, "/seats": {"equals": 2}}));
    let book = json!({"hold": "H-17"});
    for (plan, expected) in [
        (json!({"steps": [holds.clone(), step("seats.book", json!({}))]}), "allow"),
        (json!({"steps": [holds]}), "require_approval off_plan"),
    ] {
        let mut run = Run::of(&TOWN, "Look around", Some(plan));
        run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
        assert_eq!(run.says("seats.book", book.clone()), expected);
    }
    // What is no step stays refused as before, also where only the id is unproven.
    let mut listed = actions();
    listed[1]["outputs"][0]["endorses"] = json!("system");
    let plan = json!({"steps": [step("seats.hold", json!({"/show": {"equals": "Medea"}, "/seats": {"equals": 2}}))]});
    let mut run = Run::of(&bundle(&agent(&json!({})), &listed, ""), "Look around", Some(plan)).tainted();
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-17"})), "block plan_violated");
    let plan = json!({"steps": [step("seats.hold", json!({"/show": {"equals": "Medea"}, "/seats": {"equals": 2}}))]});
    let mut run = Run::of(&TOWN, "Look around", Some(plan)).tainted();
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
    assert_eq!(run.says("seats.book", json!({"hold": "H-17", "seats": 4})), "block plan_violated");
}

#[test]
fn strict_looks_at_every_other_value_by_itself() {
    let strict = town(agent(&json!({"mode": "strict"})));
    let mut run = Run::of(&strict, "Fire the vases", None).tainted();
    run.does("kiln.load", json!({"program": "raku-4", "degrees": 980}), json!({"kiln": {"batch": 401}}));
    assert_eq!(
        run.says("kiln.fire", json!({"batch": 401, "degrees": 980})),
        "require_approval unproven_target"
    );
    assert_eq!(run.says("kiln.fire", json!({"batch": 401})), "allow");
}

#[test]
fn what_rests_on_another_call_begins_nothing_itself() {
    let mut more = actions();
    more[3]["outputs"] = json!([{"path": "/ticket", "endorses": "agent", "taints": false, "type": "id"}]);
    more.as_array_mut().unwrap().push(json!(
        {"name": "seats.print", "effect": "write", "reversibility": "irreversible", "severity": 1, "egress": "none",
         "approval": {"always": false, "unless_proven": true},
         "arguments": {"type": "object", "required": ["ticket"], "properties": {"ticket": {"type": "string"}}},
         "args": {"ticket": {"class": "target_id"}},
         "completes": {"action": "seats.book", "argument": "ticket", "issued": "/ticket"}, "intent": {"strong": ["print"]}}));
    let mut of = agent(&json!({}));
    of["allowed_actions"].as_array_mut().unwrap().push(json!("seats.print"));
    let mut run = Run::of(&bundle(&of, &more, ""), BOOK, None);
    run.does("seats.hold", json!({"show": "Medea", "seats": 2}), json!({"hold": "H-17"}));
    run.does("seats.book", json!({"hold": "H-17"}), json!({"ticket": "T-1"}));
    assert_eq!(run.says("seats.print", json!({"ticket": "T-1"})), "require_approval irreversible");
}

#[test]
fn rules_that_lead_nowhere_or_round_do_not_load() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut all = actions();
        change(&mut all);
        VettedBundle::load(sources(&agent(&json!({})), &all, ""))
            .err()
            .map_or_else(String::new, |found| lines(&found))
    };
    assert_eq!(with(&|_| {}), "");
    for (key, value, said) in [
        ("action", "seats.holdd", "did you mean `seats.hold`?"),
        ("action", "seats.book", "it names itself"),
        ("action", "look", "`look` is a read, which begins nothing"),
        ("action", "seats.move", "`seats.move` issues no `/hold`"),
        ("argument", "holdd", "`argument` names `holdd`, which `arguments` does not list"),
        ("argument", "/*", "one value, without `*`"),
        ("argument", "note", "`note` is a `content`"),
        ("issued", "hold", "it must be a JSON pointer such as `/id`"),
        ("issued", "/*", "without `*`"),
        ("issued", "/other", "issues no `/other`"),
    ] {
        let found = with(&|all| all[3]["completes"][key] = json!(value));
        assert!(found.contains(said), "{key} {value}: {found}");
    }
    for label in [
        json!({"path": "/hold", "endorses": "agent", "taints": true, "type": "id"}),
        json!({"path": "/hold", "endorses": "third", "taints": false, "type": "id"}),
        json!({"path": "/*", "endorses": "agent", "taints": false, "type": "id"}),
    ] {
        let found = with(&|all| all[1]["outputs"] = json!([label]));
        assert!(found.contains("issues no `/hold`"), "{label}: {found}");
    }
    let round = with(&|all| {
        all[3]["outputs"] = json!([{"path": "/id", "endorses": "agent", "taints": false, "type": "id"}]);
        all[2]["outputs"] = json!([{"path": "/id", "endorses": "agent", "taints": false, "type": "id"}]);
        all[2]["completes"] = json!({"action": "seats.book", "argument": "hold", "issued": "/id"});
        all[3]["completes"] = json!({"action": "seats.move", "argument": "hold", "issued": "/id"});
    });
    assert!(
        round.contains("it goes round: `seats.book` completes `seats.move`, which completes `seats.book`"),
        "{round}"
    );
    let read = with(&|all| {
        all[0]["completes"] = json!({"action": "seats.hold", "argument": "x", "issued": "/hold"})
    });
    assert!(read.contains("it is a read, which completes nothing"), "{read}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing that is known otherwise makes a completion pass that did not, but what it says.
    #[test]
    fn one_flaw_more_never_lets_it_pass(flaw in 0usize..8, call in 0usize..3) {
        let call = [json!({"hold": "H-17"}), json!({"hold": "H-17", "seats": 2}), json!({"hold": "H-17", "quiet": false})][call].clone();
        let mut run = held();
        let ruling = run.world.propose_knowing(proposal(&principal("a"), "seats.book", &call), &[], |facts| {
            let other = ActionId::new("act_other").unwrap();
            let begun = facts.begun.as_mut().unwrap();
            match flaw {
                0 => begun.beginning = None,
                1 => begun.completed = Some(other),
                2 => begun.touched = Some(other),
                3 => begun.undone = true,
                4 => begun.flaw = Some(aecl_kernel::record::begun::BegunFlaw::Elsewhere),
                5 => begun.state = aecl_kernel::record::facts::ActionState::Unknown,
                6 => facts.edition = 6,
                _ => facts.begun = None,
            }
        });
        prop_assert_eq!(says(&ruling), "require_approval irreversible");
        prop_assert_eq!(&ruling.decision().completes, &None);
    }
}
