//! `aecl mcp`: stands in front of an MCP server, in an MCP client's configuration.
//!
//! Standard output carries JSON-RPC and nothing else; what is to be said to people goes to standard error.

mod attach;
mod embedded;

use super::{Common, Error, Exit, Result};
use crate::mcp::names;
use crate::mcp::stdio::Hello;
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_kernel::id::{AgentId, UserId};
use aecl_kernel::json::{Document, Limits};
use aecl_kernel::plan::Plan;
use serde_json::Value;
use std::collections::BTreeMap;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aecl mcp -- npx -y @modelcontextprotocol/server-filesystem ~/work
  aecl mcp --agent support --url https://mcp.example.org/mcp
  aecl mcp --server files          # a server from aecl.yaml
  aecl mcp --server files --goal \"Tidy up\" --plan plan.json --approve-plan")]
pub struct Args {
    /// The agent whose manifest decides; may be left out where there is only one.
    #[arg(long, env = "AECL_AGENT", value_name = "AGENT")]
    agent: Option<String>,
    /// The server's name in the catalogue; by default made from the command or the URL.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// What the agent is to do, for those who answer its requests.
    #[arg(long, value_name = "TEXT")]
    goal: Option<String>,
    /// A JSON file with the ordered steps that the agent is to take: {"steps": [{"action": …}]}.
    #[arg(long, value_name = "FILE")]
    plan: Option<std::path::PathBuf>,
    /// Put the plan before people; once they agree, its steps are carried out without asking again.
    #[arg(long, requires = "plan")]
    approve_plan: bool,
    /// For whom the agent acts. This person cannot approve its requests.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Run the gate in this process instead of a shared one in the background.
    #[arg(long)]
    embedded: bool,
    /// A server that speaks Streamable HTTP, instead of a command.
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// The command that starts the server.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(common.dir.clone());
    if !home.config().is_file() {
        let error = Error::new(format!("there is no `{}`", home.config().display()));
        return Err(error.hint("run `aecl init` there first, or name the directory with `--dir`"));
    }
    let embedded = args.embedded;
    let agent = match &args.agent {
        Some(agent) => agent.clone(),
        None => only_agent(&home)?,
    };
    let hello = hello(args, &agent)?;
    log_to_stderr();
    let runtime = super::runtime()?;
    let done = runtime.block_on(async {
        if embedded { embedded::run(&home, hello).await } else { attach::run(&home, hello).await }
    });
    // Reading standard input cannot be interrupted; it must not keep the process alive.
    runtime.shutdown_background();
    done.map(|()| Exit::Done)
}

/// The agent of a policy that has only one.
fn only_agent(home: &Home) -> std::result::Result<String, Error> {
    let bundle = aecl_gate::loader::load(&home.policy())?;
    let agents: Vec<String> = bundle.agents().map(|manifest| manifest.agent_id.to_string()).collect();
    match agents.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::new("the policy has no agent").hint("write its manifest into policy/agents/")),
        several => {
            let hint = format!("add `--agent` with one of {}", several.join(", "));
            Err(Error::new("the policy has more than one agent").hint(hint))
        }
    }
}

fn hello(args: Args, agent: &str) -> std::result::Result<Hello, Error> {
    let id = |e: aecl_kernel::id::BadId| Error::new(e.to_string());
    let agent = AgentId::new(agent).map_err(id)?;
    let user = args.user.as_deref().map(UserId::new).transpose().map_err(id)?;
    let (derived, transport) = match (&args.url, args.command.split_first()) {
        (Some(url), _) => {
            let parsed: url::Url = url.parse().map_err(|e| Error::new(format!("`{url}` is no URL: {e}")))?;
            let transport = Transport::Http {
                url: url.clone(),
                headers: BTreeMap::new(),
                // Who types the address of a local server means it.
                allow_private: is_local(&parsed),
                listen: true,
                credential_scope: None,
            };
            (names::of_url(&parsed), Some(transport))
        }
        (None, Some((command, rest))) => (names::of_command(&args.command), Some(stdio(command, rest)?)),
        (None, None) => (None, None),
    };
    let server = args.server.or(derived);
    if transport.is_some() && server.is_none() {
        return Err(
            Error::new("no name for the server can be made from the command").hint("add `--server NAME`")
        );
    }
    if let Some(name) = server.as_deref().filter(|name| !names::is_server(name)) {
        return Err(
            Error::new(format!("`{name}` is no server name")).hint("use letters, digits, `-` and single `_`")
        );
    }
    let plan = args.plan.as_deref().map(plan).transpose()?;
    Ok(Hello { v: 1, agent, server, transport, goal: args.goal, plan, approve_plan: args.approve_plan, user })
}

/// The plan in a file, which must be one: words that were meant as a plan would be none to hold to.
fn plan(path: &std::path::Path) -> std::result::Result<Value, Error> {
    let wrong = |why: String| Error::new(format!("the plan in `{}`: {why}", path.display()));
    let text = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let value = Document::read(&text, &Limits::default()).map_err(|e| wrong(e.message))?;
    match Plan::read(&value) {
        Some(Ok(_)) => Ok(value),
        Some(Err(why)) => Err(wrong(why)),
        None => Err(wrong("there are no steps".into()).hint("write {\"steps\": [{\"action\": …}]}")),
    }
}

/// The server gets the directory and the environment that its client has given to us: it stands where we
/// stand. What is ours stays with us.
fn stdio(command: &str, args: &[String]) -> std::result::Result<Transport, Error> {
    let cwd =
        std::env::current_dir().map_err(|e| Error::new(format!("the current directory is gone: {e}")))?;
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    // A value that looks like a reference to a secret would be taken for one.
    let env = env.filter(|(name, value)| !name.starts_with("AECL_") && !value.contains("{secret:"));
    let command =
        if command.contains('/') { cwd.join(command).display().to_string() } else { command.to_owned() };
    Ok(Transport::Stdio {
        command,
        args: args.to_vec(),
        env: env.collect(),
        cwd: Some(cwd),
        credential_scope: None,
    })
}

fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AECL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A subscriber that is there already is somebody's choice.
    drop(subscriber.try_init());
}
