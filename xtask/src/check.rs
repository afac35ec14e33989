//! `cargo xtask check`: what a commit must pass before the tests are worth running.

use crate::programs::{cargo, watch};
use crate::tidy;

/// Workspaces of their own. Their lints are not looked at here: that would build what they depend on once more.
const BESIDE: [&str; 3] = ["fuzz", "prove", "wasm"];

const HELP: &str = "\
cargo xtask check: format, lints, tidy and documentation, in this order.

  cargo fmt --all --check                and the same in fuzz, prove and wasm
  cargo clippy --workspace --all-targets -- -D warnings
  cargo xtask tidy
  cargo doc --workspace --no-deps        with RUSTDOCFLAGS=-D warnings

All four run, so that one run shows everything. `cargo fmt --all` sets the format straight, there with
`--manifest-path wasm/Cargo.toml` and so on.
";

pub fn run(words: &[String]) -> Result<bool, String> {
    match words {
        [] => {}
        [word] if word == "--help" || word == "-h" => {
            print!("{HELP}");
            return Ok(true);
        }
        _ => return Err("`check` takes no words\nhint: `cargo xtask check --help`".into()),
    }
    let steps = [
        ("format", format()?),
        ("lints", watch(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?),
        ("tidy", tidy::run(&[])?),
        ("docs", watch(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?),
    ];
    println!();
    for (name, passed) in steps {
        println!("{} {name}", if passed { "ok  " } else { "FAIL" });
    }
    Ok(steps.iter().all(|(_, passed)| *passed))
}

fn format() -> Result<bool, String> {
    let mut passed = watch(&mut cargo(&["fmt", "--all", "--check"]))?;
    for folder in BESIDE {
        let manifest = format!("{folder}/Cargo.toml");
        passed &= watch(&mut cargo(&["fmt", "--manifest-path", &manifest, "--check"]))?;
    }
    Ok(passed)
}
