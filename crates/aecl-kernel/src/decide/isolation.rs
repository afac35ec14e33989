//! How strongly the program of an action has to be held, and what follows from what this host has.

use crate::decide::request::{self, DecisionRequest};
use crate::define::isolation::{IsolationTier, RequiredIsolation, Selection};

/// What is asked for of the cage of an action, if a program carries it out here: the strongest of everything
/// that has a say. Nothing that is added makes it weaker.
pub fn required(q: &DecisionRequest<'_>) -> Option<RequiredIsolation> {
    let typed = q.action.typed.as_ref()?;
    let mut required = RequiredIsolation {
        tier: IsolationTier::Native,
        why: "every program runs in a cage".into(),
        needs: typed.cage?,
    };
    let mut ask = |tier: Option<IsolationTier>, why: &dyn Fn() -> String| {
        if let Some(tier) = tier.filter(|tier| *tier > required.tier) {
            (required.tier, required.why) = (tier, why());
        }
    };
    ask(typed.manifest.min_tier, &|| format!("`{}` asks for it", q.action.name));
    for holder in q.facts.holders(&q.action.principal) {
        let tier = q.bundle.agent(&holder.agent).and_then(|manifest| manifest.min_tier);
        ask(tier, &|| format!("the manifest of `{}` asks for it", holder.agent));
    }
    let untrusted = request::is_tainted(q).then_some(q.bundle.cages().untrusted_tier);
    ask(untrusted, &|| "the run has read what a stranger may have written".into());
    Some(required)
}

/// What is asked for and what follows from it. Nothing for what no program carries out, and for what was
/// recorded before anybody asked.
pub fn selection(q: &DecisionRequest<'_>) -> Option<(RequiredIsolation, Selection)> {
    let (required, host) = (required(q)?, q.facts.cages.as_ref()?);
    let selection = host.choose(required.tier, required.needs);
    Some((required, selection))
}

/// How strongly the program would be held, and what was asked for if that is more.
pub fn held(question: &DecisionRequest<'_>) -> (Option<IsolationTier>, Option<IsolationTier>) {
    match selection(question) {
        Some((_, Selection::Held { tier, instead_of })) => (Some(tier), instead_of),
        Some((_, Selection::Nothing | Selection::Unable | Selection::NoWorker)) | None => (None, None),
    }
}
