//! What `aecl doctor` notices.

use crate::program::Aecl;
use serde_json::Value;
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
    mode("keys", 0o755);
    broken("owner");
    mode("keys", 0o700);
    edit("aecl.yaml", "listen: 127.0.0.1:7600", "listen: nonsense");
    broken("address");
    edit("aecl.yaml", "listen: nonsense", "listen: 127.0.0.1:7600");
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
