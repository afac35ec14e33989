//! What an auditor must notice, from files alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::event::{Entry, Event, Heartbeat, KillChanged, OutcomeKind};
use aecl_kernel::record::facts::KillScope;
use aecl_ledger::store::{Batch, EntryRow, Memory, Store};
use aecl_ledger::{
    AuditFinding, AuditReport, Auditor, export, verify_data, verify_export, verify_payloads, verify_store,
};
use aecl_proof::note::SigningKey;
use aecl_proof::tile::write_entries;
use aecl_proof::{Checkpoint, Frontier, TilePath, VerifierKey, leaf_hash};
use common::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A history with everything in it: allows, blocks, a yes, a no, an unknown that is resolved, one that is not.
async fn history(world: &World) {
    let run = world.run("bot").await;
    run.done("pay.send", json!({"amount": 1.25, "to": "bob"})).await;
    run.propose("note.blocked", json!({})).await;
    let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
    world.vote(&ask, "ann", &["ops"], true).await.unwrap();
    world.vote(&ask, "ben", &["ops"], true).await.unwrap();
    world.pass(10);
    run.done("keys.turn", json!({"n": 1})).await;
    let ask = waiting(run.propose("db.drop", json!({"table": "users"})).await).ask.clone();
    world.vote(&ask, "olga", &["operators"], false).await.unwrap();
    let other = world.run("narrow").await;
    let lost = other.allowed("note.read", json!({"id": "1"})).await;
    world.conclude(lost.get().id(), OutcomeKind::Unknown).await.unwrap();
    world.resolve(lost.get().id(), OutcomeKind::Done).await.unwrap();
    let kill = KillChanged { scope: KillScope::All, by: "ann".into(), reason: "drill".into() };
    world.ledger.kill(kill.clone(), world.now()).await.unwrap();
    world.ledger.lift(kill, world.now()).await.unwrap();
    let lost = other.allowed("note.read", json!({"id": "2"})).await;
    world.conclude(lost.get().id(), OutcomeKind::Unknown).await.unwrap();
    run.allowed("note.read", json!({"id": "3"})).await;
    world.ledger.heartbeat(2, world.now()).await.unwrap();
}

fn memory() -> Memory {
    let memory = Memory::new();
    block_on(async { history(&World::open(Box::new(memory.reopen()))).await });
    memory
}

fn export_of(store: &mut dyn Store) -> TempDir {
    let dir = scratch();
    export(store, dir.path(), true, &mut |_| {}).unwrap();
    dir
}

fn entries_of(store: &mut dyn Store) -> Vec<Vec<u8>> {
    store.entries(0, usize::MAX).unwrap().into_iter().map(|(_, bytes)| bytes).collect()
}

fn verify(dir: &Path) -> Result<AuditReport, AuditFinding> {
    verify_export(dir, &auditor(), None)
}

/// A store with these entries, signed by the real key: the forger is the operator.
fn signed(entries: &[Vec<u8>]) -> Memory {
    let mut tree = Frontier::new();
    let mut nodes = Vec::new();
    entries.iter().for_each(|bytes| tree.append(leaf_hash(bytes), &mut nodes));
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap().sign(&signer().key).unwrap();
    let rows =
        entries.iter().map(|bytes| EntryRow { bytes: bytes.as_slice().into(), run: None, action: None });
    let mut memory = Memory::new();
    let batch = Batch { entries: rows.collect(), nodes, checkpoint: Some(checkpoint), ..Batch::default() };
    memory.commit(&batch).unwrap();
    memory
}

