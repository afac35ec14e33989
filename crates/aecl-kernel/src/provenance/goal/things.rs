//! Things of a kind of their own: names, addresses, links, accounts, numbers, ids, files.

use super::super::atoms::has_extension;
use super::super::links::looks_like_account;
use super::super::reference::{Meant, around, has_own_number, is_code, is_own, meant};
use super::numbers::{digits_of, is_calendar};
use super::words::{Word, is_month_or_day, tokens};
use super::{Atom, AtomKind, Mention, MentionKind, ParsedGoal, canon};
use std::collections::BTreeSet;

impl ParsedGoal {
    /// Notes what the goal names at this place of its text.
    pub(super) fn note(&mut self, at: usize, kind: AtomKind, text: Option<String>, how: MentionKind) {
        if let Some(text) = text {
            self.atoms.entry(Atom { kind, text }).or_default().push(Mention { at, how });
        }
    }

    pub(super) fn note_reference(
        &mut self,
        at: usize,
        kind: AtomKind,
        text: Option<String>,
        how: MentionKind,
    ) {
        if let Some(text) = text {
            self.references.entry(Atom { kind, text }).or_default().push(Mention { at, how });
        }
    }

    /// An account, where the goal says that it is one or it can be nothing else.
    pub(super) fn note_account(
        &mut self,
        at: usize,
        text: &str,
        (before, after): (&str, &str),
        how: MentionKind,
    ) {
        let written = looks_like_account(&text.replace(' ', ""));
        let is = match meant(before, after, written) {
            Meant::Account => true,
            Meant::Reference => false,
            Meant::Bare => written || !is_code(text),
        };
        if is && !is_own(before) {
            self.note(at, AtomKind::Account, canon::account(text), how);
        } else {
            self.note_reference(at, AtomKind::Account, canon::account(text), how);
        }
    }

    /// Names: words with capitals, one after the other, that do not only begin a sentence.
    pub(super) fn read_names(&mut self) {
        let mut names: BTreeSet<(usize, String, bool)> = BTreeSet::new();
        let mut run: Vec<&Word> = Vec::new();
        let ends = Word { opens: true, negated: true, ..Word::default() };
        for word in self.words.iter().chain([&ends]) {
            let joins = word.capital && !word.negated && (!word.opens || run.is_empty());
            if joins {
                run.push(word);
                continue;
            }
            // The first word of a sentence has its capital from there.
            for skip in 0..=usize::from(run.first().is_some_and(|w| w.opens)) {
                let name: Vec<&str> = run.iter().skip(skip).map(|w| w.text.as_str()).collect();
                let begins = run.first().is_some_and(|w| w.opens) && skip == 0;
                if !name.is_empty() && (!begins || name.len() > 1) && name.len() <= 5 {
                    let at = run.get(skip).map_or(word.at, |w| w.at);
                    names.insert((at, name.join(" "), run.iter().skip(skip).any(|w| w.code)));
                }
            }
            run.clear();
            if word.capital && !word.negated {
                run.push(word);
            }
        }
        // A month or a day has its capital from itself, and so has "I".
        let own = |word: &str| {
            is_month_or_day(word) || word == "i" || word.starts_with("i'") || word.starts_with("i’")
        };
        for (at, name, coded) in names.into_iter().filter(|(_, name, _)| !name.split(' ').all(own)) {
            if coded {
                self.note_reference(at, AtomKind::Phrase, Some(name), MentionKind::Proper);
            } else {
                self.note(at, AtomKind::Phrase, Some(name), MentionKind::Proper);
            }
        }
    }

    /// Things of a kind of their own: addresses, links, accounts, numbers, ids, files.
    pub(super) fn read_tokens(&mut self, text: &str) {
        let found = tokens(text);
        let tokens: Vec<&str> = found.iter().map(|(_, token)| *token).collect();
        for (i, (at, token)) in found.iter().enumerate() {
            if canon::dirt(token).is_some() || self.is_forbidden(*at, *at + token.len()) {
                continue;
            }
            let before =
                i.checked_sub(1).and_then(|b| tokens.get(b)).map(|t| canon::bare(t)).unwrap_or_default();
            let after = tokens.get(i + 1).map(|t| canon::bare(t)).unwrap_or_default();
            self.read_token((*at, token), &before, &after, around(text, *at, token.len()));
        }
        self.read_spaced_accounts(text, &found);
        self.read_secrets(&found);
    }

