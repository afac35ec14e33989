//! Facts: what the ledger knows. Each is stored under a key, read before a decision, and changed only by
//! folding over events, so the table can be rebuilt from the entries.

pub mod keys;

use crate::base::code::Code;
use crate::base::digest::Digest;
use crate::base::id::{ActionId, AgentId, ApprovalId, PersonId, RunId, TenantId};
use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use crate::define::catalogue::Compensation;
use crate::define::catalogue::Effect;
use crate::define::isolation::HostIsolation;
use crate::define::manifest::{Budget, Of, Per, RateLimit};
use crate::provenance::ingest::{Endorsement, TRUSTED_MAX, Trusted};
use crate::provenance::issued::IssuedValue;
use crate::provenance::labels::{Labels, SECRET_UNTRACKED};
use crate::provenance::proof::Provenance;
use crate::read::plan::PlanProgress;
use crate::record::approval::{ApprovalRequest, Summary, Vote, Voters};
use crate::record::begun::{Beginning, Beginnings, BegunFlaw, CALLS_MAX, Issuer, Issuers};
use crate::record::cover::Cover;
use crate::record::goal::{Goal, ProposedPlan};
use crate::record::history::{History, Sum};
use crate::record::usage::{BudgetHold, Meter, Rate};
use keys::TypedKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Key that a fact is kept under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FactKey {
    Run(RunId),
    Goal(RunId),
    Kill(KillScope),
    Meter(String),
    Rate(String),
    Active(AgentId),
    Idempotency(RunId, String),
    AskOf(Digest),
    Approval(ApprovalId),
    Open(ApprovalId),
    /// A request that is open, in short. No decision reads it.
    Summary(ApprovalId),
    /// The plan that an agent has proposed, by the request about it.
    Plan(ApprovalId),
    Action(ActionId),
    InFlight(ActionId),
    Revoked(String),
    /// What a run may rest on, by the digest of an atom.
    Trust(RunId, Digest),
    /// Which calls have issued a value that another may complete, by the first run and what the value is looked for by.
    Issued(RunId, Digest),
    /// How often a run was permitted an action.
    Calls(RunId, String),
    /// How much came together in the last 24 hours.
    Sum(String),
    /// What an agent has done, or reached.
    Known(String),
    /// What this host can hold programs with.
    Cages,
}

impl fmt::Display for FactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactKey::Run(run) => write!(f, "run/{run}"),
            FactKey::Goal(run) => write!(f, "goal/{run}"),
            FactKey::Kill(scope) => write!(f, "kill/{scope}"),
            FactKey::Meter(name) => write!(f, "meter/{name}"),
            FactKey::Rate(name) => write!(f, "rate/{name}"),
            FactKey::Active(agent) => write!(f, "active/{agent}"),
            FactKey::Idempotency(run, key) => write!(f, "idem/{run}/{key}"),
            FactKey::AskOf(digest) => write!(f, "ask/{}", digest.hex()),
            FactKey::Approval(id) => write!(f, "approval/{id}"),
            FactKey::Open(id) => write!(f, "open/{id}"),
            FactKey::Summary(id) => write!(f, "summary/{id}"),
            FactKey::Plan(id) => write!(f, "plan/{id}"),
            FactKey::Action(id) => write!(f, "action/{id}"),
            FactKey::InFlight(id) => write!(f, "flight/{id}"),
            FactKey::Revoked(token) => write!(f, "revoked/{token}"),
            FactKey::Trust(run, atom) => write!(f, "trust/{run}/{}", atom.hex()),
            FactKey::Issued(run, value) => write!(f, "issued/{run}/{}", value.hex()),
            FactKey::Calls(run, action) => write!(f, "calls/{run}/{action}"),
            FactKey::Sum(name) => write!(f, "sum/{name}"),
            FactKey::Known(name) => write!(f, "known/{name}"),
            FactKey::Cages => f.write_str("cages"),
        }
    }
}

/// Scope of a kill switch: what it stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum KillScope {
    All,
    Tenant(TenantId),
    Agent(AgentId),
    Run(RunId),
}

