//! `aecl secrets`: values go in and never come out.

use crate::program::Aecl;
use std::os::unix::fs::PermissionsExt;

fn home(place: &tempfile::TempDir) -> Aecl {
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    aecl
}

#[test]
fn a_secret_is_set_listed_replaced_and_removed_and_its_value_is_shown_by_nothing() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    let none = aecl.run(&["secrets", "list"]).ended(0);
    assert!(none.out.contains("no secrets yet"), "{}", none.out);
    let set = aecl.fed(&["secrets", "set", "stripe"], b"sk_live_4711\n").ended(0);
    assert!(set.err.contains("{secret:secret:stripe}") && set.out.is_empty(), "{}", set.err);
    let set = aecl.fed(&["secrets", "set", "finance/erp", "--json"], b"erp_0815\r\n").ended(0).json();
    assert_eq!(
        set,
        serde_json::json!({"name": "finance/erp", "reference": "secret:finance/erp", "replaced": false})
    );
    let again = aecl.fed(&["secrets", "set", "stripe", "--json"], b"sk_live_4712").ended(0).json();
    assert_eq!(again["replaced"], true);
    let listed = aecl.run(&["secrets", "list", "--json"]).ended(0).json();
    let names: Vec<&str> =
        listed["secrets"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["finance/erp", "stripe"]);
    let shown = aecl.run(&["secrets", "list"]).ended(0);
    for text in [set.to_string(), again.to_string(), listed.to_string(), shown.out] {
        assert!(!text.contains("sk_live") && !text.contains("erp_0815"), "{text}");
    }
    for file in ["secrets/store", "keys/secrets.key"] {
        let mode = std::fs::metadata(aecl.dir().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    aecl.run(&["secrets", "rm", "stripe"]).ended(0);
    let gone = aecl.run(&["secrets", "rm", "stripe"]).ended(1);
    assert!(gone.err.contains("no secret `stripe`") && gone.err.contains("hint: "), "{}", gone.err);
}

#[test]
fn what_cannot_be_a_secret_is_refused_with_a_way_out_and_without_showing_it() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    for (name, value, says) in [
        ("a b", &b"v"[..], "is no name for a secret"),
        ("a", b"", "not one line"),
        ("a", b"sk_live\nX-Other: 1", "not one line"),
        ("a", b"sk_live\xff", "no text"),
        ("a", &[b'v'; 70_000], "not one line"),
    ] {
        let ran = aecl.fed(&["secrets", "set", name], value).ended(1);
        assert!(ran.err.contains(says) && ran.err.contains("hint: "), "{name}: {}", ran.err);
        assert!(!ran.err.contains("sk_live"), "{}", ran.err);
    }
    aecl.run(&["secrets", "set", "a", "value-as-argument"]).ended(2);
    assert!(!aecl.dir().join("secrets/store").exists());
    let nowhere = Aecl::on(&place.path().join("other")).fed(&["secrets", "set", "a"], b"v").ended(1);
    assert!(nowhere.err.contains("`aecl init`"), "{}", nowhere.err);
}

#[test]
fn the_key_may_lie_elsewhere_and_a_wrong_one_is_named() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    let elsewhere = place.path().join("mounted/aecl.key");
    let with = |args: &[&str], key: &std::path::Path| {
        let mut command = aecl.command(args);
        command.env("AECL_SECRETS_KEY_FILE", key).output().unwrap()
    };
    aecl.fed(&["secrets", "set", "first"], b"value-1").ended(0);
    std::fs::create_dir(place.path().join("mounted")).unwrap();
    std::fs::rename(aecl.dir().join("keys/secrets.key"), &elsewhere).unwrap();
    let lost = aecl.run(&["secrets", "list"]).ended(1);
    assert!(lost.err.contains("AECL_SECRETS_KEY_FILE"), "{}", lost.err);
    let found = with(&["secrets", "list"], &elsewhere);
    assert!(String::from_utf8(found.stdout).unwrap().contains("first"));
    std::fs::write(&elsewhere, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let wrong = String::from_utf8(with(&["secrets", "list"], &elsewhere).stderr).unwrap();
    assert!(wrong.contains("was sealed with the key"), "{wrong}");
}

#[test]
fn doctor_says_when_a_secret_that_is_named_is_not_there_or_the_store_is_damaged() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let block =
        "servers:\n  git:\n    kind: stdio\n    command: git\n    env: { TOKEN: \"{secret:secret:git}\" }\n";
    std::fs::write(&path, text.replace("servers: {}\n", block)).unwrap();
    let look = |code| {
        let report = aecl.run(&["doctor", "--json"]).ended(code).json();
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|c| c["what"] == "secret store").unwrap()
    };
    assert!(look(1)["found"].as_str().unwrap().ends_with(": git"));
    aecl.fed(&["secrets", "set", "git"], b"ghp_4711").ended(0);
    assert_eq!(look(0)["state"], "ok");
    std::fs::write(aecl.dir().join("secrets/store"), b"aecl-secrets-1\nshort").unwrap();
    assert!(look(1)["found"].as_str().unwrap().contains("is cut off"));
}

#[test]
fn doctor_says_when_an_entry_does_not_name_the_scope_of_its_servers_credentials() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let block = "servers:\n  git:\n    kind: stdio\n    command: git\n    credential_scope: git_ns\n    env: { TOKEN: \"{secret:env:T}\" }\n";
    std::fs::write(&path, text.replace("servers: {}\n", block)).unwrap();
    let look = |scope: serde_json::Value| {
        let entry = serde_json::json!([{
            "name": "git.push", "effect": "write", "reversibility": "irreversible", "credential_scope": scope,
            "arguments": {"type": "object", "properties": {}}, "connector": {"kind": "mcp", "server": "git", "tool": "push"},
        }]);
        std::fs::create_dir_all(aecl.dir().join("policy/actions")).unwrap();
        std::fs::write(aecl.dir().join("policy/actions/git.json"), entry.to_string()).unwrap();
        let report = aecl.run(&["doctor", "--json"]).ended(0).json();
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|c| c["what"] == "credential scope").map(|c| c["found"].to_string())
    };
    let found = look(serde_json::Value::Null).unwrap();
    assert!(
        found.contains("`git` has credentials of the scope `git_ns`, its entry `git.push` says none"),
        "{found}"
    );
    assert!(look("other".into()).unwrap().contains("says `other`"));
    assert_eq!(look("git_ns".into()), None);
}

#[test]
fn a_reference_that_cannot_be_read_is_refused_when_it_is_loaded() {
    let place = tempfile::tempdir().unwrap();
    let aecl = home(&place);
    let path = aecl.dir().join("aecl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let block =
        "servers:\n  git:\n    kind: stdio\n    command: git\n    env: { TOKEN: \"{secret:TOKEN}\" }\n";
    std::fs::write(&path, text.replace("servers: {}\n", block)).unwrap();
    let ran = aecl.run(&["keys", "list"]).ended(1);
    assert!(ran.err.contains("`servers.git`, `TOKEN`: `TOKEN` is no secret reference"), "{}", ran.err);
    let vault = "vault:\n  address: http://10.0.0.1:8200\n  token: hvs.plain\n";
    std::fs::write(&path, format!("{text}{vault}")).unwrap();
    let ran = aecl.run(&["keys", "list"]).ended(1);
    assert!(ran.err.contains("`vault.token`") && !ran.err.contains("hvs.plain"), "{}", ran.err);
}
