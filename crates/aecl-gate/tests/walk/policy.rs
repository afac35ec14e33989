//! The policy in force: a bad one never replaces a good one, a good one counts at once.

use crate::house::{end, everybody, person, request, sources, submission};
use aecl_gate::config::Home;
use aecl_gate::{Gate, keys};
use aecl_kernel::record::event::Event;
use serde_json::json;
use std::fs;

pub async fn home() -> (tempfile::TempDir, Gate) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    fs::write(home.config(), json!({"origin": "example.com/walk", "people": everybody()}).to_string())
        .unwrap();
    for source in sources() {
        let path = home.policy().join(&source.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source.text).unwrap();
    }
    keys::private_dir(&home.keys()).unwrap();
    keys::create(&home.keys().join("ledger.pem")).unwrap();
    keys::create(&home.keys().join("tokens.pem")).unwrap();
    let gate = Gate::open(home).await.unwrap();
    (dir, gate)
}

#[tokio::test]
async fn a_bad_bundle_leaves_the_good_one_in_force_and_is_on_record() {
    let (dir, gate) = home().await;
    let before = gate.bundle().hash();
    let agents = dir.path().join("policy/agents/all.json");
    let good = fs::read_to_string(&agents).unwrap();
    fs::write(&agents, good.replace("allowed_actions", "allowed_action")).unwrap();
    let error = gate.reload().await.unwrap_err();
    assert!(error.to_string().contains("did you mean `allowed_actions`?"), "{error}");
    assert_eq!(gate.bundle().hash(), before);
    let entries = gate.ledger().entries(0, 100).await.unwrap();
    assert!(entries.iter().any(|e| matches!(&e.event, Event::Fault(f) if f.code == "bundle_refused")));
    fs::write(dir.path().join("aecl.yaml"), "origin: [").unwrap();
    assert!(gate.reload().await.is_err());
    fs::write(&agents, good).unwrap();
    fs::write(dir.path().join("aecl.yaml"), "origin: example.com/walk\n").unwrap();
    assert!(!gate.reload().await.unwrap(), "nothing has changed");
}

#[tokio::test]
async fn nothing_that_stands_beside_a_mistake_is_put_on_record() {
    let (dir, gate) = home().await;
    let (config, agents) = (dir.path().join("aecl.yaml"), dir.path().join("policy/agents/all.json"));
    let good = fs::read_to_string(&agents).unwrap();
    let server = "servers:\n  crm:\n    command: [crm, --token, hunter2]\n";
    for wrong in [
        format!("origin: example.com/walk\n{server}    timout_ms: 3\n"),
        format!("origin: example.com/walk\n{server}origin: again\n"),
        "origin: example.com/walk\nservers: hunter2\n".to_owned(),
        format!("origin: [\n{server}"),
    ] {
        fs::write(&config, &wrong).unwrap();
        let error = gate.reload().await.unwrap_err();
        assert_eq!(error.code().as_str(), "config_invalid", "{wrong}");
        assert!(!error.in_log().contains("--token"), "{}", error.in_log());
    }
    fs::write(&config, "origin: example.com/walk\n").unwrap();
    let near = "\n- {agent_id: a, allowed_actions: []}\n- {agent_id: b, owner: hunter2}\n- {agent_id: [}\n";
    fs::remove_file(&agents).unwrap();
    fs::write(agents.with_extension("yaml"), near).unwrap();
    assert_eq!(gate.reload().await.unwrap_err().code().as_str(), "bundle_invalid");
    fs::remove_file(agents.with_extension("yaml")).unwrap();
    fs::write(&agents, good).unwrap();
    let entries = gate.ledger().entries(0, 100).await.unwrap();
    let refused: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Fault(fault) if fault.code == "bundle_refused" => Some(fault.message.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(refused.len(), 5, "{refused:#?}");
    assert!(refused.iter().all(|message| !message.contains("hunter2")), "{refused:#?}");
}

#[tokio::test]
async fn a_new_bundle_counts_for_what_waits_already() {
    let (dir, gate) = home().await;
    let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
    let pay = || submission("pay", json!({"eur": 30}));
    let pending = gate.submit(&run, pay()).await.unwrap();
    assert_eq!(end(&pending), "pending pending");
    let ask = gate.approvals(10).await.unwrap().pop().unwrap();
    gate.answer(&person("bob"), &ask.approval, true, String::new(), None).await.unwrap();
    let agents = dir.path().join("policy/agents/all.json");
    let text = fs::read_to_string(&agents).unwrap();
    fs::write(&agents, text.replace(r#""blocked_actions":[]"#, r#""blocked_actions":["pay"]"#)).unwrap();
    assert!(gate.reload().await.unwrap());
    assert_eq!(end(&gate.submit(&run, pay()).await.unwrap()), "blocked action_blocked");
}

#[tokio::test]
async fn policy_in_force_is_asked_again_after_the_yes_to_a_proposed_plan() {
    let (dir, gate) = home().await;
    let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
    let steps = json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": 30}}}]});
    let ask = gate.propose_plan(&run, &steps).await.unwrap();
    gate.answer(&person("bob"), &ask.approval, true, String::new(), None).await.unwrap();
    let agents = dir.path().join("policy/agents/all.json");
    let text = fs::read_to_string(&agents).unwrap();
    fs::write(&agents, text.replace(r#""blocked_actions":[]"#, r#""blocked_actions":["pay"]"#)).unwrap();
    assert!(gate.reload().await.unwrap());
    let pay = || submission("pay", json!({"eur": 30}));
    assert_eq!(end(&gate.submit(&run, pay()).await.unwrap()), "blocked action_blocked");
    let shown = gate.proposed_request(ask).await.unwrap().request;
    assert!(shown.policy_changed && shown.outlook.unwrap_err().contains("it would be refused"));
    let steps = json!({"steps": [{"action": "pay", "arguments": {"/eur": {"equals": 31}}}]});
    let error = gate.propose_plan(&run, &steps).await.unwrap_err();
    assert_eq!(error.code().as_str(), "plan_refused", "{error}");
}

#[tokio::test]
async fn two_gates_do_not_share_a_home() {
    let (dir, gate) = home().await;
    let error = Gate::open(Home::new(dir.path())).await.unwrap_err();
    assert_eq!(error.code().as_str(), "ledger_unavailable", "{error}");
    drop(gate);
}

#[tokio::test]
async fn who_leaves_counts_for_nothing_once_the_configuration_is_read_again() {
    let (dir, gate) = home().await;
    let run = gate.open_run(&person("ann"), request("clerk")).await.unwrap().session;
    let pay = || submission("pay", json!({"eur": 30}));
    assert_eq!(end(&gate.submit(&run, pay()).await.unwrap()), "pending pending");
    let ask = gate.approvals(10).await.unwrap().pop().unwrap();
    gate.answer(&person("bob"), &ask.approval, true, String::new(), None).await.unwrap();
    let mut people = everybody();
    people.as_array_mut().unwrap().retain(|person| person["id"] != "bob");
    let config = json!({"origin": "example.com/walk", "people": people});
    fs::write(dir.path().join("aecl.yaml"), config.to_string()).unwrap();
    gate.reload().await.unwrap();
    assert_eq!(end(&gate.submit(&run, pay()).await.unwrap()), "pending pending");
    gate.answer(&person("cid"), &ask.approval, true, String::new(), None).await.unwrap();
    // In `policy` tests nothing is really paid: there is no server `world`.
    assert_ne!(end(&gate.submit(&run, pay()).await.unwrap()), "pending pending");
}
