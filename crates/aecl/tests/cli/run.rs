//! `aecl run`: a command in a cage, from a terminal.

use crate::program::Aecl;
use serde_json::json;
use std::fs;
use std::path::Path;

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "one\n").unwrap();
    fs::write(dir.path().join("b"), "two\n").unwrap();
    dir
}

/// Without a limit of memory, which an ordinary user without a cgroup cannot have.
fn caged(dir: &Path, args: &[&str]) -> crate::program::Ran {
    let all = [&["run", "--memory", "none"], args].concat();
    Aecl::on(&dir.join(".aecl")).fed(&all, b"input\n")
}

#[test]
fn a_command_sees_what_it_is_shown_and_ends_with_its_own_code() {
    let dir = project();
    let ran = caged(dir.path(), &["--", "sh", "-c", "cat; ls /root; ls; cat /etc/shadow; exit 7"]).ended(7);
    assert_eq!(ran.out, "input\n");
    assert!(ran.err.contains("No such file"), "{}", ran.err);
    let ran = caged(dir.path(), &["--view", ".", "--", "sh", "-c", "cat a; echo x > a"]).ended(2);
    assert_eq!(ran.out, "one\n");
    assert!(ran.err.contains("Read-only"), "{}", ran.err);
    let shown = format!("{}:/project", dir.path().display());
    let ran = caged(dir.path(), &["--view", &shown, "--", "pwd"]).ended(0);
    assert_eq!(ran.out, "/project\n");
    let ran =
        caged(dir.path(), &["--env", "A=b c", "--", "sh", "-c", "echo $A; env | grep -c AECL"]).ended(1);
    assert_eq!(ran.out, "b c\n0\n");
}

#[test]
fn no_view_shows_a_home_however_deep_it_lies_nor_a_second_name_of_a_key() {
    let dir = project();
    let elsewhere = dir.path().join("d/e/e/p/e/r/home");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    Aecl::on(&elsewhere).run(&["init"]).ended(0);
    fs::hard_link(elsewhere.join("keys/operator.key"), dir.path().join("second")).unwrap();
    fs::rename(elsewhere.join("aecl.yaml"), elsewhere.join("aecl.yaml.bak")).unwrap();
    let look = "cat a; cut -c1-12 second; find . -name '*.key' -o -name '*.pem' -o -name '*.bak'; \
                cut -c1-12 d/e/e/p/e/r/home/keys/*";
    let ran = caged(dir.path(), &["--view", ".", "--", "sh", "-c", look]).ended(1);
    assert_eq!(ran.out, "one\n", "{}", ran.err);
    for own in ["d/e/e/p/e/r/home", "d/e/e/p/e/r/home/keys"] {
        let ran = caged(dir.path(), &["--view", own, "--", "true"]).ended(125);
        assert!(ran.err.contains("which no program sees"), "{}", ran.err);
    }
}

#[test]
fn each_end_has_its_code() {
    let dir = project();
    caged(dir.path(), &["--timeout", "1", "--", "sleep", "60"]).ended(124);
    caged(dir.path(), &["--", "no-such-program"]).ended(127);
    caged(dir.path(), &["--", "sh", "-c", "kill -15 $$"]).ended(143);
    let ran = caged(dir.path(), &["--view", "/proc", "--", "true"]).ended(125);
    assert!(ran.err.contains("`/proc`"), "{}", ran.err);
    // What is wrong with us is none of what a program ends with.
    for wrong in [
        &["--view", "nothing-here", "--", "true"][..],
        &["--env", "A", "--", "true"],
        &["--timeout", "0", "--", "true"],
        &["--no-such-option", "--", "true"],
        &["--backend", "no-such-backend", "--", "true"],
        &["--policy", "no-such-file", "--", "true"],
        &["--image", "no-such-image", "--", "true"],
        &[],
    ] {
        let ran = caged(dir.path(), wrong).ended(125);
        assert!(ran.err.contains("error: ") && ran.out.is_empty(), "{wrong:?}: {}", ran.err);
    }
    caged(dir.path(), &["--help"]).ended(0);
    // What is there and cannot be executed is something else than what is not there.
    for (name, content, mode) in
        [("no-mode", "x", 0o644), ("no-program", "x", 0o755), ("no-shell", "#!/no/such\n", 0o755)]
    {
        fs::write(dir.path().join(name), content).unwrap();
        fs::set_permissions(dir.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(mode))
            .unwrap();
        let code = if name == "no-shell" { 127 } else { 126 };
        caged(dir.path(), &["--view", ".", "--", &format!("./{name}")]).ended(code);
    }
    caged(dir.path(), &["--", "/"]).ended(126);
    fs::create_dir(dir.path().join(".aecl")).unwrap();
    for wrong in ["nonsense: 1", "sandbox: [", "\u{7}"] {
        fs::write(dir.path().join(".aecl/aecl.yaml"), wrong).unwrap();
        caged(dir.path(), &["--", "true"]).ended(125);
    }
}

