//! Holes: what a guard in front of an agent is usually missing, one test each. `docs/reference/validator.md`
//! lists which test keeps which case.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod bank;
mod world;

use aecl_analysis::load::VettedBundle;
use aecl_kernel::provenance::ingest::TRUSTED_MAX;
use aecl_kernel::provenance::labels::SECRET_UNTRACKED;
use aecl_kernel::record::facts::{Fact, FactKey};
use bank::{EVIL, IBAN, Run, STANDARD};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{principal, proposal, says};

/// What is decided where nobody knows where the arguments come from.
fn says_without_provenance(run: &mut Run, name: &str, arguments: &Value) -> String {
    let proposal = proposal(&principal("a"), name, arguments);
    says(&run.world.propose_knowing(proposal, &[], |facts| facts.provenance = None))
}

#[test]
fn what_is_not_known_is_not_proven() {
    let goal = format!("Pay 50 to {IBAN} and read https://a.example");
    let mut run = Run::new(&goal).tainted();
    let pay = json!({"to": IBAN, "amount": 50});
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval provenance_unknown");
    let page = json!({"url": "https://a.example"});
    assert_eq!(says_without_provenance(&mut run, "get_page", &page), "require_approval provenance_unknown");
    assert_eq!(says_without_provenance(&mut run, "balance", &json!({})), "allow", "a read of our own");
    assert_eq!(run.says("pay", pay.clone()), "allow", "with the facts it is proven");
    let mut run = Run::strict(&goal).tainted();
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval provenance_unknown");
    let mut run = Run::new(&goal);
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "allow", "no stranger was read");
}

#[test]
fn an_erased_goal_or_plan_permits_nothing_that_it_permitted() {
    let pay = json!({"to": IBAN, "amount": 50});
    let mut run = Run::new(&format!("Pay 50 to {IBAN}")).tainted();
    run.world.space.remove(&FactKey::Goal(principal("a").run));
    assert_eq!(run.says("pay", pay.clone()), "require_approval unproven_destination");
    let plan = json!({"steps": [{"action": "pay", "arguments": {"/to": {"equals": IBAN}}}]});
    let mut run = Run::of(&STANDARD, "Do the usual", Some(plan));
    run.world.space.remove(&FactKey::Goal(principal("a").run));
    assert_eq!(run.says("pay", pay.clone()), "require_approval off_plan");
    assert_eq!(says_without_provenance(&mut run, "pay", &pay), "require_approval off_plan");
}

#[test]
fn a_plan_that_was_stated_after_a_stranger_was_read_proves_nothing() {
    let plan = json!({"steps": [{"action": "pay", "arguments": {"/to": {"equals": EVIL}}}]});
    let mut run = Run::of(&STANDARD, "Pay the bill", Some(plan)).tainted();
    let key = FactKey::Run(principal("a").run);
    let Some(Fact::Run(mut fact)) = run.world.space.get(&key).cloned() else { panic!("no run") };
    fact.late = true;
    run.world.space.insert(key, Fact::Run(fact));
    assert_eq!(
        run.says("pay", json!({"to": EVIL, "amount": 1})),
        "require_approval unproven_destination",
        "it is a step, and its account is still a stranger's"
    );
}

/// Contacts whose accounts are all different.
fn book(from: u32, many: u32) -> Value {
    (from..from + many).map(|n| json!({"name": format!("Vendor{n}"), "iban": account(n)})).collect()
}

fn account(n: u32) -> String {
    format!("ACC{n:09}")
}

#[test]
fn what_is_beyond_the_index_is_unproven() {
    let mut run = Run::new("Pay Vendor7 and Vendor30499").tainted();
    let mut from = 0;
    while run.world.run(&principal("a").run).trusted_bytes < TRUSTED_MAX - 70_000 {
        run.reads("contacts", book(from, 500));
        from += 500;
        assert!(from < 30_000, "the index never fills");
    }
    run.reads("contacts", book(30_000, 500));
    let pay = |n| json!({"to": account(n), "amount": 1});
    assert_eq!(run.says("pay", pay(7)), "allow", "it was read while there was room");
    assert_eq!(run.says("pay", pay(30_499)), "require_approval unproven_destination");
    assert!(run.world.run(&principal("a").run).trusted_bytes <= TRUSTED_MAX);
}

