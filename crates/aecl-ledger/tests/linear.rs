//! Budgets under clients that act at the same time: what each is told is what one order of all calls explains, and the order is
//! the record's.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::decide::Ruling;
use aecl_kernel::record::event::OutcomeKind;
use common::*;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one client does. Its own payments are meant, the oldest first.
#[derive(Debug, Clone)]
enum Step {
    /// Proposes to pay so many euros.
    Pay(u32),
    /// Concludes one that runs, or finds out about one that is unknown.
    Settle(OutcomeKind),
    /// Lets others go first.
    Wait,
}

/// A call and what came of it.
#[derive(Debug)]
struct Call {
    what: Asked,
    /// Between these two it took effect.
    begun: u64,
    ended: u64,
    position: u64,
}

#[derive(Debug)]
enum Asked {
    Pay { euros: u32, number: u64, allowed: bool },
    Settle { number: u64, outcome: OutcomeKind },
}

/// The limit that the test's policy has.
const LIMIT: u32 = 100;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![Just(OutcomeKind::Done), Just(OutcomeKind::Failed), Just(OutcomeKind::Unknown)];
    let step = prop_oneof![
        4 => (1u32..60).prop_map(Step::Pay),
        3 => outcome.prop_map(Step::Settle),
        1 => Just(Step::Wait),
    ];
    proptest::collection::vec(step, 1..14)
}

async fn client(world: World, steps: Vec<Step>, clock: Arc<AtomicU64>) -> Vec<Call> {
    let run = world.run("bot").await;
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let (mut calls, mut running, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Wait => tokio::task::yield_now().await,
            Step::Pay(euros) => {
                let number = world.number();
                let begun = tick();
                let ruling =
                    run.propose("pay.send", json!({"amount": euros, "to": number.to_string()})).await;
                let ended = tick();
                let (ruling, receipt) = ruling.split();
                let allowed = match ruling {
                    Ruling::Allowed(permit) => {
                        running.push((number, permit.get().id().clone()));
                        true
                    }
                    Ruling::Blocked(refusal) => {
                        assert_eq!(refusal.decision.headline.unwrap().as_str(), "budget_exceeded");
                        false
                    }
                    other => panic!("{other:?}"),
                };
                let what = Asked::Pay { euros, number, allowed };
                calls.push(Call { what, begun, ended, position: receipt.position });
            }
            Step::Settle(outcome) => {
                let finds_out = !unknown.is_empty() && outcome != OutcomeKind::Unknown;
                let from = if finds_out { &mut unknown } else { &mut running };
                if from.is_empty() {
                    continue;
                }
                let (number, id) = from.remove(0);
                let begun = tick();
                let told = match finds_out {
                    true => world.resolve(&id, outcome).await,
                    false => world.conclude(&id, outcome).await,
                };
                let ended = tick();
                let position = told.unwrap().receipt().position;
                if outcome == OutcomeKind::Unknown {
                    unknown.push((number, id));
                }
                calls.push(Call { what: Asked::Settle { number, outcome }, begun, ended, position });
            }
        }
    }
    calls
}

/// Follows the calls in the order of the record, and gives what is used and held in the end.
fn follow(calls: &[Call]) -> (u32, u32) {
    let (mut used, mut held) = (0, BTreeMap::new());
    for call in calls {
        match &call.what {
            Asked::Pay { euros, number, allowed } => {
                let fits = used + held.values().sum::<u32>() + euros <= LIMIT;
                assert_eq!(*allowed, fits, "{call:?}: used {used}, held {held:?}");
                if fits {
                    held.insert(*number, *euros);
                }
            }
            Asked::Settle { outcome: OutcomeKind::Unknown, .. } => {}
            Asked::Settle { number, outcome } => {
                let euros = held.remove(number).unwrap();
                used += if *outcome == OutcomeKind::Done { euros } else { 0 };
            }
        }
    }
    (used, held.values().sum())
}

async fn act_at_once(world: World, clients: Vec<Vec<Step>>) {
    let clock = Arc::new(AtomicU64::new(0));
    let clients = clients.into_iter().map(|steps| tokio::spawn(client(world.clone(), steps, clock.clone())));
    let mut calls = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        calls.extend(client.await.unwrap());
    }
    calls.sort_by_key(|call| call.position);
    let mut latest = 0;
    for call in &calls {
        // Whoever began after another had its answer stands after it.
        assert!(call.ended > latest, "{call:?} stands behind one that began at {latest}");
        latest = latest.max(call.begun);
    }
    let (used, held) = follow(&calls);
    assert_eq!(world.euros().await, (Decimal::from(used), Decimal::from(held)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_order_explains_what_clients_are_told_who_act_at_the_same_time(
        clients in proptest::collection::vec(steps(), 2..9)
    ) {
        on_each_store(|world| act_at_once(world, clients.clone()));
    }
}
