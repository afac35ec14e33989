//! The runtimes themselves: where they are, which version, whether that is the one the operator wants.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::unavailable;
use crate::error::SandboxError;
use crate::tier::{Backend, Runtime};

/// Where systems keep such programs, besides our `PATH`.
const USUAL: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin"];

/// Longer than any runtime takes to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is shown of what a runtime says that does not run.
const COMPLAINT_MAX: usize = 200;

/// Which runtime it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Runc,
    Crun,
    Runsc,
}

/// The runtime of a backend that has one.
fn of(backend: &Backend) -> Option<(Kind, &Runtime)> {
    match backend {
        Backend::Runc(runtime) => Some((Kind::Runc, runtime)),
        Backend::Crun(runtime) => Some((Kind::Crun, runtime)),
        Backend::Runsc(runtime) => Some((Kind::Runsc, runtime)),
        Backend::Native | Backend::Docker(_) | Backend::Qemu(_) | Backend::Firecracker(_) => None,
    }
}

/// Whether a runtime builds the cages of this backend.
pub(crate) fn has_runtime(backend: &Backend) -> bool {
    of(backend).is_some()
}

/// A runtime that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// Its name and version.
    pub(crate) version: String,
    /// What is known against this version.
    pub(crate) note: Option<String>,
}

/// Finds the backend's runtime, checks that it is the one that is wanted, and asks for its version.
///
/// # Errors
/// When it is not there, is another one, or is too old.
pub(crate) async fn installed(backend: &Backend) -> Result<Installed, SandboxError> {
    let Some((kind, runtime)) = of(backend) else {
        return Err(unavailable(backend, "it needs no runtime"));
    };
    let path = find(backend, runtime)?;
    let known = known(backend, &path).await?;
    if let Some(wanted) = &runtime.sha256
        && !wanted.eq_ignore_ascii_case(&known.sha256)
    {
        let why = format!(
            "`{}` has the SHA-256 {}, and {wanted} is wanted; install the right one, or change what is wanted",
            path.display(),
            known.sha256
        );
        return Err(unavailable(backend, &why));
    }
    let note = judge(kind, &known.version).map_err(|why| unavailable(backend, &why))?;
    Ok(Installed { kind, path, version: format!("{} {}", backend.name(), known.version), note })
}

/// The command that builds the cage and waits for its end.
pub(super) fn command(runtime: &Installed, by_root: bool, state: &Path, bundle: &Path) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let log = state.join("log");
    let own: &[&str] = match runtime.kind {
        // Whoever cannot write to cgroups makes none: ours hold it.
        Kind::Runc => &["--rootless=true"],
        Kind::Crun => &["--cgroup-manager=disabled"],
        // `systrap` is the default of newer ones, and unknown to old ones. `ptrace` is in all of them and
        // needs nothing of the machine.
        Kind::Runsc if by_root => &["--platform=ptrace", "--network=none", "--ignore-cgroups"],
        // Its own rights are those of root of a namespace: it asks for no more.
        Kind::Runsc => &["--rootless", "--platform=ptrace", "--network=none", "--ignore-cgroups"],
    };
    let mut argv = vec![text(&runtime.path), "--root".into(), text(state), "--log".into(), text(&log)];
    argv.extend(own.iter().map(|word| (*word).to_owned()));
    argv.extend(["run".into(), "--bundle".into(), text(bundle), "cage".into()]);
    argv
}

fn find(backend: &Backend, runtime: &Runtime) -> Result<PathBuf, SandboxError> {
    let is_program =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0);
    let ours = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = if runtime.program.is_absolute() {
        vec![runtime.program.clone()]
    } else {
        let dirs = std::env::split_paths(&ours).chain(USUAL.iter().map(PathBuf::from));
        dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(&runtime.program)).collect()
    };
    candidates.into_iter().find(is_program).ok_or_else(|| {
        let name = backend.name();
        let why = format!(
            "`{}` is not installed; `apt-get install {name}`, or say where it is",
            runtime.program.display()
        );
        unavailable(backend, &why)
    })
}

