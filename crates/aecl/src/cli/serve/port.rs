//! Where the pages are served. Each project has a home of its own and all begin with the same port, so the second one
//! finds it taken: it takes a free port of the same host and keeps it, so that links and bookmarks stay right.

use crate::cli::Error;
use aecl_gate::config::{Config, Home};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// What is kept of a port that was taken instead of the configured one.
#[derive(Debug, Serialize, Deserialize)]
struct Instead {
    /// `listen` of aecl.yaml then. When that changes, this is over.
    configured: String,
    /// The address that is used in its place.
    listen: String,
}

/// A listener, and what is to be remembered of it once the home is ours.
pub(in crate::cli) struct Bound {
    pub listener: TcpListener,
    /// The address as links show it.
    pub at: String,
    instead: Option<Instead>,
}

fn file(home: &Home) -> PathBuf {
    home.data().join("listen.json")
}

/// Where this home was served last, if its configured port was taken then.
fn kept(home: &Home, config: &Config) -> Option<String> {
    let kept: Instead = serde_json::from_slice(&std::fs::read(file(home)).ok()?).ok()?;
    (kept.configured == config.listen).then_some(kept.listen)
}

/// Where this home is, or would be, served.
pub(in crate::cli) fn expected(home: &Home, config: &Config) -> String {
    kept(home, config).unwrap_or_else(|| config.listen.clone())
}

/// Listens where aecl.yaml says, or where this home was served before, or at a free port if both are taken.
pub(in crate::cli) async fn bind(home: &Home, config: &Config, asked: Option<&str>) -> Result<Bound, Error> {
    if let Some(asked) = asked {
        return whole(asked, TcpListener::bind(asked).await.map_err(|e| taken(asked, &e))?, None);
    }
    if let Some(kept) = kept(home, config)
        && let Ok(listener) = TcpListener::bind(&kept).await
    {
        return whole(&kept, listener, None);
    }
    let configured = config.listen.as_str();
    match TcpListener::bind(configured).await {
        Ok(listener) => whole(configured, listener, None),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && may_move(config) => {
            let host = configured.rsplit_once(':').map_or(configured, |(host, _)| host);
            let free = format!("{host}:0");
            let listener = TcpListener::bind(&free).await.map_err(|e| taken(&free, &e))?;
            whole(&free, listener, Some(configured))
        }
        Err(error) => Err(taken(configured, &error)),
    }
}

/// Listens for proxies where aecl.yaml says, if it does. They look for that port and no other.
pub(in crate::cli) async fn for_proxies(config: &Config) -> Result<Option<TcpListener>, Error> {
    let Some(configured) = config.proxy_listen.as_deref() else { return Ok(None) };
    let listener = TcpListener::bind(configured).await.map_err(|error| {
        Error::new(format!("cannot listen for proxies on `{configured}`: {error}"))
            .hint("change `proxy_listen` in aecl.yaml, or take it out")
    })?;
    Ok(Some(listener))
}

/// Other machines and a proxy in front look for the configured port; on this machine alone, links lead anywhere.
pub(in crate::cli) fn may_move(config: &Config) -> bool {
    let addresses = config.listen.to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    config.public_url.is_none() && !addresses.is_empty() && addresses.iter().all(|a| a.ip().is_loopback())
}

fn whole(asked: &str, listener: TcpListener, instead_of: Option<&str>) -> Result<Bound, Error> {
    let port = listener.local_addr().map_err(|e| taken(asked, &e))?.port();
    // The host as it was written: port 0 means any.
    let at = asked.rsplit_once(':').map_or_else(|| asked.to_owned(), |(host, _)| format!("{host}:{port}"));
    let instead =
        instead_of.map(|configured| Instead { configured: configured.to_owned(), listen: at.clone() });
    Ok(Bound { listener, at, instead })
}

fn taken(address: &str, error: &io::Error) -> Error {
    Error::new(format!("cannot listen on `{address}`: {error}"))
        .hint("choose another with `--listen`, or change `listen` in aecl.yaml")
}

impl Bound {
    /// The address that was got.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// What is written down once nobody else has the home.
    pub fn note(&self) -> Option<Note> {
        let instead = self.instead.as_ref()?;
        let text = serde_json::to_vec(instead).ok()?;
        Some(Note { configured: instead.configured.clone(), listen: instead.listen.clone(), text })
    }
}

/// A port that was taken in the place of the configured one.
pub(in crate::cli) struct Note {
    configured: String,
    listen: String,
    text: Vec<u8>,
}

impl Note {
    /// Keeps it for the next time.
    pub fn keep(&self, home: &Home) {
        let (configured, listen) = (&self.configured, &self.listen);
        tracing::warn!("`{configured}` is taken by another program; serving at `{listen}` from now on");
        if let Err(error) = std::fs::write(file(home), &self.text) {
            tracing::warn!(%error, "the port cannot be kept for the next time");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn config(listen: &str) -> Config {
        serde_json::from_value(serde_json::json!({"origin": "example.com/test", "listen": listen})).unwrap()
    }

    #[tokio::test]
    async fn the_second_home_takes_a_free_port_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        std::fs::create_dir_all(home.data()).unwrap();
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(&first.local_addr().unwrap().to_string());
        let bound = bind(&home, &config, None).await.unwrap();
        assert_ne!(bound.at, config.listen);
        bound.note().unwrap().keep(&home);
        let at = bound.at.clone();
        assert_eq!(expected(&home, &config), at);
        drop((bound, first));
        let again = bind(&home, &config, None).await.unwrap();
        assert_eq!(again.at, at, "also when the configured port is free");
        assert!(again.note().is_none());
        // Another word of the operator ends it.
        let other = self::config("127.0.0.1:0");
        assert_ne!(expected(&home, &other), at);
    }

    #[tokio::test]
    async fn what_others_look_for_does_not_move() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let mut config = config(&taken);
        assert!(bind(&home, &config, Some(&taken)).await.is_err(), "asked for by name");
        config.public_url = Some("https://aecl.example.org".into());
        assert!(bind(&home, &config, None).await.is_err(), "behind a proxy");
    }
}
