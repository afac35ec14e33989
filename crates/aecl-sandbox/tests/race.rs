//! Case 8: the source of a view is a directory at one moment and a link to the host's files at the next. Ten
//! thousand times the launcher's own step finds and mounts it, while another process swaps the two.
//!
//! The step is compiled in here, so that a try is four system calls and no cage. What comes of it in whole cages
//! is in `refusals.rs`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, dead_code, reason = "tests")]

#[path = "../src/bin/aecl-cage/fault.rs"]
mod fault;
#[path = "../src/bin/aecl-cage/groups.rs"]
mod groups;
#[path = "../src/bin/aecl-cage/namespaces.rs"]
mod namespaces;
#[path = "../src/bin/aecl-cage/sys.rs"]
mod sys;
#[path = "../src/bin/aecl-cage/tree.rs"]
mod tree;
#[path = "../src/protocol/wire.rs"]
mod wire;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fault::{Fault, Step};
use rustix::fs::{Mode, OFlags, RenameFlags};
use wire::{Mount, MountKind, Order};

const TRIES: u32 = 10_000;

/// How long the control may take: where there is one processor, a swap has to fall between two calls.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn ten_thousand_swaps_of_a_source_show_nothing_of_the_host() {
    let Some(dir) = std::env::var_os("AECL_RACE").map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("secret")).unwrap();
        fs::write(dir.path().join("secret/canary"), "of the host").unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        symlink(dir.path().join("secret"), dir.path().join("evil")).unwrap();
        // Root in a namespace is enough to take a copy of a mount.
        return again_as("tries", &["unshare", "--user", "--map-root-user", "--mount"], dir.path());
    };
    match std::env::var("AECL_RACE_PART").unwrap().as_str() {
        "swaps" => swap_until_killed(&dir),
        _ => race(&dir),
    }
}

/// Starts this test again, in one of its parts.
fn part(part: &str, with: &[&str], dir: &Path) -> Child {
    let me = std::env::current_exe().unwrap();
    let mut words = with.iter().map(std::ffi::OsStr::new).chain([me.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "ten_thousand_swaps_of_a_source_show_nothing_of_the_host"]);
    command.arg("--nocapture").env("AECL_RACE", dir).env("AECL_RACE_PART", part);
    command.stdin(Stdio::null()).spawn().unwrap()
}

fn again_as(name: &str, with: &[&str], dir: &Path) {
    assert!(part(name, with, dir).wait().unwrap().success());
}

fn swap_until_killed(dir: &Path) {
    let (source, evil) = (dir.join("source"), dir.join("evil"));
    loop {
        let swapped = rustix::fs::renameat_with(
            rustix::fs::CWD,
            &source,
            rustix::fs::CWD,
            &evil,
            RenameFlags::EXCHANGE,
        );
        swapped.unwrap();
    }
}

fn race(dir: &Path) {
    let mut swapping = part("swaps", &[], dir);
    let source = dir.join("source");
    let (mut hits, begun) = (0, Instant::now());
    // The control: look, then use the path, as one does.
    while hits < 10 && begun.elapsed() < PATIENCE {
        hits += u32::from(naively(&source));
    }
    let control = begun.elapsed();
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..TRIES {
        match find(&source) {
            Ok(found) => {
                let canary = rustix::fs::openat(&found.mounts[0].0, "canary", OFlags::RDONLY, Mode::empty());
                assert_eq!(canary.err(), Some(rustix::io::Errno::NOENT), "the host was shown");
                shown += 1;
            }
            Err(Fault { errno, .. }) => {
                assert_eq!(errno, 40, "a link on the way is refused, and nothing else goes wrong");
                refused += 1;
            }
        }
    }
    println!(
        "naively {hits} hits in {control:?}; {shown} shown, {refused} refused in {:?}",
        begun.elapsed() - control
    );
    assert!(swapping.try_wait().unwrap().is_none(), "swapped to the end");
    swapping.kill().unwrap();
    swapping.wait().unwrap();
    assert!(hits == 10 && shown > 0 && refused > 0, "{hits} hits, {shown} shown, {refused} refused");
}

/// Whether the secret was read through a source that had just been no link.
fn naively(source: &Path) -> bool {
    let is_dir = fs::symlink_metadata(source).is_ok_and(|about| about.is_dir());
    is_dir && fs::read(source.join("canary")).is_ok()
}

fn find(source: &Path) -> Result<tree::Found, Fault> {
    let mount = Mount {
        source: source.as_os_str().as_bytes().to_vec(),
        at: b"/project".to_vec(),
        kind: MountKind::View,
    };
    tree::find(&Order { mounts: vec![mount], ..Order::default() })
}
