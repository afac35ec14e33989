//! One reading of a host name. What comes out is the one string that is judged, looked up, dialled and compared.

use std::fmt;
use std::num::NonZeroU16;

/// A host name in lower case: letters, digits, `-` and `_` in labels, no dot at its end, no address in any
/// notation. Reading it once makes policy and dialling talk about the same thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Reads a name. Upper case becomes lower case; everything else that is not plain is refused: control
    /// and non-ASCII characters, `%`, `@`, a dot at the end, over-long names, and whatever some reader takes
    /// for an address (`10.1`, `0x7f.1`, `2130706433`, `[::1]`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        // The last label of an address ends as a number, decimal or hexadecimal; no top-level domain does.
        let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
        (is_plain_name(&name) && !number).then_some(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether it is a name in lower case, of labels that every reader takes the same way.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        })
}

/// A host and a port: where a connection wants to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The host.
    pub host: HostName,
    /// The port.
    pub port: NonZeroU16,
}

impl Destination {
    /// Reads `host:port`; without a port it is `default_port`, if there is one.
    #[must_use]
    pub fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => {
                let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
                (host, if digits { port.parse().ok() } else { None }?)
            }
            None => (text, default_port?),
        };
        Some(Self { host: HostName::parse(host)?, port: NonZeroU16::new(port)? })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_name_is_canonical_or_refused() {
        let check = |text: &str, expected: &str| {
            let got = HostName::parse(text).map_or_else(|| "-".to_owned(), |host| host.to_string());
            assert_eq!(got, expected, "{text:?}");
        };
        check("api.Example.COM", "api.example.com");
        check("xn--exmple-cua.com", "xn--exmple-cua.com");
        check("a_b.example", "a_b.example");
        check("0xabc.example", "0xabc.example");
        for odd in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a\0.b",
            "a\n",
            "a%2eb",
            "a@b",
            "a/b",
            "a:b",
            "é.com",
            "аpple.com",
            "1.2.3.4",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "[::1]",
            "::1",
            "a.0x7f",
            "a.1",
            "[::ffff:127.0.0.1]",
        ] {
            check(odd, "-");
        }
        check(&"a".repeat(64), "-");
        check(&["a"; 127].join("."), &["a"; 127].join("."));
        check(&["a"; 128].join("."), "-");
    }

    #[test]
    fn a_destination_has_a_port_from_1_to_65535() {
        let check = |text: &str, default, expected: &str| {
            let got = Destination::parse(text, default).map_or_else(|| "-".to_owned(), |it| it.to_string());
            assert_eq!(got, expected, "{text:?}");
        };
        check("a.b:443", None, "a.b:443");
        check("A.b", Some(80), "a.b:80");
        check("a.b:0443", None, "a.b:443");
        for odd in
            ["a.b", "a.b:", "a.b:0", "a.b:65536", "a.b:+1", "a.b: 1", "a.b:1:2", ":443", "a.b:443@c", "a@b:1"]
        {
            check(odd, None, "-");
        }
    }
}
