//! What a program wrote, as changes of files that somebody may make.

use aecl_kernel::digest::Digest;
use aecl_sandbox::{Change as Written, ChangeKind, CollectLimits, Collected, Ended, SandboxError};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{AccessSpec, ProcessSpec};
use crate::connectors::files::{Change, Content};

/// Members of the answer: `files` for what lies in `/scratch`, `changes` for each view with an overlay, and
/// `refused` for what was not taken.
pub(super) fn collect(ended: &Ended, spec: &ProcessSpec) -> Result<Map<String, Value>, SandboxError> {
    let most = spec.limits.collected_max_kib.saturating_mul(1 << 10);
    let limits = CollectLimits {
        file_max_bytes: most,
        total_max_bytes: most,
        entries_max: spec.limits.collected_files_max,
    };
    let mut sources = BTreeMap::new();
    for view in &spec.views {
        if view.access == AccessSpec::Overlay {
            sources.insert(view.at.clone(), view.source.clone());
        }
    }
    let (mut told, mut views, mut refused) = (Map::new(), Map::new(), Vec::new());
    for scratch in &ended.scratch {
        let Collected { changes, refused: left } = scratch.collect(limits)?;
        let at = scratch.at().display().to_string();
        refused.extend(left.into_iter().map(|r| json!({ "path": format!("{at}/{}", r.path), "why": r.why })));
        match sources.get(scratch.at()) {
            None => {
                let files: Vec<Change> = changes.into_iter().filter_map(|w| written(w, None)).collect();
                if !files.is_empty() {
                    told.insert("files".into(), json!(files));
                }
            }
            Some(source) => drop(views.insert(at, json!(over(changes, source)))),
        }
    }
    if !views.is_empty() {
        told.insert("changes".into(), Value::Object(views));
    }
    if !refused.is_empty() {
        told.insert("refused".into(), Value::Array(refused));
    }
    Ok(told)
}

/// Changes above a directory of the host. What the host's file is now goes along, so that nobody writes over
/// what somebody else has changed since.
fn over(changes: Vec<Written>, source: &Path) -> Vec<Change> {
    let dir = Dir::open_ambient_dir(source, ambient_authority()).ok();
    let (mut all, mut gone) = (Vec::new(), Vec::new());
    for change in changes {
        match (&change.kind, &dir) {
            (ChangeKind::Deleted | ChangeKind::Directory { anew: true }, Some(dir)) => {
                deleted(dir, &change.path, &mut gone);
            }
            _ => all.extend(written(change, dir.as_ref())),
        }
    }
    // What was deleted and written again is written.
    let there: BTreeSet<String> = all.iter().map(|change| change.path.clone()).collect();
    all.extend(gone.into_iter().filter(|change| !there.contains(&change.path)));
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all.dedup_by(|one, other| one.path == other.path);
    // A program that writes a file again as it was has changed nothing.
    all.retain(|change| {
        change.before.is_none() || change.before != change.digest_after() || change.is_mode()
    });
    all
}

/// A file that was written. A directory comes into being with what is in it.
fn written(change: Written, dir: Option<&Dir>) -> Option<Change> {
    match change.kind {
        ChangeKind::File { executable, bytes } => {
            let before = dir.and_then(|dir| before(dir, &change.path));
            let was = dir.and_then(|dir| runs(dir, &change.path)).unwrap_or_default();
            let executable = (executable != was).then_some(executable);
            Some(Change { path: change.path, before, after: Some(Content::of(bytes, executable)) })
        }
        ChangeKind::Directory { .. } | ChangeKind::Deleted => None,
    }
}

fn before(dir: &Dir, path: &str) -> Option<Digest> {
    dir.read(path).ok().map(|bytes| Digest::of(&bytes))
}

fn runs(dir: &Dir, path: &str) -> Option<bool> {
    use cap_std::fs::PermissionsExt as _;
    dir.symlink_metadata(path).ok().map(|meta| meta.permissions().mode() & 0o100 != 0)
}

/// A deleted file, or all files of a deleted directory.
fn deleted(dir: &Dir, path: &str, all: &mut Vec<Change>) {
    let Ok(meta) = dir.symlink_metadata(path) else { return };
    if meta.is_file() {
        all.push(Change { path: path.to_owned(), before: before(dir, path), after: None });
    } else if meta.is_dir() {
        let names = dir.read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        for name in names {
            deleted(dir, &format!("{path}/{name}"), all);
        }
    }
}
