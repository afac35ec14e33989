//! A plan that an agent proposes in the middle of its run, with values that it has read. The agent may be led by what it
//! has read, so the plan is nobody's word: each value stands where the record says, and the declared plan binds it, too.

use super::{Refused, Stated, StepOutlook, unnamed};
use aecl_kernel::base::code;
use aecl_kernel::decide::checks;
use aecl_kernel::decide::gather::declared_plan_holds;
use aecl_kernel::define::catalogue::flow::{Class, is_at_or_above};
use aecl_kernel::provenance::proof::{Backing, Provenance, judged, wants_proof};
use aecl_kernel::read::action::Action;
use aecl_kernel::read::plan::{PlanMatch, PlanProgress, Step};
use aecl_kernel::record::approval::People;
use aecl_kernel::record::approval::plan::PlanAsked;
use aecl_kernel::record::facts::{EDITION, Fact, FactKey, FactStore, keys};
use aecl_kernel::record::goal::ProposedPlan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;

/// Look-up of what is on record under a key.
pub type RecordLookUp<'a> = &'a dyn Fn(&FactKey) -> Option<Fact>;

/// Plan that an agent proposes in the middle of its run.
pub struct Midway<'a> {
    /// The plan.
    pub plan: &'a ProposedPlan,
    /// Who may answer now; where nobody knows, votes are what they were.
    pub people: Option<&'a People>,
    /// What is on record under a key.
    pub record: RecordLookUp<'a>,
}

impl fmt::Debug for Midway<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Midway").field("plan", self.plan).finish_non_exhaustive()
    }
}

/// Standing of a value that matters: who stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueStanding {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role.
    pub class: Class,
    /// The value.
    pub value: Value,
    /// Who stands behind it. Nobody, where it is empty.
    pub by: Vec<Backing>,
    /// Nobody does who would be enough for its role in this action.
    pub unproven: bool,
}

/// Facts around a plan: what is stated here, over what is given along, over what is on record.
pub(super) struct Space<'a> {
    own: BTreeMap<FactKey, Fact>,
    known: &'a BTreeMap<FactKey, Fact>,
    record: Option<RecordLookUp<'a>>,
}

impl FactStore for Space<'_> {
    type Error = Infallible;

    fn fact(&mut self, key: &FactKey) -> Result<Option<Fact>, Infallible> {
        let stated = self.own.get(key).or_else(|| self.known.get(key)).cloned();
        Ok(stated.or_else(|| self.record.and_then(|look| look(key))))
    }

    fn set(&mut self, key: FactKey, fact: Option<Fact>) {
        match fact {
            Some(fact) => drop(self.own.insert(key, fact)),
            None => drop(self.own.remove(&key)),
        }
    }
}

impl Stated<'_> {
    /// What is known around the plan, with the goal of its run.
    pub(super) fn space(&self) -> Space<'_> {
        let record = self.midway.as_ref().map(|midway| midway.record);
        let mut space = Space { own: BTreeMap::new(), known: self.known, record };
        space.put(keys::Goal(self.run.principal.run.clone()), self.goal.clone());
        space
    }

    /// Whether the declared plan vouches for its values. It does where it is what is looked at: whether people agree to it
    /// is the question.
    pub(super) fn declared_holds(&self, space: &mut Space<'_>) -> bool {
        let Some(midway) = &self.midway else { return true };
        let Ok(holds) =
            declared_plan_holds(self.run, self.lineage, self.bundle, midway.people, self.now, space);
        holds
    }

    /// What a yes to the plan is bound to.
    pub(super) fn digest(
        &self,
        expires_at: aecl_kernel::base::time::Timestamp,
    ) -> aecl_kernel::base::digest::Digest {
        let (principal, bundle) = (&self.run.principal, self.bundle.hash());
        match &self.midway {
            Some(midway) => {
                PlanAsked::digest_of_proposed(self.goal, midway.plan, principal, bundle, expires_at)
            }
            None => PlanAsked::digest(self.goal, principal, bundle, expires_at),
        }
    }

    /// Code and words for a step that people are not asked about.
    pub(super) fn of_step(&self, number: usize, step: &Step, why: &str) -> Refused {
        let code = if self.midway.is_some() { code::PLAN_REFUSED } else { code::REQUEST_INVALID };
        (code, format!("step {number} of the plan, `{}`: {why}", step.action))
    }

    /// The place in the declared plan after a step of the one that is proposed. What the declared one does not have is
    /// refused: whoever opened the run has said what it is for, and its agent does not say otherwise.
    pub(super) fn within_the_contract(
        &self,
        number: usize,
        step: &Step,
        place: PlanProgress,
    ) -> Result<PlanProgress, Refused> {
        if self.midway.is_none() {
            return Ok(place);
        }
        if step.times == 0 {
            return Err(self.of_step(number, step, "`times` is 0; leave the step out"));
        }
        let declared = self.goal.contract().filter(|_| self.run.planned);
        let Some(contract) = declared else { return Ok(place) };
        let why = match contract.after(step, place) {
            Ok(after) => return Ok(after),
            // Reads that are in no step of the declared plan pass beside it.
            Err(PlanMatch::Unlisted) if self.is_read(step) => return Ok(place),
            Err(PlanMatch::Unlisted | PlanMatch::Read | PlanMatch::Step { .. }) => "has no such step",
            Err(PlanMatch::Otherwise) => "has it with other arguments, or says more of them",
            Err(PlanMatch::Over) => "has it earlier, or not so often any more",
        };
        let (_, text) = self.of_step(number, step, &format!("the plan that this run was opened with {why}"));
        Err((code::PLAN_BEYOND_CONTRACT, text))
    }

    fn is_read(&self, step: &Step) -> bool {
        let typed = self.bundle.catalogue().find(&step.action);
        typed.is_some_and(|typed| !typed.manifest.effect.changes_something())
    }
}

/// Adds who stands behind the values of a step, and the destinations that nobody does who is trusted.
pub(super) fn stand(
    action: &Action,
    provenance: &Provenance,
    sampled: &BTreeSet<String>,
    out: &mut StepOutlook,
) {
    let Some(typed) = action.typed.clone() else { return };
    let changes = typed.manifest.effect.changes_something();
    let leaves = judged(action, &typed, EDITION);
    let doubts: Vec<_> =
        checks::unproven(&leaves, &typed, EDITION, provenance).into_iter().map(|(_, doubt)| doubt).collect();
    for leaf in leaves.iter().filter(|leaf| wants_proof(leaf, changes, EDITION)) {
        if sampled.iter().any(|pointer| is_at_or_above(pointer, &leaf.pointer)) {
            continue;
        }
        let unproven = doubts.iter().any(|d| d.at == leaf.pointer && d.class == leaf.class);
        let one = ValueStanding {
            at: leaf.pointer.clone(),
            class: leaf.class,
            value: leaf.value.clone(),
            by: provenance.of(leaf).to_vec(),
            unproven,
        };
        if !out.values.contains(&one) {
            out.values.push(one);
        }
    }
    unnamed(action, &typed, provenance, sampled, out);
}
