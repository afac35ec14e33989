//! Which values of a call need a proof and have none: what asks about them, and what rests on another call, name the same.

use crate::base::code::{self, Code};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::Class;
use crate::provenance::atoms::plain;
use crate::provenance::proof::{Gravity, Leaf, Provenance, suffices_as, wants_proof};
use crate::record::decision::UnprovenArgument;
use rust_decimal::Decimal;
use serde_json::Value;

/// Every value that needs a proof and has none that is good enough.
pub fn unproven(
    leaves: &[Leaf<'_>],
    typed: &TypedAction,
    edition: u32,
    provenance: &Provenance,
) -> Vec<(Code, UnprovenArgument)> {
    unproven_as(leaves, typed, Gravity::of(typed), edition, provenance)
}

/// The same, if the action were as bad as this.
pub(crate) fn unproven_as(
    leaves: &[Leaf<'_>],
    typed: &TypedAction,
    gravity: Gravity,
    edition: u32,
    provenance: &Provenance,
) -> Vec<(Code, UnprovenArgument)> {
    let changes = typed.manifest.effect.changes_something();
    let mut out = Vec::new();
    for leaf in leaves {
        let class = leaf.class;
        let is_none = is_empty(leaf.value) && !provenance.blank.contains(&leaf.pointer);
        if !wants_proof(leaf, changes, edition) || is_low(leaf) || is_none {
            continue;
        }
        if !suffices_as(class, typed, gravity, edition, provenance.of(leaf)) {
            out.push((code_of(class, changes), UnprovenArgument { at: leaf.pointer.clone(), class }));
        }
    }
    out
}

fn code_of(class: Class, changes: bool) -> Code {
    match class {
        Class::DestUrl if !changes => code::UNPROVEN_FETCH,
        Class::DestEmail | Class::DestUrl | Class::DestAccount | Class::DestName => {
            code::UNPROVEN_DESTINATION
        }
        Class::Credential => code::UNPROVEN_CREDENTIAL,
        Class::Profile => code::UNPROVEN_PROFILE,
        Class::Command | Class::QuerySql => code::UNPROVEN_COMMAND,
        Class::Magnitude => code::UNPROVEN_AMOUNT,
        Class::Attachments => code::UNPROVEN_ATTACHMENT,
        Class::TargetId | Class::TargetName | Class::TargetPath => code::UNPROVEN_TARGET,
        // They need no proof.
        Class::Content | Class::Time | Class::Flag | Class::Selector => code::UNPROVEN_TARGET,
    }
}

/// An amount that is too small to matter.
fn is_low(leaf: &Leaf<'_>) -> bool {
    let exact = crate::base::amount::decimal(leaf.value);
    leaf.argument.class == Class::Magnitude
        && exact.is_some_and(|n| n >= Decimal::ZERO && n <= leaf.argument.low_value)
}

fn is_empty(value: &Value) -> bool {
    plain(value).is_some_and(|text| text.is_empty()) || value.is_boolean()
}
