#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "hostile texts are given a time and a stack, and both are measured"
)]

use super::*;
use serde_json::json;

/// A line as one line: what makes it opaque, and its commands, those that go beyond looking in brackets.
fn says(line: &str) -> String {
    let line = read(&json!(line));
    let commands: Vec<String> = line
        .commands
        .iter()
        .map(|c| {
            let all =
                std::iter::once(c.program.clone()).chain(c.arguments.clone()).collect::<Vec<_>>().join(" ");
            if c.beyond.is_some() { format!("[{all}]") } else { all }
        })
        .collect();
    format!("{} {}", if line.unread.is_some() { "unread" } else { "read" }, commands.join(" ; "))
}

#[track_caller]
fn table(rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        assert_eq!(says(line), *expected, "{line}");
    }
}

#[test]
fn commands_that_look_are_simple() {
    for line in [
        "ls -la",
        "cat a.txt | grep x | wc -l",
        "git_log=1; true",
        "head -n 5 'my file'",
        "find . -name x",
        "ls; pwd",
        "grep -r \"a b\" src && echo found",
        "ls 2>/dev/null",
        "ls >/dev/null 2>&1",
        "echo a\\ b",
        "ls # comment",
        "cat a \\\n b",
        "test -f a || echo missing",
        "sort a | uniq",
    ] {
        let read = read(&json!(line));
        assert_eq!(read.simple(), !line.contains('='), "{line}: {read:?}");
    }
}

#[test]
fn every_command_of_a_line_is_listed() {
    table(&[
        ("ls -la", "read ls -la"),
        ("ls; rm -rf /", "read ls ; [rm -rf /]"),
        ("ls\nrm -rf /", "read ls ; [rm -rf /]"),
        ("ls && rm a || mv a b", "read ls ; [rm a] ; [mv a b]"),
        ("cat a | tee b", "read cat a ; [tee b]"),
        ("ls & rm a", "unread ls ; [rm a]"),
        ("ls |& rm", "read ls ; [rm]"),
        ("'r'm -rf \"/\"", "read [rm -rf /]"),
        ("r\\m a", "read [rm a]"),
        ("echo $(rm -rf /)", "unread echo … ; [rm -rf /]"),
        ("echo `rm a`", "unread echo … ; [rm a]"),
        ("echo \"x $(rm a) y\"", "unread echo x … y ; [rm a]"),
        ("echo '$(rm a)'", "read echo $(rm a)"),
        ("cat <(rm a)", "unread cat … ; [rm a]"),
        ("(ls; rm a)", "unread ls ; [rm a]"),
        ("{ ls; rm a; }", "unread ls ; [rm a]"),
        ("if true; then rm a; fi", "unread true ; [rm a]"),
        ("X=1 rm a", "unread [rm a]"),
        ("! rm a", "unread [rm a]"),
        ("time rm a", "unread [rm a]"),
        ("echo a;# b\nrm c", "read echo a ; [rm c]"),
        ("echo a#b", "read echo a#b"),
        ("$(echo rm) a", "unread [… a] ; echo rm"),
        ("echo $(cat $(rm a))", "unread echo … ; cat … ; [rm a]"),
    ]);
}

#[test]
fn whatever_a_shell_works_out_first_is_not_simple() {
    for line in [
        "rm *",
        "ls *.txt",
        "ls ~",
        "echo $HOME",
        "echo ${X:-$(rm a)}",
        "ls ?",
        "ls [ab]",
        "echo {a,b}",
        "echo $'\\x41'",
        "eval ls",
        "bash -c ls",
        "sh x",
        "python -c 'print(1)'",
        "ls > out",
        "ls >> out",
        "cat < in",
        "ls 2> err",
        "cat << EOF\nrm\nEOF",
        "cat <<< x",
        "ls &",
        "ls\u{200b}",
        "ls\r",
        "ls \u{a0}a",
        "xargs rm",
        "env ls",
        "sudo ls",
        "/tmp/ls",
        "./ls",
        "find . -delete",
        "find . -exec rm x",
        "sort -o a b",
        "sort -ro a b",
        "date -s x",
        "uniq a b",
        "\"ls",
        "'ls",
        "ls \\",
        "ls >",
        "> out",
        "ls >|out",
        "ls <> f",
        "ls &> f",
        "ls >& f",
        "X=1",
        "a[0]=1",
        "f() ls",
        "",
        " ",
        ";",
        "git log",
        "PATH=. ls",
    ] {
        let read = read(&json!(line));
        assert!(!read.simple(), "{line}: {read:?}");
    }
}

#[test]
fn what_shells_read_differently_is_not_simple() {
    // In `sh` it is `ls &`, and then a command with its output elsewhere; a stream has one digit there.
    for line in ["ls &>/dev/null git push", "ls &>>/dev/null git push", "ls 2>&1 &> /dev/null git push"] {
        let read = read(&json!(line));
        assert!(!read.simple(), "{line}: {read:?}");
        assert!(read.programs().contains("git"), "{line}: {read:?}");
    }
    for line in ["uniq a 10>/dev/null", "uniq a 10>&2", "uniq a 02>/dev/null", "cat 12<a"] {
        let read = read(&json!(line));
        assert!(!read.simple(), "{line}: {read:?}");
    }
    assert!(super::read(&json!("ls 2>&1")).simple());
}

