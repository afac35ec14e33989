//! The files of an image, where otherwise those of the host's system are.
//!
//! The root of a cage is ours, and what is at the top of the image appears in it one by one: nothing that every
//! cage has (`/proc`, `/dev`, `/tmp`) is ever put over something that a stranger made.

use std::fs::{self, DirEntry};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cage::View;
use crate::error::SandboxError;
use crate::host::name::bytes;
use crate::image::Image;
use crate::protocol::system;
use crate::protocol::wire::{Mount, MountKind, Order};

/// Each of them is mounted on its own. A usual system has some twenty at the top.
const ENTRIES_MAX: usize = 128;

/// What at the top is every cage's own, whatever the image has there.
const OUR_OWN: [&str; 5] = ["/dev", "/proc", "/scratch", "/sys", "/tmp"];

/// Adds the files of the image, and the devices of the running kernel.
pub(super) fn show(image: &Image, views: &[View], order: &mut Order) -> Result<(), SandboxError> {
    walk(image.tree(), Path::new("/"), views, order)?;
    let is_etc = |at: &Vec<u8>| at == b"/etc";
    if order.mounts.iter().any(|mount| is_etc(&mount.at)) || order.links.iter().any(|(at, _)| is_etc(at)) {
        // It is as its maker wants it.
        order.files.clear();
    }
    system::devices(order);
    Ok(())
}

/// Everything in a directory of the image, that directory being `at` in the cage. Where a view lies below, the
/// way there is ours, and what is beside it appears one by one.
fn walk(dir: &Path, at: &Path, views: &[View], order: &mut Order) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::Setup { step: format!("reading `{}`", dir.display()), source };
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<Vec<DirEntry>>>);
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let place = at.join(entry.file_name());
        // A view stands for what the image has there.
        if OUR_OWN.iter().any(|own| place == Path::new(own)) || views.iter().any(|view| view.at == place) {
            continue;
        }
        if order.mounts.len() + order.links.len() >= ENTRIES_MAX {
            return Err(SandboxError::BadCage(format!(
                "with `{}` the image has more to show one by one than {ENTRIES_MAX} things; let views appear at a \
                 place of their own, such as `/project`",
                place.display()
            )));
        }
        let kind = entry.file_type().map_err(failed)?;
        let below = views.iter().find(|view| view.at.starts_with(&place));
        match (below, kind.is_symlink(), kind.is_dir()) {
            (None, true, _) => {
                let to = fs::read_link(entry.path()).map_err(failed)?;
                order.links.push((bytes(&place), to.as_os_str().as_bytes().to_vec()));
            }
            (None, false, _) => order.mounts.push(Mount {
                source: bytes(&entry.path()),
                at: bytes(&place),
                kind: MountKind::System,
            }),
            (Some(_), false, true) => walk(&entry.path(), &place, views, order)?,
            (Some(view), _, _) => {
                return Err(SandboxError::BadCage(format!(
                    "the view `{}` would appear below `{}`, which is no directory in the image; let it appear at a \
                     place of its own, such as `/project`",
                    view.source.display(),
                    place.display()
                )));
            }
        }
    }
    Ok(())
}
