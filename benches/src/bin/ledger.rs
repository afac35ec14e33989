//! What a decision costs, beside what it cannot do without. All figures that count are ratios within one
//! run: the machine may be busy.
//!
//! `cargo run --profile dist --bin ledger [decide|provenance|everything|durable|memory|verify|big]...` in `benches/`. Each part runs in a
//! process of its own, so that none is measured with what another has left in memory.

use aecl_analysis::load::VettedBundle;
use aecl_benches::*;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{PersonId, UserId};
use aecl_kernel::base::json::Limits;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::catalogue::flow::Endorses;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::provenance::atoms::{Atom, AtomKind};
use aecl_kernel::provenance::ingest::{Endorsement, ingest};
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::action::Action;
use aecl_kernel::read::resource::assumed_reading;
use aecl_kernel::record::approval::{Member, People};
use aecl_kernel::record::facts::{Fact, FactKey, Facts};
use aecl_kernel::record::goal::Goal;
use aecl_ledger::store::{Memory, Store};
use aecl_ledger::{Auditor, Ledger, export, redecide, verify_data, verify_export};
use aecl_proof::{Frontier, VerifierKey, leaf_hash};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let parts: [(&str, fn()); 7] = [
        ("decide", decisions),
        ("provenance", provenance),
        ("everything", everything),
        ("durable", durable),
        ("memory", growth),
        ("verify", verify),
        ("big", big),
    ];
    let of = |name: &str| parts.iter().find(|(known, _)| *known == name);
    match &wanted[..] {
        [one] => {
            let (name, part) = of(one).unwrap_or_else(|| panic!("there is no part `{one}`"));
            println!("{name}");
            part();
        }
        [] => parts.iter().for_each(|(name, _)| alone(name)),
        several => several.iter().for_each(|name| alone(name)),
    }
}

fn alone(part: &str) {
    let program = std::env::current_exe().unwrap();
    assert!(Command::new(program).arg(part).status().unwrap().success(), "{part}");
}

/// A decision in memory, with everything that it looks up.
struct Scene {
    bundle: Arc<Bundle>,
    action: Arc<Action>,
    facts: Facts,
    space: BTreeMap<FactKey, Fact>,
}

fn scene(rules: usize) -> Scene {
    let bundle = bundle(rules);
    let principal = principal("run_0123456789abcdef");
    let action = Arc::new(Action::parse(proposal(&principal, 1), bundle.catalogue(), &Limits::default()));
    let run = json!({"run": {"principal": principal, "goal": format!("sha256:{}", "00".repeat(32)),
        "opened_at": NOON, "expires_at": NOON.plus_s(900), "calls": 3, "labels": Labels::default(), "next_seq": 7}});
    let mut space = BTreeMap::from([(FactKey::Run(principal.run), serde_json::from_value(run).unwrap())]);
    let facts = Facts::gather(&action, &bundle, None, NOON, &mut space).unwrap();
    Scene { bundle, action, facts, space }
}

/// The same in a run that has read strangers' text, for a goal that names what is done, with `atoms` values
/// that it rests on.
fn tainted(atoms: usize) -> Scene {
    let mut scene = scene(10);
    let run = scene.action.principal.run.clone();
    if let Some(Fact::Run(fact)) = scene.space.get_mut(&FactKey::Run(run.clone())) {
        fact.labels.untrusted = true;
    }
    let goal = "Read the complaint, then refund 12.5 for order-00000001 because the parcel never came";
    scene.space.insert(FactKey::Goal(run.clone()), Fact::Goal(Goal::new(goal.into(), None)));
    let mark = Endorsement::of(Endorses::System);
    for n in 0..atoms {
        let atom = Atom { kind: AtomKind::Id, text: format!("order-{n:08}") };
        scene.space.insert(FactKey::Trust(run.clone(), atom.digest()), Fact::Trust(vec![mark]));
    }
    scene.facts = Facts::gather(&scene.action, &scene.bundle, None, NOON, &mut scene.space).unwrap();
    scene
}