    fn read_token(&mut self, (at, token): (usize, &str), before: &str, after: &str, around: (&str, &str)) {
        let possessive = token.strip_suffix("'s").or_else(|| token.strip_suffix("’s")).unwrap_or(token);
        if token.contains('@') {
            return self.note(at, AtomKind::Email, canon::email(possessive), MentionKind::Typed);
        }
        if token.contains("://") || token.starts_with("www.") {
            return self.note(at, AtomKind::Url, canon::url(token), MentionKind::Typed);
        }
        if canon::is_date(token) {
            return;
        }
        let says_id = matches!(
            before,
            "id" | "ids" | "number" | "no" | "nr" | "ticket" | "file" | "order" | "invoice" | "event"
        ) || has_own_number(before, token, after);
        if let Some(digits) = digits_of(token) {
            if token.starts_with('#') || says_id {
                self.note(at, AtomKind::Id, canon::id(digits), MentionKind::Typed);
            } else if !self.is_of_something_else(at, digits, token)
                && !is_calendar(digits, before, after)
                && !token.ends_with('%')
            {
                self.note(at, AtomKind::Number, canon::number(digits), MentionKind::Typed);
            }
            if digits.len() >= 6 && !digits.contains(['.', ',']) {
                self.note_account(at, digits, around, MentionKind::Typed);
                self.note(at, AtomKind::Id, canon::id(digits), MentionKind::Typed);
            }
            return;
        }
        if has_extension(token) || token.contains('/') || token.starts_with('.') {
            self.note(at, AtomKind::Path, canon::path(token), MentionKind::Typed);
            if token
                .split(['/', ':'])
                .next()
                .is_some_and(|host| host.contains('.') && canon::url(host).is_some())
            {
                self.note(at, AtomKind::Url, canon::url(token), MentionKind::Typed);
            }
        }
        let has_digit = token.bytes().any(|b| b.is_ascii_digit());
        if has_digit && token.bytes().any(|b| b.is_ascii_alphabetic()) {
            self.note(at, AtomKind::Id, canon::id(possessive), MentionKind::Typed);
            self.note_account(at, possessive, around, MentionKind::Typed);
            let named = possessive.starts_with(|c: char| c.is_ascii_uppercase());
            if named && meant(around.0, around.1, false) == Meant::Account && !is_own(around.0) {
                self.note(at, AtomKind::Phrase, canon::phrase(possessive), MentionKind::Proper);
            }
        } else if says_id && token.contains(['-', '_']) {
            self.note(at, AtomKind::Id, canon::id(token), MentionKind::Typed);
        }
    }

    /// `DE89 3704 0044 …`: an international account number in groups.
    fn read_spaced_accounts(&mut self, text: &str, tokens: &[(usize, &str)]) {
        for (i, (at, head)) in tokens.iter().enumerate() {
            let bytes = head.as_bytes();
            let begins = bytes.len() == 4
                && bytes.iter().take(2).all(u8::is_ascii_uppercase)
                && bytes.iter().skip(2).all(u8::is_ascii_digit);
            if !begins {
                continue;
            }
            let group =
                |t: &&&str| t.len() <= 4 && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            let rest = tokens.iter().skip(i).map(|(_, token)| token);
            let groups: Vec<&str> = rest.take_while(group).take(9).copied().collect();
            let joined = groups.concat();
            let end =
                tokens.get(i + groups.len().saturating_sub(1)).map_or(*at, |(at, token)| at + token.len());
            if groups.len() >= 4 && !self.is_forbidden(*at, end) {
                self.note_account(*at, &joined, around(text, *at, end - at), MentionKind::Typed);
            }
        }
    }

    /// What follows "password … to" is meant as a password.
    fn read_secrets(&mut self, tokens: &[(usize, &str)]) {
        for (i, (_, token)) in tokens.iter().enumerate() {
            if !matches!(canon::bare(token).as_str(), "password" | "passphrase" | "pin") {
                continue;
            }
            let after = tokens
                .iter()
                .skip(i + 1)
                .take(5)
                .position(|(_, t)| matches!(canon::bare(t).as_str(), "to" | "is" | "as"));
            if let Some((at, value)) = after.and_then(|at| tokens.get(i + 2 + at)) {
                // A word of the language is what follows by chance ("to something safe").
                if !value.bytes().all(|b| b.is_ascii_lowercase()) {
                    self.note(*at, AtomKind::Secret, Some((*value).to_owned()), MentionKind::Typed);
                }
            }
        }
    }
}
