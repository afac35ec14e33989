//! The cases of an action: one tool that reads, changes and deletes, by what an argument says, is one entry with a case for
//! each. The entry itself holds for every call that no case describes, so it is the worst of them.

use super::flow::{Argument, Audience, Class, CompletionRule, Intent, OutputLabel};
use super::typed::TypedAction;
use super::{
    ActionManifest, ApprovalRule, Compensation, Effect, Fields, Idempotency, OutputDeclaration,
    Reversibility, infer, pointer_of,
};
use crate::base::amount::Amount;
use crate::define::resource::ResourceDeclaration;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most cases of one action. They are looked through in order for each call.
pub const CASES_MAX: usize = 64;

/// A case: which calls it describes, and what is different for them. What it does not say is as in the entry, but for what
/// follows from its own `effect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallCase {
    /// For each argument, by its name or JSON pointer, the values that the case is for.
    pub when: BTreeMap<String, OneOf>,
    /// What such a call does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What kind of change it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether it can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversibility: Option<Reversibility>,
    /// How bad the worst is that can come of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// Whom it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Audience>,
    /// Who must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// How it is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
    /// What may be done when an attempt ends without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Touches many things at once whatever the arguments say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<bool>,
    /// What one call costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Amount>,
    /// Which arguments mean what, instead of what the entry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// Roles of arguments, beside those of the entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Argument>,
    /// What its output carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputDeclaration>,
    /// Labels of the values of its output, instead of those of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<OutputLabel>>,
    /// The words by which a goal asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The thing that it acts on, instead of that of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Box<ResourceDeclaration>>,
    /// The call that it completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<CompletionRule>,
}

/// The values of an argument that a case is for. `null` is what is left out, too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneOf(Vec<Value>);

impl OneOf {
    /// All of them.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for OneOf {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let values = match Value::deserialize(d)? {
            Value::Array(values) => values,
            one => vec![one],
        };
        let scalar = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
        match values.iter().all(scalar) {
            true if !values.is_empty() => Ok(Self(values)),
            _ => Err(serde::de::Error::custom(
                "`when` wants a text, a number, `true`, `false` or `null` for each argument, or a list of them",
            )),
        }
    }
}

impl CallCase {
    /// Whether it describes a call with these arguments.
    pub fn describes(&self, arguments: &Value) -> bool {
        self.when.iter().all(|(name, wanted)| {
            let given = arguments.pointer(&pointer_of(name)).unwrap_or(&Value::Null);
            wanted.0.contains(given)
        })
    }

    /// The argument that a key of `when` names, if it is one as a whole.
    pub fn argument(name: &str) -> Option<String> {
        let Some(pointer) = name.strip_prefix('/') else { return Some(name.to_owned()) };
        (!pointer.contains('/')).then(|| pointer.replace("~1", "/").replace("~0", "~"))
    }

    /// Which calls it describes, in words.
    pub fn told(&self) -> String {
        let one = |value: &Value| match value {
            Value::Null => "left out".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => other.to_string(),
        };
        let each = self.when.iter().map(|(name, wanted)| {
            let values: Vec<String> = wanted.0.iter().map(one).collect();
            format!("`{name}` is {}", values.join(" or "))
        });
        each.collect::<Vec<_>>().join(" and ")
    }

    /// Whether every call that the other describes is one of its own.
    fn covers(&self, other: &Self) -> bool {
        self.when.iter().all(|(name, wanted)| {
            other.when.get(name).is_some_and(|theirs| theirs.0.iter().all(|value| wanted.0.contains(value)))
        })
    }

