//! `aecl explain act_…`: why a recorded action was allowed, held or blocked.

use super::super::client;
use super::super::show::{self, Field, Page};
use super::page;
use crate::cli::{Common, Error, Result, runtime};
use aecl_kernel::decide::Decision;
use serde_json::Value;

pub(super) fn run(common: &Common, id: &str) -> Result {
    // Only names go into a path.
    aecl_kernel::id::ActionId::new(id).map_err(|e| Error::new(e.to_string()))?;
    let answer = runtime()?.block_on(async {
        let client = client::connect(common).await?;
        let answer = client.get(&format!("/v1/actions/{id}")).await;
        client.close().await;
        answer
    })?;
    let decision: Decision = answer
        .get("decision")
        .cloned()
        .and_then(|d| serde_json::from_value(d).ok())
        .ok_or_else(|| Error::new(format!("there is no decision on record for `{id}`")).hint("aecl log show shows all of it"))?;
    if common.json {
        show::print_json(&answer);
    } else {
        told(&answer, &decision).print();
    }
    Ok(super::exit(decision.verdict))
}

fn told(answer: &Value, decision: &Decision) -> Page {
    let mut page = Page::new();
    let name = [answer.text("/action"), answer.text("/name")].into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    page::verdict(&mut page, decision, &name);
    page.gap();
    for (label, at) in [("id", "/id"), ("run", "/run"), ("state", "/state"), ("approval", "/approval_id"), ("message", "/message")] {
        if answer.has(at) {
            page.field(label, &answer.text(at));
        }
    }
    if let Some(arguments) = answer.get("arguments") {
        page.heading("Arguments").json(arguments);
    }
    page::findings(&mut page, decision);
    page::risk(&mut page, decision, None);
    page.heading("Policies that decided");
    for policy in &decision.policies {
        page.item(policy);
    }
    page
}
