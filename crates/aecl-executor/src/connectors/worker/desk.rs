//! The desk at which calls wait for workers: who is connected, what is offered to whom, and who has what.
//!
//! A call is handed over once: to the worker that has accepted its offer. Until then it can go to another; from then on
//! only that one ends it, or its silence does.

use super::words::{
    NotConnected, Notice, Registration, WorkFunction, WorkGone, WorkOrder, WorkReport, WorkerId, WorkerView,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// Most workers that are connected at once.
const WORKERS_MAX: usize = 256;
/// How long an offer stands before it goes to another.
const OFFER: Duration = Duration::from_secs(3);
/// So many deliveries are remembered of which a report came too late.
const LATE_MAX: usize = 1_024;
/// Silence after which nothing is offered to a worker.
pub const SILENT: Duration = Duration::from_secs(15);

/// Calls that wait, workers that are connected, and who has what.
#[derive(Debug, Default)]
pub struct Desk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    lines: u64,
    next: u64,
    sessions: BTreeMap<WorkerId, Session>,
    /// In the order in which they came.
    jobs: BTreeMap<u64, Job>,
    /// Deliveries of which it was noted that their report came too late, the latest last.
    late: VecDeque<String>,
}

#[derive(Debug)]
struct Session {
    registration: Registration,
    line: Option<(u64, UnboundedSender<Notice>)>,
    draining: bool,
    connected_at: Instant,
    heard_at: Instant,
}

#[derive(Debug)]
struct Job {
    work: Arc<WorkOrder>,
    stage: Stage,
    /// Of the offer that stands or was accepted.
    delivery: String,
    /// To whom it was offered and who did not accept.
    asked: BTreeSet<WorkerId>,
    bell: Arc<Notify>,
    cancelled: bool,
}

#[derive(Debug)]
enum Stage {
    Queued,
    Offered { to: WorkerId, until: Instant },
    Held { by: WorkerId, since: Instant, until: Instant },
    Ended { by: WorkerId, report: WorkReport },
    Withdrawn { why: String },
}

/// State of a call, as the one who waits for it sees it.
pub(super) enum Progress {
    /// Nobody has accepted it; look again then at the latest.
    Waiting(Option<Instant>),
    /// A worker has it since then, and has shown that it lives until then.
    Held { by: WorkerId, since: Instant, until: Instant },
    /// The worker has reported.
    Ended(WorkReport),
    /// It was taken back before anybody had it.
    Withdrawn(String),
    /// The server goes down and nobody had it.
    Closed,
}