/// A cloned directory may have anything under the name of a home.
#[test]
fn what_only_has_the_name_of_a_home_stops_nobody() {
    let dir = project();
    let name = dir.path().join(".aecl");
    let run = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aecl"));
        command.args(["run", "--memory", "none", "--", "echo", "hi"]).current_dir(dir.path());
        let home = dir.path().join("user");
        command.env_remove("AECL_DIR").env_remove("XDG_DATA_HOME").env("HOME", home);
        crate::program::read(command.output().unwrap())
    };
    for kind in ["pipe", "file", "link"] {
        match kind {
            "pipe" => crate::handed::pipe(&name),
            "file" => fs::write(&name, "x").unwrap(),
            _ => std::os::unix::fs::symlink("a", &name).unwrap(),
        }
        let ran = run().ended(0);
        assert_eq!(ran.out, "hi\n", "{kind}");
        assert!(ran.err.contains("`.aecl` in this directory is no directory"), "{kind}: {}", ran.err);
        fs::remove_file(&name).unwrap();
    }
    // Of a directory everything is read that takes something away, or it is said why not.
    fs::create_dir(&name).unwrap();
    crate::handed::pipe(&name.join("aecl.yaml"));
    let ran = run().ended(125);
    assert!(ran.err.contains("[config_invalid]") && ran.err.contains("`--dir DIR`"), "{}", ran.err);
}

#[test]
fn changes_stay_in_the_cage_until_they_are_kept() {
    let dir = project();
    let change = ["--", "sh", "-ec", "echo three >> a; rm b; mkdir d; echo new > d/n"];
    let ran = caged(dir.path(), &[&["--write", "."], &change[..]].concat()).ended(0);
    assert!(ran.err.contains("3 files") && ran.err.contains("--keep"), "{}", ran.err);
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\n");
    // Nobody is at a terminal.
    let ran = caged(dir.path(), &[&["--write", ".", "--keep"], &change[..]].concat()).ended(123);
    assert!(ran.err.contains("+three") && ran.err.contains("--yes"), "{}", ran.err);
    assert!(dir.path().join("b").exists());
    caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &change[..]].concat()).ended(0);
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\nthree\n");
    assert_eq!(fs::read_to_string(dir.path().join("d/n")).unwrap(), "new\n");
    assert!(!dir.path().join("b").exists());
}

#[test]
fn a_part_is_never_kept_as_if_it_were_all() {
    let dir = project();
    let at = |name: &str| dir.path().join(name);
    let many = ["--", "sh", "-ec", "for n in $(seq 600); do echo x > f$n; done; echo v2 > a"];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &many[..]].concat()).ended(123);
    assert!(ran.err.contains("more entries than are collected"), "{}", ran.err);
    assert!(ran.err.contains("nothing was kept") && ran.err.contains("--keep-max-files"), "{}", ran.err);
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "one\n");
    let more = [&["--write", ".", "--keep", "--yes", "--keep-max-files", "700"], &many[..]].concat();
    caged(dir.path(), &more).ended(0);
    assert!(at("f600").exists() && at("f1").exists());
    // Deleted again, with too many for what is asked for.
    let gone = ["--", "sh", "-c", "mkdir sub; rm f*"];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &gone[..]].concat()).ended(123);
    assert!(at("f600").exists() && !at("sub").exists(), "{}", ran.err);
    // Something odd beside what can be kept.
    let odd = ["--", "sh", "-c", "mkfifo pipe; : > 'a\\b'; rm b; mkdir b; echo in > b/in; echo three > a"];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &odd[..]].concat()).ended(123);
    assert!(ran.err.contains("named pipe") && ran.err.contains("--keep-partial"), "{}", ran.err);
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "v2\n");
    let partly = [&["--write", ".", "--keep", "--yes", "--keep-partial"], &odd[..]].concat();
    caged(dir.path(), &partly).ended(123);
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "three\n");
    assert_eq!(fs::read_to_string(at("b/in")).unwrap(), "in\n");
    let told = Aecl::on(&at(".aecl"))
        .run(&[&["--json", "run", "--memory", "none", "--write", ".", "--keep", "--yes"], &odd[..]].concat());
    let told = told.ended(123).json();
    assert!(told["not_kept"].as_str().unwrap().contains("nothing was kept"), "{told}");
}

