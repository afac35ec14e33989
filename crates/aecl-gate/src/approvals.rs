//! Approvals: what people see, and what their answer sets off. The answer is one more fact; the current
//! policy is asked again before anything happens.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::outputs::OutputOfRun;
use crate::votes::Tally;
use aecl_executor::connectors::files::ShownFiles;
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::define::catalogue::flow::{Class, Endorses};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::ingest::{Endorsement, Trusted};
use aecl_kernel::provenance::proof::endorsed;
use aecl_kernel::provenance::seen;
use aecl_kernel::read::action::{Action, Mode};
use aecl_kernel::record::approval::plan::PlanAsked;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, Vote};
use aecl_kernel::record::event::{Event, Ruled};
use aecl_kernel::record::facts::{ActionFact, ActionState};
use aecl_kernel::record::goal::Goal;
use aecl_ledger::{Answering, LedgerError, PayloadKind};
use serde_json::Value;
use std::sync::Arc;

/// Everything that an approver needs to know, untruncated.
#[derive(Debug, Clone)]
pub struct Request {
    /// The request.
    pub ask: ApprovalRequest,
    /// Where it stands now, and whose yes does not count any more.
    pub tally: Tally,
    /// The action that waits.
    pub action: ActionFact,
    /// The decision that asks, with principal, findings and risk.
    pub ruled: Ruled,
    /// The arguments, exactly.
    pub arguments: Value,
    /// What the run is for.
    pub goal: Option<Goal>,
    /// What the run has done so far, oldest first.
    pub history: Vec<EarlierAction>,
    /// The arguments that nobody who is trusted stands behind, and where the run has seen their values.
    pub unproven: Vec<UnprovenValue>,
}

impl Request {
    /// What waits, as this policy understands it.
    pub fn understood(&self, bundle: &Bundle) -> Action {
        let proposal = self.ruled.proposal(self.arguments.to_string().into_bytes());
        // It was read within the limits of then.
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        Action::parse(proposal, bundle.catalogue(), &limits)
    }
}

/// An argument that nobody who is trusted stands behind.
#[derive(Debug, Clone)]
pub struct UnprovenValue {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role.
    pub class: Class,
    /// Its value.
    pub value: String,
    /// Where the run has seen it, at most eight places, the latest first.
    pub seen: Vec<SeenValue>,
}

/// A place where the run has seen a value.
#[derive(Debug, Clone)]
pub struct SeenValue {
    /// The action whose output it was.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// Where in the output, as a JSON pointer.
    pub path: String,
    /// The words around it. They may be a stranger's: show them as inert.
    pub excerpt: String,
}

/// A person's answer, as a surface hands it over.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Yes or no.
    pub yes: bool,
    /// Why, in the person's words.
    pub reason: String,
    /// SHA-256 of what was shown.
    pub view: Option<Digest>,
    /// The yes is also for the values that are asked about: for this run, each in its role.
    pub endorse: bool,
    /// The ends of the destinations that nobody who is trusted has named, where a yes has to be typed.
    pub confirm: Vec<String>,
}

/// One earlier action of the run, for the approver.
#[derive(Debug, Clone)]
pub struct EarlierAction {
    /// The action.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Option<Value>,
    /// How it ended.
    pub state: &'static str,
    /// Its output, shortened to what a card can show. It may be a stranger's text: show it as inert.
    pub output: Option<String>,
}

/// Most earlier actions on a card.
const HISTORY_MAX: usize = 50;
/// Most places of one value on a card.
const PLACES_MAX: usize = 8;
/// Longest excerpt of an output on a card, in characters.
pub const EXCERPT_MAX: usize = 16_000;

impl Gate {
    /// Requests that are open, oldest first.
    pub async fn approvals(&self, limit: usize) -> Result<Vec<ApprovalRequest>, GateError> {
        let mut asks = self.0.ledger.open_approvals(limit).await?;
        let now = self.now();
        asks.retain(|ask| ask.is_open(now));
        asks.sort_by_key(|ask| ask.asked_at);
        Ok(asks)
    }

