//! A gate in a house of our own: a store that fails on demand, a clock that we turn, a world that we see.

use aecl_analysis::load::VettedBundle;
use aecl_executor::fake::{FakeWorld, Mood};
use aecl_executor::{Connectors, Executor};
use aecl_gate::submit::{Answer, End, Submission};
use aecl_gate::{Clock, Gate, GateError, Identity, Parts, Session};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, AgentId, PersonId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::{Entry, Event};
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::replay::{redecide, verify_facts};
use aecl_ledger::store::{Batch, Faults, Faulty, Memory, Store as _};
use aecl_ledger::{Auditor, verify_store};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Long enough for anything that will happen, short enough for a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// 2026-01-01.
const START_MS: i64 = 1_767_225_600_000;

/// A fact to set, or to delete.
type FactRow = (String, Option<Vec<u8>>);

pub struct House {
    memory: Memory,
    pub faults: Faults,
    pub world: Arc<FakeWorld>,
    pub gate: Gate,
    pub clock: Machine,
}

/// A machine: what has passed on it, in milliseconds, and how far its wall clock is off.
#[derive(Clone, Default)]
pub struct Machine {
    passed: Arc<AtomicI64>,
    off: Arc<AtomicI64>,
}

impl Machine {
    fn clock(&self) -> Clock {
        let (wall, passed) = (self.clone(), self.clone());
        let passed = move || Duration::from_millis(u64::try_from(passed.passed_ms()).unwrap());
        Clock::of(move || Timestamp(wall.right().0 + wall.off.load(Ordering::SeqCst)), passed)
    }

    fn passed_ms(&self) -> i64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// What a wall clock would say that is right.
    pub fn right(&self) -> Timestamp {
        Timestamp(START_MS + self.passed_ms())
    }
}

