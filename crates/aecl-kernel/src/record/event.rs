//! Events: the persisted truth. Closed, versioned; a reader refuses a kind it does not know. Facts are a
//! fold over them.

mod asked;
mod begun;
mod kind;
mod runs;

use crate::base::code::Code;
use crate::base::digest::Digest;
use crate::base::evidence::Evidence;
use crate::base::id::{ActionId, ApprovalId, PersonId, RunId};
use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use crate::base::traffic::Traffic;
use crate::define::catalogue::Compensation;
use crate::define::catalogue::Effect;
use crate::define::isolation::HostIsolation;
use crate::provenance::labels::Labels;
use crate::provenance::proof::NamedThings;
use crate::read::action::{Mode, Proposal, ProposalProblem};
use crate::read::plan::{PlanMatch, PlanProgress};
use crate::record::approval::plan::PlanAsked;
use crate::record::approval::{ApprovalRequest, ApprovalState, Vote, Voters};
use crate::record::begun::Beginnings;
use crate::record::decision::{Decision, Verdict};
use crate::record::facts::{
    ActionFact, ActionState, FactStore, Facts, Kill, KillScope, ProposedProgress, RunFact, Undo, Used, keys,
};
use crate::record::goal::Goal;
use crate::record::history::HistoryDelta;
use crate::record::usage::Meter;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The version of the entry format.
pub const VERSION: u8 = 1;

/// One entry of the ledger. Its bytes are serialised once and hashed as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of this format.
    pub v: u8,
    /// Its place in the ledger; no gaps.
    pub position: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Its place in that run; no gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Commitment to the facts that stand beside it, since their text is in no entry: what a run may rest on from here,
    /// a request in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Digest>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Event that an entry records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A bundle came into force.
    BundleLoaded(BundleLoaded),
    /// What this host can hold programs with was found out.
    SandboxProbed(HostIsolation),
    /// A run began.
    RunOpened(Box<RunOpened>),
    /// A run ended.
    RunClosed(RunClosed),
    /// A run token was given out.
    TokenIssued(TokenIssued),
    /// A run token was revoked.
    TokenRevoked(TokenRevoked),
    /// A decision was made.
    Ruled(Box<Ruled>),
    /// A person was asked.
    #[serde(with = "asked")]
    Asked(Box<ApprovalRequest>),
    /// A person answered.
    Answered(Answered),
    /// Nobody answered in time.
    Expired(Expired),
    /// Nobody has to answer any more.
    Withdrawn(Withdrawn),
    /// An attempt began. Its effect may happen from here on.
    Started(Started),
    /// An attempt ended, or an unknown outcome was resolved.
    Concluded(Box<Concluded>),
    /// A kill switch was pulled.
    Kill(KillChanged),
    /// A kill switch was lifted.
    Lift(KillChanged),
    /// A budget was corrected by a person.
    BudgetAdjusted(BudgetAdjusted),
    /// A payload was erased.
    Erased(Erased),
    /// A signing key came into use.
    KeyChanged(KeyChanged),
    /// Nothing else happened for a while; the ledger is alive.
    Heartbeat(Heartbeat),
    /// Something is wrong with ourselves.
    Fault(Fault),
}

/// A bundle came into force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleLoaded {
    /// Its content hash.
    pub bundle: Digest,
    /// Commitment to its sources.
    pub sources: Digest,
    /// How many agents it has.
    pub agents: u64,
    /// How many actions.
    pub actions: u64,
}

/// A run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOpened {
    /// Who acts.
    pub principal: Principal,
    /// SHA-256 of the goal.
    pub goal: Digest,
    /// Commitment to goal and plan.
    pub stated: Digest,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Runs that it was delegated from, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<RunId>,
    /// Runs that it goes on from, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follows: Vec<RunId>,
    /// What it inherits of what they have seen.
    pub labels: Labels,
    /// The goal was stated after text of strangers had been read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// A plan was declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
    /// Who opened it.
    pub by: String,
    /// People who never approve what it proposes: who opened it, and who its user is under another name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub barred: BTreeSet<PersonId>,
}

/// A run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunClosed {
    /// Why.
    pub reason: String,
    /// Who ended it.
    pub by: String,
}

