//! Where the arguments of an action come from. Found out when the facts are gathered, by looking up exactly
//! these values; what is found is recorded with the decision, so that it can be made again without the goal
//! and the outputs, which may have been erased.
//!
//! The work depends on the arguments and the goal (16 KiB), never on how long the run is.

use super::atoms::{Atom, AtomKind, wanted};
use super::goal::{IntentMatch, MentionKind};
use super::labels::each_leaf;
use super::links;
use crate::base::digest::Digest;
use crate::define::catalogue::dialect::Dialect;
use crate::define::catalogue::flow::{Argument, Audience, Class, Endorses};
use crate::define::catalogue::{Completer, Effect, Reversibility, TypedAction};
use crate::read::action::{Action, Leading};
use crate::read::plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Backing of a value: who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Backing {
    /// Who.
    pub by: Endorses,
    /// How the goal names it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<MentionKind>,
    /// For a record: the goal names another value of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
}

/// Provenance of the arguments, and whether the goal asks for the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Proofs, by JSON pointer. What needs one and has none is not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proofs: BTreeMap<String, Vec<Backing>>,
    /// The same of values that lead outside, although their role is no destination: who stands behind them as one.
    /// Decisions that were recorded before this was looked at have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leading: BTreeMap<String, Vec<Backing>>,
    /// Contents with a link, address or account that nobody trusted has named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<String>,
    /// Arguments that carry a secret value.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// Contents that have more in them than the words that the goal gives for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub beyond: BTreeSet<String>,
    /// Its content has to do with the goal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grounded: bool,
    /// Whether the goal asks for it.
    pub asks: IntentMatch,
    /// The goal is in a language that is not read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
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
    /// What it acts on, if the goal names all of it, and how often the run was permitted this action on just that.
    /// Decisions that were recorded before this was looked at have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<NamedThings>,
    /// How it stands to the plan, if one was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<plan::PlanMatch>,
    /// People have to agree to the plan, and no yes of theirs counts: it binds the run and vouches for nothing. These are
    /// the values for which it would. Decisions that were recorded before this was asked took its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unagreed: Option<BTreeSet<String>>,
    /// Targets that are there and empty, which may mean everything. Decisions that were recorded before this was looked at
    /// took them for none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub blank: BTreeSet<String>,
    /// What may complete it sends on what this writes, and there is a link that nobody trusted has named, or a secret value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsendable: bool,
}

/// Things that an action acts on, all of which the goal names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedThings {
    /// Digest of the values of its destinations and targets, each with its argument.
    pub digest: Digest,
    /// How often the run was permitted this action on them since it has read what strangers wrote.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A value of the arguments that has a role.
#[derive(Debug)]
pub struct Leaf<'a> {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is said of its argument.
    pub argument: &'a Argument,
    /// The role in which it is judged.
    pub class: Class,
    /// The value.
    pub value: &'a Value,
}

impl Leaf<'_> {
    /// Whether it is judged as a destination, although its role is none.
    pub fn leads(&self) -> bool {
        self.class != self.argument.class
    }
}

/// From this edition on, a value that leads outside is judged as a destination, whatever its argument is called.
const LEADING: u32 = 3;
/// From this edition on, a read goes where its destinations say, too.
const ASKED: u32 = 4;
/// From this edition on, what is grave is done only to what the user has chosen.
const CHOSEN: u32 = 4;

/// From this edition on, a number among what is written says how much: no text would.
const COUNTED: u32 = 6;

const fn role(class: Class) -> Argument {
    let low_value = rust_decimal::Decimal::ZERO;
    Argument { class, low_value, limit: None, dialect: Dialect::Generic, default: None, known: Vec::new() }
}

/// What is said of a value that no argument of the definition is for.
static UNSAID: Argument = role(Class::Selector);
/// What a number is that is written.
static NUMBER: Argument = role(Class::Magnitude);