impl KillScope {
    /// Each of which stops this principal; what stops those that it was delegated from comes on top.
    pub fn around(principal: &Principal) -> Vec<Self> {
        vec![
            Self::All,
            Self::Tenant(principal.tenant.clone()),
            Self::Agent(principal.agent.clone()),
            Self::Run(principal.run.clone()),
        ]
    }
}

impl fmt::Display for KillScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KillScope::All => f.write_str("all"),
            KillScope::Tenant(id) => write!(f, "tenant:{id}"),
            KillScope::Agent(id) => write!(f, "agent:{id}"),
            KillScope::Run(id) => write!(f, "run:{id}"),
        }
    }
}

/// A fact, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fact {
    Run(RunFact),
    Goal(Goal),
    Kill(Kill),
    Meter(Meter),
    Rate(Rate),
    Active(u64),
    Idempotency(Used),
    AskOf(ApprovalId),
    Approval(ApprovalRequest),
    Open(Timestamp),
    Summary(Box<Summary>),
    Plan(ProposedPlan),
    Action(Box<ActionFact>),
    InFlight(Timestamp),
    Revoked(Timestamp),
    Trust(Vec<Endorsement>),
    Issued(Issuers),
    Calls(u64),
    Sum(Sum),
    Known(Timestamp),
    Cages(HostIsolation),
}

/// A run, as decisions need it. Its goal is kept apart, since it may be personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFact {
    /// Who acts.
    pub principal: Principal,
    /// SHA-256 of the goal.
    pub goal: Digest,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Why it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Runs that it was delegated from, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<RunId>,
    /// Runs that it goes on from, nearest first. Runs that were opened before this was asked have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follows: Vec<RunId>,
    /// Calls permitted so far.
    pub calls: u64,
    /// What it has seen. What those have seen since from which it comes, [`RunFact::hears`] adds.
    pub labels: Labels,
    /// The digest of the last call, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Digest>,
    /// How often in a row that call has failed.
    #[serde(default)]
    pub failures: u32,
    /// The next number in the run's own sequence.
    pub next_seq: u64,
    /// Its goal was stated after text of strangers had been read, so it may be their words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// A plan was declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
    /// How far it has come in the plan.
    #[serde(default, skip_serializing_if = "PlanProgress::is_start")]
    pub step: PlanProgress,
    /// The request for people's yes to the plan, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_approval: Option<ApprovalId>,
    /// The plan that its agent has proposed last, if it has proposed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<ProposedProgress>,
    /// How often people were asked in it, and in the runs that were delegated from it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub questions: u64,
    /// How much it rests on, in bytes of atoms.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub trusted_bytes: u64,
    /// People who never approve what it proposes. Runs that were opened before this was asked have none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub barred: BTreeSet<PersonId>,
    /// People on whose word it rests values that were asked about, each with the groups for which they answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endorsers: BTreeMap<PersonId, BTreeSet<String>>,
    /// Whether something was begun in it, or in its relatives, that another call may complete.
    #[serde(default, skip_serializing_if = "Beginnings::is_none")]
    pub beginnings: Beginnings,
}

/// Progress of a run in the plan that its agent has proposed in the middle of it. What was done since people were asked
/// counts, whether or not they had agreed by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedProgress {
    /// The request to people.
    pub approval: ApprovalId,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "PlanProgress::is_start")]
    pub step: PlanProgress,
}

/// Most runs that a run goes on from whose later reading counts for it. What those before had read when they were gone on
/// from, it has inherited.
pub const FOLLOWS_MAX: usize = 8;

impl RunFact {
    /// Adds what those have read and begun by now from which it was delegated, or goes on: they may have told it.
    pub fn hears<S: FactStore>(&mut self, space: &mut S) -> Result<(), S::Error> {
        for id in self.ancestors.iter().chain(&self.follows) {
            if let Some(run) = space.find(keys::Run(id.clone()))? {
                self.labels.join(&run.labels);
                self.beginnings = self.beginnings.max(run.beginnings);
            }
        }
        Ok(())
    }
}

fn is_nothing(n: &u64) -> bool {
    *n == 0
}

