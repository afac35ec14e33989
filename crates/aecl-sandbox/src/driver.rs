//! What every kind of backend does, each in its own way.

use async_trait::async_trait;
use std::path::PathBuf;

use crate::cage::Cage;
use crate::ended::AppliedSandbox;
use crate::error::SandboxError;
use crate::found::{Enforced, Offers};
use crate::launcher::running::Running;
use crate::launcher::terminal::{Terminal, TerminalSize};
use crate::program::Program;
use crate::tier::Backend;

/// What is there to build cages with.
pub(crate) struct Installed {
    /// Of a program that is not ours; what is asked only after the attacks is absent.
    pub(crate) version: Option<String>,
    /// What is to be said of it.
    pub(crate) note: Option<String>,
    /// Which limits it enforces.
    pub(crate) enforced: Enforced,
}

/// The attacks of a self-test with the error number that each met (0 if it succeeded), and the cage that they met.
pub(crate) type Attacked = (Vec<(String, u64)>, AppliedSandbox);

/// Builds cages of one kind and holds them.
#[async_trait]
pub(crate) trait Driver: Sync {
    /// Looks for what it builds with, before anything is built.
    async fn installed(&self, backend: &Backend) -> Result<Installed, SandboxError>;

    /// What it can give a program, as far as its kind goes.
    fn offers(&self, backend: &Backend) -> Offers;

    /// The launcher attacks a cage of its own.
    async fn attack(&self, cage: &Cage) -> Result<Attacked, SandboxError>;

    /// The version of a program that was only believed to be the right one once a cage was built with it.
    async fn version_after(&self, _backend: &Backend) -> Option<String> {
        None
    }

    /// Files that what is found out about this backend rests on, if it may be remembered. What is looked at before each
    /// start need not be among them. Our own launcher refuses by itself what it cannot build, and a daemon's containers are
    /// another program's to make: of neither anything is remembered.
    fn remembered_with(&self, _backend: &Backend) -> Option<Vec<PathBuf>> {
        None
    }

    /// Starts the program in its cage.
    async fn start(&self, program: &Program, cage: &Cage) -> Result<Running, SandboxError>;

    /// The same, on a terminal of its own.
    async fn start_on_terminal(
        &self,
        _program: &Program,
        cage: &Cage,
        _size: TerminalSize,
    ) -> Result<(Running, Terminal), SandboxError> {
        let why = format!("`{}` gives no terminal; `native` does, and each gives pipes", cage.backend);
        Err(SandboxError::BadCage(why))
    }
}
