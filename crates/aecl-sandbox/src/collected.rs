//! What a program left, as data.

/// How much is collected. What is beyond is refused by name, not cut.
#[derive(Clone, Copy, Debug)]
pub struct CollectLimits {
    /// One file.
    pub file_max_bytes: u64,
    /// All files together.
    pub total_max_bytes: u64,
    /// Files, directories and refusals together.
    pub entries_max: usize,
}

/// What a program wrote, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Sorted by path, directories before what is in them.
    pub changes: Vec<Change>,
    /// What was there and was not taken, with the reason.
    pub refused: Vec<Refused>,
}

/// One thing that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Below the place. Valid UTF-8 without control characters.
    pub path: String,
    /// What is there now.
    pub kind: ChangeKind,
}

/// What is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A directory, new or already there below.
    Directory {
        /// It was made anew: what the view has in a directory of this name is not in it.
        anew: bool,
    },
    /// A file, with all its bytes.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// What was there in the view is deleted.
    Deleted,
}

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Below the place, made fit to be shown.
    pub path: String,
    /// Why.
    pub why: &'static str,
}
