//! `cargo xtask test`: everything that shows that AECL works, on a bare machine too.

use crate::programs::{cargo, exists, watch, watch_lines};
use crate::{aarch64, fuzz, install, peers};

const HELP: &str = "\
cargo xtask test [--fast | --long] [--only STEP]

Installs what the tests need, builds the workspace once and runs every test.
The last line reads `N passed, N failed, N skipped`.

  --fast         our own tests only: installs nothing, leaves doctests, aarch64, fuzzing and peers out
  --long         each target of `cargo xtask fuzz` for ten minutes; CrewAI and LiteLLM, whose environments are large
  --only STEP    one step: `tests`, `doctests`, `aarch64`, `fuzz`, `peers`, or one peer by its name

Steps
  install        Python and Node programs of other people into `.cache/`, by exact version;
                 missing system programs by apt-get when root. Quick when all is there.
  build          cargo build --workspace --all-targets
  tests          cargo nextest run --workspace, or cargo test when nextest is absent
  local-judge    tests of the feature of this name
  doctests       cargo test --workspace --doc
  aarch64        the launcher for aarch64, and whether it answers under emulation
  fuzz           the small targets of `cargo xtask fuzz`, for five seconds; with `--long`, all for ten minutes
  peers          each script in `tests/peers/`: programs that are not ours, driven for real
";

/// What came out, over all steps.
#[derive(Default, Clone, Copy)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// How long each target is fuzzed, in seconds.
const FUZZ_SECONDS: u64 = 5;
const FUZZ_LONG_SECONDS: u64 = 600;

struct Plan {
    fast: bool,
    long: bool,
    only: Option<String>,
}

impl Plan {
    fn wants(&self, step: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == step)
    }
}

pub fn run(words: &[String]) -> Result<bool, String> {
    let Some(plan) = read(words)? else {
        print!("{HELP}");
        return Ok(true);
    };
    let scripts = peers::scripts()?;
    known(&plan, &scripts)?;
    let mut tally = Tally::default();
    let wanted: Vec<_> = scripts.iter().filter(|s| plan.wants("peers") || plan.wants(&s.name)).collect();

    let mut installed = None;
    if plan.fast {
        println!("skip install, doctests, aarch64, fuzz and peers: --fast");
        tally.skipped += 3 + wanted.len() as u64;
    } else if !wanted.is_empty() || plan.wants("local-judge") {
        title("install");
        // Without the peers our own tests still say something, so they run; the run has failed.
        let with_browser = wanted.iter().any(|script| script.name.starts_with("browser"));
        let found = install::run(with_browser)
            .and_then(|found| if plan.long { install::large(&found).map(|()| found) } else { Ok(found) });
        match found {
            Ok(found) => installed = Some(found),
            Err(why) => {
                println!("FAIL install: {why}");
                tally.failed += 1;
                tally.skipped += wanted.len() as u64;
            }
        }
    }

    title("build");
    if !watch(&mut cargo(&["build", "--workspace", "--all-targets"]))? {
        println!("FAIL build");
        tally.failed += 1;
        return Ok(close(tally));
    }
    if plan.wants("tests") {
        title("tests");
        tally.add(tests()?);
    }
    if plan.wants("local-judge") && !plan.fast {
        title("local-judge");
        let feature = ["--features", "aecl-executor/local-judge", "--test", "local_judge"];
        tally.add(libtest(&[&["test", "--workspace", "--no-fail-fast"], &feature[..]].concat())?);
    }
    if plan.wants("doctests") && !plan.fast {
        title("doctests");
        tally.add(libtest(&["test", "--workspace", "--doc", "--no-fail-fast"])?);
    }
    if plan.wants("aarch64") && !plan.fast {
        title("aarch64");
        tally.add(aarch64::launcher()?);
    }
    if plan.wants("fuzz") && !plan.fast {
        title("fuzz");
        if exists("c++") {
            tally.add(if plan.long { fuzz::all(FUZZ_LONG_SECONDS)? } else { fuzz::light(FUZZ_SECONDS)? });
        } else {
            println!("skip fuzz: libFuzzer is built by a C++ compiler, and there is no `c++`");
            tally.skipped += 1;
        }
    }
    if let Some(installed) = installed {
        for script in wanted {
            title(&format!("peer {}", script.name));
            if script.is_large() && !plan.long {
                println!("skip {}: its environment is large; `--long` installs it", script.name);
                tally.skipped += 1;
                continue;
            }
            tally.add(peers::run(script, &installed)?);
        }
    }
    Ok(close(tally))
}

