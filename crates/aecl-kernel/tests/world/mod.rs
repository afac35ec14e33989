//! A small world around the kernel: the bundle of a company called Acme, facts in a map, and a clock that
//! the test moves. It does what the ledger does, in the same order: gather, decide, record, fold.
#![allow(dead_code, reason = "each test file uses its part")]

use aecl_analysis::load::VettedBundle;
use aecl_analysis::outlook::{Midway, Stated};
use aecl_kernel::base::code::Code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, ApprovalId, PersonId, RunId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::isolation::{
    BackendReport, Capabilities, HostIsolation, IsolationTier, Lowered, Modules,
};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::{BundleProblem, Source};
use aecl_kernel::provenance::ingest::ingest;
use aecl_kernel::provenance::issued::issued;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::read::plan::Plan;
use aecl_kernel::record::approval::plan::PlanAsked;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, Vote};
use aecl_kernel::record::event::{
    Answered, Concluded, Entry, Event, Expired, KillChanged, Lapse, OutcomeKind, Ruled, RunClosed, RunOpened,
    Started, TokenRevoked, VERSION, state_goal,
};
use aecl_kernel::record::facts::{
    ActionFact, Fact, FactKey, Facts, KillScope, RunFact, affordable, issue, rest_on,
};
use aecl_kernel::record::goal::{Goal, ProposedPlan};
use aecl_kernel::record::usage::Meter;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Acme's bundle, file by file.
pub fn acme() -> Vec<Source> {
    let file = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    vec![
        file("agents/finance.json", include_str!("../acme/agents/finance.json")),
        file("agents/treasury.json", include_str!("../acme/agents/treasury.json")),
        file("agents/support.json", include_str!("../acme/agents/support.json")),
        file("agents/ops.json", include_str!("../acme/agents/ops.json")),
        file("agents/audit.json", include_str!("../acme/agents/audit.json")),
        file("actions/books.json", include_str!("../acme/actions/books.json")),
        file("actions/finance.json", include_str!("../acme/actions/finance.json")),
        file("actions/support.json", include_str!("../acme/actions/support.json")),
        file("actions/ops.json", include_str!("../acme/actions/ops.json")),
        file("rules/acme.cedar", include_str!("../acme/rules/acme.cedar")),
        file("risk.json", include_str!("../acme/risk.json")),
    ]
}

static ACME: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
    Arc::new(
        VettedBundle::load(acme()).unwrap_or_else(|problems| panic!("{}", lines(&problems))).into_bundle(),
    )
});

