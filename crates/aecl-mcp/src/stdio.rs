//! MCP over two pipes: one message a line. What `aecl mcp` speaks with its client, and what it speaks over
//! `mcp.sock` with the process that owns the home.

use super::client_session::ClientSession;
use super::dispatcher::Dispatcher;
use super::names;
use super::opening::{Opening, Outbound};
use super::wire::{INTERNAL_ERROR, INVALID_REQUEST, Refusal, response};
use crate::serving::shares::Shares;
use aecl_egress::vault::Secret;
use aecl_executor::connectors::mcp::{ClientFace, Envelope, Handshake, LineRead, Transport, next_line};
use aecl_gate::{Gate, GateError, Identity};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{AgentId, RunId, UserId};
use futures_util::future::poll_immediate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Messages that may wait while the client does not read.
const QUEUE: usize = 256;
/// Longest hello, in bytes: it may carry an environment.
const HELLO_BYTES_MAX: usize = 1 << 20;
/// How long the hello may take.
const HELLO: Duration = Duration::from_secs(10);
/// How long calls may go on after their client has gone, before they are cancelled.
const GRACE: Duration = Duration::from_secs(120);
/// The same when we are about to end ourselves.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Request on the first line of `mcp.sock`: who stands in front of what.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachRequest {
    /// The version of this protocol: 1.
    pub v: u32,
    /// The agent.
    pub agent: AgentId,
    /// The server's name; without one, all configured servers stand behind.
    #[serde(default)]
    pub server: Option<String>,
    /// How the server is reached, if it is not a configured one.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// Values of the client's own environment, for the `env:` references in `transport`. They go no further than to that
    /// server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What the run is for.
    #[serde(default)]
    pub goal: Option<String>,
    /// Its ordered steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// Put them before people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve_plan: bool,
    /// For whom the agent acts.
    #[serde(default)]
    pub user: Option<UserId>,
}

// The environment is not for logs.
impl std::fmt::Debug for AttachRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttachRequest")
            .field("agent", &self.agent)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Reply to a request to attach.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachReply {
    /// Whether messages may follow.
    pub ok: bool,
    /// The run that was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What will be a surprise otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Complaint>,
}

/// Complaint about a client that was not taken in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Complaint {
    /// The stable code.
    pub code: String,
    /// In words.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Takes a client in: connections of its own, a run of its own.
///
/// # Errors
/// When the agent or the server is not known, or no run can be opened.
pub async fn open(gate: &Gate, hello: AttachRequest) -> Result<(Dispatcher, RunId), GateError> {
    let refused = |message: String| GateError::Refused { code: code::REQUEST_INVALID, message };
    if hello.v != 1 {
        return Err(refused(format!("version {} of the attach protocol is not spoken here; 1 is", hello.v)));
    }
    let session = uuid::Uuid::now_v7().simple().to_string();
    let configured = || gate.config().servers.keys().cloned().collect::<Vec<_>>();
    let servers = match (hello.server, hello.transport) {
        (Some(name), Some(transport)) => {
            if !names::is_server(&name) {
                return Err(refused(format!(
                    "`{name}` is no server name: letters, digits, `-` and single `_`"
                )));
            }
            let how = Handshake::Probe(ClientFace::default());
            if hello.env.is_empty() {
                gate.add_server(Some(&session), &name, transport, how);
            } else {
                let env = hello.env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
                let vault = gate.executor().connectors().vault.with_env(env);
                gate.add_server_with(Some(&session), &name, transport, how, vault);
            }
            vec![name]
        }
        (None, Some(_)) => return Err(refused("a server needs a name".into())),
        (Some(name), None) => vec![name],
        (None, None) if configured().is_empty() => {
            return Err(refused("no server is named, and `servers` in aecl.yaml has none".into()));
        }
        (None, None) => configured(),
    };
    let opening = Opening {
        agent: hello.agent,
        servers,
        session: Some(session),
        run: None,
        by: Identity::Local,
        goal: hello.goal,
        plan: hello.plan,
        approve_plan: hello.approve_plan,
        user: hello.user,
    };
    let client = Dispatcher::open(gate.clone(), opening).await?;
    let run = client.session().run().await?;
    Ok((client, run))
}

/// Serves one client on two pipes until it goes or `shutdown` fires.
///
/// # Errors
/// When the client cannot be taken in.
pub async fn serve(
    gate: &Gate,
    hello: AttachRequest,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    shutdown: &CancellationToken,
) -> Result<(), GateError> {
    let (client, _) = open(gate, hello).await?;
    if let Some(note) = surprises(client.session()).await {
        tracing::warn!("{note}");
    }
    converse(&client, BufReader::new(reader), writer, shutdown).await;
    Ok(())
}

