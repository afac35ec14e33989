//! What of the proposals was shown to whom, so that nobody accepts anything else: who writes where traffic comes from may go on writing.

use aecl_analysis::learned::Suggestion;
use aecl_gate::config::Home;
use aecl_kernel::base::digest::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Digests of single proposals by whom they were shown to.
type Shown = BTreeMap<String, Vec<Digest>>;

fn file(home: &Home) -> PathBuf {
    home.data().join("learned.json")
}

fn read(home: &Home) -> Shown {
    fs::read(file(home)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn digest(proposal: &Suggestion) -> Digest {
    Digest::of(format!("{} {} {}", proposal.action, proposal.key, proposal.value).as_bytes())
}

/// Notes what was shown to somebody, in the place of what was shown before.
pub(super) fn note(home: &Home, who: &str, found: &[Suggestion]) {
    let mut all = read(home);
    all.insert(who.to_owned(), found.iter().map(digest).collect());
    let text = serde_json::to_vec(&all).unwrap_or_default();
    let (file, beside) = (file(home), home.data().join("learned.json.new"));
    if let Err(error) = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file)) {
        eprintln!("it is not noted that this was shown, so it cannot be accepted: {error}");
    }
}

/// The action of the first proposal that was not shown to somebody as it is now.
pub(super) fn unseen(home: &Home, who: &str, found: &[Suggestion]) -> Option<String> {
    let shown = read(home).remove(who).unwrap_or_default();
    found.iter().find(|proposal| !shown.contains(&digest(proposal))).map(|proposal| proposal.action.clone())
}
