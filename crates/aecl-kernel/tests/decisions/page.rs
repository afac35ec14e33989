//! How the page is written: a row for each proposal, with what was decided and how its program would be held.

use crate::Scene;
use aecl_kernel::decide::Ruling;
use aecl_kernel::record::approval::Quorum;
use aecl_kernel::record::facts::Facts;
use serde_json::Value;

/// The page under construction: rows of cells, or a title.
#[derive(Default)]
pub struct Page(pub Vec<Result<[String; 6], String>>);

impl Page {
    pub fn title(&mut self, text: &str) {
        self.0.push(Err(text.into()));
    }

    pub fn rows(&mut self, agent: &str, action: &str, arguments: Value, situations: &[&str]) {
        for situation in situations {
            let mut scene = Scene::new(agent, action, &arguments);
            scene.set(situation);
            let forget = |facts: &mut Facts| {
                if scene.forgets {
                    facts.provenance = None;
                }
            };
            let ruling = scene.world.propose_knowing(scene.proposal, &scene.evidence, forget);
            let decision = ruling.decision();
            let shown = arguments.as_object().unwrap().iter().filter(|(k, _)| *k != "body");
            let what = shown.map(|(k, v)| match v {
                Value::String(s) => format!("{k}={}", s.escape_debug()),
                other => format!("{k}={other}"),
            });
            let verdict = match &ruling {
                Ruling::Replayed(_) => "REPLAY",
                Ruling::Allowed(_) => "allow",
                Ruling::Waiting(_) => "ask",
                Ruling::Blocked(_) => "block",
                Ruling::Answered(_) => match decision.verdict.name() {
                    "allow" => "would allow",
                    "require_approval" => "would ask",
                    _ => "would block",
                },
            };
            self.0.push(Ok([
                agent.into(),
                format!("{action}({})", what.collect::<Vec<_>>().join(" ")),
                (*situation).into(),
                verdict.into(),
                decision.headline.map_or("-".into(), |c| c.to_string()),
                format!("{} {}{}", decision.risk.score(), asked(decision.need.as_ref()), held(&ruling))
                    .trim_end()
                    .into(),
            ]));
        }
    }

    pub fn text(self) -> String {
        let head = ["agent", "action", "situation", "verdict", "headline", "risk, and who must agree"]
            .map(String::from);
        let mut widths = head.each_ref().map(String::len);
        for row in self.0.iter().flatten() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; 6]| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        let mut out = line(&head);
        for row in &self.0 {
            match row {
                Ok(row) => out.push_str(&line(row)),
                Err(title) => out.push_str(&format!("\n# {title}\n")),
            }
        }
        out
    }
}

/// What holds the program that carries it out, or will.
fn held(ruling: &Ruling) -> String {
    match (ruling, ruling.decision().tier()) {
        (Ruling::Waiting(wait), _) => wait.ask.tier.map_or(String::new(), |tier| format!(", in {tier}")),
        (_, None) => String::new(),
        (_, Some((tier, None))) => format!("in {tier}"),
        (_, Some((tier, Some(asked)))) => format!("in {tier} instead of {asked}"),
    }
}

fn asked(need: Option<&Quorum>) -> String {
    let Some(need) = need else { return String::new() };
    let who = need
        .requirements
        .iter()
        .map(|r| format!("{} of {}", r.count, r.groups.iter().cloned().collect::<Vec<_>>().join(" or ")));
    format!("{} within {} min", who.collect::<Vec<_>>().join(" + "), need.expires_s / 60)
}
