//! Changes of files below one directory: shown as a diff, made as a whole, taken back from a snapshot.
//!
//! Each change says what it expects to find, so that nobody writes over what somebody else has changed in
//! the meantime. No link is followed on any component of a path, and none is written through.

mod acting;
mod aims;
mod apply;
mod change;
mod difference;
mod error;
mod keeping;
mod plan;
mod shown;
mod special;
mod standing;
mod survey;

use std::time::Instant;

use aecl_kernel::base::digest::Digest;
use async_trait::async_trait;
use serde_json::json;

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use crate::root_dir::RootDir;
pub(crate) use acting::{Brought, acting};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::files::FilesSpec;
use change::Before;
pub(crate) use change::plain;
pub use change::{Change, Changes, Content, FormerKind};
pub use error::FilesError;
pub use keeping::{KeepEnd, KeepJournals, LeftPlace, RecoveredKeep, UnfinishedKeep};
pub use plan::{FilePlan, PlannedFile};
pub(crate) use shown::shown;
pub use shown::{ShownFile, ShownFiles};
pub use special::special;
use standing::{Ends, Standing};
pub(crate) use survey::leads_to_what_acts;
use survey::{GoOn, replaced_links};

/// Changes files.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesConnector;

#[async_trait]
impl Connector for FilesConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let done = work(call, |call, spec, plan, go_on| {
            let undo = plan.undo(spec.bytes_max as u64, go_on)?;
            let files: Vec<_> = plan
                .files()
                .map(|file| json!({ "path": file.path(), "what": file.what(), "marks": file.marks() }))
                .collect();
            plan.make(&Digest::of(call.idempotency_key.as_bytes()).short(), go_on)?;
            Ok(json!({ "files": files, "undo": undo }).to_string().into_bytes())
        });
        match done.await {
            Ok(output) => CallResult::Done { output },
            Err(error @ (FilesError::Half(..) | FilesError::Worker)) => {
                CallResult::unknown(error.code(), format!("`{}`: {error}", call.action))
            }
            Err(error) => CallResult::not_sent(error.code(), format!("`{}`: {error}", call.action)),
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        CallPlan::Untold(format!(
            "what `{}` would change depends on the files; who is asked to approve it sees the difference",
            call.action
        ))
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let would = work(call, |_, spec, plan, go_on| {
            let mut files = Vec::new();
            for file in plan.files() {
                go_on()?;
                let mut said = json!({ "path": file.path(), "what": file.what(),
                    "diff": file.diff(spec.bytes_max as u64)?, "marks": file.marks() });
                if let (Some(why), Some(said)) = (file.special(), said.as_object_mut()) {
                    said.insert("special".into(), why.into());
                }
                files.push(said);
            }
            let count = files.len() as u64;
            Ok((json!({ "files": files }).to_string().into_bytes(), count))
        });
        match would.await {
            Ok((output, files)) => DryRun::Would { output, rows: Some(files) },
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        match begin(call, found).await {
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

/// Which changes were made, and which were not.
fn found(
    _: &Call,
    spec: &FilesSpec,
    place: RootDir,
    changes: Changes,
    go_on: GoOn<'_>,
) -> Result<(Vec<String>, Vec<String>), FilesError> {
    let wanted = change::wanted(changes, spec.files_max, spec.bytes_max).map_err(FilesError::Arguments)?;
    let (mut done, mut open) = (Vec::new(), Vec::new());
    let replaced = replaced_links(&wanted);
    for wanted in wanted {
        let after = wanted.after.as_ref();
        let ends = Ends {
            before: wanted.before,
            after: after.map_or(Before::Nothing, |new| new.kind.as_before()),
            is_mode: &|there| after.is_none_or(|new| new.is_mode_of(there)),
        };
        match ends.standing(&place, &wanted.path, &replaced, spec.bytes_max as u64, go_on)? {
            Standing::New => done.push(wanted.path.clone()),
            Standing::Old => open.push(wanted.path.clone()),
            Standing::Other(there, digest) => {
                let now = digest.map_or(Before::Nothing, Before::File);
                return Err(FilesError::changed(&wanted.path, now, &there));
            }
        }
    }
    Ok((done, open))
}

/// Reads the arguments, opens the directory and does this there, on a thread that may wait for a disk.
async fn begin<T: Send + 'static>(
    call: &Call,
    job: impl FnOnce(&Call, &FilesSpec, RootDir, Changes, GoOn<'_>) -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    let ConnectorSpec::Files(spec) = &call.connector else {
        return Err(FilesError::Arguments(call.connector_mismatch().1));
    };
    let changes: Changes =
        serde_json::from_slice(&call.arguments).map_err(|e| FilesError::Arguments(e.to_string()))?;
    let (call, spec) = (call.clone(), spec.clone());
    let done = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let go_on = || match call.cancel.is_cancelled() {
            true => Err(FilesError::Cancelled),
            false if start.elapsed() > call.timeout() => Err(FilesError::Late(call.timeout_ms)),
            false => Ok(()),
        };
        let place =
            RootDir::open(&spec.root).map_err(|e| FilesError::Root(spec.root.display().to_string(), e))?;
        job(&call, &spec, place, changes, &go_on)
    });
    done.await.unwrap_or(Err(FilesError::Worker))
}

/// The same with a plan of the changes.
async fn work<T: Send + 'static>(
    call: &Call,
    job: impl FnOnce(&Call, &FilesSpec, &FilePlan<'_>, GoOn<'_>) -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    begin(call, |call, spec, place, changes, go_on| {
        let plan = FilePlan::of(&place, changes, spec.files_max, spec.bytes_max, go_on)?;
        job(call, spec, &plan, go_on)
    })
    .await
}
