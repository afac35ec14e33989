//! The files of the cage: a small read-only root, the system read-only, the views, and one bounded scratch
//! space in memory for everything that is written.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use crate::wire::{self, Mount, MountKind, Order};
use crate::{Fault, Step, namespaces, sys};

const ROOT_BYTES: &std::ffi::CStr = c"512k";
const ROOT_BYTES_WITH_INIT: &std::ffi::CStr = c"4m";
const NOT_SUPPORTED: i32 = 95;
const ROOT_INODES: &std::ffi::CStr = c"512";

/// An empty file, to be put over others.
const BLANK: &str = ".blank";

/// Scratch space in which views may appear.
const IN_SCRATCH: &[u8] = b"/tmp/";

/// What the host gives: detached copies of its mounts, in the order's sequence.
pub struct Found {
    pub mounts: Vec<(OwnedFd, bool)>,
    /// False when a file system cannot show its owners as the cage's user.
    pub owners_mapped: bool,
}

/// Finds every source without following links, and takes a read-only copy of the mount.
pub fn find(order: &Order) -> Result<Found, Fault> {
    let mut found = Found { mounts: Vec::new(), owners_mapped: true };
    if !order.user.separate {
        make_private()?;
    }
    for mount in &order.mounts {
        let (tree, is_dir, mapped) = find_one(order, mount)?;
        found.owners_mapped &= mapped;
        found.mounts.push((tree, is_dir));
    }
    Ok(found)
}

/// What is mounted here from now on is seen by nobody else.
pub fn make_private() -> Result<(), Fault> {
    let flags = sys::MS_REC | sys::MS_PRIVATE;
    sys::mount(c"none", c"/", c"none", flags, c"").step("making mounts private")
}

fn find_one(order: &Order, mount: &Mount) -> Result<(OwnedFd, bool, bool), Fault> {
    let step = format!("showing `{}`", String::from_utf8_lossy(&mount.source));
    let path = sys::open_path(&sys::c(&mount.source).step(&step)?).step(&step)?;
    let seen = File::from(path);
    let about = seen.metadata().step(&step)?;
    let tree = sys::open_tree(seen.as_fd()).step(&step)?;
    let attributes = match mount.kind {
        MountKind::Device => sys::RDONLY | sys::NOSUID | sys::NOEXEC,
        MountKind::System | MountKind::View | MountKind::Overlay | MountKind::Apart => {
            sys::RDONLY | sys::NOSUID | sys::NODEV
        }
    };
    sys::restrict_mount(tree.as_fd(), attributes, true).step(&step)?;
    let somebodys = matches!(mount.kind, MountKind::View | MountKind::Overlay | MountKind::Apart);
    let kind = about.file_type();
    if somebodys && (kind.is_socket() || kind.is_fifo()) {
        // It would be what the host's programs have, whoever may write to its directory.
        return Err(Fault { step: format!("{step}, which leads out of the cage"), errno: NOT_SUPPORTED });
    }
    let mut mapped = true;
    if order.user.separate && somebodys {
        let owners = namespaces::owner_map((about.uid(), about.gid()), &order.user)?;
        // Some file systems cannot. Then the program sees what everybody may see.
        mapped = sys::map_owners(tree.as_fd(), owners.as_fd()).is_ok();
    }
    Ok((tree, about.is_dir(), mapped))
}

/// Builds the tree and makes it the root. Descriptors of the scratch directory and of the layers above
/// overlays, for the supervisor.
pub fn build(order: &Order, found: Found) -> Result<Vec<OwnedFd>, Fault> {
    make_private()?;
    // Somewhere that is there on every host and that covers nothing which is still needed: all sources are
    // found already, and `/proc` must stay visible for a new one to be allowed.
    let upper = put_together(order, found, c"/usr")?;
    mount_proc(order)?;
    sys::pivot_here().step("changing the root")?;
    sys::unmount(c".").step("leaving the host's files")?;
    std::env::set_current_dir("/").step("entering the root")?;
    Ok(upper)
}

