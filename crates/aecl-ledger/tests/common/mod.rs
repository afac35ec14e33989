//! A small world for the tests of this room: one bundle, a clock that the test moves, names that count up.

#![allow(dead_code, reason = "each test file uses its own part")]

use aecl_analysis::load::VettedBundle;
use aecl_analysis::outlook::Stated;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, AgentId, ApprovalId, Environment, PersonId, RunId, TenantId, UserId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::request::NewIds;
use aecl_kernel::decide::{Permit, Refusal, Ruling, Wait};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::read::plan::PlanProgress;
use aecl_kernel::record::approval::{ApprovalRequest, Vote};
use aecl_kernel::record::begun::Beginnings;
use aecl_kernel::record::event::{Concluded, Entry, OutcomeKind};
use aecl_kernel::record::facts::{Fact, FactKey, RunFact};
use aecl_kernel::record::goal::Goal;
use aecl_kernel::record::usage::Meter;
use aecl_ledger::store::{Faults, Memory, Store, StoreCall, StoreConfig, StorePlace};
use aecl_ledger::{
    Auditor, Conclusion, Export, Ledger, LedgerError, OpenRun, Recorded, Rule, Signer, export, redecide,
    verify_export, verify_facts, verify_store,
};
use aecl_proof::VerifierKey;
use ed25519_dalek::SigningKey;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub const ORIGIN: &str = "ledger.test/acme";
/// Thursday, 1 January 2026, noon.
pub const NOON: i64 = 1_767_268_800_000;

pub fn signer() -> Signer {
    Signer { origin: ORIGIN.into(), key: SigningKey::from_bytes(&[7; 32]) }
}

pub fn verifier() -> VerifierKey {
    signer().verifier().unwrap()
}

pub fn sources() -> Vec<Source> {
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let text = json!({"type": "string"});
    let pay = |name: &str, extra: Value| {
        let mut action = json!({
            "name": name, "effect": "pay", "reversibility": "reversible",
            "arguments": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}, "to": text}},
            "fields": {"amount": {"value": "/amount", "unit": "EUR"}, "resource": "/to"},
        });
        action.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        action
    };
    let actions = json!([
        {"name": "note.read", "effect": "read", "arguments": object(json!({"id": text}))},
        {"name": "note.blocked", "effect": "read", "arguments": object(json!({}))},
        {"name": "note.unlisted", "effect": "read", "arguments": object(json!({}))},
        {"name": "note.fast", "effect": "read", "arguments": object(json!({"n": {"type": "integer"}}))},
        {"name": "db.drop", "effect": "delete", "reversibility": "irreversible", "arguments": object(json!({"table": text}))},
        {"name": "keys.turn", "effect": "write", "reversibility": "reversible", "arguments": object(json!({"n": {"type": "integer"}})),
            "approval": {"approvers": ["ops"], "count": 2, "expires_s": 60}},
        pay("pay.send", json!({"reversibility": "compensatable", "compensation":
            {"action": "pay.refund", "arguments": {"amount": {"from": "arguments", "at": "/amount"}}}})),
        pay("pay.refund", json!({})),
    ]);
    let bot = json!({
        "agent_id": "bot",
        "allowed_actions": ["note.read", "note.fast", "note.blocked", "db.drop", "keys.turn", "pay.send"],
        "blocked_actions": ["note.blocked"],
        "budgets": [{"unit": "EUR", "limit": "100", "per": "day", "of": "tenant"}],
        "rate_limits": [{"calls": 3, "per_s": 60, "actions": ["note.fast"]}],
        "auto_approve_threshold": "0.60",
    });
    let narrow = json!({
        "agent_id": "narrow", "allowed_actions": ["note.read"], "max_concurrent_calls": 2,
        "max_tool_calls_per_run": 5,
    });
    vec![
        Source { path: "actions/all.json".into(), text: actions.to_string() },
        Source { path: "agents/bot.json".into(), text: bot.to_string() },
        Source { path: "agents/narrow.json".into(), text: narrow.to_string() },
    ]
}

pub fn bundle() -> Arc<Bundle> {
    Arc::new(VettedBundle::load(sources()).unwrap_or_else(|p| panic!("{p:#?}")).into_bundle())
}

/// A ledger with everything that a test needs around it. Clones share it all.
#[derive(Clone)]
pub struct World {
    pub ledger: Ledger,
    pub bundle: Arc<Bundle>,
    pub clock: Arc<AtomicI64>,
    pub names: Arc<AtomicU64>,
}

