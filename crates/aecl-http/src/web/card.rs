//! One request for approval, as a person reads it: first what will happen and to whom, then why we ask, then
//! whether it can be undone; then everything else.

use super::html::Html;
use super::login::USERNAME;
use super::page::Visitor;
use super::plan;
use super::strangers::{beyond_ascii, readable, server_says};
use crate::wire::summary::span;
use crate::wire::{ApprovalDetail, Queue, Requirement, Step};
use aecl_gate::approvals::EXCERPT_MAX;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::summary::grouped;
use serde_json::Value;

/// Draft of an answer: what somebody has typed so far, and what there is to say about it.
#[derive(Debug, Default)]
pub struct Draft {
    /// A word to the reader.
    pub said: String,
    /// The reason.
    pub reason: String,
    /// The box is ticked.
    pub endorse: bool,
}

/// The card, and the bar to answer with if this person may.
pub fn card(
    full: &ApprovalDetail,
    visitor: &Visitor,
    now: Timestamp,
    draft: &Draft,
    waiting: Option<&Queue>,
) -> (Html, Html) {
    let said = crumbs(full, now, waiting).when(!draft.said.is_empty(), |h| {
        h.raw("<p class=\"note\" role=\"alert\" tabindex=\"-1\">").prose(&draft.said).raw("</p>")
    });
    let shown = if full.approval.about == "plan" { of_plan(full, now) } else { of_action(full, now, draft) };
    match full.approval.state {
        // What there is to do stands at the foot of the screen, beside what it is about and never over it.
        "pending" if full.may_answer => (said.html(&shown), form(full, visitor, draft)),
        // What has come of it stands above.
        _ => (said.html(&outcome(full, visitor, waiting)).html(&shown), Html::new()),
    }
}

fn of_plan(full: &ApprovalDetail, now: Timestamp) -> Html {
    Html::new()
        .html(&what(full))
        .html(&facts(full))
        .html(&goal(full))
        .html(&plan::steps(&full.plan_steps))
        .when(full.approval.proposed, |h| {
            h.html(&unproven(full, &Draft::default())).html(&read_from_outside(full)).html(&history(full))
        })
        .html(&why(full))
        .html(&people(full, now))
}

fn of_action(full: &ApprovalDetail, now: Timestamp, draft: &Draft) -> Html {
    Html::new()
        .html(&what(full))
        .html(&files(full))
        .html(&arguments(full))
        .html(&facts(full))
        .html(&unproven(full, draft))
        .html(&read_from_outside(full))
        .html(&goal(full))
        .html(&history(full))
        .html(&why(full))
        .html(&people(full, now))
}

/// What ends sooner than this stands out, in seconds.
const SOON_S: u64 = 600;
/// Longest value of a tile, in characters.
const TILE_MAX: usize = 60;

/// A moment without its milliseconds.
pub fn moment(text: &str) -> String {
    let plain = text.split('.').next().unwrap_or(text).replace('T', " ");
    format!("{} UTC", plain.trim_end_matches('Z'))
}

fn row(html: Html, name: &'static str, value: &str) -> Html {
    html.raw("<dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd>")
}

/// The way back, how many wait there, and how long this one lasts.
fn crumbs(full: &ApprovalDetail, now: Timestamp, waiting: Option<&Queue>) -> Html {
    let ask = &full.approval;
    let waiting = waiting.map(|queue| queue.total).filter(|total| *total > 0);
    Html::new()
        .raw("<p class=\"crumbs\"><a href=\"/approvals\">Inbox</a>")
        .when(waiting.is_some(), |h| {
            h.raw(" (").text(&grouped(&waiting.unwrap_or_default().to_string())).raw(")")
        })
        .raw(" · ")
        .when(ask.state != "pending", |h| h.raw("<span class=\"badge\">").raw(ask.state).raw("</span>"))
        .when(ask.state == "pending", |h| {
            h.html(&time_left(&ask.expires_at, now)).raw(match ask.about {
                "plan" => ", then each step asks by itself",
                _ => ", then it is rejected",
            })
        })
        .raw("</p>")
}