/// What was found out about one file.
#[derive(Clone)]
struct Known {
    version: String,
    sha256: String,
}

/// Device, inode, length, and when it changed: another file has others.
type Stamp = (u64, u64, u64, i64, i64);

static KNOWN: Mutex<Option<HashMap<PathBuf, (Stamp, Known)>>> = Mutex::new(None);

/// What was found out about the file of a runtime, for whoever remembers it beyond this process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Facts {
    path: PathBuf,
    stamp: Stamp,
    version: String,
    sha256: String,
}

/// What this process has found out about a backend's runtime.
pub(crate) fn facts(backend: &Backend) -> Option<Facts> {
    let path = find(backend, of(backend)?.1).ok()?;
    let all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (stamp, Known { version, sha256 }) = all.as_ref()?.get(&path)?.clone();
    Some(Facts { path, stamp, version, sha256 })
}

/// Takes the word of an earlier process of ours for a file that has not changed since. Whether it has not. What the
/// operator wants of it is asked of the same facts as ever.
pub(crate) fn believe(facts: Facts) -> bool {
    let Facts { path, stamp, version, sha256 } = facts;
    if fs::metadata(&path).map(|about| stamp_of(&about)).ok() != Some(stamp) {
        return false;
    }
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().insert(path, (stamp, Known { version, sha256 }));
    true
}

fn stamp_of(about: &fs::Metadata) -> Stamp {
    (about.dev(), about.ino(), about.len(), about.ctime(), about.ctime_nsec())
}

/// Asked once for each file: reading and asking takes longer than a whole cage.
async fn known(backend: &Backend, path: &Path) -> Result<Known, SandboxError> {
    let cannot = |error: std::io::Error| {
        unavailable(backend, &format!("`{}` cannot be read: {error}", path.display()))
    };
    let about = fs::metadata(path).map_err(cannot)?;
    let stamp = stamp_of(&about);
    if let Some((known_stamp, known)) =
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().get(path)
        && *known_stamp == stamp
    {
        return Ok(known.clone());
    }
    let sha256 = hex(&Sha256::digest(fs::read(path).map_err(cannot)?));
    let known = Known { version: ask(backend, path).await?, sha256 };
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().insert(path.to_owned(), (stamp, known.clone()));
    Ok(known)
}

async fn ask(backend: &Backend, path: &Path) -> Result<String, SandboxError> {
    let mut command = Command::new(path);
    command.arg("--version").env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(unavailable(backend, &format!("`{}` does not run: {error}", path.display())));
        }
        Err(_) => {
            return Err(unavailable(backend, &format!("`{}` does not tell its version", path.display())));
        }
    };
    version_in(backend.name(), &String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| unavailable(backend, &no_version(backend.name(), path, output.status, &output.stderr)))
}

/// Why it told no version. One that does not run here says so itself, such as gVisor's where it cannot read `/proc/sys`.
fn no_version(name: &str, path: &Path, ended: ExitStatus, complaint: &[u8]) -> String {
    let path = path.display();
    if ended.success() {
        return format!(
            "`{path} --version` is not what `{name}` says; it may be another program of that name"
        );
    }
    let complaint = crate::output::Output { written_bytes: 0, bytes: complaint.to_vec() }.for_display();
    let first: String = complaint.lines().next().unwrap_or_default().chars().take(COMPLAINT_MAX).collect();
    format!("`{path}` does not run here: asked for its version it ended with {ended} and said `{first}`")
}

/// `NAME version 1.2.3` in the first line.
fn version_in(name: &str, said: &str) -> Option<String> {
    let rest = said.lines().next()?.strip_prefix(name)?.strip_prefix(" version ")?;
    let version = rest.split_whitespace().next()?.trim_start_matches("release-");
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// Major, minor and patch, as far as they are there.
fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let words = version.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    for (slot, number) in numbers.iter_mut().zip(words) {
        *slot = number;
    }
    numbers
}

