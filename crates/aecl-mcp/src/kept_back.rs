//! Tools that are not shown because they are not what was accepted, or nobody has accepted them: the model is told in the greeting, and hears when
//! a person has accepted them.

use super::client_session::ClientSession;
use super::negotiated::Negotiated;
use super::standing::Standing;
use super::wire::{Members, asking, quoted, raw};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a greeting waits for lists of tools. What comes later is told by the list itself.
const LOOK: Duration = Duration::from_secs(3);
/// How often we look whether the policy is another one.
const EVERY: Duration = Duration::from_millis(500);
/// As many tools are named.
const NAMED: usize = 20;

impl ClientSession {
    /// Adds to the instructions of a greeting what is kept back.
    pub(super) async fn with_kept_back(self: &Arc<Self>, greeting: &mut Members) {
        let mut notes = Vec::new();
        for server in &self.opening.servers {
            let kept = self.kept_back(server).await;
            let new = self.standing_at(server, Standing::New).len();
            if new > 0 && self.knows(server) {
                // Their names are a stranger's words, too.
                notes.push(format!(
                    "{new} tools of `{server}` are not listed, because they came later and nobody has accepted them yet. \
                     A person has to review them (`aecl catalog diff {server}`)."
                ));
            }
            if kept.is_empty() {
                continue;
            }
            let mut named: Vec<String> = kept.iter().take(NAMED).map(|tool| shown(tool)).collect();
            if kept.len() > NAMED {
                named.push("…".into());
            }
            notes.push(format!(
                "{} tools of `{server}` are not listed, because their definitions are not the ones that were accepted: {}. \
                 A person has to review them (`aecl catalog diff {server}`, `aecl catalog accept {server}`). \
                 Tell the user if you need one of them.",
                kept.len(),
                named.join(", ")
            ));
        }
        if notes.is_empty() {
            return;
        }
        let own = greeting.text("instructions").filter(|own| !own.is_empty());
        let all: Vec<String> = own.into_iter().chain(notes).collect();
        greeting.set("instructions", raw(quoted(&all.join("\n\n"))));
    }

    /// Whether what is called waits for somebody to accept it.
    pub(super) fn is_new(&self, server: &str, tool: &str) -> bool {
        self.standing_at(server, Standing::New).contains(tool)
    }

    /// The tools of a known server that are not what was accepted, as it lists them now.
    async fn kept_back(self: &Arc<Self>, server: &str) -> BTreeSet<String> {
        if !self.knows(server) {
            // Nothing was accepted, so nothing can have changed.
            return BTreeSet::new();
        }
        let Some(upstream) = self.upstream(server) else { return BTreeSet::new() };
        drop(tokio::time::timeout(LOOK, self.offer(server, &upstream, "")).await);
        self.standing_at(server, Standing::Changed)
    }
}

/// Tells a client of the older era that its list of tools is another one, when the policy has changed. In the stateless
/// era clients ask for that, and hear it from the servers only.
pub(super) async fn tell_changes(client: Weak<ClientSession>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(client) = client.upgrade() else { return };
        let policy = client.gate.bundle().hash();
        let mut is_other = false;
        for (server, desk) in &client.desks {
            let now = || client.shown_at(server);
            is_other |= desk.offers.is_shown_otherwise(policy, now);
        }
        if is_other && *client.negotiated.lock().await == Some(Negotiated::Legacy) {
            client.say(&asking(None, "notifications/tools/list_changed", None));
        }
    }
}

fn shown(tool: &str) -> String {
    tool.chars().filter(|c| !c.is_control()).take(80).collect()
}
