//! Cages that a container runtime builds: `runc`, `crun`, and gVisor's `runsc`, by one configuration.
//!
//! Three programs share the work. Our launcher *holds* the runtime (see [`hold`]), so that nothing
//! outlives us, and puts the cage's files together where the runtime sees them and nobody else does: the same
//! read-only tree and the same bounded scratch space as in the tier `native`. The *runtime* makes the
//! namespaces, mounts and masks; it touches no cgroup and writes to no disk. Inside, our launcher is the first
//! process: it puts on the program the same locks as in the tier `native` (system calls, files, resource
//! limits), reaps, and tells how the program ended.
//!
//! An ordinary user has one number to give. It is root of the namespace of users in which the runtime is held, and
//! of the runtime's cage; the first process makes one more namespace, in which it is the program's user.

mod config;
mod runtime;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Resource;
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use runtime::Kind;
pub(crate) use runtime::{Facts, believe, facts, has_runtime};

use async_trait::async_trait;

use crate::cage::{Access, Cage, Network};
use crate::driver::{Attacked, Driver, Installed};
use crate::ended::AppliedSandbox;
use crate::error::SandboxError;
use crate::found::Offers;
use crate::host::{cgroup, tree, user};
use crate::launcher::hold::{HeldProgram, Holding, Shared, Tree, Workplace, hold};
use crate::launcher::running::Running;
use crate::launcher::{order, start};
use crate::program::Program;
use crate::protocol::wire::{MountKind, ORDER, Order, Report, User};
use crate::tier::Backend;

/// Covered by the runtime's workplace; every host has one of them, and no runtime needs it.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/dev/shm"];

/// For the runtime's own state, the configuration, and the launcher inside. It counts as the cage's memory.
const WORKPLACE_MAX_BYTES: u64 = 16 << 20;
const WORKPLACE_FILES_MAX: u64 = 1_000;

/// How often the first process's reports are looked for while the cage is built.
const LOOK: Duration = Duration::from_millis(1);

/// What is shown of a runtime's complaint.
const COMPLAINT_MAX_BYTES: usize = 1_000;

/// Container runtimes.
pub(crate) struct Oci;

#[async_trait]
impl Driver for Oci {
    async fn installed(&self, backend: &Backend) -> Result<Installed, SandboxError> {
        let found = runtime::installed(backend).await?;
        Ok(Installed { version: Some(found.version), note: found.note, enforced: cgroup::enforced() })
    }

    fn offers(&self, backend: &Backend) -> Offers {
        // The loopback of gVisor is in its own kernel, and what is written above a view stays there.
        let is_gvisor = matches!(backend, Backend::Runsc(_));
        Offers { overlays: !is_gvisor, listener: !is_gvisor, ..Offers::ALL }
    }

    fn remembered_with(&self, _backend: &Backend) -> Option<Vec<PathBuf>> {
        Some(Vec::new())
    }

    async fn attack(&self, cage: &Cage) -> Result<Attacked, SandboxError> {
        self_test(cage).await
    }

    async fn start(&self, program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
        start(program, cage).await
    }
}

/// Starts the program in a cage that the runtime builds.
async fn start(program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
    let (held_program, plan) = plan(program, cage, false).await?;
    let mut holding = hold(held_program).await?;
    let files = wait_until_it_runs(&mut holding, program, cage).await?;
    let held = plan.held(cage, &holding);
    let Holding { launched, listener, .. } = holding;
    let fds = files.into_iter().chain(listener.map(OwnedFd::from)).collect();
    Ok(Running::new(launched, fds, cage, &plan.order, held))
}

/// The launcher attacks the runtime's cage from inside: each attack and the error number it met, 0 if it
/// succeeded.
async fn self_test(cage: &Cage) -> Result<Attacked, SandboxError> {
    let program = Program { argv: vec!["self-test".into()], env: Default::default(), cwd: None };
    let (held_program, plan) = plan(&program, cage, true).await?;
    let mut holding = hold(held_program).await?;
    wait_until_it_runs(&mut holding, &program, cage).await?;
    holding.launched.wait().await;
    let held = plan.held(cage, &holding);
    let attacks = holding.launched.reports().into_iter().filter_map(|report| match report {
        Report::Attack { name, errno } => Some((String::from_utf8_lossy(&name).into_owned(), errno)),
        _ => None,
    });
    Ok((attacks.collect(), held))
}

