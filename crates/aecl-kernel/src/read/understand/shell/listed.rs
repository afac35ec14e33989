//! Programs that are known to look and not to change, with the arguments that make them do more.

use super::{Command, base};

/// A program that looks.
struct Looks {
    program: &'static str,
    /// Options with which it does more: these, what begins like them, and long ones cut short.
    except: &'static [&'static str],
    operands: Operands,
}

/// What a program does with its arguments that are no options.
enum Operands {
    /// It reads them.
    Read,
    /// It reads the first and writes to the second.
    ReadThenWrite,
    /// They say how a date is shown (`+%F`), or set the clock.
    Format,
    /// Some shells work out what stands in the brackets of a name, or of a number.
    Expressions,
}

const fn looks(program: &'static str, except: &'static [&'static str]) -> Looks {
    Looks { program, except, operands: Operands::Read }
}

/// What is not here changes something, runs something else, or nobody has looked at it yet.
const LOOK: &[Looks] = &[
    looks("basename", &[]),
    looks("cat", &[]),
    looks("cksum", &["-c", "--check"]),
    looks("cmp", &[]),
    looks("comm", &[]),
    looks("cut", &[]),
    Looks { program: "date", except: &["-s", "--s", "-f", "--f"], operands: Operands::Format },
    looks("df", &[]),
    looks("diff", &["-l", "--paginate"]),
    looks("dirname", &[]),
    looks("du", &["--files0-from"]),
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
    looks("md5sum", &["-c", "--check"]),
    looks("nl", &[]),
    looks("nproc", &[]),
    looks("pwd", &[]),
    looks("readlink", &[]),
    looks("realpath", &[]),
    looks("seq", &[]),
    looks("sha1sum", &["-c", "--check"]),
    looks("sha256sum", &["-c", "--check"]),
    looks("sha512sum", &["-c", "--check"]),
    looks("sort", &["-o", "--o", "--compress-program", "-T", "--t", "--files0-from"]),
    looks("stat", &[]),
    looks("tac", &[]),
    looks("tail", &["-f", "-F", "--f", "--retry"]),
    Looks { program: "test", except: &["-v", "-R"], operands: Operands::Expressions },
    looks("tr", &[]),
    looks("true", &[]),
    looks("uname", &[]),
    Looks { program: "uniq", except: &[], operands: Operands::ReadThenWrite },
    looks("wc", &["--files0-from"]),
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

/// Options with which programs that look run others.
const RUN_OTHERS: &[(&str, &[&str])] = &[
    ("diff", &["-l", "--paginate"]),
    ("find", &["-exec", "-ok"]),
    ("sort", &["--compress-program"]),
    ("test", &["-v", "-R"]),
];

/// Whether a program runs what it is given.
fn is_opaque(program: &str) -> bool {
    is_shell(program) || OPAQUE.contains(&program) || program.starts_with("python3.")
}

/// Whether a command runs what it is given, so that the list of commands may be incomplete.
pub(super) fn runs_others(command: &Command) -> bool {
    let program = base(&command.program);
    is_opaque(program)
        || RUN_OTHERS.iter().filter(|(name, _)| *name == program).any(|(_, options)| {
            command.arguments.iter().any(|argument| options.iter().any(|option| is(argument, option)))
        })
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
    let is_excepted = |a: &&String| known.except.iter().any(|e| is(a, e));
    if let Some(argument) = command.arguments.iter().find(is_excepted) {
        return Some(format!("`{shown}` does more than look with `{}`", super::super::plain(argument, 40)));
    }
    match known.operands {
        Operands::Read => None,
        Operands::ReadThenWrite => {
            (operands(command).count() > 1).then(|| format!("`{shown}` writes to its second file"))
        }
        Operands::Format => operands(command)
            .find(|a| !a.starts_with('+'))
            .map(|argument| format!("`{shown}` sets the clock with `{}`", super::super::plain(argument, 40))),
        Operands::Expressions => command
            .arguments
            .iter()
            .any(|a| a.contains(['[', '$', '`']))
            .then(|| format!("a shell works out first what stands in the brackets of `{shown}`")),
    }
}

/// What is no option.
fn operands(command: &Command) -> impl Iterator<Item = &String> {
    let mut options_end = false;
    command.arguments.iter().filter(move |argument| {
        let is_end = !options_end && *argument == "--";
        options_end |= is_end;
        !is_end && (options_end || !argument.starts_with('-') || *argument == "-")
    })
}

/// Whether an argument is this option: it begins like it, holds its letter (`-ro` holds `-o`), or is a part of its long
/// name, which GNU's programs take for the whole (`--co` of `--compress-program`).
fn is(argument: &str, option: &str) -> bool {
    let name = argument.split_once('=').map_or(argument, |(name, _)| name);
    let is_cut = name.len() > 2 && name.starts_with("--") && option.starts_with(name);
    argument.starts_with(option) || is_cut || bundled(argument, option)
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
