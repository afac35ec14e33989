//! Where the arguments of an action come from. Found out when the facts are gathered, by looking up exactly
//! these values; what is found is recorded with the decision, so that it can be made again without the goal
//! and the outputs, which may have been erased.
//!
//! The work depends on the arguments and the goal (16 KiB), never on how long the run is.

use super::atoms::{self, Atom, Kind, wanted};
use super::goal::{Asks, How, Reading};
use super::ingest::Mark;
use super::{SECRET, canon, each_leaf, secrets};
use crate::action::Action;
use crate::approval::People;
use crate::catalogue::flow::{Argument, Class, Egress, Endorses, is_at_or_above};
use crate::catalogue::{Effect, Reversibility, TypedAction};
use crate::facts::{Fact, Key, RunFact, Space};
use crate::id::RunId;
use crate::plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most values of one action that are proven; more than these count as unproven.
const LEAVES_MAX: usize = 256;
/// Most words of what is written that are compared with the goal.
const GROUND_MAX: usize = 512;
/// Most links in one content that are proven; more than these count as unproven.
const LINKS_MAX: usize = 64;

/// Who stands behind a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proof {
    /// Who.
    pub by: Endorses,
    /// How the goal names it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// For a record: the goal names another value of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
}

/// What is known about where the arguments come from, and whether the goal asks for the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Proofs, by JSON pointer. What needs one and has none is not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proofs: BTreeMap<String, Vec<Proof>>,
    /// Contents with a link, address or account that nobody trusted has named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<String>,
    /// Arguments that carry a secret value.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// Its content has to do with the goal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grounded: bool,
    /// Whether the goal asks for it.
    pub asks: Asks,
    /// The goal hands the decision over to what is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delegates: bool,
    /// The goal spells out a destination of this kind, and one of these is another that nobody trusted named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// The goal asks for more than one of something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plural: bool,
    /// How often the run was permitted this action since it has read what strangers wrote.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier: u64,
    /// How it stands to the plan, if one was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<plan::Standing>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A value of the arguments that has a role.
#[derive(Debug)]
pub struct Leaf<'a> {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// Its role.
    pub argument: &'a Argument,
    /// The value.
    pub value: &'a Value,
}

/// The values of the arguments that have a role, in order. Of an understood action only.
pub fn leaves<'a>(action: &'a Action, typed: &'a TypedAction) -> Vec<Leaf<'a>> {
    let mut out = Vec::new();
    each_leaf(action.arguments.value(), &mut String::new(), &mut |value, path| {
        let argument = typed.roles.of_pointer(path).filter(|_| !value.is_null());
        out.extend(argument.map(|argument| Leaf { pointer: path.clone(), argument, value }));
    });
    out
}

/// Whether a value of this role must be proven before the action may happen.
pub fn needs_proof(class: Class, changes: bool) -> bool {
    match class {
        Class::DestUrl => true,
        Class::DestEmail | Class::DestAccount | Class::DestName => changes,
        Class::TargetId | Class::TargetName | Class::TargetPath | Class::Magnitude => changes,
        Class::Credential | Class::Profile | Class::Attachments => changes,
        Class::Command | Class::QuerySql => changes,
        Class::Content | Class::Time | Class::Flag | Class::Selector => false,
    }
}

