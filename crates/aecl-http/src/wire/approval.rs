//! Requests for approval.

use super::{Decision, FileChanges, PlanStep, Requirement, requirements};
use crate::wire::summary::ApprovalSummary;
use aecl_gate::approvals::{EarlierAction, UnprovenValue};
use aecl_gate::queue::Queued as GateQueued;
use aecl_gate::votes::Tally;
use aecl_kernel::record::approval::{ApprovalRequest, Vote as KernelVote};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A person's answer so far.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Vote {
    /// Who.
    pub person: String,
    /// Yes or no.
    pub yes: bool,
    /// When.
    pub at: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why this yes does not count any more, if it does not: whoever said it may not say it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<&'static str>,
}

impl Vote {
    fn of(v: &KernelVote, tally: &Tally) -> Self {
        Self {
            person: v.person.to_string(),
            yes: v.yes,
            at: v.at.to_string(),
            reason: v.reason.clone(),
            lapsed: tally.lapsed.get(&v.person).copied().filter(|_| v.yes),
        }
    }
}

/// A request for approval.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// The page where people answer it.
    pub url: String,
    /// `pending`, `approved`, `rejected`, `expired`, `used`, or `withdrawn`: nobody has to answer any more, since the
    /// action is over, goes on without an answer, or is asked about otherwise.
    pub state: &'static str,
    /// What it is about: an `action`, or the `plan` of a run.
    pub about: &'static str,
    /// The plan is one that the agent has proposed in the middle of its run: a no ends nothing but the plan.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// The action that waits, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Its run.
    pub run: String,
    /// What exactly is asked about.
    pub digest: String,
    /// Who must agree.
    pub need: Vec<Requirement>,
    /// The destinations whose ends have to be typed with a yes, where one person decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<Confirmation>,
    /// Who has answered.
    pub votes: Vec<Vote>,
    /// Who may not answer.
    pub excluded: Vec<String>,
    /// When it was asked.
    pub asked_at: String,
    /// When it expires, which rejects it.
    pub expires_at: String,
}

impl Approval {
    /// Whether a yes has to be typed, since grave harm can come of it.
    pub fn is_grave(&self) -> bool {
        !self.confirm.is_empty()
    }

    /// A request as it stands; `url` is where the pages are.
    pub fn of(ask: &ApprovalRequest, tally: &Tally, url: &str) -> Self {
        Self {
            id: ask.approval.to_string(),
            url: format!("{url}/approvals/{}", ask.approval),
            state: tally.state.name(),
            about: if ask.plan.is_some() { "plan" } else { "action" },
            proposed: ask.plan.as_ref().is_some_and(|plan| !plan.is_declared()),
            action: ask.plan.is_none().then(|| ask.action.to_string()),
            run: ask.run.to_string(),
            digest: ask.digest.to_string(),
            need: requirements(&ask.need),
            confirm: typed(ask),
            votes: ask.votes.iter().map(|vote| Vote::of(vote, tally)).collect(),
            excluded: ask.excluded.iter().cloned().collect(),
            asked_at: ask.asked_at.to_string(),
            expires_at: ask.expires_at.to_string(),
        }
    }
}

/// A destination that nobody who is trusted has named: whoever says yes types its end.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Confirmation {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// The step of the plan whose argument it is, from 1, if a plan is asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// What to type, in words.
    pub what: String,
}

fn typed(ask: &ApprovalRequest) -> Vec<Confirmation> {
    let wanted = ask.confirm.iter().filter(|_| ask.wants_confirmation());
    wanted.map(|c| Confirmation { at: c.at.clone(), step: c.step.map(|s| s + 1), what: c.words() }).collect()
}

/// A request in the queue, in short. It costs and weighs the same whatever an agent has put into it; everything
/// else is at `GET /v1/approvals/{approval}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queued {
    /// The request, without what has to be typed and without reasons.
    #[serde(flatten)]
    pub approval: Approval,
    /// A short name for it, which is never given again.
    pub number: u64,
    /// The name of the action.
    pub name: String,
    /// The agent.
    pub agent: String,
    /// On behalf of whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The tenant.
    pub tenant: String,
    /// The environment.
    pub environment: String,
    /// Whether a yes has to be typed.
    pub typed: bool,
    /// Whether you may answer.
    pub may_answer: bool,
    /// Fewer people are there who may answer than must agree: as it is, nobody's yes lets it happen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unanswerable: bool,
    /// How many that are open ask the same with other values, with this one.
    pub alike: usize,
    /// What will happen, in short.
    pub summary: InShort,
}

/// What a request is about, shortened to a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct InShort {
    /// What will happen, at most 180 bytes.
    pub title: String,
    /// The first reason to ask, at most 140 bytes.
    pub because: Vec<String>,
    /// How many reasons there are.
    pub reasons: u32,
    /// Whether it can be undone.
    pub undoable: bool,
}

