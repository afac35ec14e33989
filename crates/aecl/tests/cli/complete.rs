//! What Tab offers: names that there are, as far as the key may see them, at once and without starting anything.

use crate::program::Aecl;
use crate::record::scene;
use serde_json::json;
use std::process::Command;

/// The names that are offered, without what they are, and the exit code.
fn offered(aecl: &Aecl, words: &[&str]) -> (Vec<String>, i32) {
    let ran = aecl.run(&[&["__complete", "--"], words].concat());
    assert_eq!(ran.err, "", "nobody asked to be told anything");
    let name = |line: &str| line.split_once('\t').unwrap_or_else(|| panic!("{line}")).0.to_owned();
    (ran.out.lines().map(name).collect(), ran.code)
}

#[test]
fn what_waits_and_who_is_there_is_offered() {
    let scene = scene();
    let (aecl, keys) = (&scene.aecl, &scene.keys);
    let names = |words: &[&str]| {
        let (names, code) = offered(aecl, words);
        assert_eq!(code, 0, "{words:?}: no file would do");
        names
    };
    assert_eq!(names(&["approvals", "approve", ""]), [""; 0], "nobody serves");
    assert!(!aecl.dir().join("data/aecl.sock").exists(), "and nothing was started");
    assert_eq!(names(&["log", "show", ""]), [""; 0], "nothing is recorded");
    let served = aecl.serve();
    let (run, token) = served.open_run(&keys.orchestrator, "payer");
    let (action, approval) = scene.transfer(&served, &token, "12.50");

    assert_eq!(names(&["approvals", "approve", "apr_"]), [approval.as_str()]);
    assert_eq!(names(&["approvals", "reject", "--reason", "no", ""]), [approval.as_str()]);
    assert_eq!(names(&["approvals", "show", "x"]), [""; 0]);
    assert!(names(&["log", "show", ""]).contains(&run) && names(&["log", "show", ""]).contains(&action));
    assert_eq!(names(&["kill", "--run", "run_"]), [run.as_str()]);
    assert_eq!(names(&["kill", &format!("--run={}", &run[..8])]), [format!("--run={run}")]);
    assert_eq!(names(&["resolve", ""]), [action.as_str()]);
    assert_eq!(names(&["policy", "show", "pa"]), ["payer"]);
    assert_eq!(names(&["policy", "why", "--agent", "pa"]), ["payer"]);
    assert_eq!(names(&["policy", "why", "payments.t"]), ["payments.transfer"]);
    assert_eq!(names(&["log", "tail", "--agent", ""]), ["other", "payer", "reader"]);
    assert_eq!(names(&["keys", "remove", "f"]), ["finn", "fay"]);
    assert_eq!(names(&["keys", "add", "person", "x", "--group", ""]), ["finance", "operators"]);
    assert_eq!(names(&["--dir", "/nowhere", "keys", "remove", ""]), [""; 0]);

    // A key sees what it may read.
    for (key, sees) in [(&keys.finn, true), (&keys.orchestrator, false)] {
        let waits = names(&["--key", key, "approvals", "approve", ""]);
        assert_eq!(waits.contains(&approval), sees, "{waits:?}");
        assert_eq!(names(&["--key", key, "log", "show", ""]), [""; 0], "the whole record is for others");
    }
    assert!(names(&["--key", &keys.olga, "log", "show", ""]).contains(&run));
    assert_eq!(names(&["--key", "aecl_p_nobody", "approvals", "approve", ""]), [""; 0]);
    drop(served);
    assert!(names(&["log", "show", ""]).contains(&run), "the record is there without a server");
    assert_eq!(names(&["approvals", "approve", ""]), [""; 0]);
}

#[test]
fn servers_of_the_configuration_are_offered() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nservers: {}"), "{text}");
    let servers = json!({"files": {"kind": "stdio", "command": "files-server"}, "git": {"kind": "stdio", "command": "git-server"}});
    std::fs::write(&path, text.replace("\nservers: {}", &format!("\nservers: {servers}"))).unwrap();
    aecl.run(&["policy", "check"]).ended(0);
    for words in [&["catalog", "import", ""][..], &["mcp", "--server", ""], &["catalog", "accept", ""]] {
        assert_eq!(offered(&aecl, words), (vec!["files".to_owned(), "git".to_owned()], 0), "{words:?}");
    }
}

