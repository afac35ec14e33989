//! A trial: every example of a bundle on its own, also where one comes out wrong, and which rules they reach.
//! A rule that no example reaches may say anything, and nobody would notice.

use crate::examples::{self, Tried};
use crate::load::VettedBundle;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::example::Example;
use aecl_kernel::policy::problem::{BundleProblem, Source, read_each};
use serde::Serialize;
use std::collections::BTreeMap;

/// A rule, and the examples that reach it.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// The rule.
    pub id: String,
    /// What it says, in words.
    pub says: String,
    /// Names of the examples in which it decides.
    pub examples: Vec<String>,
}

/// All examples, and all rules.
#[derive(Debug, Clone, Serialize)]
pub struct WhatIf {
    /// The examples, in the order of their files.
    pub examples: Vec<Tried>,
    /// The rules that hold or forbid, sorted by id. What merely allows is not among them.
    pub rules: Vec<Reached>,
}

impl WhatIf {
    /// Examples that come out wrong.
    pub fn failed(&self) -> impl Iterator<Item = &Tried> {
        self.examples.iter().filter(|e| !e.passed)
    }

    /// Rules that no example reaches.
    pub fn unreached(&self) -> impl Iterator<Item = &Reached> {
        self.rules.iter().filter(|r| r.examples.is_empty())
    }
}

/// Compiles a bundle without its examples, and tries those one by one.
pub fn try_examples(sources: Vec<Source>) -> Result<(Bundle, WhatIf), Vec<BundleProblem>> {
    let (about, rest): (Vec<_>, Vec<_>) = sources.into_iter().partition(|s| s.path.starts_with("examples/"));
    let bundle = VettedBundle::load(rest)?.into_bundle();
    let mut problems = Vec::new();
    let mut tried = Vec::new();
    for source in &about {
        for example in read_each::<Example>(source, &mut problems) {
            match examples::tried(&example, &source.path, &bundle) {
                Ok(one) => tried.push(one),
                Err(message) => problems.push(BundleProblem::error(&source.path, message)),
            }
        }
    }
    if problems.iter().any(|p| p.fatal) {
        return Err(problems);
    }
    let rules = reached(&bundle, &tried);
    Ok((bundle, WhatIf { examples: tried, rules }))
}

fn reached(bundle: &Bundle, tried: &[Tried]) -> Vec<Reached> {
    let mut rules: BTreeMap<String, Reached> = BTreeMap::new();
    let mut rule = |id: &str, says: &str| {
        let new = Reached { id: id.to_owned(), says: says.to_owned(), examples: Vec::new() };
        rules.entry(id.to_owned()).or_insert(new);
    };
    for (id, own) in bundle.policies().own_rules() {
        rule(id, &own.says);
    }
    for (_, _, id, says) in bundle.policies().generated() {
        // What allows is no rule: it is the list.
        if !id.ends_with("/allowed") && !id.ends_with("/undo") {
            rule(id, says);
        }
    }
    for example in tried {
        for id in &example.policies {
            if let Some(rule) = rules.get_mut(id) {
                rule.examples.push(example.name.clone());
            }
        }
    }
    rules.into_values().collect()
}
