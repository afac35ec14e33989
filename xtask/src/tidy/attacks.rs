//! `docs/reference/attacks.md` is whole: its numbers have no gap, and each section names tests that are there or
//! says what is open.
//!
//! A section is `### A.1 title`. A paragraph that begins with `Tests:` names functions in backticks, one that begins
//! with `Open:` says what still works.

use super::{Found, House, promises};

const PAGE: &str = "docs/reference/attacks.md";

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    let Some(text) = house.text(PAGE) else {
        found.error(format!("{PAGE} is not there"));
        return Ok(());
    };
    let sources = promises::sources(house);
    let sections = sections(&text);
    for error in gaps(&sections) {
        found.error(format!("{PAGE}: {error}"));
    }
    let (mut tests, mut open) = (0, 0);
    for section in &sections {
        let named = section.tests();
        for name in &named {
            if !promises::exists(house, &sources, name) {
                found
                    .error(format!("{PAGE}: {} names the test `{name}`, which is not there", section.number));
            }
        }
        if named.is_empty() && section.open().is_none() {
            let number = section.number;
            found.error(format!("{PAGE}: {number} has neither a line `Tests:` with names nor one `Open:`"));
        }
        tests += named.len();
        open += usize::from(section.open().is_some());
    }
    found.note(format!("{PAGE}: {} attacks, {tests} tests, {open} open in whole or in part", sections.len()));
    Ok(())
}

struct Section<'a> {
    number: &'a str,
    text: &'a str,
}

impl<'a> Section<'a> {
    fn paragraph(&self, mark: &str) -> Option<&'a str> {
        self.text.split("\n\n").map(str::trim).find_map(|part| part.strip_prefix(mark)).map(str::trim)
    }

    fn tests(&self) -> Vec<&'a str> {
        let words = self.paragraph("Tests:").into_iter().flat_map(|part| part.split('`').skip(1).step_by(2));
        words.filter(|word| !word.is_empty()).collect()
    }

    fn open(&self) -> Option<&'a str> {
        self.paragraph("Open:").filter(|what| !what.is_empty())
    }
}

fn sections(page: &str) -> Vec<Section<'_>> {
    let mut found = Vec::new();
    for part in page.split("\n### ").skip(1) {
        // The heading of the next part of the page ends the last section of this one.
        let part = part.split("\n## ").next().unwrap_or(part);
        let number = part.split_whitespace().next().unwrap_or_default();
        found.push(Section { number, text: part });
    }
    found
}

/// Numbers count from 1 within each letter, letters from A.
fn gaps(sections: &[Section<'_>]) -> Vec<String> {
    let mut errors = Vec::new();
    let (mut letter, mut last) = ('A', 0_u32);
    for section in sections {
        let read =
            section.number.split_once('.').and_then(|(l, n)| Some((l.chars().next()?, n.parse().ok()?)));
        let Some((of, number)) = read else {
            errors.push(format!("`{}` is no number such as `A.1`", section.number));
            continue;
        };
        let next = char::from_u32(u32::from(letter) + 1);
        match (of, number) {
            (of, number) if of == letter && number == last + 1 => {}
            (of, 1) if Some(of) == next && last > 0 => letter = of,
            _ => errors.push(format!("`{}` does not follow `{letter}.{last}`", section.number)),
        }
        last = number;
    }
    if sections.is_empty() {
        errors.push("there is no section; has its form changed?".into());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# P\n\n## A. one\n\n### A.1 x\n\nWas so.\n\nTests: `a`,\n`b`.\n\n### A.2 y\n\nOpen: all.\n\n## B\n\n### B.1 z\n\nOpen:\n";

    #[test]
    fn sections_have_their_tests_and_what_is_open() {
        let read: Vec<_> = sections(PAGE).iter().map(|s| (s.number, s.tests(), s.open())).collect();
        assert_eq!(
            read,
            [("A.1", vec!["a", "b"], None), ("A.2", vec![], Some("all.")), ("B.1", vec![], None)]
        );
        assert!(gaps(&sections(PAGE)).is_empty());
    }

    #[test]
    fn a_number_that_is_missing_is_said() {
        for page in
            ["\n### A.2 x", "\n### A.1 x\n### A.3 y", "\n### A.1 x\n### C.1 y", "\n### A.1 x\n### A.1 y", ""]
        {
            assert!(!gaps(&sections(page)).is_empty(), "{page}");
        }
    }
}
