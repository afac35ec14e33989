//! Every attack outside and in the cage, as root and as an ordinary user. What came of each is the matrix in
//! `docs/reference/isolation.md`, which `UPDATE_EXPECT=1` rewrites.
//!
//! An attack that is refused inside says something only if it is not refused outside, so each runs there,
//! too, by the same program as the same user.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unsafe_code, reason = "tests")]

mod common;
#[path = "common/layout.rs"]
mod layout;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use common::daemon::Daemon;
use common::machine::{emulated, machine};

use aecl_sandbox::{
    Access, Backend, Cage, Clocks, Docker, Image, ImageLimits, Images, Layout, Limits, Network, Program,
    Termination, View, run,
};

const NOBODY: &str = "65534";
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/isolation.md");
const BEGIN: &str = "<!-- written by tests/attacks.rs -->\n";
const END: &str = "<!-- end -->\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn cage(backend: Backend, image: Option<Image>, views: Vec<View>) -> Cage {
    let minute = Duration::from_secs(60);
    Cage {
        backend,
        image,
        views,
        network: Network::None,
        limits: Limits {
            memory_max_bytes: is_root().then_some(128 << 20),
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 64,
            scratch_max_bytes: 32 << 20,
            scratch_files_max: 1_000,
            file_max_bytes: 16 << 20,
            open_files_max: 128,
            output_kept_max_bytes: 1 << 20,
            output_max_bytes: 1 << 20,
        },
        clocks: Clocks { call: minute, task_left: minute, lifetime_left: minute },
    }
}