/// A kill switch that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Who pulled it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A used idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// For what.
    pub digest: Digest,
    /// By which action.
    pub action: ActionId,
}

/// State of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Refused.
    Blocked,
    /// Waiting for a person.
    Waiting,
    /// A person said no, or nobody answered in time.
    Rejected,
    /// Permitted and started; its effect may be happening.
    Started,
    /// Done.
    Done,
    /// It failed, and surely had no effect, or a reported one.
    Failed,
    /// Nobody knows yet.
    Unknown,
    /// Only asked about.
    Asked,
}

impl ActionState {
    /// The name in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            ActionState::Blocked => "blocked",
            ActionState::Waiting => "waiting",
            ActionState::Rejected => "rejected",
            ActionState::Started => "started",
            ActionState::Done => "done",
            ActionState::Failed => "failed",
            ActionState::Unknown => "unknown",
            ActionState::Asked => "asked",
        }
    }
}

/// Undo of an action: whether it has happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Not undone.
    #[default]
    No,
    /// Being undone by this action.
    Underway(ActionId),
    /// Undone by this action.
    Done(ActionId),
    /// This action tried to undo it and its outcome is not good; a person has to look.
    Failed(ActionId),
}

/// An action on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionFact {
    /// Its run.
    pub run: RunId,
    /// Its agent.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// What the proposer wanted.
    pub mode: crate::read::action::Mode,
    /// Where it stands.
    pub state: ActionState,
    /// The headline: why it was refused, or how it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it was first proposed.
    pub proposed_at: Timestamp,
    /// When its present state began.
    pub changed_at: Timestamp,
    /// The approval it waits for or has used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// Carry on by itself after a yes.
    #[serde(default)]
    pub resume: bool,
    /// The proposer's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What it holds of budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<BudgetHold>,
    /// Commitment to the arguments.
    pub arguments: Digest,
    /// It is one of those that are counted as asked for, until it has failed for certain. None of before edition 4 is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// Commitment to the output, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// How it is undone, as declared when it was permitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
    /// Whether it has been undone.
    #[serde(default)]
    pub undo: Undo,
    /// The action that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<ActionId>,
    /// The definition that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// What kind of change it makes, where the action has cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What it acts on, where the goal names all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Digest>,
    /// What stands behind it, where something may complete it without another question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning: Option<Beginning>,
    /// The call that has completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<ActionId>,
    /// A call that carried what it has issued, and may have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<ActionId>,
    /// The call that it completes without a question of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<ActionId>,
    /// The gate has looked here on behalf of a run. It is none of the agent's calls, and the agent has seen nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// That it failed is the agent's own report, so it has given nothing back; somebody may still find out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
    /// The position of its last entry.
    pub position: u64,
}

/// 1: an agent carries out itself only what it may; the mode is part of the digest. 2: what goes to one destination is
/// counted together, however it is written and whatever stands beside it, and it has plain spaces only. 3: a value that
/// leads outside is judged as a destination, whatever its argument is called. 4: destinations of a read are proven like
/// those of a change, or asked about; what is grave is done only to what was chosen, a nuisance is told and not asked about,
/// and who is asked about what cannot be undone is told what is missing. 5: each thing that the goal names may be acted on
/// once where it asks for one, `strict` refuses what a stranger's sentence says and asks about the rest, and words that the goal
/// gives are all that is written. 6: that something cannot be undone is no risk by itself where its entry says `unless_proven`, the
/// goal asks for it and everything that matters is named; an empty address says nothing of what is written beside it. 7: what
/// completes a call that was asked for or agreed to is no question of its own.
pub const EDITION: u32 = 7;

fn is_first(edition: &u32) -> bool {
    *edition == 0
}

