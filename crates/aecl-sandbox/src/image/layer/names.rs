//! The names in an archive, all of them chosen by a stranger.

use tar::EntryType;

/// Longest path, in bytes.
const PATH_MAX_BYTES: usize = 4_096;

/// Longest name of one directory or file, in bytes. File systems take no longer one.
const NAME_MAX_BYTES: usize = 255;

/// Directories inside directories.
const DEPTH_MAX: usize = 100;

/// A path below the root of the image: plain names, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Place {
    dirs: Vec<Vec<u8>>,
    name: Vec<u8>,
}

impl Place {
    /// The directories on the way.
    pub(in super::super) fn dirs(&self) -> &[Vec<u8>] {
        &self.dirs
    }

    /// The last one.
    pub(in super::super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The first one, and whether that is all.
    pub(in super::super) fn top(&self) -> (&[u8], bool) {
        self.dirs.first().map_or((&self.name, true), |first| (first, false))
    }

    /// As it is written.
    pub(in super::super) fn path(&self) -> Vec<u8> {
        let mut parts = self.dirs.clone();
        parts.push(self.name.clone());
        parts.join(&b'/')
    }
}

/// Reads a path; `None` is the root itself.
pub(super) fn plain(path: &[u8]) -> Result<Option<Place>, &'static str> {
    if path.is_empty() {
        return Err("has no name");
    }
    if path.len() > PATH_MAX_BYTES {
        return Err("has a path of more than 4,096 bytes");
    }
    if path.starts_with(b"/") {
        return Err("has an absolute path");
    }
    if path.contains(&0) {
        return Err("has a zero byte in its path");
    }
    let mut dirs: Vec<Vec<u8>> = Vec::new();
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." {
            return Err("has `..` in its path");
        }
        if part.len() > NAME_MAX_BYTES {
            return Err("has a name of more than 255 bytes");
        }
        if dirs.len() >= DEPTH_MAX {
            return Err("lies in more than 100 directories");
        }
        dirs.push(part.to_vec());
    }
    Ok(dirs.pop().map(|name| Place { dirs, name }))
}

/// What begins so is no file, but says that something is gone.
const GONE: &[u8] = b".wh.";

/// What an entry says that is no file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// This is gone.
    Gone(Place),
    /// All that is in there is gone.
    AllGone(Place),
    /// What a file system kept for itself. It says nothing.
    Nothing,
}

/// What the entry says, if it is no file.
pub(super) fn marker(place: &Place) -> Result<Option<Marker>, &'static str> {
    if place.dirs.iter().any(|dir| dir.starts_with(GONE)) {
        return Ok(Some(Marker::Nothing));
    }
    let Some(name) = place.name.strip_prefix(GONE) else { return Ok(None) };
    if name == b".wh..opq" {
        let mut dirs = place.dirs.clone();
        // In the root it would be everything. No tool makes such a layer.
        let name = dirs.pop().ok_or("would empty the whole image")?;
        return Ok(Some(Marker::AllGone(Place { dirs, name })));
    }
    if name.starts_with(GONE) {
        return Ok(Some(Marker::Nothing));
    }
    if matches!(name, b"" | b"." | b"..") {
        return Err("says that nothing is gone");
    }
    Ok(Some(Marker::Gone(Place { dirs: place.dirs.clone(), name: name.to_vec() })))
}

/// A record that describes an entry which follows.
#[derive(Clone, Copy)]
pub(super) enum Record {
    /// Keys and values.
    Pax,
    /// The same for all that follow.
    PaxOfAll,
    Name,
    Link,
}

impl Record {
    pub(super) fn of(kind: EntryType) -> Option<Self> {
        match kind {
            EntryType::XHeader => Some(Self::Pax),
            EntryType::XGlobalHeader => Some(Self::PaxOfAll),
            EntryType::GNULongName => Some(Self::Name),
            EntryType::GNULongLink => Some(Self::Link),
            _ => None,
        }
    }
}

/// What records said about the entry which follows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

/// Reads a record. Two that say the same thing twice would be read in two ways.
pub(super) fn extended(record: Record, bytes: &[u8], to: &mut Extended) -> Result<(), &'static str> {
    const TWICE: &str = "describes one entry twice";
    let text = || bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    match record {
        Record::Name if to.path.replace(text()).is_some() => Err(TWICE),
        Record::Link if to.link.replace(text()).is_some() => Err(TWICE),
        Record::Name | Record::Link => Ok(()),
        Record::Pax | Record::PaxOfAll => {
            let mut rest = bytes;
            while !rest.is_empty() {
                let (key, value, after) = pair(rest).ok_or("has a record that does not read")?;
                rest = after;
                let of_all = matches!(record, Record::PaxOfAll);
                let is_new = match key {
                    b"path" if !of_all => to.path.replace(value.to_vec()).is_none(),
                    b"linkpath" if !of_all => to.link.replace(value.to_vec()).is_none(),
                    b"size" if !of_all => {
                        let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                        to.size.replace(size.ok_or("has a size that does not read")?).is_none()
                    }
                    b"path" | b"linkpath" | b"size" => {
                        return Err("gives one name or size to all its entries");
                    }
                    key if key.starts_with(b"GNU.sparse.") => {
                        return Err("has a file with holes; pack it without (`tar` without `--sparse`)");
                    }
                    // Owners, times and attributes of files: nothing of them reaches a cage.
                    _ => true,
                };
                if !is_new {
                    return Err(TWICE);
                }
            }
            Ok(())
        }
    }
}