/// A call that waits. Whoever drops it waits no more.
pub(super) struct Ticket<'a> {
    desk: &'a Desk,
    number: u64,
    pub(super) bell: Arc<Notify>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if let Some(job) = state.jobs.remove(&self.number)
            && let Stage::Held { by, .. } = &job.stage
        {
            state.tell(by, Notice::Cancel { delivery: job.delivery.clone() });
        }
        state.tidy();
        state.dispatch();
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever was interrupted has left each entry whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call into the queue; nothing if as many wait as may.
    pub(super) fn enqueue(&self, work: WorkOrder) -> Option<Ticket<'_>> {
        let mut state = self.state();
        let waits = |job: &&Job| {
            matches!(job.stage, Stage::Queued | Stage::Offered { .. })
                && (&job.work.action, job.work.function) == (&work.action, work.function)
        };
        if state.jobs.values().filter(waits).count() >= work.limits.queue_max {
            return None;
        }
        let (number, bell) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        let job = Job {
            work: Arc::new(work),
            stage: Stage::Queued,
            delivery: String::new(),
            asked: BTreeSet::new(),
            bell: bell.clone(),
            cancelled: false,
        };
        state.jobs.insert(number, job);
        state.dispatch();
        drop(state);
        Some(Ticket { desk: self, number, bell })
    }

    /// Where a call stands. An offer that nobody has accepted in time goes to another.
    pub(super) fn progress(&self, ticket: &Ticket<'_>) -> Progress {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(job) = state.jobs.get_mut(&ticket.number)
            && let Stage::Offered { until, .. } = &job.stage
            && *until <= now
        {
            job.take_back();
            state.dispatch();
        }
        let closed = state.closed;
        match state.jobs.get(&ticket.number).map(|job| &job.stage) {
            Some(Stage::Queued | Stage::Offered { .. }) if closed => Progress::Closed,
            Some(Stage::Queued) => Progress::Waiting(None),
            Some(Stage::Offered { until, .. }) => Progress::Waiting(Some(*until)),
            Some(Stage::Held { by, since, until }) => {
                Progress::Held { by: by.clone(), since: *since, until: *until }
            }
            Some(Stage::Ended { report, .. }) => Progress::Ended(report.clone()),
            Some(Stage::Withdrawn { why }) => Progress::Withdrawn(why.clone()),
            None => Progress::Closed,
        }
    }

    /// Takes a call back if nobody has accepted it. From then on nobody can.
    pub(super) fn withdraw(&self, ticket: &Ticket<'_>) -> bool {
        let mut state = self.state();
        let Some(job) = state.jobs.get_mut(&ticket.number) else { return true };
        match &job.stage {
            Stage::Queued | Stage::Offered { .. } => {
                job.stage = Stage::Withdrawn { why: String::new() };
                true
            }
            Stage::Withdrawn { .. } => true,
            Stage::Held { .. } | Stage::Ended { .. } => false,
        }
    }

    /// Tells the worker that has a call that nobody waits for it.
    pub(super) fn cancel(&self, ticket: &Ticket<'_>) {
        let mut state = self.state();
        let Some(job) = state.jobs.get_mut(&ticket.number) else { return };
        if let Stage::Held { by, .. } = &job.stage
            && !std::mem::replace(&mut job.cancelled, true)
        {
            let (by, notice) = (by.clone(), Notice::Cancel { delivery: job.delivery.clone() });
            state.tell(&by, notice);
        }
    }

    /// Whether somebody is connected who has this function.
    pub(super) fn has(&self, action: &str, function: WorkFunction) -> bool {
        let now = Instant::now();
        self.state().sessions.values().any(|session| session.takes(action, function, now))
    }

    /// Who was asked and did not accept.
    pub(super) fn asked(&self, ticket: &Ticket<'_>) -> usize {
        self.state().jobs.get(&ticket.number).map_or(0, |job| job.asked.len())
    }

    /// Connects a worker. The same process again takes the place of its line before, and keeps what it has.
    ///
    /// # Errors
    /// When too many are connected, or the server goes down.
    pub fn connect(
        &self,
        id: &WorkerId,
        registration: Registration,
    ) -> Result<(u64, UnboundedReceiver<Notice>), NotConnected> {
        let mut state = self.state();
        if state.closed {
            return Err(NotConnected::Closed);
        }
        if !state.sessions.contains_key(id) && state.sessions.len() >= WORKERS_MAX {
            return Err(NotConnected::Full(WORKERS_MAX));
        }
        state.take_back_from(id);
        let (sender, receiver) = unbounded_channel();
        state.lines += 1;
        let (line, now) = (state.lines, Instant::now());
        let session = Session {
            registration,
            line: Some((line, sender)),
            draining: false,
            connected_at: now,
            heard_at: now,
        };
        state.sessions.insert(id.clone(), session);
        state.dispatch();
        Ok((line, receiver))
    }

    /// Notes that a line has ended. What was offered over it goes to others; what was accepted stays with its worker.
    pub fn disconnect(&self, id: &WorkerId, line: u64) {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(id) else { return };
        if session.line.as_ref().is_none_or(|(known, _)| *known != line) {
            return;
        }
        session.line = None;
        state.take_back_from(id);
        state.tidy();
        state.dispatch();
    }

    /// Hears that a worker lives and goes on with these deliveries. Gives those that are not its own any more, and those
    /// that nobody waits for.
    pub fn heartbeat(&self, id: &WorkerId, deliveries: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(session) = state.sessions.get_mut(id) {
            session.heard_at = now;
        }
        let (mut own, mut cancelled) = (BTreeSet::new(), Vec::new());
        for job in state.jobs.values_mut() {
            if !deliveries.contains(&job.delivery) || !job.is_with(id) {
                continue;
            }
            own.insert(job.delivery.clone());
            // Of what is only offered it may be that the acceptance is on its way.
            if let Stage::Held { until, .. } = &mut job.stage {
                *until = now + Duration::from_millis(job.work.limits.lease_ms);
                cancelled.extend(job.cancelled.then(|| job.delivery.clone()));
            }
        }
        state.dispatch();
        let gone = deliveries.iter().filter(|delivery| !own.contains(*delivery)).cloned().collect();
        (gone, cancelled)
    }

    /// The call behind an offer, for the worker to which it was made: from now on it is this worker's and nobody else's.
    /// Asked again, it gives the same.
    ///
    /// # Errors
    /// When the offer is another's, or stands no longer.
    pub fn accept(&self, id: &WorkerId, delivery: &str) -> Result<Arc<WorkOrder>, WorkGone> {
        let mut state = self.state();
        let (now, closed) = (Instant::now(), state.closed);
        let job = state.jobs.values_mut().find(|job| job.delivery == delivery).ok_or(WorkGone)?;
        match &job.stage {
            Stage::Offered { to, until } if to == id && *until > now && !closed => {
                let until = now + Duration::from_millis(job.work.limits.lease_ms);
                job.stage = Stage::Held { by: id.clone(), since: now, until };
                job.bell.notify_one();
                Ok(job.work.clone())
            }
            Stage::Held { by, .. } if by == id => Ok(job.work.clone()),
            Stage::Queued
            | Stage::Offered { .. }
            | Stage::Held { .. }
            | Stage::Ended { .. }
            | Stage::Withdrawn { .. } => Err(WorkGone),
        }
    }

    /// The call behind an offer that stands, unaccepted.
    pub fn offered(&self, id: &WorkerId, delivery: &str) -> Option<Arc<WorkOrder>> {
        let state = self.state();
        let job = state.jobs.values().find(|job| job.delivery == delivery)?;
        let is_own = match &job.stage {
            Stage::Offered { to, .. } => to == id,
            Stage::Held { by, .. } => by == id,
            Stage::Queued | Stage::Ended { .. } | Stage::Withdrawn { .. } => false,
        };
        is_own.then(|| job.work.clone())
    }

    /// Takes back what was offered, for a reason that stands in its outcome: nobody gets it. What somebody has accepted
    /// stays.
    pub fn stop(&self, id: &WorkerId, delivery: &str, why: String) {
        let mut state = self.state();
        let job = state.jobs.values_mut().find(|job| job.delivery == delivery);
        if let Some(job) = job
            && matches!(&job.stage, Stage::Offered { to, .. } if to == id)
        {
            job.stage = Stage::Withdrawn { why };
            job.bell.notify_one();
        }
    }

    /// Takes the report of the worker that has this delivery. The same once more is the same report.
    ///
    /// # Errors
    /// When it has not, or not any more, or has said something else before.
    pub fn report(&self, id: &WorkerId, delivery: &str, report: WorkReport) -> Result<(), WorkGone> {
        let mut state = self.state();
        let job = state.jobs.values_mut().find(|job| job.delivery == delivery).ok_or(WorkGone)?;
        match &job.stage {
            Stage::Held { by, .. } if by == id => {
                job.stage = Stage::Ended { by: id.clone(), report };
                job.bell.notify_one();
                Ok(())
            }
            Stage::Ended { by, report: said } if by == id && *said == report => Ok(()),
            Stage::Queued
            | Stage::Offered { .. }
            | Stage::Held { .. }
            | Stage::Ended { .. }
            | Stage::Withdrawn { .. } => Err(WorkGone),
        }
    }

    /// Offers nothing more to a worker. What it has accepted it may end.
    pub fn drain(&self, id: &WorkerId) {
        let mut state = self.state();
        if let Some(session) = state.sessions.get_mut(id) {
            session.draining = true;
        }
        state.take_back_from(id);
        state.dispatch();
    }

    /// Takes nothing new, and ends the wait for what nobody has accepted. Fires when the server goes down.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.jobs.values().for_each(|job| job.bell.notify_one());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Who is connected, with what.
    pub fn workers(&self) -> Vec<WorkerView> {
        let state = self.state();
        let now = Instant::now();
        let before = |at: Instant| u64::try_from(now.duration_since(at).as_millis()).unwrap_or(u64::MAX);
        let view = |(id, session): (&WorkerId, &Session)| WorkerView {
            id: id.clone(),
            serves: session.registration.serves.clone(),
            slots: session.registration.slots,
            in_flight: state.jobs.values().filter(|job| job.is_with(id)).count(),
            connected_ms: before(session.connected_at),
            heard_ms: before(session.heard_at),
            draining: session.draining,
            connected: session.line.is_some(),
        };
        state.sessions.iter().map(view).collect()
    }

    /// How many calls of each action wait for a worker.
    pub fn waiting(&self) -> BTreeMap<String, usize> {
        let mut waiting = BTreeMap::new();
        for job in self.state().jobs.values() {
            if matches!(job.stage, Stage::Queued | Stage::Offered { .. }) {
                *waiting.entry(job.work.action.clone()).or_default() += 1;
            }
        }
        waiting
    }

    /// Whether this is the first word of a report that comes too late to count, so that one worker does not fill the record.
    pub fn is_first_late(&self, delivery: &str) -> bool {
        let mut state = self.state();
        if state.late.iter().any(|known| known == delivery) {
            return false;
        }
        if state.late.len() >= LATE_MAX {
            state.late.pop_front();
        }
        state.late.push_back(delivery.to_owned());
        true
    }

    /// How long ago a worker was heard.
    pub fn silence(&self, id: &WorkerId) -> Option<Duration> {
        Some(self.state().sessions.get(id)?.heard_at.elapsed())
    }
}

