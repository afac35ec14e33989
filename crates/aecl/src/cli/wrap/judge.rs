//! Whether an entry of a client's file has this AECL in front of its server already. What stands in a project a stranger
//! may have written: a program is ours only as this very file, and its rules are the user's only in a home of the user's.

use super::entry::{Entry, Front, Verdict};
use crate::cli::{command, place};
use crate::mcp::names;
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::path::{Path, PathBuf};

pub(super) const NO_COMMAND: &str =
    "it is not started by a command; `aecl mcp --url` stands in front of servers with a URL";
const BOTH: &str = "its entry has a command and says that the server is reached otherwise, and a client may go by either; take one of them out";
pub(super) const ODD_NAME: &str = "its name is none for AECL: letters, digits, `-` and single `_`";
const THERE: &str = "AECL is in front of it";

impl Front {
    pub(super) fn judge(&self, name: &str, entry: &Entry) -> Verdict {
        let Some(command) = &entry.command else { return Verdict::Stays(NO_COMMAND.into()) };
        if entry.is_remote {
            return Verdict::Stays(BOTH.into());
        }
        if let Some(name) = self.decides(entry) {
            return Verdict::Stays(format!(
                "nothing in front of it would count: `{name}`, which its entry sets, is for AECL as well; take it out, or \
                 describe the server in aecl.yaml, where its environment is its own"
            ));
        }
        let note = match self.is_this(command, entry) {
            true => match self.is_in_front(entry) {
                Ok(there) => return Verdict::Stays(there),
                Err(why) => Some(why),
            },
            false if Path::new(command).file_name().is_some_and(|name| name == "aecl") => Some(format!(
                "its command `{command}` is called like AECL and is not this one, `{}`",
                self.program
            )),
            false => None,
        };
        if !names::is_server(name) {
            return Verdict::Stays(ODD_NAME.into());
        }
        Verdict::Wrapped(self.args(name, command, &entry.args), note)
    }

    /// Whether an entry starts this very program in front of its server, with rules of this user.
    pub(super) fn stands(&self, entry: &Entry) -> bool {
        let Some(command) = entry.command.as_ref().filter(|_| !entry.is_remote) else { return false };
        self.decides(entry).is_none() && self.is_this(command, entry) && self.is_in_front(entry).is_ok()
    }

    /// What of its environment would say which program AECL is, which home it has, or for whom it acts.
    fn decides<'a>(&self, entry: &'a Entry) -> Option<&'a str> {
        const PREFIXES: [&str; 4] = ["AECL_", "LD_", "DYLD_", "XDG_"];
        const NAMES: [&str; 2] = ["HOME", "GLIBC_TUNABLES"];
        let is_path = |name: &str, value: &str| {
            name == "PATH"
                && std::env::split_paths(value).any(|dir| !dir.is_absolute() || self.is_in_project(&dir))
        };
        let decides = |name: &str, value: &str| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || NAMES.contains(&name)
                || is_path(name, value)
        };
        let mut env = entry.env.iter();
        env.find(|(name, value)| decides(name, value))
            .map(|(name, _)| name.as_str())
            .or_else(|| entry.has_env_file.then_some("envFile"))
    }

    /// Whether a command is this very program, by a path that nothing in the project leads along.
    fn is_this(&self, command: &str, entry: &Entry) -> bool {
        let path = match command.contains('/') {
            true => Some(PathBuf::from(command)),
            false if entry.env.iter().any(|(name, _)| name == "PATH") => None,
            false => found(command),
        };
        let Some(path) = path else { return false };
        let ours = Path::new(&self.program);
        let real = |path: &Path| path.canonicalize().ok();
        let is_same = || real(&path).is_some_and(|path| real(ours) == Some(path));
        path == ours || path.is_absolute() && !self.is_in_project(&path) && is_same()
    }

    /// That it puts us in front of its server, with a home of this user; or why it does not.
    fn is_in_front(&self, entry: &Entry) -> Result<String, String> {
        const NOT: &str = "its command does not put AECL in front of a server";
        let words = std::iter::once("aecl").chain(entry.args.iter().map(String::as_str));
        let line = command().try_get_matches_from(words).map_err(|_| NOT.to_owned())?;
        let Some(("mcp", line)) = line.subcommand() else { return Err(NOT.into()) };
        match said::<PathBuf>(line, "named") {
            Some(home) if !self.is_users_home(home) => {
                return Err(format!("its command names a home that is none of yours: `{}`", home.display()));
            }
            None if entry.has_cwd => {
                return Err(
                    "its command names no home, and is started in a directory that the entry names".into()
                );
            }
            Some(_) | None => {}
        }
        // What the words of a file say for the user proves arguments, and what a header carries leaves.
        let spoken = ["goal", "user", "plan", "approve_plan", "headers"];
        let spoken = spoken.iter().find(|id| line.value_source(id) == Some(ValueSource::CommandLine));
        if let Some(id) = spoken {
            let option = id.trim_end_matches('s').replace('_', "-");
            return Ok(format!(
                "it starts AECL and speaks for you with `--{option}`; whoever wrote this file wrote that, so leave it only if \
                 it was you"
            ));
        }
        Ok(match said::<String>(line, "agent") {
            Some(agent) if *agent != self.agent => format!("{THERE}, for the agent `{agent}`"),
            Some(_) | None => THERE.into(),
        })
    }

    /// The home that we wrap with, or another one where this user has homes.
    fn is_users_home(&self, home: &Path) -> bool {
        home == Path::new(&self.home)
            || home.is_absolute() && !self.is_in_project(home) && place::is_known(home)
    }

    fn is_in_project(&self, path: &Path) -> bool {
        path.starts_with(&self.project)
            || path.components().any(|part| part == std::path::Component::ParentDir)
    }
}

/// What stands on the command line itself: our own environment is not the client's.
fn said<'a, T: Clone + Send + Sync + 'static>(line: &'a ArgMatches, name: &str) -> Option<&'a T> {
    (line.value_source(name) == Some(ValueSource::CommandLine)).then(|| line.get_one::<T>(name))?
}

/// Where a program of this name is found.
fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}