/// What the cage is said to be when it is there.
struct Plan {
    /// The cage's own part, as for our launcher.
    order: Order,
    runtime: String,
}

impl Plan {
    fn held(&self, cage: &Cage, holding: &Holding) -> AppliedSandbox {
        let landlock_abi = holding.launched.reports().into_iter().find_map(|report| match report {
            Report::Started { landlock_abi, .. } => u32::try_from(landlock_abi).ok(),
            _ => None,
        });
        AppliedSandbox {
            backend: cage.backend.clone(),
            runtime: Some(self.runtime.clone()),
            user: start::host_user(&self.order),
            landlock_abi: landlock_abi.filter(|abi| *abi > 0),
            cgroup: start::cgroup_version(&self.order),
            owners_mapped: holding.owners_mapped,
            image: cage.image.as_ref().map(|image| image.digest().clone()),
            limits: cage.limits,
        }
    }
}

/// The runtime as it is to be held, and the cage that it builds.
async fn plan(program: &Program, cage: &Cage, self_test: bool) -> Result<(HeldProgram, Plan), SandboxError> {
    let order = order::plan_anywhere(program, cage)?;
    let installed = runtime::installed(&cage.backend).await?;
    refuse_what_it_cannot(installed.kind, cage)?;
    let mut order = Order { user: user::choose()?, ..order };
    let is_root = order.user.separate;
    tree::plan(&mut order, &cage.views, cage.image.as_ref())?;
    if installed.kind == Kind::Runsc {
        // Its kernel connects to no socket of the host.
        order.mounts.iter_mut().filter(|m| m.kind == MountKind::Apart).for_each(|m| m.kind = MountKind::View);
    }
    let at = place()?;
    let who =
        if is_root { config::Who::of_root(&order.user, &user::choose()?) } else { config::Who::of_a_user() };
    // Resource limits are the runtime's to set: not every kernel lets a program without rights do it.
    let (mounts, rlimits) = (order.mounts.clone(), Vec::new());
    // Root has given the program its user from outside. Who has one number only is root of the runtime's cage, and
    // becomes the program's user in one more namespace.
    let user = match is_root {
        true => User::default(),
        false => User { inside: order.user.inside, ..User::default() },
    };
    let inner = Order { self_test, mounts, rlimits, user, ..order::inner(program, cage) };
    let config = config::config(installed.kind, &order, &at.join("root"), &who);
    order.files.push((ORDER.as_bytes().to_vec(), inner.encode()));
    let limits = with_the_runtimes_own(installed.kind, &(&cage.limits).into());
    order.groups = cgroup::groups(cgroup::hierarchies(), &limits)?;
    let state = at.join("state");
    let held_program = HeldProgram {
        backend: cage.backend.clone(),
        argv: runtime::command(&installed, is_root, &state, &at.join("bundle")),
        env: [("PATH", "/usr/bin:/usr/sbin:/bin:/sbin"), ("XDG_RUNTIME_DIR", "/nowhere")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        cwd: "/".into(),
        user: None,
        limits,
        rlimits: vec![(order::limit_number(Resource::Core), 0)],
        clocks: cage.clocks,
        network: cage.network,
        kept: Vec::new(),
        workplace: Some(Workplace {
            max_bytes: WORKPLACE_MAX_BYTES,
            files_max: WORKPLACE_FILES_MAX,
            files: vec![
                (at.join("bundle/config.json"), config.to_string().into_bytes()),
                (state.join("made"), Vec::new()),
            ],
            at: at.clone(),
        }),
        tree: Some(Tree { at: at.join("root"), order: order.clone() }),
        // Runtimes find fault with two generations of cgroups side by side, and shall make none themselves:
        // ours hold the runtime and all that it starts.
        hidden: vec!["/sys/fs/cgroup/unified".into()],
        read_only: vec!["/sys/fs/cgroup".into()],
    };
    Ok((held_program, Plan { order, runtime: installed.version }))
}

fn refuse_what_it_cannot(kind: Kind, cage: &Cage) -> Result<(), SandboxError> {
    if kind == Kind::Runsc {
        if cage.network != Network::None {
            return Err(SandboxError::BadCage(
                "the loopback of `runsc` is in its own kernel, so nobody outside can listen there; use another \
                 backend, or no listener"
                    .into(),
            ));
        }
        if let Some(view) = cage.views.iter().find(|view| view.access == Access::Overlay) {
            return Err(SandboxError::BadCage(format!(
                "what `runsc` writes over the view `{}` could not be collected; show it read-only and write to \
                 `/scratch`, or use another backend",
                view.source.display()
            )));
        }
    }
    Ok(())
}

fn unavailable(backend: &Backend, why: &str) -> SandboxError {
    SandboxError::Unavailable { backend: backend.clone(), why: why.to_owned() }
}

/// A directory that is there, and not behind a link.
fn place() -> Result<PathBuf, SandboxError> {
    let is_dir = |dir: &PathBuf| dir.symlink_metadata().is_ok_and(|about| about.is_dir());
    let found = PLACES.map(PathBuf::from).into_iter().find(is_dir);
    found.ok_or_else(|| SandboxError::Setup {
        step: "looking for `/mnt`".into(),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

/// A runtime lives in the cage's cgroups. What it needs itself comes on top, so that the program has what it
/// was promised. How many processes the program has is also limited by its user.
fn with_the_runtimes_own(kind: Kind, limits: &Shared) -> Shared {
    let (bytes, processes, of_each) = match kind {
        Kind::Crun => (24 << 20, 8, 1),
        Kind::Runc => (64 << 20, 64, 1),
        // Each process of its guest is some threads of ours.
        Kind::Runsc => (192 << 20, 512, 4),
    };
    Shared {
        memory_max_bytes: limits.memory_max_bytes.map(|max| max.saturating_add(bytes)),
        processes_max: limits.processes_max.saturating_mul(of_each).saturating_add(processes),
        ..*limits
    }
}

/// Waits until the first process reports that the program runs. The descriptors of what can be collected.
async fn wait_until_it_runs(
    holding: &mut Holding,
    program: &Program,
    cage: &Cage,
) -> Result<Vec<OwnedFd>, SandboxError> {
    let mut files = std::mem::take(&mut holding.files);
    if files.is_empty() {
        return Err(unavailable(&cage.backend, "the launcher gave no file for reports"));
    }
    holding.launched.listen_to(files.remove(0));
    let mut goes_on = true;
    loop {
        let mut reports = holding.launched.reports().into_iter();
        let first = reports.find_map(|report| match report {
            Report::Started { .. } => Some(Ok(())),
            Report::Failed { step, errno } => Some(Err((step, errno))),
            // A self-test never becomes a program.
            Report::Attack { .. } => Some(Ok(())),
            Report::Program { .. } | Report::Over { .. } | Report::Found { .. } => None,
        });
        match first {
            Some(Ok(())) => return Ok(files),
            Some(Err((step, errno))) => {
                holding.launched.wait().await;
                return Err(start::failed(cage.backend.clone(), order::name_of(program), &step, errno));
            }
            None if !goes_on => return Err(complaint(holding, cage).await),
            None => {}
        }
        tokio::select! {
            more = holding.launched.hear() => goes_on = more,
            () = sleep(LOOK) => {}
        }
    }
}

/// The runtime ended, and the program has not run. What it said about that.
async fn complaint(holding: &mut Holding, cage: &Cage) -> SandboxError {
    holding.launched.wait().await;
    let mut said = vec![0; COMPLAINT_MAX_BYTES];
    let mut length = 0;
    if let Some(stderr) = &mut holding.launched.stderr {
        length = stderr.read(&mut said).await.unwrap_or(0);
    }
    said.truncate(length);
    let said = crate::output::Output { written_bytes: 0, bytes: said }.for_display();
    SandboxError::Setup {
        step: format!("`{}` built it", cage.backend),
        source: std::io::Error::other(said.trim().to_owned()),
    }
}

/// What of the cage is a device or may be written, for the configuration.
fn places_of(order: &Order, kind: MountKind) -> impl Iterator<Item = String> {
    let of_kind = move |mount: &&crate::protocol::wire::Mount| mount.kind == kind;
    order.mounts.iter().filter(of_kind).map(|mount| String::from_utf8_lossy(&mount.at).into_owned())
}
