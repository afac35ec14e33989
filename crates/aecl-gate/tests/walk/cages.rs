//! What holds programs: found out before anything is decided on it, on record, and never less than asked for.

use crate::house::{end, everybody, person, request, submission};
use crate::policy::home;
use aecl_analysis::load::VettedBundle;
use aecl_executor::{Connectors, Executor};
use aecl_gate::submit::{Answer, Submission};
use aecl_gate::{Clock, Gate, Parts, Session};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::isolation::IsolationTier;
use aecl_kernel::policy::problem::Source;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::Event;
use aecl_ledger::replay::{redecide, verify_facts};
use aecl_ledger::store::Memory;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const START_MS: i64 = 1_767_225_600_000;

fn program(name: &str, line: &str, more: Value) -> Value {
    // An ordinary user without a cgroup of its own cannot have a limit of memory.
    let limits = json!({ "memory_max_mib": null, "lifetime_max_s": if name == "short" { 1 } else { 60 } });
    let mut action = json!({
        "name": name, "effect": "execute", "reversibility": "reversible", "severity": 0,
        "arguments": { "type": "object", "properties": {} }, "output": { "untrusted": false, "private": false },
        "connector": { "kind": "process", "argv": ["sh", "-c", line], "limits": limits }, "timeout_ms": 30_000,
    });
    for (key, value) in more.as_object().unwrap() {
        action[key] = value.clone();
    }
    action
}

fn sources() -> Vec<Source> {
    let read_a_page = json!({ "output": { "untrusted": true, "private": false } });
    let actions = json!([
        program("build", "echo built", json!({})),
        program("fetch", "echo words of a stranger", read_a_page),
        program("walled", "echo built", json!({ "min_tier": "microvm" })),
        program("slow", "sleep 60", json!({})),
        program("hasty", "sleep 60", json!({ "timeout_ms": 300 })),
        program("short", "sleep 60", json!({})),
        json!({ "name": "total", "effect": "execute", "reversibility": "reversible", "severity": 0,
            "arguments": { "type": "object", "properties": {} },
            "connector": { "kind": "process", "argv": ["total"], "limits": { "memory_max_mib": null },
                "wasm": { "module": { "path": "/nowhere/total.wasm", "sha256": "0".repeat(64) } } } }),
    ]);
    let agents = json!([{ "agent_id": "builder", "auto_approve_threshold": 1,
        "allowed_actions": ["build", "fetch", "walled", "slow", "hasty", "short", "total"] }]);
    let source = |path: &str, value: Value| Source { path: path.into(), text: value.to_string() };
    vec![source("actions/all.json", actions), source("agents/all.json", agents)]
}

struct Shop {
    gate: Gate,
    run: Session,
    clock: Arc<AtomicI64>,
}

impl Shop {
    /// A shop in which only our own cages may be used, so that every host answers alike.
    async fn open(sandbox: Value) -> Self {
        let clock = Arc::new(AtomicI64::new(START_MS));
        let told = clock.clone();
        let config = json!({ "origin": "example.com/cages", "sandbox": sandbox, "people": everybody() });
        let parts = Parts {
            config: aecl_gate::config::Config::parse(&config.to_string()).unwrap(),
            bundle: VettedBundle::load(sources()).unwrap(),
            store: Box::new(Memory::new()),
            ledger_key: SigningKey::from_bytes(&[7; 32]),
            token_key: SigningKey::from_bytes(&[8; 32]),
            executor: Executor::new(Connectors::default()),
            clock: Clock::from_fn(move || Timestamp(told.load(Ordering::SeqCst))),
        };
        let gate = Gate::of_parts(parts).await.unwrap();
        let run = gate.open_run(&person("ann"), request("builder")).await.unwrap().session;
        Self { gate, run, clock }
    }

    async fn does(&self, action: &str) -> Answer {
        self.gate.submit(&self.run, submission(action, json!({}))).await.unwrap()
    }

