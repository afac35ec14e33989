//! Why the demo cannot go on.

/// Failure of the demo, in words.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What went wrong.
    pub message: String,
    /// The stable code, if there is one.
    pub code: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, hint: None }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<aecl_gate::GateError> for Error {
    fn from(e: aecl_gate::GateError) -> Self {
        Self { code: Some(e.code().to_string()), ..Self::new(e.to_string()) }
    }
}
