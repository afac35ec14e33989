//! Which files of the host a cage shows.

mod of_image;

use std::path::{Component, Path};

use super::name::bytes;
use crate::cage::{Access, View};
use crate::error::SandboxError;
use crate::hidden;
use crate::image::Image;
use crate::protocol::system;
use crate::protocol::wire::{Mount, MountKind, Order};

const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// What everybody may read of `/proc` and a caged program has no use for. What only root may read there is
/// closed by its owner: nobody in a cage is root. Each mask costs a mount.
const MASKED_FILES: [&str; 12] = [
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/kallsyms",
    "/proc/key-users",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/schedstat",
    "/proc/timer_list",
];

const MASKED_DIRS: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/driver",
    "/proc/dynamic_debug",
    "/proc/fs",
    "/proc/irq",
    "/proc/pressure",
    "/proc/scsi",
];

/// Places of every cage. A view goes somewhere else.
const TAKEN: [&str; 15] = [
    "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/scratch", "/sys",
    "/usr", "/.lower", "/.empty", "/.blank",
];

/// Scratch space in which a view may appear all the same: many a project lies there on the host, and its programs know
/// themselves by their paths.
const SCRATCH_WITH_VIEWS: &str = "/tmp";

/// Parts of the host that are no files of anybody's.
const NEVER_SHOWN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The name of an image among views that are named by their numbers.
pub(crate) const IMAGE: &str = "image";

/// Fills in what the cage shows.
pub(crate) fn plan(order: &mut Order, views: &[View], image: Option<&Image>) -> Result<(), SandboxError> {
    check_views(views)?;
    match image {
        None => {
            system::show(Path::new("/"), order);
            rest(order);
        }
        Some(image) => {
            rest(order);
            of_image::show(image, views, order)?;
        }
    }
    order.mounts.extend(views.iter().map(|view| {
        let shown = mount(view, bytes(&view.source));
        // Read-only is not enough: to speak with who listens on a socket takes no right to write.
        let kind = if shown.kind == MountKind::View { MountKind::Apart } else { shown.kind };
        Mount { kind, ..shown }
    }));
    cover_and_seal(order, views)
}

/// Fills in what a cage in a machine shows: the image, or all but the machine's own system. There each view is
/// below this directory, named by its number, and the image as [`IMAGE`].
pub(crate) fn plan_in_machine(
    order: &mut Order,
    views: &[View],
    image: Option<&Image>,
    shown: &str,
) -> Result<(), SandboxError> {
    check_views(views)?;
    rest(order);
    if let Some(image) = image {
        of_image::show(image, views, order)?;
        let (here, there) = (bytes(image.tree()), format!("{shown}/{IMAGE}").into_bytes());
        for mount in &mut order.mounts {
            if let Some(below) = mount.source.strip_prefix(here.as_slice()) {
                mount.source = [&there, below].concat();
            }
        }
    }
    let numbered = (0..).map(|number: usize| format!("{shown}/{number}").into_bytes());
    order.mounts.extend(views.iter().zip(numbered).map(|(view, source)| mount(view, source)));
    // Empty in the copy as well. Covered, nothing is written there that would come back as a change.
    cover_and_seal(order, views)
}

fn cover_and_seal(order: &mut Order, views: &[View]) -> Result<(), SandboxError> {
    let places = |all: Vec<std::path::PathBuf>| all.iter().map(|at| bytes(at)).collect();
    order.covered = places(hidden::below(views)?);
    order.sealed = places(hidden::sealed(views));
    Ok(())
}

fn mount(view: &View, source: Vec<u8>) -> Mount {
    let kind = match view.access {
        Access::ReadOnly => MountKind::View,
        Access::Overlay => MountKind::Overlay,
    };
    Mount { source, at: bytes(&view.at), kind }
}

