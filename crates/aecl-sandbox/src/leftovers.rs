//! What a machine says that its program left. It goes into memory, never into a file system of the host.

use std::collections::HashSet;
use std::io;

use crate::cage::Limits;
use crate::collected::{
    ChangeKind, CollectLimits, Collected, CollectedChange, DEPTH_MAX, DEVICE, FIFO, RefusedPath, SOCKET,
    SYMLINK, TOO_DEEP, TOO_MANY, UNKNOWN, check_name, shown,
};
use crate::protocol::frame::{Is, Kind, Left, PATH_MAX};
use crate::protocol::nonsense;

/// One thing that was said.
#[derive(Debug)]
pub(crate) struct Sent {
    left: Left,
    /// Of a file whose bytes came.
    bytes: Option<Vec<u8>>,
}

/// What was said of each place.
pub(crate) type SentOf = Vec<Vec<Sent>>;

/// What has been said so far.
pub(crate) struct Heard {
    limits: Limits,
    /// How many places there are: `/scratch` and the layers above views.
    places: usize,
    total_bytes: u64,
    /// How much of the last file is still to come.
    missing_bytes: u64,
    sent: Vec<Sent>,
}

impl Heard {
    pub(crate) fn new(limits: Limits, places: usize) -> Self {
        Self { limits, places, total_bytes: 0, missing_bytes: 0, sent: Vec::new() }
    }

    /// Takes one frame. It holds no more than the scratch space may.
    ///
    /// # Errors
    /// When it says more than there can be, or something else than was announced.
    pub(crate) fn hear(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        match kind {
            Kind::Left if self.missing_bytes == 0 => self.entry(bytes),
            Kind::Content => self.content(bytes),
            _ => Err(nonsense("a file without its end")),
        }
    }

    fn entry(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = Left::decode(bytes).map_err(|_| nonsense("no name of a file"))?;
        let known = self.sent.len() as u64;
        if left.path.len() > PATH_MAX || self.place(&left).is_none() || known > self.limits.scratch_files_max
        {
            return Err(nonsense("more files than the scratch space holds"));
        }
        let follow = left.bytes_follow(self.total_bytes, self.limits.scratch_max_bytes);
        if follow {
            self.total_bytes = self.total_bytes.saturating_add(left.size);
            self.missing_bytes = left.size;
        }
        self.sent.push(Sent { left, bytes: follow.then(Vec::new) });
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.sent.last_mut().and_then(|sent| sent.bytes.as_mut());
        let (Some(file), Some(missing)) = (file, self.missing_bytes.checked_sub(bytes.len() as u64)) else {
            return Err(nonsense("more of a file than was announced"));
        };
        file.extend_from_slice(bytes);
        self.missing_bytes = missing;
        Ok(())
    }

    fn place(&self, left: &Left) -> Option<usize> {
        usize::try_from(left.place).ok().filter(|place| *place < self.places)
    }

    /// What was said of each place.
    ///
    /// # Errors
    /// When a file is not complete.
    pub(crate) fn finish(mut self) -> io::Result<SentOf> {
        if self.missing_bytes > 0 {
            return Err(nonsense("a file without its end"));
        }
        let mut places = SentOf::new();
        places.resize_with(self.places, Vec::new);
        for sent in std::mem::take(&mut self.sent) {
            if let Some(place) = self.place(&sent.left).and_then(|place| places.get_mut(place)) {
                place.push(sent);
            }
        }
        Ok(places)
    }
}

/// The same as of a directory of the host, by the same rules.
pub(crate) fn collect(sent: &[Sent], limits: CollectLimits) -> Collected {
    let mut walk = Walk {
        limits,
        total_bytes: 0,
        directories: HashSet::from([String::new()]),
        seen: HashSet::new(),
        found: Collected::default(),
    };
    for one in sent {
        if walk.found.changes.len() + walk.found.refused.len() >= limits.entries_max {
            walk.found.refused.push(RefusedPath { path: shown(&one.left.path), why: TOO_MANY });
            break;
        }
        walk.one(one);
    }
    walk.found.changes.sort_by(|one, other| one.path.cmp(&other.path));
    walk.found
}

