//! `aecl approvals watch` at a terminal: it rings, shows what is asked, and takes the answer by one key.

use crate::record::scene;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A program at a terminal of its own.
struct Terminal {
    keyboard: File,
    screen: Arc<(Mutex<String>, Condvar)>,
    child: Child,
}

impl Terminal {
    fn of(mut command: std::process::Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(path).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(master);
        let mut from = keyboard.try_clone().unwrap();
        let screen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0u8; 4096];
            // The other end is gone: an error on Linux, nothing elsewhere.
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                shown.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
                shown.1.notify_all();
            }
        });
        Self { keyboard, screen, child }
    }

    /// Waits until this stands on the screen, after what was waited for before. Gives everything up to it.
    fn until(&self, text: &str) -> String {
        let (screen, changed) = &*self.screen;
        let there = |screen: &mut String| !screen.contains(text);
        let (mut screen, late) =
            changed.wait_timeout_while(screen.lock().unwrap(), Duration::from_secs(60), there).unwrap();
        assert!(!late.timed_out(), "no `{text}` in\n{screen}");
        let end = screen.find(text).unwrap() + text.len();
        let seen = screen[..end].to_owned();
        screen.drain(..end);
        seen
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }
}

#[test]
fn one_key_answers_and_what_was_typed_before_answers_nothing() {
    let scene = scene();
    let served = scene.aecl.serve();
    let (_, token) = served.open_run(&scene.keys.orchestrator, "payer");
    let watch = scene.aecl.command(&["approvals", "watch", "--key", &scene.keys.finn]);
    let mut terminal = Terminal::of(watch);
    terminal.until("Waiting for requests");
    let (_, approval) = scene.transfer(&served, &token, "3.00");
    terminal.until("\u{7}\u{1b}]2;AECL asks: payments.transfer: 3");
    let card = terminal.until("q quit");
    assert!(card.contains("\"account\": \"acc-9\"") && card.contains("  why "), "{card}");
    // Nobody can have read it by now.
    terminal.press("aaaa");
    terminal.until("  > ");
    let state =
        |id: &str| scene.aecl.run(&["approvals", "show", id, "--json"]).ended(0).json()["state"].clone();
    assert_eq!(state(&approval), "pending");
    // An arrow is no answer, whatever letters it is made of.
    terminal.press("\u{1b}[a");
    terminal.press("s");
    terminal.until("Who answers");
    terminal.until("  > ");
    assert_eq!(state(&approval), "pending");
    terminal.press("r");
    terminal.until("Why not?");
    terminal.press("wrong payee\n");
    terminal.until("Rejected");
    let shown = scene.aecl.run(&["approvals", "show", &approval, "--json"]).ended(0).json();
    assert_eq!(shown["votes"][0]["reason"], "wrong payee");

    let (_, second) = scene.transfer(&served, &token, "4.00");
    terminal.until("  > ");
    terminal.press("a");
    terminal.until("Approved.");
    assert_eq!(state(&second), "approved");
    terminal.press("q");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
