//! One request for approval, as a person reads it: first what will happen and to whom, then why we ask, then
//! whether it can be undone; then everything else.

use super::html::Html;
use super::login::Visitor;
use super::plan;
use crate::http::story::span;
use crate::http::wire::{Full, Requirement, Step};
use aecl_gate::approvals::EXCERPT_MAX;
use aecl_kernel::digest::Digest;
use aecl_kernel::time::Timestamp;
use serde_json::Value;

/// The card, with the form to answer if this person may.
pub fn card(full: &Full, visitor: &Visitor, now: Timestamp) -> Html {
    let shown = if full.approval.about == "plan" { of_plan(full, now) } else { of_action(full, now) };
    // What was on the page when the answer was given, so that the record can say so.
    let view = Digest::of(shown.as_str().as_bytes());
    let answer = answer(full, visitor, &view);
    // What there is to do stands below what it is about; what has come of it stands above.
    match full.approval.state {
        "pending" => Html::new().html(&shown).html(&answer),
        _ => Html::new().html(&answer).html(&shown),
    }
}

fn of_plan(full: &Full, now: Timestamp) -> Html {
    Html::new()
        .html(&what(full))
        .html(&goal(full))
        .html(&plan::steps(&full.plan_steps))
        .html(&why(full))
        .html(&people(full, now))
}

fn of_action(full: &Full, now: Timestamp) -> Html {
    Html::new()
        .html(&what(full))
        .html(&why(full))
        .html(&arguments(full))
        .html(&unproven(full))
        .html(&read_from_outside(full))
        .html(&goal(full))
        .html(&history(full))
        .html(&people(full, now))
}

/// A moment without its milliseconds.
pub fn moment(text: &str) -> String {
    let plain = text.split('.').next().unwrap_or(text).replace('T', " ");
    format!("{} UTC", plain.trim_end_matches('Z'))
}

fn row(html: Html, name: &'static str, value: &str) -> Html {
    html.raw("<dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd>")
}

fn what(full: &Full) -> Html {
    let story = &full.summary;
    let place = match &full.project {
        Some(project) => format!("{}, tenant {}, project {project}", full.environment, full.tenant),
        None => format!("{}, tenant {}", full.environment, full.tenant),
    };
    let mut html = Html::new()
        .raw("<p><span class=\"badge\">")
        .raw(full.approval.state)
        .raw("</span></p><h1>")
        .text(&story.title)
        .raw("</h1>")
        .when(!story.what.is_empty(), |h| h.raw("<p class=\"lead\">").text(&story.what).raw("</p>"))
        .raw("<dl class=\"card facts\">");
    if let Some(amount) = &story.amount {
        html = row(html, "Amount", amount);
    }
    for to in &story.to {
        html = row(html, "To", to).when(!to.is_ascii(), |h| {
            h.raw(
                "<dt></dt><dd class=\"warn\">Not all of this is plain ASCII; some letters look like others: ",
            )
            .text(&beyond_ascii(to))
            .raw("</dd>")
        });
    }
    for line in &story.runs {
        html = row(html, "It", line);
    }
    if let Some(cage) = &story.cage {
        html = html
            .raw("<dt>Held</dt><dd>")
            .when(story.lowered, |h| h.raw("<strong class=\"bad\">"))
            .prose(cage)
            .when(story.lowered, |h| h.raw("</strong>"))
            .raw("</dd>");
    }
    for whom in &story.reaches {
        html = html.raw("<dt>Reaches</dt><dd>").prose(whom).raw("</dd>");
    }
    html = row(html, "Where", &place);
    html = row(html, "Asked by", &full.agent);
    if let Some(user) = &full.user {
        html = row(html, "On behalf of", user);
    }
    html.raw("<dt>Undo</dt><dd>")
        .when(!story.undoable, |h| h.raw("<strong class=\"bad\">"))
        .prose(&story.undo)
        .when(!story.undoable, |h| h.raw("</strong>"))
        .raw("</dd></dl>")
        .when(story.stale, |h| {
            h.raw(match full.approval.about {
                "plan" => "<p class=\"note\">The policy has changed since people were asked. Every call is judged by the policy of then.</p>",
                _ => "<p class=\"note\">The definition of this action has changed since it was proposed. It is judged again before anything happens.</p>",
            })
        })
}

