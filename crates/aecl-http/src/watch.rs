//! Watches a home's files. What changed is read as a whole; what is wrong with it is told, and the running
//! policy stays.

use aecl_gate::Gate;
use aecl_gate::config::Home;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often we look. Looking at a few dozen files costs less than a watch that misses a renamed directory.
const LOOK: Duration = Duration::from_secs(1);

type Seen = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Reloads configuration and policy whenever their files change, until it is aborted.
pub async fn files(gate: Gate) {
    let Some(home) = gate.home().cloned() else { return };
    let mut seen = look(&home).await;
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let now = look(&home).await;
        if now == seen {
            continue;
        }
        seen = now;
        match gate.reload().await {
            Ok(true) => tracing::info!(bundle = %gate.bundle().hash(), "the policy was reloaded"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    error = error.in_log(),
                    "what was changed does not load; the running policy stays"
                );
            }
        }
    }
}

async fn look(home: &Home) -> Seen {
    let (config, policy) = (home.config(), home.policy());
    let look = move || {
        let mut seen = Seen::new();
        note(&config, &mut seen);
        walk(&policy, &mut seen, 0);
        seen
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

fn walk(dir: &Path, seen: &mut Seen, depth: usize) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && depth < 8 {
            walk(&path, seen, depth + 1);
        } else {
            note(&path, seen);
        }
    }
}

fn note(path: &Path, seen: &mut Seen) {
    // A file that is gone or cannot be read is a change like any other; the reload says what is wrong.
    let meta = std::fs::metadata(path).ok();
    let stamp = meta.map_or((0, None), |m| (m.len(), m.modified().ok()));
    seen.insert(path.to_owned(), stamp);
}
