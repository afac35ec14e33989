//! `cargo xtask fuzz`: libFuzzer on what reads what hostile programs and machines may have written, and on what changes files.

use crate::programs::{cargo, root, watch};
use crate::test::Tally;

const HELP: &str = "\
cargo xtask fuzz [--seconds N] [TARGET...]

Runs libFuzzer on each target, or on those that are named, for 60 seconds or as long as is said.
It is guided by coverage and needs no nightly toolchain, but a C++ compiler and Linux on x86_64.
What it has learnt stays in `.cache/fuzz/TARGET`, so that the next run goes on from there; what
breaks a target is written to `.cache/fuzz/TARGET-crash-...`, which the target takes as an argument.

  order      the launcher's order
  reports    what a launcher reports to its supervisor
  frames     what a virtual machine says to its host
  files      changes of files in a real directory in which somebody else is at work
  mcp        messages between MCP clients and servers, beside another reader
  clients    configurations of MCP clients, and changes of them
  secrets    the secret store's files
  scrub      texts that spell a secret, and what is left of them

These link whole crates, whose first build takes minutes:

  json       the JSON gate, beside another reader
  sql        SQL in arguments, beside a database that carries it out
  shell      command lines
  goal       goals, and what they name
  entry      entries of a ledger
  notes      what a verifier is handed: notes, keys, tiles
  export     exports of a ledger, changed and made up, as a whole
  heads      what programs in a cage ask the broker for
  hello      TLS hellos at the broker, beside another reader
  layers     layers of images, unpacked into a real directory
  image      what says of which layers an image is: index, lists, manifests, configurations
  config     aecl.yaml
  policy     the directory of a policy: Cedar, manifests, claims, examples
";

/// A target, and the package in `fuzz/` that it is in.
struct Target {
    name: &'static str,
    package: &'static str,
}

impl Target {
    /// Whether it is built in seconds, from single files.
    fn is_light(&self) -> bool {
        self.package == LIGHT
    }
}

const LIGHT: &str = "aecl-fuzz";
const READERS: &str = "aecl-fuzz-readers";
const OUTSIDE: &str = "aecl-fuzz-outside";
const GATE: &str = "aecl-fuzz-gate";

const TARGETS: [Target; 21] = [
    Target { name: "order", package: LIGHT },
    Target { name: "reports", package: LIGHT },
    Target { name: "frames", package: LIGHT },
    Target { name: "files", package: LIGHT },
    Target { name: "mcp", package: LIGHT },
    Target { name: "clients", package: LIGHT },
    Target { name: "secrets", package: LIGHT },
    Target { name: "scrub", package: LIGHT },
    Target { name: "json", package: READERS },
    Target { name: "sql", package: READERS },
    Target { name: "shell", package: READERS },
    Target { name: "goal", package: READERS },
    Target { name: "entry", package: READERS },
    Target { name: "notes", package: READERS },
    Target { name: "export", package: READERS },
    Target { name: "heads", package: OUTSIDE },
    Target { name: "hello", package: OUTSIDE },
    Target { name: "layers", package: OUTSIDE },
    Target { name: "image", package: OUTSIDE },
    Target { name: "config", package: GATE },
    Target { name: "policy", package: GATE },
];

/// How long each target runs, if nobody says how long, in seconds.
const SECONDS: u64 = 60;

/// The longest input, in bytes: a frame and something after it.
const LENGTH_MAX: u64 = 70_000;

/// Nothing that is read takes longer than that, in seconds: it would not be linear in its input.
const ANSWER_MAX_SECONDS: u64 = 20;

/// More memory than that is an answer that its input has not paid for, in MiB.
const MEMORY_MAX_MIB: u64 = 512;

/// Counters for libFuzzer in everything that is compiled. Stable compilers have that pass, too.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
                     -Ccodegen-units=1";

const HOST: &str = "x86_64-unknown-linux-gnu";

pub fn run(words: &[String]) -> Result<bool, String> {
    let (mut seconds, mut targets) = (SECONDS, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(true);
            }
            "--seconds" => {
                let said = words.next().and_then(|word| word.parse().ok()).filter(|seconds| *seconds > 0);
                seconds = said.ok_or("`--seconds` wants a number from 1 on")?;
            }
            name => match TARGETS.iter().find(|target| target.name == name) {
                Some(target) => targets.push(target),
                None => {
                    let known = TARGETS.map(|target| target.name).join(", ");
                    return Err(format!("there is no target `{name}`\nhint: the targets are {known}"));
                }
            },
        }
    }
    Ok(if targets.is_empty() { all(seconds) } else { each(&targets, seconds) }?.failed == 0)
}

/// Every target, for so long each.
pub fn all(seconds: u64) -> Result<Tally, String> {
    each(&TARGETS.iter().collect::<Vec<_>>(), seconds)
}

/// Those that are built in seconds, for so long each.
pub fn light(seconds: u64) -> Result<Tally, String> {
    each(&TARGETS.iter().filter(|target| target.is_light()).collect::<Vec<_>>(), seconds)
}

fn each(targets: &[&Target], seconds: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("skip fuzz: it is built for Linux on x86_64");
        tally.skipped += targets.len() as u64;
        return Ok(tally);
    }
    for Target { name: target, package } in targets {
        let learnt = root().join(".cache/fuzz").join(target);
        std::fs::create_dir_all(&learnt).map_err(|error| format!("`{}`: {error}", learnt.display()))?;
        let mut command = cargo(&["run", "--release", "--locked", "--target", HOST]);
        command
            .args(["--manifest-path", "fuzz/Cargo.toml", "--package", package, "--bin", target, "--"])
            .arg(&learnt);
        // What was found once, and what is hard to come upon.
        let seeds = root().join("fuzz/seeds").join(target);
        if seeds.is_dir() {
            command.arg(&seeds);
        }
        // Words of its language.
        let words = seeds.with_extension("dict");
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={LENGTH_MAX}"),
            format!("-rss_limit_mb={MEMORY_MAX_MIB}"),
            format!("-timeout={ANSWER_MAX_SECONDS}"),
            format!("-artifact_prefix={}-", learnt.display()),
        ]);
        // What it would say of each new input is of use to nobody here.
        command.args(["-verbosity=0", "-print_final_stats=1"]).env("RUSTFLAGS", FLAGS);
        if watch(&mut command)? {
            println!("ok   fuzz {target}");
            tally.passed += 1;
        } else {
            println!("FAIL fuzz {target}");
            tally.failed += 1;
        }
    }
    Ok(tally)
}