/// Fills in what every cage has that is not of a system.
fn rest(order: &mut Order) {
    order.links.extend(LINKS.iter().map(|(at, to)| (at.as_bytes().to_vec(), to.as_bytes().to_vec())));
    order.files = small_files(order.user.inside);
    order.masked_files = MASKED_FILES.iter().map(|path| path.as_bytes().to_vec()).collect();
    order.masked_dirs = MASKED_DIRS.iter().map(|path| path.as_bytes().to_vec()).collect();
}

/// Where names are looked up.
const NAMES: &str = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n";

/// What programs ask for by name.
const SERVICES: &str = "\
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
domain 53/tcp
domain 53/udp
http 80/tcp www
pop3 110/tcp pop-3
ntp 123/udp
imap2 143/tcp imap
snmp 161/udp
ldap 389/tcp
https 443/tcp
https 443/udp
submission 587/tcp
ldaps 636/tcp
imaps 993/tcp
pop3s 995/tcp
mysql 3306/tcp
postgresql 5432/tcp postgres
amqp 5672/tcp
redis 6379/tcp
http-alt 8080/tcp webcache
";

fn small_files(user: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let file = |at: &str, text: String| (at.as_bytes().to_vec(), text.into_bytes());
    vec![
        file("/etc/passwd", format!("cage:x:{user}:{user}:cage:/tmp:/bin/sh\n")),
        file("/etc/group", format!("cage:x:{user}:\n")),
        file("/etc/hosts", "127.0.0.1 localhost cage\n".into()),
        file("/etc/nsswitch.conf", NAMES.into()),
        file("/etc/services", SERVICES.into()),
        // Of no machine: programs that want one find one, and learn nothing of the host by it.
        file("/etc/machine-id", "aec1ca9eaec1ca9eaec1ca9eaec1ca9e\n".into()),
    ]
}

fn check_views(views: &[View]) -> Result<(), SandboxError> {
    let no = |view: &View, why: &str| {
        Err(SandboxError::BadCage(format!("the view `{}` {why}", view.source.display())))
    };
    for (index, view) in views.iter().enumerate() {
        let plain = |path: &Path| {
            path.is_absolute()
                && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
                && path.components().count() > 1
        };
        if !plain(&view.source) || NEVER_SHOWN.iter().any(|dir| view.source.starts_with(dir)) {
            return no(
                view,
                "must be an absolute path without `..`, and not all of the host or its kernel's files",
            );
        }
        let is_taken = TAKEN.iter().any(|dir| view.at.starts_with(dir));
        if !plain(&view.at) || is_taken || view.at == Path::new(SCRATCH_WITH_VIEWS) {
            return no(view, "must appear at an absolute path of its own, such as `/project`");
        }
        let nested = views.iter().enumerate().any(|(other_index, other)| {
            index != other_index && (view.at.starts_with(&other.at) || other.at.starts_with(&view.at))
        });
        if nested {
            return no(view, "appears inside another view; show the outer one only");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_would_cover_or_uncover_something_are_refused() {
        let refused = |source: &str, at: &str| {
            check_views(&[View { source: source.into(), at: at.into(), access: Access::ReadOnly }]).is_err()
        };
        assert!(!refused("/home/me/project", "/project"));
        assert!(!refused("/home/me/project", "/home/me/project"));
        assert!(!refused("/tmp/project", "/tmp/project"));
        for (source, at) in [
            ("/", "/project"),
            ("relative", "/project"),
            ("/home/../etc", "/project"),
            ("/proc/1", "/project"),
            ("/sys", "/project"),
            ("/home", "/"),
            ("/home", "/usr/share/x"),
            ("/home", "/tmp"),
            ("/home", "/project/../usr"),
            ("/home", "/tmp/../usr"),
            ("/home", "/scratch/project"),
            ("/home", "/dev/shm/project"),
        ] {
            assert!(refused(source, at), "{source} at {at}");
        }
        let view = |at: &str| View { source: "/home".into(), at: at.into(), access: Access::ReadOnly };
        assert!(check_views(&[view("/a"), view("/a/b")]).is_err());
        assert!(check_views(&[view("/a"), view("/ab")]).is_ok());
    }
}