/// The values of the arguments that have a role, in order. Of an understood action only.
pub fn leaves<'a>(action: &'a Action, typed: &'a TypedAction) -> Vec<Leaf<'a>> {
    let mut out = Vec::new();
    each_leaf(action.arguments.value(), &mut String::new(), &mut |value, path| {
        let argument = typed.roles.of_pointer(path).filter(|_| !value.is_null());
        out.extend(argument.map(|argument| {
            let class = argument.class;
            Leaf { pointer: path.clone(), argument, class, value }
        }));
    });
    out
}

/// The same as they are judged: from edition 3 on, what leads outside stands among them as a destination, too, and from edition 6
/// on a number that is written says how much.
pub fn judged<'a>(action: &'a Action, typed: &'a TypedAction, edition: u32) -> Vec<Leaf<'a>> {
    let mut out = leaves(action, typed);
    if edition >= COUNTED && typed.manifest.effect.changes_something() {
        let is_number = |leaf: &&mut Leaf<'_>| leaf.class == Class::Content && leaf.value.is_number();
        for leaf in out.iter_mut().filter(is_number) {
            (leaf.class, leaf.argument) = (Class::Magnitude, &NUMBER);
        }
    }
    if edition >= LEADING {
        let leading = action.leading(|| leading(action, typed)).iter();
        out.extend(leading.map(|Leading { pointer, class }| {
            // Nobody stands behind nothing.
            let value = action.arguments.pointer(pointer).unwrap_or(&Value::Null);
            let argument = typed.roles.of_pointer(pointer).unwrap_or(&UNSAID);
            Leaf { pointer: pointer.clone(), argument, class: *class, value }
        }));
    }
    out
}

fn leading(action: &Action, typed: &TypedAction) -> Vec<Leading> {
    let changes = typed.manifest.effect.changes_something();
    let mut out = Vec::new();
    each_leaf(action.arguments.value(), &mut String::new(), &mut |value, pointer| {
        let role = typed.roles.of_pointer(pointer).map_or(UNSAID.class, |argument| argument.class);
        let class = value.as_str().and_then(|text| leads(role, pointer, text, changes));
        out.extend(class.map(|class| Leading { pointer: pointer.clone(), class }));
    });
    out
}

/// The destination that a value is whose role is none. What a change says to somebody is looked through for links by
/// itself, and the person whom it changes something for is proven as a target.
fn leads(role: Class, pointer: &str, text: &str, changes: bool) -> Option<Class> {
    let written = matches!(role, Class::Content | Class::Command | Class::QuerySql);
    if role.is_destination() || (changes && role == Class::Content) {
        return None;
    }
    let class = links::leads(pointer, text, written)?;
    (class == Class::DestUrl || !needs_proof(role, changes, LEADING)).then_some(class)
}

/// Whom the effect reaches with these values.
pub fn egress(typed: &TypedAction, leaves: &[Leaf<'_>]) -> Audience {
    if leaves.iter().any(Leaf::leads) { Audience::External } else { typed.egress }
}

/// Whether a value must be proven before the action may happen.
pub fn wants_proof(leaf: &Leaf<'_>, changes: bool, edition: u32) -> bool {
    leaf.leads() || needs_proof(leaf.class, changes, edition)
}

/// Whether a value of this role must be proven before the action may happen.
pub fn needs_proof(class: Class, changes: bool, edition: u32) -> bool {
    match class {
        Class::DestUrl => true,
        // Whoever is asked is told what is asked.
        Class::DestEmail | Class::DestAccount | Class::DestName => changes || edition >= ASKED,
        Class::TargetId | Class::TargetName | Class::TargetPath | Class::Magnitude => changes,
        Class::Credential | Class::Profile | Class::Attachments => changes,
        Class::Command | Class::QuerySql => changes,
        Class::Content | Class::Time | Class::Flag | Class::Selector => false,
    }
}

/// Whether a value is a target that has to be one and is empty. What may be left out may be empty.
pub fn is_blank(leaf: &Leaf<'_>, typed: &TypedAction) -> bool {
    let required = typed.schema.get("required").and_then(Value::as_array);
    let name = leaf.pointer.trim_start_matches('/');
    let must = required.is_some_and(|names| names.iter().any(|required| required == name));
    let empty = leaf.value.as_str().is_some_and(|text| text.trim().is_empty());
    empty && leaf.argument.class.is_target() && (must || typed.manifest.effect == Effect::Delete)
}

/// Gravity of an action: what makes a proof of its targets harder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gravity {
    /// It cannot be undone.
    pub irreversible: bool,
    /// It takes something away.
    pub deletes: bool,
    /// Grave harm can come of it.
    pub grave: bool,
}

