//! The tier `native`: our own launcher, the kernel's namespaces, and every lock that it has.

use async_trait::async_trait;

use crate::cage::Cage;
use crate::driver::{Attacked, Driver, Installed};
use crate::ended::AppliedSandbox;
use crate::error::SandboxError;
use crate::found::Offers;
use crate::host::cgroup;
use crate::launcher::launched::{Launched, Pipes};
use crate::launcher::order::{name_of, plan};
use crate::launcher::running::Running;
use crate::launcher::start::{Started, attacks, cgroup_version, host_user, launch, launch_between, started};
use crate::launcher::terminal::{Terminal, TerminalSize};
use crate::program::Program;
use crate::protocol::wire::Order;
use crate::tier::Backend;

/// What an operator should know before anything is trusted to it. The self-test attacks every host that we run on; the
/// whole catalogue of attacks was never carried out on a real machine of this kind.
const NOT_PROVEN: Option<&str> = if cfg!(target_arch = "aarch64") {
    Some(
        "on aarch64 the self-test is all that was ever tried on real hardware; the whole catalogue of attacks ran in an \
         emulated machine alone, so look at it as a preview",
    )
} else {
    None
};

/// Our own launcher.
pub(crate) struct Native;

#[async_trait]
impl Driver for Native {
    async fn installed(&self, _backend: &Backend) -> Result<Installed, SandboxError> {
        Ok(Installed { version: None, note: NOT_PROVEN.map(String::from), enforced: cgroup::enforced() })
    }

    fn offers(&self, _backend: &Backend) -> Offers {
        Offers::ALL
    }

    async fn attack(&self, cage: &Cage) -> Result<Attacked, SandboxError> {
        self_test(cage).await
    }

    async fn start(&self, program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
        start(program, cage).await
    }

    async fn start_on_terminal(
        &self,
        program: &Program,
        cage: &Cage,
        size: TerminalSize,
    ) -> Result<(Running, Terminal), SandboxError> {
        start_on_terminal(program, cage, size).await
    }
}

/// Starts the program in its cage.
pub(super) async fn start(program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
    let order = plan(program, cage)?;
    let launched = launch(&order, cage.clocks.deadline().1, &[])?;
    running(launched, program, cage, &order).await
}

async fn start_on_terminal(
    program: &Program,
    cage: &Cage,
    size: TerminalSize,
) -> Result<(Running, Terminal), SandboxError> {
    let step = |source: std::io::Error| SandboxError::Setup { step: "making a terminal".into(), source };
    let order = Order { terminal: true, ..plan(program, cage)? };
    let (terminal, theirs) = Terminal::open(size).map_err(step)?;
    // What is typed and written goes through the same pipes as ever, with the same limits. On a terminal there is one
    // stream for both outputs.
    let (pipes, [typed, written, _]) = Pipes::new().map_err(step)?;
    let again = || theirs.try_clone().map_err(step);
    let ends = [again()?, again()?, again()?];
    let launched = launch_between(&order, cage.clocks.deadline().1, &[], pipes, ends)?;
    drop(theirs);
    terminal.connect(typed, written).map_err(step)?;
    Ok((running(launched, program, cage, &order).await?, terminal))
}

async fn running(
    mut launched: Launched,
    program: &Program,
    cage: &Cage,
    order: &Order,
) -> Result<Running, SandboxError> {
    match started(&mut launched).await {
        Ok(Started { landlock_abi, owners_mapped, fds }) => {
            let held = held(order, cage, landlock_abi, owners_mapped);
            Ok(Running::new(launched, fds, cage, order, held))
        }
        Err(refusal) => {
            launched.end().await;
            Err(refusal.error(Backend::Native, name_of(program)))
        }
    }
}

/// The launcher attacks its own cage: each attack and the error number it met, 0 if it succeeded.
async fn self_test(cage: &Cage) -> Result<Attacked, SandboxError> {
    let program = Program { argv: vec!["self-test".into()], env: Default::default(), cwd: None };
    let mut order = plan(&program, cage)?;
    order.self_test = true;
    let mut launched = launch(&order, cage.clocks.deadline().1, &[])?;
    let attacked = attacks(&mut launched, &cage.backend).await;
    launched.end().await;
    let (attacks, landlock_abi, owners_mapped) = attacked?;
    Ok((attacks, held(&order, cage, landlock_abi, owners_mapped)))
}

fn held(order: &Order, cage: &Cage, landlock_abi: u64, owners_mapped: bool) -> AppliedSandbox {
    AppliedSandbox {
        backend: Backend::Native,
        user: host_user(order),
        runtime: None,
        landlock_abi: u32::try_from(landlock_abi).ok().filter(|abi| *abi > 0),
        cgroup: cgroup_version(order),
        owners_mapped,
        image: cage.image.as_ref().map(|image| image.digest().clone()),
        limits: cage.limits,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::cage::{Limits, Network};
    use crate::deadline::{Clocks, Level};
    use crate::ended::Termination;
    use crate::host::name::{bytes, numbered};
    use crate::protocol::wire::{Group, MemoryEvents};

    /// Version 2 without a controller, which machines have that limit with version 1. The way into the group
    /// and out of it is the same.
    #[tokio::test]
    async fn a_cage_is_born_into_its_group_of_version_2() {
        let places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let Some(place) = places.into_iter().find(|dir| dir.join("cgroup.controllers").exists()) else {
            return;
        };
        let dir = place.join(numbered("aecl-test"));
        // Whoever may not make one here has none to be born into.
        if std::fs::create_dir(&dir).and_then(|()| std::fs::remove_dir(&dir)).is_err() {
            return;
        }
        let limits = Limits {
            memory_max_bytes: None,
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 8,
            scratch_max_bytes: 1 << 20,
            scratch_files_max: 10,
            file_max_bytes: 1 << 20,
            open_files_max: 64,
            output_kept_max_bytes: 1_000,
            output_max_bytes: 1_000,
        };
        let time = Duration::from_secs(20);
        let clocks = Clocks { call: time, task_left: time, lifetime_left: time };
        let (backend, network) = (Backend::Native, Network::None);
        let cage = Cage { backend, image: None, views: vec![], network, limits, clocks };
        let argv = ["sh", "-c", "cat; grep ^0 /proc/self/cgroup"].map(String::from).to_vec();
        let program = Program { argv, env: BTreeMap::new(), cwd: None };
        let mut order = plan(&program, &cage).unwrap();
        order.groups = vec![Group { dir: bytes(&dir), settings: vec![], memory: MemoryEvents::Elsewhere }];
        let mut launched = launch(&order, Level::Call, &[]).unwrap();
        let Ok(Started { fds, .. }) = started(&mut launched).await else { panic!() };
        // Three processes: the first one, the shell, and `cat`.
        let inside = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert!(inside.lines().count() >= 2, "{inside}");
        let held = held(&order, &cage, 0, true);
        let ended = Running::new(launched, fds, &cage, &order, held).wait().await;
        assert_eq!(ended.outcome, Termination::Exited(0));
        assert_eq!(ended.stdout.bytes, b"0::/\n");
        assert!(!dir.exists());
    }
}
