//! Risk: integer points, each with its reason. More facts never make fewer points.

use crate::base::code::{self, Code};
use crate::define::catalogue::Reversibility;
use crate::define::catalogue::flow::Audience;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// One reason why an action is risky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: u32,
    /// What was seen.
    pub value: String,
    /// Where that came from: `manifest`, `arguments`, `run`, `judge`, `provenance`, `history`.
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

/// Weights of the factors. The default is the article's table; a table that is named `standard` begins with
/// ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Weights {
    /// The name of this table, shown beside scores.
    pub profile: String,
    /// An amount above this counts.
    #[serde(deserialize_with = "crate::base::amount::read_decimal")]
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
    /// Points for what a compensation undoes, without a limit of time.
    pub compensatable: u32,
    /// Points for an effect that reaches the outside.
    pub external: u32,
    /// Points for severity 3.
    pub severity: u32,
    /// Points for more than a tenth, and for more than half, of the limit of an amount.
    pub near_limit: (u32, u32),
    /// Points for at least 3, 10 and 100 rows or recipients.
    pub blast: (u32, u32, u32),
    /// Points for amounts that come to more than `amount_above` in 24 hours, each of them below it.
    pub amount_day: u32,
    /// Points for the first use of an action, and of a destination, by this agent.
    pub first_use: (u32, u32),
    /// Points for private data in the run.
    pub private: u32,
    /// Points for what speaks against the arguments, by the code of the finding.
    pub doubts: BTreeMap<String, u32>,
    /// From these points on two people have to agree; 0 means never.
    pub two_people_from: u32,
}

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let standard = written.get("profile").and_then(Value::as_str) == Some("standard");
        let (Value::Object(written), true) = (&written, standard) else {
            return Self::deserialize(written).map_err(D::Error::custom);
        };
        let base = serde_json::to_value(Self::standard()).map_err(D::Error::custom)?;
        let mut all = base.as_object().cloned().unwrap_or_default();
        all.extend(written.clone());
        Self::deserialize(Value::Object(all)).map_err(D::Error::custom)
    }
}

impl Weights {
    /// Points that were set by hand and measured on recorded calls.
    pub fn standard() -> Self {
        let doubts = [
            (code::UNPROVEN_DESTINATION, 40),
            (code::UNPROVEN_TARGET, 20),
            (code::UNPROVEN_CREDENTIAL, 50),
            (code::UNPROVEN_COMMAND, 50),
            (code::UNPROVEN_PROFILE, 25),
            (code::UNPROVEN_AMOUNT, 20),
            (code::UNPROVEN_LINK, 35),
            (code::UNPROVEN_ATTACHMENT, 30),
            (code::UNPROVEN_FETCH, 40),
            (code::OFF_INTENT, 30),
            (code::GOAL_UNREAD, 30),
            (code::OFF_INTENT_UNPROVEN, 30),
            (code::TOLD_BY_STRANGER, 30),
            (code::UNGROUNDED, 25),
            (code::SINK_NOT_CANONICAL, 60),
            (code::SECRET_LEAVES, 60),
        ];
        Self {
            profile: "standard".into(),
            amount: 0,
            irreversible: 20,
            production: 25,
            bulk: 40,
            untrusted: 5,
            compensatable: 8,
            external: 10,
            severity: 10,
            near_limit: (10, 25),
            blast: (10, 25, 40),
            amount_day: 25,
            first_use: (5, 15),
            private: 10,
            doubts: doubts.into_iter().map(|(code, points)| (code.to_string(), points)).collect(),
            two_people_from: 80,
            ..Self::default()
        }
    }
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
            compensatable: 0,
            external: 0,
            severity: 0,
            near_limit: (0, 0),
            blast: (0, 0, 0),
            amount_day: 50,
            first_use: (0, 0),
            private: 0,
            doubts: BTreeMap::new(),
            two_people_from: 0,
        }
    }
}

