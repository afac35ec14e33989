//! One request inside TLS that ends here: read, judged, given its credential, passed on; its answer read, freed of
//! the credential, passed back.

use std::io::Cursor;
use std::time::Duration;

use aecl_sandbox::Connection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::connection::{ConnectionLog, Rejection, opening, read_head};
use super::credentials::{Credentials, Misuse, Scrub};
use super::head::{self, Inner};
use super::{Meter, answer};
use crate::egress::Destination;

const CHUNK_BYTES: usize = 16 << 10;

/// Serves the program's end, whose hello is in `first`, and asks the other.
pub(super) async fn serve(
    meter: &Meter<'_>,
    number: u64,
    client: &mut Connection,
    upstream: TcpStream,
    log: &mut ConnectionLog,
    credentials: &Credentials,
    (to, first): (Destination, Vec<u8>),
) -> Result<(), Rejection> {
    let config = credentials.server(&to).map_err(|why| Rejection::cut("egress_credential", why))?;
    let (reader, writer) = tokio::io::split(client);
    let io = tokio::io::join(Cursor::new(first).chain(reader), writer);
    let limits = &meter.broker.limits;
    let accepting =
        tokio::time::timeout(Duration::from_millis(limits.head_ms), TlsAcceptor::from(config).accept(io));
    let refused = "the program does not trust the certificate of the broker; it has to read `SSL_CERT_FILE`";
    let Ok(Ok(mut program)) = accepting.await else {
        return Err(Rejection::cut("egress_credential", refused));
    };
    let came = exchange(meter, number, &mut program, upstream, log, credentials, &to).await;
    if let Err(stop) = &came
        && !log.opened
    {
        let text = answer::refusal(stop.status.unwrap_or(403), stop.code, &stop.why, Some(&to));
        drop(program.write_all(text.as_bytes()).await);
    }
    drop(tokio::time::timeout(Duration::from_millis(500), program.shutdown()).await);
    came
}

async fn exchange(
    meter: &Meter<'_>,
    number: u64,
    program: &mut (impl AsyncRead + AsyncWrite + Unpin),
    upstream: TcpStream,
    log: &mut ConnectionLog,
    credentials: &Credentials,
    to: &Destination,
) -> Result<(), Rejection> {
    let limits = &meter.broker.limits;
    let head_ms = Duration::from_millis(limits.head_ms);
    let reading = tokio::time::timeout(head_ms, read_head(meter, program)).await;
    let (bytes, rest) =
        reading.map_err(|_| Rejection::refused(408, "egress_limit", "the request takes too long"))??;
    let inner = head::parse_inner(&bytes, to)
        .map_err(|malformed| Rejection::refused(malformed.status, "egress_malformed", malformed.why))?;
    log.method = Some(inner.method.clone());
    let head = credentials.put_in(to, &inner).map_err(|misuse| refuse(misuse, &inner, to))?;
    let left = inner.body_bytes.checked_sub(rest.len() as u64).ok_or_else(|| {
        Rejection::refused(400, "egress_malformed", "there is more than one request on the connection")
    })?;
    let unreachable = |why: String| Rejection::refused(502, "egress_unreachable", why);
    let name = ServerName::try_from(to.host.as_str().to_owned()).map_err(|e| unreachable(e.to_string()))?;
    let connecting = TlsConnector::from(credentials.client.clone()).connect(name, upstream);
    let connected = tokio::time::timeout(Duration::from_millis(limits.connect_ms), connecting).await;
    let mut upstream = connected
        .map_err(|_| unreachable(format!("`{to}` does not answer")))?
        .map_err(|e| unreachable(format!("no TLS with `{to}`: {e}")))?;
    opening(meter, number, log, &inner.method, to).await?;
    send(meter, &mut upstream, &head).await?;
    send(meter, &mut upstream, &rest).await?;
    pass_on(meter, program, &mut upstream, left).await?;
    drop(upstream.flush().await);
    answered(meter, program, &mut upstream, credentials.scrub(), inner.method == "HEAD").await
}

fn refuse(misuse: Misuse, inner: &Inner, to: &Destination) -> Rejection {
    match misuse {
        Misuse::Placeholder(why) => {
            Rejection::refused(403, "egress_credential", format!("a placeholder goes to `{to}`, and {why}"))
        }
        Misuse::Request => Rejection::refused(
            403,
            "egress_denied",
            format!("`{}` to this path of `{to}` is not on the list of this action", inner.method),
        ),
    }
}

/// What takes longer than the longest silence is cut.
async fn patient<T>(meter: &Meter<'_>, step: impl Future<Output = T>) -> Result<T, Rejection> {
    let idle_ms = meter.broker.limits.idle_ms;
    let done = tokio::time::timeout(Duration::from_millis(idle_ms), step).await;
    done.map_err(|_| Rejection::cut("egress_limit", format!("nothing moved for {idle_ms} ms")))
}

async fn send(meter: &Meter<'_>, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Rejection> {
    if !meter.may_leave(bytes.len()) {
        let max = meter.broker.limits.out_bytes_max;
        return Err(Rejection::cut("egress_limit", format!("more than {max} bytes would leave")));
    }
    // A target that does not want more may still answer.
    drop(patient(meter, to.write_all(bytes)).await?);
    Ok(())
}

async fn pass_on(
    meter: &Meter<'_>,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut left: u64,
) -> Result<(), Rejection> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = patient(meter, from.read(buffer.get_mut(..room).unwrap_or_default())).await?.unwrap_or(0);
        if count == 0 {
            return Err(Rejection::cut("egress_malformed", "the request ends in its body"));
        }
        left -= count as u64;
        send(meter, to, buffer.get(..count).unwrap_or_default()).await?;
    }
    Ok(())
}