#[test]
fn an_export_tells_what_happened() {
    let mut memory = memory();
    let report = verify(export_of(&mut memory).path()).unwrap();
    let told = json!({
        "entries": report.entries, "runs": report.runs, "kinds": report.kinds, "decisions": report.decisions,
        "actions": report.actions, "open": report.open, "payloads": report.payloads, "warnings": report.warnings,
        "first_at": report.first_at, "last_at": report.last_at,
    });
    expect_test::expect![[r#"
        {
          "entries": 29,
          "runs": 2,
          "kinds": {
            "answered": 3,
            "asked": 2,
            "bundle_loaded": 1,
            "concluded": 5,
            "heartbeat": 1,
            "kill": 1,
            "lift": 1,
            "ruled": 8,
            "run_opened": 2,
            "started": 5
          },
          "decisions": {
            "approved": 5,
            "blocked": 1,
            "escalated": 2
          },
          "actions": {
            "done": 3,
            "started": 1,
            "unknown": 1
          },
          "open": [
            {
              "action": "act_9",
              "state": "unknown",
              "position": 25
            },
            {
              "action": "act_10",
              "state": "started",
              "position": 27
            }
          ],
          "payloads": 18,
          "warnings": [],
          "first_at": "2026-01-01T12:00:00.000Z",
          "last_at": "2026-01-01T12:00:00.010Z"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&told).unwrap());
}

/// Each byte once, with a bit that goes round; with `AECL_TEST_LONG` a longer history and each bit.
#[test]
fn every_flipped_byte_is_found() {
    let long = std::env::var_os("AECL_TEST_LONG").is_some();
    let memory = Memory::new();
    block_on(async {
        let world = World::open(Box::new(memory.reopen()));
        if long {
            return history(&world).await;
        }
        let run = world.run("bot").await;
        run.done("note.read", json!({})).await;
        let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
        world.vote(&ask, "ann", &["ops"], false).await.unwrap();
    });
    let dir = export_of(&mut memory.reopen());
    verify(dir.path()).unwrap();
    let (mut flips, mut passed) = (0usize, Vec::new());
    for path in files(dir.path()) {
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for bit in (0..8).filter(|bit| long || at % 8 == *bit) {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(&path, bad).unwrap();
                flips += 1;
                if verify(dir.path()).is_ok() {
                    passed.push(format!("{} byte {at} bit {bit}", path.display()));
                }
            }
        }
        fs::write(&path, good).unwrap();
    }
    // `payloads/through` is a note of the exporter to itself.
    passed.retain(|flip| !flip.contains("payloads/through"));
    assert!(passed.is_empty() && flips > 8_000, "of {flips} flips these passed: {passed:#?}");
    verify(dir.path()).unwrap();
}

