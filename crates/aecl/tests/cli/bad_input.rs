//! What is wrong is said on standard error, with what to do next, and nothing is changed.

use crate::program::Aecl;

#[test]
fn bad_input_is_refused_with_a_way_out() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let before = std::fs::read_to_string(aecl.dir().join("aecl.yaml")).unwrap();
    // Arguments, exit code, what the message says.
    let cases: &[(&[&str], i32, &str)] = &[
        (&["explain", "assistant"], 1, "which action"),
        (&["explain", "as sistant", "x"], 1, "is no agent id"),
        (&["explain", "assistant", "x", "{}", "--at", "yesterday"], 1, "is no UTC time"),
        (&["explain", "assistant", "x", "{}", "--environment", "a b"], 1, "is no environment"),
        (&["policy", "check", "/nowhere"], 1, "cannot read `/nowhere`"),
        (&["policy", "show", "assistent"], 1, "did you mean `assistant`?"),
        (&["keys", "add", "person", "a b"], 1, "is no person id"),
        (&["keys", "add", "person", "a", "--group", "a\u{1b}b"], 1, "`a\\u{1b}b` is no name for a group"),
        (&["keys", "add", "orchestrator", "o", "--agent", "a b"], 1, "is no agent id"),
        (&["keys", "add", "orchestrator", "o"], 2, "--agent"),
        (&["keys", "add", "person", "operator"], 1, "has a key already"),
        (&["keys", "remove", "nobody"], 1, "no person, orchestrator, worker or proxy `nobody`"),
        (&["init", "--force", "--agent", "a b"], 1, "is no agent id"),
        (&["init", "--force", "--origin", "a+b"], 1, "is no name for a ledger"),
        (&["init", "--force", "--server", "a__b"], 1, "is no name for a server"),
        (&["log", "tail"], 1, "nothing is recorded yet"),
        (&["log", "verify", "--key", "x"], 1, "this is no key"),
        (&["kill", "--reason", "x"], 1, "what?"),
        (&["kill", "--all"], 1, "why?"),
        (&["kill", "--all", "--agent", "a", "--reason", "x"], 2, "cannot be used with"),
        (&["resolve", "act_1", "--note", "x"], 2, "--done"),
        (&["resolve", "act_1", "--done", "--note", " "], 1, "how was that found out?"),
        (&["rollback", "act 1", "--reason", "x"], 1, "is no action id"),
        (&["rollback", "act_1", "--reason", "x"], 1, "[record_unknown]"),
        (&["rollback", "--run", "run_1", "--reason", "x"], 1, "[run_unknown]"),
        (&["rollback", "act_1", "--run", "run_1", "--reason", "x"], 2, "cannot be used with"),
        (&["rollback", "--reason", "x"], 2, "required"),
        (&["approvals", "show", "../kill"], 1, "no approval"),
        (&["approvals", "approve", "apr_1"], 1, "[approval_unknown]"),
        (&["approvals", "--key", "aecl_p_wrong"], 1, "[token_invalid]"),
        (&["explain", "act_1"], 1, "[record_unknown]"),
        (&["nonsense"], 2, "unrecognized subcommand"),
    ];
    for (args, code, says) in cases {
        let ran = aecl.run(args).ended(*code);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty() && !ran.err.contains('\u{1b}'), "{args:?}: {}", ran.out);
        assert!(*code == 2 || ran.err.contains("\nhint: "), "{args:?} has no hint: {}", ran.err);
        if *code == 1 {
            let json = aecl.run(&[&["--json"], *args].concat()).ended(1).json();
            assert!(json["error"]["message"].is_string(), "{args:?}: {json}");
        }
    }
    assert_eq!(std::fs::read_to_string(aecl.dir().join("aecl.yaml")).unwrap(), before);
}

#[test]
fn without_a_home_every_command_says_how_to_make_one() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    for args in [
        &["approvals"] as &[&str],
        &["log", "tail"],
        &["log", "verify"],
        &["kill", "list"],
        &["keys", "list"],
        &["keys", "add", "person", "a"],
        &["policy", "check"],
        &["explain", "a", "b"],
        &["explain", "act_1"],
        &["rollback", "act_1", "--reason", "x"],
    ] {
        let ran = aecl.run(args).ended(1);
        assert!(ran.err.contains("hint: "), "{args:?}: {}", ran.err);
        assert!(!aecl.dir().exists(), "{args:?} made a directory");
    }
}

#[test]
fn a_bundle_that_is_wrong_says_everything_that_is() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let policy = aecl.dir().join("policy");
    let agent = std::fs::read_to_string(policy.join("agents/assistant.yaml")).unwrap();
    std::fs::write(policy.join("agents/assistant.yaml"), agent.replace("breaker_after", "breaker_aftr"))
        .unwrap();
    std::fs::write(
        policy.join("rules/own.cedar"),
        "forbid(principal, action, resource) when { context.args.amont > 1 };",
    )
    .unwrap();
    std::fs::write(policy.join("notes.txt"), "x").unwrap();
    let ran = aecl.run(&["policy", "check"]).ended(1);
    assert!(ran.out.contains("error: notes.txt: unknown kind of file"), "{}", ran.out);
    std::fs::remove_file(policy.join("notes.txt")).unwrap();
    let ran = aecl.run(&["policy", "check"]).ended(1);
    assert!(
        ran.out.contains("did you mean `breaker_after`?") && ran.out.contains("rules/own.cedar"),
        "{}",
        ran.out
    );
    let json = aecl.run(&["policy", "check", "--json"]).ended(1).json();
    assert_eq!((&json["loads"], &json["code"]), (&false.into(), &"bundle_invalid".into()));
    assert!(
        json["problems"].as_array().unwrap().iter().any(|p| p["file"] == "agents/assistant.yaml"),
        "{json}"
    );
}

#[test]
fn what_is_wrong_or_doubtful_is_said_of_the_file_that_was_written() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let policy = aecl.dir().join("policy");
    let agent = std::fs::read_to_string(policy.join("agents/assistant.yaml")).unwrap();
    // Doubtful: whatever there will ever be is allowed.
    std::fs::write(
        policy.join("agents/other.yml"),
        "agent_id: other\nallowed_actions: ['*']\nauto_approve_threshold: 1.0\n",
    )
    .unwrap();
    std::fs::write(policy.join("risk.yaml"), "{}\n").unwrap();
    let checked = aecl.run(&["policy", "check", "--json"]);
    let linted = aecl.run(&["policy", "lint"]);
    assert!(checked.out.contains("agents/other.yml"), "{}", checked.out);
    assert!(linted.out.contains("agents/other.yml"), "{}", linted.out);
    for said in [checked.out, linted.out] {
        assert!(!said.contains("other.json") && !said.contains("risk.json"), "{said}");
    }
    std::fs::write(policy.join("agents/assistant.yaml"), agent.replace("breaker_after", "breaker_aftr"))
        .unwrap();
    let started = aecl.run(&["serve"]).ended(1);
    assert!(started.err.contains("agents/assistant.yaml"), "{}", started.err);
    assert!(!started.err.contains("assistant.json"), "{}", started.err);
    // One file in two spellings is two files.
    std::fs::write(policy.join("agents/assistant.yaml"), &agent).unwrap();
    std::fs::write(policy.join("risk.json"), "{}\n").unwrap();
    let twice = aecl.run(&["policy", "check"]).ended(1);
    assert!(twice.out.contains("risk.yaml") && twice.out.contains("risk.json"), "{}", twice.out);
}
