//! The agent manifest: what one agent may do. The article's JSON is accepted word for word.

use crate::base::id::{AgentId, Environment, PersonId, ProjectId, TenantId, UserId};
use crate::define::isolation::IsolationTier;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A condition on an action that is otherwise not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContextRule {
    /// Who must say yes.
    pub requires: Consent,
    /// Groups whose members may; empty means the default of the kind.
    pub approvers: BTreeSet<String>,
    /// How many distinct people.
    pub count: u32,
    /// Seconds until the request expires.
    pub expires_s: u64,
}

/// The group that is asked for a data owner's consent where a rule names no other.
pub const DATA_OWNERS: &str = "data_owners";

/// Whose yes a context rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// A member of the agent's approver groups.
    HumanApproval,
    /// A member of the group `data_owners`, or of the groups that the rule names.
    DataOwnerConsent,
}

impl<'de> Deserialize<'de> for ContextRule {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            requires: Consent,
            #[serde(default)]
            approvers: BTreeSet<String>,
            count: Option<u32>,
            expires_s: Option<u64>,
        }
        let full = match Value::deserialize(d)? {
            Value::String(word) => Full {
                requires: match word.as_str() {
                    "requires_human_approval" => Consent::HumanApproval,
                    "requires_data_owner_consent" => Consent::DataOwnerConsent,
                    other => {
                        return Err(serde::de::Error::custom(format!(
                            "unknown context rule `{other}`; known are `requires_human_approval` and `requires_data_owner_consent`"
                        )));
                    }
                },
                approvers: BTreeSet::new(),
                count: None,
                expires_s: None,
            },
            written => serde_json::from_value(written).map_err(serde::de::Error::custom)?,
        };
        Ok(Self {
            requires: full.requires,
            approvers: full.approvers,
            count: full.count.unwrap_or(1),
            expires_s: full.expires_s.unwrap_or(3600),
        })
    }
}

/// Span that a limit is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Per {
    Call,
    Run,
    Hour,
    Day,
}

impl Per {
    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Per::Call => "call",
            Per::Run => "run",
            Per::Hour => "hour",
            Per::Day => "day",
        }
    }
}

/// Holder of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Of {
    Run,
    #[default]
    Agent,
    Tenant,
}

/// A budget: so much of a unit, for whom, over which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// `calls`, `rows`, `bytes`, or a currency code.
    pub unit: String,
    /// The most that may be used.
    #[serde(deserialize_with = "crate::base::amount::read_decimal")]
    pub limit: Decimal,
    /// Over which time.
    pub per: Per,
    /// Whose.
    #[serde(default)]
    pub of: Of,
    /// Only for these actions; empty means all.
    #[serde(default)]
    pub actions: BTreeSet<String>,
}

/// A rate: so many calls in so many seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many calls.
    pub calls: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// Only for these actions; empty means all.
    #[serde(default)]
    pub actions: BTreeSet<String>,
}

/// Scopes in which an agent may act. Empty means anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scopes {
    /// Tenants.
    pub tenants: BTreeSet<TenantId>,
    /// Projects.
    pub projects: BTreeSet<ProjectId>,
    /// Environments.
    pub environments: BTreeSet<Environment>,
}

/// Hours in which an agent may act, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// From, as `HH:MM`.
    pub from: String,
    /// Until (exclusive), as `HH:MM`; before `from` means past midnight.
    pub to: String,
    /// Days, as `mon` to `sun`; empty means every day.
    #[serde(default)]
    pub days: BTreeSet<String>,
}

impl Hours {
    /// Minutes since midnight of `from` and `to`, or what is wrong.
    pub fn minutes(&self) -> Result<(u32, u32), String> {
        let read = |text: &str| -> Option<u32> {
            let (h, m) = text.split_once(':')?;
            let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
            (h <= 24 && m < 60 && h * 60 + m <= 1440).then_some(h * 60 + m)
        };
        let bad = |t: &str| format!("`{t}` is no time; write `HH:MM`");
        Ok((read(&self.from).ok_or_else(|| bad(&self.from))?, read(&self.to).ok_or_else(|| bad(&self.to))?))
    }
}

/// The names of the days, Monday first.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Strictness towards an agent once it has read what strangers wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// What the goal does not ask for waits for a person.
    #[default]
    Standard,
    /// What the goal does not ask for is blocked if a value that matters came from nobody who is trusted.
    Strict,
}

impl Strictness {
    fn is_standard(&self) -> bool {
        *self == Strictness::Standard
    }
}

/// Rule for plans: whether people have to agree to that of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Plans {
    /// If whoever opens the run asks for it.
    #[default]
    Optional,
    /// Always: a run needs a plan, and what changes something asks unless it is a step that people have agreed to.
    Approve,
}

