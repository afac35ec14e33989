//! The runtimes in which commands wait.

use super::Error;

/// A runtime for commands that do one thing after the other.
pub(crate) fn runtime_of_one_thread() -> std::result::Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("the runtime cannot start: {e}")))
}

/// A runtime for commands that talk or serve.
pub(crate) fn runtime() -> std::result::Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("the runtime cannot start: {e}")))
}
