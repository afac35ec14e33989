//! What the writer promises: read, decide and record in one step, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::AgentId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::Ruling;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::read::action::{Mode, Proposal};
use aecl_kernel::record::approval::ApprovalState;
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::{BudgetAdjusted, Event, KillChanged, OutcomeKind, TokenIssued};
use aecl_kernel::record::facts::{ActionState, Fact, KillScope};
use aecl_kernel::record::usage::Meter;
use aecl_ledger::store::Memory;
use aecl_ledger::{LedgerError, OpenRun, PayloadKind, Stage};
use common::*;
use rust_decimal::Decimal;
use serde_json::json;

fn euros(amount: i64) -> Decimal {
    Decimal::from(amount)
}

#[test]
fn an_allow_is_started_and_concluded_on_record() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let permit = run.allowed("pay.send", json!({"amount": 30, "to": "bob"})).await;
        assert_eq!(world.euros().await, (euros(0), euros(30)));
        assert_eq!(world.ledger.in_flight(), [permit.get().id().clone()]);
        let done = world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        assert_eq!(done.get().rollback_token.as_deref(), Some("rbk_act_2"));
        assert_eq!(world.euros().await, (euros(30), euros(0)));
        assert!(world.ledger.in_flight().is_empty());
        assert_eq!(world.kinds().await, ["run_opened", "bundle_loaded", "ruled", "started", "concluded"]);

        let fact = world.ledger.action(permit.get().id()).await.unwrap().unwrap();
        assert_eq!((fact.state, fact.position), (ActionState::Done, 4));
        let arguments = world.ledger.payload(PayloadKind::Arguments, &fact.arguments).await.unwrap();
        assert_eq!(arguments.unwrap(), br#"{"amount":30,"to":"bob"}"#);
        let output = world.ledger.payload(PayloadKind::Output, &fact.output.unwrap()).await.unwrap();
        assert_eq!(output.unwrap(), b"\"what came back\"");
        // One kind of payload never passes for another.
        assert!(world.ledger.payload(PayloadKind::Output, &fact.arguments).await.is_err());
        assert_eq!((permit.receipt().position, done.receipt().position), (2, 4));
    });
}

#[test]
fn an_action_is_concluded_once() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let id = run.done("pay.send", json!({"amount": 30})).await;
        for outcome in [OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Unknown] {
            let error = world.conclude(&id, outcome).await.unwrap_err();
            assert!(matches!(error, LedgerError::WrongState { .. }), "{error}");
            assert!(world.resolve(&id, outcome).await.is_err());
        }
        let error = world.conclude(&action_id("act_none"), OutcomeKind::Done).await.unwrap_err();
        assert!(matches!(error, LedgerError::NoAction(_)), "{error}");
        assert_eq!(world.euros().await, (euros(30), euros(0)));
    });
}

#[test]
fn a_block_is_recorded_and_nothing_starts() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        assert_eq!(code(run.propose("note.blocked", json!({})).await), "action_blocked");
        assert_eq!(code(run.propose("note.unlisted", json!({})).await), "not_allowed");
        assert_eq!(code(run.propose("note.nowhere", json!({})).await), "action_unknown");
        assert_eq!(code(run.propose("note.read", json!({"id": 7})).await), "arguments_invalid");
        assert_eq!(code(run.propose("pay.send", json!({"amount": -5})).await), "amount_invalid");
        assert_eq!(
            code(run.submit(run.proposal("note.read", "{\"id\":1,\"id\":2}")).await.unwrap()),
            "json_duplicate_key"
        );
        assert_eq!(code(run.submit(run.proposal("note.read", "[]")).await.unwrap()), "arguments_not_object");
        let long = "n".repeat(300);
        assert_eq!(code(run.propose(&long, json!({})).await), "action_unknown");
        let nobody = world.run("nobody").await;
        assert_eq!(code(nobody.propose("note.read", json!({})).await), "agent_unknown");
        let kinds = world.kinds().await;
        assert_eq!(kinds.iter().filter(|k| **k == "ruled").count(), 9);
        assert!(!kinds.contains(&"started"));
    });
}