#[test]
fn a_secret_that_cannot_be_recognised_asks_before_anything_leaves() {
    for key in [json!("a".repeat(300)), json!("1234"), json!(1234)] {
        let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
        run.reads("read_key", json!({ "key": key }));
        let labels = run.world.run(&principal("a").run).labels;
        assert!(labels.classes.contains(SECRET_UNTRACKED), "{key}");
        let mail = json!({"to": ["bob@example.com"], "body": "hello"});
        assert_eq!(run.says("send_mail", mail), "require_approval provenance_unknown", "{key}");
    }
    let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
    run.reads("read_key", json!({"key": "k-123456789"}));
    assert_eq!(run.says("send_mail", json!({"to": ["bob@example.com"], "body": "hello"})), "allow");
}

#[test]
fn a_full_index_does_not_let_a_secret_out() {
    let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
    let key = FactKey::Run(principal("a").run);
    let Some(Fact::Run(mut fact)) = run.world.space.get(&key).cloned() else { panic!("no run") };
    fact.trusted_bytes = TRUSTED_MAX;
    run.world.space.insert(key, Fact::Run(fact));
    run.reads("read_key", json!({"key": "k-123456789"}));
    let mail = json!({"to": ["bob@example.com"], "body": "k-123456789"});
    assert_eq!(run.says("send_mail", mail), "require_approval provenance_unknown");
}

// --- What came before

/// A treasury: amounts in euros, a limit for one account, and our own points.
fn treasury(profile: &str, more: &Value) -> Run {
    let text = || json!({"type": "string"});
    let pay = json!({"name": "pay", "effect": "pay", "reversibility": "reversible", "severity": 2,
        "arguments": {"type": "object", "properties": {"to": text(), "amount": {"type": "number"}}, "required": ["to", "amount"]},
        "fields": {"amount": {"value": "/amount", "unit": "EUR"}},
        "args": {"to": {"class": "dest_account"}, "amount": {"class": "magnitude", "limit": 30_000}}});
    treasury_with(&pay, profile, more)
}

fn treasury_with(pay: &Value, profile: &str, more: &Value) -> Run {
    let mut agent = json!({"agent_id": "a", "allowed_actions": ["pay"], "auto_approve_threshold": "0.49"});
    agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut sources = world::sources(&agent, &json!([pay]), "");
    let risk = json!({ "profile": profile }).to_string();
    sources.push(aecl_kernel::policy::problem::Source { path: "risk.json".into(), text: risk });
    let bundle = VettedBundle::load(sources).unwrap_or_else(|p| panic!("{}", world::lines(&p)));
    let mut world = world::World::new(std::sync::Arc::new(bundle.into_bundle()));
    let mut who = principal("a");
    who.environment = serde_json::from_value(json!("sandbox")).unwrap();
    world.open_for(&who, "Pay the bills", None);
    Run { world }
}

fn pays(run: &mut Run, to: &str, amount: i64) -> aecl_kernel::decide::Ruling {
    proposes(run, &json!({"to": to, "amount": amount}))
}

fn proposes(run: &mut Run, arguments: &Value) -> aecl_kernel::decide::Ruling {
    let mut who = principal("a");
    who.environment = serde_json::from_value(json!("sandbox")).unwrap();
    let mut proposal = proposal(&who, "pay", arguments);
    proposal.credential.expires_at = run.world.now.plus_s(60);
    run.world.open(&who);
    run.world.propose(proposal)
}

fn factors(ruling: &aecl_kernel::decide::Ruling) -> Vec<String> {
    ruling.decision().risk.factors.iter().map(|f| f.name.clone()).collect()
}

#[test]
fn six_small_payments_are_one_large_one() {
    let mut run = treasury("article", &json!({}));
    for n in 1..=5 {
        assert_eq!(says(&pays(&mut run, &format!("ACC10000{n}"), 10_000)), "allow", "{n}");
    }
    let sixth = pays(&mut run, "ACC100006", 10_000);
    assert_eq!(says(&sixth), "require_approval risk_above_threshold", "60,000 in a day");
    assert!(factors(&sixth).contains(&"amount_day".to_owned()));
    run.world.later_s(25 * 3600);
    assert_eq!(says(&pays(&mut run, "ACC100006", 10_000)), "allow", "a day later it is forgotten");
}

