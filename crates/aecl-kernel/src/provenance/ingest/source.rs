//! A source that the goal names: "read what Ann has linked in the channel travel". Its one address may be read in turn.

use super::{Endorsement, READ_MAX, Trusted};
use crate::base::json::{Document, Limits};
use crate::define::catalogue::flow::{Class, Endorses};
use crate::provenance::atoms::{AtomKind, wanted};
use crate::provenance::goal::ParsedGoal;
use crate::provenance::labels::each_leaf;
use crate::provenance::links::links;
use serde_json::Value;

/// Longest output that is looked through for its address, in bytes.
const SOURCE_MAX: usize = 1 << 20;
/// Most links of one output that are compared.
const LINKS_MAX: usize = 8;

/// The one address that stands in what a call has read, where the goal names what it read and no address. With two, a
/// stranger would choose.
pub(super) fn led_on(goal: &ParsedGoal, arguments: &Value, output: &[u8]) -> Option<Trusted> {
    if output.len() > SOURCE_MAX.min(READ_MAX) || goal.names_a_url() || !is_named(goal, arguments) {
        return None;
    }
    let limits = Limits { bytes_max: SOURCE_MAX, ..Limits::default() };
    let value = Document::read(output, &limits).ok()?;
    let (mut found, mut more) = (None, false);
    each_leaf(&value, &mut String::new(), &mut |leaf, _| {
        let Some(text) = leaf.as_str() else { return };
        let (atoms, many) = links(text, LINKS_MAX);
        more |= many;
        for atom in atoms.into_iter().filter(|atom| atom.kind == AtomKind::Url) {
            more |= found.as_ref().is_some_and(|other| *other != atom);
            found = Some(atom);
        }
    });
    let mark = Endorsement { named: true, ..Endorsement::of(Endorses::Opaque) };
    found.filter(|_| !more).map(|atom| Trusted { atom, mark })
}

/// Whether the goal names what was read: a value of the call.
fn is_named(goal: &ParsedGoal, arguments: &Value) -> bool {
    let mut named = false;
    each_leaf(arguments, &mut String::new(), &mut |value, _| {
        named |= wanted(Class::TargetName, value).iter().any(|atom| goal.names(atom).is_some());
    });
    named
}
