//! A request about a plan, as a person reads it: the goal, every step in words, which of them would ask by
//! themselves and why, what cannot be undone, what the yes will not reach.

use super::App;
use super::wire::summary::{ApprovalSummary, span, undo_of};
use super::wire::{Approval, ApprovalDetail, Decision, PlanArgument, PlanOpen, PlanStep, description};
use aecl_analysis::outlook::{Outlook, StepOutlook};
use aecl_executor::connectors::process::reaches;
use aecl_gate::Identity;
use aecl_gate::plans::PlanRequest;
use aecl_kernel::define::risk::Risk;
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
    let count = match steps.len() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
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
        holds: Vec::new(),
        rates: Vec::new(),
        adds: Vec::new(),
        replays: None,
    }
}