fn why(full: &Full) -> Html {
    let risk = &full.decision.risk;
    Html::new()
        .raw("<h2>Why you are asked</h2><ul>")
        .each(&full.summary.because, |h, reason| h.raw("<li>").prose(reason).raw("</li>"))
        .raw("</ul><details><summary>Risk ")
        .text(&risk.score)
        .raw("</summary>")
        .when(risk.factors.is_empty(), |h| h.raw("<p>Nothing adds to it.</p>"))
        .raw("<ul>")
        .each(&risk.factors, |h, f| {
            h.raw("<li>")
                .text(&f.value)
                .raw(" <span class=\"quiet\">+")
                .text(&f.points.to_string())
                .raw("</span></li>")
        })
        .raw("</ul></details>")
}

/// Who supplied the values that are asked about: which output, which field, which words.
fn unproven(full: &Full) -> Html {
    if full.unproven.is_empty() {
        return Html::new();
    }
    Html::new()
        .raw("<h2>Where these values come from</h2><p class=\"quiet\">Neither the goal nor anybody else who is trusted has named them. What is quoted here may be a stranger's words; what it asks for counts for nothing.</p>")
        .each(&full.unproven, |h, unproven| {
            h.raw("<section class=\"untrusted\"><h3><code>")
                .text(unproven.at.trim_start_matches('/'))
                .raw("</code> <span class=\"quiet\">")
                .text(&unproven.class.replace('_', " "))
                .raw("</span></h3><pre dir=\"auto\">")
                .text(&unproven.value)
                .raw("</pre>")
                .when(unproven.seen.is_empty(), |h| {
                    h.raw("<p>It stands in nothing that this run has read: the agent made it up, or wrote it otherwise.</p>")
                })
                .raw("<ul>")
                .each(&unproven.seen, |h, seen| {
                    h.raw("<li>seen in <code>")
                        .text(&seen.name)
                        .raw("</code> at <code>")
                        .text(if seen.path.is_empty() { "/" } else { &seen.path })
                        .raw("</code><pre dir=\"auto\">")
                        .text(&seen.excerpt)
                        .raw("</pre></li>")
                })
                .raw("</ul></section>")
        })
}

fn arguments(full: &Full) -> Html {
    let html =
        Html::new().raw("<h2>Exactly this</h2><p class=\"quiet\">All arguments of <code>").text(&full.name);
    let html = html.raw("</code>, complete. Your answer is for these and no others.</p>");
    match full.arguments.as_object() {
        Some(map) if !map.is_empty() => html
            .raw("<dl class=\"card arguments\">")
            .each(map, |h, (name, value)| {
                h.raw("<dt>").text(name).raw("</dt><dd><pre>").text(&readable(value)).raw("</pre></dd>")
            })
            .raw("</dl>"),
        _ => html.raw("<p class=\"card\">It has no arguments.</p>"),
    }
}

