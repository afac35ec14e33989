//! What an agent has done before: how much in the last 24 hours, and which actions and destinations at all. Sums
//! are counted by the hour, so a decision reads a few numbers, however much has happened.

use crate::base::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a sum reaches back, in hours. The hour that has begun counts beside them, so nothing of the last 24
/// hours is ever left out.
const HOURS: i64 = 24;

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

/// History of the agent, and of those it acts for, as far as an action adds to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Sums that this action would add to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Sum>,
    /// What the agent would do, or reach, for the first time.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub first: BTreeSet<String>,
}

/// Addition of a permit to the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryDelta {
    /// So much to a sum.
    Sum(String, Decimal),
    /// It has been done, or reached.
    Known(String),
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
