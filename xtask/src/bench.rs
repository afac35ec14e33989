//! `cargo xtask bench`: what AECL costs, and whether it costs much more than what is written down.

use crate::programs::{cargo, exists, root, target, watch};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELP: &str = "\
cargo xtask bench [--quick [--write]] [NAME]...

Measures what AECL costs. Each figure that counts is a ratio to what the machine does in the same run:
bare Cedar, a bare SQLite commit, `/healthz`, hashes alone, a process that copies bytes.

  NAME           ledger, http, mcp, cage or run; all of them otherwise. `cage` wants root for cgroups
  --quick        the build that the tests use, a tenth of the work, and no disk (`/dev/shm`), which differs
                 too much between machines: `ledger`, `http` and `mcp` in some two minutes. A ratio that is
                 twice as bad as `benches/quick.json` says, three times in turn, is a failure
  --write        writes these ratios down instead

`AECL_BENCH_DIR` is the folder on the disk that is to be measured, `/tmp` otherwise; `--quick` does not look at it.
Without `--quick` it builds what is handed out (profile `dist`), which takes some ten minutes the first time.
SPECIFICATION.md has the promises. A busy machine distorts them, a ratio less than a time.
";

const ALL: [&str; 5] = ["ledger", "http", "mcp", "cage", "run"];
const QUICK: [(&str, &[&str]); 3] = [
    ("ledger", &["decide", "provenance", "durable", "verify"]),
    ("http", &["processor", "alone"]),
    ("mcp", &[]),
];
/// How much worse is a failure, and how often in turn.
const WORSE: f64 = 2.0;
const TRIES: usize = 3;
/// Where a flush costs nothing.
const NO_DISK: &str = "/dev/shm";

pub fn run(words: &[String]) -> Result<bool, String> {
    let (mut quick, mut write, mut names) = (false, false, Vec::new());
    for word in words {
        match word.as_str() {
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(true);
            }
            "--quick" => quick = true,
            "--write" => write = true,
            name if ALL.contains(&name) => names.push(name),
            other => return Err(format!("`bench` has no `{other}`\nhint: `cargo xtask bench --help`")),
        }
    }
    if !quick {
        if write {
            return Err(
                "`--write` goes with `--quick`: figures of a whole run stand in SPECIFICATION.md".into()
            );
        }
        let names = if names.is_empty() { ALL.to_vec() } else { names };
        return whole(&names);
    }
    if let Some(name) = names.iter().find(|name| !QUICK.iter().any(|(quick, _)| quick == *name)) {
        return Err(format!("`{name}` has no quick form\nhint: `cargo xtask bench {name}`"));
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let programs: Vec<_> = QUICK.into_iter().filter(|(name, _)| wanted(name)).collect();
    compared(&programs, write)
}

/// Builds the measurements, and the program that `run` starts. Gives where they are.
fn built(profile: &str) -> Result<Option<PathBuf>, String> {
    let words = ["build", "--package", "aecl-benches", "--package", "aecl", "--profile", profile];
    if !watch(&mut cargo(&words))? {
        return Ok(None);
    }
    Ok(Some(target()?.join(if profile == "dev" { "debug" } else { profile })))
}

fn whole(names: &[&str]) -> Result<bool, String> {
    let Some(folder) = built("dist")? else { return Ok(false) };
    let mut passed = true;
    for name in names {
        println!("\n--- {name}");
        passed &= watch(Command::new(folder.join(name)).env("AECL", folder.join("aecl")))?;
    }
    Ok(passed)
}

/// A ratio, and whether more of it is worse.
#[derive(Clone, Copy)]
struct Ratio {
    value: f64,
    more_is_worse: bool,
}

impl Ratio {
    fn is_worse_than(self, other: f64, times: f64) -> bool {
        if self.more_is_worse { self.value > other * times } else { self.value * times < other }
    }
}

type Ratios = BTreeMap<String, Ratio>;

