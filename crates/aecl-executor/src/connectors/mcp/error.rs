//! What goes wrong between us and an upstream, and the one thing that matters then: did it leave?

use std::fmt;

/// A request that got no answer.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    /// The server's name.
    pub server: String,
    /// What was asked.
    pub method: String,
    /// Why there is no answer.
    pub why: UpstreamFailure,
    /// Whether the bytes of the request may have left. If so, nobody knows what happened.
    pub may_have_left: bool,
}

/// Reason why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFailure {
    /// It took too long.
    #[error("did not answer within {after_ms} ms")]
    TimedOut {
        /// How long we waited.
        after_ms: u64,
    },
    /// Nobody waits for the answer any more.
    #[error("was not waited for: the call was cancelled")]
    Cancelled,
    /// There is no connection.
    #[error("is not connected: {0}")]
    NotConnected(String),
    /// The connection broke.
    #[error("broke the connection: {0}")]
    Lost(String),
    /// The answer is none.
    #[error("answered with something that is no answer: {0}")]
    Garbage(String),
    /// It refused the request before looking at it.
    #[error("refused the request with status {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, shortened.
        text: String,
    },
    /// It does not know our session any more: it was started anew, or has thrown the session away. Nothing was looked
    /// at.
    #[error("does not know our session any more")]
    SessionEnded,
    /// Somebody has to log in there first. Nothing was looked at.
    #[error("wants a log-in: {reason}. A person runs `aecl servers login {server}`")]
    LoginNeeded {
        /// The server's name.
        server: String,
        /// What is the matter, in our words.
        reason: String,
    },
    /// The log-in is good for what was asked, and the server refuses it all the same. Nothing was looked at.
    #[error(
        "refuses this to the log-in, although it was given what the server asks for; whoever runs the server decides that"
    )]
    ScopeRefused,
    /// This method acts, so it goes through `Connector::perform` only.
    #[error("is not asked this way: what acts goes through `perform`, after a permit")]
    ActsOnlyByPerform,
}

impl UpstreamError {
    /// The code under which the reference explains it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.why {
            UpstreamFailure::TimedOut { .. } => "upstream_timeout",
            UpstreamFailure::Cancelled => "upstream_cancelled",
            UpstreamFailure::NotConnected(_) | UpstreamFailure::SessionEnded => "upstream_not_connected",
            UpstreamFailure::Lost(_) => "upstream_lost",
            UpstreamFailure::Garbage(_) => "upstream_garbage",
            UpstreamFailure::Refused { .. } => "upstream_refused",
            UpstreamFailure::LoginNeeded { .. } => "upstream_login_needed",
            UpstreamFailure::ScopeRefused => "upstream_scope_refused",
            UpstreamFailure::ActsOnlyByPerform => "upstream_acts_only_by_perform",
        }
    }
}

impl UpstreamFailure {
    /// Whether it is about the log-in: what was asked for was not looked at, and another try right away says the same.
    pub(crate) fn is_about_login(&self) -> bool {
        matches!(self, Self::LoginNeeded { .. } | Self::ScopeRefused)
    }
}

impl std::error::Error for UpstreamError {}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.may_have_left { "the request may have arrived" } else { "nothing was sent" };
        write!(f, "`{}` {} (`{}`); {end}", self.server, self.why, self.method)
    }
}

/// A fault on a link, before it knows for which server and method.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub why: UpstreamFailure,
    pub may_have_left: bool,
}

impl Fault {
    pub(crate) fn before(why: UpstreamFailure) -> Self {
        Self { why, may_have_left: false }
    }

    pub(crate) fn after(why: UpstreamFailure) -> Self {
        Self { why, may_have_left: true }
    }

    pub(crate) fn on(self, server: &str, method: &str) -> UpstreamError {
        UpstreamError {
            server: server.to_owned(),
            method: method.to_owned(),
            why: self.why,
            may_have_left: self.may_have_left,
        }
    }
}
