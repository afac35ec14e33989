//! `aecl approvals approve` and `reject`.

use super::{card, path, plan};
use crate::cli::show::{self, Field, Page, Tone};
use crate::cli::{Common, Exit, Result, client};
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which request.
    id: String,
    /// Why; it is recorded, and a no is told to the agent with it.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    /// With a yes: the values that are asked about are right for the rest of this run, each in its role.
    #[arg(long)]
    endorse: bool,
    /// With a yes that has to be typed: the last 4 characters of the destination, as `show` says. Once for each.
    #[arg(long, value_name = "CHARACTERS")]
    confirm: Vec<String>,
}

pub(super) fn run(common: &Common, args: &Args, yes: bool) -> Result {
    let path = path(&args.id)?;
    let way = if yes { "approve" } else { "reject" };
    let body = json!({"reason": args.reason, "endorse": args.endorse && yes, "confirm": args.confirm});
    let (before, after) = client::ask(common, async |client| {
        // What is answered is also shown, so that a slip of the hand is noticed while it can be undone.
        let before = client.get(&path).await?;
        let after = client.post(&format!("{path}/{way}"), &body).await?;
        Ok((before, after))
    })?;
    let pending = after.text("/state") == "pending";
    if common.json {
        show::print_json(&after);
    } else {
        told(&before, &after, yes).print();
    }
    Ok(if pending { Exit::Pending } else { Exit::Done })
}

fn told(before: &Value, after: &Value, yes: bool) -> Page {
    let mut page = Page::new();
    let of_plan = plan::is_asked(before);
    let (tone, word) = match after.text("/state").as_str() {
        "pending" => (Tone::Mind, "Noted; more people have to agree"),
        _ if yes => (Tone::Good, "Approved"),
        _ => (Tone::Bad, "Rejected"),
    };
    page.toned(tone, word);
    card::head(&mut page, before);
    match after.text("/state").as_str() {
        "pending" => {
            for need in after.items("/need") {
                page.field("needs", &show::people(need));
            }
        }
        _ if yes && of_plan => {
            page.field("next", "its steps are carried out without asking again, as the agent comes to them");
        }
        _ if of_plan => {
            page.field("next", "its run has ended");
        }
        _ if yes => {
            page.field("next", "it is executed once, when the agent asks for it again or is waiting for it");
        }
        _ => {
            page.field("next", "nothing was executed; the agent is told");
        }
    }
    page
}
