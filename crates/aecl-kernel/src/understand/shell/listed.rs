//! Programs that are known to look and not to change, with the arguments that make them do more.

use super::{Command, base};

/// A program that looks.
struct Looks {
    program: &'static str,
    /// Beginnings of arguments with which it does more.
    except: &'static [&'static str],
    /// Only so many arguments that are no options; a further one would be a file that is written.
    files_max: usize,
}

const fn looks(program: &'static str, except: &'static [&'static str]) -> Looks {
    Looks { program, except, files_max: usize::MAX }
}

/// What is not here changes something, runs something else, or nobody has looked at it yet.
const LOOK: &[Looks] = &[
    looks("basename", &[]),
    looks("cat", &[]),
    looks("cksum", &[]),
    looks("cmp", &[]),
    looks("comm", &[]),
    looks("cut", &[]),
    looks("date", &["-s", "--s", "-f", "--f"]),
    looks("df", &[]),
    looks("diff", &[]),
    looks("dirname", &[]),
    looks("du", &[]),
    looks("echo", &[]),
    looks("egrep", &[]),
    looks("false", &[]),
    looks("fgrep", &[]),
    looks("find", &["-exec", "-ok", "-delete", "-fprint", "-fls", "-files0-from"]),
    looks("fold", &[]),
    looks("grep", &[]),
    looks("groups", &[]),
    looks("head", &[]),
    looks("id", &[]),
    looks("ls", &[]),
    looks("md5sum", &[]),
    looks("nl", &[]),
    looks("nproc", &[]),
    looks("pwd", &[]),
    looks("readlink", &[]),
    looks("realpath", &[]),
    looks("seq", &[]),
    looks("sha1sum", &[]),
    looks("sha256sum", &[]),
    looks("sha512sum", &[]),
    looks("sort", &["-o", "--o", "--compress", "-T", "--t", "--files0"]),
    looks("stat", &[]),
    looks("tac", &[]),
    looks("tail", &["-f", "-F", "--f", "--retry"]),
    looks("test", &[]),
    looks("tr", &[]),
    looks("true", &[]),
    looks("uname", &[]),
    Looks { program: "uniq", except: &[], files_max: 1 },
    looks("wc", &["--files0"]),
    looks("which", &[]),
    looks("whoami", &[]),
];

/// Shells: what they are given is a line again.
const SHELLS: [&str; 8] = ["ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"];

/// Programs and words of the shell that run what they are given.
const OPAQUE: &[&str] = &[
    ".",
    "alias",
    "awk",
    "bash",
    "builtin",
    "bun",
    "chroot",
    "command",
    "deno",
    "doas",
    "docker",
    "env",
    "eval",
    "exec",
    "expect",
    "flock",
    "gawk",
    "git",
    "kubectl",
    "lua",
    "make",
    "mawk",
    "nice",
    "node",
    "nohup",
    "npm",
    "npx",
    "osascript",
    "parallel",
    "perl",
    "php",
    "podman",
    "powershell",
    "pwsh",
    "python",
    "python2",
    "python3",
    "ruby",
    "screen",
    "script",
    "sed",
    "setsid",
    "source",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "tclsh",
    "timeout",
    "tmux",
    "trap",
    "unshare",
    "uv",
    "vim",
    "watch",
    "xargs",
];

pub(super) fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program)
}

/// Whether it runs what it is given, so that the list of commands may be incomplete.
pub(super) fn is_opaque(program: &str) -> bool {
    is_shell(program) || OPAQUE.contains(&program) || program.starts_with("python3.")
}

/// Why this command does more than look, or may.
pub(super) fn beyond(command: &Command) -> Option<String> {
    let shown = super::super::plain(&command.program, 60);
    // A program of the same name in another folder is another program.
    let known = LOOK.iter().find(|l| l.program == command.program);
    let Some(known) = known else {
        let program = base(&command.program);
        return Some(if is_opaque(program) {
            format!("`{shown}` runs what it is given")
        } else {
            format!("`{shown}` is not among the programs that are known to look only")
        });
    };
    let begins = |a: &&String| known.except.iter().any(|e| a.starts_with(e) || bundled(a, e));
    if let Some(argument) = command.arguments.iter().find(begins) {
        return Some(format!("`{shown}` does more than look with `{}`", super::super::plain(argument, 40)));
    }
    let files = command.arguments.iter().filter(|a| !a.starts_with('-') || a.as_str() == "-").count();
    (files > known.files_max).then(|| format!("`{shown}` writes to its second file"))
}

/// `-ro` holds `-o`.
fn bundled(argument: &str, option: &str) -> bool {
    let mut letters = option.chars().skip(1);
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter != '-' => {
            argument.starts_with('-') && !argument.starts_with("--") && argument.contains(letter)
        }
        _ => false,
    }
}