/// A run token was given out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// Its id, never the token.
    pub token: String,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The token that it was renewed with, unless a key was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A run token was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// Its id.
    pub token: String,
    /// Who revoked it.
    pub by: String,
}

/// A decision, with everything it was based on: it can be made again from this and the payloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ruled {
    /// The action.
    pub action: ActionId,
    /// `approved`, `blocked`, `escalated`, `replayed` or `asked`.
    pub outcome: String,
    /// The name of the action, as sent.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Who acts.
    pub principal: Principal,
    /// With which credential.
    pub credential: crate::read::action::Credential,
    /// Commitment to the arguments.
    pub arguments: Digest,
    /// Their length in bytes.
    pub arguments_bytes: u64,
    /// They are not kept: it was refused at the door, whatever they are. Then their digest stands above and no payload
    /// beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unkept: bool,
    /// What the proposer wanted.
    pub mode: Mode,
    /// Carry on by itself after a yes.
    #[serde(default)]
    pub resume: bool,
    /// The proposer's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The definition that the tool's server offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Digest>,
    /// The definition in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// What kind of change it makes, where the action has cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The action that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<ActionId>,
    /// Why it was not understood, if it was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProposalProblem>,
    /// The policy that was asked.
    pub bundle: Digest,
    /// The time that was used.
    pub now: Timestamp,
    /// What was known.
    pub facts: Facts,
    /// What outside judges said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What was decided. Shared with the permit, not copied.
    pub decision: Arc<Decision>,
    /// How it is undone, bound before it happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
}

impl Ruled {
    /// What was proposed, with these arguments: of them the entry has the digest only.
    pub fn proposal(&self, arguments: Vec<u8>) -> Proposal {
        Proposal {
            principal: self.principal.clone(),
            credential: self.credential.clone(),
            name: self.name.clone(),
            arguments,
            mode: self.mode,
            idempotency_key: self.idempotency_key.clone(),
            offered: self.offered,
            compensates: self.compensates.clone(),
            resume: self.resume,
        }
    }
}

/// A person answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Which request.
    pub approval: ApprovalId,
    /// About which action.
    pub action: ActionId,
    /// Who answered what.
    pub vote: Vote,
    /// Where the request stands now.
    pub state: ApprovalState,
    /// SHA-256 of the view that was shown, if the surface reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Digest>,
    /// What those were then who had answered. Answers that were recorded before this was asked have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<Voters>,
}

impl Answered {
    /// Everybody whose yes counts, if with this answer all of them stand behind the values that were asked about.
    pub fn endorsers(&self, before: &ApprovalRequest) -> Option<Vec<Vote>> {
        let mut after = before.clone();
        after.take(self.vote.clone(), self.voters.as_ref());
        let mut counting = match &self.voters {
            Some(voters) => after.counting(Some(voters), &after.excluded),
            None => after.votes,
        };
        counting.retain(|vote| vote.yes);
        (self.state == ApprovalState::Approved && counting.iter().all(|vote| vote.endorse))
            .then_some(counting)
    }
}

/// The time of a request is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expired {
    /// Which request.
    pub approval: ApprovalId,
    /// About which action.
    pub action: ActionId,
    /// How far it had come. Requests that expired before this was asked say that nobody answered.
    #[serde(default, skip_serializing_if = "Lapse::is_unanswered")]
    pub lapse: Lapse,
}

/// Lapse of a request: how far it had come when its time was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapse {
    /// Nobody had answered.
    #[default]
    Unanswered,
    /// Some had agreed, and not as many as were needed.
    Incomplete,
    /// People had agreed.
    Approved,
}

impl Lapse {
    /// Of a request whose time is over.
    pub fn of(ask: &ApprovalRequest) -> Self {
        match ask.state {
            ApprovalState::Approved | ApprovalState::Used => Lapse::Approved,
            ApprovalState::Pending
            | ApprovalState::Rejected
            | ApprovalState::Expired
            | ApprovalState::Withdrawn => {
                if ask.votes.is_empty() {
                    Lapse::Unanswered
                } else {
                    Lapse::Incomplete
                }
            }
        }
    }

    fn is_unanswered(&self) -> bool {
        *self == Lapse::Unanswered
    }

    /// The same for whoever proposed what was asked about.
    pub fn message(self) -> &'static str {
        match self {
            Lapse::Unanswered => "nobody answered in time",
            Lapse::Incomplete => "not enough people agreed in time",
            Lapse::Approved => "approved, but not used in time",
        }
    }
}

