//! Decisions outlive the rules that they were made by: what an earlier edition has recorded is made again as it was
//! made, and what it has counted still counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::ingest::ingest;
use aecl_kernel::provenance::issued::issued;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::event::{Entry, Event, OutcomeKind};
use aecl_ledger::replay::rebuild_facts;
use aecl_ledger::store::{Batch, EntryRow, Memory, Store};
use aecl_ledger::{Conclusion, Export, redecide, verify_export};
use aecl_proof::{Frontier, Hash, leaf_hash};
use common::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HYPHENS: &str = "DE89-3704-0044-0532-0130-00";
const ACCOUNT: &str = "DE89 3704 0044 0532 0130 00";

fn sources() -> Vec<Source> {
    let text = json!({"type": "string"});
    let pay = json!([{"name": "pay", "effect": "pay", "reversibility": "reversible", "severity": 2,
        "arguments": {"type": "object", "required": ["to", "eur"], "properties": {"to": text, "eur": {"type": "number"}}},
        "fields": {"amount": {"value": "/eur", "unit": "EUR"}},
        "args": {"to": {"class": "dest_account"}, "eur": {"class": "magnitude", "limit": 100}}}]);
    let bot = json!({"agent_id": "bot", "allowed_actions": ["pay"], "auto_approve_threshold": "1.00"});
    vec![
        Source { path: "actions/all.json".into(), text: pay.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
    ]
}

fn open(memory: &Memory) -> World {
    let bundle = VettedBundle::load(sources()).unwrap_or_else(|p| panic!("{p:#?}"));
    World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) }
}

fn pay(to: &str, eur: u32) -> Value {
    json!({"to": to, "eur": eur})
}

