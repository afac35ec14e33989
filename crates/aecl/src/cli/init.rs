//! `aecl init`: a directory that works from the first minute, every key of it explained in place.

mod files;
mod next;

use super::place::How;
use super::show::{self, Page, Tone};
use super::wrap::{self, Client};
use super::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::{identity, keys, loader};
use aecl_kernel::base::id::AgentId;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl init                                  agent `assistant` in front of an MCP server `filesystem`
  aecl init --client claude                  and put it in front of the servers of Claude Code
  aecl init --agent coder --server git --server github
  aecl init --example finance                a catalogue with payments, budgets and examples
  aecl --dir /srv/aecl init --origin example.com/aecl

The home (keys, policy, record) is made outside of this directory, in ~/.local/share/aecl, so that agents which work \
here cannot read it; `aecl home` says where. `--dir` names another place.

Nothing that exists is ever overwritten. `--force` adds what is missing to a directory in use.")]
pub struct Args {
    /// The agent to write a manifest for.
    #[arg(long, default_value = "assistant", value_name = "ID")]
    agent: String,
    /// The name of the ledger, which auditors pin; by default this machine's name and `/aecl`.
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// An MCP server whose tools the agent may use; can be given several times. By default `filesystem`, if
    /// that is the example.
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// What the first bundle shows.
    #[arg(long, value_enum, default_value_t = Example::Filesystem)]
    example: Example,
    /// Add what is missing to a directory that is in use already.
    #[arg(long)]
    force: bool,
    /// Put AECL in front of the servers of this MCP client as well (see `aecl wrap`); the agent may use those servers.
    #[arg(long, value_enum, value_name = "CLIENT")]
    client: Option<Client>,
    /// Change the client's files without asking.
    #[arg(long, requires = "client")]
    yes: bool,
}

/// What the first bundle shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Example {
    /// An assistant whose tools come from MCP servers.
    Filesystem,
    /// An agent that reads invoices and may not pay by itself.
    Finance,
    /// An agent that may do nothing yet.
    None,
}

/// Runs it.
pub fn run(common: &Common, mut args: Args) -> Result {
    if let (true, Some(client)) = (args.server.is_empty(), args.client) {
        args.server = wrap::servers(client)?;
    }
    if args.server.is_empty() && args.example == Example::Filesystem {
        args.server.push("filesystem".into());
    }
    let agent = AgentId::new(&args.agent)?;
    let origin = args.origin.clone().unwrap_or_else(own_name);
    check_origin(&origin)?;
    for server in &args.server {
        check_server(server)?;
    }
    let (home, project) = place(common)?;
    if home.config().exists() && !args.force {
        let message = format!("`{}` exists already; nothing was changed", home.config().display());
        return Err(Error::new(message)
            .hint("`aecl init --force` adds what is missing and overwrites nothing; `aecl doctor` checks what is there"));
    }
    let mut written = Written::default();
    keys::private_dir(home.dir())?;
    if let Some(project) = &project {
        super::place::register(home.dir(), project)?;
    }
    keys::private_dir(&home.keys())?;
    keys::private_dir(&home.data())?;
    make_keys(&home, &mut written)?;
    if home.config().exists() {
        written.kept.push("aecl.yaml".into());
    } else {
        let hash = operator(&home, &mut written)?;
        written.file(&home, "aecl.yaml", &files::config(&origin, &hash))?;
    }
    for (path, text) in
        files::bundle(&agent, &args.server, args.example, args.client.is_some_and(Client::has_hooks))
    {
        written.file(&home, &path, &text)?;
    }
    written.file(
        &home,
        ".gitignore",
        "# Keys, secrets and the ledger stay on this machine.\nkeys/\nsecrets/\ndata/\n",
    )?;
    // What was written must load: a first step that does not work is worse than none.
    let config = home.read()?;
    let bundle = loader::load(&home.policy())?;
    let next = next::steps(&home, &agent, &args.server)?;
    if common.json && args.client.is_none() {
        show::print_json(&json!({
            "dir": next.dir, "origin": config.origin, "agent": agent, "written": written.made,
            "existing": written.kept, "bundle": bundle.hash(), "examples": bundle.examples(),
            "mcp_client": next.client,
        }));
        return Ok(Exit::Done);
    }
    let Some(client) = args.client else {
        tell(&written, &next, &show::aecl(common), &config.url());
        return Ok(Exit::Done);
    };
    show::say(&format!("aecl: set up in {}", next.dir));
    let common = Common { dir: home.dir().to_owned(), ..common.clone() };
    wrap::apply(&common, &home, client, &agent, args.yes)
}

