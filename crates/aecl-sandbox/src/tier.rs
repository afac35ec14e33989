//! How strongly a program can be held.

use std::fmt;

/// From weak to strong. What is not listed is not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Scrubbed environment, own process group, dies with us. Same files, network and user as ours: no cage.
    Process,
    /// Namespaces, a read-only tree, seccomp, landlock, no rights, limits. It shares the kernel with us.
    Native,
}

impl Tier {
    /// As policies and records write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Native => "native",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