/// What the catalogue of the house has.
fn actions() -> Value {
    let by = |argument: &str, kind: &str| json!({"type": "object", "properties": {argument: {"type": kind}}, "required": [argument]});
    let connector = json!({"kind": "mcp", "server": "world", "tool": "any"});
    let amount = json!({"value": "/eur", "unit": "EUR"});
    let refund = json!({"action": "refund", "arguments": {"payment": {"from": "result", "at": "/id"}}, "window_s": 86_400});
    let calm = json!({"untrusted": false, "private": false});
    json!([
        {"name": "look", "effect": "read", "idempotency": "pure", "arguments": by("at", "string"), "connector": connector},
        {"name": "note", "effect": "write", "reversibility": "reversible", "idempotency": "keyed", "arguments": by("text", "string"),
         "output": calm, "connector": connector, "timeout_ms": 200},
        {"name": "poke", "effect": "write", "authorize": true, "reversibility": "reversible", "arguments": by("text", "string"),
         "output": calm, "connector": connector, "timeout_ms": 200},
        {"name": "pay", "effect": "pay", "idempotency": "keyed", "arguments": by("eur", "number"), "fields": {"amount": amount},
         "approval": {"expires_s": 600}, "compensation": refund, "output": calm, "connector": connector, "timeout_ms": 200},
        {"name": "wire", "effect": "pay", "idempotency": "keyed", "arguments": by("eur", "number"), "fields": {"amount": amount},
         "approval": {"count": 2}, "compensation": refund, "output": calm, "connector": connector},
        {"name": "refund", "effect": "pay", "reversibility": "reversible", "idempotency": "keyed", "arguments": by("payment", "string"),
         "output": calm, "connector": connector},
        {"name": "transfer", "effect": "pay", "reversibility": "reversible", "output": calm, "connector": connector,
         "arguments": {"type": "object", "properties": {"to": {"type": "string"}, "eur": {"type": "number"}}},
         "args": {"to": {"class": "dest_account"}, "eur": {"class": "magnitude", "limit": 500}}},
        {"name": "rename", "effect": "write", "reversibility": "reversible", "output": calm, "connector": connector,
         "arguments": {"type": "object", "properties": {"name": {"type": "string"}, "to_name": {"type": "string"}}},
         "args": {"name": {"class": "target_name"}, "to_name": {"class": "content"}}},
        {"name": "fetch", "effect": "read", "arguments": by("at", "string"), "timeout_ms": 600_000},
        {"name": "spend", "effect": "pay", "reversibility": "reversible", "arguments": by("eur", "number"), "fields": {"amount": amount},
         "output": calm},
        {"name": "send", "effect": "pay", "arguments": by("eur", "number"), "compensation": refund, "output": calm},
        {"name": "contacts", "effect": "read", "authorize": true, "arguments": by("of", "string"), "connector": connector,
         "outputs": [{"path": "/*/name", "endorses": "directory", "taints": false, "type": "name"},
                     {"path": "/*/iban", "endorses": "directory", "taints": false, "type": "account"}]},
        {"name": "permit.draft", "effect": "write", "authorize": true, "reversibility": "reversible", "severity": 1, "egress": "none",
         "output": calm, "connector": connector, "timeout_ms": 200, "arguments": by("plot", "string"),
         "args": {"plot": {"class": "target_name"}}, "intent": {"strong": ["lodge"]},
         "outputs": [{"path": "/id", "endorses": "agent", "taints": false, "type": "id"}]},
        follows("permit.lodge", 2),
        follows("permit.seal", 3),
        {"name": "permit.amend", "effect": "write", "reversibility": "reversible", "severity": 1, "egress": "none", "output": calm,
         "connector": connector, "arguments": by("permit", "string"), "args": {"permit": {"class": "target_id"}}},
        {"name": "case.get", "effect": "read", "arguments": by("id", "string"), "connector": connector, "timeout_ms": 200},
        of_case("case.close", "write", json!({}), json!({})),
        of_case("case.note", "write", json!({"text": {"type": "string"}}), json!({"missing": "ask"})),
        of_case("case.print", "read", json!({"copy": {"type": "integer"}}), json!({"cache_s": 60})),
        of_case("case.shut", "write", json!({}), json!({"cache_s": 60})),
        of_case("case.shred", "write", json!({}), json!({})),
        counted(of_case("case.purge", "write", json!({}), json!({}))),
    ])
}

/// What completes the draft of a permit, and cannot be undone.
fn follows(name: &str, severity: u8) -> Value {
    json!({"name": name, "effect": "write", "reversibility": "irreversible", "severity": severity, "egress": "none",
           "approval": {"always": false, "unless_proven": true}, "output": {"untrusted": false, "private": false},
           "connector": {"kind": "mcp", "server": "world", "tool": "any"}, "timeout_ms": 200, "intent": {"strong": ["none"]},
           "arguments": {"type": "object", "properties": {"permit": {"type": "string"}}, "required": ["permit"]},
           "args": {"permit": {"class": "target_id"}},
           "completes": {"action": "permit.draft", "argument": "permit", "issued": "/id"}})
}

/// An action about a case, which its own system tells about.
fn of_case(name: &str, effect: &str, more: Value, declared: Value) -> Value {
    let mut properties = json!({"case": {"type": "string"}});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut resource = json!({
        "type": "Case", "read": "case.get", "arguments": {"id": {"from": "arguments", "at": "/case"}},
        "attributes": {"holder": {"at": "/holder", "type": "text"}, "state": {"at": "/state", "type": "text"}},
    });
    resource.as_object_mut().unwrap().extend(declared.as_object().unwrap().clone());
    json!({"name": name, "effect": effect, "reversibility": "reversible", "severity": 1, "resource": resource,
           "connector": {"kind": "mcp", "server": "world", "tool": "any"}, "timeout_ms": 1000,
           "output": {"untrusted": false, "private": false},
           "arguments": {"type": "object", "properties": properties, "required": ["case"]}})
}

/// The same, of which the target counts what it touches.
fn counted(mut action: Value) -> Value {
    action["dry_run"] = json!({"supported": true});
    action
}