/// `LENGTH KEY=VALUE\n`, where the value may hold anything. And what follows.
fn pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..space)?).ok()?.parse().ok()?;
    let line = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = line.iter().position(|byte| *byte == b'=')?;
    Some((line.get(..equals)?, line.get(equals + 1..)?, bytes.get(length..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_read_in_one_way_or_refused() {
        let read = |path: &str| match plain(path.as_bytes()) {
            Ok(Some(place)) => String::from_utf8(place.path()).unwrap(),
            Ok(None) => "the root".into(),
            Err(why) => format!("refused: it {why}"),
        };
        for (path, expected) in [
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            (".", "the root"),
            ("./", "the root"),
            ("a/...", "a/..."),
            ("", "refused: it has no name"),
            ("/etc/passwd", "refused: it has an absolute path"),
            ("..", "refused: it has `..` in its path"),
            ("a/../../b", "refused: it has `..` in its path"),
            ("a\0b", "refused: it has a zero byte in its path"),
        ] {
            assert_eq!(read(path), expected, "{path}");
        }
        assert!(read(&"a/".repeat(101)).starts_with("refused: it lies in more"));
        assert!(read(&"a".repeat(256)).starts_with("refused: it has a name of more"));
        assert!(read(&"ab/".repeat(2_000)).starts_with("refused: it has a path of more"));
    }

    #[test]
    fn markers_are_no_files() {
        let read = |path: &str| match marker(&plain(path.as_bytes()).unwrap().unwrap()) {
            Ok(Some(Marker::Gone(place))) => format!("{} is gone", String::from_utf8(place.path()).unwrap()),
            Ok(Some(Marker::AllGone(place))) => {
                format!("all in {} is gone", String::from_utf8(place.path()).unwrap())
            }
            Ok(Some(Marker::Nothing)) => "says nothing".into(),
            Ok(None) => "a file".into(),
            Err(why) => format!("refused: it {why}"),
        };
        for (path, expected) in [
            ("a/b", "a file"),
            ("a/.wh", "a file"),
            ("a/.wh.b", "a/b is gone"),
            ("a/b/.wh..wh..opq", "all in a/b is gone"),
            (".wh..wh..opq", "refused: it would empty the whole image"),
            (".wh..wh.aufs", "says nothing"),
            (".wh..wh.plnk/1.2", "says nothing"),
            ("a/.wh.", "refused: it says that nothing is gone"),
            ("a/.wh...", "refused: it says that nothing is gone"),
        ] {
            assert_eq!(read(path), expected, "{path}");
        }
    }

    #[test]
    fn records_are_read_by_their_length() {
        let read = |bytes: &[u8]| {
            let mut to = Extended::default();
            extended(Record::Pax, bytes, &mut to).map(|()| to)
        };
        let found = read(b"10 path=a\n24 SCHILY.xattr.x=\n=\n\0\xff\n9 size=7\n").unwrap();
        assert_eq!((found.path.as_deref(), found.size), (Some(&b"a"[..]), Some(7)));
        for wrong in [
            &b"8 path=a\n"[..],
            b"99 path=a\n",
            b"10 path=a\n10 path=b\n",
            b"0 a=b\n",
            b"7 ab\n",
            b"22 GNU.sparse.major=1\n",
            b"9 size=x\n",
        ] {
            assert!(read(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
        let mut to = Extended::default();
        assert!(extended(Record::PaxOfAll, b"10 path=a\n", &mut to).is_err());
        assert!(extended(Record::PaxOfAll, b"13 comment=x\n", &mut to).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_read_stays_below_the_root(path in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(Some(place)) = plain(&path) {
                let read = place.path();
                prop_assert!(!read.starts_with(b"/") && !read.contains(&0));
                prop_assert!(read.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b"..")));
                prop_assert_eq!(plain(&read), Ok(Some(place)));
            }
        }

        #[test]
        fn anything_may_come_as_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = extended(Record::Pax, &bytes, &mut Extended::default());
        }
    }
}