/// The home to write, and the project that it is of, where nobody has said which home: outside of the project, for what
/// lies in there agents read.
fn place(common: &Common) -> std::result::Result<(Home, Option<PathBuf>), Error> {
    if common.how == How::Named {
        return Ok((Home::new(&common.dir), None));
    }
    let project = std::env::current_dir().map_err(|e| {
        Error::new(format!("the current directory is gone: {e}")).hint("name the home with `--dir`")
    })?;
    // A project within a project has a home of its own.
    if super::place::project_of(&common.dir).as_ref() == Some(&project) {
        return Ok((Home::new(&common.dir), Some(project)));
    }
    let dir = super::place::new_home(&project)?;
    super::place::prepare(&dir)?;
    Ok((Home::new(dir), Some(project)))
}

fn tell(written: &Written, next: &next::Steps, aecl: &str, url: &str) {
    let mut page = Page::new();
    page.heading(&format!("AECL is set up in {}", next.dir));
    for path in &written.made {
        page.line(format!("  {} {}", page.word(Tone::Good, "+"), show::inert_line(path)));
    }
    for path in &written.kept {
        page.line(format!(
            "  {} {} (exists, unchanged)",
            page.word(Tone::Quiet, "="),
            show::inert_line(path)
        ));
    }
    if next.client.is_some() {
        page.gap().heading("Put it in front of an MCP server");
        page.line("In your MCP client's configuration, in place of the server:").gap();
        page.line(show::inert(&next.snippet));
    }
    page.gap().heading("Then");
    let wide = aecl.chars().count() + 16;
    let mut step = |command: &str, what: &str| {
        page.line(format!("  {:<wide$} {what}", format!("{aecl} {command}")));
    };
    step("approvals watch", "tells what waits for you, as it comes");
    step("log tail -f", "what the agents do");
    step("policy show", "what an agent may do");
    for (client, what) in wrap::found() {
        let what = format!(
            "puts AECL in front of {what}: its servers, and its own tools; shows what changes and asks"
        );
        step(&format!("wrap {}", client.name()), &what);
    }
    step("serve", &format!("the HTTP API and the approval pages at {}", show::inert_line(url)));
    step("doctor", "what is still missing");
    page.print();
}

/// What was written, and what was there.
#[derive(Debug, Default)]
struct Written {
    made: Vec<String>,
    kept: Vec<String>,
}

impl Written {
    fn file(&mut self, home: &Home, path: &str, text: &str) -> std::result::Result<(), Error> {
        let full = home.dir().join(path);
        if full.exists() {
            self.kept.push(path.into());
            return Ok(());
        }
        let fail = |e: std::io::Error| Error::new(format!("cannot write `{}`: {e}", full.display()));
        full.parent().map(std::fs::create_dir_all).transpose().map_err(fail)?;
        keys::write_private(&full, text.as_bytes())?;
        self.made.push(path.into());
        Ok(())
    }
}

fn make_keys(home: &Home, written: &mut Written) -> std::result::Result<(), Error> {
    for name in ["ledger.pem", "tokens.pem"] {
        let path = home.keys().join(name);
        let shown = format!("keys/{name}");
        if path.exists() {
            // A key that others may read, or that is none, is found here and not at the first start.
            keys::read(&path)?;
            written.kept.push(shown);
        } else {
            keys::create(&path)?;
            written.made.push(shown);
        }
    }
    Ok(())
}

/// The operator's key, new or the one that is there. Gives its hash.
fn operator(home: &Home, written: &mut Written) -> std::result::Result<String, Error> {
    let path = home.keys().join("operator.key");
    if path.exists() {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::new(format!("cannot read `{}`: {e}", path.display())))?;
        written.kept.push("keys/operator.key".into());
        return Ok(identity::hash_key(text.trim()).to_string());
    }
    let (key, hash) = identity::new_key('p')?;
    keys::write_private(&path, format!("{key}\n").as_bytes())?;
    written.made.push("keys/operator.key".into());
    Ok(hash.to_string())
}

fn check_origin(origin: &str) -> std::result::Result<(), Error> {
    let fits = !origin.is_empty()
        && origin.len() <= 200
        && !origin.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control());
    if fits {
        return Ok(());
    }
    Err(Error::new(format!("`{}` is no name for a ledger", show::inert_line(origin)))
        .hint("take a name without spaces and `+`, such as `example.com/aecl`"))
}

fn check_server(name: &str) -> std::result::Result<(), Error> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !name.contains("__");
    if fits {
        return Ok(());
    }
    Err(Error::new(format!("`{}` is no name for a server", show::inert_line(name)))
        .hint("take letters, digits, `-` and single `_`, such as `filesystem`"))
}

/// This machine's name and `/aecl`.
fn own_name() -> String {
    let name = std::fs::read_to_string(Path::new("/etc/hostname")).unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .take(64)
        .collect();
    format!("{}/aecl", if name.is_empty() { "localhost" } else { &name })
}