#[test]
fn a_dry_run_takes_nothing() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        for (name, arguments) in [("pay.send", r#"{"amount":30}"#), ("db.drop", "{}"), ("note.blocked", "{}")]
        {
            let ruling =
                run.submit(Proposal { mode: Mode::DryRun, ..run.proposal(name, arguments) }).await.unwrap();
            assert!(matches!(ruling.get(), Ruling::Answered(_)), "{ruling:?}");
        }
        assert_eq!(world.euros().await, (euros(0), euros(0)));
        assert!(world.ledger.open_approvals(9).await.unwrap().is_empty());
        assert!(!world.kinds().await.contains(&"started"));
    });
}

#[test]
fn a_yes_allows_once() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let drop_it = || run.propose("db.drop", json!({"table": "users"}));
        let wait = waiting(drop_it().await);
        let ask = wait.ask.clone();
        assert_eq!(world.ledger.open_approvals(9).await.unwrap(), std::slice::from_ref(&ask));
        // Proposed again while it waits, it is the same request.
        let again = waiting(drop_it().await);
        assert_eq!((&again.ask, &again.id), (&ask, &wait.id));

        assert_eq!(world.vote(&ask, "olga", &["operators"], true).await.unwrap(), ApprovalState::Approved);
        let permit = allowed(drop_it().await);
        assert_eq!(permit.get().id(), &wait.id);
        assert_eq!(permit.get().decision().approval.as_ref(), Some(&ask.approval));
        world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        assert!(world.ledger.open_approvals(9).await.unwrap().is_empty());

        // The yes is used up: the same thing again asks again, as another action.
        let second = waiting(drop_it().await);
        assert_ne!(second.ask.approval, ask.approval);
        assert_ne!(second.id, wait.id);
        let error = world.vote(&ask, "otto", &["operators"], true).await.unwrap_err();
        assert_eq!(error.code().as_str(), "approval_closed");
        let kinds = world.kinds().await;
        assert_eq!(kinds.iter().filter(|k| **k == "asked").count(), 2);
    });
}

#[test]
fn a_yes_is_for_one_digest() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let wait = waiting(run.propose("db.drop", json!({"table": "logs"})).await);
        world.vote(&wait.ask, "olga", &["operators"], true).await.unwrap();
        waiting(run.propose("db.drop", json!({"table": "users"})).await);
        let other = world.run("bot").await;
        waiting(other.propose("db.drop", json!({"table": "logs"})).await);
        allowed(run.propose("db.drop", json!({"table": "logs"})).await);
    });
}

#[test]
fn a_yes_that_is_wanted_by_many_at_once_allows_one() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let wait = waiting(run.propose("db.drop", json!({})).await);
        world.vote(&wait.ask, "olga", &["operators"], true).await.unwrap();
        let many = (0..32).map(|_| {
            let run = run.clone();
            tokio::spawn(async move { run.propose("db.drop", json!({})).await })
        });
        let many: Vec<_> = many.collect();
        let mut permits = 0;
        for one in many {
            permits += usize::from(matches!(one.await.unwrap().get(), Ruling::Allowed(_)));
        }
        assert_eq!(permits, 1);
    });
}

#[test]
fn m_of_n_are_distinct_people() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
        let vote = |person, groups, yes| world.vote(&ask, person, groups, yes);
        let refused = async |person, groups| vote(person, groups, true).await.unwrap_err().code().as_str();
        assert_eq!(refused("bot", &["ops"]).await, "approver_refused");
        assert_eq!(refused("ursula", &["ops"]).await, "approver_refused");
        assert_eq!(refused("zoe", &["marketing"]).await, "approver_refused");
        assert_eq!(vote("ann", &["ops"], true).await.unwrap(), ApprovalState::Pending);
        assert_eq!(refused("ann", &["ops"]).await, "approver_twice");
        waiting(run.propose("keys.turn", json!({"n": 1})).await);
        assert_eq!(vote("ben", &["ops"], true).await.unwrap(), ApprovalState::Approved);
        assert_eq!(refused("cid", &["ops"]).await, "approval_closed");
        allowed(run.propose("keys.turn", json!({"n": 1})).await);
    });
}

