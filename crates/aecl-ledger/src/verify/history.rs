//! Do the entries make sense together? Each run counts its own entries, what is started was allowed and
//! ends once, a yes is used once and for what it was given.

use super::line::Line;
use super::read::{ByName, Name, Names, Said};
use super::{AuditFinding, AuditReport, Auditor, OpenAction, WARNINGS_MAX, Warning};
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::event::{Answered, Entry, Event, Expired, Lapse, Ruled, VERSION, Withdrawn};
use std::collections::hash_map;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What has been told so far.
pub(super) struct HistoryCheck<'a> {
    auditor: &'a Auditor,
    names: &'a Names,
    // The time of the last entry, as it is written.
    at: String,
    // The next number in each run.
    runs: HashMap<Name, u64, ByName>,
    // Actions that were started, and whether their end is known.
    over: HashMap<Name, bool, ByName>,
    // Those of them that have failed, as only their agent says.
    doubtful: HashSet<Name, ByName>,
    // Those of them whose end is not known.
    open: HashMap<Name, Open, ByName>,
    // Requests for approval that can still be answered or used.
    asks: HashMap<String, ApprovalRequest>,
    // Of those about a plan, how often each step was used.
    steps: HashMap<String, Vec<u32>>,
    // Those that were used, refused or withdrawn, or have expired.
    closed: HashSet<Name, ByName>,
    // An allow whose attempt must be the next entry.
    due: Option<Due>,
    kinds: [u64; Event::KINDS.len()],
    decisions: BTreeMap<&'static str, u64>,
    ends: BTreeMap<&'static str, u64>,
    report: AuditReport,
}

/// An action whose end is not known, and its last entry.
struct Open {
    action: String,
    position: u64,
    state: &'static str,
}

/// An allow whose attempt is not on record yet.
struct Due {
    position: u64,
    action: String,
    name: Name,
    run: Option<Name>,
}

impl Due {
    fn missing(self) -> AuditFinding {
        let what = format!("it allows `{}`, but no attempt is on record", self.action);
        AuditFinding::history(self.position, what)
    }
}

impl<'a> HistoryCheck<'a> {
    pub(super) fn new(auditor: &'a Auditor, names: &'a Names) -> Self {
        Self {
            auditor,
            names,
            at: String::new(),
            runs: HashMap::default(),
            over: HashMap::default(),
            doubtful: HashSet::default(),
            open: HashMap::default(),
            asks: HashMap::new(),
            steps: HashMap::new(),
            closed: HashSet::default(),
            due: None,
            kinds: [0; Event::KINDS.len()],
            decisions: BTreeMap::new(),
            ends: BTreeMap::new(),
            report: AuditReport::default(),
        }
    }

    /// Takes the next entry.
    pub(super) fn check_entry(&mut self, position: u64, said: Said<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| AuditFinding::history(position, what);
        let line = &said.line;
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
        let Some(count) = said.kind.and_then(|kind| self.kinds.get_mut(kind)) else {
            return Err(wrong(format!("its kind `{name}` is unknown to this program")));
        };
        *count += 1;
        self.time(position, at)?;
        self.sequence(position, name, &said)?;
        if let Some(due) = self.due.take() {
            let same = name == "started" && said.action == Some(due.name) && said.run == due.run;
            if !same {
                return Err(due.missing());
            }
            self.started(position, line, due)?;
        } else if name == "started" {
            return Err(wrong(format!("`{}` was started without an allow", line.action.unwrap_or_default())));
        }
        match name {
            "ruled" => self.ruled(position, said),
            "concluded" => self.concluded(position, &said),
            "started" => Ok(()),
            _ => self.other(position, said),
        }
    }

    /// No more entries.
    pub(super) fn end(&mut self) -> Result<(), AuditFinding> {
        self.due.take().map_or(Ok(()), |due| Err(due.missing()))
    }