/// Nobody has to answer any more: what was asked about can no longer be carried out, or is asked about otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Which request.
    pub approval: ApprovalId,
    /// About which action.
    pub action: ActionId,
    /// Why the action is over; absent where it goes on without this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The same in words, with the way out.
    pub message: String,
}

/// An attempt began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The action.
    pub action: ActionId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The stable key that a deduplicating target gets.
    pub key: String,
    /// What the run counts as having read from here on, since whoever carries it out may read the output and need not
    /// say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}

/// Outcome of an attempt: how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// It happened.
    Done,
    /// It did not happen, or the target said that it failed.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl OutcomeKind {
    /// The name in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            OutcomeKind::Done => "done",
            OutcomeKind::Failed => "failed",
            OutcomeKind::Unknown => "unknown",
        }
    }
}

/// An attempt ended, or an unknown outcome was resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Concluded {
    /// The action.
    pub action: ActionId,
    /// How.
    pub outcome: OutcomeKind,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words, without secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Commitment to the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// Its length in bytes.
    #[serde(default)]
    pub output_bytes: u64,
    /// It failed, and part of it may have happened: the target tried and reported an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_have_acted: bool,
    /// What the output carries into the run.
    pub labels: Labels,
    /// How much of the output the run may rest on, in bytes of atoms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trusted_bytes: u64,
    /// It has issued something that another call may complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub issued: bool,
    /// From the permit to here, in milliseconds.
    pub latency_ms: u64,
    /// Where it ran.
    pub sandbox: String,
    /// Whom it reached from there, and whom it wanted to reach; absent where there was no way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// The yes that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// By what it can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_token: Option<String>,
    /// Who resolved it, if it was unknown before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// That it failed is what the agent has reported of itself: what it holds of budgets counts as used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A kill switch was pulled or lifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KillChanged {
    /// What it stops.
    pub scope: KillScope,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A budget was corrected by a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetAdjusted {
    /// The meter.
    pub meter: String,
    /// Its new state.
    pub now: Meter,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A payload was erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// Its commitment.
    pub payload: Digest,
    /// On which ground.
    pub ground: String,
    /// Who.
    pub by: String,
}

/// A signing key came into use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyChanged {
    /// The public key, as a verifier key.
    pub key: String,
}

/// The ledger is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Actions that are started and not concluded.
    pub in_flight: u64,
}

/// Something is wrong with ourselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub code: String,
    /// In words.
    pub message: String,
}

impl Event {
    /// The action it is about.
    pub fn action(&self) -> Option<&ActionId> {
        match self {
            Event::Ruled(e) => Some(&e.action),
            Event::Asked(e) => Some(&e.action),
            Event::Answered(e) => Some(&e.action),
            Event::Expired(e) => Some(&e.action),
            Event::Withdrawn(e) => Some(&e.action),
            Event::Started(e) => Some(&e.action),
            Event::Concluded(e) => Some(&e.action),
            Event::BundleLoaded(_)
            | Event::SandboxProbed(_)
            | Event::RunOpened(_)
            | Event::RunClosed(_)
            | Event::TokenIssued(_)
            | Event::TokenRevoked(_)
            | Event::Kill(_)
            | Event::Lift(_)
            | Event::BudgetAdjusted(_)
            | Event::Erased(_)
            | Event::KeyChanged(_)
            | Event::Heartbeat(_)
            | Event::Fault(_) => None,
        }
    }
}

/// From this edition on, what has failed for certain is not counted.
const COUNTED: u32 = 4;

