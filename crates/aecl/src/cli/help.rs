//! `aecl help`: what a command does, and what a code means. The reference of codes is part of the program, since an
//! installed one has no documentation beside it.

use super::{Common, Error, Exit, Result, command, show};
use serde_json::json;

/// The reference of codes.
const REFERENCE: &str = include_str!("../../../../docs/reference/errors.md");
/// The reference of connectors, with a row for each code of an outcome.
const CONNECTORS: &str = include_str!("../../../../docs/reference/connectors.md");

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aecl help approvals reject       # a command
  aecl help approval_closed        # the code in brackets at the end of an error
  aecl help codes                  # all codes")]
pub struct Args {
    /// A command, a code, or `codes`.
    #[arg(value_name = "COMMAND|CODE")]
    words: Vec<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let mut asked = command();
    asked.build();
    for word in &args.words {
        if let Some(known) = asked.find_subcommand(word).cloned() {
            asked = known;
            continue;
        }
        return match (args.words.as_slice(), word.as_str()) {
            ([_], "codes") => list(common.json),
            ([_], word) if text(word).is_some() => page(word, common.json),
            _ => Err(unknown(word)),
        };
    }
    print!("{}", asked.render_long_help());
    Ok(Exit::Done)
}

fn unknown(word: &str) -> Error {
    let commands = command().get_subcommands().map(|c| c.get_name().to_owned()).collect::<Vec<_>>();
    let known = codes().chain(outcomes().flat_map(|row| codes_of(row[0]))).map(str::to_owned).chain(commands);
    let error = Error::new(format!("`{word}` is neither a command nor a code"));
    match aecl_kernel::define::catalogue::nearest(word, known) {
        Some(near) => error.hint(format!("did you mean `aecl help {near}`?")),
        None => error.hint("`aecl help` lists the commands, `aecl help codes` the codes"),
    }
}

fn list(as_json: bool) -> Result {
    let outcomes = outcomes().flat_map(|row| codes_of(row[0]).map(move |code| (code, plain(row[2]))));
    let rows = codes().map(|code| (code, cause(code))).chain(outcomes);
    if as_json {
        show::print_json(&rows.map(|(code, cause)| json!({"code": code, "cause": cause})).collect());
        return Ok(Exit::Done);
    }
    for (code, cause) in rows {
        println!("{code:<28} {cause}");
    }
    Ok(Exit::Done)
}

fn page(code: &str, as_json: bool) -> Result {
    let text = text(code).unwrap_or_default();
    if as_json {
        show::print_json(&json!({"code": code, "text": text}));
    } else {
        println!("{code}\n\n{text}");
    }
    Ok(Exit::Done)
}

/// What is known of a code.
fn text(code: &str) -> Option<String> {
    section(code).map(plain).or_else(|| {
        let row = outcomes().find(|row| codes_of(row[0]).any(|known| known == code))?;
        let [_, ends, cause, way_out] = row.map(plain);
        let way_out = if way_out.is_empty() { "There is nothing to do.".to_owned() } else { way_out };
        Some(format!("- Cause: {cause}\n- Meaning: The call has ended as: {ends}\n- Way out: {way_out}"))
    })
}

/// The rows of outcomes: code, how the call ended, cause, way out.
fn outcomes() -> impl Iterator<Item = [&'static str; 4]> {
    CONNECTORS.lines().filter_map(|line| {
        let cells: Vec<&str> =
            line.strip_prefix("| ")?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let row: [&str; 4] = cells.try_into().ok()?;
        let ends = matches!(row[1], "failed" | "unknown" | "done");
        (ends && row[0].starts_with('`')).then_some(row)
    })
}

/// The codes in the first cell of a row.
fn codes_of(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The codes that a heading names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.strip_prefix("### ").into_iter().flat_map(|rest| rest.split('`').skip(1).step_by(2))
}

/// Every code, in the order of the reference.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    REFERENCE.lines().flat_map(named)
}

/// What the reference says of a code, below its heading.
fn section(code: &str) -> Option<&'static str> {
    let mut start = None;
    let mut at = 0;
    for line in REFERENCE.split_inclusive('\n') {
        let end = at + line.len();
        match start {
            None if named(line.trim_end()).any(|known| known == code) => start = Some(end),
            Some(start) if line.starts_with("## ") || line.starts_with("### ") => {
                return REFERENCE.get(start..at).map(str::trim);
            }
            None | Some(_) => {}
        }
        at = end;
    }
    start.and_then(|start| REFERENCE.get(start..)).map(str::trim)
}

/// The first sentence of the cause.
pub(super) fn cause(code: &str) -> String {
    let text = plain(section(code).unwrap_or_default());
    let line = text.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("- ").trim_start_matches("Cause: ");
    line.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

/// The text without what only a page of the web needs: emphasis, and the addresses of links.
fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some(at) = rest.find("](") {
        let (before, link) = rest.split_at(at);
        out.push_str(before);
        let target = link.get(2..).and_then(|link| link.split_once(')'));
        match (before.rfind('['), target) {
            (Some(_), Some((_, after))) => {
                if let Some(open) = out.rfind('[') {
                    out.remove(open);
                }
                rest = after;
            }
            (_, _) => {
                out.push_str("](");
                rest = link.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out.replace("**", "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_code_of_the_kernel_has_its_page_in_the_program() {
        for code in aecl_kernel::base::code::ALL {
            let text = section(code.as_str()).unwrap_or_else(|| panic!("`{code}` has no page"));
            assert!(text.contains("**Way out:**"), "{code}: {text}");
            assert!(!cause(code.as_str()).is_empty(), "{code}");
        }
        assert!(text("no_such_code").is_none());
        let login = text("upstream_login_needed").unwrap();
        assert!(login.contains("Way out: `aecl servers status`"), "{login}");
        assert!(text("upstream_lost").unwrap().contains("ended as: unknown"));
    }

    #[test]
    fn a_page_is_plain_text() {
        let plain = plain("- **Cause:** See [the page](x.md#y) of `a[0]` (b).");
        assert_eq!(plain, "- Cause: See the page of `a[0]` (b).");
    }
}
