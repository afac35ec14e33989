//! All entries, in order. Whatever needs no other entry is done beside each other, by as many threads as there are cores:
//! reading, leaf hashes, payloads. History and tree are added to in order, so however many read, the same is found.

use super::history::HistoryCheck;
use super::payloads::Papers;
use super::read::{EntryRead, Names};
use super::tree::{Growing, Grown};
use super::turns::Turns;
use super::{AuditFinding, Auditor, CHUNK, FindingClass};
use crate::export::{Export, Progress};
use crate::store::{PayloadRow, Store, StoreError};
use aecl_proof::Hash;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// What all entries have told.
pub(super) struct Checked<'a> {
    pub(super) history: HistoryCheck<'a>,
    pub(super) papers: Papers,
    pub(super) grown: Grown,
}

/// Checks the entries of a store up to `size`, or those of an export's files.
pub(super) fn check<'a>(
    store: &mut dyn Store,
    files: Option<&Export>,
    (auditor, names): (&'a Auditor, &'a Names),
    (size, kept): (u64, Option<u64>),
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Checked<'a>, AuditFinding> {
    let sum = Sum {
        size,
        position: 0,
        history: HistoryCheck::new(auditor, names),
        papers: Papers::default(),
        tree: Growing::new(size, kept, files.map(Export::tiles)),
        found: None,
        progress,
    };
    let walk = Walk {
        files,
        size,
        names,
        payloads: auditor.payloads,
        source: Mutex::new(Source { store, nth: 0, position: 0 }),
        turns: Turns::new(sum),
    };
    let chunks = usize::try_from(size.div_ceil(CHUNK as u64)).unwrap_or(usize::MAX);
    let readers = auditor.readers.min(chunks);
    let all = std::thread::scope(|scope| {
        let beside = || std::thread::Builder::new().spawn_scoped(scope, || walk.work()).ok();
        // With fewer threads than were wanted it takes longer.
        let beside: Vec<_> = (1..readers).map_while(|_| beside()).collect();
        walk.work();
        beside.into_iter().filter_map(|thread| thread.join().err()).count() == 0
    });
    let sum = walk.turns.end();
    if let Some(found) = sum.found {
        return Err(found);
    }
    if !all {
        let what = "a thread of the verification has panicked".into();
        return Err(AuditFinding { position: None, what, class: FindingClass::Unreadable });
    }
    Ok(Checked { history: sum.history, papers: sum.papers, grown: sum.tree.grown() })
}

/// Entries with their positions, as they lie in the ledger.
enum Chunk {
    /// Rows of a store.
    Rows(Vec<(u64, Vec<u8>)>),
    /// A file of an export: the position of its first entry, its bytes, and where the entries lie in it.
    File(u64, Vec<u8>, Vec<Range<usize>>),
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::File(_, _, places) => places.len(),
        }
    }

    fn entry(&self, nth: usize) -> Option<(u64, &[u8])> {
        match self {
            Self::Rows(rows) => rows.get(nth).map(|(at, bytes)| (*at, bytes.as_slice())),
            Self::File(first, bytes, places) => {
                Some((first + nth as u64, bytes.get(places.get(nth)?.clone())?))
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.len()).map_while(|nth| self.entry(nth))
    }
}

/// Where chunks come from, one after the other.
struct Source<'a> {
    store: &'a mut dyn Store,
    nth: u64,
    position: u64,
}

/// The walk that all readers are on.
struct Walk<'a, 's> {
    files: Option<&'s Export>,
    size: u64,
    names: &'s Names,
    payloads: bool,
    source: Mutex<Source<'s>>,
    turns: Turns<Sum<'a, 's>>,
}

impl Walk<'_, '_> {
    fn work(&self) {
        let _present = self.turns.present();
        while let Some((nth, chunk)) = self.next() {
            let goes_on = match &chunk {
                Ok(chunk) => {
                    let look = |hash: &Hash| self.payload(hash);
                    let look = self.payloads.then_some(&look);
                    let read = |(at, bytes)| EntryRead::read(at, bytes, self.names, look);
                    let read: Vec<_> = chunk.iter().map(read).collect();
                    self.turns.add(nth, |sum| sum.add(read))
                }
                Err(finding) => self.turns.add(nth, |sum| sum.fail(finding.clone())),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// The next chunk and its number. Files are read beside each other, a store is not.
    fn next(&self) -> Option<(u64, Result<Chunk, AuditFinding>)> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let (nth, position) = (source.nth, source.position);
        let limit = CHUNK.min(usize::try_from(self.size - position).unwrap_or(CHUNK));
        if limit == 0 {
            return None;
        }
        source.nth += 1;
        let Some(files) = self.files else {
            let rows = source.store.entries(position, limit);
            source.position += rows.as_ref().map_or(0, Vec::len) as u64;
            return Some((nth, rows.map(Chunk::Rows).map_err(AuditFinding::from)));
        };
        source.position += limit as u64;
        drop(source);
        let file = files.file(position).map(|(first, bytes, places)| Chunk::File(first, bytes, places));
        Some((nth, file.map_err(AuditFinding::from)))
    }

    fn payload(&self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError> {
        match self.files {
            Some(files) => files.clone().payload(commitment),
            None => self.source.lock().unwrap_or_else(PoisonError::into_inner).store.payload(commitment),
        }
    }
}

/// What the entries so far have told.
struct Sum<'a, 's> {
    size: u64,
    position: u64,
    history: HistoryCheck<'a>,
    papers: Papers,
    tree: Growing,
    found: Option<AuditFinding>,
    progress: &'s mut (dyn FnMut(Progress) + Send),
}

impl Sum<'_, '_> {
    fn fail(&mut self, finding: AuditFinding) -> bool {
        self.found = Some(finding);
        false
    }

    /// Adds a chunk. Gives whether nothing was found yet.
    fn add(&mut self, chunk: Vec<EntryRead<'_>>) -> bool {
        let leaves: Vec<Hash> = chunk.iter().map(|entry| entry.leaf).collect();
        let found = match (self.tell(chunk), self.tree.add(leaves)) {
            (Ok(()), Ok(())) => None,
            (Err(finding), Ok(())) | (Ok(()), Err(finding)) => Some(finding),
            // Bytes that are not what was hashed explain a story that makes no sense, not the other way round.
            (Err(told), Err(hashed)) => {
                let told_first = told.position.unwrap_or(u64::MAX) < hashed.position.unwrap_or(u64::MAX);
                Some(if told_first { told } else { hashed })
            }
        };
        if let Some(finding) = found {
            return self.fail(finding);
        }
        (self.progress)(Progress { done: self.position, total: self.size });
        true
    }

    fn tell(&mut self, chunk: Vec<EntryRead<'_>>) -> Result<(), AuditFinding> {
        if chunk.is_empty() {
            return Err(AuditFinding::proof(Some(self.position), "it is missing"));
        }
        for EntryRead { at, said, payloads, .. } in chunk {
            if at != self.position {
                return Err(AuditFinding::proof(Some(self.position), "it is missing"));
            }
            let wrong = |what| AuditFinding::history(at, what);
            self.history.check_entry(at, said.map_err(wrong)?)?;
            for (digest, found) in payloads.map_err(wrong)? {
                self.papers.add(digest, at, found?);
            }
            self.position += 1;
        }
        if self.position == self.size { self.history.end() } else { Ok(()) }
    }
}
