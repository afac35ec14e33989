//! What was acknowledged is there, what was not acknowledged did not happen, whatever the disk or the
//! process does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::decide::Ruling;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::store::{Faults, Faulty, InjectedFault, Memory, Store, StoreCall};
use aecl_ledger::{Ledger, LedgerError, Receipt, Signer, verify_facts, verify_store};
use aecl_proof::note::SigningKey;
use aecl_proof::{Hash, leaf_hash};
use common::*;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn faulty() -> (Memory, World, Faults) {
    let memory = Memory::new();
    let (store, faults) = Faulty::new(Box::new(memory.reopen()));
    (memory, World::open(Box::new(store)), faults)
}

/// Entries that were acknowledged: position and leaf.
type Acknowledged = Vec<(u64, Hash)>;

fn note(acknowledged: &mut Acknowledged, receipt: &Receipt) {
    acknowledged.push((receipt.position, receipt.leaf));
}

/// A bit of everything, until the ledger says no.
async fn work(world: &World, acknowledged: &mut Acknowledged) -> Result<(), LedgerError> {
    for turn in 0..6 {
        let run = world.run_named("bot", &format!("run_{}", world.number())).await?;
        let ruling = run.submit(run.proposal("pay.send", r#"{"amount":1}"#)).await?;
        let permit = allowed(ruling);
        note(acknowledged, permit.receipt());
        let outcome = if turn % 2 == 0 { OutcomeKind::Done } else { OutcomeKind::Unknown };
        note(acknowledged, world.conclude(permit.get().id(), outcome).await?.receipt());
        if let (Ruling::Waiting(wait), receipt) = run.submit(run.proposal("db.drop", "{}")).await?.split() {
            note(acknowledged, &receipt);
            world.vote(&wait.ask, "olga", &["operators"], true).await?;
        }
        if let (Ruling::Allowed(_), receipt) = run.submit(run.proposal("db.drop", "{}")).await?.split() {
            note(acknowledged, &receipt);
        }
    }
    Ok(())
}

fn check(store: &mut dyn Store, acknowledged: &Acknowledged) {
    let entries = store.entries(0, usize::MAX).unwrap();
    for (position, leaf) in acknowledged {
        assert_eq!(leaf_hash(&entries[*position as usize].1), *leaf, "entry {position} was acknowledged");
    }
    if !entries.is_empty() {
        audit_store(store);
    }
}

#[test]
fn a_commit_that_fails_acknowledges_nothing_and_ends_everything() {
    for fault in [InjectedFault::Fail, InjectedFault::Full, InjectedFault::Lie] {
        let (mut memory, world, faults) = faulty();
        block_on(async {
            let run = world.run("bot").await;
            run.done("note.read", json!({})).await;
            let size = memory.head().unwrap().size;
            // One commit holds the writer until many wait for the next one, which fails.
            let nth = faults.made(StoreCall::Commit);
            faults.plan(StoreCall::Commit, nth + 1, InjectedFault::Block);
            faults.plan(StoreCall::Commit, nth + 2, fault);
            let first = tokio::spawn({
                let run = run.clone();
                async move { run.propose("note.read", json!({"id": "first"})).await }
            });
            tokio::task::block_in_place(|| assert!(faults.wait_blocked(1, Duration::from_secs(9))));
            let many: Vec<_> = (0..20)
                .map(|n| {
                    let run = run.clone();
                    tokio::spawn(async move {
                        run.submit(run.proposal("pay.send", &format!("{{\"amount\":{n}}}"))).await
                    })
                })
                .collect();
            while many.iter().any(|task| !task.is_finished()) && faults.made(StoreCall::Commit) == nth + 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                faults.release();
            }
            allowed(first.await.unwrap());
            for task in many {
                let error = task.await.unwrap().expect_err("nothing of the group is acknowledged");
                assert!(matches!(error, LedgerError::Stopped(_)), "{error}");
            }
            let error = run.submit(run.proposal("note.read", "{}")).await.unwrap_err();
            assert_eq!(error.code().as_str(), "ledger_unavailable");
            let why = world.ledger.stopped().expect("the reason is known");
            let expected = if fault == InjectedFault::Full { "the disk is full" } else { "planned fault" };
            assert!(why.contains(expected), "{why}");
            assert_eq!(faults.made(StoreCall::Commit), nth + 2, "nothing is tried again");
            let after = memory.head().unwrap().size;
            match fault {
                InjectedFault::Lie => assert!(after > size + 2),
                InjectedFault::Fail
                | InjectedFault::Full
                | InjectedFault::Block
                | InjectedFault::BlockAndFail => assert_eq!(after, size + 2),
            }
            check(&mut memory, &Vec::new());
            // A restart reads what is really there, and goes on.
            let again = World::open(Box::new(memory.reopen()));
            again.names_from(1000);
            again.run("bot").await.done("note.read", json!({})).await;
            audit(&again).await;
        });
    }
}

/// While a sheet is flushed the next one is written, on what the first leaves behind. Its decisions are good
/// only if the first becomes durable, so nobody hears of them before.
#[test]
fn what_rests_on_something_that_is_not_durable_is_not_acknowledged() {
    for fault in [InjectedFault::Block, InjectedFault::BlockAndFail] {
        let (mut memory, world, faults) = faulty();
        block_on(async {
            let run = world.run("bot").await;
            run.done("note.read", json!({})).await;
            let size = memory.head().unwrap().size;
            faults.next(StoreCall::Commit, fault);
            let pay = |to: &str| {
                let (run, arguments) = (run.clone(), format!(r#"{{"amount":60,"to":"{to}"}}"#));
                tokio::spawn(async move { run.submit(run.proposal("pay.send", &arguments)).await })
            };
            let first = pay("bob");
            tokio::task::block_in_place(|| assert!(faults.wait_blocked(1, Duration::from_secs(9))));
            // Both would not fit into the budget. The second is refused because of the first, if that is true.
            let second = pay("eve");
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!first.is_finished() && !second.is_finished());
            faults.release();
            let (first, second) = (first.await.unwrap(), second.await.unwrap());
            if fault == InjectedFault::Block {
                allowed(first.unwrap());
                assert_eq!(code(second.unwrap()), "budget_exceeded");
                assert_eq!(memory.head().unwrap().size, size + 3);
            } else {
                assert!(matches!(first, Err(LedgerError::Stopped(_))), "{first:?}");
                assert!(matches!(second, Err(LedgerError::Stopped(_))), "{second:?}");
                assert_eq!(memory.head().unwrap().size, size);
            }
            check(&mut memory, &Vec::new());
        });
    }
}

/// Every commit of a history fails once in each way.
#[test]
fn whichever_commit_fails_what_was_acknowledged_is_there() {
    let commits = {
        let (_, world, faults) = faulty();
        block_on(work(&world, &mut Vec::new())).unwrap();
        faults.made(StoreCall::Commit)
    };
    assert!(commits > 25, "{commits}");
    for fault in [InjectedFault::Fail, InjectedFault::Lie] {
        for nth in 1..=commits {
            let (mut memory, world, faults) = faulty();
            faults.plan(StoreCall::Commit, nth, fault);
            let mut acknowledged = Vec::new();
            block_on(work(&world, &mut acknowledged)).unwrap_err();
            check(&mut memory, &acknowledged);
            if nth % 7 != 0 {
                continue;
            }
            block_on(async {
                let again = World::open(Box::new(memory.reopen()));
                again.names_from(1000 * nth);
                work(&again, &mut acknowledged).await.unwrap();
            });
            check(&mut memory, &acknowledged);
        }
    }
}

#[test]
fn a_fact_that_cannot_be_read_is_no_fact_that_is_not_there() {
    let (mut memory, world, faults) = faulty();
    block_on(async {
        let run = world.run("bot").await;
        faults.next(StoreCall::Load, InjectedFault::Fail);
        let error = run.submit(run.proposal("note.read", "{}")).await.unwrap_err();
        assert!(matches!(error, LedgerError::Stopped(_)), "{error}");
        assert!(world.ledger.stopped().is_some());
        assert_eq!(memory.head().unwrap().size, 1);
    });
}

#[test]
fn a_full_queue_refuses_and_drops_nothing() {
    let (mut memory, world, faults) = faulty();
    block_on(async {
        let run = world.run("bot").await;
        let happened = run.allowed("note.read", json!({"id": "before"})).await.get().id().clone();
        let before = memory.head().unwrap().size;
        faults.next(StoreCall::Commit, InjectedFault::Block);
        let first = tokio::spawn({
            let run = run.clone();
            async move { run.submit(run.proposal("note.read", "{}")).await }
        });
        tokio::task::block_in_place(|| assert!(faults.wait_blocked(1, Duration::from_secs(9))));
        let beat = |n| {
            let world = world.clone();
            tokio::spawn(async move { world.ledger.heartbeat(n, world.now()).await.map(drop) })
        };
        let beats: Vec<_> = (0..9000).map(beat).collect();
        // Those that are refused are refused at once, while the writer still hangs. Some are decided already
        // and wait for the next flush.
        while beats.iter().filter(|beat| beat.is_finished()).count() < 9000 - 8192 - 256 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What has happened already is not told to come again.
        let concluded = tokio::spawn({
            let world = world.clone();
            async move { world.conclude(&happened, OutcomeKind::Done).await }
        });
        tokio::task::yield_now().await;
        faults.release();
        concluded.await.unwrap().unwrap();
        let (mut taken, mut refused) = (0, 0);
        for beat in beats {
            match beat.await.unwrap() {
                Ok(()) => taken += 1,
                Err(LedgerError::Overloaded(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        allowed(first.await.unwrap().unwrap());
        assert!((9000 - 8192 - 256..=9000 - 8192).contains(&refused), "{refused}");
        // The first action is two entries, and the conclusion is one.
        assert_eq!((taken + refused, memory.head().unwrap().size), (9000, before + 3 + taken));
    });
}

#[test]
fn a_caller_that_has_gone_is_no_error() {
    let (mut memory, world, faults) = faulty();
    block_on(async {
        let run = world.run("bot").await;
        faults.next(StoreCall::Commit, InjectedFault::Block);
        let gone = tokio::spawn({
            let run = run.clone();
            async move { run.propose("note.read", json!({})).await }
        });
        tokio::task::block_in_place(|| assert!(faults.wait_blocked(1, Duration::from_secs(9))));
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        faults.release();
        run.done("note.read", json!({"id": "next"})).await;
        // It is on record that it may have happened, so somebody has to look.
        assert_eq!(world.ledger.in_flight().len(), 1);
        check(&mut memory, &Vec::new());
    });
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = scratch();
    let open = || World::open(on_disk(dir.path()));
    let (ask, underway, head) = {
        let world = open();
        let kept = block_on(async {
            let run = world.run_named("bot", "run_a").await.unwrap();
            run.done("pay.send", json!({"amount": 60})).await;
            allowed(run.keyed("k", "pay.send", json!({"amount": 30})).await);
            let underway = world.ledger.in_flight().remove(0);
            let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
            world.vote(&ask, "ann", &["ops"], true).await.unwrap();
            (ask, underway, world.ledger.head().await.unwrap())
        });
        world.ledger.close();
        kept
    };
    let world = open();
    block_on(async {
        world.names_from(100);
        world.pass(1000);
        assert_eq!(world.ledger.head().await.unwrap(), head);
        let run = world.known_run("bot", "run_a");
        assert_eq!(code(run.propose("pay.send", json!({"amount": 11})).await), "budget_exceeded");
        assert!(matches!(run.keyed("k", "pay.send", json!({"amount": 30})).await.get(), Ruling::Replayed(_)));
        world.vote(&ask, "ben", &["ops"], true).await.unwrap();
        run.done("keys.turn", json!({"n": 1})).await;
        world.conclude(&underway, OutcomeKind::Failed).await.unwrap();
        run.done("pay.send", json!({"amount": 40})).await;
        let entries = world.ledger.entries_of_run(run.id(), None, 99).await.unwrap();
        assert!(entries.iter().enumerate().all(|(n, entry)| entry.seq == Some(n as u64)));
        audit(&world).await;
    });
}

#[test]
fn time_does_not_go_back_across_a_restart() {
    let memory = Memory::new();
    block_on(World::open(Box::new(memory.reopen())).run_named("bot", "run_a")).unwrap();
    let world = World::open(Box::new(memory.reopen()));
    block_on(async {
        world.names_from(100);
        world.pass(-5_000);
        world.known_run("bot", "run_a").done("note.read", json!({})).await;
        assert_eq!(
            world.kinds().await,
            ["run_opened", "fault", "bundle_loaded", "ruled", "started", "concluded"]
        );
        audit(&world).await;
    });
}

#[test]
fn another_key_or_name_does_not_open_it() {
    let memory = Memory::new();
    block_on(World::open(Box::new(memory.reopen())).run("bot"));
    let open = |origin: &str, key: [u8; 32]| {
        let signer = Signer { origin: origin.into(), key: SigningKey::from_bytes(&key) };
        Ledger::open(Box::new(memory.reopen()), signer).map(drop)
    };
    open(ORIGIN, [7; 32]).unwrap();
    for error in [open(ORIGIN, [8; 32]).unwrap_err(), open("ledger.test", [7; 32]).unwrap_err()] {
        assert!(matches!(error, LedgerError::Tampered(_)), "{error}");
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = scratch();
    let world = World::open(on_disk(dir.path()));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hammer", "--nocapture"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    assert!(!child.status.success());
    let told = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(told.contains(&format!("in use by process {}", std::process::id())), "{told}");
    block_on(world.run("bot"));
}

const CHILD: &str = "AECL_TEST_LEDGER_CHILD";

/// Runs as a process of its own: works until it is killed, and says what was acknowledged.
#[test]
fn hammer() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = file(Path::new(&dir)).write(None).map_err(|error| panic!("{error}")).unwrap();
    let world = World::open(store);
    block_on(async {
        world.names_from(world.size().await * 100 + 1);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move {
                    let say = |receipt: &Receipt| {
                        // One write, so that lines are whole or not there.
                        let line = format!("\nack {} {}\n", receipt.position, receipt.leaf);
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    };
                    while world.ledger.stopped().is_none() {
                        let run = world.run("bot").await;
                        for _ in 0..4 {
                            let ruling =
                                run.submit(run.proposal("pay.send", r#"{"amount":0.01}"#)).await.unwrap();
                            let Ruling::Allowed(permit) = ruling.split().0 else { break };
                            say(permit.receipt());
                            let concluded =
                                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
                            say(concluded.receipt());
                        }
                        if let (Ruling::Waiting(wait), receipt) =
                            run.propose("db.drop", json!({})).await.split()
                        {
                            say(&receipt);
                            world.vote(&wait.ask, "olga", &["operators"], true).await.unwrap();
                            say(allowed(run.propose("db.drop", json!({})).await).receipt());
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds: usize = std::env::var("AECL_TEST_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let mut dir = TempDir::new().unwrap();
    let (mut acknowledged, mut kept) = (Vec::new(), None::<String>);
    for round in 0..rounds {
        // A ledger of its own for every ten crashes: each is verified from the start.
        if round % 10 == 0 {
            (dir, acknowledged, kept) = (TempDir::new().unwrap(), Vec::new(), None);
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hammer", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut told = |line: String| {
            let mut words = line.strip_prefix("ack ")?.split(' ');
            let ack = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<Hash>().ok()?);
            acknowledged.push(ack);
            Some(())
        };
        let wanted = 1 + round * 7 % 60;
        let mut seen = 0;
        while seen < wanted {
            seen += usize::from(told(lines.next().expect("the child works")).is_some());
        }
        child.kill().unwrap();
        // What it has said before it died counts, too.
        lines.for_each(|line| {
            told(line);
        });
        child.wait().unwrap();

        let mut store = on_disk(dir.path());
        let report = verify_store(&mut *store, &auditor(), kept.as_deref()).unwrap();
        let entries = store.entries(0, usize::MAX).unwrap();
        for (position, leaf) in &acknowledged {
            assert_eq!(leaf_hash(&entries[*position as usize].1), *leaf, "round {round}, entry {position}");
        }
        let facts = verify_facts(&mut *store).unwrap();
        assert!(facts.differs.is_empty(), "round {round}: {:#?}", facts.differs);
        assert!(report.entries as usize >= acknowledged.len());
        kept = store.head().unwrap().checkpoint;
    }
}

#[test]
fn a_full_disk_stops_everything_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let mount = |options: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    };
    if !mount("size=2m") {
        println!("skipped: a small file system cannot be mounted here (not root?)");
        return;
    }
    struct Unmount<'a>(&'a Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            drop(Command::new("umount").arg(self.0).status());
        }
    }
    let _unmount = Unmount(dir.path());
    let data = dir.path().join("data");
    let mut acknowledged = Vec::new();
    let world = World::open(on_disk(&data));
    block_on(async {
        let error = loop {
            if let Err(error) = work(&world, &mut acknowledged).await {
                break error;
            }
            world.pass(86_400_000);
        };
        assert!(error.to_string().contains("full"), "{error}");
        assert!(world.ledger.stopped().is_some() && acknowledged.len() > 20, "{}", acknowledged.len());
        assert!(world.run_named("bot", "run_more").await.is_err());
    });
    let world_now = world.now();
    world.ledger.close();
    assert!(mount("remount,size=64m"));
    let mut store = on_disk(&data);
    check(&mut *store, &acknowledged);
    let again = World::open(store);
    again.names_from(100_000);
    again.pass(world_now.0 - again.now().0);
    block_on(async {
        let done = again.run("bot").await.done("note.read", json!({})).await;
        assert_eq!(again.ledger.action(&done).await.unwrap().unwrap().state, ActionState::Done);
    });
}