/// Builds the tree over a directory, and enters it.
pub fn put_together(order: &Order, found: Found, at: &std::ffi::CStr) -> Result<Vec<OwnedFd>, Fault> {
    let held = order.hold.is_some();
    let scratch = make_scratch(order, at)?;
    let bytes = if held { ROOT_BYTES_WITH_INIT } else { ROOT_BYTES };
    let options = [(c"size", bytes), (c"nr_inodes", ROOT_INODES), (c"mode", c"755")];
    let root = sys::tmpfs(&options, sys::NOSUID | sys::NODEV).step("making the root")?;
    sys::move_mount(root.as_fd(), at).step("mounting the root")?;
    std::env::set_current_dir(path(at.to_bytes())).step("entering the root")?;
    make_places(order, &found)?;
    if held {
        let init = inside(wire::INIT.as_bytes());
        fs::copy("/proc/self/exe", init).step("copying the launcher")?;
        fs::set_permissions(init, fs::Permissions::from_mode(0o555)).step("copying the launcher")?;
        fs::create_dir(inside(wire::STATUS_DIR.as_bytes())).step("making the root's directories")?;
    }
    sys::restrict_mount(root.as_fd(), sys::RDONLY, false).step("making the root read-only")?;
    let mut upper = if held { vec![mount_status(order)?] } else { Vec::new() };
    mount_scratch(&scratch)?;
    mount_found(order, found, &scratch)?;
    seal(order)?;
    cover(order)?;
    upper.push(scratch.scratch);
    upper.extend(scratch.layers.into_iter().map(|(upper, _)| upper));
    Ok(upper)
}

/// The file in which the first process of a cage that somebody else builds reports, with room for nothing
/// else.
fn mount_status(order: &Order) -> Result<OwnedFd, Fault> {
    let step = "making a file for reports";
    let options = [(c"size", c"16k"), (c"nr_inodes", c"2"), (c"mode", c"755")];
    let place = sys::c(inside(wire::STATUS_DIR.as_bytes()).as_os_str().as_bytes()).step(step)?;
    let status = sys::tmpfs(&options, sys::NOSUID | sys::NODEV | sys::NOEXEC).step(step)?;
    sys::move_mount(status.as_fd(), &place).step(step)?;
    let mut file = OpenOptions::new();
    file.read(true).write(true).create_new(true).mode(0o600);
    let file = file.open(inside(wire::STATUS.as_bytes())).step(step)?;
    give(order, inside(wire::STATUS_DIR.as_bytes()))?;
    give(order, inside(wire::STATUS.as_bytes()))?;
    Ok(file.into())
}

/// Gives a place to the cage's user, if we are not that already.
fn give(order: &Order, place: &Path) -> Result<(), Fault> {
    if order.hold.is_none() || !order.user.separate {
        return Ok(());
    }
    let id = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
    let (uid, gid) = (id(order.user.outside_uid), id(order.user.outside_gid));
    std::os::unix::fs::chown(place, Some(uid), Some(gid)).step("giving the scratch space to its user")
}

/// Every directory, file and link of the root, while it can be written.
fn make_places(order: &Order, found: &Found) -> Result<(), Fault> {
    let mut places = Places(HashSet::new());
    for dir in ["proc", "dev/shm", "tmp", "scratch", ".lower", ".empty"] {
        places.dir(Path::new(dir)).step("making the root's directories")?;
    }
    if !order.covered.is_empty() {
        touch(Path::new(BLANK)).step("making an empty file")?;
    }
    for (mount, (_, is_dir)) in order.mounts.iter().zip(&found.mounts) {
        // What appears in the scratch space gets its place there.
        if mount.at.starts_with(IN_SCRATCH) {
            continue;
        }
        let step = format!("making a place for `{}`", String::from_utf8_lossy(&mount.at));
        let place = inside(&mount.at);
        let made = if *is_dir { places.dir(place) } else { places.parent(place).and_then(|()| touch(place)) };
        made.step(&step)?;
    }
    for (at, target) in &order.links {
        let made = places.parent(inside(at)).and_then(|()| symlink(path(target), inside(at)));
        made.step(&format!("linking `{}`", String::from_utf8_lossy(at)))?;
    }
    for (at, content) in &order.files {
        let made = places.parent(inside(at)).and_then(|()| fs::write(inside(at), content));
        made.step(&format!("writing `{}`", String::from_utf8_lossy(at)))?;
    }
    Ok(())
}

/// The directories that are made already.
struct Places<'a>(HashSet<&'a Path>);

