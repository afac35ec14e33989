//! The demo, as somebody runs it: a process of its own, on real parts. Its output is a page to be read.
#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use expect_test::expect_file;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn aecl(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aecl"));
    command.args(words).current_dir(dir).stdin(Stdio::null());
    command.env_remove("AECL_DIR").env_remove("AECL_KEY").env("HTTP_PROXY", "http://127.0.0.1:1");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Takes out what is new in every run: names, times, ports.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let name = ["act_", "apr_", "run_"].into_iter().find(|p| rest.starts_with(p));
        let hex = |t: &str| t.chars().take_while(char::is_ascii_hexdigit).count();
        let stamp = |t: &str| t.len() >= 24 && t.is_char_boundary(24) && is_stamp(&t[..24]);
        if let Some(prefix) = name.filter(|p| hex(&rest[p.len()..]) == 32) {
            out.push_str(&format!("{prefix}…"));
            rest = &rest[prefix.len() + 32..];
        } else if stamp(rest) {
            out.push_str("(time)");
            rest = &rest[24..];
        } else if let Some(after) = rest.strip_prefix("127.0.0.1:") {
            out.push_str("127.0.0.1:PORT");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn is_stamp(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000Z";
    text.chars().zip(shape.chars()).all(|(c, s)| if s == '0' { c.is_ascii_digit() } else { c == s })
}

#[test]
fn the_story_is_told_on_real_parts() {
    let dir = tempfile::tempdir().unwrap();
    let output = aecl(dir.path(), &["demo", "--auto"]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    assert!(!shown.contains('\u{1b}'), "no colour in a pipe");
    assert!(shown.lines().all(|l| l.chars().count() <= 100), "it fits on a terminal");
    expect_file!["demo.golden.txt"].assert_eq(&timeless(&shown));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(house.join("README.md")).unwrap();
    let golden = include_str!("demo.golden.txt");
    let shown = page.split("## See it").nth(1).unwrap().split("## Put it").next().unwrap();
    let quoted: Vec<&str> = shown.split("```text\n").skip(1).flat_map(|b| b.split("```").next()).collect();
    assert_eq!(quoted.len(), 2);
    for line in quoted.iter().flat_map(|block| block.lines()) {
        assert!(golden.lines().any(|l| l == line), "the demo does not print `{line}`");
    }
}

#[test]
fn the_pieces_lie_there_afterwards_and_the_next_demo_replaces_them() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = aecl(dir.path(), &["--json", "demo"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["without"]["balance"], "400,000.00");
        assert_eq!(told["with"]["balance"], "500,000.00");
        assert_eq!(told["record"]["verified"]["decisions"]["approved"], 5);
        assert_eq!(told["record"]["changed"]["class"], "proof");
    }
    for piece in [
        "aecl.yaml",
        "policy/agents",
        "keys/operator.key",
        "data/ledger.db",
        "world/payments.db",
        "export/checkpoint",
    ] {
        assert!(dir.path().join("aecl-demo").join(piece).exists(), "{piece}");
    }
    let keys = std::fs::read_to_string(dir.path().join("aecl-demo/keys/payments.key")).unwrap();
    let record = std::fs::read(dir.path().join("aecl-demo/data/ledger.db")).unwrap();
    assert!(!record.windows(20).any(|w| w == &keys.as_bytes()[..20]), "no credential is on record");
}

#[test]
fn a_directory_in_use_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/aecl.yaml"), "origin: mine\n").unwrap();
    let output = aecl(dir.path(), &["--dir", "mine", "demo", "--auto"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("hint: name another directory"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(dir.path().join("mine/aecl.yaml")).unwrap(), "origin: mine\n");
}

#[test]
fn without_a_terminal_it_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let output = aecl(dir.path(), &["demo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("hint: run `aecl demo --auto`"), "{}", text(&output.stderr));
}
