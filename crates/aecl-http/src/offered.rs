//! Tools of upstream servers that are proposed over HTTP: what was accepted is compared with what the server
//! offers now.

use super::App;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_mcp::catalogue::Definition;
use std::time::Duration;

/// How long a server may take to list its tools.
const LISTING: Duration = Duration::from_secs(30);

impl App {
    /// The pin of the tool behind an action as its server offers it now. Nothing if the action is no such
    /// tool, or the server does not offer it or cannot be asked; then a pinned action is blocked.
    pub(super) async fn offered(&self, action: &str) -> Option<Digest> {
        let bundle = self.gate.bundle();
        let typed = bundle.catalogue().find(action)?;
        let accepted = typed.manifest.pin?;
        let Some(ConnectorSpec::Mcp { server, tool, .. }) = typed.connector() else { return None };
        let upstream = self.gate.executor().connectors().mcp.upstream(None, server)?;
        let listed = match upstream.tools(LISTING).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(server, %error, "the server cannot be asked what it offers");
                return None;
            }
        };
        let tool = listed.iter().find(|t| t.name == *tool)?;
        Definition::of_tool(tool).ok().map(|definition| definition.pins.beside(Some(accepted)))
    }
}
