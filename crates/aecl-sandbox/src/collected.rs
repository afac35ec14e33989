//! What a program left, as data.

/// Limits of what is collected. What is beyond is refused by name, not cut.
#[derive(Clone, Copy, Debug)]
pub struct CollectLimits {
    /// One file.
    pub file_max_bytes: u64,
    /// All files together.
    pub total_max_bytes: u64,
    /// Files, directories and refusals together.
    pub entries_max: usize,
}

/// Files that a program wrote, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Sorted by path, directories before what is in them.
    pub changes: Vec<CollectedChange>,
    /// What was there and was not taken, with the reason.
    pub refused: Vec<RefusedPath>,
}

/// One thing that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedChange {
    /// Below the place. Valid UTF-8 without control characters.
    pub path: String,
    /// What is there now.
    pub kind: ChangeKind,
}

/// Kind of a change: what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A directory, new or already there below.
    Directory {
        /// It was made anew: what the view has in a directory of this name is not in it.
        anew: bool,
        /// Its permission bits.
        mode: u32,
    },
    /// A file, with all its bytes.
    File {
        /// Its permission bits. None of them lets it run as somebody else.
        mode: u32,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// A symbolic link. Nobody has followed it.
    Symlink {
        /// Where it leads, as the program wrote it: valid UTF-8 without control characters.
        target: String,
    },
    /// What was there in the view is deleted.
    Deleted,
}

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPath {
    /// Below the place, made fit to be shown.
    pub path: String,
    /// Why.
    pub why: &'static str,
}

#[cfg(native_cage)]
pub(crate) use rules::*;

/// What is taken and what is not, the same for every backend.
#[cfg(native_cage)]
mod rules {
    use super::CollectLimits;

    /// Directories inside directories. Deeper ones are refused.
    pub(crate) const DEPTH_MAX: usize = 64;

    impl CollectLimits {
        /// Whether a plain file is taken, when this much was taken before it. Not every kernel counts links in 64 bits.
        pub(crate) fn check_file(
            &self,
            mode: u64,
            links: impl Into<u64>,
            size: u64,
            before: u64,
        ) -> Result<(), &'static str> {
            const SET_ID: u64 = 0o6000;
            if mode & SET_ID != 0 {
                return Err("it would run as somebody else (set-user-ID or set-group-ID)");
            }
            if links.into() > 1 {
                return Err("it is a hard link");
            }
            if size > self.file_max_bytes {
                return Err("it is larger than what is collected of one file");
            }
            if before.saturating_add(size) > self.total_max_bytes {
                return Err("all files together are larger than what is collected");
            }
            Ok(())
        }
    }

    /// Whether a name can be written down.
    pub(crate) fn check_name(name: &[u8]) -> Result<(), &'static str> {
        if std::str::from_utf8(name).map_or(true, |text| text.chars().any(is_odd)) {
            return Err("its name has control characters or is no UTF-8");
        }
        Ok(())
    }

    fn is_odd(c: char) -> bool {
        c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    }

    /// The target of a link, if it can be written down.
    pub(crate) fn check_target(target: Vec<u8>) -> Result<String, &'static str> {
        let why = "it is a symbolic link whose target has control characters or is no UTF-8";
        let text = String::from_utf8(target).map_err(|_| why)?;
        if text.is_empty() || text.chars().any(is_odd) { Err(why) } else { Ok(text) }
    }

    /// A name, fit to be shown.
    pub(crate) fn shown(name: &[u8]) -> String {
        String::from_utf8_lossy(name)
            .chars()
            .map(|c| if is_odd(c) { char::REPLACEMENT_CHARACTER } else { c })
            .collect()
    }

    pub(crate) const TOO_MANY: &str = "there are more entries than are collected";
    pub(crate) const TOO_DEEP: &str = "it is nested too deeply";
    /// A machine does not say where a link leads.
    pub(crate) const SYMLINK: &str = "it is a symbolic link";
    pub(crate) const FIFO: &str = "it is a named pipe";
    pub(crate) const SOCKET: &str = "it is a socket";
    pub(crate) const DEVICE: &str = "it is a device";
    pub(crate) const UNKNOWN: &str = "nobody knows what it is";
}
