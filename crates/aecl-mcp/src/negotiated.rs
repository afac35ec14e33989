//! In which of its two ways the protocol is spoken.

use aecl_executor::connectors::mcp::{Era, ServerHello};

/// Way in which a client speaks: with `initialize` and a session, or stateless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Negotiated {
    Legacy,
    Modern,
}

impl Negotiated {
    /// How a server speaks that answered like this.
    pub(super) fn with(hello: &ServerHello) -> Self {
        match hello.era {
            Era::Legacy(_) => Self::Legacy,
            Era::Modern(_) => Self::Modern,
        }
    }
}
