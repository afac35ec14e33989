//! A request about a plan, as a person reads it: the goal, every step in words, which of them would ask by
//! themselves and why, what cannot be undone, what the yes will not reach.

use super::App;
use super::wire::summary::{ApprovalSummary, span, undo_of};
use super::wire::{
    Approval, ApprovalDetail, Decision, PlanArgument, PlanOpen, PlanStep, PlanValue, Step, Unproven,
    description,
};
use aecl_analysis::outlook::{Outlook, StepOutlook, ValueStanding};
use aecl_executor::connectors::process::reaches;
use aecl_gate::Identity;
use aecl_gate::approvals::EarlierAction;
use aecl_gate::plans::PlanRequest;
use aecl_gate::proposed::ProposedRequest;
use aecl_kernel::define::catalogue::flow::Endorses;
use aecl_kernel::define::risk::Risk;
use aecl_kernel::provenance::proof::Backing;
use aecl_kernel::read::plan::Constraint;
use aecl_kernel::record::approval::ApprovalState;
use aecl_kernel::record::approval::summary::plan_title;
use aecl_kernel::record::decision::{self, Finding, Verdict};
use serde_json::Value;

/// The name under which a plan stands where actions have theirs.
const NAME: &str = "plan";

/// Everything about the request, for this reader.
pub(super) fn full(app: &App, request: PlanRequest, reader: &Identity) -> ApprovalDetail {
    let url = app.gate.config().url();
    let steps = steps(&request);
    let may_answer = match reader {
        Identity::Person { id, groups } => {
            let voted = request.ask.votes.iter().any(|v| v.person == *id && !request.tally.anew.contains(id));
            let open = (request.tally.state == ApprovalState::Pending && !voted)
                || request.tally.state == ApprovalState::Approved;
            open && request.ask.may_answer(id, groups) && !reader.is_auditor()
        }
        Identity::Orchestrator { .. } | Identity::Local => false,
    };
    let principal = &request.run.principal;
    let (goal, plan) = request.goal.as_ref().map_or((None, None), |g| (Some(g.text.clone()), g.plan.clone()));
    let over = request.run.closed.is_some() || app.gate.now() >= request.run.expires_at;
    ApprovalDetail {
        approval: Approval::of(&request.ask, &request.tally, &url),
        summary: summary(&request, &steps),
        name: NAME.into(),
        arguments: plan.clone().unwrap_or(Value::Null),
        files: None,
        agent: principal.agent.to_string(),
        user: principal.user.as_ref().map(ToString::to_string),
        tenant: principal.tenant.to_string(),
        project: principal.project.as_ref().map(ToString::to_string),
        environment: principal.environment.to_string(),
        goal,
        plan,
        decision: Decision::from(&decision(&request)),
        unproven: Vec::new(),
        history: Vec::new(),
        action_state: if over { "over" } else { "open" },
        action_code: None,
        action_message: String::new(),
        plan_steps: steps,
        may_answer,
        number: None,
        view: String::new(),
    }
}

/// Everything about a request about a plan that an agent has proposed in the middle of its run, for this reader: also what
/// the run has read, and where in it the values stand.
pub(super) fn proposed(app: &App, proposed: ProposedRequest, reader: &Identity) -> ApprovalDetail {
    let ProposedRequest { request, plan, unproven, history } = proposed;
    let mut shown = full(app, request, reader);
    let asking = shown.plan_steps.iter().filter(|step| step.verdict != "allow").count();
    let because = [
        "its agent has read what these steps follow from, and proposes them as one plan".to_owned(),
        format!("{asking} of {} would ask by themselves", plural(shown.plan_steps.len(), "step")),
    ];
    // What stands behind the first two is why they cannot be known.
    let why_not =
        shown.summary.because.split_off(shown.summary.because.len().min(1 + usize::from(asking > 0)));
    shown.summary.title = format!("Proposed: {}", shown.summary.title);
    shown.summary.because = because.into_iter().chain(why_not).collect();
    shown.summary.reasons = shown.summary.because.iter().take(2).cloned().collect();
    shown.arguments = plan.map_or(Value::Null, |plan| plan.stated().clone());
    shown.unproven = unproven.into_iter().map(Unproven::from).collect();
    shown.history = self::history(app, history);
    shown
}

