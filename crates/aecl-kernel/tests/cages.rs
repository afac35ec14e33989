//! What holds a program: what is asked for, what is here, and what follows. No reason that is added makes a
//! cage weaker.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod world;

use aecl_analysis::lint::lint;
use aecl_analysis::load::VettedBundle;
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::isolation::{
    BackendReport, Capabilities, HostIsolation, IsolationTier, Lowered, MissingCapability, Modules,
    Requirements, Selection,
};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::read::action::Action;
use aecl_kernel::record::decision::{Decision, Obligation, Verdict};
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::Facts;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{World, lines, permit, principal, proposal, wait};

fn sources(min_tier: Value, agent: Value, rules: Option<Value>, approval: bool) -> Vec<Source> {
    let mut action = json!({
        "name": "run", "effect": "execute", "reversibility": "reversible", "arguments": { "type": "object" },
        "connector": { "kind": "process", "argv": ["make"] }, "min_tier": min_tier,
    });
    if approval {
        action["approval"] = json!({ "always": true });
    }
    let manifest = json!({ "agent_id": "a", "allowed_actions": ["run"], "min_tier": agent, "auto_approve_threshold": 1 });
    let mut all = world::sources(&json!([manifest]), &json!([action]), "");
    all.extend(rules.map(|rules| Source { path: "sandbox.json".into(), text: rules.to_string() }));
    all
}

fn bundle(min_tier: Value, agent: Value, rules: Option<Value>, approval: bool) -> Arc<Bundle> {
    let compiled = VettedBundle::load(sources(min_tier, agent, rules, approval));
    Arc::new(compiled.unwrap_or_else(|problems| panic!("{}", lines(&problems))).into_bundle())
}

/// A run that has read what strangers wrote, or has not.
fn world(bundle: Arc<Bundle>, untrusted: bool) -> World {
    let mut world = World::new(bundle);
    let who = principal("a");
    world.open(&who);
    if untrusted {
        world.seen(&who.run, true, false);
    }
    world
}

fn run(world: &mut World) -> Ruling {
    world.propose(proposal(&principal("a"), "run", &json!({})))
}

/// What holds it, or will once people have agreed.
fn tier_of(ruling: &Ruling) -> Option<IsolationTier> {
    match ruling {
        Ruling::Waiting(wait) => wait.ask.tier,
        ruling => ruling.decision().tier().map(|(tier, _)| tier),
    }
}

fn says(decision: &Decision) -> String {
    let tier = decision.tier().map_or(String::new(), |(tier, _)| format!(" in {tier}"));
    format!(
        "{}{}{tier}",
        decision.verdict.name(),
        decision.headline.map_or(String::new(), |c| format!(" {c}"))
    )
}

/// The strongest of everything that has a say, and the first that says it is the reason.
#[test]
fn the_strongest_demand_counts() {
    let all = ["native", "runsc (gvisor)", "firecracker (microvm)"];
    let says = |action: Value, agent: Value, rules: Option<Value>, untrusted| {
        let mut world = world(bundle(action, agent, rules, false), untrusted);
        world.probed(&all, None);
        let ruling = run(&mut world);
        let note = ruling.decision().findings.iter().find(|f| f.check == "sandbox").unwrap().message.clone();
        assert_ne!(ruling.decision().verdict, Verdict::Block, "{note}");
        note
    };
    let rule = |tier: &str| Some(json!({ "untrusted_tier": tier }));
    let null = || Value::Null;
    assert_eq!(
        says(null(), null(), None, false),
        "it runs in `native` or stronger: every program runs in a cage"
    );
    assert_eq!(
        says(json!("gvisor"), json!("gvisor"), None, false),
        "it runs in `gvisor` or stronger: `run` asks for it"
    );
    assert_eq!(
        says(json!("gvisor"), json!("microvm"), None, false),
        "it runs in `microvm` or stronger: the manifest of `a` asks for it"
    );
    let read = "the run has read what a stranger may have written";
    assert_eq!(says(null(), null(), None, true), format!("it runs in `microvm` or stronger: {read}"));
    assert_eq!(
        says(null(), null(), rule("gvisor"), true),
        format!("it runs in `gvisor` or stronger: {read}")
    );
    assert_eq!(
        says(json!("gvisor"), null(), rule("native"), true),
        "it runs in `gvisor` or stronger: `run` asks for it"
    );
}