/// Exposure of an action: what the factors are made from.
#[derive(Debug)]
pub struct Exposure<'a> {
    /// How much, if the action has an amount.
    pub amount: Option<&'a crate::base::amount::Amount>,
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
    pub evidence: &'a [crate::base::evidence::Evidence],
    /// How bad the worst is that can come of it, 0 to 3.
    pub severity: u8,
    /// Whom it reaches.
    pub egress: Audience,
    /// The run has private data.
    pub private: bool,
    /// The share of its limit that the amount takes, in hundredths, where an argument has a limit.
    pub of_limit: Option<u32>,
    /// What the agent did before.
    pub recent: Recent,
    /// What speaks against the arguments and for another purpose than the goal's.
    pub doubts: &'a [Code],
}

/// Recent acts of the agent, as far as they count for risk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recent {
    /// What the amounts of the last 24 hours come to, with this one.
    pub amount: Option<Decimal>,
    /// The agent has never done this.
    pub first_action: bool,
    /// The agent has never reached one of the destinations.
    pub first_destination: bool,
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
    let alone = e.amount.is_some_and(|a| a.value > weights.amount_above);
    let (sum, unit) = (e.recent.amount.unwrap_or_default(), e.amount.map_or("", |a| a.unit.as_str()));
    let more = weights.amount_day.saturating_sub(if alone { weights.amount } else { 0 });
    if sum > weights.amount_above && more > 0 {
        let value = format!("{sum} {unit} in 24 hours, above {}", weights.amount_above);
        add("amount_day", more, value, "history");
    }
    if e.recent.first_action && weights.first_use.0 > 0 {
        add("first_action", weights.first_use.0, "the agent has never done this".into(), "history");
    }
    if e.recent.first_destination && weights.first_use.1 > 0 {
        add(
            "first_destination",
            weights.first_use.1,
            "the agent has never sent anything there".into(),
            "history",
        );
    }
    match (e.reversibility, e.window) {
        (Reversibility::Irreversible, _) => {
            add("irreversible", weights.irreversible, "cannot be undone".into(), "manifest");
        }
        (Reversibility::Compensatable, true) => {
            add("irreversible", weights.irreversible, "can be undone only for a while".into(), "manifest");
        }
        (Reversibility::Compensatable, false) if weights.compensatable > 0 => {
            add(
                "irreversible",
                weights.compensatable,
                "has to be undone by another action".into(),
                "manifest",
            );
        }
        (Reversibility::Compensatable, false) | (Reversibility::Reversible, _) => {}
    }
    if e.changes && e.egress == Audience::External && weights.external > 0 {
        add("external", weights.external, "reaches the outside".into(), "manifest");
    }
    if e.changes && e.severity >= 3 && weights.severity > 0 {
        add("severity", weights.severity, "grave harm can come of it".into(), "manifest");
    }
    let near = match e.of_limit {
        Some(share) if share > 50 => weights.near_limit.1,
        Some(share) if share > 10 => weights.near_limit.0,
        Some(_) | None => 0,
    };
    if near > 0 {
        add(
            "near_limit",
            near,
            format!("takes {} % of its limit", e.of_limit.unwrap_or_default()),
            "arguments",
        );
    }
    if e.changes && e.private && weights.private > 0 {
        add("private", weights.private, "private data was read in this run".into(), "run");
    }
    for code in e.doubts {
        let points = weights.doubts.get(code.as_str()).copied().unwrap_or_default();
        if points > 0 {
            add(code.as_str(), points, code.as_str().replace('_', " "), "provenance");
        }
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
    let spread = match e.rows {
        Some(n) if n > weights.bulk_above || e.bulk => 0,
        Some(n) if n >= 100 => weights.blast.2,
        Some(n) if n >= 10 => weights.blast.1,
        Some(n) if n >= 3 => weights.blast.0,
        Some(_) | None => 0,
    };
    if spread > 0 {
        add("blast", spread, format!("{} rows or recipients", e.rows.unwrap_or_default()), "arguments");
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
