//! `aecl run`: how strongly a command is held, and by what.

use crate::program::{Aecl, Ran, read};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

struct Desk(tempfile::TempDir);

impl Desk {
    /// A directory whose configuration says this of cages.
    fn with(sandbox: &Value) -> Self {
        let desk = Self::bare();
        let home = desk.path().join(".aecl");
        fs::create_dir_all(&home).unwrap();
        let config = json!({ "origin": "example.com/run", "sandbox": sandbox });
        fs::write(home.join("aecl.yaml"), config.to_string()).unwrap();
        desk
    }

    fn bare() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn aecl(&self) -> Aecl {
        Aecl::on(&self.path().join(".aecl"))
    }

    /// Without a limit of memory, which an ordinary user without a cgroup cannot have.
    fn run(&self, args: &[&str]) -> Ran {
        self.aecl().run(&[&["run", "--memory", "none"], args].concat())
    }

    fn json(&self, args: &[&str]) -> Ran {
        self.aecl().run(&[&["--json", "run", "--memory", "none"], args].concat())
    }

    fn policy(&self, text: &Value) {
        fs::write(self.path().join("policy.yaml"), text.to_string()).unwrap();
    }

    /// With the policy that was written last, which says of memory what it likes.
    fn by_policy(&self, args: &[&str]) -> Ran {
        self.aecl().run(&[&["--json", "run", "--policy", "policy.yaml"], args].concat())
    }
}

/// What held it, or nothing where the host has no such runtime and that is what it says.
fn held(ran: Ran, package: &str) -> Option<Value> {
    if ran.code == 125 {
        assert!(ran.out.contains(&format!("apt-get install {package}")), "{}\n{}", ran.out, ran.err);
        println!("`{package}` is not installed: `apt-get install {package}`");
        return None;
    }
    Some(ran.ended(0).json()["held"].clone())
}

fn machine() -> Value {
    let file = json!({ "path": "/none", "sha256": "00" });
    let machine = json!({ "kernel": file, "root": file, "root_filesystem": "ext4" });
    json!({ "monitor": "qemu", "program": "/usr/bin/qemu-system-x86_64", "machine": machine })
}

