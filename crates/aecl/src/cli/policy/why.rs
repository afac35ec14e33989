//! `aecl policy why`: all that makes an action ask or blocks it, and for each the line of policy that would change it.

use crate::cli::explain::{Scene, arguments};
use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{Common, Error, Exit, Result};
use aecl_analysis::why::{self, AskingReason, Inquiry, Line, SituationReasons, Why};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::base::code::Code;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::decision::Verdict;
use serde_json::json;

/// Most names that are near an unknown one.
const NEAR_MAX: usize = 5;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl policy why transfer_funds                   any call, from the best situation to the worst
  aecl policy why transfer_funds --agent finance
  aecl policy why transfer_funds --arguments '{\"to\": \"acme\", \"amount\": \"20\", \"currency\": \"EUR\"}'
  aecl policy why mail.send --arguments - --goal 'Send Ann the minutes.' < call.json
  aecl policy why mail.send --json | jq '.actions[].situations[].reasons[].lines[].line'

Each line is written into a copy of the policy, and the same call is decided again: a line that
would change nothing is not shown, and what still asks beside it is. Nothing is executed, recorded
or written, and no budget is used.")]
pub(super) struct Args {
    /// The action.
    #[arg(value_name = "ACTION")]
    action: String,
    /// Only for this agent; by default each one that may do it.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// About this call: its arguments as JSON, or `-` to read them from standard input.
    #[arg(long, value_name = "JSON")]
    arguments: Option<String>,
    /// Show every line that would change something, not only the narrowest.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    scene: Scene,
}

pub(super) fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    let bundle = loader::load(&args.scene.policy.clone().unwrap_or_else(|| home.policy()))?;
    if bundle.catalogue().find(&args.action).is_none() {
        return Err(unknown(&bundle, &args.action));
    }
    let agents: Vec<String> = match &args.agent {
        Some(name) => vec![super::show::find(&bundle, name)?.agent_id.to_string()],
        None => {
            let may = why::holders(&bundle, &args.action).into_iter().map(|a| a.agent_id.to_string());
            let may: Vec<String> = may.collect();
            let all = || bundle.agents().map(|a| a.agent_id.to_string()).collect();
            if may.is_empty() { all() } else { may }
        }
    };
    if agents.is_empty() {
        return Err(
            Error::new("the policy has no agents").hint("write policy/agents/NAME.yaml, or `aecl init`")
        );
    }
    let given = args.arguments.is_some();
    let sent = arguments(args.arguments.as_deref())?;
    if let Err(why) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&sent) {
        return Err(Error::new(format!("the arguments are no JSON object: {why}"))
            .hint("`--arguments '{\"to\": \"acme\"}'`, or `-` to read them from standard input"));
    }
    let mut found: Vec<Why> = Vec::new();
    for agent in &agents {
        let mut situation = args.scene.situation(&home, agent, args.action.clone(), sent.clone())?;
        // What a host lacks is no matter of policy.
        situation.cages = HostIsolation::every();
        found.extend(why::why(&bundle, &Inquiry { situation, arguments_given: given })?);
    }
    if common.json {
        show::print_json(&json!({"bundle": bundle.hash(), "actions": found}));
    } else {
        page(&found, args.all).print();
        let thing = bundle.catalogue().find(&args.action).and_then(|typed| typed.manifest.resource.as_ref());
        if let Some(declared) = thing.filter(|_| args.scene.resource.is_none()) {
            show::say(&format!("hint: rules that look at the {} say more with --resource", declared.kind));
        }
    }
    Ok(Exit::Done)
}

/// An action that the catalogue does not have, with the names that may have been meant.
fn unknown(bundle: &Bundle, name: &str) -> Error {
    let last = name.rsplit('.').next().unwrap_or(name);
    let like = |other: &str| !last.is_empty() && other.contains(last);
    let nearest = bundle.catalogue().nearest(name).map(ToString::to_string);
    let others = bundle.catalogue().iter().map(|(other, _)| other.to_string()).filter(|other| like(other));
    let mut near: Vec<String> = nearest.into_iter().collect();
    for other in others {
        if !near.contains(&other) && near.len() < NEAR_MAX {
            near.push(other);
        }
    }
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    let meant = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
    let error = Error::new(format!("the catalogue has no action `{}`{meant}", show::inert_line(name)));
    Error { code: Some("action_unknown".into()), ..error }.hint("`aecl policy show` lists the actions")
}

