//! What one action may reach. An empty list means nowhere.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use super::credentials::is_plain_path;
use super::head::is_token;
use crate::egress::{Destination, HostName};
use crate::vault::references;

/// One place that may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// A host name, or `*.suffix` for every name below a suffix (not the suffix itself).
    pub host: String,
    /// The port.
    pub port: NonZeroU16,
    /// The methods of plain HTTP. Empty means TLS through `CONNECT`, where no method can be seen; named, it
    /// means plain HTTP with these methods and no `CONNECT`.
    pub methods: BTreeSet<String>,
    /// Whether its addresses may be loopback or private networks. Metadata services stay shut.
    pub allow_private: bool,
    /// A credential that the broker puts into requests to this host. It is then met by its methods and paths only,
    /// and TLS ends at the broker.
    pub credential: Option<CredentialRule>,
}

/// Credential that a program may use without having it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRule {
    /// Where it is, as `{secret:REFERENCE}`.
    pub secret: String,
    /// The variable in which the program finds its placeholder.
    pub variable: String,
    /// The only header in which the placeholder is replaced; what stands around it stays.
    pub header: String,
    /// The methods of requests to the host.
    pub methods: BTreeSet<String>,
    /// Requests go to this path and below.
    pub path: String,
}

/// Errors of a list that is refused when it is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The host is no name and no pattern.
    #[error(
        "`{0}` is no host that can be allowed; write a name such as `api.example.com`, or `*.example.com`; addresses are not"
    )]
    Host(String),
    /// A method that is none.
    #[error(
        "`{method}` is no method for `{host}`; write names such as `GET`, in capital letters, and not `CONNECT`"
    )]
    Method {
        /// For which host.
        host: String,
        /// What was written.
        method: String,
    },
    /// A credential that cannot be bound to anything.
    #[error("the `credential` of `{host}` {why}")]
    Credential {
        /// For which host.
        host: String,
        /// What is wrong, and what to write.
        why: &'static str,
    },
}

/// Headers that frame a request or name its place.
const NOT_FOR_SECRETS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "expect",
    "te",
    "upgrade",
    "accept-encoding",
];

#[derive(Clone, Debug)]
enum Hosts {
    Exact(HostName),
    Below(HostName),
}

#[derive(Clone, Debug)]
struct Rule {
    hosts: Hosts,
    allow: Allow,
}

/// List of the places that one action may reach, read and checked.
#[derive(Clone, Debug, Default)]
pub struct AllowList(Vec<Rule>);