/// How long something lasts that ends then. A script counts it down.
pub fn time_left(ends: &str, now: Timestamp) -> Html {
    let left = Timestamp::parse(ends).map_or(0, |t| t.since_ms(now) / 1000);
    Html::new()
        .raw(if left < SOON_S { "<time class=\"soon\" datetime=\"" } else { "<time datetime=\"" })
        .attribute(ends)
        .raw("\" title=\"")
        .attribute(&moment(ends))
        .raw("\" data-left=\"")
        .attribute(&left.to_string())
        .raw("\">")
        .text(&span(left))
        .raw(" left</time>")
}

/// Enough for ten seconds: what will happen, for whom, whether it can be undone, who decides, and the two reasons that
/// say most.
fn what(full: &ApprovalDetail) -> Html {
    let summary = &full.summary;
    let (first, others) = summary.reasons.split_first().map_or(("", &[][..]), |(f, o)| (f.as_str(), o));
    Html::new()
        .raw("<h1>")
        .text(&summary.title)
        .raw("</h1><p class=\"lead\">")
        .text(&full.agent)
        .when(full.user.is_some(), |h| h.raw(" for ").text(full.user.as_deref().unwrap_or_default()))
        .raw(" · ")
        .text(&full.environment)
        .when(full.approval.state == "pending" && full.action_state == "waiting", |h| {
            h.raw(" · nothing has happened yet")
        })
        .raw("</p>")
        .html(&tiles(full))
        .when(!first.is_empty(), |h| {
            h.raw("<div class=\"because\"><p><strong>").prose(first).raw("</strong></p>").when(
                !others.is_empty(),
                |h| {
                    h.raw("<ul>")
                        .each(others, |h, reason| h.raw("<li>").prose(reason).raw("</li>"))
                        .raw("</ul>")
                },
            )
            .raw("</div>")
        })
        .when(summary.stale, |h| {
            h.raw(match full.approval.about {
                "plan" => "<p class=\"note\">The policy has changed since people were asked. Every call is judged by the policy of then.</p>",
                _ => "<p class=\"note\">The definition of this action has changed since it was proposed. It is judged again before anything happens.</p>",
            })
        })
}

/// What is compared at a glance. It is whole below.
fn tiles(full: &ApprovalDetail) -> Html {
    let summary = &full.summary;
    let tile = |html: Html, name: &'static str, value: &Html| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>").html(value).raw("</dd></div>")
    };
    let mut html = Html::new().raw("<dl class=\"tiles\">");
    if let Some(amount) = &summary.amount {
        html = tile(html, "Amount", &Html::new().text(amount));
    }
    if let Some(to) = summary.to.first() {
        let more = summary.to.len() - 1;
        let to = Html::new().text(&shortened(to, TILE_MAX)).when(more > 0, |h| {
            h.raw(" <span class=\"quiet\">and ").text(&more.to_string()).raw(" more</span>")
        });
        html = tile(html, "To", &to);
    }
    let undo = Html::new()
        .when(!summary.undoable, |h| h.raw("<strong class=\"bad\">"))
        .prose(&in_short(&summary.undo))
        .when(!summary.undoable, |h| h.raw("</strong>"));
    html = tile(html, "Undo", &undo);
    tile(html, "Who decides", &who_decides(full)).raw("</dl>")
}

/// How it can be undone, below the word that says so.
fn in_short(undo: &str) -> String {
    let short = undo.trim_end_matches('.');
    let short = short.strip_prefix("Can be undone ").unwrap_or(short);
    short.strip_prefix("for ").unwrap_or(short).to_owned()
}

