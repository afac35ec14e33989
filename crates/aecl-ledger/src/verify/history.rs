//! Do the entries make sense together? Each run counts its own entries, what is started was allowed and
//! ends once, a yes is used once and for what it was given.

use super::line::{self, Line};
use super::{AuditFinding, AuditReport, Auditor, OpenAction, PayloadRef, WARNINGS_MAX, Warning};
use crate::payload::PayloadKind;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::{Answered, Entry, Event, Expired, Lapse, Ruled, VERSION, Withdrawn};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// What has been told so far.
pub(super) struct HistoryCheck<'a> {
    auditor: &'a Auditor,
    names: (RandomState, RandomState),
    // The time of the last entry, as it is written.
    at: String,
    // The next number in each run.
    runs: HashMap<Name, u64>,
    // Actions that were started, and whether their end is known.
    over: HashMap<Name, bool>,
    // Those of them that have failed, as only their agent says.
    doubtful: HashSet<Name>,
    // Those of them whose end is not known.
    open: HashMap<String, (u64, &'static str)>,
    // Requests for approval that can still be answered or used.
    asks: HashMap<String, ApprovalRequest>,
    // Of those about a plan, how often each step was used.
    steps: HashMap<String, Vec<u32>>,
    // Those that were used, refused or withdrawn, or have expired.
    closed: HashSet<Name>,
    // An allow whose attempt must be the next entry.
    due: Option<(u64, String, Option<String>)>,
    kinds: [u64; Event::KINDS.len()],
    ends: BTreeMap<&'static str, u64>,
    report: AuditReport,
}

/// A name, hashed with keys that nobody knows. It stands for the name: two names that are the same here
/// cannot be made on purpose.
type Name = (u64, u64);

impl<'a> HistoryCheck<'a> {
    pub(super) fn new(auditor: &'a Auditor) -> Self {
        Self {
            auditor,
            names: (RandomState::new(), RandomState::new()),
            at: String::new(),
            runs: HashMap::new(),
            over: HashMap::new(),
            doubtful: HashSet::new(),
            open: HashMap::new(),
            asks: HashMap::new(),
            steps: HashMap::new(),
            closed: HashSet::new(),
            due: None,
            kinds: [0; Event::KINDS.len()],
            ends: BTreeMap::new(),
            report: AuditReport::default(),
        }
    }

