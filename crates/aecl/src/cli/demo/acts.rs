//! The acts, in order.

mod held;
mod without;

use super::record;
use super::stage::{Stage, shown};
use crate::cli::show::{Field as _, Table, Tone};
use crate::cli::{Error, Exit, Result as CommandResult, show};
use crate::http::Host;
use aecl_demo::agent::{self, Agent};
use aecl_demo::{Door, Service, World};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// Everybody on the stage of the acts with AECL.
pub(super) struct Cast {
    world: World,
    service: Service,
    host: Host,
    aecl: Door,
    listens: SocketAddr,
}

impl Cast {
    async fn enter(world: World) -> Result<Self, Error> {
        let fail = |e: std::io::Error| Error::new(format!("AECL cannot listen: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(fail)?;
        let listens = listener.local_addr().map_err(fail)?;
        let key_file = world.home().keys().join("payments.key");
        let service = Service::start(&world.file("payments.db"), &key_file, &world.payments).await?;
        world.configure(listens, service.address)?;
        let host = Host::start(world.home(), Some(listener)).await?;
        let aecl = Door::to(listens, &world.starter)?;
        Ok(Self { world, service, host, aecl, listens })
    }

    async fn leave(self) {
        self.host.stop().await;
        self.service.stop().await;
    }

    fn priya(&self) -> Door {
        self.aecl.with(&self.world.priya)
    }

    fn operator(&self) -> Door {
        self.aecl.with(&self.world.operator)
    }
}

/// Plays the whole story.
pub(super) async fn play(mut stage: Stage, dir: &Path, keep: bool) -> CommandResult {
    let world = World::make(dir)?;
    stage.show(|page| {
        page.heading("AECL demo: one e-mail, twice");
    });
    stage.say(&format!(
        "The agent is a script that proposes the calls a model would. Everything else is real: a payments \
         service with its own book, a database with mails, invoices and vendors, and AECL between them. The \
         pieces lie in {} afterwards.",
        shown(&world.dir)
    ));
    let gone = without::play(&stage, &world).await?;
    stage.turn_over().await?;

    let cast = Cast::enter(world).await?;
    let agent = Agent::start(&cast.aecl).await?;
    let Some(held) = held::play(&mut stage, &cast, &agent).await? else {
        stage.gap();
        stage.say("Nothing was paid, and the story ends here. With a yes it goes on: run it again.");
        cast.leave().await;
        return Ok(Exit::Refused);
    };
    stage.turn_over().await?;
    refusals(&mut stage, &cast, &agent).await?;
    stage.turn_over().await?;
    let balance = undone(&stage, &cast, &held).await?;
    stage.turn_over().await?;
    let record = record::play(&stage, &cast.world, cast.host.gate().ledger())?;
    curtain(&stage, &cast.world, cast.listens, keep);
    if stage.is_quiet() {
        show::print_json(&json!({
            "dir": cast.world.dir,
            "without": {"balance": gone},
            "with": {"transfer": held, "balance": balance},
            "record": record,
        }));
    }
    if keep {
        drop(tokio::signal::ctrl_c().await);
    }
    cast.leave().await;
    Ok(Exit::Done)
}

/// What an answer of AECL says, in a word and a sentence.
fn tell(stage: &Stage, answer: &Value) {
    let state = answer.text("/state");
    let (tone, word, why) = match state.as_str() {
        "done" if answer.pointer("/replayed") == Some(&Value::Bool(true)) => {
            (Tone::Mind, "REPLAYED", "the recorded outcome again; nothing was executed".to_owned())
        }
        "done" => (Tone::Good, "DONE", String::new()),
        "pending" => (Tone::Mind, "HELD", answer.text("/message")),
        "blocked" => {
            (Tone::Bad, "BLOCKED", format!("{} [{}]", plain(&answer.text("/message")), answer.text("/code")))
        }
        "rejected" => (Tone::Bad, "REJECTED", answer.text("/message")),
        other => (Tone::Bad, other, answer.text("/message")),
    };
    stage.came(tone, word, &why);
}

/// A reason without the name of the policy, which the record has.
fn plain(message: &str) -> &str {
    message.split(" (policy `").next().unwrap_or(message)
}

/// The book of the payments service, as it stands.
async fn book(stage: &Stage, service: &Service) -> Result<String, Error> {
    let (balance, transfers) = (service.balance().await?, service.transfers().await?);
    stage.show(|page| {
        page.gap().line(format!("  the book   {:<24} {balance:>12} INR", "account operations"));
        for transfer in &transfers {
            let what = format!("{} to {}", transfer.text("/id"), transfer.text("/vendor_id"));
            let status = transfer.text("/status");
            page.line(format!("             {what:<24} {:>12} INR  {status}", transfer.text("/amount")));
        }
    });
    Ok(balance)
}

/// The same again, another amount, a name that is almost right, too much, and what is blocked.
async fn refusals(stage: &mut Stage, cast: &Cast, agent: &Agent) -> Result<(), Error> {
    stage.act(3, "the agent tries again");
    stage.say("The answer got lost, so its retry logic sends the same call once more.");
    let again = agent::transfer(100_000);
    stage.calls("transfer_funds", &again);
    tell(stage, &agent.propose("transfer_funds", &again, Some("pay-INV-884")).await?);
    book(stage, &cast.service).await?;
    stage.gap();
    stage
        .say("Another amount is another action: the yes was for exactly 100,000. Priya says no to this one.");
    let changed = agent::transfer(45_000);
    stage.calls("transfer_funds", &changed);
    let waiting = agent.propose("transfer_funds", &changed, Some("pay-again")).await?;
    tell(stage, &waiting);
    let no = json!({"reason": "INV-884 is paid"});
    cast.priya().post(&format!("/v1/approvals/{}/reject", waiting.text("/approval/id")), &no).await?;
    tell(stage, &agent.outcome(&waiting.text("/action")).await?);
    stage.gap();
    stage.say("These reach nobody's desk. A person is not woken for what another check refuses anyway.");
    let refused = [
        ("transfer_fund", agent::transfer(100)),
        ("transfer_funds", agent::transfer(60_000)),
        ("delete_record", json!({"invoice_id": "INV-884"})),
        ("transfer_funds", json!({"vendor_id": "V-221", "amount": -100_000, "currency": "INR"})),
    ];
    for (tool, arguments) in refused {
        stage.calls(tool, &arguments);
        tell(stage, &agent.propose(tool, &arguments, None).await?);
    }
    Ok(())
}

/// Undoing, once.
async fn undone(stage: &Stage, cast: &Cast, transfer: &str) -> Result<String, Error> {
    stage.act(4, "undo");
    stage.say(
        "The invoice turns out to be paid already. How a transfer is undone was bound to it before it happened; \
         the undo goes through the same door as everything else.",
    );
    let undo = async |why: &str| {
        let body = json!({"reason": why});
        stage.show(|page| {
            page.line(format!("  operator {} roll back the transfer", page.word(Tone::Quiet, "▸")));
        });
        cast.operator().post(&format!("/v1/actions/{transfer}/rollback"), &body).await
    };
    tell(stage, &undo("paid twice").await?);
    let balance = book(stage, &cast.service).await?;
    stage.gap();
    stage.say("A second time there is nothing to undo:");
    tell(stage, &undo("to be sure").await?);
    Ok(balance)
}

fn curtain(stage: &Stage, world: &World, listens: SocketAddr, keep: bool) {
    let dir = shown(&world.dir);
    stage.show(|page| {
        let rule = "─".repeat(super::stage::WIDTH);
        page.gap().line(rule).gap();
        let mut table = Table::new(&["", "without", "with AECL"]);
        table.plain(&["who decided", "the mail", "a finance lead, who saw everything"]);
        table.plain(&["the key to the money", "the agent", "AECL, at the moment of the call"]);
        table.plain(&["the same call again", "pays again", "gives the recorded outcome"]);
        table.plain(&["taking it back", "somebody has to notice", "one command, once"]);
        table.plain(&["what is on record", "nothing", "every step, signed; no change goes unseen"]);
        page.table(&table);
        page.gap().heading("Look around");
        let aecl = format!("aecl --dir {dir}");
        let mut look = |command: &str, what: &str| {
            page.line(format!("  {:<34} {what}", command));
        };
        look(&format!("{aecl} log tail"), "every step of the story");
        look(&format!("{aecl} log verify"), "what an auditor would do");
        look(&format!("{aecl} log replay"), "every decision, made again from the record");
        look(&format!("{aecl} policy show"), "what the agent may do, and why");
        look(&format!("{dir}/policy/"), "change it: what was written is checked when it loads");
        look(&format!("{dir}/world/"), "the company's database and the payments book");
        if keep {
            look(&format!("http://{listens}/approvals"), "the pages, until Ctrl-C");
        }
    });
}