#[test]
fn a_sum_is_counted_in_its_own_unit_and_once() {
    let mut run = treasury("article", &json!({}));
    assert_eq!(says(&pays(&mut run, "ACC100001", 25_000)), "allow");
    let sums: Vec<_> = run.world.space.iter().filter(|(k, _)| matches!(k, FactKey::Sum(_))).collect();
    assert_eq!(sums.len(), 2, "{sums:?}");
    let third = pays(&mut run, "ACC100002", 30_000);
    let amount_day = third.decision().risk.factors.iter().find(|f| f.name == "amount_day").unwrap();
    assert_eq!(amount_day.value, "55000 EUR in 24 hours, above 50000");
    assert_eq!(amount_day.source, "history");
}

#[test]
fn the_limit_of_an_account_is_for_the_day() {
    let mut run = treasury("article", &json!({"auto_approve_threshold": "1.00"}));
    assert_eq!(says(&pays(&mut run, "ACC100001", 20_000)), "allow");
    assert_eq!(says(&pays(&mut run, "ACC100002", 20_000)), "allow", "another account has its own");
    assert_eq!(
        says(&pays(&mut run, "ACC 100001", 10_001)),
        "require_approval sum_above_limit",
        "the same account"
    );
    assert_eq!(says(&pays(&mut run, "ACC100001", 10_000)), "allow", "what waits is not spent");
    assert_eq!(says(&pays(&mut run, "ACC100003", 30_001)), "require_approval amount_above_limit");
}

#[test]
fn one_account_has_one_allowance_however_it_is_written() {
    for other in [
        "GB29-NWBK-6016-1331-9268-19",
        "ＧＢ２９ＮＷＢＫ６０１６１３３１９２６８１９",
        "IBAN GB29 NWBK 6016 1331 9268 19",
        "iban:gb29nwbk60161331926819",
        "Account no. GB29NWBK60161331926819",
        "GB29.NWBK.6016.1331.9268.19",
    ] {
        let mut run = treasury("article", &json!({"auto_approve_threshold": "1.00"}));
        assert_eq!(says(&pays(&mut run, IBAN, 20_000)), "allow");
        let second = says(&pays(&mut run, other, 10_001));
        assert_eq!(second, "require_approval sum_above_limit", "{other}");
        assert_eq!(says(&pays(&mut run, other, 10_000)), "allow", "{other}: the rest of it");
        assert_eq!(says(&pays(&mut run, IBAN, 1)), "require_approval sum_above_limit", "{other}");
        assert_eq!(says(&pays(&mut run, "GB29NWBK60161331926818", 30_000)), "allow", "another account");
    }
    let mut run = treasury("article", &json!({"auto_approve_threshold": "1.00"}));
    for space in ['\u{a0}', '\u{1680}', '\u{2009}', '\u{200b}', '\u{3000}', '\t'] {
        for to in [format!("GB29{space}NWBK60161331926819"), format!("{IBAN}{space}")] {
            assert_eq!(says(&pays(&mut run, &to, 1)), "block sink_not_canonical", "{to:?}");
        }
    }
    for nothing in ["—", "…"] {
        assert_eq!(says(&pays(&mut run, nothing, 20_000)), "allow", "no letter, so it is itself");
        assert_eq!(says(&pays(&mut run, nothing, 20_000)), "require_approval sum_above_limit");
    }
}

