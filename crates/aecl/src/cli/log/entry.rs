//! An entry on one line.

use super::source::{Row, Source};
use crate::cli::show::{Page, Tone, count, inert_line};
use aecl_kernel::define::isolation::{BackendReport, HostIsolation};
use aecl_kernel::record::approval::summary::short;
use aecl_kernel::record::event::{Event, Lapse, OutcomeKind};
use aecl_ledger::PayloadKind;
use serde_json::Value;

/// Longest argument on a line, in bytes.
const ARGUMENT_BYTES_MAX: usize = 60;

/// One line about an entry.
pub(super) fn line(page: &Page, source: &mut Source, row: &Row) -> String {
    let entry = &row.entry;
    let (tone, what, about) = told(source, &entry.event);
    let run =
        entry.run.as_ref().map_or(String::new(), |r| format!("  {}", page.word(Tone::Quiet, r.as_str())));
    let what = page.word(tone, &format!("{what:<10}"));
    let at = page.word(Tone::Quiet, &entry.at.to_string());
    format!("{:>7}  {at}  {what} {}{run}", entry.position, inert_line(&about))
}

fn told(source: &mut Source, event: &Event) -> (Tone, &'static str, String) {
    let named = |source: &mut Source, action: &str| {
        let (name, agent) = source.about(action);
        if agent.is_empty() { format!("{name}  {action}") } else { format!("{name} by {agent}  {action}") }
    };
    match event {
        Event::BundleLoaded(e) => (
            Tone::Quiet,
            "policy",
            format!(
                "{}, {}, bundle {}",
                many(e.agents, "agent"),
                many(e.actions, "action"),
                e.bundle.short()
            ),
        ),
        Event::RunOpened(e) => (Tone::Strong, "run", format!("opened for {} by {}", e.principal.agent, e.by)),
        Event::RunClosed(e) => (Tone::Quiet, "run", format!("closed by {}: {}", e.by, e.reason)),
        Event::TokenIssued(e) => (Tone::Quiet, "token", format!("{} until {}", e.token, e.expires_at)),
        Event::TokenRevoked(e) => (Tone::Mind, "token", format!("{} revoked by {}", e.token, e.by)),
        Event::Ruled(e) => {
            let main = source.paper(PayloadKind::Arguments, &e.arguments).ok().flatten();
            let main = main.and_then(|arguments| main_argument(&arguments));
            let main = main.map_or(String::new(), |main| format!(": {main}"));
            let by = if e.credential.is_look() { "the gate for " } else { "" };
            let about = format!("{}{main} by {by}{}  {}", e.name, e.principal.agent, e.action);
            match e.outcome.as_str() {
                "approved" => match (&e.decision.approval, e.decision.plan_step) {
                    (Some(approval), Some(step)) => {
                        (Tone::Good, "allowed", format!("{about}, step {} of the plan {approval}", step + 1))
                    }
                    _ => {
                        let rests = e.decision.completes.as_ref();
                        let rests = rests.map_or(String::new(), |begun| format!(", completes {begun}"));
                        (Tone::Good, "allowed", format!("{about}{rests}"))
                    }
                },
                "blocked" => (Tone::Bad, "blocked", format!("{about}: {}", e.decision.reason())),
                "escalated" => (Tone::Mind, "held", format!("{about}: {}", e.decision.reason())),
                "replayed" => (Tone::Quiet, "replayed", about),
                _ => (Tone::Quiet, "asked", format!("{about}: {}", e.decision.verdict.name())),
            }
        }
        Event::SandboxProbed(e) => (Tone::Plain, "cages", cages(e)),
        Event::Asked(e) => {
            let plan = e.plan.as_ref().map(|plan| count(plan.steps.len(), "step"));
            let about = plan.map_or(String::new(), |steps| format!(" about its plan of {steps}"));
            (Tone::Mind, "asks", format!("{}{about} until {}  {}", e.approval, e.expires_at, e.action))
        }
        Event::Answered(e) => {
            let (tone, word) = if e.vote.yes { (Tone::Good, "agreed") } else { (Tone::Bad, "refused") };
            let reason =
                if e.vote.reason.is_empty() { String::new() } else { format!(": {}", e.vote.reason) };
            (tone, word, format!("by {} to {}{reason}", e.vote.person, named(source, e.action.as_str())))
        }
        Event::Expired(e) => {
            let said = match e.lapse {
                Lapse::Unanswered => "nobody answered",
                Lapse::Incomplete => "not enough people agreed to",
                Lapse::Approved => "the time is over of the yes to",
            };
            (Tone::Bad, "expired", format!("{said} {}  {}", e.approval, e.action))
        }
        Event::Withdrawn(e) => {
            let about = format!("{} about {}: {}", e.approval, named(source, e.action.as_str()), e.message);
            (if e.code.is_some() { Tone::Bad } else { Tone::Quiet }, "withdrawn", about)
        }
        Event::Started(e) => (Tone::Plain, "started", named(source, e.action.as_str())),
        Event::Concluded(e) => {
            let (tone, word) = match e.outcome {
                OutcomeKind::Done => (Tone::Good, "done"),
                OutcomeKind::Failed => (Tone::Bad, "failed"),
                OutcomeKind::Unknown => (Tone::Bad, "UNKNOWN"),
            };
            let message = if e.message.is_empty() { String::new() } else { format!(": {}", e.message) };
            let reached = e.traffic.as_ref().filter(|t| t.let_through + t.refused > 0).map(|t| {
                format!(", {} let through, {} refused", many(t.let_through, "connection"), t.refused)
            });
            let reached = reached.unwrap_or_default();
            let perhaps = if e.may_have_acted { ", part of it may have happened" } else { "" };
            (
                tone,
                word,
                format!(
                    "{} in {} ms{reached}{perhaps}{message}",
                    named(source, e.action.as_str()),
                    e.latency_ms
                ),
            )
        }
        Event::Kill(e) => (Tone::Bad, "KILLED", format!("{} by {}: {}", e.scope, e.by, e.reason)),
        Event::Lift(e) => (Tone::Good, "lifted", format!("{} by {}: {}", e.scope, e.by, e.reason)),
        Event::BudgetAdjusted(e) => (Tone::Mind, "budget", format!("{} by {}: {}", e.meter, e.by, e.reason)),
        Event::Erased(e) => {
            (Tone::Mind, "erased", format!("{} by {}: {}", e.payload.short(), e.by, e.ground))
        }
        Event::KeyChanged(e) => (Tone::Mind, "key", e.key.clone()),
        Event::Heartbeat(e) => (Tone::Quiet, "alive", format!("{} in flight", e.in_flight)),
        Event::Fault(e) => (Tone::Bad, "FAULT", format!("{}: {}", e.code, e.message)),
    }
}

