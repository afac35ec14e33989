//! Whether the secrets that servers and actions name can be had, as far as files tell.

use super::{Check, Seen};
use crate::cli::show::count;
use aecl_executor::connectors::mcp::Transport;
use aecl_executor::vault::{SecretRef, references};
use std::collections::BTreeSet;

pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) {
    let named = named(seen);
    let stored = match seen.home.secrets().list() {
        Ok(stored) => stored,
        Err(error) => {
            checks.push(Check::broken("secret store", error.to_string(), "docs/reference/secrets.md"));
            return;
        }
    };
    let missing: Vec<&str> = named
        .iter()
        .filter_map(|reference| match reference {
            SecretRef::Stored(name) => Some(name.as_str()),
            SecretRef::Env(_) | SecretRef::File(_) => None,
        })
        .filter(|name| !stored.iter().any(|it| it.name == *name))
        .collect();
    if !missing.is_empty() {
        let found = format!("servers or actions name what is not in the store: {}", missing.join(", "));
        checks.push(Check::broken("secret store", found, "`aecl secrets set NAME` for each"));
    } else if !stored.is_empty() {
        let found = format!("{}, sealed, the key for its owner only", count(stored.len(), "secret"));
        checks.push(Check::ok("secret store", found));
    }
}

/// Every reference of the configuration and the catalogue that can be read.
fn named(seen: &Seen) -> BTreeSet<SecretRef> {
    let transports = seen.config.iter().flat_map(|config| config.servers.values());
    let mut texts: Vec<String> = transports
        .flat_map(|transport| match transport {
            Transport::Stdio { env, .. } => env.values().cloned().collect::<Vec<_>>(),
            Transport::Http { headers, .. } => headers.values().cloned().collect(),
        })
        .collect();
    let catalogue = seen.bundle.iter().flat_map(|bundle| bundle.catalogue().iter());
    texts.extend(catalogue.map(|(_, typed)| typed.manifest.connector.to_string()));
    texts.iter().flat_map(|text| references(text).unwrap_or_default()).collect()
}
