//! The ledger as the other rooms see it: writes that are on record when they return, and reads.

use crate::cache;
use crate::command::{Answering, AskPlan, Command, Conclusion, OpenRun, Rule};
use crate::error::LedgerError;
use crate::in_flight::{InFlight, Stage};
use crate::known::{Known, Look, Missed};
use crate::payload::{PayloadKind, Salts, payload};
use crate::queue::{Queue, Waiting};
use crate::readers::{Reach, Readers};
use crate::recorded::Recorded;
use crate::signer::Signer;
use crate::store::{Head, Store};
use crate::withdraw::WITHDRAWN_AT_ONCE;
use crate::writer::Writer;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::{Ruling, prepare};
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::approval::{ApprovalRequest, People, Vote};
use aecl_kernel::record::event::{
    Answered, BudgetAdjusted, Concluded, Entry, Event, Fault, Heartbeat, KillChanged, RunClosed, TokenIssued,
    TokenRevoked,
};
use aecl_kernel::record::facts::{
    ActionFact, Fact, FactKey, FactStore as _, Facts, KillScope, RunFact, Used,
    keys::{self, TypedKey},
};
use aecl_kernel::record::goal::{Goal, ProposedPlan};
use aecl_proof::VerifierKey;
use std::cell::RefCell;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// Most commands that may wait for the writer.
const QUEUE_MAX: usize = 8192;

/// The ledger. Cheap to clone; the last clone that goes ends the writer.
#[derive(Clone)]
pub struct Ledger {
    commands: SyncSender<Command>,
    readers: Readers,
    known: Arc<Known>,
    queue: Arc<RwLock<Queue>>,
    in_flight: Arc<RwLock<InFlight>>,
    origin: Arc<str>,
    verifier: VerifierKey,
    opened_after: Timestamp,
    stopped: Arc<OnceLock<String>>,
    durable: watch::Receiver<u64>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({})", self.origin)
    }
}

/// Says that the writer has panicked, if it has.
struct End {
    why: Arc<OnceLock<String>>,
    panicked: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.panicked {
            // The first reason is the one that counts.
            drop(self.why.set("the writer has panicked".into()));
        }
    }
}

impl Ledger {
    /// Opens the ledger in a store, after checking that its head is what was signed.
    pub fn open(store: Box<dyn Store>, signer: Signer) -> Result<Self, LedgerError> {
        Self::open_salted(store, signer, Salts::new())
    }

    pub(crate) fn open_salted(
        store: Box<dyn Store>,
        signer: Signer,
        salts: Salts,
    ) -> Result<Self, LedgerError> {
        let verifier = signer.verifier()?;
        let origin: Arc<str> = signer.origin.as_str().into();
        let writer = Writer::open(store, signer, salts)?;
        let (readers, known) = (Readers::of(writer.reader()?)?, writer.known());
        let (opened_after, open, in_flight) = (writer.last_at(), writer.queue(), writer.in_flight());
        let durable = writer.durable();
        let (commands, queue) = sync_channel(QUEUE_MAX);
        let stopped = Arc::new(OnceLock::new());
        let why = stopped.clone();
        let work = move || {
            // Whoever is told that the ledger has stopped can also read why: the queue, and with it the
            // answers that nobody will get, goes last.
            let queue = queue;
            let mut end = End { why, panicked: true };
            writer.work(&queue, &end.why);
            end.panicked = false;
        };
        let handle = std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(work)
            .map_err(|e| LedgerError::Stopped(format!("the writer's thread cannot start: {e}")))?;
        let writer = Arc::new(Mutex::new(Some(handle)));
        Ok(Self {
            commands,
            readers,
            known,
            queue: open,
            in_flight,
            origin,
            verifier,
            opened_after,
            stopped,
            durable,
            writer,
        })
    }

    /// The name of this ledger.
    pub fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// The key that verifies it.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// When the last entry was recorded that was there when it was opened; 1970 if there was none.
    pub fn opened_after(&self) -> Timestamp {
        self.opened_after
    }

