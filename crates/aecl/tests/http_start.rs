//! `docs/start.md` does what it says: its commands run as they stand, and what it shows comes out, in order.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and its helpers are not marked as tests"
)]

use std::process::Command;

/// The blocks of one kind in a page, in order.
fn blocks(page: &str) -> (String, Vec<String>) {
    let (mut commands, mut shown) = (String::new(), Vec::new());
    let mut kind = None;
    for line in page.lines() {
        match (kind, line) {
            (None, "```sh") => kind = Some(true),
            (None, "```text") => kind = Some(false),
            (Some(_), "```") => kind = None,
            (Some(true), line) => commands += &format!("{line}\n"),
            (Some(false), line) => shown.push(line.to_owned()),
            (None, _) => {}
        }
    }
    (commands, shown)
}

#[test]
fn the_start_page_works() {
    let page = std::fs::read_to_string("../../docs/start.md").unwrap();
    let (commands, shown) = blocks(&page);
    assert!(commands.lines().count() > 20 && shown.len() > 8);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let commands = commands
        .replace("127.0.0.1:7600", &format!("127.0.0.1:{port}"))
        .replace("aecl serve --background", &format!("aecl serve --background --listen 127.0.0.1:{port}"));
    let (dir, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_aecl"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    // Whatever happens, the server does not outlive the test.
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(cat $(aecl home 2>/dev/null)/data/lock) 2>/dev/null || true' EXIT\n{commands}"
    );
    let ran = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(dir.path())
        .env("PATH", path)
        .env("HOME", user.path())
        .env_remove("XDG_DATA_HOME")
        .env_remove("AECL_DIR")
        .env_remove("AECL_KEY")
        .output()
        .unwrap();
    let out = format!("{}{}", String::from_utf8_lossy(&ran.stderr), String::from_utf8_lossy(&ran.stdout));
    assert!(ran.status.success(), "{out}");
    let mut rest = out.as_str();
    for line in &shown {
        let line = line.replace("127.0.0.1:7600", &format!("127.0.0.1:{port}"));
        for piece in line.split('…').filter(|p| !p.is_empty()) {
            let at =
                rest.find(piece).unwrap_or_else(|| panic!("`{piece}` does not come out, in order:\n{out}"));
            rest = rest.get(at + piece.len()..).unwrap();
        }
    }
}