/// An agent that acts for another is held as strongly as the other would be.
#[test]
fn a_delegated_run_is_held_like_the_run_it_comes_from() {
    let agents = json!([
        { "agent_id": "a", "allowed_actions": ["run"] },
        { "agent_id": "careful", "allowed_actions": ["run"], "min_tier": "microvm" },
    ]);
    let action = json!({ "name": "run", "effect": "execute", "reversibility": "reversible",
        "arguments": { "type": "object" }, "connector": { "kind": "process", "argv": ["make"] } });
    let mut world = World::new(world::bundle(&agents, &json!([action]), ""));
    world.probed(&["native", "firecracker (microvm)"], None);
    let (child, mut parent) = (principal("a"), principal("careful"));
    parent.run = RunId::new("run_parent").unwrap();
    world.open(&parent);
    world.open_child(&child, std::slice::from_ref(&parent.run));
    assert_eq!(says(run(&mut world).decision()), "allow in microvm");
}

#[test]
fn a_refusal_says_what_is_missing_and_what_to_do() {
    let mut world = world(bundle(Value::Null, Value::Null, None, false), true);
    world.probed(&["native", "firecracker (microvm), missing"], None);
    let ruling = run(&mut world);
    assert_eq!(
        ruling.decision().reason(),
        "it must run in `microvm` or stronger (the run has read what a stranger may have written), and nothing here \
         holds a program that strongly (here is `native`); `firecracker`: as it is: run AECL on a host with KVM and \
         install Firecracker or QEMU, or accept less with `sandbox.accept_lower_tier` in aecl.yaml"
    );
    assert_eq!(ruling.decision().obligations, []);
    world.probed(&["native, no limit"], Some(IsolationTier::Native));
    let ruling = run(&mut world);
    assert!(
        ruling
            .decision()
            .reason()
            .starts_with("nothing here enforces its limit `memory_max_mib`; run AECL as root")
    );
}

#[test]
fn a_bundle_says_what_it_lowers_and_asks_only_where_a_program_runs() {
    let mut lowered = sources(Value::Null, Value::Null, Some(json!({ "untrusted_tier": "native" })), false);
    let lints = |sources: Vec<Source>| -> Vec<&'static str> {
        lint(&VettedBundle::load(sources).unwrap()).iter().map(|l| l.lint).collect()
    };
    assert!(lints(lowered.clone()).contains(&"untrusted_tier_lowered"));
    lowered.pop();
    assert!(!lints(lowered).contains(&"untrusted_tier_lowered"));

    let problems = |sources: Vec<Source>| lines(&VettedBundle::load(sources).unwrap_err());
    let typo =
        problems(sources(Value::Null, Value::Null, Some(json!({ "untrusted_tier": "microvn" })), false));
    assert!(typo.contains("sandbox.json: error") && typo.contains("did you mean `microvm`?"), "{typo}");
    let mut no_program = sources(json!("native"), Value::Null, None, false);
    no_program[1].text = no_program[1].text.replace("process", "http");
    assert!(problems(no_program).contains("only a `process` connector runs one"));
}

/// What was recorded before anybody asked comes out as it did.
#[test]
fn a_decision_from_before_the_probe_stays_as_it_was() {
    let world = world(bundle(Value::Null, Value::Null, None, false), false);
    let proposal = proposal(&principal("a"), "run", &json!({}));
    let action = Arc::new(Action::parse(proposal, world.bundle.catalogue(), &Limits::default()));
    let mut space = world.space.clone();
    let Ok(facts) = Facts::gather(&action, &world.bundle, None, world.now, &mut space);
    let of = |facts: &Facts| {
        let question =
            DecisionRequest { action: &action, facts, bundle: &world.bundle, evidence: &[], now: world.now };
        let fresh = NewIds { action: ActionId::new("x").unwrap(), approval: ApprovalId::new("y").unwrap() };
        decide(&question, &action, fresh).decision().clone()
    };
    assert_eq!(of(&facts).headline.unwrap().as_str(), "sandbox_unavailable", "now nobody has looked");
    let before = of(&Facts { cages: None, ..facts });
    assert!(before.findings.iter().all(|f| f.check != "sandbox"));
    assert_eq!(before.obligations, [Obligation::Timeout { timeout_ms: 30_000 }]);
}

