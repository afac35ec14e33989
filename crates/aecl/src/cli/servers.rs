//! `aecl servers`: logging in at servers that want it. A person says yes in a browser; what comes of it is kept sealed,
//! is used by the gateway alone, and is shown by nothing.

mod login;
mod standing;

pub(super) use standing::{Standing, State, standing};

use super::show::{self, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_egress::login::{LoginError, revoke};
use aecl_egress::vault::Vault;
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_kernel::base::time::Timestamp;
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeSet;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl servers login tracker                 opens the browser, and waits until it comes back
  aecl servers login tracker --paste         the browser is on another machine
  aecl servers login --url https://mcp.example.org/mcp
  aecl servers status
  aecl servers logout tracker

A log-in is for one server at one address. The gateway renews it by itself as long as the server lets it.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in at a server of aecl.yaml, or at an address that `aecl mcp --url` is given.
    Login(login::Args),
    /// End a log-in: take it out of the store, and give it back where that is possible.
    Logout {
        /// The server's name.
        server: String,
    },
    /// Show where somebody is logged in, what for, until when, and who wants a log-in.
    Status,
}

impl From<LoginError> for Error {
    fn from(e: LoginError) -> Self {
        let error = Self::new(e.to_string());
        match e {
            LoginError::Plain { .. } => error.hint("only the server's own people can put it behind `https`"),
            LoginError::Egress { .. } => error.hint(
                "`allow_private` of the server in aecl.yaml is for the server, `oauth.allow_private` for who gives its tokens",
            ),
            LoginError::NoMetadata { .. } => error.hint(
                "if it takes a fixed key, write it as a header: docs/reference/mcp.md, \"Servers that want a log-in\"",
            ),
            LoginError::NoDoor { .. } => error.hint("choose another `oauth.redirect_port`, or leave it out"),
            LoginError::TimedOut(_) => error.hint("run it again; --wait gives more time, --paste needs no way back"),
            LoginError::NotCome(_) | LoginError::Refused { .. } => {
                error.hint("run it again; what the log-in asks for can be set by `oauth` in aecl.yaml")
            }
            LoginError::Unreachable { .. } | LoginError::Busy(_) => error.hint("try again"),
            LoginError::Secret(_) | LoginError::Store(_) | LoginError::NoStore | LoginError::NoRandom(_) => {
                error.hint("docs/reference/secrets.md says how store and key belong together")
            }
            LoginError::Garbage { .. } | LoginError::Mismatch(_) | LoginError::Lacks { .. } => error.hint(
                "nothing was sent that could be misused; docs/reference/mcp.md says what a server has to say of itself",
            ),
        }
    }
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().is_file() {
        let error = Error::new(format!("there is no AECL in `{}`", home.dir().display()));
        return Err(error.hint("`aecl init` sets one up, or say where it is with --dir"));
    }
    match args.command {
        Command::Login(args) => login::run(common, &home, &args),
        Command::Logout { server } => logout(common, &home, &server),
        Command::Status => status(common, &home),
    }
}

/// The vault of this home, as the gateway has it.
fn vault(home: &Home) -> std::result::Result<Vault, Error> {
    let vault = home.vault();
    vault.configure(home.read()?.vault).map_err(Error::new)?;
    Ok(vault)
}

fn logout(common: &Common, home: &Home, server: &str) -> Result {
    let config = home.read()?;
    let Some(kept) = home.logins().take(server)? else {
        let error = Error::new(format!("nobody is logged in at `{}`", show::inert_line(server)));
        return Err(error.hint("`aecl servers status` shows where somebody is"));
    };
    let (private, oauth) = match config.servers.get(server) {
        Some(Transport::Http { allow_private, oauth, .. }) => {
            (*allow_private, oauth.clone().unwrap_or_default())
        }
        Some(Transport::Stdio { .. }) | None => {
            (kept.url.parse().is_ok_and(|url| super::mcp::is_local(&url)), Default::default())
        }
    };
    let vault = vault(home)?;
    let revoked = super::runtime()?.block_on(revoke(&kept, private, &oauth, &vault, Default::default()));
    if common.json {
        let why = revoked.as_ref().err().map(ToString::to_string);
        show::print_json(
            &json!({"server": server, "given_back": revoked.as_ref().is_ok_and(|it| *it), "error": why}),
        );
        return Ok(Exit::Done);
    }
    let server = show::inert_line(server);
    show::say(&match revoked {
        Ok(true) => format!("`{server}`: logged out; the log-in is taken out of the store and given back"),
        Ok(false) => format!(
            "`{server}`: logged out; the log-in is taken out of the store. `{}` has no place to give it back",
            kept.issuer
        ),
        Err(error) => {
            format!(
                "`{server}`: logged out; the log-in is taken out of the store, and was not given back: {error}"
            )
        }
    });
    Ok(Exit::Done)
}

/// Time for people.
fn time(seconds: u64) -> String {
    Timestamp::default().plus_s(seconds).to_string()
}

fn status(common: &Common, home: &Home) -> Result {
    let (config, logins) = (home.read()?, home.logins());
    let wants = |transport: &Transport| transport.oauth().is_some();
    let configured =
        config.servers.iter().filter(|(_, transport)| wants(transport)).map(|(name, _)| name.clone());
    let names: BTreeSet<String> = logins.servers()?.into_iter().chain(configured).collect();
    let mut all: Vec<Standing> = Vec::new();
    for name in names {
        all.push(standing(&logins, &name, config.servers.get(&name))?);
    }
    if common.json {
        show::print_json(&json!({"servers": all.iter().map(Standing::json).collect::<Vec<_>>()}));
        return Ok(Exit::Done);
    }
    let mut page = Page::new();
    if all.is_empty() {
        page.toned(Tone::Mind, "Nobody is logged in anywhere: aecl servers login SERVER");
    } else {
        let mut table = Table::new(&["SERVER", "LOG-IN", "UNTIL", "SCOPES", "GIVEN BY"]);
        for it in &all {
            table.plain(&[
                &it.server,
                it.state.words(),
                &it.until(),
                &it.scopes.join(" "),
                it.issuer.as_deref().unwrap_or(""),
            ]);
        }
        page.table(&table);
        for it in &all {
            if let Some(todo) = it.todo() {
                page.line(format!("{}: {}", show::inert_line(&it.server), show::inert_line(&todo)));
            }
        }
    }
    page.print();
    Ok(Exit::Done)
}
