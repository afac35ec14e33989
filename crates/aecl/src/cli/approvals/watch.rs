//! `aecl approvals watch`: requests as they come. On a terminal it rings, shows each whole, and takes the answer by
//! one key; what has to be typed is typed.

use super::keys::{ENDS, Keys};
use super::{card, changed_servers, more, page_of};
use crate::cli::client::Client;
use crate::cli::show::{self, Field, Page, Tone, inert_line};
use crate::cli::{Common, Error, Exit, Result, client, runtime};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often the queue is looked at.
const EVERY: Duration = Duration::from_millis(500);

pub(super) fn run(common: &Common) -> Result {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !common.json;
    runtime()?.block_on(async {
        let client = client::connect(common).await?;
        let keys = if terminal { Some(Keys::new()?) } else { None };
        show::say(match keys {
            Some(_) => "Waiting for requests; end with q.",
            None => "Waiting for requests; end with Ctrl-C.",
        });
        let mut watch =
            Watch { common, client: Some(client), known: BTreeSet::new(), left_out: 0, changed: Vec::new() };
        let ended = watch.until_over(keys.as_ref()).await;
        if let Some(client) = watch.client.take() {
            client.close().await;
        }
        ended
    })
}

/// What is watched, and what was shown of it.
struct Watch<'a> {
    common: &'a Common,
    client: Option<Client>,
    known: BTreeSet<String>,
    left_out: usize,
    /// Lines about servers that were said last.
    changed: Vec<String>,
}

/// What somebody has said about a request.
#[derive(PartialEq, Eq)]
enum Said {
    /// It is answered, or left for later.
    Next,
    /// It is shown otherwise now.
    Again,
    /// Enough.
    Quit,
}

