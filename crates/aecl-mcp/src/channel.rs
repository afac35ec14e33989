//! Whether there is a channel at all between this client and a server, and what of the client's own words goes through it
//! without being proposed: nothing that the server has not said first, or that the protocol does not know.

use super::client_session::ClientSession;
use super::list_page::next_cursor;
use super::wire::{INVALID_PARAMS, Members, NOT_CARRIED_OUT, Refusal, quoted, raw};
use aecl_kernel::base::code;
use aecl_kernel::define::manifest::AgentManifest;
use serde_json::value::RawValue;
use std::time::Duration;

/// The levels of a log that the protocol knows.
const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// How long a server may take for what does not act.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// So many addresses, and so many places in lists, of servers are remembered for one client.
const REMEMBERED_MAX: usize = 100_000;

impl ClientSession {
    /// Whether the agent may use anything of a server. Of one of which it may use nothing it hears nothing, and nothing that
    /// it says goes there.
    pub(super) fn uses(&self, server: &str) -> bool {
        let bundle = self.gate.bundle();
        let Some(manifest) = bundle.agent(&self.opening.agent) else { return false };
        let within = format!("{server}.");
        let everything = format!("{within}*");
        let mut listed = manifest.allowed_actions.iter().chain(manifest.context_rules.keys());
        let names_any = listed.any(|action| {
            let action = if action == "*" { &everything } else { action };
            action.starts_with(&within) && !AgentManifest::lists(&manifest.blocked_actions, action)
        });
        let own = |name: &str| name.starts_with(&within) && self.may(name);
        names_any || bundle.catalogue().iter().any(|(name, _)| own(name.as_str()))
    }

    /// What a client is told of a server of which its agent may use nothing.
    pub(super) fn no_use(&self, server: &str) -> Refusal {
        let message = format!(
            "the manifest of `{}` lists nothing of `{server}`, so nothing is passed on to it; an operator can list its actions in policy/agents/",
            self.opening.agent
        );
        Refusal::coded(NOT_CARRIED_OUT, code::POLICY_FORBIDS.as_str(), message)
    }

    /// Whether anything may be passed on that is no proposal: what was stopped, and whose run or token has ended, has no
    /// channel.
    pub(super) async fn passes_on(&self) -> Result<(), Refusal> {
        let session = self.runs.known(&self.gate, &self.opening).await;
        let passes = match session {
            Ok(session) => self.gate.passes_on(&self.opening.agent, session.as_ref()).await,
            Err(error) => Err(error),
        };
        passes.map_err(|error| {
            let message = format!("{error}; nothing was passed on");
            Refusal::coded(NOT_CARRIED_OUT, error.code().as_str(), message)
        })
    }

    /// What a completion would tell a server is told to nobody once the run has read something private.
    pub(super) async fn completes(&self) -> Result<(), Refusal> {
        let refused = |why: String| Refusal::new(NOT_CARRIED_OUT, why);
        let session = self.runs.known(&self.gate, &self.opening).await?;
        let Some(session) = session else { return Ok(()) };
        let run = self.gate.ledger().run_now(&session.principal.run).await;
        match run {
            Ok(Some(run)) if !run.labels.private => Ok(()),
            Ok(_) => Err(refused(
                "this run has read something private, so no server is asked to complete anything; type it in full".into(),
            )),
            Err(error) => Err(refused(format!("what the run has read is not known: {error}"))),
        }
    }

    /// A place in a list is one that this server gave for it.
    pub(super) fn knows_place(&self, server: &str, method: &str, params: &Members) -> Result<(), Refusal> {
        let Some(cursor) = params.get("cursor").filter(|cursor| cursor.get() != "null") else {
            return Ok(());
        };
        let given = (server.to_owned(), method.to_owned(), cursor.get().to_owned());
        if self.state().cursors.contains(&given) {
            return Ok(());
        }
        Err(Refusal::new(
            INVALID_PARAMS,
            "unknown `cursor`: the server did not give it here; begin the list anew",
        ))
    }

    /// Notes what a server said on a page: where the list goes on.
    pub(super) fn note_place(&self, server: &str, method: &str, result: &RawValue) {
        let Some(next) = next_cursor(result) else { return };
        let mut state = self.state();
        if state.cursors.len() >= REMEMBERED_MAX {
            state.cursors.clear();
        }
        state.cursors.insert((server.to_owned(), method.to_owned(), next.get().to_owned()));
    }

    /// Notes which addresses a server has listed or returned: reading one of them tells it nothing new.
    pub(super) fn note_addresses(&self, server: &str, found: impl Iterator<Item = String>) {
        let mut state = self.state();
        for uri in found {
            if state.listed.len() >= REMEMBERED_MAX {
                state.listed.clear();
            }
            state.listed.insert((server.to_owned(), uri));
        }
    }
}

/// The level of a log, if it is one.
pub(super) fn log_level(params: &Members) -> Result<Members, Refusal> {
    let level = params.text("level").filter(|level| LOG_LEVELS.contains(&level.as_str()));
    let level = level.ok_or_else(|| {
        Refusal::new(INVALID_PARAMS, format!("`level` is none of {}", LOG_LEVELS.join(", ")))
    })?;
    let mut params = Members::default();
    params.set("level", raw(quoted(&level)));
    Ok(params)
}
