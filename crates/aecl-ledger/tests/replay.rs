//! Decisions made again, from the record alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::define::catalogue::flow::{Class, Endorses};
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::atoms::wanted;
use aecl_kernel::provenance::ingest::{Endorsement, Trusted};
use aecl_kernel::provenance::issued::{IssuedValue, exact, key};
use aecl_kernel::record::event::{Entry, Event, OutcomeKind};
use aecl_ledger::replay::rebuild_facts;
use aecl_ledger::store::{Batch, EntryRow, Memory, PayloadRow, Store};
use aecl_ledger::{Conclusion, against, redecide, steps, verify_facts};
use aecl_proof::{Checkpoint, Frontier, leaf_hash};
use common::*;
use serde_json::{Value, json};

async fn history(world: &World) -> Run {
    let run = world.run_named("bot", "run_a").await.unwrap();
    run.done("pay.send", json!({"amount": 60, "to": "bob"})).await;
    assert_eq!(code(run.propose("pay.send", json!({"amount": 60})).await), "budget_exceeded");
    let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
    world.vote(&ask, "ann", &["ops"], true).await.unwrap();
    world.vote(&ask, "ben", &["ops"], true).await.unwrap();
    let permit = run.allowed("keys.turn", json!({"n": 1})).await;
    world.conclude(permit.get().id(), OutcomeKind::Unknown).await.unwrap();
    world.resolve(permit.get().id(), OutcomeKind::Failed).await.unwrap();
    world.ledger.close_run(run.id().clone(), "over".into(), "ann".into(), world.now()).await.unwrap();
    run
}

fn memory() -> Memory {
    let memory = Memory::new();
    block_on(async { history(&World::open(Box::new(memory.reopen()))).await });
    memory
}

/// The same ledger with one entry changed and everything signed again: only the decision itself tells.
fn rewritten(memory: &mut Memory, position: u64, change: impl Fn(&mut Value)) -> Memory {
    let mut entries: Vec<Vec<u8>> = memory.entries(0, 999).unwrap().into_iter().map(|(_, b)| b).collect();
    let bytes = &mut entries[position as usize];
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    let entry: Entry = serde_json::from_value(value).unwrap();
    *bytes = serde_json::to_vec(&entry).unwrap();
    let mut payloads: Vec<PayloadRow> = Vec::new();
    for bytes in &entries {
        let entry: Entry = serde_json::from_slice(bytes).unwrap();
        let digest = match &entry.event {
            Event::Ruled(e) => Some(e.arguments),
            Event::BundleLoaded(e) => Some(e.sources),
            _ => None,
        };
        payloads.extend(digest.and_then(|d| memory.payload(&aecl_proof::Hash(*d.bytes())).unwrap()));
    }
    let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
    entries.iter().for_each(|bytes| tree.append(leaf_hash(bytes), &mut nodes));
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap().sign(&signer().key).unwrap();
    let rows = entries.iter().map(|b| EntryRow {
        bytes: b.as_slice().into(),
        run: Some("run_a".into()),
        action: None,
    });
    let mut other = Memory::new();
    let batch =
        Batch { entries: rows.collect(), nodes, payloads, checkpoint: Some(checkpoint), ..Batch::default() };
    other.commit(&batch).unwrap();
    other
}

#[test]
fn a_decision_that_was_written_anew_comes_out_otherwise() {
    let memory = memory();
    let check = |position: u64, what: &str, change: &dyn Fn(&mut Value)| {
        let mut forged = rewritten(&mut memory.reopen(), position, change);
        let again = redecide(&mut forged, 0..u64::MAX).unwrap();
        let found: Vec<_> = again.mismatches.iter().map(|m| (m.position, m.what)).collect();
        assert_eq!(found, [(position, what)], "{:?}", again);
    };
    assert!(redecide(&mut memory.reopen(), 0..u64::MAX).unwrap().mismatches.is_empty());
    check(5, "decision", &|v| v["decision"]["findings"][0]["message"] = json!("fine"));
    check(5, "decision", &|v| v["decision"]["verdict"] = json!("allow"));
    check(5, "decision", &|v| v["decision"]["policies"] = json!([]));
    check(5, "decision", &|v| v["facts"]["meters"] = json!({}));
    check(2, "decision", &|v| v["decision"]["holds"][0]["amount"] = json!("6"));
    check(2, "digest", &|v| v["digest"] = json!(format!("sha256:{}", "00".repeat(32))));
    check(2, "digest", &|v| v["principal"]["user"] = json!("eve"));
    check(2, "digest", &|v| v["name"] = json!("pay.refund"));
    check(2, "definition", &|v| v["definition"] = Value::Null);
    check(2, "decision", &|v| {
        v["facts"]["kills"] = json!({"all": {"by": "x", "reason": "y", "at": "2026-01-01T12:00:00.000Z"}})
    });
    check(10, "decision", &|v| drop(v["facts"].as_object_mut().unwrap().remove("ask")));
    check(10, "decision", &|v| v["facts"]["ask"]["votes"] = json!([]));
    check(10, "decision", &|v| v["facts"]["ask"]["state"] = json!("used"));
}

