//! The ways of acting, one file each, and the desk that picks one by the action's own description.

pub mod files;
pub mod http;
pub mod mcp;
pub mod process;
pub mod sql;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::egress::{Egress, SystemNames};
use crate::vault::Vault;
use crate::{Call, Connector, ConnectorSpec, DryRun, Performed, Reconciled};

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
        }
    }
}

#[async_trait]
impl Connector for Connectors {
    async fn perform(&self, call: &Call) -> Performed {
        self.for_call(call).perform(call).await
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        self.for_call(call).dry_run(call).await
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        self.for_call(call).reconcile(call).await
    }
}

/// What a connector says to an action that belongs to another one.
pub(crate) fn wrong_desk(call: &Call) -> (&'static str, String) {
    (
        "connector_mismatch",
        format!("`{}` was handed to a connector of another kind; report this", call.action),
    )
}