impl AllowList {
    /// Reads a list.
    ///
    /// # Errors
    /// When a host or a method is not what it should be. A pattern covers whole labels of at least two.
    pub fn new(list: Vec<Allow>) -> Result<Self, RuleError> {
        list.into_iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// The rule that allows TLS to this place.
    pub(super) fn tunnel(&self, to: &Destination) -> Option<&Allow> {
        self.rules(to).find(|allow| allow.methods.is_empty())
    }

    /// The rule that allows plain HTTP with this method to this place.
    pub(super) fn plain(&self, to: &Destination, method: &str) -> Option<&Allow> {
        self.rules(to).find(|allow| allow.methods.contains(method))
    }

    fn rules(&self, to: &Destination) -> impl Iterator<Item = &Allow> {
        let covers = |hosts: &Hosts| match hosts {
            Hosts::Exact(host) => *host == to.host,
            // On a label's border, and below the suffix, not the suffix itself.
            Hosts::Below(suffix) => {
                let rest = to.host.as_str().strip_suffix(suffix.as_str());
                rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        };
        self.0
            .iter()
            .filter(move |rule| rule.allow.port == to.port && covers(&rule.hosts))
            .map(|rule| &rule.allow)
    }
}

fn rule(allow: Allow) -> Result<Rule, RuleError> {
    let malformed = || RuleError::Host(allow.host.clone());
    let hosts = match allow.host.strip_prefix("*.") {
        Some(suffix) if suffix.contains('.') => Hosts::Below(HostName::parse(suffix).ok_or_else(malformed)?),
        Some(_) => return Err(malformed()),
        None => Hosts::Exact(HostName::parse(&allow.host).ok_or_else(malformed)?),
    };
    let is_method =
        |m: &String| (1..=32).contains(&m.len()) && m.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if let Some(method) = allow.methods.iter().find(|m| !is_method(m) || *m == "CONNECT") {
        return Err(RuleError::Method { host: allow.host.clone(), method: method.clone() });
    }
    if let Some(credential) = &allow.credential {
        let why = |why| RuleError::Credential { host: allow.host.clone(), why };
        if !matches!(hosts, Hosts::Exact(_)) || !allow.methods.is_empty() {
            return Err(why(
                "is for TLS to one host; write the name out, and the methods below `credential`",
            ));
        }
        if credential.methods.is_empty() || !credential.methods.iter().all(|m| is_method(m) && m != "CONNECT")
        {
            return Err(why("names no `methods`, such as [GET, POST]"));
        }
        let reference = references(&credential.secret);
        if !reference.is_ok_and(
            |all| matches!(all.as_slice(), [one] if format!("{{secret:{one}}}") == credential.secret),
        ) {
            return Err(why("has a `secret` that is not one reference, such as `{secret:env:TOKEN}`"));
        }
        if !is_token(&credential.header)
            || credential.header != credential.header.to_ascii_lowercase()
            || NOT_FOR_SECRETS.contains(&credential.header.as_str())
        {
            return Err(why("has a `header` that holds no credential; write its name in lower case"));
        }
        if !is_plain_path(&credential.path) || credential.path.contains(['?', '#']) {
            return Err(why("has a `path` that is none; write `/` or the beginning of a path"));
        }
        let is_variable = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if credential.variable.is_empty() || !credential.variable.bytes().all(is_variable) {
            return Err(why("has a `variable` that is none; write capital letters, digits and `_`"));
        }
    }
    Ok(Rule { hosts, allow })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn allow(host: &str, port: u16, methods: &[&str]) -> Allow {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        Allow {
            host: host.into(),
            port: NonZeroU16::new(port).unwrap(),
            methods,
            allow_private: false,
            credential: None,
        }
    }

    #[test]
    fn a_list_covers_what_it_names_and_nothing_near_it() {
        let list = AllowList::new(vec![
            allow("api.allowed.com", 443, &[]),
            allow("*.Wild.com", 8443, &[]),
            allow("plain.com", 80, &["GET", "HEAD"]),
        ])
        .unwrap();
        let check = |to: &str, method: Option<&str>, allowed: bool| {
            let to = Destination::parse(to, None).unwrap();
            let rule = method.map_or_else(|| list.tunnel(&to), |method| list.plain(&to, method));
            assert_eq!(rule.is_some(), allowed, "{to} {method:?}");
        };
        check("api.allowed.com:443", None, true);
        check("API.ALLOWED.COM:443", None, true);
        check("a.wild.com:8443", None, true);
        check("a.b.wild.com:8443", None, true);
        check("plain.com:80", Some("GET"), true);
        for no in [
            "allowed.com:443",
            "x.api.allowed.com:443",
            "api.allowed.com.evil.com:443",
            "evilapi.allowed.com:443",
            "api.allowed.com:22",
            "api.allowed.com:25",
            "api.allowed.com:80",
            "wild.com:8443",
            "evilwild.com:8443",
            "a.wild.com:443",
            "plain.com:80",
        ] {
            check(no, None, false);
        }
        check("plain.com:80", Some("POST"), false);
        check("plain.com:80", Some("get"), false);
        check("api.allowed.com:443", Some("GET"), false);
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let to = Destination::parse("a.b:443", None).unwrap();
        assert!(
            AllowList::default().tunnel(&to).is_none() && AllowList::default().plain(&to, "GET").is_none()
        );
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused() {
        for host in [
            "*",
            "*.com",
            "*.",
            "**.a.b",
            "a.*.b",
            "10.0.0.1",
            "[::1]",
            "a b",
            "",
            "a.b:443",
            "https://a.b",
            "a.b.",
        ] {
            assert!(AllowList::new(vec![allow(host, 443, &[])]).is_err(), "{host}");
        }
        for method in ["get", "", "CONNECT", "GET "] {
            assert!(AllowList::new(vec![allow("a.b", 443, &[method])]).is_err(), "{method}");
        }
    }
}