impl World {
    pub fn open(store: Box<dyn Store>) -> Self {
        Self::try_open(store).unwrap()
    }

    pub fn try_open(store: Box<dyn Store>) -> Result<Self, LedgerError> {
        Ok(Self {
            ledger: Ledger::open(store, signer())?,
            bundle: bundle(),
            clock: Arc::new(AtomicI64::new(NOON)),
            names: Arc::new(AtomicU64::new(1)),
        })
    }

    pub fn memory() -> Self {
        Self::open(Box::new(Memory::new()))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Names from here on count up from `from`, so that a reopened world does not use old ones.
    pub fn names_from(&self, from: u64) {
        self.names.store(from, Ordering::SeqCst);
    }

    pub fn number(&self) -> u64 {
        self.names.fetch_add(1, Ordering::SeqCst)
    }

    pub fn fresh(&self) -> NewIds {
        let n = self.number();
        NewIds {
            action: action_id(&format!("act_{n}")),
            approval: ApprovalId::new(&format!("apr_{n}")).unwrap(),
        }
    }

    pub async fn run(&self, agent: &str) -> Run {
        self.run_named(agent, &format!("run_{}", self.number())).await.unwrap()
    }

    pub async fn run_named(&self, agent: &str, name: &str) -> Result<Run, LedgerError> {
        self.run_for(agent, name, &format!("what {name} is for")).await
    }

    /// A run whose user wants this.
    pub async fn run_for(&self, agent: &str, name: &str, goal: &str) -> Result<Run, LedgerError> {
        let principal = principal(agent, name);
        let open = OpenRun {
            principal: principal.clone(),
            goal: Goal::new(goal.into(), None),
            expires_at: self.now().plus_s(1200),
            parent: None,
            follows: None,
            ask: None,
            barred: std::collections::BTreeSet::new(),
            by: "test".into(),
        };
        self.ledger.open_run(open, self.now()).await?;
        Ok(Run { world: self.clone(), principal })
    }

    /// A run with a plan that people are asked about.
    pub async fn planned(&self, steps: Value) -> (Run, ApprovalRequest) {
        let principal = principal("bot", &format!("run_{}", self.number()));
        let goal = Goal::new("as planned".into(), Some(json!({"steps": steps})));
        let (now, expires_at) = (self.now(), self.now().plus_s(1200));
        let run = RunFact {
            principal: principal.clone(),
            goal: Digest::of(goal.text.as_bytes()),
            opened_at: now,
            expires_at,
            closed: None,
            ancestors: Vec::new(),
            follows: Vec::new(),
            calls: 0,
            labels: Labels::default(),
            failing: None,
            failures: 0,
            next_seq: 0,
            late: false,
            planned: true,
            step: PlanProgress::default(),
            plan_approval: None,
            proposed: None,
            questions: 0,
            trusted_bytes: 0,
            barred: std::collections::BTreeSet::new(),
            endorsers: BTreeMap::new(),
            beginnings: Beginnings::default(),
        };
        let known = BTreeMap::new();
        let stated = Stated {
            goal: &goal,
            run: &run,
            lineage: &[],
            known: &known,
            bundle: &self.bundle,
            cages: None,
            now,
            midway: None,
        };
        let ask = stated.ask(None, &self.fresh()).unwrap_or_else(|(_, why)| panic!("{why}"));
        let open = OpenRun {
            principal: principal.clone(),
            goal: goal.clone(),
            expires_at,
            parent: None,
            follows: None,
            ask: Some(ask.clone()),
            barred: std::collections::BTreeSet::new(),
            by: "test".into(),
        };
        self.ledger.open_run(open, now).await.unwrap();
        (Run { world: self.clone(), principal }, ask)
    }

    /// A run that is on record already.
    pub fn known_run(&self, agent: &str, name: &str) -> Run {
        Run { world: self.clone(), principal: principal(agent, name) }
    }

    pub async fn conclude(
        &self,
        id: &ActionId,
        outcome: OutcomeKind,
    ) -> Result<Recorded<Concluded>, LedgerError> {
        self.ledger.conclude(conclusion(id, outcome), self.now()).await
    }

    pub async fn resolve(
        &self,
        id: &ActionId,
        outcome: OutcomeKind,
    ) -> Result<Recorded<Concluded>, LedgerError> {
        let conclusion = Conclusion { resolved_by: Some("ann".into()), ..conclusion(id, outcome) };
        self.ledger.conclude(conclusion, self.now()).await
    }

    pub async fn vote(
        &self,
        ask: &ApprovalRequest,
        person: &str,
        groups: &[&str],
        yes: bool,
    ) -> Result<aecl_kernel::record::approval::ApprovalState, LedgerError> {
        let vote = Vote {
            person: PersonId::new(person).unwrap(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            yes,
            at: self.now(),
            reason: "because".into(),
            endorse: false,
            confirmed: false,
        };
        Ok(self.ledger.answer(ask.approval.clone(), vote, None).await?.get().state)
    }

    pub async fn meter(&self, name: &str) -> Meter {
        let key = FactKey::Meter(name.into()).to_string();
        let bytes = self.ledger.read(move |store| Ok(store.load(&[key])?.remove(0))).await.unwrap();
        match bytes.map(|b| serde_json::from_slice::<Fact>(&b).unwrap()) {
            Some(Fact::Meter(meter)) => meter,
            _ => Meter::default(),
        }
    }

    /// Used and held of the tenant's euros.
    pub async fn euros(&self) -> (Decimal, Decimal) {
        let meter = self.meter("tenant:acme/EUR/day/").await;
        (meter.used, meter.held)
    }

    pub async fn kinds(&self) -> Vec<&'static str> {
        self.ledger.entries(0, usize::MAX).await.unwrap().iter().map(|e| e.event.kind()).collect()
    }

    pub async fn size(&self) -> u64 {
        self.ledger.head().await.unwrap().size
    }
}

#[derive(Clone)]
pub struct Run {
    pub world: World,
    pub principal: Principal,
}

impl Run {
    pub fn id(&self) -> &RunId {
        &self.principal.run
    }

