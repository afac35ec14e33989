//! What came of attacking a backend, remembered for whoever starts one cage and ends: to build one and attack it
//! takes longer than what is to run in it.
//!
//! Only that a backend *holds* is remembered. What does not hold is tried again each time, so that whoever has mended
//! something sees it at once. It counts as long as everything stays as it was on which it rests: this boot of this
//! kernel, this program of ours, this user with these rights in these namespaces, the backend as it is described, the
//! file of its program; and for a day. Whoever could write such a file could have a cage believed in that nobody has
//! attacked, so it is believed only if it is this user's and nobody else may write it. A server remembers nothing: it
//! asks once, when it starts.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

use super::{Attack, Enforced, Found, Offers, probe_one};
use crate::backend::{self, oci};
use crate::host::{cgroup, name::numbered};
use crate::tier::Backend;

/// How long it counts.
const BELIEVED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// More than such a file ever has.
const FILE_MAX_BYTES: u64 = 256 << 10;

/// A directory of this user's in which is remembered what holds.
#[derive(Clone, Debug)]
pub struct ProbeCache {
    dir: PathBuf,
}

/// What stands in a file.
#[derive(Serialize, Deserialize)]
struct Kept {
    at_s: u64,
    rests_on: Vec<String>,
    reason: String,
    version: String,
    memory: bool,
    cpu: bool,
    offers: [bool; 5],
    attacks: Vec<(String, Option<u64>)>,
    runtime: Option<oci::Facts>,
}

impl ProbeCache {
    /// Where programs of this user remember things: below `XDG_CACHE_HOME`, or `~/.cache`. Nowhere, if neither is
    /// named.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
        Some(Self::below(&caches))
    }

    /// In a directory for such things.
    #[must_use]
    pub fn below(caches: &Path) -> Self {
        Self { dir: caches.join("aecl") }
    }

    /// What is remembered of this backend and still counts, or else what is found out now. Whether it was
    /// remembered comes second.
    pub async fn probe(&self, backend: &Backend) -> (Found, bool) {
        let rests_on = rests_on(backend);
        if let Some(found) = rests_on.as_ref().and_then(|rests_on| self.recall(backend, rests_on, now_s())) {
            return (found, true);
        }
        let found = probe_one(backend).await;
        // A memory that cannot be written costs time, and nothing else.
        if let Some(rests_on) = rests_on.filter(|_| found.available) {
            let _ = self.remember(&found, rests_on);
        }
        (found, false)
    }

    /// Forgets a backend that could not be built as it was remembered.
    pub fn forget(&self, backend: &Backend) {
        let _ = self.open().and_then(|dir| rustix::fs::unlinkat(&dir, name(backend), AtFlags::empty()).ok());
    }

    fn recall(&self, backend: &Backend, rests_on: &[String], now_s: u64) -> Option<Found> {
        let dir = self.open()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&dir, name(backend), flags, Mode::empty()).ok()?);
        let about = file.metadata().ok()?;
        if !about.is_file() || !is_ours_alone(&about) || about.len() > FILE_MAX_BYTES {
            return None;
        }
        let mut text = String::new();
        (&mut file).take(FILE_MAX_BYTES).read_to_string(&mut text).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        let age = now_s.checked_sub(kept.at_s)?;
        let enforced = Enforced { memory: kept.memory, cpu: kept.cpu };
        let is_runtime = oci::has_runtime(backend);
        if age > BELIEVED_MAX.as_secs()
            || kept.rests_on != rests_on
            || (backend.is_limited_by_our_cgroups() && enforced != cgroup::enforced())
        {
            return None;
        }
        if let Some(facts) = kept.runtime {
            // The program is another one now, or was never looked at.
            if !oci::believe(facts) {
                return None;
            }
        } else if is_runtime {
            return None;
        }
        let [views, overlays, listener, unlimited_memory, host_programs] = kept.offers;
        Some(Found {
            backend: backend.clone(),
            available: true,
            reason: kept.reason,
            version: kept.version,
            enforced,
            offers: Offers { views, overlays, listener, unlimited_memory, host_programs },
            attacks: kept.attacks.into_iter().map(|(name, errno)| Attack { name, errno }).collect(),
        })
    }

    fn remember(&self, found: &Found, rests_on: Vec<String>) -> std::io::Result<()> {
        let Found { backend, enforced, offers, .. } = found;
        let kept = Kept {
            at_s: now_s(),
            rests_on,
            reason: found.reason.clone(),
            version: found.version.clone(),
            memory: enforced.memory,
            cpu: enforced.cpu,
            offers: [
                offers.views,
                offers.overlays,
                offers.listener,
                offers.unlimited_memory,
                offers.host_programs,
            ],
            attacks: found.attacks.iter().map(|attack| (attack.name.clone(), attack.errno)).collect(),
            runtime: oci::facts(backend),
        };
        let text = serde_json::to_vec(&kept)?;
        self.make()?;
        let Some(dir) = self.open() else { return Ok(()) };
        // Under another name first: whoever reads meanwhile reads all of it, or what was there before.
        let fresh = format!(".{}-{}", numbered("fresh"), name(backend));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, &fresh, flags, Mode::RUSR | Mode::WUSR)?;
        let written = File::from(file).write_all(&text);
        let put = written.and_then(|()| Ok(rustix::fs::renameat(&dir, &fresh, &dir, name(backend))?));
        put.inspect_err(|_| {
            let _ = rustix::fs::unlinkat(&dir, &fresh, AtFlags::empty());
        })
    }

    /// Makes it where that is for this user to do. Root makes nothing in the home of somebody else.
    fn make(&self) -> std::io::Result<()> {
        let caches = self.dir.parent().unwrap_or(Path::new("/"));
        for dir in [caches, &self.dir] {
            let is_in_ours =
                dir.parent().and_then(|parent| fs::metadata(parent).ok()).is_some_and(|parent| {
                    parent.uid() == rustix::process::geteuid().as_raw() || parent.mode() & libc::S_ISVTX != 0
                });
            if !dir.exists() && is_in_ours {
                fs::DirBuilder::new().mode(0o700).create(dir)?;
            }
        }
        Ok(())
    }

    /// The directory, if nobody else may write there.
    fn open(&self) -> Option<std::os::fd::OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = File::from(rustix::fs::openat(CWD, &self.dir, flags, Mode::empty()).ok()?);
        is_ours_alone(&dir.metadata().ok()?).then(|| dir.into())
    }
}