/// Takes in clients at a Unix socket until `shutdown` fires, then ends their conversations. `connections`
/// counts who is here.
pub async fn listen(
    gate: Gate,
    listener: UnixListener,
    shutdown: CancellationToken,
    connections: Arc<AtomicUsize>,
) {
    let mut clients = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, for instance: others may end meanwhile.
                    tracing::error!(%error, "a client could not be accepted at the attach socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(_) = clients.join_next() => continue,
        };
        let (gate, shutdown) = (gate.clone(), shutdown.clone());
        let here = Here::new(&connections);
        clients.spawn(async move {
            attach(&gate, stream, &shutdown).await;
            drop(here);
        });
    }
    while clients.join_next().await.is_some() {}
}

/// Counts a client for as long as it is here.
struct Here(Arc<AtomicUsize>);

impl Here {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::SeqCst);
        Self(connections.clone())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One client at the attach socket: its hello, our answer, then messages.
async fn attach(gate: &Gate, stream: UnixStream, shutdown: &CancellationToken) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let hello = match tokio::time::timeout(HELLO, next_line(&mut reader, &mut line, HELLO_BYTES_MAX)).await {
        Ok(Ok(LineRead::Read)) => {
            serde_json::from_slice::<AttachRequest>(&line).map_err(|error| error.to_string())
        }
        Ok(Ok(LineRead::TooLong)) => Err(format!("longer than {HELLO_BYTES_MAX} bytes")),
        // Somebody only looked whether anybody is here.
        Ok(Ok(LineRead::End) | Err(_)) => return,
        Err(_) => Err("it did not come in time".into()),
    };
    let opened = match hello {
        Ok(hello) => open(gate, hello).await,
        Err(why) => {
            let message = format!("the hello cannot be read: {why}");
            Err(GateError::Refused { code: code::REQUEST_INVALID, message })
        }
    };
    let (welcome, client) = match opened {
        Ok((client, run)) => {
            let note = surprises(client.session()).await;
            (AttachReply { ok: true, run: Some(run), note, error: None }, Some(client))
        }
        Err(error) => {
            let hint = hint(&error).map(str::to_owned);
            let complaint = Complaint { code: error.code().to_string(), message: error.to_string(), hint };
            (AttachReply { ok: false, run: None, note: None, error: Some(complaint) }, None)
        }
    };
    let mut text = serde_json::to_vec(&welcome).unwrap_or_default();
    text.push(b'\n');
    let told = writer.write_all(&text).await;
    match (client, told) {
        (Some(client), Ok(())) => converse(&client, reader, writer, shutdown).await,
        (Some(client), Err(_)) => client.session().close().await,
        (None, _) => {}
    }
}

/// Says so if the agent's manifest lists nothing of a server: then the client sees no tools, and no reason.
/// What will be a surprise otherwise: that nothing works, or that people are asked first.
async fn surprises(client: &ClientSession) -> Option<String> {
    let waits = match client.run().await {
        Ok(run) => client.gate.plan_answered(&run, std::time::Duration::ZERO).await.ok().flatten(),
        Err(_) => None,
    };
    let url = client.gate.config().url();
    let waits = waits.map(|ask| format!("the plan waits for people: {url}/approvals/{}", ask.approval));
    let notes: Vec<String> = nothing_listed(client).into_iter().chain(waits).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn nothing_listed(client: &ClientSession) -> Option<String> {
    let bundle = client.gate.bundle();
    let manifest = bundle.agent(&client.opening.agent)?;
    let mut listed = manifest.allowed_actions.iter().chain(manifest.context_rules.keys());
    let names_any = |action: &String| {
        let mut servers = client.opening.servers.iter();
        action == "*"
            || servers.any(|s| action.strip_prefix(s.as_str()).is_some_and(|rest| rest.starts_with('.')))
    };
    if listed.any(names_any) {
        return None;
    }
    let (agent, servers) = (&client.opening.agent, client.opening.servers.join("`, `"));
    Some(format!(
        "the manifest of `{agent}` lists no action of `{servers}`, so its tools are hidden; list them in policy/agents/, or name the server as the manifest does with `--server`"
    ))
}

/// What helps after an error at the door.
#[must_use]
pub fn hint(error: &GateError) -> Option<&'static str> {
    match error.code() {
        code::AGENT_UNKNOWN => {
            Some("write a manifest into policy/agents/, or name another agent with `--agent`")
        }
        code::FORBIDDEN => Some("ask an operator"),
        _ => None,
    }
}

