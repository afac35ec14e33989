//! The head of a request to the proxy, read strictly: what two readers could take differently is refused.
//!
//! Not by `httparse`, which is made to read what is there: it takes a lone LF for the end of a line, empty lines before
//! the first one and bytes beyond ASCII in values, so whatever it finds would have to be looked for in the bytes again.

use crate::egress::Destination;

/// What somebody inside asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProxyRequest {
    /// `CONNECT`: bytes to and fro, which have to be TLS.
    Tunnel(Destination),
    /// One plain HTTP request.
    Plain(Plain),
}

/// A plain HTTP request, with the head that is passed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub to: Destination,
    pub method: String,
    /// In origin form, with one `Host` and `Connection: close`.
    pub head: Vec<u8>,
    pub body_bytes: u64,
}

/// Why it is not even asked about. The text never repeats what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    pub status: u16,
    pub why: &'static str,
}

fn malformed<T>(why: &'static str) -> Result<T, Malformed> {
    Err(Malformed { status: 400, why })
}

/// What belongs to one connection, or to the proxy, and is not passed on.
const OURS: [&str; 9] = [
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
];

/// The end of the head in these bytes: where its empty line ends.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// What the first line says, for the record: shortened, and nothing more is known of it.
pub(super) fn first_line(head: &[u8]) -> String {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    String::from_utf8_lossy(line.get(..200).unwrap_or(line)).into_owned()
}

/// A request inside TLS that ends at the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In lower case, without what belongs to the connection.
    pub headers: Vec<(String, String)>,
    pub body_bytes: u64,
}

impl Inner {
    /// How many bytes its head needs at most.
    pub(super) fn room(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        self.method.len() + self.target.len() + headers.sum::<usize>()
    }
}

/// Reads the head of a request for this place.
pub(super) fn parse_inner(head: &[u8], to: &Destination) -> Result<Inner, Malformed> {
    let Head { method, target, headers, body_bytes } = read(head)?;
    if method == "CONNECT" || !target.starts_with('/') || target.contains('#') {
        return malformed("the target is not a path");
    }
    match all(&headers, "host").as_slice() {
        [host] if Destination::parse(host, Some(443)).as_ref() == Some(to) => {}
        [_] => return malformed("`Host` is another place than the tunnel"),
        [] => return malformed("there is no `Host` header"),
        _ => return malformed("there are two `Host` headers"),
    }
    let headers = passed(&headers).map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
    Ok(Inner { method: method.to_owned(), target: target.to_owned(), headers, body_bytes })
}

/// Reads a head, up to and with its empty line.
pub(super) fn parse(head: &[u8]) -> Result<ProxyRequest, Malformed> {
    let Head { method, target, headers, body_bytes } = read(head)?;
    if method == "CONNECT" {
        tunnel(target, &headers, body_bytes)
    } else {
        request(method, target, &headers, body_bytes)
    }
}

struct Head<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<Header<'a>>,
    body_bytes: u64,
}

fn read(head: &[u8]) -> Result<Head<'_>, Malformed> {
    let plain = |byte: u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    let Some(text) = std::str::from_utf8(head).ok().filter(|text| text.bytes().all(plain)) else {
        return malformed("the request holds control or non-ASCII characters");
    };
    let text = text.strip_suffix("\r\n\r\n").unwrap_or(text);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    if std::iter::once(&first).chain(&rest).any(|line| line.contains(['\r', '\n'])) {
        return malformed("a line does not end with CR and LF");
    }
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return malformed("the first line is not `METHOD TARGET VERSION`");
    };
    if !is_token(method) || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return malformed("the first line is not `METHOD TARGET VERSION`");
    }
    let headers = headers(&rest)?;
    let body_bytes = framing(&headers)?;
    Ok(Head { method, target, headers, body_bytes })
}

type Header<'a> = (String, &'a str);

fn headers<'a>(lines: &[&'a str]) -> Result<Vec<Header<'a>>, Malformed> {
    let mut headers = Vec::with_capacity(lines.len());
    for line in lines {
        if line.starts_with([' ', '\t']) {
            return malformed("a header goes on in the next line");
        }
        let Some((name, value)) = line.split_once(':') else { return malformed("a header has no colon") };
        if !is_token(name) {
            return malformed("a header's name is none");
        }
        headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    Ok(headers)
}

fn all<'a>(headers: &[Header<'a>], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect()
}