#[test]
fn a_no_ends_it() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let wait = waiting(run.propose("keys.turn", json!({})).await);
        assert_eq!(world.vote(&wait.ask, "ann", &["ops"], false).await.unwrap(), ApprovalState::Rejected);
        assert!(world.vote(&wait.ask, "ben", &["ops"], true).await.is_err());
        assert_eq!(code(run.propose("keys.turn", json!({})).await), "approval_rejected");
        let fact = world.ledger.action(&wait.id).await.unwrap().unwrap();
        assert_eq!((fact.state, fact.message.as_str()), (ActionState::Rejected, "`ann` said no: because"));
        assert!(world.ledger.open_approvals(9).await.unwrap().is_empty());
    });
}

#[test]
fn nobody_answering_is_a_no() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let wait = waiting(run.propose("keys.turn", json!({})).await);
        let ask = wait.ask.clone();
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        assert!(!world.ledger.expire(ask.approval.clone(), world.now()).await.unwrap(), "too early");
        world.pass(60_000);
        let error = world.vote(&ask, "ben", &["ops"], true).await.unwrap_err();
        assert_eq!(error.code().as_str(), "approval_expired");
        assert!(world.ledger.expire(ask.approval.clone(), world.now()).await.unwrap());
        assert!(!world.ledger.expire(ask.approval.clone(), world.now()).await.unwrap(), "once");
        assert_eq!(world.ledger.action(&wait.id).await.unwrap().unwrap().state, ActionState::Rejected);
        // An expired yes is none, and the same thing asks again.
        let again = waiting(run.propose("keys.turn", json!({})).await);
        assert_ne!(again.ask.approval, ask.approval);
        assert!(again.ask.votes.is_empty());
    });
}

#[test]
fn a_yes_expires_unused() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let ask = waiting(run.propose("keys.turn", json!({})).await).ask.clone();
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        world.vote(&ask, "ben", &["ops"], true).await.unwrap();
        world.pass(60_000);
        waiting(run.propose("keys.turn", json!({})).await);
        assert!(!world.kinds().await.contains(&"started"));
    });
}

#[test]
fn the_same_key_gives_the_recorded_outcome() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let pay = || run.keyed("k1", "pay.send", json!({"amount": 30}));
        let permit = allowed(pay().await);
        // Also while it is underway.
        assert!(matches!(pay().await.get(), Ruling::Replayed(r) if r.original == *permit.get().id()));
        world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        assert!(matches!(pay().await.get(), Ruling::Replayed(r) if r.original == *permit.get().id()));
        assert_eq!(world.euros().await, (euros(30), euros(0)));
        assert_eq!(code(run.keyed("k1", "pay.send", json!({"amount": 31})).await), "replay_conflict");
        assert_eq!(code(run.keyed("k1", "note.read", json!({})).await), "replay_conflict");
        // A key belongs to its run.
        allowed(world.run("bot").await.keyed("k1", "pay.send", json!({"amount": 1})).await);
    });
}

#[test]
fn what_was_blocked_may_be_tried_again_under_the_same_key() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let all = run.allowed("pay.send", json!({"amount": 100})).await;
        assert_eq!(code(run.keyed("k", "pay.send", json!({"amount": 1})).await), "budget_exceeded");
        world.conclude(all.get().id(), OutcomeKind::Failed).await.unwrap();
        allowed(run.keyed("k", "pay.send", json!({"amount": 1})).await);
    });
}

#[test]
fn many_calls_at_once_spend_exactly_the_budget() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let calls = (0..64).map(|n| {
            let (run, world) = (run.clone(), world.clone());
            tokio::spawn(async move {
                let mut spent = 0;
                for turn in 0..4 {
                    let cents = json!({"amount": 0.7, "to": format!("{n}/{turn}")});
                    if let Ruling::Allowed(permit) = run.propose("pay.send", cents).await.split().0 {
                        let outcome = if turn % 2 == 0 { OutcomeKind::Done } else { OutcomeKind::Unknown };
                        world.conclude(permit.get().id(), outcome).await.unwrap();
                        spent += 1;
                    }
                }
                spent
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut permits = 0;
        for call in calls {
            permits += call.await.unwrap();
        }
        // 142 times 0.70 is 99.40; one more would be 100.10.
        assert_eq!(permits, 142);
        let (used, held) = world.euros().await;
        assert_eq!(used + held, Decimal::new(9940, 2));
    });
}

#[test]
fn a_budget_begins_anew_with_its_window_and_what_is_held_stays_held() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let held = run.allowed("pay.send", json!({"amount": 60})).await;
        run.done("pay.send", json!({"amount": 40})).await;
        assert_eq!(code(run.propose("pay.send", json!({"amount": 1})).await), "budget_exceeded");
        world.pass(12 * 3_600_000);
        let run = world.run("bot").await;
        assert_eq!(code(run.propose("pay.send", json!({"amount": 41})).await), "budget_exceeded");
        run.done("pay.send", json!({"amount": 40})).await;
        world.conclude(held.get().id(), OutcomeKind::Done).await.unwrap();
        // Yesterday's money is no longer counted today.
        assert_eq!(world.euros().await, (euros(40), euros(0)));
    });
}

