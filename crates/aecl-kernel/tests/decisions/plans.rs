//! Situations with a plan that people agree to before it is carried out.

use crate::Scene;
use crate::page::Page;
use crate::world::permit;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::{Fact, FactKey, KillScope};
use serde_json::{Value, json};

/// Their part of the page.
pub fn rows(page: &mut Page) {
    page.title("A plan that people agree to before it is carried out");
    let plan = [
        "step of the plan",
        "plan approved",
        "plan approved, untrusted read",
        "plan approved, other argument",
        "plan approved, step used up",
        "plan approved, then killed",
        "plan approved, this rejected",
        "plan approved too long ago",
        "plan leaves arguments open",
        "plan rejected",
    ];
    let transfer = json!({"amount": "900.00", "currency": "EUR", "to": "vendor_8821"});
    page.rows("treasury_agent", "transfer_funds", transfer, &plan);
    page.rows(
        "ops_agent",
        "deploy.production",
        json!({"version": "1.2.3"}),
        &["step of the plan", "plan approved"],
    );
    page.rows(
        "support_agent",
        "read_ticket",
        json!({"ticket": "T-1"}),
        &["step of the plan", "plan approved"],
    );
}

impl Scene {
    /// Sets such a situation, if it is one.
    pub fn set_plan(&mut self, situation: &str) -> bool {
        match situation {
            "step of the plan" => drop(self.plan(1)),
            "plan approved" => {
                let ask = self.plan(1);
                self.world.everybody_agrees(&ask);
            }
            "plan approved, untrusted read" => {
                self.set("plan approved");
                self.set("untrusted and private read");
            }
            "plan approved, other argument" => {
                self.set("plan approved");
                self.change_an_argument();
            }
            "plan approved, step used up" => {
                self.set("plan approved");
                permit(&self.world.propose(self.proposal.clone()));
            }
            "plan approved, then killed" => {
                self.set("plan approved");
                self.world.kill(KillScope::All);
            }
            "plan approved, this rejected" => {
                let ask = self.plan(1);
                self.set("rejected");
                self.world.everybody_agrees(&ask);
            }
            "plan leaves arguments open" => {
                let ask = self.plan_of(json!({"action": self.proposal.name}));
                self.world.everybody_agrees(&ask);
            }
            "plan rejected" => {
                let ask = self.plan(1);
                let group = ask.need.requirements[0].groups.first().unwrap().clone();
                self.world.answer(&ask.approval, "zoe", &[&group], false).unwrap();
            }
            "plan approved too long ago" => {
                self.set("plan approved");
                self.world.later_s(3600);
                self.proposal.credential.expires_at = self.world.now.plus_s(60);
                let key = FactKey::Run(self.who.run.clone());
                let Some(Fact::Run(run)) = self.world.space.get_mut(&key) else { panic!("no run") };
                run.expires_at = self.world.now.plus_s(60);
            }
            _ => return false,
        }
        true
    }

    /// The run has a plan with this as its step, spelt out, and people are asked about it.
    fn plan(&mut self, times: u32) -> ApprovalRequest {
        let arguments: serde_json::Map<String, Value> =
            serde_json::from_slice(&self.proposal.arguments).unwrap();
        let equals = |(name, value): (&String, &Value)| (format!("/{name}"), json!({"equals": value}));
        let equals: serde_json::Map<String, Value> = arguments.iter().map(equals).collect();
        self.plan_of(json!({"action": self.proposal.name, "arguments": equals, "times": times}))
    }

    fn plan_of(&mut self, step: Value) -> ApprovalRequest {
        let goal = String::from_utf8(self.proposal.arguments.clone()).unwrap();
        self.world.open_for(&self.who, &goal, Some(json!({"steps": [step]})));
        let mut ask = self.world.ask_about_plan(&self.who).unwrap();
        // Who types is another page.
        ask.confirm.clear();
        self.world.record(Some(&self.who.run), Event::Asked(Box::new(ask.clone())));
        ask
    }
}