/// What it costs to know where the arguments come from.
fn provenance() {
    let (clean, mut few, mut many) = (scene(10), tainted(10), tainted(10_000));
    let (plain, asks) = (clean.question(), few.question());
    let bare = clean.bundle.policies().evaluate_bare(plain.of_policy()).unwrap();
    assert!(few.facts.provenance.is_some());
    let names = fresh(1);
    let verdict = decide(&asks, &few.action, names.clone());
    println!("  {}", verdict.decision().reason());
    let (few_action, many_action, bundle) = (few.action.clone(), many.action.clone(), few.bundle.clone());
    let facts = few.facts.clone();
    let asks =
        DecisionRequest { action: &few_action, facts: &facts, bundle: &bundle, evidence: &[], now: NOON };
    let (few_space, many_space) = (&mut few.space, &mut many.space);
    let times = medians(
        400,
        50,
        &mut [
            &mut || assert!(std::hint::black_box(bare())),
            &mut || drop(std::hint::black_box(decide(&asks, &few_action, names.clone()))),
            &mut || {
                drop(std::hint::black_box(
                    Facts::gather(&few_action, &bundle, None, NOON, few_space).unwrap(),
                ))
            },
            &mut || {
                drop(std::hint::black_box(
                    Facts::gather(&many_action, &bundle, None, NOON, many_space).unwrap(),
                ))
            },
        ],
    );
    let [bare, decided, gathered, after] = times[..] else { return };
    micros("decide() in a run that has read strangers' text", decided);
    micros("facts gathered there", gathered);
    ratio("decide with all checks / bare Cedar", decided.as_secs_f64() / bare.as_secs_f64(), "");
    ratio("decide + gather / bare Cedar", (decided + gathered).as_secs_f64() / bare.as_secs_f64(), "<= 3.3");
    ratio(
        "gather with 10,000 trusted values / with 10",
        after.as_secs_f64() / gathered.as_secs_f64(),
        "<= 1.3",
    );
    ingested();
    pathological();
}

/// What is on beside the plain decision of a run that has read strangers' text.
#[derive(Clone, Copy, Default)]
struct On {
    strict: bool,
    person: bool,
    plan: bool,
    thing: bool,
    rule: bool,
}

/// A scene with its people, and what a look-up that is still remembered has brought.
struct Full {
    scene: Scene,
    people: People,
    evidence: Vec<Evidence>,
}