    /// Takes the next entry. Gives the payloads that it commits to or takes back.
    pub(super) fn check_entry(
        &mut self,
        position: u64,
        bytes: &[u8],
    ) -> Result<Vec<(PayloadRef, Digest)>, AuditFinding> {
        let wrong = |what: String| AuditFinding::history(position, what);
        let line = line::read(bytes).map_err(wrong)?;
        let (Some(v), Some(says), Some(at), Some(name)) = (line.v, line.position, line.at, line.kind) else {
            return Err(wrong("it has no version, position, time or kind".into()));
        };
        if v != u64::from(VERSION) {
            return Err(wrong(format!("it has version {v}; this program knows {VERSION}")));
        }
        if says != position {
            return Err(wrong(format!("it says that it is entry {says}")));
        }
        // Another one may mean anything.
        let Some(kind) = Event::KINDS.iter().position(|kind| *kind == name) else {
            return Err(wrong(format!("its kind `{name}` is unknown to this program")));
        };
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        }
        self.time(position, at)?;
        self.sequence(position, name, &line)?;
        if let Some((ruled, action, run)) = self.due.take() {
            let same = name == "started" && line.action == Some(&action) && line.run == run.as_deref();
            if !same {
                return Err(AuditFinding::history(
                    ruled,
                    format!("it allows `{action}`, but no attempt is on record"),
                ));
            }
            self.started(position, &line, action)?;
        } else if name == "started" {
            return Err(wrong(format!("`{}` was started without an allow", line.action.unwrap_or_default())));
        }
        match name {
            "ruled" => self.ruled(position, &line, bytes)?,
            "concluded" => self.concluded(position, &line)?,
            "started" => {}
            _ => self.other(position, bytes)?,
        }
        let said = said_of_payloads(&line).filter(|_| self.auditor.payloads);
        let read = |(payload, text): (PayloadRef, &str)| match Digest::parse(text) {
            Some(digest) => Ok((payload, digest)),
            None => Err(wrong(format!("`{text}` is no digest"))),
        };
        said.map(read).collect()
    }

    /// No more entries.
    pub(super) fn end(&mut self) -> Result<(), AuditFinding> {
        match self.due.take() {
            Some((ruled, action, _)) => Err(AuditFinding::history(
                ruled,
                format!("it allows `{action}`, but no attempt is on record"),
            )),
            None => Ok(()),
        }
    }

    /// What was told.
    pub(super) fn report(mut self) -> AuditReport {
        for (kind, count) in Event::KINDS.iter().zip(self.kinds).filter(|(_, count)| *count > 0) {
            self.report.kinds.insert((*kind).to_owned(), count);
        }
        for (end, count) in self.ends {
            self.report.actions.insert(end.to_owned(), count);
        }
        let mut open: Vec<_> = self.open.into_iter().collect();
        open.sort_by_key(|(_, (position, _))| *position);
        for (action, (position, state)) in open {
            *self.report.actions.entry(state.to_owned()).or_default() += 1;
            if let Ok(action) = ActionId::new(&action) {
                self.report.open.push(OpenAction { action, state: state.to_owned(), position });
            }
        }
        self.report.entries = self.kinds.iter().sum();
        self.report.runs = self.runs.len() as u64;
        self.report.last_at = Timestamp::parse(&self.at);
        self.report
    }

    fn name(&self, text: &str) -> Name {
        (self.names.0.hash_one(text), self.names.1.hash_one(text))
    }

    fn warn(&mut self, position: u64, what: String) {
        if self.report.warnings.len() < WARNINGS_MAX {
            self.report.warnings.push(Warning { position, what });
        } else {
            self.report.warnings_more += 1;
        }
    }

    fn time(&mut self, position: u64, text: &str) -> Result<(), AuditFinding> {
        if text == self.at {
            return Ok(());
        }
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        if !is_time(text) {
            return wrong(format!("`{text}` is no time as entries write it"));
        }
        // Times of this form are in the order of their texts. Within a minute there is no more to know.
        let minute = |text: &str| text.get(..16).map(str::to_owned);
        if text < self.at.as_str() {
            return wrong(format!("it was recorded at {text}, before the entry before it ({})", self.at));
        }
        if minute(text) != minute(&self.at) {
            let Some(at) = Timestamp::parse(text) else { return wrong(format!("`{text}` is no time")) };
            match Timestamp::parse(&self.at).map(|before| at.since_ms(before) / 1000) {
                Some(silence_s) if silence_s > self.auditor.silence_s => {
                    self.warn(
                        position,
                        format!("nothing was recorded for {silence_s} s before it, no heartbeat either"),
                    );
                }
                Some(_) => {}
                None => self.report.first_at = Some(at),
            }
        }
        text.clone_into(&mut self.at);
        Ok(())
    }

    fn sequence(&mut self, position: u64, kind: &str, line: &Line<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let Some(run) = line.run else {
            return match line.seq {
                None => Ok(()),
                Some(_) => wrong("it counts in a run, but names none".into()),
            };
        };
        let name = self.name(run);
        match (self.runs.get_mut(&name), kind) {
            (Some(_), "run_opened") => wrong(format!("run `{run}` is opened a second time")),
            (None, "run_opened") if line.seq == Some(0) => {
                self.runs.insert(name, 1);
                Ok(())
            }
            (None, "run_opened") => wrong(format!("the first entry of run `{run}` must be number 0")),
            (Some(next), _) if line.seq == Some(*next) => {
                *next += 1;
                Ok(())
            }
            (Some(next), _) => match line.seq {
                Some(seq) => wrong(format!(
                    "it is number {seq} of run `{run}`, but {next} comes next: an entry is missing or twice"
                )),
                None => wrong(format!("it has no number in run `{run}`")),
            },
            // What is proposed for a run that nobody opened is refused, on record.
            (None, "ruled") if line.seq.is_none() => Ok(()),
            (None, _) => wrong(format!("run `{run}` was never opened")),
        }
    }

    fn ruled(&mut self, position: u64, line: &Line<'_>, bytes: &[u8]) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let (Some(action), Some(decision), Some(outcome)) = (line.action, &line.decision, line.outcome)
        else {
            return wrong("it is a decision without action, outcome or verdict".into());
        };
        let expected = match (decision.verdict.unwrap_or_default(), line.mode) {
            _ if decision.replays.is_some() => "replayed",
            ("allow" | "require_approval" | "block", Some("dry_run")) => "asked",
            ("allow", Some("execute" | "authorize")) => "approved",
            ("require_approval", Some("execute" | "authorize")) => "escalated",
            ("block", Some("execute" | "authorize")) => "blocked",
            (verdict, mode) => {
                return wrong(format!("`{verdict}` for `{}` is no decision", mode.unwrap_or_default()));
            }
        };
        if outcome != expected {
            return wrong(format!("it says `{outcome}`, but its decision means `{expected}`"));
        }
        *self.report.decisions.entry(expected.to_owned()).or_default() += 1;
        if expected != "approved" {
            return Ok(());
        }
        if self.over.contains_key(&self.name(action)) {
            return wrong(format!("`{action}` was started before, and is allowed again"));
        }
        if line.seq.is_none() {
            return wrong(format!("`{action}` is allowed for a run that was never opened"));
        }
        if decision.approval.is_some() {
            match read(position, bytes)?.event {
                Event::Ruled(ruled) => self.yes(position, &ruled)?,
                _ => return wrong("it is no decision".into()),
            }
        }
        self.due = Some((position, action.to_owned(), line.run.map(str::to_owned)));
        Ok(())
    }

    /// A yes is used: once, in time, for exactly what it was given, and by as many people as are needed.
    fn yes(&mut self, position: u64, ruled: &Ruled) -> Result<(), AuditFinding> {
        let Some(approval) = &ruled.decision.approval else { return Ok(()) };
        if let Some(step) = ruled.decision.plan_step {
            return self.yes_to_plan(position, ruled, approval, step);
        }
        let wrong =
            |what: &str| Err(AuditFinding::history(position, format!("the approval `{approval}` {what}")));
        let Some(ask) = self.asks.remove(approval.as_str()) else {
            let used = self.closed.contains(&self.name(approval.as_str()));
            return wrong(if used {
                "was used, refused, withdrawn or expired before"
            } else {
                "was never asked for"
            });
        };
        self.closed.insert(self.name(approval.as_str()));
        if ask.digest != ruled.digest {
            return wrong("was given for something else");
        }
        if ask.action != ruled.action {
            return wrong(&format!("was given for `{}`", ask.action));
        }
        if ask.state_at(ruled.now) != ApprovalState::Approved {
            return wrong(&format!("is {}", ask.state_at(ruled.now).name()));
        }
        if !is_met(ruled, &ask) {
            return wrong("was not given by all who had to agree");
        }
        Ok(())
    }

    /// A yes to a plan is used: in its run, in time, by as many people as are needed, in the order of the steps, for
    /// the definition that was shown, and not more often than the step says.
    fn yes_to_plan(
        &mut self,
        position: u64,
        ruled: &Ruled,
        approval: &ApprovalId,
        step: u32,
    ) -> Result<(), AuditFinding> {
        let wrong =
            |what: &str| Err(AuditFinding::history(position, format!("the approval `{approval}` {what}")));
        let Some(ask) = self.asks.get(approval.as_str()) else {
            return wrong("was refused, withdrawn, expired, or was never asked for");
        };
        let shown = ask.plan.as_ref().and_then(|plan| plan.steps.get(step as usize));
        let Some(shown) = shown else { return wrong("is for no plan with such a step") };
        if ask.run != ruled.principal.run {
            return wrong("is for the plan of another run");
        }
        if ask.state_at(ruled.now) != ApprovalState::Approved {
            return wrong(&format!("is {}", ask.state_at(ruled.now).name()));
        }
        if ruled.definition != Some(shown.definition) {
            return wrong("was given for another definition");
        }
        if !is_met(ruled, ask) {
            return wrong("was not given by all who had to agree");
        }
        let (times, at) = (shown.times, step as usize);
        let used = self.steps.entry(approval.to_string()).or_default();
        if used.len() > at + 1 {
            return wrong("is used for a step after a later one");
        }
        used.resize(at + 1, 0);
        match used.last_mut().filter(|n| **n < times) {
            Some(n) => *n += 1,
            None => return wrong("is used more often than the step says"),
        }
        // The request about this call alone is not answered any more.
        if let Some(single) = ruled.facts.ask.as_ref().filter(|ask| ask.action == ruled.action) {
            self.asks.remove(single.approval.as_str());
            self.closed.insert(self.name(single.approval.as_str()));
        }
        Ok(())
    }

    fn started(&mut self, position: u64, line: &Line<'_>, action: String) -> Result<(), AuditFinding> {
        if line.attempt != Some(1) {
            return Err(AuditFinding::history(position, "the first attempt is number 1"));
        }
        self.over.insert(self.name(&action), false);
        self.open.insert(action, (position, "started"));
        Ok(())
    }

    fn concluded(&mut self, position: u64, line: &Line<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let (Some(action), Some(outcome)) = (line.action, line.outcome) else {
            return wrong("it is a conclusion without action or outcome".into());
        };
        let end = match outcome {
            "done" => Some("done"),
            "failed" => Some("failed"),
            "unknown" => None,
            _ => return wrong(format!("`{outcome}` is no outcome")),
        };
        let name = self.name(action);
        match (self.over.get(&name), self.open.get_mut(action)) {
            (None, _) => return wrong(format!("`{action}` ends without having been started")),
            // Only the agent had said that it failed; somebody has found out what came of it.
            (Some(true), None)
                if end.is_some() && line.resolved_by.is_some() && self.doubtful.remove(&name) =>
            {
                if let Some(failed) = self.ends.get_mut("failed") {
                    *failed = failed.saturating_sub(1);
                }
            }
            (Some(true), _) | (Some(false), None) => return wrong(format!("`{action}` ends a second time")),
            (Some(false), Some((at, state))) => {
                if *state == "unknown" && (end.is_none() || line.resolved_by.is_none()) {
                    return wrong(format!(
                        "`{action}` is unknown, and only somebody who found out can say more"
                    ));
                }
                (*at, *state) = (position, "unknown");
            }
        }
        if let Some(end) = end {
            self.open.remove(action);
            if line.reported == Some(true) && end == "failed" {
                self.doubtful.insert(name);
            }
            self.over.insert(name, true);
            *self.ends.entry(end).or_default() += 1;
        }
        Ok(())
    }

    fn other(&mut self, position: u64, bytes: &[u8]) -> Result<(), AuditFinding> {
        let entry = read(position, bytes)?;
        match entry.event {
            Event::Asked(ask) => self.asked(position, *ask),
            Event::Answered(answered) => self.answered(position, answered),
            Event::Expired(expired) => self.expired(position, entry.at, &expired),
            Event::Withdrawn(withdrawn) => self.withdrawn(position, &withdrawn),
            Event::Fault(fault) => {
                self.warn(position, format!("fault `{}`: {}", fault.code, fault.message));
                Ok(())
            }
            // The line has told all there is to these, or nothing hangs on them here.
            Event::BundleLoaded(_)
            | Event::SandboxProbed(_)
            | Event::RunOpened(_)
            | Event::RunClosed(_)
            | Event::TokenIssued(_)
            | Event::TokenRevoked(_)
            | Event::Ruled(_)
            | Event::Started(_)
            | Event::Concluded(_)
            | Event::Kill(_)
            | Event::Lift(_)
            | Event::BudgetAdjusted(_)
            | Event::Erased(_)
            | Event::KeyChanged(_)
            | Event::Heartbeat(_) => Ok(()),
        }
    }

    fn asked(&mut self, position: u64, ask: ApprovalRequest) -> Result<(), AuditFinding> {
        let id = ask.approval.as_str();
        let wrong = |what: &str| Err(AuditFinding::history(position, format!("the approval `{id}` {what}")));
        if ask.state != ApprovalState::Pending {
            return wrong("is answered before it is asked for");
        }
        if self.closed.contains(&self.name(id)) {
            return wrong("is over, and is asked for again");
        }
        match self.asks.get(id) {
            None if !ask.votes.is_empty() => return wrong("has answers that are not on record"),
            Some(known) if known.votes != ask.votes => {
                return wrong("has other answers than those on record");
            }
            Some(known) if known.digest != ask.digest || known.action != ask.action => {
                return wrong("is asked for something else now");
            }
            None | Some(_) => {}
        }
        self.asks.insert(id.to_owned(), ask);
        Ok(())
    }

    fn answered(&mut self, position: u64, answered: Answered) -> Result<(), AuditFinding> {
        let id = answered.approval.as_str();
        let name = self.name(id);
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let Some(ask) = self.asks.get_mut(id) else {
            return wrong(format!("it answers `{id}`, which nobody asks"));
        };
        if ask.action != answered.action {
            return wrong(format!("it answers `{id}` about another action"));
        }
        match ask.admit(&answered.vote, answered.voters.as_ref()) {
            Err((_, why)) => return wrong(format!("an answer that does not count is on record: {why}")),
            Ok(state) if state != answered.state => {
                return wrong(format!("after it `{id}` is {}, not {}", state.name(), answered.state.name()));
            }
            Ok(state) => ask.state = state,
        }
        ask.take(answered.vote, answered.voters.as_ref());
        if ask.state == ApprovalState::Rejected {
            self.asks.remove(id);
            self.closed.insert(name);
        }
        Ok(())
    }

    fn expired(&mut self, position: u64, at: Timestamp, expired: &Expired) -> Result<(), AuditFinding> {
        let id = expired.approval.as_str();
        // Older entries say of each that nobody answered.
        let told = |ask: &ApprovalRequest| [Lapse::Unanswered, Lapse::of(ask)].contains(&expired.lapse);
        match self.asks.remove(id) {
            Some(ask)
                if ask.state_at(at) == ApprovalState::Expired
                    && ask.action == expired.action
                    && told(&ask) =>
            {
                self.closed.insert(self.name(id));
                Ok(())
            }
            Some(_) => {
                Err(AuditFinding::history(position, format!("`{id}` had not expired, or not like this")))
            }
            None => Err(AuditFinding::history(position, format!("it ends `{id}`, which nobody asks"))),
        }
    }

    fn withdrawn(&mut self, position: u64, withdrawn: &Withdrawn) -> Result<(), AuditFinding> {
        let id = withdrawn.approval.as_str();
        match self.asks.remove(id) {
            Some(ask) if ask.action == withdrawn.action => {
                self.closed.insert(self.name(id));
                Ok(())
            }
            Some(_) => {
                Err(AuditFinding::history(position, format!("it withdraws `{id}` about another action")))
            }
            None => Err(AuditFinding::history(position, format!("it withdraws `{id}`, which nobody asks"))),
        }
    }
}

