//! `aecl explain`: why an action would be allowed, held or blocked. Judged from the bundle, without a server
//! and without a trace; with the name of a recorded action, told from the record.

mod page;
mod record;

use super::show::{self, count};
use super::{Common, Error, Exit, Result, runtime};
use aecl_analysis::situation::AssumedSituation;
use aecl_executor::connectors::process::ProcessConnector;
use aecl_gate::config::Home;
use aecl_gate::{clock, loader};
use aecl_kernel::base::id::{AgentId, Environment, ProjectId, TenantId, UserId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::resource::SELF;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::decision::Verdict;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Longest arguments that are read from standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl explain assistant filesystem.write_file '{\"path\": \"notes.txt\", \"content\": \"hello\"}'
  aecl explain finance transfer_funds - --untrusted < arguments.json
  aecl explain finance read_invoice '{\"invoice\": \"4711\"}' --environment staging --user ann
  aecl explain act_0199…          an action on record

Nothing is executed and nothing is recorded. What was spent of budgets, rates and who has agreed already is not
looked at: the answer is for a fresh run. Exit codes: 0 allowed, 3 blocked, 4 a person has to agree.")]
pub struct Args {
    /// The agent, or the name of a recorded action (act_…).
    #[arg(value_name = "AGENT|act_…")]
    agent: String,
    /// The action.
    #[arg(value_name = "ACTION")]
    action: Option<String>,
    /// Its arguments as JSON, or `-` to read them from standard input.
    #[arg(value_name = "ARGUMENTS")]
    arguments: Option<String>,
    /// In this environment; by default that of the configuration.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// For this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// For this tenant; by default that of the configuration.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// In this project.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The run has read text that a stranger may have written.
    #[arg(long)]
    untrusted: bool,
    /// The run has read private data.
    #[arg(long)]
    private: bool,
    /// What the run is for. With --untrusted: would the arguments and the action follow from it?
    #[arg(long, value_name = "TEXT")]
    goal: Option<String>,
    /// What the thing is like that it is about, as JSON of its attributes; what is related to it under "related".
    #[arg(long, value_name = "JSON")]
    resource: Option<String>,
    /// At this time (UTC, such as 2026-03-01T08:00:00Z); by default now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Ask this bundle instead of the one in use.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let Some(action) = args.action.clone() else {
        if args.agent.starts_with("act_") {
            return record::run(common, &args.agent);
        }
        return Err(Error::new(format!("which action of `{}`?", show::inert_line(&args.agent)))
            .hint("aecl explain AGENT ACTION ARGUMENTS; `aecl policy show` lists the actions"));
    };
    let home = Home::new(&common.dir);
    let bundle = loader::load(&args.policy.clone().unwrap_or_else(|| home.policy()))?;
    let mut situation = situation(&home, &args, action)?;
    if bundle.catalogue().find(&situation.action).is_some_and(|typed| typed.cage.is_some()) {
        situation.cages = cages(&home, &bundle)?;
    }
    let (action, ruling) = situation.rule(&bundle)?;
    let asked = page::Asked { situation: &situation, bundle: &bundle, action: &action, ruling: &ruling };
    if common.json {
        show::print_json(&asked.json());
    } else {
        asked.page().print();
        if ruling.decision().verdict == Verdict::Allow {
            hint_about_labels(&bundle, &args);
        }
    }
    Ok(exit(ruling.decision().verdict))
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Allow => Exit::Done,
        Verdict::RequireApproval => Exit::Pending,
        Verdict::Block => Exit::Refused,
    }
}

fn situation(home: &Home, args: &Args, action: String) -> std::result::Result<AssumedSituation, Error> {
    let config = if home.config().exists() { Some(home.read()?) } else { None };
    let named = |given: &Option<String>, configured: Option<String>, otherwise: &str| {
        given.clone().or(configured).unwrap_or_else(|| otherwise.to_owned())
    };
    let tenant = named(&args.tenant, config.as_ref().map(|c| c.tenant.to_string()), "default");
    let environment =
        named(&args.environment, config.as_ref().map(|c| c.environment.to_string()), "production");
    let at = match &args.at {
        None => clock::wall(),
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            Error::new(format!("`{}` is no UTC time", show::inert_line(text)))
                .hint("write 2026-03-01T08:00:00Z")
        })?,
    };
    Ok(AssumedSituation {
        agent: AgentId::new(&args.agent)?,
        action,
        arguments: arguments(args.arguments.as_deref())?,
        tenant: TenantId::new(&tenant)?,
        project: args.project.as_deref().map(ProjectId::new).transpose()?,
        environment: Environment::new(&environment)?,
        user: args.user.as_deref().map(UserId::new).transpose()?,
        labels: Labels { untrusted: args.untrusted, private: args.private, ..Labels::default() },
        goal: args.goal.clone(),
        cages: HostIsolation::default(),
        resources: resources(args)?,
        at,
    })
}

/// What things are like, as the option says.
fn resources(args: &Args) -> std::result::Result<BTreeMap<String, Map<String, Value>>, Error> {
    let Some(text) = &args.resource else { return Ok(BTreeMap::new()) };
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

/// What programs would be held with on this host, found out now.
fn cages(home: &Home, bundle: &Bundle) -> std::result::Result<HostIsolation, Error> {
    let sandbox = home.sandbox()?;
    let process = ProcessConnector::default();
    runtime()?.block_on(sandbox.find_out(&process, bundle)).map_err(Error::new)
}

fn arguments(given: Option<&str>) -> std::result::Result<Vec<u8>, Error> {
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

/// Rules that look at what a run has read can say more with --untrusted and --private.
fn hint_about_labels(bundle: &Bundle, args: &Args) {
    let looks =
        |text: &str| text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains("context.run."));
    let files = bundle.sources().iter().filter(|s| s.path.ends_with(".cedar") && looks(&s.text)).count();
    if files > 0 && !args.untrusted && !args.private {
        let files = count(files, "rule file");
        show::say(&format!(
            "hint: {files} may look at what a run has read; try --untrusted and --private, too"
        ));
    }
}
