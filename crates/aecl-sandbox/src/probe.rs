//! What this host can really do: each backend is built and attacked from inside. That a file or a setting
//! exists says nothing.

#[cfg(native_cage)]
mod remembered;

use std::time::Duration;

use crate::backend;
use crate::cage::{Access, Cage, Limits, Network, View};
use crate::deadline::Clocks;
use crate::driver::Driver;
use crate::ended::AppliedSandbox;
use crate::error::SandboxError;
use crate::found::{Attack, Enforced, Found, Offers};
use crate::host::cgroup;
use crate::tier::Backend;

#[cfg(not(native_cage))]
pub use crate::unsupported::ProbeCache;
#[cfg(native_cage)]
pub use remembered::ProbeCache;

impl Backend {
    /// Whether a cage of it can have the files of an [`Image`](crate::Image). A machine gets them as it gets views.
    #[must_use]
    pub fn shows_images(&self) -> bool {
        backend::of(self).offers(self).views
    }
}

impl Offers {
    /// Less and less of what a host's kernel may not do, down to a plain cage.
    fn less(self) -> Vec<Self> {
        let mut all = Vec::new();
        for less in [
            Self { overlays: false, ..self },
            Self { listener: false, ..self },
            Self { overlays: false, listener: false, ..self },
            Self { views: false, overlays: false, listener: false, ..self },
        ] {
            if less != self && !all.contains(&less) {
                all.push(less);
            }
        }
        all
    }
}

impl Found {
    /// The smallest cage in which anything runs, with every limit that is enforced.
    #[must_use]
    pub fn cage(&self) -> Cage {
        Cage { views: Vec::new(), network: Network::None, ..smallest(self) }
    }
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
        version: version(),
        enforced: cgroup::enforced(),
        offers: backend::of(backend).offers(backend),
        attacks: Vec::new(),
    };
    let driver = backend::of(backend);
    let mut notes = Vec::new();
    match driver.installed(backend).await {
        Ok(installed) => {
            found.version = after(installed.version, found.version);
            found.enforced = installed.enforced;
            notes.extend(installed.note);
        }
        Err(error) => return Found { reason: why(error), ..found },
    }
    let mut found = match self_test(driver, &mut found).await {
        Ok((attacks, held, less)) => {
            found.version = after(driver.version_after(backend).await, found.version);
            notes.extend(less.map(|why| format!("not all that it could: {why}")));
            judge(found, attacks, &held)
        }
        Err(error) => Found { reason: why(error), ..found },
    };
    for note in notes {
        found.reason = format!("{}; {note}", found.reason);
    }
    found
}

/// A version, with that of what it builds with in front.
fn after(version: Option<String>, ours: String) -> String {
    version.map_or(ours.clone(), |version| format!("{version}, {ours}"))
}

fn why(error: SandboxError) -> String {
    match error {
        SandboxError::Unavailable { why, .. } => why,
        error => error.to_string(),
    }
}

/// Attacks a cage with everything that this backend offers; where that cannot be built, with less, and then
/// that is what it offers here, and why.
async fn self_test(driver: &dyn Driver, found: &mut Found) -> Result<Tested, SandboxError> {
    let mut tested = driver.attack(&smallest(found)).await;
    let mut first = None;
    for less in found.offers.less() {
        let Err(error @ SandboxError::Setup { .. }) = &tested else { break };
        first = first.or_else(|| Some(error.to_string()));
        found.offers = less;
        tested = driver.attack(&smallest(found)).await;
    }
    tested.map(|(attacks, held)| (attacks, held, first))
}

/// The attacks, the cage that they met, and why not all that is offered could be built.
type Tested = (Vec<(String, u64)>, AppliedSandbox, Option<String>);

fn judge(found: Found, attacks: Vec<(String, u64)>, held: &AppliedSandbox) -> Found {
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

/// Any port will do: the loopback is the cage's own.
const PORT: u16 = 3128;

/// How long the attacks may take.
const ATTACKS_MAX: Duration = Duration::from_secs(10);

/// A directory that every host has, and where the self-test sees it.
const SHOWN: (&str, &str) = ("/usr", "/self-test");

/// A cage for the self-test, with all that is offered.
fn smallest(found: &Found) -> Cage {
    let Found { backend, enforced, offers, .. } = found;
    let starting = backend.machine().map_or(0, |(_, machine)| machine.boot_max_ms);
    let time = ATTACKS_MAX + Duration::from_millis(starting);
    Cage {
        backend: backend.clone(),
        image: None,
        views: if offers.views { vec![shown(*offers)] } else { Vec::new() },
        network: if offers.listener { Network::Listener { port: PORT } } else { Network::None },
        limits: Limits {
            memory_max_bytes: enforced.memory.then_some(64 << 20),
            process_memory_max_bytes: None,
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

fn shown(offers: Offers) -> View {
    let (source, at) = SHOWN;
    let access = if offers.overlays { Access::Overlay } else { Access::ReadOnly };
    View { source: source.into(), at: at.into(), access }
}

/// Which limits this host's cgroups enforce for us: those of each backend that has none of its own. Looks at the
/// cgroups alone, and builds no cage.
#[must_use]
pub fn enforced() -> Enforced {
    cgroup::enforced()
}

/// The version of our own part of every cage, and of this host's kernel.
#[must_use]
pub fn version() -> String {
    let name = rustix::system::uname();
    let (system, release) = (name.sysname().to_string_lossy(), name.release().to_string_lossy());
    format!("aecl-cage {}, {system} {release}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ended::HostUser;

    fn judged(attacks: &[(&str, u64)]) -> Found {
        let found = Found {
            backend: Backend::Native,
            available: false,
            reason: String::new(),
            version: String::new(),
            enforced: Enforced { memory: false, cpu: false },
            offers: backend::of(&Backend::Native).offers(&Backend::Native),
            attacks: Vec::new(),
        };
        let held = AppliedSandbox {
            backend: Backend::Native,
            user: HostUser::Ours,
            runtime: None,
            landlock_abi: Some(7),
            cgroup: None,
            owners_mapped: true,
            image: None,
            limits: smallest(&found).limits,
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
        let nothing = Backend::Runc(crate::tier::Runtime::named("no-such-runtime"));
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
