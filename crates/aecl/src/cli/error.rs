//! How a command ends, and what it says when it cannot go on.

use std::process::ExitCode;

/// Exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It could not be done.
    Failed,
    /// Refused by policy or a person.
    Refused,
    /// Waiting for a person.
    Pending,
    /// The record does not verify.
    Unverified,
    /// It could not be found out.
    Unknown,
    /// As the program that was run.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0u8,
            Exit::Failed => 1,
            Exit::Refused => 3,
            Exit::Pending => 4,
            Exit::Unverified => 5,
            Exit::Unknown => 6,
            Exit::Program(code) => code,
        })
    }
}

/// What a command gives: how it ended, or an error that ends with what to do next.
pub type Result = std::result::Result<Exit, Error>;

/// An error for a person at a terminal.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub message: String,
    /// The stable code, if there is one.
    pub code: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// How the command ends.
    pub exit: Exit,
}

impl Error {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, hint: None, exit: Exit::Failed }
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
        let code = Some(e.code().to_string());
        let error = Self { code, ..Self::new(e.to_string()) };
        match e.code() {
            aecl_kernel::base::code::FACTS_DIFFER => error.hint(
                "keep a copy of data/ and find out who changed it; `aecl log rebuild-facts` makes the facts anew from the entries",
            ),
            aecl_kernel::base::code::LEDGER_MISSING => error.hint(
                "put back a copy of data/ and find out who took it away; `aecl log accept-loss` begins a new record",
            ),
            _ => error,
        }
    }
}

impl From<aecl_demo::Error> for Error {
    fn from(e: aecl_demo::Error) -> Self {
        Self { code: e.code, hint: e.hint, ..Self::new(e.message) }
    }
}

impl From<aecl_kernel::base::id::BadId> for Error {
    fn from(e: aecl_kernel::base::id::BadId) -> Self {
        let hint = match e.kind {
            "action id" | "run id" => "`aecl log tail` shows the latest; names are act_… and run_…",
            "approval id" => "`aecl approvals list` shows their names (apr_…)",
            "agent id" => "`aecl policy show` lists the agents",
            _ => "correct the name and run the command again",
        };
        Self::new(e.to_string()).hint(hint)
    }
}
