//! The caretaker: runs the tests, keeps the house tidy.
//!
//! One command per file. What a command needs and does is in its `HELP`.

mod aarch64;
mod bench;
mod check;
mod dist;
mod fuzz;
mod install;
mod measure;
mod peers;
mod programs;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
The caretaker of the house.

Usage: cargo xtask <command>

  test [--fast] [--only STEP]   everything that shows that AECL works
  bench [--quick] [NAME]        what AECL costs, as ratios to what nobody can do without
  dojo                          AgentDojo's attacks through a running AECL, all of them
  field                         tasks and attacks of our own domains, likewise
  aarch64 [--launcher]          cages on aarch64, in an emulated machine
  fuzz [--seconds N] [TARGET]   libFuzzer on what reads hostile bytes
  dist                          what is handed out: archives, wheels, bill of materials, sums
  check                         format, lints, tidy, documentation: what a commit must pass
  tidy                          rules of the house that no other tool knows

`cargo xtask <command> --help` says more.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("--help", [].as_slice()),
    };
    let run: fn(&[String]) -> Result<bool, String> = match command {
        "test" => test::run,
        "bench" => bench::run,
        "dojo" => measure::dojo,
        "field" => measure::field,
        "aarch64" => aarch64::run,
        "fuzz" => fuzz::run,
        "dist" => dist::run,
        "check" => check::run,
        "tidy" => tidy::run,
        "--help" | "-h" | "help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: there is no command `{other}`\nhint: `cargo xtask --help` lists the commands");
            return ExitCode::from(2);
        }
    };
    match run(rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
