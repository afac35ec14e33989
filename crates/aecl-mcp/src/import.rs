//! What servers offer now, beside what the catalogue holds: unknown tools are imported, changed ones are
//! kept back.

use super::catalogue::{self, Definition};
use super::client_session::ClientSession;
use super::names;
use super::standing::Standing;
use super::tool_listing::Offer;
use aecl_executor::connectors::mcp::{Tool, Transport, Upstream};
use aecl_kernel::base::code;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to list its tools.
const LISTING: Duration = Duration::from_secs(30);

impl ClientSession {
    /// The tool as its server offers it now; nothing if it does not, or cannot be asked (then the error says
    /// why).
    pub(super) async fn offer(
        self: &Arc<Self>,
        server: &str,
        upstream: &Upstream,
        tool: &str,
    ) -> (Option<Offer>, Option<String>) {
        let Some(desk) = self.desks.get(server) else { return (None, None) };
        // The definition of what only looks may be a few seconds old, if it is the accepted one.
        let is_enough = |offer: &Offer| {
            !self.changes(server, tool) && self.standing(server, tool, offer.pins) != Standing::Changed
        };
        if let Some(offer) = desk.offers.fresh(upstream, tool).filter(is_enough) {
            return (Some(offer), None);
        }
        // Connected first: a new connection is a new generation.
        let listed = match upstream.hello().await {
            Ok(_) => {
                let generation = upstream.tools_generation();
                upstream.tools(LISTING).await.map(|tools| (generation, tools))
            }
            Err(error) => Err(error),
        };
        match listed {
            Ok((generation, tools)) => {
                self.learn(server, generation, &tools, true).await;
                (desk.offers.fresh(upstream, tool), None)
            }
            Err(error) => (None, Some(error.to_string())),
        }
    }

    /// Whether some call of a tool may change something.
    fn changes(&self, server: &str, tool: &str) -> bool {
        let bundle = self.gate.bundle();
        let typed = bundle.catalogue().find(&names::action(server, tool));
        typed.is_some_and(|it| it.variants().any(|it| it.manifest.effect.changes_something()))
    }

    /// Takes in what a server has listed: all of it, or one page.
    pub(super) async fn learn(self: &Arc<Self>, server: &str, generation: u64, tools: &[Tool], all: bool) {
        let Some(desk) = self.desks.get(server) else { return };
        let mut definitions: Vec<Definition> = Vec::new();
        for tool in tools {
            match Definition::of_tool(tool) {
                Ok(definition) if definitions.iter().any(|known| known.name == definition.name) => {
                    self.fault(server, &tool.name, "tool_doubled", "it stands twice in the list".into())
                        .await;
                    definitions.retain(|known| known.name != definition.name);
                }
                Ok(definition) => definitions.push(definition),
                Err(why) => self.fault(server, &tool.name, "tool_unreadable", why).await,
            }
        }
        self.import(server, &definitions).await;
        let (changed, settled): (Vec<&Definition>, Vec<&Definition>) =
            definitions.iter().partition(|it| self.standing(server, &it.name, it.pins) == Standing::Changed);
        for definition in changed {
            self.keep_back(server, definition).await;
        }
        self.settle(server, &settled).await;
        desk.offers.take_in(generation, &definitions, all);
        let policy = self.gate.bundle().hash();
        desk.offers.shows(policy, self.shown_at(server));
    }

    /// Takes tools into the catalogue that it does not know, and the reading of resources and prompts.
    async fn import(&self, server: &str, tools: &[Definition]) {
        let Some(home) = self.gate.home().cloned() else { return };
        let bundle = self.gate.bundle();
        let unknown = |tool: &str| bundle.catalogue().find(&names::action(server, tool)).is_none();
        let companions = names::OWN.into_iter().any(unknown);
        let offers = self.desks.get(server).map(|desk| &desk.offers);
        let news: Vec<Definition> = tools
            .iter()
            .filter(|it| unknown(&it.name))
            .filter(|it| !offers.is_some_and(|o| o.has_told(&it.name, it.pins.whole().to_string())))
            .cloned()
            .collect();
        if news.is_empty() && !companions && !self.is_untimely(server) {
            return;
        }
        let Some(reached) = self.reached(server) else { return };
        let name = server.to_owned();
        let by = catalogue::ImportedBy::Gateway;
        let imported =
            tokio::task::spawn_blocking(move || catalogue::import(&home, &name, &reached, by, &news)).await;
        let report = match imported {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => {
                return self.fault(server, "", "import_failed", error.on_record()).await;
            }
            Err(error) => return self.fault(server, "", "import_failed", error.to_string()).await,
        };
        for (tool, why) in report.refused {
            if let (Some(offers), Some(it)) = (offers, tools.iter().find(|it| it.name == tool)) {
                // Not tried again until it is another tool.
                offers.news(&tool, it.pins.whole().to_string());
            }
            self.fault(server, &tool, "tool_not_imported", why).await;
        }
        for tool in &report.kept_back {
            if let (Some(offers), Some(it)) = (offers, tools.iter().find(|it| it.name == *tool)) {
                offers.news(tool, it.pins.whole().to_string());
            }
            let name = names::action(server, tool);
            let why = format!(
                "it came to a server that was known already, and nobody has chosen it; review it with `aecl catalog diff {name}` and accept it with `aecl catalog accept {name}`"
            );
            self.fault(server, tool, code::TOOL_NEW.as_str(), why).await;
        }
        if !report.added.is_empty() {
            tracing::info!(server, tools = report.added.join(" "), "tools were taken into the catalogue");
        }
        if let Err(error) = self.gate.reload().await {
            tracing::error!(error = error.in_log(), "the policy does not load; the one in force stays");
        }
    }

