//! Log-ins at servers that want one: OAuth 2.1, as the MCP authorization specification asks it of a client.
//!
//! An operator logs in once ([`Flow`]); what comes of it lies sealed beside the secrets ([`LoginStore`]), and requests to
//! exactly that address carry it (`LoginSession`). Whatever comes from the network here is a stranger's text: documents
//! are short and read strictly, no redirect is followed, every address is judged like any other
//! ([`egress`](crate::egress)), and a log-in is for one address and no other.
//!
//! **Invariant:** a token is sent to the server that it was given for and to nobody else, and no text of ours holds
//! one.

mod challenge;
mod client;
mod dial;
mod door;
mod flow;
mod grant;
mod kept;
mod metadata;
mod session;
mod spec;

pub use flow::{Flow, LoginPrompt, LoginResult, revoke};
pub use kept::{Kept, LoginChallenge, LoginStore};
pub use session::{LoginRefusal, LoginSession, LoginVerdict};
pub use spec::{ClientAuth, GrantKind, OauthSpec};

use url::Url;

use crate::egress::EgressError;
use crate::vault::{SecretStoreError, VaultError};

/// Errors of a log-in. Texts of strangers in it are short and printable; no secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The address is none that a token may be sent to.
    #[error(
        "{what} `{url}` is not reached over `https`, and a token goes over plain `http` on this machine only"
    )]
    Plain {
        /// Whose address.
        what: &'static str,
        /// The address.
        url: String,
    },
    /// It may not be dialled.
    #[error("{what} is not asked: {source}")]
    Egress {
        /// What was to be asked.
        what: &'static str,
        /// Why not.
        source: EgressError,
    },
    /// There is no connection, or it broke.
    #[error("{what} at `{host}` does not answer: {why}")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// Where.
        host: String,
        /// Why not.
        why: String,
    },
    /// It answers with something else.
    #[error("{what} at `{host}` {why}")]
    Garbage {
        /// What was asked.
        what: &'static str,
        /// Where.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server names nobody who gives tokens for it.
    #[error("`{server}` says nowhere who gives tokens for it; asked: {asked}")]
    NoMetadata {
        /// Its address.
        server: String,
        /// What was asked, and what it answered.
        asked: String,
    },
    /// What is said does not fit together, as when somebody in between wants a token for another place.
    #[error("{0}")]
    Mismatch(String),
    /// What the authorization server does not have and we do not go without.
    #[error("`{issuer}` {lacks}")]
    Lacks {
        /// The authorization server.
        issuer: String,
        /// What it lacks.
        lacks: String,
    },
    /// It said no.
    #[error("{what} at `{host}` says no: {said}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Where.
        host: String,
        /// Its code, and its words.
        said: String,
        /// Whether what was shown to it is of no use any more.
        is_final: bool,
    },
    /// The browser brought back a no, or nothing that could be used.
    #[error("the log-in did not come about: {0}")]
    NotCome(String),
    /// Nobody came back.
    #[error("nobody came back from the log-in within {0} s")]
    TimedOut(u64),
    /// The place to come back to cannot be opened.
    #[error("no place to come back to can be opened on 127.0.0.1, port {port}: {source}")]
    NoDoor {
        /// The port that was wanted; 0 is any.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret of the configuration cannot be had.
    #[error("the client's own secret cannot be had: {0}")]
    Secret(#[from] VaultError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] SecretStoreError),
    /// There is no store here.
    #[error("there is no encrypted store here to keep a log-in in")]
    NoStore,
    /// Another process renews it.
    #[error("the log-in of `{0}` is being renewed by another process, which does not come to an end")]
    Busy(String),
    /// There is no randomness.
    #[error("the operating system gives no random bytes: {0}")]
    NoRandom(String),
}

/// The longest text of a stranger that is repeated in a message.
const QUOTED_MAX: usize = 200;

/// A stranger's text as a message may repeat it: one line, printable ASCII, short.
fn quotable(text: &str) -> String {
    let printable = text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' });
    printable.take(QUOTED_MAX).collect()
}

/// The host of an address, for messages.
fn host_of(url: &Url) -> String {
    let host = quotable(url.host_str().unwrap_or_default());
    url.port().map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// Whether a token may travel there: over `https`, or on this machine.
fn is_safe(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Random bytes as text: 256 bits.
fn random_text() -> Result<zeroize::Zeroizing<String>, LoginError> {
    use base64::Engine as _;
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| LoginError::NoRandom(error.to_string()))?;
    Ok(zeroize::Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}
