//! What `aecl doctor` notices.

use crate::program::Aecl;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn check<'a>(report: &'a Value, what: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|c| c["what"] == what).unwrap_or(&Value::Null)
}

#[test]
fn doctor_names_what_is_broken() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    let sound = aecl.run(&["doctor", "--json"]).ended(0).json();
    assert_eq!(sound["sound"], true, "{sound}");
    assert_eq!(sound["checklist"].as_array().unwrap().len(), 11);
    assert_eq!(sound["checklist"][9]["state"], "not_met", "delete_record has no way back");

    let dir = aecl.dir().to_owned();
    let file = |path: &str| dir.join(path);
    let mode = |path: &str, mode| {
        std::fs::set_permissions(file(path), std::fs::Permissions::from_mode(mode)).unwrap()
    };
    let edit = |path: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(file(path)).unwrap();
        assert!(text.contains(from), "{path}: {from}");
        std::fs::write(file(path), text.replace(from, to)).unwrap();
    };
    let broken = |what: &str| {
        let report = aecl.run(&["doctor", "--json"]).ended(1).json();
        assert_eq!(check(&report, what)["state"], "broken", "{what}: {report}");
        assert!(check(&report, what)["todo"].is_string(), "{what}");
        report
    };

    mode("keys/ledger.pem", 0o644);
    broken("ledger key");
    mode("keys/ledger.pem", 0o600);
    mode("keys/operator.key", 0o640);
    broken("operator key");
    mode("keys/operator.key", 0o600);
    std::fs::hard_link(file("keys/operator.key"), place.path().join("second")).unwrap();
    let report = broken("names of keys");
    let found = check(&report, "names of keys")["found"].as_str().unwrap();
    assert!(found.contains("keys/operator.key"), "{found}");
    std::fs::remove_file(place.path().join("second")).unwrap();
    mode("keys", 0o755);
    broken("owner");
    mode("keys", 0o700);
    edit("aecl.yaml", "listen: 127.0.0.1:7600", "listen: nonsense");
    broken("address");
    edit("aecl.yaml", "listen: nonsense", "listen: 127.0.0.1:7600");
    // With or without the feature, there is no model there.
    let local = "judges: [{ name: intent, kind: local, model: /nowhere }]";
    edit("aecl.yaml", "judges: []", local);
    broken("judge");
    edit("aecl.yaml", local, "judges: []");
    // Two people have to agree, and there is one.
    edit(
        "policy/actions/finance.yaml",
        "approvers: [operators], count: 1",
        "approvers: [operators], count: 2",
    );
    let report = broken("approvers");
    assert_eq!(report["checklist"][7]["state"], "not_met", "{report}");
    edit(
        "policy/actions/finance.yaml",
        "approvers: [operators], count: 2",
        "approvers: [operators], count: 1",
    );
    edit("policy/agents/assistant.yaml", "token_ttl_seconds: 900", "token_ttl_seconds: 86400");
    let report = aecl.run(&["doctor", "--json"]).ended(0).json();
    assert_eq!(report["checklist"][0]["state"], "not_met");
    edit("policy/agents/assistant.yaml", "token_ttl_seconds: 86400", "token_ttl_second: 900");
    broken("policy");
    edit("aecl.yaml", "origin:", "orgin:");
    broken("configuration");
    let text = aecl.run(&["doctor"]).ended(1);
    assert!(
        text.out.contains("BROKEN  configuration") && text.out.contains("        -> correct the file"),
        "{}",
        text.out
    );
}

#[test]
fn doctor_sees_secrets_that_are_written_out() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let server = |value: &str| {
        let block = format!(
            "servers:\n  git:\n    kind: stdio\n    command: git\n    env: {{ GIT_TOKEN: \"{value}\" }}\n"
        );
        std::fs::write(&path, text.replace("servers: {}\n", &block)).unwrap();
        aecl.run(&["doctor", "--json"]).ended(0).json()["checklist"][1].clone()
    };
    assert_eq!(server("{secret:env:GIT_TOKEN}")["state"], "met");
    let point = server("ghp_123");
    assert_eq!(point["state"], "not_met");
    assert!(
        point["why"].as_str().unwrap().contains("servers.git.env.GIT_TOKEN")
            && !point.to_string().contains("ghp_123")
    );
}