/// Whether these proofs are enough for this role in this action.
pub fn suffices(class: Class, typed: &TypedAction, proofs: &[Proof]) -> bool {
    let irreversible = typed.manifest.reversibility() == Reversibility::Irreversible;
    // A goal that leaves the choice of what is deleted leaves it to whoever wrote what the run has read.
    let destroys = irreversible || typed.manifest.effect == Effect::Delete;
    let grave = typed.manifest.severity() >= 3;
    let member =
        proofs.iter().any(|p| matches!(p.by, Endorses::Directory | Endorses::Tenant | Endorses::System));
    let closed = typed.manifest.resolver.is_some();
    proofs.iter().any(|proof| match (proof.by, proof.how.unwrap_or(How::Typed)) {
        (Endorses::User, how) => match class {
            Class::DestEmail | Class::DestUrl | Class::Magnitude => matches!(how, How::Quoted | How::Typed),
            Class::Credential => matches!(how, How::Quoted | How::Typed),
            Class::Command | Class::QuerySql => how == How::Quoted,
            Class::DestAccount => how != How::Words,
            // A capital makes no channel: where names can be looked up, they must exist.
            Class::DestName => match how {
                How::Quoted | How::Typed => true,
                How::Proper => !closed || member,
                How::Words => member,
            },
            Class::TargetId | Class::TargetName | Class::TargetPath | Class::Attachments => {
                how != How::Words || !irreversible
            }
            Class::Profile => true,
            Class::Content | Class::Time | Class::Flag | Class::Selector => true,
        },
        (Endorses::Operator, _) => class != Class::Credential,
        (Endorses::Directory, _) => match class {
            c if c.is_destination() => !grave || proof.named,
            c if c.is_target() => !destroys || proof.named,
            Class::Magnitude | Class::Attachments => true,
            _ => false,
        },
        (Endorses::Tenant, _) => class.is_target() && !destroys,
        (Endorses::System, _) => match class {
            c if c.is_target() => !destroys || (proof.named && !irreversible),
            Class::Magnitude | Class::Attachments => true,
            _ => false,
        },
        (Endorses::Agent, _) => class.is_target() || class == Class::Attachments,
        (Endorses::Made | Endorses::Opaque | Endorses::Third, _) => false,
    })
}

/// What the goals of a run and of those it was delegated from say.
struct Goals(Vec<Arc<Reading>>);

impl Goals {
    /// A goal that was stated after strangers had been read may be their words. The goal of whoever
    /// delegated counts then.
    fn of<S: Space>(run: &RunFact, lineage: &[RunFact], space: &mut S) -> Result<Self, S::Error> {
        let mut out = Vec::new();
        for run in std::iter::once(run).chain(lineage).filter(|run| !run.late) {
            if let Some(Fact::Goal(goal)) = space.fact(&Key::Goal(run.principal.run.clone()))? {
                out.push(goal.reading());
            }
        }
        Ok(Self(out))
    }

    fn names(&self, atom: &Atom) -> Option<How> {
        self.0.iter().filter_map(|goal| goal.names(atom)).min()
    }
}

impl Provenance {
    /// As if the user had named every value and asked for exactly this: what a situation means that states no goal.
    /// The worst case for whoever asks what could get through.
    pub fn as_if_asked_for(action: &Action) -> Option<Self> {
        let typed = action.typed.as_deref().filter(|_| action.problems.is_empty())?;
        let named = || vec![Proof { by: Endorses::User, how: Some(How::Quoted), named: false }];
        Some(Self {
            proofs: leaves(action, typed).into_iter().map(|leaf| (leaf.pointer, named())).collect(),
            links: BTreeSet::new(),
            secrets: BTreeSet::new(),
            grounded: true,
            asks: Asks::Strongly { verb: String::new() },
            delegates: false,
            elsewhere: false,
            plural: true,
            earlier: 0,
            plan: None,
        })
    }