/// Rules about cases.
const RULES: &str = r#"
@reason("a case is its holder's")
forbid (principal, action, resource is Case) unless { context has user && resource.holder == context.user };
@reason("only what is open is closed")
forbid (principal, action in [Action::"case.close", Action::"case.shut", Action::"case.shred", Action::"case.purge"], resource)
unless { resource.state == "open" };
@reason("somebody agrees to shredding")
forbid (principal, action == Action::"case.shred", resource) unless { context.approval.granted };
"#;

fn agents() -> Value {
    json!([
        {"agent_id": "clerk", "max_questions_per_run": 100, "allowed_actions": ["look", "note", "poke", "pay", "wire", "transfer", "rename", "contacts", "fetch", "spend", "send"], "blocked_actions": [],
         "run_ttl_seconds": 1200, "token_ttl_seconds": 900,
         "budgets": [{"unit": "EUR", "limit": "1000", "per": "day"}]},
        {"agent_id": "builder", "auto_approve_threshold": "1.00",
         "allowed_actions": ["look", "permit.draft", "permit.lodge", "permit.seal", "permit.amend"]},
        {"agent_id": "reader", "allowed_actions": ["look"]},
        {"agent_id": "wary", "mode": "strict", "allowed_actions": ["look", "transfer"]},
        {"agent_id": "keeper", "max_questions_per_run": 100, "max_concurrent_calls": 50,
         "allowed_actions": ["look", "case.close", "case.note", "case.print", "case.shut", "case.shred", "case.purge"]},
        {"agent_id": "planner", "allowed_actions": ["look", "note"], "plans": "approve"},
        {"agent_id": "patient", "max_questions_per_run": 10_000, "allowed_actions": ["pay"]},
        {"agent_id": "careful", "allowed_actions": ["pay"], "context_rules": {"refund": "requires_human_approval"}},
    ])
}

/// The policy of the house.
pub fn sources() -> Vec<Source> {
    let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
    let rules = Source { path: "rules/cases.cedar".into(), text: RULES.into() };
    vec![source("actions/all.json", actions()), source("agents/all.json", agents()), rules]
}