impl Watch<'_> {
    async fn until_over(&mut self, keys: Option<&Keys>) -> Result {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                interrupted = tokio::signal::ctrl_c() => {
                    return Ok(interrupted.map_or(Exit::Failed, |()| Exit::Done));
                }
            }
            for ask in self.news().await? {
                let said = match keys {
                    Some(keys) => self.put(keys, &ask).await?,
                    None if self.tell(&ask).await? => Said::Next,
                    None => Said::Quit,
                };
                if said == Said::Quit {
                    return Ok(Exit::Done);
                }
            }
            if let Some(keys) = keys
                && let Some(key) = keys.next(Duration::ZERO).await?
                && (key == b'q' || ENDS.contains(&key))
            {
                return Ok(Exit::Done);
            }
        }
    }

    /// Requests that were not shown yet, of those that end soonest.
    async fn news(&mut self) -> std::result::Result<Vec<Value>, Error> {
        let queue = self.get(&page_of(false, None)).await?;
        let newest = self.get(&page_of(true, None)).await?;
        let mut open = BTreeSet::new();
        let mut news = Vec::new();
        for ask in queue.items("/approvals").iter().chain(newest.items("/approvals")) {
            let id = ask.text("/id");
            if open.insert(id.clone()) && !self.known.contains(&id) {
                news.push(ask.clone());
            }
        }
        let left_out = more(&queue, open.len());
        if left_out != self.left_out && left_out > 0 {
            let aecl = show::aecl(self.common);
            show::say(&format!("{left_out} more wait: `{aecl} approvals list`"));
        }
        self.left_out = left_out;
        let changed = changed_servers(&queue, &show::aecl(self.common));
        for line in changed.iter().filter(|line| !self.changed.contains(line)) {
            show::say(line);
        }
        self.changed = changed;
        // What is closed is forgotten, so that a long watch does not grow.
        self.known = open;
        Ok(news)
    }

    async fn get(&mut self, path: &str) -> std::result::Result<Value, Error> {
        loop {
            let Some(client) = &self.client else {
                self.client = Some(client::connect(self.common).await?);
                continue;
            };
            match client.get(path).await {
                Err(error) if error.code.is_none() => {
                    // Whoever served has gone; connecting again finds the next one, or serves.
                    if let Some(client) = self.client.take() {
                        client.close().await;
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Tells of a request where nobody can answer here. Gives whether anybody reads on.
    async fn tell(&mut self, ask: &Value) -> std::result::Result<bool, Error> {
        if self.common.json {
            return Ok(show::print_json_line(ask));
        }
        let Some(full) = self.full(ask).await? else { return Ok(true) };
        let aecl = show::aecl(self.common);
        let mut page = Page::new();
        card::head(&mut page, &full);
        page.field("more", &format!("{aecl} approvals show {}", full.text("/number")));
        card::commands(&mut page, &full, &aecl);
        Ok(page.gap().print())
    }

    /// The request as it is now, unless it is closed meanwhile.
    async fn full(&mut self, ask: &Value) -> std::result::Result<Option<Value>, Error> {
        let path = format!("/v1/approvals/{}", client::segment(&ask.text("/id")));
        let full = self.get(&path).await?;
        Ok(Some(full).filter(|full| full.text("/state") == "pending"))
    }

    /// Whether it is still open, at the price of a page.
    async fn is_open(&mut self, full: &Value) -> std::result::Result<bool, Error> {
        let run = client::segment(&full.text("/run"));
        let queue = self.get(&format!("/v1/approvals?state=pending&order=newest&run={run}")).await?;
        let here = queue.items("/approvals");
        let id = full.text("/id");
        Ok(more(&queue, here.len()) > 0 || here.iter().any(|ask| ask.text("/id") == id))
    }

    /// Puts a request before the person at the terminal, and takes the answer.
    async fn put(&mut self, keys: &Keys, ask: &Value) -> std::result::Result<Said, Error> {
        loop {
            let Some(full) = self.full(ask).await? else { return Ok(Said::Next) };
            let may = full.pointer("/may_answer").and_then(Value::as_bool).unwrap_or(false);
            ring(&full);
            let mut page = Page::new();
            page.gap();
            card::head(&mut page, &full);
            if !may {
                page.toned(Tone::Quiet, "  It asks for others; you may not answer it.").print();
                return Ok(Said::Next);
            }
            for typed in full.items("/confirm") {
                page.field("to approve", &format!("type {}", typed.text("/what")));
            }
            let number = full.text("/number");
            page.toned(
                Tone::Strong,
                &format!("  {number}:  a approve   r reject   s show everything   n later   q quit"),
            );
            page.print();
            keys.shown().await?;
            show::print("  > ");
            let said = self.answer(keys, &full).await?;
            show::print("\n");
            if said != Said::Again {
                return Ok(said);
            }
        }
    }

    async fn answer(&mut self, keys: &Keys, full: &Value) -> std::result::Result<Said, Error> {
        loop {
            let Some(key) = keys.next(EVERY).await? else {
                if !self.is_open(full).await? {
                    show::say("It is closed meanwhile.");
                    return Ok(Said::Next);
                }
                continue;
            };
            match key {
                b'a' => {
                    let mut typed = Vec::new();
                    for wanted in full.items("/confirm") {
                        let question = format!("  {}: ", inert_line(&wanted.text("/what")));
                        match keys.line(&question).await? {
                            Some(line) => typed.push(line),
                            None => return Ok(Said::Again),
                        }
                    }
                    return self.send(full, "approve", json!({"confirm": typed})).await;
                }
                b'r' => {
                    let question = "  Why not? The agent is told (may be empty): ";
                    return match keys.line(question).await? {
                        Some(reason) => self.send(full, "reject", json!({"reason": reason})).await,
                        None => Ok(Said::Again),
                    };
                }
                b's' => {
                    card::full(full, &show::aecl(self.common)).print();
                    keys.shown().await?;
                    show::print("  > ");
                }
                b'n' => return Ok(Said::Next),
                b'q' => return Ok(Said::Quit),
                key if ENDS.contains(&key) => return Ok(Said::Quit),
                _ => {}
            }
        }
    }

    /// Hands the answer over, for what was on the screen.
    async fn send(&mut self, full: &Value, way: &str, mut body: Value) -> std::result::Result<Said, Error> {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("view".to_owned(), json!(full.text("/view")));
        }
        let path = format!("/v1/approvals/{}/{way}", client::segment(&full.text("/id")));
        let Some(client) = &self.client else { return Ok(Said::Again) };
        match client.post(&path, &body).await {
            Ok(after) => {
                let word = match (after.text("/state").as_str(), way) {
                    ("pending", _) => "Noted; more people have to agree.",
                    (_, "approve") => "Approved.",
                    _ => "Rejected; the agent is told.",
                };
                show::say(&format!("{} {word}", full.text("/number")));
                Ok(Said::Next)
            }
            Err(error) if matches!(error.code.as_deref(), Some("view_changed" | "confirmation_wanted")) => {
                show::say(&error.message);
                Ok(Said::Again)
            }
            Err(error) if error.code.is_some() => {
                show::say(&error.message);
                Ok(Said::Next)
            }
            // Whether it was taken is not known; the queue says.
            Err(error) => {
                show::say(&format!("{}; it is shown again if it still waits", error.message));
                self.client = None;
                Ok(Said::Again)
            }
        }
    }
}

/// Calls a person: the bell, the title of the terminal, and a notice where the terminal shows such.
fn ring(full: &Value) {
    let title = inert_line(&full.text("/summary/title")).replace(';', ",");
    show::print(&format!("\u{7}\u{1b}]2;AECL asks: {title}\u{7}\u{1b}]9;AECL asks: {title}\u{7}"));
}
