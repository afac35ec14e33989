//! `aecl uninit`: AECL out of the files of all clients again. Shown as a difference, made after a yes.

use super::{Client, agreed, differs, installed, kept, show, told};
use crate::cli::{Common, Error, Exit, Result};
use aecl_gate::config::Home;
use clap::ValueEnum as _;
use serde_json::json;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl uninit          show what changes in the files of clients, ask, and change it
  aecl uninit --yes

What `aecl init` and `aecl wrap` have written into the files of clients, entries and hooks, is taken out; what somebody else has \
written there since stays, and is named where it stands in the way. The home stays, with policy, keys and record.")]
pub struct Args {
    /// Change the files without asking.
    #[arg(long)]
    yes: bool,
}

/// Runs it.
pub fn run(common: &Common, args: &Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().exists() {
        return Err(Error::new(format!("there is no home: no `{}`", home.config().display()))
            .hint("`aecl home` says where it is looked for; `--dir` names another"));
    }
    let way = kept::way_back(&home, None)?;
    let clients: Vec<String> = way.clients.iter().cloned().collect();
    let changes = way.files.iter().filter(|(_, (now, then))| then.as_deref() != Some(now));
    let mut is_there = false;
    for (file, (now, then)) in changes {
        is_there = true;
        differs(file, now, then.as_deref().unwrap_or_default());
    }
    if is_there && !args.yes && !agreed()? {
        show::say("aecl: nothing was changed");
        return Ok(Exit::Refused);
    }
    let undone = way.go()?;
    let project = super::project()?;
    for client in Client::value_variants() {
        for hook in installed(*client, &project, super::user().as_deref()) {
            let file = show::inert_line(&hook.file.display().to_string());
            show::say(&format!("aecl: `{file}` has a hook of AECL that this home knows nothing of"));
        }
    }
    if clients.is_empty() && !common.json {
        show::say("aecl: it stands in no file of a client");
    } else {
        told(common, ("clients", json!(clients)), &undone);
    }
    if !common.json {
        show::say(&format!("aecl: policy, keys and record stay in `{}`", home.dir().display()));
    }
    Ok(if undone.left.is_empty() { Exit::Done } else { Exit::Failed })
}