#[test]
fn doctor_tries_out_what_holds_programs_here() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    // Before there is an installation: a host can be proven first.
    let report = aecl.run(&["doctor", "--sandbox", "--json"]).ended(0).json();
    let native = &report["backends"][0];
    assert_eq!((&native["backend"], &native["available"]), (&"native".into(), &true.into()), "{report}");
    assert!(native["attacks_tried"].as_u64().unwrap() > 15 && native["start_ms"].is_u64(), "{native}");
    assert_eq!(native["attacks_tried"], native["attacks_refused"]);
    assert_eq!((&report["sound"], &report["needs"]), (&true.into(), &serde_json::json!([])));

    let sha256 = "00".repeat(32);
    let file = place.path().join("machines.json");
    let machine = serde_json::json!({
        "kernel": { "path": "/no/kernel", "sha256": sha256 },
        "root": { "path": "/no/disk", "sha256": sha256 },
        "root_filesystem": "ext4",
    });
    let list =
        serde_json::json!([{ "monitor": "firecracker", "program": "/no/monitor", "machine": machine }]);
    std::fs::write(&file, list.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let report = aecl.run(&["doctor", "--sandbox", "--machines", file, "--json"]).ended(0).json();
    let machine = report["backends"].as_array().unwrap().last().unwrap();
    assert_eq!((&machine["tier"], &machine["available"]), (&"microvm".into(), &false.into()), "{machine}");
    assert!(machine["reason"].as_str().unwrap().contains("/no/disk"), "{machine}");
    let text = aecl.run(&["doctor", "--sandbox", "--machines", file]).ended(0).out;
    assert!(
        text.contains("not here  firecracker (tier microvm)") && text.contains("holds     native"),
        "{text}"
    );

    // A daemon is asked where somebody names it, and nowhere else.
    assert!(text.contains("No Docker daemon was asked"), "{text}");
    let text = aecl.run(&["doctor", "--sandbox", "--docker", "no.sock"]).ended(0).out;
    assert!(
        text.contains("not here  docker (tier native)") && text.contains("no daemon answers at `/"),
        "{text}"
    );
    aecl.run(&["doctor", "--docker", "/run/docker.sock"]).ended(2);

    std::fs::write(file, r#"[{"monitor": "qemu", "accelerator": "tcg"}]"#).unwrap();
    let refused = aecl.run(&["doctor", "--sandbox", "--machines", file]).ended(1).err;
    assert!(refused.contains("machines.json") && refused.contains("isolation.md"), "{refused}");
    aecl.run(&["doctor", "--machines", file]).ended(2);
}

/// Who is not held well enough hears it by the exit code. The host is made poor: without namespaces of users,
/// nobody here can build a cage.
#[test]
fn doctor_fails_where_a_tier_is_missing_that_actions_need() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let actions = aecl.dir().join("policy/actions");
    std::fs::create_dir_all(&actions).unwrap();
    let action = serde_json::json!({ "name": "work.test", "effect": "execute", "reversibility": "reversible",
        "arguments": { "type": "object", "properties": {} },
        "connector": { "kind": "process", "argv": ["true"] } });
    std::fs::write(actions.join("work.json"), action.to_string()).unwrap();
    let report = aecl.run(&["doctor", "--sandbox", "--json"]).ended(0).json();
    assert_eq!((&report["needs"][0]["tier"], &report["needs"][0]["met"]), (&"native".into(), &true.into()));
    // What only some runs need is said, and is no failure.
    assert_eq!(
        (&report["needs"][1]["tier"], &report["needs"][1]["always"]),
        (&"microvm".into(), &false.into())
    );
    let command = aecl.command(&["doctor", "--sandbox"]);
    let poor = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c"])
        .args(["echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&poor.stdout);
    assert_eq!(poor.status.code(), Some(1), "{said}");
    assert!(said.contains("Missing: tier native") && said.contains("user.max_user_namespaces"), "{said}");
}

#[test]
fn a_second_tenant_is_noticed_while_keys_name_none() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    // A port of its own, or it is in the way of others.
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("listen: 127.0.0.1:7600", "listen: 127.0.0.1:0")).unwrap();
    let orchestrator = |name: &str, more: &[&str]| {
        let mut args = vec!["keys", "add", "orchestrator", name, "--agent", "assistant", "--json"];
        args.extend(more);
        let said = aecl.run(&args).ended(0).json();
        said["key"].as_str().unwrap().to_owned()
    };
    let warned = || {
        // With any port, whether anybody answers there cannot be looked up.
        let report = aecl.run(&["doctor", "--json"]).json();
        let checked = aecl.run(&["policy", "check", "--json"]).ended(0).json();
        let problems = checked["problems"].as_array().unwrap();
        let message = problems.iter().find(|p| p["file"] == "aecl.yaml").map(|p| p["message"].clone());
        let found = check(&report, "tenants").clone();
        assert_eq!(message.is_some(), found["state"] == "advice", "both say it, or neither: {found}");
        (found["state"].clone(), found["found"].as_str().unwrap_or_default().to_owned())
    };
    let open = orchestrator("planner", &[]);
    let served = aecl.serve();
    let run = |tenant: &str| {
        let body = json!({"agent": "assistant", "goal": "g", "tenant": tenant});
        assert!(served.post(&open, "/v1/runs", &body)["run"].is_string(), "{tenant}");
    };
    run("alpha");
    assert_eq!(warned(), (Value::Null, String::new()), "one tenant needs no boundary");
    run("beta");
    let (state, found) = warned();
    assert_eq!(state, "advice");
    assert!(found.contains("alpha, beta") && found.ends_with("for all of them: planner"), "{found}");

    // Keys that name their tenants, made without an editor; the configuration reads them as meant.
    aecl.run(&["keys", "remove", "planner"]).ended(0);
    aecl.run(&["keys", "add", "person", "ann", "--group", "finance", "--tenant", "alpha"]).ended(0);
    let bound =
        orchestrator("planner", &["--tenant", "alpha", "--tenant", "gamma", "--environment", "staging"]);
    let listed = aecl.run(&["keys", "list", "--json"]).ended(0).json();
    assert_eq!(listed["people"][1]["tenants"], json!(["alpha"]));
    assert_eq!(listed["orchestrators"][0]["tenants"], json!(["alpha", "gamma"]));
    assert_eq!(listed["orchestrators"][0]["environments"], json!(["staging"]));
    let (state, found) = warned();
    assert_eq!(state, "ok", "{found}");
    drop(served);
    let served = aecl.serve();
    let run = |tenant: &str, environment: &str| {
        let body = json!({"agent": "assistant", "goal": "g", "tenant": tenant, "environment": environment});
        served.post(&bound, "/v1/runs", &body)["code"].as_str().map(str::to_owned)
    };
    let forbidden = Some("forbidden".to_owned());
    let said = [run("alpha", "staging"), run("beta", "staging"), run("alpha", "test")];
    assert_eq!(said, [None, forbidden.clone(), forbidden]);
    for refused in [["--tenant", "a b"], ["--environment", "a b"]] {
        let args = ["keys", "add", "orchestrator", "o", "--agent", "assistant", refused[0], refused[1]];
        aecl.run(&args).ended(1);
    }
}

#[test]
fn the_store_is_chosen_by_the_configuration() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let write = |store: &str| std::fs::write(&path, text.replace("store: sqlite\n", store)).unwrap();
    assert!(text.contains("\nstore: sqlite\n"));
    aecl.run(&["kill", "list"]).ended(0);
    for known in ["", "store: sqlite\n"] {
        write(known);
        aecl.run(&["kill", "list"]).ended(0);
        aecl.run(&["log", "verify"]).ended(0);
    }
    write("store: postgres://aecl:hunter2@db/ledger\n");
    for command in [&["kill", "list"][..], &["serve"], &["doctor"], &["log", "tail"], &["home", "move"]] {
        let ran = aecl.run(command).ended(1);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("`store` names `postgres`"), "{command:?}: {said}");
        assert!(said.contains("write `store: sqlite`, or leave the key out"), "{command:?}: {said}");
        assert!(!said.contains("hunter2"), "{command:?}: {said}");
    }
    // What else is wrong keeps nobody from looking at the record.
    write("listne: 127.0.0.1:7600\n");
    aecl.run(&["log", "tail"]).ended(0);
}