/// A ledger that a program of edition 1 has written: 60 to one account in three writings, each with an allowance of its
/// own, and once more in the first.
fn of_edition_1() -> Export {
    Export::open(&path("edition-1")).unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The same in memory, so that it goes on.
fn continued() -> Memory {
    let mut export = of_edition_1();
    let entries: Vec<Vec<u8>> = export.entries(0, 999).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    let (mut tree, mut nodes, mut payloads) = (Frontier::new(), Vec::new(), Vec::new());
    for bytes in &entries {
        let entry: Entry = serde_json::from_slice(bytes).unwrap();
        let digest = match &entry.event {
            Event::RunOpened(e) => Some(e.stated),
            Event::BundleLoaded(e) => Some(e.sources),
            Event::Ruled(e) => Some(e.arguments),
            Event::Concluded(e) => e.output,
            _ => None,
        };
        payloads.extend(digest.and_then(|d| export.payload(&Hash(*d.bytes())).unwrap()));
        tree.append(leaf_hash(bytes), &mut nodes);
    }
    let row = |bytes: &Vec<u8>| EntryRow { bytes: bytes.as_slice().into(), run: None, action: None };
    let checkpoint = export.head().unwrap().checkpoint;
    let entries = entries.iter().map(row).collect();
    let mut memory = Memory::new();
    memory.commit(&Batch { entries, nodes, payloads, checkpoint, ..Batch::default() }).unwrap();
    rebuild_facts(&mut memory).unwrap();
    memory
}

/// What came of the decisions of an export, each of this edition and made again as it was made.
fn decided_again(name: &str, edition: u32) -> Vec<String> {
    let mut export = Export::open(&path(name)).unwrap();
    let entries = export.entries(0, 999).unwrap();
    let entries = entries.iter().map(|(_, bytes)| serde_json::from_slice::<Entry>(bytes).unwrap());
    let ruled: Vec<_> =
        entries.filter_map(|e| if let Event::Ruled(r) = e.event { Some(r) } else { None }).collect();
    assert!(ruled.iter().all(|ruled| ruled.facts.edition == edition));
    assert_eq!(verify_export(&path(name), &auditor(), None).unwrap().entries, export.head().unwrap().size);
    let again = redecide(&mut export, 0..u64::MAX).unwrap();
    let found = (again.decisions, again.mismatches.len(), again.unavailable.len());
    assert_eq!(found, (ruled.len() as u64, 0, 0), "{again:#?}");
    ruled.iter().map(|ruled| ruled.outcome.as_str().to_owned()).collect()
}

#[test]
fn what_edition_1_has_decided_is_decided_again_as_it_was() {
    assert_eq!(decided_again("edition-1", 1), ["approved", "approved", "approved", "escalated"]);
}

#[test]
fn what_was_sent_before_an_upgrade_is_not_forgotten() {
    let memory = continued();
    block_on(async {
        let world = open(&memory);
        world.names_from(100);
        let run = world.known_run("bot", "run_a");
        for to in [ACCOUNT, HYPHENS, "IBAN DE89 3704 0044 0532 0130 00", "DE89.3704.0044.0532.0130.00"] {
            waiting(run.propose("pay", pay(to, 50)).await);
        }
        // Forty are left of the account as it is usually written; the sum of each other writing ends with the day.
        run.done("pay", pay("IBAN DE89 3704 0044 0532 0130 00", 40)).await;
        for to in [ACCOUNT, HYPHENS, "de89370400440532013000"] {
            waiting(run.propose("pay", pay(to, 1)).await);
        }
        world.pass(25 * 3_600_000);
        let run = world.run("bot").await;
        run.done("pay", pay(HYPHENS, 60)).await;
        waiting(run.propose("pay", pay(ACCOUNT, 60)).await);
    });
    audit_store(&mut memory.reopen());
}

/// A ledger in which a plan waits, its run has read a stranger's text, and the agent pays as the plan says.
/// Gives what came of it before people agreed and after.
async fn paid_while_the_plan_waits(memory: &Memory) -> (Vec<String>, Vec<String>) {
    let mut sources = sources();
    let look = json!([{"name": "look", "effect": "read", "arguments": {"type": "object", "properties": {}}}]);
    sources[1].text = sources[1].text.replace(r#"["pay"]"#, r#"["pay","look"]"#);
    sources.push(Source { path: "actions/look.json".into(), text: look.to_string() });
    let bundle = VettedBundle::load(sources).unwrap_or_else(|p| panic!("{p:#?}"));
    let world = World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
    let steps = json!([{"action": "look"}, {"action": "pay", "times": 3, "arguments": {
        "/to": {"equals": ACCOUNT}, "/eur": {"at_most": 10}}}]);
    let (run, ask) = world.planned(steps).await;
    let looked = run.allowed("look", json!({})).await;
    let labels = Labels { untrusted: true, ..Labels::default() };
    let read = Conclusion { labels, ..conclusion(looked.get().id(), OutcomeKind::Done) };
    world.ledger.conclude(read, world.now()).await.unwrap();
    let before = pays(&world, &run).await;
    world.vote(&ask, "ann", &["operators"], true).await.unwrap();
    (before, pays(&world, &run).await)
}

async fn pays(world: &World, run: &Run) -> Vec<String> {
    let mut out = Vec::new();
    for arguments in [pay(ACCOUNT, 10), pay(ACCOUNT, 7)] {
        match run.propose("pay", arguments).await.split().0 {
            Ruling::Allowed(permit) => {
                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                out.push("done".into());
            }
            Ruling::Waiting(wait) => {
                out.push(wait.decision.headline.unwrap().as_str().to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
    out
}

#[test]
fn what_is_decided_beside_a_plan_that_waits_is_decided_again_as_it_was() {
    let memory = Memory::new();
    let (before, after) = block_on(paid_while_the_plan_waits(&memory));
    assert_eq!(before, ["unproven_destination"; 2]);
    assert_eq!(after, ["done"; 2]);
    audit_store(&mut memory.reopen());
}

/// A program of edition 2 has let a run that had read a stranger's text look at an address under the name of a picture. The
/// same question is asked about now.
#[test]
fn what_edition_2_has_decided_is_decided_again_as_it_was() {
    assert_eq!(decided_again("edition-2", 2), ["approved", "approved", "approved", "escalated"]);
    let memory = Memory::new();
    block_on(async {
        let bundle = VettedBundle::load(readers()).unwrap_or_else(|p| panic!("{p:#?}"));
        let world =
            World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
        let run = world.run("bot").await;
        let looked = run.allowed("look", json!({"image": "notes.txt"})).await;
        let labels = Labels { untrusted: true, private: true, ..Labels::default() };
        let read = Conclusion { labels, ..conclusion(looked.get().id(), OutcomeKind::Done) };
        world.ledger.conclude(read, world.now()).await.unwrap();
        for arguments in [json!({"image": AWAY}), json!({"image": [{"of": "thief@foe.example"}]})] {
            waiting(run.propose("look", arguments).await);
        }
        waiting(run.propose("label", json!({"by": AWAY})).await);
    });
    audit_store(&mut memory.reopen());
}

const AWAY: &str = "https://foe.example/?d=c2VjcmV0";

/// A reader whose argument has a name that is on no list, and a change with such an argument beside what it changes.
fn readers() -> Vec<Source> {
    let actions = json!([
        {"name": "look", "effect": "read", "arguments": {"type": "object", "properties": {"image": {}}}},
        {"name": "label", "effect": "write", "reversibility": "reversible", "severity": 1,
         "arguments": {"type": "object", "properties": {"by": {"type": "string"}}}, "args": {"by": {"class": "selector"}}}]);
    let bot =
        json!({"agent_id": "bot", "allowed_actions": ["look", "label"], "auto_approve_threshold": "1.00"});
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
    ]
}

/// A reader that asks at a system that its argument chooses, and one that looks somebody up.
fn askers() -> Vec<Source> {
    let text = json!({"type": "string"});
    let actions = json!([
        {"name": "look", "effect": "read",
         "arguments": {"type": "object", "properties": {"what": text, "at": text}},
         "args": {"what": {"class": "selector"}, "at": {"class": "dest_name"}}},
        {"name": "whois", "effect": "read",
         "arguments": {"type": "object", "properties": {"mailbox": text}}, "args": {"mailbox": {"class": "dest_email"}}}]);
    let bot =
        json!({"agent_id": "bot", "allowed_actions": ["look", "whois"], "auto_approve_threshold": "1.00"});
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
    ]
}

/// Looks at home, reads what a stranger wrote there, and asks elsewhere.
async fn asked_elsewhere(memory: &Memory) -> Vec<&'static str> {
    let bundle = VettedBundle::load(askers()).unwrap_or_else(|p| panic!("{p:#?}"));
    let world = World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
    let run = world.run("bot").await;
    let looked = run.allowed("look", json!({"what": "mailer", "at": "home"})).await;
    let labels = Labels { untrusted: true, private: true, ..Labels::default() };
    let read = Conclusion { labels, ..conclusion(looked.get().id(), OutcomeKind::Done) };
    world.ledger.conclude(read, world.now()).await.unwrap();
    let mut out = Vec::new();
    for (name, arguments) in [
        ("look", json!({"what": "mailer"})),
        ("look", json!({"what": "smtp-9Kf3-wren", "at": "partners"})),
        ("whois", json!({"mailbox": "ann@foe.example"})),
    ] {
        out.push(match run.propose(name, arguments).await.split().0 {
            Ruling::Allowed(permit) => {
                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                "done"
            }
            Ruling::Waiting(wait) => wait.decision.headline.unwrap().as_str(),
            other => panic!("{other:?}"),
        });
    }
    out
}

/// A program of edition 3 has let a run that had read a stranger's text ask at a system that nobody had named. The same is
/// asked about now.
#[test]
fn what_edition_3_has_decided_is_decided_again_as_it_was() {
    assert_eq!(decided_again("edition-3", 3), ["approved"; 4]);
    let memory = Memory::new();
    assert_eq!(block_on(asked_elsewhere(&memory)), ["done", "unproven_destination", "unproven_destination"]);
    audit_store(&mut memory.reopen());
}

/// A garden, and one who writes to people.
fn gardeners() -> Vec<Source> {
    let text = json!({"type": "string"});
    let actions = json!([
        {"name": "look", "effect": "read", "arguments": {"type": "object", "properties": {}}},
        {"name": "water", "effect": "write", "reversibility": "reversible", "severity": 2, "egress": "none",
         "arguments": {"type": "object", "required": ["plant"], "properties": {"plant": text}},
         "args": {"plant": {"class": "target_name"}}, "intent": {"strong": ["water"]}},
        {"name": "tell", "effect": "send", "reversibility": "reversible", "severity": 2, "egress": "tenant",
         "arguments": {"type": "object", "required": ["who"], "properties": {"who": text}},
         "args": {"who": {"class": "dest_name"}}, "intent": {"strong": ["tell"]}}]);
    let agents = json!([
        {"agent_id": "bot", "allowed_actions": ["look", "water", "tell"], "auto_approve_threshold": "1.00"},
        {"agent_id": "guard", "mode": "strict", "allowed_actions": ["look", "water", "tell"], "auto_approve_threshold": "1.00"}]);
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: agents.to_string() },
    ]
}

/// Reads what a stranger wrote, waters two plants that the goal names, and one of them again; a strict one writes to somebody
/// of whom nobody has read.
async fn watered_and_told(memory: &Memory) -> Vec<&'static str> {
    let bundle = VettedBundle::load(gardeners()).unwrap_or_else(|p| panic!("{p:#?}"));
    let world = World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
    let mut out = Vec::new();
    let calls = [
        ("water", "plant", "Fern"),
        ("water", "plant", "Ivy"),
        ("water", "plant", "Ivy"),
        ("tell", "who", "Mo"),
    ];
    for (agent, calls) in [("bot", &calls[..3]), ("guard", &calls[3..])] {
        let run = world.run_for(agent, &format!("run_{agent}"), "Water the Fern and the Ivy").await.unwrap();
        let looked = run.allowed("look", json!({})).await;
        let labels = Labels { untrusted: true, private: true, ..Labels::default() };
        let read = Conclusion { labels, ..conclusion(looked.get().id(), OutcomeKind::Done) };
        world.ledger.conclude(read, world.now()).await.unwrap();
        for (name, field, value) in calls {
            out.push(match run.propose(name, json!({ *field: value })).await.split().0 {
                Ruling::Allowed(permit) => {
                    world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                    "done"
                }
                Ruling::Waiting(wait) => wait.decision.headline.unwrap().as_str(),
                Ruling::Blocked(refusal) => refusal.decision.headline.unwrap().as_str(),
                other => panic!("{other:?}"),
            });
        }
    }
    out
}

