//! Builds the launcher, so that the library can carry it inside itself.
//!
//! The launcher has to be a program of its own, without a byte of the supervisor's memory, and it is started
//! for every cage, so it should start fast: static, and small. Cargo has no way to say "embed that binary of
//! this package, linked statically", but the launcher uses the standard library only, so one call of the
//! compiler does. What comes out is embedded: `cargo run`, `cargo install` and every test have the launcher
//! that belongs to them, without a second step and without a file beside them that could be another version.

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAIN: &str = "src/bin/aecl-cage/main.rs";
/// Where there is a table of system calls for the launcher and one for its filter.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
/// Whatever of these changes makes another launcher. Of a folder, that is all that stands in it.
const SOURCES: &[&str] = &["src/bin/aecl-cage", "src/protocol", "build.rs"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rustc-check-cfg=cfg(native_cage)");
    let is_one_of = |name: &str, values: &[&str]| var(name).is_ok_and(|found| values.contains(&&*found));
    if !is_one_of("CARGO_CFG_TARGET_OS", &["linux"]) || !is_one_of("CARGO_CFG_TARGET_ARCH", &ARCHITECTURES) {
        return;
    }
    println!("cargo::rustc-cfg=native_cage");
    let out = PathBuf::from(var("OUT_DIR").unwrap_or_default()).join("aecl-cage");
    // Without the C library's archive (`libc.a`) the launcher is linked dynamically. That works the same and
    // starts a little slower: it is executed before the cage's files replace the host's.
    if !build(&out, true) && !build(&out, false) {
        println!("cargo::error=the launcher `aecl-cage` does not build; the compiler says why above");
    }
}

fn build(out: &Path, is_static: bool) -> bool {
    let mut rustc = Command::new(var("RUSTC").unwrap_or_else(|_| "rustc".into()));
    rustc.args(["--edition=2024", "--crate-name=aecl_cage", "--crate-type=bin", "--cap-lints=allow"]);
    rustc.args(["-Copt-level=2", "-Cpanic=abort", "-Ccodegen-units=1", "-Clto=fat", "-Cstrip=symbols"]);
    rustc.arg(format!("-Ctarget-feature={}crt-static", if is_static { "+" } else { "-" }));
    if let Ok(target) = var("TARGET") {
        rustc.arg(format!("--target={target}"));
    }
    if let Ok(linker) = var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg("-o").arg(out).arg(MAIN);
    rustc.status().is_ok_and(|status| status.success())
}