/// The same as `tainted`, and what is on of the rest.
fn full(on: On) -> Full {
    let Scene { space, .. } = tainted(10);
    let mut files = sources(10);
    let edit = |files: &mut Vec<Source>, path: &str, edit: &dyn Fn(&mut Value)| {
        let source = files.iter_mut().find(|source| source.path == path).unwrap();
        let mut value = serde_json::from_str(&source.text).unwrap();
        edit(&mut value);
        source.text = value.to_string();
    };
    edit(&mut files, "actions/all.json", &|actions| {
        actions[0]["args"] = json!({"order": {"class": "target_id"}, "amount": {"class": "magnitude"},
            "reason": {"class": "content"}, "notify": {"class": "flag"}});
    });
    if on.strict {
        edit(&mut files, "agents/support.json", &|agent| agent["mode"] = json!("strict"));
    }
    if on.person {
        let anna = json!({"user": "anna", "emails": ["anna@firm.example"], "names": ["anna"],
            "accounts": ["DE89370400440532013000"], "ids": ["cust-17"]});
        files.push(Source { path: "people/anna.json".into(), text: anna.to_string() });
    }
    if on.thing {
        edit(&mut files, "actions/all.json", &|actions| {
            actions[0]["resource"] = json!({"type": "Order", "read": "crm.read0", "cache_s": 600,
                "arguments": {"id": {"from": "arguments", "at": "/order"}}, "attributes": {
                    "owner": {"at": "/user_id", "type": "text"}, "status": {"at": "/status", "type": "text"},
                    "placed": {"at": "/created_at", "type": "time"}, "paid": {"at": "/paid", "type": "decimal"},
                    "items": {"at": "/items/*/id", "type": "set of text"}}});
            actions[1]["connector"] = json!({"kind": "http", "method": "GET", "url": "https://crm.example/"});
        });
    }
    if on.rule {
        let (about, most) = if on.thing { (" is Order", "resource.paid") } else { ("", "decimal(\"49.9\")") };
        let is_other =
            if on.thing { "resource.status != \"delivered\"" } else { "context.environment != \"test\"" };
        let rule = format!(
            "@id(\"paid\") forbid (principal, action == Action::\"payments.refund\", resource{about}) \
             when {{ {is_other} || context.amount.greaterThan({most}) }};\n"
        );
        files.push(Source { path: "rules/paid.cedar".into(), text: rule });
    }
    let bundle = VettedBundle::load(files).unwrap_or_else(|p| panic!("{p:#?}")).into_bundle();
    let mut proposer = principal("run_0123456789abcdef");
    proposer.user = on.person.then(|| UserId::new("anna").unwrap());
    let action = Arc::new(Action::parse(proposal(&proposer, 1), bundle.catalogue(), &Limits::default()));
    let mut full = Full {
        scene: Scene { bundle: Arc::new(bundle), action, facts: Facts::default(), space },
        people: People::default(),
        evidence: Vec::new(),
    };
    let space = &mut full.scene.space;
    if let Some(Fact::Run(run)) = space.get_mut(&FactKey::Run(proposer.run.clone())) {
        (run.planned, run.principal) = (on.plan, proposer.clone());
    }
    if let Some(Fact::Goal(goal)) = space.get_mut(&FactKey::Goal(proposer.run.clone())).filter(|_| on.plan) {
        let plan = json!({"steps": [{"action": "crm.read0", "times": 9}, {"action": "crm.read1"},
            {"action": "payments.refund", "arguments": {"/order": {"equals": "order-00000001"}, "/amount": {"at_most": 20}}}]});
        *goal = Goal::new(goal.text.clone(), Some(plan));
    }
    for n in 0..if on.person { 10 } else { 0 } {
        let member = Member { groups: ["operators".into()].into(), ..Member::default() };
        full.people.add(&PersonId::new(&format!("person{n}")).unwrap(), member, []);
    }
    let typed = full.scene.action.typed.clone().unwrap();
    let looks = typed.manifest.resource.as_deref().into_iter().flat_map(|declared| declared.looks());
    full.evidence = looks.map(|look| {
        let known = json!({"owner": "anna", "status": "delivered", "placed": 1_767_000_000, "paid": "49.90",
            "items": ["mug", "plate"]});
        Evidence::read(assumed_reading(&look, "order-00000001".into(), known.as_object().unwrap(), NOON))
    }).collect();
    full.scene.facts = full.gathered();
    full
}

impl Full {
    fn gathered(&mut self) -> Facts {
        let scene = &mut self.scene;
        Facts::gather(&scene.action, &scene.bundle, Some(&self.people), NOON, &mut scene.space).unwrap()
    }

    fn ruled(&self, names: NewIds) -> Ruling {
        let question = DecisionRequest { evidence: &self.evidence, ..self.scene.question() };
        decide(&question, &self.scene.action, names)
    }

    fn once(&mut self) {
        self.scene.facts = self.gathered();
        drop(std::hint::black_box(self.ruled(fresh(1))));
    }

    /// As the gate does it, which asks first whether it is refused anyway, before anybody looks at the thing.
    fn whole(&mut self) {
        if !self.evidence.is_empty() {
            self.scene.facts = self.gathered();
            let first = decide(&self.scene.question(), &self.scene.action, fresh(1));
            drop(std::hint::black_box(first.decision().clone()));
        }
        self.once();
    }
}

