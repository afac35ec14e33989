//! Bytes to and fro, counted, with an end to silence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aecl_sandbox::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Meter;
use super::connection::Rejection;

const CHUNK_BYTES: usize = 16 << 10;

/// Sends `first`, then relays until both ends are done. `left` is how much of a plain request's body is still
/// to come, after which nothing more leaves; without it whatever comes is passed on.
pub(super) async fn both(
    meter: &Meter<'_>,
    client: &mut Connection,
    upstream: &mut TcpStream,
    first: &[u8],
    left: Option<u64>,
) -> Result<(), Rejection> {
    let pulse = Pulse { started: Instant::now(), last_ms: AtomicU64::new(0) };
    let (mut from_client, mut to_client) = split(client);
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let out = async {
        send(meter, &pulse, &mut to_upstream, first).await?;
        outward(meter, &pulse, &mut from_client, &mut to_upstream, left).await
    };
    let relayed = async {
        let inward = inward(meter, &pulse, &mut from_upstream, &mut to_client);
        match left {
            // A plain answer ends with its connection, whatever is still to be sent.
            Some(_) => tokio::select! { biased; ended = inward => ended, Err(stop) = out => Err(stop) },
            None => tokio::try_join!(out, inward).map(|_| ()),
        }
    };
    tokio::select! {
        biased;
        ended = relayed => ended,
        silent = pulse.silence(meter.broker.limits.idle_ms) => Err(silent),
    }
}

async fn outward(
    meter: &Meter<'_>,
    pulse: &Pulse,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut left: Option<u64>,
) -> Result<(), Rejection> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            // The other end may go on for a while; it learns that nothing more comes.
            drop(to.shutdown().await);
            return Ok(());
        }
        if let Some(left) = &mut left {
            let rest = left.checked_sub(count as u64);
            *left = rest.ok_or_else(|| {
                Rejection::cut("egress_malformed", "there is more than one request on the connection")
            })?;
        }
        send(meter, pulse, to, buffer.get(..count).unwrap_or_default()).await?;
    }
}

async fn send(
    meter: &Meter<'_>,
    pulse: &Pulse,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), Rejection> {
    if !meter.may_leave(bytes.len()) {
        let max = meter.broker.limits.out_bytes_max;
        return Err(Rejection::cut("egress_limit", format!("more than {max} bytes would leave")));
    }
    pulse.beat();
    let sent = to.write_all(bytes).await;
    pulse.beat();
    // A target that does not want more may still answer.
    drop(sent);
    Ok(())
}

async fn inward(
    meter: &Meter<'_>,
    pulse: &Pulse,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Rejection> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            drop(to.shutdown().await);
            return Ok(());
        }
        if !meter.may_enter(count) {
            let max = meter.broker.limits.in_bytes_max;
            return Err(Rejection::cut("egress_limit", format!("more than {max} bytes came in")));
        }
        pulse.beat();
        if to.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
            return Ok(());
        }
        pulse.beat();
    }
}

/// When something last moved, in either direction.
struct Pulse {
    started: Instant,
    last_ms: AtomicU64,
}

impl Pulse {
    fn beat(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    async fn silence(&self, idle_ms: u64) -> Rejection {
        loop {
            let until = Duration::from_millis(self.last_ms.load(Ordering::Relaxed).saturating_add(idle_ms));
            if self.started.elapsed() >= until {
                return Rejection::cut("egress_limit", format!("nothing moved for {idle_ms} ms"));
            }
            tokio::time::sleep_until(self.started + until).await;
        }
    }
}
