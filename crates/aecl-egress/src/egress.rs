//! The way out: one parser, one look-up, every address judged, and only judged addresses dialled.
//!
//! The look-up happens inside the connection attempt, so there is no second one that could answer
//! differently. Proxies from the environment are ignored and redirects are never followed: both would
//! dial a place that nobody judged.

mod addresses;
mod host;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use addresses::behind_nat64;
pub use addresses::{AddressKind, address_kind};
use host::is_plain_name;
pub use host::{Destination, HostName};

/// Makes HTTP clients that can reach one place each.
#[derive(Clone)]
pub struct Egress {
    names: Arc<dyn Names>,
    clients: Arc<Mutex<HashMap<Place, reqwest::Client>>>,
}

/// Errors of a place that is not dialled. Nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EgressError {
    /// It is no URL.
    #[error("`{url}` is no url: {reason}")]
    NotAUrl {
        /// What was given.
        url: String,
        /// What the parser said.
        reason: String,
    },
    /// Only `https`, or `http` to a private place.
    #[error("`{0}` is not reached over `https`; plain `http` is for places with `allow_private` only")]
    Scheme(String),
    /// A URL with a user name or password.
    #[error(
        "the url for `{0}` holds a user name or password; put the credential into a header as `{{secret:…}}`"
    )]
    UserInfo(String),
    /// A name that means different things to different readers.
    #[error("`{0}` is no plain host name; write it in lower case, without a dot at its end")]
    OddHost(String),
    /// One of its addresses may not be dialled.
    #[error("`{host}` is at `{address}` ({kind}), which is not reached; {way_out}")]
    Denied {
        /// The name that was asked for.
        host: String,
        /// The address behind it.
        address: IpAddr,
        /// What the address is.
        kind: &'static str,
        /// What to do.
        way_out: &'static str,
    },
    /// The name has no address.
    #[error("`{host}` has no address: {reason}")]
    NoAddress {
        /// The name that was asked for.
        host: String,
        /// What the look-up said.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("no http client for `{host}`: {reason}")]
    NoClient {
        /// The name that was asked for.
        host: String,
        /// What the client said.
        reason: String,
    },
}

/// Resolver of names to addresses. The system's look-up, or a fake one in tests.
pub trait Names: Send + Sync {
    /// All addresses of a name.
    fn addresses(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The operating system's look-up.
#[derive(Debug, Clone, Copy)]
pub struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    host: String,
    port: u16,
    allow_private: bool,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Arc::new(SystemNames))
    }
}

impl Egress {
    /// The way out, with the given look-up.
    #[must_use]
    pub fn new(names: Arc<dyn Names>) -> Self {
        Self { names, clients: Arc::default() }
    }

    /// A client that reaches the place of this URL and no other.
    ///
    /// `allow_private` opens loopback and private networks for exactly this host and port, because the
    /// operator wrote that URL. Metadata services, link-local and reserved addresses stay shut.
    ///
    /// # Errors
    /// When the URL or a literal address in it may not be dialled. Names are judged while connecting.
    pub fn client(&self, url: &Url, allow_private: bool) -> Result<reqwest::Client, EgressError> {
        let place = check_url(url, allow_private)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&place) {
            return Ok(client.clone());
        }
        let resolver = Judged { place: place.clone(), names: Arc::clone(&self.names) };
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(resolver))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("aecl/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| EgressError::NoClient { host: place.host.clone(), reason: error.to_string() })?;
        clients.insert(place, client.clone());
        Ok(client)
    }
}

/// Reads a URL once. What comes back is what is judged and what is dialled.
///
/// # Errors
/// When it is no URL.
pub fn parse_url(text: &str) -> Result<Url, EgressError> {
    Url::parse(text).map_err(|error| EgressError::NotAUrl { url: text.to_owned(), reason: error.to_string() })
}

fn check_url(url: &Url, allow_private: bool) -> Result<Place, EgressError> {
    let host_text = url.host_str().unwrap_or_default().to_owned();
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(EgressError::Scheme(host_text)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::UserInfo(host_text));
    }
    let place = Place { host: host_text, port: url.port_or_known_default().unwrap_or(0), allow_private };
    match url.host() {
        Some(Host::Ipv4(v4)) => judge(&place.host, allow_private, IpAddr::V4(v4))?,
        Some(Host::Ipv6(v6)) => judge(&place.host, allow_private, IpAddr::V6(v6))?,
        Some(Host::Domain(name)) if is_plain_name(name) => {}
        Some(Host::Domain(_)) | None => return Err(EgressError::OddHost(place.host)),
    }
    Ok(place)
}

