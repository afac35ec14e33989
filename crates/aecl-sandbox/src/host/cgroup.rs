//! Where cages get their cgroups: found once, by making one, not by looking at permissions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::name::{bytes, numbered};
use crate::cage::Limits;
use crate::error::SandboxError;
use crate::found::Enforced;
use crate::protocol::wire::{Group, MemoryEvents};

/// The directory in each hierarchy under which every cage has its own.
const HOME: &str = "aecl";

/// Where limits of each kind can be set. A hierarchy may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    pub(crate) version: u8,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
    /// Why there is none, for whoever asks for a limit.
    why_none: String,
}

impl Hierarchies {
    pub(crate) fn enforced(&self) -> Enforced {
        Enforced { memory: self.memory.is_some(), cpu: self.cpu.is_some() }
    }
}

/// Which limits this host enforces.
pub(crate) fn enforced() -> Enforced {
    hierarchies().enforced()
}

/// The hierarchies of this host, as far as we may use them.
pub(crate) fn hierarchies() -> &'static Hierarchies {
    static FOUND: OnceLock<Hierarchies> = OnceLock::new();
    FOUND.get_or_init(|| {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let seats = seats(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let mut found = v1(&seats);
        let unified = seats.iter().find(|seat| seat.version == 2);
        if let (None, Some(own)) = (&found.memory, unified) {
            found = v2(&own.dir);
        }
        if found.memory.is_none() && found.why_none.is_empty() {
            found.why_none = "this user may not make a cgroup with a memory limit".into();
        }
        for home in [&found.memory, &found.pids, &found.cpu].into_iter().flatten() {
            sweep(home);
        }
        found
    })
}

/// Where we sit in one hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Seat {
    version: u8,
    controllers: Vec<String>,
    dir: PathBuf,
}

fn seats(mountinfo: &str, own: &str) -> Vec<Seat> {
    mountinfo.lines().filter_map(|line| seat(line, own)).collect()
}

fn seat(line: &str, own: &str) -> Option<Seat> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let kind = filesystem.next()?;
    let options: Vec<&str> = filesystem.nth(1)?.split(',').collect();
    let version = match kind {
        "cgroup" => 1,
        "cgroup2" => 2,
        _ => return None,
    };
    // `number:controllers:path`; version 2 has no controllers in its line.
    let mine = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match version {
            2 => controllers.is_empty(),
            _ => !controllers.is_empty() && controllers.split(',').all(|name| options.contains(&name)),
        };
        is_it.then_some((controllers, path))
    })?;
    // In a container the mount shows a part of the hierarchy only.
    let below = if root == "/" { mine.1 } else { mine.1.strip_prefix(root).unwrap_or("/") };
    let dir = Path::new(point).join(below.trim_start_matches('/'));
    let controllers = mine.0.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Seat { version, controllers, dir })
}

fn v1(seats: &[Seat]) -> Hierarchies {
    let home = |controller: &str| {
        let seat = seats.iter().find(|s| s.version == 1 && s.controllers.iter().any(|c| c == controller))?;
        let home = seat.dir.join(HOME);
        can_hold(&home).then_some(home)
    };
    Hierarchies {
        version: 1,
        memory: home("memory"),
        pids: home("pids"),
        cpu: home("cpu"),
        why_none: String::new(),
    }
}

/// Whether cages can have directories here: tried with one.
fn can_hold(home: &Path) -> bool {
    let _ = fs::create_dir(home);
    let trial = home.join(numbered("trial"));
    fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).is_ok()
}

fn v2(own: &Path) -> Hierarchies {
    // Below us, if we sit alone and may hand controllers on; beside us, if the unit was delegated with a
    // subgroup for its main process.
    let parents = [Some(own), own.parent()];
    let mut why_not = Vec::new();
    for parent in parents.into_iter().flatten() {
        let offered = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
        if !offered.split_whitespace().any(|name| name == "memory") {
            why_not.push(format!("`{}` offers no memory controller", parent.display()));
            continue;
        }
        let is_free = parent != own || step_aside(own);
        match below(parent) {
            Ok(found) => return found,
            // Only who may write there learns of the others.
            Err(Refused::Controllers) if !is_free => why_not.push(format!(
                "`{}` holds processes that are not ours, and a cgroup with processes hands no controllers on \
                 (`DelegateSubgroup=` gives the unit's own a place)",
                parent.display()
            )),
            Err(_) => why_not.push(format!("`{}` is not delegated to this user", parent.display())),
        }
    }
    Hierarchies { version: 2, why_none: why_not.join("; "), ..Hierarchies::default() }
}

/// What is not permitted in a cgroup of version 2.
enum Refused {
    /// To make another one below.
    Group,
    /// To hand the memory controller on to it.
    Controllers,
}

