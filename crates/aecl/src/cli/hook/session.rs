//! What is kept of a client's session between two of its hooks: the run that it is, what its user has asked for, which calls
//! are underway and which wait for people. A file each, for this user alone; each hook is a process of its own, and several
//! run at once.

use crate::cli::{Error, place};
use aecl_executor::root_dir::read_plain;
use aecl_gate::keys::{private_dir, write_private};
use aecl_kernel::base::digest::Digest;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest goal that is stated, in bytes; of what the user has said, the newest counts.
const GOAL_BYTES_MAX: usize = 16 * 1024;
/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// For how long a session that nobody goes on with is kept, in seconds.
const KEPT_S: u64 = 7 * 24 * 3600;

/// Session of a client, by its files.
#[derive(Debug)]
pub(super) struct Session {
    dir: PathBuf,
}

/// What is known of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct About {
    /// The project's directory: the first one that was seen. A shell that goes elsewhere does not move it.
    pub project: PathBuf,
    /// What the user has asked for, oldest first.
    pub prompts: Vec<String>,
    /// The run of the session; what is asked for later is delegated from it.
    pub root: Option<String>,
    /// The run for what was asked for last.
    pub current: Option<String>,
}

/// Token of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub token: String,
    /// Seconds since 1970 from which on another one is asked for.
    pub renew_at: u64,
}

/// Call that was permitted, and whose outcome is reported.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub action: String,
    pub run: String,
    /// Seconds since 1970.
    pub at: u64,
}

/// Whoever holds it is the only one who opens runs.
#[derive(Debug)]
pub(super) struct Turn {
    _file: File,
}

impl Session {
    /// The session of this name, for one server and client.
    pub(super) fn find(server: &str, client: &str, name: &str, agent: &str) -> Result<Self, Error> {
        let all = place::hooks_dir().ok_or_else(|| {
            Error::new("neither HOME nor XDG_STATE_HOME names a directory for what is underway")
        })?;
        let parts = [server.as_bytes(), client.as_bytes(), agent.as_bytes(), name.as_bytes()];
        let dir = all.join(short(&Digest::of_parts("aecl/hook-session/v1", &parts)));
        if !dir.is_dir() {
            for made in [place::state_dir().as_deref(), Some(&all), Some(&dir)].into_iter().flatten() {
                private_dir(made)?;
            }
            forget_old(&all);
        }
        Ok(Self { dir })
    }

    pub(super) fn about(&self) -> Result<About, Error> {
        Ok(self.read("session")?.unwrap_or_default())
    }

    pub(super) fn keep_about(&self, about: &About) -> Result<(), Error> {
        self.write("session", about)
    }

