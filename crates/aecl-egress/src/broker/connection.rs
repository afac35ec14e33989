//! One connection, top to bottom: read, judge, look up, dial, tell, relay, tell.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aecl_sandbox::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::client_hello::{self, ClientHello};
use super::head::{self, Plain, ProxyRequest};
use super::rules::Allow;
use super::{
    ConnectionEnd, ConnectionOpening, ConnectionOutcome, Inner, Meter, answer, relay, tls_intercept,
};
use crate::egress::{Destination, HostName};
use crate::egress::{EgressError, judge};

/// What is known of a connection so far; what is reported when it ends, however it ends.
#[derive(Default)]
pub(super) struct ConnectionLog {
    pub method: Option<String>,
    to: Option<Destination>,
    asked: Option<String>,
    address: Option<SocketAddr>,
    /// The tunnel was answered, so nothing more can be said in words.
    answered: bool,
    pub opened: bool,
}

/// Why it ends before its time, and what the other side is told.
pub(super) struct Rejection {
    pub code: &'static str,
    pub why: String,
    pub status: Option<u16>,
}

impl Rejection {
    pub(super) fn cut(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), status: None }
    }

    pub(super) fn refused(status: u16, code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), status: Some(status) }
    }

    fn late(what: &str, ms: u64) -> Self {
        Self::refused(408, "egress_limit", format!("{what} took longer than {ms} ms"))
    }
}

pub(super) async fn serve(broker: &Inner, number: u64, mut client: Connection, stop: &CancellationToken) {
    let meter =
        Meter { broker, started: Instant::now(), out_bytes: AtomicU64::new(0), in_bytes: AtomicU64::new(0) };
    let mut log = ConnectionLog::default();
    let limits = &broker.limits;
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Rejection::cut("egress_stopped", "the action has ended")),
        () = tokio::time::sleep(Duration::from_millis(limits.connection_ms)) => {
            Err(Rejection::cut("egress_limit", format!("the connection lived longer than {} ms", limits.connection_ms)))
        }
        ended = carry(&meter, number, &mut client, &mut log) => ended,
    };
    let verdict = match ended {
        Ok(()) => ConnectionOutcome::Allowed,
        Err(Rejection { code, why, status }) => {
            if let Some(status) = status.filter(|_| !log.opened && !log.answered) {
                let answer = answer::refusal(status, code, &why, log.to.as_ref());
                tell(&mut client, &answer).await;
            }
            if log.opened {
                ConnectionOutcome::Cut { code, why }
            } else {
                ConnectionOutcome::Refused { code, why }
            }
        }
    };
    let ConnectionLog { method, to, asked, address, .. } = log;
    let (out_bytes, in_bytes) =
        (meter.out_bytes.load(Ordering::Relaxed), meter.in_bytes.load(Ordering::Relaxed));
    let took_ms = u64::try_from(meter.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    drop(client);
    let ended = ConnectionEnd { number, method, to, asked, address, verdict, out_bytes, in_bytes, took_ms };
    broker.sink.ended(&ended).await;
}

async fn carry(
    meter: &Meter<'_>,
    number: u64,
    client: &mut Connection,
    log: &mut ConnectionLog,
) -> Result<(), Rejection> {
    let head_ms = meter.broker.limits.head_ms;
    let reading = tokio::time::timeout(Duration::from_millis(head_ms), read_head(meter, client));
    let (bytes, rest) = reading.await.map_err(|_| Rejection::late("the head of the request", head_ms))??;
    let asked = head::parse(&bytes).map_err(|malformed| {
        log.asked = Some(head::first_line(&bytes));
        let code = if malformed.status == 403 { "egress_denied" } else { "egress_malformed" };
        Rejection::refused(malformed.status, code, malformed.why)
    })?;
    match asked {
        ProxyRequest::Tunnel(to) => tunnel(meter, number, client, log, to, rest).await,
        ProxyRequest::Plain(plain) => request(meter, number, client, log, plain, rest).await,
    }
}

/// A head, and what came after it.
pub(super) async fn read_head(
    meter: &Meter<'_>,
    client: &mut (impl AsyncRead + Unpin),
) -> Result<(Vec<u8>, Vec<u8>), Rejection> {
    let max = meter.broker.limits.head_bytes_max;
    let mut bytes = Vec::with_capacity(1024);
    let end = loop {
        if let Some(end) = head::end(&bytes) {
            break end;
        }
        if bytes.len() >= max {
            return Err(Rejection::refused(
                431,
                "egress_limit",
                format!("the head of the request is over {max} bytes"),
            ));
        }
        let room = (max - bytes.len()) as u64;
        match (&mut *client).take(room).read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err(Rejection::cut("egress_malformed", "the request ends in its head")),
            Ok(_) => {}
        }
    };
    let rest = bytes.split_off(end);
    Ok((bytes, rest))
}

