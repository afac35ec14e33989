//! The durable place behind the ledger. It keeps rows and knows nothing of what they mean.
//!
//! There is one way to write, [`Store::commit`], and it takes everything that belongs together: entries, the
//! facts they changed, payloads, tree nodes and the signed head. All of a [`Batch`] is durable, or none of it.
//!
//! A commit that failed **poisons** the store: every later call says so and nothing is tried again. On Linux a
//! second flush reports success although the data of the first is gone, so the only honest way on is to stop
//! and read at start-up what is really there.

pub use aecl_proof::{Hash, Node};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

mod config;
pub mod faulty;
pub mod memory;
mod place;
mod poison;
mod sqlite;
mod tree;

pub use config::StoreConfig;
pub use faulty::{Faults, Faulty, InjectedFault, StoreCall};
pub use memory::Memory;
pub use place::StorePlace;
pub use tree::{StoredNodes, with_nodes};

/// A durable place for one ledger. All stores pass the same tests (`store/suite.rs`).
pub trait Store: Send {
    /// How many entries there are, and the last signed checkpoint. Does not read the entries.
    fn head(&mut self) -> Result<Head, StoreError>;

    /// The facts under these keys, in the order asked.
    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// At most `limit` facts whose key begins with `prefix` and comes after `after`, in byte order of the key.
    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Makes the batch durable. If it does not start where the ledger ends, this is [`StoreError::Conflict`]:
    /// nothing is written and nothing is poisoned. Every other error poisons the store.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// At most `limit` entries from position `from` on, with their positions.
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// At most `limit` entries of a run whose position is after `after`, with their positions.
    fn entries_of_run(
        &mut self,
        run: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// All entries of an action, with their positions.
    fn entries_of_action(&mut self, action: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// What at most `limit` entries from position `from` on are found by, beside their bytes.
    fn found_by(&mut self, from: u64, limit: usize) -> Result<Vec<FoundBy>, StoreError>;

    /// Puts entries under what they are to be found by. Their bytes stay.
    fn find_by(&mut self, entries: &[FoundBy]) -> Result<(), StoreError>;

    /// The payload behind a commitment.
    fn payload(&mut self, commitment: &Hash) -> Result<Option<PayloadRow>, StoreError>;

    /// The payloads that are not known to be committed to.
    fn payloads_beyond(&mut self, known: &dyn Fn(&Hash) -> bool) -> Result<Vec<Hash>, StoreError>;

    /// A complete node of the Merkle tree.
    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError>;

    /// The complete nodes of a level, as far as they are there, from this index on and below `limit` after it, with their
    /// indexes.
    fn nodes(&mut self, level: u8, from: u64, limit: usize) -> Result<Vec<(u64, Hash)>, StoreError> {
        let indexes = (from..).take(limit);
        indexes
            .filter_map(|index| Some((index, self.node(level, index).transpose()?)))
            .map(|(index, found)| Ok((index, found?)))
            .collect()
    }

    /// Puts nodes of the tree back as they are to be. Only for who has found them to be those of the entries.
    fn renew_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError>;

    /// What of the store does not hold together in itself, in words: an index that is not the one of its table.
    fn broken(&mut self) -> Result<Vec<String>, StoreError>;

    /// What of its tables, and of what guards them, is not as it was made, in words.
    fn tables_differ(&mut self) -> Result<Vec<String>, StoreError>;

    /// A second, read-only view, for listings. No decision may rest on it: it can lag behind.
    fn reader(&self) -> Result<Box<dyn Store>, StoreError>;

    /// The same, as it is now: what is written meanwhile is not seen. It may cost the writer space while it is open.
    fn snapshot(&self) -> Result<Box<dyn Store>, StoreError>;

    /// Whether what is written here is still what others find here. An error if it was removed or replaced.
    fn still_there(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One transaction: all of it or nothing.
#[derive(Clone, Default)]
pub struct Batch {
    /// Position of `entries[0]`; the size of the ledger before the batch.
    pub first: u64,
    /// Entries in order.
    pub entries: Vec<EntryRow>,
    /// Facts to set, or with `None` to delete. Applied in order: the last word on a key counts.
    pub facts: Vec<(String, Option<Vec<u8>>)>,
    /// Payloads. One that is already there stays as it is.
    pub payloads: Vec<PayloadRow>,
    /// Complete nodes of the Merkle tree. One that is already there is an error.
    pub nodes: Vec<(u8, u64, Hash)>,
    /// The signed head after the batch. With `None` the stored one stays.
    pub checkpoint: Option<String>,
}

/// One entry, as the bytes that were hashed, with what it is found by.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The canonical bytes.
    pub bytes: Arc<[u8]>,
    /// The run it belongs to.
    pub run: Option<String>,
    /// The action it is about.
    pub action: Option<String>,
}

/// Index row by which an entry is found. It follows from its bytes, and is kept so that nobody reads all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBy {
    /// Its position.
    pub position: u64,
    /// The run it is found under.
    pub run: Option<String>,
    /// The action it is found under.
    pub action: Option<String>,
}

/// Content kept beside the chain, so that it can be erased.
#[derive(Clone, PartialEq, Eq)]
pub struct PayloadRow {
    /// What the entry holds in place of the content.
    pub commitment: Hash,
    /// Keeps the commitment from being guessed.
    pub salt: [u8; 32],
    /// The content, as the caller encrypted it.
    pub content: Vec<u8>,
    /// The data subject or run under whose key the content is encrypted.
    pub subject: String,
}

/// Head of the ledger: how far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of entries; the position of the next one.
    pub size: u64,
    /// The last signed checkpoint. Its size is smaller if later batches brought none.
    pub checkpoint: Option<String>,
}

/// Errors of a store that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has written meanwhile. Nothing of the batch was written.
    #[error("the batch starts at position {first}, but the ledger ends at {size}")]
    Conflict {
        /// Where the batch starts.
        first: u64,
        /// Where the ledger ends.
        size: u64,
    },
    /// An earlier commit failed. What of it is durable shows when the store is opened again.
    #[error("the store is out of use since a commit failed: {because}")]
    Poisoned {
        /// The error of that commit, with its sources.
        because: String,
    },
    /// The disk is full.
    #[error("the disk is full: could not {tried}")]
    Full {
        /// What was tried.
        tried: &'static str,
    },
    /// Another process holds the data directory.
    #[error("the data directory `{}` is in use by {}", dir.display(), Holder(*holder))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, if it left its number.
        holder: Option<u32>,
    },
    /// Another process writes a ledger with the same key.
    #[error(
        "the ledger of this key is written in `{}` now, and `{}` is a copy of it: both would sign heads of one ledger. \
         Stop whoever serves the other one; of two that were both written to, only one is the record",
        by.display(), dir.display()
    )]
    Copied {
        /// The directory.
        dir: PathBuf,
        /// The one that is written.
        by: PathBuf,
    },
    /// A payload file holds something else than what its name commits to.
    #[error("the content of `{}` is not what its name commits to", path.display())]
    OtherContent {
        /// Which.
        path: PathBuf,
    },
    /// A file has gone from under the process that writes it.
    #[error(
        "`{}` is no longer the file that was opened: it was removed or replaced while AECL runs. Nothing more is \
         done; put back what was there, then start again",
        path.display()
    )]
    Replaced {
        /// Which.
        path: PathBuf,
    },
    /// The end of the record is missing.
    #[error(
        "`{}` is missing, and the last process has not ended in order: what it acknowledged last is lost with that \
         file. Put it back, or say `aecl log accept-loss`",
        path.display()
    )]
    LogMissing {
        /// The log.
        path: PathBuf,
    },
    /// There was a record, and now there is none.
    #[error(
        "`{}` is missing or empty, although something was recorded here: a record that begins anew knows of no kill \
         switch, no budget and no revoked token. Put back what was there, or say `aecl log accept-loss`",
        path.display()
    )]
    RecordMissing {
        /// The database.
        path: PathBuf,
    },
    /// What is stored cannot be right.
    #[error("the store is corrupt: {what}")]
    Corrupt {
        /// What does not fit.
        what: String,
    },
    /// Somebody has changed its tables, or what guards them.
    #[error(
        "the store's tables are not as they were made: {what}. Look at who has changed them; `aecl log rebuild-facts` \
         puts them back and keeps what they hold"
    )]
    TablesDiffer {
        /// What is missing, another, or none of ours.
        what: String,
    },
    /// The store was written by another version of this program.
    #[error("the store has schema version {found}, this program knows {known}")]
    Version {
        /// What the store says.
        found: i64,
        /// What this program can read.
        known: i64,
    },
    /// An export holds what is proven, not what is derived from it.
    #[error("an export holds no {0}")]
    NotHere(&'static str),
    /// A write through a read-only view.
    #[error("this view of the store is read-only")]
    ReadOnly,
    /// The file system refused.
    #[error("could not {tried}")]
    Io {
        /// What was tried, and on which file.
        tried: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What keeps the rows refused.
    #[error("could not {tried}")]
    Refused {
        /// What was tried.
        tried: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => write!(f, "another process"),
        }
    }
}

// Rows carry what must not reach a log, so their debug form tells sizes only.

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("first", &self.first)
            .field("entries", &self.entries)
            .field("facts", &self.facts.len())
            .field("payloads", &self.payloads)
            .field("nodes", &self.nodes.len())
            .field("checkpoint", &self.checkpoint)
            .finish()
    }
}

impl fmt::Debug for EntryRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryRow({} bytes, run {:?}, action {:?})", self.bytes.len(), self.run, self.action)
    }
}

impl fmt::Debug for PayloadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadRow({}, {} bytes)", self.commitment, self.content.len())
    }
}

#[cfg(test)]
mod suite;
