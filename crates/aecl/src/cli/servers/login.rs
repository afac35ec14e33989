//! `aecl servers login`: who wants what is shown first, then the page to open; then it waits until the browser comes
//! back.

use super::{time, vault};
use crate::cli::show;
use crate::cli::{Common, Error, Exit, Result};
use crate::mcp::names;
use aecl_egress::login::{Flow, LoginPrompt, OauthSpec};
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

/// The longest address that is read from a person.
const PASTED_MAX_BYTES: u64 = 16 * 1024;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's name in aecl.yaml.
    #[arg(required_unless_present = "url")]
    server: Option<String>,
    /// The address, for a server that is not in aecl.yaml and that `aecl mcp --url` is given.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the address to which the browser was sent back, for a browser on another machine.
    #[arg(long)]
    paste: bool,
    /// Only print the page, and open no browser.
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the browser, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,
}

/// The place where somebody logs in.
struct Place {
    server: String,
    url: String,
    allow_private: bool,
    oauth: OauthSpec,
}

pub(super) fn run(common: &Common, home: &Home, args: &Args) -> Result {
    let place = place(home, args)?;
    let vault = vault(home)?;
    let runtime = crate::cli::runtime()?;
    let done = runtime.block_on(async {
        let Place { server, url, allow_private, oauth } = &place;
        let flow = Flow::begin(server, url, *allow_private, oauth, &vault, Default::default()).await?;
        tell(common, &place.server, flow.offer(), args);
        if args.paste && flow.offer().page.is_some() {
            flow.pasted(&paste()?).await.map_err(Error::from)
        } else {
            flow.wait(Duration::from_secs(args.wait)).await.map_err(Error::from)
        }
    });
    // A knock that is still answered must not keep the process alive.
    runtime.shutdown_background();
    let done = done?;
    if common.json {
        show::print_json_line(&json!({
            "server": place.server, "issuer": done.issuer, "scopes": done.scopes,
            "expires_at": done.expires_at_s.map(time), "renews": done.renews,
        }));
        return Ok(Exit::Done);
    }
    let until = match (done.renews, done.expires_at_s) {
        (true, _) => "it is renewed by itself".to_owned(),
        (false, Some(at)) => format!("until {}, then somebody has to log in again", time(at)),
        (false, None) => "it does not say until when".to_owned(),
    };
    show::say(&format!(
        "Logged in at `{}`; {until}. Calls use it from now on.",
        show::inert_line(&place.server)
    ));
    Ok(Exit::Done)
}

fn place(home: &Home, args: &Args) -> std::result::Result<Place, Error> {
    let config = home.read()?;
    let known = args.server.as_ref().and_then(|name| config.servers.get(name).map(|it| (name, it)));
    match (known, &args.url) {
        (Some((name, Transport::Http { url, allow_private, oauth, headers, .. })), None) => {
            if headers.keys().any(|header| header.eq_ignore_ascii_case("authorization")) {
                let error = Error::new(format!(
                    "`{name}` has a header `Authorization` in aecl.yaml, which is sent instead"
                ));
                return Err(error.hint("take the header out first"));
            }
            let oauth = oauth.clone().unwrap_or_default();
            Ok(Place { server: name.clone(), url: url.clone(), allow_private: *allow_private, oauth })
        }
        (Some((name, Transport::Stdio { .. })), _) => {
            let error =
                Error::new(format!("`{name}` is a program that AECL starts; there is nothing to log in at"));
            Err(error.hint("give it what it needs by `env` in aecl.yaml"))
        }
        (Some((name, Transport::Http { .. })), Some(_)) => {
            Err(Error::new(format!("`{name}` has its address in aecl.yaml")).hint("leave out --url"))
        }
        (None, Some(text)) => {
            let url: url::Url = text.parse().map_err(|e| Error::new(format!("`{text}` is no URL: {e}")))?;
            let server = args.server.clone().or_else(|| names::of_url(&url));
            let server = server.filter(|name| names::is_server(name)).ok_or_else(|| {
                Error::new("no name for the server can be made from this URL")
                    .hint("put the name before --url")
            })?;
            // Who types the address of a local server means it.
            let allow_private = crate::cli::mcp::is_local(&url);
            Ok(Place { server, url: text.clone(), allow_private, oauth: OauthSpec::default() })
        }
        (None, None) => {
            let name = args.server.clone().unwrap_or_default();
            let error = Error::new(format!("`{}` is no server in aecl.yaml", show::inert_line(&name)));
            Err(match aecl_kernel::define::catalogue::nearest(&name, config.servers.keys().cloned()) {
                Some(near) => error.hint(format!("did you mean `{near}`? Of another one, say --url, too")),
                None => error.hint("write it into `servers`, or say its address with --url"),
            })
        }
    }
}

/// Says who wants what, and where a person says yes to it.
fn tell(common: &Common, server: &str, offer: &LoginPrompt, args: &Args) {
    let LoginPrompt { url, issuer, client_id, scopes, page, redirect } = offer;
    if common.json {
        show::print_json_line(&json!({
            "server": server, "url": url, "issuer": issuer, "client_id": client_id, "scopes": scopes, "page": page,
            "redirect": redirect,
        }));
    } else {
        show::say(&format!("Log-in at `{}` ({})", show::inert_line(server), show::inert_line(url)));
        show::say(&format!("  given by   {}", show::inert_line(issuer)));
        let scopes =
            scopes.as_ref().map_or("what the server gives by itself".to_owned(), |all| all.join(" "));
        show::say(&format!("  asked for  {}", show::inert_line(&scopes)));
    }
    let Some(page) = page else { return };
    if !common.json {
        show::say("Open this page in a browser, and say yes there:");
        println!("{page}");
    }
    drop(std::io::stdout().flush());
    let is_at_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if is_at_terminal && !args.no_browser && !args.paste && !common.json && !opened(page) {
        show::say("No browser could be opened here.");
    }
}

/// Opens the page in the browser of whoever sits here. The address is one of a web page, and no shell reads it.
fn opened(page: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let started = std::process::Command::new(program)
        .arg(page)
        .env_remove("AECL_KEY")
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    started.is_ok()
}

/// The address that a person brings.
fn paste() -> std::result::Result<String, Error> {
    show::say("Paste the address to which the browser was sent back (it begins with http://127.0.0.1):");
    let mut line = String::new();
    let read = std::io::stdin().lock().take(PASTED_MAX_BYTES).read_line(&mut line);
    read.map_err(|e| Error::new(format!("nothing could be read: {e}")))?;
    Ok(line)
}
