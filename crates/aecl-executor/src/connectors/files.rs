//! Changes of files below one directory: shown as a diff, made as a whole, taken back from a snapshot.
//!
//! Each change says what it expects to find, so that nobody writes over what somebody else has changed in
//! the meantime. No link is followed out of the directory, and none is written through.

mod apply;
mod change;

use std::path::PathBuf;
use std::time::Instant;

use aecl_kernel::digest::Digest;
use async_trait::async_trait;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use serde_json::json;
use similar::TextDiff;

use super::wrong_desk;
use crate::{Call, Connector, ConnectorSpec, DryRun, Performed, Reconciled, Seen};
use apply::{Step, look, make, open, survey};
pub use change::{Change, Changes, Content};
use change::{Wanted, wanted};

/// A directory whose files may be changed, as the catalogue entry writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSpec {
    /// The directory. It must exist.
    pub root: PathBuf,
    /// The most files in one action.
    #[serde(default = "files_max")]
    pub files_max: usize,
    /// The most bytes of one action's new content, and of any one file that it replaces.
    #[serde(default = "bytes_max")]
    pub bytes_max: usize,
}

fn files_max() -> usize {
    500
}

fn bytes_max() -> usize {
    4 << 20
}

/// Changes files.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesConnector;

#[derive(Debug, thiserror::Error)]
enum FilesError {
    #[error("the arguments are not as this connector takes them: {0}")]
    Arguments(String),
    #[error("the directory `{0}` does not open: {1}")]
    Root(String, std::io::Error),
    #[error("`{0}` is no plain file; links, directories and devices are left alone")]
    Kind(String),
    #[error("`{0}` has more than {1} bytes; raise `bytes_max` in the action's connector")]
    TooLong(String, usize),
    #[error("`{0}` is not as the change expects it: {there}; look at it again", there = there(.1))]
    Changed(String, Option<Digest>),
    #[error("could not {0} `{1}`: {2}; nothing was changed")]
    Io(&'static str, String, std::io::Error),
    #[error("it took longer than {0} ms; nothing was changed")]
    Late(u64),
    #[error("the call was cancelled; nothing was changed")]
    Cancelled,
    #[error("`{0}` broke half-way: {1}; some files may be changed and others not")]
    Half(String, std::io::Error),
    #[error("the worker that changed files broke; nobody knows how far it got")]
    Worker,
}

fn there(digest: &Option<Digest>) -> String {
    digest.as_ref().map_or_else(|| "nothing is there".into(), |digest| format!("{digest} is there"))
}

impl FilesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Arguments(_) => "files_arguments",
            Self::Root(..) => "files_root",
            Self::Kind(_) => "files_kind",
            Self::TooLong(..) => "files_too_long",
            Self::Changed(..) => "files_changed",
            Self::Io(..) => "files_failed",
            Self::Late(_) => "files_timeout",
            Self::Cancelled => "files_cancelled",
            Self::Half(..) | Self::Worker => "files_half",
        }
    }
}

