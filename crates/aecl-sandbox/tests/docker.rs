//! What is particular to cages in containers: a daemon that is missing, old, false or dies, what it is left with, and
//! who may use it. That they keep the promises of every cage is tested in `oci.rs` and `attacks.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aecl_sandbox::{
    Access, Backend, Cage, Docker, HostUser, Level, Limits, Program, SandboxError, Termination, View, probe,
    run, start,
};
use common::daemon::{Daemon, RANGE};
use common::{assert_gone, cage, clocks, descendants, ended, is_root, shell, text};
use serde_json::{Value, json};

fn by(daemon: &Daemon) -> Cage {
    Cage { backend: daemon.backend(), ..cage() }
}

/// What a container is left with or without, in one daemon.
#[tokio::test]
async fn what_happens_to_containers_and_images_is_made_good() {
    let Some(daemon) = Daemon::start() else { return };
    let cage = by(&daemon);
    let found = &probe(&[daemon.backend()]).await[0];
    assert!(found.available && found.reason.contains("the daemon is root"), "{}", found.reason);
    assert!(found.version.starts_with("docker "), "{}", found.version);
    assert!(found.enforced.memory && found.enforced.cpu && found.offers.overlays && found.offers.listener);

    // The image is removed, and it is replaced by something else.
    daemon.wait_until_it_has_no_container();
    let image =
        daemon.ask("GET", "/images/json", &Value::Null)[0]["RepoTags"][0].as_str().unwrap().to_owned();
    daemon.ask("DELETE", &format!("/images/{image}?force=1"), &Value::Null);
    assert_eq!(daemon.ask("GET", "/images/json", &Value::Null), json!([]));
    assert_eq!(text(&ended("echo again", cage.clone()).await), "again\n");
    let (name, tag) = image.split_once(':').unwrap();
    let other = json!({ "Image": image, "Entrypoint": ["/aecl-cage"], "Labels": { "other": "" } });
    let id = daemon.ask("POST", "/containers/create", &other)["Id"].as_str().unwrap().to_owned();
    let committed = daemon.ask("POST", &format!("/commit?container={id}&repo={name}&tag={tag}"), &json!({}));
    assert!(committed["Id"].is_string(), "{committed}");
    assert_eq!(text(&ended("echo once more", cage.clone()).await), "once more\n");

    // Containers whose supervisor is gone are removed by the next; those of others are not.
    let labels = |pid: &str, place: &str| json!({ "aecl.supervisor": pid, "aecl.supervisor.started": "1", "aecl.supervisor.place": place });
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let place = format!("{} {}", boot.trim(), fs::read_link("/proc/self/ns/pid").unwrap().display());
    let make = |labels: Value| {
        let config = json!({ "Image": image, "Entrypoint": ["/aecl-cage"], "Labels": labels });
        daemon.ask("POST", "/containers/create", &config)["Id"].as_str().unwrap().to_owned()
    };
    let (left, of_another) = (make(labels("4194999", &place)), make(labels("4194999", "another")));
    probe(&[daemon.backend()]).await;
    let ids = || -> Vec<String> {
        daemon.containers().iter().map(|container| container["Id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!ids().contains(&left) && ids().contains(&of_another) && ids().contains(&id), "{:?}", ids());

    // A launcher that hangs is ended by its supervisor.
    let short = Cage { clocks: clocks(Duration::from_millis(1_500)), ..cage.clone() };
    let running = start(shell("sleep 1000"), short).await.unwrap();
    let launcher = running.launcher_id().unwrap();
    let family = descendants(launcher);
    assert!(Command::new("kill").args(["-STOP", &launcher.to_string()]).status().unwrap().success());
    assert_eq!(running.wait().await.outcome, Termination::TimedOut(Level::Call));
    assert_gone(&family).await;
    let late = Instant::now() + Duration::from_secs(5);
    while ids().len() > 2 {
        assert!(Instant::now() < late, "{:?}", ids());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whoever may talk to the daemon can freeze containers. What is frozen does not end when it is killed.
#[tokio::test]
async fn a_paused_container_is_over_at_its_deadline() {
    let Some(daemon) = Daemon::start() else { return };
    let pause = || {
        let all = daemon.containers();
        let id = all.iter().find(|one| one["State"] == "running").unwrap()["Id"].as_str().unwrap().to_owned();
        daemon.ask("POST", &format!("/containers/{id}/pause"), &Value::Null);
        assert_eq!(
            daemon.ask("GET", &format!("/containers/{id}/json"), &Value::Null)["State"]["Paused"],
            true
        );
    };
    let short = Cage { clocks: clocks(Duration::from_millis(2_500)), ..by(&daemon) };
    let running = start(shell("echo x; sleep 1000"), short.clone()).await.unwrap();
    let family = descendants(running.launcher_id().unwrap());
    pause();
    let ended = tokio::time::timeout(Duration::from_secs(8), running.wait()).await.expect("it is waited for");
    assert_eq!((ended.outcome, text(&ended)), (Termination::TimedOut(Level::Call), "x\n".into()));
    assert_gone(&family).await;
    daemon.wait_until_it_has_no_container();
    // Nor when nobody can end it any more.
    let running = start(shell("echo x; sleep 1000"), short).await.unwrap();
    let family = descendants(running.launcher_id().unwrap());
    pause();
    daemon.kill_alone();
    let ended = tokio::time::timeout(Duration::from_secs(8), running.wait()).await.expect("it is waited for");
    assert_eq!((ended.outcome, text(&ended)), (Termination::TimedOut(Level::Call), "x\n".into()));
    // It was killed, and goes as soon as it is thawed.
    drop(daemon);
    assert_gone(&family).await;
}

/// It is our launcher that finds what is shown. A daemon would follow the link, and as root.
#[tokio::test]
async fn a_link_on_the_way_to_a_view_is_refused() {
    let Some(daemon) = Daemon::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    let view = View { source: dir.path().join("link"), at: "/project".into(), access: Access::ReadOnly };
    let why = run(shell("true"), Cage { views: vec![view], ..by(&daemon) }).await.unwrap_err();
    assert!(matches!(&why, SandboxError::Setup { step, .. } if step.starts_with("showing `")), "{why}");
    // Many things to show do not fit into one message.
    let views = (0..40).map(|n| View {
        source: dir.path().join("real"),
        at: format!("/view{n}").into(),
        access: Access::ReadOnly,
    });
    let end = ended("ls -d /view* | wc -l", Cage { views: views.collect(), ..by(&daemon) }).await;
    assert_eq!(text(&end), "40\n");
}

/// Somebody who finds the place where launchers come to, and is there first.
#[tokio::test]
async fn who_comes_before_the_launcher_gets_nothing_and_spoils_nothing() {
    let Some(daemon) = Daemon::start() else { return };
    let ours = format!("aecl-docker-{}-", std::process::id());
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let other = std::thread::spawn(move || {
        let mut come = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/run").unwrap().flatten() {
                if come.len() < 17 && entry.file_name().to_string_lossy().starts_with(&ours) {
                    let kind = rustix::net::SocketType::SEQPACKET;
                    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, kind, None).unwrap();
                    let at = rustix::net::SocketAddrUnix::new(entry.path().join("socket")).unwrap();
                    if rustix::net::connect(&socket, &at).is_ok() {
                        // Most say nothing, more of them than are heard at once.
                        if come.len() < 3 {
                            let _ = rustix::net::send(&socket, b"it is me", rustix::net::SendFlags::NOSIGNAL);
                        }
                        come.push(socket);
                    }
                }
            }
        }
        let heard = |socket: &std::os::fd::OwnedFd| {
            let mut said = [0; 64];
            rustix::net::recv(socket, &mut said[..], rustix::net::RecvFlags::DONTWAIT).map_or(0, |(n, _)| n)
        };
        (come.len(), come.iter().map(heard).sum::<usize>())
    });
    let end = run(shell("echo here"), by(&daemon)).await;
    done.store(true, Ordering::Relaxed);
    assert_eq!(other.join().unwrap(), (17, 0));
    assert_eq!(text(&end.unwrap()), "here\n");
    // No cage shows the way there, nor to the daemon.
    for source in [Path::new("/run"), &daemon.socket(), daemon.socket().parent().unwrap()] {
        let view = View { source: source.into(), at: "/project".into(), access: Access::ReadOnly };
        let why =
            run(shell("true"), Cage { views: vec![view], ..by(&daemon) }).await.unwrap_err().to_string();
        let of_itself = source == daemon.socket() && why.contains("is a socket or a pipe");
        assert!(of_itself || why.contains("leads to the daemon's socket"), "{why}");
    }
}

#[tokio::test]
async fn a_program_ends_well_though_its_daemon_has_died() {
    let Some(daemon) = Daemon::start() else { return };
    let mut running = start(shell("cat; echo x > y"), by(&daemon)).await.unwrap();
    let other = start(shell("sleep 1000"), by(&daemon)).await.unwrap();
    let family = descendants(other.launcher_id().unwrap());
    daemon.kill_alone();
    drop(running.stdin.take());
    let end = running.wait().await;
    assert_eq!(end.outcome, Termination::Exited(0));
    other.kill();
    assert_eq!(other.wait().await.outcome, Termination::Killed);
    assert_gone(&family).await;
    let before = Instant::now();
    let why = run(shell("true"), by(&daemon)).await.unwrap_err().to_string();
    assert!(why.contains("no daemon answers") && before.elapsed() < Duration::from_secs(2), "{why}");
}

/// Not a test of its own: what somebody does who is not root and may talk to a daemon.
#[tokio::test]
async fn as_somebody() {
    let (Some(socket), Some(dir)) = (std::env::var_os("AECL_TEST_SOCKET"), std::env::var_os("AECL_TEST_DIR"))
    else {
        return;
    };
    let backend = Backend::Docker(Docker { socket: socket.into() });
    let found = &probe(std::slice::from_ref(&backend)).await[0];
    assert!(found.available && found.enforced.memory && found.enforced.cpu, "{}", found.reason);
    let limits = Limits { memory_max_bytes: Some(64 << 20), cpu_max_millicores: Some(500), ..cage().limits };
    let cage = Cage { backend, limits, ..cage() };
    let end = ended("x=x; while :; do x=$x$x; done", cage.clone()).await;
    assert_eq!(end.outcome, Termination::OutOfMemory, "{}", text(&end));
    assert_eq!(end.held.user, HostUser::Ours);
    assert!(end.held.cgroup.is_some(), "{:?}", end.held);
    // Half of a core: the user's time of a second of spinning, `0m0.490s 0m0.000s` in the last line.
    let end = ended("timeout 1 sh -c 'while :; do :; done'; times", cage.clone()).await;
    let said = text(&end);
    let used = said.lines().last().unwrap().split(['m', 's']).nth(1).unwrap();
    assert!(used.parse::<f64>().unwrap() < 0.7, "{said}");
    // It sees what is its own, and nothing that it could not see without.
    let view = |source| View { source, at: "/project".into(), access: Access::Overlay };
    let place = std::env::temp_dir();
    let why = run(shell("true"), Cage { views: vec![view(place)], ..cage.clone() }).await.unwrap_err();
    assert!(why.to_string().contains("leads to the daemon's socket"), "{why}");
    let view = view(dir.into());
    let end = ended(
        "cat /project/mine; echo b > /project/a; cat /project/roots",
        Cage { views: vec![view], ..cage },
    );
    let end = end.await;
    assert_eq!(
        (end.outcome, &end.stdout.bytes[..]),
        (Termination::Exited(1), &b"mine"[..]),
        "{}",
        text(&end)
    );
    assert!(end.stderr.for_display().contains("Permission denied"));
    assert_eq!(end.scratch[1].at(), Path::new("/project"));
}

#[test]
fn an_ordinary_user_has_the_daemons_limits_and_its_own_rights() {
    let Some(daemon) = Daemon::start() else { return };
    let dir = tempfile::Builder::new().prefix("aecl-user").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for (name, mode, who) in [("mine", 0o600, 65_534), ("roots", 0o600, 0)] {
        let path = dir.path().join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(who), Some(who)).unwrap();
    }
    let place = tempfile::Builder::new().prefix("aecl-place").tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let me = dir.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &me).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(me);
    command.args(["--exact", "as_somebody"]).env("AECL_TEST_SOCKET", daemon.socket());
    let output = command.env("AECL_TEST_DIR", dir.path()).env("TMPDIR", place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Answers each request with what belongs to its path, or with nothing.
fn stand_in(dir: &Path, name: &str, answers: &'static [(&'static str, &'static str)]) -> Backend {
    let socket = dir.join(name);
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 64 << 10];
            let count = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let answer =
                answers.iter().find(|(path, _)| request.contains(path)).map_or("", |(_, answer)| answer);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Backend::Docker(Docker { socket })
}

const VERSION: (&str, &str) = (
    "/version",
    "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"27.0\",\"ApiVersion\":\"1.46\",\"Os\":\"linux\",\"Arch\":\"amd64\"}",
);
const INFO: (&str, &str) =
    ("/info", "HTTP/1.0 200 OK\r\n\r\n{\"CgroupVersion\":\"2\",\"SecurityOptions\":[\"name=rootless\"]}");

#[tokio::test]
async fn a_daemon_that_is_missing_old_or_false_is_refused() {
    let dir = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
    let here = |name: &str, answers| stand_in(dir.path(), name, answers);
    fs::write(dir.path().join("file"), "").unwrap();
    let at = |name: &str| Backend::Docker(Docker { socket: dir.path().join(name) });
    let old = "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"19.03\",\"ApiVersion\":\"1.40\",\"Os\":\"linux\",\"Arch\":\"amd64\"}";
    let other = "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"27\",\"ApiVersion\":\"1.46\",\"Os\":\"windows\",\"Arch\":\"amd64\"}";
    let no_image = "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no such image\"}";
    let full = "HTTP/1.0 500 Internal Server Error\r\n\r\n{\"message\":\"no space left on device\"}";
    let failed = "HTTP/1.0 200 OK\r\n\r\n{\"stream\":\"Loading\"}\r\n{\"errorDetail\":{\"message\":\"no space left here\"},\"error\":\"no\"}\r\n";
    let another = "HTTP/1.0 200 OK\r\n\r\n{\"Id\":\"sha256:1\",\"RootFS\":{\"Layers\":[\"sha256:2\"]}}";
    let loaded = "HTTP/1.0 200 OK\r\n\r\n{}";
    let answers = |list: Vec<(&'static str, &'static str)>| -> &'static [_] { Vec::leak(list) };
    let unlimited = Limits { memory_max_bytes: None, ..cage().limits };
    for (backend, limits, expected) in [
        (at("nothing"), unlimited, "`apt-get install docker.io`"),
        (at("file"), unlimited, "no daemon answers"),
        (here("mute", answers(vec![])), unlimited, "is answered in no known form"),
        (
            here("old", answers(vec![("/version", old)])),
            unlimited,
            "too old: its interface is 1.40, and 1.41",
        ),
        (here("other", answers(vec![("/version", other)])), unlimited, "holds programs of `windows`"),
        (
            here("weak", answers(vec![VERSION, INFO])),
            Limits { memory_max_bytes: Some(64 << 20), ..unlimited },
            "nothing here enforces `memory_max_bytes`: docker 27.0 says",
        ),
        (
            here("full", answers(vec![VERSION, INFO, ("/images/load", full), ("/images/", no_image)])),
            unlimited,
            "the daemon says 500: no space left on device",
        ),
        (
            here("late", answers(vec![VERSION, INFO, ("/images/load", failed), ("/images/", no_image)])),
            unlimited,
            "no space left here",
        ),
        (
            here("liar", answers(vec![VERSION, INFO, ("/images/load", loaded), ("/images/", another)])),
            unlimited,
            "the daemon has another image as `aecl-cage:",
        ),
    ] {
        let scratch_max_bytes = 1 << 20;
        let cage =
            Cage { backend: backend.clone(), limits: Limits { scratch_max_bytes, ..limits }, ..cage() };
        let why = run(shell("echo it ran"), cage).await.unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
        let found = &probe(&[backend]).await[0];
        assert!(!found.available, "{found:?}");
        // The probe asks for no limit that a daemon says it has not, and gets as far as that one's image.
        let asks_less = limits.memory_max_bytes.is_some();
        let expected = if asks_less { "`/images/aecl-cage:" } else { expected };
        assert!(found.reason.contains(expected), "{}", found.reason);
    }
}

/// The clocks run while the daemon works, and after that they go on.
#[tokio::test]
async fn a_deadline_is_that_of_the_container_too() {
    let dir = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
    let silent = UnixListener::bind(dir.path().join("silent")).unwrap();
    let backend = Backend::Docker(Docker { socket: dir.path().join("silent") });
    let short = Cage { backend, clocks: clocks(Duration::from_millis(300)), ..cage() };
    let before = Instant::now();
    let ran = tokio::time::timeout(Duration::from_secs(5), run(shell("true"), short)).await;
    let why = ran.expect("it is waited for").unwrap_err().to_string();
    assert!(
        why.contains("the deadline of its call was over") && before.elapsed().as_millis() < 2_000,
        "{why}"
    );
    drop(silent);
    // Most of a clock is over before the program runs.
    let Some(daemon) = Daemon::start() else { return };
    ended("true", by(&daemon)).await;
    let before = Instant::now();
    ended("true", by(&daemon)).await;
    let usual = before.elapsed();
    let clock = (usual * 4).max(Duration::from_secs(2));
    let before = Instant::now();
    let end = ended("sleep 1000", Cage { clocks: clocks(clock), ..by(&daemon) }).await;
    let took = before.elapsed();
    assert_eq!(end.outcome, Termination::TimedOut(Level::Call));
    assert!(took < clock + usual * 3 / 4, "{took:?} of {clock:?}, where a container takes {usual:?}");
}

/// A daemon may make a container and break off before it has said so.
#[tokio::test]
async fn a_container_of_which_nothing_is_heard_is_removed_by_its_name() {
    let dir = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
    let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
    let (asked, all) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 64 << 10];
            let count = stream.read(&mut request).unwrap();
            let line = String::from_utf8_lossy(&request[..count]).lines().next().unwrap().to_owned();
            let image = line.split_once("aecl-cage:").and_then(|(_, rest)| rest.split_once("/json"));
            let answer = match image {
                Some((layer, _)) => format!(
                    "HTTP/1.0 200 OK\r\n\r\n{{\"Id\":\"sha256:1\",\"RootFS\":{{\"Layers\":[\"sha256:{layer}\"]}}}}"
                ),
                None if line.contains("/version") => VERSION.1.to_owned(),
                None if line.contains("/info") => INFO.1.to_owned(),
                None => String::new(),
            };
            asked.send(line).unwrap();
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let backend = Backend::Docker(Docker { socket: dir.path().join("sock") });
    let limits = Limits { memory_max_bytes: None, cpu_max_millicores: None, ..cage().limits };
    let why = run(shell("true"), Cage { backend, limits, ..cage() }).await.unwrap_err().to_string();
    assert!(why.contains("making a container"), "{why}");
    let asked: Vec<String> = all.try_iter().collect();
    let [.., created, removed] = &asked[..] else { panic!("{asked:?}") };
    let name = created.strip_prefix("POST /containers/create?name=").and_then(|rest| rest.split(' ').next());
    let name = name.filter(|name| name.starts_with("aecl-")).unwrap();
    assert_eq!(removed, &format!("DELETE /containers/{name}?force=1&v=1 HTTP/1.0"));
}

