//! Working on policy: what each command finds, and what a script learns from its exit code.

use crate::program::Aecl;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

struct Place {
    dir: tempfile::TempDir,
    aecl: Aecl,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&dir.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    Place { dir, aecl }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            assert!(fs::copy(entry.path(), target).is_ok())
        }
    }
}

impl Place {
    fn policy(&self) -> PathBuf {
        self.aecl.dir().join("policy")
    }

    /// A second bundle, changed.
    fn other(&self, name: &str, change: impl FnOnce(&Path)) -> String {
        let other = self.dir.path().join(name);
        copy(&self.policy(), &other);
        change(&other);
        other.to_str().unwrap().to_owned()
    }
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: {from}\n{text}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|l| l[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn test_says_which_examples_are_wrong_and_which_rules_none_reaches() {
    let place = place();
    let sound = place.aecl.run(&["policy", "test", "--json"]).ended(0).json();
    assert!(sound["failed"] == 0 && sound["passed"].as_u64() > Some(0), "{sound}");

    let other = place.other("other", |dir| {
        fs::write(dir.join("examples/more.json"), json!([
            {"name": "wrong on purpose", "agent": "assistant", "action": "read_invoice", "arguments": {"invoice": "1"}, "expect": "block"},
        ]).to_string()).unwrap();
        fs::write(dir.join("rules/own.cedar"), "@id(\"never-reached\") @reason(\"not on mondays\") forbid (principal, action == Action::\"read_invoice\", resource) when { context.environment == \"moon\" };").unwrap();
    });
    let ran = place.aecl.run(&["policy", "test", &other]).ended(1);
    assert!(
        ran.out.contains("wrong on purpose") && ran.out.contains("allowed, must be blocked"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("not reached") && ran.out.contains("never-reached"), "{}", ran.out);
    let json = place.aecl.run(&["policy", "test", &other, "--json"]).ended(1).json();
    assert_eq!(json["failed"], 1);
    fs::remove_file(Path::new(&other).join("examples/more.json")).unwrap();
    place.aecl.run(&["policy", "test", &other]).ended(0);
    place.aecl.run(&["policy", "test", &other, "--strict"]).ended(1);
    // What does not load is no matter of examples.
    fs::write(Path::new(&other).join("rules/own.cedar"), "forbid (").unwrap();
    place.aecl.run(&["policy", "test", &other]).ended(1);
}

#[test]
fn lint_names_each_kind_of_doubt() {
    let place = place();
    let other = place.other("other", |dir| {
        fs::write(dir.join("actions/more.json"), json!([
            {"name": "mail.send", "effect": "send", "arguments": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
             "fields": {"destination": {"value": "/to", "kind": "email"}}},
            {"name": "db.run", "effect": "write", "reversibility": "reversible", "output": {"untrusted": false},
             "arguments": {"type": "object", "properties": {"sql": {"type": "string"}}}, "args": {"sql": {"class": "query_sql"}}},
        ]).to_string()).unwrap();
        fs::write(dir.join("agents/more.json"), json!({
            "agent_id": "clerk", "allowed_actions": ["mail.*", "db.run", "nothing.here", "transfer_funds"], "blocked_actions": ["db.run"],
            "context_rules": {"db.run": "requires_human_approval"}, "budgets": [{"unit": "CHF", "limit": "5", "per": "day", "actions": ["db.run"]}],
        }).to_string()).unwrap();
        fs::write(dir.join("rules/own.cedar"), "@id(\"dead\") forbid (principal == Agent::\"nobody\", action, resource);").unwrap();
        fs::write(dir.join("rules/mail.cedar"), "@id(\"eve\") forbid (principal, action == Action::\"mail.send\", resource) when { context.args.to == \"Eve@evil.example\" };").unwrap();
        fs::write(dir.join("rules/permit.cedar"), "@id(\"free\") permit (principal, action, resource);").unwrap();
    });
    let found = place.aecl.run(&["policy", "lint", &other, "--json"]).ended(1).json();
    let mut lints = names(&found["lints"], "lint");
    lints.dedup();
    for wanted in [
        "allowed_and_blocked",
        "dead_rule",
        "doubtful",
        "idle_budget",
        "no_compensation",
        "no_example",
        "no_labels",
        "one_spelling",
        "open_destination",
        "permit_in_rules",
        "unknown_action",
        "unreachable_context_rule",
        "wildcard",
    ] {
        assert!(lints.iter().any(|l| l == wanted), "{wanted} is not in {lints:?}");
    }
    let page = place.aecl.run(&["policy", "lint", &other]).ended(1).out;
    assert!(
        page.contains("warning [one_spelling]: rules/mail.cedar: `eve` compares `context.args.to` with"),
        "{page}"
    );
    assert!(page.contains(r#"write `context.reaches.contains("eveevilexample")`"#), "{page}");
    let fewer = place.aecl.run(&["policy", "lint", &other, "--json", "--allow", "wildcard"]).ended(1).json();
    assert!(!names(&fewer["lints"], "lint").contains(&"wildcard".to_owned()));
    let wrong = place.aecl.run(&["policy", "lint", &other, "--allow", "wildcrad"]).ended(1);
    assert!(wrong.err.contains("did you mean `wildcard`?"), "{}", wrong.err);
}

/// The first line of each reason of the first situation, as it is told.
fn first_lines(told: &Value) -> Vec<(String, String)> {
    let reasons = told["actions"][0]["situations"][0]["reasons"].as_array().unwrap();
    let first = |reason: &Value| {
        let line = &reason["lines"][0];
        (line["file"].as_str().unwrap().to_owned(), line["line"].as_str().unwrap().to_owned())
    };
    reasons.iter().map(first).collect()
}

#[test]
fn why_names_the_lines_and_they_do_what_it_says() {
    let place = place();
    let call = r#"{"to": "acme", "amount": "20", "currency": "EUR"}"#;
    place.aecl.run(&["explain", "assistant", "transfer_funds", call]).ended(4);
    let told =
        place.aecl.run(&["policy", "why", "transfer_funds", "--arguments", call, "--json"]).ended(0).json();
    assert_eq!(
        first_lines(&told),
        [
            (
                "actions/finance.yaml".into(),
                "approval: { always: false, approvers: [operators], count: 1, expires_s: 3600 }".into()
            ),
            ("agents/assistant.yaml".into(), "auto_approve_threshold: 0.7".into()),
        ]
    );
    assert_eq!(told["actions"][0]["together"], json!([]), "{told}");
    let page = place.aecl.run(&["policy", "why", "transfer_funds"]).ended(0).out;
    for said in [
        "transfer_funds, by assistant\n",
        "every call: asks, risk 0.70\n",
        "    agents/assistant.yaml, assistant:  auto_approve_threshold: 0.7\n",
        "      approval_rule is left; gives up being asked about anything of this agent up to 0.70\n",
        "With the 2 first lines together nobody is asked.",
        "[unproven_destination /to]",
        "[more_than_asked]",
        "budgets: 5000.00 EUR per day",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(!page.contains("production: 0"), "one line for each reason: {page}");
    let all = place.aecl.run(&["policy", "why", "transfer_funds", "--all"]).ended(0).out;
    assert!(all.contains("    risk.json:  production: 0\n"), "{all}");

    // Written as it is told, nobody is asked, and the bundle in use is as it was.
    place.aecl.run(&["explain", "assistant", "transfer_funds", call]).ended(4);
    let other = place.other("other", |dir| {
        edit(&dir.join("actions/finance.yaml"), "approval: { always: true", "approval: { always: false");
        let agent = dir.join("agents/assistant.yaml");
        edit(&agent, r#"auto_approve_threshold: "0.60""#, "auto_approve_threshold: 0.7");
        fs::remove_dir_all(dir.join("examples")).unwrap();
    });
    place.aecl.run(&["explain", "assistant", "transfer_funds", call, "--policy", &other]).ended(0);
    let after =
        place.aecl.run(&["policy", "why", "transfer_funds", "--policy", &other, "--json"]).ended(0).json();
    assert_eq!(after["actions"][0]["situations"][0]["verdict"], "allow", "{after}");

    let read = place.aecl.run(&["policy", "why", "read_invoice", "--agent", "assistant"]).ended(0).out;
    assert!(read.contains("Nobody is asked, in any of these situations."), "{read}");
}

#[test]
fn why_names_what_may_have_been_meant() {
    let place = place();
    let wrong = place.aecl.run(&["policy", "why", "transfer_fund"]).ended(1);
    assert!(
        wrong.err.contains("did you mean `transfer_funds`?") && wrong.err.contains("[action_unknown]"),
        "{}",
        wrong.err
    );
    let wrong = place.aecl.run(&["policy", "why", "transfer"]).ended(1);
    assert!(
        wrong.err.contains("`reverse_transfer`") && wrong.err.contains("`transfer_funds`"),
        "{}",
        wrong.err
    );
    let wrong = place.aecl.run(&["policy", "why", "transfer_funds", "--agent", "asistant"]).ended(1);
    assert!(
        wrong.err.contains("did you mean `assistant`?") && wrong.err.contains("[agent_unknown]"),
        "{}",
        wrong.err
    );
    let none = place.aecl.run(&["policy", "why", "transfer_funds", "--arguments", "{"]).ended(1);
    assert!(none.err.contains("no JSON object") && none.err.contains("--arguments '{"), "{}", none.err);
}

#[test]
fn diff_says_what_becomes_looser_and_stricter() {
    let place = place();
    let policy = place.policy();
    let same = place.other("same", |_| {});
    let ran = place.aecl.run(&["policy", "diff", policy.to_str().unwrap(), &same, "--exit-code"]).ended(0);
    assert_eq!(ran.out, "The same, byte for byte.\n");

    let other = place.other("other", |dir| {
        fs::write(dir.join("agents/clerk.json"), json!({"agent_id": "clerk", "allowed_actions": ["read_invoice"]}).to_string()).unwrap();
        fs::write(dir.join("rules/own.cedar"), "@id(\"quiet\") @reason(\"no reading at night\") forbid (principal, action == Action::\"read_invoice\", resource) when { context.environment == \"moon\" };").unwrap();
        edit(&dir.join("agents/assistant.yaml"), "token_ttl_seconds: 900", "token_ttl_seconds: 600");
        fs::create_dir(dir.join("people")).unwrap();
        fs::write(dir.join("people/anna.yaml"), "user: anna\nemails: [anna@harbour.example]\n").unwrap();
    });
    let args = ["policy", "diff", policy.to_str().unwrap(), &other];
    let ran = place.aecl.run(&args).ended(0);
    assert!(ran.out.contains("looser") && ran.out.contains("clerk"), "{}", ran.out);
    assert!(ran.out.contains("new: no reading at night (for 2 pairs of agent and action)"), "{}", ran.out);
    assert!(ran.out.contains("agent assistant: `token_ttl_seconds` was 900, is 600"), "{}", ran.out);
    assert!(ran.out.contains("user anna: new"), "{}", ran.out);
    place.aecl.run(&[&args[..], &["--exit-code"]].concat()).ended(1);
    let moved = place.other("moved", |dir| {
        fs::create_dir(dir.join("people")).unwrap();
        fs::write(dir.join("people/anna.yaml"), "user: anna\nemails: [anna@foe.example]\n").unwrap();
    });
    let kept = place.other("kept", |dir| {
        fs::create_dir(dir.join("people")).unwrap();
        fs::write(dir.join("people/anna.yaml"), "user: anna\nemails: [anna@harbour.example]\n").unwrap();
    });
    let ran = place.aecl.run(&["policy", "diff", &kept, &moved, "--exit-code"]).ended(1);
    assert!(
        ran.out.contains(r#"`emails` was ["anna@harbour.example"], is ["anna@foe.example"]"#),
        "{}",
        ran.out
    );
    let back =
        place.aecl.run(&["policy", "diff", &other, policy.to_str().unwrap(), "--json"]).ended(0).json();
    let ways = names(&back["difference"]["pairs"], "way");
    assert!(ways.contains(&"stricter".to_owned()) && !ways.contains(&"looser".to_owned()), "{back}");
}

#[test]
fn history_is_decided_again_and_learned_from() {
    let place = place();
    let aecl = &place.aecl;
    aecl.run(&["policy", "learn"]).ended(1);
    let key = aecl
        .run(&["keys", "add", "orchestrator", "planner", "--agent", "assistant"])
        .ended(0)
        .out
        .trim()
        .to_owned();
    {
        let served = aecl.serve();
        let (_, token) = served.open_run(&key, "assistant");
        for invoice in ["1", "2"] {
            served.propose(&token, "read_invoice", json!({"invoice": invoice}));
        }
        served.propose(&token, "delete_record", json!({"record": "1"}));
        served.propose(
            &token,
            "transfer_funds",
            json!({"to": "vendor-1", "amount": "10.00", "currency": "EUR"}),
        );
    }
    let looser = place.other("looser", |dir| {
        let file = dir.join("agents/assistant.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let rest: Vec<&str> =
            text.lines().filter(|l| !l.starts_with("blocked_actions") && !l.contains("requires_")).collect();
        fs::write(&file, rest.join("\n").replace("allowed_actions: [", "allowed_actions: [delete_record, "))
            .unwrap();
        drop(fs::remove_dir_all(dir.join("examples")));
    });
    let stricter = place.other("stricter", |dir| {
        fs::write(dir.join("agents/assistant.yaml"), "agent_id: assistant\nallowed_actions: []\n").unwrap();
        drop(fs::remove_dir_all(dir.join("examples")));
        drop(fs::remove_dir_all(dir.join("rules")));
    });
    let same = aecl
        .run(&["policy", "simulate", "--bundle", place.policy().to_str().unwrap(), "--json"])
        .ended(0)
        .json();
    assert!(
        same["decisions"].as_u64() >= Some(4) && same["changes"].as_array().unwrap().is_empty(),
        "{same}"
    );
    let ran = aecl.run(&["policy", "simulate", "--bundle", &stricter, "--strict"]).ended(0);
    assert!(ran.out.contains("Newly blocked: ") && ran.out.contains("× read_invoice"), "{}", ran.out);
    let json = aecl.run(&["policy", "simulate", "--bundle", &looser, "--json"]).ended(0).json();
    let moved = json["newly_allowed"].as_u64().unwrap() + json["newly_held"].as_u64().unwrap();
    assert!(moved >= 1, "{json}");
    // The same from an export, which carries its own history.
    let export = place.dir.path().join("export");
    let export = export.to_str().unwrap();
    aecl.run(&["log", "export", export, "--payloads"]).ended(0);
    let again =
        aecl.run(&["policy", "simulate", "--bundle", &looser, "--export", export, "--json"]).ended(0).json();
    assert_eq!(again["changes"], json["changes"]);

    let learned = aecl.run(&["policy", "learn"]).ended(0);
    let manifest = &learned.json()[0];
    assert_eq!(manifest["agent_id"], "assistant");
    assert!(learned.err.contains("delete_record: left out, it was never carried out"), "{}", learned.err);
    // It is a manifest: in place of the old one the bundle still loads.
    let used = place.other("used", |dir| {
        fs::remove_file(dir.join("agents/assistant.yaml")).unwrap();
        drop(fs::remove_dir_all(dir.join("examples")));
        fs::write(dir.join("agents/learned.json"), &learned.out).unwrap();
    });
    aecl.run(&["policy", "check", &used]).ended(0);
    let file = place.dir.path().join("learned.json");
    let file = file.to_str().unwrap();
    aecl.run(&["policy", "learn", "assistant", "--out", file]).ended(0);
    aecl.run(&["policy", "learn", "assistant", "--out", file]).ended(1);
    aecl.run(&["policy", "learn", "stranger"]).ended(1);
}

#[test]
fn residual_counts_what_a_hijacked_agent_could_still_do() {
    let place = place();
    let sound = place.aecl.run(&["policy", "residual", "--max-percent", "10", "--json"]).ended(0).json();
    assert!(sound["pairs"].as_u64() > Some(0), "{sound}");
    let open = place.other("open", |dir| {
        fs::write(dir.join("actions/note.json"), json!({
            "name": "note.write", "effect": "write", "reversibility": "reversible",
            "arguments": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        }).to_string()).unwrap();
        fs::write(
            dir.join("agents/clerk.json"),
            json!({
                "agent_id": "clerk", "allowed_actions": ["note.write"], "auto_approve_threshold": 1,
            })
            .to_string(),
        )
        .unwrap();
        fs::write(
            dir.join("examples/clerk.json"),
            json!({
                "name": "notes", "agent": "clerk", "action": "note.write", "arguments": {"text": "x"},
                "goal": "Write a note about the invoice.", "expect": "allow",
            })
            .to_string(),
        )
        .unwrap();
    });
    let ran = place.aecl.run(&["policy", "residual", &open]).ended(0);
    assert!(ran.out.contains("note.write"), "{}", ran.out);
    place.aecl.run(&["policy", "residual", &open, "--max-percent", "0"]).ended(1);
}

#[test]
fn bundles_that_are_shipped_leave_little_to_an_attacker() {
    let place = place();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/finance/policy");
    for bundle in [example.to_str().unwrap(), place.policy().to_str().unwrap()] {
        let left =
            place.aecl.run(&["policy", "residual", bundle, "--max-percent", "10", "--json"]).ended(0).json();
        assert!(left["pairs"].as_u64() > Some(0), "{left}");
        place.aecl.run(&["policy", "test", bundle]).ended(0);
    }
}

/// A hijacked agent has what the goal names, and only then gets through with it.
#[test]
fn an_attacker_has_what_the_goal_names_and_nothing_of_his_own_gets_through() {
    let place = place();
    let residual = |goal: &str| {
        let bundle = place.other(&format!("mails{}", goal.len()), |dir| {
            fs::write(dir.join("actions/mail.json"), json!({
                "name": "mail.send", "effect": "send", "reversibility": "reversible", "output": {"untrusted": false},
                "arguments": {"type": "object", "properties": {"to": {"type": "string", "format": "email"}}, "required": ["to"]},
                "args": {"to": {"class": "dest_email"}}, "intent": {"strong": ["mail", "send"]},
            }).to_string()).unwrap();
            fs::write(dir.join("agents/clerk.json"), json!({
                "agent_id": "clerk", "allowed_actions": ["mail.send"], "auto_approve_threshold": 1,
            }).to_string()).unwrap();
            fs::write(dir.join("examples/clerk.json"), json!({
                "name": "mails", "agent": "clerk", "action": "mail.send", "arguments": {"to": "a@b.example"},
                "goal": goal, "expect": "allow",
            }).to_string()).unwrap();
        });
        let told = place.aecl.run(&["policy", "residual", &bundle, "--json"]).ended(0).json();
        let pairs = told["details"].as_array().unwrap().clone();
        pairs.into_iter().find(|p| p["agent"] == "clerk" && p["action"] == "mail.send").unwrap()
    };
    let named = residual("Send the report to anna@firm.example.");
    assert_eq!(named["through"]["to"], "anna@firm.example", "{named}");
    assert_eq!(named["from"]["to"], "the goal", "{named}");
    assert_eq!(residual("Send the report to Anna")["through"], Value::Null);
}

#[test]
fn a_claim_that_names_nothing_does_not_load() {
    let place = place();
    for (claim, wanted) in [
        (json!({"name": "a", "never": {"agent": "asistant"}}), "did you mean `assistant`?"),
        (json!({"name": "a", "never": {"action": "transfer_fund"}}), "did you mean `transfer_funds`?"),
        (json!({"name": "a", "never": {"effect": "pays"}}), "no effect"),
        (json!({"name": "a", "never": {"effect": "deploy"}}), "no agent and action"),
        (json!({"name": "a"}), "either `never` or `always`"),
        (json!({"name": "a", "never": {"people": 2}}), "`without: approval`"),
        (
            json!({"name": "a", "never": {"action": "transfer_funds", "when": "context.args.ammount > 1"}}),
            "ammount",
        ),
        (
            json!({"name": "a", "never": {"action": "transfer_funds", "when": "true }; permit(principal, action, resource) when { true"}}),
            "`when`",
        ),
    ] {
        let other = place.other(&format!("claim{}", wanted.len()), |dir| {
            fs::write(dir.join("properties/own.json"), claim.to_string()).unwrap();
        });
        let ran = place.aecl.run(&["policy", "check", &other]).ended(1);
        assert!(ran.out.contains(wanted), "{claim}: {}", ran.out);
        fs::remove_dir_all(other).unwrap();
    }
}

#[test]
fn a_proof_without_its_programs_says_how_to_get_them() {
    let place = place();
    for args in [&["policy", "prove"][..], &["policy", "prove", "--json"][..]] {
        let mut command = place.aecl.command(args);
        let ran = command.env("AECL_PROVE", "/nowhere/aecl-prove").output().unwrap();
        let said =
            String::from_utf8_lossy(if args.len() == 2 { &ran.stderr } else { &ran.stdout }).into_owned();
        assert_eq!(ran.status.code(), Some(6), "{said}");
        assert!(said.contains("--path prove") && said.contains("apt-get install cvc5"), "{said}");
    }
    let ran =
        place.aecl.run(&["policy", "prove", "--property", "money never moves without a persn"]).ended(1);
    assert!(ran.err.contains("did you mean `money never moves without a person`?"), "{}", ran.err);
}

#[test]
fn a_rule_of_hundreds_of_operators_is_asked_about() {
    let place = place();
    fs::remove_dir_all(place.policy().join("examples")).unwrap();
    let condition = format!("context.run.untrusted{}", " && context.run.untrusted".repeat(900));
    let rule =
        format!("@id(\"long\")\n@reason(\"r\")\nforbid(principal, action, resource) when {{ {condition} }};");
    fs::write(place.policy().join("rules/long.cedar"), rule).unwrap();
    let solver = place.dir.path().join("aecl-prove");
    let says = "#!/bin/sh\nread -r opening\necho '{\"ready\":\"cvc5 1.0\"}'\nwhile read -r question; do echo '{\"answer\":\"no\"}'; done\n";
    fs::write(&solver, says).unwrap();
    fs::set_permissions(&solver, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let ran = place.aecl.command(&["policy", "prove", "--json"]).env("AECL_PROVE", &solver).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code().is_some(), "{}: {said}", ran.status);
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert!(found["questions"].as_u64().unwrap() > 10, "{found}");
}

/// A tool of a workshop whose argument says what it does, with these operations as what can be taken back.
fn machine(light: Value) -> String {
    json!({
        "name": "machine", "effect": "delete", "reversibility": "irreversible", "egress": "none", "output": {"untrusted": false},
        "arguments": {"type": "object", "required": ["operation"], "properties": {
            "operation": {"enum": ["show", "start", "stop", "scrap"]}, "serial": {"type": "string"}}},
        "cases": [
            {"when": {"operation": "show"}, "effect": "read"},
            {"when": {"operation": light}, "effect": "write", "severity": 1, "reversibility": "reversible"},
        ],
    })
    .to_string()
}

#[test]
fn each_call_of_a_tool_that_does_several_things_has_its_own_line() {
    let place = place();
    let with = |name: &str, light: Value| {
        place.other(name, |dir| {
            fs::write(dir.join("actions/machine.json"), machine(light)).unwrap();
            let agent = json!({"agent_id": "clerk", "allowed_actions": ["machine"], "auto_approve_threshold": "1.00"});
            fs::write(dir.join("agents/clerk.json"), agent.to_string()).unwrap();
        })
    };
    let (old, new) = (with("old", json!(["start", "stop"])), with("new", json!(["start", "scrap"])));
    let ran = place.aecl.run(&["policy", "diff", &old, &new, "--json"]).ended(0).json();
    let pairs = ran["difference"]["pairs"].as_array().unwrap();
    let lines: Vec<String> = pairs.iter().map(|p| format!("{}: {}", p["way"], p["when"])).collect();
    // To start is what it was, although its case is another one now.
    assert_eq!(lines, [r#""stricter": "`operation` is `stop`""#, r#""looser": "`operation` is `scrap`""#]);

    let residual = place.aecl.run(&["policy", "residual", &new, "--json"]).ended(0).json();
    let tried = residual["details"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["action"] == "machine" && p["agent"] == "clerk");
    let tried: Vec<&Value> = tried.map(|p| &p["when"]).collect();
    assert!(
        tried.contains(&&json!("`operation` is `start` or `scrap`")) && tried.contains(&&Value::Null),
        "{tried:?}"
    );
    assert_eq!(tried.len(), 2, "the one that only shows changes nothing");
    assert!(
        residual["details"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["when"].is_string() && p["through"].is_object())
    );
}