impl Gravity {
    /// Of one action.
    pub fn of(typed: &TypedAction) -> Self {
        Self {
            irreversible: typed.manifest.reversibility() == Reversibility::Irreversible,
            deletes: typed.manifest.effect == Effect::Delete,
            grave: typed.manifest.severity() >= 3,
        }
    }

    /// Of an action that something may complete: what comes of it is as bad as that.
    pub fn with(typed: &TypedAction, completers: &[Completer]) -> Self {
        completers.iter().fold(Self::of(typed), |worst, completer| {
            worst.and(Self {
                irreversible: completer.reversibility == Reversibility::Irreversible,
                deletes: completer.effect == Effect::Delete,
                grave: completer.severity >= 3,
            })
        })
    }

    /// Of what is as bad as both.
    #[must_use]
    fn and(self, other: Self) -> Self {
        Self {
            irreversible: self.irreversible || other.irreversible,
            deletes: self.deletes || other.deletes,
            grave: self.grave || other.grave,
        }
    }
}

/// Whether these proofs are enough for this role in this action.
pub fn suffices(class: Class, typed: &TypedAction, edition: u32, proofs: &[Backing]) -> bool {
    suffices_as(class, typed, Gravity::of(typed), edition, proofs)
}

/// The same, if the action were as bad as this.
pub fn suffices_as(
    class: Class,
    typed: &TypedAction,
    Gravity { irreversible, deletes, grave }: Gravity,
    edition: u32,
    proofs: &[Backing],
) -> bool {
    // A goal that leaves the choice of what is deleted leaves it to whoever wrote what the run has read.
    let destroys = irreversible || deletes;
    // Whoever can have something listed chooses otherwise what is bought, granted or transferred.
    let chosen = destroys || (grave && edition >= CHOSEN);
    let member =
        proofs.iter().any(|p| matches!(p.by, Endorses::Directory | Endorses::Tenant | Endorses::System));
    let closed = typed.manifest.resolver.is_some();
    let is_words = |how| matches!(how, MentionKind::Ordered | MentionKind::Words);
    proofs.iter().any(|proof| match (proof.by, proof.how.unwrap_or(MentionKind::Typed)) {
        (Endorses::User, how) => match class {
            Class::DestEmail | Class::DestUrl | Class::Magnitude => {
                matches!(how, MentionKind::Quoted | MentionKind::Typed)
            }
            Class::Credential => matches!(how, MentionKind::Quoted | MentionKind::Typed),
            Class::Command | Class::QuerySql => how == MentionKind::Quoted,
            Class::DestAccount => !is_words(how),
            // A capital makes no channel: where names can be looked up, they must exist.
            Class::DestName => match how {
                MentionKind::Quoted | MentionKind::Typed => true,
                MentionKind::Proper => !closed || member,
                MentionKind::Ordered | MentionKind::Words => member,
            },
            // A word beside the order for what takes something away may be the place where it is.
            Class::TargetId | Class::TargetName | Class::TargetPath | Class::Attachments => {
                let ordered = how == MentionKind::Ordered && !deletes && !grave;
                !is_words(how) || !irreversible || ordered
            }
            Class::Profile => true,
            Class::Content | Class::Time | Class::Flag | Class::Selector => true,
        },
        (Endorses::Operator, _) => class != Class::Credential,
        (Endorses::Directory, _) => match class {
            c if c.is_destination() => !grave || proof.named,
            c if c.is_target() => !chosen || proof.named,
            Class::Magnitude | Class::Attachments => true,
            _ => false,
        },
        (Endorses::Tenant, _) => class.is_target() && (!chosen || (proof.named && !destroys)),
        (Endorses::System, _) => match class {
            c if c.is_target() => !chosen || (proof.named && !irreversible),
            Class::Magnitude | Class::Attachments => true,
            _ => false,
        },
        (Endorses::Agent, _) => class.is_target() || class == Class::Attachments,
        // The one address in what the goal names is read; nothing is sent there.
        (Endorses::Opaque, _) => {
            class == Class::DestUrl && !typed.manifest.effect.changes_something() && proof.named
        }
        (Endorses::Made | Endorses::Third, _) => false,
    })
}

