//! What the tests of cages share.
#![allow(dead_code, reason = "each file of tests takes what it needs")]

pub mod daemon;
pub mod guest;
pub mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use aecl_sandbox::{Backend, Cage, Clocks, Ended, Limits, Network, Program, run};

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether there are cgroups for us: root has them everywhere, others where they were delegated.
pub fn has_groups() -> bool {
    is_root() || guest::stage().is_some_and(guest::Stage::is_delegated)
}

pub fn cage() -> Cage {
    Cage {
        backend: Backend::Native,
        image: None,
        views: vec![],
        network: Network::None,
        limits: Limits {
            // Who is no ordinary user has to have it; the others have to say that there is none.
            memory_max_bytes: has_groups().then_some(128 << 20),
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 64,
            scratch_max_bytes: 32 << 20,
            scratch_files_max: 1_000,
            file_max_bytes: 16 << 20,
            open_files_max: 128,
            output_kept_max_bytes: 1 << 20,
            output_max_bytes: 8 << 20,
        },
        clocks: clocks(Duration::from_secs(30)),
    }
}

pub fn clocks(call: Duration) -> Clocks {
    Clocks { call, task_left: Duration::from_secs(1_200), lifetime_left: Duration::from_secs(3_600) }
}

pub fn shell(script: &str) -> Program {
    let argv = ["sh", "-c", script].map(String::from).to_vec();
    Program { argv, env: BTreeMap::new(), cwd: None }
}

pub async fn ended(script: &str, cage: Cage) -> Ended {
    run(shell(script), cage).await.unwrap()
}

pub fn text(ended: &Ended) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    of(&ended.stdout.bytes) + &of(&ended.stderr.bytes)
}

/// Runs every other test of the calling file again, as nobody. Without root all of them have just run so.
pub fn as_an_ordinary_user(but_not: &str) {
    if !is_root() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("aecl-user").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let me = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &me).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(me)
        // One by one: some count what is left of this process's cages.
        .args(["--skip", but_not, "--test-threads", "1"])
        // A guest has ordinary users of its own.
        .args(["--skip", "where_cgroups_are_of_version_2_only"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Whether this is a process for this one test: what is counted in it is nobody else's. If not, runs the test in
/// one, and asserts that it holds there.
pub fn is_alone(test: &str) -> bool {
    const VARIABLE: &str = "AECL_TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some() {
        return true;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", test, "--nocapture"]).env(VARIABLE, "1").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Every process below this one, however deep. A namespace lives as long as a process or a descriptor in it.
pub fn descendants(of: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut todo = vec![of];
    while let Some(parent) = todo.pop() {
        for (pid, _) in parents.iter().filter(|(_, of)| *of == parent) {
            if found.insert(*pid) {
                todo.push(*pid);
            }
        }
    }
    found
}

pub fn cgroups_of(supervisor: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![Path::new("/sys/fs/cgroup").to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(&format!("{supervisor}-")) {
                    found.push(entry.path().display().to_string());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

pub async fn assert_gone(family: &BTreeSet<u32>) {
    let alive = |pid: &&u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let late = Instant::now() + Duration::from_secs(5);
    while family.iter().any(|pid| alive(&pid)) {
        assert!(Instant::now() < late, "alive: {:?}", family.iter().filter(alive).collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn assert_nothing_is_left(groups: &[String]) {
    let late = Instant::now() + Duration::from_secs(5);
    while groups.iter().any(|dir| Path::new(dir).exists()) {
        assert!(Instant::now() < late, "left: {groups:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What this process has of its cages.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    children: usize,
    descriptors: usize,
    mounts: usize,
    cgroups: usize,
}

impl Count {
    fn now() -> Self {
        let lines = |path: &str| fs::read_to_string(path).unwrap().lines().count();
        Self {
            // Those of a daemon come and go.
            children: descendants(std::process::id()).difference(&daemon::family()).count(),
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            mounts: lines("/proc/self/mountinfo"),
            cgroups: cgroups_of(std::process::id()).len(),
        }
    }

    /// When nothing is underway: who has ended may not be reaped yet, and who waits for the next cage may not
    /// be there yet.
    pub async fn at_rest() -> Self {
        let late = Instant::now() + Duration::from_secs(10);
        loop {
            let count = Self::now();
            tokio::time::sleep(Duration::from_millis(300)).await;
            if Self::now() == count || Instant::now() > late {
                return count;
            }
        }
    }

    /// Waits until everything is as it was.
    pub async fn assert_is_now(&self) {
        let late = Instant::now() + Duration::from_secs(10);
        while Self::now() != *self && Instant::now() < late {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(Self::now(), *self);
    }
}

/// The launcher of the first cage of a process, and the server from which those of all others come.
pub async fn make_what_is_made_once() {
    for _ in 0..2 {
        let _ = aecl_sandbox::run(shell("true"), cage()).await;
    }
}

/// Does all of `quick`, and then gives `endless` up again and again, each time one point later at which it waits.
/// Asserts that nothing is left of any. At how many points that was.
pub async fn given_up_at_each_point<Q: Future, E: Future>(quick: Q, endless: impl Fn() -> E) -> usize {
    make_what_is_made_once().await;
    let begun = Instant::now();
    let points = waits(quick, usize::MAX).await;
    // Waited through once: at the point where it waits for an end that does not come.
    let patience = begun.elapsed() * 4 + Duration::from_secs(2);
    let before = Count::at_rest().await;
    for point in 0..points {
        // What waits for an end waits there for good.
        if tokio::time::timeout(patience, waits(endless(), point)).await.is_err() {
            before.assert_is_now().await;
            return point;
        }
    }
    before.assert_is_now().await;
    points
}

/// How often this waits until its end, or until it is given up.
async fn waits(what: impl Future, points_max: usize) -> usize {
    let mut what = std::pin::pin!(what);
    let mut points = 0;
    std::future::poll_fn(|context| {
        if points == points_max || what.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(points);
        }
        points += 1;
        std::task::Poll::Pending
    })
    .await
}
