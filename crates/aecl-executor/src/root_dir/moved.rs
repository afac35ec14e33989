//! Names that change hands: never over something that nobody has looked at.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, statat};
use rustix::io::{Errno, Result};

/// Moves what has one name to another name that nothing has.
///
/// # Errors
/// [`Errno::EXIST`] when something has it.
pub(crate) fn rename_new(from: (&OwnedFd, &str), to: (&OwnedFd, &str)) -> Result<()> {
    match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::NOSYS | Errno::INVAL) => match statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
            // A file system that cannot do it in one step.
            Err(Errno::NOENT) => renameat(from.0, from.1, to.0, to.1),
            Ok(_) => Err(Errno::EXIST),
            Err(e) => Err(e),
        },
        done => done,
    }
}

/// Gives each of two the name of the other.
pub(crate) fn exchange(one: (&OwnedFd, &str), other: (&OwnedFd, &str)) -> Result<()> {
    match renameat_with(one.0, one.1, other.0, other.1, RenameFlags::EXCHANGE) {
        Err(Errno::NOSYS | Errno::INVAL) => {
            let between = format!("{}-x", one.1);
            rename_new(other, (one.0, &between))?;
            if let Err(e) = rename_new(one, other) {
                return Err(rename_new((one.0, &between), other).err().unwrap_or(e));
            }
            rename_new((one.0, &between), one)
        }
        done => done,
    }
}
