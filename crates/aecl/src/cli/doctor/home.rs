//! Configuration, keys, policy, people.

use super::{Check, Seen};
use crate::cli::show::count;
use aecl_analysis::load::VettedBundle;
use aecl_executor::judge::{Judge, JudgeKind};
use aecl_gate::config::{Config, Home};
use aecl_gate::identity::{OPERATORS, hash_key};
use aecl_gate::{GateError, keys};
use aecl_kernel::policy::bundle::Bundle;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) fn config(home: &Home, checks: &mut Vec<Check>) -> Option<Config> {
    match home.read() {
        Ok(config) => {
            checks.push(Check::ok(
                "configuration",
                format!("`{}`, ledger `{}`", home.config().display(), config.origin),
            ));
            Some(config)
        }
        Err(error) => {
            let todo = if home.config().exists() {
                "correct the file"
            } else {
                "run `aecl init`, or say where it is with --dir"
            };
            checks.push(Check::broken("configuration", error.to_string(), todo));
            None
        }
    }
}

/// The judges of intent that are models on this machine: without one of them nothing starts.
pub(super) fn judges(seen: &Seen, checks: &mut Vec<Check>) {
    let specs = seen.config.iter().flat_map(|config| &config.judges);
    for spec in specs.filter(|spec| spec.kind == JudgeKind::Local) {
        checks.push(match Judge::ready(spec.clone()) {
            Ok(_) => Check::ok("judge", format!("`{}` is read from {}", spec.name, spec.model)),
            Err(error) => Check::broken("judge", error, "correct `judges` in aecl.yaml"),
        });
    }
}

pub(super) fn policy(loaded: Result<VettedBundle, GateError>, checks: &mut Vec<Check>) -> Option<Bundle> {
    match loaded {
        Ok(bundle) => {
            let (agents, actions) = (bundle.agents().count(), bundle.catalogue().iter().count());
            let found = format!(
                "{}, {}, {}",
                count(agents, "agent"),
                count(actions, "action"),
                count(bundle.examples(), "example")
            );
            let warnings = crate::cli::policy::check::doubtful(&bundle).len();
            checks.push(match warnings {
                0 => Check::ok("policy", found),
                n => Check::advice(
                    "policy",
                    format!("{found}, {}", count(n, "warning")),
                    "read them with `aecl policy check`",
                ),
            });
            Some(bundle.into_bundle())
        }
        Err(GateError::Bundle(problems)) => {
            let fatal = problems.iter().filter(|p| p.fatal).count();
            checks.push(Check::broken(
                "policy",
                format!("does not load, {}", count(fatal, "error")),
                "read them with `aecl policy check`",
            ));
            None
        }
        Err(error) => {
            checks.push(Check::broken(
                "policy",
                error.to_string(),
                "`aecl init --force` writes what is missing",
            ));
            None
        }
    }
}

pub(super) fn keys(seen: &Seen, checks: &mut Vec<Check>) {
    for (what, name) in [("ledger key", "ledger.pem"), ("token key", "tokens.pem")] {
        checks.push(match keys::read(&seen.home.keys().join(name)) {
            Ok(_) => Check::ok(what, format!("keys/{name}, for its owner only")),
            Err(error) => Check::broken(what, error.to_string(), "`aecl init --force` makes one that is missing; one that others could read should be replaced"),
        });
    }
    let second = with_second_names(&seen.home.keys());
    if !second.is_empty() {
        checks.push(Check::broken(
            "names of keys",
            format!("these have a second name elsewhere: {}", second.join(", ")),
            "`find / -xdev -samefile KEY` finds it; remove it, or make the key a file of its own by `cp -p KEY NEW && mv NEW KEY`; \
             replace a key that others may have read there",
        ));
    }
    let path = seen.home.keys().join("operator.key");
    let (Ok(text), Some(config)) = (std::fs::read_to_string(&path), &seen.config) else {
        checks.push(Check::advice(
            "operator key",
            "keys/operator.key is not there",
            "commands then need --key or AECL_KEY to answer approvals",
        ));
        return;
    };
    let hash = hash_key(text.trim());
    let open = std::fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    checks.push(match config.people.iter().find(|p| p.key == hash) {
        _ if open => Check::broken(
            "operator key",
            "others may read keys/operator.key, and with it answer approvals",
            "`aecl keys remove operator`, then add a new one, and chmod 600",
        ),
        None => Check::advice(
            "operator key",
            "keys/operator.key belongs to nobody in aecl.yaml",
            "delete it, or put a key of `aecl keys add person` into it",
        ),
        Some(person) => Check::ok("operator key", format!("keys/operator.key is `{}`", person.id)),
    });
}

/// Keys that are also another file: whoever opens that one reads the key.
fn with_second_names(keys: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(keys).into_iter().flatten().flatten();
    let has_two = |about: &std::fs::Metadata| about.is_file() && about.nlink() > 1;
    let mut found: Vec<String> = entries
        .filter(|entry| entry.metadata().is_ok_and(|about| has_two(&about)))
        .map(|entry| format!("keys/{}", entry.file_name().to_string_lossy()))
        .collect();
    found.sort();
    found
}

/// Whether every request for approval can be answered by somebody.
pub(super) fn people(seen: &Seen, checks: &mut Vec<Check>) {
    let Some(config) = &seen.config else { return };
    let operators = config.people.iter().filter(|p| p.groups.contains(OPERATORS)).count();
    let shown = count(config.people.len(), "person").replace("persons", "people");
    if operators == 0 {
        let todo = "`aecl keys add person NAME --group operators`";
        checks.push(Check::broken(
            "people",
            format!("{shown}, none in `operators`: nobody can use the kill switch"),
            todo,
        ));
    } else {
        checks.push(Check::ok("people", format!("{shown}, {operators} in `operators`")));
    }
    for (groups, need) in seen.bundle.as_ref().map(asked).unwrap_or_default() {
        let members = config.people.iter().filter(|p| !p.groups.is_disjoint(&groups)).count();
        let names = groups.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
        if members < need as usize {
            let found = format!(
                "policy asks for {need} of {names}, and there are {members}: such a request can only expire"
            );
            checks.push(Check::broken(
                "approvers",
                found,
                "`aecl keys add person NAME --group GROUP`, or change who is asked",
            ));
        }
    }
}

/// Groups that manifests and the catalogue ask for, with the most people asked for at once.
fn asked(bundle: &Bundle) -> BTreeMap<BTreeSet<String>, u32> {
    let mut out: BTreeMap<BTreeSet<String>, u32> = BTreeMap::new();
    let mut add = |groups: &BTreeSet<String>, n: u32| {
        let most = out.entry(groups.clone()).or_default();
        *most = (*most).max(n);
    };
    let default = BTreeSet::from([OPERATORS.to_owned()]);
    for agent in bundle.agents() {
        let own = if agent.approvers.is_empty() { &default } else { &agent.approvers };
        add(own, 1);
        for rule in agent.context_rules.values() {
            let owners = BTreeSet::from(["data_owners".to_owned()]);
            let groups = match rule.requires {
                _ if !rule.approvers.is_empty() => &rule.approvers,
                aecl_kernel::define::manifest::Consent::HumanApproval => own,
                aecl_kernel::define::manifest::Consent::DataOwnerConsent => &owners,
            };
            add(groups, rule.count);
        }
        for (_, typed) in bundle.catalogue().iter() {
            if let Some(rule) = typed.manifest.always_approval() {
                add(if rule.approvers.is_empty() { own } else { &rule.approvers }, rule.count);
            }
        }
    }
    out
}
