//! The ways of acting, one file each, and the desk that picks one by the action's own description.

pub mod files;
pub mod http;
pub mod mcp;
pub mod process;
pub mod sql;
pub mod worker;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use crate::house::Places;
use aecl_egress::egress::{Egress, SystemNames};
use aecl_egress::vault::Vault;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::read::action::Action;

/// All ways of acting.
#[derive(Default)]
pub struct Connectors {
    /// Upstream MCP servers.
    pub mcp: mcp::McpConnector,
    /// REST endpoints.
    pub http: http::HttpConnector,
    /// SQL databases.
    pub sql: sql::SqlConnector,
    /// Files below a directory.
    pub files: files::FilesConnector,
    /// Programs in cages.
    pub process: process::ProcessConnector,
    /// Programs of the operator's that take calls.
    pub worker: worker::WorkerConnector,
    /// Where their credentials come from.
    pub vault: Vault,
    world: Option<Arc<dyn Connector>>,
}

impl Connectors {
    /// All ways of acting, with credentials from this vault. Images of programs are unpacked into that directory.
    #[must_use]
    pub fn new(vault: Vault, images: &Path) -> Self {
        let http = http::HttpConnector::new(Egress::default(), vault.clone());
        let process =
            process::ProcessConnector::new(Arc::new(SystemNames), vault.clone()).with_images(images);
        Self { http, process, vault, ..Self::default() }
    }

    /// A world of one's own, whatever an action's description says: for tests of everything before it.
    #[must_use]
    pub fn of_world(world: Arc<dyn Connector>) -> Self {
        Self { world: Some(world), ..Self::default() }
    }

    /// From where the values of an action are looked up: where whoever carries it out is.
    pub(crate) fn places(&self, action: &Action, session: Option<&str>) -> Places {
        let ours = std::env::current_dir().ok();
        let connector = action.typed.as_ref().and_then(|typed| typed.connector());
        let (base, apart) = match connector {
            Some(ConnectorSpec::Files(spec)) => (Some(spec.root.clone()), false),
            Some(ConnectorSpec::Http(_) | ConnectorSpec::Sql(_) | ConnectorSpec::Process(_)) => (ours, true),
            // A worker may well run beside us, and read files as we do.
            Some(ConnectorSpec::Worker(_)) => (ours, false),
            Some(ConnectorSpec::Mcp { server, .. }) => {
                match self.mcp.upstream(session, server).as_ref().map(mcp::Upstream::transport) {
                    Some(mcp::Transport::Stdio { cwd, .. }) => (cwd.clone().or(ours), false),
                    Some(mcp::Transport::Http { url, .. }) => (ours, !is_here(url)),
                    None => (ours, false),
                }
            }
            None => (ours, false),
        };
        Places { bases: base.into_iter().collect(), apart }
    }

    fn for_call(&self, call: &Call) -> &dyn Connector {
        if let Some(world) = &self.world {
            return &**world;
        }
        match call.connector {
            ConnectorSpec::Mcp { .. } => &self.mcp,
            ConnectorSpec::Http(_) => &self.http,
            ConnectorSpec::Sql(_) => &self.sql,
            ConnectorSpec::Files(_) => &self.files,
            ConnectorSpec::Process(_) => &self.process,
            ConnectorSpec::Worker(_) => &self.worker,
        }
    }
}

#[async_trait]
impl Connector for Connectors {
    async fn perform(&self, call: &Call) -> CallResult {
        self.for_call(call).perform(call).await
    }

    fn plan(&self, call: &Call) -> CallPlan {
        self.for_call(call).plan(call)
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        self.for_call(call).dry_run(call).await
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        self.for_call(call).reconcile(call).await
    }
}

/// Whether a server is on this host, as far as its address says.
fn is_here(url: &str) -> bool {
    let host =
        url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}