/// What it costs that more is asked than where the arguments come from.
fn everything() {
    let off = On::default();
    let all = On { strict: true, person: true, plan: true, thing: true, rule: true };
    let mut clean = Full { scene: scene(10), people: People::default(), evidence: Vec::new() };
    let (mut plain, mut strict) = (full(off), full(On { strict: true, ..off }));
    let (mut person, mut plan) = (full(On { person: true, ..off }), full(On { plan: true, ..off }));
    let (mut thing, mut rule) = (full(On { thing: true, ..off }), full(On { rule: true, ..off }));
    let (mut once, mut every) = (full(all), full(all));
    for full in [&clean, &plain, &strict, &person, &plan, &thing, &rule, &every] {
        let verdict = full.ruled(fresh(1));
        assert!(matches!(verdict, Ruling::Allowed(_)), "{}", verdict.decision().reason());
    }
    let times = medians(
        400,
        50,
        &mut [
            &mut || clean.once(),
            &mut || plain.once(),
            &mut || strict.once(),
            &mut || person.once(),
            &mut || plan.once(),
            &mut || thing.once(),
            &mut || rule.once(),
            &mut || once.once(),
            &mut || every.whole(),
        ],
    );
    let [clean, plain, strict, person, plan, thing, rule, once, every] = times[..] else { return };
    micros("gather + decide, nothing of strangers was read", clean);
    micros("gather + decide in a run that has read strangers' text", plain);
    micros("everything on, as the gate does it", every);
    let beside = |what: &str, time: Duration| {
        ratio(&format!("{what} / plain decision there"), time.as_secs_f64() / plain.as_secs_f64(), "");
    };
    beside("strict", strict);
    beside("a known person", person);
    beside("a plan", plan);
    beside("a thing, known already", thing);
    beside("a rule more", rule);
    beside("everything, decided on once", once);
    beside("everything, decided on before the look, too", every);
}

fn ingested() {
    let read = |outputs: serde_json::Value| {
        let action =
            json!({"name": "read", "effect": "read", "arguments": {"type": "object"}, "outputs": outputs});
        Arc::new(TypedAction::compile(serde_json::from_value(action).unwrap()).unwrap())
    };
    let words = "Dear team, please find the minutes of Monday's meeting below. ".repeat(1600);
    let mails: Vec<_> = (0..10).map(|n| json!({"id": format!("m-{n}"), "body": words})).collect();
    let text = json!({ "mails": mails }).to_string();
    let label = json!([{"path": "/mails/*/id", "endorses": "system", "taints": false, "type": "id"}]);
    let ids: Vec<_> = (0..20_000).map(|n| json!({"id": format!("m-{n}"), "mail": "a@b.example"})).collect();
    let trusted = json!({ "mails": ids }).to_string();
    let label_all = json!([{"path": "/mails/*/*", "endorses": "system", "taints": false}]);
    for (what, action, output, target) in [
        ("ingest of third-party text, nothing declared", read(json!([])), &text, ">= 1 GB/s"),
        ("ingest of third-party text between declared values", read(label), &text, ">= 1 GB/s"),
        ("extraction of trusted values", read(label_all), &trusted, ""),
    ] {
        let mut took: Vec<Duration> = (0..30)
            .map(|_| {
                let start = Instant::now();
                drop(std::hint::black_box(ingest(&action, output.as_bytes(), false, None, None)));
                start.elapsed()
            })
            .collect();
        let median = *took.select_nth_unstable(15).1;
        let rate = output.len() as f64 / median.as_secs_f64() / 1e6;
        line(what, format!("{rate:.0} MB/s"), target);
    }
}

