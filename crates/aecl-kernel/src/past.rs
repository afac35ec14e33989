//! What an agent has done before: how much in the last 24 hours, and which actions and destinations at all. Sums
//! are counted by the hour, so a decision reads a few numbers, however much has happened.

mod limited;

pub(crate) use limited::Limited;

use crate::action::Action;
use crate::catalogue::flow::Class;
use crate::digest::Digest;
use crate::facts::{Fact, Key, RunFact, Space};
use crate::labels::atoms::{plain, wanted};
use crate::labels::proof::{Leaf, leaves};
use crate::principal::Principal;
use crate::time::Timestamp;
use limited::Sums;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long a sum reaches back, in hours. The hour that has begun counts beside them, so nothing of the last 24
/// hours is ever left out.
const HOURS: i64 = 24;
/// Most destinations of one action that are told apart; one with more is new every time.
const DESTINATIONS_MAX: usize = 64;

/// A sum that forgets what is older than a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Hours since 1970, each with what came in it; oldest first, at most 25 of them.
    pub by_hour: Vec<(i64, Decimal)>,
}

impl Sum {
    /// What came in the last 24 hours. More than can be counted is the most.
    pub fn total(&self, now: Timestamp) -> Decimal {
        let first = hour(now) - HOURS;
        let recent = self.by_hour.iter().filter(|(hour, _)| *hour >= first);
        recent.fold(Decimal::ZERO, |sum, (_, n)| sum.checked_add(*n).unwrap_or(Decimal::MAX))
    }

    /// The sum with this in it.
    #[must_use]
    pub fn with(mut self, now: Timestamp, amount: Decimal) -> Self {
        let this = hour(now);
        self.by_hour.retain(|(hour, _)| *hour >= this - HOURS);
        match self.by_hour.last_mut().filter(|(hour, _)| *hour >= this) {
            Some((_, n)) => *n = n.checked_add(amount).unwrap_or(Decimal::MAX),
            None => self.by_hour.push((this, amount)),
        }
        self
    }
}

fn hour(now: Timestamp) -> i64 {
    now.0.div_euclid(3_600_000)
}

/// What is known about what the agent, and those it acts for, did before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// Sums that this action would add to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Sum>,
    /// What the agent would do, or reach, for the first time.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub first: BTreeSet<String>,
}

/// What a permit adds to what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Added {
    /// So much to a sum.
    Sum(String, Decimal),
    /// It has been done, or reached.
    Known(String),
}

/// What an action adds up with, and what it may be the first of. Names only: nothing is read here.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Its amount, in sums of its unit: one of each agent whose limits it uses up.
    pub(crate) spent: Vec<(String, Decimal)>,
    /// Its arguments that have a limit, in sums of the same argument towards the same destination.
    pub(crate) limited: Vec<Limited>,
    /// The action.
    pub(crate) does: Option<String>,
    /// Where it goes.
    pub(crate) reaches: BTreeSet<String>,
}

impl Trace {
    /// The trace of an understood action that changes something, as this edition counts. An undo adds to nothing.
    pub(crate) fn of<'a>(
        action: &Action,
        holders: impl Iterator<Item = &'a Principal>,
        edition: u32,
    ) -> Self {
        let typed = action.typed.as_deref().filter(|t| t.manifest.effect.changes_something());
        let Some(typed) = typed.filter(|_| action.problems.is_empty() && action.compensates.is_none()) else {
            return Self::default();
        };
        let who = |p: &Principal| format!("agent:{}/{}", p.agent, p.tenant);
        let own = who(&action.principal);
        let mut out = Self { does: Some(format!("{own}/does/{}", action.name)), ..Self::default() };
        if let Some(amount) = &action.amount {
            let names: BTreeSet<String> = holders.map(|p| format!("{}/{}", who(p), amount.unit)).collect();
            out.spent = names.into_iter().map(|name| (name, amount.value)).collect();
        }
        let leaves = leaves(action, typed);
        let destinations = destinations(&leaves);
        // As many as nobody can look up are nobody's acquaintances.
        if destinations.len() > DESTINATIONS_MAX {
            out.reaches.insert(format!("{own}/reaches/many"));
        } else {
            out.reaches.extend(destinations.iter().map(|to| format!("{own}/reaches/{}", to.hex())));
        }
        let sums = Sums { own: &own, action: &action.name };
        out.limited = match edition {
            0 | 1 => sums.as_written(&leaves, &destinations),
            _ => sums.however_written(&leaves),
        };
        out
    }

    /// What a permit adds.
    pub(crate) fn added(self, first: &BTreeSet<String>) -> Vec<Added> {
        let limited = self.limited.into_iter().map(|l| (l.name, l.amount));
        let sums = self.spent.into_iter().chain(limited).map(|(name, n)| Added::Sum(name, n));
        let known =
            self.does.into_iter().chain(self.reaches).filter(|name| is_kept(name) && first.contains(name));
        sums.chain(known.map(Added::Known)).collect()
    }
}

