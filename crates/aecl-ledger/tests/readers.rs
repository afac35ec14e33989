//! Who looks waits for nobody who lists, and never sees what is over.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::base::id::RunId;
use aecl_kernel::record::event::KillChanged;
use aecl_kernel::record::facts::KillScope;
use aecl_ledger::store::{Faulty, Memory, Store};
use aecl_ledger::{Export, LedgerError, export};
use common::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks for a run and whether it is stopped until it is over.
async fn ask_on(world: World, scope: KillScope, over: Arc<AtomicBool>) {
    let KillScope::Run(run) = &scope else { panic!("{scope}") };
    while !over.load(Ordering::Relaxed) {
        world.ledger.run_now(run).await.unwrap();
        assert_eq!(world.ledger.goal(run).await.unwrap().unwrap().text, format!("what {run} is for"));
        world.ledger.killed(std::slice::from_ref(&scope)).await.unwrap();
    }
}

#[test]
fn what_is_on_record_is_known_to_whoever_asks_afterwards() {
    on_each_store(async |world| {
        for round in 0..40 {
            let run = world.run_named("bot", &format!("run_{round}")).await.unwrap();
            let scope = KillScope::Run(run.id().clone());
            let over = Arc::new(AtomicBool::new(false));
            // Others go to the store for the same facts while they change.
            let others = [(); 3].map(|()| tokio::spawn(ask_on(world.clone(), scope.clone(), over.clone())));
            run.done("pay.send", json!({"amount": 1})).await;
            assert_eq!(world.ledger.run_now(run.id()).await.unwrap().unwrap().calls, 1);
            let change = || KillChanged { scope: scope.clone(), by: "olga".into(), reason: String::new() };
            let is_killed =
                async || world.ledger.killed(std::slice::from_ref(&scope)).await.unwrap().is_some();
            world.ledger.kill(change(), world.now()).await.unwrap();
            assert!(is_killed().await);
            world.ledger.lift(change(), world.now()).await.unwrap();
            assert!(!is_killed().await);
            over.store(true, Ordering::Relaxed);
            for other in others {
                other.await.unwrap();
            }
        }
    });
}

#[test]
fn what_requests_ask_for_is_read_from_the_store_once() {
    block_on(async {
        let (store, faults) = Faulty::new(Box::new(Memory::new()));
        let world = World::open(Box::new(store));
        let run = world.run("bot").await;
        let (id, scope) = (run.id(), [KillScope::Run(run.id().clone())]);
        let look = async || {
            assert!(world.ledger.run_now(id).await.unwrap().is_some());
            assert!(world.ledger.goal(id).await.unwrap().is_some());
            assert!(world.ledger.revoked("tok").await.unwrap().is_none());
            assert!(world.ledger.killed(&scope).await.unwrap().is_none());
        };
        let unread = reads(&faults);
        look().await;
        let before = reads(&faults);
        assert!(before > unread, "of {id}");
        look().await;
        assert_eq!(reads(&faults), before);
        // Neither a goal that was looked for before it was stated.
        assert!(world.ledger.goal(&RunId::new("run_later").unwrap()).await.unwrap().is_none());
        let later = world.run_named("bot", "run_later").await.unwrap();
        assert_eq!(world.ledger.goal(later.id()).await.unwrap().unwrap().text, "what run_later is for");
    });
}

#[test]
fn a_list_keeps_no_look_up_waiting() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let action = run.done("pay.send", json!({"amount": 1})).await;
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let (mut ends, mut lists) = (Vec::new(), Vec::new());
        // More than are read at once.
        for _ in 0..5 {
            let (end, until) = std::sync::mpsc::channel::<()>();
            let (ledger, begun) = (world.ledger.clone(), begun.clone());
            let list = move |store: &mut dyn Store| {
                begun.send(()).unwrap();
                assert!(until.recv().is_err());
                Ok(store.head()?.size)
            };
            lists.push(tokio::spawn(async move { ledger.read(list).await }));
            ends.push(end);
        }
        has_begun.recv().await.unwrap();
        assert!(world.ledger.action(&action).await.unwrap().is_some());
        assert!(world.ledger.run(run.id()).await.unwrap().is_some());
        assert!(world.ledger.head().await.unwrap().size > 0);
        drop(ends);
        for list in lists {
            assert!(list.await.unwrap().unwrap() > 0);
        }
    });
}

#[test]
fn who_panics_takes_no_view_from_others() {
    on_each_store(async |world| {
        world.run("bot").await;
        for _ in 0..20 {
            let panics = |_: &mut dyn Store| -> Result<(), LedgerError> { panic!("as it should") };
            assert!(world.ledger.read(panics).await.is_err());
        }
        let size = world.ledger.read(|store| Ok(store.head()?.size)).await.unwrap();
        assert_eq!(size, world.size().await);
    });
}

#[test]
fn an_export_is_paged_through_as_its_ledger_is() {
    let store = Memory::new();
    block_on(async {
        let world = World::open(Box::new(store.reopen()));
        let runs = [world.run("bot").await, world.run("bot").await];
        // More than one file of entries, and of both runs in each.
        for turn in 0..140 {
            runs[turn % 2].done("pay.send", json!({"amount": 0.5})).await;
        }
        let dir = scratch();
        let out = dir.path().join("export");
        export(&mut store.reopen(), &out, false, &mut |_| {}).unwrap();
        let (mut export, mut store) = (Export::open(&out).unwrap(), store.reopen());
        assert!(store.head().unwrap().size > 256);
        for run in &runs {
            let (mut after, mut pages) = (None, 0);
            loop {
                let page = export.entries_of_run(run.id().as_str(), after, 50).unwrap();
                assert_eq!(page, store.entries_of_run(run.id().as_str(), after, 50).unwrap());
                let Some((last, _)) = page.last() else { break };
                (after, pages) = (Some(*last), pages + 1);
            }
            assert!(pages > 3, "{pages}");
        }
    });
}
