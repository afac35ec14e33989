//! What was found out about what holds programs.

use crate::tier::Backend;

/// Report about one backend, as it was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was tried.
    pub backend: Backend,
    /// Whether programs may be held with it: it could be built, and every attack was refused.
    pub available: bool,
    /// Why not, and what to do; or what holds it.
    pub reason: String,
    /// Of what holds it: ours and the kernel's.
    pub version: String,
    /// Which limits are enforced. One that is not is refused when a cage asks for it.
    pub enforced: Enforced,
    /// What else it can give a program, by what was built with it.
    pub offers: Offers,
    /// The attacks of the self-test.
    pub attacks: Vec<Attack>,
}

/// Limits that a host enforces, beside those that it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// [`Limits::memory_max_bytes`](crate::Limits::memory_max_bytes).
    pub memory: bool,
    /// [`Limits::cpu_max_millicores`](crate::Limits::cpu_max_millicores).
    pub cpu: bool,
}

/// Capabilities of a backend, beside limits. What it has not is refused when a cage asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Directories and files of the host: [`Cage::views`](crate::Cage::views).
    pub views: bool,
    /// [`Access::Overlay`](crate::Access::Overlay).
    pub overlays: bool,
    /// [`Network::Listener`](crate::Network::Listener).
    pub listener: bool,
    /// No [`Limits::memory_max_bytes`](crate::Limits::memory_max_bytes) at all. A machine has a size.
    pub unlimited_memory: bool,
    /// The programs of this host, which one without an image sees. A machine has those of its disk.
    pub host_programs: bool,
}

/// One attack of the self-test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// What was tried.
    pub name: String,
    /// The error that it met; absent if it succeeded.
    pub errno: Option<u64>,
}

impl Offers {
    /// Of what shares a kernel with us and starts our launcher: all of it.
    pub(crate) const ALL: Self =
        Self { views: true, overlays: true, listener: true, unlimited_memory: true, host_programs: true };
}
