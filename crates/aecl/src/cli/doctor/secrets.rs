//! Whether the secrets that servers and actions name can be had, as far as files tell.

use super::{Check, Seen};
use crate::cli::servers::{State, standing};
use crate::cli::show::count;
use aecl_egress::vault::{SecretRef, references};
use aecl_kernel::define::connector::ConnectorSpec;
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
            SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Remote { .. } | SecretRef::Login(_) => None,
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

/// Whether the log-ins that servers want are there, as far as the store tells.
pub(super) fn logins(seen: &Seen, checks: &mut Vec<Check>) {
    let Some(config) = &seen.config else { return };
    let logins = seen.home.logins();
    let known = match logins.servers() {
        Ok(known) => known,
        Err(error) => {
            checks.push(Check::broken("log-ins", error.to_string(), "docs/reference/secrets.md"));
            return;
        }
    };
    let configured =
        config.servers.iter().filter(|(_, it)| it.oauth().is_some()).map(|(name, _)| name.clone());
    let names: BTreeSet<String> = known.into_iter().chain(configured).collect();
    let mut good = 0;
    for name in names {
        let standing = match standing(&logins, &name, config.servers.get(&name)) {
            Ok(standing) => standing,
            Err(error) => {
                checks.push(Check::broken("log-ins", error.to_string(), "docs/reference/secrets.md"));
                return;
            }
        };
        let found = format!("`{name}`: {}", standing.state.words());
        match (standing.state, standing.todo()) {
            (State::In, _) | (_, None) => good += 1,
            (State::WantsMore, Some(todo)) => checks.push(Check::advice("log-ins", found, todo)),
            (State::Out | State::Refused | State::Ended | State::Elsewhere, Some(todo)) => {
                checks.push(Check::broken("log-ins", found, todo));
            }
        }
    }
    if good > 0 {
        checks.push(Check::ok("log-ins", format!("logged in at {}", count(good, "server"))));
    }
}

/// Whether entries name the scope of their server's credentials. If not, what they propose is refused late, by
/// the executor.
pub(super) fn scopes(seen: &Seen, checks: &mut Vec<Check>) {
    let (Some(config), Some(bundle)) = (&seen.config, &seen.bundle) else { return };
    for (name, typed) in bundle.catalogue().iter() {
        let Some(ConnectorSpec::Mcp { server, .. }) = typed.connector() else { continue };
        let Some(transport) = config.servers.get(server) else { continue };
        let (wanted, said) = (transport.credential_scope(), typed.manifest.credential_scope.as_deref());
        if transport.uses_credentials() && wanted != said {
            let shown = |scope: Option<&str>| scope.map_or("none".to_owned(), |scope| format!("`{scope}`"));
            checks.push(Check::advice(
                "credential scope",
                format!(
                    "server `{server}` has credentials of the scope {}, its entry `{name}` says {}",
                    shown(wanted),
                    shown(said)
                ),
                "write the server's `credential_scope` into the entry, so that other agents are refused at once",
            ));
        }
    }
}

/// Every reference of the configuration and the catalogue that can be read.
fn named(seen: &Seen) -> BTreeSet<SecretRef> {
    let transports = seen.config.iter().flat_map(|config| config.servers.values());
    let mut texts: Vec<String> = transports.flat_map(|it| it.templates().values().cloned()).collect();
    let catalogue = seen.bundle.iter().flat_map(|bundle| bundle.catalogue().iter());
    texts.extend(catalogue.map(|(_, typed)| typed.manifest.connector.to_string()));
    texts.iter().flat_map(|text| references(text).unwrap_or_default()).collect()
}