/// How long the body is. Chunks are refused: their lengths are where readers differ.
fn framing(headers: &[Header<'_>]) -> Result<u64, Malformed> {
    match (all(headers, "transfer-encoding").as_slice(), all(headers, "content-length").as_slice()) {
        ([], []) => Ok(0),
        ([], [length]) if (1..=18).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().or_else(|_| malformed("the length of the body is no number"))
        }
        ([], [_]) => malformed("the length of the body is no number"),
        ([], _) => malformed("the length of the body is said twice"),
        ([_, ..], [_, ..]) => malformed("the length of the body is said in two ways"),
        ([_, ..], []) => {
            Err(Malformed { status: 411, why: "say the length of the body; chunks are not passed on" })
        }
    }
}

fn destination(text: &str, default_port: Option<u16>) -> Result<Destination, Malformed> {
    let refused =
        Malformed { status: 403, why: "the host is no plain name and port; addresses are not reached" };
    Destination::parse(text, default_port).ok_or(refused)
}

fn tunnel(target: &str, headers: &[Header<'_>], body_bytes: u64) -> Result<ProxyRequest, Malformed> {
    let to = destination(target, None)?;
    let same = |host: &str| Destination::parse(host, Some(to.port.get())).as_ref() == Some(&to);
    match all(headers, "host").as_slice() {
        [] => {}
        [host] if same(host) => {}
        [_] => return malformed("`Host` is another place than the target"),
        _ => return malformed("there are two `Host` headers"),
    }
    if body_bytes > 0 {
        return malformed("a `CONNECT` has no body");
    }
    Ok(ProxyRequest::Tunnel(to))
}

fn request(
    method: &str,
    target: &str,
    headers: &[Header<'_>],
    body_bytes: u64,
) -> Result<ProxyRequest, Malformed> {
    let Some(rest) = target.strip_prefix("http://") else {
        return malformed("the target is not `http://HOST/PATH`; for https, use `CONNECT`");
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return malformed("the target has a fragment");
    }
    let to = destination(authority, Some(80))?;
    match all(headers, "host").as_slice() {
        [host] if Destination::parse(host, Some(80)).as_ref() == Some(&to) => {}
        [_] => return malformed("`Host` is another place than the target"),
        [] => return malformed("there is no `Host` header"),
        _ => return malformed("there are two `Host` headers"),
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let port = if to.port.get() == 80 { String::new() } else { format!(":{}", to.port) };
    let mut head =
        format!("{method} {slash}{path} HTTP/1.1\r\nhost: {}{port}\r\nconnection: close\r\n", to.host);
    for (name, value) in passed(headers) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Ok(ProxyRequest::Plain(Plain { to, method: method.to_owned(), head: head.into_bytes(), body_bytes }))
}

/// What is passed on: what frames the body, and what no connection or proxy calls its own.
fn passed<'a, 'b>(headers: &'a [Header<'b>]) -> impl Iterator<Item = &'a Header<'b>> {
    let named: Vec<String> = all(headers, "connection")
        .iter()
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    headers.iter().filter(move |(name, _)| {
        name == "content-length" || !(OURS.contains(&name.as_str()) || named.contains(name))
    })
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::super::laws;
    use super::*;

    fn says(head: &str) -> String {
        match parse(head.as_bytes()) {
            Ok(ProxyRequest::Tunnel(to)) => format!("tunnel {to}"),
            Ok(ProxyRequest::Plain(it)) => {
                let head = String::from_utf8(it.head).unwrap().replace("\r\n", "|");
                format!("{} {} {} {head}", it.method, it.to, it.body_bytes)
            }
            Err(malformed) => format!("{} {}", malformed.status, malformed.why),
        }
    }

    #[test]
    fn what_is_plain_is_read_and_passed_on_in_one_form() {
        let check = |head: &str, expected: &str| assert_eq!(says(head), expected, "{head:?}");
        check("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n", "tunnel a.b:443");
        check("CONNECT A.b:443 HTTP/1.0\r\n\r\n", "tunnel a.b:443");
        check("CONNECT a.b:443 HTTP/1.1\r\nhost: A.B\r\nContent-Length: 0\r\n\r\n", "tunnel a.b:443");
        check(
            "GET http://A.b/x?y=%20 HTTP/1.1\r\nHost: a.b\r\nProxy-Authorization: s3cret\r\nAccept:  */* \r\n\r\n",
            "GET a.b:80 0 GET /x?y=%20 HTTP/1.1|host: a.b|connection: close|accept: */*||",
        );
        check(
            "POST http://a.b:8080?q HTTP/1.1\r\nHost: a.b:8080\r\nContent-Length: 5\r\nConnection: X-One, content-length\r\nX-One: 1\r\nUpgrade: h2c\r\n\r\n",
            "POST a.b:8080 5 POST /?q HTTP/1.1|host: a.b:8080|connection: close|content-length: 5||",
        );
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        let get = |more: &str| format!("GET http://a.b/ HTTP/1.1\r\nHost: a.b\r\n{more}\r\n");
        let check = |head: &str, expected: &str| {
            let said = says(head);
            assert!(said.contains(expected), "{head:?}: {said}");
        };
        check(&get("Host: a.b\r\n"), "400 there are two");
        check(
            &get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            "400 the length of the body is said in two",
        );
        check(&get("Content-Length: 1\r\nContent-Length: 1\r\n"), "400 the length of the body is said twice");
        for length in ["+1", "1,1", "0x1", "-1", "", "1 1", "99999999999999999999"] {
            check(&get(&format!("Content-Length: {length}\r\n")), "400 the length of the body is no number");
        }
        check(&get("Transfer-Encoding: chunked\r\n"), "411 ");
        check(&get("X: 1\n"), "400 a line does not end");
        check(&get("X: 1\r\n two\r\n"), "400 a header goes on");
        check(&get("X : 1\r\n"), "400 a header's name");
        check(&get(": 1\r\n"), "400 a header's name");
        check(&get("X\r\n"), "400 a header has no colon");
        check(&get("X: a\0b\r\n"), "400 the request holds control");
        check(&get("X: ü\r\n"), "400 the request holds control");
        check(&get("X: a\rb\r\n"), "400 a line does not end");
        check("GET  http://a.b/ HTTP/1.1\r\nHost: a.b\r\n\r\n", "400 the first line");
        check("GET http://a.b/ HTTP/2\r\nHost: a.b\r\n\r\n", "400 the first line");
        check("GET http://a.b/\r\nHost: a.b\r\n\r\n", "400 the first line");
        check("GET /x HTTP/1.1\r\nHost: a.b\r\n\r\n", "400 the target is not");
        check("GET https://a.b/ HTTP/1.1\r\nHost: a.b\r\n\r\n", "400 the target is not");
        check("GET http://a.b/#x HTTP/1.1\r\nHost: a.b\r\n\r\n", "400 the target has");
        check("GET http://a.b/ HTTP/1.1\r\n\r\n", "400 there is no `Host`");
        check("GET http://a.b/ HTTP/1.1\r\nHost: c.d\r\n\r\n", "400 `Host` is another");
        check("CONNECT a.b:443 HTTP/1.1\r\nHost: c.d:443\r\n\r\n", "400 `Host` is another");
        check("CONNECT a.b:443 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "400 a `CONNECT`");
        for place in
            ["u@a.b", "a.b@c.d", "1.2.3.4", "0x7f.1", "[::1]", "a.b.", "a%2eb", "a.b:0", "a.b:70000", ""]
        {
            check(&format!("GET http://{place}/ HTTP/1.1\r\nHost: {place}\r\n\r\n"), "403 ");
        }
        check("CONNECT http://a.b:443 HTTP/1.1\r\n\r\n", "403 ");
        check("CONNECT a.b HTTP/1.1\r\n\r\n", "403 ");
    }

    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Heads that are nearly right, so that changes of them get past the first line.
    fn heads() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just("GET http://a.b/x HTTP/1.1\r\nHost: a.b\r\n"),
            Just("POST http://a.b:8080/ HTTP/1.1\r\nHost: a.b:8080\r\n"),
            Just("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n"),
        ];
        let header = prop_oneof![
            Just("Content-Length: 5\r\n"),
            Just("Connection: X-One, host\r\n"),
            Just("X-One: 1\r\n"),
            Just("Transfer-Encoding: chunked\r\n"),
            Just("Host: c.d\r\n"),
            Just(" folded\r\n"),
        ];
        (line, vec(header, 0..3)).prop_map(|(line, more)| format!("{line}{}\r\n", more.concat()).into_bytes())
    }

    proptest! {
        /// Whatever arrives: an answer, and what is passed on has one meaning, for the one place that was judged.
        #[test]
        fn what_is_passed_on_reads_one_way_whatever_came(
            mut bytes in heads(),
            changes in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' ')]), 0..4),
            junk in vec(any::<u8>(), 0..300),
        ) {
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes.splice(at..=at, [byte]);
            }
            laws::head(&junk);
            laws::head(&bytes);
        }
    }
}
