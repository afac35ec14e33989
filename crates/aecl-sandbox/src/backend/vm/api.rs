//! One request to a monitor's socket, and its answer: as much of HTTP/1.1 as that takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

/// An answer is some headers and a line of JSON.
const ANSWER_MAX_BYTES: usize = 16 << 10;

/// How often a socket is tried that nobody serves yet.
const PAUSE: Duration = Duration::from_millis(2);

/// Puts a JSON document. The socket is there before anybody listens on it, so a refusal is tried again, as
/// long as the caller waits.
///
/// # Errors
/// When the monitor does not answer, does not answer in this form, or says no: then with its words.
pub(super) async fn put(socket: &Path, path: &str, document: &str) -> io::Result<()> {
    let mut stream = connect(socket).await?;
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{document}",
        document.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if let Some((status, body)) = parse(&answer).ok_or_else(|| other(path, "answers in no known form"))? {
            if (200..300).contains(&status) {
                return Ok(());
            }
            let body = crate::collected::shown(String::from_utf8_lossy(body).trim().as_bytes());
            return Err(other(path, &format!("was answered with {status}: {body}")));
        }
        if answer.len() > ANSWER_MAX_BYTES {
            return Err(other(path, "gets an answer without an end"));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(other(path, "gets no answer"));
        }
    }
}

/// Connects, as soon as somebody listens.
pub(super) async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

fn other(path: &str, what: &str) -> io::Error {
    io::Error::other(format!("the monitor's request `{path}` {what}"))
}

/// The status and the body of an answer; inside `None` while it is not complete, outside when it is none.
fn parse(answer: &[u8]) -> Option<Option<(u16, &[u8])>> {
    const START: &[u8] = b"HTTP/1.1 ";
    let begins = answer.len().min(START.len());
    if answer.get(..begins) != START.get(..begins) {
        return None;
    }
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Some(None) };
    let (head, body) = answer.split_at_checked(end)?;
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut length = 0_usize;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let body = body.get(4..)?;
    Some(body.get(..length).map(|body| (status, body)))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let no_content = b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(parse(no_content), Some(Some((204, &b""[..]))));
        let fault = b"HTTP/1.1 400 \r\nContent-Length: 3\r\n\r\n{}\n";
        assert_eq!(parse(fault), Some(Some((400, &b"{}\n"[..]))));
        for end in 0..fault.len() {
            assert_eq!(parse(&fault[..end]), Some(None), "{end}");
        }
        for bad in [
            &b"SSH-2.0-x"[..],
            b"HTTP/1.1 x\r\n\r\n",
            b"HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 \r\nno header\r\n\r\n",
            b"HTTP/1.1 2\r\n\r\n",
        ] {
            assert_eq!(parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn anything_may_answer(
            bytes in vec(any::<u8>(), 0..200),
            status in "[0-9 ]{0,4}",
            headers in "([a-zA-Z-]{0,14}: ?[0-9]{0,22}\r\n){0,3}",
        ) {
            let _ = parse(&bytes);
            let mut answer = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
            answer.extend(&bytes);
            if let Some(Some((_, body))) = parse(&answer) {
                prop_assert!(body.len() <= bytes.len());
            }
        }
    }
}