/// Whether as many people as are needed have agreed whose yes counted when it was used.
fn is_met(ruled: &Ruled, ask: &ApprovalRequest) -> bool {
    let votes = ask.counting(ruled.facts.voters.as_ref(), &BTreeSet::new());
    ruled.decision.need.as_ref().is_some_and(|need| need.met_by(&votes))
}

fn read(position: u64, bytes: &[u8]) -> Result<Entry, AuditFinding> {
    serde_json::from_slice(bytes)
        .map_err(|e| AuditFinding::history(position, format!("it cannot be read: {e}")))
}

/// Whether this is a time as entries write it: `2026-01-01T12:00:00.000Z`.
fn is_time(text: &str) -> bool {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

/// What an entry says about a payload, and which.
pub(super) fn said_of_payloads<'a>(line: &Line<'a>) -> impl Iterator<Item = (PayloadRef, &'a str)> + use<'a> {
    let subject = line.run.map(str::to_owned);
    let beside = line.beside.map(|text| (PayloadRef::Committed(PayloadKind::Beside, subject), text));
    said_of_a_payload(line).into_iter().chain(beside)
}

fn said_of_a_payload<'a>(line: &Line<'a>) -> Option<(PayloadRef, &'a str)> {
    let committed = |kind, subject: Option<&str>| PayloadRef::Committed(kind, subject.map(str::to_owned));
    let payload = match line.kind? {
        // Whoever was turned away at the door has left a digest and no content.
        "ruled" if line.unkept == Some(true) => return None,
        "ruled" => committed(PayloadKind::Arguments, line.run),
        "concluded" => committed(PayloadKind::Output, line.run),
        "run_opened" => committed(PayloadKind::Stated, line.run),
        "bundle_loaded" => committed(PayloadKind::Bundle, Some("bundle")),
        "erased" => PayloadRef::Erased,
        _ => return None,
    };
    Some((payload, line.payload?))
}