/// Facts that one decision was based on. They are recorded with the decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// By which rules it was decided, where one came later than the first decisions: [`EDITION`]. Decisions that were
    /// recorded before are made again as they were made.
    #[serde(skip_serializing_if = "is_first")]
    pub edition: u32,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFact>,
    /// The runs that it was delegated from, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<RunFact>,
    /// Kill switches that are on and reach this action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kills: BTreeMap<String, Kill>,
    /// Meters of the budgets that apply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<String, Meter>,
    /// Rates that apply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, Rate>,
    /// Calls of the agent that are in flight.
    pub active: u64,
    /// The earlier use of the idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<(Used, ActionState)>,
    /// The request for approval of this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<ApprovalRequest>,
    /// The action that this one undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// The token was revoked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// Where the arguments come from: in a run that has read what strangers wrote, or has a plan. Decisions
    /// that were recorded before this was asked have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// What people said about the plan, if the action is a step of it. Decisions that were recorded before this was
    /// asked have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<Cover>,
    /// The same of the plan that the agent has proposed in the middle of its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Cover>,
    /// The call that it would complete. Decisions that were recorded before this was asked have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<BegunCall>,
    /// Calls that something else may complete and that it may change, each with what is completing it at this moment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub touched: BTreeMap<ActionId, Option<ActionId>>,
    /// It carries more values than are looked for among those that were issued.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sweeping: bool,
    /// What the agent did before. Decisions that were recorded before this was asked have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<History>,
    /// What this host can hold programs with, where a program carries the action out. Decisions that were
    /// recorded before this was asked have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cages: Option<HostIsolation>,
    /// What those are now who have answered. Decisions that were recorded before this was asked have none, and no
    /// decision has that is made where nobody has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voters: Option<Voters>,
}

/// Original of an undo, as far as a decision about that needs to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Original {
    /// Where it stands.
    pub state: ActionState,
    /// Whether it is undone.
    pub undo: Undo,
    /// How it is undone.
    pub compensation: Option<Compensation>,
    /// When it was done.
    pub changed_at: Timestamp,
    /// Whose it was.
    pub agent: AgentId,
    /// What came of it is what the agent has reported of itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
}

/// Call that a proposal would complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BegunCall {
    /// The call.
    pub action: ActionId,
    /// Why what was issued is not what this call of this run has issued, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<BegunFlaw>,
    /// Where it stands.
    pub state: ActionState,
    /// It was undone, or somebody has tried.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
    /// What stands behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning: Option<Beginning>,
    /// What has completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<ActionId>,
    /// What was done to it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<ActionId>,
    /// Arguments of the proposal that are the same as in this call, by their JSON pointers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub same: BTreeSet<String>,
    /// Answers of the people who were asked about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
}

/// Store of facts: the writer's cache, a database, a map in a test.
pub trait FactStore {
    /// Why a fact cannot be read.
    type Error;
    /// The fact under a key, of whatever kind.
    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, Self::Error>;
    /// Puts a fact of whatever kind under a key, or takes it away.
    fn set(&mut self, key: FactKey, fact: Option<Fact>);

    /// What stands under this key.
    fn find<K: TypedKey>(&mut self, key: K) -> Result<Option<K::Value>, Self::Error> {
        Ok(self.fact(&key.key())?.and_then(K::value))
    }
    /// Whether anything stands under this key.
    fn has<K: TypedKey>(&mut self, key: K) -> Result<bool, Self::Error> {
        Ok(self.fact(&key.key())?.is_some())
    }
    /// Puts this there.
    fn put<K: TypedKey>(&mut self, key: K, value: K::Value) {
        self.set(key.key(), Some(K::fact(value)));
    }
    /// Nothing stands there any more.
    fn take_away<K: TypedKey>(&mut self, key: K) {
        self.set(key.key(), None);
    }
}

/// Facts in memory, for examples and tests.
impl FactStore for BTreeMap<FactKey, Fact> {
    type Error = std::convert::Infallible;
    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, Self::Error> {
        Ok(self.get(key).cloned())
    }
    fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        match fact {
            Some(fact) => drop(self.insert(key, fact)),
            None => drop(self.remove(&key)),
        }
    }
}

/// Most marks of one atom; the best are kept.
const MARKS_MAX: usize = 8;

