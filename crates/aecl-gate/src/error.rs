//! What can go wrong in this room. A refusal is no error: it is a decision.

use aecl_kernel::base::code::{self, Code};
use aecl_ledger::LedgerError;
use std::path::PathBuf;

/// The gate could not do its work, or the request is none that it takes.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The ledger could not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The request is refused before it is a proposal.
    #[error("{message}")]
    Refused {
        /// The stable code.
        code: Code,
        /// In words.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {tried} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The bundle does not compile.
    #[error("the policy bundle does not load:\n{}", list(.0))]
    Bundle(Vec<aecl_kernel::policy::problem::BundleProblem>),
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn list(problems: &[aecl_kernel::policy::problem::BundleProblem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}

impl GateError {
    pub(crate) fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// What of it may stand on record: no line of a file, since a secret may stand beside the mistake.
    pub fn on_record(&self) -> String {
        match self {
            Self::Config { path, .. } => {
                format!("`{}` cannot be used; `aecl doctor` says what is wrong with it", path.display())
            }
            Self::Ledger(_) | Self::Refused { .. } | Self::File { .. } | Self::Bundle(_) => self.in_log(),
        }
    }

    /// What of it may stand in a log: no line around the mistake.
    pub fn in_log(&self) -> String {
        match self {
            Self::Config { path, message } => format!("`{}`: {}", path.display(), first_line(message)),
            Self::Bundle(problems) => {
                let problems: Vec<_> =
                    problems.iter().map(|p| first_line(&p.to_string()).to_owned()).collect();
                format!("the policy bundle does not load: {}", problems.join("; "))
            }
            Self::Ledger(_) | Self::Refused { .. } | Self::File { .. } => self.to_string(),
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Ledger(e) => e.code(),
            Self::Refused { code, .. } => *code,
            Self::File { .. } => code::INTERNAL,
            Self::Config { .. } => code::CONFIG_INVALID,
            Self::Bundle(_) => code::BUNDLE_INVALID,
        }
    }
}

impl From<aecl_kernel::base::id::BadId> for GateError {
    fn from(e: aecl_kernel::base::id::BadId) -> Self {
        Self::refused(code::REQUEST_INVALID, e.to_string())
    }
}
