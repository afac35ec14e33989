//! The one place where text becomes HTML. What is not [`Html`] is escaped.

use std::fmt::Write as _;

/// HTML that is safe to send: made of literals of ours and escaped text.
#[derive(Debug, Default, Clone)]
pub struct Html(String);

impl Html {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Markup of ours. Literals only, so that no text from outside comes in this way.
    #[must_use]
    pub fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere: markup does nothing, and what cannot be seen is shown.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if hidden(c) => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.0, "<span class=\"hidden\">U+{:04X}</span>", u32::from(c));
                }
                c => self.0.push(c),
            }
        }
        self
    }

    /// A sentence of ours: what stands in backticks is set as code. All of it is escaped.
    #[must_use]
    pub fn prose(self, sentence: &str) -> Self {
        let quoted = sentence.matches('`').count().is_multiple_of(2);
        if !quoted {
            return self.text(sentence);
        }
        self.each(sentence.split('`').enumerate(), |h, (i, piece)| match i % 2 {
            0 => h.text(piece),
            _ => h.raw("<code>").text(piece).raw("</code>"),
        })
    }

    /// Text in an attribute that we have opened with `"`. What cannot be seen is left out.
    #[must_use]
    pub fn attribute(mut self, text: &str) -> Self {
        let plain: String = text.chars().filter(|c| !hidden(*c)).collect();
        self = self.text(&plain);
        self
    }

    /// Other HTML.
    #[must_use]
    pub fn html(mut self, other: &Html) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// One piece for each item.
    #[must_use]
    pub fn each<T>(self, items: impl IntoIterator<Item = T>, mut piece: impl FnMut(Self, T) -> Self) -> Self {
        let mut html = self;
        for item in items {
            html = piece(html, item);
        }
        html
    }

    /// A piece that is only there sometimes.
    #[must_use]
    pub fn when(self, there: bool, piece: impl FnOnce(Self) -> Self) -> Self {
        if there { piece(self) } else { self }
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The markup, to send.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Characters that a reader does not see, or that change how others are read: controls, text direction,
/// zero width, fillers, variation selectors, tags, private use.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_does_nothing() {
        let check = |text: &str, html: &str| assert_eq!(Html::new().text(text).as_str(), html, "{text:?}");
        check("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        check("\" onload=\"", "&quot; onload=&quot;");
        check("a&amp;b", "a&amp;amp;b");
        check("pay\u{202e}lla", "pay<span class=\"hidden\">U+202E</span>lla");
        check(
            "a\u{200b}\u{e0041}\u{0}",
            "a<span class=\"hidden\">U+200B</span><span class=\"hidden\">U+E0041</span><span class=\"hidden\">U+0000</span>",
        );
        check("line\nline\tשלום 你好 é", "line\nline\tשלום 你好 é");
        assert_eq!(Html::new().prose("`a<b>` may").as_str(), "<code>a&lt;b&gt;</code> may");
        assert_eq!(Html::new().prose("a ` b").as_str(), "a ` b");
        assert_eq!(Html::new().attribute("a\u{202e}\"b").as_str(), "a&quot;b");
    }
}
