//! `aecl rollback`: undoes an action, or everything that a run has done. A rollback is an action like any
//! other: it is judged, it may ask a person, it is recorded.

use super::show::{self, Field, Page, Tone};
use super::{Common, Exit, Result, client};
use aecl_kernel::base::id::{ActionId, RunId};
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl rollback act_0199… --reason 'paid twice'
  aecl rollback act_0199… --reason 'paid twice' --wait 600
  aecl rollback --run run_0199… --reason 'read the wrong mail'

A run is undone action by action, the latest first. It stops where an action cannot be undone, or where a person has
to agree first, and says what is left; called again, it goes on from there.

Exit codes: 0 undone, 1 an attempt failed or its outcome is unknown, 3 refused, 4 a person has to agree first.")]
pub struct Args {
    /// The action to undo.
    #[arg(value_name = "ACTION", required_unless_present = "run")]
    action: Option<String>,
    /// Undo everything that this run has done instead.
    #[arg(long, value_name = "RUN", conflicts_with = "action")]
    run: Option<String>,
    /// Why; it is recorded.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Wait so many seconds for people, if it asks them.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    if let Some(run) = &args.run {
        return whole_run(common, &args, &RunId::new(run)?);
    }
    let id = ActionId::new(args.action.as_deref().unwrap_or_default())?;
    let body = json!({"reason": args.reason, "wait_s": args.wait});
    let path = format!("/v1/actions/{}/rollback", client::segment(id.as_str()));
    let answer = client::ask(common, async |client| client.post(&path, &body).await)?;
    let exit = exit(&answer);
    if common.json {
        show::print_json(&answer);
    } else {
        told(&answer, id.as_str(), exit, &show::aecl(common)).print();
    }
    Ok(exit)
}

fn whole_run(common: &Common, args: &Args, run: &RunId) -> Result {
    let body = json!({"reason": args.reason, "wait_s": args.wait});
    let path = format!("/v1/runs/{}/rollback", client::segment(run.as_str()));
    let answer = client::ask(common, async |client| client.post(&path, &body).await)?;
    let exit = match answer.text("/state").as_str() {
        "done" => Exit::Done,
        "pending" => Exit::Pending,
        "refused" => Exit::Refused,
        _ => Exit::Failed,
    };
    if common.json {
        show::print_json(&answer);
    } else {
        told_of_run(&answer, exit, &show::aecl(common)).print();
    }
    Ok(exit)
}

fn told_of_run(answer: &Value, exit: Exit, aecl: &str) -> Page {
    let mut page = Page::new();
    let (tone, word) = match exit {
        Exit::Done => (Tone::Good, "Undone"),
        Exit::Pending => (Tone::Mind, "Waits for a person"),
        Exit::Refused => (Tone::Bad, "Stopped"),
        Exit::Failed | Exit::Unknown | Exit::Unverified | Exit::Program(_) => {
            (Tone::Bad, "Not known to be undone")
        }
    };
    page.line(format!("{}: {}", page.word(tone, word), show::inert_line(&answer.text("/run"))));
    let list = |at: &str| answer.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
    let steps = list("/steps");
    if steps.is_empty() {
        page.line("  It has done nothing that could be undone.");
    }
    for step in &steps {
        let (tone, said) = match step.text("/state").as_str() {
            "undone" => (Tone::Good, format!("undone by {}", step.text("/by"))),
            "undone_before" => (Tone::Quiet, format!("was undone before, by {}", step.text("/by"))),
            "pending" => (Tone::Mind, format!("waits for {}", step.text("/undo/approval/id"))),
            "stopped" => (Tone::Bad, format!("{} {}", step.text("/undo/state"), step.text("/message"))),
            _ => (Tone::Bad, format!("cannot be undone: {}", step.text("/message"))),
        };
        let what = format!("{} ({})", step.text("/action"), step.text("/name"));
        page.line(format!("  {} {}", show::inert_line(&what), page.word(tone, &show::inert_line(&said))));
    }
    let left = list("/left");
    if !left.is_empty() {
        page.line(format!("  as they were, further back: {}", left.len()));
        for id in left.iter().filter_map(Value::as_str) {
            page.line(format!("    {}", show::inert_line(id)));
        }
    }
    if let Some(last) = steps.last().filter(|_| exit == Exit::Pending) {
        page.field("next", &format!("{aecl} approvals show {}", last.text("/undo/approval/id")));
    }
    page
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
        Exit::Failed | Exit::Unknown | Exit::Unverified | Exit::Program(_) => {
            (Tone::Bad, "Not known to be undone")
        }
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
