//! From nothing to a directory that works: init, keys, policy, explain.

use crate::program::Aecl;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A directory for a test, which an ordinary user may write, too.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// The first five minutes, step by step.
fn first_steps(aecl: &Aecl) {
    let written = aecl
        .run(&["init", "--json", "--origin", "test.example/aecl", "--server", "files", "--server", "git"])
        .ended(0)
        .json();
    assert_eq!(written["origin"], "test.example/aecl");
    assert_eq!(written["existing"].as_array().unwrap().len(), 0);
    let client = &written["mcp_client"]["mcpServers"]["git"];
    assert!(Path::new(client["command"].as_str().unwrap()).is_absolute());
    let args: Vec<&str> = client["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert!(
        Path::new(args[1]).is_absolute() && args.contains(&"mcp") && args.contains(&"assistant"),
        "{args:?}"
    );

    let checked = aecl.run(&["policy", "check", "--json"]).ended(0).json();
    assert_eq!(
        (&checked["loads"], &checked["agents"], &checked["examples"]),
        (&true.into(), &1.into(), &2.into())
    );
    assert_eq!(
        checked["problems"].as_array().unwrap().len(),
        0,
        "nothing that it wrote is doubtful: {checked}"
    );
    aecl.run(&["policy", "check", "--strict"]).ended(0);

    let why = aecl.run(&["explain", "assistant", "files.write_file", "{}"]).ended(3);
    assert!(why.out.starts_with("Blocked: `files.write_file` does not happen.\n"), "{}", why.out);

    let added =
        aecl.run(&["keys", "add", "person", "ann", "--group", "operators", "--group", "finance"]).ended(0);
    assert!(added.out.starts_with("aecl_p_") && added.out.lines().count() == 1, "{}", added.out);
    let added = aecl
        .run(&["keys", "add", "orchestrator", "planner", "--agent", "assistant", "--json"])
        .ended(0)
        .json();
    assert!(added["key"].as_str().unwrap().starts_with("aecl_o_"));
    let listed = aecl.run(&["keys", "list", "--json"]).ended(0).json();
    assert_eq!(listed["people"][1]["groups"], serde_json::json!(["finance", "operators"]));
    assert_eq!(listed["orchestrators"][0]["key_hash"], added["key_hash"]);

    aecl.run(&["doctor"]).ended(0);
    let again = aecl.run(&["init"]).ended(1);
    assert!(again.err.contains("exists already") && again.err.contains("hint: "), "{}", again.err);
    let more = aecl.run(&["init", "--force", "--json"]).ended(0).json();
    assert_eq!(more["written"].as_array().unwrap().len(), 0, "{more}");
}

#[test]
fn the_first_steps_work() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    first_steps(&aecl);
    let dir = aecl.dir();
    assert_eq!((mode(dir), mode(&dir.join("keys")), mode(&dir.join("data"))), (0o700, 0o700, 0o700));
    for file in ["keys/ledger.pem", "keys/tokens.pem", "keys/operator.key", "aecl.yaml"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn the_first_steps_work_for_an_ordinary_user() {
    // An ordinary user runs the test above as one.
    if !is_root() {
        return;
    }
    let place = place();
    first_steps(&Aecl::on(&place.path().join("home")).by_nobody());
}

#[test]
fn every_example_of_init_loads() {
    for example in ["filesystem", "finance", "none"] {
        let place = place();
        let aecl = Aecl::on(&place.path().join("home"));
        aecl.run(&["init", "--example", example, "--agent", "team/../on"]).ended(0);
        let checked = aecl.run(&["policy", "check"]).ended(0);
        assert!(checked.out.contains("loads"), "{}", checked.out);
        aecl.run(&["policy", "show", "team/../on"]).ended(0);
    }
}

#[test]
fn what_init_writes_explains_every_key() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let read = |path: &str| std::fs::read_to_string(aecl.dir().join(path)).unwrap();
    let config = serde_json::to_value(aecl_gate::config::Config::parse(&read("aecl.yaml")).unwrap()).unwrap();
    let bundle = aecl_gate::loader::load(&aecl.dir().join("policy")).unwrap();
    let agent = serde_json::to_value(&**bundle.agents().next().unwrap()).unwrap();
    for (file, value) in [("aecl.yaml", config), ("policy/agents/assistant.yaml", agent)] {
        let text = read(file);
        for (key, inner) in value.as_object().unwrap() {
            let inner = inner.as_object().filter(|_| ["limits", "approvals"].contains(&key.as_str()));
            for key in std::iter::once(key).chain(inner.into_iter().flat_map(|i| i.keys())) {
                let there =
                    text.lines().any(|l| l.trim_start_matches(['#', ' ']).starts_with(&format!("{key}:")));
                assert!(there, "{file} does not explain `{key}`");
            }
        }
    }
}