fn read(words: &[String]) -> Result<Option<Plan>, String> {
    let mut plan = Plan { fast: false, long: false, only: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--fast" => plan.fast = true,
            "--long" => plan.long = true,
            "--only" => plan.only = Some(words.next().ok_or("`--only` wants the name of a step")?.clone()),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("`test` does not know `{other}`\nhint: `cargo xtask test --help`")),
        }
    }
    match (plan.fast, plan.long) {
        (true, true) => Err("`--fast` leaves out what `--long` makes longer\nhint: say one of them".into()),
        _ => Ok(Some(plan)),
    }
}

fn known(plan: &Plan, scripts: &[peers::Script]) -> Result<(), String> {
    let mut names = vec!["tests", "local-judge", "doctests", "aarch64", "fuzz", "peers"];
    names.extend(scripts.iter().map(|script| script.name.as_str()));
    match &plan.only {
        Some(only) if !names.contains(&only.as_str()) => {
            Err(format!("there is no step `{only}`\nhint: the steps are {}", names.join(", ")))
        }
        Some(only) if plan.fast && only != "tests" => {
            Err(format!("`--fast` leaves `{only}` out\nhint: give one of the two"))
        }
        Some(_) | None => Ok(()),
    }
}

fn tests() -> Result<Tally, String> {
    if exists("cargo-nextest") {
        let run = ["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass", "--color=never"];
        let (success, lines) = watch_lines(&mut cargo(&run))?;
        return Ok(settle(success, nextest_summary(&lines), "nextest"));
    }
    println!("cargo-nextest is not installed, so `cargo test` runs instead");
    libtest(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
}

fn libtest(arguments: &[&str]) -> Result<Tally, String> {
    let (success, lines) = watch_lines(&mut cargo(arguments))?;
    let mut tally = Tally::default();
    for line in lines.iter().filter_map(|line| line.strip_prefix("test result: ")) {
        let result = line.split_once(". ").map_or(line, |(_, counts)| counts);
        tally.passed += count(result, "passed");
        tally.failed += count(result, "failed");
        tally.skipped += count(result, "ignored");
    }
    Ok(settle(success, tally, "cargo test"))
}

/// A program that failed without naming a failed test has failed all the same.
fn settle(success: bool, mut tally: Tally, name: &str) -> Tally {
    if !success && tally.failed == 0 {
        println!("FAIL {name} did not succeed");
        tally.failed = 1;
    }
    tally
}

/// Reads `Summary [   0.123s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 3 skipped`.
fn nextest_summary(lines: &[String]) -> Tally {
    let summary = lines.iter().rev().find(|line| line.trim_start().starts_with("Summary ["));
    let Some((_, counts)) = summary.and_then(|line| line.split_once("run: ")) else {
        return Tally::default();
    };
    let failed = ["failed", "timed out", "exec failed"].iter().map(|what| count(counts, what)).sum();
    Tally { passed: count(counts, "passed"), failed, skipped: count(counts, "skipped") }
}

/// The number before `what` in a list such as `10 passed; 1 failed`.
fn count(counts: &str, what: &str) -> u64 {
    let parts = counts.split([',', ';']).map(str::trim);
    let number = |part: &str| {
        let (number, rest) = part.split_once(' ')?;
        let rest = rest.split(" (").next()?.trim_end();
        if rest == what { number.parse().ok() } else { None }
    };
    parts.filter_map(number).next().unwrap_or(0)
}

fn title(name: &str) {
    println!("\n== {name}");
}

fn close(tally: Tally) -> bool {
    // A run in which nothing was tested shows nothing.
    let nothing = tally.passed == 0 && tally.failed == 0;
    if nothing {
        println!("FAIL no test ran");
    }
    let failed = tally.failed + u64::from(nothing);
    println!("\n{} passed, {failed} failed, {} skipped", tally.passed, tally.skipped);
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_summary(line: &str) -> (u64, u64, u64) {
        let tally = nextest_summary(&[line.to_owned()]);
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn nextest_counts_are_read_from_its_summary() {
        assert_eq!(read_summary("     Summary [   1.2s] 3 tests run: 3 passed, 0 skipped"), (3, 0, 0));
        assert_eq!(
            read_summary(
                "     Summary [   1.2s] 9 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 4 skipped"
            ),
            (5, 3, 4)
        );
        assert_eq!(read_summary("nothing of the kind"), (0, 0, 0));
    }

    #[test]
    fn failure_without_a_named_test_counts_as_one() {
        assert_eq!(settle(false, Tally::default(), "x").failed, 1);
        assert_eq!(settle(true, Tally::default(), "x").failed, 0);
    }
}
