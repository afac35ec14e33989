//! What a bundle claims about itself: `properties/*.yaml`.

use super::Case;
use super::Held;
use super::Proof;
use super::ProofOutcome;
use super::Question;
use super::Solver;
use super::SolverAnswer;
use super::anything;
use super::case;
use super::granted;
use super::matches;
use super::minimums;
use super::only;
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionName, AgentId};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::PolicyView;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::{BundleProblem, did_you_mean};
use aecl_kernel::policy::property::{Never, Property, Select, Without};
use aecl_kernel::record::decision::Verdict;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every agent and action that a claim is about.
fn pairs(bundle: &Bundle, select: &Select) -> Vec<(AgentId, Arc<TypedAction>)> {
    let any = |set: &BTreeSet<String>, name: &str| set.is_empty() || set.contains(name);
    let mut out = Vec::new();
    for agent in bundle.agents().filter(|a| any(&select.agent, a.agent_id.as_str())) {
        let all =
            bundle.catalogue().iter().flat_map(|(name, typed)| typed.variants().map(move |v| (name, v)));
        for (name, typed) in all {
            let manifest = &typed.manifest;
            let severe = select.severity.is_none_or(|least| manifest.severity() >= least);
            if severe && any(&select.action, name.as_str()) && any(&select.effect, manifest.effect.name()) {
                out.push((agent.agent_id.clone(), typed.clone()));
            }
        }
    }
    out
}

/// Says everything that is wrong with a claim before anybody asks about it.
pub(crate) fn check(bundle: &Bundle, path: &str, property: &Property, problems: &mut Vec<BundleProblem>) {
    let mut wrong = |message: String| {
        problems.push(BundleProblem::error(path, format!("`{}`: {message}", property.name)))
    };
    if property.never.is_some() == property.always.is_some() {
        wrong("a property says either `never` or `always`".into());
        return;
    }
    let select = property.select();
    for agent in select.agent.iter().filter(|a| !bundle.agents().any(|b| b.agent_id.as_str() == a.as_str())) {
        let hint = did_you_mean(agent, bundle.agents().map(|manifest| &manifest.agent_id));
        wrong(format!("there is no agent `{agent}`{hint}"));
    }
    for action in select.action.iter().filter(|a| bundle.catalogue().find(a).is_none()) {
        let hint =
            bundle.catalogue().nearest(action).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
        wrong(format!("the catalogue has no `{action}`{hint}"));
    }
    if let Some(never) = &property.never {
        if never.without.is_none() && (never.people.is_some() || !never.of.is_empty()) {
            wrong("`people` and `of` say who agrees, so `without: approval` has to stand beside them".into());
        }
        if never.people == Some(0) {
            wrong("`people` is at least 1".into());
        }
    }
    let pairs = pairs(bundle, &select);
    if pairs.is_empty() {
        wrong("no agent and action of the bundle is what it speaks of".into());
    }
    if let Some(when) = &select.when {
        let mut actions: Vec<&ActionName> = pairs.iter().map(|(_, typed)| &typed.manifest.name).collect();
        actions.sort();
        actions.dedup();
        for action in actions {
            if let Err(message) = bundle.policies().condition(action, when) {
                wrong(format!("`when` for `{action}`: {message}"));
            }
        }
    }
}

pub(super) fn prove(bundle: &Bundle, property: &Property, ask: Solver<'_>) -> Vec<Proof> {
    let select = property.select();
    let mut out = Vec::new();
    for (agent, typed) in pairs(bundle, &select) {
        let Some(manifest) = bundle.agent(&agent) else { continue };
        let outcome = match (&property.never, &property.always) {
            (Some(never), _) => of_never(bundle, manifest, &typed, never, ask),
            (None, Some(_)) => of_always(bundle, manifest, &typed, &select, ask),
            (None, None) => continue,
        };
        let (action, when) = (typed.manifest.name.clone(), typed.when.clone());
        out.push(Proof { property: property.name.clone(), agent, action, when, outcome });
    }
    out
}