#[test]
fn keys_leave_comments_and_everything_else_alone() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let path = aecl.dir().join("aecl.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    for (kind, flag, of) in [("person", "--group", "on"), ("orchestrator", "--agent", "assistant")] {
        aecl.run(&["keys", "add", kind, "null", flag, of]).ended(0);
        let between = std::fs::read_to_string(&path).unwrap();
        let new = between.lines().filter(|l| !before.lines().any(|b| b == *l)).count();
        // An entry of three lines, and `orchestrators:` instead of `orchestrators: []`.
        assert_eq!(new, 3 + usize::from(kind == "orchestrator"), "{between}");
        aecl.run(&["keys", "remove", "null"]).ended(0);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            before,
            "what was added is taken out without a trace"
        );
    }
    assert_eq!(mode(&path), 0o600);
    assert!(!aecl.dir().join("aecl.yaml.new").exists());
}

#[test]
fn keys_do_not_touch_what_they_do_not_understand() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("orchestrators: []", "orchestrators: [ ] # flow"),
        ("orchestrators: []", "x-anchor: &a []\norchestrators: *a"),
        ("orchestrators: []", "\"orchestrators\": []"),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        let ran = aecl.run(&["keys", "add", "orchestrator", "o", "--agent", "assistant"]).ended(1);
        assert!(ran.err.contains("hint: ") && ran.out.is_empty(), "{} {}", ran.out, ran.err);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert!(!aecl.dir().join("aecl.yaml.new").exists());
    }
}

