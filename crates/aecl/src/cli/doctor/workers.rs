//! Workers: whether a key is there for each action that one carries out, and whether one is connected.

use super::check::{Check, Seen, listed};
use crate::cli::client;
use crate::cli::show::count;
use crate::cli::{Common, runtime};
use aecl_kernel::define::connector::ConnectorSpec;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a server may take to say who is connected.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn look(common: &Common, seen: &Seen, checks: &mut Vec<Check>) {
    let (Some(config), Some(bundle)) = (&seen.config, &seen.bundle) else { return };
    let mut served = Vec::new();
    for (name, typed) in bundle.catalogue().iter() {
        if let Some(ConnectorSpec::Worker(spec)) = typed.connector() {
            served.push((name.to_string(), spec.compensates.clone().unwrap_or_else(|| name.to_string())));
        }
    }
    if served.is_empty() {
        return;
    }
    let keys: BTreeSet<&String> = config.workers.iter().flat_map(|worker| &worker.actions).collect();
    let without: Vec<String> = served
        .iter()
        .filter(|(_, under)| !keys.contains(under))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !without.is_empty() {
        checks.push(Check::broken(
            "workers",
            format!("no worker has a key for {}", listed(&without)),
            "aecl keys add worker NAME --action ACTION, for the action under which the function is registered",
        ));
    }
    match connected(common) {
        Some(answer) => {
            let actions = answer.pointer("/actions").and_then(Value::as_object);
            let missing: Vec<String> = actions
                .into_iter()
                .flatten()
                .filter(|(_, workers)| workers.as_u64() == Some(0))
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            if missing.is_empty() {
                let found =
                    format!("each of {} has a worker that is connected", count(served.len(), "action"));
                checks.push(Check::ok("workers", found));
            } else {
                checks.push(Check::advice(
                    "workers",
                    format!("no worker that is connected takes {}", listed(&missing)),
                    "start the worker; until then such a call waits for `queue_ms` and is not executed. `aecl workers` shows who is there",
                ));
            }
        }
        None => checks.push(Check::advice(
            "workers",
            format!(
                "nobody serves this home, so no worker is connected for {}",
                count(served.len(), "action")
            ),
            "`aecl serve`, then start the worker",
        )),
    }
}

/// Who is connected, if somebody serves this home and says so in time.
fn connected(common: &Common) -> Option<Value> {
    let asked = async { client::served(common).await?.get("/v1/workers").await.ok() };
    runtime().ok()?.block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok()? })
}