impl<'a> Places<'a> {
    fn dir(&mut self, dir: &'a Path) -> std::io::Result<()> {
        if dir.as_os_str().is_empty() || !self.0.insert(dir) {
            return Ok(());
        }
        self.parent(dir)?;
        match DirBuilder::new().mode(0o755).create(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn parent(&mut self, of: &'a Path) -> std::io::Result<()> {
        of.parent().map_or(Ok(()), |dir| self.dir(dir))
    }
}

fn touch(file: &Path) -> std::io::Result<()> {
    File::create(file).map(drop)
}

/// One file system for all that is written, so that one limit holds. No path of the cage leads to it as a whole.
struct Scratch {
    scratch: OwnedFd,
    tmp: OwnedFd,
    shm: OwnedFd,
    /// For each view with a layer above it, in the order's sequence: the layer, and where it is worked on.
    layers: Vec<(OwnedFd, OwnedFd)>,
}

/// Makes it over a directory that is covered afterwards.
fn make_scratch(order: &Order, at: &std::ffi::CStr) -> Result<Scratch, Fault> {
    let step = "making the scratch space";
    let number = |value: u64| sys::c(value.to_string().as_bytes()).step(step);
    let (size, inodes) = (number(order.scratch_bytes)?, number(order.scratch_inodes)?);
    let options = [(c"size", &*size), (c"nr_inodes", &*inodes), (c"mode", c"755")];
    let all = sys::tmpfs(&options, sys::NOSUID | sys::NODEV).step(step)?;
    sys::move_mount(all.as_fd(), at).step("mounting the scratch space")?;
    std::env::set_current_dir(path(at.to_bytes())).step(step)?;
    let make = |name: &str, mode: u32| {
        DirBuilder::new().mode(mode).create(name).step(step)?;
        give(order, Path::new(name))?;
        open_dir(name)
    };
    let layer = |index| Ok((make(&format!("upper{index}"), 0o755)?, make(&format!("work{index}"), 0o755)?));
    Ok(Scratch {
        scratch: make("scratch", 0o755)?,
        tmp: make("tmp", 0o700)?,
        shm: make("shm", 0o700)?,
        layers: (0..overlays(order)).map(layer).collect::<Result<_, Fault>>()?,
    })
}

fn mount_scratch(scratch: &Scratch) -> Result<(), Fault> {
    for (dir, at) in [(&scratch.scratch, c"scratch"), (&scratch.tmp, c"tmp"), (&scratch.shm, c"dev/shm")] {
        let tree = sys::open_tree(dir.as_fd()).step("mounting the scratch space")?;
        sys::move_mount(tree.as_fd(), at).step("mounting the scratch space")?;
    }
    Ok(())
}

fn overlays(order: &Order) -> usize {
    order.mounts.iter().filter(|mount| mount.kind == MountKind::Overlay).count()
}

fn mount_found(order: &Order, found: Found, scratch: &Scratch) -> Result<(), Fault> {
    let mut layers = scratch.layers.iter();
    for (mount, (tree, is_dir)) in order.mounts.iter().zip(found.mounts) {
        let step = format!("mounting `{}`", String::from_utf8_lossy(&mount.at));
        if mount.at.starts_with(IN_SCRATCH) {
            make_place_in_scratch(order, inside(&mount.at), is_dir)?;
        }
        let place = sys::c(inside(&mount.at).as_os_str().as_bytes()).step(&step)?;
        let layer = if mount.kind == MountKind::Overlay { layers.next() } else { None };
        if let Some((upper, work)) = layer {
            // The overlay keeps a copy of its lower layer, so this place is free again afterwards.
            sys::move_mount(tree.as_fd(), c".lower").step(&step)?;
            let (upper, work) = (upper.as_raw_fd(), work.as_raw_fd());
            let options = format!(
                "lowerdir=.lower,upperdir=/proc/self/fd/{upper},workdir=/proc/self/fd/{work},userxattr"
            );
            let options = sys::c(options.as_bytes()).step(&step)?;
            let flags = (sys::NOSUID | sys::NODEV) as i64;
            sys::mount(c"overlay", &place, c"overlay", flags, &options).step(&step)?;
            sys::unmount(c".lower").step(&step)?;
        } else if mount.kind == MountKind::Apart && is_dir {
            // The kernel knows a socket and a pipe by the file that they are bound to. Behind an overlay it is another
            // one, to which nobody listens. An overlay without a writable layer has two.
            sys::move_mount(tree.as_fd(), c".lower").step(&step)?;
            let flags = (sys::RDONLY | sys::NOSUID | sys::NODEV) as i64;
            let options = c"lowerdir=.lower:.empty,userxattr";
            sys::mount(c"overlay", &place, c"overlay", flags, options).step(&step)?;
            sys::unmount(c".lower").step(&step)?;
        } else {
            sys::move_mount(tree.as_fd(), &place).step(&step)?;
        }
    }
    Ok(())
}

/// Makes parts of views read-only that can be written. What is not there any more may be somewhere else in the view: then
/// nothing runs.
fn seal(order: &Order) -> Result<(), Fault> {
    for at in &order.sealed {
        let step = format!("making `{}` read-only", String::from_utf8_lossy(at));
        let place = sys::c(inside(at).as_os_str().as_bytes()).step(&step)?;
        let place = sys::open_path(&place).step(&step)?;
        let same = sys::open_tree(place.as_fd()).step(&step)?;
        sys::restrict_mount(same.as_fd(), sys::RDONLY | sys::NOSUID | sys::NODEV, true).step(&step)?;
        sys::move_mount_over(same.as_fd(), place.as_fd()).step(&step)?;
    }
    Ok(())
}

/// Puts something empty over what no program sees: a directory that has no room for anything, however a runtime mounts it
/// again, or a file of the root. What is not there any more may be somewhere else in the view: then nothing runs.
fn cover(order: &Order) -> Result<(), Fault> {
    for at in &order.covered {
        let step = format!("covering `{}`", String::from_utf8_lossy(at));
        let place = sys::c(inside(at).as_os_str().as_bytes()).step(&step)?;
        let place = File::from(sys::open_path(&place).step(&step)?);
        if !place.metadata().step(&step)?.is_dir() {
            let blank = sys::c(BLANK.as_bytes()).and_then(|path| sys::open_path(&path)).step(&step)?;
            let blank = sys::open_tree(blank.as_fd()).step(&step)?;
            let attributes = sys::RDONLY | sys::NOSUID | sys::NODEV | sys::NOEXEC;
            sys::restrict_mount(blank.as_fd(), attributes, true).step(&step)?;
            sys::move_mount_over(blank.as_fd(), place.as_fd()).step(&step)?;
            continue;
        }
        let options = [(c"size", c"4k"), (c"nr_inodes", c"1"), (c"mode", c"555")];
        let empty = sys::tmpfs(&options, sys::RDONLY | sys::NOSUID | sys::NODEV | sys::NOEXEC).step(&step)?;
        sys::move_mount_over(empty.as_fd(), place.as_fd()).step(&step)?;
    }
    Ok(())
}

/// A place for a view in the scratch space, which is mounted by now and empty but for such places. It is the program's
/// like all that is there; only what is mounted over it is not.
fn make_place_in_scratch(order: &Order, place: &Path, is_dir: bool) -> Result<(), Fault> {
    let step = format!("making a place for `{}`", place.display());
    let dirs = if is_dir { Some(place) } else { place.parent() };
    let mut missing: Vec<&Path> =
        dirs.into_iter().flat_map(Path::ancestors).take_while(|dir| !dir.exists()).collect();
    while let Some(dir) = missing.pop() {
        DirBuilder::new().mode(0o755).create(dir).step(&step)?;
        give(order, dir)?;
    }
    if is_dir {
        return Ok(());
    }
    touch(place).step(&step)?;
    give(order, place)
}

fn mount_proc(order: &Order) -> Result<(), Fault> {
    let flags = (sys::NOSUID | sys::NODEV | sys::NOEXEC) as i64;
    sys::mount(c"proc", c"proc", c"proc", flags, c"hidepid=ptraceable").step("mounting /proc")?;
    let over = |source: &std::ffi::CStr, at: &[u8]| -> Result<(), Fault> {
        let place = sys::c(inside(at).as_os_str().as_bytes()).step("masking /proc")?;
        match sys::mount(source, &place, c"none", sys::MS_BIND, c"") {
            // This kernel has no such file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.step("masking /proc"),
        }
    };
    for at in &order.masked_files {
        over(c"dev/null", at)?;
    }
    for at in &order.masked_dirs {
        over(c".empty", at)?;
    }
    sys::mount(c"proc/sys", c"proc/sys", c"none", sys::MS_BIND | sys::MS_REC, c"")
        .step("masking /proc/sys")?;
    let settings = open_dir("proc/sys")?;
    sys::restrict_mount(settings.as_fd(), sys::RDONLY, true).step("masking /proc/sys")
}

fn open_dir(dir: &str) -> Result<OwnedFd, Fault> {
    File::open(dir).map(OwnedFd::from).step("opening a directory of the cage")
}

/// An absolute path of the cage, seen from the root that is being built.
fn inside(at: &[u8]) -> &Path {
    path(at.strip_prefix(b"/").unwrap_or(at))
}

/// Bytes of an order as a path.
pub fn path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