/// Not a test of its own: the supervisor whose cage is attacked. It is a process of its own, so that it can
/// run as another user and have a secret to lose.
#[tokio::test]
async fn supervisor() {
    let Some(dir) = std::env::var_os("AECL_ATTACKS").map(PathBuf::from) else { return };
    let backend = std::env::var("AECL_ATTACKS_BACKEND").unwrap();
    let docker = std::env::var_os("AECL_ATTACKS_SOCKET")
        .map(|socket| Backend::Docker(Docker { socket: socket.into() }));
    let backend = Backend::all().into_iter().chain(docker).find(|known| known.name() == backend).unwrap();
    let own = tempfile::tempdir().unwrap();
    let canary = own.path().join("canary");
    fs::write(&canary, "of the host").unwrap();
    // A descriptor that somebody forgot to close.
    let planted = fs::File::open(&canary).unwrap();
    unsafe { libc::fcntl(planted.as_raw_fd(), libc::F_SETFD, 0) };
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = own.path().join("socket");
    let _unix = UnixListener::bind(&socket).unwrap();
    let name = format!("aecl-attacks-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let key = 0x0ae0_0000 | i32::try_from(std::process::id() & 0xffff).unwrap();
    let shared = unsafe { libc::shmget(key, 4_096, libc::IPC_CREAT | 0o666) };
    let queue = std::ffi::CString::new(format!("/{name}")).unwrap();
    unsafe { libc::mq_open(queue.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o666, 0) };

    let mut env: BTreeMap<String, String> = [
        ("ATTACK_FILE", canary.display().to_string()),
        ("ATTACK_PORT", tcp.local_addr().unwrap().port().to_string()),
        ("ATTACK_SOCKET", socket.display().to_string()),
        ("ATTACK_ABSTRACT", name.clone()),
        ("ATTACK_SHM", key.to_string()),
        ("ATTACK_QUEUE", format!("/{name}")),
        ("ATTACK_PID", std::process::id().to_string()),
        ("ATTACK_SECRET_1", "the-half-and-".into()),
        ("ATTACK_SECRET_2", "the-other-half".into()),
        ("ATTACK_HOSTNAME", fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()),
        ("ATTACK_SETUID", dir.join("set-user-id").display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut outside = Vec::new();
    // Once is enough: no runtime is involved.
    if backend == Backend::Native {
        let mut command = Command::new(dir.join("attacker"));
        command.arg("all").envs(&env).current_dir(own.path()).stdin(std::process::Stdio::piped());
        outside = command.output().unwrap().stdout;
    }
    env.insert("ATTACK_SETUID".into(), "/set-user-id".into());
    let view =
        |name: &str| View { source: dir.join(name), at: format!("/{name}").into(), access: Access::ReadOnly };
    let program = Program { argv: vec!["/attacker".into(), "all".into()], env, cwd: None };
    let image = std::env::var_os("AECL_ATTACKS_IMAGE").map(|layout| unpacked(Path::new(&layout), own.path()));
    let views = if image.is_some() { vec![] } else { vec![view("attacker"), view("set-user-id")] };
    let inside = run(program, cage(backend, image, views)).await.unwrap();
    unsafe { libc::shmctl(shared, libc::IPC_RMID, std::ptr::null_mut()) };
    unsafe { libc::mq_unlink(queue.as_ptr()) };
    drop(planted);
    assert_eq!(
        inside.outcome,
        Termination::Exited(0),
        "{}{}",
        inside.stdout.for_display(),
        inside.stderr.for_display()
    );
    for (place, output) in [("outside", outside), ("inside", inside.stdout.bytes)] {
        for line in String::from_utf8(output).unwrap().lines() {
            println!("@{place}\t{line}");
        }
    }
}

/// An image with the attacker, what it needs, and the directories that it attacks; nothing else.
fn layout_with(dir: &Path) -> PathBuf {
    let attacker = dir.join("attacker");
    let bytes = fs::read(&attacker).unwrap();
    let mut layer = layout::Layer::new().dir("etc").dir("usr/bin").program("attacker", &bytes);
    layer = layer.program("set-user-id", &bytes);
    let libraries = Command::new("ldd").arg(&attacker).output().unwrap();
    for word in String::from_utf8(libraries.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') && Path::new(word).exists() {
            layer = layer.program(&word[1..], &fs::read(word).unwrap());
        }
    }
    let at = dir.join("layout");
    fs::create_dir(&at).unwrap();
    layout::write(&at, &[layout::gzip(&layer)], &serde_json::json!({}));
    at
}

fn unpacked(layout: &Path, own: &Path) -> Image {
    let digest = Layout::open(layout).unwrap().offers().unwrap().remove(0).digest;
    let limits = ImageLimits { unpacked_max_bytes: 1 << 30, files_max: 100 };
    Images::new(own.join("images")).unpack(layout, &digest, limits).unwrap()
}

/// What came of each attack, by case and name.
type Results = BTreeMap<(u32, String), [String; 2]>;

/// What works in a cage of gVisor's, because it is its own kernel's and leads nowhere; and in old releases of
/// it, because they hide less of the first process, which has nothing to hide. Its own `/dev/null` is changed
/// where an ordinary user is root of its cage.
const OF_GVISOR: [(u32, &str); 8] = [
    (12, "find devices that lead somewhere"),
    (13, "change the mode of /dev/null"),
    (17, "look into /sys"),
    (18, "read the kernel's command line"),
    (19, "list the descriptors of who started us"),
    (19, "read the maps of who started us"),
    (21, "see processes of others"),
    (22, "find descriptors that were left open"),
];

/// Runs the supervisor as root or as nobody.
fn results(backend: &str, as_nobody: bool, daemon: Option<&Daemon>) -> Results {
    results_of(backend, as_nobody, false, daemon)
}

fn results_of(backend: &str, as_nobody: bool, in_image: bool, daemon: Option<&Daemon>) -> Results {
    // What one thread writes cannot be executed while another one forks.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let dir = tempfile::Builder::new().prefix("aecl-attacks").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let put = |from: &Path, name: &str, mode: u32| {
        let to = dir.path().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        to
    };
    let attacker = Path::new(env!("CARGO_BIN_EXE_aecl-attacker"));
    put(attacker, "attacker", 0o755);
    put(attacker, "set-user-id", 0o4755);
    let me = put(&std::env::current_exe().unwrap(), "supervisor", 0o755);
    let mut command = if as_nobody {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(me);
        command
    } else {
        Command::new(me)
    };
    command.args(["--exact", "supervisor", "--nocapture"]);
    command.env("AECL_ATTACKS_BACKEND", backend);
    command.envs(daemon.map(|daemon| ("AECL_ATTACKS_SOCKET", daemon.socket())));
    command.env("AECL_ATTACKS", dir.path()).env("PLANTED_SECRET", "the-half-and-the-other-half");
    if in_image {
        command.env("AECL_ATTACKS_IMAGE", layout_with(dir.path()));
    }
    command.env("TMPDIR", "/tmp").env("AWS_SECRET_ACCESS_KEY", "x").env("LD_LIBRARY_PATH", "/nowhere");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut results = Results::new();
    for line in text.lines().filter_map(|line| line.split_once('@').map(|(_, line)| line)) {
        let mut words = line.split('\t');
        let (place, case) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let (name, came) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let entry = results.entry((case, name)).or_default();
        entry[usize::from(place == "inside")] = came;
    }
    results
}

fn assert_held(results: &Results, backend: &str, who: &str) {
    assert!(results.len() > 100, "only {} attacks ran in `{backend}` as {who}", results.len());
    let mut through = Vec::new();
    for ((case, name), [outside, inside]) in results {
        assert!(
            (!outside.is_empty() || backend != "native") && !inside.is_empty(),
            "`{backend}` as {who}, {case} {name}: `{outside}`, `{inside}`"
        );
        let known = backend == "runsc" && OF_GVISOR.contains(&(*case, name.as_str()));
        if succeeds(inside) && !known {
            through.push(format!("`{name}` ({case}): {inside}"));
        }
    }
    assert!(through.is_empty(), "`{backend}` as {who}: these get through: {}", through.join(", "));
}

#[test]
fn no_attack_gets_through_as_root_or_as_an_ordinary_user() {
    if std::env::var_os("AECL_ATTACKS").is_some() {
        return;
    }
    if !is_root() {
        println!("not as root: only the part of an ordinary user runs, and the page is not compared");
        all(false, "this user", None);
        return;
    }
    // Everybody may talk to it.
    let daemon = Daemon::start();
    let all = |as_nobody, who| all(as_nobody, who, daemon.as_ref());
    let (root, user, machine) = (all(false, "root"), all(true, "an ordinary user"), in_a_machine());
    // The control: an attack that nobody could carry out anyway shows nothing.
    let native = root[0].as_ref().unwrap();
    let shown = native.values().filter(|came| succeeds(&came[0])).count();
    assert!(shown * 4 >= native.len() * 3, "only {shown} of {} attacks work outside", native.len());
    compare(&root, &user, machine.as_ref());
}

/// With the files of an image instead of the host's, each attack is held back as without.
#[test]
fn an_image_makes_no_attack_easier() {
    if std::env::var_os("AECL_ATTACKS").is_some() {
        return;
    }
    let daemon = Daemon::start();
    let daemon = daemon.as_ref();
    let compare = |backend: &str, as_nobody: bool| {
        let (without, with) =
            (results(backend, as_nobody, daemon), results_of(backend, as_nobody, true, daemon));
        assert_held(&with, backend, if as_nobody { "an ordinary user, in an image" } else { "in an image" });
        for (key, [_, inside]) in &without {
            // Which error says no may differ: nobody may write to a file of an image, and that is asked first.
            let alike = succeeds(&with[key][1]) == succeeds(inside);
            assert!(alike, "{backend}: {key:?}: {} {inside}", with[key][1]);
        }
    };
    let here = || COLUMNS.into_iter().filter(|name| is_here(name, daemon));
    here().for_each(|name| compare(name, false));
    if is_root() {
        here().for_each(|name| compare(name, true));
    }
}

fn is_here(backend: &str, daemon: Option<&Daemon>) -> bool {
    let answers = || Command::new(backend).arg("--version").output().is_ok_and(|o| o.status.success());
    match backend {
        "native" => true,
        "docker" => daemon.is_some(),
        _ => answers(),
    }
}

/// What attacks look for on a host. In a machine there is none of it.
const OF_NOBODY: [(&str, &str); 11] = [
    ("ATTACK_FILE", "/home/canary"),
    ("ATTACK_PORT", "9"),
    ("ATTACK_SOCKET", "/run/socket"),
    ("ATTACK_ABSTRACT", "aecl-nobody"),
    ("ATTACK_SHM", "178257920"),
    ("ATTACK_QUEUE", "/aecl-nobody"),
    ("ATTACK_PID", "999999"),
    ("ATTACK_SECRET_1", "the-half-and-"),
    ("ATTACK_SECRET_2", "the-other-half"),
    ("ATTACK_HOSTNAME", "(none)"),
    ("ATTACK_SETUID", "/usr/bin/attacker"),
];

/// By the same program in the cage that is inside of a machine. What it looks for is on the host, which is not
/// even there, so the rows show what the inside holds back by itself. Emulated, so nothing is shown of the
/// boundary around it. Without a kernel for it, its column is not compared.
fn in_a_machine() -> Option<Results> {
    let backend = emulated(machine()?);
    let minutes = Duration::from_secs(120);
    let mut cage = Cage {
        clocks: Clocks { call: minutes, task_left: minutes, lifetime_left: minutes },
        ..cage(backend, None, vec![])
    };
    cage.limits.memory_max_bytes = Some(96 << 20);
    let env = OF_NOBODY.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let program = Program { argv: vec!["attacker".into(), "all".into()], env, cwd: None };
    let ended = tokio::runtime::Runtime::new().unwrap().block_on(run(program, cage)).unwrap();
    let out = ended.stdout.for_display();
    assert_eq!(ended.outcome, Termination::Exited(0), "{out}{}", ended.stderr.for_display());
    let mut results = Results::new();
    for line in out.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        results
            .insert((words[0].parse().unwrap(), words[1].to_owned()), [String::new(), words[2].to_owned()]);
    }
    assert_held(&results, MACHINE, "nobody");
    Some(results)
}

