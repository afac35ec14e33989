//! `aecl doctor`: is this installation sound, and how far is it on the eleven-point list that agents with
//! write access should pass? Looks at files, and tries the hooks of coding agents; changes nothing. With `--sandbox`: what of this host
//! holds programs, tried out.

mod address;
mod check;
mod checklist;
mod home;
mod hooks;
mod host;
mod keeps;
pub(super) mod reach;
mod record;
mod sandbox;
mod secrets;
pub(super) mod tenants;
mod workers;

pub(in crate::cli) use check::{Check, Seen, State};

use super::show::{self, Page, Tone, count};
use super::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use aecl_gate::loader;
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl doctor
  aecl doctor --json | jq '.checks[] | select(.state != \"ok\")'
  aecl doctor --sandbox
  aecl doctor --sandbox --machines machines.json
  aecl doctor --sandbox --docker /run/docker.sock

Exit codes: 0 nothing is broken (there may be advice), 1 something is broken; with --sandbox: 0 every tier that an
action here needs is there, 1 one is missing.")]
pub struct Args {
    /// Build a cage by everything that this host may have for it, and attack each from inside
    #[arg(long)]
    sandbox: bool,
    /// Virtual machines to try as well: a JSON list of monitors, each with kernel and disk
    #[arg(long, value_name = "FILE", requires = "sandbox")]
    machines: Option<PathBuf>,
    /// A Docker daemon to try as well: its socket. Whoever may talk to a daemon of root is root
    #[arg(long, value_name = "SOCKET", requires = "sandbox")]
    docker: Option<PathBuf>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    if args.sandbox {
        return sandbox::run(&home, args.machines.as_deref(), args.docker.as_deref(), common.json);
    }
    let mut checks = Vec::new();
    let config = home::config(&home, &mut checks);
    let bundle = home::policy(loader::load(&home.policy()), &mut checks);
    let seen = Seen { home, config, bundle };
    home::keys(&seen, &mut checks);
    home::judges(&seen, &mut checks);
    secrets::look(&seen, &mut checks);
    secrets::logins(&seen, &mut checks);
    secrets::scopes(&seen, &mut checks);
    home::people(&seen, &mut checks);
    tenants::look(&seen, &mut checks);
    workers::look(common, &seen, &mut checks);
    reach::look(&seen, &mut checks);
    let ledger = record::look(&seen, &mut checks);
    host::look(&seen, &ledger, &mut checks);
    keeps::look(&mut checks);
    hooks::look(&seen, &mut checks);
    let list = checklist::walk(&seen, &ledger, &checks);
    let broken = checks.iter().filter(|c| c.state == State::Broken).count();
    if common.json {
        show::print_json(&json!({"sound": broken == 0, "checks": checks, "checklist": list}));
    } else {
        page(&checks, &list, broken).print();
    }
    Ok(if broken == 0 { Exit::Done } else { Exit::Failed })
}

fn page(checks: &[Check], list: &[checklist::Item], broken: usize) -> Page {
    let mut page = Page::new();
    page.heading("This installation");
    for check in checks {
        let (tone, word) = match check.state {
            State::Ok => (Tone::Good, "ok    "),
            State::Advice => (Tone::Mind, "advice"),
            State::Broken => (Tone::Bad, "BROKEN"),
        };
        line(&mut page, tone, word, &format!("{}: {}", check.what, check.found), check.todo.as_deref());
    }
    page.gap().heading("Before an agent gets write access: eleven points");
    for item in list {
        let (tone, word) = match item.state {
            checklist::Point::Met => (Tone::Good, "met    "),
            checklist::Point::NotMet => (Tone::Bad, "NOT MET"),
            checklist::Point::NotYet => (Tone::Quiet, "not yet"),
        };
        line(
            &mut page,
            tone,
            word,
            &format!("{:>2}. {}: {}", item.number, item.what, item.why),
            item.todo.as_deref(),
        );
    }
    page.gap();
    let met = list.iter().filter(|i| i.state == checklist::Point::Met).count();
    let (tone, sound) = if broken == 0 {
        (Tone::Good, "Nothing is broken".to_owned())
    } else {
        (
            Tone::Bad,
            format!(
                "{} broken",
                if broken == 1 { "1 thing is".into() } else { format!("{} are", count(broken, "thing")) }
            ),
        )
    };
    let sound = page.word(tone, &sound);
    page.line(format!("{sound}; {met} of {} points are met.", list.len()));
    page
}

fn line(page: &mut Page, tone: Tone, word: &str, text: &str, todo: Option<&str>) {
    let pad = " ".repeat(word.len() + 2);
    let word = page.word(tone, word);
    let text = show::inert(text).replace('\n', &format!("\n{pad}"));
    page.line(format!("{word}  {text}"));
    if let Some(todo) = todo {
        page.line(format!("{pad}-> {}", show::inert(todo).replace('\n', &format!("\n{pad}   "))));
    }
}
