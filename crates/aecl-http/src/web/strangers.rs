//! What strangers wrote, as the pages show it.

use super::html::Html;
use crate::wire::ServerWords;
use serde_json::Value;

/// What a server says of its tool, in a box that is a stranger's.
pub(super) fn server_says(words: Option<&ServerWords>) -> Html {
    let Some(words) = words else { return Html::new() };
    Html::new()
        .raw("<section class=\"untrusted says\" tabindex=\"0\" role=\"group\" aria-label=\"What the server says\"><p class=\"quiet\">The server <code>")
        .text(&words.server.replace('\n', " "))
        .raw("</code> says of it, and nobody has checked it:</p><pre dir=\"auto\">")
        .text(&words.text)
        .raw("</pre>")
        .when(words.left_out > 0, |h| {
            h.raw("<p class=\"quiet\">").text(&left_out(words.left_out)).raw("</p>")
        })
        .raw("</section>")
}

fn left_out(n: usize) -> String {
    format!("{n} more characters of it are left out here.")
}

/// Each letter beyond ASCII, with its number.
pub(super) fn beyond_ascii(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_ascii()).take(20);
    letters.map(|c| format!("{c} U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(", ")
}

/// A text as it reads, anything else as JSON.
pub(super) fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
