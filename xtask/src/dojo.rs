//! `cargo xtask dojo`: AgentDojo's attacks, replayed through a running AECL. Too long for every `cargo xtask test`,
//! which runs a sample of it as the peer test `dojo`.

use crate::programs::{cargo, root, watch};
use crate::{install, peers};
use std::process::Command;

const HELP: &str = "\
cargo xtask dojo [words for tests/dojo/measure.py]

Installs AgentDojo into `.cache/`, builds `aecl` and measures every attack on every task of the
suites `banking` and `workspace`, in the modes `standard` and `strict`. Takes most of an hour.

  --suite NAME, --mode MODE     one suite, one mode
  --pairs none|some|all|worded  no attacks, a sample, each once, each in every wording
  --details FILE                what was asked and why, one JSON object a line
";

pub fn run(words: &[String]) -> Result<bool, String> {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{HELP}");
        return Ok(true);
    }
    let installed = install::run(false)?;
    if !watch(&mut cargo(&["build", "--package", "aecl"]))? {
        return Ok(false);
    }
    let mut command = Command::new(installed.folder.join("dojo/bin/python"));
    command.arg(root().join("tests/dojo/measure.py")).args(words);
    watch(peers::environment(&mut command, &installed)?)
}
