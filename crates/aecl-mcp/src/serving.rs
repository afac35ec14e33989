//! What whoever serves over HTTP shares: who is at the other end, and how much of everything each caller may have.

pub mod load;
pub mod shares;

use std::net::SocketAddr;

/// The host name of the pages on this machine, which no other program there has.
pub const PAGES: &str = "aecl.localhost";

/// Peer at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Anybody who can reach the port.
    Tcp(SocketAddr),
    /// Whoever may open the socket in the data directory: its owner.
    Local,
}