    pub fn proposal(&self, name: &str, arguments: &str) -> Proposal {
        Proposal {
            principal: self.principal.clone(),
            credential: Credential {
                id: "tok_1".into(),
                run: self.principal.run.clone(),
                agent: self.principal.agent.clone(),
                expires_at: Timestamp(NOON).plus_s(3650 * 86_400),
            },
            name: name.into(),
            arguments: arguments.as_bytes().to_vec(),
            mode: Mode::Execute,
            idempotency_key: None,
            offered: None,
            compensates: None,
            resume: false,
        }
    }

    pub async fn submit(&self, proposal: Proposal) -> Result<Recorded<Ruling>, LedgerError> {
        let world = &self.world;
        let action = Arc::new(Action::parse(proposal, world.bundle.catalogue(), &Limits::default()));
        let rule = Rule {
            action,
            evidence: Vec::new(),
            bundle: world.bundle.clone(),
            fresh: world.fresh(),
            again: None,
            people: None,
            now: world.now(),
        };
        world.ledger.rule(rule).await
    }

    pub async fn propose(&self, name: &str, arguments: Value) -> Recorded<Ruling> {
        self.submit(self.proposal(name, &arguments.to_string())).await.unwrap()
    }

    pub async fn keyed(&self, key: &str, name: &str, arguments: Value) -> Recorded<Ruling> {
        let proposal =
            Proposal { idempotency_key: Some(key.into()), ..self.proposal(name, &arguments.to_string()) };
        self.submit(proposal).await.unwrap()
    }

    pub async fn allowed(&self, name: &str, arguments: Value) -> Recorded<Permit> {
        allowed(self.propose(name, arguments).await)
    }

    /// Proposes, is allowed, and is done.
    pub async fn done(&self, name: &str, arguments: Value) -> ActionId {
        let permit = self.allowed(name, arguments).await;
        self.world.conclude(permit.get().id(), OutcomeKind::Done).await.unwrap();
        permit.get().id().clone()
    }
}

pub fn principal(agent: &str, run: &str) -> Principal {
    Principal {
        agent: AgentId::new(agent).unwrap(),
        user: Some(UserId::new("ursula").unwrap()),
        tenant: TenantId::new("acme").unwrap(),
        project: None,
        environment: Environment::new("test").unwrap(),
        run: RunId::new(run).unwrap(),
    }
}

pub fn action_id(name: &str) -> ActionId {
    ActionId::new(name).unwrap()
}

pub fn conclusion(id: &ActionId, outcome: OutcomeKind) -> Conclusion {
    Conclusion {
        action: id.clone(),
        outcome,
        code: None,
        message: String::new(),
        output: Some(b"\"what came back\"".to_vec()),
        may_have_acted: false,
        labels: Labels::default(),
        trusted: Vec::new(),
        issued: Vec::new(),
        latency_ms: 3,
        sandbox: "none".into(),
        traffic: None,
        resolved_by: None,
    }
}

pub fn allowed(ruling: Recorded<Ruling>) -> Recorded<Permit> {
    match ruling.split().0 {
        Ruling::Allowed(permit) => permit,
        other => panic!("expected a permit: {other:?}"),
    }
}

pub fn blocked(ruling: Recorded<Ruling>) -> Refusal {
    match ruling.split().0 {
        Ruling::Blocked(refusal) => refusal,
        other => panic!("expected a refusal: {other:?}"),
    }
}

pub fn waiting(ruling: Recorded<Ruling>) -> Wait {
    match ruling.split().0 {
        Ruling::Waiting(wait) => wait,
        other => panic!("expected a wait: {other:?}"),
    }
}

/// The headline of a refusal.
pub fn code(ruling: Recorded<Ruling>) -> &'static str {
    blocked(ruling).decision.headline.unwrap().as_str()
}

