//! The page: every agent × action × situation of Acme, and what is decided. `decisions.txt` is the
//! evidence; this file only walks through the situations. A change of behaviour is a change of that page,
//! so a reviewer sees what a commit newly permits. `UPDATE_EXPECT=1` rewrites it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    reason = "tests"
)]

#[path = "decisions/page.rs"]
mod page;
#[path = "decisions/plans.rs"]
mod plans;
mod world;

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, AgentId, Environment, ProjectId, RunId, TenantId, UserId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::Ruling;
use aecl_kernel::define::isolation::IsolationTier;
use aecl_kernel::read::action::{Mode, Proposal};
use aecl_kernel::record::event::{BudgetAdjusted, Event, KillChanged, OutcomeKind};
use aecl_kernel::record::facts::{Fact, FactKey, KillScope};
use aecl_kernel::record::history::Sum;
use aecl_kernel::record::usage::Meter;
use expect_test::expect_file;
use page::Page;
use serde_json::{Value, json};
use world::{World, keyed, permit, principal, proposal, wait};

const GVISOR: &str = "runsc (gvisor), no overlays, no way out";
const MACHINE: &str = "firecracker (microvm), no views, no overlays, no way out, a size";

/// What there is to hold programs, and less than what is asked for that the operator accepts.
const HERE: [(&str, &[&str], Option<IsolationTier>); 15] = [
    ("native is here", &["native"], None),
    ("native without limits", &["native, no limit"], None),
    ("native fails its self-test", &["native, missing"], None),
    ("native and gvisor are here", &["native", "runsc (gvisor)"], None),
    ("all three are here", &["native", "runsc (gvisor)", "firecracker (microvm)"], None),
    ("untrusted, native is here", &["native"], None),
    ("untrusted, all three", &["native", "runsc (gvisor)", "firecracker (microvm)"], None),
    (
        "untrusted, native accepted",
        &["native", "firecracker (microvm), missing"],
        Some(IsolationTier::Native),
    ),
    ("untrusted, and gvisor is here", &["native", "runsc (gvisor)"], Some(IsolationTier::Native)),
    ("untrusted, gvisor accepted", &["native"], Some(IsolationTier::Gvisor)),
    ("untrusted, accepted, no limits", &["native, no limit"], Some(IsolationTier::Native)),
    ("gvisor and a machine are here", &[GVISOR, MACHINE], None),
    ("native, gvisor and a machine", &["native", GVISOR, MACHINE], None),
    ("untrusted, all of them", &["native", GVISOR, MACHINE], None),
    ("untrusted, all accepted", &["native", GVISOR, MACHINE], Some(IsolationTier::Native)),
];

/// One proposal that is about to be made.
struct Scene {
    world: World,
    who: Principal,
    proposal: Proposal,
    evidence: Vec<Evidence>,
    forgets: bool,
}

impl Scene {
    fn new(agent: &str, action: &str, arguments: &Value) -> Self {
        let (mut world, who) = (World::acme(), principal(agent));
        world.open(&who);
        let proposal = proposal(&who, action, arguments);
        Self { world, proposal, who, evidence: Vec::new(), forgets: false }
    }

    /// The run was opened for somebody else, or somewhere else.
    fn reopen(&mut self, change: impl FnOnce(&mut Principal)) {
        change(&mut self.who);
        self.world.open(&self.who);
        self.proposal.principal = self.who.clone();
        self.proposal.credential.run = self.who.run.clone();
    }

    /// The run is a child of another agent's run.
    fn delegated(&mut self) -> Principal {
        let mut parent = principal("treasury_agent");
        parent.run = RunId::new("run_parent").unwrap();
        self.world.open(&parent);
        self.world.open_child(&self.who, std::slice::from_ref(&parent.run));
        parent
    }

    fn do_first(
        &mut self,
        action: &str,
        arguments: Value,
        times: usize,
        outcome: Option<OutcomeKind>,
    ) -> ActionId {
        let mut last = None;
        for _ in 0..times {
            let mut first = proposal(&self.who, action, &arguments);
            first.credential = self.proposal.credential.clone();
            first.idempotency_key = None;
            let mut ruling = self.world.propose(first.clone());
            if let Ruling::Waiting(wait) = &ruling {
                self.world.everybody_agrees(&wait.ask.clone());
                ruling = self.world.propose(first);
            }
            let id = permit(&ruling);
            if let Some(outcome) = outcome {
                self.world.conclude(&id, outcome);
            }
            last = Some(id);
        }
        last.unwrap()
    }

