//! What no cage shows, whatever holds it: homes of AECL, sockets of the host's programs, and what a process takes out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use aecl_sandbox::{
    Access, Backend, Cage, CollectLimits, Program, Termination, View, never_change, never_show, probe, run,
};
use common::daemon::Daemon;
use common::{as_an_ordinary_user, cage, shell};

const COLLECT: CollectLimits =
    CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 1 << 20, entries_max: 100 };

#[test]
fn the_same_is_hidden_from_an_ordinary_users_programs() {
    as_an_ordinary_user("the_same_is_hidden_from_an_ordinary_users_programs");
}

/// Every cage of this host that shows views.
async fn cages(daemon: Option<&Daemon>) -> Vec<Cage> {
    let backends: Vec<Backend> = Backend::all().into_iter().chain(daemon.map(Daemon::backend)).collect();
    let found = probe(&backends).await;
    let there = found.into_iter().filter(|found| found.available && found.offers.views);
    let cages: Vec<Cage> = there.map(|found| Cage { backend: found.backend, ..cage() }).collect();
    assert!(!cages.is_empty(), "not even our own cage is there");
    cages
}

fn home(dir: &Path) {
    fs::create_dir_all(dir.join("keys")).unwrap();
    fs::write(dir.join("aecl.yaml"), "origin: x").unwrap();
    fs::write(dir.join("keys/operator.key"), "SECRET-KEY").unwrap();
}

#[tokio::test]
async fn homes_below_a_view_are_empty_in_every_cage() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(top.join("file"), "seen").unwrap();
    home(&top.join(".aecl"));
    home(&top.join("sub/found"));
    home(&top.join("z/deep/er/than/most/home"));
    fs::hard_link(top.join(".aecl/keys/operator.key"), top.join("z/second")).unwrap();
    home(&top.join("a/b/c/d/named"));
    never_show(&top.join("a/b/c/d/named"));
    let look = "cat /it/file; find /it -name operator.key -o -name aecl.yaml; cat /it/.aecl/keys/operator.key /it/z/second; \
                ls -A /it/.aecl /it/sub/found /it/a/b/c/d/named /it/z/deep/er/than/most/home; \
                echo x > /it/.aecl/aecl.yaml; \
                mv /it/.aecl /it/moved; umount /it/.aecl; cat /it/moved/keys/operator.key; true";
    let nothing = "seen/it/.aecl:\n\n/it/a/b/c/d/named:\n\n/it/sub/found:\n\n/it/z/deep/er/than/most/home:\n";
    let daemon = Daemon::start();
    for cage in cages(daemon.as_ref()).await {
        for access in [Access::ReadOnly, Access::Overlay] {
            if access == Access::Overlay && matches!(cage.backend, Backend::Runsc(_)) {
                continue;
            }
            let name = format!("{} {access:?}", cage.backend);
            let view = View { source: top.clone(), at: "/it".into(), access };
            let end = run(shell(look), Cage { views: vec![view], ..cage.clone() }).await.unwrap();
            let (seen, said) = (end.stdout.for_display(), end.stderr.for_display());
            // An old gVisor cannot even look at what is mounted in a view.
            let nothing =
                if matches!(cage.backend, Backend::Runsc(_)) && seen == "seen" { "seen" } else { nothing };
            assert_eq!((end.outcome, seen.as_str()), (Termination::Exited(0), nothing), "{name}: {said}");
            assert!(!said.contains("SECRET"), "{name}: {said}");
            if access == Access::Overlay {
                let left = end.scratch[1].collect(COLLECT).unwrap();
                let homes = left.changes.iter().filter(|c| {
                    c.path.contains("aecl") || c.path.contains("moved/") || c.path.contains("z/")
                });
                assert_eq!(homes.count(), 0, "{name}: {:?}", left.changes);
            }
        }
        let own = View { source: top.join(".aecl/keys"), at: "/it".into(), access: Access::ReadOnly };
        let why = run(shell("true"), Cage { views: vec![own], ..cage.clone() }).await.unwrap_err();
        assert!(why.to_string().contains("which no program sees"), "{why}");
    }
    assert_eq!(fs::read_to_string(top.join(".aecl/aecl.yaml")).unwrap(), "origin: x");
}

#[tokio::test]
async fn a_part_of_a_view_is_not_shown_or_not_written_over_in_any_cage() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("docs/deep")).unwrap();
    fs::create_dir_all(top.join("secrets")).unwrap();
    for file in ["file", "kept", "token", "docs/page", "docs/deep/page", "docs/draft", "secrets/one"] {
        fs::write(top.join(file), format!("of {file}\n")).unwrap();
    }
    for place in ["token", "secrets", "docs/draft"] {
        never_show(&top.join(place));
    }
    for place in ["docs", "kept", "not-there"] {
        never_change(&top.join(place));
    }
    let hostile = "cat token secrets/* docs/draft docs/page; echo x >token; rm -f token; mv secrets moved; \
                   umount docs; mount -o remount,rw docs; echo x >docs/page; echo x >docs/deep/new; rm -r docs; \
                   mv docs elsewhere; echo x >kept; mv kept away; ln -f file kept; chmod 777 docs; echo x >file; true";
    let daemon = Daemon::start();
    for cage in cages(daemon.as_ref()).await {
        if matches!(cage.backend, Backend::Runsc(_)) {
            continue; // no layers above views
        }
        let view = View { source: top.clone(), at: "/it".into(), access: Access::Overlay };
        let program = Program { cwd: Some("/it".into()), ..shell(hostile) };
        let end = run(program, Cage { views: vec![view], ..cage.clone() }).await.unwrap();
        let (seen, said) = (end.stdout.for_display(), end.stderr.for_display());
        assert_eq!(seen.trim(), "of docs/page", "{}: {said}", cage.backend);
        assert_eq!(end.outcome, Termination::Exited(0), "{}: {said}", cage.backend);
        let left = end.scratch[1].collect(COLLECT).unwrap();
        let paths: Vec<&str> = left.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["file"], "{}: {said}", cage.backend);
    }
}

#[tokio::test]
async fn a_socket_or_pipe_in_a_view_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
    let listener = UnixListener::bind(top.join("socket")).unwrap();
    listener.set_nonblocking(true).unwrap();
    fs::set_permissions(top.join("socket"), fs::Permissions::from_mode(0o777)).unwrap();
    let script = "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/it/socket')\ns.send(b'out')";
    let daemon = Daemon::start();
    for cage in cages(daemon.as_ref()).await {
        for access in [Access::ReadOnly, Access::Overlay] {
            if access == Access::Overlay && matches!(cage.backend, Backend::Runsc(_)) {
                continue;
            }
            let view = View { source: top.clone(), at: "/it".into(), access };
            let program = Program { argv: ["python3", "-c", script].map(String::from).to_vec(), ..shell("") };
            let end = run(program, Cage { views: vec![view], ..cage.clone() }).await.unwrap();
            let said = end.stderr.for_display();
            assert!(end.outcome == Termination::Exited(1), "{} {access:?}: {said}", cage.backend);
            assert!(said.contains("Error"), "{said}");
            match listener.accept() {
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                Ok((mut it, _)) => {
                    let mut got = String::new();
                    drop(it.read_to_string(&mut got));
                    panic!("{} {access:?} reached the host: {got}", cage.backend);
                }
            }
        }
        let socket = View { source: top.join("socket"), at: "/it".into(), access: Access::ReadOnly };
        let why = run(shell("true"), Cage { views: vec![socket], ..cage.clone() }).await.unwrap_err();
        assert!(why.to_string().contains("is a socket or a pipe"), "{why}");
    }
}
