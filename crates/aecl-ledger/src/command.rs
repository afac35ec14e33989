//! The commands of the writer. Each reads what it needs, refuses what cannot be true, and appends; nothing of
//! it is answered before the group is durable.

mod proposed;

use crate::batch::OpenBatch;
use crate::beside::Beside;
use crate::error::LedgerError;
use crate::payload::PayloadKind;
use crate::recorded::{Receipt, Recorded, target_key};
use crate::reply::{PendingReply, Reply};
use crate::withdraw::{Again, waited, withdraw_ended, withdraw_ruled};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, ApprovalId, PersonId, RunId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::ingest::{Trusted, at_worst};
use aecl_kernel::provenance::issued::IssuedValue;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::{Action, Credential, Mode};
use aecl_kernel::read::plan::Plan;
use aecl_kernel::record::approval::plan::PlanAsked;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, People, Summary, Vote};
use aecl_kernel::record::event::{
    self, Answered, Concluded, Event, Expired, Lapse, OutcomeKind, Ruled, Started,
};
use aecl_kernel::record::facts::{
    ActionState, FOLLOWS_MAX, Fact, FactKey, FactStore, Facts, KillScope, affordable, issue, keys, rest_on,
};
use aecl_kernel::record::goal::{Goal, ProposedPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A question to be decided on the record.
#[derive(Debug)]
pub struct Rule {
    /// What is proposed.
    pub action: Arc<Action>,
    /// What outside judges said.
    pub evidence: Vec<Evidence>,
    /// The policy in force.
    pub bundle: Arc<Bundle>,
    /// Names for what the decision may create.
    pub fresh: NewIds,
    /// The action that waits and is asked about again, if this is no new proposal.
    pub again: Option<Again>,
    /// Who may answer now; where nobody knows, votes are what they were.
    pub people: Option<Arc<People>>,
    /// The wall clock.
    pub now: Timestamp,
}

/// Conclusion of an attempt.
#[derive(Debug)]
pub struct Conclusion {
    /// Which action.
    pub action: ActionId,
    /// How.
    pub outcome: OutcomeKind,
    /// What went wrong, as a code.
    pub code: Option<String>,
    /// What went wrong, in words, without secrets.
    pub message: String,
    /// What came back.
    pub output: Option<Vec<u8>>,
    /// It failed, and part of it may have happened.
    pub may_have_acted: bool,
    /// What the output carries.
    pub labels: Labels,
    /// What of it later arguments may be proven by.
    pub trusted: Vec<Trusted>,
    /// What of it another call may complete.
    pub issued: Vec<IssuedValue>,
    /// From the permit to here, in milliseconds.
    pub latency_ms: u64,
    /// Where it ran.
    pub sandbox: String,
    /// Whom it reached from there.
    pub traffic: Option<Traffic>,
    /// Who resolved it, if its outcome was unknown.
    pub resolved_by: Option<String>,
}

/// A run to be opened.
#[derive(Debug)]
pub struct OpenRun {
    /// Who will act.
    pub principal: Principal,
    /// What for.
    pub goal: Goal,
    /// When it ends at the latest; never later than the run it comes from.
    pub expires_at: Timestamp,
    /// The run it is delegated from.
    pub parent: Option<RunId>,
    /// The run it goes on from, which may have ended: it keeps the labels and has a lifetime of its own. A
    /// run that a kill switch has stopped is not gone on from.
    pub follows: Option<RunId>,
    /// The request to people about its plan, if there is one: on record with the run, or neither is.
    pub ask: Option<ApprovalRequest>,
    /// Who opens it.
    pub by: String,
    /// People who never approve what it proposes.
    pub barred: BTreeSet<PersonId>,
}

/// A person's answer, to be recorded if it counts.
#[derive(Debug)]
pub struct Answering {
    /// Which request.
    pub approval: ApprovalId,
    /// The answer; its time is the wall clock.
    pub vote: Vote,
    /// SHA-256 of the view that was shown, if the surface reported it.
    pub view: Option<Digest>,
    /// What the run may rest on, once everybody has agreed and endorsed it.
    pub endorsed: Vec<Trusted>,
    /// Who may answer now; where nobody knows, votes are what they were.
    pub people: Option<Arc<People>>,
    /// Requests that are withdrawn with it, where it is a no to a plan: what waits in the run that ends.
    pub ending: Vec<ApprovalId>,
}

/// A plan that an agent has proposed in the middle of its run, to be put before people.
#[derive(Debug)]
pub struct AskPlan {
    /// The request to people.
    pub ask: ApprovalRequest,
    /// The plan.
    pub plan: ProposedPlan,
    /// With which credential it was proposed.
    pub credential: Credential,
    /// The policy in force.
    pub bundle: Arc<Bundle>,
}

pub(crate) enum Command {
    Rule(Rule, Reply<Recorded<Ruling>>),
    AskPlan(Box<AskPlan>, Timestamp, Reply<Recorded<()>>),
    Conclude(Conclusion, Timestamp, Reply<Recorded<Concluded>>),
    Answer(Box<Answering>, Reply<Recorded<Answered>>),
    Expire(ApprovalId, Timestamp, Reply<bool>),
    OpenRun(Box<OpenRun>, Timestamp, Reply<Recorded<()>>),
    CloseRun(RunId, event::RunClosed, Vec<ApprovalId>, Timestamp, Reply<Recorded<()>>),
    Withdraw(Vec<ApprovalId>, Timestamp, Reply<usize>),
    Bundle(Arc<Bundle>, Timestamp, Reply<Recorded<()>>),
    /// An event that is true by itself.
    Note(Option<RunId>, Event, Timestamp, Reply<Recorded<()>>),
}

/// What a command that is refused gives: an error for its own caller. Errors of the store end the group.
enum Abort {
    Refuse(LedgerError),
    Break(LedgerError),
}

impl From<LedgerError> for Abort {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(_)
            | LedgerError::Unreadable { .. }
            | LedgerError::Tampered(_)
            | LedgerError::Stopped(_) => Abort::Break(error),
            LedgerError::Overloaded(_)
            | LedgerError::TooLarge { .. }
            | LedgerError::NoRun(_)
            | LedgerError::RunExists(_)
            | LedgerError::RunClosed(_)
            | LedgerError::NoAction(_)
            | LedgerError::WrongState { .. }
            | LedgerError::NoApproval(_)
            | LedgerError::FactsDiffer(_)
            | LedgerError::AnswerRefused { .. } => Abort::Refuse(error),
        }
    }
}