#[test]
fn a_rate_is_kept() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let mut calls = Vec::new();
        for n in 0..5 {
            calls.push(matches!(run.propose("note.fast", json!({"n": n})).await.get(), Ruling::Allowed(_)));
        }
        assert_eq!(calls, [true, true, true, false, false]);
        world.pass(19_999);
        assert_eq!(code(run.propose("note.fast", json!({})).await), "rate_limited");
        world.pass(1);
        allowed(run.propose("note.fast", json!({})).await);
        assert_eq!(code(run.propose("note.fast", json!({})).await), "rate_limited");
    });
}

#[test]
fn a_slot_is_given_back_with_any_outcome() {
    on_each_store(async |world| {
        let run = world.run("narrow").await;
        for outcome in [OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Unknown] {
            let one = run.allowed("note.read", json!({"id": outcome.name()})).await;
            world.conclude(one.get().id(), outcome).await.unwrap();
            if outcome == OutcomeKind::Unknown {
                // Resolving it later does not give the slot back twice.
                world.resolve(one.get().id(), OutcomeKind::Failed).await.unwrap();
            }
        }
        let one = run.allowed("note.read", json!({"id": "1"})).await;
        run.allowed("note.read", json!({"id": "2"})).await;
        world.conclude(one.get().id(), OutcomeKind::Done).await.unwrap();
        // Slots belong to the agent, calls to the run.
        assert_eq!(code(run.propose("note.read", json!({"id": "3"})).await), "calls_exhausted");
        let other = world.run("narrow").await;
        other.allowed("note.read", json!({"id": "4"})).await;
        assert_eq!(code(other.propose("note.read", json!({"id": "5"})).await), "too_many_at_once");
    });
}

#[test]
fn what_is_underway_is_known_by_stage_and_age_and_again_after_a_start() {
    let stored = Memory::new();
    let stages = [Stage::Running, Stage::Permitted, Stage::Unknown, Stage::Unreported];
    let seen = |world: &World, then: Timestamp| stages.map(|stage| world.ledger.in_flight_since(stage, then));
    let world = World::open(Box::new(stored.reopen()));
    let (early, late) = block_on(async {
        let run = world.run("bot").await;
        let mut ids = Vec::new();
        for n in 0..8 {
            world.pass(1000);
            let mode = if n % 2 == 0 { Mode::Execute } else { Mode::Authorize };
            let arguments = json!({"id": n.to_string()}).to_string();
            let proposal = Proposal { mode, ..run.proposal("note.read", &arguments) };
            ids.push(allowed(run.submit(proposal).await.unwrap()).get().id().clone());
        }
        let early = world.now();
        world.pass(1000);
        for id in &ids[..4] {
            world.conclude(id, OutcomeKind::Unknown).await.unwrap();
        }
        world.resolve(&ids[2], OutcomeKind::Done).await.unwrap();
        world.conclude(&ids[6], OutcomeKind::Done).await.unwrap();
        let of = |wanted: &[usize]| wanted.iter().map(|n| ids[*n].clone()).collect::<Vec<_>>();
        ((early, [of(&[4]), of(&[5, 7]), of(&[]), of(&[])]), [of(&[4]), of(&[5, 7]), of(&[0]), of(&[1, 3])])
    });
    assert_eq!(seen(&world, early.0), early.1);
    assert_eq!(seen(&world, world.now()), late);
    assert_eq!(seen(&world, world.now().minus_s(3600)), [vec![], vec![], vec![], vec![]]);
    let now = world.now();
    world.ledger.close();
    let world = World::open(Box::new(stored.reopen()));
    assert_eq!(seen(&world, now), late);
}

