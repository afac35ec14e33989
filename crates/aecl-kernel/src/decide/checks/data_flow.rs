//! Who supplied the arguments? Once the run has read what a stranger may have written, a value that matters
//! must be what somebody who is trusted has named, as a thing of its kind. The model may choose among
//! trusted values; it may not carry a stranger's value to where it does something.

use crate::base::code::{self, Code};
use crate::base::digest::Digest;
use crate::decide::completion;
use crate::decide::doubts::{unproven, unproven_as};
use crate::decide::request::{DecisionRequest, Findings, is_strict, is_tainted, understood};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Audience, Class, Endorses};
use crate::provenance::atoms::plain;
use crate::provenance::canon;
use crate::provenance::labels::SECRET_UNTRACKED;
use crate::provenance::proof::{Backing, Gravity, Leaf, Provenance, egress, judged, wants_proof};
use crate::record::decision::UnprovenArgument;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = understood(q) else { return };
    let changes = typed.manifest.effect.changes_something();
    let edition = q.facts.edition;
    let mut leaves = judged(q.action, typed, edition);
    let goes_out = |leaf: &Leaf<'_>| wants_proof(leaf, changes, edition);
    if !changes && !typed.roles.has(Class::DestUrl) && !leaves.iter().any(goes_out) {
        return;
    }
    leaves.retain(|leaf| !is_listed(q, typed, leaf));
    canonical(&leaves, edition, findings);
    if !is_tainted(q) {
        return;
    }
    let Some(provenance) = &q.facts.provenance else { return unknown(q, &leaves, changes, findings) };
    let unproven = match completion::rests_on(q) {
        // What it carries was issued by what it completes, and everything else that matters is proven or the same there.
        Some(_) => Vec::new(),
        None => unproven(&leaves, typed, edition, provenance),
    };
    rows(q, typed, &leaves, (provenance, unproven), findings);
}

/// What would be doubted of a call in a run that has read a stranger's text, whatever this run has read, if it were as bad as what
/// may complete it.
pub(crate) fn doubted(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    provenance: &Provenance,
    findings: &mut Findings,
) {
    let leaves = judged(q.action, typed, q.facts.edition);
    canonical(&leaves, q.facts.edition, findings);
    let gravity = Gravity::with(typed, q.bundle.catalogue().completers(&q.action.name));
    let unproven = unproven_as(&leaves, typed, gravity, q.facts.edition, provenance);
    rows(q, typed, &leaves, (provenance, unproven), findings);
}