impl Entry {
    /// Folds the entry into the facts. This is the only way in which facts change.
    ///
    /// The goal's text is not in the entry; whoever opens a run puts it beside ([`keys::Goal`]).
    pub fn apply<S: FactStore>(&self, space: &mut S) -> Result<(), S::Error> {
        if let (Some(run), Some(seq)) = (&self.run, self.seq)
            && let Some(mut fact) = space.find(keys::Run(run.clone()))?
        {
            fact.next_seq = seq + 1;
            space.put(keys::Run(run.clone()), fact);
        }
        match &self.event {
            Event::SandboxProbed(cages) => space.put(keys::Cages, cages.clone()),
            Event::RunOpened(e) => self.run_opened(e, space),
            Event::RunClosed(e) => self.run_closed(e, space)?,
            Event::TokenRevoked(e) => space.put(keys::Revoked(e.token.clone()), self.at),
            Event::Ruled(e) => self.ruled(e, space)?,
            Event::Asked(ask) => {
                // The same request again, for more people, is no new question.
                if !space.has(keys::Approval(ask.approval.clone()))? {
                    self.change_lineage(space, |run| run.questions += 1)?;
                }
                space.put(keys::AskOf(ask.digest), ask.approval.clone());
                space.put(keys::Open(ask.approval.clone()), ask.expires_at);
                space.put(keys::Approval(ask.approval.clone()), (**ask).clone());
                self.change_action(&ask.action, space, |a| a.approval = Some(ask.approval.clone()))?;
                match &ask.plan {
                    None => {}
                    Some(PlanAsked { proposed: None, .. }) => {
                        self.change_run(space, |run| run.plan_approval = Some(ask.approval.clone()))?;
                    }
                    Some(PlanAsked { proposed: Some(steps), .. }) => {
                        // Whoever proposes the same again finds what became of it.
                        space.put(keys::AskOf(*steps), ask.approval.clone());
                        let (approval, step) = (ask.approval.clone(), PlanProgress::default());
                        self.change_run(space, |run| {
                            run.proposed = Some(ProposedProgress { approval, step })
                        })?;
                    }
                }
            }
            Event::Answered(e) => self.answered(e, space)?,
            Event::Expired(e) => {
                self.close_ask(&e.approval, ApprovalState::Expired, space)?;
                let why = e.lapse.message();
                self.end_wait(
                    &e.action,
                    ActionState::Rejected,
                    crate::base::code::APPROVAL_EXPIRED,
                    why,
                    space,
                )?;
            }
            Event::Withdrawn(e) => {
                self.withdraw(&e.approval, space)?;
                if let Some(code) = e.code {
                    self.end_wait(&e.action, ActionState::Blocked, code, &e.message, space)?;
                }
            }
            Event::Started(e) => {
                space.put(keys::InFlight(e.action.clone()), self.at);
                self.change_action(&e.action, space, |a| a.state = ActionState::Started)?;
                if let Some(labels) = &e.labels {
                    self.change_lineage(space, |run| run.labels.join(labels))?;
                }
            }
            Event::Concluded(e) => self.concluded(e, space)?,
            Event::Kill(e) => {
                let kill = Kill { by: e.by.clone(), reason: e.reason.clone(), at: self.at };
                space.put(keys::Kill(e.scope.clone()), kill);
            }
            Event::Lift(e) => space.take_away(keys::Kill(e.scope.clone())),
            Event::BudgetAdjusted(e) => {
                // What is held belongs to actions that are not concluded; they will give it back.
                let key = keys::Meter(e.meter.clone());
                let held = space.find(key.clone())?.map_or(Decimal::ZERO, |meter| meter.held);
                space.put(key, Meter { held, ..e.now.clone() });
            }
            Event::BundleLoaded(_)
            | Event::TokenIssued(_)
            | Event::Erased(_)
            | Event::KeyChanged(_)
            | Event::Heartbeat(_)
            | Event::Fault(_) => {}
        }
        Ok(())
    }

    /// Nobody has to answer any more.
    fn withdraw<S: FactStore>(&self, id: &ApprovalId, space: &mut S) -> Result<(), S::Error> {
        let open = match space.find(keys::Approval(id.clone()))? {
            Some(ask) => matches!(ask.state, ApprovalState::Pending | ApprovalState::Approved),
            None => false,
        };
        if open { self.close_ask(id, ApprovalState::Withdrawn, space) } else { Ok(()) }
    }

