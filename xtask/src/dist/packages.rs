//! Archives and wheels.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::program::Built;
use super::{Release, Room, papers};
use crate::programs::{root, watch};

/// The program in an archive, with what has to go along.
pub fn archive(release: &Release, built: &Built) -> Result<(), String> {
    let room = Room::new(built)?;
    let name = format!("aecl-{}-{}", release.version, built.target);
    let folder = room.0.join(&name);
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    for paper in papers(release) {
        let to = folder.join(paper.file_name().unwrap_or_default());
        std::fs::copy(&paper, &to).map_err(failed)?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    std::fs::copy(&built.file, folder.join("aecl")).map_err(failed)?;
    std::fs::set_permissions(folder.join("aecl"), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--use-compress-program=gzip -n9"]);
    tar.arg(format!("--mtime=@{}", release.epoch)).arg("-cf").arg(release.out.join(format!("{name}.tar.gz")));
    if watch(tar.arg("-C").arg(&room.0).arg(&name))? {
        Ok(())
    } else {
        Err(format!("tar could not pack `{name}`"))
    }
}

/// The Python library with the program.
pub fn wheel(release: &Release, built: &Built) -> Result<(), String> {
    let mut command = hatch(release, "wheel");
    command.env("AECL_WHEEL_PROGRAM", &built.file).env("AECL_WHEEL_PLATFORM", &built.platform);
    made(command, &format!("the wheel for `{}`", built.platform))
}

/// The Python library alone.
pub fn sdist(release: &Release) -> Result<(), String> {
    made(hatch(release, "sdist"), "the source of the Python library")
}

fn hatch(release: &Release, what: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "cd \"$0\" && exec \"$@\""]).arg(root().join("sdk/python")).arg(&release.python);
    command.args(["-m", "hatchling", "build", "-t", what, "-d"]).arg(&release.out);
    command.env("SOURCE_DATE_EPOCH", &release.epoch);
    command
}

fn made(mut command: Command, what: &str) -> Result<(), String> {
    if watch(&mut command)? { Ok(()) } else { Err(format!("{what} could not be built")) }
}