fn rows(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    leaves: &[Leaf<'_>],
    (provenance, unproven): (&Provenance, Vec<(Code, UnprovenArgument)>),
    findings: &mut Findings,
) {
    let (strict, edition) = (is_strict(q), q.facts.edition);
    let changes = typed.manifest.effect.changes_something();
    let about = |pointers: &mut dyn Iterator<Item = &String>| -> Vec<UnprovenArgument> {
        let class = |at: &str| typed.roles.of_pointer(at).map_or(Class::Content, |a| a.class);
        pointers.map(|at| UnprovenArgument { at: at.clone(), class: class(at) }).collect()
    };
    if !provenance.secrets.is_empty() {
        let about = about(&mut provenance.secrets.iter());
        findings.row(code::SECRET_LEAVES, strict, format!("{} carries a secret value", names(&about)), about);
    }
    for (code, message) in QUESTIONS {
        let about: Vec<UnprovenArgument> =
            unproven.iter().filter(|(c, _)| c == code).map(|(_, doubt)| doubt.clone()).collect();
        if !about.is_empty() {
            findings.row(*code, strict, format!("{message}: {}", names(&about)), about);
        }
    }
    if !provenance.links.is_empty() {
        let about = about(&mut provenance.links.iter());
        let text =
            format!("{} has a link, address or account that nobody who is trusted has named", names(&about));
        findings.row(code::UNPROVEN_LINK, strict, text, about);
    }
    if changes && !provenance.grounded && !is_proven_elsewhere(leaves, edition) {
        let text = match edition {
            0..GROUNDED => format!("what `{}` would create has no word of the goal", q.action.name),
            GROUNDED.. => format!(
                "most of what `{}` would write, or a name or number in it, neither the goal nor a trusted system has said",
                q.action.name
            ),
        };
        findings.row(code::UNGROUNDED, strict, text, Vec::new());
    }
    if edition >= WORDED && !provenance.beyond.is_empty() {
        let about = about(&mut provenance.beyond.iter());
        let text = format!("{} says more than the words that the goal gives for it", names(&about));
        findings.row(code::UNGROUNDED, strict, text, about);
    }
    outside(q, typed, leaves, provenance, findings);
    untracked(q, typed, leaves, findings);
}

/// The address is one that the server itself has listed: what is offered is its digest. Asking for it tells nobody
/// anything. What is pinned is offered as a whole definition.
fn is_listed(q: &DecisionRequest<'_>, typed: &TypedAction, leaf: &Leaf<'_>) -> bool {
    let offered = q.action.offered.filter(|_| typed.manifest.pin.is_none());
    let text = leaf.value.as_str().filter(|_| leaf.class == Class::DestUrl);
    offered.zip(text).is_some_and(|(offered, text)| offered == Digest::of(text.as_bytes()))
}

/// Nobody has looked where the values come from, or the answer is lost: nothing is proven then. An undo is made of
/// what is on record, so nobody has to ask.
fn unknown(q: &DecisionRequest<'_>, leaves: &[Leaf<'_>], changes: bool, findings: &mut Findings) {
    let wanting = leaves.iter().filter(|l| wants_proof(l, changes, q.facts.edition));
    let about: Vec<UnprovenArgument> =
        wanting.map(|l| UnprovenArgument { at: l.pointer.clone(), class: l.class }).collect();
    if q.action.compensates.is_none() && (changes || !about.is_empty()) {
        let text = format!(
            "the run has read what strangers wrote, and where the arguments of `{}` come from is not known",
            q.action.name
        );
        findings.row(code::PROVENANCE_UNKNOWN, is_strict(q), text, about);
    }
}

/// A secret value that is not kept track of may be in anything that leaves.
fn untracked(q: &DecisionRequest<'_>, typed: &TypedAction, leaves: &[Leaf<'_>], findings: &mut Findings) {
    let untracked = q.facts.run.as_ref().is_some_and(|run| run.labels.classes.contains(SECRET_UNTRACKED));
    if untracked && egress(typed, leaves) != Audience::None {
        let text = format!(
            "the run has read secret values that are too long, too short or too many to be recognised, and `{}` may carry one out",
            q.action.name
        );
        findings.row(code::PROVENANCE_UNKNOWN, is_strict(q), text, Vec::new());
    }
}

/// From this edition on, one word of the goal does not ground a text.
const GROUNDED: u32 = 4;

/// From this edition on, words that the goal gives are all that is written.
const WORDED: u32 = 5;

/// What is asked about each role, in the order of the table.
const QUESTIONS: &[(Code, &str)] = &[
    (code::UNPROVEN_DESTINATION, "nobody who is trusted has named where it goes"),
    (code::UNPROVEN_CREDENTIAL, "the user has not named this password or key"),
    (code::UNPROVEN_PROFILE, "the user has not named this personal data"),
    (code::UNPROVEN_COMMAND, "the user has not named this command or query"),
    (code::UNPROVEN_TARGET, "nobody who is trusted has named what it changes"),
    (code::UNPROVEN_AMOUNT, "nobody who is trusted has named the amount"),
    (code::UNPROVEN_ATTACHMENT, "nobody who is trusted has named what goes along"),
    (code::UNPROVEN_FETCH, "the user has not named the page"),
];

