//! What a server says of itself and of its prompts, on its way to a client: what was accepted, and nothing else.

use super::catalogue::{self, INSTRUCTIONS};
use super::client_session::ClientSession;
use super::meta::PREFIX;
use super::wire::{self, INTERNAL_ERROR, Members, Refusal, members_of, quoted, raw};
use aecl_executor::connectors::mcp::ServerHello;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The members of a greeting that clients are shown, beside who greets.
const GREETING: [&str; 7] = [
    "protocolVersion",
    "supportedVersions",
    "capabilities",
    "instructions",
    "resultType",
    "ttlMs",
    "cacheScope",
];
/// What a server says of itself. Its version changes with each of its releases, so it is shown as it is, if it is a
/// word; icons and addresses are not.
const ITSELF: [&str; 3] = ["name", "title", "description"];
/// Longest version that is shown, in bytes.
const VERSION_MAX: usize = 64;

impl ClientSession {
    /// A server's greeting, as far as it was accepted. What it says of itself is taken for accepted the first time.
    pub(super) async fn heard(&self, server: &str, hello: &ServerHello) -> Result<Members, Refusal> {
        let garbled = |why: String| Refusal::new(INTERNAL_ERROR, why);
        let mut said = members_of(Some(&hello.raw)).map_err(garbled)?;
        let key = format!("{PREFIX}serverInfo");
        let meta = members_of(said.get("_meta")).unwrap_or_default();
        let (at, info) = match (said.get("serverInfo"), meta.get(&key)) {
            (Some(info), _) => (Some("serverInfo"), members_of(Some(info))),
            (None, Some(info)) => (Some("_meta"), members_of(Some(info))),
            (None, None) => (None, Ok(Members::default())),
        };
        let info = info.map_err(garbled)?;
        let mut text = Map::new();
        for key in ITSELF {
            text.extend(info.text(key).map(|words| (key.to_owned(), words.into())));
        }
        text.extend(said.text("instructions").map(|words| (INSTRUCTIONS.to_owned(), words.into())));
        let is_accepted = self
            .others_than_accepted(server, vec![(INSTRUCTIONS.to_owned(), Value::Object(text))])
            .await
            .is_empty();
        said.0.retain(|(key, _)| GREETING.contains(&key.as_str()));
        if !is_accepted || said.text("instructions").is_none() {
            said.take("instructions");
        }
        if !is_accepted {
            said.set("instructions", raw(quoted(&left_out(server))));
        }
        match at {
            Some("_meta") => {
                let mut meta = Members::default();
                meta.set(&key, shown(server, &info, is_accepted).raw());
                said.set("_meta", meta.raw());
            }
            Some(at) => said.set(at, shown(server, &info, is_accepted).raw()),
            None => {}
        }
        Ok(said)
    }

    /// The prompts of a list that are as they were accepted. One that is new is taken for accepted.
    pub(super) async fn accepted_prompts(&self, server: &str, prompts: Vec<Members>) -> Vec<Members> {
        let mut texts: Vec<(String, Value)> = Vec::new();
        let mut read: Vec<(String, Members)> = Vec::new();
        for prompt in prompts {
            // What has no single meaning is shown to nobody, nor is the second of one name.
            let Ok(text) = wire::document(&prompt.raw()) else { continue };
            let Some(name) = prompt.text("name").map(|name| catalogue::prompt(&name)) else { continue };
            if texts.iter().any(|(known, _)| *known == name) {
                continue;
            }
            texts.push((name.clone(), text.value().clone()));
            read.push((name, prompt));
        }
        let others = self.others_than_accepted(server, texts).await;
        read.into_iter().filter(|(name, _)| !others.contains(name)).map(|(_, prompt)| prompt).collect()
    }

    /// Takes in what a server says under these names; gives the names of what is not what was accepted. If that cannot
    /// be found out, nothing is.
    async fn others_than_accepted(&self, server: &str, texts: Vec<(String, Value)>) -> BTreeSet<String> {
        let Some(home) = self.gate.home().cloned() else { return BTreeSet::new() };
        let all: BTreeSet<String> = texts.iter().map(|(name, _)| name.clone()).collect();
        let name = server.to_owned();
        let heard = tokio::task::spawn_blocking(move || catalogue::hear(&home, &name, &texts)).await;
        let others = match heard {
            Ok(Ok(others)) => others,
            Ok(Err(error)) => {
                tracing::error!(server, %error, "what a server says cannot be compared with what was accepted");
                all
            }
            Err(error) => {
                tracing::error!(server, %error, "what a server says cannot be compared with what was accepted");
                all
            }
        };
        for name in &others {
            let why = format!(
                "it is not what was accepted, and is left out; review it with `aecl catalog diff {server}` and `aecl catalog accept {server}`"
            );
            self.fault(server, name, "server_changed", why).await;
        }
        others
    }
}

/// What the model is told in the place of instructions that nobody has accepted.
fn left_out(server: &str) -> String {
    format!(
        "What `{server}` says of itself is left out, because it is not what was accepted. \
         A person has to review it (`aecl catalog diff {server}`, `aecl catalog accept {server}`)."
    )
}

/// Who greets; under the name that it has in AECL, if what it says of itself is not what was accepted.
fn shown(server: &str, info: &Members, is_accepted: bool) -> Members {
    let mut shown = Members::default();
    for key in ITSELF {
        match info.text(key) {
            Some(words) if is_accepted => shown.set(key, raw(quoted(&words))),
            Some(_) | None if key == "name" => shown.set(key, raw(quoted(server))),
            Some(_) | None => {}
        }
    }
    let version = info.text("version").filter(|version| {
        version.len() <= VERSION_MAX && version.bytes().all(|byte| byte.is_ascii_graphic())
    });
    shown.set("version", raw(quoted(version.as_deref().unwrap_or("unknown"))));
    shown
}