fn page(found: &[Why], all: bool) -> Page {
    let mut page = Page::new();
    for (i, why) in found.iter().enumerate() {
        if i > 0 {
            page.gap();
        }
        let when = why.when.as_ref().map_or_else(String::new, |when| format!(" where {when}"));
        page.heading(&format!("{}{when}, by {}", why.action, why.agent));
        if let Some(begun) = &why.completes {
            page.line(format!(
                "  Completes `{begun}`: where that was asked for or agreed to, nobody is asked again about its id and the goal."
            ));
        }
        for (i, spoken) in why.situations.iter().enumerate() {
            situation(&mut page, spoken, all);
            if i == 0 && spoken.reasons.len() > 1 {
                together(&mut page, spoken, &why.together);
            }
        }
        if why.situations.is_empty() {
            page.line("  No call of this kind was found; give one with --arguments.");
        } else if why.situations.iter().all(|s| s.reasons.is_empty()) {
            page.toned(Tone::Good, "  Nobody is asked, in any of these situations.");
        }
        // They are the agent's, so they stand once behind all kinds of its calls.
        if found.get(i + 1).is_some_and(|next| next.agent == why.agent) {
            continue;
        }
        page.gap();
        let limits: Vec<String> = why.limits.iter().map(|l| l.line.clone()).collect();
        page.field("limits", &limits.join("\n"));
    }
    page
}

fn situation(page: &mut Page, spoken: &SituationReasons, all: bool) {
    if spoken.reasons.is_empty() {
        return;
    }
    let (tone, word) = match spoken.verdict {
        Verdict::Allow => (Tone::Good, "passes"),
        Verdict::RequireApproval => (Tone::Mind, "asks"),
        Verdict::Block => (Tone::Bad, "blocked"),
    };
    page.gap();
    let word = page.word(tone, word);
    page.line(format!("{}: {word}, risk {}", spoken.situation, spoken.risk));
    for reason in &spoken.reasons {
        told(page, reason, all);
    }
}

/// What comes of all first lines of a situation.
fn together(page: &mut Page, spoken: &SituationReasons, left: &[Code]) {
    let n = count(spoken.reasons.iter().filter(|r| !r.lines.is_empty()).count(), "first line");
    page.line(format!("  With the {n} together {}.", what_is_left(left)));
}

fn told(page: &mut Page, reason: &AskingReason, all: bool) {
    let about = reason.argument.as_ref().map_or_else(String::new, |at| format!(" {at}"));
    page.item(&format!("{} [{}{about}]", show::inert_line(&reason.message), reason.code));
    let shown = if all { reason.lines.len() } else { 1 };
    for line in reason.lines.iter().take(shown) {
        written(page, line);
    }
    let more = reason.lines.len().saturating_sub(shown);
    let mut other = Vec::new();
    if reason.lines.is_empty() {
        other.push(reason.otherwise.to_owned());
    } else if !reason.otherwise.starts_with("nothing") {
        other.push(format!("or {}", reason.otherwise));
    }
    if more > 0 {
        other.push(format!("{} with --all", count(more, "other line")));
    }
    if !other.is_empty() {
        page.line(format!("      {}", other.join("; ")));
    }
}

fn written(page: &mut Page, line: &Line) {
    let text = page.word(Tone::Strong, &show::inert_line(&line.line));
    let entry = if line.entry.is_empty() { String::new() } else { format!(", {}", line.entry) };
    let at = show::inert_line(&format!("{}{entry}", line.file));
    page.line(format!("    {at}:  {text}"));
    let only_if = line.only_if.map_or_else(String::new, |so| format!("only if {so}; "));
    let gives_up = show::inert_line(&line.gives_up);
    page.line(format!("      {only_if}{}; gives up {gives_up}", what_is_left(&line.left)));
}

/// What is decided with a line.
fn what_is_left(left: &[Code]) -> String {
    match left {
        [] => "nobody is asked".to_owned(),
        [one] => format!("{one} is left"),
        several => {
            let codes: Vec<&str> = several.iter().map(|code| code.as_str()).collect();
            format!("{} are left", codes.join(", "))
        }
    }
}
