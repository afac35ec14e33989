//! What the launcher and a machine's agent are told and say, byte by byte. The launcher is built from these files, too.

pub(crate) mod frame;
pub(crate) mod system;
pub(crate) mod wire;

use std::io;

/// An answer that makes no sense.
pub(crate) fn nonsense(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the machine says what the agent never would ({what})"),
    )
}