impl Plans {
    fn is_optional(&self) -> bool {
        *self == Plans::Optional
    }
}

/// Manifest of one agent: what it may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentManifest {
    /// The agent.
    pub agent_id: AgentId,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Actions that it may do: exact names, or `prefix.*`, which is linted.
    #[serde(default)]
    pub allowed_actions: BTreeSet<String>,
    /// Actions that it may never do. Beats everything else.
    #[serde(default)]
    pub blocked_actions: BTreeSet<String>,
    /// Actions that it may do only under a condition.
    #[serde(default)]
    pub context_rules: BTreeMap<String, ContextRule>,
    /// Which credentials its actions may use.
    #[serde(default)]
    pub credential_scope: Option<String>,
    /// Lifetime of its run tokens, in seconds.
    #[serde(default = "quarter_hour")]
    pub token_ttl_seconds: u64,
    /// Most calls in one run.
    #[serde(default)]
    pub max_tool_calls_per_run: Option<u64>,
    /// How often people may be asked in one run; what needs a person after that is refused.
    #[serde(default = "ten")]
    pub max_questions_per_run: u64,
    /// Most calls at once.
    #[serde(default)]
    pub max_concurrent_calls: Option<u64>,
    /// Rates.
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// Budgets.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// Risk up to which nobody is asked, from 0.00 to 1.00.
    #[serde(default = "sixty", deserialize_with = "crate::base::amount::read_decimal")]
    pub auto_approve_threshold: Decimal,
    /// Where it may act.
    #[serde(default)]
    pub scopes: Scopes,
    /// When it may act.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// How strict it is once it has read what strangers wrote.
    #[serde(default, skip_serializing_if = "Strictness::is_standard")]
    pub mode: Strictness,
    /// Whether people have to agree to the plan of a run.
    #[serde(default, skip_serializing_if = "Plans::is_optional")]
    pub plans: Plans,
    /// How strongly the programs are held that carry out its actions, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<IsolationTier>,
    /// For whom it may act; empty means for anybody.
    #[serde(default)]
    pub on_behalf_of: BTreeSet<UserId>,
    /// Groups whose members answer its approvals.
    #[serde(default = "operators")]
    pub approvers: BTreeSet<String>,
    /// The user for whom a run acts may answer its approvals.
    #[serde(default)]
    pub self_approval: bool,
    /// People who may never answer its approvals.
    #[serde(default)]
    pub excluded_approvers: BTreeSet<PersonId>,
    /// Identical failures in a row that stop a run.
    #[serde(default = "three")]
    pub breaker_after: u32,
    /// Longest life of a run, in seconds.
    #[serde(default = "twenty_minutes")]
    pub run_ttl_seconds: u64,
}

fn quarter_hour() -> u64 {
    900
}
fn twenty_minutes() -> u64 {
    1200
}
fn ten() -> u64 {
    10
}
fn three() -> u32 {
    3
}
fn sixty() -> Decimal {
    Decimal::new(60, 2)
}
fn operators() -> BTreeSet<String> {
    BTreeSet::from(["operators".to_owned()])
}

impl AgentManifest {
    /// The threshold in points, 0 to 100.
    pub fn auto_approve_points(&self) -> u32 {
        let points = (self.auto_approve_threshold * Decimal::ONE_HUNDRED).trunc();
        u32::try_from(points).unwrap_or(0).min(100)
    }

    /// Groups whose members are asked about what it proposes, as its manifest names them.
    pub fn answering(&self) -> impl Iterator<Item = &str> {
        let of_rule =
            |rule: &ContextRule| rule.requires == Consent::DataOwnerConsent && rule.approvers.is_empty();
        let owners = self.context_rules.values().any(of_rule).then_some(DATA_OWNERS);
        let of_rules = self.context_rules.values().flat_map(|rule| &rule.approvers);
        self.approvers.iter().chain(of_rules).map(String::as_str).chain(owners)
    }

    /// Whether it may do this action, or may if somebody agrees.
    pub fn offers(&self, action: &str) -> bool {
        Self::lists(&self.allowed_actions, action)
            || self.context_rules.keys().any(|rule| rule == action || covers(rule, action))
    }

    /// Whether one of its lists names the action, exactly or by `prefix.*`.
    pub fn lists(list: &BTreeSet<String>, action: &str) -> bool {
        list.contains(action) || list.iter().any(|pattern| covers(pattern, action))
    }
}

fn covers(pattern: &str, action: &str) -> bool {
    let below = |prefix: &str| prefix.ends_with('.') && action.starts_with(prefix);
    pattern == "*" || pattern.strip_suffix('*').is_some_and(below)
}

/// Whether a limit for some actions applies to this one; a limit that names none applies to all.
pub fn applies(only: &BTreeSet<String>, action: &str) -> bool {
    only.is_empty() || only.contains(action)
}
