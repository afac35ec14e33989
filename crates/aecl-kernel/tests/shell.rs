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

use aecl_kernel::read::code_arguments::shell::{Line, read};
use proptest::prelude::*;
use serde_json::json;
use std::process::{Command, Stdio};

/// Says which program it would have run, and runs none: there is none of these names, and no path to look in.
const SAY: &str = r#"exec 3>&1 1>/dev/null
command_not_found_handle() { local all; printf -v all '%s\1' "$@"; printf 'RAN %s\2' "$all" >&3; }
eval "$1"
wait"#;

/// What bash runs of a line: each program with its arguments. `None` if it refuses the line as a whole.
fn bash(line: &str) -> Vec<Vec<String>> {
    let ran = Command::new("/bin/bash")
        .args(["--norc", "--noprofile", "-c", SAY, "bash", line])
        .env_clear()
        .env("PATH", "/nonexistent")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let each = said.split("RAN ").skip(1).filter_map(|text| text.split_once('\u{2}'));
    each.map(|(words, _)| {
        words.strip_suffix('\u{1}').unwrap_or(words).split('\u{1}').map(str::to_owned).collect()
    })
    .collect()
}

fn lists(line: &Line, ran: &[String]) -> bool {
    line.commands.iter().any(|c| c.program == ran[0] && c.arguments == ran[1..])
}

#[track_caller]
fn check(line: &str) {
    let ours = read(&json!(line));
    for ran in bash(line) {
        let known = lists(&ours, &ran) || ours.unread.is_some();
        assert!(known, "bash runs {ran:?} of {line:?}, and we see {ours:?}");
    }
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
        check(line);
    }
    // The test itself notices something.
    assert_eq!(bash("aa 'b c'; dd"), [vec!["aa".to_owned(), "b c".into()], vec!["dd".into()]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_bash_runs_is_on_our_list(parts in proptest::collection::vec(prop::sample::select(vec![
        "aa", "bb", "cc", " ", " ", " ", ";", "&&", "||", "|", "\n", "&", "'", "\"", "\\", "#", "$", "$(", ")", "(", "`", "\t", "2", ">/dev/null", "2>&1", "<", "=", "-x", "|&", "\\\n", "!", "é",
    ]), 1..14)) {
        check(&parts.concat());
    }
}
