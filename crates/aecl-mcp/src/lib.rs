//! The MCP gateway: a raw relay in which everything that acts goes through the gate.
//!
//! The envelope of a message is parsed, what is inside keeps its bytes: a typed relay was seen to lose
//! fields and to round numbers. What acts (`tools/call`, `resources/read`, `prompts/get`) is proposed to the
//! gate; a closed list of other methods is passed on; everything else is refused.

mod answer;
mod call;
pub mod catalogue;
mod channel;
mod client_session;
mod dispatcher;
mod greeting;
mod heard;
pub mod http;
mod import;
mod inbound;
mod kept_back;
mod list_page;
mod listing;
mod many;
mod meta;
pub mod names;
mod negotiated;
mod opening;
mod planning;
mod proposal;
mod relay;
mod reply;
mod runs;
mod seal;
pub mod serving;
mod standing;
pub mod stdio;
mod subscriptions;
mod task;
mod task_capability;
mod tasks;
pub mod text;
mod tool_listing;
mod wire;

pub use client_session::ClientSession;
pub use dispatcher::Dispatcher;
pub use opening::{Opening, Outbound};

use aecl_executor::connectors::mcp::{ClientFace, Handshake, Transport, Upstream, UpstreamSpec};
use aecl_gate::config::Home;
use std::time::Duration;

/// Asks a server for its tools and takes those into the catalogue that it does not know.
///
/// # Errors
/// When the server cannot be asked, or the catalogue cannot be changed; in words.
pub async fn import_now(
    home: &Home,
    server: &str,
    transport: Transport,
) -> Result<catalogue::Imported, String> {
    let spec = UpstreamSpec::new(server, transport.clone());
    let vault = home.vault();
    vault.configure(home.read().map_err(|error| error.to_string())?.vault)?;
    let how = Handshake::Probe(ClientFace::default());
    let upstream = Upstream::lazy(spec, how, Default::default(), vault.clone());
    let listed = upstream.tools(Duration::from_secs(60)).await;
    upstream.close().await;
    vault.settle(Duration::from_secs(5)).await;
    let (mut tools, mut unread) = (Vec::new(), Vec::new());
    for tool in listed.map_err(|error| error.to_string())? {
        match catalogue::Definition::of_tool(&tool) {
            Ok(definition) => tools.push(definition),
            Err(why) => unread.push((tool.name, why)),
        }
    }
    let mut report = catalogue::import(home, server, &transport, catalogue::ImportedBy::Person, &tools)
        .map_err(|error| error.to_string())?;
    report.refused.append(&mut unread);
    Ok(report)
}
