//! What holds a program that somebody runs by hand: chosen as for an action, and of this host no more is found out
//! than that takes.

use aecl_kernel::define::isolation::{self, HostIsolation, Lowered, RequiredIsolation, Selection};
use aecl_sandbox::{Backend, Found, ProbeCache, probe};

use super::cages::{Fit, fit, recorded, tier};

/// What may hold programs here, in the order of preference: our own cages, the runtimes that are installed and
/// what the operator described, or of them what the list names, in its order.
///
/// # Errors
/// When the list names what is not known here.
pub fn backends(described: &[Backend], allowed: Option<&[String]>) -> Result<Vec<Backend>, String> {
    preferred(&[&Backend::all(), described].concat(), allowed)
}

/// A backend that was built and attacked, and gives a program all that it needs.
#[derive(Clone, Debug)]
pub struct Picked {
    /// What it is.
    pub found: Found,
    /// It is less than what was asked for, which is not available; the operator accepts that.
    pub lowered: Option<Lowered>,
    /// It was not attacked now: that it holds is remembered. If it cannot be built after all, it is to be forgotten.
    pub is_remembered: bool,
}

/// Reason why nothing holds the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Nothing here is strong enough.
    #[error("{why}")]
    Unavailable {
        /// What is the nearest, what is wrong with it, and the way out.
        why: String,
        /// What is wrong with each that was tried.
        each: Vec<String>,
    },
    /// What is strong enough does not give it all that it needs.
    #[error("{0}")]
    Unenforceable(String),
}

impl NotHeld {
    /// Nothing holds it for this one reason.
    fn unavailable(why: String) -> Self {
        Self::Unavailable { why, each: Vec::new() }
    }

    /// Nothing that was tried is strong enough, and there may have been nothing to try. Of all that is wrong one
    /// thing is told: whoever has installed something wants to know about that, and nobody wants to read of six.
    fn too_weak(backends: &[Backend], tried: &[Found], demand: &RequiredIsolation) -> Self {
        let RequiredIsolation { tier: least, why: asked, .. } = demand;
        if backends.is_empty() {
            return Self::unavailable(format!(
                "`sandbox.backends` in aecl.yaml names none, so nothing may hold a program; name `{}` there, or \
                 leave the list out",
                Backend::Native
            ));
        }
        let strong: Vec<&Found> =
            tried.iter().filter(|found| tier(found.backend.tier()) >= Some(*least)).collect();
        let is_missing = |found: &&&Found| found.reason.contains("is not installed");
        let nearest = strong.iter().find(|found| !is_missing(found)).or_else(|| strong.first());
        let cause = match (nearest, least) {
            (Some(nearest), _) => format!("`{}`: {}", nearest.backend, nearest.reason),
            (None, isolation::IsolationTier::Microvm) => {
                "no machine is described; `sandbox.machines` in aecl.yaml names those \
                                            there are, where `--dir` names its directory"
                    .to_owned()
            }
            (None, isolation::IsolationTier::Native | isolation::IsolationTier::Gvisor) => {
                "`sandbox.backends` in aecl.yaml leaves out what is so strong".to_owned()
            }
        };
        let each = tried.iter().map(|found| format!("`{}`: {}", found.backend, found.reason)).collect();
        Self::Unavailable {
            why: format!("nothing here holds a program in `{least}` or stronger ({asked}); {cause}"),
            each,
        }
    }
}

/// What [`pick`] tries first: the weakest that would be strong enough, as far as its kind goes.
#[must_use]
pub fn first<'a>(backends: &'a [Backend], demand: &RequiredIsolation) -> Option<&'a Backend> {
    weakest_first(backends, |tier| tier >= demand.tier).into_iter().next()
}

/// The weakest backend that is strong enough and able, as for an action. Each is built and attacked in that order,
/// and the first that will do is the last that is tried; one that is remembered to hold is not attacked again. Only if none does, and the operator accepts less, the
/// weaker ones are tried, too.
///
/// # Errors
/// When nothing holds the program so; why, and what to do.
pub async fn pick(
    backends: &[Backend],
    lowered: Option<Lowered>,
    demand: &RequiredIsolation,
    memory: Option<&ProbeCache>,
) -> Result<Picked, NotHeld> {
    let (mut tried, mut remembered): (Vec<Found>, Vec<Backend>) = Default::default();
    let is_in = |remembered: &[Backend], found: &Found| remembered.contains(&found.backend);
    for backend in weakest_first(backends, |tier| tier >= demand.tier) {
        try_out(backend, memory, &mut tried, &mut remembered).await;
        if let Ok(fit) = fit(&tried, demand.tier, demand.needs) {
            let found = fit.into_found();
            let is_remembered = is_in(&remembered, &found);
            return Ok(Picked { found, lowered: None, is_remembered });
        }
    }
    let accepted = lowered.as_ref().map_or(demand.tier, |lowered| lowered.to);
    for backend in weakest_first(backends, |tier| tier >= accepted && tier < demand.tier) {
        try_out(backend, memory, &mut tried, &mut remembered).await;
    }
    // Whether modules run is seen when one is to run.
    let cages = HostIsolation { found: tried.iter().filter_map(recorded).collect(), modules: None, lowered };
    match cages.choose(demand.tier, demand.needs) {
        Selection::Held { tier, .. } => match fit(&tried, tier, demand.needs).map(Fit::into_found) {
            Ok(found) => {
                let is_remembered = is_in(&remembered, &found);
                Ok(Picked { found, lowered: cages.lowered, is_remembered })
            }
            Err(error) => Err(NotHeld::unavailable(error.to_string())),
        },
        Selection::NoWorker => Err(NotHeld::unavailable(cages.no_worker())),
        Selection::Nothing => Err(NotHeld::too_weak(backends, &tried, demand)),
        Selection::Unable => Err(NotHeld::Unenforceable(cages.unable(demand))),
    }
}

