//! Servers of which something waits for a person to look at it.

use super::desk::seen;
use super::disk::CatalogueError;
use super::files::servers;
use super::said::said;
use aecl_gate::config::Home;
use std::collections::BTreeMap;

/// How many things of each server wait to be accepted: tools that are offered otherwise than before or came later, and
/// what it says otherwise of itself and its prompts. Servers of which nothing waits are not there.
///
/// # Errors
/// When files cannot be read.
pub fn waiting(home: &Home) -> Result<BTreeMap<String, usize>, CatalogueError> {
    let mut out = BTreeMap::new();
    for server in servers(home)? {
        let tools = seen(home, &server)?.values().filter(|seen| seen.waiting().is_some()).count();
        let words = said(home, &server)?.values().filter(|seen| seen.offered.is_some()).count();
        if tools + words > 0 {
            out.insert(server, tools + words);
        }
    }
    Ok(out)
}
