//! The program, for each kind of machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;
use crate::install;
use crate::programs::{ask, exists, root, target, watch};

/// The oldest C library on which a program that is linked with it runs: what most wheels want, too.
const GLIBC: &str = "2.17";
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A kind of machine.
pub struct Target {
    triple: String,
    architecture: String,
    is_static: bool,
}

/// The program for one of them.
pub struct Built {
    pub target: String,
    pub file: PathBuf,
    /// How Python calls those machines.
    pub platform: String,
}

impl Target {
    pub fn named(triple: &str) -> Result<Self, String> {
        let mut parts = triple.split('-');
        let architecture = parts.next().unwrap_or_default().to_owned();
        let known = ARCHITECTURES.contains(&architecture.as_str())
            && (triple.ends_with("-unknown-linux-gnu") || triple.ends_with("-unknown-linux-musl"));
        if !known {
            return Err(format!(
                "there is no package for `{triple}`\nhint: x86_64 or aarch64, with -unknown-linux-gnu or -unknown-linux-musl"
            ));
        }
        if !is_there(triple)? {
            return Err(format!(
                "the standard library for `{triple}` is not installed\nhint: rustup target add {triple}"
            ));
        }
        Ok(Self { triple: triple.to_owned(), architecture, is_static: triple.ends_with("musl") })
    }

    /// One for each architecture: static where that is to be had.
    pub fn installed() -> Result<Vec<Self>, String> {
        let mut out = Vec::new();
        for architecture in ARCHITECTURES {
            let triples = ["musl", "gnu"].map(|kind| format!("{architecture}-unknown-linux-{kind}"));
            let mut there = triples.iter().filter(|triple| is_there(triple).unwrap_or_default());
            match there.next() {
                Some(triple) => out.push(Self::named(triple)?),
                None => println!(
                    "skip {architecture}: no standard library for it; hint: rustup target add {}",
                    triples[0]
                ),
            }
        }
        Ok(out)
    }

    pub fn triple(&self) -> &str {
        &self.triple
    }

    /// As the linker of Zig takes it, with the C library.
    fn linked(&self) -> String {
        if self.is_static { self.triple.clone() } else { format!("{}.{GLIBC}", self.triple) }
    }

    /// A static program runs with any C library.
    fn platform(&self) -> String {
        let a = &self.architecture;
        let glibc = format!("manylinux_2_17_{a}.manylinux2014_{a}");
        if self.is_static { format!("{glibc}.musllinux_1_1_{a}") } else { glibc }
    }
}

fn is_there(triple: &str) -> Result<bool, String> {
    let folder = ask(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    Ok(Path::new(folder.trim()).exists())
}

pub fn build(targets: &[Target]) -> Result<Vec<Built>, String> {
    let python = install::python(&tools().join("python"), "requirements-dist.txt")?;
    let bin = python.parent().unwrap_or(&python).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    for of in targets {
        println!("building for {}{}", of.triple, if of.is_static { "" } else { ", glibc 2.17 or newer" });
        let mut command = Command::new("cargo-zigbuild");
        command.args(["zigbuild", "--locked", "--profile", "dist", "-p", "aecl", "--target", &of.linked()]);
        command.env("PATH", &path).env("CARGO_INCREMENTAL", "0");
        // No path of this machine in what is handed out, and the same bytes from another folder.
        let homes = [(root(), "/aecl"), (cargo_home()?, "/cargo")];
        let flags = homes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"));
        let flags = homes.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
        let flags = flags.collect::<Vec<_>>().join(" ");
        command.env("CFLAGS", &flags).env("CXXFLAGS", &flags);
        if !watch(&mut command)? {
            return Err(format!("the program for `{}` does not build", of.triple));
        }
        let file = target()?.join(&of.triple).join("dist/aecl");
        out.push(Built { target: of.triple.clone(), file, platform: of.platform() });
    }
    Ok(out)
}

fn cargo_home() -> Result<PathBuf, String> {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    own.or_else(home).ok_or_else(|| "neither `CARGO_HOME` nor `HOME` is set".into())
}

/// Whether a program does its work, where it runs here or under emulation: a policy is loaded, and its examples are
/// decided as they say.
pub fn try_out(built: &Built) -> Result<(), String> {
    let host = ask(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let of = |triple: &str| triple.split('-').next().unwrap_or_default().to_owned();
    let emulator = format!("qemu-{}-static", of(&built.target));
    let mut command = match of(host.trim()) == of(&built.target) {
        true => Command::new(&built.file),
        false if exists(&emulator) => {
            let mut command = Command::new(&emulator);
            command.arg(&built.file);
            command
        }
        false => {
            println!("skip trying the program for `{}`: there is no `{emulator}`", built.target);
            return Ok(());
        }
    };
    let home = target()?.join("packages-tried");
    install::clear(&home)?;
    let tried = ask(command.arg("--dir").arg(&home).args(["init", "--example", "finance"]));
    install::clear(&home)?;
    tried.map_err(|why| format!("the program for `{}` does not do its work: {why}", built.target))?;
    println!("the program for `{}` does its work", built.target);
    Ok(())
}

/// A program that is there already. Nobody knows where else it runs, so that its wheel is for machines of this kind alone.
pub fn of_this_machine(file: &Path) -> Result<Built, String> {
    let version = ask(Command::new(file).arg("--version"));
    version.map_err(|why| format!("`{}` is no program that runs here: {why}", file.display()))?;
    let host = ask(Command::new("rustc").args(["--print", "host-tuple"]))?.trim().to_owned();
    let platform = format!("linux_{}", host.split('-').next().unwrap_or_default());
    Ok(Built { target: host, file: file.to_owned(), platform })
}