    /// What was told.
    pub(super) fn report(mut self) -> AuditReport {
        for (kind, count) in Event::KINDS.iter().zip(self.kinds).filter(|(_, count)| *count > 0) {
            self.report.kinds.insert((*kind).to_owned(), count);
        }
        for (decision, count) in self.decisions {
            self.report.decisions.insert(decision.to_owned(), count);
        }
        for (end, count) in self.ends {
            self.report.actions.insert(end.to_owned(), count);
        }
        let mut open: Vec<_> = self.open.into_values().collect();
        open.sort_by_key(|open| open.position);
        for Open { action, position, state } in open {
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
        self.names.name(text)
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
        let minute = |text: &str| text.as_bytes().first_chunk::<16>().copied();
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

    fn sequence(&mut self, position: u64, kind: &str, said: &Said<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let line = &said.line;
        let Some((run, name)) = line.run.zip(said.run) else {
            return match line.seq {
                None => Ok(()),
                Some(_) => wrong("it counts in a run, but names none".into()),
            };
        };
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

    fn ruled(&mut self, position: u64, said: Said<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let Said { line, run, action: name, whole, .. } = said;
        let (Some((action, name)), Some(decision), Some(outcome)) =
            (line.action.zip(name), &line.decision, line.outcome)
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
        *self.decisions.entry(expected).or_default() += 1;
        if expected != "approved" {
            return Ok(());
        }
        if self.over.contains_key(&name) {
            return wrong(format!("`{action}` was started before, and is allowed again"));
        }
        if line.seq.is_none() {
            return wrong(format!("`{action}` is allowed for a run that was never opened"));
        }
        if decision.approval.is_some() {
            match entry(position, whole)?.event {
                Event::Ruled(ruled) => self.yes(position, &ruled)?,
                _ => return wrong("it is no decision".into()),
            }
        }
        self.due = Some(Due { position, action: action.to_owned(), name, run });
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

    fn started(&mut self, position: u64, line: &Line<'_>, due: Due) -> Result<(), AuditFinding> {
        if line.attempt != Some(1) {
            return Err(AuditFinding::history(position, "the first attempt is number 1"));
        }
        self.over.insert(due.name, false);
        self.open.insert(due.name, Open { action: due.action, position, state: "started" });
        Ok(())
    }

    fn concluded(&mut self, position: u64, said: &Said<'_>) -> Result<(), AuditFinding> {
        let wrong = |what: String| Err(AuditFinding::history(position, what));
        let line = &said.line;
        let (Some((action, name)), Some(outcome)) = (line.action.zip(said.action), line.outcome) else {
            return wrong("it is a conclusion without action or outcome".into());
        };
        let end = match outcome {
            "done" => Some("done"),
            "failed" => Some("failed"),
            "unknown" => None,
            _ => return wrong(format!("`{outcome}` is no outcome")),
        };
        let Some(over) = self.over.get_mut(&name) else {
            return wrong(format!("`{action}` ends without having been started"));
        };
        match (*over, self.open.entry(name)) {
            // Only the agent had said that it failed; somebody has found out what came of it.
            (true, hash_map::Entry::Vacant(_))
                if end.is_some() && line.resolved_by.is_some() && self.doubtful.remove(&name) =>
            {
                if let Some(failed) = self.ends.get_mut("failed") {
                    *failed = failed.saturating_sub(1);
                }
            }
            (true, _) | (false, hash_map::Entry::Vacant(_)) => {
                return wrong(format!("`{action}` ends a second time"));
            }
            (false, hash_map::Entry::Occupied(open))
                if open.get().state == "unknown" && (end.is_none() || line.resolved_by.is_none()) =>
            {
                return wrong(format!("`{action}` is unknown, and only somebody who found out can say more"));
            }
            (false, hash_map::Entry::Occupied(open)) if end.is_some() => drop(open.remove()),
            (false, hash_map::Entry::Occupied(mut open)) => {
                (open.get_mut().position, open.get_mut().state) = (position, "unknown");
            }
        }
        if let Some(end) = end {
            if line.reported == Some(true) && end == "failed" {
                self.doubtful.insert(name);
            }
            *over = true;
            *self.ends.entry(end).or_default() += 1;
        }
        Ok(())
    }

    fn other(&mut self, position: u64, said: Said<'_>) -> Result<(), AuditFinding> {
        let entry = entry(position, said.whole)?;
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

/// All of an entry whose line is not enough. It was read wherever that is so.
fn entry(position: u64, whole: Option<Result<Box<Entry>, String>>) -> Result<Box<Entry>, AuditFinding> {
    let whole = whole.unwrap_or_else(|| Err("it was not read".into()));
    whole.map_err(|what| AuditFinding::history(position, what))
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