fn compared(programs: &[(&str, &[&str])], write: bool) -> Result<bool, String> {
    if !exists("python3") {
        return Err(
            "there is no `python3`, which `mcp` calls as a server\nhint: apt-get install python3".into()
        );
    }
    if !Path::new(NO_DISK).is_dir() {
        return Err(format!("there is no `{NO_DISK}`, and disks differ too much\nhint: `cargo xtask bench`"));
    }
    let Some(folder) = built("dev")? else { return Ok(false) };
    let path = root().join("benches/quick.json");
    let mut known = read_known(&path)?;
    let mut failed = 0;
    for (name, parts) in programs {
        let mut best = Ratios::new();
        let of_program = known.remove(*name).unwrap_or_default();
        for turn in 1..=TRIES {
            println!("\n--- {name}, quick, {turn} of at most {TRIES}");
            for (what, ratio) in measured(&folder.join(name), parts)? {
                let kept = best.entry(what).or_insert(ratio);
                if kept.is_worse_than(ratio.value, 1.0) {
                    *kept = ratio;
                }
            }
            // What is written down is the best that this machine does.
            if !write && worse(&best, &of_program).is_empty() {
                break;
            }
        }
        if write {
            known.insert(
                (*name).to_owned(),
                best.into_iter().map(|(what, ratio)| (what, ratio.value)).collect(),
            );
            continue;
        }
        for why in worse(&best, &of_program) {
            println!("FAIL {name}: {why}");
            failed += 1;
        }
    }
    if write {
        let text = serde_json::to_string_pretty(&known).map_err(|error| error.to_string())?;
        return fs::write(&path, text + "\n").map(|()| true).map_err(|error| cannot(&path, &error));
    }
    Ok(failed == 0)
}

/// Why these are not as good as what is written down of the same program.
fn worse(best: &Ratios, known: &BTreeMap<String, f64>) -> Vec<String> {
    let of_each = |what: &String| match (best.get(what), known.get(what)) {
        (Some(ratio), Some(known)) => ratio
            .is_worse_than(*known, WORSE)
            .then(|| format!("{what}: {:.2}, and {known:.2} is written down", ratio.value)),
        (None, _) => Some(format!("{what}: it is written down and was not measured")),
        (_, None) => Some(format!("{what}: it is not written down; `cargo xtask bench --quick --write`")),
    };
    let all: BTreeSet<&String> = best.keys().chain(known.keys()).collect();
    all.into_iter().filter_map(of_each).collect()
}

/// The ratios with a goal that one program prints.
fn measured(program: &Path, parts: &[&str]) -> Result<Ratios, String> {
    let told = Path::new(NO_DISK).join(format!("aecl-ratios-{}.jsonl", std::process::id()));
    let _ = fs::remove_file(&told);
    let mut command = Command::new(program);
    command.args(parts).env("AECL_BENCH_QUICK", "1").env("AECL_BENCH_RATIOS", &told);
    command.env("AECL_BENCH_DIR", NO_DISK);
    if !watch(&mut command)? {
        return Err(format!("`{}` failed; what it said is above", program.display()));
    }
    let text = fs::read_to_string(&told).map_err(|error| cannot(&told, &error))?;
    let _ = fs::remove_file(&told);
    let mut ratios = Ratios::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| cannot(&told, &error))?;
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let value = line.get("value").and_then(Value::as_f64);
        let (Some(what), Some(value), Some(target)) = (text("what"), value, text("target")) else {
            return Err(cannot(&told, &format!("this is no ratio: {line}")));
        };
        let more_is_worse = match target.get(..2) {
            Some("<=") => true,
            Some(">=") => false,
            _ => continue,
        };
        ratios.insert(what.to_owned(), Ratio { value, more_is_worse });
    }
    Ok(ratios)
}

/// By program.
fn read_known(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, f64>>, String> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| cannot(path, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(cannot(path, &error)),
    }
}

fn cannot(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("`{}`: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(value: f64, more_is_worse: bool) -> Ratios {
        Ratios::from([("a".to_owned(), Ratio { value, more_is_worse })])
    }

    #[test]
    fn twice_as_bad_is_worse_and_a_little_is_not() {
        let known = BTreeMap::from([("a".to_owned(), 1.0)]);
        for (value, more_is_worse, bad) in [
            (1.9, true, 0),
            (2.1, true, 1),
            (0.1, true, 0),
            (0.6, false, 0),
            (0.4, false, 1),
            (9.0, false, 0),
        ] {
            assert_eq!(worse(&ratios(value, more_is_worse), &known).len(), bad, "{value}");
        }
        assert_eq!(worse(&Ratios::new(), &known).len(), 1, "it is not measured any more");
        assert_eq!(worse(&ratios(1.0, true), &BTreeMap::new()).len(), 1, "it is not written down");
    }
}