/// Refuses a version that cannot hold, and tells what is known against one that can.
fn judge(kind: Kind, version: &str) -> Result<Option<String>, String> {
    let found = numbers(version);
    let (oldest, why) = match kind {
        Kind::Runc => ([1, 1, 0], "older ones leak descriptors of the host"),
        Kind::Crun => ([1, 4, 4], "older ones hand capabilities on"),
        // Releases are dates.
        Kind::Runsc => ([0, 0, 20_220_000], "older ones were never tried"),
    };
    if found < oldest {
        let oldest = oldest.map(|number| number.to_string()).join(".");
        return Err(format!("version {version} is too old, {oldest} is the first that is taken: {why}"));
    }
    Ok(match kind {
        Kind::Runc if !masks_safely(found) => Some(
            "this version follows links when it masks paths (CVE-2025-31133, -52565, -52881), unless your \
             distribution has mended it; in our cages those paths are never an image's"
                .to_owned(),
        ),
        Kind::Runc | Kind::Crun | Kind::Runsc => None,
    })
}

/// Whether masked paths are opened without following what an image put there.
fn masks_safely(version: [u64; 3]) -> bool {
    match version {
        [1, 2, patch] => patch >= 8,
        [1, 3, patch] => patch >= 3,
        other => other >= [1, 4, 0],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_runtimes_write_them() {
        for (name, said, expected) in [
            ("runc", "runc version 1.1.5+ds1\ncommit: 1\n", Some("1.1.5+ds1")),
            ("crun", "crun version 1.8.1\n", Some("1.8.1")),
            ("runsc", "runsc version release-20250820.0\nspec: 1.1.0\n", Some("20250820.0")),
            ("runsc", "runsc version 0.0~20221219.0\n", Some("0.0~20221219.0")),
            ("runc", "runsc version 0.0\n", None),
            ("runc", "", None),
            ("runc", "runc version unknown\n", None),
        ] {
            assert_eq!(version_in(name, said).as_deref(), expected, "{said}");
        }
    }

    /// With `/proc/sys` covered, gVisor's ends before it has read its arguments.
    #[test]
    fn what_does_not_run_here_says_why_itself() {
        use std::os::unix::process::ExitStatusExt;
        let said = |code: i32, complaint: &str| {
            no_version(
                "runsc",
                Path::new("/usr/bin/runsc"),
                ExitStatus::from_raw(code << 8),
                complaint.as_bytes(),
            )
        };
        let panic = "panic: couldn't open /proc/sys/vm/mmap_min_addr: no such file\n\ngoroutine 1 [running]:";
        let why = said(2, panic);
        assert!(
            why.contains("does not run here") && why.contains("/proc/sys/vm") && !why.contains("goroutine"),
            "{why}"
        );
        assert!(said(0, "").contains("another program of that name"));
    }

    #[test]
    fn what_is_too_old_is_refused_and_what_has_a_hole_is_said() {
        let of = |kind: Kind, version: &str| {
            judge(kind, version).map(|note| note.is_some()).map_err(|why| why.contains("too old"))
        };
        assert_eq!(of(Kind::Runc, "1.0.3"), Err(true));
        assert_eq!(of(Kind::Runc, "1.1.5+ds1"), Ok(true));
        assert_eq!(of(Kind::Runc, "1.2.7"), Ok(true));
        assert_eq!(of(Kind::Runc, "1.2.8"), Ok(false));
        assert_eq!(of(Kind::Runc, "1.3.2"), Ok(true));
        assert_eq!(of(Kind::Runc, "1.4.0"), Ok(false));
        assert_eq!(of(Kind::Crun, "1.4.3"), Err(true));
        assert_eq!(of(Kind::Crun, "1.8.1"), Ok(false));
        assert_eq!(of(Kind::Runsc, "0.0~20211005.0"), Err(true));
        assert_eq!(of(Kind::Runsc, "0.0~20221219.0"), Ok(false));
        assert_eq!(of(Kind::Runsc, "20250820.0"), Ok(false));
    }
}
