//! The server that is asked: the one of the home, which is started if nobody serves it, or the one at `AECL_URL`. One request,
//! one connection, and no runtime: a hook is a process of some milliseconds.

use crate::cli::{Common, Error, runtime_of_one_thread};
use aecl_egress::egress::{Egress, innermost};
use aecl_gate::config::Home;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// How long an answer may take beside what it waits for people.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);
/// Seconds without work after which a server that was started here ends by itself.
const IDLE_EXIT_S: &str = "600";

/// Server, and as whom it is asked.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    key: Option<String>,
}

#[derive(Debug)]
enum Place {
    /// The socket of a home, which only its owner may open.
    Socket { home: PathBuf, path: PathBuf },
    /// Another address.
    Url(url::Url),
}

/// Answer of the server: status and body.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// A text of the body; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Server {
    /// The server that is meant.
    pub(super) fn find(common: &Common, url: Option<&str>) -> Result<Self, Error> {
        let key = common.key.clone();
        let Some(text) = url else {
            let home = Home::new(&common.dir);
            if !home.config().is_file() {
                let error = Error::new(format!("there is no home: no `{}`", home.config().display()));
                return Err(error.hint("`aecl init` makes one; `--dir` or AECL_DIR names another"));
            }
            return Ok(Self {
                place: Place::Socket { home: home.dir().to_owned(), path: home.data().join("aecl.sock") },
                key: None,
            });
        };
        let url: url::Url =
            text.parse().map_err(|e| Error::new(format!("AECL_URL `{text}` is no address: {e}")))?;
        let is_here = crate::cli::mcp::is_local(&url);
        if !(url.scheme() == "https" || url.scheme() == "http" && is_here) {
            return Err(Error::new(format!("AECL_URL `{text}` is no address for a key"))
                .hint("name an `https://` address, or an `http://` one of this machine"));
        }
        Ok(Self { place: Place::Url(url), key })
    }

    /// What tells this server from others.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Socket { path, .. } => path.display().to_string(),
            Place::Url(url) => url.to_string(),
        }
    }

    /// Posts. `token`: of a run; without one it is asked as whoever opens runs.
    pub(super) fn post(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
        wait: Duration,
    ) -> Result<Reply, Error> {
        let bearer = token.or(self.key.as_deref());
        let body = body.to_string();
        let limit = ANSWER + wait;
        let bytes = match &self.place {
            Place::Socket { home, path: socket } => {
                let stream = match UnixStream::connect(socket) {
                    Ok(stream) => stream,
                    Err(_) => start(home, socket)?,
                };
                let timed = stream.set_read_timeout(Some(limit)).and(stream.set_write_timeout(Some(ANSWER)));
                timed.map_err(|e| self.lost(&e))?;
                self.exchange(stream, "localhost", path, bearer, &body)
            }
            Place::Url(url) if url.scheme() == "http" => {
                let stream = self.dial(url)?;
                let timed = stream.set_read_timeout(Some(limit)).and(stream.set_write_timeout(Some(ANSWER)));
                timed.and(stream.set_nodelay(true)).map_err(|e| self.lost(&e))?;
                let host = url.authority().to_owned();
                self.exchange(stream, &host, path, bearer, &body)
            }
            Place::Url(url) => return self.over_tls(url, path, bearer, body, limit),
        }?;
        let (status, body) = answer(&bytes).map_err(|why| self.lost(&why))?;
        self.read(status, body)
    }

    fn dial(&self, url: &url::Url) -> Result<TcpStream, Error> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses = (host, port).to_socket_addrs().map_err(|e| self.lost(&e))?;
        let mut last = self.lost(&"it has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, ANSWER) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = self.lost(&error),
            }
        }
        Err(last)
    }

    fn exchange(
        &self,
        mut stream: impl Read + Write,
        host: &str,
        path: &str,
        bearer: Option<&str>,
        body: &str,
    ) -> Result<Vec<u8>, Error> {
        let credential =
            bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{credential}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A server that refuses early has answered before it has read everything.
        let sent =
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).and_then(|()| stream.flush());
        let mut bytes = Vec::new();
        let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        match (read, sent) {
            (Err(error), _) if bytes.is_empty() => Err(self.lost(&error)),
            (_, Err(error)) if bytes.is_empty() => Err(self.lost(&error)),
            _ => Ok(bytes),
        }
    }

    fn over_tls(
        &self,
        url: &url::Url,
        path: &str,
        bearer: Option<&str>,
        body: String,
        limit: Duration,
    ) -> Result<Reply, Error> {
        let target = url.join(path).map_err(|e| self.lost(&e))?;
        let client = Egress::default().client(url, true).map_err(|e| self.lost(&e))?;
        let mut request =
            client.post(target).timeout(limit).header("Content-Type", "application/json").body(body);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let asked = runtime_of_one_thread()?.block_on(async {
            let reply = request.send().await.map_err(|e| innermost(&e))?;
            let status = reply.status().as_u16();
            Ok::<_, String>((status, reply.bytes().await.map_err(|e| innermost(&e))?))
        });
        let (status, bytes) = asked.map_err(|why| self.lost(&why))?;
        self.read(status, &bytes)
    }

    fn read(&self, status: u16, body: &[u8]) -> Result<Reply, Error> {
        let body: Value =
            serde_json::from_slice(body).map_err(|e| self.lost(&format!("its answer is no JSON ({e})")))?;
        Ok(Reply { status, body })
    }

    fn lost(&self, why: &dyn std::fmt::Display) -> Error {
        Error::new(format!("AECL at `{}` did not answer: {why}", self.name()))
            .hint("`aecl serve` in the foreground shows what is wrong")
    }
}

