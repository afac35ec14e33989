//! What this host can really do: each backend is built and attacked from inside. That a file or a setting
//! exists says nothing.

use std::time::Duration;

use crate::{Backend, Cage, Clocks, Held, Limits, Network, SandboxError, native, oci, vm};

/// What was found out about one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was tried.
    pub backend: Backend,
    /// Whether programs may be held with it: it could be built, and every attack was refused.
    pub available: bool,
    /// Why not, and what to do; or what holds it.
    pub reason: String,
    /// Of what holds it: ours and the kernel's.
    pub version: String,
    /// Which limits are enforced. One that is not is refused when a cage asks for it.
    pub enforced: Enforced,
    /// The attacks of the self-test.
    pub attacks: Vec<Attack>,
}

/// Which limits a host enforces, beside those that it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// [`Limits::memory_max_bytes`].
    pub memory: bool,
    /// [`Limits::cpu_max_millicores`].
    pub cpu: bool,
}

impl Found {
    /// The cage that was tried: the smallest in which anything runs, with every limit that is enforced.
    #[must_use]
    pub fn cage(&self) -> Cage {
        smallest(&self.backend, self.enforced)
    }
}

/// One attack of the self-test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// What was tried.
    pub name: String,
    /// The error that it met; absent if it succeeded.
    pub errno: Option<u64>,
}

/// The last line of the self-test: what must work, or a cage would pass by refusing everything.
const MUST_WORK: &str = "use the scratch space";

/// Builds and attacks a cage by each of these backends; [`Backend::all`] are those that need no more words. Takes
/// from a few milliseconds (`native`) to half a second (`runsc`); a machine is really started, which takes up to
/// the time that it is given. Ask once, at the start.
pub async fn probe(backends: &[Backend]) -> Vec<Found> {
    let mut found = Vec::new();
    for backend in backends {
        found.push(probe_one(backend).await);
    }
    found
}

async fn probe_one(backend: &Backend) -> Found {
    let mut found = Found {
        backend: backend.clone(),
        available: false,
        reason: String::new(),
        version: format!("aecl-cage {}, {}", env!("CARGO_PKG_VERSION"), kernel()),
        enforced: native::enforced(),
        attacks: Vec::new(),
    };
    let mut note = None;
    let tested = match backend {
        Backend::Native => native::self_test(&smallest(backend, found.enforced)).await,
        Backend::Runc(_) | Backend::Crun(_) | Backend::Runsc(_) => match oci::installed(backend).await {
            Ok(installed) => {
                found.version = format!("{}, {}", installed.version, found.version);
                note = installed.note;
                oci::self_test(&smallest(backend, found.enforced)).await
            }
            Err(error) => Err(error),
        },
        Backend::Qemu(_) | Backend::Firecracker(_) => {
            // The machine enforces them, whatever the host can do.
            found.enforced = Enforced { memory: true, cpu: true };
            if let Some((program, _)) = backend.machine()
                && let Some(version) = vm::version(program).await
            {
                found.version = format!("{version}, {}", found.version);
            }
            vm::probe(&smallest(backend, found.enforced)).await
        }
    };
    let mut found = match tested {
        Ok((attacks, held)) => judge(found, attacks, &held),
        Err(SandboxError::Unavailable { why, .. }) => Found { reason: why, ..found },
        Err(error) => Found { reason: error.to_string(), ..found },
    };
    if let Some(note) = note {
        found.reason = format!("{}; {note}", found.reason);
    }
    found
}

