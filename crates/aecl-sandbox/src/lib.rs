//! AECL contains: programs run where they can do no harm.
//!
//! Today this room has one tier, `process`, and it is honest about what that is: the program gets a
//! scrubbed environment, its own process group and no core dumps, it dies with us, and it is killed
//! as a group. It sees the same files, the same network and the same user as we do. That is right for
//! an upstream server which the operator chose and configured, and wrong for code that a model wrote.
//! Stronger tiers are chosen by policy; until one is here, an action that asks for it is blocked.
//!
//! **Invariant:** this room knows nothing of agents, actions or policies.

mod cage;
mod process;
mod spawner;

pub use cage::{Cage, Program, Tier, base_environment};
pub use process::{Contained, spawn};

/// What goes wrong when a program is put into a cage.
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
        source: std::io::Error,
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
}
