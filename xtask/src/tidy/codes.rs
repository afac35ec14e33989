//! Every error code has a page with cause, meaning and way out; every page has its code. The same for the codes
//! with which connectors say what went wrong out there.

use std::collections::BTreeSet;

use super::{Found, House};

const CODE: &str = "crates/aecl-kernel/src/base/code.rs";
const PAGE: &str = "docs/reference/errors.md";
const CONNECTORS: [&str; 2] = ["crates/aecl-executor/src/", "crates/aecl-egress/src/"];
const CONNECTORS_PAGE: &str = "docs/reference/connectors.md";

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    let (code, page) = (house.text(CODE), house.text(PAGE));
    if code.is_none() && page.is_none() {
        found.note(format!("neither {CODE} nor {PAGE} is there yet"));
        return Ok(());
    }
    let code = in_code(code.as_deref().unwrap_or_default());
    let page = in_page(page.as_deref().unwrap_or_default());
    if code.is_empty() {
        found.error(format!("{CODE}: no code was found; has its form changed?"));
    }
    for missing in code.difference(&page) {
        found.error(format!("{PAGE}: `{missing}` has no entry (a heading or the first cell of a row)"));
    }
    for unknown in page.difference(&code) {
        found.error(format!("{PAGE}: `{unknown}` is in no code"));
    }
    outcomes(house, found);
    Ok(())
}

fn outcomes(house: &House, found: &mut Found) {
    let sources = house
        .files
        .iter()
        .filter(|name| CONNECTORS.iter().any(|folder| name.starts_with(folder)) && name.ends_with(".rs"));
    let code: BTreeSet<String> =
        sources.filter_map(|name| house.text(name)).flat_map(|text| of_outcomes(&text)).collect();
    let page = in_rows(&house.text(CONNECTORS_PAGE).unwrap_or_default());
    for missing in code.difference(&page) {
        found.error(format!("{CONNECTORS_PAGE}: `{missing}` has no row"));
    }
    for unknown in page.difference(&code) {
        found.error(format!("{CONNECTORS_PAGE}: `{unknown}` is in no connector"));
    }
}

/// Codes of outcomes are literals of two words or more where a connector answers.
fn of_outcomes(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let places = ["=> ", "code: ", "not_sent(", "unknown(", "lost(", "Some("];
    let parts: Vec<&str> = text.split('"').collect();
    let pairs = parts.chunks_exact(2).filter_map(|pair| <&[&str; 2]>::try_from(pair).ok());
    let answers = |before: &str| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        let before = if line.trim().is_empty() { before.trim_end() } else { before };
        // The first word of a list, as of a tuple on lines of its own.
        before.ends_with('(') || before.ends_with('{') || places.iter().any(|place| before.ends_with(place))
    };
    let codes = pairs.filter(|[before, literal]| {
        let family = FAMILIES.iter().any(|family| literal.starts_with(family));
        family && is_code(literal) && answers(before)
    });
    codes.map(|[_, literal]| (*literal).to_owned()).collect()
}

/// What codes of outcomes begin with.
const FAMILIES: [&str; 13] = [
    "connector_",
    "credential_",
    "egress_",
    "files_",
    "http_",
    "process_",
    "sandbox_",
    "secret_",
    "smtp_",
    "sql_",
    "upstream_",
    "wasm_",
    "interrupted",
];

/// Codes of outcomes stand in backticks in the first cell of a row, several of them if they mean the same.
fn in_rows(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix('|')?.split('|').next());
    let codes = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let family = |code: &&str| FAMILIES.iter().any(|family| code.starts_with(family)) && is_code(code);
    codes.filter(family).map(str::to_owned).collect()
}

/// Codes are string literals after `NAME =` or `Code(`, on the same line or the next.
fn in_code(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let joined =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    // Splitting at quotes leaves code at the even places and literals at the odd ones.
    let parts: Vec<&str> = joined.split('"').collect();
    let names_a_code = |before: &str| {
        let before = before.trim_end();
        let constant =
            before.strip_suffix('=').map(|name| name.trim_end().ends_with(|c: char| c.is_ascii_uppercase()));
        constant.unwrap_or(false) || before.ends_with("Code(") || before.ends_with("Code::new(")
    };
    let pairs = parts.chunks_exact(2).filter_map(|pair| <&[&str; 2]>::try_from(pair).ok());
    let codes = pairs.filter(|[before, literal]| names_a_code(before) && is_code(literal));
    codes.map(|[_, literal]| (*literal).to_owned()).collect()
}

/// Documented codes stand in backticks in a heading, or alone in the first cell of a row.
fn in_page(text: &str) -> BTreeSet<String> {
    let code = |line: &str| {
        let line = line.trim();
        let is_heading = line.starts_with('#');
        let place = if is_heading { Some(line) } else { line.strip_prefix('|')?.split('|').next() };
        place?.split('`').nth(1).map(str::to_owned)
    };
    text.lines().filter_map(code).filter(|code| is_code(code)).collect()
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_either_form() {
        let text = "pub const A: Code = Code(\"unknown_action\");\nconst B: Code = Code::new(\n  \"over_budget\");\n\
                    // Code(\"no\")\ncodes! { /// Why.\n TOO_LATE = \"too_late\"; }\nlet x = \"neither\"; f(\"nor\")";
        assert_eq!(
            in_code(text).into_iter().collect::<Vec<_>>(),
            ["over_budget", "too_late", "unknown_action"]
        );
    }

    #[test]
    fn codes_of_outcomes_are_read_where_connectors_answer() {
        let text = "Self::A(_) => \"files_root\",\nnot_sent(\"sql_open\", x); E { code: \"http_status\", m }\n(\n    \
                    \"connector_mismatch\",\n  format!(\"sql_x {}\"))\nserde(default = \"files_max\"); x(\"nor\")";
        let found: Vec<_> = of_outcomes(text).into_iter().collect();
        assert_eq!(found, ["connector_mismatch", "files_root", "http_status", "sql_open"]);
        let rows = "| `sql_open`, `sql_failed` | x |\n| `sql` | y |\n`http_lost`\n";
        assert_eq!(in_rows(rows).into_iter().collect::<Vec<_>>(), ["sql_failed", "sql_open"]);
    }

    #[test]
    fn entries_are_read_from_headings_and_rows() {
        let text = "# Errors\n## `unknown_action`\ntext `not_this`\n| `over_budget` | why |\n|---|---|\n| code | why |";
        assert_eq!(in_page(text).into_iter().collect::<Vec<_>>(), ["over_budget", "unknown_action"]);
    }
}
