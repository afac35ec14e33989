//! A bank with a mailbox, a directory and a page reader, and runs for a goal in it: where the tests of the
//! validator happen.
#![allow(dead_code, reason = "each test file uses its part")]

use crate::world::{World, bundle, permit, principal, proposal, says};
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::decide::Ruling;
use aecl_kernel::policy::bundle::Bundle;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

pub const IBAN: &str = "GB29NWBK60161331926819";
pub const EVIL: &str = "US133000000121212121212";

/// A bank, a mailbox, a directory and a page reader, as somebody would write them from names and schemas.
pub fn house(mode: &str) -> Arc<Bundle> {
    let text = || json!({"type": "string"});
    let schema = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let actions = json!([
        {"name": "pay", "effect": "pay", "reversibility": "reversible", "severity": 3,
         "arguments": schema(json!({"to": text(), "amount": {"type": "number"}, "note": text()}), json!(["to", "amount"])),
         "args": {"to": {"class": "dest_account"}, "amount": {"class": "magnitude", "limit": 5000, "low_value": 1},
                  "note": {"class": "content"}},
         "outputs": [{"path": "/id", "endorses": "agent", "taints": false, "type": "id"}]},
        {"name": "recall", "effect": "write", "reversibility": "irreversible",
         "arguments": schema(json!({"id": text()}), json!(["id"])), "args": {"id": {"class": "target_id"}},
         "intent": {"weak": ["recall"], "objects": ["payment"]}},
        {"name": "wire", "effect": "pay", "reversibility": "irreversible", "severity": 3,
         "approval": {"always": false, "unless_proven": true},
         "arguments": schema(json!({"to": text(), "amount": {"type": "number"}}), json!(["to", "amount"])),
         "args": {"to": {"class": "dest_account"}, "amount": {"class": "magnitude", "low_value": 1}},
         "intent": {"strong": ["wire"]}},
        {"name": "send_mail", "effect": "send", "reversibility": "reversible",
         "arguments": schema(json!({"to": {"type": "array", "items": text()}, "subject": text(), "body": text()}), json!(["to"])),
         "args": {"to": {"class": "dest_email"}}},
        {"name": "post", "effect": "send", "reversibility": "reversible", "resolver": "list_channels",
         "arguments": schema(json!({"channel": text(), "text": text()}), json!(["channel", "text"])),
         "args": {"channel": {"class": "dest_name"}}, "egress": "tenant"},
        {"name": "set_password", "effect": "grant", "reversibility": "reversible",
         "arguments": schema(json!({"password": text()}), json!(["password"]))},
        {"name": "add_event", "effect": "write", "reversibility": "reversible",
         "arguments": schema(json!({"title": text(), "start": text()}), json!(["title"]))},
        {"name": "delete_file", "effect": "delete", "reversibility": "irreversible",
         "arguments": schema(json!({"file_id": text()}), json!(["file_id"]))},
        {"name": "trash_file", "effect": "delete", "reversibility": "reversible",
         "arguments": schema(json!({"file_id": text()}), json!(["file_id"])),
         "intent": {"strong": ["delete", "trash"]}},
        {"name": "rename_file", "effect": "write", "reversibility": "reversible",
         "arguments": schema(json!({"file_id": text(), "file_name": text()}), json!(["file_id"])),
         "args": {"file_name": {"class": "content"}}},
        {"name": "read_mail", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/mails/*/id", "endorses": "system", "taints": false, "type": "id"}]},
        {"name": "get_page", "effect": "read", "arguments": schema(json!({"url": text()}), json!(["url"]))},
        {"name": "look", "effect": "read", "arguments": {"type": "object", "additionalProperties": true, "properties": {
            "filter": {}, "recipient": text(), "said": text()}}, "args": {"said": {"class": "content"}}},
        {"name": "label", "effect": "write", "reversibility": "reversible", "egress": "none", "arguments": schema(json!({
            "name": text(), "by": text(), "on": text(), "for": text(), "note": text()}), json!(["name"])),
         "args": {"name": {"class": "target_name"}, "by": {"class": "selector"}, "on": {"class": "flag"},
                  "for": {"class": "time"}, "note": {"class": "content"}}},
        {"name": "balance", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/balance", "endorses": "system", "taints": false, "type": "number"},
                     {"path": "/since", "endorses": "system", "taints": false, "type": "date"}]},
        {"name": "contacts", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/*/name", "endorses": "directory", "taints": false, "type": "name"},
                     {"path": "/*/email", "endorses": "directory", "taints": false, "type": "email"},
                     {"path": "/*/iban", "endorses": "directory", "taints": false, "type": "account"}]},
        {"name": "list_channels", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/*", "endorses": "tenant", "taints": false, "type": "name", "conf": "internal"}]},
        {"name": "list_files", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/*/id", "endorses": "system", "taints": false, "type": "id", "conf": "internal"},
                     {"path": "/*/size", "endorses": "system", "taints": false, "type": "number"},
                     {"path": "/*/changed", "endorses": "system", "taints": false, "type": "date"},
                     {"path": "/*/name", "taints": true}]},
        {"name": "read_key", "effect": "read", "arguments": schema(json!({}), json!([])),
         "outputs": [{"path": "/key", "endorses": "made", "taints": false, "conf": "secret", "type": "id"}]}
    ]);
    let names: Vec<&str> = actions.as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    let agent = json!({"agent_id": "a", "allowed_actions": names, "mode": mode, "auto_approve_threshold": "1.00",
               "max_questions_per_run": 1000});
    bundle(&agent, &actions, "")
}

