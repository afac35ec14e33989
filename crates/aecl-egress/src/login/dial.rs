//! Asking strangers for short documents: the same rules for addresses as everywhere, no redirect, a limit on every
//! answer and one clock for all of it.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::{LoginError, host_of, is_safe};
use crate::egress::{Egress, innermost, refusal};

/// The longest answer that is read.
pub(super) const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// How long one exchange may take, to the last byte.
const EXCHANGE_MAX: Duration = Duration::from_secs(15);

/// The way to a server and to those whom it names.
#[derive(Clone)]
pub(super) struct Dial {
    pub egress: Egress,
    /// The server's address.
    pub server: Url,
    /// Whether the server's own host and port may be private.
    pub server_private: bool,
    /// Whether others may.
    pub private: bool,
}

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body as an object of this form. What the parser would quote may be a secret, so it says nothing.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        let is_object = self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if is_object { serde_json::from_slice(&self.body).ok() } else { None }
    }
}

impl Dial {
    /// A client for this address, if a token may go there.
    pub(super) fn client(&self, what: &'static str, url: &Url) -> Result<reqwest::Client, LoginError> {
        if !is_safe(url) {
            return Err(LoginError::Plain { what, url: super::quotable(url.as_str()) });
        }
        let of_server = url.origin() == self.server.origin() && self.server_private;
        self.egress
            .client(url, self.private || of_server)
            .map_err(|source| LoginError::Egress { what, source })
    }

    /// Asks for a document.
    pub(super) async fn get(&self, what: &'static str, url: &Url) -> Result<Answer, LoginError> {
        let request = self.client(what, url)?.get(url.clone()).header(ACCEPT, "application/json");
        self.exchange(what, url, request).await
    }

    /// Sends a form.
    pub(super) async fn post(
        &self,
        what: &'static str,
        url: &Url,
        form: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, LoginError> {
        let request = self.client(what, url)?.post(url.clone()).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        self.exchange(what, url, with(request)).await
    }

    /// Sends the request, and reads its answer to the end.
    pub(super) async fn exchange(
        &self,
        what: &'static str,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Answer, LoginError> {
        let host = host_of(url);
        let reading = async {
            let lost = |error: reqwest::Error| match refusal(&error) {
                Some(denied) => LoginError::Egress { what, source: denied.clone() },
                None => LoginError::Unreachable { what, host: host.clone(), why: innermost(&error) },
            };
            let response = request.send().await.map_err(lost)?;
            let status = response.status();
            // Room at once: growing would leave parts of the answer behind.
            let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_MAX_BYTES));
            let mut stream = response.bytes_stream();
            while let Some(part) = stream.next().await {
                let part = part.map_err(lost)?;
                if body.len() + part.len() > ANSWER_MAX_BYTES {
                    let why = format!("answers with more than {ANSWER_MAX_BYTES} bytes");
                    return Err(LoginError::Garbage { what, host: host.clone(), why });
                }
                body.extend_from_slice(&part);
            }
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(EXCHANGE_MAX, reading).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = format!("it took longer than {} s", EXCHANGE_MAX.as_secs());
                Err(LoginError::Unreachable { what, host, why })
            }
        }
    }
}