impl Session {
    fn takes(&self, action: &str, function: WorkFunction, now: Instant) -> bool {
        !self.draining
            && self.line.is_some()
            && now.duration_since(self.heard_at) < SILENT
            && self.registration.serves.get(action).is_some_and(|functions| functions.contains(&function))
    }
}

impl Job {
    fn is_with(&self, id: &WorkerId) -> bool {
        match &self.stage {
            Stage::Offered { to, .. } => to == id,
            Stage::Held { by, .. } => by == id,
            Stage::Queued | Stage::Ended { .. } | Stage::Withdrawn { .. } => false,
        }
    }

    /// Back into the queue.
    fn take_back(&mut self) {
        if let Stage::Offered { to, .. } = &self.stage {
            self.asked.insert(to.clone());
            self.stage = Stage::Queued;
            self.delivery.clear();
            self.bell.notify_one();
        }
    }
}

impl State {
    fn take_back_from(&mut self, id: &WorkerId) {
        for job in self.jobs.values_mut().filter(|job| job.is_with(id)) {
            job.take_back();
        }
    }

    fn tell(&self, id: &WorkerId, notice: Notice) -> bool {
        let line = self.sessions.get(id).and_then(|session| session.line.as_ref());
        line.is_some_and(|(_, sender)| sender.send(notice).is_ok())
    }