/// Makes the directory for cages below a cgroup, and hands it controllers.
fn below(parent: &Path) -> Result<Hierarchies, Refused> {
    let home = parent.join(HOME);
    let _ = fs::create_dir(&home);
    if !can_hold(&home) {
        return Err(Refused::Group);
    }
    for controller in ["memory", "pids", "cpu"] {
        // Each by itself: one that is missing must not keep the others away.
        for dir in [parent, home.as_path()] {
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    let enabled = fs::read_to_string(home.join("cgroup.subtree_control")).unwrap_or_default();
    let at = |name: &str| enabled.split_whitespace().any(|found| found == name).then(|| home.clone());
    if at("memory").is_none() {
        let _ = fs::remove_dir(&home);
        return Err(Refused::Controllers);
    }
    Ok(Hierarchies {
        version: 2,
        memory: at("memory"),
        pids: at("pids"),
        cpu: at("cpu"),
        why_none: String::new(),
    })
}

/// A cgroup that hands controllers on may hold no process itself. If it holds none but us and what we started,
/// all of that moves down. Whether nothing else is in the way.
fn step_aside(own: &Path) -> bool {
    let is_root = !own.join("cgroup.type").exists();
    if is_root {
        return true;
    }
    let inside = || fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
    let is_strange = |pid: &str| !is_ours(pid) && Path::new("/proc").join(pid).exists();
    if inside().lines().any(is_strange) {
        return false;
    }
    let seat = own.join("aecl-supervisor");
    let _ = fs::create_dir(&seat);
    // Who is moved may have started somebody meanwhile.
    for _ in 0..TRIES {
        let procs = inside();
        if procs.is_empty() {
            return true;
        }
        for pid in procs.lines() {
            let _ = fs::write(seat.join("cgroup.procs"), pid);
        }
    }
    false
}

/// How often processes that start others are moved.
const TRIES: u32 = 20;

/// Whether a process is us or was started by us, however far down.
fn is_ours(pid: &str) -> bool {
    let parent = |pid: &u32| {
        let about = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        about.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    std::iter::successors(pid.parse().ok(), parent).any(|pid: u32| pid == process::id())
}

/// Removes what a supervisor left that was killed together with its launchers.
fn sweep(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next()).unwrap_or_default();
        if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
            // Refused by the kernel if anything is in it.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Limits that all processes of a cage share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub(crate) memory_max_bytes: Option<u64>,
    pub(crate) cpu_max_millicores: Option<u32>,
    pub(crate) processes_max: u32,
}

impl From<&Limits> for Shared {
    fn from(limits: &Limits) -> Self {
        let Limits { memory_max_bytes, cpu_max_millicores, processes_max, .. } = *limits;
        Self { memory_max_bytes, cpu_max_millicores, processes_max }
    }
}

static CAGES: AtomicU64 = AtomicU64::new(0);

/// The cgroups of one cage.
///
/// # Errors
/// When a limit is asked for that nothing here enforces.
pub(crate) fn groups(here: &Hierarchies, limits: &Shared) -> Result<Vec<Group>, SandboxError> {
    let name = format!("{}-{}", process::id(), CAGES.fetch_add(1, Ordering::Relaxed));
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |home: &Path, settings: Vec<(String, String)>, memory: MemoryEvents| {
        let dir = bytes(&home.join(&name));
        let settings = settings.into_iter().map(|(k, v)| (k.into_bytes(), v.into_bytes()));
        match groups.iter_mut().find(|group| group.dir == dir) {
            Some(group) => group.settings.extend(settings),
            None => groups.push(Group { dir, settings: settings.collect(), memory }),
        }
    };
    if let Some(max) = limits.memory_max_bytes {
        let home = here.memory.as_ref().ok_or_else(|| unenforceable("memory_max_bytes", here))?;
        let (settings, events) = memory_settings(here.version, home, max);
        add(home, settings, events);
    }
    if let Some(millicores) = limits.cpu_max_millicores {
        let home = here.cpu.as_ref().ok_or_else(|| unenforceable("cpu_max_millicores", here))?;
        add(home, cpu_settings(here.version, millicores), MemoryEvents::Elsewhere);
    }
    if let Some(home) = &here.pids {
        // One more: the cage's first process is ours. Without a cgroup a resource limit does the same.
        let max = u64::from(limits.processes_max) + 1;
        add(home, vec![("pids.max".into(), max.to_string())], MemoryEvents::Elsewhere);
    }
    Ok(groups)
}

/// The cgroups of a cage inside a machine, in the directory that its agent prepared.
///
/// # Errors
/// None that can happen there.
pub(crate) fn groups_of_a_machine(limits: &Shared) -> Result<Vec<Group>, SandboxError> {
    let home = Some(PathBuf::from("/sys/fs/cgroup").join(HOME));
    let there = Hierarchies {
        version: 2,
        memory: home.clone(),
        pids: home.clone(),
        cpu: home,
        why_none: String::new(),
    };
    let mut groups = groups(&there, limits)?;
    for group in &mut groups {
        // Whether there is swap was asked of this host. A machine has none.
        group.settings.retain(|(name, _)| name != b"memory.swap.max");
    }
    Ok(groups)
}

fn unenforceable(limit: &'static str, here: &Hierarchies) -> SandboxError {
    SandboxError::Unenforceable { limit, why: here.why_none.clone() }
}

fn memory_settings(version: u8, home: &Path, max: u64) -> (Vec<(String, String)>, MemoryEvents) {
    let setting = |name: &str, value: u64| (name.to_owned(), value.to_string());
    if version == 2 {
        let mut all = vec![setting("memory.max", max), setting("memory.oom.group", 1)];
        // A kernel that counts no swap has no such file. Swap may come while the cage lives.
        all.extend(home.join("memory.swap.max").exists().then(|| setting("memory.swap.max", 0)));
        return (all, MemoryEvents::V2);
    }
    let mut all = vec![setting("memory.limit_in_bytes", max)];
    if home.join("memory.memsw.limit_in_bytes").exists() {
        all.push(setting("memory.memsw.limit_in_bytes", max));
    }
    (all, MemoryEvents::V1)
}

fn cpu_settings(version: u8, millicores: u32) -> Vec<(String, String)> {
    const PERIOD_US: u64 = 100_000;
    // The kernel takes no less than a millisecond.
    let quota = (u64::from(millicores) * PERIOD_US / 1_000).max(1_000);
    if version == 2 {
        return vec![("cpu.max".into(), format!("{quota} {PERIOD_US}"))];
    }
    vec![("cpu.cfs_period_us".into(), PERIOD_US.to_string()), ("cpu.cfs_quota_us".into(), quota.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 22 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 22 0:29 /docker/a1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 22 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 22 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
36 22 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
22 1 0:5 / / rw - ext4 /dev/vda rw";

    #[test]
    fn seats_are_found_in_every_kind_of_hierarchy() {
        let own = "4:memory:/job/one\n8:pids:/docker/a1/x\n1:cpu,cpuacct:/\n9:name=systemd:/\n0::/unit";
        let dirs: Vec<_> = seats(HYBRID, own)
            .into_iter()
            .map(|s| format!("{} {} {}", s.version, s.controllers.join("+"), s.dir.display()))
            .collect();
        assert_eq!(
            dirs,
            [
                "1 memory /sys/fs/cgroup/memory/job/one",
                "1 pids /sys/fs/cgroup/pids/x",
                "1 cpu+cpuacct /sys/fs/cgroup/cpu,cpuacct/",
                "2  /sys/fs/cgroup/unified/unit",
                "1 name=systemd /sys/fs/cgroup/systemd/",
            ]
        );
    }

    fn limits() -> Limits {
        Limits {
            memory_max_bytes: Some(1 << 28),
            process_memory_max_bytes: None,
            cpu_max_millicores: Some(500),
            processes_max: 10,
            scratch_max_bytes: 1 << 20,
            scratch_files_max: 100,
            file_max_bytes: 1 << 20,
            open_files_max: 64,
            output_kept_max_bytes: 100,
            output_max_bytes: 100,
        }
    }

    #[test]
    fn version_2_has_one_group_with_all_limits_and_dies_as_one() {
        let home = Some(PathBuf::from("/sys/fs/cgroup/unit/aecl"));
        let here = Hierarchies {
            version: 2,
            memory: home.clone(),
            pids: home.clone(),
            cpu: home,
            ..Default::default()
        };
        let groups = groups(&here, &(&limits()).into()).unwrap();
        assert_eq!(groups.len(), 1);
        let text: Vec<String> = groups[0]
            .settings
            .iter()
            .map(|(k, v)| format!("{}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v)))
            .collect();
        assert_eq!(
            text,
            ["memory.max=268435456", "memory.oom.group=1", "cpu.max=50000 100000", "pids.max=11"]
        );
    }

    #[test]
    fn a_limit_that_nothing_enforces_is_refused_and_says_what_to_do() {
        let here = Hierarchies { why_none: "nothing is delegated".into(), ..Default::default() };
        let error = groups(&here, &(&limits()).into()).unwrap_err().to_string();
        assert!(error.contains("`memory_max_bytes`") && error.contains("nothing is delegated"), "{error}");
        assert!(error.contains("Delegate=yes"), "{error}");
    }
}