/// People agreed to a microVM; the operator then accepted less.
#[test]
fn a_yes_to_a_stronger_cage_is_none_to_a_weaker_one() {
    let mut world = world(bundle(Value::Null, Value::Null, None, true), true);
    world.probed(&["native", "firecracker (microvm)"], None);
    let ask = wait(&run(&mut world));
    assert_eq!(ask.tier, Some(IsolationTier::Microvm));
    world.everybody_agrees(&ask);
    world.probed(&["native"], Some(IsolationTier::Native));
    let again = wait(&run(&mut world));
    assert_ne!(again.approval, ask.approval);
    assert_eq!(again.tier, Some(IsolationTier::Native));
    world.everybody_agrees(&again);
    let ruling = run(&mut world);
    permit(&ruling);
    assert_eq!(ruling.decision().tier(), Some((IsolationTier::Native, Some(IsolationTier::Microvm))));

    // To a stronger one it is.
    let mut world = self::world(bundle(Value::Null, Value::Null, None, true), false);
    world.probed(&["native", "firecracker (microvm)"], None);
    let ask = wait(&run(&mut world));
    world.everybody_agrees(&ask);
    world.seen(&principal("a").run, true, false);
    let ruling = run(&mut world);
    permit(&ruling);
    assert_eq!(ruling.decision().tier(), Some((IsolationTier::Microvm, None)));
}

/// The task is the run: what is left of it goes along, and what people agreed to after its end has the time of
/// its own call.
#[test]
fn a_program_ends_with_its_run() {
    let mut world = world(bundle(Value::Null, Value::Null, None, false), false);
    world.probed(&["native"], None);
    assert_eq!(run(&mut world).decision().task_left_ms(), Some(1_200_000));
    world.later_s(1_199);
    let late = world::lasting(proposal(&principal("a"), "run", &json!({})));
    assert_eq!(world.propose(late).decision().task_left_ms(), Some(1_000));

    let mut world = self::world(bundle(Value::Null, Value::Null, None, true), false);
    world.probed(&["native"], None);
    let ask = wait(&run(&mut world));
    world.later_s(1_300);
    world.everybody_agrees(&ask);
    let late = world::lasting(proposal(&principal("a"), "run", &json!({})));
    let ruling = world.propose(late);
    permit(&ruling);
    assert_eq!(ruling.decision().task_left_ms(), None);
}

