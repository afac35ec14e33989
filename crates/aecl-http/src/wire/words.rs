//! What a server says of its own tools. It is a stranger's text: it stands apart from what the operator says, under the
//! server's name, and is cut.

use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::connector::ConnectorSpec;
use serde::Serialize;
use utoipa::ToSchema;

/// As much of what a server says of a tool is shown to people: characters and lines.
const CHARS_MAX: usize = 600;
const LINES_MAX: usize = 12;

/// A server's own words about its tool. They count for nothing, and nobody has checked them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServerWords {
    /// The server.
    pub server: String,
    /// What it says, at most 600 characters and 12 lines.
    pub text: String,
    /// How many characters are left out at the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What the operator says of an action, and what its server says of it: one of them is there at most. The description of
/// a tool came with it from its server, and what a person has written in its place looks the same.
pub fn description(typed: &TypedAction) -> (String, Option<ServerWords>) {
    let text = &typed.manifest.description;
    match server(typed) {
        Some(_) if text.trim().is_empty() => (String::new(), None),
        Some(server) => (String::new(), Some(cut(server, text))),
        None => (text.clone(), None),
    }
}

/// The server whose tool an action is. What stands for a server's resources, prompts and completions AECL describes.
pub fn server(typed: &TypedAction) -> Option<&str> {
    let ConnectorSpec::Mcp { server, method, .. } = typed.connector()? else { return None };
    method.as_deref().is_none_or(|method| method == "tools/call").then_some(server)
}

fn cut(server: &str, text: &str) -> ServerWords {
    let text = text.trim_end();
    let lines: usize = text.split_inclusive('\n').take(LINES_MAX).map(|line| line.chars().count()).sum();
    let shown: String = text.chars().take(lines.min(CHARS_MAX)).collect();
    let left_out = text.chars().count() - shown.chars().count();
    ServerWords { server: server.to_owned(), text: shown.trim_end().to_owned(), left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_cut_by_characters_and_by_lines() {
        for (text, shown, left_out) in [
            ("short", "short".to_owned(), 0),
            ("one\ntwo\n\n", "one\ntwo".to_owned(), 0),
            (&"ü".repeat(700), "ü".repeat(600), 100),
            (&"a\n".repeat(20), "a\n".repeat(12).trim_end().to_owned(), 15),
        ] {
            let words = cut("files", text);
            assert_eq!((words.text, words.left_out), (shown, left_out), "{text}");
        }
    }
}
