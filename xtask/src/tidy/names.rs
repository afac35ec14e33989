//! A name stands for one thing, and a description begins with the word that somebody searches for.

use super::{Found, House};
use std::collections::BTreeMap;

/// Names that several public types share, and why. The list only shrinks: a name that needs it no more fails the run.
const SHARED: [(&str, &str); 3] = [
    ("Args", "of a command, in the file of each"),
    ("Error", "of a command, and of the demo"),
    ("Limits", "each room has its own"),
];

const QUESTIONS: [&str; 10] =
    ["How", "What", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom", "Why"];

/// What makes a description a page of the API, or the help of a command.
const SAID_ELSEWHERE: [&str; 3] = ["ToSchema", "IntoParams", "clap::"];

/// A public type, and the first line of its description.
#[derive(Debug, PartialEq, Eq)]
struct Type<'a> {
    name: &'a str,
    said: &'a str,
}

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in house.ending(".rs").filter(|file| is_of_a_room(file)) {
        let text = house.text(file).unwrap_or_default();
        for Type { name, said } in types(&text) {
            places.entry(name.to_owned()).or_default().push(file);
            if begins_with_a_question(said) {
                found.error(format!(
                    "{file}: the description of `{name}` begins with a question; begin with the noun that a reader searches for"
                ));
            }
        }
    }
    let shared: Vec<&str> = SHARED.iter().map(|(name, _)| *name).collect();
    for wrong in wrongs(&places, &shared) {
        found.error(wrong);
    }
    Ok(())
}

/// The sources of a library. Programs of their own have no public types, and what stands in for a system that has no
/// cages has the same names on purpose.
fn is_of_a_room(file: &str) -> bool {
    file.starts_with("crates/")
        && file.contains("/src/")
        && !file.contains("/bin/")
        && !file.ends_with("/unsupported.rs")
}

fn wrongs(places: &BTreeMap<String, Vec<&str>>, shared: &[&str]) -> Vec<String> {
    let twice = |name: &str| places.get(name).is_some_and(|files| files.len() > 1);
    let new = places.iter().filter(|(name, _)| twice(name) && !shared.contains(&name.as_str())).map(
        |(name, files)| {
            format!("`{name}` is {} public types: {}; say which it is", files.len(), files.join(", "))
        },
    );
    let old = shared.iter().filter(|name| !twice(name)).map(|name| {
        format!("xtask/src/tidy/names.rs: `{name}` is no more than one type; take it out of `SHARED`")
    });
    new.chain(old).collect()
}

/// Public types, but not those whose names or descriptions others read: in the API, and as help of a command.
fn types(text: &str) -> Vec<Type<'_>> {
    let (mut types, mut said, mut is_read) = (Vec::new(), "", false);
    for line in text.lines().map(str::trim) {
        if let Some(name) = type_of(line) {
            if !is_read {
                types.push(Type { name, said });
            }
            (said, is_read) = ("", false);
        } else if let Some(doc) = line.strip_prefix("///") {
            said = if said.is_empty() { doc.trim() } else { said };
        } else if line.starts_with("#[derive") && SAID_ELSEWHERE.iter().any(|derive| line.contains(derive)) {
            is_read = true;
        } else if line.is_empty() || line.ends_with([';', '}', '{']) {
            (said, is_read) = ("", false);
        }
    }
    types
}

fn type_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    let rest = ["struct ", "enum ", "trait "].iter().find_map(|kind| rest.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

fn begins_with_a_question(said: &str) -> bool {
    QUESTIONS.contains(&said.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_types_are_read_with_what_is_said_of_them() {
        let text = "use utoipa::ToSchema;\n\n/// What it is.\n/// More.\n#[derive(Debug)]\npub struct A<T>(T);\n\
                    pub(crate) struct B;\n\n/// On the wire.\n#[derive(ToSchema)]\npub enum C {}\n\npub trait D: Sized {}\n";
        let of = |name, said| Type { name, said };
        assert_eq!(types(text), [of("A", "What it is."), of("D", "")]);
        assert!(begins_with_a_question("What it is.") && begins_with_a_question("Why."));
        assert!(!begins_with_a_question("Whatever"), "no question");
        assert!(!begins_with_a_question("Digest of it, whatever it is.") && !begins_with_a_question(""));
    }

    #[test]
    fn a_name_that_is_two_types_is_noticed_and_so_is_an_exception_that_nobody_needs() {
        let places = BTreeMap::from([
            ("Once".to_owned(), vec!["a.rs"]),
            ("Twice".to_owned(), vec!["a.rs", "b.rs"]),
            ("Known".to_owned(), vec!["a.rs", "b.rs"]),
        ]);
        assert_eq!(wrongs(&places, &["Known"]), ["`Twice` is 2 public types: a.rs, b.rs; say which it is"]);
        let gone = wrongs(&places, &["Known", "Once", "Twice"]);
        assert_eq!(
            gone,
            ["xtask/src/tidy/names.rs: `Once` is no more than one type; take it out of `SHARED`"]
        );
    }
}
