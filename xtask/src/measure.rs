//! `cargo xtask dojo` and `cargo xtask field`: attacks on agents, replayed through a running AECL. Too long for every
//! `cargo xtask test`, which runs samples of them as the peer tests `dojo` and `field`.

use crate::programs::{cargo, root, watch};
use crate::{install, peers};
use std::process::Command;

const DOJO: &str = "\
cargo xtask dojo [words for tests/dojo/measure.py]

Installs AgentDojo into `.cache/`, builds `aecl` and measures every attack on every task of the
suites `banking` and `workspace`, in the modes `standard` and `strict`. Takes most of an hour.

  --suite NAME, --mode MODE     one suite, one mode
  --pairs none|some|all|worded  no attacks, a sample, each once, each in every wording
  --details FILE                what was asked and why, one JSON object a line
";

const FIELD: &str = "\
cargo xtask field [words for tests/field/measure.py]

Builds `aecl` and measures the tasks and attacks of our own domains, on tools whose definitions come
from published MCP servers (installed into `.cache/`), in the modes `standard` and `strict`. Figures
are printed for the development half and for the frozen half.

  --domain NAME, --mode MODE    one domain, one mode
  --answers rejected|blind      what the person says to what an attacker wants
  --details FILE                what was asked and why, one JSON object a line
";

pub fn dojo(words: &[String]) -> Result<bool, String> {
    run(DOJO, "tests/dojo/measure.py", words)
}

pub fn field(words: &[String]) -> Result<bool, String> {
    run(FIELD, "tests/field/measure.py", words)
}

fn run(help: &str, script: &str, words: &[String]) -> Result<bool, String> {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{help}");
        return Ok(true);
    }
    let installed = install::run(false)?;
    if !watch(&mut cargo(&["build", "--package", "aecl"]))? {
        return Ok(false);
    }
    let mut command = Command::new(installed.folder.join("dojo/bin/python"));
    command.arg(root().join(script)).args(words);
    watch(peers::environment(&mut command, &installed)?)
}