#[test]
fn a_yes_ahead_does_not_cover_what_acts_by_itself() {
    let dir = project();
    let hook = [
        "--",
        "sh",
        "-ec",
        "mkdir -p .git/hooks; echo '#!/bin/sh' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
    ];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &hook[..]].concat()).ended(123);
    assert!(ran.err.contains("! created") && ran.err.contains(".git/hooks/pre-commit"), "{}", ran.err);
    assert!(ran.err.contains("--keep-special") && !dir.path().join(".git").exists(), "{}", ran.err);
    // A repository under another name, and a tool that nobody has heard of.
    let bare = [
        "--",
        "sh",
        "-ec",
        "mkdir -p docs/data/objects docs/data/refs; echo 'ref: refs/heads/x' > docs/data/HEAD; \
         echo '[core] fsmonitor = \"touch pwned;:\"' > docs/data/config; echo x > .newtoolrc",
    ];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &bare[..]].concat()).ended(123);
    for name in ["docs/data/HEAD", "docs/data/config", ".newtoolrc"] {
        assert!(
            ran.err.lines().any(|l| l.starts_with("! created") && l.contains(name)),
            "{name}: {}",
            ran.err
        );
    }
    assert!(!dir.path().join("docs").exists(), "{}", ran.err);
    let out = ["--", "ln", "-s", "../../etc", "way"];
    let ran = caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &out[..]].concat()).ended(123);
    assert!(ran.err.contains("leads out of the directory"), "{}", ran.err);
    let special = [&["--write", ".", "--keep", "--yes", "--keep-special"], &hook[..]].concat();
    caged(dir.path(), &special).ended(0);
    assert!(dir.path().join(".git/hooks/pre-commit").exists());
}