/// What a program needs and no backend that is strong enough gives: blocked before anybody is asked, with each
/// backend's reason and what to do.
#[test]
fn what_is_strong_enough_must_also_be_able() {
    let of = |connector: Value, least: &str, here: &[&str], lowered: Option<IsolationTier>| {
        let mut all = sources(json!(least), Value::Null, None, true);
        let mut action: Value = serde_json::from_str(&all[1].text).unwrap();
        action[0]["connector"].as_object_mut().unwrap().extend(connector.as_object().unwrap().clone());
        action[0]["egress"] = json!("external");
        all[1].text = action.to_string();
        let bundle = VettedBundle::load(all).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
        let mut world = world(Arc::new(bundle.into_bundle()), false);
        world.probed(here, lowered);
        let ruling = run(&mut world);
        match ruling {
            Ruling::Waiting(wait) => format!("ask, in {}", wait.ask.tier.unwrap()),
            ruling => format!("{}: {}", says(ruling.decision()), ruling.decision().reason()),
        }
    };
    let gvisor = "runsc (gvisor), no overlays, no way out";
    let machine = "firecracker (microvm), no views, no overlays, no way out, a size";
    let overlay = json!({ "views": [{ "source": "/srv", "at": "/srv", "access": "overlay" }] });
    let view = json!({ "views": [{ "source": "/srv", "at": "/srv" }] });
    let egress = json!({ "egress": [{ "host": "example.com" }] });
    let endless = json!({ "limits": { "memory_max_mib": null } });
    let all = ["native", gvisor, machine];
    let strong = &all[1..];
    assert_eq!(of(view.clone(), "gvisor", &all, None), "ask, in gvisor");
    assert_eq!(of(egress.clone(), "native", &all, None), "ask, in native");
    let needs = "and nothing of that here gives it all that it needs";
    let less = ", or accept less with `sandbox.accept_lower_tier` in aecl.yaml";
    let asks = |tier: &str| {
        format!(
            "block sandbox_unenforceable: it must run in `{tier}` or stronger (`run` asks for it), {needs}"
        )
    };
    assert_eq!(
        of(overlay.clone(), "gvisor", &all, None),
        format!(
            "{}: `runsc` has no layer above a view (`access: overlay`), `firecracker` shows nothing of this host \
             (`views`); give the program what it reads as `stdin`, without an image or a module, or show the view `read_only` and let the program \
             write to `/scratch`{less}",
            asks("gvisor")
        )
    );
    assert_eq!(
        of(egress.clone(), "gvisor", &all[..2], None),
        format!(
            "{}: `runsc` gives no way out (`egress`); take `egress` out of its connector{less}",
            asks("gvisor")
        )
    );
    assert_eq!(
        of(endless, "microvm", &all, None),
        format!(
            "{}: `firecracker` has a size, so `memory_max_mib` cannot be null; say `memory_max_mib` in its \
             connector{less}",
            asks("microvm")
        )
    );
    // The operator's word counts here, too, and is not said again where it does not help.
    assert_eq!(of(egress.clone(), "gvisor", &all, Some(IsolationTier::Native)), "ask, in native");
    assert_eq!(
        of(egress.clone(), "microvm", strong, Some(IsolationTier::Gvisor)),
        format!(
            "{}: `runsc` gives no way out (`egress`), `firecracker` gives no way out (`egress`); take `egress` out of \
             its connector",
            asks("microvm")
        )
    );
    // A program with a key that is none: nobody can read what it may have, so it is held by what gives everything.
    let unread = json!({ "view": [{ "source": "/srv", "at": "/srv" }] });
    assert_eq!(of(json!({}), "gvisor", &all, None), "ask, in gvisor");
    assert!(of(unread.clone(), "gvisor", &all, None).starts_with("block sandbox_unenforceable"));
    assert_eq!(of(unread, "gvisor", &["runsc (gvisor)"], None), "ask, in gvisor");
    // From before anybody asked what backends give: as it was decided then.
    assert_eq!(of(egress, "gvisor", &["runsc (gvisor), before"], None), "ask, in gvisor");
}

/// A module needs its worker. Whoever asks for a stronger cage is told of that first.
#[test]
fn a_module_runs_only_where_one_was_run() {
    let of = |connector: Value, here: &[&str]| {
        let mut connector = connector;
        (connector["kind"], connector["argv"]) = (json!("process"), json!(["total"]));
        let action = json!({ "name": "run", "effect": "execute", "reversibility": "reversible",
            "arguments": { "type": "object" }, "connector": connector, "min_tier": "gvisor" });
        let manifest = json!({ "agent_id": "a", "allowed_actions": ["run"], "auto_approve_threshold": 1 });
        let all = world::sources(&json!([manifest]), &json!([action]), "");
        let mut world = world(Arc::new(VettedBundle::load(all).unwrap().into_bundle()), false);
        world.probed(here, None);
        let ruling = run(&mut world);
        format!("{}: {}", says(ruling.decision()), ruling.decision().reason())
    };
    let module = json!({ "wasm": { "module": { "path": "/srv/x.wasm", "sha256": "0".repeat(64) } } });
    let none = "block sandbox_unavailable: a module of WebAssembly carries it out, and none runs here: it needs `aecl-wasm`";
    assert_eq!(of(module.clone(), &["runsc (gvisor)", "no modules"]), none);
    assert!(of(module.clone(), &["runsc (gvisor)", "modules"]).starts_with("allow"));
    assert!(of(module.clone(), &["native", "no modules"]).contains("it must run in `gvisor` or stronger"));
    assert!(
        of(module.clone(), &["runsc (gvisor), no views", "no modules"]).contains("sandbox_unenforceable")
    );
    let machine = of(module.clone(), &["qemu (microvm), own programs", "modules"]);
    assert!(
        machine.contains("sandbox_unenforceable") && machine.contains("has programs of its own"),
        "{machine}"
    );
    let both = ["qemu (microvm), own programs", "runsc (gvisor)", "modules"];
    assert!(of(module.clone(), &both).starts_with("allow"));
    assert!(of(module.clone(), &["qemu (microvm), before"]).starts_with("allow"), "as it was decided then");
    // From before anybody asked, and for what is no module: as it was.
    assert!(of(module, &["runsc (gvisor)"]).starts_with("allow"));
    assert!(of(json!({ "wasm": null }), &["runsc (gvisor)", "no modules"]).starts_with("allow"));
}

