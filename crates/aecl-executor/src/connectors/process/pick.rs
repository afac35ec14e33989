//! What holds a program that somebody runs by hand: chosen as for an action, and of this host no more is found out
//! than that takes.

use aecl_kernel::cage::{self, Cages, Choice, Demand, Lowered};
use aecl_sandbox::{Backend, Found, VirtualMachine, probe};

use super::cages::{Fit, fit, recorded, tier};

/// What may hold programs here, in the order of preference: our own cages, the runtimes that are installed and
/// these machines, or of them what the list names, in its order.
///
/// # Errors
/// When the list names what is not known here.
pub fn backends(machines: &[VirtualMachine], allowed: Option<&[String]>) -> Result<Vec<Backend>, String> {
    let machines = machines.iter().cloned().map(Backend::from);
    let known: Vec<Backend> = Backend::all().into_iter().chain(machines).collect();
    preferred(&known, allowed)
}

/// A backend that was built and attacked, and gives a program all that it needs.
#[derive(Clone, Debug)]
pub struct Picked {
    /// What it is.
    pub found: Found,
    /// It is less than what was asked for, which is not available; the operator accepts that.
    pub lowered: Option<Lowered>,
}

/// Why nothing holds the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Nothing here is strong enough.
    #[error("{0}")]
    Unavailable(String),
    /// What is strong enough does not give it all that it needs.
    #[error("{0}")]
    Unenforceable(String),
}

/// What [`pick`] tries first: the weakest that would be strong enough, as far as its kind goes.
#[must_use]
pub fn first<'a>(backends: &'a [Backend], demand: &Demand) -> Option<&'a Backend> {
    weakest_first(backends, |tier| tier >= demand.tier).into_iter().next()
}

/// The weakest backend that is strong enough and able, as for an action. Each is built and attacked in that order,
/// and the first that will do is the last that is tried. Only if none does, and the operator accepts less, the
/// weaker ones are tried, too.
///
/// # Errors
/// When nothing holds the program so; why, and what to do.
pub async fn pick(
    backends: &[Backend],
    lowered: Option<Lowered>,
    demand: &Demand,
) -> Result<Picked, NotHeld> {
    let mut tried: Vec<Found> = Vec::new();
    for backend in weakest_first(backends, |tier| tier >= demand.tier) {
        tried.extend(probe(std::slice::from_ref(backend)).await);
        if let Ok(fit) = fit(&tried, demand.tier, demand.needs) {
            return Ok(Picked { found: fit.into_found(), lowered: None });
        }
    }
    let accepted = lowered.as_ref().map_or(demand.tier, |lowered| lowered.to);
    for backend in weakest_first(backends, |tier| tier >= accepted && tier < demand.tier) {
        tried.extend(probe(std::slice::from_ref(backend)).await);
    }
    // Whether modules run is seen when one is to run.
    let cages = Cages { found: tried.iter().filter_map(recorded).collect(), modules: None, lowered };
    match cages.choose(demand.tier, demand.needs) {
        Choice::Held { tier, .. } => match fit(&tried, tier, demand.needs).map(Fit::into_found) {
            Ok(found) => Ok(Picked { found, lowered: cages.lowered }),
            Err(error) => Err(NotHeld::Unavailable(error.to_string())),
        },
        Choice::NoWorker => Err(NotHeld::Unavailable(cages.no_worker())),
        Choice::Nothing => Err(NotHeld::Unavailable(cages.unavailable(demand))),
        Choice::Unable => Err(NotHeld::Unenforceable(cages.unable(demand))),
    }
}

/// Which of them may be used, and in which order.
fn preferred(known: &[Backend], allowed: Option<&[String]>) -> Result<Vec<Backend>, String> {
    let Some(allowed) = allowed else { return Ok(known.to_vec()) };
    let mut preferred = Vec::new();
    for name in allowed {
        let before = preferred.len();
        preferred.extend(known.iter().filter(|backend| backend.name() == name).cloned());
        if preferred.len() == before {
            let known: Vec<&str> = known.iter().map(Backend::name).collect();
            return Err(format!(
                "`sandbox.backends` names `{name}`; known here are `{}`",
                known.join("`, `")
            ));
        }
    }
    Ok(preferred)
}

