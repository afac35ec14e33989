//! Programs that are known to look and not to change, with the arguments that make them do more.

use super::{Command, base};

/// A program that looks.
struct Looks {
    program: &'static str,
    /// Options with which it does more: these, what begins like them, and long ones cut short.
    except: &'static [&'static str],
    /// The same, with which it runs other programs.
    runs: &'static [&'static str],
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
    Looks { program, except, runs: &[], operands: Operands::Read }
}

impl Looks {
    const fn runs(self, runs: &'static [&'static str]) -> Self {
        Self { runs, ..self }
    }

    const fn but(self, operands: Operands) -> Self {
        Self { operands, ..self }
    }
}

/// What is not here changes something, runs something else, or nobody has looked at it yet.
const LOOK: &[Looks] = &[
    looks("basename", &[]),
    looks("cat", &[]),
    looks("cksum", &["-c", "--check"]),
    looks("cmp", &[]),
    looks("comm", &[]),
    looks("cut", &[]),
    looks("date", &["-s", "--s", "-f", "--f"]).but(Operands::Format),
    looks("df", &[]),
    looks("diff", &[]).runs(&["-l", "--paginate"]),
    looks("dirname", &[]),
    looks("du", &["--files0-from"]),
    looks("echo", &[]),
    looks("egrep", &[]),
    looks("false", &[]),
    looks("fgrep", &[]),
    looks("find", &["-delete", "-fprint", "-fls", "-files0-from"]).runs(&["-exec", "-ok"]),
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
    looks("sort", &["-o", "--o", "-T", "--t", "--files0-from"]).runs(&["--compress-program"]),
    looks("stat", &[]),
    looks("tac", &[]),
    looks("tail", &["-f", "-F", "--f", "--retry"]),
    looks("test", &[]).runs(&["-v", "-R"]).but(Operands::Expressions),
    looks("tr", &[]),
    looks("true", &[]),
    looks("uname", &[]),
    looks("uniq", &[]).but(Operands::ReadThenWrite),
    looks("wc", &["--files0-from"]),
    looks("which", &[]),
    looks("whoami", &[]),
];

/// Shells: what they are given is a line again.
const SHELLS: [&str; 13] =
    ["ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "yash", "zsh"];

/// Where code stands among the words of a program that runs what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A command stands behind its own options, of which these take the next word, and so many words of its own.
    Command { valued: &'static [&'static str], operands: usize },
    /// Code stands behind these options, or else its first word says what is run; the rest are values, as are the words
    /// behind these other options.
    Code { behind: &'static [&'static str], valued: &'static [&'static str] },
    /// Its first word says what it does, and behind these words it runs what it is given.
    Orders { behind: &'static [&'static str] },
    /// Whatever it is given may be run.
    Anything,
}

const fn command(valued: &'static [&'static str], operands: usize) -> Takes {
    Takes::Command { valued, operands }
}

const fn code(behind: &'static [&'static str], valued: &'static [&'static str]) -> Takes {
    Takes::Code { behind, valued }
}

const SHELL: Takes = code(&["-c", "--command"], &["-o", "-O", "+o", "+O", "--rcfile", "--init-file"]);
const AWK: Takes =
    code(&["-f", "--file", "-e", "--source", "-i", "--include", "-l", "--load"], &["-v", "-F"]);
const NODE: Takes = code(&["-e", "--eval", "-p", "--print", "-r", "--require", "--import", "--loader"], &[]);
const LUA: Takes = code(&["-e", "-l"], &[]);
const PYTHON: Takes = code(&["-c", "-m"], &["-W", "-X"]);
const SUDO: Takes = command(&["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-r", "-t", "-U"], 0);