/// Messages both ways until the client goes. What waits then is cancelled; what has begun is concluded by
/// the gate.
async fn converse(
    client: &Dispatcher,
    mut reader: BufReader<impl AsyncRead + Unpin>,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    shutdown: &CancellationToken,
) {
    let limits = client.session().gate.config().limits.clone();
    let (out, queue) = mpsc::channel(QUEUE);
    let gone = CancellationToken::new();
    let writing = tokio::spawn(write_all(queue, writer, gone.clone()));
    let telling = tokio::spawn(tell(client.session().unasked(), out.clone()));
    let out = Outbound(out);
    let permits = Arc::new(Semaphore::new(limits.requests_max));
    let bodies = Shares::of(limits.bodies_bytes_max, limits.request_bytes_max);
    let mut underway = JoinSet::new();
    let mut line = Vec::new();
    loop {
        let read = tokio::select! {
            read = next_line(&mut reader, &mut line, limits.request_bytes_max) => read,
            () = shutdown.cancelled() => break,
            () = gone.cancelled() => break,
        };
        match read {
            Ok(LineRead::Read) if line.trim_ascii().is_empty() => continue,
            Ok(LineRead::Read) => {}
            Ok(LineRead::TooLong) => {
                let why = format!("a message is longer than {} bytes", limits.request_bytes_max);
                out.send(refused(INVALID_REQUEST, &why)).await;
                break;
            }
            Ok(LineRead::End) | Err(_) => break,
        }
        while underway.try_join_next().is_some() {}
        let Some(raw) = message(&line) else {
            out.send(refused(-32700, "the line is no JSON")).await;
            continue;
        };
        let mut weight = bodies.share(client.session().opening.agent.as_str());
        if weight.take(line.len()).is_err() {
            let why =
                format!("requests would have more than {} bytes underway; wait for answers", bodies.each());
            out.send(overloaded(&raw, &why)).await;
            continue;
        }
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            out.send(overloaded(&raw, "too many requests at once; wait for answers")).await;
            continue;
        };
        // A client that is found to be gone, because something could not be told to it, has not cancelled what has begun.
        let (client, out, cancel) = (client.clone(), out.clone(), CancellationToken::new());
        let mut answering = Box::pin(async move {
            if let Some(response) = client.message(&raw, &out, cancel).await {
                out.send(response).await;
            }
            drop((permit, weight));
        });
        // The first step is taken here, so that a cancellation on the next line finds its request.
        if poll_immediate(&mut answering).await.is_none() {
            underway.spawn(answering);
        }
    }
    client.session().leave().await;
    let grace = if shutdown.is_cancelled() { SHUTDOWN_GRACE } else { GRACE };
    let ended = async {
        while underway.join_next().await.is_some() {}
        client.session().settled().await;
    };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("calls of a client that has gone do not end; now they are cancelled");
    }
    telling.abort();
    client.session().close().await;
    // Cancelled calls end at once; what they came to is on record.
    while underway.join_next().await.is_some() {}
    drop(out);
    // What is still to be written reaches a client that only closed its own end.
    drop(tokio::time::timeout(Duration::from_secs(1), writing).await);
}

/// Passes on what servers say unasked.
async fn tell(mut unasked: broadcast::Receiver<Arc<RawValue>>, out: mpsc::Sender<Box<RawValue>>) {
    loop {
        match unasked.recv().await {
            Ok(message) => {
                if out.send(message.as_ref().to_owned()).await.is_err() {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Writes whole lines, one message each.
async fn write_all(
    mut queue: mpsc::Receiver<Box<RawValue>>,
    mut writer: impl AsyncWrite + Unpin,
    gone: CancellationToken,
) {
    let mut messages = Vec::new();
    let mut buffer = Vec::new();
    while queue.recv_many(&mut messages, 64).await > 0 {
        buffer.clear();
        for message in messages.drain(..) {
            // A line break inside JSON can only be space between tokens, so a blank means the same.
            buffer.extend(message.get().bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }));
            buffer.push(b'\n');
        }
        let written = writer.write_all(&buffer).await;
        if written.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    gone.cancel();
}

fn message(line: &[u8]) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(line).ok()?;
    RawValue::from_string(text.trim_ascii().to_owned()).ok()
}

fn overloaded(raw: &RawValue, why: &str) -> Box<RawValue> {
    let id = Envelope::read(raw.get()).and_then(|envelope| envelope.id).unwrap_or(RawValue::NULL);
    response(id, &Refusal::coded(INTERNAL_ERROR, code::OVERLOADED.as_str(), why).reply())
}

fn refused(code: i64, why: &str) -> Box<RawValue> {
    response(RawValue::NULL, &Refusal::new(code, why).reply())
}