    fn ruled<S: FactStore>(&self, e: &Ruled, space: &mut S) -> Result<(), S::Error> {
        if e.decision.replays.is_some() || e.mode == Mode::DryRun {
            return Ok(());
        }
        let key = keys::Action(e.action.clone());
        let before = space.find(key.clone())?;
        let allowed = e.decision.verdict == Verdict::Allow;
        let state = match e.decision.verdict {
            Verdict::Allow => ActionState::Started,
            Verdict::RequireApproval => ActionState::Waiting,
            Verdict::Block => ActionState::Blocked,
        };
        let fact = ActionFact {
            run: e.principal.run.clone(),
            agent: e.principal.agent.clone(),
            name: e.name.clone(),
            digest: e.digest,
            mode: e.mode,
            state,
            code: e.decision.headline,
            message: if allowed { String::new() } else { e.decision.reason().to_owned() },
            proposed_at: before.as_ref().map_or(self.at, |b| b.proposed_at),
            changed_at: self.at,
            approval: e
                .decision
                .approval
                .clone()
                .or_else(|| before.as_ref().and_then(|b| b.approval.clone())),
            resume: e.resume || before.as_ref().is_some_and(|b| b.resume),
            idempotency_key: e.idempotency_key.clone(),
            holds: e.decision.holds.clone(),
            arguments: e.arguments,
            counted: allowed && e.facts.edition >= COUNTED && e.facts.provenance.is_some(),
            output: None,
            compensation: e.compensation.clone(),
            undo: Undo::No,
            compensates: e.compensates.clone(),
            definition: e.definition,
            effect: e.effect,
            named: e.facts.provenance.as_ref().and_then(|p| p.named.as_ref()).map(|named| named.digest),
            beginning: e.decision.beginning.clone(),
            completed: None,
            touched: None,
            completes: e.decision.completes.clone(),
            look: e.credential.is_look(),
            reported: false,
            position: self.position,
        };
        space.put(key, Box::new(fact));
        if let (Some(idempotency_key), false) = (&e.idempotency_key, state == ActionState::Blocked) {
            let used = Used { digest: e.digest, action: e.action.clone() };
            let key = keys::Idempotency(e.principal.run.clone(), idempotency_key.clone());
            space.put(key, used);
        }
        if !allowed || e.credential.is_look() {
            return Ok(());
        }
        self.change_lineage(space, |run| run.calls += 1)?;
        self.touched(e, space)?;
        if let Some(provenance) = &e.facts.provenance {
            let key = keys::calls(&e.principal.run, &e.name, e.effect);
            space.put(key, provenance.earlier + 1);
            if let Some(NamedThings { digest, earlier }) = &provenance.named {
                let key = keys::calls_on(&e.principal.run, &e.name, e.effect, digest);
                space.put(key, earlier + 1);
            }
            if let Some(PlanMatch::Step { step }) = provenance.plan {
                self.change_run(space, |run| run.step = run.step.after(step))?;
            }
        }
        if let Some(cover) = &e.facts.proposed {
            self.change_run(space, |run| {
                if let Some(proposed) = run.proposed.as_mut().filter(|p| p.approval == cover.approval) {
                    proposed.step = proposed.step.after(cover.step);
                }
            })?;
        }
        match (&e.decision.approval, e.decision.plan_step) {
            (Some(approval), None) => self.close_ask(approval, ApprovalState::Used, space)?,
            // A yes to a plan is used once by each step; the request about this call alone has become needless.
            (Some(_), Some(_)) => {
                if let Some(ask) = e.facts.ask.as_ref().filter(|ask| ask.action == e.action) {
                    self.withdraw(&ask.approval, space)?;
                }
            }
            (None, _) => {}
        }
        for hold in &e.decision.holds {
            let key = keys::Meter(hold.meter.clone());
            let meter = space.find(key.clone())?.unwrap_or_default();
            let mut meter = meter.rolled_to(hold.window);
            meter.held += hold.amount;
            space.put(key, meter);
        }
        for (name, rate) in &e.decision.rates {
            space.put(keys::Rate(name.clone()), *rate);
        }
        for added in &e.decision.adds {
            match added {
                HistoryDelta::Sum(name, amount) => {
                    let key = keys::Sum(name.clone());
                    let sum = space.find(key.clone())?.unwrap_or_default();
                    space.put(key, sum.with(e.now, *amount));
                }
                HistoryDelta::Known(name) => space.put(keys::Known(name.clone()), e.now),
            }
        }
        let key = keys::Active(e.principal.agent.clone());
        let active = space.find(key.clone())?.unwrap_or_default();
        space.put(key, active + 1);
        if let Some(original) = &e.compensates {
            self.change_action(original, space, |a| a.undo = Undo::Underway(e.action.clone()))?;
        }
        Ok(())
    }

