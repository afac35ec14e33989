//! Packages for npm: the TypeScript library, and the program for one kind of machine beside it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::program::Built;
use super::{Release, Room, papers};
use crate::install;
use crate::programs::{ask, root, watch};

/// The scope of all of them.
const SCOPE: &str = "@aecl";

/// How Node.js calls these machines, and which C library they have, if one matters.
fn machine(target: &str) -> Result<(&'static str, Option<&'static str>), String> {
    let cpu = match target.split('-').next() {
        Some("x86_64") => "x64",
        Some("aarch64") => "arm64",
        _ => return Err(format!("Node.js has no name for the machines of `{target}`")),
    };
    Ok((cpu, target.ends_with("-gnu").then_some("glibc")))
}

/// The program. Its library brings it along where it fits.
pub fn program(release: &Release, built: &Built) -> Result<(), String> {
    let (cpu, libc) = machine(&built.target)?;
    let room = Room::new(built)?;
    let mut about = json!({
        "name": format!("{SCOPE}/linux-{cpu}"),
        "version": release.version,
        "description": format!("The program aecl for Linux on {cpu}."),
        "license": "Apache-2.0",
        "os": ["linux"],
        "cpu": [cpu],
        "files": ["bin", "LICENSES.txt"],
        "preferUnplugged": true,
    });
    if let (Value::Object(about), Some(libc)) = (&mut about, libc) {
        about.insert("libc".into(), json!([libc]));
    }
    std::fs::create_dir_all(room.0.join("bin"))
        .map_err(|error| format!("`{}`: {error}", room.0.display()))?;
    copied(&built.file, &room.0.join("bin/aecl"), 0o755)?;
    pack(release, &room.0, &about)
}

/// The library, with the command that starts the program.
pub fn library(release: &Release, built: &[Built]) -> Result<(), String> {
    let source = root().join("sdk/typescript");
    let read = std::fs::read_to_string(source.join("package.json"))
        .map_err(|error| format!("`sdk/typescript/package.json`: {error}"))?;
    let mut about: Value =
        serde_json::from_str(&read).map_err(|error| format!("`sdk/typescript/package.json`: {error}"))?;
    if about.get("version").and_then(Value::as_str) != Some(release.version.as_str()) {
        return Err(format!("`sdk/typescript/package.json` has another version than {}", release.version));
    }
    let mut programs = Map::new();
    for built in built {
        programs.insert(format!("{SCOPE}/linux-{}", machine(&built.target)?.0), json!(release.version));
    }
    if let Value::Object(about) = &mut about {
        // These are for whoever works on it.
        for key in ["//", "scripts", "devDependencies"] {
            about.remove(key);
        }
        about.insert("optionalDependencies".into(), Value::Object(programs));
    }
    let room = Room::named("npm")?;
    let modules = install::typescript()?;
    let mut tsc = Command::new("node");
    tsc.arg(modules.join("typescript/bin/tsc")).arg("-p").arg(&source).arg("--typeRoots");
    if !watch(tsc.arg(modules.join("@types")).arg("--outDir").arg(room.0.join("dist")))? {
        return Err("the TypeScript library could not be compiled".into());
    }
    copied(&source.join("README.md"), &room.0.join("README.md"), 0o644)?;
    pack(release, &room.0, &about)
}

/// Packs a folder as npm does: nobody's files, of one time.
fn pack(release: &Release, folder: &Path, about: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(about).map_err(|error| error.to_string())?;
    let to = folder.join("package.json");
    std::fs::write(&to, text + "\n").map_err(|error| format!("`{}`: {error}", to.display()))?;
    for paper in papers(release) {
        let to = folder.join(paper.file_name().unwrap_or_default());
        if !to.exists() {
            copied(&paper, &to, 0o644)?;
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["pack", "--ignore-scripts", "--silent", "--pack-destination"]).arg(&release.out).arg(folder);
    ask(&mut npm).map(drop)
}

fn copied(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", to.display());
    std::fs::copy(from, to).map_err(failed)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).map_err(failed)
}
