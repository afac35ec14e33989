//! What goes wrong when a program is put into a cage.

use std::io;

use crate::tier::Backend;

/// Errors of putting a program into a cage. In each case it has not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The program has no name to run by.
    #[error("the program is empty; name an executable as its first word")]
    NoProgram,
    /// The operating system did not start it.
    #[error(
        "`{program}` did not start: {source}; check that it is installed and on the `PATH` that AECL runs with"
    )]
    NotStarted {
        /// The first word of the command.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is not there in the cage, or cannot be executed there.
    #[error(
        "`{program}` did not start in the cage: {source}; it must be below `/usr` or in the image, or in a view, and on \
         the `PATH` that it was given"
    )]
    NotInCage {
        /// The first word of the command.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread that starts programs is gone.
    #[error("the thread that starts programs is gone; restart AECL")]
    NoSpawner,
    /// A pipe to the program is missing.
    #[error("`{program}` started without its {pipe}; restart AECL")]
    NoPipe {
        /// The first word of the command.
        program: String,
        /// Which pipe.
        pipe: &'static str,
    },
    /// The description of the cage contradicts itself.
    #[error("this cage cannot be built: {0}")]
    BadCage(String),
    /// This host cannot hold a program that strongly.
    #[error("the cage `{backend}` is not available here: {why}")]
    Unavailable {
        /// What was asked for.
        backend: Backend,
        /// What is missing, and what to do.
        why: String,
    },
    /// A limit that nothing on this host would enforce.
    #[error(
        "nothing here enforces `{limit}`: {why}; run AECL as root or in a systemd unit with `Delegate=yes` \
         (`systemd-run --user --scope -p Delegate=yes`), or say that there is no such limit"
    )]
    Unenforceable {
        /// The limit.
        limit: &'static str,
        /// Why.
        why: String,
    },
    /// A step of building the cage failed.
    #[error("the cage could not be built while {step}: {source}")]
    Setup {
        /// What was being done.
        step: String,
        /// What the operating system said.
        source: io::Error,
    },
}