/// An account as somebody may write it.
fn spelling() -> impl Strategy<Value = String> {
    let letter =
        (any::<(bool, bool)>(), prop_oneof![9 => Just(String::new()), 1 => "[ ./:_\u{a0}\u{200b}—-]"]);
    let before = prop_oneof![Just(""), Just("IBAN "), Just("iban:"), Just("Account number "), Just("acct.")];
    (before, vec(letter, IBAN.len())).prop_map(|(before, letters)| {
        let one = |(c, ((lower, wide), after)): (char, ((bool, bool), String))| {
            let c = if lower { c.to_ascii_lowercase() } else { c };
            let wide = wide.then(|| char::from_u32(u32::from(c) + 0xfee0)).flatten();
            format!("{}{after}", wide.unwrap_or(c))
        };
        let letters = IBAN.chars().zip(letters);
        before.to_owned() + &letters.map(one).collect::<String>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn no_mix_of_spellings_has_more_than_the_limit(payments in vec((spelling(), 1..20_000_i64), 1..12)) {
        let mut run = treasury("article", &json!({"auto_approve_threshold": "1.00"}));
        let mut sum = 0;
        for (to, amount) in &payments {
            match says(&pays(&mut run, to, *amount)).as_str() {
                "allow" => sum += amount,
                "require_approval sum_above_limit" => prop_assert!(sum + amount > 30_000, "{to:?}"),
                other => prop_assert_eq!(other, "block sink_not_canonical", "{:?}", to),
            }
        }
        prop_assert!(sum <= 30_000, "{} in {:?}", sum, payments);
    }
}

/// A treasury whose payments name more than an account.
fn ledger_clerk(properties: &Value, args: &Value) -> Run {
    let pay = json!({"name": "pay", "effect": "pay", "reversibility": "reversible", "severity": 2,
        "arguments": {"type": "object", "properties": properties}, "args": args});
    treasury_with(&pay, "article", &json!({"auto_approve_threshold": "1.00"}))
}

#[test]
fn another_name_beside_an_account_gives_no_other_allowance() {
    let text = || json!({"type": "string"});
    let limit = json!({"class": "magnitude", "limit": 100});
    let mut run = ledger_clerk(
        &json!({"to": text(), "holder": text(), "amount": {"type": "number"}}),
        &json!({"to": {"class": "dest_account"}, "holder": {"class": "dest_name"}, "amount": limit}),
    );
    let mut pay = |to: &str, holder: &str, amount: i64| {
        says(&proposes(&mut run, &json!({"to": to, "holder": holder, "amount": amount})))
    };
    assert_eq!(pay("ACC100001", "Acme", 60), "allow");
    assert_eq!(pay("ACC100001", "Acme GmbH", 60), "require_approval sum_above_limit");
    assert_eq!(pay("ACC-100001", "acme", 60), "require_approval sum_above_limit");
    assert_eq!(pay("ACC100002", "Globex", 60), "allow", "another account of another");

    let many = |n: usize| (0..n).map(|n| format!("ACC{n:06}")).collect::<Vec<_>>();
    let mut run = ledger_clerk(
        &json!({"to": {"type": "array", "items": text()}, "amount": {"type": "number"}}),
        &json!({"to": {"class": "dest_account"}, "amount": limit}),
    );
    let mut pay = |to: &[String]| says(&proposes(&mut run, &json!({"to": to, "amount": 60})));
    assert_eq!(pay(&many(1)), "allow");
    assert_eq!(pay(&many(2)), "require_approval sum_above_limit", "one of them has had it");
    assert_eq!(pay(&many(100)[1..]), "allow");
    assert_eq!(pay(&many(101)[1..]), "require_approval sum_above_limit", "a crowd is one crowd");
}

#[test]
fn each_line_of_a_list_counts_for_its_own_account() {
    let line =
        json!({"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number"}}});
    let mut run = ledger_clerk(
        &json!({"lines": {"type": "array", "items": line}}),
        &json!({"/lines/*/to": {"class": "dest_account"}, "/lines/*/amount": {"class": "magnitude", "limit": 100}}),
    );
    let mut pay = |lines: &[(&str, i64)]| {
        let lines: Vec<Value> = lines.iter().map(|(to, n)| json!({"to": to, "amount": n})).collect();
        says(&proposes(&mut run, &json!({ "lines": lines })))
    };
    assert_eq!(pay(&[("ACC100001", 10), ("ACC100002", 80)]), "allow");
    assert_eq!(pay(&[("ACC100001", 90)]), "allow", "100 in a day");
    assert_eq!(pay(&[("ACC100002", 21)]), "require_approval sum_above_limit");
    assert_eq!(pay(&[("ACC100003", 60), ("ACC100004", 60)]), "require_approval sum_above_limit", "together");
    // What is quadratic takes minutes here.
    let accounts: Vec<String> = (0..10_000).map(|n| format!("ACC{n:06}")).collect();
    let lines: Vec<(&str, i64)> = accounts.iter().map(|to| (to.as_str(), 1)).collect();
    assert_eq!(pay(&lines), "require_approval sum_above_limit");
    let words = format!("{}7", "number".repeat(100_000));
    assert_eq!(pay(&[(&words, 60)]), "allow");
    assert_eq!(pay(&[("7", 60)]), "require_approval sum_above_limit");
}