#[test]
fn an_option_that_does_more_is_known_however_it_is_written() {
    for line in [
        "sort --compress-program=bash a",
        "sort --compress-prog bash a",
        "sort --co=bash a",
        "sort -S1k --comp=bash",
        "sort --output=b a",
        "sort --ou b a",
        "sort --files0-from=list",
        "sort --fil=list",
        "wc --files=list",
        "du --fil=list",
        "sha256sum -c list",
        "md5sum --ch list",
        "tail --ret a",
        "diff -l a b",
        "diff --pag a b",
        "date --se=x",
        "date 010100002020",
        "date -- 0101000020",
        "date -u 0101000020",
        "date -d -d 0101000020",
        "uniq -- -a -b",
        "uniq a -- b",
        "test -v 'a[$(rm x)]'",
        "test -v a",
        "test ! -R a",
        "test 'a[$(rm x)]' -eq 1",
        "test 'a[`rm x`]' -eq 1",
        "find . -execdir rm x",
        "find . -fprintf f x",
    ] {
        assert!(!read(&json!(line)).simple(), "{line}");
        let words: Vec<String> = line.replace('\'', "").split(' ').map(str::to_owned).collect();
        assert!(line.contains('\'') || !read(&json!(words)).simple(), "{line}, as a list");
    }
    for line in [
        "date",
        "date +%F",
        "date -u '+%F %T'",
        "sort -- a",
        "sort -n a",
        "sort --reverse a",
        "uniq -c a",
        "diff -u a b",
    ] {
        assert!(read(&json!(line)).simple(), "{line}");
    }
}

#[test]
fn an_opaque_program_makes_the_list_incomplete() {
    for line in [
        "find . -exec rm x",
        "sort --co=bash a",
        "test -v 'a[$(rm x)]'",
        "eval rm",
        "bash -c 'rm a'",
        "cat x | sh",
        "sudo rm",
        "env A=1 rm",
        "xargs rm",
        ". x",
        "source x",
        "python3.12 x",
        "/bin/bash x",
    ] {
        assert!(read(&json!(line)).unread.is_some(), "{line}");
    }
    assert!(read(&json!("rm a")).unread.is_none());
    assert!(read(&json!(["xargs", "rm"])).unread.is_some());
    assert!(read(&json!(["find", ".", "-exec", "rm", "x", ";"])).unread.is_some());
}

#[test]
fn a_list_is_a_program_and_no_shell() {
    let read = |value| read(&value);
    assert!(read(json!(["ls", "$(rm a)", "*", ";", "rm"])).simple());
    assert!(!read(json!(["rm", "a"])).simple());
    let line = read(json!(["bash", "-c", "ls; rm -rf /"]));
    assert!(line.unread.is_some() && line.programs().contains("rm"), "{line:?}");
    for odd in [
        json!([]),
        json!(["ls", 1]),
        json!({"cmd": "ls"}),
        json!(null),
        json!(1),
        json!(["ls", "a\u{202e}b"]),
    ] {
        assert!(!read(odd.clone()).simple(), "{odd}");
    }
}

#[test]
fn a_list_of_commands_is_several() {
    let line = read_each(&[json!("ls"), json!("git push"), json!(["rm", "x"])]);
    assert!(!line.simple() && line.programs().contains("git") && line.programs().contains("rm"), "{line:?}");
    assert!(read_each(&[json!("ls"), json!("cat a")]).simple());
    assert!(read_each(&[json!("ls"), json!("$(git push)")]).unread.is_some());
    assert!(read_each(&[json!("ls"), json!(1)]).unread.is_some());
    let many = vec![json!("a;".repeat(200)); 3];
    assert_eq!(read_each(&many).commands.len(), COMMANDS_MAX);
}

#[test]
fn words_are_what_a_person_reads() {
    assert_eq!(
        read(&json!("ls a; rm -rf /\u{202e}x")).words().join("|"),
        "a command line that was not understood: it has control or invisible characters|looks with `ls a`|runs `rm -rf /x`"
    );
    assert_eq!(read(&json!("a;".repeat(300))).words().len(), 2);
}

#[test]
fn a_backslash_makes_no_hidden_character_plain() {
    for hidden in ['\u{3}', '\u{1b}', '\u{200b}', '\u{202e}'] {
        for line in [format!("ls a{hidden}"), format!("ls a\\{hidden}"), format!("ls 'a{hidden}'")] {
            assert!(!read(&json!(line)).simple(), "{line:?}");
        }
    }
    assert!(read(&json!("ls a\\ b")).simple());
}

#[test]
fn hostile_lines_end_at_once() {
    let megabyte = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let below = |unit: &str| unit.repeat(BYTES_MAX / unit.len());
    let start = std::time::Instant::now();
    for unit in [
        "(", "$(", "`", "\"", "'", "\\", "a;", "<(", "{", "${", ">", "a ", "\u{fdfa}", "$(\"", "\"$(", "|",
        "&", "<<",
    ] {
        for text in [megabyte(unit), below(unit)] {
            assert!(!read(&json!(text)).simple(), "{unit}");
        }
    }
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}