#[test]
fn another_payload_is_a_broken_proof_and_what_is_none_cannot_be_read() {
    let dir = export_of(&mut memory());
    let payloads = files(dir.path()).into_iter().filter(|path| path.extension().is_some());
    for path in payloads {
        let good = fs::read_to_string(&path).unwrap();
        let (head, content) = good.split_once("\"content\":\"").unwrap();
        let other = if content.starts_with('e') { 'f' } else { 'e' };
        for (name, text, class) in [
            ("other content", format!("{head}\"content\":\"{other}{}", &content[1..]), "proof"),
            ("no JSON", good.replacen('{', "", 1), "unreadable"),
        ] {
            fs::write(&path, text).unwrap();
            let finding = verify(dir.path()).expect_err(name);
            assert_eq!(json!(finding)["class"], class, "{name} of {good}: {finding}");
        }
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_missing_file_is_found() {
    let dir = export_of(&mut memory());
    for path in files(dir.path()).into_iter().filter(|path| !path.ends_with("through")) {
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        match verify(dir.path()) {
            Err(_) => {}
            Ok(report) => {
                assert_eq!((report.payloads_missing, path.extension().unwrap().to_str()), (1, Some("json")))
            }
        }
        fs::write(&path, good).unwrap();
    }
}

/// Every way in which somebody with a text editor changes entries, and where it shows.
#[test]
fn changed_entries_are_found_where_they_are() {
    let mut memory = memory();
    let good = entries_of(&mut memory);
    let check = |name: &str, expected: Option<u64>, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let dir = export_of(&mut memory.reopen());
        let mut entries = good.clone();
        change(&mut entries);
        let width = good.len() as u16;
        let path = dir.path().join(TilePath::entries(0, width).unwrap().to_string());
        fs::write(path, write_entries(&entries).unwrap()).unwrap();
        let finding = verify(dir.path()).expect_err(name);
        assert_eq!(finding.position, expected, "{name}: {finding}");
    };
    check("changed", Some(5), &|e| e[5] = replaced(&e[5], "ruled", "ruler"));
    check("one space", Some(9), &|e| e[9].push(b' '));
    check("amount", Some(4), &|e| e[4] = replaced(&e[4], "3", "4"));
    check("swapped", Some(7), &|e| e.swap(7, 8));
    check("dropped and filled", Some(3), &|e| {
        e.remove(3);
        e.push(b"{}".to_vec());
    });
    check("inserted, last one cut", Some(6), &|e| {
        e.insert(6, e[2].clone());
        e.pop();
    });
    check("dropped", None, &|e| drop(e.remove(3)));
    check("inserted", None, &|e| e.insert(3, e[3].clone()));
    check("empty", None, &|e| e.clear());
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

/// What an operator who has the key can write, and the entries themselves contradict.
#[test]
fn a_story_that_contradicts_itself_is_found_although_it_is_signed() {
    let good = entries_of(&mut memory());
    let all: Vec<Entry> = good.iter().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect();
    let find = |kind: &str, nth: usize| {
        all.iter().filter(|e| e.event.kind() == kind).nth(nth).unwrap().position as usize
    };
    let mut page = String::new();
    let mut check = |name: &str, change: &dyn Fn(&mut Vec<Value>)| {
        let mut values: Vec<Value> =
            good.iter().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect();
        change(&mut values);
        let bytes: Vec<_> = values.iter().map(|value| serde_json::to_vec(value).unwrap()).collect();
        let mut store = signed(&bytes);
        let auditor = Auditor { payloads: false, ..auditor() };
        let told = verify_store(&mut store, &auditor, None).map_or_else(|f| f.to_string(), |_| "fine".into());
        page.push_str(&format!("{name}: {told}\n"));
    };
    // Numbers again, as an operator would.
    let without = |at: usize| {
        move |v: &mut Vec<Value>| {
            v.remove(at);
            number(v);
        }
    };
    check("nothing", &|_| {});
    check("dropped and numbered again, which only a kept head shows", &without(find("heartbeat", 0)));
    check("position", &|v| v[3]["position"] = json!(4));
    check("version", &|v| v[3]["v"] = json!(2));
    check("kind", &|v| v[3]["kind"] = json!("rumour"));
    check("key twice", &|v| v[3]["at"] = json!("2026-01-01T12:00:00Z"));
    check("back in time", &|v| v[9]["at"] = json!("2026-01-01T11:59:59.999Z"));
    check("number in run", &|v| v[5]["seq"] = json!(9));
    check("no number in run", &|v| drop(v[5].as_object_mut().unwrap().remove("seq")));
    check("no run", &|v| drop(v[5].as_object_mut().unwrap().remove("run")));
    check("run opened twice", &|v| {
        v.insert(4, v[0].clone());
        number(v);
    });
    check("run never opened", &|v| {
        v[0]["run"] = json!("run_other");
    });
    check("a commitment that is no digest", &|v| v[find("concluded", 0)]["output"] = json!("sha256:0"));
    check("sources that are no digest", &|v| {
        let loaded = v.iter_mut().find(|entry| entry["kind"] == "bundle_loaded").unwrap();
        loaded["sources"] = json!("all of it");
    });
    check("decision says block", &|v| v[2]["decision"]["verdict"] = json!("block"));
    check("decision says perhaps", &|v| v[2]["decision"]["verdict"] = json!("perhaps"));
    check("attempt dropped", &without(find("started", 0)));
    check("decision dropped", &without(find("ruled", 0)));
    check("decision and attempt dropped", &|v| {
        v.drain(2..4);
        number(v);
    });
    check("conclusion dropped, so the action is listed as open", &without(find("concluded", 0)));
    check("concluded twice", &|v| {
        v.insert(find("concluded", 0) + 1, v[find("concluded", 0)].clone());
        number(v);
    });
    check("started twice", &|v| {
        v.insert(4, v[3].clone());
        number(v);
    });
    check("allowed twice", &|v| {
        v.splice(5..5, [v[2].clone(), v[3].clone()]);
        number(v);
    });
    check("outcome", &|v| v[find("concluded", 0)]["outcome"] = json!("fine"));
    let resolved = find("concluded", 3);
    check("resolved by nobody", &|v| drop(v[resolved].as_object_mut().unwrap().remove("resolved_by")));
    check("question dropped", &without(find("asked", 0)));
    check("question answered before it is asked", &|v| {
        v[find("asked", 0)]["ask"]["state"] = json!("approved")
    });
    let other = json!(format!("sha256:{}", "00".repeat(32)));
    check("question about something else", &|v| v[find("asked", 0)]["ask"]["digest"] = other.clone());
    check("one yes of two dropped", &without(find("answered", 1)));
    check("one person twice", &|v| v[find("answered", 1)]["vote"]["person"] = json!("ann"));
    check("a stranger's yes", &|v| v[find("answered", 1)]["vote"]["groups"] = json!(["marketing"]));
    check("the proposer's yes", &|v| v[find("answered", 1)]["vote"]["person"] = json!("bot"));
    check("a no made a yes", &|v| {
        v[find("answered", 2)]["vote"]["yes"] = json!(true);
    });
    let used = all
        .iter()
        .position(|e| matches!(&e.event, Event::Ruled(r) if r.decision.approval.is_some()))
        .unwrap();
    check("another digest", &|v| v[used]["digest"] = other.clone());
    check("used after its time", &|v| v[used]["now"] = json!("2027-01-01T00:00:00.000Z"));
    check("needs more people", &|v| v[used]["decision"]["need"]["requirements"][0]["count"] = json!(3));
    check("an approval that nobody asked for", &|v| v[used]["decision"]["approval"] = json!("apr_x"));
    check("yes used twice", &|v| {
        let mut again = [v[used].clone(), v[used + 1].clone()];
        again[0]["action"] = json!("act_again");
        again[1]["action"] = json!("act_again");
        v.splice(used + 3..used + 3, again);
        number(v);
    });
    expect_test::expect_file!["pages/stories.txt"].assert_eq(&page);
}

/// Numbers the entries again, in the ledger and in their runs.
fn number(values: &mut [Value]) {
    let mut runs = std::collections::BTreeMap::new();
    for (position, value) in values.iter_mut().enumerate() {
        value["position"] = json!(position);
        if let Some(run) = value["run"].as_str() {
            let next: &mut u64 = runs.entry(run.to_owned()).or_default();
            value["seq"] = json!(*next);
            *next += 1;
        }
    }
}

/// What an auditor finds in these entries after a change, signed anew.
fn found(good: &[Value], change: &dyn Fn(&mut Vec<Value>)) -> String {
    let mut values = good.to_vec();
    change(&mut values);
    let bytes: Vec<Vec<u8>> = values.iter().map(|v| serde_json::to_vec(v).unwrap()).collect();
    let read = |b: &Vec<u8>| serde_json::to_vec(&serde_json::from_slice::<Entry>(b).unwrap()).unwrap();
    let auditor = Auditor { payloads: false, ..auditor() };
    let found = verify_store(&mut signed(&bytes.iter().map(read).collect::<Vec<_>>()), &auditor, None);
    found.map_or_else(|finding| finding.what, |_| "fine".into())
}

#[test]
fn what_is_withdrawn_was_asked_for_and_is_over() {
    let memory = Memory::new();
    block_on(async {
        let world = World::open(Box::new(memory.reopen()));
        let run = world.run("bot").await;
        let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
        waiting(run.propose("keys.turn", json!({"n": 2})).await);
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        world.ledger.close_run(run.id().clone(), "enough".into(), "ann".into(), world.now()).await.unwrap();
        assert_eq!(world.kinds().await.last_chunk(), Some(&["run_closed", "withdrawn", "withdrawn"]));
    });
    let good: Vec<Value> =
        entries_of(&mut memory.reopen()).iter().map(|b| serde_json::from_slice(b).unwrap()).collect();
    let of = |kind: &str| good.iter().position(|v| v["kind"] == kind).unwrap();
    let (asked, answered, withdrawn) = (of("asked"), of("answered"), of("withdrawn"));
    let id = good[asked]["ask"]["approval"].as_str().unwrap();
    assert_eq!(good[withdrawn]["approval"], id);
    let again = |kind: usize| {
        let entry = good[kind].clone();
        move |v: &mut Vec<Value>| {
            v.push(entry.clone());
            number(v);
        }
    };
    assert_eq!(found(&good, &|_| {}), "fine");
    let check = |what: &str, change: &dyn Fn(&mut Vec<Value>)| assert_eq!(found(&good, change), what);
    check(&format!("it withdraws `{id}`, which nobody asks"), &again(withdrawn));
    check(&format!("it answers `{id}`, which nobody asks"), &again(answered));
    check(&format!("the approval `{id}` is over, and is asked for again"), &again(asked));
    check(&format!("it withdraws `{id}` about another action"), &|v| v[withdrawn]["action"] = json!("act_x"));
}

#[test]
fn a_yes_to_a_plan_that_reaches_too_far_is_found() {
    let memory = Memory::new();
    block_on(async {
        let world = World::open(Box::new(memory.reopen()));
        let turn = |n: u32| json!({"action": "keys.turn", "arguments": {"/n": {"equals": n}}});
        let (run, ask) = world.planned(json!([turn(1), turn(2)])).await;
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        world.vote(&ask, "ben", &["ops"], true).await.unwrap();
        run.done("keys.turn", json!({"n": 1})).await;
        run.done("keys.turn", json!({"n": 2})).await;
        world.vote(&ask, "ann", &["ops"], false).await.unwrap();
    });
    let good: Vec<Value> =
        entries_of(&mut memory.reopen()).iter().map(|b| serde_json::from_slice(b).unwrap()).collect();
    let first = good.iter().position(|v| v["kind"] == "ruled").unwrap();
    let (second, asked) = (first + 3, good.iter().position(|v| v["kind"] == "asked").unwrap());
    let check = |change: &dyn Fn(&mut Vec<Value>)| found(&good, change);
    assert_eq!(check(&|_| {}), "fine");
    let says =
        |what: &str| format!("the approval `{}` {what}", good[asked]["ask"]["approval"].as_str().unwrap());
    let other = json!(format!("sha256:{}", "00".repeat(32)));
    for (what, change) in [
        ("is used more often than the step says", &|v: &mut Vec<Value>| {
            v[second]["decision"]["plan_step"] = json!(0)
        }),
        ("is used for a step after a later one", &|v: &mut Vec<Value>| {
            v[first]["decision"]["plan_step"] = json!(1);
            v[second]["decision"]["plan_step"] = json!(0);
        }),
        ("is for no plan with such a step", &|v: &mut Vec<Value>| {
            v[first]["decision"]["plan_step"] = json!(2)
        }),
        ("was given for another definition", &|v: &mut Vec<Value>| v[first]["definition"] = other.clone()),
        ("is expired", &|v: &mut Vec<Value>| v[first]["now"] = json!("2027-01-01T00:00:00.000Z")),
        ("was not given by all who had to agree", &|v: &mut Vec<Value>| {
            v[first]["decision"]["need"]["requirements"][0]["count"] = json!(3);
        }),
        ("is for the plan of another run", &|v: &mut Vec<Value>| {
            v[first]["principal"]["run"] = json!("run_x")
        }),
        ("was refused, withdrawn, expired, or was never asked for", &|v: &mut Vec<Value>| {
            v[first]["decision"]["approval"] = json!("apr_x");
        }),
    ] as [(&str, &dyn Fn(&mut Vec<Value>)); 8]
    {
        let found = check(change);
        assert!(
            found.ends_with(what) && (found == says(what) || what.starts_with("was refused")),
            "{what}: {found}"
        );
    }
    // A yes to a plan that is passed off as one to a single call.
    let found = check(&|v| drop(v[first]["decision"].as_object_mut().unwrap().remove("plan_step")));
    assert_eq!(found, says("was given for something else"));
}

#[test]
fn a_cut_tail_and_an_older_copy_show_against_a_kept_head() {
    let dir = scratch();
    let mut memory = Memory::new();
    let world = World::open(Box::new(memory.reopen()));
    block_on(history(&world));
    export(&mut memory, dir.path(), true, &mut |_| {}).unwrap();
    let old = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    block_on(history(&world));
    export(&mut memory, dir.path(), true, &mut |_| {}).unwrap();
    let new = fs::read_to_string(dir.path().join("checkpoint")).unwrap();

    let check = |kept: &str| verify_export(dir.path(), &auditor(), Some(kept));
    assert_eq!(check(&old).unwrap().continues, Some(29));
    assert_eq!(check(&new).unwrap().continues, Some(57));
    // The older head is put back. It is good by itself; who has kept the newer one sees it.
    fs::write(dir.path().join("checkpoint"), &old).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.entries, report.warnings.len()), (29, 1));
    let finding = check(&new).unwrap_err();
    assert_eq!(
        finding.to_string(),
        "entry 29: the ledger ends at 29 entries, but the kept head covers 57: its tail was cut, or an older copy was put back"
    );
    // A kept head of somebody else proves nothing.
    let foreign = Checkpoint::new(ORIGIN, 0, Frontier::new().root())
        .unwrap()
        .sign(&SigningKey::from_bytes(&[9; 32]))
        .unwrap();
    assert!(check(&foreign).unwrap_err().to_string().starts_with("the kept head does not hold"));
    assert!(check(&old.replace("29", "28")).is_err());
}