impl Command {
    /// Writes the command into the batch. With an error, nothing of the batch can be recorded.
    pub(crate) fn write(self, batch: &mut OpenBatch) -> Result<(), LedgerError> {
        let (done, error) = self.written(batch);
        batch.waits(done);
        error.map_or(Ok(()), Err)
    }

    fn written(self, batch: &mut OpenBatch) -> (PendingReply, Option<LedgerError>) {
        fn settle<T: Send + 'static>(
            reply: Reply<T>,
            written: Written<T>,
            batch: &mut OpenBatch,
        ) -> (PendingReply, Option<LedgerError>) {
            match written {
                Ok((index, make)) => (PendingReply::with_receipt(reply, index, make), None),
                Err(Abort::Refuse(error)) => {
                    batch.take_back();
                    (PendingReply::refused(reply, error), None)
                }
                Err(Abort::Break(error)) => {
                    (PendingReply::refused(reply, LedgerError::Stopped(error.to_string())), Some(error))
                }
            }
        }
        match self {
            Command::Rule(rule, reply) => settle(reply, write_rule(rule, batch), batch),
            Command::AskPlan(asking, now, reply) => {
                settle(reply, proposed::write(*asking, now, batch), batch)
            }
            Command::Conclude(c, now, reply) => settle(reply, write_conclusion(c, now, batch), batch),
            Command::Answer(answering, reply) => settle(reply, write_answer(*answering, batch), batch),
            Command::Expire(id, now, reply) => match write_expiry(&id, now, batch) {
                Ok(expired) => (PendingReply::plain(reply, expired), None),
                Err(error) => {
                    (PendingReply::refused(reply, LedgerError::Stopped(error.to_string())), Some(error))
                }
            },
            Command::OpenRun(open, now, reply) => settle(reply, write_run(*open, now, batch), batch),
            Command::CloseRun(run, closed, ending, now, reply) => {
                settle(reply, write_close(&run, closed, &ending, now, batch), batch)
            }
            Command::Withdraw(ending, now, reply) => match write_ended(&ending, now, batch) {
                Ok(count) => (PendingReply::plain(reply, count), None),
                Err(error) => {
                    (PendingReply::refused(reply, LedgerError::Stopped(error.to_string())), Some(error))
                }
            },
            Command::Bundle(bundle, now, reply) => settle(reply, write_bundle(&bundle, now, batch), batch),
            Command::Note(run, event, now, reply) => {
                settle(reply, write_note(run.as_ref(), event, now, batch), batch)
            }
        }
    }
}