#[async_trait]
impl Connector for FilesConnector {
    async fn perform(&self, call: &Call) -> Performed {
        let done = work(call, |call, spec, wanted, dir| {
            let steps = survey(dir, &wanted, spec.bytes_max)?;
            let start = Instant::now();
            let go_on = || match call.cancel.is_cancelled() {
                true => Err(FilesError::Cancelled),
                false if start.elapsed() > call.timeout() => Err(FilesError::Late(call.timeout_ms)),
                false => Ok(()),
            };
            let tag = Digest::of(call.idempotency_key.as_bytes()).short();
            let undo = make(dir, &steps, &tag, &go_on)?;
            let files: Vec<_> =
                steps.iter().map(|step| json!({ "path": step.wanted.path, "what": what(step) })).collect();
            Ok(json!({ "files": files, "undo": undo }).to_string().into_bytes())
        });
        match done.await {
            Ok(output) => {
                let seen = Seen { status: None, output_bytes: output.len(), truncated: false };
                Performed::Done { output, seen }
            }
            Err(error @ (FilesError::Half(..) | FilesError::Worker)) => {
                Performed::unknown(error.code(), format!("`{}`: {error}", call.action))
            }
            Err(error) => Performed::not_sent(error.code(), format!("`{}`: {error}", call.action)),
        }
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let would = work(call, |_, spec, wanted, dir| {
            let steps = survey(dir, &wanted, spec.bytes_max)?;
            let file =
                |step: &Step<'_>| json!({ "path": step.wanted.path, "what": what(step), "diff": diff(step) });
            let files: Vec<_> = steps.iter().map(file).collect();
            Ok((json!({ "files": files }).to_string().into_bytes(), steps.len() as u64))
        });
        match would.await {
            Ok((output, files)) => DryRun::Would { output, rows: Some(files) },
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        let found = work(call, |_, spec, wanted, dir| {
            let (mut done, mut open) = (Vec::new(), Vec::new());
            for wanted in &wanted {
                let now = look(dir, &wanted.path, spec.bytes_max)?;
                let is_done = match (&now, &wanted.after) {
                    (Some(now), Some(new)) => now.is(new),
                    (now, new) => now.is_none() && new.is_none(),
                };
                let digest = now.map(|now| now.digest);
                match is_done {
                    true => done.push(wanted.path.clone()),
                    false if digest == wanted.before => open.push(wanted.path.clone()),
                    false => return Err(FilesError::Changed(wanted.path.clone(), digest)),
                }
            }
            Ok((done, open))
        });
        match found.await {
            Ok((_, open)) if open.is_empty() => {
                Reconciled::Done { output: br#"{"files":"as wanted"}"#.to_vec() }
            }
            Ok((done, _)) if done.is_empty() => Reconciled::NotDone,
            Ok((done, open)) => Reconciled::StillUnknown {
                message: format!("changed: {}; as before: {}", done.join(", "), open.join(", ")),
            },
            Err(error) => Reconciled::StillUnknown { message: error.to_string() },
        }
    }
}

/// Reads the arguments, opens the directory and does this there, on a thread that may wait for a disk.
async fn work<T: Send + 'static>(
    call: &Call,
    job: impl FnOnce(&Call, &FilesSpec, Vec<Wanted>, &Dir) -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    let ConnectorSpec::Files(spec) = &call.connector else {
        return Err(FilesError::Arguments(wrong_desk(call).1));
    };
    let changes: Changes =
        serde_json::from_slice(&call.arguments).map_err(|e| FilesError::Arguments(e.to_string()))?;
    let wanted = wanted(changes, spec.files_max, spec.bytes_max).map_err(FilesError::Arguments)?;
    let (call, spec) = (call.clone(), spec.clone());
    let done = tokio::task::spawn_blocking(move || {
        let dir = open(&spec.root)?;
        job(&call, &spec, wanted, &dir)
    });
    done.await.unwrap_or(Err(FilesError::Worker))
}

fn what(step: &Step<'_>) -> &'static str {
    match (&step.old, &step.wanted.after) {
        (None, _) => "created",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "deleted",
    }
}

/// A unified diff, or the sizes where one of the two is no text.
fn diff(step: &Step<'_>) -> String {
    let old = step.old.as_ref().map_or(&b""[..], |old| &old.bytes);
    let new = step.wanted.after.as_ref().map_or(&b""[..], |new| &new.bytes);
    let mut said = match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) => TextDiff::from_lines(old, new)
            .unified_diff()
            .context_radius(3)
            .header("before", "after")
            .to_string(),
        _ => format!("binary, {} bytes before and {} bytes after\n", old.len(), new.len()),
    };
    if let Some(executable) = step.wanted.after.as_ref().and_then(|new| new.executable) {
        said.push_str(if executable { "it can be run\n" } else { "it cannot be run\n" });
    }
    said
}