/// Each letter beyond ASCII, with its number.
pub(super) fn beyond_ascii(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_ascii()).take(20);
    letters.map(|c| format!("{c} U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(", ")
}

/// A text as it reads, anything else as JSON.
pub(super) fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn read_from_outside(full: &Full) -> Html {
    let read: Vec<(&Step, &String)> = full
        .history
        .iter()
        .filter(|s| s.untrusted)
        .filter_map(|s| s.output.as_ref().map(|output| (s, output)))
        .collect();
    if read.is_empty() {
        return Html::new();
    }
    Html::new()
        .raw("<h2>What the agent had read before</h2><p class=\"quiet\">Strangers may have written this, and it may be what made the agent ask. It is shown as plain text; what it asks for counts for nothing.</p>")
        .each(read, |h, (step, output)| {
            h.raw("<section class=\"untrusted\"><h3>Untrusted text from <code>")
                .text(&step.name)
                .raw("</code></h3>")
                .html(&output_of(output))
                .when(output.chars().count() >= EXCERPT_MAX, |h| {
                    h.raw("<p class=\"quiet\">Shortened here; <code>aecl log show</code> has all of it.</p>")
                })
                .raw("</section>")
        })
}

/// An output: the texts in it, each on its own, so that a mail reads like a mail.
fn output_of(output: &str) -> Html {
    let Ok(value) = serde_json::from_str::<Value>(output) else {
        return Html::new().raw("<pre dir=\"auto\">").text(output).raw("</pre>");
    };
    let mut leaves = Vec::new();
    flatten("", &value, &mut leaves);
    Html::new().each(leaves, |h, (path, text)| {
        h.when(!path.is_empty(), |h| h.raw("<p class=\"quiet\">").text(&path).raw("</p>"))
            .raw("<pre dir=\"auto\">")
            .text(&text)
            .raw("</pre>")
    })
}

fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} › {name}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| flatten(&below(name), value, leaves)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| flatten(&below(&(i + 1).to_string()), v, leaves));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            leaves.push((path.to_owned(), readable(value)))
        }
    }
}

fn goal(full: &Full) -> Html {
    let html = Html::new().raw("<h2>What the agent is to do</h2><pre class=\"card\">");
    let html = html.text(full.goal.as_deref().unwrap_or("no goal was declared")).raw("</pre>");
    match &full.plan {
        Some(plan) => html
            .raw("<details><summary>Its plan</summary><pre>")
            .text(&readable(plan))
            .raw("</pre></details>"),
        None => html,
    }
}

fn history(full: &Full) -> Html {
    if full.history.is_empty() {
        return Html::new().raw("<p class=\"quiet\">This is the first thing it asks for.</p>");
    }
    Html::new()
        .raw("<h2>What it has done so far</h2><ol class=\"history\">")
        .each(&full.history, |h, step| {
            let arguments = step.arguments.as_ref().map(readable).unwrap_or_else(|| "erased".into());
            h.raw("<li><details><summary><code>")
                .text(&step.name)
                .raw("</code> <span class=\"badge\">")
                .raw(step.state)
                .raw("</span></summary><pre>")
                .text(&arguments)
                .raw("</pre>")
                .when(!step.untrusted, |h| {
                    h.raw("<pre>").text(step.output.as_deref().unwrap_or("no output")).raw("</pre>")
                })
                .raw("</details></li>")
        })
        .raw("</ol>")
}

fn groups(need: &Requirement) -> String {
    let people = if need.count == 1 { "1 person".to_owned() } else { format!("{} people", need.count) };
    format!("{people} of {}", need.groups.join(" or "))
}

fn people(full: &Full, now: Timestamp) -> Html {
    let ask = &full.approval;
    let left = Timestamp::parse(&ask.expires_at).map_or(0, |t| t.since_ms(now) / 1000);
    let html = Html::new()
        .raw("<h2>Who must agree</h2><ul>")
        .each(&ask.need, |h, need| h.raw("<li>").text(&groups(need)).raw("</li>"))
        .raw("</ul>")
        .when(!ask.votes.is_empty(), |h| {
            h.raw("<ul>")
                .each(&ask.votes, |h, vote| {
                    h.raw("<li>")
                        .text(&vote.person)
                        .raw(if vote.yes { " agreed" } else { " rejected it" })
                        .when(!vote.reason.is_empty(), |h| h.raw(": “").text(&vote.reason).raw("”"))
                        .raw(" <span class=\"quiet\">")
                        .text(&moment(&vote.at))
                        .raw("</span></li>")
                })
                .raw("</ul>")
        });
    if ask.state == "pending" || ask.state == "approved" {
        return html.raw("<p>Expires in ").text(&span(left)).raw(", at ").text(&moment(&ask.expires_at)).raw(
            match ask.about {
                "plan" => ". Then each step asks by itself.</p>",
                _ => ". Then it is rejected, and nothing happens.</p>",
            },
        );
    }
    html
}

