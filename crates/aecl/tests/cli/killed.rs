//! `aecl run --keep` that is killed while it puts changes into their places: whoever comes next finishes it, or nothing
//! had happened. Killed by `strace` at a system call that the kernel has not carried out yet.

use crate::program::{Aecl, Ran, read};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Two directories that a command changes, and the folder of this user's in which that is written down.
struct Ground {
    dir: tempfile::TempDir,
    state: tempfile::TempDir,
    nobody: bool,
}

/// Changes, makes and deletes files, turns a file and a link into directories and a directory into a file.
const CHANGE: &str = "cd /one; echo new > a; rm b; mkdir -p new/deep; echo n > new/deep/n; chmod 700 new; rm link; \
    mkdir link; echo l > link/l; rm -r gone; echo f > gone; rm file; mkdir file; echo x > file/x; ln -s a way; \
    chmod 755 tool; echo new > sub/f; cd /two; echo new > c; echo d > d";

impl Ground {
    fn new(nobody: bool) -> Self {
        let ground = Self { dir: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap(), nobody };
        let top = ground.dir.path();
        for dir in ["one/gone", "one/sub", "two"] {
            fs::create_dir_all(top.join(dir)).unwrap();
        }
        for name in ["one/a", "one/b", "one/file", "one/tool", "one/gone/g", "one/sub/f", "two/c"] {
            fs::write(top.join(name), "old\n").unwrap();
        }
        symlink("sub", top.join("one/link")).unwrap();
        if nobody && rustix::process::geteuid().is_root() {
            let all = [
                "",
                "one",
                "one/gone",
                "one/sub",
                "two",
                "one/a",
                "one/b",
                "one/file",
                "one/tool",
                "one/gone/g",
            ];
            for name in all.iter().chain(&["one/sub/f", "two/c"]) {
                chown(top.join(name), Some(65534), Some(65534)).unwrap();
            }
            chown(ground.state.path(), Some(65534), Some(65534)).unwrap();
        }
        ground
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let aecl = Aecl::on(&self.at(".aecl"));
        let mut command = if self.nobody { aecl.by_nobody() } else { aecl }.command(args);
        command.env("XDG_STATE_HOME", self.state.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        read(self.command(args).output().unwrap())
    }

    /// A keep, with something that is done at a system call.
    fn keep_under(&self, inject: &str) -> Command {
        let keep = ["run", "--memory", "none", "--keep", "--yes", "--keep-special"];
        let (one, two) =
            (format!("{}:/one", self.at("one").display()), format!("{}:/two", self.at("two").display()));
        let plain = self
            .command(&[&keep[..], &["--write", &one, "--write", &two, "--", "sh", "-ec", CHANGE]].concat());
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e"]).arg(format!("inject={inject}")).arg("--");
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(self.dir.path());
        command.env("XDG_STATE_HOME", self.state.path()).env_remove("AECL_KEY").env_remove("AECL_DIR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Whether it came to an end although it was to be killed at this call.
    fn keeps_but_is_killed_at(&self, call: &str, number: usize) -> bool {
        let output = self.keep_under(&format!("{call}:signal=SIGKILL:when={number}")).output().unwrap();
        let is_whole = output.status.success();
        assert!(is_whole || output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        is_whole
    }

    /// What lies in both directories.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut open = vec![self.at("one"), self.at("two")];
        while let Some(path) = open.pop() {
            let about = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(self.dir.path()).unwrap().display().to_string();
            let said = if about.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                format!("directory {:o}", about.mode() & 0o777)
            } else if about.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else {
                format!("{:o} {}", about.mode() & 0o777, fs::read_to_string(&path).unwrap())
            };
            all.insert(name, said);
        }
        all
    }

    fn journals(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state.path().join("aecl/keeps")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn has_strace() -> bool {
    let has = Command::new("strace").arg("-V").output().is_ok();
    if !has {
        println!("`strace` is not installed: `apt-get install strace`");
    }
    has
}

/// Kills at each of these calls, one after the other, and sees what the next run makes of it.
fn killed_at_each(call: &str, nobody: bool) {
    if !has_strace() {
        return;
    }
    let before = Ground::new(nobody).tree();
    let whole = Ground::new(nobody);
    assert!(whole.keeps_but_is_killed_at(call, 10_000));
    let after = whole.tree();
    assert_ne!(before, after);
    let mut is_made = false;
    for number in 1.. {
        let ground = Ground::new(nobody);
        if ground.keeps_but_is_killed_at(call, number) {
            assert!(number > 1 && ground.tree() == after, "{call} {number}");
            break;
        }
        let left = ground.tree();
        let was_begun = !ground.journals().is_empty();
        let ran = ground.run(&["run", "--memory", "none", "--", "true"]).ended(0);
        let now = ground.tree();
        assert!(now == before || now == after, "{call} {number}: {}\n{left:#?}\n{now:#?}", ran.err);
        assert!(!is_made || now == after, "{call} {number}: what was made is taken back: {}", ran.err);
        assert!(left == now || was_begun, "{call} {number}");
        assert_eq!(ground.journals(), Vec::<PathBuf>::new(), "{call} {number}: {}", ran.err);
        is_made = now == after;
    }
}

#[test]
fn a_keep_that_is_killed_while_names_change_is_finished_by_the_next_run() {
    killed_at_each("renameat2", false);
    killed_at_each("mkdirat", false);
}

#[test]
fn a_keep_that_is_killed_while_it_flushes_is_whole_or_never_was() {
    killed_at_each("fsync", false);
}

#[test]
fn a_keep_that_is_killed_while_it_cleans_up_is_cleaned_up_by_the_next_run() {
    killed_at_each("unlinkat", false);
    killed_at_each("fchmod", false);
}

#[test]
fn a_killed_keep_of_an_ordinary_user_is_finished_as_well() {
    killed_at_each("renameat2", true);
    killed_at_each("unlinkat", true);
}

/// The rescuer is killed as well, at each of its own steps.
#[test]
fn whoever_finishes_may_be_killed_too() {
    if !has_strace() {
        return;
    }
    let whole = Ground::new(false);
    assert!(whole.keeps_but_is_killed_at("renameat2", 10_000));
    for call in ["renameat2", "unlinkat"] {
        let ground = Ground::new(false);
        assert!(!ground.keeps_but_is_killed_at("renameat2", 6));
        let mut attempts = 0;
        loop {
            let plain = ground.command(&["run", "--recover"]);
            let mut command = Command::new("strace");
            command.args([
                "-o",
                "/dev/null",
                "-e",
                &format!("inject={call}:signal=SIGKILL:when={}", attempts + 1),
            ]);
            command.arg("--");
            command.arg(plain.get_program()).args(plain.get_args()).current_dir(ground.dir.path());
            command.env("XDG_STATE_HOME", ground.state.path());
            if command.output().unwrap().status.success() {
                break;
            }
            attempts += 1;
            assert!(attempts < 100, "{call}: {:#?}", ground.tree());
        }
        assert!(attempts > 0);
        assert_eq!(ground.tree(), whole.tree(), "{call}");
        assert!(ground.journals().is_empty());
    }
}

#[test]
fn what_somebody_changed_after_a_keep_was_killed_is_left_and_named() {
    if !has_strace() {
        return;
    }
    let ground = Ground::new(false);
    assert!(!ground.keeps_but_is_killed_at("renameat2", 1));
    fs::write(ground.at("one/a"), "mine\n").unwrap();
    // A place that leads elsewhere now.
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), "old\n").unwrap();
    fs::rename(ground.at("one/sub"), ground.at("one/was")).unwrap();
    symlink(outside.path(), ground.at("one/sub")).unwrap();
    let doctor = ground.run(&["doctor"]);
    assert!(doctor.out.contains("ended in the middle") && doctor.out.contains("--recover"), "{}", doctor.out);
    let told = ground.run(&["--json", "run", "--memory", "none", "--", "true"]).ended(0).json();
    let left = &told["recovered"][0]["left"];
    let one = |name: &str| {
        let path = ground.at(name).canonicalize().unwrap_or_else(|_| ground.at(name));
        left.as_array().unwrap().iter().find(|left| left["path"] == json!(path)).cloned()
    };
    let mine = one("one/a").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(mine["saved"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(fs::read_to_string(ground.at("one/a")).unwrap(), "mine\n");
    assert_eq!(fs::read_to_string(ground.at("one/a.aecl-new")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(outside.path().join("f")).unwrap(), "old\n");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(left.as_array().unwrap().len(), 2, "{told}");
    // All else is there, and is told once.
    assert!(!ground.at("one/b").exists() && ground.at("two/d").exists() && ground.at("one/link/l").exists());
    let told = ground.run(&["--json", "run", "--memory", "none", "--", "true"]).ended(0).json();
    assert_eq!(told["recovered"], json!([]));
}

#[test]
fn a_record_that_is_not_this_users_alone_gives_nothing() {
    if !has_strace() {
        return;
    }
    let ground = Ground::new(false);
    assert!(!ground.keeps_but_is_killed_at("renameat2", 1));
    let (journal, before) = (ground.journals().remove(0), ground.tree());
    let good = fs::read_to_string(&journal).unwrap();
    let about = fs::metadata(&journal).unwrap();
    assert_eq!(about.mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(journal.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    assert!(!good.contains("new\\n") && !good.contains("old\\n"), "no content stands in it");
    let refuses = |why: &str| {
        let told = ground.run(&["--json", "run", "--recover"]).ended(123).json();
        assert_eq!(told["recovered"], json!([]), "{told}");
        let said = told["unbelieved"][0]["why"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(why), "{told}");
        let doctor = ground.run(&["doctor"]);
        assert!(doctor.code == 1 && doctor.out.contains("does not count"), "{}", doctor.out);
        assert_eq!(ground.tree(), before);
    };
    let open_to = |mode| fs::set_permissions(&journal, fs::Permissions::from_mode(mode)).unwrap();
    open_to(0o622);
    refuses("not yours alone");
    open_to(0o600);
    let second = ground.state.path().join("second");
    fs::hard_link(&journal, &second).unwrap();
    refuses("not yours alone");
    fs::remove_file(&journal).unwrap();
    symlink(&second, &journal).unwrap();
    refuses("link");
    fs::remove_file(&journal).unwrap();
    fs::rename(&second, &journal).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&journal, Some(65534), None).unwrap();
        refuses("not yours alone");
        chown(&journal, Some(0), None).unwrap();
    }
    for (from, to) in [
        ("\"path\":\"a\"", "\"path\":\"../a\""),
        ("\"beside\":\"\"", "\"beside\":\"..\""),
        ("\"tag\":\"run-", "\"tag\":\"run-../"),
        ("\"v\":1", "\"v\":2"),
    ] {
        fs::write(&journal, good.replacen(from, to, 1)).unwrap();
        refuses("");
    }
    // Of a record that was changed nothing says that it was complete: what waits is removed, and that is all.
    fs::write(&journal, good.replacen("\"is_marked\":false", "\"is_marked\":true", 1)).unwrap();
    let told = ground.run(&["--json", "run", "--recover"]).ended(0).json();
    assert_eq!(told["recovered"][0]["end"], "taken_back", "{told}");
    assert_eq!(ground.tree(), Ground::new(false).tree());
    fs::set_permissions(journal.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    let ran = ground.run(&["run", "--recover"]).ended(125);
    assert!(ran.err.contains("others may enter it"), "{}", ran.err);
    let ran = ground.run(&["run", "--keep", "--yes", "--write", ".", "--", "true"]).ended(125);
    assert!(ran.err.contains("others may enter it") && ran.err.contains("XDG_STATE_HOME"), "{}", ran.err);
}

#[test]
fn whoever_still_works_is_not_taken_over() {
    if !has_strace() {
        return;
    }
    let ground = Ground::new(false);
    let child = ground.keep_under("renameat2:signal=SIGSTOP:when=3").spawn().unwrap();
    let late = Instant::now() + Duration::from_secs(60);
    let moves = |ground: &Ground| {
        ground
            .journals()
            .iter()
            .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("\nmoving ")))
    };
    // From there on it comes no further than the third name.
    while !moves(&ground) {
        assert!(Instant::now() < late, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = ground.run(&["--json", "run", "--recover"]).ended(0).json();
    assert_eq!(told, json!({ "recovered": [], "unbelieved": [] }));
    let told = ground.run(&["--json", "run", "--memory", "none", "--", "true"]).ended(0).json();
    assert_eq!(told["recovered"], json!([]));
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let pid = fs::read_to_string(children).unwrap().trim().to_owned();
    // It may not have come to its stop yet; once it has, this ends it.
    let mut child = child;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < late, "it does not end");
        Command::new("kill").args(["-CONT", &pid]).stderr(Stdio::null()).status().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    assert!(ground.journals().is_empty() && ground.at("two/d").exists());
}

/// Takes away what was mounted.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn what_cannot_be_written_in_one_view_is_kept_in_none() {
    let ground = Ground::new(false);
    let small = ground.at("two");
    let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
    if !Command::new("mount").args(mount).arg(&small).status().is_ok_and(|status| status.success()) {
        println!("nothing can be mounted here");
        return;
    }
    let _mounted = Mounted(small.clone());
    let before = ground.tree();
    let (one, two) = (format!("{}:/one", ground.at("one").display()), format!("{}:/two", small.display()));
    let line = "echo new > /one/a; head -c 200000 /dev/zero > /two/big";
    let views = ["--write", &one, "--write", &two, "--", "sh", "-ec", line];
    let ran = ground.run(&[&["run", "--memory", "none", "--keep", "--yes"], &views[..]].concat()).ended(123);
    assert!(ran.err.contains("nothing was kept") && ran.err.contains("No space left"), "{}", ran.err);
    assert_eq!(ground.tree(), before);
    assert!(ground.journals().is_empty());
}

#[test]
fn what_two_views_change_is_kept_in_none() {
    let ground = Ground::new(false);
    let before = ground.tree();
    let run = |second: &str, line: &str| {
        let (one, two) =
            (format!("{}:/x", ground.at("one").display()), format!("{}:/y", ground.at(second).display()));
        let views = ["--write", &one, "--write", &two, "--", "sh", "-ec", line];
        ground.run(&[&["run", "--memory", "none", "--keep", "--yes"], &views[..]].concat()).ended(123)
    };
    for (second, line) in
        [("one", "echo x > /x/a; echo y > /y/a"), ("one/sub", "rm -r /x/sub; echo y > /y/f")]
    {
        let ran = run(second, line);
        assert!(ran.err.contains("nothing was kept") && ran.err.contains("two views"), "{}", ran.err);
        assert_eq!(ground.tree(), before);
    }
    // What only shows when names change is taken back in the directories before it.
    let ran = run("one/gone", "rm -r /x/gone; echo n > /y/n; echo new > /x/a");
    assert!(ran.err.contains("nothing was kept"), "{}", ran.err);
    assert_eq!(ground.tree(), before);
    assert!(ground.journals().is_empty());
}

/// A cage that could write there could have changes made that nobody has seen.
#[test]
fn no_cage_reaches_the_record_of_keeps() {
    let ground = Ground::new(false);
    ground.run(&["run", "--memory", "none", "--keep", "--yes", "--write", ".", "--", "true"]).ended(0);
    let keeps = ground.state.path().join("aecl/keeps");
    assert!(keeps.is_dir());
    let shown = format!("{}:/state", ground.state.path().display());
    let forge =
        "ls -A /state/aecl/keeps; echo forged > /state/aecl/keeps/x || true; mv /state/aecl /state/b || true";
    let args = ["run", "--memory", "none", "--keep", "--yes", "--write", &shown, "--", "sh", "-c", forge];
    ground.run(&args);
    assert_eq!(fs::read_dir(&keeps).unwrap().count(), 0);
    let itself = keeps.display().to_string();
    let ran = ground.run(&["run", "--write", &itself, "--", "true"]).ended(125);
    assert!(ran.err.contains("which no program sees"), "{}", ran.err);
}

#[test]
fn a_keep_without_a_place_for_its_record_begins_nothing() {
    let ground = Ground::new(false);
    let mut command =
        ground.command(&["run", "--keep", "--yes", "--write", ".", "--", "sh", "-c", "echo ran"]);
    let ran = read(command.env_remove("XDG_STATE_HOME").env_remove("HOME").output().unwrap()).ended(125);
    assert!(ran.err.contains("XDG_STATE_HOME") && ran.out.is_empty(), "{}", ran.err);
}