/// How much of these a run that rests on this much already may still rest on: a prefix, and its bytes. What is
/// beyond proves nothing; if a secret value is beyond, the labels say so.
pub fn affordable<'a>(trusted: &'a [Trusted], used: u64, labels: &mut Labels) -> (&'a [Trusted], u64) {
    let mut bytes = 0u64;
    let fits = trusted.iter().take_while(|t| {
        let sum = bytes.saturating_add(t.atom.bytes());
        let fits = used.saturating_add(sum) <= TRUSTED_MAX;
        bytes = if fits { sum } else { bytes };
        fits
    });
    let (kept, beyond) = trusted.split_at(fits.count());
    if beyond.iter().any(|t| t.mark.secret) {
        labels.classes.insert(SECRET_UNTRACKED.to_owned());
    }
    (kept, bytes)
}

/// Puts what a run may rest on beside it, where it can be erased with the outputs it comes from. Whoever
/// concludes an action has checked with [`affordable`] how much of it there may be.
pub fn rest_on<S: FactStore>(run: &RunId, trusted: &[Trusted], space: &mut S) -> Result<(), S::Error> {
    for Trusted { atom, mark } in trusted {
        let key = keys::Trust(run.clone(), atom.digest());
        let mut marks = space.find(key.clone())?.unwrap_or_default();
        if let Err(at) = marks.binary_search(mark) {
            marks.insert(at, *mark);
            marks.truncate(MARKS_MAX);
            space.put(key, marks);
        }
    }
    Ok(())
}

/// The run under which is kept what a run and its relatives have issued: the first of them.
pub(crate) fn first_of(run: &RunFact) -> &RunId {
    run.ancestors.last().unwrap_or(&run.principal.run)
}

/// Puts beside a run what a call of it has issued.
pub fn issue<S: FactStore>(
    run: &RunFact,
    action: &ActionId,
    name: &str,
    values: Vec<IssuedValue>,
    space: &mut S,
) -> Result<(), S::Error> {
    for IssuedValue { field, key, exact, arguments } in values {
        let key = keys::Issued(first_of(run).clone(), key);
        let mut known = space.find(key.clone())?.unwrap_or_default();
        let (action, run, name) = (action.clone(), run.principal.run.clone(), name.to_owned());
        match known.calls.len() < CALLS_MAX {
            true => known.calls.push(Issuer { action, run, name, field, exact, arguments }),
            false => known.more = true,
        }
        space.put(key, known);
    }
    Ok(())
}

/// Whether an undo, or an attempt at one, stands against a call.
pub(crate) fn is_undone(undo: &Undo) -> bool {
    match undo {
        Undo::No => false,
        Undo::Underway(_) | Undo::Done(_) | Undo::Failed(_) => true,
    }
}

/// The meter that a budget is counted on, unless it is per call.
pub fn meter_of(budget: &Budget, principal: &Principal) -> Option<String> {
    let whose = match (budget.of, budget.per) {
        (_, Per::Call) => return None,
        (Of::Run, _) | (_, Per::Run) => format!("run:{}", principal.run),
        (Of::Agent, _) => format!("agent:{}", principal.agent),
        (Of::Tenant, _) => format!("tenant:{}", principal.tenant),
    };
    let per = match budget.per {
        Per::Call | Per::Run => "run",
        Per::Hour => "hour",
        Per::Day => "day",
    };
    let only: Vec<&str> = budget.actions.iter().map(String::as_str).collect();
    Some(format!("{whose}/{}/{per}/{}", budget.unit, only.join("+")))
}

/// The number of the window at this moment.
pub fn window_of(per: Per, now: Timestamp) -> i64 {
    match per {
        Per::Call | Per::Run => 0,
        Per::Hour => now.0.div_euclid(3_600_000),
        Per::Day => now.0.div_euclid(86_400_000),
    }
}

/// The name under which a rate is counted.
pub fn rate_of(limit: &RateLimit, principal: &Principal) -> String {
    let only: Vec<&str> = limit.actions.iter().map(String::as_str).collect();
    format!("agent:{}/{}in{}s/{}", principal.agent, limit.calls, limit.per_s, only.join("+"))
}

impl Facts {
    /// Everybody whose limits the action uses up: the principal, and those it acts for by delegation.
    pub fn holders<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = &'a Principal> {
        std::iter::once(principal).chain(self.lineage.iter().map(|run| &run.principal))
    }
}