    /// Why the writer has stopped, if it has. Nothing is recorded any more then, so nothing may be done.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.get().map(String::as_str)
    }

    /// Nothing is recorded any more from here on: what is there cannot be relied on.
    pub fn stop(&self, why: &str) {
        // The first reason is the one that counts.
        drop(self.stopped.set(why.to_owned()));
    }

    /// Looks whether the record is still where it was opened. If it is not, nothing is recorded any more.
    pub async fn still_there(&self) -> Result<(), LedgerError> {
        let looked = self.readers.read(Reach::LookUp, |store| Ok(store.still_there()?)).await;
        if let Err(error) = &looked {
            // The first reason is the one that counts.
            drop(self.stopped.set(error.to_string()));
        }
        looked
    }

    /// Ends the writer after everything that was accepted is on record. Needs to be the last handle.
    pub fn close(self) {
        let Self { commands, writer, .. } = self;
        drop(commands);
        let handle = writer.lock().ok().and_then(|mut w| w.take());
        if let Some(handle) = handle {
            drop(handle.join());
        }
    }

    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> Command,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        match self.offer(make(reply))? {
            None => answer.await.map_err(|_| self.gone())?,
            Some(_) => Err(LedgerError::Overloaded(QUEUE_MAX)),
        }
    }

    /// The same, however many wait: what has happened is recorded, and no answer says "try again" for it.
    async fn ask_patiently<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> Command,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        if let Some(command) = self.offer(make(reply))? {
            let commands = self.commands.clone();
            let sent = tokio::task::spawn_blocking(move || commands.send(command)).await;
            sent.map_err(|_| self.gone())?.map_err(|_| self.gone())?;
        }
        answer.await.map_err(|_| self.gone())?
    }

    /// Gives the writer a command, or gives it back where the queue is full.
    fn offer(&self, command: Command) -> Result<Option<Command>, LedgerError> {
        self.ensure_running()?;
        match self.commands.try_send(command) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(command)) => Ok(Some(command)),
            Err(TrySendError::Disconnected(_)) => Err(self.gone()),
        }
    }

    /// An error once nothing is recorded any more.
    pub fn ensure_running(&self) -> Result<(), LedgerError> {
        self.stopped().map_or(Ok(()), |_| Err(self.gone()))
    }

    fn gone(&self) -> LedgerError {
        LedgerError::Stopped(self.stopped().unwrap_or("the writer is gone").to_owned())
    }

    /// Reads the facts, decides and records: one step. What comes back is durable.
    pub async fn rule(&self, rule: Rule) -> Result<Recorded<Ruling>, LedgerError> {
        // Whoever asks does this, and not the writer, for whom all wait.
        prepare(&rule.action);
        self.ask(|reply| Command::Rule(rule, reply)).await
    }

    /// Puts a plan before people that an agent has proposed in the middle of its run.
    pub async fn ask_plan(&self, asking: AskPlan, now: Timestamp) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::AskPlan(Box::new(asking), now, reply)).await
    }

    /// Records how an attempt ended, or what an unknown outcome turned out to be.
    pub async fn conclude(
        &self,
        conclusion: Conclusion,
        now: Timestamp,
    ) -> Result<Recorded<Concluded>, LedgerError> {
        self.ask_patiently(|reply| Command::Conclude(conclusion, now, reply)).await
    }

    /// Records a person's answer, if it counts. `vote.at` is the wall clock.
    pub async fn answer(
        &self,
        id: ApprovalId,
        vote: Vote,
        view: Option<Digest>,
    ) -> Result<Recorded<Answered>, LedgerError> {
        let (endorsed, ending) = (Vec::new(), Vec::new());
        let answering = Answering { approval: id, vote, view, endorsed, people: None, ending };
        self.answer_among(answering).await
    }

    /// The same, with everything that an answer can say, among the people of now.
    pub async fn answer_among(&self, answering: Answering) -> Result<Recorded<Answered>, LedgerError> {
        self.ask(|reply| Command::Answer(Box::new(answering), reply)).await
    }

    /// Records that nobody answered in time. Gives whether that is so.
    pub async fn expire(&self, id: ApprovalId, now: Timestamp) -> Result<bool, LedgerError> {
        self.ask(|reply| Command::Expire(id, now, reply)).await
    }

    /// Opens a run.
    pub async fn open_run(&self, open: OpenRun, now: Timestamp) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::OpenRun(Box::new(open), now, reply)).await
    }

    /// Ends a run, and what waits in it and in those that were delegated from it, as far as one commit goes. Gives that.
    pub async fn close_run(
        &self,
        run: RunId,
        reason: String,
        by: String,
        now: Timestamp,
    ) -> Result<Vec<Arc<Waiting>>, LedgerError> {
        let ends = self.ending_with(&run);
        let ending = ends.iter().map(|waiting| waiting.ask.approval.clone()).collect();
        self.ask(|reply| Command::CloseRun(run, RunClosed { reason, by }, ending, now, reply)).await?;
        Ok(ends)
    }

    /// Records that nobody has to answer these requests any more, where their runs have ended. Gives of how many that is
    /// so.
    pub async fn withdraw_ended(
        &self,
        requests: Vec<ApprovalId>,
        now: Timestamp,
    ) -> Result<usize, LedgerError> {
        self.ask(|reply| Command::Withdraw(requests, now, reply)).await
    }

    /// What waits in a run and in those that were delegated from it, as much as is withdrawn in one commit.
    pub fn ending_with(&self, run: &RunId) -> Vec<Arc<Waiting>> {
        self.queue(|queue| queue.of_lineage(run).take(WITHDRAWN_AT_ONCE).cloned().collect())
    }

    /// Records what this host can hold programs with; decisions from now on rest on it.
    pub async fn sandbox_probed(
        &self,
        cages: HostIsolation,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(None, Event::SandboxProbed(cages), now, reply)).await
    }

    /// Records that a bundle came into force, with its sources.
    pub async fn bundle_loaded(
        &self,
        bundle: Arc<Bundle>,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Bundle(bundle, now, reply)).await
    }

    /// Records that a token was given out.
    pub async fn token_issued(
        &self,
        run: RunId,
        issued: TokenIssued,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(Some(run), Event::TokenIssued(issued), now, reply)).await
    }

    /// Revokes a token.
    pub async fn revoke_token(
        &self,
        run: RunId,
        token: String,
        by: String,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        let event = Event::TokenRevoked(TokenRevoked { token, by });
        self.ask(|reply| Command::Note(Some(run), event, now, reply)).await
    }

    /// Pulls a kill switch.
    pub async fn kill(&self, kill: KillChanged, now: Timestamp) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(None, Event::Kill(kill), now, reply)).await
    }

    /// Lifts a kill switch.
    pub async fn lift(&self, kill: KillChanged, now: Timestamp) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(None, Event::Lift(kill), now, reply)).await
    }

    /// Corrects a budget.
    pub async fn adjust_budget(
        &self,
        adjusted: BudgetAdjusted,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(None, Event::BudgetAdjusted(adjusted), now, reply)).await
    }

    /// Shows that the ledger is alive.
    pub async fn heartbeat(&self, in_flight: u64, now: Timestamp) -> Result<Recorded<()>, LedgerError> {
        self.ask(|reply| Command::Note(None, Event::Heartbeat(Heartbeat { in_flight }), now, reply)).await
    }

    /// Records that something is wrong with ourselves.
    pub async fn fault(
        &self,
        code: &str,
        message: String,
        now: Timestamp,
    ) -> Result<Recorded<()>, LedgerError> {
        let event = Event::Fault(Fault { code: code.into(), message: message.chars().take(4000).collect() });
        self.ask(|reply| Command::Note(None, event, now, reply)).await
    }

    /// Reads from a second view of the store. No decision may rest on it.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Store) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.readers.read(Reach::Listing, read).await
    }

    /// Looks a few facts up: in memory where they are known, and otherwise in a second view of the store.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&mut Look<'_>) -> Result<T, Missed> + Send + 'static,
    ) -> Result<T, LedgerError> {
        match look(&mut Look { known: &self.known, store: None }) {
            Err(Missed::Unknown) => {}
            found => return Ok(found?),
        }
        let known = self.known.clone();
        let ask = move |store: &mut dyn Store| Ok(look(&mut Look { known: &known, store: Some(store) })?);
        self.readers.read(Reach::LookUp, ask).await
    }

    /// A view of one's own, for whoever reads for long: it keeps nobody waiting, and the ledger may end before it.
    pub fn reader(&self) -> Result<Box<dyn Store>, LedgerError> {
        self.readers.view()
    }

    async fn find<K>(&self, key: K) -> Result<Option<K::Value>, LedgerError>
    where
        K: TypedKey<Value: Send + 'static> + Clone + Send + 'static,
    {
        self.look(move |facts| facts.find(key.clone())).await
    }

    /// A run.
    pub async fn run(&self, id: &RunId) -> Result<Option<RunFact>, LedgerError> {
        self.find(keys::Run(id.clone())).await
    }

    /// A run as it counts now: with what those have read by now from which it comes.
    pub async fn run_now(&self, id: &RunId) -> Result<Option<RunFact>, LedgerError> {
        let key = keys::Run(id.clone());
        let hear = move |facts: &mut Look<'_>| {
            let Some(mut run) = facts.find(key.clone())? else { return Ok(None) };
            run.hears(facts)?;
            Ok(Some(run))
        };
        self.look(hear).await
    }

    /// What a run is for.
    pub async fn goal(&self, id: &RunId) -> Result<Option<Goal>, LedgerError> {
        self.find(keys::Goal(id.clone())).await
    }

    /// An action.
    pub async fn action(&self, id: &ActionId) -> Result<Option<ActionFact>, LedgerError> {
        Ok(self.find(keys::Action(id.clone())).await?.map(|action| *action))
    }

    /// For what an idempotency key was used in a run.
    pub async fn used(&self, run: &RunId, key: &str) -> Result<Option<Used>, LedgerError> {
        self.find(keys::Idempotency(run.clone(), key.to_owned())).await
    }

    /// The plan that a request asks about, if an agent has proposed it in the middle of its run.
    pub async fn proposed_plan(&self, id: &ApprovalId) -> Result<Option<ProposedPlan>, LedgerError> {
        self.find(keys::Plan(id.clone())).await
    }

    /// The request about a plan, by the digest of what was proposed.
    pub async fn asked_of(&self, digest: Digest) -> Result<Option<ApprovalRequest>, LedgerError> {
        match self.find(keys::AskOf(digest)).await? {
            Some(id) => self.approval(&id).await,
            None => Ok(None),
        }
    }

    /// Looks with all that is on record, fact by fact. No decision may rest on it.
    pub async fn look_around<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Fn(&FactKey) -> Option<Fact>) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        let around = move |store: &mut dyn Store| {
            let (store, broken) = (RefCell::new(cache::View(store)), RefCell::new(None));
            let found = look(&|key| match store.borrow_mut().fact(key) {
                Ok(fact) => fact,
                Err(error) => {
                    // What cannot be read is not taken for nothing: all of the look is given up.
                    broken.borrow_mut().get_or_insert(error);
                    None
                }
            });
            broken.into_inner().map_or(Ok(found), Err)
        };
        // It may look at much, and no look-up waits for it.
        self.readers.read(Reach::Listing, around).await
    }

    /// A request for approval.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<ApprovalRequest>, LedgerError> {
        self.find(keys::Approval(id.clone())).await
    }

    /// When a token was revoked, if it was.
    pub async fn revoked(&self, token: &str) -> Result<Option<Timestamp>, LedgerError> {
        self.find(keys::Revoked(token.to_owned())).await
    }

    /// What a decision about this action would be made from now. To look at, not to decide on.
    pub async fn facts(
        &self,
        action: Arc<Action>,
        bundle: Arc<Bundle>,
        people: Option<Arc<People>>,
        now: Timestamp,
    ) -> Result<Facts, LedgerError> {
        let gather = move |store: &mut dyn Store| {
            Facts::gather(&action, &bundle, people.as_deref(), now, &mut cache::View(store))
        };
        self.readers.read(Reach::LookUp, gather).await
    }

    /// How many entries are durable, now and from here on: for whoever wants to hear that there are more.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Looks at the requests that are open, in short. It reads nothing from the store, and writes wait meanwhile.
    pub fn queue<T>(&self, look: impl FnOnce(&Queue) -> T) -> T {
        look(&self.queue.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests for approval that are open, by id, at most `limit`.
    pub async fn open_approvals(&self, limit: usize) -> Result<Vec<ApprovalRequest>, LedgerError> {
        self.read(move |store| {
            let mut asks = Vec::new();
            for (name, _) in store.scan("open/", None, limit)? {
                let id = ApprovalId::new(name.trim_start_matches("open/"));
                let ask = id.ok().map(|id| cache::View(store).find(keys::Approval(id))).transpose()?;
                asks.extend(ask.flatten());
            }
            Ok(asks)
        })
        .await
    }

    /// The first of these kill switches that is on.
    pub async fn killed(&self, scopes: &[KillScope]) -> Result<Option<KillScope>, LedgerError> {
        let scopes = scopes.to_vec();
        let first = move |facts: &mut Look<'_>| {
            for scope in &scopes {
                if facts.has(keys::Kill(scope.clone()))? {
                    return Ok(Some(scope.clone()));
                }
            }
            Ok(None)
        };
        self.look(first).await
    }

    /// Actions that are started and have no conclusion. It reads nothing from the store.
    pub fn in_flight(&self) -> Vec<ActionId> {
        self.in_flight.read().unwrap_or_else(PoisonError::into_inner).all().cloned().collect()
    }

    /// Those that have been at this stage since then or longer, the oldest first.
    pub fn in_flight_since(&self, stage: Stage, then: Timestamp) -> Vec<ActionId> {
        let in_flight = self.in_flight.read().unwrap_or_else(PoisonError::into_inner);
        in_flight.since(stage, then).cloned().collect()
    }

    /// Kill switches that are on, by scope.
    pub async fn kills(&self, limit: usize) -> Result<Vec<(String, Fact)>, LedgerError> {
        self.read(move |store| {
            let found = store.scan("kill/", None, limit)?;
            found
                .into_iter()
                .map(|(name, bytes)| {
                    Ok((name.trim_start_matches("kill/").to_owned(), cache::read(&name, &bytes)?))
                })
                .collect()
        })
        .await
    }

    /// Entries from a position on, at most `limit`.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.read(move |store| store.entries(from, limit)?.into_iter().map(parse).collect()).await
    }

    /// Entries of a run after a position, at most `limit`.
    pub async fn entries_of_run(
        &self,
        run: &RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let run = run.to_string();
        self.read(move |store| store.entries_of_run(&run, after, limit)?.into_iter().map(parse).collect())
            .await
    }

    /// Entries about an action.
    pub async fn entries_of_action(&self, action: &ActionId) -> Result<Vec<Entry>, LedgerError> {
        let action = action.to_string();
        let look =
            move |store: &mut dyn Store| store.entries_of_action(&action)?.into_iter().map(parse).collect();
        self.readers.read(Reach::LookUp, look).await
    }

    /// The content behind a commitment, if it is still there and is what was committed to.
    pub async fn payload(&self, kind: PayloadKind, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        let digest = *digest;
        self.readers.read(Reach::LookUp, move |store| payload(store, kind, &digest)).await
    }

    /// How far the ledger has come.
    pub async fn head(&self) -> Result<Head, LedgerError> {
        self.readers.read(Reach::LookUp, |store| Ok(store.head()?)).await
    }
}

fn parse((position, bytes): (u64, Vec<u8>)) -> Result<Entry, LedgerError> {
    serde_json::from_slice(&bytes)
        .map_err(|source| LedgerError::Unreadable { key: format!("entry {position}"), source })
}