/// A program of edition 4 has asked about the second plant that the goal names, and refused a strict one what nobody had said.
/// Each plant is watered once now, and a person is asked about what nobody has said.
#[test]
fn what_edition_4_has_decided_is_decided_again_as_it_was() {
    let before = ["approved", "approved", "escalated", "escalated", "approved", "blocked"];
    assert_eq!(decided_again("edition-4", 4), before);
    let memory = Memory::new();
    let now = ["done", "done", "more_than_asked", "unproven_destination"];
    assert_eq!(block_on(watered_and_told(&memory)), now);
    audit_store(&mut memory.reopen());
}

/// One who throws plants away, which nobody can take back.
fn tossers() -> Vec<Source> {
    let text = json!({"type": "string"});
    let actions = json!([
        {"name": "toss", "effect": "delete", "reversibility": "irreversible", "severity": 2, "egress": "none",
         "approval": {"always": false, "unless_proven": true},
         "arguments": {"type": "object", "required": ["plant"], "properties": {"plant": text}},
         "args": {"plant": {"class": "target_name"}}, "intent": {"strong": ["toss"]}}]);
    let bot = json!({"agent_id": "bot", "allowed_actions": ["toss"], "auto_approve_threshold": "0.20"});
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
    ]
}

/// Throws away the plant that the goal names, and another one.
async fn tossed(memory: &Memory) -> Vec<&'static str> {
    let bundle = VettedBundle::load(tossers()).unwrap_or_else(|p| panic!("{p:#?}"));
    let world = World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
    let run = world.run_for("bot", "run_bot", "Toss the Fern").await.unwrap();
    let mut out = Vec::new();
    for plant in ["Fern", "Ivy"] {
        out.push(match run.propose("toss", json!({ "plant": plant })).await.split().0 {
            Ruling::Allowed(permit) => {
                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                "done"
            }
            Ruling::Waiting(wait) => wait.decision.headline.unwrap().as_str(),
            other => panic!("{other:?}"),
        });
    }
    out
}

