//! The steps of a plan that people are asked about.

use crate::cli::show::{Field, Page, Tone, inert_line};
use serde_json::Value;

/// Whether the request is about a plan.
pub(super) fn is_asked(ask: &Value) -> bool {
    ask.text("/about") == "plan"
}

/// Whether its agent has proposed it in the middle of the run.
pub(super) fn is_proposed(ask: &Value) -> bool {
    ask.pointer("/proposed").and_then(Value::as_bool).unwrap_or(false)
}

/// Every step, with what would make it ask by itself.
pub(super) fn steps(page: &mut Page, ask: &Value) {
    page.heading("Exactly these steps, in this order");
    let steps = ask.items("/plan_steps");
    if steps.is_empty() {
        page.item("what they are is not known any more; do not agree to it");
    }
    for step in steps {
        one(page, step);
    }
}

/// What an action does: in the operator's words, or in its server's, which are marked as such.
pub(super) fn does(page: &mut Page, what: &str, server_says: Option<&Value>) {
    if !what.is_empty() {
        page.prose("does", what);
    }
    page.server_says(server_says);
}

/// Who stands behind a value.
fn standing(page: &mut Page, value: &Value) {
    let shown = value.get("value").map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let (shown, stands) = (inert_line(&shown.unwrap_or_default()), inert_line(&value.text("/stands")));
    let unproven = value.pointer("/unproven").and_then(Value::as_bool).unwrap_or(true);
    let text = match (unproven, stands.as_str()) {
        (true, "") => format!("  unproven: {shown}: nobody who is trusted has named it"),
        (true, stands) => format!("  unproven: {shown}: {stands}, which is not enough here"),
        (false, "") => return,
        (false, stands) => format!("  proven: {shown}: {stands}"),
    };
    page.toned(if unproven { Tone::Mind } else { Tone::Quiet }, &text);
}

fn one(page: &mut Page, step: &Value) {
    let times = match step.pointer("/times").and_then(Value::as_u64) {
        Some(1) | None => String::new(),
        Some(n) => format!(", up to {n} times"),
    };
    let title = format!("{}. {}{times}", step.text("/number"), inert_line(&step.text("/name")));
    page.gap().toned(Tone::Strong, &title);
    does(page, &step.text("/what"), step.pointer("/server_says"));
    let unnamed: Vec<&str> = step.items("/unnamed").iter().filter_map(Value::as_str).collect();
    for argument in step.items("/arguments") {
        let at = argument.text("/at");
        let is = argument.text("/is").replace('_', " ");
        page.field(at.trim_start_matches('/'), &format!("{is}:"));
        for value in argument.items("/values") {
            page.quote(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        if unnamed.iter().any(|u| *u == at || u.starts_with(&format!("{at}/"))) {
            page.toned(Tone::Mind, "  only the plan names it; the goal does not");
        }
        let under = |value: &&Value| {
            let place = value.text("/at");
            place == at || place.starts_with(&format!("{at}/"))
        };
        step.items("/values").iter().filter(under).for_each(|value| standing(page, value));
    }
    for name in step.items("/anything").iter().filter_map(Value::as_str) {
        page.field(&inert_line(name), "anything");
    }
    let undoable = step.pointer("/undoable").and_then(Value::as_bool).unwrap_or(false);
    let undo = page.word(if undoable { Tone::Plain } else { Tone::Bad }, &inert_line(&step.text("/undo")));
    page.line(format!("  {:<13} {undo}", "undo"));
    let cage = step.text("/cage");
    if !cage.is_empty() {
        page.field("held", &cage);
    }
    for (i, whom) in step.items("/reaches").iter().enumerate() {
        page.prose(if i == 0 { "reaches" } else { "" }, whom.as_str().unwrap_or_default());
    }
    page.field("risk", &step.text("/risk"));
    for (i, why) in step.items("/because").iter().enumerate() {
        page.prose(if i == 0 { "asks because" } else { "" }, why.as_str().unwrap_or_default());
    }
    for open in step.items("/open") {
        let required = open.pointer("/required").and_then(Value::as_bool).unwrap_or(true);
        let then = if required { "every call asks by itself" } else { "a call that gives it asks by itself" };
        page.field("left open", &format!("{}; {then}", open.text("/at").trim_start_matches('/')));
    }
    if step.pointer("/stale").and_then(Value::as_bool).unwrap_or(false) {
        page.toned(Tone::Mind, "  its definition has changed since; a yes to the plan does not reach it");
    }
}