#[test]
fn a_fork_shows_against_a_kept_head() {
    let mut memory = memory();
    let good = entries_of(&mut memory);
    let kept = memory.head().unwrap().checkpoint.unwrap();
    let mut rows: Vec<_> = good.iter().take(good.len() - 1).cloned().collect();
    let last: Entry = serde_json::from_slice(good.last().unwrap()).unwrap();
    for n in 0..5 {
        let position = last.position + n;
        let event = Event::Heartbeat(Heartbeat { in_flight: n });
        rows.push(
            serde_json::to_vec(&Entry { position, run: None, seq: None, event, ..last.clone() }).unwrap(),
        );
    }
    let mut fork = signed(&rows);
    let auditor = Auditor { payloads: false, ..auditor() };
    verify_store(&mut fork, &auditor, None).unwrap();
    let finding = verify_store(&mut fork, &auditor, Some(&kept)).unwrap_err();
    assert!(finding.what.contains("history was written anew"), "{finding}");
}

#[test]
fn only_the_pinned_name_and_key_count() {
    let dir = export_of(&mut memory());
    let key = |origin: &str, bytes: [u8; 32]| {
        VerifierKey::new(origin, SigningKey::from_bytes(&bytes).verifying_key()).unwrap()
    };
    for auditor in [
        Auditor::new(ORIGIN, key(ORIGIN, [8; 32])),
        Auditor::new("ledger.test", key(ORIGIN, [7; 32])),
        Auditor::new(ORIGIN, key("ledger.test", [7; 32])),
    ] {
        assert!(
            verify_export(dir.path(), &auditor, None).unwrap_err().what.contains("the head does not hold")
        );
    }
}