    fn answered<S: FactStore>(&self, e: &Answered, space: &mut S) -> Result<(), S::Error> {
        let key = keys::Approval(e.approval.clone());
        if let Some(mut ask) = space.find(key.clone())? {
            if let Some(endorsers) = e.endorsers(&ask).filter(|_| e.voters.is_some()) {
                self.change_run(space, |run| {
                    for vote in endorsers {
                        run.endorsers.entry(vote.person).or_default().extend(vote.groups);
                    }
                })?;
            }
            ask.take(e.vote.clone(), e.voters.as_ref());
            ask.state = e.state;
            space.put(key, ask);
        }
        if e.state == ApprovalState::Rejected {
            space.take_away(keys::Open(e.approval.clone()));
            space.take_away(keys::Summary(e.approval.clone()));
            let message = format!("`{}` said no: {}", e.vote.person, e.vote.reason);
            let (code, why) = (crate::base::code::APPROVAL_REJECTED, message.trim_end_matches(": "));
            self.end_wait(&e.action, ActionState::Rejected, code, why, space)?;
        }
        Ok(())
    }

    fn concluded<S: FactStore>(&self, e: &Concluded, space: &mut S) -> Result<(), S::Error> {
        let key = keys::Action(e.action.clone());
        let Some(mut action) = space.find(key.clone())? else { return Ok(()) };
        let is_look = action.look; // The agent has seen nothing of it, and has not failed with it.
        let was_started = action.state == ActionState::Started && !is_look;
        action.state = match e.outcome {
            OutcomeKind::Done => ActionState::Done,
            OutcomeKind::Failed => ActionState::Failed,
            OutcomeKind::Unknown => ActionState::Unknown,
        };
        action.code = e.code.as_deref().and_then(Code::parse);
        action.message = e.message.clone();
        action.output = e.output.or(action.output);
        action.changed_at = self.at;
        action.position = self.position;
        // What was reported as failed is settled as used, and given back when somebody has found out that it was so.
        let (was_reported, is_doubtful) = (action.reported, e.reported && e.outcome == OutcomeKind::Failed);
        action.reported = is_doubtful;
        // An unknown outcome keeps what it holds: the money may be gone.
        let holds = match e.outcome {
            OutcomeKind::Unknown => Vec::new(),
            OutcomeKind::Failed if is_doubtful => action.holds.clone(),
            OutcomeKind::Done | OutcomeKind::Failed => std::mem::take(&mut action.holds),
        };
        let (compensates, agent, digest) = (action.compensates.clone(), action.agent.clone(), action.digest);
        let (is_nothing, completes) =
            (e.outcome == OutcomeKind::Failed && !is_doubtful && !e.may_have_acted, action.completes.clone());
        // What has not happened is none of those that were asked for.
        if action.counted && is_nothing {
            let all = keys::calls(&action.run, &action.name, action.effect);
            let on = action.named.map(|on| keys::calls_on(&action.run, &action.name, action.effect, &on));
            for key in std::iter::once(all).chain(on) {
                if let Some(calls) = space.find(key.clone())? {
                    space.put(key, calls.saturating_sub(1));
                }
            }
        }
        space.put(key, action);
        // Nor has it completed anything.
        if let Some(begun) = completes.filter(|_| is_nothing) {
            self.mark_action(&begun, space, |begun| begun.completed = None)?;
        }
        // What is unknown stays open until somebody has found out.
        match e.outcome {
            OutcomeKind::Unknown => space.put(keys::InFlight(e.action.clone()), self.at),
            OutcomeKind::Done | OutcomeKind::Failed => space.take_away(keys::InFlight(e.action.clone())),
        }
        for hold in holds {
            let key = keys::Meter(hold.meter.clone());
            if let Some(mut meter) = space.find(key.clone())? {
                let (is_used, is_now) =
                    (e.outcome == OutcomeKind::Done || is_doubtful, meter.window == hold.window);
                match (was_reported, is_used) {
                    (true, true) => {}
                    (true, false) if is_now => meter.used -= hold.amount,
                    (true, false) => {}
                    (false, is_used) => {
                        meter.held -= hold.amount;
                        meter.used += if is_used && is_now { hold.amount } else { Decimal::ZERO };
                    }
                }
                space.put(key, meter);
            }
        }
        if was_started {
            let key = keys::Active(agent);
            if let Some(n) = space.find(key.clone())? {
                match n.saturating_sub(1) {
                    0 => space.take_away(key),
                    n => space.put(key, n),
                }
            }
        }
        if is_look {
            return Ok(());
        }
        // What a delegated run has seen may come back through its answer, so its parents have seen it, too.
        self.change_lineage(space, |run| run.labels.join(&e.labels))?;
        if e.issued {
            self.change_lineage(space, |run| run.beginnings = run.beginnings.max(Beginnings::Some))?;
        }
        if e.trusted_bytes > 0 {
            self.change_run(space, |run| run.trusted_bytes += e.trusted_bytes)?;
        }
        self.change_run(space, |run| match e.outcome {
            // A tool that asks back is in the middle of its work, however often it does.
            OutcomeKind::Failed if e.code.as_deref() == Some("input_required") => {}
            // That it failed is known already.
            OutcomeKind::Failed if was_reported => {}
            OutcomeKind::Failed if run.failing == Some(digest) => run.failures += 1,
            OutcomeKind::Failed => (run.failing, run.failures) = (Some(digest), 1),
            OutcomeKind::Done => (run.failing, run.failures) = (None, 0),
            OutcomeKind::Unknown => {}
        })?;
        if let Some(original) = compensates {
            self.change_action(&original, space, |a| {
                a.undo = match e.outcome {
                    OutcomeKind::Done => Undo::Done(e.action.clone()),
                    OutcomeKind::Failed => Undo::Failed(e.action.clone()),
                    OutcomeKind::Unknown => Undo::Underway(e.action.clone()),
                }
            })?;
        }
        Ok(())
    }