pub(crate) fn judge(host: &str, allow_private: bool, address: IpAddr) -> Result<(), EgressError> {
    let denied = |kind, way_out| EgressError::Denied { host: host.to_owned(), address, kind, way_out };
    let reach = match address_kind(address) {
        // A public address of this machine leads to the same services as loopback.
        AddressKind::Public if is_ours(address) => AddressKind::Private("an address of this machine"),
        reach => reach,
    };
    match reach {
        AddressKind::Public => Ok(()),
        AddressKind::Private(_) if allow_private => Ok(()),
        AddressKind::Private(kind) => Err(denied(kind, "set `allow_private` for it if that is meant")),
        AddressKind::Never(kind) => Err(denied(kind, "name another host")),
    }
}

/// Whether an address is one of this machine: what goes there would come from there. Nothing is sent.
fn is_ours(address: IpAddr) -> bool {
    let address = behind_nat64(address);
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

/// The look-up inside the connection attempt: all addresses pass, or none is dialled.
struct Judged {
    place: Place,
    names: Arc<dyn Names>,
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let (place, names) = (self.place.clone(), Arc::clone(&self.names));
        Box::pin(async move {
            if name.as_str() != place.host {
                return Err(EgressError::OddHost(name.as_str().to_owned()).into());
            }
            let no_address = |reason: String| EgressError::NoAddress { host: place.host.clone(), reason };
            let found = names.addresses(place.host.clone()).await.map_err(|e| no_address(e.to_string()))?;
            if found.is_empty() {
                return Err(no_address("the look-up came back empty".into()).into());
            }
            for address in &found {
                judge(&place.host, place.allow_private, *address)?;
            }
            let port = place.port;
            let sockets: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
            Ok(Box::new(sockets.into_iter()) as Addrs)
        })
    }
}

/// Our own refusal inside an HTTP client's error, if that is what it was.
#[must_use]
pub fn refusal(error: &reqwest::Error) -> Option<&EgressError> {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(refusal) = inner.downcast_ref::<EgressError>() {
            return Some(refusal);
        }
        source = inner.source();
    }
    None
}

/// The innermost cause of an HTTP client's error: the sentence a person can act on.
#[must_use]
pub fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    struct Fixed(Vec<IpAddr>);
    impl Names for Fixed {
        fn addresses(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    #[test]
    fn a_literal_address_is_caught_in_any_notation() {
        for host in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "017700000001",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "[64:ff9b::7f00:1]",
            "0",
            "[::]",
            "10.0.0.1",
        ] {
            let url = parse_url(&format!("https://{host}/x")).unwrap();
            let answer = Egress::default().client(&url, false);
            assert!(matches!(answer, Err(EgressError::Denied { .. })), "{host}: {answer:?}");
        }
    }

    #[test]
    fn metadata_stays_shut_for_private_places_too() {
        for host in ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0", "[fe80::1]"] {
            let url = parse_url(&format!("http://{host}/latest")).unwrap();
            assert!(Egress::default().client(&url, true).is_err(), "{host}");
        }
        assert!(Egress::default().client(&parse_url("http://127.0.0.1:9/").unwrap(), true).is_ok());
    }

    #[test]
    fn a_public_address_of_this_machine_is_as_shut_as_loopback() {
        assert!(is_ours("127.0.0.1".parse().unwrap()) && !is_ours("1.1.1.1".parse().unwrap()));
        assert!(is_ours("64:ff9b::7f00:1".parse().unwrap()), "also behind a translation");
        // Whatever this machine has: none of its addresses is dialled without being asked for.
        let route = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect("192.0.2.1:9")?;
            socket.local_addr()
        });
        if let Ok(own) = route {
            assert!(is_ours(own.ip()) && judge("own.example", false, own.ip()).is_err(), "{own}");
        }
    }

    #[test]
    fn odd_urls_are_refused() {
        for text in [
            "http://example.com/",
            "https://u:p@example.com/",
            "https://u@example.com/",
            "https://example.com./",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://a..b/",
        ] {
            let refused = parse_url(text).and_then(|url| Egress::default().client(&url, false).map(|_| ()));
            assert!(refused.is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn one_bad_address_among_good_ones_refuses_the_name() {
        let names = Fixed(vec!["1.1.1.1".parse().unwrap(), "10.0.0.5".parse().unwrap()]);
        let url = parse_url("https://mixed.example/").unwrap();
        let client = Egress::new(Arc::new(names)).client(&url, false).unwrap();
        let error = client.get(url).send().await.unwrap_err();
        assert!(error.is_connect());
        let refusal = refusal(&error).unwrap().to_string();
        assert!(refusal.contains("`mixed.example` is at `10.0.0.5` (private network)"), "{refusal}");
    }
}