/// How the page calls it. It satisfies no tier.
const MACHINE: &str = "machine, emulated";

/// What is on the page, in its order: our own cage, and those of the runtimes and of a daemon.
const COLUMNS: [&str; 5] = ["native", "runc", "crun", "runsc", "docker"];

/// By our own launcher and by each runtime that is here. Without one, its column of the page is not compared.
fn all(as_nobody: bool, who: &str, daemon: Option<&Daemon>) -> [Option<Results>; COLUMNS.len()] {
    COLUMNS.map(|name| {
        if !is_here(name, daemon) {
            println!("`{name}` is not installed: its columns are not compared");
            return None;
        }
        let results = results(name, as_nobody, daemon);
        assert_held(&results, name, who);
        Some(results)
    })
}

fn succeeds(outside: &str) -> bool {
    outside == "works" || outside.starts_with("reaches")
}

fn matrix(
    root: &[Option<Results>; COLUMNS.len()],
    user: &[Option<Results>; COLUMNS.len()],
    machine: Option<&Results>,
) -> String {
    let mut text = String::from(BEGIN);
    let heads = COLUMNS.join(" | ");
    writeln!(text, "\n| case | attack | root, outside | {heads} | user, outside | {heads} | {MACHINE} |")
        .unwrap();
    writeln!(text, "|{}", "---|".repeat(5 + 2 * COLUMNS.len())).unwrap();
    for key in root[0].as_ref().unwrap().keys() {
        let (case, name) = key;
        write!(text, "| {case} | {name} |").unwrap();
        for columns in [root, user] {
            write!(text, " {} |", columns[0].as_ref().unwrap()[key][0]).unwrap();
            for results in columns {
                write!(text, " **{}** |", results.as_ref().map_or("-", |results| &results[key][1])).unwrap();
            }
        }
        let came = machine.and_then(|results| results.get(key));
        writeln!(text, " **{}** |", came.map_or("-", |came| &came[1])).unwrap();
    }
    text + "\n"
}

