//! What a person at the client's log should know at once: tools that are kept back, with the way out.

use crate::mcp::catalogue::{self, Seen};
use aecl_gate::config::Home;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// How often we look. It is one look at a file's date.
const EVERY: Duration = Duration::from_secs(1);
/// As many tools are named.
const NAMED: usize = 8;

/// Says on standard error which tools of these servers are kept back, each time that becomes more. Never ends.
pub(super) async fn tell(home: Home, servers: Vec<String>) {
    let mut told: BTreeMap<String, (Option<SystemTime>, BTreeSet<String>)> = BTreeMap::new();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        for server in &servers {
            let changed_at = catalogue::changed_at(&home, server);
            let (at, known) = told.entry(server.clone()).or_default();
            if *at == changed_at {
                continue;
            }
            *at = changed_at;
            // Half-written files do not exist; another reason not to read it is told by whoever needs it.
            let Ok(seen) = catalogue::seen(&home, server) else { continue };
            let kept = kept_back(&seen);
            if kept.difference(known).next().is_some() {
                tracing::warn!("{}", notice(server, &kept));
            }
            *known = kept;
        }
    }
}

fn kept_back(seen: &BTreeMap<String, Seen>) -> BTreeSet<String> {
    seen.iter().filter(|(_, seen)| seen.offered.is_some()).map(|(tool, _)| tool.clone()).collect()
}

fn notice(server: &str, kept: &BTreeSet<String>) -> String {
    let shown = |tool: &String| tool.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
    let mut named: Vec<String> = kept.iter().take(NAMED).map(shown).collect();
    if kept.len() > NAMED {
        named.push("…".into());
    }
    format!(
        "{} of `{server}` are kept back, because the server defines them otherwise than it was accepted: {}; \
         `aecl catalog diff {server}` shows what changed, `aecl catalog accept {server}` accepts it",
        crate::cli::show::count(kept.len(), "tool"),
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_names_some_and_the_way_out() {
        let kept: BTreeSet<String> = (0..13).map(|n| format!("tool{n}\u{1b}")).collect();
        let said = notice("files", &kept);
        assert!(said.starts_with("13 tools of `files` are kept back"), "{said}");
        assert!(said.contains("tool0, tool1, ") && said.contains(", …; `aecl catalog diff files`"), "{said}");
        assert!(!said.contains('\u{1b}'));
    }
}
