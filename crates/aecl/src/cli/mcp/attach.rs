//! A pipe between the client and the process that owns the home, which is started if nobody does.

use crate::cli::Error;
use crate::mcp::stdio::{AttachReply, AttachRequest};
use aecl_executor::connectors::mcp::{LineRead, next_line};
use aecl_gate::config::Home;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::Instant;

/// How long the process in the background may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How long its answer to the hello may take.
const WELCOME: Duration = Duration::from_secs(30);
/// Seconds without work after which a process that was started here ends by itself.
const IDLE_EXIT_S: &str = "600";

/// Connects, introduces the client, and carries messages both ways until one side ends.
pub(super) async fn run(home: &Home, hello: AttachRequest) -> Result<(), Error> {
    let socket = home.data().join("mcp.sock");
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(_) => match start(home, &socket).await? {
            Some(stream) => stream,
            None => {
                tracing::warn!("no process can be started in the background; the gate runs in this one");
                return super::embedded::run(home, hello).await;
            }
        },
    };
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let lost = |what: &str| {
        Error::new(format!("the AECL process {what}"))
            .hint(format!("see `{}`", home.data().join("serve.log").display()))
    };
    let mut line = serde_json::to_vec(&hello).map_err(|e| Error::new(e.to_string()))?;
    line.push(b'\n');
    writer.write_all(&line).await.map_err(|_| lost("ended before it took the client in"))?;
    line.clear();
    match tokio::time::timeout(WELCOME, next_line(&mut reader, &mut line, 1 << 20)).await {
        Ok(Ok(LineRead::Read)) => {}
        Ok(_) => return Err(lost("ended before it took the client in")),
        Err(_) => return Err(lost("does not answer")),
    }
    let welcome: AttachReply =
        serde_json::from_slice(&line).map_err(|e| lost(&format!("answers something else: {e}")))?;
    if let Some(complaint) = welcome.error.filter(|_| !welcome.ok) {
        return Err(Error {
            code: Some(complaint.code),
            hint: complaint.hint,
            ..Error::new(complaint.message)
        });
    }
    if let Some(note) = welcome.note {
        tracing::warn!("{note}");
    }
    let to_server = async {
        let copied = tokio::io::copy(&mut tokio::io::stdin(), &mut writer).await;
        // The client has closed its end: what is underway is still answered.
        drop(writer.shutdown().await);
        copied
    };
    let mut stdout = tokio::io::stdout();
    let to_client = copy_lines(&mut reader, &mut stdout);
    tokio::pin!(to_server, to_client);
    let mut has_ended = false;
    loop {
        tokio::select! {
            _ = &mut to_server, if !has_ended => has_ended = true,
            () = super::embedded::told_to_end() => return Ok(()),
            copied = &mut to_client => {
                return match copied {
                    Ok(()) if has_ended => Ok(()),
                    // The client went first, and does not read any more.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                    Ok(()) | Err(_) => Err(lost("has ended; calls without an answer may have happened")),
                };
            }
        }
    }
}

/// Copies and flushes as it comes: standard output keeps back what does not end a line.
async fn copy_lines(
    from: &mut (impl tokio::io::AsyncBufRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> std::io::Result<()> {
    use tokio::io::AsyncBufReadExt as _;
    loop {
        // A connection that breaks has ended, too.
        let Ok(bytes) = from.fill_buf().await else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        let n = bytes.len();
        to.write_all(bytes).await?;
        to.flush().await?;
        from.consume(n);
    }
}

/// Starts the process that owns the home, and waits until it listens. Nothing if it cannot be started.
async fn start(home: &Home, socket: &Path) -> Result<Option<UnixStream>, Error> {
    let program = std::env::current_exe().map_err(|e| Error::new(format!("our own program is gone: {e}")))?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--dir").arg(home.dir()).args(["serve", "--background", "--idle-exit", IDLE_EXIT_S]);
    let output =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(false);
    let output = output.spawn().map_err(|e| Error::new(format!("`aecl serve` cannot be started: {e}")))?;
    // It puts itself into the background and ends here as soon as it listens, or cannot.
    let starting = output.wait_with_output();
    tokio::pin!(starting);
    let deadline = Instant::now() + START;
    let mut said = None;
    loop {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return Ok(Some(stream));
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::select! {
            ended = &mut starting, if said.is_none() => {
                said = Some(match ended {
                    Ok(output) if output.status.success() => String::new(),
                    Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                    Err(error) => error.to_string(),
                });
            }
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        // Another one may have been faster; whoever has the lock will listen. But what has failed and left
        // nobody behind does not get better.
        if said.as_deref().is_some_and(|said| !said.is_empty()) {
            break;
        }
    }
    if let Ok(stream) = UnixStream::connect(socket).await {
        return Ok(Some(stream));
    }
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        tracing::warn!("`aecl serve` did not start: {said}");
    }
    Ok(None)
}
