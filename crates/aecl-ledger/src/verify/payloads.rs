//! Payloads beside the chain: what entries commit to, and what is there.

use super::{AuditFinding, AuditReport, CHUNK, FindingClass, line, read};
use crate::payload::{PayloadKind, commitment};
use crate::store::{PayloadRow, Store, StoreError};
use aecl_kernel::base::digest::Digest;
use aecl_proof::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// Compares payloads with what the entries commit to, and says how many there are. Signature, tree and story are
/// taken for granted.
pub fn verify_payloads(store: &mut dyn Store) -> Result<u64, AuditFinding> {
    let size = store.head()?.size;
    let (mut papers, mut position) = (Papers::default(), 0);
    while position < size {
        let chunk = store.entries(position, CHUNK)?;
        if chunk.is_empty() {
            return Err(AuditFinding::proof(Some(position), "it is missing"));
        }
        for (at, bytes) in chunk {
            position = at + 1;
            let line = line::read(&bytes).map_err(|what| AuditFinding::history(at, what))?;
            let said = read::said_of_payloads(&line);
            for (payload, digest) in said.filter_map(|(payload, text)| Some((payload, Digest::parse(text)?)))
            {
                let found = found(payload, &digest, at, |hash| store.payload(hash))?;
                papers.add(digest, at, found);
            }
        }
    }
    papers.all_there()?;
    papers.nothing_more(store)?;
    Ok(papers.good.len() as u64)
}

/// What an entry says about a payload.
pub(super) enum PayloadRef<'a> {
    /// It is committed to, and filed under this subject, if the entry says which.
    Committed(PayloadKind, Option<&'a str>),
    /// It is erased.
    Erased,
}

/// What there is of a payload that an entry speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    AsCommitted,
    Missing,
    Erased,
}

/// Looks for a payload and compares it, which needs no other entry.
pub(super) fn found(
    payload: PayloadRef<'_>,
    digest: &Digest,
    position: u64,
    look: impl FnOnce(&Hash) -> Result<Option<PayloadRow>, StoreError>,
) -> Result<Found, AuditFinding> {
    let PayloadRef::Committed(kind, subject) = payload else { return Ok(Found::Erased) };
    match look(&Hash(*digest.bytes())) {
        Ok(None) => Ok(Found::Missing),
        Ok(Some(row)) if commitment(&row.salt, kind, &row.content) == *digest => {
            // An export names no subject.
            if let Some(subject) = subject.filter(|s| !row.subject.is_empty() && *s != row.subject) {
                let what = format!(
                    "its payload {} is filed under `{}` and belongs to `{subject}`",
                    digest.hex(),
                    row.subject
                );
                return Err(AuditFinding { position: Some(position), what, class: FindingClass::Payloads });
            }
            Ok(Found::AsCommitted)
        }
        Ok(Some(_)) => {
            let what = format!("its payload {} is not what was committed to", digest.hex());
            Err(AuditFinding::proof(Some(position), what))
        }
        Err(error @ StoreError::OtherContent { .. }) => {
            Err(AuditFinding::proof(Some(position), format!("its payload: {error}")))
        }
        Err(error) => {
            let what = format!("its payload: {}", crate::error::chain(&error));
            Err(AuditFinding { position: Some(position), what, class: FindingClass::Unreadable })
        }
    }
}

/// Payloads of all entries so far.
#[derive(Default)]
pub(super) struct Papers {
    /// Those that are as committed.
    good: BTreeSet<Hash>,
    /// Those that are not there, and the first entry that commits to each.
    missing: BTreeMap<Digest, u64>,
    erased: BTreeSet<Digest>,
}

impl Papers {
    pub(super) fn add(&mut self, digest: Digest, position: u64, found: Found) {
        match found {
            Found::AsCommitted => drop(self.good.insert(Hash(*digest.bytes()))),
            Found::Missing => drop(self.missing.entry(digest).or_insert(position)),
            Found::Erased => drop(self.erased.insert(digest)),
        }
    }

    /// Payloads that are gone, and not erased on record.
    fn gone(&self) -> impl Iterator<Item = u64> {
        self.missing.iter().filter(|(digest, _)| !self.erased.contains(digest)).map(|(_, position)| *position)
    }

    pub(super) fn all_there(&self) -> Result<(), AuditFinding> {
        let Some(first) = self.gone().min() else { return Ok(()) };
        let what = format!(
            "its payload is not there and was not erased on record, as of {} in all: they were taken out beside the record",
            self.gone().count()
        );
        Err(AuditFinding { position: Some(first), what, class: FindingClass::Payloads })
    }

    /// Whether the store has payloads that no entry commits to.
    pub(super) fn nothing_more(&self, store: &mut dyn Store) -> Result<(), AuditFinding> {
        let more = store.payloads_beyond(&|commitment| {
            self.good.contains(commitment) || self.erased.contains(&Digest::from_bytes(commitment.0))
        })?;
        let Some(first) = more.first() else { return Ok(()) };
        let what = format!(
            "{} payloads are committed to by no entry, {} among them: they were put in beside the record",
            more.len(),
            Digest::from_bytes(first.0).hex()
        );
        Err(AuditFinding { position: None, what, class: FindingClass::Payloads })
    }

    pub(super) fn report(&self, report: &mut AuditReport) {
        report.payloads = self.good.len() as u64;
        report.payloads_erased = self.erased.len() as u64;
        report.payloads_missing = self.gone().count() as u64;
    }
}