type Written<T> = Result<(usize, Box<dyn FnOnce(Receipt) -> T + Send>), Abort>;

/// Reads the facts, decides and records, in one step: nothing can change in between.
fn write_rule(rule: Rule, batch: &mut OpenBatch) -> Written<Recorded<Ruling>> {
    let Rule { action, evidence, bundle, mut fresh, again, people, now } = rule;
    let now = batch.time(now)?;
    batch.bundle(&bundle, now)?;
    let facts = Facts::gather(&action, &bundle, people.as_deref(), now, &mut batch.group)?;
    let question =
        DecisionRequest { action: &action, facts: &facts, bundle: &bundle, evidence: &evidence, now };
    let waited = waited(facts.ask.as_ref(), again.as_ref(), now, batch)?;
    let fresh_id = fresh.action.clone();
    // What waits already is the same action, whatever is said of it now.
    if let Some(first) = waited.first() {
        fresh.action = first.action().clone();
    }
    let mut ruling = decide(&question, &action, fresh);
    if let Ruling::Blocked(refusal) = &mut ruling {
        // A no has a name of its own: what waited stands under the other as people saw it.
        refusal.id = fresh_id.clone();
    }
    let id = match &ruling {
        Ruling::Allowed(permit) => permit.id().clone(),
        Ruling::Blocked(refusal) | Ruling::Answered(refusal) => refusal.id.clone(),
        Ruling::Waiting(wait) => wait.id.clone(),
        Ruling::Replayed(_) => fresh_id,
    };
    let principal = &action.principal;
    let content = action.arguments.canonical().to_vec();
    let arguments_bytes = content.len() as u64;
    // Whoever is refused for who they are must not be able to fill the disk with what they say.
    let unkept = ruling.decision().is_turned_away();
    let arguments = match unkept {
        true => Digest::of(&content),
        false => batch.payload(PayloadKind::Arguments, content, principal.run.as_str()),
    };
    let known_ask = facts.ask.clone();
    let typed = action.typed.as_ref();
    let ruled = Ruled {
        action: id.clone(),
        outcome: ruling.outcome().into(),
        name: action.name.clone(),
        digest: action.digest,
        principal: principal.clone(),
        credential: action.credential.clone(),
        arguments,
        arguments_bytes,
        unkept,
        mode: action.mode,
        resume: action.resume,
        idempotency_key: action.idempotency_key.clone(),
        offered: action.offered,
        definition: typed.map(|t| t.digest),
        effect: typed.and_then(|t| t.kind()),
        compensates: action.compensates.clone(),
        problems: action.problems.clone(),
        bundle: bundle.hash(),
        now,
        facts,
        evidence,
        decision: ruling.decision().clone(),
        compensation: typed.and_then(|t| t.manifest.compensation.clone()),
    };
    let run = &principal.run;
    let index = batch.append(Some(run), now, Event::Ruled(Box::new(ruled)))?;
    match &ruling {
        Ruling::Waiting(wait) => {
            // The request stands once, however often the same thing is proposed while it waits.
            if known_ask.as_ref() != Some(&wait.ask) {
                let summary = Summary::of_action(batch.position(), &action, &wait.decision);
                ask(run, now, wait.ask.clone(), summary, batch)?;
            }
        }
        Ruling::Allowed(permit) => {
            let key = target_key(&batch.origin, permit.id());
            // Whoever carries it out reads the output first, and reports it late, or never.
            let by_itself = typed.filter(|_| action.mode == Mode::Authorize);
            let labels = by_itself.map(|typed| at_worst(typed));
            batch.append(Some(run), now, Event::Started(Started { action: id, attempt: 1, key, labels }))?;
        }
        Ruling::Blocked(_) | Ruling::Replayed(_) | Ruling::Answered(_) => {}
    }
    let over = withdraw_ruled(waited, &ruling, &action.digest, now, batch)?;
    if let Ruling::Blocked(refusal) = &mut ruling {
        refusal.ends = over;
    }
    Ok((index, Box::new(move |receipt| Recorded::new(ruling, receipt))))
}