    /// Looks up where the arguments come from. Nothing, where nobody has to know: the run has read no
    /// stranger's text and has no plan, and the action always asks or never; or it was not understood.
    pub fn gather<S: Space>(
        action: &Action,
        run: &RunFact,
        lineage: &[RunFact],
        people: Option<&People>,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let Some(typed) = action.typed.as_deref().filter(|_| action.problems.is_empty()) else {
            return Ok(None);
        };
        let asked = run.labels.untrusted || run.planned || typed.manifest.unless_proven();
        if !asked || action.compensates.is_some() {
            return Ok(None);
        }
        let goals = Goals::of(run, lineage, space)?;
        let runs = std::iter::once(run).chain(lineage).map(|run| Rests::of(run, people)).collect();
        let plan = match space.fact(&Key::Goal(run.principal.run.clone()))? {
            Some(Fact::Goal(goal)) if run.planned => goal.contract(),
            _ => None,
        };
        let mut search = Search { space, runs, goals, plan: plan.clone(), late: run.late, typed };
        let leaves = leaves(action, typed);
        let mut out = Self {
            proofs: BTreeMap::new(),
            links: BTreeSet::new(),
            secrets: BTreeSet::new(),
            grounded: search.is_grounded(&leaves),
            asks: Asks::No,
            delegates: search.goals.0.iter().any(|goal| goal.delegates),
            elsewhere: false,
            plural: search.goals.0.iter().any(|goal| goal.plural),
            earlier: 0,
            plan: plan.map(|plan| plan.stands(action, run.step)),
        };
        let changes = typed.manifest.effect.changes_something();
        if let Some(Fact::Calls(calls)) =
            search.space.fact(&Key::Calls(run.principal.run.clone(), action.name.clone()))?
        {
            out.earlier = calls;
        }
        for leaf in leaves.iter().filter(|l| needs_proof(l.argument.class, changes)).take(LEAVES_MAX) {
            let proofs = search.proofs(leaf, action)?;
            if !proofs.is_empty() {
                out.proofs.insert(leaf.pointer.clone(), proofs);
            }
        }
        out.elsewhere = leaves.iter().filter(|l| l.argument.class.is_destination()).any(|leaf| {
            let proofs = out.proofs.get(&leaf.pointer).map_or(&[][..], Vec::as_slice);
            let kind = atoms::own_kind(leaf.argument.class);
            let intent = &typed.intent;
            let spelt =
                kind.is_some_and(|kind| search.goals.0.iter().any(|goal| goal.spells_out(kind, intent)));
            spelt && !suffices(leaf.argument.class, typed, proofs)
        });
        if changes && typed.egress != Egress::None {
            let contents = leaves.iter().filter(|l| l.argument.class == Class::Content);
            for (i, leaf) in contents.enumerate().take(LEAVES_MAX + 1) {
                if i == LEAVES_MAX || search.has_stray_link(leaf.value)? {
                    out.links.insert(leaf.pointer.clone());
                }
            }
        }
        if typed.egress != Egress::None && run.labels.classes.contains(SECRET) {
            for (i, leaf) in leaves.iter().enumerate().take(LEAVES_MAX + 1) {
                if i == LEAVES_MAX || search.has_secret(leaf.value)? {
                    out.secrets.insert(leaf.pointer.clone());
                }
            }
        }
        let named = leaves.iter().filter(|l| l.argument.class.is_destination()).any(|l| {
            out.proofs.get(&l.pointer).is_some_and(|p| p.iter().any(|p| p.by == Endorses::User || p.named))
        });
        out.asks = search
            .goals
            .0
            .iter()
            .map(|goal| goal.asks(&typed.intent, named))
            .find(|a| *a != Asks::No)
            .unwrap_or(Asks::No);
        Ok(Some(out))
    }
}

/// A run, with what it may rest on.
struct Rests {
    run: RunId,
    /// Everybody still answers here on whose word it rests values. Who of them stood behind which is not kept, so with
    /// one who does not, all are asked about again.
    on_people: bool,
}

impl Rests {
    fn of(run: &RunFact, people: Option<&People>) -> Self {
        let on_people = people.is_none_or(|people| {
            let voters = people.standing(&run.endorsers, &run.principal);
            run.endorsers.iter().all(|(person, groups)| voters.stand_for(person, groups))
        });
        Self { run: run.principal.run.clone(), on_people }
    }
}

struct Search<'a, S> {
    space: &'a mut S,
    runs: Vec<Rests>,
    goals: Goals,
    plan: Option<Arc<plan::Plan>>,
    late: bool,
    typed: &'a TypedAction,
}