    /// Waits until no other hook of this session changes what is known of it.
    pub(super) fn turn(&self) -> Result<Turn, Error> {
        let path = self.dir.join("lock");
        let fail = |e: std::io::Error| Error::new(format!("cannot lock `{}`: {e}", path.display()));
        let file = File::options().create(true).append(true).open(&path).map_err(fail)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|e| fail(e.into()))?;
        Ok(Turn { _file: file })
    }

    pub(super) fn held(&self, run: &str) -> Result<Option<Held>, Error> {
        self.read(&format!("run-{}", plain(run)))
    }

    pub(super) fn hold(&self, run: &str, held: &Held) -> Result<(), Error> {
        self.write(&format!("run-{}", plain(run)), held)
    }

    /// The run in which exactly this waits for people, or has their yes already.
    pub(super) fn waiting(&self, what: &Digest) -> Result<Option<String>, Error> {
        self.read(&format!("wait-{}", short(what)))
    }

    pub(super) fn waits(&self, what: &Digest, run: &str) -> Result<(), Error> {
        self.write(&format!("wait-{}", short(what)), &run)
    }

    pub(super) fn waits_no_more(&self, what: &Digest) {
        drop(std::fs::remove_file(self.dir.join(format!("wait-{}", short(what)))));
    }

    /// The call of this name that is underway.
    pub(super) fn begun(&self, call: &Digest) -> Result<Option<Begun>, Error> {
        self.read(&format!("call-{}", short(call)))
    }

    pub(super) fn begins(&self, call: &Digest, begun: &Begun) -> Result<(), Error> {
        // Where a client gives calls no names, two that are alike have two files.
        let name = format!("call-{}", short(call));
        let taken = self.read::<Begun>(&name)?.is_some_and(|other| other.action != begun.action);
        self.write(&if taken { format!("{name}.{}", plain(&begun.action)) } else { name }, begun)
    }

    /// Takes a call of this name that has ended.
    pub(super) fn ended(&self, call: &Digest) -> Result<Option<Begun>, Error> {
        let name = format!("call-{}", short(call));
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|n| n.starts_with(&name))
            .collect();
        names.sort();
        for name in names.into_iter().rev() {
            let found = self.read::<Begun>(&name)?;
            // Of two hooks that take the same file, one removes it.
            if found.is_some() && std::fs::remove_file(self.dir.join(&name)).is_ok() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.dir.join(name);
        let fail = |why: String| {
            Error::new(format!("cannot read `{}`: {why}", path.display()))
                .hint("remove it and begin a new session of the client")
        };
        match read_plain(&path, FILE_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| fail(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(fail(e.to_string())),
        }
    }

    /// The file appears as a whole: another hook may be reading it.
    fn write(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(content).map_err(|e| Error::new(e.to_string()))?;
        let (path, new) = (self.dir.join(name), self.dir.join(format!(".{name}.{}", std::process::id())));
        write_private(&new, &bytes)?;
        std::fs::rename(&new, &path)
            .map_err(|e| Error::new(format!("cannot write `{}`: {e}", path.display())))
    }
}

impl About {
    /// What the user has asked for, in their words. What does not fit is left out from the beginning on.
    pub(super) fn goal(&self) -> String {
        let mut goal = String::new();
        for prompt in self.prompts.iter().rev() {
            if goal.len() + prompt.len() + 2 > GOAL_BYTES_MAX {
                break;
            }
            goal = if goal.is_empty() { prompt.clone() } else { format!("{prompt}\n\n{goal}") };
        }
        goal
    }

    /// Takes in what the user asks for now.
    pub(super) fn asks(&mut self, prompt: &str) {
        let mut end = prompt.len().min(GOAL_BYTES_MAX / 2);
        while !prompt.is_char_boundary(end) {
            end -= 1;
        }
        self.prompts.push(prompt.get(..end).unwrap_or_default().to_owned());
        let kept = self.prompts.len().saturating_sub(64);
        self.prompts.drain(..kept);
        self.current = None;
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "when a token of our own is renewed; what counts is judged by the gate's clock"
)]
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().filter(char::is_ascii_hexdigit).rev().take(32).collect()
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn forget_old(all: &Path) {
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    let is_old = |path: &Path| {
        let changed = path.join("session").metadata().and_then(|about| about.modified());
        let at = changed.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        at.is_some_and(|at| now_s().saturating_sub(at.as_secs()) > KEPT_S)
    };
    for old in entries.map(|entry| entry.path()).filter(|path| is_old(path)) {
        drop(std::fs::remove_dir_all(old));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_what_the_user_said_last_and_before() {
        let mut about = About::default();
        assert_eq!(about.goal(), "");
        about.asks("Fix the tests.");
        about.current = Some("run_1".into());
        about.asks("Go on.");
        assert_eq!((about.goal().as_str(), &about.current), ("Fix the tests.\n\nGo on.", &None));
        about.asks(&"\u{e9}".repeat(20_000));
        about.asks("Now this.");
        assert!(about.goal().ends_with("Now this.") && about.goal().len() <= GOAL_BYTES_MAX);
    }
}
