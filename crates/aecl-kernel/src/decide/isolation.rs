//! How strongly the program of an action has to be held, and what follows from what this host has.

use crate::decide::request::{self, DecisionRequest};
use crate::define::isolation::{Choice, Demand, Tier};

/// What is asked for of the cage of an action, if a program carries it out here: the strongest of everything
/// that has a say. Nothing that is added makes it weaker.
pub fn demand(q: &DecisionRequest<'_>) -> Option<Demand> {
    let typed = q.action.typed.as_ref()?;
    let mut demand =
        Demand { tier: Tier::Native, why: "every program runs in a cage".into(), needs: typed.cage? };
    let mut ask = |tier: Option<Tier>, why: &dyn Fn() -> String| {
        if let Some(tier) = tier.filter(|tier| *tier > demand.tier) {
            (demand.tier, demand.why) = (tier, why());
        }
    };
    ask(typed.manifest.min_tier, &|| format!("`{}` asks for it", q.action.name));
    for holder in q.facts.holders(&q.action.principal) {
        let tier = q.bundle.agent(&holder.agent).and_then(|manifest| manifest.min_tier);
        ask(tier, &|| format!("the manifest of `{}` asks for it", holder.agent));
    }
    let untrusted = request::is_tainted(q).then_some(q.bundle.cages().untrusted_tier);
    ask(untrusted, &|| "the run has read what a stranger may have written".into());
    Some(demand)
}

/// What is asked for and what follows from it. Nothing for what no program carries out, and for what was
/// recorded before anybody asked.
pub fn chosen(q: &DecisionRequest<'_>) -> Option<(Demand, Choice)> {
    let (demand, cages) = (demand(q)?, q.facts.cages.as_ref()?);
    let choice = cages.choose(demand.tier, demand.needs);
    Some((demand, choice))
}

/// How strongly the program would be held, and what was asked for if that is more.
pub fn held(question: &DecisionRequest<'_>) -> (Option<Tier>, Option<Tier>) {
    match chosen(question) {
        Some((_, Choice::Held { tier, instead_of })) => (Some(tier), instead_of),
        Some((_, Choice::Nothing | Choice::Unable | Choice::NoWorker)) | None => (None, None),
    }
}
