//! Putting a plan before people: what each step would do, which of them would ask anyway and why, and who has to
//! agree to the plan as a whole. Looked at as in a run that has read what strangers wrote, which is the worst that
//! this run will be.
//!
//! What a step leaves open is filled in with a sample. What is found about the sample alone is not told, since a
//! call with another value is judged then: the yes to a plan never covers what matters and was left open.

mod midway;

pub use midway::{Midway, ValueStanding};

use crate::residual::choices;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::id::PersonId;
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{self, approvers, checks, isolation};
use aecl_kernel::define::catalogue::flow::{Class, covers, is_at_or_above};
use aecl_kernel::define::catalogue::{TypedAction, pointer_of};
use aecl_kernel::define::isolation::{HostIsolation, IsolationTier};
use aecl_kernel::define::risk::Risk;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::proof::{Provenance, judged, needs_proof};
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::read::plan::{Constraint, PlanProgress, Step};
use aecl_kernel::record::approval::plan::{PlanAsked, StepAsked};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, Quorum, TypedConfirmation};
use aecl_kernel::record::decision::{Finding, UnprovenArgument, Verdict};
use aecl_kernel::record::facts::{EDITION, Fact, FactKey, FactStore as _, Facts, RunFact, keys};
use aecl_kernel::record::goal::Goal;
use aecl_kernel::record::history::History;
use midway::stand;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most steps of a plan that people are asked about: more than that nobody reads.
pub const STEPS_MAX: usize = 64;
/// Most values that all steps together may list for their arguments.
const LISTED_MAX: usize = 256;
/// Most items of a list that a pointer into it can make.
const ITEMS_MAX: usize = 64;
/// Most destinations whose ends have to be typed.
const TYPED_MAX: usize = 16;

/// The steps of a plan, as people have to know them.
#[derive(Debug)]
pub struct Outlook {
    /// The steps, in order.
    pub steps: Vec<StepOutlook>,
    /// Everybody who must agree, and by when.
    pub need: Quorum,
}

/// One step.
#[derive(Debug)]
pub struct StepOutlook {
    /// What it is, with what the plan says of its arguments.
    pub step: Step,
    /// Its definition.
    pub typed: Arc<TypedAction>,
    /// What speaks for asking about it, or against it altogether.
    pub findings: Vec<Finding>,
    /// How risky it is at most.
    pub risk: Risk,
    /// How strongly its program would be held.
    pub tier: Option<IsolationTier>,
    /// Arguments that matter and are left open. A call that gives one is asked about by itself.
    pub open: Vec<Open>,
    /// Destinations that the plan names and nobody else.
    pub unnamed: Vec<UnprovenArgument>,
    /// Who stands behind the values that matter, of a plan that its agent proposes.
    pub values: Vec<ValueStanding>,
    /// What of them has to be typed: where the values stand, and the values.
    typed_ends: Vec<(UnprovenArgument, Value)>,
}

/// An argument that matters and that a step leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Where it stands in the arguments, as a JSON pointer in which `*` is any step.
    pub at: String,
    /// Its role.
    pub class: Class,
    /// The action cannot go without it, so every call is asked about.
    pub required: bool,
}

impl StepOutlook {
    /// What would be decided about it by itself.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Allow)
    }
}

/// A plan whose run is about to begin, or has begun.
#[derive(Debug)]
pub struct Stated<'a> {
    /// The goal, with the plan.
    pub goal: &'a Goal,
    /// The run.
    pub run: &'a RunFact,
    /// The runs that it was delegated from, nearest first.
    pub lineage: &'a [RunFact],
    /// Their goals, by run.
    pub known: &'a BTreeMap<FactKey, Fact>,
    /// The policy.
    pub bundle: &'a Bundle,
    /// What this host can hold programs with, if that is known.
    pub cages: Option<&'a HostIsolation>,
    /// The time.
    pub now: Timestamp,
    /// The plan that is looked at, where it is not the one that was stated with the goal.
    pub midway: Option<Midway<'a>>,
}

/// Code and reason for which a plan is not put before people.
pub type Refused = (Code, String);

