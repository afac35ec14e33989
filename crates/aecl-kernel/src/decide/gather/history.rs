//! What an action adds up with, and what it may be the first of; and what is known of that.

pub(crate) mod limited;

use crate::base::digest::Digest;
use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use crate::decide::gather::history::limited::{Limited, Sums};
use crate::define::catalogue::flow::Class;
use crate::provenance::atoms::{plain, wanted};
use crate::provenance::proof::{Leaf, judged, leaves};
use crate::read::action::Action;
use crate::record::facts::{FactStore, RunFact, keys};
use crate::record::history::{History, HistoryDelta};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most destinations of one action that are told apart; one with more is new every time.
pub(crate) const DESTINATIONS_MAX: usize = 64;

/// What an action adds up with, and what it may be the first of. Names only: nothing is read here.
#[derive(Debug, Default)]
pub(crate) struct ActionTrace {
    /// Its amount, in sums of its unit: one of each agent whose limits it uses up.
    pub(crate) spent: Vec<(String, Decimal)>,
    /// Its arguments that have a limit, in sums of the same argument towards the same destination.
    pub(crate) limited: Vec<Limited>,
    /// The action.
    pub(crate) does: Option<String>,
    /// Where it goes.
    pub(crate) reaches: BTreeSet<String>,
}

impl ActionTrace {
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
        let reached = destinations(&judged(action, typed, edition));
        // As many as nobody can look up are nobody's acquaintances.
        if reached.len() > DESTINATIONS_MAX {
            out.reaches.insert(format!("{own}/reaches/many"));
        } else {
            out.reaches.extend(reached.iter().map(|to| format!("{own}/reaches/{}", to.hex())));
        }
        // Another argument that leads somewhere gives no other allowance.
        let leaves = leaves(action, typed);
        let sums = Sums { own: &own, action: &action.name };
        out.limited = match edition {
            0 | 1 => sums.as_written(&leaves, &destinations(&leaves)),
            _ => sums.however_written(&leaves),
        };
        out
    }

    /// What a permit adds.
    pub(crate) fn added(self, first: &BTreeSet<String>) -> Vec<HistoryDelta> {
        let limited = self.limited.into_iter().map(|l| (l.name, l.amount));
        let sums = self.spent.into_iter().chain(limited).map(|(name, n)| HistoryDelta::Sum(name, n));
        let known =
            self.does.into_iter().chain(self.reaches).filter(|name| is_kept(name) && first.contains(name));
        sums.chain(known.map(HistoryDelta::Known)).collect()
    }
}

fn is_kept(name: &str) -> bool {
    !name.ends_with("/reaches/many")
}

fn destinations(leaves: &[Leaf<'_>]) -> BTreeSet<Digest> {
    let destinations = leaves.iter().filter(|l| l.class.is_destination());
    destinations.filter_map(|leaf| known_as(leaf.class, leaf.value)).collect()
}

/// What a destination is known as: exactly this one.
pub(crate) fn known_as(class: Class, value: &Value) -> Option<Digest> {
    match wanted(class, value).first() {
        Some(atom) => Some(atom.digest()),
        None => plain(value).map(|text| Digest::of_parts("aecl/destination/v1", &[text.as_bytes()])),
    }
}

impl History {
    /// Looks up what an action adds to. Nothing, where it adds to nothing.
    pub fn gather<S: FactStore>(
        action: &Action,
        lineage: &[RunFact],
        edition: u32,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let holders = std::iter::once(&action.principal).chain(lineage.iter().map(|run| &run.principal));
        let trace = ActionTrace::of(action, holders, edition);
        let mut out = Self::default();
        let names = trace.spent.into_iter().map(|(name, _)| name);
        let limited = trace.limited.into_iter().flat_map(|l| l.earlier.into_iter().chain([l.name]));
        for name in names.chain(limited) {
            if let Some(sum) = space.find(keys::Sum(name.clone()))? {
                out.sums.insert(name, sum);
            }
        }
        let asks = trace.does.is_some();
        for name in trace.does.into_iter().chain(trace.reaches) {
            if !is_kept(&name) || !space.has(keys::Known(name.clone()))? {
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
