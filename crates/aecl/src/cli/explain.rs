//! `aecl explain`: why an action would be allowed, held or blocked. Judged from the bundle, without a server
//! and without a trace; with the name of a recorded action, told from the record.

mod page;
mod record;
mod scene;

pub(in crate::cli) use scene::{Scene, arguments};

use super::show::{self, count};
use super::{Common, Error, Exit, Result, runtime};
use aecl_executor::connectors::process::ProcessConnector;
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::decision::Verdict;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl explain assistant filesystem.write_file '{\"path\": \"notes.txt\", \"content\": \"hello\"}'
  aecl explain finance transfer_funds - --untrusted < arguments.json
  aecl explain finance read_invoice '{\"invoice\": \"4711\"}' --environment staging --user ann
  aecl explain act_0199…          an action on record

Nothing is executed and nothing is recorded. What was spent of budgets, rates and who has agreed already is not
looked at: the answer is for a fresh run. Exit codes: 0 allowed, 3 blocked, 4 a person has to agree.")]
pub struct Args {
    /// The agent, or the name of a recorded action (act_…).
    #[arg(value_name = "AGENT|act_…")]
    agent: String,
    /// The action.
    #[arg(value_name = "ACTION")]
    action: Option<String>,
    /// Its arguments as JSON, or `-` to read them from standard input.
    #[arg(value_name = "ARGUMENTS")]
    arguments: Option<String>,
    #[command(flatten)]
    scene: Scene,
    /// The run has read text that a stranger may have written.
    #[arg(long)]
    untrusted: bool,
    /// The run has read private data.
    #[arg(long)]
    private: bool,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let Some(action) = args.action.clone() else {
        if args.agent.starts_with("act_") {
            return record::run(common, &args.agent);
        }
        return Err(Error::new(format!("which action of `{}`?", show::inert_line(&args.agent)))
            .hint("aecl explain AGENT ACTION ARGUMENTS; `aecl policy show` lists the actions"));
    };
    let home = Home::new(&common.dir);
    let bundle = loader::load(&args.scene.policy.clone().unwrap_or_else(|| home.policy()))?;
    let labels = Labels { untrusted: args.untrusted, private: args.private, ..Labels::default() };
    let mut situation =
        args.scene.situation(&home, &args.agent, action, arguments(args.arguments.as_deref())?)?;
    situation.labels = labels;
    if bundle.catalogue().find(&situation.action).is_some_and(|typed| typed.cage.is_some()) {
        situation.cages = cages(&home, &bundle)?;
    }
    let (action, ruling) = situation.rule(&bundle)?;
    let asked = page::Asked { situation: &situation, bundle: &bundle, action: &action, ruling: &ruling };
    if common.json {
        show::print_json(&asked.json());
    } else {
        asked.page().print();
        match ruling.decision().verdict {
            Verdict::Allow => hint_about_labels(&bundle, &args),
            Verdict::RequireApproval | Verdict::Block => {
                let name = show::inert_line(&situation.action);
                show::say(&format!(
                    "hint: `aecl policy why {name}` names the line that would change each reason"
                ));
            }
        }
    }
    Ok(exit(ruling.decision().verdict))
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Allow => Exit::Done,
        Verdict::RequireApproval => Exit::Pending,
        Verdict::Block => Exit::Refused,
    }
}

/// What programs would be held with on this host, found out now.
fn cages(home: &Home, bundle: &Bundle) -> std::result::Result<HostIsolation, Error> {
    let sandbox = home.sandbox()?;
    let process = ProcessConnector::default();
    runtime()?.block_on(sandbox.find_out(&process, bundle)).map_err(Error::new)
}

/// Rules that look at what a run has read can say more with --untrusted and --private.
fn hint_about_labels(bundle: &Bundle, args: &Args) {
    let looks =
        |text: &str| text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains("context.run."));
    let files = bundle.sources().iter().filter(|s| s.path.ends_with(".cedar") && looks(&s.text)).count();
    if files > 0 && !args.untrusted && !args.private {
        let files = count(files, "rule file");
        show::say(&format!(
            "hint: {files} may look at what a run has read; try --untrusted and --private, too"
        ));
    }
}