/// Those of such a tier, as [`fit`] prefers them. What is no tier holds nothing.
fn weakest_first(backends: &[Backend], of: impl Fn(cage::Tier) -> bool) -> Vec<&Backend> {
    let mut strong: Vec<(cage::Tier, &Backend)> = backends
        .iter()
        .filter_map(|backend| Some((tier(backend.tier())?, backend)))
        .filter(|(tier, _)| of(*tier))
        .collect();
    strong.sort_by_key(|(tier, _)| *tier);
    strong.into_iter().map(|(_, backend)| backend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aecl_kernel::cage::{Needs, Tier};
    use aecl_sandbox::Runtime;
    use serde_json::json;

    fn demand(tier: Tier) -> Demand {
        Demand { tier, why: "a test".into(), needs: Needs::default() }
    }

    /// Nothing of this name is installed anywhere.
    fn missing(backend: fn(Runtime) -> Backend) -> Backend {
        backend(Runtime::named("no-such-runtime"))
    }

    fn machine(emulated: bool) -> Backend {
        let file = json!({ "path": "/none", "sha256": "00" });
        let machine = json!({ "kernel": file, "root": file, "root_filesystem": "ext4" });
        let mut qemu: aecl_sandbox::Qemu =
            serde_json::from_value(json!({ "program": "/none", "machine": machine })).unwrap();
        if emulated {
            qemu.acceleration = aecl_sandbox::Acceleration::Emulation;
        }
        Backend::Qemu(Box::new(qemu))
    }

    #[test]
    fn the_list_of_the_operator_is_the_order_and_names_what_it_does_not_know() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(preferred(&[Backend::Native], Some(&names(&[]))), Ok(vec![]));
        let error = preferred(&[Backend::Native], Some(&names(&["native", "nativ"]))).unwrap_err();
        assert_eq!(error, "`sandbox.backends` names `nativ`; known here are `native`");
    }

    #[test]
    fn the_weakest_that_is_strong_enough_is_tried_first() {
        let runc = Backend::Runc(Runtime::named("runc"));
        let runsc = Backend::Runsc(Runtime::named("runsc"));
        let all = [machine(false), runsc.clone(), runc.clone(), Backend::Native];
        assert_eq!(first(&all, &demand(Tier::Native)), Some(&runc), "the first of its tier");
        assert_eq!(first(&all, &demand(Tier::Gvisor)), Some(&runsc));
        assert_eq!(first(&all, &demand(Tier::Microvm)), Some(&machine(false)));
        assert_eq!(first(&[machine(true)], &demand(Tier::Native)), None, "emulation is no tier");
    }

    #[tokio::test]
    async fn what_is_weaker_is_tried_only_by_the_word_of_the_operator() {
        let backends = [Backend::Native, missing(Backend::Runsc), machine(true)];
        let word = |to| Some(Lowered { to, reason: "a trial".into() });
        let Err(NotHeld::Unavailable(why)) = pick(&backends, None, &demand(Tier::Gvisor)).await else {
            panic!("nothing here is that strong")
        };
        assert!(
            why.contains("`gvisor` or stronger (a test)") && why.contains("apt-get install runsc"),
            "{why}"
        );
        assert!(!why.contains("native"), "it was not tried: {why}");
        let less = pick(&backends, word(Tier::Native), &demand(Tier::Gvisor)).await.unwrap();
        assert_eq!((less.found.backend, less.lowered), (Backend::Native, word(Tier::Native)));
        let no_less = pick(&backends, word(Tier::Gvisor), &demand(Tier::Microvm)).await;
        assert!(matches!(no_less, Err(NotHeld::Unavailable(_))), "{no_less:?}");
        // Where what is asked for is there, the word changes nothing.
        let enough = pick(&backends, word(Tier::Native), &demand(Tier::Native)).await.unwrap();
        assert_eq!((enough.found.backend, enough.lowered), (Backend::Native, None));
    }
}