struct Walk<'a> {
    limits: CollectLimits,
    total_bytes: u64,
    /// Those that were taken. What is in others is not.
    directories: HashSet<String>,
    seen: HashSet<&'a [u8]>,
    found: Collected,
}

impl<'a> Walk<'a> {
    fn one(&mut self, sent: &'a Sent) {
        let path = sent.left.path.as_slice();
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = match cut.and_then(|at| path.split_at_checked(at)) {
            Some((parent, name)) => (parent, name.get(1..).unwrap_or_default()),
            None => (&[][..], path),
        };
        let parent_taken = std::str::from_utf8(parent).is_ok_and(|parent| self.directories.contains(parent));
        let is_name = !name.is_empty() && name != b"." && name != b".." && cut != Some(0);
        if !parent_taken || !is_name || !self.seen.insert(path) {
            return;
        }
        match self.judge(sent, path, name) {
            Ok(change) => self.found.changes.push(change),
            Err(why) => self.found.refused.push(RefusedPath { path: shown(path), why }),
        }
    }

    fn judge(&mut self, sent: &Sent, path: &[u8], name: &[u8]) -> Result<CollectedChange, &'static str> {
        check_name(name)?;
        let left = &sent.left;
        let path = shown(path);
        let kind = match left.is {
            Is::Directory | Is::Anew if path.matches('/').count() >= DEPTH_MAX => return Err(TOO_DEEP),
            Is::Directory | Is::Anew => {
                self.directories.insert(path.clone());
                ChangeKind::Directory { anew: left.is == Is::Anew, mode: permissions(left.mode) }
            }
            Is::Deleted => ChangeKind::Deleted,
            Is::File => {
                self.limits.check_file(left.mode, left.links, left.size, self.total_bytes)?;
                let bytes = sent.bytes.clone().ok_or("it is larger than the scratch space")?;
                self.total_bytes += left.size;
                ChangeKind::File { mode: permissions(left.mode), bytes }
            }
            Is::Symlink => return Err(SYMLINK),
            Is::Fifo => return Err(FIFO),
            Is::Socket => return Err(SOCKET),
            Is::Device => return Err(DEVICE),
            Is::Unknown => return Err(UNKNOWN),
        };
        Ok(CollectedChange { path, kind })
    }
}

