//! What can go wrong in this room.

use crate::store::StoreError;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};

/// The ledger could not do its work, or refuses to record what cannot be true.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed; nothing was acknowledged and nothing will be until a restart.
    #[error("the ledger cannot record: {}", chain(.0))]
    Store(#[from] StoreError),
    /// The writer has stopped.
    #[error("the ledger has stopped: {0}")]
    Stopped(String),
    /// More is waiting than is accepted.
    #[error("{0} records are waiting; try again later")]
    Overloaded(usize),
    /// An entry would be longer than the format has room for.
    #[error("the entry would be {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The longest that is accepted.
        limit: usize,
    },
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NoRun(RunId),
    /// A run is opened once.
    #[error("there is a run `{0}` already")]
    RunExists(RunId),
    /// The run has ended.
    #[error("run `{0}` has ended")]
    RunClosed(RunId),
    /// There is no such action.
    #[error("there is no action `{0}`")]
    NoAction(ActionId),
    /// The action is not in a state in which this can happen.
    #[error("action `{action}` is {state}, so it cannot be {wanted}")]
    WrongState {
        /// The action.
        action: ActionId,
        /// How it is.
        state: &'static str,
        /// What was to happen.
        wanted: &'static str,
    },
    /// There is no such request for approval.
    #[error("there is no approval `{0}`")]
    NoApproval(ApprovalId),
    /// The answer does not count.
    #[error("{message}")]
    AnswerRefused {
        /// Why, as a code.
        code: Code,
        /// Why, in words.
        message: String,
    },
    /// What is stored cannot be read.
    #[error("what the ledger has under `{key}` cannot be read: {source}")]
    Unreadable {
        /// Where.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// What is stored is not what was signed.
    #[error("the ledger does not fit its own signed checkpoint: {0}")]
    Tampered(String),
    /// Facts are not what the entries say.
    #[error("what decisions are made from is not what the ledger says: {0}")]
    FactsDiffer(String),
}

impl LedgerError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Store(StoreError::RecordMissing { .. }) => code::LEDGER_MISSING,
            Self::Store(_) | Self::Stopped(_) | Self::Unreadable { .. } | Self::Tampered(_) => {
                code::LEDGER_UNAVAILABLE
            }
            Self::FactsDiffer(_) => code::FACTS_DIFFER,
            Self::Overloaded(_) => code::OVERLOADED,
            Self::TooLarge { .. } => code::ENTRY_TOO_LARGE,
            Self::NoRun(_) => code::RUN_UNKNOWN,
            Self::RunExists(_) => code::REQUEST_INVALID,
            Self::RunClosed(_) => code::RUN_CLOSED,
            Self::NoAction(_) => code::RECORD_UNKNOWN,
            Self::WrongState { .. } => code::REQUEST_INVALID,
            Self::NoApproval(_) => code::APPROVAL_UNKNOWN,
            Self::AnswerRefused { code, .. } => *code,
        }
    }
}

/// An error with everything that it came from, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