#[test]
fn unknown_keeps_what_it_holds_until_somebody_finds_out() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        for (end, used) in [(OutcomeKind::Done, 50), (OutcomeKind::Failed, 50)] {
            let permit = run.allowed("pay.send", json!({"amount": 50, "to": end.name()})).await;
            let id = permit.get().id();
            world.conclude(id, OutcomeKind::Unknown).await.unwrap();
            assert_eq!(world.euros().await.1, euros(50));
            assert_eq!(world.ledger.in_flight(), std::slice::from_ref(id));
            // Nobody resolves by claiming the attempt again, and nobody resolves into nothing.
            assert!(world.conclude(id, OutcomeKind::Done).await.is_err());
            assert!(world.resolve(id, OutcomeKind::Unknown).await.is_err());
            let resolved = world.resolve(id, end).await.unwrap();
            assert_eq!(resolved.get().resolved_by.as_deref(), Some("ann"));
            assert_eq!(world.euros().await, (euros(used), euros(0)));
            assert!(world.ledger.in_flight().is_empty());
            assert!(world.resolve(id, end).await.is_err());
        }
    });
}

#[test]
fn an_undo_happens_once() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let id = run.done("pay.send", json!({"amount": 100})).await;
        let undo = |of: &aecl_kernel::base::id::ActionId| Proposal {
            compensates: Some(of.clone()),
            ..run.proposal("pay.refund", r#"{"amount":100}"#)
        };
        // Without something to undo, the refund is an action that nobody may do.
        assert_eq!(code(run.propose("pay.refund", json!({"amount": 100})).await), "not_allowed");
        // An exhausted budget does not stop it.
        let permit = allowed(run.submit(undo(&id)).await.unwrap());
        assert_eq!(code(run.submit(undo(&id)).await.unwrap()), "undo_refused");
        world.conclude(permit.get().id(), OutcomeKind::Unknown).await.unwrap();
        assert_eq!(code(run.submit(undo(&id)).await.unwrap()), "undo_refused");
        world.resolve(permit.get().id(), OutcomeKind::Failed).await.unwrap();
        let permit = allowed(run.submit(undo(&id)).await.unwrap());
        world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        assert_eq!(code(run.submit(undo(&id)).await.unwrap()), "undo_refused");
        let undone = permit.get().id().clone();
        assert_eq!(code(run.submit(undo(&undone)).await.unwrap()), "undo_refused");
    });
}

#[test]
fn a_kill_switch_reaches_its_scope_until_it_is_lifted() {
    on_each_store(async |world| {
        let (bot, narrow) = (world.run("bot").await, world.run("narrow").await);
        let kill = |scope: &KillScope| KillChanged {
            scope: scope.clone(),
            by: "ann".into(),
            reason: "smoke".into(),
        };
        let scopes = [
            (KillScope::All, true),
            (KillScope::Tenant(bot.principal.tenant.clone()), true),
            (KillScope::Agent(bot.principal.agent.clone()), false),
            (KillScope::Run(bot.id().clone()), false),
        ];
        for (n, (scope, both)) in scopes.into_iter().enumerate() {
            assert_eq!(
                world.ledger.lift(kill(&scope), world.now()).await.unwrap_err().code().as_str(),
                "request_invalid"
            );
            world.ledger.kill(kill(&scope), world.now()).await.unwrap();
            assert_eq!(world.ledger.kills(9).await.unwrap().len(), 1);
            assert_eq!(code(bot.propose("note.read", json!({})).await), "killed", "{scope}");
            let other = narrow.propose("note.read", json!({"id": n.to_string()})).await;
            assert_eq!(matches!(other.get(), Ruling::Blocked(_)), both, "{scope}");
            if let Ruling::Allowed(permit) = other.split().0 {
                world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
            }
            world.ledger.lift(kill(&scope), world.now()).await.unwrap();
            bot.done("note.read", json!({})).await;
        }
    });
}