/// What git runs because its configuration says so has an ordinary name.
#[test]
fn a_yes_ahead_does_not_cover_what_gits_configuration_names() {
    let place = tempfile::tempdir().unwrap();
    let at = |path: &str| place.path().join(path);
    let write = |path: &str, text: &str| {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), text).unwrap();
    };
    write("repo/.git/config", "[core]\n\thooksPath = githooks\n\tfsmonitor = tools/fsm\n");
    write("repo/.git/worktrees/w/commondir", "../..\n");
    write("w/.git", &format!("gitdir: {}\n", at("repo/.git/worktrees/w").display()));
    write("repo/.git/modules/sub/config", "[core]\n\tworktree = ../../../sub\n\tfsmonitor = ./mine\n");
    write("repo/sub/.git", "gitdir: ../.git/modules/sub\n");
    write("plain/.git/config", "");
    write("user/.gitconfig", &format!("[alias]\n\tx = !{}/plain/x.sh\n", place.path().display()));
    for file in
        ["repo/tools/fsm", "w/tools/fsm", "repo/sub/mine", "repo/other", "plain/x.sh", "plain/envfile"]
    {
        write(file, "x");
    }
    std::os::unix::fs::symlink(at("plain/envfile"), at("plain/.envrc")).unwrap();
    let keep = |dir: &str, file: &str, more: &[&str]| {
        let line = format!("mkdir -p $(dirname {file}); echo evil > {file}");
        let args = [
            &["run", "--memory", "none", "--write", ".", "--keep", "--yes"],
            more,
            &["--", "sh", "-ec", &line],
        ];
        let mut command = Aecl::on(&at(dir).join(".aecl")).command(&args.concat());
        command.env("HOME", at("user")).env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
        crate::program::read(command.output().unwrap())
    };
    for (dir, file, why) in [
        ("repo", "githooks/pre-commit", "`hookspath` of `.git/config` names it"),
        ("repo", "tools/fsm", "`fsmonitor` of `.git/config` names it"),
        ("repo", "sub/mine", "`fsmonitor` of `.git/modules/sub/config` names it"),
        ("repo/sub", "mine", "repo/.git/modules/sub/config` names it"),
        ("repo/tools", "fsm", "repo/.git/config` names it"),
        ("w", "tools/fsm", "repo/.git/config` names it"),
        ("plain", "x.sh", "user/.gitconfig` names it"),
        ("plain", "envfile", "the link `.envrc` leads to it"),
    ] {
        let before = fs::read(at(dir).join(file)).ok();
        let ran = keep(dir, file, &[]).ended(123);
        assert!(ran.err.contains(why), "{dir}/{file}: {}", ran.err);
        assert!(ran.err.contains("--keep-special"), "{}", ran.err);
        assert_eq!(fs::read(at(dir).join(file)).ok(), before);
    }
    for (dir, file) in [("repo", "other"), ("repo/sub", "other"), ("w", "other"), ("plain", "other")] {
        keep(dir, file, &[]).ended(0);
    }
    keep("w", "tools/fsm", &["--keep-special"]).ended(0);
    assert_eq!(fs::read_to_string(at("w/tools/fsm")).unwrap(), "evil\n");
}

/// The way by which an approval was stolen: a link that becomes a directory.
#[test]
fn what_was_shown_under_one_path_is_kept_there_or_nowhere() {
    let dir = project();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at(".git/hooks")).unwrap();
    std::os::unix::fs::symlink(".git/hooks", at("assets")).unwrap();
    let swap = [
        "--",
        "sh",
        "-ec",
        "rm assets; mkdir assets; echo hook > assets/pre-commit; echo key > id; chmod 600 id",
    ];
    caged(dir.path(), &[&["--write", ".", "--keep", "--yes"], &swap[..]].concat()).ended(0);
    assert_eq!(fs::read_dir(at(".git/hooks")).unwrap().count(), 0);
    assert!(fs::symlink_metadata(at("assets")).unwrap().is_dir());
    assert_eq!(fs::read_to_string(at("assets/pre-commit")).unwrap(), "hook\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(at("id")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_ordinary_user_keeps_as_well() {
    let dir = project();
    let user = rustix::process::geteuid().is_root().then_some(65534);
    for path in [dir.path().to_owned(), dir.path().join("a"), dir.path().join("b")] {
        std::os::unix::fs::chown(path, user, user).unwrap();
    }
    let aecl = Aecl::on(&dir.path().join(".aecl")).by_nobody();
    let line = "echo three >> a; rm b; mkdir -m 700 d; echo n > d/n; ln -s a link";
    let mut command = aecl
        .command(&["run", "--memory", "none", "--write", ".", "--keep", "--yes", "--", "sh", "-ec", line]);
    // Nobody has a home.
    let state = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(state.path(), user, user).unwrap();
    crate::program::read(command.env("XDG_STATE_HOME", state.path()).output().unwrap()).ended(0);
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\nthree\n");
    assert_eq!(fs::read_link(dir.path().join("link")).unwrap(), Path::new("a"));
    assert!(dir.path().join("d/n").exists() && !dir.path().join("b").exists());
}

#[test]
fn a_command_whose_reader_is_gone_ends_as_a_closed_pipe_ends_others() {
    let dir = project();
    let mut command = Aecl::on(&dir.path().join(".aecl")).command(&[
        "run",
        "--memory",
        "none",
        "--timeout",
        "60",
        "--",
        "yes",
    ]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut some = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut some).unwrap();
    let start = std::time::Instant::now();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}

