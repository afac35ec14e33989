//! Where there is no cage: every other system than Linux on x86_64 and aarch64. Types are there so that who uses this
//! room compiles; nobody can have a value of them.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;

use async_trait::async_trait;

use crate::cage::Cage;
use crate::collected::{CollectLimits, Collected};
use crate::driver::{Attacked, Driver, Installed};
use crate::ended::{AppliedSandbox, Ended};
use crate::error::SandboxError;
use crate::found::Offers;
use crate::listener::Listener;
use crate::output::Stream;
use crate::program::Program;
use crate::tier::Backend;

/// A program in its cage. There is none on this system.
#[derive(Debug)]
pub struct Running {
    /// To the program.
    pub stdin: Option<tokio::process::ChildStdin>,
    /// The socket that listens on the cage's own loopback.
    pub listener: Option<Listener>,
    never: Infallible,
}

impl Running {
    /// The cage that it really got.
    #[must_use]
    pub fn held(&self) -> &AppliedSandbox {
        match self.never {}
    }

    /// The number of the launcher's process.
    #[must_use]
    pub fn launcher_id(&self) -> Option<u32> {
        match self.never {}
    }

    /// Ends the program and everything it started.
    pub fn kill(&self) {
        match self.never {}
    }

    /// Waits until nothing of the program is left.
    #[expect(clippy::unused_async, reason = "as on Linux")]
    pub async fn wait(self) -> Ended {
        match self.never {}
    }

    /// The same, and hands out what the program writes while it runs.
    #[expect(clippy::unused_async, reason = "as on Linux")]
    pub async fn watch(self, _seen: impl FnMut(Stream, &[u8]) -> ControlFlow<()>) -> Ended {
        match self.never {}
    }
}

/// A writable place of a cage after its end. There is none on this system.
#[derive(Debug)]
pub struct Scratch(Infallible);

impl Scratch {
    /// Where it was in the cage.
    #[must_use]
    pub fn at(&self) -> &Path {
        match self.0 {}
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// When the place itself cannot be read.
    pub fn collect(&self, _limits: CollectLimits) -> Result<Collected, SandboxError> {
        match self.0 {}
    }
}

fn unavailable() -> SandboxError {
    SandboxError::Unavailable {
        backend: Backend::Native,
        why: "it is built from the kernel's interface of Linux on x86_64 and aarch64; run AECL there".into(),
    }
}

/// What would build cages.
struct Nothing;

#[async_trait]
impl Driver for Nothing {
    async fn installed(&self, _backend: &Backend) -> Result<Installed, SandboxError> {
        Err(unavailable())
    }

    fn offers(&self, _backend: &Backend) -> Offers {
        Offers::ALL
    }

    async fn attack(&self, _cage: &Cage) -> Result<Attacked, SandboxError> {
        Err(unavailable())
    }

    async fn start(&self, _program: &Program, _cage: &Cage) -> Result<Running, SandboxError> {
        Err(unavailable())
    }

    async fn start_on_terminal(
        &self,
        _program: &Program,
        _cage: &Cage,
        _size: TerminalSize,
    ) -> Result<(Running, Terminal), SandboxError> {
        Err(unavailable())
    }
}

pub(crate) fn of(_backend: &Backend) -> &'static dyn Driver {
    &Nothing
}

pub(crate) mod cgroup {
    use crate::found::Enforced;

    pub(crate) fn enforced() -> Enforced {
        Enforced { memory: false, cpu: false }
    }
}

pub(crate) mod running {
    pub use super::Running;
}

pub(crate) mod terminal {
    pub use super::{Terminal, TerminalSize};
}

/// Nothing holds here, so there is nothing to remember.
#[derive(Clone, Debug)]
pub struct ProbeCache(Infallible);

impl ProbeCache {
    /// Nowhere.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        None
    }

    /// What is remembered of this backend, or found out.
    pub async fn probe(&self, _backend: &Backend) -> (crate::found::Found, bool) {
        match self.0 {}
    }

    /// Forgets a backend.
    pub fn forget(&self, _backend: &Backend) {}
}

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// Nothing runs here, so nothing has a terminal.
#[derive(Clone, Debug)]
pub struct Terminal(Infallible);

impl Terminal {
    /// Makes it another size.
    ///
    /// # Errors
    /// Never: there is none.
    pub fn resize(&self, _size: TerminalSize) -> std::io::Result<()> {
        match self.0 {}
    }
}
