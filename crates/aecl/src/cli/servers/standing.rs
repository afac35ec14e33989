//! How it stands with the log-in at a server, as far as the store tells. The server itself is not asked.

use super::time;
use aecl_egress::login::{Kept, LoginChallenge, LoginStore};
use aecl_egress::vault::SecretStoreError;
use aecl_executor::connectors::mcp::Transport;
use serde_json::{Value, json};

/// The log-in at one server.
#[derive(Debug)]
pub(in crate::cli) struct Standing {
    pub server: String,
    pub url: Option<String>,
    pub state: State,
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub scopes: Vec<String>,
    pub obtained_at_s: Option<u64>,
    pub expires_at_s: Option<u64>,
    pub renews: bool,
    /// What the server wanted when it was asked in vain.
    pub wanted: Vec<String>,
    /// Whether it stands in aecl.yaml.
    is_configured: bool,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum State {
    /// Somebody is logged in.
    In,
    /// Somebody is, and the server wanted more than that.
    WantsMore,
    /// Somebody is, and the server has refused it since.
    Refused,
    /// It has come to its end.
    Ended,
    /// It is for another address than the one in aecl.yaml.
    Elsewhere,
    /// Nobody is.
    Out,
}

impl State {
    /// For people.
    pub(in crate::cli) fn words(self) -> &'static str {
        match self {
            Self::In => "logged in",
            Self::WantsMore => "wants more",
            Self::Refused => "refused",
            Self::Ended => "ended",
            Self::Elsewhere => "for another address",
            Self::Out => "nobody",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::In => "logged_in",
            Self::WantsMore => "wants_more",
            Self::Refused => "refused",
            Self::Ended => "ended",
            Self::Elsewhere => "elsewhere",
            Self::Out => "logged_out",
        }
    }
}

impl Standing {
    /// Until when it is good, for people.
    pub(in crate::cli) fn until(&self) -> String {
        match (self.state, self.expires_at_s, self.renews) {
            (State::Out | State::Ended, ..) => String::new(),
            (_, _, true) => "renewed by itself".into(),
            (_, Some(at), false) => time(at),
            (_, None, false) => "not said".into(),
        }
    }

    /// What to do, if something is.
    pub(in crate::cli) fn todo(&self) -> Option<String> {
        let address = match (&self.url, self.is_configured) {
            (Some(url), false) => format!(" --url {url}"),
            _ => String::new(),
        };
        let login = format!("`aecl servers login {}{address}`", self.server);
        match self.state {
            State::In => None,
            State::WantsMore => Some(format!("it wants {}: {login}", self.wanted.join(" "))),
            State::Refused => Some(format!("it has refused the log-in: {login}")),
            State::Ended => Some(format!("the log-in has ended: {login}")),
            State::Elsewhere => Some(format!("its address has changed since: {login}")),
            State::Out => Some(format!("nobody has logged in: {login}")),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "server": self.server, "url": self.url, "state": self.state.name(), "issuer": self.issuer,
            "client_id": self.client_id, "scopes": self.scopes, "obtained_at": self.obtained_at_s.map(time),
            "expires_at": self.expires_at_s.map(time), "renews": self.renews, "wanted_scopes": self.wanted,
            "todo": self.todo(),
        })
    }
}

/// How it stands with the log-in at this server.
pub(in crate::cli) fn standing(
    logins: &LoginStore,
    server: &str,
    transport: Option<&Transport>,
) -> Result<Standing, SecretStoreError> {
    let (kept, wanted) = (logins.of(server)?, logins.wanted(server)?);
    let configured = match transport {
        // Addresses are compared as they are sent.
        Some(Transport::Http { url, .. }) => Some(url.parse::<url::Url>().map_or(url.clone(), String::from)),
        Some(Transport::Stdio { .. }) | None => None,
    };
    let of_kept = kept.as_ref().map(|kept| kept.url.clone());
    let of_wanted = wanted.as_ref().map(|wanted| wanted.url.clone());
    let url = configured.clone().or(of_kept).or(of_wanted);
    let wanted = wanted.filter(|wanted| Some(&wanted.url) == url.as_ref());
    let state =
        kept.as_ref().map_or(State::Out, |kept| state(kept, url.as_deref(), wanted.as_ref(), logins.now_s()));
    Ok(Standing {
        server: server.to_owned(),
        url,
        state,
        issuer: kept.as_ref().map(|kept| kept.issuer.clone()),
        client_id: kept.as_ref().map(|kept| kept.client_id.clone()),
        scopes: kept.as_ref().map(|kept| kept.scopes.clone()).unwrap_or_default(),
        obtained_at_s: kept.as_ref().map(|kept| kept.obtained_at_s),
        expires_at_s: kept.as_ref().and_then(|kept| kept.expires_at_s),
        renews: kept.as_ref().is_some_and(Kept::renews),
        wanted: wanted.and_then(|wanted| wanted.scopes).unwrap_or_default(),
        is_configured: configured.is_some(),
    })
}

fn state(kept: &Kept, url: Option<&str>, wanted: Option<&LoginChallenge>, now_s: u64) -> State {
    let is_over = kept.expires_at_s.is_some_and(|end| end <= now_s) && !kept.renews();
    let since = wanted.filter(|wanted| wanted.at_s >= kept.obtained_at_s);
    match since {
        _ if url != Some(kept.url.as_str()) => State::Elsewhere,
        _ if kept.ended.is_some() || is_over => State::Ended,
        None => State::In,
        Some(LoginChallenge { scopes: Some(scopes), .. })
            if !scopes.iter().all(|it| kept.scopes.contains(it)) =>
        {
            State::WantsMore
        }
        Some(_) => State::Refused,
    }
}