#[test]
fn the_first_use_of_an_action_and_of_a_destination_counts() {
    let mut run = treasury("standard", &json!({"auto_approve_threshold": "1.00"}));
    let first = factors(&pays(&mut run, "ACC100001", 10));
    assert!(first.contains(&"first_action".to_owned()) && first.contains(&"first_destination".to_owned()));
    let second = factors(&pays(&mut run, "ACC 100001", 10));
    assert!(
        !second.iter().any(|f| f.starts_with("first_")),
        "the same account in another writing: {second:?}"
    );
    let third = factors(&pays(&mut run, "ACC100002", 10));
    assert!(!third.contains(&"first_action".to_owned()) && third.contains(&"first_destination".to_owned()));
}

#[test]
fn what_came_before_costs_the_same_however_much_it_was() {
    let mut run =
        treasury("article", &json!({"auto_approve_threshold": "1.00", "run_ttl_seconds": 1_000_000}));
    for n in 0..200 {
        assert_eq!(says(&pays(&mut run, "ACC100001", 1)), "allow", "{n}");
        run.world.later_s(1800);
    }
    let Some(aecl_kernel::record::event::Event::Ruled(ruled)) = run
        .world
        .entries
        .iter()
        .rev()
        .map(|e| &e.event)
        .find(|e| matches!(e, aecl_kernel::record::event::Event::Ruled(_)))
    else {
        panic!("no ruling")
    };
    let past = ruled.facts.past.as_ref().unwrap();
    assert!(past.sums.values().all(|sum| sum.by_hour.len() <= 25));
    let kept = run.world.space.keys().filter(|k| matches!(k, FactKey::Sum(_) | FactKey::Known(_))).count();
    assert_eq!(kept, 4, "one unit, one account, one action, one destination");
}

#[test]
fn a_flood_of_questions_ends() {
    for (most, agent) in
        [(10, json!({})), (1, json!({"max_questions_per_run": 1})), (0, json!({"max_questions_per_run": 0}))]
    {
        let mut run = treasury("article", &agent);
        let asks = |run: &mut Run, n: i64| says(&pays_in_the_same_run(run, 40_000 + n));
        for n in 0..most {
            assert_eq!(asks(&mut run, n), "require_approval amount_above_limit");
            assert_eq!(asks(&mut run, n), "require_approval amount_above_limit", "it waits already");
        }
        assert_eq!(asks(&mut run, most), "block questions_exhausted");
        assert_eq!(says(&pays_in_the_same_run(&mut run, 1)), "allow", "what needs nobody goes on");
        if most > 0 {
            assert_eq!(asks(&mut run, 0), "require_approval amount_above_limit", "it still waits");
        }
    }
}

fn pays_in_the_same_run(run: &mut Run, amount: i64) -> aecl_kernel::decide::Ruling {
    let mut who = principal("a");
    who.environment = serde_json::from_value(json!("sandbox")).unwrap();
    run.world.propose(proposal(&who, "pay", &json!({"to": "ACC100001", "amount": amount})))
}

#[test]
fn children_ask_on_the_account_of_their_parent() {
    let mut run = treasury("article", &json!({"max_questions_per_run": 2}));
    let who = principal("a");
    run.world.open(&who);
    let ask = |run: &mut Run, n: u32| {
        let mut child = who.clone();
        child.run = aecl_kernel::base::id::RunId::new(&format!("run_child_{n}")).unwrap();
        run.world.open_child(&child, std::slice::from_ref(&who.run));
        says(&run.world.propose(proposal(&child, "pay", &json!({"to": "ACC100001", "amount": 40_000 + n}))))
    };
    assert_eq!(ask(&mut run, 1), "require_approval amount_above_limit");
    assert_eq!(ask(&mut run, 2), "require_approval amount_above_limit");
    assert_eq!(ask(&mut run, 3), "block questions_exhausted", "many children are no way around");
}