fn answer(full: &Full, visitor: &Visitor, view: &Digest) -> Html {
    if full.approval.about == "plan" && full.approval.state != "pending" {
        return after_plan(full, visitor, view);
    }
    if full.approval.state != "pending" {
        let said = match full.approval.state {
            "approved" => "It is approved, and not carried out yet.",
            "rejected" => "It was rejected. Nothing was executed.",
            "expired" => "It has expired. Nothing was executed.",
            "withdrawn" => "The plan of its run was approved, and covers it.",
            _ => "It was approved, and the approval is used.",
        };
        return Html::new()
            .raw("<p class=\"note\" role=\"status\">")
            .raw(said)
            .raw(" The action is ")
            .raw(full.action_state)
            .raw(".</p>");
    }
    if !full.may_answer {
        return Html::new().raw("<p class=\"note\">You may not answer this one: it asks for others, it is yours, or you have answered.</p>");
    }
    form(full, visitor, view)
        .when(full.approval.about == "plan", |h| {
            h.raw("<p class=\"quiet\">Your yes is for all of these steps. A no ends the run.</p>")
        })
        .raw("<details><summary>Add a reason, which the agent is told</summary><input id=\"reason\" name=\"reason\" maxlength=\"2000\" autocomplete=\"off\" aria-label=\"Reason\"></details>")
        .when(!full.unproven.is_empty(), |h| {
            h.raw("<label><input type=\"checkbox\" name=\"endorse\" value=\"yes\"> The values above are right for the rest of this run, each in its role</label>")
        })
        .each(full.approval.confirm.iter().enumerate(), |h, (i, typed)| {
            let number = i.to_string();
            h.raw("<label class=\"confirm\">To approve, type ")
                .prose(&typed.what)
                .raw(" <input required autocomplete=\"off\" spellcheck=\"false\" maxlength=\"16\" name=\"confirm_")
                .attribute(&number)
                .raw("\"></label>")
        })
        .raw("<div class=\"buttons\"><button class=\"no\" name=\"answer\" value=\"reject\" formnovalidate>Reject</button><button class=\"yes\" name=\"answer\" value=\"approve\">Approve</button></div></form>")
}

/// The beginning of a form that answers.
fn form(full: &Full, visitor: &Visitor, view: &Digest) -> Html {
    Html::new()
        .raw("<form method=\"post\" action=\"/approvals/")
        .attribute(&full.approval.id)
        .raw("\" class=\"answer\"><input type=\"hidden\" name=\"csrf\" value=\"")
        .attribute(&visitor.csrf)
        .raw("\"><input type=\"hidden\" name=\"view\" value=\"")
        .attribute(&view.to_string())
        .raw("\">")
}

/// What came of a request about a plan. A yes can be taken back while it lasts.
fn after_plan(full: &Full, visitor: &Visitor, view: &Digest) -> Html {
    let said = match full.approval.state {
        "approved" => "The plan is approved. Its steps are carried out as the agent comes to them.",
        "rejected" => "The plan was rejected, and its run has ended.",
        "expired" => "The request or its yes has expired. Each step asks by itself.",
        _ => "The run has ended, and what people said about its plan with it.",
    };
    Html::new()
        .raw("<p class=\"note\" role=\"status\">")
        .raw(said)
        .raw("</p>")
        .when(full.may_answer, |h| {
            h.html(&form(full, visitor, view))
                .raw("<details><summary>Take the yes back</summary><p>The run ends. What is underway is concluded; what was done stays done.</p><input name=\"reason\" maxlength=\"2000\" autocomplete=\"off\" aria-label=\"Reason\" placeholder=\"Reason\"><div class=\"buttons\"><button class=\"no\" name=\"answer\" value=\"reject\">Take it back and end the run</button></div></details></form>")
        })
}