impl Stated<'_> {
    /// Looks at every step. Refuses a plan with a step that can never happen: nobody is woken for it.
    pub fn outlook(&self) -> Result<Outlook, Refused> {
        let plan = match &self.midway {
            Some(midway) => midway.plan.plan(),
            None => self.goal.contract(),
        };
        let plan = plan.ok_or_else(|| invalid("there is no plan with `steps` to approve"))?;
        if plan.steps.len() > STEPS_MAX {
            let n = plan.steps.len();
            return Err(invalid(format!(
                "the plan has {n} steps; people are asked about {STEPS_MAX} at most"
            )));
        }
        let listed: usize =
            plan.steps.iter().flat_map(|s| s.arguments.values()).map(|c| c.values().len()).sum();
        if listed > LISTED_MAX {
            let why = format!("the plan lists {listed} values; people are asked about {LISTED_MAX} at most");
            return Err(invalid(why));
        }
        let mut need = Quorum::default();
        let (mut steps, mut place) = (Vec::new(), self.run.step);
        for (i, step) in plan.steps.iter().enumerate() {
            let after = self.within_the_contract(i + 1, step, place)?;
            steps.push(self.look(i + 1, step, place, &mut need)?);
            place = after;
        }
        if need.requirements.is_empty() {
            need.add(approvers::approvers_of(self.bundle, &self.run.principal.agent), 3600);
        }
        Ok(Outlook { steps, need })
    }

    /// The request to people. `asker` has brought the plan, so somebody else has to agree to it.
    pub fn ask(&self, asker: Option<&PersonId>, fresh: &NewIds) -> Result<ApprovalRequest, Refused> {
        self.may_ask()?;
        let Outlook { steps, need } = self.outlook()?;
        let expires_at = self.now.plus_s(need.expires_s).min(self.run.expires_at);
        let principal = &self.run.principal;
        let mut excluded = approvers::excluded(principal, self.bundle);
        let own = self.bundle.agent(&principal.agent).is_some_and(|m| m.self_approval);
        let further = self.lineage.iter().filter(|_| self.midway.is_some()).flat_map(|run| &run.barred);
        let barred = asker.into_iter().chain(&self.run.barred).chain(further);
        excluded.extend(barred.filter(|_| !own).map(ToString::to_string));
        let bundle = self.bundle.hash();
        let asks = |step: &StepOutlook| {
            let asking = step.findings.iter().filter(|f| f.verdict == Verdict::RequireApproval);
            asking.map(|f| f.code).collect()
        };
        let asked = |step: &StepOutlook| StepAsked {
            definition: step.typed.digest,
            times: step.step.times,
            tier: step.tier,
            asks: asks(step),
        };
        Ok(ApprovalRequest {
            approval: fresh.approval.clone(),
            action: fresh.action.clone(),
            run: principal.run.clone(),
            digest: self.digest(expires_at),
            need,
            excluded,
            votes: Vec::new(),
            state: ApprovalState::Pending,
            asked_at: self.now,
            rows: None,
            confirm: confirm(&steps, fresh)?,
            tier: None,
            instead_of: None,
            plan: Some(PlanAsked {
                bundle,
                steps: steps.iter().map(asked).collect(),
                proposed: self.midway.as_ref().map(|midway| midway.plan.digest(&principal.run)),
            }),
            completed_by: Vec::new(),
            expires_at,
        })
    }

    /// Asking about a plan is a question like any other.
    fn may_ask(&self) -> Result<(), Refused> {
        let runs = std::iter::once(self.run).chain(self.lineage);
        approvers::questions_spent(runs, self.bundle).map_or(Ok(()), |(run, most)| {
            let agent = &run.principal.agent;
            let text = format!(
                "`{agent}` may ask people {most} times in a run, and has; nobody is asked about the plan"
            );
            Err((code::QUESTIONS_EXHAUSTED, text))
        })
    }

    fn look(
        &self,
        number: usize,
        step: &Step,
        place: PlanProgress,
        need: &mut Quorum,
    ) -> Result<StepOutlook, Refused> {
        let of_step = |why: String| self.of_step(number, step, &why);
        let Some(typed) = self.bundle.catalogue().find(&step.action) else {
            let near = self.bundle.catalogue().nearest(&step.action);
            let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            return Err(of_step(format!("the catalogue has no such action{hint}")));
        };
        let Samples { values, open: sampled } = samples(typed, step).map_err(of_step)?;
        if let Some(name) = undecided(typed, step) {
            return Err(of_step(format!(
                "it leaves `{name}` open, which says what kind of call it is; say what it `equals`"
            )));
        }
        let typed = &self.variant(typed, &values);
        let mut out = StepOutlook {
            step: step.clone(),
            typed: typed.clone(),
            findings: Vec::new(),
            risk: Risk::default(),
            tier: None,
            open: open(typed, step),
            unnamed: Vec::new(),
            values: Vec::new(),
            typed_ends: Vec::new(),
        };
        for value in values {
            self.try_out(value, &sampled, place, &mut out, need);
        }
        // What is found about a sample may be different with other values.
        out.findings
            .retain(|f| f.verdict != Verdict::Block || sampled.is_empty() || ALWAYS.contains(&f.code));
        match out.findings.iter().find(|f| f.verdict == Verdict::Block) {
            Some(finding) => Err(of_step(format!("it would be refused: {}", finding.message))),
            None => Ok(out),
        }
    }

    /// The case that all samples of a step are of; the entry itself where they are of several.
    fn variant(&self, entry: &Arc<TypedAction>, values: &[Value]) -> Arc<TypedAction> {
        let name = entry.manifest.name.as_str();
        let mut each = values.iter().filter_map(|value| self.action(name, value).typed.clone());
        let first = each.next().filter(|first| each.all(|other| other.variant == first.variant));
        first.unwrap_or_else(|| entry.clone())
    }

    /// Judges one sample of a step, and adds what is found.
    fn try_out(
        &self,
        value: Value,
        sampled: &BTreeSet<String>,
        place: PlanProgress,
        out: &mut StepOutlook,
        need: &mut Quorum,
    ) {
        let action = self.action(&out.step.action, &value);
        let mut run = match &self.midway {
            Some(_) => RunFact { step: place, ..self.run.clone() },
            None => RunFact {
                planned: true,
                plan_approval: None,
                step: PlanProgress::default(),
                ..self.run.clone()
            },
        };
        run.labels.untrusted = true;
        run.labels.private = true;
        let (edition, lineage) = (EDITION, self.lineage.to_vec());
        let mut facts = Facts { edition, run: Some(run.clone()), lineage, ..Facts::default() };
        let (mut space, people) = (self.space(), self.midway.as_ref().and_then(|midway| midway.people));
        let agreed = self.declared_holds(&mut space);
        let Ok(provenance) =
            Provenance::gather(&action, &run, self.lineage, agreed, people, self.bundle, &mut space);
        facts.provenance = provenance;
        // Nobody knows what it will have done by then, so everything is its first time.
        let Ok(past) = History::gather(&action, self.lineage, EDITION, &mut BTreeMap::new());
        facts.past = past;
        facts.cages = out.typed.cage.as_ref().and(self.cages).cloned();
        let question = DecisionRequest {
            action: &action,
            facts: &facts,
            bundle: self.bundle,
            evidence: &[],
            now: self.now,
        };
        let found = decide::found(&question);
        let of_plan = [code::OFF_PLAN, code::PLAN_NOT_APPROVED];
        // What the thing is like is looked up when the step comes, and a yes to the plan never covers it.
        let of_thing = |f: &Finding| f.check == checks::resource::NAME;
        let about_sample = |f: &Finding| {
            let on_sample = |at: &str| sampled.iter().any(|pointer| is_at_or_above(pointer, at));
            let content = f.code == code::UNGROUNDED && !sampled.is_empty();
            let sampled_only = f.code != code::IRREVERSIBLE && !f.about.is_empty();
            content || (sampled_only && f.about.iter().all(|doubt| on_sample(&doubt.at)))
        };
        let told: Vec<Finding> = found
            .list
            .into_iter()
            .filter(|f| !of_plan.contains(&f.code) && !of_thing(f) && !about_sample(f))
            .collect();
        if told.iter().any(|f| f.verdict == Verdict::RequireApproval) {
            let one = decide::need_of(&question, &told);
            one.requirements.into_iter().for_each(|requirement| need.add(requirement, one.expires_s));
        }
        for finding in told {
            if !out.findings.contains(&finding) {
                out.findings.push(finding);
            }
        }
        if found.risk.points >= out.risk.points {
            out.risk = found.risk;
        }
        out.tier = out.tier.max(isolation::held(&question).0);
        match (&self.midway, facts.provenance) {
            (None, _) => self.named_by_nobody_else(&action, &run, sampled, out),
            (Some(_), Some(provenance)) => stand(&action, &provenance, sampled, out),
            (Some(_), None) => {}
        }
    }

    /// Destinations that neither the goal nor anybody else who is trusted has named. The plan is what is asked about,
    /// so its own word does not count.
    fn named_by_nobody_else(
        &self,
        action: &Action,
        run: &RunFact,
        sampled: &BTreeSet<String>,
        out: &mut StepOutlook,
    ) {
        let Some(typed) = action.typed.as_deref() else { return };
        let run = RunFact { planned: false, ..run.clone() };
        let mut space = self.space();
        let words = Goal::new(self.goal.text.clone(), None);
        space.put(keys::Goal(run.principal.run.clone()), words);
        let Ok(provenance) =
            Provenance::gather(action, &run, self.lineage, true, None, self.bundle, &mut space);
        let Some(provenance) = provenance else { return };
        unnamed(action, typed, &provenance, sampled, out);
    }

    fn action(&self, name: &str, arguments: &Value) -> Arc<Action> {
        let principal = self.run.principal.clone();
        let credential = Credential {
            id: "gate:plan".into(),
            run: principal.run.clone(),
            agent: principal.agent.clone(),
            expires_at: self.run.expires_at,
        };
        let proposal = Proposal {
            credential,
            principal,
            name: name.to_owned(),
            arguments: arguments.to_string().into_bytes(),
            mode: Mode::Execute,
            idempotency_key: None,
            // The tool is taken to be what was accepted.
            offered: self.bundle.catalogue().find(name).and_then(|t| t.manifest.pin),
            compensates: None,
            resume: false,
        };
        Arc::new(Action::parse(proposal, self.bundle.catalogue(), &Limits::default()))
    }
}

