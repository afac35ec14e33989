//! `aecl approvals approve` and `reject`.

use super::{card, keys, path, plan};
use crate::cli::client::Client;
use crate::cli::show::{self, Field, Page, Tone};
use crate::cli::{Common, Error, Exit, Result, client};
use serde_json::{Value, json};
use std::io::IsTerminal as _;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which request: its number or its id.
    #[arg(required_unless_present = "last")]
    id: Option<String>,
    /// The request that was asked last. On a terminal it is shown first, and you are asked.
    #[arg(long, conflicts_with = "id")]
    last: bool,
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
    let named = args.id.as_deref().map(path).transpose()?;
    let way = if yes { "approve" } else { "reject" };
    let (before, after) = client::ask(common, async |client| {
        let path = match named {
            Some(path) => path,
            None => path(&last(client).await?)?,
        };
        // What is answered is also shown, and the answer counts for nothing else.
        let before = client.get(&path).await?;
        if args.last && !is_meant(&before, yes)? {
            return Err(Error::new("nothing was answered"));
        }
        let body = json!({
            "reason": args.reason, "endorse": args.endorse && yes, "confirm": args.confirm, "view": before.text("/view"),
        });
        let path = format!("/v1/approvals/{}", client::segment(&before.text("/id")));
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

/// The request that was asked last. Without a terminal nobody sees which that is, so then there has to be only one.
async fn last(client: &Client) -> std::result::Result<String, Error> {
    let queue = client.get(&format!("{}&state=pending&limit=1", super::page_of(true, None))).await?;
    let Some(ask) = queue.items("/approvals").first() else {
        return Err(Error::new("nothing waits for a person"));
    };
    if !std::io::stdin().is_terminal() && super::more(&queue, 1) > 0 {
        let message = format!(
            "{} requests wait, and without a terminal nobody sees which is the last",
            queue.text("/total")
        );
        return Err(Error::new(message).hint("name it by its number, as `aecl approvals list` shows it"));
    }
    Ok(ask.text("/id"))
}

/// Shows it, and asks whether this one is meant; without a terminal there is only this one.
fn is_meant(ask: &Value, yes: bool) -> std::result::Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut page = Page::new();
    card::head(&mut page, ask);
    page.print();
    let word = if yes { "Approve" } else { "Reject" };
    let key = keys::one(&format!("{word} {}? [y/N] ", ask.text("/number")))?;
    Ok(key == Some(b'y'))
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
        "withdrawn" => {
            page.field("next", "nothing is executed: the policy of now refuses it, or asks otherwise");
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