fn pathological() {
    let mut scene = tainted(10);
    let run = scene.action.principal.run.clone();
    let long = "a ".repeat(8 * 1024);
    scene.space.insert(FactKey::Goal(run), Fact::Goal(Goal::new(long, None)));
    let mut worst = (Duration::ZERO, "");
    for (name, value) in [
        ("one word", "a".repeat(1_000_000)),
        ("single letters", "a ".repeat(500_000)),
        ("links", "https://a.example/b ".repeat(50_000)),
        ("addresses", "a@b.example ".repeat(80_000)),
        ("ligatures", "\u{fdfa}".repeat(300_000)),
        ("percent signs", "%61".repeat(330_000)),
        ("quotes", "' \" ".repeat(250_000)),
    ] {
        let mut proposal = proposal(&scene.action.principal, 1);
        proposal.arguments = json!({"order": "o-1", "amount": 5, "reason": value}).to_string().into_bytes();
        let limits = Limits { bytes_max: 4 << 20, ..Limits::default() };
        let action = Arc::new(Action::parse(proposal, scene.bundle.catalogue(), &limits));
        let start = Instant::now();
        let facts = Facts::gather(&action, &scene.bundle, None, NOON, &mut scene.space).unwrap();
        let question = DecisionRequest {
            action: &action,
            facts: &facts,
            bundle: &scene.bundle,
            evidence: &[],
            now: NOON,
        };
        drop(std::hint::black_box(decide(&question, &action, fresh(1))));
        worst = worst.max((start.elapsed(), name));
    }
    line(
        "worst 1 MB value, gathered and decided",
        format!("{:.0} ms ({})", worst.0.as_secs_f64() * 1e3, worst.1),
        "<= 100 ms",
    );
}

impl Scene {
    fn question(&self) -> DecisionRequest<'_> {
        DecisionRequest {
            action: &self.action,
            facts: &self.facts,
            bundle: &self.bundle,
            evidence: &[],
            now: NOON,
        }
    }
}

fn decisions() {
    let small = scene(10);
    let question = small.question();
    assert!(matches!(decide(&question, &small.action, fresh(1)), Ruling::Allowed(_)));
    let bare = small.bundle.policies().evaluate_bare(question.of_policy()).unwrap();
    let mut space = small.space.clone();
    let principal = small.action.principal.clone();
    let names = fresh(1);
    let times = medians(
        400,
        50,
        &mut [
            &mut || assert!(std::hint::black_box(bare())),
            &mut || drop(std::hint::black_box(decide(&question, &small.action, names.clone()))),
            &mut || {
                drop(std::hint::black_box(
                    small.bundle.policies().ask(question.of_policy(), &small.action.principal.agent),
                ))
            },
            &mut || {
                let action =
                    Action::parse(proposal(&principal, 1), small.bundle.catalogue(), &Limits::default());
                drop(std::hint::black_box(action));
            },
            &mut || {
                drop(std::hint::black_box(
                    Facts::gather(&small.action, &small.bundle, None, NOON, &mut space).unwrap(),
                ))
            },
        ],
    );
    let [bare, decided, asked, parsed, gathered] = times[..] else { return };
    micros("bare Cedar evaluation of the slice (request built before)", bare);
    micros("decide()", decided);
    micros("  of which the policy check (request, context, evaluation)", asked);
    micros("parse of the proposal", parsed);
    micros("facts gathered from a map", gathered);
    ratio("decide / bare Cedar", decided.as_secs_f64() / bare.as_secs_f64(), "<= 2");
    let whole = decided + parsed + gathered;
    ratio("parse + gather + decide / bare Cedar", whole.as_secs_f64() / bare.as_secs_f64(), "");

    let large = scene(10_000);
    let (q10, q10k) = (small.question(), large.question());
    let times = medians(
        400,
        50,
        &mut [&mut || drop(std::hint::black_box(decide(&q10, &small.action, names.clone()))), &mut || {
            drop(std::hint::black_box(decide(&q10k, &large.action, names.clone())))
        }],
    );
    ratio("10,000 rules / 10 rules", times[1].as_secs_f64() / times[0].as_secs_f64(), "<= 1.3");
}