/// A home in a directory where agents work may be a stranger's, and so may the socket in it.
#[test]
fn a_strangers_home_hears_no_key_for_a_press_of_tab() {
    let place = tempfile::tempdir().unwrap();
    let project = place.path().join("project");
    let data = project.join(".aecl/data");
    std::fs::create_dir_all(&data).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(data.join("aecl.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_aecl"))
        .args(["__complete", "--", "approvals", "approve", ""])
        .current_dir(&project)
        .env_remove("AECL_DIR")
        .env("XDG_DATA_HOME", place.path().join("homes"))
        .env("AECL_KEY", "aecl_p_secret")
        .output()
        .unwrap();
    assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

/// The scripts, in the shells that are here, on a home that serves.
#[test]
fn shells_complete_what_the_program_offers() {
    let scene = scene();
    let served = scene.aecl.serve();
    let (_, token) = served.open_run(&scene.keys.orchestrator, "payer");
    let (_, approval) = scene.transfer(&served, &token, "12.50");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_aecl"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let within = |shell: &str, script: &str| {
        let mut command = Command::new(shell);
        command.args(if shell == "bash" { &["--norc", "-c"][..] } else { &["-c"] }).arg(script);
        command.env("PATH", &path).env("AECL_DIR", scene.aecl.dir()).env_remove("AECL_KEY");
        command.env("HOME", scene.aecl.dir()).current_dir(scene.aecl.dir());
        match command.output() {
            Ok(ran) => Some(String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("{shell}: {error}"),
        }
    };
    let bash = |words: &str, at: usize| {
        let script = format!(
            "source <(aecl completions bash); COMP_WORDS=({words}); COMP_CWORD={at}; _aecl aecl; echo \"${{COMPREPLY[*]}}\""
        );
        within("bash", &script).expect("bash is everywhere")
    };
    assert_eq!(bash("aecl approvals approve ''", 3), approval);
    assert_eq!(bash("aecl appr", 1), "approvals");
    assert_eq!(bash("aecl kill --agent = pa", 4), "payer");
    assert_eq!(bash("aecl keys remove nobody", 3), "");
    if let Some(said) =
        within("fish", "aecl completions fish | source; complete -C 'aecl approvals approve '")
    {
        assert!(said.starts_with(&approval), "{said}");
    }
    // Its completion runs in an interactive shell only; that the script is read without a complaint is all that is here.
    if let Some(said) = within("zsh", "autoload -U compinit; compinit -u -D; source <(aecl completions zsh)")
    {
        assert_eq!(said, "");
    }
}

/// A word that leads into the current directory is a stranger's program there, typed but not run yet.
#[test]
fn tab_runs_the_installed_program_and_never_the_word_that_was_typed() {
    let place = tempfile::tempdir().unwrap();
    let (hostile, ran) = (place.path().join("hostile"), place.path().join("ran"));
    std::fs::create_dir_all(hostile.join("bin")).unwrap();
    for name in ["aecl", "bin/aecl"] {
        let path = hostile.join(name);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\necho approvals\n", ran.display())).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let installed = std::path::Path::new(env!("CARGO_BIN_EXE_aecl")).parent().unwrap().display().to_string();
    let usual = std::env::var("PATH").unwrap();
    let typed = ["./aecl", "bin/aecl", "aecl", "~/aecl", "\"$PWD/aecl\""];
    let bash = |word: &str| {
        format!(
            "source <({installed}/aecl completions bash); COMP_WORDS=({word} appr); COMP_CWORD=1; _aecl '{word}'; \
             echo \"${{COMPREPLY[*]}}\""
        )
    };
    let fish = |word: &str| {
        format!(
            "{installed}/aecl completions fish | source; complete -C '{word} appr' | string split -f1 \\t"
        )
    };
    // Outside of an interactive shell nothing completes, so what would describe the offers prints them.
    let zsh = |word: &str| {
        format!(
            "compdef() {{ }}; _files() {{ }}; _describe() {{ print ${{offers%%:*}} }}; \
             source <({installed}/aecl completions zsh); words=({word} appr); CURRENT=2; _aecl"
        )
    };
    type Script<'a> = (&'a str, &'a [&'a str], &'a dyn Fn(&str) -> String);
    let shells: [Script<'_>; 3] =
        [("bash", &["--norc", "-c"], &bash), ("fish", &["-N", "-c"], &fish), ("zsh", &["-f", "-c"], &zsh)];
    for (shell, options, script) in shells {
        for word in typed {
            for (path, offers) in [
                (format!("{installed}:{usual}"), "approvals"),
                // What is found in the current directory counts as little.
                (format!(".:bin::{installed}:{usual}"), "approvals"),
                (format!(".:bin::{usual}"), ""),
            ] {
                let mut command = Command::new(shell);
                command.args(options).arg(script(word)).env("PATH", &path).env("HOME", &hostile);
                command.current_dir(&hostile).env_remove("AECL_DIR").env_remove("AECL_KEY");
                let said = match command.output() {
                    Ok(said) => said,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && shell != "bash" => break,
                    Err(error) => panic!("{shell}: {error}"),
                };
                assert!(!ran.exists(), "{shell} has run what `{word}` leads to, with {path}");
                let (out, err) =
                    (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
                if shell != "fish" || !word.starts_with('"') {
                    assert_eq!(out.trim(), offers, "{shell}, {word}, {path}: {err}");
                }
            }
        }
    }
}
