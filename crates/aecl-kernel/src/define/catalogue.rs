//! The catalogue: every action that exists, typed. What is not in it cannot happen.

pub mod cases;
mod closing;
pub mod dialect;
pub mod flow;
pub mod infer;
mod typed;
mod weight;

pub use typed::{Roles, TypedAction, pointer_of};

use crate::base::amount;
use crate::base::digest::Digest;
use crate::base::id::{ActionName, Environment};
use crate::define::isolation::IsolationTier;
use crate::define::resource::ResourceDeclaration;
use cases::CallCase;
use flow::{Argument, Audience, CompletionRule, DryRunRule, Intent, OutputLabel, Resolver};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Effect of an action: the kind of change that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Effect {
    Read,
    Write,
    Delete,
    Send,
    Pay,
    Execute,
    Deploy,
    Grant,
}

impl Effect {
    /// Every kind.
    pub const ALL: [Effect; 8] = [
        Effect::Read,
        Effect::Write,
        Effect::Delete,
        Effect::Send,
        Effect::Pay,
        Effect::Execute,
        Effect::Deploy,
        Effect::Grant,
    ];

    /// Everything but a read changes something.
    pub fn changes_something(self) -> bool {
        match self {
            Effect::Read => false,
            Effect::Write
            | Effect::Delete
            | Effect::Send
            | Effect::Pay
            | Effect::Execute
            | Effect::Deploy
            | Effect::Grant => true,
        }
    }

    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Delete => "delete",
            Effect::Send => "send",
            Effect::Pay => "pay",
            Effect::Execute => "execute",
            Effect::Deploy => "deploy",
            Effect::Grant => "grant",
        }
    }
}

/// Reversibility of an action: whether it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversibility {
    /// Nothing to undo, or undone by simply doing the opposite.
    Reversible,
    /// Undone by the compensation that the manifest names.
    Compensatable,
    /// Cannot be undone.
    Irreversible,
}

impl Reversibility {
    /// Every case.
    pub const ALL: [Reversibility; 3] =
        [Reversibility::Reversible, Reversibility::Compensatable, Reversibility::Irreversible];

    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Reversibility::Reversible => "reversible",
            Reversibility::Compensatable => "compensatable",
            Reversibility::Irreversible => "irreversible",
        }
    }
}

/// Idempotency of an action: what may be done when an attempt ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// No effect: it may simply be done again.
    Pure,
    /// The target deduplicates by the key that we send.
    Keyed,
    /// A look-up at the target tells whether it happened.
    Verifiable,
    /// At most once; a person resolves what is unknown.
    #[default]
    Opaque,
}

impl Idempotency {
    /// The name as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Idempotency::Pure => "pure",
            Idempotency::Keyed => "keyed",
            Idempotency::Verifiable => "verifiable",
            Idempotency::Opaque => "opaque",
        }
    }
}

/// Approvers of an action, whatever else is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// Ask a person every time.
    #[serde(default = "yes")]
    pub always: bool,
    /// Groups whose members may agree; empty means the default group of the agent.
    #[serde(default)]
    pub approvers: BTreeSet<String>,
    /// How many distinct people.
    #[serde(default = "one")]
    pub count: u32,
    /// Seconds until the request expires, which rejects it.
    #[serde(default = "an_hour")]
    pub expires_s: u64,
    /// What cannot be undone asks only if something that matters is unproven, or the goal does not ask for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unless_proven: bool,
}

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}
fn an_hour() -> u64 {
    3600
}

/// Argument that is the amount, and its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountField {
    /// JSON pointer to the value.
    pub value: String,
    /// The unit, if it is always the same.
    #[serde(default)]
    pub unit: Option<String>,
    /// JSON pointer to the unit, if an argument names it.
    #[serde(default)]
    pub unit_at: Option<String>,
    /// Digits after the point; by default those of the currency.
    #[serde(default)]
    pub scale: Option<u32>,
}

/// Kind of a destination: how it is written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationKind {
    /// A URL; compared by host, and by port when the list names one.
    Url,
    /// A host name.
    Host,
    /// A mail address; compared whole, or by `@domain`.
    Email,
    /// Any other name; compared exactly.
    Name,
}

/// Argument that says where the effect lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationField {
    /// JSON pointer to a string or a list of strings.
    pub value: String,
    /// How it is written.
    pub kind: DestinationKind,
    /// Where it may go. Absent: anywhere that policy allows; empty: nowhere.
    #[serde(default)]
    pub allowed: Option<BTreeSet<String>>,
}

/// Meanings of the arguments: which is the amount, the destination and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// JSON pointer to what the action touches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where the effect lands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationField>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<AmountField>,
    /// JSON pointer to a number of rows, recipients or items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// JSON pointer to the tenant; it must be the principal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Output of an action, as the catalogue declares it: what it carries into the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "struct Output")]
