//! Whom a command may reach, and what is said of whom it may not.

use crate::cli::Error;
use crate::cli::show;
use aecl_kernel::base::traffic::{ConnectionRecord, Traffic};
use aecl_kernel::define::connector::process::AllowSpec;
use serde_json::json;

/// The methods of plain HTTP that `http://` on the command line stands for.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Most refusals that are told one by one.
const TOLD_MAX: usize = 10;

/// Reads `HOST`, `HOST:PORT`, or either behind `http://` or `https://`.
pub(super) fn allow(said: &str, allow_private: bool) -> Result<AllowSpec, Error> {
    let (plain, place) = match (said.strip_prefix("http://"), said.strip_prefix("https://")) {
        (Some(place), _) => (true, place),
        (None, Some(place)) => (false, place),
        (None, None) => (false, said),
    };
    let (host, port) = match place.strip_suffix('/').unwrap_or(place).rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (place.strip_suffix('/').unwrap_or(place), Some(if plain { 80 } else { 443 })),
    };
    let methods = if plain { METHODS.as_slice() } else { &[] };
    let rule = port.filter(|port| *port > 0).and_then(|port: u16| {
        let rule = json!({ "host": host, "port": port, "methods": methods, "allow_private": allow_private });
        serde_json::from_value(rule).ok()
    });
    rule.ok_or_else(|| {
        Error::new(format!("`--allow-host {said}`: its port is no number from 1 to 65535"))
            .hint("write HOST, HOST:PORT or http://HOST")
    })
}

/// Says what was refused, and the way out.
pub(super) fn say_refused(traffic: &Traffic) {
    for refused in traffic.refusals().take(TOLD_MAX) {
        show::say(&format!("aecl: {refused}"));
        if let Some(hint) = hint(refused) {
            show::say(&format!("hint: {hint}"));
        }
    }
    let told: u64 = traffic.refusals().take(TOLD_MAX).map(|refused| refused.times).sum();
    if traffic.refused > told {
        show::say(&format!("aecl: {} more connections were refused", traffic.refused - told));
    }
}

fn hint(refused: &ConnectionRecord) -> Option<String> {
    let place = refused.to.strip_suffix(":443").unwrap_or(&refused.to);
    match (refused.code.as_deref()?, refused.method.as_str()) {
        ("egress_denied", "") => {
            Some("only names are reached; what listens in the cage itself is reached with `--env NO_PROXY=127.0.0.1`".into())
        }
        ("egress_denied", _) if refused.why.contains("allow_private") => {
            Some("`--allow-private` says that this is meant".into())
        }
        ("egress_denied", _) if refused.why.contains("not on the list") => Some(match refused.method.as_str() {
            "CONNECT" => format!("`--allow-host {place}` lets it through"),
            _ => format!("`--allow-host http://{}` lets it through", refused.to),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_host_on_the_command_line_is_a_rule() {
        let check = |said: &str, host: &str, port: u16, plain: bool| {
            let rule = allow(said, false).unwrap();
            assert_eq!((rule.host.as_str(), rule.port.get()), (host, port), "{said}");
            assert_eq!((rule.methods.is_empty(), rule.allow_private), (!plain, false), "{said}");
        };
        check("a.b", "a.b", 443, false);
        check("*.a.b:8443", "*.a.b", 8443, false);
        check("https://a.b/", "a.b", 443, false);
        check("http://a.b", "a.b", 80, true);
        check("http://a.b:8080/", "a.b", 8080, true);
        for wrong in ["a.b:", "a.b:0", "a.b:x", "a.b:70000"] {
            assert!(allow(wrong, false).is_err(), "{wrong}");
        }
    }
}