    /// The texts of `when`, which say what a call does as the name of a tool would.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.when.values().flat_map(|wanted| &wanted.0).filter_map(Value::as_str)
    }

    /// The names by which such a call would be known if it were a tool by itself.
    pub(super) fn names(&self, action: &str) -> Vec<String> {
        let (server, tool) = action.rsplit_once('.').unwrap_or(("", action));
        let mut names: Vec<String> = self.words().map(|word| word.replace('.', "_")).collect();
        names.iter_mut().for_each(|word| *word = format!("{server}.{word}_{tool}"));
        if names.is_empty() {
            names.push(action.to_owned());
        }
        names
    }

    /// The manifest of such a call, as if it were an action by itself.
    pub(crate) fn manifest(&self, entry: &ActionManifest) -> ActionManifest {
        let mut own = entry.clone();
        own.cases.clear();
        if let Some(effect) = self.effect.filter(|effect| *effect != entry.effect) {
            own.effect = effect;
            // What follows from what kind of change it is.
            own.severity = None;
            if !effect.changes_something() {
                (own.reversibility, own.compensation, own.dry_run) = (None, None, None);
            }
        }
        let Self {
            when: _,
            description,
            effect: _,
            reversibility,
            severity,
            egress,
            approval,
            compensation,
            idempotency,
            bulk,
            cost,
            fields,
            args,
            output,
            outputs,
            intent,
            resource,
            completes,
        } = self.clone();
        own.description = description.unwrap_or(own.description);
        own.reversibility = reversibility.or(own.reversibility);
        let names = self.names(entry.name.as_str());
        let guessed = names.iter().map(|name| infer::severity(name, own.effect)).max();
        own.severity = severity.or(own.severity).or(guessed);
        own.egress = egress.or(own.egress);
        own.approval = approval.or(own.approval);
        own.compensation = compensation.or(own.compensation);
        own.idempotency = idempotency.unwrap_or(own.idempotency);
        own.bulk = bulk.unwrap_or(own.bulk);
        own.cost = cost.or(own.cost);
        own.fields = fields.unwrap_or(own.fields);
        for (name, argument) in args {
            let pointer = pointer_of(&name);
            let same = |known: &String| pointer_of(known) == pointer;
            let before = own.args.keys().find(|known| same(known)).cloned().and_then(|k| own.args.remove(&k));
            let default = before.and_then(|before| before.default);
            own.args.insert(name, Argument { default: argument.default.clone().or(default), ..argument });
        }
        own.output = output.unwrap_or(own.output);
        own.outputs = outputs.unwrap_or(own.outputs);
        own.intent = intent.unwrap_or(own.intent);
        own.resource = resource.or(own.resource);
        own.completes = completes.or(own.completes);
        own
    }
}

/// What is wrong with the cases of an entry, once they are compiled.
pub(crate) fn problems(entry: &TypedAction) -> Vec<String> {
    let cases = &entry.manifest.cases;
    let mut out = Vec::new();
    if cases.len() > CASES_MAX {
        out.push(format!("has {} cases; at most {CASES_MAX}", cases.len()));
    }
    for (i, (case, typed)) in cases.iter().zip(&entry.cases).enumerate() {
        let at = format!("`cases[{i}]` ({})", case.told());
        if case.when.is_empty() {
            out.push(format!("`cases[{i}]` has an empty `when`; say which calls it is for, such as `when: {{operation: [get, list]}}`"));
        }
        if let Some(before) = cases.iter().take(i).position(|earlier| earlier.covers(case)) {
            out.push(format!(
                "{at} is never reached: `cases[{before}]` comes first and describes the same calls"
            ));
        }
        for (what, its, entrys) in stricter(typed, entry) {
            out.push(format!(
                "{at} has {what} {its}, and the entry itself {entrys}; the entry holds for every call that no case describes, so it must be the worst: say {its} there"
            ));
        }
    }
    out
}