fn of_never(
    bundle: &Bundle,
    manifest: &AgentManifest,
    typed: &TypedAction,
    never: &Never,
    ask: Solver<'_>,
) -> ProofOutcome {
    let Some(held) = Held::of(bundle, manifest, typed) else {
        return ProofOutcome::Proven { by: "nothing permits it".into() };
    };
    let mut allows = held.all();
    allows.extend(never.when.as_deref().and_then(only));
    if never.without.is_some() {
        allows.extend(granted(false));
    }
    let enough = never.people.is_some() || !never.of.is_empty();
    let by = held.checks();
    let against = |case: &Case| match never.without {
        Some(Without::Approval) => case.verdict == Some(Verdict::Allow),
        None => case.verdict.is_some_and(|verdict| verdict != Verdict::Block),
    };
    let question = |more: &[serde_json::Value]| Question::Allows {
        action: typed.manifest.name.clone(),
        allows: allows.iter().chain(more).cloned().collect(),
        but_not: None,
    };
    let outcome = case::settle(bundle, manifest, typed, &question, &against, by, ask);
    if !enough || !matches!(outcome, ProofOutcome::Proven { .. }) {
        return outcome;
    }
    // Nobody is passed over; now, whether it is those who have to be asked.
    let wanted = |told: &PolicyView| {
        let of = if told.reason.approvers.is_empty() { &manifest.approvers } else { &told.reason.approvers };
        let enough = never.people.is_none_or(|people| told.reason.count >= people);
        !told.asks || (enough && (never.of.is_empty() || of.is_subset(&never.of)))
    };
    // What no permit covers, or others block, is not asked about.
    let permits = held.own.iter().filter(|told| !told.forbids);
    let mut possible: Vec<_> = permits.map(|told| told.json.clone()).collect();
    possible.extend(held.given());
    possible.extend(never.when.as_deref().and_then(only));
    possible.extend(granted(false));
    let forbids = held.own.iter().filter(|told| told.forbids);
    let others: Vec<_> = forbids.filter(|told| wanted(told)).map(|told| matches(&told.json)).collect();
    let question = |more: &[serde_json::Value]| Question::Allows {
        action: typed.manifest.name.clone(),
        allows: possible.iter().chain(more).cloned().collect(),
        but_not: (!others.is_empty()).then(|| others.clone()),
    };
    let short = |case: &Case| case.verdict.is_some_and(|verdict| verdict != Verdict::Block);
    case::settle_people(bundle, manifest, typed, &question, &short, never, held.checks(), ask)
}

fn of_always(
    bundle: &Bundle,
    manifest: &AgentManifest,
    typed: &TypedAction,
    select: &Select,
    ask: Solver<'_>,
) -> ProofOutcome {
    // What is no request, because its arguments are none, speaks against nothing.
    let is_one = |case: &Case| {
        ![Some(code::ARGUMENTS_INVALID), Some(code::AMOUNT_INVALID), Some(code::DESTINATION_INVALID)]
            .contains(&case.code)
    };
    let against = |case: &Case| case.verdict.is_some_and(|verdict| verdict != Verdict::Allow) && is_one(case);
    let Some(held) = Held::of(bundle, manifest, typed) else {
        let calls: Vec<_> = minimums::calls(typed, bundle).iter().filter_map(|c| only(c)).collect();
        let question = |more: &[serde_json::Value]| Question::Allows {
            action: typed.manifest.name.clone(),
            allows: std::iter::once(anything()).chain(calls.iter().chain(more).cloned()).collect(),
            but_not: None,
        };
        return case::settle(bundle, manifest, typed, &question, &against, String::new(), ask);
    };
    let mut possible = vec![anything()];
    // What is no request at all, is out of scope or above a budget speaks against nothing.
    let given = held.minimums.iter().filter(|f| !f.asks && f.condition != "false");
    possible.extend(given.filter_map(|f| f.policy()).chain(held.who.clone()));
    possible.extend(select.when.as_deref().and_then(only));
    possible.extend(granted(false));
    let others = held.all();
    let question = |more: &[serde_json::Value]| Question::Allows {
        action: typed.manifest.name.clone(),
        allows: possible.iter().chain(more).cloned().collect(),
        but_not: Some(others.clone()),
    };
    match case::settle(bundle, manifest, typed, &question, &against, held.checks(), ask) {
        // The rest of the checks can only be stricter, so that nothing is proven about what they leave.
        ProofOutcome::Proven { by } => ProofOutcome::Proven { by: format!("{by}, as far as they decide") },
        other => other,
    }
}
impl SolverAnswer {
    /// The request, if there is one.
    pub(super) fn found(self) -> Result<Option<serde_json::Value>, String> {
        match self {
            SolverAnswer::Yes(context) => Ok(Some(context)),
            SolverAnswer::No => Ok(None),
            SolverAnswer::Unknown(why) => Err(why),
        }
    }
}
