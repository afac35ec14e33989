//! `aecl explain act_…`: why a recorded action was allowed, held or blocked.

use super::page;
use crate::cli::log::show::traffic;
use crate::cli::log::source::Source;
use crate::cli::show::{self, Field, Page};
use crate::cli::{Common, Error, Exit, Result, client};
use aecl_kernel::base::id::ActionId;
use aecl_kernel::record::event::{Concluded, Event};
use serde_json::{Value, json};

pub(super) fn run(common: &Common, id: &str) -> Result {
    let id = ActionId::new(id)?;
    let path = format!("/v1/actions/{}", client::segment(id.as_str()));
    let answer = client::ask(common, async |client| client.get(&path).await)?;
    let decision = answer.get("decision").filter(|d| d.is_object()).ok_or_else(|| {
        Error::new(format!("there is no decision on record for `{id}`")).hint(format!("aecl log show {id}"))
    })?;
    let ended = ended(common, &id)?;
    if common.json {
        let mut answer = answer.clone();
        if let (Some(ended), Value::Object(answer)) = (&ended, &mut answer) {
            answer.insert("sandbox".into(), json!(ended.sandbox));
            answer.extend(ended.traffic.as_ref().map(|traffic| ("traffic".to_owned(), json!(traffic))));
        }
        show::print_json(&answer);
    } else {
        told(&answer, decision, ended.as_ref()).print();
    }
    Ok(match decision.text("/verdict").as_str() {
        "allow" => Exit::Done,
        "require_approval" => Exit::Pending,
        _ => Exit::Refused,
    })
}

/// How it ended, if it did: where it ran and whom it reached from there stands in the record only.
fn ended(common: &Common, id: &ActionId) -> std::result::Result<Option<Concluded>, Error> {
    let rows = Source::open(common)?.of_action(id.as_str())?;
    let concluded = rows.into_iter().rev().find_map(|row| match row.entry.event {
        Event::Concluded(concluded) => Some(*concluded),
        _ => None,
    });
    Ok(concluded)
}

fn told(answer: &Value, decision: &Value, ended: Option<&Concluded>) -> Page {
    let mut page = Page::new();
    page::verdict(&mut page, decision, &decision.text("/reason"), &answer.text("/name"));
    page.gap();
    let step = decision.text("/plan_step");
    for (label, at) in [
        ("action", "/action"),
        ("run", "/run"),
        ("state", "/state"),
        ("message", "/message"),
        ("approval", "/decision/approval"),
        ("completes", "/decision/completes"),
        ("waits for", "/approval/id"),
        ("undoes", "/compensates"),
        ("undone by", "/undo/by"),
    ] {
        if !answer.text(at).is_empty() {
            page.field(label, &answer.text(at));
        }
        if at == "/decision/approval" && !step.is_empty() {
            page.field("", &format!("of the run's plan; this is step {step} of the plan"));
        }
    }
    let cage = ended.map_or("", |ended| ended.sandbox.as_str());
    if !cage.is_empty() {
        page.field("ran in", cage);
    }
    traffic(&mut page, ended.and_then(|ended| ended.traffic.as_ref()));
    page.decision(decision, None);
    page
}