// --- A yes that is typed

#[test]
fn a_yes_to_a_strangers_account_is_typed() {
    let mut run = Run::new("Read my mail and pay the rent of 98.70").mail(&format!("account {EVIL}"));
    let pay = json!({"to": EVIL, "amount": 98.7});
    let ask = world::wait(&run.propose("pay", pay.clone()));
    assert_eq!(ask.what_to_type(), "the last 4 characters of `to`");
    let operator = ("olga", &["operators"][..]);
    let before = run.world.entries.len();
    for wrong in [&[][..], &["1211"], &["US13"], &[""], &["12121"]] {
        let answer = run.world.answer_typing(&ask.approval, operator, true, wrong);
        assert_eq!(answer, Err("confirmation_wanted"), "{wrong:?}");
    }
    assert_eq!(run.world.entries.len(), before, "nothing is on record, so nothing is lost");
    let answer = run.world.answer_typing(&ask.approval, operator, true, &["12 12"]);
    assert_eq!(answer, Ok(aecl_kernel::record::approval::ApprovalState::Approved));
    assert_eq!(run.says("pay", pay), "allow");
}

#[test]
fn a_no_is_never_typed() {
    let mut run = Run::new("Read my mail").mail(&format!("account {EVIL}"));
    let ask = world::wait(&run.propose("pay", json!({"to": EVIL, "amount": 5})));
    let answer = run.world.answer(&ask.approval, "olga", &["operators"], false);
    assert_eq!(answer, Ok(aecl_kernel::record::approval::ApprovalState::Rejected));
}

#[test]
fn only_grave_harm_at_an_unknown_place_is_typed() {
    let mut run = Run::new(&format!("Read my mail, pay {IBAN} and mail bob@example.com")).tainted();
    let mail = world::wait(&run.propose("send_mail", json!({"to": ["eve@evil.example"], "body": "x"})));
    assert!(mail.confirm.is_empty(), "severity 2");
    let proven = world::wait(&run.propose("pay", json!({"to": IBAN, "amount": 6000})));
    assert!(proven.confirm.is_empty(), "the user has named the account");
    let mut run = Run::new("Pay the bill");
    let clean = world::wait(&run.propose("pay", json!({"to": EVIL, "amount": 6000})));
    assert!(clean.confirm.is_empty(), "no stranger was read");
}

#[test]
fn where_two_people_agree_nobody_types() {
    let ask = |count: u32| {
        let mut run = Run::new("Read my mail").mail(&format!("account {EVIL}"));
        let mut ask = world::wait(&run.propose("pay", json!({"to": EVIL, "amount": 5})));
        for requirement in &mut ask.need.requirements {
            requirement.count = count;
        }
        ask.wants_confirmation()
    };
    assert!(ask(1));
    assert!(!ask(2));
}

// --- Writings and sizes that a guard is usually fooled by

#[test]
fn letters_that_fold_together_are_not_the_same_address() {
    let goal = "Mail info@strasse.example, i@example.com and caf\u{e9}@example.com";
    for (to, why) in [
        ("info@stra\u{df}e.example", "sharp s"),
        ("\u{130}@example.com", "a Turkish capital i"),
        ("\u{131}@example.com", "a dotless i"),
        ("i\u{307}@example.com", "a dot that is added"),
        ("cafe\u{301}@example.com", "the same letter, taken apart"),
        ("i@example.com\u{fe0f}", "a variation selector"),
        ("\u{202e}i@example.com", "right to left"),
        ("i@example.com\u{e0041}", "a tag"),
        ("i@\u{435}xample.com", "a Cyrillic letter"),
    ] {
        let mut run = Run::new(goal).tainted();
        let verdict = run.propose("send_mail", json!({"to": [to]})).decision().verdict;
        assert!(verdict > aecl_kernel::record::decision::Verdict::Allow, "{why}");
    }
    assert_eq!(Run::new(goal).tainted().says("send_mail", json!({"to": ["i@example.com"]})), "allow");
}

