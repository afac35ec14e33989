//! Arguments that have a limit, and the sums of a day that they are counted in. One account has one allowance: however
//! it is written, and whatever other destination is named beside it.

use crate::base::amount::decimal;
use crate::base::digest::Digest;
use crate::decide::gather::history::{DESTINATIONS_MAX, known_as};
use crate::provenance::proof::Leaf;
use crate::provenance::spelling::{counted, usual};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An argument that has a limit, in one of its sums.
#[derive(Debug)]
pub(crate) struct Limited {
    /// The name of its sum.
    pub(crate) name: String,
    /// Sums of earlier editions that count with it, for the day on which they end.
    pub(crate) earlier: BTreeSet<String>,
    /// Where it stands in the arguments; `*` is any place in a list.
    pub(crate) at: String,
    /// What its values in this action come to. What is no number is the most.
    pub(crate) amount: Decimal,
    /// Its limit.
    pub(crate) limit: Decimal,
}

/// The sums of one action of one agent.
pub(super) struct Sums<'a> {
    pub(super) own: &'a str,
    pub(super) action: &'a str,
}

/// Which destinations a sum is for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Towards {
    /// Those of the call, together.
    All,
    /// Any, in calls that have more than can be told apart.
    Many,
    /// This one.
    One(Digest),
}

/// A destination among the arguments.
struct Place<'a> {
    pointer: &'a str,
    /// However it is written.
    counted: Digest,
    /// As it is written.
    exact: Digest,
    /// As it is usually written.
    usual: Digest,
}

impl Sums<'_> {
    /// One sum for each argument and set of destinations, as they are written: editions 0 and 1.
    pub(super) fn as_written(&self, leaves: &[Leaf<'_>], to: &BTreeSet<Digest>) -> Vec<Limited> {
        let mut out = BTreeMap::new();
        for leaf in leaves {
            add(&mut out, leaf, Towards::All, |at| (self.written(at, to), BTreeSet::new()));
        }
        out.into_values().collect()
    }

    /// For each argument a sum for all destinations together, and one for each of them.
    pub(super) fn however_written(&self, leaves: &[Leaf<'_>]) -> Vec<Limited> {
        let mut limited = leaves.iter().filter(|leaf| leaf.argument.limit.is_some()).peekable();
        if limited.peek().is_none() {
            return Vec::new();
        }
        let places: Vec<Place<'_>> = leaves.iter().filter_map(Place::of).collect();
        let whole: Vec<&Place<'_>> = places.iter().collect();
        let all: BTreeSet<Digest> = places.iter().map(|place| place.counted).collect();
        let mut out = BTreeMap::new();
        for leaf in limited {
            add(&mut out, leaf, Towards::All, |at| (self.counted(at, &all), self.earlier(at, &whole)));
            if all.len() < 2 {
                continue;
            }
            if places.len() > DESTINATIONS_MAX {
                add(&mut out, leaf, Towards::Many, |at| (self.named("v2", at, "many"), BTreeSet::new()));
                continue;
            }
            for to in beside(&leaf.pointer, &places) {
                let of_it = places.iter().filter(|place| place.counted == to);
                let one = |at: &str| of_it.flat_map(|place| self.earlier(at, &[place])).collect();
                add(&mut out, leaf, Towards::One(to), |at| (self.counted(at, &[to].into()), one(at)));
            }
        }
        out.into_values().collect()
    }

    fn written(&self, at: &str, to: &BTreeSet<Digest>) -> String {
        self.named("v1", at, &joined(to))
    }

    fn counted(&self, at: &str, to: &BTreeSet<Digest>) -> String {
        self.named("v2", at, &joined(to))
    }

    /// What earlier editions called the sum for these destinations.
    fn earlier(&self, at: &str, places: &[&Place<'_>]) -> BTreeSet<String> {
        let exact = places.iter().map(|place| place.exact).collect();
        let usual = places.iter().map(|place| place.usual).collect();
        [exact, usual].iter().map(|to| self.written(at, to)).collect()
    }

    fn named(&self, version: &str, at: &str, to: &str) -> String {
        let parts = [self.action.as_bytes(), at.as_bytes(), to.as_bytes()];
        format!("{}/of/{}", self.own, Digest::of_parts(&format!("aecl/limited/{version}"), &parts).hex())
    }
}

/// Adds a value that has a limit to a sum of its argument. Names are long to make, so each is made once.
fn add(
    sums: &mut BTreeMap<(String, Towards), Limited>,
    leaf: &Leaf<'_>,
    towards: Towards,
    named: impl FnOnce(&str) -> (String, BTreeSet<String>),
) {
    let Some(limit) = leaf.argument.limit else { return };
    let at = pattern(&leaf.pointer);
    let sum = sums.entry((at.clone(), towards)).or_insert_with(|| {
        let (name, earlier) = named(&at);
        Limited { name, earlier, at, amount: Decimal::ZERO, limit }
    });
    let amount = decimal(leaf.value).filter(|n| !n.is_sign_negative());
    sum.amount = amount.and_then(|n| sum.amount.checked_add(n)).unwrap_or(Decimal::MAX);
}

impl<'a> Place<'a> {
    fn of(leaf: &'a Leaf<'_>) -> Option<Self> {
        let class = leaf.argument.class;
        let exact = known_as(class, leaf.value).filter(|_| class.is_destination())?;
        let usual = usual(class, leaf.value).and_then(|text| known_as(class, &Value::String(text)));
        let usual = usual.unwrap_or(exact);
        let counted = counted(class, leaf.value)
            .map_or(exact, |text| Digest::of_parts("aecl/counted/v1", &[text.as_bytes()]));
        Some(Self { pointer: &leaf.pointer, counted, exact, usual })
    }
}

/// The destinations that a value may go to: those of its own item, where a list has items of both.
fn beside(pointer: &str, places: &[Place<'_>]) -> BTreeSet<Digest> {
    let own = |place: &&Place<'_>| is_beside(pointer, place.pointer);
    let found: BTreeSet<Digest> = places.iter().filter(own).map(|place| place.counted).collect();
    if found.is_empty() { places.iter().map(|place| place.counted).collect() } else { found }
}

/// Whether two places are not in different items of one list.
fn is_beside(one: &str, other: &str) -> bool {
    let parting = one.split('/').zip(other.split('/')).find(|(one, other)| one != other);
    parting.is_none_or(|(one, other)| !(is_item(one) && is_item(other)))
}

fn is_item(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())
}

fn joined(to: &BTreeSet<Digest>) -> String {
    to.iter().map(Digest::hex).collect::<Vec<_>>().join(",")
}

/// A pointer in which any place of a list is `*`.
fn pattern(pointer: &str) -> String {
    let steps = pointer.split('/').map(|step| if is_item(step) { "*" } else { step });
    steps.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_is_any_place() {
        assert_eq!(pattern("/lines/12/amount"), "/lines/*/amount");
        assert_eq!(pattern("/a1"), "/a1");
    }

    #[test]
    fn an_item_has_its_own_destination() {
        for (one, other, expected) in [
            ("/amount", "/to", true),
            ("/amount", "/to/3", true),
            ("/lines/0/amount", "/lines/0/to", true),
            ("/lines/0/amount", "/lines/1/to", false),
            ("/lines/0/amount", "/to", true),
            ("/amounts/0", "/to/1", true),
        ] {
            assert_eq!(is_beside(one, other), expected, "{one} {other}");
        }
    }
}
