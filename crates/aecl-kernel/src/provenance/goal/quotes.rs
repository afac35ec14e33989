//! What stands in quotation marks, and what was pasted.

use super::super::reference::{Meant, is_code, meant};
use super::{AtomKind, MentionKind, ParsedGoal, canon};

/// A quotation that is longer than this, in characters, was pasted.
const QUOTED_MAX: usize = 200;

impl ParsedGoal {
    /// Marks the words that stand in quotation marks.
    pub(super) fn mark_quoted(&mut self, text: &str) {
        let whole = text.trim().len();
        for (from, upto, _) in quotations(text).into_iter().filter(|(from, upto, _)| upto - from < whole) {
            let first = self.words.partition_point(|word| word.end <= from);
            for word in self.words.iter_mut().skip(first).take_while(|word| word.at < upto) {
                word.quoted = true;
            }
        }
    }

    /// What stands in quotation marks.
    pub(super) fn read_quotes(&mut self, text: &str) {
        for (from, upto, quoted) in quotations(text) {
            if quoted.chars().count() <= QUOTED_MAX && !self.is_forbidden(from, upto) {
                let around = (text.get(..from).unwrap_or_default(), text.get(upto..).unwrap_or_default());
                self.quote(from, quoted, around);
            }
        }
    }

    fn quote(&mut self, at: usize, quoted: &str, (before, after): (&str, &str)) {
        if canon::dirt(quoted).is_some() {
            return;
        }
        self.note(at, AtomKind::Secret, Some(quoted.to_owned()), MentionKind::Quoted);
        self.note_account(at, quoted, (before, after), MentionKind::Quoted);
        let as_what = meant(before, after, false);
        if as_what == Meant::Reference || (as_what == Meant::Bare && is_code(quoted)) {
            self.note_reference(at, AtomKind::Phrase, canon::phrase(quoted), MentionKind::Quoted);
        } else {
            self.note(at, AtomKind::Phrase, canon::phrase(quoted), MentionKind::Quoted);
        }
        self.note(at, AtomKind::Path, canon::path(quoted), MentionKind::Quoted);
        self.note(at, AtomKind::Id, canon::id(quoted), MentionKind::Quoted);
        self.note(at, AtomKind::Email, canon::email(quoted), MentionKind::Quoted);
        self.note(at, AtomKind::Url, canon::url(quoted), MentionKind::Quoted);
    }
}

/// Each quotation of a text: where it begins and ends, with its marks, and what stands in it.
pub(super) fn quotations(text: &str) -> Vec<(usize, usize, &str)> {
    let mut out = Vec::new();
    for (open, close) in [('"', '"'), ('“', '”'), ('`', '`'), ('‘', '’'), ('\'', '\'')] {
        let mut rest = text;
        while let Some(at) = rest.find(open) {
            let before = rest.get(..at).and_then(|b| b.chars().next_back());
            let inner = rest.get(at + open.len_utf8()..).unwrap_or_default();
            // An apostrophe inside a word opens nothing.
            let opens = before.is_none_or(|c| !c.is_alphanumeric());
            let Some(end) = inner.find(close).filter(|_| opens) else {
                rest = inner;
                continue;
            };
            let from = text.len() - rest.len() + at;
            let upto = from + open.len_utf8() + end + close.len_utf8();
            out.push((from, upto, inner.get(..end).unwrap_or_default()));
            rest = inner.get(end + close.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// The goal without what was pasted into it.
pub(super) fn without_pasted(goal: &str) -> String {
    let mut own = String::with_capacity(goal.len());
    let mut fenced = false;
    for line in goal.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
            own.push('\n');
            continue;
        }
        if !fenced && !line.trim_start().starts_with('>') {
            own.push_str(line);
        }
        own.push('\n');
    }
    let mut out = String::with_capacity(own.len());
    let mut rest = own.as_str();
    while let Some(at) = rest.find(['"', '“', '«']) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let open = tail.chars().next().unwrap_or('"');
        let close = match open {
            '“' => '”',
            '«' => '»',
            other => other,
        };
        let inner = tail.get(open.len_utf8()..).unwrap_or_default();
        let end = inner.find(close);
        let length =
            end.map_or(inner.chars().count(), |end| inner.get(..end).unwrap_or_default().chars().count());
        if length > QUOTED_MAX {
            rest = end.and_then(|end| inner.get(end + close.len_utf8()..)).unwrap_or_default();
            continue;
        }
        let upto = end.map_or(tail.len(), |end| open.len_utf8() + end + close.len_utf8());
        out.push_str(tail.get(..upto).unwrap_or_default());
        rest = tail.get(upto..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
