//! The request as the approver sees it in the terminal: first what will happen and to whom, then why we ask,
//! then what cannot be undone, then everything else. Nothing is cut off, and a stranger's text is only shown.

use super::stage::{Stage, wrapped, wrapped_from};
use crate::cli::show::{Field as _, Page, Tone};
use serde_json::Value;

/// Shows a request, as the API tells it.
pub(super) fn show(stage: &Stage, request: &Value) {
    stage.show(|page| {
        page.heading(&format!("  {}", request.text("/summary/title")));
        let on_behalf = match request.text("/user") {
            user if user.is_empty() => String::new(),
            user => format!(", for {user}"),
        };
        let what = format!(
            "  {} In {}, by {}{on_behalf}.",
            request.text("/summary/what"),
            request.text("/environment"),
            request.text("/agent")
        );
        page.line(wrapped(&what, 2)).gap();
        page.line("  Asked because");
        for reason in request.items("/summary/because") {
            let reason = reason.as_str().unwrap_or_default();
            page.line(wrapped(&format!("    - {}", reason.split(" (policy `").next().unwrap_or(reason)), 6));
        }
        page.gap();
        let tone = if request.pointer("/summary/undoable") == Some(&Value::Bool(true)) {
            Tone::Plain
        } else {
            Tone::Bad
        };
        let undo = page.word(tone, &request.text("/summary/undo"));
        field(page, "Undo", &undo);
        field(page, "Arguments", &request.text("/arguments"));
        field(page, "Goal", &request.text("/goal"));
        field(page, "Must agree", &who(request));
        field(page, "Expires", &format!("{}; no answer is a no", request.text("/expires_at")));
        field(page, "Page", &request.text("/url"));
        page.gap().line("  Before that, in this run");
        for step in request.items("/history") {
            let foreign = step.pointer("/untrusted") == Some(&Value::Bool(true));
            let mark = if foreign { ": what it read may be a stranger's text" } else { "" };
            page.line(format!(
                "    {} {} {}{mark}",
                step.text("/name"),
                step.text("/arguments"),
                step.text("/state")
            ));
            if foreign {
                quoted(page, &step.text("/output"));
            }
        }
    });
}

fn field(page: &mut Page, name: &str, text: &str) {
    page.line(format!("  {name:<10} {}", wrapped_from(13, text, 13)));
}

fn who(request: &Value) -> String {
    let need: Vec<String> = request
        .items("/need")
        .iter()
        .map(|need| {
            let groups: Vec<String> =
                need.items("/groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            format!("{} of {}", need.text("/count"), groups.join(" or "))
        })
        .collect();
    let never: Vec<&str> = request.items("/excluded").iter().filter_map(Value::as_str).collect();
    format!("{}; never {}", need.join(", "), never.join(", "))
}

/// What was read, as rows of text where it is rows: somebody else's words, marked line by line.
fn quoted(page: &mut Page, output: &str) {
    let value: Value = serde_json::from_str(output).unwrap_or_else(|_| Value::String(output.to_owned()));
    let mut lines = Vec::new();
    for row in value.items("/rows") {
        let cell = |(name, cell): (&String, &Value)| match cell.as_str() {
            Some(text) => format!("{name}: {text}"),
            None => format!("{name}: {cell}"),
        };
        let cells: Vec<String> = row.as_object().into_iter().flatten().map(cell).collect();
        let on_one_line = cells.join(" · ");
        if on_one_line.contains('\n') { lines.extend(cells) } else { lines.push(on_one_line) }
    }
    let text = if lines.is_empty() { value.to_string() } else { lines.join("\n") };
    for line in text.lines() {
        page.quote(&wrapped_from(4, line, 2));
    }
}
