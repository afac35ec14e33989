//! How commands reach the running AECL: over the socket in its data directory. If nobody serves, the command
//! serves by itself for as long as it runs, so that there is one code path and one owner of the directory.

use super::{Common, Error};
use crate::http::host::{self, Host, HostError};
use aecl_executor::root_dir::read_plain;
use aecl_gate::GateError;
use aecl_gate::config::Home;
use aecl_ledger::LedgerError;
use aecl_ledger::store::StoreError;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Longest answer that a command reads, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long to wait for somebody who has the directory but no socket yet, or is about to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of one home.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    key: Option<String>,
    host: Option<Host>,
}

/// Connects to whoever serves this home; if nobody does, serves it in this process on the same socket.
pub async fn connect(common: &Common) -> Result<Client, Error> {
    let home = Home::new(&common.dir);
    if !home.config().exists() {
        let message = format!("there is no `{}`", home.config().display());
        return Err(Error::new(message).hint("run `aecl init`, or say where it is with `--dir`"));
    }
    let socket = host::socket(&home);
    let key = common.key.clone().or_else(|| operator_key(&home));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if UnixStream::connect(&socket).await.is_ok() {
            return Ok(Client { socket, key, host: None });
        }
        match Host::start(home.clone(), None).await {
            Ok(host) => {
                // Links lead to where the pages will be, which need not be what aecl.yaml says.
                let expected = super::serve::port::expected(&home, &host.gate().config());
                host.gate().listening(&expected);
                return Ok(Client { socket, key, host: Some(host) });
            }
            // Somebody has the directory and is about to listen, or about to let go.
            Err(HostError::Gate(GateError::Ledger(LedgerError::Store(StoreError::Locked { .. }))))
                if tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Connects to whoever serves this home, and to nobody else: nothing is started, and nobody is waited for.
pub async fn served(common: &Common) -> Option<Client> {
    let home = Home::new(&common.dir);
    let socket = host::socket(&home);
    UnixStream::connect(&socket).await.ok()?;
    let key = common.key.clone().or_else(|| operator_key(&home));
    Some(Client { socket, key, host: None })
}

/// A name as one segment of a path. Names may hold `/` and `..`, which would lead elsewhere.
pub(crate) fn segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Connects, asks, and ends what was started for that.
pub(crate) fn ask<T>(
    common: &Common,
    ask: impl AsyncFnOnce(&Client) -> Result<T, Error>,
) -> Result<T, Error> {
    super::runtime()?.block_on(async {
        let client = connect(common).await?;
        let answer = ask(&client).await;
        client.close().await;
        answer
    })
}

/// The key that `aecl init` wrote for the person who set this up. Only that person may read it.
fn operator_key(home: &Home) -> Option<String> {
    let text = String::from_utf8(read_plain(&home.keys().join("operator.key"), 1 << 16).ok()?).ok()?;
    Some(text.trim().to_owned()).filter(|key| !key.is_empty())
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Gate(gate) => {
                let held = matches!(gate, GateError::Ledger(LedgerError::Store(StoreError::Locked { .. })));
                let error = Error::from(gate);
                if held { error.hint("stop that process; one process owns a directory") } else { error }
            }
            HostError::Socket { .. } => Error::new(error.to_string())
                .hint("the path of a socket may have at most 107 bytes; use a shorter `--dir`"),
        }
    }
}

impl Client {
    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Method::GET, path, None).await
    }

    /// Changes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The same with another credential: a run token, or the key of somebody else.
    pub async fn post_as(&self, credential: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let (status, bytes) = self.send(Method::POST, path, Some(body), Some(credential)).await?;
        read(status, &bytes)
    }

    /// Reads what is no JSON, such as a checkpoint or a tile.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        let (status, bytes) = self.send(Method::GET, path, None, self.key.as_deref()).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        read(status, &bytes).map(|_| Vec::new())
    }

    /// Whether another process serves this home.
    pub fn served_elsewhere(&self) -> bool {
        self.host.is_none()
    }

    /// The gate, if this process serves it.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Ends what was started for this command.
    pub async fn close(self) {
        if let Some(host) = self.host {
            host.stop().await;
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let (status, bytes) = self.send(method, path, body, self.key.as_deref()).await?;
        read(status, &bytes)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        credential: Option<&str>,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let lost = |e: &dyn std::fmt::Display| lost(&self.socket, e);
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| lost(&e))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
        // It ends with the sender.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        if let Some(credential) = credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|e| Error::new(format!("`{path}` cannot be asked: {e}")))?;
        let response = sender.send_request(request).await.map_err(|e| lost(&e))?;
        let (head, body) = response.into_parts();
        let bytes = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.map_err(|e| lost(&e))?;
        Ok((head.status, bytes.to_vec()))
    }
}

fn lost(socket: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(format!("the server at `{}` did not answer: {why}", socket.display()))
        .hint("run the command again; `aecl log tail` shows what is on record")
}

/// The answer, or the problem that it tells.
fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, Error> {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    if status.is_success() {
        return value.ok_or_else(|| Error::new("the server's answer is no JSON"));
    }
    let text =
        |name: &str| value.as_ref().and_then(|v| v.get(name)).and_then(Value::as_str).map(str::to_owned);
    let message = text("detail").unwrap_or_else(|| format!("the server answered {status}"));
    Err(Error { code: text("code"), hint: text("hint"), ..Error::new(message) })
}
