//! Our reading of command lines against `bash` itself: whatever programs it looks for, with whatever
//! arguments, must be on our list, unless we say that the list may be incomplete.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests; this one runs a shell"
)]

use aecl_kernel::read::code_arguments::shell::{CommandLine, read};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use serde_json::json;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Output, Stdio};

/// Says which program it would have run, and runs none: there is none of these names, and no path to look in.
/// Several may say it at once, so each says it in one piece: `printf` writes at each end of a line, and what is short
/// is not mixed with what others write.
const SAY: &str = r#"exec 3>&1 1>/dev/null
command_not_found_handle() {
    local all line=$'\n' mark=$'\3'
    printf -v all '%s\1' "$@"
    all=${all//$line/$mark}
    printf 'RAN %s\2' "$all" >&3
}
eval "$1"
wait"#;

/// Nobody's number: as root, `>/dev/nullaa` would make a file there.
const NOBODY: u32 = 65_534;

/// How often the machine may have no room for a process.
const TRIES: usize = 20;

fn run(line: &str) -> std::io::Result<Output> {
    let bash = || {
        let mut bash = Command::new("/bin/bash");
        bash.args(["--norc", "--noprofile", "-c", SAY, "bash", line]).env_clear().env("PATH", "/nonexistent");
        bash.current_dir("/").stdin(Stdio::null());
        bash
    };
    match bash().uid(NOBODY).output() {
        // Only root becomes somebody else.
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {
            bash().output()
        }
        ran => ran,
    }
}

/// What bash runs of a line: each program with its arguments; nothing if it refuses the line as a whole. That the
/// machine had no room for it, or has ended it, says nothing about the line.
fn bash(line: &str) -> Vec<Vec<String>> {
    let mut last = None;
    for _ in 0..TRIES {
        match run(line) {
            Ok(ran) if ran.status.signal().is_none() => return said(&String::from_utf8_lossy(&ran.stdout)),
            ran => last = Some(ran),
        }
        std::thread::yield_now();
    }
    panic!("bash was not to be had for {line:?}: {last:?}");
}

fn said(text: &str) -> Vec<Vec<String>> {
    let each = text.split("RAN ").skip(1).filter_map(|text| text.split_once('\u{2}'));
    each.map(|(words, _)| {
        let words = words.replace('\u{3}', "\n");
        words.strip_suffix('\u{1}').unwrap_or(&words).split('\u{1}').map(str::to_owned).collect()
    })
    .collect()
}

fn lists(line: &CommandLine, ran: &[String]) -> bool {
    line.commands.iter().any(|c| c.program == ran[0] && c.arguments == ran[1..])
}

/// What bash runs of a line and we do not see, in words.
fn missed(line: &str) -> Option<String> {
    let ours = read(&json!(line));
    let missed = bash(line).into_iter().find(|ran| !lists(&ours, ran) && ours.unread.is_none())?;
    Some(format!("bash runs {missed:?} of {line:?}, and we see {ours:?}"))
}

#[test]
fn what_bash_runs_of_these_lines_is_on_our_list() {
    for line in [
        "aa; bb",
        "aa && bb || cc",
        "aa | bb |& cc",
        "aa & bb",
        "a\\a 'b b' \"c c\"",
        "aa\nbb",
        "aa # bb\ncc",
        "aa#bb",
        "'a'a\"b\"",
        "aa \\\nbb",
        "aa 2>&1",
        "aa >/dev/null bb",
        "! aa",
        "(aa; bb)",
        "{ aa; }",
        "aa $(bb)",
        "aa `bb`",
        "aa \"$(bb 'c)')\"",
        "X=1 aa",
        "if aa; then bb; fi",
        "$'aa' bb",
        "aa \\$b",
        "aa '$(bb)'",
        "aa;;bb",
        "aa \"b\\\"c\\d\"",
        "aa 'b\nc'",
        "aa -2>/dev/null",
        "aa 2 >/dev/null",
        "aa>/dev/null",
        "aa b2>/dev/null",
        "aa '2'>/dev/null",
        "aa\\\nbb",
        "\"a\\\na\"",
        "aa &>/dev/null bb",
        "aa b&>/dev/null",
        "aa <&- bb",
        "aa >& /dev/null",
        "\\aa",
        "aa \\# bb",
        "aa \"#\" b",
        "aa ;#b\nbb",
        "aa\tbb",
        "aa b\u{a0}c",
    ] {
        assert_eq!(missed(line), None);
    }
    // The test itself notices something.
    assert_eq!(bash("aa 'b c'; dd"), [vec!["aa".to_owned(), "b c".into()], vec!["dd".into()]]);
}

#[test]
fn what_several_say_at_once_is_heard_of_each() {
    let all = ["aa", "bb", "cc"].map(|name| vec![name.to_owned(), format!("\n{name}")]);
    for _ in 0..100 {
        let mut heard = bash("aa '\n'aa | bb '\n'bb & cc '\n'cc");
        heard.sort();
        assert_eq!(heard, all);
    }
}

/// Pieces of lines.
const PARTS: [&str; 32] = [
    "aa",
    "bb",
    "cc",
    " ",
    " ",
    " ",
    ";",
    "&&",
    "||",
    "|",
    "\n",
    "&",
    "'",
    "\"",
    "\\",
    "#",
    "$",
    "$(",
    ")",
    "(",
    "`",
    "\t",
    "2",
    ">/dev/null",
    "2>&1",
    "<",
    "=",
    "-x",
    "|&",
    "\\\n",
    "!",
    "é",
];

#[test]
fn what_bash_runs_is_on_our_list() {
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(()),
    };
    let mut runner = TestRunner::new(ProptestConfig { rng_seed: RngSeed::Fixed(seed), ..config });
    let lines = prop::collection::vec(prop::sample::select(PARTS.as_slice()), 1..14);
    let found = runner.run(&lines, |parts| match missed(&parts.concat()) {
        Some(missed) => Err(TestCaseError::fail(missed)),
        None => Ok(()),
    });
    if let Err(found) = found {
        panic!("{found}\nthe same lines again: PROPTEST_RNG_SEED={seed}");
    }
}

/// `<&-` is a whole, so what stands right behind it is an argument. Found by the lines above.
#[test]
fn a_word_right_behind_a_closed_stream_is_an_argument() {
    for line in ["=<&-x", "x >&-x", "x 2>&-x y", "x <&- x", "x 2>&- ; =", "x >&-"] {
        assert_eq!(missed(line), None, "{line}");
    }
}
