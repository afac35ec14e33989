//! `aecl approvals watch`.

use super::card;
use crate::cli::show::{self, Field, Page};
use crate::cli::{Common, Exit, Result, client, runtime};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often the queue is looked at.
const EVERY: Duration = Duration::from_millis(500);

pub(super) fn run(common: &Common) -> Result {
    runtime()?.block_on(async {
        let mut client = client::connect(common).await?;
        show::say("Waiting for requests; end with Ctrl-C.");
        let aecl = show::aecl(common);
        let mut known = BTreeSet::new();
        let mut ticks = tokio::time::interval(EVERY);
        let ended = loop {
            tokio::select! {
                _ = ticks.tick() => {}
                interrupted = tokio::signal::ctrl_c() => break interrupted.map_or(Exit::Failed, |()| Exit::Done),
            }
            let queue = match client.get("/v1/approvals").await {
                Ok(queue) => queue,
                Err(error) if error.code.is_none() => {
                    // Whoever served has gone; connecting again finds the next one, or serves.
                    client.close().await;
                    client = client::connect(common).await?;
                    continue;
                }
                Err(error) => {
                    client.close().await;
                    return Err(error);
                }
            };
            let mut open = BTreeSet::new();
            let mut heard = true;
            for ask in queue.items("/approvals") {
                let id = ask.text("/id");
                open.insert(id.clone());
                if known.contains(&id) {
                    continue;
                }
                heard &= if common.json {
                    show::print_json_line(ask)
                } else {
                    let mut page = Page::new();
                    card::head(&mut page, ask);
                    page.field("more", &format!("{aecl} approvals show {id}"));
                    card::commands(&mut page, ask, &aecl);
                    page.gap().print()
                };
            }
            // What is closed is forgotten, so that a long watch does not grow.
            known = open;
            if !heard {
                break Exit::Done;
            }
        };
        client.close().await;
        Ok(ended)
    })
}
