//! What every way of acting can do, and what it says afterwards.

use async_trait::async_trait;

use crate::call::Call;

/// A way to act on the world.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Acts once.
    async fn perform(&self, call: &Call) -> CallResult;
    /// Says what acting would do from the call alone. It neither waits nor asks the target, so there is nothing of the
    /// target in it, and whoever proposes may read it before anybody has agreed.
    fn plan(&self, call: &Call) -> CallPlan;
    /// Says what acting would do as the target is now, and changes nothing. What it finds is the target's content, so
    /// it is for those who may read that; the gate gets the number only ([`crate::Executor::count`]).
    async fn dry_run(&self, call: &Call) -> DryRun;
    /// Finds out what an attempt with an unknown outcome did. Changes nothing.
    async fn reconcile(&self, call: &Call) -> Reconciled;
}

/// Result of a call: done, failed, or unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum CallResult {
    /// It happened, and the target said so.
    Done {
        /// JSON; for MCP the upstream's own bytes.
        output: Vec<u8>,
    },
    /// It went wrong, and we know that.
    Failed {
        /// Our code; each has a page in the reference.
        code: &'static str,
        /// What was tried, what went wrong, the way out.
        message: String,
        /// What the target answered, to be relayed as it is.
        output: Option<Vec<u8>>,
        /// Part of it may have happened: the target tried and reported an error. Otherwise it never left, or was refused.
        may_have_acted: bool,
    },
    /// The request may have left and nothing reliable came back. Somebody has to find out.
    Unknown {
        /// Our code; each has a page in the reference.
        code: &'static str,
        /// What was tried and where the trail ends.
        message: String,
        /// What the target answered, when it did answer: a task still running, a failing gateway's page.
        output: Option<Vec<u8>>,
    },
}

/// Plan of a call: what acting would do, as far as the call itself says.
#[derive(Debug, Clone, PartialEq)]
pub enum CallPlan {
    /// This would be sent, or started.
    Would(serde_json::Value),
    /// The call does not say: only the target knows.
    Untold(String),
    /// It would not even leave.
    Failed(String),
}

/// Result of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub enum DryRun {
    /// This would happen.
    Would {
        /// A JSON object that says it.
        output: Vec<u8>,
        /// How many rows it would touch, where that means something.
        rows: Option<u64>,
    },
    /// This connector cannot tell without acting.
    Unsupported {
        /// Why not.
        message: String,
    },
    /// It would fail, or we could not ask.
    Failed {
        /// Our code.
        code: &'static str,
        /// What went wrong.
        message: String,
    },
}

/// Result of looking up whether a call has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// It did happen.
    Done {
        /// What the look-up answered.
        output: Vec<u8>,
    },
    /// It did not happen.
    NotDone,
    /// Still nobody knows.
    StillUnknown {
        /// Why not, and who could find out.
        message: String,
    },
}

impl CallResult {
    /// Nothing left this house: refused before the target could have heard of it.
    #[must_use]
    pub fn not_sent(code: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { code, message: message.into(), output: None, may_have_acted: false }
    }

    /// Something may have left, and no reliable answer came.
    #[must_use]
    pub fn unknown(code: &'static str, message: impl Into<String>) -> Self {
        Self::Unknown { code, message: message.into(), output: None }
    }

    /// Refused, because the permit does not open the credentials that an attempt would use.
    pub(crate) fn out_of_scope(what: &str, opened: Option<&str>) -> Self {
        let opened = opened.map_or_else(|| "no scope".to_owned(), |scope| format!("the scope `{scope}`"));
        Self::not_sent(
            "credential_refused",
            format!("`{what}` uses credentials of another scope; the permit opens those of {opened}"),
        )
    }
}
