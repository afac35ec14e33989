//! `aecl explain act_…`: why a recorded action was allowed, held or blocked.

use super::page;
use crate::cli::show::{self, Field, Page};
use crate::cli::{Common, Error, Exit, Result, client};
use aecl_kernel::id::ActionId;
use serde_json::Value;

pub(super) fn run(common: &Common, id: &str) -> Result {
    let id = ActionId::new(id)?;
    let path = format!("/v1/actions/{}", client::segment(id.as_str()));
    let answer = client::ask(common, async |client| client.get(&path).await)?;
    let decision = answer.get("decision").filter(|d| d.is_object()).ok_or_else(|| {
        Error::new(format!("there is no decision on record for `{id}`")).hint(format!("aecl log show {id}"))
    })?;
    if common.json {
        show::print_json(&answer);
    } else {
        told(&answer, decision).print();
    }
    Ok(match decision.text("/verdict").as_str() {
        "allow" => Exit::Done,
        "require_approval" => Exit::Pending,
        _ => Exit::Refused,
    })
}

fn told(answer: &Value, decision: &Value) -> Page {
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
    page.decision(decision, None);
    page
}
