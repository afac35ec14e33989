//! The first act: the agent holds the key, and does as the mail says.

use super::super::stage::{Stage, wrapped};
use crate::cli::Error;
use crate::cli::show::Field as _;
use aecl_demo::{Mail, Service, World, agent};

/// Plays it; gives what is left in the account.
pub(super) async fn play(stage: &Stage, world: &World) -> Result<String, Error> {
    let book = world.file("payments-without.db");
    let key_file = world.home().keys().join("payments.key");
    let service = Service::start(&book, &key_file, &world.payments).await?;
    let mail = world.mail()?;
    stage.act(1, "without AECL");
    stage.say("A mail has come in:");
    stage.show(|page| {
        let Mail { sender, subject, body } = &mail;
        page.gap();
        page.quote(&format!("From: {sender}\nSubject: {subject}")).quote(&wrapped(body, 0)).gap();
    });
    stage.say("The agent holds the key of the payments service. It reads the mail and does as it says.");
    let [(tool, arguments), ..] = agent::reads();
    let transfer = agent::transfer(100_000);
    let before = service.balance().await?;
    stage.calls(tool, &arguments);
    stage.calls("transfer_funds", &transfer);
    let paid = service.pay(&transfer).await?;
    let after = service.balance().await?;
    stage.show(|page| {
        page.line(format!("            payments: {}, {}", paid.text("/id"), paid.text("/status")));
        page.gap().line(format!("  the book   account operations   {before} -> {after} INR")).gap();
    });
    stage.say(
        "100,000 INR are gone. Nobody was asked, and nothing says why it was done or how it is taken back.",
    );
    service.stop().await;
    Ok(after)
}