pub(super) fn names(about: &[UnprovenArgument]) -> String {
    let names: Vec<String> =
        about.iter().take(8).map(|d| format!("`{}`", d.at.trim_start_matches('/'))).collect();
    let more = about.len().saturating_sub(8);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// Nothing is sent to a name that is not what it looks like, whoever said it and whatever was read.
fn canonical(leaves: &[Leaf<'_>], edition: u32, findings: &mut Findings) {
    // What leads outside by its value alone is proven or asked about; nobody has said that it has to be plain.
    let sinks = leaves.iter().filter(|l| !l.leads()).filter(|l| {
        let class = l.argument.class;
        class.is_destination() || matches!(class, Class::TargetId | Class::TargetPath)
    });
    for leaf in sinks {
        let Some(text) = leaf.value.as_str() else { continue };
        let class = leaf.argument.class;
        // A file may have been named with such a space; nobody has to be sent something with one.
        let dirt = match class.is_destination() && edition >= 2 {
            true => canon::dirt_of_destination(text),
            false => canon::dirt(text),
        };
        let why = match dirt.filter(|d| d.is_refused()) {
            Some(dirt) => dirt.words(),
            None if class == Class::DestUrl && has_user(text) => "has a user name before the host",
            None => continue,
        };
        let about = vec![UnprovenArgument { at: leaf.pointer.clone(), class }];
        findings.row(code::SINK_NOT_CANONICAL, true, format!("{} {why}", names(&about)), about);
    }
}

fn has_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// From this edition on, an empty value proves nothing about what stands beside it.
const SAYING: u32 = 6;

/// Whether something else than its content says what it is about.
fn is_proven_elsewhere(leaves: &[Leaf<'_>], edition: u32) -> bool {
    let speaks = leaves.iter().any(|l| l.argument.class == Class::Content);
    let other = |class: Class| {
        class.is_destination()
            || class.is_target()
            || matches!(class, Class::Credential | Class::Profile | Class::Command)
    };
    // An empty address says nothing.
    let blank = |l: &Leaf<'_>| plain(l.value).is_none_or(|text| text.trim().is_empty());
    let says = |l: &Leaf<'_>| edition < SAYING || !blank(l);
    !speaks || leaves.iter().any(|l| other(l.argument.class) && says(l))
}

/// Private data, a stranger's words and a way out: then the user has to have named where it goes.
fn outside(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    leaves: &[Leaf<'_>],
    provenance: &Provenance,
    findings: &mut Findings,
) {
    let private = q.facts.run.as_ref().is_some_and(|run| run.labels.private);
    let asked = [code::UNPROVEN_DESTINATION, code::UNPROVEN_FETCH];
    let known = findings.list.iter().any(|f| asked.contains(&f.code));
    if !private || egress(typed, leaves) != Audience::External || known {
        return;
    }
    let said = |leaf: &&Leaf<'_>| {
        let mut proofs = provenance.of(leaf).iter();
        let is_named = |p: &Backing| p.named && p.by <= Endorses::System;
        proofs.any(|p| matches!(p.by, Endorses::User | Endorses::Operator) || is_named(p))
    };
    let mut destinations = leaves.iter().filter(|l| l.class.is_destination()).peekable();
    // It could go somewhere, and this time goes nowhere.
    let nowhere = destinations.peek().is_none() && typed.roles.iter().any(|(_, a)| a.class.is_destination());
    let named = nowhere || (destinations.peek().is_some() && destinations.all(|leaf| said(&leaf)));
    // A program whose words the user has said goes where those words lead.
    let program = leaves
        .iter()
        .filter(|l| matches!(l.argument.class, Class::Command | Class::QuerySql))
        .any(|l| said(&l));
    if !named && !program {
        let text = format!(
            "`{}` reaches the outside, the run has read private data and text of strangers, and the user has not named where it goes",
            q.action.name
        );
        findings.row(code::PRIVATE_TO_OUTSIDE, is_strict(q), text, Vec::new());
    }
}
