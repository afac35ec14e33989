//! Risk: integer points, each with its reason. More facts never make fewer points.

use crate::catalogue::Reversibility;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One reason why an action is risky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: u32,
    /// What was seen.
    pub value: String,
    /// Where that came from: `manifest`, `arguments`, `run`, `judge`.
    pub source: String,
}

/// The sum of all factors, at most 100.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// 0 to 100.
    pub points: u32,
    /// Why.
    pub factors: Vec<Factor>,
}

impl Risk {
    /// The score as the article writes it, 0.00 to 1.00.
    pub fn score(&self) -> String {
        format!("{}.{:02}", self.points / 100, self.points % 100)
    }
}

/// Weights of the factors. The default is the article's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// The name of this table, shown beside scores.
    pub profile: String,
    /// An amount above this counts.
    #[serde(deserialize_with = "crate::amount::read_decimal")]
    pub amount_above: Decimal,
    /// Points for it.
    pub amount: u32,
    /// Points for what cannot be undone now: irreversible, or compensatable only until it settles.
    pub irreversible: u32,
    /// Points for acting in `production`.
    pub production: u32,
    /// More rows than this is bulk.
    pub bulk_above: u64,
    /// Points for touching many things at once.
    pub bulk: u32,
    /// Points for acting after text that a stranger may have written.
    pub untrusted: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            profile: "article".into(),
            amount_above: Decimal::new(50_000, 0),
            amount: 50,
            irreversible: 30,
            production: 40,
            bulk_above: 100,
            bulk: 30,
            untrusted: 20,
        }
    }
}

/// What the factors are made from.
#[derive(Debug)]
pub struct Exposure<'a> {
    /// How much, if the action has an amount.
    pub amount: Option<&'a crate::amount::Amount>,
    /// Whether and how it can be undone.
    pub reversibility: Reversibility,
    /// Its compensation works only for a while.
    pub window: bool,
    /// It changes something.
    pub changes: bool,
    /// The environment.
    pub environment: &'a str,
    /// How many rows or recipients.
    pub rows: Option<u64>,
    /// Declared as touching many things.
    pub bulk: bool,
    /// The run has seen untrusted text.
    pub untrusted: bool,
    /// What outside judges added.
    pub evidence: &'a [crate::evidence::Evidence],
}

/// Adds up the factors of an action.
pub fn assess(e: &Exposure<'_>, weights: &Weights) -> Risk {
    let mut factors = Vec::new();
    let mut add = |name: &str, points: u32, value: String, source: &str| {
        factors.push(Factor { name: name.into(), points, value, source: source.into() });
    };
    if let Some(amount) = e.amount.filter(|a| a.value > weights.amount_above) {
        add("amount", weights.amount, format!("{amount}, above {}", weights.amount_above), "arguments");
    }
    match (e.reversibility, e.window) {
        (Reversibility::Irreversible, _) => {
            add("irreversible", weights.irreversible, "cannot be undone".into(), "manifest");
        }
        (Reversibility::Compensatable, true) => {
            add("irreversible", weights.irreversible, "can be undone only for a while".into(), "manifest");
        }
        (Reversibility::Compensatable, false) | (Reversibility::Reversible, _) => {}
    }
    if e.changes && e.environment == "production" {
        add("production", weights.production, "changes production".into(), "run");
    }
    if e.bulk || e.rows.is_some_and(|n| n > weights.bulk_above) {
        let value = match e.rows {
            None => "declared bulk".to_owned(),
            Some(u64::MAX) => "nobody knows how many rows or recipients".to_owned(),
            Some(n) => format!("{n} rows or recipients"),
        };
        add("bulk", weights.bulk, value, if e.bulk { "manifest" } else { "arguments" });
    }
    if e.changes && e.untrusted {
        add("untrusted_origin", weights.untrusted, "untrusted text was read in this run".into(), "run");
    }
    for evidence in e.evidence.iter().filter(|e| e.points > 0) {
        add(&format!("judge:{}", evidence.judge), evidence.points.min(100), evidence.said.clone(), "judge");
    }
    let points = factors.iter().fold(0u32, |sum, f| sum.saturating_add(f.points)).min(100);
    Risk { points, factors }
}