/// Puts a request on record, and beside it what lists show of it.
fn ask(
    run: &RunId,
    now: Timestamp,
    ask: ApprovalRequest,
    summary: Summary,
    batch: &mut OpenBatch,
) -> Result<(), LedgerError> {
    ask_beside(run, now, ask, summary, BTreeMap::new(), batch).map(drop)
}

/// The same, with something else beside it.
fn ask_beside(
    run: &RunId,
    now: Timestamp,
    ask: ApprovalRequest,
    mut summary: Summary,
    mut beside: BTreeMap<FactKey, Fact>,
    batch: &mut OpenBatch,
) -> Result<usize, LedgerError> {
    let key = keys::Summary(ask.approval.clone());
    // The same request again, for more people, keeps its number.
    if let Some(known) = batch.group.find(key.clone())? {
        summary.number = known.number;
    }
    beside.put(key, Box::new(summary));
    batch.append_with(run, now, Event::Asked(Box::new(ask)), beside)
}

fn write_conclusion(c: Conclusion, now: Timestamp, batch: &mut OpenBatch) -> Written<Recorded<Concluded>> {
    let now = batch.time(now)?;
    let Some(fact) = batch.group.find(keys::Action(c.action.clone()))? else {
        return Err(LedgerError::NoAction(c.action).into());
    };
    let open = match fact.state {
        // Whoever carries it out says how it ended. Nobody can have found that out before.
        ActionState::Started => c.resolved_by.is_none(),
        ActionState::Unknown => c.resolved_by.is_some() && c.outcome != OutcomeKind::Unknown,
        // Only the agent has said so; somebody else may know better.
        ActionState::Failed if fact.reported => c.resolved_by.is_some() && c.outcome != OutcomeKind::Unknown,
        ActionState::Blocked
        | ActionState::Waiting
        | ActionState::Rejected
        | ActionState::Done
        | ActionState::Failed
        | ActionState::Asked => false,
    };
    if !open {
        let state = fact.state.name();
        return Err(LedgerError::WrongState { action: c.action, state, wanted: c.outcome.name() }.into());
    }
    let output_bytes = c.output.as_ref().map_or(0, |o| o.len() as u64);
    let output = c.output.map(|o| batch.payload(PayloadKind::Output, o, fact.run.as_str()));
    let run = batch.group.find(keys::Run(fact.run.clone()))?;
    let used = run.as_ref().map_or(0, |run| run.trusted_bytes);
    // What an agent says of itself, and what was found out later, has issued nothing.
    let issues = c.outcome == OutcomeKind::Done && fact.mode == Mode::Execute && c.resolved_by.is_none();
    let issued = if issues && !fact.look { c.issued } else { Vec::new() };
    let mut labels = c.labels;
    let (trusted, trusted_bytes) = affordable(&c.trusted, used, &mut labels);
    let undoable = c.outcome == OutcomeKind::Done && fact.compensation.is_some() && fact.mode != Mode::DryRun;
    let concluded = Concluded {
        rollback_token: undoable.then(|| format!("rbk_{}", c.action)),
        action: c.action,
        outcome: c.outcome,
        code: c.code,
        message: c.message.chars().take(2000).collect(),
        output,
        output_bytes,
        may_have_acted: c.may_have_acted,
        labels,
        trusted_bytes,
        issued: !issued.is_empty(),
        latency_ms: c.latency_ms,
        sandbox: c.sandbox,
        traffic: c.traffic,
        approval: fact.approval.clone(),
        // Nobody but the agent and its owner have seen what it did.
        reported: fact.mode == Mode::Authorize && c.resolved_by.is_none() && c.outcome == OutcomeKind::Failed,
        resolved_by: c.resolved_by,
    };
    let event = Event::Concluded(Box::new(concluded.clone()));
    let mut beside = Beside::new(&mut batch.group);
    rest_on(&fact.run, trusted, &mut beside)?;
    if let Some(run) = run {
        issue(&run, &concluded.action, &fact.name, issued, &mut beside)?;
    }
    let facts = beside.facts;
    let index = append_beside(&fact.run, now, event, facts, batch)?;
    Ok((index, Box::new(move |receipt| Recorded::new(concluded, receipt))))
}

