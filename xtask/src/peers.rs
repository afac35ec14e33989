//! Peer tests: scripts in `tests/peers/` that drive programs which are not ours.
//!
//! A script says `ok NAME`, `FAIL NAME: why` or `skip NAME: why` for each check and ends with
//! a status other than zero when one failed. It finds what it needs in its environment:
//! `AECL_BIN` our binary, `PEERS` the directory of installed peers, `NODE` a Node.js they run on.

use std::path::PathBuf;
use std::process::Command;

use crate::install::Installed;
use crate::programs::{root, target, watch_lines};
use crate::test::Tally;

/// Whoever has not answered after this long never will.
const DEADLINE_S: u32 = 900;

pub struct Script {
    pub name: String,
    path: PathBuf,
}

/// Every script directly in `tests/peers/`, by name. What they share lies in `lib/` below it.
pub fn scripts() -> Result<Vec<Script>, String> {
    let folder = root().join("tests/peers");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut scripts = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let kind = path.extension().and_then(|kind| kind.to_str());
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let (Some("py" | "sh"), Some(name)) = (kind, name) {
            scripts.push(Script { name, path });
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    if scripts.is_empty() {
        return Err(format!("`{}` holds no peer test, and it should", folder.display()));
    }
    Ok(scripts)
}

/// Scripts whose environment is too large for every run (`install::large`).
const LARGE: [&str; 1] = ["litellm"];

impl Script {
    pub fn is_large(&self) -> bool {
        LARGE.contains(&self.name.as_str())
    }
}

pub fn run(script: &Script, installed: &Installed) -> Result<Tally, String> {
    let interpreter = match script.path.extension().and_then(|kind| kind.to_str()) {
        Some("py") => installed.python.clone(),
        Some(_) | None => PathBuf::from("bash"),
    };
    // `timeout` ends the whole process group, so no server outlives its script.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &DEADLINE_S.to_string()]).arg(interpreter).arg(&script.path);
    let (success, lines) = watch_lines(environment(&mut command, installed)?)?;

    let starting = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count() as u64;
    let mut tally = Tally { passed: starting("ok "), failed: starting("FAIL "), skipped: starting("skip ") };
    if tally.failed == 0 && (!success || tally.passed == 0) {
        let why = if success { "it checked nothing" } else { "it ended badly without saying why" };
        println!("FAIL {}: {why}", script.name);
        tally.failed = 1;
    }
    Ok(tally)
}

/// What a script finds in its environment.
pub fn environment<'a>(command: &'a mut Command, installed: &Installed) -> Result<&'a mut Command, String> {
    command.env("AECL_BIN", aecl_binary()?).env("PEERS", &installed.folder).env("NODE", &installed.node);
    Ok(command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn aecl_binary() -> Result<PathBuf, String> {
    Ok(target()?.join("debug/aecl"))
}
