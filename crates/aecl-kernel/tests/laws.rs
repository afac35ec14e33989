//! Laws over generated input: what holds for every sequence of proposals, answers and outcomes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_kernel::base::amount::Amount;
use aecl_kernel::base::code;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, AgentId, ApprovalId, PersonId, RunId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::catalogue::Reversibility;
use aecl_kernel::define::catalogue::flow::Audience;
use aecl_kernel::define::risk::{Exposure, Recent, Weights, assess};
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::{Action, Mode};
use aecl_kernel::record::approval::{ApprovalState, ApproverRule, Quorum, Vote};
use aecl_kernel::record::decision::Verdict;
use aecl_kernel::record::event::{Entry, Event, OutcomeKind};
use aecl_kernel::record::facts::{Fact, FactKey, Facts, Kill, KillScope};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{World, action, bundle, keyed, lasting, principal, proposal};

// --- Histories

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Propose { agent: usize, action: usize, amount: i64, key: Option<u8>, dry: bool },
    Answer { ask: usize, person: u8, yes: bool },
    Conclude { of: usize, outcome: u8, untrusted: bool, private: bool },
    Undo { of: usize },
    Wait { seconds: u64 },
    Expire { ask: usize },
    Kill { scope: u8, lift: bool },
    Close { run: usize },
    Revoke,
}

const AGENTS: [&str; 3] = ["support_agent", "treasury_agent", "finance_agent_v2"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, 0..8usize, -10i64..12_000, proptest::option::of(0..6u8), prop::bool::weighted(0.1))
            .prop_map(|(agent, action, amount, key, dry)| Step::Propose { agent, action, amount, key, dry }),
        4 => (any::<usize>(), 0..4u8, prop::bool::weighted(0.8)).prop_map(|(ask, person, yes)| Step::Answer { ask, person, yes }),
        5 => (any::<usize>(), 0..3u8, any::<bool>(), any::<bool>())
            .prop_map(|(of, outcome, untrusted, private)| Step::Conclude { of, outcome, untrusted, private }),
        2 => any::<usize>().prop_map(|of| Step::Undo { of }),
        2 => (0..4000u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => any::<usize>().prop_map(|ask| Step::Expire { ask }),
        1 => (0..3u8, prop::bool::weighted(0.8)).prop_map(|(scope, lift)| Step::Kill { scope, lift }),
        1 => (0..3usize).prop_map(|run| Step::Close { run }),
        1 => Just(Step::Revoke),
    ]
}

struct Story {
    world: World,
    runs: Vec<Principal>,
    asks: Vec<aecl_kernel::record::approval::ApprovalRequest>,
    permits: Vec<ActionId>,
}