/// Status and body of an answer as it came. A server that closes the connection behind it names the length.
fn answer(bytes: &[u8]) -> Result<(u16, &[u8]), String> {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or("the answer has no end of its head")?;
    let head =
        bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("its head is no text")?;
    let body = bytes.get(end + 4..).unwrap_or_default();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) if length == body.len() => Ok((status, body)),
        (Some(_), Some(_)) => Err("the answer is cut off".into()),
        (Some(_), None) => Err("the answer names no length".into()),
        (None, _) => Err("it does not speak HTTP/1.1".into()),
    }
}

/// Starts the process that owns the home, and waits until it listens.
fn start(home: &Path, socket: &Path) -> Result<UnixStream, Error> {
    let program = std::env::current_exe().map_err(|e| Error::new(format!("our own program is gone: {e}")))?;
    let mut command = Command::new(program);
    command.arg("--dir").arg(home).args(["serve", "--background", "--idle-exit", IDLE_EXIT_S]);
    // A server needs nobody's key.
    command.env_remove("AECL_KEY").env_remove("AECL_TOKEN");
    let said = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let said = said.map_err(|e| Error::new(format!("`aecl serve` cannot be started: {e}")))?;
    let until = Instant::now() + START;
    loop {
        if let Ok(stream) = UnixStream::connect(socket) {
            return Ok(stream);
        }
        // Another one may have been faster: then ours has failed, and whoever has the home will listen.
        if Instant::now() >= until || !(said.status.success() || is_held(home)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    Err(Error::new(format!("`aecl serve` did not start in `{}`: {why}", home.display()))
        .hint("`aecl serve` in the foreground shows the same"))
}

/// Whether a process that lives says that the home is its own.
fn is_held(home: &Path) -> bool {
    let text = std::fs::read_to_string(home.join("data/lock")).unwrap_or_default();
    let process = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn an_answer_is_whole_or_none() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(answer(good), Ok((200, &b"{}"[..])));
        for (bad, why) in [
            ("", "no end of its head"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "cut off"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", "cut off"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "names no length"),
            ("HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}", "does not speak"),
            ("SSH-2.0-x\r\n\r\n", "does not speak"),
        ] {
            assert!(answer(bad.as_bytes()).is_err_and(|said| said.contains(why)), "{bad}");
        }
    }
}