/// Adds the destinations that nobody who is trusted has named.
fn unnamed(
    action: &Action,
    typed: &TypedAction,
    provenance: &Provenance,
    sampled: &BTreeSet<String>,
    out: &mut StepOutlook,
) {
    let leaves = judged(action, typed, EDITION);
    for (_, doubt) in checks::unproven(&leaves, typed, EDITION, provenance) {
        let given = sampled.iter().all(|pointer| !is_at_or_above(pointer, &doubt.at));
        if !doubt.class.is_destination() || !given {
            continue;
        }
        let value = leaves.iter().find(|l| l.pointer == doubt.at).map(|l| l.value.clone());
        if typed.manifest.severity() >= 3 {
            out.typed_ends.extend(value.map(|value| (doubt.clone(), value)));
        }
        if !out.unnamed.contains(&doubt) {
            out.unnamed.push(doubt);
        }
    }
}

/// An argument that says which case of an action a call is, and of which the step says nothing: what people would agree to
/// could be any of them.
fn undecided<'a>(entry: &'a TypedAction, step: &Step) -> Option<&'a str> {
    let names = entry.manifest.cases.iter().flat_map(|case| case.when.keys());
    let said = |name: &&String| step.arguments.get(&pointer_of(name)).is_some_and(Constraint::is_exact);
    names.into_iter().find(|name| !said(name)).map(String::as_str)
}

