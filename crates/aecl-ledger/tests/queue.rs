//! The queue of open requests: what is shown of it, what that costs, and that it is the same after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::record::approval::ApprovalState;
use aecl_ledger::store::{Faulty, Memory};
use aecl_ledger::{Queue, Waiting};
use common::*;
use serde_json::json;

/// So many requests that are open, each after calls of its run and with something long in it.
async fn asked(world: &World, count: u64) {
    let mut n = 0;
    while n < count {
        let run = world.run("bot").await;
        for _ in 0..10.min(count - n) {
            waiting(run.propose("keys.turn", json!({ "n": n })).await);
            n += 1;
        }
    }
}

fn titles(queue: &Queue) -> Vec<(u64, String)> {
    let told = |w: &std::sync::Arc<Waiting>| (w.summary.number, w.summary.title.clone());
    queue.by_end(None).map(told).collect()
}

#[test]
fn a_page_of_the_queue_reads_nothing_from_the_store() {
    block_on(async {
        let (store, faults) = Faulty::new(Box::new(Memory::new()));
        let world = World::open(Box::new(store));
        let mut open = 0;
        for count in [100, 10_000] {
            asked(&world, count - open).await;
            open = count;
            let before = reads(&faults);
            let (total, page, newest) = world.ledger.queue(|queue| {
                let page: Vec<u64> = queue.by_end(None).take(50).map(|w| w.summary.number).collect();
                let newest = queue.by_number(None).next().map(|w| w.summary.number);
                (queue.by_end(None).count() as u64, page, newest)
            });
            assert_eq!((total, page.len()), (count, 50));
            // They all last as long, so the first that was asked ends first.
            assert!(page.is_sorted() && newest > page.last().copied());
            assert_eq!(reads(&faults), before, "with {count} open");
        }
    });
}

#[test]
fn the_queue_follows_every_answer_and_is_the_same_after_a_restart() {
    block_on(async {
        let memory = Memory::new();
        let world = World::open(Box::new(memory.reopen()));
        asked(&world, 30).await;
        let run = world.run("bot").await;
        let ask = waiting(run.propose("db.drop", json!({"table": "x".repeat(100_000)})).await).ask.clone();
        let long = world.ledger.queue(titles).into_iter().find(|(_, title)| title.starts_with("db.drop"));
        assert!(long.is_some_and(|(_, title)| title.len() <= 180 && title.contains('…')));
        let first = world.ledger.queue(|q| q.by_number(Some(u64::MAX)).last().cloned().unwrap());
        assert_eq!(world.vote(&first.ask, "ann", &["ops"], true).await.unwrap(), ApprovalState::Pending);
        let voted = world.ledger.queue(|q| q.by_number(None).last().cloned().unwrap());
        assert_eq!((voted.ask.votes.len(), voted.summary.number), (1, first.summary.number));
        assert_eq!(world.vote(&first.ask, "ben", &["ops"], false).await.unwrap(), ApprovalState::Rejected);
        let now = world.ledger.queue(titles);
        assert_eq!(now.len(), 30);
        let of_run = world.ledger.queue(|q| (q.of_run(&first.ask.run).count(), q.of_run(&ask.run).count()));
        assert_eq!(of_run, (9, 1));
        drop(world);
        let again = World::open(Box::new(memory.reopen()));
        assert_eq!(again.ledger.queue(titles), now);
        // What nobody answers in time leaves it, too.
        again.pass(3_600_000);
        for waiting in again.ledger.queue(|q| q.by_end(None).cloned().collect::<Vec<_>>()) {
            assert!(again.ledger.expire(waiting.ask.approval.clone(), again.now()).await.unwrap());
        }
        assert!(again.ledger.queue(titles).is_empty());
    });
}