/// Problems, one a line.
pub fn lines(problems: &[BundleProblem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

/// A bundle of one agent, with these actions and rules. Parts that are empty are left out.
pub fn sources(agents: &Value, actions: &Value, rules: &str) -> Vec<Source> {
    let file = |path: &str, text: String| Source { path: path.into(), text };
    let mut all =
        vec![file("agents/all.json", agents.to_string()), file("actions/all.json", actions.to_string())];
    if !rules.is_empty() {
        all.push(file("rules/all.cedar", rules.to_owned()));
    }
    all
}

/// Compiles a small bundle that must be right.
pub fn bundle(agents: &Value, actions: &Value, rules: &str) -> Arc<Bundle> {
    Arc::new(
        VettedBundle::load(sources(agents, actions, rules))
            .unwrap_or_else(|p| panic!("{}", lines(&p)))
            .into_bundle(),
    )
}

/// An action that takes these arguments, all of them required.
pub fn action(name: &str, effect: &str, properties: Value) -> Value {
    let required: Vec<String> =
        properties.as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default();
    json!({
        "name": name, "effect": effect, "reversibility": "reversible",
        "arguments": {"type": "object", "properties": properties, "required": required},
    })
}

/// Tuesday, ten in the morning.
pub fn tuesday() -> Timestamp {
    Timestamp::parse("2026-01-06T10:00:00Z").unwrap()
}

/// Facts, entries and a clock.
#[derive(Clone)]
pub struct World {
    pub bundle: Arc<Bundle>,
    pub space: BTreeMap<FactKey, Fact>,
    pub entries: Vec<Entry>,
    pub now: Timestamp,
    called: BTreeMap<ActionId, Arc<Action>>,
    names: u32,
}

impl World {
    pub fn new(bundle: Arc<Bundle>) -> Self {
        Self {
            bundle,
            space: BTreeMap::new(),
            entries: Vec::new(),
            now: tuesday(),
            called: BTreeMap::new(),
            names: 0,
        }
    }

    /// Acme, with nothing in it yet.
    pub fn acme() -> Self {
        Self::new(ACME.clone())
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}_{}", self.names)
    }

    /// Records an event and folds it into the facts.
    pub fn record(&mut self, run: Option<&RunId>, event: Event) {
        let seq = run.map(|run| match self.space.get(&FactKey::Run(run.clone())) {
            Some(Fact::Run(fact)) => fact.next_seq,
            _ => 0,
        });
        let position = self.entries.len() as u64;
        let entry = Entry { v: VERSION, position, at: self.now, run: run.cloned(), seq, beside: None, event };
        let Ok(()) = entry.apply(&mut self.space);
        self.entries.push(entry);
    }

    /// Opens a run for this principal.
    pub fn open(&mut self, principal: &Principal) {
        self.open_child(principal, &[]);
    }

    /// Opens a run for this goal, with a plan if there is one.
    pub fn open_for(&mut self, principal: &Principal, goal: &str, plan: Option<Value>) {
        self.open(principal);
        let Some(Fact::Run(mut fact)) = self.space.get(&FactKey::Run(principal.run.clone())).cloned() else {
            panic!("no run")
        };
        fact.planned = plan.is_some();
        self.space.insert(FactKey::Run(principal.run.clone()), Fact::Run(fact));
        state_goal(&principal.run, Goal::new(goal.into(), plan), &mut self.space);
    }

    /// Puts the plan of a run before people, as whoever opens the run wants.
    pub fn ask_about_plan(&mut self, who: &Principal) -> Result<ApprovalRequest, (Code, String)> {
        let Some(Fact::Goal(goal)) = self.space.get(&FactKey::Goal(who.run.clone())).cloned() else {
            panic!("no goal")
        };
        let run = self.run(&who.run);
        let lineage: Vec<RunFact> = run.ancestors.iter().map(|id| self.run(id)).collect();
        let fresh = NewIds {
            action: ActionId::new(&self.name("act")).unwrap(),
            approval: ApprovalId::new(&self.name("apr")).unwrap(),
        };
        let known = BTreeMap::new();
        let (bundle, now) = (self.bundle.clone(), self.now);
        let stated = Stated {
            goal: &goal,
            run: &run,
            lineage: &lineage,
            known: &known,
            bundle: &bundle,
            cages: None,
            now,
            midway: None,
        };
        let ask = stated.ask(None, &fresh)?;
        self.record(Some(&who.run), Event::Asked(Box::new(ask.clone())));
        Ok(ask)
    }

    /// The agent proposes a plan in the middle of its run, and it is put before people.
    pub fn propose_plan(&mut self, who: &Principal, plan: &Value) -> Result<ApprovalRequest, (Code, String)> {
        let plan = ProposedPlan::new(&Plan::read(plan).unwrap().unwrap());
        let goal = match self.space.get(&FactKey::Goal(who.run.clone())).cloned() {
            Some(Fact::Goal(goal)) => goal,
            _ => Goal::new(String::new(), None),
        };
        let run = self.run(&who.run);
        let lineage: Vec<RunFact> = run.ancestors.iter().map(|id| self.run(id)).collect();
        let fresh = NewIds {
            action: ActionId::new(&self.name("act")).unwrap(),
            approval: ApprovalId::new(&self.name("apr")).unwrap(),
        };
        let (known, bundle, space) = (BTreeMap::new(), self.bundle.clone(), self.space.clone());
        let stated = Stated {
            goal: &goal,
            run: &run,
            lineage: &lineage,
            known: &known,
            bundle: &bundle,
            cages: None,
            now: self.now,
            midway: Some(Midway { plan: &plan, people: None, record: &|key| space.get(key).cloned() }),
        };
        let ask = stated.ask(None, &fresh)?;
        self.record(Some(&who.run), Event::Asked(Box::new(ask.clone())));
        self.space.insert(FactKey::Plan(ask.approval.clone()), Fact::Plan(plan));
        Ok(ask)
    }

    /// A proposal as it is understood here.
    pub fn parsed(&self, proposal: Proposal) -> Action {
        Action::parse(proposal, self.bundle.catalogue(), &Limits::default())
    }

    /// Carries out what was permitted: the target answers this.
    pub fn answers(&mut self, id: &ActionId, output: &Value) {
        let action = self.action(id);
        let typed = self.bundle.catalogue().judged(&action.name, action.definition).unwrap().clone();
        let goal = match self.space.get(&FactKey::Goal(action.run.clone())) {
            Some(Fact::Goal(goal)) if !self.run(&action.run).late => Some(goal.reading()),
            _ => None,
        };
        let (called, output) = (self.called.get(id).cloned(), output.to_string());
        let arguments = called.as_ref().map(|action| action.arguments.value());
        let taken = ingest(&typed, output.as_bytes(), false, goal.as_deref(), arguments);
        let completers = self.bundle.catalogue().completers(&action.name).iter();
        let fields = completers.map(|completer| completer.issued.as_str()).collect();
        let issued =
            called.map_or_else(Vec::new, |called| issued(&called, &typed, &fields, output.as_bytes()));
        let mut labels = taken.labels;
        let (trusted, bytes) = affordable(&taken.trusted, self.run(&action.run).trusted_bytes, &mut labels);
        self.conclude_taking(id, (OutcomeKind::Done, !issued.is_empty()), labels, bytes, false);
        let Ok(()) = rest_on(&action.run, trusted, &mut self.space);
        let Ok(()) = issue(&self.run(&action.run), id, &action.name, issued, &mut self.space);
    }

    /// Proposes a read, which must be allowed, and takes its output in.
    pub fn reads(&mut self, proposal: Proposal, output: &Value) -> ActionId {
        let id = permit(&self.propose(proposal));
        self.answers(&id, output);
        id
    }

    /// Opens a run that was delegated, nearest ancestor first.
    pub fn open_child(&mut self, principal: &Principal, ancestors: &[RunId]) {
        let opened = RunOpened {
            principal: principal.clone(),
            goal: Digest::of(b"a goal"),
            stated: Digest::of(b"a goal and a plan"),
            expires_at: self.now.plus_s(1200),
            ancestors: ancestors.to_vec(),
            follows: Vec::new(),
            labels: Labels::default(),
            late: false,
            planned: false,
            by: "orchestrator".into(),
            barred: std::collections::BTreeSet::new(),
        };
        self.record(Some(&principal.run), Event::RunOpened(Box::new(opened)));
    }

    /// Parses, gathers, decides, records.
    pub fn propose(&mut self, proposal: Proposal) -> Ruling {
        self.propose_with(proposal, &[])
    }

    pub fn propose_with(&mut self, proposal: Proposal, evidence: &[Evidence]) -> Ruling {
        self.propose_knowing(proposal, evidence, |_| {})
    }

    /// The same, where something else is known than what is on record.
    pub fn propose_knowing(
        &mut self,
        proposal: Proposal,
        evidence: &[Evidence],
        change: impl FnOnce(&mut Facts),
    ) -> Ruling {
        let action = Arc::new(Action::parse(proposal, self.bundle.catalogue(), &Limits::default()));
        let Ok(mut facts) = Facts::gather(&action, &self.bundle, None, self.now, &mut self.space);
        change(&mut facts);
        let fresh = NewIds {
            action: ActionId::new(&self.name("act")).unwrap(),
            approval: ApprovalId::new(&self.name("apr")).unwrap(),
        };
        let fresh_id = fresh.action.clone();
        let bundle = self.bundle.clone();
        let question =
            DecisionRequest { action: &action, facts: &facts, bundle: &bundle, evidence, now: self.now };
        let ruling = decide(&question, &action, fresh);
        let id = match &ruling {
            Ruling::Allowed(permit) => permit.id().clone(),
            Ruling::Blocked(refusal) | Ruling::Answered(refusal) => refusal.id.clone(),
            Ruling::Waiting(wait) => wait.id.clone(),
            Ruling::Replayed(_) => fresh_id,
        };
        self.called.insert(id.clone(), action.clone());
        let run = action.principal.run.clone();
        let known_ask = facts.ask.clone();
        let ruled = Ruled {
            action: id.clone(),
            outcome: ruling.outcome().into(),
            name: action.name.clone(),
            digest: action.digest,
            principal: action.principal.clone(),
            credential: action.credential.clone(),
            arguments: action.arguments.digest(),
            unkept: false,
            arguments_bytes: action.arguments.canonical().len() as u64,
            mode: action.mode,
            resume: action.resume,
            idempotency_key: action.idempotency_key.clone(),
            offered: action.offered,
            definition: action.typed.as_ref().map(|t| t.digest),
            effect: action.typed.as_ref().and_then(|t| t.kind()),
            compensates: action.compensates.clone(),
            problems: action.problems.clone(),
            bundle: self.bundle.hash(),
            now: self.now,
            facts,
            evidence: evidence.to_vec(),
            decision: ruling.decision().clone(),
            compensation: action.typed.as_ref().and_then(|t| t.manifest.compensation.clone()),
        };
        self.record(Some(&run), Event::Ruled(Box::new(ruled)));
        match &ruling {
            Ruling::Waiting(wait) if known_ask.as_ref() != Some(&wait.ask) => {
                self.record(Some(&run), Event::Asked(Box::new(wait.ask.clone())));
            }
            Ruling::Allowed(_) => {
                self.record(
                    Some(&run),
                    Event::Started(Started { action: id, attempt: 1, key: "key".into(), labels: None }),
                );
            }
            _ => {}
        }
        ruling
    }

    /// A person answers. The error is the code of the refusal.
    pub fn answer(
        &mut self,
        approval: &ApprovalId,
        person: &str,
        groups: &[&str],
        yes: bool,
    ) -> Result<ApprovalState, &'static str> {
        self.answer_typing(approval, (person, groups), yes, &[])
    }

    /// The same; the person also types this.
    pub fn answer_typing(
        &mut self,
        approval: &ApprovalId,
        (person, groups): (&str, &[&str]),
        yes: bool,
        typed: &[&str],
    ) -> Result<ApprovalState, &'static str> {
        let Some(Fact::Approval(ask)) = self.space.get(&FactKey::Approval(approval.clone())).cloned() else {
            return Err("approval_unknown");
        };
        let vote = Vote {
            person: PersonId::new(person).unwrap(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            yes,
            at: self.now,
            reason: String::new(),
            endorse: false,
            confirmed: ask.is_confirmed_by(&typed.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()),
        };
        let state = ask.admit(&vote, None).map_err(|(code, _)| code.as_str())?;
        let answered = Answered {
            approval: approval.clone(),
            action: ask.action.clone(),
            vote,
            state,
            view: None,
            voters: None,
        };
        self.record(Some(&ask.run), Event::Answered(answered));
        if state == ApprovalState::Rejected && ask.plan.as_ref().is_some_and(PlanAsked::is_declared) {
            self.close(&ask.run);
        }
        Ok(state)
    }

    /// As many distinct people as the request needs say yes.
    pub fn everybody_agrees(&mut self, ask: &ApprovalRequest) {
        let mut n = 0;
        for requirement in &ask.need.requirements {
            let groups: Vec<&str> = requirement.groups.iter().map(String::as_str).collect();
            for _ in 0..requirement.count {
                n += 1;
                self.answer(&ask.approval, &format!("person_{n}"), &groups, true).unwrap();
            }
        }
    }

    /// The sweeper records that nobody answered in time.
    pub fn expire(&mut self, ask: &ApprovalRequest) {
        let lapse = Lapse::of(ask);
        let expired = Expired { approval: ask.approval.clone(), action: ask.action.clone(), lapse };
        self.record(Some(&ask.run), Event::Expired(expired));
    }

    /// An attempt ends.
    pub fn conclude(&mut self, id: &ActionId, outcome: OutcomeKind) {
        self.conclude_with(id, outcome, Labels::default());
    }

    pub fn conclude_with(&mut self, id: &ActionId, outcome: OutcomeKind, labels: Labels) {
        self.conclude_taking(id, (outcome, false), labels, 0, false);
    }

    /// The same; where it has failed, part of it may have happened.
    pub fn conclude_maybe(&mut self, id: &ActionId, outcome: OutcomeKind, may_have_acted: bool) {
        self.conclude_taking(id, (outcome, false), Labels::default(), 0, may_have_acted);
    }

    fn conclude_taking(
        &mut self,
        id: &ActionId,
        (outcome, issued): (OutcomeKind, bool),
        labels: Labels,
        trusted_bytes: u64,
        may_have_acted: bool,
    ) {
        let run = self.action(id).run;
        let concluded = Concluded {
            action: id.clone(),
            outcome,
            code: None,
            message: String::new(),
            output: None,
            output_bytes: 0,
            may_have_acted,
            labels,
            trusted_bytes,
            issued,
            latency_ms: 1,
            sandbox: "none".into(),
            traffic: None,
            approval: None,
            rollback_token: None,
            resolved_by: None,
            reported: false,
        };
        self.record(Some(&run), Event::Concluded(Box::new(concluded)));
    }

    /// Proposes and carries out; it must be allowed.
    pub fn done(&mut self, proposal: Proposal) -> ActionId {
        let id = permit(&self.propose(proposal));
        self.conclude(&id, OutcomeKind::Done);
        id
    }

    /// The gate has found out what holds programs here. All limits are enforced and everything is given, unless
    /// it says so; `before` is from before anybody asked what is given. `modules` and `no modules` are no backend.
    pub fn probed(&mut self, found: &[&str], lowered: Option<IsolationTier>) {
        let one = |words: &&str| {
            let tier = IsolationTier::ALL.into_iter().find(|tier| words.contains(tier.name())).unwrap();
            let (memory, cpu) = (!words.contains("no limit"), !words.contains("no limit"));
            BackendReport {
                backend: words.split([' ', ',']).next().unwrap().into(),
                tier,
                available: !words.contains("missing"),
                reason: "as it is".into(),
                version: "1".into(),
                memory,
                cpu,
                offers: (!words.contains("before")).then(|| Capabilities {
                    views: !words.contains("no views"),
                    overlays: !words.contains("no overlays"),
                    listener: !words.contains("no way out"),
                    unlimited_memory: !words.contains("a size"),
                    host_programs: !words.contains("own programs"),
                }),
            }
        };
        let lowered = lowered.map(|to| Lowered { to, reason: "no KVM until March".into() });
        let (modules, found): (Vec<&str>, Vec<&str>) =
            found.iter().partition(|words| words.ends_with("modules"));
        let modules = modules.first().map(|words| Modules {
            available: *words == "modules",
            reason: "it needs `aecl-wasm`".into(),
            version: "1".into(),
        });
        let found = found.iter().map(one).collect();
        self.record(None, Event::SandboxProbed(HostIsolation { found, modules, lowered }));
    }

    pub fn kill(&mut self, scope: KillScope) {
        self.record(None, Event::Kill(KillChanged { scope, by: "ann".into(), reason: "odd".into() }));
    }

    pub fn close(&mut self, run: &RunId) {
        self.record(Some(run), Event::RunClosed(RunClosed { reason: "done".into(), by: "ann".into() }));
    }

    pub fn revoke(&mut self, token: &str) {
        self.record(None, Event::TokenRevoked(TokenRevoked { token: token.into(), by: "ann".into() }));
    }

    /// The run has seen an output with these labels.
    pub fn seen(&mut self, run: &RunId, untrusted: bool, private: bool) {
        let Some(Fact::Run(mut fact)) = self.space.get(&FactKey::Run(run.clone())).cloned() else {
            panic!("no run")
        };
        fact.labels.join(&Labels { untrusted, private, ..Labels::default() });
        self.space.insert(FactKey::Run(run.clone()), Fact::Run(fact));
    }

    pub fn later_s(&mut self, seconds: u64) {
        self.now = self.now.plus_s(seconds);
    }

    pub fn run(&self, id: &RunId) -> RunFact {
        match self.space.get(&FactKey::Run(id.clone())) {
            Some(Fact::Run(fact)) => fact.clone(),
            other => panic!("no run {id}: {other:?}"),
        }
    }

    pub fn action(&self, id: &ActionId) -> ActionFact {
        match self.space.get(&FactKey::Action(id.clone())) {
            Some(Fact::Action(fact)) => (**fact).clone(),
            other => panic!("no action {id}: {other:?}"),
        }
    }

    pub fn meters(&self) -> BTreeMap<String, Meter> {
        let meter = |(key, fact): (&FactKey, &Fact)| match (key, fact) {
            (FactKey::Meter(name), Fact::Meter(meter)) => Some((name.clone(), meter.clone())),
            _ => None,
        };
        self.space.iter().filter_map(meter).collect()
    }
}