    /// One request with everything around it.
    pub async fn request(&self, id: &ApprovalId) -> Result<Request, GateError> {
        let mut request = self.question(id).await?;
        request.history = self.history(&request.ask).await?;
        self.find_places(&request.ask, &mut request.unproven).await?;
        Ok(request)
    }

    /// One request without what its run has done and seen: what is asked, and nothing that changes meanwhile.
    pub async fn question(&self, id: &ApprovalId) -> Result<Request, GateError> {
        let ledger = &self.0.ledger;
        let ask = ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?;
        let action = self.action_fact(&ask.action).await?;
        let ruled = self.last_ruling(&ask.action).await?;
        let arguments = self.arguments(&ruled.arguments).await?.unwrap_or(Value::Null);
        let goal = ledger.goal(&ask.run).await?;
        let unproven = unproven(&ruled, &arguments);
        Ok(Request {
            tally: self.tally(&ask, &ruled.principal),
            ask,
            action,
            ruled,
            arguments,
            goal,
            history: Vec::new(),
            unproven,
        })
    }

    /// What an open request would change in files, beside what is there now: for the people who are asked. Of what is
    /// declared otherwise by now nothing is shown; it is judged again before it happens.
    pub async fn shown_files(&self, request: &Request) -> ShownFiles {
        let ruled = &request.ruled;
        let waits = request.action.state == ActionState::Waiting && request.ask.is_open(self.now());
        if !waits || ruled.mode != Mode::Execute {
            return ShownFiles::None;
        }
        let action = Arc::new(request.understood(&self.bundle()));
        match action.typed.as_ref().map(|typed| typed.digest) == ruled.definition {
            true => self.0.executor.shown(&action).await,
            false => ShownFiles::None,
        }
    }

    /// Where the run has seen the values that are asked about. A search for the eyes of a person: the
    /// decision was made without it.
    pub(crate) async fn find_places(
        &self,
        ask: &ApprovalRequest,
        out: &mut [UnprovenValue],
    ) -> Result<(), GateError> {
        if out.is_empty() {
            return Ok(());
        }
        for OutputOfRun { action, name, output } in self.outputs(&ask.run).await? {
            for unproven in out.iter_mut().filter(|u| u.seen.len() < PLACES_MAX) {
                for place in seen::places(&unproven.value, &output) {
                    let (action, name) = (action.clone(), name.clone());
                    unproven.seen.push(SeenValue { action, name, path: place.path, excerpt: place.excerpt });
                }
            }
        }
        Ok(())
    }

    /// The atoms that a yes to this request endorses, if the person says so.
    async fn endorsed(&self, ask: &ApprovalRequest) -> Result<Vec<Trusted>, GateError> {
        let ruled = self.last_ruling(&ask.action).await?;
        let arguments = self.arguments(&ruled.arguments).await?.unwrap_or(Value::Null);
        let mark = Endorsement::of(Endorses::User);
        let doubts = ruled.decision.findings.iter().flat_map(|f| &f.about);
        let atoms = doubts.filter_map(|d| Some(endorsed(d.class, arguments.pointer(&d.at)?))).flatten();
        Ok(atoms.map(|atom| Trusted { atom, mark }).collect())
    }

    pub(crate) async fn history(&self, ask: &ApprovalRequest) -> Result<Vec<EarlierAction>, GateError> {
        let mut ids: Vec<ActionId> = Vec::new();
        let mut after = None;
        loop {
            let entries = self.0.ledger.entries_of_run(&ask.run, after, 512).await?;
            let Some(last) = entries.last() else { break };
            after = Some(last.position);
            for entry in entries {
                if let Event::Ruled(ruled) = entry.event
                    && !ruled.credential.is_look()
                    && ruled.action != ask.action
                    && !ids.contains(&ruled.action)
                {
                    ids.push(ruled.action);
                    // Only the latest are shown; older ones are in the ledger.
                    if ids.len() > HISTORY_MAX {
                        ids.remove(0);
                    }
                }
            }
        }
        let mut steps = Vec::new();
        for id in ids {
            let Some(fact) = self.0.ledger.action(&id).await? else { continue };
            let output = match &fact.output {
                Some(digest) => self.0.ledger.payload(PayloadKind::Output, digest).await?,
                None => None,
            };
            let excerpt = output.map(|o| String::from_utf8_lossy(&o).chars().take(EXCERPT_MAX).collect());
            let arguments = self.arguments(&fact.arguments).await?;
            steps.push(EarlierAction {
                action: id,
                name: fact.name,
                arguments,
                state: fact.state.name(),
                output: excerpt,
            });
        }
        Ok(steps)
    }