pub static STANDARD: LazyLock<Arc<Bundle>> = LazyLock::new(|| house("standard"));
pub static STRICT: LazyLock<Arc<Bundle>> = LazyLock::new(|| house("strict"));

/// A run for a goal.
pub struct Run {
    pub world: World,
}

impl Run {
    pub fn new(goal: &str) -> Self {
        Self::of(&STANDARD, goal, None)
    }

    pub fn strict(goal: &str) -> Self {
        Self::of(&STRICT, goal, None)
    }

    pub fn of(bundle: &Arc<Bundle>, goal: &str, plan: Option<Value>) -> Self {
        let mut world = World::new(bundle.clone());
        world.open_for(&principal("a"), goal, plan);
        Self { world }
    }

    /// The run reads a mail with these words.
    pub fn mail(mut self, body: &str) -> Self {
        self.reads("read_mail", json!({"mails": [{"id": "m-1", "body": body}]}));
        self
    }

    pub fn tainted(self) -> Self {
        self.mail("Hello, how are you?")
    }

    pub fn reads(&mut self, name: &str, output: Value) -> &mut Self {
        let arguments = if name == "get_page" { json!({"url": "https://a.example"}) } else { json!({}) };
        let id = permit(&self.world.propose(proposal(&principal("a"), name, &arguments)));
        self.world.answers(&id, &output);
        self
    }

    pub fn propose(&mut self, name: &str, arguments: Value) -> Ruling {
        self.world.propose(proposal(&principal("a"), name, &arguments))
    }

    pub fn says(&mut self, name: &str, arguments: Value) -> String {
        says(&self.propose(name, arguments))
    }

    /// The same where a sentence that the run has read says this argument.
    pub fn told(&mut self, name: &str, arguments: &Value, at: &str) -> String {
        let evidence = Evidence::told([at.to_owned()].into());
        says(&self.world.propose_with(proposal(&principal("a"), name, arguments), &[evidence]))
    }

    /// All codes that do not allow, in order.
    pub fn codes(&mut self, name: &str, arguments: Value) -> Vec<&'static str> {
        let ruling = self.propose(name, arguments);
        let findings = &ruling.decision().findings;
        findings
            .iter()
            .filter(|f| f.verdict > aecl_kernel::record::decision::Verdict::Allow)
            .map(|f| f.code.as_str())
            .collect()
    }

    pub fn labels(&self) -> (bool, bool) {
        let key = aecl_kernel::record::facts::FactKey::Run(principal("a").run);
        match self.world.space.get(&key) {
            Some(aecl_kernel::record::facts::Fact::Run(run)) => (run.labels.untrusted, run.labels.private),
            _ => panic!("no run"),
        }
    }
}
