//! What waits for people and can no longer be carried out, or goes on without their answer: its request is withdrawn, in
//! the same commit as what makes it so.

use crate::batch::OpenBatch;
use crate::error::LedgerError;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::Ruling;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::decision::Decision;
use aecl_kernel::record::event::{Event, Withdrawn};
use aecl_kernel::record::facts::{ActionState, FactStore, RunFact, keys};

/// Most requests that are withdrawn in one commit.
pub const WITHDRAWN_AT_ONCE: usize = 64;

/// An action that waits for people, and is decided about again.
#[derive(Debug, Clone)]
pub struct Again {
    /// The action.
    pub action: ActionId,
    /// Nobody proposes it once more: whatever is refused now is over.
    pub unattended: bool,
}

/// A request that is open for what is decided about now.
pub(crate) struct Waited {
    ask: ApprovalRequest,
    unattended: bool,
}

impl Waited {
    /// The name under which it waits.
    pub(crate) fn action(&self) -> &ActionId {
        &self.ask.action
    }
}

/// The requests that are open for what is decided about now: for the same digest, and for what is asked about again,
/// which may have another digest by now.
pub(crate) fn waited(
    known: Option<&ApprovalRequest>,
    again: Option<&Again>,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<Vec<Waited>, LedgerError> {
    let same = known.filter(|ask| ask.is_open(now));
    let mut waited: Vec<Waited> =
        same.into_iter().map(|ask| Waited { ask: ask.clone(), unattended: false }).collect();
    let Some(Again { action, unattended }) = again else { return Ok(waited) };
    let Some(ask) = open_for(action, batch)?.filter(|ask| ask.is_open(now)) else { return Ok(waited) };
    match waited.iter_mut().find(|w| w.ask.approval == ask.approval) {
        Some(same) => same.unattended = *unattended,
        None => waited.push(Waited { ask, unattended: *unattended }),
    }
    Ok(waited)
}

/// The request that an action waits for.
fn open_for(action: &ActionId, batch: &mut OpenBatch) -> Result<Option<ApprovalRequest>, LedgerError> {
    let approval = match batch.group.find(keys::Action(action.clone()))? {
        Some(fact) if fact.state == ActionState::Waiting => fact.approval,
        _ => None,
    };
    match approval {
        Some(approval) => open(&approval, batch),
        None => Ok(None),
    }
}

fn open(approval: &ApprovalId, batch: &mut OpenBatch) -> Result<Option<ApprovalRequest>, LedgerError> {
    Ok(match batch.group.find(keys::Approval(approval.clone()))? {
        Some(ask) if matches!(ask.state, ApprovalState::Pending | ApprovalState::Approved) => Some(ask),
        _ => None,
    })
}

/// Withdraws what this ruling leaves nothing to answer about. Gives the actions that are over with it.
pub(crate) fn withdraw_ruled(
    waited: Vec<Waited>,
    ruling: &Ruling,
    digest: &Digest,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<Vec<ActionId>, LedgerError> {
    let mut over = Vec::new();
    for Waited { ask, unattended } in waited {
        let told = match ruling {
            Ruling::Allowed(permit) => Some(carried_out(&ask, permit.id())),
            Ruling::Waiting(wait) if wait.ask.approval == ask.approval => None,
            Ruling::Waiting(wait) => Some(asked_anew(&ask, &wait.ask)),
            Ruling::Blocked(refusal) => refused(&refusal.decision, unattended || ask.digest != *digest),
            Ruling::Replayed(_) | Ruling::Answered(_) => None,
        };
        let Some((code, message)) = told else { continue };
        // A yes that was used, or that a plan has made needless, is over already.
        if open(&ask.approval, batch)?.is_none() {
            continue;
        }
        over.extend(code.map(|_| ask.action.clone()));
        withdraw(ask, code, message, now, batch)?;
    }
    Ok(over)
}

fn carried_out(ask: &ApprovalRequest, id: &ActionId) -> (Option<Code>, String) {
    if ask.action == *id {
        return (None, "it goes on without an answer: the policy of now does not ask".into());
    }
    (Some(code::APPROVAL_CLOSED), format!("it is carried out as `{id}`, as it is defined now"))
}

fn asked_anew(ask: &ApprovalRequest, anew: &ApprovalRequest) -> (Option<Code>, String) {
    let ApprovalRequest { approval, action, .. } = anew;
    let code = (ask.action != *action).then_some(code::APPROVAL_CLOSED);
    (code, format!("it is asked about otherwise now: `{approval}` about `{action}`"))
}

/// Why nothing waits after this no, if nothing does. `whole`: no other look follows at what waited.
fn refused(decision: &Decision, whole: bool) -> Option<(Option<Code>, String)> {
    let against = decision.lasting().or_else(|| decision.against().filter(|_| whole))?;
    let message = format!("{}; nothing was executed, and nobody is asked about it any more", against.message);
    Some((Some(against.code), message))
}

/// Withdraws those of these requests that are open in runs that have ended. Gives how many.
pub(crate) fn withdraw_ended(
    requests: &[ApprovalId],
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<usize, LedgerError> {
    let mut count = 0;
    for approval in requests {
        let Some(ask) = open(approval, batch)? else { continue };
        let Some(why) = ended(&ask.run, batch)? else { continue };
        let message = format!("{why}; nothing was executed. Open a new run, and propose it there");
        withdraw(ask, Some(code::RUN_CLOSED), message, now, batch)?;
        count += 1;
    }
    Ok(count)
}

/// Withdraws a request about a plan, if it is open: the agent has proposed another, and one counts at a time.
pub(crate) fn replaced(
    before: &ApprovalId,
    by: &ApprovalId,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<(), LedgerError> {
    let Some(ask) = open(before, batch)? else { return Ok(()) };
    if !ask.is_open(now) {
        return Ok(());
    }
    withdraw(ask, None, format!("the agent has proposed another plan since: `{by}`"), now, batch)
}

/// Why a run has ended, or one that it was delegated from.
fn ended(run: &RunId, batch: &mut OpenBatch) -> Result<Option<String>, LedgerError> {
    let Some(fact) = run_fact(run, batch)? else { return Ok(None) };
    if let Some(why) = fact.closed {
        return Ok(Some(format!("the run has ended: {why}")));
    }
    for ancestor in fact.ancestors {
        if run_fact(&ancestor, batch)?.is_some_and(|fact| fact.closed.is_some()) {
            return Ok(Some(format!("the run `{ancestor}` that this one was delegated from has ended")));
        }
    }
    Ok(None)
}

fn run_fact(run: &RunId, batch: &mut OpenBatch) -> Result<Option<RunFact>, LedgerError> {
    batch.group.find(keys::Run(run.clone()))
}

fn withdraw(
    ask: ApprovalRequest,
    code: Option<Code>,
    message: String,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<(), LedgerError> {
    let message = message.chars().take(2000).collect();
    let withdrawn = Withdrawn { approval: ask.approval, action: ask.action, code, message };
    batch.append(Some(&ask.run), now, Event::Withdrawn(withdrawn)).map(drop)
}