/// What is still to come of an answer's body.
enum Body {
    None,
    Bytes(u64),
    Chunks,
    All,
}

/// Bytes of an answer, read ahead.
struct Incoming<'a, R> {
    meter: &'a Meter<'a>,
    from: &'a mut R,
    ahead: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Incoming<'_, R> {
    /// Reads more. False at the end.
    async fn more(&mut self) -> Result<bool, Rejection> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let count = patient(self.meter, self.from.read(&mut buffer)).await?.unwrap_or(0);
        if !self.meter.may_enter(count) {
            let max = self.meter.broker.limits.in_bytes_max;
            return Err(Rejection::cut("egress_limit", format!("more than {max} bytes came in")));
        }
        self.ahead.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    /// Up to and with this end, which comes within `max` bytes.
    async fn until(&mut self, end: &[u8], max: usize) -> Result<Vec<u8>, Rejection> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                let rest = self.ahead.split_off(at + end.len());
                return Ok(std::mem::replace(&mut self.ahead, rest));
            }
            if self.ahead.len() > max || !self.more().await? {
                return Err(malformed_answer("it does not end where it should"));
            }
        }
    }
}

fn malformed_answer(why: &str) -> Rejection {
    Rejection::cut("egress_malformed", format!("the answer cannot be read, so it cannot be scrubbed: {why}"))
}

async fn answered<R: AsyncRead + Unpin>(
    meter: &Meter<'_>,
    program: &mut (impl AsyncWrite + Unpin),
    upstream: &mut R,
    mut scrub: Scrub,
    no_body: bool,
) -> Result<(), Rejection> {
    let mut incoming = Incoming { meter, from: upstream, ahead: Vec::new() };
    let (head, body) = loop {
        let head = incoming.until(b"\r\n\r\n", meter.broker.limits.head_bytes_max.max(64 << 10)).await?;
        let (status, head, body) = answer_head(&head)?;
        if status >= 200 {
            break (head, if no_body || matches!(status, 204 | 304) { Body::None } else { body });
        }
    };
    let mut out = Out { meter, program, scrub: &mut scrub };
    out.pass(head.as_bytes()).await?;
    match body {
        Body::None => {}
        Body::Bytes(mut left) => {
            while left > 0 {
                if incoming.ahead.is_empty() && !incoming.more().await? {
                    return Err(malformed_answer("it is shorter than it says"));
                }
                let mut piece = std::mem::take(&mut incoming.ahead);
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                left -= piece.len() as u64;
                out.pass(&piece).await?;
            }
        }
        Body::Chunks => chunks(&mut incoming, &mut out).await?,
        Body::All => loop {
            let piece = std::mem::take(&mut incoming.ahead);
            out.pass(&piece).await?;
            if !incoming.more().await? {
                break;
            }
        },
    }
    out.end().await
}

/// Joins chunks: a secret may be cut by their borders.
async fn chunks<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    incoming: &mut Incoming<'_, R>,
    out: &mut Out<'_, W>,
) -> Result<(), Rejection> {
    loop {
        let line = incoming.until(b"\r\n", 4096).await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        let mut left = u64::from_str_radix(size, 16).map_err(|_| malformed_answer("a chunk has no size"))?;
        if left == 0 {
            // Trailers are left out.
            return Ok(());
        }
        while left > 0 {
            if incoming.ahead.is_empty() && !incoming.more().await? {
                return Err(malformed_answer("it ends in a chunk"));
            }
            let count = incoming.ahead.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let rest = incoming.ahead.split_off(count);
            let piece = std::mem::replace(&mut incoming.ahead, rest);
            left -= count as u64;
            out.pass(&piece).await?;
        }
        if incoming.until(b"\r\n", 4096).await? != b"\r\n" {
            return Err(malformed_answer("a chunk is longer than it says"));
        }
    }
}

/// The way back to the program.
struct Out<'a, W> {
    meter: &'a Meter<'a>,
    program: &'a mut W,
    scrub: &'a mut Scrub,
}

impl<W: AsyncWrite + Unpin> Out<'_, W> {
    async fn pass(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        let clean = self.scrub.take(bytes);
        drop(patient(self.meter, self.program.write_all(&clean)).await?);
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Rejection> {
        let clean = self.scrub.rest();
        drop(patient(self.meter, self.program.write_all(&clean)).await?);
        drop(patient(self.meter, self.program.flush()).await?);
        Ok(())
    }
}

/// Status, the head as it is passed on, and how the body comes.
fn answer_head(head: &[u8]) -> Result<(u16, String, Body), Rejection> {
    let text = String::from_utf8_lossy(head).into_owned();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status =
        first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status: u16 = status.ok_or_else(|| malformed_answer("it is no HTTP/1.1"))?;
    let mut out = format!("{first}\r\n");
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed_answer("a header has no colon"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" | "keep-alive" | "trailer" | "upgrade" => continue,
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                chunked = true;
                continue;
            }
            "transfer-encoding" => return Err(malformed_answer("its transfer encoding is not known")),
            "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                return Err(malformed_answer("it is packed, though that was not asked for"));
            }
            "content-length" => {
                let number = value.parse::<u64>().map_err(|_| malformed_answer("its length is no number"))?;
                if length.replace(number).is_some_and(|before| before != number) {
                    return Err(malformed_answer("it has two lengths"));
                }
            }
            _ => {}
        }
        if chunked && name.eq_ignore_ascii_case("content-length") {
            continue;
        }
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if chunked && length.is_some() {
        return Err(malformed_answer("it has a length and chunks"));
    }
    out.push_str("connection: close\r\n\r\n");
    let body = match (chunked, length) {
        (true, _) => Body::Chunks,
        (false, Some(length)) => Body::Bytes(length),
        (false, None) => Body::All,
    };
    Ok((status, out, body))
}
