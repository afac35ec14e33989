//! What goes wrong while a cage is built.

use crate::wire::Report;

/// A step that failed, and what the kernel said. Nothing of the program has run.
#[derive(Debug)]
pub struct Fault {
    /// What was being done.
    pub step: String,
    /// The kernel's number for what went wrong.
    pub errno: i32,
}

impl Fault {
    /// For the supervisor.
    pub fn report(&self) -> Report {
        Report::Failed { step: self.step.clone().into_bytes(), errno: u64::from(self.errno.unsigned_abs()) }
    }
}

/// Names the step at which an error happened.
pub trait Step<T> {
    /// The value, or the error with the step's name.
    fn step(self, name: &str) -> Result<T, Fault>;
}

impl<T> Step<T> for std::io::Result<T> {
    /// The value, or the error with the step's name.
    fn step(self, name: &str) -> Result<T, Fault> {
        self.map_err(|error| Fault { step: name.to_owned(), errno: error.raw_os_error().unwrap_or(5) })
    }
}
