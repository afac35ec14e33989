//! A test that SPECIFICATION.md, or the page of the validator, names is there.
//!
//! A promise is a list item or a row of a table. What keeps it stands in backticks after
//! `kept by`, `test:` or `bench:`, or in the last cell of the row: the name of a test, or a
//! path, or a path and a name (`tests/x.rs::name`). A promise that nobody keeps says `no test yet`.

use super::{Found, House};

const PAGES: [&str; 2] = ["SPECIFICATION.md", "docs/reference/validator.md"];
const MARKS: [&str; 5] = ["kept by", "tests:", "test:", "benches:", "bench:"];
const UNKEPT: &str = "no test yet";

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    let sources = sources(house);
    for page in PAGES {
        match house.text(page) {
            Some(text) => check_page(page, &text, house, &sources, found),
            None => found.note(format!("{page} is not there yet")),
        }
    }
    Ok(())
}

/// The texts in which a test may be defined.
pub fn sources(house: &House) -> Vec<String> {
    let ends = [".rs", ".py", ".ts", ".sh"];
    ends.iter().flat_map(|end| house.ending(end)).filter_map(|name| house.text(name)).collect()
}

fn check_page(page: &str, text: &str, house: &House, sources: &[String], found: &mut Found) {
    let (mut named, mut unkept) = (0, 0);
    // Another table of the same page may end with something else than tests.
    let mut keeps = true;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("| ") && text.lines().nth(index + 1).is_some_and(|next| next.starts_with("|---"))
        {
            keeps = !line.trim_end().ends_with("| `strict` |");
            continue;
        }
        if line.to_lowercase().contains(UNKEPT) {
            unkept += 1;
        }
        for keeper in keepers(line).into_iter().filter(|_| keeps) {
            named += 1;
            if !exists(house, sources, keeper) {
                found.error(format!("{page}:{}: `{keeper}` keeps this promise and is not there", index + 1));
            }
        }
    }
    found.note(format!("{page}: {named} tests keep promises; {unkept} promises have no test yet"));
    if named == 0 {
        found.error(format!("{page}: no promise names a test; has its form changed?"));
    }
}

/// What a line says that keeps its promise.
fn keepers(line: &str) -> Vec<&str> {
    let trimmed = line.trim();
    let after_mark =
        MARKS.iter().filter_map(|mark| trimmed.find(mark).and_then(|at| trimmed.get(at..))).next();
    let last_cell = trimmed.strip_prefix('|').and_then(|row| row.trim_end_matches('|').rsplit('|').next());
    let is_item = trimmed.starts_with("- ") || trimmed.starts_with("* ") || line.starts_with("  ");
    let place = match (last_cell, after_mark) {
        (Some(cell), _) => cell,
        (None, Some(rest)) if is_item => rest,
        (None, Some(_) | None) => return Vec::new(),
    };
    place.split('`').skip(1).step_by(2).filter(|word| !word.contains(' ') && !word.is_empty()).collect()
}

/// Whether a test, a file, or a test in a file is there.
pub fn exists(house: &House, sources: &[String], keeper: &str) -> bool {
    let (path, name) = match keeper.rsplit_once("::") {
        Some((path, name)) if path.contains('/') => (Some(path), Some(name)),
        Some((_, name)) => (None, Some(name)),
        None if keeper.contains('/') || keeper.contains('.') => (Some(keeper), None),
        None => (None, Some(keeper)),
    };
    match (path, name) {
        (Some(path), Some(name)) => house.text(path).is_some_and(|text| defines(&text, name)),
        (Some(path), None) => house.root.join(path).exists(),
        (None, Some(name)) => sources.iter().any(|text| defines(text, name)),
        (None, None) => false,
    }
}

fn defines(text: &str, name: &str) -> bool {
    ["fn ", "def ", "function "].iter().any(|word| {
        text.match_indices(&format!("{word}{name}")).any(|(at, hit)| {
            let after = text.get(at + hit.len()..).and_then(|rest| rest.chars().next());
            !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepers_are_read_after_their_mark_or_from_the_last_cell() {
        assert_eq!(
            keepers("- a `permit` is spent once; kept by `spent_once`, `tests/a.rs::x`"),
            ["spent_once", "tests/a.rs::x"]
        );
        assert_eq!(keepers("| `decide` in 10 us | `benches/decide.rs` |"), ["benches/decide.rs"]);
        assert!(keepers("a `permit` is spent once").is_empty());
        assert!(keepers("- nothing is lost (no test yet)").is_empty());
    }

    #[test]
    fn only_a_whole_name_counts() {
        assert!(defines("fn spent_once() {}", "spent_once"));
        assert!(!defines("fn spent_once_more() {}", "spent_once"));
        assert!(!defines("spent_once();", "spent_once"));
    }
}
