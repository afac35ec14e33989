//! Whether an `aecl run --keep` of this user was ended in the middle.

use super::Check;
use crate::cli::place::keeps_dir;
use aecl_executor::connectors::files::{KeepJournals, UnfinishedKeep};

pub(super) fn look(checks: &mut Vec<Check>) {
    let Some(dir) = keeps_dir() else { return };
    let found = match KeepJournals::new(dir.clone()).unfinished() {
        Ok(found) => found,
        Err(e) => {
            let found = format!("`{}` does not count: {e}", dir.display());
            checks.push(Check::broken(
                "kept changes",
                found,
                "look at what is in it, and remove it; a new one is made for you alone",
            ));
            return;
        }
    };
    for UnfinishedKeep { journal, roots, unbelieved } in found {
        let journal = journal.display();
        checks.push(match unbelieved {
            Some(why) => Check::broken(
                "kept changes",
                format!("`{journal}` does not count: {why}"),
                "look at what it is, and remove it",
            ),
            None => Check::broken("kept changes", ended(&roots), way_out(&roots, &journal.to_string())),
        });
    }
}

fn ended(roots: &[std::path::PathBuf]) -> String {
    let roots: Vec<_> = roots.iter().map(|root| format!("`{}`", root.display())).collect();
    let places = match roots.as_slice() {
        [] => "which had not begun".to_owned(),
        roots => format!("in {}", roots.join(", ")),
    };
    format!("an `aecl run --keep` was ended in the middle, {places}")
}

fn way_out(roots: &[std::path::PathBuf], journal: &str) -> String {
    let gone = match roots.iter().all(|root| root.exists()) {
        true => String::new(),
        false => format!("; if a directory is gone for good, remove `{journal}`"),
    };
    format!("`aecl run --recover` finishes it, as does the next `aecl run` there{gone}")
}