/// An entry of before has no word about it, and stays byte for byte what it was.
#[test]
fn an_entry_of_before_reads_back_as_it_was_written() {
    let text = "{\"kind\":\"sandbox_probed\",\"found\":[{\"backend\":\"runsc\",\"tier\":\"gvisor\",\"available\":true,\
                \"reason\":\"r\",\"version\":\"v\",\"memory\":true,\"cpu\":false}]}";
    let event: Event = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), text);
    let Event::SandboxProbed(cages) = event else { panic!() };
    let found = &cages.found[0];
    assert_eq!(found.offers, None);
    let needs = Requirements { listener: true, views: true, overlays: true, ..Requirements::default() };
    assert_eq!(needs.lack(found), None);
    assert_eq!(Requirements { cpu: true, ..needs }.lack(found), Some(MissingCapability::Cpu));
    let now = HostIsolation {
        found: vec![BackendReport { offers: Some(Capabilities::ALL), ..found.clone() }],
        modules: None,
        lowered: None,
    };
    assert!(!cages.means_the_same(&now), "so the next start puts it on record");
    assert_eq!(cages.modules, None);
    let asked = Modules { available: true, reason: "`/usr/bin/aecl-wasm`".into(), version: "1".into() };
    let now = HostIsolation { modules: Some(asked.clone()), ..cages.clone() };
    assert!(!cages.means_the_same(&now), "nor the word about modules");
    let moved = Modules { reason: "`/opt/aecl-wasm`".into(), ..asked };
    assert!(
        now.means_the_same(&HostIsolation { modules: Some(moved), ..cages }),
        "where it is does not matter"
    );
}

/// What is folded from the entries is what decisions rest on, and each can be made again from its own entry.
#[test]
fn replay_equals_history() {
    let mut world = world(bundle(Value::Null, Value::Null, None, false), false);
    for found in [&["native"][..], &["native, missing"], &["native", "runsc (gvisor)"]] {
        world.probed(found, Some(IsolationTier::Gvisor));
        run(&mut world);
        world.seen(&principal("a").run, true, false);
        run(&mut world);
    }
    let mut again = std::collections::BTreeMap::new();
    let mut decisions = 0;
    for entry in &world.entries {
        let Ok(()) = entry.apply(&mut again);
        let Event::Ruled(ruled) = &entry.event else { continue };
        let proposal = proposal(&principal("a"), "run", &json!({}));
        let action = Arc::new(Action::parse(proposal, world.bundle.catalogue(), &Limits::default()));
        let text = serde_json::to_string(&**ruled).unwrap();
        let ruled: aecl_kernel::record::event::Ruled = serde_json::from_str(&text).unwrap();
        let question = DecisionRequest {
            action: &action,
            facts: &ruled.facts,
            bundle: &world.bundle,
            evidence: &[],
            now: ruled.now,
        };
        let fresh = NewIds { action: ruled.action.clone(), approval: ApprovalId::new("y").unwrap() };
        let made = decide(&question, &action, fresh).decision().clone();
        assert_eq!(serde_json::to_string(&*made).unwrap(), serde_json::to_string(&*ruled.decision).unwrap());
        decisions += 1;
    }
    assert_eq!(decisions, 6);
    assert_eq!(
        again.get(&aecl_kernel::record::facts::FactKey::Cages),
        world.space.get(&aecl_kernel::record::facts::FactKey::Cages)
    );
}

fn tier() -> impl Strategy<Value = IsolationTier> {
    prop::sample::select(IsolationTier::ALL.to_vec())
}

fn offers() -> impl Strategy<Value = Option<Capabilities>> {
    let one = any::<[bool; 5]>().prop_map(|[views, overlays, listener, unlimited_memory, host_programs]| {
        Capabilities { views, overlays, listener, unlimited_memory, host_programs }
    });
    proptest::option::of(one)
}

fn needs() -> impl Strategy<Value = Requirements> {
    any::<[bool; 6]>().prop_map(|[memory, cpu, views, overlays, listener, module]| Requirements {
        memory,
        cpu,
        views,
        overlays,
        listener,
        module,
    })
}