/// Programs and words of the shell that run what they are given.
const OPAQUE: &[(&str, Takes)] = &[
    (".", Takes::Anything),
    ("alias", Takes::Anything),
    ("awk", AWK),
    ("builtin", command(&[], 0)),
    ("bun", Takes::Orders { behind: &["run", "x", "-e", "--eval", "-p", "--print"] }),
    ("busybox", command(&[], 0)),
    ("chroot", command(&[], 1)),
    ("command", command(&[], 0)),
    ("deno", Takes::Orders { behind: &["eval", "run", "task", "repl"] }),
    ("doas", SUDO),
    ("docker", Takes::Orders { behind: &["run", "exec", "create", "--entrypoint"] }),
    ("ed", Takes::Anything),
    ("elvish", Takes::Anything),
    ("emacs", Takes::Anything),
    ("env", command(&["-u", "-C", "--unset", "--chdir"], 0)),
    ("eval", Takes::Anything),
    ("ex", Takes::Anything),
    ("exec", command(&["-a"], 0)),
    ("expect", Takes::Anything),
    ("flock", command(&["-w", "-E"], 1)),
    ("gawk", AWK),
    ("gdb", Takes::Anything),
    (
        "git",
        Takes::Orders {
            behind: &[
                "--config-env",
                "--exec",
                "--open-files-in-pager",
                "--receive-pack",
                "--upload-pack",
                "-O",
                "-x",
                "config",
                "filter-branch",
                "foreach",
                "run",
            ],
        },
    ),
    ("ionice", command(&["-c", "-n"], 0)),
    ("julia", code(&["-e", "-E", "-L", "--eval", "--print", "--load"], &[])),
    ("kubectl", Takes::Orders { behind: &["run", "exec", "debug"] }),
    ("lua", LUA),
    ("luajit", LUA),
    ("make", Takes::Anything),
    ("mawk", AWK),
    ("nawk", AWK),
    ("nice", command(&["-n", "--adjustment"], 0)),
    ("node", NODE),
    ("nodejs", NODE),
    ("nohup", command(&[], 0)),
    ("npm", Takes::Orders { behind: &["run", "run-script", "exec", "x", "explore", "init", "create"] }),
    ("npx", Takes::Anything),
    ("nsenter", command(&["-t"], 0)),
    ("nu", Takes::Anything),
    ("nvim", Takes::Anything),
    ("osascript", Takes::Anything),
    ("parallel", Takes::Anything),
    ("perl", code(&["-e", "-E", "-m", "-M"], &[])),
    ("php", code(&["-r", "-B", "-R", "-E", "-f", "-F", "--run", "--file"], &[])),
    ("podman", Takes::Orders { behind: &["run", "exec", "create", "--entrypoint"] }),
    ("powershell", Takes::Anything),
    ("psql", Takes::Anything),
    ("pwsh", Takes::Anything),
    ("pypy", PYTHON),
    ("python", PYTHON),
    ("Rscript", code(&["-e"], &[])),
    ("ruby", code(&["-e", "-r"], &[])),
    ("runuser", Takes::Orders { behind: &["-c", "--command", "-u", "--"] }),
    ("screen", Takes::Anything),
    ("script", Takes::Anything),
    ("sed", code(&["-e", "--expression", "-f", "--file"], &[])),
    ("setpriv", command(&[], 0)),
    ("setsid", command(&[], 0)),
    ("source", Takes::Anything),
    ("sqlite", Takes::Anything),
    ("ssh", Takes::Anything),
    ("stdbuf", command(&["-i", "-o", "-e"], 0)),
    ("strace", command(&["-e", "-o", "-s", "-P", "-a", "-E", "-u"], 0)),
    ("su", Takes::Orders { behind: &["-c", "--command", "-s", "--shell"] }),
    ("sudo", SUDO),
    ("systemd-run", command(&["-p", "-u", "-E"], 0)),
    ("taskset", command(&[], 1)),
    ("tclsh", code(&[], &[])),
    ("time", command(&["-f", "-o"], 0)),
    ("timeout", command(&["-s", "-k", "--signal", "--kill-after"], 1)),
    ("tmux", Takes::Anything),
    ("toybox", command(&[], 0)),
    ("trap", Takes::Anything),
    ("unshare", command(&[], 0)),
    ("uv", Takes::Orders { behind: &["run", "tool", "x"] }),
    ("vi", Takes::Anything),
    ("vim", Takes::Anything),
    ("watch", Takes::Anything),
    ("xargs", command(&["-a", "-d", "-E", "-I", "-L", "-n", "-P", "-s"], 0)),
];

pub(super) fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program)
}

/// What a program runs of what it is given, if it does: by its name, with or without a version behind it.
pub(super) fn takes(program: &str) -> Option<Takes> {
    let plain = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    [program, plain].into_iter().find_map(|name| {
        let listed = OPAQUE.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes);
        listed.or_else(|| is_shell(name).then_some(SHELL))
    })
}

/// Whether a program runs what it is given.
fn is_opaque(program: &str) -> bool {
    takes(program).is_some()
}

/// Whether this word is one with which a program that only looks runs others.
pub(super) fn runs_others_with(program: &str, argument: &str) -> bool {
    let known = LOOK.iter().find(|known| known.program == program);
    known.is_some_and(|known| known.runs.iter().any(|option| is(argument, option)))
}

/// Whether a command runs what it is given, so that the list of commands may be incomplete.
pub(super) fn runs_others(command: &Command) -> bool {
    let program = base(&command.program);
    is_opaque(program) || command.arguments.iter().any(|argument| runs_others_with(program, argument))
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
    let is_excepted = |a: &&String| known.except.iter().chain(known.runs).any(|option| is(a, option));
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
pub(super) fn is(argument: &str, option: &str) -> bool {
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