/// The argument that says most, by its name: what is changed, or where it goes.
fn main_argument(arguments: &Value) -> Option<String> {
    const TELLING: [&str; 14] = [
        "path",
        "file",
        "url",
        "to",
        "recipient",
        "account",
        "command",
        "cmd",
        "query",
        "sql",
        "name",
        "title",
        "id",
        "text",
    ];
    let map = arguments.as_object()?;
    let rank = |name: &str| TELLING.iter().position(|t| name == *t || name.ends_with(&format!("_{t}")));
    let told = map.iter().filter_map(|(name, value)| match value {
        Value::String(text) if !text.is_empty() => Some((rank(name)?, short(text, ARGUMENT_BYTES_MAX))),
        Value::Number(number) => Some((rank(name)?, number.to_string())),
        _ => None,
    });
    told.min_by_key(|(rank, _)| *rank).map(|(_, text)| text)
}

fn cages(cages: &HostIsolation) -> String {
    let one = |found: &BackendReport| {
        let is = if found.available { "here" } else { "not here" };
        format!("`{}` ({}) is {is}: {}", found.backend, found.tier, found.reason)
    };
    let mut said: Vec<String> = cages.found.iter().map(one).collect();
    said.extend(cages.modules.as_ref().map(|modules| match modules.available {
        true => format!("modules of WebAssembly run here: {}", modules.version),
        false => format!("no module of WebAssembly runs here: {}", modules.reason),
    }));
    let lowered = cages.lowered.as_ref();
    said.extend(lowered.map(|l| format!("where more is asked for, `{}` is accepted: {}", l.to, l.reason)));
    said.join("; ")
}

fn many(n: u64, thing: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), thing)
}
