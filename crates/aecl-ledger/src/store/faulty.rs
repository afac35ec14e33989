//! A store that fails on demand: for tests of everything that must survive a disk.
//!
//! ```
//! use aecl_ledger::store::{Batch, InjectedFault, Faulty, Memory, Store, StoreCall, StoreError};
//! let (mut store, faults) = Faulty::new(Box::new(Memory::new()));
//! faults.plan(StoreCall::Commit, 2, InjectedFault::Fail);
//! assert!(store.commit(&Batch::default()).is_ok());
//! assert!(store.commit(&Batch::default()).is_err());
//! assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
//! ```

use super::poison::Poison;
use super::{Batch, FoundBy, Head, PayloadRow, Store, StoreError};
use aecl_proof::{Hash, Node};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A store around another one, which does what the test's [`Faults`] say.
pub struct Faulty {
    inner: Box<dyn Store>,
    faults: Faults,
    poison: Poison,
}

/// The methods of a store, to say which one shall fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the methods of `Store`")]
pub enum StoreCall {
    Head,
    Load,
    Scan,
    Commit,
    Entries,
    EntriesOfRun,
    EntriesOfAction,
    Payload,
    Node,
    Reader,
}

/// Fault that happens instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFault {
    /// Nothing is done, and an error is reported.
    Fail,
    /// Nothing is done, and the disk is reported full.
    Full,
    /// The work is done, and an error is reported: a flush that lies, or an answer that got lost.
    Lie,
    /// The call waits until [`Faults::release`], then does its work.
    Block,
    /// The call waits until [`Faults::release`]; then nothing is done, and an error is reported.
    BlockAndFail,
}

/// The test's hand on a [`Faulty`] store. Its clones are the same hand.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<(Mutex<Plan>, Condvar)>);

#[derive(Debug, Default)]
struct Plan {
    planned: BTreeMap<(StoreCall, u64), InjectedFault>,
    made: BTreeMap<StoreCall, u64>,
    blocked: u64,
    released: u64,
}

impl Faults {
    /// Plans a fault for the `nth` call of this kind, counted from 1 since the store was made.
    pub fn plan(&self, call: StoreCall, nth: u64, fault: InjectedFault) {
        self.lock().planned.insert((call, nth), fault);
    }

    /// Plans a fault for the next call of this kind.
    pub fn next(&self, call: StoreCall, fault: InjectedFault) {
        let mut plan = self.lock();
        let nth = plan.made.get(&call).copied().unwrap_or(0) + 1;
        plan.planned.insert((call, nth), fault);
    }

    /// How many calls of this kind were made.
    pub fn made(&self, call: StoreCall) -> u64 {
        self.lock().made.get(&call).copied().unwrap_or(0)
    }

    /// Waits until `count` calls in all have run into a [`InjectedFault::Block`]; false if that takes too long.
    pub fn wait_blocked(&self, count: u64, timeout: Duration) -> bool {
        let (_, changed) = &*self.0;
        let wait = changed.wait_timeout_while(self.lock(), timeout, |plan| plan.blocked < count);
        let (plan, _) = wait.unwrap_or_else(PoisonError::into_inner);
        plan.blocked >= count
    }

    /// Lets everything that is blocked go on.
    pub fn release(&self) {
        let mut plan = self.lock();
        plan.released = plan.blocked;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        // The plan is whole at all times, also after a panic of the test.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call and says what shall happen; a block is over when this returns.
    fn meet(&self, call: StoreCall) -> Option<InjectedFault> {
        let mut plan = self.lock();
        let made = plan.made.entry(call).or_default();
        *made += 1;
        let place = (call, *made);
        let fault = plan.planned.remove(&place)?;
        let after = match fault {
            InjectedFault::Fail | InjectedFault::Full | InjectedFault::Lie => return Some(fault),
            InjectedFault::Block => None,
            InjectedFault::BlockAndFail => Some(InjectedFault::Fail),
        };
        plan.blocked += 1;
        let ticket = plan.blocked;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(plan, |plan| plan.released < ticket));
        after
    }
}

impl Faulty {
    /// Wraps a store. Without a plan it behaves like the wrapped one.
    pub fn new(inner: Box<dyn Store>) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { inner, faults: faults.clone(), poison: Poison::default() }, faults)
    }

    fn view(
        &self,
        open: impl FnOnce(&dyn Store) -> Result<Box<dyn Store>, StoreError>,
    ) -> Result<Box<dyn Store>, StoreError> {
        self.poison.check()?;
        match self.faults.meet(StoreCall::Reader) {
            // The same hand is on its views.
            None | Some(InjectedFault::Block) => {
                let (inner, faults) = (open(&*self.inner)?, self.faults.clone());
                Ok(Box::new(Self { inner, faults, poison: Poison::default() }))
            }
            Some(
                InjectedFault::Fail | InjectedFault::BlockAndFail | InjectedFault::Full | InjectedFault::Lie,
            ) => Err(injected()),
        }
    }

    fn call<T>(
        &mut self,
        call: StoreCall,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.poison.check()?;
        match self.faults.meet(call) {
            None | Some(InjectedFault::Block) => work(&mut *self.inner),
            Some(InjectedFault::Fail | InjectedFault::BlockAndFail) => Err(injected()),
            Some(InjectedFault::Full) => Err(StoreError::Full { tried: "write, by a planned fault" }),
            Some(InjectedFault::Lie) => work(&mut *self.inner).and_then(|_| Err(injected())),
        }
    }
}