#[test]
fn a_plan_is_asked_about_with_its_run_or_not_at_all() {
    on_each_store(async |world| {
        let step = json!([{"action": "keys.turn", "arguments": {"/n": {"equals": 1}}, "times": 2}]);
        let (run, ask) = world.planned(step).await;
        assert_eq!(world.kinds().await, ["run_opened", "asked"]);
        let single = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        world.vote(&ask, "ben", &["ops"], true).await.unwrap();
        let permit = run.allowed("keys.turn", json!({"n": 1})).await;
        assert_eq!(permit.get().id(), &single.action);
        assert_eq!(permit.get().decision().approval.as_ref(), Some(&ask.approval));
        world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        run.done("keys.turn", json!({"n": 1})).await;
        waiting(run.propose("keys.turn", json!({"n": 1})).await);
        // A no after the yes is on record with the end of the run.
        world.vote(&ask, "ann", &["ops"], false).await.unwrap();
        assert_eq!(world.kinds().await.last_chunk(), Some(&["answered", "run_closed"]));
        assert_eq!(code(run.propose("keys.turn", json!({"n": 1})).await), "run_closed");
        let (_, ask) = world.planned(json!([{"action": "note.read"}])).await;
        // What people would be asked about is the plan of this run, or nothing is on record.
        let size = world.size().await;
        let open = OpenRun {
            principal: principal("bot", "run_other"),
            goal: aecl_kernel::record::goal::Goal::new(
                "as planned".into(),
                Some(json!({"steps": [{"action": "db.drop"}]})),
            ),
            expires_at: world.now().plus_s(1200),
            parent: None,
            follows: None,
            ask: Some(ask),
            barred: std::collections::BTreeSet::new(),
            by: "test".into(),
        };
        assert!(world.ledger.open_run(open, world.now()).await.is_err());
        assert_eq!(world.size().await, size);
    });
}

#[test]
fn a_kill_switch_reaches_the_runs_that_came_from_it() {
    on_each_store(async |world| {
        let parent = world.run("bot").await;
        let open = OpenRun {
            principal: principal("narrow", "run_child"),
            goal: aecl_kernel::record::goal::Goal::new("part of it".into(), None),
            expires_at: world.now().plus_s(9_999),
            parent: Some(parent.id().clone()),
            follows: None,
            ask: None,
            barred: std::collections::BTreeSet::new(),
            by: "test".into(),
        };
        world.ledger.open_run(open, world.now()).await.unwrap();
        let child = world.known_run("narrow", "run_child");
        let fact = world.ledger.run(child.id()).await.unwrap().unwrap();
        assert_eq!(fact.expires_at, world.now().plus_s(1200), "never later than its parent");
        let scope = KillScope::Run(parent.id().clone());
        world
            .ledger
            .kill(KillChanged { scope, by: "ann".into(), reason: "stop".into() }, world.now())
            .await
            .unwrap();
        assert_eq!(code(child.propose("note.read", json!({})).await), "killed");
    });
}

#[test]
fn a_run_ends_when_it_is_closed_and_when_its_time_is_over() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let close =
            |run: &Run| world.ledger.close_run(run.id().clone(), "done".into(), "ann".into(), world.now());
        let underway = run.allowed("note.read", json!({})).await;
        close(&run).await.unwrap();
        assert_eq!(code(run.propose("note.read", json!({})).await), "run_closed");
        assert!(matches!(close(&run).await, Err(LedgerError::RunClosed(_))));
        // What was underway is still concluded.
        world.conclude(underway.get().id(), OutcomeKind::Done).await.unwrap();
        assert!(matches!(close(&world.known_run("bot", "run_none")).await, Err(LedgerError::NoRun(_))));
        assert_eq!(
            code(world.known_run("bot", "run_none").propose("note.read", json!({})).await),
            "run_unknown"
        );

        let run = world.run("bot").await;
        world.pass(1_200_000);
        assert_eq!(code(run.propose("note.read", json!({})).await), "run_expired");
    });
}

#[test]
fn a_run_is_opened_once() {
    on_each_store(async |world| {
        let run = world.run_named("narrow", "run_a").await.unwrap();
        run.done("note.read", json!({})).await;
        world.ledger.close_run(run.id().clone(), "done".into(), "ann".into(), world.now()).await.unwrap();
        let again = world.run_named("bot", "run_a").await.map(drop).unwrap_err();
        assert!(matches!(again, LedgerError::RunExists(_)), "{again}");
        let fact = world.ledger.run(run.id()).await.unwrap().unwrap();
        assert_eq!(
            (fact.calls, fact.closed.as_deref(), fact.principal.agent.as_str()),
            (1, Some("done"), "narrow")
        );
    });
}