fn durable() {
    let bundle = bundle(10);
    let numbers = Arc::new(AtomicU64::new(1));
    let dir = on_disk();
    let memory = Ledger::open(Box::new(Memory::new()), signer()).unwrap();
    let sqlite = Ledger::open(written(dir.path()), signer()).unwrap();
    let (mut in_memory, mut on_disk_rate) = (Vec::new(), Vec::new());
    let (mut bytes, each) = (0, rounds(200) as u64);
    for round in 0..6 {
        let before = folder_bytes(dir.path());
        let memory = rate(&memory, &bundle, 64, each, &numbers, false);
        let sqlite = rate(&sqlite, &bundle, 64, each, &numbers, false);
        if round > 0 {
            in_memory.push(memory);
            on_disk_rate.push(sqlite);
            bytes += (folder_bytes(dir.path()) - before) / (5 * 64 * each);
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (ceiling, durable) = (median(&mut in_memory), median(&mut on_disk_rate));
    line("decisions/s, 64 clients, store in memory", format!("{ceiling:.0}"), "");
    line("decisions/s, 64 clients, SQLite, synchronous=FULL", format!("{durable:.0}"), "");
    ratio("durable / in memory", durable / ceiling, ">= 0.60");
    let bare = bare_groups(dir.path(), usize::try_from(bytes).unwrap());
    line("bytes on disk for each", bytes.to_string(), "");
    line("bare SQLite, as many bytes in groups of 32, rows/s", format!("{bare:.0}"), "");
    ratio("durable / bare SQLite", durable / bare, ">= 0.25");

    // One client, one after the other.
    let runtime = runtime();
    let principal = principal("run_single");
    let disk = Disk::open(dir.path());
    runtime.block_on(async { sqlite.open_run(open_run(&principal), NOON).await.unwrap() });
    let small = scene(10);
    let question = small.question();
    let times = medians(
        600,
        1,
        &mut [
            &mut || disk.commit(),
            &mut || runtime.block_on(client(&sqlite, &bundle, &principal, &numbers, false)),
            &mut || {
                let action = Action::parse(proposal(&principal, 1), bundle.catalogue(), &Limits::default());
                std::hint::black_box(&action);
                drop(std::hint::black_box(decide(&question, &small.action, fresh(1))));
            },
        ],
    );
    let [commit, decided, in_memory] = times[..] else { return };
    micros("one SQLite FULL commit of 2 KiB", commit);
    micros("one decision in memory", in_memory);
    micros("one durable decision, one client", decided);
    ratio(
        "durable decision / (commit + decision)",
        decided.as_secs_f64() / (commit + in_memory).as_secs_f64(),
        "<= 1.4",
    );
}

/// What the files of a folder take, in bytes.
fn folder_bytes(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files.map(|file| file.metadata().unwrap()).filter(|file| file.is_file()).map(|file| file.len()).sum()
}

/// Rows of so many bytes that SQLite takes in a second, 32 a commit, and nothing else is done.
fn bare_groups(folder: &std::path::Path, bytes: usize) -> f64 {
    let mut raw = rusqlite::Connection::open(folder.join("bare.db")).unwrap();
    raw.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)",
    )
    .unwrap();
    let row = vec![7u8; bytes];
    let groups = rounds(200);
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..groups {
                let group = raw.transaction().unwrap();
                for _ in 0..32 {
                    group.prepare_cached("INSERT INTO t (x) VALUES (?1)").unwrap().execute([&row]).unwrap();
                }
                group.commit().unwrap();
            }
            (groups * 32) as f64 / begun.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[2]
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

fn growth() {
    let bundle = bundle(10);
    let numbers = Arc::new(AtomicU64::new(1));
    let dir = on_disk();
    let ledger = Ledger::open(written(dir.path()), signer()).unwrap();
    // The caches fill up first.
    rate(&ledger, &bundle, 100, 300, &numbers, true);
    let before = resident_kib();
    for _ in 0..10 {
        rate(&ledger, &bundle, 100, 100, &numbers, true);
    }
    let after = resident_kib();
    line("resident memory after 30,000 actions", format!("{:.1} MiB", before / 1024.0), "");
    line("and 100,000 actions in 1,000 runs later", format!("{:+.1} MiB", (after - before) / 1024.0), "~ 0");
}

fn big() {
    let bundle = bundle(10);
    let numbers = Arc::new(AtomicU64::new(1));
    let dir = on_disk();
    let data = dir.path().join("data");
    let ledger = Ledger::open(written(&data), signer()).unwrap();
    let start = Instant::now();
    let mut size = 0;
    while size < 1_000_000 {
        let each = 300.min((1_000_000 - size) / 3 / 256 + 1);
        rate(&ledger, &bundle, 256, each, &numbers, true);
        size = place(&data).read().unwrap().head().unwrap().size;
    }
    line("entries", size.to_string(), "");
    line(
        "whole actions/s while filling (256 clients)",
        format!("{:.0}", size as f64 / 3.0 / start.elapsed().as_secs_f64()),
        "",
    );
    let verifier = ledger.verifier().clone();
    ledger.close();

    let start = Instant::now();
    let ledger = Ledger::open(written(&data), signer()).unwrap();
    line("start-up", format!("{:.3} s", start.elapsed().as_secs_f64()), "< 2 s");
    ledger.close();

    let mut store = place(&data).read().unwrap();
    speed_of_verifying(&mut *store, Some(&data), verifier);
}

/// The same on a smaller ledger in memory, without any disk.
fn verify() {
    let bundle = bundle(10);
    let numbers = Arc::new(AtomicU64::new(1));
    let memory = Memory::new();
    let ledger = Ledger::open(Box::new(memory.reopen()), signer()).unwrap();
    rate(&ledger, &bundle, 256, rounds(400) as u64, &numbers, true);
    let verifier = ledger.verifier().clone();
    ledger.close();
    speed_of_verifying(&mut memory.reopen(), None, verifier);
}

fn speed_of_verifying(store: &mut dyn Store, data: Option<&std::path::Path>, verifier: VerifierKey) {
    let dir = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let out = dir.path().join("export");
    let size = store.head().unwrap().size;
    let start = Instant::now();
    export(store, &out, false, &mut |_| {}).unwrap();
    line("export without payloads", format!("{:.1} s", start.elapsed().as_secs_f64()), "");
    // What nobody who verifies can do without: the hash of every entry and the tree.
    let entries: Vec<Vec<u8>> = store.entries(0, usize::MAX).unwrap().into_iter().map(|(_, b)| b).collect();
    let bytes: usize = entries.iter().map(Vec::len).sum();
    line("bytes an entry, on average", format!("{}", bytes / entries.len()), "");
    let auditor = Auditor { payloads: false, ..Auditor::new(ORIGIN, verifier) };
    let mut merkle = || {
        let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
        for bytes in &entries {
            tree.append(leaf_hash(bytes), &mut nodes);
            nodes.clear();
        }
        std::hint::black_box(tree.root());
    };
    let mut files = || drop(verify_export(&out, &auditor, None).unwrap());
    let mut database = || {
        if let Some(data) = data {
            drop(verify_data(&*place(data), &auditor, None).unwrap());
        }
    };
    let times = medians(5, 1, &mut [&mut merkle, &mut files, &mut database]);
    let [merkle, files, database] = times[..] else { return };
    let per = |time: Duration| format!("{:.2} µs/entry", time.as_secs_f64() / size as f64 * 1e6);
    line("leaf hash and tree alone", per(merkle), "");
    line("verify the export", per(files), "");
    ratio("Merkle limit reached, export", merkle.as_secs_f64() / files.as_secs_f64(), ">= 0.60");
    if data.is_some() {
        line("verify the database", per(database), "");
        ratio("Merkle limit reached, database", merkle.as_secs_f64() / database.as_secs_f64(), ">= 0.60");
    }
    let start = Instant::now();
    let again = redecide(store, 0..30_000).unwrap();
    assert!(again.mismatches.is_empty() && again.unavailable.is_empty());
    line(
        "decisions made again/s",
        format!("{:.0}", again.decisions as f64 / start.elapsed().as_secs_f64()),
        "",
    );
}