/// Puts on record what brings something that a run may rest on, and that beside it.
fn append_trusted(
    run: &RunId,
    at: Timestamp,
    event: Event,
    trusted: &[Trusted],
    batch: &mut OpenBatch,
) -> Result<usize, LedgerError> {
    let mut beside = Beside::new(&mut batch.group);
    rest_on(run, trusted, &mut beside)?;
    let facts = beside.facts;
    append_beside(run, at, event, facts, batch)
}

/// Puts an entry on record, and beside it what it brings, if that is anything.
fn append_beside(
    run: &RunId,
    at: Timestamp,
    event: Event,
    facts: BTreeMap<FactKey, Fact>,
    batch: &mut OpenBatch,
) -> Result<usize, LedgerError> {
    if facts.is_empty() {
        return batch.append(Some(run), at, event);
    }
    batch.append_with(run, at, event, facts)
}

fn write_answer(answering: Answering, batch: &mut OpenBatch) -> Written<Recorded<Answered>> {
    let Answering { approval: id, mut vote, view, endorsed, people, ending } = answering;
    vote.at = batch.time(vote.at)?;
    vote.reason = vote.reason.chars().take(2000).collect();
    let Some(ask) = batch.group.find(keys::Approval(id.clone()))? else {
        return Err(LedgerError::NoApproval(id).into());
    };
    let voters = match people {
        None => None,
        Some(people) => match batch.group.find(keys::Run(ask.run.clone()))? {
            Some(run) => Some(people.voters(ask.votes.iter().chain([&vote]), &run.principal)),
            None => return Err(LedgerError::NoRun(ask.run.clone()).into()),
        },
    };
    let state = ask
        .admit(&vote, voters.as_ref())
        .map_err(|(code, message)| Abort::Refuse(LedgerError::AnswerRefused { code, message }))?;
    let at = vote.at;
    let answered = Answered { approval: id, action: ask.action.clone(), vote, state, view, voters };
    // Everybody whose yes counts has to stand behind the values.
    let endorses = answered.endorsers(&ask).is_some();
    let endorsed = if endorses { endorsed } else { Vec::new() };
    let index = append_trusted(&ask.run, at, Event::Answered(answered.clone()), &endorsed, batch)?;
    if state == ApprovalState::Rejected && ask.plan.as_ref().is_some_and(PlanAsked::is_declared) {
        close_unplanned(&ask.run, &answered.vote, at, batch)?;
        withdraw_ended(&ending, at, batch)?;
    }
    Ok((index, Box::new(move |receipt| Recorded::new(answered, receipt))))
}

