//! What a project takes away from the commands that run in it: a file of its own that can only narrow.
//!
//! Where commands run, strangers' files are, so this file is a stranger's, too. Nothing in it gives anything: each word is
//! a bound, and of two bounds the narrower counts. The file of every directory above counts as well, so that none stands
//! in front of another.

mod file;

use super::{Args, Asked};
use crate::cli::Error;
use crate::cli::show;
use aecl_kernel::define::connector::process::{AccessSpec, AllowSpec, LimitsSpec, ProcessSpec};
use file::{Place, ProjectFile};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What one file took away.
#[derive(Debug)]
pub(super) struct Taken {
    file: PathBuf,
    what: Vec<String>,
    suggests: Vec<super::Profile>,
}

impl Taken {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({ "file": self.file, "what": self.what })
    }
}

/// Takes away what the files of the project say: of the current directory, of what is shown, and of all that is above.
pub(super) fn narrow(asked: &mut Asked) -> Result<Vec<Taken>, Error> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    let shown = asked.spec.views.iter().map(|view| view.source.clone());
    let dirs: BTreeSet<PathBuf> = here.into_iter().chain(shown).flat_map(|dir| ancestors(&dir)).collect();
    let mut taken = Vec::new();
    // What is above comes first, so that what is said is said of what was left.
    for dir in dirs {
        let Some(file) = ProjectFile::of(&dir)? else { continue };
        let what = take(&dir, &file, asked);
        taken.push(Taken { file: dir.join(file::NAME), what, suggests: file.profiles });
    }
    Ok(taken)
}

fn ancestors(dir: &Path) -> Vec<PathBuf> {
    dir.ancestors().map(Path::to_owned).collect()
}

/// Says that something was taken away, and how much of it if that is asked for.
pub(super) fn say(taken: &[Taken], args: &Args) {
    for Taken { file, what, suggests } in taken {
        let file = file.display();
        if args.explain {
            what.iter().for_each(|what| show::say(&format!("aecl: `{file}`: {what}")));
        } else if !what.is_empty() {
            show::say(&format!(
                "aecl: `{file}` takes something away; `--explain` says what, `--no-project-file` leaves it out"
            ));
        }
        for profile in suggests.iter().filter(|profile| !args.profile.contains(profile)) {
            show::say(&format!("aecl: `{file}` suggests `--profile {}`", profile.name()));
        }
    }
}

/// Takes away what one file says. What it was, in words.
fn take(dir: &Path, file: &ProjectFile, asked: &mut Asked) -> Vec<String> {
    let mut what = Vec::new();
    if let Some(tier) = file.min_tier.filter(|tier| *tier > asked.tier) {
        what.push(format!("it is held in tier `{tier}` at least, and not in `{}`", asked.tier));
        (asked.tier, asked.why) = (tier, format!("`{}` asks for it", dir.join(file::NAME).display()));
    }
    if let Some(seconds) = file.timeout_max_s {
        let most = Duration::from_secs(seconds.get());
        if most < asked.timeout {
            what.push(format!("it may take {} s, and not {} s", most.as_secs(), asked.timeout.as_secs()));
            asked.timeout = most;
        }
    }
    let had_no_limit = asked.spec.limits.memory_max_mib.is_none();
    take_limits(file, &mut asked.spec.limits, &mut what);
    // Nobody here has asked for this one: where nothing limits all of them, it is put on each process.
    asked.memory_is_ours |= had_no_limit && asked.spec.limits.memory_max_mib.is_some();
    if let Some(hosts) = &file.hosts {
        let narrowed = narrowed(&asked.spec.egress, hosts);
        if narrowed != asked.spec.egress {
            let words = |list: &[AllowSpec]| match list {
                [] => "nobody".to_owned(),
                some => some.iter().map(AllowSpec::words).collect::<Vec<_>>().join("; "),
            };
            what.push(format!("it reaches {}, and not {}", words(&narrowed), words(&asked.spec.egress)));
            asked.spec.egress = narrowed;
        }
    }
    for below in &file.read_only {
        take_writing(&below.of(dir), asked, &mut what);
    }
    for below in &file.hidden {
        take_sight(&below.of(dir), asked, &mut what);
    }
    what
}

