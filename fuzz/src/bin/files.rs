//! Changes of files on a real file system, by the law that the tests have: whatever somebody hostile does, what is changed
//! is what was shown, or nothing. The bytes say what is done, in which order.

#![no_main]

// The rooms are compiled in from their files, under the names by which they know each other: the crates have a hundred
// guests that have nothing to do with files.
extern crate self as aecl_executor;
extern crate self as aecl_kernel;

#[path = "../../../crates/aecl-kernel/src/base/digest.rs"]
pub mod digest;
pub mod base {
    pub use crate::digest;
}

#[allow(dead_code, unused_imports, reason = "the room itself needs more of them")]
#[path = "../../../crates/aecl-executor/src"]
mod executor {
    pub mod root_dir;
    pub mod connectors {
        pub mod files {
            mod acting;
            mod aims;
            mod apply;
            mod change;
            mod difference;
            mod error;
            mod plan;
            mod special;
            mod survey;

            pub use change::{Change, Changes, Content, FormerKind};
            pub use error::FilesError;
            pub use plan::FilePlan;
        }
    }
}

#[path = "../../../crates/aecl-executor/tests/shown/law.rs"]
mod law;

use connectors::files::Content;
pub use executor::{connectors, root_dir};
use law::{Case, Deed, ground, keeps_the_law};
use libfuzzer_sys::fuzz_target;

/// Few names, so that they meet: two cases of one letter, two spellings of another, what a file system may ignore, what
/// acts by itself, what leads up, and names of ours.
const NAMES: [&str; 14] = [
    "a",
    "A",
    "b",
    "\u{e4}",
    "a\u{308}",
    "a\u{200b}",
    "d",
    ".git",
    "hooks",
    "..",
    ".",
    "",
    ".aecl-change-law-1",
    "n\u{2028}",
];

/// Where links lead.
const TARGETS: [&str; 10] =
    ["..", ".", "../outside", "../../outside/canary", "OUTSIDE", "a", "d", "../a", ".git/hooks", "/"];

/// How often somebody may change the same directory.
const ROUNDS_MAX: usize = 4;

/// What is left of the input. When nothing is, everything is the first of its kind.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn number(&mut self, below: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % below
    }

    fn path(&mut self) -> String {
        let parts = 1 + self.number(3);
        (0..parts).map(|_| NAMES[self.number(NAMES.len())]).collect::<Vec<_>>().join("/")
    }

    fn deeds(&mut self, most: usize) -> Vec<Deed> {
        let count = self.number(most + 1);
        (0..count).map(|_| self.deed()).collect()
    }

    fn deed(&mut self) -> Deed {
        match self.number(8) {
            0 => Deed::Write(self.path()),
            1 => Deed::Mkdir(self.path()),
            2 => Deed::Symlink(TARGETS[self.number(TARGETS.len())].to_owned(), self.path()),
            3 => Deed::Rename(self.path(), self.path()),
            4 => Deed::HardLink(self.path(), self.path()),
            5 => Deed::Canary(self.path()),
            6 => Deed::Remove(self.path()),
            _ => Deed::Fifo(self.path()),
        }
    }

    fn content(&mut self) -> Option<Content> {
        match self.number(7) {
            0 => Some(Content::of(b"ours\n".to_vec(), None)),
            1 => Some(Content::of(b"ours\n".to_vec(), Some(true))),
            2 => Some(Content::of(b"ours\n".to_vec(), None).with_mode(0o600)),
            3 => Some(Content::link_to(TARGETS[self.number(TARGETS.len())].to_owned())),
            4 => Some(Content::a_directory()),
            5 => Some(Content::a_directory().with_mode(0o700)),
            _ => None,
        }
    }

    fn case(&mut self) -> Case {
        let first = self.deeds(12);
        let count = 1 + self.number(5);
        let asked = (0..count).map(|_| (self.path(), self.content())).collect();
        Case { first, asked, after_the_look: self.deeds(3), while_writing: self.deeds(3) }
    }
}

fuzz_target!(|bytes: &[u8]| {
    // In memory where that is possible: each change waits for its disk.
    let top = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a scratch directory");
    ground(top.path());
    let mut script = Script(bytes);
    for _ in 0..ROUNDS_MAX {
        if script.0.is_empty() {
            return;
        }
        let case = script.case();
        if let Err(broken) = keeps_the_law(top.path(), &case) {
            panic!("{broken}\n{case:#?}");
        }
    }
});
