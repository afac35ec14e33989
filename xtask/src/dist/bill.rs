//! What the program is made of, and under which licences.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::program::Target;
use super::{Release, tools};
use crate::programs::{cargo, metadata, root, watch};

/// The licences of what is in the program.
pub const LICENCES: &str = "LICENSES.txt";
/// Both are cargo's own way to ask; the versions stand here alone.
const CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9", features: "" };
const ABOUT: Tool = Tool { name: "cargo-about", version: "0.9.3", features: "cli" };

struct Tool {
    name: &'static str,
    version: &'static str,
    features: &'static str,
}

pub fn make(release: &Release, targets: &[Target]) -> Result<(), String> {
    components(release, targets)?;
    licences(release)
}

/// Of the first target: what differs between them is which of a few crates for system calls are in.
fn components(release: &Release, targets: &[Target]) -> Result<(), String> {
    let name = format!("aecl-{}", release.version);
    let mut command = Command::new(CYCLONEDX.file()?);
    command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--no-build-deps"]);
    command.args(["--override-filename", &format!("{name}.cdx")]).env("SOURCE_DATE_EPOCH", &release.epoch);
    command.arg("--manifest-path").arg(root().join("crates/aecl/Cargo.toml"));
    if let Some(first) = targets.first() {
        command.args(["--target", first.triple()]);
    }
    let written = watch(&mut command)?;
    // It writes one beside each manifest of the workspace.
    let mut ours = None;
    for manifest in manifests()? {
        let file = manifest.with_file_name(format!("{name}.cdx.json"));
        if manifest.ends_with("crates/aecl/Cargo.toml") {
            ours = std::fs::read(&file).ok();
        }
        let _ = std::fs::remove_file(file);
    }
    let bill = ours.filter(|_| written).ok_or("cargo-cyclonedx wrote no bill of materials")?;
    std::fs::write(release.out.join(format!("{name}.cdx.json")), bill).map_err(|error| error.to_string())
}

/// Each manifest of the workspace.
fn manifests() -> Result<Vec<PathBuf>, String> {
    let metadata = metadata()?;
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    Ok(packages.filter_map(|package| Some(package.get("manifest_path")?.as_str()?.into())).collect())
}

fn licences(release: &Release) -> Result<(), String> {
    let mut command = Command::new(ABOUT.file()?);
    // The texts come from the crates; nobody is asked over the network.
    command.args(["about", "generate", "--locked", "--offline", "--fail", "--manifest-path"]);
    command.arg(root().join("crates/aecl/Cargo.toml")).arg("-c").arg(root().join("xtask/about.toml"));
    command.arg("-o").arg(release.out.join(LICENCES)).arg(root().join("xtask/about.hbs"));
    if watch(&mut command)? { Ok(()) } else { Err("cargo-about could not collect the licences".into()) }
}

impl Tool {
    /// The program, from crates.io, of just this version; installed once.
    fn file(&self) -> Result<PathBuf, String> {
        let Self { name, version, features } = self;
        let at = tools().join(format!("{name}-{version}"));
        let file = at.join("bin").join(name);
        if !file.exists() {
            println!("installing: {name} {version}");
            let words =
                ["install", "--quiet", "--locked", "--version", version, "--features", features, name];
            if !watch(cargo(&words).arg("--root").arg(&at))? || !file.exists() {
                return Err(format!("cargo could not install {name} {version}"));
            }
        }
        Ok(file)
    }
}