/// In what a case is stricter than its entry: what, how much, and how much the entry is.
fn stricter(case: &TypedAction, entry: &TypedAction) -> Vec<(&'static str, String, String)> {
    let rank = |r: Reversibility| match r {
        Reversibility::Reversible => 0,
        Reversibility::Compensatable => 1,
        Reversibility::Irreversible => 2,
    };
    let (its, entrys) = (&case.manifest, &entry.manifest);
    let mut out = Vec::new();
    if its.effect.changes_something() && !entrys.effect.changes_something() {
        out.push(("the effect", format!("`{}`", its.effect.name()), format!("`{}`", entrys.effect.name())));
    }
    if its.severity() > entrys.severity() {
        out.push(("the severity", its.severity().to_string(), entrys.severity().to_string()));
    }
    if case.egress > entry.egress {
        out.push(("the egress", format!("`{}`", case.egress.name()), format!("`{}`", entry.egress.name())));
    }
    if rank(its.reversibility()) > rank(entrys.reversibility()) {
        let name = |m: &ActionManifest| format!("`{}`", m.reversibility().name());
        out.push(("the reversibility", name(its), name(entrys)));
    }
    match (its.always_approval(), entrys.always_approval()) {
        (Some(_), None) => {
            out.push(("an approval that is", "`always: true`".into(), "has none".into()));
        }
        (Some(of_case), Some(of_entry))
            if of_case.count > of_entry.count || of_case.approvers != of_entry.approvers =>
        {
            out.push(("the approval by", people(of_case), people(of_entry)));
        }
        (Some(_) | None, _) => {}
    }
    let asks = |m: &ActionManifest| m.reversibility() == Reversibility::Irreversible && !m.unless_proven();
    if asks(its) && !asks(entrys) {
        out.push(("no", "`unless_proven`".into(), "has it".into()));
    }
    if entrys.completes.is_some() && its.completes != entrys.completes {
        out.push(("another", "`completes`".into(), "has its own".into()));
    }
    if its.idempotency > entrys.idempotency {
        let name = |m: &ActionManifest| format!("`{}`", m.idempotency.name());
        out.push(("the idempotency", name(its), name(entrys)));
    }
    let says = |what, is: bool, also: bool, out: &mut Vec<_>| {
        if is && !also {
            out.push((what, "`true`".to_owned(), "`false`".to_owned()));
        }
    };
    says("`bulk`", its.bulk, entrys.bulk, &mut out);
    says("`output.untrusted`", its.output.untrusted, entrys.output.untrusted, &mut out);
    says("`output.private`", its.output.private, entrys.output.private, &mut out);
    let (of_case, of_entry) = (&its.fields, &entrys.fields);
    let listed = |fields: &Fields| fields.destination.as_ref().is_some_and(|d| d.allowed.is_some());
    for (what, is, also) in [
        ("`cost`", its.cost.is_some(), entrys.cost.is_some()),
        ("`fields.amount`", of_case.amount.is_some(), of_entry.amount.is_some()),
        ("`fields.rows`", of_case.rows.is_some(), of_entry.rows.is_some()),
        ("`fields.tenant`", of_case.tenant.is_some(), of_entry.tenant.is_some()),
        ("`fields.destination`", of_case.destination.is_some(), of_entry.destination.is_some()),
        ("`fields.destination.allowed`", listed(of_case), listed(of_entry)),
    ] {
        if is && !also {
            out.push((what, "said".into(), "says none".into()));
        }
    }
    for (pointer, argument) in case.roles.iter() {
        let of_entry = entry.roles.of_pointer(pointer);
        let milder = match of_entry {
            None => argument.class.matters(),
            Some(known) => {
                (argument.class.matters() && !known.class.matters())
                    || (argument.limit.is_some()
                        && known.limit.is_none_or(|most| Some(most) > argument.limit))
                    || (argument.class == Class::Magnitude && known.low_value > argument.low_value)
            }
        };
        let vouched = of_entry.map_or(&[][..], |known| &known.known);
        if argument.class.matters()
            && let Some(value) = vouched.iter().find(|value| !argument.knows(value))
        {
            out.push(("no", format!("{value} in `known` of `{pointer}`"), "has it".into()));
        }
        if milder {
            let shown = of_entry.map_or("nothing", |known| known.class.name());
            out.push((
                "a role that asks more",
                format!("`{pointer}: {}`", argument.class.name()),
                format!("`{shown}`"),
            ));
        }
    }
    out
}

fn people(rule: &ApprovalRule) -> String {
    let of: Vec<&str> = rule.approvers.iter().map(String::as_str).collect();
    let of = if of.is_empty() { "the agent's approvers".to_owned() } else { of.join(", ") };
    format!("{} of {of}", rule.count)
}
