//! Where and for whom something is asked that did not happen: options of every command that makes a decision up.

use crate::cli::Error;
use crate::cli::show;
use aecl_analysis::situation::AssumedSituation;
use aecl_gate::clock;
use aecl_gate::config::Home;
use aecl_kernel::base::id::{AgentId, Environment, ProjectId, TenantId, UserId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::resource::SELF;
use aecl_kernel::policy::example::BegunAs;
use aecl_kernel::provenance::labels::Labels;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Longest arguments that are read from standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Options for it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Scene {
    /// In this environment; by default that of the configuration.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// For this user.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// For this tenant; by default that of the configuration.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// In this project.
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// What the run is for: would the arguments and the action follow from it? Asked after a stranger's text.
    #[arg(long, value_name = "TEXT")]
    pub goal: Option<String>,
    /// What the thing is like that it is about, as JSON of its attributes; what is related to it under "related".
    #[arg(long, value_name = "JSON")]
    pub resource: Option<String>,
    /// It completes a call that the goal asked for, or that somebody agreed to, as its entry says.
    #[arg(long, value_name = "HOW", value_parser = ["asked", "agreed"])]
    pub completes: Option<String>,
    /// At this time (UTC, such as 2026-03-01T08:00:00Z); by default now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Ask this bundle instead of the one in use.
    #[arg(long, value_name = "DIR")]
    pub policy: Option<PathBuf>,
}

impl Scene {
    /// The situation, with nothing read.
    pub(in crate::cli) fn situation(
        &self,
        home: &Home,
        agent: &str,
        action: String,
        arguments: Vec<u8>,
    ) -> std::result::Result<AssumedSituation, Error> {
        let config = if home.config().exists() { Some(home.read()?) } else { None };
        let named = |given: &Option<String>, configured: Option<String>, otherwise: &str| {
            given.clone().or(configured).unwrap_or_else(|| otherwise.to_owned())
        };
        let tenant = named(&self.tenant, config.as_ref().map(|c| c.tenant.to_string()), "default");
        let environment =
            named(&self.environment, config.as_ref().map(|c| c.environment.to_string()), "production");
        let at = match &self.at {
            None => clock::wall(),
            Some(text) => Timestamp::parse(text).ok_or_else(|| {
                Error::new(format!("`{}` is no UTC time", show::inert_line(text)))
                    .hint("write 2026-03-01T08:00:00Z")
            })?,
        };
        Ok(AssumedSituation {
            agent: AgentId::new(agent)?,
            action,
            arguments,
            tenant: TenantId::new(&tenant)?,
            project: self.project.as_deref().map(ProjectId::new).transpose()?,
            environment: Environment::new(&environment)?,
            user: self.user.as_deref().map(UserId::new).transpose()?,
            labels: Labels::default(),
            goal: self.goal.clone(),
            cages: HostIsolation::default(),
            resources: resources(self)?,
            completes: self.completes.as_deref().map(begun),
            at,
        })
    }
}

/// What stands behind the call that it completes, as the option says.
fn begun(how: &str) -> BegunAs {
    match how {
        "agreed" => BegunAs::Agreed,
        _ => BegunAs::Asked,
    }
}

/// What things are like, as the option says.
fn resources(scene: &Scene) -> std::result::Result<BTreeMap<String, Map<String, Value>>, Error> {
    let Some(text) = &scene.resource else { return Ok(BTreeMap::new()) };
    let bad = |why: String| {
        Error::new(format!("`--resource` cannot be read: {why}"))
            .hint(r#"write its attributes, such as --resource '{"status": "open", "related": {"customer": {"id": "7"}}}'"#)
    };
    let read = |value: Value| serde_json::from_value(value).map_err(|e| bad(e.to_string()));
    let mut own: Map<String, Value> = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    let mut all: BTreeMap<String, Map<String, Value>> =
        own.remove("related").map_or_else(|| Ok(BTreeMap::new()), read)?;
    all.insert(SELF.to_owned(), own);
    Ok(all)
}

/// Arguments as they were given, or from standard input.
pub(in crate::cli) fn arguments(given: Option<&str>) -> std::result::Result<Vec<u8>, Error> {
    match given {
        None => Ok(b"{}".to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .take(INPUT_BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(|e| Error::new(format!("cannot read standard input: {e}")))?;
            Ok(bytes)
        }
        Some(text) => Ok(text.as_bytes().to_vec()),
    }
}