impl Story {
    fn new() -> Self {
        let mut world = World::acme();
        let mut runs = Vec::new();
        for (n, agent) in AGENTS.iter().enumerate() {
            let mut who = principal(agent);
            who.run = RunId::new(&format!("run_{n}")).unwrap();
            world.open(&who);
            runs.push(who);
        }
        // The third is a child of the second.
        world.open_child(&runs[2], std::slice::from_ref(&runs[1].run));
        Self { world, runs, asks: Vec::new(), permits: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Propose { agent, action, amount, key, dry } => {
                let who = self.runs[*agent].clone();
                let money = format!("{}.{:02}", amount / 100, amount.rem_euclid(100));
                let (name, arguments) = match action {
                    0 => ("read_ticket", json!({"ticket": amount.to_string()})),
                    1 => ("search_web", json!({"query": "q"})),
                    2 | 3 => ("refund_payment", json!({"order": "1", "amount": money})),
                    4 => ("send_email", json!({"to": ["x@acme.example"], "subject": "s", "body": money})),
                    5 => ("pay_invoice", json!({"invoice": "1", "amount": amount})),
                    6 => ("transfer_funds", json!({"amount": money, "currency": "EUR", "to": "v"})),
                    _ => ("read_invoice", json!({"invoice": "1"})),
                };
                let mut p = lasting(proposal(&who, name, &arguments));
                if let Some(key) = key {
                    p = keyed(p, &format!("k{key}"));
                }
                if *dry {
                    p.mode = Mode::DryRun;
                }
                self.propose(p);
            }
            Step::Answer { ask, person, yes } => {
                if let Some(ask) = self.asks.get(ask % self.asks.len().max(1)) {
                    let groups = ["support_leads", "treasurers", "operators", "security", "data_owners"];
                    let _ = self.world.answer(&ask.approval, &format!("p{person}"), &groups, *yes);
                }
            }
            Step::Conclude { of, outcome, untrusted, private } => {
                if let Some(id) = self.permits.get(of % self.permits.len().max(1)).cloned() {
                    let outcome =
                        [OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Unknown][usize::from(*outcome)];
                    let labels = Labels { untrusted: *untrusted, private: *private, ..Labels::default() };
                    self.world.conclude_with(&id, outcome, labels);
                }
            }
            Step::Undo { of } => {
                if let Some(id) = self.permits.get(of % self.permits.len().max(1)).cloned() {
                    let mut p = lasting(proposal(
                        &self.runs[0].clone(),
                        "cancel_refund",
                        &json!({"refund": id.as_str()}),
                    ));
                    p.compensates = Some(id);
                    self.propose(p);
                }
            }
            Step::Wait { seconds } => self.world.later_s(*seconds),
            Step::Expire { ask } => {
                if let Some(ask) = self.asks.get(ask % self.asks.len().max(1)).cloned() {
                    let now = self.world.now;
                    let open = matches!(self.world.space.get(&FactKey::Approval(ask.approval.clone())),
                        Some(Fact::Approval(a)) if matches!(a.state, ApprovalState::Pending | ApprovalState::Approved) && a.state_at(now) == ApprovalState::Expired);
                    if open {
                        self.world.expire(&ask);
                    }
                }
            }
            Step::Kill { scope, lift } => {
                let scope = match scope {
                    0 => KillScope::All,
                    1 => KillScope::Agent(AgentId::new("support_agent").unwrap()),
                    _ => KillScope::Run(self.runs[1].run.clone()),
                };
                self.world.kill(scope.clone());
                if *lift {
                    let lift = aecl_kernel::record::event::KillChanged {
                        scope,
                        by: "ann".into(),
                        reason: String::new(),
                    };
                    self.world.record(None, Event::Lift(lift));
                }
            }
            Step::Close { run } => {
                let who = self.runs[*run].clone();
                self.world.close(&who.run);
                // And another begins.
                let ancestors = if *run == 2 { vec![self.runs[1].run.clone()] } else { Vec::new() };
                self.world.open_child(&who, &ancestors);
            }
            Step::Revoke => self.world.revoke("tok_0"),
        }
    }

    fn propose(&mut self, p: aecl_kernel::read::action::Proposal) {
        match self.world.propose(p) {
            Ruling::Allowed(permit) => self.permits.push(permit.id().clone()),
            Ruling::Waiting(wait) => self.asks.push(wait.ask.clone()),
            Ruling::Blocked(_) | Ruling::Replayed(_) | Ruling::Answered(_) => {}
        }
    }
}

/// The limits that Acme's manifests write.
fn limit(meter: &str) -> Decimal {
    let limit = match meter {
        m if m.starts_with("run:") => 200,
        "tenant:acme/EUR/day/" => 50_000,
        m if m.ends_with("/rows/hour/send_email") => 50,
        other => panic!("no limit known for `{other}`"),
    };
    Decimal::from(limit)
}

fn folded(entries: &[Entry]) -> BTreeMap<FactKey, Fact> {
    let mut space = BTreeMap::new();
    for entry in entries {
        let Ok(()) = entry.apply(&mut space);
    }
    space
}

