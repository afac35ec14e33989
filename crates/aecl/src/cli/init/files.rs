//! The files of a new directory.

use super::Example;
use crate::cli::wrap::{CODING_ACTIONS, CODING_NAMES};
use aecl_kernel::base::id::AgentId;

const CONFIG: &str = include_str!("aecl.yaml");
const AGENT: &str = include_str!("agent.yaml");
const EXAMPLES_FILESYSTEM: &str = include_str!("examples-filesystem.yaml");
const EXAMPLES_FINANCE: &str = include_str!("examples-finance.yaml");
const ACTIONS_FINANCE: &str = include_str!("finance-actions.yaml");
const PROPERTIES_FINANCE: &str = include_str!("properties-finance.yaml");
const RULES: &str = include_str!("rules.cedar");
const RULES_NONE: &str = include_str!("rules-none.cedar");
const RULES_FINANCE: &str = include_str!("rules-finance.cedar");

/// `aecl.yaml`.
pub(super) fn config(origin: &str, operator_key: &str) -> String {
    CONFIG.replace("@ORIGIN@", &quoted(origin)).replace("@OPERATOR_KEY@", operator_key)
}

/// The bundle: paths and texts.
pub(super) fn bundle(
    agent: &AgentId,
    servers: &[String],
    example: Example,
    codes: bool,
) -> Vec<(String, String)> {
    let file = file_name(agent);
    let fill = |text: &str| text.replace("@AGENT@", &quoted(agent.as_str()));
    let (description, mut allowed) = match example {
        Example::Filesystem => ("An assistant that works with files.", Vec::new()),
        Example::Finance => (
            "Reads invoices; pays only when a person agrees.",
            vec!["read_invoice".into(), "transfer_funds".into()],
        ),
        Example::None => ("Nothing is allowed yet.", Vec::new()),
    };
    allowed.extend(servers.iter().map(|s| format!("{s}.*")));
    if codes {
        allowed.extend(CODING_NAMES.map(str::to_owned));
    }
    let mut manifest =
        AGENT.replace("@DESCRIPTION@", &quoted(description)).replace("@ALLOWED@", &list(&allowed));
    if example == Example::Finance {
        manifest = manifest.replace("blocked_actions: []", "blocked_actions:\n  - delete_record").replace(
            "# budgets:\n",
            "budgets:\n  - { unit: EUR, limit: \"5000.00\", per: day, of: agent }\n# More budgets:\n",
        );
    }
    let mut files = vec![(format!("policy/agents/{file}.yaml"), fill(&manifest))];
    let (examples, rules) = match example {
        Example::Finance => {
            files.push(("policy/actions/finance.yaml".into(), ACTIONS_FINANCE.into()));
            files.push(("policy/properties/finance.yaml".into(), PROPERTIES_FINANCE.into()));
            (EXAMPLES_FINANCE, RULES_FINANCE)
        }
        Example::Filesystem | Example::None => (EXAMPLES_FILESYSTEM, RULES_NONE),
    };
    if codes {
        files.push(("policy/actions/coding-agents.yaml".into(), CODING_ACTIONS.into()));
    }
    files.push((format!("policy/examples/{file}.yaml"), fill(examples)));
    files.push(("policy/rules/own.cedar".into(), format!("{RULES}{rules}")));
    files
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "allowed_actions: []".into();
    }
    let items: Vec<String> = names.iter().map(|n| format!("  - {}", quoted(n))).collect();
    format!("allowed_actions:\n{}", items.join("\n"))
}

/// A text as YAML takes it whatever it looks like: `on` and `123` are names, too.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// An agent's name as a file name: names may hold `/` and `..`, files of a bundle do not.
fn file_name(agent: &AgentId) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '-' };
    let name: String = agent.as_str().chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "agent".into() } else { name.to_owned() }
}