/// A program of edition 5 has counted that it cannot be undone also where all was named and asked for, and asked about it for its
/// risk.
#[test]
fn what_edition_5_has_decided_is_decided_again_as_it_was() {
    assert_eq!(decided_again("edition-5", 5), ["escalated", "escalated"]);
    let memory = Memory::new();
    assert_eq!(block_on(tossed(&memory)), ["done", "risk_above_threshold"]);
    audit_store(&mut memory.reopen());
}

/// A library in which a book is reserved, and lent to whoever has the slip. `completes`: what only this edition knows.
fn lenders(completes: bool) -> Vec<Source> {
    let text = json!({"type": "string"});
    let mut actions = json!([
        {"name": "reserve", "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none",
         "output": {"untrusted": false, "private": false},
         "arguments": {"type": "object", "required": ["title"], "properties": {"title": text}},
         "args": {"title": {"class": "target_name"}}, "intent": {"strong": ["borrow"]},
         "outputs": [{"path": "/slip", "endorses": "agent", "taints": false, "type": "id"}]},
        {"name": "lend", "effect": "write", "reversibility": "irreversible", "severity": 2, "egress": "none",
         "approval": {"always": false, "unless_proven": true},
         "arguments": {"type": "object", "required": ["slip"], "properties": {"slip": text}},
         "args": {"slip": {"class": "target_id"}}, "intent": {"strong": ["lend"]}}]);
    if completes {
        actions[1]["completes"] = json!({"action": "reserve", "argument": "slip", "issued": "/slip"});
    }
    let bot =
        json!({"agent_id": "bot", "allowed_actions": ["reserve", "lend"], "auto_approve_threshold": "1.00"});
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
    ]
}