fn judge(found: Found, attacks: Vec<(String, u64)>, held: &Held) -> Found {
    let finished = attacks.last().is_some_and(|(name, errno)| name == MUST_WORK && *errno == 0);
    let through: Vec<String> = attacks
        .iter()
        .filter(|(name, errno)| name != MUST_WORK && *errno == 0)
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let reason = match (through.is_empty(), finished) {
        (false, _) => format!("from inside of it one can {}", through.join(", ")),
        (true, false) => "the self-test did not come to its end".to_owned(),
        (true, true) => format!(
            "{} attacks refused; landlock {}, {}, memory limit {}",
            attacks.len() - 1,
            held.landlock_abi.map_or_else(|| "none".to_owned(), |abi| abi.to_string()),
            held.user,
            if found.enforced.memory { "enforced" } else { "not enforced" }
        ),
    };
    let attacks = attacks
        .into_iter()
        .map(|(name, errno)| Attack { name, errno: (errno != 0).then_some(errno) })
        .collect();
    Found { available: through.is_empty() && finished, reason, attacks, ..found }
}

/// How long the attacks may take.
const ATTACKS_MAX: Duration = Duration::from_secs(10);

/// A cage for the self-test.
fn smallest(backend: &Backend, enforced: Enforced) -> Cage {
    let starting = backend.machine().map_or(0, |(_, machine)| machine.boot_max_ms);
    let time = ATTACKS_MAX + Duration::from_millis(starting);
    Cage {
        backend: backend.clone(),
        image: None,
        views: Vec::new(),
        network: Network::None,
        limits: Limits {
            memory_max_bytes: enforced.memory.then_some(64 << 20),
            cpu_max_millicores: enforced.cpu.then_some(1_000),
            processes_max: 8,
            scratch_max_bytes: 1 << 20,
            scratch_files_max: 64,
            file_max_bytes: 1 << 20,
            open_files_max: 64,
            output_kept_max_bytes: 4_096,
            output_max_bytes: 4_096,
        },
        clocks: Clocks { call: time, task_left: time, lifetime_left: time },
    }
}

fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostUser;

    fn judged(attacks: &[(&str, u64)]) -> Found {
        let cage = smallest(&Backend::Native, Enforced { memory: false, cpu: false });
        let held = Held {
            backend: Backend::Native,
            user: HostUser::Ours,
            runtime: None,
            landlock_abi: Some(7),
            cgroup: None,
            owners_mapped: true,
            image: None,
            limits: cage.limits,
        };
        let found = Found {
            backend: Backend::Native,
            available: false,
            reason: String::new(),
            version: String::new(),
            enforced: Enforced { memory: false, cpu: false },
            attacks: Vec::new(),
        };
        judge(found, attacks.iter().map(|(name, errno)| ((*name).to_owned(), *errno)).collect(), &held)
    }

    #[test]
    fn one_attack_that_succeeds_makes_a_tier_unavailable() {
        assert!(judged(&[("mount", 1), (MUST_WORK, 0)]).available);
        let open = judged(&[("mount", 0), ("bpf", 1), (MUST_WORK, 0)]);
        assert!(!open.available);
        assert_eq!(open.reason, "from inside of it one can `mount`");
    }

    #[test]
    fn a_cage_that_refuses_everything_does_not_pass() {
        assert!(!judged(&[("mount", 1), (MUST_WORK, 1)]).available);
        assert!(!judged(&[("mount", 1)]).available);
        assert!(!judged(&[]).available);
    }

    #[tokio::test]
    async fn each_backend_is_attacked_or_says_what_is_missing() {
        let backends = Backend::all();
        for found in probe(&backends[1..]).await {
            println!("{found:?}");
            if rustix::process::geteuid().is_root() {
                assert!(found.available || found.reason.contains("apt-get install"), "{}", found.reason);
            }
            assert!(found.attacks.len() > 15 || !found.available, "{found:?}");
        }
        let nothing = Backend::Runc(crate::Runtime::named("no-such-runtime"));
        let found = probe(&[nothing]).await;
        let said = "`no-such-runtime` is not installed; `apt-get install runc`";
        assert!(!found[0].available && found[0].reason.starts_with(said), "{}", found[0].reason);
    }

    #[tokio::test]
    async fn the_self_test_runs_here() {
        let found = probe(&[Backend::Native]).await;
        let native = &found[0];
        assert!(native.available, "{}", native.reason);
        assert!(native.attacks.len() > 15, "{native:?}");
    }
}
