//! Whether keys keep tenants apart, once there is more than one of them.

use super::check::listed;
use super::{Check, Seen};

use aecl_gate::config::{Config, Home};
use aecl_gate::identity::{AUDITORS, OPERATORS};
use aecl_kernel::base::id::TenantId;
use aecl_kernel::record::facts::Fact;
use std::collections::BTreeSet;

/// How many runs are looked through for their tenants.
const RUNS_MAX: usize = 50_000;
/// How many at once.
const CHUNK: usize = 1024;

/// The tenants that there are, and keys that are for all of them although nothing says that they should be.
pub(in crate::cli) struct Boundary {
    tenants: BTreeSet<TenantId>,
    /// Orchestrators, and people who are neither operators nor auditors.
    open: Vec<String>,
}

impl Boundary {
    /// Reads which tenants were seen, from the runs on record and from what keys name. No decision reads that.
    pub fn of(home: &Home, config: &Config) -> Self {
        let mut tenants = seen(home);
        // Without a ledger that can be read, configuration alone says it; `ledger` tells what is wrong with it.
        let people = config.people.iter().filter_map(|person| person.tenants.as_ref());
        let programs = config.orchestrators.iter().filter_map(|program| program.tenants.as_ref());
        tenants.extend(people.chain(programs).flatten().cloned());
        let of_all = |group: &String| group == OPERATORS || group == AUDITORS;
        let people = config.people.iter().filter(|p| p.tenants.is_none() && !p.groups.iter().any(of_all));
        let programs = config.orchestrators.iter().filter(|o| o.tenants.is_none());
        let open = people.map(|p| p.id.to_string()).chain(programs.map(|o| o.id.clone())).collect();
        Self { tenants, open }
    }

    /// What is wrong, and what to do about it; nothing where one tenant is all that there is.
    pub fn warning(&self) -> Option<(String, String)> {
        if self.tenants.len() < 2 || self.open.is_empty() {
            return None;
        }
        let found = format!(
            "there are the tenants {}, and keys that name none are for all of them: {}",
            listed(&self.names()),
            listed(&self.open)
        );
        let todo = "write `tenants: [NAME]` at their entries in aecl.yaml, all of them where that is meant; \
                    `aecl keys add … --tenant NAME` does it for new keys";
        Some((found, todo.to_owned()))
    }

    fn names(&self) -> Vec<String> {
        self.tenants.iter().map(ToString::to_string).collect()
    }
}

/// The tenants of the runs on record, of the first of them where there are very many.
fn seen(home: &Home) -> BTreeSet<TenantId> {
    let mut out = BTreeSet::new();
    let Some(mut store) = home.record().ok().and_then(|place| place.read().ok()) else { return out };
    let (mut after, mut runs): (Option<String>, usize) = (None, 0);
    while runs < RUNS_MAX {
        let Ok(found) = store.scan("run/", after.as_deref(), CHUNK) else { break };
        let Some((last, _)) = found.last() else { break };
        after = Some(last.clone());
        runs += found.len();
        for (_, bytes) in &found {
            if let Ok(Fact::Run(run)) = serde_json::from_slice(bytes) {
                out.insert(run.principal.tenant);
            }
        }
    }
    out
}

pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) {
    let Some(config) = &seen.config else { return };
    let boundary = Boundary::of(&seen.home, config);
    match boundary.warning() {
        Some((found, todo)) => checks.push(Check::advice("tenants", found, todo)),
        None if boundary.tenants.len() > 1 => checks.push(Check::ok(
            "tenants",
            format!(
                "{}; every key says for which it is, or is an operator's or auditor's",
                listed(&boundary.names())
            ),
        )),
        // Nothing to keep apart.
        None => {}
    }
}