fn injected() -> StoreError {
    StoreError::Io { tried: "finish the call".into(), source: std::io::Error::other("planned fault") }
}

impl Store for Faulty {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.call(StoreCall::Head, |store| store.head())
    }

    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.call(StoreCall::Load, |store| store.load(keys))
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.call(StoreCall::Scan, |store| store.scan(prefix, after, limit))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.poison.check()?;
        let outcome = self.call(StoreCall::Commit, |store| store.commit(batch));
        self.poison.after(outcome)
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.call(StoreCall::Entries, |store| store.entries(from, limit))
    }

    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.call(StoreCall::EntriesOfRun, |store| store.entries_of_run(run, after, limit))
    }

    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.call(StoreCall::EntriesOfAction, |store| store.entries_of_action(action))
    }

    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        self.call(StoreCall::Payload, |store| store.payload(commitment))
    }

    fn payloads_beyond(&mut self, known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError> {
        self.call(StoreCall::Payload, |store| store.payloads_beyond(known))
    }

    fn found_by(&mut self, from: u64, limit: usize) -> Result<Vec<FoundBy>, StoreError> {
        self.call(StoreCall::Entries, |store| store.found_by(from, limit))
    }

    fn find_by(&mut self, entries: &[FoundBy]) -> Result<(), StoreError> {
        self.call(StoreCall::Commit, |store| store.find_by(entries))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        self.call(StoreCall::Node, |store| store.node(level, index))
    }

    fn nodes(&mut self, level: u8, from: u64, limit: usize) -> Result<Vec<(u64, Hash)>, StoreError> {
        self.call(StoreCall::Node, |store| store.nodes(level, from, limit))
    }

    fn renew_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        self.call(StoreCall::Commit, |store| store.renew_nodes(nodes))
    }

    fn broken(&mut self) -> Result<Vec<String>, StoreError> {
        self.inner.broken()
    }

    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError> {
        self.inner.tables_differ()
    }

    fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        self.view(|inner| inner.reader())
    }

    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError> {
        self.view(|inner| inner.snapshot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, suite};

    fn open() -> suite::Opened {
        let (store, _faults) = Faulty::new(Box::new(Memory::new()));
        (Box::new(store), None)
    }

    suite::on!(open);

    fn faulty() -> (Memory, Faulty, Faults) {
        let memory = Memory::new();
        let (faulty, faults) = Faulty::new(Box::new(memory.reopen()));
        (memory, faulty, faults)
    }

    #[test]
    fn a_failed_commit_wrote_nothing() {
        for fault in [InjectedFault::Fail, InjectedFault::Full] {
            let (mut memory, mut store, faults) = faulty();
            faults.plan(StoreCall::Commit, 2, fault);
            store.commit(&suite::batch(0, 2)).unwrap();
            assert!(store.commit(&suite::batch(2, 2)).is_err());
            assert!(matches!(store.commit(&suite::batch(2, 2)), Err(StoreError::Poisoned { .. })));
            assert_eq!(memory.head().unwrap().size, 2);
            assert_eq!(faults.made(StoreCall::Commit), 2, "a poisoned store tries nothing");
        }
    }

    #[test]
    fn a_lying_commit_wrote_everything() {
        let (mut memory, mut store, faults) = faulty();
        faults.next(StoreCall::Commit, InjectedFault::Lie);
        assert!(store.commit(&suite::batch(0, 2)).is_err());
        assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
        assert_eq!(memory.head().unwrap().size, 2);
    }

    #[test]
    fn a_failed_read_poisons_nothing() {
        let (_memory, mut store, faults) = faulty();
        faults.next(StoreCall::Load, InjectedFault::Fail);
        assert!(store.load(&[]).is_err());
        assert!(store.load(&[]).is_ok());
        faults.next(StoreCall::Reader, InjectedFault::Fail);
        assert!(store.reader().is_err());
        assert!(store.reader().is_ok());
    }

    #[test]
    fn a_blocked_commit_waits_for_its_release() {
        let (memory, mut store, faults) = faulty();
        faults.next(StoreCall::Commit, InjectedFault::Block);
        let commit = std::thread::spawn(move || store.commit(&suite::batch(0, 1)));
        assert!(faults.wait_blocked(1, Duration::from_secs(10)));
        assert_eq!(memory.reader().unwrap().head().unwrap().size, 0);
        faults.release();
        commit.join().unwrap().unwrap();
        assert_eq!(memory.reader().unwrap().head().unwrap().size, 1);
    }
}