#[test]
fn a_revoked_token_ends_at_once() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let ledger = &world.ledger;
        let issued = TokenIssued { token: "tok_1".into(), expires_at: Timestamp(NOON), from: None };
        ledger.token_issued(run.id().clone(), issued, world.now()).await.unwrap();
        run.done("note.read", json!({})).await;
        ledger.revoke_token(run.id().clone(), "tok_1".into(), "ann".into(), world.now()).await.unwrap();
        assert_eq!(code(run.propose("note.read", json!({})).await), "token_revoked");
        let none = world.known_run("bot", "run_none").id().clone();
        let error = ledger.revoke_token(none, "tok_9".into(), "ann".into(), world.now()).await.unwrap_err();
        assert!(matches!(error, LedgerError::NoRun(_)), "{error}");
    });
}

#[test]
fn a_clock_that_goes_back_is_a_fault_and_revives_nothing() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let ask = waiting(run.propose("keys.turn", json!({})).await).ask.clone();
        world.vote(&ask, "ann", &["ops"], true).await.unwrap();
        world.vote(&ask, "ben", &["ops"], true).await.unwrap();
        world.pass(61_000);
        run.done("note.read", json!({})).await;
        // The clock goes back to when the yes was good. The record does not.
        world.pass(-30_000);
        for _ in 0..3 {
            assert!(matches!(run.propose("keys.turn", json!({})).await.get(), Ruling::Waiting(_)));
        }
        let faults = async || world.kinds().await.iter().filter(|k| **k == "fault").count();
        assert_eq!(faults().await, 1);
        assert!(run.world.ledger.expire(ask.approval, world.now()).await.unwrap());
        // Less than a second is no fault, but time on record does not go back either.
        world.pass(60_000);
        run.done("note.read", json!({})).await;
        world.pass(-500);
        run.done("note.read", json!({})).await;
        assert_eq!(faults().await, 1);
        world.pass(-5_000);
        run.done("note.read", json!({})).await;
        assert_eq!(faults().await, 2);
        let entries = world.ledger.entries(0, 999).await.unwrap();
        assert!(entries.windows(2).all(|w| w[0].at <= w[1].at));
    });
}

#[test]
fn an_entry_that_is_too_long_is_refused_and_nothing_happens() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        run.done("note.read", json!({})).await;
        let (size, facts) = (world.size().await, all_facts(&world).await);
        let long = || "k".repeat(62_000);
        let error = run.submit(Proposal {
            idempotency_key: Some(long()),
            ..run.proposal("pay.send", r#"{"amount":1}"#)
        });
        let error = error.await.unwrap_err();
        assert_eq!(error.code().as_str(), "entry_too_large");
        assert_eq!((world.size().await, all_facts(&world).await), (size, facts));
        let open = run.allowed("pay.send", json!({"amount": 1})).await;
        let id = open.get().id();
        let long = aecl_ledger::Conclusion { sandbox: long(), ..conclusion(id, OutcomeKind::Done) };
        assert!(world.ledger.conclude(long, world.now()).await.is_err());
        assert_eq!(world.ledger.in_flight(), std::slice::from_ref(id));
        world.conclude(id, OutcomeKind::Done).await.unwrap();
    });
}

#[test]
fn what_is_refused_after_its_first_entry_leaves_none() {
    on_each_store(async |world| {
        // The decision fits into an entry, the request for approval that comes after it does not.
        let mut sources = sources();
        let people: Vec<_> = (0..2500).map(|n| format!("person-{n:018}")).collect();
        let crowd =
            json!({"agent_id": "crowd", "allowed_actions": ["db.drop"], "excluded_approvers": people});
        sources.push(aecl_kernel::policy::problem::Source {
            path: "agents/crowd.json".into(),
            text: crowd.to_string(),
        });
        let bundle = VettedBundle::load(sources).unwrap();
        let world = World { bundle: std::sync::Arc::new(bundle.into_bundle()), ..world };
        let run = world.run("crowd").await;
        world.ledger.bundle_loaded(world.bundle.clone(), world.now()).await.unwrap();
        let (size, facts) = (world.size().await, all_facts(&world).await);
        let error = run.submit(run.proposal("db.drop", "{}")).await.unwrap_err();
        assert_eq!(error.code().as_str(), "entry_too_large");
        assert_eq!((world.size().await, all_facts(&world).await), (size, facts));
        run.world.run("bot").await.done("note.read", json!({})).await;
    });
}