/// Refusals that no value of an argument changes.
const ALWAYS: [Code; 4] =
    [code::NOT_ALLOWED, code::ACTION_BLOCKED, code::ENVIRONMENT_REFUSED, code::OUT_OF_SCOPE];

fn invalid(why: impl Into<String>) -> Refused {
    (code::REQUEST_INVALID, why.into())
}

fn confirm(steps: &[StepOutlook], fresh: &NewIds) -> Result<Vec<TypedConfirmation>, Refused> {
    let mut out: Vec<TypedConfirmation> = Vec::new();
    for (number, step) in (0u32..).zip(steps) {
        for (doubt, value) in &step.typed_ends {
            let one = TypedConfirmation::of(&fresh.approval, &doubt.at, doubt.class, value);
            let one = one.map(|confirm| TypedConfirmation { step: Some(number), ..confirm });
            out.extend(one.filter(|one| out.iter().all(|known| known.typed != one.typed)));
        }
    }
    if out.len() > TYPED_MAX {
        let n = out.len();
        return Err(invalid(format!(
            "the plan names {n} destinations that the goal does not; whoever agrees types the end of each, and {TYPED_MAX} are the most"
        )));
    }
    Ok(out)
}

/// Arguments that matter and that the step leaves open.
fn open(typed: &TypedAction, step: &Step) -> Vec<Open> {
    let changes = typed.manifest.effect.changes_something();
    let required = |pattern: &str| {
        let name = pattern.trim_start_matches('/').split('/').next().unwrap_or_default();
        let listed = typed.schema.get("required").and_then(Value::as_array);
        listed.is_some_and(|names| names.iter().any(|n| n.as_str() == Some(name)))
    };
    let mut out: Vec<Open> = Vec::new();
    for (pattern, argument) in typed.roles.iter().filter(|(_, a)| needs_proof(a.class, changes, EDITION)) {
        let fixed = step.arguments.iter().any(|(pointer, constraint)| {
            let over = is_at_or_above(pointer, pattern) || covers(pattern, pointer);
            over && (constraint.is_exact() || argument.class == Class::Magnitude)
        });
        if !fixed {
            out.push(Open { at: pattern.to_owned(), class: argument.class, required: required(pattern) });
        }
    }
    out.sort_by(|a, b| a.at.cmp(&b.at));
    out
}