/// Finds out about one, or remembers it.
async fn try_out(
    backend: &Backend,
    memory: Option<&ProbeCache>,
    tried: &mut Vec<Found>,
    remembered: &mut Vec<Backend>,
) {
    match memory {
        None => tried.extend(probe(std::slice::from_ref(backend)).await),
        Some(memory) => {
            let (found, is_remembered) = memory.probe(backend).await;
            remembered.extend(is_remembered.then(|| backend.clone()));
            tried.push(found);
        }
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
fn weakest_first(backends: &[Backend], of: impl Fn(isolation::IsolationTier) -> bool) -> Vec<&Backend> {
    let mut strong: Vec<(isolation::IsolationTier, &Backend)> = backends
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
    use aecl_kernel::define::isolation::{IsolationTier, Requirements};
    use aecl_sandbox::Runtime;
    use serde_json::json;

    fn demand(tier: IsolationTier) -> RequiredIsolation {
        RequiredIsolation { tier, why: "a test".into(), needs: Requirements::default() }
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
        assert_eq!(first(&all, &demand(IsolationTier::Native)), Some(&runc), "the first of its tier");
        assert_eq!(first(&all, &demand(IsolationTier::Gvisor)), Some(&runsc));
        assert_eq!(first(&all, &demand(IsolationTier::Microvm)), Some(&machine(false)));
        assert_eq!(first(&[machine(true)], &demand(IsolationTier::Native)), None, "emulation is no tier");
    }

    #[tokio::test]
    async fn what_is_weaker_is_tried_only_by_the_word_of_the_operator() {
        let backends = [Backend::Native, missing(Backend::Runsc), machine(true)];
        let word = |to| Some(Lowered { to, reason: "a trial".into() });
        let Err(NotHeld::Unavailable { why, each }) =
            pick(&backends, None, &demand(IsolationTier::Gvisor), None).await
        else {
            panic!("nothing here is that strong")
        };
        assert!(
            why.contains("`gvisor` or stronger (a test)") && why.contains("apt-get install runsc"),
            "{why}"
        );
        assert!(!why.contains("native") && each.len() == 1, "it was not tried: {why} {each:?}");
        let less =
            pick(&backends, word(IsolationTier::Native), &demand(IsolationTier::Gvisor), None).await.unwrap();
        assert_eq!((less.found.backend, less.lowered), (Backend::Native, word(IsolationTier::Native)));
        let no_less =
            pick(&backends, word(IsolationTier::Gvisor), &demand(IsolationTier::Microvm), None).await;
        assert!(matches!(no_less, Err(NotHeld::Unavailable { .. })), "{no_less:?}");
        // One cause, whatever else is wrong, and each for who wants it.
        let emulated = [missing(Backend::Crun), missing(Backend::Runc), missing(Backend::Runsc)];
        let Err(NotHeld::Unavailable { why, each }) =
            pick(&emulated, None, &demand(IsolationTier::Native), None).await
        else {
            panic!("none of them is installed")
        };
        assert!(why.matches("is not installed").count() == 1 && each.len() == 3, "{why} {each:?}");
        // A list without a name is a reason of its own, not one of this host.
        let Err(NotHeld::Unavailable { why, .. }) =
            pick(&[], None, &demand(IsolationTier::Native), None).await
        else {
            panic!("nothing may hold it")
        };
        assert!(why.starts_with("`sandbox.backends` in aecl.yaml names none"), "{why}");
        // Where what is asked for is there, the word changes nothing.
        let enough =
            pick(&backends, word(IsolationTier::Native), &demand(IsolationTier::Native), None).await.unwrap();
        assert_eq!((enough.found.backend, enough.lowered), (Backend::Native, None));
    }
}