#[test]
fn a_command_is_held_as_strongly_as_is_asked_for() {
    let desk = Desk::bare();
    let told = desk.json(&["--", "true"]).ended(0).json()["held"].clone();
    assert_eq!((&told["tier"], &told["backend"]), (&json!("native"), &json!("native")));
    assert!(told["version"].as_str().unwrap().starts_with("aecl-cage "), "{told}");
    assert_eq!((&told["lowered"], &told["asked"]["tier"]), (&Value::Null, &json!("native")));
    let Some(told) = held(desk.json(&["--tier", "gvisor", "--", "true"]), "runsc") else { return };
    assert_eq!((&told["tier"], &told["backend"]), (&json!("gvisor"), &json!("runsc")));
    assert!(told["version"].as_str().unwrap().starts_with("runsc "), "{told}");
    assert_eq!(told["asked"]["why"], "`--tier` asks for it");
    let ran = desk.run(&["--tier", "gvisor", "--explain", "--", "sh", "-c", "exit 3"]).ended(3);
    for part in ["tier `gvisor` by runsc", "`gvisor` or stronger", "limits in force: no limit of memory"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    // What is strong enough has to be able, too.
    let ran = desk.json(&["--tier", "gvisor", "--write", ".", "--", "true"]).ended(125);
    assert_eq!(ran.json()["error"]["code"], "sandbox_unenforceable");
    assert!(ran.out.contains("`runsc` has no layer above a view"), "{}", ran.out);
}

#[test]
fn what_is_not_here_is_never_less() {
    let desk = Desk::with(&json!({ "machines": [machine()] }));
    let ran = desk.run(&["--tier", "microvm", "--", "true"]).ended(125);
    for part in [
        "[sandbox_unavailable]",
        "`microvm` or stronger (`--tier` asks for it)",
        "`qemu`: ",
        "cannot be read",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    // Emulation is no boundary, and what lets tests use it is no way to this tier.
    let mut command = desk.aecl().command(&["run", "--tier", "microvm", "--", "true"]);
    read(command.env("AECL_TEST_TCG", "1").output().unwrap()).ended(125);
    let ran = desk.json(&["--backend", "qemu", "--", "true"]).ended(125);
    assert_eq!(ran.json()["error"]["code"], "sandbox_unavailable", "{}", ran.out);
    for wrong in ["kvm", "process", "Native", ""] {
        let ran = desk.run(&["--tier", wrong, "--", "true"]).ended(125);
        assert!(ran.err.contains("[possible values: native, gvisor, microvm]"), "{}", ran.err);
    }
}

/// A directory that was cloned brings a configuration. Nobody has named it.
#[test]
fn a_configuration_that_is_only_there_runs_nothing_and_lowers_nothing() {
    let desk = Desk::bare();
    let monitor = desk.path().join("monitor");
    fs::write(&monitor, format!("#!/bin/sh\necho ran > {}\n", desk.path().join("trace").display())).unwrap();
    fs::set_permissions(&monitor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut machine = machine();
    machine["program"] = json!(monitor);
    let said = json!({ "machines": [machine], "backends": ["qemu", "native"],
        "docker": { "socket": monitor }, "accept_lower_tier": "native", "reason": "trust me" });
    fs::create_dir_all(desk.path().join(".aecl")).unwrap();
    let config = json!({ "origin": "example.com/run", "sandbox": said });
    fs::write(desk.path().join(".aecl/aecl.yaml"), config.to_string()).unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aecl"));
        command.current_dir(desk.path()).env_remove("AECL_DIR").args(args);
        read(command.args(["--memory", "none", "--", "true"]).output().unwrap())
    };
    assert_eq!(run(&["run"]).ended(0).err, "");
    for tier in ["gvisor", "microvm"] {
        let ran = run(&["run", "--tier", tier]).ended(125);
        assert!(ran.err.contains("hint: `.aecl/aecl.yaml` of this directory says more"), "{}", ran.err);
    }
    run(&["run", "--backend", "qemu"]).ended(125);
    assert!(!desk.path().join("trace").exists());
    // Whoever names it means it.
    let ran = run(&["--dir", "./.aecl", "run", "--tier", "microvm"]).ended(0);
    assert!(ran.err.contains("the operator accepts that: trust me"), "{}", ran.err);
}

#[test]
fn what_the_operator_accepts_is_told_each_time() {
    let accepts = json!({ "machines": [machine()], "backends": ["native", "qemu"],
        "accept_lower_tier": "native", "reason": "no KVM until March" });
    let desk = Desk::with(&accepts);
    let ran = desk.json(&["--tier", "microvm", "--", "true"]).ended(0);
    let words = "runs in `native` and not in `microvm` (`--tier` asks for it), which is not available here; the \
                 operator accepts that: no KVM until March";
    assert!(ran.err.contains(words), "{}", ran.err);
    let told = &ran.json()["held"];
    assert_eq!(told["lowered"], json!({ "to": "native", "reason": "no KVM until March" }));
    // Who names what is to hold it has said that nothing else may.
    desk.json(&["--tier", "microvm", "--backend", "qemu", "--", "true"]).ended(125);
    assert_eq!(desk.run(&["--", "true"]).ended(0).err, "", "nothing less than what is asked for");
}

#[test]
fn the_list_of_the_operator_is_what_may_hold_a_command() {
    let desk = Desk::with(&json!({ "backends": ["runc", "native"] }));
    if let Some(told) = held(desk.json(&["--backend", "runc", "--", "true"]), "runc") {
        assert_eq!((&told["tier"], &told["backend"]), (&json!("native"), &json!("runc")));
        assert_eq!(desk.json(&["--", "true"]).ended(0).json()["held"]["backend"], "runc", "it is the first");
    }
    let ran = desk.run(&["--backend", "crun", "--", "true"]).ended(125);
    assert!(ran.err.contains("`--backend crun`") && ran.err.contains("runc, native"), "{}", ran.err);
    let ran = desk.run(&["--backend", "native", "--tier", "gvisor", "--", "true"]).ended(125);
    assert!(ran.err.contains("holds in tier `native`, and `gvisor` is asked for"), "{}", ran.err);
    let desk = Desk::with(&json!({ "backends": [] }));
    let ran = desk.run(&["--", "true"]).ended(125);
    assert!(ran.err.contains("`sandbox.backends` in aecl.yaml names none"), "{}", ran.err);
    let desk = Desk::with(&json!({ "backends": ["nativ"] }));
    let ran = desk.run(&["--", "true"]).ended(125);
    assert!(ran.err.contains("names `nativ`"), "{}", ran.err);
    let desk = Desk::with(&json!({ "backend": ["native"] }));
    let ran = desk.run(&["--", "true"]).ended(125);
    assert!(ran.err.contains("aecl.yaml"), "{}", ran.err);
}

#[test]
fn nothing_is_tried_that_is_not_needed() {
    let desk = Desk::bare();
    let bin = desk.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let called = desk.path().join("called");
    for name in ["runc", "crun", "runsc"] {
        let program = bin.join(name);
        fs::write(&program, format!("#!/bin/sh\necho {name} >> {}\nexit 1\n", called.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = desk.aecl().command(&[&["run", "--memory", "none"], args].concat());
        read(command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).output().unwrap())
    };
    run(&["--", "true"]).ended(0);
    assert!(!called.exists());
    run(&["--tier", "gvisor", "--", "true"]).ended(125);
    let called = fs::read_to_string(called).unwrap();
    assert!(
        !called.is_empty() && called.lines().all(|name| name == "runsc"),
        "nothing that would be too weak: {called}"
    );
}

#[test]
fn a_policy_says_how_strongly_and_the_command_line_can_only_ask_for_more() {
    let desk = Desk::with(&json!({ "machines": [machine()] }));
    let limits = json!({ "memory_max_mib": null });
    desk.policy(&json!({ "min_tier": "gvisor", "limits": limits }));
    let ran = desk.by_policy(&["--tier", "native", "--", "true"]).ended(125);
    assert!(ran.out.contains("weaker than the `gvisor` that `policy.yaml` asks for"), "{}", ran.out);
    assert_eq!(
        desk.by_policy(&["--tier", "microvm", "--", "true"]).ended(125).json()["error"]["code"],
        "sandbox_unavailable"
    );
    if let Some(told) = held(desk.by_policy(&["--", "true"]), "runsc") {
        assert_eq!(
            (&told["tier"], &told["asked"]["why"]),
            (&json!("gvisor"), &json!("`policy.yaml` asks for it"))
        );
    }
    desk.policy(&json!({ "min_tier": "gvsor" }));
    let ran = desk.by_policy(&["--", "true"]).ended(125);
    assert!(ran.out.contains("`min_tier`") && ran.out.contains("`gvisor`"), "{}", ran.out);
}

#[test]
fn a_policy_may_be_a_whole_action() {
    let desk = Desk::bare();
    let action = |argv: Value| {
        let limits = json!({ "memory_max_mib": null, "processes_max": 8 });
        json!({ "name": "work.test", "effect": "execute", "reversibility": "reversible", "min_tier": "native",
            "arguments": { "type": "object", "properties": {} }, "timeout_ms": 1000,
            "connector": { "kind": "process", "argv": argv, "limits": limits } })
    };
    desk.policy(&action(json!(["echo", "its own words"])));
    let told = desk.by_policy(&[]).ended(0).json();
    assert_eq!(
        (&told["stdout"], &told["held"]["limits"]["processes_max"]),
        (&json!("its own words\n"), &json!(8))
    );
    assert_eq!(desk.by_policy(&["--", "echo", "others"]).ended(0).json()["stdout"], "others\n");
    desk.by_policy(&["--", "sleep", "60"]).ended(124);
    desk.policy(&action(json!(["echo", "{words}"])));
    let ran = desk.by_policy(&[]).ended(125);
    assert!(ran.out.contains("placeholders") && ran.out.contains("behind `--`"), "{}", ran.out);
    let mut other = action(json!([]));
    desk.policy(&other);
    assert!(desk.by_policy(&[]).ended(125).out.contains("has no `argv`"));
    other["connector"] = json!({ "kind": "files", "root": "/srv" });
    desk.policy(&other);
    let ran = desk.by_policy(&["--", "true"]).ended(125);
    assert!(ran.out.contains("`files` carries out `work.test`"), "{}", ran.out);
    desk.policy(&json!([action(json!(["true"]))]));
    assert!(desk.by_policy(&["--", "true"]).ended(125).out.contains("file of its own"));
    let mut strange = action(json!(["true"]));
    strange["min_teir"] = json!("gvisor");
    desk.policy(&strange);
    assert!(desk.by_policy(&["--", "true"]).ended(125).out.contains("min_teir"), "a word that nobody reads");
}