fn take_limits(file: &ProjectFile, limits: &mut LimitsSpec, what: &mut Vec<String>) {
    let memory = limits.memory_max_mib;
    for (limit, most) in &file.limits {
        let (most, was) = (most.get(), limit.of(limits));
        if was.is_none_or(|was| most < was) {
            limit.set(limits, most);
            let was = was.map_or("no limit".to_owned(), |was| was.to_string());
            what.push(format!("`{}` is {most}, and not {was}", limit.name()));
        }
    }
    // The scratch space is memory; a full one is to look like a full disk.
    if let Some(less) = limits.memory_max_mib.filter(|_| limits.memory_max_mib != memory) {
        limits.scratch_max_mib = limits.scratch_max_mib.min(less / 2);
    }
}

/// Whom both reach. The sequence stays, since of two rules for one place the first counts.
fn narrowed(list: &[AllowSpec], hosts: &[Place]) -> Vec<AllowSpec> {
    let mut left = Vec::new();
    for allow in list {
        for host in hosts.iter().filter_map(|place| place.shared_with(&allow.host, allow.port)) {
            let allow = AllowSpec { host, ..allow.clone() };
            let is_in = |earlier: &AllowSpec| {
                let same = AllowSpec { host: allow.host.clone(), ..earlier.clone() } == allow;
                same && (earlier.host == allow.host || file::covers(&earlier.host, &allow.host))
            };
            if !left.iter().any(is_in) {
                left.push(allow);
            }
        }
    }
    left
}

fn take_writing(path: &Path, asked: &mut Asked, what: &mut Vec<String>) {
    for path in itself_and_real(path) {
        let mut is_some = false;
        for view in asked.spec.views.iter_mut().filter(|view| view.access == AccessSpec::Overlay) {
            if view.source.starts_with(&path) {
                view.access = AccessSpec::ReadOnly;
                is_some = true;
            }
            is_some |= path.starts_with(&view.source);
        }
        if is_some && asked.read_only.insert(path.clone()) {
            what.push(format!("`{}` stays as it is", path.display()));
        }
    }
}

fn take_sight(path: &Path, asked: &mut Asked, what: &mut Vec<String>) {
    for path in itself_and_real(path) {
        let spec = &mut asked.spec;
        let before = spec.views.len();
        let is_below = spec.views.iter().any(|view| path.starts_with(&view.source));
        drop_views(&path, spec);
        if (is_below || spec.views.len() < before) && asked.hidden.insert(path.clone()) {
            what.push(format!("`{}` is not shown", path.display()));
        }
    }
}

/// A path, and what it leads to where links are on the way.
fn itself_and_real(path: &Path) -> BTreeSet<PathBuf> {
    [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten().collect()
}

/// Takes away the views of this, and of what is in it.
fn drop_views(path: &Path, spec: &mut ProcessSpec) {
    let views = std::mem::take(&mut spec.views);
    let (gone, left) = views.into_iter().partition(|view| view.source.starts_with(path));
    spec.views = left;
    let gone: Vec<_> = gone;
    // It starts where every program does if that is gone where it was to start.
    if gone.iter().any(|view| spec.cwd.as_ref().is_some_and(|cwd| cwd.starts_with(&view.at))) {
        spec.cwd = None;
    }
}

/// Takes out of what a command changed what was made where nothing was, and where nothing may be changed.
pub(super) fn stays_as_it_is(asked: &Asked, told: &mut Value) {
    let is_fixed =
        |path: &Path| asked.hidden.iter().chain(&asked.read_only).any(|fixed| path.starts_with(fixed));
    let mut refused = Vec::new();
    for view in &asked.spec.views {
        let changes = told.get_mut("changes").and_then(|all| all.get_mut(view.at.display().to_string()));
        let Some(Value::Array(changes)) = changes else { continue };
        changes.retain(|change| {
            let path = change.get("path").and_then(Value::as_str).unwrap_or_default();
            let is_fixed = is_fixed(&view.source.join(path));
            if is_fixed {
                let why = format!("`{}` of the project says that it stays as it is", file::NAME);
                refused.push(json!({ "path": view.at.join(path), "why": why }));
            }
            !is_fixed
        });
    }
    if let (false, Some(told)) = (refused.is_empty(), told.as_object_mut()) {
        let all = told.entry("refused").or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.extend(refused);
        }
    }
}

#[cfg(test)]
mod tests;