/// Digest of what an action acts on, if the goal names all of it.
pub fn named_things(leaves: &[Leaf<'_>], proofs: &BTreeMap<String, Vec<Backing>>) -> Option<Digest> {
    let is_thing = |leaf: &&Leaf<'_>| leaf.class.is_destination() || leaf.class.is_target();
    let things: Vec<_> = leaves.iter().filter(|l| !l.leads()).filter(is_thing).collect();
    let is_named = |leaf: &&Leaf<'_>| {
        proofs.get(&leaf.pointer).is_some_and(|proofs| proofs.iter().any(|proof| proof.by == Endorses::User))
    };
    let told: Vec<String> = things.iter().map(|leaf| format!("{}={}", leaf.pointer, leaf.value)).collect();
    let parts: Vec<&[u8]> = told.iter().map(String::as_bytes).collect();
    (!things.is_empty() && things.iter().all(is_named)).then(|| Digest::of_parts("aecl/things/v1", &parts))
}

impl Provenance {
    /// Who stands behind a value in the role in which it is judged.
    pub fn of(&self, leaf: &Leaf<'_>) -> &[Backing] {
        let proofs = if leaf.leads() { &self.leading } else { &self.proofs };
        proofs.get(&leaf.pointer).map_or(&[], Vec::as_slice)
    }

    /// As if the user had named every value and asked for exactly this: what a situation means that states no goal.
    /// The worst case for whoever asks what could get through.
    pub fn as_if_asked_for(action: &Action) -> Option<Self> {
        let typed = action.typed.as_deref().filter(|_| action.problems.is_empty())?;
        let named = || vec![Backing { by: Endorses::User, how: Some(MentionKind::Quoted), named: false }];
        let (leading, proofs): (Vec<_>, Vec<_>) =
            judged(action, typed, LEADING).into_iter().partition(Leaf::leads);
        let all = |leaves: Vec<Leaf<'_>>| leaves.into_iter().map(|leaf| (leaf.pointer, named())).collect();
        Some(Self {
            proofs: all(proofs),
            leading: all(leading),
            links: BTreeSet::new(),
            secrets: BTreeSet::new(),
            beyond: BTreeSet::new(),
            grounded: true,
            asks: IntentMatch::Strongly { verb: String::new() },
            unread: false,
            delegates: false,
            elsewhere: false,
            plural: true,
            earlier: 0,
            named: None,
            plan: None,
            unagreed: None,
            blank: BTreeSet::new(),
            unsendable: false,
        })
    }
}

/// The atoms that a person's word for a value of this role endorses.
pub fn endorsed(class: Class, value: &Value) -> Vec<Atom> {
    let mut atoms = wanted(class, value);
    atoms.retain(|a| {
        a.kind != AtomKind::Secret || matches!(class, Class::Credential | Class::Command | Class::QuerySql)
    });
    atoms
}
