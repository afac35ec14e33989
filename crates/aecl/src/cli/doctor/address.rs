//! Where the pages are, and whether it is we who answer there: another home on this machine may have the port.

use super::{Check, Seen};
use crate::cli::serve::port;
use crate::http::host;
use aecl_gate::keys;
use aecl_proof::VerifierKey;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) {
    let Some(config) = &seen.config else { return };
    let listen = port::expected(&seen.home, config);
    let Ok(addresses) = listen.to_socket_addrs().map(Iterator::collect::<Vec<_>>) else {
        checks.push(Check::broken(
            "address",
            format!("`listen: {listen}` is no address"),
            "write 127.0.0.1:7600",
        ));
        return;
    };
    let mut config = config.clone();
    config.listen.clone_from(&listen);
    let (url, is_served) = (config.url(), UnixStream::connect(host::socket(&seen.home)).is_ok());
    let ours = own_key(seen, &config.origin);
    let who = addresses.first().and_then(|address| who_answers(address, &listen));
    let open = addresses.iter().any(|a| !a.ip().is_loopback());
    // Port 0 is a free one at each start, which nobody else can ask for.
    let is_known = addresses.iter().any(|a| a.port() != 0);
    checks.push(match (who, ours) {
        (Some(Who::Aecl(key)), Some(ours)) if key == ours => reachable(&listen, &url, open),
        (Some(Who::Aecl(key)), _) => {
            let name = key.split('+').next().unwrap_or_default().to_owned();
            let found = format!("`{listen}` is another AECL (`{name}`): its pages do not know our requests");
            taken(found, is_served, port::may_move(&config))
        }
        (Some(Who::Stranger), _) => {
            let found = format!("`{listen}` is another program");
            taken(found, is_served, port::may_move(&config))
        }
        (None, _) if is_served && is_known && config.public_url.is_none() => {
            let found = format!("we are running, but nobody answers at `{listen}`");
            Check::broken("address", found, "see data/serve.log; `aecl serve --listen ADDR` chooses where")
        }
        (None, _) => reachable(&listen, &url, open),
    });
}

/// A port that is somebody else's. Nothing is broken where our next start goes elsewhere by itself.
fn taken(found: String, is_served: bool, may_move: bool) -> Check {
    match (is_served, may_move) {
        (false, true) => Check::advice(
            "address",
            found,
            "nothing: the next start takes a free port and keeps it; or choose one with `listen` in aecl.yaml",
        ),
        (true, true) => Check::broken(
            "address",
            found,
            "end `aecl serve` and start it again: it takes a free port and keeps it",
        ),
        (_, false) => Check::broken(
            "address",
            found,
            "change `listen` in aecl.yaml, or end that program: others look for us at this port",
        ),
    }
}

fn reachable(listen: &str, url: &str, open: bool) -> Check {
    if open && !url.starts_with("https://") {
        Check::advice(
            "address",
            format!("`{listen}` is reachable from other machines, without TLS"),
            "put a proxy with TLS in front and set `public_url`, or listen on 127.0.0.1",
        )
    } else {
        Check::ok("address", format!("listens on {listen}, pages at {url}"))
    }
}

fn own_key(seen: &Seen, origin: &str) -> Option<String> {
    let key = keys::read(&seen.home.keys().join("ledger.pem")).ok()?;
    Some(VerifierKey::new(origin, key.verifying_key()).ok()?.to_string())
}

enum Who {
    /// An AECL, by the key that signs its ledger.
    Aecl(String),
    /// Something else.
    Stranger,
}

/// Asks the port for the key of its ledger; nothing if nobody listens.
fn who_answers(address: &SocketAddr, host: &str) -> Option<Who> {
    let mut stream = TcpStream::connect_timeout(address, PATIENCE).ok()?;
    let ask = format!("GET /v1/ledger/key HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let asked = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(ask.as_bytes()));
    let mut answer = Vec::new();
    if asked.is_err() || stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).is_err() {
        return Some(Who::Stranger);
    }
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 200"));
    // A body in chunks has its length on a line before; a key is the line with the pluses.
    let key =
        body.and_then(|(_, body)| body.lines().map(str::trim).find(|line| line.matches('+').count() >= 2));
    Some(key.map_or(Who::Stranger, |key| Who::Aecl(key.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_says_who_it_is() {
        for (answer, key) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\na.org/x+1234+AbCd\n", Some("a.org/x+1234+AbCd")),
            ("HTTP/1.1 404 Not Found\r\n\r\na+b+c", None),
            ("SSH-2.0-x\r\n", None),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let serving = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                let n = stream.read(&mut asked).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                n
            });
            let who = who_answers(&address, "127.0.0.1").unwrap();
            assert!(serving.join().unwrap() > 0);
            let found = match &who {
                Who::Aecl(key) => Some(key.as_str()),
                Who::Stranger => None,
            };
            assert_eq!(found, key, "{answer:?}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(who_answers(&closed, "127.0.0.1").is_none());
    }
}