#[test]
fn exporting_again_only_adds() {
    let dir = scratch();
    let mut memory = Memory::new();
    let world = World::open(Box::new(memory.reopen()));
    let error = export(&mut memory, dir.path(), false, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the store cannot be exported: there is no signed head yet");
    let mut before = Vec::<(PathBuf, Vec<u8>)>::new();
    for round in 0..12 {
        block_on(history(&world));
        let mut seen = Vec::new();
        let done = export(&mut memory, dir.path(), round > 3, &mut |p| seen.push(p)).unwrap();
        assert_eq!(
            (done.entries, done.before),
            (round * 28 + 29, if round == 0 { 0 } else { round * 28 + 1 })
        );
        assert!(
            seen.windows(2).all(|w| w[0].done < w[1].done) && seen.last().is_some_and(|p| p.done == p.total)
        );
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.entries, report.payloads_missing), (done.entries, 0));
        let now: Vec<_> =
            files(dir.path()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        for (path, bytes) in &before {
            let changes = path.ends_with("checkpoint") || path.ends_with("through");
            assert!(changes || now.contains(&(path.clone(), bytes.clone())), "{}", path.display());
        }
        before = now;
        let again = export(&mut memory, dir.path(), round > 3, &mut |_| {}).unwrap();
        assert_eq!((again.files, again.payloads), (0, 0));
    }
    assert!(dir.path().join("tile/entries/000").exists() && dir.path().join("tile/0/000").exists());
    assert!(!files(dir.path()).iter().any(|path| path.extension().is_some_and(|e| e == "draft")));
}

