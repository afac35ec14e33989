//! A daemon's interface: requests over its socket, and their answers. HTTP/1.0, with which every answer ends where
//! the connection does.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An answer is a document about a daemon, an image or some containers.
const ANSWER_MAX_BYTES: u64 = 4 << 20;

/// Longer than any daemon takes that still works. The first image of a slow disk takes some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is shown of a daemon's complaint.
const COMPLAINT_MAX_CHARS: usize = 400;

/// What goes along with a request.
pub(super) enum Body {
    Nothing,
    Json(Value),
    Archive(Vec<u8>),
}

/// A daemon, by its socket.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    pub(super) fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks, and reads the answer's document.
    ///
    /// # Errors
    /// [`Refused::No`] when the daemon says no, otherwise [`Refused::Broken`].
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Body,
    ) -> Result<T, Refused> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| broken(path, &format!("gets no known answer: {error}")))
    }

    /// Asks, and returns the bytes of the answer.
    pub(super) async fn send(&self, method: &str, path: &str, body: Body) -> Result<Vec<u8>, Refused> {
        let answered = timeout(PATIENCE, self.exchange(method, path, body)).await;
        let answer = answered
            .map_err(|_| broken(path, &format!("is not answered within {} s", PATIENCE.as_secs())))?
            .map_err(Refused::Broken)?;
        let (status, body) = parse(&answer).ok_or_else(|| broken(path, "is answered in no known form"))?;
        if (200..300).contains(&status) {
            Ok(body.to_vec())
        } else {
            Err(Refused::No { status, why: complaint(body) })
        }
    }

    async fn exchange(&self, method: &str, path: &str, body: Body) -> io::Result<Vec<u8>> {
        let (kind, body) = match body {
            Body::Nothing => ("text/plain", Vec::new()),
            Body::Json(document) => ("application/json", document.to_string().into_bytes()),
            Body::Archive(bytes) => ("application/x-tar", bytes),
        };
        let mut stream = UnixStream::connect(&self.socket).await?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // Who refuses may do so before it has read everything, and close.
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        };
        let sent = sent.await;
        let mut answer = Vec::new();
        let read = stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await;
        match answer.is_empty() {
            true => sent.and(read).map(|_| answer),
            false => Ok(answer),
        }
    }
}

/// Why there is no good answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// The daemon says no.
    No { status: u16, why: String },
    /// It cannot be asked, or answers nothing that can be read.
    Broken(io::Error),
}

impl Refused {
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::No { status: 404, .. })
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::No { status, why } => Self::other(format!("the daemon says {status}: {why}")),
            Refused::Broken(error) => error,
        }
    }
}

fn broken(path: &str, what: &str) -> Refused {
    let path = path.split('?').next().unwrap_or_default();
    Refused::Broken(io::Error::other(format!("the request `{path}` to the daemon {what}")))
}

/// What went wrong with something that is reported line by line, if anything did.
pub(super) fn error_in(answer: &[u8]) -> Option<String> {
    let lines = serde_json::Deserializer::from_slice(answer).into_iter::<Value>();
    lines.map_while(Result::ok).find_map(|line| {
        let detail = line.get("errorDetail").and_then(|detail| detail.get("message"));
        Some(readable(detail.or_else(|| line.get("error"))?.as_str()?))
    })
}

/// The daemon's words, which may be a stranger's.
fn complaint(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok();
    readable(
        said.as_ref().and_then(|said| said.get("message")?.as_str()).unwrap_or("nothing that can be read"),
    )
}

fn readable(said: &str) -> String {
    crate::collected::shown(said.trim().as_bytes()).chars().take(COMPLAINT_MAX_CHARS).collect()
}

/// The status and the body of a whole answer; nothing when it is none, or breaks off.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end)?;
    let body = body.get(4..)?;
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") && value.trim().parse() != Ok(body.len()) {
            return None;
        }
    }
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let short = b"HTTP/1.0 201 Created\r\nServer: Docker\r\nContent-Length: 3\r\n\r\n{}\n";
        assert_eq!(parse(short), Some((201, &b"{}\n"[..])));
        for end in 0..short.len() {
            assert_eq!(parse(&short[..end]), None, "{end}");
        }
        let until_the_end = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[]";
        assert_eq!(parse(until_the_end), Some((200, &b"[]"[..])));
        for bad in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.0 x\r\n\r\n", b"HTTP/1.0 200 OK\r\nno header\r\n\r\n"]
        {
            assert_eq!(parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(complaint(b"{\"message\": \"no \\u001b[1m such\\n\"}"), "no \u{fffd}[1m such");
        assert_eq!(complaint(b"<html>"), "nothing that can be read");
    }

    proptest! {
        #[test]
        fn anything_may_answer(
            bytes in vec(any::<u8>(), 0..200),
            head in "HTTP/1[.][0-9 ]{0,6}",
            headers in "([a-zA-Z-]{0,14}: ?[0-9]{0,22}\r\n){0,3}",
        ) {
            let _ = parse(&bytes);
            let mut answer = format!("{head}\r\n{headers}\r\n").into_bytes();
            answer.extend(&bytes);
            if let Some((_, body)) = parse(&answer) {
                prop_assert!(body.len() <= bytes.len());
            }
        }
    }
}
