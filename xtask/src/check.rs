//! `cargo xtask check`: what a commit must pass before the tests are worth running.

use crate::programs::{cargo, watch};
use crate::tidy;

const HELP: &str = "\
cargo xtask check: format, lints, tidy and documentation, in this order.

  cargo fmt --all --check
  cargo clippy --workspace --all-targets -- -D warnings
  cargo xtask tidy
  cargo doc --workspace --no-deps        with RUSTDOCFLAGS=-D warnings

All four run, so that one run shows everything. `cargo fmt --all` sets the format straight.
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
        ("format", watch(&mut cargo(&["fmt", "--all", "--check"]))?),
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