/// Who has to agree, as it concerns this reader.
fn who_decides(full: &ApprovalDetail) -> Html {
    let ask = &full.approval;
    let needed: u32 = ask.need.iter().map(|need| need.count).sum();
    let agreed: Vec<&str> =
        ask.votes.iter().filter(|v| v.yes && v.lapsed.is_none()).map(|v| v.person.as_str()).collect();
    let left = needed.saturating_sub(u32::try_from(agreed.len()).unwrap_or(u32::MAX));
    let html = match (full.may_answer && ask.state == "pending", left) {
        (true, 0 | 1) if needed == 1 => Html::new().raw("you alone"),
        (true, 0 | 1) => Html::new().raw("you, and nobody after you"),
        (true, more) => Html::new().raw("you, and ").text(&(more - 1).to_string()).raw(" more"),
        (false, _) => Html::new().text(&groups_of(&ask.need)),
    };
    html.when(!agreed.is_empty(), |h| h.raw("; yes: ").text(&agreed.join(", ")))
}

/// How many of which groups have to agree.
pub fn groups_of(need: &[Requirement]) -> String {
    need.iter().map(groups).collect::<Vec<_>>().join(", and ")
}

/// Text that fits, with a sign that there is more.
fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn facts(full: &ApprovalDetail) -> Html {
    let summary = &full.summary;
    let place = match &full.project {
        Some(project) => format!("{}, tenant {}, project {project}", full.environment, full.tenant),
        None => format!("{}, tenant {}", full.environment, full.tenant),
    };
    let mut html = Html::new()
        .when(!summary.what.is_empty(), |h| h.raw("<p>").text(&summary.what).raw("</p>"))
        .html(&server_says(summary.server_says.as_ref()))
        .raw("<dl class=\"card facts\">");
    if let Some(amount) = &summary.amount {
        html = row(html, "Amount", amount);
    }
    for to in &summary.to {
        html = row(html, "To", to).when(!to.is_ascii(), |h| {
            h.raw(
                "<dt></dt><dd class=\"warn\">Not all of this is plain ASCII; some letters look like others: ",
            )
            .text(&beyond_ascii(to))
            .raw("</dd>")
        });
    }
    for line in &summary.runs {
        html = row(html, "It", line);
    }
    if let Some(cage) = &summary.cage {
        html = html
            .raw("<dt>Held</dt><dd>")
            .when(summary.lowered, |h| h.raw("<strong class=\"bad\">"))
            .prose(cage)
            .when(summary.lowered, |h| h.raw("</strong>"))
            .raw("</dd>");
    }
    for whom in &summary.reaches {
        html = html.raw("<dt>Reaches</dt><dd>").prose(whom).raw("</dd>");
    }
    html = row(html, "Where", &place);
    html = row(html, "Asked by", &full.agent);
    if let Some(user) = &full.user {
        html = row(html, "On behalf of", user);
    }
    html.raw("<dt>Undo</dt><dd>")
        .when(!summary.undoable, |h| h.raw("<strong class=\"bad\">"))
        .prose(&summary.undo)
        .when(!summary.undoable, |h| h.raw("</strong>"))
        .raw("</dd></dl>")
}

