//! One entry, read as far as that needs no other one.

use super::AuditFinding;
use super::line::{self, Line};
use super::payloads::{Found, PayloadRef, found};
use crate::payload::PayloadKind;
use crate::store::{PayloadRow, StoreError};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::record::event::{Entry, Event};
use aecl_proof::{Hash, leaf_hash};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

/// A name, hashed with keys that nobody knows. It stands for the name: two names that are the same here
/// cannot be made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(u64, u64);

/// Gives names to texts.
pub(super) struct Names(RandomState, RandomState);

impl Names {
    pub(super) fn new() -> Self {
        Self(RandomState::new(), RandomState::new())
    }

    pub(super) fn name(&self, text: &str) -> Name {
        Name(self.0.hash_one(text), self.1.hash_one(text))
    }
}

impl std::hash::Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Places names in maps by their first half, which is a keyed hash already.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FirstHalf(u64);

pub(super) type ByName = BuildHasherDefault<FirstHalf>;

impl Hasher for FirstHalf {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// An entry by itself.
pub(super) struct EntryRead<'a> {
    /// Where it stands.
    pub(super) at: u64,
    pub(super) leaf: Hash,
    /// What it says, or what is wrong with its bytes.
    pub(super) said: Result<Said<'a>, String>,
    /// What there is of the payloads that it speaks of, or what is wrong with how it does.
    pub(super) payloads: Result<FoundPayloads, String>,
}

/// What an entry says.
pub(super) struct Said<'a> {
    pub(super) line: Line<'a>,
    /// Its kind as a number, if it is one that this program knows.
    pub(super) kind: Option<usize>,
    pub(super) run: Option<Name>,
    pub(super) action: Option<Name>,
    /// All of it, where the line is not all that the story needs, or why it cannot be read.
    pub(super) whole: Option<Result<Box<Entry>, String>>,
}

impl<'a> EntryRead<'a> {
    /// Reads an entry. Payloads are looked for if there is where to `look`.
    pub(super) fn read(
        at: u64,
        bytes: &'a [u8],
        names: &Names,
        look: Option<impl Fn(&Hash) -> Result<Option<PayloadRow>, StoreError>>,
    ) -> Self {
        let said = line::read(bytes).map(|line| Said::read(line, bytes, names));
        let payloads = match &said {
            Ok(said) => payloads(at, &said.line, look),
            Err(_) => Ok(Vec::new()),
        };
        Self { at, leaf: leaf_hash(bytes), said, payloads }
    }
}

impl<'a> Said<'a> {
    fn read(line: Line<'a>, bytes: &[u8], names: &Names) -> Self {
        let kind = line.kind.and_then(|name| Event::KINDS.iter().position(|kind| *kind == name));
        let is_needed = match line.kind {
            Some("started" | "concluded") => false,
            Some("ruled") => line.decision.as_ref().is_some_and(|decision| decision.approval.is_some()),
            _ => kind.is_some(),
        };
        let whole =
            is_needed.then(|| serde_json::from_slice(bytes).map_err(|e| format!("it cannot be read: {e}")));
        let name = |text: Option<&str>| text.map(|text| names.name(text));
        Self { kind, run: name(line.run), action: name(line.action), whole, line }
    }
}

type FoundPayloads = Vec<(Digest, Result<Found, AuditFinding>)>;

/// What there is of the payloads of an entry, if somebody looks. What commits to one is a digest, whoever looks.
fn payloads(
    at: u64,
    line: &Line<'_>,
    look: Option<impl Fn(&Hash) -> Result<Option<PayloadRow>, StoreError>>,
) -> Result<FoundPayloads, String> {
    let read = |(payload, text)| match Digest::parse(text) {
        Some(digest) => Ok((payload, digest)),
        None => Err(format!("`{text}` is no digest")),
    };
    let said: Vec<_> = said_of_payloads(line).map(read).collect::<Result<_, _>>()?;
    let Some(look) = look else { return Ok(Vec::new()) };
    let look = |(payload, digest)| (digest, found(payload, &digest, at, &look));
    Ok(said.into_iter().map(look).collect())
}

/// What an entry says about a payload, and which.
pub(super) fn said_of_payloads<'a>(
    line: &Line<'a>,
) -> impl Iterator<Item = (PayloadRef<'a>, &'a str)> + use<'a> {
    let subject = line.run;
    let beside = line.beside.map(|text| (PayloadRef::Committed(PayloadKind::Beside, subject), text));
    said_of_a_payload(line).into_iter().chain(beside)
}

fn said_of_a_payload<'a>(line: &Line<'a>) -> Option<(PayloadRef<'a>, &'a str)> {
    let payload = match line.kind? {
        // Whoever was turned away at the door has left a digest and no content.
        "ruled" if line.unkept == Some(true) => return None,
        "ruled" => PayloadRef::Committed(PayloadKind::Arguments, line.run),
        "concluded" => PayloadRef::Committed(PayloadKind::Output, line.run),
        "run_opened" => PayloadRef::Committed(PayloadKind::Stated, line.run),
        "bundle_loaded" => PayloadRef::Committed(PayloadKind::Bundle, Some("bundle")),
        "erased" => PayloadRef::Erased,
        _ => return None,
    };
    Some((payload, line.payload?))
}