/// Decides again from what is on record, as a re-decision does.
fn again(entry: &Entry, world: &World, arguments: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let Event::Ruled(ruled) = &entry.event else { return None };
    let proposal = aecl_kernel::read::action::Proposal {
        principal: ruled.principal.clone(),
        credential: ruled.credential.clone(),
        name: ruled.name.clone(),
        arguments: arguments.to_string().into_bytes(),
        mode: ruled.mode,
        idempotency_key: ruled.idempotency_key.clone(),
        offered: ruled.offered,
        compensates: ruled.compensates.clone(),
        resume: ruled.resume,
    };
    let action = Arc::new(Action::parse(proposal, world.bundle.catalogue(), &Limits::default()));
    assert_eq!(action.digest, ruled.digest);
    let question = DecisionRequest {
        action: &action,
        facts: &ruled.facts,
        bundle: &world.bundle,
        evidence: &ruled.evidence,
        now: ruled.now,
    };
    let fresh = NewIds { action: ActionId::new("x").unwrap(), approval: ApprovalId::new("y").unwrap() };
    let ruling = decide(&question, &action, fresh);
    Some((serde_json::to_vec(&**ruling.decision()).unwrap(), serde_json::to_vec(&*ruled.decision).unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn history_holds_its_laws(steps in proptest::collection::vec(step(), 1..60)) {
        let mut story = Story::new();
        for step in &steps {
            story.take(step);
            for (name, meter) in story.world.meters() {
                prop_assert!(meter.used >= Decimal::ZERO && meter.held >= Decimal::ZERO, "{name}: {meter:?} after {step:?}");
                prop_assert!(meter.used + meter.held <= limit(&name), "{name}: {meter:?} after {step:?}");
            }
            let active = |agent: &str| match story.world.space.get(&FactKey::Active(AgentId::new(agent).unwrap())) {
                Some(Fact::Active(n)) => *n,
                _ => 0,
            };
            prop_assert!(active("support_agent") <= 2, "after {step:?}");
        }
        let world = &story.world;

        // Facts are a fold over the entries, and over nothing else.
        let once = folded(&world.entries);
        prop_assert_eq!(&once, &world.space);
        prop_assert_eq!(&once, &folded(&world.entries));

        for entry in &world.entries {
            // An entry reads back as itself, byte for byte.
            let bytes = serde_json::to_vec(entry).unwrap();
            let read: Entry = serde_json::from_slice(&bytes).map_err(|e| TestCaseError::fail(format!("{e}: {}", String::from_utf8_lossy(&bytes))))?;
            prop_assert_eq!(&read, entry);
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), bytes.clone());
            // And has one meaning for every reader.
            prop_assert!(aecl_kernel::base::json::Document::parse(&bytes, &Limits::default()).is_ok(), "{}", String::from_utf8_lossy(&bytes));
        }
        // The fold over what was written and read is the same fold.
        let read: Vec<Entry> = world.entries.iter().map(|e| serde_json::from_slice(&serde_json::to_vec(e).unwrap()).unwrap()).collect();
        prop_assert_eq!(&folded(&read), &once);
        for fact in once.values() {
            let text = serde_json::to_string(fact).unwrap();
            let read: Fact = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, fact);
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }

    /// The same facts give the same decision, also when they were written down in between.
    #[test]
    fn same_facts_same_decision(
        agent in 0..3usize, choice in 0..4usize, amount in 0i64..15_000, untrusted: bool, private: bool, points in 0u32..200,
        steps in proptest::collection::vec(step(), 0..25),
    ) {
        let mut story = Story::new();
        for step in &steps {
            story.take(step);
        }
        let who = story.runs[agent].clone();
        story.world.seen(&who.run, untrusted, private);
        let (name, arguments) = match choice {
            0 => ("refund_payment", json!({"order": "1", "amount": format!("{}.50", amount / 100)})),
            1 => ("pay_invoice", json!({"invoice": "1", "amount": amount})),
            2 => ("send_email", json!({"to": ["x@acme.example"], "subject": "s", "body": "b"})),
            _ => ("read_ticket", json!({"ticket": "1"})),
        };
        let evidence = [Evidence { judge: "j".into(), about: "goal".into(), points, said: "odd".into(), ..Evidence::default() }];
        story.world.propose_with(lasting(proposal(&who, name, &arguments)), &evidence);
        let ruled = story.world.entries.iter().rev().find(|e| matches!(e.event, Event::Ruled(_))).unwrap();
        let (first, recorded) = again(ruled, &story.world, &arguments).unwrap();
        prop_assert_eq!(String::from_utf8(first).unwrap(), String::from_utf8(recorded).unwrap());
        let read: Entry = serde_json::from_slice(&serde_json::to_vec(ruled).unwrap()).unwrap();
        let (from_record, recorded) = again(&read, &story.world, &arguments).unwrap();
        prop_assert_eq!(from_record, recorded);
    }
}