pub struct OutputDeclaration {
    /// It may carry text that a stranger wrote.
    pub untrusted: bool,
    /// It may carry private data.
    pub private: bool,
    /// Data classes that it carries.
    pub classes: BTreeSet<String>,
}

impl Compensation {
    /// The arguments that come from what the original said it did.
    pub fn from_result(&self) -> impl Iterator<Item = &str> {
        let is_fed = |value: &Value| value.get("from").and_then(Value::as_str) == Some("result");
        self.arguments.iter().filter(move |(_, value)| is_fed(value)).map(|(name, _)| name.as_str())
    }
}

impl Default for OutputDeclaration {
    // Unknown is third-party and private: the strict reading.
    fn default() -> Self {
        Self { untrusted: true, private: true, classes: BTreeSet::new() }
    }
}

/// The action that undoes another, fed from the original's arguments and result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compensation {
    /// The action to propose.
    pub action: ActionName,
    /// Its arguments: constants, `{"from": "arguments", "at": "/pointer"}` or `{"from": "result", "at": …}`.
    pub arguments: Map<String, Value>,
    /// Seconds for which the target can undo; absent: without limit.
    #[serde(default)]
    pub window_s: Option<u64>,
}

/// A typed action: what it is called, what it takes, what it does and how it is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionManifest {
    /// The exact name.
    pub name: ActionName,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// What kind of change it makes.
    pub effect: Effect,
    /// Whether it can be taken back. Reads are reversible; anything else has to say.
    #[serde(default)]
    pub reversibility: Option<Reversibility>,
    /// JSON Schema of the arguments, closed unless it says otherwise.
    pub arguments: Value,
    /// Which arguments mean what.
    #[serde(default)]
    pub fields: Fields,
    /// What its output carries.
    #[serde(default)]
    pub output: OutputDeclaration,
    /// Environments in which it exists; empty means all.
    #[serde(default)]
    pub environments: BTreeSet<Environment>,
    /// What one call costs, charged to budgets in that unit.
    #[serde(default)]
    pub cost: Option<crate::base::amount::Amount>,
    /// Touches many things at once whatever the arguments say.
    #[serde(default)]
    pub bulk: bool,
    /// What may be done when an attempt ends without an answer.
    #[serde(default)]
    pub idempotency: Idempotency,
    /// Longest time for one attempt, in milliseconds.
    #[serde(default = "half_a_minute")]
    pub timeout_ms: u64,
    /// Who must agree, always.
    #[serde(default)]
    pub approval: Option<ApprovalRule>,
    /// How it is undone.
    #[serde(default)]
    pub compensation: Option<Compensation>,
    /// How it is carried out, as it is written. [`TypedAction::connector`] is what that means.
    #[serde(default)]
    pub connector: Value,
    /// The scope of the credentials that carrying it out uses. An agent of another scope cannot use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_scope: Option<String>,
    /// How strongly the program that carries it out is held, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<IsolationTier>,
    /// For an imported tool: the digest of name, description and schema that a person accepted.
    #[serde(default)]
    pub pin: Option<Digest>,
    /// How bad the worst is that can come of it: 0 nothing, 1 a nuisance, 2 harm, 3 grave harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// Whom its effect reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Audience>,
    /// The roles of its arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Argument>,
    /// Labels of the values of its output; what none of them matches has the label that `output` gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputLabel>,
    /// The words by which a goal asks for it.
    #[serde(default, skip_serializing_if = "Intent::is_empty")]
    pub intent: Intent,
    /// The action that looks up the names that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Resolver>,
    /// What can be found out before it is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<DryRunRule>,
    /// What is different for calls with certain arguments. The first that describes a call counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CallCase>,
    /// The thing that it acts on, and what rules may see of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Box<ResourceDeclaration>>,
    /// The call that it completes, which was asked for or agreed to by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<CompletionRule>,
    /// An agent may carry it out itself with a permit, although AECL can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authorize: bool,
}

fn half_a_minute() -> u64 {
    30_000
}

impl ActionManifest {
    /// Whether it can be taken back; what does not say counts as irreversible.
    pub fn reversibility(&self) -> Reversibility {
        match self.reversibility {
            Some(said) => said,
            None if !self.effect.changes_something() => Reversibility::Reversible,
            None if self.compensation.is_some() => Reversibility::Compensatable,
            None => Reversibility::Irreversible,
        }
    }

    /// Whether an agent may carry it out itself: what AECL cannot, or what says so.
    pub fn may_be_authorized(&self) -> bool {
        self.connector.is_null() || self.authorize
    }