    /// The same proposal was made before and is carried out.
    fn made_before(&mut self, key: &str, outcome: Option<OutcomeKind>) {
        self.proposal = keyed(self.proposal.clone(), key);
        let mut ruling = self.world.propose(self.proposal.clone());
        if let Ruling::Waiting(wait) = &ruling {
            self.world.everybody_agrees(&wait.ask.clone());
            ruling = self.world.propose(self.proposal.clone());
        }
        let id = permit(&ruling);
        if let Some(outcome) = outcome {
            self.world.conclude(&id, outcome);
        }
    }

    fn change_an_argument(&mut self) {
        let mut arguments: Value = serde_json::from_slice(&self.proposal.arguments).unwrap();
        for value in arguments.as_object_mut().unwrap().values_mut().take(1) {
            *value = match &*value {
                Value::String(s) => json!(format!("{s}0")),
                Value::Number(n) => json!(n.as_i64().unwrap() + 1),
                other => panic!("cannot change {other}"),
            };
        }
        self.proposal.arguments = arguments.to_string().into_bytes();
    }

    /// Who answers the approvals of this agent.
    fn group(&self) -> &'static str {
        match self.who.agent.as_str() {
            "support_agent" => "support_leads",
            "treasury_agent" => "treasurers",
            "ops_agent" => "sre",
            _ => "operators",
        }
    }

    fn undo_of(&mut self, action: &str, arguments: Value, outcome: Option<OutcomeKind>) -> ActionId {
        let id = self.do_first(action, arguments, 1, outcome);
        self.proposal.compensates = Some(id.clone());
        id
    }

    fn set(&mut self, situation: &str) {
        let refund = || json!({"order": "4711", "amount": "10.00"});
        if let Some((_, found, lowered)) = HERE.iter().find(|(name, ..)| *name == situation) {
            self.world.probed(found, *lowered);
            return if situation.starts_with("untrusted") {
                self.set("untrusted text read")
            };
        }
        match situation {
            "clean run" => {}
            "in sandbox" => self.reopen(|p| p.environment = Environment::new("sandbox").unwrap()),
            "in staging" => self.reopen(|p| p.environment = Environment::new("staging").unwrap()),
            "for tenant globex" => self.reopen(|p| p.tenant = TenantId::new("globex").unwrap()),
            "in project sales" => self.reopen(|p| p.project = Some(ProjectId::new("sales").unwrap())),
            "in no project" => self.reopen(|p| p.project = None),
            "for user carol" => self.reopen(|p| p.user = Some(UserId::new("carol").unwrap())),
            "for no user" => self.reopen(|p| p.user = None),
            "untrusted text read" => self.world.seen(&self.who.run, true, false),
            "private data read" => self.world.seen(&self.who.run, false, true),
            "untrusted and private read" => self.world.seen(&self.who.run, true, true),
            "where values come from is lost" => {
                self.set("untrusted text read");
                self.forgets = true;
            }
            "2 rows counted" => self.evidence.push(Evidence::counted(2)),
            "5000 rows counted" => self.evidence.push(Evidence::counted(5000)),
            "a judge adds 40" => self.evidence.push(Evidence {
                judge: "intent".into(),
                about: "goal".into(),
                points: 40,
                said: "does not belong to the goal".into(),
                ..Evidence::default()
            }),

            "nobody has looked" => {}
            "native, by the agent itself" => {
                self.set("native is here");
                self.proposal.mode = Mode::Authorize;
            }

            "token expired" => self.proposal.credential.expires_at = self.world.now,
            "token revoked" => self.world.revoke("tok_1"),
            "token of another run" => self.proposal.credential.run = RunId::new("run_2").unwrap(),
            "token of another agent" => self.proposal.credential.agent = AgentId::new("ops_agent").unwrap(),
            "run never opened" => drop(self.world.space.remove(&FactKey::Run(self.who.run.clone()))),
            "run opened for globex" => {
                let mut other = self.who.clone();
                other.tenant = TenantId::new("globex").unwrap();
                self.world.open(&other);
            }
            "run closed" => self.world.close(&self.who.run),
            "run expired" => {
                self.world.later_s(1200);
                self.proposal.credential.expires_at = self.world.now.plus_s(60);
            }
            "parent run closed" => {
                let parent = self.delegated();
                self.world.close(&parent.run);
            }
            "on a Saturday" => self.at("2026-01-10T10:00:00Z"),
            "at 06:59" => self.at("2026-01-06T06:59:00Z"),
            "at 07:00" => self.at("2026-01-06T07:00:00Z"),
            "at 19:00" => self.at("2026-01-06T19:00:00Z"),

            "everything stopped" => self.world.kill(KillScope::All),
            "tenant stopped" => self.world.kill(KillScope::Tenant(self.who.tenant.clone())),
            "agent stopped" => self.world.kill(KillScope::Agent(self.who.agent.clone())),
            "run stopped" => self.world.kill(KillScope::Run(self.who.run.clone())),
            "parent run stopped" => {
                let parent = self.delegated();
                self.world.kill(KillScope::Run(parent.run));
            }
            "parent's agent stopped" => {
                let parent = self.delegated();
                self.world.kill(KillScope::Agent(parent.agent));
            }
            "another agent stopped" => self.world.kill(KillScope::Agent(AgentId::new("other").unwrap())),
            "stopped, then lifted" => {
                self.world.kill(KillScope::All);
                let lift = KillChanged { scope: KillScope::All, by: "ann".into(), reason: "fixed".into() };
                self.world.record(None, Event::Lift(lift));
            }

            "dry run" => self.proposal.mode = Mode::DryRun,
            "asked, not answered" => drop(wait(&self.world.propose(self.proposal.clone()))),
            "approved" => {
                let ask = wait(&self.world.propose(self.proposal.clone()));
                self.world.everybody_agrees(&ask);
            }
            "one of them agrees" => {
                let ask = wait(&self.world.propose(self.proposal.clone()));
                let group = self.group();
                self.world.answer(&ask.approval, "zoe", &[group], true).unwrap();
            }
            "rejected" => {
                let ask = wait(&self.world.propose(self.proposal.clone()));
                let group = ask.need.requirements[0].groups.first().unwrap().clone();
                self.world.answer(&ask.approval, "zoe", &[&group], false).unwrap();
            }
            "approved too long ago" => {
                self.set("approved");
                self.world.later_s(4 * 3600);
                self.proposal.credential.expires_at = self.world.now.plus_s(60);
                let mut renewed = self.who.clone();
                std::mem::swap(&mut renewed, &mut self.who);
                self.world.open(&self.who);
            }
            "nobody answered in time" => {
                let ask = wait(&self.world.propose(self.proposal.clone()));
                self.world.expire(&ask);
            }
            "approved and used" => {
                self.set("approved");
                let id = permit(&self.world.propose(self.proposal.clone()));
                self.world.conclude(&id, OutcomeKind::Done);
            }
            "approved, then another argument" => {
                self.set("approved");
                self.change_an_argument();
            }
            "approved, then killed" => {
                self.set("approved");
                self.world.kill(KillScope::All);
            }
            "approved, then dry run" => {
                self.set("approved");
                self.proposal.mode = Mode::DryRun;
            }

            "new key" => self.proposal = keyed(self.proposal.clone(), "k1"),
            "done before, same key" => self.made_before("k1", Some(OutcomeKind::Done)),
            "failed before, same key" => self.made_before("k1", Some(OutcomeKind::Failed)),
            "unknown before, same key" => self.made_before("k1", Some(OutcomeKind::Unknown)),
            "in flight, same key" => self.made_before("k1", None),
            "done before, other key" => {
                self.made_before("k1", Some(OutcomeKind::Done));
                self.proposal = keyed(self.proposal.clone(), "k2");
            }
            "key used for another" => {
                self.made_before("k1", Some(OutcomeKind::Done));
                self.change_an_argument();
            }
            "done before, then killed" => {
                self.set("done before, same key");
                self.world.kill(KillScope::All);
            }
            "key is no name" => self.proposal = keyed(self.proposal.clone(), "k1 "),

            "180.00 refunded in the run" => drop(self.do_first(
                "refund_payment",
                json!({"order": "1", "amount": "45.00"}),
                4,
                Some(OutcomeKind::Done),
            )),
            "180.00 unknown in the run" => drop(self.do_first(
                "refund_payment",
                json!({"order": "1", "amount": "45.00"}),
                4,
                Some(OutcomeKind::Unknown),
            )),
            "180.00 failed in the run" => {
                for n in 0..4 {
                    self.do_first(
                        "refund_payment",
                        json!({"order": n.to_string(), "amount": "45.00"}),
                        1,
                        Some(OutcomeKind::Failed),
                    );
                }
            }
            "tenant has 30.00 left today" => self.adjust("tenant:acme/EUR/day/", "470"),
            "tenant spent all yesterday" => {
                self.adjust("tenant:acme/EUR/day/", "500");
                self.at("2026-01-07T10:00:00Z");
            }
            "EUR 45,000 paid today" => self.adjust("tenant:acme/EUR/day/", "45000"),
            "50 calls made" => {
                drop(self.do_first("read_invoice", json!({"invoice": "1"}), 50, Some(OutcomeKind::Done)))
            }
            "5 calls made" => {
                drop(self.do_first("db.query", json!({"table": "t"}), 5, Some(OutcomeKind::Done)))
            }
            "45,000 EUR paid in 24 hours" => {
                let name = format!("agent:{}/acme/EUR", self.who.agent);
                let sum = Sum::default().with(self.world.now, 45_000.into());
                self.world.space.insert(FactKey::Sum(name), Fact::Sum(sum));
            }
            "10 questions asked" => {
                let key = FactKey::Run(self.who.run.clone());
                let Some(Fact::Run(run)) = self.world.space.get_mut(&key) else { panic!("no run") };
                run.questions = 10;
            }
            "approved, 10 questions asked" => {
                self.set("approved");
                self.set("10 questions asked");
            }
            "2 calls in flight" => drop(self.do_first("read_ticket", json!({"ticket": "1"}), 2, None)),
            "2 calls unknown" => {
                drop(self.do_first("read_ticket", json!({"ticket": "1"}), 2, Some(OutcomeKind::Unknown)))
            }
            "3 mails just sent" => drop(self.do_first(
                "send_email",
                json!({"to": ["x@acme.example"], "subject": "s", "body": "b"}),
                3,
                Some(OutcomeKind::Done),
            )),
            "3 mails, 20 s ago" => {
                self.set("3 mails just sent");
                self.world.later_s(20);
            }
            "failed twice in a row" => {
                for _ in 0..2 {
                    let id = permit(&self.world.propose(self.proposal.clone()));
                    self.world.conclude(&id, OutcomeKind::Failed);
                }
            }
            "failed twice, then another" => {
                self.set("failed twice in a row");
                self.do_first("db.query", json!({"table": "other"}), 1, Some(OutcomeKind::Done));
            }

            "as accepted" => self.proposal.offered = Digest::parse(&format!("sha256:{}", "1".repeat(64))),
            "changed by its server" => self.proposal.offered = Some(Digest::of(b"new description")),
            "no longer offered" => self.proposal.offered = None,

            "undoes a refund" => drop(self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done))),
            "undoes one in flight" => drop(self.undo_of("refund_payment", refund(), None)),
            "undoes an unknown one" => {
                drop(self.undo_of("refund_payment", refund(), Some(OutcomeKind::Unknown)))
            }
            "undoes a failed one" => {
                drop(self.undo_of("refund_payment", refund(), Some(OutcomeKind::Failed)))
            }
            "undoes it twice" => {
                self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done));
                let id = permit(&self.world.propose(self.proposal.clone()));
                self.world.conclude(&id, OutcomeKind::Done);
            }
            "undoes it twice at once" => {
                self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done));
                permit(&self.world.propose(self.proposal.clone()));
            }
            "undo failed once" => {
                self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done));
                let id = permit(&self.world.propose(self.proposal.clone()));
                self.world.conclude(&id, OutcomeKind::Failed);
            }
            "undoes it an hour later" => {
                self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done));
                self.world.later_s(3600);
                self.proposal.credential.expires_at = self.world.now.plus_s(60);
                let who = self.who.clone();
                self.world.open(&who);
            }
            "undoes a closed ticket" => {
                drop(self.undo_of("close_ticket", json!({"ticket": "9"}), Some(OutcomeKind::Done)))
            }
            "undoes what never was" => self.proposal.compensates = Some(ActionId::new("act_999").unwrap()),
            "undoes another agent's" => {
                let id = self.undo_of("refund_payment", refund(), Some(OutcomeKind::Done));
                let Some(Fact::Action(fact)) = self.world.space.get_mut(&FactKey::Action(id)) else {
                    panic!("no action")
                };
                fact.agent = AgentId::new("ops_agent").unwrap();
            }
            other => assert!(self.set_plan(other), "no situation `{other}`"),
        }
    }

    fn at(&mut self, time: &str) {
        self.world.now = Timestamp::parse(time).unwrap();
        let who = self.who.clone();
        self.world.open(&who);
        self.proposal.credential.expires_at = self.world.now.plus_s(900);
    }

    fn adjust(&mut self, meter: &str, used: &str) {
        let window =
            aecl_kernel::record::facts::window_of(aecl_kernel::define::manifest::Per::Day, self.world.now);
        let now = Meter { window, used: used.parse().unwrap(), ..Meter::default() };
        let adjusted =
            BudgetAdjusted { meter: meter.into(), now, by: "ann".into(), reason: "elsewhere".into() };
        self.world.record(None, Event::BudgetAdjusted(adjusted));
    }
}