/// Every kind of event, also those that no history here has.
#[test]
fn every_kind_of_event_reads_back() {
    let digest = aecl_kernel::base::digest::Digest::of(b"x");
    let events = [
        json!({"kind": "bundle_loaded", "bundle": digest, "sources": digest, "agents": 1, "actions": 2}),
        json!({"kind": "sandbox_probed", "lowered": {"to": "native", "reason": "r"}, "found": [{"backend": "runsc",
            "tier": "gvisor", "available": false, "reason": "r", "version": "v", "memory": true, "cpu": false}],
            "modules": {"available": false, "reason": "r", "version": ""}}),
        json!({"kind": "token_issued", "token": "tok_1", "expires_at": "2026-01-06T10:00:00.000Z"}),
        json!({"kind": "token_issued", "token": "tok_2", "expires_at": "2026-01-06T10:00:00.000Z", "from": "tok_1"}),
        json!({"kind": "token_revoked", "token": "tok_1", "by": "ann"}),
        json!({"kind": "run_closed", "reason": "done", "by": "ann"}),
        json!({"kind": "withdrawn", "approval": "apr_1", "action": "act_1", "code": "run_closed", "message": "m"}),
        json!({"kind": "withdrawn", "approval": "apr_1", "action": "act_1", "message": "asked about otherwise"}),
        json!({"kind": "kill", "scope": "all", "by": "ann", "reason": "odd"}),
        json!({"kind": "lift", "scope": {"tenant": "acme"}, "by": "ann", "reason": "fixed"}),
        json!({"kind": "budget_adjusted", "meter": "m", "now": {"window": 3, "used": "1.50", "held": "0"}, "by": "ann", "reason": "r"}),
        json!({"kind": "erased", "payload": digest, "ground": "art. 17", "by": "ann"}),
        json!({"kind": "key_changed", "key": "k"}),
        json!({"kind": "heartbeat", "in_flight": 0}),
        json!({"kind": "fault", "code": "internal", "message": "m"}),
    ];
    for event in events {
        let mut entry =
            json!({"v": 1, "position": 7, "at": "2026-01-06T10:00:00.000Z", "run": "run_1", "seq": 2});
        entry.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let read: Entry = serde_json::from_value(entry.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), entry);
        assert_eq!(read.event.kind(), event["kind"]);
        let bytes = serde_json::to_vec(&read).unwrap();
        assert_eq!(serde_json::to_vec(&serde_json::from_slice::<Entry>(&bytes).unwrap()).unwrap(), bytes);
    }
    let unknown = json!({"v": 1, "position": 7, "at": "2026-01-06T10:00:00.000Z", "kind": "rewritten"});
    assert!(serde_json::from_value::<Entry>(unknown).is_err(), "a kind that nobody knows");
}

// --- Nothing loosens