/// Arguments that a step admits, and which of them the plan does not say.
struct Samples {
    values: Vec<Value>,
    open: BTreeSet<String>,
}

fn samples(typed: &TypedAction, step: &Step) -> Result<Samples, String> {
    let first = |constraint: &Constraint| constraint.values().first().cloned().unwrap_or(Value::Null);
    let said: Vec<(&String, Value)> = step.arguments.iter().map(|(p, c)| (p, first(c))).collect();
    let mut values = vec![written(typed, &said)?];
    // Each listed value once, the others as they are first: a step is at most as strict as its values.
    for (i, constraint) in step.arguments.values().enumerate() {
        for value in constraint.values().into_iter().skip(1) {
            let mut other = said.clone();
            if let Some(place) = other.get_mut(i) {
                place.1 = value;
            }
            values.push(written(typed, &other)?);
        }
    }
    let mut open = BTreeSet::new();
    for value in &mut values {
        fill(typed, value, &mut open);
    }
    Ok(Samples { values, open })
}

/// Arguments with these values.
fn written(typed: &TypedAction, said: &[(&String, Value)]) -> Result<Value, String> {
    let mut out = Value::Object(Map::new());
    for (pointer, value) in said {
        let value = as_written(typed, pointer, value);
        put(&mut out, pointer, value)
            .ok_or_else(|| format!("`{pointer}` is no JSON pointer into its arguments"))?;
    }
    Ok(out)
}

/// An upper limit is a number; the argument may be a text.
fn as_written(typed: &TypedAction, pointer: &str, value: &Value) -> Value {
    let name = pointer.trim_start_matches('/');
    let kind = typed.schema.pointer(&format!("/properties/{name}/type")).and_then(Value::as_str);
    match value {
        Value::Number(n) if kind == Some("string") => Value::String(n.to_string()),
        other => other.clone(),
    }
}

/// Puts a value at a JSON pointer, with what it takes to get there. A number counts in a list.
fn put(into: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let Some(rest) = pointer.strip_prefix('/') else {
        *into = value;
        return pointer.is_empty().then_some(());
    };
    let (step, below) =
        rest.split_once('/').map_or((rest, String::new()), |(step, below)| (step, format!("/{below}")));
    let name = step.replace("~1", "/").replace("~0", "~");
    match (&mut *into, name.parse::<usize>()) {
        (Value::Array(items), Ok(i)) if i < ITEMS_MAX => {
            items.resize(items.len().max(i + 1), Value::Null);
            put(items.get_mut(i)?, &below, value)
        }
        (Value::Object(map), _) => put(map.entry(name).or_insert(Value::Null), &below, value),
        (Value::Null, Ok(_)) => {
            *into = Value::Array(Vec::new());
            put(into, pointer, value)
        }
        (Value::Null, Err(_)) => {
            *into = Value::Object(Map::new());
            put(into, pointer, value)
        }
        _ => None,
    }
}

/// Gives what is required and not said a sample.
fn fill(typed: &TypedAction, value: &mut Value, open: &mut BTreeSet<String>) {
    let Some(map) = value.as_object_mut() else { return };
    let required = typed.schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if map.contains_key(name) {
            continue;
        }
        let pointer = pointer_of(name);
        let schema = typed.schema.pointer(&format!("/properties{pointer}")).unwrap_or(&Value::Null);
        if let Some(sample) = choices(typed, &pointer, schema).into_iter().next() {
            map.insert(name.to_owned(), sample);
        }
        open.insert(pointer);
    }
}