fn permissions(mode: u64) -> u32 {
    u32::try_from(mode & 0o777).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            memory_max_bytes: None,
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 1,
            scratch_max_bytes: 100,
            scratch_files_max: 10,
            file_max_bytes: 100,
            open_files_max: 1,
            output_kept_max_bytes: 1,
            output_max_bytes: 1,
        }
    }

    const ALL: CollectLimits = CollectLimits { file_max_bytes: 50, total_max_bytes: 80, entries_max: 20 };

    fn left(path: &str, is: Is, mode: u64, links: u64, size: u64) -> Vec<u8> {
        at(0, path, is, mode, links, size)
    }

    fn at(place: u64, path: &str, is: Is, mode: u64, links: u64, size: u64) -> Vec<u8> {
        Left { place, path: path.into(), is, mode, links, size }.encode()
    }

    #[test]
    fn what_a_machine_says_is_judged_as_files_of_the_host_are() {
        let mut heard = Heard::new(limits(), 1);
        for (path, is, mode, links, size, bytes) in [
            ("dir", Is::Directory, 0o755, 2, 0, 0),
            ("dir/file", Is::File, 0o700, 1, 5, 5),
            ("suid", Is::File, 0o4755, 1, 1, 1),
            ("twin", Is::File, 0o644, 2, 9, 0),
            ("hole", Is::File, 0o644, 1, 1 << 40, 0),
            ("link", Is::Symlink, 0o777, 1, 4, 0),
            ("../out", Is::File, 0o644, 1, 0, 0),
            ("..", Is::Directory, 0o755, 2, 0, 0),
            ("nowhere/file", Is::File, 0o644, 1, 0, 0),
            ("dir/file", Is::File, 0o644, 1, 2, 2),
            ("a\nb", Is::File, 0o644, 1, 0, 0),
        ] {
            heard.hear(Kind::Left, &left(path, is, mode, links, size)).unwrap();
            if bytes > 0 {
                heard.hear(Kind::Content, &vec![b'x'; bytes]).unwrap();
            }
        }
        let found = collect(&heard.finish().unwrap()[0], ALL);
        let changes: Vec<_> = found.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(changes, ["dir", "dir/file"]);
        let file = ChangeKind::File { mode: 0o700, bytes: b"xxxxx".to_vec() };
        assert_eq!(found.changes[1].kind, file);
        let refused: Vec<_> = found.refused.iter().map(|r| r.path.as_str()).collect();
        assert_eq!(refused, ["suid", "twin", "hole", "link", "a\u{fffd}b"]);
    }

    #[test]
    fn what_was_written_above_a_view_is_told_apart_from_the_rest() {
        let mut heard = Heard::new(limits(), 3);
        for (place, path, is, size) in [
            (0, "same", Is::Fifo, 0),
            (2, "gone", Is::Deleted, 0),
            (2, "dir", Is::Anew, 0),
            (2, "dir/same", Is::Directory, 0),
            (2, "same", Is::File, 2),
        ] {
            heard.hear(Kind::Left, &at(place, path, is, 0o755, 1, size)).unwrap();
            if size > 0 {
                heard.hear(Kind::Content, b"xy").unwrap();
            }
        }
        assert!(heard.hear(Kind::Left, &at(3, "file", Is::Fifo, 0, 1, 0)).is_err());
        let [scratch, first, second] = <[_; 3]>::try_from(heard.finish().unwrap()).unwrap();
        assert_eq!((scratch.len(), first.len()), (1, 0));
        let change = |path: &str, kind| CollectedChange { path: path.into(), kind };
        assert_eq!(
            collect(&second, ALL).changes,
            [
                change("dir", ChangeKind::Directory { anew: true, mode: 0o755 }),
                change("dir/same", ChangeKind::Directory { anew: false, mode: 0o755 }),
                change("gone", ChangeKind::Deleted),
                change("same", ChangeKind::File { mode: 0o755, bytes: b"xy".to_vec() }),
            ]
        );
    }

    #[test]
    fn a_machine_cannot_say_more_than_its_scratch_space_holds() {
        let mut heard = Heard::new(limits(), 1);
        heard.hear(Kind::Left, &left("file", Is::File, 0o644, 1, 10)).unwrap();
        assert!(heard.hear(Kind::Left, &left("other", Is::File, 0o644, 1, 0)).is_err());
        assert!(heard.hear(Kind::Content, &[0; 11]).is_err());
        heard.hear(Kind::Content, &[0; 9]).unwrap();
        assert!(heard.finish().is_err());
        let mut heard = Heard::new(limits(), 1);
        let more =
            (0..20).find(|n| heard.hear(Kind::Left, &left(&n.to_string(), Is::Fifo, 0, 1, 0)).is_err());
        assert_eq!(more, Some(11));
    }

    proptest! {
        /// Whatever is said: bounded, and never a path that leads anywhere else.
        #[test]
        fn anything_may_be_said(
            frames in vec((any::<bool>(), "[a./]{0,6}", 0..10_usize, any::<u16>(), 0..3_u64, 0..200_u64), 0..30)
        ) {
            let kinds = [Is::Directory, Is::File, Is::Symlink, Is::Fifo, Is::Socket, Is::Device, Is::Unknown, Is::Deleted,
                Is::Anew];
            let mut heard = Heard::new(limits(), 1);
            for (is_left, path, is, mode, links, size) in frames {
                let is = kinds.get(is).copied().unwrap_or(Is::File);
                let _ = if is_left {
                    heard.hear(Kind::Left, &left(&path, is, mode.into(), links, size))
                } else {
                    heard.hear(Kind::Content, path.as_bytes())
                };
            }
            let kept: usize = heard.sent.iter().filter_map(|sent| sent.bytes.as_ref()).map(Vec::len).sum();
            prop_assert!(kept <= 100 && heard.sent.len() <= 11);
            for change in collect(&heard.sent, ALL).changes {
                prop_assert!(change.path.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