/// A no to the plan is a no to what the run is for, before the yes and after it: the run ends.
fn close_unplanned(
    run: &RunId,
    vote: &Vote,
    at: Timestamp,
    batch: &mut OpenBatch,
) -> Result<(), LedgerError> {
    let Some(fact) = batch.group.find(keys::Run(run.clone()))? else { return Ok(()) };
    if fact.closed.is_some() {
        return Ok(());
    }
    let reason = format!("`{}` said no to its plan: {}", vote.person, vote.reason);
    let reason = reason.trim_end_matches(": ").to_owned();
    let closed = event::RunClosed { reason, by: vote.person.to_string() };
    batch.append(Some(run), at, Event::RunClosed(closed)).map(drop)
}

/// Puts on record that the time of a request is over. Gives whether that is so.
fn write_expiry(id: &ApprovalId, now: Timestamp, batch: &mut OpenBatch) -> Result<bool, LedgerError> {
    let now = batch.time(now)?;
    let Some(ask) = batch.group.find(keys::Approval(id.clone()))? else { return Ok(false) };
    let open = matches!(ask.state, ApprovalState::Pending | ApprovalState::Approved);
    if !open || ask.state_at(now) != ApprovalState::Expired {
        return Ok(false);
    }
    let expired = Expired { approval: id.clone(), action: ask.action.clone(), lapse: Lapse::of(&ask) };
    batch.append(Some(&ask.run), now, Event::Expired(expired))?;
    Ok(true)
}

fn write_run(open: OpenRun, now: Timestamp, batch: &mut OpenBatch) -> Written<Recorded<()>> {
    let now = batch.time(now)?;
    let (run, principal) = (open.principal.run.clone(), open.principal.clone());
    // Opening it again would forget what it has spent and seen, and would raise it from the dead.
    if batch.group.has(keys::Run(run.clone()))? {
        return Err(LedgerError::RunExists(run).into());
    }
    let (mut ancestors, mut labels, mut expires_at) = (Vec::new(), Labels::default(), open.expires_at);
    let mut follows = Vec::new();
    let goal = Digest::of(open.goal.text.as_bytes());
    // A goal that is stated after strangers were read may be their words, unless it is the same as before.
    let mut repeated = false;
    if let Some(parent) = open.parent {
        let Some(mut fact) = batch.group.find(keys::Run(parent.clone()))? else {
            return Err(LedgerError::NoRun(parent).into());
        };
        fact.hears(&mut batch.group)?;
        if fact.closed.is_some() || now >= fact.expires_at {
            return Err(LedgerError::RunClosed(parent).into());
        }
        labels = fact.labels;
        expires_at = expires_at.min(fact.expires_at);
        ancestors.push(parent);
        ancestors.extend(fact.ancestors);
        follows = fact.follows;
    }
    if let Some(before) = open.follows {
        let Some(mut fact) = batch.group.find(keys::Run(before.clone()))? else {
            return Err(LedgerError::NoRun(before).into());
        };
        fact.hears(&mut batch.group)?;
        // Going on is no way around a kill switch that stops the run it goes on from.
        if batch.group.find(keys::Kill(KillScope::Run(before.clone())))?.is_some() {
            return Err(LedgerError::RunClosed(before).into());
        }
        repeated = fact.goal == goal && !fact.late;
        labels.join(&fact.labels);
        ancestors.extend(fact.ancestors);
        follows.insert(0, before);
        follows.extend(fact.follows);
    }
    follows.truncate(FOLLOWS_MAX);
    let stated = serde_json::to_vec(&open.goal)
        .map_err(|source| LedgerError::Unreadable { key: "goal".into(), source })?;
    let opened = event::RunOpened {
        goal,
        late: labels.untrusted && !repeated,
        planned: open.goal.plan.as_ref().and_then(Plan::read).is_some_and(|plan| plan.is_ok()),
        stated: batch.payload(PayloadKind::Stated, stated, run.as_str()),
        principal: open.principal,
        expires_at,
        ancestors,
        follows,
        labels,
        by: open.by,
        barred: open.barred,
    };
    let bound = match &open.ask {
        Some(ApprovalRequest { plan: Some(asked), digest, run: of, expires_at: until, .. }) => {
            let stated = PlanAsked::digest(&open.goal, &opened.principal, asked.bundle, *until);
            asked.is_declared() && *digest == stated && *of == run && *until <= expires_at && opened.planned
        }
        Some(_) => false,
        None => true,
    };
    if !bound {
        let message = format!("what people would be asked about is not the plan of `{run}`");
        return Err(LedgerError::AnswerRefused { code: aecl_kernel::base::code::INTERNAL, message }.into());
    }
    let index = batch.append(Some(&run), now, Event::RunOpened(Box::new(opened)))?;
    let about = open
        .ask
        .as_ref()
        .and_then(|ask| ask.plan.as_ref())
        .map(|plan| Summary::of_plan(batch.position(), &principal, &open.goal, plan.steps.len()));
    event::state_goal(&run, open.goal, &mut batch.group);
    if let (Some(asked), Some(summary)) = (open.ask, about) {
        ask(&run, now, asked, summary, batch)?;
    }
    Ok((index, Box::new(|receipt| Recorded::new((), receipt))))
}

