//! One layer: an archive, decompressed and read entry by entry, with every byte on the way hashed.

mod names;
mod stream;

use std::io::{self, Read};

use tar::{Archive, EntryType};

use super::layout::Blob;
use crate::collected::shown;
pub(super) use names::Place;
use names::{Extended, Marker, Record, extended, plain};
use stream::Hashing;
pub(super) use stream::{Compression, TOO_LONG};

/// What is read of the records that describe an entry: long names, attributes.
const RECORD_MAX_BYTES: u64 = 1 << 20;

/// What stands at the end of an archive: the rest of a block, and two of zeros.
const END_BYTES: u64 = 3 * 512;

/// What a layer says about one path.
pub(super) enum Entry<'a> {
    Directory,
    File {
        executable: bool,
        /// Seconds since 1970.
        modified: u64,
        size: u64,
        content: &'a mut dyn Read,
    },
    SymbolicLink {
        target: Vec<u8>,
    },
    HardLink {
        target: Place,
    },
    /// The path is gone that the layers below have.
    Gone,
    /// Everything in this directory is gone that the layers below have.
    AllGone,
    /// Something that no image needs: its name.
    Odd(&'static str),
}

/// Why a layer is not unpacked.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Of the entry, fit to be shown; of the layer itself when empty.
    pub(super) path: String,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn of(path: &[u8], why: impl Into<String>) -> Self {
        Self { path: shown(path.get(..200).unwrap_or(path)), why: why.into() }
    }

    fn of_layer(why: impl Into<String>) -> Self {
        // Whoever reads archives quotes them in errors.
        Self { path: String::new(), why: shown(why.into().as_bytes()) }
    }
}

/// Reads the layer to its end, and gives each entry in its order. When this returns without a refusal, the bytes
/// were those of the digests. How many there were, unpacked; more than `max` are refused.
pub(super) fn read(
    blob: &Blob,
    max: u64,
    mut each: impl FnMut(&Place, Entry<'_>) -> Result<(), Refusal>,
) -> Result<u64, Refusal> {
    let cannot = |e: io::Error| Refusal::of_layer(format!("cannot be read: {e}"));
    let mut raw = Hashing::new(blob.bytes().map_err(cannot)?);
    let mut unpacked = Hashing::new(stream::Capped::new(blob.compression.reader(&mut raw), max));
    // Some tools (`umoci insert`) leave out the zeros at the end of an archive.
    let read = entries(&mut Read::chain(&mut unpacked, io::repeat(0).take(END_BYTES)), &mut each);
    // What follows after the end of the archive is part of the digests, too.
    let read = read.and_then(|end| {
        let (length, digest) = unpacked.finish().map_err(|e| Refusal::of_layer(e.to_string()))?;
        if end > length {
            Err(Refusal::of_layer("ends in the middle of a file"))
        } else {
            Ok((length, digest))
        }
    });
    let raw = raw.finish().map_err(cannot)?;
    // A wrong digest explains everything else.
    if raw.1 != blob.digest {
        return Err(Refusal::of_layer(format!(
            "holds something else: its bytes have the digest `{}`",
            raw.1
        )));
    }
    let (length, digest) = read?;
    if digest != blob.unpacked {
        return Err(Refusal::of_layer(format!(
            "unpacks to the digest `{digest}`, and the image's configuration says `{}`",
            blob.unpacked
        )));
    }
    Ok(length)
}

/// Gives each entry. Where the last file ends.
fn entries(
    unpacked: &mut impl Read,
    each: &mut impl FnMut(&Place, Entry<'_>) -> Result<(), Refusal>,
) -> Result<u64, Refusal> {
    let broken = |e: io::Error| Refusal::of_layer(format!("is no archive that can be read: {e}"));
    let mut archive = Archive::new(unpacked);
    // Raw: what describes the next entry is read here, with a limit.
    let mut described = Extended::default();
    let mut end = 0;
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        let size = entry.header().entry_size().map_err(broken)?;
        end = entry.raw_file_position().saturating_add(size);
        if let Some(what) = Record::of(kind) {
            let mut bytes = Vec::new();
            if size > RECORD_MAX_BYTES {
                return Err(Refusal::of_layer(format!(
                    "describes an entry with {size} bytes, and {RECORD_MAX_BYTES} are read"
                )));
            }
            entry.read_to_end(&mut bytes).map_err(broken)?;
            extended(what, &bytes, &mut described).map_err(Refusal::of_layer)?;
            continue;
        }
        one(&mut entry, kind, std::mem::take(&mut described), each)?;
    }
    if described != Extended::default() {
        return Err(Refusal::of_layer("ends where an entry should follow"));
    }
    Ok(end)
}

fn one<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    kind: EntryType,
    described: Extended,
    each: &mut impl FnMut(&Place, Entry<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let header = entry.header();
    let name = described.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let refuse = |why: &str| Refusal::of(&name, why);
    let size = header.entry_size().map_err(|_| refuse("has no size that can be read"))?;
    if described.size.is_some_and(|said| said != size) {
        return Err(refuse("has two sizes"));
    }
    let Some(place) = plain(&name).map_err(refuse)? else {
        // The root itself. It is a directory, whatever the archive says.
        return Ok(());
    };
    let link = described.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
    let (mode, modified) = (header.mode().unwrap_or(0), header.mtime().unwrap_or(0));
    match names::marker(&place).map_err(refuse)? {
        Some(Marker::Gone(place)) => return each(&place, Entry::Gone),
        Some(Marker::AllGone(place)) => return each(&place, Entry::AllGone),
        Some(Marker::Nothing) => return Ok(()),
        None => {}
    }
    let link = || link.filter(|link| !link.is_empty()).ok_or_else(|| refuse("is a link to nothing"));
    let made = match kind {
        EntryType::Directory => Entry::Directory,
        // As archives of old write directories.
        EntryType::Regular if name.ends_with(b"/") && size == 0 => Entry::Directory,
        EntryType::Regular | EntryType::Continuous => {
            Entry::File { executable: mode & 0o111 != 0, modified, size, content: entry }
        }
        EntryType::Symlink => Entry::SymbolicLink { target: link()? },
        EntryType::Link => {
            let target = link()?;
            let why = |why: &str| {
                Refusal::of(&name, format!("is a hard link to `{}`, which {why}", shown(&target)))
            };
            let target = plain(&target).map_err(why)?.ok_or_else(|| why("is a directory"))?;
            Entry::HardLink { target }
        }
        EntryType::Char | EntryType::Block => Entry::Odd("is a device"),
        EntryType::Fifo => Entry::Odd("is a named pipe"),
        EntryType::GNUSparse => {
            Entry::Odd("is a file with holes; pack it without (`tar` without `--sparse`)")
        }
        _ => Entry::Odd("is of a kind that no image needs"),
    };
    each(&place, made)
}