    fn end_wait<S: FactStore>(
        &self,
        id: &ActionId,
        state: ActionState,
        code: Code,
        message: &str,
        space: &mut S,
    ) -> Result<(), S::Error> {
        self.change_action(id, space, |action| {
            if action.state == ActionState::Waiting {
                action.state = state;
                action.code = Some(code);
                action.message = message.to_owned();
            }
        })
    }

    fn close_ask<S: FactStore>(
        &self,
        id: &ApprovalId,
        state: ApprovalState,
        space: &mut S,
    ) -> Result<(), S::Error> {
        let key = keys::Approval(id.clone());
        if let Some(mut ask) = space.find(key.clone())? {
            ask.state = state;
            space.put(key, ask);
        }
        space.take_away(keys::Open(id.clone()));
        space.take_away(keys::Summary(id.clone()));
        Ok(())
    }

    fn change_run<S: FactStore>(
        &self,
        space: &mut S,
        change: impl FnOnce(&mut RunFact),
    ) -> Result<(), S::Error> {
        let Some(run) = &self.run else { return Ok(()) };
        let key = keys::Run(run.clone());
        if let Some(mut fact) = space.find(key.clone())? {
            change(&mut fact);
            space.put(key, fact);
        }
        Ok(())
    }

    /// Changes the run and those it was delegated from.
    fn change_lineage<S: FactStore>(
        &self,
        space: &mut S,
        change: impl Fn(&mut RunFact),
    ) -> Result<(), S::Error> {
        let Some(run) = &self.run else { return Ok(()) };
        let mut runs = vec![run.clone()];
        if let Some(fact) = space.find(keys::Run(run.clone()))? {
            runs.extend(fact.ancestors);
        }
        for run in runs {
            let key = keys::Run(run);
            if let Some(mut fact) = space.find(key.clone())? {
                change(&mut fact);
                space.put(key, fact);
            }
        }
        Ok(())
    }

    fn change_action<S: FactStore>(
        &self,
        id: &ActionId,
        space: &mut S,
        change: impl FnOnce(&mut ActionFact),
    ) -> Result<(), S::Error> {
        let key = keys::Action(id.clone());
        if let Some(mut fact) = space.find(key.clone())? {
            change(&mut fact);
            fact.changed_at = self.at;
            fact.position = self.position;
            space.put(key, fact);
        }
        Ok(())
    }
}

/// Puts the goal of a run beside it, where it can be erased.
pub fn state_goal<S: FactStore>(run: &RunId, goal: Goal, space: &mut S) {
    space.put(keys::Goal(run.clone()), goal);
}
