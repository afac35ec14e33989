//! The configuration that all three runtimes read.

use std::path::Path;

use rustix::process::Resource;
use serde_json::{Value, json};

use super::places_of;
use super::runtime::Kind;
use crate::launcher::order::limit_number;
use crate::protocol::wire::{INIT, MountKind, Order, STATUS_DIR, User};

/// What every cage may write to, by its place in the tree.
const SCRATCH: [&str; 3] = ["/scratch", "/tmp", "/dev/shm"];

/// The names of the limits that cages have.
const RESOURCES: [(Resource, &str); 9] = [
    (Resource::Core, "RLIMIT_CORE"),
    (Resource::Cpu, "RLIMIT_CPU"),
    (Resource::Fsize, "RLIMIT_FSIZE"),
    (Resource::Nofile, "RLIMIT_NOFILE"),
    (Resource::Nproc, "RLIMIT_NPROC"),
    (Resource::Memlock, "RLIMIT_MEMLOCK"),
    (Resource::Msgqueue, "RLIMIT_MSGQUEUE"),
    (Resource::Sigpending, "RLIMIT_SIGPENDING"),
    (Resource::Data, "RLIMIT_DATA"),
];

/// Who the first process is in the runtime's cage, and who is who on the runtime's side.
pub(super) struct Who {
    inside: u64,
    uids: Vec<(u64, u64)>,
    gids: Vec<(u64, u64)>,
    /// Of our launcher. The program has none.
    rights: &'static [&'static str],
}

impl Who {
    /// Runtimes need somebody who is root inside. On the host that is one more user who owns nothing.
    pub(super) fn of_root(user: &User, other: &User) -> Self {
        Self {
            inside: user.inside,
            uids: vec![(0, other.outside_uid), (user.inside, user.outside_uid)],
            gids: vec![(0, other.outside_gid), (user.inside, user.outside_gid)],
            rights: &[],
        }
    }

    /// An ordinary user has one number to give, and runs the runtime as root of a namespace with that alone. Our
    /// launcher makes one more namespace, with the program's user in it, and Linux asks for this right of whoever
    /// wants root to be somebody there.
    pub(super) fn of_a_user() -> Self {
        Self { inside: 0, uids: vec![(0, 0)], gids: vec![(0, 0)], rights: &["CAP_SETFCAP"] }
    }
}

/// `config.json` of the bundle. The tree at `root` is complete, read-only, and bounded where it can be
/// written; the runtime makes the namespaces around it and mounts `/proc`.
pub(super) fn config(kind: Kind, order: &Order, root: &Path, who: &Who) -> Value {
    let is_gvisor = kind == Kind::Runsc;
    let map = |ids: &[(u64, u64)]| -> Vec<Value> {
        ids.iter()
            .map(|(inside, outside)| json!({ "containerID": inside, "hostID": outside, "size": 1 }))
            .collect()
    };
    let texts = |list: &[Vec<u8>]| -> Vec<String> {
        list.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    };
    let masked = [texts(&order.masked_files), texts(&order.masked_dirs)].concat();
    let namespaces: Vec<Value> = namespaces(is_gvisor).iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": who.inside, "gid": who.inside },
            "args": [INIT, "inside"],
            // The program's own are in its order. Not every kernel hides those of the first process.
            "env": [],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": who.rights, "effective": who.rights, "inheritable": [], "permitted": who.rights,
                "ambient": [],
            },
            "rlimits": rlimits(order),
            "oomScoreAdj": 1000,
        },
        // gVisor would remount it, which nobody may here; it is read-only as it is.
        "root": { "path": root, "readonly": !is_gvisor },
        "hostname": "cage",
        "mounts": mounts(order, root, is_gvisor),
        "linux": {
            "namespaces": namespaces,
            "uidMappings": map(&who.uids),
            "gidMappings": map(&who.gids),
            "maskedPaths": masked,
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

fn rlimits(order: &Order) -> Vec<Value> {
    let named = order.rlimits.iter().filter_map(|(resource, limit)| {
        let (_, name) = RESOURCES.iter().find(|(of, _)| limit_number(*of) == *resource)?;
        Some(json!({ "type": name, "hard": limit, "soft": limit }))
    });
    named.collect()
}

/// The network is that of the launcher: a namespace with nothing in it but its loopback, on which the
/// supervisor can listen. gVisor has one of its own in its kernel.
fn namespaces(is_gvisor: bool) -> &'static [&'static str] {
    if is_gvisor {
        &["pid", "mount", "ipc", "uts", "user", "network"]
    } else {
        &["pid", "mount", "ipc", "uts", "user", "cgroup"]
    }
}

fn mounts(order: &Order, root: &Path, is_gvisor: bool) -> Vec<Value> {
    let bind = |at: String| {
        let source = root.join(at.trim_start_matches('/'));
        json!({ "destination": at, "type": "bind", "source": source, "options": ["rbind"] })
    };
    // gVisor's has its own processes only, and knows no more than that.
    let hidden = if is_gvisor { "noexec" } else { "hidepid=ptraceable" };
    let mut mounts = vec![json!({
        "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev", hidden],
    })];
    if !is_gvisor {
        // Said, so that the runtime makes no `/dev` of its own with more in it. Not every runtime takes along
        // what is mounted in there.
        mounts.push(bind("/dev".into()));
        mounts.extend(places_of(order, MountKind::Device).map(bind));
    }
    mounts.extend(SCRATCH.iter().chain([&STATUS_DIR]).map(|at| bind((*at).to_owned())));
    mounts.extend(places_of(order, MountKind::Overlay).map(bind));
    // What appears in the scratch space comes after that, and is said for the same reason.
    let views = [MountKind::View, MountKind::Apart].into_iter().flat_map(|kind| places_of(order, kind));
    mounts.extend(views.filter(|at| at.starts_with("/tmp/")).map(bind));
    // Said, too: `crun` takes a directory along without what is mounted in it. gVisor sees them where they are.
    let inner = order.sealed.iter().chain(&order.covered).filter(|_| !is_gvisor);
    mounts.extend(inner.map(|at| bind(String::from_utf8_lossy(at).into_owned())));
    mounts
}