#[test]
fn what_cannot_be_made_again_is_named() {
    let mut memory = memory();
    let unknown = json!(format!("sha256:{}", "11".repeat(32)));
    let mut other = rewritten(&mut memory, 2, |v| v["bundle"] = unknown.clone());
    let again = redecide(&mut other, 0..u64::MAX).unwrap();
    assert_eq!((again.decisions, again.unavailable.len()), (3, 1));
    assert_eq!(again.unavailable[0].why, "the bundle 111111111111 is not on record before it");
    let mut other = rewritten(&mut memory, 2, |v| v["arguments"] = unknown.clone());
    let again = redecide(&mut other, 0..u64::MAX).unwrap();
    assert_eq!(again.unavailable[0].why, "its arguments are not there");
    assert_eq!(redecide(&mut memory, 3..6).unwrap().decisions, 1);
    assert_eq!(redecide(&mut memory, 0..0).unwrap().decisions, 0);
}

#[test]
fn another_policy_shows_what_it_changes() {
    let memory = memory();
    let changed = |change: &dyn Fn(&mut Vec<Source>)| {
        let mut sources = sources();
        change(&mut sources);
        let bundle = VettedBundle::load(sources).unwrap_or_else(|p| panic!("{p:#?}"));
        let compared = against(&mut memory.reopen(), 0..u64::MAX, &bundle).unwrap();
        assert_eq!((compared.decisions, compared.unavailable.len()), (4, 0));
        let line = |c: &aecl_ledger::replay::DecisionChange| {
            let now = c.now.headline.map_or("-", |c| c.as_str());
            format!(
                "{} {} {}: {} -> {} {now}",
                c.position,
                c.run,
                c.name,
                c.was.verdict.name(),
                c.now.verdict.name()
            )
        };
        compared.changes.iter().map(line).collect::<Vec<_>>()
    };
    let replace = |from: &'static str, to: &'static str| {
        move |sources: &mut Vec<Source>| {
            let mut hits = 0;
            for source in sources.iter_mut() {
                hits += source.text.matches(from).count();
                source.text = source.text.replace(from, to);
            }
            assert_ne!(hits, 0, "{from}");
        }
    };
    assert_eq!(changed(&|_| {}), [""; 0]);
    assert_eq!(
        changed(&replace(r#""limit":"100""#, r#""limit":"50""#)),
        ["2 run_a pay.send: allow -> block budget_exceeded"]
    );
    assert_eq!(
        changed(&replace(r#""limit":"100""#, r#""limit":"500""#)),
        ["5 run_a pay.send: block -> allow -"]
    );
    // The yes of two people does not do where three are asked.
    assert_eq!(
        changed(&replace(r#""count":2"#, r#""count":3"#)),
        ["10 run_a keys.turn: allow -> require_approval approval_rule"]
    );
    // It does where one is asked, although the definition is another one now.
    assert_eq!(changed(&replace(r#""count":2"#, r#""count":1"#)), [""; 0]);
    let rule = |sources: &mut Vec<Source>| {
        let text = r#"@id("no-bob") @reason("not to bob") forbid (principal, action == Action::"pay.send", resource) when { resource == Resource::"bob" };"#;
        sources.push(Source { path: "rules/all.cedar".into(), text: text.into() });
    };
    assert_eq!(changed(&rule), ["2 run_a pay.send: allow -> block policy_forbids"]);
}

/// A policy on record may name a connector that this version cannot read. The gate would not load it; what was decided with
/// it is decided again as it was.
#[test]
fn a_connector_that_is_not_read_any_more_does_not_end_a_replay() {
    let memory = memory();
    for connector in [json!({ "kind": "smtp" }), json!({ "kind": "sql", "query": "SELECT 1" })] {
        let mut sources = sources();
        for source in &mut sources {
            let with = format!(r#""name":"pay.send","connector":{connector}"#);
            source.text = source.text.replace(r#""name":"pay.send""#, &with);
        }
        assert!(sources.iter().any(|source| source.text.contains("connector")));
        let bundle = VettedBundle::load(sources).unwrap_or_else(|p| panic!("{p:#?}"));
        let compared = against(&mut memory.reopen(), 0..u64::MAX, &bundle).unwrap();
        assert_eq!((compared.decisions, compared.unavailable.len(), compared.changes.len()), (4, 0, 0));
    }
}

#[test]
fn a_run_is_told_step_by_step() {
    let mut memory = memory();
    let run = principal("bot", "run_a").run;
    let steps = steps(&mut memory, &run).unwrap();
    assert!(steps.iter().enumerate().all(|(n, step)| step.seq == Some(n as u64)));
    let told: Vec<String> = steps
        .iter()
        .map(|step| {
            let mut value = serde_json::to_value(step).unwrap();
            let get = |pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
            let pointers = [
                "/name",
                "/arguments",
                "/outcome",
                "/goal/text",
                "/known/run/calls",
                "/vote/person",
                "/state",
                "/output",
                "/resolved_by",
                "/reason",
            ];
            let line = pointers
                .iter()
                .map(|p| get(p))
                .filter(|t| !t.is_empty() && t != "null")
                .collect::<Vec<_>>()
                .join(" ");
            format!("{} {line}", value["step"].take().as_str().unwrap())
        })
        .collect();
    expect_test::expect![[r#"
        opened "what run_a is for"
        proposed "pay.send" "{\"amount\":60,\"to\":\"bob\"}" "approved" 0
        started 
        happened "done" "\"what came back\""
        proposed "pay.send" "{\"amount\":60}" "blocked" 1
        proposed "keys.turn" "{\"n\":1}" "escalated" 1
        asked 
        answered "ann" "pending"
        answered "ben" "approved"
        proposed "keys.turn" "{\"n\":1}" "approved" 1
        started 
        happened "unknown" "\"what came back\""
        happened "failed" "\"what came back\"" "ann"
        closed "over""#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn facts_that_are_not_what_the_entries_say_are_found() {
    let mut memory = memory();
    assert!(verify_facts(&mut memory).unwrap().differs.is_empty());
    let first = memory.head().unwrap().size;
    let facts = vec![
        ("meter/tenant:acme/EUR/day/".to_owned(), None),
        (
            "meter/tenant:acme/USD/day/".to_owned(),
            Some(br#"{"meter":{"window":0,"used":"1","held":"0"}}"#.to_vec()),
        ),
        ("run/run_a".to_owned(), Some(b"{}".to_vec())),
    ];
    memory.commit(&Batch { first, facts, ..Batch::default() }).unwrap();
    let mut keys: Vec<_> = verify_facts(&mut memory).unwrap().differs.into_iter().map(|d| d.key).collect();
    keys.sort();
    assert_eq!(keys, ["meter/tenant:acme/EUR/day/", "meter/tenant:acme/USD/day/", "run/run_a"]);
}

/// A run that rests on what two actions gave back, and a request that is open.
fn resting() -> Memory {
    let memory = Memory::new();
    block_on(async {
        let world = World::open(Box::new(memory.reopen()));
        let run = world.run_named("bot", "run_a").await.unwrap();
        for secret in [false, true] {
            let permit = run.allowed("pay.send", json!({"amount": 1, "to": "bob"})).await;
            let mark = Endorsement { secret, ..Endorsement::of(Endorses::System) };
            let atoms = wanted(Class::DestAccount, &json!("DE02120300000000202051"));
            let trusted = atoms.into_iter().map(|atom| Trusted { atom, mark }).collect();
            let issued = vec![IssuedValue {
                field: "/id".into(),
                key: key("P-1").unwrap(),
                exact: exact("P-1"),
                arguments: [("/to".to_owned(), exact("bob"))].into(),
            }];
            let conclusion =
                Conclusion { trusted, issued, ..conclusion(permit.get().id(), OutcomeKind::Done) };
            world.ledger.conclude(conclusion, world.now()).await.unwrap();
        }
        let closed = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
        world.vote(&closed, "ann", &["ops"], false).await.unwrap();
        waiting(run.propose("keys.turn", json!({"n": 2})).await);
    });
    memory
}

#[test]
fn what_a_run_rests_on_and_requests_in_short_are_what_entries_commit_to() {
    let mut memory = resting();
    let of = |memory: &mut Memory, prefix: &str| memory.scan(prefix, None, 9).unwrap();
    let (trust, summary) = (of(&mut memory, "trust/"), of(&mut memory, "summary/"));
    assert!(!trust.is_empty() && summary.len() == 1, "{trust:?} {summary:?}");
    let [(issued, calls)] = &of(&mut memory, "issued/")[..] else {
        panic!("what two calls have issued is one fact")
    };
    let (issued, calls) = (issued.clone(), calls.clone());
    let ((trust, marks), (summary, shown)) = (trust[0].clone(), summary[0].clone());
    assert!(verify_facts(&mut memory).unwrap().differs.is_empty());
    let other = |bytes: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        Some(text.replace(from, to).into_bytes())
    };
    for (key, value) in [
        (trust.clone(), None),
        (trust.clone(), other(&marks, ",\"secret\":true", "")),
        (trust.replace("run_a/", "run_b/"), Some(marks.clone())),
        (format!("trust/run_a/{}", "0".repeat(64)), Some(marks)),
        (issued.clone(), None),
        (issued.clone(), other(&calls, "\"field\":\"/id\"", "\"field\":\"/no\"")),
        (issued.replace("run_a/", "run_b/"), Some(calls)),
        (summary.clone(), None),
        (summary.clone(), other(&shown, "keys.turn", "keys.look")),
        ("summary/apr_other".to_owned(), Some(shown)),
    ] {
        let first = memory.head().unwrap().size;
        memory.commit(&Batch { first, facts: vec![(key.clone(), value)], ..Batch::default() }).unwrap();
        let differs: Vec<_> =
            verify_facts(&mut memory).unwrap().differs.into_iter().map(|differs| differs.key).collect();
        assert_eq!(differs, [key]);
        assert_eq!(rebuild_facts(&mut memory).unwrap(), 1);
        assert!(verify_facts(&mut memory).unwrap().differs.is_empty());
    }
}

#[test]
fn what_entries_commit_to_beside_them_is_not_taken_away() {
    let mut memory = resting();
    let entries = memory.entries(0, 999).unwrap();
    let committed = |bytes: &[u8]| serde_json::from_slice::<Entry>(bytes).unwrap().beside;
    let (position, gone) = entries.iter().find_map(|(at, bytes)| Some((*at, committed(bytes)?))).unwrap();
    let payloads: Vec<PayloadRow> = entries
        .iter()
        .filter_map(|(_, bytes)| committed(bytes).filter(|digest| *digest != gone))
        .filter_map(|digest| memory.payload(&aecl_proof::Hash(*digest.bytes())).unwrap())
        .collect();
    let rows =
        entries.iter().map(|(_, bytes)| EntryRow { bytes: bytes.as_slice().into(), run: None, action: None });
    let facts =
        memory.scan("", None, 999).unwrap().into_iter().map(|(key, value)| (key, Some(value))).collect();
    let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
    entries.iter().for_each(|(_, bytes)| tree.append(leaf_hash(bytes), &mut nodes));
    let mut without = Memory::new();
    without.commit(&Batch { entries: rows.collect(), payloads, facts, nodes, ..Batch::default() }).unwrap();
    let refused = verify_facts(&mut without).unwrap_err();
    assert_eq!(refused.code().as_str(), "facts_differ");
    assert!(
        refused.to_string().contains(&format!("what the entry {position} commits to beside it")),
        "{refused}"
    );
}

#[test]
fn a_call_of_an_action_with_cases_is_read_back_and_decided_again() {
    let valve = json!([{
        "name": "valve", "effect": "delete", "reversibility": "reversible", "severity": 2,
        "arguments": {"type": "object", "required": ["turn"], "properties": {"turn": {"enum": ["show", "open", "scrap"]}}},
        "cases": [{"when": {"turn": "show"}, "effect": "read"}, {"when": {"turn": "open"}, "effect": "write"}],
    }]);
    let keeper =
        json!({"agent_id": "keeper", "allowed_actions": ["valve"], "auto_approve_threshold": "1.00"});
    let mut all = sources();
    all.push(Source { path: "actions/valve.json".into(), text: valve.to_string() });
    all.push(Source { path: "agents/keeper.json".into(), text: keeper.to_string() });
    let mut world = World::memory();
    world.bundle =
        std::sync::Arc::new(VettedBundle::load(all).unwrap_or_else(|p| panic!("{p:#?}")).into_bundle());
    block_on(async {
        let run = world.run_named("keeper", "run_a").await.unwrap();
        for turn in ["show", "open", "scrap"] {
            run.done("valve", json!({"turn": turn})).await;
        }
        audit(&world).await;
    });
}