#[test]
fn decisions_are_what_the_page_says() {
    let mut page = Page::default();
    let refund = |amount: &str| json!({"order": "4711", "amount": amount});
    let mail = |to: &[&str]| json!({"to": to, "subject": "hello", "body": "hi"});

    page.title("The article's agent: lists, blocks and context rules");
    let invoice = json!({"invoice": "R-1"});
    page.rows(
        "finance_agent_v2",
        "read_invoice",
        invoice.clone(),
        &["clean run", "in sandbox", "untrusted text read", "50 calls made"],
    );
    page.rows("finance_agent_v2", "read_vendor_profile", json!({"vendor": "v1"}), &["clean run"]);
    page.rows(
        "finance_agent_v2",
        "generate_payment_report",
        json!({"month": "2026-01"}),
        &[
            "clean run",
            "in sandbox",
            "untrusted text read",
            "where values come from is lost",
            "a judge adds 40",
        ],
    );
    page.rows("finance_agent_v2", "generate_payment_report", json!({"month": "January"}), &["clean run"]);
    let transfer = json!({"amount": "100000.00", "currency": "INR", "to": "vendor_8821"});
    page.rows("finance_agent_v2", "transfer_funds", transfer.clone(), &["clean run", "untrusted text read"]);
    page.rows("finance_agent_v2", "delete_record", json!({"record": "7"}), &["clean run", "in sandbox"]);
    page.rows("finance_agent_v2", "modify_iam_policy", json!({"role": "admin"}), &["clean run"]);
    let export = |to: &str, tenant: &str| json!({"table": "invoices", "to": to, "tenant": tenant});
    page.rows(
        "finance_agent_v2",
        "bulk_export",
        export("files.acme.example", "acme"),
        &["clean run", "approved", "rejected"],
    );
    page.rows(
        "finance_agent_v2",
        "bulk_export",
        export("files.acme.example", "globex"),
        &["clean run", "for tenant globex"],
    );
    page.rows("finance_agent_v2", "bulk_export", export("evil.example", "acme"), &["clean run"]);
    page.rows("finance_agent_v2", "send_email", mail(&["x@acme.example"]), &["clean run"]);
    page.rows("finance_agent_v2", "read_invioce", invoice.clone(), &["clean run"]);
    page.rows("nobody", "read_invoice", invoice.clone(), &["clean run"]);

    page.title("Who asks: the credential and the run");
    page.rows(
        "support_agent",
        "read_ticket",
        json!({"ticket": "T-1"}),
        &[
            "clean run",
            "token expired",
            "token revoked",
            "token of another run",
            "token of another agent",
            "run never opened",
            "run opened for globex",
            "run closed",
            "run expired",
            "parent run closed",
            "for tenant globex",
            "in project sales",
            "in no project",
            "for user carol",
            "for no user",
            "in sandbox",
            "in staging",
            "on a Saturday",
            "at 06:59",
            "at 07:00",
            "at 19:00",
        ],
    );

    page.title("Kill switches");
    page.rows(
        "support_agent",
        "read_ticket",
        json!({"ticket": "T-1"}),
        &[
            "everything stopped",
            "tenant stopped",
            "agent stopped",
            "run stopped",
            "parent run stopped",
            "parent's agent stopped",
            "another agent stopped",
            "stopped, then lifted",
        ],
    );

    page.title("Money: amounts, budgets and what is held");
    for amount in
        ["45.00", "50.00", "50.01", "100.00", "100.01", "0", "-5.00", "1.005", "1e2", "12,00", "NaN", ""]
    {
        page.rows("support_agent", "refund_payment", refund(amount), &["clean run"]);
    }
    for amount in [json!(45), json!([45]), json!({"value": 45}), json!(null), json!(true)] {
        page.rows(
            "support_agent",
            "refund_payment",
            json!({"order": "4711", "amount": amount}),
            &["clean run"],
        );
    }
    page.rows("support_agent", "refund_payment", json!({"order": "4711"}), &["clean run"]);
    page.rows(
        "support_agent",
        "refund_payment",
        json!({"order": "4711", "amount": "5.00", "cost": 0}),
        &["clean run"],
    );
    page.rows(
        "support_agent",
        "refund_payment",
        refund("25.00"),
        &[
            "180.00 refunded in the run",
            "180.00 unknown in the run",
            "180.00 failed in the run",
            "tenant has 30.00 left today",
            "tenant spent all yesterday",
        ],
    );
    page.rows("support_agent", "refund_payment", refund("35.00"), &["tenant has 30.00 left today"]);
    page.rows(
        "support_agent",
        "search_web",
        json!({"query": "q"}),
        &["clean run", "untrusted text read", "2 calls in flight", "2 calls unknown"],
    );
    page.rows(
        "treasury_agent",
        "pay_invoice",
        json!({"invoice": "R-1", "amount": 9000}),
        &[
            "clean run",
            "untrusted text read",
            "in sandbox",
            "EUR 45,000 paid today",
            "45,000 EUR paid in 24 hours",
        ],
    );
    page.rows("treasury_agent", "pay_invoice", json!({"invoice": "R-1", "amount": 20001}), &["clean run"]);
    page.rows("treasury_agent", "pay_invoice", json!({"invoice": "R-1", "amount": -1}), &["clean run"]);
    page.rows("treasury_agent", "pay_invoice", json!({"invoice": "R-1", "amount": 1.5}), &["clean run"]);
    for (amount, currency) in [
        ("10.00", "EUR"),
        ("10.00", "USD"),
        ("10.00", "eur"),
        ("10.00", "rows"),
        ("10.00", "calls"),
        ("10.00", "EUR "),
        ("10.00", ""),
        ("60000.00", "EUR"),
    ] {
        let transfer = json!({"amount": amount, "currency": currency, "to": "vendor_8821"});
        page.rows("treasury_agent", "transfer_funds", transfer, &["clean run"]);
    }

    page.title("People: who must agree, and what a yes is worth");
    let transfer = json!({"amount": "900.00", "currency": "EUR", "to": "vendor_8821"});
    page.rows(
        "treasury_agent",
        "transfer_funds",
        transfer,
        &[
            "clean run",
            "asked, not answered",
            "one of them agrees",
            "approved",
            "rejected",
            "nobody answered in time",
            "approved too long ago",
            "approved and used",
            "approved, then another argument",
            "approved, then killed",
            "approved, then dry run",
            "dry run",
        ],
    );
    page.rows(
        "support_agent",
        "refund_payment",
        refund("75.00"),
        &[
            "clean run",
            "untrusted text read",
            "10 questions asked",
            "approved, 10 questions asked",
            "private data read",
            "approved",
            "rejected",
            "in sandbox",
            "dry run",
        ],
    );
    page.rows(
        "ops_agent",
        "deploy.production",
        json!({"version": "1.2.3"}),
        &["clean run", "one of them agrees", "approved", "in staging"],
    );
    page.rows("ops_agent", "deploy.staging", json!({"version": "1.2.3"}), &["clean run", "in staging"]);

    page.title("The same again: idempotency keys");
    page.rows(
        "support_agent",
        "refund_payment",
        refund("20.00"),
        &[
            "new key",
            "done before, same key",
            "failed before, same key",
            "unknown before, same key",
            "in flight, same key",
            "done before, other key",
            "key used for another",
            "done before, then killed",
            "key is no name",
        ],
    );

    page.title("Where it lands");
    for to in [
        &["x@acme.example"][..],
        &["x@ACME.example."],
        &["desk@partner.example"],
        &["ceo@partner.example"],
        &["x@acme.example", "y@evil.example"],
        &["x@acme.example.evil.example"],
        &["x@notacme.example"],
        &["\"x@acme.example\"@evil.example"],
        &["x@acme.example,y@evil.example"],
        &["x@аcme.example"],
        &["x"],
        &[],
    ] {
        page.rows("support_agent", "send_email", mail(to), &["clean run"]);
    }
    for url in [
        "https://docs.acme.example/a",
        "HTTPS://DOCS.ACME.EXAMPLE./a",
        "https://en.wiki.example/",
        "https://wiki.example/",
        "https://evilwiki.example/",
        "https://docs.acme.example.evil.example/",
        "https://docs.acme.example@evil.example/",
        "https://docs.acme.example\\@evil.example/",
        "https://docs.acme.example:8443/",
        "https://status.acme.example:8443/",
        "https://status.acme.example/",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "http://0xA9FEA9FE/",
        "docs.acme.example",
    ] {
        page.rows("support_agent", "fetch_page", json!({"url": url}), &["clean run"]);
    }

    page.title("Rules, labels and risk");
    page.rows(
        "support_agent",
        "send_email",
        mail(&["x@acme.example"]),
        &[
            "in sandbox",
            "untrusted text read",
            "private data read",
            "untrusted and private read",
            "a judge adds 40",
            "3 mails just sent",
            "3 mails, 20 s ago",
        ],
    );
    page.rows(
        "support_agent",
        "send_email",
        json!({"to": ["desk@partner.example"], "subject": "your invoice", "body": "hi"}),
        &["clean run", "dry run"],
    );
    let many: Vec<String> = (0..51).map(|n| format!("u{n}@acme.example")).collect();
    page.0.extend({
        let mut inner = Page::default();
        inner.rows(
            "support_agent",
            "send_email",
            json!({"to": many, "subject": "s", "body": "b"}),
            &["clean run"],
        );
        inner.0.into_iter().map(|row| {
            row.map(|mut r| {
                r[1] = "send_email(to=51 people)".into();
                r
            })
        })
    });
    page.rows(
        "support_agent",
        "close_ticket",
        json!({"ticket": "T-1"}),
        &["clean run", "untrusted text read", "a judge adds 40"],
    );
    page.rows(
        "ops_agent",
        "db.query",
        json!({"table": "users"}),
        &["clean run", "5 calls made", "failed twice in a row", "failed twice, then another"],
    );
    page.rows(
        "ops_agent",
        "db.update_rows",
        json!({"table": "users", "rows": 100}),
        &["clean run", "in sandbox", "untrusted text read"],
    );
    page.rows(
        "ops_agent",
        "db.update_rows",
        json!({"table": "users", "rows": 101}),
        &["clean run", "in sandbox", "untrusted text read"],
    );
    page.rows("ops_agent", "db.update_rows", json!({"table": "users", "rows": -1}), &["clean run"]);
    page.rows(
        "ops_agent",
        "db.update_rows",
        json!({"table": "audit_log", "rows": 1}),
        &["clean run", "in sandbox"],
    );
    page.rows("ops_agent", "db.drop_table", json!({"table": "users"}), &["clean run", "in sandbox"]);
    page.rows(
        "ops_agent",
        "run_shell",
        json!({"command": "git status\nrm -rf x"}),
        &["clean run", "in sandbox", "approved", "untrusted text read"],
    );

    page.title("What runs: SQL and command lines are read");
    let sql = |query: &str| json!({ "query": query });
    for query in [
        "SELECT * FROM users",
        "SELECT pg_sleep(10)",
        "DELETE FROM users WHERE id = 7",
        "EXPLAIN ANALYZE DELETE FROM users",
    ] {
        page.rows("ops_agent", "db.read_sql", sql(query), &["in sandbox"]);
    }
    page.rows(
        "ops_agent",
        "db.run_sql",
        sql("DELETE FROM users WHERE last_login < 2023"),
        &["clean run", "in sandbox", "2 rows counted", "5000 rows counted", "untrusted text read"],
    );
    for query in [
        "SELECT count(*) FROM users",
        "INSERT INTO users (id) VALUES (1), (2)",
        "UPDATE users SET a = 1 WHERE id = 7",
        "DELETE FROM users",
        "DELETE FROM users WHERE 1=1",
        "DELETE FROM users WHERE id IS NOT NULL",
        "DELETE FROM users WHERE id = 7 OR true",
        "WITH x AS (DELETE FROM users) SELECT 1",
        "DELETE FROM audit_log WHERE id = 7",
        "SELECT 1; DELETE FROM users WHERE id = 7",
        "TRUNCATE users",
        "DROP TABLE users",
        "GRANT ALL ON users TO eve",
        "CALL cleanup()",
        "DO $$ BEGIN DELETE FROM users; END $$",
    ] {
        page.rows("ops_agent", "db.run_sql", sql(query), &["in sandbox"]);
    }
    for command in [
        json!("ls -la"),
        json!("cat a.txt | grep x"),
        json!("rm -rf build"),
        json!("ls; rm -rf /"),
        json!("ls > out"),
        json!("echo $(rm -rf /)"),
        json!("bash -c ls"),
        json!(["ls", "$(rm -rf /)"]),
        json!(["bash", "-c", "shutdown now"]),
    ] {
        page.rows("ops_agent", "deploy.look", json!({ "command": command }), &["in sandbox"]);
    }

    page.title("What holds the program: what is asked for, and what is here");
    let here = [
        "nobody has looked",
        "native is here",
        "native without limits",
        "native fails its self-test",
        "native and gvisor are here",
        "all three are here",
        "native, by the agent itself",
        "untrusted, native is here",
        "untrusted, all three",
        "untrusted, native accepted",
        "untrusted, and gvisor is here",
        "untrusted, gvisor accepted",
        "untrusted, accepted, no limits",
    ];
    page.rows("ops_agent", "run_test_suite", json!({}), &here);
    page.rows("ops_agent", "try_patch", json!({}), &here);
    // What is strong enough must also be able: a layer above a view, a way out, a program without a limit.
    let able = [
        "native is here",
        "gvisor and a machine are here",
        "native, gvisor and a machine",
        "untrusted, all of them",
        "untrusted, all accepted",
    ];
    for action in ["run_test_suite", "format_project", "fetch_packages", "try_patch"] {
        page.rows("ops_agent", action, json!({}), &able);
    }

    page.title("A tool that was imported");
    page.rows(
        "support_agent",
        "crm.lookup",
        json!({"customer": "c1"}),
        &["as accepted", "changed by its server", "no longer offered"],
    );

    plans::rows(&mut page);

    page.title("Whose credentials");
    let year = || json!({"year": 2025});
    page.rows("audit_agent", "books.read", year(), &["clean run", "dry run"]);
    page.rows("audit_agent", "bank.read_statement", json!({"month": "2026-01"}), &["clean run", "dry run"]);
    page.rows("audit_agent", "books.read_old", year(), &["clean run"]);
    page.rows("audit_agent", "read_invoice", json!({"invoice": "R-1"}), &["clean run"]);
    page.rows("ops_agent", "books.read", year(), &["clean run"]);
    page.rows("ops_agent", "books.read_old", year(), &["clean run"]);

    page.title("Undoing");
    let cancel = json!({"refund": "re_1"});
    page.rows(
        "support_agent",
        "cancel_refund",
        cancel,
        &[
            "clean run",
            "undoes a refund",
            "undoes one in flight",
            "undoes an unknown one",
            "undoes a failed one",
            "undoes it twice",
            "undoes it twice at once",
            "undo failed once",
            "undoes it an hour later",
            "undoes a closed ticket",
            "undoes what never was",
            "undoes another agent's",
        ],
    );
    page.rows(
        "support_agent",
        "reopen_ticket",
        json!({"ticket": "9"}),
        &["clean run", "undoes a closed ticket", "undoes a refund"],
    );
    page.rows("support_agent", "delete_record", json!({"record": "9"}), &["undoes a closed ticket"]);

    expect_file!["decisions.txt"].assert_eq(&page.text());
}
