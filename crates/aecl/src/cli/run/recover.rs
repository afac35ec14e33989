//! A `--keep` that was ended in the middle is finished by whoever comes next.

use super::NOT_KEPT;
use crate::cli::place::keeps_dir;
use crate::cli::show::{self, inert_line};
use crate::cli::{Common, Error, Exit, Result};
use aecl_executor::connectors::files::{KeepEnd, KeepJournals, LeftPlace, RecoveredKeep};
use aecl_kernel::define::connector::process::ProcessSpec;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where keeps are written down, for one that may follow.
pub(super) fn journals() -> std::result::Result<KeepJournals, Error> {
    let hint = "what is kept is written down first, in a directory of yours outside of every project: set XDG_STATE_HOME to \
                one that only you may enter";
    let Some(dir) = keeps_dir() else {
        return Err(Error::new("`--keep` has no place for its record: set HOME or XDG_STATE_HOME").hint(hint));
    };
    let journals = KeepJournals::new(dir);
    journals.prepare().map_err(|e| Error::new(e.to_string()).hint(hint))?;
    Ok(journals)
}

/// Finishes what concerns the current directory or anything that is shown.
pub(super) fn around(spec: &ProcessSpec) -> Vec<RecoveredKeep> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    let places: Vec<PathBuf> =
        here.into_iter().chain(spec.views.iter().map(|view| view.source.clone())).collect();
    let is_around =
        |root: &Path| places.iter().any(|place| root.starts_with(place) || place.starts_with(root));
    // What is not to be believed `aecl doctor` names; a command needs nothing of it.
    keeps_dir().and_then(|dir| KeepJournals::new(dir).recover(&is_around).ok()).unwrap_or_default()
}

/// Finishes all there is.
pub(super) fn all(common: &Common) -> Result {
    let Some(dir) = keeps_dir() else {
        return Err(Error::new(
            "there is nothing to look at: neither HOME nor XDG_STATE_HOME names a directory",
        ));
    };
    let journals = KeepJournals::new(dir);
    let cannot = |e: std::io::Error| {
        Error::new(format!("`{}` does not count: {e}", journals.dir().display()))
            .hint("look at what is in it; once it is gone, a new one is made for you alone")
    };
    let recovered = journals.recover(&|_| true).map_err(cannot)?;
    let open = journals.unfinished().map_err(cannot)?;
    let unbelieved = open.into_iter().filter_map(|keep| Some((keep.journal, keep.unbelieved?)));
    let unbelieved: Vec<(PathBuf, String)> = unbelieved.collect();
    if common.json {
        let unbelieved: Vec<Value> =
            unbelieved.iter().map(|(journal, why)| json!({ "journal": journal, "why": why })).collect();
        show::print_json(&json!({ "recovered": json(&recovered), "unbelieved": unbelieved }));
    } else {
        say(&recovered);
        for (journal, why) in &unbelieved {
            show::say(&format!("aecl: `{}` does not count: {why}", journal.display()));
        }
        if recovered.is_empty() && unbelieved.is_empty() {
            show::say("aecl: there is nothing to finish");
        }
    }
    let is_whole = |keep: &RecoveredKeep| match &keep.end {
        KeepEnd::TakenBack => true,
        KeepEnd::Finished { left, .. } => left.is_empty(),
        KeepEnd::Stuck(_) => false,
    };
    let is_all = recovered.iter().all(is_whole) && unbelieved.is_empty();
    Ok(if is_all { Exit::Done } else { Exit::Program(NOT_KEPT) })
}

/// Says what was finished.
pub(super) fn say(recovered: &[RecoveredKeep]) {
    for RecoveredKeep { roots, end } in recovered {
        let roots: Vec<_> = roots.iter().map(|root| inert_line(&root.display().to_string())).collect();
        let before = format!("aecl: an earlier `--keep` in {} was ended in the middle", roots.join(", "));
        match end {
            KeepEnd::TakenBack => {
                show::say(&format!("{before}; it had changed nothing, and its files are removed"))
            }
            KeepEnd::Finished { made, left } => {
                let made = show::count(*made, "change");
                show::say(&format!("{before}; it is finished now: {made} kept, {} left", left.len()));
                left.iter().for_each(say_left);
            }
            KeepEnd::Stuck(why) => {
                show::say(&format!("{before}, and cannot be finished now: {}", inert_line(why)));
                show::say(
                    "hint: once that is set right, the next `aecl run` there or `aecl run --recover` finishes it",
                );
            }
        }
    }
}

fn say_left(left: &LeftPlace) {
    let name = |path: &PathBuf| inert_line(&path.display().to_string());
    let saved = match left.saved.as_slice() {
        [] => String::new(),
        saved => format!("; see {}", saved.iter().map(name).collect::<Vec<_>>().join(", ")),
    };
    show::say(&format!("aecl: {} stays as it is: {}{saved}", name(&left.path), inert_line(&left.why)));
}

/// For programs.
pub(super) fn json(recovered: &[RecoveredKeep]) -> Value {
    let one = |RecoveredKeep { roots, end }: &RecoveredKeep| match end {
        KeepEnd::TakenBack => json!({ "roots": roots, "end": "taken_back" }),
        KeepEnd::Finished { made, left } => {
            let left: Vec<Value> = left
                .iter()
                .map(|left| json!({ "path": left.path, "why": left.why, "saved": left.saved }))
                .collect();
            json!({ "roots": roots, "end": "finished", "made": made, "left": left })
        }
        KeepEnd::Stuck(why) => json!({ "roots": roots, "end": "stuck", "why": why }),
    };
    recovered.iter().map(one).collect()
}