fn found() -> impl Strategy<Value = BackendReport> {
    (tier(), any::<[bool; 3]>(), offers()).prop_map(|(tier, [available, memory, cpu], offers)| {
        BackendReport {
            backend: "b".into(),
            tier,
            available,
            reason: String::new(),
            version: String::new(),
            memory,
            cpu,
            offers,
        }
    })
}

fn held(choice: Selection) -> Option<IsolationTier> {
    match choice {
        Selection::Held { tier, .. } => Some(tier),
        Selection::Nothing | Selection::Unable | Selection::NoWorker => None,
    }
}

/// Said once more, by what a cage is asked for.
fn gives(found: &BackendReport, needs: Requirements) -> bool {
    let offers = found.offers.unwrap_or(Capabilities::ALL);
    [
        (needs.memory, found.memory),
        (needs.cpu, found.cpu),
        (needs.views, offers.views),
        (needs.overlays, offers.overlays),
        (needs.listener, offers.listener),
        (!needs.memory, offers.unlimited_memory),
        (needs.module, offers.host_programs),
    ]
    .iter()
    .all(|(needed, given)| *given || !needed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_chosen_is_there_and_strong_enough(
        found in proptest::collection::vec(found(), 0..6), least in tier(),
        lowered in proptest::option::of(tier()), needs in needs(), modules in proptest::option::of(any::<bool>()),
    ) {
        let lowered = lowered.map(|to| Lowered { to, reason: "r".into() });
        let worker = |available| Modules { available, reason: String::new(), version: String::new() };
        let cages = HostIsolation { found, modules: modules.map(worker), lowered };
        if let Selection::Held { tier, instead_of } = cages.choose(least, needs) {
            prop_assert!(!needs.module || modules != Some(false), "no module without its worker");
            let fits = |f: &&BackendReport| f.available && f.tier >= tier && gives(f, needs);
            prop_assert!(cages.found.iter().any(|f| fits(&f)), "nothing that is chosen is missing");
            match instead_of {
                None => prop_assert_eq!(tier, least),
                Some(asked) => {
                    prop_assert_eq!(asked, least);
                    prop_assert!(cages.lowered.as_ref().is_some_and(|l| l.to <= tier) && tier < least);
                    let fits = |f: &BackendReport| f.available && gives(f, needs);
                    prop_assert!(!cages.found.iter().any(|f| fits(f) && f.tier >= least), "only for lack of it");
                }
            }
        }
    }

    /// More that asks for a strong cage never makes it weaker, it makes it stronger or refuses.
    #[test]
    fn asking_for_more_never_gives_less(
        found in proptest::collection::vec(found(), 0..6), one in tier(), other in tier(),
        lowered in proptest::option::of(tier()), needs in needs(),
    ) {
        let (less, more) = (one.min(other), one.max(other));
        let cages = HostIsolation { found, modules: None, lowered: lowered.map(|to| Lowered { to, reason: "r".into() }) };
        if let (Some(before), Some(after)) = (held(cages.choose(less, needs)), held(cages.choose(more, needs))) {
            prop_assert!(after >= before, "{before} became {after}");
        }
    }

    /// The same for a whole decision: reading what strangers wrote.
    #[test]
    fn more_taint_never_lowers_the_tier(
        found in proptest::collection::vec(found(), 0..4), action in proptest::option::of(tier()),
        agent in proptest::option::of(tier()), rule in tier(), lowered in proptest::option::of(tier()),
    ) {
        let bundle = bundle(json!(action), json!(agent), Some(json!({ "untrusted_tier": rule })), false);
        let cages = HostIsolation { found, modules: None, lowered: lowered.map(|to| Lowered { to, reason: "r".into() }) };
        let of = |untrusted| {
            let mut world = world(bundle.clone(), untrusted);
            world.record(None, Event::SandboxProbed(cages.clone()));
            let ruling = run(&mut world);
            (ruling.decision().verdict, tier_of(&ruling))
        };
        let (clean, tainted) = (of(false), of(true));
        prop_assert!(tainted.0 >= clean.0);
        if let (Some(before), Some(after)) = (clean.1, tainted.1) {
            prop_assert!(after >= before, "{before} became {after}");
        }
    }
}