impl House {
    pub async fn new() -> Self {
        let world = Arc::new(FakeWorld::default());
        world.turn(Mood::Answers(r#"{"id":"p1"}"#.into()));
        Self::open(Memory::new(), world, Machine::default()).await.unwrap()
    }

    /// A house with judges of intent.
    pub async fn judged(judges: Value) -> Self {
        let world = Arc::new(FakeWorld::default());
        let clock = Machine::default();
        let house = Self::open_with(json!({ "judges": judges }), Memory::new(), world, clock).await.unwrap();
        house.world.turn(Mood::Answers(r#"{"id":"p1"}"#.into()));
        house
    }

    /// A house whose configuration knows these people.
    pub async fn with_people(people: Value) -> Self {
        let world = Arc::new(FakeWorld::default());
        Self::open_with(json!({ "people": people }), Memory::new(), world, Machine::default()).await.unwrap()
    }

    /// A house that records little of what comes to nothing, in bytes a minute.
    pub async fn terse(per_min: u64) -> Self {
        let limits = json!({ "limits": { "refused_bytes_per_min": per_min } });
        Self::open_with(limits, Memory::new(), Arc::new(FakeWorld::default()), Machine::default())
            .await
            .unwrap()
    }

    async fn open(memory: Memory, world: Arc<FakeWorld>, clock: Machine) -> Result<Self, GateError> {
        Self::open_with(json!({}), memory, world, clock).await
    }

    async fn open_with(
        more: Value,
        memory: Memory,
        world: Arc<FakeWorld>,
        clock: Machine,
    ) -> Result<Self, GateError> {
        let mut config = json!({"origin": "example.com/walk", "people": everybody()});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (store, faults) = Faulty::new(Box::new(memory.reopen()));
        let parts = Parts {
            config: serde_json::from_value(config).unwrap(),
            bundle: VettedBundle::load(sources()).unwrap(),
            store: Box::new(store),
            ledger_key: SigningKey::from_bytes(&[7; 32]),
            token_key: SigningKey::from_bytes(&[8; 32]),
            executor: Executor::new(Connectors::of_world(world.clone())),
            clock: clock.clock(),
        };
        let gate = Gate::of_parts(parts).await?;
        Ok(Self { memory, faults, world, gate, clock })
    }

    /// The same house after its process has ended: what was durable is there, nothing else.
    pub async fn reopened(self) -> Self {
        let Self { memory, world, clock, gate, .. } = self;
        drop(gate);
        Self::open(memory, world, clock).await.unwrap()
    }

    /// The same with other people in its configuration.
    pub async fn reopened_with_people(self, people: Value) -> Self {
        let Self { memory, world, clock, gate, .. } = self;
        drop(gate);
        Self::open_with(json!({ "people": people }), memory, world, clock).await.unwrap()
    }

    /// The same after somebody has edited the facts meanwhile.
    pub async fn reopened_after_edits(self, facts: Vec<FactRow>) -> Result<Self, GateError> {
        self.edited(facts);
        let Self { memory, world, clock, gate, .. } = self;
        drop(gate);
        Self::open(memory, world, clock).await
    }

    /// Somebody edits the facts, past the ledger.
    pub fn edited(&self, facts: Vec<FactRow>) {
        let mut store = self.memory.reopen();
        let first = store.head().unwrap().size;
        store.commit(&Batch { first, facts, ..Batch::default() }).unwrap();
    }

    /// What is stored under the keys that begin so.
    pub fn stored(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        self.memory.reopen().scan(prefix, None, 100).unwrap()
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.passed.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// The wall clock is off by so much from now on; what really passes is not touched.
    pub fn wall_is_off_by(&self, seconds: i64) {
        self.clock.off.store(seconds * 1000, Ordering::SeqCst);
    }

    pub async fn run_of(&self, agent: &str) -> Session {
        self.gate.open_run(&person("ann"), request(agent)).await.unwrap().session
    }

    pub async fn clerk(&self) -> Session {
        self.run_of("clerk").await
    }

    pub async fn submit(&self, session: &Session, name: &str, arguments: Value) -> Answer {
        self.gate.submit(session, submission(name, arguments)).await.unwrap()
    }

    /// Proposes in a task of its own and waits there until it is decided.
    pub fn propose(
        &self,
        session: &Session,
        submission: Submission,
    ) -> tokio::task::JoinHandle<Result<Answer, GateError>> {
        let (gate, session) = (self.gate.clone(), session.clone());
        let submission = Submission { wait: PATIENCE, ..submission };
        tokio::spawn(async move { gate.submit(&session, submission).await })
    }

    /// The one request that is open, once there is one.
    pub async fn asked(&self) -> ApprovalRequest {
        for _ in 0..1000 {
            if let Some(ask) = self.gate.approvals(10).await.unwrap().pop() {
                return ask;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody was asked");
    }

    pub async fn yes(&self, who: &str, ask: &ApprovalRequest) -> Result<ApprovalRequest, GateError> {
        self.gate.answer(&person(who), &ask.approval, true, String::new(), None).await
    }

    pub async fn no(&self, who: &str, ask: &ApprovalRequest) -> Result<ApprovalRequest, GateError> {
        self.gate.answer(&person(who), &ask.approval, false, "not today".into(), None).await
    }

    pub async fn state(&self, action: &ActionId) -> ActionState {
        self.gate.ledger().action(action).await.unwrap().unwrap().state
    }

    /// Waits until the action is in this state.
    pub async fn until(&self, action: &ActionId, state: ActionState) {
        for _ in 0..1000 {
            if self.state(action).await == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("`{action}` is {}, not {}", self.state(action).await.name(), state.name());
    }

    /// Waits until so many rulings have come out like this.
    pub async fn ruled(&self, outcome: &str, count: usize) {
        for _ in 0..1000 {
            let is = |e: &&Entry| matches!(&e.event, Event::Ruled(r) if r.outcome == outcome);
            if self.entries().await.iter().filter(is).count() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("there are no {count} rulings `{outcome}`");
    }

    /// Time passes until no request can be on its way any more, and what is unknown is looked up.
    pub async fn looked_up(&self) {
        self.pass(31);
        self.gate.reconcile().await.unwrap();
    }

    /// Actions that were begun and have no conclusion at all.
    pub async fn begun(&self) -> Vec<ActionId> {
        let mut begun = Vec::new();
        for id in self.gate.ledger().in_flight() {
            if self.state(&id).await == ActionState::Started {
                begun.push(id);
            }
        }
        begun
    }

    pub async fn entries(&self) -> Vec<Entry> {
        self.gate.ledger().entries(0, 10_000).await.unwrap()
    }

    /// Every decision can be made again, the facts follow from the entries, and an auditor finds nothing.
    pub async fn verified(&self) {
        let ledger = self.gate.ledger();
        let again = ledger.read(|store| redecide(store, 0..u64::MAX)).await.unwrap();
        assert!(again.decisions > 0 && again.mismatches.is_empty(), "{again:?}");
        assert_eq!(ledger.read(verify_facts).await.unwrap().differs, []);
        let auditor = Auditor::new(&**ledger.origin(), ledger.verifier().clone());
        ledger.read(move |store| Ok(verify_store(store, &auditor, None).map(drop))).await.unwrap().unwrap();
    }

    /// How many attempts are on record as begun.
    pub async fn started(&self) -> usize {
        self.entries().await.iter().filter(|e| matches!(e.event, Event::Started(_))).count()
    }
}

pub fn request(agent: &str) -> aecl_gate::runs::RunRequest {
    aecl_gate::runs::RunRequest {
        agent: AgentId::new(agent).unwrap(),
        goal: "the day's work".into(),
        plan: None,
        user: None,
        tenant: None,
        project: None,
        environment: None,
        ttl_s: None,
        parent: None,
        approve_plan: false,
    }
}

/// Those whom tests name, as the configuration knows them.
pub fn everybody() -> Value {
    let person = |name: &str, groups: &str| known(name, json!({ "groups": [groups] }));
    let operators = ["ann", "bob", "cid", "dan"].map(|name| person(name, "operators"));
    operators.into_iter().chain([person("eve", "visitors")]).collect()
}

/// A person of the configuration.
pub fn known(name: &str, more: Value) -> Value {
    let mut person = json!({ "id": name, "key": Digest::of(name.as_bytes()) });
    person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    person
}

pub fn person(name: &str) -> Identity {
    let groups = if name == "eve" { "visitors" } else { "operators" };
    Identity::Person { id: PersonId::new(name).unwrap(), groups: [groups.to_owned()].into() }
}

pub fn submission(name: &str, arguments: Value) -> Submission {
    Submission { name: name.into(), arguments: arguments.to_string().into_bytes(), ..Submission::default() }
}

pub fn keyed(name: &str, arguments: Value, key: &str) -> Submission {
    Submission { idempotency_key: Some(key.into()), ..submission(name, arguments) }
}

/// How it ended, in a line: what tests compare.
pub fn end(answer: &Answer) -> String {
    match &answer.end {
        End::Concluded { outcome, code, replayed, .. } => {
            let code = code.as_deref().map_or(String::new(), |c| format!(" {c}"));
            format!("{}{code}{}", outcome.name(), if *replayed { " (replayed)" } else { "" })
        }
        End::Blocked { code, .. } => format!("blocked {code}"),
        End::Pending(ask) => format!("pending {}", ask.state.name()),
        End::Underway => "underway".into(),
        End::Permitted { .. } => "permitted".into(),
        End::Asked { .. } => "asked".into(),
    }
}