impl<S: Space> Search<'_, S> {
    fn proofs(&mut self, leaf: &Leaf<'_>, action: &Action) -> Result<Vec<Proof>, S::Error> {
        let mut out = BTreeSet::new();
        for atom in wanted(leaf.argument.class, leaf.value) {
            if let Some(how) = self.goals.names(&atom) {
                out.insert(Proof { by: Endorses::User, how: Some(how), named: false });
            }
            for mark in self.marks(&atom)? {
                out.insert(Proof { by: mark.by, how: None, named: mark.named });
            }
        }
        // Whoever opened the run wrote the plan, too. One that was declared after strangers had been read may be
        // their words, like the goal beside it.
        let own = self.plan.as_ref().filter(|_| !self.late);
        if own.is_some_and(|plan| plan.says(&action.name, &leaf.pointer, leaf.value)) {
            out.insert(Proof { by: Endorses::User, how: Some(How::Quoted), named: false });
        }
        if leaf.argument.class.is_destination() && is_listed(self.typed, &leaf.pointer) {
            out.insert(Proof { by: Endorses::Operator, how: None, named: false });
        }
        Ok(out.into_iter().collect())
    }

    /// What outputs and people said about this atom, in the run and those it was delegated from.
    fn marks(&mut self, atom: &Atom) -> Result<Vec<Mark>, S::Error> {
        let digest = atom.digest();
        let mut out = Vec::new();
        for Rests { run, on_people } in &self.runs {
            if let Some(Fact::Trust(marks)) = self.space.fact(&Key::Trust(run.clone(), digest))? {
                let counts = |m: &Mark| !m.secret && (*on_people || m.by != Endorses::User);
                out.extend(marks.into_iter().filter(counts));
            }
        }
        Ok(out)
    }

    fn has_stray_link(&mut self, value: &Value) -> Result<bool, S::Error> {
        let Some(text) = value.as_str() else { return Ok(false) };
        let (links, more) = atoms::links(text, LINKS_MAX);
        for atom in &links {
            let said = self.goals.names(atom).is_some();
            if !said && !self.marks(atom)?.iter().any(|m| m.by <= Endorses::Directory) {
                return Ok(true);
            }
        }
        Ok(more)
    }

    fn has_secret(&mut self, value: &Value) -> Result<bool, S::Error> {
        let Some(text) = atoms::plain(value) else { return Ok(false) };
        for atom in secrets::candidates(&text) {
            let digest = atom.digest();
            for Rests { run, .. } in &self.runs {
                if let Some(Fact::Trust(marks)) = self.space.fact(&Key::Trust(run.clone(), digest))?
                    && marks.iter().any(|m| m.secret)
                    && self.goals.names(&atom).is_none()
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a word of what is to be written stands in the goal.
    fn is_grounded(&self, leaves: &[Leaf<'_>]) -> bool {
        let contents = leaves
            .iter()
            .filter(|l| matches!(l.argument.class, Class::Content | Class::TargetName | Class::TargetPath));
        let words =
            contents.filter_map(|l| l.value.as_str()).flat_map(|text| text.split_whitespace().take(64));
        words.take(GROUND_MAX).any(|word| {
            let long = canon::bare(word).len() >= 4;
            long && self.goals.0.iter().any(|goal| goal.has_word(word))
        })
    }
}

/// Whether the catalogue lists where the action may go. What is not on that list is blocked elsewhere.
fn is_listed(typed: &TypedAction, pointer: &str) -> bool {
    let field = typed.manifest.fields.destination.as_ref();
    field.is_some_and(|d| {
        d.allowed.as_ref().is_some_and(|a| !a.is_empty()) && is_at_or_above(&d.value, pointer)
    })
}

/// The atoms that a person's word for a value of this role endorses.
pub fn endorsed(class: Class, value: &Value) -> Vec<Atom> {
    let mut atoms = wanted(class, value);
    atoms.retain(|a| {
        a.kind != Kind::Secret || matches!(class, Class::Credential | Class::Command | Class::QuerySql)
    });
    atoms
}