    /// Forgets workers that have gone and have nothing.
    fn tidy(&mut self) {
        let jobs = &self.jobs;
        self.sessions
            .retain(|id, session| session.line.is_some() || jobs.values().any(|job| job.is_with(id)));
    }

    /// Offers what waits, the oldest first, to whoever has the least to do and was not asked before.
    fn dispatch(&mut self) {
        if self.closed {
            return;
        }
        let queued: Vec<u64> = self
            .jobs
            .iter()
            .filter(|(_, job)| matches!(job.stage, Stage::Queued))
            .map(|(number, _)| *number)
            .collect();
        for number in queued {
            while let Some(to) = self.free_for(number) {
                let Ok(delivery) = delivery() else { return };
                let Some(job) = self.jobs.get_mut(&number) else { break };
                let notice = Notice::Offer {
                    delivery: delivery.clone(),
                    action: job.work.serves.clone(),
                    function: job.work.function,
                    lease_ms: job.work.limits.lease_ms,
                };
                job.delivery = delivery;
                job.stage = Stage::Offered { to: to.clone(), until: Instant::now() + OFFER };
                job.bell.notify_one();
                if self.tell(&to, notice) {
                    break;
                }
                // Its line is gone, and nobody has said so yet.
                if let Some(session) = self.sessions.get_mut(&to) {
                    session.line = None;
                }
                self.take_back_from(&to);
            }
        }
    }

    /// Who would get this one.
    fn free_for(&self, number: u64) -> Option<WorkerId> {
        let job = self.jobs.get(&number)?;
        let work = &job.work;
        let underway = |other: &&Job| {
            matches!(other.stage, Stage::Offered { .. } | Stage::Held { .. })
                && (&other.work.action, other.work.function) == (&work.action, work.function)
        };
        if self.jobs.values().filter(underway).count() >= work.limits.concurrency_max {
            return None;
        }
        let now = Instant::now();
        let free = self.sessions.iter().filter_map(|(id, session)| {
            let has = self.jobs.values().filter(|other| other.is_with(id)).count();
            let is_free = session.takes(&work.serves, work.function, now) && has < session.registration.slots;
            is_free.then(|| (job.asked.contains(id), has, id))
        });
        free.min().map(|(_, _, id)| id.clone())
    }
}

/// A name that nobody guesses.
fn delivery() -> Result<String, getrandom::Error> {
    use base64::Engine as _;
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("del_{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}
