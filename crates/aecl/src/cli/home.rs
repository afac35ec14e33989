//! `aecl home`: where the keys, the policy and the record of this project are, and how they get out of it.

use super::place::{self, How};
use super::show;
use super::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_ledger::store::Store;
use clap::Subcommand;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl home
  aecl home move
  aecl home move --to /srv/aecl/shop
  aecl --dir ./.aecl home move        one in the project, which counts only where it is named

The home of a project is the directory with its keys, its policy and its record. `aecl init` makes it outside of the \
project, in $XDG_DATA_HOME/aecl (~/.local/share/aecl), for this user alone. It is found from the project and from \
everywhere below, because it names the project; nothing in the project is believed about it. One that `--to` moves elsewhere is written down among your homes, and is \
found as well, unless it lies in its project.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Move a home out of its project, as a whole, while nobody serves it.
    Move {
        /// Where to; by default to this user's other homes.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        None => tell(common),
        Some(Command::Move { to }) => move_out(common, to),
    }
}

fn tell(common: &Common) -> Result {
    let home = existing(common)?;
    let dir = absolute(home.dir())?;
    let project = place::project_of(&dir);
    let how = match common.how {
        How::Named => "it was named",
        How::OfProject => "it names this project",
        How::Unnamed | How::Nowhere => "it is nowhere",
    };
    if common.json {
        show::print_json(&json!({ "dir": dir, "project": project, "found": how }));
        return Ok(Exit::Done);
    }
    println!("{}", show::inert_line(&dir.display().to_string()));
    show::say(&format!("aecl: found because {how}"));
    if let Some(project) = project {
        show::say(&format!("aecl: its project is {}", project.display()));
    }
    if std::env::current_dir().is_ok_and(|project| dir.starts_with(project)) {
        let aecl = show::aecl(common);
        show::say(&format!("aecl: agents that work here can reach it; `{aecl} home move` moves it out"));
    }
    Ok(Exit::Done)
}

fn move_out(common: &Common, to: Option<PathBuf>) -> Result {
    let home = existing(common)?;
    let from = absolute(home.dir())?;
    let project = if from.file_name().is_some_and(|name| name == place::IN_PROJECT) {
        // It is of where it lies. What it says itself may have come with it.
        from.parent().unwrap_or(Path::new("/")).to_owned()
    } else if let Some(project) = place::project_of(&from) {
        project
    } else {
        std::env::current_dir().map_err(|e| Error::new(format!("the current directory is gone: {e}")))?
    };
    let target = match &to {
        Some(to) => std::path::absolute(to).map_err(|e| Error::new(format!("`{}`: {e}", to.display())))?,
        None if place::homes_dir().is_some_and(|homes| from.starts_with(homes)) => {
            return Err(Error::new(format!("`{}` is with your other homes already", from.display()))
                .hint("`--to DIR` moves it somewhere else"));
        }
        None => place::new_home(&project)?,
    };
    // So it is written down, and so it is looked for.
    let target = without_links(&target);
    let leads_back = target.components().any(|part| part == std::path::Component::ParentDir);
    if leads_back || target.starts_with(&from) || target.symlink_metadata().is_ok() {
        return Err(Error::new(format!("`{}` cannot be made there; nothing was moved", target.display()))
            .hint("name a directory that is not there yet, outside of the home"));
    }
    if target.starts_with(&project) && to.is_none() {
        show::say(
            "aecl: the project contains the place of all homes; agents that see all of it are asked about",
        );
    }
    place::prepare(&target)?;
    // Let go of before it moves: a database that is open does not like to be somewhere else.
    drop(only_us(&home)?);
    place::register(&from, &project)?;
    // Before it moves: what leads to nothing counts for nothing.
    let is_found = place::note_elsewhere(&target, &project)?;
    if let Err(error) = carry(&from, &target) {
        place::forget_moved(&target)?;
        return Err(error);
    }
    place::forget_moved(&from)?;
    if common.json {
        show::print_json(&json!({ "from": from, "dir": target, "project": project, "found": is_found }));
        return Ok(Exit::Done);
    }
    let (old, new) = (from.display().to_string(), target.display().to_string());
    let (old, new) = (show::inert_line(&old), show::inert_line(&new));
    println!("{new}");
    match is_found {
        true => show::say(&format!("aecl: moved from {old}; commands in the project find it")),
        false => show::say(&format!(
            "aecl: moved from {old}; no command finds it there by itself: say `--dir {new}`, or set AECL_DIR={new}"
        )),
    }
    show::say(&format!("aecl: where a client's configuration says `--dir {old}`, say the new place"));
    Ok(Exit::Done)
}

fn existing(common: &Common) -> std::result::Result<Home, Error> {
    let home = Home::new(&common.dir);
    if home.config().exists() {
        return Ok(home);
    }
    Err(Error::new(format!("there is no home: no `{}`", home.config().display()))
        .hint("`aecl init` makes one, or say where it is with `--dir`"))
}

fn absolute(dir: &Path) -> std::result::Result<PathBuf, Error> {
    fs::canonicalize(dir).map_err(|e| Error::new(format!("cannot find `{}`: {e}", dir.display())))
}

/// A path of which something may be missing, with no link on the way.
fn without_links(path: &Path) -> PathBuf {
    let real = |above: &Path| Some(above.canonicalize().ok()?.join(path.strip_prefix(above).ok()?));
    path.ancestors().find_map(real).unwrap_or_else(|| path.to_owned())
}

/// Nobody serves this home, and nobody begins to as long as what comes back is kept.
fn only_us(home: &Home) -> std::result::Result<Option<Box<dyn Store>>, Error> {
    let busy = |why: String| {
        Error::new(format!("somebody serves this home ({why}); nothing was moved"))
            .hint("stop that process; `aecl mcp` ends with its client, and its server ten minutes later")
    };
    for socket in ["aecl.sock", "mcp.sock"] {
        if UnixStream::connect(home.data().join(socket)).is_ok() {
            return Err(busy(format!("`data/{socket}` answers")));
        }
    }
    home.record()?.hold().map_err(|e| busy(e.to_string()))
}

/// All of it or nothing is at the new place.
fn carry(from: &Path, to: &Path) -> std::result::Result<(), Error> {
    let fail = |what: &str, e: std::io::Error| {
        Error::new(format!("cannot {what}: {e}; `{}` is as it was", from.display()))
    };
    match fs::rename(from, to) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {}
        Err(e) => return Err(fail(&format!("move it to `{}`", to.display()), e)),
    }
    // Another file system: a whole copy appears under its name at once, and only then the old one goes.
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    let partial = to.with_file_name(name);
    let copied = copy(from, &partial).and_then(|()| fs::rename(&partial, to));
    if let Err(e) = copied {
        drop(fs::remove_dir_all(&partial));
        return Err(fail(&format!("copy it to `{}`", to.display()), e));
    }
    fs::remove_dir_all(from).map_err(|e| {
        Error::new(format!("it is at `{}` now, and the old one cannot be removed: {e}", to.display()))
            .hint(format!("remove `{}` yourself: it holds your keys", from.display()))
    })
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let about = fs::symlink_metadata(from)?;
    if about.is_dir() {
        aecl_gate::keys::private_dir(to).map_err(std::io::Error::other)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        fs::set_permissions(to, fs::Permissions::from_mode(about.permissions().mode() & 0o7777))
    } else if about.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)
    } else if about.is_file() {
        fs::copy(from, to)?;
        fs::File::open(to)?.sync_all()
    } else {
        // A socket that nobody listens to any more.
        Ok(())
    }
}