/// The page must say what happens in the cage, wherever the same happens outside. A kernel that lacks a file
/// or a call answers differently on both sides.
fn compare(
    root: &[Option<Results>; COLUMNS.len()],
    user: &[Option<Results>; COLUMNS.len()],
    machine: Option<&Results>,
) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the matrix");
    let (old, tail) = rest.split_once(END).expect("the matrix has an end");
    let new = matrix(root, user, machine);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(PAGE, format!("{head}{new}{END}{tail}")).unwrap();
        return;
    }
    let rows = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| line.starts_with("| "));
        lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    let (old, new) = (rows(old), rows(&new));
    assert_eq!(old.len(), new.len(), "the page has other attacks; UPDATE_EXPECT=1 rewrites it");
    // The first cell is what stands before the first line.
    let (root_outside, user_outside) = (3, 4 + COLUMNS.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.len(), new.len(), "the page has other columns; UPDATE_EXPECT=1 rewrites it");
        assert_eq!(old[1..3], new[1..3], "the page has other attacks; UPDATE_EXPECT=1 rewrites it");
        let of = |outside: usize| (0..COLUMNS.len()).map(move |index| (outside, outside + 1 + index));
        // The machine's last: its own kernel answers, whatever this one does outside.
        let machine = user_outside + 1 + COLUMNS.len();
        for (outside, inside) in of(root_outside).chain(of(user_outside)).chain([(machine, machine)]) {
            // A newer gVisor knows more of Linux; that nothing gets through is asserted above.
            let name = if inside == machine { MACHINE } else { COLUMNS[inside - outside - 1] };
            let comparable = new[inside] != "**-**" && old[inside] != "**-**" && name != "runsc";
            let same_machine = (outside == inside || old[outside] == new[outside]) && comparable;
            let row = &new[2];
            assert!(
                !same_machine || old[inside] == new[inside],
                "{row}, `{name}`: {} is on the page and came out {}; UPDATE_EXPECT=1 rewrites it",
                old[inside],
                new[inside]
            );
        }
    }
}
