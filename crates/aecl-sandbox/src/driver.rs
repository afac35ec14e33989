//! What every kind of backend does, each in its own way.

use std::pin::Pin;

use crate::cage::Cage;
use crate::ended::Held;
use crate::error::SandboxError;
use crate::found::{Enforced, Offers};
use crate::launcher::running::Running;
use crate::launcher::terminal::{Terminal, TerminalSize};
use crate::program::Program;
use crate::tier::Backend;

/// Work that is under way.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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
pub(crate) type Attacked = (Vec<(String, u64)>, Held);

/// Builds cages of one kind and holds them.
pub(crate) trait Driver: Sync {
    /// Looks for what it builds with, before anything is built.
    fn installed<'a>(&'a self, backend: &'a Backend) -> Pending<'a, Result<Installed, SandboxError>>;

    /// What it can give a program, as far as its kind goes.
    fn offers(&self, backend: &Backend) -> Offers;

    /// The launcher attacks a cage of its own.
    fn attack<'a>(&'a self, cage: &'a Cage) -> Pending<'a, Result<Attacked, SandboxError>>;

    /// The version of a program that was only believed to be the right one once a cage was built with it.
    fn version_after<'a>(&'a self, _backend: &'a Backend) -> Pending<'a, Option<String>> {
        Box::pin(async { None })
    }

    /// Starts the program in its cage.
    fn start<'a>(
        &'a self,
        program: &'a Program,
        cage: &'a Cage,
    ) -> Pending<'a, Result<Running, SandboxError>>;

    /// The same, on a terminal of its own.
    fn start_on_terminal<'a>(
        &'a self,
        _program: &'a Program,
        cage: &'a Cage,
        _size: TerminalSize,
    ) -> Pending<'a, Result<(Running, Terminal), SandboxError>> {
        let why = format!("`{}` gives no terminal; `native` does, and each gives pipes", cage.backend);
        Box::pin(async { Err(SandboxError::BadCage(why)) })
    }
}