/// Reserves the book that the goal names, and lends it by its slip, twice.
async fn lent(memory: &Memory, completes: bool) -> Vec<&'static str> {
    let bundle = VettedBundle::load(lenders(completes)).unwrap_or_else(|p| panic!("{p:#?}"));
    let world = World { bundle: Arc::new(bundle.into_bundle()), ..World::open(Box::new(memory.reopen())) };
    let run = world.run_for("bot", "run_bot", "Borrow \"The Waves\" please").await.unwrap();
    let reserved = run.allowed("reserve", json!({"title": "The Waves"})).await;
    let (action, output) = (reserved.get().action(), br#"{"slip":"s-12"}"#.to_vec());
    let typed = action.typed.as_deref().unwrap();
    let trusted = ingest(typed, &output, false, None, None).trusted;
    let issued = issued(action, typed, &["/slip"].into(), &output);
    let (output, ended) = (Some(output), conclusion(reserved.get().id(), OutcomeKind::Done));
    let done = Conclusion { trusted, issued, output, ..ended };
    world.ledger.conclude(done, world.now()).await.unwrap();
    let mut out = Vec::new();
    for _ in 0..2 {
        out.push(match run.propose("lend", json!({"slip": "s-12"})).await.split().0 {
            Ruling::Allowed(permit) => {
                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                "done"
            }
            Ruling::Waiting(wait) => wait.decision.headline.unwrap().as_str(),
            other => panic!("{other:?}"),
        });
    }
    out
}

/// A program of edition 6 has asked about what only finishes what the goal had asked for. It is done once now.
#[test]
fn what_edition_6_has_decided_is_decided_again_as_it_was() {
    assert_eq!(decided_again("edition-6", 6), ["approved", "escalated", "escalated"]);
    let memory = Memory::new();
    assert_eq!(block_on(lent(&memory, false)), ["irreversible"; 2]);
    audit_store(&mut memory.reopen());
    let memory = Memory::new();
    assert_eq!(block_on(lent(&memory, true)), ["done", "irreversible"]);
    audit_store(&mut memory.reopen());
}