/// The id of what was allowed.
#[track_caller]
pub fn permit(ruling: &Ruling) -> ActionId {
    match ruling {
        Ruling::Allowed(permit) => permit.id().clone(),
        other => panic!("not allowed: {} {:#?}", says(other), other.decision().findings),
    }
}

/// The request that a ruling waits for.
#[track_caller]
pub fn wait(ruling: &Ruling) -> ApprovalRequest {
    match ruling {
        Ruling::Waiting(wait) => wait.ask.clone(),
        other => panic!("not waiting: {} {:#?}", says(other), other.decision().findings),
    }
}

/// What a ruling says, in short: `allow`, `block budget_exceeded`.
pub fn says(ruling: &Ruling) -> String {
    let decision = ruling.decision();
    let headline = decision.headline.map_or(String::new(), |c| format!(" {c}"));
    match ruling {
        Ruling::Replayed(replay) => format!("replay of {}", replay.original),
        Ruling::Answered(_) => format!("answer {}{headline}", decision.verdict.name()),
        Ruling::Allowed(_) | Ruling::Blocked(_) | Ruling::Waiting(_) => {
            format!("{}{headline}", decision.verdict.name())
        }
    }
}

/// A principal in Acme's production.
pub fn principal(agent: &str) -> Principal {
    let read = |value: Value| serde_json::from_value(value).unwrap();
    read(json!({
        "agent": agent, "user": "ann", "tenant": "acme", "project": "helpdesk",
        "environment": "production", "run": "run_1",
    }))
}

/// What an agent sends.
pub fn proposal(principal: &Principal, name: &str, arguments: &Value) -> Proposal {
    raw(principal, name, arguments.to_string().into_bytes())
}

/// What an agent sends, byte for byte.
pub fn raw(principal: &Principal, name: &str, arguments: impl Into<Vec<u8>>) -> Proposal {
    let credential = Credential {
        id: "tok_1".into(),
        run: principal.run.clone(),
        agent: principal.agent.clone(),
        expires_at: tuesday().plus_s(900),
    };
    Proposal {
        principal: principal.clone(),
        credential,
        name: name.into(),
        arguments: arguments.into(),
        mode: Mode::Execute,
        idempotency_key: None,
        offered: None,
        compensates: None,
        resume: false,
    }
}

/// The same, with an idempotency key.
pub fn keyed(mut proposal: Proposal, key: &str) -> Proposal {
    proposal.idempotency_key = Some(key.into());
    proposal
}

/// The same with a token that lives for another day.
pub fn lasting(mut proposal: Proposal) -> Proposal {
    proposal.credential.expires_at = tuesday().plus_s(86_400);
    proposal
}
