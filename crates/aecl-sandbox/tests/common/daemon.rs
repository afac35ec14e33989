//! A Docker daemon for tests: its own files, its own socket, its own namespaces, and gone with its test.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aecl_sandbox::{Backend, Docker};

/// Killed with everything that it started when it is dropped, and when the thread ends that started it.
pub struct Daemon {
    process: Child,
    dir: tempfile::TempDir,
    cgroup: String,
}

impl Daemon {
    /// Starts one, if this is root and there is a `dockerd`. It makes no bridge and no rule for packets, and
    /// everybody may talk to it.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// One whose containers have users of [`RANGE`].
    pub fn start_that_maps_users() -> Option<Self> {
        Self::start_with(&["--userns-remap=nobody:nogroup"])
    }

    fn start_with(options: &[&str]) -> Option<Self> {
        let is_here = Command::new("dockerd").arg("--version").output().is_ok_and(|o| o.status.success());
        // Root of a namespace of users is not enough for it.
        let has_everybody =
            fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim_end().ends_with("4294967295"));
        if !is_here || !super::is_root() || !has_everybody {
            println!("`docker` is not tested: `apt-get install docker.io`, and only root can start a daemon");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cgroup = format!("aecl-{}", dir.path().file_name().unwrap().display());
        let process = run(dir.path(), &cgroup, options);
        RUNNING.store(process.id(), Ordering::Relaxed);
        let mut daemon = Self { process, dir, cgroup };
        daemon.wait();
        Some(daemon)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    pub fn backend(&self) -> Backend {
        Backend::Docker(Docker { socket: self.socket() })
    }

    /// The daemon itself and no container of its: as by the OOM killer.
    pub fn kill_alone(&self) {
        let all = super::descendants(self.process.id());
        let named = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        for pid in all.iter().filter(|pid| ["dockerd", "containerd"].contains(&named(pid).trim())) {
            // The one ends with the other.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
        }
        let late = Instant::now() + Duration::from_secs(5);
        while UnixStream::connect(self.socket()).is_ok() {
            assert!(Instant::now() < late, "it is alive");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it something, as anybody can. The answer's document.
    pub fn ask(&self, method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let head = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        write!(stream, "{method} {path} HTTP/1.0\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_default()
    }

    /// All containers that it has, whatever their state.
    pub fn containers(&self) -> Vec<serde_json::Value> {
        self.ask("GET", "/containers/json?all=1", &serde_json::Value::Null).as_array().unwrap().clone()
    }

    /// Waits until it has removed what it removes by itself.
    pub fn wait_until_it_has_no_container(&self) {
        let late = Instant::now() + Duration::from_secs(10);
        while !self.containers().is_empty() {
            assert!(Instant::now() < late, "{:?}", self.containers());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait(&mut self) {
        let late = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.process.try_wait().unwrap();
            let said = || fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < late, "dockerd: {ended:?}\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::set_permissions(self.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    }
}

/// The one of this test, if there is one.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// All processes of a daemon that runs.
pub fn family() -> BTreeSet<u32> {
    match RUNNING.load(Ordering::Relaxed) {
        0 => BTreeSet::new(),
        daemon => super::descendants(daemon).into_iter().chain([daemon]).collect(),
    }
}

/// The users that a daemon gives to its containers where it maps them: first and how many.
pub const RANGE: (u32, u32) = (300_000, 65_536);

/// The first process of a namespace takes all others along, and a daemon may die alone.
const FIRST: &str =
    "mount --bind \"$1\" /etc/subuid && mount --bind \"$1\" /etc/subgid; shift; \"$@\"; exec sleep 1000000";

fn run(dir: &Path, cgroup: &str, options: &[&str]) -> Child {
    let log = fs::File::create(dir.join("log")).unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command.args(["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", FIRST, "sh", &at("users"), "dockerd"]).args(options);
    command.args([
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--bridge=none",
    ]);
    command.args(["--storage-driver=vfs", "--cgroup-parent", &format!("/{cgroup}")]);
    command.args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")]);
    command.args(["--host", &format!("unix://{}", at("sock"))]);
    // Nothing of this host's own configuration.
    command.args(["--config-file", &at("none")]);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    fs::write(dir.join("none"), "{}").unwrap();
    fs::write(dir.join("users"), format!("nobody:{}:{}\n", RANGE.0, RANGE.1)).unwrap();
    command.spawn().unwrap()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let family = super::descendants(self.process.id());
        RUNNING.store(0, Ordering::Relaxed);
        let _ = self.process.kill();
        let _ = self.process.wait();
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let mut places: Vec<_> = hierarchies.map(|hierarchy| hierarchy.path()).collect();
        places.push("/sys/fs/cgroup".into());
        let groups: Vec<_> = places.iter().map(|place| place.join(&self.cgroup)).collect();
        groups.iter().for_each(|dir| thaw(dir));
        let late = Instant::now() + Duration::from_secs(10);
        let alive = |pid: &&u32| Path::new(&format!("/proc/{pid}")).exists();
        let is_left = || family.iter().any(|pid| alive(&pid)) || groups.iter().any(|dir| dir.exists());
        while is_left() && Instant::now() < late {
            groups.iter().for_each(|dir| remove(dir));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a daemon has frozen and cannot thaw any more would stay, though it was killed.
fn thaw(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            thaw(&entry.path());
        }
    }
    for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        if dir.join(file).exists() {
            let _ = fs::write(dir.join(file), word);
        }
    }
}

/// A cgroup and those below.
fn remove(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
