//! The payments service as a process of its own, and the book as anybody with its key can read it.

use super::door::Door;
use crate::Error;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A payments service that runs. It ends with us, whatever happens to us: its input ends then.
pub struct Service {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    door: Door,
}

impl Service {
    /// Starts it on this book.
    pub async fn start(book: &Path, key_file: &Path, key: &str) -> Result<Self, Error> {
        let fail = |e: std::io::Error| Error::new(format!("the payments service does not start: {e}"));
        let program = std::env::current_exe().map_err(fail)?;
        let mut process = Command::new(program)
            .args(["demo-payments", "--with-parent", "--listen", "127.0.0.1:0", "--book"])
            .arg(book)
            .arg("--key-file")
            .arg(key_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line).await.map_err(fail)?;
        }
        let address = line.trim().parse().map_err(|_| {
            Error::new("the payments service did not say where it listens").hint("run the demo again")
        })?;
        Ok(Self { process, address, door: Door::to(address, key)? })
    }

    /// Pays, as whoever holds the key.
    pub async fn pay(&self, arguments: &Value) -> Result<Value, Error> {
        self.door.post("/transfers", arguments).await
    }

    /// What the account has, such as `400,000.00`.
    pub async fn balance(&self) -> Result<String, Error> {
        let accounts = self.door.get("/accounts").await?;
        let balance = accounts.pointer("/0/balance").and_then(Value::as_str);
        balance.map(str::to_owned).ok_or_else(|| Error::new("the payments service has no account"))
    }

    /// All transfers.
    pub async fn transfers(&self) -> Result<Vec<Value>, Error> {
        Ok(self.door.get("/transfers").await?.as_array().cloned().unwrap_or_default())
    }

    /// Ends it.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait().await);
    }
}