fn is_ours_alone(about: &fs::Metadata) -> bool {
    let is_place = FileType::from_raw_mode(about.mode()) != FileType::RegularFile || about.nlink() == 1;
    about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0 && is_place
}

fn name(backend: &Backend) -> String {
    format!("holds-{}.json", backend.name())
}

/// Since this boot, which is the only one that counts: nobody sets that clock.
#[expect(
    clippy::disallowed_methods,
    reason = "how old a memory of this boot is decides nothing that is on record"
)]
fn now_s() -> u64 {
    u64::try_from(rustix::time::clock_gettime(ClockId::Boottime).tv_sec).unwrap_or_default()
}

/// Everything on which the answer rests. `None` for what is not remembered.
fn rests_on(backend: &Backend) -> Option<Vec<String>> {
    let files = backend::of(backend).remembered_with(backend)?;
    let program: String = files.iter().map(|file| stamp(file)).collect::<Option<_>>()?;
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let namespace = |name: &str| {
        fs::read_link(format!("/proc/self/ns/{name}"))
            .map_or_else(|_| String::new(), |at| at.display().to_string())
    };
    let boot = text("/proc/sys/kernel/random/boot_id");
    let name = rustix::system::uname();
    let rights = |line: &&str| {
        ["Uid:", "Gid:", "Groups:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let mounts = text("/proc/self/mountinfo");
    let is_kernels = |line: &&str| {
        let at = line.split(' ').nth(4).unwrap_or_default();
        at.starts_with("/proc") || at.starts_with("/sys")
    };
    // Without them nothing says that nothing has changed.
    if boot.is_empty() || mounts.is_empty() {
        return None;
    }
    let mut all = vec![
        boot,
        format!("{} {}", name.release().to_string_lossy(), name.version().to_string_lossy()),
        format!("{} {}", super::version(), stamp(Path::new("/proc/self/exe"))?),
        format!("{backend:?}"),
        program,
        text("/proc/self/cgroup"),
        text("/proc/self/attr/current"),
        text("/sys/kernel/security/lsm"),
    ];
    all.extend(["user", "mnt", "pid", "net", "cgroup"].map(namespace));
    all.extend(
        [
            "user/max_user_namespaces",
            "kernel/unprivileged_userns_clone",
            "kernel/apparmor_restrict_unprivileged_userns",
        ]
        .map(|setting| text(&format!("/proc/sys/{setting}"))),
    );
    all.push(text("/proc/self/status").lines().filter(rights).collect::<Vec<_>>().join("\n"));
    all.push(mounts.lines().filter(is_kernels).collect::<Vec<_>>().join("\n"));
    Some(all)
}

/// Another file has another one.
fn stamp(path: &Path) -> Option<String> {
    let about = fs::metadata(path).ok()?;
    Some(format!("{} {} {} {} {}", about.dev(), about.ino(), about.len(), about.ctime(), about.ctime_nsec()))
}

#[cfg(test)]
mod tests;
