//! What to run: words, variables and a place, and what may be given to it that the operator vouches for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A program with exactly the environment it was given.
#[derive(Clone)]
pub struct Program {
    /// The executable and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// Variables on top of a few harmless ones: [`base_environment`] for a supervised program, fixed values
    /// in a cage. Values may be secrets and are never printed.
    pub env: BTreeMap<String, String>,
    /// Where it starts. When absent, where we are for a supervised program, `/scratch` in a cage.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("argv", &self.argv)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// Supervision of a program of the operator's that runs beside us, in tier [`Tier::Process`](crate::Tier).
#[derive(Clone, Copy, Debug)]
pub struct Supervised {
    /// The largest core dump. A core dump holds secrets; 0 is what you want.
    pub core_max_bytes: u64,
    /// How many files it may have open; ours when absent.
    pub open_files_max: Option<u64>,
}

/// The only variables that a supervised program gets from ours: where programs, home, scratch space and
/// language are. Everything else (tokens, agents' sockets, `LD_PRELOAD`) stays here.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// The environment of a supervised program before its own variables are added.
#[must_use]
pub fn base_environment() -> BTreeMap<String, String> {
    PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}