fn verdict(world: &World, action: &Arc<Action>, facts: &Facts, evidence: &[Evidence]) -> Verdict {
    let question = DecisionRequest { action, facts, bundle: &world.bundle, evidence, now: world.now };
    let fresh = NewIds { action: ActionId::new("x").unwrap(), approval: ApprovalId::new("y").unwrap() };
    decide(&question, action, fresh).decision().verdict
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_more_reason_never_loosens_a_decision(
        agent in 0..3usize, choice in 0..5usize, amount in 0i64..15_000, approved: bool,
        steps in proptest::collection::vec(step(), 0..20),
        points in proptest::collection::vec(prop_oneof![0u32..120, Just(u32::MAX)], 1..4),
    ) {
        let mut story = Story::new();
        for step in &steps {
            story.take(step);
        }
        let who = story.runs[agent].clone();
        let (name, arguments) = match choice {
            0 => ("refund_payment", json!({"order": "1", "amount": format!("{}.50", amount / 100)})),
            1 => ("pay_invoice", json!({"invoice": "1", "amount": amount})),
            2 => ("send_email", json!({"to": ["x@acme.example"], "subject": "s", "body": "b"})),
            3 => ("nothing", json!({})),
            _ => ("read_ticket", json!({"ticket": "1"})),
        };
        let proposal = lasting(proposal(&who, name, &arguments));
        if approved && let Ruling::Waiting(wait) = story.world.propose(proposal.clone()) {
            story.world.everybody_agrees(&wait.ask.clone());
        }
        let world = &mut story.world;
        let action = Arc::new(Action::parse(proposal, world.bundle.catalogue(), &Limits::default()));
        let Ok(facts) = Facts::gather(&action, &world.bundle, None, world.now, &mut world.space);
        let before = verdict(world, &action, &facts, &[]);

        let evidence: Vec<Evidence> = points.iter().map(|points| Evidence { judge: "j".into(), about: "a".into(), points: *points, said: "s".into(), ..Evidence::default() }).collect();
        for n in 1..=evidence.len() {
            prop_assert!(verdict(world, &action, &facts, &evidence[..n]) >= verdict(world, &action, &facts, &evidence[..n - 1]), "evidence");
        }
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut facts = facts.clone();
            change(&mut facts);
            verdict(world, &action, &facts, &[])
        };
        prop_assert!(with(&|f| f.run.iter_mut().for_each(|r| r.labels.untrusted = true)) >= before, "untrusted");
        prop_assert!(with(&|f| f.run.iter_mut().for_each(|r| r.labels.private = true)) >= before, "private");
        prop_assert!(with(&|f| f.run.iter_mut().for_each(|r| r.calls += 10_000)) >= before, "calls");
        prop_assert!(with(&|f| f.active += 100) >= before, "active");
        prop_assert!(with(&|f| f.meters.values_mut().for_each(|m| m.used += Decimal::ONE)) >= before, "used");
        prop_assert!(with(&|f| f.rates.values_mut().for_each(|r| r.full_at_us += 60_000_000)) >= before, "rates");
        prop_assert_eq!(with(&|f| f.revoked = true), Verdict::Block);
        prop_assert_eq!(with(&|f| f.run = None), Verdict::Block);
        prop_assert_eq!(with(&|f| f.run.iter_mut().for_each(|r| r.closed = Some("over".into()))), Verdict::Block);
        let kill = Kill { by: "ann".into(), reason: "odd".into(), at: Timestamp(0) };
        prop_assert_eq!(with(&|f| drop(f.kills.insert("all".into(), kill.clone()))), Verdict::Block);
        // A yes that is taken away, or is for something else, is no yes.
        prop_assert!(with(&|f| f.ask = None) >= before, "no approval");
        prop_assert!(with(&|f| f.ask.iter_mut().for_each(|a| a.votes.clear())) >= before, "no votes");
        let without = with(&|f| f.ask = None);
        let other = aecl_kernel::base::digest::Digest::of(b"other");
        prop_assert_eq!(with(&|f| f.ask.iter_mut().for_each(|a| a.digest = other)), without, "another digest");
        prop_assert!(with(&|f| f.ask.iter_mut().for_each(|a| a.expires_at = world.now)) >= before, "expired");
    }

    /// Without a request, or with anything but enough votes, nothing that asks for a person is allowed.
    #[test]
    fn only_enough_people_turn_a_question_into_a_yes(count in 1u32..4, voters in proptest::collection::vec((0..5u8, 0..3usize, any::<bool>()), 0..8)) {
        let groups = [&["leads"][..], &["security"], &["leads", "security"]];
        let mut need = Quorum::default();
        need.add(ApproverRule { groups: ["leads".to_owned()].into(), count }, 60);
        need.add(ApproverRule { groups: ["security".to_owned()].into(), count: 1 }, 60);
        let votes: Vec<Vote> = voters.iter().map(|(person, group, yes)| Vote {
            person: PersonId::new(&format!("p{person}")).unwrap(),
            groups: groups[*group].iter().map(|g| (*g).to_owned()).collect(),
            yes: *yes, at: Timestamp(0), reason: String::new(), endorse: false, confirmed: false,
        }).collect();
        // The same, counted by trying everything: who sits where.
        let mut people: BTreeMap<&str, &Vote> = BTreeMap::new();
        for vote in votes.iter().filter(|v| v.yes) {
            people.entry(vote.person.as_str()).or_insert(vote);
        }
        let people: Vec<&Vote> = people.into_values().collect();
        let enough = (0..1u32 << people.len()).any(|security| {
            let mut left = 0;
            let mut right = 0;
            for (n, vote) in people.iter().enumerate() {
                if security >> n & 1 == 1 {
                    right += u32::from(vote.groups.contains("security"));
                } else {
                    left += u32::from(vote.groups.contains("leads"));
                }
            }
            left >= count && right >= 1
        });
        prop_assert_eq!(need.met_by(&votes), enough);
        let mut turned = votes.clone();
        turned.reverse();
        if turned.iter().map(|v| &v.person).collect::<std::collections::BTreeSet<_>>().len() == turned.len() {
            prop_assert_eq!(need.met_by(&turned), enough, "the order of votes says nothing");
        }
    }

    #[test]
    fn risk_grows_with_every_factor(
        amount in 0u64..200_000, more in 0u64..200_000, rows in 0u64..300, more_rows in 0u64..300, flags in 0u32..64, points in 0u32..150,
        weights in (0u32..200, 0u32..200, 0u32..200, 0u32..200, prop_oneof![0u32..200, Just(u32::MAX)]),
    ) {
        let weights = Weights {
            amount: weights.0, irreversible: weights.1, production: weights.2, bulk: weights.3, untrusted: weights.4, ..Weights::default()
        };
        let eur = |n: u64| Amount { value: Decimal::from(n), unit: "EUR".into() };
        let evidence = [Evidence { judge: "j".into(), about: "a".into(), points, said: "s".into(), ..Evidence::default() }];
        let (small, large) = (eur(amount), eur(amount + more));
        let flag = |n: u32| flags >> n & 1 == 1;
        let base = || Exposure {
            amount: flag(0).then_some(&small),
            reversibility: Reversibility::Reversible,
            window: false,
            changes: flag(1),
            environment: if flag(2) { "production" } else { "sandbox" },
            rows: flag(3).then_some(rows),
            bulk: flag(4),
            untrusted: flag(5),
            evidence: &[],
            severity: 0,
            egress: Audience::None,
            private: false,
            of_limit: None,
            recent: Recent::default(),
            doubts: &[],
        };
        let points = |e: Exposure<'_>| assess(&e, &weights).points;
        let before = points(base());
        prop_assert!(before <= 100);
        let window = || Exposure { reversibility: Reversibility::Compensatable, window: true, ..base() };
        let larger = [
            ("amount", points(Exposure { amount: Some(&large), ..base() })),
            ("compensatable", points(Exposure { reversibility: Reversibility::Compensatable, ..base() })),
            ("compensatable for a while", points(window())),
            ("irreversible", points(Exposure { reversibility: Reversibility::Irreversible, ..base() })),
            ("changes", points(Exposure { changes: true, ..base() })),
            ("production", points(Exposure { environment: "production", ..base() })),
            ("rows", points(Exposure { rows: Some(rows + more_rows), ..base() })),
            ("bulk", points(Exposure { bulk: true, ..base() })),
            ("untrusted", points(Exposure { untrusted: true, ..base() })),
            ("evidence", points(Exposure { evidence: &evidence, ..base() })),
            ("severity", points(Exposure { severity: 3, ..base() })),
            ("egress", points(Exposure { egress: Audience::External, ..base() })),
            ("private", points(Exposure { private: true, ..base() })),
            ("limit", points(Exposure { of_limit: Some(60), ..base() })),
            ("sum", points(Exposure { recent: Recent { amount: Some(Decimal::MAX), ..Recent::default() }, ..base() })),
            ("first", points(Exposure { recent: Recent { first_action: true, first_destination: true, ..Recent::default() }, ..base() })),
            ("doubts", points(Exposure { doubts: &[code::OFF_INTENT, code::UNPROVEN_TARGET], ..base() })),
        ];
        for (what, after) in larger {
            prop_assert!(after >= before, "{what}: {before} became {after}");
        }
        prop_assert!(larger[2].1 >= larger[1].1 && larger[3].1 >= larger[2].1, "the less can be undone");
        let assessed = assess(&base(), &weights);
        let sum: u64 = assessed.factors.iter().map(|f| u64::from(f.points)).sum();
        prop_assert_eq!(u64::from(assessed.points), sum.min(100), "every point has its factor");
    }
}