/// What a run has done, as a card shows it. Whether an output may be a stranger's follows from the catalogue.
pub(super) fn history(app: &App, earlier: Vec<EarlierAction>) -> Vec<Step> {
    let bundle = app.gate.bundle();
    let untrusted = |name: &str| {
        let typed = bundle.catalogue().find(name);
        typed.is_none_or(|typed| typed.variants().any(|variant| variant.manifest.output.untrusted))
    };
    let one = |step: EarlierAction| {
        let untrusted = untrusted(&step.name);
        Step::of(step, untrusted)
    };
    earlier.into_iter().map(one).collect()
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Who stands behind a value, in words.
fn stands(by: &[Backing]) -> String {
    let one = |backing: &Backing| match backing.by {
        Endorses::User => Some("the goal names it, or a person has said so"),
        Endorses::Operator => Some("the operator vouches for it"),
        Endorses::Directory if backing.named => Some("a record of the directory that the goal names"),
        Endorses::Directory => Some("a record of the directory"),
        Endorses::Tenant if backing.named => Some("it exists here, and the goal names its record"),
        Endorses::Tenant => Some("it exists here"),
        Endorses::System if backing.named => Some("the backend has issued it, and the goal names its record"),
        Endorses::System => Some("the backend has issued it"),
        Endorses::Agent => Some("the run itself has made it"),
        // They prove nothing.
        Endorses::Made | Endorses::Opaque | Endorses::Third => None,
    };
    let mut told: Vec<&str> = by.iter().filter_map(one).collect();
    told.dedup();
    told.join("; ")
}

fn steps(request: &PlanRequest) -> Vec<PlanStep> {
    let Ok(outlook) = &request.outlook else { return Vec::new() };
    let asked = request.ask.plan.as_ref().map_or(&[][..], |plan| plan.steps.as_slice());
    let one = |(i, step): (usize, &StepOutlook)| {
        let stale = asked.get(i).is_none_or(|asked| asked.definition != step.typed.digest);
        of_step(i + 1, step, stale)
    };
    outlook.steps.iter().enumerate().map(one).collect()
}

fn of_step(number: usize, look: &StepOutlook, stale: bool) -> PlanStep {
    let (undo, undoable) = match look.typed.manifest.effect.changes_something() {
        true => undo_of(&look.typed, None),
        false => ("It changes nothing.".to_owned(), true),
    };
    let asking = look.findings.iter().filter(|f| f.verdict > Verdict::Allow);
    let open = |open: &aecl_analysis::outlook::Open| PlanOpen {
        at: open.at.clone(),
        class: open.class.name(),
        required: open.required,
    };
    let value = |standing: &ValueStanding| PlanValue {
        at: standing.at.clone(),
        class: standing.class.name(),
        value: standing.value.clone(),
        stands: stands(&standing.by),
        unproven: standing.unproven,
    };
    let argument = |(at, constraint): (&String, &Constraint)| PlanArgument {
        at: at.clone(),
        class: look.typed.roles.of_pointer(at).map(|argument| argument.class.name()),
        is: match constraint {
            Constraint::Equals(_) => "equals",
            Constraint::OneOf(_) => "one_of",
            Constraint::AtMost(_) => "at_most",
        },
        values: constraint.values(),
    };
    let (what, server_says) = description(&look.typed);
    let mut because: Vec<String> = asking.map(|f| f.message.clone()).collect();
    because.dedup();
    PlanStep {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        name: look.step.action.clone(),
        what,
        server_says,
        times: look.step.times,
        arguments: look.step.arguments.iter().map(argument).collect(),
        anything: anything(look),
        verdict: look.verdict().name(),
        because,
        risk: look.risk.score(),
        undo,
        undoable,
        cage: look.findings.iter().find(|f| f.check == "sandbox").map(|f| f.message.clone()),
        reaches: reaches(&look.typed),
        covered: !stale && look.open.iter().all(|open| !open.required),
        open: look.open.iter().map(open).collect(),
        values: look.values.iter().map(value).collect(),
        unnamed: look.unnamed.iter().map(|doubt| doubt.at.clone()).collect(),
        stale,
    }
}

/// Arguments of which the step says nothing.
fn anything(look: &StepOutlook) -> Vec<String> {
    let names = look.typed.schema.get("properties").and_then(Value::as_object);
    let names = names.into_iter().flatten().map(|(name, _)| name);
    let said = |name: &&String| {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let mut pointers = look.step.arguments.keys();
        pointers.any(|at| at.is_empty() || *at == pointer || at.starts_with(&format!("{pointer}/")))
    };
    names.filter(|name| !said(name)).cloned().collect()
}

fn summary(request: &PlanRequest, steps: &[PlanStep]) -> ApprovalSummary {
    let goal = request.goal.as_ref().map_or("its goal was erased", |goal| goal.text.as_str());
    let count = plural(steps.len(), "step");
    let mut because = vec![
        "whoever opened the run, or its policy, wants the plan approved before it is carried out".into(),
    ];
    let asking = steps.iter().filter(|step| step.verdict != "allow").count();
    if asking > 0 {
        because.push(format!("{asking} of {count} would ask by themselves"));
    }
    because.extend(request.outlook.as_ref().err().cloned());
    let final_steps: Vec<String> =
        steps.iter().filter(|s| !s.undoable).map(|s| format!("{} `{}`", s.number, s.name)).collect();
    let undo = match final_steps.as_slice() {
        [] if steps.is_empty() => "It is not known what can be undone.".to_owned(),
        [] => "Every step can be undone.".to_owned(),
        these => format!("Cannot be undone: step {}.", these.join(", ")),
    };
    let left = request.ask.expires_at.since_ms(request.ask.asked_at) / 1000;
    ApprovalSummary {
        title: plan_title(steps.len(), goal),
        what: format!(
            "A yes carries out the steps below without asking again, for {} from when it was asked.",
            span(left)
        ),
        server_says: None,
        to: Vec::new(),
        runs: Vec::new(),
        cage: None,
        lowered: false,
        reaches: Vec::new(),
        amount: None,
        undoable: final_steps.is_empty() && !steps.is_empty(),
        undo,
        severity: None,
        reasons: because.iter().take(2).cloned().collect(),
        because,
        stale: request.policy_changed,
    }
}

/// What speaks for asking about the plan, as of one action.
fn decision(request: &PlanRequest) -> decision::Decision {
    let steps = request.outlook.as_ref().map_or(&[][..], |outlook: &Outlook| outlook.steps.as_slice());
    let mut findings = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let told = |f: &Finding| Finding { message: format!("step {}: {}", i + 1, f.message), ..f.clone() };
        findings.extend(step.findings.iter().map(told));
    }
    let risk = steps.iter().map(|s| &s.risk).max_by_key(|risk| risk.points).cloned();
    decision::Decision {
        verdict: Verdict::RequireApproval,
        headline: findings.iter().find(|f| f.verdict == Verdict::RequireApproval).map(|f| f.code),
        findings,
        risk: risk.unwrap_or_else(Risk::default),
        policies: Vec::new(),
        obligations: Vec::new(),
        need: Some(request.ask.need.clone()),
        approval: None,
        plan_step: None,
        completes: None,
        beginning: None,
        holds: Vec::new(),
        rates: Vec::new(),
        adds: Vec::new(),
        replays: None,
    }
}