#[test]
fn explain_says_why_in_every_case() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let pay = |amount: &str| format!(r#"{{"to": "DE00", "amount": "{amount}", "currency": "EUR"}}"#);
    let cases: &[(&str, &str, &[&str], i32, &str)] = &[
        ("read_invoice", r#"{"invoice": "1"}"#, &[], 0, "null"),
        ("transfer_funds", &pay("10.00"), &[], 4, "approval_rule"),
        ("transfer_funds", &pay("10.00"), &["--untrusted"], 4, "approval_rule"),
        ("transfer_funds", &pay("5000.01"), &[], 3, "budget_exceeded"),
        ("transfer_funds", &pay("-1"), &[], 3, "amount_invalid"),
        ("transfer_funds", &pay("0.001"), &[], 3, "amount_invalid"),
        ("transfer_funds", r#"{"to": "DE00"}"#, &[], 3, "arguments_invalid"),
        ("delete_record", r#"{"record": "1"}"#, &[], 3, "action_blocked"),
        ("reverse_transfer", r#"{"transfer": "1"}"#, &[], 3, "not_allowed"),
        ("read_invoices", "{}", &[], 3, "action_unknown"),
        ("read_invoice", r#"{"invoice": "1", "invoice": "2"}"#, &[], 3, "json_duplicate_key"),
        ("read_invoice", "[]", &[], 3, "arguments_not_object"),
        ("read_invoice", "nonsense", &[], 3, "json_invalid"),
    ];
    for (action, arguments, more, code, headline) in cases {
        let mut args = vec!["explain", "assistant", action, arguments];
        args.extend(*more);
        let text = aecl.run(&args).ended(*code);
        args.push("--json");
        let json = aecl.run(&args).ended(*code).json();
        let found = json["decision"]["headline"].as_str().unwrap_or("null");
        assert_eq!(found, *headline, "{action} {arguments}");
        if *headline != "null" {
            assert!(text.out.contains(&format!("[{headline}]")), "{}", text.out);
        }
    }
    let fed =
        aecl.fed(&["explain", "assistant", "read_invoice", "-"], br#"{"invoice": "\u001b[31m"}"#).ended(0);
    assert!(fed.out.contains("touches       \\u{1b}[31m") && !fed.out.contains('\u{1b}'), "{}", fed.out);
    let two = aecl.run(&["explain", "assistant", "transfer_funds", &pay("10.00"), "--untrusted"]);
    assert!(two.out.contains("2 different people of operators"), "{}", two.out);
}

#[test]
fn what_policy_show_says_is_what_is_decided() {
    let place = place();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let shown = aecl.run(&["policy", "show", "--json"]).ended(0).json();
    let looks: Vec<(&str, &str)> = shown["agents"][0]["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["name"].as_str().unwrap(), a["outlook"].as_str().unwrap()))
        .collect();
    assert_eq!(
        looks,
        [
            ("delete_record", "block"),
            ("read_invoice", "allow"),
            ("reverse_transfer", "only_to_undo"),
            ("transfer_funds", "require_approval")
        ]
    );
    for (name, arguments, code) in [
        ("delete_record", r#"{"record": "1"}"#, 3),
        ("read_invoice", r#"{"invoice": "1"}"#, 0),
        ("transfer_funds", r#"{"to": "a", "amount": "1", "currency": "EUR"}"#, 4),
    ] {
        aecl.run(&["explain", "assistant", name, arguments]).ended(code);
    }
}

/// What `init` writes is no reason to look, whichever way it is asked; what somebody adds to it can be.
#[test]
fn a_fresh_home_has_no_warnings() {
    for more in
        [&["--server", "files", "--server", "git"][..], &["--example", "finance"], &["--example", "none"]]
    {
        let place = tempfile::tempdir().unwrap();
        let aecl = Aecl::on(&place.path().join("home"));
        aecl.run(&[&["init"], more].concat()).ended(0);
        let checked = aecl.run(&["policy", "check", "--json"]).ended(0).json();
        assert_eq!(checked["problems"], json!([]), "{more:?}");
        aecl.run(&["policy", "check", "--strict"]).ended(0);
        let report = aecl.run(&["doctor", "--json"]).json();
        for found in report["checks"].as_array().unwrap() {
            // Of this place: tests may run as root, the home is beside the directory that they run in, and others serve.
            let of_place = ["owner", "home", "address"].iter().any(|what| found["what"] == *what);
            assert!(found["state"] == "ok" || of_place, "{more:?}: {found}");
        }
    }
    // Names that people give are not for a wildcard: what is added later does not ask anybody the first time.
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--server", "files"]).ended(0);
    let linted = aecl.run(&["policy", "lint", "--json"]).ended(1).json();
    assert_eq!(linted["lints"][0]["lint"], "wildcard", "whoever wants all of it gets it: {linted}");
    let problems = || aecl.run(&["policy", "check", "--json"]).ended(0).json()["problems"].to_string();
    let action = |name: &str| {
        json!([{
            "name": name, "effect": "read", "description": "Reads.", "arguments": {"type": "object"},
            "output": {"untrusted": false, "private": false},
            "connector": {"kind": "http", "method": "GET", "url": "https://files.example/"},
        }])
    };
    let write = |path: &str, text: String| {
        let path = aecl.dir().join("policy").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("actions/own.json", action("other.read").to_string());
    assert_eq!(problems(), "[]", "not what it covers");
    write("actions/own.json", action("files.read").to_string());
    assert!(problems().contains("has the wildcard `files.*`"), "{}", problems());
    std::fs::rename(
        aecl.dir().join("policy/actions/own.json"),
        aecl.dir().join("policy/actions/mcp-files.json"),
    )
    .unwrap();
    assert!(!problems().contains("wildcard"), "{}", problems());
    let manifest = aecl.dir().join("policy/agents/assistant.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("\"files.*\"", "\"*\"");
    std::fs::write(manifest, text).unwrap();
    assert!(problems().contains("has the wildcard `*`"), "{}", problems());
}