async fn tunnel(
    meter: &Meter<'_>,
    number: u64,
    client: &mut Connection,
    log: &mut ConnectionLog,
    to: Destination,
    mut first: Vec<u8>,
) -> Result<(), Rejection> {
    (log.method, log.to) = (Some("CONNECT".into()), Some(to.clone()));
    let allow = meter.broker.list.tunnel(&to).ok_or_else(|| not_listed(&to, "TLS"))?;
    let mut upstream = dial(meter, log, &to, allow).await?;
    let answered = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    answered.map_err(|_| Rejection::cut("egress_malformed", "nobody waits for the connection any more"))?;
    log.answered = true;
    let head_ms = meter.broker.limits.head_ms;
    let named = tokio::time::timeout(Duration::from_millis(head_ms), read_hello(client, &mut first));
    let named =
        named.await.map_err(|_| Rejection::cut("egress_limit", format!("no TLS within {head_ms} ms")))??;
    if HostName::parse(&named).as_ref() != Some(&to.host) {
        return Err(Rejection::cut("egress_mismatch", "the TLS hello names another host than `CONNECT`"));
    }
    if let Some(credentials) = meter.broker.credentials.as_ref().filter(|all| all.are_for(&to)) {
        return tls_intercept::serve(meter, number, client, upstream, log, credentials, (to, first)).await;
    }
    opening(meter, number, log, "CONNECT", &to).await?;
    relay::both(meter, client, &mut upstream, &first, None).await
}

/// The name in the TLS hello. What was read stays in `first`, to be passed on unchanged.
async fn read_hello(client: &mut Connection, first: &mut Vec<u8>) -> Result<String, Rejection> {
    loop {
        match client_hello::read(first) {
            ClientHello::For(name) => return Ok(name),
            ClientHello::Refused(why) => {
                return Err(Rejection::cut("egress_mismatch", format!("the tunnel carries {why}")));
            }
            ClientHello::Partial => match client.read_buf(first).await {
                Ok(0) | Err(_) => {
                    return Err(Rejection::cut("egress_mismatch", "the tunnel ends before its TLS hello"));
                }
                Ok(_) => {}
            },
        }
    }
}

async fn request(
    meter: &Meter<'_>,
    number: u64,
    client: &mut Connection,
    log: &mut ConnectionLog,
    plain: Plain,
    first: Vec<u8>,
) -> Result<(), Rejection> {
    let Plain { to, method, head, body_bytes } = plain;
    (log.method, log.to) = (Some(method.clone()), Some(to.clone()));
    let allow =
        meter.broker.list.plain(&to, &method).ok_or_else(|| not_listed(&to, &format!("`{method}`")))?;
    if first.len() as u64 > body_bytes {
        return Err(Rejection::refused(
            400,
            "egress_malformed",
            "there is more than one request on the connection",
        ));
    }
    if meter.broker.credentials.as_ref().is_some_and(|all| all.are_in(&head)) {
        let why = format!("a placeholder goes to `{to}`, which it is not for");
        return Err(Rejection::refused(403, "egress_credential", why));
    }
    let left = body_bytes - first.len() as u64;
    let mut upstream = dial(meter, log, &to, allow).await?;
    opening(meter, number, log, &method, &to).await?;
    relay::both(meter, client, &mut upstream, &[head, first].concat(), Some(left)).await
}

fn not_listed(to: &Destination, what: &str) -> Rejection {
    Rejection::refused(403, "egress_denied", format!("{what} to `{to}` is not on the list of this action"))
}

/// One look-up, every address judged, and only those dialled.
async fn dial(
    meter: &Meter<'_>,
    log: &mut ConnectionLog,
    to: &Destination,
    allow: &Allow,
) -> Result<TcpStream, Rejection> {
    let connect_ms = meter.broker.limits.connect_ms;
    let dialling = async {
        let host = to.host.as_str();
        let unreachable = |why: String| Rejection::refused(502, "egress_unreachable", why);
        let found = meter.broker.names.addresses(host.to_owned()).await;
        let found: Vec<IpAddr> =
            found.map_err(|error| unreachable(format!("`{host}` has no address: {error}")))?;
        for address in &found {
            judge(host, allow.allow_private, *address).map_err(|denied: EgressError| {
                Rejection::refused(403, "egress_denied", denied.to_string())
            })?;
        }
        let mut last = format!("`{host}` has no address");
        for address in found {
            let socket = SocketAddr::new(address, to.port.get());
            match TcpStream::connect(socket).await {
                Ok(stream) => return Ok((stream, socket)),
                Err(error) => last = format!("`{to}` does not answer: {error}"),
            }
        }
        Err(unreachable(last))
    };
    let dialled = tokio::time::timeout(Duration::from_millis(connect_ms), dialling).await;
    let late = || {
        Rejection::refused(504, "egress_unreachable", format!("`{to}` did not answer within {connect_ms} ms"))
    };
    let (stream, socket) = dialled.map_err(|_| late())??;
    log.address = Some(socket);
    Ok(stream)
}

/// Told before the first byte leaves.
pub(super) async fn opening(
    meter: &Meter<'_>,
    number: u64,
    log: &mut ConnectionLog,
    method: &str,
    to: &Destination,
) -> Result<(), Rejection> {
    let Some(address) = log.address else {
        return Err(Rejection::refused(502, "egress_unreachable", format!("`{to}` was not dialled")));
    };
    let opening = ConnectionOpening { number, method: method.to_owned(), to: to.clone(), address };
    let recorded = meter.broker.sink.opening(&opening).await;
    recorded.map_err(|why| {
        Rejection::refused(503, "egress_unrecorded", format!("the connection cannot be recorded: {why}"))
    })?;
    log.opened = true;
    Ok(())
}

async fn tell(client: &mut Connection, answer: &str) {
    let telling = async {
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // What is still unread would reset the connection under the answer.
        let mut rest = [0; 4096];
        let mut left = 64;
        while left > 0 && client.read(&mut rest).await? > 0 {
            left -= 1;
        }
        std::io::Result::Ok(())
    };
    // Whoever does not read the answer has no need of it.
    drop(tokio::time::timeout(Duration::from_millis(500), telling).await);
}