fn is_kept(name: &str) -> bool {
    !name.ends_with("/reaches/many")
}

fn destinations(leaves: &[Leaf<'_>]) -> BTreeSet<Digest> {
    let destinations = leaves.iter().filter(|l| l.argument.class.is_destination());
    destinations.filter_map(|leaf| known_as(leaf.argument.class, leaf.value)).collect()
}

/// What a destination is known as: exactly this one.
fn known_as(class: Class, value: &Value) -> Option<Digest> {
    match wanted(class, value).first() {
        Some(atom) => Some(atom.digest()),
        None => plain(value).map(|text| Digest::of_parts("aecl/destination/v1", &[text.as_bytes()])),
    }
}

impl Past {
    /// Looks up what an action adds to. Nothing, where it adds to nothing.
    pub(crate) fn gather<S: Space>(
        action: &Action,
        lineage: &[RunFact],
        edition: u32,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let holders = std::iter::once(&action.principal).chain(lineage.iter().map(|run| &run.principal));
        let trace = Trace::of(action, holders, edition);
        let mut out = Self::default();
        let names = trace.spent.into_iter().map(|(name, _)| name);
        let limited = trace.limited.into_iter().flat_map(|l| l.earlier.into_iter().chain([l.name]));
        for name in names.chain(limited) {
            if let Some(Fact::Sum(sum)) = space.fact(&Key::Sum(name.clone()))? {
                out.sums.insert(name, sum);
            }
        }
        let asks = trace.does.is_some();
        for name in trace.does.into_iter().chain(trace.reaches) {
            if !is_kept(&name) || space.fact(&Key::Known(name.clone()))?.is_none() {
                out.first.insert(name);
            }
        }
        Ok(asks.then_some(out))
    }

    /// What came to a sum in the last 24 hours, without this action.
    pub(crate) fn sum(&self, name: &str, now: Timestamp) -> Decimal {
        self.sums.get(name).map_or(Decimal::ZERO, |sum| sum.total(now))
    }

    /// What came to the sum of an argument in the last 24 hours, without this action.
    pub(crate) fn sum_of(&self, limited: &Limited, now: Timestamp) -> Decimal {
        let names = limited.earlier.iter().chain([&limited.name]);
        names.fold(Decimal::ZERO, |sum, name| sum.checked_add(self.sum(name, now)).unwrap_or(Decimal::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_rolls_and_stays_short() {
        let at = |h: i64| Timestamp(h * 3_600_000 + 1_800_000);
        let mut sum = Sum::default();
        for h in 0..1000 {
            sum = sum.with(at(h), Decimal::ONE);
        }
        assert_eq!(sum.by_hour.len(), 25);
        assert_eq!(sum.total(at(999)), Decimal::from(25), "nothing of the last 24 hours is left out");
        assert_eq!(sum.total(at(1010)), Decimal::from(14));
        assert_eq!(sum.total(at(1024)), Decimal::ZERO);
        let full = sum.with(at(1000), Decimal::MAX).with(at(1000), Decimal::MAX);
        assert_eq!(full.total(at(1000)), Decimal::MAX);
    }
}