/// A directory that somebody else has made.
#[test]
fn a_configuration_that_never_ends_stops_nobody() {
    let dir = project();
    fs::create_dir(dir.path().join(".aecl")).unwrap();
    let config = dir.path().join(".aecl/aecl.yaml");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
    rustix::fs::mknodat(rustix::fs::CWD, &config, kind, mode, 0).unwrap();
    let start = std::time::Instant::now();
    for _ in 0..2 {
        let ran = caged(dir.path(), &["--", "true"]).ended(125);
        assert!(ran.err.contains("aecl.yaml") && ran.err.contains("no plain file"), "{}", ran.err);
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_policy_says_what_it_may_have() {
    let dir = project();
    let file = dir.path().join("tests.yaml");
    let view = json!({ "source": dir.path(), "at": "/project", "access": "overlay" });
    fs::write(
        &file,
        format!("views: [{view}]\ncwd: /project\nlimits: {{ processes_max: 8, memory_max_mib: null }}\n"),
    )
    .unwrap();
    let run = |args: &[&str]| {
        Aecl::on(&dir.path().join(".aecl"))
            .run(&[&["--json", "run", "--policy", "tests.yaml", "--"], args].concat())
    };
    let told = run(&["sh", "-c", "echo x > a; echo y > /scratch/out"]).ended(0).json();
    assert_eq!((&told["exit_code"], &told["kept"]), (&json!(0), &json!([])));
    assert_eq!(told["changes"]["/project"][0]["path"], "a");
    assert_eq!(told["files"][0]["after"]["text"], "y\n");
    assert!(told["cage"].as_str().unwrap().starts_with("native: "), "{told}");
    fs::write(&file, "veiws: []\n").unwrap();
    let ran = run(&["true"]).ended(125);
    assert!(ran.out.contains("veiws") && ran.out.contains("tests.yaml"), "{}", ran.out);
    fs::write(&file, "argv: [echo, its own]\nlimits: { memory_max_mib: null }\n").unwrap();
    assert_eq!(run(&["echo", "mine"]).ended(0).json()["stdout"], "mine\n");
}

#[test]
fn an_ordinary_user_is_held_as_well() {
    let dir = project();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let aecl = Aecl::on(&dir.path().join(".aecl")).by_nobody();
    let ran = aecl
        .run(&["run", "--memory", "none", "--view", ".", "--", "sh", "-c", "cat a; id -u; ls /home"])
        .ended(2);
    assert_eq!(ran.out, "one\n1000\n");
}

/// The README's own line, by somebody who has no cgroup. Nobody has one of its own on any host.
#[test]
fn who_has_no_cgroup_gets_the_limit_of_memory_on_each_process_and_is_told() {
    if !is_root() {
        println!("only root can become somebody who surely has no cgroup");
        return;
    }
    let dir = project();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let aecl = Aecl::on(&dir.path().join(".aecl")).by_nobody();
    let run = |args: &[&str]| aecl.run(&[&["run"], args].concat());
    let ran = run(&["--write", ".", "--timeout", "600", "--", "sh", "-c", "ulimit -d; echo x > c"]).ended(0);
    assert_eq!(ran.out, format!("{}\n", 1024 << 10), "what each process may have, in KiB");
    let told: Vec<&str> = ran.err.lines().filter(|line| line.contains("memory")).collect();
    assert!(
        matches!(told[..], [one] if one.contains("1024 MiB for each process") && one.len() < 200),
        "{}",
        ran.err
    );
    let told = aecl.run(&["--json", "run", "--", "true"]).ended(0).json();
    let limits = &told["held"]["limits"];
    assert_eq!(
        (&limits["memory_max_bytes"], &limits["process_memory_max_bytes"]),
        (&json!(null), &json!(1u64 << 30))
    );
    // Who asks for a limit gets that one or nothing, be it a person or a policy.
    let policy = dir.path().join("tests.yaml");
    for asked in ["argv: [id]\n", "argv: [id]\nlimits: { memory_max_mib: 512 }\n"] {
        fs::write(&policy, asked).unwrap();
        let ran = run(&["--policy", "tests.yaml"]).ended(125);
        assert!(
            ran.err.contains("sandbox_unenforceable") && ran.err.contains("--memory none"),
            "{}",
            ran.err
        );
    }
    run(&["--memory", "512", "--", "true"]).ended(125);
    let ran = run(&["--memory", "none", "--", "sh", "-c", "ulimit -d"]).ended(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("unlimited\n", ""));
    let page = aecl.run(&["doctor", "--sandbox"]).out;
    assert!(page.contains("No limit of memory for all processes") && page.contains("Delegate=yes"), "{page}");
}

#[test]
fn a_refusal_names_one_cause_and_the_way_out() {
    let dir = project();
    let ran = caged(dir.path(), &["--tier", "microvm", "--", "true"]).ended(125);
    let first = ran.err.lines().next().unwrap();
    assert!(first.contains("sandbox.machines") && first.len() < 250, "{}", ran.err);
    let ran = caged(dir.path(), &["--", "sh", "-c", "kill -SYS $$"]).ended(159);
    assert!(ran.err.contains("SIGSYS") && ran.err.contains("sent itself"), "{}", ran.err);
    // What a list leaves out is no fault of the host.
    Aecl::on(&dir.path().join(".aecl")).run(&["init"]).ended(0);
    let file = dir.path().join(".aecl/aecl.yaml");
    let said = fs::read_to_string(&file).unwrap();
    fs::write(&file, said.replace("\nsandbox: {}\n", "\nsandbox: { backends: [] }\n")).unwrap();
    let ran = caged(dir.path(), &["--", "true"]).ended(125);
    assert!(ran.err.contains("`sandbox.backends` in aecl.yaml names none"), "{}", ran.err);
    let page = Aecl::on(&dir.path().join(".aecl")).run(&["doctor", "--sandbox"]).out;
    assert!(page.contains("Not used: `native`") && page.contains("nothing may hold a program"), "{page}");
    assert!(!page.contains("attacks refused"), "{page}");
}

/// It may take something away, so it is not passed over; but it is a mistake in a file, and none of ours.
#[test]
fn a_configuration_that_cannot_be_read_is_called_that() {
    let dir = project();
    fs::create_dir(dir.path().join(".aecl")).unwrap();
    let file = dir.path().join(".aecl/aecl.yaml");
    for wrong in ["listen: [\n", "no_such_key: 1\n", "sandbox: { machines: 1 }\n"] {
        fs::write(&file, wrong).unwrap();
        let ran = caged(dir.path(), &["--", "true"]).ended(125);
        assert!(ran.err.contains("[config_invalid]") && ran.err.contains("aecl.yaml"), "{}", ran.err);
        let ran = Aecl::on(&dir.path().join(".aecl")).run(&["doctor", "--sandbox"]).ended(1);
        assert!(ran.err.contains("[config_invalid]"), "{}", ran.err);
    }
}

#[test]
fn a_backend_that_holds_is_attacked_once_and_remembered() {
    let dir = project();
    let caches = dir.path().join("caches");
    let run = |args: &[&str]| {
        let all = [&["run", "--memory", "none", "--backend", "runc"], args, &["--", "echo", "here"]].concat();
        let mut command = Aecl::on(&dir.path().join(".aecl")).command(&all);
        crate::program::read(command.env("XDG_CACHE_HOME", &caches).output().unwrap())
    };
    let first = run(&[]);
    if first.err.contains("is not installed") {
        println!("`runc` is not installed: `apt-get install runc`");
        return;
    }
    assert_eq!(first.ended(0).out, "here\n");
    let file = caches.join("aecl/holds-runc.json");
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    let ran = run(&["--explain"]).ended(0);
    assert!(ran.out == "here\n" && ran.err.contains("runc "), "{} {}", ran.out, ran.err);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written, "it was not attacked again");
    // What cannot be believed is found out again.
    fs::write(&file, "{}").unwrap();
    run(&[]).ended(0);
    assert!(fs::read_to_string(&file).unwrap().contains("rests_on"));
}

/// Programs of a project know themselves by their paths: a shebang, a virtual environment, a build directory.
#[test]
fn a_project_below_tmp_is_where_it_is() {
    let dir = project();
    let here = dir.path().canonicalize().unwrap();
    assert!(here.starts_with("/tmp"), "the tests' directories are below /tmp: {}", here.display());
    fs::copy("/bin/sh", here.join("interpreter")).unwrap();
    fs::write(here.join("program"), format!("#!{}/interpreter\npwd; cat a\n", here.display())).unwrap();
    fs::set_permissions(here.join("program"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for access in ["--view", "--write"] {
        let ran = caged(&here, &[access, ".", "--", "./program"]).ended(0);
        assert_eq!(ran.out, format!("{}\none\n", here.display()), "{access}");
    }
    let ran = caged(&here, &["--view", ".", "--", "sh", "-c", "echo x > a; ls -A /tmp"]).ended(0);
    assert!(ran.err.contains("Read-only") && ran.out.lines().count() == 1, "{} {}", ran.out, ran.err);
}

#[test]
fn a_toolchain_of_the_home_runs_and_its_cache_is_never_kept() {
    let dir = project();
    let home = dir.path().join("home");
    for (file, text) in [
        (
            ".cargo/bin/cargo",
            "#!/bin/sh\ncat $1/.cargo/credentials.toml\necho mine > ~/.cargo/registry/x && cat ~/.cargo/registry/x\n",
        ),
        (".cargo/registry/x", "theirs\n"),
        (".cargo/credentials.toml", "token\n"),
    ] {
        let file = home.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let place = home.canonicalize().unwrap();
    let args = [
        "run",
        "--memory",
        "none",
        "--profile",
        "rust",
        "--keep",
        "--yes",
        "--",
        "cargo",
        place.to_str().unwrap(),
    ];
    let mut command = Aecl::on(&dir.path().join(".aecl")).command(&args);
    let ran = crate::program::read(command.env("HOME", &home).output().unwrap()).ended(0);
    assert_eq!(ran.out, "mine\n");
    assert!(ran.err.contains("credentials.toml: No such file"), "{}", ran.err);
    assert_eq!(fs::read_to_string(home.join(".cargo/registry/x")).unwrap(), "theirs\n");
}

#[test]
fn sizes_and_counts_are_said_on_the_command_line() {
    let dir = project();
    let run = |args: &[&str]| caged(dir.path(), args);
    let script = "df -k /tmp | tail -1 | awk '{ print $2 }'; df -i /tmp | tail -1 | awk '{ print $2 }'";
    let ran = run(&["--tmp-size", "512", "--procs", "17", "--", "sh", "-c", script]).ended(0);
    assert_eq!(ran.out, format!("{}\n{}\n", 512 << 10, 512 * 80));
    let told = Aecl::on(&dir.path().join(".aecl"))
        .run(&["--json", "run", "--memory", "none", "--tmp-size", "512", "--procs", "17", "--", "true"])
        .ended(0)
        .json();
    let limits = &told["held"]["limits"];
    assert_eq!((&limits["processes_max"], &limits["file_max_bytes"]), (&json!(17), &json!(512u64 << 20)));
    for wrong in [["--tmp-size", "0"], ["--procs", "0"], ["--procs", "many"]] {
        run(&[&wrong[..], &["--", "true"]].concat()).ended(125);
    }
}

#[test]
fn names_of_services_and_the_machine_are_there_and_are_nobodys() {
    let dir = project();
    let ran = caged(dir.path(), &["--", "sh", "-c", "getent services http; cat /etc/machine-id"]).ended(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].contains("80/tcp"), "{}", ran.out);
    assert_eq!(lines[1].len(), 32);
    let ours = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert_ne!(lines[1], ours.trim());
}

#[test]
fn a_terminal_is_given_where_it_is_asked_for() {
    let dir = project();
    let ran =
        caged(dir.path(), &["-t", "--", "sh", "-c", "test -t 0 && test -t 1 && stty size && echo $TERM"])
            .ended(0);
    assert!(ran.out.contains("24 80\r\n"), "{:?}", ran.out);
    caged(dir.path(), &["--", "test", "-t", "1"]).ended(1);
    let ran = caged(dir.path(), &["-t", "--keep", "--write", ".", "--", "true"]).ended(125);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    let ran = caged(dir.path(), &["-t", "--backend", "runc", "--", "true"]);
    assert!(ran.code == 125, "{} {}", ran.code, ran.err);
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

#[test]
fn the_doctor_builds_a_cage_and_attacks_it_where_actions_need_one() {
    let dir = project();
    let aecl = Aecl::on(&dir.path().join(".aecl"));
    aecl.run(&["init"]).ended(0);
    let point = || {
        let told = aecl.run(&["--json", "doctor"]).json();
        let all = told["checklist"].as_array().unwrap_or_else(|| panic!("{told}")).clone();
        all.into_iter().find(|point| point["what"] == "sandbox for the threat level").unwrap()
    };
    assert_eq!(point()["state"], "not_yet", "{}", point());
    let action = |connector: serde_json::Value| {
        let action = json!({ "name": "work.test", "effect": "execute", "reversibility": "reversible",
            "arguments": { "type": "object", "properties": {} }, "connector": connector });
        let actions = aecl.dir().join("policy/actions");
        fs::create_dir_all(&actions).unwrap();
        fs::write(actions.join("work.json"), action.to_string()).unwrap();
    };
    action(json!({ "kind": "process", "argv": ["true"] }));
    let held = point();
    assert!(held["state"] == "met" && held["why"].as_str().unwrap().contains("attacks refused"), "{held}");
    action(json!(null));
    let bare = point();
    assert!(bare["state"] == "not_met" && bare["why"].as_str().unwrap().contains("work.test"), "{bare}");
}

#[test]
fn a_command_of_an_image_runs_by_its_digest_alone() {
    let dir = project();
    let umoci = |args: &[&str]| {
        let ran = std::process::Command::new("umoci").args(args).current_dir(dir.path()).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let (true, Some(busybox)) = (umoci(&["init", "--layout", "images"]), busybox) else {
        println!("`umoci` or `busybox` is not installed: `apt-get install umoci busybox-static`");
        return;
    };
    assert!(umoci(&["new", "--image", "images:tools"]));
    assert!(umoci(&["insert", "--rootless", "--image", "images:tools", busybox, "/busybox"]));
    assert!(umoci(&["config", "--image", "images:tools", "--config.cmd", "/busybox", "--config.cmd", "pwd"]));
    let state = dir.path().join("state");
    let aecl = |args: &[&str]| {
        let mut command = Aecl::on(&dir.path().join(".aecl")).command(args);
        crate::program::read(command.env("XDG_STATE_HOME", &state).output().unwrap())
    };
    let listed = |args: &[&str]| aecl(&[&["--json", "image"], args].concat()).ended(0).json();
    let image = listed(&["list", "images"])["images"][0].clone();
    assert_eq!((&image["name"], &image["unpacked"]), (&json!("tools"), &json!(false)));
    let digest = image["digest"].as_str().unwrap();
    let named = format!("images@{digest}");
    let run = |args: &[&str]| aecl(&[&["run", "--memory", "none"], args].concat());
    let ran = run(&["--image", "images", "--", "/busybox", "true"]).ended(125);
    assert!(ran.err.contains("has no `digest`") && ran.err.contains(digest), "{}", ran.err);
    let wrong = format!("images@sha256:{}", "0".repeat(64));
    let ran = run(&["--image", &wrong, "--", "/busybox", "true"]).ended(125);
    assert!(ran.err.contains("offers no image") && ran.err.contains(digest), "{}", ran.err);
    let ran = run(&["--image", &named, "--view", ".", "--", "/busybox", "cat", "a"]).ended(0);
    assert_eq!(ran.out, "one\n", "{}", ran.err);
    assert!(ran.err.contains("unpacking"), "{}", ran.err);
    // What the image says.
    let ran = run(&["--image", &named]).ended(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("/scratch\n", ""));
    run(&["--image", &named, "--", "sh", "-c", "true"]).ended(127);
    assert_eq!(listed(&["list", "images"])["images"][0]["unpacked"], true);
    assert!(aecl(&["image", "list", "images"]).ended(0).out.contains("tools"));
    aecl(&["image", "unpack", &named]).ended(0);
    aecl(&["image", "unpack", "images"]).ended(1);
    run(&[]).ended(125);
}