/// Runs a test on a runtime with two threads.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Place of a ledger in this directory, without a key.
pub fn file(dir: &Path) -> Box<dyn StorePlace> {
    StoreConfig::default().place(dir, None)
}

/// The store in it, for writing.
pub fn on_disk(dir: &Path) -> Box<dyn Store> {
    file(dir).write(None).unwrap()
}

/// Runs a test on every store.
pub fn on_each_store<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    let dirs: Vec<_> = StoreConfig::all().map(|kind| (kind, scratch())).collect();
    let durable = dirs.iter().map(|(kind, dir)| kind.place(dir.path(), None).write(None).unwrap());
    let (faulty, _faults) = aecl_ledger::store::Faulty::new(Box::new(Memory::new()));
    let forgetful: [Box<dyn Store>; 2] = [Box::new(Memory::new()), Box::new(faulty)];
    for store in forgetful.into_iter().chain(durable) {
        block_on(async {
            let world = World::open(store);
            test(world.clone()).await;
            audit(&world).await;
        });
    }
}

pub fn auditor() -> Auditor {
    Auditor::new(ORIGIN, verifier())
}

/// What must hold after every test.
pub async fn audit(world: &World) {
    let audit = |store: &mut dyn Store| {
        audit_store(store);
        Ok(())
    };
    world.ledger.read(audit).await.unwrap();
}

pub fn audit_store(store: &mut dyn Store) {
    let report = verify_store(store, &auditor(), None).unwrap_or_else(|finding| panic!("{finding}"));
    assert_eq!(report.payloads_missing, 0);
    for (position, bytes) in store.entries(0, usize::MAX).unwrap() {
        // Every reader sees the same: no key stands twice, no number is rounded, and nothing is lost.
        aecl_kernel::base::json::Document::parse(&bytes, &Limits::default()).unwrap();
        let entry: Entry = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((entry.position, serde_json::to_vec(&entry).unwrap()), (position, bytes));
    }
    let dir = scratch();
    let exported = export(store, dir.path(), true, &mut |_| {}).unwrap();
    let from_files =
        verify_export(dir.path(), &auditor(), None).unwrap_or_else(|finding| panic!("{finding}"));
    assert_eq!(exported.entries, report.entries);
    assert_eq!(serde_json::to_value(&from_files).unwrap(), serde_json::to_value(&report).unwrap());

    // The same facts give the same decisions, from the store and from files alone.
    let decisions: u64 = report.decisions.values().sum();
    for store in [&mut *store, &mut Export::open(dir.path()).unwrap()] {
        let again = redecide(store, 0..u64::MAX).unwrap();
        assert!(again.mismatches.is_empty() && again.unavailable.is_empty(), "{again:#?}");
        assert_eq!(again.decisions + again.turned_away, decisions);
    }
    // And the facts are what the entries say.
    let facts = verify_facts(store).unwrap();
    assert!(facts.differs.is_empty(), "{:#?}", facts.differs);
}

/// Every stored fact, as it is stored.
pub async fn all_facts(world: &World) -> Vec<(String, Vec<u8>)> {
    world.ledger.read(|store| Ok(store.scan("", None, usize::MAX)?)).await.unwrap()
}

/// A directory in memory if there is one: what is tested in it is not the disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::TempDir::new_in(memory).unwrap()
    } else {
        tempfile::TempDir::new().unwrap()
    }
}

/// All files below, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

const READS: [StoreCall; 7] = [
    StoreCall::Head,
    StoreCall::Load,
    StoreCall::Scan,
    StoreCall::Entries,
    StoreCall::EntriesOfRun,
    StoreCall::EntriesOfAction,
    StoreCall::Payload,
];

/// How often a store was read.
pub fn reads(faults: &Faults) -> u64 {
    READS.iter().map(|call| faults.made(*call)).sum()
}
