//! What the program left, read out for the host. Nothing of the cage runs any more.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::channel::Outgoing;
use crate::frame::{DEPTH_MAX, Is, Kind, Left, PAYLOAD_MAX};
use crate::{Fault, Step, sys};

/// Says what is left, as long as there is room for it.
pub struct HandOver<'a> {
    pub outgoing: &'a Outgoing,
    pub scratch_bytes: u64,
    pub said_bytes: u64,
}

impl HandOver<'_> {
    /// Says everything that is below this directory, directories before what is in them.
    pub fn place(&mut self, place: u64, dir: OwnedFd) -> Result<(), Fault> {
        let top = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        self.walk(place, &top.join("."), Path::new(""), 0)
    }

    fn walk(&mut self, place: u64, dir: &Path, below: &Path, depth: usize) -> Result<(), Fault> {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            // What cannot even be looked at is in no way left.
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            let below = below.join(entry.file_name());
            let left = Left {
                place,
                path: below.as_os_str().as_bytes().to_vec(),
                is: kind(&path, &about),
                mode: u64::from(about.mode() & 0o7777),
                links: about.nlink(),
                size: about.size(),
            };
            self.outgoing.send(Kind::Left, &left.encode())?;
            if left.bytes_follow(self.said_bytes, self.scratch_bytes) {
                self.said_bytes += left.size;
                content(&path, left.size, self.outgoing)?;
            }
            if matches!(left.is, Is::Directory | Is::Anew) && depth < DEPTH_MAX {
                self.walk(place, &path, &below, depth + 1)?;
            }
        }
        Ok(())
    }
}

fn kind(path: &Path, about: &fs::Metadata) -> Is {
    let of = about.file_type();
    match () {
        () if of.is_dir() && hides_below(path) => Is::Anew,
        () if of.is_dir() => Is::Directory,
        // How an overlay marks what is deleted. A program cannot make a device of any other number.
        () if of.is_char_device() && about.rdev() == 0 => Is::Deleted,
        () if of.is_file() => Is::File,
        () if of.is_symlink() => Is::Symlink,
        () if of.is_fifo() => Is::Fifo,
        () if of.is_socket() => Is::Socket,
        () if of.is_block_device() || of.is_char_device() => Is::Device,
        () => Is::Unknown,
    }
}

/// How an overlay marks a directory that does not show what lies below it. A program in the cage cannot set
/// this by itself: the overlay keeps names of this kind apart.
fn hides_below(dir: &Path) -> bool {
    let mut value = [0; 1];
    let path = sys::c(dir.as_os_str().as_bytes());
    path.and_then(|path| sys::attribute(&path, c"user.overlay.opaque", &mut value))
        .is_ok_and(|length| length == 1 && value == *b"y")
}

fn content(path: &Path, size: u64, outgoing: &Outgoing) -> Result<(), Fault> {
    let mut file = File::open(path).step("reading what was left")?.take(size);
    let mut buffer = vec![0; PAYLOAD_MAX];
    loop {
        match file.read(&mut buffer).step("reading what was left")? {
            0 => return Ok(()),
            count => outgoing.send(Kind::Content, buffer.get(..count).unwrap_or_default())?,
        }
    }
}
