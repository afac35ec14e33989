//! `.aecl-run.yaml`: a project takes something away from the commands that run in it, and gives nothing.

use crate::program::{Aecl, Ran, read};
use std::fs;
use std::path::Path;

const FILE: &str = ".aecl-run.yaml";

fn project(says: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in
        [("a", "one\n"), (".env", "TOKEN=1\n"), ("docs/page", "text\n"), ("secrets/key", "key\n")]
    {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(dir.path().join(FILE), says).unwrap();
    dir
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    Aecl::on(&dir.join(".aecl")).run(&[&["run", "--memory", "none"], args].concat())
}

/// The same, from another directory.
fn run_in(at: &Path, dir: &Path, args: &[&str]) -> Ran {
    read(Aecl::on(&dir.join(".aecl")).command(args).current_dir(at).output().unwrap())
}

#[test]
fn a_project_takes_away_what_its_file_says() {
    let dir = project(
        "read_only: [docs]\nhidden: [.env, secrets]\nlimits: { processes_max: 7 }\ntimeout_max_s: 5\n",
    );
    let command = "cat .env secrets/key docs/page; echo x >docs/page; echo x >secrets/new; echo two >a";
    let args = ["--write", ".", "--keep", "--yes", "--explain", "--", "sh", "-c", command];
    let ran = run(dir.path(), &args).ended(0);
    assert_eq!(ran.out, "text\n", "{}", ran.err);
    for said in [
        "`processes_max` is 7, and not 256",
        "5 s, and not 30 s",
        "stays as it is",
        "is not shown",
        " 7 processes,",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    let is = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!((is("a"), is("docs/page"), is(".env")), ("two\n".into(), "text\n".into(), "TOKEN=1\n".into()));
    // Nobody asks: one line says that something is missing.
    let ran = run(dir.path(), &["--view", ".", "--", "true"]).ended(0);
    assert_eq!(ran.err.matches(FILE).count(), 1, "{}", ran.err);
    let ran = run(dir.path(), &["--view", ".", "--no-project-file", "--", "cat", ".env"]).ended(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("TOKEN=1\n", ""));
    // A time that is over is over in the command's own name.
    fs::write(dir.path().join(FILE), "timeout_max_s: 1").unwrap();
    run(dir.path(), &["--timeout", "60", "--", "sleep", "60"]).ended(124);
}

#[test]
fn the_file_of_every_directory_above_counts_and_of_what_is_shown() {
    let dir = project("limits: { processes_max: 40 }");
    let inner = dir.path().join("docs");
    fs::write(inner.join(FILE), "limits: { processes_max: 1000, open_files_max: 99 }\nprofiles: [node]\n")
        .unwrap();
    let limits = |at: &Path, args: &[&str]| {
        let all = [&["--json", "run", "--memory", "none"], args, &["--", "true"]].concat();
        let told = run_in(at, dir.path(), &all).ended(0).json();
        let of = |name: &str| told["held"]["limits"][name].as_u64().unwrap();
        (of("processes_max"), of("open_files_max"), told["narrowed"].as_array().unwrap().len())
    };
    assert_eq!(limits(&inner, &[]), (40, 99, 2));
    assert_eq!(limits(dir.path(), &[]), (40, 1024, 1));
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(limits(elsewhere.path(), &[]), (256, 1024, 0));
    assert_eq!(limits(elsewhere.path(), &["--view", inner.to_str().unwrap()]), (40, 99, 2));
    // What it would like is said, and not done.
    let ran = run_in(&inner, dir.path(), &["run", "--memory", "none", "--", "true"]).ended(0);
    assert!(ran.err.contains("suggests `--profile node`"), "{}", ran.err);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_line_and_the_way_out() {
    let dir = project("# ours\nallow_hosts: [a.test]\n");
    let ran = run(dir.path(), &["--", "true"]).ended(125);
    for said in [FILE, "allow_hosts", "line 2", "--no-project-file"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    run(dir.path(), &["--no-project-file", "--", "true"]).ended(0);
    fs::remove_file(dir.path().join(FILE)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join(FILE)).unwrap();
    assert!(run(dir.path(), &["--", "true"]).ended(125).err.contains("symbolic link"));
}

/// What takes away from the next command is not changed by this one in passing.
#[test]
fn a_command_does_not_change_the_file_in_passing() {
    let dir = project("limits: { processes_max: 9 }\n");
    for change in ["rm .aecl-run.yaml", "echo >.aecl-run.yaml", "mkdir sub; echo >sub/.AECL-run.yaml"] {
        let ran = run(dir.path(), &["--write", ".", "--keep", "--yes", "--", "sh", "-c", change]).ended(123);
        assert!(ran.err.contains("! ") && ran.err.contains("--keep-special"), "{}", ran.err);
    }
    assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "limits: { processes_max: 9 }\n");
}