impl Queued {
    /// A request on a page; `url` is where the pages are.
    pub fn of(queued: &GateQueued, url: &str) -> Self {
        let (waiting, summary) = (&queued.waiting, &queued.waiting.summary);
        let principal = &summary.principal;
        Self {
            approval: Approval::of(&waiting.ask, &queued.tally, url),
            number: summary.number,
            name: summary.name.clone(),
            agent: principal.agent.to_string(),
            user: principal.user.as_ref().map(ToString::to_string),
            tenant: principal.tenant.to_string(),
            environment: principal.environment.to_string(),
            typed: waiting.typed,
            may_answer: false,
            unanswerable: false,
            alike: queued.alike,
            summary: InShort {
                title: summary.title.clone(),
                because: Some(summary.because.clone()).filter(|b| !b.is_empty()).into_iter().collect(),
                reasons: summary.reasons,
                undoable: summary.undoable,
            },
        }
    }
}

/// A page of the requests that are open.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queue {
    /// At most 50 of them.
    pub approvals: Vec<Queued>,
    /// How many there are in all.
    pub total: usize,
    /// Where the next page begins, as `after`; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// MCP servers of which something is offered otherwise than it was accepted. On the first page, for operators and
    /// auditors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_servers: Vec<ChangedServer>,
}

/// A server of which something waits until a person has looked at it. It is accepted where AECL runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedServer {
    /// Its name.
    pub server: String,
    /// How many tools, prompts and words about itself wait.
    pub waiting: usize,
}

/// One earlier action of the run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    /// The action.
    pub action: String,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Option<Value>,
    /// How it ended.
    pub state: &'static str,
    /// Its output, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The output may be a stranger's text.
    pub untrusted: bool,
}

impl Step {
    /// A step; what the catalogue does not know any more counts as untrusted.
    pub fn of(step: EarlierAction, untrusted: bool) -> Self {
        Self {
            action: step.action.to_string(),
            name: step.name,
            arguments: step.arguments,
            state: step.state,
            output: step.output,
            untrusted,
        }
    }
}

/// An argument that nobody who is trusted stands behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unproven {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role, such as `dest_account`.
    pub class: &'static str,
    /// Its value.
    pub value: String,
    /// Where the run has seen it; empty means that the agent made it up, or wrote it otherwise.
    pub seen: Vec<Seen>,
}

/// A place where the run has seen a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seen {
    /// The action whose output it was.
    pub action: String,
    /// Its name.
    pub name: String,
    /// Where in the output, as a JSON pointer.
    pub path: String,
    /// The words around it, at most 80 characters. They may be a stranger's.
    pub excerpt: String,
}

impl From<UnprovenValue> for Unproven {
    fn from(u: UnprovenValue) -> Self {
        let seen = |s: aecl_gate::approvals::SeenValue| Seen {
            action: s.action.to_string(),
            name: s.name,
            path: s.path,
            excerpt: s.excerpt,
        };
        Self { at: u.at, class: u.class.name(), value: u.value, seen: u.seen.into_iter().map(seen).collect() }
    }
}

/// A request with everything that an approver needs to know.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Full)]
pub struct ApprovalDetail {
    /// The request.
    #[serde(flatten)]
    pub approval: Approval,
    /// What will happen, to whom, why we ask, and how it is undone.
    pub summary: ApprovalSummary,
    /// The name of the action.
    pub name: String,
    /// Its arguments, untruncated.
    pub arguments: Value,
    /// What it would change in files, beside what is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FileChanges>,
    /// The agent.
    pub agent: String,
    /// On behalf of whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The tenant.
    pub tenant: String,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The environment.
    pub environment: String,
    /// What the run is for.
    pub goal: Option<String>,
    /// Its declared steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// Why we ask.
    pub decision: Decision,
    /// The arguments that nobody who is trusted stands behind, and where the run has seen their values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Unproven>,
    /// What the run has done so far, oldest first.
    pub history: Vec<Step>,
    /// Where the action stands; for a plan whether its run is `open` or `over`.
    pub action_state: &'static str,
    /// Why the action is over, if it was refused, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_code: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action_message: String,
    /// The steps of the plan that is asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan_steps: Vec<PlanStep>,
    /// Whether you may answer; also: take a yes to a plan back.
    pub may_answer: bool,
    /// A short name for it, which is never given again, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// SHA-256 of what is asked, as it is shown (`sha256:…`). Given back with an answer, the answer counts only while
    /// this is what is shown.
    pub view: String,
}

/// A person's answer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerWith {
    /// Why.
    pub reason: String,
    /// The `view` of the request that was looked at. If another is shown by now, the answer does not count
    /// (`view_changed`).
    pub view: Option<String>,
    /// For a yes: the values that are asked about are right for the rest of this run, each in its role.
    pub endorse: bool,
    /// For a yes that has to be typed: the ends of the destinations, in any order.
    pub confirm: Vec<String>,
}

/// Answers to several requests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// At most 50.
    pub answers: Vec<AnswerOf>,
}

/// A person's answer to one of several requests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerOf {
    /// Which request.
    pub approval: String,
    /// The `view` of the request that was looked at.
    pub view: String,
    /// Yes or no.
    pub yes: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What came of several answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Results {
    /// One for each answer, in their order.
    pub results: Vec<ResultOf>,
}

/// What came of one of several answers: where the request stands now, or why the answer was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultOf {
    /// Which request.
    pub approval: String,
    /// Where it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Why the answer was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