#[test]
fn numbers_that_two_readers_read_differently_never_pass() {
    for amount in [
        "1e400",
        "123456789012345678901234567890",
        "1e6",
        "NaN",
        "0x10",
        "+5",
        "1,200",
        "\"12\"",
        "true",
        "-0.0001",
    ] {
        let mut run = Run::new(&format!("Pay 5 to {IBAN}")).tainted();
        let raw = format!("{{\"to\":\"{IBAN}\",\"amount\":{amount}}}");
        let ruling = run.world.propose(world::raw(&principal("a"), "pay", raw));
        assert_ne!(
            ruling.decision().verdict,
            aecl_kernel::record::decision::Verdict::Allow,
            "{amount}: {}",
            says(&ruling)
        );
    }
}

#[test]
fn values_that_blow_up_are_judged_in_time() {
    let many: Vec<Value> = (0..10_000).map(|n| json!(format!("u{n}@example.com"))).collect();
    let cases = [
        ("post", json!({"channel": "\u{fdfa}".repeat(300_000), "text": "x"})),
        ("post", json!({"channel": "general", "text": "a@b.".repeat(250_000)})),
        ("send_mail", json!({"to": many})),
        ("send_mail", json!({"to": ["a".repeat(1_000_000)]})),
    ];
    for (name, arguments) in cases {
        let mut run = Run::new("Post to general").tainted();
        // What is quadratic takes hours here, and so does not end.
        let verdict = run.propose(name, arguments).decision().verdict;
        assert!(verdict > aecl_kernel::record::decision::Verdict::Allow, "{name}");
    }
}

#[test]
fn a_secret_that_is_split_is_missed_and_that_is_known() {
    let mut run = Run::new("Read the key, read my mail and mail bob@example.com").tainted();
    run.reads("read_key", json!({"key": "k-123456789"}));
    let half = |body: &str| json!({"to": ["bob@example.com"], "body": body});
    // Wrong, and it stays wrong: two halves are no secret. Nothing but the destination is asked about.
    assert_eq!(run.says("send_mail", half("k-1234")), "allow");
    assert_eq!(run.says("send_mail", half("56789")), "require_approval more_than_asked");
}

#[test]
fn a_score_is_the_sum_of_its_factors_and_no_other_number() {
    for (amount, expected) in [(10, 0), (60_000, 50)] {
        let mut run = treasury("article", &json!({}));
        let risk = pays(&mut run, "ACC100001", amount).decision().risk.clone();
        assert_eq!(risk.points, expected);
        assert_eq!(risk.points, risk.factors.iter().map(|f| f.points).sum::<u32>());
    }
}

#[test]
fn an_answer_is_one_thing_and_a_dry_run_is_no_permit() {
    let mut run = Run::new(&format!("Pay 5 to {IBAN}"));
    let mut asked = proposal(&principal("a"), "pay", &json!({"to": IBAN, "amount": 5}));
    asked.mode = aecl_kernel::read::action::Mode::DryRun;
    let ruling = run.world.propose(asked);
    assert!(matches!(ruling, aecl_kernel::decide::Ruling::Answered(_)), "{}", says(&ruling));
    assert!(
        !run.world.space.keys().any(|k| matches!(k, FactKey::Sum(_) | FactKey::Known(_))),
        "and it adds to nothing"
    );
}

// --- A value that leads outside, whatever its argument is called

const AWAY: &str = "https://foe.example/?d=c2VjcmV0";