fn why(full: &ApprovalDetail) -> Html {
    let risk = &full.decision.risk;
    Html::new()
        .raw("<details class=\"why\"><summary>Everything that asks for you (")
        .text(&full.summary.because.len().to_string())
        .raw(")</summary><ul>")
        .each(&full.summary.because, |h, reason| h.raw("<li>").prose(reason).raw("</li>"))
        .raw("</ul></details><details><summary>Risk ")
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
fn unproven(full: &ApprovalDetail, draft: &Draft) -> Html {
    if full.unproven.is_empty() {
        return Html::new();
    }
    Html::new()
        .raw("<h2>Where these values come from</h2><p class=\"quiet\">Neither the goal nor anybody else who is trusted has named them. What is quoted here may be a stranger's words; what it asks for counts for nothing.</p>")
        .each(&full.unproven, |h, unproven| {
            h.raw("<section class=\"untrusted\" tabindex=\"0\" role=\"group\" aria-label=\"Untrusted text\"><h3><code>")
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
        .when(full.may_answer && full.approval.state == "pending" && full.approval.about == "action", |h| {
            h.raw("<label class=\"tick\"><input type=\"checkbox\" form=\"answer\" name=\"endorse\" value=\"yes\"")
                .when(draft.endorse, |h| h.raw(" checked"))
                .raw("> <span>With a yes: these values are right for the rest of this run, each in its role, and are not asked about again</span></label>")
        })
}

/// What would change in files: the lines that come and go beside what is there.
fn files(full: &ApprovalDetail) -> Html {
    let Some(files) = &full.files else { return Html::new() };
    let html = Html::new().raw("<h2>What changes</h2>");
    if !files.note.is_empty() {
        return html.raw("<p class=\"note\">").prose(&files.note).raw("</p>");
    }
    html.raw("<p class=\"quiet\">Beside what is in the files now. If one of them is another by then, nothing is changed.</p>")
        .each(&files.changes, |h, file| {
            h.raw("<section class=\"card file\"><h3><code>")
                .text(&file.path)
                .raw("</code> <span class=\"badge\">")
                .raw(file.what)
                .raw("</span>")
                .when(file.added.is_some(), |h| {
                    let (added, removed) = (file.added.unwrap_or(0), file.removed.unwrap_or(0));
                    h.raw(" <span class=\"quiet\">").text(&format!("+{added} −{removed} lines")).raw("</span>")
                })
                .raw("</h3>")
                .when(file.special.is_some(), |h| {
                    let why = file.special.as_deref().unwrap_or_default();
                    h.raw("<p class=\"bad\"><strong>It acts by itself: ").text(why).raw("</strong></p>")
                })
                .each(&file.marks, |h, mark| h.raw("<p class=\"warn\">").prose(mark).raw("</p>"))
                .raw("<pre class=\"diff\" dir=\"ltr\" tabindex=\"0\" role=\"group\" aria-label=\"What changes\">")
                .each(&file.difference, |h, text| entry(h, text))
                .raw("</pre></section>")
        })
}

/// An entry of a difference; its first character is ours, the rest may be anybody's.
fn entry(html: Html, entry: &str) -> Html {
    match entry.chars().next() {
        Some('+') => html.raw("<ins>").text(entry).raw("</ins>\n"),
        Some('-') => html.raw("<del>").text(entry).raw("</del>\n"),
        Some(' ') => html.raw("<span>").text(entry).raw("</span>\n"),
        Some('…') => html.raw("<strong>").text(entry).raw("</strong>\n"),
        // A place, or a word of ours.
        _ => html.raw("<em>").text(entry).raw("</em>\n"),
    }
}

fn arguments(full: &ApprovalDetail) -> Html {
    let html =
        Html::new().raw("<h2>Exactly this</h2><p class=\"quiet\">All arguments of <code>").text(&full.name);
    let html = html.raw("</code>, complete. Your answer is for these and no others.</p>");
    match full.arguments.as_object() {
        Some(map) if !map.is_empty() => html
            .raw("<dl class=\"card arguments\">")
            .each(short_first(map), |h, (name, value)| {
                h.raw("<dt>").text(name).raw("</dt><dd>").html(&self::value(name, &value)).raw("</dd>")
            })
            .raw("</dl>"),
        _ => html.raw("<p class=\"card\">It has no arguments.</p>"),
    }
}

/// A value, whole. A box that has to be scrolled is reached by keys, too.
pub fn value(name: &str, value: &str) -> Html {
    Html::new()
        .raw("<pre")
        .when(is_long(value), |h| {
            h.raw(" tabindex=\"0\" role=\"group\" aria-label=\"").attribute(name).raw("\"")
        })
        .raw(">")
        .text(value)
        .raw("</pre>")
}

/// The arguments as they read, what fits on a few lines before what has to be scrolled.
fn short_first(map: &serde_json::Map<String, Value>) -> Vec<(&String, String)> {
    let mut told: Vec<_> = map.iter().map(|(name, value)| (name, readable(value))).collect();
    told.sort_by_key(|(_, text)| is_long(text));
    told
}

/// Whether it has to be scrolled.
fn is_long(text: &str) -> bool {
    text.len() > 400 || text.lines().count() > 5
}

fn read_from_outside(full: &ApprovalDetail) -> Html {
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
            h.raw("<section class=\"untrusted\" tabindex=\"0\" role=\"group\" aria-label=\"Untrusted text\"><h3>Untrusted text from <code>")
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

fn goal(full: &ApprovalDetail) -> Html {
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

fn history(full: &ApprovalDetail) -> Html {
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

fn people(full: &ApprovalDetail, now: Timestamp) -> Html {
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
                        .when(vote.lapsed.is_some(), |h| {
                            h.raw(", which <strong>does not count any more</strong>: ")
                                .text(vote.lapsed.unwrap_or_default())
                        })
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

/// What has come of it, or why this person may not answer.
fn outcome(full: &ApprovalDetail, visitor: &Visitor, waiting: Option<&Queue>) -> Html {
    let next = next(full, waiting);
    if full.approval.about == "plan" && full.approval.state != "pending" {
        return after_plan(full, visitor).html(&next);
    }
    if full.approval.state == "pending" {
        return Html::new()
            .raw("<p class=\"note\" role=\"status\" tabindex=\"-1\">")
            .html(&still_waits(full, visitor))
            .raw("</p>")
            .html(&next);
    }
    let said = match full.approval.state {
        "approved" => "It is approved, and not carried out yet.",
        "rejected" => "It was rejected. Nothing was executed.",
        "expired" => "It has expired. Nothing was executed.",
        "withdrawn" => "It was withdrawn: nothing waits for an answer to it any more.",
        _ => "It was approved, and the approval is used.",
    };
    Html::new()
        .raw("<p class=\"note\" role=\"status\" tabindex=\"-1\">")
        .html(&who_said(full, visitor))
        .raw(said)
        .raw(" The action is ")
        .raw(full.action_state)
        .when(!full.action_message.is_empty(), |h| h.raw(": ").prose(&full.action_message))
        .raw(".</p>")
        .html(&next)
}

/// Why this reader has nothing to answer while it waits.
fn still_waits(full: &ApprovalDetail, visitor: &Visitor) -> Html {
    let ask = &full.approval;
    let needs = Html::new().text(&groups_of(&ask.need));
    match ask.votes.iter().find(|vote| vote.person == visitor.person.as_str()) {
        Some(vote) => Html::new()
            .raw(if vote.yes { "You said yes. " } else { "You said no. " })
            .raw("It waits for others: it needs ")
            .html(&needs)
            .raw("."),
        None => Html::new()
            .raw("You may not answer this one: it is yours, or you are not who is asked. It needs ")
            .html(&needs)
            .raw("."),
    }
}

/// Who has decided it, if somebody has.
fn who_said(full: &ApprovalDetail, visitor: &Visitor) -> Html {
    let Some(vote) = full.approval.votes.last().filter(|_| full.approval.state != "expired") else {
        return Html::new();
    };
    let you = vote.person == visitor.person.as_str();
    Html::new()
        .text(if you { "You" } else { &vote.person })
        .raw(if vote.yes { " said yes" } else { " said no" })
        .when(!vote.reason.is_empty(), |h| h.raw(": “").text(&vote.reason).raw("”"))
        .raw(". ")
}

/// The way on: what else waits for this reader.
fn next(full: &ApprovalDetail, waiting: Option<&Queue>) -> Html {
    let next =
        waiting.and_then(|queue| queue.approvals.first()).filter(|q| q.approval.id != full.approval.id);
    match next {
        Some(next) => Html::new()
            .raw("<p><a class=\"next\" href=\"/approvals/")
            .attribute(&next.approval.id)
            .raw("\">Next: ")
            .text(&next.summary.title)
            .raw("</a></p>"),
        None => Html::new().raw("<p>Nothing else waits for you. <a href=\"/approvals\">To the inbox</a></p>"),
    }
}

/// The bar: what has to be typed, and the two buttons.
fn form(full: &ApprovalDetail, visitor: &Visitor, draft: &Draft) -> Html {
    begin(full, visitor)
        .when(full.approval.about == "plan", |h| {
            h.raw(match full.approval.proposed {
                true => "<p class=\"quiet\">Your yes is for exactly these steps. A no is to the plan; the run goes on.</p>",
                false => "<p class=\"quiet\">Your yes is for all of these steps. A no ends the run.</p>",
            })
        })
        .raw("<div class=\"confirms\">")
        .each(full.approval.confirm.iter().enumerate(), |h, (i, typed)| {
            let number = i.to_string();
            h.raw("<label class=\"confirm\">To approve, type ")
                .prose(&typed.what)
                .raw(" <input required autocomplete=\"off\" spellcheck=\"false\" maxlength=\"16\" name=\"confirm_")
                .attribute(&number)
                .raw("\"></label>")
        })
        .when(full.approval.is_grave(), |h| {
            h.raw(USERNAME).raw("<label class=\"confirm\">Your key, once more <input type=\"password\" required name=\"key\" autocomplete=\"current-password\" spellcheck=\"false\"></label>")
        })
        .raw("</div><details")
        .when(!draft.reason.is_empty(), |h| h.raw(" open"))
        .raw("><summary>Add a reason, which the agent is told</summary><input id=\"reason\" name=\"reason\" maxlength=\"2000\" autocomplete=\"off\" aria-label=\"Reason\" value=\"")
        .attribute(&draft.reason)
        .raw("\"></details><div class=\"buttons\"><button class=\"no\" name=\"answer\" value=\"reject\" formnovalidate>Reject</button><button class=\"yes\" name=\"answer\" value=\"approve\">")
        .raw(if full.approval.about == "plan" { "Approve the plan" } else { "Approve once" })
        .raw("</button></div></form>")
}

/// The beginning of a form that answers: for this login, and for what is shown here.
fn begin(full: &ApprovalDetail, visitor: &Visitor) -> Html {
    Html::new()
        .raw("<form method=\"post\" action=\"/approvals/")
        .attribute(&full.approval.id)
        .raw("\" id=\"answer\" class=\"answer\"><input type=\"hidden\" name=\"csrf\" value=\"")
        .attribute(&visitor.csrf)
        .raw("\"><input type=\"hidden\" name=\"view\" value=\"")
        .attribute(&full.view)
        .raw("\">")
}

/// What came of a request about a plan. A yes can be taken back while it lasts.
fn after_plan(full: &ApprovalDetail, visitor: &Visitor) -> Html {
    let said = match full.approval.state {
        "approved" => "The plan is approved. Its steps are carried out as the agent comes to them.",
        "rejected" if full.approval.proposed => "The plan was rejected. The run goes on without it.",
        "rejected" => "The plan was rejected, and its run has ended.",
        "expired" => "The request or its yes has expired. Each step asks by itself.",
        _ if full.approval.proposed => "The agent has proposed another plan since, or the run has ended.",
        _ => "The run has ended, and what people said about its plan with it.",
    };
    Html::new()
        .raw("<p class=\"note\" role=\"status\" tabindex=\"-1\">")
        .raw(said)
        .raw("</p>")
        .when(full.may_answer, |h| {
            h.html(&begin(full, visitor))
                .raw("<details><summary>Take the yes back</summary><p>")
                .raw(match full.approval.proposed {
                    true => "The plan covers nothing more; the run goes on, and asks about each call.",
                    false => "The run ends.",
                })
                .raw(" What is underway is concluded; what was done stays done.</p><input name=\"reason\" maxlength=\"2000\" autocomplete=\"off\" aria-label=\"Reason\" placeholder=\"Reason\"><div class=\"buttons\"><button class=\"no\" name=\"answer\" value=\"reject\">")
                .raw(match full.approval.proposed {
                    true => "Take it back",
                    false => "Take it back and end the run",
                })
                .raw("</button></div></details></form>")
        })
}