#[test]
fn an_export_is_not_written_over_another() {
    let dir = export_of(&mut memory());
    let another = Memory::new();
    block_on(async {
        let world = World::open(Box::new(another.reopen()));
        world.names_from(500);
        history(&world).await;
        history(&world).await;
    });
    let before: Vec<_> = files(dir.path()).into_iter().map(|path| fs::read(path).unwrap()).collect();
    let error = export(&mut another.reopen(), dir.path(), true, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("is the head of another history"), "{error}");
    // Without the head nobody knows what it covered, but what is there stays.
    fs::remove_file(dir.path().join("checkpoint")).unwrap();
    fs::write(dir.path().join("tile/0/000.p/57"), b"somebody else's").unwrap();
    let error = export(&mut another.reopen(), dir.path(), false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("is there already with other content"), "{error}");
    fs::write(dir.path().join("checkpoint"), &before[0]).unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, 29);
}

#[test]
fn the_database_is_verified_while_a_server_has_it_open() {
    let dir = scratch();
    let world = World::open(on_disk(dir.path()));
    block_on(async {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writing = {
            let (world, stop) = (world.clone(), stop.clone());
            tokio::spawn(async move {
                // A history spends, and there is a budget; how long the verifications take decides nothing.
                for round in 0.. {
                    match round {
                        _ if stop.load(std::sync::atomic::Ordering::SeqCst) => break,
                        0..40 => history(&world).await,
                        _ => {
                            world.ledger.heartbeat(1, world.now()).await.unwrap();
                        }
                    }
                }
            })
        };
        let (mut entries, mut rounds) = (0, 0);
        let path = dir.path().to_owned();
        while entries == 0 || rounds < 20 {
            rounds += 1;
            let path = path.clone();
            let report = tokio::task::spawn_blocking(move || verify_data(&*file(&path), &auditor(), None))
                .await
                .unwrap();
            match report {
                Ok(report) => entries = report.entries,
                Err(finding) => assert_eq!(finding.what, "there is no signed head"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        writing.await.unwrap();
    });
    verify_data(&*file(dir.path()), &auditor(), None).unwrap();
}

#[test]
fn a_changed_database_is_found() {
    let check = |sql: &str, position: Option<u64>, expected: &str| {
        let dir = scratch();
        let world = World::open(on_disk(dir.path()));
        block_on(history(&world));
        world.ledger.close();
        let raw = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        raw.execute_batch("DROP TRIGGER entries_stay; DROP TRIGGER entries_remain; DROP TRIGGER nodes_stay; DROP TRIGGER nodes_remain").unwrap();
        assert_ne!(raw.execute(sql, ()).unwrap(), 0);
        drop(raw);
        let wrong = verify_data(&*file(dir.path()), &Auditor { facts: false, ..auditor() }, None).err();
        if wrong.is_none() {
            // What is derived from the entries is compared once the tables are as they were made.
            let guards = verify_data(&*file(dir.path()), &auditor(), None).unwrap_err();
            assert!(guards.what.contains("the trigger `nodes_stay` is missing"), "{guards}");
            assert_eq!(file(dir.path()).mend_tables().unwrap().len(), 4);
        }
        let finding = verify_data(&*file(dir.path()), &auditor(), None).expect_err(sql);
        assert_eq!(finding.position, position, "{sql}: {finding}");
        assert!(finding.what.contains(expected), "{sql}: {finding}");
    };
    check(
        "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"agents\":2', '\"agents\":3') AS BLOB) WHERE position = 1",
        Some(1),
        "the entries lead to the root",
    );
    check("DELETE FROM entries WHERE position = 7", Some(7), "it is missing");
    check(
        "UPDATE entries SET bytes = x'00' WHERE position = 7",
        Some(7),
        "it is not as the writer writes it",
    );
    check("UPDATE nodes SET hash = zeroblob(32) WHERE level = 4", None, "the stored nodes of the tree");
    check(
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 2",
        Some(4),
        "the stored node 2 of level 1 is not the one of the entries below it",
    );
    check(
        "UPDATE entries SET run = NULL WHERE position = 7",
        None,
        "the entry 7 is found under another run or action than its own",
    );
    check("UPDATE head SET checkpoint = NULL", None, "there is no signed head");
    check(
        "UPDATE head SET checkpoint = replace(checkpoint, char(10), char(10) || 'x')",
        None,
        "the head does not hold",
    );
    check(
        "UPDATE payloads SET content = x'7b7d' WHERE subject = 'bundle'",
        Some(1),
        "is not what was committed to",
    );
}

#[test]
fn what_is_taken_out_or_put_in_beside_the_record_is_found() {
    let check = |sql: &str, position: Option<u64>, expected: &str| {
        let dir = scratch();
        let world = World::open(on_disk(dir.path()));
        block_on(history(&world));
        world.ledger.close();
        assert_ne!(verify_payloads(&mut *file(dir.path()).read().unwrap()).unwrap(), 0);
        let raw = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        assert_ne!(raw.execute(sql, ()).unwrap(), 0);
        drop(raw);
        let mut store = file(dir.path()).read().unwrap();
        let looked = verify_payloads(&mut *store).expect_err(sql);
        for finding in [looked, verify_data(&*file(dir.path()), &auditor(), None).expect_err(sql)] {
            assert_eq!(finding.position, position, "{sql}: {finding}");
            assert!(finding.what.contains(expected), "{sql}: {finding}");
        }
        // Facts that stand beside the entries are what payloads say.
        verify_data(&*file(dir.path()), &Auditor { payloads: false, facts: false, ..auditor() }, None)
            .unwrap();
        // Whoever is handed an export without payloads is not promised any.
        let out = scratch();
        export(&mut *store, out.path(), false, &mut |_| {}).unwrap();
        verify(out.path()).unwrap();
    };
    check("DELETE FROM payloads", Some(0), "its payload is not there and was not erased on record");
    check("DELETE FROM payloads WHERE subject = 'bundle'", Some(1), "and was not erased on record");
    check("UPDATE payloads SET subject = 'x' WHERE subject = 'bundle'", Some(1), "belongs to `bundle`");
    check("UPDATE payloads SET subject = 'x' WHERE subject <> 'bundle'", Some(0), "is filed under `x`");
    check(
        "INSERT INTO payloads VALUES (zeroblob(32), zeroblob(32), x'7b7d', 'bundle')",
        None,
        "1 payloads are committed to by no entry",
    );
}

#[test]
fn silence_and_faults_are_worth_a_warning() {
    let world = World::memory();
    block_on(async {
        world.ledger.heartbeat(0, world.now()).await.unwrap();
        world.pass(601_000);
        world.ledger.heartbeat(0, world.now()).await.unwrap();
        world.pass(-5_000);
        world.ledger.heartbeat(0, world.now()).await.unwrap();
        let report =
            world.ledger.read(|store| Ok(verify_store(store, &auditor(), None))).await.unwrap().unwrap();
        let told: Vec<_> = report.warnings.iter().map(|w| format!("{}: {}", w.position, w.what)).collect();
        let back = Timestamp(NOON + 596_000);
        assert_eq!(
            told,
            [
                "1: nothing was recorded for 601 s before it, no heartbeat either".to_owned(),
                format!(
                    "2: fault `clock_backward`: the clock says {back}, but {} is on record already",
                    Timestamp(NOON + 601_000)
                ),
            ]
        );
    });
}
