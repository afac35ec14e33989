//! What `aecl run` costs from the outside, beside programs that do less: bubblewrap, with namespaces and mounts but
//! without seccomp, landlock, limits and a supervisor; `runc run` of a bundle with the namespaces, mounts and limits of
//! ours, without the filter. They take turns around the same `true`, so that they meet the same machine; what counts are
//! the ratios of medians. Processor time is that of what was waited for.
//!
//! `cargo run --profile dist --bin run` in `benches/`, with `aecl` built (`cargo build --profile dist -p aecl`) or named in `AECL`,
//! as root, who tries both as root and as a user without rights. What is not installed is left out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 100;
const NOBODY: u32 = 65_534;

fn main() {
    let aecl = std::env::var_os("AECL").map_or_else(|| PathBuf::from("../target/dist/aecl"), PathBuf::from);
    let aecl = aecl.canonicalize().expect("`aecl` is built: `cargo build --profile dist -p aecl`");
    let is_root = fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    let users: &[Option<u32>] = if is_root { &[None, Some(NOBODY)] } else { &[None] };
    for user in users {
        println!("{}", if user.is_some() { "as an ordinary user" } else { "as who started this" });
        let place = tempfile::tempdir().unwrap();
        // Where nobody's own `aecl` may be out of reach.
        let copy = place.path().join("aecl");
        fs::copy(&aecl, &copy).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = place.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, *user, *user).unwrap();
        let who = Who { user: *user, home };
        let bundle = bundle(place.path(), *user);
        let run = |words: &[&str]| {
            who.command(copy.to_str().unwrap(), &[&["run"], words, &["--", "true"]].concat())
        };
        compare("native", &|| run(&[]), "bubblewrap", &|| who.command("bwrap", &WRAP), 1.5);
        compare("runc", &|| run(&["--backend", "runc"]), "runc run", &|| who.runc(&bundle), 1.5);
    }
}

/// Who starts it, and where that user's files are.
struct Who {
    user: Option<u32>,
    home: PathBuf,
}

impl Who {
    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        if let Some(user) = self.user {
            // Its groups go with that.
            command.uid(user).gid(user);
        }
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &self.home);
        command.current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn runc(&self, bundle: &Path) -> Command {
        let root = self.home.join("runc");
        self.command(
            "runc",
            &["--root", root.to_str().unwrap(), "run", "-b", bundle.to_str().unwrap(), "measured"],
        )
    }
}

/// As much of a cage as bubblewrap makes.
const WRAP: [&str; 25] = [
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/usr",
    "/usr",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "true",
];

/// A bundle with what our cage has, but for the filter of system calls and the second lock on files.
fn bundle(place: &Path, user: Option<u32>) -> PathBuf {
    let bundle = place.join("bundle");
    let root = bundle.join("rootfs");
    for dir in ["usr", "proc", "dev", "tmp"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for dir in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{dir}"), root.join(dir)).unwrap();
    }
    let map = serde_json::json!([{ "containerID": 0, "hostID": user.unwrap_or(NOBODY), "size": 1 }]);
    let kinds = ["pid", "mount", "ipc", "uts", "user", "network", "cgroup"];
    let namespaces: Vec<_> = kinds.iter().map(|kind| serde_json::json!({ "type": kind })).collect();
    // Who may make no cgroup has none in either of the two.
    let resources = match user {
        None => serde_json::json!({ "memory": { "limit": 1_u64 << 30 }, "pids": { "limit": 257 } }),
        Some(_) => serde_json::json!({}),
    };
    let tmpfs = |at: &str| serde_json::json!({ "destination": at, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"] });
    let config = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": { "uid": 0, "gid": 0 }, "args": ["true"], "cwd": "/", "noNewPrivileges": true,
            "env": ["PATH=/usr/bin:/bin"],
            "capabilities": { "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [] },
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            tmpfs("/dev"),
            tmpfs("/tmp"),
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "nosuid", "nodev"] },
        ],
        "linux": { "namespaces": namespaces, "uidMappings": map, "gidMappings": map, "resources": resources },
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle
}

/// Both in turn, and how many times as long ours takes.
fn compare(ours: &str, mine: &dyn Fn() -> Command, theirs: &str, other: &dyn Fn() -> Command, most: f64) {
    // The first finds out what the others remember.
    for (name, command) in [(ours, mine), (theirs, other)] {
        match command().output() {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                return println!(
                    "  {name} does not run here: {}",
                    String::from_utf8_lossy(&done.stderr).trim()
                );
            }
            Err(error) => return println!("  {name} does not run here: {error}"),
        }
    }
    let (mut one, mut two) = (Spread::default(), Spread::default());
    for _ in 0..ROUNDS {
        one.add(&mut mine());
        two.add(&mut other());
    }
    one.line(&format!("aecl run, {ours}"));
    two.line(theirs);
    let pairs = one.wall.iter().zip(&two.wall).map(|(one, two)| one.as_secs_f64() / two.as_secs_f64());
    println!(
        "  aecl run / {theirs:<20} of medians {:>5.2}, of pairs {:>5.2}   <= {most}",
        median(&one.wall).as_secs_f64() / median(&two.wall).as_secs_f64(),
        median(&pairs.map(Duration::from_secs_f64).collect::<Vec<_>>()).as_secs_f64(),
    );
}

#[derive(Default)]
struct Spread {
    wall: Vec<Duration>,
    busy: Duration,
}

impl Spread {
    fn add(&mut self, command: &mut Command) {
        // What it would say of an error is read where it was tried first; nobody else waits for a pipe.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (begin, busy) = (Instant::now(), busy());
        let status = command.status().unwrap();
        self.wall.push(begin.elapsed());
        self.busy += crate::busy() - busy;
        assert!(status.success(), "{status}");
    }

    fn line(&self, what: &str) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (least, busy) =
            (self.wall.iter().min().copied().unwrap_or_default(), self.busy / self.wall.len() as u32);
        println!(
            "  {what:<24} median {:>7.2} ms, least {:>7.2} ms, processor {:>6.2} ms",
            ms(median(&self.wall)),
            ms(least),
            ms(busy)
        );
    }
}

fn median(all: &[Duration]) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// What everybody has used who was waited for: ticks, of which a hundred make a second.
fn busy() -> Duration {
    let about = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = about
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    Duration::from_millis((fields[13] + fields[14]) * 10)
}
