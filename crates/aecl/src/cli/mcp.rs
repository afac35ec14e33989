//! `aecl mcp`: stands in front of an MCP server, in an MCP client's configuration.
//!
//! Standard output carries JSON-RPC and nothing else; what is to be said to people goes to standard error.

mod attach;
mod embedded;
mod notices;

use super::{Common, Error, Exit, Result, input};
use crate::mcp::names;
use crate::mcp::stdio::AttachRequest;
use aecl_egress::vault::{SecretRef, references};
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_kernel::base::id::{AgentId, UserId};
use aecl_kernel::base::json::{Document, Limits};
use aecl_kernel::read::plan::Plan;
use serde_json::Value;
use std::collections::BTreeMap;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aecl mcp -- npx -y @modelcontextprotocol/server-filesystem ~/work
  aecl mcp --agent support --url https://mcp.example.org/mcp
  aecl mcp --url https://mcp.example.org/mcp --header 'Authorization: Bearer {secret:env:TOKEN}'
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
    /// A header of every request to the URL, as 'NAME: REFERENCE', such as 'X-Key: env:KEY', or with references in
    /// braces, such as 'Authorization: Bearer {secret:env:TOKEN}'. Never the value itself.
    #[arg(long = "header", value_name = "HEADER", requires = "url")]
    headers: Vec<String>,
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
    let servers = match &hello.server {
        Some(server) => vec![server.clone()],
        None => home.read()?.servers.into_keys().collect(),
    };
    let done = runtime.block_on(async {
        tokio::spawn(notices::tell(home.clone(), servers));
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

fn hello(args: Args, agent: &str) -> std::result::Result<AttachRequest, Error> {
    let id = |e: aecl_kernel::base::id::BadId| Error::new(e.to_string());
    let agent = AgentId::new(agent).map_err(id)?;
    let user = args.user.as_deref().map(UserId::new).transpose().map_err(id)?;
    let (derived, transport) = match (&args.url, args.command.split_first()) {
        (Some(url), _) => {
            let parsed: url::Url = url.parse().map_err(|e| Error::new(format!("`{url}` is no URL: {e}")))?;
            // Who types the address of a local server means it.
            let transport = Transport::http(url.clone(), headers(&args.headers)?, is_local(&parsed));
            (names::of_url(&parsed), Some(transport))
        }
        (None, Some((command, rest))) => (names::of_command(&args.command), Some(stdio(command, rest)?)),
        (None, None) => (None, None),
    };
    let env = transport.as_ref().map(client_env).transpose()?.unwrap_or_default();
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
    Ok(AttachRequest {
        v: 1,
        agent,
        server,
        transport,
        env,
        goal: args.goal,
        plan,
        approve_plan: args.approve_plan,
        user,
    })
}

/// The headers of an address. A value is where a secret is, since the command line is kept in files and histories.
fn headers(given: &[String]) -> std::result::Result<BTreeMap<String, String>, Error> {
    let mut headers = BTreeMap::new();
    for header in given {
        // What follows the name may be a secret that was written here by mistake, so no message repeats it.
        let wrong = |name: &str, why: &str| {
            let hint = "write 'NAME: env:VARIABLE', or 'NAME: Bearer {secret:env:VARIABLE}'; also `file:`, `secret:` and `vault:`";
            Error::new(format!("`--header` {name}: {why}")).hint(hint)
        };
        let (name, value) =
            header.split_once(':').ok_or_else(|| wrong("", "there is no colon after the name"))?;
        let (name, value) = (name.trim(), value.trim());
        let shown = format!("`{}`", name.chars().filter(|c| !c.is_control()).take(80).collect::<String>());
        let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(wrong(&shown, "this is no name of a header"));
        }
        let template = match value.parse::<SecretRef>() {
            Ok(reference) => format!("{{secret:{reference}}}"),
            Err(_) => value.to_owned(),
        };
        match references(&template) {
            Ok(found) if !found.is_empty() => {}
            Ok(_) => return Err(wrong(&shown, "its value is written out; a reference says where it is")),
            Err(error) => return Err(wrong(&shown, &error.to_string())),
        }
        if headers.insert(name.to_owned(), template).is_some() {
            return Err(wrong(&shown, "it stands twice"));
        }
    }
    Ok(headers)
}

/// What `env:` means for a client's own address is the client's environment, not that of the process in the background.
fn client_env(transport: &Transport) -> std::result::Result<BTreeMap<String, String>, Error> {
    let Transport::Http { headers, .. } = transport else { return Ok(BTreeMap::new()) };
    let mut env = BTreeMap::new();
    for template in headers.values() {
        for reference in references(template).map_err(|e| Error::new(e.to_string()))? {
            if let SecretRef::Env(name) = reference {
                let value = std::env::var(&name).map_err(|_| {
                    Error::new(format!("`env:{name}` is not set"))
                        .hint("set the variable in the client's configuration")
                })?;
                env.insert(name, value);
            }
        }
    }
    Ok(env)
}

/// The plan in a file, which must be one: words that were meant as a plan would be none to hold to.
fn plan(path: &std::path::Path) -> std::result::Result<Value, Error> {
    let wrong = |why: String| Error::new(format!("the plan in `{}`: {why}", path.display()));
    let text = input::text(path, input::TEXT_BYTES_MAX).map_err(|e| wrong(e.to_string()))?;
    let value = Document::read(text.as_bytes(), &Limits::default()).map_err(|e| wrong(e.message))?;
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
        timeout_ms: None,
        trust_annotations: None,
    })
}

pub(super) fn is_local(url: &url::Url) -> bool {
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
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(super::show::LogWriter::Text)
        .with_ansi(false);
    // A subscriber that is there already is somebody's choice.
    drop(subscriber.try_init());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn a_header_is_a_reference_and_never_a_value() {
        let of = |header: &str| headers(&[header.to_owned()]);
        assert_eq!(of("X-Key: env:KEY").unwrap()["X-Key"], "{secret:env:KEY}");
        let bearer = of("Authorization: Bearer {secret:file:/run/token}").unwrap();
        assert_eq!(bearer["Authorization"], "Bearer {secret:file:/run/token}");
        for wrong in [
            "X-Key: sk-1234",
            "Authorization: Bearer sk-1234",
            "X Key: env:A",
            "X-Key",
            ": env:A",
            "X: {secret:env:A",
        ] {
            let said = of(wrong).unwrap_err().message;
            assert!(!said.contains("sk-1234"), "{said}");
        }
        assert!(headers(&["A: env:B".to_owned(), "A: env:C".to_owned()]).is_err());
    }
}
