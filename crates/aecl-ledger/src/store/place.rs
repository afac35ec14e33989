//! The place of a ledger: what can be done with it without having it open.

use super::{Store, StoreError};
use std::path::Path;

/// Place that keeps one ledger, opened or not. What only one kind of store can lose or mend, it knows itself.
pub trait StorePlace: std::fmt::Debug + Send + Sync {
    /// Whether anything was recorded. Refuses where a ledger was begun and now there is none. Looks only.
    fn is_begun(&self) -> Result<bool, StoreError>;

    /// Opens what is there for reading, also while somebody writes it or where nothing can be written.
    fn read(&self) -> Result<Box<dyn Store>, StoreError>;

    /// Opens it for writing; what is missing is created. Refused while another process writes it or another ledger with its
    /// key, and where there was a ledger with this key and now there is none. `claim` is a file outside of every copy of the
    /// home, named after the key, in a directory of nothing else: with it a copy is noticed that is written meanwhile.
    fn write(&self, claim: Option<&Path>) -> Result<Box<dyn Store>, StoreError>;

    /// The process that writes it now, if one does and has said so. Looks only; the number may be of another process since.
    fn writer(&self) -> Option<u32>;

    /// Keeps others from writing it as long as what comes back is kept, whatever key they have. Nothing where nothing was
    /// recorded.
    fn hold(&self) -> Result<Option<Box<dyn Store>>, StoreError>;

    /// Puts the tables, and what guards them, back as they were made: what is none of ours is taken away, what is missing
    /// comes again. What they hold stays. Gives what was done, in words.
    fn mend_tables(&self) -> Result<Vec<String>, StoreError>;

    /// Accepts that the end of it is lost, so that it opens again as far as it goes. Gives what was missing, if anything was.
    fn accept_lost_end(&self) -> Result<Option<String>, StoreError>;

    /// Accepts that all of it is lost, so that another one begins. Gives whether that was so.
    fn accept_lost_record(&self) -> Result<bool, StoreError>;
}