#[test]
fn a_reader_goes_nowhere_that_nobody_has_named() {
    let mut run = Run::new("Look at the news").tainted();
    for arguments in [
        json!({"image": AWAY}),
        json!({"filter": AWAY}),
        json!({"filter": {"of": [{"repo": AWAY}]}}),
        json!({"filter": ["news", AWAY]}),
        json!({"anything": {"at": {"all": [AWAY]}}}),
        json!({"said": AWAY}),
        json!({"filter": [{"by": ["notes.txt, //foe.example/x?d=1"]}]}),
    ] {
        assert_eq!(run.says("look", arguments.clone()), "require_approval unproven_fetch", "{arguments}");
        assert_eq!(
            says_without_provenance(&mut run, "look", &arguments),
            "require_approval provenance_unknown",
            "{arguments}"
        );
    }
    let mail = json!({"recipient": "thief@foe.example"});
    assert_eq!(run.says("look", mail), "require_approval unproven_destination");
    // Who is named is not whoever is named with something behind it.
    let mut named = Run::new("Look up ann@acme.com").tainted();
    assert_eq!(named.says("look", json!({"recipient": "ann@acme.com"})), "allow");
    for more in ["ann@acme.com?subject=c2VjcmV0", "c2VjcmV0:x@acme.com", "c2VjcmV0=ann@acme.com"] {
        let said = named.says("look", json!({"recipient": more}));
        assert!(said.starts_with("require_approval "), "{more}: {said}");
    }
    for arguments in [json!({"filter": "notes.txt"}), json!({"said": format!("as said at {AWAY} before")})] {
        assert_eq!(run.says("look", arguments.clone()), "allow", "{arguments}");
    }
    assert_eq!(Run::new("Look").says("look", json!({"image": AWAY})), "allow", "no stranger was read");
    let mut run = Run::strict("Look at the news").tainted();
    assert_ne!(run.says("look", json!({"image": AWAY})), "allow");
}

#[test]
fn a_value_that_leads_outside_is_proven_like_a_destination() {
    let mut run = Run::new(&format!("Look at {AWAY} and at foe.example/x")).tainted();
    for value in [AWAY, "//foe.example/x", "foe.example/x", "https://foe.example/x"] {
        assert_eq!(run.says("look", json!({"image": value})), "allow", "{value}");
    }
    assert_eq!(run.says("look", json!({"image": format!("{AWAY}x")})), "require_approval unproven_fetch");
    let mut run = Run::new("Look at the news").tainted();
    run.reads("contacts", json!([{"name": "Bob", "email": "bob@example.com"}]));
    let to = |to: &str| json!({"recipient": to});
    assert_eq!(run.says("look", to("bob@example.com")), "require_approval private_to_outside");
    let mut run = Run::new("Look up Bob").tainted();
    run.reads("contacts", json!([{"name": "Bob", "email": "bob@example.com"}]));
    assert_eq!(run.says("look", to("bob@example.com")), "allow", "the goal names his record");
    let step = |arguments: Value| json!({"steps": [{"action": "read_mail"}, {"action": "look", "arguments": arguments}]});
    let said = step(json!({"/image": {"equals": AWAY}}));
    let mut run = Run::of(&STANDARD, "Look", Some(said)).tainted();
    assert_eq!(run.says("look", json!({"image": AWAY})), "allow", "whoever opened the run has named it");
    let mut run = Run::of(&STANDARD, "Look", Some(step(json!({})))).tainted();
    assert_eq!(run.says("look", json!({"image": AWAY})), "require_approval unproven_fetch");
}

#[test]
fn a_change_goes_nowhere_by_what_is_no_destination() {
    let mut run = Run::new("Label the news \"old\"").tainted();
    for at in ["by", "on", "for", "name"] {
        let mut arguments = json!({"name": "news"});
        arguments[at] = AWAY.into();
        assert!(run.codes("label", arguments).contains(&"unproven_destination"), "{at}");
    }
    let both = run.codes("label", json!({"name": "old", "note": AWAY, "by": AWAY}));
    assert_eq!(
        both,
        ["unproven_destination", "unproven_link"],
        "what reaches somebody takes along what it says"
    );
    // Who it is about is proven as a target; a mailbox that is no target is a destination.
    let of = |run: &mut Run, at: &str| {
        let mut arguments = json!({"name": "old"});
        arguments[at] = "ann@acme.example".into();
        run.codes("label", arguments)
    };
    assert_eq!(of(&mut run, "name"), ["unproven_target"]);
    assert_eq!(of(&mut run, "by"), ["unproven_destination"]);
    assert_eq!(run.says("label", json!({"name": "old", "note": AWAY})), "allow", "it reaches nobody");
}

#[test]
fn what_was_decided_before_values_were_looked_at_is_decided_as_it_was() {
    let mut run = Run::new("Look at the news").tainted();
    for edition in [0, 1, 2] {
        let proposal = proposal(&principal("a"), "look", &json!({"image": AWAY}));
        let ruling = run.world.propose_knowing(proposal, &[], |facts| facts.edition = edition);
        assert_eq!(says(&ruling), "allow", "{edition}");
    }
}