    /// How bad the worst is that can come of it; what does not say is judged by its effect and name.
    pub fn severity(&self) -> u8 {
        self.severity.unwrap_or_else(|| infer::severity(self.name.as_str(), self.effect)).min(3)
    }

    /// Digits after the point of its amounts in this unit.
    pub fn scale(&self, unit: &str) -> u32 {
        let said = self.fields.amount.as_ref().and_then(|a| a.scale);
        said.unwrap_or_else(|| amount::scale_of(unit))
    }

    /// Whether what cannot be undone may happen without a person where all that matters is proven.
    pub fn unless_proven(&self) -> bool {
        self.approval.as_ref().is_some_and(|rule| rule.unless_proven)
    }

    /// Whether a person is asked every time, whatever is proven.
    pub fn always_asks(&self) -> bool {
        let by_way_back = match (self.reversibility(), &self.compensation) {
            (Reversibility::Irreversible, _) => !self.unless_proven(),
            (Reversibility::Compensatable, None) => true,
            (Reversibility::Compensatable | Reversibility::Reversible, _) => false,
        };
        self.always_approval().is_some() || by_way_back
    }

    /// Whether carrying it out uses credentials, as far as the entry says so. Those of an MCP server stand with
    /// the server, so its entries have to name their scope.
    pub fn uses_credentials(&self) -> bool {
        self.credential_scope.is_some() || names_a_secret(&self.connector)
    }

    /// Who must agree, if somebody always must.
    pub fn always_approval(&self) -> Option<&ApprovalRule> {
        self.approval.as_ref().filter(|rule| rule.always)
    }
}

fn names_a_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{secret:"),
        Value::Array(items) => items.iter().any(names_a_secret),
        Value::Object(members) => members.values().any(names_a_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Every action that exists.
#[derive(Debug, Default, Clone)]
pub struct Catalogue {
    actions: BTreeMap<ActionName, Arc<TypedAction>>,
    /// What may complete a call, by the name of the action that begins.
    completers: BTreeMap<ActionName, Vec<Completer>>,
}

/// Variant of an action that completes calls of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completer {
    /// The action.
    pub action: ActionName,
    /// Its definition.
    pub definition: Digest,
    /// Where what it takes stands in the answer of the call that began.
    pub issued: String,
    /// Whom it reaches.
    pub egress: Audience,
    /// Whether it can be taken back.
    pub reversibility: Reversibility,
    /// What kind of change it makes.
    pub effect: Effect,
    /// How bad the worst is that can come of it.
    pub severity: u8,
    /// A person is asked every time, whatever it completes.
    pub asks: bool,
}

impl Catalogue {
    /// Adds an action; a name that is taken is refused.
    pub fn add(&mut self, action: impl Into<Arc<TypedAction>>) -> Result<(), String> {
        let action = action.into();
        let name = action.manifest.name.clone();
        if self.actions.contains_key(&name) {
            return Err(format!("the action `{name}` is declared twice"));
        }
        for variant in action.variants() {
            let Some(rule) = &variant.manifest.completes else { continue };
            let completer = Completer {
                action: name.clone(),
                definition: variant.digest,
                issued: rule.issued.clone(),
                egress: variant.egress,
                reversibility: variant.manifest.reversibility(),
                effect: variant.manifest.effect,
                severity: variant.manifest.severity(),
                asks: variant.manifest.always_asks(),
            };
            self.completers.entry(rule.action.clone()).or_default().push(completer);
        }
        self.actions.insert(name, action);
        Ok(())
    }

    /// What may complete calls of this action.
    pub fn completers(&self, name: &str) -> &[Completer] {
        self.completers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The action of this exact name.
    pub fn find(&self, name: &str) -> Option<&Arc<TypedAction>> {
        self.actions.get(name)
    }

    /// What was judged under this name as this definition, if it is still the same: the entry, or one of its cases.
    pub fn judged(&self, name: &str, definition: Option<Digest>) -> Option<&Arc<TypedAction>> {
        self.find(name)?.variants().find(|variant| Some(variant.digest) == definition)
    }

    /// All actions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ActionName, &Arc<TypedAction>)> {
        self.actions.iter()
    }

    /// The known name nearest to an unknown one, for a "did you mean".
    pub fn nearest(&self, name: &str) -> Option<&ActionName> {
        nearest(name, self.actions.keys())
    }
}

/// The candidate nearest to an unknown name, if one is near.
pub fn nearest<T: fmt::Display>(name: &str, candidates: impl Iterator<Item = T>) -> Option<T> {
    candidates
        .map(|c| (strsim::damerau_levenshtein(name, &c.to_string()), c))
        .filter(|(distance, c)| *distance <= 1 + c.to_string().chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}
