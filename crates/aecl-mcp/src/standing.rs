//! What the agent may see of a server's tools, by the catalogue and by its manifest.

use super::catalogue::Pins;
use super::client_session::ClientSession;
use super::names;
use super::tool_listing::Shown;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::define::manifest::AgentManifest;
use std::collections::BTreeSet;

/// Whether a client may see a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is in the catalogue as it is offered, and the agent's manifest lists it.
    Shown,
    /// It is not for this agent, or not in the catalogue.
    Hidden,
    /// It is not what was accepted.
    Changed,
    /// The agent may use it, and nobody has accepted it yet.
    New,
}

impl ClientSession {
    /// Whether the catalogue has anything of a server.
    pub(super) fn knows(&self, server: &str) -> bool {
        let bundle = self.gate.bundle();
        let own = |name: &str| name.strip_prefix(server).is_some_and(|rest| rest.starts_with('.'));
        bundle.catalogue().iter().any(|(name, _)| own(name.as_str()))
    }

    /// The pin with which a tool was accepted.
    pub(super) fn accepted(&self, server: &str, tool: &str) -> Option<Digest> {
        self.gate.bundle().catalogue().find(&names::action(server, tool))?.manifest.pin
    }

    /// How this agent stands to a tool with this definition.
    pub(super) fn standing(&self, server: &str, tool: &str, pins: Pins) -> Standing {
        let bundle = self.gate.bundle();
        let name = names::action(server, tool);
        match bundle.catalogue().find(&name).map(|typed| typed.manifest.pin) {
            None if self.is_for(&name) => Standing::New,
            None => Standing::Hidden,
            Some(Some(accepted)) if accepted != pins.beside(Some(accepted)) => Standing::Changed,
            Some(_) if self.may(&name) => Standing::Shown,
            Some(_) => Standing::Hidden,
        }
    }

    /// Whether the agent's manifest would cover an action that the catalogue does not have.
    fn is_for(&self, action: &str) -> bool {
        let bundle = self.gate.bundle();
        let manifest = bundle.agent(&self.opening.agent);
        manifest.is_some_and(|manifest| {
            let listed = AgentManifest::lists(&manifest.allowed_actions, action);
            listed && !AgentManifest::lists(&manifest.blocked_actions, action)
        })
    }

    /// Whether the agent's manifest lists an action, whatever else it takes to do it.
    pub(super) fn may(&self, action: &str) -> bool {
        let bundle = self.gate.bundle();
        let agent = &self.opening.agent;
        let blocked = bundle.agent(agent).is_none_or(|m| AgentManifest::lists(&m.blocked_actions, action));
        !blocked && bundle.policies().slice_len(agent, action, 0) > 0
    }

    /// The tools that a server offers and that stand like this.
    pub(super) fn standing_at(&self, server: &str, standing: Standing) -> BTreeSet<String> {
        let offers = self.desks.get(server).map(|desk| desk.offers.all()).unwrap_or_default();
        let stands = |(tool, pins): &(String, Pins)| self.standing(server, tool, *pins) == standing;
        offers.into_iter().filter(stands).map(|(tool, _)| tool).collect()
    }

    /// The tools of a server that the client may see.
    pub(super) fn shown_at(&self, server: &str) -> Shown {
        let shown = self.standing_at(server, Standing::Shown).into_iter();
        shown.map(|tool| (tool.clone(), self.accepted(server, &tool))).collect()
    }
}