// --- Slices

/// The scope and the condition of a rule, in Cedar.
fn rule() -> impl Strategy<Value = String> {
    let principals = prop::sample::select(vec![
        "principal",
        "principal == Agent::\"a\"",
        "principal == Agent::\"b\"",
        "principal in Agent::\"a\"",
        "principal is Agent",
        "principal is Agent in Agent::\"b\"",
    ]);
    let actions = prop::sample::select(vec![
        "action",
        "action == Action::\"pay\"",
        "action == Action::\"read\"",
        "action in Action::\"pay\"",
        "action in [Action::\"effect:pay\"]",
        "action in [Action::\"read\", Action::\"effect:send\"]",
        "action in [Action::\"reversibility:reversible\"]",
        "action == Action::\"effect:pay\"",
    ]);
    let resources =
        prop::sample::select(vec!["resource", "resource == Resource::\"x\"", "resource is Resource"]);
    let conditions = prop::sample::select(vec![
        "",
        "when { context.run.untrusted }",
        "when { context.run.calls > 1 }",
        "unless { context.approval.granted }",
        "when { context.run.private } unless { context.approval.granted }",
        "when { context.environment == \"production\" }",
        "when { context.run.calls * 9223372036854775807 > 1 }",
    ]);
    (principals, actions, resources, conditions)
        .prop_map(|(p, a, r, c)| format!("forbid({p}, {a}, {r}) {c};"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A slice answers as all rules together would: each rule is made to matter to everybody by moving its
    /// scope into its condition, where slicing cannot see it.
    #[test]
    fn slice_answers_as_all_rules_would(rules in proptest::collection::vec(rule(), 0..8), agent in 0..2usize, name in 0..3usize, calls in 0u64..3, untrusted: bool, private: bool) {
        let hidden: String = rules.iter().map(|r| hide_scope(r)).collect();
        let agents = json!([
            {"agent_id": "a", "allowed_actions": ["pay", "read"], "auto_approve_threshold": 1},
            {"agent_id": "b", "allowed_actions": ["pay", "mail"], "auto_approve_threshold": 1},
        ]);
        let actions = json!([
            {"name": "pay", "effect": "pay", "reversibility": "reversible", "arguments": {"type": "object", "properties": {"to": {"type": "string"}}}, "fields": {"resource": "/to"}},
            action("read", "read", json!({})),
            action("mail", "send", json!({})),
        ]);
        let ask = |rules: &str| {
            let mut world = World::new(bundle(&agents, &actions, rules));
            let who = principal(["a", "b"][agent]);
            world.open(&who);
            if let Some(Fact::Run(run)) = world.space.get_mut(&FactKey::Run(who.run.clone())) {
                run.calls = calls;
                run.labels = Labels { untrusted, private, ..Labels::default() };
            }
            let arguments = if name == 0 { json!({"to": "x"}) } else { json!({}) };
            let ruling = world.propose(proposal(&who, ["pay", "read", "mail"][name], &arguments));
            let decision = ruling.decision();
            // A rule that is in no slice cannot err there; one that matters to everybody can.
            (decision.verdict, decision.headline, decision.policies.len())
        };
        let sliced = ask(&rules.join("\n"));
        let whole = ask(&hidden);
        prop_assert_eq!(sliced, whole, "{}\n{}", rules.join("\n"), hidden);
    }
}

/// `forbid(principal == A, action, resource) when {c}` as `forbid(principal, action, resource) when { principal == A && c }`.
fn hide_scope(rule: &str) -> String {
    let (head, rest) = rule.strip_prefix("forbid(").unwrap().split_once(")").unwrap();
    let mut parts = Vec::new();
    let mut depth = 0;
    let mut from = 0;
    for (at, c) in head.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(head[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(head[from..].trim());
    let scope: Vec<String> = parts
        .iter()
        .zip(["principal", "action", "resource"])
        .filter(|(part, var)| *part != var)
        .map(|(part, _)| format!("({part})"))
        .collect();
    let scope = if scope.is_empty() { "true".to_owned() } else { scope.join(" && ") };
    // `when` and `unless` are asked in order, so the scope comes first and an error behind it stays behind it.
    format!("forbid(principal, action, resource) when {{ {scope} }} {rest}\n")
}

#[test]
fn hidden_scope_is_the_same_rule() {
    assert_eq!(
        hide_scope(
            "forbid(principal == Agent::\"a\", action in [Action::\"x\", Action::\"y\"], resource) when { c };"
        ),
        "forbid(principal, action, resource) when { (principal == Agent::\"a\") && (action in [Action::\"x\", Action::\"y\"]) }  when { c };\n"
    );
}
