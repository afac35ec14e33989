//! The calls of an action with cases, one by one: a case of one bundle may be a part of a case of the other.

use aecl_kernel::base::id::ActionName;
use aecl_kernel::define::catalogue::cases::CallCase;
use aecl_kernel::define::catalogue::{TypedAction, pointer_of};
use aecl_kernel::policy::bundle::Bundle;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most calls of one action that are told apart.
const CALLS_MAX: usize = 256;

/// Call of an action as cases tell it apart: arguments by JSON pointer. One that names none is whatever no case describes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call(BTreeMap<String, Value>);

/// Each combination of values for which one of the two bundles has a case, by itself: what was a case of its own may be a part
/// of another.
pub(super) fn of(old: &Bundle, new: &Bundle, name: &ActionName) -> Vec<Call> {
    let entries = [old, new].into_iter().filter_map(|bundle| bundle.catalogue().find(name.as_str()));
    let mut out = vec![Call::default()];
    for case in entries.flat_map(|entry| &entry.manifest.cases) {
        let mut combined = vec![Call::default()];
        for (argument, wanted) in &case.when {
            let with = |value: &Value| {
                let at = (pointer_of(argument), value.clone());
                combined.iter().map(move |Call(at_others)| {
                    Call(at_others.clone().into_iter().chain([at.clone()]).collect())
                })
            };
            combined = wanted.values().iter().flat_map(with).take(CALLS_MAX).collect();
        }
        let fresh: Vec<Call> = combined.into_iter().filter(|call| !out.contains(call)).collect();
        out.extend(fresh);
    }
    out.truncate(CALLS_MAX);
    out
}

impl Call {
    /// In words.
    pub(super) fn told(&self) -> Option<String> {
        let one = |(at, value): (&String, &Value)| {
            let name = at.trim_start_matches('/');
            match value {
                Value::Null => format!("`{name}` is left out"),
                Value::String(text) => format!("`{name}` is `{text}`"),
                other => format!("`{name}` is {other}"),
            }
        };
        (!self.0.is_empty()).then(|| self.0.iter().map(one).collect::<Vec<_>>().join(" and "))
    }

    /// The variant of an entry that judges it, with its defaults filled in.
    pub(super) fn judged_by<'a>(&self, entry: &'a Arc<TypedAction>) -> &'a Arc<TypedAction> {
        let says = |pointer: &str| {
            let mut args = entry.manifest.args.iter();
            let default = || args.find(|(name, _)| pointer_of(name) == pointer)?.1.default.clone();
            self.0.get(pointer).cloned().or_else(default).unwrap_or_default()
        };
        let fits = |case: &CallCase| {
            case.when.iter().all(|(name, wanted)| wanted.values().contains(&says(&pointer_of(name))))
        };
        let case = entry.manifest.cases.iter().position(fits).filter(|_| !self.0.is_empty());
        case.and_then(|case| entry.cases.get(case)).unwrap_or(entry)
    }
}