#[tokio::test]
async fn where_a_daemon_maps_users_the_program_is_one_of_its_range() {
    let Some(daemon) = Daemon::start_that_maps_users() else { return };
    let found = &probe(&[daemon.backend()]).await[0];
    assert!(found.available && found.reason.contains("maps the users"), "{}", found.reason);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("private"), "mine").unwrap();
    fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let view = View { source: dir.path().into(), at: "/project".into(), access: Access::Overlay };
    let script = "cat /project/private; echo theirs > /project/private; echo x > y";
    let end = ended(script, Cage { views: vec![view], ..by(&daemon) }).await;
    assert_eq!((end.outcome, text(&end)), (Termination::Exited(0), "mine".into()));
    let HostUser::Separate { uid } = end.held.user else { panic!("{:?}", end.held) };
    assert!((RANGE.0 + 1..RANGE.0 + RANGE.1).contains(&uid) && end.held.owners_mapped, "{:?}", end.held);
    assert_eq!(fs::read_to_string(dir.path().join("private")).unwrap(), "mine");
}

/// A program that is not there is told apart from a container that is not.
#[tokio::test]
async fn a_container_that_cannot_be_started_says_why() {
    let Some(daemon) = Daemon::start() else { return };
    let missing = Program { argv: vec!["/no/such".into()], ..shell("") };
    let why = run(missing, by(&daemon)).await.unwrap_err();
    assert!(matches!(why, SandboxError::NotInCage { .. }), "{why}");
    assert!(is_root());
    // Nothing of the meeting is left, neither here nor there.
    let ours = format!("aecl-docker-{}-", std::process::id());
    let left = || {
        let all = fs::read_dir("/run").unwrap().flatten();
        all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours)).count()
    };
    // Other tests of this process meet theirs there.
    let late = Instant::now() + Duration::from_secs(20);
    while left() > 0 {
        assert!(Instant::now() < late);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
