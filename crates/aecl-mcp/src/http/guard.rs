//! Who may reach this at all: a web page of somebody else may not.
//!
//! A page can make a browser call `http://127.0.0.1` (the `Origin` header gives it away), or make its own name
//! resolve to it (DNS rebinding; then the `Host` header is that name). An address as `Host` cannot be rebound.

use super::refusal::{DENIED, Refusal};
use aecl_gate::config::Config;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HOST, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use std::net::IpAddr;
use url::Url;

/// Refuses what comes from a page that is not ours.
pub(super) fn check(config: &Config, parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, None) => parts.uri.authority().map(|authority| authority.as_str()),
        (_, Some(_)) => None,
    };
    match host.and_then(name_of) {
        Some(name) if may_be_host(config, &name) => {}
        _ => {
            let message = format!(
                "`Host: {}` is not how this gateway is reached; `public_url` and `allowed_origins` in \
                 aecl.yaml name further ones",
                host.unwrap_or_default()
            );
            return Err(Refusal::new(StatusCode::FORBIDDEN, DENIED, message));
        }
    }
    // A browser that hides the origin still says that it is another.
    let sites = parts.headers.get_all("sec-fetch-site");
    if origin(&parts.headers).is_none() && sites.iter().any(|site| site != "same-origin" && site != "none") {
        let message =
            "pages of other sites may not call this gateway; `allowed_origins` in aecl.yaml says which may";
        return Err(Refusal::new(StatusCode::FORBIDDEN, DENIED, message));
    }
    match origin(&parts.headers) {
        Some(origin) if !may_be_origin(config, origin, host) => {
            let message = format!(
                "pages of `{origin}` may not call this gateway; `allowed_origins` in aecl.yaml says which may"
            );
            Err(Refusal::new(StatusCode::FORBIDDEN, DENIED, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// The page that a browser says it acts for.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    // One that is no text is a strange one, and no page is allowed under it.
    headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("null"))
}

/// Lets a page that may call also read the answers (CORS). No cookies are involved: who asks is in the token.
pub(super) fn let_page_read(origin: &str, headers: &mut HeaderMap) {
    let Ok(origin) = HeaderValue::from_str(origin) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(VARY, HeaderValue::from_static("origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    // The names of `Mcp-Param-*` are the tools' own, so they cannot be listed; a wildcard leaves out
    // `Authorization`, which is named.
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*, authorization"));
    headers
        .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("mcp-session-id, www-authenticate"));
}

/// Whether this `Host` is one of the ways in which we are reached: an address, this machine, or a name from the
/// configuration.
pub fn is_ours(config: &Config, host: &str) -> bool {
    name_of(host).is_some_and(|name| may_be_host(config, &name))
}

fn may_be_host(config: &Config, name: &str) -> bool {
    let listen = name_of(&config.listen);
    is_loopback(name)
        || name.parse::<IpAddr>().is_ok()
        || listen.as_deref() == Some(name)
        || known_urls(config).any(|url| url.host_str() == Some(name))
}

/// A page that is listed, or one of this very address.
fn may_be_origin(config: &Config, origin: &str, host: Option<&str>) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let same = |scheme: &str| origin.strip_prefix(scheme).is_some_and(|authority| Some(authority) == host);
    config.allowed_origins.contains(origin)
        || config
            .public_url
            .as_deref()
            .and_then(|it| Url::parse(it).ok())
            .is_some_and(|it| it.origin() == url.origin())
        || same("http://")
        || same("https://")
}

fn known_urls(config: &Config) -> impl Iterator<Item = Url> + '_ {
    let own = config.public_url.iter().chain(&config.allowed_origins);
    own.filter_map(|text| Url::parse(text).ok())
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name == crate::serving::PAGES
        || address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// The host of `host:port`, in lower case and without brackets.
fn name_of(authority: &str) -> Option<String> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']')?;
            (name, after.strip_prefix(':').unwrap_or(after))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty();
    plain.then(|| name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::http::Request;

    fn allowed(host: &str, origin: Option<&str>) -> bool {
        let config: Config = serde_json::from_value(serde_json::json!({
            "origin": "test/aecl",
            "public_url": "https://aecl.example.com",
            "allowed_origins": ["https://console.example.org"],
        }))
        .unwrap();
        let mut request = Request::post("/mcp/a").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        check(&config, &request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn a_rebound_name_is_no_host_of_ours() {
        for (host, ok) in [
            ("127.0.0.1:7600", true),
            ("localhost:1", true),
            ("LOCALHOST", true),
            ("[::1]:7600", true),
            ("10.0.0.5:7600", true),
            ("aecl.example.com", true),
            ("console.example.org", true),
            ("evil.example.net", false),
            ("localhost.evil.example.net", false),
            ("127.0.0.1.nip.io:7600", false),
            ("localhost@evil.example.net", false),
            ("", false),
            (":80", false),
        ] {
            assert_eq!(allowed(host, None), ok, "{host}");
        }
    }

    #[test]
    fn a_page_that_hides_its_origin_may_not_call() {
        let config: Config = serde_json::from_value(serde_json::json!({"origin": "test/aecl"})).unwrap();
        for (site, ok) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)]
        {
            let request = Request::post("/mcp/a").header(HOST, "localhost").header("sec-fetch-site", site);
            let parts = request.body(()).unwrap().into_parts().0;
            assert_eq!(check(&config, &parts).is_ok(), ok, "{site}");
        }
    }

    #[test]
    fn only_known_pages_may_call() {
        for (origin, ok) in [
            ("http://localhost", true),
            ("http://localhost:6274", false),
            ("http://127.0.0.1", false),
            ("https://aecl.example.com", true),
            ("https://console.example.org", true),
            ("http://console.example.org", false),
            ("https://evil.example.net", false),
            ("http://localhost.evil.example.net", false),
            ("null", false),
        ] {
            assert_eq!(allowed("localhost", Some(origin)), ok, "{origin}");
        }
    }
}