    /// Where the attempt ran, as it stands on record.
    async fn ran_in(&self, answer: &Answer) -> String {
        let entries = self.gate.ledger().entries_of_action(&answer.action).await.unwrap();
        let last = entries.into_iter().rev().find_map(|entry| match entry.event {
            Event::Concluded(concluded) => Some(concluded.sandbox),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// Every decision can be made again from the record, and the facts follow from it.
    async fn holds(&self) {
        let again = self.gate.ledger().read(|store| redecide(store, 0..u64::MAX)).await.unwrap();
        assert!(
            again.decisions > 0 && again.mismatches.is_empty() && again.unavailable.is_empty(),
            "{again:?}"
        );
        let facts = self.gate.ledger().read(verify_facts).await.unwrap();
        assert_eq!(facts.differs, []);
    }
}

#[tokio::test]
async fn a_clean_run_gets_what_is_here_and_a_tainted_one_gets_no_less_than_it_needs() {
    let shop = Shop::open(json!({ "backends": ["native"] })).await;
    let built = shop.does("build").await;
    assert_eq!(end(&built), "done");
    assert_eq!(built.decision.as_ref().unwrap().tier(), Some((IsolationTier::Native, None)));
    assert!(shop.ran_in(&built).await.starts_with("native: "), "{}", shop.ran_in(&built).await);
    assert_eq!(end(&shop.does("walled").await), "blocked sandbox_unavailable", "the action asks for more");

    assert_eq!(end(&shop.does("fetch").await), "done");
    let refused = shop.does("build").await;
    assert_eq!(end(&refused), "blocked sandbox_unavailable", "now a stranger may have written the tests");
    let reason = refused.decision.unwrap().reason().to_owned();
    for part in ["`microvm`", "a stranger", "(here is `native`)", "Firecracker", "sandbox.accept_lower_tier"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    shop.holds().await;
}

/// Whether a module runs here is found out and recorded like the cages, so the answer is a decision.
#[tokio::test]
async fn a_module_is_allowed_only_where_one_was_run() {
    let shop = Shop::open(json!({ "backends": ["native"] })).await;
    let modules = shop.gate.cages().unwrap().modules.clone().unwrap();
    let answer = shop.does("total").await;
    if modules.available {
        assert_eq!(
            end(&answer),
            "failed wasm_unreadable",
            "the worker is installed, and the module is not there"
        );
    } else {
        assert_eq!(end(&answer), "blocked sandbox_unavailable");
        let reason = answer.decision.unwrap().reason().to_owned();
        for part in ["a module of WebAssembly", "`aecl-wasm`", "cargo install --locked --path wasm"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
    }
    assert_eq!(end(&shop.does("build").await), "done", "other programs run as before");
    shop.holds().await;
    let none = Shop::open(json!({ "backends": [] })).await;
    let modules = none.gate.cages().unwrap().modules.clone().unwrap();
    assert!(!modules.available && modules.reason.contains("nothing that holds programs here"), "{modules:?}");
    let reason = none.does("total").await.decision.unwrap().reason().to_owned();
    assert!(reason.contains("it must run in `native` or stronger"), "{reason}");
}

#[tokio::test]
async fn who_acts_itself_is_not_handed_leave_to_run_a_program_without_a_cage() {
    let shop = Shop::open(json!({ "backends": ["native"] })).await;
    let by_itself = Submission { mode: Mode::Authorize, ..submission("build", json!({})) };
    let answer = shop.gate.submit(&shop.run, by_itself).await.unwrap();
    assert_eq!(end(&answer), "blocked authorize_refused");
}

#[tokio::test]
async fn what_the_operator_accepts_stands_wherever_it_was_used() {
    let accepts =
        json!({ "backends": ["native"], "accept_lower_tier": "native", "reason": "no KVM until March" });
    let shop = Shop::open(accepts).await;
    shop.does("fetch").await;
    let asked = shop.does("build").await;
    let built = match end(&asked).as_str() {
        "done" => asked,
        other => {
            assert_eq!(other, "pending pending");
            let ask = shop.gate.approvals(10).await.unwrap().pop().unwrap();
            assert_eq!(ask.tier, Some(IsolationTier::Native));
            shop.gate.answer(&person("bob"), &ask.approval, true, String::new(), None).await.unwrap();
            shop.does("build").await
        }
    };
    assert_eq!(end(&built), "done");
    let decision = built.decision.clone().unwrap();
    assert_eq!(decision.tier(), Some((IsolationTier::Native, Some(IsolationTier::Microvm))));
    let lowered = decision.findings.iter().find(|f| f.code.as_str() == "sandbox_lowered").unwrap();
    assert!(lowered.message.contains("the operator accepts that: no KVM until March"), "{}", lowered.message);
    let cage = shop.ran_in(&built).await;
    assert!(cage.starts_with("native: ") && cage.contains("`microvm` was asked for"), "{cage}");
    shop.holds().await;
}

#[tokio::test]
async fn what_is_here_is_on_record_before_anything_is_decided_and_only_where_a_program_runs() {
    let shop = Shop::open(json!({})).await;
    shop.does("build").await;
    let kinds: Vec<&str> =
        shop.gate.ledger().entries(0, 100).await.unwrap().iter().map(|e| e.event.kind()).collect();
    let at = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap();
    assert!(at("sandbox_probed") < at("run_opened") && at("run_opened") < at("ruled"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|k| **k == "sandbox_probed").count(), 1);

    // A policy without programs, into which one comes while the gate is open.
    let (dir, gate) = home().await;
    let probed = async || -> usize {
        let entries = gate.ledger().entries(0, 100).await.unwrap();
        entries.iter().filter(|e| matches!(e.event, Event::SandboxProbed(_))).count()
    };
    assert_eq!((probed().await, gate.cages().is_none()), (0, true));
    let file = dir.path().join("policy/actions/programs.json");
    fs::write(&file, json!([program("build", "echo built", json!({}))]).to_string()).unwrap();
    assert!(gate.reload().await.unwrap());
    assert_eq!((probed().await, gate.cages().is_some()), (1, true));
    assert!(!gate.reload().await.unwrap());
    assert_eq!(probed().await, 1, "nothing else was found out");

    // The word of the operator counts at once, and needs a reason.
    let config = dir.path().join("aecl.yaml");
    let accept = "origin: example.com/walk\nsandbox:\n  accept_lower_tier: native\n";
    fs::write(&config, accept).unwrap();
    let error = gate.reload().await.unwrap_err().to_string();
    assert!(error.contains("needs a `reason`"), "{error}");
    fs::write(&config, format!("{accept}  reason: a trial\n")).unwrap();
    gate.reload().await.unwrap();
    assert_eq!(gate.cages().unwrap().lowered.as_ref().unwrap().to, IsolationTier::Native);
    assert_eq!(probed().await, 2);
    fs::write(&config, "origin: example.com/walk\nsandbox:\n  backends: [nativ]\n").unwrap();
    let error = gate.reload().await.unwrap_err().to_string();
    assert!(error.contains("`sandbox.backends` names `nativ`") && error.contains("`native`"), "{error}");
    assert_eq!(probed().await, 2, "what was in force stays");
}

/// The clock of the run is ours and false here; the program is real and ends when that clock says so.
#[tokio::test]
async fn the_clocks_of_call_run_and_sandbox_end_a_program_each_in_its_own_name() {
    let shop = Shop::open(json!({ "backends": ["native"] })).await;
    assert_eq!(end(&shop.does("hasty").await), "failed process_timeout");
    assert_eq!(end(&shop.does("short").await), "failed process_timeout_lifetime");
    // 20 minutes are over but for a second; the call could take 30.
    shop.clock.fetch_add(1_199_000, Ordering::SeqCst);
    let renewed = shop.gate.renew(&person("ann"), &shop.run.principal.run).await.unwrap().1;
    let answer = shop.gate.submit(&renewed, submission("slow", json!({}))).await.unwrap();
    assert_eq!(end(&answer), "failed process_timeout_task");
    shop.holds().await;
}