    /// Takes a person's answer. If that was the last one needed, and somebody polls for the result, the
    /// action is carried on; whoever waits for it is told.
    pub async fn answer(
        &self,
        by: &Identity,
        id: &ApprovalId,
        yes: bool,
        reason: String,
        view: Option<Digest>,
    ) -> Result<ApprovalRequest, GateError> {
        self.reply(by, id, Reply { yes, reason, view, ..Reply::default() }).await
    }

    /// The same, with everything that an answer can say.
    pub async fn reply(
        &self,
        by: &Identity,
        id: &ApprovalId,
        reply: Reply,
    ) -> Result<ApprovalRequest, GateError> {
        let Reply { yes, reason, view, endorse, confirm } = reply;
        let Identity::Person { id: person, groups } = by else {
            let message = format!(
                "{} is no person; approvals are answered by people with a key of their own",
                by.name()
            );
            return Err(GateError::refused(code::APPROVER_REFUSED, message));
        };
        let ask = self.0.ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?;
        self.may_answer(by, &ask).await?;
        let endorse = endorse && yes && ask.plan.is_none();
        let endorsed = if endorse { self.endorsed(&ask).await? } else { Vec::new() };
        let confirmed = yes && !ask.confirm.is_empty() && ask.is_confirmed_by(&confirm);
        let (person, groups) = (person.clone(), groups.clone());
        let vote = Vote { person, groups, yes, at: self.now(), reason, endorse, confirmed };
        let people = Some(self.people());
        // A no to the plan that it was opened with ends the run, and with it what waits there.
        let declared = ask.plan.as_ref().is_some_and(PlanAsked::is_declared);
        let ends = if yes || !declared { Vec::new() } else { self.0.ledger.ending_with(&ask.run) };
        let ending = ends.iter().map(|waiting| waiting.ask.approval.clone()).collect();
        let answering = Answering { approval: id.clone(), vote, view, endorsed, people, ending };
        let answered = self.0.ledger.answer_among(answering).await?;
        let (state, action) = (answered.get().state, answered.get().action.clone());
        self.0.waits.ring(&action);
        self.ring_all(&ends);
        match (state, &ask.plan) {
            (ApprovalState::Approved, None) => self.carry_on(&action).await?,
            (ApprovalState::Approved, Some(_)) => self.go_on_with(&[ask.run.clone()].into()).await?,
            (ApprovalState::Rejected, Some(_)) if declared => self.end_what_waits_in(&ask.run).await?,
            _ => {}
        }
        Ok(self.0.ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?)
    }

    /// Whether somebody may answer here at all; whether they are asked is judged with the answer, on record.
    async fn may_answer(&self, by: &Identity, ask: &ApprovalRequest) -> Result<(), GateError> {
        let refused = |why: &str| {
            let message = format!("`{}` may not answer `{}`: {why}", by.name(), ask.approval);
            Err(GateError::refused(code::APPROVER_REFUSED, message))
        };
        if by.is_auditor() {
            return refused("members of `auditors` read, and answer nothing");
        }
        match self.0.ledger.run(&ask.run).await? {
            // To whom it is not shown, it is not there.
            Some(run) if !self.sees_request(by, ask, &run.principal) => {
                Err(LedgerError::NoApproval(ask.approval.clone()).into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The arguments that are asked about since nobody who is trusted stands behind them.
fn unproven(ruled: &Ruled, arguments: &Value) -> Vec<UnprovenValue> {
    let mut out: Vec<UnprovenValue> = Vec::new();
    for doubt in ruled.decision.findings.iter().flat_map(|f| &f.about) {
        let value = match arguments.pointer(&doubt.at) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => continue,
        };
        if !out.iter().any(|u| u.at == doubt.at) {
            out.push(UnprovenValue { at: doubt.at.clone(), class: doubt.class, value, seen: Vec::new() });
        }
    }
    out
}