fn write_close(
    run: &RunId,
    closed: event::RunClosed,
    ending: &[ApprovalId],
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Written<Recorded<()>> {
    let now = batch.time(now)?;
    match batch.group.find(keys::Run(run.clone()))? {
        Some(fact) if fact.closed.is_none() => {}
        Some(_) => return Err(LedgerError::RunClosed(run.clone()).into()),
        _ => return Err(LedgerError::NoRun(run.clone()).into()),
    }
    let index = batch.append(Some(run), now, Event::RunClosed(closed))?;
    withdraw_ended(ending, now, batch)?;
    Ok((index, Box::new(|receipt| Recorded::new((), receipt))))
}

/// Withdraws what waits in runs that have ended. Gives how much.
fn write_ended(ending: &[ApprovalId], now: Timestamp, batch: &mut OpenBatch) -> Result<usize, LedgerError> {
    let now = batch.time(now)?;
    withdraw_ended(ending, now, batch)
}

fn write_bundle(bundle: &Bundle, now: Timestamp, batch: &mut OpenBatch) -> Written<Recorded<()>> {
    let now = batch.time(now)?;
    let index = batch.bundle_loaded(bundle, now)?;
    Ok((index, Box::new(|receipt| Recorded::new((), receipt))))
}

fn write_note(
    run: Option<&RunId>,
    event: Event,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Written<Recorded<()>> {
    let now = batch.time(now)?;
    if let Some(run) = run
        && !batch.group.has(keys::Run(run.clone()))?
    {
        return Err(LedgerError::NoRun(run.clone()).into());
    }
    if let Event::Lift(lift) = &event
        && !batch.group.has(keys::Kill(lift.scope.clone()))?
    {
        let scope: &KillScope = &lift.scope;
        let message = format!("no kill switch is on for {scope}");
        return Err(Abort::Refuse(LedgerError::AnswerRefused {
            code: aecl_kernel::base::code::REQUEST_INVALID,
            message,
        }));
    }
    let index = batch.append(run, now, event)?;
    Ok((index, Box::new(|receipt| Recorded::new((), receipt))))
}
