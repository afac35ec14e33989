//! What a server says in `WWW-Authenticate` when it wants a log-in, or more than this one may.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use super::metadata::scopes_of;

/// The longest header that is read.
const HEADER_MAX_BYTES: usize = 8 * 1024;

/// A `Bearer` challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where the server's metadata are.
    pub resource_metadata: Option<String>,
    /// What it wants; absent when it does not say, or says what cannot be read.
    pub scopes: Option<Vec<String>>,
    /// Its code, such as `insufficient_scope`.
    pub error: Option<String>,
}

impl Challenge {
    /// The first challenge for a bearer token, if there is one.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        said.filter(|text| text.len() <= HEADER_MAX_BYTES).find_map(bearer)
    }
}

fn bearer(text: &str) -> Option<Challenge> {
    let mut found: Option<Challenge> = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word_end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"')).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(word_end)?;
        if word.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            // A scheme. What follows belongs to it.
            if found.is_some() {
                return found;
            }
            if word.eq_ignore_ascii_case("bearer") {
                found = Some(Challenge::default());
            }
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
        if let Some(found) = &mut found {
            let name = word.to_ascii_lowercase();
            match name.as_str() {
                "resource_metadata" => found.resource_metadata = Some(value),
                "scope" => found.scopes = scopes_of(&value),
                "error" => found.error = Some(super::quotable(&value)),
                // A realm, a description, or a parameter of tomorrow.
                _ => {}
            }
        }
        rest = after;
    }
}

/// A token or a quoted text, and what stands after it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(text.len());
        return text.split_at_checked(end).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::read(&headers)
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_challenge_is_read_however_it_is_written() {
        let whole = Challenge {
            resource_metadata: text("https://a.example/meta"),
            scopes: Some(vec!["read".into(), "write".into()]),
            error: text("insufficient_scope"),
        };
        for said in [
            r#"Bearer error="insufficient_scope", scope="read write", resource_metadata="https://a.example/meta""#,
            r#"bearer scope = "read write",resource_metadata="https://a.example/meta",error=insufficient_scope"#,
            r#"Basic realm="a, Bearer b=\"c\"", Bearer realm="x", error="insufficient_scope", scope="read write", resource_metadata="https://a.example/meta", DPoP error="other", scope="all""#,
        ] {
            assert_eq!(read(&[said]).unwrap(), whole, "{said}");
        }
        let two = [
            "Negotiate YWJj==",
            r#"Bearer error="insufficient_scope", scope="read write", resource_metadata="https://a.example/meta""#,
        ];
        assert_eq!(read(&two).unwrap(), whole);
        assert_eq!(read(&["Bearer"]).unwrap(), Challenge::default());
    }

    #[test]
    fn a_challenge_that_cannot_be_read_is_none() {
        for said in ["", "Basic realm=x", r#"Bearer scope="read"#, "\"", "=", ",,,", &"x".repeat(9000)] {
            assert_eq!(read(&[said]), None, "{said}");
        }
        // What is no scope is not asked for.
        assert_eq!(read(&["Bearer scope=\"a\\\"b\""]).unwrap().scopes, None);
    }
}
