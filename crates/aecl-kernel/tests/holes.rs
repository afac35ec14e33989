//! Holes: what a guard in front of an agent is usually missing, one test each. `docs/reference/validator.md`
//! lists which test keeps which case.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_kernel::facts::{Fact, Key};
use aecl_kernel::labels::SECRET_UNTRACKED;
use aecl_kernel::labels::ingest::TRUSTED_MAX;
use bank::{EVIL, IBAN, Run, STANDARD};
use serde_json::{Value, json};
use world::{principal, proposal, says};

/// What is decided where nobody knows where the arguments come from.
fn says_without_provenance(run: &mut Run, name: &str, arguments: &Value) -> String {
    let proposal = proposal(&principal("a"), name, arguments);
    says(&run.world.propose_knowing(proposal, &[], |facts| facts.provenance = None))
}

#[test]
fn what_is_not_known_is_not_proven() {
    let goal = format!("Pay 50 to {IBAN} and read https://a.example");
    let mut run = Run::new(&goal).tainted();
    let pay = json!({"to": IBAN, "amount": 50});
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval provenance_unknown");
    let page = json!({"url": "https://a.example"});
    assert_eq!(says_without_provenance(&mut run, "get_page", &page), "require_approval provenance_unknown");
    assert_eq!(says_without_provenance(&mut run, "balance", &json!({})), "allow", "a read of our own");
    assert_eq!(run.says("pay", pay.clone()), "allow", "with the facts it is proven");
    let mut run = Run::strict(&goal).tainted();
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval provenance_unknown");
    let mut run = Run::new(&goal);
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "allow", "no stranger was read");
}

#[test]
fn an_erased_goal_or_plan_permits_nothing_that_it_permitted() {
    let pay = json!({"to": IBAN, "amount": 50});
    let mut run = Run::new(&format!("Pay 50 to {IBAN}")).tainted();
    run.world.space.remove(&Key::Goal(principal("a").run));
    assert_eq!(run.says("pay", pay.clone()), "require_approval unproven_destination");
    let plan = json!({"steps": [{"action": "pay", "arguments": {"/to": {"equals": IBAN}}}]});
    let mut run = Run::of(&STANDARD, "Do the usual", Some(plan));
    run.world.space.remove(&Key::Goal(principal("a").run));
    assert_eq!(run.says("pay", pay.clone()), "require_approval off_plan");
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval off_plan");
}

#[test]
fn a_plan_that_was_stated_after_a_stranger_was_read_proves_nothing() {
    let plan = json!({"steps": [{"action": "pay", "arguments": {"/to": {"equals": EVIL}}}]});
    let mut run = Run::of(&STANDARD, "Pay the bill", Some(plan)).tainted();
    let key = Key::Run(principal("a").run);
    let Some(Fact::Run(mut fact)) = run.world.space.get(&key).cloned() else { panic!("no run") };
    fact.late = true;
    run.world.space.insert(key, Fact::Run(fact));
    assert_eq!(
        run.says("pay", json!({"to": EVIL, "amount": 1})),
        "require_approval unproven_destination",
        "it is a step, and its account is still a stranger's"
    );
}

/// Contacts whose accounts are all different.
fn book(from: u32, many: u32) -> Value {
    (from..from + many).map(|n| json!({"name": format!("Vendor{n}"), "iban": account(n)})).collect()
}

fn account(n: u32) -> String {
    format!("ACC{n:09}")
}

#[test]
fn what_is_beyond_the_index_is_unproven() {
    let mut run = Run::new("Pay Vendor7 and Vendor30499").tainted();
    let mut from = 0;
    while run.world.run(&principal("a").run).trusted_bytes < TRUSTED_MAX - 70_000 {
        run.reads("contacts", book(from, 500));
        from += 500;
        assert!(from < 30_000, "the index never fills");
    }
    run.reads("contacts", book(30_000, 500));
    let pay = |n| json!({"to": account(n), "amount": 1});
    assert_eq!(run.says("pay", pay(7)), "allow", "it was read while there was room");
    assert_eq!(run.says("pay", pay(30_499)), "require_approval unproven_destination");
    assert!(run.world.run(&principal("a").run).trusted_bytes <= TRUSTED_MAX);
}

#[test]
fn a_secret_that_cannot_be_recognised_asks_before_anything_leaves() {
    for key in [json!("a".repeat(300)), json!("1234"), json!(1234)] {
        let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
        run.reads("read_key", json!({ "key": key }));
        let labels = run.world.run(&principal("a").run).labels;
        assert!(labels.classes.contains(SECRET_UNTRACKED), "{key}");
        let mail = json!({"to": ["bob@example.com"], "body": "hello"});
        assert_eq!(run.says("send_mail", mail), "require_approval provenance_unknown", "{key}");
    }
    let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
    run.reads("read_key", json!({"key": "k-123456789"}));
    assert_eq!(run.says("send_mail", json!({"to": ["bob@example.com"], "body": "hello"})), "allow");
}

#[test]
fn a_full_index_does_not_let_a_secret_out() {
    let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
    let key = Key::Run(principal("a").run);
    let Some(Fact::Run(mut fact)) = run.world.space.get(&key).cloned() else { panic!("no run") };
    fact.trusted_bytes = TRUSTED_MAX;
    run.world.space.insert(key, Fact::Run(fact));
    run.reads("read_key", json!({"key": "k-123456789"}));
    let mail = json!({"to": ["bob@example.com"], "body": "k-123456789"});
    assert_eq!(run.says("send_mail", mail), "require_approval provenance_unknown");
}
