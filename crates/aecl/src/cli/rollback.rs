//! `aecl rollback`: undoes an action. A rollback is an action like any other: it is judged, it may ask a
//! person, it is recorded.

use super::show::{self, Field, Page, Tone};
use super::{Common, Exit, Result, client};
use aecl_kernel::id::ActionId;
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl rollback act_0199… --reason 'paid twice'
  aecl rollback act_0199… --reason 'paid twice' --wait 600

Exit codes: 0 undone, 1 the attempt failed or its outcome is unknown, 3 refused, 4 a person has to agree first.")]
pub struct Args {
    /// The action to undo.
    #[arg(value_name = "ACTION")]
    action: String,
    /// Why; it is recorded.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Wait so many seconds for people, if it asks them.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let id = ActionId::new(&args.action)?;
    let body = json!({"reason": args.reason, "wait_s": args.wait});
    let path = format!("/v1/actions/{id}/rollback");
    let answer = client::ask(common, async |client| client.post(&path, &body).await)?;
    let exit = exit(&answer);
    if common.json {
        show::print_json(&answer);
    } else {
        told(&answer, id.as_str(), exit, &show::aecl(common)).print();
    }
    Ok(exit)
}

/// How an action that was answered has ended.
pub(crate) fn exit(answer: &Value) -> Exit {
    match answer.text("/state").as_str() {
        "done" | "permitted" | "asked" => Exit::Done,
        "pending" => Exit::Pending,
        "blocked" | "rejected" => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn told(answer: &Value, id: &str, exit: Exit, aecl: &str) -> Page {
    let mut page = Page::new();
    let (tone, word) = match exit {
        Exit::Done => (Tone::Good, "Undone"),
        Exit::Pending => (Tone::Mind, "Waits for a person"),
        Exit::Refused => (Tone::Bad, "Refused"),
        Exit::Failed | Exit::Unverified => (Tone::Bad, "Not known to be undone"),
    };
    page.line(format!("{}: {}", page.word(tone, word), show::inert_line(id)));
    page.field("by", &format!("{} ({})", answer.text("/action"), answer.text("/state")));
    for (label, at) in [("message", "/message"), ("code", "/code"), ("approval", "/approval/id")] {
        if !answer.text(at).is_empty() {
            page.field(label, &answer.text(at));
        }
    }
    if let Some(output) = answer.get("output") {
        page.field("answered", "").json(output);
    }
    if exit == Exit::Pending {
        page.field("next", &format!("{aecl} approvals show {}", answer.text("/approval/id")));
    }
    page
}
