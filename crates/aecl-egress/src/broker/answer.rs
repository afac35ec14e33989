//! What a program is told that is not let through: why, and what it can do about it.
//!
//! Many clients show their user the status line of a proxy's answer and nothing else, so the reason stands
//! there; the body has the way out, and `Proxy-Status` (RFC 9209) says the same to machines.

use crate::egress::Destination;

/// Longest reason in the status line, in characters.
const REASON_MAX: usize = 200;

/// The whole answer.
pub(super) fn refusal(status: u16, code: &str, why: &str, to: Option<&Destination>) -> String {
    let body = format!("{why}\n{}\n[{code}]\n", way_out(code, to));
    let reason: String = why.chars().filter(|c| (' '..='~').contains(c)).take(REASON_MAX).collect();
    let details = reason.replace(['"', '\\'], "'");
    format!(
        "HTTP/1.1 {status} {reason}\r\nproxy-status: aecl; error={}; details=\"{details} [{code}]\"\r\n\
         content-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        kind(status, code),
        body.len()
    )
}

/// What RFC 9209 calls it.
fn kind(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "egress_denied") => "http_request_denied",
        (504, _) => "connection_timeout",
        (_, "egress_unreachable") => "destination_unavailable",
        (_, "egress_unrecorded") => "proxy_internal_error",
        (_, _) => "http_request_error",
    }
}

fn way_out(code: &str, to: Option<&Destination>) -> String {
    match (code, to) {
        ("egress_denied", Some(to)) => format!(
            "Only what the `egress` list of this program names is reached. Trying again, or in another way, does \
             not help: do without `{to}`, or say that it is needed, so that a person can add it to the list."
        ),
        ("egress_denied", None) => {
            "Only names on the `egress` list of this program are reached. What listens in \
             the cage itself is reached without the proxy: NO_PROXY=127.0.0.1,localhost."
                .into()
        }
        ("egress_unreachable", _) => "It is on the list; it may answer later.".into(),
        ("egress_limit", _) => "Send less, or sooner; the limits are those of `egress_limits`.".into(),
        ("egress_credential", _) => {
            "A placeholder stands for its credential in one header, for one host, some methods \
             and paths, and nowhere else."
                .into()
        }
        ("egress_unrecorded", _) => "Nothing leaves that cannot be recorded. Tell the operator.".into(),
        (_, _) => {
            "Send one plain HTTP/1.1 request a connection, with a Content-Length if it has a body; for \
             https, `CONNECT` and TLS for the same name."
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_answer_whatever_the_reason_says() {
        let to = Destination::parse("evil.test:443", None);
        let text = refusal(502, "egress_unreachable", "no\r\nX: \"1\\ ü", to.as_ref());
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.lines().count(), 5, "{head}");
        assert!(
            head.starts_with(
                "HTTP/1.1 502 noX: \"1\\ \r\nproxy-status: aecl; error=destination_unavailable; "
            )
        );
        assert!(head.contains("details=\"noX: '1'  [egress_unreachable]\""), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
