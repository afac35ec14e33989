//! The second act: reading is allowed, paying waits for a person, the yes executes exactly what was shown.

use super::super::card;
use super::super::stage::{Stage, shown};
use super::{Cast, book, tell};
use crate::cli::Error;
use crate::cli::show::Field as _;
use aecl_demo::Door;
use aecl_demo::agent::{self, Agent};
use serde_json::{Value, json};
use std::time::Duration;

/// Plays it; gives the action that paid, if Priya said yes.
pub(super) async fn play(stage: &mut Stage, cast: &Cast, agent: &Agent) -> Result<Option<String>, Error> {
    stage.act(2, "with AECL");
    stage.say(
        "The same agent and the same mail. The agent has a run token now and no key; AECL reads the key at the \
         moment of a call that it allows.",
    );
    stage.gap();
    for (tool, arguments) in agent::reads() {
        stage.calls(tool, &arguments);
        tell(stage, &agent.propose(tool, &arguments, None).await?);
    }
    let transfer = agent::transfer(100_000);
    stage.calls("transfer_funds", &transfer);
    let waiting = agent.propose("transfer_funds", &transfer, Some("pay-INV-884")).await?;
    tell(stage, &waiting);
    stage.gap();
    stage.say("This is what Priya sees, who leads finance:");
    stage.gap();
    let approval = waiting.text("/approval/id");
    let request = cast.priya().get(&format!("/v1/approvals/{approval}")).await?;
    card::show(stage, &request);
    stage.gap();
    let key_file = cast.world.home().keys().join("priya.key");
    stage.say(&format!("The page wants Priya's key, which is in {}.", shown(&key_file)));
    stage.gap();
    answered(stage, &cast.priya(), &approval).await?;
    let action = waiting.text("/action");
    let outcome = agent.outcome(&action).await?;
    if outcome.text("/state") != "done" {
        tell(stage, &outcome);
        book(stage, &cast.service).await?;
        return Ok(None);
    }
    stage.say("AECL asks the policy once more, now with the yes, and pays. Exactly once:");
    book(stage, &cast.service).await?;
    Ok(Some(action))
}

/// Waits for Priya's answer: typed here, or given on the page.
async fn answered(stage: &mut Stage, priya: &Door, approval: &str) -> Result<(), Error> {
    if stage.is_auto() {
        stage.say("You are Priya. Is it allowed? [y/n] y   (--auto answers)");
        return answer(priya, approval, true).await;
    }
    stage.say("You are Priya. Is it allowed? Type y or n here, or answer on the page.");
    loop {
        tokio::select! {
            line = stage.typed() => match line.as_deref().map(str::trim) {
                Some("y" | "yes") => return answer(priya, approval, true).await,
                Some("n" | "no") => return answer(priya, approval, false).await,
                Some(_) => stage.say("y or n?"),
                None => return Err(Error::new("the keyboard is gone; nothing was paid")),
            },
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                let request = priya.get(&format!("/v1/approvals/{approval}")).await?;
                if request.text("/state") != "pending" {
                    stage.say("Answered on the page.");
                    return Ok(());
                }
            }
        }
    }
}

async fn answer(priya: &Door, approval: &str, yes: bool) -> Result<(), Error> {
    let verb = if yes { "approve" } else { "reject" };
    // Where a yes has to be typed, Priya types the end of the account that she has checked.
    let request = priya.get(&format!("/v1/approvals/{approval}")).await?;
    let ends = request.items("/confirm").iter().map(|typed| {
        let value = request.text(&format!("/arguments{}", typed.text("/at")));
        value.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect::<String>()
    });
    let confirm: Vec<String> = ends.filter(|_| yes).collect();
    let body: Value = json!({"reason": if yes { "checked against INV-884" } else { "" }, "confirm": confirm});
    priya.post(&format!("/v1/approvals/{approval}/{verb}"), &body).await?;
    Ok(())
}