/// What was found out about the host is a fact that follows from its entry, and every reader knows the entry.
#[test]
fn what_holds_programs_is_on_record_and_a_fact() {
    on_each_store(async |world| {
        for cages in [HostIsolation::default(), HostIsolation::every()] {
            world.ledger.sandbox_probed(cages.clone(), world.now()).await.unwrap();
            assert_eq!(world.kinds().await.last(), Some(&"sandbox_probed"));
            let kept = all_facts(&world).await.into_iter().find(|(key, _)| key == "cages").unwrap().1;
            assert_eq!(serde_json::from_slice::<Fact>(&kept).unwrap(), Fact::Cages(cages));
        }
    });
}

#[test]
fn no_decision_without_its_bundle_on_record() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        run.done("note.read", json!({})).await;
        run.done("note.read", json!({})).await;
        let loaded = world.kinds().await.iter().filter(|k| **k == "bundle_loaded").count();
        assert_eq!(loaded, 1);
        world.ledger.bundle_loaded(world.bundle.clone(), world.now()).await.unwrap();
        assert_eq!(world.kinds().await.last(), Some(&"bundle_loaded"));
    });
}

#[test]
fn the_breaker_opens_after_the_same_failure_again_and_again() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        for _ in 0..3 {
            let permit = run.allowed("note.read", json!({"id": "x"})).await;
            world.conclude(permit.get().id(), OutcomeKind::Failed).await.unwrap();
        }
        assert_eq!(code(run.propose("note.read", json!({"id": "x"})).await), "breaker_open");
        run.done("note.read", json!({"id": "y"})).await;
        run.done("note.read", json!({"id": "x"})).await;
    });
}

#[test]
fn a_budget_is_corrected_on_record() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        run.done("pay.send", json!({"amount": 100})).await;
        let adjusted = BudgetAdjusted {
            meter: "tenant:acme/EUR/day/".into(),
            now: Meter { used: euros(10), ..world.meter("tenant:acme/EUR/day/").await },
            by: "ann".into(),
            reason: "a refund outside".into(),
        };
        world.ledger.adjust_budget(adjusted, world.now()).await.unwrap();
        run.done("pay.send", json!({"amount": 90})).await;
        assert_eq!(code(run.propose("pay.send", json!({"amount": 1})).await), "budget_exceeded");
    });
}

#[test]
fn every_run_counts_its_own_entries() {
    on_each_store(async |world| {
        let runs = [world.run("bot").await, world.run("bot").await, world.run("bot").await];
        let tasks: Vec<_> = (0..30)
            .map(|n| {
                let run = runs[n % 3].clone();
                tokio::spawn(async move { run.done("note.read", json!({"id": n.to_string()})).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for run in &runs {
            let entries = world.ledger.entries_of_run(run.id(), None, 999).await.unwrap();
            let numbers: Vec<_> = entries.iter().map(|e| e.seq.unwrap()).collect();
            assert_eq!(numbers, (0..31).collect::<Vec<_>>());
        }
        let entries = world.ledger.entries(0, 999).await.unwrap();
        assert!(entries.iter().enumerate().all(|(n, e)| e.position == n as u64));
        assert!(entries.iter().all(|e| e.run.is_some() == e.seq.is_some()));
        let of_action = world
            .ledger
            .entries_of_action(entries.iter().find_map(|e| e.event.action()).unwrap())
            .await
            .unwrap();
        assert!(matches!(
            of_action.iter().map(|e| &e.event).collect::<Vec<_>>()[..],
            [Event::Ruled(_), Event::Started(_), Event::Concluded(_)]
        ));
    });
}

#[test]
fn the_verdict_on_record_is_the_one_that_was_given() {
    on_each_store(async |world| {
        let run = world.run("bot").await;
        let permit = run.allowed("note.read", json!({})).await;
        let entry = world.ledger.entries(permit.receipt().position, 1).await.unwrap().pop().unwrap();
        let Event::Ruled(ruled) = entry.event else { panic!("{entry:?}") };
        assert_eq!(ruled.decision.verdict, Verdict::Allow);
        assert_eq!(ruled.decision, *permit.get().decision());
        assert_eq!(ruled.principal.agent, AgentId::new("bot").unwrap());
        world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
    });
}