    /// Whether an entry of the server has another time than aecl.yaml says; asked once, since it may be a person's.
    fn is_untimely(&self, server: &str) -> bool {
        let Some(desk) = self.desks.get(server) else { return false };
        let wanted = catalogue::timeout_of(self.gate.config().servers.get(server));
        let bundle = self.gate.bundle();
        let own = |name: &str| name.strip_prefix(server).is_some_and(|rest| rest.starts_with('.'));
        let mut entries = bundle.catalogue().iter().filter(|(name, _)| own(name.as_str()));
        entries.any(|(_, typed)| typed.manifest.timeout_ms != wanted)
            && desk.offers.news("", format!("timeout {wanted}"))
    }

    /// How a server is reached, as far as that can be said without asking it.
    fn reached(&self, server: &str) -> Option<Transport> {
        let session = self.opening.session.as_deref();
        let upstream = self.gate.executor().connectors().mcp.upstream(session, server)?;
        Some(upstream.transport().clone())
    }

    async fn keep_back(&self, server: &str, definition: &Definition) {
        let accepted = self.accepted(server, &definition.name);
        if !self.desks.get(server).is_some_and(|desk| desk.offers.is_unnoted(definition, accepted)) {
            return;
        }
        let name = names::action(server, &definition.name);
        let why = format!(
            "the definition is not the one that was accepted; review it with `aecl catalog diff {name}` and `aecl catalog accept {name}`, or all of them with `aecl catalog accept {server}`"
        );
        self.fault(server, &definition.name, "tool_changed", why).await;
        let Some(home) = self.gate.home().cloned() else { return };
        let (server, definition) = (server.to_owned(), definition.clone());
        let put =
            tokio::task::spawn_blocking(move || catalogue::quarantine(&home, &server, &definition)).await;
        match put {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a changed tool could not be put aside for review"),
            Err(error) => tracing::error!(%error, "a changed tool could not be put aside for review"),
        }
    }

    /// Notes which tools stand as they were accepted, and what is left out of them, where that is not noted yet.
    async fn settle(&self, server: &str, tools: &[&Definition]) {
        let (Some(desk), Some(home)) = (self.desks.get(server), self.gate.home().cloned()) else { return };
        let mut news = Vec::new();
        for tool in tools {
            let accepted = self.accepted(server, &tool.name);
            if desk.offers.is_unnoted(tool, accepted) {
                let left_out = tool.pins.leaves_out(accepted).then(|| tool.pinned.clone());
                news.push((tool.name.clone(), left_out));
            }
        }
        if news.is_empty() {
            return;
        }
        let name = server.to_owned();
        match tokio::task::spawn_blocking(move || catalogue::settle(&home, &name, news)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(server, %error, "what is left out of tools could not be noted"),
            Err(error) => tracing::error!(server, %error, "what is left out of tools could not be noted"),
        }
    }

    /// Puts on record, once, that something is wrong with a tool.
    pub(super) async fn fault(&self, server: &str, tool: &str, code: &str, why: String) {
        let Some(desk) = self.desks.get(server) else { return };
        if !desk.offers.news(tool, format!("{code} {why}")) {
            return;
        }
        let tool: String = tool.chars().filter(|c| !c.is_control()).take(128).collect();
        tracing::warn!(server, tool, code, why, "a tool is kept back");
        let message = format!("`{}`: {why}", names::action(server, &tool));
        if let Err(error) = self.gate.ledger().fault(code, message, self.gate.now()).await {
            tracing::error!(%error, "a fault could not be recorded");
        }
    }
}
